#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline_parts.h"

static const struct np_option kafka_rows[] = {
    {"brokers", NP_OPT_TEXT, offsetof(struct np_pipeline, brokers), NULL, NULL, 0, 0, NULL, false,
     "The cluster's bootstrap addresses, host:port, with commas between."},
    {0},
};
static const struct np_key kafka_keys[] = {
    {"properties", false, "a map of librdkafka properties",
     "Any librdkafka property but those that the program sets. A secret is \"${NAME}\" from the environment, "
     "or "
     "{ file: PATH }.",
     "\"type\": \"object\", \"additionalProperties\": {\"anyOf\": [{\"type\": [\"string\", \"number\", "
     "\"boolean\"]}, "
     "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"file\"], \"properties\": "
     "{\"file\": {\"type\": \"string\"}}}]}"},
    {0},
};
const struct np_section np_section_kafka = {"kafka", "The Kafka cluster; inputs and results live in one.",
                                            kafka_rows, kafka_keys};

struct registry_conf {
    char *url, *user, *password_file, *password_env;
};
static const struct np_option registry_rows[] = {
    {"url", NP_OPT_TEXT, offsetof(struct registry_conf, url), NULL, NULL, 0, 0, NULL, false,
     "Address of the registry's Confluent-compatible API, http:// or https://."},
    {"user", NP_OPT_TEXT, offsetof(struct registry_conf, user), NULL, "", 0, 0, NULL, false,
     "Name for basic authentication."},
    {"password_file", NP_OPT_TEXT, offsetof(struct registry_conf, password_file), NULL, "", 0, 0, NULL, false,
     "File whose first line is the password; seen from the pipeline file's folder."},
    {"password_env", NP_OPT_TEXT, offsetof(struct registry_conf, password_env), NULL, "", 0, 0, NULL, false,
     "Environment variable that holds the password."},
    {0},
};
static const struct np_key registry_keys[] = {{"password", false, NULL, NULL, NULL}, {0}};
const struct np_section np_section_registry = {"registry", "The schema registry.", registry_rows,
                                               registry_keys};

/* Properties that carry the guarantees, or have a key of their own. */
static const struct {
    const char *name, *instead;
} owned[] = {
    {"auto.offset.reset", "the key start of an input says where to begin"},
    {"bootstrap.servers", "the key brokers holds the addresses"},
    {"enable.auto.commit", "offsets are committed with the results"},
    {"enable.auto.offset.store", "offsets are committed with the results"},
    {"enable.idempotence", "results are written in transactions"},
    {"group.id", "the group is named after the pipeline"},
    {"isolation.level", "only committed records are read"},
    {"metadata.broker.list", "the key brokers holds the addresses"},
    {"partition.assignment.strategy", "partitions move one by one (cooperative-sticky)"},
    {"session.timeout.ms", "the key session_timeout of run holds it"},
    {"transactional.id", "it is made from the pipeline and the worker"},
};

bool np_property_is_secret(const char *name)
{
    size_t n = strlen(name);

    return strstr(name, "password") || strstr(name, "secret") || strcmp(name, "ssl.key.pem") == 0 ||
           strcmp(name, "sasl.oauthbearer.config") == 0 || (n > 4 && strcmp(name + n - 4, ".key") == 0);
}

/* @return given; NULL after a mistake */
static char *read_property(const char *name, const struct np_node *node, const char *base,
                           struct np_mistakes *mistakes)
{
    char *value;

    if (node->kind == NP_NODE_MAP && node->n == 1 && strcmp(node->keys[0]->text, "file") == 0 &&
        node->items[0]->kind == NP_NODE_SCALAR)
        return np_secret_from_file(node->items[0], name, node->items[0]->text, base, mistakes);
    if (node->kind != NP_NODE_SCALAR) {
        np_mistake_add(mistakes, node, "property %s is a %s; allowed: a text, or { file: PATH }", name,
                       node->kind == NP_NODE_MAP ? "map" : "list");
        return NULL;
    }
    if (np_property_is_secret(name) && !node->written) {
        np_mistake_add(mistakes, node,
                       "property %s is a secret and must not stand here: write \"${NAME}\" and set the "
                       "environment variable "
                       "NAME, or { file: PATH }",
                       name);
        return NULL;
    }
    value = strdup(node->text);
    if (!value)
        mistakes->out_of_memory = true;
    return value;
}

static bool is_owned(const struct np_node *key, struct np_mistakes *mistakes)
{
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        if (strcmp(owned[i].name, key->text) == 0) {
            np_mistake_add(mistakes, key, "property %s is set by the program: %s", key->text,
                           owned[i].instead);
            return true;
        }
    }
    return false;
}

static void read_properties(struct np_pipeline *pipeline, const struct np_node *map, const char *base,
                            struct np_mistakes *mistakes)
{
    if (map->kind != NP_NODE_MAP) {
        np_mistake_add(mistakes, map,
                       "properties must be a map of librdkafka properties, such as { client.id: one }");
        return;
    }
    pipeline->properties = calloc(map->n + 1, sizeof *pipeline->properties);
    if (!pipeline->properties) {
        mistakes->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        struct np_property *property = &pipeline->properties[pipeline->n_properties];

        if (is_owned(map->keys[i], mistakes))
            continue;
        property->value = read_property(map->keys[i]->text, map->items[i], base, mistakes);
        property->name = property->value ? strdup(map->keys[i]->text) : NULL;
        if (property->value)
            pipeline->n_properties++;
        if (property->value && !property->name)
            mistakes->out_of_memory = true;
    }
}

static void read_registry(struct np_pipeline *pipeline, const struct np_node *map, const char *base,
                          struct np_mistakes *mistakes)
{
    struct registry_conf conf = {0};
    const struct np_node *url = np_node_get(map, "url");
    const char *host;

    np_section_parse(&np_section_registry, map, &conf, mistakes);
    if (conf.url) {
        host = strstr(conf.url, "://");
        if (host && memchr(host + 3, '@', strcspn(host + 3, "/")))
            np_mistake_add(mistakes, url,
                           "url holds a name or password; allowed: the keys user and password_file or "
                           "password_env beside it");
        else if (strncmp(conf.url, "http://", 7) != 0 && strncmp(conf.url, "https://", 8) != 0)
            np_mistake_add(mistakes, url,
                           "url is \"%s\"; allowed: an address that starts with http:// or https://",
                           np_node_shown(url));
    }
    pipeline->registry_password = np_secret_read(map, "password", conf.password_file, conf.password_env, base,
                                                 conf.user != NULL, mistakes);
    if (pipeline->registry_password && !conf.user)
        np_mistake_add(mistakes, map, "user is missing: the name that belongs to the password");
    pipeline->registry_url = conf.url;
    pipeline->registry_user = conf.user;
    conf.url = conf.user = NULL;
    np_options_free(registry_rows, &conf);
}

void np_kafka_read(struct np_pipeline *pipeline, const char *base, struct np_mistakes *mistakes)
{
    const struct np_node *kafka = np_node_get(pipeline->root, "kafka");
    const struct np_node *registry = np_node_get(pipeline->root, "registry");
    const struct np_node *properties = np_node_get(kafka, "properties");

    if (kafka)
        np_section_parse(&np_section_kafka, kafka, pipeline, mistakes);
    if (pipeline->brokers && !pipeline->brokers[0])
        np_mistake_add(mistakes, np_node_get(kafka, "brokers"),
                       "brokers is empty; allowed: host:port, with commas between");
    if (properties)
        read_properties(pipeline, properties, base, mistakes);
    if (registry)
        read_registry(pipeline, registry, base, mistakes);
}

void np_kafka_free(struct np_pipeline *pipeline)
{
    np_options_free(kafka_rows, pipeline);
    for (size_t i = 0; i < pipeline->n_properties; i++) {
        free(pipeline->properties[i].name);
        free(pipeline->properties[i].value);
    }
    free(pipeline->properties);
    free(pipeline->registry_url);
    free(pipeline->registry_user);
    free(pipeline->registry_password);
}
