/* Records as JSON (RFC 8259). The room for a whole record is made once, from an upper bound; then text is
 * written without further checks. */
#include <stdio.h>
#include <string.h>

#include "pipeline/record.h"
#include "pipeline/shortest.h"
#include "pipeline/utf8.h"

#define NUMBER_MAX 32 /* "-1.7976931348623157e+308" is 24 */
#define TIME_MAX   42 /* quoted */

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
            at = put(at, "\xef\xbf\xbd"); /* U+FFFD, the replacement character */
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

/* Whole numbers are frequent and simple. @return NULL if it is none (or too large, or -0) */
static char *put_whole(char *at, double value)
{
    int64_t whole;

    if (!(fabs(value) < 1e15) || (value == 0 && signbit(value)))
        return NULL;
    whole = (int64_t)value;
    return (double)whole == value ? put_integer(at, whole) : NULL;
}

/* As "%g" lays a number out: plain from 1e-5 to below 1e17, else with an exponent. */
static char *put_decimal(char *at, struct np_decimal decimal, bool negative)
{
    char digits[24];
    int n = (int)(put_integer(digits, (int64_t)decimal.digits) - digits), point;

    while (n > 1 && digits[n - 1] == '0') {
        n--;
        decimal.exponent++;
    }
    point = n + decimal.exponent; /* where the decimal point stands, seen from the first digit */
    if (negative)
        *at++ = '-';
    if (point > 17 || point < -4) {
        *at++ = digits[0];
        if (n > 1) {
            *at++ = '.';
            memcpy(at, digits + 1, (size_t)n - 1);
            at += n - 1;
        }
        *at++ = 'e';
        return put_integer(at, point - 1);
    }
    if (point <= 0) {
        at = put(at, "0.");
        memset(at, '0', (size_t)-point);
        at += -point;
        memcpy(at, digits, (size_t)n);
        return at + n;
    }
    for (int i = 0; i < n || i < point; i++) {
        if (i == point)
            *at++ = '.';
        *at++ = i < n ? digits[i] : '0';
    }
    return at;
}

/* null for what JSON has no number for. */
static char *put_double(char *at, double value)
{
    char *end = isfinite(value) ? put_whole(at, value) : put(at, "null");

    return end          ? end
           : value == 0 ? put(at, "-0")
                        : put_decimal(at, np_shortest_double(value), signbit(value));
}

static char *put_float(char *at, float value)
{
    char *end = isfinite(value) ? put_whole(at, (double)value) : put(at, "null");

    return end ? end : value == 0 ? put(at, "-0") : put_decimal(at, np_shortest_float(value), signbit(value));
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
