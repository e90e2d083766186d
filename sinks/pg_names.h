/* Ids of names (sensors, channels, topics): a table in the server, and a copy of it here. A new name gets its
 * entry at once and its id later, for all new ones together: whoever uses it puts the id in afterwards.
 * Belongs to one thread. */
#ifndef NP_PG_NAMES_H
#define NP_PG_NAMES_H

#include "sinks/pg_conn.h"

struct np_pg_names;

/** @param table  "sensors"; borrowed, as is schema. @return given; NULL without memory */
struct np_pg_names *np_pg_names_open(const char *schema, const char *table);
void np_pg_names_close(struct np_pg_names *names); /* accepts NULL */
/** Forgets all: the server may be another one, or an older state of it. */
void np_pg_names_clear(struct np_pg_names *names);
/** Finds or adds. @return the entry's number, or -1 without memory */
int64_t np_pg_names_find(struct np_pg_names *names, const char *name);
/** @return its id; 0 until np_pg_names_resolve() */
int32_t np_pg_names_id(const struct np_pg_names *names, int64_t entry);
/** Asks for the ids of all entries that have none; names that the server lacks are added there. Not inside a
 * transaction. */
enum np_status np_pg_names_resolve(struct np_pg *pg, struct np_pg_names *names, struct np_error *err);

#endif
