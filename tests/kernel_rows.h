/* Rows of samples for kernel tests, and the checks that print both values. Include after cmocka.h. */
#ifndef NP_KERNEL_ROWS_H
#define NP_KERNEL_ROWS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))

/* xorshift64*: the same numbers everywhere, in [-1, 1) */
static inline double random_next(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (double)(int64_t)(*seed * 2685821657736338717u) / 9223372036854775808.0;
}

/* n_rows rows of the lengths n[0], n[1], ... n[n_lengths - 1], n[0], ...; all samples missing; the padding holds
 * numbers that no result may show */
struct slab {
    struct np_rows rows;
    float *x;
    const float **row;
    uint32_t *n;
};

static inline void slab_close(struct slab *slab)
{
    free(slab->x);
    free(slab->row);
    free(slab->n);
}

static inline struct slab slab_open(size_t n_rows, const uint32_t *n, size_t n_lengths)
{
    struct slab slab = {.row = calloc(n_rows + 1, sizeof(float *)),
                        .n = calloc(n_rows + 1, sizeof(uint32_t))};
    size_t end = 0;

    assert_non_null(slab.row);
    assert_non_null(slab.n);
    for (size_t r = 0; r < n_rows; r++) {
        slab.n[r] = n[r % n_lengths];
        end += (slab.n[r] + NP_ROW_ALIGN - 1) / NP_ROW_ALIGN * NP_ROW_ALIGN;
    }
    slab.x = aligned_alloc(64, end * sizeof(float) + 64);
    assert_non_null(slab.x);
    for (size_t i = 0; i < end; i++)
        slab.x[i] = i % 2 ? NAN : 1e30f;
    end = 0;
    for (size_t r = 0; r < n_rows; r++) {
        slab.row[r] = slab.x + end;
        for (uint32_t i = 0; i < slab.n[r]; i++)
            slab.x[end + i] = NAN;
        end += (slab.n[r] + NP_ROW_ALIGN - 1) / NP_ROW_ALIGN * NP_ROW_ALIGN;
    }
    slab.rows = (struct np_rows){slab.row, slab.n, n_rows};
    return slab;
}

static inline float *slab_row(const struct slab *slab, size_t r)
{
    return (float *)slab->row[r];
}

static inline void slab_randomize(const struct slab *slab, uint64_t seed)
{
    for (size_t r = 0; r < slab->rows.n_rows; r++)
        for (uint32_t i = 0; i < slab->n[r]; i++)
            slab_row(slab, r)[i] = (float)random_next(&seed);
}

/* fails on NaN, too: it tests !(a <= b) */
#define CHECK_NEAR(got, wanted, tolerance, ...)                                                              \
    do {                                                                                                     \
        double got_ = (got), wanted_ = (wanted), tolerance_ = (tolerance);                                   \
        if (!(fabs(got_ - wanted_) <= tolerance_)) {                                                         \
            print_error("got %.17g, wanted %.17g, off by %g, tolerated %g: ", got_, wanted_,                 \
                        fabs(got_ - wanted_), tolerance_);                                                   \
            fail_msg(__VA_ARGS__);                                                                           \
        }                                                                                                    \
    } while (0)

#define FOR_EACH_VARIANT(k)                                                                                  \
    for (const struct np_kernels *const *row_ = np_kernels_all, *k; (k = *row_) != NULL; row_++)             \
        if (k->usable())

#endif
