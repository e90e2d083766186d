/* A result: the columns of one step for one window (or event) of one stream. */
#ifndef NP_RECORD_H
#define NP_RECORD_H

#include "pipeline/pipeline.h"

struct np_record {
    const struct np_step *step;
    const char *sensor, *channel;
    int64_t start_ns, end_ns;
    float coverage;               /* 0..1 */
    uint32_t flags;               /* enum np_flag */
    const struct np_value *values;   /* one per column of the step */
    int32_t partition;            /* the trigger: the message that closed the window */
    int64_t offset;
};

/** The columns that every result has before its own: sensor, channel, start_time, end_time, coverage, flags. NULL-terminated. */
extern const struct np_column np_record_columns[];

/* Flags are an array of names in JSON and in Avro (an empty one costs a byte) and a bit set (NP_COL_LONG) as a column. */
/** Name of each flag by its bit, NULL-terminated. */
extern const char *const np_flag_names[];
/** @return the flag (enum np_flag), 0 if there is none of that name */
uint32_t np_flag_find(const char *name, size_t length);

/** A growing byte buffer. */
struct np_bytes {
    unsigned char *data;
    size_t n, capacity;
};
/** Makes room for more bytes behind n. @return where to write, or NULL without memory */
unsigned char *np_bytes_reserve(struct np_bytes *bytes, size_t more);
int np_bytes_append(struct np_bytes *bytes, const void *data, size_t n);    /* 0, or -1 without memory */
void np_bytes_free(struct np_bytes *bytes);

/** One JSON object without line end: {"step":..,"sensor":..,"channel":..,"start":"RFC 3339, ns, Z","end":..,"coverage":1,"flags":[],columns}. @return 0 or -1 */
int np_record_json(const struct np_record *record, struct np_bytes *out);
/** The Avro body by the schema of np_record_avro_schema(). @return 0 or -1 */
int np_record_avro(const struct np_record *record, struct np_bytes *out);
/** The step's Avro schema (JSON text): a record named after pipeline and step, doc with unit and meaning at each field. @return 0 or -1 */
int np_record_avro_schema(const struct np_pipeline *pipeline, const struct np_step *step, struct np_bytes *out);

/** Name of that record: pipeline and step, made safe. @return 0 or -1 */
int np_record_avro_name(const struct np_pipeline *pipeline, const struct np_step *step, struct np_bytes *out);

/** "2026-11-24T16:41:13.000000000Z". @return out */
const char *np_time_format(int64_t ns, char out[40]);
/** RFC 3339 with any fraction and zone; a time without a zone is taken as UTC. @return false if it is not one */
bool np_time_parse(const char *text, int64_t *ns);

#endif
