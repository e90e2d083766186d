#include "tests/operator_harness.h"

extern const struct np_operator np_op_rms;

#define RATE_HZ 12800.0
#define SEED 20261124u

static double value_of(const struct windowed *windowed, size_t row, const char *column)
{
    return windowed_value(windowed, row, column)->f64;
}

static void rms_of_a_sine_is_its_amplitude_over_root_two(void **state)
{
    (void)state;
    FOR_EACH_VARIANT(k)
    {
        struct windowed windowed = windowed_open(&np_op_rms, "{}", k, 2560, RATE_HZ);
        struct slab slab = slab_open(1, (const uint32_t[]){2560}, 1);

        for (uint32_t i = 0; i < 2560; i++)
            slab_row(&slab, 0)[i] = (float)(325 * sin(2 * M_PI * 50 * i / RATE_HZ) + 3);
        windowed_run(&windowed, &slab.rows, RATE_HZ);
        CHECK_NEAR(value_of(&windowed, 0, "rms"), sqrt(325 * 325 / 2.0 + 9), 1e-4, "%s", k->name);
        CHECK_NEAR(value_of(&windowed, 0, "mean"), 3, 1e-4, "%s", k->name);
        CHECK_NEAR(value_of(&windowed, 0, "min"), -322, 1e-4, "%s", k->name);
        CHECK_NEAR(value_of(&windowed, 0, "max"), 328, 1e-4, "%s", k->name);
        CHECK_NEAR(value_of(&windowed, 0, "crest_factor"), 328 / sqrt(325 * 325 / 2.0 + 9), 1e-6, "%s",
                   k->name);
        assert_int_equal(windowed_value(&windowed, 0, "n")->i64, 2560);
        windowed_close(&windowed);
        slab_close(&slab);
    }
}

static void levels_agree_with_direct_sums_over_the_samples_that_are_there(void **state)
{
    static const uint32_t lengths[] = {1, 2, 3, 15, 16, 17, 200, 2560, 5000};

    (void)state;
    FOR_EACH_VARIANT(k)
    {
        struct windowed windowed = windowed_open(&np_op_rms, "{}", k, 0, RATE_HZ);
        struct slab slab = slab_open(40, lengths, ARRAY_LEN(lengths));
        uint64_t seed = SEED;

        slab_randomize(&slab, SEED);
        for (size_t r = 0; r < slab.rows.n_rows; r += 2)    /* every other row has holes */
            for (uint32_t i = 0; i < slab.n[r]; i++)
                if (random_next(&seed) < -0.5)
                    slab_row(&slab, r)[i] = NAN;
        windowed_run(&windowed, &slab.rows, RATE_HZ);
        for (size_t r = 0; r < slab.rows.n_rows; r++) {
            double sum = 0, squares = 0, min = INFINITY, max = -INFINITY, n = 0;

            for (uint32_t i = 0; i < slab.n[r]; i++) {
                double x = slab_row(&slab, r)[i];

                if (isnan(x))
                    continue;
                n++;
                sum += x;
                squares += x * x;
                min = fmin(min, x);
                max = fmax(max, x);
            }
            assert_int_equal(windowed_value(&windowed, r, "n")->i64, (int64_t)n);
            if (n == 0)
                continue;
            CHECK_NEAR(value_of(&windowed, r, "rms"), sqrt(squares / n), 1e-12, "%s row %zu", k->name, r);
            CHECK_NEAR(value_of(&windowed, r, "mean"), sum / n, 1e-12, "%s row %zu", k->name, r);
            assert_true(value_of(&windowed, r, "min") == min && value_of(&windowed, r, "max") == max);
        }
        windowed_close(&windowed);
        slab_close(&slab);
    }
}

static void a_window_without_samples_has_n_0_and_nulls(void **state)
{
    struct windowed windowed = windowed_open(&np_op_rms, "{}", np_kernels_best(), 0, RATE_HZ);
    struct slab slab = slab_open(2, (const uint32_t[]){0, 20}, 2);    /* none at all; 20 missing ones */

    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        slab_row(&slab, 1)[i] = NAN;
    windowed_run(&windowed, &slab.rows, RATE_HZ);
    for (size_t r = 0; r < 2; r++) {
        assert_int_equal(windowed_value(&windowed, r, "n")->i64, 0);
        for (size_t i = 1; i < windowed.columns.n; i++)
            assert_true(isnan(windowed.values[r * windowed.columns.n + i].f64));
    }
    windowed_close(&windowed);
    slab_close(&slab);
}

static void a_row_has_the_same_bits_in_any_batch(void **state)
{
    static const uint32_t lengths[] = {2560, 100, 7};

    (void)state;
    FOR_EACH_VARIANT(k)
    {
        struct windowed windowed = windowed_open(&np_op_rms, "{}", k, 0, RATE_HZ);
        struct slab slab = slab_open(30, lengths, ARRAY_LEN(lengths));
        struct np_value *together;

        slab_randomize(&slab, SEED);
        windowed_run(&windowed, &slab.rows, RATE_HZ);
        together = windowed.values;
        windowed.values = NULL;
        for (size_t r = 0; r < slab.rows.n_rows; r++) {
            struct np_rows alone = {slab.rows.x + r, slab.n + r, 1};

            windowed_run(&windowed, &alone, RATE_HZ);
            assert_memory_equal(windowed.values, together + r * windowed.columns.n,
                                windowed.columns.n * sizeof *together);
        }
        free(together);
        windowed_close(&windowed);
        slab_close(&slab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rms_of_a_sine_is_its_amplitude_over_root_two),
        cmocka_unit_test(levels_agree_with_direct_sums_over_the_samples_that_are_there),
        cmocka_unit_test(a_window_without_samples_has_n_0_and_nulls),
        cmocka_unit_test(a_row_has_the_same_bits_in_any_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
