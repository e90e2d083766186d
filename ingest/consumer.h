/* The consumer group as the worker's source (np_source). Only this file, state_topic.c, topic_admin.c, kafka_client.c,
 * dead_letter.c and sinks/topic.c call librdkafka for the worker. */
#ifndef NP_CONSUMER_H
#define NP_CONSUMER_H

#include "pipeline/broker.h"

/** Joins the group named after the pipeline. @param events copied. @param out given */
enum np_status np_consumer_open(struct np_source **out, const struct np_pipeline *pipeline,
                                const struct np_source_events *events, struct np_error *err);

#endif
