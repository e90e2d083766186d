/* netzpuls run: the job. One thread runs the worker, one the loader; this one waits for a signal, watches both and
 * answers the service manager. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ingest/consumer.h"
#include "ingest/decoder.h"
#include "ingest/state_topic.h"
#include "ingest/topic_admin.h"
#include "pipeline/beat.h"
#include "pipeline/cli.h"
#include "pipeline/health.h"
#include "pipeline/log.h"
#include "pipeline/notify.h"
#include "pipeline/worker.h"
#include "sinks/topic.h"
#ifdef NP_POSTGRES
#include "sinks/loader_run.h"
#endif

#define TICK_MS  20              /* how often the main thread looks after the halves */
#define STUCK_NS 60000000000     /* without a watchdog: a half that gives no sign of life for so long is stuck */

enum only { ONLY_BOTH, ONLY_COMPUTE, ONLY_LOAD };
static const char *const only_names[] = {"both", "compute", "load", NULL};
static const char *const level_names[] = {"debug", "info", "warning", "error", NULL};

struct run_conf {
    int only, log_level;
    bool log_json;
    char *kernels;
};
static const struct np_option run_flags[] = {
    {"only", NP_OPT_CHOICE, offsetof(struct run_conf, only), NULL, "both", 0, 0, only_names, false,
     "Run one half of the job: compute (inputs to topics) or load (topics to PostgreSQL)."},
    {"log-level", NP_OPT_CHOICE, offsetof(struct run_conf, log_level), NULL, "info", 0, 0, level_names, false,
     "The lowest level of the log."},
    {"log-json", NP_OPT_BOOL, offsetof(struct run_conf, log_json), NULL, "false", 0, 0, NULL, false,
     "Write the log as one JSON object a line."},
    {"kernels", NP_OPT_TEXT, offsetof(struct run_conf, kernels), NULL, "", 0, 0, NULL, false,
     "Compute with this variant (see `netzpuls version`) instead of the fastest."},
    {0},
};

/* One half of the job. */
struct half {
    struct job *job;
    const char *name;
    bool on, started;
    pthread_t thread;
    atomic_bool ready, ended;
    struct np_beat beat;
    enum np_status status;
    struct np_error err;
};

struct job {
    const struct np_pipeline *pipeline;
    const struct np_kernels *kernels;
    struct np_schema_registry *registry;
    struct np_metrics *metrics;
    struct half compute, load;
    int64_t stuck_ns;    /* a beat that is older */
};

/* Set by signal handlers, so it cannot belong to the job. */
static atomic_bool stop_asked;

static void ask_stop(int signal_number)
{
    (void)signal_number;
    atomic_store(&stop_asked, true);
}

/* --- what the halves are put together from -------------------------------------------------------- */

static enum np_status open_decoder(void *context, const struct np_pipeline *pipeline, int input,
                                   struct np_decoder **out, struct np_error *err)
{
    struct job *job = context;

    return np_decoder_open(out, pipeline, input, job->registry, err);
}

static enum np_status register_schema(void *context, const char *subject, const char *schema, int32_t *id,
                                      struct np_error *err)
{
    struct job *job = context;

    if (!job->registry)
        return np_fail(err, NP_ECONFIG, "topic schema %s: Avro results need a registry: { url: .. } in the pipeline file",
                       subject);
    return np_schema_registry_register(job->registry, subject, schema, strlen(schema), id, err);
}

static void *compute(void *argument)
{
    struct half *half = argument;
    struct job *job = half->job;
    struct np_worker_deps deps = {
        .kernels = job->kernels,
        .context = job,
        .decoder_open = open_decoder,
        .schema_id = register_schema,
        .topics = np_topics_prepare,
        .source_open = np_consumer_open,
        .sink_open = np_topic_sink_open,
        .reader_open = np_state_topic_open,
        .beat = &half->beat,
    };

    half->status = np_worker_run(job->pipeline, &deps, &stop_asked, &half->ready, job->metrics, &half->err);
    atomic_store(&half->ended, true);
    return NULL;
}

#ifdef NP_POSTGRES
static enum np_status open_row_decoder(void *context, struct np_row_decoder **out, const struct np_pipeline *pipeline,
                                       const struct np_step *step, struct np_error *err)
{
    struct job *job = context;

    return np_row_decoder_open(out, pipeline, step, job->registry, err);
}

static enum np_status open_stored_decoder(void *context, struct np_decoder **out, const struct np_pipeline *pipeline,
                                          const struct np_input *input, struct np_error *err)
{
    return open_decoder(context, pipeline, (int)(input - pipeline->inputs), out, err);
}

static void *load(void *argument)
{
    struct half *half = argument;
    struct job *job = half->job;
    struct np_loader_deps deps = {
        .context = job,
        .open_row_decoder = open_row_decoder,
        .open_decoder = open_stored_decoder,
        .open_source = np_consumer_open_topics,
        .beat = &half->beat,
    };

    half->status = np_loader_run(job->pipeline, &deps, &stop_asked, &half->ready, job->metrics, &half->err);
    atomic_store(&half->ended, true);
    return NULL;
}
#else
static void *load(void *argument)
{
    struct half *half = argument;

    half->status = np_fail(&half->err, NP_ECONFIG, "outputs: postgres: this build has no PostgreSQL (NP_POSTGRES)");
    atomic_store(&half->ended, true);
    return NULL;
}
#endif

/* --- health --------------------------------------------------------------------------------------- */

static enum np_health_state tell_half(const struct half *half, FILE *reasons)
{
    int64_t age_ns;

    if (!half->on)
        return NP_HEALTH_READY;
    if (half->ended) {
        fprintf(reasons, "%s: has ended\n", half->name);
        return NP_HEALTH_NOT_READY;
    }
    switch (np_beat_judge(&half->beat, np_beat_clock_ns(), half->job->stuck_ns, &age_ns)) {
    case NP_BEAT_STUCK:
        fprintf(reasons, "%s: no sign of life for %lld s\n", half->name, (long long)(age_ns / 1000000000));
        return NP_HEALTH_STUCK;
    case NP_BEAT_WAITS:
        fprintf(reasons, "%s: has waited for a server for %lld s\n", half->name, (long long)(age_ns / 1000000000));
        return NP_HEALTH_NOT_READY;
    case NP_BEAT_GOES:
        break;
    }
    if (!half->ready) {
        fprintf(reasons, "%s: is starting\n", half->name);
        return NP_HEALTH_NOT_READY;
    }
    return NP_HEALTH_READY;
}

static enum np_health_state tell_state(void *context, FILE *reasons)
{
    const struct job *job = context;
    enum np_health_state compute_state = tell_half(&job->compute, reasons), load_state = tell_half(&job->load, reasons);

    if (compute_state == NP_HEALTH_STUCK || load_state == NP_HEALTH_STUCK)
        return NP_HEALTH_STUCK;
    if (atomic_load(&stop_asked)) {
        fprintf(reasons, "stopping\n");
        return NP_HEALTH_NOT_READY;
    }
    /* A loader that waits for its database stops nothing: results wait in their topics. */
    if (compute_state != NP_HEALTH_READY || !job->compute.on)
        return compute_state != NP_HEALTH_READY ? compute_state : load_state;
    return load_state == NP_HEALTH_READY ? NP_HEALTH_READY : NP_HEALTH_DEGRADED;
}

/* --- the job -------------------------------------------------------------------------------------- */

static enum np_status half_start(struct half *half, void *(*body)(void *), struct np_error *err)
{
    if (!half->on)
        return NP_OK;
    half->started = pthread_create(&half->thread, NULL, body, half) == 0;
    return half->started ? NP_OK : np_fail(err, NP_ENOMEM, "a thread to %s", half->name);
}

/* The first failure is the program's last line and what it exits with. */
static void half_join(struct half *half, enum np_status *st, struct np_error *err)
{
    if (!half->started)
        return;
    pthread_join(half->thread, NULL);
    if (half->status == NP_OK)
        return;
    if (*st == NP_OK) {
        *st = half->status;
        *err = half->err;
    } else {
        np_log(NP_LOG_ERROR, half->name, "stopped", "status=%s reason=\"%s\"", np_status_name(half->status),
               half->err.text);
    }
}

static bool settled(const struct half *half)
{
    return !half->on || half->ready;
}

static bool is_stuck(const struct half *half)
{
    return half->on && np_beat_judge(&half->beat, np_beat_clock_ns(), half->job->stuck_ns, NULL) == NP_BEAT_STUCK;
}

static void wait_for_end(const struct job *job)
{
    const struct timespec tick = {.tv_nsec = TICK_MS * 1000000};
    int64_t watchdog_ms = np_notify_watchdog_ms(), since_alive_ms = 0;
    bool told = false, stuck = false;

    while (!atomic_load(&stop_asked)) {
        if (job->compute.ended || job->load.ended)
            break;
        if (!told && settled(&job->compute) && (settled(&job->load) || job->compute.on)) {
            np_notify_ready();
            told = true;
        }
        since_alive_ms += TICK_MS;
        if (stuck != (is_stuck(&job->compute) || is_stuck(&job->load))) {
            stuck = !stuck;
            np_log(stuck ? NP_LOG_ERROR : NP_LOG_INFO, "run", stuck ? "no sign of life" : "goes on again", "half=%s",
                   is_stuck(&job->compute) ? "compute" : is_stuck(&job->load) ? "load" : "both");
        }
        if (watchdog_ms && !stuck && since_alive_ms >= watchdog_ms / 4) {    /* ticks are late on a busy machine */
            np_notify_alive();
            since_alive_ms = 0;
        }
        nanosleep(&tick, NULL);
    }
    atomic_store(&stop_asked, true);
    np_notify_stopping();
}

static enum np_status run_job(struct job *job, struct np_error *err)
{
    struct np_health_source source = {.state = tell_state, .context = job};
    struct np_health *health = NULL;
    const struct np_pipeline *pl = job->pipeline;
    enum np_status st = NP_OK;

    if (pl->registry_url)
        st = np_schema_registry_open(&job->registry, pl->registry_url, pl->registry_user, pl->registry_password, err);
    if (st == NP_OK && pl->run.http) {
        st = np_health_open(&health, pl->run.http, job->metrics, &source, err);
        if (st == NP_OK)
            np_log(NP_LOG_INFO, "http", "listening", "address=%s port=%u", pl->run.http, np_health_port(health));
    }
    if (st == NP_OK)
        st = half_start(&job->compute, compute, err);
    if (st == NP_OK)
        st = half_start(&job->load, load, err);
    if (st == NP_OK)
        wait_for_end(job);
    atomic_store(&stop_asked, true);
    half_join(&job->compute, &st, err);
    half_join(&job->load, &st, err);
    np_health_close(health);
    np_schema_registry_close(job->registry);
    return st;
}

static enum np_exit run(const void *conf_in, int n_arguments, char **arguments)
{
    const struct run_conf *conf = conf_in;
    struct sigaction action = {.sa_handler = ask_stop};
    struct job job = {.kernels = conf->kernels ? np_kernels_find(conf->kernels) : np_kernels_best()};
    struct np_pipeline *pipeline;
    struct np_error err = {0};
    enum np_status st = NP_OK;
    enum np_exit failed;

    (void)n_arguments;
    pipeline = np_cli_pipeline(arguments[0], true, &failed);
    if (!pipeline)
        return failed;
    np_log_setup((enum np_log_level)conf->log_level, conf->log_json);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    job.pipeline = pipeline;
    job.stuck_ns = np_notify_watchdog_ms() ? 2 * np_notify_watchdog_ms() * 1000000 : STUCK_NS;
    job.compute = (struct half){.job = &job, .name = "compute", .on = conf->only != ONLY_LOAD};
    job.load = (struct half){.job = &job, .name = "load", .on = conf->only != ONLY_COMPUTE && pipeline->postgres.on};
    job.metrics = np_metrics_open();
    if (!job.metrics)
        st = np_fail(&err, NP_ENOMEM, "metrics");
    else if (!job.kernels)
        st = np_fail(&err, NP_ECONFIG, "--kernels %s: no such variant here; `netzpuls version` lists them", conf->kernels);
    else if (conf->only == ONLY_LOAD && !pipeline->postgres.on)
        st = np_fail(&err, NP_ECONFIG, "--only load: %s has no outputs: { postgres: .. } to load into", arguments[0]);
    else
        st = run_job(&job, &err);
    np_metrics_close(job.metrics);
    np_pipeline_free(pipeline);
    return st == NP_OK ? NP_EXIT_OK : np_cli_fail(&err);
}

const struct np_command np_cmd_run = {
    .name = "run",
    .arguments = "PIPELINE",
    .min_arguments = 1,
    .max_arguments = 1,
    .help = "Runs a pipeline until SIGTERM: computes, commits, loads.",
    .text = "A worker joins the Kafka consumer group named after the pipeline; start more of them, each with a name of its own, to\n"
            "share the partitions. SIGTERM and Ctrl-C drain, commit and leave the group: exit 0. The log goes to stderr.\n\n"
            "  netzpuls run feeder.yaml\n"
            "  netzpuls run feeder.yaml --only compute\n",
    .flags = run_flags,
    .conf_size = sizeof(struct run_conf),
    .run = run,
};
