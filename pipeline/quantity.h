/* Numbers with units, as options and the command line write them. All return false if the text is not one. */
#ifndef NP_QUANTITY_H
#define NP_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

/** A finite decimal number and nothing behind it. */
bool np_number_parse(const char *text, double *value);
/** A whole number. */
bool np_count_parse(const char *text, int64_t *value);
/** "50Hz", "12.8kHz", "1MHz", "200mHz" or a plain number [Hz]. */
bool np_frequency_parse(const char *text, double *hz);
/** "512kB", "16MB", "64MiB", "100B": whole bytes, with a unit. */
bool np_size_parse(const char *text, int64_t *bytes);
/** "1 per week" [1/s]; second, minute, hour, day, week, year (365.25 days). */
bool np_rate_parse(const char *text, double *per_s);
/** "45..55", "1kHz..2.5kHz" [Hz]; from < to is not checked. */
bool np_range_parse(const char *text, double *from_hz, double *to_hz);

/** The texts back, each in its largest fitting unit. @return out */
const char *np_frequency_format(double hz, char out[32]);
const char *np_size_format(int64_t bytes, char out[32]);
const char *np_rate_format(double per_s, char out[32]);

#endif
