/* From messages of an input to blocks, by its mapping. What a message may hold:
 *   - a block: samples (array or bytes) from a time on, at a rate; one path per channel, or name and samples;
 *   - one reading: numbers at a time;
 *   - an array of readings ("readings[].value", "readings[].time"), or two arrays (times, values);
 *   - an array of channels ("channels[].name", "channels[].samples") at one time.
 * Null channels and empty strings of nothing are left out. A reading whose quality is not good is missing
 * (NaN): good are true, 0, "good", "ok", "valid" (in any case), and null. Reasons: empty, decode, schema,
 * missing, sensor, channel, time, rate, encoding. */
#ifndef NP_DECODER_H
#define NP_DECODER_H

#include "ingest/schema_registry.h"
#include "pipeline/block.h"

#define NP_RATE_MAX_HZ 10e6
#define NP_RATE_MIN_HZ 1e-5    /* about one sample a day; the slack of borders is a share of the period */

/**
 * @param pipeline  borrowed for the life of the decoder
 * @param registry  likewise. Not NULL: Avro messages are in its wire format, and the input's schema file, if
 * there is one, is the reader's schema. NULL: Avro messages are bare bodies by the schema file
 * @param out       given, (*out)->close(*out). One thread
 * @return NP_OK; NP_ECONFIG: the schema file, or a path; NP_ENOMEM
 */
enum np_status np_decoder_open(struct np_decoder **out, const struct np_pipeline *pipeline, int input,
                               struct np_schema_registry *registry, struct np_error *err);

/** Whether a decoder of np_decoder_open() could read messages of that writer schema. @return NP_OK;
 * NP_ECONFIG: err says why not; NP_ENOMEM */
enum np_status np_decoder_fits(const struct np_decoder *decoder, const struct np_avro_schema *writer,
                               struct np_error *err);

/**
 * Reads the messages of a step's topic back.
 * @param pipeline, registry  as above; messages are as np_record_avro() or np_record_json() wrote them, with
 * any earlier set of columns
 */
enum np_status np_row_decoder_open(struct np_row_decoder **out, const struct np_pipeline *pipeline,
                                   const struct np_step *step, struct np_schema_registry *registry,
                                   struct np_error *err);

#endif
