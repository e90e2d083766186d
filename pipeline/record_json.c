/* Records as JSON (RFC 8259). The room for a whole record is made once, from an upper bound; then text is written
 * without further checks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/record.h"
#include "pipeline/utf8.h"

#define NUMBER_MAX 32          /* "-1.7976931348623157e+308" is 24 */
#define TIME_MAX 42            /* quoted */

static char *put(char *at, const char *text)
{
    size_t n = strlen(text);

    memcpy(at, text, n);
    return at + n;
}

/* A byte becomes at most "\u001f". */
static size_t text_bound(const char *text)
{
    return 6 * strlen(text) + 2;
}

static char *put_text(char *at, const char *text)
{
    size_t n = strlen(text);

    *at++ = '"';
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t step = np_utf8_next(text + i, n - i);

        if (step == 0) {
            at = put(at, "\xef\xbf\xbd");       /* U+FFFD, the replacement character */
            i++;
            continue;
        }
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c == '\n') {
            at = put(at, "\\n");
        } else if (c == '\t') {
            at = put(at, "\\t");
        } else if (c < 0x20) {
            at += sprintf(at, "\\u%04x", c);
        } else {
            memcpy(at, text + i, step);
            at += step;
        }
        i += step;
    }
    *at++ = '"';
    return at;
}

static char *put_integer(char *at, int64_t value)
{
    char digits[20];
    int n = 0;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        *at++ = '-';
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

/* Whole numbers are frequent and need no search. @return NULL if it is none (or too large, or -0) */
static char *put_whole(char *at, double value)
{
    int64_t whole;

    if (!(fabs(value) < 1e15) || (value == 0 && signbit(value)))
        return NULL;
    whole = (int64_t)value;
    return (double)whole == value ? put_integer(at, whole) : NULL;
}

static bool same_double(const char *text, double value)
{
    return strtod(text, NULL) == value;
}

static bool same_float(const char *text, double value)
{
    return (double)strtof(text, NULL) == value;
}

/* The shortest text that reads back to the same value; null for what JSON has no number for. Most computed numbers need
 * all digits or all but one, so the search begins there. @param least digits that always survive; most: that suffice */
static char *put_number(char *at, double value, int least, int most, bool (*same)(const char *, double))
{
    char text[NUMBER_MAX];
    char *end;
    int n = 0;

    if (!isfinite(value))
        return put(at, "null");
    end = put_whole(at, value);
    if (end)
        return end;
    for (int digits = most - 1; digits >= least; digits--) {
        int length = snprintf(text, sizeof text, "%.*g", digits, value);

        if (!same(text, value))
            break;
        memcpy(at, text, (size_t)length);
        n = length;
    }
    return n ? at + n : at + snprintf(at, NUMBER_MAX, "%.*g", most, value);
}

static char *put_double(char *at, double value)
{
    return put_number(at, value, 15, 17, same_double);
}

static char *put_float(char *at, float value)
{
    return put_number(at, (double)value, 6, 9, same_float);
}

static char *put_time(char *at, int64_t ns)
{
    char text[40];

    *at++ = '"';
    at = put(at, np_time_format(ns, text));
    *at++ = '"';
    return at;
}

static char *put_flags(char *at, uint32_t flags)
{
    bool first = true;

    *at++ = '[';
    for (int bit = 0; np_flag_names[bit]; bit++) {
        if (!(flags & 1u << bit))
            continue;
        if (!first)
            *at++ = ',';
        at = put_text(at, np_flag_names[bit]);
        first = false;
    }
    *at++ = ']';
    return at;
}

static size_t flags_bound(void)
{
    size_t bound = 2;

    for (int bit = 0; np_flag_names[bit]; bit++)
        bound += text_bound(np_flag_names[bit]) + 1;
    return bound;
}

static size_t value_bound(const struct np_column *column, const struct np_value *value)
{
    switch (column->type) {
    case NP_COL_TEXT:
        return value->text ? text_bound(value->text) : 4;
    case NP_COL_FLOATS:
        return 4 + (size_t)value->n * (NUMBER_MAX + 1);
    default:
        return TIME_MAX;
    }
}

static char *put_value(char *at, const struct np_column *column, const struct np_value *value)
{
    switch (column->type) {
    case NP_COL_DOUBLE:
        return put_double(at, value->f64);
    case NP_COL_FLOAT:
        return put_float(at, (float)value->f64);
    case NP_COL_LONG:
        return value->i64 == NP_NULL_LONG ? put(at, "null") : put_integer(at, value->i64);
    case NP_COL_TIME:
        return value->i64 == NP_NULL_LONG ? put(at, "null") : put_time(at, value->i64);
    case NP_COL_TEXT:
        return value->text ? put_text(at, value->text) : put(at, "null");
    case NP_COL_FLOATS:
        if (!value->floats)
            return put(at, "null");
        *at++ = '[';
        for (uint32_t i = 0; i < value->n; i++) {
            if (i)
                *at++ = ',';
            at = put_float(at, value->floats[i]);
        }
        *at++ = ']';
        return at;
    }
    return at;
}

int np_record_json(const struct np_record *record, struct np_bytes *out)
{
    const struct np_columns *columns = &record->step->columns;
    size_t bound = 128 + text_bound(record->step->name) + text_bound(record->sensor) +
                   text_bound(record->channel) + 2 * TIME_MAX + NUMBER_MAX + flags_bound();
    char *start, *at;

    for (size_t i = 0; i < columns->n; i++)
        bound += text_bound(columns->items[i].name) + 2 + value_bound(&columns->items[i], &record->values[i]);
    start = at = (char *)np_bytes_reserve(out, bound);
    if (!at)
        return -1;
    at = put(at, "{\"step\":");
    at = put_text(at, record->step->name);
    at = put(at, ",\"sensor\":");
    at = put_text(at, record->sensor);
    at = put(at, ",\"channel\":");
    at = put_text(at, record->channel);
    at = put(at, ",\"start\":");
    at = put_time(at, record->start_ns);
    at = put(at, ",\"end\":");
    at = put_time(at, record->end_ns);
    at = put(at, ",\"coverage\":");
    at = put_float(at, record->coverage);
    at = put(at, ",\"flags\":");
    at = put_flags(at, record->flags);
    for (size_t i = 0; i < columns->n; i++) {
        *at++ = ',';
        at = put_text(at, columns->items[i].name);
        *at++ = ':';
        at = put_value(at, &columns->items[i], &record->values[i]);
    }
    *at++ = '}';
    out->n += (size_t)(at - start);
    return 0;
}
