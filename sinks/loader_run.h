/* The loader at work: a consumer group `<pipeline>.loader` that serves assignment only, and the engine of
 * loader.h. */
#ifndef NP_LOADER_RUN_H
#define NP_LOADER_RUN_H

#include <stdatomic.h>

#include "sinks/loader.h"

/**
 * Loads until stopped. A database or a broker that is away is waited for, and what was missed is caught up.
 * To be run in a thread of its own; starts one more, which keeps partitions, retention and indexes.
 * @param deps     open_source: np_consumer_open_topics() of ingest/consumer.h
 * @param stop     set by anybody: what was taken is written, the group is left
 * @param ready    kept up to date: the group gave its partitions (perhaps none) and all of them are being
 * loaded
 * @param metrics  or NULL
 * @return NP_OK: stopped; NP_ECONFIG: the first connection was refused, or the tables do not fit; NP_ESTOP: a
 * topic no longer holds what is missing, or is another topic now; NP_ENOMEM
 */
enum np_status np_loader_run(const struct np_pipeline *pipeline, const struct np_loader_deps *deps,
                             const atomic_bool *stop, atomic_bool *ready, struct np_metrics *metrics,
                             struct np_error *err);

#endif
