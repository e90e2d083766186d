#include "kernels/peak.h"

#include <math.h>

#define STEPS  64 /* per bin */
#define POINTS 49 /* offsets 0 .. 0.75 bins: with a flat top the peak need not be at the nearest bin */

/* |sum of w[j] exp(-2 pi i d j / n)|, every so many j: the window's transform d bins from its centre */
static double response(const double *w, uint32_t n, uint32_t every, double d)
{
    double step_re = cos(2.0 * M_PI * d * every / n), step_im = sin(2.0 * M_PI * d * every / n);
    double re = 0.0, im = 0.0, c = 1.0, s = 0.0;

    for (uint32_t j = 0; j < n; j += every) {
        double next = c * step_re - s * step_im;

        re += w[j] * c;
        im += w[j] * s;
        s = c * step_im + s * step_re;
        c = next;
    }
    return hypot(re, im);
}

/* Two neighbours compared with one another are the steepest measure for a wide main lobe (flat-top:
 * the peak and its larger neighbour hardly differ); of a narrow one the smaller neighbour is noise.
 * Negative if the tone is to the left. */
static double measure(bool by_both, double left, double peak, double right)
{
    if (by_both)
        return right + left > 0.0 ? (right - left) / (right + left) : 0.0;
    return (right > left ? right : -left) / peak;
}

/* Lagrange's cubic through the four of n points that are nearest to at; x increases */
static double cubic_at(const double *x, const double *y, int n, double at)
{
    double sum = 0.0;
    int first = 0;

    while (first + 4 < n && at > x[first + 2])
        first++;
    for (int i = first; i < first + 4; i++) {
        double term = y[i];

        for (int j = first; j < first + 4; j++)
            if (j != i)
                term *= (at - x[j]) / (x[i] - x[j]);
        sum += term;
    }
    return sum;
}

/* the cubic through y[0] at -1, y[1] at 0, y[2] at 1, y[3] at 2, for use within 0 .. 1 */
static struct np_peak_cubic cubic_of(const double *y)
{
    return (struct np_peak_cubic){{
        y[1],
        -y[0] / 3.0 - y[1] / 2.0 + y[2] - y[3] / 6.0,
        y[0] / 2.0 - y[1] + y[2] / 2.0,
        (y[3] - y[0]) / 6.0 + (y[1] - y[2]) / 2.0,
    }};
}

void np_peak_table_fill(struct np_peak_table *table, const double *w, uint32_t n)
{
    double seen[STEPS + POINTS], measures[POINTS], offsets[POINTS], gains[POINTS];
    double offset[NP_PEAK_PARTS + 3], gain[NP_PEAK_PARTS + 3];
    uint32_t every = 1;
    int n_points = 0;

    /* the response converges with 1/n^2: 1e-6 at 2048 points. Longer windows are thinned out */
    while (n % (2 * every) == 0 && n / (2 * every) >= 2048)
        every *= 2;
    for (int i = 0; i < STEPS + POINTS; i++)
        seen[i] = response(w, n, every, (double)i / STEPS);
    table->by_both = seen[STEPS] > 0.4 * seen[0];
    for (; n_points < POINTS; n_points++) {
        double at = measure(table->by_both, seen[STEPS + n_points], seen[n_points], seen[STEPS - n_points]);

        if (n_points > 0 && !(at > measures[n_points - 1]))
            break;
        measures[n_points] = at;
        offsets[n_points] = (double)n_points / STEPS;
        gains[n_points] = seen[0] / seen[n_points];
    }
    table->first = table->last = measures[0];
    if (n_points < 4)
        return;
    table->last = measures[n_points - 1];
    table->to_part = NP_PEAK_PARTS / (table->last - table->first);
    for (int i = 0; i < NP_PEAK_PARTS + 3; i++) {
        double at = table->first + (i - 1) / table->to_part;

        offset[i] = cubic_at(measures, offsets, n_points, at);
        gain[i] = cubic_at(measures, gains, n_points, at);
    }
    for (int i = 0; i < NP_PEAK_PARTS; i++) {
        table->offset[i] = cubic_of(offset + i);
        table->gain[i] = cubic_of(gain + i);
    }
}

double np_peak_interpolate(const struct np_peak_table *table, double left, double peak, double right,
                           double *offset)
{
    double signed_at = measure(table->by_both, left, peak, right), at = fabs(signed_at), t;
    const double *o, *g;
    int part;

    *offset = 0.0;
    if (!(at > table->first && table->last > table->first))
        return 1.0;
    t = (fmin(at, table->last) - table->first) * table->to_part;
    part = t < NP_PEAK_PARTS ? (int)t : NP_PEAK_PARTS - 1;
    t -= part;
    o = table->offset[part].c;
    g = table->gain[part].c;
    *offset = copysign(o[0] + t * (o[1] + t * (o[2] + t * o[3])), signed_at);
    return g[0] + t * (g[1] + t * (g[2] + t * g[3]));
}
