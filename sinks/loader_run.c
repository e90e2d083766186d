#include "sinks/loader_run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pipeline/log.h"
#include "sinks/loader_maintain.h"

enum {
    POLL_MESSAGES = 4096,
    BATCH_MESSAGES = 10000,
    BATCH_BYTES = 8 << 20,
    BATCH_BYTES_STORED = 1 << 20, /* of a stored input, where every sample becomes a row of 84 bytes */
    WAIT_MS = 100,                /* for messages, when nothing waits to be written */
    EMPTY_MS = 5000,              /* a cut that moved only over markers is written so often */
    LOOK_AGAIN_MS = 30000,        /* the cut is read again when idle (rule 16) */
    LAG_MS = 1000,
    SHORTEST_DELAY_MS = 100,
    LONGEST_DELAY_MS = 10000,
};

/** A partition that the group gave us. */
struct part {
    struct np_place place;
    bool running;   /* being read; else its cut has to be read first */
    int64_t try_ms; /* when to do so */
    int delay_ms;
    int64_t cut, next; /* next: one behind what was taken */
    int64_t end; /* end of the log as the source told it, behind markers; counts once all before is taken */
    int64_t seen_ms; /* when the cut was last read or written */
    size_t n, capacity, bytes;
    struct np_delivery *items; /* taken, not yet written */
    int64_t first_ms;          /* when the first of them was */
};

struct run {
    const struct np_pipeline *pipeline;
    struct np_loader *loader;
    struct np_source *source;
    struct np_beat *beat;
    const char *const *topics;
    bool joined; /* the group has given partitions, perhaps none */
    size_t n_parts;
    struct part *parts;
    struct np_message *messages; /* [BATCH_MESSAGES + POLL_MESSAGES] for one write */
    struct np_delivery *taken;   /* [POLL_MESSAGES] */
    int64_t age_ms;
    enum np_status status; /* not NP_OK: ends the run */
    struct np_error *err;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct part *find(struct run *run, struct np_place place)
{
    for (size_t i = 0; i < run->n_parts; i++)
        if (run->parts[i].place.input == place.input && run->parts[i].place.partition == place.partition)
            return &run->parts[i];
    return NULL;
}

/* Forgets what was taken; it is read again from the cut. */
static void drop(struct run *run, struct part *part)
{
    for (size_t i = 0; i < part->n; i++)
        run->source->release(run->source, &part->items[i]);
    part->n = part->bytes = 0;
    part->running = false;
}

/* Reads the cut again later, with growing delays. */
static void later(struct run *run, struct part *part, int delay_ms)
{
    drop(run, part);
    run->source->hold(run->source, part->place);
    part->delay_ms = delay_ms;
    part->try_ms = now_ms() + delay_ms;
}

static int longer(const struct part *part)
{
    int delay = part->delay_ms < SHORTEST_DELAY_MS ? SHORTEST_DELAY_MS : 2 * part->delay_ms;

    return delay > LONGEST_DELAY_MS ? LONGEST_DELAY_MS : delay;
}

/* What a failure means: try later, or end. */
static void judge(struct run *run, struct part *part, enum np_status status, const struct np_error *err)
{
    const char *topic = run->topics[part->place.input];

    switch (status) {
    case NP_EFENCED:
        np_log(NP_LOG_INFO, "loader", "another loader was faster", "topic=%s partition=%d cut=%lld", topic,
               (int)part->place.partition, (long long)part->cut);
        later(run, part, SHORTEST_DELAY_MS);
        return;
    case NP_ERETRY:
    case NP_ECONFIG: /* it worked before: somebody is changing the database */
        np_log(status == NP_ERETRY ? NP_LOG_WARNING : NP_LOG_ERROR, "loader", "waiting to load again",
               "topic=%s partition=%d delay_ms=%d reason=\"%s\"", topic, (int)part->place.partition,
               longer(part), err->text);
        if (status == NP_ECONFIG)
            np_loader_disconnect(run->loader);
        later(run, part, status == NP_ECONFIG ? LONGEST_DELAY_MS : longer(part));
        return;
    default:
        drop(run, part);
        run->status = np_fail(run->err, status, "%s", err->text);
    }
}

/* --- events of the group --- */

static void assigned(void *context, struct np_member *member, const struct np_place *places, size_t n)
{
    struct run *run = context;
    struct part *parts = realloc(run->parts, (run->n_parts + n + 1) * sizeof *parts);

    np_member_drop(member);
    run->joined = true;
    if (!parts) {
        run->status = np_fail(run->err, NP_ENOMEM, "loader: partitions");
        return;
    }
    run->parts = parts;
    for (size_t i = 0; i < n; i++) {
        if (!find(run, places[i]))
            parts[run->n_parts++] = (struct part){.place = places[i]};
        np_log(NP_LOG_INFO, "loader", "partition assigned", "topic=%s partition=%d",
               run->topics[places[i].input], (int)places[i].partition);
    }
}

/* What was not written is read by the next owner from the cut. */
static void revoked(void *context, struct np_member *member, const struct np_place *places, size_t n)
{
    struct run *run = context;

    np_member_drop(member);
    for (size_t i = 0; i < n; i++) {
        struct part *part = find(run, places[i]);

        if (!part)
            continue;
        drop(run, part);
        free(part->items);
        *part = run->parts[--run->n_parts];
        np_log(NP_LOG_INFO, "loader", "partition revoked", "topic=%s partition=%d",
               run->topics[places[i].input], (int)places[i].partition);
    }
}

/* Reading the cut again tells what is the matter: an offset that is gone ends the run there, with a better
 * text. */
static void failed(void *context, struct np_place place, const struct np_error *error)
{
    struct run *run = context;
    struct part *part = find(run, place);

    np_log(NP_LOG_WARNING, "loader", "the source failed", "reason=\"%s\"", error->text);
    if (part)
        later(run, part, longer(part));
}

static void ended(void *context, struct np_place place, int64_t offset)
{
    struct part *part = find(context, place);

    if (part && part->running)
        part->end = offset;
}

/* --- work --- */

static const char *id_text(const unsigned char id[16], char out[33])
{
    static const unsigned char none[16];

    out[0] = '\0';
    for (int i = 0; i < 16 && memcmp(id, none, 16) != 0; i++)
        snprintf(out + 2 * (size_t)i, 3, "%02x", id[i]);
    return out;
}

/* Reads the cut and, if reading is to begin there, begins. */
static void start_part(struct run *run, struct part *part)
{
    struct np_log_facts facts;
    struct np_source_state state;
    struct np_error err;
    char id[33];
    int64_t cut;
    enum np_status status = run->source->look(run->source, part->place, &facts, &err);

    if (status == NP_OK) {
        state = (struct np_source_state){id_text(facts.topic_id, id), facts.start, facts.end};
        np_beat_give(run->beat, true);
        status = np_loader_cut(run->loader, run->topics[part->place.input], part->place.partition, &state,
                               &cut, &err);
        np_beat_give(run->beat, false);
    } else {
        status = NP_ERETRY; /* the broker's affairs are never the end of the loader */
    }
    if (status == NP_OK && part->running && cut == part->cut) {
        part->seen_ms = now_ms();
        return;
    }
    if (status == NP_OK) {
        drop(run, part);
        status = run->source->start(run->source, part->place, cut, &err) == NP_OK ? NP_OK : NP_ERETRY;
    }
    if (status != NP_OK) {
        judge(run, part, status, &err);
        return;
    }
    np_log(NP_LOG_INFO, "loader", "loading", "topic=%s partition=%d cut=%lld end=%lld",
           run->topics[part->place.input], (int)part->place.partition, (long long)cut, (long long)facts.end);
    part->cut = part->next = part->end = cut;
    part->running = true;
    part->seen_ms = now_ms();
}

static void write_part(struct run *run, struct part *part)
{
    struct np_error err;
    enum np_status status;

    for (size_t i = 0; i < part->n; i++)
        run->source->view(run->source, &part->items[i], &run->messages[i]);
    np_beat_give(run->beat, true);
    status = np_loader_write(run->loader, run->topics[part->place.input], part->place.partition,
                             run->messages, part->n, part->next, &err);
    np_beat_give(run->beat, false);
    if (status != NP_OK) {
        judge(run, part, status, &err);
        return;
    }
    for (size_t i = 0; i < part->n; i++)
        run->source->release(run->source, &part->items[i]);
    part->n = part->bytes = 0;
    part->cut = part->next;
    part->seen_ms = now_ms();
    part->delay_ms = 0;
}

static size_t byte_limit(const struct run *run, const struct part *part)
{
    for (size_t i = 0; i < run->pipeline->n_stores; i++)
        if (strcmp(run->pipeline->inputs[run->pipeline->stores[i].input].topic,
                   run->topics[part->place.input]) == 0)
            return BATCH_BYTES_STORED;
    return BATCH_BYTES;
}

/* Adds a message to its partition's batch; one that is not expected (any more) is let go. */
static void take(struct run *run, const struct np_delivery *delivery)
{
    struct part *part = find(run, delivery->place);

    if (!part || !part->running || delivery->offset < part->cut ||
        (part->n > 0 && delivery->offset <= part->items[part->n - 1].offset)) {
        run->source->release(run->source, delivery);
        return;
    }
    if (part->n == part->capacity) {
        size_t capacity = part->capacity ? 2 * part->capacity : 1024;
        struct np_delivery *items = realloc(part->items, capacity * sizeof *items);

        if (!items) {
            run->source->release(run->source, delivery);
            run->status = np_fail(run->err, NP_ENOMEM, "loader: batch");
            return;
        }
        part->items = items;
        part->capacity = capacity;
    }
    if (part->n == 0)
        part->first_ms = now_ms();
    part->items[part->n++] = *delivery;
    part->bytes += delivery->bytes;
    if (delivery->offset >= part->next)
        part->next = delivery->offset + 1;
    if (part->n >= BATCH_MESSAGES || part->bytes >= byte_limit(run, part))
        write_part(run, part);
}

/* Writes what is old enough, reads cuts that are to be read. @return how long to wait for messages */
static int serve_parts(struct run *run)
{
    int64_t wait = WAIT_MS, now = now_ms();
    size_t held = 0;

    for (size_t i = 0; i < run->n_parts; i++)
        held += run->parts[i].bytes;
    for (size_t i = 0; i < run->n_parts && run->status == NP_OK; i++) {
        struct part *part = &run->parts[i];
        bool full = (int64_t)held > run->pipeline->run.memory / 4;

        /* not before: in the middle of a poll there may be messages below the end that are not taken yet */
        if (part->running && part->end > part->next)
            part->next = part->end;
        if (!part->running) {
            if (now >= part->try_ms)
                start_part(run, part);
        } else if (part->n > 0) {
            int64_t left = part->first_ms + run->age_ms - now;

            if (left <= 0 || full)
                write_part(run, part);
            else if (left < wait)
                wait = left;
        } else if (part->next > part->cut && now - part->seen_ms > EMPTY_MS) {
            write_part(run, part);
        } else if (now - part->seen_ms > LOOK_AGAIN_MS) {
            start_part(run, part);
        }
    }
    return (int)wait;
}

static void tell_lag(struct run *run)
{
    for (int topic = 0; run->topics[topic]; topic++) {
        int64_t lag = 0;

        for (size_t i = 0; i < run->n_parts; i++) {
            const struct part *part = &run->parts[i];
            int64_t end = part->place.input == topic ? run->source->end(run->source, part->place) : 0;

            if (part->place.input == topic && end > part->cut)
                lag += end - part->cut;
        }
        np_loader_lag(run->loader, run->topics[topic], lag);
    }
}

static bool all_running(const struct run *run)
{
    for (size_t i = 0; i < run->n_parts; i++)
        if (!run->parts[i].running)
            return false;
    return run->joined;
}

static void work(struct run *run, const atomic_bool *stop, atomic_bool *ready)
{
    int64_t lag_ms = 0;
    int wait = 0;

    while (run->status == NP_OK && !atomic_load(stop)) {
        struct np_error err;
        size_t n;
        enum np_status status;

        np_beat_give(run->beat, false);
        status = run->source->poll(run->source, run->taken, POLL_MESSAGES, &n, wait, &err);
        if (status != NP_OK) {
            run->status = np_fail(run->err, status, "%s", err.text);
            return;
        }
        for (size_t i = 0; i < n; i++)
            take(run, &run->taken[i]);
        wait = serve_parts(run);
        atomic_store(ready, all_running(run));
        if (now_ms() - lag_ms >= LAG_MS) {
            tell_lag(run);
            lag_ms = now_ms();
        }
    }
    atomic_store(ready, false);
    for (size_t i = 0; i < run->n_parts && run->status == NP_OK; i++)
        if (run->parts[i].running && run->parts[i].next > run->parts[i].cut)
            write_part(run, &run->parts[i]);
}

/* The first connection. A refusal is the user's mistake; a server that does not answer is waited for. */
static enum np_status connect_first(struct np_loader *loader, const atomic_bool *stop, struct np_error *err)
{
    int delay_ms = SHORTEST_DELAY_MS;
    enum np_status status;

    while ((status = np_loader_connect(loader, err)) == NP_ERETRY && !atomic_load(stop)) {
        np_log(NP_LOG_WARNING, "loader", "waiting for PostgreSQL", "delay_ms=%d reason=\"%s\"", delay_ms,
               err->text);
        for (int64_t until = now_ms() + delay_ms; now_ms() < until && !atomic_load(stop);)
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        delay_ms = 2 * delay_ms > LONGEST_DELAY_MS ? LONGEST_DELAY_MS : 2 * delay_ms;
    }
    return status == NP_ERETRY ? NP_OK : status;
}

static enum np_status open_source(struct run *run, const struct np_loader_deps *deps)
{
    const struct np_source_events events = {
        .context = run, .assigned = assigned, .revoked = revoked, .failed = failed, .ended = ended};
    char group[300];
    size_t n = 0;

    while (run->topics[n])
        n++;
    snprintf(group, sizeof group, "%s.loader", run->pipeline->name);
    return deps->open_source(&run->source, run->pipeline, group, run->topics, n, &events, run->err);
}

enum np_status np_loader_run(const struct np_pipeline *pipeline, const struct np_loader_deps *deps,
                             const atomic_bool *stop, atomic_bool *ready, struct np_metrics *metrics,
                             struct np_error *err)
{
    struct run run = {.pipeline = pipeline, .beat = deps->beat, .err = err};
    struct np_maintainer *maintainer = NULL;
    struct np_error ignored;
    int64_t age_ms = pipeline->run.commit_ns / 1000000;

    run.age_ms = age_ms < 50 ? 50 : age_ms > 1000 ? 1000 : age_ms;
    run.messages = calloc(BATCH_MESSAGES + POLL_MESSAGES, sizeof *run.messages);
    run.taken = calloc(POLL_MESSAGES, sizeof *run.taken);
    if (!run.messages || !run.taken)
        run.status = np_fail(err, NP_ENOMEM, "loader");
    if (run.status == NP_OK)
        run.status = np_loader_open(&run.loader, pipeline, deps, metrics, err);
    if (run.status == NP_OK)
        run.status = connect_first(run.loader, stop, err);
    if (run.status != NP_OK || atomic_load(stop))
        goto out;
    run.topics = np_loader_topics(run.loader);
    run.status = np_maintainer_open(&maintainer, pipeline, err);
    if (run.status == NP_OK)
        run.status = open_source(&run, deps);
    if (run.status != NP_OK)
        goto out;
    work(&run, stop, ready);
    run.source->leave(run.source, &ignored);
out:
    np_maintainer_close(maintainer);
    for (size_t i = 0; i < run.n_parts; i++) {
        drop(&run, &run.parts[i]);
        free(run.parts[i].items);
    }
    if (run.source)
        run.source->close(run.source);
    free(run.parts);
    free(run.messages);
    free(run.taken);
    np_loader_close(run.loader);
    return run.status;
}
