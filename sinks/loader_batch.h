/* Messages turned into encoded rows, ready for COPY; inside the loader only. */
#ifndef NP_LOADER_BATCH_H
#define NP_LOADER_BATCH_H

#include "pipeline/block.h"
#include "sinks/loader.h"
#include "sinks/pg_names.h"
#include "sinks/pg_tables.h"

/** What one topic fills: a table and the decoder for it. */
struct np_load_feed {
    size_t index; /* in the source, and in a batch */
    struct np_pg_table *table;
    struct np_row_decoder *rows; /* a step's records */
    struct np_decoder *blocks;   /* or a stored input's readings */
    struct np_value *values;
    struct np_metric *rows_total, *rejected_total, *lag;
};

struct np_load_source {
    const char *topic;
    size_t n;
    struct np_load_feed *feeds;
};

/** The rows of one feed. */
struct np_load_rows {
    struct np_bytes bytes;
    size_t n, capacity;
    size_t rejected, refused; /* not among the rows; among them, but refused by the server */
    struct np_load_row {
        size_t at; /* in bytes */
        uint32_t message;
    } * items;
};

/** A batch; its memory is kept from one to the next. */
struct np_load_batch {
    const struct np_message *messages;
    size_t n_messages;
    size_t n_feeds;
    struct np_load_rows *feeds; /* [n_feeds], as the source's */
    size_t n_open, open_capacity;
    struct np_load_open { /* ids that are not known yet */
        size_t feed, at;
        int64_t entry;
        bool channel;
    } * open;
    struct np_bytes rejected; /* rows of rejected_rows */
    size_t n_rejected;
    struct np_blocks blocks;
};

/** What encoding needs beside the messages. */
struct np_load_context {
    struct np_pg *pg;
    struct np_pg_tables *tables;
    struct np_pg_names *sensors, *channels;
    int16_t topic_id;
    int64_t now_ns;
};

/** Decodes, checks and encodes all messages; makes partitions and ids that are missing. Not inside a
 * transaction. */
enum np_status np_load_encode(struct np_load_batch *batch, const struct np_load_context *context,
                              struct np_load_source *source, const struct np_message *messages, size_t n,
                              struct np_error *err);
/** Notes that a message, or a row of it, cannot be loaded. feed NULL: not readable at all. @return NP_OK or
 * NP_ENOMEM */
enum np_status np_load_reject(struct np_load_batch *batch, const char *pipeline,
                              const struct np_message *message, struct np_load_feed *feed, const char *reason,
                              struct np_error *err);
void np_load_batch_free(struct np_load_batch *batch);

#endif
