/* The computing core. A lane owns tasks; a task is everything of one partition of one input: its streams, their open
 * windows and the operators' state. Messages of a partition are fed in offset order; a flush computes all
 * windows that became due, in batches over all tasks of the lane, and hands the records out ordered by
 * (trigger offset, window start, stream, step), so that the order depends on neither batches nor threads.
 * Threads: one lane belongs to one thread at a time. No clock, no I/O. */
#ifndef NP_LANE_H
#define NP_LANE_H

#include "pipeline/block.h"
#include "pipeline/record.h"

struct np_lane;
struct np_task;

/** Takes the records of one task, in order, during np_lane_flush(). */
struct np_output {
    /** @return NP_OK, or a failure that ends the flush; record is borrowed for the call */
    enum np_status (*record)(struct np_output *output, const struct np_record *record, struct np_error *err);
};

/** What a message does to a task (PROTOCOL.md, rule 12). */
enum np_mode {
    NP_REFILL,      /* [resume, x): samples go into open windows only; no window closes, nothing else changes */
    NP_SUPPRESS,    /* [x, cut): computed as ever, records thrown away */
    NP_EMIT,        /* from cut on */
};

/** Counters of one task since it was opened; read after a flush. */
struct np_task_counts {
    uint64_t messages, samples, late, duplicate, gap, windows, records;
    int64_t event_time_ns;        /* highest sample time of the partition; INT64_MIN: none yet */
    int64_t oldest_watermark_ns;  /* lowest watermark over its streams that are not idle */
    size_t streams;
};

/** @param pipeline borrowed for the life of the lane. @param out given */
enum np_status np_lane_open(struct np_lane **out, const struct np_pipeline *pipeline,
                            const struct np_kernels *kernels, struct np_error *err);
void np_lane_close(struct np_lane *lane);        /* closes its tasks; accepts NULL */

/** Adds an empty task in mode NP_EMIT. @param output borrowed for the life of the task. @param out borrowed, the lane's */
enum np_status np_lane_add(struct np_lane *lane, int input, int32_t partition, struct np_output *output,
                           struct np_task **out, struct np_error *err);
/** Forgets a task and all its state; windows of it that wait in a batch are dropped. */
void np_lane_remove(struct np_lane *lane, struct np_task *task);

/**
 * Feeds one message's blocks. Samples are copied. Batches that grow full are computed on the way (their records
 * wait for the flush).
 * @param late  how many of its samples came too late for every window
 * @return NP_OK; NP_EDATA: a time is not between 1900 and 2100; NP_ENOMEM or an operator's failure
 */
enum np_status np_task_feed(struct np_task *task, int64_t offset, const struct np_blocks *blocks, uint32_t *late,
                            struct np_error *err);
/** Computes everything due and hands out the records of all tasks. Afterwards each task stands exactly behind its last message. */
enum np_status np_lane_flush(struct np_lane *lane, struct np_error *err);
/** The input has ended (replay): closes every window that holds samples, then flushes. */
enum np_status np_lane_finish(struct np_lane *lane, struct np_error *err);

/** Flush before changing the mode. */
void np_task_set_mode(struct np_task *task, enum np_mode mode);
struct np_task_counts np_task_counts(const struct np_task *task);

/* --- state, for commit and recovery; all of it between a flush and the next feed --- */

/** Lowest offset whose samples are still needed by an open window; offset of the next message if none is. */
int64_t np_task_resume(const struct np_task *task, int64_t next_offset);
/** Appends the whole state except the samples in open windows (of those: count and hash). @return NP_OK or NP_ENOMEM */
enum np_status np_task_snapshot(const struct np_task *task, struct np_bytes *out);
/** Takes over a snapshot into an empty task. Steps that the pipeline no longer has are dropped; new ones start fresh. */
enum np_status np_task_restore(struct np_task *task, const void *data, size_t n, struct np_error *err);
/** After the refill: every open window must hold what it held at the snapshot. NP_ESTOP names the stream that does not. */
enum np_status np_task_verify(const struct np_task *task, struct np_error *err);

/** Hands out the decision entries changed since the last call (PROTOCOL.md, rule 9) and clears their marks. key is "<sensor>\x1f<channel>\x1f<step>". */
enum np_status np_task_decisions(struct np_task *task,
                                 enum np_status (*each)(void *context, const char *key, size_t key_length,
                                                        const void *value, size_t value_length),
                                 void *context);
/** Overwrites one decision entry (unknown streams are made; an unknown step is ignored). */
enum np_status np_task_decision_set(struct np_task *task, const char *key, size_t key_length, const void *value,
                                    size_t value_length, struct np_error *err);
/** Order-free digest over all decision entries that were ever handed out or set. */
uint64_t np_task_digest(const struct np_task *task);

#endif
