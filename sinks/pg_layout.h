/* What the tables of a pipeline look like, made from its descriptors, without a server.
 *
 * Behind, for each step or stored input: `<name>_data`, partitioned by RANGE of its time, with narrow ids. In
 * front, the view `<name>` with names instead of ids and flags as text[]. Beside them in the schema, once for
 * all pipelines: sensors, channels, topics (id and name), cuts, rejected_rows, and objects (what was made,
 * and from which text).
 *
 * Indexes: a BRIN on the time while a partition is written, and a btree on (sensor_id, time), built in one go
 * when the partition is closed. Measured (tests/bench/RESULTS.md): a btree on (sensor_id, time) kept up row
 * by row takes more than half of the loading rate, a BRIN nothing that can be told from noise. */
#ifndef NP_PG_LAYOUT_H
#define NP_PG_LAYOUT_H

#include "pipeline/record.h"

/** A column of a `_data` table. */
struct np_pg_column {
    char *name;
    const char *sql_type; /* as format_type() prints it */
    bool not_null;
    char *comment;            /* "meaning [unit]" */
    enum np_column_type type; /* of the step's own columns, from n_fixed on */
};

/** A range of time that has a partition [us since 1970]. */
struct np_pg_range {
    int64_t from_us, to_us;
    int64_t inserted; /* rows ever inserted, as last seen by the maintenance; -1: not seen */
    char *name;
};

struct np_pg_table {
    const char *name;             /* of the view; borrowed from the pipeline */
    char *data;                   /* "<name>_data" */
    const struct np_step *step;   /* or NULL */
    const struct np_input *input; /* stored as it is; or NULL */
    const char *topic;
    const char *time; /* "start_time" or "time" */
    size_t n_fixed, n_columns;
    struct np_pg_column *columns;
    size_t n_ranges; /* as last read, ascending */
    struct np_pg_range *ranges;
};

struct np_pg_tables {
    const struct np_pipeline *pipeline;
    const char *schema;
    bool roles; /* the three roles exist */
    size_t n;
    struct np_pg_table *items;
};

/** Columns of a `_data` table in the order in which they are loaded; a step's own follow. */
enum {
    NP_PG_START,
    NP_PG_END,
    NP_PG_OFFSET,
    NP_PG_SENSOR,
    NP_PG_CHANNEL,
    NP_PG_PARTITION,
    NP_PG_COVERAGE,
    NP_PG_FLAGS,
    NP_PG_TOPIC,
    NP_PG_N_FIXED
};
enum {
    NP_PG_READING_COLUMNS = 7
}; /* of a stored input: time, offset, sensor, channel, partition, value, topic */

/**
 * @param pipeline  borrowed for the life of the tables
 * @param out       given, free with np_pg_tables_free()
 * @return NP_OK; NP_ECONFIG: a name that is taken or too long, two tables of one name; NP_ENOMEM
 */
enum np_status np_pg_layout(struct np_pg_tables **out, const struct np_pipeline *pipeline,
                            struct np_error *err);
void np_pg_tables_free(struct np_pg_tables *tables); /* accepts NULL */

/** The tables of a schema that every pipeline has: an array ended by name NULL. */
struct np_pg_common {
    const char *name;
    const char *create; /* body of CREATE TABLE */
    const char *comment;
    const char *columns[10][2]; /* name, comment */
    const char *writer;         /* what the writer may do beside SELECT */
};
extern const struct np_pg_common np_pg_common[];

/** "meaning [unit]"; a time gets what becomes of its nanoseconds. @return given, free(); NULL without memory
 */
char *np_pg_comment(const char *help, const char *unit, enum np_column_type type);
/** Appends the statements that make or change one object. @return 0, or -1 without memory */
int np_pg_common_sql(const struct np_pg_tables *tables, const struct np_pg_common *common,
                     struct np_bytes *sql);
/** CREATE TABLE, index and comments of a `_data` table that does not exist. */
int np_pg_data_create(const struct np_pg_tables *tables, const struct np_pg_table *table,
                      struct np_bytes *sql);
/** Its comments and grants; repeated whenever their text has changed. */
int np_pg_data_comments(const struct np_pg_tables *tables, const struct np_pg_table *table,
                        struct np_bytes *sql);
/** The view; extra: columns that the table has and the pipeline no longer fills, in order, after those that
 * it fills. */
int np_pg_view_sql(const struct np_pg_tables *tables, const struct np_pg_table *table,
                   const char *const *order, size_t n_order, struct np_bytes *sql);

#endif
