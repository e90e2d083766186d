#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pipeline/notify.h"

/* A socket in the abstract name space, as systemd may give one; @return it */
static int open_socket(void)
{
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    char name[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int n = snprintf(name, sizeof name, "@netzpuls-test-%d", (int)getpid());

    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);

    memcpy(place.sun_path + 1, name + 1, (size_t)n - 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&place, length), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void expect_message(int fd, const char *expected)
{
    char got[1024];
    ssize_t n = recv(fd, got, sizeof got - 1, 0);

    if (n < 0)
        fail_msg("no message; expected %s", expected);
    got[n] = '\0';
    assert_string_equal(got, expected);
}

static void each_message_reaches_the_socket(void **state)
{
    int fd = open_socket();

    (void)state;
    np_notify_ready();
    if (recv(fd, (char[1]){0}, 1, MSG_PEEK) < 0) {
        close(fd);
        skip();    /* a build without libsystemd */
    }
    expect_message(fd, "READY=1");
    np_notify_status("%d partitions\nlag %s", 12, "3 s");
    expect_message(fd, "STATUS=12 partitions lag 3 s");
    np_notify_extend(1500);
    expect_message(fd, "EXTEND_TIMEOUT_USEC=1500000");
    np_notify_alive();
    expect_message(fd, "WATCHDOG=1");
    np_notify_stopping();
    expect_message(fd, "STOPPING=1");
    close(fd);

    setenv("WATCHDOG_USEC", "10000000", 1);
    unsetenv("WATCHDOG_PID");
    assert_int_equal(np_notify_watchdog_ms(), 5000);
    unsetenv("WATCHDOG_USEC");
}

static void without_a_socket_nothing_happens(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    np_notify_ready();
    np_notify_status("x");
    np_notify_alive();
    np_notify_stopping();
    assert_int_equal(np_notify_watchdog_ms(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_reaches_the_socket),
        cmocka_unit_test(without_a_socket_nothing_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
