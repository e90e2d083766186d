/* Equally spaced or not? Told from the times of a recording, in one pass with bounded memory.
 *
 * The step is the median of the first 4096. A later step counts as regular within 10 % of it, as a gap if it
 * is a whole multiple of it, else as odd. At least half of the steps regular and at most 5 % odd: the samples
 * are equally spaced, the rate is one over the mean regular step, rounded to whole Hz or whole seconds where
 * the times as written cannot tell the difference. Anything else is irregular.
 */
#ifndef NP_FILE_CLOCK_H
#define NP_FILE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NP_CLOCK_HEAD 4096

struct np_clock {
    int64_t n;                    /* times seen */
    int64_t first, last;
    int64_t resolution_ns;        /* the times are whole multiples of this power of ten */
    int64_t median_ns, regular, gaps, odd;
    double sum_ns;                /* of the regular steps */
    double rate_hz;               /* the result; 0: irregular */
    int64_t tolerance_ns;         /* how far a time may lie from the grid and still be on it */
    int64_t head[NP_CLOCK_HEAD], sorted[NP_CLOCK_HEAD];   /* the first steps, until the median is known */
    int64_t n_head;
    /* the grid being walked */
    bool on;
    int64_t t0_ns;
    uint64_t k;                   /* next sample */
};

/** First pass: every time in file order, on a zeroed clock. */
void np_clock_add(struct np_clock *clock, int64_t time_ns);
/** End of the first pass. @param rate_hz  > 0: the rate is given, whatever the times say */
void np_clock_settle(struct np_clock *clock, double rate_hz);
/** Second pass: does the next time lie where the grid wants it? If so the grid moves on by one. */
bool np_clock_step(struct np_clock *clock, int64_t time_ns);
/** Starts the grid anew at a time. */
void np_clock_start(struct np_clock *clock, int64_t time_ns);
/** Time of the grid's next sample. */
int64_t np_clock_now(const struct np_clock *clock);

#endif
