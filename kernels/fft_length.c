#include "kernels/fft_length.h"

bool np_fft_good_length(uint32_t n)
{
    static const uint32_t primes[] = {2, 3, 5, 7, 11, 13};

    if (n < NP_FFT_LENGTH_MIN || n > NP_FFT_LENGTH_MAX)
        return false;
    for (unsigned i = 0; i < sizeof primes / sizeof *primes; i++)
        while (n % primes[i] == 0)
            n /= primes[i];
    return n == 1;
}

void np_fft_nearest_lengths(uint32_t n, uint32_t *below, uint32_t *above)
{
    if (n < NP_FFT_LENGTH_MIN)
        n = NP_FFT_LENGTH_MIN;
    if (n > NP_FFT_LENGTH_MAX)
        n = NP_FFT_LENGTH_MAX;
    /* both limits are good lengths, so each walk ends there at the latest */
    for (*below = n; !np_fft_good_length(*below); --*below)
        ;
    for (*above = n; !np_fft_good_length(*above); ++*above)
        ;
}
