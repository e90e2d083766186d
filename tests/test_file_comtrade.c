#include "tests/file_help.h"

#include <math.h>

#include "pipeline/record.h"

static const struct np_file_options with_digital = {.digital = true, .code_page = "CP1251"};

static int64_t at(const char *text)
{
    int64_t ns;

    assert_true(np_time_parse(text, &ns));
    return ns;
}

static size_t channel(const struct recording *all, const char *name)
{
    for (size_t c = 0; c < all->n_channels; c++)
        if (strcmp(all->info->channels[c].name, name) == 0)
            return c;
    fail_msg("no channel \"%s\"", name);
    return 0;
}

static double rms(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)n);
}

/* Lowest and highest rms over one cycle of n samples, moved sample by sample. */
static void rms_range(const float *x, size_t total, size_t n, double *low, double *high)
{
    *low = INFINITY;
    *high = 0;
    for (size_t i = 0; i + n <= total; i++) {
        double value = rms(x + i, n);

        *low = value < *low ? value : *low;
        *high = value > *high ? value : *high;
    }
}

/* First sample where a digital channel is not what it was at the beginning; n if it never changes. */
static size_t first_change(const struct recording *all, size_t c)
{
    size_t i = 1;

    while (i < all->n && all->x[c][i] == all->x[c][0])
        i++;
    return i;
}

static void assert_near(const char *what, double got, double wanted, double tolerance)
{
    if (!(fabs(got - wanted) <= tolerance))
        fail_msg("%s: %.6g instead of %.6g +- %g", what, got, wanted, tolerance);
}

/* Record 1: 83 sections, each with 48 samples a cycle of the grid it followed. */
static void sampling_rates_of_the_earth_fault_record_follow_the_grid(void **state)
{
    struct recording all;
    double low, high, lowest = INFINITY, highest = 0;

    (void)state;
    recording_read_whole(&all, data_file("comtrade_real_relays/1.cfg"), &with_digital);
    assert_int_equal(all.info->n_rates, 83);
    assert_int_equal(all.n_blocks, 83);
    assert_int_equal(all.n, 5316);
    for (size_t b = 0; b < all.n_blocks; b++) {
        lowest = all.rate_at[b] / 48 < lowest ? all.rate_at[b] / 48 : lowest;
        highest = all.rate_at[b] / 48 > highest ? all.rate_at[b] / 48 : highest;
    }
    assert_near("lowest frequency", lowest, 49.894, 0.001);
    assert_near("highest frequency", highest, 50.224, 0.001);
    assert_int_equal(all.block_at[1], 708);
    /* a section begins where the one before ends */
    assert_in_range(all.times[708] - all.times[707] - (int64_t)(1e9 / 2401.509521), 0, 1);
    assert_int_equal(all.info->start_ns, at("2017-05-25T08:13:16.587Z"));
    assert_int_equal(all.info->trigger_ns, at("2017-05-25T08:13:16.677Z"));
    assert_string_equal(all.info->sensor, "11/терминал версия 101110");
    assert_int_equal(first_change(&all, channel(&all, "ОЗЗ-1 пуск")), 216);
    rms_range(all.x[3], all.n, 48, &low, &high);
    assert_near("3U0 highest", high, 55.95, 0.05);
    assert_near("3U0 at the beginning", rms(all.x[3], 48), 0.32, 0.1);
    rms_range(all.x[1], all.n, 48, &low, &high);
    assert_near("UB lowest", low, 34.2, 0.1);
    rms_range(all.x[0], all.n, 48, &low, &high);
    assert_near("UA highest", high, 79.4, 0.1);
    recording_free(&all);
}

/* Record 2: one-cycle rms of the 110 kV voltages, in percent of the first 0.4 s. */
static void the_110_kv_record_dips_to_five_and_a_half_percent(void **state)
{
    static const double wanted[] = {6.4, 5.5, 5.5};
    struct recording all;
    double low, high;
    int changed = 0;

    (void)state;
    recording_read_whole(&all, data_file("comtrade_real_relays/2.cfg"), &with_digital);
    assert_string_equal(all.info->format, "COMTRADE 1999 BINARY");
    assert_int_equal(all.n_channels, 55 + 112);
    assert_int_equal(all.n, 19680); /* one more than the configuration says */
    assert_string_equal(all.info->channels[0].name, "Ua_1СШ-110_ТН_110кВ");
    assert_string_equal(all.info->channels[0].unit, "kV");
    assert_int_equal(all.info->channels[0].recorded, 'P');
    for (size_t c = 0; c < 3; c++) {
        double before = rms(all.x[c], 480);
        size_t lowest = 0;

        rms_range(all.x[c], all.n, 24, &low, &high);
        assert_near("residual voltage in percent", 100 * low / before, wanted[c], 0.15);
        while (rms(all.x[c] + lowest, 24) > low)
            lowest++;
        assert_near("time of the lowest voltage", (double)lowest / 1200, 1.588, 0.05);
    }
    for (size_t c = 55; c < all.n_channels; c++) {
        size_t change = first_change(&all, c);

        if (change < all.n) {
            assert_in_range(change, 590 - 2, 2133 + 2);
            changed++;
        }
    }
    assert_true(changed > 0);
    recording_free(&all);
}

static void a_channels_skew_shifts_its_times(void **state)
{
    struct np_file *file;
    struct np_blocks blocks = {0};
    struct np_error err;

    (void)state;
    assert_int_equal(np_file_open(&file, data_file("comtrade_real_relays/2.dat"), NULL, &err), NP_OK);
    assert_int_equal(np_file_next(file, &blocks, &err), NP_OK);
    assert_int_equal(blocks.items[0].t0_ns, at("2016-08-22T16:04:22Z"));
    assert_int_equal(blocks.items[1].t0_ns - blocks.items[0].t0_ns, 13000);
    assert_int_equal(blocks.items[10].t0_ns - blocks.items[0].t0_ns, 130000);
    assert_int_equal(blocks.n, 55); /* digital channels are left out unless asked for */
    np_file_close(file);
    np_blocks_free(&blocks);
}

/* Record 3: no sampling rate; the time stamps tell it. */
static void without_sampling_rates_the_time_stamps_tell(void **state)
{
    struct recording all;
    double low, high, before;
    size_t magnitude;

    (void)state;
    recording_read_whole(&all, data_file("comtrade_real_relays/3.cfg"), &with_digital);
    assert_int_equal(all.n, 1360);
    assert_near("rate over 16", all.info->rate_hz / 16, 50.0134, 0.001);
    assert_near("length in s", (double)(all.times[1359] - all.times[0]) * 1e-9, 1.698295, 2e-4);
    assert_int_equal(first_change(&all, channel(&all, "OSC TRIG     On")), 404);
    before = rms(all.x[4], 16 * 20);
    assert_near("VA before the fault", before, 58.73, 0.05);
    magnitude = channel(&all, "SRC 1  Vag Mag");
    assert_near("the relay's own phasor of VA in kV", (double)all.x[magnitude][200], 194.95, 0.15);
    assert_near("VA as a primary value in kV",
                before * all.info->channels[4].primary / all.info->channels[4].secondary / 1000, 193.8, 0.1);
    rms_range(all.x[5] + 404, all.n - 404, 16, &low, &high);
    assert_near("VB highest after the fault in percent", 100 * high / rms(all.x[5], 320), 34.9, 0.5);
    rms_range(all.x[6] + 400, all.n - 400, 16, &low, &high);
    assert_near("VC highest in percent", 100 * high / rms(all.x[6], 320), 125.5, 0.5);
    /* digital channels of one name are told apart */
    assert_string_equal(all.info->channels[24 + 52].name, "Off");
    assert_string_equal(all.info->channels[24 + 53].name, "Off#78");
    recording_free(&all);
}

static void upper_case_extensions_and_long_exponents_are_read(void **state)
{
    struct recording all;

    (void)state;
    recording_read_whole(&all, data_file("comtrade_real_relays/4.CFG"), NULL);
    assert_int_equal(all.n, 2400);
    assert_int_equal(all.n_channels, 6);
    assert_float_equal(all.info->rate_hz, 600, 0);
    assert_int_equal(all.info->start_ns, at("2014-12-04T07:01:48.813Z"));
    assert_near("I1", (double)all.x[0][0], 43 * 2.836798 - 102.1247, 1e-4);
    recording_free(&all);
}

static void a_record_of_32_bits_is_read(void **state)
{
    struct recording all;

    (void)state;
    recording_read_whole(&all, data_file("comtrade_real_relays/5.cfg"), &with_digital);
    assert_string_equal(all.info->format, "COMTRADE 2013 BINARY32");
    assert_int_equal(all.n, 202);
    assert_int_equal(all.n_channels, 337);
    assert_float_equal(all.info->rate_hz, 2000, 0);
    assert_true(all.info->trigger_ns == NP_NULL_LONG); /* it says 1970 */
    assert_near("Id, sample 1", (double)all.x[3][1], -0.001625, 1e-9);
    recording_free(&all);
}

/* pnnl_feeder_faults/README.md: B to ground at 0.15237 s, U_B falls to 39.06 %. */
static void the_simulated_fault_has_its_residual_voltage(void **state)
{
    struct recording all;
    double before;

    (void)state;
    recording_read_whole(&all, data_file("pnnl_feeder_faults/f1_1b274run.cfg"), NULL);
    assert_string_equal(all.info->format, "COMTRADE 2013 FLOAT32");
    assert_int_equal(all.n, 40001);
    before = rms(all.x[1] + 5000, 100000 / 60 * 6);
    assert_near("U_B before the fault", before, 2387.5, 3);
    assert_near("residual voltage in percent", 100 * rms(all.x[1] + 30000, 100000 / 60 * 6) / before, 39.06,
                0.3);
    recording_free(&all);
}

/* All forms of the same sample: ASCII pair, .cff, UTF-8, ISO 8859-1, \x1A at the end. */
static void forms_of_one_record_hold_the_same_values(void **state)
{
    static const char *const pairs[][2] = {
        {"sample_ascii.cfg", "sample_ascii.dat"},
        {"sample_ascii_utf-8.cfg", "sample_ascii.dat"},
        {"sample_iso8859-1.cfg", "sample_iso8859-1.dat"},
        {"sample_sub_char.cfg", "sample_ascii.dat"},
    };
    struct np_file_options digital = {.digital = true};
    struct recording cff, all;
    char command[2048], folder[] = "/tmp/np-comtrade-XXXXXX", path[256];

    (void)state;
    recording_read_whole(&cff, data_file("comtrade_format_samples/sample_ascii.cff"), &digital);
    assert_int_equal(cff.n, 40);
    assert_int_equal(cff.n_channels, 8);
    assert_near("IA", (double)cff.x[0][0], -83 * 0.1138916015625 + 0.05694580078125, 1e-6);
    assert_float_equal(cff.x[7][10], 1, 0);
    assert_float_equal(cff.x[7][9], 0, 0);
    /* the time code -5h30 is taken off */
    assert_int_equal(cff.info->start_ns, at("2011-01-12T05:55:30.075011-05:30"));
    assert_int_equal(cff.info->trigger_ns, at("2011-01-12T05:55:30.078261-05:30"));
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *data = getenv("NP_DATA") ? getenv("NP_DATA") : "../shared/data";

        snprintf(command, sizeof command,
                 "cp %s/comtrade_format_samples/%s %s/a.cfg && cp %s/comtrade_format_samples/%s %s/a.Dat"
                 " && mv %s/a.Dat %s/a.dat",
                 data, pairs[i][0], folder, data, pairs[i][1], folder, folder, folder);
        assert_int_equal(system(command), 0);
        snprintf(path, sizeof path, "%s/a.cfg", folder);
        recording_read_whole(&all, path, &digital);
        assert_int_equal(all.n, cff.n);
        for (size_t c = 0; c < cff.n_channels; c++)
            assert_memory_equal(all.x[c], cff.x[c], cff.n * sizeof(float));
        assert_memory_equal(all.times, cff.times, cff.n * sizeof(int64_t));
        if (i == 2)
            assert_string_equal(all.info->sensor, "Estação de Medição/Oscilógrafo");
        recording_free(&all);
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    recording_free(&cff);
}

static void copy_as(const char *folder, const char *from, const char *to)
{
    char command[2048];

    snprintf(command, sizeof command, "cp %s %s/%s && chmod u+w %s/%s", data_file(from), folder, to, folder,
             to);
    assert_int_equal(system(command), 0);
}

static void missing_values_are_nan_and_no_others(void **state)
{
    char folder[] = "/tmp/np-comtrade-XXXXXX", path[256], command[512];
    struct recording all;

    (void)state;
    data_file("comtrade_format_samples/sample_bin.cfg");
    assert_non_null(mkdtemp(folder));
    copy_as(folder, "comtrade_format_samples/sample_bin.cfg", "b.cfg");
    copy_as(folder, "comtrade_format_samples/sample_bin_missing.dat", "b.dat");
    copy_as(folder, "comtrade_format_samples/sample_ascii.cfg", "a.cfg");
    copy_as(folder, "comtrade_format_samples/sample_ascii_missing.dat", "a.dat");
    for (int f = 0; f < 2; f++) {
        snprintf(path, sizeof path, "%s/%c.cfg", folder, "ab"[f]);
        recording_read_whole(&all, path, NULL);
        /* channel c misses sample c (binary) or c + 1 (ASCII) */
        for (size_t c = 0; c < 4; c++)
            for (size_t i = 0; i < all.n; i++)
                if ((isnan(all.x[c][i]) != 0) != (i == c + (f == 0)) && !(f == 1 && c == 3))
                    fail_msg("%s: channel %zu sample %zu: %g", path, c, i, (double)all.x[c][i]);
        recording_free(&all);
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void a_cff_with_floats_keeps_its_nanoseconds(void **state)
{
    struct recording all;

    (void)state;
    recording_read_whole(&all, data_file("comtrade_format_samples/sample_float32.cff"), &with_digital);
    assert_int_equal(all.n, 301);
    assert_int_equal(all.info->start_ns, at("2021-02-17T17:37:12.422969065Z"));
    assert_int_equal(all.info->trigger_ns, at("2021-02-17T17:37:13.922969065Z"));
    assert_near("the first value", (double)all.x[0][0], 2.80969, 1e-5);
    recording_free(&all);
}

/* --- damaged records ---------------------------------------------------------------------------- */

static const char good[] =
    "--- file type: CFG ---\nstation,7,2013\n3,2A,1D\n"
    "1,U,A,,V,0.5,1,20,-32767,32767,100,1,P\n2,I,A,,A,1,0,0,-99999,99999,1,1,S\n1,on,,,0\n"
    "50\n2\n1000,2\n500,4\n01/02/2024,03:04:05.000000\n01/02/2024,03:04:05.001000\nASCII\n1\n0,0\nB,3\n"
    "--- file type: DAT ASCII ---\n1,0,2,3,0\n2,1000,4,,1\n3,2000,99999,5,0\n4,4000,8,99999,1\n";

static void read_changed(struct recording *all, const char *from, const char *to)
{
    char text[2048];
    const char *place = strstr(good, from), *path;

    assert_non_null(place);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(place - good), good, to, place + strlen(from));
    path = small_text("a.cff", text);
    recording_read(all, path, &with_digital);
    unlink(path);
}

static void a_small_record_reads_as_written(void **state)
{
    struct recording all;

    (void)state;
    read_changed(&all, "station", "station");
    if (all.status != NP_EEND)
        fail_msg("%s", all.err.text);
    assert_int_equal(all.n, 4);
    assert_int_equal(all.n_blocks, 2);
    assert_int_equal(all.times[0], at("2024-02-01T03:04:05.00002Z")); /* with U's skew of 20 us */
    assert_int_equal(all.times[2], at("2024-02-01T03:04:05.00202Z"));
    assert_int_equal(all.times[3], at("2024-02-01T03:04:05.00402Z"));
    assert_float_equal(all.x[0][0], 2, 0);
    assert_true(isnan(all.x[0][2]) && isnan(all.x[1][1]));
    assert_float_equal(all.x[1][3], 99999, 0); /* it lies inside the channel's range */
    assert_float_equal(all.x[2][1], 1, 0);
    recording_free(&all);
    /* the first revision's dates begin with the month */
    read_changed(&all, "station,7,2013", "station,7");
    assert_int_equal(all.info->start_ns, at("2024-01-02T03:04:05Z"));
    recording_free(&all);
}

static void damaged_records_are_told_with_their_place(void **state)
{
    static const struct {
        const char *from, *to, *error;
    } rows[] = {
        {"3,2A,1D", "4,2A,1D", "a.cff:3: 4 channels in all, but 2 analog and 1 digital ones"},
        {"3,2A,1D", "3,2A,1D\nx", "a.cff:4: 1 fields where an analog channel needs 10"},
        {"3,2A,1D", "3,2B,1D", "\"2B\" where a number of channels such as 4A is wanted"},
        {"3,2A,1D", "99999999,99999998A,1D", "at most 65536 are allowed"},
        {"0.5,1,20", "0.5x,1,20", "the factor a \"0.5x\" is not a number"},
        {"1,U,A,,V,0.5", "1,U", "an analog channel needs 10"},
        {"50\n2\n", "50\n3\n", "the sampling rate \"01/02/2024\" is not a number"},
        {"50\n2\n", "50\n-1\n", "-1 sampling rates; 0 to 1000000 are allowed"},
        {"500,4", "500,2", "does not lie behind the one before"},
        {"01/02/2024,03:04:05.000000", "32/02/2024,03:04:05.000000", "is no date and time"},
        {"ASCII\n1\n", "ASCI\n1\n", "data of type \"ASCI\"; ASCII, BINARY, BINARY32 and FLOAT32 can be read"},
        {"1\n0,0", "0\n0,0", "a time multiplier of 0"},
        {"0,0\nB", "5h99x,0\nB", "the time code \"5h99x\""},
        {"--- file type: DAT", "--- file typ: DAT", "no section \"--- file type: DAT ... ---\""},
        {"3,2000,99999,5,0\n4,4000,8,99999,1\n", "", "the data ends after 2 of 4 samples"},
        {"3,2000,99999", "4,2000,99999", "line 20: sample number 4 where 3 is wanted"},
        {"3,2000,99999,5,0", "3,2000,99999,5", "line 20: 4 fields where number, time and 3 channels need 5"},
        {"3,2000,99999,5,0", "3,2000,9x,5,0", "line 20: \"9x\" is no number (channel U)"},
        {"3,2000,99999,5,0", "3,2000,9,5,2", "line 20: \"2\" is no 0 or 1 (channel on)"},
        {"3,2000", "3,abc", "line 20: \"abc\" is no time stamp"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recording all;

        read_changed(&all, rows[i].from, rows[i].to);
        assert_error(&all, NP_EDATA, rows[i].error);
        recording_free(&all);
    }
}

static void a_truncated_binary_record_is_told_with_its_byte(void **state)
{
    char folder[] = "/tmp/np-comtrade-XXXXXX", path[256], command[512];
    struct recording all;

    (void)state;
    data_file("comtrade_format_samples/sample_bin.cfg");
    assert_non_null(mkdtemp(folder));
    copy_as(folder, "comtrade_format_samples/sample_bin.cfg", "b.cfg");
    copy_as(folder, "comtrade_format_samples/sample_bin.dat", "b.dat");
    snprintf(path, sizeof path, "%s/b.dat", folder);
    assert_int_equal(truncate(path, 80), 0);
    recording_read(&all, path, NULL);
    assert_int_equal(all.n, 4);
    assert_error(&all, NP_EDATA, "b.dat: byte 72: the data ends after 4 of 5 samples");
    recording_free(&all);
    snprintf(command, sizeof command, "rm %s", path);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/b.cfg", folder);
    recording_read(&all, path, NULL);
    assert_error(&all, NP_ECONFIG, "b.dat: No such file or directory (the samples of b.cfg)");
    recording_free(&all);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampling_rates_of_the_earth_fault_record_follow_the_grid),
        cmocka_unit_test(the_110_kv_record_dips_to_five_and_a_half_percent),
        cmocka_unit_test(a_channels_skew_shifts_its_times),
        cmocka_unit_test(without_sampling_rates_the_time_stamps_tell),
        cmocka_unit_test(upper_case_extensions_and_long_exponents_are_read),
        cmocka_unit_test(a_record_of_32_bits_is_read),
        cmocka_unit_test(the_simulated_fault_has_its_residual_voltage),
        cmocka_unit_test(forms_of_one_record_hold_the_same_values),
        cmocka_unit_test(missing_values_are_nan_and_no_others),
        cmocka_unit_test(a_cff_with_floats_keeps_its_nanoseconds),
        cmocka_unit_test(a_small_record_reads_as_written),
        cmocka_unit_test(damaged_records_are_told_with_their_place),
        cmocka_unit_test(a_truncated_binary_record_is_told_with_its_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
