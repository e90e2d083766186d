#include "ingest/schema_registry.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pipeline/record.h"

#define CONNECT_TIMEOUT_MS 2000L
#define ANSWER_TIMEOUT_MS  5000L
#define ANSWER_MAX_BYTES   (8u << 20)
#define MISSING_NS         5000000000 /* an id that the registry does not know */
#define DOWN_NS            1000000000 /* a registry that did not answer */

/* What is known about an id. */
struct entry {
    int32_t id;
    enum np_status status;
    int64_t until_ns; /* status not NP_OK: when to ask again; monotonic; INT64_MAX: never */
    struct np_avro_schema *schema;
    char *why;
};

struct np_schema_registry {
    char *url, *login;
    struct curl_slist *headers;
    CURL *curl;
    bool locked;           /* the mutex exists */
    pthread_mutex_t mutex; /* all below */
    struct np_bytes answer;
    size_t n;
    struct entry *entries; /* sorted by id */
    int64_t down_until_ns;
    char down[512]; /* why it is down */
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static size_t take_answer(char *data, size_t size, size_t n, void *context)
{
    struct np_bytes *answer = context;

    if (answer->n + size * n > ANSWER_MAX_BYTES || np_bytes_append(answer, data, size * n) != 0)
        return 0;
    return size * n;
}

enum np_status np_schema_registry_open(struct np_schema_registry **out, const char *url, const char *user,
                                       const char *password, struct np_error *err)
{
    struct np_schema_registry *registry;
    struct curl_slist *more;
    const char *host;
    enum np_status status;

    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return np_fail(err, NP_ECONFIG,
                       "registry: url is \"%s\"; allowed is http://HOST:PORT or https://HOST:PORT, with a "
                       "path if there is one",
                       url);
    host = strstr(url, "://") + 3;
    if (memchr(host, '@', strcspn(host, "/"))) /* it would be printed with each error */
        return np_fail(err, NP_ECONFIG,
                       "registry: the url holds a name or password, which is not allowed there");
    registry = calloc(1, sizeof *registry);
    if (!registry)
        return np_fail(err, NP_ENOMEM, "registry");
    status = np_fail(err, NP_ENOMEM, "registry");
    if (pthread_mutex_init(&registry->mutex, NULL) != 0)
        goto fail;
    registry->locked = true;
    registry->url = strdup(url);
    if (!registry->url)
        goto fail;
    for (size_t n = strlen(registry->url); n > 0 && registry->url[n - 1] == '/'; n--)
        registry->url[n - 1] = '\0';
    if (user && asprintf(&registry->login, "%s:%s", user, password ? password : "") < 0) {
        registry->login = NULL;
        goto fail;
    }
    registry->curl = curl_easy_init();
    registry->headers = curl_slist_append(NULL, "Content-Type: application/vnd.schemaregistry.v1+json");
    if (!registry->curl || !registry->headers)
        goto fail;
    more = curl_slist_append(registry->headers,
                             "Accept: application/vnd.schemaregistry.v1+json, application/json");
    if (!more)
        goto fail;
    *out = registry;
    return NP_OK;
fail:
    np_schema_registry_close(registry);
    return status;
}

void np_schema_registry_close(struct np_schema_registry *registry)
{
    if (!registry)
        return;
    curl_easy_cleanup(registry->curl);
    curl_slist_free_all(registry->headers);
    for (size_t i = 0; i < registry->n; i++) {
        np_avro_schema_close(registry->entries[i].schema);
        free(registry->entries[i].why);
    }
    free(registry->entries);
    np_bytes_free(&registry->answer);
    if (registry->login)
        explicit_bzero(registry->login, strlen(registry->login));
    free(registry->login);
    free(registry->url);
    if (registry->locked)
        pthread_mutex_destroy(&registry->mutex);
    free(registry);
}

/* One question. @param body NULL: GET. @return NP_OK with the HTTP status in code, or NP_ERETRY, NP_ENOMEM */
static enum np_status ask(struct np_schema_registry *registry, const char *url, const struct np_bytes *body,
                          long *code, struct np_error *err)
{
    CURL *curl = registry->curl;
    char text[CURL_ERROR_SIZE] = "";
    CURLcode rc;

    registry->answer.n = 0;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ANSWER_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, registry->headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &registry->answer);
    if (registry->login) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, registry->login);
    }
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->n);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)body->data);
    }
    rc = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (rc == CURLE_OUT_OF_MEMORY)
        return np_fail(err, NP_ENOMEM, "registry");
    if (rc != CURLE_OK)
        return np_fail(err, NP_ERETRY, "registry %s: %s", registry->url,
                       text[0] ? text : curl_easy_strerror(rc));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, code);
    return NP_OK;
}

/* The registry's own words, in one line: its "message", or the HTTP status alone. */
static void answer_text(const struct np_schema_registry *registry, char *out, size_t size)
{
    json_t *json = json_loadb((const char *)registry->answer.data, registry->answer.n, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    size_t n = 0;

    if (!message)
        message = json_string_value(json_object_get(json, "detail"));
    for (; message && *message && n + 1 < size; message++)
        out[n++] = (unsigned char)*message < ' ' ? ' ' : *message;
    out[n] = '\0';
    json_decref(json);
}

static enum np_status refused(const struct np_schema_registry *registry, enum np_status status,
                              const char *what, long code, struct np_error *err)
{
    char text[400];

    answer_text(registry, text, sizeof text);
    return np_fail(err, status, "registry %s: %s: HTTP %ld%s%s%s", registry->url, what, code,
                   text[0] ? ": " : "", text,
                   code == 401 || code == 403 ? " (user and password of the registry section)" : "");
}

/* --- by id --- */

/* @return the entry, or where it belongs */
static struct entry *find(struct np_schema_registry *registry, int32_t id, bool *found)
{
    size_t from = 0, to = registry->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (registry->entries[middle].id < id)
            from = middle + 1;
        else
            to = middle;
    }
    *found = from < registry->n && registry->entries[from].id == id;
    return registry->entries + from;
}

static struct entry *add_entry(struct np_schema_registry *registry, int32_t id)
{
    struct entry *entries = realloc(registry->entries, (registry->n + 1) * sizeof *entries), *at;
    bool found;

    if (!entries)
        return NULL;
    registry->entries = entries;
    at = find(registry, id, &found);
    if (found)
        return at;
    memmove(at + 1, at, (size_t)(entries + registry->n - at) * sizeof *at);
    registry->n++;
    *at = (struct entry){.id = id};
    return at;
}

/* {"schema": "text", "schemaType": "AVRO", "references": []} */
static enum np_status parse_answer(struct np_schema_registry *registry, int32_t id,
                                   struct np_avro_schema **schema, struct np_error *err)
{
    json_t *json = json_loadb((const char *)registry->answer.data, registry->answer.n, 0, NULL);
    json_t *text = json_object_get(json, "schema");
    const char *type = json_string_value(json_object_get(json, "schemaType"));
    struct np_error inner = {0};
    enum np_status status;

    if (!json_is_string(text))
        status = np_fail(err, NP_ERETRY,
                         "registry %s: schema %d: the answer holds no schema; is the URL that of a "
                         "registry with the Confluent API?",
                         registry->url, id);
    else if (type && strcmp(type, "AVRO") != 0)
        status = np_fail(err, NP_EDATA, "schema %d is of type %s; allowed is AVRO", id, type);
    else if (json_array_size(json_object_get(json, "references")) > 0)
        status = np_fail(err, NP_EDATA,
                         "schema %d uses references to other schemas, which are not supported: register it "
                         "as one schema",
                         id);
    else {
        status = np_avro_schema_parse(schema, json_string_value(text), json_string_length(text), &inner);
        if (status == NP_ECONFIG)
            status = np_fail(err, NP_EDATA, "schema %d: %s", id, inner.text);
        else if (status != NP_OK && err)
            *err = inner;
    }
    json_decref(json);
    return status;
}

/* Asks for an id and remembers the answer. */
static enum np_status ask_id(struct np_schema_registry *registry, int32_t id,
                             const struct np_avro_schema **out, struct np_error *err)
{
    struct np_avro_schema *schema = NULL;
    struct entry *entry;
    enum np_status status;
    int64_t until_ns = INT64_MAX;
    long code = 0;
    char *url;

    if (asprintf(&url, "%s/schemas/ids/%d", registry->url, id) < 0)
        return np_fail(err, NP_ENOMEM, "registry");
    status = ask(registry, url, NULL, &code, err);
    free(url);
    if (status != NP_OK)
        return status;
    if (code == 404) {
        status = np_fail(err, NP_EDATA, "registry %s has no schema %d", registry->url, id);
        until_ns = now_ns() + MISSING_NS;
    } else if (code != 200) {
        char what[40];

        snprintf(what, sizeof what, "schema %d", id);
        return refused(registry, NP_ERETRY, what, code, err);
    } else {
        status = parse_answer(registry, id, &schema, err);
        if (status == NP_ERETRY || status == NP_ENOMEM)
            return status;
    }
    entry = add_entry(registry, id);
    if (!entry) {
        np_avro_schema_close(schema);
        return np_fail(err, NP_ENOMEM, "registry");
    }
    free(entry->why);
    entry->why = status != NP_OK && err ? strdup(err->text) : NULL;
    entry->status = status;
    entry->until_ns = until_ns;
    entry->schema = schema;
    *out = schema;
    return status;
}

enum np_status np_schema_registry_get(struct np_schema_registry *registry, int32_t id,
                                      const struct np_avro_schema **schema, struct np_error *err)
{
    struct np_error own, *said = err ? err : &own;
    enum np_status status;
    struct entry *entry;
    bool found;

    pthread_mutex_lock(&registry->mutex);
    entry = find(registry, id, &found);
    if (found && entry->status == NP_OK) {
        *schema = entry->schema;
        status = NP_OK;
    } else if (found && now_ns() < entry->until_ns) {
        status = np_fail(said, entry->status, "%s", entry->why ? entry->why : "schema cannot be used");
    } else if (now_ns() < registry->down_until_ns) {
        status = np_fail(said, NP_ERETRY, "%s", registry->down);
    } else {
        status = ask_id(registry, id, schema, said);
        if (status == NP_ERETRY) {
            registry->down_until_ns = now_ns() + DOWN_NS;
            snprintf(registry->down, sizeof registry->down, "%.500s", said->text);
        }
    }
    pthread_mutex_unlock(&registry->mutex);
    return status;
}

/* --- by subject --- */

/* URL with the subject's name in it. @return given, or NULL without memory */
static char *subject_url(struct np_schema_registry *registry, const char *before, const char *subject,
                         const char *behind)
{
    char *escaped = curl_easy_escape(registry->curl, subject, 0), *url = NULL;

    if (!escaped || asprintf(&url, "%s%s%s%s", registry->url, before, escaped, behind) < 0)
        url = NULL;
    curl_free(escaped);
    return url;
}

/* The status of an answer that is neither 200 nor 404: what the user can mend, and what passes. */
static enum np_status status_of(long code)
{
    return code >= 500 || code == 429 || code == 408 ? NP_ERETRY : NP_ECONFIG;
}

static enum np_status latest_id(struct np_schema_registry *registry, const char *subject, int32_t *id,
                                struct np_error *err)
{
    char *url = subject_url(registry, "/subjects/", subject, "/versions/latest");
    json_t *answer, *number;
    enum np_status status;
    long code = 0;

    if (!url)
        return np_fail(err, NP_ENOMEM, "registry");
    status = ask(registry, url, NULL, &code, err);
    free(url);
    if (status != NP_OK)
        return status;
    if (code == 404)
        return np_fail(err, NP_EEND, "registry %s has no subject %s", registry->url, subject);
    if (code != 200)
        return refused(registry, status_of(code), subject, code, err);
    answer = json_loadb((const char *)registry->answer.data, registry->answer.n, 0, NULL);
    number = json_object_get(answer, "id");
    if (json_is_integer(number))
        *id = (int32_t)json_integer_value(number);
    else
        status =
            np_fail(err, NP_ECONFIG,
                    "registry %s: subject %s: the answer holds no id; is the URL that of a registry with "
                    "the Confluent API?",
                    registry->url, subject);
    json_decref(answer);
    return status;
}

enum np_status np_schema_registry_latest(struct np_schema_registry *registry, const char *subject,
                                         int32_t *id, const struct np_avro_schema **schema,
                                         struct np_error *err)
{
    enum np_status status;

    pthread_mutex_lock(&registry->mutex);
    status = latest_id(registry, subject, id, err);
    pthread_mutex_unlock(&registry->mutex);
    return status == NP_OK ? np_schema_registry_get(registry, *id, schema, err) : status;
}

/* --- registering --- */

#define NO_FIT                                                                                               \
    "the schema does not fit the earlier ones of its subject (take another topic, or change the subject's "  \
    "compatibility)"

/* Puts {"schema": text} to a URL of the subject. @param answer  given, of HTTP 200; else NULL */
static enum np_status put_schema(struct np_schema_registry *registry, char *url, const char *schema,
                                 size_t length, long *code, json_t **answer, struct np_error *err)
{
    json_t *body = json_pack("{s:s%}", "schema", schema, length);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct np_bytes bytes = {(unsigned char *)text, text ? strlen(text) : 0, 0};
    enum np_status status =
        url && text ? ask(registry, url, &bytes, code, err) : np_fail(err, NP_ENOMEM, "registry");

    if (status == NP_OK && *code == 200)
        *answer = json_loadb((const char *)registry->answer.data, registry->answer.n, 0, NULL);
    json_decref(body);
    free(text);
    free(url);
    return status;
}

static enum np_status name_subject(const char *subject, enum np_status status, struct np_error *err)
{
    struct np_error first;

    if (status != NP_ECONFIG || !err)
        return status;
    first = *err;
    return np_fail(err, status, "subject %s: %.900s", subject, first.text);
}

static enum np_status register_locked(struct np_schema_registry *registry, const char *subject,
                                      const char *schema, size_t length, int32_t *id, struct np_error *err)
{
    char *url = subject_url(registry, "/subjects/", subject, "/versions");
    json_t *answer = NULL, *number;
    long code = 0;
    enum np_status status = put_schema(registry, url, schema, length, &code, &answer, err);

    if (status != NP_OK)
        return status;
    number = json_object_get(answer, "id");
    if (json_is_integer(number))
        *id = (int32_t)json_integer_value(number);
    else if (code == 409)
        status = refused(registry, NP_ECONFIG, NO_FIT, code, err);
    else if (code == 200 || status_of(code) == NP_ERETRY)
        status = refused(registry, NP_ERETRY, "the schema could not be registered", code, err);
    else
        status = refused(registry, NP_ECONFIG, "the schema was refused", code, err);
    json_decref(answer);
    return name_subject(subject, status, err);
}

static enum np_status fits_locked(struct np_schema_registry *registry, const char *subject,
                                  const char *schema, size_t length, struct np_error *err)
{
    char *url = subject_url(registry, "/compatibility/subjects/", subject, "/versions/latest?verbose=true");
    json_t *answer = NULL, *compatible;
    const char *why;
    long code = 0;
    enum np_status status = put_schema(registry, url, schema, length, &code, &answer, err);

    if (status != NP_OK || code == 404) /* nothing is registered yet: anything fits */
        return status;
    compatible = json_object_get(answer, "is_compatible");
    why = json_string_value(json_array_get(json_object_get(answer, "messages"), 0));
    if (json_is_false(compatible))
        status = np_fail(err, NP_ECONFIG, "registry %s: %s%s%.300s", registry->url, NO_FIT, why ? ": " : "",
                         why ? why : "");
    else if (!json_is_true(compatible))
        status = refused(registry, status_of(code), "no answer to whether the schema fits", code, err);
    json_decref(answer);
    return name_subject(subject, status, err);
}

enum np_status np_schema_registry_fits(struct np_schema_registry *registry, const char *subject,
                                       const char *schema, size_t length, struct np_error *err)
{
    enum np_status status;

    pthread_mutex_lock(&registry->mutex);
    status = fits_locked(registry, subject, schema, length, err);
    pthread_mutex_unlock(&registry->mutex);
    return status;
}

enum np_status np_schema_registry_register(struct np_schema_registry *registry, const char *subject,
                                           const char *schema, size_t length, int32_t *id,
                                           struct np_error *err)
{
    enum np_status status;

    pthread_mutex_lock(&registry->mutex);
    status = register_locked(registry, subject, schema, length, id, err);
    pthread_mutex_unlock(&registry->mutex);
    return status;
}
