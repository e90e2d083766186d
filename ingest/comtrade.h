/* COMTRADE: IEEE C37.111-1991, -1999, -2013 (= IEC 60255-24). The configuration (.cfg, or a section of .cff)
 * is read whole; the samples (.dat, or a section) are streamed. Private to ingest/.
 *
 * What the standard leaves open or devices do otherwise:
 * - Dates are dd/mm/yyyy, but mm/dd/yyyy where the first line has no revision or 1991; a month above 12 swaps
 *   the two.
 * - Revisions between the standard's years count as the one before (1997 is read by the rules of 1999).
 * - A time code (2013) is subtracted, which gives UTC; without one the times are local by
 *   options.utc_offset_ns, 0 by default.
 * - With sampling rates, sample times follow from them (the time stamps in the data are for reading only);
 *   without (nrates 0, or a rate of 0) they are the time stamps times timemult, in us, or ns where the dates
 *   have nanoseconds.
 * - More samples than the last section says are taken at its rate (many devices write one more); fewer are
 *   an error.
 * - Missing: in ASCII an empty field, or 99999 where that lies outside of the channel's range or by revision
 *   1991; 0x8000 in BINARY; 0x80000000 in BINARY32; NaN or infinite in FLOAT32.
 */
#ifndef NP_COMTRADE_H
#define NP_COMTRADE_H

#include "ingest/file_clock.h"
#include "ingest/file_reader.h"
#include "ingest/file_text.h"

#define NP_COMTRADE_MAX_CHANNELS 65536
#define NP_COMTRADE_MAX_RATES 1000000

enum np_comtrade_type { NP_COMTRADE_ASCII, NP_COMTRADE_BINARY, NP_COMTRADE_BINARY32, NP_COMTRADE_FLOAT32 };

struct np_comtrade {
    int revision;                 /* 1991, 1999, 2013 */
    enum np_comtrade_type type;
    size_t n_analog, n_digital;
    struct np_comtrade_channel {
        double a, b;              /* value = raw * a + b */
        double min, max;          /* of the raw values */
        int64_t skew_ns;
    } *analog;                    /* [n_analog] */
    size_t n_rates;               /* 0: the time stamps tell */
    struct np_comtrade_rate {
        double rate_hz;
        uint64_t end;             /* samples up to here, from the beginning of the record */
        int64_t start_ns;         /* time of its first sample */
    } *rates;
    uint64_t n_samples;           /* by the configuration; 0: not told */
    int64_t start_ns, trigger_ns; /* UTC; trigger NP_NULL_LONG: none */
    double stamp_ns;              /* a time stamp in the data counts so many ns */

    /* the samples */
    const char *data_name;        /* for messages */
    FILE *data;                   /* the stream that holds them; owned unless it is the file's own */
    int64_t data_at, data_end;    /* their place in the stream [bytes] */
    size_t record;                /* bytes of one sample of all channels; 0: ASCII */
    struct np_lines lines;
    unsigned char *buffer;
    size_t buffered, used;        /* records in the buffer, and how many of them were taken */
    char **fields;                /* ASCII: [2 + channels] */
    int64_t line_offset;          /* ASCII in a .cff: lines before the data */
    uint64_t read;                /* samples taken so far */
    uint32_t first_number;        /* number of the first sample */
    uint64_t stamp, turns;        /* the last time stamp, and how often they started over */
    size_t rate;                  /* section at hand */
    struct np_clock *clock;       /* where time stamps tell */
    float *row;                   /* [channels given] the sample at hand */
    int64_t row_time_ns;
    bool pending;                 /* the row at hand has not been given yet */
    char *data_path;
    bool own_data;
};

/**
 * Reads the configuration text and names the file's channels.
 * @param text NUL-terminated, edited.
 * @param name, lines_before  for messages
 */
enum np_status np_comtrade_parse(struct np_file *file, struct np_comtrade *record, char *text, const char
                                 *name,
                                 int lines_before, struct np_error *err);
/** Gets ready to read samples from data_at on. */
enum np_status np_comtrade_data_open(struct np_file *file, struct np_comtrade *record, struct np_error *err);
/**
 * Reads the next sample into row and row_time_ns (the latter from the time stamp).
 * @return NP_OK; NP_EEND; NP_EDATA; NP_ENOMEM
 */
enum np_status np_comtrade_data_next(struct np_file *file, struct np_comtrade *record, struct np_error *err);

#endif
