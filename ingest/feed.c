#include "ingest/feed.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ingest/kafka_client.h"
#include "ingest/schema_registry.h"

#define CONNECT_MS 10000
#define FLUSH_MS   90000 /* longer than message.timeout.ms: then every message has been judged */

struct np_feed {
    struct np_feed_sink sink; /* first: the sink is the feed */
    const struct np_feed_options *options;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    struct np_schema_registry *registry;
    struct np_feed_layout layout;
    char *schema;
    struct np_bytes buffer;
    struct np_feed_counts counts;
    bool poison, paced;
    int64_t first_ns; /* data time that stands for the moment `begin` */
    struct timespec begin;
    char failure[256]; /* why the first message was not delivered */
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct np_feed *feed = opaque;

    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        feed->counts.delivered++;
        return;
    }
    if (feed->counts.failed++ == 0)
        snprintf(feed->failure, sizeof feed->failure, "%s", rd_kafka_err2str(message->err));
}

static void prepare(rd_kafka_conf_t *conf, void *context)
{
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, context);
}

/* A topic that is not there would otherwise show only when the first messages time out. */
static enum np_status check_topic(struct np_feed *feed, struct np_error *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t error = rd_kafka_metadata(feed->rk, 0, feed->topic, &metadata, CONNECT_MS);
    enum np_status st = NP_OK;

    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return np_fail(err, NP_ERETRY, "kafka: no answer from %s within %d s: %s",
                       feed->options->kafka->brokers, CONNECT_MS / 1000, rd_kafka_err2str(error));
    if (metadata->topic_cnt != 1 || metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
        st = np_fail(err, NP_ECONFIG, "kafka: topic %s: %s (create it first)", feed->options->topic,
                     metadata->topic_cnt == 1 ? rd_kafka_err2str(metadata->topics[0].err) : "unknown");
    rd_kafka_metadata_destroy(metadata);
    return st;
}

static enum np_status to_kafka(struct np_feed_sink *sink, const char *sensor, const void *value, size_t n,
                               uint64_t n_samples, int64_t end_ns, struct np_error *err);

enum np_status np_feed_open(struct np_feed **out, const struct np_feed_options *options, struct np_error *err)
{
    static const struct np_kafka_setting defaults[] = {
        {"linger.ms", "5"},
        {"batch.size", "1000000"},
        {"queue.buffering.max.kbytes", "65536"},
        {"message.timeout.ms", "60000"},
        {"partitioner",
         "murmur2_random"}, /* as Java clients: a sensor's messages share a partition with theirs */
        {NULL, NULL},
    };
    static const struct np_kafka_setting fixed[] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {NULL, NULL},
    };
    struct np_feed *feed = calloc(1, sizeof *feed);
    enum np_status st;

    if (!feed)
        return np_fail(err, NP_ENOMEM, "feed: out of memory");
    feed->options = options;
    feed->sink.message = to_kafka;
    st = np_kafka_open(&feed->rk, RD_KAFKA_PRODUCER, options->kafka, defaults, fixed, prepare, feed, err);
    if (st == NP_OK && options->registry && options->format == NP_FORMAT_AVRO)
        st = np_schema_registry_open(&feed->registry, options->registry, NULL, NULL, err);
    if (st != NP_OK)
        goto fail;
    feed->topic = rd_kafka_topic_new(feed->rk, options->topic, NULL);
    st = feed->topic ? check_topic(feed, err)
                     : np_fail(err, NP_ECONFIG, "kafka: topic %s: %s", options->topic,
                               rd_kafka_err2str(rd_kafka_last_error()));
    if (st != NP_OK)
        goto fail;
    *out = feed;
    return NP_OK;
fail:
    np_feed_close(feed);
    return st;
}

enum np_status np_feed_begin(struct np_feed *feed, const struct np_blocks *first,
                             const struct np_file_info *info, struct np_error *err)
{
    char *subject = NULL;
    enum np_status st;
    int32_t id = -1;

    np_feed_layout_free(&feed->layout);
    free(feed->schema);
    feed->schema = NULL;
    st = np_feed_layout_make(&feed->layout, feed->options->format, feed->options->array, first, info, err);
    if (st != NP_OK)
        return st;
    feed->schema = np_feed_schema(&feed->layout);
    if (!feed->schema || asprintf(&subject, "%s-value", feed->options->topic) == -1)
        return np_fail(err, NP_ENOMEM, "feed: out of memory");
    if (feed->registry)
        st = np_schema_registry_register(feed->registry, subject, feed->schema, strlen(feed->schema), &id,
                                         err);
    feed->layout.schema_id = id;
    free(subject);
    return st;
}

/* Serves deliveries for as long as the data's time has not come. */
static enum np_status wait_until(struct np_feed *feed, int64_t end_ns)
{
    if (feed->options->speed > 0 && !feed->paced) {
        feed->paced = true;
        feed->first_ns = end_ns;
        clock_gettime(CLOCK_MONOTONIC, &feed->begin);
    }
    for (;;) {
        struct timespec now;
        double left_s = 0;

        if (feed->options->stop && *feed->options->stop)
            return NP_EEND;
        if (feed->options->speed > 0) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            left_s = (double)(end_ns - feed->first_ns) * 1e-9 / feed->options->speed -
                     (double)(now.tv_sec - feed->begin.tv_sec) -
                     (double)(now.tv_nsec - feed->begin.tv_nsec) * 1e-9;
        }
        rd_kafka_poll(feed->rk, left_s <= 0 ? 0 : left_s > 0.1 ? 100 : (int)(left_s * 1000) + 1);
        if (left_s <= 0)
            return NP_OK;
    }
}

static enum np_status to_kafka(struct np_feed_sink *sink, const char *sensor, const void *value, size_t n,
                               uint64_t n_samples, int64_t end_ns, struct np_error *err)
{
    static const char rubbish[] = "poison: no schema fits this message";
    struct np_feed *feed = (struct np_feed *)sink;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (wait_until(feed, end_ns) == NP_EEND)
        return NP_EEND;
    if (feed->poison) {
        value = rubbish;
        n = sizeof rubbish - 1;
    }
    while (rd_kafka_produce(feed->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)value, n, sensor,
                            strlen(sensor), NULL) != 0) {
        error = rd_kafka_last_error();
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return np_fail(err, NP_ESTOP, "kafka: topic %s: a message of %zu bytes: %s", feed->options->topic,
                           n, rd_kafka_err2str(error));
        if (feed->options->stop && *feed->options->stop)
            return NP_EEND;
        rd_kafka_poll(feed->rk, 100);
    }
    feed->counts.messages++;
    feed->counts.samples += feed->poison ? 0 : n_samples;
    feed->counts.bytes += n;
    feed->counts.poisoned += feed->poison;
    if (feed->counts.failed)
        return np_fail(err, NP_ESTOP, "kafka: topic %s: a message was not delivered: %s",
                       feed->options->topic, feed->failure);
    return NP_OK;
}

enum np_status np_feed_send(struct np_feed *feed, const struct np_blocks *blocks, bool poison,
                            struct np_error *err)
{
    feed->poison = poison;
    return np_feed_messages(&feed->layout, blocks, &feed->buffer, &feed->sink, err);
}

enum np_status np_feed_flush(struct np_feed *feed, struct np_error *err)
{
    rd_kafka_resp_err_t error = rd_kafka_flush(feed->rk, FLUSH_MS);

    if (feed->counts.delivered == feed->counts.messages && feed->counts.failed == 0)
        return NP_OK;
    return np_fail(err, NP_ESTOP, "kafka: topic %s: %llu of %llu messages were not confirmed: %s",
                   feed->options->topic, (unsigned long long)(feed->counts.messages - feed->counts.delivered),
                   (unsigned long long)feed->counts.messages,
                   *feed->failure ? feed->failure : rd_kafka_err2str(error));
}

struct np_feed_counts np_feed_counts(const struct np_feed *feed)
{
    return feed->counts;
}

const char *np_feed_schema_text(const struct np_feed *feed)
{
    return feed->schema;
}

void np_feed_close(struct np_feed *feed)
{
    if (!feed)
        return;
    if (feed->topic)
        rd_kafka_topic_destroy(feed->topic);
    if (feed->rk)
        rd_kafka_destroy(feed->rk);
    np_schema_registry_close(feed->registry);
    np_feed_layout_free(&feed->layout);
    np_bytes_free(&feed->buffer);
    free(feed->schema);
    free(feed);
}
