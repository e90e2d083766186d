/* Finding a mapping's values in JSON messages (RFC 8259, by jansson). One JSON object is one message. Members
 * that are absent and null are the same. Bytes are base64 (RFC 4648, section 4, padding optional). */
#ifndef NP_JSON_EXTRACT_H
#define NP_JSON_EXTRACT_H

#include "ingest/extract.h"

struct np_json_plan;

/** @param out given, np_json_plan_close(). @return NP_OK; NP_ECONFIG: a path is none; NP_ENOMEM */
enum np_status np_json_plan_open(struct np_json_plan **out, const struct np_want *wants, size_t n_wants,
                                 struct np_error *err);
/**
 * As np_avro_plan_run(). Texts are borrowed from extract->tree, which lives until the next run or
 * np_json_release().
 * @return NP_OK; NP_EDATA: no JSON object, or something of another kind than wanted; NP_ENOMEM
 */
enum np_status np_json_plan_run(const struct np_json_plan *plan, const void *data, size_t length,
                                struct np_extract *extract, struct np_error *err);
/** Frees the tree of the last message. */
void np_json_release(struct np_extract *extract);
void np_json_plan_close(struct np_json_plan *plan); /* accepts NULL */

#endif
