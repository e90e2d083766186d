#include "pipeline/cli.h"

struct np_pipeline *np_cli_pipeline(const char *path, bool secrets, enum np_exit *failed)
{
    struct np_mistakes mistakes = {.file = path, .without_secrets = !secrets};
    struct np_pipeline *pipeline = np_pipeline_load(path, &mistakes);

    *failed = NP_EXIT_OK;
    if (!pipeline) {
        np_mistakes_print(&mistakes, stderr);
        *failed = mistakes.out_of_memory ? NP_EXIT_FAILURE : NP_EXIT_MISTAKE;
    }
    np_mistakes_free(&mistakes);
    return pipeline;
}
