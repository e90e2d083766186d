/* Sine by table: one cycle with its harmonics, walked by a 64-bit phase, so that millions of samples a second
 * come with a known error (below 1e-6 of the amplitude for the fundamental) and no drift. */
#include "ingest/simulate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/file_reader.h"

#define TABLE_BITS    13
#define TABLE         (1 << TABLE_BITS)
#define NS_PER_MINUTE INT64_C(60000000000)

struct np_simulate {
    struct np_simulate_spec spec;
    float table[TABLE + 1]; /* one cycle [V]; the last is the first */
    uint64_t step;          /* phase a sample; 2^64 is a cycle */
    uint64_t block;         /* number of the block at hand */
    int64_t meter;
    uint32_t rows;  /* samples of a full block */
    uint64_t total; /* samples of a channel in all; UINT64_MAX: without end */
};

static const char *const names[NP_SIMULATE_PHASES] = {"u_l1", "u_l2", "u_l3"};

/* splitmix64 (Steele, Lea, Flood 2014): a good 64-bit value for every input. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

enum np_status np_simulate_open(struct np_simulate **out, const struct np_simulate_spec *spec,
                                struct np_error *err)
{
    struct np_simulate *sim = calloc(1, sizeof *sim);
    long double cycles = (long double)spec->hz / (long double)spec->rate_hz;

    if (!sim)
        return np_fail(err, NP_ENOMEM, "--simulate: out of memory");
    sim->spec = *spec;
    sim->rows = (uint32_t)((double)spec->block_ns * 1e-9 * spec->rate_hz + 0.5);
    sim->rows = sim->rows ? sim->rows : 1;
    sim->step = (uint64_t)((cycles - floorl(cycles)) * 18446744073709551615.0L);
    sim->total = UINT64_MAX;
    if (spec->duration_ns > 0)
        sim->total = (uint64_t)((long double)spec->duration_ns * 1e-9L * (long double)spec->rate_hz + 0.5L);
    for (int i = 0; i < TABLE; i++) {
        double angle = 2 * M_PI * i / TABLE, value = sin(angle);

        for (size_t h = 0; h < spec->n_harmonics; h++)
            value += spec->harmonics[h].share * sin(angle * spec->harmonics[h].order);
        sim->table[i] = (float)(spec->volts * M_SQRT2 * value);
    }
    sim->table[TABLE] = sim->table[0];
    *out = sim;
    return NP_OK;
}

/* Is the event on at a time, and when does that change? */
static bool event_on(const struct np_simulate_event *event, int64_t time_ns, int64_t *change_ns)
{
    int64_t into = time_ns % event->every_ns;

    into += into < 0 ? event->every_ns : 0;
    *change_ns = time_ns - into + (into < event->for_ns ? event->for_ns : event->every_ns);
    return into < event->for_ns;
}

/* The meter's voltage over nominal at a time. @param until_ns  it stays so until then */
static float gain_at(const struct np_simulate *sim, int64_t meter, int64_t time_ns, int64_t *until_ns)
{
    const struct np_simulate_event minute = {.every_ns = NS_PER_MINUTE, .for_ns = 5000000000, .to = 1.15};
    double gain = 1;
    int64_t change;

    *until_ns = INT64_MAX;
    if (meter < sim->spec.swells) {
        bool on = event_on(&minute, time_ns - 10000000000, &change);

        gain = on ? minute.to : gain;
        *until_ns = change + 10000000000;
    }
    for (int i = 0; i < 2; i++) {
        const struct np_simulate_event *event = i ? &sim->spec.swell : &sim->spec.sag;

        if (event->every_ns > 0) {
            gain = event_on(event, time_ns, &change) ? event->to : gain;
            *until_ns = change < *until_ns ? change : *until_ns;
        }
    }
    return (float)gain;
}

/* n samples from a phase on, all at one gain. noise [V]: of one unit of the 16-bit sum below */
static void fill(const struct np_simulate *sim, float *x, uint32_t n, uint64_t phase, uint64_t key,
                 float gain, float noise)
{
    for (uint32_t i = 0; i < n; i++, phase += sim->step) {
        uint32_t at = (uint32_t)(phase >> (64 - TABLE_BITS));
        float part = (float)((phase >> (64 - TABLE_BITS - 16)) & 0xffff) * 0x1p-16f;
        float low = sim->table[at];

        x[i] = gain * (low + part * (sim->table[at + 1] - low));
    }
    if (noise == 0)
        return;
    /* the sum of the four 16-bit parts of a random word, nearly normal, with a sigma of 2^16 / sqrt(3) */
    for (uint32_t i = 0; i < n; i++) {
        uint64_t r = mix(key + i);
        int32_t sum = (int32_t)(r & 0xffff) + (int32_t)(r >> 16 & 0xffff) + (int32_t)(r >> 32 & 0xffff) +
                      (int32_t)(r >> 48);

        x[i] += noise * (float)(sum - 131070);
    }
}

/* How many of the next n samples lie before a time; judged by the samples' own times, so that it hangs on no
 * block. */
static uint32_t samples_before(const struct np_simulate *sim, uint64_t first, uint32_t n, int64_t time_ns,
                               int64_t until_ns)
{
    double about = until_ns == INT64_MAX ? n : ceil((double)(until_ns - time_ns) * 1e-9 * sim->spec.rate_hz);
    uint32_t k = about < 1 ? 1 : about < n ? (uint32_t)about : n;

    while (k > 1 && np_file_time(sim->spec.start_ns, sim->spec.rate_hz, first + k - 1) >= until_ns)
        k--;
    while (k < n && np_file_time(sim->spec.start_ns, sim->spec.rate_hz, first + k) < until_ns)
        k++;
    return k;
}

static void fill_phase(const struct np_simulate *sim, int64_t meter, int phase, uint64_t first, float *x,
                       uint32_t n)
{
    uint64_t id = mix((uint64_t)sim->spec.seed ^ mix((uint64_t)meter * 3 + (uint64_t)phase + 1));
    uint64_t turn = mix((uint64_t)sim->spec.seed ^ mix((uint64_t)meter)) - (uint64_t)phase * (UINT64_MAX / 3);
    float noise = (float)(sim->spec.noise * sim->spec.volts * 1.7320508 * 0x1p-16);

    for (uint32_t done = 0; done < n;) {
        int64_t time_ns = np_file_time(sim->spec.start_ns, sim->spec.rate_hz, first + done), until_ns;
        float gain = gain_at(sim, meter, time_ns, &until_ns);
        uint32_t more = samples_before(sim, first + done, n - done, time_ns, until_ns);

        fill(sim, x + done, more, turn + (first + done) * sim->step, id + first + done, gain, noise);
        done += more;
    }
}

/* Moves on to the next message that is sent. @return false at the end */
static bool advance(struct np_simulate *sim, uint64_t *first, int64_t *t0_ns)
{
    for (;;) {
        int64_t change;

        if (sim->meter == sim->spec.meters) {
            sim->meter = 0;
            sim->block++;
        }
        *first = sim->block * sim->rows;
        if (*first >= sim->total)
            return false;
        *t0_ns = np_file_time(sim->spec.start_ns, sim->spec.rate_hz, *first);
        if (sim->spec.gap.every_ns == 0 || !event_on(&sim->spec.gap, *t0_ns, &change))
            return true;
        sim->block++;
    }
}

enum np_status np_simulate_next(struct np_simulate *sim, struct np_blocks *blocks, bool *poison,
                                struct np_error *err)
{
    uint64_t first;
    int64_t t0_ns;
    uint32_t n = sim->rows;
    char name[32];
    const char *sensor;
    float *x;

    np_blocks_clear(blocks);
    if (!advance(sim, &first, &t0_ns))
        return NP_EEND;
    if (sim->total - first < n)
        n = (uint32_t)(sim->total - first);
    x = np_blocks_samples(blocks, (size_t)n * NP_SIMULATE_PHASES);
    if (!x || !np_blocks_strings(blocks, sizeof name))
        return np_fail(err, NP_ENOMEM, "--simulate: out of memory");
    snprintf(name, sizeof name, "meter-%04lld", (long long)sim->meter + 1);
    sensor = np_blocks_string(blocks, name, strlen(name));
    for (int phase = 0; phase < NP_SIMULATE_PHASES; phase++) {
        struct np_block *block = np_blocks_add(blocks);

        if (!block)
            return np_fail(err, NP_ENOMEM, "--simulate: out of memory");
        block->sensor = sensor;
        block->channel = names[phase];
        block->t0_ns = t0_ns;
        block->rate_hz = sim->spec.rate_hz;
        block->n = n;
        block->x = x + (size_t)phase * n;
        fill_phase(sim, sim->meter, phase, first, x + (size_t)phase * n, n);
    }
    *poison =
        (double)(mix(mix((uint64_t)sim->spec.seed + 77) ^ (sim->block * 1000003 + (uint64_t)sim->meter)) >>
                 11) *
            0x1p-53 <
        sim->spec.poison;
    sim->meter++;
    return NP_OK;
}

void np_simulate_close(struct np_simulate *sim)
{
    free(sim);
}
