/* A task's state as bytes. Little-endian, one version; operators' states are copied as they lie in memory, so a
 * snapshot also names each step's operator and sizes, and a step whose sizes differ starts fresh. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/task.h"

static const uint32_t version = 1;

/* --- writing ------------------------------------------------------------------------------------- */

struct writer {
    struct np_bytes *out;
    bool failed;
};

static void put(struct writer *w, const void *data, size_t n)
{
    w->failed = w->failed || np_bytes_append(w->out, data, n) != 0;
}

static void put_u32(struct writer *w, uint32_t v)
{
    put(w, &v, sizeof v);
}

static void put_i64(struct writer *w, int64_t v)
{
    put(w, &v, sizeof v);
}

static void put_text(struct writer *w, const char *text)
{
    put_u32(w, (uint32_t)strlen(text));
    put(w, text, strlen(text));
}

static void put_ring(struct writer *w, const struct np_ring *ring)
{
    put_u32(w, np_ring_count(ring));
    for (uint32_t i = ring->first; i < ring->n; i++)
        put(w, &ring->items[i], sizeof ring->items[i]);
}

static void put_stages(struct writer *w, size_t n, const struct np_stage *stages)
{
    put_u32(w, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct np_stage *stage = &stages[i];
        put_u32(w, (uint32_t)stage->step_index);
        put_i64(w, stage->next_ns);
        put_i64(w, stage->expect.time_ns);
        put_u32(w, stage->expect.block);
        put_u32(w, (stage->seen ? 1u : 0) | (stage->skipped ? 2u : 0));
        put_i64(w, (int64_t)stage->digest);
        put(w, stage->state ? stage->state : "", stage->state ? stage->step->op->state_size : 0);
        put_u32(w, stage->ring && stage->step->parent >= 0);
        if (stage->ring && stage->step->parent >= 0)
            put_ring(w, stage->ring);
        put_stages(w, stage->n_children, stage->children);
    }
}

enum np_status np_task_snapshot(const struct np_task *task, struct np_bytes *out)
{
    const struct np_pipeline *pl = task->lane->pipeline;
    struct writer w = {.out = out};

    put_u32(&w, version);
    put_i64(&w, task->event_time_ns);
    put_i64(&w, task->scan_ns);
    put_u32(&w, (uint32_t)pl->n_steps);
    for (size_t s = 0; s < pl->n_steps; s++) {
        put_text(&w, pl->steps[s].name);
        put_text(&w, pl->steps[s].op->name);
        put_u32(&w, (uint32_t)pl->steps[s].op->decision_size);
        put_u32(&w, (uint32_t)pl->steps[s].op->state_size);
        put_i64(&w, pl->steps[s].window_ns);
        put_i64(&w, pl->steps[s].hop_ns);
    }
    put_u32(&w, (uint32_t)task->n_streams);
    for (size_t i = 0; i < task->n_streams; i++) {
        const struct np_stream *stream = task->streams[i];
        put_text(&w, stream->sensor);
        put_text(&w, stream->channel);
        put_i64(&w, stream->last_ns);
        put_i64(&w, stream->high_ns);
        put_u32(&w, (stream->idle ? 1u : 0) | (stream->ring.readings ? 2u : 0));
        put(&w, &stream->ring.rate_hz, sizeof stream->ring.rate_hz);
        put_u32(&w, np_ring_count(&stream->ring));
        put_i64(&w, (int64_t)np_ring_hash(&stream->ring));
        put_stages(&w, stream->n_stages, stream->stages);
    }
    return w.failed ? NP_ENOMEM : NP_OK;
}

/* --- reading ------------------------------------------------------------------------------------- */

struct saved_step {
    int now;                     /* index in the pipeline; -1: gone or changed */
    uint32_t state_size;
};

struct reader {
    const unsigned char *at, *end;
    bool failed;
    uint32_t n_steps;
    struct saved_step *steps;
};

static const void *take(struct reader *r, size_t n)
{
    const void *got = r->at;

    if ((size_t)(r->end - r->at) < n) {
        r->failed = true;
        r->at = r->end;
        return NULL;
    }
    r->at += n;
    return got;
}

static void take_into(struct reader *r, void *to, size_t n)
{
    const void *from = take(r, n);

    if (from)
        memcpy(to, from, n);
    else
        memset(to, 0, n);
}

static uint32_t take_u32(struct reader *r)
{
    uint32_t v;

    take_into(r, &v, sizeof v);
    return v;
}

static int64_t take_i64(struct reader *r)
{
    int64_t v;

    take_into(r, &v, sizeof v);
    return v;
}

/* A copy with an end; the caller frees it. NULL: damaged or no memory. */
static char *take_text(struct reader *r)
{
    uint32_t n = take_u32(r);
    const char *text = take(r, n);
    char *copy = text ? calloc(1, (size_t)n + 1) : NULL;

    if (copy)
        memcpy(copy, text, n);
    r->failed |= !copy;
    return copy;
}

static void take_steps(struct reader *r, const struct np_pipeline *pl)
{
    r->n_steps = take_u32(r);
    if (r->n_steps > 10000)
        r->failed = true;
    r->steps = r->failed ? NULL : calloc(r->n_steps + 1, sizeof *r->steps);
    r->failed |= !r->steps;
    for (uint32_t s = 0; s < r->n_steps && !r->failed; s++) {
        char *name = take_text(r), *op = take_text(r);
        uint32_t decision_size = take_u32(r), state_size = take_u32(r);
        int64_t window_ns = take_i64(r), hop_ns = take_i64(r);

        r->steps[s] = (struct saved_step){.now = -1, .state_size = state_size};
        for (size_t i = 0; i < pl->n_steps && name && op; i++) {
            const struct np_step *step = &pl->steps[i];
            if (strcmp(step->name, name) == 0 && strcmp(step->op->name, op) == 0 &&
                step->op->decision_size == decision_size && step->op->state_size == state_size &&
                step->window_ns == window_ns && step->hop_ns == hop_ns)
                r->steps[s].now = (int)i;
        }
        free(name);
        free(op);
    }
}

static void take_ring(struct reader *r, struct np_ring *ring)
{
    uint32_t n = take_u32(r);

    for (uint32_t i = 0; i < n && !r->failed; i++) {
        struct np_reading item;
        take_into(r, &item, sizeof item);
        if (ring && !r->failed)
            r->failed |= np_ring_put_reading(ring, item.time_ns, item.value, item.coverage, item.offset) ==
                         NP_PUT_NO_MEMORY;
    }
}

static struct np_stage *stage_of(size_t n, struct np_stage *stages, int step_index)
{
    for (size_t i = 0; i < n; i++)
        if (stages[i].step_index == step_index)
            return &stages[i];
    return NULL;
}

static void take_stages(struct reader *r, struct np_task *task, size_t n_now, struct np_stage *now)
{
    uint32_t n = take_u32(r);

    for (uint32_t i = 0; i < n && !r->failed; i++) {
        uint32_t saved = take_u32(r), flags;
        struct np_stage gone = {0}, *stage;
        const void *state;

        if (saved >= r->n_steps) {
            r->failed = true;
            return;
        }
        stage = stage_of(n_now, now, r->steps[saved].now);
        stage = stage ? stage : &gone;
        stage->next_ns = take_i64(r);
        stage->expect.time_ns = take_i64(r);
        stage->expect.block = take_u32(r);
        flags = take_u32(r);
        stage->seen = flags & 1;
        stage->skipped = flags & 2;
        stage->digest = (uint64_t)take_i64(r);
        state = take(r, r->steps[saved].state_size);
        if (stage->state && state)
            memcpy(stage->state, state, r->steps[saved].state_size);
        task->digest += stage == &gone ? 0 : stage->digest;
        if (take_u32(r))
            take_ring(r, stage == &gone ? NULL : stage->ring);
        take_stages(r, task, stage->n_children, stage->children);
    }
}

static void take_stream(struct reader *r, struct np_task *task)
{
    char *sensor = take_text(r), *channel = take_text(r);
    int index = channel ? np_task_channel_index(task, channel) : -2;
    struct np_stream gone = {0}, *stream = &gone;
    uint32_t flags;

    if (sensor && channel && index > -2) {
        stream = np_task_stream(task, sensor, channel, index);
        r->failed |= !stream;
        stream = stream ? stream : &gone;
    }
    stream->last_ns = take_i64(r);
    stream->high_ns = take_i64(r);
    flags = take_u32(r);
    stream->idle = flags & 1;
    stream->ring.readings = flags & 2;
    take_into(r, &stream->ring.rate_hz, sizeof stream->ring.rate_hz);
    stream->at_snapshot.n = take_u32(r);
    stream->at_snapshot.hash = (uint64_t)take_i64(r);
    take_stages(r, task, stream->n_stages, stream->stages);
    free(sensor);
    free(channel);
}

enum np_status np_task_restore(struct np_task *task, const void *data, size_t n, struct np_error *err)
{
    struct reader r = {.at = data, .end = (const unsigned char *)data + n};
    uint32_t found = take_u32(&r), n_streams;

    if (found != version)
        return np_fail(err, NP_ESTOP, "partition %d: a snapshot of version %u; this program reads version %u",
                       (int)task->partition, found, version);
    task->event_time_ns = take_i64(&r);
    task->scan_ns = take_i64(&r);
    take_steps(&r, task->lane->pipeline);
    n_streams = take_u32(&r);
    for (uint32_t i = 0; i < n_streams && !r.failed; i++)
        take_stream(&r, task);
    free(r.steps);
    if (r.failed || r.at != r.end)
        return np_fail(err, NP_ESTOP, "partition %d: the snapshot is damaged or memory is out", (int)task->partition);
    return NP_OK;
}

enum np_status np_task_verify(const struct np_task *task, struct np_error *err)
{
    for (size_t i = 0; i < task->n_streams; i++) {
        const struct np_stream *stream = task->streams[i];
        uint32_t n = np_ring_count(&stream->ring);
        if (n != stream->at_snapshot.n || (n && np_ring_hash(&stream->ring) != stream->at_snapshot.hash))
            return np_fail(err, NP_ESTOP, "partition %d sensor %s channel %s: %u blocks refilled, %u at the snapshot%s",
                           (int)task->partition, stream->sensor, stream->channel, n, stream->at_snapshot.n,
                           n == stream->at_snapshot.n ? ", not the same" : "");
    }
    return NP_OK;
}

int64_t np_task_resume(const struct np_task *task, int64_t next_offset)
{
    int64_t resume = next_offset;

    for (size_t i = 0; i < task->n_streams; i++) {
        int64_t lowest = np_ring_lowest_offset(&task->streams[i]->ring);
        resume = lowest < resume ? lowest : resume;
    }
    return resume;
}
