/* Speed of the kernels: each case runs all its contestants in turn, several times over, and prints medians
 * in nanoseconds a sample. FFTW (ESTIMATE, the bare transform of the same rows, one at a time) is there for
 * comparison if it was found. One thread.
 *     bench_kernels [REPETITIONS]       9 by default */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef NP_FFTW
#include <fftw3.h>
#endif

#include "kernels/spectrum.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))

struct slab {
    struct np_rows rows;
    float *x;
    const float **row;
    uint32_t *n;
    size_t n_samples;
};

static void *checked(void *p)
{
    if (!p) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        exit(2);
    }
    return p;
}

static struct slab slab_open(uint32_t n, size_t n_rows)
{
    struct slab slab = {.row = checked(calloc(n_rows, sizeof(float *))),
                        .n = checked(calloc(n_rows, sizeof(uint32_t))),
                        .n_samples = n * n_rows};
    size_t stride = (n + NP_ROW_ALIGN - 1) / NP_ROW_ALIGN * NP_ROW_ALIGN;
    uint32_t noise = 1;

    slab.x = checked(aligned_alloc(64, stride * n_rows * sizeof(float)));
    for (size_t r = 0; r < n_rows; r++) {
        slab.row[r] = slab.x + r * stride;
        slab.n[r] = n;
    }
    for (size_t i = 0; i < stride * n_rows; i++) {
        noise = noise * 1664525u + 1013904223u;
        slab.x[i] = 325.0f * sinf((float)(i % 512) * 0.01227f) + (float)(noise >> 8) * 1e-6f;
    }
    slab.rows = (struct np_rows){slab.row, slab.n, n_rows};
    return slab;
}

static void slab_close(struct slab *slab)
{
    free(slab->x);
    free(slab->row);
    free(slab->n);
}

/* of this thread's own time, since the machine may have other work */
static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* one way to do the work of a case */
struct contestant {
    const char *name;
    void (*work)(void *context, const struct slab *slab);
    void *context;
};

static void contest(const char *title, const struct slab *slab, const struct contestant *who, size_t n_who,
                    int repetitions)
{
    double *ns = checked(calloc(n_who * (size_t)repetitions, sizeof *ns));

    printf("%-34s", title);
    for (int i = -1; i < repetitions; i++)
        for (size_t w = 0; w < n_who; w++) {
            double begin = now_ns();

            who[w].work(who[w].context, slab);
            if (i >= 0)
                ns[w * (size_t)repetitions + (size_t)i] = (now_ns() - begin) / (double)slab->n_samples;
        }
    for (size_t w = 0; w < n_who; w++) {
        double *its = ns + w * (size_t)repetitions;

        qsort(its, (size_t)repetitions, sizeof *its, ascending);
        printf("  %s %.3f", who[w].name, its[repetitions / 2]);
    }
    printf("\n");
    fflush(stdout);
    free(ns);
}

struct levels_context {
    const struct np_kernels *kernels;
    struct np_level *out;
};

static void levels_work(void *context, const struct slab *slab)
{
    struct levels_context *levels = context;

    levels->kernels->levels(&slab->rows, levels->out);
}

static void levels_case(uint32_t n, size_t n_rows, int repetitions)
{
    struct slab slab = slab_open(n, n_rows);
    struct np_level *out = checked(calloc(n_rows, sizeof *out));
    struct levels_context contexts[8];
    struct contestant who[8];
    size_t n_who = 0;
    char title[80];

    for (const struct np_kernels *const *k = np_kernels_all; *k; k++)
        if ((*k)->usable()) {
            contexts[n_who] = (struct levels_context){*k, out};
            who[n_who] = (struct contestant){(*k)->name, levels_work, &contexts[n_who]};
            n_who++;
        }
    snprintf(title, sizeof title, "levels %zu x %u", n_rows, n);
    contest(title, &slab, who, n_who, repetitions);
    free(out);
    slab_close(&slab);
}

struct spectrum_context {
    struct np_spectrum_plan *plan;
    struct np_spectrum_out out;
};

static void spectrum_work(void *context, const struct slab *slab)
{
    struct spectrum_context *spectrum = context;

    if (np_spectrum_plan_run(spectrum->plan, &slab->rows, &spectrum->out) != NP_KERNELS_OK)
        exit(2);
}

#ifdef NP_FFTW
struct fftw_context {
    fftwf_plan plan;
    fftwf_complex *out;
};

static void fftw_work(void *context, const struct slab *slab)
{
    struct fftw_context *fftw = context;

    for (size_t r = 0; r < slab->rows.n_rows; r++)
        fftwf_execute_dft_r2c(fftw->plan, (float *)slab->row[r], fftw->out);
}
#endif

static void spectrum_case(uint32_t n, size_t n_rows, bool whole, int repetitions)
{
    static const struct np_spectrum_band bands[] = {{0.0, 45.0}, {45.0, 55.0}, {55.0, 1000.0}};
    struct np_spectrum_spec spec = {.n_samples = n,
                                    .rate_hz = 25600.0,
                                    .window = NP_WINDOW_HANN,
                                    .n_bands = 3,
                                    .n_peaks = 5,
                                    .bands = bands};
    struct slab slab = slab_open(n, n_rows);
    struct spectrum_context contexts[8];
    struct contestant who[8];
    struct np_spectrum_out out = {.band_power = checked(calloc(n_rows * 3, sizeof(double))),
                                  .peaks = checked(calloc(n_rows * 5, sizeof(struct np_peak)))};
    size_t n_who = 0;
    char title[80];

    if (whole)
        out.amplitude = checked(calloc(n_rows * (n / 2 + 1), sizeof(float)));
#ifdef NP_FFTW
    struct fftw_context fftw = {.out = checked(fftwf_malloc((n / 2 + 1) * sizeof(fftwf_complex)))};

    fftw.plan = checked(fftwf_plan_dft_r2c_1d((int)n, slab.x, fftw.out, FFTW_ESTIMATE));
    who[n_who++] = (struct contestant){"fftw-estimate", fftw_work, &fftw};
#endif
    for (const struct np_kernels *const *k = np_kernels_all; *k; k++) {
        const char *why;

        if (!(*k)->usable() || !k[1])
            continue; /* the last one, the reference, would take minutes */
        contexts[n_who] = (struct spectrum_context){checked(np_spectrum_plan_create(*k, &spec, &why)), out};
        who[n_who] = (struct contestant){(*k)->name, spectrum_work, &contexts[n_who]};
        n_who++;
    }
    snprintf(title, sizeof title, "%s %zu x %u", whole ? "spectrum, amplitudes" : "spectrum, bands+peaks",
             n_rows, n);
    contest(title, &slab, who, n_who, repetitions);
    for (size_t w = 0; w < n_who; w++)
        if (who[w].work == spectrum_work)
            np_spectrum_plan_close(contexts[w].plan);
#ifdef NP_FFTW
    fftwf_destroy_plan(fftw.plan);
    fftwf_free(fftw.out);
#endif
    free(out.amplitude);
    free(out.band_power);
    free(out.peaks);
    slab_close(&slab);
}

int main(int argc, char **argv)
{
    static const uint32_t lengths[] = {100, 240, 1000, 1001, 1024, 1125, 4096, 5120, 10000, 10240, 16384};
    int repetitions = argc > 1 ? atoi(argv[1]) : 9;

    if (repetitions < 1) {
        fprintf(stderr, "usage: bench_kernels [REPETITIONS]\n");
        return 1;
    }
    printf("ns a sample, medians of %d\n", repetitions);
    levels_case(5, 200000, repetitions);
    levels_case(200, 20000, repetitions);
    levels_case(5120, 20, repetitions);
    levels_case(5120, 4000, repetitions);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        spectrum_case(lengths[i], 4000000 / lengths[i], false, repetitions);
    spectrum_case(5120, 20, false, repetitions * 9);
    spectrum_case(5120, 800, true, repetitions);
    return 0;
}
