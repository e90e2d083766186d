#include "pipeline/cli.h"
#include "pipeline/connect_check.h"
#include "pipeline/pipeline.h"

struct check_conf {
    bool connect, schema, markdown;
};
static const struct np_option check_flags[] = {
    {"connect", NP_OPT_BOOL, offsetof(struct check_conf, connect), NULL, "false", 0, 0, NULL, false,
     "Also ask broker, registry and database, and compare topics, schemas and tables with the file."},
    {"schema", NP_OPT_BOOL, offsetof(struct check_conf, schema), NULL, "false", 0, 0, NULL, false,
     "Print the JSON Schema of pipeline files instead, for editors that complete and mark them."},
    {"markdown", NP_OPT_BOOL, offsetof(struct check_conf, markdown), NULL, "false", 0, 0, NULL, false,
     "Print the reference of pipeline files as Markdown instead (docs/pipeline.md)."},
    {0},
};

static enum np_exit connect_check(const struct np_pipeline *pipeline, const char *path)
{
#ifdef NP_KAFKA
    return np_connect_check(pipeline, path);
#else
    (void)pipeline, (void)path;
    fputs("netzpuls check: --connect: this build has no Kafka (NP_KAFKA)\n", stderr);
    return NP_EXIT_MISTAKE;
#endif
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
    if (pipeline && flags->connect)
        status = connect_check(pipeline, arguments[0]);
    if (pipeline && status == NP_EXIT_OK)
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
            "Without --connect nothing is connected to. With it, a server that does not answer is a line, too; if\n"
            "that is all that is wrong, the exit status is 2. Nothing is made or changed. Environment variables that the file names must be set.\n\n"
            "  netzpuls check feeder.yaml\n"
            "  netzpuls check --connect feeder.yaml\n"
            "  netzpuls check --schema > pipeline.schema.json\n",
    .flags = check_flags,
    .conf_size = sizeof(struct check_conf),
    .run = check,
};
