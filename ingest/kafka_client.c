#include "ingest/kafka_client.h"

#include <stdio.h>
#include <string.h>

#include "pipeline/log.h"

static void to_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    enum np_log_level lowest = level <= 3   ? NP_LOG_ERROR
                               : level <= 4 ? NP_LOG_WARNING
                               : level <= 6 ? NP_LOG_INFO
                                            : NP_LOG_DEBUG;

    (void)rk;
    if (strcmp(facility, "CONFWARN") == 0) /* one set of properties serves consumers and producers */
        return;
    /* the client goes on by itself after every one of these */
    np_log(lowest == NP_LOG_ERROR ? NP_LOG_WARNING : lowest, "kafka", "client", "facility=%s text=\"%s\"",
           facility, text);
}

/* Without this the library writes each of these to the log a second time. Fatal ones come back from the
 * calls. */
static void ignore_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)code;
    (void)reason;
    (void)opaque;
}

static enum np_status set(rd_kafka_conf_t *conf, const char *name, const char *value, struct np_error *err)
{
    char text[512];

    switch (rd_kafka_conf_set(conf, name, value, text, sizeof text)) {
    case RD_KAFKA_CONF_OK:
        return NP_OK;
    case RD_KAFKA_CONF_UNKNOWN:
        return np_fail(err, NP_ECONFIG, "kafka: properties: there is no property %s", name);
    default: /* the library's text may hold the value, which may be secret */
        return np_fail(err, NP_ECONFIG,
                       "kafka: properties: %s does not take this value, or is not in this build", name);
    }
}

static enum np_status set_all(rd_kafka_conf_t *conf, const struct np_kafka_setting *settings,
                              struct np_error *err)
{
    enum np_status st = NP_OK;

    for (; settings && settings->name && st == NP_OK; settings++)
        st = set(conf, settings->name, settings->value, err);
    return st;
}

enum np_status np_kafka_open(rd_kafka_t **out, rd_kafka_type_t type, const struct np_pipeline *pipeline,
                             const struct np_kafka_setting *defaults, const struct np_kafka_setting *fixed,
                             void (*prepare)(rd_kafka_conf_t *conf, void *context), void *context,
                             struct np_error *err)
{
    const struct np_kafka_setting common[] = {
        {"bootstrap.servers", pipeline->brokers},
        {"client.id", "netzpuls"},
        {"socket.nagle.disable", "true"},
        {"retry.backoff.ms", "10"},
        {"reconnect.backoff.max.ms", "2000"},
        {"enable.metrics.push", "false"}, /* it tells the broker nothing that the file does not name */
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum np_status st;
    char text[512];

    rd_kafka_conf_set_log_cb(conf, to_log);
    rd_kafka_conf_set_error_cb(conf, ignore_error);
    if ((st = set_all(conf, common, err)) != NP_OK || (st = set_all(conf, defaults, err)) != NP_OK)
        goto out;
    for (size_t i = 0; i < pipeline->n_properties; i++)
        if ((st = set(conf, pipeline->properties[i].name, pipeline->properties[i].value, err)) != NP_OK)
            goto out;
    if ((st = set_all(conf, fixed, err)) != NP_OK)
        goto out;
    if (prepare)
        prepare(conf, context);
    *out = rd_kafka_new(type, conf, text, sizeof text);
    if (*out)
        conf = NULL; /* taken */
    else
        st = np_fail(err, NP_ECONFIG, "kafka: %s", text);
out:
    if (conf)
        rd_kafka_conf_destroy(conf);
    return st;
}

enum np_status np_kafka_committed(rd_kafka_t *rk, const struct np_pipeline *pipeline,
                                  struct np_position *positions, size_t n, int timeout_ms,
                                  struct np_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    enum np_status st = NP_OK;
    rd_kafka_resp_err_t error;

    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, pipeline->inputs[positions[i].place.input].topic,
                                          positions[i].place.partition);
    error = rd_kafka_committed(rk, list, timeout_ms);
    for (size_t i = 0; i < n && error == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *partition = &list->elems[i];

        error = partition->err;
        positions[i].offset = partition->offset < 0 ? NP_OFFSET_NONE : partition->offset;
    }
    if (error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
        error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        st = np_fail(err, NP_ESTOP, "committed offsets of group %s: %s", pipeline->name,
                     rd_kafka_err2str(error));
    else if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        st = np_fail(err, NP_ERETRY, "committed offsets of group %s: %s", pipeline->name,
                     rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(list);
    return st;
}

const char *np_state_topic_name(const struct np_pipeline *pipeline, char out[300])
{
    snprintf(out, 300, "%s.state", pipeline->name);
    return out;
}
