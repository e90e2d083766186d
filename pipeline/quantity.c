#include "pipeline/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/option.h"

struct unit {
    const char *name;
    double factor;
};

/* The length of a decimal number at text, 0 if there is none. "45..55" holds the number 45. */
static size_t number_length(const char *text, bool exponent)
{
    size_t n = text[0] == '-' || text[0] == '+', first = n, exp;

    while (isdigit((unsigned char)text[n]))
        n++;
    if (n == first)
        return 0;
    if (text[n] == '.' && isdigit((unsigned char)text[n + 1]))
        for (n++; isdigit((unsigned char)text[n]); n++)
            ;
    if (exponent && (text[n] == 'e' || text[n] == 'E')) {
        exp = n + 1;
        if (text[exp] == '-' || text[exp] == '+')
            exp++;
        if (isdigit((unsigned char)text[exp]))
            for (n = exp; isdigit((unsigned char)text[n]); n++)
                ;
    }
    return n;
}

/* Reads the number at *text and moves behind it. */
static bool take_number(const char **text, double *value)
{
    char digits[64];
    size_t n = number_length(*text, true);

    if (n == 0 || n >= sizeof digits)
        return false;
    memcpy(digits, *text, n);
    digits[n] = '\0';
    *value = strtod(digits, NULL);
    *text += n;
    return isfinite(*value);
}

static const struct unit *unit_find(const struct unit *units, const char *name)
{
    for (; units->name; units++)
        if (strcmp(units->name, name) == 0)
            return units;
    return NULL;
}

bool np_number_parse(const char *text, double *value)
{
    return take_number(&text, value) && *text == '\0';
}

bool np_count_parse(const char *text, int64_t *value)
{
    char *end;

    if (number_length(text, false) == 0)
        return false;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static const struct {
    const char *name;
    int64_t ns;
} durations[] = {
    {"w", INT64_C(604800000000000)}, {"d", INT64_C(86400000000000)}, {"h", INT64_C(3600000000000)},
    {"min", INT64_C(60000000000)},   {"m", INT64_C(60000000000)},    {"s", INT64_C(1000000000)},
    {"ms", INT64_C(1000000)},        {"us", INT64_C(1000)},          {"ns", INT64_C(1)},
};
enum { N_DURATIONS = sizeof durations / sizeof *durations };

bool np_duration_parse(const char *text, int64_t *ns)
{
    size_t n = number_length(text, false), i = 0;
    __int128 whole = 0, part = 0, one = 1;

    if (n == 0 || n > 30 || !isdigit((unsigned char)text[0]))
        return false;
    for (; i < n && text[i] != '.'; i++)
        whole = whole * 10 + (text[i] - '0');
    for (i++; i < n && one < 1000000000000000; i++) {
        part = part * 10 + (text[i] - '0');
        one *= 10;
    }
    for (size_t unit = 0; unit < N_DURATIONS; unit++) {
        __int128 total;

        if (strcmp(durations[unit].name, text + n) != 0)
            continue;
        if (whole > INT64_MAX)
            return false;
        total = whole * durations[unit].ns + part * durations[unit].ns / one;
        if (total > INT64_MAX)
            return false;
        *ns = (int64_t)total;
        return true;
    }
    return false;
}

const char *np_duration_format(int64_t ns, char out[32])
{
    for (size_t unit = 0; unit < N_DURATIONS; unit++) {
        int64_t one = durations[unit].ns;
        int milli;

        if (strcmp(durations[unit].name, "m") == 0 || ns < one)
            continue;
        milli = (int)((__int128)(ns % one) * 1000 / one);
        if ((__int128)(ns % one) * 1000 % one != 0)
            continue;
        if (milli == 0) {
            snprintf(out, 32, "%lld%s", (long long)(ns / one), durations[unit].name);
        } else {
            snprintf(out, 32, "%lld.%03d", (long long)(ns / one), milli);
            out[strlen(out) - (milli % 100 == 0 ? 2 : milli % 10 == 0 ? 1 : 0)] = '\0';
            strcat(out, durations[unit].name);
        }
        return out;
    }
    snprintf(out, 32, "%lld%s", (long long)ns, ns == 0 ? "s" : "ns");
    return out;
}

static const struct unit frequencies[] = {{"MHz", 1e6},  {"kHz", 1e3}, {"Hz", 1},
                                          {"mHz", 1e-3}, {"", 1},      {NULL, 0}};

bool np_frequency_parse(const char *text, double *hz)
{
    const struct unit *unit;

    if (!take_number(&text, hz))
        return false;
    text += *text == ' ';
    unit = unit_find(frequencies, text);
    if (!unit)
        return false;
    *hz *= unit->factor;
    return isfinite(*hz);
}

const char *np_frequency_format(double hz, char out[32])
{
    const struct unit *unit = hz >= 1e6 ? &frequencies[0] : hz >= 1e3 ? &frequencies[1] : &frequencies[2];

    snprintf(out, 32, "%.9g%s", hz / unit->factor, unit->name);
    return out;
}

static const struct unit sizes[] = {
    {"GiB", 1024.0 * 1024 * 1024},
    {"GB", 1e9},
    {"MiB", 1024.0 * 1024},
    {"MB", 1e6},
    {"KiB", 1024},
    {"kB", 1e3},
    {"B", 1},
    {NULL, 0},
};

bool np_size_parse(const char *text, int64_t *bytes)
{
    const struct unit *unit;
    double value;

    if (!take_number(&text, &value) || value < 0)
        return false;
    text += *text == ' ';
    unit = unit_find(sizes, text);
    if (!unit || value * unit->factor >= 9e18)
        return false;
    *bytes = (int64_t)(value * unit->factor);
    return (double)*bytes == value * unit->factor;
}

const char *np_size_format(int64_t bytes, char out[32])
{
    const struct unit *unit = sizes;

    while (bytes == 0 || bytes % (int64_t)unit->factor != 0) {
        if (!unit[1].name)
            break;
        unit++;
    }
    snprintf(out, 32, "%lld%s", (long long)(bytes / (int64_t)unit->factor), unit->name);
    return out;
}

static const struct unit rates[] = {
    {"second", 1},    {"minute", 60},     {"hour", 3600}, {"day", 86400},
    {"week", 604800}, {"year", 31557600}, {NULL, 0},
};

bool np_rate_parse(const char *text, double *per_s)
{
    const struct unit *unit;

    if (!take_number(&text, per_s) || strncmp(text, " per ", 5) != 0)
        return false;
    unit = unit_find(rates, text + 5);
    if (!unit)
        return false;
    *per_s /= unit->factor;
    return true;
}

const char *np_rate_format(double per_s, char out[32])
{
    const struct unit *unit = rates;

    while (unit[1].name && per_s * unit->factor < 1 - 1e-9)
        unit++;
    snprintf(out, 32, "%.9g per %s", per_s * unit->factor, unit->name);
    return out;
}

bool np_range_parse(const char *text, double *from_hz, double *to_hz)
{
    const char *dots = strstr(text, "..");
    char from[48];

    if (!dots || dots - text >= (ptrdiff_t)sizeof from)
        return false;
    memcpy(from, text, (size_t)(dots - text));
    from[dots - text] = '\0';
    return np_frequency_parse(from, from_hz) && np_frequency_parse(dots + 2, to_hz);
}
