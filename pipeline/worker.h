/* The worker: takes messages of the pipeline's inputs, computes, and commits results, offsets and state to
 * the broker exactly once. One thread polls the group, each lane has a thread, one thread commits, one
 * recovers partitions:
 *
 *     source -> queue of the partition -> lane -> epoch -> transaction
 *
 * A partition that is assigned goes: held -> recovered (pipeline/recover.c) -> refill, suppress, emit (the
 * lane) -> on revocation or stop a last epoch with a snapshot is committed before it is let go. */
#ifndef NP_WORKER_H
#define NP_WORKER_H

#include "pipeline/beat.h"
#include "pipeline/broker.h"
#include "pipeline/metrics.h"

/** What the worker is put together from; everything is borrowed while it runs. */
struct np_worker_deps {
    const struct np_kernels *kernels;
    void *context; /* of the next two */
    /** One decoder per lane and input. @param out given */
    enum np_status (*decoder_open)(void *context, const struct np_pipeline *pipeline, int input,
                                   struct np_decoder **out, struct np_error *err);
    /** Registers an Avro schema. @return NP_OK with the id; NP_ERETRY: the registry cannot be asked now;
     * NP_ECONFIG */
    enum np_status (*schema_id)(void *context, const char *subject, const char *schema, int32_t *id,
                                struct np_error *err);
    /** Looks at the inputs' topics and makes the missing ones of results, dead letters and state. @param
     * facts [n_inputs] */
    enum np_status (*topics)(const struct np_pipeline *pipeline, struct np_topic_facts *facts,
                             struct np_error *err);
    /** @param events copied */
    enum np_status (*source_open)(struct np_source **out, const struct np_pipeline *pipeline,
                                  const struct np_source_events *events, struct np_error *err);
    /** @param worker  stable name of this worker (rule 22) */
    enum np_status (*sink_open)(struct np_sink **out, const struct np_pipeline *pipeline, const char *worker,
                                struct np_error *err);
    enum np_status (*reader_open)(struct np_state_reader **out, const struct np_pipeline *pipeline,
                                  struct np_error *err);
    struct np_beat *beat; /* of the polling thread; or NULL */
};

/**
 * Works until *stop is set, then drains, commits, leaves the group.
 * @param stop     set by anybody, also a signal handler
 * @param ready    set once the group was joined and the first assignment is being worked on; may be NULL
 * @param metrics  may be NULL
 * @return NP_OK after a stop; NP_ERETRY: the broker could not be reached at the start; NP_EFENCED: another
 * worker of the same name lives; NP_ECONFIG; NP_ESTOP: a state that must not be passed over
 */
enum np_status np_worker_run(const struct np_pipeline *pipeline, const struct np_worker_deps *deps,
                             const atomic_bool *stop, atomic_bool *ready, struct np_metrics *metrics,
                             struct np_error *err);

#endif
