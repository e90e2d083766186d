#include "sinks/pg_names.h"

#include <stdlib.h>
#include <string.h>

#include "sinks/sql.h"

struct entry {
    char *name;
    uint64_t hash;
    int32_t id;
};

struct np_pg_names {
    const char *schema, *table;
    size_t n, capacity;
    struct entry *entries;
    size_t n_slots;    /* power of two, at least twice n */
    uint32_t *slots;   /* entry + 1; 0: free */
    size_t first_open; /* entries below have their id */
};

static uint64_t hash_of(const char *name)
{
    uint64_t h = UINT64_C(1469598103934665603);

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return h ^ h >> 29;
}

struct np_pg_names *np_pg_names_open(const char *schema, const char *table)
{
    struct np_pg_names *names = calloc(1, sizeof *names);

    if (!names)
        return NULL;
    names->schema = schema;
    names->table = table;
    names->n_slots = 1024;
    names->slots = calloc(names->n_slots, sizeof *names->slots);
    if (!names->slots) {
        free(names);
        return NULL;
    }
    return names;
}

void np_pg_names_clear(struct np_pg_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->entries[i].name);
    names->n = names->first_open = 0;
    memset(names->slots, 0, names->n_slots * sizeof *names->slots);
}

void np_pg_names_close(struct np_pg_names *names)
{
    if (!names)
        return;
    np_pg_names_clear(names);
    free(names->entries);
    free(names->slots);
    free(names);
}

static size_t slot_of(const struct np_pg_names *names, const char *name, uint64_t hash)
{
    size_t slot = hash & (names->n_slots - 1);

    while (names->slots[slot]) {
        const struct entry *entry = &names->entries[names->slots[slot] - 1];

        if (entry->hash == hash && strcmp(entry->name, name) == 0)
            break;
        slot = (slot + 1) & (names->n_slots - 1);
    }
    return slot;
}

static int grow(struct np_pg_names *names)
{
    if (names->n == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 256;
        struct entry *entries = realloc(names->entries, capacity * sizeof *entries);

        if (!entries)
            return -1;
        names->entries = entries;
        names->capacity = capacity;
    }
    if (2 * (names->n + 1) > names->n_slots) {
        uint32_t *slots = calloc(2 * names->n_slots, sizeof *slots);

        if (!slots)
            return -1;
        free(names->slots);
        names->slots = slots;
        names->n_slots *= 2;
        for (size_t i = 0; i < names->n; i++)
            slots[slot_of(names, names->entries[i].name, names->entries[i].hash)] = (uint32_t)i + 1;
    }
    return 0;
}

int64_t np_pg_names_find(struct np_pg_names *names, const char *name)
{
    uint64_t hash = hash_of(name);
    size_t slot = slot_of(names, name, hash);
    struct entry *entry;

    if (names->slots[slot])
        return names->slots[slot] - 1;
    if (grow(names))
        return -1;
    slot = slot_of(names, name, hash);
    entry = &names->entries[names->n];
    *entry = (struct entry){.name = strdup(name), .hash = hash};
    if (!entry->name)
        return -1;
    names->slots[slot] = (uint32_t)++names->n;
    return (int64_t)names->n - 1;
}

int32_t np_pg_names_id(const struct np_pg_names *names, int64_t entry)
{
    return names->entries[entry].id;
}

/* The open entries as an array literal. */
static int array_of(const struct np_pg_names *names, struct np_bytes *out)
{
    const char *before = "{";

    for (size_t i = names->first_open; i < names->n; i++) {
        if (names->entries[i].id)
            continue;
        if (np_sql(out, "%s\"", before))
            return -1;
        for (const char *c = names->entries[i].name; *c; c++)
            if (((*c == '"' || *c == '\\') && np_bytes_append(out, "\\", 1)) || np_bytes_append(out, c, 1))
                return -1;
        if (np_sql(out, "\""))
            return -1;
        before = ",";
    }
    return np_sql(out, "}");
}

enum np_status np_pg_names_resolve(struct np_pg *pg, struct np_pg_names *names, struct np_error *err)
{
    struct np_bytes sql = {0}, array = {0};
    enum np_status status = NP_OK;
    const char *s = names->schema, *t = names->table;

    /* A name that another loader adds just now is neither ours to add nor visible yet: asked again. Sorted,
     * so that two loaders with the same new names do not wait for each other in a circle. */
    for (int round = 0; round < 10 && names->first_open < names->n && status == NP_OK; round++) {
        struct np_pg_rows *rows = NULL;
        const char *param;

        sql.n = array.n = 0;
        if (array_of(names, &array) || np_sql(&sql,
                                              "WITH given AS (SELECT DISTINCT unnest($1::text[]) AS name), "
                                              "made AS (INSERT INTO %I.%I (name) SELECT name FROM given g "
                                              "WHERE NOT EXISTS (SELECT 1 FROM %I.%I x WHERE x.name = "
                                              "g.name) ORDER BY name ON CONFLICT DO NOTHING RETURNING id, "
                                              "name) SELECT id, name FROM made UNION ALL SELECT x.id, x.name "
                                              "FROM %I.%I x JOIN given g ON g.name = x.name",
                                              s, t, s, t, s, t)) {
            status = np_fail(err, NP_ENOMEM, "PostgreSQL: names");
            break;
        }
        param = np_sql_text(&array);
        status = np_pg_query(pg, np_sql_text(&sql), 1, &param, &rows, err);
        for (size_t i = 0; status == NP_OK && i < np_pg_rows_n(rows); i++) {
            size_t slot = slot_of(names, np_pg_cell(rows, i, 1), hash_of(np_pg_cell(rows, i, 1)));

            if (names->slots[slot])
                names->entries[names->slots[slot] - 1].id = (int32_t)strtol(np_pg_cell(rows, i, 0), NULL, 10);
        }
        np_pg_rows_close(rows);
        while (names->first_open < names->n && names->entries[names->first_open].id)
            names->first_open++;
    }
    if (status == NP_OK && names->first_open < names->n)
        status = np_fail(err, NP_ERETRY, "PostgreSQL: table %s.%s: no id for \"%s\"", s, t,
                         names->entries[names->first_open].name);
    np_bytes_free(&sql);
    np_bytes_free(&array);
    return status;
}
