#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline_order.h"
#include "pipeline/pipeline_parts.h"

enum { MOST_STEPS = 500 };

struct step_conf {
    char *operator_name, *input;
};
static const struct np_option step_rows[] = {
    {"operator", NP_OPT_TEXT, offsetof(struct step_conf, operator_name), NULL, NULL, 0, 0, NULL, false,
     "Name of the operator; docs/operators.md has them all."},
    {"input", NP_OPT_TEXT, offsetof(struct step_conf, input), NULL, NULL, 0, 0, NULL, false,
     "What it reads: an input (waves), or a numeric column of a step (levels.rms)."},
    {0},
};
const struct np_section np_section_step = {
    "steps.NAME", "An operator at work. Beside these keys stand the operator's own options.", step_rows,
    NULL};

struct window_conf {
    int64_t window_ns, hop_ns;
};
static const struct np_option window_rows[] = {
    {"window", NP_OPT_DURATION, offsetof(struct window_conf, window_ns), NULL, NULL, 1e3, 366.0 * 86400e9,
     NULL, false, "Length of a window; windows are aligned to 1970-01-01 UTC."},
    {"hop", NP_OPT_DURATION, offsetof(struct window_conf, hop_ns), NULL, "", 1e3, 366.0 * 86400e9, NULL,
     false,
     "Distance between the starts of two windows; the window itself if not given. The window is a whole "
     "multiple of it."},
    {0},
};
const struct np_section np_section_window = {
    "steps.NAME (windowed operators)", "Where an operator takes windows, these keys belong to its step.",
    window_rows, NULL};

static bool is_windowed(const struct np_operator *op)
{
    return op->state_size == 0;
}

static char *copy_text(const char *text, struct np_mistakes *mistakes)
{
    char *copy = strdup(text);

    if (!copy)
        mistakes->out_of_memory = true;
    return copy;
}

static const struct np_operator *find_operator(const struct np_node *node, const char *name,
                                               struct np_mistakes *mistakes)
{
    const struct np_operator *op = np_operator_find(name);
    const char *names[100], *nearest;
    char list[800] = "";
    size_t n = 0;

    if (op)
        return op;
    for (; np_operators[n] && n < sizeof names / sizeof *names; n++) {
        names[n] = np_operators[n]->name;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", n ? ", " : "", names[n]);
    }
    nearest = np_nearest(name, names, n);
    np_mistake_add(mistakes, node, "there is no operator \"%s\"%s%s%s; allowed: %s", np_node_shown(node),
                   nearest ? " (did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?)" : "", list);
    return NULL;
}

static const char *example_column(const struct np_operator *op)
{
    for (const struct np_column *column = op ? op->columns : NULL; column && column->name; column++)
        if (column->type == NP_COL_DOUBLE)
            return column->name;
    return "rms";
}

/* Finds what the step reads: an input or a step. Columns are looked up later, when they are known. */
static bool find_source(struct np_pipeline *pipeline, struct np_step *step, struct np_step_draft *draft,
                        const char *text, struct np_mistakes *mistakes)
{
    const struct np_node *node = np_node_get(step->node, "input");
    const char *dot = strchr(text, '.');
    char *name = strndup(text, dot ? (size_t)(dot - text) : strlen(text));
    char hint[800];
    bool found = false;

    if (!name) {
        mistakes->out_of_memory = true;
        return false;
    }
    step->input = np_input_find(pipeline, name);
    step->parent = np_step_find(pipeline, name);
    if (step->input < 0 && step->parent < 0) {
        np_mistake_add(mistakes, node, "there is no input or step \"%s\"%s", name,
                       np_names_hint(pipeline, true, name, hint, sizeof hint));
    } else if (step->input >= 0 && dot) {
        np_mistake_add(mistakes, node, "%s is an input and has no columns; allowed: %s", name, name);
    } else if (step->parent >= 0 && !dot) {
        np_mistake_add(mistakes, node, "%s is a step; allowed: one of its columns, such as %s.%s", name, name,
                       example_column(pipeline->steps[step->parent].op));
    } else {
        draft->column = dot ? copy_text(dot + 1, mistakes) : NULL;
        found = !dot || draft->column;
    }
    free(name);
    return found;
}

static void read_head(struct np_pipeline *pipeline, struct np_step *step, struct np_mistakes *mistakes,
                      char **input)
{
    struct step_conf conf = {0};

    if (np_input_find(pipeline, step->name) >= 0)
        np_mistake_add(mistakes, step->node, "%s is the name of an input, too; allowed: a name of its own",
                       step->name);
    if (step->node->kind != NP_NODE_MAP) {
        np_mistake_add(mistakes, step->node,
                       "step %s must be a map, such as { operator: rms, input: waves, window: 200ms }",
                       step->name);
        return;
    }
    np_options_read(step_rows, step->node, NULL, &conf, mistakes);
    if (conf.operator_name)
        step->op = find_operator(np_node_get(step->node, "operator"), conf.operator_name, mistakes);
    *input = conf.input;
    conf.input = NULL;
    np_options_free(step_rows, &conf);
}

static void hint_columns(const struct np_columns *columns, const char *text, char *out, size_t size)
{
    const char **names = calloc(columns->n + 1, sizeof *names);
    const char *nearest;
    size_t n = 0;

    out[0] = '\0';
    if (!names)
        return;
    for (size_t i = 0; i < columns->n; i++)
        if (columns->items[i].type != NP_COL_TEXT && columns->items[i].type != NP_COL_FLOATS &&
            columns->items[i].type != NP_COL_TIME)
            names[n++] = columns->items[i].name;
    nearest = np_nearest(text, names, n);
    if (nearest)
        snprintf(out, size, " (did you mean \"%s\"?)", nearest);
    snprintf(out + strlen(out), size - strlen(out), "; allowed:");
    for (size_t i = 0; i < n; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s %s", i ? "," : "", names[i]);
    free(names);
}

/* What the step reads, now that its parent is complete. @return false: nothing more can be said about this
 * step */
static bool connect_step(const struct np_pipeline *pipeline, struct np_step *step,
                         const struct np_step_draft *draft, struct np_step_input *from,
                         struct np_mistakes *mistakes)
{
    const struct np_node *node = np_node_get(step->node, "input");
    const struct np_step *parent;
    const struct np_column *column;
    char hint[800];

    if (step->parent < 0) {
        const struct np_input *input = &pipeline->inputs[step->input];

        from->rate_hz = input->map.rate_hz;
        from->uniform = input->map.rate_hz > 0 || input->map.rate;
        step->unit = copy_text(input->unit ? input->unit : "", mistakes);
        return step->unit && !isnan(from->rate_hz);
    }
    parent = &pipeline->steps[step->parent];
    step->input = parent->input;
    if (parent->columns.n == 0)
        return false;
    step->parent_column = np_columns_find(&parent->columns, draft->column);
    column = step->parent_column < 0 ? NULL : &parent->columns.items[step->parent_column];
    if (!column || column->type == NP_COL_TEXT || column->type == NP_COL_FLOATS ||
        column->type == NP_COL_TIME) {
        hint_columns(&parent->columns, draft->column, hint, sizeof hint);
        np_mistake_add(mistakes, node, "step %s has no %scolumn \"%s\"%s", parent->name,
                       column ? "numeric " : "", draft->column, hint);
        return false;
    }
    from->uniform = is_windowed(parent->op);
    from->rate_hz = from->uniform && parent->hop_ns > 0 ? 1e9 / (double)parent->hop_ns : 0;
    step->unit = copy_text(column->unit, mistakes);
    return step->unit != NULL;
}

static void read_window(struct np_step *step, struct np_mistakes *mistakes)
{
    struct window_conf conf = {0};
    const struct np_node *hop = np_node_get(step->node, "hop");

    np_options_read(window_rows, step->node, NULL, &conf, mistakes);
    step->window_ns = conf.window_ns;
    step->hop_ns = conf.hop_ns ? conf.hop_ns : conf.window_ns;
    if (step->window_ns > 0 && (step->hop_ns > step->window_ns || step->window_ns % step->hop_ns != 0))
        np_mistake_add(mistakes, hop,
                       "hop is \"%s\"; allowed: the window or a whole part of it, such as a half",
                       np_node_shown(hop));
}

/* Names that every result has already, in one of its forms. */
static const char *const taken[] = {"step",     "sensor",    "channel",    "start", "end",      "start_time",
                                    "end_time", "flags",     "coverage",   "topic", "topic_id", "partition",
                                    "offset",   "sensor_id", "channel_id", NULL};

static void resolve_columns(struct np_step *step, struct np_mistakes *mistakes)
{
    struct np_columns described = {0};
    bool failed = false;

    for (const struct np_column *column = step->op->columns; column && column->name; column++)
        failed |= np_columns_add(&described, column) != 0;
    if (step->op->describe)
        failed |= step->op->describe(step->conf, &described) != NP_OK;
    for (size_t i = 0; i < described.n && !failed; i++) {
        struct np_column column = described.items[i];
        char *unit = np_unit_resolve(column.unit, step->unit);
        bool clash = np_columns_find(&step->columns, column.name) >= 0;

        for (size_t j = 0; taken[j]; j++)
            clash |= strcmp(taken[j], column.name) == 0;
        if (clash)
            np_mistake_add(mistakes, step->node,
                           "the options of step %s make a second result column \"%s\"; allowed: another "
                           "name for the option that makes it",
                           step->name, column.name);
        column.unit = unit;
        failed |= !unit || np_columns_add(&step->columns, &column) != 0;
        free(unit);
    }
    if (failed)
        mistakes->out_of_memory = true;
    np_columns_free(&described);
}

static void read_step(const struct np_pipeline *pipeline, struct np_step *step,
                      const struct np_step_draft *draft, struct np_mistakes *mistakes)
{
    static const char *const windowed[] = {"operator", "input", "window", "hop", NULL};
    static const char *const streaming[] = {"operator", "input", NULL};
    const struct np_operator *op = step->op;
    struct np_step_input from = {0};
    size_t before = mistakes->n;
    bool connected = !draft->lost && connect_step(pipeline, step, draft, &from, mistakes);

    if (!op)
        return;
    step->conf = calloc(1, op->conf_size ? op->conf_size : 1);
    if (!step->conf) {
        mistakes->out_of_memory = true;
        return;
    }
    np_options_parse(op->options, step->node, is_windowed(op) ? windowed : streaming, step->conf, mistakes);
    if (is_windowed(op))
        read_window(step, mistakes);
    if (!connected || mistakes->n != before)
        return;
    from.window_ns = step->window_ns;
    from.hop_ns = step->hop_ns;
    from.unit = step->unit;
    if (op->needs_uniform && !from.uniform)
        np_mistake_add(
            mistakes, np_node_get(step->node, "input"),
            "%s needs equally spaced samples; allowed: an input with a rate, or a column of a windowed step",
            op->name);
    else if (op->check)
        op->check(step->conf, &from, step->node, mistakes);
    if (mistakes->n == before)
        resolve_columns(step, mistakes);
}

void np_steps_read(struct np_pipeline *pipeline, struct np_mistakes *mistakes)
{
    const struct np_node *map = np_node_get(pipeline->root, "steps");
    struct np_step_draft *drafts;

    if (!map)
        return;
    if (map->kind != NP_NODE_MAP || map->n > MOST_STEPS) {
        np_mistake_add(
            mistakes, map,
            "steps must be a map of at most %d steps, such as levels: { operator: rms, input: waves, "
            "window: 200ms }",
            MOST_STEPS);
        return;
    }
    pipeline->steps = calloc(map->n + 1, sizeof *pipeline->steps);
    drafts = calloc(map->n + 1, sizeof *drafts);
    if (!pipeline->steps || !drafts) {
        mistakes->out_of_memory = true;
        free(drafts);
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        struct np_step *step = &pipeline->steps[pipeline->n_steps];

        step->node = map->items[i];
        step->input = step->parent = -1;
        step->name = copy_text(map->keys[i]->text, mistakes);
        if (!step->name)
            continue;
        drafts[pipeline->n_steps++].key = map->keys[i];
        np_name_check(map->keys[i], "step", step->name, mistakes);
    }
    for (size_t i = 0; i < pipeline->n_steps; i++) {
        char *input = NULL;

        read_head(pipeline, &pipeline->steps[i], mistakes, &input);
        drafts[i].lost = !input || !find_source(pipeline, &pipeline->steps[i], &drafts[i], input, mistakes);
        if (drafts[i].lost)
            pipeline->steps[i].parent = -1;
        free(input);
    }
    if (np_steps_sort(pipeline, drafts, mistakes))
        for (size_t i = 0; i < pipeline->n_steps; i++)
            read_step(pipeline, &pipeline->steps[i], &drafts[i], mistakes);
    for (size_t i = 0; i < pipeline->n_steps; i++)
        free(drafts[i].column);
    free(drafts);
}

void np_step_free(struct np_step *step)
{
    if (step->op && step->conf)
        np_options_free(step->op->options, step->conf);
    free(step->conf);
    free(step->name);
    free(step->unit);
    free(step->topic);
    np_columns_free(&step->columns);
}

int np_step_find(const struct np_pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->n_steps; i++)
        if (strcmp(pipeline->steps[i].name, name) == 0)
            return (int)i;
    return -1;
}
