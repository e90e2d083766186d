#include "pipeline/pipeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/file.h"
#include "pipeline/pipeline_parts.h"
#include "pipeline/quantity.h"

static const struct np_option file_rows[] = {
    {"pipeline", NP_OPT_TEXT, offsetof(struct np_pipeline, name), NULL, NULL, 0, 0, NULL, false,
     "Name of the pipeline: of its consumer group, its transactional ids and its state topic (NAME.state)."},
    {0},
};
static const struct np_key file_keys[] = {
    {"kafka", true, "a map", "Where the broker is, and how to talk to it.", "@kafka"},
    {"registry", false, "a map",
     "The schema registry; needed for Avro without a schema file and for results in Avro.", "@registry"},
    {"inputs", true, "a map of inputs", "What is read, by name.", "@inputs.NAME*"},
    {"steps", false, "a map of steps", "What is computed, by name, in any order.", "@steps.NAME*"},
    {"outputs", true, "a map", "Where results go.", "@outputs"},
    {"dead_letters", false, "a map",
     "Where messages go that cannot be read. Without it such a message stops the program.", "@dead_letters"},
    {"run", false, "a map", "How the program runs: intervals, memory, threads.", "@run"},
    {0},
};
const struct np_section np_section_file = {"", "The whole file.", file_rows, file_keys};

static const struct np_option dead_letter_rows[] = {
    {"topic", NP_OPT_TEXT, offsetof(struct np_pipeline, dead_letters), NULL, NULL, 0, 0, NULL, false,
     "Topic that takes messages that cannot be read, with their origin and the reason in headers."},
    {0},
};
const struct np_section np_section_dead_letters = {"dead_letters", "Messages that cannot be read.",
                                                   dead_letter_rows, NULL};

#define RUN(field) offsetof(struct np_pipeline, run.field)
static const struct np_option run_rows[] = {
    {"commit", NP_OPT_DURATION, RUN(commit_ns), NULL, "200ms", 10e6, 60e9, NULL, false,
     "Time between two transactions: results are seen this much later."},
    {"snapshot", NP_OPT_DURATION, RUN(snapshot_ns), NULL, "10s", 100e6, 3600e9, NULL, false,
     "Time between two snapshots of the state: a restart computes at most this much again."},
    {"memory", NP_OPT_SIZE, RUN(memory), NULL, "64MB", 1e6, 1e12, NULL, false,
     "Bound on input and results that wait; at the bound reading pauses."},
    {"lanes", NP_OPT_COUNT, RUN(lanes), NULL, "0", 0, 1024, NULL, false,
     "Threads that compute; 0: one per core."},
    {"batch_rows", NP_OPT_COUNT, RUN(batch_rows), NULL, "256", 1, 65536, NULL, false,
     "Windows that are computed in one go."},
    {"session_timeout", NP_OPT_DURATION, RUN(session_timeout_ns), NULL, "10s", 1e9, 1800e9, NULL, false,
     "A worker that the broker has not heard of for so long loses its partitions."},
    {"http", NP_OPT_TEXT, RUN(http), NULL, "", 0, 0, NULL, false,
     "Address for metrics and health, such as 127.0.0.1:9464; without it there is none."},
    {"worker", NP_OPT_TEXT, RUN(worker), NULL, "", 0, 0, NULL, false,
     "Stable name of this worker, different for each; without it the host's name."},
    {0},
};
const struct np_section np_section_run = {"run", "How the program runs.", run_rows, NULL};

static void check_run(const struct np_pipeline *pipeline, struct np_mistakes *mistakes)
{
    const struct np_node *run = np_node_get(pipeline->root, "run");
    const struct np_node *http = np_node_get(run, "http"), *worker = np_node_get(run, "worker");
    const char *colon = pipeline->run.http ? strrchr(pipeline->run.http, ':') : NULL;
    int64_t port;

    if (pipeline->run.http && (!colon || colon == pipeline->run.http || !np_count_parse(colon + 1, &port) ||
                               port < 1 || port > 65535))
        np_mistake_add(mistakes, http, "http is \"%s\"; allowed: address:port, such as 127.0.0.1:9464",
                       np_node_shown(http));
    if (pipeline->run.worker &&
        (!pipeline->run.worker[0] || strlen(pipeline->run.worker) > 100 ||
         strspn(pipeline->run.worker, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
             strlen(pipeline->run.worker)))
        np_mistake_add(mistakes, worker,
                       "worker is \"%s\"; allowed: letters, digits, \".\", \"_\" and \"-\", at most 100",
                       np_node_shown(worker));
    if (pipeline->run.snapshot_ns < pipeline->run.commit_ns)
        np_mistake_add(mistakes, run, "snapshot is shorter than commit; allowed: at least as long");
}

static void read_file_map(struct np_pipeline *pipeline, const char *base, struct np_mistakes *mistakes)
{
    const struct np_node *dead_letters = np_node_get(pipeline->root, "dead_letters");
    const struct np_node *run = np_node_get(pipeline->root, "run");
    size_t before;

    np_section_parse(&np_section_file, pipeline->root, pipeline, mistakes);
    if (pipeline->name)
        np_pipeline_name_check(np_node_get(pipeline->root, "pipeline"), pipeline->name, mistakes);
    np_kafka_read(pipeline, base, mistakes);
    if (dead_letters) {
        np_section_parse(&np_section_dead_letters, dead_letters, pipeline, mistakes);
        if (pipeline->dead_letters)
            np_topic_check(np_node_get(dead_letters, "topic"), pipeline->dead_letters, mistakes);
    }
    before = mistakes->n;
    np_section_parse(&np_section_run, run, pipeline, mistakes);
    if (mistakes->n == before)
        check_run(pipeline, mistakes);

    before = mistakes->n;
    np_inputs_read(pipeline, base, mistakes);
    np_steps_read(pipeline, mistakes);
    np_outputs_read(pipeline, base, mistakes);
    if (mistakes->n == before &&
        np_node_get(pipeline->root, "outputs")) /* else a misspelt name would be told as unused, too */
        np_use_check(pipeline, mistakes);
}

struct np_pipeline *np_pipeline_load_text(const char *text, size_t length, const char *path,
                                          struct np_mistakes *mistakes)
{
    struct np_node *root = np_node_read_text(text, length, mistakes);
    struct np_pipeline *pipeline;

    if (!root)
        return NULL;
    pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline) {
        mistakes->out_of_memory = true;
        np_node_free(root);
        return NULL;
    }
    pipeline->root = root;
    pipeline->text = calloc(1, length + 1);
    if (pipeline->text)
        memcpy(pipeline->text, text, length);
    else
        mistakes->out_of_memory = true;
    if (root->kind != NP_NODE_MAP)
        np_mistake_add(mistakes, root,
                       "the file is no map; allowed: the keys pipeline, kafka, inputs, steps, outputs, ..");
    else
        read_file_map(pipeline, path, mistakes);
    if (np_mistakes_any(mistakes)) {
        np_pipeline_free(pipeline);
        return NULL;
    }
    return pipeline;
}

struct np_pipeline *np_pipeline_load(const char *path, struct np_mistakes *mistakes)
{
    struct np_error err;
    struct np_pipeline *pipeline;
    size_t length;
    char *text = np_file_read(path, NP_NODE_FILE_LIMIT, &length, &err);

    if (!text) {
        np_mistake_add(mistakes, NULL, "%s", err.text);
        return NULL;
    }
    pipeline = np_pipeline_load_text(text, length, path, mistakes);
    free(text);
    return pipeline;
}

void np_pipeline_free(struct np_pipeline *pipeline)
{
    if (!pipeline)
        return;
    np_options_free(file_rows, pipeline);
    np_options_free(dead_letter_rows, pipeline);
    np_options_free(run_rows, pipeline);
    np_kafka_free(pipeline);
    for (size_t i = 0; i < pipeline->n_inputs; i++)
        np_input_free(&pipeline->inputs[i]);
    for (size_t i = 0; i < pipeline->n_steps; i++)
        np_step_free(&pipeline->steps[i]);
    free(pipeline->inputs);
    free(pipeline->steps);
    free(pipeline->stores);
    free(pipeline->postgres.dsn);
    free(pipeline->postgres.schema);
    free(pipeline->text);
    np_node_free(pipeline->root);
    free(pipeline);
}
