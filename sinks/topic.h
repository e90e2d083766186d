/* The transactional producer as the worker's sink (np_sink). */
#ifndef NP_TOPIC_H
#define NP_TOPIC_H

#include "pipeline/broker.h"

/** Opens the producer "<pipeline>-<worker>" and fences whoever had that name before. @param out given */
enum np_status np_topic_sink_open(struct np_sink **out, const struct np_pipeline *pipeline,
                                  const char *worker, struct np_error *err);

#endif
