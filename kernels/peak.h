/* From a local maximum of a spectrum and its two neighbours to the tone that made them. */
#ifndef NP_PEAK_H
#define NP_PEAK_H

#include <stdbool.h>
#include <stdint.h>

#define NP_PEAK_PARTS 64

/** A cubic in the place within one part of the table, 0 .. 1. */
struct np_peak_cubic {
    double c[4];
};

/** How a window shows a tone beside a bin: offset and gain over a measure that grows with the offset. */
struct np_peak_table {
    bool by_both;       /* the measure compares the two neighbours; else the larger one with the peak */
    double first, last; /* measure at no offset, and at the table's end; equal: no table, window too short */
    double to_part;     /* parts per measure */
    struct np_peak_cubic offset[NP_PEAK_PARTS]; /* [bins] */
    struct np_peak_cubic gain[NP_PEAK_PARTS];   /* amplitude of the tone / amplitude of the peak's bin */
};

/** @param w [n], the window, scaled in any way; borrowed */
void np_peak_table_fill(struct np_peak_table *table, const double *w, uint32_t n);

/**
 * Finds the tone.
 *
 * @param left, peak, right  amplitudes of three successive bins, the middle one the largest and > 0
 * @param offset             given: where the tone is relative to the middle bin, [bins]
 * @return the tone's amplitude / the amplitude of the middle bin
 */
double np_peak_interpolate(const struct np_peak_table *table, double left, double peak, double right,
                           double *offset);

#endif
