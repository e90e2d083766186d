/* What every librdkafka handle of the program has in common: configuration from the pipeline file, log,
 * offsets. Included only by the files that call librdkafka. */
#ifndef NP_KAFKA_CLIENT_H
#define NP_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "pipeline/broker.h"

/** One property; a list ends with name NULL. */
struct np_kafka_setting {
    const char *name, *value;
};

/**
 * Opens a handle. Later ones win: defaults, the pipeline file's properties, fixed.
 * @param defaults, fixed  lists, or NULL
 * @param prepare          optional: sets callbacks
 * @return NP_OK, NP_ECONFIG naming the property (never its value), NP_ENOMEM
 */
enum np_status np_kafka_open(rd_kafka_t **out, rd_kafka_type_t type, const struct np_pipeline *pipeline,
                             const struct np_kafka_setting *defaults, const struct np_kafka_setting *fixed,
                             void (*prepare)(rd_kafka_conf_t *conf, void *context), void *context,
                             struct np_error *err);

/** Stable committed offsets of the handle's group (which it need not be a member of). As np_source.committed.
 */
enum np_status np_kafka_committed(rd_kafka_t *rk, const struct np_pipeline *pipeline,
                                  struct np_position *positions, size_t n, int timeout_ms,
                                  struct np_error *err);

/** Asks for one topic. @return NP_OK; NP_ERETRY: no answer, or no such topic */
enum np_status np_kafka_topic_facts(rd_kafka_t *rk, const char *topic, struct np_topic_facts *facts,
                                    struct np_error *err);

/** "PIPELINE.state". @return out */
const char *np_state_topic_name(const struct np_pipeline *pipeline, char out[300]);

#endif
