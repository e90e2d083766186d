#include "tests/operator_harness.h"

#include <math.h>

extern const struct np_operator np_op_silent;

enum { STATE, SINCE, SEVERITY };

static void go_idle(struct recorder *recorder, int64_t last_ns, int64_t time_ns)
{
    recorder->op->idle(recorder->conf, recorder->state, last_ns, time_ns, &recorder->emit);
}

static void silence_is_raised_once_and_cleared_by_the_next_point(void **state)
{
    struct recorder *recorder = recorder_open(&np_op_silent, "{severity: critical}");

    (void)state;
    push_point(recorder, 0, S, 230, 0);
    assert_int_equal(recorder->n, 0);
    go_idle(recorder, S, 31 * S);
    go_idle(recorder, S, 40 * S);
    assert_int_equal(recorder->n, 1);
    push_point(recorder, 50 * S, 51 * S, 230, NP_FLAG_AFTER_GAP);
    push_point(recorder, 51 * S, 52 * S, 230, 0);
    assert_int_equal(recorder->n, 2);

    assert_string_equal(recorder->items[0].values[STATE].text, "raised");
    assert_int_equal(recorder->items[0].values[SINCE].i64, S);
    assert_string_equal(recorder->items[0].values[SEVERITY].text, "critical");
    assert_int_equal(recorder->items[0].start_ns, S);
    assert_int_equal(recorder->items[0].end_ns, 31 * S);
    assert_int_equal(recorder->items[0].flags, NP_FLAG_IDLE);

    assert_string_equal(recorder->items[1].values[STATE].text, "cleared");
    assert_int_equal(recorder->items[1].values[SINCE].i64, S);
    assert_int_equal(recorder->items[1].start_ns, 50 * S);
    assert_int_equal(recorder->items[1].flags, NP_FLAG_AFTER_GAP);
    recorder_close(recorder);
}

static void a_second_silence_is_raised_again(void **state)
{
    struct recorder *recorder = recorder_open(&np_op_silent, "{}");

    (void)state;
    go_idle(recorder, S, 31 * S);
    push_point(recorder, 50 * S, 51 * S, 230, 0);
    go_idle(recorder, 51 * S, 90 * S);
    assert_int_equal(recorder->n, 3);
    assert_string_equal(recorder->items[2].values[STATE].text, "raised");
    assert_int_equal(recorder->items[2].values[SINCE].i64, 51 * S);
    assert_string_equal(recorder->items[2].values[SEVERITY].text, "warning");
    recorder_close(recorder);
}

static void a_missing_value_ends_the_silence_too(void **state)
{
    struct recorder *recorder = recorder_open(&np_op_silent, "{}");

    (void)state;
    go_idle(recorder, S, 31 * S);
    push_point(recorder, 50 * S, 51 * S, NAN, 0);
    assert_int_equal(recorder->n, 2);
    recorder_close(recorder);
}

static void all_of_its_state_is_decision_state(void **state)
{
    (void)state;
    assert_int_equal(np_op_silent.decision_size, np_op_silent.state_size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_raised_once_and_cleared_by_the_next_point),
        cmocka_unit_test(a_second_silence_is_raised_again),
        cmocka_unit_test(a_missing_value_ends_the_silence_too),
        cmocka_unit_test(all_of_its_state_is_decision_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
