#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/json_text.h"
#include "pipeline/option.h"
#include "pipeline/quantity.h"

/* One row per type: what its values are called, an example, and the pattern of its text in a JSON Schema. */
static const struct {
    const char *words, *example, *schema_type, *pattern;
} types[] = {
    [NP_OPT_BOOL] = {"true or false", NULL, "boolean", NULL},
    [NP_OPT_COUNT] = {"a whole number", NULL, "integer", NULL},
    [NP_OPT_NUMBER] = {"a number", NULL, "number", NULL},
    [NP_OPT_DURATION] = {"a duration", "200ms", "string", "[0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|min|h|d|w)"},
    [NP_OPT_FREQUENCY] = {"a frequency", "50Hz", "number",
                          "[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)? ?(|mHz|Hz|kHz|MHz)"},
    [NP_OPT_SIZE] = {"a size", "64MB", "string", "[0-9]+(\\.[0-9]+)? ?(B|kB|KiB|MB|MiB|GB|GiB)"},
    [NP_OPT_RATE] = {"a rate", "1 per week", "string",
                     "[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)? per (second|minute|hour|day|week|year)"},
    [NP_OPT_TEXT] = {"a text", NULL, "string", NULL},
    [NP_OPT_TEXTS] = {"texts", NULL, "array", NULL},
    [NP_OPT_CHOICE] = {"one of", NULL, "string", NULL},
    [NP_OPT_BANDS] = {"bands in Hz", "{ low: 0..45, mains: 45..55 }", "object", NULL},
};

static void __attribute__((format(printf, 3, 4))) append(char *out, size_t size, const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;

    va_start(args, format);
    vsnprintf(out + used, size - used, format, args);
    va_end(args);
}

static const char *format_bound(const struct np_option *row, double value, char out[32])
{
    switch (row->type) {
    case NP_OPT_DURATION:
        return np_duration_format((int64_t)value, out);
    case NP_OPT_FREQUENCY:
        return np_frequency_format(value, out);
    case NP_OPT_SIZE:
        return np_size_format((int64_t)value, out);
    case NP_OPT_RATE:
        return np_rate_format(value, out);
    default:
        snprintf(out, 32, "%.15g", value);
        return out;
    }
}

static bool is_bounded(const struct np_option *row)
{
    return (row->min != 0 || row->max != 0) && row->type != NP_OPT_BANDS;
}

void np_option_allowed(const struct np_option *row, char *out, size_t size)
{
    char min[32], max[32];

    if (size == 0)
        return;
    out[0] = '\0';
    append(out, size, "%s", types[row->type].words);
    if (row->type == NP_OPT_CHOICE)
        for (size_t i = 0; row->choices[i]; i++)
            append(out, size, "%s %s", i ? "," : "", row->choices[i]);
    if (row->unit && row->unit[0] && strcmp(row->unit, "1") != 0 && row->type != NP_OPT_BANDS)
        append(out, size, " [%s]", row->unit);
    if (is_bounded(row) && isinf(row->max))
        append(out, size, " of at least %s", format_bound(row, row->min, min));
    else if (is_bounded(row) && isinf(row->min))
        append(out, size, " of at most %s", format_bound(row, row->max, max));
    else if (is_bounded(row))
        append(out, size, " between %s and %s", format_bound(row, row->min, min),
               format_bound(row, row->max, max));
    if (types[row->type].example)
        append(out, size, ", such as %s", types[row->type].example);
}

void np_options_help(const struct np_option *rows, const char *prefix, FILE *out)
{
    int width = 8, shift = (int)strlen(prefix);

    for (const struct np_option *row = rows; row->name; row++)
        if ((int)strlen(row->name) > width)
            width = (int)strlen(row->name);
    for (; rows->name; rows++) {
        char allowed[600];

        np_option_allowed(rows, allowed, sizeof allowed);
        fprintf(out, "  %s%-*s  %s\n  %-*s  %s; ", prefix, width, rows->name, rows->help, width + shift, "",
                allowed);
        if (!rows->default_text)
            fputs("must be given\n", out);
        else if (!rows->default_text[0])
            fputs("may be left out\n", out);
        else
            fprintf(out, "default %s\n", rows->default_text);
    }
}

static void markdown_cell(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

void np_options_markdown(const struct np_option *rows, FILE *out)
{
    for (; rows->name; rows++) {
        char allowed[600];

        np_option_allowed(rows, allowed, sizeof allowed);
        fprintf(out, "| `%s` | ", rows->name);
        markdown_cell(allowed, out);
        if (!rows->default_text)
            fputs(" | must be given | ", out);
        else if (!rows->default_text[0])
            fputs(" | - | ", out);
        else
            fprintf(out, " | `%s` | ", rows->default_text);
        markdown_cell(rows->help, out);
        fputs(" |\n", out);
    }
}

static void schema_default(const struct np_option *row, FILE *out)
{
    if (!row->default_text || !row->default_text[0] || row->type == NP_OPT_BANDS)
        return;
    fputs(", \"default\": ", out);
    if (row->type == NP_OPT_BOOL || row->type == NP_OPT_COUNT || row->type == NP_OPT_NUMBER)
        fputs(row->default_text, out);
    else
        np_json_text(row->default_text, out);
}

/* Where the text is free, ${NAME} is a text as any other; elsewhere it is one more pattern. */
static void schema_value(const struct np_option *row, FILE *out)
{
    const char *type = types[row->type].schema_type;

    switch (row->type) {
    case NP_OPT_BOOL:
    case NP_OPT_COUNT:
    case NP_OPT_NUMBER:
        fprintf(out, "\"type\": [\"%s\", \"string\"], \"pattern\": \"\\\\$\\\\{\"", type);
        if (is_bounded(row) && isfinite(row->min))
            fprintf(out, ", \"minimum\": %.15g", row->min);
        if (is_bounded(row) && isfinite(row->max))
            fprintf(out, ", \"maximum\": %.15g", row->max);
        break;
    case NP_OPT_DURATION:
    case NP_OPT_FREQUENCY:
    case NP_OPT_SIZE:
    case NP_OPT_RATE:
        fprintf(out, "\"type\": %s, \"pattern\": ",
                row->type == NP_OPT_FREQUENCY ? "[\"number\", \"string\"]" : "\"string\"");
        {
            char pattern[200];

            snprintf(pattern, sizeof pattern, "^%s$|\\$\\{", types[row->type].pattern);
            np_json_text(pattern, out);
        }
        break;
    case NP_OPT_TEXT:
        fputs("\"type\": \"string\"", out);
        break;
    case NP_OPT_TEXTS:
        fputs("\"type\": [\"array\", \"string\"], \"items\": {\"type\": \"string\"}", out);
        break;
    case NP_OPT_CHOICE:
        fputs("\"enum\": [", out);
        for (size_t i = 0; row->choices[i]; i++) {
            fputs(i ? ", " : "", out);
            np_json_text(row->choices[i], out);
        }
        fputc(']', out);
        break;
    case NP_OPT_BANDS:
        fputs("\"type\": \"object\", \"additionalProperties\": false, \"patternProperties\": "
              "{\"^[a-z][a-z0-9_]*$\": {\"type\": \"string\", \"pattern\": \"\\\\.\\\\.\"}}",
              out);
        break;
    }
}

void np_options_schema(const struct np_option *rows, FILE *out, const char ***required)
{
    size_t n = 0;
    const char **names;

    while (rows[n].name)
        n++;
    names = calloc(n + 1, sizeof *names);
    n = 0;
    for (const struct np_option *row = rows; row->name; row++) {
        char text[900], allowed[600];

        np_option_allowed(row, allowed, sizeof allowed);
        snprintf(text, sizeof text, "%s (%s)", row->help, allowed);
        fputs(row == rows ? "" : ", ", out);
        np_json_text(row->name, out);
        fputs(": {", out);
        schema_value(row, out);
        fputs(", \"description\": ", out);
        np_json_text(text, out);
        schema_default(row, out);
        fputc('}', out);
        if (!row->default_text && names)
            names[n++] = row->name;
    }
    *required = names;
}
