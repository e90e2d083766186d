#include "ingest/feed_message.h"

#include <ctype.h>
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/file_reader.h"
#include "pipeline/avro_put.h"
#include "pipeline/json_text.h"

/* --- layout and schema ---------------------------------------------------------------------------- */

/* "U1 [V]" -> "U1__V_"; Avro names are [A-Za-z_][A-Za-z0-9_]* */
static char *field_name(const struct np_feed_layout *layout, size_t n, const char *channel)
{
    char *name;

    if (asprintf(&name, "%s%s", isdigit((unsigned char)*channel) || !*channel ? "_" : "", channel) == -1)
        return NULL;
    for (char *at = name; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9')))
            *at = '_';
    for (size_t i = 0; i < n; i++)
        if (strcmp(layout->fields[i].name, name) == 0) {
            char *unique;

            if (asprintf(&unique, "%s_%zu", name, n + 1) == -1)
                unique = NULL;
            free(name);
            return unique;
        }
    return name;
}

enum np_status np_feed_layout_make(struct np_feed_layout *layout, enum np_format format, bool array,
                                   const struct np_blocks *blocks, const struct np_file_info *info,
                                   struct np_error *err)
{
    *layout = (struct np_feed_layout){.format = format, .array = array, .schema_id = -1};
    layout->fields = calloc(blocks->n ? blocks->n : 1, sizeof *layout->fields);
    for (size_t i = 0; layout->fields && i < blocks->n; i++) {
        struct np_feed_field *field = &layout->fields[i];
        const struct np_block *block = &blocks->items[i];

        if (block->rate_hz == 0)
            layout->shape = NP_FEED_READING;
        else if (block->t0_ns != blocks->items[0].t0_ns)
            layout->shape = NP_FEED_SPLIT;
        field->name = field_name(layout, i, block->channel);
        field->channel = strdup(block->channel);
        field->unit = strdup(info ? info->channels[i].unit : "V");
        layout->n = i + 1;
        if (!field->name || !field->channel || !field->unit)
            return np_fail(err, NP_ENOMEM, "feed: out of memory");
    }
    return layout->fields ? NP_OK : np_fail(err, NP_ENOMEM, "feed: out of memory");
}

void np_feed_layout_free(struct np_feed_layout *layout)
{
    for (size_t i = 0; i < layout->n; i++) {
        free(layout->fields[i].name);
        free(layout->fields[i].channel);
        free(layout->fields[i].unit);
    }
    free(layout->fields);
    *layout = (struct np_feed_layout){0};
}

char *np_feed_schema(const struct np_feed_layout *layout)
{
    bool reading = layout->shape == NP_FEED_READING;
    const char *type = reading         ? "\"float\""
                       : layout->array ? "{\"type\": \"array\", \"items\": \"float\"}"
                                       : "\"bytes\"";
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    if (!out)
        return NULL;
    fprintf(out,
            "{\"type\": \"record\", \"name\": \"%s\", \"namespace\": \"grid\", \"fields\": [\n"
            "  {\"name\": \"meter\", \"type\": \"string\", \"doc\": \"name of the meter\"},\n"
            "  {\"name\": \"t0\", \"type\": \"long\", \"doc\": \"time of the %ssample, ns since 1970-01-01 "
            "UTC\"}",
            reading ? "Reading" : "Waveform", reading ? "" : "first ");
    if (!reading)
        fputs(",\n  {\"name\": \"rate_hz\", \"type\": \"double\", \"doc\": \"sampling rate in Hz\"}", out);
    for (size_t i = 0; i < layout->n; i++) {
        const struct np_feed_field *field = &layout->fields[i];
        char *doc = NULL;

        if (asprintf(&doc, "%s%s%s%s", field->channel, *field->unit ? " in " : "", field->unit,
                     reading || layout->array ? "" : ", float32 little-endian") == -1)
            doc = NULL;
        fprintf(out, ",\n  {\"name\": \"%s\", \"type\": ", field->name);
        fprintf(out, layout->shape == NP_FEED_SPLIT ? "[\"null\", %s]" : "%s", type);
        fputs(", \"doc\": ", out);
        np_json_text(doc ? doc : "", out);
        fputs("}", out);
        free(doc);
    }
    fputs("\n]}\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* --- Avro ------------------------------------------------------------------------------------------ */

static unsigned char *put_floats(unsigned char *at, const float *x, size_t n)
{
    for (size_t i = 0; i < n && BYTE_ORDER == BIG_ENDIAN; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], sizeof bits);
        bits = htole32(bits);
        memcpy(at + 4 * i, &bits, sizeof bits);
    }
    if (BYTE_ORDER == LITTLE_ENDIAN)
        memcpy(at, x, n * sizeof *x);
    return at + n * sizeof *x;
}

static unsigned char *put_samples(const struct np_feed_layout *layout, unsigned char *at,
                                  const struct np_block *block)
{
    if (layout->array) {
        at = np_avro_put_long(at, block->n);
        at = put_floats(at, block->x, block->n);
        return np_avro_put_long(at, 0);
    }
    at = np_avro_put_long(at, (int64_t)block->n * 4);
    return put_floats(at, block->x, block->n);
}

static unsigned char *put_head(const struct np_feed_layout *layout, unsigned char *at, const char *sensor,
                               int64_t t0_ns)
{
    size_t n = strlen(sensor);

    if (layout->schema_id >= 0) {
        uint32_t id = htobe32((uint32_t)layout->schema_id);

        *at++ = 0;
        memcpy(at, &id, sizeof id);
        at += sizeof id;
    }
    at = np_avro_put_long(at, (int64_t)n);
    memcpy(at, sensor, n);
    return np_avro_put_long(at + n, t0_ns);
}

/* The samples of the blocks from t0 on: those of other times are null. row: of a reading */
static int avro(const struct np_feed_layout *layout, const struct np_blocks *blocks,
                const struct np_block *head, uint32_t row, struct np_bytes *out)
{
    size_t bound = 64 + strlen(head->sensor) + blocks->n * 32 + blocks->samples_used * sizeof(float);
    bool reading = layout->shape == NP_FEED_READING;
    unsigned char *at, *start;

    out->n = 0;
    at = start = np_bytes_reserve(out, bound);
    if (!at)
        return -1;
    at = put_head(layout, at, head->sensor, reading ? head->times[row] : head->t0_ns);
    if (!reading) {
        uint64_t bits;

        memcpy(&bits, &head->rate_hz, sizeof bits);
        bits = htole64(bits);
        memcpy(at, &bits, sizeof bits);
        at += sizeof bits;
    }
    for (size_t i = 0; i < blocks->n; i++) {
        const struct np_block *block = &blocks->items[i];

        if (reading) {
            at = put_floats(at, block->x + row, 1);
        } else if (layout->shape != NP_FEED_SPLIT) {
            at = put_samples(layout, at, block);
        } else {
            at = np_avro_put_long(at, block->t0_ns == head->t0_ns);
            if (block->t0_ns == head->t0_ns)
                at = put_samples(layout, at, block);
        }
    }
    out->n = (size_t)(at - start);
    return 0;
}

/* --- JSON ------------------------------------------------------------------------------------------ */

/* Nine digits bring every float32 back. */
static void put_number(FILE *out, float x)
{
    if (isfinite(x))
        fprintf(out, "%.9g", (double)x);
    else
        fputs("null", out);
}

static int json(const struct np_feed_layout *layout, const struct np_blocks *blocks,
                const struct np_block *head, uint32_t row, struct np_bytes *buffer)
{
    bool reading = layout->shape == NP_FEED_READING;
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    int rc;

    if (!out)
        return -1;
    fputs("{\"meter\":", out);
    np_json_text(head->sensor, out);
    fprintf(out, ",\"t0\":%lld", (long long)(reading ? head->times[row] : head->t0_ns));
    if (!reading)
        fprintf(out, ",\"rate_hz\":%.17g", head->rate_hz);
    for (size_t i = 0; i < blocks->n; i++) {
        const struct np_block *block = &blocks->items[i];

        fprintf(out, ",\"%s\":", layout->fields[i].name);
        if (reading) {
            put_number(out, block->x[row]);
        } else if (block->t0_ns != head->t0_ns) {
            fputs("null", out);
        } else {
            for (uint32_t k = 0; k < block->n; k++) {
                fputc(k ? ',' : '[', out);
                put_number(out, block->x[k]);
            }
            fputc(']', out);
        }
    }
    fputc('}', out);
    rc = fclose(out);
    buffer->n = 0;
    if (rc == 0)
        rc = np_bytes_append(buffer, text, n);
    free(text);
    return rc;
}

/* --- blocks to messages ---------------------------------------------------------------------------- */

static bool seen_before(const struct np_blocks *blocks, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (blocks->items[k].t0_ns == blocks->items[i].t0_ns)
            return true;
    return false;
}

enum np_status np_feed_messages(const struct np_feed_layout *layout, const struct np_blocks *blocks,
                                struct np_bytes *buffer, struct np_feed_sink *sink, struct np_error *err)
{
    int (*write)(const struct np_feed_layout *, const struct np_blocks *, const struct np_block *, uint32_t,
                 struct np_bytes *) = layout->format == NP_FORMAT_AVRO ? avro : json;
    enum np_status st = NP_OK;

    if (layout->shape == NP_FEED_READING) {
        const struct np_block *head = &blocks->items[0];

        for (uint32_t row = 0; row < head->n && st == NP_OK; row++) {
            if (write(layout, blocks, head, row, buffer) != 0)
                return np_fail(err, NP_ENOMEM, "feed: out of memory for a message");
            st = sink->message(sink, head->sensor, buffer->data, buffer->n, blocks->n, head->times[row], err);
        }
        return st;
    }
    for (size_t i = 0; i < blocks->n && st == NP_OK; i++) {
        const struct np_block *head = &blocks->items[i];
        uint64_t samples = 0;

        if (seen_before(blocks, i))
            continue;
        for (size_t k = i; k < blocks->n; k++)
            samples += blocks->items[k].t0_ns == head->t0_ns ? head->n : 0;
        if (write(layout, blocks, head, 0, buffer) != 0)
            return np_fail(err, NP_ENOMEM, "feed: out of memory for a message");
        st = sink->message(sink, head->sensor, buffer->data, buffer->n, samples,
                           np_file_time(head->t0_ns, head->rate_hz, head->n), err);
    }
    return st;
}
