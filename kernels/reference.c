/* The reference: the plainest code, in float64. What the other variants are tested against. */
#include <complex.h>
#include <math.h>
#include <stdlib.h>

#include "kernels/spectrum_plan.h"
#include "kernels/variants.h"

enum np_kernels_status np_levels_reference(const struct np_rows *rows, struct np_level *out)
{
    for (size_t r = 0; r < rows->n_rows; r++) {
        const float *x = rows->x[r];
        double sum = 0.0, squares = 0.0, min = INFINITY, max = -INFINITY;
        uint32_t n = 0;

        for (uint32_t i = 0; i < rows->n[r]; i++) {
            if (isnan(x[i]))
                continue;
            n++;
            sum += x[i];
            squares += (double)x[i] * x[i];
            min = fmin(min, x[i]);
            max = fmax(max, x[i]);
        }
        out[r] = (struct np_level){NAN, NAN, NAN, NAN, NAN, n};
        if (n == 0)
            continue;
        out[r].rms = sqrt(squares / n);
        out[r].mean = sum / n;
        out[r].min = min;
        out[r].max = max;
        out[r].crest = fmax(fabs(min), fabs(max)) / out[r].rms;
    }
    return NP_KERNELS_OK;
}

struct reference {
    double complex *root;               /* [n_samples], exp(-2 pi i j / n_samples) */
    double complex *in, *out, *scratch; /* [n_samples] */
    double *power;                      /* [n_bins] */
    uint32_t *peak_bin;                 /* [n_peaks + 1] */
    double (*peak_power)[3];            /* [n_peaks + 1] */
};

/* out[k] = sum over j of in[j * every] exp(-2 pi i j k / n), by one prime factor of n at a time */
static void transform(const struct reference *ref, uint32_t n_all, uint32_t n, uint32_t every,
                      const double complex *in, double complex *out)
{
    uint32_t factor = 2, m;

    if (n == 1) {
        out[0] = in[0];
        return;
    }
    while (n % factor)
        factor++;
    m = n / factor;
    for (uint32_t j = 0; j < factor; j++)
        transform(ref, n_all, m, every * factor, in + j * every, out + j * m);
    for (uint32_t k = 0; k < n; k++) {
        ref->scratch[k] = 0.0;
        for (uint32_t j = 0; j < factor; j++)
            ref->scratch[k] += out[j * m + k % m] * ref->root[(uint64_t)j * k * every % n_all];
    }
    for (uint32_t k = 0; k < n; k++)
        out[k] = ref->scratch[k];
}

void np_spectrum_close_reference(struct np_spectrum_plan *plan)
{
    struct reference *ref = plan->state;

    if (!ref)
        return;
    free(ref->root);
    free(ref->in);
    free(ref->out);
    free(ref->scratch);
    free(ref->power);
    free(ref->peak_bin);
    free(ref->peak_power);
    free(ref);
    plan->state = NULL;
}

enum np_kernels_status np_spectrum_open_reference(struct np_spectrum_plan *plan)
{
    uint32_t n = plan->n_samples;
    struct reference *ref = calloc(1, sizeof *ref);

    if (!ref)
        return NP_KERNELS_ENOMEM;
    plan->state = ref;
    ref->root = malloc(n * sizeof *ref->root);
    ref->in = malloc(n * sizeof *ref->in);
    ref->out = malloc(n * sizeof *ref->out);
    ref->scratch = malloc(n * sizeof *ref->scratch);
    ref->power = malloc(plan->n_bins * sizeof *ref->power);
    ref->peak_bin = malloc((plan->n_peaks + 1) * sizeof *ref->peak_bin);
    ref->peak_power = malloc((plan->n_peaks + 1) * sizeof *ref->peak_power);
    if (!ref->root || !ref->in || !ref->out || !ref->scratch || !ref->power || !ref->peak_bin ||
        !ref->peak_power) {
        np_spectrum_close_reference(plan);
        return NP_KERNELS_ENOMEM;
    }
    for (uint32_t j = 0; j < n; j++)
        ref->root[j] = cexp(-2.0 * M_PI * I * j / n);
    return NP_KERNELS_OK;
}

static void find_peaks(const struct np_spectrum_plan *plan, struct reference *ref, struct np_peak *out)
{
    uint32_t n_found = 0;

    for (uint32_t k = 1; k + 1 < plan->n_bins; k++) {
        uint32_t at = n_found;

        if (!(ref->power[k] > ref->power[k - 1] && ref->power[k] >= ref->power[k + 1]))
            continue;
        for (; at > 0 && ref->power[ref->peak_bin[at - 1]] < ref->power[k]; at--)
            ref->peak_bin[at] = ref->peak_bin[at - 1];
        ref->peak_bin[at] = k;
        if (n_found < plan->n_peaks)
            n_found++;
    }
    for (uint32_t i = 0; i < n_found; i++)
        for (int side = 0; side < 3; side++)
            ref->peak_power[i][side] = ref->power[ref->peak_bin[i] - 1 + side];
    np_spectrum_peaks_finish(plan, ref->peak_bin, ref->peak_power, n_found, out);
}

static void row_run(const struct np_spectrum_plan *plan, const float *x, const struct np_spectrum_out *out,
                    size_t row)
{
    struct reference *ref = plan->state;
    double bin_hz = plan->rate_hz / plan->n_samples;
    bool finite = true;

    for (uint32_t j = 0; j < plan->n_samples; j++) {
        finite &= isfinite(x[j]) != 0;
        ref->in[j] = x[j] * plan->window[j];
    }
    transform(ref, plan->n_samples, plan->n_samples, 1, ref->in, ref->out);
    for (uint32_t k = 0; k < plan->n_bins; k++)
        ref->power[k] = finite ? pow(creal(ref->out[k]), 2.0) + pow(cimag(ref->out[k]), 2.0) : NAN;
    if (out->peaks)
        find_peaks(plan, ref, out->peaks + row * plan->n_peaks);
    for (uint32_t k = 0; k < plan->n_bins; k++)
        ref->power[k] *= np_spectrum_side(plan, k);
    for (uint32_t k = 0; out->amplitude && k < plan->n_bins; k++)
        out->amplitude[row * plan->n_bins + k] = (float)sqrt(ref->power[k]);
    for (uint32_t k = 0; out->density && k < plan->n_bins; k++)
        out->density[row * plan->n_bins + k] = (float)(ref->power[k] / (plan->noise_bins * bin_hz));
    for (uint32_t b = 0; out->band_power && b < plan->n_bands; b++) {
        double sum = 0.0;

        for (uint32_t k = plan->bands[b].first; k < plan->bands[b].end; k++)
            sum += ref->power[k];
        if (plan->bands[b].first == plan->bands[b].end)
            sum = NAN;
        out->band_power[row * plan->n_bands + b] = sum / plan->noise_bins;
    }
}

enum np_kernels_status np_spectrum_run_reference(struct np_spectrum_plan *plan, const struct np_rows *rows,
                                                 const struct np_spectrum_out *out)
{
    for (size_t r = 0; r < rows->n_rows; r++)
        row_run(plan, rows->x[r], out, r);
    return NP_KERNELS_OK;
}
