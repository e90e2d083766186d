/* A table from bytes to bytes; keys and values are copied. Not shared by threads. */
#ifndef NP_MAP_H
#define NP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct np_map_entry {
    uint64_t hash;
    size_t key_length, value_length;
    unsigned char *key, *value; /* one allocation, the key's; key NULL: never used */
    bool gone;                  /* removed */
};

struct np_map {
    size_t n, used, capacity; /* entries; slots ever used; slots */
    struct np_map_entry *slots;
};

/** Adds or replaces. @return 0, or -1 without memory (the map is as before) */
int np_map_put(struct np_map *map, const void *key, size_t key_length, const void *value,
               size_t value_length);
void np_map_remove(struct np_map *map, const void *key, size_t key_length);
/** @return borrowed until the next change, or NULL */
const struct np_map_entry *np_map_get(const struct np_map *map, const void *key, size_t key_length);
/** Walks all entries: *at starts with 0. @return NULL at the end */
const struct np_map_entry *np_map_next(const struct np_map *map, size_t *at);
void np_map_free(struct np_map *map);

#endif
