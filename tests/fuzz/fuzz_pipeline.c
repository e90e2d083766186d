/* Any bytes as a pipeline file: read, checked, and where it is right, its columns walked. */
#include <stdint.h>
#include <stdlib.h>

#include "pipeline/pipeline.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setenv("NP_TEST_DSN", "host=x", 1);
    setenv("NP_KAFKA", "b:9092", 1);
    setenv("NP_REGISTRY", "http://r", 1);
    setenv("NP_DSN_FILE", "/nowhere/dsn", 1);
    setenv("NP_METRICS", "127.0.0.1:9464", 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct np_mistakes mistakes = {.file = "fuzz"};
    struct np_pipeline *pipeline = np_pipeline_load_text((const char *)data, size, "fuzz", &mistakes);

    if (!pipeline == !np_mistakes_any(&mistakes)) /* either a pipeline, or a reason why not */
        abort();
    for (size_t i = 0; pipeline && i < pipeline->n_steps; i++)
        if (pipeline->steps[i].parent >= (int)i || pipeline->steps[i].input < 0 ||
            pipeline->steps[i].columns.n == 0)
            abort();
    np_pipeline_free(pipeline);
    np_mistakes_free(&mistakes);
    return 0;
}
