#include "pipeline/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#ifdef NP_SYSTEMD
#include <systemd/sd-daemon.h>
#else
static int sd_notify(int unset_environment, const char *state)
{
    (void)unset_environment, (void)state;
    return 0;
}

static int sd_watchdog_enabled(int unset_environment, uint64_t *usec)
{
    (void)unset_environment, (void)usec;
    return 0;
}
#endif

void np_notify_ready(void)
{
    sd_notify(0, "READY=1");
}

void np_notify_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void np_notify_status(const char *format, ...)
{
    char text[512] = "STATUS=";
    va_list args;

    va_start(args, format);
    vsnprintf(text + 7, sizeof text - 7, format, args);
    va_end(args);
    for (char *c = text + 7; *c; c++)
        if (*c == '\n')    /* a line end would begin another assignment */
            *c = ' ';
    sd_notify(0, text);
}

void np_notify_extend(int64_t more_ms)
{
    char text[64];

    snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%" PRId64, more_ms * 1000);
    sd_notify(0, text);
}

int64_t np_notify_watchdog_ms(void)
{
    uint64_t usec = 0;

    return sd_watchdog_enabled(0, &usec) > 0 ? (int64_t)(usec / 2000) : 0;
}

void np_notify_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}
