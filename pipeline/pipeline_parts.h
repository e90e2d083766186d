/* What the files that read a pipeline share: sections, names, secrets. For pipeline/pipeline*.c only. */
#ifndef NP_PIPELINE_PARTS_H
#define NP_PIPELINE_PARTS_H

#include "pipeline/pipeline.h"

#define NP_NAME_LIMIT 40          /* leaves room for what PostgreSQL names are made of: 63 in all */

/** A key whose value is no plain option: read by hand, described here. */
struct np_key {
    const char *name;
    bool required;
    const char *allowed;          /* in words */
    const char *help;             /* one sentence; NULL: nobody may give it, its reader says why */
    const char *schema;           /* the value's JSON Schema without braces; "@NAME": that section's */
};                                /* a row with name NULL ends the list */

/** A map of the file with fixed keys. */
struct np_section {
    const char *name;             /* in the reference: "inputs.NAME" */
    const char *help;
    const struct np_option *rows;
    const struct np_key *keys;    /* NULL: none */
};

extern const struct np_section np_section_file, np_section_kafka, np_section_registry,
    np_section_dead_letters, np_section_run, np_section_input, np_section_time, np_section_channel,
    np_section_step, np_section_window,
    np_section_outputs, np_section_topic, np_section_postgres;
/** All of them in the order of the reference, NULL-terminated. */
extern const struct np_section *const np_sections[];

enum { NP_MOST_KEYS = 16 };
/** The names of a section's keys, NULL-terminated. */
void np_section_keys(const struct np_section *section, const char *names[NP_MOST_KEYS + 1]);
/** Fills out from the section's rows; unknown and missing keys are mistakes. The caller reads its keys. */
void np_section_parse(const struct np_section *section, const struct np_node *map, void *out,
                      struct np_mistakes *mistakes);

/* --- names: each says what is wrong at node, and returns false --- */
/** A step, input: a lower-case identifier that is safe in SQL, Avro and Kafka. */
bool np_name_check(const struct np_node *node, const char *what, const char *name,
                   struct np_mistakes *mistakes);
bool np_pipeline_name_check(const struct np_node *node, const char *name, struct np_mistakes *mistakes);
bool np_channel_name_check(const struct np_node *node, const char *name, struct np_mistakes *mistakes);
bool np_schema_name_check(const struct np_node *node, const char *name, struct np_mistakes *mistakes);
bool np_topic_check(const struct np_node *node, const char *topic, struct np_mistakes *mistakes);
/** "head.meter", "readings[].value" */
bool np_path_check(const struct np_node *node, const char *what, const char *path,
                   struct np_mistakes *mistakes);
/** @return false, with a mistake, unless node is a scalar with a text */
bool np_text_check(const struct np_node *node, const char *what, struct np_mistakes *mistakes);

/* --- secrets --- */
/** Reads NAME_file or NAME_env of map. Inline NAME, both, or unreadable: a mistake. @return given or NULL */
char *np_secret_read(const struct np_node *map, const char *name, const char *file, const char *env,
                     const char *base, bool required, struct np_mistakes *mistakes);
/** A secret from a file (its first line), seen from base. @return given, NULL after a mistake at node */
char *np_secret_from_file(const struct np_node *node, const char *what, const char *path, const char *base,
                          struct np_mistakes *mistakes);

/** "$^2/Hz" for "V": "V^2/Hz". Without a unit: "" for "$" alone, else "1" in its place. @return given */
char *np_unit_resolve(const char *pattern, const char *unit);

/* --- the parts of a file; root is a map. Each adds its mistakes. --- */
void np_kafka_read(struct np_pipeline *pipeline, const char *base, struct np_mistakes *mistakes);
void np_inputs_read(struct np_pipeline *pipeline, const char *base, struct np_mistakes *mistakes);
void np_steps_read(struct np_pipeline *pipeline, struct np_mistakes *mistakes);
void np_outputs_read(struct np_pipeline *pipeline, const char *base, struct np_mistakes *mistakes);
/** Mistakes that lie between the parts: unused steps, topics in two roles. */
void np_use_check(const struct np_pipeline *pipeline, struct np_mistakes *mistakes);

void np_input_free(struct np_input *input);
void np_step_free(struct np_step *step);
void np_kafka_free(struct np_pipeline *pipeline);
int np_input_find(const struct np_pipeline *pipeline, const char *name);    /* -1: none */
int np_step_find(const struct np_pipeline *pipeline, const char *name);
/** " (did you mean "X"?); allowed: a, b" over steps and, if with_inputs, inputs. @return out */
const char *np_names_hint(const struct np_pipeline *pipeline, bool with_inputs, const char *text, char *out,
                          size_t size);

#endif
