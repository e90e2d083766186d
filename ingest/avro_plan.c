/* Compiles wants and schemas into the program of a plan. */
#include "ingest/avro_plan.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/avro_compiler.h"
#include "ingest/avro_resolve.h"
#include "pipeline/node.h"

/* A want on its way down: the part of its path that comes next. */
struct going {
    size_t want, part;
};

static const char *wanted_text(enum np_want_kind kind)
{
    static const char *const texts[] = {
        [NP_WANT_NUMBER] = "a number",
        [NP_WANT_INTEGER] = "an int or long",
        [NP_WANT_TEXT] = "a string",
        [NP_WANT_SCALAR] = "a single value",
        [NP_WANT_SAMPLES] = "a number or an array of numbers",
        [NP_WANT_TIMES] = "a time or an array of long",
        [NP_WANT_BYTES] = "bytes",
    };

    return texts[kind];
}

/* Whoever wants this value cannot have it; other branches of a union may still do. */
static void add_fail(struct np_avro_compiler *c, const struct np_avro_type *type, const struct going *going,
                     size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        size_t want = going[i].want;
        char *why = c->why[want];

        c->wrong[want] = true;
        if (text)
            snprintf(why, sizeof *c->why, "field %s: %s", c->names[want], text);
        else
            snprintf(why, sizeof *c->why, "field %s: the schema has %s%s%s there; wanted is %s",
                     c->names[want], np_avro_kind_name(type->kind), type->name ? " " : "",
                     type->name ? type->name : "", wanted_text(c->wants[want].kind));
    }
    if (n)
        np_avro_add(c, (struct np_avro_op){.code = NP_OP_FAIL,
                                           .text = np_avro_keep(c, strdup(c->why[going[0].want]))});
}

static bool at_end(const struct np_avro_compiler *c, struct going going)
{
    return going.part == c->paths[going.want].n;
}

static bool next_is(const struct np_avro_compiler *c, struct going going, const char *part)
{
    return !at_end(c, going) && strcmp(c->paths[going.want].parts[going.part], part) == 0;
}

static void read_type(struct np_avro_compiler *c, const struct np_avro_type *writer,
                      const struct np_avro_type *reader, const struct going *going, size_t n);

static void read_union(struct np_avro_compiler *c, const struct np_avro_type *writer,
                       const struct np_avro_type *reader, const struct going *going, size_t n)
{
    uint32_t *table = np_avro_union_open(c, writer);

    for (size_t i = 0; i < writer->n && c->status == NP_OK; i++) {
        table[i] = np_avro_here(c);
        if (writer->items[i]->kind != NP_AVRO_NULL || (reader && !np_avro_answer(writer->items[i], reader)))
            read_type(c, writer->items[i], reader, going, n);
        np_avro_add(c, (struct np_avro_op){.code = NP_OP_JUMP});
    }
    if (c->status == NP_OK)
        np_avro_union_end(c, table, writer->n);
}

static void add_const(struct np_avro_compiler *c, size_t want, struct np_avro_const constant)
{
    struct np_avro_const *kept;

    if (constant.samples && !np_avro_keep(c, constant.samples))
        return;
    kept = np_avro_keep(c, malloc(sizeof *kept));
    if (!kept)
        return;
    *kept = constant;
    np_avro_add(c, (struct np_avro_op){.code = NP_OP_CONST, .slot = (uint32_t)want, .constant = kept});
    c->plan->has[want] = true;
}

/* A reader's field that the writer does not have. */
static void read_default(struct np_avro_compiler *c, const struct np_avro_type *type, json_t *json,
                         struct going going)
{
    struct np_avro_const constant;
    enum np_status status;

    for (; type->kind == NP_AVRO_RECORD && !at_end(c, going); going.part++) {
        const struct np_avro_field *field = np_avro_field_find(type, c->paths[going.want].parts[going.part]);
        json_t *inner = field ? json_object_get(json, field->name) : NULL;

        if (!field)
            return;
        json = inner ? inner : field->otherwise;
        type = field->type;
        if (!json) {
            add_fail(c, type, &going, 1, "the writer's schema lacks it and the reader's has no default");
            return;
        }
    }
    status = np_avro_default(type, json, c->wants[going.want].kind, &constant);
    if (status == NP_ENOMEM)
        c->status = NP_ENOMEM;
    else if (status != NP_OK || (!at_end(c, going) && constant.found.type != NP_FOUND_NOTHING))
        add_fail(c, type, &going, 1, "the reader's default does not fit what is wanted");
    else
        add_const(c, going.want, constant);
}

/* Says which name may have been meant. */
static void explain_missing(struct np_avro_compiler *c, const struct np_avro_type *record, struct going going)
{
    const char **names = calloc(record->n + 1, sizeof *names), *nearest = NULL;

    if (!names) {
        c->status = NP_ENOMEM;
        return;
    }
    for (size_t i = 0; i < record->n; i++)
        names[i] = record->fields[i].name;
    nearest = np_nearest(c->paths[going.want].parts[going.part], names, record->n);
    snprintf(c->why[going.want], sizeof *c->why, "field %s: record %s has no field %s%s%s",
             c->names[going.want], record->name, c->paths[going.want].parts[going.part],
             nearest ? "; the nearest is " : "", nearest ? nearest : "");
    free(names);
}

static void read_record(struct np_avro_compiler *c, const struct np_avro_type *writer,
                        const struct np_avro_type *reader, const struct going *going, size_t n)
{
    struct going *inner = calloc(n, sizeof *inner);
    const char *outer = c->field;

    if (!inner) {
        c->status = NP_ENOMEM;
        return;
    }
    for (size_t k = 0; k < n && c->status == NP_OK; k++) {
        const char *part;
        const struct np_avro_field *field;

        if (at_end(c, going[k]) || next_is(c, going[k], "[]")) {
            add_fail(c, writer, &going[k], 1, NULL);
            goto done;
        }
        part = c->paths[going[k].want].parts[going[k].part];
        field = np_avro_field_find(reader ? reader : writer, part);
        if (!field) {
            explain_missing(c, reader ? reader : writer, going[k]);
        } else if (reader && !np_avro_source(writer, field)) {
            struct going next = {going[k].want, going[k].part + 1};

            if (field->otherwise)
                read_default(c, field->type, field->otherwise, next);
            else
                add_fail(c, field->type, &next, 1,
                         "the writer's schema lacks it and the reader's has no default");
        }
    }
    for (size_t i = 0; i < writer->n && c->status == NP_OK; i++) {
        const struct np_avro_field *field = &writer->fields[i], *answer = field;
        size_t m = 0;

        if (reader) {
            answer = NULL;
            for (size_t k = 0; k < reader->n && !answer; k++)
                if (np_avro_source(writer, &reader->fields[k]) == field)
                    answer = &reader->fields[k];
        }
        for (size_t k = 0; k < n && answer; k++)
            if (next_is(c, going[k], answer->name))
                inner[m++] = (struct going){going[k].want, going[k].part + 1};
        c->field = field->name;
        if (m)
            read_type(c, field->type, reader ? answer->type : NULL, inner, m);
        else
            np_avro_skip(c, field->type, 0);
    }
done:
    c->field = outer;
    free(inner);
}

/* Every element of an array: its wants get one entry each time. */
static void read_elements(struct np_avro_compiler *c, const struct np_avro_type *writer,
                          const struct np_avro_type *reader, const struct going *going, size_t n)
{
    struct going *inner = calloc(n, sizeof *inner);
    uint32_t *slots = np_avro_table(c, n);
    uint32_t head;

    if (!inner || !slots) {
        c->status = NP_ENOMEM;
        free(inner);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        slots[i] = (uint32_t)going[i].want;
        inner[i] = (struct going){going[i].want, going[i].part + 1};
    }
    np_avro_add(c, (struct np_avro_op){.code = NP_OP_LOOP, .size = (int64_t)n, .table = slots});
    head = np_avro_here(c);
    np_avro_add(c, (struct np_avro_op){.code = NP_OP_NEXT, .wanted = true, .size = writer->items[0]->least});
    np_avro_add(c, (struct np_avro_op){.code = NP_OP_ELEMENT, .size = (int64_t)n, .table = slots});
    read_type(c, writer->items[0], reader ? reader->items[0] : NULL, inner, n);
    np_avro_add(c, (struct np_avro_op){.code = NP_OP_JUMP, .to = head});
    if (c->status == NP_OK)
        c->plan->ops[head].to = np_avro_here(c);
    free(inner);
}

static bool is_number(enum np_avro_kind kind)
{
    return kind >= NP_AVRO_INT && kind <= NP_AVRO_DOUBLE;
}

/* @return whether op now reads the array as samples or times */
static bool array_op(struct np_avro_compiler *c, const struct np_avro_type *writer,
                     const struct np_avro_type *reader, enum np_want_kind kind, struct np_avro_op *op)
{
    const struct np_avro_type *item = writer->items[0], *as = reader ? reader->items[0] : NULL;
    uint32_t *table;

    if (as && item->kind != NP_AVRO_UNION && !np_avro_answer(item, as))
        return false;
    if (kind == NP_WANT_TIMES) {
        *op = (struct np_avro_op){.code = NP_OP_TIMES, .logical = (uint8_t)item->logical};
        return item->kind == NP_AVRO_LONG || item->kind == NP_AVRO_INT;
    }
    *op = (struct np_avro_op){.code = NP_OP_SAMPLES, .item = (uint8_t)item->kind};
    if (kind != NP_WANT_SAMPLES || is_number(item->kind))
        return kind == NP_WANT_SAMPLES;
    if (item->kind != NP_AVRO_UNION)
        return false;
    table = np_avro_table(c, item->n);
    for (size_t i = 0; table && i < item->n; i++) {
        table[i] = item->items[i]->kind;
        if ((!is_number(item->items[i]->kind) && item->items[i]->kind != NP_AVRO_NULL) ||
            (as && !np_avro_answer(item->items[i], as)))
            return false;
    }
    op->code = NP_OP_SAMPLES_UNION;
    op->size = (int64_t)item->n;
    op->table = table;
    return true;
}

/* The value itself is wanted, by one or more. */
static void read_value(struct np_avro_compiler *c, const struct np_avro_type *writer,
                       const struct np_avro_type *reader, const struct going *going, size_t n)
{
    const char **symbols = NULL;
    struct np_avro_op first = {0};

    if (writer->kind == NP_AVRO_NULL) { /* no bytes and no value: as if it were absent */
        for (size_t i = 0; i < n; i++)
            snprintf(c->why[going[i].want], sizeof *c->why, "field %s: it is always null",
                     c->names[going[i].want]);
        return;
    }
    if (writer->kind == NP_AVRO_ENUM) {
        symbols = np_avro_keep(c, calloc(writer->n, sizeof *symbols));
        if (!symbols)
            return;
    }
    for (size_t i = 0; i < n && c->status == NP_OK; i++) {
        enum np_want_kind kind = c->wants[going[i].want].kind;
        struct np_avro_op op;
        bool fit = writer->kind == NP_AVRO_ARRAY ? array_op(c, writer, reader, kind, &op)
                                                 : np_avro_leaf(writer, reader, kind, symbols, &op);

        if (!fit || !at_end(c, going[i])) {
            add_fail(c, writer, &going[i], 1, NULL);
            return;
        }
        op.slot = (uint32_t)going[i].want;
        op.field = c->names[going[i].want];
        if (i == 0) {
            first = op;
        } else if (op.code != first.code || op.convert != first.convert || op.wanted != first.wanted) {
            add_fail(c, writer, &going[i], 1, "it is mapped twice, as two different things");
            return;
        } else {
            op = (struct np_avro_op){.code = NP_OP_COPY, .slot = op.slot, .to = first.slot};
        }
        np_avro_add(c, op);
        c->plan->has[going[i].want] = true;
    }
}

static void read_type(struct np_avro_compiler *c, const struct np_avro_type *writer,
                      const struct np_avro_type *reader, const struct going *going, size_t n)
{
    const struct np_avro_type *answer = reader;
    bool elements = next_is(c, going[0], "[]");

    if (writer->kind == NP_AVRO_UNION) {
        read_union(c, writer, reader, going, n);
        return;
    }
    if (reader)
        answer = np_avro_answer(writer, reader);
    if (reader && !answer) {
        add_fail(c, writer, going, n, "the writer's type cannot be read as the reader's");
        return;
    }
    if (writer->kind == NP_AVRO_RECORD) {
        read_record(c, writer, answer, going, n);
        return;
    }
    for (size_t i = 1; i < n; i++)
        if (next_is(c, going[i], "[]") != elements) {
            add_fail(c, writer, going, n, "an array is mapped both as a whole and by its elements");
            return;
        }
    if (writer->kind == NP_AVRO_ARRAY && elements)
        read_elements(c, writer, answer, going, n);
    else
        read_value(c, writer, answer, going, n);
}

static enum np_status compile(struct np_avro_compiler *c, const struct np_avro_schema *reader, size_t n_wants,
                              struct np_error *err)
{
    struct going *all = calloc(n_wants ? n_wants : 1, sizeof *all);

    if (!all)
        return np_fail(err, NP_ENOMEM, "Avro plan");
    for (size_t i = 0; i < n_wants; i++)
        all[i].want = i;
    if (n_wants)
        read_type(c, c->writer->root, reader ? reader->root : NULL, all, n_wants);
    else
        np_avro_skip(c, c->writer->root, 0);
    free(all);
    c->field = NULL;
    np_avro_here(c);
    np_avro_add(c, (struct np_avro_op){.code = NP_OP_END});
    np_avro_subroutines(c);
    if (c->status != NP_OK)
        return np_fail(err, NP_ENOMEM, "Avro plan");
    for (size_t i = 0; i < n_wants; i++)
        if (!c->plan->has[i] && (c->wants[i].required || c->wrong[i]))
            return np_fail(err, NP_ECONFIG, "%s", c->why[i][0] ? c->why[i] : c->names[i]);
    return NP_OK;
}

enum np_status np_avro_plan_open(struct np_avro_plan **out, const struct np_avro_schema *writer,
                                 const struct np_avro_schema *reader, const struct np_want *wants,
                                 size_t n_wants, struct np_error *err)
{
    struct np_avro_plan *plan = calloc(1, sizeof *plan);
    struct np_avro_compiler c = {.plan = plan, .wants = wants, .writer = writer};
    enum np_status status = NP_ENOMEM;

    if (!plan)
        return np_fail(err, NP_ENOMEM, "Avro plan");
    plan->n_wants = n_wants;
    plan->has = calloc(n_wants + 1, sizeof *plan->has);
    c.paths = calloc(n_wants + 1, sizeof *c.paths);
    c.names = calloc(n_wants + 1, sizeof *c.names);
    c.why = calloc(n_wants + 1, sizeof *c.why);
    c.wrong = calloc(n_wants + 1, sizeof *c.wrong);
    c.entry = malloc(writer->n * sizeof *c.entry);
    c.open = calloc(writer->n, sizeof *c.open);
    c.needed = calloc(writer->n, sizeof *c.needed);
    if (!plan->has || !c.paths || !c.names || !c.why || !c.wrong || !c.entry || !c.open || !c.needed) {
        np_fail(err, NP_ENOMEM, "Avro plan");
        goto done;
    }
    for (size_t i = 0; i < writer->n; i++)
        c.entry[i] = NP_AVRO_NO_ENTRY;
    for (size_t i = 0; i < n_wants; i++) {
        c.names[i] = np_avro_keep(&c, strdup(wants[i].path));
        status = c.names[i] ? np_path_parse(&c.paths[i], wants[i].path, err)
                            : np_fail(err, NP_ENOMEM, "Avro plan");
        if (status != NP_OK)
            goto done;
    }
    status = compile(&c, reader, n_wants, err);
done:
    for (size_t i = 0; c.paths && i < n_wants; i++)
        np_path_free(&c.paths[i]);
    free(c.paths);
    free(c.names);
    free(c.why);
    free(c.wrong);
    free(c.entry);
    free(c.open);
    free(c.needed);
    if (status == NP_OK)
        *out = plan;
    else
        np_avro_plan_close(plan);
    return status;
}

bool np_avro_plan_has(const struct np_avro_plan *plan, size_t want)
{
    return plan->has[want];
}

void np_avro_plan_close(struct np_avro_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->n_memory; i++)
        free(plan->memory[i]);
    free(plan->memory);
    free(plan->ops);
    free(plan->has);
    free(plan);
}
