/* The JSON Schema of pipeline files and their reference, made from the sections' rows. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/json_text.h"
#include "pipeline/pipeline_parts.h"

#define NAME_PATTERN "^[a-z][a-z0-9_]*$"

static void print_required(const char *const *names, bool also, const char *more, FILE *out)
{
    bool first = true;

    fputs("\"required\": [", out);
    for (; names && *names; names++, first = false) {
        fputs(first ? "" : ", ", out);
        np_json_text(*names, out);
    }
    if (also) {
        fputs(first ? "" : ", ", out);
        np_json_text(more, out);
    }
    fputc(']', out);
}

static const struct np_section *find_section(const char *name, size_t length)
{
    for (size_t i = 0; np_sections[i]; i++)
        if (strlen(np_sections[i]->name) == length && strncmp(np_sections[i]->name, name, length) == 0)
            return np_sections[i];
    return NULL;
}

static void print_object(const struct np_section *section, FILE *out);
static void print_steps(FILE *out);

/* A key's schema; "@NAME" in it is the object of section NAME, "@NAME*" a map whose values are such objects.
 */
static void print_key_schema(const char *schema, FILE *out)
{
    while (*schema) {
        const char *at = strchr(schema, '@');
        size_t before = at ? (size_t)(at - schema) : strlen(schema), length;
        const struct np_section *section;

        fwrite(schema, 1, before, out);
        if (!at)
            return;
        length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.");
        schema = at + 1 + length;
        section = find_section(at + 1, length);
        if (!section)
            continue;
        if (*schema != '*') {
            /* a whole value when it is all of the schema, else one of several */
            if (before > 0)
                fputc('{', out);
            print_object(section, out);
            if (before > 0)
                fputc('}', out);
            continue;
        }
        schema++;
        fputs("\"type\": \"object\", \"propertyNames\": {\"pattern\": \"" NAME_PATTERN
              "\"}, \"additionalProperties\": {",
              out);
        if (section == &np_section_step)
            print_steps(out);
        else
            print_object(section, out);
        fputc('}', out);
    }
}

static void print_keys(const struct np_section *section, bool first, FILE *out)
{
    for (const struct np_key *key = section->keys; key && key->name; key++) {
        if (!key->help)
            continue;
        fputs(first ? "" : ", ", out);
        first = false;
        np_json_text(key->name, out);
        fputs(": {", out);
        print_key_schema(key->schema, out);
        fputs(", \"description\": ", out);
        np_json_text(key->help, out);
        fputc('}', out);
    }
}

static void print_object(const struct np_section *section, FILE *out)
{
    const char **required = NULL;
    const char *all[64];
    size_t n = 0;

    fputs("\"type\": \"object\", \"additionalProperties\": false, \"properties\": {", out);
    np_options_schema(section->rows, out, &required);
    print_keys(section, section->rows[0].name == NULL, out);
    fputs("}, ", out);
    for (size_t i = 0; required && required[i] && n < 60; i++)
        all[n++] = required[i];
    for (const struct np_key *key = section->keys; key && key->name && n < 60; key++)
        if (key->required)
            all[n++] = key->name;
    all[n] = NULL;
    print_required(all, false, NULL, out);
    free(required);
}

/* Every operator has options of its own: one branch each, taken by the value of `operator`. */
static void print_steps(FILE *out)
{
    const char **required = NULL;

    fputs("\"type\": \"object\", \"properties\": {\"operator\": {\"enum\": [", out);
    for (size_t i = 0; np_operators[i]; i++) {
        fputs(i ? ", " : "", out);
        np_json_text(np_operators[i]->name, out);
    }
    fputs("]}}, \"required\": [\"operator\", \"input\"], \"allOf\": [", out);
    for (size_t i = 0; np_operators[i]; i++) {
        const struct np_operator *op = np_operators[i];
        bool windowed = op->state_size == 0;

        fprintf(out, "%s\n  {\"if\": {\"properties\": {\"operator\": {\"const\": ", i ? "," : "");
        np_json_text(op->name, out);
        fputs("}}}, \"then\": {\"description\": ", out);
        np_json_text(op->help, out);
        fputs(", \"additionalProperties\": false, \"properties\": {", out);
        np_options_schema(np_section_step.rows, out, &required);
        free(required);
        if (windowed) {
            fputs(", ", out);
            np_options_schema(np_section_window.rows, out, &required);
            free(required);
        }
        if (op->options[0].name)
            fputs(", ", out);
        np_options_schema(op->options, out, &required);
        fputs("}, ", out);
        print_required(required, windowed, "window", out);
        fputs("}}", out);
        free(required);
    }
    fputs("\n]", out);
}

void np_pipeline_schema(FILE *out)
{
    fputs("{\"$schema\": \"http://json-schema.org/draft-07/schema#\", \"title\": \"Netzpuls pipeline\",\n",
          out);
    print_object(&np_section_file, out);
    fputs("}\n", out);
}

static void cell(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

void np_pipeline_reference(FILE *out)
{
    fputs("# The pipeline file\n\n"
          "Made from the option rows of the program (a test compares); edit those. `netzpuls check FILE` "
          "says everything that is\n"
          "wrong with a file; `netzpuls check --schema` prints a JSON Schema for editors; "
          "`docs/operators.md` has the operators'\n"
          "options. `deploy/pipelines/feeder.yaml` is an example.\n\n"
          "The file is YAML, without anchors, aliases and tags. `${NAME}` in a value is replaced from the "
          "environment; `$${` stands\n"
          "for `${`. Names of inputs, steps and bands are lower-case identifiers. Durations, sizes and rates "
          "carry their unit: `200ms`,\n"
          "`1.5h`, `90d`; `64MB`; `1 per week`. Secrets stand in a file or an environment variable, never in "
          "this file. Steps may\n"
          "stand in any order and may read each other's numeric columns. In `{ }` a path with `[]` needs "
          "quotes.\n\n",
          out);
    for (size_t i = 0; np_sections[i]; i++) {
        const struct np_section *section = np_sections[i];

        fprintf(out, "## %s%s%s\n\n%s\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                section->name[0] ? "`" : "The file", section->name, section->name[0] ? "`" : "",
                section->help);
        np_options_markdown(section->rows, out);
        for (const struct np_key *key = section->keys; key && key->name; key++) {
            if (!key->help)
                continue;
            fprintf(out, "| `%s` | ", key->name);
            cell(key->allowed, out);
            fprintf(out, " | %s | ", key->required ? "must be given" : "-");
            cell(key->help, out);
            fputs(" |\n", out);
        }
        fputs(np_sections[i + 1] ? "\n" : "", out);
    }
}
