#include "pipeline/connect_check.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/decoder.h"
#include "ingest/kafka_client.h"
#include "ingest/topic_admin.h"
#include "pipeline/log.h"
#include "pipeline/record.h"
#ifdef NP_POSTGRES
#include "sinks/pg_tables.h"
#endif

#define BROKER_TIMEOUT_MS 5000

struct check {
    const struct np_pipeline *pipeline;
    struct np_schema_registry *registry; /* NULL: none */
    bool registry_away;                  /* it is not asked again */
    struct np_mistakes mistakes;
    size_t away; /* how many of the mistakes are servers that do not answer */
};

/** A topic and where the file speaks of it. */
struct topic {
    const struct np_node *node;
    bool input, state;
};

static const struct np_node *section(const struct check *check, const char *name)
{
    return np_node_get(check->pipeline->root, name);
}

static void add(struct check *check, const struct np_node *node, const struct np_error *err)
{
    check->away += err->status == NP_ERETRY;
    np_mistake_add(&check->mistakes, node, "%s", err->text);
}

/* --- broker --- */

static void add_topic(struct np_topic_look *looks, struct topic *topics, size_t *n, const char *name,
                      struct topic topic)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(looks[i].name, name) == 0)
            return;
    looks[*n] = (struct np_topic_look){.name = name, .written = !topic.input};
    topics[(*n)++] = topic;
}

static void tell_topic(struct check *check, const struct np_topic_look *look, const struct topic *topic,
                       int32_t largest)
{
    struct np_error err;

    if (look->why[0]) {
        np_mistake_add(&check->mistakes, topic->node, "topic %s: %s", look->name, look->why);
    } else if (look->partitions == 0 && topic->input) {
        np_mistake_add(&check->mistakes, topic->node, NP_TOPIC_MISSING, look->name);
    } else if (look->partitions == 0) {
        printf("topic %s: does not exist; `netzpuls run` makes it\n", look->name);
    } else {
        printf("topic %s: %d partition%s\n", look->name, (int)look->partitions,
               look->partitions == 1 ? "" : "s");
        if (topic->state && np_topics_state_fits(look->name, look->partitions, largest, &err) != NP_OK)
            add(check, topic->node, &err);
    }
}

static void check_topics(struct check *check)
{
    const struct np_pipeline *pipeline = check->pipeline;
    size_t most = pipeline->n_inputs + pipeline->n_steps + 2, n = 0;
    struct np_topic_look *looks = calloc(most, sizeof *looks);
    struct topic *topics = calloc(most, sizeof *topics);
    int32_t largest = 0;
    struct np_error err;
    char state[300];

    if (!looks || !topics) {
        check->mistakes.out_of_memory = true;
        goto out;
    }
    for (size_t i = 0; i < pipeline->n_inputs; i++)
        add_topic(looks, topics, &n, pipeline->inputs[i].topic,
                  (struct topic){pipeline->inputs[i].node, true, false});
    for (size_t i = 0; i < pipeline->n_steps; i++)
        if (pipeline->steps[i].topic)
            add_topic(looks, topics, &n, pipeline->steps[i].topic,
                      (struct topic){pipeline->steps[i].node, false, false});
    if (pipeline->dead_letters)
        add_topic(looks, topics, &n, pipeline->dead_letters,
                  (struct topic){section(check, "dead_letters"), false, false});
    add_topic(looks, topics, &n, np_state_topic_name(pipeline, state),
              (struct topic){section(check, "pipeline"), false, true});
    if (np_topics_look(pipeline, looks, n, BROKER_TIMEOUT_MS, &err) != NP_OK) {
        add(check, section(check, "kafka"), &err);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        if (topics[i].input && looks[i].partitions > largest)
            largest = looks[i].partitions;
    for (size_t i = 0; i < n; i++)
        tell_topic(check, &looks[i], &topics[i], largest);
out:
    free(looks);
    free(topics);
}

/* --- schemas --- */

/* An error of the registry. One that does not answer is told of once. */
static void add_registry(struct check *check, const struct np_node *node, const struct np_error *err)
{
    check->registry_away = err->status == NP_ERETRY;
    add(check, check->registry_away ? section(check, "registry") : node, err);
}

/* The mapping against the latest schema of the topic. */
static void check_input(struct check *check, int at)
{
    const struct np_input *input = &check->pipeline->inputs[at];
    const struct np_avro_schema *writer;
    struct np_decoder *decoder = NULL;
    struct np_error err;
    char subject[300];
    int32_t id = -1;
    enum np_status status;

    if (np_decoder_open(&decoder, check->pipeline, at, check->registry, &err) != NP_OK) {
        add(check, input->node, &err);
        return;
    }
    if (input->format != NP_FORMAT_AVRO || !check->registry || check->registry_away)
        goto out;
    snprintf(subject, sizeof subject, "%s-value", input->topic);
    status = np_schema_registry_latest(check->registry, subject, &id, &writer, &err);
    if (status == NP_EEND) {
        printf("input %s: the registry has no subject %s: the mapping was not compared with a schema\n",
               input->name, subject);
    } else if (status != NP_OK) {
        add_registry(check, input->node, &err);
    } else if (np_decoder_fits(decoder, writer, &err) != NP_OK) {
        np_mistake_add(&check->mistakes, input->node, "input %s: subject %s, schema %d: %s", input->name,
                       subject, (int)id, err.text);
    }
out:
    decoder->close(decoder);
}

/* The schema that `run` would register for a step's results. */
static void check_step(struct check *check, const struct np_step *step)
{
    struct np_bytes schema = {0};
    struct np_error err;
    char subject[300];

    if (!step->topic || step->topic_format != NP_FORMAT_AVRO || !check->registry || check->registry_away)
        return;
    snprintf(subject, sizeof subject, "%s-value", step->topic);
    if (np_record_avro_schema(check->pipeline, step, &schema))
        check->mistakes.out_of_memory = true;
    else if (np_schema_registry_fits(check->registry, subject, (const char *)schema.data, schema.n, &err) !=
             NP_OK)
        add_registry(check, step->node, &err);
    np_bytes_free(&schema);
}

static void check_schemas(struct check *check)
{
    const struct np_pipeline *pipeline = check->pipeline;
    struct np_error err;

    if (pipeline->registry_url &&
        np_schema_registry_open(&check->registry, pipeline->registry_url, pipeline->registry_user,
                                pipeline->registry_password, &err) != NP_OK) {
        add(check, section(check, "registry"), &err);
        return;
    }
    for (size_t i = 0; i < pipeline->n_inputs; i++)
        check_input(check, (int)i);
    for (size_t i = 0; i < pipeline->n_steps; i++)
        check_step(check, &pipeline->steps[i]);
    np_schema_registry_close(check->registry);
}

/* --- all of it --- */

enum np_exit np_connect_check(const struct np_pipeline *pipeline, const char *path)
{
    struct check check = {.pipeline = pipeline, .mistakes = {.file = path}};
    enum np_exit status = NP_EXIT_OK;

    np_log_setup(NP_LOG_ERROR, false); /* what the client libraries warn of is told by the check itself */
    check_topics(&check);
    check_schemas(&check);
#ifdef NP_POSTGRES
    if (pipeline->postgres.on && np_pg_tables_check(pipeline, &check.mistakes) == NP_ERETRY)
        check.away++;
#else
    if (pipeline->postgres.on)
        np_mistake_add(&check.mistakes, section(&check, "outputs"),
                       "postgres: this build has no PostgreSQL (NP_POSTGRES)");
#endif
    fflush(stdout);
    np_mistakes_print(&check.mistakes, stderr);
    if (check.mistakes.n > check.away)
        status = NP_EXIT_MISTAKE;
    else if (check.away || check.mistakes.out_of_memory)
        status = NP_EXIT_FAILURE;
    np_mistakes_free(&check.mistakes);
    return status;
}
