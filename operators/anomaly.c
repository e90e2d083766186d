/* anomaly: an alert for values that are rare by the stream's own past. Nothing about the signal needs to be
 * known: the one knob is how many false alarms are borne (`alarms: 1 per week`), which the stream's mean
 * distance of values turns into a share of values. A share smaller than the past can resolve is taken as
 * "more unusual than all of the past": a young stream may then alarm more often than the budget says, about
 * ln(n / warm_up) times in n values. Missing values are passed over. */
#include <math.h>

#include "operators/alert.h"
#include "operators/anomaly.h"
#include "pipeline/operator.h"

#define REFRACTORY_SHARE 0.35    /* of the warm-up; 0.2 .. 0.35 is a plateau on the Numenta benchmark */

enum report { REPORT_ALARMS, REPORT_ALL };

struct anomaly_conf {
    double alarms_hz;
    int64_t span, warm_up, refractory;    /* [values]; refractory 0: from the warm-up */
    int report;
    int severity;
};

struct anomaly_state {
    struct np_refractory last_alarm;      /* the decision state: changes with an alarm only */
    int64_t first_ns;
    struct np_anomaly past;
};

static const char *const report_names[] = {"alarms", "all", NULL};

static const struct np_option anomaly_options[] = {
    {"alarms", NP_OPT_RATE, offsetof(struct anomaly_conf, alarms_hz), NULL, "1 per week", 0.01 / 31557600, 1, NULL,
     false, "False alarms that are borne, per stream."},
    {"span", NP_OPT_COUNT, offsetof(struct anomaly_conf, span), "values", "16", 2, NP_ANOMALY_SPAN_MAX, NULL,
     false, "Values over which the energy of the signal is taken."},
    {"warm_up", NP_OPT_COUNT, offsetof(struct anomaly_conf, warm_up), "values", "750", 50, 1e9, NULL, false,
     "Values of a new stream that are only learned from."},
    {"refractory", NP_OPT_COUNT, offsetof(struct anomaly_conf, refractory), "values", "", 1, 1e9, NULL, false,
     "Values after an alarm in which only a more unusual one is told; 0.35 of the warm-up if not given."},
    {"report", NP_OPT_CHOICE, offsetof(struct anomaly_conf, report), NULL, "alarms", 0, 0, report_names,
     false,
     "What gives a record: alarms only, or every value with its score (severity is null where it is no "
     "alarm)."},
    NP_OPTION_SEVERITY(struct anomaly_conf, "notice"),
    {0},
};

static const struct np_column anomaly_columns[] = {
    {"score", NP_COL_DOUBLE, "1", "0: usual, 1: one value in a million or rarer is like this"},
    {"probability", NP_COL_DOUBLE, "1", "share of the stream's earlier values that were as unusual"},
    {"value", NP_COL_DOUBLE, "$", "the value that was judged"},
    NP_COLUMN_SEVERITY,
    {0},
};

static uint64_t refractory_of(const struct anomaly_conf *conf)
{
    return conf->refractory > 0 ? (uint64_t)conf->refractory
                                : (uint64_t)(REFRACTORY_SHARE * (double)conf->warm_up);
}

/* The share of values that may alarm falsely, not smaller than what the past can tell. */
static double alarm_share(const struct anomaly_conf *conf, const struct anomaly_state *state, int64_t time_ns)
{
    double period_s = (double)(time_ns - state->first_ns) * 1e-9 / (double)(state->past.n - 1);
    double budget = conf->alarms_hz * period_s, finest = 1.0 / (double)state->past.n;

    return budget > finest ? budget : finest;
}

static void anomaly_push(const void *conf_, void *state_, const struct np_point *point, struct np_emit *emit)
{
    const struct anomaly_conf *conf = conf_;
    struct anomaly_state *state = state_;
    struct np_anomaly_score score;
    bool alarm, warm_up;

    if (!isfinite(point->value))
        return;
    if (state->past.n == 0)
        state->first_ns = point->time_ns;
    score = np_anomaly_push(&state->past, (uint32_t)conf->span, point->value);
    warm_up = state->past.n <= (uint64_t)conf->warm_up;
    /* also in the warm-up, so that an event under way at its end is not told by its tail */
    alarm = state->past.n > 1 && score.probability <= alarm_share(conf, state, point->time_ns) &&
            np_refractory_pass(&state->last_alarm, refractory_of(conf), state->past.n, score.score);
    alarm = alarm && !warm_up;
    if (alarm || conf->report == REPORT_ALL) {
        const struct np_value values[] = {
            {.f64 = score.score},
            {.f64 = score.probability},
            {.f64 = point->value},
            {.text = alarm ? np_severity_names[conf->severity] : NULL},
        };

        emit->record(emit, point->time_ns, point->end_ns, point->flags | (warm_up ? NP_FLAG_WARM_UP : 0),
                     values);
    }
}

const struct np_operator np_op_anomaly = {
    .name = "anomaly",
    .help = "Raises an alert for values that are rare by the stream's own past.",
    .options = anomaly_options,
    .conf_size = sizeof(struct anomaly_conf),
    .columns = anomaly_columns,
    .decision_size = sizeof(struct np_refractory),
    .state_size = sizeof(struct anomaly_state),
    .push = anomaly_push,
};
