#include "ingest/samples.h"

#include <string.h>

/* Bytes are taken as they lie in memory: everything that this runs on is little-endian. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian samples");

size_t np_sample_size(enum np_encoding encoding)
{
    switch (encoding) {
    case NP_ENC_INT16:
        return sizeof(int16_t);
    case NP_ENC_INT32:
        return sizeof(int32_t);
    case NP_ENC_FLOAT32:
        return sizeof(float);
    case NP_ENC_ARRAY:
        break;
    }
    return 0;
}

#define DECODE(type)                                                                                         \
    for (size_t i = 0; i < n; i++) {                                                                         \
        type raw;                                                                                            \
                                                                                                             \
        memcpy(&raw, at + i * sizeof raw, sizeof raw);                                                       \
        out[i] = (float)((double)raw * scale + offset);                                                      \
    }

void np_samples_decode(enum np_encoding encoding, const void *bytes, size_t n, double scale, double offset,
                       float *restrict out)
{
    const unsigned char *restrict at = bytes;

    if (encoding == NP_ENC_INT16) {
        DECODE(int16_t)
    } else if (encoding == NP_ENC_INT32) {
        DECODE(int32_t)
    } else if (scale == 1 && offset == 0) {
        if (n)
            memcpy(out, at, n * sizeof *out);
    } else {
        DECODE(float)
    }
}

void np_samples_scale(const float *restrict in, size_t n, double scale, double offset, float *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)in[i] * scale + offset);
}
