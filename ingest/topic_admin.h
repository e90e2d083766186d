/* Looks at topics and makes missing ones. */
#ifndef NP_TOPIC_ADMIN_H
#define NP_TOPIC_ADMIN_H

#include "pipeline/broker.h"

/**
 * Every input's topic must exist. Topics of results, dead letters and state that are missing are made with
 * the broker's default replication and as many partitions as the input they come from (state: as the largest
 * input; compacted).
 * @param facts  [n_inputs]
 * @return NP_OK; NP_ERETRY: no broker answers; NP_ECONFIG: a topic is missing or cannot be used
 */
enum np_status np_topics_prepare(const struct np_pipeline *pipeline, struct np_topic_facts *facts,
                                 struct np_error *err);

/** Only looks, for `check --connect`: a broker answers, and every input's topic exists. @return as
 * np_topics_prepare() */
enum np_status np_topics_look(const struct np_pipeline *pipeline, struct np_error *err);

#endif
