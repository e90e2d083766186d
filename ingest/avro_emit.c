/* Emits operations, and all that skips what nobody wants. */
#include <stdlib.h>

#include "ingest/avro_compiler.h"

#define INLINE_OPS                                                                                           \
    4096 /* above, records that are skipped become subroutines: a schema may grow by doubling */
#define INLINE_DEPTH 16

void *np_avro_keep(struct np_avro_compiler *c, void *memory)
{
    struct np_avro_plan *plan = c->plan;
    void **grown = memory ? realloc(plan->memory, (plan->n_memory + 1) * sizeof *grown) : NULL;

    if (!grown) {
        free(memory);
        c->status = NP_ENOMEM;
        return NULL;
    }
    plan->memory = grown;
    return plan->memory[plan->n_memory++] = memory;
}

uint32_t *np_avro_table(struct np_avro_compiler *c, size_t n)
{
    return np_avro_keep(c, calloc(n ? n : 1, sizeof(uint32_t)));
}

uint32_t np_avro_add(struct np_avro_compiler *c, struct np_avro_op op)
{
    struct np_avro_plan *plan = c->plan;

    if (plan->n == plan->capacity) {
        size_t capacity = plan->capacity ? 2 * plan->capacity : 64;
        struct np_avro_op *ops = realloc(plan->ops, capacity * sizeof *ops);

        if (!ops) {
            c->status = NP_ENOMEM;
            return 0;
        }
        plan->ops = ops;
        plan->capacity = capacity;
    }
    if (!op.field)
        op.field = c->field;
    plan->ops[plan->n] = op;
    return (uint32_t)plan->n++;
}

uint32_t np_avro_here(struct np_avro_compiler *c)
{
    return c->label = (uint32_t)c->plan->n;
}

/* Skips of the same sort in a row are one. */
static void add_skip(struct np_avro_compiler *c, enum np_avro_code code, int64_t size)
{
    struct np_avro_plan *plan = c->plan;

    if (size == 0)
        return;
    if (plan->n > c->label && plan->ops[plan->n - 1].code == code &&
        plan->ops[plan->n - 1].size < INT32_MAX) {
        plan->ops[plan->n - 1].size += size;
        return;
    }
    np_avro_add(c, (struct np_avro_op){.code = (uint8_t)code, .size = size});
}

/* Opens a union: branch i is then compiled at table[i], and np_avro_union_end() lets all meet. */
uint32_t *np_avro_union_open(struct np_avro_compiler *c, const struct np_avro_type *type)
{
    uint32_t *table = np_avro_table(c, type->n);

    np_avro_add(c, (struct np_avro_op){.code = NP_OP_UNION, .size = (int64_t)type->n, .table = table});
    return table;
}

void np_avro_union_end(struct np_avro_compiler *c, const uint32_t *table, size_t n)
{
    uint32_t end = np_avro_here(c);

    for (size_t i = 0; i < n && c->status == NP_OK; i++) {
        uint32_t last = (i + 1 < n ? table[i + 1] : end) - 1; /* each branch ends in its jump */

        c->plan->ops[last].to = end;
    }
}

static void skip_fields(struct np_avro_compiler *c, const struct np_avro_type *type, int depth)
{
    for (size_t i = 0; i < type->n && c->status == NP_OK; i++)
        np_avro_skip(c, type->fields[i].type, depth + 1);
}

static void skip_loop(struct np_avro_compiler *c, const struct np_avro_type *type, int depth)
{
    const struct np_avro_type *item = type->items[0];
    uint32_t head;

    if (type->kind == NP_AVRO_ARRAY && item->encoded >= 0) {
        np_avro_add(c, (struct np_avro_op){.code = NP_OP_SKIP_ITEMS, .size = item->encoded});
        return;
    }
    np_avro_add(c, (struct np_avro_op){.code = NP_OP_LOOP});
    head = np_avro_here(c);
    np_avro_add(c,
                (struct np_avro_op){.code = NP_OP_NEXT, .size = item->least + (type->kind == NP_AVRO_MAP)});
    if (type->kind == NP_AVRO_MAP)
        np_avro_add(c, (struct np_avro_op){.code = NP_OP_SKIP_STRING});
    np_avro_skip(c, item, depth + 1);
    np_avro_add(c, (struct np_avro_op){.code = NP_OP_JUMP, .to = head});
    if (c->status == NP_OK)
        c->plan->ops[head].to = np_avro_here(c);
}

static void skip_union(struct np_avro_compiler *c, const struct np_avro_type *type, int depth)
{
    uint32_t *table = np_avro_union_open(c, type);

    for (size_t i = 0; i < type->n && c->status == NP_OK; i++) {
        table[i] = np_avro_here(c);
        np_avro_skip(c, type->items[i], depth + 1);
        np_avro_add(c, (struct np_avro_op){.code = NP_OP_JUMP});
    }
    if (c->status == NP_OK)
        np_avro_union_end(c, table, type->n);
}

void np_avro_skip(struct np_avro_compiler *c, const struct np_avro_type *type, int depth)
{
    if (type->encoded >= 0) {
        add_skip(c, NP_OP_SKIP, type->encoded);
        return;
    }
    switch (type->kind) {
    case NP_AVRO_INT:
    case NP_AVRO_LONG:
    case NP_AVRO_ENUM:
        add_skip(c, NP_OP_SKIP_VARINTS, 1);
        return;
    case NP_AVRO_ARRAY:
    case NP_AVRO_MAP:
        skip_loop(c, type, depth);
        return;
    case NP_AVRO_UNION:
        skip_union(c, type, depth);
        return;
    case NP_AVRO_RECORD:
        if (c->open[type->index] || c->plan->n > INLINE_OPS || depth > INLINE_DEPTH) {
            c->needed[type->index] = true;
            np_avro_add(c, (struct np_avro_op){.code = NP_OP_CALL, .size = (int64_t)type->index});
            return;
        }
        c->open[type->index] = true;
        skip_fields(c, type, depth);
        c->open[type->index] = false;
        return;
    default: /* string, bytes */
        np_avro_add(c, (struct np_avro_op){.code = NP_OP_SKIP_STRING});
    }
}

/* Compiling one may ask for more. */
void np_avro_subroutines(struct np_avro_compiler *c)
{
    bool more = true;

    while (more && c->status == NP_OK) {
        more = false;
        for (size_t i = 0; i < c->writer->n && c->status == NP_OK; i++) {
            if (!c->needed[i] || c->entry[i] != NP_AVRO_NO_ENTRY)
                continue;
            more = true;
            c->entry[i] = np_avro_here(c);
            c->open[i] = true;
            skip_fields(c, c->writer->types[i], 0);
            c->open[i] = false;
            np_avro_add(c, (struct np_avro_op){.code = NP_OP_RETURN});
        }
    }
    for (size_t i = 0; i < c->plan->n && c->status == NP_OK; i++)
        if (c->plan->ops[i].code == NP_OP_CALL)
            c->plan->ops[i].to = c->entry[c->plan->ops[i].size];
}
