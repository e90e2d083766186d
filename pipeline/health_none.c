/* A build without HTTP (NP_HTTP=OFF): a pipeline that asks for it gets a clear error. */
#include "pipeline/health.h"

enum np_status np_health_open(struct np_health **out, const char *address, struct np_metrics *metrics,
                              const struct np_health_source *source, struct np_error *err)
{
    (void)out, (void)metrics, (void)source;
    return np_fail(err, NP_ECONFIG, "http: %s: this build has no HTTP (it was configured with NP_HTTP=OFF)",
                   address);
}

void np_health_close(struct np_health *health)
{
    (void)health;
}

uint16_t np_health_port(const struct np_health *health)
{
    (void)health;
    return 0;
}
