/* What the files of the decoder share: the wants of a mapping, and turning what was found into blocks.
 * Private. */
#ifndef NP_DECODER_PARTS_H
#define NP_DECODER_PARTS_H

#include "ingest/extract.h"

/* Order of the wants; then one per channel. */
enum { WANT_SENSOR, WANT_TIME, WANT_RATE, WANT_QUALITY, WANT_SCALE, WANT_OFFSET, WANT_CHANNEL, WANT_SAMPLES };

/** Where the wants stand: index into the extract's lists, or -1 when the mapping has no such path. */
struct np_decoder_map {
    const struct np_mapping *map;
    const char *input; /* its name, for messages */
    int at[WANT_SAMPLES];
    bool repeated[WANT_SAMPLES];
    int first_channel; /* index of channel 0; the others follow */
    bool channels_repeated;
};

/** Builds the blocks of one message. @return NP_OK; NP_EDATA with a reason; NP_ENOMEM */
enum np_status np_decoder_blocks(const struct np_decoder_map *m, const struct np_message *message,
                                 struct np_extract *extract, const char **reason, struct np_error *err);
/** A time as ns. @param unit_ns 0: logical type or text. @return false: it is none, or out of range */
bool np_found_time(const struct np_found *found, int64_t unit_ns, int64_t *ns);

#endif
