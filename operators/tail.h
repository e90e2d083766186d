/* Calibration: how rare a value is among all values of its stream so far, by a histogram with bins of equal
 * ratio. Plain memory without pointers, zeroed when fresh: it is part of an operator's state. */
#ifndef NP_TAIL_H
#define NP_TAIL_H

#include <stdint.h>

#define NP_TAIL_BINS 256u           /* 6 per octave, from 2^-20 up */
#define NP_TAIL_FULL (1u << 30)     /* values after which the counts are halved */

struct np_tail {
    uint32_t n;                       /* values counted */
    uint32_t tree[NP_TAIL_BINS];      /* Fenwick tree over the bins' counts */
    uint32_t unused;                  /* keeps the size a multiple of 8 */
};

/**
 * Tells how rare a value is among those before, and counts it.
 * @param value  >= 0; NaN counts as 0
 * @return share of earlier values above it, half of its own bin included: in 0.5 / (n + 1) .. 1; 1 for the
 *         first 21 values
 */
double np_tail_push(struct np_tail *tail, double value);

#endif
