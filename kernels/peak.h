/* From a local maximum of a spectrum and its two neighbours to the tone that made them. */
#ifndef NP_PEAK_H
#define NP_PEAK_H

#include <stdbool.h>
#include <stdint.h>

#define NP_PEAK_STEPS 64     /* table steps per bin */
#define NP_PEAK_POINTS 49    /* 0 .. 0.75 bins */

/** How a window shows a tone d bins above its nearest bin, tabulated for d = i / NP_PEAK_STEPS. */
struct np_peak_table {
    bool by_both;                    /* measure compares the two neighbours; else the larger one with the peak */
    int n_points;                    /* measure increases strictly up to here */
    double measure[NP_PEAK_POINTS];
    double gain[NP_PEAK_POINTS];     /* amplitude seen at the peak's bin / amplitude of the tone */
};

/** @param w [n], the window, scaled in any way; borrowed */
void np_peak_table_fill(struct np_peak_table *table, const double *w, uint32_t n);

/**
 * Finds the tone.
 *
 * @param left, peak, right  powers of three successive bins, the middle one the largest and > 0
 * @param offset             given: where the tone is relative to the middle bin, [bins]
 * @return the tone's amplitude / the amplitude of the middle bin
 */
double np_peak_interpolate(const struct np_peak_table *table, double left, double peak, double right,
                           double *offset);

#endif
