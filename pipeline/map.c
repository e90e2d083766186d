#include "pipeline/map.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/hash.h"

/* The slot of the key, or the free one where it would go (the table always has a free slot). */
static struct np_map_entry *find(const struct np_map *map, uint64_t hash, const void *key, size_t key_length)
{
    size_t mask = map->capacity - 1;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct np_map_entry *entry = &map->slots[i];

        if (!entry->key)
            return entry;
        if (entry->hash == hash && !entry->gone && entry->key_length == key_length &&
            memcmp(entry->key, key, key_length) == 0)
            return entry;
    }
}

static int grow(struct np_map *map)
{
    struct np_map larger = {.capacity = 64};

    while (larger.capacity < map->n * 3)
        larger.capacity *= 2;
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return -1;
    for (size_t i = 0; i < map->capacity; i++) {
        struct np_map_entry *entry = &map->slots[i];

        if (entry->key && !entry->gone)
            *find(&larger, entry->hash, entry->key, entry->key_length) = *entry;
        else
            free(entry->key);
    }
    larger.n = larger.used = map->n;
    free(map->slots);
    *map = larger;
    return 0;
}

int np_map_put(struct np_map *map, const void *key, size_t key_length, const void *value, size_t value_length)
{
    uint64_t hash = np_hash(key, key_length, 0);
    struct np_map_entry *entry;
    unsigned char *copy;

    if ((map->used + 1) * 3 > map->capacity * 2 && grow(map))
        return -1;
    copy = malloc(key_length + value_length + 1);
    if (!copy)
        return -1;
    memcpy(copy, key, key_length);
    if (value_length)
        memcpy(copy + key_length, value, value_length);
    entry = find(map, hash, key, key_length);
    if (!entry->key) {
        map->n++;
        map->used++;
    }
    free(entry->key);
    *entry = (struct np_map_entry){.hash = hash,
                                   .key_length = key_length,
                                   .value_length = value_length,
                                   .key = copy,
                                   .value = copy + key_length};
    return 0;
}

void np_map_remove(struct np_map *map, const void *key, size_t key_length)
{
    struct np_map_entry *entry;

    if (!map->n)
        return;
    entry = find(map, np_hash(key, key_length, 0), key, key_length);
    if (!entry->key)
        return;
    entry->gone = true;
    map->n--;
}

const struct np_map_entry *np_map_get(const struct np_map *map, const void *key, size_t key_length)
{
    const struct np_map_entry *entry;

    if (!map->n)
        return NULL;
    entry = find(map, np_hash(key, key_length, 0), key, key_length);
    return entry->key ? entry : NULL;
}

const struct np_map_entry *np_map_next(const struct np_map *map, size_t *at)
{
    while (*at < map->capacity) {
        const struct np_map_entry *entry = &map->slots[(*at)++];

        if (entry->key && !entry->gone)
            return entry;
    }
    return NULL;
}

void np_map_free(struct np_map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        free(map->slots[i].key);
    free(map->slots);
    *map = (struct np_map){0};
}
