/* WAV: RIFF/WAVE (Microsoft Multimedia Programming Interface 1.0, 1991; WAVE_FORMAT_EXTENSIBLE, 2007) and
 * RF64 (EBU Tech 3306). All little-endian. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/file_reader.h"

#define FORMAT_PCM        1
#define FORMAT_FLOAT      3
#define FORMAT_EXTENSIBLE 0xfffe
#define MAX_CHANNELS      1024

struct wav {
    int format; /* FORMAT_PCM or FORMAT_FLOAT */
    int bits;
    unsigned n_channels;
    size_t frame;          /* bytes of one sample of all channels */
    uint64_t data, length; /* the samples' place [bytes]; length UINT64_MAX: to the end of the file */
    uint64_t read;         /* frames given so far */
    unsigned char *buffer;
    size_t capacity; /* [bytes] */
};

static uint32_t le16(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t le32(const unsigned char *at)
{
    return le16(at) | le16(at + 2) << 16;
}

static uint64_t le64(const unsigned char *at)
{
    return le32(at) | (uint64_t)le32(at + 4) << 32;
}

static bool match(const unsigned char *head, size_t n, const char *extension)
{
    (void)extension;
    return n >= 12 && (memcmp(head, "RIFF", 4) == 0 || memcmp(head, "RF64", 4) == 0) &&
           memcmp(head + 8, "WAVE", 4) == 0;
}

static enum np_status read_format(struct np_file *file, struct wav *wav, uint64_t at, uint32_t size,
                                  struct np_error *err)
{
    unsigned char chunk[40];
    size_t n = size < sizeof chunk ? size : sizeof chunk;
    int format;
    uint32_t rate, align;

    if (n < 16 || fread(chunk, 1, n, file->stream) != n)
        return np_fail(err, NP_EDATA, "%s: byte %" PRIu64 ": the fmt chunk is cut short", file->name, at);
    format = (int)le16(chunk);
    if (format == FORMAT_EXTENSIBLE && n >= 26)
        format = (int)le16(chunk + 24); /* the first two bytes of the GUID */
    wav->format = format;
    wav->n_channels = le16(chunk + 2);
    rate = le32(chunk + 4);
    align = le16(chunk + 12);
    wav->bits = (int)le16(chunk + 14);
    if (!(format == FORMAT_PCM && (wav->bits == 16 || wav->bits == 24 || wav->bits == 32)) &&
        !(format == FORMAT_FLOAT && (wav->bits == 32 || wav->bits == 64)))
        return np_fail(err, NP_EDATA,
                       "%s: byte %" PRIu64
                       ": sample format %d with %d bits; PCM of 16, 24 or 32 bits and float of 32 or 64 "
                       "bits can be read",
                       file->name, at, format, wav->bits);
    if (wav->n_channels < 1 || wav->n_channels > MAX_CHANNELS)
        return np_fail(err, NP_EDATA, "%s: byte %" PRIu64 ": %u channels, 1 to %d are allowed", file->name,
                       at + 2, wav->n_channels, MAX_CHANNELS);
    wav->frame = (size_t)wav->n_channels * (size_t)wav->bits / 8;
    if (align != wav->frame)
        return np_fail(err, NP_EDATA,
                       "%s: byte %" PRIu64 ": frames of %u bytes where %u channels of %d bits need %zu",
                       file->name, at + 12, align, wav->n_channels, wav->bits, wav->frame);
    if (rate == 0 && file->options.rate_hz == 0)
        return np_fail(err, NP_EDATA, "%s: byte %" PRIu64 ": a sampling rate of 0", file->name, at + 4);
    file->info.rate_hz = file->options.rate_hz > 0 ? file->options.rate_hz : rate;
    return NP_OK;
}

/* Walks the chunks up to the samples. */
static enum np_status find_samples(struct np_file *file, struct wav *wav, struct np_error *err)
{
    unsigned char head[12], ds64[16];
    uint64_t at = 12, long_data = 0;
    bool rf64;

    if (fread(head, 1, 12, file->stream) != 12)
        return np_fail(err, NP_EDATA, "%s: byte 0: the RIFF header is cut short", file->name);
    rf64 = memcmp(head, "RF64", 4) == 0;
    for (;;) {
        uint32_t size;

        if (fseeko(file->stream, (off_t)at, SEEK_SET) != 0 || fread(head, 1, 8, file->stream) != 8)
            return np_fail(err, NP_EDATA, "%s: byte %" PRIu64 ": the file ends before %s", file->name, at,
                           wav->frame ? "a data chunk" : "a fmt chunk");
        size = le32(head + 4);
        at += 8;
        if (memcmp(head, "ds64", 4) == 0 && size >= 16 && fread(ds64, 1, 16, file->stream) == 16)
            long_data = le64(ds64 + 8);
        if (memcmp(head, "fmt ", 4) == 0) {
            enum np_status st = read_format(file, wav, at, size, err);

            if (st != NP_OK)
                return st;
        }
        if (memcmp(head, "data", 4) == 0) {
            if (!wav->frame)
                return np_fail(err, NP_EDATA, "%s: byte %" PRIu64 ": a data chunk before any fmt chunk",
                               file->name, at - 8);
            wav->data = at;
            wav->length = size;
            if (size == UINT32_MAX && rf64)
                wav->length = long_data;
            else if (size == UINT32_MAX || size == 0) /* written by a program that could not seek back */
                wav->length = UINT64_MAX;
            return NP_OK;
        }
        at += (uint64_t)size + (size & 1);
    }
}

static enum np_status open_wav(struct np_file *file, struct np_error *err)
{
    struct wav *wav = file->state = calloc(1, sizeof *wav);
    enum np_status st;
    char name[16];

    if (!wav)
        return np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
    st = find_samples(file, wav, err);
    if (st == NP_OK)
        st = np_file_channels(file, wav->n_channels, err);
    for (unsigned i = 0; st == NP_OK && i < wav->n_channels; i++) {
        snprintf(name, sizeof name, "ch%u", i + 1);
        st = np_file_channel(file, i, name, "", "", err);
    }
    if (st == NP_OK)
        st = np_file_format(file, err, "WAV %s%d", wav->format == FORMAT_FLOAT ? "float" : "int", wav->bits);
    if (st != NP_OK)
        return st;
    wav->capacity = np_file_rows(file, file->info.rate_hz) * wav->frame;
    wav->buffer = malloc(wav->capacity);
    if (!wav->buffer)
        return np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
    file->info.n_rates = 1;
    file->info.start_ns = file->options.start_ns;
    if (wav->length != UINT64_MAX)
        file->info.n_samples = (int64_t)(wav->length / wav->frame);
    else if (file->total >= (int64_t)wav->data)
        file->info.n_samples = (int64_t)(((uint64_t)file->total - wav->data) / wav->frame);
    file->done = (int64_t)wav->data;
    if (fseeko(file->stream, (off_t)wav->data, SEEK_SET) != 0)
        return np_fail(err, NP_EDATA, "%s: byte %" PRIu64 ": cannot be reached", file->name, wav->data);
    return NP_OK;
}

/* One sample, little-endian; NaN in float data is a missing sample. */
static float sample(const unsigned char *at, int format, int bits)
{
    if (format == FORMAT_FLOAT) {
        uint64_t raw64 = bits == 64 ? le64(at) : 0;
        uint32_t raw32 = le32(at);
        double f64;
        float f32;

        memcpy(&f64, &raw64, sizeof f64);
        memcpy(&f32, &raw32, sizeof f32);
        return bits == 64 ? (float)f64 : f32;
    }
    if (bits == 16)
        return (float)(int16_t)le16(at) * 0x1p-15f;
    if (bits == 24)
        return (float)((int32_t)(le16(at) << 8 | (uint32_t)at[2] << 24) >> 8) * 0x1p-23f;
    return (float)(int32_t)le32(at) * 0x1p-31f;
}

static enum np_status next(struct np_file *file, struct np_blocks *blocks, struct np_error *err)
{
    struct wav *wav = file->state;
    size_t rows = np_file_rows(file, file->info.rate_hz), size = (size_t)wav->bits / 8, got;
    uint64_t left = wav->length == UINT64_MAX ? UINT64_MAX : wav->length - wav->read * wav->frame;
    enum np_status st;

    if (left < (uint64_t)rows * wav->frame)
        rows = (size_t)(left / wav->frame);
    if (rows == 0 && left > 0)
        return np_fail(err, NP_EDATA,
                       "%s: byte %" PRIi64 ": %" PRIu64 " bytes are left over, a frame has %zu", file->name,
                       file->done, left, wav->frame);
    got = rows ? fread(wav->buffer, 1, rows * wav->frame, file->stream) : 0;
    if (got < rows * wav->frame && (wav->length != UINT64_MAX || got % wav->frame != 0) && got < wav->frame)
        return np_fail(err, NP_EDATA,
                       "%s: byte %" PRIi64 ": the file ends after %" PRIu64
                       " samples in the middle of its data",
                       file->name, file->done + (int64_t)got, wav->read);
    rows = got / wav->frame;
    if (rows == 0)
        return NP_EEND;
    st = np_file_blocks(file, blocks, rows, false, err);
    if (st != NP_OK)
        return st;
    for (unsigned c = 0; c < wav->n_channels; c++) {
        float *x = np_file_samples(blocks, c);
        const unsigned char *at = wav->buffer + c * size;

        for (size_t i = 0; i < rows; i++, at += wav->frame)
            x[i] = sample(at, wav->format, wav->bits);
    }
    np_file_finish(blocks, (uint32_t)rows, np_file_time(file->info.start_ns, file->info.rate_hz, wav->read),
                   file->info.rate_hz);
    wav->read += rows;
    file->done += (int64_t)(rows * wav->frame);
    /* half a frame at the end: the next call tells, from where the frame begins */
    if (got % wav->frame != 0 && fseeko(file->stream, (off_t)file->done, SEEK_SET) != 0)
        return np_fail(err, NP_EDATA, "%s: byte %" PRIi64 ": cannot be reached", file->name, file->done);
    return NP_OK;
}

static void close_wav(struct np_file *file)
{
    struct wav *wav = file->state;

    if (wav)
        free(wav->buffer);
    free(wav);
    file->state = NULL;
}

const struct np_file_reader np_file_reader_wav = {
    .match = match, .open = open_wav, .next = next, .close = close_wav};
