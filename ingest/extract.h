/* What a mapping wants from a message and what was found there: one form for Avro (avro_plan.h) and JSON
 * (json_extract.h). Samples go straight into the slab of a struct np_blocks.
 *
 * A path is dotted through nested records ("head.meter"); "[]" goes into every element of an array
 * ("readings[].value"; at most one [] in a path). Unions with null are passed through. */
#ifndef NP_EXTRACT_H
#define NP_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/block.h"
#include "pipeline/record.h"

enum np_want_kind {
    NP_WANT_NUMBER,  /* a number                                       -> NUMBER */
    NP_WANT_INTEGER, /* a whole number                                 -> INTEGER */
    NP_WANT_TEXT,    /* string, bytes, enum -> TEXT; a whole number (a name that is one) -> INTEGER */
    NP_WANT_SCALAR,  /* any of BOOLEAN, INTEGER, NUMBER, TEXT, as it stands there */
    NP_WANT_SAMPLES, /* array of numbers (null: NaN) -> SAMPLES; one number -> NUMBER */
    NP_WANT_TIMES,   /* array of whole numbers -> TIMES; one value as SCALAR */
    NP_WANT_BYTES,   /* bytes, fixed, string (JSON: base64)            -> BYTES */
};

struct np_want {
    const char *path; /* borrowed for the call that opens a plan */
    enum np_want_kind kind;
    bool required; /* a schema without it cannot be used */
};

enum np_found_type {
    NP_FOUND_NOTHING, /* absent or null */
    NP_FOUND_BOOLEAN,
    NP_FOUND_INTEGER,
    NP_FOUND_NUMBER,
    NP_FOUND_TEXT,
    NP_FOUND_BYTES,
    NP_FOUND_SAMPLES, /* first, n: in blocks->samples */
    NP_FOUND_TIMES,   /* first, n: in blocks->times */
};

/** The schema's statement about the unit of a whole number. */
enum np_logical { NP_LOGICAL_NONE, NP_LOGICAL_MILLIS, NP_LOGICAL_MICROS, NP_LOGICAL_NANOS };

struct np_found {
    union {
        double number;
        int64_t integer;  /* INTEGER; BOOLEAN: 0, 1 */
        const char *text; /* TEXT, BYTES: n bytes, no NUL; borrowed until the next message */
        size_t first;
    };
    uint32_t n;
    uint8_t type;    /* enum np_found_type */
    uint8_t logical; /* enum np_logical */
};

/** What was found for one want: one entry; for a path with [] one per element (none for an empty array). */
struct np_found_list {
    size_t n, capacity;
    struct np_found *items;
};

/** Found values of one message; reused from message to message. Zeroed, then np_extract_open(). */
struct np_extract {
    size_t n_wants;
    struct np_found_list *lists; /* [n_wants] */
    struct np_blocks *blocks;    /* borrowed: where samples and times go; set before each run */
    void *tree;                  /* the JSON message that texts are borrowed from */
    struct np_bytes scratch;     /* bytes decoded from base64 */
};

enum np_status np_extract_open(struct np_extract *extract, size_t n_wants, struct np_error *err);
void np_extract_close(struct np_extract *extract); /* accepts NULL and half-open */
/** Appends an entry. @return NULL without memory */
struct np_found *np_found_add(struct np_found_list *list);

/** A parsed path: names, and "[]" for the elements of an array. */
struct np_path {
    size_t n;
    char **parts;
    bool repeated; /* has a "[]" */
};

/** @param out given, np_path_free(). @return NP_OK; NP_ECONFIG: not a path; NP_ENOMEM */
enum np_status np_path_parse(struct np_path *out, const char *text, struct np_error *err);
void np_path_free(struct np_path *path);

#endif
