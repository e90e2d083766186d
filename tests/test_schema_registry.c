#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ingest/schema_registry.h"
#include "tests/registry_server.h"

struct fixture {
    struct registry_server server;
    struct np_schema_registry *registry;
    struct np_error err;
};

static void open_all(struct fixture *f, const char *user, const char *password)
{
    char url[100];

    assert_true(server_start(&f->server));
    snprintf(url, sizeof url, "http://127.0.0.1:%d/apis/ccompat/v7/", f->server.port);
    f->registry = NULL;
    f->err = (struct np_error){0};
    assert_int_equal(np_schema_registry_open(&f->registry, url, user, password, &f->err), NP_OK);
}

static void close_all(struct fixture *f)
{
    np_schema_registry_close(f->registry);
    server_stop(&f->server);
}

static void an_id_is_asked_for_once_below_the_path_of_the_url(void **state)
{
    struct fixture f;
    const struct np_avro_schema *schema = NULL, *again = NULL;

    (void)state;
    open_all(&f, "me", "s3cret");
    f.server.body = "{\"schema\": \"\\\"long\\\"\"}";
    assert_int_equal(np_schema_registry_get(f.registry, 7, &schema, &f.err), NP_OK);
    assert_int_equal(schema->root->kind, NP_AVRO_LONG);
    assert_non_null(strstr(f.server.request, "GET /apis/ccompat/v7/schemas/ids/7 "));
    assert_non_null(strstr(f.server.request, "Authorization: Basic bWU6czNjcmV0"));
    assert_int_equal(np_schema_registry_get(f.registry, 7, &again, &f.err), NP_OK);
    assert_ptr_equal(schema, again);
    assert_int_equal(f.server.asked, 1);
    f.server.body = "{\"schema\": \"\\\"int\\\"\"}";
    assert_int_equal(np_schema_registry_get(f.registry, 3, &again, &f.err), NP_OK);
    assert_int_equal(np_schema_registry_get(f.registry, 7, &again, &f.err), NP_OK);
    assert_ptr_equal(schema, again);
    close_all(&f);
}

static void an_unknown_id_is_bad_data_and_remembered_for_a_while(void **state)
{
    struct fixture f;
    const struct np_avro_schema *schema;

    (void)state;
    open_all(&f, NULL, NULL);
    f.server.code = 404;
    f.server.body = "{\"error_code\":40403,\"message\":\"Schema not found\"}";
    for (int i = 0; i < 3; i++)
        assert_int_equal(np_schema_registry_get(f.registry, 9, &schema, &f.err), NP_EDATA);
    assert_non_null(strstr(f.err.text, "has no schema 9"));
    assert_int_equal(f.server.asked, 1);
    close_all(&f);
}

static void a_registry_that_fails_is_asked_again_later_and_loses_nothing(void **state)
{
    struct fixture f;
    const struct np_avro_schema *schema = NULL;
    enum np_status status;

    (void)state;
    open_all(&f, NULL, NULL);
    f.server.code = 503;
    f.server.body = "{\"message\":\"try\\nlater\"}";
    for (int i = 0; i < 3; i++)
        assert_int_equal(np_schema_registry_get(f.registry, 1, &schema, &f.err), NP_ERETRY);
    assert_non_null(strstr(f.err.text, "HTTP 503: try later"));
    assert_int_equal(f.server.asked, 1);
    f.server.code = 200;
    f.server.body = "{\"schema\": \"\\\"int\\\"\"}";
    usleep(1100000);
    status = np_schema_registry_get(f.registry, 1, &schema, &f.err);
    if (status != NP_OK)
        fail_msg("%s", f.err.text);
    close_all(&f);
}

static void a_registry_that_cannot_be_reached_is_named_without_its_password(void **state)
{
    struct fixture f;
    const struct np_avro_schema *schema;

    (void)state;
    open_all(&f, "me", "s3cret");
    server_stop(&f.server);
    assert_int_equal(np_schema_registry_get(f.registry, 1, &schema, &f.err), NP_ERETRY);
    assert_non_null(strstr(f.err.text, "registry http://127.0.0.1:"));
    assert_null(strstr(f.err.text, "s3cret"));
    np_schema_registry_close(f.registry);
}

static void schemas_that_cannot_be_used_say_why(void **state)
{
    static const struct {
        const char *body;
        enum np_status status;
        const char *text;
    } rows[] = {
        {"{\"schema\":\"\\\"int\\\"\",\"references\":[{\"name\":\"x\"}]}", NP_EDATA, "uses references"},
        {"{\"schema\":\"\",\"schemaType\":\"PROTOBUF\"}", NP_EDATA, "is of type PROTOBUF; allowed is AVRO"},
        {"{\"schema\":\"{\"}", NP_EDATA, "schema 4: Avro schema: line 1"},
        {"<html>", NP_ERETRY, "is the URL that of a registry"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        const struct np_avro_schema *schema;
        enum np_status status;

        open_all(&f, NULL, NULL);
        f.server.body = rows[i].body;
        for (int k = 0; k < 2; k++) {
            status = np_schema_registry_get(f.registry, 4, &schema, &f.err);
            if (status != rows[i].status || !strstr(f.err.text, rows[i].text))
                fail_msg("row %zu: %s: %s", i, np_status_name(status), f.err.text);
        }
        close_all(&f);
    }
}

static void a_schema_is_registered_under_its_subject(void **state)
{
    static const char schema[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}";
    struct fixture f;
    int32_t id = 0;

    (void)state;
    open_all(&f, NULL, NULL);
    f.server.body = "{\"id\":42}";
    assert_int_equal(
        np_schema_registry_register(f.registry, "grid.levels-value", schema, strlen(schema), &id, &f.err),
        NP_OK);
    assert_int_equal(id, 42);
    assert_non_null(strstr(f.server.request, "POST /apis/ccompat/v7/subjects/grid.levels-value/versions "));
    assert_non_null(strstr(f.server.request, "{\"schema\":\"{\\\"type\\\":\\\"record\\\""));
    close_all(&f);
}

static void a_refused_schema_is_one_clear_line(void **state)
{
    static const struct {
        int code;
        enum np_status status;
        const char *text;
    } rows[] = {
        {409, NP_ECONFIG, "subject grid.levels-value: registry http://127.0.0.1:"},
        {409, NP_ECONFIG, "HTTP 409: field rms was removed"},
        {422, NP_ECONFIG, "the schema was refused: HTTP 422: field rms was removed"},
        {401, NP_ECONFIG, "user and password"},
        {500, NP_ERETRY, "HTTP 500"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        enum np_status status;
        int32_t id;

        open_all(&f, NULL, NULL);
        f.server.code = rows[i].code;
        f.server.body = "{\"error_code\":1,\"message\":\"field rms\\nwas removed\"}";
        status = np_schema_registry_register(f.registry, "grid.levels-value", "\"int\"", 5, &id, &f.err);
        if (status != rows[i].status || !strstr(f.err.text, rows[i].text) || strchr(f.err.text, '\n'))
            fail_msg("row %zu: %s: %s", i, np_status_name(status), f.err.text);
        close_all(&f);
    }
}

static void a_url_that_is_none_is_a_mistake(void **state)
{
    struct np_schema_registry *registry = NULL;
    struct np_error err;

    (void)state;
    assert_int_equal(np_schema_registry_open(&registry, "localhost:8081", NULL, NULL, &err), NP_ECONFIG);
    assert_null(registry);
}

static void the_latest_schema_of_a_subject_is_kept_by_its_id_and_a_new_subject_is_told_apart(void **state)
{
    struct fixture f;
    const struct np_avro_schema *schema = NULL;
    int32_t id = 0;

    (void)state;
    open_all(&f, NULL, NULL);
    f.server.code = 404;
    f.server.body = "{\"error_code\": 40401}";
    assert_int_equal(np_schema_registry_latest(f.registry, "a b-value", &id, &schema, &f.err), NP_EEND);
    assert_non_null(strstr(f.server.request, "GET /apis/ccompat/v7/subjects/a%20b-value/versions/latest "));
    f.server.code = 401;
    assert_int_equal(np_schema_registry_latest(f.registry, "s", &id, &schema, &f.err), NP_ECONFIG);
    f.server.code = 503;
    assert_int_equal(np_schema_registry_latest(f.registry, "s", &id, &schema, &f.err), NP_ERETRY);
    f.server.code = 200;
    f.server.body = "[]";
    assert_int_equal(np_schema_registry_latest(f.registry, "s", &id, &schema, &f.err), NP_ECONFIG);
    f.server.body = "{\"id\": 9, \"version\": 2, \"schema\": \"\\\"long\\\"\"}";
    assert_int_equal(np_schema_registry_latest(f.registry, "s", &id, &schema, &f.err), NP_OK);
    assert_int_equal(id, 9);
    assert_int_equal(schema->root->kind, NP_AVRO_LONG);
    close_all(&f);
}

static void whether_a_schema_fits_is_asked_without_registering_it(void **state)
{
    static const struct {
        int code;
        const char *body;
        enum np_status status;
        const char *text;
    } rows[] = {
        {200, "{\"is_compatible\": true}", NP_OK, NULL},
        {404, "{\"error_code\": 40401}", NP_OK, NULL},
        {200, "{\"is_compatible\": false, \"messages\": [\"field u is gone\"]}", NP_ECONFIG,
         "subject s: registry http://127.0.0.1:"},
        {200, "{\"is_compatible\": false, \"messages\": [\"field u is gone\"]}", NP_ECONFIG,
         "compatibility): field u is gone"},
        {200, "{\"is_compatible\": false}", NP_ECONFIG, "does not fit the earlier ones of its subject"},
        {422, "{\"message\": \"no schema\"}", NP_ECONFIG, "HTTP 422: no schema"},
        {401, "{}", NP_ECONFIG, "user and password of the registry section"},
        {500, "{}", NP_ERETRY, "HTTP 500"},
    };
    struct fixture f;

    (void)state;
    open_all(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        f.server.code = rows[i].code;
        f.server.body = rows[i].body;
        f.err = (struct np_error){0};
        assert_int_equal(np_schema_registry_fits(f.registry, "s", "\"int\"", 5, &f.err), rows[i].status);
        assert_non_null(
            strstr(f.server.request, "POST /apis/ccompat/v7/compatibility/subjects/s/versions/latest"));
        if (rows[i].text && !strstr(f.err.text, rows[i].text))
            fail_msg("row %zu: \"%s\" is not in \"%s\"", i, rows[i].text, f.err.text);
    }
    close_all(&f);
}

static void a_url_with_a_password_is_refused_and_not_shown(void **state)
{
    struct np_schema_registry *registry;
    struct np_error err = {0};

    (void)state;
    assert_int_equal(np_schema_registry_open(&registry, "http://me:hush@host", NULL, NULL, &err), NP_ECONFIG);
    assert_null(strstr(err.text, "hush"));
    assert_int_equal(np_schema_registry_open(&registry, "http://host/a@b", NULL, NULL, &err), NP_OK);
    np_schema_registry_close(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_asked_for_once_below_the_path_of_the_url),
        cmocka_unit_test(an_unknown_id_is_bad_data_and_remembered_for_a_while),
        cmocka_unit_test(a_registry_that_fails_is_asked_again_later_and_loses_nothing),
        cmocka_unit_test(a_registry_that_cannot_be_reached_is_named_without_its_password),
        cmocka_unit_test(schemas_that_cannot_be_used_say_why),
        cmocka_unit_test(a_schema_is_registered_under_its_subject),
        cmocka_unit_test(a_refused_schema_is_one_clear_line),
        cmocka_unit_test(a_url_that_is_none_is_a_mistake),
        cmocka_unit_test(the_latest_schema_of_a_subject_is_kept_by_its_id_and_a_new_subject_is_told_apart),
        cmocka_unit_test(whether_a_schema_fits_is_asked_without_registering_it),
        cmocka_unit_test(a_url_with_a_password_is_refused_and_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
