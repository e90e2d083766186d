#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/json_extract.h"

static const struct np_want wants[] = {
    {"name", NP_WANT_TEXT, true},   {"head.no", NP_WANT_INTEGER, true}, {"rate", NP_WANT_NUMBER, true},
    {"any", NP_WANT_SCALAR, false}, {"x", NP_WANT_SAMPLES, true},       {"t", NP_WANT_TIMES, true},
    {"raw", NP_WANT_BYTES, false},  {"r[].v", NP_WANT_SAMPLES, false},  {"r[].in.w", NP_WANT_TEXT, false},
};
#define N_WANTS (sizeof wants / sizeof *wants)

struct fixture {
    struct np_json_plan *plan;
    struct np_extract extract;
    struct np_blocks blocks;
    struct np_error err;
};

static void open_all(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_int_equal(np_extract_open(&f->extract, N_WANTS, &f->err), NP_OK);
    assert_int_equal(np_json_plan_open(&f->plan, wants, N_WANTS, &f->err), NP_OK);
    f->extract.blocks = &f->blocks;
}

static void close_all(struct fixture *f)
{
    np_json_release(&f->extract);
    np_json_plan_close(f->plan);
    np_extract_close(&f->extract);
    np_blocks_free(&f->blocks);
}

/* From a copy of exactly that length. */
static enum np_status run(struct fixture *f, const char *text, size_t n)
{
    char *copy = malloc(n ? n : 1);
    enum np_status status;

    memcpy(copy, text, n);
    np_blocks_clear(&f->blocks);
    status = np_json_plan_run(f->plan, copy, n, &f->extract, &f->err);
    free(copy);
    return status;
}

static const struct np_found *found(const struct fixture *f, size_t want, size_t i)
{
    assert_true(i < f->extract.lists[want].n);
    return &f->extract.lists[want].items[i];
}

static const char whole[] =
    "{\"name\":\"caf\\u00e9\",\"head\":{\"no\":-7,\"more\":[1,{}]},\"rate\":50,\"any\":true,"
    "\"x\":[1,2.5,null],\"t\":[3,-4],\"raw\":\"AAEC/"
    "w==\",\"r\":[{\"v\":1},{\"in\":{\"w\":\"b\"},\"v\":[2,3]},"
    "{\"v\":null,\"in\":null}]}";

static void every_kind_of_want_is_found(void **state)
{
    struct fixture f;

    (void)state;
    open_all(&f);
    for (int i = 0; i < 2; i++) {
        if (run(&f, whole, strlen(whole)) != NP_OK)
            fail_msg("%s", f.err.text);
        assert_int_equal(found(&f, 0, 0)->n, 5);
        assert_memory_equal(found(&f, 0, 0)->text, "caf\xc3\xa9", 5);
        assert_int_equal(found(&f, 1, 0)->integer, -7);
        assert_true(found(&f, 2, 0)->type == NP_FOUND_NUMBER && found(&f, 2, 0)->number == 50);
        assert_true(found(&f, 3, 0)->type == NP_FOUND_BOOLEAN && found(&f, 3, 0)->integer == 1);
        assert_int_equal(found(&f, 4, 0)->n, 3);
        assert_true(f.blocks.samples[found(&f, 4, 0)->first + 1] == 2.5f);
        assert_true(isnan(f.blocks.samples[found(&f, 4, 0)->first + 2]));
        assert_int_equal(f.blocks.times[found(&f, 5, 0)->first + 1], -4);
        assert_int_equal(found(&f, 6, 0)->n, 4);
        assert_memory_equal(found(&f, 6, 0)->text, "\0\1\2\xff", 4);
        assert_int_equal(f.extract.lists[7].n, 3);
        assert_true(found(&f, 7, 0)->number == 1);
        assert_int_equal(found(&f, 7, 1)->n, 2);
        assert_int_equal(found(&f, 7, 2)->type, NP_FOUND_NOTHING);
        assert_int_equal(found(&f, 8, 0)->type, NP_FOUND_NOTHING);
        assert_memory_equal(found(&f, 8, 1)->text, "b", 1);
    }
    close_all(&f);
}

static void absent_and_null_are_nothing(void **state)
{
    static const char text[] = "{\"name\":null,\"r\":[],\"head\":null}";
    struct fixture f;

    (void)state;
    open_all(&f);
    assert_int_equal(run(&f, text, strlen(text)), NP_OK);
    assert_int_equal(found(&f, 0, 0)->type, NP_FOUND_NOTHING);
    assert_int_equal(found(&f, 1, 0)->type, NP_FOUND_NOTHING);
    assert_int_equal(found(&f, 4, 0)->type, NP_FOUND_NOTHING);
    assert_int_equal(f.extract.lists[7].n, 0);
    assert_int_equal(f.extract.lists[8].n, 0);
    close_all(&f);
}

static void what_does_not_fit_is_named(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"{\"name\":[]}", "JSON: field name: wanted is text"},
        {"{\"head\":3}", "JSON: field head.no: wanted is an object on the way there"},
        {"{\"head\":{\"no\":1.5}}", "JSON: field head.no: wanted is a whole number"},
        {"{\"rate\":\"50\"}", "JSON: field rate: wanted is a number"},
        {"{\"any\":{}}", "JSON: field any: wanted is a single value"},
        {"{\"x\":[[]]}", "JSON: field x: wanted is an array of numbers"},
        {"{\"t\":[1.5]}", "JSON: field t: wanted is an array of whole numbers"},
        {"{\"raw\":\"A\"}", "JSON: field raw: wanted is base64"},
        {"{\"raw\":\"A-==\"}", "JSON: field raw: wanted is base64"},
        {"{\"r\":{}}", "JSON: field r[].v: wanted is an array on the way there"},
        {"{\"a\":1,\"a\":2}", "JSON: line 1, column"},
        {"{\"name\":\"\xff\"}", "JSON: line 1, column"},
        {"3", "JSON: line 1, column"},
        {"[]", "JSON: a message must be an object"},
    };
    struct fixture f;

    (void)state;
    open_all(&f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum np_status status = run(&f, rows[i].text, strlen(rows[i].text));

        if (status != NP_EDATA || strncmp(f.err.text, rows[i].error, strlen(rows[i].error)) != 0)
            fail_msg("%s: %s: %s", rows[i].text, np_status_name(status), f.err.text);
    }
    close_all(&f);
}

static void cut_and_damaged_messages_are_refused_or_read_but_never_more(void **state)
{
    char text[sizeof whole];
    uint32_t seed = 7;
    struct fixture f;

    (void)state;
    open_all(&f);
    for (size_t n = 0; n < strlen(whole); n++)
        assert_int_equal(run(&f, whole, n), NP_EDATA);
    for (int i = 0; i < 5000; i++) {
        enum np_status status;

        memcpy(text, whole, sizeof whole);
        seed = seed * 1664525 + 1013904223;
        text[(seed >> 8) % strlen(whole)] ^= (char)(1 << (seed >> 29));
        status = run(&f, text, strlen(whole));
        if (status != NP_OK && status != NP_EDATA)
            fail_msg("i=%d: %s", i, np_status_name(status));
    }
    close_all(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_want_is_found),
        cmocka_unit_test(absent_and_null_are_nothing),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(cut_and_damaged_messages_are_refused_or_read_but_never_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
