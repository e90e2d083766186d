#include "tests/file_help.h"

#include <avro.h>
#include <jansson.h>
#include <math.h>

#include "ingest/feed_message.h"

/* Keeps the messages. */
struct kept {
    struct np_feed_sink sink;
    struct np_bytes messages[8];
    size_t n;
    uint64_t samples;
    int64_t end_ns;
};

static enum np_status keep(struct np_feed_sink *sink, const char *sensor, const void *value, size_t n,
                           uint64_t n_samples, int64_t end_ns, struct np_error *err)
{
    struct kept *kept = (struct kept *)sink;

    (void)err;
    assert_string_equal(sensor, "m \"1\"");
    assert_true(kept->n < 8);
    assert_int_equal(np_bytes_append(&kept->messages[kept->n++], value, n), 0);
    kept->samples += n_samples;
    kept->end_ns = end_ns;
    return NP_OK;
}

static void free_kept(struct kept *kept)
{
    for (size_t i = 0; i < kept->n; i++)
        np_bytes_free(&kept->messages[i]);
}

static const float samples[] = {1.5f, -0.1f, NAN, 3e-7f, 8, 9};

/* Two channels of three samples each; the second is skewed or irregular by wish. */
static void make_blocks(struct np_blocks *blocks, double rate_hz, int64_t skew_ns)
{
    static const char *const channels[] = {"U1 [V]", "1\xc3\xa4"};
    float *x;
    int64_t *times;

    memset(blocks, 0, sizeof *blocks);
    x = np_blocks_samples(blocks, 6);
    times = np_blocks_times(blocks, 3);
    memcpy(x, samples, sizeof samples);
    for (int i = 0; i < 3; i++)
        times[i] = 100 + 7 * i * i;
    for (int c = 0; c < 2; c++) {
        struct np_block *block = np_blocks_add(blocks);

        *block = (struct np_block){.sensor = "m \"1\"",
                                   .channel = channels[c],
                                   .channel_index = -1,
                                   .t0_ns = 100 + c * skew_ns,
                                   .rate_hz = rate_hz,
                                   .n = 3,
                                   .x = x + 3 * c,
                                   .times = rate_hz == 0 ? times : NULL};
    }
}

static void send_all(struct np_feed_layout *layout, struct kept *kept, const struct np_blocks *blocks,
                     enum np_format format, bool array, int32_t id)
{
    struct np_bytes buffer = {0};
    struct np_error err;

    memset(kept, 0, sizeof *kept);
    kept->sink.message = keep;
    assert_int_equal(np_feed_layout_make(layout, format, array, blocks, NULL, &err), NP_OK);
    layout->schema_id = id;
    assert_int_equal(np_feed_messages(layout, blocks, &buffer, &kept->sink, &err), NP_OK);
    np_bytes_free(&buffer);
}

/* A message as avro-c reads it by the schema. */
static void read_avro(const struct np_feed_layout *layout, const struct np_bytes *message,
                      avro_value_t *value, avro_value_iface_t **class)
{
    char *text = np_feed_schema(layout);
    avro_schema_t schema;
    avro_reader_t reader = avro_reader_memory((const char *)message->data, (int64_t)message->n);

    assert_non_null(text);
    if (avro_schema_from_json_length(text, strlen(text), &schema) != 0)
        fail_msg("%s: %s", avro_strerror(), text);
    *class = avro_generic_class_from_schema(schema);
    assert_int_equal(avro_generic_value_new(*class, value), 0);
    if (avro_value_read(reader, value) != 0)
        fail_msg("%s", avro_strerror());
    avro_schema_decref(schema);
    avro_reader_free(reader);
    free(text);
}

static void assert_field(const avro_value_t *record, const char *name, const float *x, size_t n)
{
    avro_value_t field, branch;
    const void *bytes;
    size_t size;

    assert_int_equal(avro_value_get_by_name(record, name, &field, NULL), 0);
    if (avro_value_get_type(&field) == AVRO_UNION) {
        avro_value_get_current_branch(&field, &branch);
        field = branch;
    }
    if (!x) {
        assert_int_equal(avro_value_get_type(&field), AVRO_NULL);
        return;
    }
    if (avro_value_get_type(&field) == AVRO_BYTES) {
        assert_int_equal(avro_value_get_bytes(&field, &bytes, &size), 0);
        assert_int_equal(size, n * sizeof *x);
        assert_memory_equal(bytes, x, size);
        return;
    }
    assert_int_equal(avro_value_get_size(&field, &size), 0);
    assert_int_equal(size, n);
    for (size_t i = 0; i < n; i++) {
        float got;

        avro_value_get_by_index(&field, i, &branch, NULL);
        avro_value_get_float(&branch, &got);
        assert_memory_equal(&got, &x[i], sizeof got);
    }
}

static void a_waveform_comes_back_from_avro_bit_for_bit(void **state)
{
    (void)state;
    for (int array = 0; array < 2; array++) {
        struct np_feed_layout layout;
        struct np_blocks blocks;
        struct kept kept;
        avro_value_t value, field;
        avro_value_iface_t *class;
        int64_t t0;
        double rate;

        make_blocks(&blocks, 50, 0);
        send_all(&layout, &kept, &blocks, NP_FORMAT_AVRO, array, -1);
        assert_int_equal(kept.n, 1);
        assert_int_equal(kept.samples, 6);
        assert_int_equal(kept.end_ns, 100 + 60000000);
        assert_string_equal(layout.fields[0].name, "U1__V_");
        assert_string_equal(layout.fields[1].name, "_1__");
        read_avro(&layout, &kept.messages[0], &value, &class);
        assert_field(&value, "U1__V_", samples, 3);
        assert_field(&value, "_1__", samples + 3, 3);
        avro_value_get_by_name(&value, "t0", &field, NULL);
        avro_value_get_long(&field, &t0);
        assert_int_equal(t0, 100);
        avro_value_get_by_name(&value, "rate_hz", &field, NULL);
        avro_value_get_double(&field, &rate);
        assert_float_equal(rate, 50, 0);
        avro_value_decref(&value);
        avro_value_iface_decref(class);
        free_kept(&kept);
        np_feed_layout_free(&layout);
        np_blocks_free(&blocks);
    }
}

static void skewed_channels_get_messages_of_their_own(void **state)
{
    struct np_feed_layout layout;
    struct np_blocks blocks;
    struct kept kept;

    (void)state;
    make_blocks(&blocks, 50, 13000);
    send_all(&layout, &kept, &blocks, NP_FORMAT_AVRO, false, -1);
    assert_int_equal(layout.shape, NP_FEED_SPLIT);
    assert_int_equal(kept.n, 2);
    for (size_t i = 0; i < 2; i++) {
        avro_value_t value;
        avro_value_iface_t *class;

        read_avro(&layout, &kept.messages[i], &value, &class);
        assert_field(&value, "U1__V_", i == 0 ? samples : NULL, 3);
        assert_field(&value, "_1__", i == 1 ? samples + 3 : NULL, 3);
        avro_value_decref(&value);
        avro_value_iface_decref(class);
    }
    free_kept(&kept);
    np_feed_layout_free(&layout);
    np_blocks_free(&blocks);
}

static void irregular_rows_become_readings(void **state)
{
    struct np_feed_layout layout;
    struct np_blocks blocks;
    struct kept kept;

    (void)state;
    make_blocks(&blocks, 0, 0);
    send_all(&layout, &kept, &blocks, NP_FORMAT_AVRO, false, -1);
    assert_int_equal(kept.n, 3);
    for (size_t i = 0; i < 3; i++) {
        avro_value_t value, field;
        avro_value_iface_t *class;
        int64_t t0;
        float x;

        read_avro(&layout, &kept.messages[i], &value, &class);
        avro_value_get_by_name(&value, "t0", &field, NULL);
        avro_value_get_long(&field, &t0);
        assert_int_equal(t0, blocks.times[i]);
        avro_value_get_by_name(&value, "_1__", &field, NULL);
        avro_value_get_float(&field, &x);
        assert_memory_equal(&x, &samples[3 + i], sizeof x);
        avro_value_decref(&value);
        avro_value_iface_decref(class);
    }
    free_kept(&kept);
    np_feed_layout_free(&layout);
    np_blocks_free(&blocks);
}

static void the_schema_id_stands_before_the_message(void **state)
{
    struct np_feed_layout layout;
    struct np_blocks blocks;
    struct kept kept;

    (void)state;
    make_blocks(&blocks, 50, 0);
    send_all(&layout, &kept, &blocks, NP_FORMAT_AVRO, false, 0x01020304);
    assert_memory_equal(kept.messages[0].data, "\0\1\2\3\4\x0am \"1\"", 11);
    free_kept(&kept);
    np_feed_layout_free(&layout);
    np_blocks_free(&blocks);
}

static void json_keeps_every_bit_and_writes_missing_samples_as_null(void **state)
{
    struct np_feed_layout layout;
    struct np_blocks blocks;
    struct kept kept;
    json_t *root, *x;

    (void)state;
    make_blocks(&blocks, 50, 0);
    send_all(&layout, &kept, &blocks, NP_FORMAT_JSON, false, -1);
    root = json_loadb((const char *)kept.messages[0].data, kept.messages[0].n, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "meter")), "m \"1\"");
    assert_int_equal(json_integer_value(json_object_get(root, "t0")), 100);
    for (size_t i = 0; i < 6; i++) {
        float got;

        x = json_array_get(json_object_get(root, i < 3 ? "U1__V_" : "_1__"), i % 3);
        got = (float)json_number_value(x);
        if (i == 2)
            assert_true(json_is_null(x));
        else
            assert_memory_equal(&got, &samples[i], sizeof got);
    }
    json_decref(root);
    free_kept(&kept);
    np_feed_layout_free(&layout);
    np_blocks_free(&blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waveform_comes_back_from_avro_bit_for_bit),
        cmocka_unit_test(skewed_channels_get_messages_of_their_own),
        cmocka_unit_test(irregular_rows_become_readings),
        cmocka_unit_test(the_schema_id_stands_before_the_message),
        cmocka_unit_test(json_keeps_every_bit_and_writes_missing_samples_as_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
