#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/file.h"
#include "pipeline/operator_doc.h"
#include "pipeline/pipeline.h"
#include "tests/pipeline_mistakes.h"

static char *printed(const struct np_mistakes *mistakes)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    np_mistakes_print(mistakes, out);
    fclose(out);
    return text;
}

/* Reads a text that must be right. */
static struct np_pipeline *load(const char *text, const char *path)
{
    struct np_mistakes mistakes = {.file = "t"};
    struct np_pipeline *pipeline = np_pipeline_load_text(text, strlen(text), path, &mistakes);

    if (!pipeline)
        np_mistakes_print(&mistakes, stderr);
    np_mistakes_free(&mistakes);
    assert_non_null(pipeline);
    return pipeline;
}

/* @return given: text with the first find replaced */
static char *edited(const char *text, const char *find, const char *put)
{
    const char *at = strstr(text, find);
    char *result;

    if (!at)
        fail_msg("the text does not hold \"%s\"", find);
    if (asprintf(&result, "%.*s%s%s", (int)(at - text), text, put, at + strlen(find)) == -1)
        fail_msg("out of memory");
    return result;
}

static void set_environment(void)
{
    setenv("NP_TEST_DSN", "host=x password=hunter2", 1);
    unsetenv("NP_TEST_UNSET");
}

static void every_mistake_is_told_where_it_stands_and_with_what_is_allowed(void **state)
{
    size_t n_wrong = 0;

    (void)state;
    set_environment();
    for (size_t i = 0; i < sizeof spoiled / sizeof *spoiled; i++) {
        struct np_mistakes mistakes = {.file = "t"};
        char *text = strdup(base), *told;

        for (size_t j = 0; j < 5 && spoiled[i].edits[j].find; j++) {
            char *next = edited(text, spoiled[i].edits[j].find, spoiled[i].edits[j].put);

            free(text);
            text = next;
        }
        assert_null(np_pipeline_load_text(text, strlen(text), "t", &mistakes));
        told = printed(&mistakes);
        if (strcmp(told, spoiled[i].mistakes) != 0) {
            print_error("row %zu, %s\ngot:\n%sexpected:\n%s", i, spoiled[i].edits[0].put, told,
                        spoiled[i].mistakes);
            n_wrong++;
        }
        if (strstr(told, "hunter2"))
            fail_msg("row %zu shows a secret: %s", i, told);
        free(told);
        free(text);
        np_mistakes_free(&mistakes);
    }
    assert_int_equal(n_wrong, 0);
}

static void a_good_file_fills_the_pipeline(void **state)
{
    struct np_pipeline *p;

    (void)state;
    set_environment();
    p = load(base, "t");
    assert_string_equal(p->name, "p");
    assert_string_equal(p->text, base);
    assert_string_equal(p->brokers, "b");
    assert_string_equal(p->registry_url, "http://r");
    assert_int_equal(p->n_inputs, 1);
    assert_string_equal(p->inputs[0].topic, "in");
    assert_int_equal(p->inputs[0].format, NP_FORMAT_AVRO);
    assert_string_equal(p->inputs[0].map.sensor, "s");
    assert_string_equal(p->inputs[0].map.time, "t");
    assert_int_equal(p->inputs[0].map.time_unit_ns, 1);
    assert_float_equal(p->inputs[0].map.rate_hz, 5000, 0);
    assert_null(p->inputs[0].map.rate);
    assert_float_equal(p->inputs[0].map.scale, 1, 0);
    assert_int_equal(p->inputs[0].map.n_channels, 1);
    assert_string_equal(p->inputs[0].map.channels[0].name, "U1");
    assert_string_equal(p->inputs[0].map.channels[0].path, "u1");
    assert_int_equal(p->inputs[0].lateness_ns, 2000000000);
    assert_int_equal(p->inputs[0].idle_ns, 30000000000);
    assert_int_equal(p->n_steps, 3);
    assert_string_equal(p->steps[0].name, "l");
    assert_int_equal(p->steps[0].window_ns, 200000000);
    assert_int_equal(p->steps[0].hop_ns, 200000000);
    assert_string_equal(p->steps[0].unit, "V");
    assert_string_equal(p->steps[0].topic, "out.l");
    assert_true(p->steps[0].table);
    assert_string_equal(p->steps[2].name, "o");
    assert_int_equal(p->steps[2].parent, 0);
    assert_int_equal(p->steps[2].input, 0);
    assert_string_equal(p->steps[0].columns.items[p->steps[2].parent_column].name, "rms");
    assert_int_equal(p->steps[2].window_ns, 0);
    assert_int_equal(p->steps[2].topic_format, NP_FORMAT_JSON);
    assert_false(p->steps[2].table);
    assert_int_equal(p->n_stores, 1);
    assert_int_equal(p->stores[0].input, 0);
    assert_true(p->postgres.on);
    assert_string_equal(p->postgres.dsn, "host=x password=hunter2");
    assert_string_equal(p->postgres.schema, "netzpuls");
    assert_int_equal(p->postgres.partition_ns, INT64_C(86400000000000));
    assert_string_equal(p->dead_letters, "dead");
    assert_string_equal(p->run.http, "127.0.0.1:9464");
    assert_int_equal(p->run.commit_ns, 200000000);
    np_pipeline_free(p);
}

static void steps_stand_in_any_order_and_parents_come_first(void **state)
{
    static const char last[] = "  o: { operator: limit, input: l.rms, above: 253 }\n";
    static const char *const order[] = {"z", "l", "a", "o", "s"};
    char *without, *text;
    struct np_pipeline *p;

    (void)state;
    set_environment();
    without = edited(base, last, "");
    text = edited(without, "steps:\n",
                  "steps:\n  o: { operator: limit, input: a.max, above: 253 }\n"
                  "  a: { operator: rms, input: l.rms, window: 2s, hop: 1s }\n"
                  "  z: { operator: silent, input: w }\n");
    free(without);
    without = edited(text, "topics: {", "topics: { z: out.z,");
    p = load(without, "t");
    assert_int_equal(p->n_steps, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(p->steps[i].name, order[i]);
        assert_true(p->steps[i].parent < (int)i);
        assert_int_equal(p->steps[i].input, 0);
    }
    assert_int_equal(p->steps[2].parent, 1);
    assert_int_equal(p->steps[2].hop_ns, 1000000000);
    assert_int_equal(p->steps[3].parent, 2);
    free(text);
    free(without);
    np_pipeline_free(p);
}

static void units_follow_from_the_input_through_the_chain(void **state)
{
    static const struct {
        const char *unit, *level, *power;
    } rows[] = {{"V", "V", "V^2"}, {"m/s^2", "m/s^2", "(m/s^2)^2"}, {"\"\"", "", "1^2"}};

    (void)state;
    set_environment();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char unit[40], *bands = edited(base, "input: w, window: 200ms }\n  o",
                                       "input: w, window: 200ms, bands: { x: 45..55 } }\n  o");
        char *text;
        struct np_pipeline *p;
        int band;

        snprintf(unit, sizeof unit, "unit: %s", rows[i].unit);
        text = edited(bands, "unit: V", unit);
        p = load(text, "t");
        assert_string_equal(p->steps[0].columns.items[np_columns_find(&p->steps[0].columns, "rms")].unit,
                            rows[i].level);
        assert_string_equal(p->steps[2].unit, rows[i].level);
        band = np_columns_find(&p->steps[1].columns, "band_x");
        assert_true(band >= 0);
        assert_string_equal(p->steps[1].columns.items[band].unit, rows[i].power);
        free(bands);
        free(text);
        np_pipeline_free(p);
    }
}

static void secrets_come_from_files_beside_the_pipeline_and_from_the_environment(void **state)
{
    char folder[] = "/tmp/np_test_XXXXXX", path[100], secret[100];
    char *one, *two, *three;
    struct np_pipeline *p;
    FILE *out;

    (void)state;
    set_environment();
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/p.yaml", folder);
    snprintf(secret, sizeof secret, "%s/secret", folder);
    out = fopen(secret, "w");
    assert_non_null(out);
    fputs("first line\nnot this one\n", out);
    fclose(out);
    one = edited(
        base, "{ brokers: b }",
        "{ brokers: b, properties: { sasl.password: \"${NP_TEST_DSN}\", ssl.key.password: { file: secret }, "
        "fetch.max.bytes: 1000 } }");
    two = edited(one, "\"http://r\" }", "\"http://r\", user: me, password_file: secret }");
    three = edited(two, "dsn_env: NP_TEST_DSN", "dsn_file: ./secret");
    p = load(three, path);
    assert_int_equal(p->n_properties, 3);
    assert_string_equal(p->properties[0].name, "sasl.password");
    assert_string_equal(p->properties[0].value, "host=x password=hunter2");
    assert_string_equal(p->properties[1].value, "first line");
    assert_string_equal(p->properties[2].value, "1000");
    assert_string_equal(p->registry_user, "me");
    assert_string_equal(p->registry_password, "first line");
    assert_string_equal(p->postgres.dsn, "first line");
    assert_null(strstr(p->text, "hunter2"));
    assert_true(np_property_is_secret("sasl.password"));
    assert_true(np_property_is_secret("ssl.key.pem"));
    assert_true(np_property_is_secret("sasl.oauthbearer.client.secret"));
    assert_false(np_property_is_secret("ssl.key.location"));
    np_pipeline_free(p);
    free(one);
    free(two);
    free(three);
    unlink(secret);
    rmdir(folder);
}

static void a_message_of_one_channel_and_irregular_readings_are_mapped(void **state)
{
    static const char text[] = "pipeline: p\n"
                               "kafka: { brokers: b }\n"
                               "inputs:\n"
                               "  r:\n"
                               "    topic: in\n"
                               "    format: json\n"
                               "    time: readings[].at\n"
                               "    scale: 1e-3\n"
                               "    offset: readings[].offset\n"
                               "    channel: { name: \"readings[].what\", samples: \"readings[].value\" }\n"
                               "steps: { o: { operator: limit, input: r, below: 1 } }\n"
                               "outputs: { topics: { o: { topic: out, format: json } } }\n";
    struct np_pipeline *p = load(text, "t");
    const struct np_mapping *map = &p->inputs[0].map;

    (void)state;
    assert_null(map->sensor);
    assert_string_equal(map->time, "readings[].at");
    assert_int_equal(map->time_unit_ns, 0);
    assert_float_equal(map->rate_hz, 0, 0);
    assert_float_equal(map->scale, 1e-3, 0);
    assert_string_equal(map->offset_path, "readings[].offset");
    assert_string_equal(map->channel_name, "readings[].what");
    assert_int_equal(map->n_channels, 1);
    assert_null(map->channels[0].name);
    assert_string_equal(map->channels[0].path, "readings[].value");
    assert_null(p->dead_letters);
    assert_null(p->registry_url);
    assert_false(p->postgres.on);
    np_pipeline_free(p);
}

static void the_example_pipeline_is_right(void **state)
{
    char dsn[] = "/tmp/np_test_dsn_XXXXXX";
    int fd = mkstemp(dsn);
    struct np_mistakes mistakes = {.file = "deploy/pipelines/feeder.yaml"};
    struct np_pipeline *pipeline;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "host=/tmp\n", 10), 10);
    close(fd);
    setenv("NP_KAFKA", "localhost:9092", 1);
    setenv("NP_REGISTRY", "http://localhost:8081", 1);
    setenv("NP_DSN_FILE", dsn, 1);
    setenv("NP_METRICS", "127.0.0.1:9464", 1);
    pipeline = np_pipeline_load(mistakes.file, &mistakes);
    np_mistakes_print(&mistakes, stderr);
    np_mistakes_free(&mistakes);
    unlink(dsn);
    assert_non_null(pipeline);
    assert_int_equal(pipeline->n_steps, 4);
    np_pipeline_free(pipeline);
}

static void compare_with_file(const char *path, const char *made, const char *command)
{
    struct np_error err;
    char *kept = np_file_read(path, 1 << 20, NULL, &err);

    if (!kept || strcmp(kept, made) != 0)
        print_error("%s is not what the program says; make it again: %s > %s\n", path, command, path);
    assert_non_null(kept);
    assert_string_equal(made, kept);
    free(kept);
}

static void the_reference_in_docs_is_what_the_program_prints(void **state)
{
    char *text = NULL;
    size_t size;
    struct np_error err;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    np_pipeline_reference(out);
    fclose(out);
    compare_with_file("docs/pipeline.md", text, "netzpuls check --markdown");
    free(text);
    out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(np_operators_markdown(out, &err), NP_OK);
    fclose(out);
    compare_with_file("docs/operators.md", text, "netzpuls operators --markdown");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_told_where_it_stands_and_with_what_is_allowed),
        cmocka_unit_test(a_good_file_fills_the_pipeline),
        cmocka_unit_test(steps_stand_in_any_order_and_parents_come_first),
        cmocka_unit_test(units_follow_from_the_input_through_the_chain),
        cmocka_unit_test(secrets_come_from_files_beside_the_pipeline_and_from_the_environment),
        cmocka_unit_test(a_message_of_one_channel_and_irregular_readings_are_mapped),
        cmocka_unit_test(the_example_pipeline_is_right),
        cmocka_unit_test(the_reference_in_docs_is_what_the_program_prints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
