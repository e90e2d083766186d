/* JSON messages through a decoder. The first byte chooses the mapping. */
#include <stdint.h>
#include <stdlib.h>

#include "ingest/decoder.h"

static struct np_channel block_channels[] = {{(char *)"U", (char *)"u"}, {(char *)"I", (char *)"head.i"}};
static struct np_channel reading_channels[] = {{(char *)"U", (char *)"r[].u"},
                                               {(char *)"I", (char *)"r[].in.i"}};
static struct np_channel named_channels[] = {{NULL, (char *)"c[].x"}};

static struct np_input inputs[] = {
    {.name = (char *)"blocks",
     .format = NP_FORMAT_JSON,
     .map = {.sensor = (char *)"m",
             .time = (char *)"t",
             .time_unit_ns = 1000,
             .rate = (char *)"rate",
             .n_channels = 2,
             .channels = block_channels,
             .scale = 1,
             .scale_path = (char *)"scale",
             .quality = (char *)"q"}},
    {.name = (char *)"readings",
     .format = NP_FORMAT_JSON,
     .map = {.time = (char *)"r[].t",
             .n_channels = 2,
             .channels = reading_channels,
             .scale = 2,
             .offset = 1,
             .quality = (char *)"r[].q",
             .sensor = (char *)"r[].m"}},
    {.name = (char *)"channels",
     .format = NP_FORMAT_JSON,
     .map = {.time = (char *)"t",
             .time_unit_ns = 1,
             .rate_hz = 50,
             .n_channels = 1,
             .channels = named_channels,
             .scale = 1,
             .channel_name = (char *)"c[].name"}},
    {.name = (char *)"packed",
     .format = NP_FORMAT_JSON,
     .map = {.time = (char *)"t",
             .time_unit_ns = 1,
             .rate_hz = 50,
             .n_channels = 2,
             .channels = block_channels,
             .encoding = NP_ENC_INT16,
             .scale = 0.5}},
};
enum { N_INPUTS = sizeof inputs / sizeof *inputs };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct np_decoder *decoders[N_INPUTS];
    static struct np_blocks blocks;
    const struct np_pipeline pipeline = {.n_inputs = N_INPUTS, .inputs = inputs};
    struct np_message message = {.key = "k", .key_length = 1};
    const char *reason;
    struct np_error err;
    int input;

    if (n == 0)
        return 0;
    input = data[0] % N_INPUTS;
    if (!decoders[input] && np_decoder_open(&decoders[input], &pipeline, input, NULL, &err) != NP_OK)
        abort();
    message.value = data + 1;
    message.value_length = n - 1;
    decoders[input]->decode(decoders[input], &message, &blocks, &reason, &err);
    return 0;
}
