/* One batch, one database transaction; inside the loader only. */
#ifndef NP_LOADER_TRANSACTION_H
#define NP_LOADER_TRANSACTION_H

#include "sinks/loader_batch.h"

/** The compare-and-set that every batch begins with. */
struct np_load_move {
    const char *topic;
    int32_t partition;
    int64_t from, to;
};

/**
 * BEGIN; UPDATE cuts; COPY all rows; COMMIT. Rows that the server refuses are found by halving and go to
 * rejected_rows, in the same transaction. On any failure nothing is known to be committed, and the connection
 * is either rolled back or lost.
 * @return NP_OK: committed; NP_EFENCED: the cut is not what it was; else as np_pg_status()
 */
enum np_status np_load_commit(struct np_load_batch *batch, const struct np_load_context *context,
                              struct np_load_source *source, const struct np_load_move *move,
                              struct np_error *err);

#endif
