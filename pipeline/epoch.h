/* What one partition adds to one transaction: everything that came of its messages up to the cut. Made in the
 * lane, kept by the commit thread until the broker has acknowledged the commit. */
#ifndef NP_EPOCH_H
#define NP_EPOCH_H

#include "pipeline/broker.h"

struct np_epoch {
    struct np_epoch *next;
    struct np_place place;
    unsigned life; /* of the assignment: an epoch of an earlier one is dropped */
    int64_t cut;   /* offset behind its last message */
    uint64_t digest;
    uint32_t revision;
    struct np_bytes items;   /* records and dead letters, see np_epoch_next */
    struct np_bytes entries; /* decision entries, see np_epoch_entry_next */
    size_t n_records, n_dead;
    bool has_snapshot;
    struct np_bytes snapshot; /* the state at the cut */
    int64_t resume;
    size_t charged; /* booked on the worker's bound on memory */
};

/** One record or dead letter inside an epoch. */
struct np_item {
    int to;         /* NP_TO_STEP + step, or NP_TO_DEAD_LETTERS */
    int64_t end_ns; /* end of what it speaks of, for the latency */
    uint32_t key_length, value_length, headers_length;
    bool has_key, has_value;
};

/** @return given, or NULL without memory */
struct np_epoch *np_epoch_open(struct np_place place, unsigned life);
void np_epoch_close(struct np_epoch *epoch); /* accepts NULL; that epoch only, not the list */
void np_epochs_close(struct np_epoch *list);

/**
 * Begins an item: the caller appends its value to epoch->items and ends it.
 * @return 0 or -1; *start is for np_epoch_item_end
 */
int np_epoch_item_begin(struct np_epoch *epoch, const struct np_item *item, const void *key,
                        const void *headers, size_t *start);
void np_epoch_item_end(struct np_epoch *epoch, size_t start);
/** Walks the items: *at starts with 0. @return false at the end */
bool np_epoch_next(const struct np_epoch *epoch, size_t *at, struct np_item *item, struct np_outgoing *out);

/** Adds a decision entry; value NULL: a tombstone. @return 0 or -1 */
int np_epoch_entry_add(struct np_epoch *epoch, const void *key, size_t key_length, const void *value,
                       size_t value_length);
bool np_epoch_entry_next(const struct np_epoch *epoch, size_t *at, const void **key, size_t *key_length,
                         const void **value, size_t *value_length);

size_t np_epoch_bytes(const struct np_epoch *epoch);

#endif
