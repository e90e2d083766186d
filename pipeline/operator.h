/* An operator: one file that ends in one of these descriptors, one line in pipeline/registry.c, one in
 * CMakeLists.txt, one test. The runtime owns streams, windows, batches, threads, recovery and output; an operator
 * turns rows into result columns (windowed) or values into events (streaming), and is deterministic: the same
 * (state, input) gives the same bits, whatever the batch, the thread or the clock. */
#ifndef NP_OPERATOR_H
#define NP_OPERATOR_H

#include <stdbool.h>

#include "kernels/kernels.h"
#include "pipeline/column.h"
#include "pipeline/option.h"

/** What a step reads, as far as the file tells. */
struct np_step_input {
    double rate_hz;               /* 0: not known before the data (a field of the message) or irregular */
    bool uniform;                 /* equally spaced samples */
    int64_t window_ns, hop_ns;    /* windowed operators */
    const char *unit;             /* of the input, "" if not given */
};

/** Result flags, a bit set; names are used in every sink. */
#define NP_FLAG_MAP(X)                                                                                       \
    X(GAP,       0, "gap",       "samples are missing inside the window")                                    \
    X(AFTER_GAP, 1, "after_gap", "windows before this one had no sample at all")                             \
    X(IDLE,      2, "idle",      "closed because the stream fell silent")                                    \
    X(WARM_UP,   3, "warm_up",   "the operator has not seen enough to judge yet")                            \
    X(LENGTH,    4, "length",    "this sample rate gives a window length that the transform cannot take")    \
    X(DUPLICATE, 5, "duplicate", "duplicate samples were dropped")

enum np_flag {
#define X(name, bit, text, help) NP_FLAG_##name = 1u << bit,
    NP_FLAG_MAP(X)
#undef X
};

/** Windows of one step ready to be computed. Everything is borrowed for the call. */
struct np_batch_rows {
    struct np_rows rows;          /* samples; NaN: missing. Exact operators: all rows have the same n */
    double rate_hz;               /* of all rows; 0 for operators that are not exact */
    const float *coverage;        /* [n_rows] 0..1 */
};

/** One value of a stream, in time order. */
struct np_point {
    int64_t time_ns;              /* a sample's time, or the start of the window it stands for */
    int64_t end_ns;               /* end of that window; equal to time_ns + one period, or time_ns, for samples */
    double value;                 /* NaN: missing */
    float coverage;               /* 0..1 */
    uint32_t flags;               /* enum np_flag of the value itself */
};

/** Where a streaming operator puts its records. */
struct np_emit {
    /** values: one per result column of the step, borrowed for the call. Start, end: what the record speaks of. */
    void (*record)(struct np_emit *emit, int64_t start_ns, int64_t end_ns, uint32_t flags,
                   const struct np_value *values);
};

enum { NP_MOST_DECISION_BYTES = 512 };

struct np_operator {
    const char *name, *help;
    const struct np_option *options;      /* rows into a struct of conf_size bytes, zeroed by the runtime */
    size_t conf_size;
    const struct np_column *columns;      /* the fixed result columns, ended by name NULL; NULL: none */
    /** Optional: columns that depend on the options, appended to the fixed ones. */
    enum np_status (*describe)(const void *conf, struct np_columns *columns);
    /** Optional: mistakes that concern several options or the input; node is the step's map. */
    void (*check)(const void *conf, const struct np_step_input *input, const struct np_node *node,
                  struct np_mistakes *mistakes);
    bool needs_uniform;                   /* equally spaced samples only */

    /* --- windowed: stateless, batched. All three or none. --- */
    bool exact;                           /* every row has exactly round(window * rate) samples */
    /** @param out given; one plan per lane and shape; n_samples is 0 for operators that are not exact */
    enum np_status (*plan_open)(const void *conf, const struct np_kernels *kernels, uint32_t n_samples,
                                double rate_hz, void **plan, struct np_error *err);
    /** @param out [n_rows][n columns], row-major. Arrays inside belong to the plan until the next run. */
    enum np_status (*run)(void *plan, const struct np_batch_rows *in, struct np_value *out);
    void (*plan_close)(void *plan);       /* accepts NULL */

    /* --- streaming: one state per stream. Plain memory without pointers: it is copied into snapshots. --- */
    size_t decision_size;                 /* discrete state set by comparing floats (PROTOCOL 9): first in the state, at most
                                           * NP_MOST_DECISION_BYTES */
    size_t state_size;                    /* all of it, decision included; 0 for windowed operators */
    void (*init)(const void *conf, void *state);                      /* state is zeroed before */
    void (*push)(const void *conf, void *state, const struct np_point *point, struct np_emit *emit);
    /** Optional: the stream has been silent for the input's idle time; time_ns = its partition's event time. */
    void (*idle)(const void *conf, void *state, int64_t last_ns, int64_t time_ns, struct np_emit *emit);
};

/** All operators, NULL-terminated (pipeline/registry.c). */
extern const struct np_operator *const np_operators[];
/** @return NULL if there is none of that name */
const struct np_operator *np_operator_find(const char *name);

#endif
