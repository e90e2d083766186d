/* Records as JSON and as Avro, read back by jansson and by avro-c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <avro.h>
#include <cmocka.h>
#include <jansson.h>

#include "pipeline/record.h"
#include "pipeline/shortest.h"
#include "pipeline/utf8.h"

static struct np_column columns[] = {
    {(char *)"rms", NP_COL_DOUBLE, "V", "root of the mean \"square\""},
    {(char *)"peak", NP_COL_FLOAT, "V", "largest"},
    {(char *)"count", NP_COL_LONG, "", "samples"},
    {(char *)"since", NP_COL_TIME, "", "since when"},
    {(char *)"state", NP_COL_TEXT, "", "raised or cleared"},
    {(char *)"bands", NP_COL_FLOATS, "V^2", "power by band"},
};
#define N_COLUMNS (sizeof columns / sizeof *columns)

static const float bands[] = {1.5f, NAN, 0.1f};
static const struct np_operator op = {.name = "rms", .help = "Level of the signal."};
static struct np_step step = {.name = (char *)"levels-1", .op = &op, .columns = {N_COLUMNS, columns}};
static const struct np_pipeline pipeline = {.name = (char *)"feeder quality"};

static void fill(struct np_value values[N_COLUMNS])
{
    memset(values, 0, N_COLUMNS * sizeof *values);
    values[0].f64 = 0.1;
    values[1].f64 = (double)0.1f;
    values[2].i64 = -12345678901234;
    values[3].i64 = 1;
    values[4].text = "a \"quoted\"\n\x01 text \xc3\xa4 \xff.";
    values[5].floats = bands;
    values[5].n = 3;
}

static void fill_null(struct np_value values[N_COLUMNS])
{
    memset(values, 0, N_COLUMNS * sizeof *values);
    values[0].f64 = NAN;
    values[1].f64 = NAN;
    values[2].i64 = NP_NULL_LONG;
    values[3].i64 = NP_NULL_LONG;
}

static struct np_record a_record(const struct np_value *values)
{
    return (struct np_record){.step = &step,
                              .sensor = "meter-7",
                              .channel = "U1",
                              .start_ns = -1,
                              .end_ns = 1763000000123456789,
                              .coverage = 0.25f,
                              .flags = NP_FLAG_GAP | NP_FLAG_WARM_UP,
                              .values = values};
}

static void a_record_as_json_is_the_documented_object(void **state)
{
    struct np_value values[N_COLUMNS];
    struct np_record record = a_record(values);
    struct np_bytes out = {0};

    (void)state;
    fill(values);
    assert_int_equal(np_record_json(&record, &out), 0);
    assert_int_equal(np_bytes_append(&out, "", 1), 0);
    assert_string_equal(
        (char *)out.data,
        "{\"step\":\"levels-1\",\"sensor\":\"meter-7\",\"channel\":\"U1\","
        "\"start\":\"1969-12-31T23:59:59.999999999Z\",\"end\":\"2025-11-13T02:13:20.123456789Z\","
        "\"coverage\":0.25,\"flags\":[\"gap\",\"warm_up\"],\"rms\":0.1,\"peak\":0.1,"
        "\"count\":-12345678901234,\"since\":\"1970-01-01T00:00:00.000000001Z\","
        "\"state\":\"a \\\"quoted\\\"\\n\\u0001 text \xc3\xa4 \xef\xbf\xbd.\",\"bands\":[1.5,null,0.1]}");
    out.n = 0;
    fill_null(values);
    record.flags = 0;
    assert_int_equal(np_record_json(&record, &out), 0);
    assert_int_equal(np_bytes_append(&out, "", 1), 0);
    assert_non_null(strstr((char *)out.data,
                           "\"flags\":[],\"rms\":null,\"peak\":null,\"count\":null,\"since\":null,"
                           "\"state\":null,\"bands\":null}"));
    np_bytes_free(&out);
}

static void numbers_in_json_read_back_to_the_same_bits(void **state)
{
    struct np_value values[N_COLUMNS];
    struct np_record record = a_record(values);
    struct np_bytes out = {0};
    uint64_t seed = 88172645463325252u;

    (void)state;
    fill_null(values);
    for (int i = 0; i < 20000; i++) {
        union {
            uint64_t u;
            double d;
        } bits;
        union {
            uint32_t u;
            float f;
        } single;
        json_t *json;
        double back, back_single;

        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        bits.u = seed;
        single.u = (uint32_t)(seed >> 16);
        if (i % 4 == 0)
            bits.d = (double)(int64_t)(seed >> 40) / 1000;
        if (!isfinite(bits.d) || !isfinite(single.f))
            continue;
        values[0].f64 = bits.d;
        values[1].f64 = (double)single.f;
        out.n = 0;
        assert_int_equal(np_record_json(&record, &out), 0);
        json = json_loadb((char *)out.data, out.n, 0, NULL);
        assert_non_null(json);
        back = json_number_value(json_object_get(json, "rms"));
        back_single = json_number_value(json_object_get(json, "peak"));
        if (back != bits.d || (float)back_single != single.f)
            fail_msg("i=%d %.17g read back as %.17g, %.9g as %.9g", i, bits.d, back, (double)single.f,
                     back_single);
        json_decref(json);
    }
    np_bytes_free(&out);
}

/* Digits that are left without the zeros at the end. */
static int count_digits(struct np_decimal decimal)
{
    int n = 0;

    while (decimal.digits % 10 == 0)
        decimal.digits /= 10;
    for (; decimal.digits; decimal.digits /= 10)
        n++;
    return n;
}

static void no_shorter_decimal_reads_back_to_the_same_number(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        union {
            uint64_t u;
            double d;
        } bits;
        union {
            uint32_t u;
            float f;
        } single;
        struct np_decimal decimal;
        char text[64];
        int n;

        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        bits.u = seed >> 1; /* positive; every fifth one is subnormal, or a power of two */
        single.u = (uint32_t)(seed >> 33);
        if (i % 5 == 0)
            bits.u >>= 11 + i % 52, single.u >>= 8 + i % 23;
        if (i % 5 == 1)
            bits.u &= ~((UINT64_C(1) << 52) - 1), single.u &= 0x7f800000;
        if (isfinite(bits.d) && bits.d != 0) {
            decimal = np_shortest_double(bits.d);
            snprintf(text, sizeof text, "%llue%d", (unsigned long long)decimal.digits, decimal.exponent);
            if (strtod(text, NULL) != bits.d)
                fail_msg("i=%d: %s is not %.17g", i, text, bits.d);
            n = count_digits(decimal);
            snprintf(text, sizeof text, "%.*e", n > 1 ? n - 2 : 0, bits.d);
            if (n > 1 && strtod(text, NULL) == bits.d)
                fail_msg("i=%d: %d digits, but %s is as good", i, n, text);
        }
        if (isfinite(single.f) && single.f != 0) {
            decimal = np_shortest_float(single.f);
            snprintf(text, sizeof text, "%llue%d", (unsigned long long)decimal.digits, decimal.exponent);
            if (strtof(text, NULL) != single.f)
                fail_msg("i=%d: %s is not %.9g", i, text, (double)single.f);
            n = count_digits(decimal);
            snprintf(text, sizeof text, "%.*e", n > 1 ? n - 2 : 0, (double)single.f);
            if (n > 1 && strtof(text, NULL) == single.f)
                fail_msg("i=%d: %d digits, but %s is as good", i, n, text);
        }
    }
}

static void get(avro_value_t *record, const char *name, bool nullable, avro_value_t *out)
{
    avro_value_t field;

    assert_int_equal(avro_value_get_by_name(record, name, &field, NULL), 0);
    if (nullable)
        assert_int_equal(avro_value_get_current_branch(&field, out), 0);
    else
        *out = field;
}

static double get_number(avro_value_t *record, const char *name, bool nullable)
{
    avro_value_t v;
    double d = NAN;
    float f;
    int64_t l;

    get(record, name, nullable, &v);
    switch (avro_value_get_type(&v)) {
    case AVRO_DOUBLE:
        avro_value_get_double(&v, &d);
        break;
    case AVRO_FLOAT:
        avro_value_get_float(&v, &f);
        d = (double)f;
        break;
    case AVRO_INT64:
        avro_value_get_long(&v, &l);
        d = (double)l;
        break;
    default:
        break;
    }
    return d;
}

static void avro_c_reads_a_record_by_its_schema(void **state)
{
    struct np_value values[N_COLUMNS];
    struct np_record record = a_record(values);
    struct np_bytes schema_text = {0}, out = {0};
    avro_schema_t schema;
    avro_value_iface_t *iface;
    avro_value_t value, v, item;
    avro_reader_t reader;
    const char *text;
    size_t n;
    float f;

    (void)state;
    assert_int_equal(np_record_avro_schema(&pipeline, &step, &schema_text), 0);
    if (avro_schema_from_json_length((char *)schema_text.data, schema_text.n, &schema))
        fail_msg("%s: %.*s", avro_strerror(), (int)schema_text.n, schema_text.data);
    assert_string_equal(avro_schema_name(schema), "feeder_quality_levels_1");
    assert_string_equal(avro_schema_namespace(schema), "netzpuls");
    assert_non_null(memmem(schema_text.data, schema_text.n, "root of the mean \\\"square\\\" [V]", 31));
    fill(values);
    assert_int_equal(np_record_avro(&record, &out), 0);
    n = out.n;
    fill_null(values);
    record.flags = 0;
    assert_int_equal(np_record_avro(&record, &out), 0); /* the second right behind the first */

    iface = avro_generic_class_from_schema(schema);
    avro_generic_value_new(iface, &value);
    reader = avro_reader_memory((char *)out.data, (int64_t)out.n);
    assert_int_equal(avro_value_read(reader, &value), 0);
    get(&value, "sensor", false, &v);
    avro_value_get_string(&v, &text, &n);
    assert_string_equal(text, "meter-7");
    assert_true(get_number(&value, "start_time", false) == -1);
    assert_true(get_number(&value, "coverage", false) == 0.25);
    get(&value, "flags", false, &v);
    avro_value_get_size(&v, &n);
    assert_int_equal(n, 2);
    avro_value_get_by_index(&v, 1, &item, NULL);
    avro_value_get_string(&item, &text, &n);
    assert_string_equal(text, "warm_up");
    assert_true(get_number(&value, "rms", true) == 0.1);
    assert_true(get_number(&value, "peak", true) == (double)0.1f);
    assert_true(get_number(&value, "count", true) == -12345678901234);
    get(&value, "bands", true, &v);
    avro_value_get_size(&v, &n);
    assert_int_equal(n, 3);
    avro_value_get_by_index(&v, 2, &item, NULL);
    avro_value_get_float(&item, &f);
    assert_true(f == 0.1f);

    avro_value_reset(&value);
    assert_int_equal(avro_value_read(reader, &value), 0);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        get(&value, columns[i].name, true, &v);
        assert_int_equal(avro_value_get_type(&v), AVRO_NULL);
    }
    assert_int_not_equal(avro_value_read(reader, &value), 0); /* nothing is left */
    avro_reader_free(reader);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    np_bytes_free(&schema_text);
    np_bytes_free(&out);
}

static void times_in_rfc_3339_are_read_with_zone_and_fraction(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t ns;
    } rows[] = {
        {"1970-01-01T00:00:00Z", true, 0},
        {"1970-01-01 00:00", true, 0},
        {"1970-01-01T01:00:00.5+01:00", true, 500000000},
        {"1969-12-31T23:59:59.999999999Z", true, -1},
        {"2024-02-29T12:00:00.123456789123-0230", true, 1709217000123456789},
        {"2016-12-31T23:59:60Z", true, 1483228800000000000},
        {"2262-04-11T23:47:16.854775807Z", true, INT64_MAX},
        {"1677-09-21T00:12:43.145224192Z", true, INT64_MIN},
        {"2262-04-11T23:47:16.854775808Z", false, 0},
        {"1677-09-21T00:12:43.145224191Z", false, 0},
        {"2023-02-29T12:00:00Z", false, 0},
        {"2023-13-01T12:00:00Z", false, 0},
        {"2023-01-01T24:00:00Z", false, 0},
        {"2023-01-01T12:00:00.Z", false, 0},
        {"2023-01-01T12:00:00Zx", false, 0},
        {"2023-01-01", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ns = 0;
        bool good = np_time_parse(rows[i].text, &ns);

        if (good != rows[i].good || ns != rows[i].ns)
            fail_msg("%s: %d %lld, expected %d %lld", rows[i].text, good, (long long)ns, rows[i].good,
                     (long long)rows[i].ns);
    }
}

static void a_time_reads_back_from_its_text(void **state)
{
    uint64_t seed = 42;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        char text[40];
        int64_t ns, back = 0;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        ns = (int64_t)seed;
        if (!np_time_parse(np_time_format(ns, text), &back) || back != ns)
            fail_msg("%lld is written as %s and read as %lld", (long long)ns, text, (long long)back);
    }
}

static void utf8_is_told_from_what_only_looks_like_it(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"plain", true},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
        {"\xc0\x80", false},
        {"\xe0\x80\x80", false},
        {"\xed\xa0\x80", false},
        {"\xf4\x90\x80\x80", false},
        {"\xc3", false},
        {"\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"a\xe2\x82", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (np_utf8_valid(rows[i].text, strlen(rows[i].text)) != rows[i].good)
            fail_msg("row %zu: expected %d", i, rows[i].good);
    assert_false(np_utf8_valid("a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_as_json_is_the_documented_object),
        cmocka_unit_test(numbers_in_json_read_back_to_the_same_bits),
        cmocka_unit_test(no_shorter_decimal_reads_back_to_the_same_number),
        cmocka_unit_test(avro_c_reads_a_record_by_its_schema),
        cmocka_unit_test(times_in_rfc_3339_are_read_with_zone_and_fraction),
        cmocka_unit_test(a_time_reads_back_from_its_text),
        cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
