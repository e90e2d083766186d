/* The polling thread: steers what the other threads do. It owns the state of each partition (away,
 * recovering, running, stopped) and answers the group's events by rules 3 to 5 of the commit protocol. */
#include "pipeline/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/crash_point.h"
#include "pipeline/hash.h"
#include "pipeline/log.h"
#include "pipeline/worker_parts.h"

#define POLL_CAPACITY   2048
#define POLL_MS         20 /* longest time that a recovered partition waits to be started */
#define FULL_MS         2
#define DRAIN_NS        5000000000
#define HOUSEKEEPING_NS 250000000

/** The polling thread's own. */
struct poller {
    struct np_worker *worker;
    atomic_bool *ready;
    size_t room, hold_bytes; /* bounds: of all that is buffered, of one partition that waits */
    int64_t housekeeping_ns;
    bool leaving; /* the loop ends, in good order; see reason */
    struct np_error reason;
    struct np_delivery deliveries[POLL_CAPACITY];
};

static enum np_status add_part(struct np_worker *worker, struct np_place place, struct np_part **out,
                               struct np_error *err)
{
    struct np_part *part = np_worker_part(worker, place);

    if (!part) {
        part = calloc(1, sizeof *part);
        if (!part)
            return np_fail(err, NP_ENOMEM, "out of memory for a partition");
        part->place = place;
        part->cut = NP_OFFSET_NONE;
        part->lane = np_lanes_pick(worker, place);
        np_worker_part_metrics(worker, part);
        pthread_mutex_lock(&worker->parts_lock);
        if (worker->n_parts == worker->parts_capacity) {
            size_t capacity = worker->parts_capacity ? worker->parts_capacity * 2 : 16;
            struct np_part **parts = realloc(worker->parts, capacity * sizeof *parts);

            if (!parts) {
                pthread_mutex_unlock(&worker->parts_lock);
                free(part);
                return np_fail(err, NP_ENOMEM, "out of memory for a partition");
            }
            worker->parts = parts;
            worker->parts_capacity = capacity;
        }
        worker->parts[worker->n_parts++] = part;
        pthread_mutex_unlock(&worker->parts_lock);
    }
    *out = part;
    return NP_OK;
}

static void leave_for(struct poller *poller, const struct np_error *error)
{
    if (poller->leaving)
        return;
    poller->leaving = true;
    poller->reason = *error;
}

/* --- one partition --- */

static void recover_part(struct poller *poller, struct np_part *part)
{
    struct np_error error;

    part->life++;
    part->held = false;
    part->state = NP_PART_RECOVERING;
    if (np_recoverer_add(poller->worker->recoverer, part->place, part->life, &error) != NP_OK)
        np_worker_fail(poller->worker, &error);
}

/* Lane and commit forget the partition; nothing of it is committed any more. The commit thread is held. */
static void drop_part(struct poller *poller, struct np_part *part)
{
    struct np_error error;

    if (part->state == NP_PART_RUNNING)
        np_lane_stop(part, NULL, &error);
    np_commit_forget(poller->worker->commit, part);
    part->state = NP_PART_AWAY;
    part->life++;
}

/* The partition goes no further until somebody looks; the others go on. */
static void stop_part(struct poller *poller, struct np_part *part, const struct np_error *error)
{
    struct np_worker *worker = poller->worker;
    char name[300];

    np_log(NP_LOG_ERROR, "worker", "partition stopped", "partition=%s reason=\"%s\"",
           np_place_text(worker->pipeline, part->place, name), error->text);
    np_metric_add(worker->m.stopped, 1);
    worker->source->hold(worker->source, part->place);
    np_commit_hold(worker->commit);
    drop_part(poller, part);
    np_commit_continue(worker->commit);
    part->state = NP_PART_STOPPED;
    part->error = *error;
    for (size_t i = 0; i < worker->n_parts; i++)
        if (worker->parts[i]->state == NP_PART_RUNNING || worker->parts[i]->state == NP_PART_RECOVERING)
            return;
    leave_for(poller, error);
}

static void start_part(struct poller *poller, struct np_part *part, struct np_recovery *recovery)
{
    struct np_worker *worker = poller->worker;
    int64_t offset = recovery->first ? recovery->cut : recovery->resume;
    bool none = recovery->first || recovery->uncommitted;
    struct np_epoch *first = NULL;
    struct np_error error;
    enum np_status st;

    np_commit_begin(worker->commit, part, none ? NP_OFFSET_NONE : recovery->cut, recovery->chunks);
    part->state = NP_PART_RUNNING;
    st = np_lane_start(part, recovery, &first, &error);
    if (st == NP_OK) {
        if (first)
            np_commit_add(worker->commit, first);
        part->next_fetch = offset;
        st = worker->source->start(worker->source, part->place, offset, &error);
    }
    if (st == NP_ENOMEM)
        np_worker_fail(worker, &error);
    else if (st != NP_OK)
        stop_part(poller, part, &error);
}

static void take_recovered(struct poller *poller)
{
    struct np_worker *worker = poller->worker;
    struct np_recovery *recovery;

    while ((recovery = np_recoverer_take(worker->recoverer))) {
        struct np_part *part = np_worker_part(worker, recovery->place);

        if (!part || part->life != recovery->life || part->state != NP_PART_RECOVERING) {
            np_recovery_free(recovery);
        } else if (recovery->status == NP_OK) {
            start_part(poller, part, recovery);
        } else {
            if (recovery->status == NP_EFENCED)
                leave_for(poller, &recovery->error);
            else if (recovery->status == NP_ENOMEM)
                np_worker_fail(worker, &recovery->error);
            else if (recovery->status != NP_EEND)
                stop_part(poller, part, &recovery->error);
            np_recovery_free(recovery);
        }
    }
}

/* --- events of the group --- */

/* Rule 5: state is kept only over an unbroken row of generations. */
static bool unbroken(const struct np_worker *worker, const struct np_member *member)
{
    return worker->member && (member->generation == worker->member->generation ||
                              member->generation == worker->member->generation + 1);
}

static void set_member(struct np_worker *worker, struct np_member *member)
{
    np_commit_member(worker->commit, member);
    np_member_drop(worker->member);
    worker->member = member;
}

static bool is_among(struct np_place place, const struct np_place *places, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (places[i].input == place.input && places[i].partition == place.partition)
            return true;
    return false;
}

/* A generation was missed: somebody else may have owned what we hold. The commit thread is held. */
static void distrust_kept(struct poller *poller, const struct np_place *leaving, size_t n)
{
    struct np_worker *worker = poller->worker;

    for (size_t i = 0; i < worker->n_parts; i++) {
        struct np_part *part = worker->parts[i];

        if ((part->state != NP_PART_RUNNING && part->state != NP_PART_RECOVERING) ||
            is_among(part->place, leaving, n))
            continue;
        worker->source->hold(worker->source, part->place);
        drop_part(poller, part);
        recover_part(poller, part);
    }
}

static void assigned(void *context, struct np_member *member, const struct np_place *places, size_t n)
{
    struct poller *poller = context;
    struct np_worker *worker = poller->worker;
    bool kept = unbroken(worker, member);
    struct np_part *part = NULL;
    struct np_error error;

    np_log(NP_LOG_INFO, "worker", "partitions assigned", "count=%zu generation=%d", n,
           (int)member->generation);
    if (poller->ready)
        atomic_store(poller->ready, true);
    if (!kept)
        np_commit_cancel(worker->commit);
    set_member(worker, member);
    np_commit_hold(worker->commit);
    NP_CRASH_POINT("worker.assigned");
    if (!kept)
        distrust_kept(poller, NULL, 0);
    for (size_t i = 0; i < n; i++) {
        if (add_part(worker, places[i], &part, &error) != NP_OK) {
            np_worker_fail(worker, &error);
            break;
        }
        if (part->state == NP_PART_RUNNING)
            drop_part(poller, part);
        if (places[i].partition >= worker->facts[places[i].input].partitions) {
            np_fail(&error, NP_ESTOP,
                    "topic %s has more partitions than the %d it had at the start: a sensor's "
                    "messages may now be split over two",
                    worker->pipeline->inputs[places[i].input].topic,
                    (int)worker->facts[places[i].input].partitions);
            leave_for(poller, &error);
            break;
        }
        recover_part(poller, part);
    }
    np_commit_continue(worker->commit);
}

/* Last epochs with snapshots of what goes, committed with the membership just taken. The commit thread is
 * held. */
static void hand_over(struct poller *poller, const struct np_place *places, size_t n)
{
    struct np_worker *worker = poller->worker;
    struct np_error error;

    for (size_t i = 0; i < n; i++) {
        struct np_part *part = np_worker_part(worker, places[i]);
        struct np_epoch *last = NULL;

        if (!part || part->state != NP_PART_RUNNING || atomic_load(&part->failed))
            continue;
        if (np_lane_stop(part, &last, &error) != NP_OK)
            np_log(NP_LOG_WARNING, "worker", "no last snapshot", "partition=%d reason=\"%s\"",
                   (int)places[i].partition, error.text);
        part->state = NP_PART_AWAY;
        if (last)
            np_commit_add(worker->commit, last);
    }
    NP_CRASH_POINT("worker.handing_over");
    if (!np_commit_drain(worker->commit, DRAIN_NS))
        np_log(NP_LOG_WARNING, "worker", "last results not committed; the next owner computes them again",
               NULL);
}

static void revoked(void *context, struct np_member *member, const struct np_place *places, size_t n)
{
    struct poller *poller = context;
    struct np_worker *worker = poller->worker;
    bool kept = member && unbroken(worker, member);

    np_log(NP_LOG_INFO, "worker", member ? "partitions revoked" : "partitions lost",
           "count=%zu generation=%d", n, member ? (int)member->generation : -1);
    if (!kept)
        np_commit_cancel(worker->commit);
    if (member)
        set_member(worker, member);
    np_commit_hold(worker->commit);
    if (kept && !atomic_load(&worker->failing))
        hand_over(poller, places, n);
    for (size_t i = 0; i < n; i++) {
        struct np_part *part = np_worker_part(worker, places[i]);

        if (part)
            drop_part(poller, part);
    }
    if (!kept)
        distrust_kept(poller, places, n);
    NP_CRASH_POINT("worker.revoked");
    np_commit_continue(worker->commit);
}

static void place_failed(void *context, struct np_place place, const struct np_error *error)
{
    struct poller *poller = context;
    struct np_part *part = np_worker_part(poller->worker, place);

    if (part && part->state == NP_PART_RUNNING)
        stop_part(poller, part, error);
}

/* --- messages --- */

static void dispatch(struct poller *poller, size_t n)
{
    struct np_worker *worker = poller->worker;
    struct np_delivery *deliveries = poller->deliveries;
    struct np_error error;

    for (size_t from = 0, to; from < n; from = to) {
        struct np_place place = deliveries[from].place;
        struct np_part *part = np_worker_part(worker, place);

        for (to = from; to < n && deliveries[to].place.partition == place.partition &&
                        deliveries[to].place.input == place.input;
             to++) {
            if (part && part->state == NP_PART_RUNNING && deliveries[to].offset >= part->next_fetch)
                continue;
            /* not ours any more, or seen before a seek */
            worker->source->release(worker->source, &deliveries[to]);
            from = to + 1;
        }
        if (from == to)
            continue;
        part->next_fetch = deliveries[to - 1].offset + 1;
        if (np_lane_push(part, &deliveries[from], to - from)) {
            np_fail(&error, NP_ENOMEM, "out of memory for a queue of messages");
            np_worker_fail(worker, &error);
            for (; from < to; from++)
                worker->source->release(worker->source, &deliveries[from]);
        }
    }
}

/* Partitions whose lane waits for the registry are held when they have enough; failed ones are stopped. */
static void look_after(struct poller *poller)
{
    struct np_worker *worker = poller->worker;
    int64_t now = np_clock_ns();
    struct np_error error;

    if (now < poller->housekeeping_ns)
        return;
    poller->housekeeping_ns = now + HOUSEKEEPING_NS;
    np_metric_set(worker->m.buffered, (double)atomic_load(&worker->buffered));
    for (size_t i = 0; i < worker->n_parts; i++) {
        struct np_part *part = worker->parts[i];
        bool waits = atomic_load(&part->waits);

        if (part->state != NP_PART_RUNNING)
            continue;
        if (atomic_load(&part->failed)) {
            error = part->error;
            stop_part(poller, part, &error);
        } else if (waits && !part->held && atomic_load(&part->queued_bytes) > poller->hold_bytes) {
            worker->source->hold(worker->source, part->place);
            part->held = true;
        } else if (!waits && part->held) {
            part->held = false;
            if (worker->source->start(worker->source, part->place, part->next_fetch, &error) != NP_OK)
                stop_part(poller, part, &error);
        }
    }
}

static void poll_until_stop(struct poller *poller)
{
    struct np_worker *worker = poller->worker;
    struct np_error error;

    while (!atomic_load(worker->stop) && !atomic_load(&worker->failing) && !poller->leaving) {
        bool full = atomic_load(&worker->buffered) > poller->room;
        size_t n = 0;

        np_beat_give(worker->deps->beat, false);
        take_recovered(poller);
        if (worker->source->poll(worker->source, poller->deliveries, full ? 0 : POLL_CAPACITY, &n,
                                 full ? FULL_MS : POLL_MS, &error) != NP_OK)
            np_worker_fail(worker, &error);
        dispatch(poller, n);
        look_after(poller);
    }
}

/* --- putting it together --- */

static enum np_status schema_ids(struct np_worker *worker, struct np_error *err)
{
    const struct np_pipeline *pipeline = worker->pipeline;
    struct np_bytes schema = {0};
    enum np_status st = NP_OK;

    worker->schema_ids = calloc(pipeline->n_steps + 1, sizeof *worker->schema_ids);
    if (!worker->schema_ids)
        return np_fail(err, NP_ENOMEM, "out of memory for schema ids");
    for (size_t i = 0; i < pipeline->n_steps && st == NP_OK; i++) {
        const struct np_step *step = &pipeline->steps[i];
        char subject[300];

        if (!step->topic || step->topic_format != NP_FORMAT_AVRO)
            continue;
        schema.n = 0;
        if (np_record_avro_schema(pipeline, step, &schema) || np_bytes_append(&schema, "", 1)) {
            st = np_fail(err, NP_ENOMEM, "out of memory for the schema of %s", step->name);
            break;
        }
        snprintf(subject, sizeof subject, "%s-value", step->topic);
        st = worker->deps->schema_id(worker->deps->context, subject, (const char *)schema.data,
                                     &worker->schema_ids[i], err);
    }
    np_bytes_free(&schema);
    return st;
}

static uint64_t hash_node(const struct np_node *node, uint64_t hash)
{
    if (!node)
        return np_hash("", 0, hash);
    hash = np_hash(&node->n, sizeof node->n, hash + (uint64_t)node->kind);
    if (node->kind == NP_NODE_SCALAR)
        return np_hash(node->text, strlen(node->text), hash);
    for (size_t i = 0; i < node->n; i++) {
        if (node->kind == NP_NODE_MAP)
            hash = hash_node(node->keys[i], hash);
        hash = hash_node(node->items[i], hash);
    }
    return hash;
}

/* What decides the results makes the revision (rule 19): not comments, not how and where the program runs. */
static uint64_t revision_hash(const struct np_pipeline *pipeline)
{
    const struct np_node *outputs = np_node_get(pipeline->root, "outputs");
    uint64_t hash = hash_node(np_node_get(pipeline->root, "inputs"), 0);

    hash = hash_node(np_node_get(pipeline->root, "steps"), hash);
    return hash_node(outputs ? np_node_get(outputs, "topics") : NULL, hash);
}

static const char *worker_name(const struct np_pipeline *pipeline, char out[256])
{
    if (pipeline->run.worker)
        return pipeline->run.worker;
    if (gethostname(out, 256) != 0)
        snprintf(out, 256, "worker");
    out[255] = '\0';
    return out;
}

static enum np_status open_all(struct poller *poller, struct np_error *err)
{
    struct np_worker *worker = poller->worker;
    const struct np_pipeline *pipeline = worker->pipeline;
    const struct np_worker_deps *deps = worker->deps;
    struct np_source_events events = {poller, assigned, revoked, place_failed, NULL};
    struct np_sink *sink = NULL;
    enum np_status st;
    char host[256];

    worker->facts = calloc(pipeline->n_inputs + 1, sizeof *worker->facts);
    if (!worker->facts)
        return np_fail(err, NP_ENOMEM, "out of memory for topics");
    if ((st = np_worker_metrics(worker, err)) != NP_OK ||
        (st = deps->topics(pipeline, worker->facts, err)) != NP_OK ||
        (st = deps->source_open(&worker->source, pipeline, &events, err)) != NP_OK ||
        (st = schema_ids(worker, err)) != NP_OK || (st = np_lanes_open(worker, err)) != NP_OK ||
        (st = deps->sink_open(&sink, pipeline, worker_name(pipeline, host), err)) != NP_OK ||
        (st = np_commit_open(worker, sink, err)) != NP_OK)
        return st;
    return np_recoverer_open(worker, err);
}

static void close_all(struct np_worker *worker)
{
    np_recoverer_close(worker);
    np_commit_close(worker);
    np_lanes_close(worker);
    if (worker->source)
        worker->source->close(worker->source);
    np_member_drop(worker->member);
    for (size_t i = 0; i < worker->n_parts; i++) {
        free(worker->parts[i]->queue);
        free(worker->parts[i]);
    }
    free(worker->parts);
    free(worker->facts);
    free(worker->schema_ids);
    free(worker->m.step_records);
}

enum np_status np_worker_run(const struct np_pipeline *pipeline, const struct np_worker_deps *deps,
                             const atomic_bool *stop, atomic_bool *ready, struct np_metrics *metrics,
                             struct np_error *err)
{
    struct np_worker worker = {.pipeline = pipeline, .deps = deps, .stop = stop, .metrics = metrics};
    struct poller *poller = calloc(1, sizeof *poller);
    enum np_status st;

    if (!poller)
        return np_fail(err, NP_ENOMEM, "out of memory for the worker");
    poller->worker = &worker;
    poller->ready = ready;
    poller->room = (size_t)pipeline->run.memory / 2;
    poller->hold_bytes = poller->room / 8;
    pthread_mutex_init(&worker.parts_lock, NULL);
    pthread_mutex_init(&worker.failure_lock, NULL);
    worker.revision_hash = revision_hash(pipeline);
    worker.n_lanes =
        pipeline->run.lanes ? (size_t)pipeline->run.lanes : (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    st = open_all(poller, err);
    if (st == NP_OK) {
        poll_until_stop(poller);
        st = worker.source->leave(worker.source, err);
        if (atomic_load(&worker.failing)) {
            *err = worker.failure;
            st = worker.failure.status;
        } else if (poller->leaving) {
            *err = poller->reason;
            st = poller->reason.status;
        }
    }
    close_all(&worker);
    free(poller);
    return st;
}
