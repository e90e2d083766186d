/* The load of the main benchmarks and the yardstick beside them.
 *
 *   bench_kafka fill-waveforms BROKER TOPIC MESSAGES SCHEMA   20 KB float32 waveforms: 5120 samples, 200 sensors
 *   bench_kafka fill-scalars   BROKER TOPIC MESSAGES SCHEMA   200-byte readings, 1000 sensors
 *   bench_kafka bare           BROKER TOPIC                   a bare consumer with netzpuls' settings reads all of it
 *
 * Values are Avro in the registry's wire format, by bench_waveform.avsc and bench_scalar.avsc, registered as SCHEMA. `bare`
 * prints messages, bytes, wall seconds and CPU seconds. */
#include <librdkafka/rdkafka.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { samples = 5120, waveform_sensors = 200, scalar_sensors = 1000, shapes = 16 };
static const int64_t start_ns = 1750000000000000000;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_kafka: %s: %s\n", what, why);
    exit(2);
}

static size_t put_long(unsigned char *out, int64_t v)
{
    uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
    size_t n = 0;

    for (; z >= 0x80; z >>= 7)
        out[n++] = (unsigned char)(z | 0x80);
    out[n++] = (unsigned char)z;
    return n;
}

static size_t put_header(unsigned char *out, int32_t schema)
{
    for (int i = 0; i < 5; i++)
        out[i] = i == 0 ? 0 : (unsigned char)(schema >> (8 * (4 - i)));
    return 5;
}

static size_t put_text(unsigned char *out, const char *text, size_t length)
{
    size_t n = put_long(out, (int64_t)length);

    memcpy(out + n, text, length);
    return n + length;
}

static rd_kafka_conf_t *conf_of(const char *broker, const char *const *settings)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    if (rd_kafka_conf_set(conf, "bootstrap.servers", broker, why, sizeof why) != RD_KAFKA_CONF_OK)
        die("bootstrap.servers", why);
    for (; *settings; settings += 2)
        if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why) != RD_KAFKA_CONF_OK)
            die(settings[0], why);
    return conf;
}

/* {meter, t0, rate_hz, u: array<float>} */
static size_t make_waveform(unsigned char *out, int32_t schema, int64_t i, const float (*shape)[samples], char *key)
{
    int sensor = (int)(i % waveform_sensors);
    int64_t t0 = start_ns + i / waveform_sensors * 200000000;
    double rate = 25600;
    size_t n = put_header(out, schema);

    n += put_text(out + n, key, (size_t)sprintf(key, "meter-%03d", sensor));
    n += put_long(out + n, t0);
    memcpy(out + n, &rate, 8);
    n += 8;
    n += put_long(out + n, samples);
    memcpy(out + n, shape[(i * 7 + sensor) % shapes], sizeof *shape);
    n += sizeof *shape;
    out[n++] = 0;
    return n;
}

/* {sensor, time, value, site, note}: 200 bytes */
static size_t make_scalar(unsigned char *out, int32_t schema, int64_t i, char *key)
{
    static const char filler[] = "a reading as it comes from the field: station 7, feeder 12, bay 3, quality good, source measured, "
                                 "calibrated last spring, next check due in autumn";
    int sensor = (int)(i % scalar_sensors);
    int64_t time_ns = start_ns + i / scalar_sensors * 10000000;
    double value = 230 + sin((double)i * 0.001) * 5;
    size_t n = put_header(out, schema);

    n += put_text(out + n, key, (size_t)sprintf(key, "sensor-%04d", sensor));
    n += put_long(out + n, time_ns);
    memcpy(out + n, &value, 8);
    n += 8;
    n += put_text(out + n, "substation-north", 16);
    n += put_text(out + n, filler, 205 - n - 2);
    return n;
}

static void fill(const char *broker, const char *topic, int64_t count, int32_t schema, int waveforms)
{
    static const char *const settings[] = {"linger.ms", "20", "batch.size", "1000000", "batch.num.messages", "10000",
                                           "queue.buffering.max.kbytes", "200000", "queue.buffering.max.messages",
                                           "1000000", "acks", "1", NULL};
    char why[256], key[32];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf_of(broker, settings), why, sizeof why);
    float (*shape)[samples] = calloc(shapes, sizeof *shape);
    unsigned char *value = malloc(sizeof *shape + 1024);

    if (!rk || !shape || !value)
        die("producer", why);
    srand(1);
    for (int s = 0; s < shapes; s++)
        for (int k = 0; k < samples; k++)
            shape[s][k] = (float)(325 * sin(6.283185307179586 * 50 * k / 25600 + s) + rand() % 1000 * 0.005);
    for (int64_t i = 0; i < count; i++) {
        size_t n = waveforms ? make_waveform(value, schema, i, (const float (*)[samples])shape, key) : make_scalar(value, schema, i, key);
        int32_t partition = (int32_t)(i % (waveforms ? waveform_sensors : scalar_sensors) % 8);
        rd_kafka_resp_err_t err;
        while ((err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                        RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE(value, n),
                                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) != 0) {
            if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                die("produce", rd_kafka_err2str(err));
            rd_kafka_poll(rk, 100);
        }
    }
    if (rd_kafka_flush(rk, 120000) != 0)
        die("flush", "not all was delivered");
    rd_kafka_destroy(rk);
    free(shape);
    free(value);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void bare(const char *broker, const char *topic)
{
    static const char *const settings[] = {"group.id", "bare", "enable.auto.commit", "false", "enable.partition.eof", "true",
                                           "isolation.level", "read_committed", "queued.min.messages", "1000000",
                                           "queued.max.messages.kbytes", "16384", "fetch.queue.backoff.ms", "10",
                                           "fetch.max.bytes", "1048576", "fetch.message.max.bytes", "1048576",
                                           "socket.nagle.disable", "true", NULL};
    char why[256];
    double begin = now();
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf_of(broker, settings), why, sizeof why);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *messages[1000];
    uint64_t count = 0, bytes = 0;
    int ended = 0;
    struct rusage use;

    if (!rk)
        die("consumer", why);
    for (int p = 0; p < 8; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = 0;
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_assign(rk, list);
    queue = rd_kafka_queue_get_consumer(rk);
    while (ended < 8) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, 5, messages, 1000);
        for (ssize_t i = 0; i < n; i++) {
            if (messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
                ended++;
            else if (messages[i]->err)
                die("consume", rd_kafka_message_errstr(messages[i]));
            else
                count++, bytes += messages[i]->len;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    getrusage(RUSAGE_SELF, &use);
    printf("messages %llu bytes %llu seconds %.3f cpu %.3f\n", (unsigned long long)count, (unsigned long long)bytes,
           now() - begin,
           (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
    int32_t schema = argc > 5 ? atoi(argv[5]) : 0;

    if (argc == 6 && strcmp(argv[1], "fill-waveforms") == 0)
        fill(argv[2], argv[3], atoll(argv[4]), schema, 1);
    else if (argc == 6 && strcmp(argv[1], "fill-scalars") == 0)
        fill(argv[2], argv[3], atoll(argv[4]), schema, 0);
    else if (argc == 4 && strcmp(argv[1], "bare") == 0)
        bare(argv[2], argv[3]);
    else
        die("usage", "see the head of tests/bench/bench_kafka.c");
    return 0;
}
