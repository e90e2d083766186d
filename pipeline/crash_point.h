/* Named places where the fault tests kill the process. Built with -DNP_CRASH_POINTS=ON,
 * NP_CRASH_POINT("sink.after_flush") sends SIGKILL to its own process when the environment has
 * NP_CRASH_AT=sink.after_flush, or, with NP_CRASH_AT=sink.after_flush:7, when it is passed for the seventh
 * time. In every other build it is nothing. */
#ifndef NP_CRASH_POINT_H
#define NP_CRASH_POINT_H

#ifdef NP_CRASH_POINTS
/** Kills the process if NP_CRASH_AT names this point and its count is reached. Any thread. */
void np_crash_point(const char *name);
#define NP_CRASH_POINT(name) np_crash_point(name)
#else
#define NP_CRASH_POINT(name) ((void)0)
#endif

#endif
