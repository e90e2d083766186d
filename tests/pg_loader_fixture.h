/* Decoders for messages that are C structs, and a loader over them. */
#ifndef NP_PG_LOADER_FIXTURE_H
#define NP_PG_LOADER_FIXTURE_H

#include "pg_fixture.h"

struct fake_rows {
    struct np_row_decoder decoder;
    const struct np_step *step;
};

static enum np_status fake_row(struct np_row_decoder *decoder, const struct np_message *message,
                               struct np_value *values, struct np_error *err)
{
    struct fake_rows *fake = (struct fake_rows *)decoder;
    const struct made *made = message->value;

    if (message->value_length != sizeof *made)
        return np_fail(err, NP_EDATA, "a message of %zu bytes", message->value_length);
    if (strcmp(made->step, fake->step->name) != 0)
        return NP_EEND;
    values[0].text = made->sensor;
    values[1].text = made->channel;
    values[2].i64 = made->start;
    values[3].i64 = made->end;
    values[4].f64 = made->coverage;
    values[5].i64 = made->flags;
    values[6].f64 = made->rms;
    values[7].f64 = made->rms * 1.5;
    values[8].i64 = made->n;
    values[9].i64 = made->at;
    values[10].text = made->note;
    values[11].floats = made->x;
    values[11].n = made->n_x;
    return NP_OK;
}

static void fake_row_close(struct np_row_decoder *decoder)
{
    free(decoder);
}

static enum np_status open_fake_rows(void *context, struct np_row_decoder **out,
                                     const struct np_pipeline *pipeline, const struct np_step *step,
                                     struct np_error *err)
{
    struct fake_rows *fake = calloc(1, sizeof *fake);

    (void)context, (void)pipeline;
    if (!fake)
        return np_fail(err, NP_ENOMEM, "fake");
    fake->decoder = (struct np_row_decoder){fake_row, fake_row_close};
    fake->step = step;
    *out = &fake->decoder;
    return NP_OK;
}

static enum np_status fake_blocks(struct np_decoder *decoder, const struct np_message *message,
                                  struct np_blocks *blocks, const char **reason, struct np_error *err)
{
    const struct made *made = message->value;
    struct np_block *block;
    float *x;

    (void)decoder;
    np_blocks_clear(blocks);
    if (message->value_length != sizeof *made) {
        *reason = "schema";
        return np_fail(err, NP_EDATA, "a message of %zu bytes", message->value_length);
    }
    x = np_blocks_samples(blocks, made->n_x);
    block = np_blocks_add(blocks);
    if (!x || !block)
        return np_fail(err, NP_ENOMEM, "fake");
    memcpy(x, made->x, made->n_x * sizeof *x);
    block->sensor = made->sensor;
    block->channel = made->channel;
    block->t0_ns = made->start;
    block->rate_hz = made->rate;
    block->n = made->n_x;
    block->x = x;
    block->times = made->times;
    return NP_OK;
}

static void fake_blocks_close(struct np_decoder *decoder)
{
    free(decoder);
}

static enum np_status open_fake_blocks(void *context, struct np_decoder **out,
                                       const struct np_pipeline *pipeline, const struct np_input *input,
                                       struct np_error *err)
{
    (void)context, (void)pipeline, (void)input;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return np_fail(err, NP_ENOMEM, "fake");
    **out = (struct np_decoder){fake_blocks, fake_blocks_close};
    return NP_OK;
}

static int64_t fake_now(void)
{
    return START;
}

static const struct np_loader_deps fake_deps = {
    .open_row_decoder = open_fake_rows, .open_decoder = open_fake_blocks, .now_ns = fake_now};

static struct made made_row(const char *step, int64_t number)
{
    static const char *const sensors[] = {"meter 1", "meter \"2\"", "Zähler\\3"};

    return (struct made){.step = step,
                         .sensor = sensors[number % 3],
                         .channel = number % 2 ? "U1" : "U2",
                         .start = START + number * 200000000,
                         .end = START + (number + 1) * 200000000,
                         .at = NP_NULL_LONG,
                         .n = number,
                         .rms = 230 + 0.25 * (double)number,
                         .coverage = 1};
}

static struct np_message message_of(const struct made *made, const char *topic, int64_t offset)
{
    return (struct np_message){.topic = topic,
                               .partition = 0,
                               .offset = offset,
                               .key = "key",
                               .key_length = 3,
                               .value = made,
                               .value_length = sizeof *made};
}

#endif
