/* A pipeline made by hand over simple operators, and a log of blocks to feed it: for the tests of the lane. */
#ifndef LANE_FIXTURE_H
#define LANE_FIXTURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/lane.h"

/* --- operators ----------------------------------------------------------------------------------- */

struct fake_plan {
    uint32_t n_samples;
};

static enum np_status fake_open(const void *conf, const struct np_kernels *kernels, uint32_t n_samples, double rate_hz,
                                void **plan, struct np_error *err)
{
    struct fake_plan *p = calloc(1, sizeof *p);

    (void)conf, (void)kernels, (void)rate_hz, (void)err;
    if (!p)
        return NP_ENOMEM;
    p->n_samples = n_samples;
    *plan = p;
    return NP_OK;
}

static enum np_status fake_run(void *plan, const struct np_batch_rows *in, struct np_value *out)
{
    (void)plan;
    for (size_t r = 0; r < in->rows.n_rows; r++) {
        const float *x = in->rows.x[r];
        double sum = 0;
        for (uint32_t i = 0; i < in->rows.n[r]; i++)
            sum += x[i] == x[i] ? x[i] : 0;
        out[2 * r].i64 = in->rows.n[r];
        out[2 * r + 1].f64 = sum;
    }
    return NP_OK;
}

static const struct np_column sum_columns[] = {
    {"n", NP_COL_LONG, "", "samples"}, {"sum", NP_COL_DOUBLE, "$", "sum of samples"}, {0}};

static const struct np_operator op_sum = {.name = "sum", .columns = sum_columns, .plan_open = fake_open,
                                          .run = fake_run, .plan_close = free};
static const struct np_operator op_exact = {.name = "exact", .columns = sum_columns, .exact = true,
                                            .needs_uniform = true, .plan_open = fake_open, .run = fake_run,
                                            .plan_close = free};

/* Emits when the running total passes a multiple of 1000; the multiple is decision state. */
struct total {
    int64_t multiple;            /* decision */
    double sum;
    int64_t idles;
};

static void total_push(const void *conf, void *state, const struct np_point *point, struct np_emit *emit)
{
    struct total *t = state;

    (void)conf;
    if (point->value != point->value)
        return;
    t->sum += point->value;
    if ((int64_t)(t->sum / 1000) != t->multiple) {
        struct np_value values[2] = {{.i64 = t->idles}, {.f64 = t->sum}};
        t->multiple = (int64_t)(t->sum / 1000);
        emit->record(emit, point->time_ns, point->end_ns, point->flags, values);
    }
}

static void total_idle(const void *conf, void *state, int64_t last_ns, int64_t time_ns, struct np_emit *emit)
{
    struct total *t = state;
    struct np_value values[2] = {{.i64 = ++t->idles}, {.f64 = -1}};

    (void)conf;
    emit->record(emit, last_ns, time_ns, NP_FLAG_IDLE, values);
}

static const struct np_operator op_total = {.name = "total", .columns = sum_columns,
                                            .decision_size = sizeof(int64_t), .state_size = sizeof(struct total),
                                            .push = total_push, .idle = total_idle};

/* --- pipeline ------------------------------------------------------------------------------------ */

#define MS 1000000ll
#define SEC 1000000000ll

struct fixture {
    struct np_pipeline pipeline;
    struct np_input input;
    struct np_channel channels[2];
    struct np_step steps[8];
    struct np_columns columns;
};

static void fixture_step(struct fixture *f, const char *name, const struct np_operator *op, int parent,
                         int parent_column, int64_t window_ns, int64_t hop_ns)
{
    struct np_step *step = &f->steps[f->pipeline.n_steps++];

    *step = (struct np_step){.name = (char *)name, .op = op, .parent = parent, .parent_column = parent_column,
                             .window_ns = window_ns, .hop_ns = hop_ns, .columns = f->columns};
}

static void fixture_begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->channels[0] = (struct np_channel){.name = (char *)"U1"};
    f->channels[1] = (struct np_channel){.name = (char *)"U2"};
    f->input = (struct np_input){.name = (char *)"waves", .map = {.n_channels = 2, .channels = f->channels},
                                 .lateness_ns = 2 * SEC, .idle_ns = 30 * SEC};
    f->columns = (struct np_columns){.n = 2, .items = (struct np_column *)sum_columns};
    f->pipeline.n_inputs = 1;
    f->pipeline.inputs = &f->input;
    f->pipeline.steps = f->steps;
    f->pipeline.run.batch_rows = 64;
}

/* --- output: records as text --------------------------------------------------------------------- */

struct text_output {
    struct np_output output;
    struct np_bytes text;
    size_t n_records;
};

static enum np_status text_record(struct np_output *output, const struct np_record *r, struct np_error *err)
{
    struct text_output *t = (struct text_output *)output;
    char line[256];
    int n = snprintf(line, sizeof line, "%s %s/%s %lld..%lld cov=%.6f flags=%x @%lld n=%lld sum=%.17g\n", r->step->name,
                     r->sensor, r->channel, (long long)(r->start_ns / 1000), (long long)(r->end_ns / 1000),
                     (double)r->coverage, r->flags, (long long)r->offset, (long long)r->values[0].i64,
                     r->values[1].f64);

    t->n_records++;
    return np_bytes_append(&t->text, line, (size_t)n) == 0 ? NP_OK : np_fail(err, NP_ENOMEM, "text");
}

/* --- a log of messages --------------------------------------------------------------------------- */

struct logged {
    const char *sensor;
    int channel;
    int64_t t0_ns;
    double rate_hz;
    uint32_t n;
    float *x;
};

static inline enum np_status feed(struct np_task *task, int64_t offset, const struct logged *m, struct np_error *err)
{
    struct np_block block = {.sensor = m->sensor, .channel = m->channel ? "U2" : "U1", .channel_index = m->channel,
                             .t0_ns = m->t0_ns, .rate_hz = m->rate_hz, .n = m->n, .x = m->x, .times = &m->t0_ns};
    struct np_blocks blocks = {.n = 1, .items = &block};
    uint32_t late;

    return np_task_feed(task, offset, &blocks, &late, err);
}

#endif
