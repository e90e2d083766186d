#include "tests/operator_harness.h"

#include <complex.h>

extern const struct np_operator np_op_spectrum;

#define N 2560u
#define RATE_HZ 12800.0    /* 200 ms, bins of 5 Hz */
#define SEED 20261124u

static const char all_options[] =
    "{function: hann, bands: {low: 0..45, mains: 45..55, rest: 55..1000, none: 51..54}, "
    "peaks: 3, amplitude: true, psd: true}";

/* rms values of tones: 230 at 50 Hz, 10 at 250 Hz, 4 at 352.3 Hz (between bins), and 7 at 0 Hz */
static void fill_tones(float *x)
{
    for (uint32_t i = 0; i < N; i++) {
        double t = i / RATE_HZ;

        x[i] = (float)(7 + M_SQRT2 * (230 * sin(2 * M_PI * 50 * t) + 10 * sin(2 * M_PI * 250 * t + 1) +
                                      4 * cos(2 * M_PI * 352.3 * t)));
    }
}

static void columns_follow_from_the_options(void **state)
{
    static const struct {
        const char *options, *columns;
    } cases[] = {
        {"{}", "bin_hz peak_hz peak_amplitude"},
        {"{peaks: 0}", "bin_hz"},
        {"{peaks: 0, psd: true, amplitude: true}", "bin_hz amplitude psd"},
        {"{bands: {b: 1..2, a: 3..4}}", "bin_hz band_b band_a peak_hz peak_amplitude"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct windowed windowed =
            windowed_open(&np_op_spectrum, cases[i].options, np_kernels_best(), N, RATE_HZ);
        char got[256] = "";

        for (size_t c = 0; c < windowed.columns.n; c++) {
            strcat(got, c ? " " : "");
            strcat(got, windowed.columns.items[c].name);
        }
        assert_string_equal(got, cases[i].columns);
        windowed_close(&windowed);
    }
}

static void tones_are_found_with_frequency_amplitude_and_band_power(void **state)
{
    (void)state;
    FOR_EACH_VARIANT(k)
    {
        struct windowed windowed = windowed_open(&np_op_spectrum, all_options, k, N, RATE_HZ);
        struct slab slab = slab_open(1, (const uint32_t[]){N}, 1);
        const struct np_value *hz, *amplitude, *peak_amplitude;

        fill_tones(slab_row(&slab, 0));
        windowed_run(&windowed, &slab.rows, RATE_HZ);
        hz = windowed_value(&windowed, 0, "peak_hz");
        peak_amplitude = windowed_value(&windowed, 0, "peak_amplitude");
        amplitude = windowed_value(&windowed, 0, "amplitude");
        assert_int_equal(hz->n, 3);
        assert_int_equal(peak_amplitude->n, 3);
        assert_int_equal(amplitude->n, N / 2 + 1);
        CHECK_NEAR(windowed_value(&windowed, 0, "bin_hz")->f64, 5, 0, "%s", k->name);
        CHECK_NEAR(hz->floats[0], 50, 5e-3, "%s", k->name);
        CHECK_NEAR(hz->floats[1], 250, 5e-3, "%s", k->name);
        CHECK_NEAR(hz->floats[2], 352.3, 5e-3, "%s", k->name);
        CHECK_NEAR(peak_amplitude->floats[0], 230, 0.23, "%s", k->name);
        CHECK_NEAR(peak_amplitude->floats[1], 10, 0.01, "%s", k->name);
        CHECK_NEAR(peak_amplitude->floats[2], 4, 0.01, "%s", k->name);
        CHECK_NEAR(amplitude->floats[0], 7, 1e-3, "%s", k->name);
        CHECK_NEAR(amplitude->floats[10], 230, 1e-3, "%s", k->name);
        /* the hann window spreads the power of a tone over three bins, 2/3 of it in the middle one */
        CHECK_NEAR(windowed_value(&windowed, 0, "band_mains")->f64, 230 * 230 / 6.0 * 5, 1, "%s", k->name);
        CHECK_NEAR(windowed_value(&windowed, 0, "band_rest")->f64, 230 * 230 / 6.0 + 10 * 10 + 4 * 4, 1, "%s",
                   k->name);
        assert_true(isnan(windowed_value(&windowed, 0, "band_none")->f64));
        windowed_close(&windowed);
        slab_close(&slab);
    }
}

static void amplitude_and_density_agree_with_direct_sums_in_double(void **state)
{
    enum { SHORT = 105 };    /* odd, 3 * 5 * 7 */
    struct slab slab = slab_open(1, (const uint32_t[]){SHORT}, 1);
    const float *x = slab_row(&slab, 0);

    (void)state;
    slab_randomize(&slab, SEED);
    FOR_EACH_VARIANT(k)
    {
        struct windowed windowed =
            windowed_open(&np_op_spectrum, "{function: hann, amplitude: true, psd: true}", k, SHORT, RATE_HZ);
        double w_sum = 0, w_squares = 0;

        windowed_run(&windowed, &slab.rows, RATE_HZ);
        for (int i = 0; i < SHORT; i++) {
            double w = 0.5 - 0.5 * cos(2 * M_PI * i / SHORT);

            w_sum += w;
            w_squares += w * w;
        }
        for (int bin = 0; bin <= SHORT / 2; bin++) {
            double complex sum = 0;
            double amplitude, density;

            for (int i = 0; i < SHORT; i++)
                sum += (0.5 - 0.5 * cos(2 * M_PI * i / SHORT)) * x[i] * cexp(-2 * M_PI * I * bin * i / SHORT);
            amplitude = (bin ? M_SQRT2 : 1) * cabs(sum) / w_sum;
            density = amplitude * amplitude / (RATE_HZ * w_squares / (w_sum * w_sum));
            CHECK_NEAR(windowed_value(&windowed, 0, "amplitude")->floats[bin], amplitude, 1e-6, "%s bin %d",
                       k->name, bin);
            CHECK_NEAR(windowed_value(&windowed, 0, "psd")->floats[bin], density, 1e-9, "%s bin %d", k->name,
                       bin);
        }
        windowed_close(&windowed);
    }
    slab_close(&slab);
}

static void the_power_of_all_bands_is_the_mean_square(void **state)
{
    struct slab slab = slab_open(3, (const uint32_t[]){N}, 1);

    (void)state;
    slab_randomize(&slab, SEED);
    FOR_EACH_VARIANT(k)
    {
        struct windowed windowed =
            windowed_open(&np_op_spectrum, "{function: rectangular, bands: {all: 0..6401}}", k, N, RATE_HZ);

        windowed_run(&windowed, &slab.rows, RATE_HZ);
        for (size_t r = 0; r < 3; r++) {
            double squares = 0;

            for (uint32_t i = 0; i < N; i++)
                squares += (double)slab_row(&slab, r)[i] * slab_row(&slab, r)[i];
            CHECK_NEAR(windowed_value(&windowed, r, "band_all")->f64, squares / N, 1e-6, "%s row %zu",
                       k->name, r);
        }
        windowed_close(&windowed);
    }
    slab_close(&slab);
}

static void a_window_with_a_missing_sample_gives_nulls_and_touches_no_other(void **state)
{
    struct slab slab = slab_open(3, (const uint32_t[]){N}, 1);
    struct windowed windowed = windowed_open(&np_op_spectrum, all_options, np_kernels_best(), N, RATE_HZ);

    (void)state;
    for (size_t r = 0; r < 3; r++)
        fill_tones(slab_row(&slab, r));
    slab_row(&slab, 1)[N - 1] = NAN;
    windowed_run(&windowed, &slab.rows, RATE_HZ);
    for (size_t r = 0; r < 3; r++)
        for (size_t c = 1; c < windowed.columns.n; c++) {
            const struct np_value *value = &windowed.values[r * windowed.columns.n + c];
            bool null = windowed.columns.items[c].type == NP_COL_FLOATS ? !value->floats : isnan(value->f64);

            if (null != (r == 1 || strcmp(windowed.columns.items[c].name, "band_none") == 0))
                fail_msg("row %zu, %s is%s null", r, windowed.columns.items[c].name, null ? "" : " not");
        }
    windowed_close(&windowed);
    slab_close(&slab);
}

static void a_constant_has_no_peak_and_an_empty_list_of_them(void **state)
{
    struct slab slab = slab_open(1, (const uint32_t[]){N}, 1);
    struct windowed windowed =
        windowed_open(&np_op_spectrum, "{function: rectangular, peaks: 4}", np_kernels_best(), N, RATE_HZ);

    (void)state;
    memset(slab_row(&slab, 0), 0, N * sizeof(float));
    windowed_run(&windowed, &slab.rows, RATE_HZ);
    assert_non_null(windowed_value(&windowed, 0, "peak_hz")->floats);
    assert_int_equal(windowed_value(&windowed, 0, "peak_hz")->n, 0);
    windowed_close(&windowed);
    slab_close(&slab);
}

/* Rows one by one, then all together (the arrays of the plan grow), give the same bits. */
static void a_row_has_the_same_bits_in_any_batch(void **state)
{
    enum { ROWS = 9 };
    struct slab slab = slab_open(ROWS, (const uint32_t[]){N}, 1);

    (void)state;
    slab_randomize(&slab, SEED);
    FOR_EACH_VARIANT(k)
    {
        struct windowed windowed = windowed_open(&np_op_spectrum, all_options, k, N, RATE_HZ);
        float amplitudes[ROWS][N / 2 + 1], peaks[ROWS][2][3];

        for (size_t r = 0; r < ROWS; r++) {
            struct np_rows alone = {slab.rows.x + r, slab.n + r, 1};

            windowed_run(&windowed, &alone, RATE_HZ);
            memcpy(amplitudes[r], windowed_value(&windowed, 0, "amplitude")->floats, sizeof amplitudes[r]);
            memcpy(peaks[r][0], windowed_value(&windowed, 0, "peak_hz")->floats, sizeof peaks[r][0]);
            memcpy(peaks[r][1], windowed_value(&windowed, 0, "peak_amplitude")->floats, sizeof peaks[r][1]);
        }
        windowed_run(&windowed, &slab.rows, RATE_HZ);
        for (size_t r = 0; r < ROWS; r++) {
            assert_memory_equal(amplitudes[r], windowed_value(&windowed, r, "amplitude")->floats,
                                sizeof amplitudes[r]);
            assert_memory_equal(peaks[r][0], windowed_value(&windowed, r, "peak_hz")->floats,
                                sizeof peaks[r][0]);
            assert_memory_equal(peaks[r][1], windowed_value(&windowed, r, "peak_amplitude")->floats,
                                sizeof peaks[r][1]);
        }
        windowed_close(&windowed);
    }
    slab_close(&slab);
}

static void mistakes_are_told_with_the_nearest_windows_and_the_band_that_is_too_high(void **state)
{
    static const struct {
        const char *yaml;
        double rate_hz;
        int64_t window_ns;
        const char *mistakes;
    } cases[] = {
        {"window: 200ms\n", 12800, S / 5, ""},
        {"window: 17ms\n", 1000, 17 * S / 1000,
         "t:1:9: this window is 17 samples at 1000 Hz, and the spectrum takes 2 to 16777216 samples without "
         "a prime "
         "factor over 13; the nearest are 16ms (16 samples) and 18ms (18 samples)\n"},
        {"window: 0.1ms\n", 1000, S / 10000,
         "t:1:9: this window is 0 samples at 1000 Hz, and the spectrum takes 2 to 16777216 samples without a "
         "prime "
         "factor over 13; the nearest are 2ms (2 samples) and 2ms (2 samples)\n"},
        {"window: 200ms\nbands: { a: 0..500, b: 400..501 }\n", 1000, S / 5,
         "t:2:8: band b is 400..501 Hz: allowed is 0..500 Hz, half the rate of the input\n"},
        /* the rate is known with the data only */
        {"window: 17ms\nbands: { a: 0..5000 }\n", 0, 17 * S / 1000, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct np_step_input input = {.rate_hz = cases[i].rate_hz,
                                      .uniform = true,
                                      .window_ns = cases[i].window_ns,
                                      .hop_ns = cases[i].window_ns,
                                      .unit = "V"};

        expect_mistakes(&np_op_spectrum, cases[i].yaml, &input, cases[i].mistakes);
    }
}

static void a_length_that_the_transform_cannot_take_is_refused_by_the_plan(void **state)
{
    void *conf = harness_conf(&np_op_spectrum, "{}"), *plan = NULL;
    struct np_error err = {0};

    (void)state;
    assert_int_equal(np_op_spectrum.plan_open(conf, np_kernels_best(), 17, RATE_HZ, &plan, &err), NP_ECONFIG);
    assert_string_equal(err.text, "spectrum: 17 samples have a prime factor over 13");
    assert_null(plan);
    harness_conf_free(&np_op_spectrum, conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_follow_from_the_options),
        cmocka_unit_test(tones_are_found_with_frequency_amplitude_and_band_power),
        cmocka_unit_test(amplitude_and_density_agree_with_direct_sums_in_double),
        cmocka_unit_test(the_power_of_all_bands_is_the_mean_square),
        cmocka_unit_test(a_window_with_a_missing_sample_gives_nulls_and_touches_no_other),
        cmocka_unit_test(a_constant_has_no_peak_and_an_empty_list_of_them),
        cmocka_unit_test(a_row_has_the_same_bits_in_any_batch),
        cmocka_unit_test(mistakes_are_told_with_the_nearest_windows_and_the_band_that_is_too_high),
        cmocka_unit_test(a_length_that_the_transform_cannot_take_is_refused_by_the_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
