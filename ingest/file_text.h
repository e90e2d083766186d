/* Text of recordings: lines with bounded memory, fields, numbers, times. Private to ingest/file*.c. */
#ifndef NP_FILE_TEXT_H
#define NP_FILE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "pipeline/status.h"

/** Reads a stream line by line. Zero it, set stream and name. */
struct np_lines {
    FILE *stream;                 /* borrowed */
    const char *name;             /* for messages; borrowed */
    char *buffer;
    size_t capacity, begin, end;  /* bytes buffered: begin..end */
    bool last;                    /* the stream has ended */
    int64_t number;               /* of the line given last, from 1 */
    int64_t offset;               /* bytes of the stream up to the end of that line */
    int64_t limit;                /* > 0: read no further than this many bytes */
};

/**
 * Gives the next line, without its end (LF or CR LF), NUL-terminated, for the caller to edit.
 * @param line  borrowed until the next call
 * @return NP_OK; NP_EEND; NP_EDATA: longer than 16 MB, or holds a NUL; NP_ENOMEM
 */
enum np_status np_lines_next(struct np_lines *lines, char **line, struct np_error *err);
/** Starts over from the stream's position. */
void np_lines_reset(struct np_lines *lines);
void np_lines_free(struct np_lines *lines);

/**
 * Splits a line in place at separator; quotes ("..", "" inside for one) are taken off if quoted is set, and
 * spaces around fields.
 * @param fields  [max] set to the fields; borrowed from line
 * @return how many fields there are (it may be more than max: those are counted, not stored); 0: a quote is
 *     not closed
 */
size_t np_fields_split(char *line, char separator, bool quoted, char **fields, size_t max);

/** How a number ended up. */
enum np_number { NP_NUMBER_OK, NP_NUMBER_MISSING, NP_NUMBER_BAD };
/** A sample: finite decimal number; "", nan, na, null, none: missing, *value is NaN. */
enum np_number np_file_number(const char *text, bool decimal_comma, float *value);
/** The same in double; *value untouched if it is not a number. @return false: not a finite number */
bool np_double_parse(const char *text, double *value);

/** How the times of a CSV column are written. */
enum np_time_form {
    NP_TIME_NONE,                 /* it is not a time */
    NP_TIME_DATE,                 /* RFC 3339 and the like */
    NP_TIME_SECONDS,              /* number: seconds from the start */
    NP_TIME_EPOCH_S, NP_TIME_EPOCH_MS, NP_TIME_EPOCH_US, NP_TIME_EPOCH_NS,
};
/** Guesses the form from one field, by the rules in ingest/file.h. */
enum np_time_form np_time_form(const char *text, bool decimal_comma);
/** @return false if text is not a time of that form, or lies outside of 1678..2261 */
bool np_time_field(const char *text, enum np_time_form form, bool decimal_comma, int64_t start_ns,
                   int64_t utc_offset_ns, int64_t *ns);

#endif
