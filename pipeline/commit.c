/* The commit thread: every commit interval it collects the epochs of the lanes and puts them into one
 * transaction with offsets and state. A batch of epochs is kept until the broker has acknowledged it: after
 * an abort it is sent again as it is; after an unknown outcome the group's committed offset tells whether it
 * went through (rule 8).
 *
 * The polling thread steers it from its rebalance events: hold (no transaction is open any more), drain
 * (commit what was added, now), forget (epochs of places let go). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/crash_point.h"
#include "pipeline/log.h"
#include "pipeline/worker_parts.h"

#define BACKOFF_NS         100000000
#define HOLD_PATIENCE_NS   5000000000
#define FENCED_TWICE_NS    60000000000
#define RESOLVE_TIMEOUT_MS 2000

struct np_commit {
    struct np_worker *worker;
    struct np_sink *sink;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    struct np_member *member;  /* for the transactions to come; NULL: none yet */
    struct np_member *refused; /* the broker did not take this one: wait for another */
    int hold;                  /* begin nothing */
    bool cancel;               /* a transaction that has not sent its offsets is to be aborted */
    bool busy, quit, hurry, drain;
    struct np_epoch *pending; /* oldest first */
    struct np_epoch *batch;   /* at most one per place; what the transaction at work holds */
    /* commit thread only */
    bool broken, unresolved; /* the producer must be renewed; the batch's fate is unknown */
    int64_t next_ns, fenced_ns;
    struct np_bytes key, value;
};

static void append(struct np_epoch **list, struct np_epoch *epochs)
{
    while (*list)
        list = &(*list)->next;
    *list = epochs;
}

/* Moves the oldest epoch of each place from pending into the batch. Locked. */
static void pick(struct np_commit *commit)
{
    struct np_epoch **from = &commit->pending;

    while (*from) {
        struct np_epoch *epoch = *from, *other = commit->batch;

        while (other &&
               (other->place.input != epoch->place.input || other->place.partition != epoch->place.partition))
            other = other->next;
        if (other) {
            from = &epoch->next;
            continue;
        }
        *from = epoch->next;
        epoch->next = NULL;
        append(&commit->batch, epoch);
    }
}

/* --- one transaction --- */

static enum np_status send_state(struct np_commit *commit, const struct np_epoch *epoch, char kind,
                                 const void *entry, size_t entry_length, bool tombstone, struct np_error *err)
{
    const struct np_input *input = &commit->worker->pipeline->inputs[epoch->place.input];
    struct np_outgoing out = {.to = NP_TO_STATE, .partition = epoch->place.partition};

    commit->key.n = 0;
    if (np_state_key(input->name, kind, entry, entry_length, &commit->key))
        return np_fail(err, NP_ENOMEM, "out of memory for a state record");
    out.key = commit->key.data;
    out.key_length = commit->key.n;
    out.value = tombstone ? NULL : commit->value.data;
    out.value_length = tombstone ? 0 : commit->value.n;
    return commit->sink->send(commit->sink, &out, err);
}

static enum np_status send_snapshot(struct np_commit *commit, const struct np_epoch *epoch,
                                    struct np_error *err)
{
    struct np_worker *worker = commit->worker;
    const struct np_part *part = np_worker_part(worker, epoch->place);
    struct np_snapshot_header header = {
        .x = epoch->cut,
        .resume = epoch->resume,
        .chunks = np_snapshot_chunks(epoch->snapshot.n),
        .bytes = epoch->snapshot.n,
        .hash = np_snapshot_hash(&epoch->snapshot, epoch->cut),
        .partitions = worker->facts[epoch->place.input].partitions,
        .revisions = part->revisions,
        .text = worker->pipeline->text,
        .text_length = strlen(worker->pipeline->text),
    };
    enum np_status st = NP_OK;
    char number[12];

    for (uint32_t i = 0; (i < header.chunks || i < part->chunks) && st == NP_OK; i++) {
        int length = snprintf(number, sizeof number, "%03u", i);

        commit->value.n = 0;
        if (i < header.chunks && np_snapshot_chunk_write(&epoch->snapshot, header.hash, i, &commit->value))
            return np_fail(err, NP_ENOMEM, "out of memory for a snapshot");
        st = send_state(commit, epoch, 's', number, (size_t)length, i >= header.chunks, err);
    }
    commit->value.n = 0;
    if (st == NP_OK && np_snapshot_header_write(&header, &commit->value))
        return np_fail(err, NP_ENOMEM, "out of memory for a snapshot");
    return st == NP_OK ? send_state(commit, epoch, 'h', NULL, 0, false, err) : st;
}

static enum np_status send_epoch(struct np_commit *commit, const struct np_epoch *epoch, struct np_error *err)
{
    struct np_cut_record cut = {.cut = epoch->cut, .revision = epoch->revision, .digest = epoch->digest};
    const void *key, *value;
    size_t key_length, value_length, at = 0;
    struct np_outgoing out;
    struct np_item item;
    enum np_status st = NP_OK;

    while (st == NP_OK && np_epoch_next(epoch, &at, &item, &out))
        st = commit->sink->send(commit->sink, &out, err);
    if (st != NP_OK)
        return st;
    NP_CRASH_POINT("commit.after_results");
    memcpy(cut.topic_id, commit->worker->facts[epoch->place.input].id, sizeof cut.topic_id);
    commit->value.n = 0;
    if (np_cut_record_write(&cut, &commit->value))
        return np_fail(err, NP_ENOMEM, "out of memory for a state record");
    st = send_state(commit, epoch, 'c', NULL, 0, false, err);
    NP_CRASH_POINT("commit.after_cut");
    for (at = 0; st == NP_OK && np_epoch_entry_next(epoch, &at, &key, &key_length, &value, &value_length);) {
        commit->value.n = 0;
        if (value && np_decision_write(epoch->cut, value, value_length, &commit->value))
            return np_fail(err, NP_ENOMEM, "out of memory for a state record");
        st = send_state(commit, epoch, 'f', key, key_length, !value, err);
    }
    NP_CRASH_POINT("commit.after_entries");
    if (st == NP_OK && epoch->has_snapshot) {
        st = send_snapshot(commit, epoch, err);
        NP_CRASH_POINT("commit.after_snapshot");
    }
    return st;
}

/* NP_OK: acknowledged. NP_EEND: cancelled before it sent its offsets. Else as np_sink says. */
static enum np_status transact(struct np_commit *commit, struct np_error *err)
{
    struct np_sink *sink = commit->sink;
    struct np_member *member = NULL;
    struct np_position *positions = NULL;
    enum np_status st;
    size_t n = 0;

    if ((st = sink->begin(sink, err)) != NP_OK)
        return st;
    NP_CRASH_POINT("commit.after_begin");
    for (struct np_epoch *epoch = commit->batch; epoch; epoch = epoch->next, n++)
        if ((st = send_epoch(commit, epoch, err)) != NP_OK)
            return st;
    if ((st = sink->flush(sink, err)) != NP_OK)
        return st;
    NP_CRASH_POINT("commit.after_flush");
    positions = malloc(n * sizeof *positions);
    if (!positions)
        return np_fail(err, NP_ENOMEM, "out of memory for offsets");
    n = 0;
    for (struct np_epoch *epoch = commit->batch; epoch; epoch = epoch->next)
        positions[n++] = (struct np_position){epoch->place, epoch->cut};
    pthread_mutex_lock(&commit->lock);
    if (!commit->cancel)
        member = np_member_use(commit->member);
    pthread_mutex_unlock(&commit->lock);
    if (!member) {
        free(positions);
        return np_fail(err, NP_EEND, "the transaction was closed by a rebalance");
    }
    st = sink->offsets(sink, member, positions, n, err);
    free(positions);
    if (st == NP_EFENCED) {
        pthread_mutex_lock(&commit->lock);
        np_member_drop(commit->refused);
        commit->refused = np_member_use(member);
        pthread_mutex_unlock(&commit->lock);
    }
    np_member_drop(member);
    if (st != NP_OK)
        return st;
    NP_CRASH_POINT("commit.after_offsets");
    st = sink->commit(sink, err);
    if (st == NP_OK)
        NP_CRASH_POINT("commit.after_commit");
    return st;
}

/* --- what comes of it --- */

static void acknowledge(struct np_commit *commit, struct np_epoch *epoch)
{
    struct np_worker *worker = commit->worker;
    struct np_part *part = np_worker_part(worker, epoch->place);
    int64_t now = np_wall_ns(), end;
    struct np_outgoing out;
    struct np_item item;

    pthread_mutex_lock(&commit->lock);
    part->cut = epoch->cut;
    if (epoch->has_snapshot)
        part->chunks = np_snapshot_chunks(epoch->snapshot.n);
    pthread_mutex_unlock(&commit->lock);
    for (size_t at = 0; worker->metrics && np_epoch_next(epoch, &at, &item, &out);) {
        if (item.to < NP_TO_STEP)
            continue;
        np_metric_add(worker->m.step_records[item.to - NP_TO_STEP], 1);
        np_metric_observe(worker->m.latency, (double)(now - item.end_ns) * 1e-9);
    }
    np_metric_add(part->dead, (double)epoch->n_dead);
    np_metric_observe(worker->m.epoch_bytes, (double)(epoch->items.n + epoch->entries.n + epoch->snapshot.n));
    end = worker->source->end(worker->source, epoch->place);
    if (end != NP_OFFSET_NONE)
        np_metric_set(part->lag, end > epoch->cut ? (double)(end - epoch->cut) : 0);
}

static void acknowledge_batch(struct np_commit *commit)
{
    while (commit->batch) {
        struct np_epoch *epoch = commit->batch;

        acknowledge(commit, epoch);
        pthread_mutex_lock(&commit->lock);
        commit->batch = epoch->next;
        pthread_mutex_unlock(&commit->lock);
        np_worker_drop_epoch(commit->worker, epoch);
    }
    np_metric_add(commit->worker->m.transactions, 1);
}

/* Asks the group what became of the batch: drops what is committed, keeps what is not. */
static enum np_status resolve(struct np_commit *commit, struct np_error *err)
{
    struct np_worker *worker = commit->worker;
    size_t n = 0, through = 0, back = 0;
    enum np_status st;

    for (struct np_epoch *epoch = commit->batch; epoch; epoch = epoch->next)
        n++;
    struct np_position positions[n + 1];
    n = 0;
    for (struct np_epoch *epoch = commit->batch; epoch; epoch = epoch->next)
        positions[n++].place = epoch->place;
    if (n == 0)
        return NP_OK;
    st = worker->source->committed(worker->source, positions, n, RESOLVE_TIMEOUT_MS, err);
    if (st != NP_OK)
        return st;
    n = 0;
    for (struct np_epoch *epoch = commit->batch; epoch; epoch = epoch->next, n++) {
        struct np_part *part = np_worker_part(worker, epoch->place);
        int64_t committed = positions[n].offset;
        char name[300];

        if (committed == epoch->cut && epoch->cut != part->cut)
            through++;
        else if (committed == part->cut)
            back += epoch->cut != part->cut;
        else
            return np_fail(err, NP_ESTOP,
                           "%s: the group's committed offset is %lld; it was %lld and this worker wrote "
                           "%lld: somebody else writes it",
                           np_place_text(worker->pipeline, epoch->place, name), (long long)committed,
                           (long long)part->cut, (long long)epoch->cut);
    }
    if (through && back)
        return np_fail(err, NP_ESTOP, "a transaction over %zu partitions is there for %zu of them only",
                       through + back, through);
    np_log(NP_LOG_INFO, "commit", through ? "transaction had gone through" : "transaction is sent again",
           "partitions=%zu", n);
    if (through)
        acknowledge_batch(commit);
    return NP_OK;
}

static enum np_status renew(struct np_commit *commit, struct np_error *err)
{
    enum np_status st = commit->sink->renew(commit->sink, err);

    if (st == NP_OK) {
        commit->broken = false;
        commit->unresolved = true;
        np_metric_add(commit->worker->m.renewed, 1);
        NP_CRASH_POINT("commit.after_renew");
    }
    return st;
}

/* A transaction did not go through. */
static void failed(struct np_commit *commit, enum np_status st, struct np_error *err)
{
    struct np_worker *worker = commit->worker;
    struct np_error second;
    int64_t now = np_clock_ns();

    np_metric_add(worker->m.aborted, 1);
    np_log(st == NP_EEND ? NP_LOG_INFO : NP_LOG_WARNING, "commit", "transaction not committed",
           "status=%s reason=\"%s\"", np_status_name(st), err->text);
    commit->next_ns = now + BACKOFF_NS;
    if (st == NP_ENOMEM) {
        np_worker_fail(worker, err);
        return;
    }
    if (st != NP_ESTOP && commit->sink->abort(commit->sink, &second) == NP_OK) {
        commit->unresolved = st != NP_EEND;
        return;
    }
    commit->broken = true;
    if (!commit->sink->fenced)
        return;
    if (commit->fenced_ns && now - commit->fenced_ns < FENCED_TWICE_NS) {
        np_fail(err, NP_EFENCED,
                "fenced twice within a minute: another worker runs under the same name; give each "
                "its own `run: worker:`");
        np_worker_fail(worker, err);
    }
    commit->fenced_ns = now;
}

/* --- the thread --- */

/* One step: renew, resolve, or a transaction. Not locked, busy is set. */
static void step(struct np_commit *commit, bool collect)
{
    struct np_worker *worker = commit->worker;
    int64_t began = np_clock_ns();
    struct np_error error = {.status = NP_OK};
    enum np_status st = NP_OK;

    commit->next_ns = began + worker->pipeline->run.commit_ns;
    if (commit->broken)
        st = renew(commit, &error);
    if (st == NP_OK && commit->unresolved && (st = resolve(commit, &error)) == NP_OK)
        commit->unresolved = false;
    if (st == NP_ERETRY) {
        np_log(NP_LOG_WARNING, "commit", "waiting for the broker", "reason=\"%s\"", error.text);
        commit->next_ns = np_clock_ns() + BACKOFF_NS;
        return;
    }
    if (st != NP_OK) {
        np_worker_fail(worker, &error);
        return;
    }
    if (!commit->batch) {
        struct np_epoch *fresh = collect ? np_lanes_collect(worker) : NULL;

        pthread_mutex_lock(&commit->lock);
        append(&commit->pending, fresh);
        pick(commit);
        pthread_mutex_unlock(&commit->lock);
    }
    if (!commit->batch)
        return;
    st = transact(commit, &error);
    if (st != NP_OK) {
        failed(commit, st, &error);
        return;
    }
    acknowledge_batch(commit);
    np_metric_observe(worker->m.commit_seconds, (double)(np_clock_ns() - began) * 1e-9);
}

static bool runnable(const struct np_commit *commit, int64_t now)
{
    if ((commit->hold && !commit->drain) || !commit->member || commit->member == commit->refused)
        return false;
    if (now >= commit->next_ns)
        return true;
    return !commit->batch && (commit->hurry || commit->pending);
}

static void *commit_main(void *context)
{
    struct np_commit *commit = context;

    pthread_mutex_lock(&commit->lock);
    while (!commit->quit) {
        bool collect;

        if (!runnable(commit, np_clock_ns())) {
            pthread_cond_broadcast(&commit->done);
            if ((commit->hold && !commit->drain) || !commit->member || commit->member == commit->refused)
                pthread_cond_wait(&commit->wake, &commit->lock);
            else
                np_cond_wait_until(&commit->wake, &commit->lock, commit->next_ns);
            continue;
        }
        commit->busy = true;
        collect = !commit->drain;
        commit->hurry = false;
        pthread_mutex_unlock(&commit->lock);
        step(commit, collect && !atomic_load(&commit->worker->failing));
        pthread_mutex_lock(&commit->lock);
        commit->busy = false;
        pthread_cond_broadcast(&commit->done);
    }
    pthread_mutex_unlock(&commit->lock);
    return NULL;
}

/* --- what the polling thread calls --- */

enum np_status np_commit_open(struct np_worker *worker, struct np_sink *sink, struct np_error *err)
{
    struct np_commit *commit = calloc(1, sizeof *commit);

    if (!commit) {
        sink->close(sink);
        return np_fail(err, NP_ENOMEM, "out of memory for the commit thread");
    }
    worker->commit = commit;
    commit->worker = worker;
    commit->sink = sink;
    pthread_mutex_init(&commit->lock, NULL);
    np_cond_init(&commit->wake);
    np_cond_init(&commit->done);
    if (pthread_create(&commit->thread, NULL, commit_main, commit) != 0)
        return np_fail(err, NP_ENOMEM, "the commit thread could not be started");
    commit->started = true;
    return NP_OK;
}

void np_commit_close(struct np_worker *worker)
{
    struct np_commit *commit = worker->commit;

    if (!commit)
        return;
    if (commit->started) {
        pthread_mutex_lock(&commit->lock);
        commit->quit = true;
        pthread_cond_signal(&commit->wake);
        pthread_mutex_unlock(&commit->lock);
        pthread_join(commit->thread, NULL);
    }
    commit->sink->close(commit->sink);
    np_member_drop(commit->member);
    np_member_drop(commit->refused);
    np_epochs_close(commit->pending);
    np_epochs_close(commit->batch);
    np_bytes_free(&commit->key);
    np_bytes_free(&commit->value);
    free(commit);
    worker->commit = NULL;
}

void np_commit_member(struct np_commit *commit, struct np_member *member)
{
    struct np_member *old;

    pthread_mutex_lock(&commit->lock);
    old = commit->member;
    commit->member = np_member_use(member);
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->lock);
    np_member_drop(old);
}

void np_commit_hold(struct np_commit *commit)
{
    int64_t deadline = np_clock_ns() + HOLD_PATIENCE_NS;

    pthread_mutex_lock(&commit->lock);
    commit->hold++;
    while (commit->busy) {
        if (!commit->cancel && !np_cond_wait_until(&commit->done, &commit->lock, deadline))
            commit->cancel = true;
        else if (commit->cancel)
            pthread_cond_wait(&commit->done, &commit->lock);
    }
    commit->cancel = false;
    pthread_mutex_unlock(&commit->lock);
}

void np_commit_cancel(struct np_commit *commit)
{
    pthread_mutex_lock(&commit->lock);
    commit->cancel = true;
    pthread_mutex_unlock(&commit->lock);
}

void np_commit_continue(struct np_commit *commit)
{
    pthread_mutex_lock(&commit->lock);
    commit->hold--;
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->lock);
}

void np_commit_add(struct np_commit *commit, struct np_epoch *epoch)
{
    pthread_mutex_lock(&commit->lock);
    append(&commit->pending, epoch);
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->lock);
}

bool np_commit_drain(struct np_commit *commit, int64_t timeout_ns)
{
    int64_t deadline = np_clock_ns() + timeout_ns;
    bool done;

    pthread_mutex_lock(&commit->lock);
    commit->drain = true;
    pthread_cond_signal(&commit->wake);
    while (commit->batch || commit->pending) {
        if (atomic_load(&commit->worker->failing) || commit->member == commit->refused)
            break;
        if (!np_cond_wait_until(&commit->done, &commit->lock, deadline))
            break;
    }
    commit->drain = false;
    while (commit->busy) {
        commit->cancel = true;
        pthread_cond_wait(&commit->done, &commit->lock);
    }
    commit->cancel = false;
    done = !commit->batch && !commit->pending;
    pthread_mutex_unlock(&commit->lock);
    return done;
}

static void forget(struct np_worker *worker, struct np_epoch **list, struct np_place place)
{
    while (*list) {
        struct np_epoch *epoch = *list;

        if (epoch->place.input != place.input || epoch->place.partition != place.partition) {
            list = &epoch->next;
            continue;
        }
        *list = epoch->next;
        np_worker_drop_epoch(worker, epoch);
    }
}

void np_commit_forget(struct np_commit *commit, const struct np_part *part)
{
    pthread_mutex_lock(&commit->lock);
    forget(commit->worker, &commit->batch, part->place);
    forget(commit->worker, &commit->pending, part->place);
    pthread_mutex_unlock(&commit->lock);
}

void np_commit_begin(struct np_commit *commit, struct np_part *part, int64_t cut, uint32_t chunks)
{
    pthread_mutex_lock(&commit->lock);
    part->cut = cut;
    part->chunks = chunks;
    pthread_mutex_unlock(&commit->lock);
}

void np_commit_hurry(struct np_commit *commit)
{
    pthread_mutex_lock(&commit->lock);
    if (!commit->hurry) {
        commit->hurry = true;
        pthread_cond_signal(&commit->wake);
    }
    pthread_mutex_unlock(&commit->lock);
}
