/* What a kind of recording implements: a reader. Private to ingest/file*.c. */
#ifndef NP_FILE_READER_H
#define NP_FILE_READER_H

#include <stdbool.h>

#include "ingest/file.h"

struct np_file_reader {
    /** @param head  the first bytes. @param extension  without the dot, lower case, "" if none */
    bool (*match)(const unsigned char *head, size_t n, const char *extension);
    enum np_status (*open)(struct np_file *file, struct np_error *err);
    /** One stretch of samples; see np_file_next(). blocks has been emptied. */
    enum np_status (*next)(struct np_file *file, struct np_blocks *blocks, struct np_error *err);
    void (*close)(struct np_file *file);      /* state may be NULL or half open */
};

extern const struct np_file_reader np_file_reader_comtrade, np_file_reader_csv, np_file_reader_wav;

struct np_file {
    const struct np_file_reader *reader;
    FILE *stream;                 /* the file named on opening; readers may replace it */
    char *path, *name;            /* path as given; name: for messages, the path's last part */
    struct np_file_options options;
    struct np_file_info info;
    struct np_file_channel *channels;  /* info.channels; names and texts in it are the file's own (strings) */
    char *sensor, *format;
    int64_t done, total;          /* bytes */
    bool from_path;               /* siblings may be opened */
    struct np_error deferred;     /* status not NP_OK: what the next call says */
    void *state;                  /* the reader's */
};

/* Helpers for readers. */

/** Makes room for n channels in file->channels, zeroed, and sets info. @return NP_OK, NP_ENOMEM */
enum np_status np_file_channels(struct np_file *file, size_t n, struct np_error *err);
/**
 * A copy of a recording's text in UTF-8: as it is if it is that already, else converted from
 * options.code_page.
 * @param out given
 */
enum np_status np_file_utf8(const struct np_file *file, const char *text, char **out, struct np_error *err);
/** Sets a channel's texts (copied, converted to UTF-8). */
enum np_status np_file_channel(struct np_file *file, size_t channel, const char *name, const char *unit,
                               const char *phase, struct np_error *err);
/** Makes the channels' names unique; call when all are set. */
enum np_status np_file_unique(struct np_file *file, struct np_error *err);
/** Sets info.format. */
enum np_status np_file_format(struct np_file *file, struct np_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** How many rows a call may give at this rate (0: irregular), by options. At least 1. */
size_t np_file_rows(const struct np_file *file, double rate_hz);
/**
 * Makes one block per channel of the file, each with room for rows samples, times too if wanted; n and t0 are
 * the caller's to set.
 */
enum np_status np_file_blocks(struct np_file *file, struct np_blocks *blocks, size_t rows, bool times,
                              struct np_error *err);
/** The samples of a channel's block, to be written. */
static inline float *np_file_samples(struct np_blocks *blocks, size_t channel)
{
    return blocks->samples + (blocks->items[channel].x - blocks->samples);
}
/**
 * Reading ended with st behind n good rows: if there are any, they are given first and the error with the
 * next call.
 * @return NP_OK if so, else st
 */
enum np_status np_file_defer(struct np_file *file, enum np_status st, size_t n, const struct np_error *err);
/** Sets n, t0 and rate of all blocks. */
void np_file_finish(struct np_blocks *blocks, uint32_t n, int64_t t0_ns, double rate_hz);
/** Time of sample n after t0 at a rate > 0; stays inside int64. */
int64_t np_file_time(int64_t t0_ns, double rate_hz, uint64_t n);

#endif
