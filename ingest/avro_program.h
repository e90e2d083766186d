/* The program of an Avro plan: what the compiler (avro_plan.c) and the runner (avro_run.c) agree upon.
 * Private to them. */
#ifndef NP_AVRO_PROGRAM_H
#define NP_AVRO_PROGRAM_H

#include "ingest/avro_schema.h"

enum np_avro_code {
    NP_OP_END,          /* the message must end here */
    NP_OP_SKIP,         /* size bytes */
    NP_OP_SKIP_VARINTS, /* size of them */
    NP_OP_SKIP_STRING,  /* string, bytes */
    NP_OP_SKIP_ITEMS,   /* array whose items have size bytes each */
    NP_OP_JUMP,         /* to */
    NP_OP_CALL,         /* to */
    NP_OP_RETURN,
    NP_OP_UNION, /* table: size places to go on at */
    NP_OP_LOOP, /* array or map opens. wanted: its blocks may not be skipped whole; table: size slots to empty
                 */
    NP_OP_NEXT, /* the head of the loop: goes on, or leaves to `to`; size: bytes of the shortest item */
    NP_OP_ELEMENT, /* table: size slots get a new entry */
    NP_OP_FAIL,    /* text: this branch cannot be read as what is wanted */
    /* into the last entry of slot */
    NP_OP_BOOLEAN,
    NP_OP_INT,
    NP_OP_LONG,
    NP_OP_FLOAT,
    NP_OP_DOUBLE,
    NP_OP_STRING,        /* wanted: as NP_FOUND_TEXT, else NP_FOUND_BYTES */
    NP_OP_FIXED,         /* size bytes */
    NP_OP_ENUM,          /* symbols: size of them, NULL where the reader lacks one */
    NP_OP_SAMPLES,       /* array; item: kind of its items */
    NP_OP_SAMPLES_UNION, /* array of a union; item kinds in table, size of them */
    NP_OP_TIMES,         /* array of int or long */
    NP_OP_CONST,         /* a reader's default: found, and floats of it */
    NP_OP_COPY,          /* from the last entry of slot `to` */
};

enum np_avro_convert { NP_KEEP, NP_TO_NUMBER, NP_TO_FLOAT }; /* TO_FLOAT: a number rounded to float */

struct np_avro_op {
    uint8_t code;    /* enum np_avro_code */
    uint8_t convert; /* enum np_avro_convert */
    uint8_t logical; /* enum np_logical */
    uint8_t item;    /* enum np_avro_kind */
    bool wanted;
    uint32_t slot;
    uint32_t to;
    int64_t size;
    union {
        const uint32_t *table;
        const char *const *symbols;
        const char *text;
        const struct np_avro_const *constant;
    };
    const char *field; /* for messages */
};

struct np_avro_const {
    struct np_found found;
    float *samples; /* SAMPLES: found.n of them */
};

#define NP_AVRO_DEPTH 64 /* nested loops and calls of one message */

struct np_avro_plan {
    size_t n, capacity;
    struct np_avro_op *ops;
    size_t n_memory;
    void **memory; /* tables, texts and constants of the operations */
    size_t n_wants;
    bool *has; /* [n_wants] the path exists */
};

#endif
