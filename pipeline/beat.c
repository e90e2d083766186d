#include "pipeline/beat.h"

#include <stddef.h>
#include <time.h>

int64_t np_beat_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void np_beat_give(struct np_beat *beat, bool waits)
{
    if (!beat)
        return;
    atomic_store(&beat->waits, waits);
    atomic_store(&beat->at_ns, np_beat_clock_ns());
}

enum np_beat_state np_beat_judge(const struct np_beat *beat, int64_t now_ns, int64_t limit_ns,
                                 int64_t *age_ns)
{
    int64_t at = atomic_load(&beat->at_ns), age = at && now_ns > at ? now_ns - at : 0;

    if (age_ns)
        *age_ns = age;
    if (atomic_load(&beat->waits))
        return age > NP_BEAT_WAITS_NS ? NP_BEAT_WAITS : NP_BEAT_GOES;
    return age > limit_ns ? NP_BEAT_STUCK : NP_BEAT_GOES;
}
