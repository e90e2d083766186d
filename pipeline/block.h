/* Decoded samples on their way from a message (or a file) into streams. */
#ifndef NP_BLOCK_H
#define NP_BLOCK_H

#include <stdint.h>

#include "pipeline/pipeline.h"

#define NP_NAME_MAX_BYTES 200    /* of a sensor or a channel */

/* Times that may be calculated with: differences, windows of a year and lateness stay inside int64. */
#define NP_TIME_FIRST_NS (-2208988800000000000) /* 1900 */
#define NP_TIME_LAST_NS  4102444800000000000    /* 2100 */

/** Consecutive samples of one channel of one sensor. NaN: missing. */
struct np_block {
    const char *sensor;           /* NUL-terminated; borrowed until the next decode */
    const char *channel;          /* NUL-terminated; likewise (fixed channels: the mapping's own pointer) */
    int channel_index;            /* fixed channels: index in the mapping; else -1 */
    int64_t t0_ns;                /* time of the first sample */
    double rate_hz;               /* > 0: sample i is at t0 + i / rate. 0: irregular, see times */
    uint32_t n;
    const float *x;               /* [n] in the input's unit */
    const int64_t *times;         /* [n] when rate_hz is 0 (may be unordered); else NULL */
};

/** Time of the latest sample. */
int64_t np_block_last(const struct np_block *block);
/** Whether the block lies between the two times above. */
bool np_block_is_in_time(const struct np_block *block);

/** What one message held. Owned by the decoder's user; arrays are reused from message to message. */
struct np_blocks {
    size_t n, capacity;
    struct np_block *items;
    float *samples;               /* slab that items[].x point into */
    size_t samples_used, samples_capacity;
    int64_t *times;
    size_t times_used, times_capacity;
    char *strings;
    size_t strings_used, strings_capacity;
};

void np_blocks_free(struct np_blocks *blocks);
/** Forgets what it holds and keeps the memory. */
void np_blocks_clear(struct np_blocks *blocks);
/** Adds an empty block (channel_index -1). @return borrowed, may move with the next one; NULL without memory */
struct np_block *np_blocks_add(struct np_blocks *blocks);
/** Takes n more of the slab, uninitialised; what was taken earlier may move. @return NULL without memory */
float *np_blocks_samples(struct np_blocks *blocks, size_t n);
int64_t *np_blocks_times(struct np_blocks *blocks, size_t n);
/** Makes room for n more bytes of strings, NULs included; earlier strings may move. @return false without memory */
bool np_blocks_strings(struct np_blocks *blocks, size_t n);
/** Copies a text into the room made. @return borrowed, NUL-terminated, moves only with np_blocks_strings() */
const char *np_blocks_string(struct np_blocks *blocks, const char *text, size_t length);

/** A message as the broker gave it; all borrowed. */
struct np_message {
    const char *topic;
    int32_t partition;
    int64_t offset, timestamp_ms;
    const void *key, *value;      /* value NULL: a tombstone */
    size_t key_length, value_length;
    const void *native;           /* the source's own message (headers, for dead letters), or NULL */
};

/** Turns messages of one input into blocks. Implemented in ingest/; one decoder per lane (not shared by threads). */
struct np_decoder {
    /**
     * @param blocks  emptied and filled
     * @return NP_OK; NP_EDATA: this message is bad (a dead letter), err->text says why, reason says it in one word;
     *         NP_ERETRY: the registry cannot be asked now, call again with the same message; NP_ENOMEM
     */
    enum np_status (*decode)(struct np_decoder *decoder, const struct np_message *message,
                             struct np_blocks *blocks, const char **reason, struct np_error *err);
    void (*close)(struct np_decoder *decoder);   /* accepts NULL */
};

/** Turns messages of a result topic back into rows of one step, for the loader. Implemented in ingest/; not shared by
 * threads. Its columns are those of np_record_columns (flags: i64, the bit set of enum np_flag), then the step's own. */
struct np_row_decoder {
    /**
     * @param values  [n columns] in that order; a column that the message lacks is null; text and arrays are
     *                borrowed until the next call
     * @return as np_decoder.decode; NP_EEND: a good message, but of another step (steps may share a topic)
     */
    enum np_status (*decode)(struct np_row_decoder *decoder, const struct np_message *message,
                             struct np_value *values, struct np_error *err);
    void (*close)(struct np_row_decoder *decoder);   /* accepts NULL */
};

#endif
