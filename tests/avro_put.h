/* Writing Avro by hand in tests. */
#ifndef AVRO_PUT_H
#define AVRO_PUT_H

#include "pipeline/record.h"

static void put_varint(struct np_bytes *out, int64_t value)
{
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    unsigned char byte;

    do {
        byte = (unsigned char)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
        np_bytes_append(out, &byte, 1);
        rest >>= 7;
    } while (rest);
}

#endif
