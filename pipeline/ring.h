/* The samples of one stream that open windows still need. Two kinds, chosen by the first thing put in, for good:
 *
 * - waveform: blocks of equally spaced samples, sorted by (t0, offset);
 * - readings: single values with a time each, sorted by time; also the values that one step hands to the next.
 *
 * Arrival order does not matter: gaps and overlaps are judged when samples are read, over the sorted blocks.
 *
 * The rule for clocks that drift. A block's t0 is its own clock reading, sample i lies at t0 + i / rate. A block
 * continues the one before if its t0 is at most half a sample, plus 200 ppm of the block before, away from where that
 * one ended; then nothing is missing and nothing is double, whatever the fraction. Farther ahead: round(distance *
 * rate) samples are missing. Farther behind: that many samples are duplicates and are passed over. Every sample
 * belongs to the window that holds its own time, so no sample is lost or used twice by windows that tile. */
#ifndef NP_RING_H
#define NP_RING_H

#include "pipeline/block.h"

#define NP_TIME_UNSET INT64_MIN
#define NP_BORDER_SLACK 1e-3  /* [samples] a time this close before a border is on it: t0 is rounded to ns, at up to 1 MHz */

struct np_segment {
    int64_t t0_ns, end_ns;        /* first sample; one period after the last */
    double rate_hz;
    int64_t offset;               /* of the message it came in */
    uint32_t n, n_nan;
    float *x;                     /* [n] owned; NP_ROW_ALIGN more are readable */
};

struct np_reading {
    int64_t time_ns, offset;
    float value, coverage;
};

/** Samples that no ring needs any more, kept until np_grave_empty(). */
struct np_grave {
    size_t n, capacity;
    float **items;
};
void np_grave_empty(struct np_grave *grave);
void np_grave_free(struct np_grave *grave);

struct np_ring {
    struct np_grave *grave;       /* where dropped blocks go; NULL: freed at once */
    bool readings;                /* kind, once anything was put in */
    double rate_hz;               /* readings: rate given with them, 0 if irregular; waveform: of the latest block */
    uint32_t n, capacity;
    struct np_segment *segments;  /* waveform [n] */
    struct np_reading *items;     /* readings [n] */
    uint32_t first;               /* readings: items before it are gone */
};

enum np_put { NP_PUT_TAKEN, NP_PUT_DUPLICATE, NP_PUT_NO_MEMORY };

void np_ring_free(struct np_ring *ring);
/** Puts a waveform block in (samples copied); not into a ring of readings. */
enum np_put np_ring_put_block(struct np_ring *ring, const struct np_block *block, int64_t offset);
/** Puts one reading in, not into a ring of waveforms; an equal time is a duplicate. coverage: 0..1, of a chained value; else 1. */
enum np_put np_ring_put_reading(struct np_ring *ring, int64_t time_ns, float value, float coverage, int64_t offset);
/** Forgets everything that lies wholly before time_ns. */
void np_ring_drop_before(struct np_ring *ring, int64_t time_ns);
/** Time of the earliest sample held, or NP_TIME_UNSET. */
int64_t np_ring_first_time(const struct np_ring *ring);
/** The same of those at or after from_ns. */
int64_t np_ring_next_time(const struct np_ring *ring, int64_t from_ns);
int64_t np_ring_lowest_offset(const struct np_ring *ring);    /* INT64_MAX if empty */
/** Over what is held: for comparing a refilled ring with the one at the snapshot. */
uint64_t np_ring_hash(const struct np_ring *ring);
uint32_t np_ring_count(const struct np_ring *ring);           /* blocks or readings held */

/** What np_ring_walk found between two times. */
struct np_span {
    uint32_t n;                   /* samples, NaN included */
    uint32_t n_nan;
    const float *x;               /* a waveform's, where they lie in one piece; else NULL */
    uint32_t missing, duplicate;  /* samples */
    double rate_hz;               /* of the first block; readings: the ring's */
    bool mixed_rates;
    int64_t last_ns;              /* time of the last sample */
    float coverage;               /* 0..1, missing and NaN taken off */
};

/** Where a walk left off: what the next one over the following samples needs to judge its first block. */
struct np_expectation {
    int64_t time_ns;              /* of the sample that should follow, or NP_TIME_UNSET */
    uint32_t block;               /* samples in the block that it should follow */
};

/**
 * Walks the samples with from <= time < to, in order.
 * @param next         in: left by the walk before, which ended at from; out: for the one that begins at to
 * @param open_end     true: nothing is expected up to `to` yet (streaming), so no gap is counted behind the last sample
 * @param piece        called for each run of consecutive samples; times NULL: t0 + i / rate. May be NULL.
 */
struct np_span np_ring_walk(const struct np_ring *ring, int64_t from_ns, int64_t to_ns,
                            struct np_expectation *next, bool open_end,
                            void (*piece)(void *context, const float *x, uint32_t n, int64_t t0_ns, double rate_hz,
                                          uint32_t missing_before),
                            void *context);
#endif
