#include <stdlib.h>
#include <string.h>

#include "pipeline/task.h"

enum np_status np_lane_open(struct np_lane **out, const struct np_pipeline *pipeline,
                            const struct np_kernels *kernels, struct np_error *err)
{
    struct np_lane *lane = calloc(1, sizeof *lane);

    if (!lane)
        return np_fail(err, NP_ENOMEM, "a lane");
    lane->pipeline = pipeline;
    lane->kernels = kernels;
    *out = lane;
    return NP_OK;
}

void np_lane_close(struct np_lane *lane)
{
    if (!lane)
        return;
    np_batches_close(lane);
    for (size_t i = 0; i < lane->n_tasks; i++)
        np_task_close(lane->tasks[i]);
    free(lane->tasks);
    free(lane->fresh.items);
    free(lane->done.items);
    np_grave_free(&lane->grave);
    np_arena_free(&lane->arena);
    free(lane);
}

enum np_status np_lane_add(struct np_lane *lane, int input, int32_t partition, struct np_output *output,
                           struct np_task **out, struct np_error *err)
{
    enum np_status st;

    if (lane->n_tasks == lane->tasks_capacity) {
        size_t capacity = lane->tasks_capacity ? lane->tasks_capacity * 2 : 8;
        struct np_task **more = realloc(lane->tasks, capacity * sizeof *more);
        if (!more)
            return np_fail(err, NP_ENOMEM, "%zu partitions", capacity);
        lane->tasks = more;
        lane->tasks_capacity = capacity;
    }
    st = np_task_open(lane, input, partition, output, out, err);
    if (st == NP_OK)
        lane->tasks[lane->n_tasks++] = *out;
    return st;
}

static void forget(struct np_pendings *list, const struct np_task *task)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].stage->stream->task != task)
            list->items[kept++] = list->items[i];
    list->n = kept;
}

void np_lane_remove(struct np_lane *lane, struct np_task *task)
{
    size_t at = 0;

    np_batches_forget(lane, task);
    forget(&lane->fresh, task);
    forget(&lane->done, task);
    while (at < lane->n_tasks && lane->tasks[at] != task)
        at++;
    if (at < lane->n_tasks)
        lane->tasks[at] = lane->tasks[--lane->n_tasks];
    np_task_close(task);
}

/* --- pending records ----------------------------------------------------------------------------- */

static struct np_pending *append(struct np_pendings *list, const struct np_pending *record)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 256;
        struct np_pending *more = realloc(list->items, capacity * sizeof *more);
        if (!more)
            return NULL;
        list->items = more;
        list->capacity = capacity;
    }
    list->items[list->n] = *record;
    return &list->items[list->n++];
}

static void set_null(const struct np_column *column, struct np_value *value)
{
    *value = (struct np_value){0};
    if (column->type == NP_COL_DOUBLE || column->type == NP_COL_FLOAT)
        value->f64 = NAN;
    else if (column->type == NP_COL_LONG || column->type == NP_COL_TIME)
        value->i64 = NP_NULL_LONG;
}

/* Moves a text or an array into the arena. @return false without memory */
static bool keep(struct np_arena *arena, enum np_column_type type, struct np_value *value)
{
    const void *from = type == NP_COL_TEXT ? (const void *)value->text : (const void *)value->floats;
    size_t n;
    void *to;

    if ((type != NP_COL_TEXT && type != NP_COL_FLOATS) || !from)
        return true;
    n = type == NP_COL_TEXT ? strlen(value->text) + 1 : value->n * sizeof *value->floats;
    to = np_arena_get(arena, n);
    if (!to)
        return false;
    memcpy(to, from, n);
    if (type == NP_COL_TEXT)
        value->text = to;
    else
        value->floats = to;
    return true;
}

enum np_status np_lane_pend(struct np_lane *lane, const struct np_pending *record, struct np_error *err)
{
    const struct np_columns *columns = &record->stage->step->columns;
    struct np_pending *pending = append(&lane->fresh, record);
    struct np_value *values;

    if (!pending)
        goto no_memory;
    pending->sequence = lane->sequence++;
    if (record->idle)
        return NP_OK;
    values = np_arena_get(&lane->arena, (columns->n + 1) * sizeof *values);
    if (!values)
        goto no_memory;
    for (size_t c = 0; c < columns->n; c++) {
        if (!record->values) {
            set_null(&columns->items[c], &values[c]);
            continue;
        }
        values[c] = record->values[c];
        if (!keep(&lane->arena, columns->items[c].type, &values[c]))
            goto no_memory;
    }
    pending->values = values;
    return NP_OK;
no_memory:
    return np_fail(err, NP_ENOMEM, "step %s: a record", record->stage->step->name);
}

enum np_status np_window_pend(struct np_lane *lane, const struct np_window *window, uint32_t flags,
                              const struct np_value *values, struct np_error *err)
{
    struct np_pending record = {.stage = window->stage, .order_ns = window->start_ns, .start_ns = window->start_ns,
                                .end_ns = window->end_ns, .offset = window->offset, .coverage = window->coverage,
                                .flags = window->flags | flags, .values = values};

    return np_lane_pend(lane, &record, err);
}

/* --- flush --------------------------------------------------------------------------------------- */

#define ORDER(a, b)                                                                                          \
    if ((a) != (b))                                                                                          \
    return (a) < (b) ? -1 : 1

/* Within a task this order rests on the log alone: trigger, time, stream, step. */
static int by_order(const void *left, const void *right)
{
    const struct np_pending *a = left, *b = right;
    const struct np_stream *sa = a->stage->stream, *sb = b->stage->stream;

    ORDER(sa->task->input, sb->task->input);
    ORDER(sa->task->partition, sb->task->partition);
    ORDER(a->offset, b->offset);
    ORDER(a->order_ns, b->order_ns);
    ORDER(sa->ordinal, sb->ordinal);
    ORDER(a->stage->step_index, b->stage->step_index);
    ORDER(a->idle, b->idle);     /* the silence begins behind the last value, whose batch may be computed later */
    ORDER(a->sequence, b->sequence);
    return 0;
}

/* Rounds of the chain: each hands the records of one depth to the steps behind them. */
static enum np_status chain(struct np_lane *lane, struct np_error *err)
{
    enum np_status st = np_batches_run(lane, err);

    while (st == NP_OK && lane->fresh.n) {
        size_t first = lane->done.n, last;
        qsort(lane->fresh.items, lane->fresh.n, sizeof *lane->fresh.items, by_order);
        for (size_t i = 0; i < lane->fresh.n; i++)
            if (!append(&lane->done, &lane->fresh.items[i]))
                return np_fail(err, NP_ENOMEM, "%zu records", lane->done.n);
        lane->fresh.n = 0;
        last = lane->done.n;
        for (size_t i = first; i < last && st == NP_OK; i++)
            if (lane->done.items[i].stage->n_children)
                st = np_stage_chain(&lane->done.items[i], err);
        if (st == NP_OK)
            st = np_batches_run(lane, err);
    }
    return st;
}

static enum np_status hand_out(const struct np_pending *pending, struct np_error *err)
{
    const struct np_stream *stream = pending->stage->stream;
    struct np_task *task = stream->task;
    struct np_record record = {
        .step = pending->stage->step,
        .sensor = stream->sensor,
        .channel = stream->channel,
        .start_ns = pending->start_ns,
        .end_ns = pending->end_ns,
        .coverage = pending->coverage,
        .flags = pending->flags,
        .values = pending->values,
        .partition = task->partition,
        .offset = pending->offset,
    };

    if (pending->idle || task->mode != NP_EMIT)
        return NP_OK;
    task->counts.records++;
    return task->output->record(task->output, &record, err);
}

enum np_status np_lane_flush(struct np_lane *lane, struct np_error *err)
{
    enum np_status st = chain(lane, err);

    if (st == NP_OK && lane->done.n)
        qsort(lane->done.items, lane->done.n, sizeof *lane->done.items, by_order);
    for (size_t i = 0; i < lane->done.n && st == NP_OK; i++)
        st = hand_out(&lane->done.items[i], err);
    lane->done.n = lane->fresh.n = 0;    /* fresh: left by a failure; their values lie in the arena */
    np_arena_reset(&lane->arena);
    return st;
}

enum np_status np_lane_finish(struct np_lane *lane, struct np_error *err)
{
    enum np_status st = np_lane_flush(lane, err);

    for (size_t i = 0; i < lane->n_tasks && st == NP_OK; i++)
        st = np_task_end(lane->tasks[i], err);
    return st == NP_OK ? np_lane_flush(lane, err) : st;
}
