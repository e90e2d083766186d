/* The loader's engine against a bare COPY BINARY of the same rows, into the same kind of table, in one run:
 *   tests/with_postgres build/bench_loader [ROWS [ROUNDS]]
 * Decoding costs next to nothing here (the messages are C structs): what is measured is checking, encoding,
 * ids, the cut and its transaction. The bare side gets its rows encoded beforehand, 10,000 a transaction as
 * well. */
#include "../pg_loader_fixture.h"

#include "sinks/pg_copy.h"

enum { BATCH = 10000, SENSORS = 1000 };

static char sensor_names[SENSORS][16];

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fill(struct made *rows, struct np_message *messages, int64_t first, const char *topic)
{
    for (int64_t i = 0; i < BATCH; i++) {
        int64_t number = first + i;

        rows[i] = (struct made){.step = "levels",
                                .sensor = sensor_names[number % SENSORS],
                                .channel = "U1",
                                .start = START + number / SENSORS * 200000000,
                                .end = START + (number / SENSORS + 1) * 200000000,
                                .at = START,
                                .n = number,
                                .rms = (double)number,
                                .coverage = 1,
                                .note = "ok"};
        messages[i] = message_of(&rows[i], topic, number);
    }
}

static double engine(struct world *w, int64_t n, double *cpu)
{
    struct made *rows = calloc(BATCH, sizeof *rows);
    struct np_message *messages = calloc(BATCH, sizeof *messages);
    struct np_source_state source = {"id", 0, INT64_MAX};
    struct np_loader *loader;
    struct np_error err;
    double began = 0, spent = 0, cpu_began;
    int64_t cut;

    check(np_loader_open(&loader, &w->pipeline, &fake_deps, NULL, &err), &err);
    check(np_loader_cut(loader, "grid.levels", 0, &source, &cut, &err), &err);
    fill(rows, messages, 0, "grid.levels"); /* first touch, ids, partition: not timed */
    check(np_loader_write(loader, "grid.levels", 0, messages, BATCH, BATCH, &err), &err);
    *cpu = 0;
    for (int64_t first = BATCH; first < n + BATCH; first += BATCH) {
        fill(rows, messages, first, "grid.levels");
        began = seconds();
        cpu_began = cpu_seconds();
        check(np_loader_write(loader, "grid.levels", 0, messages, BATCH, first + BATCH, &err), &err);
        spent += seconds() - began;
        *cpu += cpu_seconds() - cpu_began;
    }
    np_loader_close(loader);
    free(rows);
    free(messages);
    return spent;
}

static double bare(struct world *w, const char *table, int64_t n, double *cpu)
{
    struct np_bytes bytes = {0};
    struct np_value values[12] = {{{0}, 0}};
    struct np_error err;
    double spent = 0;
    char begin[500];

    snprintf(begin, sizeof begin, "COPY %s.%s FROM STDIN (FORMAT binary)", w->schema, table);
    *cpu = 0;
    for (int64_t first = 0; first < n + BATCH; first += BATCH) {
        double began, cpu_began;

        bytes.n = 0;
        np_bytes_append(&bytes, np_pg_copy_header, NP_PG_COPY_HEADER);
        for (int64_t number = first; number < first + BATCH; number++) {
            struct np_pg_origin origin = {(int32_t)(number % SENSORS) + 1, 1, 0, number, 1};

            values[NP_ROW_START].i64 = START + number / SENSORS * 200000000;
            values[NP_ROW_END].i64 = START + (number / SENSORS + 1) * 200000000;
            values[NP_ROW_COVERAGE].f64 = 1;
            values[6].f64 = (double)number;
            values[7].f64 = (double)number * 1.5;
            values[8].i64 = number;
            values[9].i64 = START;
            values[10].text = "ok";
            np_pg_copy_result(&bytes, &w->steps[0].columns, values, &origin);
        }
        np_bytes_append(&bytes, np_pg_copy_trailer, NP_PG_COPY_TRAILER);
        began = seconds();
        cpu_began = cpu_seconds();
        check(np_pg_copy_begin(w->look, begin, &err), &err);
        check(np_pg_copy_write(w->look, bytes.data, bytes.n, &err), &err);
        check(np_pg_copy_end(w->look, &err), &err);
        if (first > 0) { /* the first is not timed on either side */
            spent += seconds() - began;
            *cpu += cpu_seconds() - cpu_began;
        }
    }
    np_bytes_free(&bytes);
    return spent;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* One round of a side, into tables of its own. kind 0: engine; 1: bare, the table as the loader makes it; 2:
 * bare into it with a btree by sensor, kept up row by row; 3: bare into an unpartitioned table without any
 * index. */
static double one(int kind, int64_t n, double *cpu)
{
    void *state;
    struct world *w;
    struct np_pg_tables *tables;
    struct np_error err;
    double spent;

    if (world_open(&state) != 0 || !state)
        exit(1);
    w = state;
    check(np_pg_layout(&tables, &w->pipeline, &err), &err);
    check(np_pg_tables_ensure(w->look, tables, &err), &err);
    for (int day = 0; day < 2; day++)
        check(np_pg_partition_make(w->look, tables, &tables->items[0], (START + day * DAY) / 1000, &err),
              &err);
    if (kind == 2)
        sql(w, "CREATE INDEX ON %s.levels_data (sensor_id, start_time)", w->schema);
    if (kind == 3)
        sql(w, "CREATE TABLE %s.plain (LIKE %s.levels_data)", w->schema, w->schema);
    sql(w, "CHECKPOINT");
    spent = kind ? bare(w, kind == 3 ? "plain" : "levels_data", n, cpu) : engine(w, n, cpu);
    np_pg_tables_free(tables);
    world_close(&state);
    return spent;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"engine", "bare, same table", "bare, with btree by sensor",
                                        "bare, plain table, no index"};
    int64_t n = argc > 1 ? atoll(argv[1]) / BATCH * BATCH : 500000;
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    double times[4][32], cpus[4][32];

    if (!getenv("NP_TEST_DSN") || rounds < 1 || rounds > 32 || n < BATCH)
        return 1;
    for (int i = 0; i < SENSORS; i++)
        snprintf(sensor_names[i], sizeof sensor_names[i], "meter-%05d", i);
    for (int round = 0; round < rounds; round++)
        for (int kind = 0; kind < 4; kind++)
            times[kind][round] = one(kind, n, &cpus[kind][round]);
    for (int kind = 0; kind < 4; kind++) {
        qsort(times[kind], (size_t)rounds, sizeof(double), compare);
        qsort(cpus[kind], (size_t)rounds, sizeof(double), compare);
    }
    for (int kind = 0; kind < 4; kind++)
        printf("%-30s %7.3f s (%.3f .. %.3f)  %5.2f M rows/s  %.2f of bare  client CPU %.2f us a row\n",
               names[kind], times[kind][rounds / 2], times[kind][0], times[kind][rounds - 1],
               (double)n / times[kind][rounds / 2] * 1e-6, times[1][rounds / 2] / times[kind][rounds / 2],
               cpus[kind][rounds / 2] / (double)n * 1e6);
    return 0;
}
