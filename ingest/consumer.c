#include "ingest/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ingest/dead_letter.h"
#include "ingest/kafka_client.h"
#include "pipeline/log.h"

#define CALL_TIMEOUT_MS  5000
#define MESSAGE_OVERHEAD 192 /* bytes that librdkafka keeps beside a message */

struct consumer {
    struct np_source source; /* first */
    const struct np_pipeline *pipeline;
    const char **names; /* [n_names] topics; np_place.input is an index into them */
    size_t n_names;
    struct np_source_events events;
    rd_kafka_t *rk;
    rd_kafka_t *asker; /* for look(); NULL until then */
    /* Messages have a queue of their own, so that events are served while messages wait: nothing needs to be
     * paused, and so nothing fetched twice, when memory is full. */
    rd_kafka_queue_t *messages;
    rd_kafka_topic_t **topics; /* per input: as last seen in a message */
    rd_kafka_message_t **batch;
    size_t batch_capacity;
    bool cooperative; /* as last seen */
    bool left;
};

static int input_of(struct consumer *consumer, const char *topic)
{
    for (size_t i = 0; i < consumer->n_names; i++)
        if (strcmp(consumer->names[i], topic) == 0)
            return (int)i;
    return -1;
}

/* --- rebalance --- */

static void free_metadata(void *native)
{
    rd_kafka_consumer_group_metadata_destroy(native);
}

/* Only ever called inside the rebalance callback (rule 3). NULL: not a member, and nothing may be committed.
 */
static struct np_member *take_member(struct consumer *consumer)
{
    rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(consumer->rk);
    struct np_member *member = calloc(1, sizeof *member);
    const char *id = metadata ? rd_kafka_consumer_group_metadata_member_id(metadata) : NULL;

    if (!member || !id || !*id || rd_kafka_consumer_group_metadata_generation_id(metadata) < 0) {
        if (metadata)
            rd_kafka_consumer_group_metadata_destroy(metadata);
        free(member);
        return NULL;
    }
    member->native = metadata;
    member->free = free_metadata;
    member->generation = rd_kafka_consumer_group_metadata_generation_id(metadata);
    atomic_store(&member->users, 1);
    return member;
}

static size_t places_of(struct consumer *consumer, const rd_kafka_topic_partition_list_t *list,
                        struct np_place *places)
{
    size_t n = 0;

    for (int i = 0; i < list->cnt; i++) {
        int input = input_of(consumer, list->elems[i].topic);

        if (input >= 0)
            places[n++] = (struct np_place){input, list->elems[i].partition};
    }
    return n;
}

static bool is_cooperative(struct consumer *consumer)
{
    const char *protocol = rd_kafka_rebalance_protocol(consumer->rk);

    if (protocol) /* NULL once the group is being left (2.8.0) */
        consumer->cooperative = strcmp(protocol, "COOPERATIVE") == 0;
    return consumer->cooperative;
}

/* Questions go by a handle of their own: on the consumer's connections they would wait behind a fetch that
 * waits for data. @return NULL: it cannot be made */
static rd_kafka_t *asker_of(struct consumer *consumer, struct np_error *err)
{
    static const struct np_kafka_setting fixed[] = {{"isolation.level", "read_committed"}, {NULL, NULL}};

    if (!consumer->asker && np_kafka_open(&consumer->asker, RD_KAFKA_CONSUMER, consumer->pipeline, NULL,
                                          fixed, NULL, NULL, err) != NP_OK)
        return NULL;
    return consumer->asker;
}

/* Their messages go to the queue of messages. Asking for its queue also makes a partition known to the
 * library, so that it can be paused before it is taken. */
static void forward(struct consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_queue_t *queue =
            rd_kafka_queue_get_partition(consumer->rk, list->elems[i].topic, list->elems[i].partition);

        if (queue) {
            rd_kafka_queue_forward(queue, consumer->messages);
            rd_kafka_queue_destroy(queue);
        }
    }
}

/* Takes the partitions, paused. Where to read from is not known before they are recovered. They are paused
 * first, and taken at an offset in figures: were they taken at their end, the library's question for that end
 * could be answered after the seek, and 500 ms later it would ask again and go to the end, past everything
 * not read yet. At a figure without the pause, an offset out of range would leave the partition where no seek
 * is allowed. */
static void take_partitions(struct consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *error;

    forward(consumer, list);
    rd_kafka_pause_partitions(consumer->rk, list);
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            np_log(NP_LOG_WARNING, "consumer", "pause", "partition=%s[%d] reason=\"%s\"",
                   list->elems[i].topic, (int)list->elems[i].partition, rd_kafka_err2str(list->elems[i].err));
        list->elems[i].offset = 0;
    }
    if (!is_cooperative(consumer)) {
        rd_kafka_assign(consumer->rk, list);
        return;
    }
    error = rd_kafka_incremental_assign(consumer->rk, list);
    if (error) {
        np_log(NP_LOG_ERROR, "consumer", "assign", "reason=\"%s\"", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
}

static void let_go(struct consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *error;

    if (!is_cooperative(consumer)) {
        rd_kafka_assign(consumer->rk, NULL);
        return;
    }
    error = rd_kafka_incremental_unassign(consumer->rk, list);
    if (error) {
        np_log(NP_LOG_ERROR, "consumer", "unassign", "reason=\"%s\"", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list,
                         void *opaque)
{
    struct consumer *consumer = opaque;
    struct np_source_events *events = &consumer->events;
    bool lost = what != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && rd_kafka_assignment_lost(rk);
    struct np_member *member = lost ? NULL : take_member(consumer);
    struct np_place *places = calloc((size_t)list->cnt + 1, sizeof *places);
    size_t n = places ? places_of(consumer, list, places) : 0;

    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && member && places) {
        take_partitions(consumer, list);
        events->assigned(events->context, member, places, n);
    } else if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        np_log(NP_LOG_ERROR, "consumer", "assigned without a valid membership: nothing is taken", NULL);
        np_member_drop(member);
        take_partitions(consumer, list);
    } else {
        events->revoked(events->context, member, places, n);
        let_go(consumer, list);
    }
    free(places);
}

/* --- messages --- */

/* @return -1: of a topic that is no input's */
static int input_of_message(struct consumer *consumer, const rd_kafka_message_t *message)
{
    int input;

    for (size_t i = 0; i < consumer->n_names; i++)
        if (consumer->topics[i] == message->rkt)
            return (int)i;
    input = message->rkt ? input_of(consumer, rd_kafka_topic_name(message->rkt)) : -1;
    if (input >= 0)
        consumer->topics[input] = message->rkt;
    return input;
}

static void take_error(struct consumer *consumer, const rd_kafka_message_t *message)
{
    struct np_error error;
    int input = message->rkt ? input_of_message(consumer, message) : -1;
    const char *text = rd_kafka_message_errstr(message);

    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (input >= 0 && consumer->events.ended)
            consumer->events.ended(consumer->events.context, (struct np_place){input, message->partition},
                                   message->offset);
        return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        /* without an offset it is about the topic, which may be made later, and the partition means nothing
         */
        if (input < 0 || (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && message->offset < 0))
            break;
        np_fail(&error, NP_ESTOP, "%s[%d] offset %lld: %s", rd_kafka_topic_name(message->rkt),
                (int)message->partition, (long long)message->offset, text);
        consumer->events.failed(consumer->events.context, (struct np_place){input, message->partition},
                                &error);
        return;
    default:
        break;
    }
    np_log(NP_LOG_WARNING, "consumer", "error", "code=%s text=\"%s\"", rd_kafka_err2name(message->err), text);
}

/* Turns the first n of the batch into deliveries. */
static size_t take_batch(struct consumer *consumer, size_t n, struct np_delivery *out)
{
    size_t taken = 0;

    for (size_t i = 0; i < n; i++) {
        rd_kafka_message_t *message = consumer->batch[i];
        int input;

        if (message->err) {
            take_error(consumer, message);
            rd_kafka_message_destroy(message);
            continue;
        }
        input = input_of_message(consumer, message);
        if (input < 0) {
            rd_kafka_message_destroy(message);
            continue;
        }
        out[taken++] = (struct np_delivery){
            .place = {input, message->partition},
            .offset = message->offset,
            .bytes = message->len + message->key_len + MESSAGE_OVERHEAD,
            .native = message,
        };
    }
    return taken;
}

static void serve_events(struct consumer *consumer, int timeout_ms)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, timeout_ms);

    if (!message)
        return;
    if (message->err)
        take_error(consumer, message);
    rd_kafka_message_destroy(message);
}

static enum np_status poll_source(struct np_source *source, struct np_delivery *out, size_t capacity,
                                  size_t *n, int timeout_ms, struct np_error *err)
{
    struct consumer *consumer = (struct consumer *)source;
    char text[512];
    ssize_t got;

    *n = 0;
    serve_events(consumer, capacity ? 0 : timeout_ms);
    if (rd_kafka_fatal_error(consumer->rk, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return np_fail(err, NP_ESTOP, "consumer: %s", text);
    if (!capacity)
        return NP_OK;
    if (capacity > consumer->batch_capacity)
        capacity = consumer->batch_capacity;
    got = rd_kafka_consume_batch_queue(consumer->messages, 0, consumer->batch, capacity);
    if (got == 0) {
        rd_kafka_message_t *first = rd_kafka_consume_queue(consumer->messages, timeout_ms);

        if (!first)
            return NP_OK;
        got = rd_kafka_consume_batch_queue(consumer->messages, 0, consumer->batch + 1, capacity - 1);
        consumer->batch[0] = first;
        got = got < 0 ? 1 : got + 1;
    }
    if (got > 0)
        *n = take_batch(consumer, (size_t)got, out);
    return NP_OK;
}

static void view(struct np_source *source, const struct np_delivery *delivery, struct np_message *out)
{
    const rd_kafka_message_t *message = delivery->native;

    (void)source;
    *out = (struct np_message){
        .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
        .key = message->key,
        .value = message->payload,
        .key_length = message->key_len,
        .value_length = message->len,
        .native = message,
    };
}

static void release(struct np_source *source, const struct np_delivery *delivery)
{
    (void)source;
    rd_kafka_message_destroy(delivery->native);
}

/* --- control --- */

static rd_kafka_topic_partition_list_t *list_of(struct consumer *consumer, struct np_place place,
                                                int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, consumer->names[place.input], place.partition)->offset = offset;
    return list;
}

static void hold(struct np_source *source, struct np_place place)
{
    struct consumer *consumer = (struct consumer *)source;
    rd_kafka_topic_partition_list_t *list = list_of(consumer, place, 0);

    rd_kafka_pause_partitions(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static enum np_status start(struct np_source *source, struct np_place place, int64_t offset,
                            struct np_error *err)
{
    struct consumer *consumer = (struct consumer *)source;
    const struct timespec moment = {.tv_nsec = 10000000};
    rd_kafka_topic_partition_list_t *list = list_of(consumer, place, offset);
    enum np_status st = NP_OK;

    for (int tries = 0;; tries++) {
        rd_kafka_error_t *error = rd_kafka_seek_partitions(consumer->rk, list, CALL_TIMEOUT_MS);
        rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : list->elems[0].err;

        if (error)
            rd_kafka_error_destroy(error);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        /* the fetcher is not up yet while partitions that leave are still being stopped */
        if (code != RD_KAFKA_RESP_ERR__STATE || tries > 500) {
            st = np_fail(err, NP_ESTOP, "seek to %lld in %s[%d]: %s", (long long)offset, list->elems[0].topic,
                         (int)place.partition, rd_kafka_err2str(code));
            break;
        }
        nanosleep(&moment, NULL);
    }
    if (st == NP_OK)
        rd_kafka_resume_partitions(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return st;
}

static int64_t end_of(struct np_source *source, struct np_place place)
{
    struct consumer *consumer = (struct consumer *)source;
    int64_t low, high;

    if (rd_kafka_get_watermark_offsets(consumer->rk, consumer->names[place.input], place.partition, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return NP_OFFSET_NONE;
    return high;
}

static enum np_status committed(struct np_source *source, struct np_position *positions, size_t n,
                                int timeout_ms, struct np_error *err)
{
    struct consumer *consumer = (struct consumer *)source;

    return np_kafka_committed(consumer->rk, consumer->pipeline, positions, n, timeout_ms, err);
}

static enum np_status look(struct np_source *source, struct np_place place, struct np_log_facts *facts,
                           struct np_error *err)
{
    struct consumer *consumer = (struct consumer *)source;
    const char *topic = consumer->names[place.input];
    struct np_topic_facts of_topic = {0};
    rd_kafka_resp_err_t error;
    enum np_status st;

    if (!asker_of(consumer, err))
        return NP_ERETRY;
    st = np_kafka_topic_facts(consumer->asker, topic, &of_topic, err);
    if (st != NP_OK)
        return st;
    memcpy(facts->topic_id, of_topic.id, sizeof facts->topic_id);
    error = rd_kafka_query_watermark_offsets(consumer->asker, topic, place.partition, &facts->start,
                                             &facts->end, CALL_TIMEOUT_MS);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return np_fail(err, NP_ERETRY, "ends of %s[%d]: %s", topic, (int)place.partition,
                       rd_kafka_err2str(error));
    return NP_OK;
}

static enum np_status leave(struct np_source *source, struct np_error *err)
{
    struct consumer *consumer = (struct consumer *)source;
    rd_kafka_resp_err_t error;

    if (consumer->left)
        return NP_OK;
    consumer->left = true;
    error = rd_kafka_consumer_close(consumer->rk);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return np_fail(err, NP_ESTOP, "leaving the group: %s", rd_kafka_err2str(error));
    return NP_OK;
}

static void ignore_assigned(void *context, struct np_member *member, const struct np_place *places, size_t n)
{
    (void)context;
    (void)places;
    (void)n;
    np_member_drop(member);
}

static void close_source(struct np_source *source)
{
    struct consumer *consumer = (struct consumer *)source;
    struct np_error error;

    if (!consumer)
        return;
    if (consumer->rk) {
        consumer->events.assigned = consumer->events.revoked = ignore_assigned; /* nobody is there any more */
        leave(source, &error);
        if (consumer->messages)
            rd_kafka_queue_destroy(consumer->messages);
        rd_kafka_destroy(consumer->rk);
    }
    if (consumer->asker)
        rd_kafka_destroy(consumer->asker);
    free(consumer->topics);
    free(consumer->names);
    free(consumer->batch);
    free(consumer);
}

/* --- opening --- */

static void prepare(rd_kafka_conf_t *conf, void *context)
{
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, context);
}

static enum np_status subscribe(struct consumer *consumer, struct np_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->n_names);
    rd_kafka_resp_err_t error;

    for (size_t i = 0; i < consumer->n_names; i++)
        rd_kafka_topic_partition_list_add(list, consumer->names[i], RD_KAFKA_PARTITION_UA);
    error = rd_kafka_subscribe(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return np_fail(err, NP_ESTOP, "subscribe: %s", rd_kafka_err2str(error));
    return NP_OK;
}

enum np_status np_consumer_open_topics(struct np_source **out, const struct np_pipeline *pipeline,
                                       const char *group, const char *const *topics, size_t n_topics,
                                       const struct np_source_events *events, struct np_error *err)
{
    char session[24], heartbeat[24], queued[24];
    const struct np_kafka_setting defaults[] = {
        {"partition.assignment.strategy", "cooperative-sticky"},
        {"session.timeout.ms", session},
        {"heartbeat.interval.ms", heartbeat},
        {"fetch.queue.backoff.ms", "10"},
        /* 5 minutes by default: so long a loader would not see that its topics have been made */
        {"topic.metadata.refresh.interval.ms", "3000"},
        {"queued.min.messages", "1000000"},
        {"queued.max.messages.kbytes", queued},
        {"fetch.max.bytes", "1048576"},
        {NULL, NULL},
    };
    const struct np_kafka_setting fixed[] = {
        {"group.id", group},
        {"enable.partition.eof", events->ended ? "true" : "false"},
        {"group.protocol", "classic"},
        {"auto.offset.reset", "error"},
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"allow.auto.create.topics", "false"},
        {NULL, NULL},
    };
    struct consumer *consumer = calloc(1, sizeof *consumer);
    int64_t kbytes = pipeline->run.memory / 4 / 1024, session_ms = pipeline->run.session_timeout_ns / 1000000;
    enum np_status st;

    if (!consumer)
        return np_fail(err, NP_ENOMEM, "out of memory for the consumer");
    snprintf(session, sizeof session, "%lld", (long long)session_ms);
    snprintf(heartbeat, sizeof heartbeat, "%lld", (long long)(session_ms < 9000 ? session_ms / 3 : 3000));
    snprintf(queued, sizeof queued, "%lld",
             (long long)(kbytes < 1024      ? 1024
                         : kbytes > 2097151 ? 2097151
                                            : kbytes));
    consumer->source =
        (struct np_source){poll_source, view,      release, np_dead_letter_headers, hold, start,
                           end_of,      committed, leave,   close_source,           look};
    consumer->pipeline = pipeline;
    consumer->events = *events;
    consumer->batch_capacity = 4096;
    consumer->batch = calloc(consumer->batch_capacity, sizeof(rd_kafka_message_t *));
    consumer->topics = calloc(n_topics + 1, sizeof(rd_kafka_topic_t *));
    consumer->names = calloc(n_topics + 1, sizeof *consumer->names);
    if (!consumer->topics || !consumer->names || !consumer->batch) {
        st = np_fail(err, NP_ENOMEM, "out of memory for the consumer");
        goto fail;
    }
    for (size_t i = 0; i < n_topics; i++)
        consumer->names[consumer->n_names++] = topics[i];
    st = np_kafka_open(&consumer->rk, RD_KAFKA_CONSUMER, pipeline, defaults, fixed, prepare, consumer, err);
    if (st != NP_OK)
        goto fail;
    rd_kafka_poll_set_consumer(consumer->rk);
    consumer->messages = rd_kafka_queue_new(consumer->rk);
    st = subscribe(consumer, err);
    if (st != NP_OK)
        goto fail;
    *out = &consumer->source;
    return NP_OK;
fail:
    close_source(&consumer->source);
    return st;
}

enum np_status np_consumer_open(struct np_source **out, const struct np_pipeline *pipeline,
                                const struct np_source_events *events, struct np_error *err)
{
    const char **topics = calloc(pipeline->n_inputs + 1, sizeof *topics);
    enum np_status st;

    if (!topics)
        return np_fail(err, NP_ENOMEM, "out of memory for the consumer");
    for (size_t i = 0; i < pipeline->n_inputs; i++)
        topics[i] = pipeline->inputs[i].topic;
    st = np_consumer_open_topics(out, pipeline, pipeline->name, topics, pipeline->n_inputs, events, err);
    free(topics);
    return st;
}
