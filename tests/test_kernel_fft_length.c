#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/fft_length.h"

static void lengths_with_prime_factors_up_to_13_are_good_and_no_others(void **state)
{
    (void)state;
    for (uint32_t n = 0; n <= 20000; n++) {
        uint32_t largest = 0, rest = n;

        for (uint32_t p = 2; p * p <= rest; p++)
            for (; rest % p == 0; rest /= p)
                largest = p;
        if (rest > 1 && rest > largest)
            largest = rest;
        if (np_fft_good_length(n) != (n >= 2 && largest <= 13))
            fail_msg("n=%u, largest prime factor %u", n, largest);
    }
    assert_true(np_fft_good_length(NP_FFT_LENGTH_MAX));
    assert_false(np_fft_good_length(NP_FFT_LENGTH_MAX * 2));
}

static void the_nearest_lengths_enclose_the_asked_one_and_are_good(void **state)
{
    static const struct {
        uint32_t n, below, above;
    } rows[] = {
        {0, 2, 2},
        {1, 2, 2},
        {2, 2, 2},
        {17, 16, 18},
        {5120, 5120, 5120},
        {5119, 5103, 5120},
        {10007, 10000, 10010},
        {UINT32_MAX, 1u << 24, 1u << 24},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t below, above;

        np_fft_nearest_lengths(rows[i].n, &below, &above);
        if (below != rows[i].below || above != rows[i].above)
            fail_msg("n=%u gives %u and %u, not %u and %u", rows[i].n, below, above, rows[i].below,
                     rows[i].above);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_with_prime_factors_up_to_13_are_good_and_no_others),
        cmocka_unit_test(the_nearest_lengths_enclose_the_asked_one_and_are_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
