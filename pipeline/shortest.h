/* The shortest decimal that reads back to the same binary floating-point number, and among those the nearest.
 * Source: R. Giulietti, "The Schubfach way to render doubles" (2020). */
#ifndef NP_SHORTEST_H
#define NP_SHORTEST_H

#include <stdint.h>

/** value = digits * 10^exponent. */
struct np_decimal {
    uint64_t digits;              /* at most 17 of them; may end in zeros */
    int exponent;
};

/** @param value finite and not 0; its sign is ignored */
struct np_decimal np_shortest_double(double value);
struct np_decimal np_shortest_float(float value);

#endif
