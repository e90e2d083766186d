/* The functions of each variant, for the table in kernels/kernels.c only. */
#ifndef NP_VARIANTS_H
#define NP_VARIANTS_H

#include "kernels/kernels.h"

#define NP_VARIANT_DECLARE(suffix)                                                                           \
    enum np_kernels_status np_levels_##suffix(const struct np_rows *rows, struct np_level *out);             \
    enum np_kernels_status np_spectrum_open_##suffix(struct np_spectrum_plan *plan);                         \
    enum np_kernels_status np_spectrum_run_##suffix(                                                         \
        struct np_spectrum_plan *plan, const struct np_rows *rows, const struct np_spectrum_out *out);       \
    void np_spectrum_close_##suffix(struct np_spectrum_plan *plan);

NP_VARIANT_DECLARE(reference)
NP_VARIANT_DECLARE(cpu)
NP_VARIANT_DECLARE(cpu_v3)
NP_VARIANT_DECLARE(cpu_v4)

#endif
