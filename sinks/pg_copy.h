/* Rows in the form of COPY BINARY (PostgreSQL documentation, COPY, "Binary Format"): all numbers big-endian.
 */
#ifndef NP_PG_COPY_H
#define NP_PG_COPY_H

#include "pipeline/record.h"

enum { NP_PG_COPY_HEADER = 19, NP_PG_COPY_TRAILER = 2 };
extern const unsigned char np_pg_copy_header[NP_PG_COPY_HEADER], np_pg_copy_trailer[NP_PG_COPY_TRAILER];

/** Values of a row decoder: those of np_record_columns in their order, then the step's own. */
enum { NP_ROW_SENSOR, NP_ROW_CHANNEL, NP_ROW_START, NP_ROW_END, NP_ROW_COVERAGE, NP_ROW_FLAGS, NP_ROW_N };

/** Where the parts of a row come from that are not columns of the step. */
struct np_pg_origin {
    int32_t sensor, channel; /* ids; 0: put in later, see the places */
    int32_t partition;
    int64_t offset;
    int16_t topic;
};

/** Where ids stand in an encoded row, from its first byte. */
enum { NP_PG_RESULT_SENSOR = 42, NP_PG_RESULT_CHANNEL = 50 };
enum { NP_PG_READING_SENSOR = 30, NP_PG_READING_CHANNEL = 38 };
/** Every row begins with its time: [us since 2000] at this place. */
enum { NP_PG_ROW_TIME = 6 };

/** @return us since 1970 of an encoded row */
int64_t np_pg_copy_time_us(const unsigned char *row);
/** Puts an id into an encoded row. */
void np_pg_copy_patch(unsigned char *at, int32_t id);

/**
 * Appends a row of a result table, columns as np_pg_layout.h orders them.
 * @param values  [NP_ROW_N + columns->n]; texts are UTF-8; times, coverage and flags are not null
 * @return 0, or -1 without memory
 */
int np_pg_copy_result(struct np_bytes *out, const struct np_columns *columns, const struct np_value *values,
                      const struct np_pg_origin *origin);
/** Appends a row of a stored input. value NaN: null. */
int np_pg_copy_reading(struct np_bytes *out, int64_t time_ns, float value, const struct np_pg_origin *origin);

/** Field by field, for other tables: the count of fields, then each of them. data NULL: null. @return 0 or -1
 */
int np_pg_copy_fields(struct np_bytes *out, int16_t n);
int np_pg_copy_field(struct np_bytes *out, const void *data, size_t n);
int np_pg_copy_int(struct np_bytes *out, int32_t value);
int np_pg_copy_long(struct np_bytes *out, int64_t value);

#endif
