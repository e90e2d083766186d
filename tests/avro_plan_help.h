/* What the tests of the Avro plan share. Include cmocka.h before. */
#ifndef AVRO_PLAN_HELP_H
#define AVRO_PLAN_HELP_H

#include <stdlib.h>
#include <string.h>

#include "ingest/avro_plan.h"

static struct np_avro_schema *parse(const char *text)
{
    struct np_avro_schema *schema = NULL;
    struct np_error err = {0};

    if (np_avro_schema_parse(&schema, text, strlen(text), &err) != NP_OK)
        fail_msg("%s: %s", err.text, text);
    return schema;
}

/* A copy of exactly n bytes, so that a read behind it is seen. */
static enum np_status run_exact(const struct np_avro_plan *plan, const void *data, size_t n,
                                struct np_extract *extract, struct np_error *err)
{
    unsigned char *copy = malloc(n ? n : 1);
    enum np_status status;

    memcpy(copy, data, n);
    np_blocks_clear(extract->blocks);
    status = np_avro_plan_run(plan, copy, n, extract, err);
    free(copy);
    return status;
}

#endif
