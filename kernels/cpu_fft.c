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
        fft->position[k] = 16 * position_of(fft, k);
    fft->position[n] = fft->position[0];
    return true;
}

void np_cpu_fft_close(struct np_cpu_fft *fft)
{
    free(fft->twiddle);
    free(fft->position);
    *fft = (struct np_cpu_fft){0};
}

/* element 0 of a row at x */
INLINE struct cvec row_load(const float *x, const float *window)
{
    vec a = vec_load(x) * vec_load(window), b = vec_load(x + 8) * vec_load(window + 8);

    return (struct cvec){__builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14),
                         __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15)};
}

/* One butterfly over the elements 0, m, 2 m, ... of z. t: its factors, NULL where these are all 1. x: NULL,
 * or where element 0 comes from instead; an element takes 16 floats in z, x and window alike. */
INLINE void pass_one(const int radix, float *z, size_t m, const float *t, const float *x, const float *window)
{
    const size_t step = 16 * m;
    struct cvec v[13];

#pragma GCC unroll 16
    for (int j = 0; j < radix; j++) {
        const size_t at = step * (size_t)j;

        v[j] = x ? row_load(x + at, window + at) : (struct cvec){vec_load(z + at), vec_load(z + at + 8)};
    }
    butterfly(v, radix);
#pragma GCC unroll 16
    for (int k = 0; k < radix; k++) {
        float *to = z + step * (size_t)k;

        if (t && k > 0)
            v[k] = cvec_mul(v[k], vec_of(t[2 * k - 2]), vec_of(t[2 * k - 1]));
        vec_store(to, v[k].re);
        vec_store(to + 8, v[k].im);
    }
}

/* the first pass, from a row: one block */
INLINE void pass_row(const int radix, struct cvec *z, uint32_t n, const float *t, const float *x,
                     const float *window)
{
    const size_t m = n / (uint32_t)radix;
    float *to = (float *)z;

    pass_one(radix, to, m, NULL, x, window);
    for (size_t p = 16; p < 16 * m; p += 16) {
        pass_one(radix, to + p, m, t, x + p, window + p);
        t += 2 * (radix - 1);
    }
}

INLINE void pass(const int radix, struct cvec *z, uint32_t n, uint32_t block, const float *t)
{
    const size_t m = block / (uint32_t)radix, step = 16 * (size_t)block;
    float *const end = (float *)(z + n), *at;

    for (at = (float *)z; at < end; at += step)
        pass_one(radix, at, m, NULL, NULL, NULL);
    for (size_t p = 1; p < m; p++) {
        for (at = (float *)(z + p); at < end; at += step)
            pass_one(radix, at, m, t, NULL, NULL);
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
            pass_row(radix, z, fft->n, t, x, window);                                                        \
        else                                                                                                 \
            pass(radix, z, fft->n, block, t);                                                                \
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
