/* Results as JSON Lines, for replay: one object a line, in order. */
#ifndef NP_JSONL_H
#define NP_JSONL_H

#include <stdio.h>

#include "pipeline/lane.h"

struct np_jsonl {
    struct np_output output;      /* give this to np_lane_add() */
    FILE *file;                   /* borrowed */
    struct np_bytes line;
    uint64_t n_records;
};

/** Only steps that go to a topic or a table are written. */
void np_jsonl_open(struct np_jsonl *jsonl, FILE *file);
/** Flushes. @return NP_OK, or NP_ESTOP with the system's reason */
enum np_status np_jsonl_close(struct np_jsonl *jsonl, struct np_error *err);

#endif
