/* The Avro plan by hand: what avro-c does not do, and what a message or a schema must not do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/avro_plan_help.h"

struct by_hand {
    struct np_avro_schema *writer, *reader;
    struct np_avro_plan *plan;
    struct np_extract extract;
    struct np_blocks blocks;
    struct np_error err;
};

static enum np_status hand_open(struct by_hand *h, const char *writer, const char *reader,
                                const struct np_want *wants, size_t n)
{
    *h = (struct by_hand){0};
    h->writer = parse(writer);
    h->reader = reader ? parse(reader) : NULL;
    assert_int_equal(np_extract_open(&h->extract, n, &h->err), NP_OK);
    h->extract.blocks = &h->blocks;
    return np_avro_plan_open(&h->plan, h->writer, h->reader, wants, n, &h->err);
}

static void hand_close(struct by_hand *h)
{
    np_avro_plan_close(h->plan);
    np_extract_close(&h->extract);
    np_blocks_free(&h->blocks);
    np_avro_schema_close(h->writer);
    np_avro_schema_close(h->reader);
}

static struct np_found first(const struct by_hand *h, size_t want)
{
    assert_int_equal(h->extract.lists[want].n, 1);
    return h->extract.lists[want].items[0];
}

static void a_readers_aliases_and_defaults_fill_what_the_writer_calls_otherwise_or_lacks(void **state)
{
    static const char writer[] =
        "{\"type\":\"record\",\"name\":\"a.Old\",\"fields\":["
        "{\"name\":\"volts\",\"type\":\"int\"},{\"name\":\"junk\",\"type\":\"string\"}]}";
    static const char reader[] =
        "{\"type\":\"record\",\"name\":\"New\",\"aliases\":[\"Old\"],\"fields\":["
        "{\"name\":\"u\",\"type\":\"double\",\"aliases\":[\"x\",\"volts\"]},"
        "{\"name\":\"rate\",\"type\":\"float\",\"default\":0.1},"
        "{\"name\":\"site\",\"type\":[\"null\",\"string\"],\"default\":null},"
        "{\"name\":\"head\",\"type\":{\"type\":\"record\",\"name\":\"Head\",\"fields\":["
        "{\"name\":\"meter\",\"type\":\"string\"},{\"name\":\"no\",\"type\":\"long\",\"default\":7}]},"
        "\"default\":{\"meter\":\"m1\"}},"
        "{\"name\":\"wave\",\"type\":{\"type\":\"array\",\"items\":\"float\"},\"default\":[1,2.5]}]}";
    static const struct np_want wants[] = {
        {"u", NP_WANT_NUMBER, true},        {"rate", NP_WANT_NUMBER, true},
        {"site", NP_WANT_TEXT, false},      {"head.meter", NP_WANT_TEXT, true},
        {"head.no", NP_WANT_INTEGER, true}, {"wave", NP_WANT_SAMPLES, true},
    };
    struct by_hand h;

    (void)state;
    if (hand_open(&h, writer, reader, wants, 6) != NP_OK)
        fail_msg("%s", h.err.text);
    assert_int_equal(run_exact(h.plan, "\x03\x02x", 3, &h.extract, &h.err), NP_OK);
    assert_true(first(&h, 0).number == -2);
    assert_true(first(&h, 1).number == (double)0.1f);
    assert_int_equal(first(&h, 2).type, NP_FOUND_NOTHING);
    assert_memory_equal(first(&h, 3).text, "m1", 2);
    assert_int_equal(first(&h, 4).integer, 7);
    assert_int_equal(first(&h, 5).n, 2);
    assert_true(h.blocks.samples[first(&h, 5).first + 1] == 2.5f);
    hand_close(&h);
}

static void bytes_read_as_string_and_an_unknown_enum_symbol_as_its_default(void **state)
{
    static const char writer[] =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"s\",\"type\":\"bytes\"},"
        "{\"name\":\"b\",\"type\":\"string\"},{\"name\":\"q\",\"type\":{\"type\":\"enum\","
        "\"name\":\"Q\",\"symbols\":[\"GOOD\",\"ODD\"]}}]}";
    static const char reader[] =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"s\",\"type\":\"string\"},"
        "{\"name\":\"b\",\"type\":\"bytes\"},{\"name\":\"q\",\"type\":{\"type\":\"enum\","
        "\"name\":\"Q\",\"symbols\":[\"BAD\",\"GOOD\"],\"default\":\"BAD\"}}]}";
    static const struct np_want wants[] = {
        {"s", NP_WANT_TEXT, true}, {"b", NP_WANT_BYTES, true}, {"q", NP_WANT_SCALAR, true}};
    struct by_hand h;

    (void)state;
    if (hand_open(&h, writer, reader, wants, 3) != NP_OK)
        fail_msg("%s", h.err.text);
    assert_int_equal(run_exact(h.plan, "\x02y\x02z\x02", 5, &h.extract, &h.err), NP_OK);
    assert_int_equal(first(&h, 0).type, NP_FOUND_TEXT);
    assert_int_equal(first(&h, 1).type, NP_FOUND_BYTES);
    assert_memory_equal(first(&h, 2).text, "BAD", 3);
    hand_close(&h);
}

static void a_recursive_type_is_skipped_up_to_a_bounded_depth(void **state)
{
    static const char writer[] =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"tree\",\"type\":{\"type\":\"record\","
        "\"name\":\"T\","
        "\"fields\":[{\"name\":\"v\",\"type\":\"int\"},{\"name\":\"next\",\"type\":[\"null\",\"T\"]}]}},"
        "{\"name\":\"x\",\"type\":\"int\"}]}";
    static const struct np_want wants[] = {{"x", NP_WANT_NUMBER, true}};
    unsigned char message[1000];
    struct by_hand h;

    (void)state;
    assert_int_equal(hand_open(&h, writer, NULL, wants, 1), NP_OK);
    for (size_t levels = 1; levels < 400; levels++) {
        enum np_status status;
        size_t n = 0;

        for (size_t i = 0; i < levels; i++) {
            message[n++] = 2;
            message[n++] = i + 1 < levels ? 2 : 0;
        }
        message[n++] = 84;
        status = run_exact(h.plan, message, n, &h.extract, &h.err);
        assert_int_equal(status, levels < 60 ? NP_OK : levels > 80 ? NP_EDATA : status);
        if (status == NP_OK)
            assert_true(first(&h, 0).number == 42);
    }
    hand_close(&h);
}

static void claims_of_many_items_take_neither_memory_nor_time(void **state)
{
    static const char writer[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"nulls\","
                                 "\"type\":{\"type\":\"array\",\"items\":\"null\"}},"
                                 "{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":\"float\"}}]}";
    static const struct np_want skip[] = {{"x", NP_WANT_SAMPLES, true}};
    static const struct np_want all[] = {{"nulls[]", NP_WANT_SCALAR, false}, {"x", NP_WANT_SAMPLES, true}};
    static const unsigned char many[] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0};
    static const unsigned char floats[] = {0,    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0x7f, 1,    2,    3,    4,    0};
    struct by_hand h;

    (void)state;
    assert_int_equal(hand_open(&h, writer, NULL, skip, 1), NP_OK);
    assert_int_equal(run_exact(h.plan, many, sizeof many, &h.extract, &h.err),
                     NP_OK); /* null costs nothing */
    assert_int_equal(run_exact(h.plan, floats, sizeof floats, &h.extract, &h.err), NP_EDATA);
    assert_true(h.blocks.samples_capacity < 1000);
    hand_close(&h);
    assert_int_equal(hand_open(&h, writer, NULL, all, 2), NP_OK);
    assert_int_equal(run_exact(h.plan, many, sizeof many, &h.extract, &h.err), NP_EDATA);
    hand_close(&h);
}

static void bytes_left_over_are_an_error(void **state)
{
    static const struct np_want wants[] = {{"x", NP_WANT_NUMBER, true}};
    struct by_hand h;

    (void)state;
    assert_int_equal(
        hand_open(&h, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}",
                  NULL, wants, 1),
        NP_OK);
    assert_int_equal(run_exact(h.plan, "\x02", 1, &h.extract, &h.err), NP_OK);
    assert_int_equal(run_exact(h.plan, "\x02\x02", 2, &h.extract, &h.err), NP_EDATA);
    assert_int_equal(run_exact(h.plan, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &h.extract, &h.err),
                     NP_EDATA);
    assert_int_equal(run_exact(h.plan, "\xfe\xff\xff\xff\x1f", 5, &h.extract, &h.err), NP_EDATA); /* no int */
    hand_close(&h);
}

static void what_cannot_be_mapped_is_said_when_the_plan_is_made(void **state)
{
    static const char schema[] = "{\"type\":\"record\",\"name\":\"W\",\"fields\":[{\"name\":\"u_l1\","
                                 "\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
                                 "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"int\"}},{\"name\":"
                                 "\"name\",\"type\":[\"null\",\"string\"]}]}";
    static const struct {
        struct np_want want;
        enum np_status status;
        const char *text;
    } rows[] = {
        {{"u_l2", NP_WANT_SAMPLES, true},
         NP_ECONFIG,
         "field u_l2: record W has no field u_l2; the nearest is u_l1"},
        {{"u_l2", NP_WANT_SAMPLES, false}, NP_OK, ""},
        {{"u_l1", NP_WANT_NUMBER, false},
         NP_ECONFIG,
         "field u_l1: the schema has array there; wanted is a number"},
        {{"name", NP_WANT_NUMBER, true},
         NP_ECONFIG,
         "field name: the schema has string there; wanted is a number"},
        {{"name.x", NP_WANT_NUMBER, true},
         NP_ECONFIG,
         "field name.x: the schema has string there; wanted is a number"},
        {{"m", NP_WANT_NUMBER, true}, NP_ECONFIG, "field m: the schema has map there; wanted is a number"},
        {{"a..b", NP_WANT_NUMBER, true}, NP_ECONFIG, "path \"a..b\": a field name is missing"},
        {{"a[].b[]", NP_WANT_NUMBER, true}, NP_ECONFIG, "path \"a[].b[]\": only one [] is allowed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct by_hand h;
        enum np_status status = hand_open(&h, schema, NULL, &rows[i].want, 1);

        if (status != rows[i].status || strncmp(h.err.text, rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("row %zu: %s: %s", i, np_status_name(status), h.err.text);
        hand_close(&h);
    }
}

static void broken_schemas_are_refused_with_a_reason(void **state)
{
    static const char *const rows[] = {
        "",
        "{",
        "\"no\"",
        "[]",
        "[[\"int\"]]",
        "{\"type\":\"record\",\"fields\":[]}",
        "{\"type\":\"record\",\"name\":\"R\"}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\"}]}",
        "{\"type\":\"array\"}",
        "{\"type\":\"union\"}",
        "7",
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}",
        "[{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]},{\"type\":\"fixed\",\"name\":\"E\",\"size\":"
        "1}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct np_avro_schema *schema = NULL;
        struct np_error err = {0};

        if (np_avro_schema_parse(&schema, rows[i], strlen(rows[i]), &err) != NP_ECONFIG || !err.text[0] ||
            schema)
            fail_msg("%s: accepted or without a reason: %s", rows[i], err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_readers_aliases_and_defaults_fill_what_the_writer_calls_otherwise_or_lacks),
        cmocka_unit_test(bytes_read_as_string_and_an_unknown_enum_symbol_as_its_default),
        cmocka_unit_test(a_recursive_type_is_skipped_up_to_a_bounded_depth),
        cmocka_unit_test(claims_of_many_items_take_neither_memory_nor_time),
        cmocka_unit_test(bytes_left_over_are_an_error),
        cmocka_unit_test(what_cannot_be_mapped_is_said_when_the_plan_is_made),
        cmocka_unit_test(broken_schemas_are_refused_with_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
