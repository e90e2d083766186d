#include "ingest/file_text.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/record.h"

#define LINE_START     65536
#define LINE_MAX_BYTES (16u << 20)

/* --- lines ------------------------------------------------------------------------------------ */

/* Reads more behind the buffered bytes. */
static enum np_status refill(struct np_lines *lines, struct np_error *err)
{
    size_t room, got;

    memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
    if (lines->capacity - lines->end < 2) {
        char *more;

        if (lines->capacity >= LINE_MAX_BYTES)
            return np_fail(err, NP_EDATA, "%s:%lld: a line longer than 16 MB: is this a text file?",
                           lines->name, (long long)lines->number + 1);
        more = realloc(lines->buffer, lines->capacity * 2);
        if (!more)
            return np_fail(err, NP_ENOMEM, "%s: out of memory for a line", lines->name);
        lines->buffer = more;
        lines->capacity *= 2;
    }
    room = lines->capacity - 1 - lines->end;
    if (lines->limit > 0 && (int64_t)room > lines->limit - lines->offset - (int64_t)lines->end)
        room = (size_t)(lines->limit - lines->offset - (int64_t)lines->end);
    got = room ? fread(lines->buffer + lines->end, 1, room, lines->stream) : 0;
    lines->last = got < room || room == 0;
    lines->end += got;
    return NP_OK;
}

enum np_status np_lines_next(struct np_lines *lines, char **line, struct np_error *err)
{
    size_t searched = 0, length;
    char *end;

    if (!lines->buffer) {
        lines->capacity = LINE_START;
        lines->buffer = malloc(lines->capacity);
        if (!lines->buffer)
            return np_fail(err, NP_ENOMEM, "%s: out of memory for a line", lines->name);
    }
    while (!(end = memchr(lines->buffer + lines->begin + searched, '\n',
                          lines->end - lines->begin - searched)) &&
           !lines->last) {
        enum np_status st;

        searched = lines->end - lines->begin;
        st = refill(lines, err);
        if (st != NP_OK)
            return st;
    }
    length = end ? (size_t)(end - lines->buffer) - lines->begin : lines->end - lines->begin;
    if (!end && length == 0)
        return NP_EEND;
    *line = lines->buffer + lines->begin;
    lines->number++;
    lines->offset += (int64_t)length + (end != NULL);
    lines->begin += length + (end != NULL);
    (*line)[length] = '\0';
    if (memchr(*line, '\0', length))
        return np_fail(err, NP_EDATA, "%s:%lld: a NUL byte: this is no text in UTF-8 or an 8-bit code page",
                       lines->name, (long long)lines->number);
    if (length && (*line)[length - 1] == '\r')
        (*line)[length - 1] = '\0';
    return NP_OK;
}

void np_lines_reset(struct np_lines *lines)
{
    lines->begin = lines->end = 0;
    lines->last = false;
    lines->number = lines->offset = 0;
}

void np_lines_free(struct np_lines *lines)
{
    free(lines->buffer);
    lines->buffer = NULL;
}

/* --- fields ----------------------------------------------------------------------------------- */

static char *trimmed(char *from, char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    *to = '\0';
    return from;
}

size_t np_fields_split(char *line, char separator, bool quoted, char **fields, size_t max)
{
    size_t n = 0;

    for (char *at = line;; at++) {
        char *from = at, *to, *start = at;
        char ended;

        while (*start == ' ')
            start++;
        if (quoted && *start == '"') {
            from = to = at = start + 1;
            for (; *at != '"' || at[1] == '"'; at++) {
                if (*at == '\0')
                    return 0;
                at += *at == '"';
                *to++ = *at;
            }
            for (at++; *at != separator && *at != '\0'; at++)
                *to++ = *at;
        } else {
            while (*at != separator && *at != '\0')
                at++;
            to = at;
        }
        ended = *at;
        from = trimmed(from, to);
        if (n < max)
            fields[n] = from;
        n++;
        if (ended == '\0')
            return n;
    }
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* Digits of up to 2^53 and a power of ten up to 22 give the correctly rounded double with one operation
 * (Clinger, "How to read floating point numbers accurately", 1990); all else goes to strtod. */
static bool quick_double(const char *text, char point, double *value)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t digits = 0;
    int n = 0, decimals = 0;
    bool negative = *text == '-';

    text += *text == '-' || *text == '+';
    for (; *text >= '0' && *text <= '9'; text++, n++)
        digits = digits * 10 + (uint64_t)(*text - '0');
    if (*text == point)
        for (text++; *text >= '0' && *text <= '9'; text++, n++, decimals++)
            digits = digits * 10 + (uint64_t)(*text - '0');
    if (*text != '\0' || n == 0 || n > 19 || digits > (UINT64_C(1) << 53) || decimals > 22)
        return false;
    *value = (double)digits / ten[decimals];
    if (negative)
        *value = -*value;
    return true;
}

static bool slow_double(const char *text, char point, double *value)
{
    char copy[64], *end;
    size_t n = strlen(text);
    double parsed;

    /* strtod also reads hexadecimal, inf and nan, which no recording means */
    if (n == 0 || n >= sizeof copy ||
        text[strspn(text, point == ',' ? "+-0123456789.,eE" : "+-0123456789.eE")] != '\0')
        return false;
    memcpy(copy, text, n + 1);
    for (char *at = copy; *at; at++)
        if (*at == point)
            *at = '.';
    parsed = strtod(copy, &end);
    if (*end != '\0' || !isfinite(parsed))
        return false;
    *value = parsed;
    return true;
}

static bool double_parse(const char *text, bool decimal_comma, double *value)
{
    return quick_double(text, '.', value) || (decimal_comma && quick_double(text, ',', value)) ||
           slow_double(text, decimal_comma ? ',' : '.', value);
}

bool np_double_parse(const char *text, double *value)
{
    return double_parse(text, false, value);
}

static bool means_missing(const char *text)
{
    static const char *const words[] = {"nan", "na", "n/a", "null", "none", "-nan"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return *text == '\0';
}

enum np_number np_file_number(const char *text, bool decimal_comma, float *value)
{
    double parsed;

    if (double_parse(text, decimal_comma, &parsed)) {
        *value = (float)parsed;
        return isfinite(*value) ? NP_NUMBER_OK : NP_NUMBER_BAD;
    }
    *value = NAN;
    return means_missing(text) ? NP_NUMBER_MISSING : NP_NUMBER_BAD;
}

/* --- times ------------------------------------------------------------------------------------ */

/* A decimal number times 10^exponent as an integer, exactly (digits beyond it are dropped). */
static bool scaled_integer(const char *text, bool decimal_comma, int exponent, int64_t *value)
{
    __int128 sum = 0;
    bool negative = *text == '-';
    int n = 0;

    text += *text == '-' || *text == '+';
    for (; *text >= '0' && *text <= '9' && n < 24; text++, n++)
        sum = sum * 10 + (*text - '0');
    if (*text == '.' || (decimal_comma && *text == ','))
        for (text++; *text >= '0' && *text <= '9'; text++, n++)
            if (exponent > 0) {
                sum = sum * 10 + (*text - '0');
                exponent--;
            }
    if (*text != '\0' || n == 0)
        return false;
    for (; exponent > 0; exponent--)
        sum *= 10;
    if (sum > INT64_MAX)
        return false;
    *value = negative ? -(int64_t)sum : (int64_t)sum;
    return true;
}

/* "28-Apr-2025 11:00:00.5" -> "2025-04-28 11:00:00.5" */
static bool month_by_name(const char *text, char out[48])
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    int day, year, used = 0;
    char month[4];

    if (sscanf(text, "%2d-%3[A-Za-z]-%4d%n", &day, month, &year, &used) != 3 || day < 1 || year < 1000 ||
        strlen(text) > 40 || strlen(month) != 3)
        return false;
    for (int i = 0; i < 12; i++)
        if (strncasecmp(names + (size_t)i * 3, month, 3) == 0) {
            snprintf(out, 48, "%04d-%02d-%02d%s", year, i + 1, day, text + used);
            return true;
        }
    return false;
}

/* Does the time say its zone? Only behind the date (its dashes are not signs). */
static bool has_zone(const char *text)
{
    return strlen(text) > 10 && strpbrk(text + 10, "Zz+-") != NULL;
}

static bool parse_date(const char *text, int64_t utc_offset_ns, int64_t *ns)
{
    char other[48];

    if (month_by_name(text, other))
        text = other;
    if (!np_time_parse(text, ns))
        return false;
    return has_zone(text) || !__builtin_sub_overflow(*ns, utc_offset_ns, ns);
}

enum np_time_form np_time_form(const char *text, bool decimal_comma)
{
    double value;
    int64_t ns;

    if (parse_date(text, 0, &ns))
        return NP_TIME_DATE;
    if (!double_parse(text, decimal_comma, &value))
        return NP_TIME_NONE;
    value = fabs(value);
    return value < 1e8    ? NP_TIME_SECONDS
           : value < 1e11 ? NP_TIME_EPOCH_S
           : value < 1e14 ? NP_TIME_EPOCH_MS
           : value < 1e17 ? NP_TIME_EPOCH_US
                          : NP_TIME_EPOCH_NS;
}

bool np_time_field(const char *text, enum np_time_form form, bool decimal_comma, int64_t start_ns,
                   int64_t utc_offset_ns, int64_t *ns)
{
    static const int exponents[] = {
        [NP_TIME_SECONDS] = 9,  [NP_TIME_EPOCH_S] = 9,  [NP_TIME_EPOCH_MS] = 6,
        [NP_TIME_EPOCH_US] = 3, [NP_TIME_EPOCH_NS] = 0,
    };
    double value;

    if (form == NP_TIME_NONE)
        return false;
    if (form == NP_TIME_DATE)
        return parse_date(text, utc_offset_ns, ns);
    if (!scaled_integer(text, decimal_comma, exponents[form], ns)) {
        /* with an exponent: 1.5e-3 */
        if (!double_parse(text, decimal_comma, &value))
            return false;
        value *= exponents[form] == 9 ? 1e9 : exponents[form] == 6 ? 1e6 : exponents[form] == 3 ? 1e3 : 1;
        if (!(fabs(value) < 9e18))
            return false;
        *ns = (int64_t)llround(value);
    }
    return form != NP_TIME_SECONDS || !__builtin_add_overflow(*ns, start_ns, ns);
}
