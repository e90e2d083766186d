/* CSV (RFC 4180 and what people make of it): the rules stand in ingest/file.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ingest/file_clock.h"
#include "ingest/file_reader.h"
#include "ingest/file_text.h"

#define NO_COLUMN   SIZE_MAX
#define MAX_COLUMNS 65536

struct csv {
    struct np_lines lines;
    struct np_clock *clock;
    char separator;
    bool decimal_comma, header;
    size_t n_columns, time; /* NO_COLUMN: rate and start tell the times */
    enum np_time_form form;
    char **fields;           /* [n_columns] of the line read last */
    bool pending;            /* that line has not been given yet */
    int64_t time_ns;         /* its time */
    int64_t data, data_line; /* where the rows begin: byte, line */
};

static bool match(const unsigned char *head, size_t n, const char *extension)
{
    (void)head, (void)n, (void)extension;
    return true;
}

static char guess_separator(const char *line)
{
    static const char candidates[] = ";\t,";
    size_t counts[3] = {0}, best = 2;
    bool quoted = false;

    for (; *line; line++) {
        const char *found = strchr(candidates, *line);

        quoted ^= *line == '"';
        if (found && !quoted)
            counts[found - candidates]++;
    }
    for (size_t i = 0; i < 3; i++)
        if (counts[i] > counts[best])
            best = i;
    return candidates[best];
}

/* The next line that is not empty. */
static enum np_status next_line(struct csv *csv, char **line, struct np_error *err)
{
    enum np_status st;

    do
        st = np_lines_next(&csv->lines, line, err);
    while (st == NP_OK && (*line)[strspn(*line, " \t")] == '\0' && csv->n_columns != 1);
    return st;
}

/* The next row into csv->fields. */
static enum np_status next_row(struct csv *csv, struct np_error *err)
{
    char *line;
    enum np_status st = next_line(csv, &line, err);
    size_t n;

    if (st != NP_OK)
        return st;
    n = np_fields_split(line, csv->separator, true, csv->fields, csv->n_columns);
    if (n == csv->n_columns)
        return NP_OK;
    if (n == 0)
        return np_fail(err, NP_EDATA, "%s:%lld: a quote is not closed on its line", csv->lines.name,
                       (long long)csv->lines.number);
    return np_fail(err, NP_EDATA, "%s:%lld: %zu fields, but the first row has %zu (separator %s)",
                   csv->lines.name, (long long)csv->lines.number, n, csv->n_columns,
                   csv->separator == '\t'  ? "tab"
                   : csv->separator == ';' ? "\";\""
                                           : "\",\"");
}

static enum np_status row_time(struct np_file *file, struct csv *csv, struct np_error *err)
{
    const char *text = csv->fields[csv->time];

    if (np_time_field(text, csv->form, csv->decimal_comma, file->options.start_ns,
                      file->options.utc_offset_ns, &csv->time_ns))
        return NP_OK;
    return np_fail(err, NP_EDATA, "%s:%lld: the time \"%.64s\" (column %zu) %s", file->name,
                   (long long)csv->lines.number, text, csv->time + 1,
                   csv->form == NP_TIME_NONE
                       ? "can be read neither as a date (2025-04-28T11:00:00.5Z, 28-Apr-2025 11:00:00) nor "
                         "as a number of seconds; --time-column names another column"
                   : csv->form == NP_TIME_DATE ? "is no date such as those before it"
                                               : "is no number such as those before it");
}

/* Which column holds the times; the fields of the first row of data are at hand, header holds the names. */
static enum np_status choose_time(struct np_file *file, struct csv *csv, char **header, struct np_error *err)
{
    static const char *const names[] = {"time", "timestamp", "datetime", "date"};
    const char *wanted = file->options.time_column;

    csv->time = NO_COLUMN;
    if (wanted && strcmp(wanted, "none") == 0) {
        if (file->options.rate_hz > 0)
            return NP_OK;
        return np_fail(err, NP_ECONFIG, "%s: without a time column the rate must be given", file->name);
    }
    if (wanted) {
        for (size_t i = 0; i < csv->n_columns && csv->time == NO_COLUMN; i++)
            if (strcmp(header[i], wanted) == 0)
                csv->time = i;
        if (csv->time == NO_COLUMN)
            return np_fail(
                err, NP_ECONFIG,
                "%s: no column \"%s\" to take the times from; the first is \"%.64s\", the last \"%.64s\"",
                file->name, wanted, header[0], header[csv->n_columns - 1]);
    } else if (np_time_form(csv->fields[0], csv->decimal_comma) != NP_TIME_DATE) {
        for (size_t k = 0; k < sizeof names / sizeof names[0] && csv->time == NO_COLUMN; k++)
            for (size_t i = 0; i < csv->n_columns && csv->time == NO_COLUMN; i++)
                if (strcasecmp(header[i], names[k]) == 0)
                    csv->time = i;
    }
    if (csv->time == NO_COLUMN)
        csv->time = 0;
    csv->form = np_time_form(csv->fields[csv->time], csv->decimal_comma);
    return NP_OK;
}

/* "U1 [V]" -> "V" */
static void unit_of(const char *name, char out[32])
{
    const char *open = strrchr(name, '[');
    size_t n = open ? strlen(open) : 0;

    out[0] = '\0';
    if (n > 2 && n < 32 && open[n - 1] == ']') {
        memcpy(out, open + 1, n - 2);
        out[n - 2] = '\0';
    }
}

static enum np_status name_channels(struct np_file *file, struct csv *csv, char **header,
                                    struct np_error *err)
{
    size_t n = csv->n_columns - (csv->time != NO_COLUMN), channel = 0;
    enum np_status st;

    if (n == 0)
        return np_fail(err, NP_EDATA, "%s:1: only a time column; at least one column of samples is needed",
                       file->name);
    st = np_file_channels(file, n, err);
    for (size_t i = 0; i < csv->n_columns && st == NP_OK; i++) {
        char name[32], unit[32];

        if (i == csv->time)
            continue;
        snprintf(name, sizeof name, "ch%zu", channel + 1);
        unit_of(header[i], unit);
        st = np_file_channel(file, channel, csv->header && *header[i] ? header[i] : name, unit, "", err);
        channel++;
    }
    return st == NP_OK ? np_file_unique(file, err) : st;
}

static bool all_numbers(char **fields, size_t n)
{
    double value;

    for (size_t i = 0; i < n; i++)
        if (!np_double_parse(fields[i], &value))
            return false;
    return true;
}

/* The first line tells separator, columns and names; the second which column is the time. */
static enum np_status read_header(struct np_file *file, struct csv *csv, struct np_error *err)
{
    char *line, *first = NULL, **header = NULL;
    enum np_status st = next_line(csv, &line, err);

    if (st == NP_EEND)
        return np_fail(err, NP_EDATA, "%s:1: the file is empty; a header row is needed", file->name);
    if (st != NP_OK)
        return st;
    first = strdup(strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line);
    if (!first)
        return np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
    csv->separator = guess_separator(first);
    csv->decimal_comma = csv->separator != ',';
    csv->n_columns = 1;
    for (const char *at = first; *at; at++)
        csv->n_columns += *at == csv->separator;
    header = calloc(csv->n_columns, sizeof *header);
    csv->fields = calloc(csv->n_columns, sizeof *csv->fields);
    if (!header || !csv->fields) {
        st = np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
        goto out;
    }
    csv->n_columns = np_fields_split(first, csv->separator, true, header, csv->n_columns);
    if (csv->n_columns == 0 || csv->n_columns > MAX_COLUMNS) {
        st = np_fail(err, NP_EDATA, "%s:1: %s", file->name,
                     csv->n_columns ? "more than 65536 columns" : "a quote is not closed");
        goto out;
    }
    csv->header = !all_numbers(header, csv->n_columns);
    if (csv->header) {
        csv->data = csv->lines.offset;
        csv->data_line = csv->lines.number;
    } else if (fseeko(file->stream, 0, SEEK_SET) == 0) {
        np_lines_reset(&csv->lines);
    }
    st = next_row(csv, err);
    if (st == NP_EEND)
        st = np_fail(err, NP_EDATA, "%s:%lld: no row of data after the header", file->name,
                     (long long)csv->lines.number);
    if (st == NP_OK)
        st = choose_time(file, csv, header, err);
    if (st == NP_OK)
        st = name_channels(file, csv, header, err);
out:
    free(header);
    free(first);
    return st;
}

static enum np_status rewind_rows(struct np_file *file, struct csv *csv, struct np_error *err)
{
    if (fseeko(file->stream, (off_t)csv->data, SEEK_SET) != 0)
        return np_fail(err, NP_EDATA, "%s: byte %lld cannot be reached", file->name, (long long)csv->data);
    np_lines_reset(&csv->lines);
    csv->lines.number = csv->data_line;
    csv->lines.offset = csv->data;
    return NP_OK;
}

/* First pass, over the times alone: is there a rate? */
static enum np_status find_rate(struct np_file *file, struct csv *csv, struct np_error *err)
{
    enum np_status st = rewind_rows(file, csv, err);

    while (st == NP_OK && csv->time != NO_COLUMN) {
        st = next_row(csv, err);
        if (st == NP_OK)
            st = row_time(file, csv, err);
        if (st == NP_OK)
            np_clock_add(csv->clock, csv->time_ns);
    }
    if (st != NP_EEND && st != NP_OK)
        return st;
    np_clock_settle(csv->clock, file->options.rate_hz);
    file->info.rate_hz = csv->clock->rate_hz;
    file->info.n_rates = csv->clock->rate_hz > 0;
    file->info.start_ns = csv->time != NO_COLUMN ? csv->clock->first : file->options.start_ns;
    if (csv->time != NO_COLUMN)
        file->info.n_samples = csv->clock->n;
    else
        np_clock_start(csv->clock, file->options.start_ns);
    return rewind_rows(file, csv, err);
}

static enum np_status open_csv(struct np_file *file, struct np_error *err)
{
    struct csv *csv = file->state = calloc(1, sizeof *csv);
    enum np_status st;

    if (csv)
        csv->clock = calloc(1, sizeof *csv->clock);
    if (!csv || !csv->clock)
        return np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
    csv->lines.stream = file->stream;
    csv->lines.name = file->name;
    st = read_header(file, csv, err);
    if (st == NP_OK)
        st = find_rate(file, csv, err);
    return st == NP_OK ? np_file_format(file, err, "CSV") : st;
}

/* The values of the row at hand become row n of the blocks. */
static enum np_status take_row(struct np_file *file, struct csv *csv, struct np_blocks *blocks, size_t n,
                               struct np_error *err)
{
    size_t channel = 0;

    for (size_t i = 0; i < csv->n_columns; i++) {
        if (i == csv->time)
            continue;
        if (np_file_number(csv->fields[i], csv->decimal_comma, np_file_samples(blocks, channel) + n) ==
            NP_NUMBER_BAD)
            return np_fail(
                err, NP_EDATA,
                "%s:%lld: column %zu (%.64s): \"%.64s\" is not a finite number (empty or NaN: missing)",
                file->name, (long long)csv->lines.number, i + 1, file->channels[channel].name,
                csv->fields[i]);
        channel++;
    }
    return NP_OK;
}

/* Reads a row unless one is pending, and finds its place. @param fits  false: it begins a new block */
static enum np_status place_row(struct np_file *file, struct csv *csv, bool first, bool *fits,
                                struct np_error *err)
{
    enum np_status st = csv->pending ? NP_OK : next_row(csv, err);

    if (st == NP_OK && !csv->pending && csv->time != NO_COLUMN)
        st = row_time(file, csv, err);
    if (st != NP_OK)
        return st;
    *fits = true;
    if (csv->time == NO_COLUMN) {
        csv->clock->k++;
    } else if (csv->clock->rate_hz > 0 && !np_clock_step(csv->clock, csv->time_ns)) {
        *fits = first;
        if (first) {
            np_clock_start(csv->clock, csv->time_ns);
            csv->clock->k = 1;
        }
    }
    csv->pending = !*fits;
    return NP_OK;
}

static enum np_status next(struct np_file *file, struct np_blocks *blocks, struct np_error *err)
{
    struct csv *csv = file->state;
    double rate_hz = csv->clock->rate_hz;
    size_t rows = np_file_rows(file, rate_hz), n = 0;
    enum np_status st = np_file_blocks(file, blocks, rows, rate_hz == 0, err);
    int64_t t0_ns = 0;

    while (st == NP_OK && n < rows) {
        bool fits;

        st = place_row(file, csv, n == 0, &fits, err);
        if (st != NP_OK || !fits)
            break;
        if (rate_hz == 0)
            blocks->times[n] = csv->time_ns;
        if (n == 0)
            t0_ns = rate_hz == 0 ? csv->time_ns : np_file_time(csv->clock->t0_ns, rate_hz, csv->clock->k - 1);
        st = take_row(file, csv, blocks, n, err);
        n += st == NP_OK;
    }
    file->done = csv->lines.offset;
    st = np_file_defer(file, st, n, err);
    if (st != NP_OK)
        return st;
    np_file_finish(blocks, (uint32_t)n, t0_ns, rate_hz);
    return NP_OK;
}

static void close_csv(struct np_file *file)
{
    struct csv *csv = file->state;

    if (csv) {
        np_lines_free(&csv->lines);
        free(csv->clock);
        free(csv->fields);
    }
    free(csv);
    file->state = NULL;
}

const struct np_file_reader np_file_reader_csv = {
    .match = match, .open = open_csv, .next = next, .close = close_csv};
