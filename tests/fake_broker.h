/* A broker in memory for tests of the worker: two partitions of one input, one group, transactions that are
 * applied whole or not at all, a state topic, and a failure at any call. A message's value is "T0_S X": one
 * second of ten samples of X. "bad" cannot be decoded; "wait ..." cannot be decoded before the fourth try. */
#ifndef NP_FAKE_BROKER_H
#define NP_FAKE_BROKER_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pipeline/map.h"
#include "pipeline/worker.h"

enum { FAKE_PARTITIONS = 2, FAKE_MESSAGES = 4000, FAKE_STAGED = 20000 };

struct fake_message {
    char key[8], value[32];
};

struct fake_staged {
    struct np_outgoing out;
    char *key, *value;
};

struct fake_broker {
    struct np_source source;
    struct np_sink sink;
    struct np_state_reader reader;
    struct np_beat beat; /* of the worker */
    pthread_mutex_t lock;
    struct np_source_events events;
    atomic_bool stop;
    /* the log */
    struct fake_message log[FAKE_PARTITIONS][FAKE_MESSAGES];
    int64_t log_start, log_end[FAKE_PARTITIONS];
    struct np_topic_facts facts;
    /* what is committed */
    int64_t committed[FAKE_PARTITIONS];
    struct np_map state[FAKE_PARTITIONS];
    size_t n_results, results_capacity;
    char **results; /* "topic key value" */
    /* the transaction at work */
    bool open;
    size_t n_staged;
    struct fake_staged staged[FAKE_STAGED];
    int64_t staged_offsets[FAKE_PARTITIONS];
    /* the group */
    bool joined, left;
    int32_t generation;
    int64_t position[FAKE_PARTITIONS];
    bool held[FAKE_PARTITIONS];
    int quiet; /* polls without a message in a row */
    /* faults */
    int calls, fail_at, commits, fail_at_commit, generation_step, waits;
    enum np_status fail_with;
    bool takes_effect;      /* a commit that fails was applied all the same */
    int generation_refused; /* offsets of this generation are refused; 0: none */
    int damage_reads;       /* so many reads of the state come back without its cut */
    int flushes, jump_at_flush; /* a generation is missed during this flush */
    atomic_bool jump;
    int32_t begun; /* generation when the transaction began */
    int stale;     /* offsets sent by a later generation than the next one */
    const struct np_kernels *kernels; /* NULL: the best */
};

/* --- transactions --- */

static inline struct fake_broker *fake_of_sink(struct np_sink *sink)
{
    return (struct fake_broker *)((char *)sink - offsetof(struct fake_broker, sink));
}

static inline void fake_drop(struct fake_broker *fake)
{
    for (size_t i = 0; i < fake->n_staged; i++) {
        free(fake->staged[i].key);
        free(fake->staged[i].value);
    }
    fake->n_staged = 0;
    fake->open = false;
}

static inline void fake_apply(struct fake_broker *fake)
{
    for (size_t i = 0; i < fake->n_staged; i++) {
        struct fake_staged *s = &fake->staged[i];

        if (s->out.to == NP_TO_STATE && s->value) {
            np_map_put(&fake->state[s->out.partition], s->key, s->out.key_length, s->value,
                       s->out.value_length);
        } else if (s->out.to == NP_TO_STATE) {
            np_map_remove(&fake->state[s->out.partition], s->key, s->out.key_length);
        } else {
            if (fake->n_results == fake->results_capacity) {
                fake->results_capacity = fake->results_capacity ? fake->results_capacity * 2 : 1024;
                fake->results = realloc(fake->results, fake->results_capacity * sizeof(char *));
            }
            if (asprintf(&fake->results[fake->n_results++], "%d %.*s %.*s", s->out.to, (int)s->out.key_length,
                         s->key, (int)s->out.value_length, s->value) < 0)
                abort();
        }
    }
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        if (fake->staged_offsets[p] != NP_OFFSET_NONE)
            fake->committed[p] = fake->staged_offsets[p];
    fake_drop(fake);
}

static inline enum np_status fake_fault(struct fake_broker *fake, struct np_error *err)
{
    if (++fake->calls != fake->fail_at)
        return NP_OK;
    if (fake->fail_with == NP_EFENCED)
        fake->generation_refused = fake->generation;
    return np_fail(err, fake->fail_with, "the fault of this test");
}

static inline enum np_status fake_begin(struct np_sink *sink, struct np_error *err)
{
    struct fake_broker *fake = fake_of_sink(sink);
    enum np_status st;

    pthread_mutex_lock(&fake->lock);
    st = fake_fault(fake, err);
    if (fake->open)
        st = np_fail(err, NP_ENOMEM, "begin inside a transaction");
    fake->open = true;
    fake->begun = fake->generation;
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        fake->staged_offsets[p] = NP_OFFSET_NONE;
    pthread_mutex_unlock(&fake->lock);
    return st;
}

static inline void *fake_copy(const void *data, size_t n)
{
    return data ? memcpy(malloc(n + 1), data, n) : NULL;
}

static inline enum np_status fake_send(struct np_sink *sink, const struct np_outgoing *out,
                                       struct np_error *err)
{
    struct fake_broker *fake = fake_of_sink(sink);
    struct fake_staged *s = &fake->staged[fake->n_staged];
    enum np_status st;

    pthread_mutex_lock(&fake->lock);
    st = fake_fault(fake, err);
    if (!fake->open || fake->n_staged == FAKE_STAGED)
        st = np_fail(err, NP_ENOMEM, "send outside a transaction");
    if (st == NP_OK) {
        *s = (struct fake_staged){*out, fake_copy(out->key, out->key_length),
                                  fake_copy(out->value, out->value_length)};
        fake->n_staged++;
    }
    pthread_mutex_unlock(&fake->lock);
    return st;
}

static inline enum np_status fake_flush(struct np_sink *sink, struct np_error *err)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct fake_broker *fake = fake_of_sink(sink);
    enum np_status st;

    pthread_mutex_lock(&fake->lock);
    st = fake_fault(fake, err);
    if (++fake->flushes == fake->jump_at_flush)
        atomic_store(&fake->jump, true);
    pthread_mutex_unlock(&fake->lock);
    for (int i = 0; i < 1000 && atomic_load(&fake->jump); i++)
        nanosleep(&moment, NULL);
    if (fake->flushes == fake->jump_at_flush) {
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* until the event is being served */
        fake->jump_at_flush = 0;
    }
    return st;
}

static inline enum np_status fake_offsets(struct np_sink *sink, const struct np_member *member,
                                          const struct np_position *positions, size_t n, struct np_error *err)
{
    struct fake_broker *fake = fake_of_sink(sink);
    enum np_status st;

    pthread_mutex_lock(&fake->lock);
    st = fake_fault(fake, err);
    if (st == NP_OK && member->generation == fake->generation_refused)
        st = np_fail(err, NP_EFENCED, "generation %d is over", (int)member->generation);
    fake->stale += member->generation > fake->begun + 1;
    for (size_t i = 0; i < n && st == NP_OK; i++)
        fake->staged_offsets[positions[i].place.partition] = positions[i].offset;
    pthread_mutex_unlock(&fake->lock);
    return st;
}

static inline enum np_status fake_commit(struct np_sink *sink, struct np_error *err)
{
    struct fake_broker *fake = fake_of_sink(sink);
    enum np_status st;

    pthread_mutex_lock(&fake->lock);
    st = fake_fault(fake, err);
    if (st == NP_OK && ++fake->commits == fake->fail_at_commit)
        st = np_fail(err, fake->fail_with, "the fault of this test");
    if (st == NP_OK || (st == NP_ESTOP && fake->takes_effect))
        fake_apply(fake);
    pthread_mutex_unlock(&fake->lock);
    return st;
}

static inline enum np_status fake_abort(struct np_sink *sink, struct np_error *err)
{
    struct fake_broker *fake = fake_of_sink(sink);

    (void)err;
    pthread_mutex_lock(&fake->lock);
    fake_drop(fake);
    pthread_mutex_unlock(&fake->lock);
    return NP_OK;
}

static inline void fake_close_sink(struct np_sink *sink)
{
    struct np_error err;

    fake_abort(sink, &err);
}

/* --- the group --- */

static inline struct np_member *fake_member(struct fake_broker *fake)
{
    struct np_member *member = calloc(1, sizeof *member);

    member->generation = fake->generation;
    atomic_store(&member->users, 1);
    return member;
}

static inline void fake_events(struct fake_broker *fake)
{
    struct np_place places[FAKE_PARTITIONS] = {{0, 0}, {0, 1}};
    bool joins = !fake->joined, refused, jump = !joins && atomic_load(&fake->jump);

    /* the callback may wait for the commit thread, so it is called without the lock */
    pthread_mutex_lock(&fake->lock);
    refused = !joins && fake->generation_refused == fake->generation;
    if (joins)
        fake->generation = 1;
    else if (refused)
        fake->generation += fake->generation_step ? fake->generation_step : 1;
    else if (jump)
        fake->generation += 2;
    if (jump)
        atomic_store(&fake->jump, false);
    pthread_mutex_unlock(&fake->lock);
    fake->joined = true;
    if (joins || refused || jump)
        fake->events.assigned(fake->events.context, fake_member(fake), joins ? places : NULL,
                              joins ? FAKE_PARTITIONS : 0);
}

static inline enum np_status fake_poll(struct np_source *source, struct np_delivery *out, size_t capacity,
                                       size_t *n, int timeout_ms, struct np_error *err)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct fake_broker *fake = (struct fake_broker *)source;

    (void)timeout_ms;
    (void)err;
    fake_events(fake);
    *n = 0;
    pthread_mutex_lock(&fake->lock);
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        for (int i = 0; i < 40 && !fake->held[p] && fake->position[p] < fake->log_end[p] && *n < capacity;
             i++) {
            int64_t offset = fake->position[p]++;

            out[(*n)++] = (struct np_delivery){
                .place = {0, p}, .offset = offset, .bytes = 100, .native = &fake->log[p][offset]};
        }
    fake->quiet = *n || fake->held[0] || fake->held[1] ? 0 : fake->quiet + 1;
    pthread_mutex_unlock(&fake->lock);
    nanosleep(&moment, NULL);
    if (fake->quiet > 60)
        atomic_store(&fake->stop, true);
    return NP_OK;
}

static inline void fake_view(struct np_source *source, const struct np_delivery *delivery,
                             struct np_message *out)
{
    const struct fake_message *message = delivery->native;

    (void)source;
    *out = (struct np_message){.topic = "t",
                               .partition = delivery->place.partition,
                               .offset = delivery->offset,
                               .key = message->key,
                               .key_length = strlen(message->key),
                               .value = message->value,
                               .value_length = strlen(message->value),
                               .native = message};
}

static inline void fake_release(struct np_source *source, const struct np_delivery *delivery)
{
    (void)source;
    (void)delivery;
}

static inline int fake_dead_letter(const struct np_message *message, const char *reason, const char *detail,
                                   struct np_bytes *headers)
{
    (void)message;
    (void)detail;
    return np_header_put(headers, "np.reason", reason, strlen(reason));
}

static inline void fake_hold(struct np_source *source, struct np_place place)
{
    ((struct fake_broker *)source)->held[place.partition] = true;
}

static inline enum np_status fake_start(struct np_source *source, struct np_place place, int64_t offset,
                                        struct np_error *err)
{
    struct fake_broker *fake = (struct fake_broker *)source;

    if (offset < fake->log_start)
        return np_fail(err, NP_ESTOP, "offset %lld is out of range", (long long)offset);
    fake->position[place.partition] = offset;
    fake->held[place.partition] = false;
    return NP_OK;
}

static inline int64_t fake_end(struct np_source *source, struct np_place place)
{
    return ((struct fake_broker *)source)->log_end[place.partition];
}

static inline enum np_status fake_committed(struct np_source *source, struct np_position *positions, size_t n,
                                            int timeout_ms, struct np_error *err)
{
    struct fake_broker *fake = (struct fake_broker *)source;

    (void)timeout_ms;
    (void)err;
    pthread_mutex_lock(&fake->lock);
    for (size_t i = 0; i < n; i++)
        positions[i].offset = fake->committed[positions[i].place.partition];
    pthread_mutex_unlock(&fake->lock);
    return NP_OK;
}

static inline enum np_status fake_leave(struct np_source *source, struct np_error *err)
{
    struct fake_broker *fake = (struct fake_broker *)source;
    struct np_place places[FAKE_PARTITIONS] = {{0, 0}, {0, 1}};

    (void)err;
    if (!fake->left && fake->joined)
        fake->events.revoked(fake->events.context, fake_member(fake), places, FAKE_PARTITIONS);
    fake->left = true;
    return NP_OK;
}

static inline void fake_close_source(struct np_source *source)
{
    (void)source;
}

/* --- the state topic --- */

static inline struct fake_broker *fake_of_reader(struct np_state_reader *reader)
{
    return (struct fake_broker *)((char *)reader - offsetof(struct fake_broker, reader));
}

static inline enum np_status fake_bound(struct np_state_reader *reader, struct np_place place, bool latest,
                                        int64_t *offset, struct np_error *err)
{
    struct fake_broker *fake = fake_of_reader(reader);

    (void)err;
    *offset = latest ? fake->log_end[place.partition] : fake->log_start;
    return NP_OK;
}

static inline enum np_status fake_read(struct np_state_reader *reader, int32_t partition,
                                       const atomic_bool *stop,
                                       bool (*each)(void *context, const void *key, size_t key_length,
                                                    const void *value, size_t value_length),
                                       void *context, struct np_error *err)
{
    struct fake_broker *fake = fake_of_reader(reader);
    const struct np_map_entry *entry;
    size_t at = 0;

    (void)stop;
    (void)err;
    pthread_mutex_lock(&fake->lock);
    while ((entry = np_map_next(&fake->state[partition], &at)))
        if (fake->damage_reads <= 0 || memchr(entry->key, 'c', entry->key_length) == NULL)
            each(context, entry->key, entry->key_length, entry->value, entry->value_length);
    fake->damage_reads--;
    pthread_mutex_unlock(&fake->lock);
    return NP_OK;
}

static inline void fake_close_reader(struct np_state_reader *reader)
{
    (void)reader;
}

/* --- the decoder --- */

struct fake_decoder {
    struct np_decoder decoder;
    struct fake_broker *fake;
    float x[10];
    char sensor[8];
};

static inline enum np_status fake_decode(struct np_decoder *decoder, const struct np_message *message,
                                         struct np_blocks *blocks, const char **reason, struct np_error *err)
{
    struct fake_decoder *d = (struct fake_decoder *)decoder;
    const char *text = message->value;
    char *end;
    float x;

    *reason = "bad";
    if (strcmp(text, "bad") == 0)
        return np_fail(err, NP_EDATA, "no number");
    if (strncmp(text, "wait ", 5) == 0) {
        if (++d->fake->waits < 4)
            return np_fail(err, NP_ERETRY, "no registry");
        text += 5;
    }
    if (!blocks->items)
        blocks->items = calloc(1, sizeof *blocks->items);
    blocks->n = blocks->capacity = 1;
    snprintf(d->sensor, sizeof d->sensor, "%s", (const char *)message->key);
    blocks->items[0] =
        (struct np_block){.sensor = d->sensor, .channel = "U", .x = d->x, .n = 10, .rate_hz = 10};
    blocks->items[0].t0_ns = strtoll(text, &end, 10) * 1000000000;
    x = strtof(end, NULL);
    for (int i = 0; i < 10; i++)
        d->x[i] = x;
    return NP_OK;
}

static inline void fake_close_decoder(struct np_decoder *decoder)
{
    free(decoder);
}

/* --- putting it together; the fake of the running test --- */

static struct fake_broker *fake_now;

static inline enum np_status fake_decoder_open(void *context, const struct np_pipeline *pipeline, int input,
                                               struct np_decoder **out, struct np_error *err)
{
    struct fake_decoder *d = calloc(1, sizeof *d);

    (void)pipeline;
    (void)input;
    (void)err;
    d->decoder = (struct np_decoder){fake_decode, fake_close_decoder};
    d->fake = context;
    *out = &d->decoder;
    return NP_OK;
}

static inline enum np_status fake_topics(const struct np_pipeline *pipeline, struct np_topic_facts *facts,
                                         struct np_error *err)
{
    (void)pipeline;
    (void)err;
    facts[0] = fake_now->facts;
    return NP_OK;
}

static inline enum np_status fake_source_open(struct np_source **out, const struct np_pipeline *pipeline,
                                              const struct np_source_events *events, struct np_error *err)
{
    (void)pipeline;
    (void)err;
    fake_now->events = *events;
    fake_now->joined = fake_now->left = false;
    fake_now->quiet = 0;
    fake_now->held[0] = fake_now->held[1] = true;
    *out = &fake_now->source;
    return NP_OK;
}

static inline enum np_status fake_sink_open(struct np_sink **out, const struct np_pipeline *pipeline,
                                            const char *worker, struct np_error *err)
{
    (void)pipeline;
    (void)worker;
    (void)err;
    fake_drop(fake_now);
    *out = &fake_now->sink;
    return NP_OK;
}

static inline enum np_status fake_reader_open(struct np_state_reader **out,
                                              const struct np_pipeline *pipeline, struct np_error *err)
{
    (void)pipeline;
    (void)err;
    *out = &fake_now->reader;
    return NP_OK;
}

static inline struct fake_broker *fake_new(void)
{
    struct fake_broker *fake = calloc(1, sizeof *fake);

    fake->source = (struct np_source){.poll = fake_poll,
                                      .view = fake_view,
                                      .release = fake_release,
                                      .dead_letter = fake_dead_letter,
                                      .hold = fake_hold,
                                      .start = fake_start,
                                      .end = fake_end,
                                      .committed = fake_committed,
                                      .leave = fake_leave,
                                      .close = fake_close_source};
    fake->sink = (struct np_sink){.begin = fake_begin,
                                  .send = fake_send,
                                  .flush = fake_flush,
                                  .offsets = fake_offsets,
                                  .commit = fake_commit,
                                  .abort = fake_abort,
                                  .renew = fake_abort,
                                  .close = fake_close_sink};
    fake->reader = (struct np_state_reader){fake_bound, fake_read, fake_close_reader};
    pthread_mutex_init(&fake->lock, NULL);
    fake->facts.partitions = FAKE_PARTITIONS;
    fake->committed[0] = fake->committed[1] = NP_OFFSET_NONE;
    return fake;
}

static inline void fake_free(struct fake_broker *fake)
{
    fake_drop(fake);
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        np_map_free(&fake->state[p]);
    for (size_t i = 0; i < fake->n_results; i++)
        free(fake->results[i]);
    free(fake->results);
    free(fake);
}

/** Adds seconds of three sensors per partition, some above the limit, some bad. */
static inline void fake_fill(struct fake_broker *fake, int from_s, int to_s)
{
    for (int s = from_s; s < to_s; s++)
        for (int m = 0; m < 6; m++) {
            int p = m % FAKE_PARTITIONS;
            struct fake_message *message = &fake->log[p][fake->log_end[p]++];

            snprintf(message->key, sizeof message->key, "m%d", m);
            if ((s + m) % 37 == 0)
                snprintf(message->value, sizeof message->value, "bad");
            else
                snprintf(message->value, sizeof message->value, "%d %g", s,
                         (s / (5 + m)) % 3 == 1 ? 260.5 + m : 230.25 + m);
        }
}

static inline int fake_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/** Runs a worker over the fake until all is read, or it fails. */
static inline enum np_status fake_run(struct fake_broker *fake, const struct np_pipeline *pipeline,
                                      struct np_error *err)
{
    struct np_worker_deps deps = {
        .kernels = fake->kernels ? fake->kernels : np_kernels_best(),
        .context = fake,
        .decoder_open = fake_decoder_open,
        .topics = fake_topics,
        .source_open = fake_source_open,
        .sink_open = fake_sink_open,
        .reader_open = fake_reader_open,
        .beat = &fake->beat,
    };

    fake_now = fake;
    atomic_store(&fake->stop, false);
    return np_worker_run(pipeline, &deps, &fake->stop, NULL, NULL, err);
}

#endif
