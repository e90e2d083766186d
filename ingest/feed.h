/* Messages to a topic, each confirmed by the broker: idempotent producer, acks=all, key = sensor.
 * Threads: one. */
#ifndef NP_FEED_H
#define NP_FEED_H

#include <signal.h>

#include "ingest/feed_message.h"

struct np_feed_options {
    const char *topic;
    const struct np_pipeline *kafka;       /* brokers and properties of it are used */
    const char *registry;                  /* URL; NULL: Avro messages without the registry's five bytes */
    enum np_format format;
    bool array;                            /* see struct np_feed_layout */
    double speed;                          /* seconds of data a second; 0: as fast as it goes */
    const volatile sig_atomic_t *stop;     /* set: ends the feed; what was sent is still confirmed */
};

struct np_feed_counts {
    uint64_t messages, samples, bytes, poisoned, delivered, failed;
};

struct np_feed;

/**
 * Connects, and checks that the topic is there.
 * @param options  borrowed until close. @param out given
 * @return NP_OK; NP_ECONFIG: a property, the registry's URL; NP_ERETRY: no broker answers, or no such topic;
 *         NP_ENOMEM
 */
enum np_status np_feed_open(struct np_feed **out, const struct np_feed_options *options,
                            struct np_error *err);
/**
 * Says what the blocks that follow look like, and registers their schema (Avro with registry) under
 * "TOPIC-value".
 * @param info  of the file, NULL: simulated
 */
enum np_status np_feed_begin(struct np_feed *feed, const struct np_blocks *first,
                             const struct np_file_info *info, struct np_error *err);
/**
 * Sends blocks when their time has come.
 * @param poison  rubbish instead
 * @return NP_OK; NP_EEND when stopped; NP_ESTOP when the broker refuses
 */
enum np_status np_feed_send(struct np_feed *feed, const struct np_blocks *blocks, bool poison,
                            struct np_error *err);
/**
 * Waits until every message is confirmed.
 * @return NP_OK; NP_ESTOP: some were not, err says how many and why
 */
enum np_status np_feed_flush(struct np_feed *feed, struct np_error *err);
struct np_feed_counts np_feed_counts(const struct np_feed *feed);
/** The schema of the messages being sent. Borrowed; NULL before np_feed_begin() */
const char *np_feed_schema_text(const struct np_feed *feed);
void np_feed_close(struct np_feed *feed);    /* accepts NULL */

#endif
