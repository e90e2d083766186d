/* For the tests of recordings: small files, and whole files read into memory. */
#ifndef NP_TESTS_FILE_HELP_H
#define NP_TESTS_FILE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingest/file.h"

/* A recording read to its end: all channels, and where each block began. */
struct recording {
    struct np_file *file;
    const struct np_file_info *info;
    size_t n, n_blocks, n_channels;
    float **x;             /* [n_channels][n] */
    int64_t *times;        /* [n] of channel 0 */
    size_t block_at[4096]; /* first sample of each block */
    double rate_at[4096];
    enum np_status status; /* that ended reading */
    struct np_error err;
};

static inline int64_t time_in_block(const struct np_block *block, uint32_t i)
{
    return block->times ? block->times[i]
                        : block->t0_ns + (int64_t)(1e9L * i / (long double)block->rate_hz + 0.5L);
}

static inline void recording_take(struct recording *all, const struct np_blocks *blocks)
{
    uint32_t more = blocks->items[0].n;

    assert_true(all->n_blocks < 4096);
    all->rate_at[all->n_blocks] = blocks->items[0].rate_hz;
    all->block_at[all->n_blocks++] = all->n;
    all->times = realloc(all->times, (all->n + more) * sizeof *all->times);
    for (size_t c = 0; c < blocks->n; c++) {
        assert_int_equal(blocks->items[c].n, more);
        assert_string_equal(blocks->items[c].channel, all->info->channels[c].name);
        assert_string_equal(blocks->items[c].sensor, all->info->sensor);
        all->x[c] = realloc(all->x[c], (all->n + more) * sizeof **all->x);
        memcpy(all->x[c] + all->n, blocks->items[c].x, more * sizeof **all->x);
    }
    for (uint32_t i = 0; i < more; i++)
        all->times[all->n + i] = time_in_block(&blocks->items[0], i);
    all->n += more;
}

/* Opens and reads all; the status that ended it is left in all->status (NP_EEND if whole). */
static inline void recording_read(struct recording *all, const char *path,
                                  const struct np_file_options *options)
{
    struct np_blocks blocks = {0};

    memset(all, 0, sizeof *all);
    all->status = np_file_open(&all->file, path, options, &all->err);
    if (all->status != NP_OK)
        return;
    all->info = np_file_describe(all->file);
    all->n_channels = all->info->n_channels;
    all->x = calloc(all->n_channels, sizeof *all->x);
    while ((all->status = np_file_next(all->file, &blocks, &all->err)) == NP_OK)
        recording_take(all, &blocks);
    np_blocks_free(&blocks);
}

static inline void recording_free(struct recording *all)
{
    for (size_t c = 0; c < all->n_channels; c++)
        free(all->x[c]);
    free(all->x);
    free(all->times);
    np_file_close(all->file);
}

/* Reads a file that must be whole. */
static inline void recording_read_whole(struct recording *all, const char *path,
                                        const struct np_file_options *options)
{
    recording_read(all, path, options);
    if (all->status != NP_EEND)
        fail_msg("%s: %s: %s", path, np_status_name(all->status), all->err.text);
}

/* A small file in the temporary folder. @return its path, valid until the next call with the same name */
static inline const char *small_file(const char *name, const void *data, size_t n)
{
    static char path[512];
    const char *folder = getenv("TMPDIR");
    FILE *out;

    snprintf(path, sizeof path, "%s/np-test-%d-%s", folder ? folder : "/tmp", (int)getpid(), name);
    out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, n, out), n);
    fclose(out);
    return path;
}

static inline const char *small_text(const char *name, const char *text)
{
    return small_file(name, text, strlen(text));
}

/* A recording of the data folder; the test is skipped where the folder is missing. */
static inline const char *data_file(const char *name)
{
    static char path[1024];
    const char *folder = getenv("NP_DATA");

    snprintf(path, sizeof path, "%s/%s", folder ? folder : "../shared/data", name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    return path;
}

static inline void assert_error(const struct recording *all, enum np_status status, const char *part)
{
    if (all->status != status || !strstr(all->err.text, part))
        fail_msg("wanted %s with \"%s\", got %s: %s", np_status_name(status), part,
                 np_status_name(all->status), all->status == NP_EEND ? "" : all->err.text);
}

#endif
