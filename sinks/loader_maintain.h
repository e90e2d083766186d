/* The thread that keeps partitions, retention and indexes, on a connection of its own; inside the loader
 * only. */
#ifndef NP_LOADER_MAINTAIN_H
#define NP_LOADER_MAINTAIN_H

#include "pipeline/pipeline.h"

struct np_maintainer;

/** Starts it; the tables exist. @param out given */
enum np_status np_maintainer_open(struct np_maintainer **out, const struct np_pipeline *pipeline,
                                  struct np_error *err);
/** Stops it and waits; accepts NULL. */
void np_maintainer_close(struct np_maintainer *maintainer);

#endif
