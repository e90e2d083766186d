#include "pg_fixture.h"

#include <pthread.h>

static struct np_pg_tables *ensure(struct world *w)
{
    struct np_pg_tables *tables;
    struct np_error err;

    check(np_pg_layout(&tables, &w->pipeline, &err), &err);
    check(np_pg_tables_ensure(w->look, tables, &err), &err);
    return tables;
}

static void every_table_view_and_column_has_a_comment_with_its_unit(void **state)
{
    struct world *w = world_of(state);
    struct np_pg_tables *tables = ensure(w);
    struct np_error err;
    struct np_pg_maintained done;

    check(np_pg_tables_maintain(w->look, tables, START, &done, &err), &err);
    assert_string_equal(
        value(
            w,
            "SELECT string_agg(c.relname, ',') FROM pg_class c WHERE c.relnamespace = '%s'::regnamespace AND "
            "relkind IN ('r','p','v') AND obj_description(c.oid, 'pg_class') IS NULL",
            w->schema),
        "");
    assert_string_equal(
        value(w,
              "SELECT string_agg(c.relname || '.' || a.attname, ',') FROM pg_class c JOIN pg_attribute a ON "
              "a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE c.relnamespace = "
              "'%s'::regnamespace AND relkind IN ('r','p','v') AND col_description(c.oid, a.attnum) IS NULL",
              w->schema),
        "");
    assert_int_equal(
        atoi(value(w,
                   "SELECT count(*) FROM pg_class WHERE relnamespace = '%s'::regnamespace AND relkind IN "
                   "('r','p','v')",
                   w->schema)),
        6 + 3 + 3 + 3 * 3);
    for (int view = 0; view < 2; view++) {
        const char *name = view ? "levels" : "levels_data";

        assert_string_equal(
            value(w,
                  "SELECT col_description('%s.%s'::regclass, attnum) FROM pg_attribute WHERE attrelid = "
                  "'%s.%s'::regclass AND attname = 'rms'",
                  w->schema, name, w->schema, name),
            "root of the mean square; it's the level [V]");
        assert_non_null(strstr(
            value(w,
                  "SELECT col_description('%s.%s'::regclass, attnum) FROM pg_attribute WHERE attrelid = "
                  "'%s.%s'::regclass AND attname = 'start_time'",
                  w->schema, name, w->schema, name),
            "microseconds, what is below is cut off"));
    }
    assert_string_equal(
        value(w,
              "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) "
              "FROM pg_attribute WHERE attrelid = '%s.levels'::regclass AND attnum > 0",
              w->schema),
        "sensor text, channel text, start_time timestamp with time zone, end_time timestamp with time zone, "
        "coverage real, flags text[], rms double precision, peak real, n bigint, at timestamp with time "
        "zone, note text, line real[]");
    np_pg_tables_free(tables);
}

static void making_the_tables_again_changes_nothing_and_needs_no_rights(void **state)
{
    struct world *w = world_of(state);
    char before[8192];
    static const char *const all =
        "SELECT md5(string_agg(c.oid || ':' || c.xmin || ':' || coalesce(d.xmin::text, ''), ',' ORDER BY "
        "c.oid, d.objsubid)) FROM pg_class c LEFT JOIN pg_description d ON d.objoid = c.oid WHERE "
        "c.relnamespace = '%s'::regnamespace";
    struct np_pg_tables *tables = ensure(w);
    struct np_error err;

    snprintf(before, sizeof before, "%s", value(w, all, w->schema));
    np_pg_tables_free(tables);
    sql(w, "CREATE ROLE %s_login; GRANT %s_writer TO %s_login; SET ROLE %s_login", w->schema, w->schema,
        w->schema, w->schema);
    check(np_pg_layout(&tables, &w->pipeline, &err), &err);
    check(np_pg_tables_ensure(w->look, tables, &err), &err);
    sql(w, "RESET ROLE; DROP ROLE %s_login", w->schema);
    assert_string_equal(value(w, all, w->schema), before);
    assert_string_equal(
        value(w,
              "SELECT string_agg(DISTINCT relowner::regrole::text, ',') FROM pg_class WHERE relnamespace = "
              "'%s'::regnamespace AND relkind IN ('r','p','v')",
              w->schema),
        value(w, "SELECT '%s_owner'", w->schema));
    np_pg_tables_free(tables);
}

static void *ensure_in_thread(void *context)
{
    struct world *w = context;
    struct np_pg_tables *tables = NULL;
    struct np_pg *pg = NULL;
    struct np_error err;
    struct np_pg_maintained done;
    enum np_status status = np_pg_open(&pg, w->pipeline.postgres.dsn, "test", NULL, &err);

    if (status == NP_OK)
        status = np_pg_layout(&tables, &w->pipeline, &err);
    if (status == NP_OK)
        status = np_pg_tables_ensure(pg, tables, &err);
    if (status == NP_OK)
        status = np_pg_tables_maintain(pg, tables, START, &done, &err);
    if (status != NP_OK)
        fprintf(stderr, "%s: %s\n", np_status_name(status), err.text);
    np_pg_tables_free(tables);
    np_pg_close(pg);
    return (void *)(intptr_t)status;
}

static void several_loaders_make_the_same_tables_at_the_same_time(void **state)
{
    struct world *w = world_of(state);
    pthread_t threads[6];

    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ensure_in_thread, w), 0);
    for (int i = 0; i < 6; i++) {
        void *status;

        pthread_join(threads[i], &status);
        assert_int_equal((intptr_t)status, NP_OK);
    }
    assert_string_equal(
        value(w, "SELECT count(*) FROM pg_inherits WHERE inhparent = '%s.levels_data'::regclass", w->schema),
        "3");
}

static void without_the_right_to_make_roles_the_tables_are_made_all_the_same(void **state)
{
    struct world *w = world_of(state);
    struct np_pg_tables *tables;
    struct np_error err;

    sql(w, "CREATE ROLE %s_plain; CREATE SCHEMA %s AUTHORIZATION %s_plain; SET ROLE %s_plain", w->schema,
        w->schema, w->schema, w->schema);
    check(np_pg_layout(&tables, &w->pipeline, &err), &err);
    check(np_pg_tables_ensure(w->look, tables, &err), &err);
    assert_string_equal(value(w, "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%s\\_%%er'", w->schema),
                        "0");
    assert_string_equal(value(w, "SELECT count(*) FROM %s.levels", w->schema), "0");
    sql(w, "RESET ROLE; DROP SCHEMA %s CASCADE; DROP ROLE %s_plain", w->schema, w->schema);
    np_pg_tables_free(tables);
}

static void a_user_who_may_make_roles_makes_them_without_being_superuser(void **state)
{
    struct world *w = world_of(state);
    struct np_pg *pg = NULL, *look = w->look;
    struct np_pg_tables *tables;
    struct np_pg_maintained done;
    struct np_error err;
    char dsn[500];

    sql(w, "CREATE ROLE %s_login LOGIN CREATEROLE PASSWORD 'pw'; GRANT CREATE ON DATABASE %s TO %s_login",
        w->schema, value(w, "SELECT quote_ident(current_database())"), w->schema);
    snprintf(dsn, sizeof dsn, "%s user=%s_login password=pw", getenv("NP_TEST_DSN"), w->schema);
    check(np_pg_open(&pg, dsn, "test", NULL, &err), &err);
    w->look = pg;
    for (int i = 0; i < 2; i++) { /* the second time, all is there */
        tables = ensure(w);
        assert_true(tables->roles);
        check(np_pg_tables_maintain(pg, tables, START, &done, &err), &err);
        np_pg_tables_free(tables);
    }
    assert_string_equal(
        value(w,
              "SELECT string_agg(DISTINCT relowner::regrole::text, ',') FROM pg_class WHERE relnamespace = "
              "'%s'::regnamespace AND relkind IN ('r','p','v')",
              w->schema),
        value(w, "SELECT '%s_owner'", w->schema));
    np_pg_close(pg);
    w->look = look;
    assert_string_equal(value(w,
                              "SELECT has_table_privilege('%s_reader', '%s.levels', 'SELECT')::text || "
                              "has_schema_privilege('%s_reader', '%s', 'USAGE') || "
                              "has_table_privilege('%s_reader', '%s.levels_data', 'INSERT')",
                              w->schema, w->schema, w->schema, w->schema, w->schema, w->schema),
                        "truetruefalse");
    sql(w,
        "DROP SCHEMA %s CASCADE; DROP OWNED BY %s_login CASCADE; DROP ROLE %s_owner, %s_writer, %s_reader; "
        "DROP ROLE %s_login",
        w->schema, w->schema, w->schema, w->schema, w->schema, w->schema);
}

static void an_added_column_comes_to_table_and_view_and_a_removed_one_stays_and_is_null(void **state)
{
    struct world *w = world_of(state);

    step_columns(&w->steps[0], 2);
    np_pg_tables_free(ensure(w));
    sql(w, "CREATE VIEW %s.of_a_user AS SELECT sensor, rms FROM %s.levels", w->schema, w->schema);
    step_columns(&w->steps[0], 4);
    np_pg_tables_free(ensure(w));
    assert_string_equal(
        value(w,
              "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = "
              "'%s.levels'::regclass AND attnum > 6",
              w->schema),
        "rms,peak,n,at");
    step_columns(&w->steps[0], 1);
    np_pg_tables_free(ensure(w));
    assert_string_equal(
        value(w,
              "SELECT col_description('%s.levels'::regclass, attnum) FROM pg_attribute WHERE attrelid = "
              "'%s.levels'::regclass AND attname = 'peak'",
              w->schema, w->schema),
        "no longer computed: null in newer rows");
    assert_string_equal(
        value(w,
              "SELECT attnotnull FROM pg_attribute WHERE attrelid = '%s.levels_data'::regclass AND attname = "
              "'peak'",
              w->schema),
        "f");
    step_columns(&w->steps[0], 6);
    np_pg_tables_free(ensure(w));
    assert_string_equal(
        value(w,
              "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = "
              "'%s.levels'::regclass AND attnum > 6",
              w->schema),
        "rms,peak,n,at,note,line");
}

static void a_changed_type_is_an_error_that_says_what_to_do_and_check_finds_it_too(void **state)
{
    struct world *w = world_of(state);
    struct np_pg_tables *tables = ensure(w);
    struct np_mistakes mistakes = {.file = "p.yaml"};
    struct np_error err;

    np_pg_tables_check(&w->pipeline, &mistakes);
    assert_int_equal(mistakes.n, 0);
    w->steps[0].columns.items[2].type = NP_COL_DOUBLE;
    np_pg_tables_free(tables);
    check(np_pg_layout(&tables, &w->pipeline, &err), &err);
    assert_int_equal(np_pg_tables_ensure(w->look, tables, &err), NP_ECONFIG);
    assert_non_null(strstr(err.text, "column \"n\" is bigint there, levels gives double precision"));
    assert_non_null(strstr(err.text, "rename levels in the pipeline"));
    np_pg_tables_check(&w->pipeline, &mistakes);
    assert_int_equal(mistakes.n, 1);
    assert_string_equal(mistakes.items[0].text, err.text);
    np_mistakes_free(&mistakes);
    np_pg_tables_free(tables);
    /* what the error advises helps */
    sql(w, "DROP VIEW %s.levels; ALTER TABLE %s.levels_data ALTER COLUMN n TYPE double precision", w->schema,
        w->schema);
    np_pg_tables_free(ensure(w));
    assert_string_equal(value(w, "SELECT count(*) FROM %s.levels", w->schema), "0");
}

static void check_finds_a_foreign_table_and_rights_that_are_missing_on_tables(void **state)
{
    struct world *w = world_of(state);
    struct np_mistakes mistakes = {.file = "p.yaml"};
    char dsn[500];

    np_pg_tables_free(ensure(w));
    sql(w, "CREATE ROLE %s_other LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA %s TO %s_other", w->schema,
        w->schema, w->schema);
    snprintf(dsn, sizeof dsn, "%s user=%s_other password=pw", getenv("NP_TEST_DSN"), w->schema);
    w->pipeline.postgres.dsn = dsn;
    assert_int_equal(np_pg_tables_check(&w->pipeline, &mistakes), NP_OK);
    assert_true(mistakes.n > 0);
    assert_non_null(strstr(mistakes.items[0].text, "levels_data: the user may not write it"));
    np_mistakes_free(&mistakes);
    mistakes = (struct np_mistakes){.file = "p.yaml"};
    sql(w, "DROP TABLE %s.levels_data CASCADE", w->schema);
    assert_int_equal(np_pg_tables_check(&w->pipeline, &mistakes), NP_OK);
    assert_true(mistakes.n > 0);
    assert_non_null(
        strstr(mistakes.items[0].text, "levels_data does not exist, and the user may not make it"));
    np_mistakes_free(&mistakes);
    mistakes = (struct np_mistakes){.file = "p.yaml"};
    sql(w, "CREATE TABLE %s.levels_data (at timestamptz, own text) PARTITION BY RANGE (at)", w->schema);
    assert_int_equal(np_pg_tables_check(&w->pipeline, &mistakes), NP_OK);
    assert_non_null(strstr(mistakes.items[0].text, "it was not made by this program"));
    np_mistakes_free(&mistakes);
    sql(w, "REVOKE ALL ON SCHEMA %s FROM %s_other; DROP ROLE %s_other", w->schema, w->schema, w->schema);
}

static void check_tells_a_wrong_password_and_a_missing_right(void **state)
{
    struct world *w = world_of(state);
    struct np_mistakes mistakes = {.file = "p.yaml"};
    char dsn[500];

    sql(w, "CREATE ROLE %s_login LOGIN PASSWORD 'pw'", w->schema);
    snprintf(dsn, sizeof dsn, "%s user=%s_login password=wrong", getenv("NP_TEST_DSN"), w->schema);
    w->pipeline.postgres.dsn = dsn;
    assert_int_equal(np_pg_tables_check(&w->pipeline, &mistakes), NP_ECONFIG);
    assert_int_equal(mistakes.n, 1);
    assert_non_null(strstr(mistakes.items[0].text, "password authentication failed"));
    snprintf(dsn, sizeof dsn, "%s user=%s_login password=pw", getenv("NP_TEST_DSN"), w->schema);
    np_pg_tables_check(&w->pipeline, &mistakes);
    assert_int_equal(mistakes.n, 2);
    assert_non_null(strstr(mistakes.items[1].text, "GRANT CREATE ON DATABASE"));
    np_mistakes_free(&mistakes);
    sql(w, "DROP ROLE %s_login", w->schema);
}

static void names_that_are_taken_or_too_long_are_refused_before_anything_is_made(void **state)
{
    struct world *w = world_of(state);
    struct np_pg_tables *tables;
    struct np_error err;
    const char *own;

    w->steps[0].name = (char *)"cuts";
    assert_int_equal(np_pg_layout(&tables, &w->pipeline, &err), NP_ECONFIG);
    assert_non_null(strstr(err.text, "\"cuts\" is taken"));
    w->steps[0].name = (char *)"a_name_that_is_longer_than_thirty_eight";
    assert_int_equal(np_pg_layout(&tables, &w->pipeline, &err), NP_ECONFIG);
    assert_non_null(strstr(err.text, "at most 38 bytes"));
    w->steps[0].name = (char *)"alerts";
    assert_int_equal(np_pg_layout(&tables, &w->pipeline, &err), NP_ECONFIG);
    assert_non_null(strstr(err.text, "two tables"));
    w->steps[0].name = (char *)"levels";
    own = w->steps[0].columns.items[0].name;
    w->steps[0].columns.items[0].name = "source_offset";
    assert_int_equal(np_pg_layout(&tables, &w->pipeline, &err), NP_ECONFIG);
    assert_non_null(strstr(err.text, "needs itself"));
    w->steps[0].columns.items[0].name = own;
}

static const char *bounds(struct world *w, const char *table)
{
    return value(
        w,
        "SELECT string_agg(replace(replace(pg_get_expr(c.relpartbound, c.oid), 'FOR VALUES FROM ', ''), ' TO "
        "', ''), ' ' ORDER BY c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid WHERE "
        "inhparent = '%s.%s_data'::regclass",
        w->schema, table);
}

static void partitions_are_aligned_to_utc_and_fill_gaps_after_their_length_was_changed(void **state)
{
    struct world *w = world_of(state);
    struct np_pg_tables *tables = ensure(w);
    struct np_pg_maintained done;
    struct np_error err;

    check(np_pg_tables_maintain(w->look, tables, START, &done, &err), &err);
    assert_int_equal(done.made, 9);
    assert_string_equal(bounds(w, "levels"),
                        "('2025-11-24 00:00:00+00')('2025-11-25 00:00:00+00') ('2025-11-25 "
                        "00:00:00+00')('2025-11-26 00:00:00+00') ('2025-11-26 00:00:00+00')('2025-11-27 "
                        "00:00:00+00')");
    check(np_pg_tables_maintain(w->look, tables, START, &done, &err), &err);
    assert_int_equal(done.made, 0);
    w->pipeline.postgres.partition_ns = 7 * DAY; /* its week began on 2025-11-20 */
    check(np_pg_partition_make(w->look, tables, &tables->items[0], (START - 2 * DAY) / 1000, &err), &err);
    check(np_pg_partition_make(w->look, tables, &tables->items[0], (START + 8 * DAY) / 1000, &err), &err);
    check(np_pg_partition_make(w->look, tables, &tables->items[0], (START + 8 * DAY) / 1000, &err), &err);
    assert_string_equal(bounds(w, "levels"),
                        "('2025-11-20 00:00:00+00')('2025-11-24 00:00:00+00') ('2025-11-24 "
                        "00:00:00+00')('2025-11-25 00:00:00+00') ('2025-11-25 00:00:00+00')('2025-11-26 "
                        "00:00:00+00') ('2025-11-26 00:00:00+00')('2025-11-27 00:00:00+00') ('2025-11-27 "
                        "00:00:00+00')('2025-12-04 00:00:00+00')");
    np_pg_tables_free(tables);
}

static void fill_partitions(struct world *w, struct np_pg_tables *tables, int from_day, int to_day)
{
    struct np_error err;

    for (int day = from_day; day <= to_day; day++) {
        check(np_pg_partition_make(w->look, tables, &tables->items[0], (START + day * DAY) / 1000, &err),
              &err);
        sql(w,
            "INSERT INTO %s.levels_data (start_time, end_time, source_offset, sensor_id, channel_id, "
            "source_partition, coverage, flags, source_topic) SELECT to_timestamp(%lld), to_timestamp(%lld), "
            "0, i, 1, 0, 1, 0, 1 FROM generate_series(1, 100) i",
            w->schema, (long long)((START + day * DAY) / SECOND), (long long)((START + day * DAY) / SECOND));
    }
}

static void retention_drops_whole_partitions_and_counts_from_the_newest_row(void **state)
{
    struct world *w = world_of(state);
    struct np_pg_tables *tables = ensure(w);
    struct np_pg_maintained done;
    struct np_error err;

    fill_partitions(w, tables, -5, 0);
    w->pipeline.postgres.retention_ns = 2 * DAY + HOUR;
    /* a year later without new data: the newest row's day and the two before it, and the one that begins
     * inside, stay */
    check(np_pg_tables_maintain(w->look, tables, START + 300 * DAY, &done, &err), &err);
    assert_int_equal(done.dropped, 2 + 1);
    assert_string_equal(value(w, "SELECT min(start_time) FROM %s.levels_data", w->schema),
                        "2025-11-22 16:00:00+00");
    check(np_pg_tables_maintain(w->look, tables, START + DAY, &done, &err), &err);
    assert_int_equal(done.dropped, 0);
    np_pg_tables_free(tables);
}

static void a_lock_on_the_table_delays_retention_and_is_no_failure(void **state)
{
    struct world *w = world_of(state);
    struct np_pg_tables *tables = ensure(w);
    struct np_pg *reader;
    struct np_pg_maintained done;
    struct np_error err;
    char text[200];

    fill_partitions(w, tables, -5, 0);
    w->pipeline.postgres.retention_ns = 5 * DAY;
    check(np_pg_open(&reader, getenv("NP_TEST_DSN"), "reader", NULL, &err), &err);
    snprintf(text, sizeof text, "BEGIN; SELECT count(*) FROM %s.levels", w->schema);
    check(np_pg_run(reader, text, &err), &err);
    check(np_pg_tables_maintain(w->look, tables, START + DAY, &done, &err), &err);
    assert_int_equal(done.dropped, 0);
    assert_int_equal(done.busy, 1);
    np_pg_close(reader);
    usleep(200000);
    check(np_pg_tables_maintain(w->look, tables, START + DAY, &done, &err), &err);
    assert_int_equal(done.dropped, 1);
    np_pg_tables_free(tables);
}

static void a_partition_that_is_closed_gets_an_index_by_sensor(void **state)
{
    struct world *w = world_of(state);
    struct np_pg_tables *tables = ensure(w);
    struct np_pg_maintained done;
    struct np_error err;

    fill_partitions(w, tables, -1, 0);
    for (int i = 0; i < 50; i++) { /* the server's counters come a little later */
        if (atoi(value(w,
                       "SELECT sum(n_tup_ins) FROM pg_stat_user_tables WHERE schemaname = '%s' AND relname "
                       "LIKE 'levels_data_p%%'",
                       w->schema)) == 200)
            break;
        usleep(100000);
    }
    check(np_pg_tables_maintain(w->look, tables, START, &done, &err), &err);
    assert_int_equal(done.indexed, 0); /* seen for the first time: it may still be growing */
    check(np_pg_tables_maintain(w->look, tables, START, &done, &err), &err);
    assert_int_equal(done.indexed, 1); /* yesterday's; today's is being written */
    check(np_pg_tables_maintain(w->look, tables, START, &done, &err), &err);
    assert_int_equal(done.indexed, 0);
    assert_string_equal(
        value(w,
              "SELECT string_agg(tablename, ',') FROM pg_indexes WHERE schemaname = '%s' AND indexdef LIKE "
              "'%%(sensor_id, start_time)'",
              w->schema),
        "levels_data_p20251123");
    np_pg_tables_free(tables);
}

static void no_error_shows_the_password(void **state)
{
    struct world *w = world_of(state);
    struct np_pg *pg;
    struct np_error err;
    char dsn[500];
    static const struct {
        const char *more, *text;
        enum np_status status;
    } rows[] = {
        {"password=very-secret-word", "password authentication failed", NP_ECONFIG},
        {"password=very-secret-word dbname=very-secret-word", "password authentication failed", NP_ECONFIG},
        {"dbname=no_such_database", "does not exist", NP_ECONFIG},
        {"password=very-secret-word host=127.0.0.1 port=1", "refused", NP_ERETRY},
        {"password=very secret-word", "cannot be read", NP_ECONFIG},
        {"sslmode=very-secret-word", "invalid sslmode", NP_ERETRY},
    };

    (void)w;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum np_status status;

        snprintf(dsn, sizeof dsn, "%s %s", getenv("NP_TEST_DSN"), rows[i].more);
        status = np_pg_open(&pg, dsn, "test", NULL, &err);
        if (status != rows[i].status || !strstr(err.text, rows[i].text) ||
            (i < 5 && strstr(err.text, "secret")) || strchr(err.text, '\n'))
            fail_msg("%s: %s, \"%s\"", rows[i].more, np_status_name(status), err.text);
    }
}

static void a_session_is_safe_whatever_the_users_defaults_are(void **state)
{
    struct world *w = world_of(state);
    struct np_pg *pg, *look = w->look;
    struct np_error err;
    char dsn[500];

    snprintf(dsn, sizeof dsn,
             "%s options='-c synchronous_commit=off -c default_transaction_isolation=serializable -c "
             "timezone=Asia/Tokyo -c datestyle=German'",
             getenv("NP_TEST_DSN"));
    check(np_pg_open(&pg, dsn, "test", NULL, &err), &err);
    w->look = pg;
    assert_string_equal(
        value(w, "SELECT current_setting('synchronous_commit') || ' ' || "
                 "current_setting('transaction_isolation') || ' ' || current_setting('timezone') || ' ' || "
                 "current_setting('lock_timeout') || ' ' || "
                 "current_setting('idle_in_transaction_session_timeout') || ' ' || timestamptz 'epoch'"),
        "on read committed UTC 5s 1min 1970-01-01 00:00:00+00");
    w->look = look;
    np_pg_close(pg);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
    const struct CMUnitTest tests[] = {
        T(every_table_view_and_column_has_a_comment_with_its_unit),
        T(making_the_tables_again_changes_nothing_and_needs_no_rights),
        T(several_loaders_make_the_same_tables_at_the_same_time),
        T(without_the_right_to_make_roles_the_tables_are_made_all_the_same),
        T(a_user_who_may_make_roles_makes_them_without_being_superuser),
        T(an_added_column_comes_to_table_and_view_and_a_removed_one_stays_and_is_null),
        T(a_changed_type_is_an_error_that_says_what_to_do_and_check_finds_it_too),
        T(check_finds_a_foreign_table_and_rights_that_are_missing_on_tables),
        T(check_tells_a_wrong_password_and_a_missing_right),
        T(names_that_are_taken_or_too_long_are_refused_before_anything_is_made),
        T(partitions_are_aligned_to_utc_and_fill_gaps_after_their_length_was_changed),
        T(retention_drops_whole_partitions_and_counts_from_the_newest_row),
        T(a_lock_on_the_table_delays_retention_and_is_no_failure),
        T(a_partition_that_is_closed_gets_an_index_by_sensor),
        T(no_error_shows_the_password),
        T(a_session_is_safe_whatever_the_users_defaults_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
