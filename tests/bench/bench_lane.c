/* What the computing core costs without any broker: blocks of 200 ms from many streams through one operator, ns per sample
 * and per block, peak memory. usage: bench_lane [OPERATOR [STREAMS [BLOCKS [SAMPLES]]]], SAMPLES in a block: 5120 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "pipeline/lane.h"

enum { shapes = 16 };

static enum np_status count_record(struct np_output *output, const struct np_record *record, struct np_error *err)
{
    (void)output, (void)record, (void)err;
    return NP_OK;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One input of one channel, one step over 200 ms: what np_pipeline_load() would make of it. */
static void make_pipeline(struct np_pipeline *pl, struct np_input *input, struct np_channel *channel,
                          struct np_step *step, const char *name, const char *options)
{
    struct np_mistakes mistakes = {.file = "bench"};
    struct np_node *node = np_node_read_text(options, strlen(options), &mistakes);

    *channel = (struct np_channel){.name = (char *)"U1"};
    *input = (struct np_input){.name = (char *)"waves", .lateness_ns = 2000000000, .idle_ns = 30000000000,
                               .map = {.n_channels = 1, .channels = channel}};
    *step = (struct np_step){.name = (char *)name, .op = np_operator_find(name), .parent = -1, .window_ns = 200000000,
                             .hop_ns = 200000000};
    if (!step->op || !node) {
        fprintf(stderr, "bench_lane: no operator %s\n", name);
        exit(1);
    }
    step->conf = calloc(1, step->op->conf_size + 1);
    if (step->op->options)
        np_options_parse(step->op->options, node, NULL, step->conf, &mistakes);
    for (const struct np_column *c = step->op->columns; c && c->name; c++)
        np_columns_add(&step->columns, c);
    if (step->op->describe)
        step->op->describe(step->conf, &step->columns);
    *pl = (struct np_pipeline){.n_inputs = 1, .inputs = input, .n_steps = 1, .steps = step, .run.batch_rows = 256};
    np_mistakes_print(&mistakes, stderr);
    np_node_free(node);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "spectrum";
    int streams = argc > 2 ? atoi(argv[2]) : 200, blocks = argc > 3 ? atoi(argv[3]) : 20000;
    int samples = argc > 4 ? atoi(argv[4]) : 5120;
    struct np_pipeline pl;
    struct np_input input;
    struct np_channel channel;
    struct np_step step;
    struct np_output output = {.record = count_record};
    struct np_lane *lane;
    struct np_task *task;
    struct np_error err;
    float *shape = malloc((size_t)(shapes * samples) * sizeof *shape);
    struct rusage use;
    double begin, seconds;

    make_pipeline(&pl, &input, &channel, &step, name,
                  strcmp(name, "spectrum") == 0 ? "{bands: {low: 0..45, mains: 45..55, rest: 55..1000}, peaks: 5}" : "{}");
    for (int k = 0; k < shapes * samples; k++)
        shape[k] = (float)(325 * sin(6.283185307179586 * 50 * k / (5.0 * samples)) + rand() % 1000 * 0.005);
    if (np_lane_open(&lane, &pl, np_kernels_best(), &err) != NP_OK ||
        np_lane_add(lane, 0, 0, &output, &task, &err) != NP_OK)
        return 2;
    begin = now();
    for (int i = 0; i < blocks; i++) {
        char sensor[32];
        struct np_block block = {.sensor = sensor, .channel = "U1", .t0_ns = 1750000000000000000 + i / streams * 200000000ll,
                                 .rate_hz = 5.0 * samples, .n = (uint32_t)samples, .x = shape + (i * 7 % shapes) * samples};
        struct np_blocks one = {.n = 1, .items = &block};
        uint32_t late;
        snprintf(sensor, sizeof sensor, "meter-%05d", i % streams);
        if (np_task_feed(task, i, &one, &late, &err) != NP_OK || (i % 64 == 63 && np_lane_flush(lane, &err) != NP_OK)) {
            fprintf(stderr, "bench_lane: %s\n", err.text);
            return 2;
        }
    }
    seconds = now() - begin;
    getrusage(RUSAGE_SELF, &use);
    printf("%s %s: %d blocks of %d samples, %d streams: %.2f us a block, %.3f ns a sample, %llu windows, peak %ld MB\n", name,
           np_kernels_best()->name, blocks, samples, streams, seconds / blocks * 1e6, seconds / blocks / samples * 1e9,
           (unsigned long long)np_task_counts(task).windows, use.ru_maxrss / 1024);
    np_lane_close(lane);
    np_columns_free(&step.columns);
    free(step.conf);
    free(shape);
    return 0;
}
