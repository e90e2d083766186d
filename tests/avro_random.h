/* Random Avro schemas, values and encodings for tests: avro-c holds the values, the bytes are written here
 * with the freedoms that the specification gives (several blocks, blocks with their length) and avro-c does
 * not use. */
#ifndef AVRO_RANDOM_H
#define AVRO_RANDOM_H

#include <avro.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/avro_put.h"

struct random {
    uint64_t state;
    int names; /* for unique names */
};

static uint64_t next(struct random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * 0x2545f4914f6cdd1d;
}

static int below(struct random *r, int n)
{
    return (int)(next(r) >> 33) % n;
}

static json_t *random_type(struct random *r, int depth);

static json_t *random_primitive(struct random *r)
{
    static const char *const names[] = {"boolean", "int",   "long",   "float",
                                        "double",  "bytes", "string", "null"};

    return json_string(names[below(r, 8)]);
}

static json_t *random_record(struct random *r, int depth)
{
    json_t *fields = json_array();
    char name[32];
    int n = 1 + below(r, 6);

    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "f%d", i);
        json_array_append_new(fields,
                              json_pack("{s:s,s:o}", "name", name, "type", random_type(r, depth + 1)));
    }
    snprintf(name, sizeof name, "R%d", r->names++);
    return json_pack("{s:s,s:s,s:o}", "type", "record", "name", name, "fields", fields);
}

static json_t *random_type(struct random *r, int depth)
{
    int pick = below(r, depth > 3 ? 8 : 16);
    char name[32];

    switch (pick) {
    case 8:
        snprintf(name, sizeof name, "E%d", r->names++);
        return json_pack("{s:s,s:s,s:[s,s,s]}", "type", "enum", "name", name, "symbols", "RED", "GREEN",
                         "BLUE");
    case 9:
        snprintf(name, sizeof name, "X%d", r->names++);
        return json_pack("{s:s,s:s,s:i}", "type", "fixed", "name", name, "size", 1 + below(r, 9));
    case 10:
    case 11:
        return json_pack("{s:s,s:o}", "type", "array", "items",
                         below(r, 2) ? random_type(r, depth + 1)
                                     : json_string(below(r, 2) ? "float" : "long"));
    case 12:
        return json_pack("{s:s,s:o}", "type", "map", "values", random_type(r, depth + 1));
    case 13:
        return random_record(r, depth);
    case 14:
        return json_pack("[s,s,s,s]", "null", "long", "string", "double");
    case 15: {
        json_t *inner = random_type(r, depth + 1);

        if (json_is_array(inner) || (json_is_string(inner) && strcmp(json_string_value(inner), "null") == 0))
            return inner;
        return below(r, 2) ? json_pack("[s,o]", "null", inner) : json_pack("[o,s]", inner, "null");
    }
    default:
        return random_primitive(r);
    }
}

static void random_value(struct random *r, avro_value_t *value)
{
    char text[40];
    size_t n, index;
    avro_value_t inner;

    switch (avro_value_get_type(value)) {
    case AVRO_NULL:
        avro_value_set_null(value);
        break;
    case AVRO_BOOLEAN:
        avro_value_set_boolean(value, below(r, 2));
        break;
    case AVRO_INT32:
        avro_value_set_int(value, (int32_t)next(r) >> below(r, 32));
        break;
    case AVRO_INT64:
        avro_value_set_long(value, (int64_t)next(r) >> below(r, 64));
        break;
    case AVRO_FLOAT:
        avro_value_set_float(value, (float)(int32_t)next(r) / 1000);
        break;
    case AVRO_DOUBLE:
        avro_value_set_double(value, (double)(int64_t)next(r) / 1e6);
        break;
    case AVRO_STRING:
        n = (size_t)snprintf(text, sizeof text, "text%0*d", below(r, 20), below(r, 100));
        avro_value_set_string_len(value, text, n + 1);
        break;
    case AVRO_BYTES:
        n = (size_t)below(r, 20);
        memset(text, below(r, 256), sizeof text);
        avro_value_set_bytes(value, text, n);
        break;
    case AVRO_FIXED:
        memset(text, below(r, 256), sizeof text);
        avro_value_set_fixed(value, text, (size_t)avro_schema_fixed_size(avro_value_get_schema(value)));
        break;
    case AVRO_ENUM:
        avro_value_set_enum(value, below(r, 3));
        break;
    case AVRO_RECORD:
        avro_value_get_size(value, &n);
        for (size_t i = 0; i < n; i++) {
            avro_value_get_by_index(value, i, &inner, NULL);
            random_value(r, &inner);
        }
        break;
    case AVRO_ARRAY:
        for (int i = below(r, 5); i > 0; i--) {
            avro_value_append(value, &inner, &index);
            random_value(r, &inner);
        }
        break;
    case AVRO_MAP:
        for (int i = below(r, 4); i > 0; i--) {
            snprintf(text, sizeof text, "key%d", i);
            avro_value_add(value, text, &inner, NULL, NULL);
            random_value(r, &inner);
        }
        break;
    case AVRO_UNION:
        avro_value_set_branch(value, below(r, (int)avro_schema_union_size(avro_value_get_schema(value))),
                              &inner);
        random_value(r, &inner);
        break;
    default:
        abort();
    }
}

static void encode(struct random *r, const avro_value_t *value, struct np_bytes *out);

/* In blocks of random length, some with their size in bytes. */
static void encode_blocks(struct random *r, const avro_value_t *value, struct np_bytes *out)
{
    size_t n, done = 0;

    avro_value_get_size(value, &n);
    while (done < n) {
        size_t block = 1 + (size_t)below(r, (int)(n - done));
        struct np_bytes inside = {0};

        for (size_t i = done; i < done + block; i++) {
            avro_value_t item;
            const char *key;

            avro_value_get_by_index(value, i, &item, &key);
            if (avro_value_get_type(value) == AVRO_MAP) {
                put_varint(&inside, (int64_t)strlen(key));
                np_bytes_append(&inside, key, strlen(key));
            }
            encode(r, &item, &inside);
        }
        if (below(r, 2)) {
            put_varint(out, -(int64_t)block);
            put_varint(out, (int64_t)inside.n);
        } else {
            put_varint(out, (int64_t)block);
        }
        np_bytes_append(out, inside.data, inside.n);
        np_bytes_free(&inside);
        done += block;
    }
    put_varint(out, 0);
}

static void encode(struct random *r, const avro_value_t *value, struct np_bytes *out)
{
    const void *data;
    const char *text;
    avro_value_t inner;
    int32_t i32;
    int64_t i64;
    size_t n;
    float f;
    double d;
    int whole;

    switch (avro_value_get_type(value)) {
    case AVRO_NULL:
        break;
    case AVRO_BOOLEAN:
        avro_value_get_boolean(value, &whole);
        np_bytes_append(out, whole ? "\1" : "\0", 1);
        break;
    case AVRO_INT32:
        avro_value_get_int(value, &i32);
        put_varint(out, i32);
        break;
    case AVRO_INT64:
        avro_value_get_long(value, &i64);
        put_varint(out, i64);
        break;
    case AVRO_FLOAT:
        avro_value_get_float(value, &f);
        np_bytes_append(out, &f, sizeof f);
        break;
    case AVRO_DOUBLE:
        avro_value_get_double(value, &d);
        np_bytes_append(out, &d, sizeof d);
        break;
    case AVRO_STRING:
        avro_value_get_string(value, &text, &n);
        put_varint(out, (int64_t)n - 1);
        np_bytes_append(out, text, n - 1);
        break;
    case AVRO_BYTES:
        avro_value_get_bytes(value, &data, &n);
        put_varint(out, (int64_t)n);
        np_bytes_append(out, data, n);
        break;
    case AVRO_FIXED:
        avro_value_get_fixed(value, &data, &n);
        np_bytes_append(out, data, n);
        break;
    case AVRO_ENUM:
        avro_value_get_enum(value, &whole);
        put_varint(out, whole);
        break;
    case AVRO_RECORD:
        avro_value_get_size(value, &n);
        for (size_t i = 0; i < n; i++) {
            avro_value_get_by_index(value, i, &inner, NULL);
            encode(r, &inner, out);
        }
        break;
    case AVRO_UNION:
        avro_value_get_discriminant(value, &whole);
        put_varint(out, whole);
        avro_value_get_current_branch(value, &inner);
        encode(r, &inner, out);
        break;
    default:
        encode_blocks(r, value, out);
    }
}

#endif
