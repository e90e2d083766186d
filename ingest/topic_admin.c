#include "ingest/topic_admin.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/kafka_client.h"
#include "pipeline/log.h"

#define ADMIN_TIMEOUT_MS 10000
#define STEP_MS          50
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

/** Whom to ask. A handle of our own also tells why there is no answer. */
struct admin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    bool own;
    int timeout_ms;
    const char *brokers;
    bool refused;     /* no login: waiting does not help */
    char reason[300]; /* why the broker could not be reached, the last time; "" */
};

static void note_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct admin *admin = opaque;

    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || admin->refused)
        return;
    admin->refused = code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL;
    snprintf(admin->reason, sizeof admin->reason, "%s", reason);
}

static void prepare(rd_kafka_conf_t *conf, void *context)
{
    rd_kafka_conf_set_error_cb(conf, note_error);
    rd_kafka_conf_set_opaque(conf, context);
}

static enum np_status open_admin(struct admin *admin, const struct np_pipeline *pipeline, int timeout_ms,
                                 struct np_error *err)
{
    enum np_status st;

    *admin = (struct admin){.own = true, .timeout_ms = timeout_ms, .brokers = pipeline->brokers};
    st = np_kafka_open(&admin->rk, RD_KAFKA_PRODUCER, pipeline, NULL, NULL, prepare, admin, err);
    if (st == NP_OK)
        admin->queue = rd_kafka_queue_new(admin->rk);
    return st;
}

static void close_admin(struct admin *admin)
{
    if (admin->queue)
        rd_kafka_queue_destroy(admin->queue);
    if (admin->rk)
        rd_kafka_destroy(admin->rk);
}

/* @return NULL: err->status is NP_ECONFIG if the broker refuses us, else NP_ERETRY */
static rd_kafka_event_t *wait_for(struct admin *admin, const char *what, struct np_error *err)
{
    rd_kafka_event_t *event = NULL;
    rd_kafka_resp_err_t code;

    for (int left_ms = admin->timeout_ms + 1000; !event && left_ms > 0 && !admin->refused;
         left_ms -= STEP_MS) {
        event = rd_kafka_queue_poll(admin->queue, STEP_MS);
        if (admin->own)
            rd_kafka_poll(admin->rk, 0);
    }
    code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return event;
    if (admin->refused)
        np_fail(err, NP_ECONFIG, "kafka: the broker refuses the connection: %s", admin->reason);
    else if (!admin->own || (code != RD_KAFKA_RESP_ERR__TIMED_OUT && code != RD_KAFKA_RESP_ERR__TRANSPORT))
        np_fail(err, NP_ERETRY, "kafka: %s: %s", what,
                event ? rd_kafka_event_error_string(event) : "no answer from the broker");
    else
        np_fail(err, NP_ERETRY, "kafka: no answer from %s within %d s%s%s", admin->brokers,
                admin->timeout_ms / 1000, admin->reason[0] ? ": " : "", admin->reason);
    if (event)
        rd_kafka_event_destroy(event);
    return NULL;
}

static rd_kafka_AdminOptions_t *options_for(const struct admin *admin, rd_kafka_admin_op_t operation)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->rk, operation);
    char text[256];

    rd_kafka_AdminOptions_set_request_timeout(options, admin->timeout_ms, text, sizeof text);
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

/* Asks for the topics. @param operations  also what we are allowed to do. @return given, or NULL */
static rd_kafka_event_t *ask_topics(struct admin *admin, const char **names, size_t n, bool operations,
                                    struct np_error *err)
{
    rd_kafka_AdminOptions_t *options = options_for(admin, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, n);
    rd_kafka_event_t *event;
    rd_kafka_error_t *error;

    error = operations ? rd_kafka_AdminOptions_set_include_authorized_operations(options, 1) : NULL;
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_DescribeTopics(admin->rk, topics, options, admin->queue);
    event = wait_for(admin, "looking at topics", err);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
    return event;
}

static enum np_status describe(struct admin *admin, struct needs *needs, struct np_error *err)
{
    const char **names = calloc(needs->n, sizeof *names);
    const rd_kafka_TopicDescription_t **descriptions;
    rd_kafka_event_t *event = NULL;
    enum np_status st = NP_OK;
    size_t n;

    if (!names)
        return np_fail(err, NP_ENOMEM, "out of memory for topics");
    for (size_t i = 0; i < needs->n; i++)
        names[i] = needs->items[i].name;
    event = ask_topics(admin, names, needs->n, false, err);
    free(names);
    if (!event)
        return err->status;
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
            st = np_fail(err, NP_ECONFIG, NP_TOPIC_MISSING, name);
    }
    rd_kafka_event_destroy(event);
    return st;
}

static enum np_status create(struct admin *admin, const struct needs *needs, struct np_error *err)
{
    rd_kafka_NewTopic_t **missing = calloc(needs->n, sizeof *missing);
    rd_kafka_AdminOptions_t *options = options_for(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS);
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
    rd_kafka_CreateTopics(admin->rk, missing, n, options, admin->queue);
    event = wait_for(admin, "making topics", err);
    if (!event) {
        st = err->status;
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

enum np_status np_topics_state_fits(const char *state, int32_t has, int32_t needs, struct np_error *err)
{
    if (has >= needs)
        return NP_OK;
    return np_fail(
        err, NP_ESTOP,
        "an input has %d partitions and had %d when topic %s was made: a sensor's messages may now "
        "be split over two; use a new topic, or another pipeline name to begin anew",
        (int)needs, (int)has, state);
}

enum np_status np_topics_prepare(const struct np_pipeline *pipeline, struct np_topic_facts *facts,
                                 struct np_error *err)
{
    struct needs needs = {.items = calloc(pipeline->n_inputs + pipeline->n_steps + 2, sizeof *needs.items)};
    struct admin admin = {0};
    enum np_status st;
    char state[300];

    if (!needs.items)
        return np_fail(err, NP_ENOMEM, "out of memory for topics");
    np_state_topic_name(pipeline, state);
    for (size_t i = 0; i < pipeline->n_inputs; i++) {
        add_need(&needs, pipeline->inputs[i].topic, 0, false);
        needs.items[needs.n - 1].input = true;
    }
    if ((st = open_admin(&admin, pipeline, ADMIN_TIMEOUT_MS, err)) != NP_OK ||
        (st = describe(&admin, &needs, err)) != NP_OK)
        goto out;
    add_outputs(pipeline, &needs, state);
    if ((st = describe(&admin, &needs, err)) != NP_OK || (st = create(&admin, &needs, err)) != NP_OK)
        goto out;
    for (size_t i = 0; i < needs.n && st == NP_OK; i++) {
        const struct need *need = &needs.items[i];

        for (size_t k = 0; k < pipeline->n_inputs; k++)
            if (strcmp(need->name, pipeline->inputs[k].topic) == 0)
                facts[k] = need->facts;
        if (need->compacted && need->facts.partitions)
            st = np_topics_state_fits(need->name, need->facts.partitions, need->partitions, err);
    }
out:
    close_admin(&admin);
    free(needs.items);
    return st;
}

static bool may(const rd_kafka_TopicDescription_t *description, rd_kafka_AclOperation_t wanted)
{
    size_t n;
    const rd_kafka_AclOperation_t *operations =
        rd_kafka_TopicDescription_authorized_operations(description, &n);

    for (size_t i = 0; operations && i < n; i++)
        if (operations[i] == wanted || operations[i] == RD_KAFKA_ACL_OPERATION_ALL)
            return true;
    return !operations; /* the broker does not tell */
}

static void take_look(const rd_kafka_TopicDescription_t *description, struct np_topic_look *look)
{
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(description);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    struct np_topic_facts facts;

    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(look->why, sizeof look->why, "%s", rd_kafka_error_string(error));
        return;
    }
    take_facts(description, &facts);
    look->partitions = facts.partitions;
    if (!may(description, look->written ? RD_KAFKA_ACL_OPERATION_WRITE : RD_KAFKA_ACL_OPERATION_READ))
        snprintf(look->why, sizeof look->why, "the user may not %s it", look->written ? "write" : "read");
}

enum np_status np_topics_look(const struct np_pipeline *pipeline, struct np_topic_look *topics, size_t n,
                              int timeout_ms, struct np_error *err)
{
    const char **names = calloc(n + 1, sizeof *names);
    const rd_kafka_TopicDescription_t **descriptions;
    struct admin admin = {0};
    rd_kafka_event_t *event = NULL;
    enum np_status st;

    if (!names)
        return np_fail(err, NP_ENOMEM, "out of memory for topics");
    for (size_t i = 0; i < n; i++)
        names[i] = topics[i].name;
    st = open_admin(&admin, pipeline, timeout_ms, err);
    if (st == NP_OK && !(event = ask_topics(&admin, names, n, true, err)))
        st = err->status;
    if (event) {
        size_t n_told;

        descriptions =
            rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &n_told);
        for (size_t i = 0; i < n_told; i++)
            for (size_t k = 0; k < n; k++)
                if (strcmp(rd_kafka_TopicDescription_name(descriptions[i]), names[k]) == 0)
                    take_look(descriptions[i], &topics[k]);
        rd_kafka_event_destroy(event);
    }
    close_admin(&admin);
    free(names);
    return st;
}

enum np_status np_kafka_topic_facts(rd_kafka_t *rk, const char *topic, struct np_topic_facts *facts,
                                    struct np_error *err)
{
    struct need need = {.facts = {0}};
    struct needs needs = {1, &need};
    struct admin admin = {.rk = rk, .queue = rd_kafka_queue_new(rk), .timeout_ms = ADMIN_TIMEOUT_MS};
    enum np_status st;

    snprintf(need.name, sizeof need.name, "%s", topic);
    st = describe(&admin, &needs, err);
    rd_kafka_queue_destroy(admin.queue);
    if (st == NP_OK && need.facts.partitions == 0)
        st = np_fail(err, NP_ERETRY, "topic %s does not exist", topic);
    *facts = need.facts;
    return st;
}
