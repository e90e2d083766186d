#include "pipeline/node.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "pipeline/file.h"

enum { DEPTH_LIMIT = 32 };

struct reader {
    yaml_parser_t parser;
    struct np_mistakes *mistakes;
    bool broken; /* syntax error or no memory: nothing more can be read */
};

static void out_of_memory(struct reader *reader)
{
    reader->mistakes->out_of_memory = true;
    reader->broken = true;
}

static struct np_node *node_new(struct reader *reader, enum np_node_kind kind, yaml_mark_t mark)
{
    struct np_node *node = calloc(1, sizeof *node);

    if (!node) {
        out_of_memory(reader);
        return NULL;
    }
    node->kind = kind;
    node->line = (int)mark.line + 1;
    node->column = (int)mark.column + 1;
    return node;
}

void np_node_free(struct np_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->n; i++) {
        if (node->keys)
            np_node_free(node->keys[i]);
        np_node_free(node->items[i]);
    }
    free(node->keys);
    free(node->items);
    free(node->text);
    free(node->written);
    free(node);
}

const struct np_node *np_node_get(const struct np_node *map, const char *key)
{
    if (!map || map->kind != NP_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}

const char *np_node_shown(const struct np_node *scalar)
{
    if (scalar->written)
        return scalar->written;
    return scalar->text ? scalar->text : "";
}

static size_t name_length(const char *text)
{
    size_t n = 0;

    while (text[n] == '_' || isalpha((unsigned char)text[n]) || (n > 0 && isdigit((unsigned char)text[n])))
        n++;
    return n;
}

/* Replaces ${NAME} in a scalar; an unset or badly written one is a mistake and stays as it is. */
static void expand(struct reader *reader, struct np_node *node)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out;
    const char *c = node->text;

    if (!strstr(node->text, "${"))
        return;
    out = open_memstream(&text, &size);
    if (!out) {
        out_of_memory(reader);
        return;
    }
    while (*c) {
        size_t n;
        char *name;
        const char *value;

        if (strncmp(c, "$${", 3) == 0) {
            fputs("${", out);
            c += 3;
            continue;
        }
        if (strncmp(c, "${", 2) != 0) {
            fputc(*c++, out);
            continue;
        }
        n = name_length(c + 2);
        if (n == 0 || c[2 + n] != '}') {
            np_mistake_add(reader->mistakes, node,
                           "\"${\" is not followed by NAME}; allowed: ${NAME} for an environment variable, "
                           "$${ for the characters themselves");
            fputs("${", out);
            c += 2;
            continue;
        }
        name = strndup(c + 2, n);
        value = name ? getenv(name) : NULL;
        if (!name)
            out_of_memory(reader);
        else if (!value)
            np_mistake_add(reader->mistakes, node, "the environment variable %s is not set", name);
        fputs(value ? value : "", out);
        free(name);
        c += n + 3;
    }
    if (fclose(out) != 0 || !text) {
        free(text);
        out_of_memory(reader);
        return;
    }
    node->written = node->text;
    node->text = text;
}

static bool next_event(struct reader *reader, yaml_event_t *event)
{
    struct np_node place = {0};

    if (reader->broken)
        return false;
    if (yaml_parser_parse(&reader->parser, event))
        return true;
    reader->broken = true;
    if (reader->parser.error == YAML_MEMORY_ERROR) {
        reader->mistakes->out_of_memory = true;
        return false;
    }
    place.line = (int)reader->parser.problem_mark.line + 1;
    place.column = (int)reader->parser.problem_mark.column + 1;
    np_mistake_add(reader->mistakes, &place, "not YAML: %s%s%s",
                   reader->parser.problem ? reader->parser.problem : "unreadable",
                   reader->parser.context ? ", " : "", reader->parser.context ? reader->parser.context : "");
    return false;
}

static void refuse_extras(struct reader *reader, const struct np_node *node, const yaml_char_t *anchor,
                          const yaml_char_t *tag)
{
    if (anchor)
        np_mistake_add(reader->mistakes, node, "anchors (&%s) are not supported; write the value out",
                       (const char *)anchor);
    if (tag)
        np_mistake_add(reader->mistakes, node, "tags (%s) are not supported; leave it out",
                       (const char *)tag);
}

static struct np_node *read_node(struct reader *reader, yaml_event_t *event, int depth);

/* Adds to a map or list; takes both nodes, also on failure. */
static void append(struct reader *reader, struct np_node *node, struct np_node *key, struct np_node *item)
{
    struct np_node **items = realloc(node->items, (node->n + 1) * sizeof *items);
    struct np_node **keys = NULL;

    if (items)
        node->items = items;
    if (key) {
        keys = realloc(node->keys, (node->n + 1) * sizeof *keys);
        if (keys)
            node->keys = keys;
    }
    if (!items || (key && !keys)) {
        out_of_memory(reader);
        np_node_free(key);
        np_node_free(item);
        return;
    }
    items[node->n] = item;
    if (key)
        keys[node->n] = key;
    node->n++;
}

static struct np_node *read_scalar(struct reader *reader, const yaml_event_t *event)
{
    struct np_node *node = node_new(reader, NP_NODE_SCALAR, event->start_mark);

    if (!node)
        return NULL;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = strndup((const char *)event->data.scalar.value, event->data.scalar.length);
    if (!node->text) {
        out_of_memory(reader);
        np_node_free(node);
        return NULL;
    }
    if (strlen(node->text) != event->data.scalar.length)
        np_mistake_add(reader->mistakes, node, "a zero byte in a value; leave it out");
    refuse_extras(reader, node, event->data.scalar.anchor, event->data.scalar.tag);
    return node;
}

static void read_list(struct reader *reader, struct np_node *list, int depth)
{
    yaml_event_t event;

    while (next_event(reader, &event)) {
        struct np_node *item;

        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return;
        }
        item = read_node(reader, &event, depth + 1);
        if (item)
            append(reader, list, NULL, item);
    }
}

static void read_map(struct reader *reader, struct np_node *map, int depth)
{
    yaml_event_t event;

    while (next_event(reader, &event)) {
        struct np_node *key, *item;

        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return;
        }
        if (event.type == YAML_SCALAR_EVENT) { /* a key: no ${NAME} in it */
            key = read_scalar(reader, &event);
            yaml_event_delete(&event);
        } else {
            key = read_node(reader, &event, depth + 1);
        }
        if (!next_event(reader, &event)) {
            np_node_free(key);
            return;
        }
        item = read_node(reader, &event, depth + 1);
        if (!key || !item) {
            np_node_free(key);
            np_node_free(item);
            continue;
        }
        if (key->kind != NP_NODE_SCALAR) {
            np_mistake_add(reader->mistakes, key, "a key must be a name, not a map or list");
            np_node_free(key);
            np_node_free(item);
        } else if (np_node_get(map, key->text)) {
            np_mistake_add(reader->mistakes, key, "key \"%s\" stands here twice; allowed is once", key->text);
            np_node_free(key);
            np_node_free(item);
        } else {
            append(reader, map, key, item);
        }
    }
}

/* Turns the event and all that belongs to it into a node; takes the event. NULL: an alias, or broken. */
static struct np_node *read_node(struct reader *reader, yaml_event_t *event, int depth)
{
    struct np_node *node = NULL, place = {.line = (int)event->start_mark.line + 1,
                                          .column = (int)event->start_mark.column + 1};

    if (depth > DEPTH_LIMIT) {
        np_mistake_add(reader->mistakes, &place, "nested too deeply; allowed are %d levels", DEPTH_LIMIT);
        reader->broken = true;
    } else if (event->type == YAML_SCALAR_EVENT) {
        node = read_scalar(reader, event);
        if (node)
            expand(reader, node);
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        node = node_new(reader, NP_NODE_MAP, event->start_mark);
        if (node) {
            refuse_extras(reader, node, event->data.mapping_start.anchor, event->data.mapping_start.tag);
            read_map(reader, node, depth);
        }
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        node = node_new(reader, NP_NODE_LIST, event->start_mark);
        if (node) {
            refuse_extras(reader, node, event->data.sequence_start.anchor, event->data.sequence_start.tag);
            read_list(reader, node, depth);
        }
    } else if (event->type == YAML_ALIAS_EVENT) {
        np_mistake_add(reader->mistakes, &place, "aliases (*%s) are not supported; write the value out",
                       (const char *)event->data.alias.anchor);
    }
    yaml_event_delete(event);
    return node;
}

struct np_node *np_node_read_text(const char *text, size_t length, struct np_mistakes *mistakes)
{
    struct reader reader = {.mistakes = mistakes};
    struct np_node *root = NULL;
    yaml_event_t event;
    bool done = false;

    if (!yaml_parser_initialize(&reader.parser)) {
        mistakes->out_of_memory = true;
        return NULL;
    }
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
    while (!done && next_event(&reader, &event)) {
        struct np_node place = {.line = (int)event.start_mark.line + 1,
                                .column = (int)event.start_mark.column + 1};

        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            done = true;
            yaml_event_delete(&event);
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            yaml_event_delete(&event);
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (root) {
                np_mistake_add(mistakes, &place, "a second document; allowed is one in a file");
                done = true;
            }
            yaml_event_delete(&event);
            break;
        default:
            root = read_node(&reader, &event, 0);
        }
    }
    yaml_parser_delete(&reader.parser);
    if (reader.broken) {
        np_node_free(root);
        return NULL;
    }
    if (!root && !np_mistakes_any(mistakes))
        np_mistake_add(mistakes, NULL, "the file is empty");
    return root;
}

struct np_node *np_node_read_file(const char *path, struct np_mistakes *mistakes)
{
    struct np_error err;
    struct np_node *root;
    size_t length;
    char *text = np_file_read(path, NP_NODE_FILE_LIMIT, &length, &err);

    if (!text) {
        np_mistake_add(mistakes, NULL, "%s", err.text);
        return NULL;
    }
    root = np_node_read_text(text, length, mistakes);
    free(text);
    return root;
}
