#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/file.h"
#include "pipeline/pipeline_parts.h"

static bool holds_only(const char *name, const char *first, const char *rest, size_t limit)
{
    size_t n = strlen(name);

    return n > 0 && n <= limit && strchr(first, name[0]) && strspn(name + 1, rest) == n - 1;
}

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

bool np_name_check(const struct np_node *node, const char *what, const char *name,
                   struct np_mistakes *mistakes)
{
    if (holds_only(name, LOWER, LOWER DIGITS "_", NP_NAME_LIMIT))
        return true;
    np_mistake_add(
        mistakes, node,
        "%s name \"%s\"; allowed: a lower-case letter, then lower-case letters, digits and _, at most %d in "
        "all",
        what, name, NP_NAME_LIMIT);
    return false;
}

bool np_pipeline_name_check(const struct np_node *node, const char *name, struct np_mistakes *mistakes)
{
    if (holds_only(name, LOWER, LOWER DIGITS "_-", NP_NAME_LIMIT))
        return true;
    np_mistake_add(mistakes, node,
                   "pipeline name \"%s\"; allowed: a lower-case letter, then lower-case letters, digits, _ "
                   "and -, at most "
                   "%d in all",
                   name, NP_NAME_LIMIT);
    return false;
}

bool np_channel_name_check(const struct np_node *node, const char *name, struct np_mistakes *mistakes)
{
    if (holds_only(name, LOWER UPPER "_", LOWER UPPER DIGITS "_", NP_NAME_LIMIT))
        return true;
    np_mistake_add(
        mistakes, node,
        "channel name \"%s\"; allowed: a letter or _, then letters, digits and _, at most %d in all", name,
        NP_NAME_LIMIT);
    return false;
}

bool np_schema_name_check(const struct np_node *node, const char *name, struct np_mistakes *mistakes)
{
    if (holds_only(name, LOWER "_", LOWER DIGITS "_", NP_NAME_LIMIT) && strncmp(name, "pg_", 3) != 0 &&
        strcmp(name, "information_schema") != 0)
        return true;
    np_mistake_add(mistakes, node,
                   "schema \"%s\"; allowed: lower-case letters, digits and _, at most %d in all, and none of "
                   "PostgreSQL's "
                   "own (pg_.., information_schema)",
                   name, NP_NAME_LIMIT);
    return false;
}

bool np_topic_check(const struct np_node *node, const char *topic, struct np_mistakes *mistakes)
{
    static const char letters[] = LOWER UPPER DIGITS "._-";

    if (holds_only(topic, letters, letters, 249) && strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0)
        return true;
    np_mistake_add(mistakes, node,
                   "topic \"%.260s\"; allowed: letters, digits, \".\", \"_\" and \"-\", at most 249 in all",
                   topic);
    return false;
}

bool np_path_check(const struct np_node *node, const char *what, const char *path,
                   struct np_mistakes *mistakes)
{
    const char *c = path;
    int arrays = 0;

    for (;;) {
        size_t n = strcspn(c, ".[]");

        for (size_t i = 0; i < n; i++)
            if (iscntrl((unsigned char)c[i]))
                n = 0;
        if (n == 0)
            break;
        c += n;
        if (c[0] == '[' && c[1] == ']') {
            arrays++;
            c += 2;
        }
        if (*c == '\0' && arrays <= 1)
            return true;
        if (*c != '.')
            break;
        c++;
    }
    np_mistake_add(
        mistakes, node,
        "%s is \"%s\"; allowed: the path of a field, such as voltage, head.meter or readings[].value (one [] "
        "at most)",
        what, node ? np_node_shown(node) : path);
    return false;
}

bool np_text_check(const struct np_node *node, const char *what, struct np_mistakes *mistakes)
{
    if (node->kind == NP_NODE_SCALAR && (node->text[0] || node->quoted))
        return true;
    np_mistake_add(mistakes, node, "%s %s; allowed: a text", what,
                   node->kind == NP_NODE_SCALAR ? "has no value"
                   : node->kind == NP_NODE_MAP  ? "is a map"
                                                : "is a list");
    return false;
}

char *np_secret_from_file(const struct np_node *node, const char *what, const char *path, const char *base,
                          struct np_mistakes *mistakes)
{
    struct np_error err;
    char *beside, *text;

    if (strstr(path, "://") || strchr(path, '=') ||
        strchr(path, '\n')) { /* the secret itself: do not show it */
        np_mistake_add(mistakes, node, "%s is no path; allowed: the path of a file that holds the secret",
                       what);
        return NULL;
    }
    if (mistakes->without_secrets)
        return strdup("");
    beside = np_file_beside(base, path);
    text = beside ? np_file_read(beside, 64 << 10, NULL, &err) : NULL;
    if (!beside)
        mistakes->out_of_memory = true;
    else if (!text)
        np_mistake_add(mistakes, node, "%s: %s", what, err.text);
    free(beside);
    if (!text)
        return NULL;
    text[strcspn(text, "\r\n")] = '\0';
    if (!text[0]) {
        np_mistake_add(mistakes, node, "%s: the first line of %s is empty; allowed: the secret in one line",
                       what, path);
        free(text);
        return NULL;
    }
    return text;
}

static char *secret_from_env(const struct np_node *node, const char *what, const char *env,
                             struct np_mistakes *mistakes)
{
    const char *value;
    char *copy;

    if (!holds_only(env, LOWER UPPER "_", LOWER UPPER DIGITS "_", 200)) {
        np_mistake_add(mistakes, node,
                       "%s is no name; allowed: the name of an environment variable that holds the secret",
                       what);
        return NULL;
    }
    if (mistakes->without_secrets)
        return strdup("");
    value = getenv(env);
    if (!value || !value[0]) {
        np_mistake_add(mistakes, node, "%s: the environment variable %s is %s", what, env,
                       value ? "empty" : "not set");
        return NULL;
    }
    copy = strdup(value);
    if (!copy)
        mistakes->out_of_memory = true;
    return copy;
}

char *np_secret_read(const struct np_node *map, const char *name, const char *file, const char *env,
                     const char *base, bool required, struct np_mistakes *mistakes)
{
    char file_key[64], env_key[64];

    snprintf(file_key, sizeof file_key, "%s_file", name);
    snprintf(env_key, sizeof env_key, "%s_env", name);
    if (np_node_get(map, name)) {
        np_mistake_add(
            mistakes, np_node_get(map, name),
            "%s is a secret and must not stand here: write it into a file and name that with %s, or into an "
            "environment variable and name that with %s",
            name, file_key, env_key);
        return NULL;
    }
    if (file && env) {
        np_mistake_add(mistakes, np_node_get(map, env_key),
                       "%s and %s are both given; allowed is one of them", file_key, env_key);
        return NULL;
    }
    if (file)
        return np_secret_from_file(np_node_get(map, file_key), file_key, file, base, mistakes);
    if (env)
        return secret_from_env(np_node_get(map, env_key), env_key, env, mistakes);
    if (required && !np_node_get(map, file_key) && !np_node_get(map, env_key))
        np_mistake_add(mistakes, map,
                       "%s or %s is missing: a file, or an environment variable, that holds the secret",
                       file_key, env_key);
    return NULL;
}

char *np_unit_resolve(const char *pattern, const char *unit)
{
    bool compound = strpbrk(unit, "/*^ ") != NULL;
    char *text = NULL;
    size_t size;
    FILE *out;

    if (strcmp(pattern, "$") == 0)
        return strdup(unit);
    out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (; *pattern; pattern++) {
        if (*pattern != '$')
            fputc(*pattern, out);
        else if (!unit[0])
            fputc('1', out);
        else
            fprintf(out, compound ? "(%s)" : "%s", unit);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void add_name(char *out, size_t size, const char *name, bool *first)
{
    size_t used = strlen(out);

    snprintf(out + used, size - used, "%s%s", *first ? "" : ", ", name);
    *first = false;
}

const char *np_names_hint(const struct np_pipeline *pipeline, bool with_inputs, const char *text, char *out,
                          size_t size)
{
    size_t n = 0, n_inputs = with_inputs ? pipeline->n_inputs : 0;
    const char **names = calloc(n_inputs + pipeline->n_steps + 1, sizeof *names);
    const char *nearest;
    bool first = true;

    out[0] = '\0';
    if (!names)
        return out;
    for (size_t i = 0; i < n_inputs; i++)
        names[n++] = pipeline->inputs[i].name;
    for (size_t i = 0; i < pipeline->n_steps; i++)
        names[n++] = pipeline->steps[i].name;
    nearest = np_nearest(text, names, n);
    if (nearest)
        snprintf(out, size, " (did you mean \"%s\"?)", nearest);
    snprintf(out + strlen(out), size - strlen(out), "; allowed: ");
    for (size_t i = 0; i < n; i++)
        add_name(out, size, names[i], &first);
    if (n == 0)
        snprintf(out + strlen(out), size - strlen(out), "none, as there is none");
    free(names);
    return out;
}
