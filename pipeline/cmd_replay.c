/* netzpuls replay: the pipeline over recorded files, with no server at all. The same lane as in `run`, fed by
 * ingest/file.c, ending in sinks/jsonl.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ingest/file.h"
#include "pipeline/cli.h"
#include "pipeline/lane.h"
#include "sinks/jsonl.h"

struct replay {
    const struct np_pipeline *pipeline;
    struct np_lane *lane;
    struct np_jsonl *jsonl;
    struct np_task **tasks;       /* [n inputs] */
    int64_t *offsets;             /* [n inputs] stands for the offset of a message */
    uint64_t samples;
    bool terminal;
    struct timespec begin, shown;
};

static double seconds_since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) * 1e-9;
}

static void show_progress(struct replay *r, const struct np_file *file, const char *name, bool last)
{
    int64_t done, total;
    double seconds = seconds_since(&r->begin), left;

    if (!r->terminal || (!last && seconds_since(&r->shown) < 0.2))
        return;
    clock_gettime(CLOCK_MONOTONIC, &r->shown);
    np_file_progress(file, &done, &total);
    left = done > 0 && total > 0 ? seconds * (double)(total - done) / (double)done : 0;
    fprintf(stderr, "\r%s: %3.0f %%, %.1f M samples/s, %.0f s left   %s", name,
            total > 0 ? 100.0 * (double)done / (double)total : 0.0,
            seconds > 0 ? (double)r->samples / seconds * 1e-6 : 0.0, left, last ? "\n" : "");
}

/* Which channel of the input a file's channel is: by the channel's name or by the field it would have in a message. */
static int mapped_channel(const struct np_mapping *map, const char *name)
{
    for (size_t c = 0; c < map->n_channels; c++)
        if (strcmp(map->channels[c].name, name) == 0 || strcmp(map->channels[c].path, name) == 0)
            return (int)c;
    return -1;
}

static enum np_status check_channels(const struct np_input *input, const struct np_file_info *info, const char *path,
                                     struct np_error *err)
{
    char wanted[256] = "", held[256] = "";
    size_t n = 0, m = 0;

    if (input->map.channel_name)
        return NP_OK;
    for (size_t c = 0; c < info->n_channels; c++)
        if (mapped_channel(&input->map, info->channels[c].name) >= 0)
            return NP_OK;
    for (size_t c = 0; c < input->map.n_channels && n < sizeof wanted - 1; c++)
        n += (size_t)snprintf(wanted + n, sizeof wanted - n, " %s", input->map.channels[c].name);
    for (size_t c = 0; c < info->n_channels && m < sizeof held - 1; c++)
        m += (size_t)snprintf(held + m, sizeof held - m, " %s", info->channels[c].name);
    return np_fail(err, NP_ECONFIG, "%s: holds none of the channels of input %s (%s ); it holds%s", path, input->name,
                   wanted + (wanted[0] == ' '), held);
}

/* Keeps the blocks that the input maps, under the mapping's names. */
static void map_blocks(const struct np_mapping *map, struct np_blocks *blocks)
{
    size_t kept = 0;

    for (size_t b = 0; b < blocks->n; b++) {
        struct np_block block = blocks->items[b];
        block.channel_index = -1;
        if (!map->channel_name) {
            block.channel_index = mapped_channel(map, block.channel);
            if (block.channel_index < 0)
                continue;
            block.channel = map->channels[block.channel_index].name;
        }
        blocks->items[kept++] = block;
    }
    blocks->n = kept;
}

static enum np_status replay_file(struct replay *r, int input, const char *path, const struct np_file_options *options,
                                  struct np_error *err)
{
    const struct np_input *in = &r->pipeline->inputs[input];
    struct np_blocks blocks = {0};
    struct np_file *file = NULL;
    enum np_status st = np_file_open(&file, path, options, err);
    uint32_t late;

    if (st == NP_OK)
        st = check_channels(in, np_file_describe(file), path, err);
    if (st == NP_OK && !r->tasks[input])
        st = np_lane_add(r->lane, input, 0, &r->jsonl->output, &r->tasks[input], err);
    while (st == NP_OK) {
        st = np_file_next(file, &blocks, err);
        if (st != NP_OK)
            break;
        map_blocks(&in->map, &blocks);
        for (size_t b = 0; b < blocks.n; b++)
            r->samples += blocks.items[b].n;
        st = np_task_feed(r->tasks[input], r->offsets[input]++, &blocks, &late, err);
        if (st == NP_OK)
            st = np_lane_flush(r->lane, err);
        show_progress(r, file, path, false);
    }
    if (st == NP_EEND) {
        show_progress(r, file, path, true);
        st = NP_OK;
    }
    np_blocks_free(&blocks);
    np_file_close(file);
    return st;
}

/* NAME=FILE */
static enum np_status replay_input(struct replay *r, const char *text, const struct np_file_options *options,
                                   struct np_error *err)
{
    const char *equals = strchr(text, '=');
    const char *names[64];
    size_t n = r->pipeline->n_inputs < 64 ? r->pipeline->n_inputs : 64;
    const char *near;
    char name[128];

    if (!equals || equals == text || !equals[1])
        return np_fail(err, NP_ECONFIG, "--input %s: give NAME=FILE, the name of an input of the pipeline and a recording",
                       text);
    for (size_t i = 0; i < r->pipeline->n_inputs; i++)
        if (strlen(r->pipeline->inputs[i].name) == (size_t)(equals - text) &&
            strncmp(r->pipeline->inputs[i].name, text, (size_t)(equals - text)) == 0)
            return replay_file(r, (int)i, equals + 1, options, err);
    for (size_t i = 0; i < n; i++)
        names[i] = r->pipeline->inputs[i].name;
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    near = np_nearest(name, names, n);
    return np_fail(err, NP_ECONFIG, "--input %s: the pipeline has no input %s%s%s%s", text, name,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* --- the command --------------------------------------------------------------------------------- */

struct replay_conf {
    struct np_texts inputs;
    char *out, *sensor, *start, *time_column, *code_page, *kernels;
    double rate_hz;
    bool digital;
};
static const struct np_option replay_flags[] = {
    {"input", NP_OPT_TEXTS, offsetof(struct replay_conf, inputs), NULL, NULL, 0, 0, NULL, false,
     "NAME=FILE: a recording for an input of the pipeline; may be given several times."},
    {"out", NP_OPT_TEXT, offsetof(struct replay_conf, out), NULL, "", 0, 0, NULL, false,
     "A file for the results instead of standard output."},
    {"sensor", NP_OPT_TEXT, offsetof(struct replay_conf, sensor), NULL, "", 0, 0, NULL, false,
     "The sensor's name where the file does not tell it (default: the file's base name)."},
    {"start", NP_OPT_TEXT, offsetof(struct replay_conf, start), NULL, "", 0, 0, NULL, false,
     "Time of the first sample (RFC 3339) for recordings without a date (default: 1970-01-01T00:00:00Z)."},
    {"rate", NP_OPT_FREQUENCY, offsetof(struct replay_conf, rate_hz), NULL, "0", 0, 1e7, NULL, false,
     "The sampling rate, where the file's own is missing or wrong."},
    {"time-column", NP_OPT_TEXT, offsetof(struct replay_conf, time_column), NULL, "", 0, 0, NULL, false,
     "CSV: name of the column with the time (default: the first, or one named time or timestamp)."},
    {"code-page", NP_OPT_TEXT, offsetof(struct replay_conf, code_page), NULL, "", 0, 0, NULL, false,
     "COMTRADE: code page of text that is not UTF-8 (default: CP1252)."},
    {"digital", NP_OPT_BOOL, offsetof(struct replay_conf, digital), NULL, "false", 0, 0, NULL, false,
     "COMTRADE: read the digital channels too, as 0 and 1."},
    {"kernels", NP_OPT_TEXT, offsetof(struct replay_conf, kernels), NULL, "", 0, 0, NULL, false,
     "Compute with this variant (see `netzpuls version`) instead of the fastest."},
    {0},
};

static enum np_status replay_all(const struct replay_conf *conf, const struct np_pipeline *pipeline, FILE *out,
                                 struct np_error *err)
{
    const struct np_kernels *kernels = conf->kernels ? np_kernels_find(conf->kernels) : np_kernels_best();
    struct np_file_options options = {.sensor = conf->sensor, .rate_hz = conf->rate_hz, .digital = conf->digital,
                                      .time_column = conf->time_column, .code_page = conf->code_page};
    struct np_jsonl jsonl;
    struct replay r = {.pipeline = pipeline, .jsonl = &jsonl, .terminal = isatty(STDERR_FILENO)};
    struct np_error closing;
    enum np_status st = NP_OK;

    np_jsonl_open(&jsonl, out);
    clock_gettime(CLOCK_MONOTONIC, &r.begin);
    r.tasks = calloc(pipeline->n_inputs, sizeof *r.tasks);
    r.offsets = calloc(pipeline->n_inputs, sizeof *r.offsets);
    if (!r.tasks || !r.offsets)
        st = np_fail(err, NP_ENOMEM, "replay of %zu inputs", pipeline->n_inputs);
    else if (!kernels)
        st = np_fail(err, NP_ECONFIG, "--kernels %s: no such variant here; `netzpuls version` lists them", conf->kernels);
    else if (conf->start && !np_time_parse(conf->start, &options.start_ns))
        st = np_fail(err, NP_ECONFIG, "--start %s: give a time like 2026-03-01T12:00:00Z", conf->start);
    else
        st = np_lane_open(&r.lane, pipeline, kernels, err);
    for (size_t i = 0; i < conf->inputs.n && st == NP_OK; i++)
        st = replay_input(&r, conf->inputs.items[i], &options, err);
    if (st == NP_OK)
        st = np_lane_finish(r.lane, err);
    np_lane_close(r.lane);
    if (np_jsonl_close(&jsonl, &closing) != NP_OK && st == NP_OK) {
        *err = closing;
        st = closing.status;
    }
    if (st == NP_OK && r.terminal)
        fprintf(stderr, "%llu samples, %llu results\n", (unsigned long long)r.samples,
                (unsigned long long)jsonl.n_records);
    free(r.tasks);
    free(r.offsets);
    return st;
}

static enum np_exit replay(const void *conf_in, int n_arguments, char **arguments)
{
    const struct replay_conf *conf = conf_in;
    enum np_exit failed;
    struct np_pipeline *pipeline = np_cli_pipeline(arguments[0], false, &failed);
    struct np_error err = {0};
    enum np_status st = NP_OK;
    FILE *out = stdout;

    (void)n_arguments;
    if (!pipeline)
        return failed;
    if (conf->out) {
        out = fopen(conf->out, "w");
        if (!out)
            st = np_fail(&err, NP_ECONFIG, "--out %s: %s", conf->out, strerror(errno));
    }
    if (st == NP_OK)
        st = replay_all(conf, pipeline, out, &err);
    if (out && out != stdout && fclose(out) != 0 && st == NP_OK)
        st = np_fail(&err, NP_ESTOP, "--out %s: %s", conf->out, strerror(errno));
    np_pipeline_free(pipeline);
    return st == NP_OK ? NP_EXIT_OK : np_cli_fail(&err);
}

const struct np_command np_cmd_replay = {
    .name = "replay",
    .arguments = "PIPELINE",
    .min_arguments = 1,
    .max_arguments = 1,
    .help = "Runs a pipeline over recorded files, without any server.",
    .text = "Reads CSV, WAV and COMTRADE and writes the results of every step that goes to a topic or a table as JSON Lines.\n"
            "A file's channels are matched to the input's by the channel's name or by the name of its field.\n\n"
            "  netzpuls replay feeder.yaml --input waves=fault.cfg\n"
            "  netzpuls replay feeder.yaml --input waves=day.csv --sensor station-7 --out day.jsonl\n",
    .flags = replay_flags,
    .conf_size = sizeof(struct replay_conf),
    .run = replay,
};
