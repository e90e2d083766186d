#include "pipeline/crash_point.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void np_crash_point(const char *name)
{
    static atomic_long passed; /* only one point is armed in a process, so one counter does */
    const char *armed = getenv("NP_CRASH_AT");
    size_t n = strlen(name);
    long count = 1;

    if (!armed || strncmp(armed, name, n) != 0 || (armed[n] != '\0' && armed[n] != ':'))
        return;
    if (armed[n] == ':')
        count = strtol(armed + n + 1, NULL, 10);
    if (atomic_fetch_add(&passed, 1) + 1 != count)
        return;
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}
