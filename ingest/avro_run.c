/* Runs the program of a plan over one message. Every length is checked against the bytes left before it is
 * used. */
#include <math.h>
#include <string.h>

#include "ingest/avro_plan.h"
#include "ingest/avro_program.h"

struct cursor {
    const unsigned char *start, *at, *end;
};

/* An open loop or a call. */
struct frame {
    int64_t items; /* left in this block */
    uint32_t back; /* call: where to return */
};

static size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* The long way: near the end of the message, or more than a byte. @return false: cut off, or more than 64
 * bits */
static bool get_varint_slow(struct cursor *c, int64_t *value)
{
    uint64_t bits = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        unsigned char byte;

        if (c->at == c->end)
            return false;
        byte = *c->at++;
        if (shift == 63 && byte > 1)
            return false;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return false;
}

static inline bool get_varint(struct cursor *c, int64_t *value)
{
    if (c->at != c->end && *c->at < 0x80) {
        *value = (int64_t)(*c->at >> 1) ^ -(int64_t)(*c->at & 1);
        c->at++;
        return true;
    }
    return get_varint_slow(c, value);
}

static bool skip_varint(struct cursor *c)
{
    int64_t value;

    return get_varint(c, &value);
}

/* A length that fits into what is left. */
static bool get_length(struct cursor *c, int64_t *length)
{
    return get_varint(c, length) && *length >= 0 && (uint64_t)*length <= left(c);
}

/* The head of a block of an array or map (specification, "Complex Types"): a negative count is followed by
 * the block's length. @param block_bytes -1 when not given. @return false if it is cut off or claims more
 * items than there can be */
static bool get_block(struct cursor *c, int64_t least, int64_t *count, int64_t *block_bytes)
{
    *block_bytes = -1;
    if (!get_varint(c, count))
        return false;
    if (*count < 0) {
        if (*count == INT64_MIN || !get_length(c, block_bytes))
            return false;
        *count = -*count;
    }
    return *count == 0 || (uint64_t)*count <= left(c) / (uint64_t)(least > 0 ? least : 1);
}

/* Items without any bytes (null, empty records) may be claimed in any number; they cost nothing to skip. */
static bool skip_items(struct cursor *c, int64_t size)
{
    int64_t count, bytes;

    do {
        if (!get_varint(c, &count))
            return false;
        if (count < 0) {
            if (!get_length(c, &bytes))
                return false;
            c->at += bytes;
        } else if (count > 0 && size > 0) {
            if ((uint64_t)count > left(c) / (uint64_t)size)
                return false;
            c->at += count * size;
        }
    } while (count != 0);
    return true;
}

static bool get_float(struct cursor *c, float *value)
{
    if (left(c) < sizeof *value)
        return false;
    memcpy(value, c->at, sizeof *value);
    c->at += sizeof *value;
    return true;
}

static bool get_double(struct cursor *c, double *value)
{
    if (left(c) < sizeof *value)
        return false;
    memcpy(value, c->at, sizeof *value);
    c->at += sizeof *value;
    return true;
}

static bool get_int(struct cursor *c, int64_t *value)
{
    return get_varint(c, value) && *value >= INT32_MIN && *value <= INT32_MAX;
}

/* One number of any kind as a sample; null is a missing one. */
static bool get_sample(struct cursor *c, enum np_avro_kind kind, float *sample)
{
    int64_t whole;
    double number;

    switch (kind) {
    case NP_AVRO_NULL:
        *sample = NAN;
        return true;
    case NP_AVRO_INT:
        if (!get_int(c, &whole))
            return false;
        *sample = (float)whole;
        return true;
    case NP_AVRO_LONG:
        if (!get_varint(c, &whole))
            return false;
        *sample = (float)whole;
        return true;
    case NP_AVRO_FLOAT:
        return get_float(c, sample);
    default:
        if (!get_double(c, &number))
            return false;
        *sample = (float)number;
        return true;
    }
}

enum outcome { GOOD, BAD, NO_MEMORY };

static enum outcome read_samples(struct cursor *c, const struct np_avro_op *op, struct np_blocks *blocks,
                                 struct np_found *found)
{
    int64_t least = op->code == NP_OP_SAMPLES_UNION ? 1
                    : op->item == NP_AVRO_FLOAT     ? (int64_t)sizeof(float)
                    : op->item == NP_AVRO_DOUBLE    ? (int64_t)sizeof(double)
                                                    : 1;
    int64_t count, bytes, branch;
    float *to;

    found->type = NP_FOUND_SAMPLES;
    found->first = blocks->samples_used;
    for (;;) {
        if (!get_block(c, least, &count, &bytes))
            return BAD;
        if (count == 0)
            break;
        to = np_blocks_samples(blocks, (size_t)count);
        if (!to)
            return NO_MEMORY;
        if (op->code == NP_OP_SAMPLES_UNION) {
            for (int64_t i = 0; i < count; i++)
                if (!get_varint(c, &branch) || branch < 0 || branch >= op->size ||
                    !get_sample(c, (enum np_avro_kind)op->table[branch], &to[i]))
                    return BAD;
        } else if (op->item == NP_AVRO_FLOAT) {
            memcpy(to, c->at, (size_t)count * sizeof *to);
            c->at += (size_t)count * sizeof *to;
        } else {
            for (int64_t i = 0; i < count; i++)
                if (!get_sample(c, (enum np_avro_kind)op->item, &to[i]))
                    return BAD;
        }
    }
    if (blocks->samples_used - found->first > UINT32_MAX)
        return BAD;
    found->n = (uint32_t)(blocks->samples_used - found->first);
    return GOOD;
}

static enum outcome read_times(struct cursor *c, const struct np_avro_op *op, struct np_blocks *blocks,
                               struct np_found *found)
{
    int64_t count, bytes, *to;

    found->type = NP_FOUND_TIMES;
    found->logical = op->logical;
    found->first = blocks->times_used;
    for (;;) {
        if (!get_block(c, 1, &count, &bytes))
            return BAD;
        if (count == 0)
            break;
        to = np_blocks_times(blocks, (size_t)count);
        if (!to)
            return NO_MEMORY;
        for (int64_t i = 0; i < count; i++)
            if (!get_varint(c, &to[i]))
                return BAD;
    }
    if (blocks->times_used - found->first > UINT32_MAX)
        return BAD;
    found->n = (uint32_t)(blocks->times_used - found->first);
    return GOOD;
}

static void set_number(struct np_found *found, const struct np_avro_op *op, double number)
{
    found->type = NP_FOUND_NUMBER;
    found->number = op->convert == NP_TO_FLOAT ? (double)(float)number : number;
}

static void set_integer(struct np_found *found, const struct np_avro_op *op, int64_t integer)
{
    if (op->convert == NP_TO_FLOAT) {
        found->type = NP_FOUND_NUMBER;
        found->number = (double)(float)integer;
    } else if (op->convert == NP_TO_NUMBER) {
        found->type = NP_FOUND_NUMBER;
        found->number = (double)integer;
    } else {
        found->type = NP_FOUND_INTEGER;
        found->integer = integer;
    }
    found->logical = op->logical;
}

static void set_text(struct np_found *found, enum np_found_type type, const void *text, size_t n)
{
    found->type = (uint8_t)type;
    found->text = text;
    found->n = (uint32_t)n;
}

static enum outcome set_constant(const struct np_avro_const *constant, struct np_blocks *blocks,
                                 struct np_found *found)
{
    *found = constant->found;
    if (found->type == NP_FOUND_SAMPLES) {
        found->first = blocks->samples_used;
        if (found->n) {
            float *to = np_blocks_samples(blocks, found->n);

            if (!to)
                return NO_MEMORY;
            memcpy(to, constant->samples, found->n * sizeof *to);
        }
    }
    return GOOD;
}

/* Reads one wanted value. */
static enum outcome read_value(struct cursor *c, const struct np_avro_op *op, struct np_extract *extract)
{
    struct np_found_list *list = &extract->lists[op->slot];
    struct np_found *found = &list->items[list->n - 1];
    int64_t whole;
    double number;
    float single;

    switch (op->code) {
    case NP_OP_BOOLEAN:
        if (left(c) < 1 || *c->at > 1)
            return BAD;
        found->type = NP_FOUND_BOOLEAN;
        found->integer = *c->at++;
        return GOOD;
    case NP_OP_INT:
        if (!get_int(c, &whole))
            return BAD;
        set_integer(found, op, whole);
        return GOOD;
    case NP_OP_LONG:
        if (!get_varint(c, &whole))
            return BAD;
        set_integer(found, op, whole);
        return GOOD;
    case NP_OP_FLOAT:
        if (!get_float(c, &single))
            return BAD;
        set_number(found, op, (double)single);
        return GOOD;
    case NP_OP_DOUBLE:
        if (!get_double(c, &number))
            return BAD;
        set_number(found, op, number);
        return GOOD;
    case NP_OP_STRING:
        if (!get_length(c, &whole))
            return BAD;
        set_text(found, op->wanted ? NP_FOUND_TEXT : NP_FOUND_BYTES, c->at, (size_t)whole);
        c->at += whole;
        return GOOD;
    case NP_OP_FIXED:
        if ((uint64_t)op->size > left(c))
            return BAD;
        set_text(found, NP_FOUND_BYTES, c->at, (size_t)op->size);
        c->at += op->size;
        return GOOD;
    case NP_OP_ENUM:
        if (!get_varint(c, &whole) || whole < 0 || whole >= op->size || !op->symbols[whole])
            return BAD;
        set_text(found, NP_FOUND_TEXT, op->symbols[whole], strlen(op->symbols[whole]));
        return GOOD;
    case NP_OP_SAMPLES:
    case NP_OP_SAMPLES_UNION:
        return read_samples(c, op, extract->blocks, found);
    case NP_OP_TIMES:
        return read_times(c, op, extract->blocks, found);
    case NP_OP_CONST:
        return set_constant(op->constant, extract->blocks, found);
    default: /* NP_OP_COPY */
        *found = extract->lists[op->to].items[extract->lists[op->to].n - 1];
        return GOOD;
    }
}

static enum np_status bad(const struct cursor *c, const struct np_avro_op *op, struct np_error *err)
{
    size_t at = (size_t)(c->at - c->start), length = (size_t)(c->end - c->start);

    if (op->code == NP_OP_END)
        return np_fail(err, NP_EDATA,
                       "Avro: %zu of the message's %zu bytes are left over: it was written by another "
                       "schema",
                       length - at, length);
    if (op->code == NP_OP_FAIL)
        return np_fail(err, NP_EDATA, "Avro: %s", op->text);
    return np_fail(err, NP_EDATA,
                   "Avro: field %s: byte %zu of %zu: the message is cut off or was written by another "
                   "schema",
                   op->field ? op->field : "(whole)", at, length);
}

enum np_status np_avro_plan_run(const struct np_avro_plan *plan, const void *data, size_t length,
                                struct np_extract *extract, struct np_error *err)
{
    const unsigned char *start = length ? data : (const void *)"";
    struct cursor cursor = {start, start, start + length}, *c = &cursor;
    struct frame frames[NP_AVRO_DEPTH];
    const struct np_avro_op *op = plan->ops;
    int64_t whole, bytes;
    size_t depth = 0;

    if (length > UINT32_MAX)
        return np_fail(err, NP_EDATA, "Avro: a message of %zu bytes", length);
    for (size_t i = 0; i < extract->n_wants; i++) {
        extract->lists[i].n = 1;
        extract->lists[i].items[0] = (struct np_found){.type = NP_FOUND_NOTHING};
    }
    for (;; op++) {
        switch (op->code) {
        case NP_OP_END:
            return c->at == c->end ? NP_OK : bad(c, op, err);
        case NP_OP_SKIP:
            if ((uint64_t)op->size > left(c))
                return bad(c, op, err);
            c->at += op->size;
            break;
        case NP_OP_SKIP_VARINTS:
            for (int64_t i = 0; i < op->size; i++)
                if (!skip_varint(c))
                    return bad(c, op, err);
            break;
        case NP_OP_SKIP_STRING:
            if (!get_length(c, &whole))
                return bad(c, op, err);
            c->at += whole;
            break;
        case NP_OP_SKIP_ITEMS:
            if (!skip_items(c, op->size))
                return bad(c, op, err);
            break;
        case NP_OP_JUMP:
            op = plan->ops + op->to - 1;
            break;
        case NP_OP_CALL:
            if (depth == NP_AVRO_DEPTH)
                return bad(c, op, err);
            frames[depth++] = (struct frame){.back = (uint32_t)(op - plan->ops)};
            op = plan->ops + op->to - 1;
            break;
        case NP_OP_RETURN:
            op = plan->ops + frames[--depth].back;
            break;
        case NP_OP_UNION:
            if (!get_varint(c, &whole) || whole < 0 || whole >= op->size)
                return bad(c, op, err);
            op = plan->ops + op->table[whole] - 1;
            break;
        case NP_OP_LOOP:
            if (depth == NP_AVRO_DEPTH)
                return bad(c, op, err);
            frames[depth++] = (struct frame){.items = 0};
            for (int64_t i = 0; i < op->size; i++)
                extract->lists[op->table[i]].n = 0;
            break;
        case NP_OP_NEXT:
            if (frames[depth - 1].items > 0) {
                frames[depth - 1].items--;
                break;
            }
            for (;;) {
                if (!get_block(c, op->size, &whole, &bytes))
                    return bad(c, op, err);
                if (bytes < 0 || op->wanted)
                    break;
                c->at += bytes; /* nothing in this block is wanted */
            }
            if (whole == 0) {
                depth--;
                op = plan->ops + op->to - 1;
            } else {
                frames[depth - 1].items = whole - 1;
            }
            break;
        case NP_OP_ELEMENT:
            for (int64_t i = 0; i < op->size; i++)
                if (!np_found_add(&extract->lists[op->table[i]]))
                    return np_fail(err, NP_ENOMEM, "decode: list of found values");
            break;
        case NP_OP_FAIL:
            return bad(c, op, err);
        default: {
            enum outcome outcome = read_value(c, op, extract);

            if (outcome == NO_MEMORY)
                return np_fail(err, NP_ENOMEM, "decode: slab of samples");
            if (outcome == BAD)
                return bad(c, op, err);
        }
        }
    }
}
