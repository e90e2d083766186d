#include "tests/operator_harness.h"

#include <math.h>

extern const struct np_operator np_op_limit;

enum { STATE, VALUE, LIMIT, SINCE, EXTREME, SEVERITY };

/* Values of 1-s windows as text: '-' missing (no point), '!' before a value: after a gap, 'n' NaN. Events as
 * text: "R3@1:260" raised by window 3, since window 1, extreme 260. */
static const struct {
    const char *name, *options, *values, *events;
} rows[] = {
    {"at once", "{above: 253}", "250 254 255 252", "R1@1:254 C3@1:255"},
    {"the limit itself is inside", "{above: 253}", "253 253", ""},
    {"hysteresis by clear", "{above: 253, clear: 250}", "254 252 251 250 254", "R0@0:254 C3@0:254 R4@4:254"},
    {"hysteresis by distance", "{above: 253, hysteresis: 2}", "254 252 251", "R0@0:254 C2@0:254"},
    {"below", "{below: 207, clear: 210}", "230 200 190 209 210", "R1@1:200 C4@1:190"},
    {"for: long enough", "{above: 253, for: 3s}", "254 260 255 250", "R2@0:260 C3@0:260"},
    {"for: too short", "{above: 253, for: 3s}", "254 254 252 254 254 252", ""},
    {"for: inside clear is not beyond", "{above: 253, clear: 240, for: 3s}", "254 254 252 254 254 254",
     "R5@3:254"},
    {"missing values are passed over", "{above: 253, for: 3s}", "254 n 255 250", "R2@0:255 C3@0:255"},
    {"missing values do not clear", "{above: 253}", "254 n n 250", "R0@0:254 C3@0:254"},
    {"a gap resets what is pending", "{above: 253, for: 3s}", "254 254 - 254 254 254", "R5@3:254"},
    {"a flagged gap too", "{above: 253, for: 3s}", "254 254 !254 254 254", "R4@2:254"},
    {"also flagged on a missing value", "{above: 253, for: 3s}", "254 254 !n 254 254 254", "R5@3:254"},
    {"a gap leaves what is raised", "{above: 253}", "254 - - 255 250", "R0@0:254 C4@0:255"},
    {"from one limit to the other", "{above: 253, below: 207}", "254 200 230",
     "R0@0:254 C1@0:254 R1@1:200 C2@1:200"},
    {"two limits with hysteresis", "{above: 253, below: 207, hysteresis: 3}", "254 251 250 206 209 210",
     "R0@0:254 C2@0:254 R3@3:206 C5@3:206"},
    {"pending changes sides", "{above: 253, below: 207, for: 2s}", "254 200 200", "R2@1:200"},
};

static const char *events_text(const struct recorder *recorder, char *out, size_t size)
{
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; i < recorder->n; i++) {
        const struct recorded *item = &recorder->items[i];

        used += (size_t)snprintf(out + used, size - used, "%s%c%lld@%lld:%g", i ? " " : "",
                                 strcmp(item->values[STATE].text, "raised") == 0 ? 'R' : 'C',
                                 (long long)(item->start_ns / S), (long long)(item->values[SINCE].i64 / S),
                                 item->values[EXTREME].f64);
    }
    return out;
}

static void push_text(struct recorder *recorder, const char *values)
{
    char copy[256], *save = NULL;

    snprintf(copy, sizeof copy, "%s", values);
    int64_t i = 0;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save), i++) {
        uint32_t flags = *word == '!' ? NP_FLAG_AFTER_GAP : 0;
        const char *number = word + (flags != 0);

        if (*number != '-')
            push_point(recorder, i * S, (i + 1) * S, *number == 'n' ? NAN : atof(number), flags);
    }
}

static void a_limit_raises_and_clears_as_its_options_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct recorder *recorder = recorder_open(&np_op_limit, rows[i].options);
        char got[512];

        push_text(recorder, rows[i].values);
        if (strcmp(events_text(recorder, got, sizeof got), rows[i].events) != 0)
            fail_msg("%s: %s: got \"%s\", expected \"%s\"", rows[i].name, rows[i].values, got,
                     rows[i].events);
        recorder_close(recorder);
    }
}

static void a_record_tells_value_limit_and_severity(void **state)
{
    struct recorder *recorder = recorder_open(&np_op_limit, "{above: 253, clear: 250, severity: critical}");

    (void)state;
    push_text(recorder, "254.5 249");
    assert_int_equal(recorder->n, 2);
    assert_true(recorder->items[0].values[VALUE].f64 == 254.5);
    assert_true(recorder->items[0].values[LIMIT].f64 == 253);
    assert_string_equal(recorder->items[0].values[SEVERITY].text, "critical");
    assert_int_equal(recorder->items[0].end_ns, S);
    assert_true(recorder->items[1].values[VALUE].f64 == 249);
    assert_string_equal(recorder->items[1].values[STATE].text, "cleared");
    recorder_close(recorder);
}

static void windows_further_apart_than_they_are_long_are_no_gap(void **state)
{
    struct recorder *recorder = recorder_open(&np_op_limit, "{above: 253, for: 60s}");

    (void)state;
    for (int64_t i = 0; i < 10; i++)
        push_point(recorder, i * 10 * S, i * 10 * S + S, i < 2 ? 230 : 254, 0);
    assert_int_equal(recorder->n, 1);
    assert_int_equal(recorder->items[0].start_ns, 80 * S);
    recorder_close(recorder);
}

static void readings_at_any_distance_are_no_gap(void **state)
{
    struct recorder *recorder = recorder_open(&np_op_limit, "{above: 253, for: 60s}");
    static const int64_t times_s[] = {0, 1, 30, 59, 60};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times_s); i++)
        push_point(recorder, times_s[i] * S, times_s[i] * S, 254, 0);
    assert_int_equal(recorder->n, 1);
    assert_int_equal(recorder->items[0].start_ns, 60 * S);
    recorder_close(recorder);
}

static void the_decision_state_changes_only_with_decisions(void **state)
{
    struct recorder *recorder = recorder_open(&np_op_limit, "{above: 253, for: 5s}");
    unsigned char before[64];

    (void)state;
    assert_true(np_op_limit.decision_size <= sizeof before);
    push_text(recorder, "230 231 n 232");
    memcpy(before, recorder->state, np_op_limit.decision_size);
    push_point(recorder, 4 * S, 5 * S, 233, 0);
    assert_memory_equal(before, recorder->state, np_op_limit.decision_size);
    push_point(recorder, 5 * S, 6 * S, 254, 0);
    assert_memory_not_equal(before, recorder->state, np_op_limit.decision_size);
    recorder_close(recorder);
}

static void a_copied_state_goes_on_like_the_original(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 6; cut++) {
        struct recorder *whole = recorder_open(&np_op_limit, "{above: 253, clear: 251, for: 2s}");
        struct recorder *copy = recorder_open(&np_op_limit, "{above: 253, clear: 251, for: 2s}");
        static const double values[] = {254, 255, 252, 251, 256, 257, 250};
        size_t n_before = 0;

        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            if (i == cut) {
                memcpy(copy->state, whole->state, np_op_limit.state_size);
                n_before = whole->n;
            }
            push_point(whole, (int64_t)i * S, (int64_t)(i + 1) * S, values[i], 0);
            if (i >= cut)
                push_point(copy, (int64_t)i * S, (int64_t)(i + 1) * S, values[i], 0);
        }
        assert_int_equal(whole->n, n_before + copy->n);
        assert_memory_equal(whole->items + n_before, copy->items, copy->n * sizeof *copy->items);
        recorder_close(whole);
        recorder_close(copy);
    }
}

static void options_that_contradict_each_other_are_told_with_their_place(void **state)
{
    static const struct {
        const char *yaml, *mistakes;
    } cases[] = {
        {"severity: info\n", "t:1:1: limit needs above, below or both\n"},
        {"above: 1\nbelow: 2\n", "t:1:1: above (1) must be at least below (2): else every value is beyond\n"},
        {"above: 1\nclear: 2\n", "t:2:8: clear (2) must be at most above (1)\n"},
        {"below: 1\nclear: 0\n", "t:2:8: clear (0) must be at least below (1)\n"},
        {"above: 9\nbelow: 1\nclear: 5\n",
         "t:3:8: clear fits one limit only; with above and below give hysteresis\n"},
        {"above: 9\nclear: 5\nhysteresis: 1\n", "t:2:8: give clear or hysteresis, not both\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_mistakes(&np_op_limit, cases[i].yaml, &(struct np_step_input){.unit = "V"}, cases[i].mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_raises_and_clears_as_its_options_say),
        cmocka_unit_test(a_record_tells_value_limit_and_severity),
        cmocka_unit_test(windows_further_apart_than_they_are_long_are_no_gap),
        cmocka_unit_test(readings_at_any_distance_are_no_gap),
        cmocka_unit_test(the_decision_state_changes_only_with_decisions),
        cmocka_unit_test(a_copied_state_goes_on_like_the_original),
        cmocka_unit_test(options_that_contradict_each_other_are_told_with_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
