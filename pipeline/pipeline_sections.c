#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline_parts.h"

const struct np_section *const np_sections[] = {
    &np_section_file,     &np_section_kafka,
    &np_section_registry, &np_section_input,
    &np_section_time,     &np_section_channel,
    &np_section_step,     &np_section_window,
    &np_section_outputs,  &np_section_topic,
    &np_section_postgres, &np_section_dead_letters,
    &np_section_run,      NULL,
};

void np_section_keys(const struct np_section *section, const char *names[NP_MOST_KEYS + 1])
{
    size_t n = 0;

    for (const struct np_key *key = section->keys; key && key->name && n < NP_MOST_KEYS; key++)
        if (key->help)
            names[n++] = key->name;
    names[n] = NULL;
}

static bool is_refused(const struct np_section *section, const char *name)
{
    for (const struct np_key *key = section->keys; key && key->name; key++)
        if (!key->help && strcmp(key->name, name) == 0)
            return true;
    return false;
}

/* The map without the keys that are refused with a word of their own. @return false without memory */
static bool leave_out_refused(const struct np_section *section, const struct np_node *map,
                              struct np_node *copy)
{
    *copy = *map;
    if (map->kind != NP_NODE_MAP)
        return true;
    copy->n = 0;
    copy->keys = calloc(map->n + 1, sizeof *copy->keys);
    copy->items = calloc(map->n + 1, sizeof *copy->items);
    if (!copy->keys || !copy->items)
        return false;
    for (size_t i = 0; i < map->n; i++) {
        if (is_refused(section, map->keys[i]->text))
            continue;
        copy->keys[copy->n] = map->keys[i];
        copy->items[copy->n++] = map->items[i];
    }
    return true;
}

void np_section_parse(const struct np_section *section, const struct np_node *map, void *out,
                      struct np_mistakes *mistakes)
{
    const char *keys[NP_MOST_KEYS + 1];
    struct np_node copy;

    np_section_keys(section, keys);
    if (!map || map->kind != NP_NODE_MAP) {
        np_options_parse(section->rows, map, keys, out, mistakes);
        return;
    }
    if (leave_out_refused(section, map, &copy))
        np_options_parse(section->rows, &copy, keys, out, mistakes);
    else
        mistakes->out_of_memory = true;
    free(copy.keys);
    free(copy.items);
    for (const struct np_key *key = section->keys; key && key->name; key++)
        if (key->required && !np_node_get(map, key->name))
            np_mistake_add(mistakes, map, "%s is missing: %s", key->name, key->allowed);
}
