#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/topic.h"

/* The library's own mock broker takes the records. */
static const char text[] =
    "pipeline: test\n"
    "kafka: { brokers: \"127.0.0.1:1\", properties: { test.mock.num.brokers: \"1\" } }\n"
    "inputs:\n"
    "  waves: { topic: t, format: json, sensor: m, time: { field: t, unit: ns }, rate: r, channels: { U: u } }\n"
    "steps:\n"
    "  levels: { operator: rms, input: waves, window: 1s }\n"
    "outputs:\n"
    "  topics: { levels: { topic: l, format: json } }\n"
    "dead_letters: { topic: d }\n";

static void a_dead_letter_that_is_too_large_is_sent_without_its_end(void **state)
{
    struct np_mistakes mistakes = {.file = "test.yaml"};
    struct np_pipeline *pipeline = np_pipeline_load_text(text, strlen(text), "test.yaml", &mistakes);
    static char value[2000000];
    struct np_bytes headers = {0};
    struct np_outgoing out = {.to = NP_TO_DEAD_LETTERS, .partition = -1, .key = "k", .key_length = 1, .value = value,
                              .value_length = sizeof value};
    struct np_sink *sink;
    struct np_error err;

    (void)state;
    if (!pipeline)
        np_mistakes_print(&mistakes, stderr);
    assert_non_null(pipeline);
    assert_int_equal(np_header_put(&headers, "np.reason", "decode", 6), 0);
    out.headers = headers.data;
    out.headers_length = headers.n;
    if (np_topic_sink_open(&sink, pipeline, "w", &err) != NP_OK)
        fail_msg("%s", err.text);
    assert_int_equal(sink->begin(sink, &err), NP_OK);
    if (sink->send(sink, &out, &err) != NP_OK || sink->flush(sink, &err) != NP_OK)
        fail_msg("%s", err.text);
    out.to = NP_TO_STEP;
    assert_int_equal(sink->send(sink, &out, &err), NP_ENOMEM);
    assert_int_equal(sink->abort(sink, &err), NP_OK);
    sink->close(sink);
    np_bytes_free(&headers);
    np_pipeline_free(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_letter_that_is_too_large_is_sent_without_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
