/* SQL text with names and texts quoted as the server's own format() does it. */
#ifndef NP_SQL_H
#define NP_SQL_H

#include "pipeline/record.h"

/**
 * Appends to sql and keeps it NUL-terminated (the NUL is not counted in sql->n).
 * %s text as it is, %I a name quoted, %L a text literal quoted, %d int, %l int64_t, %% a percent sign.
 * @return 0, or -1 without memory
 */
int np_sql(struct np_bytes *sql, const char *format, ...);
/** The text; "" while nothing was appended. */
const char *np_sql_text(const struct np_bytes *sql);

#endif
