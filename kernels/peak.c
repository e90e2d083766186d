#include "kernels/peak.h"

#include <math.h>

/* |sum of w[j] exp(-2 pi i d j / n)|: the window's transform d bins from its centre */
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
 * the peak and its larger neighbour hardly differ); of a narrow one the smaller neighbour is noise. */
static double measure(bool by_both, double left, double peak, double right)
{
    if (by_both)
        return right + left > 0.0 ? (right - left) / (right + left) : 0.0;
    return (right > left ? right : -left) / peak;
}

void np_peak_table_fill(struct np_peak_table *table, const double *w, uint32_t n)
{
    double seen[2 * NP_PEAK_STEPS];
    uint32_t every = 1;

    /* the response converges with 1/n^2: 1e-7 at 2048 points. Longer windows are thinned out */
    while (n % (2 * every) == 0 && n / (2 * every) >= 2048)
        every *= 2;
    for (int i = 0; i < NP_PEAK_STEPS + NP_PEAK_POINTS; i++)
        seen[i] = response(w, n, every, (double)i / NP_PEAK_STEPS);
    table->by_both = seen[NP_PEAK_STEPS] > 0.4 * seen[0];
    table->n_points = 0;
    for (int i = 0; i < NP_PEAK_POINTS; i++) {
        double at = measure(table->by_both, seen[NP_PEAK_STEPS + i], seen[i], seen[NP_PEAK_STEPS - i]);

        if (i > 0 && !(at > table->measure[i - 1]))
            break;
        table->measure[i] = at;
        table->gain[i] = seen[i] / seen[0];
        table->n_points = i + 1;
    }
}

/* Lagrange's cubic through four points */
static double cubic(const double *x, const double *y, double at)
{
    double sum = 0.0;

    for (int i = 0; i < 4; i++) {
        double term = y[i];

        for (int j = 0; j < 4; j++)
            if (j != i)
                term *= (at - x[j]) / (x[i] - x[j]);
        sum += term;
    }
    return sum;
}

double np_peak_interpolate(const struct np_peak_table *table, double left, double peak, double right,
                           double *offset)
{
    double at = measure(table->by_both, sqrt(left), sqrt(peak), sqrt(right));
    double sign = at < 0.0 ? -1.0 : 1.0, grid[4], d;
    int i = 0;

    *offset = 0.0;
    at = fabs(at);
    if (table->n_points < 4 || !(at > table->measure[0]))
        return 1.0;
    while (i + 4 < table->n_points && at > table->measure[i + 2])
        i++;
    for (int j = 0; j < 4; j++)
        grid[j] = (double)(i + j) / NP_PEAK_STEPS;
    d = cubic(table->measure + i, grid, fmin(at, table->measure[table->n_points - 1]));
    *offset = sign * d;
    return 1.0 / cubic(grid, table->gain + i, d);
}

