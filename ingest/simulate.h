/* Simulated meters: three phase voltages each, for demonstrations, tests and benchmarks. Every sample follows
 * from the specification and the seed alone, whatever the block length, the speed or the machine's other work.
 */
#ifndef NP_SIMULATE_H
#define NP_SIMULATE_H

#include "pipeline/block.h"
#include "pipeline/option.h"

#define NP_SIMULATE_PHASES 3
#define NP_SIMULATE_HARMONICS 32

/**
 * Something that comes again and again: "every 20s to 115% for 2s" (sag, swell), "every 30s for 500ms" (gap).
 */
struct np_simulate_event {
    int64_t every_ns, for_ns;     /* at the multiples of every since the epoch; every 0: never */
    double to;                    /* of the nominal voltage: 1.15 */
};

struct np_simulate_spec {
    int64_t meters, swells, seed;
    /* volts: rms; noise: sigma over rms; poison: share of messages */
    double rate_hz, volts, hz, noise, poison;
    int64_t block_ns, start_ns, duration_ns;      /* start NP_NULL_LONG: now; duration 0: without end */
    struct np_simulate_event sag, swell, gap;
    size_t n_harmonics;
    struct np_simulate_harmonic {
        int order;
        double share;             /* of the fundamental */
    } harmonics[NP_SIMULATE_HARMONICS];
};

/**
 * Reads "meters=50,rate=5120Hz,harmonics=5:3%+7:2%,swell=every 20s to 115% for 2s,seed=1".
 * @return NP_OK; NP_ECONFIG naming the key and what is allowed
 */
enum np_status np_simulate_parse(struct np_simulate_spec *spec, const char *text, struct np_error *err);
/** The keys with defaults and meaning, for --help. */
void np_simulate_help(FILE *out);

struct np_simulate;

/** @param spec copied; start must be set. @param out given */
enum np_status np_simulate_open(struct np_simulate **out, const struct np_simulate_spec *spec, struct np_error
                                *err);
/**
 * The next message's blocks (one meter, all phases; u_l1, u_l2, u_l3), in order of time, then of meters.
 * @param blocks   emptied and filled
 * @param poison   this message is to be sent as rubbish
 * @return NP_OK; NP_EEND after the duration; NP_ENOMEM
 */
enum np_status np_simulate_next(struct np_simulate *sim, struct np_blocks *blocks, bool *poison, struct
                                np_error *err);
void np_simulate_close(struct np_simulate *sim);     /* accepts NULL */

#endif
