/* The state topic as recovery reads it (np_state_reader), with handles of its own. */
#ifndef NP_STATE_TOPIC_H
#define NP_STATE_TOPIC_H

#include "pipeline/broker.h"

/** @param out given */
enum np_status np_state_topic_open(struct np_state_reader **out, const struct np_pipeline *pipeline,
                                   struct np_error *err);

#endif
