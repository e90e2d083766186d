/* What the tests against a real PostgreSQL share: a connection for looking, a pipeline made by hand, decoders
 * for messages that are C structs, a schema of their own for each test. They skip where NP_TEST_DSN is not
 * set (tests/with_postgres). */
#ifndef NP_PG_FIXTURE_H
#define NP_PG_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sinks/loader.h"
#include "sinks/pg_conn.h"
#include "sinks/pg_tables.h"

#define SECOND INT64_C(1000000000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define START  (INT64_C(1764000000) * SECOND) /* 2025-11-24T16:00:00Z */

struct world {
    char schema[40];
    struct np_pg *look; /* the test's own eyes */
    struct np_pipeline pipeline;
    struct np_input input;
    struct np_step steps[2];
    struct np_store store;
};

/** A message of a result topic, or (step NULL) of the stored input. */
struct made {
    const char *step, *sensor, *channel, *note;
    int64_t start, end, at, n;
    double rms, coverage;
    int64_t flags;
    const float *x;
    const int64_t *times;
    uint32_t n_x;
    double rate;
};

static const struct np_operator fixture_operator = {.name = "rms", .help = "made by the test"};

static const struct np_column fixture_columns[] = {
    {"rms", NP_COL_DOUBLE, "V", "root of the mean square; it's the level"},
    {"peak", NP_COL_FLOAT, "V", "highest value"},
    {"n", NP_COL_LONG, "", "samples"},
    {"at", NP_COL_TIME, "", "when the peak was"},
    {"note", NP_COL_TEXT, "", "what was noted"},
    {"line", NP_COL_FLOATS, "V", "amplitudes"},
};

static void check(enum np_status status, const struct np_error *err)
{
    if (status != NP_OK)
        fail_msg("%s: %s", np_status_name(status), err->text);
}

static void sql(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void sql(struct world *w, const char *format, ...)
{
    struct np_error err;
    char *text;
    va_list args;

    va_start(args, format);
    assert_true(vasprintf(&text, format, args) >= 0);
    va_end(args);
    check(np_pg_run(w->look, text, &err), &err);
    free(text);
}

/** One value as text, "" for none; valid until the next call. */
static const char *value(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *value(struct world *w, const char *format, ...)
{
    static char out[8192];
    struct np_pg_rows *rows = NULL;
    struct np_error err;
    char *text;
    va_list args;

    va_start(args, format);
    assert_true(vasprintf(&text, format, args) >= 0);
    va_end(args);
    check(np_pg_query(w->look, text, 0, NULL, &rows, &err), &err);
    snprintf(out, sizeof out, "%s",
             np_pg_rows_n(rows) && np_pg_cell(rows, 0, 0) ? np_pg_cell(rows, 0, 0) : "");
    np_pg_rows_close(rows);
    free(text);
    return out;
}

static void step_columns(struct np_step *step, size_t n)
{
    np_columns_free(&step->columns);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(np_columns_add(&step->columns, &fixture_columns[i]), 0);
}

static void step_make(struct np_step *step, const char *name, const char *topic)
{
    *step = (struct np_step){.name = (char *)name,
                             .op = &fixture_operator,
                             .parent = -1,
                             .window_ns = 200000000,
                             .hop_ns = 200000000,
                             .topic = (char *)topic,
                             .table = true,
                             .unit = (char *)"V"};
    step_columns(step, sizeof fixture_columns / sizeof *fixture_columns);
}

static int world_open(void **state)
{
    static int number;
    const char *dsn = getenv("NP_TEST_DSN");
    struct world *w;
    struct np_error err;

    *state = NULL;
    if (!dsn)
        return 0;
    w = calloc(1, sizeof *w);
    if (!w)
        return -1;
    snprintf(w->schema, sizeof w->schema, "t%d_%d", (int)getpid(), number++);
    w->input = (struct np_input){.name = (char *)"waves", .topic = (char *)"grid.waves", .unit = (char *)"V"};
    step_make(&w->steps[0], "levels", "grid.levels");
    step_make(&w->steps[1], "alerts", "grid.levels");
    w->pipeline = (struct np_pipeline){.name = (char *)"feeder",
                                       .n_inputs = 1,
                                       .n_steps = 2,
                                       .n_stores = 1,
                                       .inputs = &w->input,
                                       .steps = w->steps,
                                       .stores = &w->store};
    w->pipeline.postgres.on = true;
    w->pipeline.postgres.dsn = (char *)dsn;
    w->pipeline.postgres.schema = w->schema;
    w->pipeline.postgres.partition_ns = DAY;
    if (np_pg_open(&w->look, dsn, "test", NULL, &err) != NP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;

    if (!w)
        return 0;
    sql(w, "SET client_min_messages = error; DROP SCHEMA IF EXISTS %s CASCADE", w->schema);
    sql(w, "DROP ROLE IF EXISTS %s_owner, %s_writer, %s_reader", w->schema, w->schema, w->schema);
    for (int i = 0; i < 2; i++)
        np_columns_free(&w->steps[i].columns);
    np_pg_close(w->look);
    free(w);
    return 0;
}

/** The test's world, or a skip. */
static struct world *world_of(void **state)
{
    if (!*state)
        skip();
    return *state;
}

#endif
