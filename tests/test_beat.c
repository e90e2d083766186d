#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pipeline/beat.h"

#define S INT64_C(1000000000)

static void a_beat_older_than_the_limit_is_stuck_and_one_as_old_is_not(void **state)
{
    struct np_beat beat = {.at_ns = 1000 * S};
    int64_t age;

    (void)state;
    assert_int_equal(np_beat_judge(&beat, 1000 * S, 30 * S, &age), NP_BEAT_GOES);
    assert_int_equal(age, 0);
    assert_int_equal(np_beat_judge(&beat, 1030 * S, 30 * S, &age), NP_BEAT_GOES);
    assert_int_equal(np_beat_judge(&beat, 1030 * S + 1, 30 * S, &age), NP_BEAT_STUCK);
    assert_int_equal(age, 30 * S + 1);
    /* given by another thread after the clock was read */
    assert_int_equal(np_beat_judge(&beat, 999 * S, 0, NULL), NP_BEAT_GOES);
}

static void a_thread_that_has_not_begun_is_not_stuck(void **state)
{
    struct np_beat beat = {0};
    int64_t age = -1;

    (void)state;
    assert_int_equal(np_beat_judge(&beat, 1000000 * S, 30 * S, &age), NP_BEAT_GOES);
    assert_int_equal(age, 0);
}

static void one_that_waits_for_a_server_is_never_stuck_but_told_of_after_ten_seconds(void **state)
{
    struct np_beat beat = {.at_ns = 1000 * S, .waits = true};

    (void)state;
    assert_int_equal(np_beat_judge(&beat, 1010 * S, 1 * S, NULL), NP_BEAT_GOES);
    assert_int_equal(np_beat_judge(&beat, 1011 * S, 1 * S, NULL), NP_BEAT_WAITS);
    assert_int_equal(np_beat_judge(&beat, 9999 * S, 1 * S, NULL), NP_BEAT_WAITS);
}

static void giving_a_beat_sets_the_clock_and_ends_the_wait(void **state)
{
    struct np_beat beat = {0};
    int64_t before = np_beat_clock_ns();

    (void)state;
    np_beat_give(NULL, true);
    np_beat_give(&beat, true);
    assert_true(beat.waits && beat.at_ns >= before && beat.at_ns <= np_beat_clock_ns());
    np_beat_give(&beat, false);
    assert_false(beat.waits);
    assert_int_equal(np_beat_judge(&beat, beat.at_ns + 31 * S, 30 * S, NULL), NP_BEAT_STUCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_beat_older_than_the_limit_is_stuck_and_one_as_old_is_not),
        cmocka_unit_test(a_thread_that_has_not_begun_is_not_stuck),
        cmocka_unit_test(one_that_waits_for_a_server_is_never_stuck_but_told_of_after_ten_seconds),
        cmocka_unit_test(giving_a_beat_sets_the_clock_and_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
