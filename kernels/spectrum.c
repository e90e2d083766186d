#include "kernels/spectrum.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/fft_length.h"
#include "kernels/spectrum_plan.h"

static const char *spec_error(const struct np_spectrum_spec *spec)
{
    if (!np_fft_good_length(spec->n_samples))
        return "the length must be 2 .. 16777216 with prime factors up to 13";
    if (!(spec->rate_hz > 0.0) || isinf(spec->rate_hz))
        return "the sampling rate must be above 0 Hz";
    if ((unsigned)spec->window >= NP_N_WINDOWS)
        return "no such window function";
    if (spec->window == NP_WINDOW_KAISER && !(spec->kaiser_beta >= 0.0 && spec->kaiser_beta <= 100.0))
        return "beta of the Kaiser window must be 0 .. 100";
    for (uint32_t b = 0; b < spec->n_bands; b++)
        if (!(spec->bands[b].f0_hz >= 0.0 && spec->bands[b].f1_hz > spec->bands[b].f0_hz))
            return "a band must begin at 0 Hz or above and end above its beginning";
    return NULL;
}

/* the first bin whose centre is at f or above, with a billionth of slack for decimal fractions */
static uint32_t bin_from(const struct np_spectrum_plan *plan, double f_hz)
{
    double k = ceil(f_hz * plan->n_samples / plan->rate_hz * (1.0 - 1e-9));

    return k < plan->n_bins ? (uint32_t)k : plan->n_bins;
}

struct np_spectrum_plan *np_spectrum_plan_create(const struct np_kernels *kernels,
                                                 const struct np_spectrum_spec *spec, const char **why)
{
    struct np_spectrum_plan *plan = NULL;
    double scale;

    *why = spec_error(spec);
    if (*why)
        return NULL;
    *why = "out of memory";
    plan = calloc(1, sizeof *plan);
    if (!plan)
        return NULL;
    plan->kernels = kernels;
    plan->n_samples = spec->n_samples;
    plan->n_bins = spec->n_samples / 2 + 1;
    plan->n_bands = spec->n_bands;
    plan->n_peaks = spec->n_peaks;
    plan->rate_hz = spec->rate_hz;
    plan->window = malloc(spec->n_samples * sizeof *plan->window);
    plan->bands = calloc(spec->n_bands + 1, sizeof *plan->bands);
    if (!plan->window || !plan->bands)
        goto fail;
    np_window_fill(spec->window, spec->kaiser_beta, spec->n_samples, plan->window);
    plan->noise_bins = np_window_noise_bins(plan->window, spec->n_samples);
    np_peak_table_fill(&plan->peak_table, plan->window, spec->n_samples);
    scale = sqrt(2.0) / (np_window_coherent_gain(plan->window, spec->n_samples) * spec->n_samples);
    for (uint32_t j = 0; j < spec->n_samples; j++)
        plan->window[j] *= scale;
    for (uint32_t b = 0; b < spec->n_bands; b++) {
        plan->bands[b].first = bin_from(plan, spec->bands[b].f0_hz);
        plan->bands[b].end = bin_from(plan, spec->bands[b].f1_hz);
    }
    if (kernels->spectrum_open(plan) != NP_KERNELS_OK) {
        *why = "the variant could not make its part of the plan: out of memory, or a device call failed";
        goto fail;
    }
    *why = NULL;
    return plan;
fail:
    np_spectrum_plan_close(plan);
    return NULL;
}

enum np_kernels_status np_spectrum_plan_run(struct np_spectrum_plan *plan, const struct np_rows *rows,
                                            const struct np_spectrum_out *out)
{
    for (size_t r = 0; r < rows->n_rows; r++)
        if (rows->n[r] != plan->n_samples)
            return NP_KERNELS_EINVAL;
    return plan->kernels->spectrum_run(plan, rows, out);
}

void np_spectrum_plan_close(struct np_spectrum_plan *plan)
{
    if (!plan)
        return;
    plan->kernels->spectrum_close(plan);
    free(plan->window);
    free(plan->bands);
    free(plan);
}

void np_spectrum_peaks_finish(const struct np_spectrum_plan *plan, const uint32_t *bin, double (*power)[3],
                              uint32_t n_found, struct np_peak *out)
{
    double bin_hz = plan->rate_hz / plan->n_samples;

    for (uint32_t i = 0; i < n_found; i++) {
        double middle = sqrt(power[i][1]), offset, gain;
        struct np_peak peak;
        uint32_t at = i;

        gain = np_peak_interpolate(&plan->peak_table, sqrt(power[i][0]), middle, sqrt(power[i][2]), &offset);
        peak.amplitude = middle * gain;
        peak.frequency_hz = (bin[i] + offset) * bin_hz;
        for (; at > 0 && out[at - 1].amplitude < peak.amplitude; at--)
            out[at] = out[at - 1];
        out[at] = peak;
    }
    for (uint32_t i = n_found; i < plan->n_peaks; i++)
        out[i] = (struct np_peak){NAN, NAN};
}
