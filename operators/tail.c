#include "operators/tail.h"

#include <math.h>

#define MIN_VALUES 20u

static uint32_t bin_of(double value)
{
    double bin = value > 0 ? floor((log2(value + 1e-6) + 20) * 6) : 0;

    return bin < 0 ? 0 : bin > NP_TAIL_BINS - 1 ? NP_TAIL_BINS - 1 : (uint32_t)bin;
}

/* values in the bins below this one */
static uint32_t count_below(const struct np_tail *tail, uint32_t bin)
{
    uint32_t sum = 0;

    for (; bin; bin &= bin - 1)
        sum += tail->tree[bin - 1];
    return sum;
}

static void count_add(struct np_tail *tail, uint32_t bin, uint32_t count)
{
    for (uint32_t i = bin + 1; i <= NP_TAIL_BINS; i += i & -i)
        tail->tree[i - 1] += count;
    tail->n += count;
}

/* Halves all counts, so that they never overflow; a bin that was hit once is not forgotten. */
static void halve(struct np_tail *tail)
{
    uint32_t below[NP_TAIL_BINS + 1];

    for (uint32_t bin = 0; bin <= NP_TAIL_BINS; bin++)
        below[bin] = count_below(tail, bin);
    *tail = (struct np_tail){0};
    for (uint32_t bin = 0; bin < NP_TAIL_BINS; bin++)
        count_add(tail, bin, (below[bin + 1] - below[bin] + 1) / 2);
}

double np_tail_push(struct np_tail *tail, double value)
{
    uint32_t bin = bin_of(value), below, below_next;
    double share = 1;

    if (tail->n > MIN_VALUES) {
        below = count_below(tail, bin);
        below_next = count_below(tail, bin + 1);
        share = ((double)(tail->n - below_next) + 0.5 * (below_next - below) + 0.5) / ((double)tail->n + 1);
    }
    if (tail->n >= NP_TAIL_FULL)
        halve(tail);
    count_add(tail, bin, 1);
    return share;
}
