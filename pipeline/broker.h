/* What the worker needs from the message broker: a source of messages, a sink of transactions, a reader of
 * the state topic. The library behind them is known only to ingest/ and sinks/, so that commit and recovery
 * can be tested without a broker. Rule numbers are those of the commit protocol (docs/delivery.md). */
#ifndef NP_BROKER_H
#define NP_BROKER_H

#include <stdatomic.h>

#include "pipeline/block.h"
#include "pipeline/record.h"

/** A partition of one of the pipeline's inputs. */
struct np_place {
    int input;
    int32_t partition;
};

#define NP_OFFSET_NONE (-1)

struct np_position {
    struct np_place place;
    int64_t offset; /* NP_OFFSET_NONE: there is none */
};

/** What is known of an input's topic before any message. */
struct np_topic_facts {
    int32_t partitions;
    unsigned char id[16]; /* of the topic: another one means deleted and made again */
};

/** Membership in the group as of one rebalance event; the fence of every transaction (rule 3). */
struct np_member {
    int32_t generation;
    void *native;
    void (*free)(void *native);
    atomic_int users;
};
struct np_member *np_member_use(struct np_member *member);
void np_member_drop(struct np_member *member); /* the last user frees; accepts NULL */

/* --- source: the consumer group --- */

/** A message as it travels; whoever holds it releases it. */
struct np_delivery {
    struct np_place place;
    int64_t offset;
    size_t bytes; /* for the bound on memory */
    void *native;
};

/** Called inside np_source.poll and np_source.leave, by the polling thread. */
struct np_source_events {
    void *context;
    /** member: given. places: what is new (may be none); they are held until np_source.start. */
    void (*assigned)(void *context, struct np_member *member, const struct np_place *places, size_t n);
    /** member: given; NULL: the places are lost already. After return they belong to somebody else. */
    void (*revoked)(void *context, struct np_member *member, const struct np_place *places, size_t n);
    /** A place cannot go on (its offset is out of range, or access is denied). */
    void (*failed)(void *context, struct np_place place, const struct np_error *error);
    /** Optional: all below offset was taken with this poll or before (markers included), and there is no more
     * just now. */
    void (*ended)(void *context, struct np_place place, int64_t offset);
};

/** What the broker says of a partition when asked. */
struct np_log_facts {
    int64_t start, end;         /* end: last stable offset */
    unsigned char topic_id[16]; /* all 0: the broker is too old to know */
};

struct np_source {
    /**
     * Serves events and takes messages.
     * @param capacity   0: events only; messages stay where they are
     * @param timeout_ms how long to wait for the first message or event
     * @return NP_OK, or NP_ESTOP: the source is broken for good
     */
    enum np_status (*poll)(struct np_source *source, struct np_delivery *out, size_t capacity, size_t *n,
                           int timeout_ms, struct np_error *err);
    /** Any thread. @param out borrows from delivery */
    void (*view)(struct np_source *source, const struct np_delivery *delivery, struct np_message *out);
    void (*release)(struct np_source *source, const struct np_delivery *delivery); /* any thread */
    /** Appends the headers of the dead letter of a message, as np_header_put() writes them. @return 0 or -1
     * without memory */
    int (*dead_letter)(const struct np_message *message, const char *reason, const char *detail,
                       struct np_bytes *headers);
    /** Stops taking messages of a place. Those taken already are the caller's. */
    void (*hold)(struct np_source *source, struct np_place place);
    /** Takes messages of a place from offset on. */
    enum np_status (*start)(struct np_source *source, struct np_place place, int64_t offset,
                            struct np_error *err);
    /** End of the partition as last heard of, without asking; NP_OFFSET_NONE if not known. */
    int64_t (*end)(struct np_source *source, struct np_place place);
    /** Stable committed offsets of the group (rule 10). Any thread. NP_ERETRY: a transaction is pending, or
     * no answer. */
    enum np_status (*committed)(struct np_source *source, struct np_position *positions, size_t n,
                                int timeout_ms, struct np_error *err);
    /** Revokes everything (an event) and leaves the group. */
    enum np_status (*leave)(struct np_source *source, struct np_error *err);
    void (*close)(struct np_source *source); /* accepts NULL */
    /** Asks the broker. NP_ERETRY: no answer. */
    enum np_status (*look)(struct np_source *source, struct np_place place, struct np_log_facts *facts,
                           struct np_error *err);
};

/* --- sink: transactions --- */

enum { NP_TO_STATE = 0, NP_TO_DEAD_LETTERS = 1, NP_TO_STEP = 2 }; /* NP_TO_STEP + index of the step */

struct np_outgoing {
    int to;
    int32_t partition;       /* -1: by the key */
    const void *key, *value; /* copied; value NULL: a tombstone */
    size_t key_length, value_length;
    const void *headers; /* as np_header_put() writes them, or NULL */
    size_t headers_length;
};

/** One transactional producer. One thread. Calls that may be made again are made again inside.
 *  begin..commit return NP_OK; NP_ERETRY: abort, then the same again; NP_EFENCED: abort, then wait for a
 * rebalance event; NP_ESTOP: fatal or of unknown outcome, renew. */
struct np_sink {
    enum np_status (*begin)(struct np_sink *sink, struct np_error *err);
    enum np_status (*send)(struct np_sink *sink, const struct np_outgoing *outgoing, struct np_error *err);
    /** Waits for every delivery and looks at each. */
    enum np_status (*flush)(struct np_sink *sink, struct np_error *err);
    enum np_status (*offsets)(struct np_sink *sink, const struct np_member *member,
                              const struct np_position *positions, size_t n, struct np_error *err);
    enum np_status (*commit)(struct np_sink *sink, struct np_error *err);
    enum np_status (*abort)(struct np_sink *sink, struct np_error *err); /* NP_OK or NP_ESTOP */
    /** A new producer of the same transactional id. NP_OK, NP_ERETRY or NP_ESTOP. */
    enum np_status (*renew)(struct np_sink *sink, struct np_error *err);
    bool fenced;                         /* the last NP_ESTOP was another live producer of the same id */
    void (*close)(struct np_sink *sink); /* accepts NULL */
};

/* --- reader of the state topic, with handles of its own --- */

struct np_state_reader {
    /** Log start (latest false) or end of an input's partition. */
    enum np_status (*bound)(struct np_state_reader *reader, struct np_place place, bool latest,
                            int64_t *offset, struct np_error *err);
    /**
     * Reads a partition of the state topic, read_committed, from its start to its end as of the call; waits
     * while a transaction is pending there (rule 10).
     * @param each  gets every record in order; value NULL: a tombstone. @return false to stop without memory
     * @return NP_OK; NP_ERETRY: not readable now, or stop was set
     */
    enum np_status (*read)(struct np_state_reader *reader, int32_t partition, const atomic_bool *stop,
                           bool (*each)(void *context, const void *key, size_t key_length, const void *value,
                                        size_t value_length),
                           void *context, struct np_error *err);
    void (*close)(struct np_state_reader *reader); /* accepts NULL */
};

/** Appends one message header. @param value NULL: a header without value. @return 0, or -1 without memory */
int np_header_put(struct np_bytes *headers, const char *name, const void *value, size_t n);
/** Takes the next header from *at. @return false at the end */
bool np_header_next(const unsigned char **at, const unsigned char *end, const char **name, const void **value,
                    size_t *n);

#endif
