#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/pipeline.h"

static void the_example_pipeline_is_read(void **state)
{
    struct np_mistakes mistakes = {.file = "feeder.yaml"};
    struct np_pipeline *p;

    (void)state;
    setenv("NP_KAFKA", "localhost:9092", 1);
    setenv("NP_REGISTRY", "http://localhost:8081", 1);
    setenv("NP_DSN_FILE", "/tmp/np-test/dsn", 1);
    setenv("NP_METRICS", "127.0.0.1:9464", 1);
    p = np_pipeline_load("deploy/pipelines/feeder.yaml", &mistakes);
    np_mistakes_print(&mistakes, stdout);
    assert_non_null(p);
    np_pipeline_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_pipeline_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
