/* The log: lines `time level component message key=value ...` on stderr, or one JSON object a line. The level and
 * the form are set once at start. Never pass a secret: DSNs, passwords and property values marked secret stay out. */
#ifndef NP_LOG_H
#define NP_LOG_H

#include <stdbool.h>

enum np_log_level { NP_LOG_DEBUG, NP_LOG_INFO, NP_LOG_WARNING, NP_LOG_ERROR };

/** Sets lowest level written and the form. Call before any thread starts. */
void np_log_setup(enum np_log_level lowest, bool json);
/**
 * Writes one line. Threads: any.
 * @param message  fixed text: "partition assigned"
 * @param format   key=value pairs, printf-style, values with spaces in double quotes: "topic=%s partition=%d"; or NULL
 */
void np_log(enum np_log_level level, const char *component, const char *message, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
