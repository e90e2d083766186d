/* silent: an alert when a stream sends nothing for the input's idle time, and its end. Both times are event
 * times: a stream is silent when the others of its partition go on without it. Any point ends the silence,
 * also one whose value is missing: the sensor speaks again. */
#include <string.h>

#include "operators/alert.h"
#include "pipeline/operator.h"

struct silent_conf {
    int severity;
};

struct silent_state {
    int64_t silent;           /* 1: raised; whole words, so that no padding enters the snapshot */
    int64_t since_ns;         /* time of the last sample before the silence */
};

static const struct np_option silent_options[] = {
    NP_OPTION_SEVERITY(struct silent_conf, "warning"),
    {0},
};

static const struct np_column silent_columns[] = {
    NP_COLUMN_STATE,
    {"since", NP_COL_TIME, "", "time of the last sample before the silence"},
    NP_COLUMN_SEVERITY,
    {0},
};

static void tell(const struct silent_conf *conf, const struct silent_state *state, const char *text,
                 int64_t start_ns, int64_t end_ns, uint32_t flags, struct np_emit *emit)
{
    const struct np_value values[] = {
        {.text = text},
        {.i64 = state->since_ns},
        {.text = np_severity_names[conf->severity]},
    };

    emit->record(emit, start_ns, end_ns, flags, values);
}

static void silent_push(const void *conf, void *state_, const struct np_point *point, struct np_emit *emit)
{
    struct silent_state *state = state_;

    if (!state->silent)
        return;
    tell(conf, state, NP_ALERT_CLEARED, point->time_ns, point->end_ns, point->flags, emit);
    memset(state, 0, sizeof *state);
}

static void silent_idle(const void *conf, void *state_, int64_t last_ns, int64_t time_ns,
                        struct np_emit *emit)
{
    struct silent_state *state = state_;

    if (state->silent)
        return;
    state->silent = 1;
    state->since_ns = last_ns;
    tell(conf, state, NP_ALERT_RAISED, last_ns, time_ns, NP_FLAG_IDLE, emit);
}

const struct np_operator np_op_silent = {
    .name = "silent",
    .help = "Raises an alert when a stream sends nothing for the input's idle time, and clears it.",
    .options = silent_options,
    .conf_size = sizeof(struct silent_conf),
    .columns = silent_columns,
    .decision_size = sizeof(struct silent_state),
    .state_size = sizeof(struct silent_state),
    .push = silent_push,
    .idle = silent_idle,
};
