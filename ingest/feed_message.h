/* Blocks of a recording or a simulation as messages for a topic, and the Avro schema that describes them. The
 * layout follows from the first blocks:
 *   waveform   {meter, t0, rate_hz, one field of samples a channel}; channels whose times differ (COMTRADE's
 *              skew) go into messages of their own, in which the others are null
 *   reading    {meter, t0, one float a channel}, a message a row, where the times are irregular
 * Samples are bytes of float32 little-endian (the default) or array<float>; in JSON arrays, with null for a
 * missing one.
 */
#ifndef NP_FEED_MESSAGE_H
#define NP_FEED_MESSAGE_H

#include <stdbool.h>

#include "ingest/file.h"
#include "pipeline/record.h"

enum np_feed_shape { NP_FEED_WAVEFORM, NP_FEED_SPLIT, NP_FEED_READING };

struct np_feed_layout {
    enum np_feed_shape shape;
    enum np_format format;
    bool array;                   /* Avro: array<float> instead of bytes */
    int32_t schema_id;           /* >= 0: put before each Avro message (the registry's wire format); -1: not */
    size_t n;
    struct np_feed_field {
        char *name;               /* the channel's, "_" for what may not stand in a field's name */
        char *channel, *unit;
    } *fields;
};

/**
 * Makes a layout for blocks like these.
 * @param info  of the file, for units; NULL: simulated, volts
 * @return NP_OK or NP_ENOMEM; free with np_feed_layout_free() in any case
 */
enum np_status np_feed_layout_make(struct np_feed_layout *layout, enum np_format format, bool array,
                                   const struct np_blocks *blocks, const struct np_file_info *info,
                                   struct np_error *err);
void np_feed_layout_free(struct np_feed_layout *layout);
/** The Avro schema as JSON text, NUL-terminated. @return given, NULL without memory */
char *np_feed_schema(const struct np_feed_layout *layout);

/** Takes messages. */
struct np_feed_sink {
    /** @param value  [n] borrowed. @param n_samples  in it. @param end_ns  behind its last sample */
    enum np_status (*message)(struct np_feed_sink *sink, const char *sensor, const void *value, size_t n,
                              uint64_t n_samples, int64_t end_ns, struct np_error *err);
};
/** Turns blocks into messages. @param buffer  reused from call to call */
enum np_status np_feed_messages(const struct np_feed_layout *layout, const struct np_blocks *blocks,
                                struct np_bytes *buffer, struct np_feed_sink *sink, struct np_error *err);

#endif
