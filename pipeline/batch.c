#include <stdlib.h>
#include <string.h>

#include "pipeline/task.h"

enum {
    slab_floats = 1 << 18,       /* a batch closes at 1 MB of samples */
    most_batches = 64,           /* kept per lane; a sensor with ever new rates must not pile up plans */
};

struct np_batch {
    struct np_batch *next;
    const struct np_step *step;
    uint32_t n_samples;          /* exact operators; else 0 */
    double rate_hz;
    void *plan;                  /* NULL: the operator cannot take this length */
    size_t n_rows, rows_capacity;
    struct np_window *windows;   /* [rows_capacity] likewise the next four */
    const float **x;             /* borrowed rows; NULL: in the slab, which may still move */
    size_t *offset;              /* in the slab */
    uint32_t *n;
    float *coverage;
    struct np_value *out;        /* [rows_capacity][n columns] */
    float *slab;
    size_t slab_used, slab_capacity;
    size_t n_samples_held;       /* of all rows */
};

static void batch_close(struct np_batch *b)
{
    if (b->plan)
        b->step->op->plan_close(b->plan);
    free(b->windows);
    free(b->x);
    free(b->offset);
    free(b->n);
    free(b->coverage);
    free(b->out);
    free(b->slab);
    free(b);
}

static struct np_batch *batch_open(struct np_lane *lane, const struct np_step *step, uint32_t n_samples, double rate_hz,
                                   struct np_error *err)
{
    struct np_batch *b = calloc(1, sizeof *b);
    size_t rows = (size_t)lane->pipeline->run.batch_rows;
    enum np_status st;

    if (!b)
        goto no_memory;
    b->step = step;
    b->n_samples = n_samples;
    b->rate_hz = rate_hz;
    b->rows_capacity = rows;
    b->windows = calloc(rows, sizeof *b->windows);
    b->x = calloc(rows, sizeof *b->x);
    b->offset = calloc(rows, sizeof *b->offset);
    b->n = calloc(rows, sizeof *b->n);
    b->coverage = calloc(rows, sizeof *b->coverage);
    b->out = calloc(rows * (step->columns.n + 1), sizeof *b->out);
    if (!b->windows || !b->x || !b->offset || !b->n || !b->coverage || !b->out)
        goto no_memory;
    st = step->op->plan_open(step->conf, lane->kernels, n_samples, rate_hz, &b->plan, err);
    if (st == NP_ECONFIG)
        b->plan = NULL;          /* told by a flag in each record */
    else if (st != NP_OK)
        goto fail;
    return b;
no_memory:
    np_fail(err, NP_ENOMEM, "step %s: a batch of %zu rows", step->name, rows);
fail:
    if (b) {
        b->plan = NULL;
        batch_close(b);
    }
    return NULL;
}

static enum np_status batch_run(struct np_lane *lane, struct np_batch *b, struct np_error *err)
{
    struct np_batch_rows in = {
        .rows = {.x = b->x, .n = b->n, .n_rows = b->n_rows},
        .rate_hz = b->rate_hz,
        .coverage = b->coverage,
    };
    enum np_status st = NP_OK;

    if (!b->n_rows)
        return NP_OK;
    for (size_t r = 0; r < b->n_rows; r++)
        if (!b->x[r])
            b->x[r] = b->slab + b->offset[r];
    st = b->step->op->run(b->plan, &in, b->out);
    if (st != NP_OK)
        np_fail(err, st, "step %s: %zu rows: %s", b->step->name, b->n_rows, np_status_text(st));
    for (size_t r = 0; r < b->n_rows && st == NP_OK; r++)
        st = np_window_pend(lane, &b->windows[r], 0, b->out + r * b->step->columns.n, err);

    b->n_rows = b->slab_used = b->n_samples_held = 0;
    return st;
}

/* The batch of this shape, moved to the front. */
static struct np_batch *batch_find(struct np_lane *lane, const struct np_step *step, uint32_t n_samples, double rate_hz,
                                   struct np_error *err)
{
    struct np_batch **link = &lane->batches, *b;

    for (; (b = *link); link = &b->next)
        if (b->step == step && b->n_samples == n_samples && b->rate_hz == rate_hz)
            break;
    if (b) {
        *link = b->next;
    } else {
        if (lane->n_batches == most_batches) {
            for (link = &lane->batches; (*link)->next; link = &(*link)->next)
                ;
            if (batch_run(lane, *link, err) != NP_OK)
                return NULL;
            batch_close(*link);
            *link = NULL;
            lane->n_batches--;
        }
        b = batch_open(lane, step, n_samples, rate_hz, err);
        if (!b)
            return NULL;
        lane->n_batches++;
    }
    b->next = lane->batches;
    lane->batches = b;
    return b;
}

/* Room for n_samples in the slab. @return false without memory */
static bool slab_grow(struct np_batch *b, size_t room)
{
    size_t capacity = b->slab_capacity ? b->slab_capacity : 1024;
    void *slab;

    if (b->slab_used + room <= b->slab_capacity)
        return true;
    while (capacity < b->slab_used + room)
        capacity *= 2;
    if (posix_memalign(&slab, 4096, capacity * sizeof *b->slab) != 0)
        return false;
    if (b->slab_used)
        memcpy(slab, b->slab, b->slab_used * sizeof *b->slab);
    free(b->slab);
    b->slab = slab;
    b->slab_capacity = capacity;
    return true;
}

enum np_status np_batch_row(struct np_lane *lane, const struct np_window *window, uint32_t n_samples, double rate_hz,
                            const float *x, float **row, struct np_error *err)
{
    const struct np_step *step = window->stage->step;
    size_t room = x ? 0 : ((size_t)n_samples + NP_ROW_ALIGN - 1) / NP_ROW_ALIGN * NP_ROW_ALIGN;
    bool exact = step->op->exact;
    struct np_batch *b = batch_find(lane, step, exact ? n_samples : 0, exact ? rate_hz : 0, err);
    enum np_status st;

    if (!b)
        return err->status;
    *row = NULL;
    if (!b->plan)
        return np_window_pend(lane, window, NP_FLAG_LENGTH, NULL, err);
    if (b->n_rows == b->rows_capacity || (b->n_rows && b->n_samples_held + n_samples > slab_floats)) {
        st = batch_run(lane, b, err);
        if (st != NP_OK)
            return st;
    }
    if (!slab_grow(b, room))
        return np_fail(err, NP_ENOMEM, "step %s: a batch of %zu samples", step->name, b->slab_used + room);
    b->windows[b->n_rows] = *window;
    b->x[b->n_rows] = x;
    b->offset[b->n_rows] = b->slab_used;
    b->n[b->n_rows] = n_samples;
    b->coverage[b->n_rows] = window->coverage;
    if (!x) {
        *row = b->slab + b->slab_used;
        memset(*row + n_samples, 0, (room - n_samples) * sizeof **row);
    }
    b->n_rows++;
    b->slab_used += room;
    b->n_samples_held += n_samples;
    return NP_OK;
}

enum np_status np_batches_run(struct np_lane *lane, struct np_error *err)
{
    for (struct np_batch *b = lane->batches; b; b = b->next) {
        enum np_status st = batch_run(lane, b, err);
        if (st != NP_OK)
            return st;
    }
    np_grave_empty(&lane->grave);
    return NP_OK;
}

void np_batches_forget(struct np_lane *lane, const struct np_task *task)
{
    for (struct np_batch *b = lane->batches; b; b = b->next) {
        size_t kept = 0;
        for (size_t r = 0; r < b->n_rows; r++) {
            if (b->windows[r].stage->stream->task == task)
                continue;
            b->windows[kept] = b->windows[r];
            b->x[kept] = b->x[r];
            b->offset[kept] = b->offset[r];
            b->n[kept] = b->n[r];
            b->coverage[kept++] = b->coverage[r];
        }
        b->n_rows = kept;
    }
}

void np_batches_close(struct np_lane *lane)
{
    while (lane->batches) {
        struct np_batch *b = lane->batches;
        lane->batches = b->next;
        batch_close(b);
    }
    lane->n_batches = 0;
}
