/* Runs a worker against a real broker with a decoder of its own, for the fault tests of commit and recovery:
 *     worker_driver PIPELINE.yaml
 * A message's key is the sensor, its value "T0_NS RATE_HZ X0 X1 ..." in text. "bad" cannot be decoded. While the file
 * named by NP_REGISTRY_DOWN exists, messages that begin with "new " cannot be decoded yet. Ends on SIGTERM. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/consumer.h"
#include "ingest/state_topic.h"
#include "ingest/topic_admin.h"
#include "kernels/kernels.h"
#include "pipeline/log.h"
#include "pipeline/worker.h"
#include "sinks/topic.h"

static atomic_bool stop;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stop, true);
}

struct text_decoder {
    struct np_decoder decoder;    /* first */
    float x[4096];
    char sensor[64], text[65536];
    struct np_block block;
};

static enum np_status decode(struct np_decoder *decoder, const struct np_message *message, struct np_blocks *blocks,
                             const char **reason, struct np_error *err)
{
    struct text_decoder *text = (struct text_decoder *)decoder;
    const char *down = getenv("NP_REGISTRY_DOWN");
    char *at = text->text, *end;

    if (message->value_length >= sizeof text->text || message->key_length >= sizeof text->sensor)
        return np_fail(err, NP_EDATA, "too long");
    memcpy(text->text, message->value ? message->value : "", message->value_length);
    text->text[message->value_length] = '\0';
    memcpy(text->sensor, message->key, message->key_length);
    text->sensor[message->key_length] = '\0';
    if (strncmp(at, "new ", 4) == 0) {
        if (down && access(down, F_OK) == 0)
            return np_fail(err, NP_ERETRY, "registry is down");
        at += 4;
    }
    *reason = "bad";
    text->block = (struct np_block){.sensor = text->sensor, .channel = "U", .channel_index = 0, .x = text->x};
    text->block.t0_ns = strtoll(at, &end, 10);
    if (end == at)
        return np_fail(err, NP_EDATA, "not a number");
    text->block.rate_hz = strtod(end, &end);
    for (at = end; text->block.n < 4096; at = end) {
        float value = strtof(at, &end);

        if (end == at)
            break;
        text->x[text->block.n++] = value;
    }
    if (!blocks->items && !(blocks->items = malloc(sizeof *blocks->items)))
        return np_fail(err, NP_ENOMEM, "blocks");
    blocks->n = blocks->capacity = 1;
    blocks->items[0] = text->block;
    return NP_OK;
}

static void close_decoder(struct np_decoder *decoder)
{
    free(decoder);
}

static enum np_status open_decoder(void *context, const struct np_pipeline *pipeline, int input,
                                   struct np_decoder **out, struct np_error *err)
{
    struct text_decoder *text = calloc(1, sizeof *text);

    (void)context;
    (void)pipeline;
    (void)input;
    if (!text)
        return np_fail(err, NP_ENOMEM, "decoder");
    text->decoder = (struct np_decoder){decode, close_decoder};
    *out = &text->decoder;
    return NP_OK;
}

static enum np_status schema_id(void *context, const char *subject, const char *schema, int32_t *id,
                                struct np_error *err)
{
    (void)context;
    (void)subject;
    (void)schema;
    (void)err;
    *id = 7;
    return NP_OK;
}

int main(int argc, char **argv)
{
    struct np_worker_deps deps = {
        .kernels = np_kernels_best(), .decoder_open = open_decoder, .schema_id = schema_id,
        .topics = np_topics_prepare, .source_open = np_consumer_open, .sink_open = np_topic_sink_open,
        .reader_open = np_state_topic_open,
    };
    struct np_mistakes mistakes = {.file = argv[1]};
    struct np_pipeline *pipeline = argc == 2 ? np_pipeline_load(argv[1], &mistakes) : NULL;
    struct np_metrics *metrics = np_metrics_open();
    struct np_error error = {.status = NP_OK};
    enum np_status st;

    if (!pipeline) {
        np_mistakes_print(&mistakes, stderr);
        return 1;
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    np_log_setup(NP_LOG_INFO, false);
    st = np_worker_run(pipeline, &deps, &stop, NULL, metrics, &error);
    if (st != NP_OK)
        fprintf(stderr, "%s: %s\n", np_status_name(st), error.text);
    if (getenv("NP_METRICS"))
        np_metrics_write(metrics, stdout);
    np_metrics_close(metrics);
    np_pipeline_free(pipeline);
    np_mistakes_free(&mistakes);
    return st == NP_OK ? 0 : 2;
}
