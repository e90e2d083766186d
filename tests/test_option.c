#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/option.h"
#include "pipeline/quantity.h"

struct conf {
    bool on;
    int64_t count, duration_ns, size;
    double number, absent, frequency_hz, rate;
    char *text, *secret;
    int choice;
    struct np_bands bands;
};

static const char *const functions[] = {"rect", "hann", "flattop", NULL};
static const struct np_option rows[] = {
    {"on", NP_OPT_BOOL, offsetof(struct conf, on), NULL, "true", 0, 0, NULL, false, "On or off."},
    {"count", NP_OPT_COUNT, offsetof(struct conf, count), "samples", "5", 1, 100, NULL, false, "How many."},
    {"for", NP_OPT_DURATION, offsetof(struct conf, duration_ns), NULL, "1s", 1e6, 86400e9, NULL, false,
     "How long."},
    {"size", NP_OPT_SIZE, offsetof(struct conf, size), NULL, "64MB", 0, 0, NULL, false, "How large."},
    {"number", NP_OPT_NUMBER, offsetof(struct conf, number), "V", NULL, -INFINITY, 1000, NULL, false,
     "A level."},
    {"absent", NP_OPT_NUMBER, offsetof(struct conf, absent), NULL, "", 0, 0, NULL, false, "Another."},
    {"at", NP_OPT_FREQUENCY, offsetof(struct conf, frequency_hz), NULL, "", 0, 1e6, NULL, false, "Where."},
    {"alarms", NP_OPT_RATE, offsetof(struct conf, rate), NULL, "1 per week", 0, INFINITY, NULL, false,
     "How often."},
    {"text", NP_OPT_TEXT, offsetof(struct conf, text), NULL, "", 0, 0, NULL, false, "Words."},
    {"secret", NP_OPT_DURATION, offsetof(struct conf, duration_ns), NULL, "", 0, 0, NULL, true, "Hidden."},
    {"function", NP_OPT_CHOICE, offsetof(struct conf, choice), NULL, "hann", 0, 0, functions, false,
     "Shape."},
    {"bands", NP_OPT_BANDS, offsetof(struct conf, bands), NULL, "{ low: 0..45 }", 0, 2, NULL, false,
     "Bands."},
    {0},
};

static char *parse(const char *text, struct conf *conf)
{
    struct np_mistakes mistakes = {.file = "t"};
    struct np_node *root = np_node_read_text(text, strlen(text), &mistakes);
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);

    *conf = (struct conf){0};
    np_options_parse(rows, root, NULL, conf, &mistakes);
    np_mistakes_print(&mistakes, out);
    fclose(out);
    np_mistakes_free(&mistakes);
    np_node_free(root);
    return printed;
}

static void defaults_are_parsed_as_the_file_is(void **state)
{
    struct conf conf;
    char *mistakes = parse("number: -3.5e1", &conf);

    (void)state;
    assert_string_equal(mistakes, "");
    free(mistakes);
    assert_true(conf.on);
    assert_int_equal(conf.count, 5);
    assert_int_equal(conf.size, 64000000);
    assert_float_equal(conf.number, -35, 0);
    assert_true(isnan(conf.absent));
    assert_float_equal(conf.frequency_hz, 0, 0);
    assert_float_equal(conf.rate, 1.0 / 604800, 0);
    assert_null(conf.text);
    assert_int_equal(conf.choice, 1);
    assert_int_equal(conf.bands.n, 1);
    np_options_free(rows, &conf);
    assert_null(conf.bands.items);
}

static void every_type_is_read_with_its_unit(void **state)
{
    struct conf conf;
    char *mistakes =
        parse("{ on: false, count: 100, for: 1.5h, size: 64MiB, number: 0, at: 12.8kHz, alarms: 3 per day,\n"
              "  text: \"\", function: flattop, bands: { a: 0..45, b_2: 1kHz..2.5kHz } }",
              &conf);

    (void)state;
    assert_string_equal(mistakes, "");
    free(mistakes);
    assert_false(conf.on);
    assert_int_equal(conf.count, 100);
    assert_int_equal(conf.duration_ns, INT64_C(5400000000000));
    assert_int_equal(conf.size, 64 << 20);
    assert_float_equal(conf.frequency_hz, 12800, 0);
    assert_float_equal(conf.rate, 3.0 / 86400, 0);
    assert_string_equal(conf.text, "");
    assert_int_equal(conf.choice, 2);
    assert_int_equal(conf.bands.n, 2);
    assert_string_equal(conf.bands.items[1].name, "b_2");
    assert_float_equal(conf.bands.items[1].from_hz, 1000, 0);
    assert_float_equal(conf.bands.items[1].to_hz, 2500, 0);
    np_options_free(rows, &conf);
}

static void all_mistakes_of_a_map_are_told_at_once(void **state)
{
    static const char expected[] =
        "t:1:1: number is missing: a number [V] of at most 1000\n"
        "t:1:5: on is \"yes\"; allowed: true or false\n"
        "t:2:8: count is \"101\"; allowed: a whole number [samples] between 1 and 100\n"
        "t:3:6: for is \"2 sec\"; allowed: a duration between 1ms and 1d, such as 200ms\n"
        "t:4:7: size is \"64\"; allowed: a size, such as 64MB\n"
        "t:5:8: absent has no value; allowed: a number\n"
        "t:6:5: at is \"2MHz\"; allowed: a frequency between 0Hz and 1MHz, such as 50Hz\n"
        "t:7:9: alarms is \"-1 per day\"; allowed: a rate of at least 0 per year, such as 1 per week\n"
        "t:8:7: text is a list; allowed: a text\n"
        "t:9:9: secret does not hold what is allowed: a duration, such as 200ms\n"
        "t:10:11: function is \"han\" (did you mean \"hann\"?); allowed: one of rect, hann, flattop\n"
        "t:11:8: bands has 4 bands; allowed are at most 2\n"
        "t:11:10: band name \"Low\"; allowed: a lower-case letter, then lower-case letters, digits and _, at "
        "most 32 in all\n"
        "t:11:24: band b is \"45..1\"; allowed: from 0 up, and the end above the start\n"
        "t:11:34: band c is \"x\"; allowed: two frequencies, such as 45..55 or 1kHz..2kHz\n"
        "t:11:40: band d; allowed: two frequencies, such as 45..55 or 1kHz..2kHz\n"
        "t:12:1: unknown key \"aat\" (did you mean \"at\"?); allowed: on, count, for, size, number, absent, "
        "at, alarms, "
        "text, secret, function, bands\n";
    struct conf conf;
    char *mistakes =
        parse("on: yes\ncount: 101\nfor: 2 sec\nsize: 64\nabsent:\nat: 2MHz\nalarms: -1 per day\n"
              "text: [a]\nsecret: hunter2\nfunction: han\n"
              "bands: { Low: 0..1, b: 45..1, c: x, d: [1] }\naat: 1\n",
              &conf);

    (void)state;
    if (strcmp(mistakes, expected) != 0)
        print_error("got\n%sexpected\n%s", mistakes, expected);
    assert_string_equal(mistakes, expected);
    free(mistakes);
    assert_int_equal(conf.count, 5); /* a wrong value leaves the default */
    np_options_free(rows, &conf);
}

static void a_duration_is_exact_and_comes_back_in_its_largest_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
        const char *back;
    } durations[] = {
        {"200ms", 200000000, "200ms"},
        {"0.2s", 200000000, "200ms"},
        {"1500ms", 1500000000, "1.5s"},
        {"90d", INT64_C(7776000000000000), "90d"},
        {"2w", INT64_C(1209600000000000), "2w"},
        {"5m", 300000000000, "5min"},
        {"5min", 300000000000, "5min"},
        {"1.5h", 5400000000000, "1.5h"},
        {"1ns", 1, "1ns"},
        {"0s", 0, "0s"},
        {"1.234567891s", 1234567891, "1234567.891us"},
        {"1.25us", 1250, "1.25us"},
        {"1.005s", 1005000000, "1.005s"},
        {"0.1s", 100000000, "100ms"},
        {"15250w", INT64_C(9223200000000000000), "15250w"},
    };
    static const char *const wrong[] = {"",
                                        "5",
                                        "s",
                                        "-1s",
                                        "+1s",
                                        "1 s",
                                        "1e3s",
                                        "1.s",
                                        "0x1s",
                                        "1S",
                                        "nan",
                                        "15251w",
                                        "99999999999999999999999999999999999s",
                                        "1ss",
                                        ".5s",
                                        "1,5s"};

    (void)state;
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        int64_t ns = -1;
        char back[32];

        if (!np_duration_parse(durations[i].text, &ns) || ns != durations[i].ns)
            fail_msg("%s: got %lld ns", durations[i].text, (long long)ns);
        assert_string_equal(np_duration_format(ns, back), durations[i].back);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ns;

        if (np_duration_parse(wrong[i], &ns))
            fail_msg("\"%s\" is taken as %lld ns", wrong[i], (long long)ns);
    }
}

static void numbers_that_only_look_like_some_are_refused(void **state)
{
    static const char *const wrong[] = {"",      " 1", "1 ", "0x10",  "nan", "inf",
                                        "1e999", "1.", ".5", "1_000", "--1", "1e"};
    double value;
    int64_t whole;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (np_number_parse(wrong[i], &value))
            fail_msg("\"%s\" is taken as %g", wrong[i], value);
    assert_false(np_count_parse("1.5", &whole));
    assert_false(np_count_parse("9223372036854775808", &whole));
    assert_false(np_size_parse("1.5B", &whole));
    assert_true(np_size_parse("1.5kB", &whole));
    assert_int_equal(whole, 1500);
    assert_false(np_rate_parse("1 per fortnight", &value));
    assert_false(np_range_parse("45...55", &value, &value));
    assert_false(np_frequency_parse("50hz", &value));
}

static void one_value_is_parsed_as_a_row_would(void **state)
{
    struct conf conf = {0};
    struct np_error err = {0};

    (void)state;
    assert_int_equal(np_option_value(&rows[1], "7", &conf, &err), NP_OK);
    assert_int_equal(conf.count, 7);
    assert_int_equal(np_option_value(&rows[1], "x", &conf, &err), NP_ECONFIG);
    assert_string_equal(err.text, "count is \"x\"; allowed: a whole number [samples] between 1 and 100");
    assert_int_equal(conf.count, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_parsed_as_the_file_is),
        cmocka_unit_test(every_type_is_read_with_its_unit),
        cmocka_unit_test(all_mistakes_of_a_map_are_told_at_once),
        cmocka_unit_test(a_duration_is_exact_and_comes_back_in_its_largest_unit),
        cmocka_unit_test(numbers_that_only_look_like_some_are_refused),
        cmocka_unit_test(one_value_is_parsed_as_a_row_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
