/* A result column, described once: CREATE TABLE with COMMENT, the COPY encoder, the Avro schema, the
 * JSON form and the docs are made from it. */
#ifndef NP_COLUMN_H
#define NP_COLUMN_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum np_column_type {
    NP_COL_DOUBLE,   /* float8     Avro double         NaN is written as null everywhere */
    NP_COL_FLOAT,    /* float4     Avro float          NaN likewise */
    NP_COL_LONG,     /* int8       Avro long           INT64_MIN is null */
    NP_COL_TIME,     /* timestamptz / Avro long, ns since 1970-01-01 UTC; INT64_MIN is null */
    NP_COL_TEXT,     /* text       Avro string         NULL is null */
    NP_COL_FLOATS,   /* float4[]   Avro array<float>   NULL is null */
};

#define NP_NULL_LONG INT64_MIN

struct np_column {
    const char *name;             /* lower-case identifier, SQL and Avro safe */
    enum np_column_type type;
    const char *unit;             /* SI; "$" stands for the unit of the step's input, as in "$" or "$^2/Hz"; "" for none */
    const char *help;             /* one phrase: the meaning */
};

/** A value of a column. Text and floats are borrowed from whoever fills it. */
struct np_value {
    union {
        double f64;               /* DOUBLE, FLOAT */
        int64_t i64;              /* LONG, TIME */
        const char *text;         /* TEXT, NUL-terminated */
        const float *floats;      /* FLOATS */
    };
    uint32_t n;                   /* FLOATS: how many */
};

/** A list of columns that owns its entries' strings. */
struct np_columns {
    size_t n;
    struct np_column *items;
};

/** Appends a copy (strings copied). @return 0, or -1 without memory */
int np_columns_add(struct np_columns *columns, const struct np_column *column);
void np_columns_free(struct np_columns *columns);
/** @return index or -1 */
int np_columns_find(const struct np_columns *columns, const char *name);

#endif
