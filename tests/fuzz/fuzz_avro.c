/* The Avro plan. Either the input is all: lines of writer schema and reader schema (may be empty), then the
 * body; or, when it does not begin with '{', it is a body of one fixed schema that has all of Avro in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/avro_plan.h"

static const char fixed[] =
    "{\"type\":\"record\",\"name\":\"W\",\"fields\":["
    "{\"name\":\"skip\",\"type\":{\"type\":\"record\",\"name\":\"Tree\",\"fields\":[{\"name\":\"v\",\"type\":"
    "\"int\"},"
    "{\"name\":\"next\",\"type\":[\"null\",\"Tree\"]},{\"name\":\"many\",\"type\":{\"type\":\"array\","
    "\"items\":\"Tree\"}}]}},"
    "{\"name\":\"a\",\"type\":[\"null\",\"long\",\"string\"]},"
    "{\"name\":\"b\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"float\",\"int\"]}},"
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"bytes\"}}},"
    "{\"name\":\"e\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"E\",\"fields\":["
    "{\"name\":\"f\",\"type\":\"double\"},{\"name\":\"g\",\"type\":{\"type\":\"enum\",\"name\":\"G\","
    "\"symbols\":[\"A\",\"B\"]}},"
    "{\"name\":\"h\",\"type\":{\"type\":\"array\",\"items\":\"double\"}}]}}},"
    "{\"name\":\"c\",\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
    "{\"name\":\"t\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"long\",\"logicalType\":\"timestamp-"
    "millis\"}}},"
    "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"X\",\"size\":5}},{\"name\":\"n\",\"type\":{"
    "\"type\":\"array\","
    "\"items\":\"null\"}},{\"name\":\"y\",\"type\":\"bytes\"},{\"name\":\"z\",\"type\":\"boolean\"}]}";

static const struct np_want wants[] = {
    {"a", NP_WANT_SCALAR, false},   {"b", NP_WANT_SAMPLES, false},     {"e[].f", NP_WANT_NUMBER, false},
    {"e[].g", NP_WANT_TEXT, false}, {"e[].h", NP_WANT_SAMPLES, false}, {"c", NP_WANT_SAMPLES, false},
    {"t", NP_WANT_TIMES, false},    {"x", NP_WANT_BYTES, false},       {"y", NP_WANT_BYTES, false},
    {"z", NP_WANT_SCALAR, false},   {"skip.v", NP_WANT_NUMBER, false}, {"n[]", NP_WANT_SCALAR, false},
};
#define N_WANTS (sizeof wants / sizeof *wants)

static struct np_extract extract;
static struct np_blocks blocks;

static void run(const struct np_avro_plan *plan, const uint8_t *data, size_t n)
{
    struct np_error err;

    np_blocks_clear(&blocks);
    if (np_avro_plan_run(plan, data, n, &extract, &err) == NP_OK)
        for (size_t w = 0; w < N_WANTS; w++) /* all that was found lies where it says */
            for (size_t i = 0; i < extract.lists[w].n; i++) {
                const struct np_found *found = &extract.lists[w].items[i];

                if (found->type == NP_FOUND_SAMPLES && found->first + found->n > blocks.samples_used)
                    abort();
                if (found->type == NP_FOUND_TIMES && found->first + found->n > blocks.times_used)
                    abort();
            }
}

static void run_schemas(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data, *line = memchr(text, '\n', n), *end;
    struct np_avro_schema *writer = NULL, *reader = NULL;
    struct np_avro_plan *plan = NULL;
    struct np_error err;

    if (!line || !(end = memchr(line + 1, '\n', n - (size_t)(line + 1 - text))))
        return;
    if (np_avro_schema_parse(&writer, text, (size_t)(line - text), &err) != NP_OK)
        return;
    if (end > line + 1)
        np_avro_schema_parse(&reader, line + 1, (size_t)(end - line - 1), &err);
    if (np_avro_plan_open(&plan, writer, reader, wants, N_WANTS, &err) == NP_OK)
        run(plan, (const uint8_t *)end + 1, n - (size_t)(end + 1 - text));
    np_avro_plan_close(plan);
    np_avro_schema_close(writer);
    np_avro_schema_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct np_avro_schema *schema;
    static struct np_avro_plan *plan;
    struct np_error err;

    if (!plan) {
        if (np_extract_open(&extract, N_WANTS, &err) != NP_OK ||
            np_avro_schema_parse(&schema, fixed, strlen(fixed), &err) != NP_OK ||
            np_avro_plan_open(&plan, schema, NULL, wants, N_WANTS, &err) != NP_OK)
            abort();
        extract.blocks = &blocks;
    }
    if (n && data[0] == '{')
        run_schemas(data, n);
    else
        run(plan, data, n);
    return 0;
}
