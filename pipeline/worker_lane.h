/* The inside of a lane's thread, shared by worker_lane.c, worker_feed.c and worker_part.c; nobody else
 * includes it. */
#ifndef NP_WORKER_LANE_H
#define NP_WORKER_LANE_H

#include "pipeline/worker_parts.h"

#define NP_RUN_MESSAGES 1024

struct np_lane_call;

struct np_lane_thread {
    struct np_worker *worker;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of calls, quit and the queues of the parts */
    pthread_cond_t wake, done;
    struct np_lane_call *calls;
    bool quit;
    struct np_lane *lane;
    struct np_decoder **decoders; /* per input */
    struct np_blocks blocks;
    struct np_bytes headers;
    size_t n_parts, parts_capacity, turn;
    struct np_part **parts; /* with a task */
    struct np_delivery run[NP_RUN_MESSAGES];
};

/* --- worker_part.c: one partition in its lane --- */

/**
 * Begins with what recovery found.
 * @param recovery  taken
 * @param first     given: the first epoch of a partition without state (rule 14), or NULL
 */
enum np_status np_part_open(struct np_lane_thread *lane, struct np_part *part, struct np_recovery *recovery,
                            struct np_epoch **first, struct np_error *err);
/** Adds a dead letter to the open epoch, if the partition emits. */
enum np_status np_part_dead_letter(struct np_lane_thread *lane, struct np_part *part,
                                   const struct np_message *message, const char *reason, const char *detail,
                                   struct np_error *err);
/**
 * Closes the open epoch.
 * @param last  the partition is let go: in any case, and with a snapshot
 * @return given; NULL when it is not worth a transaction, or with err->status set
 */
struct np_epoch *np_part_close_epoch(struct np_part *part, bool last, struct np_error *err);
/** The next message has this offset or a later one: goes from refill to suppress to emit where x and the cut
 * are reached. */
enum np_status np_part_advance(struct np_lane_thread *lane, struct np_part *part, int64_t offset,
                               struct np_error *err);
/** Nothing more of this partition is fed; the polling thread stops it. */
void np_part_fail(struct np_part *part, const struct np_error *error);

/* --- worker_feed.c: from the queues into the tasks --- */

/** Feeds one run of messages from all partitions that have some, and flushes. */
void np_lane_run(struct np_lane_thread *lane);
/** @param retry_ns  when a partition that waits is to be tried again; INT64_MAX: none waits. Locked */
bool np_lane_has_work(const struct np_lane_thread *lane, int64_t now_ns, int64_t *retry_ns);
/** Lets go of all that is queued for a partition. */
void np_lane_clear(struct np_lane_thread *lane, struct np_part *part);

#endif
