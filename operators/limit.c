/* limit: an alert when a value goes beyond a limit, and its end.
 *
 * The value is beyond when it is > above or < below. It is raised once it has stayed beyond for `for` of
 * event time: from the start of the first value beyond to the end of the present one. It is cleared by the
 * first value that is back at `clear` or further inside. A gap (windows without samples, or a step over 1.5
 * times the usual one) starts a pending raise anew, since nobody saw what the value did meanwhile; a raised
 * alert outlives gaps. A missing value neither raises nor clears. */
#include <math.h>
#include <string.h>

#include "operators/alert.h"
#include "pipeline/operator.h"

struct limit_conf {
    double above, below;      /* [unit of the input], NAN: not watched */
    double clear;             /* likewise, NAN: from hysteresis */
    double hysteresis;        /* likewise, >= 0 */
    int64_t for_ns;
    int severity;
};

enum limit_phase { INSIDE, PENDING, RAISED };
enum limit_side { ABOVE, BELOW };

struct limit_state {
    struct {
        int32_t phase, side;  /* enum limit_phase, enum limit_side */
        int64_t since_ns;     /* start of the first value beyond */
        double extreme;       /* value farthest beyond since then */
    } decision;
    /* the stream's clock: follows from the log alone */
    int64_t last_ns;          /* start of the last value; meaningless while !seen */
    int64_t step_ns;          /* smallest distance between successive values, 0: not known yet */
    int64_t seen;
};

static const struct np_option limit_options[] = {
    {"above", NP_OPT_NUMBER, offsetof(struct limit_conf, above), "unit of the input", "", 0, 0, NULL, false,
     "Upper limit: a greater value is beyond it."},
    {"below", NP_OPT_NUMBER, offsetof(struct limit_conf, below), "unit of the input", "", 0, 0, NULL, false,
     "Lower limit: a smaller value is beyond it."},
    {"clear", NP_OPT_NUMBER, offsetof(struct limit_conf, clear), "unit of the input", "", 0, 0, NULL, false,
     "The alert ends when the value is back here; the limit itself if not given. Only with one limit."},
    {"hysteresis", NP_OPT_NUMBER, offsetof(struct limit_conf, hysteresis), "unit of the input", "0", 0,
     INFINITY, NULL, false,
     "The alert ends when the value is this far inside the limit; for two limits, in place of clear."},
    {"for", NP_OPT_DURATION, offsetof(struct limit_conf, for_ns), NULL, "0s", 0, 0, NULL, false,
     "How long the value must stay beyond the limit before the alert is raised."},
    NP_OPTION_SEVERITY(struct limit_conf, "warning"),
    {0},
};

static const struct np_column limit_columns[] = {
    NP_COLUMN_STATE,
    {"value", NP_COL_DOUBLE, "$", "the value that raised or cleared the alert"},
    {"limit_value", NP_COL_DOUBLE, "$", "the limit that was passed"},
    {"since", NP_COL_TIME, "", "start of the first value beyond the limit"},
    {"extreme", NP_COL_DOUBLE, "$", "the value farthest beyond the limit since then"},
    NP_COLUMN_SEVERITY,
    {0},
};

static void limit_check(const void *conf, const struct np_step_input *input, const struct np_node *node,
                        struct np_mistakes *mistakes)
{
    const struct limit_conf *c = conf;
    const struct np_node *clear = np_node_get(node, "clear"), *place = clear ? clear : node;

    (void)input;
    if (isnan(c->above) && isnan(c->below))
        np_mistake_add(mistakes, node, "limit needs above, below or both");
    if (c->above < c->below)
        np_mistake_add(mistakes, node, "above (%g) must be at least below (%g): else every value is beyond",
                       c->above, c->below);
    if (isnan(c->clear))
        return;
    if (c->hysteresis > 0)
        np_mistake_add(mistakes, place, "give clear or hysteresis, not both");
    if (!isnan(c->above) && !isnan(c->below))
        np_mistake_add(mistakes, place, "clear fits one limit only; with above and below give hysteresis");
    else if (c->clear > c->above)
        np_mistake_add(mistakes, place, "clear (%g) must be at most above (%g)", c->clear, c->above);
    else if (c->clear < c->below)
        np_mistake_add(mistakes, place, "clear (%g) must be at least below (%g)", c->clear, c->below);
}

static double limit_of(const struct limit_conf *conf, enum limit_side side)
{
    return side == ABOVE ? conf->above : conf->below;
}

static bool is_clear(const struct limit_conf *conf, enum limit_side side, double value)
{
    if (side == ABOVE)
        return value <= (isnan(conf->clear) ? conf->above - conf->hysteresis : conf->clear);
    return value >= (isnan(conf->clear) ? conf->below + conf->hysteresis : conf->clear);
}

/* Follows the stream's clock. @return true if something is missing before this point */
static bool clock_gap(struct limit_state *state, const struct np_point *point)
{
    int64_t step_ns = point->time_ns - state->last_ns, window_ns = point->end_ns - point->time_ns;
    int64_t usual_ns = window_ns > state->step_ns ? window_ns : state->step_ns;
    bool gap = point->flags & NP_FLAG_AFTER_GAP;

    /* readings without a length come at any distance: there only the flag tells of a gap */
    if (state->seen && window_ns > 0 && step_ns > usual_ns + usual_ns / 2)
        gap = true;
    if (state->seen && (state->step_ns == 0 || step_ns < state->step_ns))
        state->step_ns = step_ns;
    state->last_ns = point->time_ns;
    state->seen = 1;
    return gap;
}

static void tell(const struct limit_conf *conf, const struct limit_state *state, const char *text,
                 const struct np_point *point, struct np_emit *emit)
{
    const struct np_value values[] = {
        {.text = text},
        {.f64 = point->value},
        {.f64 = limit_of(conf, state->decision.side)},
        {.i64 = state->decision.since_ns},
        {.f64 = state->decision.extreme},
        {.text = np_severity_names[conf->severity]},
    };

    emit->record(emit, point->time_ns, point->end_ns, point->flags, values);
}

static void limit_push(const void *conf_, void *state_, const struct np_point *point, struct np_emit *emit)
{
    const struct limit_conf *conf = conf_;
    struct limit_state *state = state_;
    bool gap = clock_gap(state, point), beyond;
    double value = point->value;
    int32_t side;

    if (gap && state->decision.phase == PENDING)
        memset(&state->decision, 0, sizeof state->decision);
    if (isnan(value))
        return;

    if (state->decision.phase == RAISED && is_clear(conf, state->decision.side, value)) {
        tell(conf, state, NP_ALERT_CLEARED, point, emit);
        memset(&state->decision, 0, sizeof state->decision);
    }
    side = value < conf->below ? BELOW : ABOVE;
    beyond = value > conf->above || value < conf->below;
    if (state->decision.phase == PENDING && (!beyond || side != state->decision.side))
        memset(&state->decision, 0, sizeof state->decision);
    if (state->decision.phase == INSIDE) {
        if (!beyond)
            return;
        state->decision.phase = PENDING;
        state->decision.side = side;
        state->decision.since_ns = point->time_ns;
        state->decision.extreme = value;
    }
    if (state->decision.side == ABOVE ? value > state->decision.extreme : value < state->decision.extreme)
        state->decision.extreme = value;
    if (state->decision.phase == PENDING && point->end_ns - state->decision.since_ns >= conf->for_ns) {
        state->decision.phase = RAISED;
        tell(conf, state, NP_ALERT_RAISED, point, emit);
    }
}

const struct np_operator np_op_limit = {
    .name = "limit",
    .help = "Raises an alert when a value goes beyond a limit, and clears it.",
    .options = limit_options,
    .conf_size = sizeof(struct limit_conf),
    .columns = limit_columns,
    .check = limit_check,
    .decision_size = sizeof(((struct limit_state *)0)->decision),
    .state_size = sizeof(struct limit_state),
    .push = limit_push,
};
