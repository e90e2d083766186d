#include "sinks/pg_conn.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "pipeline/log.h"

enum { MAX_OPTIONS = 80, STATE_LENGTH = 5 };

struct np_pg {
    PGconn *conn;
    char *secrets[3]; /* what must not appear in a text; NULL-ended */
    char state[STATE_LENGTH + 1];
    bool broken; /* left in the middle of a COPY or of results */
};

struct np_pg_rows {
    PGresult *result;
};

static void hide(char *text, const char *secret)
{
    size_t n = secret ? strlen(secret) : 0;
    char *at = text;

    if (n == 0)
        return;
    while ((at = strstr(at, secret))) {
        size_t stars = n < 3 ? n : 3;

        memset(at, '*', stars);
        memmove(at + stars, at + n, strlen(at + n) + 1);
        at += stars;
    }
}

/* One line without the secrets, without trailing blanks. */
static void clean(const struct np_pg *pg, char *text)
{
    size_t n;

    for (size_t i = 0; i < sizeof pg->secrets / sizeof *pg->secrets; i++)
        hide(text, pg->secrets[i]);
    n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        text[--n] = '\0';
    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
}

enum np_status np_pg_status(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        enum np_status status;
    } rows[] = {
        {"22", NP_EDATA},   {"23", NP_EDATA},     {"28", NP_ECONFIG},    {"3D", NP_ECONFIG},
        {"3F", NP_ECONFIG}, {"42", NP_ECONFIG},   {"2BP01", NP_ECONFIG}, {"0A", NP_ECONFIG},
        {"08", NP_ERETRY},  {"40", NP_ERETRY},    {"53", NP_ERETRY},     {"55", NP_ERETRY},
        {"57", NP_ERETRY},  {"25006", NP_ERETRY}, {"25P03", NP_ERETRY},  {"58030", NP_ERETRY},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strncmp(sqlstate, rows[i].prefix, strlen(rows[i].prefix)) == 0)
            return rows[i].status;
    return NP_ESTOP;
}

/* A failure that the connection itself tells of. */
static enum np_status fail_connection(struct np_pg *pg, struct np_error *err, const char *what)
{
    char text[700];

    pg->state[0] = '\0';
    snprintf(text, sizeof text, "%s", PQerrorMessage(pg->conn));
    clean(pg, text);
    return np_fail(err, NP_ERETRY, "PostgreSQL: %s: %s", what, text[0] ? text : "connection lost");
}

static enum np_status fail_result(struct np_pg *pg, const PGresult *result, struct np_error *err,
                                  const char *what)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *primary, *detail, *hint;
    char text[800];

    if (!state)
        return fail_connection(pg, err, what);
    snprintf(pg->state, sizeof pg->state, "%s", state);
    primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    snprintf(text, sizeof text, "%s%s%.300s%s%.200s", primary ? primary : "", detail ? " (" : "",
             detail ? detail : "", detail ? ")" : "", hint && !detail ? hint : "");
    clean(pg, text);
    return np_fail(err, np_pg_status(pg->state), "PostgreSQL: %s: %s [SQLSTATE %s]", what, text, pg->state);
}

/* Takes the SQLSTATE out of a verbose text ("FATAL:  28P01: password ..") and the line that names the
 * server's source. */
static void take_state(struct np_pg *pg, char *text)
{
    char *location;

    while ((location = strstr(text, "LOCATION:"))) {
        char *end = strchr(location, '\n');

        memmove(location, end ? end + 1 : "", end ? strlen(end + 1) + 1 : 1);
    }
    for (char *at = text; (at = strstr(at, ":  ")); at += 3) {
        size_t n = strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

        if (n != STATE_LENGTH || at[3 + n] != ':')
            continue;
        memcpy(pg->state, at + 3, n);
        pg->state[n] = '\0';
        memmove(at + 1, at + 4 + n, strlen(at + 4 + n) + 1);
    }
}

static enum np_status fail_open(struct np_pg *pg, struct np_error *err)
{
    char text[900];
    enum np_status status = NP_ERETRY;

    snprintf(text, sizeof text, "%s", PQerrorMessage(pg->conn));
    take_state(pg, text);
    clean(pg, text);
    if (pg->state[0] && np_pg_status(pg->state) == NP_ECONFIG)
        status = NP_ECONFIG;
    else if (strstr(text, "no password supplied"))
        status = NP_ECONFIG;
    return np_fail(err, status, "PostgreSQL: connect: %s", text);
}

/* The DSN's options with ours where it is silent. keys, values: room for MAX_OPTIONS. */
static void fill_options(PQconninfoOption *given, const char **keys, const char **values,
                         const char *const (*ours)[2])
{
    size_t n = 0;

    for (PQconninfoOption *o = given; o->keyword && n < MAX_OPTIONS - 16; o++) {
        if (!o->val)
            continue;
        if (strcmp(o->keyword, "target_session_attrs") == 0 || strcmp(o->keyword, "client_encoding") == 0)
            continue;
        keys[n] = o->keyword;
        values[n++] = o->val;
    }
    for (; (*ours)[0]; ours++) {
        size_t i = 0;

        while (i < n && strcmp(keys[i], (*ours)[0]) != 0)
            i++;
        if (i < n)
            continue;
        keys[n] = (*ours)[0];
        values[n++] = (*ours)[1];
    }
    keys[n] = values[n] = NULL;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Step by step, because only so the verbosity can be raised first, which puts the SQLSTATE into the text of a
 * refusal. */
static enum np_status connect_steps(struct np_pg *pg, int64_t limit_ms, struct np_error *err)
{
    int64_t end = now_ms() + limit_ms;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
    while (PQstatus(pg->conn) != CONNECTION_BAD && next != PGRES_POLLING_OK) {
        struct pollfd fd = {.fd = PQsocket(pg->conn),
                            .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        int64_t left = end - now_ms();

        if (left <= 0)
            return np_fail(err, NP_ERETRY, "PostgreSQL: connect: no answer within %lld ms",
                           (long long)limit_ms);
        if (poll(&fd, 1, (int)left) == -1 && errno != EINTR)
            return np_fail(err, NP_ERETRY, "PostgreSQL: connect: %s", strerror(errno));
        if (fd.revents == 0)
            continue;
        next = PQconnectPoll(pg->conn);
        if (next == PGRES_POLLING_FAILED)
            break;
    }
    if (PQstatus(pg->conn) != CONNECTION_OK)
        return fail_open(pg, err);
    PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
    return NP_OK;
}

static enum np_status set_session(struct np_pg *pg, const struct np_pg_limits *limits, struct np_error *err)
{
    char sql[900];
    struct np_pg_rows *rows = NULL;
    enum np_status status;

    /* a stronger synchronous_commit (remote_apply) is the administrator's choice and stays */
    snprintf(sql, sizeof sql,
             "SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %d;SET "
             "default_transaction_isolation = 'read committed'; SET search_path = '';SET timezone = 'UTC'; "
             "SET datestyle = 'ISO'; SET standard_conforming_strings = on;SET client_min_messages = warning; "
             "SET bytea_output = 'hex';SELECT pg_catalog.set_config('synchronous_commit', 'on', false) WHERE "
             "pg_catalog.current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')",
             limits && limits->lock_ms ? limits->lock_ms : 5000,
             limits && limits->idle_ms ? limits->idle_ms : 60000);
    status = np_pg_run(pg, sql, err);
    if (status == NP_OK)
        status = np_pg_query(pg, "SELECT pg_catalog.pg_is_in_recovery()", 0, NULL, &rows, err);
    if (status == NP_OK && strcmp(np_pg_cell(rows, 0, 0), "f") != 0)
        status = np_fail(err, NP_ERETRY,
                         "PostgreSQL: connect: the server is a standby; only the primary is loaded");
    np_pg_rows_close(rows);
    return status;
}

static void log_notice(void *context, const PGresult *result)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    (void)context;
    np_log(NP_LOG_WARNING, "postgres", "the server says", "text=\"%s\"", text ? text : "");
}

enum np_status np_pg_open(struct np_pg **out, const char *dsn, const char *application,
                          const struct np_pg_limits *limits, struct np_error *err)
{
    struct np_pg *pg = calloc(1, sizeof *pg);
    PQconninfoOption *given = NULL;
    const char *keys[MAX_OPTIONS], *values[MAX_OPTIONS];
    char tcp_ms[16];
    const char *const ours[][2] = {
        {"target_session_attrs", "primary"},
        {"client_encoding", "UTF8"},
        {"fallback_application_name", application},
        {"tcp_user_timeout", tcp_ms},
        {"keepalives_idle", "10"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {NULL, NULL},
    };
    int64_t limit_ms = limits && limits->connect_ms ? limits->connect_ms : 10000, hosts = 1;
    size_t n_secrets = 0;
    enum np_status status;

    *out = NULL;
    if (!pg)
        return np_fail(err, NP_ENOMEM, "PostgreSQL: connection object");
    snprintf(tcp_ms, sizeof tcp_ms, "%d", limits && limits->tcp_ms ? limits->tcp_ms : 20000);
    given = PQconninfoParse(dsn, NULL);
    if (!given) {
        /* libpq's own text quotes pieces of the DSN, the password perhaps */
        status = np_fail(err, NP_ECONFIG,
                         "PostgreSQL: the DSN cannot be read; allowed are key=value pairs as in \"host=db "
                         "user=netzpuls dbname=grid\", values with blanks in single quotes, or "
                         "postgresql://user@host/dbname");
        goto fail;
    }
    for (PQconninfoOption *o = given; o->keyword; o++) {
        if (!o->val)
            continue;
        if (strcmp(o->keyword, "password") == 0 || strcmp(o->keyword, "sslpassword") == 0)
            pg->secrets[n_secrets++] = strdup(o->val);
        if (strcmp(o->keyword, "connect_timeout") == 0 && atoi(o->val) > 0)
            limit_ms = atoi(o->val) * (int64_t)1000;
    }
    fill_options(given, keys, values, ours);
    for (size_t i = 0; keys[i]; i++)
        if (strcmp(keys[i], "host") == 0)
            for (const char *c = values[i]; *c; c++)
                hosts += *c == ',';
    pg->conn = PQconnectStartParams(keys, values, 0);
    if (!pg->conn) {
        status = np_fail(err, NP_ENOMEM, "PostgreSQL: connection object");
        goto fail;
    }
    if (n_secrets == 0 && PQpass(pg->conn) && PQpass(pg->conn)[0])
        pg->secrets[n_secrets++] = strdup(PQpass(pg->conn));
    status = connect_steps(pg, limit_ms * hosts, err);
    if (status != NP_OK)
        goto fail;
    PQsetNoticeReceiver(pg->conn, log_notice, NULL);
    status = set_session(pg, limits, err);
    if (status != NP_OK)
        goto fail;
    PQconninfoFree(given);
    *out = pg;
    return NP_OK;
fail:
    PQconninfoFree(given);
    np_pg_close(pg);
    return status;
}

void np_pg_close(struct np_pg *pg)
{
    if (!pg)
        return;
    PQfinish(pg->conn);
    for (size_t i = 0; i < sizeof pg->secrets / sizeof *pg->secrets; i++)
        free(pg->secrets[i]);
    free(pg);
}

int np_pg_version(const struct np_pg *pg)
{
    return PQserverVersion(pg->conn);
}

bool np_pg_lost(const struct np_pg *pg)
{
    return pg->broken || PQstatus(pg->conn) != CONNECTION_OK;
}

const char *np_pg_sqlstate(const struct np_pg *pg)
{
    return pg->state;
}

enum np_status np_pg_change(struct np_pg *pg, const char *sql, long *changed, struct np_error *err)
{
    PGresult *result = PQexec(pg->conn, sql);
    ExecStatusType kind = PQresultStatus(result);
    enum np_status status = NP_OK;

    pg->state[0] = '\0';
    if (kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK && kind != PGRES_EMPTY_QUERY)
        status = fail_result(pg, result, err, "statement");
    else
        *changed = strtol(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return status;
}

enum np_status np_pg_run(struct np_pg *pg, const char *sql, struct np_error *err)
{
    long changed;

    return np_pg_change(pg, sql, &changed, err);
}

enum np_status np_pg_commit(struct np_pg *pg, struct np_error *err)
{
    PGresult *result = PQexec(pg->conn, "COMMIT");
    enum np_status status = NP_OK;

    pg->state[0] = '\0';
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        status = fail_result(pg, result, err, "COMMIT");
    else if (strcmp(PQcmdStatus(result), "COMMIT") != 0)
        status =
            np_fail(err, NP_ERETRY, "PostgreSQL: COMMIT: the transaction had failed and was rolled back");
    PQclear(result);
    return status;
}

enum np_status np_pg_query(struct np_pg *pg, const char *sql, int n, const char *const *params,
                           struct np_pg_rows **rows, struct np_error *err)
{
    PGresult *result = PQexecParams(pg->conn, sql, n, NULL, params, NULL, NULL, 0);
    ExecStatusType kind = PQresultStatus(result);
    enum np_status status = NP_OK;

    pg->state[0] = '\0';
    if (rows)
        *rows = NULL;
    if (kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK) {
        status = fail_result(pg, result, err, "statement");
        PQclear(result);
        return status;
    }
    if (!rows) {
        PQclear(result);
        return NP_OK;
    }
    *rows = calloc(1, sizeof **rows);
    if (!*rows) {
        PQclear(result);
        return np_fail(err, NP_ENOMEM, "PostgreSQL: rows");
    }
    (*rows)->result = result;
    return NP_OK;
}

size_t np_pg_rows_n(const struct np_pg_rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

long np_pg_rows_changed(const struct np_pg_rows *rows)
{
    return strtol(PQcmdTuples(rows->result), NULL, 10);
}

const char *np_pg_cell(const struct np_pg_rows *rows, size_t row, int column)
{
    return PQgetisnull(rows->result, (int)row, column) ? NULL : PQgetvalue(rows->result, (int)row, column);
}

void np_pg_rows_close(struct np_pg_rows *rows)
{
    if (!rows)
        return;
    PQclear(rows->result);
    free(rows);
}

enum np_status np_pg_copy_begin(struct np_pg *pg, const char *sql, struct np_error *err)
{
    PGresult *result = PQexec(pg->conn, sql);
    enum np_status status = NP_OK;

    pg->state[0] = '\0';
    if (PQresultStatus(result) != PGRES_COPY_IN)
        status = fail_result(pg, result, err, "COPY");
    PQclear(result);
    return status;
}

/* Reads results until there are none: only then the COPY is over, and any of them may be the failure. */
static enum np_status verdict(struct np_pg *pg, struct np_error *err)
{
    enum np_status status = NP_OK;
    PGresult *result;

    while ((result = PQgetResult(pg->conn))) {
        ExecStatusType kind = PQresultStatus(result);

        if (kind == PGRES_COPY_IN) { /* never ends by itself */
            pg->broken = true;
            PQclear(result);
            return np_fail(err, NP_ERETRY, "PostgreSQL: COPY: the server still waits for data");
        }
        if (kind != PGRES_COMMAND_OK && status == NP_OK)
            status = fail_result(pg, result, err, "COPY");
        PQclear(result);
    }
    if (status == NP_OK && PQstatus(pg->conn) != CONNECTION_OK)
        status = fail_connection(pg, err, "COPY");
    return status;
}

enum np_status np_pg_copy_write(struct np_pg *pg, const void *data, size_t n, struct np_error *err)
{
    const size_t piece = 1 << 20; /* PQputCopyData takes an int, and copies into its buffer */
    const char *from = data;

    while (n > 0) {
        size_t now = n < piece ? n : piece;

        if (PQputCopyData(pg->conn, from, (int)now) != 1)
            return fail_connection(pg, err, "COPY");
        from += now;
        n -= now;
    }
    return NP_OK;
}

enum np_status np_pg_copy_end(struct np_pg *pg, struct np_error *err)
{
    pg->state[0] = '\0';
    if (PQputCopyEnd(pg->conn, NULL) != 1)
        return fail_connection(pg, err, "COPY");
    return verdict(pg, err);
}
