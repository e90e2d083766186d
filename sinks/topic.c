#include "sinks/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ingest/kafka_client.h"
#include "pipeline/log.h"

#define CALL_TIMEOUT_MS        5000 /* of one call; retriable ones are made again */
#define PATIENCE_S             45 /* until a call that is made again and again counts as of unknown outcome */
#define DEAD_LETTER_CUT        65536 /* bytes left of one that is too large */
#define TRANSACTION_TIMEOUT_MS "10000"

struct topic_sink {
    struct np_sink sink; /* first */
    const struct np_pipeline *pipeline;
    char id[600]; /* transactional */
    rd_kafka_t *rk;
    size_t n_topics;
    rd_kafka_topic_t **topics; /* by np_outgoing.to; NULL: none */
    bool open;                 /* a transaction */
    /* of the transaction at work; delivery reports come in the same thread */
    size_t sent, delivered, failed;
    rd_kafka_resp_err_t first_failure;
};

static time_t now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool is_membership(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION || code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
           code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

static bool is_fenced(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* What an error means (rule 8); takes it. */
static enum np_status judge(struct topic_sink *topic, const char *call, rd_kafka_error_t *error,
                            struct np_error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum np_status st = rd_kafka_error_is_fatal(error)             ? NP_ESTOP
                        : is_membership(code)                      ? NP_EFENCED
                        : rd_kafka_error_txn_requires_abort(error) ? NP_ERETRY
                                                                   : NP_ESTOP;

    topic->sink.fenced = st == NP_ESTOP && is_fenced(code);
    np_fail(err, st, "%s of %s: %s (%s)", call, topic->id, rd_kafka_error_string(error),
            rd_kafka_error_name(error));
    rd_kafka_error_destroy(error);
    return st;
}

/* --- the calls of a transaction --- */

static enum np_status begin(struct np_sink *sink, struct np_error *err)
{
    struct topic_sink *topic = (struct topic_sink *)sink;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(topic->rk);

    if (error)
        return judge(topic, "begin", error, err);
    topic->open = true;
    topic->sent = topic->delivered = topic->failed = 0;
    return NP_OK;
}

static rd_kafka_headers_t *headers_of(const struct np_outgoing *out)
{
    const unsigned char *at = out->headers, *end = at + out->headers_length;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(16);
    const void *value;
    const char *name;
    size_t n;

    while (np_header_next(&at, end, &name, &value, &n))
        rd_kafka_header_add(headers, name, -1, value, (ssize_t)n);
    return headers;
}

/* A message may be as large as the producer's limit, and its dead letter is larger by the headers: it is sent with
 * the beginning of its value, for it must neither stop the worker nor vanish. @return false: nothing to cut */
static bool cut_dead_letter(const struct np_outgoing *out, size_t *length, rd_kafka_headers_t *headers)
{
    char text[24];

    if (out->to != NP_TO_DEAD_LETTERS || *length <= DEAD_LETTER_CUT || !headers)
        return false;
    snprintf(text, sizeof text, "%zu", out->value_length);
    rd_kafka_header_add(headers, "np.cut", -1, text, -1);
    *length = DEAD_LETTER_CUT;
    return true;
}

static enum np_status send_record(struct np_sink *sink, const struct np_outgoing *out, struct np_error *err)
{
    struct topic_sink *topic = (struct topic_sink *)sink;
    rd_kafka_topic_t *to = topic->topics[out->to];
    rd_kafka_headers_t *headers = out->headers ? headers_of(out) : NULL;
    time_t deadline = now_s() + PATIENCE_S;
    size_t value_length = out->value_length;
    rd_kafka_resp_err_t code;

    for (;;) {
        rd_kafka_vu_t fields[] = {
            {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = to},
            {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = out->partition},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)out->key, out->key_length}},
            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)out->value, value_length}},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        };
        rd_kafka_error_t *error = rd_kafka_produceva(topic->rk, fields, headers ? 6 : 5);

        if (!error) {
            topic->sent++;
            if ((topic->sent & 1023) == 0)
                rd_kafka_poll(topic->rk, 0);
            return NP_OK;
        }
        code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && cut_dead_letter(out, &value_length, headers))
            continue;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || now_s() > deadline)
            break;
        rd_kafka_poll(topic->rk, 10);
    }
    if (headers)
        rd_kafka_headers_destroy(headers);
    if (rd_kafka_fatal_error(topic->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        topic->sink.fenced = is_fenced(rd_kafka_fatal_error(topic->rk, NULL, 0));
        return np_fail(err, NP_ESTOP, "send to %s: %s", rd_kafka_topic_name(to), rd_kafka_err2str(code));
    }
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return np_fail(err, NP_ENOMEM, "a record of %zu bytes for %s is larger than message.max.bytes",
                       out->value_length, rd_kafka_topic_name(to));
    return np_fail(err, NP_ERETRY, "send to %s: %s", rd_kafka_topic_name(to), rd_kafka_err2str(code));
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct topic_sink *topic = opaque;

    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        topic->delivered++;
        return;
    }
    if (topic->failed++ == 0)
        topic->first_failure = message->err;
}

static enum np_status flush(struct np_sink *sink, struct np_error *err)
{
    struct topic_sink *topic = (struct topic_sink *)sink;
    time_t deadline = now_s() + PATIENCE_S;
    rd_kafka_resp_err_t fatal;
    char text[512] = "";

    while (rd_kafka_flush(topic->rk, CALL_TIMEOUT_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT && now_s() < deadline)
        continue;
    if (topic->delivered == topic->sent)
        return NP_OK;
    fatal = rd_kafka_fatal_error(topic->rk, text, sizeof text);
    topic->sink.fenced = is_fenced(fatal);
    return np_fail(err, fatal ? NP_ESTOP : NP_ERETRY, "%zu of %zu records were not delivered: %s",
                   topic->sent - topic->delivered, topic->sent,
                   fatal           ? text
                   : topic->failed ? rd_kafka_err2str(topic->first_failure)
                                   : "no answer");
}

static enum np_status offsets(struct np_sink *sink, const struct np_member *member,
                              const struct np_position *positions, size_t n, struct np_error *err)
{
    struct topic_sink *topic = (struct topic_sink *)sink;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    time_t deadline = now_s() + PATIENCE_S;
    rd_kafka_error_t *error;

    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, topic->pipeline->inputs[positions[i].place.input].topic,
                                          positions[i].place.partition)
            ->offset = positions[i].offset;
    while ((error = rd_kafka_send_offsets_to_transaction(topic->rk, list, member->native, CALL_TIMEOUT_MS)) &&
           rd_kafka_error_is_retriable(error) && now_s() < deadline)
        rd_kafka_error_destroy(error);
    rd_kafka_topic_partition_list_destroy(list);
    return error ? judge(topic, "offsets", error, err) : NP_OK;
}

static enum np_status commit(struct np_sink *sink, struct np_error *err)
{
    struct topic_sink *topic = (struct topic_sink *)sink;
    time_t deadline = now_s() + PATIENCE_S;
    rd_kafka_error_t *error;

    while ((error = rd_kafka_commit_transaction(topic->rk, CALL_TIMEOUT_MS)) &&
           rd_kafka_error_is_retriable(error) && now_s() < deadline)
        rd_kafka_error_destroy(error);
    if (error)
        return judge(topic, "commit", error, err);
    topic->open = false;
    return NP_OK;
}

static enum np_status abort_transaction(struct np_sink *sink, struct np_error *err)
{
    struct topic_sink *topic = (struct topic_sink *)sink;
    time_t deadline = now_s() + PATIENCE_S;
    rd_kafka_error_t *error;

    if (!topic->open)
        return NP_OK;
    while ((error = rd_kafka_abort_transaction(topic->rk, CALL_TIMEOUT_MS)) &&
           rd_kafka_error_is_retriable(error) && now_s() < deadline)
        rd_kafka_error_destroy(error);
    if (error) {
        judge(topic, "abort", error, err);
        return NP_ESTOP;
    }
    topic->open = false;
    return NP_OK;
}

/* --- the producer --- */

static void let_go(struct topic_sink *topic)
{
    if (!topic->rk)
        return;
    rd_kafka_purge(topic->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(topic->rk, 100);
    for (size_t i = 0; topic->topics && i < topic->n_topics; i++) {
        if (topic->topics[i])
            rd_kafka_topic_destroy(topic->topics[i]);
        topic->topics[i] = NULL;
    }
    rd_kafka_destroy(topic->rk);
    topic->rk = NULL;
    topic->open = false;
}

static void prepare(rd_kafka_conf_t *conf, void *context)
{
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, context);
}

static enum np_status open_topics(struct topic_sink *topic, struct np_error *err)
{
    const struct np_pipeline *pipeline = topic->pipeline;
    char state[300];

    np_state_topic_name(pipeline, state);
    for (size_t i = 0; i < topic->n_topics; i++) {
        const char *name = i == NP_TO_STATE          ? state
                           : i == NP_TO_DEAD_LETTERS ? pipeline->dead_letters
                                                     : pipeline->steps[i - NP_TO_STEP].topic;

        if (name && !(topic->topics[i] = rd_kafka_topic_new(topic->rk, name, NULL)))
            return np_fail(err, NP_ESTOP, "topic %s: %s", name, rd_kafka_err2str(rd_kafka_last_error()));
    }
    return NP_OK;
}

static enum np_status renew(struct np_sink *sink, struct np_error *err)
{
    struct topic_sink *topic = (struct topic_sink *)sink;
    char queued[24];
    int64_t kbytes = topic->pipeline->run.memory / 4 / 1024;
    const struct np_kafka_setting defaults[] = {
        {"linger.ms", "5"},
        {"partitioner",
         "murmur2_random"}, /* as Java clients: a sensor's results share a partition with theirs */
        {"queue.buffering.max.messages", "1000000"},
        {"queue.buffering.max.kbytes", queued},
        {"transaction.timeout.ms", TRANSACTION_TIMEOUT_MS},
        {"message.timeout.ms", TRANSACTION_TIMEOUT_MS},
        {NULL, NULL},
    };
    const struct np_kafka_setting fixed[] = {
        {"transactional.id", topic->id},
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {NULL, NULL},
    };
    time_t deadline = now_s() + PATIENCE_S;
    rd_kafka_error_t *error;
    enum np_status st;

    let_go(topic);
    sink->fenced = false;
    snprintf(queued, sizeof queued, "%lld",
             (long long)(kbytes < 8192      ? 8192
                         : kbytes > 2097151 ? 2097151
                                            : kbytes));
    st = np_kafka_open(&topic->rk, RD_KAFKA_PRODUCER, topic->pipeline, defaults, fixed, prepare, topic, err);
    if (st != NP_OK)
        return st;
    st = open_topics(topic, err);
    if (st != NP_OK)
        return st;
    while ((error = rd_kafka_init_transactions(topic->rk, CALL_TIMEOUT_MS)) &&
           rd_kafka_error_is_retriable(error) && now_s() < deadline)
        rd_kafka_error_destroy(error);
    if (!error)
        return NP_OK;
    st = rd_kafka_error_is_retriable(error) ? NP_ERETRY : NP_ESTOP;
    np_fail(err, st, "transactions of %s: %s", topic->id, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return st;
}

static void close_sink(struct np_sink *sink)
{
    struct topic_sink *topic = (struct topic_sink *)sink;
    struct np_error error;

    if (!topic)
        return;
    if (topic->rk && topic->open && abort_transaction(sink, &error) != NP_OK)
        np_log(NP_LOG_WARNING, "sink", "transaction left open; the broker ends it", "reason=\"%s\"",
               error.text);
    let_go(topic);
    free(topic->topics);
    free(topic);
}

enum np_status np_topic_sink_open(struct np_sink **out, const struct np_pipeline *pipeline,
                                  const char *worker, struct np_error *err)
{
    struct topic_sink *topic = calloc(1, sizeof *topic);
    enum np_status st;

    if (!topic)
        return np_fail(err, NP_ENOMEM, "out of memory for the producer");
    topic->sink = (struct np_sink){.begin = begin,
                                   .send = send_record,
                                   .flush = flush,
                                   .offsets = offsets,
                                   .commit = commit,
                                   .abort = abort_transaction,
                                   .renew = renew,
                                   .close = close_sink};
    topic->pipeline = pipeline;
    snprintf(topic->id, sizeof topic->id, "%s-%s", pipeline->name, worker);
    topic->n_topics = NP_TO_STEP + pipeline->n_steps;
    topic->topics = calloc(topic->n_topics, sizeof(rd_kafka_topic_t *));
    st = topic->topics ? renew(&topic->sink, err) : np_fail(err, NP_ENOMEM, "out of memory for the producer");
    if (st != NP_OK) {
        close_sink(&topic->sink);
        return st;
    }
    *out = &topic->sink;
    return NP_OK;
}
