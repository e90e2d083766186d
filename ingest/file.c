/* Opening recordings, and what all readers share. */
#include "ingest/file.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ingest/file_reader.h"
#include "pipeline/record.h"

#define BLOCK_SAMPLES 65536

/* The first that matches reads the file; CSV takes what nobody else does. */
static const struct np_file_reader *const readers[] = {
    &np_file_reader_wav,
    &np_file_reader_comtrade,
    &np_file_reader_csv,
};

/* "a/b.Cfg" -> "cfg" */
static void extension_of(const char *path, char out[8])
{
    const char *dot = strrchr(basename(path), '.');
    size_t n = 0;

    for (dot = dot ? dot + 1 : ""; dot[n] && n < 7; n++)
        out[n] = (char)tolower((unsigned char)dot[n]);
    out[n] = '\0';
}

static enum np_status choose_reader(struct np_file *file, struct np_error *err)
{
    unsigned char head[64];
    char extension[8];
    size_t n = fread(head, 1, sizeof head, file->stream);

    if (ferror(file->stream) || fseeko(file->stream, 0, SEEK_SET) != 0)
        return np_fail(err, NP_ECONFIG, "%s: cannot be read: %s (a file is needed that can be read twice)",
                       file->path, strerror(errno));
    extension_of(file->path, extension);
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
        if (!file->reader && readers[i]->match(head, n, extension))
            file->reader = readers[i];
    return NP_OK;
}

/* The sensor's name where neither option nor file tells one: the base name without its extension. */
static enum np_status name_sensor(struct np_file *file, struct np_error *err)
{
    const char *from = file->options.sensor;

    if (from || !file->sensor) {
        enum np_status st;

        free(file->sensor);
        file->sensor = NULL;
        st = np_file_utf8(file, from ? from : file->name, &file->sensor, err);
        if (st != NP_OK)
            return st;
        if (!from) {
            char *dot = strrchr(file->sensor, '.');

            if (dot && dot != file->sensor)
                *dot = '\0';
        }
    }
    file->info.sensor = file->sensor;
    return NP_OK;
}

static enum np_status open_stream(struct np_file **out, FILE *stream, const char *path, bool from_path,
                                  const struct np_file_options *options, struct np_error *err)
{
    struct np_file *file = calloc(1, sizeof *file);
    enum np_status st = NP_ENOMEM;

    if (!file) {
        fclose(stream);
        return np_fail(err, NP_ENOMEM, "%s: out of memory", path);
    }
    file->stream = stream;
    file->from_path = from_path;
    if (options)
        file->options = *options;
    file->info.trigger_ns = NP_NULL_LONG;
    file->info.n_samples = -1;
    file->path = strdup(path);
    file->name = strdup(basename(path));
    if (!file->path || !file->name) {
        np_fail(err, st, "%s: out of memory", path);
        goto fail;
    }
    if (!(file->options.rate_hz >= 0) || isinf(file->options.rate_hz)) {
        st = np_fail(err, NP_ECONFIG, "%s: the rate must be a positive number of Hz", path);
        goto fail;
    }
    if (fseeko(stream, 0, SEEK_END) == 0)
        file->total = ftello(stream);
    rewind(stream);
    st = choose_reader(file, err);
    if (st == NP_OK)
        st = file->reader->open(file, err);
    if (st == NP_OK)
        st = name_sensor(file, err);
    if (st != NP_OK)
        goto fail;
    *out = file;
    return NP_OK;
fail:
    np_file_close(file);
    return st;
}

enum np_status np_file_open(struct np_file **out, const char *path, const struct np_file_options *options,
                            struct np_error *err)
{
    struct stat status;
    FILE *stream = fopen(path, "rb");

    if (!stream)
        return np_fail(err, NP_ECONFIG, "%s: %s", path, strerror(errno));
    if (fstat(fileno(stream), &status) == 0 && S_ISDIR(status.st_mode)) {
        fclose(stream);
        return np_fail(err, NP_ECONFIG, "%s: is a folder, a recording is needed (CSV, WAV or COMTRADE)",
                       path);
    }
    return open_stream(out, stream, path, true, options, err);
}

enum np_status np_file_open_stream(struct np_file **out, FILE *stream, const char *name,
                                   const struct np_file_options *options, struct np_error *err)
{
    return open_stream(out, stream, name, false, options, err);
}

enum np_status np_file_next(struct np_file *file, struct np_blocks *blocks, struct np_error *err)
{
    enum np_status st;

    np_blocks_clear(blocks);
    if (file->deferred.status != NP_OK)
        return np_fail(err, file->deferred.status, "%s", file->deferred.text);
    st = file->reader->next(file, blocks, err);
    if (st != NP_OK)
        blocks->n = 0;
    return st;
}

const struct np_file_info *np_file_describe(const struct np_file *file)
{
    return &file->info;
}

void np_file_progress(const struct np_file *file, int64_t *done, int64_t *total)
{
    *done = file->done;
    *total = file->total > 0 ? file->total : 0;
}

static void free_channels(struct np_file *file)
{
    for (size_t i = 0; i < file->info.n_channels; i++) {
        free((char *)file->channels[i].name);
        free((char *)file->channels[i].unit);
        free((char *)file->channels[i].phase);
    }
    free(file->channels);
}

void np_file_close(struct np_file *file)
{
    if (!file)
        return;
    if (file->reader)
        file->reader->close(file);
    if (file->stream)
        fclose(file->stream);
    free_channels(file);
    free(file->path);
    free(file->name);
    free(file->sensor);
    free(file->format);
    free(file);
}

bool np_file_utc_offset(const char *text, int64_t *ns)
{
    char time[64];
    int64_t utc_ns;
    bool short_hour =
        (*text == '-' || *text == '+') && isdigit((unsigned char)text[1]) && !isdigit((unsigned char)text[2]);

    if (*text == '\0' || strlen(text) > 9)
        return false;
    snprintf(time, sizeof time, short_hour ? "1970-01-01T00:00:00%.1s0%s" : "1970-01-01T00:00:00%.1s%s", text,
             text + 1);
    if (!np_time_parse(time, &utc_ns))
        return false;
    *ns = -utc_ns;
    return true;
}

/* --- for readers ------------------------------------------------------------------------------ */

enum np_status np_file_channels(struct np_file *file, size_t n, struct np_error *err)
{
    file->channels = calloc(n ? n : 1, sizeof *file->channels);
    if (!file->channels)
        return np_fail(err, NP_ENOMEM, "%s: out of memory for %zu channels", file->name, n);
    file->info.channels = file->channels;
    file->info.n_channels = n;
    return NP_OK;
}

enum np_status np_file_channel(struct np_file *file, size_t channel, const char *name, const char *unit,
                               const char *phase, struct np_error *err)
{
    struct np_file_channel *to = &file->channels[channel];

    enum np_status st = np_file_utf8(file, name, (char **)&to->name, err);

    to->primary = to->secondary = 1;
    if (st == NP_OK)
        st = np_file_utf8(file, unit, (char **)&to->unit, err);
    if (st == NP_OK)
        st = np_file_utf8(file, phase, (char **)&to->phase, err);
    return st;
}

static int by_name(const void *a, const void *b)
{
    const struct np_file_channel *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);

    return order ? order : (*x > *y) - (*x < *y);
}

enum np_status np_file_unique(struct np_file *file, struct np_error *err)
{
    size_t n = file->info.n_channels;
    struct np_file_channel **sorted = malloc((n ? n : 1) * sizeof *sorted);
    const char *previous = NULL;
    enum np_status st = NP_OK;

    if (!sorted)
        return np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &file->channels[i];
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < n && st == NP_OK; i++) {
        struct np_file_channel *channel = sorted[i];
        char *name = NULL;

        if (!previous || strcmp(previous, channel->name) != 0) {
            previous = channel->name;
            continue;
        }
        if (asprintf(&name, "%s#%td", channel->name, channel - file->channels + 1) == -1) {
            st = np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
        } else {
            free((char *)channel->name);
            channel->name = name;
        }
    }
    free(sorted);
    return st;
}

enum np_status np_file_format(struct np_file *file, struct np_error *err, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vasprintf(&file->format, format, args);
    va_end(args);
    if (n == -1) {
        file->format = NULL;
        return np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
    }
    file->info.format = file->format;
    return NP_OK;
}

size_t np_file_rows(const struct np_file *file, double rate_hz)
{
    size_t samples = file->options.block_samples ? file->options.block_samples : BLOCK_SAMPLES;
    size_t channels = file->info.n_channels ? file->info.n_channels : 1;
    size_t rows = samples / channels;
    double wanted = (double)file->options.block_ns * 1e-9 * rate_hz;

    if (wanted > 0 && wanted < (double)rows)
        rows = (size_t)(wanted + 0.5);
    return rows ? rows : 1;
}

enum np_status np_file_blocks(struct np_file *file, struct np_blocks *blocks, size_t rows, bool times,
                              struct np_error *err)
{
    size_t n = file->info.n_channels;
    float *samples;
    int64_t *ticks;

    np_blocks_clear(blocks);
    samples = np_blocks_samples(blocks, n * rows);
    ticks = times ? np_blocks_times(blocks, rows) : NULL;
    for (size_t i = 0; samples && (ticks || !times) && i < n; i++) {
        struct np_block *block = np_blocks_add(blocks);

        if (!block)
            break;
        block->sensor = file->sensor;
        block->channel = file->channels[i].name;
        block->x = samples + i * rows;
        block->times = ticks;
    }
    return blocks->n == n
               ? NP_OK
               : np_fail(err, NP_ENOMEM, "%s: out of memory for %zu samples", file->name, n * rows);
}

enum np_status np_file_defer(struct np_file *file, enum np_status st, size_t n, const struct np_error *err)
{
    if (n == 0 || st == NP_OK)
        return st;
    if (st != NP_EEND) {
        file->deferred = err ? *err : (struct np_error){.text = "damaged"};
        file->deferred.status = st;
    }
    return NP_OK;
}

void np_file_finish(struct np_blocks *blocks, uint32_t n, int64_t t0_ns, double rate_hz)
{
    for (size_t i = 0; i < blocks->n; i++) {
        blocks->items[i].n = n;
        blocks->items[i].t0_ns = t0_ns;
        blocks->items[i].rate_hz = rate_hz;
    }
}

int64_t np_file_time(int64_t t0_ns, double rate_hz, uint64_t n)
{
    long double time = (long double)t0_ns + (long double)n * 1e9L / (long double)rate_hz;

    /* damaged numbers must not overflow: years 1677 and 2262 are the ends of int64 ns */
    if (!(time > -9.2e18L))
        return (int64_t)-9.2e18L;
    return time < 9.2e18L ? (int64_t)llroundl(time) : (int64_t)9.2e18L;
}
