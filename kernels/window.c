#include "kernels/window.h"

#include <math.h>
#include <stddef.h>

const char *const np_window_names[] = {
#define X(id, name) name,
    NP_WINDOW_MAP(X)
#undef X
        NULL,
};

/* w[j] = sum over m of (-1)^m a[m] cos(2 pi m j / n). Flat-top: the five terms of SciPy's and MATLAB's
 * flattopwin (D'Antona and Ferrero, Digital Signal Processing for Measurement Systems, 2006, p. 69). */
static const double cosine_terms[NP_N_WINDOWS][5] = {
    [NP_WINDOW_RECTANGULAR] = {1.0},
    [NP_WINDOW_HANN] = {0.5, 0.5},
    [NP_WINDOW_HAMMING] = {0.54, 0.46},
    [NP_WINDOW_BLACKMAN] = {0.42, 0.5, 0.08},
    [NP_WINDOW_BLACKMAN_HARRIS] = {0.35875, 0.48829, 0.14128, 0.01168},
    [NP_WINDOW_FLAT_TOP] = {0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368},
};

/* modified Bessel function of the first kind, order 0: its power series */
static double bessel_i0(double x)
{
    double sum = 1.0, term = 1.0;

    for (int i = 1; term > 1e-17 * sum; i++) {
        term *= (x / (2.0 * i)) * (x / (2.0 * i));
        sum += term;
    }
    return sum;
}

void np_window_fill(enum np_window window, double beta, uint32_t n, double *w)
{
    const double *a = cosine_terms[window];

    for (uint32_t j = 0; j < n; j++) {
        if (window == NP_WINDOW_KAISER) {
            double at = 2.0 * j / n - 1.0;

            w[j] = bessel_i0(beta * sqrt(1.0 - at * at)) / bessel_i0(beta);
            continue;
        }
        w[j] = a[0];
        for (uint32_t m = 1; m < 5; m++)
            w[j] += (m % 2 ? -a[m] : a[m]) * cos(2.0 * M_PI * (double)((uint64_t)m * j % n) / n);
    }
}

double np_window_coherent_gain(const double *w, uint32_t n)
{
    double sum = 0.0;

    for (uint32_t j = 0; j < n; j++)
        sum += w[j];
    return sum / n;
}

double np_window_noise_bins(const double *w, uint32_t n)
{
    double sum = 0.0, squares = 0.0;

    for (uint32_t j = 0; j < n; j++) {
        sum += w[j];
        squares += w[j] * w[j];
    }
    return n * squares / (sum * sum);
}
