/* Messages to blocks by a mapping, and result messages back to rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ingest/decoder.h"
#include "tests/avro_put.h"
#include "tests/registry_server.h"

struct fixture {
    struct np_channel channels[3];
    struct np_input input;
    struct np_pipeline pipeline;
    struct np_decoder *decoder;
    struct np_blocks blocks;
    struct np_error err;
    const char *reason;
    char schema_file[64];
};

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define RECORD(fields)    "{\"type\":\"record\",\"name\":\"W\",\"fields\":[" fields "]}"
#define FLOATS            "{\"type\":\"array\",\"items\":\"float\"}"

static void begin(struct fixture *f, enum np_format format, const char *schema)
{
    memset(f, 0, sizeof *f);
    f->input = (struct np_input){
        .name = (char *)"waves", .format = format, .map = {.scale = 1, .channels = f->channels}};
    f->pipeline.n_inputs = 1;
    f->pipeline.inputs = &f->input;
    if (schema) {
        int fd;

        strcpy(f->schema_file, "/tmp/test_decoder_XXXXXX");
        fd = mkstemp(f->schema_file);
        assert_true(fd >= 0 && write(fd, schema, strlen(schema)) == (ssize_t)strlen(schema));
        close(fd);
        f->input.schema_file = f->schema_file;
    }
}

static void add_channel(struct fixture *f, const char *name, const char *path)
{
    f->channels[f->input.map.n_channels++] = (struct np_channel){(char *)name, (char *)path};
}

static void open_decoder(struct fixture *f, struct np_schema_registry *registry)
{
    if (np_decoder_open(&f->decoder, &f->pipeline, 0, registry, &f->err) != NP_OK)
        fail_msg("%s", f->err.text);
}

static void end(struct fixture *f)
{
    if (f->decoder)
        f->decoder->close(f->decoder);
    np_blocks_free(&f->blocks);
    if (f->schema_file[0])
        unlink(f->schema_file);
}

static enum np_status decode(struct fixture *f, const void *value, size_t n)
{
    struct np_message message = {
        .topic = "t", .key = "the key", .key_length = 7, .value = value, .value_length = n};

    return f->decoder->decode(f->decoder, &message, &f->blocks, &f->reason, &f->err);
}

static void decode_json(struct fixture *f, const char *text)
{
    if (decode(f, text, strlen(text)) != NP_OK)
        fail_msg("%s: %s: %s", text, f->reason, f->err.text);
}

static void check_block(const struct fixture *f, size_t i, const char *sensor, const char *channel,
                        int64_t t0_ns, double rate_hz, uint32_t n, float first, float last)
{
    const struct np_block *block = &f->blocks.items[i];

    assert_true(i < f->blocks.n);
    assert_string_equal(block->sensor, sensor);
    assert_string_equal(block->channel, channel);
    if (block->t0_ns != t0_ns || block->rate_hz != rate_hz || block->n != n)
        fail_msg("block %zu: t0 %lld rate %g n %u, expected %lld %g %u", i, (long long)block->t0_ns,
                 block->rate_hz, block->n, (long long)t0_ns, rate_hz, n);
    if (block->x[0] != first || block->x[n - 1] != last)
        fail_msg("block %zu: %g .. %g, expected %g .. %g", i, (double)block->x[0], (double)block->x[n - 1],
                 (double)first, (double)last);
    assert_int_equal(block->times != NULL, rate_hz == 0);
}

static void put_text(struct np_bytes *out, const char *text)
{
    put_varint(out, (int64_t)strlen(text));
    np_bytes_append(out, text, strlen(text));
}

static void put_floats(struct np_bytes *out, const float *x, size_t n)
{
    put_varint(out, (int64_t)n);
    np_bytes_append(out, x, n * sizeof *x);
    put_varint(out, 0);
}

static void a_message_of_three_channels_becomes_three_blocks(void **state)
{
    /* clang-format off */
    static const char schema[] =
        RECORD(FIELD("meter", "\"string\"")
               "," FIELD("t0", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}")
               "," FIELD("rate_hz", "\"double\"") "," FIELD("u_l1", FLOATS)
               "," FIELD("u_l2", "[\"null\"," FLOATS "]") "," FIELD("u_l3", "[\"null\"," FLOATS "]"));
    /* clang-format on */
    static const float u1[] = {1, 2, 3}, u2[] = {4, 5};
    struct np_bytes message = {0};
    struct fixture f;
    double rate = 6400;

    (void)state;
    begin(&f, NP_FORMAT_AVRO, schema);
    f.input.map.sensor = (char *)"meter";
    f.input.map.time = (char *)"t0";
    f.input.map.rate = (char *)"rate_hz";
    add_channel(&f, "U1", "u_l1");
    add_channel(&f, "U2", "u_l2");
    add_channel(&f, "U3", "u_l3");
    open_decoder(&f, NULL);
    put_text(&message, "m-1");
    put_varint(&message, 1763000000123456);
    np_bytes_append(&message, &rate, sizeof rate);
    put_floats(&message, u1, 3);
    put_varint(&message, 1);
    put_floats(&message, u2, 2);
    put_varint(&message, 0); /* u_l3 is null: no block */
    for (int i = 0; i < 2; i++) {
        if (decode(&f, message.data, message.n) != NP_OK)
            fail_msg("%s", f.err.text);
        assert_int_equal(f.blocks.n, 2);
        check_block(&f, 0, "m-1", "U1", 1763000000123456000, 6400, 3, 1, 3);
        check_block(&f, 1, "m-1", "U2", 1763000000123456000, 6400, 2, 4, 5);
        assert_int_equal(f.blocks.items[1].channel_index, 1);
    }
    /* one scale for all, without touching what another channel reads */
    f.input.map.scale = 10;
    f.input.map.offset = 1;
    assert_int_equal(decode(&f, message.data, message.n), NP_OK);
    check_block(&f, 0, "m-1", "U1", 1763000000123456000, 6400, 3, 11, 31);
    np_bytes_free(&message);
    end(&f);
}

static void packed_samples_are_unpacked_with_scale_and_offset(void **state)
{
    static const int16_t small[] = {-100, 200};
    static const int32_t large[] = {-100000, 16777217};
    static const float real[] = {1.5f, -2.5f};
    static const struct {
        enum np_encoding encoding;
        const void *data;
        size_t n;
        double scale, offset;
        float first, last;
    } rows[] = {
        {NP_ENC_INT16, small, sizeof small, 0.1, 0, -10, 20},
        {NP_ENC_INT32, large, sizeof large, 1, -16777216, -16877216, 1},
        {NP_ENC_FLOAT32, real, sizeof real, 1, 0, 1.5f, -2.5f},
        {NP_ENC_FLOAT32, real, sizeof real, 2, 1, 4, -4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct np_bytes message = {0};
        struct fixture f;

        begin(&f, NP_FORMAT_AVRO,
              RECORD(FIELD("x", "\"bytes\"") "," FIELD("scale", "\"double\"") "," FIELD("t", "\"long\"")));
        f.input.map.time = (char *)"t";
        f.input.map.time_unit_ns = 1000000;
        f.input.map.rate_hz = 50;
        f.input.map.encoding = rows[i].encoding;
        f.input.map.scale_path = (char *)"scale";
        f.input.map.offset = rows[i].offset;
        add_channel(&f, "X", "x");
        open_decoder(&f, NULL);
        put_varint(&message, (int64_t)rows[i].n);
        np_bytes_append(&message, rows[i].data, rows[i].n);
        np_bytes_append(&message, &rows[i].scale, sizeof(double));
        put_varint(&message, 5);
        if (decode(&f, message.data, message.n) != NP_OK)
            fail_msg("%s", f.err.text);
        check_block(&f, 0, "the key", "X", 5000000, 50, 2, rows[i].first, rows[i].last);
        message.data[0] -= 2; /* one byte less of samples: the rest no longer fits, or is no multiple */
        assert_int_equal(decode(&f, message.data, message.n), NP_EDATA);
        np_bytes_free(&message);
        end(&f);
    }
}

static void an_array_of_readings_becomes_one_block_with_its_times(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, NP_FORMAT_JSON, NULL);
    f.input.map.sensor = (char *)"head.meter";
    f.input.map.time = (char *)"readings[].time";
    f.input.map.quality = (char *)"readings[].q";
    add_channel(&f, "U", "readings[].u");
    add_channel(&f, "I", "readings[].i");
    open_decoder(&f, NULL);
    decode_json(&f, "{\"head\":{\"meter\":17},\"readings\":["
                    "{\"time\":\"1970-01-01T00:00:01Z\",\"u\":230.5,\"i\":1},"
                    "{\"time\":\"1970-01-01T01:00:00.5+01:00\",\"u\":231,\"i\":null,\"q\":\"GOOD\"},"
                    "{\"time\":\"1970-01-01T00:00:03Z\",\"u\":232,\"i\":3,\"q\":\"odd\"}]}");
    assert_int_equal(f.blocks.n, 2);
    assert_string_equal(f.blocks.items[0].sensor, "17");
    assert_string_equal(f.blocks.items[1].channel, "I");
    assert_int_equal(f.blocks.items[0].n, 3);
    assert_true(f.blocks.items[0].x[0] == 230.5f && f.blocks.items[0].x[1] == 231);
    assert_true(f.blocks.items[1].times[1] == 500000000);
    end(&f);
}

static void readings_that_are_not_good_or_null_are_missing(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, NP_FORMAT_JSON, NULL);
    f.input.map.time = (char *)"r[].t";
    f.input.map.time_unit_ns = 1000000000;
    f.input.map.quality = (char *)"r[].q";
    add_channel(&f, "U", "r[].u");
    open_decoder(&f, NULL);
    decode_json(&f, "{\"r\":[{\"t\":1,\"u\":1},{\"t\":2.5,\"u\":2,\"q\":true},{\"t\":3,\"u\":3,\"q\":1},{"
                    "\"t\":4,\"u\":null,\"q\":0},"
                    "{\"t\":5,\"u\":5,\"q\":\"Ok\"}]}");
    assert_int_equal(f.blocks.n, 1);
    assert_true(f.blocks.items[0].x[1] == 2 && f.blocks.items[0].times[1] == 2500000000);
    assert_true(f.blocks.items[0].x[2] != f.blocks.items[0].x[2]);
    assert_true(f.blocks.items[0].x[3] != f.blocks.items[0].x[3]);
    assert_true(f.blocks.items[0].x[4] == 5 && f.blocks.items[0].times[4] == 5000000000);
    end(&f);
}

static void an_array_of_channels_becomes_a_block_each(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, NP_FORMAT_JSON, NULL);
    f.input.map.time = (char *)"t";
    f.input.map.time_unit_ns = 1;
    f.input.map.rate = (char *)"rate";
    f.input.map.channel_name = (char *)"channels[].name";
    add_channel(&f, NULL, "channels[].samples");
    open_decoder(&f, NULL);
    decode_json(&f, "{\"t\":-5,\"rate\":1e3,\"channels\":[{\"name\":\"a\",\"samples\":[1,2]},{\"name\":\"b\","
                    "\"samples\":null},"
                    "{\"name\":\"c\",\"samples\":[3]}]}");
    assert_int_equal(f.blocks.n, 2);
    check_block(&f, 0, "the key", "a", -5, 1000, 2, 1, 2);
    check_block(&f, 1, "the key", "c", -5, 1000, 1, 3, 3);
    assert_int_equal(f.blocks.items[1].channel_index, -1);
    end(&f);
}

static void one_reading_and_two_arrays_carry_their_own_times(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, NP_FORMAT_JSON, NULL);
    f.input.map.time = (char *)"t";
    f.input.map.time_unit_ns = 1000;
    add_channel(&f, "U", "u");
    open_decoder(&f, NULL);
    decode_json(&f, "{\"t\":7,\"u\":1.5}");
    check_block(&f, 0, "the key", "U", 7000, 0, 1, 1.5f, 1.5f);
    decode_json(&f, "{\"t\":[1,3,2],\"u\":[10,30,20]}");
    check_block(&f, 0, "the key", "U", 1000, 0, 3, 10, 20);
    assert_true(f.blocks.items[0].times[1] == 3000);
    end(&f);
}

static void a_time_far_after_the_messages_own_timestamp_is_a_wrong_clock(void **state)
{
    static const struct {
        const char *time;
        int64_t future_ns, timestamp_ms;
        bool good;
    } rows[] = {
        {"2026-03-01T12:00:00Z", 3600000000000, 1772366400000, true},    /* the same moment */
        {"2026-03-01T12:59:58Z", 3600000000000, 1772366400000, true},    /* with the last of two samples: 12:59:59 */
        {"2026-03-01T13:00:00Z", 3600000000000, 1772366400000, false},   /* 13:00:01 */
        {"2099-01-01T00:00:00Z", 3600000000000, 1772366400000, false},
        {"1999-01-01T00:00:00Z", 3600000000000, 1772366400000, true},    /* old recordings */
        {"2099-01-01T00:00:00Z", 0, 1772366400000, true},                /* no bound */
        {"2099-01-01T00:00:00Z", 3600000000000, -1, true},               /* a broker without timestamps */
        {"2118-12-01T00:00:00Z", 0, 1772366400000, false},               /* never */
        {"1899-12-31T23:59:59Z", 0, 1772366400000, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        char text[128];
        struct np_message message = {.topic = "t", .key = "k", .key_length = 1, .value = text,
                                     .timestamp_ms = rows[i].timestamp_ms};
        enum np_status status;

        begin(&f, NP_FORMAT_JSON, NULL);
        f.input.map.time = (char *)"t";
        f.input.map.rate_hz = 1;
        f.input.future_ns = rows[i].future_ns;
        add_channel(&f, "U", "u");
        open_decoder(&f, NULL);
        message.value_length = (size_t)snprintf(text, sizeof text, "{\"t\":\"%s\",\"u\":[1,2]}", rows[i].time);
        status = f.decoder->decode(f.decoder, &message, &f.blocks, &f.reason, &f.err);
        if ((status == NP_OK) != rows[i].good || (!rows[i].good && strcmp(f.reason, "time") != 0))
            fail_msg("row %zu: %s: %s", i, np_status_name(status), status == NP_OK ? "" : f.err.text);
        end(&f);
    }
}

static void what_is_wrong_with_a_message_is_said_in_one_word(void **state)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"{\"m\":\"a\",\"t\":1,\"rate\":50,\"u\":[1]}", NULL},
        {"{\"m\":\"\",\"t\":1,\"rate\":50,\"u\":[1]}", "sensor"},
        {"{\"m\":\"a\\u001fb\",\"t\":1,\"rate\":50,\"u\":[1]}", "sensor"},
        {"{\"m\":null,\"t\":1,\"rate\":50,\"u\":[1]}", "sensor"},
        {"{\"m\":\"a\",\"rate\":50,\"u\":[1]}", "missing"},
        {"{\"m\":\"a\",\"t\":\"yesterday\",\"rate\":50,\"u\":[1]}", "time"},
        {"{\"m\":\"a\",\"t\":true,\"rate\":50,\"u\":[1]}", "time"},
        {"{\"m\":\"a\",\"t\":1e300,\"rate\":50,\"u\":[1]}", "time"},
        {"{\"m\":\"a\",\"t\":9223372036854775807,\"rate\":50,\"u\":[1]}", "time"},
        {"{\"m\":\"a\",\"t\":9000000000,\"rate\":1e-5,\"u\":[1,2]}", "time"},
        {"{\"m\":\"a\",\"t\":1,\"rate\":1e-9,\"u\":[1]}", "rate"},    /* its slack alone would be 23 days */
        {"{\"m\":\"a\",\"t\":1,\"rate\":0,\"u\":[1]}", "rate"},
        {"{\"m\":\"a\",\"t\":1,\"rate\":-1,\"u\":[1]}", "rate"},
        {"{\"m\":\"a\",\"t\":1,\"rate\":1e8,\"u\":[1]}", "rate"},
        {"{\"m\":\"a\",\"t\":1,\"rate\":null,\"u\":[1]}", "missing"},
        {"{\"m\":\"a\",\"t\":1,\"rate\":50,\"u\":[]}", "empty"},
        {"{\"m\":\"a\",\"t\":1,\"rate\":50,\"u\":null}", "empty"},
        {"{\"m\":\"a\",\"t\":1,\"rate\":50,\"u\":[\"1\"]}", "decode"},
        {"{\"m\":\"a\",\"t\":1,\"rate\":50,\"u\":{}}", "decode"},
        {"{\"m\":\"a\",\"t\":1,", "decode"},
        {"[]", "decode"},
        {"", "decode"},
    };
    struct fixture f;

    (void)state;
    begin(&f, NP_FORMAT_JSON, NULL);
    f.input.map.sensor = (char *)"m";
    f.input.map.time = (char *)"t";
    f.input.map.time_unit_ns = 1000000000;
    f.input.map.rate = (char *)"rate";
    add_channel(&f, "U", "u");
    open_decoder(&f, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum np_status status = decode(&f, rows[i].text, strlen(rows[i].text));

        if (status != (rows[i].reason ? NP_EDATA : NP_OK))
            fail_msg("%s: %s %s", rows[i].text, np_status_name(status), f.err.text);
        if (rows[i].reason && (strcmp(f.reason, rows[i].reason) != 0 || f.blocks.n != 0))
            fail_msg("%s: %s, expected %s: %s", rows[i].text, f.reason, rows[i].reason, f.err.text);
    }
    assert_int_equal(decode(&f, NULL, 0), NP_EDATA);
    assert_string_equal(f.reason, "empty");
    end(&f);
}

static void messages_of_the_registry_are_read_by_the_schema_they_name(void **state)
{
    static const char first[] =
        "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"W\\\",\\\"fields\\\":["
        "{\\\"name\\\":\\\"t\\\",\\\"type\\\":\\\"long\\\"},{\\\"name\\\":\\\"u\\\",\\\"type\\\":\\\"int\\\"}"
        "]}\"}";
    static const char second[] =
        "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"W\\\",\\\"fields\\\":["
        "{\\\"name\\\":\\\"u\\\",\\\"type\\\":\\\"float\\\"},{\\\"name\\\":\\\"t\\\",\\\"type\\\":"
        "\\\"long\\\"}]}\"}";
    static const char third[] =
        "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"W\\\",\\\"fields\\\":["
        "{\\\"name\\\":\\\"u2\\\",\\\"type\\\":\\\"float\\\"},{\\\"name\\\":\\\"t\\\",\\\"type\\\":"
        "\\\"long\\\"}]}\"}";
    static const unsigned char one[] = {0, 0, 0, 0, 1, 14, 6}, two[] = {0, 0, 0, 1, 2, 0, 0, 128, 63, 14};
    static const unsigned char other[] = {0, 0, 0, 0, 3, 0, 0, 128, 63, 14}, bare[] = {14, 6};
    struct registry_server server;
    struct np_schema_registry *registry = NULL;
    struct fixture f;
    char url[64];

    (void)state;
    assert_true(server_start(&server));
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
    begin(&f, NP_FORMAT_AVRO, NULL);
    assert_int_equal(np_schema_registry_open(&registry, url, NULL, NULL, &f.err), NP_OK);
    f.input.map.time = (char *)"t";
    f.input.map.time_unit_ns = 1;
    add_channel(&f, "U", "u");
    open_decoder(&f, registry);
    server.code = 500;
    assert_int_equal(decode(&f, one, sizeof one), NP_ERETRY);
    usleep(1100000);
    server.code = 200;
    server.body = first;
    assert_int_equal(decode(&f, one, sizeof one), NP_OK);
    check_block(&f, 0, "the key", "U", 7, 0, 1, 3, 3);
    server.body = second;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(decode(&f, two, sizeof two), NP_OK);
        check_block(&f, 0, "the key", "U", 7, 0, 1, 1, 1);
        assert_int_equal(decode(&f, one, sizeof one), NP_OK);
    }
    assert_non_null(strstr(server.request, "/schemas/ids/258 "));
    assert_int_equal(server.asked, 3);
    server.body = third;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(decode(&f, other, sizeof other), NP_EDATA);
        assert_string_equal(f.reason, "schema");
        assert_non_null(strstr(f.err.text, "schema 3: field u: record W has no field u; the nearest is u2"));
    }
    assert_int_equal(server.asked, 4);
    assert_int_equal(decode(&f, bare, sizeof bare), NP_EDATA);
    assert_string_equal(f.reason, "decode");
    end(&f);
    np_schema_registry_close(registry);
    server_stop(&server);
}

/* --- rows --- */

static void result_messages_become_rows_again_with_any_earlier_columns(void **state)
{
    static struct np_column old_columns[] = {{(char *)"rms", NP_COL_DOUBLE, "V", "h"},
                                             {(char *)"gone", NP_COL_LONG, "", "h"}};
    static struct np_column new_columns[] = {{(char *)"bands", NP_COL_FLOATS, "", "h"},
                                             {(char *)"rms", NP_COL_DOUBLE, "V", "h"},
                                             {(char *)"text", NP_COL_TEXT, "", "h"},
                                             {(char *)"since", NP_COL_TIME, "", "h"}};
    static const float bands[] = {1, 2};
    struct np_step old_step = {.name = (char *)"levels", .columns = {2, old_columns}};
    struct np_step step = {.name = (char *)"levels", .columns = {4, new_columns}};
    struct np_step other_step = {.name = (char *)"other", .columns = {2, old_columns}};
    struct np_pipeline pipeline = {.name = (char *)"p"};
    struct np_value old_values[2] = {{.f64 = 230.25}, {.i64 = 3}},
                    new_values[4] = {{.floats = bands, .n = 2}, {.f64 = 1}, {.text = "raised"}, {.i64 = 99}};
    const struct np_step *steps[] = {&old_step, &step, &other_step};
    const struct np_value *sets[] = {old_values, new_values, old_values};

    (void)state;
    for (int format = 0; format < 2; format++) {
        struct registry_server server;
        struct np_schema_registry *registry = NULL;
        struct np_row_decoder *decoder = NULL;
        char *answers[3] = {NULL};
        struct np_error err = {0};
        char url[64];

        assert_true(server_start(&server));
        snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
        assert_int_equal(np_schema_registry_open(&registry, url, NULL, NULL, &err), NP_OK);
        step.topic_format = format ? NP_FORMAT_JSON : NP_FORMAT_AVRO;
        if (np_row_decoder_open(&decoder, &pipeline, &step, registry, &err) != NP_OK)
            fail_msg("%s", err.text);
        for (int i = 0; i < 3; i++) {
            struct np_record record = {.step = steps[i],
                                       .sensor = "m\xc3\xa4",
                                       .channel = "U",
                                       .start_ns = 1,
                                       .end_ns = 2,
                                       .coverage = 0.5f,
                                       .flags = NP_FLAG_IDLE | NP_FLAG_GAP,
                                       .values = sets[i]};
            struct np_bytes bytes = {0}, schema = {0};
            struct np_value values[10];
            struct np_message message = {0};
            json_t *json;
            enum np_status status;

            assert_int_equal(np_record_avro_schema(&pipeline, steps[i], &schema), 0);
            json = json_pack("{s:s%}", "schema", (char *)schema.data, schema.n);
            answers[i] = json_dumps(json, 0);
            server.body = answers[i];
            if (format) {
                assert_int_equal(np_record_json(&record, &bytes), 0);
            } else {
                unsigned char head[5] = {0, 0, 0, 0, (unsigned char)(i + 1)};

                np_bytes_append(&bytes, head, 5);
                assert_int_equal(np_record_avro(&record, &bytes), 0);
            }
            message.value = bytes.data;
            message.value_length = bytes.n;
            status = decoder->decode(decoder, &message, values, &err);
            if (status != (i == 2 ? NP_EEND : NP_OK))
                fail_msg("format %d, message %d: %s: %s", format, i, np_status_name(status), err.text);
            if (i < 2) {
                assert_string_equal(values[0].text, "m\xc3\xa4");
                assert_string_equal(values[1].text, "U");
                assert_int_equal(values[2].i64, 1);
                assert_int_equal(values[3].i64, 2);
                assert_true(values[4].f64 == 0.5);
                assert_int_equal(values[5].i64, NP_FLAG_IDLE | NP_FLAG_GAP);
            }
            if (i == 0) {
                assert_null(values[6].floats);
                assert_true(values[7].f64 == 230.25);
                assert_null(values[8].text);
                assert_true(values[9].i64 == NP_NULL_LONG);
            } else if (i == 1) {
                assert_int_equal(values[6].n, 2);
                assert_true(values[6].floats[1] == 2);
                assert_string_equal(values[8].text, "raised");
                assert_int_equal(values[9].i64, 99);
            }
            json_decref(json);
            np_bytes_free(&bytes);
            np_bytes_free(&schema);
        }
        decoder->close(decoder);
        np_schema_registry_close(registry);
        server_stop(&server);
        for (int i = 0; i < 3; i++)
            free(answers[i]);    /* the server's thread may have read them until now */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_of_three_channels_becomes_three_blocks),
        cmocka_unit_test(packed_samples_are_unpacked_with_scale_and_offset),
        cmocka_unit_test(an_array_of_readings_becomes_one_block_with_its_times),
        cmocka_unit_test(readings_that_are_not_good_or_null_are_missing),
        cmocka_unit_test(an_array_of_channels_becomes_a_block_each),
        cmocka_unit_test(one_reading_and_two_arrays_carry_their_own_times),
        cmocka_unit_test(a_time_far_after_the_messages_own_timestamp_is_a_wrong_clock),
        cmocka_unit_test(what_is_wrong_with_a_message_is_said_in_one_word),
        cmocka_unit_test(messages_of_the_registry_are_read_by_the_schema_they_name),
        cmocka_unit_test(result_messages_become_rows_again_with_any_earlier_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
