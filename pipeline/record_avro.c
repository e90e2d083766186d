/* Records as Avro (specification 1.11, "Binary Encoding"), and the schema that they are written by. As in
 * record_json.c the room is made once, from an upper bound. */
#include <ctype.h>
#include <string.h>

#include "pipeline/avro_put.h"
#include "pipeline/record.h"
#include "pipeline/utf8.h"

#define VARINT_MAX 10

/* Avro is little-endian, and so is every machine that this runs on. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie in memory");

static unsigned char *put_raw(unsigned char *at, const void *data, size_t n)
{
    if (n)
        memcpy(at, data, n);
    return at + n;
}

static unsigned char *put_string(unsigned char *at, const char *text)
{
    size_t n = strlen(text);

    return put_raw(np_avro_put_long(at, (int64_t)n), text, n);
}

static unsigned char *put_flags(unsigned char *at, uint32_t flags)
{
    int n = 0;

    for (int bit = 0; np_flag_names[bit]; bit++)
        n += flags >> bit & 1;
    if (n) {
        at = np_avro_put_long(at, n);
        for (int bit = 0; np_flag_names[bit]; bit++)
            if (flags & 1u << bit)
                at = put_string(at, np_flag_names[bit]);
    }
    return np_avro_put_long(at, 0);
}

static size_t flags_bound(uint32_t flags)
{
    size_t bound = 2 * VARINT_MAX;

    for (int bit = 0; np_flag_names[bit]; bit++)
        if (flags & 1u << bit)
            bound += VARINT_MAX + strlen(np_flag_names[bit]);
    return bound;
}

static size_t value_bound(const struct np_column *column, const struct np_value *value)
{
    switch (column->type) {
    case NP_COL_TEXT:
        return 1 + VARINT_MAX + (value->text ? strlen(value->text) : 0);
    case NP_COL_FLOATS:
        return 2 + VARINT_MAX + (size_t)value->n * sizeof(float);
    default:
        return 1 + VARINT_MAX;
    }
}

static bool is_null(const struct np_column *column, const struct np_value *value)
{
    switch (column->type) {
    case NP_COL_DOUBLE:
    case NP_COL_FLOAT:
        return isnan(value->f64);
    case NP_COL_LONG:
    case NP_COL_TIME:
        return value->i64 == NP_NULL_LONG;
    case NP_COL_TEXT:
        return !value->text;
    case NP_COL_FLOATS:
        return !value->floats;
    }
    return true;
}

static unsigned char *put_value(unsigned char *at, const struct np_column *column,
                                const struct np_value *value)
{
    float single;

    if (is_null(column, value))
        return np_avro_put_long(at, 0);
    at = np_avro_put_long(at, 1);
    switch (column->type) {
    case NP_COL_DOUBLE:
        return put_raw(at, &value->f64, sizeof value->f64);
    case NP_COL_FLOAT:
        single = (float)value->f64;
        return put_raw(at, &single, sizeof single);
    case NP_COL_LONG:
    case NP_COL_TIME:
        return np_avro_put_long(at, value->i64);
    case NP_COL_TEXT:
        return put_string(at, value->text);
    case NP_COL_FLOATS:
        if (value->n) {
            at = np_avro_put_long(at, value->n);
            at = put_raw(at, value->floats, value->n * sizeof(float));
        }
        return np_avro_put_long(at, 0);
    }
    return at;
}

int np_record_avro(const struct np_record *record, struct np_bytes *out)
{
    const struct np_columns *columns = &record->step->columns;
    size_t bound = 4 * VARINT_MAX + strlen(record->sensor) + strlen(record->channel) + sizeof(float) +
                   flags_bound(record->flags);
    unsigned char *start, *at;

    for (size_t i = 0; i < columns->n; i++)
        bound += value_bound(&columns->items[i], &record->values[i]);
    start = at = np_bytes_reserve(out, bound);
    if (!at)
        return -1;
    at = put_string(at, record->sensor);
    at = put_string(at, record->channel);
    at = np_avro_put_long(at, record->start_ns);
    at = np_avro_put_long(at, record->end_ns);
    at = put_raw(at, &record->coverage, sizeof record->coverage);
    at = put_flags(at, record->flags);
    for (size_t i = 0; i < columns->n; i++)
        at = put_value(at, &columns->items[i], &record->values[i]);
    out->n += (size_t)(at - start);
    return 0;
}

/* --- the schema --- */

static int add(struct np_bytes *out, const char *text)
{
    return np_bytes_append(out, text, strlen(text));
}

/* Text inside a JSON string; doc texts are the program's own, but a unit comes from the pipeline file. */
static int add_escaped(struct np_bytes *out, const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n;) {
        size_t step = np_utf8_next(text + i, n - i);
        const char *from = text + i, *escape = NULL;

        if (step == 0)
            from = "?";
        else if (*from == '"')
            escape = "\\\"";
        else if (*from == '\\')
            escape = "\\\\";
        else if ((unsigned char)*from < 0x20)
            escape = " ";
        if (escape ? add(out, escape) : np_bytes_append(out, from, step ? step : 1))
            return -1;
        i += step ? step : 1;
    }
    return 0;
}

/* Avro names are [A-Za-z_][A-Za-z0-9_]*; step and pipeline names may hold '-' and more. */
static int add_name(struct np_bytes *out, const char *name, bool first)
{
    if (first && isdigit((unsigned char)*name) && add(out, "_"))
        return -1;
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        char safe = c < 0x80 && (isalnum(c) || c == '_') ? (char)c : '_';

        if (np_bytes_append(out, &safe, 1))
            return -1;
    }
    return 0;
}

static const char *type_json(enum np_column_type type)
{
    switch (type) {
    case NP_COL_DOUBLE:
        return "\"double\"";
    case NP_COL_FLOAT:
        return "\"float\"";
    case NP_COL_LONG:
        return "\"long\"";
    case NP_COL_TIME:
        return "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}";
    case NP_COL_TEXT:
        return "\"string\"";
    case NP_COL_FLOATS:
        return "{\"type\":\"array\",\"items\":\"float\"}";
    }
    return "\"null\"";
}

/* {"name":..,"type":..,"doc":"meaning [unit]"} */
static int add_field(struct np_bytes *out, const struct np_column *column, const char *type, bool nullable)
{
    if (add(out, "{\"name\":\"") || add_name(out, column->name, true) || add(out, "\",\"type\":") ||
        (nullable && add(out, "[\"null\",")) || add(out, type) ||
        (nullable && add(out, "],\"default\":null")) || add(out, ",\"doc\":\"") ||
        add_escaped(out, column->help))
        return -1;
    if (column->unit && column->unit[0] &&
        (add(out, " [") || add_escaped(out, column->unit) || add(out, "]")))
        return -1;
    return add(out, "\"}");
}

int np_record_avro_name(const struct np_pipeline *pipeline, const struct np_step *step, struct np_bytes *out)
{
    return add_name(out, pipeline->name, true) || add(out, "_") || add_name(out, step->name, false) ? -1 : 0;
}

int np_record_avro_schema(const struct np_pipeline *pipeline, const struct np_step *step,
                          struct np_bytes *out)
{
    if (add(out, "{\"type\":\"record\",\"name\":\"") || np_record_avro_name(pipeline, step, out) ||
        add(out, "\",\"namespace\":\"netzpuls\",\"doc\":\"") ||
        add_escaped(out, step->op ? step->op->help : "") || add(out, "\",\"fields\":["))
        return -1;
    for (const struct np_column *column = np_record_columns; column->name; column++) {
        bool flags = column->type == NP_COL_LONG; /* the only one whose form is not its column's: names */
        const char *type = flags ? "{\"type\":\"array\",\"items\":\"string\"}" : type_json(column->type);

        if ((column != np_record_columns && add(out, ",")) || add_field(out, column, type, false))
            return -1;
    }
    for (size_t i = 0; i < step->columns.n; i++) {
        const struct np_column *column = &step->columns.items[i];

        if (add(out, ",") || add_field(out, column, type_json(column->type), true))
            return -1;
    }
    return add(out, "]}");
}
