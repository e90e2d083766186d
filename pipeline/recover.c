/* Recovery of a partition, rules 10, 11 and 14 of the commit protocol: waits until no transaction of a former
 * owner can change anything any more, reads the partition of the state topic to its end, and takes what it
 * finds only if it fits the group's committed offset. One thread with handles of its own, so that the group
 * is polled meanwhile. Refilling and recomputing, rule 12, is the lane's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/crash_point.h"
#include "pipeline/log.h"
#include "pipeline/worker_parts.h"

#define TRIES                3
#define WAIT_NS              20000000
#define COMMITTED_TIMEOUT_MS 2000
#define COMPLAIN_NS          5000000000

struct np_recoverer {
    struct np_worker *worker;
    struct np_state_reader *reader;
    pthread_t thread;
    bool started;
    atomic_bool quit;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct np_recovery *asked, *found;
};

/** One input's part of a partition of the state topic: the newest value of each key. */
struct image {
    const char *input;
    struct np_map values; /* key without the input's name -> value */
};

void np_recovery_free(struct np_recovery *recovery)
{
    if (!recovery)
        return;
    np_bytes_free(&recovery->snapshot);
    np_map_free(&recovery->entries);
    free(recovery);
}

static bool keep(void *context, const void *key, size_t key_length, const void *value, size_t value_length)
{
    struct image *image = context;
    size_t prefix = strlen(image->input) + 1, entry_length;
    const void *entry;

    if (!np_state_key_read(image->input, key, key_length, &entry, &entry_length))
        return true;
    key = (const char *)key + prefix;
    key_length -= prefix;
    if (!value) {
        np_map_remove(&image->values, key, key_length);
        return true;
    }
    return np_map_put(&image->values, key, key_length, value, value_length) == 0;
}

/* Sleeps until something is asked, quit is set, or the time has passed. */
static void rest(struct np_recoverer *recoverer, int64_t ns)
{
    int64_t until = np_clock_ns() + ns;

    pthread_mutex_lock(&recoverer->lock);
    while (!atomic_load(&recoverer->quit) && np_cond_wait_until(&recoverer->wake, &recoverer->lock, until))
        continue;
    pthread_mutex_unlock(&recoverer->lock);
}

/* Waits a moment before asking the broker again; says so now and then. @return false when told to quit */
static bool again(struct np_recoverer *recoverer, struct np_place place, int64_t *complain_ns,
                  const struct np_error *err)
{
    int64_t now = np_clock_ns();
    char name[300];

    if (!*complain_ns)
        *complain_ns = now + COMPLAIN_NS;
    if (now > *complain_ns) {
        np_log(NP_LOG_WARNING, "recover", "waiting for the broker", "partition=%s reason=\"%s\"",
               np_place_text(recoverer->worker->pipeline, place, name), err->text);
        *complain_ns = now + COMPLAIN_NS;
    }
    rest(recoverer, WAIT_NS);
    return !atomic_load(&recoverer->quit);
}

/* The group's committed offset once it is stable. NP_EEND: told to quit. */
static enum np_status barrier(struct np_recoverer *recoverer, struct np_position *position,
                              struct np_error *err)
{
    struct np_source *source = recoverer->worker->source;
    int64_t complain_ns = 0;
    enum np_status st;

    while ((st = source->committed(source, position, 1, COMMITTED_TIMEOUT_MS, err)) == NP_ERETRY)
        if (!again(recoverer, position->place, &complain_ns, err))
            return NP_EEND;
    return st;
}

/* The newest value of each key of the place's partition of the state topic. NP_EEND: told to quit. */
static enum np_status read_image(struct np_recoverer *recoverer, struct np_place place, struct image *image,
                                 struct np_error *err)
{
    struct np_state_reader *reader = recoverer->reader;
    int64_t complain_ns = 0;
    enum np_status st;

    while ((st = reader->read(reader, place.partition, &recoverer->quit, keep, image, err)) == NP_ERETRY) {
        np_map_free(&image->values);
        if (!again(recoverer, place, &complain_ns, err))
            return NP_EEND;
    }
    return st;
}

/* Where a partition without any state begins (rule 14). NP_EEND: told to quit. */
static enum np_status first_cut(struct np_recoverer *recoverer, struct np_recovery *recovery,
                                struct np_error *err)
{
    bool latest = recoverer->worker->pipeline->inputs[recovery->place.input].start == 1;
    struct np_state_reader *reader = recoverer->reader;
    int64_t complain_ns = 0;
    enum np_status st;

    while ((st = reader->bound(reader, recovery->place, latest, &recovery->cut, err)) == NP_ERETRY)
        if (!again(recoverer, recovery->place, &complain_ns, err))
            return NP_EEND;
    recovery->x = recovery->resume = recovery->cut;
    return st;
}

/* Behind an end before the cut will come other messages than those that were computed (rule 1). NP_EEND: told
 * to quit. */
static enum np_status check_end(struct np_recoverer *recoverer, const struct np_recovery *recovery,
                                struct np_error *err)
{
    struct np_state_reader *reader = recoverer->reader;
    int64_t complain_ns = 0, end;
    enum np_status st;

    while ((st = reader->bound(reader, recovery->place, true, &end, err)) == NP_ERETRY)
        if (!again(recoverer, recovery->place, &complain_ns, err))
            return NP_EEND;
    if (st == NP_OK && end < recovery->cut)
        return np_fail(err, NP_ERETRY,
                       "the partition ends at offset %lld, but was computed up to %lld: the broker lost messages",
                       (long long)end, (long long)recovery->cut);
    return st;
}

static enum np_status take_snapshot(struct np_recovery *recovery, const struct image *image,
                                    const struct np_snapshot_header *header, struct np_error *err)
{
    char key[16];

    for (uint32_t i = 0; i < header->chunks; i++) {
        int length = snprintf(key, sizeof key, "s/%03u", i);
        const struct np_map_entry *chunk = np_map_get(&image->values, key, (size_t)length);
        int got = chunk ? np_snapshot_chunk_read(chunk->value, chunk->value_length, header->hash, i,
                                                 &recovery->snapshot)
                        : 0;

        if (got < 0)
            return np_fail(err, NP_ENOMEM, "out of memory for a snapshot of %llu bytes",
                           (unsigned long long)header->bytes);
        if (got == 0)
            return np_fail(err, NP_ERETRY, "chunk %u of %u of the snapshot is missing or of another snapshot",
                           i, header->chunks);
    }
    if (recovery->snapshot.n != header->bytes ||
        np_snapshot_hash(&recovery->snapshot, header->x) != header->hash)
        return np_fail(err, NP_ERETRY, "the snapshot at %lld is damaged", (long long)header->x);
    return NP_OK;
}

static enum np_status take_entries(struct np_recovery *recovery, const struct image *image,
                                   struct np_error *err)
{
    const struct np_map_entry *entry;
    const void *value;
    size_t at = 0, value_length;
    int64_t cut;

    while ((entry = np_map_next(&image->values, &at))) {
        if (entry->key_length < 2 || entry->key[0] != 'f' || entry->key[1] != '/')
            continue;
        if (!np_decision_read(entry->value, entry->value_length, &cut, &value, &value_length) ||
            cut > recovery->cut)
            return np_fail(err, NP_ERETRY, "a decision entry is damaged or newer than the cut");
        if (np_map_put(&recovery->entries, entry->key + 2, entry->key_length - 2, value, value_length))
            return np_fail(err, NP_ENOMEM, "out of memory for decision entries");
    }
    return NP_OK;
}

/* What must not have changed since: topic, partition count, and no newer text. */
static enum np_status check_identity(struct np_worker *worker, struct np_recovery *recovery,
                                     const struct np_cut_record *cut, const struct np_snapshot_header *header,
                                     struct np_error *err)
{
    const struct np_topic_facts *facts = &worker->facts[recovery->place.input];
    const char *topic = worker->pipeline->inputs[recovery->place.input].topic;
    uint32_t known;

    if (memcmp(cut->topic_id, facts->id, sizeof cut->topic_id) != 0)
        return np_fail(err, NP_ESTOP,
                       "topic %s was deleted and made again since its last commit: its offsets mean "
                       "other messages now; use another pipeline name to begin anew",
                       topic);
    if (header->partitions != facts->partitions)
        return np_fail(err, NP_ESTOP,
                       "topic %s has %d partitions and had %d: a sensor's messages may now be split over "
                       "two; use a new topic, or another pipeline name to begin anew",
                       topic, (int)facts->partitions, (int)header->partitions);
    known = np_revisions_find(&header->revisions, worker->revision_hash);
    recovery->revisions = header->revisions;
    recovery->revision_committed = header->revisions.n;
    if (known && known < header->revisions.n)
        return np_fail(err, NP_EFENCED,
                       "this pipeline file is revision %u of %s; revision %u is at work: this worker "
                       "leaves",
                       known, worker->pipeline->name, header->revisions.n);
    if (!known) {
        np_revisions_add(&recovery->revisions, worker->revision_hash);
        recovery->migrated = true;
    }
    return NP_OK;
}

/* Judges what was read. NP_ERETRY: it does not fit together, read again. */
static enum np_status judge(struct np_worker *worker, struct np_recovery *recovery, const struct image *image,
                            int64_t committed, struct np_error *err)
{
    const struct np_map_entry *c = np_map_get(&image->values, "c", 1),
                              *h = np_map_get(&image->values, "h", 1);
    struct np_snapshot_header header;
    struct np_cut_record cut;
    enum np_status st;

    if (!c && !h && committed == NP_OFFSET_NONE) {
        recovery->first = true;
        np_revisions_add(&recovery->revisions, worker->revision_hash);
        return NP_OK;
    }
    if (!c && !h)
        return np_fail(err, NP_ESTOP,
                       "the group has the committed offset %lld, but %s.state holds nothing of it",
                       (long long)committed, worker->pipeline->name);
    if (!c || !np_cut_record_read(c->value, c->value_length, &cut))
        return np_fail(err, NP_ERETRY, "the cut in %s.state is missing or damaged", worker->pipeline->name);
    if (!h || !np_snapshot_header_read(h->value, h->value_length, &header))
        return np_fail(err, NP_ERETRY, "the snapshot in %s.state is missing or damaged",
                       worker->pipeline->name);
    recovery->uncommitted = committed == NP_OFFSET_NONE;
    recovery->cut = recovery->uncommitted ? cut.cut : committed;
    if (cut.cut != recovery->cut || header.x > recovery->cut)
        return np_fail(err, NP_ERETRY,
                       "the committed offset is %lld, the state's cut %lld, its snapshot at %lld",
                       (long long)committed, (long long)cut.cut, (long long)header.x);
    recovery->x = header.x;
    recovery->resume = header.resume;
    recovery->chunks = header.chunks;
    recovery->digest = cut.digest;
    if ((st = check_identity(worker, recovery, &cut, &header, err)) != NP_OK ||
        (st = take_snapshot(recovery, image, &header, err)) != NP_OK)
        return st;
    return take_entries(recovery, image, err);
}

static void empty(struct np_recovery *recovery)
{
    np_bytes_free(&recovery->snapshot);
    np_map_free(&recovery->entries);
    recovery->revisions = (struct np_revisions){0};
    recovery->first = recovery->uncommitted = recovery->migrated = false;
    recovery->cut = recovery->x = recovery->resume = NP_OFFSET_NONE;
    recovery->chunks = recovery->revision_committed = 0;
}

static enum np_status attempt(struct np_recoverer *recoverer, struct np_recovery *recovery,
                              struct np_error *err)
{
    struct np_worker *worker = recoverer->worker;
    const struct np_input *input = &worker->pipeline->inputs[recovery->place.input];
    struct np_position before = {.place = recovery->place}, after = before;
    struct image image = {.input = input->name};
    enum np_status st;

    empty(recovery);
    if ((st = barrier(recoverer, &before, err)) != NP_OK)
        return st;
    NP_CRASH_POINT("recover.after_barrier");
    st = read_image(recoverer, recovery->place, &image, err);
    NP_CRASH_POINT("recover.after_read");
    if (st == NP_OK)
        st = judge(worker, recovery, &image, before.offset, err);
    np_map_free(&image.values);
    if (st == NP_OK && (st = barrier(recoverer, &after, err)) == NP_OK && after.offset != before.offset)
        st = np_fail(err, NP_ERETRY, "the committed offset went from %lld to %lld meanwhile",
                     (long long)before.offset, (long long)after.offset);
    if (st == NP_OK)
        st = recovery->first ? first_cut(recoverer, recovery, err) : check_end(recoverer, recovery, err);
    return st;
}

static void recover(struct np_recoverer *recoverer, struct np_recovery *recovery)
{
    int64_t began = np_clock_ns();
    enum np_status st = NP_ERETRY;
    char name[300];

    np_place_text(recoverer->worker->pipeline, recovery->place, name);
    for (int i = 0; i < TRIES && st == NP_ERETRY && !atomic_load(&recoverer->quit); i++) {
        if (i)
            rest(recoverer, (int64_t)i * 500000000);
        st = attempt(recoverer, recovery, &recovery->error);
        if (st == NP_ERETRY)
            np_log(NP_LOG_WARNING, "recover", "state does not fit yet", "partition=%s reason=\"%s\"", name,
                   recovery->error.text);
    }
    recovery->status = st == NP_ERETRY ? NP_ESTOP : st;
    recovery->error.status = recovery->status;
    if (st == NP_OK)
        np_log(NP_LOG_INFO, "recover", recovery->first ? "partition begins" : "partition recovered",
               "partition=%s resume=%lld snapshot=%lld cut=%lld state_bytes=%zu entries=%zu revision=%u "
               "seconds=%.3f",
               name, (long long)recovery->resume, (long long)recovery->x, (long long)recovery->cut,
               recovery->snapshot.n, recovery->entries.n, recovery->revisions.n,
               (double)(np_clock_ns() - began) * 1e-9);
    np_metric_observe(recoverer->worker->m.recovery_seconds, (double)(np_clock_ns() - began) * 1e-9);
}

static void *recover_main(void *context)
{
    struct np_recoverer *recoverer = context;

    pthread_mutex_lock(&recoverer->lock);
    while (!atomic_load(&recoverer->quit)) {
        struct np_recovery *recovery = recoverer->asked;

        if (!recovery) {
            pthread_cond_wait(&recoverer->wake, &recoverer->lock);
            continue;
        }
        recoverer->asked = recovery->next;
        recovery->next = NULL;
        pthread_mutex_unlock(&recoverer->lock);
        recover(recoverer, recovery);
        pthread_mutex_lock(&recoverer->lock);
        recovery->next = recoverer->found;
        recoverer->found = recovery;
    }
    pthread_mutex_unlock(&recoverer->lock);
    return NULL;
}

enum np_status np_recoverer_open(struct np_worker *worker, struct np_error *err)
{
    struct np_recoverer *recoverer = calloc(1, sizeof *recoverer);
    enum np_status st;

    if (!recoverer)
        return np_fail(err, NP_ENOMEM, "out of memory for the recovery thread");
    worker->recoverer = recoverer;
    recoverer->worker = worker;
    pthread_mutex_init(&recoverer->lock, NULL);
    np_cond_init(&recoverer->wake);
    st = worker->deps->reader_open(&recoverer->reader, worker->pipeline, err);
    if (st != NP_OK)
        return st;
    if (pthread_create(&recoverer->thread, NULL, recover_main, recoverer) != 0)
        return np_fail(err, NP_ENOMEM, "the recovery thread could not be started");
    recoverer->started = true;
    return NP_OK;
}

static void free_list(struct np_recovery *list)
{
    while (list) {
        struct np_recovery *next = list->next;

        np_recovery_free(list);
        list = next;
    }
}

void np_recoverer_close(struct np_worker *worker)
{
    struct np_recoverer *recoverer = worker->recoverer;

    if (!recoverer)
        return;
    if (recoverer->started) {
        pthread_mutex_lock(&recoverer->lock);
        atomic_store(&recoverer->quit, true);
        pthread_cond_signal(&recoverer->wake);
        pthread_mutex_unlock(&recoverer->lock);
        pthread_join(recoverer->thread, NULL);
    }
    if (recoverer->reader)
        recoverer->reader->close(recoverer->reader);
    free_list(recoverer->asked);
    free_list(recoverer->found);
    free(recoverer);
    worker->recoverer = NULL;
}

enum np_status np_recoverer_add(struct np_recoverer *recoverer, struct np_place place, unsigned life,
                                struct np_error *err)
{
    struct np_recovery *recovery = calloc(1, sizeof *recovery), **at = &recoverer->asked;

    if (!recovery)
        return np_fail(err, NP_ENOMEM, "out of memory for a recovery");
    recovery->place = place;
    recovery->life = life;
    pthread_mutex_lock(&recoverer->lock);
    while (*at)
        at = &(*at)->next;
    *at = recovery;
    pthread_cond_signal(&recoverer->wake);
    pthread_mutex_unlock(&recoverer->lock);
    return NP_OK;
}

struct np_recovery *np_recoverer_take(struct np_recoverer *recoverer)
{
    struct np_recovery *recovery;

    pthread_mutex_lock(&recoverer->lock);
    recovery = recoverer->found;
    if (recovery) {
        recoverer->found = recovery->next;
        recovery->next = NULL;
    }
    pthread_mutex_unlock(&recoverer->lock);
    return recovery;
}
