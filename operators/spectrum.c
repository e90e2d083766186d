/* spectrum: amplitudes, power density, band powers and strongest peaks of each window; scaling and accuracy
 * as kernels/spectrum.h says. A window with a missing sample has no spectrum: its values are null. */
#include "kernels/spectrum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/fft_length.h"
#include "operators/kernel_status.h"
#include "pipeline/operator.h"

#define MAX_PEAKS 32

struct spectrum_conf {
    int function;             /* enum np_window */
    double kaiser_beta;
    struct np_bands bands;
    int64_t peaks;
    bool amplitude, psd;
};

/* One plan computes batch after batch; its arrays grow to the largest. */
struct spectrum_plan {
    struct np_spectrum_plan *kernel;
    size_t n_bins, n_bands, n_peaks, capacity;    /* capacity: rows */
    double bin_hz;
    bool amplitude, psd;
    float *amplitudes, *densities;                /* [capacity][n_bins], NULL if not wanted */
    double *band_powers;                          /* [capacity][n_bands] */
    struct np_peak *peaks;                        /* [capacity][n_peaks] */
    float *peak_values;                           /* [capacity][2][n_peaks]: frequencies, amplitudes */
};

static const struct np_option spectrum_options[] = {
    {"function", NP_OPT_CHOICE, offsetof(struct spectrum_conf, function), NULL, "hann", 0, 0, np_window_names,
     false, "Window function."},
    {"kaiser_beta", NP_OPT_NUMBER, offsetof(struct spectrum_conf, kaiser_beta), "1", "8.6", 0, 100, NULL,
     false, "Shape of the kaiser window: greater is wider, with lower side lobes."},
    {"bands", NP_OPT_BANDS, offsetof(struct spectrum_conf, bands), "Hz", "", 0, 0, NULL, false,
     "Frequency ranges whose power is told, each in a column band_<name>."},
    {"peaks", NP_OPT_COUNT, offsetof(struct spectrum_conf, peaks), "peaks", "5", 0, MAX_PEAKS, NULL, false,
     "How many of the strongest peaks are told."},
    {"amplitude", NP_OPT_BOOL, offsetof(struct spectrum_conf, amplitude), NULL, "false", 0, 0, NULL, false,
     "Tell the amplitude of every bin."},
    {"psd", NP_OPT_BOOL, offsetof(struct spectrum_conf, psd), NULL, "false", 0, 0, NULL, false,
     "Tell the power density of every bin."},
    {0},
};

static const struct np_column spectrum_columns[] = {
    {"bin_hz", NP_COL_DOUBLE, "Hz", "distance of the bins: bin k is at k times this, the first at 0"},
    {0},
};

static enum np_status spectrum_describe(const void *conf_, struct np_columns *columns)
{
    static const struct np_column
        amplitude = {"amplitude", NP_COL_FLOATS, "$", "rms value of a tone on each bin"},
        psd = {"psd", NP_COL_FLOATS, "$^2/Hz", "power density of each bin, one-sided"},
        peak_hz = {"peak_hz", NP_COL_FLOATS, "Hz", "frequencies of the strongest peaks, the strongest first"},
        peak_amplitude = {"peak_amplitude", NP_COL_FLOATS, "$", "rms values of the tones at peak_hz"};
    const struct spectrum_conf *conf = conf_;

    for (size_t i = 0; i < conf->bands.n; i++) {
        const struct np_band *band = &conf->bands.items[i];
        char name[128], help[128];

        snprintf(name, sizeof name, "band_%s", band->name);
        snprintf(help, sizeof help, "power from %g Hz to below %g Hz; null if no bin lies there",
                 band->from_hz, band->to_hz);
        if (np_columns_add(columns, &(struct np_column){name, NP_COL_DOUBLE, "$^2", help}))
            return NP_ENOMEM;
    }
    if (conf->peaks > 0 && (np_columns_add(columns, &peak_hz) || np_columns_add(columns, &peak_amplitude)))
        return NP_ENOMEM;
    if (conf->amplitude && np_columns_add(columns, &amplitude))
        return NP_ENOMEM;
    if (conf->psd && np_columns_add(columns, &psd))
        return NP_ENOMEM;
    return NP_OK;
}

static void spectrum_check(const void *conf_, const struct np_step_input *input, const struct np_node *node,
                           struct np_mistakes *mistakes)
{
    const struct spectrum_conf *conf = conf_;
    const struct np_node *bands = np_node_get(node, "bands"), *window = np_node_get(node, "window");
    double n = round((double)input->window_ns * 1e-9 * input->rate_hz);
    uint32_t below, above;

    if (!(input->rate_hz > 0))
        return;    /* known with the data only: what does not fit is flagged then */
    for (size_t i = 0; i < conf->bands.n; i++) {
        const struct np_band *band = &conf->bands.items[i];

        if (band->from_hz < 0 || band->to_hz > input->rate_hz / 2)
            np_mistake_add(mistakes, bands ? bands : node,
                           "band %s is %g..%g Hz: allowed is 0..%g Hz, half the rate of the input",
                           band->name, band->from_hz, band->to_hz, input->rate_hz / 2);
    }
    if (n <= NP_FFT_LENGTH_MAX && np_fft_good_length((uint32_t)n))
        return;
    np_fft_nearest_lengths(n < UINT32_MAX ? (uint32_t)n : UINT32_MAX, &below, &above);
    np_mistake_add(
        mistakes, window ? window : node,
        "this window is %.0f samples at %g Hz, and the spectrum takes %u to %u samples without a prime "
        "factor over 13; the nearest are %.9gms (%u samples) and %.9gms (%u samples)",
        n, input->rate_hz, NP_FFT_LENGTH_MIN, NP_FFT_LENGTH_MAX, below * 1e3 / input->rate_hz, below,
        above * 1e3 / input->rate_hz, above);
}

static void free_arrays(struct spectrum_plan *plan)
{
    free(plan->amplitudes);
    free(plan->densities);
    free(plan->band_powers);
    free(plan->peaks);
    free(plan->peak_values);
    plan->amplitudes = plan->densities = plan->peak_values = NULL;
    plan->band_powers = NULL;
    plan->peaks = NULL;
    plan->capacity = 0;
}

static void spectrum_plan_close(void *plan_)
{
    struct spectrum_plan *plan = plan_;

    if (!plan)
        return;
    np_spectrum_plan_close(plan->kernel);
    free_arrays(plan);
    free(plan);
}

static enum np_status spectrum_plan_open(const void *conf_, const struct np_kernels *kernels,
                                         uint32_t n_samples, double rate_hz, void **out, struct np_error *err)
{
    const struct spectrum_conf *conf = conf_;
    struct np_spectrum_band ranges[conf->bands.n + 1];
    struct np_spectrum_spec spec = {
        .n_samples = n_samples,
        .rate_hz = rate_hz,
        .window = (enum np_window)conf->function,
        .kaiser_beta = conf->kaiser_beta,
        .n_bands = (uint32_t)conf->bands.n,
        .n_peaks = (uint32_t)conf->peaks,
        .bands = ranges,
    };
    struct spectrum_plan *plan;
    const char *why = "";

    if (!np_fft_good_length(n_samples))
        return np_fail(err, NP_ECONFIG, "spectrum: %u samples have a prime factor over 13", n_samples);
    for (size_t i = 0; i < conf->bands.n; i++)
        ranges[i] = (struct np_spectrum_band){conf->bands.items[i].from_hz, conf->bands.items[i].to_hz};
    plan = calloc(1, sizeof *plan);
    if (!plan)
        return np_fail(err, NP_ENOMEM, "spectrum: a plan");
    plan->kernel = np_spectrum_plan_create(kernels, &spec, &why);
    if (!plan->kernel) {
        spectrum_plan_close(plan);
        return np_fail(err, NP_ENOMEM, "spectrum: a plan for %u samples: %s", n_samples, why);
    }
    plan->n_bins = n_samples / 2 + 1;
    plan->n_bands = spec.n_bands;
    plan->n_peaks = spec.n_peaks;
    plan->bin_hz = rate_hz / n_samples;
    plan->amplitude = conf->amplitude;
    plan->psd = conf->psd;
    *out = plan;
    return NP_OK;
}

/* @return true if the array is there, or not wanted */
static bool get_array(void *place, size_t n, size_t item_size)
{
    void *array = n ? calloc(n, item_size) : NULL;

    memcpy(place, &array, sizeof array);
    return n == 0 || array;
}

static enum np_status make_room(struct spectrum_plan *plan, size_t n_rows)
{
    size_t n_bins = n_rows * plan->n_bins, n_peaks = n_rows * plan->n_peaks;

    if (n_rows <= plan->capacity)
        return NP_OK;
    free_arrays(plan);
    if (!get_array(&plan->amplitudes, plan->amplitude ? n_bins : 0, sizeof *plan->amplitudes) ||
        !get_array(&plan->densities, plan->psd ? n_bins : 0, sizeof *plan->densities) ||
        !get_array(&plan->band_powers, n_rows * plan->n_bands, sizeof *plan->band_powers) ||
        !get_array(&plan->peaks, n_peaks, sizeof *plan->peaks) ||
        !get_array(&plan->peak_values, 2 * n_peaks, sizeof *plan->peak_values))
        return NP_ENOMEM;
    plan->capacity = n_rows;
    return NP_OK;
}

static bool row_is_finite(const struct np_rows *rows, size_t r)
{
    const float *x = rows->x[r];
    float sum = 0;

    for (uint32_t i = 0; i < rows->n[r]; i++)
        sum += x[i] * 0;    /* NaN from the first NaN or infinity on */
    return sum == 0;
}

/* Writes the peaks of row r as two arrays, as many as there are. */
static void tell_peaks(struct spectrum_plan *plan, size_t r, bool finite, struct np_value *out)
{
    const struct np_peak *peaks = plan->peaks + r * plan->n_peaks;
    float *hz = plan->peak_values + 2 * r * plan->n_peaks, *amplitude = hz + plan->n_peaks;
    uint32_t n = 0;

    for (; n < plan->n_peaks && !isnan(peaks[n].frequency_hz); n++) {
        hz[n] = (float)peaks[n].frequency_hz;
        amplitude[n] = (float)peaks[n].amplitude;
    }
    out[0] = (struct np_value){.floats = finite ? hz : NULL, .n = finite ? n : 0};
    out[1] = (struct np_value){.floats = finite ? amplitude : NULL, .n = finite ? n : 0};
}

static enum np_status spectrum_run(void *plan_, const struct np_batch_rows *in, struct np_value *out)
{
    struct spectrum_plan *plan = plan_;
    enum np_status st = make_room(plan, in->rows.n_rows);

    if (st != NP_OK)
        return st;
    st = np_kernel_status(np_spectrum_plan_run(plan->kernel, &in->rows,
                                               &(struct np_spectrum_out){
                                                   .amplitude = plan->amplitudes,
                                                   .density = plan->densities,
                                                   .band_power = plan->band_powers,
                                                   .peaks = plan->peaks,
                                               }));
    if (st != NP_OK)
        return st;
    for (size_t r = 0; r < in->rows.n_rows; r++) {
        bool has_peak = plan->n_peaks && !isnan(plan->peaks[r * plan->n_peaks].frequency_hz);
        bool finite = has_peak || row_is_finite(&in->rows, r);

        (out++)->f64 = plan->bin_hz;
        for (size_t i = 0; i < plan->n_bands; i++)
            (out++)->f64 = plan->band_powers[r * plan->n_bands + i];
        if (plan->n_peaks) {
            tell_peaks(plan, r, finite, out);
            out += 2;
        }
        if (plan->amplitude)
            *out++ = (struct np_value){.floats = finite ? plan->amplitudes + r * plan->n_bins : NULL,
                                       .n = finite ? (uint32_t)plan->n_bins : 0};
        if (plan->psd)
            *out++ = (struct np_value){.floats = finite ? plan->densities + r * plan->n_bins : NULL,
                                       .n = finite ? (uint32_t)plan->n_bins : 0};
    }
    return NP_OK;
}

const struct np_operator np_op_spectrum = {
    .name = "spectrum",
    .help = "Spectrum of each window: band powers, strongest peaks, amplitudes and power density.",
    .options = spectrum_options,
    .conf_size = sizeof(struct spectrum_conf),
    .columns = spectrum_columns,
    .describe = spectrum_describe,
    .check = spectrum_check,
    .needs_uniform = true,
    .exact = true,
    .plan_open = spectrum_plan_open,
    .run = spectrum_run,
    .plan_close = spectrum_plan_close,
};
