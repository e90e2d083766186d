/* Recordings: CSV, WAV and COMTRADE files as consecutive blocks in time order, with bounded memory whatever
 * the file's length. The kind is told by content and extension (ingest/file.c has the table of readers).
 * Threads: one struct np_file per thread.
 *
 * CSV       Header row (a first row of numbers only is taken as data: channels are named ch1, ch2, ...), one
 *           column per channel, "," or ";" or tab, fields quoted or not; with ";" or tab a decimal comma is
 *           read too. An empty field, NaN, NA, null or none is a missing sample. Empty lines are passed over.
 *           Time column: the one named by the option; else the first if its first value is a date; else the
 *           one named time, timestamp, datetime or date; else the first.
 *           Times: RFC 3339; "2025-04-28 11:00:00[.fff]"; "28-Apr-2025 11:00:00[.fff]"; or a number, by the
 *           size of the first one: below 1e8 seconds from the option start, below 1e11 epoch seconds, below
 *           1e14 epoch milliseconds, below 1e17 microseconds, else nanoseconds.
 *           Rate: the option, else found from the times (ingest/file_clock.h).
 * WAV       PCM 16, 24, 32 bit, float 32, 64 bit, WAVE_FORMAT_EXTENSIBLE, RF64. Channels ch1, ch2, ....
 *           Integers are divided by full scale (2^15, 2^23, 2^31), so they lie in -1..1; floats stay as they
 *           are. Starts at the option start.
 * COMTRADE  IEEE C37.111-1991, -1999, -2013 (IEC 60255-24): ASCII, BINARY, BINARY32, FLOAT32; .cfg with .dat,
 *           or .cff. Values are raw * a + b in the file's unit, primary or secondary as recorded. A channel's
 *           skew shifts its times. Missing values are NaN.
 */
#ifndef NP_INGEST_FILE_H
#define NP_INGEST_FILE_H

#include <stdio.h>

#include "pipeline/block.h"
#include "pipeline/status.h"

struct np_file;

/** All zero is a good default. Strings are borrowed until np_file_close(). */
struct np_file_options {
    /* the sensor's name. NULL: the file's own (COMTRADE: "station/device"), else its base name */
    const char *sensor;
    /* time of the first sample (WAV), or what seconds count from (CSV); other files have theirs */
    int64_t start_ns;
    int64_t utc_offset_ns;        /* local time minus UTC, for times of CSV and COMTRADE that state no zone */
    double rate_hz;           /* > 0: the sampling rate, instead of the file's (WAV) or the one found (CSV) */
    /* CSV: the time column's name; "none": there is none, rate_hz and start_ns tell the times */
    const char *time_column;
    /* of names that are not UTF-8; NULL: CP1252. Any that iconv knows: CP1251, ISO-8859-2 */
    const char *code_page;
    bool digital;                 /* COMTRADE: digital channels too, as 0 and 1 */
    int64_t block_ns;             /* longest block [ns] of equally spaced samples; 0: as the memory allows */
    uint32_t block_samples;     /* most samples a call over all channels (at least one row comes); 0: 65536 */
};

struct np_file_channel {
    const char *name;  /* unique within the file: the second "Off" becomes "Off#7" (its number in the file) */
    const char *unit;             /* "" if not told */
    const char *phase;            /* COMTRADE; else "" */
    bool digital;
    double primary, secondary;    /* COMTRADE: ratio of the transformer; else 1 and 1 */
    char recorded;                /* COMTRADE: 'P' primary or 'S' secondary values; else 0 */
};

/** Reads "+02:00", "-0530", "+2" or "Z" as local time minus UTC. @return false if it is none */
bool np_file_utc_offset(const char *text, int64_t *ns);

/** What is known of a file once it is open. Borrowed until it is closed. */
struct np_file_info {
    const char *format;           /* "CSV", "WAV float32", "COMTRADE 1999 BINARY" */
    const char *sensor;
    size_t n_channels;
    const struct np_file_channel *channels;
    double rate_hz;               /* of the first sample; 0: irregular */
    size_t n_rates;               /* sections of constant rate; 0: irregular */
    int64_t start_ns;             /* time of the first sample */
    int64_t trigger_ns;           /* COMTRADE: time of the trigger; NP_NULL_LONG: none */
    int64_t n_samples;            /* per channel; -1: not known before the end */
};

/**
 * Opens a recording (COMTRADE: .cfg, .dat or .cff; the others of the pair are found beside it).
 * @param out      given; close with np_file_close()
 * @param options  NULL: defaults
 * @return NP_OK; NP_ECONFIG: no such file, an option that does not fit; NP_EDATA: damaged, with the place;
 *     NP_ENOMEM
 */
enum np_status np_file_open(struct np_file **out, const char *path, const struct np_file_options *options,
                            struct np_error *err);
/**
 * The same from an open, seekable stream.
 * @param stream taken, also on failure.
 * @param name  for messages and the kind
 */
enum np_status np_file_open_stream(struct np_file **out, FILE *stream, const char *name,
                                   const struct np_file_options *options, struct np_error *err);
/**
 * Gives the next stretch of time: one block per channel, equal n, equal t0 but for COMTRADE's skew.
 * @param blocks  emptied and filled; names stay valid until the file is closed, samples until the next call
 * @return NP_OK; NP_EEND: all was given; NP_EDATA: damaged, with "file:line" or "file: byte offset";
 *     NP_ENOMEM
 */
enum np_status np_file_next(struct np_file *file, struct np_blocks *blocks, struct np_error *err);
const struct np_file_info *np_file_describe(const struct np_file *file);
/** How far reading has come. @param total [bytes] 0 if not known */
void np_file_progress(const struct np_file *file, int64_t *done, int64_t *total);
void np_file_close(struct np_file *file);     /* accepts NULL */

#endif
