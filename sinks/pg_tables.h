/* Makes and keeps the tables of a pipeline in the server. Any number of loaders may do so at the same time:
 * an advisory lock for each schema orders them. */
#ifndef NP_PG_TABLES_H
#define NP_PG_TABLES_H

#include "sinks/pg_conn.h"
#include "sinks/pg_layout.h"

/**
 * Makes what is missing: roles (where allowed), schema, tables, columns, views, comments; then reads the
 * partitions. Changes nothing where nothing has changed, and needs no more than the writer's rights then.
 * @return NP_OK; NP_ECONFIG: something that cannot be changed in place, or a right is missing (err says what
 * to do); NP_ERETRY
 */
enum np_status np_pg_tables_ensure(struct np_pg *pg, struct np_pg_tables *tables, struct np_error *err);

/** Compares without changing anything, for `check --connect`; also tries the connection. Every mistake is
 * added. @return NP_OK: compared; else what is wrong with the connection, which was added as the last
 * mistake: NP_ERETRY: the server does not answer */
enum np_status np_pg_tables_check(const struct np_pipeline *pipeline, struct np_mistakes *mistakes);

/** Times that a row may have [ns]: from 1970 to a year ahead of the clock. */
bool np_pg_time_allowed(int64_t time_ns, int64_t now_ns);
/** ns to microseconds, floored. */
int64_t np_pg_floor_us(int64_t ns);
/** @return the table has a partition for that time, as far as was last read */
bool np_pg_partition_has(const struct np_pg_table *table, int64_t time_us);
/** Reads which partitions a table has. */
enum np_status np_pg_partitions_read(struct np_pg *pg, const struct np_pg_tables *tables,
                                     struct np_pg_table *table, struct np_error *err);
/**
 * Makes the partition for a time, unless another loader has just done so. Not inside a transaction.
 * @return NP_OK; NP_EDATA: the table has too many partitions already; NP_ERETRY: a lock was not to be had;
 * NP_ECONFIG
 */
enum np_status np_pg_partition_make(struct np_pg *pg, const struct np_pg_tables *tables,
                                    struct np_pg_table *table, int64_t time_us, struct np_error *err);

/** What a round of np_pg_tables_maintain() did. */
struct np_pg_maintained {
    int made, dropped, indexed, busy; /* busy: left for the next round, because somebody held a lock */
};
/**
 * Partitions ahead of the clock, retention, indexes of closed partitions. To be called about once a minute,
 * on a connection of its own (building an index takes its time). Retention counts from the newest row, or
 * from the clock where that is earlier: without new data nothing is dropped.
 */
enum np_status np_pg_tables_maintain(struct np_pg *pg, struct np_pg_tables *tables, int64_t now_ns,
                                     struct np_pg_maintained *done, struct np_error *err);

/** Takes the schema's advisory lock until the end of the open transaction, and the owner's role where there
 * is one. */
enum np_status np_pg_tables_lock(struct np_pg *pg, const struct np_pg_tables *tables, struct np_error *err);
/** Takes the owner's role alone, likewise. */
enum np_status np_pg_tables_role(struct np_pg *pg, const struct np_pg_tables *tables, struct np_error *err);

#endif
