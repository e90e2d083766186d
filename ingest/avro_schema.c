#include "ingest/avro_schema.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX   100
#define TYPES_MAX   10000
#define ENCODED_MAX ((int64_t)1 << 40) /* sums of lengths stop here: no message is that long */

static const char *const kind_names[] = {"null",   "boolean", "int",  "long",  "float", "double", "bytes",
                                         "string", "record",  "enum", "array", "map",   "union",  "fixed"};

const char *np_avro_kind_name(enum np_avro_kind kind)
{
    return kind_names[kind];
}

const char *np_avro_short_name(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

static enum np_status parse(struct np_avro_schema *schema, json_t *json, const char *space, int depth,
                            struct np_avro_type **out, struct np_error *err);

static struct np_avro_type *new_type(struct np_avro_schema *schema, enum np_avro_kind kind)
{
    struct np_avro_type **types = realloc(schema->types, (schema->n + 1) * sizeof *types);
    struct np_avro_type *type = calloc(1, sizeof *type);

    if (types)
        schema->types = types;
    if (!types || !type) {
        free(type);
        return NULL;
    }
    type->kind = kind;
    type->index = schema->n;
    schema->types[schema->n++] = type;
    return type;
}

static bool find_kind(const char *name, enum np_avro_kind *kind)
{
    for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++)
        if (strcmp(kind_names[i], name) == 0) {
            *kind = (enum np_avro_kind)i;
            return true;
        }
    if (strcmp(name, "error") == 0) {
        *kind = NP_AVRO_RECORD;
        return true;
    }
    return false;
}

/* "name" in namespace "space"; a dotted name is full already. Own memory. */
static char *full_name(const char *name, const char *space)
{
    char *full;

    if (strchr(name, '.') || !space || !*space)
        return strdup(name);
    return asprintf(&full, "%s.%s", space, name) < 0 ? NULL : full;
}

/* In its namespace first, then by its full name. */
static struct np_avro_type *find_named(const struct np_avro_schema *schema, const char *name,
                                       const char *space)
{
    size_t in_space = strlen(space);
    struct np_avro_type *found = NULL;

    for (size_t i = 0; i < schema->n; i++) {
        const char *full = schema->types[i]->name;

        if (!full)
            continue;
        if (!strchr(name, '.') && in_space && strncmp(full, space, in_space) == 0 && full[in_space] == '.' &&
            strcmp(full + in_space + 1, name) == 0)
            return schema->types[i];
        if (strcmp(full, name) == 0)
            found = schema->types[i];
    }
    return found;
}

static enum np_logical find_logical(const char *name)
{
    static const struct {
        const char *name;
        enum np_logical logical;
    } rows[] = {
        {"timestamp-millis", NP_LOGICAL_MILLIS},       {"timestamp-micros", NP_LOGICAL_MICROS},
        {"timestamp-nanos", NP_LOGICAL_NANOS},         {"local-timestamp-millis", NP_LOGICAL_MILLIS},
        {"local-timestamp-micros", NP_LOGICAL_MICROS}, {"local-timestamp-nanos", NP_LOGICAL_NANOS},
    };

    for (size_t i = 0; name && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].logical;
    return NP_LOGICAL_NONE;
}

static enum np_status no_memory(struct np_error *err)
{
    return np_fail(err, NP_ENOMEM, "Avro schema");
}

static enum np_status parse_union(struct np_avro_schema *schema, json_t *json, const char *space, int depth,
                                  struct np_avro_type **out, struct np_error *err)
{
    size_t n = json_array_size(json);
    struct np_avro_type *type = new_type(schema, NP_AVRO_UNION);

    if (!type)
        return no_memory(err);
    *out = type;
    if (n == 0)
        return np_fail(err, NP_ECONFIG, "Avro schema: a union without types");
    type->items = calloc(n, sizeof *type->items);
    if (!type->items)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        enum np_status status =
            parse(schema, json_array_get(json, i), space, depth + 1, &type->items[i], err);

        if (status != NP_OK)
            return status;
        if (type->items[i]->kind == NP_AVRO_UNION)
            return np_fail(err, NP_ECONFIG, "Avro schema: a union directly inside a union");
        type->n++;
    }
    return NP_OK;
}

static enum np_status parse_container(struct np_avro_schema *schema, enum np_avro_kind kind, json_t *json,
                                      const char *space, int depth, struct np_avro_type **out,
                                      struct np_error *err)
{
    const char *key = kind == NP_AVRO_ARRAY ? "items" : "values";
    struct np_avro_type *type = new_type(schema, kind);

    if (!type)
        return no_memory(err);
    *out = type;
    if (!json_object_get(json, key))
        return np_fail(err, NP_ECONFIG, "Avro schema: %s without the type of its %s", kind_names[kind], key);
    type->items = calloc(1, sizeof *type->items);
    if (!type->items)
        return no_memory(err);
    type->n = 1;
    return parse(schema, json_object_get(json, key), space, depth + 1, &type->items[0], err);
}

static enum np_status parse_record(struct np_avro_schema *schema, struct np_avro_type *type, json_t *json,
                                   const char *space, int depth, struct np_error *err)
{
    json_t *fields = json_object_get(json, "fields");
    size_t n = json_array_size(fields);

    if (!json_is_array(fields))
        return np_fail(err, NP_ECONFIG, "Avro schema: record %s has no fields", type->name);
    type->fields = calloc(n ? n : 1, sizeof *type->fields);
    if (!type->fields)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        json_t *field = json_array_get(fields, i);
        struct np_avro_field *to = &type->fields[i];
        enum np_status status;

        to->name = json_string_value(json_object_get(field, "name"));
        if (!to->name || !json_object_get(field, "type"))
            return np_fail(err, NP_ECONFIG, "Avro schema: record %s, field %zu: name or type is missing",
                           type->name, i + 1);
        for (size_t k = 0; k < i; k++)
            if (strcmp(type->fields[k].name, to->name) == 0)
                return np_fail(err, NP_ECONFIG, "Avro schema: record %s has two fields %s", type->name,
                               to->name);
        to->otherwise = json_object_get(field, "default");
        to->aliases = json_object_get(field, "aliases");
        status = parse(schema, json_object_get(field, "type"), space, depth + 1, &to->type, err);
        if (status != NP_OK)
            return status;
        type->n++;
    }
    return NP_OK;
}

static enum np_status parse_enum(struct np_avro_type *type, json_t *json, struct np_error *err)
{
    json_t *symbols = json_object_get(json, "symbols");
    size_t n = json_array_size(symbols);

    type->symbols = calloc(n ? n : 1, sizeof *type->symbols);
    if (!type->symbols)
        return no_memory(err);
    for (; type->n < n; type->n++) {
        type->symbols[type->n] = json_string_value(json_array_get(symbols, type->n));
        if (!type->symbols[type->n])
            break;
    }
    if (n == 0 || type->n < n)
        return np_fail(err, NP_ECONFIG, "Avro schema: enum %s: symbols must be a list of names", type->name);
    type->otherwise = json_string_value(json_object_get(json, "default"));
    return NP_OK;
}

static enum np_status parse_fixed(struct np_avro_type *type, json_t *json, struct np_error *err)
{
    json_t *size = json_object_get(json, "size");

    type->size = json_integer_value(size);
    if (!json_is_integer(size) || type->size < 0 || type->size > INT32_MAX)
        return np_fail(err, NP_ECONFIG, "Avro schema: fixed %s: size must be 0 to %d", type->name, INT32_MAX);
    return NP_OK;
}

static enum np_status parse_named(struct np_avro_schema *schema, enum np_avro_kind kind, json_t *json,
                                  const char *space, int depth, struct np_avro_type **out,
                                  struct np_error *err)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *own_space = json_string_value(json_object_get(json, "namespace"));
    struct np_avro_type *type = new_type(schema, kind);
    enum np_status status;
    char *inner;

    if (!type)
        return no_memory(err);
    *out = type;
    if (!name || !*name)
        return np_fail(err, NP_ECONFIG, "Avro schema: a %s without a name", kind_names[kind]);
    type->name = full_name(name, own_space ? own_space : space);
    if (!type->name)
        return no_memory(err);
    for (size_t i = 0; i < type->index; i++)
        if (schema->types[i]->name && strcmp(schema->types[i]->name, type->name) == 0)
            return np_fail(err, NP_ECONFIG, "Avro schema: %s is defined twice", type->name);
    type->aliases = json_object_get(json, "aliases");
    if (kind == NP_AVRO_ENUM)
        return parse_enum(type, json, err);
    if (kind == NP_AVRO_FIXED)
        return parse_fixed(type, json, err);
    /* names inside belong to the record's namespace */
    inner = strndup(type->name, (size_t)(np_avro_short_name(type->name) - type->name));
    if (!inner)
        return no_memory(err);
    if (*inner)
        inner[strlen(inner) - 1] = '\0';
    status = parse_record(schema, type, json, inner, depth, err);
    free(inner);
    return status;
}

/* A name: of a primitive type, or of a type defined before. */
static enum np_status parse_name(struct np_avro_schema *schema, const char *name, const char *space,
                                 enum np_logical logical, struct np_avro_type **out, struct np_error *err)
{
    enum np_avro_kind kind;

    if (find_kind(name, &kind) && kind <= NP_AVRO_STRING) {
        *out = new_type(schema, kind);
        if (!*out)
            return no_memory(err);
        (*out)->logical = kind == NP_AVRO_LONG ? logical : NP_LOGICAL_NONE;
        return NP_OK;
    }
    *out = find_named(schema, name, space);
    if (!*out)
        return np_fail(err, NP_ECONFIG, "Avro schema: unknown type %s", name);
    return NP_OK;
}

static enum np_status parse(struct np_avro_schema *schema, json_t *json, const char *space, int depth,
                            struct np_avro_type **out, struct np_error *err)
{
    enum np_avro_kind kind;
    const char *name;
    json_t *inner;

    if (depth > DEPTH_MAX)
        return np_fail(err, NP_ECONFIG, "Avro schema: more than %d levels deep", DEPTH_MAX);
    if (schema->n >= TYPES_MAX)
        return np_fail(err, NP_ECONFIG, "Avro schema: more than %d types", TYPES_MAX);
    if (json_is_string(json))
        return parse_name(schema, json_string_value(json), space, NP_LOGICAL_NONE, out, err);
    if (json_is_array(json))
        return parse_union(schema, json, space, depth, out, err);
    inner = json_object_get(json, "type");
    if (!inner)
        return np_fail(err, NP_ECONFIG,
                       "Avro schema: a type must be a name, a list or an object with \"type\"");
    if (!json_is_string(inner))
        return parse(schema, inner, space, depth + 1, out, err);
    name = json_string_value(inner);
    if (!find_kind(name, &kind) || kind <= NP_AVRO_STRING)
        return parse_name(schema, name, space,
                          find_logical(json_string_value(json_object_get(json, "logicalType"))), out, err);
    if (kind == NP_AVRO_UNION)
        return np_fail(err, NP_ECONFIG, "Avro schema: unknown type union; a union is a list of types");
    if (kind == NP_AVRO_ARRAY || kind == NP_AVRO_MAP)
        return parse_container(schema, kind, json, space, depth, out, err);
    return parse_named(schema, kind, json, space, depth, out, err);
}

static int64_t at_most(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

/* Fills encoded and least of a type and of all below it. */
static void measure(struct np_avro_type *type)
{
    static const struct {
        int encoded, least;
    } rows[] = {
        [NP_AVRO_NULL] = {0, 0},   [NP_AVRO_BOOLEAN] = {1, 1}, [NP_AVRO_INT] = {-1, 1},
        [NP_AVRO_LONG] = {-1, 1},  [NP_AVRO_FLOAT] = {4, 4},   [NP_AVRO_DOUBLE] = {8, 8},
        [NP_AVRO_BYTES] = {-1, 1}, [NP_AVRO_STRING] = {-1, 1}, [NP_AVRO_RECORD] = {-1, 0},
        [NP_AVRO_ENUM] = {-1, 1},  [NP_AVRO_ARRAY] = {-1, 1},  [NP_AVRO_MAP] = {-1, 1},
        [NP_AVRO_UNION] = {-1, 1},
    };

    if (type->measured)
        return; /* also while it is being measured: a recursive type has no fixed length */
    type->measured = true;
    if (type->kind == NP_AVRO_FIXED) {
        type->encoded = type->least = type->size;
        return;
    }
    type->encoded = rows[type->kind].encoded;
    type->least = rows[type->kind].least;
    for (size_t i = 0; type->items && i < type->n; i++)
        measure(type->items[i]);
    if (type->kind == NP_AVRO_RECORD) {
        int64_t encoded = 0;

        for (size_t i = 0; i < type->n; i++) {
            struct np_avro_type *field = type->fields[i].type;

            measure(field);
            encoded = encoded < 0 || field->encoded < 0 ? -1 : at_most(encoded + field->encoded, ENCODED_MAX);
            type->least = at_most(type->least + field->least, ENCODED_MAX);
        }
        type->encoded = encoded;
    }
}

enum np_status np_avro_schema_parse(struct np_avro_schema **out, const char *text, size_t length,
                                    struct np_error *err)
{
    struct np_avro_schema *schema = calloc(1, sizeof *schema);
    enum np_status status;
    json_error_t at;

    if (!schema)
        return no_memory(err);
    schema->json = json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &at);
    if (!schema->json)
        status = np_fail(err, NP_ECONFIG, "Avro schema: line %d, column %d: %s", at.line, at.column, at.text);
    else
        status = parse(schema, schema->json, "", 0, &schema->root, err);
    if (status != NP_OK) {
        np_avro_schema_close(schema);
        return status;
    }
    measure(schema->root);
    *out = schema;
    return NP_OK;
}

void np_avro_schema_close(struct np_avro_schema *schema)
{
    if (!schema)
        return;
    for (size_t i = 0; i < schema->n; i++) {
        free(schema->types[i]->name);
        free(schema->types[i]->fields);
        free(schema->types[i]->items);
        free(schema->types[i]->symbols);
        free(schema->types[i]);
    }
    free(schema->types);
    json_decref(schema->json);
    free(schema);
}
