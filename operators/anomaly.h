/* The scoring behind the operator `anomaly`, apart from its options and records: how unusual each value of a
 * stream is against all values before it. Two features, the energy of the standardised signal over a short
 * span and the distance outside the range seen so far, are each calibrated to a tail share of their own past,
 * summed, and calibrated again. Strictly causal, constant time and memory per value. */
#ifndef NP_ANOMALY_H
#define NP_ANOMALY_H

#include <stdbool.h>
#include <stdint.h>

#include "operators/tail.h"

#define NP_ANOMALY_SPAN_MAX 64u

/** Plain memory, zeroed when fresh. */
struct np_anomaly {
    uint64_t n;                          /* values seen */
    double mean, m2;                     /* of all values (Welford) */
    double min, max;
    double square_sum;                   /* of squares[] */
    double squares[NP_ANOMALY_SPAN_MAX]; /* ring of the last z^2, the newest at (n - 1) % span */
    struct np_tail energy, range, sum;
};

struct np_anomaly_score {
    double score;         /* min(1, -log10(probability) / 6): 0 usual .. 1 one in a million or rarer */
    double probability;   /* share of earlier values that were at least as unusual; resolution 0.5 / n */
};

/**
 * Judges the next value and takes it in.
 * @param span   values over which the energy is taken, 1 .. NP_ANOMALY_SPAN_MAX; the same at every call
 * @param value  finite
 */
struct np_anomaly_score np_anomaly_push(struct np_anomaly *state, uint32_t span, double value);

/** The last anomaly let through, zeroed when there was none. */
struct np_refractory {
    uint64_t at;          /* number of its value, from 1; 0: none yet */
    double score;
};

/**
 * Keeps a flurry of anomalies down to its rising edge: within `length` values of the last one let through
 * only a score that is higher by over 0.01 passes.
 * @param at  number of the value, from 1, rising
 * @return true if it passes
 */
bool np_refractory_pass(struct np_refractory *state, uint64_t length, uint64_t at, double score);

#endif
