/* Decoding Avro by a mapping. A plan is compiled once per writer schema: a small program that walks a
 * message, skips what is not wanted and puts what is wanted into a struct np_extract, without building values
 * in between.
 *
 * Schema resolution is that of the Avro specification 1.11 ("Schema Resolution"). Without a reader schema the
 * wants are the reader: fields may be added, removed, reordered and promoted. With one, paths are the
 * reader's names; its aliases and defaults apply, and numbers take its type on the way (an int read as float
 * is rounded to float). Where the specification leaves a choice: mismatches matter only on the way to what is
 * wanted. */
#ifndef NP_AVRO_PLAN_H
#define NP_AVRO_PLAN_H

#include "ingest/avro_schema.h"
#include "ingest/extract.h"

struct np_avro_plan;

/**
 * Compiles a plan.
 * @param writer  borrowed for the life of the plan
 * @param reader  likewise, or NULL
 * @param out     given, np_avro_plan_close(). Constant: threads may share it, each with its own np_extract
 * @return NP_OK; NP_ECONFIG: a required path is missing, or a path leads to something of another kind;
 * NP_ENOMEM
 */
enum np_status np_avro_plan_open(struct np_avro_plan **out, const struct np_avro_schema *writer,
                                 const struct np_avro_schema *reader, const struct np_want *wants,
                                 size_t n_wants, struct np_error *err);
/**
 * Decodes one message body (all of it: bytes left over are an error).
 * Never reads outside data, and asks for no more memory than a small multiple of its length.
 * @param extract  with n_wants lists and blocks set; samples and times are appended to blocks
 * @return NP_OK; NP_EDATA: what is wrong and at which byte is in err; NP_ENOMEM
 */
enum np_status np_avro_plan_run(const struct np_avro_plan *plan, const void *data, size_t length,
                                struct np_extract *extract, struct np_error *err);
void np_avro_plan_close(struct np_avro_plan *plan); /* accepts NULL */
/** @return whether the schemas have the path of this want (optional ones may lack it) */
bool np_avro_plan_has(const struct np_avro_plan *plan, size_t want);

#endif
