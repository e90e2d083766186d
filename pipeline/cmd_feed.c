/* netzpuls feed: recorded or simulated waveforms to a topic. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ingest/feed.h"
#include "ingest/simulate.h"
#include "pipeline/cli.h"
#include "pipeline/file.h"
#include "pipeline/log.h"
#include "pipeline/quantity.h"

#define PROPERTIES_MAX 65536

struct feed_conf {
    char *topic, *simulate, *speed, *brokers, *registry, *properties, *sensor, *start, *utc_offset,
        *time_column, *code_page, *schema_out;
    int format, encoding;
    int64_t block_ns, duration_ns;
    double rate_hz;
    bool digital;
};

static const char *const formats[] = {"avro", "json", NULL};
static const char *const encodings[] = {"float32", "array", NULL};

static const struct np_option feed_flags[] = {
    {"topic", NP_OPT_TEXT, offsetof(struct feed_conf, topic), NULL, NULL, 0, 0, NULL, false,
     "The topic to write to; it must exist."},
    {"simulate", NP_OPT_TEXT, offsetof(struct feed_conf, simulate), NULL, "", 0, 0, NULL, false,
     "Simulated meters instead of files: KEY=VALUE,... as described above."},
    {"format", NP_OPT_CHOICE, offsetof(struct feed_conf, format), NULL, "avro", 0, 0, formats, false,
     "Form of the messages."},
    {"encoding", NP_OPT_CHOICE, offsetof(struct feed_conf, encoding), NULL, "float32", 0, 0, encodings, false,
     "Avro: samples as bytes of float32 little-endian, or as an array of floats."},
    {"speed", NP_OPT_TEXT, offsetof(struct feed_conf, speed), NULL, "1", 0, 0, NULL, false,
     "Seconds of data sent in a second: 1 is real time; max: as fast as it goes."},
    {"brokers", NP_OPT_TEXT, offsetof(struct feed_conf, brokers), NULL, "localhost:9092", 0, 0, NULL, false,
     "HOST:PORT,... of Kafka."},
    {"registry", NP_OPT_TEXT, offsetof(struct feed_conf, registry), NULL, "", 0, 0, NULL, false,
     "URL of the schema registry; without it Avro messages carry no schema id."},
    {"properties", NP_OPT_TEXT, offsetof(struct feed_conf, properties), NULL, "", 0, 0, NULL, false,
     "A file of librdkafka properties, a NAME=VALUE a line (security.protocol=SASL_SSL)."},
    {"schema-out", NP_OPT_TEXT, offsetof(struct feed_conf, schema_out), NULL, "", 0, 0, NULL, false,
     "A file to write the messages' Avro schema to."},
    {"block", NP_OPT_DURATION, offsetof(struct feed_conf, block_ns), NULL, "200ms", 1e3, 3.6e12, NULL, false,
     "Longest stretch of samples in a message (files)."},
    {"sensor", NP_OPT_TEXT, offsetof(struct feed_conf, sensor), NULL, "", 0, 0, NULL, false,
     "The sensor's name, which is the key of the messages (default: the file's own, or its base name)."},
    {"start", NP_OPT_TEXT, offsetof(struct feed_conf, start), NULL, "", 0, 0, NULL, false,
     "Time of the first sample (RFC 3339) of files that have no date (default: 1970-01-01T00:00:00Z), or of "
     "the simulation (default: now)."},
    {"duration", NP_OPT_DURATION, offsetof(struct feed_conf, duration_ns), NULL, "", 0, 0, NULL, false,
     "Stop after so much data (default: all of it)."},
    {"rate", NP_OPT_FREQUENCY, offsetof(struct feed_conf, rate_hz), NULL, "0", 0, 1e7, NULL, false,
     "The sampling rate, where the file's own is missing or wrong."},
    {"utc-offset", NP_OPT_TEXT, offsetof(struct feed_conf, utc_offset), NULL, "", 0, 0, NULL, false,
     "Local time minus UTC, for times that state no zone: +02:00, -0530 (default: they are UTC)."},
    {"time-column", NP_OPT_TEXT, offsetof(struct feed_conf, time_column), NULL, "", 0, 0, NULL, false,
     "CSV: name of the column with the time; none: there is none, --rate and --start tell the times."},
    {"code-page", NP_OPT_TEXT, offsetof(struct feed_conf, code_page), NULL, "", 0, 0, NULL, false,
     "Code page of names that are not UTF-8 (default: CP1252)."},
    {"digital", NP_OPT_BOOL, offsetof(struct feed_conf, digital), NULL, "false", 0, 0, NULL, false,
     "COMTRADE: the digital channels too, as 0 and 1."},
    {0},
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- what to send ---------------------------------------------------------------------------------- */

/* What was sent so far, once a second on a terminal. */
static void show_progress(const struct np_feed *feed, int64_t begin_ns, int64_t *shown_ns)
{
    struct np_feed_counts counts = np_feed_counts(feed);
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    double seconds = (double)(now_ns - begin_ns) * 1e-9;

    if (!isatty(STDERR_FILENO) || now_ns - *shown_ns < 1000000000)
        return;
    *shown_ns = now_ns;
    fprintf(stderr, "\r%llu messages, %.1f MB, %.1f MB/s   ", (unsigned long long)counts.messages,
            (double)counts.bytes * 1e-6, (double)counts.bytes * 1e-6 / seconds);
}

static enum np_status write_schema(const struct feed_conf *conf, const struct np_feed *feed,
                                   struct np_error *err)
{
    FILE *out;

    if (!conf->schema_out)
        return NP_OK;
    out = fopen(conf->schema_out, "w");
    if (!out || fputs(np_feed_schema_text(feed), out) == EOF || fclose(out) != 0)
        return np_fail(err, NP_ECONFIG, "--schema-out %s: %s", conf->schema_out, strerror(errno));
    return NP_OK;
}

static enum np_status feed_file(const struct feed_conf *conf, const char *path,
                                const struct np_file_options *options, struct np_feed *feed,
                                struct np_error *err)
{
    struct np_blocks blocks = {0};
    struct np_file *file = NULL;
    int64_t begin_ns = clock_ns(CLOCK_MONOTONIC), shown_ns = begin_ns, first_ns = 0;
    enum np_status st = np_file_open(&file, path, options, err);
    bool begun = false;

    while (st == NP_OK && (st = np_file_next(file, &blocks, err)) == NP_OK) {
        if (!begun) {
            first_ns = blocks.items[0].t0_ns;
            st = np_feed_begin(feed, &blocks, np_file_describe(file), err);
            if (st == NP_OK)
                st = write_schema(conf, feed, err);
            begun = true;
        }
        if (st == NP_OK && conf->duration_ns > 0 && blocks.items[0].t0_ns - first_ns >= conf->duration_ns)
            st = NP_EEND;
        if (st == NP_OK)
            st = np_feed_send(feed, &blocks, false, err);
        show_progress(feed, begin_ns, &shown_ns);
    }
    np_blocks_free(&blocks);
    np_file_close(file);
    return st == NP_EEND ? NP_OK : st;
}

static enum np_status feed_simulated(const struct feed_conf *conf, const struct np_simulate_spec *spec,
                                     struct np_feed *feed, struct np_error *err)
{
    struct np_blocks blocks = {0};
    struct np_simulate *sim = NULL;
    int64_t begin_ns = clock_ns(CLOCK_MONOTONIC), shown_ns = begin_ns;
    enum np_status st = np_simulate_open(&sim, spec, err);
    bool begun = false, poison;

    while (st == NP_OK && (st = np_simulate_next(sim, &blocks, &poison, err)) == NP_OK) {
        if (!begun) {
            st = np_feed_begin(feed, &blocks, NULL, err);
            if (st == NP_OK)
                st = write_schema(conf, feed, err);
            begun = true;
        }
        if (st == NP_OK)
            st = np_feed_send(feed, &blocks, poison, err);
        show_progress(feed, begin_ns, &shown_ns);
    }
    np_blocks_free(&blocks);
    np_simulate_close(sim);
    return st == NP_EEND ? NP_OK : st;
}

/* --- options ---------------------------------------------------------------------------------------- */

/* NAME=VALUE a line, # begins a comment line. The values may be secret: errors name the line only. */
static enum np_status read_properties(const char *path, struct np_pipeline *kafka, char **text,
                                      struct np_error *err)
{
    char *rest, *line;
    int number = 0;

    *text = np_file_read(path, PROPERTIES_MAX, NULL, err);
    if (!*text)
        return err->status;
    for (rest = *text; (line = strsep(&rest, "\n"));) {
        struct np_property *more;
        char *equals = strchr(line, '=');

        number++;
        line += strspn(line, " \t");
        line[strcspn(line, "\r")] = '\0';
        if (*line == '\0' || *line == '#')
            continue;
        if (!equals || equals == line)
            return np_fail(err, NP_ECONFIG, "%s:%d: no NAME=VALUE", path, number);
        more = realloc(kafka->properties, (kafka->n_properties + 1) * sizeof *more);
        if (!more)
            return np_fail(err, NP_ENOMEM, "%s: out of memory", path);
        *equals = '\0';
        kafka->properties = more;
        more[kafka->n_properties++] = (struct np_property){.name = line, .value = equals + 1};
    }
    return NP_OK;
}

static enum np_status parse_speed(const char *text, double *speed, struct np_error *err)
{
    *speed = 0;
    if (strcmp(text, "max") == 0 || (np_number_parse(text, speed) && *speed > 0))
        return NP_OK;
    return np_fail(err, NP_ECONFIG, "--speed is \"%.60s\"; allowed: a number above 0, or max", text);
}

static enum np_status parse_source(const struct feed_conf *conf, int n_files, struct np_file_options *options,
                                   struct np_simulate_spec *spec, struct np_error *err)
{
    enum np_status st = NP_OK;

    if ((n_files > 0) == (conf->simulate != NULL))
        return np_fail(err, NP_ECONFIG, "feed: give either files or --simulate SPEC");
    if (conf->start && !np_time_parse(conf->start, &options->start_ns))
        return np_fail(err, NP_ECONFIG, "--start is \"%.60s\"; allowed: a time such as 2026-03-01T12:00:00Z",
                       conf->start);
    if (conf->utc_offset && !np_file_utc_offset(conf->utc_offset, &options->utc_offset_ns))
        return np_fail(err, NP_ECONFIG,
                       "--utc-offset is \"%.60s\"; allowed: an offset such as +02:00 or -0530",
                       conf->utc_offset);
    if (!conf->simulate)
        return NP_OK;
    st = np_simulate_parse(spec, conf->simulate, err);
    if (st != NP_OK)
        return st;
    if (conf->start)
        spec->start_ns = options->start_ns;
    if (conf->duration_ns > 0)
        spec->duration_ns = conf->duration_ns;
    if (spec->start_ns == NP_NULL_LONG) /* a message is sent when its last sample was taken */
        spec->start_ns = clock_ns(CLOCK_REALTIME) - spec->block_ns;
    return NP_OK;
}

static void print_counts(const struct np_feed *feed, double seconds)
{
    struct np_feed_counts counts = np_feed_counts(feed);
    unsigned long long missing = counts.messages - counts.delivered;

    printf("%llu messages (%llu of them poison), %llu samples, %.1f MB in %.2f s (%.1f MB/s); %llu "
           "confirmed, %llu not\n",
           (unsigned long long)counts.messages, (unsigned long long)counts.poisoned,
           (unsigned long long)counts.samples, (double)counts.bytes * 1e-6, seconds,
           seconds > 0 ? (double)counts.bytes * 1e-6 / seconds : 0, (unsigned long long)counts.delivered,
           missing);
}

static enum np_status feed_all(const struct feed_conf *conf, int n_files, char **files, struct np_error *err)
{
    struct np_pipeline kafka = {.brokers = conf->brokers};
    struct np_feed_options options = {
        .topic = conf->topic,
        .kafka = &kafka,
        .registry = conf->registry,
        .stop = &stopped,
        .array = conf->encoding == 1,
        .format = conf->format == 0 ? NP_FORMAT_AVRO : NP_FORMAT_JSON,
    };
    struct np_file_options file_options = {
        .sensor = conf->sensor,
        .rate_hz = conf->rate_hz,
        .time_column = conf->time_column,
        .code_page = conf->code_page,
        .digital = conf->digital,
        .block_ns = conf->block_ns,
        .block_samples = 1u << 22,
    };
    struct np_simulate_spec spec;
    struct np_feed *feed = NULL;
    char *properties = NULL;
    int64_t begin_ns;
    enum np_status st = parse_speed(conf->speed, &options.speed, err), flushed;
    struct np_error late;

    if (st == NP_OK)
        st = parse_source(conf, n_files, &file_options, &spec, err);
    if (st == NP_OK && conf->properties)
        st = read_properties(conf->properties, &kafka, &properties, err);
    if (st == NP_OK)
        st = np_feed_open(&feed, &options, err);
    if (st != NP_OK)
        goto out;
    begin_ns = clock_ns(CLOCK_MONOTONIC);
    if (conf->simulate)
        st = feed_simulated(conf, &spec, feed, err);
    for (int i = 0; i < n_files && st == NP_OK && !stopped; i++)
        st = feed_file(conf, files[i], &file_options, feed, err);
    flushed = np_feed_flush(feed, &late);
    if (flushed != NP_OK && st == NP_OK) {
        *err = late;
        st = flushed;
    }
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    print_counts(feed, (double)(clock_ns(CLOCK_MONOTONIC) - begin_ns) * 1e-9);
out:
    np_feed_close(feed);
    free(kafka.properties);
    free(properties);
    return st;
}

static enum np_exit feed(const void *conf_in, int n_arguments, char **arguments)
{
    const struct feed_conf *conf = conf_in;
    struct sigaction action = {.sa_handler = on_signal};
    struct np_error err = {0};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    np_log_setup(NP_LOG_ERROR, false); /* what ends the feed is told by the feed itself */
    return feed_all(conf, n_arguments, arguments, &err) == NP_OK ? NP_EXIT_OK : np_cli_fail(&err);
}

const struct np_command np_cmd_feed = {
    .name = "feed",
    .arguments = "[FILE...]",
    .min_arguments = 0,
    .max_arguments = 1000000,
    .help = "Sends recorded or simulated waveforms to a topic.",
    .text = "Reads CSV, WAV and COMTRADE files, or simulates meters with three phase voltages, and sends "
            "blocks of samples as Avro\n"
            "{meter, t0 [ns], rate_hz, one field a channel} or as JSON; the key is the sensor. With "
            "--registry the schema is\n"
            "registered under TOPIC-value. Rows with irregular times become a message each, with one number "
            "a channel.\n"
            "Every message is confirmed by all in-sync replicas; exit 2 if one was not.\n\n"
            "  netzpuls feed --topic grid.waveforms --registry http://localhost:8081 --speed max fault.cfg\n"
            "  netzpuls feed --topic grid.waveforms --simulate "
            "meters=50,rate=5120Hz,harmonics=5:3%+7:2%,seed=1\n\n"
            "Keys of --simulate: meters, rate, volts, hz, block, noise=0.1%, harmonics=ORDER:SHARE+..., "
            "swells=N (so many meters swell\n"
            "to 115 % from second 10 to 15 of each minute), sag and swell=every 20s to 115% for 2s, "
            "gap=every 30s for 500ms,\n"
            "poison=0.1% (messages that are rubbish), start, duration, seed. The same keys give the same "
            "samples.\n",
    .flags = feed_flags,
    .conf_size = sizeof(struct feed_conf),
    .run = feed,
};
