/* COMTRADE files: finds the configuration and the samples, gives the samples as blocks. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ingest/comtrade.h"
#include "pipeline/file.h"

#define CONFIGURATION_MAX (64u << 20)

static bool match(const unsigned char *head, size_t n, const char *extension)
{
    static const char mark[] = "--- file type:";

    return strcmp(extension, "cfg") == 0 || strcmp(extension, "dat") == 0 || strcmp(extension, "cff") == 0 ||
           (n >= sizeof mark && strncasecmp((const char *)head, mark, sizeof mark - 1) == 0);
}

/* The file of the pair with another extension, in whatever case it is written: "a.CFG" -> "a.DAT". @return
 * given */
static char *sibling(const char *path, const char *extension)
{
    size_t stem = strlen(path) - 3;
    char *other = strdup(path);

    for (int form = 0; other && form < 3; form++) {
        for (size_t i = 0; i < 3; i++) {
            bool upper = form == 0 ? isupper((unsigned char)path[stem + i]) != 0 : form == 1;

            other[stem + i] = (char)(upper ? toupper((unsigned char)extension[i]) : extension[i]);
        }
        if (form == 2)
            break; /* lower case is what the message names */
        FILE *there = fopen(other, "rb");

        if (there) {
            fclose(there);
            break;
        }
    }
    return other;
}

/* A .cfg and its .dat. */
static enum np_status open_pair(struct np_file *file, struct np_comtrade *record, struct np_error *err)
{
    char *cfg_path, *text = NULL;
    enum np_status st = NP_ENOMEM;
    size_t length;

    if (!file->from_path)
        return np_fail(err, NP_ECONFIG, "%s: of COMTRADE only .cff can be read from a stream", file->name);
    cfg_path = sibling(file->path, "cfg");
    record->data_path = sibling(file->path, "dat");
    if (!cfg_path || !record->data_path) {
        np_fail(err, st, "%s: out of memory", file->name);
        goto out;
    }
    text = np_file_read(cfg_path, CONFIGURATION_MAX, &length, err);
    if (!text) {
        st = err ? err->status : NP_ECONFIG;
        goto out;
    }
    st = NP_EDATA;
    if (memchr(text, '\0', length)) {
        np_fail(err, st, "%s: a NUL byte: this is no text in UTF-8 or an 8-bit code page",
                basename(cfg_path));
        goto out;
    }
    st = np_comtrade_parse(file, record, text, basename(cfg_path), 0, err);
    if (st != NP_OK)
        goto out;
    record->data = fopen(record->data_path, "rb");
    record->own_data = true;
    if (!record->data) {
        st = np_fail(err, NP_ECONFIG, "%s: %s (the samples of %s)", record->data_path, strerror(errno),
                     basename(cfg_path));
        goto out;
    }
    if (fseeko(record->data, 0, SEEK_END) == 0)
        record->data_end = ftello(record->data);
    file->total = record->data_end;
    record->data_name = basename(record->data_path);
out:
    free(cfg_path);
    free(text);
    return st;
}

/* "--- file type: DAT BINARY: 4214 ---" -> "DAT BINARY: 4214 ---"; NULL if it is no such line */
static const char *section(const char *line)
{
    size_t n = strspn(line, "- ");

    if (n < 3 || strncasecmp(line + n, "file type:", 10) != 0)
        return NULL;
    line += n + 10;
    return line + strspn(line, " ");
}

static bool append_line(char **text, size_t *used, size_t *capacity, const char *line)
{
    size_t n = strlen(line);

    if (*capacity - *used < n + 2) {
        char *more = realloc(*text, (*used + n + 2) * 2);

        if (!more)
            return false;
        *text = more;
        *capacity = (*used + n + 2) * 2;
    }
    memcpy(*text + *used, line, n);
    memcpy(*text + *used + n, "\n", 2);
    *used += n + 1;
    return true;
}

/* The header of the data section: "DAT ASCII ---", "DAT BINARY: 4214 ---". */
static void take_data_header(struct np_comtrade *record, const struct np_file *file, const char *header)
{
    const char *colon = strchr(header, ':');
    long long length = colon ? strtoll(colon + 1, NULL, 10) : 0;

    record->data_at = record->lines.offset;
    record->line_offset = record->lines.number;
    record->data_end = file->total;
    if (length > 0 && length < file->total - record->data_at)
        record->data_end = record->data_at + length;
}

/* A .cff: the sections one behind the other in one file (2013, clause 9). */
static enum np_status open_single(struct np_file *file, struct np_comtrade *record, struct np_error *err)
{
    char *text = NULL, *line;
    size_t used = 0, capacity = 0;
    bool in_cfg = false, data = false;
    int cfg_line = 0;
    enum np_status st = NP_OK;

    record->lines.stream = file->stream;
    record->lines.name = file->name;
    while (!data && (st = np_lines_next(&record->lines, &line, err)) == NP_OK) {
        const char *header = section(line);

        if (header) {
            in_cfg = strncasecmp(header, "CFG", 3) == 0;
            cfg_line = in_cfg ? (int)record->lines.number : cfg_line;
            data = strncasecmp(header, "DAT", 3) == 0;
            if (data)
                take_data_header(record, file, header);
        } else if (in_cfg && (used > CONFIGURATION_MAX || !append_line(&text, &used, &capacity, line))) {
            st = np_fail(err, NP_ENOMEM, "%s: out of memory for the configuration", file->name);
            goto out;
        }
    }
    if (st == NP_EEND || (st == NP_OK && !text))
        st = np_fail(err, NP_EDATA, "%s:%lld: no section \"--- file type: %s ---\"", file->name,
                     (long long)record->lines.number, text ? "DAT ..." : "CFG");
    if (st == NP_OK)
        st = np_comtrade_parse(file, record, text, file->name, cfg_line, err);
    record->data = file->stream;
    record->data_name = file->name;
out:
    free(text);
    return st;
}

/* Section by section, each begins where the one before ends; summed without rounding in between. */
static void place_rates(struct np_comtrade *record)
{
    long double time = (long double)record->start_ns;
    uint64_t before = 0;

    for (size_t i = 0; i < record->n_rates; i++) {
        struct np_comtrade_rate *rate = &record->rates[i];

        rate->start_ns = time < 9.2e18L ? (int64_t)llroundl(time) : (int64_t)9.2e18L;
        time += (long double)(rate->end - before) * 1e9L / (long double)rate->rate_hz;
        before = rate->end;
    }
}

/* Without sampling rates: a first pass over the time stamps. */
static enum np_status find_rate(struct np_file *file, struct np_comtrade *record, struct np_error *err)
{
    enum np_status st = NP_OK;

    record->clock = calloc(1, sizeof *record->clock);
    if (!record->clock)
        return np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
    while ((st = np_comtrade_data_next(file, record, err)) == NP_OK)
        np_clock_add(record->clock, record->row_time_ns);
    if (st != NP_EEND)
        return st;
    np_clock_settle(record->clock, file->options.rate_hz);
    record->turns = record->stamp = 0;
    file->info.start_ns = record->clock->first;
    file->info.rate_hz = record->clock->rate_hz;
    file->info.n_rates = record->clock->rate_hz > 0;
    return np_comtrade_data_open(file, record, err);
}

static enum np_status open_comtrade(struct np_file *file, struct np_error *err)
{
    static const char *const types[] = {"ASCII", "BINARY", "BINARY32", "FLOAT32"};
    struct np_comtrade *record = file->state = calloc(1, sizeof *record);
    size_t dot = strlen(file->path);
    enum np_status st;

    if (!record)
        return np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
    if (dot >= 4 &&
        (strcasecmp(file->path + dot - 4, ".cfg") == 0 || strcasecmp(file->path + dot - 4, ".dat") == 0))
        st = open_pair(file, record, err);
    else
        st = open_single(file, record, err);
    if (st == NP_OK)
        st = np_file_format(file, err, "COMTRADE %d %s", record->revision, types[record->type]);
    if (st == NP_OK)
        st = np_comtrade_data_open(file, record, err);
    if (st != NP_OK)
        return st;
    file->info.trigger_ns = record->trigger_ns;
    file->info.start_ns = record->start_ns;
    file->info.n_samples = (int64_t)record->n_samples;
    if (record->record)
        file->info.n_samples = (record->data_end - record->data_at) / (int64_t)record->record;
    if (record->n_rates == 0)
        return find_rate(file, record, err);
    place_rates(record);
    file->info.rate_hz = record->rates[0].rate_hz;
    file->info.n_rates = record->n_rates;
    return NP_OK;
}

/* Where the row at hand lies. @param first  it begins a block @return false: it belongs to the next block */
static bool place_row(struct np_comtrade *record, bool first, int64_t *time_ns, double *rate_hz)
{
    uint64_t index = record->read - 1;
    struct np_comtrade_rate *rate;

    if (record->clock) {
        *rate_hz = record->clock->rate_hz;
        *time_ns = record->row_time_ns;
        if (*rate_hz == 0)
            return true;
        if (!np_clock_step(record->clock, record->row_time_ns)) {
            if (!first)
                return false;
            np_clock_start(record->clock, record->row_time_ns);
            record->clock->k = 1;
        }
        *time_ns = np_file_time(record->clock->t0_ns, *rate_hz, record->clock->k - 1);
        return true;
    }
    /* what lies behind the last section still belongs to it */
    if (index >= record->rates[record->rate].end && record->rate + 1 < record->n_rates) {
        if (!first)
            return false;
        record->rate++;
    }
    rate = &record->rates[record->rate];
    *rate_hz = rate->rate_hz;
    *time_ns = np_file_time(rate->start_ns, rate->rate_hz, index - (record->rate ? rate[-1].end : 0));
    return true;
}

/* A channel that was sampled later than the others by its skew. */
static void shift_skewed(const struct np_comtrade *record, struct np_blocks *blocks, bool times, size_t rows)
{
    for (size_t c = 0; c < record->n_analog; c++) {
        struct np_block *block = &blocks->items[c];
        int64_t skew_ns = record->analog[c].skew_ns;

        if (skew_ns == 0 || __builtin_add_overflow(block->t0_ns, skew_ns, &block->t0_ns) || !times)
            continue;
        /* irregular: the times are shared by the channels without skew; room for this one was made behind
         * them */
        int64_t *own = blocks->times + (c + 1) * rows;

        for (uint32_t i = 0; i < block->n; i++)
            if (__builtin_add_overflow(blocks->times[i], skew_ns, &own[i]))
                own[i] = blocks->times[i];
        block->times = own;
    }
}

static bool any_skew(const struct np_comtrade *record)
{
    for (size_t c = 0; c < record->n_analog; c++)
        if (record->analog[c].skew_ns != 0)
            return true;
    return false;
}

static enum np_status next(struct np_file *file, struct np_blocks *blocks, struct np_error *err)
{
    struct np_comtrade *record = file->state;
    double rate_hz = record->clock ? record->clock->rate_hz : record->rates[record->rate].rate_hz, row_rate;
    bool irregular = rate_hz == 0;
    size_t rows = np_file_rows(file, rate_hz), n = 0;
    int64_t t0_ns = 0, time_ns;
    enum np_status st = np_file_blocks(file, blocks, rows, irregular, err);

    if (st == NP_OK && irregular && any_skew(record)) {
        if (!np_blocks_times(blocks, record->n_analog * rows))
            st = np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
        for (size_t c = 0; st == NP_OK && c < blocks->n; c++)
            blocks->items[c].times = blocks->times;
    }
    while (st == NP_OK && n < rows) {
        if (!record->pending)
            st = np_comtrade_data_next(file, record, err);
        if (st != NP_OK)
            break;
        record->pending = !place_row(record, n == 0, &time_ns, &row_rate);
        if (record->pending)
            break;
        if (n == 0) {
            t0_ns = time_ns;
            rate_hz = row_rate;
        }
        if (irregular)
            blocks->times[n] = time_ns;
        for (size_t c = 0; c < blocks->n; c++)
            np_file_samples(blocks, c)[n] = record->row[c];
        n++;
    }
    st = np_file_defer(file, st, n, err);
    if (st != NP_OK)
        return st;
    np_file_finish(blocks, (uint32_t)n, t0_ns, rate_hz);
    shift_skewed(record, blocks, irregular, rows);
    return NP_OK;
}

static void close_comtrade(struct np_file *file)
{
    struct np_comtrade *record = file->state;

    if (!record)
        return;
    if (record->own_data && record->data)
        fclose(record->data);
    np_lines_free(&record->lines);
    free(record->analog);
    free(record->rates);
    free(record->buffer);
    free(record->fields);
    free(record->clock);
    free(record->row);
    free(record->data_path);
    free(record);
    file->state = NULL;
}

const struct np_file_reader np_file_reader_comtrade = {
    .match = match,
    .open = open_comtrade,
    .next = next,
    .close = close_comtrade,
};
