#include "ingest/topic_admin.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/kafka_client.h"
#include "pipeline/log.h"

#define ADMIN_TIMEOUT_MS 10000
#define STATE_SEGMENT_BYTES                                                                                  \
    "16777216" /* only closed segments are compacted: small ones keep recovery short */
#define STATE_SEGMENT_MS "600000"

/** A topic that the pipeline needs. */
struct need {
    char name[300];
    int32_t partitions; /* to make it with; input: 0 */
    bool input, compacted;
    struct np_topic_facts facts; /* partitions 0: it does not exist */
};

struct needs {
    size_t n;
    struct need *items;
};

static void add_need(struct needs *needs, const char *name, int32_t partitions, bool compacted)
{
    for (size_t i = 0; i < needs->n; i++) {
        if (strcmp(needs->items[i].name, name) == 0) {
            if (!needs->items[i].input && partitions > needs->items[i].partitions)
                needs->items[i].partitions = partitions;
            return;
        }
    }
    strncpy(needs->items[needs->n].name, name, sizeof needs->items[needs->n].name - 1);
    needs->items[needs->n].partitions = partitions;
    needs->items[needs->n++].compacted = compacted;
}

static rd_kafka_event_t *wait_for(rd_kafka_queue_t *queue, const char *what, struct np_error *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS + 1000);

    if (event && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return event;
    np_fail(err, NP_ERETRY, "%s: %s", what,
            event ? rd_kafka_event_error_string(event) : "no answer from the broker");
    if (event)
        rd_kafka_event_destroy(event);
    return NULL;
}

static rd_kafka_AdminOptions_t *options_for(rd_kafka_t *rk, rd_kafka_admin_op_t operation)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, operation);
    char text[256];

    rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_TIMEOUT_MS, text, sizeof text);
    return options;
}

static void take_facts(const rd_kafka_TopicDescription_t *description, struct np_topic_facts *facts)
{
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(description);
    uint64_t high = htobe64((uint64_t)rd_kafka_Uuid_most_significant_bits(id));
    uint64_t low = htobe64((uint64_t)rd_kafka_Uuid_least_significant_bits(id));
    size_t n;

    rd_kafka_TopicDescription_partitions(description, &n);
    facts->partitions = (int32_t)n;
    memcpy(facts->id, &high, sizeof high);
    memcpy(facts->id + sizeof high, &low, sizeof low);
}

static enum np_status describe(rd_kafka_t *rk, rd_kafka_queue_t *queue, struct needs *needs,
                               struct np_error *err)
{
    const char **names = calloc(needs->n, sizeof *names);
    rd_kafka_AdminOptions_t *options = options_for(rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *topics = NULL;
    const rd_kafka_TopicDescription_t **descriptions;
    rd_kafka_event_t *event = NULL;
    enum np_status st = NP_OK;
    size_t n;

    if (!names) {
        st = np_fail(err, NP_ENOMEM, "out of memory for topics");
        goto out;
    }
    for (size_t i = 0; i < needs->n; i++)
        names[i] = needs->items[i].name;
    topics = rd_kafka_TopicCollection_of_topic_names(names, needs->n);
    rd_kafka_DescribeTopics(rk, topics, options, queue);
    event = wait_for(queue, "looking at topics", err);
    if (!event) {
        st = NP_ERETRY;
        goto out;
    }
    descriptions = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &n);
    for (size_t i = 0; i < n && st == NP_OK; i++) {
        const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(descriptions[i]);
        const char *name = rd_kafka_TopicDescription_name(descriptions[i]);
        struct need *need = needs->items;

        while (strcmp(need->name, name) != 0)
            need++;
        if (!error || rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_NO_ERROR)
            take_facts(descriptions[i], &need->facts);
        else if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            st = np_fail(err, NP_ECONFIG, "topic %s: %s", name, rd_kafka_error_string(error));
        else if (need->input)
            st = np_fail(err, NP_ECONFIG, "topic %s does not exist, and an input is not made by this program",
                         name);
    }
out:
    if (event)
        rd_kafka_event_destroy(event);
    if (topics)
        rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
    free(names);
    return st;
}

static enum np_status create(rd_kafka_t *rk, rd_kafka_queue_t *queue, const struct needs *needs,
                             struct np_error *err)
{
    rd_kafka_NewTopic_t **missing = calloc(needs->n, sizeof *missing);
    rd_kafka_AdminOptions_t *options = options_for(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *event = NULL;
    enum np_status st = NP_OK;
    char text[256];
    size_t n = 0, n_results;

    if (!missing) {
        st = np_fail(err, NP_ENOMEM, "out of memory for topics");
        goto out;
    }
    for (size_t i = 0; i < needs->n; i++) {
        const struct need *need = &needs->items[i];

        if (need->facts.partitions)
            continue;
        missing[n] = rd_kafka_NewTopic_new(need->name, need->partitions, -1, text, sizeof text);
        if (!missing[n]) {
            st = np_fail(err, NP_ECONFIG, "topic %s: %s", need->name, text);
            goto out;
        }
        if (need->compacted) {
            rd_kafka_NewTopic_set_config(missing[n], "cleanup.policy", "compact");
            rd_kafka_NewTopic_set_config(missing[n], "segment.bytes", STATE_SEGMENT_BYTES);
            rd_kafka_NewTopic_set_config(missing[n], "segment.ms", STATE_SEGMENT_MS);
            rd_kafka_NewTopic_set_config(missing[n], "min.cleanable.dirty.ratio", "0.1");
        }
        n++;
    }
    if (!n)
        goto out;
    rd_kafka_AdminOptions_set_operation_timeout(options, ADMIN_TIMEOUT_MS, text, sizeof text);
    rd_kafka_CreateTopics(rk, missing, n, options, queue);
    event = wait_for(queue, "making topics", err);
    if (!event) {
        st = NP_ERETRY;
        goto out;
    }
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n_results);
    for (size_t i = 0; i < n_results && st == NP_OK; i++) {
        rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);

        if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
            np_log(NP_LOG_INFO, "topics", "topic made", "topic=%s", rd_kafka_topic_result_name(results[i]));
        else if (error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) /* another worker was faster */
            st = np_fail(err, NP_ECONFIG, "topic %s does not exist and cannot be made: %s",
                         rd_kafka_topic_result_name(results[i]),
                         rd_kafka_topic_result_error_string(results[i]));
    }
out:
    if (event)
        rd_kafka_event_destroy(event);
    for (size_t i = 0; i < n; i++)
        rd_kafka_NewTopic_destroy(missing[i]);
    rd_kafka_AdminOptions_destroy(options);
    free(missing);
    return st;
}

/* Adds the topics of results, dead letters and state; inputs are described already. */
static void add_outputs(const struct np_pipeline *pipeline, struct needs *needs, const char *state)
{
    int32_t largest = 0;

    for (size_t i = 0; i < needs->n; i++)
        if (needs->items[i].facts.partitions > largest)
            largest = needs->items[i].facts.partitions;
    for (size_t i = 0; i < pipeline->n_steps; i++) {
        const struct np_step *step = &pipeline->steps[i];

        for (size_t k = 0; step->topic && k < needs->n; k++)
            if (strcmp(needs->items[k].name, pipeline->inputs[step->input].topic) == 0)
                add_need(needs, step->topic, needs->items[k].facts.partitions, false);
    }
    if (pipeline->dead_letters)
        add_need(needs, pipeline->dead_letters, largest, false);
    add_need(needs, state, largest, true);
}

enum np_status np_topics_prepare(const struct np_pipeline *pipeline, struct np_topic_facts *facts,
                                 struct np_error *err)
{
    struct needs needs = {.items = calloc(pipeline->n_inputs + pipeline->n_steps + 2, sizeof *needs.items)};
    rd_kafka_queue_t *queue = NULL;
    rd_kafka_t *rk = NULL;
    enum np_status st;
    char state[300];

    if (!needs.items)
        return np_fail(err, NP_ENOMEM, "out of memory for topics");
    np_state_topic_name(pipeline, state);
    for (size_t i = 0; i < pipeline->n_inputs; i++) {
        add_need(&needs, pipeline->inputs[i].topic, 0, false);
        needs.items[needs.n - 1].input = true;
    }
    st = np_kafka_open(&rk, RD_KAFKA_PRODUCER, pipeline, NULL, NULL, NULL, NULL, err);
    if (st != NP_OK)
        goto out;
    queue = rd_kafka_queue_new(rk);
    if ((st = describe(rk, queue, &needs, err)) != NP_OK)
        goto out;
    add_outputs(pipeline, &needs, state);
    if ((st = describe(rk, queue, &needs, err)) != NP_OK || (st = create(rk, queue, &needs, err)) != NP_OK)
        goto out;
    for (size_t i = 0; i < needs.n && st == NP_OK; i++) {
        const struct need *need = &needs.items[i];

        for (size_t k = 0; k < pipeline->n_inputs; k++)
            if (strcmp(need->name, pipeline->inputs[k].topic) == 0)
                facts[k] = need->facts;
        if (need->compacted && need->facts.partitions && need->facts.partitions < need->partitions)
            st = np_fail(
                err, NP_ESTOP,
                "an input has %d partitions and had %d when topic %s was made: a sensor's "
                "messages may now be split over two; use a new topic, or another pipeline name to begin anew",
                (int)need->partitions, (int)need->facts.partitions, need->name);
    }
out:
    if (queue)
        rd_kafka_queue_destroy(queue);
    if (rk)
        rd_kafka_destroy(rk);
    free(needs.items);
    return st;
}

enum np_status np_topics_look(const struct np_pipeline *pipeline, struct np_error *err)
{
    struct needs needs = {.items = calloc(pipeline->n_inputs + 1, sizeof *needs.items)};
    rd_kafka_t *rk = NULL;
    enum np_status st;

    if (!needs.items)
        return np_fail(err, NP_ENOMEM, "out of memory for topics");
    for (size_t i = 0; i < pipeline->n_inputs; i++) {
        add_need(&needs, pipeline->inputs[i].topic, 0, false);
        needs.items[needs.n - 1].input = true;
    }
    st = np_kafka_open(&rk, RD_KAFKA_PRODUCER, pipeline, NULL, NULL, NULL, NULL, err);
    if (st == NP_OK) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
        st = describe(rk, queue, &needs, err);
        rd_kafka_queue_destroy(queue);
        rd_kafka_destroy(rk);
    }
    free(needs.items);
    return st;
}

enum np_status np_kafka_topic_facts(rd_kafka_t *rk, const char *topic, struct np_topic_facts *facts,
                                    struct np_error *err)
{
    struct need need = {.facts = {0}};
    struct needs needs = {1, &need};
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    enum np_status st;

    snprintf(need.name, sizeof need.name, "%s", topic);
    st = describe(rk, queue, &needs, err);
    rd_kafka_queue_destroy(queue);
    if (st == NP_OK && need.facts.partitions == 0)
        st = np_fail(err, NP_ERETRY, "topic %s does not exist", topic);
    *facts = need.facts;
    return st;
}
