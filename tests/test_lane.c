#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "tests/lane_fixture.h"

static const int64_t day0 = 1700000000 * SEC;

/* Blocks of 0.1 s at 1 kHz from three sensors and two channels, with gaps, duplicates and delays under the lateness. */
static size_t make_log(struct logged *log, size_t most, unsigned seed)
{
    static const char *const sensors[] = {"a", "b", "c"};
    size_t n = 0;

    srand(seed);
    for (int step = 0; step < 150; step++)
        for (int s = 0; s < 3; s++)
            for (int c = 0; c < 2; c++) {
                struct logged *m = &log[n];
                if (rand() % 20 == 0 || (s == 2 && step > 40 && step < 90))
                    continue;
                *m = (struct logged){.sensor = sensors[s], .channel = c, .t0_ns = day0 + step * 100 * MS + s * 123456,
                                     .rate_hz = 1000, .n = 100, .x = malloc(100 * sizeof(float))};
                for (int i = 0; i < 100; i++)
                    m->x[i] = (float)(rand() % 1000) / 97.0f;
                if (rand() % 30 == 0)
                    m->x[rand() % 100] = NAN;
                n++;
                assert_true(n < most);
            }
    return n;
}

static void shuffle_within(struct logged *log, size_t n, int64_t span_ns, unsigned seed)
{
    srand(seed);
    for (size_t k = 0; k < 20 * n; k++) {
        size_t i = (size_t)rand() % (n - 1);
        if (llabs(log[i].t0_ns - log[i + 1].t0_ns) < span_ns) {
            struct logged m = log[i];
            log[i] = log[i + 1];
            log[i + 1] = m;
        }
    }
}

static void steps_of_all_kinds(struct fixture *f)
{
    fixture_begin(f);
    f->input.idle_ns = 4 * SEC;
    f->pipeline.inputs = &f->input;
    fixture_step(f, "levels", &op_sum, -1, 0, 200 * MS, 200 * MS);
    fixture_step(f, "sliding", &op_sum, -1, 0, 500 * MS, 100 * MS);
    fixture_step(f, "exact", &op_exact, -1, 0, 250 * MS, 250 * MS);
    fixture_step(f, "raw", &op_total, -1, 0, 0, 0);
    fixture_step(f, "events", &op_total, 0, 1, 0, 0);
    fixture_step(f, "long", &op_sum, 0, 1, 1 * SEC, 1 * SEC);
    fixture_step(f, "after", &op_total, 5, 1, 0, 0);
}

struct run {
    struct fixture *f;
    struct np_lane *lane;
    struct np_task *task;
    struct text_output out;
    struct np_error err;
};

static void run_open(struct run *r, struct fixture *f)
{
    memset(r, 0, sizeof *r);
    r->f = f;
    r->out.output.record = text_record;
    assert_int_equal(np_lane_open(&r->lane, &f->pipeline, NULL, &r->err), NP_OK);
    assert_int_equal(np_lane_add(r->lane, 0, 0, &r->out.output, &r->task, &r->err), NP_OK);
}

static void run_close(struct run *r)
{
    np_lane_close(r->lane);
    np_bytes_free(&r->out.text);
}

static void run_log(struct run *r, const struct logged *log, size_t from, size_t to, size_t flush_every)
{
    for (size_t i = from; i < to; i++) {
        if (feed(r->task, (int64_t)i, &log[i], &r->err) != NP_OK)
            fail_msg("offset %zu: %s", i, r->err.text);
        if ((i + 1) % flush_every == 0)
            assert_int_equal(np_lane_flush(r->lane, &r->err), NP_OK);
    }
}

static void whole(struct run *r, struct fixture *f, const struct logged *log, size_t n, size_t flush_every)
{
    run_open(r, f);
    run_log(r, log, 0, n, flush_every);
    assert_int_equal(np_lane_finish(r->lane, &r->err), NP_OK);
}

static void same_text(const struct np_bytes *a, const struct np_bytes *b, const char *what)
{
    size_t i = 0;

    while (i < a->n && i < b->n && a->data[i] == b->data[i])
        i++;
    if (i == a->n && i == b->n)
        return;
    while (i && a->data[i - 1] != '\n')
        i--;
    fail_msg("%s: %zu and %zu bytes differ at %zu:\n%.200s\n---\n%.200s", what, a->n, b->n, i,
             i < a->n ? (char *)a->data + i : "(end)", i < b->n ? (char *)b->data + i : "(end)");
}

static void free_log(struct logged *log, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(log[i].x);
    free(log);
}

static void other_batch_sizes_and_flushes_give_the_same_bytes(void **state)
{
    struct logged *log = calloc(2000, sizeof *log);
    size_t n = make_log(log, 2000, 7);
    struct fixture f;
    struct run golden, r;

    (void)state;
    steps_of_all_kinds(&f);
    whole(&golden, &f, log, n, 1);
    assert_true(golden.out.n_records > 400);
    for (int rows = 1; rows <= 64; rows = rows * 3 + 1)
        for (size_t every = 1; every <= 1000; every = every * 7) {
            f.pipeline.run.batch_rows = rows;
            whole(&r, &f, log, n, every);
            same_text(&golden.out.text, &r.out.text, "batch rows or flush interval");
            run_close(&r);
        }
    run_close(&golden);
    free_log(log, n);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Records without their trigger and idle marks, sorted: what must not depend on the arrival order. */
static void sorted_lines(const struct np_bytes *text, struct np_bytes *out)
{
    char *copy = strndup((char *)text->data, text->n), *lines[20000];
    size_t n = 0;

    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"))
        lines[n++] = line;
    for (size_t i = 0; i < n; i++) {
        char *at = strstr(lines[i], " @"), *rest = strstr(lines[i], " n=");
        memmove(at, rest, strlen(rest) + 1);
    }
    qsort(lines, n, sizeof *lines, by_line);
    for (size_t i = 0; i < n; i++) {
        np_bytes_append(out, lines[i], strlen(lines[i]));
        np_bytes_append(out, "\n", 1);
    }
    free(copy);
}

static void shuffled_and_duplicated_blocks_give_the_results_of_the_ordered_log(void **state)
{
    struct logged *log = calloc(4000, sizeof *log);
    size_t n = make_log(log, 2000, 11), n_all = n;
    struct fixture f;
    struct run golden, r;
    struct np_bytes a = {0}, b = {0};

    (void)state;
    steps_of_all_kinds(&f);
    f.input.idle_ns = 0;
    whole(&golden, &f, log, n, 1);
    for (size_t i = 0; i < n; i += 9) {          /* duplicates */
        log[n_all] = log[i];
        log[n_all].x = malloc(log[i].n * sizeof(float));
        memcpy(log[n_all++].x, log[i].x, log[i].n * sizeof(float));
    }
    for (size_t i = n_all - 1; i > 0; i--)       /* to their place, then everything within the lateness */
        for (size_t k = i; k > 0 && log[k].t0_ns < log[k - 1].t0_ns - 500 * MS; k--) {
            struct logged m = log[k];
            log[k] = log[k - 1];
            log[k - 1] = m;
        }
    for (size_t i = 1; i < n_all; i++)
        for (size_t k = i; k > 0 && log[k].t0_ns < log[k - 1].t0_ns; k--) {
            struct logged m = log[k];
            log[k] = log[k - 1];
            log[k - 1] = m;
        }
    shuffle_within(log, n_all, 900 * MS, 3);
    whole(&r, &f, log, n_all, 13);
    assert_int_equal(np_task_counts(r.task).late, 0);
    assert_true(np_task_counts(r.task).duplicate > 1000);
    sorted_lines(&golden.out.text, &a);
    sorted_lines(&r.out.text, &b);
    same_text(&a, &b, "shuffled");
    np_bytes_free(&a);
    np_bytes_free(&b);
    run_close(&r);
    run_close(&golden);
    free_log(log, n_all);
}

struct entries {
    size_t n;
    struct {
        char key[64];
        size_t key_length;
        unsigned char value[16];
        size_t value_length;
        int64_t cut;
    } items[4000];
    int64_t cut;
};

static enum np_status note_entry(void *context, const char *key, size_t key_length, const void *value,
                                 size_t value_length)
{
    struct entries *e = context;

    memcpy(e->items[e->n].key, key, key_length);
    memcpy(e->items[e->n].value, value, value_length);
    e->items[e->n].key_length = key_length;
    e->items[e->n].value_length = value_length;
    e->items[e->n++].cut = e->cut;
    return NP_OK;
}

/* Runs to cut with a snapshot at x, dies, recovers as PROTOCOL.md says, runs on: the records must be those of one run. */
static void recovered_at(struct fixture *f, const struct logged *log, size_t n, size_t x, size_t cut,
                         const struct np_bytes *golden)
{
    static struct entries entries;
    struct np_bytes snapshot = {0};
    struct run before, after;
    uint64_t digest;
    int64_t resume;

    entries.n = 0;
    run_open(&before, f);
    run_log(&before, log, 0, x, 17);
    np_lane_flush(before.lane, &before.err);
    entries.cut = (int64_t)x;
    np_task_decisions(before.task, note_entry, &entries);
    assert_int_equal(np_task_snapshot(before.task, &snapshot), NP_OK);
    resume = np_task_resume(before.task, (int64_t)x);
    run_log(&before, log, x, cut, 5);
    np_lane_flush(before.lane, &before.err);
    entries.cut = (int64_t)cut;
    np_task_decisions(before.task, note_entry, &entries);
    digest = np_task_digest(before.task);

    run_open(&after, f);
    if (np_task_restore(after.task, snapshot.data, snapshot.n, &after.err) != NP_OK)
        fail_msg("%s", after.err.text);
    np_task_set_mode(after.task, NP_REFILL);
    run_log(&after, log, (size_t)resume, x, 1000);
    if (np_task_verify(after.task, &after.err) != NP_OK)
        fail_msg("x=%zu resume=%lld: %s", x, (long long)resume, after.err.text);
    np_task_set_mode(after.task, NP_SUPPRESS);
    run_log(&after, log, x, cut, 23);
    np_lane_flush(after.lane, &after.err);
    for (size_t i = 0; i < entries.n; i++)
        if (entries.items[i].cut > (int64_t)x)
            np_task_decision_set(after.task, entries.items[i].key, entries.items[i].key_length, entries.items[i].value,
                                 entries.items[i].value_length, &after.err);
    np_task_set_mode(after.task, NP_EMIT);
    assert_int_equal(np_task_digest(after.task), digest);
    assert_int_equal(after.out.text.n, 0);
    run_log(&after, log, cut, n, 11);
    np_lane_finish(after.lane, &after.err);
    np_bytes_append(&before.out.text, after.out.text.data, after.out.text.n);
    same_text(golden, &before.out.text, "recovered");
    np_bytes_free(&snapshot);
    run_close(&before);
    run_close(&after);
}

static void a_recovered_task_continues_as_if_nothing_had_happened(void **state)
{
    struct logged *log = calloc(2000, sizeof *log);
    size_t n = make_log(log, 2000, 5);
    struct fixture f;
    struct run golden;

    (void)state;
    steps_of_all_kinds(&f);
    shuffle_within(log, n, 900 * MS, 4);
    whole(&golden, &f, log, n, 1);
    srand(99);
    for (int i = 0; i < 60; i++) {
        size_t x = (size_t)rand() % n, cut = x + (size_t)rand() % (n - x);
        recovered_at(&f, log, n, x, cut, &golden.out.text);
    }
    recovered_at(&f, log, n, 0, 0, &golden.out.text);
    recovered_at(&f, log, n, n, n, &golden.out.text);
    run_close(&golden);
    free_log(log, n);
}

static void drift_of_100_ppm_over_a_day_invents_no_gap_and_loses_no_sample(void **state)
{
    static const double drifts[] = {100e-6, -100e-6, 0};

    (void)state;
    for (size_t d = 0; d < 3; d++) {
        struct fixture f;
        struct run r;
        float x[50] = {0};
        double period_ns = 20e6 * (1 + drifts[d]);      /* 50 Hz nominal */
        int64_t sent = 0, counted = 0, exact = 0, lines = 0;

        for (int i = 0; i < 50; i++)
            x[i] = 1;
        fixture_begin(&f);
        f.input.lateness_ns = 0;
        fixture_step(&f, "levels", &op_sum, -1, 0, 10 * SEC, 10 * SEC);
        fixture_step(&f, "exact", &op_exact, -1, 0, 10 * SEC, 10 * SEC);
        run_open(&r, &f);
        for (int b = 0; b < 86400; b++) {
            struct logged m = {.sensor = "a", .t0_ns = day0 + llround(sent * period_ns), .rate_hz = 50, .n = 50, .x = x};
            assert_int_equal(feed(r.task, b, &m, &r.err), NP_OK);
            sent += 50;
        }
        np_lane_finish(r.lane, &r.err);
        assert_int_equal(np_bytes_append(&r.out.text, "", 1), 0);
        for (char *line = strtok((char *)r.out.text.data, "\n"); line; line = strtok(NULL, "\n")) {
            long long n = atoll(strstr(line, " n=") + 3);
            bool last = strstr(line, "flags=4") || strstr(line, "flags=5");
            if (line[0] == 'l')
                counted += n;
            else if (!last)
                exact += n == 500;
            if (!last && !strstr(line, "cov=1.000000 flags=0"))
                fail_msg("drift %g: %s", drifts[d], line);
            lines += line[0] == 'e' && !last;
        }
        assert_int_equal(counted, sent);
        assert_int_equal(np_task_counts(r.task).gap > 1000, 0);   /* only the last, partial window */
        assert_int_equal(exact, lines);
        assert_true(lines > 8000);
        run_close(&r);
    }
}

static void missing_samples_are_told_in_coverage_and_flags(void **state)
{
    struct fixture f;
    struct run r;
    float x[1200];

    (void)state;
    for (int i = 0; i < 1200; i++)
        x[i] = 1;
    x[150] = NAN;
    x[199] = 3;
    fixture_begin(&f);
    f.input.lateness_ns = 0;
    fixture_step(&f, "levels", &op_sum, -1, 0, 1 * SEC, 1 * SEC);
    fixture_step(&f, "exact", &op_exact, -1, 0, 1 * SEC, 1 * SEC);
    run_open(&r, &f);
    feed(r.task, 0, &(struct logged){"a", 0, day0, 1000, 100, x}, &r.err);             /* 100 .. 399 missing */
    feed(r.task, 1, &(struct logged){"a", 0, day0 + 400 * MS, 1000, 600, x}, &r.err);  /* one NaN */
    feed(r.task, 2, &(struct logged){"a", 0, day0 + 3 * SEC, 1000, 1000, x + 200}, &r.err);
    np_lane_flush(r.lane, &r.err);
    assert_int_equal(np_bytes_append(&r.out.text, "", 1), 0);
    assert_string_equal(strtok((char *)r.out.text.data, "\n"),
                        "levels a/U1 1700000000000000..1700000001000000 cov=0.699000 flags=1 @2 n=700 sum=701");
    assert_string_equal(strtok(NULL, "\n"), "exact a/U1 1700000000000000..1700000001000000 cov=0.699000 flags=1 @2 "
                                            "n=-9223372036854775808 sum=nan");
    r.out.text.n = 0;
    run_close(&r);
}

static void a_late_block_changes_nothing_and_is_counted(void **state)
{
    struct fixture f;
    struct run r;
    float x[1000] = {0};
    struct np_error err;
    struct np_block block = {.sensor = "a", .channel = "U1", .t0_ns = day0, .rate_hz = 1000, .n = 1000, .x = x};
    struct np_blocks blocks = {.n = 1, .items = &block};
    uint32_t late;

    (void)state;
    fixture_begin(&f);
    fixture_step(&f, "levels", &op_sum, -1, 0, 1 * SEC, 1 * SEC);
    run_open(&r, &f);
    for (int i = 0; i < 10; i++, block.t0_ns += SEC)
        np_task_feed(r.task, i, &blocks, &late, &err);
    block.t0_ns = day0 + 7500 * MS;              /* closed up to 7 s: none of it is late */
    np_task_feed(r.task, 10, &blocks, &late, &err);
    assert_int_equal(late, 0);
    block.t0_ns = day0 + 6500 * MS;              /* half of it is */
    np_task_feed(r.task, 11, &blocks, &late, &err);
    assert_int_equal(late, 500);
    block.t0_ns = day0 + 3 * SEC;
    np_task_feed(r.task, 12, &blocks, &late, &err);
    assert_int_equal(late, 1000);
    assert_int_equal(np_task_counts(r.task).late, 1500);
    run_close(&r);
}

static void a_silent_stream_is_closed_by_the_event_time_of_its_partition(void **state)
{
    struct fixture f;
    struct run r;
    float x[1000] = {0};

    (void)state;
    fixture_begin(&f);
    f.input.idle_ns = 5 * SEC;
    fixture_step(&f, "levels", &op_sum, -1, 0, 2 * SEC, 2 * SEC);
    fixture_step(&f, "events", &op_total, 0, 1, 0, 0);
    run_open(&r, &f);
    feed(r.task, 0, &(struct logged){"a", 0, day0, 1000, 1000, x}, &r.err);
    for (int i = 0; i < 8; i++)
        feed(r.task, 1 + i, &(struct logged){"b", 0, day0 + i * SEC, 1000, 1000, x}, &r.err);
    np_lane_flush(r.lane, &r.err);
    np_bytes_append(&r.out.text, "", 1);
    assert_non_null(strstr((char *)r.out.text.data, "levels a/U1 1700000000000000..1700000002000000 cov=0.500000 flags=5"));
    assert_non_null(strstr((char *)r.out.text.data, "events a/U1 1700000000999000..1700000005999002"));
    run_close(&r);
}

/* One reading a second, each at the start of its window: the last one's record is as old as the silence. */
static void the_last_value_reaches_a_chained_step_before_the_silence_does(void **state)
{
    struct fixture f;
    struct run r;
    float x[1] = {1};

    (void)state;
    fixture_begin(&f);
    f.input.lateness_ns = 0;
    f.input.idle_ns = 5 * SEC;
    fixture_step(&f, "levels", &op_sum, -1, 0, 1 * SEC, 1 * SEC);
    fixture_step(&f, "long", &op_sum, 0, 1, 10 * SEC, 10 * SEC);
    run_open(&r, &f);
    for (int i = 0; i < 4; i++)
        feed(r.task, i, &(struct logged){"a", 0, day0 + i * SEC, 0, 1, x}, &r.err);
    feed(r.task, 4, &(struct logged){"b", 0, day0 + 20 * SEC, 0, 1, x}, &r.err);
    np_lane_flush(r.lane, &r.err);
    np_bytes_append(&r.out.text, "", 1);
    if (!strstr((char *)r.out.text.data, "@4 n=4 sum=4\n"))
        fail_msg("the long window of a does not hold its four values:\n%s", (char *)r.out.text.data);
    run_close(&r);
}

/* A message's times may be one and a rate, or one for each sample: from one sensor, both may come. */
static void readings_and_waveforms_of_one_stream_are_all_taken(void **state)
{
    struct logged *log = calloc(400, sizeof *log);
    struct fixture f;
    struct run r;
    size_t n = 0;

    (void)state;
    fixture_begin(&f);
    fixture_step(&f, "levels", &op_sum, -1, 0, 1 * SEC, 1 * SEC);
    fixture_step(&f, "raw", &op_total, -1, 0, 0, 0);
    for (int s = 0; s < 60; s++)
        for (int c = 0; c < 2; c++) {            /* channel 0 begins with a waveform, channel 1 with readings */
            bool wave = (s / 3 + c) % 2 == 0;
            for (int k = 0; k < (wave ? 1 : 4); k++) {
                struct logged *m = &log[n++];
                *m = (struct logged){.channel = c, .sensor = "a", .rate_hz = wave ? 4 : 0, .n = wave ? 4 : 1,
                                     .t0_ns = day0 + s * SEC + k * 250 * MS, .x = malloc(4 * sizeof(float))};
                if (s % 20 == 19)
                    m->t0_ns -= 2300 * MS;       /* partly late */
                for (int i = 0; i < 4; i++)
                    m->x[i] = 100;
            }
        }
    whole(&r, &f, log, n, 1);
    assert_true(np_task_counts(r.task).windows > 100);
    for (size_t x = 0; x < n; x++)
        recovered_at(&f, log, n, x, x + (n - x) / 3, &r.out.text);
    np_bytes_append(&r.out.text, "", 1);
    for (int s = 1; s < 16; s++)
        for (int c = 0; c < 2; c++) {
            char line[80];
            snprintf(line, sizeof line, "levels a/U%d %lld..%lld cov=1.000000", c + 1, (long long)(day0 + s * SEC) / 1000,
                     (long long)(day0 + (s + 1) * SEC) / 1000);
            if (!strstr((char *)r.out.text.data, line))
                fail_msg("no record %s in\n%.3000s", line, (char *)r.out.text.data);
        }
    run_close(&r);
    free_log(log, n);
}

/* The year 2118 was enough for a loop without an end. */
static void a_time_that_leaves_no_room_to_calculate_is_refused(void **state)
{
    static const int64_t times[] = {INT64_MIN + 1, -2300000000 * SEC, 4200000000 * SEC, 4700000000 * SEC, INT64_MAX - 1};
    struct fixture f;
    struct run r;
    float x[1] = {1};

    (void)state;
    fixture_begin(&f);
    fixture_step(&f, "levels", &op_sum, -1, 0, 1 * SEC, 1 * SEC);
    run_open(&r, &f);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        for (int rate = 0; rate < 2; rate++)
            if (feed(r.task, 0, &(struct logged){"a", 0, times[i], rate, 1, x}, &r.err) != NP_EDATA)
                fail_msg("time %lld at %d Hz was taken", (long long)times[i], rate);
    assert_int_equal(feed(r.task, 0, &(struct logged){"a", 0, day0, 1e-9, 5, (float[5]){0}}, &r.err), NP_EDATA);
    assert_int_equal(feed(r.task, 0, &(struct logged){"a", 0, day0, 1, 1, x}, &r.err), NP_OK);
    run_close(&r);
}

static enum np_status broken_run(void *plan, const struct np_batch_rows *in, struct np_value *out)
{
    (void)plan, (void)in, (void)out;
    return NP_ENOMEM;
}

/* Their values are gone with the flush. */
static void records_of_a_flush_that_failed_are_not_handed_out_by_the_next(void **state)
{
    struct np_operator broken = op_sum;
    struct fixture f;
    struct run r;
    float x[100] = {0};

    (void)state;
    fixture_begin(&f);
    broken.run = broken_run;
    f.input.lateness_ns = 0;
    f.pipeline.run.batch_rows = 1;
    fixture_step(&f, "levels", &op_sum, -1, 0, 100 * MS, 100 * MS);
    fixture_step(&f, "broken", &broken, -1, 0, 200 * MS, 200 * MS);
    run_open(&r, &f);
    for (int i = 0; i < 3; i++)
        feed(r.task, i, &(struct logged){"a", 0, day0 + i * 100 * MS, 1000, 100, x}, &r.err);
    assert_int_equal(np_lane_flush(r.lane, &r.err), NP_ENOMEM);
    np_lane_flush(r.lane, &r.err);
    assert_int_equal(r.out.n_records, 1);        /* the one that still waited in its batch */
    run_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_a_flush_that_failed_are_not_handed_out_by_the_next),
        cmocka_unit_test(a_time_that_leaves_no_room_to_calculate_is_refused),
        cmocka_unit_test(readings_and_waveforms_of_one_stream_are_all_taken),
        cmocka_unit_test(the_last_value_reaches_a_chained_step_before_the_silence_does),
        cmocka_unit_test(other_batch_sizes_and_flushes_give_the_same_bytes),
        cmocka_unit_test(shuffled_and_duplicated_blocks_give_the_results_of_the_ordered_log),
        cmocka_unit_test(a_recovered_task_continues_as_if_nothing_had_happened),
        cmocka_unit_test(drift_of_100_ppm_over_a_day_invents_no_gap_and_loses_no_sample),
        cmocka_unit_test(missing_samples_are_told_in_coverage_and_flags),
        cmocka_unit_test(a_late_block_changes_nothing_and_is_counted),
        cmocka_unit_test(a_silent_stream_is_closed_by_the_event_time_of_its_partition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
