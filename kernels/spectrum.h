/* Spectra of rows of one length and one sampling rate: window function, real FFT, amplitudes, power
 * density, band powers, strongest peaks. One-sided; bin k lies at k * rate_hz / n_samples, and there are
 * n_samples / 2 + 1 of them.
 *
 * Scaling, with w the window and X the transform of w x:
 *   amplitude[k] = c |X[k]| / sum(w), c = sqrt(2), but 1 at 0 Hz and at half the rate: the RMS value of a
 *                  tone on bin k; of a constant its absolute value. [unit of x]
 *   density[k]   = amplitude[k]^2 / (noise bandwidth of the window in Hz). [unit^2/Hz]
 *   band power   = sum of density * bin width over the bins whose centre is in [f0, f1). [unit^2]
 *                  Over all bins it is sum((w x)^2) / sum(w^2) (Parseval): the mean square of x, exactly so
 *                  for the rectangular window.
 *   peaks        = local maxima of |X| between 0 Hz and half the rate (both excluded), the strongest n_peaks
 *                  by bin (of equal ones the lower), sorted by interpolated amplitude. Frequency and
 * amplitude are those of the one tone that gives the bins seen: for a pure tone within 1e-3 of a bin and 1e-3
 * of its amplitude if its bin is at least 500 (rectangular), 64 (Hamming; Kaiser from beta 5) or 16 (the
 * others) away from 0 Hz and half the rate; nearer, the side lobes of its mirror image are in the way:
 * rectangular, the frequency is within 0.125 / bin.
 *
 * Tolerance between variants: 2 FLT_EPSILON log2(n_samples) times the largest amplitude of the row, per bin.
 * Samples: finite, |x| below 1e15. A row with a NaN or an infinity gives NaN in all its results. */
#ifndef NP_SPECTRUM_H
#define NP_SPECTRUM_H

#include "kernels/kernels.h"
#include "kernels/window.h"

/** A range of frequencies, [Hz], f0_hz <= f < f1_hz; 0 <= f0_hz < f1_hz; f1_hz may be INFINITY. */
struct np_spectrum_band {
    double f0_hz, f1_hz;
};

struct np_spectrum_spec {
    uint32_t n_samples; /* of every row: np_fft_good_length() */
    double rate_hz;     /* > 0 */
    enum np_window window;
    double kaiser_beta; /* 0 .. 100; of NP_WINDOW_KAISER only */
    uint32_t n_bands, n_peaks;
    const struct np_spectrum_band *bands; /* [n_bands], borrowed during np_spectrum_plan_create() */
};

struct np_peak {
    double frequency_hz; /* NaN where a row has fewer than n_peaks maxima */
    double amplitude;    /* RMS value of the tone, [unit of x] */
};

/** Results wanted, caller's memory, row-major; NULL: not wanted, and then not written anywhere. */
struct np_spectrum_out {
    float *amplitude;      /* [n_rows][n_samples / 2 + 1] */
    float *density;        /* [n_rows][n_samples / 2 + 1] */
    double *band_power;    /* [n_rows][n_bands]; NaN for a band that holds no bin */
    struct np_peak *peaks; /* [n_rows][n_peaks] */
};

/**
 * Makes a plan; all memory is taken here and none while it runs.
 *
 * @param why  given: if NULL is returned, a static text that says what is wrong and what is allowed
 * @return gives: close with np_spectrum_plan_close(); NULL for a bad spec or when out of memory
 */
struct np_spectrum_plan *np_spectrum_plan_create(const struct np_kernels *kernels,
                                                 const struct np_spectrum_spec *spec, const char **why);

/** @return NP_KERNELS_OK; NP_KERNELS_EINVAL (nothing written) if a row's n is not the plan's;
 * NP_KERNELS_EDEVICE */
enum np_kernels_status np_spectrum_plan_run(struct np_spectrum_plan *plan, const struct np_rows *rows,
                                            const struct np_spectrum_out *out);

/** Accepts NULL. */
void np_spectrum_plan_close(struct np_spectrum_plan *plan);

#endif
