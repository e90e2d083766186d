#include "ingest/state_topic.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/kafka_client.h"

#define QUERY_TIMEOUT_MS 5000
#define POLL_MS          100

struct state_topic {
    struct np_state_reader reader; /* first */
    const struct np_pipeline *pipeline;
    char topic[300];
    rd_kafka_t *records; /* read_committed */
    /* read_uncommitted: where the log ends. A read_committed handle is told the last stable offset instead,
     * and would take what lies before a pending transaction for the whole (rule 10). */
    rd_kafka_t *ends;
};

static enum np_status query(struct state_topic *state, const char *topic, int32_t partition, int64_t *low,
                            int64_t *high, struct np_error *err)
{
    rd_kafka_resp_err_t error =
        rd_kafka_query_watermark_offsets(state->ends, topic, partition, low, high, QUERY_TIMEOUT_MS);

    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return np_fail(err, NP_ERETRY, "ends of %s[%d]: %s", topic, (int)partition, rd_kafka_err2str(error));
    return NP_OK;
}

static enum np_status bound(struct np_state_reader *reader, struct np_place place, bool latest,
                            int64_t *offset, struct np_error *err)
{
    struct state_topic *state = (struct state_topic *)reader;
    int64_t low, high;
    enum np_status st =
        query(state, state->pipeline->inputs[place.input].topic, place.partition, &low, &high, err);

    if (st == NP_OK)
        *offset = latest ? high : low;
    return st;
}

/* Reads from where the handle is assigned up to end. */
static enum np_status read_until(struct state_topic *state, int32_t partition, int64_t end,
                                 const atomic_bool *stop,
                                 bool (*each)(void *context, const void *key, size_t key_length,
                                              const void *value, size_t value_length),
                                 void *context, struct np_error *err)
{
    enum np_status st = NP_OK;
    bool done = false;

    while (!done && st == NP_OK) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(state->records, POLL_MS);

        if (atomic_load(stop)) {
            st = np_fail(err, NP_ERETRY, "reading %s[%d]: stopped", state->topic, (int)partition);
        } else if (!message) {
            continue;
        } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            done = message->offset >= end; /* before: a transaction is pending, its end will come */
        } else if (message->err) {
            st = np_fail(err, NP_ERETRY, "reading %s[%d]: %s", state->topic, (int)partition,
                         rd_kafka_message_errstr(message));
        } else if (!each(context, message->key, message->key_len, message->payload, message->len)) {
            st = np_fail(err, NP_ENOMEM, "out of memory for the state in %s[%d]", state->topic,
                         (int)partition);
        }
        if (message)
            rd_kafka_message_destroy(message);
    }
    return st;
}

static enum np_status read_partition(struct np_state_reader *reader, int32_t partition,
                                     const atomic_bool *stop,
                                     bool (*each)(void *context, const void *key, size_t key_length,
                                                  const void *value, size_t value_length),
                                     void *context, struct np_error *err)
{
    struct state_topic *state = (struct state_topic *)reader;
    rd_kafka_topic_partition_list_t *list;
    int64_t low, high;
    enum np_status st = query(state, state->topic, partition, &low, &high, err);
    rd_kafka_resp_err_t error;

    if (st != NP_OK || low == high)
        return st;
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, state->topic, partition)->offset = low;
    error = rd_kafka_assign(state->records, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return np_fail(err, NP_ERETRY, "reading %s[%d]: %s", state->topic, (int)partition,
                       rd_kafka_err2str(error));
    st = read_until(state, partition, high, stop, each, context, err);
    rd_kafka_assign(state->records, NULL);
    return st;
}

static void close_reader(struct np_state_reader *reader)
{
    struct state_topic *state = (struct state_topic *)reader;

    if (!state)
        return;
    if (state->records) {
        rd_kafka_consumer_close(state->records);
        rd_kafka_destroy(state->records);
    }
    if (state->ends)
        rd_kafka_destroy(state->ends);
    free(state);
}

enum np_status np_state_topic_open(struct np_state_reader **out, const struct np_pipeline *pipeline,
                                   struct np_error *err)
{
    const struct np_kafka_setting for_records[] = {
        {"group.id", pipeline->name}, /* a consumer must have one; it is not joined */
        {"group.protocol", "classic"},
        {"isolation.level", "read_committed"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "error"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"fetch.wait.max.ms", "2"}, /* the end of a partition is told only when a fetch returns empty */
        {"allow.auto.create.topics", "false"},
        {NULL, NULL},
    };
    const struct np_kafka_setting for_ends[] = {
        {"group.id", pipeline->name},
        {"group.protocol", "classic"},
        {"isolation.level", "read_uncommitted"},
        {"enable.auto.commit", "false"},
        {"allow.auto.create.topics", "false"},
        {NULL, NULL},
    };
    struct state_topic *state = calloc(1, sizeof *state);
    enum np_status st;

    if (!state)
        return np_fail(err, NP_ENOMEM, "out of memory for the state topic");
    state->reader = (struct np_state_reader){bound, read_partition, close_reader};
    state->pipeline = pipeline;
    np_state_topic_name(pipeline, state->topic);
    st = np_kafka_open(&state->records, RD_KAFKA_CONSUMER, pipeline, NULL, for_records, NULL, NULL, err);
    if (st == NP_OK)
        st = np_kafka_open(&state->ends, RD_KAFKA_CONSUMER, pipeline, NULL, for_ends, NULL, NULL, err);
    if (st != NP_OK) {
        close_reader(&state->reader);
        return st;
    }
    rd_kafka_poll_set_consumer(state->records);
    *out = &state->reader;
    return NP_OK;
}
