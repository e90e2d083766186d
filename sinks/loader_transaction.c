#include "sinks/loader_transaction.h"

#include "pipeline/crash_point.h"
#include "pipeline/log.h"
#include "sinks/pg_copy.h"
#include "sinks/sql.h"

/* The UPDATE comes first: it decides whether the batch is ours, and its lock makes others wait until we have
 * committed. */
static enum np_status begin(const struct np_load_context *context, const struct np_load_move *move,
                            struct np_error *err)
{
    struct np_bytes sql = {0};
    long changed = 0;
    enum np_status status;

    if (np_sql(&sql,
               "BEGIN; UPDATE %I.cuts SET cut = %l WHERE pipeline = %L AND topic = %L AND partition = %d AND "
               "cut = %l",
               context->tables->schema, move->to, context->tables->pipeline->name, move->topic,
               (int)move->partition, move->from))
        status = np_fail(err, NP_ENOMEM, "loader: statement");
    else
        status = np_pg_change(context->pg, np_sql_text(&sql), &changed, err);
    np_bytes_free(&sql);
    NP_CRASH_POINT("loader.after_update");
    if (status == NP_OK && changed != 1)
        status =
            np_fail(err, NP_EFENCED,
                    "loader: the cut of topic %s, partition %d is no longer %lld: another loader moved it",
                    move->topic, (int)move->partition, (long long)move->from);
    return status;
}

static int copy_sql(const struct np_load_context *context, const struct np_pg_table *table,
                    struct np_bytes *sql)
{
    int rc = np_sql(sql, "COPY %I.%I (", context->tables->schema, table->data);

    for (size_t i = 0; i < table->n_columns; i++)
        rc = rc ? rc : np_sql(sql, "%s%I", i ? ", " : "", table->columns[i].name);
    return rc ? rc : np_sql(sql, ") FROM STDIN (FORMAT binary)");
}

static enum np_status copy(const struct np_load_context *context, const char *sql, const unsigned char *data,
                           size_t n, struct np_error *err)
{
    enum np_status status = np_pg_copy_begin(context->pg, sql, err);

    if (status == NP_OK)
        status = np_pg_copy_write(context->pg, np_pg_copy_header, NP_PG_COPY_HEADER, err);
    if (status == NP_OK)
        status = np_pg_copy_write(context->pg, data, n, err);
    if (status == NP_OK)
        status = np_pg_copy_write(context->pg, np_pg_copy_trailer, NP_PG_COPY_TRAILER, err);
    NP_CRASH_POINT("loader.in_copy");
    return status == NP_OK ? np_pg_copy_end(context->pg, err) : status;
}

static size_t row_end(const struct np_load_rows *rows, size_t i)
{
    return i + 1 < rows->n ? rows->items[i + 1].at : rows->bytes.n;
}

/* Rows [low, high) of one feed under a savepoint; halved where the server refuses, down to the row that is at
 * fault. */
static enum np_status copy_halving(struct np_load_batch *batch, const struct np_load_context *context,
                                   struct np_load_feed *feed, const struct np_load_rows *rows,
                                   const char *sql, size_t low, size_t high, struct np_error *err)
{
    const unsigned char *data = rows->bytes.data + rows->items[low].at;
    size_t n = row_end(rows, high - 1) - rows->items[low].at;
    struct np_error why = {0};
    enum np_status status = np_pg_run(context->pg, "SAVEPOINT rows", err);

    if (status != NP_OK)
        return status;
    status = copy(context, sql, data, n, &why);
    if (status == NP_OK)
        return np_pg_run(context->pg, "RELEASE SAVEPOINT rows", err);
    if (status != NP_EDATA)
        return np_fail(err, status, "%s", why.text);
    status = np_pg_run(context->pg, "ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows", err);
    if (status != NP_OK)
        return status;
    if (high - low == 1) {
        batch->feeds[feed->index].refused++;
        return np_load_reject(batch, context->tables->pipeline->name,
                              &batch->messages[rows->items[low].message], feed, why.text, err);
    }
    status = copy_halving(batch, context, feed, rows, sql, low, (low + high) / 2, err);
    return status == NP_OK ? copy_halving(batch, context, feed, rows, sql, (low + high) / 2, high, err)
                           : status;
}

static enum np_status copy_feed(struct np_load_batch *batch, const struct np_load_context *context,
                                struct np_load_feed *feed, const struct np_load_rows *rows, bool careful,
                                struct np_error *err)
{
    struct np_bytes sql = {0};
    enum np_status status;

    if (rows->n == 0)
        return NP_OK;
    if (copy_sql(context, feed->table, &sql))
        status = np_fail(err, NP_ENOMEM, "loader: statement");
    else if (careful)
        status = copy_halving(batch, context, feed, rows, np_sql_text(&sql), 0, rows->n, err);
    else
        status = copy(context, np_sql_text(&sql), rows->bytes.data, rows->bytes.n, err);
    np_bytes_free(&sql);
    return status;
}

static enum np_status copy_rejected(const struct np_load_batch *batch, const struct np_load_context *context,
                                    struct np_error *err)
{
    struct np_bytes sql = {0};
    enum np_status status;

    if (batch->n_rejected == 0)
        return NP_OK;
    if (np_sql(&sql,
               "COPY %I.rejected_rows (pipeline, table_name, topic, partition, source_offset, reason, "
               "raw_key, raw_value) FROM STDIN (FORMAT binary)",
               context->tables->schema))
        status = np_fail(err, NP_ENOMEM, "loader: statement");
    else
        status = copy(context, np_sql_text(&sql), batch->rejected.data, batch->rejected.n, err);
    np_bytes_free(&sql);
    if (status == NP_EDATA && err) /* nothing is left to be done with it: halving it would find the same */
        status = err->status = NP_ESTOP;
    return status;
}

static enum np_status attempt(struct np_load_batch *batch, const struct np_load_context *context,
                              struct np_load_source *source, const struct np_load_move *move, bool careful,
                              struct np_error *err)
{
    struct np_error ignored;
    enum np_status status = begin(context, move, err);

    for (size_t f = 0; f < source->n && status == NP_OK; f++)
        status = copy_feed(batch, context, &source->feeds[f], &batch->feeds[f], careful, err);
    if (status == NP_OK)
        status = copy_rejected(batch, context, err);
    NP_CRASH_POINT("loader.after_copy");
    if (status == NP_OK) {
        status = np_pg_commit(context->pg, err);
        NP_CRASH_POINT("loader.after_commit");
        return status == NP_EDATA ? NP_ERETRY : status;
    }
    if (!np_pg_lost(context->pg))
        np_pg_run(context->pg, "ROLLBACK", &ignored);
    return status;
}

/* A partition may have been dropped since it was last read; its rows are not at fault. */
static enum np_status remake_partitions(const struct np_load_batch *batch,
                                        const struct np_load_context *context,
                                        const struct np_load_source *source, struct np_error *err)
{
    enum np_status status = NP_OK;

    for (size_t f = 0; f < source->n && status == NP_OK; f++) {
        const struct np_load_rows *rows = &batch->feeds[f];
        struct np_pg_table *table = source->feeds[f].table;

        if (rows->n > 0)
            status = np_pg_partitions_read(context->pg, context->tables, table, err);
        for (size_t i = 0; i < rows->n && status == NP_OK; i++) {
            int64_t time_us = np_pg_copy_time_us(rows->bytes.data + rows->items[i].at);

            if (!np_pg_partition_has(table, time_us))
                status = np_pg_partition_make(context->pg, context->tables, table, time_us, err);
            if (status == NP_EDATA)
                status = NP_OK; /* too many partitions: the row itself will tell */
        }
    }
    return status;
}

enum np_status np_load_commit(struct np_load_batch *batch, const struct np_load_context *context,
                              struct np_load_source *source, const struct np_load_move *move,
                              struct np_error *err)
{
    size_t rejected = batch->rejected.n, n_rejected = batch->n_rejected;
    enum np_status status = attempt(batch, context, source, move, false, err);

    if (status != NP_EDATA || np_pg_lost(context->pg))
        return status == NP_EDATA ? NP_ERETRY : status;
    /* rolled back for certain, so the same batch under the same cut is allowed (rule 16) */
    np_log(NP_LOG_WARNING, "loader", "the server refuses a batch: looking for the rows",
           "topic=%s partition=%d cut=%lld reason=\"%s\"",
           move->topic, (int)move->partition, (long long)move->from, err->text);
    status = remake_partitions(batch, context, source, err);
    if (status != NP_OK)
        return status;
    batch->rejected.n = rejected;
    batch->n_rejected = n_rejected;
    return attempt(batch, context, source, move, true, err);
}
