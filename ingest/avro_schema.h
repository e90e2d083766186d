/* An Avro schema as a graph of types (specification 1.11). Parsed from its JSON here and not by avro-c, which
 * drops what decoding by a mapping needs: logical types, field defaults and aliases. avro-c is the oracle in
 * the tests. */
#ifndef NP_AVRO_SCHEMA_H
#define NP_AVRO_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ingest/extract.h"
#include "pipeline/status.h"

enum np_avro_kind {
    NP_AVRO_NULL,
    NP_AVRO_BOOLEAN,
    NP_AVRO_INT,
    NP_AVRO_LONG,
    NP_AVRO_FLOAT,
    NP_AVRO_DOUBLE,
    NP_AVRO_BYTES,
    NP_AVRO_STRING,
    NP_AVRO_RECORD,
    NP_AVRO_ENUM,
    NP_AVRO_ARRAY,
    NP_AVRO_MAP,
    NP_AVRO_UNION,
    NP_AVRO_FIXED,
};

struct np_avro_type;

struct np_avro_field {
    const char *name;
    struct np_avro_type *type;
    json_t *otherwise; /* the default, NULL if there is none */
    json_t *aliases;   /* array of strings or NULL */
};

/** Texts are borrowed from the schema's JSON unless said otherwise. */
struct np_avro_type {
    enum np_avro_kind kind;
    enum np_logical logical; /* long: timestamp-millis, -micros, -nanos */
    size_t index;            /* among all types of the schema */
    char *name;              /* record, enum, fixed: full name (own memory) */
    json_t *aliases;         /* array of strings or NULL */
    size_t n;                /* fields, symbols, branches; array and map: 1 */
    struct np_avro_field *fields;
    struct np_avro_type **items; /* union: branches; array: items; map: values */
    const char **symbols;
    const char *otherwise; /* enum: default symbol or NULL */
    int64_t size;          /* fixed: bytes */
    int64_t encoded;       /* bytes of every value of this type, -1 if they differ */
    int64_t least;         /* bytes of the shortest value */
    bool measured;         /* encoded and least are filled, or being filled */
};

struct np_avro_schema {
    json_t *json;
    struct np_avro_type *root;
    size_t n;
    struct np_avro_type **types; /* all of them */
};

/**
 * Parses a schema.
 * @param out given, np_avro_schema_close()
 * @return NP_OK; NP_ECONFIG: what is wrong is in err; NP_ENOMEM
 */
enum np_status np_avro_schema_parse(struct np_avro_schema **out, const char *text, size_t length,
                                    struct np_error *err);
void np_avro_schema_close(struct np_avro_schema *schema); /* accepts NULL */
/** "record", "int" */
const char *np_avro_kind_name(enum np_avro_kind kind);
/** The name behind the last dot. */
const char *np_avro_short_name(const char *name);

#endif
