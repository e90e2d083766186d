#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pipeline/ring.h"

#define MS 1000000ll

static float ones[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static enum np_put put(struct np_ring *ring, double t0_ms, uint32_t n, int64_t offset)
{
    struct np_block block = {.t0_ns = (int64_t)(t0_ms * MS), .rate_hz = 1000, .n = n, .x = ones};

    return np_ring_put_block(ring, &block, offset);
}

/* Walks 0..window after two blocks of 10 samples at 1 kHz whose distance is off by so many samples. */
static struct np_span joined(double off)
{
    struct np_ring ring = {0};
    struct np_expectation next = {.time_ns = NP_TIME_UNSET};
    struct np_span span;

    put(&ring, 0, 10, 0);
    put(&ring, 10 + off, 10, 1);
    span = np_ring_walk(&ring, 0, 40 * MS, &next, true, NULL, NULL);
    np_ring_free(&ring);
    return span;
}

static void blocks_join_within_half_a_sample_and_gap_or_overlap_beyond(void **state)
{
    static const struct { double off; uint32_t n, missing, duplicate; } rows[] = {
        {0, 20, 0, 0}, {0.4, 20, 0, 0}, {-0.4, 20, 0, 0}, {0.6, 20, 1, 0}, {1, 20, 1, 0}, {5, 20, 5, 0},
        {-0.6, 19, 0, 1}, {-3, 17, 0, 3}, {-9.4, 11, 0, 9},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct np_span span = joined(rows[i].off);
        if (span.n != rows[i].n || span.missing != rows[i].missing || span.duplicate != rows[i].duplicate)
            fail_msg("off %g: n %u (%u) missing %u (%u) duplicate %u (%u)", rows[i].off, span.n, rows[i].n,
                     span.missing, rows[i].missing, span.duplicate, rows[i].duplicate);
    }
}

static void a_gap_over_several_windows_is_told_once_in_each(void **state)
{
    struct np_ring ring = {0};
    struct np_expectation next = {.time_ns = NP_TIME_UNSET};
    struct np_span span;

    (void)state;
    put(&ring, 0, 15, 0);
    put(&ring, 47, 20, 1);
    span = np_ring_walk(&ring, 0, 20 * MS, &next, false, NULL, NULL);
    assert_int_equal(span.missing, 5);
    span = np_ring_walk(&ring, 20 * MS, 40 * MS, &next, false, NULL, NULL);
    assert_int_equal(span.n, 0);
    span = np_ring_walk(&ring, 40 * MS, 60 * MS, &next, false, NULL, NULL);
    assert_int_equal(span.n, 13);
    assert_int_equal(span.missing, 7);
    np_ring_free(&ring);
}

static void the_first_block_may_have_any_phase(void **state)
{
    (void)state;
    for (int tenth = 0; tenth < 10; tenth++) {
        double phase = tenth * 0.1;
        struct np_ring ring = {0};
        struct np_expectation next = {.time_ns = NP_TIME_UNSET};
        struct np_span span;
        put(&ring, phase, 20, 0);
        span = np_ring_walk(&ring, 0, 20 * MS, &next, false, NULL, NULL);
        if (span.n != 20 || span.missing)
            fail_msg("phase %g: n %u missing %u", phase, span.n, span.missing);
        np_ring_free(&ring);
    }
}

static void the_same_block_twice_is_a_duplicate(void **state)
{
    struct np_ring ring = {0};

    (void)state;
    assert_int_equal(put(&ring, 0, 10, 0), NP_PUT_TAKEN);
    assert_int_equal(put(&ring, 10, 10, 1), NP_PUT_TAKEN);
    assert_int_equal(put(&ring, 0, 10, 2), NP_PUT_DUPLICATE);
    assert_int_equal(np_ring_count(&ring), 2);
    np_ring_free(&ring);
}

static void readings_come_out_in_order_of_time(void **state)
{
    static const int64_t times[] = {5, 3, 9, 1, 7, 3};
    struct np_ring ring = {0};

    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(np_ring_put_reading(&ring, times[i], (float)times[i], 1, (int64_t)i),
                         i == 5 ? NP_PUT_DUPLICATE : NP_PUT_TAKEN);
    assert_int_equal(np_ring_first_time(&ring), 1);
    assert_int_equal(np_ring_next_time(&ring, 4), 5);
    assert_int_equal(np_ring_lowest_offset(&ring), 0);
    np_ring_drop_before(&ring, 5);
    assert_int_equal(np_ring_count(&ring), 3);
    assert_int_equal(np_ring_first_time(&ring), 5);
    np_ring_free(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_join_within_half_a_sample_and_gap_or_overlap_beyond),
        cmocka_unit_test(a_gap_over_several_windows_is_told_once_in_each),
        cmocka_unit_test(the_first_block_may_have_any_phase),
        cmocka_unit_test(the_same_block_twice_is_a_duplicate),
        cmocka_unit_test(readings_come_out_in_order_of_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
