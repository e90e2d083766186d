#include "ingest/json_extract.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct json_want {
    struct np_path path;
    char *text; /* of the path, for messages */
    enum np_want_kind kind;
};

struct np_json_plan {
    size_t n;
    struct json_want *wants;
};

enum np_status np_json_plan_open(struct np_json_plan **out, const struct np_want *wants, size_t n_wants,
                                 struct np_error *err)
{
    struct np_json_plan *plan = calloc(1, sizeof *plan);
    enum np_status status = NP_OK;

    if (!plan)
        return np_fail(err, NP_ENOMEM, "JSON plan");
    plan->wants = calloc(n_wants + 1, sizeof *plan->wants);
    if (!plan->wants)
        status = np_fail(err, NP_ENOMEM, "JSON plan");
    for (size_t i = 0; status == NP_OK && i < n_wants; i++) {
        plan->n++;
        plan->wants[i].kind = wants[i].kind;
        plan->wants[i].text = strdup(wants[i].path);
        status = plan->wants[i].text ? np_path_parse(&plan->wants[i].path, wants[i].path, err)
                                     : np_fail(err, NP_ENOMEM, "JSON plan");
    }
    if (status == NP_OK)
        *out = plan;
    else
        np_json_plan_close(plan);
    return status;
}

void np_json_plan_close(struct np_json_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->n; i++) {
        np_path_free(&plan->wants[i].path);
        free(plan->wants[i].text);
    }
    free(plan->wants);
    free(plan);
}

void np_json_release(struct np_extract *extract)
{
    json_decref(extract->tree);
    extract->tree = NULL;
}

static enum np_status wrong(const struct json_want *want, const char *wanted, struct np_error *err)
{
    return np_fail(err, NP_EDATA, "JSON: field %s: wanted is %s", want->text, wanted);
}

static enum np_status no_memory(struct np_error *err)
{
    return np_fail(err, NP_ENOMEM, "decode: found values");
}

static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Appends the bytes. found->first: where they start in scratch; becomes a pointer when scratch no longer
 * moves. */
static enum np_status get_base64(const struct json_want *want, json_t *json, struct np_extract *extract,
                                 struct np_found *found, struct np_error *err)
{
    const char *text = json_string_value(json);
    size_t n = json_string_length(json);
    unsigned char *to = np_bytes_reserve(&extract->scratch, n / 4 * 3 + 3), *at = to;
    uint32_t bits = 0;
    int have = 0;

    if (!to)
        return no_memory(err);
    while (n > 0 && text[n - 1] == '=')
        n--;
    if (n % 4 == 1)
        return wrong(want, "base64", err);
    for (size_t i = 0; i < n; i++) {
        int digit = base64_digit((unsigned char)text[i]);

        if (digit < 0)
            return wrong(want, "base64", err);
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *at++ = (unsigned char)(bits >> have);
        }
    }
    found->type = NP_FOUND_BYTES;
    found->first = extract->scratch.n;
    found->n = (uint32_t)(at - to);
    extract->scratch.n += (size_t)(at - to);
    return NP_OK;
}

static enum np_status get_samples(const struct json_want *want, json_t *json, struct np_extract *extract,
                                  struct np_found *found, struct np_error *err)
{
    size_t n = json_array_size(json), i;
    float *to = NULL;
    json_t *item;

    found->type = NP_FOUND_SAMPLES;
    found->first = extract->blocks->samples_used;
    found->n = (uint32_t)n;
    if (n && !(to = np_blocks_samples(extract->blocks, n)))
        return no_memory(err);
    json_array_foreach(json, i, item)
    {
        if (!json_is_number(item) && !json_is_null(item))
            return wrong(want, "an array of numbers", err);
        to[i] = json_is_null(item) ? NAN : (float)json_number_value(item);
    }
    return NP_OK;
}

static enum np_status get_times(const struct json_want *want, json_t *json, struct np_extract *extract,
                                struct np_found *found, struct np_error *err)
{
    size_t n = json_array_size(json), i;
    int64_t *to = NULL;
    json_t *item;

    found->type = NP_FOUND_TIMES;
    found->first = extract->blocks->times_used;
    found->n = (uint32_t)n;
    if (n && !(to = np_blocks_times(extract->blocks, n)))
        return no_memory(err);
    json_array_foreach(json, i, item)
    {
        if (!json_is_integer(item))
            return wrong(want, "an array of whole numbers", err);
        to[i] = json_integer_value(item);
    }
    return NP_OK;
}

static enum np_status get_value(const struct json_want *want, json_t *json, struct np_extract *extract,
                                struct np_found *found, struct np_error *err)
{
    bool any = want->kind == NP_WANT_SCALAR || want->kind == NP_WANT_TIMES;

    if (!json || json_is_null(json))
        return NP_OK;
    if (json_is_array(json) && want->kind == NP_WANT_SAMPLES)
        return get_samples(want, json, extract, found, err);
    if (json_is_array(json) && want->kind == NP_WANT_TIMES)
        return get_times(want, json, extract, found, err);
    if (json_is_string(json) && want->kind == NP_WANT_BYTES)
        return get_base64(want, json, extract, found, err);
    if (json_is_string(json) && (any || want->kind == NP_WANT_TEXT)) {
        found->type = NP_FOUND_TEXT;
        found->text = json_string_value(json);
        found->n = (uint32_t)json_string_length(json);
        return NP_OK;
    }
    if (json_is_boolean(json) && any) {
        found->type = NP_FOUND_BOOLEAN;
        found->integer = json_is_true(json);
        return NP_OK;
    }
    if (json_is_number(json) && (want->kind == NP_WANT_NUMBER || want->kind == NP_WANT_SAMPLES)) {
        found->type = NP_FOUND_NUMBER;
        found->number = json_number_value(json);
        return NP_OK;
    }
    if (json_is_integer(json) && (any || want->kind == NP_WANT_INTEGER || want->kind == NP_WANT_TEXT)) {
        found->type = NP_FOUND_INTEGER;
        found->integer = json_integer_value(json);
        return NP_OK;
    }
    if (json_is_real(json) && any) {
        found->type = NP_FOUND_NUMBER;
        found->number = json_real_value(json);
        return NP_OK;
    }
    static const char *const wanted[] = {
        [NP_WANT_NUMBER] = "a number",
        [NP_WANT_INTEGER] = "a whole number",
        [NP_WANT_TEXT] = "text",
        [NP_WANT_SCALAR] = "a single value",
        [NP_WANT_SAMPLES] = "a number or an array of numbers",
        [NP_WANT_TIMES] = "a time or an array of whole numbers",
        [NP_WANT_BYTES] = "base64",
    };
    return wrong(want, wanted[want->kind], err);
}

/* From part on; the value at its end goes into the list's last entry. */
static enum np_status follow(const struct json_want *want, json_t *json, size_t part,
                             struct np_extract *extract, struct np_found_list *list, struct np_error *err)
{
    for (; part < want->path.n; part++) {
        const char *name = want->path.parts[part];
        enum np_status status = NP_OK;
        json_t *item;
        size_t i;

        if (!json || json_is_null(json))
            return NP_OK;
        if (strcmp(name, "[]") != 0) {
            if (!json_is_object(json))
                return wrong(want, "an object on the way there", err);
            json = json_object_get(json, name);
            continue;
        }
        if (!json_is_array(json))
            return wrong(want, "an array on the way there", err);
        list->n = 0;
        json_array_foreach(json, i, item)
        {
            if (!np_found_add(list))
                return no_memory(err);
            status = follow(want, item, part + 1, extract, list, err);
            if (status != NP_OK)
                return status;
        }
        return NP_OK;
    }
    return get_value(want, json, extract, &list->items[list->n - 1], err);
}

enum np_status np_json_plan_run(const struct np_json_plan *plan, const void *data, size_t length,
                                struct np_extract *extract, struct np_error *err)
{
    enum np_status status = NP_OK;
    json_error_t at;

    np_json_release(extract);
    extract->scratch.n = 0;
    extract->tree = json_loadb(length ? data : "", length, JSON_REJECT_DUPLICATES, &at);
    if (!extract->tree)
        return np_fail(err, NP_EDATA, "JSON: line %d, column %d: %s", at.line, at.column, at.text);
    if (!json_is_object((json_t *)extract->tree))
        return np_fail(err, NP_EDATA, "JSON: a message must be an object");
    for (size_t i = 0; status == NP_OK && i < plan->n; i++) {
        struct np_found_list *list = &extract->lists[i];

        list->n = 1;
        list->items[0] = (struct np_found){.type = NP_FOUND_NOTHING};
        status = follow(&plan->wants[i], extract->tree, 0, extract, list, err);
    }
    for (size_t i = 0; status == NP_OK && i < plan->n; i++)
        for (size_t k = 0; k < extract->lists[i].n; k++) {
            struct np_found *found = &extract->lists[i].items[k];

            if (found->type == NP_FOUND_BYTES)
                found->text = (const char *)extract->scratch.data + found->first;
        }
    return status;
}
