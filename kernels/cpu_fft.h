/* Eight complex transforms at once, a lane each, in place, for kernels/cpu*.c only. Decimation in frequency
 * without reordering: X[k] is left at (float *)z + position[k], and who reads it next looks there. */
#ifndef NP_CPU_FFT_H
#define NP_CPU_FFT_H

#include "kernels/cpu_butterfly.h"

#define np_cpu_fft_open  NP_CPU(np_cpu_fft_open)
#define np_cpu_fft_run   NP_CPU(np_cpu_fft_run)
#define np_cpu_fft_close NP_CPU(np_cpu_fft_close)

struct np_cpu_fft {
    uint32_t n, n_passes;
    uint8_t radix[24];
    size_t twiddle_at[24]; /* where the factors of each pass begin, [floats] */
    float *twiddle;
    uint32_t *position; /* [n + 1], [floats], 16 an element; position[n] = position[0] */
};

/** @param n 1 or a good length. @return false: out of memory; close all the same */
bool np_cpu_fft_open(struct np_cpu_fft *fft, uint32_t n);

/**
 * @param z       [n], transformed in place
 * @param x       NULL, or a row of 16 n samples that replaces what is in z, element m getting the lanes
 *                x[16 m + 2 l] + i x[16 m + 2 l + 1], times window, with l = np_cpu_lane_order[lane]
 * @param window  [16 n], used with x only
 */
void np_cpu_fft_run(const struct np_cpu_fft *fft, struct cvec *z, const float *x, const float *window);

void np_cpu_fft_close(struct np_cpu_fft *fft);

/* the order in which two loads and two shuffles part real from imaginary */
static const unsigned np_cpu_lane_order[LANES] = {0, 1, 4, 5, 2, 3, 6, 7};

#endif
