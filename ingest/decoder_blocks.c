/* Found values to blocks, with all checks. First everything that takes slab memory is counted and taken, so
 * that pointers into the slabs do not move any more. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/decoder.h"
#include "ingest/decoder_parts.h"
#include "ingest/samples.h"
#include "pipeline/utf8.h"

struct build {
    const struct np_decoder_map *m;
    const struct np_message *message;
    struct np_extract *extract;
    struct np_blocks *blocks;
    size_t n_elements;  /* of the array that paths with [] go into; else 1 */
    float *samples;     /* room for samples that are not in the slab yet */
    int64_t *times;     /* [n_elements] one time each; INT64_MIN: none */
    const char *sensor; /* of the whole message, or of the element at hand */
    const char **reason;
    struct np_error *err;
};

#define BAD(b, word, ...) (*(b)->reason = (word), np_fail((b)->err, NP_EDATA, __VA_ARGS__))

static const struct np_found *found_at(const struct build *b, int index, bool repeated, size_t element)
{
    return &b->extract->lists[index].items[repeated ? element : 0];
}

/* @return NULL when the mapping has no such path */
static const struct np_found *found_want(const struct build *b, int want, size_t element)
{
    return b->m->at[want] < 0 ? NULL : found_at(b, b->m->at[want], b->m->repeated[want], element);
}

static const struct np_found *found_samples(const struct build *b, size_t channel, size_t element)
{
    return found_at(b, b->m->first_channel + (int)channel, b->m->channels_repeated, element);
}

bool np_found_time(const struct np_found *found, int64_t unit_ns, int64_t *ns)
{
    static const int64_t logical_ns[] = {
        [NP_LOGICAL_MILLIS] = 1000000, [NP_LOGICAL_MICROS] = 1000, [NP_LOGICAL_NANOS] = 1};
    char text[64];
    double whole, fraction, unit;

    switch (found->type) {
    case NP_FOUND_TEXT:
        if (found->n >= sizeof text)
            return false;
        memcpy(text, found->text, found->n);
        text[found->n] = '\0';
        return np_time_parse(text, ns);
    case NP_FOUND_INTEGER:
        if (unit_ns == 0)
            unit_ns = logical_ns[found->logical];
        return unit_ns != 0 && !__builtin_mul_overflow(found->integer, unit_ns, ns) && *ns != INT64_MIN;
    case NP_FOUND_NUMBER:
        /* the whole part exactly: seconds as a double have no more than 0.2 us left for
         * the fraction anyway */
        unit = (double)unit_ns;
        fraction = modf(found->number, &whole);
        if (unit_ns == 0 || !(fabs(found->number) * unit < 9.2e18))
            return false;
        *ns = (int64_t)whole * unit_ns + llrint(fraction * unit);
        return true;
    default:
        return false;
    }
}

static bool is_good(const struct np_found *quality)
{
    static const char *const words[] = {"good", "ok", "valid"};

    if (!quality)
        return true;
    switch (quality->type) {
    case NP_FOUND_NOTHING:
        return true;
    case NP_FOUND_BOOLEAN:
        return quality->integer != 0;
    case NP_FOUND_INTEGER:
        return quality->integer == 0;
    case NP_FOUND_NUMBER:
        return quality->number == 0;
    default:
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strlen(words[i]) == quality->n && strncasecmp(words[i], quality->text, quality->n) == 0)
                return true;
        return false;
    }
}

/* Sensors and channels become keys, labels and rows: no control characters (one of them separates the parts
 * of a key). */
static bool is_name(const char *text, size_t n)
{
    if (n == 0 || n > NP_NAME_MAX_BYTES || !np_utf8_valid(text, n))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

/* A name as text in the blocks' memory, which has room for it. */
static enum np_status take_name(struct build *b, const struct np_found *found, const char *what,
                                const char **out)
{
    char digits[24];
    const char *text = digits;
    size_t n;

    if (!found) { /* the key */
        text = b->message->key;
        n = text ? b->message->key_length : 0;
    } else if (found->type == NP_FOUND_INTEGER) {
        n = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)found->integer);
    } else if (found->type == NP_FOUND_TEXT) {
        text = found->text;
        n = found->n;
    } else {
        return BAD(b, what, "the %s has no name", what);
    }
    if (!is_name(text, n))
        return BAD(b, what,
                   "the %s's name, %zu bytes%s, must be 1 to %d bytes of UTF-8 without control characters",
                   what, n, found ? "" : " (the message key)", NP_NAME_MAX_BYTES);
    *out = np_blocks_string(b->blocks, text, n);
    return NP_OK;
}

static size_t name_bound(const struct np_found *found)
{
    return !found ? 0 : found->type == NP_FOUND_TEXT ? found->n + 1 : 24;
}

static bool wants_scaling(const struct np_decoder_map *m)
{
    return m->map->scale != 1 || m->map->offset != 0 || m->at[WANT_SCALE] >= 0 || m->at[WANT_OFFSET] >= 0;
}

/* Counts elements and takes all memory that the blocks need beyond what was found. */
static enum np_status take_memory(struct build *b)
{
    const struct np_decoder_map *m = b->m;
    size_t strings = b->message->key_length + 1, samples = 0, width = np_sample_size(m->map->encoding);
    bool scaled = wants_scaling(m);

    b->n_elements = m->channels_repeated ? b->extract->lists[m->first_channel].n : 1;
    for (size_t c = 0; c < m->map->n_channels; c++) {
        const struct np_found_list *list = &b->extract->lists[m->first_channel + (int)c];

        if (m->channels_repeated && list->n != b->n_elements)
            return BAD(b, "decode", "the mapped arrays have %zu and %zu elements", b->n_elements, list->n);
        for (size_t i = 0; i < list->n; i++) {
            const struct np_found *found = &list->items[i];

            if (found->type == NP_FOUND_BYTES)
                samples += found->n / width;
            else if (found->type == NP_FOUND_NUMBER)
                samples++;
            else if (scaled && found->type == NP_FOUND_SAMPLES)
                samples += found->n;
            else if (found->type == NP_FOUND_NOTHING)
                samples++;
        }
    }
    for (int w = 0; w < WANT_SAMPLES; w++) {
        const struct np_found_list *list = m->at[w] < 0 ? NULL : &b->extract->lists[m->at[w]];

        if (!list)
            continue;
        if (m->repeated[w] && list->n != b->n_elements)
            return BAD(b, "decode", "the mapped arrays have %zu and %zu elements", b->n_elements, list->n);
        for (size_t i = 0; (w == WANT_SENSOR || w == WANT_CHANNEL) && i < list->n; i++)
            strings += name_bound(&list->items[i]);
    }
    b->samples = np_blocks_samples(b->blocks, samples + 1);
    b->times = np_blocks_times(b->blocks, b->n_elements + 1);
    if (!b->samples || !b->times || !np_blocks_strings(b->blocks, strings))
        return np_fail(b->err, NP_ENOMEM, "decode: blocks of a message");
    return NP_OK;
}

static enum np_status bad_time(struct build *b, const struct np_found *found)
{
    int64_t unit_ns = b->m->map->time_unit_ns;

    if (found->type == NP_FOUND_TEXT)
        return BAD(b, "time", "time \"%.*s\" is not RFC 3339, or not between 1677 and 2262",
                   found->n > 64 ? 64 : (int)found->n, found->text);
    if (found->type == NP_FOUND_BOOLEAN ||
        (unit_ns == 0 && !(found->type == NP_FOUND_INTEGER && found->logical)))
        return BAD(
            b, "time",
            "time is a number without a unit: neither the schema's logical type nor the mapping gives one");
    return BAD(b, "time", "time is not between 1677 and 2262 in ns");
}

/* Times of all elements; an array of times is turned into ns where it lies. */
static enum np_status take_times(struct build *b)
{
    b->times[0] = INT64_MIN;
    for (size_t i = 0; i < b->n_elements; i++) {
        const struct np_found *found = found_want(b, WANT_TIME, i);

        if (i > 0 && !b->m->repeated[WANT_TIME]) {
            b->times[i] = b->times[0];
            continue;
        }
        b->times[i] = INT64_MIN;
        if (found->type == NP_FOUND_TIMES) {
            struct np_found one = {.type = NP_FOUND_INTEGER, .logical = found->logical};

            for (size_t k = 0; k < found->n; k++) {
                one.integer = b->blocks->times[found->first + k];
                if (!np_found_time(&one, b->m->map->time_unit_ns, &b->blocks->times[found->first + k]))
                    return bad_time(b, &one);
            }
        } else if (found->type != NP_FOUND_NOTHING) {
            if (!np_found_time(found, b->m->map->time_unit_ns, &b->times[i]))
                return bad_time(b, found);
        }
    }
    return NP_OK;
}

static enum np_status get_rate(struct build *b, size_t element, double *rate_hz)
{
    const struct np_found *found = found_want(b, WANT_RATE, element);

    *rate_hz = b->m->map->rate_hz;
    if (!found)
        return NP_OK;
    if (found->type != NP_FOUND_NUMBER)
        return BAD(b, "missing", "the rate is missing");
    *rate_hz = found->number;
    if (!(*rate_hz >= NP_RATE_MIN_HZ && *rate_hz <= NP_RATE_MAX_HZ))
        return BAD(b, "rate", "the rate is %g Hz; allowed is %g to %g", *rate_hz, NP_RATE_MIN_HZ, NP_RATE_MAX_HZ);
    return NP_OK;
}

static enum np_status get_factor(struct build *b, int want, size_t element, double otherwise, double *factor)
{
    const struct np_found *found = found_want(b, want, element);

    *factor = otherwise;
    if (!found)
        return NP_OK;
    if (found->type != NP_FOUND_NUMBER || !isfinite(found->number))
        return BAD(b, "missing", "%s is missing or no finite number",
                   want == WANT_SCALE ? "scale" : "offset");
    *factor = found->number;
    return NP_OK;
}

/* The samples of one found value as float32 in the slab. */
static enum np_status get_samples(struct build *b, const struct np_found *found, size_t element, float **x,
                                  uint32_t *n)
{
    enum np_encoding encoding = b->m->map->encoding;
    size_t width = np_sample_size(encoding);
    double scale, offset;
    enum np_status status = get_factor(b, WANT_SCALE, element, b->m->map->scale, &scale);

    if (status == NP_OK)
        status = get_factor(b, WANT_OFFSET, element, b->m->map->offset, &offset);
    if (status != NP_OK)
        return status;
    *x = b->samples;
    *n = found->n;
    if (found->type == NP_FOUND_BYTES) {
        if (found->n % width != 0)
            return BAD(b, "encoding", "%u bytes of samples are no multiple of %zu", found->n, width);
        *n = (uint32_t)(found->n / width);
        np_samples_decode(encoding, found->text, *n, scale, offset, *x);
    } else if (found->type == NP_FOUND_NUMBER) {
        *n = 1;
        **x = (float)(found->number * scale + offset);
    } else if (wants_scaling(b->m)) {
        np_samples_scale(b->blocks->samples + found->first, *n, scale, offset, *x);
    } else {
        *x = b->blocks->samples + found->first;
        goto quality;
    }
    b->samples += *n;
quality:
    if (!is_good(found_want(b, WANT_QUALITY, element)))
        for (uint32_t i = 0; i < *n; i++)
            (*x)[i] = NAN;
    return NP_OK;
}

static enum np_status add_block(struct build *b, size_t channel, const char *name, struct np_block block)
{
    struct np_block *to;

    if (!np_block_is_in_time(&block))
        return BAD(b, "time", "a sample's time is not between 1900 and 2100");
    to = np_blocks_add(b->blocks);
    if (!to)
        return np_fail(b->err, NP_ENOMEM, "decode: blocks of a message");
    block.sensor = b->sensor;
    block.channel = name ? name : b->m->map->channels[channel].name;
    block.channel_index = name ? -1 : (int)channel;
    *to = block;
    return NP_OK;
}

/* One value of one element: a block of samples, or a reading. */
static enum np_status add_element(struct build *b, size_t channel, size_t element, const char *name)
{
    const struct np_found *found = found_samples(b, channel, element),
                          *time = found_want(b, WANT_TIME, element);
    struct np_block block = {0};
    enum np_status status;
    float *x;

    if (found->type == NP_FOUND_NOTHING)
        return NP_OK;
    status = get_rate(b, element, &block.rate_hz);
    if (status == NP_OK)
        status = get_samples(b, found, element, &x, &block.n);
    if (status != NP_OK)
        return status;
    block.x = x;
    if (block.n == 0)
        return BAD(b, "empty", "a block without samples");
    if (time->type == NP_FOUND_TIMES) {
        if (time->n != block.n)
            return BAD(b, "time", "%u samples and %u times", block.n, time->n);
        block.rate_hz = 0;
        block.times = b->blocks->times + time->first;
        block.t0_ns = block.times[0];
        return add_block(b, channel, name, block);
    }
    if (time->type == NP_FOUND_NOTHING)
        return BAD(b, "missing", "the time is missing");
    block.t0_ns = b->times[element];
    if (block.rate_hz == 0) {
        if (block.n > 1)
            return BAD(b, "rate", "%u samples and one time, but no rate", block.n);
        block.times = &b->times[element];
    }
    return add_block(b, channel, name, block);
}

/* Whether the elements are readings of one stream per channel, which become one block. */
static bool is_series(const struct build *b, double *rate_hz)
{
    const struct np_decoder_map *m = b->m;
    bool timed = m->repeated[WANT_TIME];

    *rate_hz = m->map->rate_hz;
    if (!m->channels_repeated || m->repeated[WANT_SENSOR] || m->repeated[WANT_CHANNEL] ||
        m->repeated[WANT_RATE])
        return false;
    if (timed == (m->at[WANT_RATE] >= 0 || m->map->rate_hz > 0))
        return false;
    for (size_t c = 0; c < m->map->n_channels; c++)
        for (size_t i = 0; i < b->n_elements; i++) {
            enum np_found_type type = (enum np_found_type)found_samples(b, c, i)->type;

            if (type != NP_FOUND_NUMBER && type != NP_FOUND_NOTHING)
                return false;
        }
    return true;
}

static enum np_status add_series(struct build *b, size_t channel, const char *name)
{
    struct np_block block = {.x = b->samples, .n = (uint32_t)b->n_elements, .t0_ns = b->times[0]};
    enum np_status status = get_rate(b, 0, &block.rate_hz);

    for (size_t i = 0; status == NP_OK && i < b->n_elements; i++) {
        const struct np_found *found = found_samples(b, channel, i);
        uint32_t n;
        float *x;

        if (b->m->repeated[WANT_TIME] || i == 0)
            if (b->times[i] == INT64_MIN)
                return found->type == NP_FOUND_NOTHING && b->n_elements == 1
                           ? NP_OK
                           : BAD(b, "missing", "the time is missing");
        if (found->type == NP_FOUND_NOTHING)
            *b->samples++ = NAN;
        else
            status = get_samples(b, found, i, &x, &n);
    }
    if (status != NP_OK || b->n_elements == 0)
        return status;
    if (block.rate_hz == 0)
        block.times = b->times;
    return add_block(b, channel, name, block);
}

static enum np_status add_all(struct build *b)
{
    const struct np_decoder_map *m = b->m;
    const char *name = NULL;
    enum np_status status = NP_OK;
    double rate_hz;
    bool series = is_series(b, &rate_hz);

    for (size_t e = 0; e < (series ? 1 : b->n_elements); e++) {
        bool first = e == 0;

        if (first || m->repeated[WANT_SENSOR])
            status = take_name(b, found_want(b, WANT_SENSOR, e), "sensor", &b->sensor);
        if (status == NP_OK && m->at[WANT_CHANNEL] >= 0 && (first || m->repeated[WANT_CHANNEL]))
            status = take_name(b, found_want(b, WANT_CHANNEL, e), "channel", &name);
        for (size_t c = 0; status == NP_OK && c < m->map->n_channels; c++)
            status = series ? add_series(b, c, name) : add_element(b, c, e, name);
        if (status != NP_OK)
            return status;
    }
    return b->blocks->n ? NP_OK : BAD(b, "empty", "the message holds no reading");
}

enum np_status np_decoder_blocks(const struct np_decoder_map *m, const struct np_message *message,
                                 struct np_extract *extract, const char **reason, struct np_error *err)
{
    struct build b = {.m = m,
                      .message = message,
                      .extract = extract,
                      .blocks = extract->blocks,
                      .reason = reason,
                      .err = err};
    enum np_status status = take_memory(&b);

    if (status == NP_OK)
        status = take_times(&b);
    if (status == NP_OK)
        status = add_all(&b);
    return status;
}
