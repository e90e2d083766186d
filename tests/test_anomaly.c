#include "tests/operator_harness.h"

#include <float.h>
#include <math.h>

#include "operators/anomaly.h"

extern const struct np_operator np_op_anomaly;

enum { SCORE, PROBABILITY, VALUE, SEVERITY };

#define SEED 20261124u

/* --- the histogram ------------------------------------------------------------------------------- */

static void the_tail_share_is_the_count_above_with_half_of_the_own_bin(void **state)
{
    static struct np_tail tail;
    static uint32_t counts[NP_TAIL_BINS];
    uint64_t seed = SEED;

    (void)state;
    for (uint32_t n = 0; n < 20000; n++) {
        double value = exp2(16 * random_next(&seed) - 8);
        int bin = (int)floor((log2(value + 1e-6) + 20) * 6);
        double above = 0, expected, got;

        for (int i = bin + 1; i < (int)NP_TAIL_BINS; i++)
            above += counts[i];
        expected = n > 20 ? (above + 0.5 * counts[bin] + 0.5) / (n + 1.0) : 1;
        got = np_tail_push(&tail, value);
        if (got != expected)
            fail_msg("seed %u, value %u (%g): got %.17g, expected %.17g", SEED, n, value, got, expected);
        counts[bin]++;
    }
}

static void values_beyond_the_bins_and_nan_are_counted_at_the_ends(void **state)
{
    static const double values[] = {0, -1, NAN, -INFINITY, 1e-300, INFINITY, DBL_MAX};
    static struct np_tail tail;

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        double share = np_tail_push(&tail, values[i % ARRAY_LEN(values)]);

        assert_true(share > 0 && share <= 1);
    }
    assert_int_equal(tail.n, 100);
}

static void a_full_histogram_is_halved_and_keeps_its_shares(void **state)
{
    static struct np_tail tail;
    double before, after;

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        np_tail_push(&tail, (double)(i % 10 + 1));
    for (size_t i = 0; i < NP_TAIL_BINS; i++)
        tail.tree[i] *= NP_TAIL_FULL / 1000 + 1;
    tail.n *= NP_TAIL_FULL / 1000 + 1;
    before = np_tail_push(&tail, 9);
    assert_true(tail.n < NP_TAIL_FULL / 2 + 2000);
    after = np_tail_push(&tail, 9);
    if (fabs(before - after) > 1e-6)
        fail_msg("share before halving %.9g, after %.9g", before, after);
}

/* --- the score ------------------------------------------------------------------------------------ */

/* The definitions of the features as plain sums over all the past. */
static void features_by_definition(const double *x, size_t t, size_t span, double *energy, double *range)
{
    double sum = 0, min = INFINITY, max = -INFINITY;
    size_t first = t + 1 > span ? t + 1 - span : 0;

    for (size_t i = first; i <= t; i++) {
        double mean = 0, variance = 0, z = 0;

        for (size_t k = 0; k < i; k++)
            mean += x[k] / (double)i;
        for (size_t k = 0; k < i; k++)
            variance += (x[k] - mean) * (x[k] - mean) / (double)i;
        if (i >= 10)
            z = fmax(-1000, fmin(1000, (x[i] - mean) / (sqrt(variance) + 1e-12)));
        sum += z * z;
    }
    for (size_t k = 0; k < t; k++) {
        min = fmin(min, x[k]);
        max = fmax(max, x[k]);
    }
    *energy = sqrt(sum / (double)(t + 1 - first));
    *range = max > min ? fmax(0, fmax(x[t] - max, min - x[t]) / (max - min)) : 0;
}

static double score_of(double share)
{
    return fmin(1, -log10(share) / 6);
}

static void scores_agree_with_the_definitions(void **state)
{
    static struct np_anomaly anomaly;
    static struct np_tail energy_tail, range_tail, sum_tail;
    double x[400];
    uint64_t seed = SEED;

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(x); t++) {
        double energy, range, expected, got;

        x[t] = 230 + random_next(&seed) + (t % 97 == 96 ? 5 * random_next(&seed) : 0);
        features_by_definition(x, t, 16, &energy, &range);
        expected = score_of(np_tail_push(&sum_tail, score_of(np_tail_push(&energy_tail, energy)) +
                                                        score_of(np_tail_push(&range_tail, range))));
        got = np_anomaly_push(&anomaly, 16, x[t]).score;
        if (fabs(got - expected) > 1e-9)
            fail_msg("seed %u, value %zu: got %.12g, expected %.12g", SEED, t, got, expected);
    }
}

static void a_flat_line_has_no_anomaly_and_a_step_from_it_is_one(void **state)
{
    static struct np_anomaly anomaly;
    double usual = 0;

    (void)state;
    for (size_t t = 0; t < 1000; t++) {
        double score = np_anomaly_push(&anomaly, 16, 230).score;

        usual = t < 100 ? 0 : fmax(usual, score);
    }
    assert_true(usual < 0.1);
    assert_true(np_anomaly_push(&anomaly, 16, 231).score > 0.5);
}

static void within_the_refractory_period_only_a_higher_score_passes(void **state)
{
    static const struct {
        uint64_t at;
        double score;
        bool passes;
    } steps[] = {
        {1, 0.5, true},   {2, 0.5, false}, {3, 0.51, false}, {4, 0.6, true},
        {14, 0.6, false}, {15, 0.1, true}, {25, 0.1, false}, {26, 0.05, true},
    };
    struct np_refractory refractory = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (np_refractory_pass(&refractory, 10, steps[i].at, steps[i].score) != steps[i].passes)
            fail_msg("value %d with score %g", (int)steps[i].at, steps[i].score);
}

/* --- the operator --------------------------------------------------------------------------------- */

/* 1-s windows of a level with noise; 5 % up for 5 windows from `step` on. */
static void push_level(struct recorder *recorder, int64_t from, int64_t to, int64_t step)
{
    uint64_t seed = SEED;

    for (int64_t i = 0; i < to; i++) {
        double value = 230 + random_next(&seed) + (i >= step && i < step + 5 ? 11.5 : 0);

        if (i >= from)
            push_point(recorder, i * S, (i + 1) * S, value, 0);
    }
}

static void a_jump_is_told_once_at_its_edge_and_nothing_else(void **state)
{
    struct recorder *recorder =
        recorder_open(&np_op_anomaly, "{alarms: 1 per year, severity: warning, warm_up: 2000}");

    (void)state;
    push_level(recorder, 0, 2600, 2500);
    if (recorder->n != 1)
        fail_msg("seed %u: %zu records", SEED, recorder->n);
    assert_int_equal(recorder->items[0].start_ns, 2500 * S);
    assert_int_equal(recorder->items[0].flags, 0);
    assert_true(recorder->items[0].values[PROBABILITY].f64 < 1.0 / 2500);
    assert_true(recorder->items[0].values[VALUE].f64 > 240);
    assert_string_equal(recorder->items[0].values[SEVERITY].text, "warning");
    recorder_close(recorder);
}

static void the_warm_up_is_silent_and_flagged(void **state)
{
    struct recorder *alarms = recorder_open(&np_op_anomaly, "{warm_up: 1000}");
    struct recorder *all = recorder_open(&np_op_anomaly, "{warm_up: 1000, report: all}");

    (void)state;
    push_level(alarms, 0, 1000, 900);
    assert_int_equal(alarms->n, 0);
    push_level(all, 0, 1100, 900);
    assert_int_equal(all->n, 1100);
    for (size_t i = 0; i < all->n; i++) {
        assert_int_equal(all->items[i].flags, i < 1000 ? NP_FLAG_WARM_UP : 0);
        if (i < 1000)
            assert_null(all->items[i].values[SEVERITY].text);
    }
    recorder_close(alarms);
    recorder_close(all);
}

static void a_larger_budget_gives_more_alarms_and_not_more_than_it_says(void **state)
{
    static const struct {
        const char *options;
        size_t least, most;
    } budgets[] = {    /* 20000 s of noise after the warm-up; the energy makes rare values come in clusters */
        {"{alarms: 1 per year, refractory: 1}", 0, 12},
        {"{alarms: 10 per hour, refractory: 1}", 8, 60},
        {"{alarms: 100 per hour, refractory: 1}", 80, 600},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(budgets); i++) {
        struct recorder *recorder = recorder_open(&np_op_anomaly, budgets[i].options);

        push_level(recorder, 0, 20750, INT64_MAX / 2);
        if (recorder->n < budgets[i].least || recorder->n > budgets[i].most)
            fail_msg("%s: %zu alarms, expected %zu to %zu", budgets[i].options, recorder->n, budgets[i].least,
                     budgets[i].most);
        recorder_close(recorder);
    }
}

static void values_that_are_missing_or_infinite_change_nothing(void **state)
{
    struct recorder *plain = recorder_open(&np_op_anomaly, "{}"),
                    *holed = recorder_open(&np_op_anomaly, "{}");
    static const double holes[] = {NAN, INFINITY, -INFINITY};
    uint64_t seed = SEED;

    (void)state;
    for (int64_t i = 0; i < 1000; i++) {
        double value = random_next(&seed);

        push_point(plain, i * S, (i + 1) * S, value, 0);
        push_point(holed, i * S, (i + 1) * S, value, 0);
        push_point(holed, i * S, (i + 1) * S, holes[i % 3], 0);
    }
    assert_memory_equal(plain->state, holed->state, np_op_anomaly.state_size);
    assert_int_equal(plain->n, holed->n);
    recorder_close(plain);
    recorder_close(holed);
}

static void a_copied_state_goes_on_like_the_original(void **state)
{
    struct recorder *whole = recorder_open(&np_op_anomaly, "{report: all}");
    struct recorder *copy = recorder_open(&np_op_anomaly, "{report: all}");

    (void)state;
    push_level(whole, 0, 1000, 1200);
    memcpy(copy->state, whole->state, np_op_anomaly.state_size);
    push_level(whole, 1000, 2000, 1200);
    push_level(copy, 1000, 2000, 1200);
    assert_int_equal(copy->n, 1000);
    assert_memory_equal(whole->items + 1000, copy->items, 1000 * sizeof *copy->items);
    assert_memory_equal(whole->state, copy->state, np_op_anomaly.state_size);
    recorder_close(whole);
    recorder_close(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tail_share_is_the_count_above_with_half_of_the_own_bin),
        cmocka_unit_test(values_beyond_the_bins_and_nan_are_counted_at_the_ends),
        cmocka_unit_test(a_full_histogram_is_halved_and_keeps_its_shares),
        cmocka_unit_test(scores_agree_with_the_definitions),
        cmocka_unit_test(a_flat_line_has_no_anomaly_and_a_step_from_it_is_one),
        cmocka_unit_test(within_the_refractory_period_only_a_higher_score_passes),
        cmocka_unit_test(a_jump_is_told_once_at_its_edge_and_nothing_else),
        cmocka_unit_test(the_warm_up_is_silent_and_flagged),
        cmocka_unit_test(a_larger_budget_gives_more_alarms_and_not_more_than_it_says),
        cmocka_unit_test(values_that_are_missing_or_infinite_change_nothing),
        cmocka_unit_test(a_copied_state_goes_on_like_the_original),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
