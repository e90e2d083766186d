/* The one piece of Avro's binary encoding that more than one writer needs. */
#ifndef NP_AVRO_PUT_H
#define NP_AVRO_PUT_H

#include <stdint.h>

/** Avro 1.11, "Binary Encoding": zig-zag, then seven bits a byte, low ones first. At most 10 bytes. @return behind them */
static inline unsigned char *np_avro_put_long(unsigned char *at, int64_t value)
{
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);

    for (; rest >= 0x80; rest >>= 7)
        *at++ = (unsigned char)(rest | 0x80);
    *at++ = (unsigned char)rest;
    return at;
}

#endif
