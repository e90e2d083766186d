/* A lane's thread. Whatever the other threads want of a partition (begin, stop, close its epoch) is done here
 * between two runs of messages, when every task stands exactly behind its last message. */
#include <stdlib.h>

#include "pipeline/worker_lane.h"

/** Something that another thread wants done between two runs; it waits for it. */
struct np_lane_call {
    struct np_lane_call *next;
    void (*run)(struct np_lane_thread *lane, struct np_lane_call *call);
    bool done;
    struct np_part *part;
    struct np_recovery *recovery; /* in */
    bool last;                    /* in: make a last epoch */
    struct np_epoch *epochs;      /* out */
    enum np_status status;        /* out */
    struct np_error error;
};

/* --- calls, as the lane serves them --- */

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

static void start_part(struct np_lane_thread *lane, struct np_lane_call *call)
{
    call->status = lane_list(lane, call->part, &call->error);
    if (call->status == NP_OK)
        call->status = np_part_open(lane, call->part, call->recovery, &call->epochs, &call->error);
    else
        np_recovery_free(call->recovery);
}

static void stop_part(struct np_lane_thread *lane, struct np_lane_call *call)
{
    struct np_part *part = call->part;

    np_lane_clear(lane, part);
    if (call->last)
        call->epochs = np_part_close_epoch(part, true, &call->error);
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

static void collect_parts(struct np_lane_thread *lane, struct np_lane_call *call)
{
    for (size_t i = 0; i < lane->n_parts; i++) {
        struct np_part *part = lane->parts[i];
        struct np_epoch *epoch = np_part_close_epoch(part, false, &call->error);

        if (epoch) {
            epoch->next = call->epochs;
            call->epochs = epoch;
        } else if (call->error.status != NP_OK) {
            np_worker_fail(lane->worker, &call->error);
        }
    }
}

static void call_post(struct np_lane_thread *lane, struct np_lane_call *call)
{
    pthread_mutex_lock(&lane->lock);
    call->next = lane->calls;
    lane->calls = call;
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
}

static void call_wait(struct np_lane_thread *lane, struct np_lane_call *call)
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
        struct np_lane_call *call = lane->calls;

        lane->calls = call->next;
        pthread_mutex_unlock(&lane->lock);
        call->run(lane, call);
        pthread_mutex_lock(&lane->lock);
        call->done = true;
        pthread_cond_broadcast(&lane->done);
    }
    pthread_mutex_unlock(&lane->lock);
}

static void *lane_main(void *context)
{
    struct np_lane_thread *lane = context;
    int64_t retry_ns;

    for (;;) {
        pthread_mutex_lock(&lane->lock);
        while (!lane->quit && !lane->calls && !np_lane_has_work(lane, np_clock_ns(), &retry_ns)) {
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
        np_lane_run(lane);
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

enum np_status np_lane_start(struct np_part *part, struct np_recovery *recovery, struct np_epoch **first,
                             struct np_error *err)
{
    struct np_lane_call call = {.run = start_part, .part = part, .recovery = recovery};

    call_post(part->lane, &call);
    call_wait(part->lane, &call);
    *first = call.epochs;
    if (call.status != NP_OK)
        *err = call.error;
    return call.status;
}

enum np_status np_lane_stop(struct np_part *part, struct np_epoch **last, struct np_error *err)
{
    struct np_lane_call call = {.run = stop_part, .part = part, .last = last};

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
    struct np_lane_call calls[worker->n_lanes];
    struct np_epoch *all = NULL;

    for (size_t i = 0; i < worker->n_lanes; i++) {
        calls[i] = (struct np_lane_call){.run = collect_parts};
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
