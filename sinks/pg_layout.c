#include "sinks/pg_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_BYTES = 63,
    SUFFIX_BYTES = 25
}; /* "_data_p20261124_150030_ix", and the server's limit on names */

static const struct np_pg_column result_columns[] = {
    [NP_PG_START] = {(char *)"start_time", "timestamp with time zone", true, NULL, NP_COL_TIME},
    [NP_PG_END] = {(char *)"end_time", "timestamp with time zone", true, NULL, NP_COL_TIME},
    [NP_PG_OFFSET] = {(char *)"source_offset", "bigint", true,
                      (char *)"Kafka offset of the message that brought this row", NP_COL_LONG},
    [NP_PG_SENSOR] = {(char *)"sensor_id", "integer", true,
                      (char *)"the sensor; its name is in table sensors", NP_COL_LONG},
    [NP_PG_CHANNEL] = {(char *)"channel_id", "integer", true,
                       (char *)"the channel; its name is in table channels", NP_COL_LONG},
    [NP_PG_PARTITION] = {(char *)"source_partition", "integer", true,
                         (char *)"Kafka partition of the message that brought this row", NP_COL_LONG},
    [NP_PG_COVERAGE] = {(char *)"coverage", "real", true, NULL, NP_COL_FLOAT},
    [NP_PG_FLAGS] = {(char *)"flags", "integer", true, NULL, NP_COL_LONG},
    [NP_PG_TOPIC] = {(char *)"source_topic", "smallint", true,
                     (char *)"Kafka topic of the message that brought this row; its name is in table topics",
                     NP_COL_LONG},
};

static const struct np_pg_column reading_columns[NP_PG_READING_COLUMNS] = {
    {(char *)"time", "timestamp with time zone", true,
     (char *)"time of the reading; microseconds, what is below is cut off (floor)", NP_COL_TIME},
    {(char *)"source_offset", "bigint", true, (char *)"Kafka offset of the message that brought this row",
     NP_COL_LONG},
    {(char *)"sensor_id", "integer", true, (char *)"the sensor; its name is in table sensors", NP_COL_LONG},
    {(char *)"channel_id", "integer", true, (char *)"the channel; its name is in table channels",
     NP_COL_LONG},
    {(char *)"source_partition", "integer", true,
     (char *)"Kafka partition of the message that brought this row", NP_COL_LONG},
    {(char *)"value", "real", false, NULL, NP_COL_FLOAT},
    {(char *)"source_topic", "smallint", true,
     (char *)"Kafka topic of the message that brought this row; its name is in table topics", NP_COL_LONG},
};

static const char *const sql_types[] = {
    [NP_COL_DOUBLE] = "double precision",       [NP_COL_FLOAT] = "real", [NP_COL_LONG] = "bigint",
    [NP_COL_TIME] = "timestamp with time zone", [NP_COL_TEXT] = "text",  [NP_COL_FLOATS] = "real[]",
};

static const char *record_help(const char *name, const char **unit)
{
    for (const struct np_column *c = np_record_columns; c->name; c++)
        if (strcmp(c->name, name) == 0) {
            *unit = c->unit;
            return c->help;
        }
    *unit = "";
    return NULL;
}

char *np_pg_comment(const char *help, const char *unit, enum np_column_type type)
{
    char *text = NULL;
    bool has_unit = unit && unit[0] && type != NP_COL_TIME;

    if (asprintf(&text, "%s%s%s%s%s", help ? help : "", has_unit ? " [" : "", has_unit ? unit : "",
                 has_unit ? "]" : "",
                 type == NP_COL_TIME ? "; microseconds, what is below is cut off (floor)" : "") == -1)
        return NULL;
    return text;
}

static enum np_status fixed_columns(struct np_pg_table *table, struct np_error *err)
{
    const struct np_pg_column *from = table->step ? result_columns : reading_columns;

    for (size_t i = 0; i < table->n_fixed; i++) {
        struct np_pg_column *to = &table->columns[i];
        const char *unit = "", *help = from[i].comment;

        *to = from[i];
        to->name = strdup(from[i].name);
        if (!help && table->step)
            help = record_help(from[i].name, &unit);
        else if (!help) {
            help = "the reading; null where the message had none";
            unit = table->input->unit;
        }
        to->comment = from[i].comment ? strdup(help) : np_pg_comment(help, unit, from[i].type);
        if (table->step && i == NP_PG_FLAGS) {
            free(to->comment);
            to->comment = strdup("quality flags as a bit set; the view gives their names");
        }
        if (!to->name || !to->comment)
            return np_fail(err, NP_ENOMEM, "PostgreSQL: tables");
    }
    return NP_OK;
}

static enum np_status own_columns(struct np_pg_table *table, struct np_error *err)
{
    const struct np_columns *own = &table->step->columns;

    for (size_t i = 0; i < own->n; i++) {
        struct np_pg_column *to = &table->columns[table->n_fixed + i];
        const struct np_column *from = &own->items[i];

        for (size_t k = 0; k < table->n_fixed + i; k++)
            if (strcmp(table->columns[k].name, from->name) == 0)
                return np_fail(err, NP_ECONFIG,
                               "step %s: a result column is named \"%s\", which its table needs itself",
                               table->name, from->name);
        to->name = strdup(from->name);
        to->sql_type = sql_types[from->type];
        to->type = from->type;
        to->comment = np_pg_comment(from->help, from->unit, from->type);
        if (!to->name || !to->comment)
            return np_fail(err, NP_ENOMEM, "PostgreSQL: tables");
    }
    return NP_OK;
}

static enum np_status fill(struct np_pg_table *table, const char *name, const struct np_step *step,
                           const struct np_input *input, struct np_error *err)
{
    enum np_status status;

    table->name = name;
    table->step = step;
    table->input = input;
    table->topic = step ? step->topic : input->topic;
    table->time = step ? "start_time" : "time";
    table->n_fixed = step ? (size_t)NP_PG_N_FIXED : (size_t)NP_PG_READING_COLUMNS;
    if (strlen(name) > NAME_MAX_BYTES - SUFFIX_BYTES)
        return np_fail(err, NP_ECONFIG,
                       "the name \"%s\" is too long for a table: at most %d bytes are allowed", name,
                       NAME_MAX_BYTES - SUFFIX_BYTES);
    for (const struct np_pg_common *c = np_pg_common; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return np_fail(err, NP_ECONFIG,
                           "the name \"%s\" is taken: the loader has a table of its own of that name; give "
                           "the step or input another one",
                           name);
    table->n_columns = table->n_fixed + (step ? step->columns.n : 0);
    table->columns = calloc(table->n_columns, sizeof *table->columns);
    if (asprintf(&table->data, "%s_data", name) == -1)
        table->data = NULL;
    if (!table->columns || !table->data)
        return np_fail(err, NP_ENOMEM, "PostgreSQL: tables");
    status = fixed_columns(table, err);
    return status == NP_OK && step ? own_columns(table, err) : status;
}

enum np_status np_pg_layout(struct np_pg_tables **out, const struct np_pipeline *pipeline,
                            struct np_error *err)
{
    struct np_pg_tables *tables = calloc(1, sizeof *tables);
    enum np_status status = NP_OK;

    *out = NULL;
    if (!tables)
        return np_fail(err, NP_ENOMEM, "PostgreSQL: tables");
    tables->pipeline = pipeline;
    tables->schema = pipeline->postgres.schema;
    tables->items = calloc(pipeline->n_steps + pipeline->n_stores + 1, sizeof *tables->items);
    if (!tables->items) {
        status = np_fail(err, NP_ENOMEM, "PostgreSQL: tables");
        goto fail;
    }
    if (strlen(tables->schema) > NAME_MAX_BYTES - 8) {
        status =
            np_fail(err, NP_ECONFIG, "the schema \"%s\" has too long a name: at most %d bytes are allowed",
                    tables->schema, NAME_MAX_BYTES - 8);
        goto fail;
    }
    for (size_t i = 0; i < pipeline->n_steps && status == NP_OK; i++) {
        const struct np_step *step = &pipeline->steps[i];

        if (!step->table)
            continue;
        if (!step->topic) {
            status = np_fail(err, NP_ECONFIG,
                             "step %s has a table but no topic: tables are loaded from topics", step->name);
            goto fail;
        }
        status = fill(&tables->items[tables->n++], step->name, step, NULL, err);
    }
    for (size_t i = 0; i < pipeline->n_stores && status == NP_OK; i++) {
        const struct np_input *input = &pipeline->inputs[pipeline->stores[i].input];

        status = fill(&tables->items[tables->n++], input->name, NULL, input, err);
    }
    if (status != NP_OK)
        goto fail;
    for (size_t i = 0; i < tables->n; i++)
        for (size_t k = 0; k < tables->n; k++)
            if (i != k && (strcmp(tables->items[i].name, tables->items[k].name) == 0 ||
                           strcmp(tables->items[i].name, tables->items[k].data) == 0)) {
                status =
                    np_fail(err, NP_ECONFIG, "two tables would be named \"%s\": rename a step or an input",
                            tables->items[i].name);
                goto fail;
            }
    *out = tables;
    return NP_OK;
fail:
    np_pg_tables_free(tables);
    return status;
}

void np_pg_tables_free(struct np_pg_tables *tables)
{
    if (!tables)
        return;
    for (size_t i = 0; i < tables->n; i++) {
        struct np_pg_table *table = &tables->items[i];

        for (size_t k = 0; table->columns && k < table->n_columns; k++) {
            free(table->columns[k].name);
            free(table->columns[k].comment);
        }
        for (size_t k = 0; k < table->n_ranges; k++)
            free(table->ranges[k].name);
        free(table->ranges);
        free(table->columns);
        free(table->data);
    }
    free(tables->items);
    free(tables);
}
