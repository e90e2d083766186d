/* The strongest maxima of a row of powers, for kernels/cpu*.c only. */
#ifndef NP_CPU_PEAKS_H
#define NP_CPU_PEAKS_H

#include "kernels/cpu_vector.h"
#include "kernels/spectrum_plan.h"

#define np_cpu_peaks_open  NP_CPU(np_cpu_peaks_open)
#define np_cpu_peaks_find  NP_CPU(np_cpu_peaks_find)
#define np_cpu_peaks_close NP_CPU(np_cpu_peaks_close)

/** Room for the search. */
struct np_cpu_peaks {
    float *value;       /* [n_peaks], the strongest first, then what none exceeds */
    uint32_t *bin;      /* [n_peaks] */
    double (*power)[3]; /* [n_peaks], of the bin and its neighbours */
};

/** @return false: out of memory; close all the same */
bool np_cpu_peaks_open(struct np_cpu_peaks *peaks, uint32_t n_peaks);

/**
 * Finds, interpolates and sorts.
 *
 * @param power  [n_bins], |X[k]|^2, readable 2 LANES further
 * @param out    [n_peaks], n_peaks > 0; those that the row does not have become NaN
 */
void np_cpu_peaks_find(struct np_cpu_peaks *peaks, const struct np_spectrum_plan *plan, const float *power,
                       struct np_peak *out);

void np_cpu_peaks_close(struct np_cpu_peaks *peaks);

#endif
