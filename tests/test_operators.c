/* What every operator of the registry must keep to. A new operator gets these checks by its registry line. */
#include "tests/operator_harness.h"

#include <ctype.h>

#define N 64u
#define RATE_HZ 6400.0

#define FOR_EACH_OPERATOR(op)                                                                                \
    for (const struct np_operator *const *place_ = np_operators, *op; (op = *place_) != NULL; place_++)

/* The least that an operator needs to be told. */
static const char *least_options(const struct np_operator *op)
{
    return strcmp(op->name, "limit") == 0 ? "{above: 1}" : "{}";
}

static bool is_identifier(const char *text)
{
    if (!islower((unsigned char)*text) || strlen(text) > 40)
        return false;
    for (; *text; text++)
        if (!islower((unsigned char)*text) && !isdigit((unsigned char)*text) && *text != '_')
            return false;
    return true;
}

static void every_operator_has_a_name_of_its_own_and_says_what_it_does(void **state)
{
    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        if (!is_identifier(op->name) || !op->help || op->help[strlen(op->help) - 1] != '.')
            fail_msg("%s: \"%s\"", op->name, op->help ? op->help : "no help");
        assert_ptr_equal(np_operator_find(op->name), op);
        for (size_t i = 0; op != np_operators[i]; i++)
            if (strcmp(np_operators[i]->name, op->name) == 0)
                fail_msg("two operators are named %s", op->name);
    }
    assert_null(np_operator_find("nothing"));
}

static void every_operator_is_either_windowed_or_streaming(void **state)
{
    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        bool windowed = op->plan_open && op->run && op->plan_close,
             streaming = op->state_size > 0 && op->push;

        if (windowed == streaming || (windowed && (op->state_size || op->push || op->idle || op->init)) ||
            (streaming && (op->plan_open || op->run || op->plan_close || op->exact)))
            fail_msg("%s", op->name);
        assert_true(op->decision_size <= op->state_size);
        assert_true(op->decision_size % 8 == 0 && op->state_size % 8 == 0);
        assert_true(op->columns || op->describe);
        assert_true(op->conf_size > 0);
    }
}

static void every_option_is_described_and_its_default_is_within_its_bounds(void **state)
{
    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        harness_conf_free(op, harness_conf(op, least_options(op)));
        for (const struct np_option *row = op->options; row->name; row++) {
            void *conf = calloc(1, op->conf_size);
            struct np_error err = {0};

            assert_non_null(conf);
            if (!is_identifier(row->name) || !row->help || row->help[strlen(row->help) - 1] != '.')
                fail_msg("%s: option %s: \"%s\"", op->name, row->name, row->help ? row->help : "no help");
            if (row->default_text && *row->default_text &&
                np_option_value(row, row->default_text, conf, &err) != NP_OK)
                fail_msg("%s: default of %s: %s", op->name, row->name, err.text);
            harness_conf_free(op, conf);
        }
    }
}

static void every_column_has_a_name_of_its_own_and_a_meaning(void **state)
{
    static const char *const common[] = {"sensor", "channel", "start_time", "end_time", "coverage", "flags"};

    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        void *conf = harness_conf(op, least_options(op));
        struct np_columns columns = harness_columns(op, conf);

        assert_true(columns.n > 0);
        for (size_t i = 0; i < columns.n; i++) {
            const struct np_column *column = &columns.items[i];

            if (!is_identifier(column->name) || !column->unit || !column->help || !*column->help)
                fail_msg("%s: column %s", op->name, column->name);
            if (np_columns_find(&columns, column->name) != (int)i)
                fail_msg("%s: two columns are named %s", op->name, column->name);
            for (size_t k = 0; k < ARRAY_LEN(common); k++)
                if (strcmp(common[k], column->name) == 0)
                    fail_msg("%s: every record has a column %s already", op->name, column->name);
        }
        np_columns_free(&columns);
        harness_conf_free(op, conf);
    }
}

/* --- windowed ----------------------------------------------------------------------------------- */

static void a_plan_closes_unused_after_an_empty_batch_and_when_it_is_null(void **state)
{
    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        struct windowed windowed;
        struct slab slab = slab_open(0, (const uint32_t[]){N}, 1);

        if (op->plan_open) {
            op->plan_close(NULL);
            windowed = windowed_open(op, least_options(op), np_kernels_best(), N, RATE_HZ);
            windowed_close(&windowed);
            windowed = windowed_open(op, least_options(op), np_kernels_best(), N, RATE_HZ);
            windowed_run(&windowed, &slab.rows, RATE_HZ);
            windowed_close(&windowed);
        }
        slab_close(&slab);
    }
}

/* @return true if both are the same value, arrays by content */
static bool same_value(const struct np_column *column, const struct np_value *a, const struct np_value *b)
{
    if (column->type != NP_COL_FLOATS)
        return memcmp(a, b, sizeof a->i64) == 0;
    if (a->n != b->n || !a->floats != !b->floats)
        return false;
    return a->n == 0 || memcmp(a->floats, b->floats, a->n * sizeof(float)) == 0;
}

static void one_streams_nan_infinity_or_hole_changes_no_other_row(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};

    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        if (!op->plan_open)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            struct slab clean = slab_open(3, (const uint32_t[]){N}, 1),
                        dirty = slab_open(3, (const uint32_t[]){N}, 1);
            struct windowed one = windowed_open(op, least_options(op), np_kernels_best(), N, RATE_HZ);
            struct windowed two = windowed_open(op, least_options(op), np_kernels_best(), N, RATE_HZ);

            slab_randomize(&clean, 1);
            slab_randomize(&dirty, 1);
            for (uint32_t k = 0; k < N; k += i + 1)
                slab_row(&dirty, 1)[k] = bad[i];
            windowed_run(&one, &clean.rows, RATE_HZ);
            windowed_run(&two, &dirty.rows, RATE_HZ);
            for (size_t r = 0; r < 3; r += 2)
                for (size_t c = 0; c < one.columns.n; c++)
                    if (!same_value(&one.columns.items[c], &one.values[r * one.columns.n + c],
                                    &two.values[r * one.columns.n + c]))
                        fail_msg("%s: row %zu, %s changed with %g in row 1", op->name, r,
                                 one.columns.items[c].name, (double)bad[i]);
            windowed_close(&one);
            windowed_close(&two);
            slab_close(&clean);
            slab_close(&dirty);
        }
    }
}

static void a_window_of_one_sample_is_taken_unless_windows_must_be_exact(void **state)
{
    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        struct slab slab = slab_open(1, (const uint32_t[]){1}, 1);
        struct windowed windowed;

        slab_randomize(&slab, 1);
        if (op->plan_open && !op->exact) {
            windowed = windowed_open(op, least_options(op), np_kernels_best(), 0, RATE_HZ);
            windowed_run(&windowed, &slab.rows, RATE_HZ);
            windowed_close(&windowed);
        }
        slab_close(&slab);
    }
}

/* --- streaming ---------------------------------------------------------------------------------- */

static void push_something(struct recorder *recorder, int64_t i, double value)
{
    if (recorder->op->idle && i % 37 == 36)
        recorder->op->idle(recorder->conf, recorder->state, i * S, (i + 30) * S, &recorder->emit);
    push_point(recorder, i * S, (i + 1) * S, value, i % 50 == 0 ? NP_FLAG_AFTER_GAP : 0);
}

static void a_streaming_operator_takes_any_value_at_any_moment(void **state)
{
    static const double values[] = {NAN, INFINITY, 0, -INFINITY, 1e300, -1e300, 5e-324, -0.0, 1};

    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        if (!op->push)
            continue;
        for (size_t first = 0; first < ARRAY_LEN(values); first++) {
            struct recorder *recorder = recorder_open(op, least_options(op));

            for (size_t i = 0; i < 200; i++)
                push_something(recorder, (int64_t)i, values[(first + i * i) % ARRAY_LEN(values)]);
            for (size_t i = 0; i < recorder->n; i++)
                assert_true(recorder->items[i].start_ns <= recorder->items[i].end_ns);
            recorder_close(recorder);
        }
    }
}

/* State is plain memory that is copied into snapshots: the same points give the same bytes, and a copy goes
 * on like the original. */
static void the_same_points_give_the_same_records_and_state_from_a_copy_too(void **state)
{
    (void)state;
    FOR_EACH_OPERATOR(op)
    {
        struct recorder *one, *two;
        uint64_t seed = 1;

        if (!op->push)
            continue;
        one = recorder_open(op, least_options(op));
        two = recorder_open(op, least_options(op));
        for (int64_t i = 0; i < 3000; i++) {
            double value = i % 400 > 390 ? 3 : random_next(&seed);

            push_something(one, i, value);
            if (i % 100 == 99) {    /* move the second stream to other memory, as a recovery does */
                void *moved = malloc(op->state_size);

                assert_non_null(moved);
                memcpy(moved, two->state, op->state_size);
                memset(two->state, 0x5a, op->state_size);
                free(two->state);
                two->state = moved;
            }
            push_something(two, i, value);
        }
        assert_int_equal(one->n, two->n);
        assert_memory_equal(one->items, two->items, one->n * sizeof *one->items);
        assert_memory_equal(one->state, two->state, op->state_size);
        recorder_close(one);
        recorder_close(two);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_has_a_name_of_its_own_and_says_what_it_does),
        cmocka_unit_test(every_operator_is_either_windowed_or_streaming),
        cmocka_unit_test(every_option_is_described_and_its_default_is_within_its_bounds),
        cmocka_unit_test(every_column_has_a_name_of_its_own_and_a_meaning),
        cmocka_unit_test(a_plan_closes_unused_after_an_empty_batch_and_when_it_is_null),
        cmocka_unit_test(one_streams_nan_infinity_or_hole_changes_no_other_row),
        cmocka_unit_test(a_window_of_one_sample_is_taken_unless_windows_must_be_exact),
        cmocka_unit_test(a_streaming_operator_takes_any_value_at_any_moment),
        cmocka_unit_test(the_same_points_give_the_same_records_and_state_from_a_copy_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
