#include "tests/file_help.h"

#include <math.h>

/* A WAV file being put together. */
struct wav {
    unsigned char data[4096];
    size_t n;
};

static void put(struct wav *wav, const void *data, size_t n)
{
    memcpy(wav->data + wav->n, data, n);
    wav->n += n;
}

static void put_int(struct wav *wav, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        wav->data[wav->n++] = (unsigned char)(value >> (8 * i));
}

static void put_header(struct wav *wav, int format, int channels, uint32_t rate, int bits, uint32_t length)
{
    put(wav, "RIFF\0\0\0\0WAVE", 12);
    put(wav, "LIST\3\0\0\0abc\0", 12); /* an odd chunk and its padding */
    put(wav, "fmt ", 4);
    put_int(wav, format == 0xfffe ? 40 : 16, 4);
    put_int(wav, (uint64_t)format, 2);
    put_int(wav, (uint64_t)channels, 2);
    put_int(wav, rate, 4);
    put_int(wav, (uint64_t)rate * (uint64_t)(channels * bits / 8), 4);
    put_int(wav, (uint64_t)(channels * bits / 8), 2);
    put_int(wav, (uint64_t)bits, 2);
    if (format == 0xfffe) {
        put_int(wav, 22, 2);
        put_int(wav, (uint64_t)bits, 2);
        put_int(wav, 0, 4);
        put(wav, "\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 16);
    }
    put(wav, "data", 4);
    put_int(wav, length, 4);
}

static void read_wav(struct recording *all, const struct wav *wav, const struct np_file_options *options)
{
    const char *path = small_file("a.wav", wav->data, wav->n);

    recording_read(all, path, options);
    unlink(path);
}

/* Half of full scale and its negative, in every sample format. */
static void every_sample_format_gives_the_same_values(void **state)
{
    const float f32[] = {0.5f, -0.5f, 1.0f / 1024, -1};
    const double f64[] = {0.5, -0.5, 1.0 / 1024, -1};
    static const struct {
        int format, bits;
    } rows[] = {{1, 16}, {1, 24}, {1, 32}, {3, 32}, {3, 64}, {0xfffe, 24}};

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct wav wav = {.n = 0};
        struct recording all;
        int bits = rows[r].bits;

        put_header(&wav, rows[r].format, 2, 8000, bits, (uint32_t)(4 * bits / 8));
        for (int i = 0; i < 4; i++) {
            if (rows[r].format == 3)
                put(&wav, bits == 32 ? (const void *)&f32[i] : (const void *)&f64[i], (size_t)bits / 8);
            else
                put_int(&wav, (uint64_t)(int64_t)(f64[i] * ldexp(1, bits - 1)), bits / 8);
        }
        read_wav(&all, &wav, NULL);
        if (all.status != NP_EEND)
            fail_msg("format %d, %d bits: %s", rows[r].format, bits, all.err.text);
        assert_int_equal(all.n_channels, 2);
        assert_int_equal(all.n, 2);
        assert_int_equal(all.info->n_samples, 2);
        for (int i = 0; i < 4; i++)
            if (all.x[i % 2][i / 2] != f32[i])
                fail_msg("format %d, %d bits, sample %d: %g instead of %g", rows[r].format, bits, i,
                         (double)all.x[i % 2][i / 2], (double)f32[i]);
        assert_string_equal(all.info->channels[1].name, "ch2");
        recording_free(&all);
    }
}

static void a_header_without_a_length_is_read_to_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct wav wav = {.n = 0};
        struct recording all;

        put_header(&wav, 1, 1, 1000, 16, i ? 0xffffffff : 0);
        for (int k = 0; k < 100; k++)
            put_int(&wav, (uint64_t)k, 2);
        read_wav(&all, &wav, NULL);
        assert_int_equal(all.status, NP_EEND);
        assert_int_equal(all.n, 100);
        assert_int_equal(all.info->n_samples, 100);
        recording_free(&all);
    }
}

static void blocks_follow_each_other_without_a_gap(void **state)
{
    const struct np_file_options options = {.start_ns = 5, .block_samples = 7, .sensor = "m1"};
    struct wav wav = {.n = 0};
    struct recording all;

    (void)state;
    put_header(&wav, 1, 1, 44100, 16, 200);
    for (int k = 0; k < 100; k++)
        put_int(&wav, (uint64_t)k, 2);
    read_wav(&all, &wav, &options);
    assert_int_equal(all.status, NP_EEND);
    assert_int_equal(all.n_blocks, 15);
    assert_string_equal(all.info->sensor, "m1");
    for (size_t i = 0; i < 100; i++) {
        assert_float_equal(all.x[0][i], (float)i / 32768, 0);
        assert_in_range(all.times[i] - 5 - llround((double)i * 1e9 / 44100) + 1, 0, 2);
    }
    recording_free(&all);
}

static void damaged_files_are_told_with_their_byte(void **state)
{
    struct wav wav = {.n = 0};
    struct recording all;

    (void)state;
    put_header(&wav, 1, 1, 1000, 16, 200);
    put_int(&wav, 0, 7);
    read_wav(&all, &wav, NULL);
    assert_int_equal(all.n, 3); /* what was whole is given */
    assert_error(&all, NP_EDATA, "byte 63: the file ends after 3 samples");
    recording_free(&all);

    wav.n = 40;
    read_wav(&all, &wav, NULL);
    assert_error(&all, NP_EDATA, "the fmt chunk is cut short");
    recording_free(&all);

    wav.n = 0;
    put_header(&wav, 1, 1, 1000, 12, 200);
    read_wav(&all, &wav, NULL);
    assert_error(&all, NP_EDATA, "sample format 1 with 12 bits");
    recording_free(&all);

    wav.n = 0;
    put_header(&wav, 7, 1, 1000, 16, 200);
    read_wav(&all, &wav, NULL);
    assert_error(&all, NP_EDATA, "PCM of 16, 24 or 32 bits and float");
    recording_free(&all);
}

static void the_mains_recording_is_50_hertz(void **state)
{
    struct recording all;
    int crossings = 0;

    (void)state;
    recording_read_whole(&all, data_file("enf_whu_mains_400hz/001_ref.wav"), NULL);
    assert_float_equal(all.info->rate_hz, 400, 0);
    assert_string_equal(all.info->sensor, "001_ref");
    for (size_t i = 1; i < all.n; i++)
        crossings += all.x[0][i - 1] < 0 && all.x[0][i] >= 0;
    /* its README: 482.0 s at a mean of 50.0088 Hz */
    assert_float_equal((double)all.n / 400, 482, 0.1);
    assert_float_equal(crossings / ((double)all.n / 400), 50.0088, 0.01);
    recording_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_format_gives_the_same_values),
        cmocka_unit_test(a_header_without_a_length_is_read_to_the_end),
        cmocka_unit_test(blocks_follow_each_other_without_a_gap),
        cmocka_unit_test(damaged_files_are_told_with_their_byte),
        cmocka_unit_test(the_mains_recording_is_50_hertz),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
