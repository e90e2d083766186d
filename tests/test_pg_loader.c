#include "pg_loader_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static const struct np_source_state fresh = {"id-1", 0, 1000000};

static struct np_loader *loader_open(struct world *w)
{
    struct np_loader *loader;
    struct np_error err;

    check(np_loader_open(&loader, &w->pipeline, &fake_deps, NULL, &err), &err);
    return loader;
}

/** Loads rows [cut, to) of a log whose message at offset o is row o of step "levels". @return the status of
 * the write */
static enum np_status load_log(struct np_loader *loader, int64_t to, int64_t batch, struct np_error *err)
{
    struct made *rows = calloc((size_t)batch, sizeof *rows);
    struct np_message *messages = calloc((size_t)batch, sizeof *messages);
    int64_t cut;
    enum np_status status = np_loader_cut(loader, "grid.levels", 0, &fresh, &cut, err);

    while (status == NP_OK && cut < to) {
        int64_t n = to - cut < batch ? to - cut : batch;

        for (int64_t i = 0; i < n; i++) {
            rows[i] = made_row("levels", cut + i);
            messages[i] = message_of(&rows[i], "grid.levels", cut + i);
        }
        status = np_loader_write(loader, "grid.levels", 0, messages, (size_t)n, cut + n, err);
        cut += n;
    }
    free(rows);
    free(messages);
    return status;
}

/** All rows 0 .. n-1 once, and the cut behind them. */
static void assert_log_loaded(struct world *w, int64_t n)
{
    char expected[100];

    snprintf(expected, sizeof expected, "%lld %lld %lld 0 %lld", (long long)n, (long long)n, (long long)n,
             (long long)n - 1);
    assert_string_equal(
        value(w,
              "SELECT (SELECT cut FROM %s.cuts WHERE topic = 'grid.levels') || ' ' || count(*) || ' ' || "
              "count(DISTINCT source_offset) || ' ' || min(source_offset) || ' ' || max(source_offset) FROM "
              "%s.levels_data",
              w->schema, w->schema),
        expected);
    assert_string_equal(
        value(w,
              "SELECT count(*) FROM %s.levels WHERE n IS NULL OR rms <> 230 + 0.25 * n OR sensor <> "
              "(ARRAY['meter 1', 'meter \"2\"', 'Zähler\\3'])[n %% 3 + 1]",
              w->schema),
        "0");
}

static void every_value_arrives_as_it_was_and_times_are_floored_to_microseconds(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    const float line[] = {1.5f, -2.25f, NAN};
    struct made rows[3] = {made_row("levels", 0), made_row("levels", 1), made_row("levels", 2)};
    struct np_message messages[3];
    struct np_error err;
    int64_t cut;

    rows[0].start = START + 1999;
    rows[0].end = START + 200000999;
    rows[0].at = START - 1;
    rows[0].note = "it's ü";
    rows[0].x = line;
    rows[0].n_x = 3;
    rows[0].flags = NP_FLAG_GAP | NP_FLAG_WARM_UP;
    rows[0].coverage = 0.5;
    rows[1].rms = NAN;
    rows[1].n = NP_NULL_LONG;
    rows[1].x = line;
    rows[2].rms = -INFINITY;
    for (int i = 0; i < 3; i++)
        messages[i] = message_of(&rows[i], "grid.levels", i);
    check(np_loader_cut(loader, "grid.levels", 0, &fresh, &cut, &err), &err);
    check(np_loader_write(loader, "grid.levels", 0, messages, 3, 3, &err), &err);
    assert_string_equal(
        value(w,
              "SELECT sensor || '|' || channel || '|' || start_time || '|' || end_time || '|' || coverage || "
              "'|' || flags::text || '|' || rms || '|' || peak || '|' || n || '|' || at || '|' || note || "
              "'|' || line::text FROM %s.levels WHERE n = 0",
              w->schema),
        "meter 1|U2|2025-11-24 16:00:00.000001+00|2025-11-24 "
        "16:00:00.2+00|0.5|{gap,warm_up}|230|345|0|2025-11-24 15:59:59.999999+00|it's ü|{1.5,-2.25,NaN}");
    assert_string_equal(
        value(
            w,
            "SELECT flags::text || ',' || (rms IS NULL) || (peak IS NULL) || (n IS NULL) || (at IS NULL) || "
            "(note IS NULL) || line::text FROM %s.levels WHERE sensor = 'meter \"2\"'",
            w->schema),
        "{},truetruetruetruetrue{}");
    assert_string_equal(value(w, "SELECT rms::text FROM %s.levels WHERE n = 2", w->schema), "-Infinity");
    assert_string_equal(value(w,
                              "SELECT t.name || d.source_partition || d.source_offset FROM %s.levels_data d "
                              "JOIN %s.topics t ON t.id = d.source_topic WHERE d.n = 2",
                              w->schema, w->schema),
                        "grid.levels02");
    np_loader_close(loader);
}

static void rows_and_cut_move_together_and_a_restart_goes_on(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_error err;
    int64_t cut;

    check(load_log(loader, 2500, 1000, &err), &err);
    assert_log_loaded(w, 2500);
    np_loader_close(loader);
    loader = loader_open(w);
    check(load_log(loader, 4000, 700, &err), &err);
    assert_log_loaded(w, 4000);
    /* a cut may also pass what brings no row: markers, gaps */
    check(np_loader_write(loader, "grid.levels", 0, NULL, 0, 4010, &err), &err);
    check(np_loader_cut(loader, "grid.levels", 0, &fresh, &cut, &err), &err);
    assert_int_equal(cut, 4010);
    np_loader_close(loader);
}

static void steps_that_share_a_topic_fill_their_own_tables(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct made rows[3] = {made_row("levels", 0), made_row("alerts", 1), made_row("of_no_table", 2)};
    struct np_message messages[3];
    struct np_error err;
    int64_t cut;

    for (int i = 0; i < 3; i++)
        messages[i] = message_of(&rows[i], "grid.levels", i);
    check(np_loader_cut(loader, "grid.levels", 0, &fresh, &cut, &err), &err);
    check(np_loader_write(loader, "grid.levels", 0, messages, 3, 3, &err), &err);
    assert_string_equal(
        value(w,
              "SELECT (SELECT string_agg(n::text, ',') FROM %s.levels) || ' ' || (SELECT string_agg(n::text, "
              "',') FROM %s.alerts) || ' ' || (SELECT count(*) FROM %s.rejected_rows)",
              w->schema, w->schema, w->schema),
        "0 1 0");
    assert_string_equal(np_loader_topics(loader)[0], "grid.levels");
    assert_string_equal(np_loader_topics(loader)[1], "grid.waves");
    assert_null(np_loader_topics(loader)[2]);
    np_loader_close(loader);
}

static void what_cannot_be_loaded_is_rejected_with_its_origin_and_the_rest_goes_on(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct made rows[8];
    struct np_message messages[8];
    struct np_error err;
    int64_t cut;

    for (int i = 0; i < 8; i++) {
        rows[i] = made_row("levels", i);
        messages[i] = message_of(&rows[i], "grid.levels", i);
    }
    rows[1].sensor = "no \xc3( utf-8";
    rows[2].start = START + 400 * DAY;
    rows[3].start = -1;
    rows[4].note = "\xff";
    messages[5].value = "?";
    messages[5].value_length = 1;
    rows[6].sensor = "";
    check(np_loader_cut(loader, "grid.levels", 0, &fresh, &cut, &err), &err);
    check(np_loader_write(loader, "grid.levels", 0, messages, 8, 8, &err), &err);
    assert_string_equal(value(w, "SELECT string_agg(n::text, ',' ORDER BY n) FROM %s.levels", w->schema),
                        "0,7");
    assert_string_equal(value(w,
                              "SELECT string_agg(source_offset || ':' || coalesce(table_name, '-') || ':' || "
                              "reason, E'\\n' ORDER BY source_offset) FROM %s.rejected_rows",
                              w->schema),
                        "1:levels:the sensor's name is not UTF-8, or longer than 1024 bytes\n"
                        "2:levels:start_time lies before 1970 or more than a year ahead\n"
                        "3:levels:start_time lies before 1970 or more than a year ahead\n"
                        "4:levels:a text is not UTF-8\n"
                        "5:-:a message of 1 bytes\n"
                        "6:levels:the sensor has no name");
    assert_string_equal(value(w,
                              "SELECT pipeline || topic || partition || convert_from(raw_key, 'UTF8') || "
                              "convert_from(raw_value, 'UTF8') FROM %s.rejected_rows WHERE source_offset = 5",
                              w->schema),
                        "feedergrid.levels0key?");
    np_loader_close(loader);
}

static void a_row_that_the_server_refuses_is_found_and_does_not_stop_its_batch(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_error err;

    check(load_log(loader, 100, 100, &err), &err);
    sql(w, "ALTER TABLE %s.levels_data ADD CONSTRAINT of_the_user CHECK (n NOT IN (333, 334, 1099))",
        w->schema);
    check(load_log(loader, 1100, 1000, &err), &err);
    assert_string_equal(
        value(w, "SELECT count(*) || ' ' || count(DISTINCT n) || ' ' || max(n) FROM %s.levels", w->schema),
        "1097 1097 1098");
    assert_string_equal(value(w,
                              "SELECT string_agg(source_offset::text, ',' ORDER BY source_offset) || ' ' || "
                              "bool_and(reason LIKE '%%of_the_user%%') FROM %s.rejected_rows",
                              w->schema),
                        "333,334,1099 true");
    assert_string_equal(value(w, "SELECT cut FROM %s.cuts WHERE topic = 'grid.levels'", w->schema), "1100");
    np_loader_close(loader);
}

static void a_partition_that_was_dropped_meanwhile_is_made_again(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_error err;

    check(load_log(loader, 10, 10, &err), &err);
    sql(w, "DROP TABLE %s.levels_data_p20251124", w->schema);
    check(load_log(loader, 20, 10, &err), &err);
    assert_string_equal(value(w, "SELECT count(*) || ' ' || min(n) FROM %s.levels", w->schema), "10 10");
    assert_string_equal(value(w, "SELECT count(*) FROM %s.rejected_rows", w->schema), "0");
    np_loader_close(loader);
}

struct racer {
    struct world *w;
    int64_t to;
    int own; /* batches that were its own */
};

static void *race(void *context)
{
    struct racer *racer = context;
    struct np_loader *loader;
    struct np_error err;
    enum np_status status = np_loader_open(&loader, &racer->w->pipeline, &fake_deps, NULL, &err);
    int64_t cut;

    while (status == NP_OK) {
        struct made rows[50];
        struct np_message messages[50];
        int64_t n;

        status = np_loader_cut(loader, "grid.levels", 0, &fresh, &cut, &err);
        if (status != NP_OK || cut == racer->to)
            break;
        n = racer->to - cut < 50 ? racer->to - cut : 50;
        for (int64_t i = 0; i < n; i++) {
            rows[i] = made_row("levels", cut + i);
            messages[i] = message_of(&rows[i], "grid.levels", cut + i);
        }
        status = np_loader_write(loader, "grid.levels", 0, messages, (size_t)n, cut + n, &err);
        racer->own += status == NP_OK;
        if (status == NP_EFENCED || status == NP_ERETRY)
            status = NP_OK;
    }
    np_loader_close(loader);
    if (status != NP_OK)
        fprintf(stderr, "%s: %s\n", np_status_name(status), err.text);
    return (void *)(intptr_t)status;
}

static void loaders_that_race_for_a_partition_never_double_a_row(void **state)
{
    struct world *w = world_of(state);
    struct racer racers[3];
    pthread_t threads[3];

    for (int i = 0; i < 3; i++) {
        racers[i] = (struct racer){w, 5000, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *status;

        pthread_join(threads[i], &status);
        assert_int_equal((intptr_t)status, NP_OK);
    }
    print_message("batches of each: %d %d %d\n", racers[0].own, racers[1].own, racers[2].own);
    assert_int_equal(racers[0].own + racers[1].own + racers[2].own, 100);
    assert_log_loaded(w, 5000);
}

#ifdef NP_CRASH_POINTS
/* Lets a child load with one crash point armed; it must die of it. */
static void load_and_die(struct world *w, const char *point, int64_t to)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct np_loader *loader;
        struct np_error err;

        setenv("NP_CRASH_AT", point, 1);
        if (np_loader_open(&loader, &w->pipeline, &fake_deps, NULL, &err) == NP_OK)
            load_log(loader, to, 10, &err);
        fprintf(stderr, "%s was not reached: %s\n", point, err.text);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
#endif

static void a_loader_killed_at_any_of_its_steps_loses_and_doubles_nothing(void **state)
{
#ifndef NP_CRASH_POINTS
    (void)state;
    skip();
#else
    static const char *const points[] = {
        "loader.after_first_cut", "loader.after_encode",  "loader.after_update",   "loader.in_copy",
        "loader.after_copy",      "loader.after_commit",  "loader.after_update:3", "loader.in_copy:3",
        "loader.after_copy:3",    "loader.after_commit:3"};
    struct world *w = world_of(state);
    struct np_loader *loader;
    struct np_error err;
    int64_t to = 0;

    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        load_and_die(w, points[i], to += 100);
    loader = loader_open(w);
    check(load_log(loader, to, 10, &err), &err);
    assert_log_loaded(w, to);
    np_loader_close(loader);
#endif
}

static void a_connection_lost_at_commit_that_did_not_happen_brings_the_batch_again(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_error err;

    check(load_log(loader, 10, 10, &err), &err);
    sql(w,
        "CREATE FUNCTION %s.die() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM "
        "pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'; CREATE CONSTRAINT TRIGGER die AFTER "
        "UPDATE ON %s.cuts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION %s.die()",
        w->schema, w->schema, w->schema);
    assert_int_equal(load_log(loader, 20, 10, &err), NP_ERETRY);
    assert_log_loaded(w, 10);
    sql(w, "DROP TRIGGER die ON %s.cuts", w->schema);
    check(load_log(loader, 20, 10, &err), &err);
    assert_log_loaded(w, 20);
    np_loader_close(loader);
}

/* Ends the backend that waits for a standby that does not exist: it has committed, and cannot say so. */
static void *kill_at_sync(void *context)
{
    struct world *w = context;
    struct np_pg *pg = NULL;
    struct np_error err;
    long killed = 0;

    if (np_pg_open(&pg, w->pipeline.postgres.dsn, "killer", NULL, &err) != NP_OK)
        return NULL;
    for (int i = 0; i < 100 && killed == 0; i++) {
        struct np_pg_rows *rows = NULL;

        if (np_pg_query(pg,
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = "
                        "'SyncRep' AND application_name = 'netzpuls loader'",
                        0, NULL, &rows, &err) == NP_OK)
            killed = strtol(np_pg_cell(rows, 0, 0), NULL, 10);
        np_pg_rows_close(rows);
        usleep(50000);
    }
    np_pg_close(pg);
    return (void *)(intptr_t)killed;
}

static void set_sync(struct world *w, const char *names)
{
    sql(w, "SET synchronous_commit = local");
    sql(w, "ALTER SYSTEM SET synchronous_standby_names = '%s'", names);
    sql(w, "SELECT pg_reload_conf()");
    usleep(300000);
}

static void a_commit_whose_answer_is_lost_is_not_done_again(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_error err;
    pthread_t killer;
    void *killed;
    enum np_status status;

    check(load_log(loader, 10, 10, &err), &err);
    set_sync(w, "nobody");
    assert_int_equal(pthread_create(&killer, NULL, kill_at_sync, w), 0);
    status = load_log(loader, 20, 10, &err);
    pthread_join(killer, &killed);
    set_sync(w, "");
    assert_int_equal((intptr_t)killed, 1);
    assert_int_equal(status, NP_ERETRY);
    assert_log_loaded(w, 20);
    check(load_log(loader, 30, 10, &err), &err);
    assert_log_loaded(w, 30);
    np_loader_close(loader);
}

static void a_topic_that_lacks_what_is_missing_stops_the_loader_loudly(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_source_state source = {"id-1", 7, 1000};
    struct np_error err;
    int64_t cut;

    assert_int_equal(np_loader_cut(loader, "grid.levels", 0, &source, &cut, &err), NP_ESTOP);
    assert_non_null(strstr(err.text, "never loaded and begins at offset 7"));
    /* what the error advises helps */
    sql(w, "%s", strstr(err.text, "INSERT INTO"));
    check(np_loader_cut(loader, "grid.levels", 0, &source, &cut, &err), &err);
    assert_int_equal(cut, 7);
    source.log_start = 9;
    assert_int_equal(np_loader_cut(loader, "grid.levels", 0, &source, &cut, &err), NP_ESTOP);
    assert_non_null(strstr(err.text, "offsets 7 to 8 were not loaded"));
    sql(w, "%s", strstr(err.text, "UPDATE"));
    check(np_loader_cut(loader, "grid.levels", 0, &source, &cut, &err), &err);
    assert_int_equal(cut, 9);
    source.log_start = 0;
    source.high_watermark = 8;
    assert_int_equal(np_loader_cut(loader, "grid.levels", 0, &source, &cut, &err), NP_ESTOP);
    assert_non_null(strstr(err.text, "ends at offset 8, but was loaded up to 9"));
    source.high_watermark = 100;
    source.topic_id = "id-2";
    assert_int_equal(np_loader_cut(loader, "grid.levels", 0, &source, &cut, &err), NP_ESTOP);
    assert_non_null(strstr(err.text, "deleted and made again"));
    assert_int_equal(np_loader_write(loader, "grid.levels", 0, NULL, 0, 50, &err), NP_ERETRY);
    np_loader_close(loader);
}

static void a_stored_input_is_one_row_a_reading_from_where_its_start_says(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_source_state source = {"", 5, 50};
    const float x[] = {1.5f, NAN, -3.0f};
    const int64_t times[] = {START + 5, START + SECOND, START + 500 * DAY};
    struct made rows[2] = {
        {.sensor = "s", .channel = "U1", .start = START, .rate = 3, .x = x, .n_x = 3},
        {.sensor = "s", .channel = "U2", .rate = 0, .x = x, .n_x = 3, .times = times},
    };
    struct np_message messages[2] = {message_of(&rows[0], "grid.waves", 5),
                                     message_of(&rows[1], "grid.waves", 8)};
    struct np_error err;
    int64_t cut;

    w->input.start = 1;
    check(np_loader_cut(loader, "grid.waves", 1, &source, &cut, &err), &err);
    assert_int_equal(cut, 50);
    w->input.start = 0;
    check(np_loader_cut(loader, "grid.waves", 0, &source, &cut, &err), &err);
    assert_int_equal(cut, 5);
    check(np_loader_write(loader, "grid.waves", 0, messages, 2, 9, &err), &err);
    assert_string_equal(value(w,
                              "SELECT string_agg(sensor || channel || ' ' || time || ' ' || "
                              "coalesce(value::text, '-'), ',' ORDER BY channel, time) FROM %s.waves",
                              w->schema),
                        "sU1 2025-11-24 16:00:00+00 1.5,sU1 2025-11-24 16:00:00.333333+00 -,sU1 2025-11-24 "
                        "16:00:00.666666+00 -3,sU2 2025-11-24 16:00:00+00 1.5,sU2 2025-11-24 16:00:01+00 -");
    assert_string_equal(value(w, "SELECT source_offset || reason FROM %s.rejected_rows", w->schema),
                        "8the time of a reading lies before 1970 or more than a year ahead");
    np_loader_close(loader);
}

static void a_database_restored_from_a_backup_is_completed_again(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_error err;

    check(load_log(loader, 100, 50, &err), &err);
    /* the backup was taken at 50; names and partitions went as well */
    sql(w,
        "DELETE FROM %s.levels_data WHERE source_offset >= 50; UPDATE %s.cuts SET cut = 50 WHERE topic = "
        "'grid.levels'",
        w->schema, w->schema);
    check(load_log(loader, 150, 50, &err), &err);
    assert_log_loaded(w, 150);
    np_loader_close(loader);
}

static void a_user_with_the_writers_rights_alone_can_load(void **state)
{
    struct world *w = world_of(state);
    struct np_loader *loader = loader_open(w);
    struct np_error err;
    char dsn[500];

    check(load_log(loader, 10, 10, &err), &err);
    np_loader_close(loader);
    sql(w, "CREATE ROLE %s_login LOGIN PASSWORD 'pw' IN ROLE %s_writer", w->schema, w->schema);
    snprintf(dsn, sizeof dsn, "%s user=%s_login password=pw", getenv("NP_TEST_DSN"), w->schema);
    w->pipeline.postgres.dsn = dsn;
    loader = loader_open(w);
    check(load_log(loader, 30, 10, &err), &err);
    assert_log_loaded(w, 30);
    np_loader_close(loader);
    sql(w, "DROP ROLE %s_login", w->schema);
}

static void metrics_count_rows_and_rejections_for_each_table(void **state)
{
    struct world *w = world_of(state);
    struct np_metrics *metrics = np_metrics_open();
    struct np_loader *loader;
    struct made rows[2] = {made_row("levels", 0), made_row("levels", 1)};
    struct np_message messages[2] = {message_of(&rows[0], "grid.levels", 0),
                                     message_of(&rows[1], "grid.levels", 1)};
    struct np_error err;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int64_t cut;

    rows[1].sensor = NULL;
    check(np_loader_open(&loader, &w->pipeline, &fake_deps, metrics, &err), &err);
    check(np_loader_cut(loader, "grid.levels", 0, &fresh, &cut, &err), &err);
    check(np_loader_write(loader, "grid.levels", 0, messages, 2, 2, &err), &err);
    np_loader_lag(loader, "grid.levels", 12);
    np_metrics_write(metrics, out);
    fclose(out);
    assert_non_null(strstr(text, "netzpuls_loader_rows_total{table=\"levels\"} 1\n"));
    assert_non_null(strstr(text, "netzpuls_loader_rejected_total{table=\"levels\"} 1\n"));
    assert_non_null(strstr(text, "netzpuls_loader_lag_messages{table=\"alerts\"} 12\n"));
    assert_non_null(strstr(text, "netzpuls_loader_commit_seconds_count 1\n"));
    free(text);
    np_loader_close(loader);
    np_metrics_close(metrics);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
    const struct CMUnitTest tests[] = {
        T(every_value_arrives_as_it_was_and_times_are_floored_to_microseconds),
        T(rows_and_cut_move_together_and_a_restart_goes_on),
        T(steps_that_share_a_topic_fill_their_own_tables),
        T(what_cannot_be_loaded_is_rejected_with_its_origin_and_the_rest_goes_on),
        T(a_row_that_the_server_refuses_is_found_and_does_not_stop_its_batch),
        T(a_partition_that_was_dropped_meanwhile_is_made_again),
        T(loaders_that_race_for_a_partition_never_double_a_row),
        T(a_loader_killed_at_any_of_its_steps_loses_and_doubles_nothing),
        T(a_connection_lost_at_commit_that_did_not_happen_brings_the_batch_again),
        T(a_commit_whose_answer_is_lost_is_not_done_again),
        T(a_topic_that_lacks_what_is_missing_stops_the_loader_loudly),
        T(a_stored_input_is_one_row_a_reading_from_where_its_start_says),
        T(a_database_restored_from_a_backup_is_completed_again),
        T(a_user_with_the_writers_rights_alone_can_load),
        T(metrics_count_rows_and_rejections_for_each_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
