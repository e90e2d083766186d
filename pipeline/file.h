/* Small files read whole: pipeline files, secrets, schemas. */
#ifndef NP_FILE_H
#define NP_FILE_H

#include <stddef.h>

#include "pipeline/status.h"

/**
 * Reads a regular file of at most limit bytes.
 * @param length  its length; may be NULL
 * @return given (free()), NUL-terminated; NULL: err says why (NP_ECONFIG or NP_ENOMEM), naming the path
 */
char *np_file_read(const char *path, size_t limit, size_t *length, struct np_error *err);

/** @return given: path if absolute, else seen from the folder of the file `base`; NULL without memory */
char *np_file_beside(const char *base, const char *path);

#endif
