#ifdef NP_KAFKA
#include "ingest/topic_admin.h"
#endif
#include "pipeline/cli.h"
#include "pipeline/pipeline.h"
#ifdef NP_POSTGRES
#include "sinks/pg_tables.h"
#endif

struct check_conf {
    bool connect, schema, markdown;
};
static const struct np_option check_flags[] = {
    {"connect", NP_OPT_BOOL, offsetof(struct check_conf, connect), NULL, "false", 0, 0, NULL, false,
     "Also ask the broker for the topics, and compare the result columns with the tables in the database."},
    {"schema", NP_OPT_BOOL, offsetof(struct check_conf, schema), NULL, "false", 0, 0, NULL, false,
     "Print the JSON Schema of pipeline files instead, for editors that complete and mark them."},
    {"markdown", NP_OPT_BOOL, offsetof(struct check_conf, markdown), NULL, "false", 0, 0, NULL, false,
     "Print the reference of pipeline files as Markdown instead (docs/pipeline.md)."},
    {0},
};

/* What only the servers can tell. @return false if anything is wrong */
static bool check_servers(const char *path, const struct np_pipeline *pipeline)
{
    struct np_mistakes mistakes = {.file = path};
    bool good;

#ifdef NP_KAFKA
    struct np_error err;

    if (np_topics_look(pipeline, &err) != NP_OK)
        np_mistake_add(&mistakes, np_node_get(pipeline->root, "kafka"), "%s", err.text);
#endif
#ifdef NP_POSTGRES
    if (pipeline->postgres.on)
        np_pg_tables_check(pipeline, &mistakes);
#endif
    good = mistakes.n == 0;
    np_mistakes_print(&mistakes, stderr);
    np_mistakes_free(&mistakes);
    return good;
}

static enum np_exit check(const void *conf, int n_arguments, char **arguments)
{
    const struct check_conf *flags = conf;
    struct np_pipeline *pipeline;
    enum np_exit status;

    if (flags->schema)
        np_pipeline_schema(stdout);
    if (flags->markdown)
        np_pipeline_reference(stdout);
    if (flags->schema || flags->markdown)
        return NP_EXIT_OK;
    if (n_arguments == 0) {
        fputs("netzpuls check: a pipeline file is missing: netzpuls check PIPELINE\n", stderr);
        return NP_EXIT_MISTAKE;
    }
    pipeline = np_cli_pipeline(arguments[0], flags->connect, &status);
    if (pipeline && flags->connect && !check_servers(arguments[0], pipeline))
        status = NP_EXIT_MISTAKE;
    else if (pipeline)
        printf("%s: ok: %zu input%s, %zu step%s\n", arguments[0], pipeline->n_inputs,
               pipeline->n_inputs == 1 ? "" : "s", pipeline->n_steps, pipeline->n_steps == 1 ? "" : "s");
    np_pipeline_free(pipeline);
    return status;
}

const struct np_command np_cmd_check = {
    .name = "check",
    .arguments = "PIPELINE",
    .max_arguments = 1,
    .help = "Says everything that is wrong with a pipeline file.",
    .text = "Each mistake is one line on stderr: FILE:LINE:COLUMN: what is wrong, and what is allowed.\n"
            "Without --connect nothing is connected to. Environment variables that the file names must be set.\n\n"
            "  netzpuls check feeder.yaml\n"
            "  netzpuls check --connect feeder.yaml\n"
            "  netzpuls check --schema > pipeline.schema.json\n",
    .flags = check_flags,
    .conf_size = sizeof(struct check_conf),
    .run = check,
};
