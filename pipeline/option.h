/* One row describes an option once: parsing, default, bounds, errors, help, JSON Schema and the
 * reference in docs/ are all made from it. */
#ifndef NP_OPTION_H
#define NP_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pipeline/node.h"

enum np_option_type {
    NP_OPT_BOOL,       /* bool          true | false */
    NP_OPT_COUNT,      /* int64_t       a whole number without unit */
    NP_OPT_NUMBER,     /* double        a number without unit (NAN when absent and not required) */
    NP_OPT_DURATION,   /* int64_t [ns]  200ms, 10s, 1.5h, 90d, 2w (0 when absent and not required) */
    NP_OPT_FREQUENCY,  /* double [Hz]   50Hz, 12.8kHz, 1MHz, 200mHz; or a plain number [Hz] */
    NP_OPT_SIZE,       /* int64_t [B]   512kB, 16MB, 1GB, 64MiB (units needed) */
    NP_OPT_RATE,       /* double [1/s]  "1 per week", "3 per day" (second, minute, hour, day, week, year) */
    NP_OPT_TEXT,       /* char *        given to the struct, NULL when absent */
    NP_OPT_TEXTS,      /* struct np_texts, given: a list; on the command line a repeated flag */
    NP_OPT_CHOICE,     /* int           index into choices */
    NP_OPT_BANDS,      /* struct np_bands   { low: 0..45, mains: 45..55 } in Hz */
};

/** One option. default_text is parsed as the file is; NULL: must be given; "": may be absent. */
struct np_option {
    const char *name;
    enum np_option_type type;
    size_t offset;                /* into the struct that the row fills */
    const char *unit;             /* of a NUMBER or COUNT, for the help; else NULL */
    const char *default_text;
    double min, max;              /* in the stored unit; both 0: unbounded; +-INFINITY: open on one side.
                                   * BANDS: max = how many */
    const char *const *choices;   /* CHOICE: names, NULL-terminated */
    bool secret;                  /* never printed */
    const char *help;             /* one sentence */
};                                /* a row with name NULL ends the list */

struct np_texts {
    size_t n;
    char **items;
};

struct np_bands {
    size_t n;
    struct np_band {
        char *name;               /* a lower-case identifier */
        double from_hz, to_hz;    /* from <= f < to */
    } *items;
};

/**
 * Fills out (zeroed by the caller) from a map node.
 * Every mistake (unknown key with the nearest valid one, wrong type, out of bounds, missing) is added to
 * mistakes; the field then holds the default, or is as absent.
 * @param map   NULL: as an empty map at line 1
 * @param skip  keys that the caller reads itself, NULL-terminated list, or NULL
 */
void np_options_parse(const struct np_option *rows, const struct np_node *map, const char *const *skip,
                      void *out, struct np_mistakes *mistakes);
/** The same, without a word about keys that are in neither list: for a map that several lists read. */
void np_options_read(const struct np_option *rows, const struct np_node *map, const char *const *skip,
                     void *out, struct np_mistakes *mistakes);
/** Adds a mistake for each key of map that is not in known (NULL-terminated), with the nearest valid one. */
void np_unknown_keys(const struct np_node *map, const char *const *known, struct np_mistakes *mistakes);
/** Frees what parsing allocated inside out (texts, bands). Accepts NULL rows. */
void np_options_free(const struct np_option *rows, void *out);

/**
 * Parses one value as a row would, into the field of the struct `out` that the row describes.
 * TEXTS: adds one.
 * @return NP_OK; NP_ECONFIG with "NAME is "TEXT"; allowed: .." in err (nothing stored); NP_ENOMEM
 */
enum np_status np_option_value(const struct np_option *row, const char *text, void *out,
                               struct np_error *err);
/** Parses "200ms" and the like. @return false if it is not a duration */
bool np_duration_parse(const char *text, int64_t *ns);
/** Writes "200ms", "1.5s": the largest unit that is there once and needs at most 3 decimals. @return out */
const char *np_duration_format(int64_t ns, char out[32]);

/** The row's rule in words: "a duration between 1ms and 1d, such as 200ms". Writes at most size bytes. */
void np_option_allowed(const struct np_option *row, char *out, size_t size);
/** Reference as text (--help, `netzpuls operators NAME`), as Markdown table rows, as JSON Schema properties.
 * @param prefix  of the names: "--" or "" */
void np_options_help(const struct np_option *rows, const char *prefix, FILE *out);
void np_options_markdown(const struct np_option *rows, FILE *out);
/** Writes `"name": {schema}, ...`. @param required  given: names that must be there, NULL-ended; free() */
void np_options_schema(const struct np_option *rows, FILE *out, const char ***required);

#endif
