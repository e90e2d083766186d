/* The order of steps: parents before children. Used by pipeline/pipeline_steps.c only. */
#ifndef NP_PIPELINE_ORDER_H
#define NP_PIPELINE_ORDER_H

#include "pipeline/pipeline.h"

/** A step while the file is read: whether its place in the graph is known. */
struct np_step_draft {
    const struct np_node *key;
    char *column;                 /* that it reads of its parent, or NULL */
    bool placed, lost;            /* lost: reads nothing that is there */
};

/**
 * Sorts steps and drafts alike so that parents stand before children, else in the file's order; lost ones
 * come last, without a parent. Steps that read each other in a circle are a mistake, and lost.
 * @return false without memory
 */
bool np_steps_sort(struct np_pipeline *pipeline, struct np_step_draft *drafts, struct np_mistakes *mistakes);

#endif
