#include "kernels/kernels.h"

#include <string.h>

#include "kernels/variants.h"

static bool always(void)
{
    return true;
}

#define VARIANT(suffix, its_name, its_help, test)                                                            \
    static const struct np_kernels suffix = {                                                                \
        .name = its_name,                                                                                    \
        .help = its_help,                                                                                    \
        .usable = test,                                                                                      \
        .levels = np_levels_##suffix,                                                                        \
        .spectrum_open = np_spectrum_open_##suffix,                                                          \
        .spectrum_run = np_spectrum_run_##suffix,                                                            \
        .spectrum_close = np_spectrum_close_##suffix,                                                        \
    }

#ifdef __x86_64__
static bool has_v3(void)
{
    return __builtin_cpu_supports("avx2");
}

static bool has_v4(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

VARIANT(cpu_v4, "cpu-v4", "the CPU's vector unit, AVX-512 with 256-bit vectors", has_v4);
VARIANT(cpu_v3, "cpu-v3", "the CPU's vector unit, AVX2", has_v3);
#endif
VARIANT(cpu, "cpu", "the CPU's vector unit, as every machine of this architecture has it", always);
VARIANT(reference, "reference", "plain code in float64, slow", always);

const struct np_kernels *const np_kernels_all[] = {
#ifdef __x86_64__
    &cpu_v4, &cpu_v3,
#endif
    &cpu,    &reference, NULL,
};

const struct np_kernels *np_kernels_best(void)
{
    const struct np_kernels *const *row = np_kernels_all;

    while (!(*row)->usable())
        row++;
    return *row;
}

const struct np_kernels *np_kernels_find(const char *name)
{
    for (const struct np_kernels *const *row = np_kernels_all; *row; row++)
        if (strcmp((*row)->name, name) == 0)
            return (*row)->usable() ? *row : NULL;
    return NULL;
}
