/* A lane's thread: takes runs of messages from its partitions' queues, decodes and feeds them, flushes after each run,
 * and collects what comes out in the partition's open epoch. Whatever the other threads want of a partition (begin,
 * stop, close its epoch) is done here between two runs, when every task stands exactly behind its last message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/log.h"
#include "pipeline/worker_parts.h"

#define RUN_MESSAGES 1024
#define RUN_BYTES (2 * 1024 * 1024)
#define CUT_INTERVAL_NS 3000000000    /* how often a cut advances over input without results */
#define RETRY_FIRST_NS 100000000
#define RETRY_LAST_NS 5000000000

/** Something that another thread wants done between two runs; it waits for it. */
struct call {
    struct call *next;
    void (*run)(struct np_lane_thread *lane, struct call *call);
    bool done;
    struct np_part *part;
    struct np_recovery *recovery; /* in */
    bool last;                    /* in: make a last epoch */
    struct np_epoch *epochs;      /* out */
    enum np_status status;        /* out */
    struct np_error error;
};

struct np_lane_thread {
    struct np_worker *worker;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;         /* of calls, quit and the queues of the parts */
    pthread_cond_t wake, done;
    struct call *calls;
    bool quit;
    struct np_lane *lane;
    struct np_decoder **decoders; /* per input */
    struct np_blocks blocks;
    struct np_bytes headers;
    size_t n_parts, parts_capacity, turn;
    struct np_part **parts;       /* with a task */
    struct np_delivery run[RUN_MESSAGES];
};

/* --- epochs --- */

static struct np_epoch *epoch_of(struct np_part *part)
{
    if (!part->open)
        part->open = np_epoch_open(part->place, part->life);
    return part->open;
}

static void part_fail(struct np_part *part, const struct np_error *error)
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

static enum np_status take_record(struct np_output *output, const struct np_record *record, struct np_error *err)
{
    struct np_part *part = (struct np_part *)((char *)output - offsetof(struct np_part, output));
    struct np_worker *worker = worker_of(part);
    size_t step = (size_t)(record->step - worker->pipeline->steps);
    int32_t id = worker->schema_ids[step];
    struct np_item item = {.to = NP_TO_STEP + (int)step, .end_ns = record->end_ns, .has_key = true, .has_value = true,
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
        unsigned char head[5] = {0, (unsigned char)(id >> 24), (unsigned char)(id >> 16), (unsigned char)(id >> 8),
                                 (unsigned char)id};

        rc = np_bytes_append(&epoch->items, head, sizeof head) || np_record_avro(record, &epoch->items);
    } else {
        rc = np_record_json(record, &epoch->items);
    }
    if (rc)
        return np_fail(err, NP_ENOMEM, "out of memory for a result of %s", record->step->name);
    np_epoch_item_end(epoch, start);
    return NP_OK;
}

static enum np_status take_dead_letter(struct np_lane_thread *lane, struct np_part *part,
                                       const struct np_message *message, const char *reason, const char *detail,
                                       struct np_error *err)
{
    struct np_worker *worker = lane->worker;
    struct np_item item = {.to = NP_TO_DEAD_LETTERS, .has_key = message->key, .has_value = message->value,
                           .key_length = (uint32_t)message->key_length, .end_ns = INT64_MIN};
    struct np_epoch *epoch;
    size_t start;

    if (part->mode != NP_EMIT)
        return NP_OK;
    if (!worker->pipeline->dead_letters)
        return np_fail(err, NP_ESTOP, "%s[%d] offset %lld: %s: %s; there is no dead_letters topic in the pipeline file",
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
static struct np_epoch *close_epoch(struct np_part *part, bool last, struct np_error *err)
{
    int64_t now = np_clock_ns();
    bool snapshot;
    struct np_epoch *epoch;

    err->status = NP_OK;
    if (!part->task || atomic_load(&part->failed))
        return NULL;
    if (part->mode != NP_EMIT)
        return last ? unchanged_epoch(part) : NULL;
    if (np_task_decisions(part->task, take_decision, part) != NP_OK)
        goto memory;
    snapshot = (last || now >= part->snapshot_due_ns) && (part->open || part->next != part->snapshot_cut);
    if (!part->open && !last && !snapshot && (part->next == part->closed_cut || now < part->cut_due_ns))
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

static enum np_status set_decisions(struct np_part *part, struct np_error *err)
{
    struct np_recovery *recovery = part->recovery;
    const struct np_map_entry *entry;
    size_t at = 0;

    while ((entry = np_map_next(&recovery->entries, &at))) {
        enum np_status st = np_task_decision_set(part->task, (const char *)entry->key, entry->key_length,
                                                 entry->value, entry->value_length, err);
        if (st != NP_OK)
            return st;
    }
    return NP_OK;
}

/* The next message has this offset (or a later one): changes the mode where x or the cut is reached. */
static enum np_status advance_mode(struct np_lane_thread *lane, struct np_part *part, int64_t offset,
                                   struct np_error *err)
{
    struct np_recovery *recovery = part->recovery;
    enum np_status st;

    if (part->mode == NP_REFILL && offset >= recovery->x) {
        if ((st = np_lane_flush(lane->lane, err)) != NP_OK || (st = np_task_verify(part->task, err)) != NP_OK)
            return st;
        part->mode = NP_SUPPRESS;
        np_task_set_mode(part->task, NP_SUPPRESS);
    }
    if (part->mode == NP_SUPPRESS && offset >= recovery->cut) {
        if ((st = np_lane_flush(lane->lane, err)) != NP_OK || (st = set_decisions(part, err)) != NP_OK)
            return st;
        np_task_set_mode(part->task, NP_EMIT);
        part->mode = NP_EMIT;
        if (!recovery->migrated && np_task_digest(part->task) != recovery->digest)
            return np_fail(err, NP_ESTOP, "the decision state read from %s.state does not have the digest of its cut %lld",
                           worker_of(part)->pipeline->name, (long long)recovery->cut);
        part->revision = recovery->revisions.n;
        part->closed_cut = recovery->uncommitted ? NP_OFFSET_NONE : recovery->cut;
        part->cut_due_ns = recovery->uncommitted ? 0 : np_clock_ns() + CUT_INTERVAL_NS;
        part->snapshot_cut = recovery->migrated ? NP_OFFSET_NONE : recovery->x;
        part->snapshot_due_ns = recovery->migrated ? 0 : np_clock_ns() + worker_of(part)->pipeline->run.snapshot_ns;
        if (part->next < recovery->cut)
            part->next = recovery->cut;
        np_recovery_free(recovery);
        part->recovery = NULL;
    }
    return NP_OK;
}

/* --- calls --- */

static enum np_status lane_list(struct np_lane_thread *lane, struct np_part *part, struct np_error *err)
{
    enum np_status st = NP_OK;

    pthread_mutex_lock(&lane->lock);
    if (lane->n_parts == lane->parts_capacity) {
        size_t capacity = lane->parts_capacity ? lane->parts_capacity * 2 : 16;
        struct np_part **parts = realloc(lane->parts, capacity * sizeof *parts);

        if (parts) {
            lane->parts = parts;
            lane->parts_capacity = capacity;
        } else {
            st = np_fail(err, NP_ENOMEM, "out of memory for a partition");
        }
    }
    if (st == NP_OK)
        lane->parts[lane->n_parts++] = part;
    pthread_mutex_unlock(&lane->lock);
    return st;
}

static void start_part(struct np_lane_thread *lane, struct call *call)
{
    struct np_part *part = call->part;
    struct np_recovery *recovery = call->recovery;
    struct np_error *err = &call->error;

    part->recovery = recovery;
    part->revisions = recovery->revisions;
    part->digest = recovery->digest;
    part->output.record = take_record;
    part->retry_at_ns = part->retry_wait_ns = 0;
    part->counted = (struct np_task_counts){0};
    atomic_store(&part->failed, false);
    atomic_store(&part->waits, false);
    call->status = np_lane_add(lane->lane, part->place.input, part->place.partition, &part->output, &part->task, err);
    if (call->status != NP_OK)
        return;
    call->status = lane_list(lane, part, err);
    if (call->status != NP_OK)
        return;
    if (recovery->first) {
        struct np_epoch *epoch;

        part->mode = NP_EMIT;
        part->revision = recovery->revisions.n;
        part->next = recovery->cut;
        part->snapshot_due_ns = 0;
        part->closed_cut = part->snapshot_cut = NP_OFFSET_NONE;
        np_recovery_free(recovery);
        part->recovery = NULL;
        epoch = close_epoch(part, true, err);   /* rule 14: an empty snapshot at the first cut */
        if (!epoch) {
            call->status = err->status;
            return;
        }
        call->epochs = epoch;
        return;
    }
    call->status = np_task_restore(part->task, recovery->snapshot.data, recovery->snapshot.n, err);
    if (call->status != NP_OK)
        return;
    np_bytes_free(&recovery->snapshot);
    part->mode = NP_REFILL;
    part->next = recovery->resume;
    np_task_set_mode(part->task, NP_REFILL);
    call->status = advance_mode(lane, part, recovery->resume, err);
}

static void clear_queue(struct np_lane_thread *lane, struct np_part *part)
{
    struct np_worker *worker = lane->worker;

    pthread_mutex_lock(&lane->lock);
    for (; part->n_queued; part->n_queued--) {
        const struct np_delivery *delivery = &part->queue[part->head];

        atomic_fetch_sub(&worker->buffered, delivery->bytes);
        worker->source->release(worker->source, delivery);
        part->head = (part->head + 1) % part->capacity;
    }
    atomic_store(&part->queued_bytes, 0);
    pthread_mutex_unlock(&lane->lock);
}

static void stop_part(struct np_lane_thread *lane, struct call *call)
{
    struct np_part *part = call->part;

    clear_queue(lane, part);
    if (call->last)
        call->epochs = close_epoch(part, true, &call->error);
    call->status = call->last && !call->epochs ? call->error.status : NP_OK;
    np_worker_drop_epoch(lane->worker, part->open);
    part->open = NULL;
    np_recovery_free(part->recovery);
    part->recovery = NULL;
    if (part->task)
        np_lane_remove(lane->lane, part->task);
    part->task = NULL;
    pthread_mutex_lock(&lane->lock);
    for (size_t i = 0; i < lane->n_parts; i++) {
        if (lane->parts[i] == part) {
            lane->parts[i] = lane->parts[--lane->n_parts];
            break;
        }
    }
    pthread_mutex_unlock(&lane->lock);
}

static void collect_parts(struct np_lane_thread *lane, struct call *call)
{
    for (size_t i = 0; i < lane->n_parts; i++) {
        struct np_part *part = lane->parts[i];
        struct np_epoch *epoch = close_epoch(part, false, &call->error);

        if (epoch) {
            epoch->next = call->epochs;
            call->epochs = epoch;
        } else if (call->error.status != NP_OK) {
            np_worker_fail(lane->worker, &call->error);
        }
    }
}

static void call_post(struct np_lane_thread *lane, struct call *call)
{
    pthread_mutex_lock(&lane->lock);
    call->next = lane->calls;
    lane->calls = call;
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
}

static void call_wait(struct np_lane_thread *lane, struct call *call)
{
    pthread_mutex_lock(&lane->lock);
    while (!call->done)
        pthread_cond_wait(&lane->done, &lane->lock);
    pthread_mutex_unlock(&lane->lock);
}

static void serve_calls(struct np_lane_thread *lane)
{
    pthread_mutex_lock(&lane->lock);
    while (lane->calls) {
        struct call *call = lane->calls;

        lane->calls = call->next;
        pthread_mutex_unlock(&lane->lock);
        call->run(lane, call);
        pthread_mutex_lock(&lane->lock);
        call->done = true;
        pthread_cond_broadcast(&lane->done);
    }
    pthread_mutex_unlock(&lane->lock);
}

/* --- messages --- */

static enum np_status decoder_of(struct np_lane_thread *lane, int input, struct np_error *err)
{
    const struct np_worker_deps *deps = lane->worker->deps;

    if (lane->decoders[input])
        return NP_OK;
    return deps->decoder_open(deps->context, lane->worker->pipeline, input, &lane->decoders[input], err);
}

/* One message. NP_ERETRY: not now, the same one again later. */
static enum np_status feed(struct np_lane_thread *lane, struct np_part *part, const struct np_delivery *delivery,
                           struct np_error *err)
{
    struct np_worker *worker = lane->worker;
    struct np_decoder *decoder;
    struct np_message message;
    const char *reason = "unreadable";
    uint32_t late = 0;
    enum np_status st;

    if (part->recovery && (st = advance_mode(lane, part, delivery->offset, err)) != NP_OK)
        return st;
    if ((st = decoder_of(lane, part->place.input, err)) != NP_OK)
        return st;
    decoder = lane->decoders[part->place.input];
    worker->source->view(worker->source, delivery, &message);
    st = decoder->decode(decoder, &message, &lane->blocks, &reason, err);
    if (st == NP_EDATA) {
        st = take_dead_letter(lane, part, &message, reason, err->text, err);
    } else if (st == NP_OK) {
        st = np_task_feed(part->task, delivery->offset, &lane->blocks, &late, err);
        if (st == NP_OK && late && worker->pipeline->inputs[part->place.input].late_to_dead_letters) {
            char detail[64];

            snprintf(detail, sizeof detail, "%u samples came after their windows had closed", late);
            st = take_dead_letter(lane, part, &message, "late", detail, err);
        }
    }
    if (st == NP_OK)
        part->next = delivery->offset + 1;
    return st;
}

/* Copies the next messages of a part without taking them off its queue. Lane locked. */
static size_t peek(struct np_lane_thread *lane, const struct np_part *part, size_t most, size_t *bytes)
{
    size_t n = 0;

    while (n < part->n_queued && n < most && *bytes < RUN_BYTES) {
        lane->run[n] = part->queue[(part->head + n) % part->capacity];
        *bytes += lane->run[n++].bytes;
    }
    return n;
}

/* Takes n messages off the queue and lets them go. */
static void drop(struct np_lane_thread *lane, struct np_part *part, size_t n)
{
    struct np_worker *worker = lane->worker;
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += lane->run[i].bytes;
        worker->source->release(worker->source, &lane->run[i]);
    }
    pthread_mutex_lock(&lane->lock);
    part->head = (part->head + n) % part->capacity;
    part->n_queued -= n;
    pthread_mutex_unlock(&lane->lock);
    atomic_fetch_sub(&part->queued_bytes, bytes);
    atomic_fetch_sub(&worker->buffered, bytes);
}

static void feed_run(struct np_lane_thread *lane, struct np_part *part, size_t n)
{
    struct np_error error = {.status = NP_OK};
    enum np_status st = NP_OK;
    size_t done = 0;

    while (done < n && !atomic_load(&part->failed)) {
        st = feed(lane, part, &lane->run[done], &error);
        if (st != NP_OK)
            break;
        done++;
    }
    if (st == NP_ERETRY) {
        part->retry_wait_ns = part->retry_wait_ns ? part->retry_wait_ns * 2 : RETRY_FIRST_NS;
        if (part->retry_wait_ns > RETRY_LAST_NS)
            part->retry_wait_ns = RETRY_LAST_NS;
        part->retry_at_ns = np_clock_ns() + part->retry_wait_ns;
        atomic_store(&part->waits, true);
        np_log(NP_LOG_WARNING, "lane", "messages wait for the schema registry", "partition=%d reason=\"%s\"",
               (int)part->place.partition, error.text);
    } else {
        part->retry_wait_ns = part->retry_at_ns = 0;
        atomic_store(&part->waits, false);
    }
    if (st == NP_ENOMEM || st == NP_ECONFIG)
        np_worker_fail(lane->worker, &error);
    else if (st != NP_OK && st != NP_ERETRY)
        part_fail(part, &error);
    drop(lane, part, atomic_load(&part->failed) ? n : done);
}

static void count(struct np_part *part)
{
    struct np_task_counts now = np_task_counts(part->task), *old = &part->counted;

    np_metric_add(part->messages, (double)(now.messages - old->messages));
    np_metric_add(part->samples, (double)(now.samples - old->samples));
    np_metric_add(part->late, (double)(now.late - old->late));
    np_metric_add(part->gaps, (double)(now.gap - old->gap));
    np_metric_add(part->duplicates, (double)(now.duplicate - old->duplicate));
    if (now.oldest_watermark_ns != INT64_MIN && now.oldest_watermark_ns != INT64_MAX)
        np_metric_set(part->watermark_lag, (double)(np_wall_ns() - now.oldest_watermark_ns) * 1e-9);
    *old = now;
}

/* Books what the open epochs of the lane hold on the bound of memory. @return all of it */
static size_t charge_open(struct np_lane_thread *lane)
{
    size_t bytes = 0;

    for (size_t i = 0; i < lane->n_parts; i++) {
        struct np_epoch *epoch = lane->parts[i]->open;
        size_t held = epoch ? np_epoch_bytes(epoch) : 0;

        if (!epoch)
            continue;
        atomic_fetch_add(&lane->worker->buffered, held - epoch->charged);
        epoch->charged = held;
        bytes += held;
    }
    return bytes;
}

/* Feeds one run of messages from all parts that have some. @return false if there was none */
static bool run_once(struct np_lane_thread *lane)
{
    struct np_worker *worker = lane->worker;
    int64_t now = np_clock_ns(), decoded, computed;
    size_t bytes = 0, most = RUN_MESSAGES / (lane->n_parts ? lane->n_parts : 1) + 1;
    bool any = false;
    struct np_error error;

    lane->turn++;
    for (size_t i = 0; i < lane->n_parts; i++) {
        struct np_part *part = lane->parts[(lane->turn + i) % lane->n_parts];
        size_t n;

        if (part->retry_at_ns > now)
            continue;
        pthread_mutex_lock(&lane->lock);
        n = peek(lane, part, most < RUN_MESSAGES ? most : RUN_MESSAGES, &bytes);
        pthread_mutex_unlock(&lane->lock);
        if (!n)
            continue;
        any = true;
        feed_run(lane, part, n);
    }
    if (!any)
        return false;
    decoded = np_clock_ns();
    if (np_lane_flush(lane->lane, &error) != NP_OK)
        np_worker_fail(worker, &error);
    computed = np_clock_ns();
    for (size_t i = 0; i < lane->n_parts; i++) {
        struct np_part *part = lane->parts[i];

        if (part->recovery && !atomic_load(&part->failed) && advance_mode(lane, part, part->next, &error) != NP_OK)
            part_fail(part, &error);
        count(part);
    }
    np_metric_add(worker->m.decode_seconds, (double)(decoded - now) * 1e-9);
    np_metric_add(worker->m.compute_seconds, (double)(computed - decoded) * 1e-9);
    if (charge_open(lane) > (size_t)worker->pipeline->run.memory / 8 / worker->n_lanes)
        np_commit_hurry(worker->commit);
    return true;
}

static bool has_work(const struct np_lane_thread *lane, int64_t now, int64_t *retry_ns)
{
    *retry_ns = INT64_MAX;
    for (size_t i = 0; i < lane->n_parts; i++) {
        const struct np_part *part = lane->parts[i];

        if (part->n_queued && part->retry_at_ns <= now)
            return true;
        if (part->n_queued && part->retry_at_ns < *retry_ns)
            *retry_ns = part->retry_at_ns;
    }
    return false;
}

static void *lane_main(void *context)
{
    struct np_lane_thread *lane = context;
    int64_t retry_ns;

    for (;;) {
        pthread_mutex_lock(&lane->lock);
        while (!lane->quit && !lane->calls && !has_work(lane, np_clock_ns(), &retry_ns)) {
            if (retry_ns == INT64_MAX)
                pthread_cond_wait(&lane->wake, &lane->lock);
            else
                np_cond_wait_until(&lane->wake, &lane->lock, retry_ns);
        }
        if (lane->quit && !lane->calls) {
            pthread_mutex_unlock(&lane->lock);
            return NULL;
        }
        pthread_mutex_unlock(&lane->lock);
        serve_calls(lane);
        run_once(lane);
    }
}

/* --- what the other threads call --- */

static void lane_close(struct np_lane_thread *lane)
{
    if (lane->started) {
        pthread_mutex_lock(&lane->lock);
        lane->quit = true;
        pthread_cond_signal(&lane->wake);
        pthread_mutex_unlock(&lane->lock);
        pthread_join(lane->thread, NULL);
    }
    for (size_t i = 0; lane->worker && lane->decoders && i < lane->worker->pipeline->n_inputs; i++)
        if (lane->decoders[i])
            lane->decoders[i]->close(lane->decoders[i]);
    free(lane->decoders);
    np_lane_close(lane->lane);
    np_blocks_free(&lane->blocks);
    np_bytes_free(&lane->headers);
    free(lane->parts);
}

enum np_status np_lanes_open(struct np_worker *worker, struct np_error *err)
{
    worker->lanes = calloc(worker->n_lanes, sizeof *worker->lanes);
    if (!worker->lanes)
        return np_fail(err, NP_ENOMEM, "out of memory for lanes");
    for (size_t i = 0; i < worker->n_lanes; i++) {
        struct np_lane_thread *lane = &worker->lanes[i];
        enum np_status st;

        lane->worker = worker;
        pthread_mutex_init(&lane->lock, NULL);
        np_cond_init(&lane->wake);
        np_cond_init(&lane->done);
        lane->decoders = calloc(worker->pipeline->n_inputs, sizeof(struct np_decoder *));
        if (!lane->decoders)
            return np_fail(err, NP_ENOMEM, "out of memory for lanes");
        st = np_lane_open(&lane->lane, worker->pipeline, worker->deps->kernels, err);
        if (st != NP_OK)
            return st;
        if (pthread_create(&lane->thread, NULL, lane_main, lane) != 0)
            return np_fail(err, NP_ENOMEM, "a thread for a lane could not be started");
        lane->started = true;
    }
    return NP_OK;
}

void np_lanes_close(struct np_worker *worker)
{
    for (size_t i = 0; worker->lanes && i < worker->n_lanes; i++)
        lane_close(&worker->lanes[i]);
    free(worker->lanes);
    worker->lanes = NULL;
}

struct np_lane_thread *np_lanes_pick(struct np_worker *worker, struct np_place place)
{
    return &worker->lanes[((size_t)place.partition + (size_t)place.input) % worker->n_lanes];
}

static int queue_grow(struct np_part *part, size_t n)
{
    size_t capacity = part->capacity ? part->capacity : 64;
    struct np_delivery *queue;

    while (capacity < n)
        capacity *= 2;
    queue = malloc(capacity * sizeof *queue);
    if (!queue)
        return -1;
    for (size_t i = 0; i < part->n_queued; i++)
        queue[i] = part->queue[(part->head + i) % part->capacity];
    free(part->queue);
    part->queue = queue;
    part->capacity = capacity;
    part->head = 0;
    return 0;
}

int np_lane_push(struct np_part *part, const struct np_delivery *deliveries, size_t n)
{
    struct np_lane_thread *lane = part->lane;
    size_t bytes = 0;

    pthread_mutex_lock(&lane->lock);
    if (part->n_queued + n > part->capacity && queue_grow(part, part->n_queued + n)) {
        pthread_mutex_unlock(&lane->lock);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        part->queue[(part->head + part->n_queued++) % part->capacity] = deliveries[i];
        bytes += deliveries[i].bytes;
    }
    atomic_fetch_add(&part->queued_bytes, bytes);
    atomic_fetch_add(&lane->worker->buffered, bytes);
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
    return 0;
}

enum np_status np_lane_start(struct np_part *part, struct np_recovery *recovery, struct np_epoch **first,
                             struct np_error *err)
{
    struct call call = {.run = start_part, .part = part, .recovery = recovery};

    call_post(part->lane, &call);
    call_wait(part->lane, &call);
    *first = call.epochs;
    if (call.status != NP_OK)
        *err = call.error;
    return call.status;
}

enum np_status np_lane_stop(struct np_part *part, struct np_epoch **last, struct np_error *err)
{
    struct call call = {.run = stop_part, .part = part, .last = last};

    call_post(part->lane, &call);
    call_wait(part->lane, &call);
    if (last)
        *last = call.epochs;
    if (call.status != NP_OK)
        *err = call.error;
    return call.status;
}

struct np_epoch *np_lanes_collect(struct np_worker *worker)
{
    struct call calls[worker->n_lanes];
    struct np_epoch *all = NULL;

    for (size_t i = 0; i < worker->n_lanes; i++) {
        calls[i] = (struct call){.run = collect_parts};
        call_post(&worker->lanes[i], &calls[i]);
    }
    for (size_t i = 0; i < worker->n_lanes; i++) {
        call_wait(&worker->lanes[i], &calls[i]);
        while (calls[i].epochs) {
            struct np_epoch *epoch = calls[i].epochs;

            calls[i].epochs = epoch->next;
            epoch->next = all;
            all = epoch;
        }
    }
    return all;
}
