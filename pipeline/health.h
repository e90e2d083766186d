/* The small HTTP server for whoever watches the program: /metrics (Prometheus text), /live and /ready. It
 * listens on the one address that the pipeline file names, answers GET and HEAD, and has its own thread. */
#ifndef NP_HEALTH_H
#define NP_HEALTH_H

#include <stdint.h>
#include <stdio.h>

#include "pipeline/metrics.h"
#include "pipeline/status.h"

enum np_health_state {
    NP_HEALTH_READY,     /* /ready 200 "ready" */
    NP_HEALTH_DEGRADED,  /* /ready 200 "degraded" and the reasons: works, but somebody should look */
    NP_HEALTH_NOT_READY, /* /ready 503 "not ready" and the reasons: starting, stopping, waiting */
    NP_HEALTH_STUCK,     /* as NOT_READY, and /live 503: only a restart helps */
};

/** Asked at each request, on the server's thread. */
struct np_health_source {
    /** Writes reasons, one a line ("registry: unreachable since ..."), never a secret; must not block. */
    enum np_health_state (*state)(void *context, FILE *reasons);
    void *context;
};

struct np_health;

/**
 * Starts the server.
 * @param out      given
 * @param address  "127.0.0.1:9464", "[::1]:9464", "localhost:9464"; port 0: any free one
 * @param metrics  borrowed until close
 * @param source   copied; its context is borrowed until close
 * @return NP_OK; NP_ECONFIG: an address that does not exist, is taken, or a build without HTTP; NP_ENOMEM
 */
enum np_status np_health_open(struct np_health **out, const char *address, struct np_metrics *metrics,
                              const struct np_health_source *source, struct np_error *err);
/** Stops it; the callback is not called afterwards. Accepts NULL. */
void np_health_close(struct np_health *health);
/** The port that it listens on. */
uint16_t np_health_port(const struct np_health *health);

#endif
