#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/simulate.h"
#include "pipeline/record.h"

/* One phase of one meter, as a whole. */
struct phase {
    float *x;
    size_t n, messages, poisoned;
    int64_t first_ns, longest_ns; /* between the starts of two messages */
};

static void simulate(struct phase *out, const char *text, const char *sensor, int phase)
{
    struct np_simulate_spec spec;
    struct np_simulate *sim;
    struct np_blocks blocks = {0};
    struct np_error err;
    int64_t last_ns = 0;
    bool poison;

    memset(out, 0, sizeof *out);
    if (np_simulate_parse(&spec, text, &err) != NP_OK)
        fail_msg("%s", err.text);
    assert_int_equal(np_simulate_open(&sim, &spec, &err), NP_OK);
    while (np_simulate_next(sim, &blocks, &poison, &err) == NP_OK) {
        const struct np_block *block = &blocks.items[phase];

        assert_int_equal(blocks.n, 3);
        if (strcmp(block->sensor, sensor) != 0)
            continue;
        if (out->n == 0)
            out->first_ns = block->t0_ns;
        else if (block->t0_ns - last_ns > out->longest_ns)
            out->longest_ns = block->t0_ns - last_ns;
        last_ns = block->t0_ns;
        out->x = realloc(out->x, (out->n + block->n) * sizeof *out->x);
        memcpy(out->x + out->n, block->x, block->n * sizeof *block->x);
        out->n += block->n;
        out->messages++;
        out->poisoned += poison;
    }
    np_simulate_close(sim);
    np_blocks_free(&blocks);
}

static double rms(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)n);
}

static void assert_near(const char *what, double got, double wanted, double tolerance)
{
    if (!(fabs(got - wanted) <= tolerance))
        fail_msg("%s: %.7g instead of %.7g +- %g", what, got, wanted, tolerance);
}

static void the_same_specification_gives_the_same_samples_whatever_the_block(void **state)
{
    static const char base[] =
        "meters=3,rate=6400Hz,harmonics=5:3%+7:1%,noise=1%,sag=every 700ms to 40% for 130ms,duration=3s,"
        "start=2026-03-01T12:00:00Z,seed=4,";
    char a_text[512], b_text[512];
    struct phase a, b;

    (void)state;
    snprintf(a_text, sizeof a_text, "%sblock=200ms", base);
    snprintf(b_text, sizeof b_text, "%sblock=37ms", base);
    simulate(&a, a_text, "meter-0002", 1);
    simulate(&b, b_text, "meter-0002", 1);
    assert_int_equal(a.n, 19200);
    assert_int_equal(b.n, 19200);
    assert_memory_equal(a.x, b.x, a.n * sizeof *a.x);
    free(b.x);
    simulate(&b, strcat(a_text, ",seed=5"), "meter-0002", 1);
    assert_true(memcmp(a.x, b.x, a.n * sizeof *a.x) != 0);
    free(a.x);
    free(b.x);
}

static void voltage_harmonics_and_noise_are_as_specified(void **state)
{
    struct phase a;
    double re[8] = {0}, im[8] = {0};

    (void)state;
    simulate(&a, "rate=6400Hz,volts=230,noise=2%,harmonics=5:3%,duration=2s,start=2026-03-01T12:00:00Z",
             "meter-0001", 0);
    for (int h = 1; h < 8; h++)
        for (size_t i = 0; i < a.n; i++) {
            re[h] += (double)a.x[i] * cos(2 * M_PI * 50 * h * (double)i / 6400) * M_SQRT2 / (double)a.n;
            im[h] += (double)a.x[i] * sin(2 * M_PI * 50 * h * (double)i / 6400) * M_SQRT2 / (double)a.n;
        }
    assert_near("fundamental", hypot(re[1], im[1]), 230, 0.2);
    assert_near("fifth harmonic", hypot(re[5], im[5]), 6.9, 0.2);
    assert_near("third harmonic", hypot(re[3], im[3]), 0, 0.2);
    /* what is left is the noise: 2 % of 230 V */
    assert_near("noise",
                sqrt(pow(rms(a.x, a.n), 2) - pow(hypot(re[1], im[1]), 2) - pow(hypot(re[5], im[5]), 2)), 4.6,
                0.15);
    free(a.x);
}

static void the_phases_are_a_third_of_a_cycle_apart(void **state)
{
    static const char text[] = "rate=6000Hz,noise=0%,duration=1s,start=2026-03-01T12:00:00Z";
    struct phase a, b;

    (void)state;
    simulate(&a, text, "meter-0001", 0);
    simulate(&b, text, "meter-0001", 1);
    for (size_t i = 0; i + 40 < a.n; i++) /* 120 samples a cycle */
        assert_near("second phase, a third of a cycle later", (double)b.x[i + 40], (double)a.x[i], 0.02);
    free(a.x);
    free(b.x);
}

static void the_table_keeps_its_phase_for_hours(void **state)
{
    struct phase a;

    (void)state;
    simulate(&a, "rate=100Hz,hz=49.987Hz,noise=0%,block=1m,duration=3h,start=2026-03-01T12:00:00Z",
             "meter-0001", 0);
    /* 49.987 Hz at 100 Hz: after 2 * 100 / 0.026 samples the beat begins anew */
    for (size_t i = 0; i + 100000 < a.n; i += 1111)
        assert_near("after a whole number of cycles", (double)a.x[i + 100000], (double)a.x[i], 0.02);
    free(a.x);
}

static void swells_and_sags_have_their_times_and_levels(void **state)
{
    struct phase a;

    (void)state;
    simulate(&a, "meters=2,swells=1,rate=6400Hz,noise=0%,duration=20s,start=2026-03-01T12:00:00Z",
             "meter-0001", 2);
    assert_near("before the swell", rms(a.x + 6400 * 9, 6400), 230, 0.01);
    assert_near("in the swell", rms(a.x + 6400 * 10, 6400 * 5), 264.5, 0.01);
    assert_near("after the swell", rms(a.x + 6400 * 15, 6400 * 5), 230, 0.01);
    free(a.x);
    simulate(&a, "meters=2,swells=1,rate=6400Hz,noise=0%,duration=20s,start=2026-03-01T12:00:00Z",
             "meter-0002", 2);
    assert_near("another meter", rms(a.x, a.n), 230, 0.01);
    free(a.x);
    simulate(&a, "rate=6400Hz,noise=0%,duration=5s,sag=every 2s to 40% for 200ms,start=2026-03-01T12:00:00Z",
             "meter-0001", 0);
    assert_near("in the sag", rms(a.x + 6400 * 2, 1280), 92, 0.01);
    assert_near("behind the sag", rms(a.x + 6400 * 2 + 1280, 1280), 230, 0.01);
    free(a.x);
}

static void gaps_are_not_sent_and_poison_is_as_often_as_told(void **state)
{
    struct phase a;

    (void)state;
    simulate(&a, "rate=1000Hz,block=100ms,duration=60s,gap=every 10s for 1s,start=2026-03-01T12:00:00Z",
             "meter-0001", 0);
    assert_int_equal(a.messages, 600 - 6 * 10);
    assert_int_equal(a.longest_ns, 1100000000);
    free(a.x);
    simulate(&a, "rate=100Hz,block=10ms,duration=100s,poison=5%,start=2026-03-01T12:00:00Z", "meter-0001", 0);
    assert_near("poisoned messages of 10000", (double)a.poisoned, 500, 70);
    free(a.x);
}

static void mistakes_name_the_key_and_what_is_allowed(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"metres=5", "there is no key \"metres\"; allowed: meters, rate, volts"},
        {"meters=0", "meters is \"0\""},
        {"meters", "\"meters\" is no KEY=VALUE"},
        {"rate=fast", "rate is \"fast\""},
        {"noise=200%", "noise is \"200%\"; allowed: a share from 0% to 100%"},
        {"swell=sometimes", "swell is \"sometimes\"; allowed: \"every 20s to 115% for 2s\""},
        {"gap=every 1s for 2s",
         "gap is \"every 1s for 2s\"; allowed: \"every 30s for 500ms\", with for shorter than every"},
        {"harmonics=1:3%", "harmonics holds \"1:3%\"; allowed: ORDER:SHARE"},
        {"start=today", "start is \"today\"; allowed: a time such as"},
        {"rate=10MHz,block=10s", "a block of more than 10 million samples"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct np_simulate_spec spec;
        struct np_error err = {0};
        enum np_status st = np_simulate_parse(&spec, rows[i].text, &err);

        if (st != NP_ECONFIG || !strstr(err.text, rows[i].error))
            fail_msg("%s: %s: %s", rows[i].text, np_status_name(st), err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_specification_gives_the_same_samples_whatever_the_block),
        cmocka_unit_test(voltage_harmonics_and_noise_are_as_specified),
        cmocka_unit_test(the_phases_are_a_third_of_a_cycle_apart),
        cmocka_unit_test(the_table_keeps_its_phase_for_hours),
        cmocka_unit_test(swells_and_sags_have_their_times_and_levels),
        cmocka_unit_test(gaps_are_not_sent_and_poison_is_as_often_as_told),
        cmocka_unit_test(mistakes_name_the_key_and_what_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
