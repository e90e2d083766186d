#include "ingest/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/decoder_parts.h"
#include "ingest/message_reader.h"

struct mapping_decoder {
    struct np_decoder base;
    struct np_decoder_map m;
    struct np_message_form form;
    struct np_want *wants;
    size_t n_wants;
    struct np_message_reader *reader;
    struct np_extract extract;
    int64_t future_ns;
};

static void add_want(struct mapping_decoder *d, int place, const char *path, enum np_want_kind kind)
{
    d->m.at[place] = path ? (int)d->n_wants : -1;
    if (!path)
        return;
    d->m.repeated[place] = strstr(path, "[]") != NULL;
    d->wants[d->n_wants++] = (struct np_want){path, kind, true};
}

static enum np_status map_wants(struct mapping_decoder *d, struct np_error *err)
{
    const struct np_mapping *map = d->m.map;

    d->wants = calloc(WANT_SAMPLES + map->n_channels, sizeof *d->wants);
    if (!d->wants)
        return np_fail(err, NP_ENOMEM, "decoder");
    add_want(d, WANT_SENSOR, map->sensor, NP_WANT_TEXT);
    add_want(d, WANT_TIME, map->time, NP_WANT_TIMES);
    add_want(d, WANT_RATE, map->rate, NP_WANT_NUMBER);
    add_want(d, WANT_QUALITY, map->quality, NP_WANT_SCALAR);
    add_want(d, WANT_SCALE, map->scale_path, NP_WANT_NUMBER);
    add_want(d, WANT_OFFSET, map->offset_path, NP_WANT_NUMBER);
    add_want(d, WANT_CHANNEL, map->channel_name, NP_WANT_TEXT);
    d->m.first_channel = (int)d->n_wants;
    for (size_t i = 0; i < map->n_channels; i++) {
        bool repeated = strstr(map->channels[i].path, "[]") != NULL;

        if (i > 0 && repeated != d->m.channels_repeated)
            return np_fail(err, NP_ECONFIG, "input %s: either all channels go into an array ([]) or none",
                           d->m.input);
        d->m.channels_repeated = repeated;
        d->wants[d->n_wants++] = (struct np_want){
            map->channels[i].path, map->encoding == NP_ENC_ARRAY ? NP_WANT_SAMPLES : NP_WANT_BYTES, true};
    }
    for (int i = 0; i < WANT_SAMPLES; i++)
        if (d->m.at[i] >= 0 && d->m.repeated[i] && !d->m.channels_repeated)
            return np_fail(err, NP_ECONFIG,
                           "input %s: path %s goes into an array ([]) but the channels do not", d->m.input,
                           d->wants[d->m.at[i]].path);
    return NP_OK;
}

/* By the message's own timestamp, not by this machine's clock: the same log gives the same verdict. */
static enum np_status check_future(const struct mapping_decoder *d, const struct np_message *message,
                                   const struct np_blocks *blocks, const char **reason, struct np_error *err)
{
    char time[40], stamp[40];

    if (d->future_ns <= 0 || message->timestamp_ms <= 0 || message->timestamp_ms > INT64_MAX / 2000000)
        return NP_OK;
    for (size_t b = 0; b < blocks->n; b++) {
        int64_t last_ns = np_block_last(&blocks->items[b]);
        int64_t stamp_ns = message->timestamp_ms * 1000000;

        if (last_ns <= stamp_ns || last_ns - stamp_ns <= d->future_ns)
            continue;
        *reason = "time";
        return np_fail(err, NP_EDATA, "samples up to %s in a message of %s: later than the input's bound on the future",
                       np_time_format(last_ns, time), np_time_format(stamp_ns, stamp));
    }
    return NP_OK;
}

static enum np_status decode(struct np_decoder *decoder, const struct np_message *message,
                             struct np_blocks *blocks, const char **reason, struct np_error *err)
{
    struct mapping_decoder *d = (struct mapping_decoder *)decoder;
    enum np_status status;

    np_blocks_clear(blocks);
    d->extract.blocks = blocks;
    status = np_message_read(d->reader, message, &d->extract, reason, err);
    if (status == NP_OK)
        status = np_decoder_blocks(&d->m, message, &d->extract, reason, err);
    if (status == NP_OK)
        status = check_future(d, message, blocks, reason, err);
    if (status != NP_OK)
        np_blocks_clear(blocks);
    return status;
}

static void close_decoder(struct np_decoder *decoder)
{
    struct mapping_decoder *d = (struct mapping_decoder *)decoder;

    if (!d)
        return;
    np_message_release(&d->extract);
    np_message_reader_close(d->reader);
    np_extract_close(&d->extract);
    free(d->wants);
    free(d);
}

enum np_status np_decoder_open(struct np_decoder **out, const struct np_pipeline *pipeline, int input,
                               struct np_schema_registry *registry, struct np_error *err)
{
    const struct np_input *in = &pipeline->inputs[input];
    struct mapping_decoder *d = calloc(1, sizeof *d);
    struct np_error inner = {0};
    enum np_status status;

    if (!d)
        return np_fail(err, NP_ENOMEM, "decoder");
    d->base = (struct np_decoder){.decode = decode, .close = close_decoder};
    d->m.map = &in->map;
    d->m.input = in->name;
    d->future_ns = in->future_ns;
    d->form =
        (struct np_message_form){.format = in->format, .schema_file = in->schema_file, .registry = registry};
    status = map_wants(d, err);
    if (status == NP_OK)
        status = np_extract_open(&d->extract, d->n_wants, err);
    if (status == NP_OK) {
        status = np_message_reader_open(&d->reader, &d->form, d->wants, d->n_wants, &inner);
        if (status != NP_OK)
            np_fail(err, status, "input %s: %s", in->name, inner.text);
    }
    if (status == NP_OK)
        *out = &d->base;
    else
        close_decoder(&d->base);
    return status;
}

enum np_status np_decoder_fits(const struct np_decoder *decoder, const struct np_avro_schema *writer,
                               struct np_error *err)
{
    return np_message_reader_fits(((const struct mapping_decoder *)decoder)->reader, writer, err);
}
