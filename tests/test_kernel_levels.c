#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/kernel_rows.h"

static const uint32_t lengths[] = {1, 2, 5, 7, 8, 9, 15, 16, 17, 23, 24, 31, 64, 100, 255, 1001, 5120, 0, 3};

static const struct np_kernels *reference(void)
{
    return np_kernels_find("reference");
}

static void check_same(const struct np_kernels *k, const struct np_level *got, const struct np_level *wanted,
                       uint32_t n, uint64_t seed)
{
    double tolerance = 1e-14 * n * wanted->rms;

    if (got->n_valid != wanted->n_valid)
        fail_msg("%s n=%u seed=%ju: n_valid %u, not %u", k->name, n, (uintmax_t)seed, got->n_valid,
                 wanted->n_valid);
    if (wanted->n_valid == 0) {
        assert_true(isnan(got->rms) && isnan(got->mean) && isnan(got->min) && isnan(got->max) &&
                    isnan(got->crest));
        return;
    }
    CHECK_NEAR(got->rms, wanted->rms, tolerance, "%s rms n=%u seed=%ju", k->name, n, (uintmax_t)seed);
    CHECK_NEAR(got->mean, wanted->mean, tolerance, "%s mean n=%u seed=%ju", k->name, n, (uintmax_t)seed);
    CHECK_NEAR(got->min, wanted->min, 0.0, "%s min n=%u seed=%ju", k->name, n, (uintmax_t)seed);
    CHECK_NEAR(got->max, wanted->max, 0.0, "%s max n=%u seed=%ju", k->name, n, (uintmax_t)seed);
    CHECK_NEAR(got->crest, wanted->crest, 1e-14 * n * wanted->crest, "%s crest n=%u seed=%ju", k->name, n,
               (uintmax_t)seed);
}

static void check_parity(const struct np_kernels *k, const struct slab *slab, uint64_t seed)
{
    size_t n_rows = slab->rows.n_rows;
    struct np_level *got = calloc(n_rows + 1, sizeof *got), *wanted = calloc(n_rows, sizeof *wanted);

    assert_non_null(got);
    assert_non_null(wanted);
    memset(got + n_rows, 0x5a, sizeof *got);
    assert_int_equal(reference()->levels(&slab->rows, wanted), NP_KERNELS_OK);
    assert_int_equal(k->levels(&slab->rows, got), NP_KERNELS_OK);
    for (size_t r = 0; r < n_rows; r++)
        check_same(k, &got[r], &wanted[r], slab->n[r], seed);
    for (size_t i = 0; i < sizeof *got; i++)
        assert_int_equal(((unsigned char *)(got + n_rows))[i], 0x5a);
    free(got);
    free(wanted);
}

static void every_variant_gives_the_levels_of_the_reference(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct slab slab = slab_open(100, lengths, ARRAY_LEN(lengths));

        slab_randomize(&slab, seed);
        FOR_EACH_VARIANT(k) check_parity(k, &slab, seed);
        slab_close(&slab);
    }
}

static void a_missing_sample_is_left_out_at_any_place(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 50; n++) {
        struct slab slab = slab_open(n + 1, &n, 1);

        slab_randomize(&slab, n);
        for (uint32_t i = 0; i < n; i++)
            slab_row(&slab, i)[i] = NAN;
        for (uint32_t i = 0; i < n; i++)
            slab_row(&slab, n)[i] = NAN;
        FOR_EACH_VARIANT(k) check_parity(k, &slab, n);
        slab_close(&slab);
    }
}

static void an_infinite_sample_makes_rms_infinite_at_any_place(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 50; n++) {
        struct slab slab = slab_open(n, &n, 1);
        struct np_level got[50];

        slab_randomize(&slab, n);
        for (uint32_t i = 0; i < n; i++)
            slab_row(&slab, i)[i] = i % 2 ? INFINITY : -INFINITY;
        FOR_EACH_VARIANT(k)
        {
            assert_int_equal(k->levels(&slab.rows, got), NP_KERNELS_OK);
            for (uint32_t i = 0; i < n; i++)
                if (!isinf(got[i].rms) || !isnan(got[i].crest) || got[i].n_valid != n ||
                    (i % 2 ? got[i].max != INFINITY : got[i].min != -INFINITY))
                    fail_msg("%s n=%u i=%u rms %g min %g max %g crest %g", k->name, n, i, got[i].rms,
                             got[i].min, got[i].max, got[i].crest);
        }
        slab_close(&slab);
    }
}

static void rms_of_a_sine_is_its_amplitude_over_root_two(void **state)
{
    uint32_t n = 5120;
    struct slab slab = slab_open(1, &n, 1);
    struct np_level got;

    (void)state;
    for (uint32_t i = 0; i < n; i++)
        slab.x[i] = (float)(325.0 * sin(2.0 * M_PI * 10.0 * i / n) + 2.0);
    FOR_EACH_VARIANT(k)
    {
        assert_int_equal(k->levels(&slab.rows, &got), NP_KERNELS_OK);
        CHECK_NEAR(got.rms, sqrt(325.0 * 325.0 / 2.0 + 4.0), 1e-5, "%s", k->name);
        CHECK_NEAR(got.mean, 2.0, 1e-5, "%s", k->name);
        CHECK_NEAR(got.crest, 327.0 / got.rms, 1e-5, "%s", k->name);
    }
    slab_close(&slab);
}

static void zeros_have_no_crest_factor(void **state)
{
    static const uint32_t n[] = {5, 40};
    struct slab slab = slab_open(2, n, 2);
    struct np_level got[2];

    (void)state;
    memset(slab.x, 0, 64 * sizeof(float));
    FOR_EACH_VARIANT(k)
    {
        assert_int_equal(k->levels(&slab.rows, got), NP_KERNELS_OK);
        for (int r = 0; r < 2; r++)
            assert_true(got[r].rms == 0.0 && got[r].mean == 0.0 && isnan(got[r].crest));
    }
    slab_close(&slab);
}

static void bits_are_the_same_alone_in_company_and_on_every_cpu_variant(void **state)
{
    struct slab slab = slab_open(64, lengths, ARRAY_LEN(lengths));
    struct np_level wanted[64], got;
    bool first = true;

    (void)state;
    slab_randomize(&slab, 42);
    FOR_EACH_VARIANT(k)
    {
        if (k == reference())
            continue;
        if (first)
            assert_int_equal(k->levels(&slab.rows, wanted), NP_KERNELS_OK);
        first = false;
        for (size_t r = 0; r < 64; r++) {
            struct np_rows one = {slab.rows.x + r, slab.n + r, 1};

            assert_int_equal(k->levels(&one, &got), NP_KERNELS_OK);
            if (memcmp(&got.rms, &wanted[r].rms, 5 * sizeof(double)) != 0)
                fail_msg("%s row %zu n=%u: rms %a and %a", k->name, r, slab.n[r], got.rms, wanted[r].rms);
        }
    }
    slab_close(&slab);
}

static void an_unknown_variant_is_no_variant(void **state)
{
    (void)state;
    assert_null(np_kernels_find("referense"));
    assert_null(np_kernels_find(""));
    assert_ptr_equal(np_kernels_find(np_kernels_best()->name), np_kernels_best());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variant_gives_the_levels_of_the_reference),
        cmocka_unit_test(a_missing_sample_is_left_out_at_any_place),
        cmocka_unit_test(an_infinite_sample_makes_rms_infinite_at_any_place),
        cmocka_unit_test(rms_of_a_sine_is_its_amplitude_over_root_two),
        cmocka_unit_test(zeros_have_no_crest_factor),
        cmocka_unit_test(bits_are_the_same_alone_in_company_and_on_every_cpu_variant),
        cmocka_unit_test(an_unknown_variant_is_no_variant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
