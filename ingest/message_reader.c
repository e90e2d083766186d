#include "ingest/message_reader.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/avro_plan.h"
#include "ingest/json_extract.h"
#include "pipeline/file.h"

#define SCHEMA_MAX_BYTES ((size_t)1 << 20)
#define HEADER           5 /* the wire format's magic byte and schema id */

/* What is known about a schema id. */
struct known {
    int32_t id;
    struct np_avro_plan *plan; /* NULL: cannot be used, see why; or another record */
    char *why;
};

struct np_message_reader {
    const struct np_message_form *form;
    const struct np_want *wants;
    size_t n_wants;
    struct np_json_plan *json;
    struct np_avro_schema *schema; /* of the file */
    struct np_avro_plan *plan;     /* of the file, without registry */
    size_t n;
    struct known *known; /* by id; few */
    size_t last;         /* the one used last */
};

static enum np_status read_schema_file(struct np_message_reader *reader, struct np_error *err)
{
    const char *path = reader->form->schema_file;
    struct np_error inner = {0};
    enum np_status status;
    size_t length;
    char *text = np_file_read(path, SCHEMA_MAX_BYTES, &length, &inner);

    if (!text)
        return np_fail(err, inner.status, "%s", inner.text);
    status = np_avro_schema_parse(&reader->schema, text, length, &inner);
    free(text);
    if (status == NP_OK && !reader->form->registry)
        status =
            np_avro_plan_open(&reader->plan, reader->schema, NULL, reader->wants, reader->n_wants, &inner);
    return status == NP_OK ? NP_OK : np_fail(err, status, "%s: %s", path, inner.text);
}

enum np_status np_message_reader_open(struct np_message_reader **out, const struct np_message_form *form,
                                      const struct np_want *wants, size_t n_wants, struct np_error *err)
{
    struct np_message_reader *reader = calloc(1, sizeof *reader);
    enum np_status status = NP_OK;

    if (!reader)
        return np_fail(err, NP_ENOMEM, "decoder");
    reader->form = form;
    reader->wants = wants;
    reader->n_wants = n_wants;
    if (form->format == NP_FORMAT_JSON)
        status = np_json_plan_open(&reader->json, wants, n_wants, err);
    else if (form->schema_file)
        status = read_schema_file(reader, err);
    else if (!form->registry)
        status = np_fail(err, NP_ECONFIG, "Avro needs a schema: a registry, or a schema file");
    if (status == NP_OK)
        *out = reader;
    else
        np_message_reader_close(reader);
    return status;
}

void np_message_release(struct np_extract *extract)
{
    np_json_release(extract);
}

void np_message_reader_close(struct np_message_reader *reader)
{
    if (!reader)
        return;
    for (size_t i = 0; i < reader->n; i++) {
        np_avro_plan_close(reader->known[i].plan);
        free(reader->known[i].why);
    }
    free(reader->known);
    np_avro_plan_close(reader->plan);
    np_avro_schema_close(reader->schema);
    np_json_plan_close(reader->json);
    free(reader);
}

/* Asks the registry and compiles a plan. What the registry does not know is asked again; it may
 * come to know. */
static enum np_status learn(struct np_message_reader *reader, int32_t id, struct np_error *err)
{
    const struct np_avro_schema *writer;
    const char *record = reader->form->record;
    struct np_error inner = {0};
    struct known *known = realloc(reader->known, (reader->n + 1) * sizeof *known);
    struct known entry = {.id = id};
    enum np_status status;

    if (!known)
        return np_fail(err, NP_ENOMEM, "decoder");
    reader->known = known;
    status = np_schema_registry_get(reader->form->registry, id, &writer, err);
    if (status != NP_OK)
        return status;
    if (!record || (writer->root->name && strcmp(np_avro_short_name(writer->root->name), record) == 0)) {
        status =
            np_avro_plan_open(&entry.plan, writer, reader->schema, reader->wants, reader->n_wants, &inner);
        if (status == NP_ENOMEM)
            return np_fail(err, NP_ENOMEM, "decoder");
        if (status != NP_OK && asprintf(&entry.why, "schema %d: %s", id, inner.text) < 0)
            return np_fail(err, NP_ENOMEM, "decoder");
    }
    known[reader->n] = entry;
    reader->last = reader->n++;
    return NP_OK;
}

enum np_status np_message_reader_fits(const struct np_message_reader *reader,
                                      const struct np_avro_schema *writer, struct np_error *err)
{
    struct np_avro_plan *plan = NULL;
    enum np_status status =
        np_avro_plan_open(&plan, writer, reader->schema, reader->wants, reader->n_wants, err);

    np_avro_plan_close(plan);
    return status;
}

static enum np_status find_plan(struct np_message_reader *reader, int32_t id,
                                const struct np_avro_plan **plan, const char **reason, struct np_error *err)
{
    const struct known *known;
    enum np_status status;

    if (reader->n == 0 || reader->known[reader->last].id != id) {
        size_t i = 0;

        while (i < reader->n && reader->known[i].id != id)
            i++;
        if (i < reader->n) {
            reader->last = i;
        } else {
            status = learn(reader, id, err);
            *reason = "schema";
            if (status != NP_OK)
                return status;
        }
    }
    known = &reader->known[reader->last];
    *plan = known->plan;
    if (known->plan)
        return NP_OK;
    *reason = "schema";
    return known->why ? np_fail(err, NP_EDATA, "%s", known->why)
                      : np_fail(err, NP_EEND, "schema %d is not that of record %s", id, reader->form->record);
}

enum np_status np_message_read(struct np_message_reader *reader, const struct np_message *message,
                               struct np_extract *extract, const char **reason, struct np_error *err)
{
    const unsigned char *value = message->value;
    const struct np_avro_plan *plan = reader->plan;
    size_t header = 0;
    enum np_status status;

    *reason = "decode";
    if (!value) {
        *reason = "empty";
        return np_fail(err, NP_EDATA, "a message without a value");
    }
    if (reader->json)
        return np_json_plan_run(reader->json, value, message->value_length, extract, err);
    if (reader->form->registry) {
        header = HEADER;
        if (message->value_length < HEADER || value[0] != 0)
            return np_fail(err, NP_EDATA,
                           "not the registry's wire format, which begins with a byte 0 and the schema's id");
        status = find_plan(reader,
                           (int32_t)((uint32_t)value[1] << 24 | (uint32_t)value[2] << 16 |
                                     (uint32_t)value[3] << 8 | value[4]),
                           &plan, reason, err);
        if (status != NP_OK)
            return status;
    }
    return np_avro_plan_run(plan, value + header, message->value_length - header, extract, err);
}
