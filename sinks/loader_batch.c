#include "sinks/loader_batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/log.h"
#include "pipeline/utf8.h"
#include "sinks/pg_copy.h"

enum {
    NAME_BYTES = 1024, /* longest sensor or channel name; the server's index takes 2704 */
    LOGGED = 3,        /* rejections of a batch that are told one by one; the table has all */
};

void np_load_batch_free(struct np_load_batch *batch)
{
    for (size_t i = 0; i < batch->n_feeds; i++) {
        np_bytes_free(&batch->feeds[i].bytes);
        free(batch->feeds[i].items);
    }
    free(batch->feeds);
    free(batch->open);
    np_bytes_free(&batch->rejected);
    np_blocks_free(&batch->blocks);
    *batch = (struct np_load_batch){0};
}

static enum np_status no_memory(struct np_error *err)
{
    return np_fail(err, NP_ENOMEM, "loader: batch");
}

/* Text that any server takes: what is not UTF-8 becomes "?". */
static int reject_text(struct np_bytes *out, const char *text)
{
    char clean[1024];
    size_t n = 0, left = strlen(text);

    for (const char *at = text; left > 0 && n + 4 < sizeof clean;) {
        size_t k = np_utf8_next(at, left);

        if (k == 0) {
            clean[n++] = '?';
            k = 1;
        } else {
            memcpy(clean + n, at, k);
            n += k;
        }
        at += k;
        left -= k;
    }
    return np_pg_copy_field(out, clean, n);
}

enum np_status np_load_reject(struct np_load_batch *batch, const char *pipeline,
                              const struct np_message *message, struct np_load_feed *feed, const char *reason,
                              struct np_error *err)
{
    struct np_bytes *out = &batch->rejected;

    if (np_pg_copy_fields(out, 8) || np_pg_copy_field(out, pipeline, strlen(pipeline)) ||
        np_pg_copy_field(out, feed ? feed->table->name : NULL, feed ? strlen(feed->table->name) : 0) ||
        np_pg_copy_field(out, message->topic, strlen(message->topic)) ||
        np_pg_copy_int(out, message->partition) || np_pg_copy_long(out, message->offset) ||
        reject_text(out, reason) || np_pg_copy_field(out, message->key, message->key_length) ||
        np_pg_copy_field(out, message->value, message->value_length))
        return no_memory(err);
    batch->n_rejected++;
    if (feed)
        batch->feeds[feed->index].rejected++;
    if (batch->n_rejected <= LOGGED)
        np_log(NP_LOG_WARNING, "loader", "row rejected",
               "topic=%s partition=%d offset=%lld table=%s reason=\"%s\"", message->topic,
               (int)message->partition, (long long)message->offset, feed ? feed->table->name : "-", reason);
    return NP_OK;
}

static const char *bad_name(const char *name, const char *empty, const char *invalid)
{
    size_t n = name ? strlen(name) : 0;

    if (n == 0)
        return empty;
    return n > NAME_BYTES || !np_utf8_valid(name, n) ? invalid : NULL;
}

static const char *bad_names(const char *sensor, const char *channel)
{
    const char *bad = bad_name(sensor, "the sensor has no name",
                               "the sensor's name is not UTF-8, or longer than 1024 bytes");

    return bad ? bad
               : bad_name(channel, "the channel has no name",
                          "the channel's name is not UTF-8, or longer than 1024 bytes");
}

/* What keeps a row out of its table, as far as it can be told without the server. NULL: nothing */
static const char *bad_result(const struct np_pg_table *table, const struct np_value *values, int64_t now_ns)
{
    const char *bad = bad_names(values[NP_ROW_SENSOR].text, values[NP_ROW_CHANNEL].text);
    const struct np_columns *own = &table->step->columns;

    if (bad)
        return bad;
    if (values[NP_ROW_START].i64 == NP_NULL_LONG || values[NP_ROW_END].i64 == NP_NULL_LONG)
        return "start_time or end_time is missing";
    if (!np_pg_time_allowed(values[NP_ROW_START].i64, now_ns))
        return "start_time lies before 1970 or more than a year ahead";
    if (isnan(values[NP_ROW_COVERAGE].f64))
        return "coverage is missing";
    if (values[NP_ROW_FLAGS].i64 < 0 || values[NP_ROW_FLAGS].i64 > INT32_MAX)
        return "flags are missing or out of range";
    for (size_t i = 0; i < own->n; i++)
        if (own->items[i].type == NP_COL_TEXT && values[NP_ROW_N + i].text &&
            !np_utf8_valid(values[NP_ROW_N + i].text, strlen(values[NP_ROW_N + i].text)))
            return "a text is not UTF-8";
    return NULL;
}

static int add_row(struct np_load_rows *rows, size_t at, size_t message)
{
    if (rows->n == rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 4096;
        struct np_load_row *items = realloc(rows->items, capacity * sizeof *items);

        if (!items)
            return -1;
        rows->items = items;
        rows->capacity = capacity;
    }
    rows->items[rows->n++] = (struct np_load_row){at, (uint32_t)message};
    return 0;
}

/* Remembers that an id has to be put in when it is known. */
static int add_open(struct np_load_batch *batch, size_t feed, size_t at, int64_t entry, bool channel)
{
    if (batch->n_open == batch->open_capacity) {
        size_t capacity = batch->open_capacity ? 2 * batch->open_capacity : 1024;
        struct np_load_open *open = realloc(batch->open, capacity * sizeof *open);

        if (!open)
            return -1;
        batch->open = open;
        batch->open_capacity = capacity;
    }
    batch->open[batch->n_open++] = (struct np_load_open){feed, at, entry, channel};
    return 0;
}

/* Makes the partition for a time if there is none. bad: set if it cannot be had. */
static enum np_status need_partition(const struct np_load_context *context, struct np_pg_table *table,
                                     int64_t time_us, const char **bad, struct np_error *err)
{
    enum np_status status;

    if (np_pg_partition_has(table, time_us))
        return NP_OK;
    status = np_pg_partition_make(context->pg, context->tables, table, time_us, err);
    if (status != NP_EDATA)
        return status;
    *bad = "its time needs one partition too many";
    return NP_OK;
}

static enum np_status encode_result(struct np_load_batch *batch, const struct np_load_context *context,
                                    size_t f, struct np_load_feed *feed, size_t m, struct np_error *err)
{
    const struct np_message *message = &batch->messages[m];
    struct np_load_rows *rows = &batch->feeds[f];
    const struct np_value *values = feed->values;
    const char *bad = bad_result(feed->table, values, context->now_ns);
    struct np_pg_origin origin = {
        .partition = message->partition, .offset = message->offset, .topic = context->topic_id};
    int64_t sensor, channel;
    size_t at = rows->bytes.n;
    enum np_status status = NP_OK;

    if (!bad)
        status = need_partition(context, feed->table, np_pg_floor_us(values[NP_ROW_START].i64), &bad, err);
    if (status != NP_OK)
        return status;
    if (bad)
        return np_load_reject(batch, context->tables->pipeline->name, message, feed, bad, err);
    sensor = np_pg_names_find(context->sensors, values[NP_ROW_SENSOR].text);
    channel = np_pg_names_find(context->channels, values[NP_ROW_CHANNEL].text);
    if (sensor < 0 || channel < 0)
        return no_memory(err);
    origin.sensor = np_pg_names_id(context->sensors, sensor);
    origin.channel = np_pg_names_id(context->channels, channel);
    if (np_pg_copy_result(&rows->bytes, &feed->table->step->columns, values, &origin) ||
        add_row(rows, at, m) ||
        (!origin.sensor && add_open(batch, f, at + NP_PG_RESULT_SENSOR, sensor, false)) ||
        (!origin.channel && add_open(batch, f, at + NP_PG_RESULT_CHANNEL, channel, true)))
        return no_memory(err);
    return NP_OK;
}

static int64_t sample_time(const struct np_block *block, uint32_t i)
{
    if (block->times)
        return block->times[i];
    return block->t0_ns + llround(i * (1e9 / block->rate_hz));
}

/* The readings of one block. bad: why some of them are left out. */
static enum np_status encode_block(struct np_load_batch *batch, const struct np_load_context *context,
                                   size_t f, struct np_load_feed *feed, size_t m,
                                   const struct np_block *block, const char **bad, struct np_error *err)
{
    struct np_load_rows *rows = &batch->feeds[f];
    struct np_pg_origin origin = {.partition = batch->messages[m].partition,
                                  .offset = batch->messages[m].offset,
                                  .topic = context->topic_id};
    const char *name = bad_names(block->sensor, block->channel);
    int64_t sensor, channel;

    if (name) {
        *bad = name;
        return NP_OK;
    }
    sensor = np_pg_names_find(context->sensors, block->sensor);
    channel = np_pg_names_find(context->channels, block->channel);
    if (sensor < 0 || channel < 0)
        return no_memory(err);
    origin.sensor = np_pg_names_id(context->sensors, sensor);
    origin.channel = np_pg_names_id(context->channels, channel);
    for (uint32_t i = 0; i < block->n; i++) {
        int64_t time_ns = sample_time(block, i);
        size_t at = rows->bytes.n;
        const char *partition = NULL;
        enum np_status status;

        if (!np_pg_time_allowed(time_ns, context->now_ns)) {
            *bad = "the time of a reading lies before 1970 or more than a year ahead";
            continue;
        }
        status = need_partition(context, feed->table, np_pg_floor_us(time_ns), &partition, err);
        if (status != NP_OK)
            return status;
        if (partition) {
            *bad = partition;
            continue;
        }
        if (np_pg_copy_reading(&rows->bytes, time_ns, block->x[i], &origin) || add_row(rows, at, m) ||
            (!origin.sensor && add_open(batch, f, at + NP_PG_READING_SENSOR, sensor, false)) ||
            (!origin.channel && add_open(batch, f, at + NP_PG_READING_CHANNEL, channel, true)))
            return no_memory(err);
    }
    return NP_OK;
}

/* One message for one feed. mine: set if the message is one of the feed's. */
static enum np_status encode_message(struct np_load_batch *batch, const struct np_load_context *context,
                                     size_t f, struct np_load_feed *feed, size_t m, struct np_error *err)
{
    const struct np_message *message = &batch->messages[m];
    const char *bad = NULL, *word = NULL;
    enum np_status status;

    if (feed->rows) {
        status = feed->rows->decode(feed->rows, message, feed->values, err);
        if (status == NP_OK)
            return encode_result(batch, context, f, feed, m, err);
    } else {
        status = feed->blocks->decode(feed->blocks, message, &batch->blocks, &word, err);
        for (size_t i = 0; status == NP_OK && i < batch->blocks.n; i++)
            status = encode_block(batch, context, f, feed, m, &batch->blocks.items[i], &bad, err);
        if (status == NP_OK && bad)
            return np_load_reject(batch, context->tables->pipeline->name, message, feed, bad, err);
    }
    return status;
}

/* A message goes to every feed that knows it; one that none can read is rejected once. */
static enum np_status encode_one(struct np_load_batch *batch, const struct np_load_context *context,
                                 struct np_load_source *source, size_t m, struct np_error *err)
{
    struct np_error why = {0};
    bool taken = false, unreadable = false;

    for (size_t f = 0; f < source->n; f++) {
        struct np_error e = {0};
        enum np_status status = encode_message(batch, context, f, &source->feeds[f], m, &e);

        if (status == NP_EDATA) {
            unreadable = true;
            why = e;
        } else if (status == NP_OK) {
            taken = true;
        } else if (status != NP_EEND) {
            return np_fail(err, status, "%s", e.text);
        }
    }
    if (taken || !unreadable)
        return NP_OK;
    return np_load_reject(batch, context->tables->pipeline->name, &batch->messages[m],
                          source->n == 1 ? source->feeds : NULL, why.text, err);
}

enum np_status np_load_encode(struct np_load_batch *batch, const struct np_load_context *context,
                              struct np_load_source *source, const struct np_message *messages, size_t n,
                              struct np_error *err)
{
    enum np_status status = NP_OK;

    if (batch->n_feeds < source->n) {
        struct np_load_rows *feeds = realloc(batch->feeds, source->n * sizeof *feeds);

        if (!feeds)
            return no_memory(err);
        memset(feeds + batch->n_feeds, 0, (source->n - batch->n_feeds) * sizeof *feeds);
        batch->feeds = feeds;
        batch->n_feeds = source->n;
    }
    for (size_t f = 0; f < batch->n_feeds; f++)
        batch->feeds[f].bytes.n = batch->feeds[f].n = batch->feeds[f].rejected = batch->feeds[f].refused = 0;
    batch->rejected.n = batch->n_rejected = batch->n_open = 0;
    batch->messages = messages;
    batch->n_messages = n;
    for (size_t m = 0; m < n && status == NP_OK; m++)
        status = encode_one(batch, context, source, m, err);
    if (status == NP_OK && batch->n_open > 0)
        status = np_pg_names_resolve(context->pg, context->sensors, err);
    if (status == NP_OK && batch->n_open > 0)
        status = np_pg_names_resolve(context->pg, context->channels, err);
    for (size_t i = 0; i < batch->n_open && status == NP_OK; i++) {
        const struct np_load_open *open = &batch->open[i];

        np_pg_copy_patch(batch->feeds[open->feed].bytes.data + open->at,
                         np_pg_names_id(open->channel ? context->channels : context->sensors, open->entry));
    }
    return status;
}
