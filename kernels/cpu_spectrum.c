/* Spectra on the CPU. Two ways to fill eight lanes, chosen by the length alone, so that a row's bits depend
 * on nothing but the row. w_n = exp(-2 pi i / n), H = n / 2.
 *
 * Split rows (16 | n): the row is H complex numbers z[j] = x[2 j] + i x[2 j + 1]. Lane l transforms the
 * M = n / 16 numbers z[8 m + l] into F_l, so a row stays in the first-level cache. Then, for eight k at a
 * time, transposed so that a lane is a k and the transform runs over l,
 *     Z[k + M j] = sum over l of w_8^(l j) (w_H^(l k) F_l[k])
 * and the transform of the real row from pairs of these:
 *     X[q] = E + w_n^q O,  X[H - q] = conj(E - w_n^q O),
 *     2 E = Z[q] + conj Z[H - q],  2 i O = Z[q] - conj Z[H - q].
 * The partners of block k are in block M - k: since w_H^(l (M - k)) = w_8^l conj w_H^(l k), they come from
 * F_l[M - k] with the conjugate factors, one place further in j.
 *
 * Whole rows (any other n): a lane is a row, eight rows together, the last group filled up with its first
 * row. Even n as above, H complex numbers of the same row; odd n as n complex numbers. */
#include <math.h>
#include <stdlib.h>

#include "kernels/cpu_fft.h"
#include "kernels/cpu_peaks.h"
#include "kernels/spectrum_plan.h"
#include "kernels/variants.h"

#define SPLIT_MIN 512u /* [samples]; below, whole rows are faster */

struct spectrum {
    bool split;
    struct np_cpu_fft fft;
    float *window; /* [n_samples, padded]; for even n halved, instead of E and O */
    struct cvec *z;
    float *power; /* rows of power_stride, |X[k]|^2 */
    size_t power_stride;
    struct cvec *lane_twiddle; /* split: [blocks][7], w_H^(l k) */
    struct cvec *pair_twiddle; /* split: [blocks][8], w_n^(k + M j) */
    float *root;               /* whole, even n: [n / 2 + 1] w_n^k, re and im */
    struct np_cpu_peaks peaks;
};

static void *floats_alloc(size_t n)
{
    void *p = NULL;

    if (posix_memalign(&p, 64, n * sizeof(float)) != 0)
        return NULL;
    memset(p, 0, n * sizeof(float));
    return p;
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

void NP_CPU(np_spectrum_close)(struct np_spectrum_plan *plan)
{
    struct spectrum *sp = plan->state;

    if (!sp)
        return;
    np_cpu_fft_close(&sp->fft);
    free(sp->window);
    free(sp->z);
    free(sp->power);
    free(sp->lane_twiddle);
    free(sp->pair_twiddle);
    free(sp->root);
    np_cpu_peaks_close(&sp->peaks);
    free(sp);
    plan->state = NULL;
}

/* per block of eight k and each of first .. first + n_each - 1: w_period^(k + step * which), or without
 * a step w_period^(k * which) */
static struct cvec *split_twiddles(uint32_t n_blocks, uint32_t n_each, uint32_t period, uint32_t first,
                                   uint32_t step)
{
    struct cvec *t = floats_alloc((size_t)n_blocks * n_each * 16);

    for (uint32_t i = 0; t && i < n_blocks * n_each; i++)
        for (uint32_t lane = 0; lane < LANES; lane++) {
            uint64_t k = i / n_each * LANES + lane, which = i % n_each + first;
            uint64_t power = step ? k + which * step : k * which;
            double angle = -2.0 * M_PI * (double)(power % period) / period;

            t[i].re[lane] = (float)cos(angle);
            t[i].im[lane] = (float)sin(angle);
        }
    return t;
}

enum np_kernels_status NP_CPU(np_spectrum_open)(struct np_spectrum_plan *plan)
{
    uint32_t n = plan->n_samples, half = n / 2, n_blocks = (n / 32 + LANES) / LANES;
    struct spectrum *sp = calloc(1, sizeof *sp);
    bool ok;

    if (!sp)
        return NP_KERNELS_ENOMEM;
    plan->state = sp;
    sp->split = n % 16 == 0 && n >= SPLIT_MIN;
    /* an odd number of cache lines, so that eight rows do not share one set */
    sp->power_stride = round_up(plan->n_bins + 2 * LANES, 32) + 16;
    sp->window = floats_alloc(round_up(n, NP_ROW_ALIGN));
    sp->power = floats_alloc(sp->power_stride * (sp->split ? 1 : LANES));
    sp->z = floats_alloc(sp->split ? n : round_up(n, LANES) * LANES * (n % 2 ? 2 : 1));
    ok = np_cpu_peaks_open(&sp->peaks, plan->n_peaks);
    ok &= np_cpu_fft_open(&sp->fft, sp->split ? n / 16 : n % 2 ? n : half);
    if (sp->split) {
        sp->lane_twiddle = split_twiddles(n_blocks, 7, half, 1, 0);
        sp->pair_twiddle = split_twiddles(n_blocks, 8, n, 0, n / 16);
        ok &= sp->lane_twiddle && sp->pair_twiddle;
    } else if (n % 2 == 0) {
        sp->root = floats_alloc(n + 2);
        for (uint32_t k = 0; sp->root && k <= half; k++) {
            sp->root[2 * k] = (float)cos(-2.0 * M_PI * k / n);
            sp->root[2 * k + 1] = (float)sin(-2.0 * M_PI * k / n);
        }
        ok &= sp->root != NULL;
    }
    if (!ok || !sp->window || !sp->power || !sp->z) {
        NP_CPU(np_spectrum_close)(plan);
        return NP_KERNELS_ENOMEM;
    }
    for (uint32_t j = 0; j < n; j++)
        sp->window[j] = (float)(plan->window[j] * (n % 2 ? 1.0 : 0.5));
    return NP_KERNELS_OK;
}

/* |X[q]|^2 and |X[H - q]|^2 from Z[q], Z[H - q] and w_n^q; a half is in the window already */
INLINE void pair_power(struct cvec a, struct cvec b, struct cvec w, vec *power, vec *mirrored)
{
    struct cvec e = {a.re + b.re, a.im - b.im}, o = {a.im + b.im, b.re - a.re};
    struct cvec t = cvec_mul(o, w.re, w.im), p = cvec_add(e, t), m = cvec_sub(e, t);

    *power = p.re * p.re + p.im * p.im;
    *mirrored = m.re * m.re + m.im * m.im;
}

/* the eight lanes' F_l[k] of eight k at the given places, transposed: out[l] has the k in its lanes */
INLINE void block_load(const float *z, const uint32_t *position, const int step, struct cvec *out)
{
    vec re[8], im[8];

#pragma GCC unroll 16
    for (int i = 0; i < 8; i++) {
        const float *at = z + position[i * step];

        re[i] = vec_load(at);
        im[i] = vec_load(at + LANES);
    }
    vec_transpose(re);
    vec_transpose(im);
#pragma GCC unroll 16
    for (int i = 0; i < 8; i++)
        out[np_cpu_lane_order[i]] = (struct cvec){re[i], im[i]};
}

/* next: the row after this one, called to the cache meanwhile: the first pass reads x in too many places at
 * once for the hardware to foresee */
static void split_row(struct spectrum *sp, const float *x, const float *next)
{
    const uint32_t m = sp->fft.n, half = 8 * m;
    const struct cvec *lane = sp->lane_twiddle, *pair = sp->pair_twiddle;
    const float *z = (const float *)sp->z;

    np_cpu_fft_run(&sp->fft, sp->z, x, sp->window);
    /* past m / 2 the last block computes again, as well, what its mirror images have stored */
    for (uint32_t k = 0; k <= m / 2; k += LANES, lane += 7, pair += 8) {
        struct cvec a[8], b[8];

        for (uint32_t i = 0; i < 32 * LANES; i += 16)
            __builtin_prefetch(next + 32 * k + i, 0, 2);
        block_load(z, sp->fft.position + k, 1, a);
#pragma GCC unroll 16
        for (int l = 1; l < 8; l++)
            a[l] = cvec_mul(a[l], lane[l - 1].re, lane[l - 1].im);
        butterfly_8(a);
        block_load(z, sp->fft.position + m - k, -1, b);
#pragma GCC unroll 16
        for (int l = 1; l < 8; l++)
            b[l] = cvec_mul_conj(b[l], lane[l - 1].re, lane[l - 1].im);
        butterfly_8(b);
#pragma GCC unroll 16
        for (int j = 0; j < 8; j++) {
            float *at = sp->power + k + m * (uint32_t)j, *mirror = sp->power + half - k - m * (uint32_t)j - 7;
            vec power, mirrored;

            pair_power(a[j], b[(8 - j) % 8], pair[j], &power, &mirrored);
            vec_store(at, power);
            vec_store(mirror, vec_reverse(mirrored));
        }
    }
}

static void whole_rows(struct spectrum *sp, uint32_t n, const float *const *x)
{
    const uint32_t *position = sp->fft.position, half = n / 2;
    vec *lanes = (vec *)sp->z, v[8];

    for (uint32_t j = 0; j < n; j += LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < 8; i++)
            v[i] = vec_load(x[i] + j) * vec_load(sp->window + j);
        vec_transpose(v);
#pragma GCC unroll 16
        for (unsigned i = 0; i < 8; i++) {
            if (n % 2)
                sp->z[j + i] = (struct cvec){v[i], vec_of(0.0f)};
            else
                lanes[j + i] = v[i];
        }
    }
    np_cpu_fft_run(&sp->fft, sp->z, NULL, NULL);
    for (uint32_t k = 0; k <= half; k += LANES) {
        for (uint32_t i = 0; i < LANES; i++) {
            uint32_t q = k + i < half ? k + i : half;
            struct cvec a = sp->z[position[q] / 16];
            vec mirrored;

            if (n % 2)
                v[i] = a.re * a.re + a.im * a.im;
            else
                pair_power(a, sp->z[position[half - q] / 16],
                           (struct cvec){vec_of(sp->root[2 * q]), vec_of(sp->root[2 * q + 1])}, &v[i],
                           &mirrored);
        }
        vec_transpose(v);
        for (uint32_t i = 0; i < LANES; i++)
            vec_store(sp->power + sp->power_stride * i + k, v[i]);
    }
}

/* bins first .. end - 1; floats within blocks of 256 bins, doubles over them */
static double band_sum(const float *power, uint32_t first, uint32_t end)
{
    double sum = 0.0;
    uint32_t k = first;

    while (k + LANES <= end) {
        uint32_t stop = end - k > 256 ? k + 256 : end;
        vec part = vec_of(0.0f);

        for (; k + LANES <= stop; k += LANES)
            part += vec_load(power + k);
        sum += (((double)part[0] + part[4]) + ((double)part[2] + part[6])) +
               (((double)part[1] + part[5]) + ((double)part[3] + part[7]));
    }
    for (; k < end; k++)
        sum += power[k];
    return sum;
}

static void row_finish(struct np_spectrum_plan *plan, float *power, const struct np_spectrum_out *out,
                       size_t row)
{
    struct spectrum *sp = plan->state;
    float scale = (float)(1.0 / (plan->noise_bins * plan->rate_hz / plan->n_samples));

    /* every sample is in bin 0: one that is not finite shows there */
    if (!isfinite(power[0]))
        for (uint32_t k = 0; k < plan->n_bins; k++)
            power[k] = NAN;
    if (out->peaks && plan->n_peaks > 0)
        np_cpu_peaks_find(&sp->peaks, plan, power, out->peaks + row * plan->n_peaks);
    power[0] *= 0.5f;
    if (plan->n_samples % 2 == 0)
        power[plan->n_bins - 1] *= 0.5f;
    if (out->amplitude)
        for (uint32_t k = 0; k < plan->n_bins; k++)
            out->amplitude[row * plan->n_bins + k] = sqrtf(power[k]);
    if (out->density)
        for (uint32_t k = 0; k < plan->n_bins; k++)
            out->density[row * plan->n_bins + k] = power[k] * scale;
    for (uint32_t b = 0; out->band_power && b < plan->n_bands; b++) {
        const struct np_bin_range *range = &plan->bands[b];

        out->band_power[row * plan->n_bands + b] =
            range->first < range->end ? band_sum(power, range->first, range->end) / plan->noise_bins : NAN;
    }
}

/* calls a row to the cache, if there is one of that number */
static void row_call(const struct np_rows *rows, size_t r)
{
    for (uint32_t j = 0; r < rows->n_rows && j < rows->n[r]; j += 16)
        __builtin_prefetch(rows->x[r] + j, 0, 2);
}

enum np_kernels_status NP_CPU(np_spectrum_run)(struct np_spectrum_plan *plan, const struct np_rows *rows,
                                               const struct np_spectrum_out *out)
{
    struct spectrum *sp = plan->state;

    for (size_t r = 0; sp->split && r < rows->n_rows; r++) {
        split_row(sp, rows->x[r], rows->x[r + 1 < rows->n_rows ? r + 1 : r]);
        row_finish(plan, sp->power, out, r);
    }
    for (size_t r = 0; !sp->split && r < rows->n_rows; r += LANES) {
        size_t n_here = rows->n_rows - r < LANES ? rows->n_rows - r : LANES;
        const float *x[LANES];

        for (size_t i = 0; i < LANES; i++)
            x[i] = rows->x[i < n_here ? r + i : r];
        whole_rows(sp, plan->n_samples, x);
        for (size_t i = 0; i < n_here; i++) {
            row_call(rows, r + LANES + i);
            row_finish(plan, sp->power + sp->power_stride * i, out, r + i);
        }
    }
    return NP_KERNELS_OK;
}
