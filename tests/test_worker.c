#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_broker.h"
#include "pipeline/log.h"

static const char text[] =
    "pipeline: test\n"
    "kafka: { brokers: \"127.0.0.1:1\" }\n"
    "inputs:\n"
    "  waves: { topic: t, format: json, sensor: m, time: { field: t, unit: ns }, rate: r, channels: { U: u } "
    "}\n"
    "steps:\n"
    "  levels: { operator: rms, input: waves, window: 1s }\n"
    "  high: { operator: limit, input: levels.rms, above: 253, clear: 250, for: 2s, severity: warning }\n"
    "  odd: { operator: anomaly, input: levels.rms, alarms: 100 per day, severity: notice }\n"
    "outputs:\n"
    "  topics: { levels: { topic: l, format: json }, high: { topic: a, format: json }, odd: { topic: a, "
    "format: json } }\n"
    "dead_letters: { topic: d }\n"
    "run: { commit: 10ms, snapshot: 100ms, lanes: 2, worker: w }\n";

static struct np_pipeline *pipeline_of(const char *source)
{
    struct np_mistakes mistakes = {.file = "test.yaml"};
    struct np_pipeline *pipeline = np_pipeline_load_text(source, strlen(source), "test.yaml", &mistakes);

    if (!pipeline)
        np_mistakes_print(&mistakes, stderr);
    assert_non_null(pipeline);
    return pipeline;
}

/* What an undisturbed run over the same log gives. */
static struct fake_broker *undisturbed(int seconds)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *fake = fake_new();
    struct np_error err;

    fake_fill(fake, 0, seconds);
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    np_pipeline_free(pipeline);
    qsort(fake->results, fake->n_results, sizeof(char *), fake_order);
    return fake;
}

static void assert_same(struct fake_broker *fake, const struct fake_broker *expected, const char *what)
{
    qsort(fake->results, fake->n_results, sizeof(char *), fake_order);
    for (size_t i = 0; i < fake->n_results && i < expected->n_results; i++)
        if (strcmp(fake->results[i], expected->results[i]) != 0)
            fail_msg("%s: result %zu is\n%s\nand should be\n%s", what, i, fake->results[i],
                     expected->results[i]);
    if (fake->n_results != expected->n_results)
        fail_msg("%s: %zu results, should be %zu", what, fake->n_results, expected->n_results);
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        assert_int_equal(fake->committed[p], expected->committed[p]);
}

static void everything_is_committed_at_the_stop(void **state)
{
    struct fake_broker *fake = undisturbed(120);

    (void)state;
    assert_true(fake->n_results > 6 * 110);
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        assert_int_equal(fake->committed[p], fake->log_end[p]);
    assert_true(fake->beat.at_ns > 0);
    fake_free(fake);
}

static void a_stopped_worker_goes_on_where_it_was(void **state)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *expected = undisturbed(120), *fake = fake_new();
    struct np_error err;

    (void)state;
    for (int s = 0; s < 120; s += 24) {
        fake_fill(fake, s, s + 24);
        assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    }
    assert_same(fake, expected, "five runs");
    fake_free(fake);
    fake_free(expected);
    np_pipeline_free(pipeline);
}

/* A fault at each of the first calls, at each of the first commits, and then at every so many calls. */
static void survive(const char *name, enum np_status with, bool takes_effect, int generation_step)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *expected = undisturbed(60);

    for (int at = -6; at < 700; at += at < 12 ? 1 : 97) {
        struct fake_broker *fake = fake_new();
        struct np_error err;
        char what[80];

        fake->fail_at = at;
        fake->fail_at_commit = -at;
        fake->fail_with = with;
        fake->takes_effect = takes_effect;
        fake->generation_step = generation_step;
        fake_fill(fake, 0, 60);
        snprintf(what, sizeof what, "%s at call %d", name, at);
        if (fake_run(fake, pipeline, &err) != NP_OK)
            fail_msg("%s: %s", what, err.text);
        assert_same(fake, expected, what);
        fake_free(fake);
    }
    fake_free(expected);
    np_pipeline_free(pipeline);
}

static void a_transaction_that_must_be_aborted_is_sent_again(void **state)
{
    (void)state;
    survive("abort", NP_ERETRY, false, 0);
}

static void a_refused_generation_waits_for_the_next_and_sends_again(void **state)
{
    (void)state;
    survive("generation", NP_EFENCED, false, 1);
}

static void after_a_missed_generation_everything_is_recovered(void **state)
{
    (void)state;
    survive("missed generation", NP_EFENCED, false, 2);
}

static void a_commit_of_unknown_outcome_that_failed_is_sent_again(void **state)
{
    (void)state;
    survive("unknown, failed", NP_ESTOP, false, 0);
}

static void a_commit_of_unknown_outcome_that_went_through_is_not_sent_again(void **state)
{
    (void)state;
    survive("unknown, through", NP_ESTOP, true, 0);
}

/* Runs over a log with state, changes something, and expects the worker to stop with this text. */
static void expect_stop(void (*change)(struct fake_broker *fake), enum np_status status, const char *part)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *fake = fake_new();
    struct np_error err = {.status = NP_OK};
    size_t before;

    fake_fill(fake, 0, 30);
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    before = fake->n_results;
    change(fake);
    if (fake->log_end[0] == 90)
        fake_fill(fake, 30, 40);
    assert_int_equal(fake_run(fake, pipeline, &err), status);
    if (!strstr(err.text, part))
        fail_msg("the error is \"%s\", without \"%s\"", err.text, part);
    assert_int_equal(fake->n_results, before);
    fake_free(fake);
    np_pipeline_free(pipeline);
}

static void make_topic_again(struct fake_broker *fake)
{
    fake->facts.id[3] ^= 1;
}

static void add_partition(struct fake_broker *fake)
{
    fake->facts.partitions++;
}

static void forget_state(struct fake_broker *fake)
{
    np_map_free(&fake->state[0]);
    np_map_free(&fake->state[1]);
}

static void move_offset(struct fake_broker *fake)
{
    fake->committed[0]--;
    fake->committed[1]--;
}

static void cut_log(struct fake_broker *fake)
{
    fake->log_start = fake->log_end[0];
}

static void lose_end(struct fake_broker *fake)
{
    fake->log_end[0] -= 5;
    fake->log_end[1] -= 5;
}

static void a_state_that_must_not_be_passed_over_stops_the_worker(void **state)
{
    (void)state;
    expect_stop(make_topic_again, NP_ESTOP, "deleted and made again");
    expect_stop(add_partition, NP_ESTOP, "has 3 partitions and had 2");
    expect_stop(forget_state, NP_ESTOP, "holds nothing of it");
    expect_stop(move_offset, NP_ESTOP, "the state's cut");
    expect_stop(cut_log, NP_ESTOP, "out of range");
    expect_stop(lose_end, NP_ESTOP, "lost messages");
}

static void expired_offsets_are_taken_from_the_state(void **state)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *expected = undisturbed(60), *fake = fake_new();
    struct np_error err;

    (void)state;
    fake_fill(fake, 0, 30);
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    fake->committed[0] = fake->committed[1] = NP_OFFSET_NONE;
    fake_fill(fake, 30, 60);
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    assert_same(fake, expected, "expired offsets");
    fake_free(fake);
    fake_free(expected);
    np_pipeline_free(pipeline);
}

static void state_that_does_not_fit_yet_is_read_again(void **state)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *expected = undisturbed(60), *fake = fake_new();
    struct np_error err;

    (void)state;
    fake_fill(fake, 0, 30);
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    fake->damage_reads = 1;
    fake_fill(fake, 30, 60);
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    assert_same(fake, expected, "read again");
    fake_free(fake);
    fake_free(expected);
    np_pipeline_free(pipeline);
}

static void a_new_pipeline_text_takes_over_and_the_old_one_is_refused(void **state)
{
    struct np_pipeline *old = pipeline_of(text), *new;
    struct fake_broker *fake = fake_new();
    struct np_error err;
    char *changed = strdup(text);

    (void)state;
    memcpy(strstr(changed, "above: 253"), "above: 254", 10);
    new = pipeline_of(changed);
    fake_fill(fake, 0, 20);
    assert_int_equal(fake_run(fake, old, &err), NP_OK);
    fake_fill(fake, 20, 40);
    assert_int_equal(fake_run(fake, new, &err), NP_OK);
    assert_int_equal(fake->committed[0], fake->log_end[0]);
    fake_fill(fake, 40, 60);
    assert_int_equal(fake_run(fake, old, &err), NP_EFENCED);
    assert_non_null(strstr(err.text, "revision 1"));
    assert_int_equal(fake_run(fake, new, &err), NP_OK);
    assert_int_equal(fake->committed[0], fake->log_end[0]);
    fake_free(fake);
    free(changed);
    np_pipeline_free(old);
    np_pipeline_free(new);
}

/* One sensor fell behind, so that the refill passes blocks of the others that the old steps need no more. */
static void a_new_step_does_not_keep_the_others_from_going_on(void **state)
{
    struct np_pipeline *old = pipeline_of(text), *new;
    struct fake_broker *fake = fake_new();
    struct np_error err;
    char changed[2 * sizeof text];
    const char *at = strstr(text, "  high:"), *topics = strstr(text, "high: { topic");

    (void)state;
    snprintf(changed, sizeof changed, "%.*s  slow: { operator: rms, input: waves, window: 5s }\n%.*sslow: { topic: l, format: json }, %s",
             (int)(at - text), text, (int)(topics - at), at, topics);
    new = pipeline_of(changed);
    fake_fill(fake, 0, 23);
    for (int i = 30; i < fake->log_end[0]; i++)
        if (strcmp(fake->log[0][i].key, "m4") == 0)
            strcpy(fake->log[0][i].value, "bad");
    assert_int_equal(fake_run(fake, old, &err), NP_OK);
    fake_fill(fake, 23, 40);
    if (fake_run(fake, new, &err) != NP_OK)
        fail_msg("%s", err.text);
    assert_int_equal(fake->committed[0], fake->log_end[0]);
    assert_int_equal(fake->committed[1], fake->log_end[1]);
    fake_fill(fake, 40, 50);
    assert_int_equal(fake_run(fake, new, &err), NP_OK);
    assert_int_equal(fake->committed[0], fake->log_end[0]);
    fake_free(fake);
    np_pipeline_free(old);
    np_pipeline_free(new);
}

static void a_message_that_cannot_be_decoded_yet_is_not_passed_over(void **state)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *expected = undisturbed(60), *fake = fake_new();
    char *value = fake->log[0][50].value, copy[32];
    struct np_error err;

    (void)state;
    fake_fill(fake, 0, 60);
    memcpy(copy, value, sizeof copy);
    snprintf(value, sizeof copy, "wait %.20s", copy);
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    while (fake->committed[0] < fake->log_end[0]) /* the first run may have ended while it still waited */
        assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    assert_true(fake->waits >= 4);
    assert_same(fake, expected, "wait");
    fake_free(fake);
    fake_free(expected);
    np_pipeline_free(pipeline);
}

/* Kernels that fail once, after a while, in the middle of the log. */
static atomic_int levels_left; /* calls until one fails */
static enum np_kernels_status level_status;

static enum np_kernels_status failing_levels(const struct np_rows *rows, struct np_level *out)
{
    const struct timespec moment = {.tv_nsec = 100000000};

    if (atomic_fetch_sub(&levels_left, 1) != 0)
        return np_kernels_best()->levels(rows, out);
    nanosleep(&moment, NULL); /* meanwhile the commit thread asks for what there is */
    return level_status;
}

static void fail_once(enum np_kernels_status with, int calls, int64_t batch_rows, enum np_status expected_status)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *expected = undisturbed(60), *fake = fake_new();
    struct np_kernels failing = *np_kernels_best();
    struct np_error err;

    level_status = with;
    atomic_store(&levels_left, calls);
    pipeline->run.batch_rows = batch_rows;
    pipeline->run.lanes = 1;
    failing.levels = failing_levels;
    fake_fill(fake, 0, 60);
    fake->kernels = &failing;
    assert_int_equal(fake_run(fake, pipeline, &err), expected_status);
    fake->kernels = NULL;
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    assert_same(fake, expected, "after a failed computation");
    fake_free(fake);
    fake_free(expected);
    np_pipeline_free(pipeline);
}

static void results_that_could_not_be_computed_are_not_passed_over(void **state)
{
    (void)state;
    fail_once(NP_KERNELS_ENOMEM, 1, 1024, NP_ENOMEM); /* in the flush */
    fail_once(NP_KERNELS_EINVAL, 9, 4, NP_ESTOP);     /* a full batch, while one of its partitions is fed */
}

/* A generation is missed while a transaction is at work: it must not be proven by the new membership. */
static void a_transaction_begun_before_a_missed_generation_is_not_committed_after_it(void **state)
{
    struct np_pipeline *pipeline = pipeline_of(text);
    struct fake_broker *expected = undisturbed(60), *fake = fake_new();
    struct np_error err;

    (void)state;
    fake_fill(fake, 0, 60);
    fake->jump_at_flush = 1;
    assert_int_equal(fake_run(fake, pipeline, &err), NP_OK);
    assert_int_equal(fake->generation, 3);
    assert_int_equal(fake->stale, 0);
    assert_same(fake, expected, "missed generation during a transaction");
    fake_free(fake);
    fake_free(expected);
    np_pipeline_free(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_committed_at_the_stop),
        cmocka_unit_test(a_stopped_worker_goes_on_where_it_was),
        cmocka_unit_test(a_transaction_that_must_be_aborted_is_sent_again),
        cmocka_unit_test(a_refused_generation_waits_for_the_next_and_sends_again),
        cmocka_unit_test(after_a_missed_generation_everything_is_recovered),
        cmocka_unit_test(a_commit_of_unknown_outcome_that_failed_is_sent_again),
        cmocka_unit_test(a_commit_of_unknown_outcome_that_went_through_is_not_sent_again),
        cmocka_unit_test(a_state_that_must_not_be_passed_over_stops_the_worker),
        cmocka_unit_test(expired_offsets_are_taken_from_the_state),
        cmocka_unit_test(state_that_does_not_fit_yet_is_read_again),
        cmocka_unit_test(a_new_pipeline_text_takes_over_and_the_old_one_is_refused),
        cmocka_unit_test(a_new_step_does_not_keep_the_others_from_going_on),
        cmocka_unit_test(a_message_that_cannot_be_decoded_yet_is_not_passed_over),
        cmocka_unit_test(results_that_could_not_be_computed_are_not_passed_over),
        cmocka_unit_test(a_transaction_begun_before_a_missed_generation_is_not_committed_after_it),
    };

    np_log_setup(getenv("NP_TEST_LOG") ? NP_LOG_INFO : NP_LOG_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
