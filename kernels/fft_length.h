/* Which transform lengths the FFT kernels take: those whose prime factors are at most 13. */
#ifndef NP_FFT_LENGTH_H
#define NP_FFT_LENGTH_H

#include <stdbool.h>
#include <stdint.h>

#define NP_FFT_LENGTH_MIN 2u
#define NP_FFT_LENGTH_MAX (1u << 24)

/** @return true if n is in NP_FFT_LENGTH_MIN .. NP_FFT_LENGTH_MAX and its prime factors are all <= 13 */
bool np_fft_good_length(uint32_t n);

/**
 * Finds the nearest good lengths, for an error that tells the user what to choose instead.
 *
 * @param below  the largest good length <= n, or NP_FFT_LENGTH_MIN if there is none
 * @param above  the smallest good length >= n, or NP_FFT_LENGTH_MAX if there is none
 */
void np_fft_nearest_lengths(uint32_t n, uint32_t *below, uint32_t *above);

#endif
