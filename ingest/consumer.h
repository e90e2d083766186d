/* A consumer group as a source (np_source): the worker's, over the inputs, and the loader's. Only this file,
 * state_topic.c, topic_admin.c, kafka_client.c, dead_letter.c and sinks/topic.c call librdkafka for the
 * worker. */
#ifndef NP_CONSUMER_H
#define NP_CONSUMER_H

#include "pipeline/broker.h"

/** Joins the group named after the pipeline. @param events copied. @param out given */
enum np_status np_consumer_open(struct np_source **out, const struct np_pipeline *pipeline,
                                const struct np_source_events *events, struct np_error *err);
/**
 * The same for any topics under another group; np_place.input counts these topics then. np_source.committed
 * is not for it.
 * @param topics  each once; the texts are borrowed for the life of the source
 */
enum np_status np_consumer_open_topics(struct np_source **out, const struct np_pipeline *pipeline,
                                       const char *group, const char *const *topics, size_t n_topics,
                                       const struct np_source_events *events, struct np_error *err);

#endif
