#include <stdlib.h>
#include <string.h>

#include "pipeline/hash.h"
#include "pipeline/task.h"

/* --- sensors and streams ------------------------------------------------------------------------- */

static void stream_close(struct np_stream *stream)
{
    if (!stream)
        return;
    np_stages_close(stream->n_stages, stream->stages);
    np_ring_free(&stream->ring);
    free(stream->sensor);
    free(stream->channel);
    free(stream);
}

static void *grown(void *items, size_t n, size_t *capacity, size_t item_size)
{
    size_t more = *capacity ? *capacity * 2 : 16;
    void *out;

    if (n < *capacity)
        return items;
    out = realloc(items, more * item_size);
    if (out)
        *capacity = more;
    return out;
}

static bool table_grow(struct np_task *task)
{
    size_t slots = task->slots ? task->slots * 2 : 64;
    uint32_t *table = calloc(slots, sizeof *table);

    if (!table)
        return false;
    for (size_t i = 0; i < task->n_sensors; i++) {
        size_t at = task->sensors[i]->hash & (slots - 1);
        while (table[at])
            at = (at + 1) & (slots - 1);
        table[at] = (uint32_t)i + 1;
    }
    free(task->table);
    task->table = table;
    task->slots = slots;
    return true;
}

static struct np_sensor *sensor_find(struct np_task *task, const char *name)
{
    struct np_sensor *sensor = task->latest, **more;
    uint64_t hash;
    size_t at;

    if (sensor && strcmp(sensor->name, name) == 0)
        return sensor;
    if ((task->n_sensors + 1) * 2 > task->slots && !table_grow(task))
        return NULL;
    hash = np_hash(name, strlen(name), 0);
    for (at = hash & (task->slots - 1); task->table[at]; at = (at + 1) & (task->slots - 1)) {
        sensor = task->sensors[task->table[at] - 1];
        if (sensor->hash == hash && strcmp(sensor->name, name) == 0)
            return task->latest = sensor;
    }
    more = grown(task->sensors, task->n_sensors, &task->sensors_capacity, sizeof *more);
    if (!more)
        return NULL;
    task->sensors = more;
    sensor = calloc(1, sizeof *sensor);
    if (!sensor)
        return NULL;
    sensor->name = strdup(name);
    sensor->hash = hash;
    if (!sensor->name) {
        free(sensor);
        return NULL;
    }
    task->sensors[task->n_sensors++] = sensor;
    task->table[at] = (uint32_t)task->n_sensors;
    return task->latest = sensor;
}

static struct np_stream *stream_open(struct np_task *task, const char *sensor, const char *channel)
{
    struct np_stream *stream = calloc(1, sizeof *stream), **more;

    more = grown(task->streams, task->n_streams, &task->streams_capacity, sizeof *more);
    if (more)
        task->streams = more;
    if (!stream || !more)
        goto fail;
    stream->task = task;
    stream->ring.grave = &task->lane->grave;
    stream->ordinal = (uint32_t)task->n_streams;
    stream->last_ns = stream->high_ns = NP_TIME_UNSET;
    stream->sensor = strdup(sensor);
    stream->channel = strdup(channel);
    if (!stream->sensor || !stream->channel ||
        np_stages_open(stream, -1, &stream->n_stages, &stream->stages) != 0)
        goto fail;
    task->streams[task->n_streams++] = stream;
    return stream;
fail:
    stream_close(stream);
    return NULL;
}

struct np_stream *np_task_stream(struct np_task *task, const char *sensor_name, const char *channel, int channel_index)
{
    struct np_sensor *sensor = sensor_find(task, sensor_name);
    size_t at;

    if (!sensor)
        return NULL;
    if (channel_index >= 0) {
        at = (size_t)channel_index;
    } else {
        for (at = 0; at < sensor->n; at++)
            if (sensor->streams[at] && strcmp(sensor->streams[at]->channel, channel) == 0)
                return sensor->streams[at];
    }
    if (at < sensor->n && sensor->streams[at])
        return sensor->streams[at];
    if (at >= sensor->capacity) {
        size_t capacity = at + 1 > sensor->capacity * 2 ? at + 1 : sensor->capacity * 2;
        struct np_stream **more = realloc(sensor->streams, capacity * sizeof *more);
        if (!more)
            return NULL;
        memset(more + sensor->capacity, 0, (capacity - sensor->capacity) * sizeof *more);
        sensor->streams = more;
        sensor->capacity = capacity;
    }
    sensor->n = at + 1 > sensor->n ? at + 1 : sensor->n;
    return sensor->streams[at] = stream_open(task, sensor_name, channel);
}

int np_task_channel_index(const struct np_task *task, const char *channel)
{
    const struct np_mapping *map = &task->lane->pipeline->inputs[task->input].map;

    if (map->channel_name)
        return -1;
    for (size_t i = 0; i < map->n_channels; i++)
        if (strcmp(map->channels[i].name, channel) == 0)
            return (int)i;
    return -2;
}

/* --- life ---------------------------------------------------------------------------------------- */

enum np_status np_task_open(struct np_lane *lane, int input, int32_t partition, struct np_output *output,
                            struct np_task **out, struct np_error *err)
{
    struct np_task *task = calloc(1, sizeof *task);

    if (!task)
        return np_fail(err, NP_ENOMEM, "partition %d: its state", (int)partition);
    task->lane = lane;
    task->input = input;
    task->partition = partition;
    task->output = output;
    task->mode = NP_EMIT;
    task->event_time_ns = task->scan_ns = NP_TIME_UNSET;
    task->counts.event_time_ns = task->counts.oldest_watermark_ns = NP_TIME_UNSET;
    *out = task;
    return NP_OK;
}

void np_task_close(struct np_task *task)
{
    if (!task)
        return;
    for (size_t i = 0; i < task->n_streams; i++)
        stream_close(task->streams[i]);
    for (size_t i = 0; i < task->n_sensors; i++) {
        free(task->sensors[i]->streams);
        free(task->sensors[i]->name);
        free(task->sensors[i]);
    }
    free(task->streams);
    free(task->sensors);
    free(task->table);
    free(task->touched);
    free(task->dirty);
    free(task);
}

/* --- feeding ------------------------------------------------------------------------------------- */

static const struct np_input *input_of(const struct np_task *task)
{
    return &task->lane->pipeline->inputs[task->input];
}

static void stage_begin_all(struct np_stream *stream, int64_t first_ns)
{
    for (size_t i = 0; i < stream->n_stages; i++)
        np_stage_begin(&stream->stages[i], first_ns - input_of(stream->task)->lateness_ns);
}

static enum np_put put_waveform(struct np_stream *stream, const struct np_block *block, int64_t closed, uint32_t *late,
                                uint32_t *duplicate)
{
    double before = ceil((double)(closed - block->t0_ns) * block->rate_hz * 1e-9 - NP_BORDER_SLACK);
    enum np_put result = NP_PUT_TAKEN;
    uint32_t n_late = 0;

    if (closed > block->t0_ns)
        n_late = before < block->n ? (uint32_t)before : block->n;
    if (n_late < block->n)
        result = np_ring_put_block(&stream->ring, block, stream->task->offset);
    *late += n_late;
    *duplicate += result == NP_PUT_DUPLICATE ? block->n : 0;
    return result;
}

/* A stream keeps the kind that it began with, also when its ring is empty; samples of the other kind go in one by one. */
static enum np_put put_one(struct np_stream *stream, const struct np_block *block, uint32_t i, int64_t closed,
                           uint32_t *late, uint32_t *duplicate)
{
    int64_t time_ns = block->rate_hz > 0 ? block->t0_ns + llround(i * 1e9 / block->rate_hz) : block->times[i];
    enum np_put result;

    if (!stream->ring.readings && stream->ring.rate_hz > 0) {
        struct np_block one = {.t0_ns = time_ns, .rate_hz = stream->ring.rate_hz, .n = 1, .x = &block->x[i]};
        return put_waveform(stream, &one, closed, late, duplicate);
    }
    if (time_ns < closed) {
        ++*late;
        return NP_PUT_TAKEN;
    }
    result = np_ring_put_reading(&stream->ring, time_ns, block->x[i], 1.0f, stream->task->offset);
    *duplicate += result == NP_PUT_DUPLICATE;
    return result;
}

static enum np_status put(struct np_task *task, struct np_stream *stream, const struct np_block *block,
                          uint32_t *late, struct np_error *err)
{
    int64_t closed = np_stream_closed(stream);
    uint32_t n_late = 0, duplicate = 0;
    enum np_put result = NP_PUT_TAKEN;

    if (block->rate_hz > 0 && !stream->ring.readings)
        result = put_waveform(stream, block, closed, &n_late, &duplicate);
    else
        for (uint32_t i = 0; i < block->n && result != NP_PUT_NO_MEMORY; i++)
            result = put_one(stream, block, i, closed, &n_late, &duplicate);
    if (result == NP_PUT_NO_MEMORY)
        return np_fail(err, NP_ENOMEM, "sensor %s channel %s: samples", stream->sensor, stream->channel);
    if (task->mode == NP_REFILL)
        return NP_OK;
    *late += n_late;
    task->counts.late += n_late;
    task->counts.duplicate += duplicate;
    task->counts.samples += block->n;
    return NP_OK;
}

/* Just behind the last sample. Not one period behind it: where drift makes the next block begin early, its first
 * sample may still belong to the window that this block nearly fills. But behind it by more than the slack with
 * which the ring judges borders, so that a walk up to here takes the sample in. */
static int64_t block_end(const struct np_block *block)
{
    double behind = block->rate_hz > 0 ? 2 * NP_BORDER_SLACK * 1e9 / block->rate_hz : 0;

    return np_block_last(block) + llround(behind) + 1;
}

static int64_t block_begin(const struct np_block *block)
{
    int64_t begin = block->t0_ns;

    if (block->rate_hz > 0)
        return begin;
    begin = block->times[0];
    for (uint32_t i = 1; i < block->n; i++)
        begin = block->times[i] < begin ? block->times[i] : begin;
    return begin;
}

static enum np_status advance(struct np_stream *stream, struct np_error *err)
{
    int64_t watermark_ns = stream->high_ns - input_of(stream->task)->lateness_ns;
    enum np_status st = NP_OK;

    for (size_t i = 0; i < stream->n_stages && st == NP_OK; i++)
        st = np_stage_advance(&stream->stages[i], watermark_ns, false, err);
    np_ring_drop_before(&stream->ring, np_stream_closed(stream));
    return st;
}

/* time_ns: the partition's event time, or NP_TIME_UNSET at the end of the input. */
static enum np_status fall_silent(struct np_stream *stream, int64_t time_ns, struct np_error *err)
{
    enum np_status st = NP_OK;

    stream->idle = true;
    for (size_t i = 0; i < stream->n_stages && st == NP_OK; i++)
        st = np_stage_idle(&stream->stages[i], stream->last_ns, time_ns, err);
    np_ring_drop_before(&stream->ring, np_stream_closed(stream));
    return st;
}

/* Silence is judged by the partition's own event time, at fixed steps of it: by the log alone. */
static enum np_status scan_idle(struct np_task *task, struct np_error *err)
{
    int64_t idle_ns = input_of(task)->idle_ns;
    enum np_status st = NP_OK;

    if (idle_ns <= 0)
        return NP_OK;
    if (task->scan_ns != NP_TIME_UNSET && task->event_time_ns < task->scan_ns)
        return NP_OK;
    task->scan_ns = task->event_time_ns + idle_ns / 8;
    for (size_t i = 0; i < task->n_streams && st == NP_OK; i++) {
        struct np_stream *stream = task->streams[i];
        if (!stream->idle && stream->high_ns != NP_TIME_UNSET && task->event_time_ns - stream->high_ns >= idle_ns)
            st = fall_silent(stream, task->event_time_ns, err);
    }
    return st;
}

static enum np_status feed_block(struct np_task *task, const struct np_block *block, uint32_t *late,
                                 struct np_error *err)
{
    struct np_stream *stream = np_task_stream(task, block->sensor, block->channel, block->channel_index), **more;
    int64_t end_ns;
    enum np_status st;

    if (!np_block_is_in_time(block))
        return np_fail(err, NP_EDATA, "sensor %s channel %s: a time is not between 1900 and 2100", block->sensor,
                       block->channel);
    if (!stream)
        return np_fail(err, NP_ENOMEM, "sensor %s channel %s: its stream", block->sensor, block->channel);
    end_ns = block_end(block);
    if (!stream->n_stages)
        return NP_OK;
    stage_begin_all(stream, block_begin(block));
    st = put(task, stream, block, late, err);
    if (st != NP_OK || task->mode == NP_REFILL)
        return st;
    if (stream->high_ns == NP_TIME_UNSET || end_ns > stream->high_ns) {
        stream->high_ns = end_ns;
        stream->last_ns = np_block_last(block);
        stream->idle = false;
    }
    if (task->event_time_ns == NP_TIME_UNSET || end_ns > task->event_time_ns)
        task->event_time_ns = end_ns;
    if (stream->touched)
        return NP_OK;
    more = grown(task->touched, task->n_touched, &task->touched_capacity, sizeof *more);
    if (!more)
        return np_fail(err, NP_ENOMEM, "partition %d: streams of a message", (int)task->partition);
    task->touched = more;
    task->touched[task->n_touched++] = stream;
    stream->touched = true;
    return NP_OK;
}

enum np_status np_task_feed(struct np_task *task, int64_t offset, const struct np_blocks *blocks, uint32_t *late,
                            struct np_error *err)
{
    enum np_status st = NP_OK;

    *late = 0;
    task->offset = task->fed_offset = offset;
    for (size_t b = 0; b < blocks->n && st == NP_OK; b++)
        if (blocks->items[b].n)
            st = feed_block(task, &blocks->items[b], late, err);
    for (size_t i = 0; i < task->n_touched; i++) {
        if (st == NP_OK)
            st = advance(task->touched[i], err);
        task->touched[i]->touched = false;
    }
    task->n_touched = 0;
    if (st == NP_OK && task->mode != NP_REFILL && task->event_time_ns != NP_TIME_UNSET)
        st = scan_idle(task, err);
    task->counts.messages += task->mode != NP_REFILL;
    return st;
}

enum np_status np_task_end(struct np_task *task, struct np_error *err)
{
    enum np_status st = NP_OK;

    task->offset = task->fed_offset;
    for (size_t i = 0; i < task->n_streams && st == NP_OK; i++)
        if (!task->streams[i]->idle && task->streams[i]->high_ns != NP_TIME_UNSET)
            st = fall_silent(task->streams[i], NP_TIME_UNSET, err);
    return st;
}

struct np_task_counts np_task_counts(const struct np_task *task)
{
    struct np_task_counts counts = task->counts;

    counts.event_time_ns = task->event_time_ns;
    counts.streams = task->n_streams;
    counts.oldest_watermark_ns = NP_TIME_UNSET;
    for (size_t i = 0; i < task->n_streams; i++) {
        const struct np_stream *stream = task->streams[i];
        int64_t watermark_ns;
        if (stream->idle || stream->high_ns == NP_TIME_UNSET)
            continue;
        watermark_ns = stream->high_ns - input_of(task)->lateness_ns;
        if (counts.oldest_watermark_ns == NP_TIME_UNSET || watermark_ns < counts.oldest_watermark_ns)
            counts.oldest_watermark_ns = watermark_ns;
    }
    return counts;
}
