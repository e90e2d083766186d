/* The transform inside the spectrum, seen through the amplitudes that it gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>

#include "kernels/fft_length.h"
#include "kernels/spectrum.h"
#include "tests/kernel_rows.h"

/* both ways of filling lanes, every factor first and last, one pass to many */
static const uint32_t long_lengths[] = {100,  130,  154,  240,  512,  528,  560,  624,  800,   1000,
                                        1001, 1024, 1125, 2048, 3003, 4096, 5120, 6864, 10000, 10240};

static struct np_spectrum_plan *plan_open(const struct np_kernels *k, uint32_t n, enum np_window window)
{
    struct np_spectrum_spec spec = {.n_samples = n, .rate_hz = 1000.0, .window = window};
    const char *why;
    struct np_spectrum_plan *plan = np_spectrum_plan_create(k, &spec, &why);

    if (!plan)
        fail_msg("%s n=%u: %s", k->name, n, why);
    return plan;
}

/* the definition, term by term, with the rectangular window; returns the largest */
static double direct_amplitudes(const float *x, uint32_t n, double *amplitude)
{
    double *c = malloc(n * sizeof *c), *s = malloc(n * sizeof *s), largest = 0.0;

    assert_non_null(c);
    assert_non_null(s);
    for (uint32_t j = 0; j < n; j++) {
        c[j] = cos(2.0 * M_PI * j / n);
        s[j] = sin(2.0 * M_PI * j / n);
    }
    for (uint32_t k = 0; k <= n / 2; k++) {
        double re = 0.0, im = 0.0;

        for (uint32_t j = 0, at = 0; j < n; j++) {
            re += x[j] * c[at];
            im -= x[j] * s[at];
            at += k;
            at -= at >= n ? n : 0;
        }
        amplitude[k] = hypot(re, im) / n * (k == 0 || 2 * k == n ? 1.0 : sqrt(2.0));
        largest = fmax(largest, amplitude[k]);
    }
    free(c);
    free(s);
    return largest;
}

static void check_length(uint32_t n, uint64_t seed)
{
    const uint32_t n_bins = n / 2 + 1;
    struct slab slab = slab_open(1, &n, 1);
    double *wanted = malloc(n_bins * sizeof *wanted), largest;
    float *got = malloc((n_bins + 1) * sizeof *got);

    assert_non_null(wanted);
    assert_non_null(got);
    slab_randomize(&slab, seed);
    largest = direct_amplitudes(slab.x, n, wanted);
    FOR_EACH_VARIANT(k)
    {
        struct np_spectrum_plan *plan = plan_open(k, n, NP_WINDOW_RECTANGULAR);
        struct np_spectrum_out out = {.amplitude = got};
        double tolerance = 2.0 * FLT_EPSILON * log2(n) * largest;

        got[n_bins] = -1.0f;
        assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &out), NP_KERNELS_OK);
        for (uint32_t b = 0; b < n_bins; b++)
            CHECK_NEAR(got[b], wanted[b], tolerance, "%s n=%u seed=%ju bin %u", k->name, n, (uintmax_t)seed,
                       b);
        assert_true(got[n_bins] == -1.0f);
        np_spectrum_plan_close(plan);
    }
    free(wanted);
    free(got);
    slab_close(&slab);
}

static void short_transforms_are_the_direct_sum(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        for (uint32_t n = 2; n <= 64; n++)
            if (np_fft_good_length(n))
                check_length(n, seed);
}

static void long_transforms_are_the_direct_sum(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(long_lengths); i++)
        check_length(long_lengths[i], 100 + i);
}

static void every_length_of_split_rows_agrees_with_the_reference(void **state)
{
    float got[2049], wanted[2049];

    (void)state;
    for (uint32_t n = 512; n <= 4096; n += 16) {
        struct slab slab = slab_open(1, &n, 1);
        struct np_spectrum_out out = {.amplitude = wanted};
        struct np_spectrum_plan *plan;

        if (np_fft_good_length(n)) {
            slab_randomize(&slab, n);
            plan = plan_open(np_kernels_find("reference"), n, NP_WINDOW_HANN);
            assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &out), NP_KERNELS_OK);
            np_spectrum_plan_close(plan);
            plan = plan_open(np_kernels_best(), n, NP_WINDOW_HANN);
            out.amplitude = got;
            assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &out), NP_KERNELS_OK);
            np_spectrum_plan_close(plan);
            for (uint32_t b = 0; b <= n / 2; b++)
                CHECK_NEAR(got[b], wanted[b], 2.0 * FLT_EPSILON * log2(n) * 0.1, "n=%u bin %u", n, b);
        }
        slab_close(&slab);
    }
}

static void one_bad_sample_at_any_place_makes_its_row_nan_and_no_other(void **state)
{
    static const uint32_t lengths[] = {2, 3, 16, 45, 100, 240, 512, 1040};
    static const float bad[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint32_t n = lengths[i], n_bins = n / 2 + 1;
        struct slab slab = slab_open(2 * n, &n, 1);
        float *clean = malloc(2 * n * n_bins * sizeof *clean), *got = malloc(2 * n * n_bins * sizeof *got);

        assert_non_null(clean);
        assert_non_null(got);
        FOR_EACH_VARIANT(k)
        {
            struct np_spectrum_plan *plan;
            struct np_spectrum_out out = {.amplitude = clean};

            if (k == np_kernels_find("reference") && n > 240)
                continue;
            plan = plan_open(k, n, NP_WINDOW_HANN);
            slab_randomize(&slab, n);
            assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &out), NP_KERNELS_OK);
            for (uint32_t j = 0; j < n; j++)
                slab_row(&slab, 2 * j)[j] = bad[j % 3];
            out.amplitude = got;
            assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &out), NP_KERNELS_OK);
            for (uint32_t r = 0; r < 2 * n; r++)
                for (uint32_t b = 0; b < n_bins; b++) {
                    size_t at = (size_t)r * n_bins + b;

                    if (r % 2 ? memcmp(&got[at], &clean[at], sizeof *got) != 0 : !isnan(got[at]))
                        fail_msg("%s n=%u row %u bin %u: %g", k->name, n, r, b, got[at]);
                }
            np_spectrum_plan_close(plan);
        }
        free(clean);
        free(got);
        slab_close(&slab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_transforms_are_the_direct_sum),
        cmocka_unit_test(long_transforms_are_the_direct_sum),
        cmocka_unit_test(every_length_of_split_rows_agrees_with_the_reference),
        cmocka_unit_test(one_bad_sample_at_any_place_makes_its_row_nan_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
