#include "pipeline/option.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/quantity.h"

enum { MOST_BANDS = 64, LONGEST_BAND_NAME = 32 };

static void *field(const struct np_option *row, void *out)
{
    return (char *)out + row->offset;
}

static bool within(const struct np_option *row, double value)
{
    if (row->min == 0 && row->max == 0)
        return true;
    return value >= row->min && value <= row->max;
}

static void bands_free(struct np_bands *bands)
{
    for (size_t i = 0; i < bands->n; i++)
        free(bands->items[i].name);
    free(bands->items);
    *bands = (struct np_bands){0};
}

static void texts_free(struct np_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        free(texts->items[i]);
    free(texts->items);
    *texts = (struct np_texts){0};
}

static enum np_status texts_add(struct np_texts *texts, const char *text, struct np_error *err)
{
    char **items = realloc(texts->items, (texts->n + 1) * sizeof *items);

    if (!items)
        return np_fail(err, NP_ENOMEM, "out of memory");
    texts->items = items;
    items[texts->n] = strdup(text);
    if (!items[texts->n])
        return np_fail(err, NP_ENOMEM, "out of memory");
    texts->n++;
    return NP_OK;
}

static bool is_band_name(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > LONGEST_BAND_NAME || !islower((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && name[i] != '_')
            return false;
    return true;
}

/* Fills bands from a map; mistakes stand at the band. */
static void bands_read(const struct np_option *row, const struct np_node *map, struct np_bands *bands,
                       struct np_mistakes *mistakes)
{
    size_t most = row->max > 0 ? (size_t)row->max : MOST_BANDS;

    if (map->kind != NP_NODE_MAP) {
        np_mistake_add(mistakes, map, "%s must be a map of bands, such as { low: 0..45, mains: 45..55 }",
                       row->name);
        return;
    }
    if (map->n > most)
        np_mistake_add(mistakes, map, "%s has %zu bands; allowed are at most %zu", row->name, map->n, most);
    bands->items = calloc(map->n + 1, sizeof *bands->items);
    if (!bands->items) {
        mistakes->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct np_node *key = map->keys[i], *item = map->items[i];
        struct np_band *band = &bands->items[bands->n];
        bool range = item->kind == NP_NODE_SCALAR && np_range_parse(item->text, &band->from_hz, &band->to_hz);

        if (!is_band_name(key->text)) {
            np_mistake_add(
                mistakes, key,
                "band name \"%s\"; allowed: a lower-case letter, then lower-case letters, digits and _, "
                "at most %d in all",
                key->text, LONGEST_BAND_NAME);
            continue;
        }
        if (!range) {
            np_mistake_add(mistakes, item,
                           "band %s%s%s%s; allowed: two frequencies, such as 45..55 or 1kHz..2kHz", key->text,
                           item->kind == NP_NODE_SCALAR ? " is \"" : "",
                           item->kind == NP_NODE_SCALAR ? np_node_shown(item) : "",
                           item->kind == NP_NODE_SCALAR ? "\"" : "");
            continue;
        }
        if (band->from_hz < 0 || !(band->from_hz < band->to_hz)) {
            np_mistake_add(mistakes, item,
                           "band %s is \"%s\"; allowed: from 0 up, and the end above the start", key->text,
                           np_node_shown(item));
            continue;
        }
        band->name = strdup(key->text);
        if (!band->name) {
            mistakes->out_of_memory = true;
            return;
        }
        bands->n++;
    }
}

/* The bands of a text such as a default: { low: 0..45 }. */
static enum np_status bands_value(const struct np_option *row, const char *text, struct np_bands *bands,
                                  struct np_error *err)
{
    struct np_mistakes mistakes = {0};
    struct np_bands read = {0};
    struct np_node *map = np_node_read_text(text, strlen(text), &mistakes);
    enum np_status status = NP_OK;

    if (map)
        bands_read(row, map, &read, &mistakes);
    if (mistakes.out_of_memory) {
        status = np_fail(err, NP_ENOMEM, "out of memory");
    } else if (mistakes.n > 0) {
        status = np_fail(err, NP_ECONFIG, "%s", mistakes.items[0].text);
    } else {
        bands_free(bands);
        *bands = read;
        read = (struct np_bands){0};
    }
    bands_free(&read);
    np_node_free(map);
    np_mistakes_free(&mistakes);
    return status;
}

static size_t count_names(const char *const *names)
{
    size_t n = 0;

    while (names[n])
        n++;
    return n;
}

/* NP_ECONFIG without a text: the value is not one that the row allows. */
static enum np_status parse_value(const struct np_option *row, const char *text, void *out,
                                  struct np_error *err)
{
    void *to = field(row, out);
    double number = 0;
    int64_t whole = 0;
    char *copy;

    switch (row->type) {
    case NP_OPT_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return NP_ECONFIG;
        *(bool *)to = text[0] == 't';
        return NP_OK;
    case NP_OPT_COUNT:
    case NP_OPT_DURATION:
    case NP_OPT_SIZE:
        if (!(row->type == NP_OPT_COUNT  ? np_count_parse
              : row->type == NP_OPT_SIZE ? np_size_parse
                                         : np_duration_parse)(text, &whole) ||
            !within(row, (double)whole))
            return NP_ECONFIG;
        *(int64_t *)to = whole;
        return NP_OK;
    case NP_OPT_NUMBER:
    case NP_OPT_FREQUENCY:
    case NP_OPT_RATE:
        if (!(row->type == NP_OPT_NUMBER ? np_number_parse
              : row->type == NP_OPT_RATE ? np_rate_parse
                                         : np_frequency_parse)(text, &number) ||
            !within(row, number))
            return NP_ECONFIG;
        *(double *)to = number;
        return NP_OK;
    case NP_OPT_TEXT:
        copy = strdup(text);
        if (!copy)
            return np_fail(err, NP_ENOMEM, "out of memory");
        free(*(char **)to);
        *(char **)to = copy;
        return NP_OK;
    case NP_OPT_TEXTS:
        return texts_add(to, text, err);
    case NP_OPT_CHOICE:
        for (int i = 0; row->choices[i]; i++) {
            if (strcmp(row->choices[i], text) == 0) {
                *(int *)to = i;
                return NP_OK;
            }
        }
        return NP_ECONFIG;
    case NP_OPT_BANDS:
        return bands_value(row, text, to, err);
    }
    return NP_ECONFIG;
}

/* As np_option_value(); shown is what an error may show of the text. */
static enum np_status option_value(const struct np_option *row, const char *text, const char *shown,
                                   void *out, struct np_error *err)
{
    struct np_error inner = {0};
    enum np_status status = parse_value(row, text, out, &inner);
    const char *nearest = NULL;
    char allowed[600];

    if (status == NP_OK)
        return NP_OK;
    if (inner.text[0])
        return np_fail(err, status, "%s", inner.text);
    np_option_allowed(row, allowed, sizeof allowed);
    if (row->secret)
        return np_fail(err, status, "%s does not hold what is allowed: %s", row->name, allowed);
    if (row->type == NP_OPT_CHOICE)
        nearest = np_nearest(text, row->choices, count_names(row->choices));
    if (nearest)
        return np_fail(err, status, "%s is \"%.200s\" (did you mean \"%s\"?); allowed: %s", row->name, shown,
                       nearest, allowed);
    return np_fail(err, status, "%s is \"%.200s\"; allowed: %s", row->name, shown, allowed);
}

enum np_status np_option_value(const struct np_option *row, const char *text, void *out, struct np_error *err)
{
    return option_value(row, text, text, out, err);
}

static void set_default(const struct np_option *row, void *out, struct np_mistakes *mistakes)
{
    struct np_error err;

    if (row->type == NP_OPT_NUMBER)
        *(double *)field(row, out) = NAN;
    if (!row->default_text || !row->default_text[0])
        return;
    if (np_option_value(row, row->default_text, out, &err) != NP_OK) /* caught by the test over all rows */
        np_mistake_add(mistakes, NULL, "the default of %s: %s", row->name, err.text);
}

static void read_value(const struct np_option *row, const struct np_node *node, void *out,
                       struct np_mistakes *mistakes)
{
    struct np_error err;
    char allowed[600];

    if (row->type == NP_OPT_BANDS) {
        bands_free(field(row, out));
        bands_read(row, node, field(row, out), mistakes);
        return;
    }
    np_option_allowed(row, allowed, sizeof allowed);
    if (row->type == NP_OPT_TEXTS && node->kind == NP_NODE_LIST) {
        texts_free(field(row, out));
        for (size_t i = 0; i < node->n; i++) {
            if (node->items[i]->kind != NP_NODE_SCALAR)
                np_mistake_add(mistakes, node->items[i], "%s holds a map or list; allowed: %s", row->name,
                               allowed);
            else if (texts_add(field(row, out), node->items[i]->text, &err) != NP_OK)
                mistakes->out_of_memory = true;
        }
        return;
    }
    if (node->kind != NP_NODE_SCALAR) {
        np_mistake_add(mistakes, node, "%s is a %s; allowed: %s", row->name,
                       node->kind == NP_NODE_MAP ? "map" : "list", allowed);
        return;
    }
    if (!node->text[0] && !node->quoted) {
        np_mistake_add(mistakes, node, "%s has no value; allowed: %s", row->name, allowed);
        return;
    }
    if (option_value(row, node->text, np_node_shown(node), out, &err) != NP_OK)
        np_mistake_add(mistakes, node, "%s", err.text);
}

static bool is_listed(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

void np_unknown_keys(const struct np_node *map, const char *const *known, struct np_mistakes *mistakes)
{
    size_t n = count_names(known);

    for (size_t i = 0; i < map->n; i++) {
        const struct np_node *key = map->keys[i];
        const char *nearest;
        char list[800] = "";

        if (is_listed(known, key->text))
            continue;
        nearest = np_nearest(key->text, known, n);
        for (size_t j = 0; j < n; j++)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", j ? ", " : "", known[j]);
        if (nearest)
            np_mistake_add(mistakes, key, "unknown key \"%s\" (did you mean \"%s\"?); allowed: %s", key->text,
                           nearest, list);
        else
            np_mistake_add(mistakes, key, "unknown key \"%s\"; allowed: %s", key->text, list);
    }
}

static void find_unknown(const struct np_option *rows, const struct np_node *map, const char *const *skip,
                         struct np_mistakes *mistakes)
{
    size_t n_rows = 0, n = 0;
    const char **known;

    while (rows[n_rows].name)
        n_rows++;
    known = calloc(n_rows + (skip ? count_names(skip) : 0) + 1, sizeof *known);
    if (!known) {
        mistakes->out_of_memory = true;
        return;
    }
    for (; skip && skip[n]; n++)
        known[n] = skip[n];
    for (size_t i = 0; i < n_rows; i++)
        known[n++] = rows[i].name;
    np_unknown_keys(map, known, mistakes);
    free(known);
}

void np_options_read(const struct np_option *rows, const struct np_node *map, const char *const *skip,
                     void *out, struct np_mistakes *mistakes)
{
    for (; rows->name; rows++) {
        const struct np_node *node = np_node_get(map, rows->name);

        if (is_listed(skip, rows->name))
            continue;
        set_default(rows, out, mistakes);
        if (node) {
            read_value(rows, node, out, mistakes);
        } else if (!rows->default_text && (!map || map->kind == NP_NODE_MAP)) {
            char allowed[600];

            np_option_allowed(rows, allowed, sizeof allowed);
            np_mistake_add(mistakes, map, "%s is missing: %s", rows->name, allowed);
        }
    }
}

void np_options_parse(const struct np_option *rows, const struct np_node *map, const char *const *skip,
                      void *out, struct np_mistakes *mistakes)
{
    if (map && map->kind != NP_NODE_MAP)
        np_mistake_add(mistakes, map, "here must stand a map of options, such as { %s: .. }",
                       rows[0].name      ? rows[0].name
                       : skip && skip[0] ? skip[0]
                                         : "");
    else if (map)
        find_unknown(rows, map, skip, mistakes);
    np_options_read(rows, map, skip, out, mistakes);
}

void np_options_free(const struct np_option *rows, void *out)
{
    for (; rows && out && rows->name; rows++) {
        if (rows->type == NP_OPT_TEXT) {
            free(*(char **)field(rows, out));
            *(char **)field(rows, out) = NULL;
        } else if (rows->type == NP_OPT_TEXTS) {
            texts_free(field(rows, out));
        } else if (rows->type == NP_OPT_BANDS) {
            bands_free(field(rows, out));
        }
    }
}
