#include "ingest/avro_resolve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Unqualified names are compared, as the specification says; a reader's aliases count. */
static bool same_name(const struct np_avro_type *writer, const struct np_avro_type *reader)
{
    const char *name = np_avro_short_name(writer->name);
    json_t *alias;
    size_t i;

    if (strcmp(name, np_avro_short_name(reader->name)) == 0)
        return true;
    json_array_foreach(reader->aliases, i,
                       alias) if (json_is_string(alias) &&
                                  strcmp(name, np_avro_short_name(json_string_value(alias))) ==
                                      0) return true;
    return false;
}

bool np_avro_matches(const struct np_avro_type *writer, const struct np_avro_type *reader)
{
    if (writer->kind == reader->kind) {
        if (writer->kind == NP_AVRO_FIXED && writer->size != reader->size)
            return false;
        return !writer->name || same_name(writer, reader);
    }
    switch (writer->kind) {
    case NP_AVRO_INT:
        return reader->kind == NP_AVRO_LONG || reader->kind == NP_AVRO_FLOAT ||
               reader->kind == NP_AVRO_DOUBLE;
    case NP_AVRO_LONG:
        return reader->kind == NP_AVRO_FLOAT || reader->kind == NP_AVRO_DOUBLE;
    case NP_AVRO_FLOAT:
        return reader->kind == NP_AVRO_DOUBLE;
    case NP_AVRO_STRING:
        return reader->kind == NP_AVRO_BYTES;
    case NP_AVRO_BYTES:
        return reader->kind == NP_AVRO_STRING;
    default:
        return false;
    }
}

const struct np_avro_type *np_avro_answer(const struct np_avro_type *writer,
                                          const struct np_avro_type *reader)
{
    if (reader->kind != NP_AVRO_UNION)
        return np_avro_matches(writer, reader) ? reader : NULL;
    for (size_t i = 0; i < reader->n; i++)
        if (reader->items[i]->kind == writer->kind && np_avro_matches(writer, reader->items[i]))
            return reader->items[i];
    for (size_t i = 0; i < reader->n; i++)
        if (np_avro_matches(writer, reader->items[i]))
            return reader->items[i];
    return NULL;
}

const struct np_avro_field *np_avro_field_find(const struct np_avro_type *record, const char *name)
{
    for (size_t i = 0; i < record->n; i++)
        if (strcmp(record->fields[i].name, name) == 0)
            return &record->fields[i];
    return NULL;
}

const struct np_avro_field *np_avro_source(const struct np_avro_type *writer,
                                           const struct np_avro_field *field)
{
    const struct np_avro_field *found = np_avro_field_find(writer, field->name);
    json_t *alias;
    size_t i;

    if (found)
        return found;
    json_array_foreach(field->aliases, i, alias)
    {
        found = json_is_string(alias) ? np_avro_field_find(writer, json_string_value(alias)) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

static bool leaf_whole(const struct np_avro_type *writer, const struct np_avro_type *reader,
                       enum np_want_kind kind, struct np_avro_op *op)
{
    enum np_avro_kind as = reader ? reader->kind : writer->kind;
    bool whole = as == NP_AVRO_INT || as == NP_AVRO_LONG;

    op->code = writer->kind == NP_AVRO_INT ? NP_OP_INT : NP_OP_LONG;
    op->convert = as == NP_AVRO_FLOAT ? NP_TO_FLOAT : as == NP_AVRO_DOUBLE ? NP_TO_NUMBER : NP_KEEP;
    op->logical = writer->logical || !reader ? writer->logical : reader->logical;
    switch (kind) {
    case NP_WANT_NUMBER:
    case NP_WANT_SAMPLES:
        if (op->convert == NP_KEEP)
            op->convert = NP_TO_NUMBER;
        return true;
    case NP_WANT_INTEGER:
    case NP_WANT_TEXT:
        return whole;
    case NP_WANT_SCALAR:
    case NP_WANT_TIMES:
        return true;
    case NP_WANT_BYTES:
        return false;
    }
    return false;
}

bool np_avro_leaf(const struct np_avro_type *writer, const struct np_avro_type *reader,
                  enum np_want_kind kind, const char **symbols, struct np_avro_op *op)
{
    *op = (struct np_avro_op){.code = NP_OP_FAIL};
    switch (writer->kind) {
    case NP_AVRO_BOOLEAN:
        op->code = NP_OP_BOOLEAN;
        return kind == NP_WANT_SCALAR;
    case NP_AVRO_INT:
    case NP_AVRO_LONG:
        return leaf_whole(writer, reader, kind, op);
    case NP_AVRO_FLOAT:
    case NP_AVRO_DOUBLE:
        op->code = writer->kind == NP_AVRO_FLOAT ? NP_OP_FLOAT : NP_OP_DOUBLE;
        return kind == NP_WANT_NUMBER || kind == NP_WANT_SAMPLES || kind == NP_WANT_SCALAR ||
               kind == NP_WANT_TIMES;
    case NP_AVRO_BYTES:
    case NP_AVRO_STRING:
        op->code = NP_OP_STRING;
        op->wanted = kind != NP_WANT_BYTES;
        return kind == NP_WANT_TEXT || kind == NP_WANT_SCALAR || kind == NP_WANT_TIMES ||
               kind == NP_WANT_BYTES;
    case NP_AVRO_FIXED:
        op->code = NP_OP_FIXED;
        op->size = writer->size;
        return kind == NP_WANT_BYTES;
    case NP_AVRO_ENUM:
        op->code = NP_OP_ENUM;
        op->size = (int64_t)writer->n;
        op->symbols = symbols;
        for (size_t i = 0; i < writer->n; i++) {
            symbols[i] = writer->symbols[i];
            if (reader) {
                bool known = false;

                for (size_t k = 0; k < reader->n && !known; k++)
                    known = strcmp(reader->symbols[k], symbols[i]) == 0;
                if (!known)
                    symbols[i] = reader->otherwise;
            }
        }
        return kind == NP_WANT_TEXT || kind == NP_WANT_SCALAR;
    default:
        return false;
    }
}

static bool fits(const struct np_avro_type *type, json_t *json)
{
    switch (type->kind) {
    case NP_AVRO_NULL:
        return json_is_null(json);
    case NP_AVRO_BOOLEAN:
        return json_is_boolean(json);
    case NP_AVRO_INT:
    case NP_AVRO_LONG:
        return json_is_integer(json);
    case NP_AVRO_FLOAT:
    case NP_AVRO_DOUBLE:
        return json_is_number(json);
    case NP_AVRO_BYTES:
    case NP_AVRO_STRING:
    case NP_AVRO_FIXED:
    case NP_AVRO_ENUM:
        return json_is_string(json);
    case NP_AVRO_ARRAY:
        return json_is_array(json);
    default:
        return json_is_object(json);
    }
}

static enum np_status default_samples(json_t *json, struct np_avro_const *out)
{
    size_t n = json_array_size(json), i;
    json_t *item;

    out->found.type = NP_FOUND_SAMPLES;
    out->found.n = (uint32_t)n;
    if (n == 0)
        return NP_OK;
    out->samples = malloc(n * sizeof *out->samples);
    if (!out->samples)
        return NP_ENOMEM;
    json_array_foreach(json, i, item)
    {
        if (!json_is_number(item) && !json_is_null(item)) {
            free(out->samples);
            out->samples = NULL;
            return NP_ECONFIG;
        }
        out->samples[i] = json_is_null(item) ? NAN : (float)json_number_value(item);
    }
    return NP_OK;
}

enum np_status np_avro_default(const struct np_avro_type *type, json_t *json, enum np_want_kind kind,
                               struct np_avro_const *out)
{
    struct np_found *found = &out->found;
    bool number = kind == NP_WANT_NUMBER || kind == NP_WANT_SAMPLES;
    bool any = kind == NP_WANT_SCALAR || kind == NP_WANT_TIMES;

    *out = (struct np_avro_const){.found = {.type = NP_FOUND_NOTHING}};
    if (type->kind == NP_AVRO_UNION) {
        for (size_t i = 0; i < type->n; i++)
            if (fits(type->items[i], json))
                return np_avro_default(type->items[i], json, kind, out);
        return NP_ECONFIG;
    }
    if (!fits(type, json))
        return NP_ECONFIG;
    switch (type->kind) {
    case NP_AVRO_NULL:
        return NP_OK;
    case NP_AVRO_BOOLEAN:
        found->type = NP_FOUND_BOOLEAN;
        found->integer = json_is_true(json);
        return any ? NP_OK : NP_ECONFIG;
    case NP_AVRO_INT:
    case NP_AVRO_LONG:
        found->logical = (uint8_t)type->logical;
        if (number) {
            found->type = NP_FOUND_NUMBER;
            found->number = json_number_value(json);
            return NP_OK;
        }
        found->type = NP_FOUND_INTEGER;
        found->integer = json_integer_value(json);
        return kind == NP_WANT_BYTES ? NP_ECONFIG : NP_OK;
    case NP_AVRO_FLOAT:
    case NP_AVRO_DOUBLE:
        found->type = NP_FOUND_NUMBER;
        found->number = json_number_value(json);
        if (type->kind == NP_AVRO_FLOAT)
            found->number = (double)(float)found->number;
        return number || any ? NP_OK : NP_ECONFIG;
    case NP_AVRO_STRING:
    case NP_AVRO_ENUM:
        found->type = NP_FOUND_TEXT;
        found->text = json_string_value(json);
        found->n = (uint32_t)json_string_length(json);
        return any || kind == NP_WANT_TEXT ? NP_OK : NP_ECONFIG;
    case NP_AVRO_ARRAY:
        if (kind == NP_WANT_SAMPLES)
            return default_samples(json, out);
        return json_array_size(json) == 0 ? NP_OK : NP_ECONFIG; /* an empty one holds nothing for anybody */
    default:
        return NP_ECONFIG;
    }
}
