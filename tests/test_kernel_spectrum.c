#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>

#include "kernels/spectrum.h"
#include "tests/kernel_rows.h"

#define RATE_HZ     25600.0
#define KAISER_BETA 9.0

static const struct np_spectrum_band bands[] = {
    {0.0, INFINITY}, {0.0, 45.0}, {45.0, 55.0}, {55.0, 1000.0}, {1e6, 2e6}};
enum { N_BANDS = ARRAY_LEN(bands), N_PEAKS = 5 };

static struct np_spectrum_plan *plan_open(const struct np_kernels *k, uint32_t n, enum np_window window)
{
    struct np_spectrum_spec spec = {.n_samples = n,
                                    .rate_hz = RATE_HZ,
                                    .window = window,
                                    .kaiser_beta = KAISER_BETA,
                                    .n_bands = N_BANDS,
                                    .n_peaks = N_PEAKS,
                                    .bands = bands};
    const char *why;
    struct np_spectrum_plan *plan = np_spectrum_plan_create(k, &spec, &why);

    if (!plan)
        fail_msg("%s n=%u: %s", k->name, n, why);
    return plan;
}

/* every result, with a guard value behind each array */
struct results {
    struct np_spectrum_out out;
    size_t n_spectrum, n_bands, n_peaks;
};

static struct results results_open(size_t n_rows, uint32_t n)
{
    struct results res = {
        .n_spectrum = n_rows * (n / 2 + 1), .n_bands = n_rows * N_BANDS, .n_peaks = n_rows * N_PEAKS};

    res.out.amplitude = calloc(res.n_spectrum + 1, sizeof(float));
    res.out.density = calloc(res.n_spectrum + 1, sizeof(float));
    res.out.band_power = calloc(res.n_bands + 1, sizeof(double));
    res.out.peaks = calloc(res.n_peaks + 1, sizeof(struct np_peak));
    assert_true(res.out.amplitude && res.out.density && res.out.band_power && res.out.peaks);
    res.out.amplitude[res.n_spectrum] = res.out.density[res.n_spectrum] = -1.0f;
    res.out.band_power[res.n_bands] = res.out.peaks[res.n_peaks].frequency_hz = -1.0;
    return res;
}

static void results_close(struct results *res)
{
    assert_true(res->out.amplitude[res->n_spectrum] == -1.0f && res->out.density[res->n_spectrum] == -1.0f);
    assert_true(res->out.band_power[res->n_bands] == -1.0 &&
                res->out.peaks[res->n_peaks].frequency_hz == -1.0);
    free(res->out.amplitude);
    free(res->out.density);
    free(res->out.band_power);
    free(res->out.peaks);
}

static void run(const struct np_kernels *k, uint32_t n, enum np_window window, const struct np_rows *rows,
                struct results *res)
{
    struct np_spectrum_plan *plan = plan_open(k, n, window);

    assert_int_equal(np_spectrum_plan_run(plan, rows, &res->out), NP_KERNELS_OK);
    np_spectrum_plan_close(plan);
}

static void coherent_gain_and_noise_bandwidth_are_those_of_the_definition(void **state)
{
    /* Harris 1978, table 1 (to its two places), and for sums of few cosines a0 and 1 + sum a^2 / 2 a0^2 */
    static const struct {
        enum np_window window;
        double gain, noise_bins, tolerance;
    } rows[] = {
        {NP_WINDOW_RECTANGULAR, 1.0, 1.0, 1e-12},
        {NP_WINDOW_HANN, 0.5, 1.5, 1e-12},
        {NP_WINDOW_HAMMING, 0.54, 1.0 + 0.5 * 0.46 * 0.46 / (0.54 * 0.54), 1e-12},
        {NP_WINDOW_BLACKMAN, 0.42, 1.0 + 0.5 * (0.25 + 0.0064) / (0.42 * 0.42), 1e-12},
        {NP_WINDOW_BLACKMAN_HARRIS, 0.36, 2.0, 0.0051},
        {NP_WINDOW_FLAT_TOP, 0.21557895, 3.7702, 5e-5},
        {NP_WINDOW_KAISER, 0.44, 1.65, 0.006},
    };
    double w[5120];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double sum = 0.0, squares = 0.0, gain, bins;
        /* Harris' alpha is beta / pi: the table's row for 2.5 */
        double beta = rows[i].window == NP_WINDOW_KAISER ? 2.5 * M_PI : 0.0;

        np_window_fill(rows[i].window, beta, 5120, w);
        gain = np_window_coherent_gain(w, 5120);
        bins = np_window_noise_bins(w, 5120);
        for (int j = 0; j < 5120; j++) {
            sum += w[j];
            squares += w[j] * w[j];
        }
        CHECK_NEAR(gain, sum / 5120, 1e-12, "%s", np_window_names[rows[i].window]);
        CHECK_NEAR(bins, 5120 * squares / (sum * sum), 1e-12, "%s", np_window_names[rows[i].window]);
        CHECK_NEAR(bins, rows[i].noise_bins, rows[i].tolerance, "%s", np_window_names[rows[i].window]);
        CHECK_NEAR(gain, rows[i].gain, rows[i].tolerance, "%s", np_window_names[rows[i].window]);
        for (int j = 1; j < 5120; j++)
            CHECK_NEAR(w[j], w[5120 - j], 1e-12, "%s %d", np_window_names[rows[i].window], j);
    }
}

static void every_variant_gives_the_spectrum_of_the_reference(void **state)
{
    static const uint32_t lengths[] = {2,   3,   4,    5,    8,    16,   30,   63,  100,
                                       240, 512, 1000, 1001, 1024, 1125, 4096, 5120};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths) * NP_N_WINDOWS; i++) {
        uint32_t n = lengths[i / NP_N_WINDOWS];
        enum np_window window = (enum np_window)(i % NP_N_WINDOWS);
        uint64_t seed = 7 + i;
        struct slab slab = slab_open(11, &n, 1);
        struct results wanted = results_open(11, n), got = results_open(11, n);
        double largest = 0.0;

        slab_randomize(&slab, seed);
        run(np_kernels_find("reference"), n, window, &slab.rows, &wanted);
        for (size_t b = 0; b < wanted.n_spectrum; b++)
            largest = fmax(largest, wanted.out.amplitude[b]);
        FOR_EACH_VARIANT(k)
        {
            double tolerance = 2.0 * FLT_EPSILON * log2(n) * largest;

            run(k, n, window, &slab.rows, &got);
            for (size_t b = 0; b < wanted.n_spectrum; b++) {
                double to_density = (double)wanted.out.density[b] / wanted.out.amplitude[b];

                CHECK_NEAR(got.out.amplitude[b], wanted.out.amplitude[b], tolerance,
                           "%s n=%u %s seed=%ju bin %zu", k->name, n, np_window_names[window],
                           (uintmax_t)seed, b);
                CHECK_NEAR(got.out.density[b], wanted.out.density[b], 3.0 * tolerance * to_density + FLT_MIN,
                           "%s n=%u %s seed=%ju bin %zu", k->name, n, np_window_names[window],
                           (uintmax_t)seed, b);
            }
            for (size_t b = 0; b < wanted.n_bands; b++)
                if (isnan(wanted.out.band_power[b]) != isnan(got.out.band_power[b]) ||
                    fabs(got.out.band_power[b] - wanted.out.band_power[b]) >
                        4.0 * tolerance * largest * sqrt(n))
                    fail_msg("%s n=%u %s seed=%ju band %zu: %g, not %g", k->name, n, np_window_names[window],
                             (uintmax_t)seed, b, got.out.band_power[b], wanted.out.band_power[b]);
            for (size_t p = 0; p < wanted.n_peaks; p++) {
                if (isnan(wanted.out.peaks[p].amplitude)) {
                    assert_true(isnan(got.out.peaks[p].amplitude) && isnan(got.out.peaks[p].frequency_hz));
                    continue;
                }
                CHECK_NEAR(got.out.peaks[p].frequency_hz, wanted.out.peaks[p].frequency_hz,
                           1e-3 * RATE_HZ / n, "%s n=%u %s seed=%ju peak %zu", k->name, n,
                           np_window_names[window], (uintmax_t)seed, p);
                CHECK_NEAR(got.out.peaks[p].amplitude, wanted.out.peaks[p].amplitude, 100 * tolerance,
                           "%s n=%u %s seed=%ju peak %zu", k->name, n, np_window_names[window],
                           (uintmax_t)seed, p);
            }
        }
        results_close(&wanted);
        results_close(&got);
        slab_close(&slab);
    }
}

static void the_bins_of_a_rectangular_window_sum_to_the_mean_square(void **state)
{
    static const uint32_t lengths[] = {2, 3, 16, 100, 1001, 1024, 5120};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint32_t n = lengths[i];
        struct slab slab = slab_open(3, &n, 1);
        struct results res = results_open(3, n);

        slab_randomize(&slab, n);
        FOR_EACH_VARIANT(k)
        {
            run(k, n, NP_WINDOW_RECTANGULAR, &slab.rows, &res);
            for (uint32_t r = 0; r < 3; r++) {
                double squares = 0.0, density = 0.0;

                for (uint32_t j = 0; j < n; j++)
                    squares += pow(slab_row(&slab, r)[j], 2.0) / n;
                for (uint32_t b = 0; b <= n / 2; b++)
                    density += res.out.density[r * (n / 2 + 1) + b] * RATE_HZ / n;
                CHECK_NEAR(res.out.band_power[r * N_BANDS], squares, 1e-6 * squares, "%s n=%u row %u",
                           k->name, n, r);
                CHECK_NEAR(density, squares, 2e-6 * squares, "%s n=%u row %u density", k->name, n, r);
            }
        }
        results_close(&res);
        slab_close(&slab);
    }
}

static void a_tone_on_a_bin_has_its_rms_value_and_its_power_is_in_its_band(void **state)
{
    uint32_t n = 5120;
    struct slab slab = slab_open(1, &n, 1);
    struct results res = results_open(1, n);

    (void)state;
    /* 230 V at 50 Hz is bin 10, 10 V DC, 20 V at half the rate; Hann keeps a tone within a bin to each side
     */
    for (uint32_t j = 0; j < n; j++)
        slab.x[j] =
            (float)(230.0 * sqrt(2.0) * sin(2.0 * M_PI * 10.0 * j / n + 0.3) + 10.0 + (j % 2 ? -20.0 : 20.0));
    FOR_EACH_VARIANT(k)
    {
        run(k, n, NP_WINDOW_HANN, &slab.rows, &res);
        CHECK_NEAR(res.out.amplitude[0], 10.0, 1e-3, "%s", k->name);
        CHECK_NEAR(res.out.amplitude[10], 230.0, 1e-3, "%s", k->name);
        CHECK_NEAR(res.out.amplitude[n / 2], 20.0, 1e-3, "%s", k->name);
        CHECK_NEAR(res.out.peaks[0].frequency_hz, 50.0, 5e-4, "%s", k->name);
        CHECK_NEAR(res.out.peaks[0].amplitude, 230.0, 1e-2, "%s", k->name);
        CHECK_NEAR(res.out.band_power[0], 230.0 * 230.0 + 100.0 + 400.0, 200.0, "%s", k->name);
        /* [45, 55) has bins 9 and 10, of 1/6 and 4/6 of the power */
        CHECK_NEAR(res.out.band_power[2], 5.0 / 6.0 * 230.0 * 230.0, 1.0, "%s", k->name);
        CHECK_NEAR(res.out.band_power[3], 1.0 / 6.0 * 230.0 * 230.0, 1.0, "%s", k->name);
        assert_true(isnan(res.out.band_power[4]));
    }
    results_close(&res);
    slab_close(&slab);
}

static void check_tone(const struct np_kernels *k, enum np_window window, uint32_t n, double bin)
{
    struct slab slab = slab_open(1, &n, 1);
    struct results res = results_open(1, n);

    for (uint32_t j = 0; j < n; j++)
        slab.x[j] = (float)(3.0 * sqrt(2.0) * sin(2.0 * M_PI * fmod(bin * j, n) / n + bin));
    run(k, n, window, &slab.rows, &res);
    CHECK_NEAR(res.out.peaks[0].frequency_hz / RATE_HZ * n, bin, 1e-3, "%s %s n=%u bin", k->name,
               np_window_names[window], n);
    CHECK_NEAR(res.out.peaks[0].amplitude, 3.0, 3e-3, "%s %s n=%u bin %g amplitude", k->name,
               np_window_names[window], n, bin);
    results_close(&res);
    slab_close(&slab);
}

static void a_tone_between_bins_is_found_within_a_thousandth_of_a_bin(void **state)
{
    static const double offsets[] = {-0.4999, -0.37, -0.2, -0.01, 0.0, 1e-3, 0.1, 0.25, 0.333, 0.45, 0.5};

    (void)state;
    FOR_EACH_VARIANT(k)
    for (int window = 0; window < NP_N_WINDOWS; window++)
        for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
            check_tone(k, (enum np_window)window, 5120, 1000.0 + offsets[i]);
            check_tone(k, (enum np_window)window, 3003, 700.0 + offsets[i]);
            if (window == NP_WINDOW_RECTANGULAR)
                continue;
            check_tone(k, (enum np_window)window, 5120, 64.0 + offsets[i]);
            if (window == NP_WINDOW_HAMMING)
                continue;
            check_tone(k, (enum np_window)window, 5120, 16.5 + offsets[i]);
            check_tone(k, (enum np_window)window, 1000, 483.0 + offsets[i]);
            check_tone(k, (enum np_window)window, 100, 30.0 + offsets[i]);
        }
}

static void peaks_come_strongest_first_and_missing_ones_are_nan(void **state)
{
    static const double bin[] = {300.0, 40.3, 1200.4, 77.0}, rms[] = {4.0, 3.0, 2.0, 1.0};
    uint32_t n = 5120;
    struct slab slab = slab_open(2, &n, 1);
    struct results res = results_open(2, n);

    (void)state;
    for (uint32_t j = 0; j < n; j++) {
        double x = 0.0;

        for (int t = 0; t < 4; t++)
            x += rms[t] * sqrt(2.0) * cos(2.0 * M_PI * bin[t] * j / n + t);
        slab_row(&slab, 0)[j] = (float)x;
        slab_row(&slab, 1)[j] = 0.0f;
    }
    FOR_EACH_VARIANT(k)
    {
        run(k, n, NP_WINDOW_HANN, &slab.rows, &res);
        for (int t = 0; t < 4; t++) {
            CHECK_NEAR(res.out.peaks[t].frequency_hz / RATE_HZ * n, bin[t], 1e-3, "%s peak %d", k->name, t);
            CHECK_NEAR(res.out.peaks[t].amplitude, rms[t], 2e-3, "%s peak %d", k->name, t);
        }
        for (int p = 0; p < N_PEAKS; p++)
            assert_true(isnan(res.out.peaks[N_PEAKS + p].frequency_hz) &&
                        isnan(res.out.peaks[N_PEAKS + p].amplitude));
    }
    results_close(&res);
    slab_close(&slab);
}

static void any_number_of_peaks_is_found_as_by_the_reference(void **state)
{
    static const uint32_t numbers[] = {0, 1, 2, 15, 16, 17, 100};
    enum { N_ROWS = 5, MOST = 100 };
    struct np_peak got[N_ROWS * MOST], wanted[N_ROWS * MOST];
    uint32_t n = 5120;
    struct slab slab = slab_open(N_ROWS, &n, 1);

    (void)state;
    slab_randomize(&slab, 77);
    FOR_EACH_VARIANT(k)
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct np_spectrum_spec spec = {.n_samples = n, .rate_hz = n, .window = NP_WINDOW_HANN};
        struct np_spectrum_out out = {.peaks = wanted};
        struct np_spectrum_plan *plan;
        const char *why;

        spec.n_peaks = numbers[i];
        plan = np_spectrum_plan_create(np_kernels_find("reference"), &spec, &why);
        assert_non_null(plan);
        assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &out), NP_KERNELS_OK);
        np_spectrum_plan_close(plan);
        plan = np_spectrum_plan_create(k, &spec, &why);
        assert_non_null(plan);
        out.peaks = got;
        assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &out), NP_KERNELS_OK);
        np_spectrum_plan_close(plan);
        for (size_t p = 0; p < N_ROWS * numbers[i]; p++)
            CHECK_NEAR(got[p].frequency_hz, wanted[p].frequency_hz, 1e-3, "%s, %u peaks, number %zu seed=77",
                       k->name, numbers[i], p);
    }
    slab_close(&slab);
}

/* rows in another order, with other neighbours, in batches of another size: the same bits, on every CPU
 * variant */
static void check_bits(uint32_t n)
{
    enum { N_ROWS = 21 };
    struct slab slab = slab_open(N_ROWS, &n, 1);
    struct results wanted = results_open(N_ROWS, n), got = results_open(N_ROWS, n);
    size_t n_bins = n / 2 + 1;
    const float *row[N_ROWS];
    bool first = true;

    slab_randomize(&slab, n);
    for (uint32_t j = 0; j < n; j++) {
        slab_row(&slab, 3)[j] *= 1e6f;
        slab_row(&slab, 5)[j] = NAN;
    }
    FOR_EACH_VARIANT(k)
    {
        struct np_spectrum_plan *plan;

        if (k == np_kernels_find("reference"))
            continue;
        if (first)
            run(k, n, NP_WINDOW_HANN, &slab.rows, &wanted);
        first = false;
        plan = plan_open(k, n, NP_WINDOW_HANN);
        for (size_t size = 1; size <= N_ROWS; size += size < 3 ? 1 : 6)
            for (size_t begin = 0; begin < N_ROWS; begin += size) {
                struct np_rows rows = {row, slab.n, N_ROWS - begin < size ? N_ROWS - begin : size};

                for (size_t i = 0; i < rows.n_rows; i++)
                    row[i] = slab.row[N_ROWS - 1 - begin - i];
                assert_int_equal(np_spectrum_plan_run(plan, &rows, &got.out), NP_KERNELS_OK);
                for (size_t i = 0; i < rows.n_rows; i++) {
                    size_t r = N_ROWS - 1 - begin - i;

                    /* bit patterns, but a NaN has no telling one */
                    if (r != 5 &&
                        (memcmp(got.out.amplitude + i * n_bins, wanted.out.amplitude + r * n_bins,
                                n_bins * sizeof(float)) != 0 ||
                         memcmp(got.out.density + i * n_bins, wanted.out.density + r * n_bins,
                                n_bins * sizeof(float)) != 0 ||
                         memcmp(got.out.band_power + i * N_BANDS, wanted.out.band_power + r * N_BANDS,
                                (N_BANDS - 1) * sizeof(double)) != 0 ||
                         (n >= 100 && memcmp(got.out.peaks + i * N_PEAKS, wanted.out.peaks + r * N_PEAKS,
                                             N_PEAKS * sizeof(struct np_peak)) != 0)))
                        fail_msg("%s n=%u row %zu: other bits in a batch of %zu from %zu", k->name, n, r,
                                 size, begin);
                }
            }
        np_spectrum_plan_close(plan);
    }
    results_close(&wanted);
    results_close(&got);
    slab_close(&slab);
}

static void bits_depend_on_the_row_alone(void **state)
{
    static const uint32_t lengths[] = {2, 15, 100, 240, 512, 1000, 1001, 1040, 5120};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        check_bits(lengths[i]);
}

static void what_is_not_wanted_is_not_written_and_changes_nothing(void **state)
{
    uint32_t n = 5120;
    struct slab slab = slab_open(4, &n, 1);
    struct results all = results_open(4, n), some = results_open(4, n);

    (void)state;
    slab_randomize(&slab, 9);
    FOR_EACH_VARIANT(k)
    {
        struct np_spectrum_plan *plan = plan_open(k, n, NP_WINDOW_BLACKMAN);
        struct np_spectrum_out out = {.band_power = some.out.band_power}, none = {0};

        run(k, n, NP_WINDOW_BLACKMAN, &slab.rows, &all);
        assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &none), NP_KERNELS_OK);
        assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &out), NP_KERNELS_OK);
        for (size_t b = 0; b < all.n_bands; b++)
            if (b % N_BANDS != N_BANDS - 1)
                CHECK_NEAR(some.out.band_power[b], all.out.band_power[b], 0.0, "%s band %zu", k->name, b);
        np_spectrum_plan_close(plan);
    }
    results_close(&all);
    results_close(&some);
    slab_close(&slab);
}

static void a_spec_or_a_row_that_does_not_fit_is_refused(void **state)
{
    static const struct np_spectrum_band backwards = {50.0, 50.0}, negative = {-1.0, 5.0},
                                         nan_band = {0.0, NAN};
    const struct np_spectrum_spec bad[] = {
        {.n_samples = 0, .rate_hz = 1.0},
        {.n_samples = 1, .rate_hz = 1.0},
        {.n_samples = 17, .rate_hz = 1.0},
        {.n_samples = 16, .rate_hz = 0.0},
        {.n_samples = 16, .rate_hz = NAN},
        {.n_samples = 16, .rate_hz = INFINITY},
        {.n_samples = 16, .rate_hz = 1.0, .window = NP_N_WINDOWS},
        {.n_samples = 16, .rate_hz = 1.0, .window = NP_WINDOW_KAISER, .kaiser_beta = -1.0},
        {.n_samples = 16, .rate_hz = 1.0, .window = NP_WINDOW_KAISER, .kaiser_beta = NAN},
        {.n_samples = 16, .rate_hz = 1.0, .n_bands = 1, .bands = &backwards},
        {.n_samples = 16, .rate_hz = 1.0, .n_bands = 1, .bands = &negative},
        {.n_samples = 16, .rate_hz = 1.0, .n_bands = 1, .bands = &nan_band},
    };
    static const uint32_t lengths[] = {100, 104};
    struct slab slab = slab_open(2, lengths, 2);
    struct np_spectrum_out none = {0};

    (void)state;
    FOR_EACH_VARIANT(k)
    {
        struct np_spectrum_plan *plan;

        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            const char *why = NULL;

            if (np_spectrum_plan_create(k, &bad[i], &why) || !why)
                fail_msg("%s accepts spec %zu", k->name, i);
        }
        plan = plan_open(k, 100, NP_WINDOW_HANN);
        assert_int_equal(np_spectrum_plan_run(plan, &slab.rows, &none), NP_KERNELS_EINVAL);
        np_spectrum_plan_close(plan);
    }
    np_spectrum_plan_close(NULL);
    slab_close(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coherent_gain_and_noise_bandwidth_are_those_of_the_definition),
        cmocka_unit_test(every_variant_gives_the_spectrum_of_the_reference),
        cmocka_unit_test(the_bins_of_a_rectangular_window_sum_to_the_mean_square),
        cmocka_unit_test(a_tone_on_a_bin_has_its_rms_value_and_its_power_is_in_its_band),
        cmocka_unit_test(a_tone_between_bins_is_found_within_a_thousandth_of_a_bin),
        cmocka_unit_test(peaks_come_strongest_first_and_missing_ones_are_nan),
        cmocka_unit_test(any_number_of_peaks_is_found_as_by_the_reference),
        cmocka_unit_test(bits_depend_on_the_row_alone),
        cmocka_unit_test(what_is_not_wanted_is_not_written_and_changes_nothing),
        cmocka_unit_test(a_spec_or_a_row_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
