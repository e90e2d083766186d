/* Vectors of eight floats by the compiler's vector extensions, for kernels/cpu*.c only. Eight is the one
 * width on every machine: sums across lanes have one order, so the bits are the same everywhere. The files
 * are compiled once per instruction set (NP_CPU_SUFFIX); none of them may use fused multiply-add. */
#ifndef NP_CPU_VECTOR_H
#define NP_CPU_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NP_CPU_PASTE2(name, suffix) name##_##suffix
#define NP_CPU_PASTE(name, suffix)  NP_CPU_PASTE2(name, suffix)
#define NP_CPU(name)                NP_CPU_PASTE(name, NP_CPU_SUFFIX)

#define LANES  8u
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(32)));
typedef int32_t ivec __attribute__((vector_size(32)));
typedef double dvec __attribute__((vector_size(32))); /* four lanes */

INLINE vec vec_load(const float *p)
{
    vec v;

    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void vec_store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

INLINE vec vec_of(float x)
{
    return (vec){x, x, x, x, x, x, x, x};
}

/* bit i: lane i of the mask is set */
INLINE unsigned vec_bits(ivec mask)
{
#if defined(__AVX__)
    return (unsigned)__builtin_ia32_movmskps256((vec)mask);
#elif defined(__SSE__)
    typedef float half __attribute__((vector_size(16)));
    half h[2];

    memcpy(h, &mask, sizeof mask);
    return (unsigned)__builtin_ia32_movmskps(h[0]) | (unsigned)__builtin_ia32_movmskps(h[1]) << 4;
#else
    unsigned bits = 0;

    for (unsigned i = 0; i < LANES; i++)
        bits |= (mask[i] & 1u) << i;
    return bits;
#endif
}

INLINE vec vec_select(ivec mask, vec yes, vec no)
{
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}

/* a > b ? a : b in each lane, so b where one is NaN; the instruction itself where there is one */
INLINE vec vec_max(vec a, vec b)
{
#ifdef __AVX__
    return __builtin_ia32_maxps256(a, b);
#else
    return vec_select(a > b, a, b);
#endif
}

INLINE vec vec_min(vec a, vec b)
{
#ifdef __AVX__
    return __builtin_ia32_minps256(a, b);
#else
    return vec_select(a < b, a, b);
#endif
}

INLINE vec vec_reverse(vec a)
{
    return __builtin_shufflevector(a, a, 7, 6, 5, 4, 3, 2, 1, 0);
}

/* v[i][j] becomes v[j][i] */
INLINE void vec_transpose(vec *v)
{
    vec t[8], u[8];

#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        t[2 * i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        t[2 * i + 1] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 8; i += 4) {
        u[i] = __builtin_shufflevector(t[i], t[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        u[i + 1] = __builtin_shufflevector(t[i], t[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        u[i + 2] = __builtin_shufflevector(t[i + 1], t[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        u[i + 3] = __builtin_shufflevector(t[i + 1], t[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        v[i] = __builtin_shufflevector(u[i], u[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        v[i + 4] = __builtin_shufflevector(u[i], u[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

#endif
