/* rms: levels of each window. Missing samples are left out; a window without any gives n = 0 and nulls. */
#include <stdlib.h>

#include "operators/kernel_status.h"
#include "pipeline/operator.h"

struct rms_conf {
    char nothing;    /* no options */
};

struct rms_plan {
    const struct np_kernels *kernels;
    struct np_level *levels;    /* [capacity] */
    size_t capacity;
};

enum { N, RMS, MEAN, MIN, MAX, CREST_FACTOR, N_COLUMNS };

static const struct np_option rms_options[] = {{0}};

static const struct np_column rms_columns[] = {
    [N] = {"n", NP_COL_LONG, "1", "samples that the window holds, missing ones left out"},
    [RMS] = {"rms", NP_COL_DOUBLE, "$", "root of the mean square"},
    [MEAN] = {"mean", NP_COL_DOUBLE, "$", "mean"},
    [MIN] = {"min", NP_COL_DOUBLE, "$", "smallest sample"},
    [MAX] = {"max", NP_COL_DOUBLE, "$", "largest sample"},
    [CREST_FACTOR] = {"crest_factor", NP_COL_DOUBLE, "1", "largest magnitude over rms; null if rms is 0"},
    [N_COLUMNS] = {0},
};

static void rms_plan_close(void *plan_)
{
    struct rms_plan *plan = plan_;

    if (!plan)
        return;
    free(plan->levels);
    free(plan);
}

static enum np_status rms_plan_open(const void *conf, const struct np_kernels *kernels, uint32_t n_samples,
                                    double rate_hz, void **out, struct np_error *err)
{
    struct rms_plan *plan = calloc(1, sizeof *plan);

    (void)conf, (void)n_samples, (void)rate_hz;
    if (!plan)
        return np_fail(err, NP_ENOMEM, "rms: a plan");
    plan->kernels = kernels;
    *out = plan;
    return NP_OK;
}

static enum np_status rms_run(void *plan_, const struct np_batch_rows *in, struct np_value *out)
{
    struct rms_plan *plan = plan_;
    size_t n_rows = in->rows.n_rows;
    enum np_status st;

    if (n_rows > plan->capacity) {
        struct np_level *levels = realloc(plan->levels, n_rows * sizeof *levels);

        if (!levels)
            return NP_ENOMEM;
        plan->levels = levels;
        plan->capacity = n_rows;
    }
    st = np_kernel_status(plan->kernels->levels(&in->rows, plan->levels));
    if (st != NP_OK)
        return st;
    for (size_t r = 0; r < n_rows; r++, out += N_COLUMNS) {
        const struct np_level *level = &plan->levels[r];

        out[N].i64 = level->n_valid;
        out[RMS].f64 = level->rms;
        out[MEAN].f64 = level->mean;
        out[MIN].f64 = level->min;
        out[MAX].f64 = level->max;
        out[CREST_FACTOR].f64 = level->crest;
    }
    return NP_OK;
}

const struct np_operator np_op_rms = {
    .name = "rms",
    .help = "Level of each window: rms, mean, smallest, largest, crest factor.",
    .options = rms_options,
    .conf_size = sizeof(struct rms_conf),
    .columns = rms_columns,
    .plan_open = rms_plan_open,
    .run = rms_run,
    .plan_close = rms_plan_close,
};
