/* What stands in the state topic. Keys, for an input called waves:
 *     waves/c         the cut: with every transaction
 *     waves/f/ENTRY   one decision entry (PROTOCOL 9): when it changed
 *     waves/h         header of the snapshot
 *     waves/s/NNN     the snapshot's chunks
 * Values are little-endian, begin with a version byte and end with a checksum. */
#ifndef NP_STATE_RECORD_H
#define NP_STATE_RECORD_H

#include "pipeline/broker.h"

#define NP_SNAPSHOT_CHUNK (512 * 1024) /* bytes; below the broker's default limit of a message */
#define NP_REVISIONS_MAX  64           /* former revisions remembered */

struct np_cut_record {
    int64_t cut;
    uint32_t revision;          /* counts the texts that this partition was computed with, from 1 */
    unsigned char topic_id[16]; /* of the input */
    uint64_t digest;            /* np_task_digest() at the cut */
};

/** Texts that a partition was computed with, as hashes: [revision - 1]; the last is the present one. */
struct np_revisions {
    uint32_t n; /* the present revision's number; only the last NP_REVISIONS_MAX are kept */
    uint64_t hashes[NP_REVISIONS_MAX]; /* [n % NP_REVISIONS_MAX] ring, see np_revisions_find */
};

struct np_snapshot_header {
    int64_t x, resume;
    uint32_t chunks;
    uint64_t bytes, hash; /* of the whole snapshot; chunks carry the hash too */
    int32_t partitions;   /* of the input */
    struct np_revisions revisions;
    const char *text; /* the pipeline file; borrowed from the buffer read */
    size_t text_length;
};

/** Number of the revision with this hash, 0 if it is not among those remembered. */
uint32_t np_revisions_find(const struct np_revisions *revisions, uint64_t hash);
/** Makes hash the present revision. */
void np_revisions_add(struct np_revisions *revisions, uint64_t hash);
uint64_t np_revisions_last(const struct np_revisions *revisions);

/* Writers append; 0, or -1 without memory. Readers return false for anything that is not such a record,
 * whole. */
int np_cut_record_write(const struct np_cut_record *record, struct np_bytes *out);
bool np_cut_record_read(const void *data, size_t n, struct np_cut_record *out);
int np_snapshot_header_write(const struct np_snapshot_header *header, struct np_bytes *out);
bool np_snapshot_header_read(const void *data, size_t n, struct np_snapshot_header *out);
/** A decision entry with the cut of its transaction. */
int np_decision_write(int64_t cut, const void *value, size_t value_length, struct np_bytes *out);
bool np_decision_read(const void *data, size_t n, int64_t *cut, const void **value, size_t *value_length);

uint64_t np_snapshot_hash(const struct np_bytes *snapshot, int64_t x);
uint32_t np_snapshot_chunks(size_t bytes);
int np_snapshot_chunk_write(const struct np_bytes *snapshot, uint64_t hash, uint32_t index,
                            struct np_bytes *out);
/** Appends the chunk's bytes to snapshot if it belongs to the snapshot of that hash. @return 1, 0: it does
 * not, -1: no memory */
int np_snapshot_chunk_read(const void *data, size_t n, uint64_t hash, uint32_t index,
                           struct np_bytes *snapshot);

/** "INPUT/KIND" or "INPUT/KIND/ENTRY" (entry may be NULL). @return 0 or -1 */
int np_state_key(const char *input, char kind, const void *entry, size_t entry_length, struct np_bytes *out);
/** Takes such a key apart. @return kind, or 0 if the key is of another input */
char np_state_key_read(const char *input, const void *key, size_t n, const void **entry,
                       size_t *entry_length);

#endif
