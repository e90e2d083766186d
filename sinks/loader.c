#include "sinks/loader.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pipeline/crash_point.h"
#include "pipeline/log.h"
#include "sinks/loader_batch.h"
#include "sinks/loader_transaction.h"
#include "sinks/pg_copy.h"
#include "sinks/sql.h"

/* A partition of a topic, as far as this loader has to do with it. */
struct position {
    struct np_load_source *source;
    int32_t partition;
    int64_t cut; /* as last read from, or acknowledged by, the server */
    bool known;
};

struct np_loader {
    const struct np_pipeline *pipeline;
    const struct np_loader_deps *deps;
    struct np_metrics *metrics;
    struct np_metric *commit_seconds;
    struct np_pg_tables *tables;
    struct np_pg *pg;
    struct np_pg_names *sensors, *channels, *topics;
    size_t n_sources, n_positions;
    struct np_load_source *sources;
    const char **topic_names;
    struct position *positions;
    struct np_load_batch batch;
};

static int64_t system_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static enum np_status open_feed(struct np_loader *loader, struct np_load_source *source,
                                struct np_pg_table *table, struct np_error *err)
{
    struct np_load_feed *feed = &source->feeds[source->n];
    char labels[160];
    enum np_status status;

    feed->index = source->n;
    feed->table = table;
    if (table->step) {
        feed->values = calloc(NP_ROW_N + table->step->columns.n, sizeof *feed->values);
        if (!feed->values)
            return np_fail(err, NP_ENOMEM, "loader: values");
    }
    source->n++;
    status = table->step ? loader->deps->open_row_decoder(loader->deps->context, &feed->rows,
                                                          loader->pipeline, table->step, err)
                         : loader->deps->open_decoder(loader->deps->context, &feed->blocks, loader->pipeline,
                                                      table->input, err);
    if (status != NP_OK || !loader->metrics)
        return status;
    snprintf(labels, sizeof labels, "table=\"%s\"", table->name);
    feed->rows_total = np_metric(loader->metrics, NP_METRIC_COUNTER, "netzpuls_loader_rows_total", labels,
                                 "Rows committed to PostgreSQL", NULL);
    feed->rejected_total = np_metric(loader->metrics, NP_METRIC_COUNTER, "netzpuls_loader_rejected_total",
                                     labels, "Messages or rows that went to rejected_rows", NULL);
    feed->lag = np_metric(loader->metrics, NP_METRIC_GAUGE, "netzpuls_loader_lag_messages", labels,
                          "Committed messages of the topic that are not loaded yet", NULL);
    return NP_OK;
}

static struct np_load_source *find_source(struct np_loader *loader, const char *topic)
{
    for (size_t i = 0; i < loader->n_sources; i++)
        if (strcmp(loader->sources[i].topic, topic) == 0)
            return &loader->sources[i];
    return NULL;
}

static enum np_status open_sources(struct np_loader *loader, struct np_error *err)
{
    size_t n = loader->tables->n;
    enum np_status status = NP_OK;

    loader->sources = calloc(n + 1, sizeof *loader->sources);
    loader->topic_names = calloc(n + 1, sizeof *loader->topic_names);
    if (!loader->sources || !loader->topic_names)
        return np_fail(err, NP_ENOMEM, "loader: topics");
    for (size_t i = 0; i < n && status == NP_OK; i++) {
        struct np_pg_table *table = &loader->tables->items[i];
        struct np_load_source *source = find_source(loader, table->topic);

        if (!source) {
            source = &loader->sources[loader->n_sources];
            source->topic = table->topic;
            source->feeds = calloc(n, sizeof *source->feeds);
            if (!source->feeds)
                return np_fail(err, NP_ENOMEM, "loader: tables");
            loader->topic_names[loader->n_sources++] = table->topic;
        }
        status = open_feed(loader, source, table, err);
    }
    return status;
}

enum np_status np_loader_open(struct np_loader **out, const struct np_pipeline *pipeline,
                              const struct np_loader_deps *deps, struct np_metrics *metrics,
                              struct np_error *err)
{
    static const double bounds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 0};
    struct np_loader *loader = calloc(1, sizeof *loader);
    enum np_status status;

    *out = NULL;
    if (!loader)
        return np_fail(err, NP_ENOMEM, "loader");
    loader->pipeline = pipeline;
    loader->deps = deps;
    loader->metrics = metrics;
    status = np_pg_layout(&loader->tables, pipeline, err);
    if (status != NP_OK)
        goto fail;
    loader->sensors = np_pg_names_open(loader->tables->schema, "sensors");
    loader->channels = np_pg_names_open(loader->tables->schema, "channels");
    loader->topics = np_pg_names_open(loader->tables->schema, "topics");
    if (!loader->sensors || !loader->channels || !loader->topics) {
        status = np_fail(err, NP_ENOMEM, "loader: names");
        goto fail;
    }
    if (metrics)
        loader->commit_seconds = np_metric(metrics, NP_METRIC_HISTOGRAM, "netzpuls_loader_commit_seconds", "",
                                           "Time of one database transaction, encoding included", bounds);
    status = open_sources(loader, err);
    if (status != NP_OK)
        goto fail;
    *out = loader;
    return NP_OK;
fail:
    np_loader_close(loader);
    return status;
}

void np_loader_close(struct np_loader *loader)
{
    if (!loader)
        return;
    np_pg_close(loader->pg);
    for (size_t i = 0; i < loader->n_sources; i++) {
        for (size_t f = 0; f < loader->sources[i].n; f++) {
            struct np_load_feed *feed = &loader->sources[i].feeds[f];

            if (feed->rows)
                feed->rows->close(feed->rows);
            if (feed->blocks)
                feed->blocks->close(feed->blocks);
            free(feed->values);
        }
        free(loader->sources[i].feeds);
    }
    free(loader->sources);
    free(loader->topic_names);
    free(loader->positions);
    np_load_batch_free(&loader->batch);
    np_pg_names_close(loader->sensors);
    np_pg_names_close(loader->channels);
    np_pg_names_close(loader->topics);
    np_pg_tables_free(loader->tables);
    free(loader);
}

const char *const *np_loader_topics(const struct np_loader *loader)
{
    return loader->topic_names;
}

void np_loader_disconnect(struct np_loader *loader)
{
    np_pg_close(loader->pg);
    loader->pg = NULL;
    for (size_t i = 0; i < loader->n_positions; i++)
        loader->positions[i].known = false;
}

enum np_status np_loader_connect(struct np_loader *loader, struct np_error *err)
{
    enum np_status status;

    if (loader->pg && !np_pg_lost(loader->pg))
        return NP_OK;
    np_loader_disconnect(loader);
    status = np_pg_open(&loader->pg, loader->pipeline->postgres.dsn, "netzpuls loader", NULL, err);
    if (status != NP_OK)
        return status;
    /* it may be another server, or an older state of it: nothing remembered holds */
    np_pg_names_clear(loader->sensors);
    np_pg_names_clear(loader->channels);
    np_pg_names_clear(loader->topics);
    status = np_pg_tables_ensure(loader->pg, loader->tables, err);
    if (status != NP_OK)
        np_loader_disconnect(loader);
    else
        np_log(NP_LOG_INFO, "loader", "connected to PostgreSQL", "schema=%s tables=%zu",
               loader->tables->schema, loader->tables->n);
    return status;
}

/* Finds or adds a partition. NULL: no such topic, or no memory. */
static struct position *position_of(struct np_loader *loader, const char *topic, int32_t partition)
{
    struct np_load_source *source = find_source(loader, topic);
    struct position *positions;

    for (size_t i = 0; i < loader->n_positions; i++)
        if (loader->positions[i].source == source && loader->positions[i].partition == partition)
            return &loader->positions[i];
    positions = source ? realloc(loader->positions, (loader->n_positions + 1) * sizeof *positions) : NULL;
    if (!positions)
        return NULL;
    loader->positions = positions;
    positions[loader->n_positions] = (struct position){.source = source, .partition = partition};
    return &positions[loader->n_positions++];
}

/* The connection after a failure: a lost one is given up, and what is not known is read again. */
static enum np_status after_failure(struct np_loader *loader, struct position *position,
                                    enum np_status status)
{
    position->known = false;
    if (loader->pg && np_pg_lost(loader->pg))
        np_loader_disconnect(loader);
    return status;
}

static enum np_status query_cut(struct np_loader *loader, const struct position *position,
                                struct np_pg_rows **rows, struct np_error *err)
{
    struct np_bytes sql = {0};
    enum np_status status;

    if (np_sql(&sql,
               "SELECT cut, topic_id FROM %I.cuts WHERE pipeline = %L AND topic = %L AND partition = %d",
               loader->tables->schema, loader->pipeline->name, position->source->topic,
               (int)position->partition))
        status = np_fail(err, NP_ENOMEM, "loader: statement");
    else
        status = np_pg_query(loader->pg, np_sql_text(&sql), 0, NULL, rows, err);
    np_bytes_free(&sql);
    return status;
}

/* Where a partition begins that was never loaded (rule 17). A stored input's start is given in the pipeline
 * file. */
static enum np_status first_cut(const struct np_loader *loader, const struct position *position,
                                const struct np_source_state *state, int64_t *start, struct np_error *err)
{
    const struct np_input *input = NULL;
    bool results = false;

    for (size_t f = 0; f < position->source->n; f++) {
        input = position->source->feeds[f].table->input ? position->source->feeds[f].table->input : input;
        results |= position->source->feeds[f].table->step != NULL;
    }
    if (input && !results) {
        *start = input->start == 1 ? state->high_watermark : state->log_start;
        return NP_OK;
    }
    *start = 0;
    if (state->log_start == 0)
        return NP_OK;
    return np_fail(
        err, NP_ESTOP,
        "loader: topic %s, partition %d was never loaded and begins at offset %lld: what was before is gone "
        "from the topic. To load from there on, run: INSERT INTO \"%s\".cuts (pipeline, topic, partition, "
        "cut, topic_id) VALUES ('%s', '%s', %d, %lld, '%s')",
        position->source->topic, (int)position->partition, (long long)state->log_start,
        loader->tables->schema, loader->pipeline->name, position->source->topic, (int)position->partition,
        (long long)state->log_start, state->topic_id);
}

static enum np_status insert_cut(struct np_loader *loader, const struct position *position,
                                 const struct np_source_state *state, struct np_error *err)
{
    struct np_bytes sql = {0};
    int64_t start;
    enum np_status status = first_cut(loader, position, state, &start, err);

    if (status != NP_OK)
        return status;
    if (np_sql(&sql,
               "INSERT INTO %I.cuts (pipeline, topic, partition, cut, topic_id) VALUES (%L, %L, %d, %l, %L) "
               "ON CONFLICT DO NOTHING",
               loader->tables->schema, loader->pipeline->name, position->source->topic,
               (int)position->partition, start, state->topic_id))
        status = np_fail(err, NP_ENOMEM, "loader: statement");
    else
        status = np_pg_run(loader->pg, np_sql_text(&sql), err);
    np_bytes_free(&sql);
    NP_CRASH_POINT("loader.after_first_cut");
    return status;
}

static enum np_status judge_cut(const struct np_loader *loader, const struct position *position,
                                const struct np_source_state *state, int64_t cut, const char *topic_id,
                                struct np_error *err)
{
    const char *topic = position->source->topic, *schema = loader->tables->schema;
    int partition = (int)position->partition;

    if (topic_id[0] && state->topic_id[0] && strcmp(topic_id, state->topic_id) != 0)
        return np_fail(
            err, NP_ESTOP,
            "loader: topic %s was deleted and made again (id %s, loaded was %s): its offsets mean other "
            "messages now. If what was loaded is to stay, and the new topic to be loaded from its start, "
            "run: DELETE FROM \"%s\".cuts WHERE pipeline = '%s' AND topic = '%s'",
            topic, state->topic_id, topic_id, schema, loader->pipeline->name, topic);
    if (cut < state->log_start)
        return np_fail(
            err, NP_ESTOP,
            "loader: topic %s, partition %d: offsets %lld to %lld were not loaded and are gone from the "
            "topic. To go on without them, run: UPDATE \"%s\".cuts SET cut = %lld WHERE pipeline = '%s' AND "
            "topic = '%s' AND partition = %d AND cut = %lld",
            topic, partition, (long long)cut, (long long)state->log_start - 1, schema,
            (long long)state->log_start, loader->pipeline->name, topic, partition, (long long)cut);
    if (cut > state->high_watermark)
        return np_fail(
            err, NP_ESTOP,
            "loader: topic %s, partition %d ends at offset %lld, but was loaded up to %lld: the broker lost "
            "messages, or this is not the broker that was loaded from",
            topic, partition, (long long)state->high_watermark, (long long)cut);
    return NP_OK;
}

enum np_status np_loader_cut(struct np_loader *loader, const char *topic, int32_t partition,
                             const struct np_source_state *state, int64_t *cut, struct np_error *err)
{
    struct position *position = position_of(loader, topic, partition);
    struct np_pg_rows *rows = NULL;
    enum np_status status;

    if (!position)
        return np_fail(err, NP_ENOMEM, "loader: partition %d of topic %s", (int)partition, topic);
    status = np_loader_connect(loader, err);
    position->known = false;
    if (status == NP_OK)
        status = query_cut(loader, position, &rows, err);
    if (status == NP_OK && np_pg_rows_n(rows) == 0) {
        np_pg_rows_close(rows);
        rows = NULL;
        status = insert_cut(loader, position, state, err);
        if (status == NP_OK)
            status = query_cut(loader, position, &rows, err);
    }
    if (status == NP_OK && np_pg_rows_n(rows) == 0)
        status = np_fail(err, NP_ERETRY, "loader: the cut of topic %s, partition %d was deleted just now",
                         topic, (int)partition);
    if (status == NP_OK) {
        position->cut = strtoll(np_pg_cell(rows, 0, 0), NULL, 10);
        status = judge_cut(loader, position, state, position->cut, np_pg_cell(rows, 0, 1), err);
    }
    np_pg_rows_close(rows);
    if (status != NP_OK)
        return after_failure(loader, position, status);
    position->known = true;
    *cut = position->cut;
    return NP_OK;
}

static enum np_status topic_id_of(struct np_loader *loader, const char *topic, int16_t *id,
                                  struct np_error *err)
{
    int64_t entry = np_pg_names_find(loader->topics, topic);
    enum np_status status;

    if (entry < 0)
        return np_fail(err, NP_ENOMEM, "loader: topic");
    status = np_pg_names_resolve(loader->pg, loader->topics, err);
    *id = status == NP_OK ? (int16_t)np_pg_names_id(loader->topics, entry) : 0;
    return status;
}

enum np_status np_loader_write(struct np_loader *loader, const char *topic, int32_t partition,
                               const struct np_message *messages, size_t n, int64_t next,
                               struct np_error *err)
{
    struct position *position = position_of(loader, topic, partition);
    struct np_load_context context;
    struct np_load_move move;
    double began = seconds();
    enum np_status status;

    if (!position)
        return np_fail(err, NP_ENOMEM, "loader: partition %d of topic %s", (int)partition, topic);
    if (!position->known || !loader->pg)
        return np_fail(err, NP_ERETRY, "loader: the cut of topic %s, partition %d has to be read first",
                       topic, (int)partition);
    if (next < position->cut ||
        (n > 0 && (messages[0].offset < position->cut || messages[n - 1].offset >= next))) {
        position->known = false;
        return np_fail(err, NP_ERETRY,
                       "loader: a batch of topic %s, partition %d does not begin at its cut %lld", topic,
                       (int)partition, (long long)position->cut);
    }
    if (next == position->cut)
        return NP_OK;
    context =
        (struct np_load_context){.pg = loader->pg,
                                 .tables = loader->tables,
                                 .sensors = loader->sensors,
                                 .channels = loader->channels,
                                 .now_ns = loader->deps->now_ns ? loader->deps->now_ns() : system_now()};
    move = (struct np_load_move){.topic = topic, .partition = partition, .from = position->cut, .to = next};
    status = topic_id_of(loader, topic, &context.topic_id, err);
    if (status == NP_OK)
        status = np_load_encode(&loader->batch, &context, position->source, messages, n, err);
    NP_CRASH_POINT("loader.after_encode");
    if (status == NP_OK)
        status = np_load_commit(&loader->batch, &context, position->source, &move, err);
    if (status != NP_OK)
        return after_failure(loader, position, status == NP_EDATA ? NP_ERETRY : status);
    position->cut = next;
    np_metric_observe(loader->commit_seconds, seconds() - began);
    for (size_t f = 0; f < position->source->n; f++) {
        const struct np_load_rows *rows = &loader->batch.feeds[f];

        np_metric_add(position->source->feeds[f].rows_total, (double)(rows->n - rows->refused));
        np_metric_add(position->source->feeds[f].rejected_total, (double)rows->rejected);
    }
    return NP_OK;
}

void np_loader_lag(struct np_loader *loader, const char *topic, int64_t messages)
{
    struct np_load_source *source = find_source(loader, topic);

    for (size_t f = 0; source && f < source->n; f++)
        np_metric_set(source->feeds[f].lag, (double)messages);
}
