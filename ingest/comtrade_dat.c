/* The samples of a COMTRADE record: IEEE C37.111-2013, clause 8. Binary data is little-endian. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/comtrade.h"

#define BUFFER_BYTES  262144
#define NO_STAMP      UINT32_MAX
#define MISSING_ASCII 99999

static uint32_t le16(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t le32(const unsigned char *at)
{
    return le16(at) | le16(at + 2) << 16;
}

enum np_status np_comtrade_data_open(struct np_file *file, struct np_comtrade *record, struct np_error *err)
{
    static const size_t sizes[] = {
        [NP_COMTRADE_BINARY] = 2, [NP_COMTRADE_BINARY32] = 4, [NP_COMTRADE_FLOAT32] = 4};
    size_t bytes = 0;

    record->read = record->buffered = record->used = record->rate = 0;
    record->pending = false;
    if (record->type == NP_COMTRADE_ASCII) {
        record->lines.stream = record->data;
        record->lines.name = record->data_name;
        np_lines_reset(&record->lines);
        if (!record->fields)
            record->fields = calloc(2 + record->n_analog + record->n_digital, sizeof *record->fields);
    } else {
        record->record = 8 + sizes[record->type] * record->n_analog + 2 * ((record->n_digital + 15) / 16);
        bytes =
            record->record < BUFFER_BYTES ? BUFFER_BYTES / record->record * record->record : record->record;
        if (!record->buffer)
            record->buffer = malloc(bytes);
    }
    if (!record->row)
        record->row = calloc(file->info.n_channels, sizeof *record->row);
    if (!record->row || (record->type == NP_COMTRADE_ASCII ? !record->fields : !record->buffer))
        return np_fail(err, NP_ENOMEM, "%s: out of memory", record->data_name);
    if (fseeko(record->data, (off_t)record->data_at, SEEK_SET) != 0)
        return np_fail(err, NP_EDATA, "%s: byte %" PRIi64 " cannot be reached", record->data_name,
                       record->data_at);
    return NP_OK;
}

/* The data ends here: is it whole? */
static enum np_status data_ends(struct np_comtrade *record, const char *place, struct np_error *err)
{
    if (record->read >= record->n_samples && record->read > 0)
        return NP_EEND;
    return np_fail(err, NP_EDATA, "%s: %s: the data ends after %" PRIu64 " of %" PRIu64 " samples",
                   record->data_name, place, record->read, record->n_samples);
}

/* Samples are numbered one by one, which is all that tells a byte or a line that was lost. */
static enum np_status check_number(struct np_comtrade *record, uint32_t n, const char *place,
                                   struct np_error *err)
{
    uint32_t wanted = record->first_number + (uint32_t)record->read;

    if (record->read == 0)
        record->first_number = n;
    else if (n != wanted)
        return np_fail(err, NP_EDATA,
                       "%s: %s: sample number %" PRIu32 " where %" PRIu32
                       " is wanted: bytes or lines are missing or "
                       "damaged before here",
                       record->data_name, place, n, wanted);
    return NP_OK;
}

/* The time that a stamp tells; 32-bit microseconds start over every 71.6 minutes. */
static enum np_status take_stamp(struct np_comtrade *record, uint64_t stamp, const char *place,
                                 struct np_error *err)
{
    long double time;

    if (record->n_rates > 0)
        return NP_OK;
    if (stamp == NO_STAMP)
        return np_fail(err, NP_EDATA, "%s: %s: no time stamp, and the configuration gives no sampling rate",
                       record->data_name, place);
    if (record->read > 0 && stamp < record->stamp && record->stamp - stamp > UINT32_MAX / 2)
        record->turns++;
    record->stamp = stamp;
    time = (long double)record->start_ns +
           ((long double)stamp + (long double)record->turns * 4294967296.0L) * (long double)record->stamp_ns;
    if (!(fabsl(time) < 9.2e18L))
        return np_fail(err, NP_EDATA, "%s: %s: a time stamp beyond the year 2261", record->data_name, place);
    record->row_time_ns = (int64_t)llroundl(time);
    return NP_OK;
}

/* --- ASCII ---------------------------------------------------------------------------------------- */

static enum np_status ascii_value(const struct np_file *file, struct np_comtrade *record, size_t i,
                                  const char *place, struct np_error *err)
{
    const char *text = record->fields[2 + i];
    const struct np_comtrade_channel *channel = i < record->n_analog ? &record->analog[i] : NULL;
    double raw;

    record->row[i] = NAN;
    if (*text == '\0')
        return NP_OK;
    if (!np_double_parse(text, &raw) || (!channel && raw != 0 && raw != 1))
        return np_fail(err, NP_EDATA, "%s: %s: \"%.40s\" is no %s (channel %.64s)", record->data_name, place,
                       text, channel ? "number" : "0 or 1", file->channels[i].name);
    if (!channel)
        record->row[i] = (float)raw;
    else if (raw != MISSING_ASCII || (record->revision > 1991 && channel->max >= MISSING_ASCII))
        record->row[i] = (float)(raw * channel->a + channel->b);
    return NP_OK;
}

static enum np_status next_ascii(struct np_file *file, struct np_comtrade *record, struct np_error *err)
{
    size_t wanted = 2 + record->n_analog + record->n_digital, n;
    double number, stamp = NO_STAMP;
    char *line, place[48];
    enum np_status st;

    do
        st = np_lines_next(&record->lines, &line, err);
    while (st == NP_OK && line[strspn(line, " \t")] == '\0');
    snprintf(place, sizeof place, "line %" PRIi64, record->lines.number + record->line_offset);
    file->done = record->data_at + record->lines.offset;
    if (st == NP_EEND || (st == NP_OK && *line == '\x1a'))
        return data_ends(record, place, err);
    if (st != NP_OK)
        return st;
    line[strcspn(line, "\x1a")] = '\0';
    n = np_fields_split(line, ',', false, record->fields, wanted);
    if (n != wanted)
        return np_fail(err, NP_EDATA, "%s: %s: %zu fields where number, time and %zu channels need %zu",
                       record->data_name, place, n, wanted - 2, wanted);
    if (!np_double_parse(record->fields[0], &number) || number < 0 || number > UINT32_MAX ||
        number != floor(number))
        return np_fail(err, NP_EDATA, "%s: %s: \"%.40s\" is no sample number", record->data_name, place,
                       record->fields[0]);
    if (*record->fields[1] && (!np_double_parse(record->fields[1], &stamp) || stamp < 0 || stamp > 1e15))
        return np_fail(err, NP_EDATA, "%s: %s: \"%.40s\" is no time stamp", record->data_name, place,
                       record->fields[1]);
    st = check_number(record, (uint32_t)number, place, err);
    if (st == NP_OK)
        st = take_stamp(record, (uint64_t)stamp, place, err);
    for (size_t i = 0; i < file->info.n_channels && st == NP_OK; i++)
        st = ascii_value(file, record, i, place, err);
    return st;
}

/* --- binary --------------------------------------------------------------------------------------- */

static float binary_value(enum np_comtrade_type type, const unsigned char *at,
                          const struct np_comtrade_channel *channel)
{
    double raw;

    if (type == NP_COMTRADE_BINARY) {
        if (le16(at) == 0x8000)
            return NAN;
        raw = (int16_t)le16(at);
    } else {
        uint32_t bits = le32(at);
        float f32;

        memcpy(&f32, &bits, sizeof f32);
        if (type == NP_COMTRADE_BINARY32 ? bits == 0x80000000 : !isfinite(f32))
            return NAN;
        raw = type == NP_COMTRADE_BINARY32 ? (double)(int32_t)bits : (double)f32;
    }
    return (float)(raw * channel->a + channel->b);
}

static enum np_status fill_buffer(struct np_comtrade *record, struct np_error *err)
{
    size_t capacity = record->record < BUFFER_BYTES ? BUFFER_BYTES / record->record : 1;
    int64_t at = record->data_at + (int64_t)record->read * (int64_t)record->record;
    int64_t left = (record->data_end - at) / (int64_t)record->record;
    char place[48];

    if (left < (int64_t)capacity)
        capacity = left > 0 ? (size_t)left : 0;
    record->buffered = capacity ? fread(record->buffer, record->record, capacity, record->data) : 0;
    record->used = 0;
    snprintf(place, sizeof place, "byte %" PRIi64, at);
    return record->buffered ? NP_OK : data_ends(record, place, err);
}

static enum np_status next_binary(struct np_file *file, struct np_comtrade *record, struct np_error *err)
{
    size_t size = record->type == NP_COMTRADE_BINARY ? 2 : 4, n = 0;
    const unsigned char *at;
    char place[48];
    enum np_status st = record->used < record->buffered ? NP_OK : fill_buffer(record, err);

    if (st != NP_OK)
        return st;
    at = record->buffer + record->used * record->record;
    file->done = record->data_at + (int64_t)(record->read + 1) * (int64_t)record->record;
    snprintf(place, sizeof place, "byte %" PRIi64, file->done - (int64_t)record->record);
    st = check_number(record, le32(at), place, err);
    if (st == NP_OK)
        st = take_stamp(record, le32(at + 4), place, err);
    if (st != NP_OK)
        return st;
    record->used++;
    at += 8;
    for (; n < record->n_analog; n++, at += size)
        record->row[n] = binary_value(record->type, at, &record->analog[n]);
    for (size_t i = 0; n < file->info.n_channels; i++, n++)
        record->row[n] = (float)(le16(at + 2 * (i / 16)) >> (i % 16) & 1);
    return NP_OK;
}

enum np_status np_comtrade_data_next(struct np_file *file, struct np_comtrade *record, struct np_error *err)
{
    enum np_status st =
        record->type == NP_COMTRADE_ASCII ? next_ascii(file, record, err) : next_binary(file, record, err);

    if (st == NP_OK)
        record->read++;
    return st;
}
