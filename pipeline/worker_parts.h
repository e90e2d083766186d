/* The inside of the worker, shared by worker.c, worker_lane.c, commit.c and recover.c; nobody else includes
 * it. */
#ifndef NP_WORKER_PARTS_H
#define NP_WORKER_PARTS_H

#include <pthread.h>

#include "pipeline/epoch.h"
#include "pipeline/lane.h"
#include "pipeline/map.h"
#include "pipeline/state_record.h"
#include "pipeline/worker.h"

struct np_worker;
struct np_commit;
struct np_recoverer;
struct np_lane_thread;

int64_t np_clock_ns(void); /* monotonic */
int64_t np_wall_ns(void);  /* since 1970, for latencies only */
/** Waits on cond (made by np_cond_init) until deadline_ns of np_clock_ns(). @return false when it has passed
 */
bool np_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns);
void np_cond_init(pthread_cond_t *cond);
/** "grid.waveforms[3]" for logs and errors. @return out */
const char *np_place_text(const struct np_pipeline *pipeline, struct np_place place, char out[300]);

/* --- what recovery found; made by the recoverer, used up by the lane --- */

struct np_recovery {
    struct np_recovery *next;
    struct np_place place;
    unsigned life;
    enum np_status
        status; /* NP_OK; NP_ESTOP: cannot be taken; NP_EFENCED: refused, a newer revision is at work */
    struct np_error error;
    bool first;       /* neither state nor offset: begins at cut */
    bool uncommitted; /* the group's offset had expired: the cut of the state is taken */
    bool migrated;    /* the pipeline's text is new for this partition */
    int64_t cut, x, resume;
    uint64_t digest;
    struct np_revisions revisions; /* with the present text as the last */
    uint32_t revision_committed;   /* what the state topic holds now */
    uint32_t chunks;               /* of the snapshot in the state topic */
    struct np_bytes snapshot;
    struct np_map entries; /* decision entries: key -> value */
};
void np_recovery_free(struct np_recovery *recovery);

/* --- partitions --- */

enum np_part_state { NP_PART_AWAY, NP_PART_RECOVERING, NP_PART_RUNNING, NP_PART_STOPPED };

/** One partition of one input. Made at its first assignment, kept until the worker ends. */
struct np_part {
    struct np_place place;
    struct np_lane_thread *lane;
    unsigned life; /* counts assignments; written by the polling thread while lane and commit are off it */
    /* polling thread */
    enum np_part_state state;
    int64_t next_fetch; /* behind the last message queued */
    bool held;          /* its queue is full, or the lane waits for the registry */
    /* lane thread; queue (under the lane's lock), atomics and error: also the polling thread */
    struct np_output output;
    struct np_task *task; /* NULL: not here */
    enum np_mode mode;
    struct np_recovery *recovery;     /* until the cut is reached */
    int64_t next;                     /* behind the last message fed */
    int64_t closed_cut, snapshot_cut; /* of the last epoch closed, of the last with a snapshot */
    uint64_t digest;
    uint32_t revision;
    struct np_revisions revisions;
    int64_t snapshot_due_ns, cut_due_ns, fed_ns;
    struct np_epoch *open;
    int64_t retry_at_ns, retry_wait_ns;
    struct np_task_counts counted; /* as last added to the metrics */
    struct np_delivery *queue;     /* ring */
    size_t head, n_queued, capacity;
    atomic_size_t queued_bytes;
    atomic_bool waits;  /* the lane cannot decode its next message yet */
    atomic_bool failed; /* see error; the polling thread stops the partition */
    struct np_error error;
    /* commit thread, under its lock */
    int64_t cut;     /* acknowledged; NP_OFFSET_NONE: none yet */
    uint32_t chunks; /* of the snapshot in the state topic */
    struct np_metric *lag, *watermark_lag, *messages, *samples, *late, *gaps, *duplicates, *dead;
};

/* --- the worker --- */

struct np_worker {
    const struct np_pipeline *pipeline;
    const struct np_worker_deps *deps;
    const atomic_bool *stop;
    struct np_metrics *metrics;
    struct np_topic_facts *facts; /* per input */
    int32_t *schema_ids;          /* per step; 0: JSON or no topic */
    uint64_t revision_hash;
    struct np_source *source;
    size_t n_parts, parts_capacity;
    struct np_part **parts; /* grown by the polling thread under parts_lock */
    pthread_mutex_t parts_lock;
    size_t n_lanes;
    struct np_lane_thread *lanes;
    struct np_commit *commit;
    struct np_recoverer *recoverer;
    struct np_member *member; /* polling thread */
    atomic_size_t buffered;   /* bytes in queues and epochs */
    atomic_bool failing;      /* failure is set: everything ends without another commit */
    pthread_mutex_t failure_lock;
    struct np_error failure;
    struct {
        struct np_metric *transactions, *aborted, *latency, *epoch_bytes, *commit_seconds, *decode_seconds,
            *compute_seconds, *buffered, *renewed, *recovery_seconds, *stopped;
        struct np_metric **step_records; /* per step */
    } m;
};

/** Ends the worker with an error (the first one counts). Any thread. */
void np_worker_fail(struct np_worker *worker, const struct np_error *error);
/** Frees an epoch (may be NULL) and takes it off the bound on memory. */
void np_worker_drop_epoch(struct np_worker *worker, struct np_epoch *epoch);
/** Series of the worker and of one partition; they stay NULL without metrics. */
enum np_status np_worker_metrics(struct np_worker *worker, struct np_error *err);
void np_worker_part_metrics(struct np_worker *worker, struct np_part *part);
struct np_part *np_worker_part(struct np_worker *worker, struct np_place place); /* NULL: never assigned */

/* --- worker_lane.c --- */

enum np_status np_lanes_open(struct np_worker *worker, struct np_error *err);
void np_lanes_close(struct np_worker *worker); /* ends the threads */
struct np_lane_thread *np_lanes_pick(struct np_worker *worker, struct np_place place);
/** Polling thread: hands over messages of one partition. @return 0, or -1 without memory */
int np_lane_push(struct np_part *part, const struct np_delivery *deliveries, size_t n);
/**
 * Polling thread: begins to work on a partition.
 * @param recovery  taken
 * @param first     given: the first epoch of a partition that has no state yet (rule 14), else NULL
 */
enum np_status np_lane_start(struct np_part *part, struct np_recovery *recovery, struct np_epoch **first,
                             struct np_error *err);
/**
 * Polling thread: forgets the partition and its queue.
 * @param last  where the last epoch goes, with a snapshot if the cut is reached; NULL: none is made
 */
enum np_status np_lane_stop(struct np_part *part, struct np_epoch **last, struct np_error *err);
/** Commit thread: closes the open epochs that are worth a transaction; list in no special order. */
struct np_epoch *np_lanes_collect(struct np_worker *worker);

/* --- commit.c --- */

enum np_status np_commit_open(struct np_worker *worker, struct np_sink *sink,
                              struct np_error *err); /* takes sink */
void np_commit_close(struct np_worker *worker);      /* ends the thread; accepts what is half open */
/** New membership for the transactions to come. @param member borrowed */
void np_commit_member(struct np_commit *commit, struct np_member *member);
/** Waits until no transaction is open and keeps it so until np_commit_continue. */
void np_commit_hold(struct np_commit *commit);
/** The open transaction, or one begun before np_commit_hold, is not to be committed (its places may be somebody
 * else's); call before a new membership is given, and before np_commit_hold, which ends it. */
void np_commit_cancel(struct np_commit *commit);
void np_commit_continue(struct np_commit *commit);
/** Adds an epoch (taken) to the next transaction. */
void np_commit_add(struct np_commit *commit, struct np_epoch *epoch);
/** Commits all that was added, at once. @return false if it was not done by then */
bool np_commit_drain(struct np_commit *commit, int64_t timeout_ns);
/** Drops the epochs of places let go. While held. */
void np_commit_forget(struct np_commit *commit, const struct np_part *part);
/** What is committed of a part is now this. While held, or before anything of it was added. */
void np_commit_begin(struct np_commit *commit, struct np_part *part, int64_t cut, uint32_t chunks);
/** Commit early: much is waiting. Any thread. */
void np_commit_hurry(struct np_commit *commit);

/* --- recover.c --- */

enum np_status np_recoverer_open(struct np_worker *worker, struct np_error *err);
void np_recoverer_close(struct np_worker *worker);
enum np_status np_recoverer_add(struct np_recoverer *recoverer, struct np_place place, unsigned life,
                                struct np_error *err);
/** @return given, or NULL: none is ready */
struct np_recovery *np_recoverer_take(struct np_recoverer *recoverer);

#endif
