#include "kernels/cpu_peaks.h"

#include <math.h>
#include <stdlib.h>

bool np_cpu_peaks_open(struct np_cpu_peaks *peaks, uint32_t n_peaks)
{
    peaks->value = calloc(n_peaks + 1, sizeof *peaks->value);
    peaks->bin = calloc(n_peaks + 1, sizeof *peaks->bin);
    peaks->power = calloc(n_peaks + 1, sizeof *peaks->power);
    return peaks->value && peaks->bin && peaks->power;
}

void np_cpu_peaks_close(struct np_cpu_peaks *peaks)
{
    free(peaks->value);
    free(peaks->bin);
    free(peaks->power);
    *peaks = (struct np_cpu_peaks){0};
}

/* Puts a maximum among the n_max strongest, of equal ones the first found first. Without branches: where it
 * belongs cannot be predicted, and a row of noise has dozens. */
static inline void peak_insert(float *value, uint32_t *bin, uint32_t n_max, float new_value, uint32_t new_bin)
{
    uint32_t moved = 0;

    for (uint32_t i = 0; i < n_max; i++) {
        float old_value = value[i];
        uint32_t old_bin = bin[i];

        moved |= new_value > old_value;
        value[i] = moved ? new_value : old_value;
        bin[i] = moved ? new_bin : old_bin;
        new_value = moved ? old_value : new_value;
        new_bin = moved ? old_bin : new_bin;
    }
}

/* the lanes of eight bins that are maxima; power reaches one bin to either side */
INLINE ivec peaks_mask(const float *power, vec here)
{
    return (here > vec_load(power - 1)) & (here >= vec_load(power + 1));
}

/* A value that at least n_max maxima exceed, or 0: the bins are dealt into groups, and the n_max-th of the
 * groups' largest maxima is one that many reach. With it the search below seldom has to change its mind. */
static float peaks_floor(struct np_cpu_peaks *peaks, const float *power, uint32_t end, uint32_t n_max)
{
    enum { N_GROUPS = 2 * LANES };
    vec best[4] = {vec_of(0.0f), vec_of(0.0f), vec_of(0.0f), vec_of(0.0f)};
    float group[N_GROUPS];

    if (n_max > N_GROUPS)
        return 0.0f;
    for (uint32_t k = 1; k + 4 * LANES <= end; k += 4 * LANES) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++) {
            vec here = vec_load(power + k + LANES * i);

            best[i] = vec_max((vec)((ivec)here & peaks_mask(power + k + LANES * i, here)), best[i]);
        }
    }
    vec_store(group, vec_max(best[0], best[1]));
    vec_store(group + LANES, vec_max(best[2], best[3]));
    for (uint32_t i = 0; i < N_GROUPS; i++)
        peak_insert(peaks->value, peaks->bin, n_max, group[i], 0);
    return nextafterf(peaks->value[n_max - 1], 0.0f);
}

/* the maxima among bins first .. end - 1; power reaches a vector past end. Returns how many there were. */
static uint32_t peaks_scan(struct np_cpu_peaks *peaks, const float *power, uint32_t first, uint32_t end,
                           uint32_t n_max)
{
    uint32_t n_found = 0;

    for (uint32_t k = first; k < end; k += LANES) {
        vec here = vec_load(power + k);
        unsigned bits = vec_bits((here > peaks->value[n_max - 1]) & peaks_mask(power + k, here));

        if (end - k < LANES)
            bits &= (1u << (end - k)) - 1u;
        for (; bits; bits &= bits - 1) {
            uint32_t i = k + (uint32_t)__builtin_ctz(bits);

            peak_insert(peaks->value, peaks->bin, n_max, power[i], i);
            n_found++;
        }
    }
    return n_found;
}

void np_cpu_peaks_find(struct np_cpu_peaks *peaks, const struct np_spectrum_plan *plan, const float *power,
                       struct np_peak *out)
{
    const uint32_t end = plan->n_bins - 1, n_max = plan->n_peaks;
    uint32_t n_found = 0, k = 1;
    float floor;

    memset(peaks->value, 0, n_max * sizeof *peaks->value);
    floor = end > 8 * 4 * LANES ? peaks_floor(peaks, power, end, n_max) : 0.0f;
    for (uint32_t i = 0; i < n_max; i++)
        peaks->value[i] = floor;
    for (; k + 4 * LANES <= end; k += 4 * LANES) {
        vec a = vec_max(vec_load(power + k), vec_load(power + k + LANES));
        vec b = vec_max(vec_load(power + k + 2 * LANES), vec_load(power + k + 3 * LANES));

        /* most of a row holds nothing above the weakest peak kept */
        if (vec_bits(vec_max(a, b) > peaks->value[n_max - 1]))
            n_found += peaks_scan(peaks, power, k, k + 4 * LANES, n_max);
    }
    if (k < end)
        n_found += peaks_scan(peaks, power, k, end, n_max);
    n_found = n_found < n_max ? n_found : n_max;
    for (uint32_t i = 0; i < n_found; i++)
        for (uint32_t side = 0; side < 3; side++)
            peaks->power[i][side] = power[peaks->bin[i] - 1 + side];
    np_spectrum_peaks_finish(plan, peaks->bin, peaks->power, n_found, out);
}
