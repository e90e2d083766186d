#include <stdlib.h>
#include <string.h>

#include "sinks/pg_layout.h"
#include "sinks/sql.h"

const struct np_pg_common np_pg_common[] = {
    {"sensors",
     "id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE",
     "Names of the sensors behind the ids of all tables",
     {{"id", "stands for the sensor in the tables"}, {"name", "the sensor's name, as in the messages"}},
     "INSERT"},
    {"channels",
     "id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE",
     "Names of the channels behind the ids of all tables",
     {{"id", "stands for the channel in the tables"}, {"name", "the channel's name"}},
     "INSERT"},
    {"topics",
     "id int2 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE",
     "Names of the Kafka topics behind source_topic in all tables",
     {{"id", "stands for the topic in the tables"}, {"name", "the topic's name"}},
     "INSERT"},
    {"cuts",
     "pipeline text, topic text, partition int4, cut int8 NOT NULL CHECK (cut >= 0), topic_id text NOT NULL "
     "DEFAULT '', PRIMARY KEY (pipeline, topic, partition)",
     "How far each Kafka partition is loaded: changed in the same transaction as the rows",
     {{"pipeline", "name of the pipeline whose loader this is"},
      {"topic", "Kafka topic"},
      {"partition", "Kafka partition"},
      {"cut", "next offset to load: every row below is in the tables, none above"},
      {"topic_id", "Kafka's id of the topic; another one means that the topic was deleted and made again"}},
     "INSERT, UPDATE"},
    {"rejected_rows",
     "rejected_at timestamptz NOT NULL DEFAULT now(), pipeline text NOT NULL, table_name text, topic text "
     "NOT NULL, partition int4 NOT NULL, source_offset int8 NOT NULL, reason text NOT NULL, raw_key bytea, "
     "raw_value bytea",
     "Messages, or rows of them, that could not be loaded, and why; the loader went on without them",
     {{"rejected_at", "when it was rejected"},
      {"pipeline", "name of the pipeline"},
      {"table_name", "the table it was meant for; null if the message could not be read at all"},
      {"topic", "Kafka topic of the message"},
      {"partition", "Kafka partition of the message"},
      {"source_offset", "Kafka offset of the message"},
      {"reason", "what is wrong with it"},
      {"raw_key", "the message's key, as it came"},
      {"raw_value", "the message, as it came"}},
     "INSERT"},
    {"objects",
     "name text PRIMARY KEY, definition text NOT NULL",
     "What the loader made in this schema and from which statements, so that it changes only what has "
     "changed",
     {{"name", "name of the table or view"}, {"definition", "the statements"}},
     "INSERT, UPDATE"},
    {NULL, NULL, NULL, {{NULL, NULL}}, NULL},
};

static int grants(const struct np_pg_tables *tables, const char *name, const char *writer,
                  struct np_bytes *sql)
{
    char reader_role[80], writer_role[80];

    if (!tables->roles)
        return 0;
    snprintf(reader_role, sizeof reader_role, "%s_reader", tables->schema);
    snprintf(writer_role, sizeof writer_role, "%s_writer", tables->schema);
    return np_sql(sql,
                  "GRANT USAGE ON SCHEMA %I TO %I, %I;\nGRANT SELECT ON %I.%I TO %I;\nGRANT SELECT%s%s ON "
                  "%I.%I TO %I;\n",
                  tables->schema, reader_role, writer_role, tables->schema, name, reader_role,
                  writer ? ", " : "", writer ? writer : "", tables->schema, name, writer_role);
}

int np_pg_common_sql(const struct np_pg_tables *tables, const struct np_pg_common *common,
                     struct np_bytes *sql)
{
    int rc =
        np_sql(sql, "CREATE TABLE IF NOT EXISTS %I.%I (%s);\nCOMMENT ON TABLE %I.%I IS %L;\n", tables->schema,
               common->name, common->create, tables->schema, common->name, common->comment);

    for (size_t i = 0; i < sizeof common->columns / sizeof *common->columns && common->columns[i][0]; i++)
        rc = rc ? rc
                : np_sql(sql, "COMMENT ON COLUMN %I.%I.%I IS %L;\n", tables->schema, common->name,
                         common->columns[i][0], common->columns[i][1]);
    return rc ? rc : grants(tables, common->name, common->writer, sql);
}

int np_pg_data_create(const struct np_pg_tables *tables, const struct np_pg_table *table,
                      struct np_bytes *sql)
{
    int rc = np_sql(sql, "CREATE TABLE %I.%I (", tables->schema, table->data);

    for (size_t i = 0; i < table->n_columns; i++)
        rc = rc ? rc
                : np_sql(sql, "%s%I %s%s", i ? ", " : "", table->columns[i].name, table->columns[i].sql_type,
                         table->columns[i].not_null ? " NOT NULL" : "");
    return rc ? rc
              : np_sql(sql,
                       ") PARTITION BY RANGE (%I);\nCREATE INDEX ON %I.%I USING brin (%I) WITH "
                       "(pages_per_range = 32, autosummarize = on);\n",
                       table->time, tables->schema, table->data, table->time);
}

static int table_comment(const struct np_pg_tables *tables, const struct np_pg_table *table, bool view,
                         struct np_bytes *sql)
{
    struct np_bytes text = {0};
    char window[32], hop[32];
    int rc;

    if (table->input)
        rc = np_sql(&text, "Readings of input %s of pipeline %s, as they came%s", table->name,
                    tables->pipeline->name, view ? "" : ", with ids instead of names");
    else if (table->step->window_ns > 0)
        rc = np_sql(
            &text,
            "Results of step %s (operator %s) of pipeline %s: one row for each window of %s, every %s%s",
            table->name, table->step->op->name, tables->pipeline->name,
            np_duration_format(table->step->window_ns, window), np_duration_format(table->step->hop_ns, hop),
            view ? "" : "; with ids instead of names");
    else
        rc = np_sql(&text, "Results of step %s (operator %s) of pipeline %s: one row for each event%s",
                    table->name, table->step->op->name, tables->pipeline->name,
                    view ? "" : "; with ids instead of names");
    if (rc == 0 && !view)
        rc = np_sql(&text, "; partitioned by time. Read the view %s", table->name);
    if (rc == 0)
        rc = np_sql(sql, "COMMENT ON %s %I.%I IS %L;\n", view ? "VIEW" : "TABLE", tables->schema,
                    view ? table->name : table->data, np_sql_text(&text));
    np_bytes_free(&text);
    return rc;
}

int np_pg_data_comments(const struct np_pg_tables *tables, const struct np_pg_table *table,
                        struct np_bytes *sql)
{
    int rc = table_comment(tables, table, false, sql);

    for (size_t i = 0; i < table->n_columns; i++)
        rc = rc ? rc
                : np_sql(sql, "COMMENT ON COLUMN %I.%I.%I IS %L;\n", tables->schema, table->data,
                         table->columns[i].name, table->columns[i].comment);
    return rc ? rc : grants(tables, table->data, "INSERT", sql);
}

static int flag_names(struct np_bytes *sql)
{
    int rc = np_sql(sql, "CASE WHEN d.flags = 0 THEN ARRAY[]::text[] ELSE array_remove(ARRAY[");

    for (int bit = 0; np_flag_names[bit]; bit++)
        rc = rc ? rc
                : np_sql(sql, "%sCASE WHEN d.flags & %d <> 0 THEN %L END", bit ? ", " : "", 1 << bit,
                         np_flag_names[bit]);
    return rc ? rc : np_sql(sql, "]::text[], NULL) END AS flags");
}

static const struct np_pg_column *find(const struct np_pg_table *table, const char *name)
{
    for (size_t i = table->n_fixed; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    return NULL;
}

static int view_comments(const struct np_pg_tables *tables, const struct np_pg_table *table,
                         const char *const *order, size_t n_order, struct np_bytes *sql)
{
    int rc = table_comment(tables, table, true, sql);

    for (const struct np_column *c = np_record_columns; c->name; c++) {
        bool of_reading = strcmp(c->name, "sensor") == 0 || strcmp(c->name, "channel") == 0;
        char *comment;

        if (table->input && !of_reading)
            continue;
        comment = np_pg_comment(c->help, c->unit, c->type);
        if (!comment)
            return -1;
        rc = rc ? rc
                : np_sql(sql, "COMMENT ON COLUMN %I.%I.%I IS %L;\n", tables->schema, table->name, c->name,
                         comment);
        free(comment);
    }
    for (size_t i = 0; table->input && i < table->n_fixed; i++)
        if (strcmp(table->columns[i].name, "time") == 0 || strcmp(table->columns[i].name, "value") == 0)
            rc = rc ? rc
                    : np_sql(sql, "COMMENT ON COLUMN %I.%I.%I IS %L;\n", tables->schema, table->name,
                             table->columns[i].name, table->columns[i].comment);
    for (size_t i = 0; i < n_order; i++) {
        const struct np_pg_column *column = find(table, order[i]);

        rc = rc ? rc
                : np_sql(sql, "COMMENT ON COLUMN %I.%I.%I IS %L;\n", tables->schema, table->name, order[i],
                         column ? column->comment : "no longer computed: null in newer rows");
    }
    return rc;
}

int np_pg_view_sql(const struct np_pg_tables *tables, const struct np_pg_table *table,
                   const char *const *order, size_t n_order, struct np_bytes *sql)
{
    int rc = np_sql(sql, "CREATE OR REPLACE VIEW %I.%I AS SELECT s.name AS sensor, c.name AS channel, ",
                    tables->schema, table->name);

    if (table->input)
        rc = rc ? rc : np_sql(sql, "d.\"time\", d.value");
    else
        rc = rc ? rc : np_sql(sql, "d.start_time, d.end_time, d.coverage, ");
    if (table->step)
        rc = rc ? rc : flag_names(sql);
    for (size_t i = 0; i < n_order; i++)
        rc = rc ? rc : np_sql(sql, ", d.%I", order[i]);
    rc = rc ? rc
            : np_sql(sql,
                     " FROM %I.%I d LEFT JOIN %I.sensors s ON s.id = d.sensor_id LEFT JOIN %I.channels c ON "
                     "c.id = d.channel_id;\n",
                     tables->schema, table->data, tables->schema, tables->schema);
    rc = rc ? rc : view_comments(tables, table, order, n_order, sql);
    return rc ? rc : grants(tables, table->name, NULL, sql);
}
