/* What a spectrum plan holds, for kernels/ only: the part that all variants share, worked out once. */
#ifndef NP_SPECTRUM_PLAN_H
#define NP_SPECTRUM_PLAN_H

#include "kernels/peak.h"
#include "kernels/spectrum.h"

struct np_bin_range {
    uint32_t first, end; /* first <= k < end */
};

struct np_spectrum_plan {
    const struct np_kernels *kernels;
    void *state; /* the variant's own, made by its spectrum_open() */
    uint32_t n_samples, n_bins, n_bands, n_peaks;
    double rate_hz;
    double *window;    /* [n_samples], times sqrt(2) / sum: |X[k]|^2 is a tone's mean square */
    double noise_bins; /* equivalent noise bandwidth, [bins] */
    struct np_bin_range *bands;
    struct np_peak_table peak_table;
};

/** Power of bin k over |X[k]|^2: the two bins without a mirror image count half. */
static inline double np_spectrum_side(const struct np_spectrum_plan *plan, uint32_t k)
{
    return k == 0 || 2 * k == plan->n_samples ? 0.5 : 1.0;
}

/**
 * Interpolates and sorts a row's peaks.
 *
 * @param bin    [n_found], n_found <= n_peaks
 * @param power  [n_found][3], of the bin before, the bin, the bin after
 * @param out    [n_peaks], those past n_found become NaN
 */
void np_spectrum_peaks_finish(const struct np_spectrum_plan *plan, const uint32_t *bin, double (*power)[3],
                              uint32_t n_found, struct np_peak *out);

#endif
