#include "pipeline/cli.h"
#include "pipeline/pipeline.h"

struct check_conf {
    bool schema;
};
static const struct np_option check_flags[] = {
    {"schema", NP_OPT_BOOL, offsetof(struct check_conf, schema), NULL, "false", 0, 0, NULL, false,
     "Print the JSON Schema of pipeline files instead, for editors that complete and mark them."},
    {0},
};

static enum np_exit check(const void *conf, int n_arguments, char **arguments)
{
    const struct check_conf *flags = conf;
    struct np_mistakes mistakes = {.file = n_arguments > 0 ? arguments[0] : NULL};
    struct np_pipeline *pipeline;
    enum np_exit status = NP_EXIT_OK;

    if (flags->schema) {
        np_pipeline_schema(stdout);
        return NP_EXIT_OK;
    }
    if (n_arguments == 0) {
        fputs("netzpuls check: a pipeline file is missing: netzpuls check PIPELINE\n", stderr);
        return NP_EXIT_MISTAKE;
    }
    pipeline = np_pipeline_load(arguments[0], &mistakes);
    if (!pipeline) {
        np_mistakes_print(&mistakes, stderr);
        status = mistakes.out_of_memory ? NP_EXIT_FAILURE : NP_EXIT_MISTAKE;
    } else {
        printf("%s: ok: %zu inputs, %zu steps\n", arguments[0], pipeline->n_inputs, pipeline->n_steps);
    }
    np_pipeline_free(pipeline);
    np_mistakes_free(&mistakes);
    return status;
}

const struct np_command np_cmd_check = {
    .name = "check",
    .arguments = "PIPELINE",
    .max_arguments = 1,
    .help = "Says everything that is wrong with a pipeline file.",
    .text = "Each mistake is one line on stderr: FILE:LINE:COLUMN: what is wrong, and what is allowed.\n"
            "Nothing is connected to. Environment variables and secret files that the file names must be there.\n\n"
            "  netzpuls check feeder.yaml\n"
            "  netzpuls check --schema > pipeline.schema.json\n",
    .flags = check_flags,
    .conf_size = sizeof(struct check_conf),
    .run = check,
};
