/* Decision state: what operators set by comparing floats goes into every transaction, entry by entry (PROTOCOL.md, rule 9). */
#include <stdlib.h>
#include <string.h>

#include "pipeline/hash.h"
#include "pipeline/task.h"

static const char separator = '\x1f';

static int entry_key(const struct np_stage *stage, struct np_bytes *key)
{
    const char *parts[3] = {stage->stream->sensor, stage->stream->channel, stage->step->name};

    key->n = 0;
    for (int i = 0; i < 3; i++)
        if ((i && np_bytes_append(key, &separator, 1) != 0) || np_bytes_append(key, parts[i], strlen(parts[i])) != 0)
            return -1;
    return 0;
}

static void settle(struct np_task *task, struct np_stage *stage, const struct np_bytes *key)
{
    uint64_t digest = np_hash(stage->state, stage->step->op->decision_size, np_hash(key->data, key->n, 1));

    digest = digest ? digest : 1;
    task->digest += digest - stage->digest;
    stage->digest = digest;
    stage->dirty = false;
    free(stage->decision_before);
    stage->decision_before = NULL;
}

enum np_status np_task_decisions(struct np_task *task,
                                 enum np_status (*each)(void *context, const char *key, size_t key_length,
                                                        const void *value, size_t value_length),
                                 void *context)
{
    struct np_bytes key = {0};
    enum np_status st = NP_OK;

    for (size_t i = 0; i < task->n_dirty && st == NP_OK; i++) {
        struct np_stage *stage = task->dirty[i];
        if (!stage->dirty)
            continue;
        if (entry_key(stage, &key) != 0) {
            st = NP_ENOMEM;
            break;
        }
        settle(task, stage, &key);
        st = each(context, (const char *)key.data, key.n, stage->state, stage->step->op->decision_size);
    }
    task->n_dirty = 0;
    np_bytes_free(&key);
    return st;
}

static struct np_stage *stage_named(size_t n, struct np_stage *stages, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        struct np_stage *below = stage_named(stages[i].n_children, stages[i].children, name);
        if (below)
            return below;
        if (strcmp(stages[i].step->name, name) == 0)
            return &stages[i];
    }
    return NULL;
}

enum np_status np_task_decision_set(struct np_task *task, const char *key, size_t key_length, const void *value,
                                    size_t value_length, struct np_error *err)
{
    struct np_bytes bytes = {0};
    char *sensor, *channel, *step;
    struct np_stream *stream;
    struct np_stage *stage = NULL;
    enum np_status st = NP_OK;
    int index;

    if (np_bytes_append(&bytes, key, key_length) != 0 || np_bytes_append(&bytes, "", 1) != 0) {
        st = np_fail(err, NP_ENOMEM, "partition %d: a decision entry", (int)task->partition);
        goto out;
    }
    sensor = (char *)bytes.data;
    channel = strchr(sensor, separator);
    step = channel ? strchr(channel + 1, separator) : NULL;
    if (!step) {
        st = np_fail(err, NP_ESTOP, "partition %d: a decision entry with a damaged key", (int)task->partition);
        goto out;
    }
    *channel++ = *step++ = '\0';
    index = np_task_channel_index(task, channel);
    if (index < -1)
        goto out;                /* a channel that the file no longer has */
    stream = np_task_stream(task, sensor, channel, index);
    if (!stream) {
        st = np_fail(err, NP_ENOMEM, "partition %d: a stream", (int)task->partition);
        goto out;
    }
    stage = stage_named(stream->n_stages, stream->stages, step);
    if (!stage || stage->step->op->decision_size != value_length)
        goto out;
    memcpy(stage->state, value, value_length);
    bytes.n = 0;
    if (entry_key(stage, &bytes) != 0)
        st = np_fail(err, NP_ENOMEM, "partition %d: a decision entry", (int)task->partition);
    else
        settle(task, stage, &bytes);
out:
    np_bytes_free(&bytes);
    return st;
}

uint64_t np_task_digest(const struct np_task *task)
{
    return task->digest;
}

void np_task_set_mode(struct np_task *task, enum np_mode mode)
{
    /* What was decided while recomputing and is not in Z was not decided then: back to the snapshot's. */
    for (size_t i = 0; task->mode == NP_SUPPRESS && i < task->n_dirty; i++) {
        struct np_stage *stage = task->dirty[i];
        if (!stage->dirty || !stage->decision_before)
            continue;
        memcpy(stage->state, stage->decision_before, stage->step->op->decision_size);
        free(stage->decision_before);
        stage->decision_before = NULL;
        stage->dirty = false;
    }
    if (task->mode == NP_SUPPRESS)
        task->n_dirty = 0;
    task->mode = mode;
}
