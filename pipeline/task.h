/* The inside of a lane, shared by task.c, stage.c, batch.c, lane.c and snapshot.c; nobody else includes it. */
#ifndef NP_TASK_H
#define NP_TASK_H

#include "pipeline/lane.h"
#include "pipeline/ring.h"

/** Memory that lives until the next flush has ended. */
struct np_arena {
    struct np_arena_page *pages;
};
void *np_arena_get(struct np_arena *arena, size_t n);            /* 16-byte aligned; NULL without memory */
void np_arena_reset(struct np_arena *arena);
void np_arena_free(struct np_arena *arena);

/** One step for one stream. */
struct np_stage {
    const struct np_step *step;
    int step_index;
    struct np_stream *stream;
    struct np_ring *ring;         /* what it reads: the stream's for the first stage, its own behind another stage */
    /* windowed, and streaming steps that read samples */
    int64_t next_ns;              /* start of the next window, or of the samples not pushed yet; NP_TIME_UNSET */
    struct np_expectation expect;
    bool seen, skipped;           /* a window had samples; windows after it had none */
    /* streaming */
    void *state;
    bool dirty;                   /* decision part changed since it was handed out */
    uint64_t digest;              /* of the entry as handed out or set last; 0: never */
    void *decision_before;        /* while recomputing suppressed: the decision part at the snapshot */
    size_t n_children;
    struct np_stage *children;
};

/** (sensor, channel) of an input. */
struct np_stream {
    struct np_task *task;
    uint32_t ordinal;             /* in order of first appearance in the partition */
    char *sensor, *channel;
    int64_t last_ns;              /* time of the latest sample; NP_TIME_UNSET */
    int64_t high_ns;              /* just behind it: everything up to here may be closed, less the lateness */
    bool idle;
    bool touched;                 /* by the message being fed */
    struct np_ring ring;
    struct { uint32_t n; uint64_t hash; } at_snapshot;
    size_t n_stages;
    struct np_stage *stages;
};

struct np_sensor {
    char *name;
    uint64_t hash;
    size_t n, capacity;           /* of streams; a fixed channel's stream is at its index, NULL until seen */
    struct np_stream **streams;
};

struct np_task {
    struct np_lane *lane;
    int input;
    int32_t partition;
    struct np_output *output;
    enum np_mode mode;
    int64_t offset;               /* the trigger of what closes now: of the message being fed, of the record being chained */
    int64_t fed_offset;           /* of the latest message fed */
    int64_t event_time_ns, scan_ns;   /* highest of its streams; when to look for idle streams next */
    struct np_task_counts counts;
    size_t n_streams, streams_capacity;
    struct np_stream **streams;   /* by ordinal */
    size_t n_sensors, sensors_capacity, slots;
    struct np_sensor **sensors;
    uint32_t *table;              /* [slots] index + 1 into sensors */
    struct np_sensor *latest;
    struct np_stream **touched;   /* streams of the message being fed */
    size_t n_touched, touched_capacity;
    size_t n_dirty, dirty_capacity;
    struct np_stage **dirty;
    uint64_t digest;
};

/** A record before it is handed out; lives in the lane's arena. */
struct np_pending {
    struct np_stage *stage;
    bool idle;                    /* no record: tells the children that the stream was silent from start_ns to end_ns */
    int64_t order_ns, start_ns, end_ns;
    int64_t offset;
    uint64_t sequence;
    float coverage;
    uint32_t flags;
    const struct np_value *values;
};

struct np_pendings {
    size_t n, capacity;
    struct np_pending *items;
};

struct np_batch;                  /* windows of one step of equal shape; batch.c */

struct np_lane {
    const struct np_pipeline *pipeline;
    const struct np_kernels *kernels;
    size_t n_tasks, tasks_capacity;
    struct np_task **tasks;
    struct np_grave grave;        /* blocks that left their rings while a batch may still read them */
    struct np_batch *batches;     /* list, latest used first */
    size_t n_batches;
    struct np_arena arena;
    struct np_pendings fresh;     /* made since the last round of chaining */
    struct np_pendings done;      /* wait for the flush */
    uint64_t sequence;
};

/* --- task.c --- */
enum np_status np_task_open(struct np_lane *lane, int input, int32_t partition, struct np_output *output,
                            struct np_task **out, struct np_error *err);
void np_task_close(struct np_task *task);
/** The input has ended: closes every window that holds samples. */
enum np_status np_task_end(struct np_task *task, struct np_error *err);
/** Finds or makes a stream with its stages. @param channel_index as in np_block */
struct np_stream *np_task_stream(struct np_task *task, const char *sensor, const char *channel, int channel_index);

/** The place of a channel in the input's mapping: -1 where messages name their channels, -2 if it is not in it. */
int np_task_channel_index(const struct np_task *task, const char *channel);

/* --- stage.c --- */
/** Makes the stages of a stream that read its samples (parent -1) or the records of step parent. @return 0 or -1 */
int np_stages_open(struct np_stream *stream, int parent, size_t *n, struct np_stage **out);
void np_stages_close(size_t n, struct np_stage *stages);
/** Sets where windows begin; earliest_ns: no sample before it will be taken. Does nothing the second time. */
void np_stage_begin(struct np_stage *stage, int64_t earliest_ns);
/**
 * Closes what is due.
 * @param watermark_ns  everything before has arrived
 * @param idle          the stream has fallen silent: windows that hold samples close though they are not full
 */
enum np_status np_stage_advance(struct np_stage *stage, int64_t watermark_ns, bool idle, struct np_error *err);
/** Everything before this time is closed for every stage of the stream; INT64_MIN at the beginning. */
int64_t np_stream_closed(const struct np_stream *stream);
/** The stream was silent from last_ns to time_ns (NP_TIME_UNSET: its input has ended): closes, and tells streaming
 * stages and children. */
enum np_status np_stage_idle(struct np_stage *stage, int64_t last_ns, int64_t time_ns, struct np_error *err);
/** Hands one pending record (or its idle mark) of a parent to its children. */
enum np_status np_stage_chain(const struct np_pending *record, struct np_error *err);

/* --- batch.c --- */
/** What a window is, apart from its samples. */
struct np_window {
    struct np_stage *stage;
    int64_t start_ns, end_ns;
    int64_t offset;               /* trigger */
    float coverage;
    uint32_t flags;
};
/**
 * Adds a window to the batch of its step and shape; a full batch is computed at once.
 * @param n_samples  samples it holds
 * @param x    they lie there, all of them, in a block of a ring (borrowed until the batch is computed); NULL: the caller
 *             writes them to *row
 * @return NP_OK; *row is NULL with x given, and if the operator cannot take this length: a record without values is pending instead
 */
enum np_status np_batch_row(struct np_lane *lane, const struct np_window *window, uint32_t n_samples, double rate_hz,
                            const float *x, float **row, struct np_error *err);
/** Computes all batches that hold rows; their records go to lane->fresh. */
enum np_status np_batches_run(struct np_lane *lane, struct np_error *err);
void np_batches_forget(struct np_lane *lane, const struct np_task *task);
void np_batches_close(struct np_lane *lane);

/* --- lane.c --- */
/** Adds a copy of the record to lane->fresh, values with their texts and arrays too; values NULL: all null. */
enum np_status np_lane_pend(struct np_lane *lane, const struct np_pending *record, struct np_error *err);
/** The same for a window. @param flags  besides the window's own. @param values  as above */
enum np_status np_window_pend(struct np_lane *lane, const struct np_window *window, uint32_t flags,
                              const struct np_value *values, struct np_error *err);

#endif
