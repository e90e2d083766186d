#include "sinks/loader_maintain.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/log.h"
#include "sinks/pg_tables.h"

enum { ROUND_S = 60 };

struct np_maintainer {
    const struct np_pipeline *pipeline;
    struct np_pg_tables *tables;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

static enum np_status one_round(struct np_maintainer *m, struct np_pg **pg, struct np_error *err)
{
    struct np_pg_maintained done;
    struct timespec now;
    enum np_status status = NP_OK;

    if (!*pg)
        status = np_pg_open(pg, m->pipeline->postgres.dsn, "netzpuls maintenance", NULL, err);
    if (status == NP_OK && !m->tables) {
        status = np_pg_layout(&m->tables, m->pipeline, err);
        if (status == NP_OK)
            status =
                np_pg_tables_ensure(*pg, m->tables, err); /* finds all there; tells whether there are roles */
        if (status != NP_OK) {
            np_pg_tables_free(m->tables);
            m->tables = NULL;
        }
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (status == NP_OK)
        status =
            np_pg_tables_maintain(*pg, m->tables, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &done, err);
    if (status == NP_OK && done.made + done.dropped + done.indexed + done.busy > 0)
        np_log(NP_LOG_INFO, "postgres", "tables maintained",
               "partitions_made=%d dropped=%d indexed=%d busy=%d", done.made, done.dropped, done.indexed,
               done.busy);
    if (status != NP_OK) {
        np_pg_close(*pg);
        *pg = NULL;
    }
    return status;
}

static void *maintain(void *context)
{
    struct np_maintainer *m = context;
    struct np_pg *pg = NULL;
    struct np_error err;

    pthread_mutex_lock(&m->lock);
    while (!m->stop) {
        struct timespec until;
        enum np_status status;

        pthread_mutex_unlock(&m->lock);
        status = one_round(m, &pg, &err);
        if (status != NP_OK)
            np_log(status == NP_ERETRY ? NP_LOG_WARNING : NP_LOG_ERROR, "postgres",
                   "maintenance of the tables failed", "reason=\"%s\"", err.text);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += ROUND_S;
        pthread_mutex_lock(&m->lock);
        while (!m->stop && pthread_cond_timedwait(&m->wake, &m->lock, &until) == 0)
            ;
    }
    pthread_mutex_unlock(&m->lock);
    np_pg_close(pg);
    return NULL;
}

enum np_status np_maintainer_open(struct np_maintainer **out, const struct np_pipeline *pipeline,
                                  struct np_error *err)
{
    struct np_maintainer *m = calloc(1, sizeof *m);
    pthread_condattr_t attr;

    *out = NULL;
    if (!m)
        return np_fail(err, NP_ENOMEM, "loader: maintenance");
    m->pipeline = pipeline;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&m->thread, NULL, maintain, m) != 0) {
        pthread_cond_destroy(&m->wake);
        pthread_mutex_destroy(&m->lock);
        free(m);
        return np_fail(err, NP_ENOMEM, "loader: no thread for the maintenance");
    }
    *out = m;
    return NP_OK;
}

void np_maintainer_close(struct np_maintainer *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->stop = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->lock);
    np_pg_tables_free(m->tables);
    free(m);
}
