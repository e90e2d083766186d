/* Speed of decoding: the plan against avro-c's generic values and against a bare memcpy of the message, in
 * turn in one run, medians in ns a message. One thread, its own CPU time. bench_decode [REPETITIONS]       9
 * by default */
#include <avro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ingest/decoder.h"
#include "tests/avro_put.h"

enum { MOST = 101, POOL_BYTES = 64 << 20 };

struct scenario {
    const char *name, *schema;
    struct np_mapping map;
    struct np_channel channels[1];
    int64_t n_samples; /* of a waveform; 0: a scalar */
    bool packed;
};

#define RECORD(fields)    "{\"type\":\"record\",\"name\":\"M\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":\"" type "\"}"
#define HEAD              FIELD("sensor", "string") "," FIELD("t0", "long") "," FIELD("rate", "double")
#define ARRAY(name, type) "{\"name\":\"" name "\",\"type\":{\"type\":\"array\",\"items\":\"" type "\"}}"

static struct scenario scenarios[] = {
    {.name = "5120 floats in an array (20 KB)",
     .schema = RECORD(HEAD "," ARRAY("u", "float")),
     .n_samples = 5120,
     .map = {.rate = (char *)"rate", .scale = 1}},
    {.name = "5120 float32 in bytes (20 KB)",
     .schema = RECORD(HEAD "," FIELD("u", "bytes")),
     .n_samples = 5120,
     .packed = true,
     .map = {.rate = (char *)"rate", .scale = 1, .encoding = NP_ENC_FLOAT32}},
    {.name = "5120 int16 in bytes, scaled (10 KB)",
     .schema = RECORD(HEAD "," FIELD("u", "bytes")),
     .n_samples = 5120,
     .packed = true,
     .map = {.rate = (char *)"rate", .scale = 0.01, .encoding = NP_ENC_INT16}},
    {.name = "5120 ints in an array, scaled (15 KB)",
     .schema = RECORD(HEAD "," ARRAY("u", "int")),
     .n_samples = 5120,
     .map = {.rate = (char *)"rate", .scale = 0.01}},
    {.name = "a scalar of 12 fields (200 bytes)",
     /* clang-format off */
     .schema = RECORD(HEAD "," FIELD("site", "string") "," FIELD("feeder", "string") "," FIELD("u", "double")
                      "," FIELD("q", "int") "," FIELD("i", "double") "," FIELD("p", "double")
                      "," FIELD("f", "float") "," FIELD("note", "string") "," FIELD("n", "long")),
     /* clang-format on */
     .map = {.scale = 1}},
};

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void put_text(struct np_bytes *out, const char *text)
{
    put_varint(out, (int64_t)strlen(text));
    np_bytes_append(out, text, strlen(text));
}

static void put_double(struct np_bytes *out, double value)
{
    np_bytes_append(out, &value, sizeof value);
}

static void put_samples(const struct scenario *s, struct np_bytes *out)
{
    size_t width = s->map.encoding == NP_ENC_INT16 ? 2 : 4;

    put_varint(out, s->packed ? s->n_samples * (int64_t)width : s->n_samples);
    for (int64_t i = 0; i < s->n_samples; i++) {
        float real = (float)(i % 650) - 325;
        int whole = (int)(i * 7919 % 60000) - 30000;
        int16_t small = (int16_t)whole;

        if (strstr(s->schema, "\"items\":\"int\""))
            put_varint(out, whole);
        else if (width == 2)
            np_bytes_append(out, &small, sizeof small);
        else
            np_bytes_append(out, &real, sizeof real);
    }
    if (!s->packed)
        put_varint(out, 0);
}

static void put_message(const struct scenario *s, int i, struct np_bytes *out)
{
    char sensor[32];
    float f = 50.01f;

    snprintf(sensor, sizeof sensor, "meter-%04d", i % 200);
    put_text(out, sensor);
    put_varint(out, 1763000000000000000 + i * INT64_C(200000000));
    put_double(out, 25600);
    if (s->n_samples) {
        put_samples(s, out);
        return;
    }
    put_text(out, "substation north, bay 7, transformer 2");
    put_text(out, "feeder 12 to the industrial estate");
    put_double(out, 230.1);
    put_varint(out, 0);
    put_double(out, 12.5);
    put_double(out, 2876);
    np_bytes_append(out, &f, sizeof f);
    put_text(out, "measured over ten periods of the mains, class A, calibrated");
    put_varint(out, i);
}

static struct np_decoder *open_decoder(struct scenario *s, struct np_pipeline *pipeline,
                                       struct np_input *input)
{
    char path[] = "/tmp/bench_decode_XXXXXX";
    struct np_decoder *decoder = NULL;
    struct np_error err;
    int fd = mkstemp(path);

    if (fd < 0 || write(fd, s->schema, strlen(s->schema)) < 0)
        exit(2);
    close(fd);
    s->map.sensor = (char *)"sensor";
    s->map.time = (char *)"t0";
    s->map.time_unit_ns = 1;
    s->channels[0] = (struct np_channel){(char *)"U", (char *)"u"};
    s->map.channels = s->channels;
    s->map.n_channels = 1;
    *input = (struct np_input){.name = (char *)"bench", .schema_file = path, .map = s->map};
    *pipeline = (struct np_pipeline){.n_inputs = 1, .inputs = input};
    if (np_decoder_open(&decoder, pipeline, 0, NULL, &err) != NP_OK) {
        fprintf(stderr, "bench_decode: %s\n", err.text);
        exit(2);
    }
    unlink(path);
    input->schema_file = NULL;
    return decoder;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *times, int n)
{
    qsort(times, (size_t)n, sizeof *times, compare);
    return times[n / 2];
}

static void run_scenario(struct scenario *s, int repetitions)
{
    double plan[MOST], generic[MOST], bare[MOST];
    struct np_pipeline pipeline;
    struct np_input input;
    struct np_decoder *decoder = open_decoder(s, &pipeline, &input);
    struct np_blocks blocks = {0};
    struct np_bytes pool = {0};
    size_t at[20001], count = 0, most = s->n_samples ? 800 : 20000;
    double sum = 0;
    avro_schema_t schema;
    avro_value_iface_t *iface;
    avro_value_t value;
    char *copy;

    while (count < most && pool.n < POOL_BYTES) {
        at[count] = pool.n;
        put_message(s, (int)count++, &pool);
    }
    at[count] = pool.n;
    copy = malloc(pool.n);
    if (!copy || avro_schema_from_json_length(s->schema, strlen(s->schema), &schema))
        exit(2);
    iface = avro_generic_class_from_schema(schema);
    avro_generic_value_new(iface, &value);
    for (int r = -1; r < repetitions; r++) { /* the first round only warms up */
        double start = cpu_ns();
        int slot = r < 0 ? 0 : r;

        for (size_t i = 0; i < count; i++) {
            struct np_message message = {.value = pool.data + at[i], .value_length = at[i + 1] - at[i]};
            const char *reason;
            struct np_error err;

            if (decoder->decode(decoder, &message, &blocks, &reason, &err) != NP_OK) {
                fprintf(stderr, "bench_decode: %s\n", err.text);
                exit(2);
            }
            sum += (double)blocks.items[0].x[0];
        }
        plan[slot] = (cpu_ns() - start) / (double)count;
        start = cpu_ns();
        for (size_t i = 0; i < count; i++) {
            avro_reader_t reader =
                avro_reader_memory((char *)pool.data + at[i], (int64_t)(at[i + 1] - at[i]));

            avro_value_reset(&value);
            if (avro_value_read(reader, &value) != 0)
                exit(2);
            avro_reader_free(reader);
        }
        generic[slot] = (cpu_ns() - start) / (double)count;
        start = cpu_ns();
        for (size_t i = 0; i < count; i++) {
            memcpy(copy + (i % 2 ? 0 : 32768), pool.data + at[i], at[i + 1] - at[i]);
            sum += copy[at[i + 1] - at[i] - 1];
        }
        bare[slot] = (cpu_ns() - start) / (double)count;
    }
    printf("| %s | %.0f | %.0f | %.0f | %.1f |%s\n", s->name, median(plan, repetitions),
           median(generic, repetitions), median(bare, repetitions),
           median(generic, repetitions) / median(plan, repetitions), sum == 1e99 ? "!" : "");
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    decoder->close(decoder);
    np_blocks_free(&blocks);
    np_bytes_free(&pool);
    free(copy);
}

int main(int argc, char **argv)
{
    int repetitions = argc > 1 ? atoi(argv[1]) : 9;

    if (repetitions < 1 || repetitions > MOST) {
        fprintf(stderr, "usage: bench_decode [REPETITIONS]    1 to %d\n", MOST);
        return 1;
    }
    printf(
        "| message | decoder [ns] | avro-c [ns] | memcpy [ns] | avro-c / decoder |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        run_scenario(&scenarios[i], repetitions);
    return 0;
}
