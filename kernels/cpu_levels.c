#include <math.h>

#include "kernels/cpu_vector.h"
#include "kernels/variants.h"

/* lanes 0..3 and 4..7 of v as doubles */
INLINE void widen(vec v, dvec *low, dvec *high)
{
    typedef float half __attribute__((vector_size(16)));

    *low = __builtin_convertvector((half)__builtin_shufflevector(v, v, 0, 1, 2, 3), dvec);
    *high = __builtin_convertvector((half)__builtin_shufflevector(v, v, 4, 5, 6, 7), dvec);
}

struct sums {
    double sum, squares;
    float min, max;
    uint32_t n;
};

/* a vector would be mostly empty, and folding its lanes would cost more than the samples */
static struct sums sums_short(const float *x, uint32_t n)
{
    struct sums s = {.min = INFINITY, .max = -INFINITY};

    for (uint32_t i = 0; i < n; i++) {
        if (x[i] != x[i])
            continue;
        s.n++;
        s.sum += x[i];
        s.squares += (double)x[i] * x[i];
        s.min = x[i] < s.min ? x[i] : s.min;
        s.max = x[i] > s.max ? x[i] : s.max;
    }
    return s;
}

static struct sums sums_long(const float *x, uint32_t n)
{
    struct sums s = {.min = INFINITY, .max = -INFINITY};
    dvec sum[2] = {{0}}, squares[2] = {{0}}, low, high;
    vec min = vec_of(INFINITY), max = vec_of(-INFINITY);
    ivec n_valid = {0};

    for (uint32_t i = 0; i < n; i += LANES) {
        vec v = vec_load(x + i);
        ivec valid;

        if (n - i < LANES)
            v = vec_select((ivec){0, 1, 2, 3, 4, 5, 6, 7} < (int32_t)(n - i), v, vec_of(NAN));
        valid = v == v;
        n_valid -= valid;
        min = vec_min(v, min);
        max = vec_max(v, max);
        widen((vec)((ivec)v & valid), &low, &high);
        sum[0] += low;
        sum[1] += high;
        squares[0] += low * low;
        squares[1] += high * high;
    }
    sum[0] += sum[1];
    squares[0] += squares[1];
    s.sum = (sum[0][0] + sum[0][2]) + (sum[0][1] + sum[0][3]);
    s.squares = (squares[0][0] + squares[0][2]) + (squares[0][1] + squares[0][3]);
    for (unsigned i = 0; i < LANES; i++) {
        s.min = min[i] < s.min ? min[i] : s.min;
        s.max = max[i] > s.max ? max[i] : s.max;
        s.n += (uint32_t)n_valid[i];
    }
    return s;
}

enum np_kernels_status NP_CPU(np_levels)(const struct np_rows *rows, struct np_level *out)
{
    for (size_t r = 0; r < rows->n_rows; r++) {
        const float *x = rows->x[r];
        struct sums s = rows->n[r] < 16 ? sums_short(x, rows->n[r]) : sums_long(x, rows->n[r]);
        double largest = s.max > -s.min ? s.max : -s.min;

        if (s.n == 0) {
            out[r] = (struct np_level){NAN, NAN, NAN, NAN, NAN, 0};
            continue;
        }
        out[r].rms = sqrt(s.squares / s.n);
        out[r].mean = s.sum / s.n;
        out[r].min = s.min;
        out[r].max = s.max;
        out[r].crest = largest / out[r].rms;
        out[r].n_valid = s.n;
    }
    return NP_KERNELS_OK;
}
