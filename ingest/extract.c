#include "ingest/extract.h"

#include <stdlib.h>
#include <string.h>

enum np_status np_extract_open(struct np_extract *extract, size_t n_wants, struct np_error *err)
{
    *extract = (struct np_extract){.n_wants = n_wants};
    extract->lists = calloc(n_wants ? n_wants : 1, sizeof *extract->lists);
    if (!extract->lists)
        return np_fail(err, NP_ENOMEM, "decode: list of found values");
    for (size_t i = 0; i < n_wants; i++)
        if (!np_found_add(&extract->lists[i])) {
            np_extract_close(extract);
            return np_fail(err, NP_ENOMEM, "decode: list of found values");
        }
    return NP_OK;
}

void np_extract_close(struct np_extract *extract)
{
    if (!extract)
        return;
    if (extract->lists)
        for (size_t i = 0; i < extract->n_wants; i++)
            free(extract->lists[i].items);
    free(extract->lists);
    np_bytes_free(&extract->scratch);
    *extract = (struct np_extract){0};
}

struct np_found *np_found_add(struct np_found_list *list)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 1;
        struct np_found *items = realloc(list->items, capacity * sizeof *items);

        if (!items)
            return NULL;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n] = (struct np_found){.type = NP_FOUND_NOTHING};
    return &list->items[list->n++];
}

static bool path_add(struct np_path *path, const char *text, size_t length)
{
    char **parts = realloc(path->parts, (path->n + 1) * sizeof *parts);

    if (!parts)
        return false;
    path->parts = parts;
    parts[path->n] = strndup(text, length);
    return parts[path->n] && ++path->n;
}

enum np_status np_path_parse(struct np_path *out, const char *text, struct np_error *err)
{
    const char *at = text;
    enum np_status status = NP_OK;

    *out = (struct np_path){0};
    for (;;) {
        size_t length = strcspn(at, ".[");

        if (length == 0) {
            status = np_fail(err, NP_ECONFIG,
                             "path \"%s\": a field name is missing; a path is like head.meter or "
                             "readings[].value",
                             text);
            break;
        }
        if (!path_add(out, at, length))
            goto no_memory;
        at += length;
        if (*at == '[') {
            if (strncmp(at, "[]", 2) != 0 || (at[2] != '.' && at[2] != '\0') || out->repeated) {
                status = np_fail(err, NP_ECONFIG,
                                 "path \"%s\": only one [] is allowed, after an array's name, as in "
                                 "readings[].value",
                                 text);
                break;
            }
            if (!path_add(out, "[]", 2))
                goto no_memory;
            out->repeated = true;
            at += 2;
        }
        if (*at == '\0')
            return NP_OK;
        at++;
    }
    np_path_free(out);
    return status;
no_memory:
    np_path_free(out);
    return np_fail(err, NP_ENOMEM, "path \"%s\"", text);
}

void np_path_free(struct np_path *path)
{
    for (size_t i = 0; i < path->n; i++)
        free(path->parts[i]);
    free(path->parts);
    *path = (struct np_path){0};
}
