/* One connection to PostgreSQL. The only user of libpq. Every error text is free of the password.
 * A connection belongs to one thread. After a failure look at np_pg_lost(): a lost connection is of no
 * further use, and the outcome of a COMMIT in flight is unknown (rule 16 of docs/delivery.md). */
#ifndef NP_PG_CONN_H
#define NP_PG_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/status.h"

struct np_pg;
struct np_pg_rows;

/** Limits of a session. 0: the default in the comment. */
struct np_pg_limits {
    int connect_ms; /* 10 s for each host; the DSN's connect_timeout wins */
    int lock_ms;    /* lock_timeout, 5 s */
    int idle_ms;    /* idle_in_transaction_session_timeout, 60 s */
    int tcp_ms;     /* tcp_user_timeout, 20 s; the DSN's own wins */
};

/**
 * Connects to the primary: a standby is refused. The session is READ COMMITTED, synchronous_commit at least
 * on, UTF-8, time zone UTC, with an empty search_path.
 * @param dsn     key=value pairs or a postgresql:// URI, borrowed; never printed
 * @param limits  NULL: defaults
 * @param out     given, close with np_pg_close()
 * @return NP_OK; NP_ECONFIG: DSN, user, password or database are wrong; NP_ERETRY: not reachable, starting,
 * full, standby
 */
enum np_status np_pg_open(struct np_pg **out, const char *dsn, const char *application,
                          const struct np_pg_limits *limits, struct np_error *err);
void np_pg_close(struct np_pg *pg); /* accepts NULL; an open transaction is rolled back by the server */

/** The server's version, as 150020. */
int np_pg_version(const struct np_pg *pg);
/** The connection is gone, or in a state that it cannot be used on. */
bool np_pg_lost(const struct np_pg *pg);
/** SQLSTATE of the last failure; "" if it did not come from the server. Borrowed until the next call. */
const char *np_pg_sqlstate(const struct np_pg *pg);
/** What a SQLSTATE means to us: NP_EDATA the row's fault (22, 23), NP_ECONFIG the user's (28, 3D, 3F, 42),
 * NP_ERETRY passes (08, 40, 53, 55, 57, 25006, 58030), NP_ESTOP all others. */
enum np_status np_pg_status(const char *sqlstate);

/** Runs one or more statements without parameters; rows are thrown away. */
enum np_status np_pg_run(struct np_pg *pg, const char *sql, struct np_error *err);
/** The same; changed: how many rows the last statement changed. */
enum np_status np_pg_change(struct np_pg *pg, const char *sql, long *changed, struct np_error *err);
/** COMMIT, and the server's word that it was one (it answers ROLLBACK to the COMMIT of a failed transaction).
 */
enum np_status np_pg_commit(struct np_pg *pg, struct np_error *err);
/**
 * Runs one statement with text parameters $1..$n (NULL: null).
 * @param rows  given, or NULL if nobody wants them
 */
enum np_status np_pg_query(struct np_pg *pg, const char *sql, int n, const char *const *params,
                           struct np_pg_rows **rows, struct np_error *err);
size_t np_pg_rows_n(const struct np_pg_rows *rows);
/** How many rows an INSERT, UPDATE or DELETE changed. */
long np_pg_rows_changed(const struct np_pg_rows *rows);
/** @return text of a cell, borrowed; NULL for null */
const char *np_pg_cell(const struct np_pg_rows *rows, size_t row, int column);
void np_pg_rows_close(struct np_pg_rows *rows); /* accepts NULL */

/** Begins COPY .. FROM STDIN. */
enum np_status np_pg_copy_begin(struct np_pg *pg, const char *sql, struct np_error *err);
/** Sends bytes, in any pieces. */
enum np_status np_pg_copy_write(struct np_pg *pg, const void *data, size_t n, struct np_error *err);
/** Ends the COPY and waits for the server's verdict on all of it. */
enum np_status np_pg_copy_end(struct np_pg *pg, struct np_error *err);

#endif
