/* One 64-bit hash for tables, digests and checks; not against adversaries. */
#ifndef NP_HASH_H
#define NP_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t np_hash_mix(uint64_t a)
{
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93u;
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93u;
    return a ^ a >> 32;
}

static inline uint64_t np_hash(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = np_hash_mix(seed ^ (n * 0x9e3779b97f4a7c15u));

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = np_hash_mix(h ^ word) + 0x9e3779b97f4a7c15u;
    }
    if (n) {
        uint64_t word = 0;
        memcpy(&word, p, n);
        h = np_hash_mix(h ^ word);
    }
    return h;
}

#endif
