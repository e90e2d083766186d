#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pipeline/log.h"
#include "sinks/pg_tables.h"
#include "sinks/sql.h"

enum {
    MAX_PARTITIONS = 10000,   /* planning over more is slow, and a broken clock would make them without end */
    AHEAD = 3,                /* partitions from now on that are always there */
    CLOSED_US = 60 * 1000000, /* a partition that ended so long ago and gets no rows is closed */
};

static const int64_t year_ns = INT64_C(366) * 86400 * 1000000000;

bool np_pg_time_allowed(int64_t time_ns, int64_t now_ns)
{
    return time_ns >= 0 && time_ns <= now_ns + year_ns;
}

int64_t np_pg_floor_us(int64_t ns)
{
    return ns / 1000 - (ns % 1000 < 0);
}

static void format_us(int64_t us, const char *format, char *out, size_t size)
{
    time_t seconds = us / 1000000;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(out, size, format, &tm);
}

bool np_pg_partition_has(const struct np_pg_table *table, int64_t time_us)
{
    size_t low = 0, high = table->n_ranges;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (time_us < table->ranges[middle].from_us)
            high = middle;
        else if (time_us >= table->ranges[middle].to_us)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

enum np_status np_pg_partitions_read(struct np_pg *pg, const struct np_pg_tables *tables,
                                     struct np_pg_table *table, struct np_error *err)
{
    const char *params[2] = {tables->schema, table->data};
    struct np_pg_rows *rows = NULL;
    struct np_pg_range *ranges = NULL;
    size_t n;
    enum np_status status;

    status = np_pg_query(
        pg,
        "SELECT relname, (extract(epoch FROM b[1]::timestamptz) * 1000000)::int8, (extract(epoch FROM "
        "b[2]::timestamptz) * 1000000)::int8 FROM (SELECT c.relname, "
        "regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \\(''([^'']+)''\\) TO "
        "\\(''([^'']+)''\\)$') AS b FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = "
        "i.inhrelid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace n ON "
        "n.oid = p.relnamespace WHERE n.nspname = $1 AND p.relname = $2) x WHERE b IS NOT NULL ORDER BY 2",
        2, params, &rows, err);
    if (status != NP_OK)
        return status;
    n = np_pg_rows_n(rows);
    ranges = calloc(n + 1, sizeof *ranges);
    for (size_t i = 0; ranges && i < n; i++) {
        ranges[i].name = strdup(np_pg_cell(rows, i, 0));
        ranges[i].from_us = strtoll(np_pg_cell(rows, i, 1), NULL, 10);
        ranges[i].to_us = strtoll(np_pg_cell(rows, i, 2), NULL, 10);
        ranges[i].inserted = -1;
        for (size_t k = 0; k < table->n_ranges; k++)
            if (ranges[i].name && strcmp(table->ranges[k].name, ranges[i].name) == 0)
                ranges[i].inserted = table->ranges[k].inserted;
        if (!ranges[i].name)
            status = np_fail(err, NP_ENOMEM, "PostgreSQL: partitions");
    }
    if (!ranges)
        status = np_fail(err, NP_ENOMEM, "PostgreSQL: partitions");
    for (size_t i = 0; i < table->n_ranges; i++)
        free(table->ranges[i].name);
    free(table->ranges);
    table->ranges = ranges;
    table->n_ranges = ranges ? n : 0;
    np_pg_rows_close(rows);
    return status;
}

/* The aligned range around a time, cut where it meets one that is there (made with another length). */
static void range_around(const struct np_pg_tables *tables, const struct np_pg_table *table, int64_t time_us,
                         int64_t *from_us, int64_t *to_us)
{
    int64_t length = tables->pipeline->postgres.partition_ns / 1000;
    int64_t rest = time_us % length;

    *from_us = time_us - (rest < 0 ? rest + length : rest);
    *to_us = *from_us + length;
    for (size_t i = 0; i < table->n_ranges; i++) {
        if (table->ranges[i].to_us <= time_us && table->ranges[i].to_us > *from_us)
            *from_us = table->ranges[i].to_us;
        if (table->ranges[i].from_us > time_us && table->ranges[i].from_us < *to_us)
            *to_us = table->ranges[i].from_us;
    }
}

/* Made apart and attached: that locks the table only against other changes of it, not against readers and
 * loaders. */
static int partition_sql(const struct np_pg_tables *tables, const struct np_pg_table *table, int64_t from_us,
                         int64_t to_us, struct np_bytes *sql)
{
    char name[80], ending[32], from[40], to[40];
    const char *s = tables->schema;
    bool midnight = from_us % INT64_C(86400000000) == 0, minute = from_us % 60000000 == 0;

    format_us(from_us,
              midnight ? "p%Y%m%d"
              : minute ? "p%Y%m%d_%H%M"
                       : "p%Y%m%d_%H%M%S",
              ending, sizeof ending);
    format_us(from_us, "%Y-%m-%d %H:%M:%S", from, sizeof from);
    format_us(to_us, "%Y-%m-%d %H:%M:%S", to, sizeof to);
    snprintf(name, sizeof name, "%s_%s", table->data, ending);
    return np_sql(sql,
                  "CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL);\n"
                  "COMMENT ON TABLE %I.%I IS 'partition of %s from %s to %s UTC';\n"
                  "ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM ('%s.%d+00') TO ('%s.%d+00');\n",
                  s, name, s, table->data, s, name, table->data, from, to, s, table->data, s, name, from,
                  (int)(from_us % 1000000), to, (int)(to_us % 1000000));
}

enum np_status np_pg_partition_make(struct np_pg *pg, const struct np_pg_tables *tables,
                                    struct np_pg_table *table, int64_t time_us, struct np_error *err)
{
    struct np_bytes sql = {0};
    struct np_error ignored;
    int64_t from_us, to_us;
    enum np_status status = np_pg_run(pg, "BEGIN", err);

    if (status == NP_OK)
        status = np_pg_tables_lock(pg, tables, err);
    if (status == NP_OK)
        status = np_pg_partitions_read(pg, tables, table, err);
    if (status != NP_OK)
        goto fail;
    if (np_pg_partition_has(table, time_us))
        return np_pg_run(pg, "ROLLBACK", err);
    if (table->n_ranges >= MAX_PARTITIONS) {
        status = np_fail(err, NP_EDATA, "table %s.%s has %zu partitions already, no more than %d are made",
                         tables->schema, table->data, table->n_ranges, MAX_PARTITIONS);
        goto fail;
    }
    range_around(tables, table, time_us, &from_us, &to_us);
    if (partition_sql(tables, table, from_us, to_us, &sql)) {
        status = np_fail(err, NP_ENOMEM, "PostgreSQL: statement");
        goto fail;
    }
    status = np_pg_run(pg, np_sql_text(&sql), err);
    if (status == NP_OK)
        status = np_pg_commit(pg, err);
    if (status != NP_OK)
        goto fail;
    np_bytes_free(&sql);
    return np_pg_partitions_read(pg, tables, table, err);
fail:
    if (!np_pg_lost(pg))
        np_pg_run(pg, "ROLLBACK", &ignored);
    np_bytes_free(&sql);
    return status;
}

/* One statement in a transaction of its own, under the schema's lock if locked. A lock that is not to be had
 * is no failure. */
static enum np_status change(struct np_pg *pg, const struct np_pg_tables *tables, struct np_bytes *sql,
                             int rc, bool locked, int *done, int *busy, struct np_error *err)
{
    struct np_error ignored;
    char state[8];
    enum np_status status;

    if (rc)
        return np_fail(err, NP_ENOMEM, "PostgreSQL: statement");
    status = np_pg_run(pg, "BEGIN; SET LOCAL lock_timeout = 2000", err);
    if (status == NP_OK)
        status = locked ? np_pg_tables_lock(pg, tables, err) : np_pg_tables_role(pg, tables, err);
    if (status == NP_OK)
        status = np_pg_run(pg, np_sql_text(sql), err);
    if (status == NP_OK)
        status = np_pg_commit(pg, err);
    if (status == NP_OK) {
        ++*done;
        return NP_OK;
    }
    snprintf(state, sizeof state, "%s", np_pg_sqlstate(pg));
    if (np_pg_lost(pg))
        return status;
    np_pg_run(pg, "ROLLBACK", &ignored);
    /* no lock within the time, or another loader has just made the same */
    if (strcmp(state, "55P03") != 0 && strcmp(state, "23505") != 0 && strcmp(state, "42P07") != 0)
        return status;
    ++*busy;
    return NP_OK;
}

/* Where the newest row is, roughly: the end of the last partition that has any. INT64_MIN: no rows. */
static enum np_status newest_us(struct np_pg *pg, const struct np_pg_tables *tables,
                                const struct np_pg_table *table, int64_t *newest, struct np_error *err)
{
    struct np_bytes sql = {0};
    enum np_status status = NP_OK;

    *newest = INT64_MIN;
    for (size_t i = table->n_ranges; i-- > 0 && *newest == INT64_MIN && status == NP_OK;) {
        struct np_pg_rows *rows = NULL;

        sql.n = 0;
        if (np_sql(&sql, "SELECT 1 FROM %I.%I LIMIT 1", tables->schema, table->ranges[i].name))
            status = np_fail(err, NP_ENOMEM, "PostgreSQL: statement");
        else
            status = np_pg_query(pg, np_sql_text(&sql), 0, NULL, &rows, err);
        if (status == NP_OK && np_pg_rows_n(rows) > 0)
            *newest = table->ranges[i].to_us;
        np_pg_rows_close(rows);
    }
    np_bytes_free(&sql);
    return status;
}

static enum np_status retain(struct np_pg *pg, const struct np_pg_tables *tables, struct np_pg_table *table,
                             int64_t now_us, struct np_pg_maintained *done, struct np_error *err)
{
    int64_t retention_us = tables->pipeline->postgres.retention_ns / 1000, newest;
    struct np_bytes sql = {0};
    enum np_status status;

    if (retention_us == 0)
        return NP_OK;
    status = newest_us(pg, tables, table, &newest, err);
    if (status != NP_OK || newest == INT64_MIN)
        return status;
    if (newest < now_us)
        now_us = newest;
    for (size_t i = 0; i < table->n_ranges && status == NP_OK; i++) {
        int before = done->dropped;

        if (table->ranges[i].to_us > now_us - retention_us)
            break;
        sql.n = 0;
        status = change(pg, tables, &sql,
                        np_sql(&sql, "DROP TABLE IF EXISTS %I.%I", tables->schema, table->ranges[i].name),
                        true, &done->dropped, &done->busy, err);
        if (done->dropped > before)
            np_log(NP_LOG_INFO, "postgres", "partition dropped: older than the retention", "table=%s.%s",
                   tables->schema, table->ranges[i].name);
    }
    np_bytes_free(&sql);
    return status == NP_OK ? np_pg_partitions_read(pg, tables, table, err) : status;
}

/* Partitions without the index on (sensor_id, time) that got no row since the last round get it now. */
static enum np_status index_closed(struct np_pg *pg, const struct np_pg_tables *tables,
                                   struct np_pg_table *table, int64_t now_us, struct np_pg_maintained *done,
                                   struct np_error *err)
{
    const char *params[2] = {tables->schema, table->data};
    struct np_pg_rows *rows = NULL;
    struct np_bytes sql = {0};
    char index[80];
    enum np_status status;

    status = np_pg_query(
        pg,
        "SELECT c.relname, pg_stat_get_tuples_inserted(c.oid), EXISTS (SELECT 1 FROM pg_catalog.pg_index x "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0] WHERE "
        "x.indrelid = c.oid AND a.attname = 'sensor_id') FROM pg_catalog.pg_inherits i JOIN "
        "pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN "
        "pg_catalog.pg_namespace n ON n.oid = p.relnamespace WHERE n.nspname = $1 AND p.relname = $2",
        2, params, &rows, err);
    for (size_t i = 0; status == NP_OK && i < np_pg_rows_n(rows); i++) {
        const char *name = np_pg_cell(rows, i, 0);
        int64_t inserted = strtoll(np_pg_cell(rows, i, 1), NULL, 10);

        for (size_t k = 0; k < table->n_ranges && status == NP_OK; k++) {
            struct np_pg_range *range = &table->ranges[k];
            bool quiet = range->inserted == inserted;

            if (strcmp(range->name, name) != 0)
                continue;
            range->inserted = inserted;
            if (!quiet || np_pg_cell(rows, i, 2)[0] == 't' || range->to_us + CLOSED_US > now_us)
                continue;
            /* named, so that two loaders do not both build it; not under the schema's lock, since it takes
             * its time */
            snprintf(index, sizeof index, "%s_ix", name);
            sql.n = 0;
            status = change(pg, tables, &sql,
                            np_sql(&sql, "CREATE INDEX IF NOT EXISTS %I ON %I.%I (sensor_id, %I)", index,
                                   tables->schema, name, table->time),
                            false, &done->indexed, &done->busy, err);
        }
    }
    np_pg_rows_close(rows);
    np_bytes_free(&sql);
    return status;
}

enum np_status np_pg_tables_maintain(struct np_pg *pg, struct np_pg_tables *tables, int64_t now_ns,
                                     struct np_pg_maintained *done, struct np_error *err)
{
    int64_t now_us = np_pg_floor_us(now_ns), length = tables->pipeline->postgres.partition_ns / 1000;
    enum np_status status = NP_OK;

    *done = (struct np_pg_maintained){0};
    for (size_t i = 0; i < tables->n && status == NP_OK; i++) {
        struct np_pg_table *table = &tables->items[i];

        status = np_pg_partitions_read(pg, tables, table, err);
        for (int k = 0; k < AHEAD && status == NP_OK; k++) {
            if (np_pg_partition_has(table, now_us + k * length))
                continue;
            status = np_pg_partition_make(pg, tables, table, now_us + k * length, err);
            done->made += status == NP_OK;
        }
        if (status == NP_OK)
            status = retain(pg, tables, table, now_us, done, err);
        if (status == NP_OK)
            status = index_closed(pg, tables, table, now_us, done, err);
    }
    return status;
}
