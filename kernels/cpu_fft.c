#include "kernels/cpu_fft.h"

#include <math.h>
#include <stdlib.h>

/* Odd factors first, then eights; what is left of the twos as one 2 or 4, or two 4 rather than 2 and 8. */
static uint32_t factorize(uint32_t n, uint8_t *radix)
{
    static const uint8_t odd[] = {13, 11, 7, 5, 3};
    uint32_t n_passes = 0;

    while (n % 8 == 0 && n != 16) {
        radix[n_passes++] = 8;
        n /= 8;
    }
    while (n % 4 == 0) {
        radix[n_passes++] = 4;
        n /= 4;
    }
    if (n % 2 == 0) {
        radix[n_passes++] = 2;
        n /= 2;
    }
    for (unsigned i = 0; i < sizeof odd; i++)
        for (; n % odd[i] == 0; n /= odd[i])
            radix[n_passes++] = odd[i];
    return n_passes;
}

/* where X[k] is found: the first pass leaves k mod radix in its radix-th parts, and so on within each */
static uint32_t position_of(const struct np_cpu_fft *fft, uint32_t k)
{
    uint32_t at = 0, block = fft->n;

    for (uint32_t i = 0; i < fft->n_passes; i++) {
        block /= fft->radix[i];
        at += k % fft->radix[i] * block;
        k /= fft->radix[i];
    }
    return at;
}

bool np_cpu_fft_open(struct np_cpu_fft *fft, uint32_t n)
{
    size_t n_floats = 0;
    uint32_t block = n;
    float *t;

    fft->n = n;
    fft->n_passes = factorize(n, fft->radix);
    for (uint32_t i = 0; i < fft->n_passes; i++) {
        fft->twiddle_at[i] = n_floats;
        block /= fft->radix[i];
        n_floats += (size_t)(block - 1) * (fft->radix[i] - 1u) * 2;
    }
    fft->twiddle = malloc((n_floats + 1) * sizeof *fft->twiddle);
    fft->position = malloc((n + 1) * sizeof *fft->position);
    if (!fft->twiddle || !fft->position)
        return false;
    t = fft->twiddle;
    block = n;
    for (uint32_t i = 0; i < fft->n_passes; i++) {
        for (uint32_t p = 1; p < block / fft->radix[i]; p++)
            for (uint32_t k = 1; k < fft->radix[i]; k++) {
                double angle = -2.0 * M_PI * (double)((uint64_t)p * k % block) / block;

                *t++ = (float)cos(angle);
                *t++ = (float)sin(angle);
            }
        block /= fft->radix[i];
    }
    for (uint32_t k = 0; k < n; k++)
        fft->position[k] = position_of(fft, k);
    fft->position[n] = fft->position[0];
    return true;
}

void np_cpu_fft_close(struct np_cpu_fft *fft)
{
    free(fft->twiddle);
    free(fft->position);
    *fft = (struct np_cpu_fft){0};
}

INLINE struct cvec row_load(const float *x, const float *window, size_t m)
{
    vec a = vec_load(x + 16 * m) * vec_load(window + 16 * m);
    vec b = vec_load(x + 16 * m + 8) * vec_load(window + 16 * m + 8);

    return (struct cvec){__builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14),
                         __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15)};
}

/* the butterflies number p of all blocks; t: their factors, NULL where these are all 1 */
INLINE void pass_part(const int radix, struct cvec *z, uint32_t n, uint32_t block, uint32_t p, const float *t,
                      const float *x, const float *window)
{
    const size_t m = block / (uint32_t)radix;

    for (size_t at = p; at < n; at += block) {
        struct cvec v[13];

        UNROLL for (int j = 0; j < radix; j++)
            v[j] = x ? row_load(x, window, at + m * (size_t)j) : z[at + m * (size_t)j];
        butterfly(v, radix);
        z[at] = v[0];
        UNROLL for (int k = 1; k < radix; k++)
            z[at + m * (size_t)k] = t ? cvec_mul(v[k], vec_of(t[2 * k - 2]), vec_of(t[2 * k - 1])) : v[k];
    }
}

INLINE void pass(const int radix, struct cvec *z, uint32_t n, uint32_t block, const float *t, const float *x,
                 const float *window)
{
    pass_part(radix, z, n, block, 0, NULL, x, window);
    for (uint32_t p = 1; p < block / (uint32_t)radix; p++) {
        pass_part(radix, z, n, block, p, t, x, window);
        t += 2 * (radix - 1);
    }
}

void np_cpu_fft_run(const struct np_cpu_fft *fft, struct cvec *z, const float *x, const float *window)
{
    uint32_t block = fft->n;

    for (uint32_t i = 0; i < fft->n_passes; i++) {
        const float *t = fft->twiddle + fft->twiddle_at[i];

        switch (fft->radix[i]) {
#define CASE(radix)                                                                                          \
    case radix:                                                                                              \
        if (x && i == 0)                                                                                     \
            pass(radix, z, fft->n, block, t, x, window);                                                     \
        else                                                                                                 \
            pass(radix, z, fft->n, block, t, NULL, NULL);                                                    \
        break;
            CASE(2)
            CASE(3)
            CASE(4)
            CASE(5)
            CASE(7)
            CASE(8)
            CASE(11)
            CASE(13)
#undef CASE
        }
        block /= fft->radix[i];
    }
}
