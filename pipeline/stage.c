#include <stdlib.h>
#include <string.h>

#include "pipeline/hash.h"
#include "pipeline/task.h"

static bool windowed(const struct np_stage *stage)
{
    return stage->step->window_ns > 0;
}

/* --- opening ------------------------------------------------------------------------------------- */

static size_t count_stages(const struct np_pipeline *pl, int input, int parent)
{
    size_t n = 0;

    for (size_t s = 0; s < pl->n_steps; s++)
        n += pl->steps[s].input == input && pl->steps[s].parent == parent;
    return n;
}

static int stage_open(struct np_stage *stage, struct np_stream *stream, int step_index)
{
    const struct np_pipeline *pl = stream->task->lane->pipeline;
    const struct np_step *step = &pl->steps[step_index];

    stage->step = step;
    stage->step_index = step_index;
    stage->stream = stream;
    stage->next_ns = stage->expect.time_ns = NP_TIME_UNSET;
    if (step->parent < 0) {
        stage->ring = &stream->ring;
    } else if (windowed(stage)) {
        stage->ring = calloc(1, sizeof *stage->ring);
        if (!stage->ring)
            return -1;
        stage->ring->readings = true;
        if (pl->steps[step->parent].hop_ns)      /* events of a streaming step come at no rate */
            stage->ring->rate_hz = 1e9 / (double)pl->steps[step->parent].hop_ns;
    }
    if (step->op->state_size) {
        stage->state = calloc(1, step->op->state_size);
        if (!stage->state)
            return -1;
        if (step->op->init)
            step->op->init(step->conf, stage->state);
    }
    return np_stages_open(stream, step_index, &stage->n_children, &stage->children);
}

int np_stages_open(struct np_stream *stream, int parent, size_t *n, struct np_stage **out)
{
    const struct np_pipeline *pl = stream->task->lane->pipeline;
    int input = stream->task->input;
    size_t count = count_stages(pl, input, parent);
    struct np_stage *stages = calloc(count ? count : 1, sizeof *stages);

    *n = 0;
    *out = stages;
    if (!stages)
        return -1;
    for (size_t s = 0; s < pl->n_steps; s++)
        if (pl->steps[s].input == input && pl->steps[s].parent == parent)
            if (stage_open(&stages[(*n)++], stream, (int)s) != 0)
                return -1;
    return 0;
}

void np_stages_close(size_t n, struct np_stage *stages)
{
    for (size_t i = 0; i < n; i++) {
        struct np_stage *stage = &stages[i];
        if (stage->ring && stage->ring != &stage->stream->ring) {
            np_ring_free(stage->ring);
            free(stage->ring);
        }
        free(stage->state);
        free(stage->decision_before);
        np_stages_close(stage->n_children, stage->children);
    }
    free(stages);
}

static int64_t floor_to(int64_t time_ns, int64_t step_ns)
{
    int64_t rest = time_ns % step_ns;

    return time_ns - (rest < 0 ? rest + step_ns : rest);
}

void np_stage_begin(struct np_stage *stage, int64_t earliest_ns)
{
    if (stage->next_ns != NP_TIME_UNSET)
        return;
    stage->next_ns = earliest_ns;
    if (windowed(stage))         /* the first window that holds this time */
        stage->next_ns = floor_to(earliest_ns - stage->step->window_ns, stage->step->hop_ns) + stage->step->hop_ns;
}

int64_t np_stream_closed(const struct np_stream *stream)
{
    int64_t closed = INT64_MAX;

    for (size_t i = 0; i < stream->n_stages; i++)
        closed = stream->stages[i].next_ns < closed ? stream->stages[i].next_ns : closed;
    return closed;
}

/* --- streaming ----------------------------------------------------------------------------------- */

struct push {
    struct np_emit emit;
    struct np_stage *stage;
    int64_t order_ns;
    float coverage;
    int64_t last_ns;             /* of the sample before */
    enum np_status status;
    struct np_error *err;
};

static void push_record(struct np_emit *emit, int64_t start_ns, int64_t end_ns, uint32_t flags,
                        const struct np_value *values)
{
    struct push *push = (struct push *)emit;
    struct np_task *task = push->stage->stream->task;
    struct np_pending record = {.stage = push->stage, .order_ns = push->order_ns, .start_ns = start_ns,
                                .end_ns = end_ns, .offset = task->offset, .coverage = push->coverage, .flags = flags,
                                .values = values};

    if (push->status == NP_OK)
        push->status = np_lane_pend(task->lane, &record, push->err);
}

static int mark_dirty(struct np_stage *stage, const void *before)
{
    struct np_task *task = stage->stream->task;

    if (stage->dirty)
        return 0;
    if (task->n_dirty == task->dirty_capacity) {
        size_t capacity = task->dirty_capacity ? task->dirty_capacity * 2 : 16;
        struct np_stage **more = realloc(task->dirty, capacity * sizeof *more);
        if (!more)
            return -1;
        task->dirty = more;
        task->dirty_capacity = capacity;
    }
    if (task->mode == NP_SUPPRESS) {     /* what Z does not overwrite goes back to this at the cut */
        stage->decision_before = malloc(stage->step->op->decision_size);
        if (!stage->decision_before)
            return -1;
        memcpy(stage->decision_before, before, stage->step->op->decision_size);
    }
    stage->dirty = true;
    task->dirty[task->n_dirty++] = stage;
    return 0;
}

/* Calls push (point given) or idle, and notes whether the decision part changed. */
static void step_state(struct push *push, const struct np_point *point, int64_t last_ns, int64_t time_ns)
{
    struct np_stage *stage = push->stage;
    const struct np_operator *op = stage->step->op;
    unsigned char before[NP_MOST_DECISION_BYTES];
    size_t watched = op->decision_size <= sizeof before ? op->decision_size : 0;

    memcpy(before, stage->state, watched);
    if (point)
        op->push(stage->step->conf, stage->state, point, &push->emit);
    else if (op->idle)
        op->idle(stage->step->conf, stage->state, last_ns, time_ns, &push->emit);
    if (watched && memcmp(before, stage->state, watched) != 0 && mark_dirty(stage, before) != 0 &&
        push->status == NP_OK)
        push->status = np_fail(push->err, NP_ENOMEM, "step %s: decision state", stage->step->name);
}

static void push_samples(void *context, const float *x, uint32_t n, int64_t t0_ns, double rate_hz, uint32_t missing)
{
    struct push *push = context;
    int64_t period_ns = rate_hz > 0 ? (int64_t)(1e9 / rate_hz) : 0;

    for (uint32_t i = 0; i < n; i++) {
        int64_t time_ns = t0_ns + (rate_hz > 0 ? llround(i * 1e9 / rate_hz) : 0);
        struct np_point point = {.time_ns = time_ns, .end_ns = time_ns + period_ns, .value = x[i], .coverage = 1.0f,
                                 .flags = i == 0 && missing ? NP_FLAG_AFTER_GAP : 0};
        push->order_ns = time_ns;
        step_state(push, &point, 0, 0);
    }
}

static struct push push_begin(struct np_stage *stage, struct np_error *err)
{
    return (struct push){.emit = {.record = push_record}, .stage = stage, .coverage = 1.0f, .err = err};
}

static enum np_status advance_samples(struct np_stage *stage, int64_t to_ns, struct np_error *err)
{
    struct push push = push_begin(stage, err);

    if (to_ns <= stage->next_ns)
        return NP_OK;
    np_ring_walk(stage->ring, stage->next_ns, to_ns, &stage->expect, true, push_samples, &push);
    stage->next_ns = to_ns;
    return push.status;
}

/* --- windows ------------------------------------------------------------------------------------- */

struct copy {
    float *to;
    uint32_t n, most;
};

static void copy_piece(void *context, const float *x, uint32_t n, int64_t t0_ns, double rate_hz, uint32_t missing)
{
    struct copy *copy = context;
    uint32_t take = n < copy->most - copy->n ? n : copy->most - copy->n;

    (void)t0_ns, (void)rate_hz, (void)missing;
    memcpy(copy->to + copy->n, x, take * sizeof *x);
    copy->n += take;
}

/* A window that drift left short reads on: samples that must follow it. @return enough are there, none missing */
static bool borrow(const struct np_stage *stage, int64_t end_ns, uint32_t n, double rate_hz,
                   struct np_expectation expect, struct copy *copy)
{
    int64_t to_ns = end_ns + llround((n + 1) * 1e9 / rate_hz);
    struct np_span span = np_ring_walk(stage->ring, end_ns, to_ns, &expect, true, copy ? copy_piece : NULL, copy);

    return span.n >= n && !span.missing && !span.n_nan && !span.mixed_rates && span.rate_hz == rate_hz;
}

/* Closes the window at next_ns. *waiting: an exact window needs samples behind its end that may still come. */
static enum np_status close_window(struct np_stage *stage, int64_t watermark_ns, bool idle, bool *waiting,
                                   struct np_error *err)
{
    const struct np_step *step = stage->step;
    struct np_task *task = stage->stream->task;
    struct np_window w = {.stage = stage, .start_ns = stage->next_ns, .end_ns = stage->next_ns + step->window_ns,
                          .offset = task->offset};
    struct np_expectation begin = stage->expect, next = begin;
    struct np_span span = np_ring_walk(stage->ring, w.start_ns, w.end_ns, &next, false, NULL, NULL);
    uint32_t n = span.n, lacking = 0;
    bool whole = true;
    enum np_status st;
    float *row;

    if (step->op->exact) {
        double exact = round((double)step->window_ns * span.rate_hz * 1e-9);
        n = exact >= 1 && exact < UINT32_MAX ? (uint32_t)exact : 1;
        whole = !span.missing && !span.n_nan && !span.mixed_rates && exact >= 1;
        lacking = whole && span.n < n ? n - span.n : 0;
        if (lacking && !borrow(stage, w.end_ns, lacking, span.rate_hz, next, NULL)) {
            *waiting = !idle && watermark_ns < w.end_ns + llround((lacking + 1) * 1e9 / span.rate_hz);
            if (*waiting)
                return NP_OK;
            whole = false;
            span.missing = lacking;
        }
    }
    w.coverage = span.coverage;
    w.flags = (span.missing || span.n_nan ? NP_FLAG_GAP : 0) | (span.duplicate ? NP_FLAG_DUPLICATE : 0) |
              (stage->skipped ? NP_FLAG_AFTER_GAP : 0) |
              (idle && w.end_ns > watermark_ns && (span.missing || span.rate_hz <= 0) ? NP_FLAG_IDLE : 0);
    task->counts.windows++;
    task->counts.gap += span.missing;
    if (whole) {
        struct copy copy = {.most = n};
        struct np_expectation again = begin;
        st = np_batch_row(task->lane, &w, n, span.rate_hz, lacking ? NULL : span.x, &row, err);
        if (st == NP_OK && row) {
            copy.to = row;
            np_ring_walk(stage->ring, w.start_ns, w.end_ns, &again, false, copy_piece, &copy);
            if (lacking)
                borrow(stage, w.end_ns, lacking, span.rate_hz, next, &copy);
        }
    } else {
        st = np_window_pend(task->lane, &w, 0, NULL, err);
    }
    if (step->hop_ns < step->window_ns) {        /* windows overlap: the next one begins inside this one */
        next = begin;
        np_ring_walk(stage->ring, w.start_ns, w.start_ns + step->hop_ns, &next, true, NULL, NULL);
    }
    stage->expect = next;
    stage->seen = true;
    stage->skipped = false;
    stage->next_ns += step->hop_ns;
    return st;
}

/* Passes over windows that hold no sample: up to the one with the next sample, or to the first that is not due. */
static void skip_empty(struct np_stage *stage, int64_t first_ns, int64_t watermark_ns)
{
    int64_t window_ns = stage->step->window_ns, hop_ns = stage->step->hop_ns;
    int64_t not_due_ns = floor_to(watermark_ns - window_ns, hop_ns) + hop_ns;
    int64_t next_ns = not_due_ns;

    if (first_ns != NP_TIME_UNSET) {
        next_ns = floor_to(first_ns - window_ns, hop_ns) + hop_ns;
        next_ns = next_ns < not_due_ns ? next_ns : not_due_ns;
    }
    if (next_ns <= stage->next_ns)
        return;
    stage->next_ns = next_ns;
    stage->skipped = stage->seen;
}

static enum np_status advance_windows(struct np_stage *stage, int64_t watermark_ns, bool idle, struct np_error *err)
{
    int64_t window_ns = stage->step->window_ns;
    enum np_status st = NP_OK;
    bool waiting = false;

    while (st == NP_OK && !waiting && (idle || stage->next_ns + window_ns <= watermark_ns)) {
        int64_t first_ns = np_ring_next_time(stage->ring, stage->next_ns);
        if (first_ns != NP_TIME_UNSET && first_ns < stage->next_ns + window_ns) {
            st = close_window(stage, watermark_ns, idle, &waiting, err);
            continue;
        }
        skip_empty(stage, first_ns, idle && first_ns != NP_TIME_UNSET ? INT64_MAX / 2 : watermark_ns);
        if (first_ns == NP_TIME_UNSET)
            break;
    }
    if (stage->ring != &stage->stream->ring)
        np_ring_drop_before(stage->ring, stage->next_ns);
    return st;
}

enum np_status np_stage_advance(struct np_stage *stage, int64_t watermark_ns, bool idle, struct np_error *err)
{
    if (!stage->ring || stage->next_ns == NP_TIME_UNSET)
        return NP_OK;
    if (windowed(stage))
        return advance_windows(stage, watermark_ns, idle, err);
    return advance_samples(stage, watermark_ns, err);
}

/* --- chains -------------------------------------------------------------------------------------- */

enum np_status np_stage_idle(struct np_stage *stage, int64_t last_ns, int64_t time_ns, struct np_error *err)
{
    struct np_task *task = stage->stream->task;
    struct np_pending mark = {.stage = stage, .idle = true, .order_ns = last_ns, .start_ns = last_ns,
                              .end_ns = time_ns, .offset = task->offset};
    int64_t watermark_ns = stage->step->parent < 0 ? stage->stream->high_ns : last_ns;
    enum np_status st = np_stage_advance(stage, watermark_ns, true, err);

    if (st == NP_OK && stage->state && time_ns != NP_TIME_UNSET) {
        struct push push = push_begin(stage, err);
        push.order_ns = last_ns;
        step_state(&push, NULL, last_ns, time_ns);
        st = push.status;
    }
    if (st == NP_OK && stage->n_children)
        st = np_lane_pend(task->lane, &mark, err);
    return st;
}

static double column_value(const struct np_step *step, int column, const struct np_value *values)
{
    const struct np_value *v = values ? &values[column] : NULL;

    if (!v)
        return NAN;
    switch (step->columns.items[column].type) {
    case NP_COL_DOUBLE:
    case NP_COL_FLOAT:
        return v->f64;
    case NP_COL_LONG:
        return v->i64 == NP_NULL_LONG ? NAN : (double)v->i64;
    default:
        return NAN;
    }
}

enum np_status np_stage_chain(const struct np_pending *record, struct np_error *err)
{
    struct np_stage *parent = record->stage;
    enum np_status st = NP_OK;

    parent->stream->task->offset = record->offset;
    for (size_t i = 0; i < parent->n_children && st == NP_OK; i++) {
        struct np_stage *child = &parent->children[i];
        double value = column_value(parent->step, child->step->parent_column, record->values);

        if (record->idle) {
            st = np_stage_idle(child, record->start_ns, record->end_ns, err);
        } else if (child->ring) {
            np_stage_begin(child, record->start_ns);
            if (record->start_ns >= child->next_ns &&
                np_ring_put_reading(child->ring, record->start_ns, (float)value, record->coverage, record->offset) ==
                    NP_PUT_NO_MEMORY)
                return np_fail(err, NP_ENOMEM, "step %s: samples", child->step->name);
            st = np_stage_advance(child, record->start_ns + (parent->step->hop_ns ? parent->step->hop_ns : 1), false,
                                  err);
        } else {
            struct push push = push_begin(child, err);
            struct np_point point = {.time_ns = record->start_ns, .end_ns = record->end_ns, .value = value,
                                     .coverage = record->coverage, .flags = record->flags};
            push.order_ns = record->start_ns;
            push.coverage = record->coverage;
            step_state(&push, &point, 0, 0);
            st = push.status;
        }
    }
    return st;
}
