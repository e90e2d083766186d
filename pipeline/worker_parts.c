/* What the worker's threads share: clocks, waiting, names, the list of partitions, failure, metrics. */
#include "pipeline/worker_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/log.h"

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t np_clock_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t np_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void np_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool np_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};

    return pthread_cond_timedwait(cond, lock, &deadline) != ETIMEDOUT;
}

const char *np_place_text(const struct np_pipeline *pipeline, struct np_place place, char out[300])
{
    snprintf(out, 300, "%s[%d]", pipeline->inputs[place.input].topic, (int)place.partition);
    return out;
}

void np_worker_fail(struct np_worker *worker, const struct np_error *error)
{
    pthread_mutex_lock(&worker->failure_lock);
    if (!atomic_load(&worker->failing)) {
        worker->failure = *error;
        atomic_store(&worker->failing, true);
        np_log(NP_LOG_ERROR, "worker", "worker stops", "status=%s reason=\"%s\"",
               np_status_name(error->status), error->text);
    }
    pthread_mutex_unlock(&worker->failure_lock);
}

void np_worker_drop_epoch(struct np_worker *worker, struct np_epoch *epoch)
{
    if (!epoch)
        return;
    atomic_fetch_sub(&worker->buffered, epoch->charged);
    np_epoch_close(epoch);
}

struct np_part *np_worker_part(struct np_worker *worker, struct np_place place)
{
    struct np_part *found = NULL;

    pthread_mutex_lock(&worker->parts_lock);
    for (size_t i = 0; i < worker->n_parts && !found; i++) {
        struct np_part *part = worker->parts[i];

        if (part->place.partition == place.partition && part->place.input == place.input)
            found = part;
    }
    pthread_mutex_unlock(&worker->parts_lock);
    return found;
}

/* --- metrics --- */

static const double seconds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2,  0.5,
                                 1,     2,     5,     10,   30,   60,   300, 3600, 0};
static const double bytes[] = {1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 0};

enum np_status np_worker_metrics(struct np_worker *worker, struct np_error *err)
{
    const struct np_pipeline *pipeline = worker->pipeline;
    struct np_metrics *metrics = worker->metrics;
    char labels[600];

    worker->m.step_records = calloc(pipeline->n_steps + 1, sizeof(struct np_metric *));
    if (!worker->m.step_records)
        return np_fail(err, NP_ENOMEM, "out of memory for metrics");
    if (!metrics)
        return NP_OK;
    for (size_t i = 0; i < pipeline->n_steps; i++) {
        const struct np_step *step = &pipeline->steps[i];

        snprintf(labels, sizeof labels, "step=\"%s\",topic=\"%s\"", step->name,
                 step->topic ? step->topic : "");
        worker->m.step_records[i] = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_records_committed_total",
                                              labels, "records committed to result topics", NULL);
    }
    worker->m.transactions = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_transactions_committed_total",
                                       "", "transactions acknowledged by the broker", NULL);
    worker->m.aborted = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_transactions_failed_total", "",
                                  "transactions that did not go through and were sent again", NULL);
    worker->m.renewed = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_producers_renewed_total", "",
                                  "transactional producers replaced after a fatal error", NULL);
    worker->m.stopped = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_partitions_stopped_total", "",
                                  "partitions stopped because of a state that must not be passed over", NULL);
    worker->m.latency = np_metric(metrics, NP_METRIC_HISTOGRAM, "netzpuls_sample_to_commit_seconds", "",
                                  "from the end of a record's window to its commit", seconds);
    worker->m.commit_seconds =
        np_metric(metrics, NP_METRIC_HISTOGRAM, "netzpuls_commit_seconds", "",
                  "time of one transaction, from collecting to acknowledgement", seconds);
    worker->m.recovery_seconds = np_metric(metrics, NP_METRIC_HISTOGRAM, "netzpuls_recovery_seconds", "",
                                           "time to read the state of one partition", seconds);
    worker->m.epoch_bytes = np_metric(metrics, NP_METRIC_HISTOGRAM, "netzpuls_epoch_bytes", "",
                                      "results and state of one partition in one transaction", bytes);
    worker->m.buffered = np_metric(metrics, NP_METRIC_GAUGE, "netzpuls_buffered_bytes", "",
                                   "messages waiting and results not committed yet", NULL);
    worker->m.decode_seconds =
        np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_stage_seconds_total", "stage=\"decode_and_feed\"",
                  "time that lanes spent, by stage", NULL);
    worker->m.compute_seconds =
        np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_stage_seconds_total", "stage=\"compute_and_encode\"",
                  "time that lanes spent, by stage", NULL);
    return NP_OK;
}

void np_worker_part_metrics(struct np_worker *worker, struct np_part *part)
{
    struct np_metrics *metrics = worker->metrics;
    char labels[600];

    if (!metrics)
        return;
    snprintf(labels, sizeof labels, "topic=\"%s\",partition=\"%d\"",
             worker->pipeline->inputs[part->place.input].topic, (int)part->place.partition);
    part->lag = np_metric(metrics, NP_METRIC_GAUGE, "netzpuls_lag_messages", labels,
                          "messages in the topic behind the committed offset", NULL);
    part->watermark_lag = np_metric(metrics, NP_METRIC_GAUGE, "netzpuls_watermark_lag_seconds", labels,
                                    "now minus the lowest watermark of streams that are not idle", NULL);
    part->messages =
        np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_messages_total", labels, "messages fed", NULL);
    part->samples =
        np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_samples_total", labels, "samples fed", NULL);
    part->late = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_samples_late_total", labels,
                           "samples that came after their windows had closed", NULL);
    part->gaps = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_gaps_total", labels,
                           "samples missing inside windows", NULL);
    part->duplicates = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_samples_duplicate_total", labels,
                                 "samples dropped because their time was taken", NULL);
    part->dead = np_metric(metrics, NP_METRIC_COUNTER, "netzpuls_dead_letters_total", labels,
                           "messages committed to the dead letters", NULL);
}
