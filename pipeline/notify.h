/* What the program tells systemd (sd_notify(3)): Type=notify, WatchdogSec=. All of it does nothing where
 * NOTIFY_SOCKET is not set, and in a build without libsystemd (NP_SYSTEMD=OFF). Threads: any. */
#ifndef NP_NOTIFY_H
#define NP_NOTIFY_H

#include <stdint.h>

/** The program has taken up its work: what waits for the unit may start. */
void np_notify_ready(void);
/** The program has begun to stop. */
void np_notify_stopping(void);
/** One line for `systemctl status`, printf-style: "12 partitions, lag 3 s". No secret in it. */
void np_notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Asks for more time to start or stop than the unit allows. */
void np_notify_extend(int64_t more_ms);

/** How often np_notify_alive() should be called: half of WatchdogSec. @return [ms], 0: no watchdog */
int64_t np_notify_watchdog_ms(void);
/** The work goes on. To be called by the code that would hang, not by a timer beside it. */
void np_notify_alive(void);

#endif
