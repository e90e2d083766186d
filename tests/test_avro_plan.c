/* The Avro plan against avro-c: random schemas, data and evolution, and the cases that avro-c
 * does not know. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ingest/avro_plan.h"
#include "tests/avro_plan_help.h"
#include "tests/avro_random.h"

#define WANTS_MAX 64

/* What a test wants from one schema, with the paths' memory. */
struct wants {
    size_t n;
    struct np_want items[WANTS_MAX];
    char paths[WANTS_MAX][128];
};

static bool is_number(avro_type_t type)
{
    return type == AVRO_INT32 || type == AVRO_INT64 || type == AVRO_FLOAT || type == AVRO_DOUBLE;
}

static void add_want(struct random *r, struct wants *wants, const char *path, enum np_want_kind kind)
{
    if (wants->n == WANTS_MAX || strlen(path) >= 127 || below(r, 3) == 0)
        return;
    strcpy(wants->paths[wants->n], path);
    wants->items[wants->n] = (struct np_want){wants->paths[wants->n], kind, false};
    wants->n++;
}

/* Wants for the leaves of a schema. */
static void collect(struct random *r, avro_schema_t schema, const char *path, bool repeated,
                    struct wants *wants)
{
    avro_type_t type = avro_typeof(schema);
    char inner[300];

    if (type == AVRO_UNION) {
        avro_schema_t first = avro_schema_union_branch(schema, 0),
                      second = avro_schema_union_branch(schema, 1);

        if (avro_schema_union_size(schema) > 2)
            add_want(r, wants, path, NP_WANT_SCALAR);
        else
            collect(r, avro_typeof(first) == AVRO_NULL ? second : first, path, repeated, wants);
    } else if (type == AVRO_RECORD) {
        for (int i = 0; i < (int)avro_schema_record_size(schema); i++) {
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "",
                     avro_schema_record_field_name(schema, i));
            collect(r, avro_schema_record_field_get_by_index(schema, i), inner, repeated, wants);
        }
    } else if (type == AVRO_ARRAY) {
        avro_schema_t items = avro_schema_array_items(schema);

        if (is_number(avro_typeof(items)) && below(r, 2)) {
            add_want(r, wants, path,
                     avro_typeof(items) == AVRO_INT64 && below(r, 2) ? NP_WANT_TIMES : NP_WANT_SAMPLES);
        } else if (!repeated && *path) {
            snprintf(inner, sizeof inner, "%s[]", path);
            collect(r, items, inner, true, wants);
        }
    } else if (is_number(type)) {
        add_want(r, wants, path, below(r, 2) ? NP_WANT_NUMBER : NP_WANT_SCALAR);
    } else if (type == AVRO_STRING || type == AVRO_ENUM) {
        add_want(r, wants, path, below(r, 2) ? NP_WANT_TEXT : NP_WANT_SCALAR);
    } else if (type == AVRO_BOOLEAN) {
        add_want(r, wants, path, NP_WANT_SCALAR);
    } else if (type == AVRO_FIXED || type == AVRO_BYTES) {
        add_want(r, wants, path, NP_WANT_BYTES);
    }
}

static const char *place; /* what is compared, for messages */
static uint64_t seed;
static bool unjudged; /* avro-c has no opinion on this want */
static int judged;

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_error("seed %llu, %s: ", (unsigned long long)seed, place);                                 \
            fail_msg(__VA_ARGS__);                                                                           \
        }                                                                                                    \
    } while (0)

static double number_of(const avro_value_t *value)
{
    int32_t i32;
    int64_t i64;
    float f;
    double d = 0;

    switch (avro_value_get_type(value)) {
    case AVRO_INT32:
        avro_value_get_int(value, &i32);
        return i32;
    case AVRO_INT64:
        avro_value_get_long(value, &i64);
        return (double)i64;
    case AVRO_FLOAT:
        avro_value_get_float(value, &f);
        return (double)f;
    default:
        avro_value_get_double(value, &d);
        return d;
    }
}

static void check_array(const avro_value_t *value, const struct np_found *found,
                        const struct np_blocks *blocks)
{
    size_t n;

    avro_value_get_size(value, &n);
    CHECK(found->n == n, "%u items, avro-c has %zu", found->n, n);
    for (size_t i = 0; i < n; i++) {
        avro_value_t item;
        double expected, got;

        avro_value_get_by_index(value, i, &item, NULL);
        expected = number_of(&item);
        if (found->type == NP_FOUND_SAMPLES) {
            got = (double)blocks->samples[found->first + i];
            /* an int or long goes through double, or straight to float; both are within half an
             * ulp of float */
            CHECK(fabs(got - (double)(float)expected) <= fabs(expected) * 1.2e-7,
                  "item %zu: %.17g, avro-c has %.17g", i, got, expected);
        } else {
            got = (double)blocks->times[found->first + i];
            CHECK(got == expected, "item %zu: %.17g, avro-c has %.17g", i, got, expected);
        }
    }
}

static void check_value(const avro_value_t *value, const struct np_found *found,
                        const struct np_blocks *blocks)
{
    avro_type_t type = avro_value_get_type(value);
    avro_value_t inner;
    const char *text;
    const void *data;
    size_t n;
    int whole;

    switch (type) {
    case AVRO_UNION:
        avro_value_get_current_branch(value, &inner);
        check_value(&inner, found, blocks);
        return;
    case AVRO_NULL:
        CHECK(found->type == NP_FOUND_NOTHING, "type %d, avro-c has null", found->type);
        return;
    case AVRO_BOOLEAN:
        avro_value_get_boolean(value, &whole);
        CHECK(found->type == NP_FOUND_BOOLEAN && found->integer == whole, "not the boolean");
        return;
    case AVRO_INT32:
    case AVRO_INT64:
    case AVRO_FLOAT:
    case AVRO_DOUBLE: {
        double got = found->type == NP_FOUND_INTEGER ? (double)found->integer : found->number;

        CHECK(found->type == NP_FOUND_INTEGER || found->type == NP_FOUND_NUMBER, "type %d", found->type);
        CHECK(got == number_of(value), "%.17g, avro-c has %.17g", got, number_of(value));
        return;
    }
    case AVRO_STRING:
        avro_value_get_string(value, &text, &n);
        CHECK(found->n == n - 1 && memcmp(found->text, text, n - 1) == 0, "%.*s, avro-c has %s",
              (int)found->n, found->text, text);
        return;
    case AVRO_BYTES:
        avro_value_get_bytes(value, &data, &n);
        CHECK(found->type == NP_FOUND_BYTES && found->n == n && (n == 0 || memcmp(found->text, data, n) == 0),
              "bytes differ");
        return;
    case AVRO_FIXED:
        avro_value_get_fixed(value, &data, &n);
        CHECK(found->type == NP_FOUND_BYTES && found->n == n && (n == 0 || memcmp(found->text, data, n) == 0),
              "fixed differs");
        return;
    case AVRO_ENUM:
        avro_value_get_enum(value, &whole);
        text = avro_schema_enum_get(avro_value_get_schema(value), whole);
        CHECK(found->n == strlen(text) && memcmp(found->text, text, found->n) == 0, "enum is not %s", text);
        return;
    case AVRO_ARRAY:
        check_array(value, found, blocks);
        return;
    default:
        CHECK(false, "avro-c has type %d", type);
    }
}

/* Follows a path through avro-c's value and compares what the plan found, one entry after the other. */
static void check_path(const avro_value_t *value, const char *path, const struct np_found_list *list,
                       size_t *used, const struct np_blocks *blocks)
{
    avro_value_t inner;

    if (avro_value_get_type(value) == AVRO_UNION) {
        /* avro-c 1.11 forgets to choose the branch when it resolves an empty array or map into a union */
        unjudged = avro_value_get_current_branch(value, &inner) != 0;
        if (!unjudged)
            check_path(&inner, path, list, used, blocks);
    } else if (*path == '\0' || avro_value_get_type(value) == AVRO_NULL) {
        CHECK(*used < list->n, "only %zu entries", list->n);
        check_value(value, &list->items[(*used)++], blocks);
    } else if (*path == '[') {
        size_t n;

        avro_value_get_size(value, &n);
        for (size_t i = 0; i < n; i++) {
            avro_value_get_by_index(value, i, &inner, NULL);
            check_path(&inner, path + 2 + (path[2] == '.'), list, used, blocks);
        }
    } else {
        char name[64];
        size_t length = strcspn(path, ".[");

        snprintf(name, sizeof name, "%.*s", (int)length, path);
        CHECK(avro_value_get_by_name(value, name, &inner, NULL) == 0, "avro-c has no %s", name);
        check_path(&inner, path + length + (path[length] == '.'), list, used, blocks);
    }
}

static void damage(struct random *r, const struct np_avro_plan *plan, const struct np_bytes *message,
                   struct np_extract *extract)
{
    struct np_error err;
    unsigned char *copy = malloc(message->n + 1);

    for (size_t n = 0; n < message->n; n++)
        CHECK(run_exact(plan, message->data, n, extract, &err) == NP_EDATA,
              "cut to %zu of %zu bytes and accepted", n, message->n);
    for (int i = 0; i < 40 && message->n; i++) {
        enum np_status status;

        memcpy(copy, message->data, message->n);
        for (int k = below(r, 3); k >= 0; k--)
            copy[below(r, (int)message->n)] ^= (unsigned char)(1 << below(r, 8));
        status = run_exact(plan, copy, message->n, extract, &err);
        CHECK(status == NP_OK || status == NP_EDATA, "status %s", np_status_name(status));
    }
    free(copy);
}

/* value: the reader's view by avro-c */
static void compare(struct random *r, const char *writer_text, const char *reader_text,
                    avro_schema_t reader_schema, const avro_value_t *value, const struct np_bytes *message)
{
    struct np_avro_schema *writer = parse(writer_text), *reader = reader_text ? parse(reader_text) : NULL;
    struct wants wants = {0};
    struct np_avro_plan *plan = NULL;
    struct np_extract extract;
    struct np_blocks blocks = {0};
    struct np_error err = {0};
    unsigned char *copy = malloc(message->n + 1);

    if (message->n > 0)
        memcpy(copy, message->data, message->n);
    collect(r, reader_schema, "", false, &wants);
    place = writer_text;
    CHECK(np_avro_plan_open(&plan, writer, reader, wants.items, wants.n, &err) == NP_OK, "%s, reader %s",
          err.text, reader_text ? reader_text : "none");
    assert_int_equal(np_extract_open(&extract, wants.n, &err), NP_OK);
    extract.blocks = &blocks;
    np_blocks_clear(&blocks);
    CHECK(np_avro_plan_run(plan, copy, message->n, &extract, &err) == NP_OK, "%s", err.text);
    for (size_t i = 0; i < wants.n; i++) {
        size_t used = 0;

        place = wants.paths[i];
        unjudged = false;
        check_path(value, wants.paths[i], &extract.lists[i], &used, &blocks);
        judged += !unjudged;
        CHECK(unjudged || used == extract.lists[i].n, "%zu entries, avro-c has %zu; %s", extract.lists[i].n,
              used, writer_text);
    }
    place = writer_text;
    damage(r, plan, message, &extract);
    free(copy);
    np_extract_close(&extract);
    np_blocks_free(&blocks);
    np_avro_plan_close(plan);
    np_avro_schema_close(writer);
    np_avro_schema_close(reader);
}

static void random_data_is_read_as_avro_c_reads_it(void **state)
{
    (void)state;
    for (seed = 1; seed <= 2000; seed++) {
        struct random r = {.state = seed * 0x9e3779b97f4a7c15};
        json_t *json = random_record(&r, 0);
        char *text = json_dumps(json, 0);
        struct np_bytes message = {0};
        avro_value_iface_t *iface;
        avro_value_t value, back;
        avro_reader_t reader;
        avro_schema_t schema;

        place = text;
        CHECK(avro_schema_from_json_length(text, strlen(text), &schema) == 0, "%s", avro_strerror());
        iface = avro_generic_class_from_schema(schema);
        avro_generic_value_new(iface, &value);
        avro_generic_value_new(iface, &back);
        random_value(&r, &value);
        encode(&r, &value, &message);
        reader = avro_reader_memory((char *)message.data, (int64_t)message.n);
        CHECK(avro_value_read(reader, &back) == 0, "avro-c: %s", avro_strerror());
        compare(&r, text, NULL, schema, &back, &message);
        avro_reader_free(reader);
        avro_value_decref(&value);
        avro_value_decref(&back);
        avro_value_iface_decref(iface);
        avro_schema_decref(schema);
        np_bytes_free(&message);
        free(text);
        json_decref(json);
    }
}

/* A later reader's schema: fields dropped and reordered, numbers promoted, values made optional. */
static json_t *evolve(struct random *r, json_t *type, bool may_widen, bool may_wrap)
{
    const char *name = json_string_value(json_is_object(type) ? json_object_get(type, "type") : type);
    json_t *result = json_deep_copy(type);

    if (json_is_array(type)) {
        for (size_t i = 0; i < json_array_size(type); i++)
            json_array_set_new(result, i, evolve(r, json_array_get(type, i), false, false));
        return result;
    }
    if (strcmp(name, "record") == 0) {
        json_t *fields = json_object_get(result, "fields");

        for (size_t i = 0; i < json_array_size(fields); i++) {
            json_t *field = json_array_get(fields, i);

            json_object_set_new(field, "type", evolve(r, json_object_get(field, "type"), true, true));
        }
        for (size_t i = json_array_size(fields); i > 1; i--) {
            size_t k = (size_t)below(r, (int)i);
            json_t *a = json_incref(json_array_get(fields, i - 1)),
                   *b = json_incref(json_array_get(fields, k));

            json_array_set_new(fields, i - 1, b);
            json_array_set_new(fields, k, a);
        }
        if (json_array_size(fields) > 1 && below(r, 2))
            json_array_remove(fields, 0);
    } else if (strcmp(name, "array") == 0 || strcmp(name, "map") == 0) {
        const char *key = *name == 'a' ? "items" : "values";

        json_object_set_new(result, key, evolve(r, json_object_get(type, key), true, false));
    } else if (may_widen && below(r, 2)) {
        static const char *const wider[] = {"int", "long", "float", "double"};

        for (int i = 0; i < 3; i++)
            if (strcmp(name, wider[i]) == 0) {
                json_decref(result);
                result = json_string(wider[i + below(r, 4 - i)]);
                break;
            }
    }
    if (may_wrap && strcmp(name, "null") != 0 && strcmp(name, "record") != 0 && strcmp(name, "array") != 0 &&
        strcmp(name, "map") != 0 && below(r, 4) == 0)
        result = json_pack("[s,o]", "null", result);
    return result;
}

static void evolved_schemas_resolve_as_avro_c_resolves_them(void **state)
{
    (void)state;
    judged = 0;
    for (seed = 1; seed <= 2000; seed++) {
        struct random r = {.state = seed * 0xd1342543de82ef95};
        json_t *json = random_record(&r, 0), *evolved = evolve(&r, json, true, false);
        char *text = json_dumps(json, 0), *reader_text = json_dumps(evolved, 0);
        struct np_bytes message = {0};
        avro_value_iface_t *iface, *reader_iface, *resolver;
        avro_value_t value, back, resolved;
        avro_reader_t reader;
        avro_schema_t schema, reader_schema;

        place = reader_text;
        CHECK(avro_schema_from_json_length(text, strlen(text), &schema) == 0, "%s", avro_strerror());
        CHECK(avro_schema_from_json_length(reader_text, strlen(reader_text), &reader_schema) == 0, "%s",
              avro_strerror());
        iface = avro_generic_class_from_schema(schema);
        reader_iface = avro_generic_class_from_schema(reader_schema);
        avro_generic_value_new(iface, &value);
        avro_generic_value_new(reader_iface, &back);
        random_value(&r, &value);
        encode(&r, &value, &message);
        resolver = avro_resolved_writer_new(schema, reader_schema);
        CHECK(resolver, "avro-c: %s; written by %s", avro_strerror(), text);
        avro_resolved_writer_new_value(resolver, &resolved);
        avro_resolved_writer_set_dest(&resolved, &back);
        reader = avro_reader_memory((char *)message.data, (int64_t)message.n);
        CHECK(avro_value_read(reader, &resolved) == 0, "avro-c: %s; written by %s", avro_strerror(), text);
        compare(&r, text, reader_text, reader_schema, &back, &message);
        avro_reader_free(reader);
        avro_value_decref(&resolved);
        avro_value_iface_decref(resolver);
        avro_value_decref(&value);
        avro_value_decref(&back);
        avro_value_iface_decref(iface);
        avro_value_iface_decref(reader_iface);
        avro_schema_decref(schema);
        avro_schema_decref(reader_schema);
        np_bytes_free(&message);
        free(text);
        free(reader_text);
        json_decref(json);
        json_decref(evolved);
    }
    assert_true(judged > 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_data_is_read_as_avro_c_reads_it),
        cmocka_unit_test(evolved_schemas_resolve_as_avro_c_resolves_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
