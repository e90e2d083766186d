#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline_parts.h"

static const char *const formats[] = {[NP_FORMAT_AVRO] = "avro", [NP_FORMAT_JSON] = "json", NULL};

struct topic_conf {
    char *topic;
    int format;
};
static const struct np_option topic_rows[] = {
    {"topic", NP_OPT_TEXT, offsetof(struct topic_conf, topic), NULL, NULL, 0, 0, NULL, false, "The topic."},
    {"format", NP_OPT_CHOICE, offsetof(struct topic_conf, format), NULL, "avro", 0, 0, formats, false,
     "avro: registered under the topic's subject; json: one object a record."},
    {0},
};
const struct np_section np_section_topic = {
    "outputs.topics.STEP",
    "The topic of a step's results. Several steps may share one, if all write it in the same format; in Avro "
    "each record "
    "then carries the schema of its own step, named after pipeline and step.",
    topic_rows, NULL};

static const struct np_option output_rows[] = {{0}};
static const struct np_key output_keys[] = {
    {"topics", false,
     "a map of steps to topics, such as { levels: grid.levels, alerts: { topic: grid.alerts, format: json } "
     "}",
     "Which topic the results of a step go to.",
     "\"type\": \"object\", \"additionalProperties\": {\"anyOf\": [{\"type\": \"string\"}, "
     "@outputs.topics.STEP]}"},
    {"postgres", false, "a map", "Which results are loaded into PostgreSQL.", "@outputs.postgres"},
    {0},
};
const struct np_section np_section_outputs = {"outputs", "Where results go.", output_rows, output_keys};

struct postgres_conf {
    char *dsn_file, *dsn_env, *schema;
    int64_t retention_ns, partition_ns;
};
#define POSTGRES(field) offsetof(struct postgres_conf, field)
static const struct np_option postgres_rows[] = {
    {"dsn_file", NP_OPT_TEXT, POSTGRES(dsn_file), NULL, "", 0, 0, NULL, false,
     "File whose first line says how to reach the database (a libpq connection string); seen from the "
     "pipeline file's "
     "folder. Either this or dsn_env."},
    {"dsn_env", NP_OPT_TEXT, POSTGRES(dsn_env), NULL, "", 0, 0, NULL, false,
     "Environment variable that says how to reach the database. Either this or dsn_file."},
    {"schema", NP_OPT_TEXT, POSTGRES(schema), NULL, "netzpuls", 0, 0, NULL, false,
     "The database schema of the tables."},
    {"retention", NP_OPT_DURATION, POSTGRES(retention_ns), NULL, "", 3600e9, 36600.0 * 86400e9, NULL, false,
     "How long rows are kept; without it for ever."},
    {"partition", NP_OPT_DURATION, POSTGRES(partition_ns), NULL, "1d", 3600e9, 366.0 * 86400e9, NULL, false,
     "Time that one partition of a table holds; retention drops whole partitions."},
    {0},
};
static const struct np_key postgres_keys[] = {
    {"tables", true, "a list of steps and inputs, such as [levels, waves]",
     "What is loaded: a step's results, from its topic, or an input as it is (every reading a row). A table "
     "has the name of "
     "its step or input.",
     "\"type\": \"array\", \"minItems\": 1, \"uniqueItems\": true, \"items\": {\"type\": \"string\"}"},
    {"dsn", false, NULL, NULL, NULL},
    {"password", false, NULL, NULL, NULL},
    {0},
};
const struct np_section np_section_postgres = {
    "outputs.postgres", "The database that results are loaded into.", postgres_rows, postgres_keys};

static void read_topic(struct np_pipeline *pipeline, const struct np_node *key, const struct np_node *node,
                       struct np_mistakes *mistakes)
{
    struct topic_conf conf = {.format = NP_FORMAT_AVRO};
    int step = np_step_find(pipeline, key->text);
    char hint[800];

    if (step < 0)
        np_mistake_add(mistakes, key, "there is no step \"%s\"%s", key->text,
                       np_names_hint(pipeline, false, key->text, hint, sizeof hint));
    if (node->kind == NP_NODE_SCALAR) {
        if (np_text_check(node, key->text, mistakes) && np_topic_check(node, node->text, mistakes)) {
            conf.topic = strdup(node->text);
            if (!conf.topic)
                mistakes->out_of_memory = true;
        }
    } else {
        np_section_parse(&np_section_topic, node, &conf, mistakes);
        if (conf.topic)
            np_topic_check(np_node_get(node, "topic"), conf.topic, mistakes);
    }
    if (conf.topic && conf.format == NP_FORMAT_AVRO && !np_node_get(pipeline->root, "registry"))
        np_mistake_add(mistakes, node,
                       "topic %s in Avro needs a registry; allowed: the section registry, or "
                       "{ topic: %s, format: json }",
                       conf.topic, conf.topic);
    for (size_t i = 0; conf.topic && i < pipeline->n_steps; i++) {
        const struct np_step *other = &pipeline->steps[i];

        if (other->topic && (int)i != step && strcmp(other->topic, conf.topic) == 0 &&
            other->topic_format != (enum np_format)conf.format) {
            np_mistake_add(
                mistakes, node,
                "topic %s is written as %s here and as %s by step %s; allowed: one format for a topic",
                conf.topic, formats[conf.format], formats[other->topic_format], other->name);
            break;
        }
    }
    if (step >= 0 && conf.topic) {
        pipeline->steps[step].topic = conf.topic;
        pipeline->steps[step].topic_format = (enum np_format)conf.format;
        conf.topic = NULL;
    }
    np_options_free(topic_rows, &conf);
}

static bool is_own_table(const char *name)
{
    static const char *const own[] = {"sensors",       "channels", "topics", "cuts",
                                      "rejected_rows", "objects",  NULL};

    for (size_t i = 0; own[i]; i++)
        if (strcmp(own[i], name) == 0)
            return true;
    return false;
}

/* Each table NAME is a view on NAME_data, so "x" and "x_data" cannot both be tables. */
static bool is_data_of_another(const struct np_node *list, const char *name)
{
    size_t n = strlen(name);

    if (n <= 5 || strcmp(name + n - 5, "_data") != 0)
        return false;
    for (size_t i = 0; i < list->n; i++) {
        const char *other = list->items[i]->text;

        if (other && strlen(other) == n - 5 && strncmp(other, name, n - 5) == 0)
            return true;
    }
    return false;
}

static void read_table(struct np_pipeline *pipeline, const struct np_node *list, const struct np_node *node,
                       struct np_mistakes *mistakes)
{
    const struct np_node *topics;
    int step, input;
    char hint[800];

    if (!np_text_check(node, "a table", mistakes))
        return;
    step = np_step_find(pipeline, node->text);
    input = np_input_find(pipeline, node->text);
    if (step < 0 && input < 0) {
        np_mistake_add(mistakes, node, "there is no step or input \"%s\"%s", np_node_shown(node),
                       np_names_hint(pipeline, true, node->text, hint, sizeof hint));
        return;
    }
    if (is_own_table(node->text) || is_data_of_another(list, node->text)) {
        np_mistake_add(mistakes, node,
                       "table %s would have the name of a table that the program makes for itself; allowed: "
                       "another name for the step or input",
                       node->text);
        return;
    }
    for (const struct np_node *const *other = (const struct np_node *const *)list->items; *other != node;
         other++) {
        if ((*other)->text && strcmp((*other)->text, node->text) == 0) {
            np_mistake_add(mistakes, node, "table %s stands here twice; allowed is once", node->text);
            return;
        }
    }
    if (step < 0) {
        pipeline->stores[pipeline->n_stores++].input = input;
        return;
    }
    pipeline->steps[step].table = true;
    topics = np_node_get(np_node_get(pipeline->root, "outputs"), "topics");
    if ((!topics || topics->kind == NP_NODE_MAP) && !np_node_get(topics, node->text))
        np_mistake_add(mistakes, node,
                       "table %s needs a topic, as rows are loaded from it; allowed: %s: TOPIC under "
                       "outputs.topics",
                       node->text, node->text);
}

static void read_postgres(struct np_pipeline *pipeline, const struct np_node *map, const char *base,
                          struct np_mistakes *mistakes)
{
    struct postgres_conf conf = {0};
    const struct np_node *tables = np_node_get(map, "tables");

    np_section_parse(&np_section_postgres, map, &conf, mistakes);
    pipeline->postgres.on = true;
    pipeline->postgres.retention_ns = conf.retention_ns;
    pipeline->postgres.partition_ns = conf.partition_ns;
    if (conf.schema)
        np_schema_name_check(np_node_get(map, "schema"), conf.schema, mistakes);
    pipeline->postgres.schema = conf.schema;
    conf.schema = NULL;
    if (map->kind == NP_NODE_MAP) {
        if (np_node_get(map, "password"))
            np_mistake_add(mistakes, np_node_get(map, "password"),
                           "password is a secret and must not stand here: it belongs into what dsn_file or "
                           "dsn_env name");
        pipeline->postgres.dsn =
            np_secret_read(map, "dsn", conf.dsn_file, conf.dsn_env, base, true, mistakes);
    }
    if (conf.retention_ns && conf.retention_ns < conf.partition_ns)
        np_mistake_add(
            mistakes, np_node_get(map, "retention"),
            "retention is shorter than a partition; allowed: at least as long, or a shorter partition");
    np_options_free(postgres_rows, &conf);
    if (!tables)
        return;
    if (tables->kind != NP_NODE_LIST || tables->n == 0) {
        np_mistake_add(mistakes, tables,
                       "tables must be a list of steps and inputs, such as [levels, waves]");
        return;
    }
    pipeline->stores = calloc(tables->n, sizeof *pipeline->stores);
    if (!pipeline->stores) {
        mistakes->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < tables->n; i++)
        read_table(pipeline, tables, tables->items[i], mistakes);
}

void np_outputs_read(struct np_pipeline *pipeline, const char *base, struct np_mistakes *mistakes)
{
    const struct np_node *map = np_node_get(pipeline->root, "outputs");
    const struct np_node *topics = np_node_get(map, "topics"), *postgres = np_node_get(map, "postgres");
    char none = 0;

    if (!map)
        return;
    np_section_parse(&np_section_outputs, map, &none, mistakes);
    if (topics && topics->kind != NP_NODE_MAP)
        np_mistake_add(mistakes, topics,
                       "topics must be a map of steps to topics, such as { levels: grid.levels }");
    for (size_t i = 0; topics && topics->kind == NP_NODE_MAP && i < topics->n; i++)
        read_topic(pipeline, topics->keys[i], topics->items[i], mistakes);
    if (postgres)
        read_postgres(pipeline, postgres, base, mistakes);
}

static const struct np_node *topic_node(const struct np_pipeline *pipeline, const char *step)
{
    const struct np_node *topics = np_node_get(np_node_get(pipeline->root, "outputs"), "topics");

    return np_node_get(topics, step);
}

/* A topic of ours must not be one that we read, and the state and dead letters need topics of their own. */
static void check_topic(const struct np_pipeline *pipeline, const struct np_node *node, const char *topic,
                        struct np_mistakes *mistakes)
{
    size_t n = strlen(pipeline->name);

    for (size_t i = 0; i < pipeline->n_inputs; i++)
        if (pipeline->inputs[i].topic && strcmp(pipeline->inputs[i].topic, topic) == 0)
            np_mistake_add(mistakes, node,
                           "topic %s is read by input %s; allowed: another topic, or the pipeline would read "
                           "what it writes",
                           topic, pipeline->inputs[i].name);
    if (strncmp(topic, pipeline->name, n) == 0 && strcmp(topic + n, ".state") == 0)
        np_mistake_add(mistakes, node, "topic %s holds the state of this pipeline; allowed: another topic",
                       topic);
}

void np_use_check(const struct np_pipeline *pipeline, struct np_mistakes *mistakes)
{
    const struct np_node *letters = np_node_get(np_node_get(pipeline->root, "dead_letters"), "topic");

    if (!pipeline->name)
        return;
    for (size_t i = 0; i < pipeline->n_steps; i++) {
        const struct np_step *step = &pipeline->steps[i];
        bool used = step->topic || step->table;

        for (size_t j = 0; j < pipeline->n_steps; j++)
            used |= pipeline->steps[j].parent == (int)i;
        if (!used)
            np_mistake_add(mistakes, step->node,
                           "nobody uses step %s; allowed: a topic for it under outputs.topics, or a step "
                           "that reads it",
                           step->name);
        if (step->topic)
            check_topic(pipeline, topic_node(pipeline, step->name), step->topic, mistakes);
        if (step->topic && pipeline->dead_letters && strcmp(step->topic, pipeline->dead_letters) == 0)
            np_mistake_add(mistakes, letters,
                           "topic %s takes the results of step %s, too; allowed: a topic of its own",
                           step->topic, step->name);
    }
    if (pipeline->dead_letters)
        check_topic(pipeline, letters, pipeline->dead_letters, mistakes);
    for (size_t i = 0; i < pipeline->n_inputs; i++) {
        bool used = false;

        for (size_t j = 0; j < pipeline->n_steps; j++)
            used |= pipeline->steps[j].input == (int)i;
        for (size_t j = 0; j < pipeline->n_stores; j++)
            used |= pipeline->stores[j].input == (int)i;
        if (!used)
            np_mistake_add(mistakes, pipeline->inputs[i].node,
                           "nobody uses input %s; allowed: a step that reads it, or its name "
                           "in outputs.postgres.tables",
                           pipeline->inputs[i].name);
    }
}
