#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pipeline/health.h"

struct fixture {
    struct np_metrics *metrics;
    struct np_health *health;
    enum np_health_state answer;
    const char *reasons;
};

static enum np_health_state answer_state(void *context, FILE *reasons)
{
    struct fixture *fixture = context;

    fputs(fixture->reasons, reasons);
    return fixture->answer;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct np_health_source source = {.state = answer_state, .context = fixture};
    struct np_error err = {0};

    assert_non_null(fixture);
    fixture->reasons = "";
    fixture->metrics = np_metrics_open();
    if (np_health_open(&fixture->health, "127.0.0.1:0", fixture->metrics, &source, &err) != NP_OK)
        fail_msg("%s", err.text);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    np_health_close(fixture->health);
    np_metrics_close(fixture->metrics);
    free(fixture);
    return 0;
}

static int connect_to(const char *host, uint16_t port)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, host, &place.sin_addr);
    if (connect(fd, (struct sockaddr *)&place, sizeof place) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends a request, and reads until the server closes. */
static void request(const struct fixture *fixture, const char *text, char *out, size_t size)
{
    int fd = connect_to("127.0.0.1", np_health_port(fixture->health));
    size_t used = 0;
    ssize_t n;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    while (used + 1 < size && (n = read(fd, out + used, size - 1 - used)) > 0)
        used += (size_t)n;
    out[used] = '\0';
    close(fd);
}

static void expect_page(const struct fixture *fixture, const char *path, int status, const char *body)
{
    char text[256], got[4096], head[64];
    const char *end;

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    request(fixture, text, got, sizeof got);
    snprintf(head, sizeof head, "HTTP/1.1 %d ", status);
    end = strstr(got, "\r\n\r\n");
    if (strncmp(got, head, strlen(head)) != 0 || !end)
        fail_msg("%s: expected status %d, got: %s", path, status, got);
    assert_string_equal(end + 4, body);
}

static void metrics_are_served_as_prometheus_text(void **state)
{
    struct fixture *fixture = *state;
    char got[4096];

    np_metric_add(np_metric(fixture->metrics, NP_METRIC_COUNTER, "a_total", "", "A.", NULL), 7);
    expect_page(fixture, "/metrics", 200, "# HELP a_total A.\n# TYPE a_total counter\na_total 7\n");
    request(fixture, "GET /metrics HTTP/1.0\r\n\r\n", got, sizeof got);
    assert_non_null(strstr(got, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
}

static void ready_tells_the_state_with_its_reasons(void **state)
{
    static const struct {
        enum np_health_state answer;
        int live, ready;
        const char *live_body, *ready_body;
    } rows[] = {
        {NP_HEALTH_READY, 200, 200, "live\n", "ready\nr: s\n"},
        {NP_HEALTH_DEGRADED, 200, 200, "live\n", "degraded\nr: s\n"},
        {NP_HEALTH_NOT_READY, 200, 503, "live\n", "not ready\nr: s\n"},
        {NP_HEALTH_STUCK, 503, 503, "stuck\nr: s\n", "not ready\nr: s\n"},
    };
    struct fixture *fixture = *state;

    fixture->reasons = "r: s\n";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture->answer = rows[i].answer;
        expect_page(fixture, "/live", rows[i].live, rows[i].live_body);
        expect_page(fixture, "/ready", rows[i].ready, rows[i].ready_body);
    }
}

static void other_paths_and_methods_are_refused_with_what_there_is(void **state)
{
    char got[4096];

    expect_page(*state, "/", 404, "there are /metrics, /live and /ready\n");
    expect_page(*state, "/metrics/x", 404, "there are /metrics, /live and /ready\n");
    request(*state, "POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", got, sizeof got);
    assert_non_null(strstr(got, " 405 "));
    request(*state, "HEAD /live HTTP/1.0\r\n\r\n", got, sizeof got);
    assert_non_null(strstr(got, " 200 "));
    assert_null(strstr(got, "live"));
    request(*state, "\x16\x03\x01 nonsense\r\n\r\n", got, sizeof got);
    expect_page(*state, "/live", 200, "live\n");
}

static void it_listens_on_its_own_address_only(void **state)
{
    const struct fixture *fixture = *state;
    int fd = connect_to("127.0.0.2", np_health_port(fixture->health));

    assert_int_equal(fd, -1);
    expect_page(fixture, "/live", 200, "live\n");
}

static void a_taken_port_and_a_bad_address_give_an_error_that_names_them(void **state)
{
    static const char *const bad[] = {"9464",           "127.0.0.1", "127.0.0.1:", ":9464", "::1:9464",
                                      "127.0.0.1:http", ""};
    struct fixture *fixture = *state;
    struct np_health_source source = {.state = answer_state, .context = fixture};
    struct np_health *second = NULL;
    struct np_error err = {0};
    char address[64], expected[128];

    snprintf(address, sizeof address, "127.0.0.1:%u", np_health_port(fixture->health));
    assert_int_equal(np_health_open(&second, address, fixture->metrics, &source, &err), NP_ECONFIG);
    snprintf(expected, sizeof expected, "http: cannot listen on %s: Address already in use", address);
    assert_string_equal(err.text, expected);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(np_health_open(&second, bad[i], fixture->metrics, &source, &err), NP_ECONFIG);
        assert_non_null(strstr(err.text, bad[i]));
    }
    assert_null(second);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(metrics_are_served_as_prometheus_text),
        WITH_SERVER(ready_tells_the_state_with_its_reasons),
        WITH_SERVER(other_paths_and_methods_are_refused_with_what_there_is),
        WITH_SERVER(it_listens_on_its_own_address_only),
        WITH_SERVER(a_taken_port_and_a_bad_address_give_an_error_that_names_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
