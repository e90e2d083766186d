#include "ingest/file_clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/file_reader.h"

/* Differences of times that may be anything in a damaged file. */
static int64_t difference(int64_t a, int64_t b)
{
    int64_t result;

    return __builtin_sub_overflow(a, b, &result) ? (a > b ? INT64_MAX : -INT64_MAX) : result;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void classify(struct np_clock *clock, int64_t step)
{
    double ratio = (double)step / (double)clock->median_ns, whole = nearbyint(ratio);

    if (step > 0 && fabs(ratio - 1) <= 0.1) {
        clock->regular++;
        clock->sum_ns += (double)step;
    } else if (whole >= 2 && fabs(ratio - whole) <= 0.1 + 0.001 * whole) {
        clock->gaps++;
    } else {
        clock->odd++;
    }
}

/* The median of the steps so far; then they are counted like those that follow. */
static void take_median(struct np_clock *clock)
{
    int64_t median = 0;

    memcpy(clock->sorted, clock->head, (size_t)clock->n_head * sizeof clock->head[0]);
    qsort(clock->sorted, (size_t)clock->n_head, sizeof clock->sorted[0], by_value);
    if (clock->n_head > 0)
        median = clock->sorted[clock->n_head / 2];
    clock->median_ns = median > 0 ? median : 1;
    for (int64_t i = 0; i < clock->n_head; i++)
        classify(clock, clock->head[i]);
}

void np_clock_add(struct np_clock *clock, int64_t time_ns)
{
    int64_t step = difference(time_ns, clock->last);

    if (clock->n == 0) {
        clock->first = time_ns;
        clock->resolution_ns = 1000000000;
    } else if (clock->n_head < NP_CLOCK_HEAD) {
        clock->head[clock->n_head++] = step;
        if (clock->n_head == NP_CLOCK_HEAD)
            take_median(clock);
    } else {
        classify(clock, step);
    }
    while (clock->resolution_ns > 1 && difference(time_ns, clock->first) % clock->resolution_ns != 0)
        clock->resolution_ns /= 10;
    clock->last = time_ns;
    clock->n++;
}

/* One over the mean step, or the whole number that the times cannot tell from it. */
static double rate_of(const struct np_clock *clock)
{
    double mean = clock->sum_ns / (double)clock->regular * 1e-9;
    double unsure = (double)clock->resolution_ns * (double)(1 + clock->gaps + clock->odd) / clock->sum_ns;
    double hertz = nearbyint(1 / mean), seconds = nearbyint(mean);

    if (seconds >= 1 && fabs(seconds - mean) <= unsure * mean)
        return 1 / seconds;
    if (hertz >= 1 && fabs(hertz * mean - 1) <= unsure)
        return hertz;
    return 1 / mean;
}

void np_clock_settle(struct np_clock *clock, double rate_hz)
{
    int64_t steps = clock->n - 1;
    double tolerance;

    if (clock->n_head < NP_CLOCK_HEAD)
        take_median(clock);
    clock->on = false;
    clock->rate_hz = rate_hz;
    if (rate_hz == 0 && steps > 0 && clock->regular * 2 >= steps && clock->odd * 20 <= steps &&
        clock->sum_ns > 0)
        clock->rate_hz = rate_of(clock);
    if (clock->rate_hz == 0)
        return;
    /* stamps that were rounded hard (milliseconds at 5 kHz) cannot lie closer to the grid than that */
    tolerance = (rate_hz > 0 ? 0.5 : 0.1) * 1e9 / clock->rate_hz;
    if (tolerance < 0.6 * (double)clock->resolution_ns && rate_hz > 0)
        tolerance = 0.6 * (double)clock->resolution_ns;
    clock->tolerance_ns = tolerance < 9e18 ? (int64_t)ceil(tolerance) : INT64_MAX;
}

int64_t np_clock_now(const struct np_clock *clock)
{
    return np_file_time(clock->t0_ns, clock->rate_hz, clock->k);
}

void np_clock_start(struct np_clock *clock, int64_t time_ns)
{
    clock->on = true;
    clock->t0_ns = time_ns;
    clock->k = 0;
}

bool np_clock_step(struct np_clock *clock, int64_t time_ns)
{
    int64_t off = difference(time_ns, np_clock_now(clock));

    if (!clock->on || off > clock->tolerance_ns || off < -clock->tolerance_ns)
        return false;
    clock->k++;
    return true;
}
