/* One partition in its lane: its open epoch, and its way from refill over suppress to emit (rule 12). */
#include <stdio.h>
#include <string.h>

#include "pipeline/worker_lane.h"

/* A cut advances over input without results so often, or when no message has come for so long. */
#define CUT_INTERVAL_NS 3000000000
#define CUT_QUIET_NS    300000000

/* --- epochs --- */

static struct np_epoch *epoch_of(struct np_part *part)
{
    if (!part->open)
        part->open = np_epoch_open(part->place, part->life);
    return part->open;
}

void np_part_fail(struct np_part *part, const struct np_error *error)
{
    if (atomic_load(&part->failed))
        return;
    part->error = *error;
    atomic_store(&part->failed, true);
}

static struct np_worker *worker_of(const struct np_part *part)
{
    return part->lane->worker;
}

static enum np_status take_record(struct np_output *output, const struct np_record *record,
                                  struct np_error *err)
{
    struct np_part *part = (struct np_part *)((char *)output - offsetof(struct np_part, output));
    struct np_worker *worker = worker_of(part);
    size_t step = (size_t)(record->step - worker->pipeline->steps);
    int32_t id = worker->schema_ids[step];
    struct np_item item = {.to = NP_TO_STEP + (int)step,
                           .end_ns = record->end_ns,
                           .has_key = true,
                           .has_value = true,
                           .key_length = (uint32_t)strlen(record->sensor)};
    struct np_epoch *epoch;
    size_t start;
    int rc;

    if (part->mode != NP_EMIT || !record->step->topic)
        return NP_OK;
    epoch = epoch_of(part);
    if (!epoch || np_epoch_item_begin(epoch, &item, record->sensor, NULL, &start))
        return np_fail(err, NP_ENOMEM, "out of memory for a result of %s", record->step->name);
    if (record->step->topic_format == NP_FORMAT_AVRO) {
        unsigned char head[5] = {0, (unsigned char)(id >> 24), (unsigned char)(id >> 16),
                                 (unsigned char)(id >> 8), (unsigned char)id};

        rc = np_bytes_append(&epoch->items, head, sizeof head) || np_record_avro(record, &epoch->items);
    } else {
        rc = np_record_json(record, &epoch->items);
    }
    if (rc)
        return np_fail(err, NP_ENOMEM, "out of memory for a result of %s", record->step->name);
    np_epoch_item_end(epoch, start);
    return NP_OK;
}

enum np_status np_part_dead_letter(struct np_lane_thread *lane, struct np_part *part,
                                   const struct np_message *message, const char *reason, const char *detail,
                                   struct np_error *err)
{
    struct np_worker *worker = lane->worker;
    struct np_item item = {.to = NP_TO_DEAD_LETTERS,
                           .has_key = message->key,
                           .has_value = message->value,
                           .key_length = (uint32_t)message->key_length,
                           .end_ns = INT64_MIN};
    struct np_epoch *epoch;
    size_t start;

    if (part->mode != NP_EMIT)
        return NP_OK;
    if (!worker->pipeline->dead_letters)
        return np_fail(err, NP_ESTOP,
                       "%s[%d] offset %lld: %s: %s; there is no dead_letters topic in the pipeline file",
                       message->topic, (int)message->partition, (long long)message->offset, reason, detail);
    lane->headers.n = 0;
    epoch = epoch_of(part);
    if (!epoch || worker->source->dead_letter(message, reason, detail, &lane->headers))
        return np_fail(err, NP_ENOMEM, "out of memory for a dead letter");
    item.headers_length = (uint32_t)lane->headers.n;
    if (np_epoch_item_begin(epoch, &item, message->key, lane->headers.data, &start) ||
        np_bytes_append(&epoch->items, message->value, message->value_length))
        return np_fail(err, NP_ENOMEM, "out of memory for a dead letter");
    np_epoch_item_end(epoch, start);
    return NP_OK;
}

static enum np_status take_decision(void *context, const char *key, size_t key_length, const void *value,
                                    size_t value_length)
{
    struct np_epoch *epoch = epoch_of(context);

    if (!epoch || np_epoch_entry_add(epoch, key, key_length, value, value_length))
        return NP_ENOMEM;
    return NP_OK;
}

/* Nothing was recomputed yet that may be told: the cut stays, only membership is proven. */
static struct np_epoch *unchanged_epoch(struct np_part *part)
{
    struct np_epoch *epoch = epoch_of(part);

    if (!epoch)
        return NULL;
    part->open = NULL;
    epoch->cut = part->recovery->cut;
    epoch->digest = part->digest;
    epoch->revision = part->recovery->revision_committed;
    return epoch;
}

/* Closes the open epoch of a part; NULL when it is not worth a transaction (or, with error set, failed). */
struct np_epoch *np_part_close_epoch(struct np_part *part, bool last, struct np_error *err)
{
    int64_t now = np_clock_ns();
    bool snapshot;
    struct np_epoch *epoch;

    err->status = NP_OK;
    /* after a failure the task may stand behind results that were never made */
    if (!part->task || atomic_load(&part->failed) || atomic_load(&worker_of(part)->failing))
        return NULL;
    if (part->mode != NP_EMIT)
        return last ? unchanged_epoch(part) : NULL;
    if (np_task_decisions(part->task, take_decision, part) != NP_OK)
        goto memory;
    snapshot = (last || now >= part->snapshot_due_ns) && (part->open || part->next != part->snapshot_cut);
    if (!part->open && !last && !snapshot &&
        (part->next == part->closed_cut || (now < part->cut_due_ns && now < part->fed_ns + CUT_QUIET_NS)))
        return NULL;
    epoch = epoch_of(part);
    if (!epoch)
        goto memory;
    epoch->cut = part->next;
    epoch->digest = part->digest = np_task_digest(part->task);
    epoch->revision = part->revision;
    if (snapshot) {
        if (np_task_snapshot(part->task, &epoch->snapshot) != NP_OK)
            goto memory;
        epoch->has_snapshot = true;
        epoch->resume = np_task_resume(part->task, part->next);
        part->snapshot_due_ns = now + worker_of(part)->pipeline->run.snapshot_ns;
        part->snapshot_cut = part->next;
    }
    part->open = NULL;
    part->closed_cut = part->next;
    part->cut_due_ns = now + CUT_INTERVAL_NS;
    return epoch;
memory:
    np_fail(err, NP_ENOMEM, "out of memory for the state of a partition");
    return NULL;
}

/* --- recovery: refill, suppress, emit --- */

/* Does an entry's key, "<sensor>\x1f<channel>\x1f<step>", name a step that the pipeline has? */
static bool has_step(const struct np_pipeline *pipeline, const struct np_map_entry *entry)
{
    const unsigned char *name = memrchr(entry->key, '\x1f', entry->key_length);
    size_t n = name ? entry->key_length - (size_t)(++name - entry->key) : 0;

    for (size_t i = 0; i < pipeline->n_steps; i++)
        if (strlen(pipeline->steps[i].name) == n && memcmp(pipeline->steps[i].name, name, n) == 0)
            return true;
    return false;
}

/* Overwrites what was recomputed by what was decided; entries of steps that are gone get a tombstone. */
static enum np_status set_decisions(struct np_part *part, struct np_error *err)
{
    struct np_recovery *recovery = part->recovery;
    const struct np_map_entry *entry;
    size_t at = 0;

    while ((entry = np_map_next(&recovery->entries, &at))) {
        enum np_status st;

        if (!has_step(worker_of(part)->pipeline, entry)) {
            struct np_epoch *epoch = epoch_of(part);

            if (!epoch || np_epoch_entry_add(epoch, entry->key, entry->key_length, NULL, 0))
                return np_fail(err, NP_ENOMEM, "out of memory for decision entries");
            continue;
        }
        st = np_task_decision_set(part->task, (const char *)entry->key, entry->key_length, entry->value,
                                  entry->value_length, err);
        if (st != NP_OK)
            return st;
    }
    return NP_OK;
}

static enum np_status flush(struct np_lane_thread *lane, struct np_error *err)
{
    enum np_status st = np_lane_flush(lane->lane, err);

    if (st != NP_OK)
        np_worker_fail(lane->worker, err); /* results of any partition of the lane may be missing */
    return st;
}

/* The next message has this offset (or a later one): changes the mode where x or the cut is reached. */
enum np_status np_part_advance(struct np_lane_thread *lane, struct np_part *part, int64_t offset,
                               struct np_error *err)
{
    struct np_recovery *recovery = part->recovery;
    enum np_status st;

    if (part->mode == NP_REFILL && offset >= recovery->x) {
        if ((st = flush(lane, err)) != NP_OK)
            return st;
        /* other steps need other samples */
        if (!recovery->migrated && (st = np_task_verify(part->task, err)) != NP_OK)
            return st;
        part->mode = NP_SUPPRESS;
        np_task_set_mode(part->task, NP_SUPPRESS);
    }
    if (part->mode == NP_SUPPRESS && offset >= recovery->cut) {
        if ((st = flush(lane, err)) != NP_OK || (st = set_decisions(part, err)) != NP_OK)
            return st;
        np_task_set_mode(part->task, NP_EMIT);
        part->mode = NP_EMIT;
        if (!recovery->migrated && np_task_digest(part->task) != recovery->digest)
            return np_fail(err, NP_ESTOP,
                           "the decision state read from %s.state does not have the digest of its cut %lld",
                           worker_of(part)->pipeline->name, (long long)recovery->cut);
        part->revision = recovery->revisions.n;
        part->closed_cut = recovery->uncommitted ? NP_OFFSET_NONE : recovery->cut;
        part->cut_due_ns = recovery->uncommitted ? 0 : np_clock_ns() + CUT_INTERVAL_NS;
        part->snapshot_cut = recovery->migrated ? NP_OFFSET_NONE : recovery->x;
        part->snapshot_due_ns =
            recovery->migrated ? 0 : np_clock_ns() + worker_of(part)->pipeline->run.snapshot_ns;
        if (part->next < recovery->cut)
            part->next = recovery->cut;
        np_recovery_free(recovery);
        part->recovery = NULL;
    }
    return NP_OK;
}

enum np_status np_part_open(struct np_lane_thread *lane, struct np_part *part, struct np_recovery *recovery,
                            struct np_epoch **first, struct np_error *err)
{
    enum np_status st;

    part->recovery = recovery;
    part->revisions = recovery->revisions;
    part->digest = recovery->digest;
    part->output.record = take_record;
    part->retry_at_ns = part->retry_wait_ns = 0;
    part->counted = (struct np_task_counts){0};
    atomic_store(&part->failed, false);
    atomic_store(&part->waits, false);
    st = np_lane_add(lane->lane, part->place.input, part->place.partition, &part->output, &part->task, err);
    if (st != NP_OK)
        return st;
    if (recovery->first) {
        part->mode = NP_EMIT;
        part->revision = recovery->revisions.n;
        part->next = recovery->cut;
        part->snapshot_due_ns = 0;
        part->closed_cut = part->snapshot_cut = NP_OFFSET_NONE;
        np_recovery_free(recovery);
        part->recovery = NULL;
        *first = np_part_close_epoch(part, true, err);
        return *first ? NP_OK : err->status;
    }
    st = np_task_restore(part->task, recovery->snapshot.data, recovery->snapshot.n, err);
    if (st != NP_OK)
        return st;
    np_bytes_free(&recovery->snapshot);
    part->mode = NP_REFILL;
    part->next = recovery->resume;
    np_task_set_mode(part->task, NP_REFILL);
    return np_part_advance(lane, part, recovery->resume, err);
}
