/* For tests of operators: options from YAML as in a pipeline file, columns and values of windowed operators,
 * and what streaming operators emit. */
#ifndef NP_OPERATOR_HARNESS_H
#define NP_OPERATOR_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/operator.h"
#include "tests/kernel_rows.h"

#define S 1000000000LL                /* [ns] */
#define MAX_RECORDS 4096
#define MAX_VALUES 8

struct recorded {
    int64_t start_ns, end_ns;
    uint32_t flags;
    struct np_value values[MAX_VALUES];    /* texts of operators are constants, so the pointers stay good */
};

struct recorder {
    struct np_emit emit;
    const struct np_operator *op;
    void *conf, *state;
    size_t n;
    struct recorded items[MAX_RECORDS];
};

static const char *const harness_runtime_keys[] = {"operator", "input", "window", "hop", NULL};

/* @return "1:2: text\n..." of all mistakes, to be freed; conf may be NULL */
static inline char *harness_parse(const struct np_operator *op, const char *yaml,
                                  const struct np_step_input *input, void **conf_out)
{
    struct np_mistakes mistakes = {.file = "t"};
    struct np_node *node = np_node_read_text(yaml, strlen(yaml), &mistakes);
    void *conf = calloc(1, op->conf_size);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(conf);
    assert_non_null(out);
    if (node) {
        np_options_parse(op->options, node, harness_runtime_keys, conf, &mistakes);
        if (op->check)
            op->check(conf, input, node, &mistakes);
    }
    np_mistakes_print(&mistakes, out);
    fclose(out);
    np_mistakes_free(&mistakes);
    np_node_free(node);
    if (conf_out) {
        *conf_out = conf;
    } else {
        np_options_free(op->options, conf);
        free(conf);
    }
    return text;
}

static inline void *harness_conf(const struct np_operator *op, const char *yaml)
{
    void *conf;
    char *mistakes = harness_parse(op, yaml, &(struct np_step_input){.uniform = true, .unit = "V"}, &conf);

    if (*mistakes)
        fail_msg("%s: %s", yaml, mistakes);
    free(mistakes);
    return conf;
}

static inline void harness_conf_free(const struct np_operator *op, void *conf)
{
    np_options_free(op->options, conf);
    free(conf);
}

static inline void expect_mistakes(const struct np_operator *op, const char *yaml,
                                   const struct np_step_input *input, const char *expected)
{
    char *mistakes = harness_parse(op, yaml, input, NULL);

    assert_string_equal(mistakes, expected);
    free(mistakes);
}

static inline void harness_record(struct np_emit *emit, int64_t start_ns, int64_t end_ns, uint32_t flags,
                                  const struct np_value *values)
{
    struct recorder *recorder = (struct recorder *)emit;
    struct recorded *item = &recorder->items[recorder->n++];

    assert_true(recorder->n <= MAX_RECORDS);
    *item = (struct recorded){.start_ns = start_ns, .end_ns = end_ns, .flags = flags};
    for (size_t i = 0; recorder->op->columns[i].name; i++)
        item->values[i] = values[i];
}

/* A fresh stream of a streaming operator. Close with recorder_close(). */
static inline struct recorder *recorder_open(const struct np_operator *op, const char *yaml)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);

    assert_non_null(recorder);
    recorder->emit.record = harness_record;
    recorder->op = op;
    recorder->conf = harness_conf(op, yaml);
    recorder->state = calloc(1, op->state_size);
    assert_non_null(recorder->state);
    if (op->init)
        op->init(recorder->conf, recorder->state);
    return recorder;
}

static inline void recorder_close(struct recorder *recorder)
{
    harness_conf_free(recorder->op, recorder->conf);
    free(recorder->state);
    free(recorder);
}

static inline void push_point(struct recorder *recorder, int64_t time_ns, int64_t end_ns, double value,
                              uint32_t flags)
{
    struct np_point point = {
        .time_ns = time_ns, .end_ns = end_ns, .value = value, .coverage = 1, .flags = flags};

    recorder->op->push(recorder->conf, recorder->state, &point, &recorder->emit);
}

/* Fixed columns and those of the options. */
static inline struct np_columns harness_columns(const struct np_operator *op, const void *conf)
{
    struct np_columns columns = {0};

    for (size_t i = 0; op->columns && op->columns[i].name; i++)
        assert_int_equal(np_columns_add(&columns, &op->columns[i]), 0);
    if (op->describe)
        assert_int_equal(op->describe(conf, &columns), NP_OK);
    return columns;
}

/* A windowed operator with a plan for rows of one length. */
struct windowed {
    const struct np_operator *op;
    void *conf, *plan;
    struct np_columns columns;
    struct np_value *values;      /* [n_rows][columns.n] of the last run */
};

static inline struct windowed windowed_open(const struct np_operator *op, const char *yaml,
                                            const struct np_kernels *kernels, uint32_t n_samples,
                                            double rate_hz)
{
    struct windowed windowed = {.op = op, .conf = harness_conf(op, yaml)};
    struct np_error err = {0};

    windowed.columns = harness_columns(op, windowed.conf);
    if (op->plan_open(windowed.conf, kernels, op->exact ? n_samples : 0, rate_hz, &windowed.plan, &err) !=
        NP_OK)
        fail_msg("%s: %s", op->name, err.text);
    return windowed;
}

static inline void windowed_run(struct windowed *windowed, const struct np_rows *rows, double rate_hz)
{
    float *coverage = calloc(rows->n_rows + 1, sizeof *coverage);
    struct np_batch_rows in = {.rows = *rows, .rate_hz = rate_hz, .coverage = coverage};

    assert_non_null(coverage);
    for (size_t r = 0; r < rows->n_rows; r++)
        coverage[r] = 1;
    free(windowed->values);
    windowed->values = calloc(rows->n_rows * windowed->columns.n + 1, sizeof *windowed->values);
    assert_non_null(windowed->values);
    assert_int_equal(windowed->op->run(windowed->plan, &in, windowed->values), NP_OK);
    free(coverage);
}

static inline void windowed_close(struct windowed *windowed)
{
    windowed->op->plan_close(windowed->plan);
    np_columns_free(&windowed->columns);
    harness_conf_free(windowed->op, windowed->conf);
    free(windowed->values);
}

/* The value of a column by name; the test fails if there is none of that name. */
static inline const struct np_value *windowed_value(const struct windowed *windowed, size_t row,
                                                    const char *column)
{
    int index = np_columns_find(&windowed->columns, column);

    if (index < 0)
        fail_msg("no column %s", column);
    return &windowed->values[row * windowed->columns.n + (size_t)index];
}

#endif
