#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/file.h"
#include "pipeline/pipeline_parts.h"
#include "pipeline/quantity.h"

enum { MOST_INPUTS = 100, MOST_CHANNELS = 1000 };

static const char *const formats[] = {[NP_FORMAT_AVRO] = "avro", [NP_FORMAT_JSON] = "json", NULL};
static const char *const encodings[] = {[NP_ENC_ARRAY] = "array",
                                        [NP_ENC_INT16] = "int16",
                                        [NP_ENC_INT32] = "int32",
                                        [NP_ENC_FLOAT32] = "float32",
                                        NULL};
static const char *const starts[] = {"earliest", "latest", NULL};

#define INPUT(field) offsetof(struct np_input, field)
static const struct np_option input_rows[] = {
    {"topic", NP_OPT_TEXT, INPUT(topic), NULL, NULL, 0, 0, NULL, false, "The topic that is read."},
    {"format", NP_OPT_CHOICE, INPUT(format), NULL, "avro", 0, 0, formats, false,
     "avro: the registry's wire format, or one schema file for all messages."},
    {"schema_file", NP_OPT_TEXT, INPUT(schema_file), NULL, "", 0, 0, NULL, false,
     "Avro without a registry: the schema of all messages (.avsc); seen from the pipeline file's folder."},
    {"unit", NP_OPT_TEXT, INPUT(unit), NULL, "", 0, 0, NULL, false,
     "Unit of the samples, such as V; the results' units follow."},
    {"sensor", NP_OPT_TEXT, INPUT(map.sensor), NULL, "", 0, 0, NULL, false,
     "Path of the field with the sensor's name; without it the message key is the name."},
    {"quality", NP_OPT_TEXT, INPUT(map.quality), NULL, "", 0, 0, NULL, false,
     "Path of a quality flag; a reading that is not good is taken as missing."},
    {"encoding", NP_OPT_CHOICE, INPUT(map.encoding), NULL, "array", 0, 0, encodings, false,
     "How samples are written: numbers (array, or one number), or bytes holding little-endian int16, int32, "
     "float32 "
     "(base64 in JSON)."},
    {"lateness", NP_OPT_DURATION, INPUT(lateness_ns), NULL, "2s", 0, 30.0 * 86400e9, NULL, false,
     "How far behind its stream's newest time a sample may come and still be used."},
    {"idle", NP_OPT_DURATION, INPUT(idle_ns), NULL, "30s", 1e6, 365.0 * 86400e9, NULL, false,
     "A stream silent for so long, in its partition's own time, has its windows closed."},
    {"future", NP_OPT_DURATION, INPUT(future_ns), NULL, "1h", 0, 365.0 * 86400e9, NULL, false,
     "A message with samples later than its own timestamp by more than this comes from a wrong clock and goes to the dead "
     "letters, before it makes the streams beside it look silent; 0s: no bound."},
    {"start", NP_OPT_CHOICE, INPUT(start), NULL, "earliest", 0, 0, starts, false,
     "Where to begin when nothing has been committed yet."},
    {"late_to_dead_letters", NP_OPT_BOOL, INPUT(late_to_dead_letters), NULL, "false", 0, 0, NULL, false,
     "Whether messages with samples that came too late go to the dead letters, besides being counted."},
    {0},
};
static const struct np_key input_keys[] = {
    {"time", true, "the path of a field, or { field: t0, unit: ns }",
     "Where the time of the first sample stands.", "\"anyOf\": [{\"type\": \"string\"}, @inputs.NAME.time]"},
    {"rate", false, "the path of a field, or a frequency such as 50Hz or 12.8kHz",
     "Sampling rate; without it readings are irregular, each with its own time.",
     "\"type\": [\"string\", \"number\"]"},
    {"channels", false, "a map of channel names to paths, such as { U1: u_l1, U2: u_l2 }",
     "The channels of a message and where their samples stand. Either this or channel.",
     "\"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": {\"type\": \"string\"}"},
    {"channel", false, "a map { name: PATH, samples: PATH }",
     "Where a message of one channel holds its name and its samples. Either this or channels.",
     "@inputs.NAME.channel"},
    {"scale", false, "a number, or the path of a field", "value = raw * scale + offset; 1 if not given.",
     "\"type\": [\"number\", \"string\"]"},
    {"offset", false, "a number, or the path of a field", "value = raw * scale + offset; 0 if not given.",
     "\"type\": [\"number\", \"string\"]"},
    {0},
};
const struct np_section np_section_input = {
    "inputs.NAME",
    "A topic that is read, and where the parts of a reading stand in its messages. Paths are dotted "
    "(`head.meter`); "
    "`readings[].value` goes into an array of records.",
    input_rows,
    input_keys,
};

struct time_conf {
    char *field;
    int unit;
};
static const char *const time_units[] = {"auto", "ns", "us", "ms", "s", NULL};
static const int64_t time_units_ns[] = {0, 1, 1000, 1000000, 1000000000};
static const struct np_option time_rows[] = {
    {"field", NP_OPT_TEXT, offsetof(struct time_conf, field), NULL, NULL, 0, 0, NULL, false,
     "Path of the time."},
    {"unit", NP_OPT_CHOICE, offsetof(struct time_conf, unit), NULL, "auto", 0, 0, time_units, false,
     "Unit of a number since 1970-01-01 UTC; auto: the schema's logical type, or RFC 3339 text."},
    {0},
};
const struct np_section np_section_time = {"inputs.NAME.time", "The time of the first sample of a message.",
                                           time_rows, NULL};

struct channel_conf {
    char *name, *samples;
};
static const struct np_option channel_rows[] = {
    {"name", NP_OPT_TEXT, offsetof(struct channel_conf, name), NULL, NULL, 0, 0, NULL, false,
     "Path of the channel's name."},
    {"samples", NP_OPT_TEXT, offsetof(struct channel_conf, samples), NULL, NULL, 0, 0, NULL, false,
     "Path of the samples."},
    {0},
};
const struct np_section np_section_channel = {"inputs.NAME.channel", "Messages of one channel each.",
                                              channel_rows, NULL};

static char *copy_text(const char *text, struct np_mistakes *mistakes)
{
    char *copy = strdup(text);

    if (!copy)
        mistakes->out_of_memory = true;
    return copy;
}

/* The path that node holds. @return given, NULL after a mistake */
static char *read_path(const struct np_node *node, const char *what, struct np_mistakes *mistakes)
{
    if (!np_text_check(node, what, mistakes) || !np_path_check(node, what, node->text, mistakes))
        return NULL;
    return copy_text(node->text, mistakes);
}

static void read_time(struct np_mapping *map, const struct np_node *node, struct np_mistakes *mistakes)
{
    struct time_conf conf = {0};

    if (node->kind == NP_NODE_SCALAR) {
        map->time = read_path(node, "time", mistakes);
        return;
    }
    np_section_parse(&np_section_time, node, &conf, mistakes);
    map->time_unit_ns = time_units_ns[conf.unit];
    map->time = conf.field;
    if (map->time)
        np_path_check(np_node_get(node, "field"), "field", map->time, mistakes);
}

/* A node that is either a number or a path: begins it as a number does, then it must be one. */
static bool begins_as_number(const struct np_node *node)
{
    return node->kind == NP_NODE_SCALAR && strchr("+-.0123456789", node->text[0]) && node->text[0];
}

/* NAN after a mistake, so that nothing more is said about it at the steps that read this input. */
static void read_rate(struct np_mapping *map, const struct np_node *node, struct np_mistakes *mistakes)
{
    if (!begins_as_number(node)) {
        map->rate = read_path(node, "rate", mistakes);
        if (!map->rate)
            map->rate_hz = NAN;
    } else if (!np_frequency_parse(node->text, &map->rate_hz) || !(map->rate_hz > 0) || map->rate_hz > 1e9) {
        map->rate_hz = NAN;
        np_mistake_add(mistakes, node,
                       "rate is \"%s\"; allowed: the path of a field, or a frequency above 0 and up to "
                       "1000MHz, such as 50Hz or 12.8kHz",
                       np_node_shown(node));
    }
}

static void read_factor(const struct np_node *node, const char *what, double *value, char **path,
                        struct np_mistakes *mistakes)
{
    if (!begins_as_number(node))
        *path = read_path(node, what, mistakes);
    else if (!np_number_parse(node->text, value))
        np_mistake_add(mistakes, node, "%s is \"%s\"; allowed: a number, or the path of a field", what,
                       np_node_shown(node));
    else if (*value == 0 && strcmp(what, "scale") == 0)
        np_mistake_add(mistakes, node, "scale is 0; allowed: any other number");
}

static void read_channels(struct np_mapping *map, const struct np_node *node, struct np_mistakes *mistakes)
{
    if (node->kind != NP_NODE_MAP || node->n == 0 || node->n > MOST_CHANNELS) {
        np_mistake_add(mistakes, node,
                       "channels must be a map of 1 to %d channel names to paths, such as { U1: u_l1 }",
                       MOST_CHANNELS);
        return;
    }
    map->channels = calloc(node->n, sizeof *map->channels);
    if (!map->channels) {
        mistakes->out_of_memory = true;
        return;
    }
    map->n_channels = node->n;
    for (size_t i = 0; i < node->n; i++) {
        np_channel_name_check(node->keys[i], node->keys[i]->text, mistakes);
        map->channels[i].name = copy_text(node->keys[i]->text, mistakes);
        map->channels[i].path = read_path(node->items[i], node->keys[i]->text, mistakes);
    }
}

static void read_channel(struct np_mapping *map, const struct np_node *node, struct np_mistakes *mistakes)
{
    struct channel_conf conf = {0};

    np_section_parse(&np_section_channel, node, &conf, mistakes);
    if (conf.name)
        np_path_check(np_node_get(node, "name"), "name", conf.name, mistakes);
    if (conf.samples)
        np_path_check(np_node_get(node, "samples"), "samples", conf.samples, mistakes);
    map->channel_name = conf.name;
    map->channels = calloc(1, sizeof *map->channels);
    if (map->channels) {
        map->n_channels = 1;
        map->channels[0].path = conf.samples;
    } else {
        mistakes->out_of_memory = true;
        free(conf.samples);
    }
}

static size_t array_length(const char *path)
{
    const char *end = path ? strstr(path, "[]") : NULL;

    return end ? (size_t)(end - path) : 0;
}

/* All paths that go into an array must go into the same one. */
static void check_arrays(const struct np_input *input, struct np_mistakes *mistakes)
{
    const struct np_mapping *map = &input->map;
    const char *array = NULL;

    for (size_t i = 0; i < map->n_channels + 4; i++) {
        const char *others[] = {map->time, map->quality, map->channel_name, map->sensor};
        const char *path = i < map->n_channels ? map->channels[i].path : others[i - map->n_channels];
        size_t n = array_length(path);

        if (n == 0)
            continue;
        if (!array)
            array = path;
        if (n != array_length(array) || strncmp(path, array, n) != 0) {
            np_mistake_add(mistakes, input->node,
                           "paths go into two arrays: \"%s\" and \"%s\"; allowed: all [] paths of an input "
                           "go into the same",
                           array, path);
            return;
        }
    }
}

static void check_input(const struct np_pipeline *pipeline, struct np_input *input, const char *base,
                        struct np_mistakes *mistakes)
{
    const struct np_node *node = input->node;

    if (input->topic)
        np_topic_check(np_node_get(node, "topic"), input->topic, mistakes);
    if (input->map.sensor)
        np_path_check(np_node_get(node, "sensor"), "sensor", input->map.sensor, mistakes);
    if (input->map.quality)
        np_path_check(np_node_get(node, "quality"), "quality", input->map.quality, mistakes);
    if (input->format == NP_FORMAT_JSON && input->schema_file)
        np_mistake_add(mistakes, np_node_get(node, "schema_file"),
                       "schema_file belongs to format: avro, not json");
    if (input->format == NP_FORMAT_AVRO && !input->schema_file && !np_node_get(pipeline->root, "registry"))
        np_mistake_add(
            mistakes, node,
            "Avro needs a schema; allowed: the section registry, schema_file here, or format: json");
    if (input->late_to_dead_letters && !np_node_get(pipeline->root, "dead_letters"))
        np_mistake_add(mistakes, np_node_get(node, "late_to_dead_letters"),
                       "late_to_dead_letters needs the section dead_letters: { topic: .. }");
    if (input->idle_ns < input->lateness_ns)
        np_mistake_add(mistakes, node, "idle is shorter than lateness; allowed: at least as long");
    if (input->schema_file) {
        char *beside = np_file_beside(base, input->schema_file);

        if (!beside)
            mistakes->out_of_memory = true;
        free(input->schema_file);
        input->schema_file = beside;
    }
    for (const struct np_input *other = pipeline->inputs; other != input; other++)
        if (other->topic && input->topic && strcmp(other->topic, input->topic) == 0)
            np_mistake_add(mistakes, np_node_get(node, "topic"),
                           "topic %s is read by input %s already; allowed: one input "
                           "for a topic",
                           input->topic, other->name);
}

static void read_input(struct np_pipeline *pipeline, struct np_input *input, const char *base,
                       struct np_mistakes *mistakes)
{
    const struct np_node *node = input->node;
    const struct np_node *time = np_node_get(node, "time"), *rate = np_node_get(node, "rate");
    const struct np_node *channels = np_node_get(node, "channels"), *channel = np_node_get(node, "channel");
    const struct np_node *scale = np_node_get(node, "scale"), *offset = np_node_get(node, "offset");
    size_t before = mistakes->n;

    np_section_parse(&np_section_input, node, input, mistakes);
    if (node->kind != NP_NODE_MAP)
        return;
    input->map.scale = 1;
    input->map.offset = 0;
    if (!input->unit)
        input->unit = copy_text("", mistakes);
    if (time)
        read_time(&input->map, time, mistakes);
    if (rate)
        read_rate(&input->map, rate, mistakes);
    if (scale)
        read_factor(scale, "scale", &input->map.scale, &input->map.scale_path, mistakes);
    if (offset)
        read_factor(offset, "offset", &input->map.offset, &input->map.offset_path, mistakes);
    if (channels && channel)
        np_mistake_add(mistakes, channel, "channels and channel are both given; allowed is one of them");
    else if (channels)
        read_channels(&input->map, channels, mistakes);
    else if (channel)
        read_channel(&input->map, channel, mistakes);
    else
        np_mistake_add(mistakes, node,
                       "channels or channel is missing: where the samples stand, such as "
                       "channels: { U1: u_l1 }");
    check_input(pipeline, input, base, mistakes);
    if (mistakes->n == before)
        check_arrays(input, mistakes);
}

void np_inputs_read(struct np_pipeline *pipeline, const char *base, struct np_mistakes *mistakes)
{
    const struct np_node *map = np_node_get(pipeline->root, "inputs");

    if (!map)
        return;
    if (map->kind != NP_NODE_MAP || map->n == 0 || map->n > MOST_INPUTS) {
        np_mistake_add(mistakes, map,
                       "inputs must be a map of 1 to %d inputs, such as waves: { topic: .., time: .. }",
                       MOST_INPUTS);
        return;
    }
    pipeline->inputs = calloc(map->n, sizeof *pipeline->inputs);
    if (!pipeline->inputs) {
        mistakes->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        struct np_input *input = &pipeline->inputs[i];

        input->node = map->items[i];
        input->name = copy_text(map->keys[i]->text, mistakes);
        pipeline->n_inputs++;
        if (!input->name)
            return;
        np_name_check(map->keys[i], "input", input->name, mistakes);
        read_input(pipeline, input, base, mistakes);
    }
}

void np_input_free(struct np_input *input)
{
    struct np_mapping *map = &input->map;

    np_options_free(input_rows, input);
    free(input->name);
    free(map->time);
    free(map->rate);
    for (size_t i = 0; i < map->n_channels; i++) {
        free(map->channels[i].name);
        free(map->channels[i].path);
    }
    free(map->channels);
    free(map->channel_name);
    free(map->scale_path);
    free(map->offset_path);
}

int np_input_find(const struct np_pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->n_inputs; i++)
        if (strcmp(pipeline->inputs[i].name, name) == 0)
            return (int)i;
    return -1;
}
