#include "tests/file_help.h"

#include <math.h>

#include "pipeline/record.h"

static int64_t at(const char *text)
{
    int64_t ns;

    assert_true(np_time_parse(text, &ns));
    return ns;
}

static void read_text(struct recording *all, const char *text, const struct np_file_options *options)
{
    const char *path = small_text("a.csv", text);

    recording_read(all, path, options);
    unlink(path);
}

/* Each way to write the time gives the same instants. */
static void every_form_of_time_gives_the_same_instants(void **state)
{
    static const char *const rows[][2] = {
        {"2024-05-01T00:00:00.5Z", "2024-05-01T00:00:01.500Z"},
        {"2024-05-01T02:00:00.5+02:00", "2024-05-01T02:00:01.5+02:00"},
        {"2024-05-01 00:00:00.500", "2024-05-01 00:00:01.5"},
        {"01-May-2024 00:00:00.5", "01-May-2024 00:00:01.5"},
        {"1714521600.5", "1714521601.5"},
        {"1714521600500", "1714521601500"},
        {"1714521600500000", "1714521601500000"},
        {"1714521600500000000", "1714521601500000000"},
        {"0.5", "1.5"},
        {"5e-1", "1.5"},
    };
    const struct np_file_options options = {.start_ns = 1714521600000000000};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recording all;
        char text[256];

        snprintf(text, sizeof text, "when,U1\n%s,1\n%s,2\n", rows[i][0], rows[i][1]);
        read_text(&all, text, &options);
        assert_int_equal(all.status, NP_EEND);
        assert_int_equal(all.n, 2);
        if (all.times[0] != at("2024-05-01T00:00:00.5Z") || all.times[1] != at("2024-05-01T00:00:01.5Z"))
            fail_msg("%s: got %lld and %lld", rows[i][0], (long long)all.times[0], (long long)all.times[1]);
        assert_float_equal(all.info->rate_hz, 1, 0);
        recording_free(&all);
    }
}

static void times_without_a_zone_take_the_offset_and_others_do_not(void **state)
{
    const struct np_file_options options = {.utc_offset_ns = 7200000000000};
    struct recording all;

    (void)state;
    read_text(&all, "t,x\n2025-04-28 11:00:00,1\n2025-04-28 11:00:01,1\n", &options);
    assert_int_equal(all.times[0], at("2025-04-28T09:00:00Z"));
    recording_free(&all);
    read_text(&all, "t,x\n2025-04-28T11:00:00Z,1\n2025-04-28T11:00:01Z,1\n", &options);
    assert_int_equal(all.times[0], at("2025-04-28T11:00:00Z"));
    recording_free(&all);
}

static void offsets_from_utc_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t minutes;
    } rows[] = {{"+02:00", 120}, {"-0530", -330}, {"+2", 120}, {"-11", -660}, {"Z", 0}};
    static const char *const wrong[] = {"", "2h", "+25:00", "+", "CET"};
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(np_file_utc_offset(rows[i].text, &ns));
        assert_int_equal(ns, rows[i].minutes * 60000000000);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(np_file_utc_offset(wrong[i], &ns));
}

static void separators_quotes_line_ends_and_a_mark_are_all_read(void **state)
{
    static const char *const texts[] = {
        "t,a,\"b,1\"\n0,1.5,-2\n1,3,4\n",
        "\xef\xbb\xbft;a;b,1\r\n0;1,5;-2\r\n1;3;4\r\n",
        "t\ta\t\"b,1\"\n0\t1.5\t-2.0\n\n1\t3\t4",
        "t, a , \"b,1\"\n0, \"1.5\" ,-2\n1,3.0e0,4\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct recording all;

        read_text(&all, texts[i], NULL);
        if (all.status != NP_EEND)
            fail_msg("text %zu: %s", i, all.err.text);
        assert_int_equal(all.n, 2);
        assert_string_equal(all.info->channels[0].name, "a");
        assert_string_equal(all.info->channels[1].name, "b,1");
        assert_float_equal(all.x[0][0], 1.5, 0);
        assert_float_equal(all.x[1][0], -2, 0);
        assert_float_equal(all.x[0][1], 3, 0);
        assert_float_equal(all.x[1][1], 4, 0);
        recording_free(&all);
    }
}

static void empty_and_nan_fields_are_missing_samples(void **state)
{
    struct recording all;

    (void)state;
    read_text(&all, "t,a,b\n0,,1\n1,NaN,2\n2,null,\n3,5,6\n", NULL);
    assert_int_equal(all.status, NP_EEND);
    for (size_t i = 0; i < 3; i++)
        assert_true(isnan(all.x[0][i]));
    assert_true(isnan(all.x[1][2]));
    assert_float_equal(all.x[0][3], 5, 0);
    recording_free(&all);
}

static void a_gap_in_equal_steps_begins_a_new_block(void **state)
{
    struct recording all;

    (void)state;
    read_text(&all, "t,a\n0,1\n0.1,2\n0.2,3\n0.7,4\n0.8,5\n", NULL);
    assert_int_equal(all.status, NP_EEND);
    assert_int_equal(all.n_blocks, 2);
    assert_int_equal(all.block_at[1], 3);
    assert_float_equal(all.rate_at[0], 10, 0);
    assert_int_equal(all.times[3], 700000000);
    recording_free(&all);
}

static void unequal_steps_are_given_with_their_times(void **state)
{
    struct recording all;

    (void)state;
    read_text(&all, "t,a\n0,1\n1.3,2\n1.9,3\n4.7,4\n5,5\n", NULL);
    assert_int_equal(all.status, NP_EEND);
    assert_float_equal(all.info->rate_hz, 0, 0);
    assert_int_equal(all.times[1], 1300000000);
    assert_int_equal(all.times[4], 5000000000);
    recording_free(&all);
}

/* 60 Hz written in milliseconds: steps of 16 and 17 ms are one rate, and no gap is seen. */
static void times_rounded_when_written_still_give_the_rate(void **state)
{
    char *text = malloc(100000);
    size_t n = (size_t)sprintf(text, "t,a\n");
    struct recording all;

    (void)state;
    for (int i = 0; i < 6000; i++)
        n += (size_t)sprintf(text + n, "%.3f,%d\n", i / 60.0, i);
    read_text(&all, text, NULL);
    assert_int_equal(all.status, NP_EEND);
    assert_float_equal(all.info->rate_hz, 60, 0);
    assert_int_equal(all.n_blocks, 1);
    assert_int_equal(all.n, 6000);
    recording_free(&all);
    free(text);
}

static void without_a_time_column_rate_and_start_tell_the_times(void **state)
{
    const struct np_file_options options = {
        .time_column = "none", .rate_hz = 4, .start_ns = 1000000000, .block_samples = 2};
    struct recording all;

    (void)state;
    read_text(&all, "10\n20\n30\n40\n50\n", &options);
    assert_int_equal(all.status, NP_EEND);
    assert_string_equal(all.info->channels[0].name, "ch1");
    assert_int_equal(all.n, 5);
    assert_int_equal(all.n_blocks, 3);
    assert_int_equal(all.times[4], 2000000000);
    assert_float_equal(all.x[0][4], 50, 0);
    recording_free(&all);
}

static void damaged_files_are_told_with_their_line(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "a.csv:1: the file is empty"},
        {"t,a\n", "a.csv:1: no row of data"},
        {"t\n1\n", "a.csv:1: only a time column"},
        {"t,a\n0,1\n1,2,3\n", "a.csv:3: 3 fields, but the first row has 2"},
        {"t,a\n0,1\n1,2x\n", "a.csv:3: column 2 (a): \"2x\" is not a finite number"},
        {"t,a\n0,1\n1,1e99\n", "a.csv:3: column 2 (a): \"1e99\" is not a finite number"},
        {"t,a\n0,1\nx,2\n", "a.csv:3: the time \"x\" (column 1) is no number"},
        {"t,a\n2024-01-01T00:00:00Z,1\n2024-13-01T00:00:00Z,2\n",
         "a.csv:3: the time \"2024-13-01T00:00:00Z\" (column 1) is no date"},
        {"t,a\nmonday,1\n", "a.csv:2: the time \"monday\" (column 1) can be read neither"},
        {"t,a\n0,\"1\n", "a.csv:2: a quote is not closed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recording all;

        read_text(&all, rows[i].text, NULL);
        assert_error(&all, NP_EDATA, rows[i].error);
        recording_free(&all);
    }
}

static void a_column_that_is_not_there_is_the_users_mistake(void **state)
{
    const struct np_file_options options = {.time_column = "tiem"};
    struct recording all;

    (void)state;
    read_text(&all, "time,a\n0,1\n", &options);
    assert_error(&all, NP_ECONFIG, "no column \"tiem\"");
    recording_free(&all);
    recording_read(&all, "/nonexistent/a.csv", NULL);
    assert_error(&all, NP_ECONFIG, "/nonexistent/a.csv: No such file");
    recording_free(&all);
}

static void small_blocks_give_the_same_samples_as_large_ones(void **state)
{
    const struct np_file_options small = {.block_samples = 100};
    const char *path = data_file("nab_half/realKnownCause/rogue_agent_key_updown.csv");
    struct recording a, b;

    (void)state;
    recording_read_whole(&a, path, NULL);
    recording_read_whole(&b, path, &small);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.x[0], b.x[0], a.n * sizeof(float));
    assert_memory_equal(a.times, b.times, a.n * sizeof(int64_t));
    assert_float_equal(a.info->rate_hz, 1.0 / 300, 0);
    recording_free(&a);
    recording_free(&b);
}

static void the_iberian_recording_has_its_interruption_at_12_33_24(void **state)
{
    const struct np_file_options options = {.utc_offset_ns = 7200000000000};
    struct recording all;
    int missing = 0;
    size_t first = 0;

    (void)state;
    recording_read_whole(&all, data_file("iberia_2025_04_28/toledo_data.csv"), &options);
    assert_int_equal(all.n, 3600);
    assert_int_equal(all.n_channels, 4);
    assert_int_equal(all.n_blocks, 1);
    assert_float_equal(all.info->rate_hz, 0.5, 0);
    assert_int_equal(all.info->start_ns, at("2025-04-28T11:00:00+02:00"));
    for (size_t i = 0; i < all.n; i++) {
        missing += isnan(all.x[0][i]) != 0;
        if (!first && all.x[0][i] < 0.05 * 27600)
            first = i;
    }
    assert_int_equal(missing, 10);
    assert_int_equal(all.times[first], at("2025-04-28T12:33:24+02:00"));
    recording_free(&all);
}

static void the_pmu_recording_is_30_frames_a_second(void **state)
{
    struct recording all;
    int missing = 0;

    (void)state;
    recording_read_whole(&all, data_file("isone_pmu_case3/isone_case3.csv"), NULL);
    assert_int_equal(all.n, 5400);
    assert_int_equal(all.n_channels, 175);
    assert_float_equal(all.info->rate_hz, 30, 1e-3);
    for (size_t i = 0; i < all.n; i++)
        missing += isnan(all.x[1][i]) != 0;
    assert_int_equal(missing, 63);
    recording_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_time_gives_the_same_instants),
        cmocka_unit_test(times_without_a_zone_take_the_offset_and_others_do_not),
        cmocka_unit_test(offsets_from_utc_are_read),
        cmocka_unit_test(separators_quotes_line_ends_and_a_mark_are_all_read),
        cmocka_unit_test(empty_and_nan_fields_are_missing_samples),
        cmocka_unit_test(a_gap_in_equal_steps_begins_a_new_block),
        cmocka_unit_test(unequal_steps_are_given_with_their_times),
        cmocka_unit_test(times_rounded_when_written_still_give_the_rate),
        cmocka_unit_test(without_a_time_column_rate_and_start_tell_the_times),
        cmocka_unit_test(damaged_files_are_told_with_their_line),
        cmocka_unit_test(a_column_that_is_not_there_is_the_users_mistake),
        cmocka_unit_test(small_blocks_give_the_same_samples_as_large_ones),
        cmocka_unit_test(the_iberian_recording_has_its_interruption_at_12_33_24),
        cmocka_unit_test(the_pmu_recording_is_30_frames_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
