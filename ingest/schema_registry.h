/* The schema registry by its Confluent API (libcurl): schemas by id, and registering the schemas of results.
 * No redirect is followed and no proxy is taken from the environment: only the configured host is spoken to.
 * Threads: any; questions are asked one after the other. */
#ifndef NP_SCHEMA_REGISTRY_H
#define NP_SCHEMA_REGISTRY_H

#include "ingest/avro_schema.h"
#include "pipeline/status.h"

struct np_schema_registry;

/**
 * Asks nothing yet.
 * @param url       base, may hold a path ("http://localhost:8080/apis/ccompat/v7"); copied, like the others
 * @param user      basic authentication, or NULL
 * @param password  or NULL; never printed
 * @param out       given, np_schema_registry_close()
 * @return NP_OK; NP_ECONFIG: no http:// or https:// URL; NP_ENOMEM
 */
enum np_status np_schema_registry_open(struct np_schema_registry **out, const char *url, const char *user,
                                       const char *password, struct np_error *err);
/**
 * The Avro schema of an id, asked for once.
 * @param schema  borrowed for the life of the registry
 * @return NP_OK; NP_EDATA: the registry has no such id (remembered for 5 s), or it is no Avro schema that can
 * be used; NP_ERETRY: unreachable, busy, failing or refusing the login (not asked again for a second);
 * NP_ENOMEM
 */
enum np_status np_schema_registry_get(struct np_schema_registry *registry, int32_t id,
                                      const struct np_avro_schema **schema, struct np_error *err);
/**
 * The latest Avro schema of a subject.
 * @param schema  borrowed for the life of the registry
 * @return NP_OK; NP_EEND: it knows no such subject; NP_EDATA: no Avro schema that can be used; NP_ECONFIG:
 * the login is refused; NP_ERETRY; NP_ENOMEM
 */
enum np_status np_schema_registry_latest(struct np_schema_registry *registry, const char *subject,
                                         int32_t *id, const struct np_avro_schema **schema,
                                         struct np_error *err);
/**
 * Asks whether a schema could be registered, and registers nothing.
 * @return NP_OK: also if the subject is new; NP_ECONFIG: it does not fit, or the login is refused; NP_ERETRY;
 * NP_ENOMEM
 */
enum np_status np_schema_registry_fits(struct np_schema_registry *registry, const char *subject,
                                       const char *schema, size_t length, struct np_error *err);
/**
 * Registers a schema under a subject ("grid.levels-value"), or finds the id it already has there.
 * @return NP_OK; NP_ECONFIG: it is incompatible, invalid or the login is refused, err says why in one line;
 *         NP_ERETRY; NP_ENOMEM
 */
enum np_status np_schema_registry_register(struct np_schema_registry *registry, const char *subject,
                                           const char *schema, size_t length, int32_t *id,
                                           struct np_error *err);
void np_schema_registry_close(struct np_schema_registry *registry); /* accepts NULL */

#endif
