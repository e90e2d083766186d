/* The loader: committed messages of result topics, and of inputs that are stored as they are, into PostgreSQL
 * exactly once (rules 15-18 of docs/delivery.md). This half knows nothing of Kafka: it is given messages and
 * their offsets, and writes each batch together with the partition's new cut in one database transaction.
 * loader_run.h is the other half. A loader belongs to one thread. Several loaders, also of the same
 * partition, do no harm to each other. */
#ifndef NP_LOADER_H
#define NP_LOADER_H

#include "pipeline/beat.h"
#include "pipeline/block.h"
#include "pipeline/broker.h"
#include "pipeline/metrics.h"
#include "pipeline/pipeline.h"

struct np_loader;

/** How the loader gets at decoders and broker, which live in ingest/. */
struct np_loader_deps {
    /** Opens a decoder of the messages of step->topic for one step. @param out given */
    enum np_status (*open_row_decoder)(void *context, struct np_row_decoder **out,
                                       const struct np_pipeline *pipeline, const struct np_step *step,
                                       struct np_error *err);
    /** Opens a decoder of an input, for stored inputs. @param out given */
    enum np_status (*open_decoder)(void *context, struct np_decoder **out, const struct np_pipeline *pipeline,
                                   const struct np_input *input, struct np_error *err);
    void *context; /* of both */
    /** For np_loader_run(): the consumer group over the topics; np_place.input counts these. @param out given
     */
    enum np_status (*open_source)(struct np_source **out, const struct np_pipeline *pipeline,
                                  const char *group, const char *const *topics, size_t n_topics,
                                  const struct np_source_events *events, struct np_error *err);
    struct np_beat *beat;    /* of np_loader_run(); or NULL */
    int64_t (*now_ns)(void); /* the clock, to tell absurd times; NULL: the system's */
};

/**
 * Prepares; does not connect.
 * @param pipeline  borrowed for the life of the loader, as are deps and metrics (NULL: none)
 * @param out       given
 */
enum np_status np_loader_open(struct np_loader **out, const struct np_pipeline *pipeline,
                              const struct np_loader_deps *deps, struct np_metrics *metrics,
                              struct np_error *err);
void np_loader_close(struct np_loader *loader); /* accepts NULL */

/** Topics to be read: each once. @return borrowed, NULL-terminated */
const char *const *np_loader_topics(const struct np_loader *loader);

/**
 * Connects unless connected, and makes the tables. After every new connection no cut is known any more.
 * @return NP_OK; NP_ERETRY: not reachable now; NP_ECONFIG, NP_ESTOP
 */
enum np_status np_loader_connect(struct np_loader *loader, struct np_error *err);
/** Drops the connection; the next call that needs one connects again. */
void np_loader_disconnect(struct np_loader *loader);

/** What the source says about a partition. */
struct np_source_state {
    const char *topic_id; /* "" if the broker is too old to know */
    int64_t log_start, high_watermark;
};
/**
 * Reads the cut: where to go on. To be called for each partition before its first batch, after every
 * np_loader_write() that did not return NP_OK, and about every 30 s when idle (a database may be restored
 * from a backup). A first start makes the row: at 0 if the log starts there; for a stored input where its
 * `start` says.
 * @return NP_OK; NP_ERETRY; NP_ESTOP: the topic does not hold what is missing, or is another topic of that
 * name (err says what is missing and what can be done)
 */
enum np_status np_loader_cut(struct np_loader *loader, const char *topic, int32_t partition,
                             const struct np_source_state *state, int64_t *cut, struct np_error *err);

/**
 * Loads messages [cut, next) of one partition and moves its cut to next, in one transaction.
 * @param messages  in offset order, borrowed for the call; n may be 0 (the cut passes markers and gaps)
 * @param next      next offset to read
 * @return NP_OK: committed. NP_ERETRY: not done, or not known to be; NP_EFENCED: another loader was there
 * first. Both: the batch is dropped, read the cut again and go on from there. NP_ECONFIG, NP_ESTOP: likewise,
 * but it will not help to try again at once.
 */
enum np_status np_loader_write(struct np_loader *loader, const char *topic, int32_t partition,
                               const struct np_message *messages, size_t n, int64_t next,
                               struct np_error *err);

/** Sets the lag metric of a topic's tables: committed messages that are not loaded yet. */
void np_loader_lag(struct np_loader *loader, const char *topic, int64_t messages);

#endif
