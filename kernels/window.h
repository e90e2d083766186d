/* Window functions in their periodic (DFT-even) form: w[j] = w[n - j].
 * F. J. Harris, "On the use of windows for harmonic analysis with the DFT", Proc. IEEE 66 (1978). */
#ifndef NP_WINDOW_H
#define NP_WINDOW_H

#include <stdint.h>

/*    id,              name */
#define NP_WINDOW_MAP(X)                                                                                     \
    X(RECTANGULAR,     "rectangular")                                                                        \
    X(HANN,            "hann")                                                                               \
    X(HAMMING,         "hamming")                                                                            \
    X(BLACKMAN,        "blackman")                                                                           \
    X(BLACKMAN_HARRIS, "blackman_harris")                                                                    \
    X(FLAT_TOP,        "flat_top")                                                                           \
    X(KAISER,          "kaiser")

enum np_window {
#define X(id, name) NP_WINDOW_##id,
    NP_WINDOW_MAP(X)
#undef X
        NP_N_WINDOWS
};

/** [NP_N_WINDOWS + 1] names in the order of the enum, then NULL. */
extern const char *const np_window_names[];

/** @param beta of the Kaiser window, >= 0; not used by the others. @param w [n], caller's memory */
void np_window_fill(enum np_window window, double beta, uint32_t n, double *w);

/** @return mean of w, 1: what the window leaves of the amplitude of a tone on a bin */
double np_window_coherent_gain(const double *w, uint32_t n);

/** @return equivalent noise bandwidth, [bins]: n * sum(w^2) / sum(w)^2; 1 for the rectangular window */
double np_window_noise_bins(const double *w, uint32_t n);

#endif
