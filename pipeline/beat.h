/* A thread's sign of life: it says each time round that it goes on, somebody else judges how old that is. */
#ifndef NP_BEAT_H
#define NP_BEAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Starts as zeros: the thread has not begun its rounds, and nothing is expected of it. */
struct np_beat {
    _Atomic int64_t at_ns; /* monotonic; 0: not begun */
    atomic_bool waits;     /* for a server: however long that takes, a restart would not help */
};

enum np_beat_state {
    NP_BEAT_GOES,
    NP_BEAT_WAITS, /* for a server, for longer than NP_BEAT_WAITS_NS */
    NP_BEAT_STUCK, /* no sign for longer than the limit */
};

#define NP_BEAT_WAITS_NS INT64_C(10000000000)

/** The thread goes on. @param beat NULL: nobody looks. @param waits it is about to wait for a server */
void np_beat_give(struct np_beat *beat, bool waits);
/** Monotonic, as at_ns [ns]. */
int64_t np_beat_clock_ns(void);
/** @param age_ns  how old the last sign is; 0 if the thread has not begun; may be NULL */
enum np_beat_state np_beat_judge(const struct np_beat *beat, int64_t now_ns, int64_t limit_ns,
                                 int64_t *age_ns);

#endif
