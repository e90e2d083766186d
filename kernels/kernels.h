/* Batched arithmetic over rows (windows of samples) of many streams: one table of variants, fastest
 * first, the plain reference last. All variants give the same numbers to the tolerance stated at each
 * operation; all CPU variants but the reference give the same bits on every machine, whatever a row's
 * neighbours, its place in the batch and the batch's size. Threads: every function is reentrant; a plan
 * is used by one thread at a time. */
#ifndef NP_KERNELS_H
#define NP_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NP_ROW_ALIGN 16u     /* [samples]: rows are padded to a multiple of it */

/** Rows of samples, each where it lies. Borrowed. */
struct np_rows {
    const float *const *x;   /* [n_rows] starts of rows, any alignment. NaN: missing. A row is readable from its start up to
                              * its length rounded up to a multiple of NP_ROW_ALIGN */
    const uint32_t *n;       /* [n_rows], [samples] */
    size_t n_rows;
};

/** Levels of a row over its samples that are not NaN, in the samples' unit. No such sample: all NaN. */
struct np_level {
    double rms; /* sqrt(mean of x^2); relative error below 1e-14 * n */
    double mean;
    double min, max;  /* exact */
    double crest;     /* max |x| / rms, 1; NaN if rms is 0 */
    uint32_t n_valid; /* samples that are not NaN */
};

enum np_kernels_status {
    NP_KERNELS_OK,
    NP_KERNELS_ENOMEM,
    NP_KERNELS_EINVAL,  /* rows or spec do not fit what the function asks for */
    NP_KERNELS_EDEVICE, /* a device call failed: compute the batch with another variant */
};

struct np_spectrum_out; /* kernels/spectrum.h */
struct np_spectrum_plan;

/** A variant. Users call levels() here, and the spectrum through kernels/spectrum.h. */
struct np_kernels {
    const char *name;
    const char *help;
    bool (*usable)(void); /* on this machine */

    /** @param out [n_rows], caller's memory; infinite samples give what IEEE 754 arithmetic gives */
    enum np_kernels_status (*levels)(const struct np_rows *rows, struct np_level *out);

    /* for kernels/spectrum.c: the variant's own part of a plan. close accepts a plan that open refused */
    enum np_kernels_status (*spectrum_open)(struct np_spectrum_plan *plan);
    enum np_kernels_status (*spectrum_run)(struct np_spectrum_plan *plan, const struct np_rows *rows,
                                           const struct np_spectrum_out *out);
    void (*spectrum_close)(struct np_spectrum_plan *plan);
};

/** Every variant of this build, fastest first, the reference last, then NULL. */
extern const struct np_kernels *const np_kernels_all[];

/** @return the first usable variant; never NULL */
const struct np_kernels *np_kernels_best(void);

/** @return the variant of that name; NULL if there is none or it is not usable here */
const struct np_kernels *np_kernels_find(const char *name);

#endif
