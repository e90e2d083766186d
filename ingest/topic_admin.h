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

/** What is said of an input's topic that is missing; its name is the one argument. */
#define NP_TOPIC_MISSING "topic %s does not exist, and an input is not made by this program"

/** What `check --connect` wants to know of a topic. */
struct np_topic_look {
    const char *name;   /* borrowed; each once */
    bool written;       /* by this pipeline; else it is read */
    int32_t partitions; /* found out; 0: there is none, or why tells */
    char why[200];      /* found out: why it cannot be used; "" */
};
/** Only looks. @param topics  name and written set, the others 0. @return NP_OK: see topics; NP_ERETRY: no
 * broker answers within timeout_ms; NP_ECONFIG: it refuses us; NP_ENOMEM */
enum np_status np_topics_look(const struct np_pipeline *pipeline, struct np_topic_look *topics, size_t n,
                              int timeout_ms, struct np_error *err);
/** The state topic keeps the number of partitions that the inputs had. @return NP_OK or NP_ESTOP */
enum np_status np_topics_state_fits(const char *state, int32_t has, int32_t needs, struct np_error *err);

#endif
