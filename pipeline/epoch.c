#include "pipeline/epoch.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint32_t key_length, value_length;
    bool tombstone;
};

struct np_epoch *np_epoch_open(struct np_place place, unsigned life)
{
    struct np_epoch *epoch = calloc(1, sizeof *epoch);

    if (epoch) {
        epoch->place = place;
        epoch->life = life;
        epoch->cut = NP_OFFSET_NONE;
    }
    return epoch;
}

void np_epoch_close(struct np_epoch *epoch)
{
    if (!epoch)
        return;
    np_bytes_free(&epoch->items);
    np_bytes_free(&epoch->entries);
    np_bytes_free(&epoch->snapshot);
    free(epoch);
}

void np_epochs_close(struct np_epoch *list)
{
    while (list) {
        struct np_epoch *next = list->next;

        np_epoch_close(list);
        list = next;
    }
}

int np_epoch_item_begin(struct np_epoch *epoch, const struct np_item *item, const void *key,
                        const void *headers, size_t *start)
{
    struct np_bytes *items = &epoch->items;

    *start = items->n;
    if (np_bytes_append(items, item, sizeof *item) || np_bytes_append(items, key, item->key_length) ||
        np_bytes_append(items, headers, item->headers_length)) {
        items->n = *start;
        return -1;
    }
    return 0;
}

void np_epoch_item_end(struct np_epoch *epoch, size_t start)
{
    struct np_item item;

    memcpy(&item, epoch->items.data + start, sizeof item);
    item.value_length =
        (uint32_t)(epoch->items.n - start - sizeof item - item.key_length - item.headers_length);
    memcpy(epoch->items.data + start, &item, sizeof item);
    if (item.to == NP_TO_DEAD_LETTERS)
        epoch->n_dead++;
    else
        epoch->n_records++;
}

bool np_epoch_next(const struct np_epoch *epoch, size_t *at, struct np_item *item, struct np_outgoing *out)
{
    const unsigned char *data;

    if (*at >= epoch->items.n)
        return false;
    data = epoch->items.data + *at;
    memcpy(item, data, sizeof *item);
    data += sizeof *item;
    *out = (struct np_outgoing){
        .to = item->to,
        .partition = -1,
        .key = item->has_key ? data : NULL,
        .key_length = item->key_length,
        .headers = item->headers_length ? data + item->key_length : NULL,
        .headers_length = item->headers_length,
        .value = item->has_value ? data + item->key_length + item->headers_length : NULL,
        .value_length = item->value_length,
    };
    *at += sizeof *item + item->key_length + item->headers_length + item->value_length;
    return true;
}

int np_epoch_entry_add(struct np_epoch *epoch, const void *key, size_t key_length, const void *value,
                       size_t value_length)
{
    struct entry entry = {(uint32_t)key_length, (uint32_t)value_length, !value};
    struct np_bytes *entries = &epoch->entries;

    if (!np_bytes_reserve(entries, sizeof entry + key_length + value_length))
        return -1;
    np_bytes_append(entries, &entry, sizeof entry);
    np_bytes_append(entries, key, key_length);
    return np_bytes_append(entries, value, value_length);
}

bool np_epoch_entry_next(const struct np_epoch *epoch, size_t *at, const void **key, size_t *key_length,
                         const void **value, size_t *value_length)
{
    const unsigned char *data;
    struct entry entry;

    if (*at >= epoch->entries.n)
        return false;
    data = epoch->entries.data + *at;
    memcpy(&entry, data, sizeof entry);
    data += sizeof entry;
    *key = data;
    *key_length = entry.key_length;
    *value = entry.tombstone ? NULL : data + entry.key_length;
    *value_length = entry.value_length;
    *at += sizeof entry + entry.key_length + entry.value_length;
    return true;
}

size_t np_epoch_bytes(const struct np_epoch *epoch)
{
    return epoch->items.capacity + epoch->entries.capacity + epoch->snapshot.capacity;
}
