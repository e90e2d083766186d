#include <math.h>

#include "operators/anomaly.h"

#define Z_MIN_VALUES 10u
#define Z_MAX 1000.0
#define HIGHER 0.01    /* 15 % rarer: a longer past alone lifts the score of what is rarer than all of it */

/* Deviation from the mean of all values before, in their standard deviations. */
static double growing_z(const struct np_anomaly *state, double value)
{
    double z;

    if (state->n < Z_MIN_VALUES)
        return 0;
    z = (value - state->mean) / (sqrt(state->m2 / (double)state->n) + 1e-12);
    return z > Z_MAX ? Z_MAX : z < -Z_MAX ? -Z_MAX : z;
}

/* Root of the mean of the last z^2, as far as there are any. */
static double energy_push(struct np_anomaly *state, uint32_t span, double z)
{
    uint32_t slot = (uint32_t)(state->n % span);
    uint64_t count = state->n + 1 < span ? state->n + 1 : span;

    state->square_sum += z * z - state->squares[slot];
    state->squares[slot] = z * z;
    if (slot == 0) {    /* once per round the sum is taken afresh, so that rounding does not pile up */
        state->square_sum = 0;
        for (uint32_t i = 0; i < span; i++)
            state->square_sum += state->squares[i];
    }
    return state->square_sum > 0 ? sqrt(state->square_sum / (double)count) : 0;
}

/* Distance outside the range seen so far, in widths of that range; 0 while that has none. */
static double outside_range(const struct np_anomaly *state, double value)
{
    double above = value - state->max, below = state->min - value, distance = above > below ? above : below;
    double width = state->max - state->min;

    return width > 0 && distance > 0 ? distance / width : 0;
}

static void absorb(struct np_anomaly *state, double value)
{
    double delta = value - state->mean;

    if (state->n == 0 || value < state->min)
        state->min = value;
    if (state->n == 0 || value > state->max)
        state->max = value;
    state->n++;
    state->mean += delta / (double)state->n;
    state->m2 += delta * (value - state->mean);
}

static double score_of(double probability)
{
    double score = -log10(probability) / 6;

    return score < 1 ? score : 1;
}

struct np_anomaly_score np_anomaly_push(struct np_anomaly *state, uint32_t span, double value)
{
    double energy = energy_push(state, span, growing_z(state, value)), range = outside_range(state, value);
    double sum =
        score_of(np_tail_push(&state->energy, energy)) + score_of(np_tail_push(&state->range, range));
    double probability = np_tail_push(&state->sum, sum);

    absorb(state, value);
    return (struct np_anomaly_score){.score = score_of(probability), .probability = probability};
}

bool np_refractory_pass(struct np_refractory *state, uint64_t length, uint64_t at, double score)
{
    if (state->at != 0 && at - state->at <= length && score <= state->score + HIGHER)
        return false;
    state->at = at;
    state->score = score;
    return true;
}
