#include "sinks/pg_copy.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "sinks/pg_layout.h"
#include "sinks/pg_tables.h"

static const int64_t epoch_2000_us = INT64_C(946684800000000);

const unsigned char np_pg_copy_header[NP_PG_COPY_HEADER] = {'P',  'G',  'C',  'O',  'P', 'Y',
                                                            '\n', 0xff, '\r', '\n', 0};
const unsigned char np_pg_copy_trailer[NP_PG_COPY_TRAILER] = {0xff, 0xff};

static unsigned char *put16(unsigned char *at, int16_t value)
{
    uint16_t big = htobe16((uint16_t)value);

    memcpy(at, &big, 2);
    return at + 2;
}

static unsigned char *put32(unsigned char *at, int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);

    memcpy(at, &big, 4);
    return at + 4;
}

static unsigned char *put64(unsigned char *at, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);

    memcpy(at, &big, 8);
    return at + 8;
}

static unsigned char *field16(unsigned char *at, int16_t value)
{
    return put16(put32(at, 2), value);
}

static unsigned char *field32(unsigned char *at, int32_t value)
{
    return put32(put32(at, 4), value);
}

static unsigned char *field64(unsigned char *at, int64_t value)
{
    return put64(put32(at, 8), value);
}

static unsigned char *float_bits(unsigned char *at, float value)
{
    int32_t bits;

    memcpy(&bits, &value, 4);
    return put32(at, bits);
}

static unsigned char *field_float(unsigned char *at, float value)
{
    return isnan(value) ? put32(at, -1) : float_bits(put32(at, 4), value);
}

static unsigned char *field_double(unsigned char *at, double value)
{
    int64_t bits;

    if (isnan(value))
        return put32(at, -1);
    memcpy(&bits, &value, 8);
    return field64(at, bits);
}

static unsigned char *field_time(unsigned char *at, int64_t ns)
{
    return field64(at, np_pg_floor_us(ns) - epoch_2000_us);
}

int64_t np_pg_copy_time_us(const unsigned char *row)
{
    uint64_t big;

    memcpy(&big, row + NP_PG_ROW_TIME, 8);
    return (int64_t)be64toh(big) + epoch_2000_us;
}

void np_pg_copy_patch(unsigned char *at, int32_t id)
{
    put32(at, id);
}

/* A one-dimensional float4[]: dimensions, has-null, element type (OID 700), length, lower bound, elements.
 * NaN stays NaN inside an array: a null element would change its layout for every reader. */
static unsigned char *field_floats(unsigned char *at, const struct np_value *value)
{
    at = put32(at, (int32_t)(value->n ? 20 + 8 * (size_t)value->n : 12));
    at = put32(at, value->n ? 1 : 0);
    at = put32(at, 0);
    at = put32(at, 700);
    if (value->n == 0)
        return at;
    at = put32(at, (int32_t)value->n);
    at = put32(at, 1);
    for (uint32_t i = 0; i < value->n; i++)
        at = float_bits(put32(at, 4), value->floats[i]);
    return at;
}

static size_t room(enum np_column_type type, const struct np_value *value)
{
    if (type == NP_COL_TEXT && value->text)
        return 4 + strlen(value->text);
    if (type == NP_COL_FLOATS && value->floats)
        return 24 + 8 * (size_t)value->n;
    return 12;
}

static unsigned char *field(unsigned char *at, enum np_column_type type, const struct np_value *value)
{
    size_t n;

    switch (type) {
    case NP_COL_DOUBLE:
        return field_double(at, value->f64);
    case NP_COL_FLOAT:
        return field_float(at, (float)value->f64);
    case NP_COL_LONG:
        return value->i64 == NP_NULL_LONG ? put32(at, -1) : field64(at, value->i64);
    case NP_COL_TIME:
        return value->i64 == NP_NULL_LONG ? put32(at, -1) : field_time(at, value->i64);
    case NP_COL_TEXT:
        if (!value->text)
            return put32(at, -1);
        n = strlen(value->text);
        at = put32(at, (int32_t)n);
        memcpy(at, value->text, n);
        return at + n;
    case NP_COL_FLOATS:
        return value->floats ? field_floats(at, value) : put32(at, -1);
    }
    return put32(at, -1);
}

int np_pg_copy_result(struct np_bytes *out, const struct np_columns *columns, const struct np_value *values,
                      const struct np_pg_origin *origin)
{
    const struct np_value *own = values + NP_ROW_N;
    size_t bytes = 2 + NP_PG_N_FIXED * 12;
    unsigned char *start, *at;

    for (size_t i = 0; i < columns->n; i++)
        bytes += room(columns->items[i].type, &own[i]);
    start = at = np_bytes_reserve(out, bytes);
    if (!start)
        return -1;
    at = put16(at, (int16_t)(NP_PG_N_FIXED + columns->n));
    at = field_time(at, values[NP_ROW_START].i64);
    at = field_time(at, values[NP_ROW_END].i64);
    at = field64(at, origin->offset);
    at = field32(at, origin->sensor);
    at = field32(at, origin->channel);
    at = field32(at, origin->partition);
    at = field_float(at, (float)values[NP_ROW_COVERAGE].f64);
    at = field32(at, (int32_t)values[NP_ROW_FLAGS].i64);
    at = field16(at, origin->topic);
    for (size_t i = 0; i < columns->n; i++)
        at = field(at, columns->items[i].type, &own[i]);
    out->n += (size_t)(at - start);
    return 0;
}

int np_pg_copy_reading(struct np_bytes *out, int64_t time_ns, float value, const struct np_pg_origin *origin)
{
    unsigned char *start = np_bytes_reserve(out, 2 + NP_PG_READING_COLUMNS * 12), *at = start;

    if (!start)
        return -1;
    at = put16(at, NP_PG_READING_COLUMNS);
    at = field_time(at, time_ns);
    at = field64(at, origin->offset);
    at = field32(at, origin->sensor);
    at = field32(at, origin->channel);
    at = field32(at, origin->partition);
    at = field_float(at, value);
    at = field16(at, origin->topic);
    out->n += (size_t)(at - start);
    return 0;
}

int np_pg_copy_fields(struct np_bytes *out, int16_t n)
{
    unsigned char *at = np_bytes_reserve(out, 2);

    if (!at)
        return -1;
    put16(at, n);
    out->n += 2;
    return 0;
}

int np_pg_copy_field(struct np_bytes *out, const void *data, size_t n)
{
    unsigned char *at = np_bytes_reserve(out, 4 + n);

    if (!at)
        return -1;
    at = put32(at, data ? (int32_t)n : -1);
    if (data)
        memcpy(at, data, n);
    out->n += data ? 4 + n : 4;
    return 0;
}

int np_pg_copy_int(struct np_bytes *out, int32_t value)
{
    unsigned char *at = np_bytes_reserve(out, 8);

    if (!at)
        return -1;
    field32(at, value);
    out->n += 8;
    return 0;
}

int np_pg_copy_long(struct np_bytes *out, int64_t value)
{
    unsigned char *at = np_bytes_reserve(out, 12);

    if (!at)
        return -1;
    field64(at, value);
    out->n += 12;
    return 0;
}
