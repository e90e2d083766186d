/* Schema resolution (Avro specification 1.11): which reader type, field or default answers to a writer's. */
#ifndef NP_AVRO_RESOLVE_H
#define NP_AVRO_RESOLVE_H

#include "ingest/avro_program.h"

/** Whether a value written as writer may be read as reader, seen from outside (members are not looked at). */
bool np_avro_matches(const struct np_avro_type *writer, const struct np_avro_type *reader);
/** The type of a reader that answers to the writer's: itself, or the branch of a union. NULL if there is
 * none. */
const struct np_avro_type *np_avro_answer(const struct np_avro_type *writer,
                                          const struct np_avro_type *reader);
/** The writer's field that a reader's field is filled from: of its name, or of one of its aliases. NULL if
 * none. */
const struct np_avro_field *np_avro_source(const struct np_avro_type *writer,
                                           const struct np_avro_field *field);
/** @return field of that name or NULL */
const struct np_avro_field *np_avro_field_find(const struct np_avro_type *record, const char *name);

/**
 * The operation that reads a value written as writer (not null, record, array, map, union) into what is
 * wanted.
 * @param reader   NULL or a type that matches
 * @param symbols  enum: caller's table [writer->n], filled
 * @return false if such a value is not of the wanted kind
 */
bool np_avro_leaf(const struct np_avro_type *writer, const struct np_avro_type *reader,
                  enum np_want_kind kind, const char **symbols, struct np_avro_op *op);
/**
 * A reader's default as a constant. type is no record.
 * @param out  samples given (free()), when found.type is NP_FOUND_SAMPLES and n > 0; found.text borrowed from
 * the schema
 * @return NP_OK; NP_ECONFIG: not of the wanted kind; NP_ENOMEM
 */
enum np_status np_avro_default(const struct np_avro_type *type, json_t *json, enum np_want_kind kind,
                               struct np_avro_const *out);

#endif
