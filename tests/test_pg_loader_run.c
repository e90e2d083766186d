/* The running loader over a source that is an array. */
#include "pg_loader_fixture.h"

#include <pthread.h>

#include "sinks/loader_run.h"

enum { LOG = 60000, GAP = 7, MARKERS = 3 };

/* One partition of "grid.levels": messages at offsets with gaps, markers behind the last. */
struct fake_source {
    struct np_source source;
    struct np_source_events events;
    bool assigned, held, told;
    _Atomic bool revoke; /* the test asks, the loader's thread answers */
    int64_t position; /* next offset to hand out */
    int starts;
    struct made *rows; /* [LOG] by offset */
};

static struct fake_source *the_source; /* the loader opens it itself; the tests look at it here */

static bool is_record(int64_t offset)
{
    return offset < LOG - MARKERS && offset % GAP != 0;
}

static enum np_status fake_poll(struct np_source *source, struct np_delivery *out, size_t capacity, size_t *n,
                                int timeout_ms, struct np_error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    const struct np_place place = {0, 0};

    (void)err;
    *n = 0;
    if (!fake->assigned) {
        fake->assigned = fake->held = true;
        fake->events.assigned(fake->events.context, NULL, &place, 1);
    } else if (fake->revoke) {
        fake->revoke = fake->assigned = false;
        fake->events.revoked(fake->events.context, NULL, &place, 1);
        return NP_OK;
    }
    while (!fake->held && *n < capacity && fake->position < LOG) {
        if (is_record(fake->position))
            out[(*n)++] =
                (struct np_delivery){.place = place, .offset = fake->position, .bytes = 300, .native = fake};
        fake->position++;
    }
    /* told while the messages before it are still on their way out of this very call, as the real one does */
    if (!fake->held && fake->position == LOG && !fake->told) {
        fake->told = true;
        fake->events.ended(fake->events.context, place, LOG);
    }
    if (*n == 0)
        usleep((useconds_t)(timeout_ms < 10 ? timeout_ms : 10) * 1000);
    return NP_OK;
}

static void fake_view(struct np_source *source, const struct np_delivery *delivery, struct np_message *out)
{
    struct fake_source *fake = (struct fake_source *)source;

    fake->rows[delivery->offset] = made_row("levels", delivery->offset);
    *out = message_of(&fake->rows[delivery->offset], "grid.levels", delivery->offset);
}

static void fake_release(struct np_source *source, const struct np_delivery *delivery)
{
    (void)source;
    (void)delivery;
}

static void fake_hold(struct np_source *source, struct np_place place)
{
    (void)place;
    ((struct fake_source *)source)->held = true;
}

static enum np_status fake_start(struct np_source *source, struct np_place place, int64_t offset,
                                 struct np_error *err)
{
    struct fake_source *fake = (struct fake_source *)source;

    (void)place;
    (void)err;
    fake->held = fake->told = false;
    fake->position = offset;
    fake->starts++;
    return NP_OK;
}

static int64_t fake_end(struct np_source *source, struct np_place place)
{
    (void)source;
    (void)place;
    return LOG;
}

static enum np_status fake_leave(struct np_source *source, struct np_error *err)
{
    (void)source;
    (void)err;
    return NP_OK;
}

static enum np_status fake_look(struct np_source *source, struct np_place place, struct np_log_facts *facts,
                                struct np_error *err)
{
    (void)source;
    (void)place;
    (void)err;
    *facts = (struct np_log_facts){0, LOG, {1, 2, 3}};
    return NP_OK;
}

static void fake_close(struct np_source *source)
{
    (void)source; /* the test's */
}

static enum np_status open_fake_source(struct np_source **out, const struct np_pipeline *pipeline,
                                       const char *group, const char *const *topics, size_t n_topics,
                                       const struct np_source_events *events, struct np_error *err)
{
    (void)pipeline;
    (void)err;
    assert_string_equal(group, "feeder.loader");
    assert_string_equal(topics[0], "grid.levels");
    assert_int_equal(n_topics, 2);
    the_source->source = (struct np_source){.poll = fake_poll,
                                            .view = fake_view,
                                            .release = fake_release,
                                            .hold = fake_hold,
                                            .start = fake_start,
                                            .end = fake_end,
                                            .leave = fake_leave,
                                            .look = fake_look,
                                            .close = fake_close};
    the_source->events = *events;
    *out = &the_source->source;
    return NP_OK;
}

static struct np_beat run_beat;
static const struct np_loader_deps run_deps = {.beat = &run_beat,
                                               .open_row_decoder = open_fake_rows,
                                               .open_decoder = open_fake_blocks,
                                               .open_source = open_fake_source,
                                               .now_ns = fake_now};

struct job {
    struct world *w;
    atomic_bool stop, ready;
    struct np_error err;
    enum np_status status;
};

static void *run_job(void *context)
{
    struct job *job = context;

    job->status = np_loader_run(&job->w->pipeline, &run_deps, &job->stop, &job->ready, NULL, &job->err);
    return NULL;
}

static const char *cut_text(struct world *w)
{
    if (!value(w, "SELECT to_regclass('%s.cuts')", w->schema)[0])
        return "";
    return value(w, "SELECT cut FROM %s.cuts WHERE topic = 'grid.levels'", w->schema);
}

/* Runs the loader until the cut is behind everything; disturb is called again and again meanwhile. */
static void run_to_end(struct world *w, void (*disturb)(struct world *w, int round))
{
    struct job job = {.w = w};
    pthread_t thread;
    int round = 0;

    the_source = calloc(1, sizeof *the_source);
    assert_non_null(the_source);
    the_source->rows = calloc(LOG, sizeof *the_source->rows);
    assert_non_null(the_source->rows);
    w->pipeline.run.commit_ns = 50000000;
    w->pipeline.run.memory = 256 << 20;
    assert_int_equal(pthread_create(&thread, NULL, run_job, &job), 0);
    for (; round < 600 && strcmp(cut_text(w), "60000") != 0; round++) {
        if (disturb)
            disturb(w, round);
        usleep(50000);
    }
    if (!disturb)
        assert_true(atomic_load(&job.ready));
    atomic_store(&job.stop, true);
    pthread_join(thread, NULL);
    if (job.status != NP_OK)
        fail_msg("%s: %s", np_status_name(job.status), job.err.text);
    print_message("rounds %d, starts %d\n", round, the_source->starts);
    free(the_source->rows);
    free(the_source);
}

static void assert_all_there(struct world *w)
{
    int64_t n = 0;
    char expected[100];

    for (int64_t offset = 0; offset < LOG; offset++)
        n += is_record(offset);
    snprintf(expected, sizeof expected, "60000 %lld %lld 0", (long long)n, (long long)n);
    assert_string_equal(
        value(w,
              "SELECT (SELECT cut FROM %s.cuts WHERE topic = 'grid.levels') || ' ' || count(*) || ' ' || "
              "count(DISTINCT source_offset) || ' ' || count(*) FILTER (WHERE n <> source_offset) FROM "
              "%s.levels_data",
              w->schema, w->schema),
        expected);
}

static void a_log_with_gaps_and_markers_is_loaded_to_its_very_end(void **state)
{
    struct world *w = world_of(state);

    run_to_end(w, NULL);
    assert_all_there(w);
    assert_true(run_beat.at_ns > 0 && !run_beat.waits);
    assert_int_equal(
        atoi(value(w, "SELECT count(*) FROM pg_inherits WHERE inhparent = '%s.levels_data'::regclass",
                   w->schema)),
        3 + 1); /* those ahead of the clock, and the day of the log */
    assert_string_equal(value(w, "SELECT topic_id FROM %s.cuts WHERE topic = 'grid.levels'", w->schema),
                        "01020300000000000000000000000000");
}

/* Each time after some progress, so that the end is reached. */
static void cut_connection(struct world *w, int round)
{
    static int64_t last;
    int64_t cut = strtoll(cut_text(w), NULL, 10);

    if (round == 0)
        last = -1;
    if (cut > last)
        value(w, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = "
                 "'netzpuls loader'");
    last = cut;
}

static void a_connection_that_is_cut_again_and_again_delays_and_loses_nothing(void **state)
{
    struct world *w = world_of(state);

    run_to_end(w, cut_connection);
    assert_all_there(w);
}

static void move_partition(struct world *w, int round)
{
    (void)w;
    if (round % 3 == 1)
        the_source->revoke = true;
}

static void a_partition_that_comes_and_goes_is_loaded_once(void **state)
{
    struct world *w = world_of(state);

    run_to_end(w, move_partition);
    assert_all_there(w);
}

static struct np_pg *outside; /* connected to another database */

static void refuse_for_a_while(struct world *w, int round)
{
    struct np_error err;
    char text[200];

    if (round == 1 || round == 25) {
        snprintf(text, sizeof text, "ALTER DATABASE %s_away ALLOW_CONNECTIONS %s", w->schema,
                 round == 1 ? "false" : "true");
        check(np_pg_run(outside, text, &err), &err);
    }
    if (round >= 1 && round < 25)
        value(w, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE "
                 "'netzpuls %%'");
}

static void a_database_that_is_away_is_waited_for(void **state)
{
    struct world *w = world_of(state);
    char dsn[600];
    struct np_error err;

    /* of its own, since nobody can connect to it for a while; the test's eyes stay inside */
    sql(w, "CREATE DATABASE %s_away", w->schema);
    snprintf(dsn, sizeof dsn, "%s dbname=%s_away", getenv("NP_TEST_DSN"), w->schema);
    outside = w->look;
    check(np_pg_open(&w->look, dsn, "test", NULL, &err), &err);
    w->pipeline.postgres.dsn = dsn;
    run_to_end(w, refuse_for_a_while);
    assert_all_there(w);
    sql(w, "DROP SCHEMA %s CASCADE", w->schema);
    np_pg_close(w->look);
    w->look = outside;
    usleep(300000);
    sql(w, "DROP DATABASE %s_away WITH (FORCE)", w->schema);
}

static void a_wrong_password_ends_the_run_with_one_clear_error(void **state)
{
    struct world *w = world_of(state);
    struct job job = {.w = w};
    char dsn[600];

    snprintf(dsn, sizeof dsn, "%s password=wrong", getenv("NP_TEST_DSN"));
    w->pipeline.postgres.dsn = dsn;
    run_job(&job);
    assert_int_equal(job.status, NP_ECONFIG);
    assert_non_null(strstr(job.err.text, "password authentication failed"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
    const struct CMUnitTest tests[] = {
        T(a_log_with_gaps_and_markers_is_loaded_to_its_very_end),
        T(a_connection_that_is_cut_again_and_again_delays_and_loses_nothing),
        T(a_partition_that_comes_and_goes_is_loaded_once),
        T(a_database_that_is_away_is_waited_for),
        T(a_wrong_password_ends_the_run_with_one_clear_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
