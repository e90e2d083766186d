/* What only the servers can tell of a pipeline file: `netzpuls check --connect`. Nothing is made or changed.
 */
#ifndef NP_CONNECT_CHECK_H
#define NP_CONNECT_CHECK_H

#include "pipeline/cli.h"

/**
 * Asks broker, registry and database, and prints every mistake as file:line:column to stderr; what is only to
 * be known (topics that `run` will make, ..) goes to stdout.
 * @return NP_EXIT_OK; NP_EXIT_MISTAKE; NP_EXIT_FAILURE: nothing is wrong as far as is known, but not every
 * server answers
 */
enum np_exit np_connect_check(const struct np_pipeline *pipeline, const char *path);

#endif
