/* The text that describes simulated meters. */
#include <stdlib.h>
#include <string.h>

#include "ingest/simulate.h"
#include "pipeline/quantity.h"
#include "pipeline/record.h"

/* What the simple keys fill; shares and lists are texts here and parsed below. */
struct keys {
    int64_t meters, swells, seed, block_ns, duration_ns;
    double rate_hz, volts, hz;
    char *harmonics, *noise, *sag, *swell, *gap, *poison, *start;
};

static const struct np_option rows[] = {
    {"meters", NP_OPT_COUNT, offsetof(struct keys, meters), "meters", "1", 1, 1000000, NULL, false,
     "How many meters: meter-0001, meter-0002, ..."},
    {"rate", NP_OPT_FREQUENCY, offsetof(struct keys, rate_hz), NULL, "5120Hz", 0.001, 1e7, NULL, false,
     "Sampling rate."},
    {"volts", NP_OPT_NUMBER, offsetof(struct keys, volts), "V", "230", 0, 1e7, NULL, false,
     "Rms of each phase voltage."},
    {"hz", NP_OPT_FREQUENCY, offsetof(struct keys, hz), NULL, "50Hz", 0.001, 1e6, NULL, false,
     "Frequency of the grid."},
    {"block", NP_OPT_DURATION, offsetof(struct keys, block_ns), NULL, "200ms", 1e5, 3.6e12, NULL, false,
     "Length of one message."},
    {"harmonics", NP_OPT_TEXT, offsetof(struct keys, harmonics), NULL, "", 0, 0, NULL, false,
     "Order and share of the fundamental, joined by +: 5:3%+7:2%."},
    {"noise", NP_OPT_TEXT, offsetof(struct keys, noise), NULL, "0.1%", 0, 0, NULL, false,
     "Standard deviation of noise, as a share of the rms: 0% to 100%."},
    {"sag", NP_OPT_TEXT, offsetof(struct keys, sag), NULL, "", 0, 0, NULL, false,
     "every 20s to 40% for 200ms"},
    {"swell", NP_OPT_TEXT, offsetof(struct keys, swell), NULL, "", 0, 0, NULL, false,
     "every 20s to 115% for 2s"},
    {"swells", NP_OPT_COUNT, offsetof(struct keys, swells), "meters", "0", 0, 1000000, NULL, false,
     "So many of the meters swell to 115 % from second 10 to 15 of each minute."},
    {"gap", NP_OPT_TEXT, offsetof(struct keys, gap), NULL, "", 0, 0, NULL, false,
     "every 30s for 500ms: messages that begin in it are not sent."},
    {"poison", NP_OPT_TEXT, offsetof(struct keys, poison), NULL, "0%", 0, 0, NULL, false,
     "Share of the messages that are rubbish: 0% to 100%."},
    {"start", NP_OPT_TEXT, offsetof(struct keys, start), NULL, "", 0, 0, NULL, false,
     "Time of the first sample, RFC 3339; without it: now."},
    {"duration", NP_OPT_DURATION, offsetof(struct keys, duration_ns), NULL, "", 0, 0, NULL, false,
     "How much is simulated; without it: until stopped."},
    {"seed", NP_OPT_COUNT, offsetof(struct keys, seed), NULL, "1", 0, 1e15, NULL, false,
     "Of noise, phases and poison."},
    {0},
};

void np_simulate_help(FILE *out)
{
    np_options_help(rows, "", out);
}

/* "3%" -> 0.03; "0.03" -> 0.03 */
static bool parse_share(const char *text, double *share)
{
    char copy[64];
    size_t n = strlen(text);
    bool percent = n > 1 && text[n - 1] == '%';

    if (n == 0 || n >= sizeof copy)
        return false;
    memcpy(copy, text, n + 1);
    if (percent)
        copy[n - 1] = '\0';
    if (!np_number_parse(copy, share))
        return false;
    *share *= percent ? 0.01 : 1;
    return *share >= 0;
}

static enum np_status share_of(const char *name, const char *text, double *share, struct np_error *err)
{
    if (!text || (parse_share(text, share) && *share <= 1))
        return NP_OK;
    return np_fail(err, NP_ECONFIG,
                   "--simulate: %s is \"%.60s\"; allowed: a share from 0%% to 100%%, such as 0.1%%", name,
                   text);
}

/* "every 20s to 115% for 2s"; level: a "to" is wanted. */
static enum np_status parse_event(const char *name, const char *text, bool level,
                                  struct np_simulate_event *event, struct np_error *err)
{
    char every[32], to[32], length[32];
    int used = 0;
    bool ok = true;

    if (!text)
        return NP_OK;
    if (level)
        ok = sscanf(text, "every %31s to %31s for %31s%n", every, to, length, &used) == 3 &&
             parse_share(to, &event->to);
    else
        ok = sscanf(text, "every %31s for %31s%n", every, length, &used) == 2;
    ok = ok && text[used] == '\0' && np_duration_parse(every, &event->every_ns) &&
         np_duration_parse(length, &event->for_ns);
    if (ok && event->for_ns > 0 && event->for_ns < event->every_ns && event->to <= 1000)
        return NP_OK;
    return np_fail(err, NP_ECONFIG, "--simulate: %s is \"%.60s\"; allowed: %s, with for shorter than every",
                   name, text, level ? "\"every 20s to 115% for 2s\"" : "\"every 30s for 500ms\"");
}

static enum np_status parse_harmonics(struct np_simulate_spec *spec, char *text, struct np_error *err)
{
    char *rest = text, *part;

    while (text && (part = strsep(&rest, "+"))) {
        struct np_simulate_harmonic *to = &spec->harmonics[spec->n_harmonics];
        char *colon = strchr(part, ':'), *end;

        if (spec->n_harmonics == NP_SIMULATE_HARMONICS)
            return np_fail(err, NP_ECONFIG, "--simulate: at most %d harmonics are allowed",
                           NP_SIMULATE_HARMONICS);
        to->order = (int)strtol(part, &end, 10);
        if (!colon || end != colon || to->order < 2 || to->order > 1000 ||
            !parse_share(colon + 1, &to->share) || to->share > 10)
            return np_fail(
                err, NP_ECONFIG,
                "--simulate: harmonics holds \"%.60s\"; allowed: ORDER:SHARE with an order from 2 to 1000, "
                "joined by +, such as 5:3%%+7:2%%",
                part);
        spec->n_harmonics++;
    }
    return NP_OK;
}

static enum np_status parse_pair(const char *name, const char *value, struct keys *keys, struct np_error *err)
{
    struct np_error inner = {0};
    char names[512] = "";
    size_t n = 0;
    enum np_status st;

    for (const struct np_option *row = rows; row->name; row++)
        if (strcmp(row->name, name) == 0) {
            st = np_option_value(row, value, keys, &inner);
            return st == NP_OK ? st : np_fail(err, st, "--simulate: %.900s", inner.text);
        }
    for (const struct np_option *row = rows; row->name && n < sizeof names; row++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", row->name);
    return np_fail(err, NP_ECONFIG, "--simulate: there is no key \"%.60s\"; allowed: %s", name, names);
}

static enum np_status parse_pairs(char *text, struct keys *keys, struct np_error *err)
{
    char *rest = text, *part;
    enum np_status st = NP_OK;

    for (const struct np_option *row = rows; row->name && st == NP_OK; row++)
        if (row->default_text[0])
            st = np_option_value(row, row->default_text, keys, err);
    while (st == NP_OK && (part = strsep(&rest, ","))) {
        char *equals = strchr(part, '=');

        part += strspn(part, " ");
        if (*part == '\0')
            continue;
        if (!equals)
            return np_fail(err, NP_ECONFIG, "--simulate: \"%.60s\" is no KEY=VALUE", part);
        *equals = '\0';
        st = parse_pair(part, equals + 1, keys, err);
    }
    return st;
}

enum np_status np_simulate_parse(struct np_simulate_spec *spec, const char *text, struct np_error *err)
{
    struct keys keys = {0};
    char *copy = strdup(text);
    enum np_status st =
        copy ? parse_pairs(copy, &keys, err) : np_fail(err, NP_ENOMEM, "--simulate: out of memory");

    *spec = (struct np_simulate_spec){
        .meters = keys.meters,
        .swells = keys.swells,
        .seed = keys.seed,
        .rate_hz = keys.rate_hz,
        .volts = keys.volts,
        .hz = keys.hz,
        .block_ns = keys.block_ns,
        .duration_ns = keys.duration_ns,
        .start_ns = NP_NULL_LONG,
    };
    if (st == NP_OK)
        st = share_of("noise", keys.noise, &spec->noise, err);
    if (st == NP_OK)
        st = share_of("poison", keys.poison, &spec->poison, err);
    if (st == NP_OK)
        st = parse_event("sag", keys.sag, true, &spec->sag, err);
    if (st == NP_OK)
        st = parse_event("swell", keys.swell, true, &spec->swell, err);
    if (st == NP_OK)
        st = parse_event("gap", keys.gap, false, &spec->gap, err);
    if (st == NP_OK)
        st = parse_harmonics(spec, keys.harmonics, err);
    if (st == NP_OK && keys.start && !np_time_parse(keys.start, &spec->start_ns))
        st = np_fail(err, NP_ECONFIG,
                     "--simulate: start is \"%.60s\"; allowed: a time such as 2026-03-01T12:00:00Z",
                     keys.start);
    if (st == NP_OK && (double)spec->block_ns * 1e-9 * spec->rate_hz > 1e7)
        st = np_fail(err, NP_ECONFIG,
                     "--simulate: a block of more than 10 million samples; shorten block or lower rate");
    np_options_free(rows, &keys);
    free(copy);
    return st;
}
