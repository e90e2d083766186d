/* From the queues of a lane's partitions into their tasks: peek, decode, feed, flush. A message leaves its
 * queue only when it has been fed, so that one that cannot be decoded yet stays first in line. */
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/log.h"
#include "pipeline/worker_lane.h"

#define RUN_BYTES      (2 * 1024 * 1024)
#define RETRY_FIRST_NS 100000000
#define RETRY_LAST_NS  5000000000

/* --- queues --- */

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

void np_lane_clear(struct np_lane_thread *lane, struct np_part *part)
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

/* --- messages --- */

static enum np_status decoder_of(struct np_lane_thread *lane, int input, struct np_error *err)
{
    const struct np_worker_deps *deps = lane->worker->deps;

    if (lane->decoders[input])
        return NP_OK;
    return deps->decoder_open(deps->context, lane->worker->pipeline, input, &lane->decoders[input], err);
}

/* One message. NP_ERETRY: not now, the same one again later. */
static enum np_status feed(struct np_lane_thread *lane, struct np_part *part,
                           const struct np_delivery *delivery, struct np_error *err)
{
    struct np_worker *worker = lane->worker;
    struct np_decoder *decoder;
    struct np_message message;
    const char *reason = "unreadable";
    uint32_t late = 0;
    enum np_status st;

    if (part->recovery && (st = np_part_advance(lane, part, delivery->offset, err)) != NP_OK)
        return st;
    if ((st = decoder_of(lane, part->place.input, err)) != NP_OK)
        return st;
    decoder = lane->decoders[part->place.input];
    worker->source->view(worker->source, delivery, &message);
    st = decoder->decode(decoder, &message, &lane->blocks, &reason, err);
    if (st == NP_EDATA) {
        st = np_part_dead_letter(lane, part, &message, reason, err->text, err);
    } else if (st == NP_OK) {
        st = np_task_feed(part->task, delivery->offset, &lane->blocks, &late, err);
        if (st != NP_OK)
            np_worker_fail(worker, err); /* a batch that cannot be computed holds windows of other partitions, too */
        if (st == NP_OK && late && worker->pipeline->inputs[part->place.input].late_to_dead_letters) {
            char detail[64];

            snprintf(detail, sizeof detail, "%u samples came after their windows had closed", late);
            st = np_part_dead_letter(lane, part, &message, "late", detail, err);
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
        np_part_fail(part, &error);
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

void np_lane_run(struct np_lane_thread *lane)
{
    struct np_worker *worker = lane->worker;
    int64_t now = np_clock_ns(), decoded, computed;
    size_t bytes = 0, most = NP_RUN_MESSAGES / (lane->n_parts ? lane->n_parts : 1) + 1;
    bool any = false;
    struct np_error error;

    lane->turn++;
    for (size_t i = 0; i < lane->n_parts; i++) {
        struct np_part *part = lane->parts[(lane->turn + i) % lane->n_parts];
        size_t n;

        if (part->retry_at_ns > now)
            continue;
        pthread_mutex_lock(&lane->lock);
        n = peek(lane, part, most < NP_RUN_MESSAGES ? most : NP_RUN_MESSAGES, &bytes);
        pthread_mutex_unlock(&lane->lock);
        if (!n)
            continue;
        any = true;
        part->fed_ns = now;
        feed_run(lane, part, n);
    }
    if (!any)
        return;
    decoded = np_clock_ns();
    if (np_lane_flush(lane->lane, &error) != NP_OK)
        np_worker_fail(worker, &error);
    computed = np_clock_ns();
    for (size_t i = 0; i < lane->n_parts; i++) {
        struct np_part *part = lane->parts[i];

        if (part->recovery && !atomic_load(&part->failed) &&
            np_part_advance(lane, part, part->next, &error) != NP_OK)
            np_part_fail(part, &error);
        count(part);
    }
    np_metric_add(worker->m.decode_seconds, (double)(decoded - now) * 1e-9);
    np_metric_add(worker->m.compute_seconds, (double)(computed - decoded) * 1e-9);
    if (charge_open(lane) > (size_t)worker->pipeline->run.memory / 8 / worker->n_lanes)
        np_commit_hurry(worker->commit);
}

bool np_lane_has_work(const struct np_lane_thread *lane, int64_t now, int64_t *retry_ns)
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
