#include "pipeline/operator_doc.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/record.h"

static const char *const type_words[] = {
    [NP_COL_DOUBLE] = "number", [NP_COL_FLOAT] = "number", [NP_COL_LONG] = "whole number",
    [NP_COL_TIME] = "time",     [NP_COL_TEXT] = "text",    [NP_COL_FLOATS] = "list of numbers",
};

static bool is_windowed(const struct np_operator *op)
{
    return op->state_size == 0;
}

/* All columns that options can make: every switch on, one band called "name", the defaults else. */
static enum np_status all_columns(const struct np_operator *op, struct np_columns *columns,
                                  struct np_error *err)
{
    struct np_mistakes ignored = {0}; /* options that must be given */
    enum np_status status = NP_OK;
    void *conf = calloc(1, op->conf_size + 1);

    if (!conf)
        return np_fail(err, NP_ENOMEM, "out of memory");
    np_options_read(op->options, NULL, NULL, conf, &ignored);
    for (const struct np_option *row = op->options; row->name && status == NP_OK; row++) {
        if (row->type == NP_OPT_BOOL)
            status = np_option_value(row, "true", conf, err);
        else if (row->type == NP_OPT_BANDS)
            status = np_option_value(row, "{ name: 45..55 }", conf, err);
    }
    for (const struct np_column *column = op->columns; column && column->name && status == NP_OK; column++)
        if (np_columns_add(columns, column) != 0)
            status = np_fail(err, NP_ENOMEM, "out of memory");
    if (op->describe && status == NP_OK && op->describe(conf, columns) != NP_OK)
        status = np_fail(err, NP_ENOMEM, "out of memory");
    np_options_free(op->options, conf);
    free(conf);
    np_mistakes_free(&ignored);
    return status;
}

static const char *unit_words(const struct np_column *column, char *out, size_t size)
{
    const char *dollar = strchr(column->unit, '$');

    if (!dollar)
        return column->unit;
    if (strcmp(column->unit, "$") == 0)
        return "unit of the input";
    snprintf(out, size, "%.*s(unit of the input)%s", (int)(dollar - column->unit), column->unit, dollar + 1);
    return out;
}

static void columns_markdown(const struct np_column *columns, size_t n, FILE *out)
{
    char unit[100];

    fputs("| column | type | unit | meaning |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "| `%s` | %s | %s | %s |\n", columns[i].name, type_words[columns[i].type],
                unit_words(&columns[i], unit, sizeof unit), columns[i].help);
    fputc('\n', out);
}

static const char *kind_words(const struct np_operator *op)
{
    if (!is_windowed(op))
        return "Streaming: takes values one by one and tells events; its step has no window.";
    if (op->exact)
        return "Windowed: its step has a window (and a hop). Takes windows in which every sample has its "
               "place.";
    return "Windowed: its step has a window (and a hop).";
}

enum np_status np_operator_help(const struct np_operator *op, FILE *out, struct np_error *err)
{
    struct np_columns columns = {0};
    enum np_status status = all_columns(op, &columns, err);
    char unit[100];

    if (status == NP_OK) {
        fprintf(out, "%s: %s\n%s%s\n\nOptions:\n", op->name, op->help, kind_words(op),
                op->needs_uniform ? " Needs equally spaced samples." : "");
        np_options_help(op->options, "", out);
        if (!op->options[0].name)
            fputs("  none\n", out);
        fputs("\nResult columns:\n", out);
        for (size_t i = 0; i < columns.n; i++) {
            const char *words = unit_words(&columns.items[i], unit, sizeof unit);

            fprintf(out, "  %-14s %s%s%s%s: %s\n", columns.items[i].name, type_words[columns.items[i].type],
                    words[0] ? " [" : "", words, words[0] ? "]" : "", columns.items[i].help);
        }
    }
    np_columns_free(&columns);
    return status;
}

static enum np_status operator_markdown(const struct np_operator *op, FILE *out, struct np_error *err)
{
    struct np_columns columns = {0};
    enum np_status status = all_columns(op, &columns, err);

    if (status == NP_OK) {
        fprintf(out, "## %s\n\n%s %s%s\n\n", op->name, op->help, kind_words(op),
                op->needs_uniform ? " Needs equally spaced samples." : "");
        fputs(op->options[0].name ? "| option | value | default | meaning |\n|---|---|---|---|\n"
                                  : "No options.\n",
              out);
        np_options_markdown(op->options, out);
        fputc('\n', out);
        columns_markdown(columns.items, columns.n, out);
    }
    np_columns_free(&columns);
    return status;
}

enum np_status np_operators_markdown(FILE *out, struct np_error *err)
{
    enum np_status status = NP_OK;
    size_t n = 0;

    while (np_record_columns[n].name)
        n++;
    fputs("# Operators\n\nMade by `netzpuls operators --markdown` from the operators' descriptors; edit "
          "those.\n\n"
          "Columns that depend on options are shown with every switch on and one band called `name`.\n\n"
          "## Every result\n\n",
          out);
    columns_markdown(np_record_columns, n, out);
    fputs("| flag | bit | meaning |\n|---|---|---|\n", out);
#define X(name, bit, text, help) fprintf(out, "| `%s` | %d | %s |\n", text, bit, help);
    NP_FLAG_MAP(X)
#undef X
    fputc('\n', out);
    for (size_t i = 0; np_operators[i] && status == NP_OK; i++)
        status = operator_markdown(np_operators[i], out, err);
    return status;
}
