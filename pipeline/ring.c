#include "pipeline/ring.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/hash.h"

static const double drift_share = 200e-6;     /* of the block before */

void np_grave_empty(struct np_grave *grave)
{
    for (size_t i = 0; i < grave->n; i++)
        free(grave->items[i]);
    grave->n = 0;
}

void np_grave_free(struct np_grave *grave)
{
    np_grave_empty(grave);
    free(grave->items);
    *grave = (struct np_grave){0};
}

static bool grave_has_room(struct np_grave *grave)
{
    size_t capacity = grave->capacity ? grave->capacity * 2 : 64;
    float **more;

    if (grave->n < grave->capacity)
        return true;
    more = realloc(grave->items, capacity * sizeof *more);
    if (!more)
        return false;
    grave->items = more;
    grave->capacity = capacity;
    return true;
}

void np_ring_free(struct np_ring *ring)
{
    if (!ring->readings)
        for (uint32_t i = 0; i < ring->n; i++)
            free(ring->segments[i].x);
    free(ring->segments);
    free(ring->items);
    memset(ring, 0, sizeof *ring);
}

static int64_t after(int64_t t0_ns, double samples, double rate_hz)
{
    return t0_ns + llround(samples * 1e9 / rate_hz);
}

/* First index in 0..n whose time is at or after time_ns; n if none. */
static uint32_t first_at(const struct np_segment *seg, int64_t time_ns)
{
    double i;

    if (time_ns <= seg->t0_ns)
        return 0;
    if (time_ns >= seg->end_ns)
        return seg->n;
    i = ceil((double)(time_ns - seg->t0_ns) * seg->rate_hz * 1e-9 - NP_BORDER_SLACK);
    return i < seg->n ? (uint32_t)i : seg->n;
}

/* Copies and counts in one pass: a block is read from memory only once. */
__attribute__((optimize("O3"))) static uint32_t copy_counting_nan(float *to, const float *from, uint32_t n)
{
    uint32_t n_nan = 0;

    for (uint32_t i = 0; i < n; i++) {
        to[i] = from[i];
        n_nan += from[i] != from[i];
    }
    return n_nan;
}

static bool grow(struct np_ring *ring, size_t item_size, void **items)
{
    uint32_t capacity = ring->capacity ? ring->capacity * 2 : 4;
    void *more;

    if (ring->n < ring->capacity)
        return true;
    more = realloc(*items, capacity * item_size);
    if (!more)
        return false;
    *items = more;
    ring->capacity = capacity;
    return true;
}

enum np_put np_ring_put_block(struct np_ring *ring, const struct np_block *block, int64_t offset)
{
    struct np_segment seg = {.t0_ns = block->t0_ns, .rate_hz = block->rate_hz, .offset = offset, .n = block->n,
                             .end_ns = after(block->t0_ns, block->n, block->rate_hz)};
    uint32_t at = ring->n;

    while (at && (ring->segments[at - 1].t0_ns > seg.t0_ns ||
                  (ring->segments[at - 1].t0_ns == seg.t0_ns && ring->segments[at - 1].offset > offset)))
        at--;
    for (uint32_t i = at; i-- && ring->segments[i].t0_ns == seg.t0_ns;)
        if (ring->segments[i].n == seg.n && ring->segments[i].rate_hz == seg.rate_hz)
            return NP_PUT_DUPLICATE;
    if (!grow(ring, sizeof seg, (void **)&ring->segments))
        return NP_PUT_NO_MEMORY;
    seg.x = malloc(((size_t)seg.n + NP_ROW_ALIGN) * sizeof *seg.x);    /* padded: kernels may read it in place */
    if (!seg.x)
        return NP_PUT_NO_MEMORY;
    memset(seg.x + seg.n, 0, NP_ROW_ALIGN * sizeof *seg.x);
    seg.n_nan = copy_counting_nan(seg.x, block->x, seg.n);
    memmove(ring->segments + at + 1, ring->segments + at, (ring->n - at) * sizeof seg);
    ring->segments[at] = seg;
    ring->n++;
    ring->rate_hz = seg.rate_hz;
    return NP_PUT_TAKEN;
}

enum np_put np_ring_put_reading(struct np_ring *ring, int64_t time_ns, float value, float coverage, int64_t offset)
{
    struct np_reading item = {.time_ns = time_ns, .offset = offset, .value = value, .coverage = coverage};
    uint32_t at;

    ring->readings = true;
    if (ring->first && ring->n == ring->capacity) {      /* move down before growing */
        ring->n -= ring->first;
        memmove(ring->items, ring->items + ring->first, ring->n * sizeof item);
        ring->first = 0;
    }
    at = ring->n;
    while (at > ring->first && ring->items[at - 1].time_ns > time_ns)
        at--;
    if (at > ring->first && ring->items[at - 1].time_ns == time_ns)
        return NP_PUT_DUPLICATE;
    if (!grow(ring, sizeof item, (void **)&ring->items))
        return NP_PUT_NO_MEMORY;
    memmove(ring->items + at + 1, ring->items + at, (ring->n - at) * sizeof item);
    ring->items[at] = item;
    ring->n++;
    return NP_PUT_TAKEN;
}

void np_ring_drop_before(struct np_ring *ring, int64_t time_ns)
{
    uint32_t kept = 0, i;

    if (ring->readings) {
        while (ring->first < ring->n && ring->items[ring->first].time_ns < time_ns)
            ring->first++;
        if (ring->first == ring->n)
            ring->first = ring->n = 0;
        return;
    }
    for (i = 0; i < ring->n && ring->segments[i].t0_ns < time_ns; i++) {
        struct np_segment *seg = &ring->segments[i];
        if (first_at(seg, time_ns) < seg->n || (ring->grave && !grave_has_room(ring->grave))) {
            ring->segments[kept++] = *seg;
            continue;
        }
        if (ring->grave)
            ring->grave->items[ring->grave->n++] = seg->x;
        else
            free(seg->x);
    }
    if (kept == i)
        return;
    memmove(ring->segments + kept, ring->segments + i, (ring->n - i) * sizeof *ring->segments);
    ring->n -= i - kept;
}

int64_t np_ring_first_time(const struct np_ring *ring)
{
    if (ring->first == ring->n)
        return NP_TIME_UNSET;
    return ring->readings ? ring->items[ring->first].time_ns : ring->segments[0].t0_ns;
}

int64_t np_ring_next_time(const struct np_ring *ring, int64_t from_ns)
{
    int64_t best = NP_TIME_UNSET;

    if (ring->readings) {
        for (uint32_t i = ring->first; i < ring->n; i++)
            if (ring->items[i].time_ns >= from_ns)
                return ring->items[i].time_ns;
        return best;
    }
    for (uint32_t i = 0; i < ring->n; i++) {
        const struct np_segment *seg = &ring->segments[i];
        uint32_t index = first_at(seg, from_ns);
        int64_t time_ns = index < seg->n ? after(seg->t0_ns, index, seg->rate_hz) : NP_TIME_UNSET;
        if (time_ns != NP_TIME_UNSET && (best == NP_TIME_UNSET || time_ns < best))
            best = time_ns;
        if (seg->t0_ns >= from_ns)
            break;               /* sorted: later blocks begin later */
    }
    return best;
}

int64_t np_ring_lowest_offset(const struct np_ring *ring)
{
    int64_t lowest = INT64_MAX;

    for (uint32_t i = ring->first; i < ring->n; i++) {
        int64_t offset = ring->readings ? ring->items[i].offset : ring->segments[i].offset;
        lowest = offset < lowest ? offset : lowest;
    }
    return lowest;
}

uint32_t np_ring_count(const struct np_ring *ring)
{
    return ring->n - ring->first;
}

uint64_t np_ring_hash(const struct np_ring *ring)
{
    uint64_t h = 0;

    for (uint32_t i = ring->first; i < ring->n; i++) {
        if (ring->readings) {
            const struct np_reading *item = &ring->items[i];
            uint64_t words[2] = {(uint64_t)item->time_ns, 0};
            memcpy(&words[1], &item->value, sizeof item->value);
            h = np_hash(words, sizeof words, h);
        } else {
            const struct np_segment *seg = &ring->segments[i];
            uint64_t words[3] = {(uint64_t)seg->t0_ns, (uint64_t)seg->offset, seg->n};
            h = np_hash(words, sizeof words, h);
        }
    }
    return h;
}

static struct np_span walk_readings(const struct np_ring *ring, int64_t from_ns, int64_t to_ns,
                                    void (*piece)(void *, const float *, uint32_t, int64_t, double, uint32_t),
                                    void *context)
{
    struct np_span span = {.rate_hz = ring->rate_hz, .last_ns = NP_TIME_UNSET, .coverage = 1.0f};
    double covered = 0, expected;
    uint32_t i = ring->first;

    while (i < ring->n && ring->items[i].time_ns < from_ns)
        i++;
    for (; i < ring->n && ring->items[i].time_ns < to_ns; i++) {
        const struct np_reading *item = &ring->items[i];
        if (piece)
            piece(context, &item->value, 1, item->time_ns, ring->rate_hz, 0);
        span.n++;
        span.n_nan += item->value != item->value;
        covered += item->value == item->value ? item->coverage : 0;
        span.last_ns = item->time_ns;
    }
    expected = ring->rate_hz > 0 ? round((double)(to_ns - from_ns) * ring->rate_hz * 1e-9) : span.n;
    if (span.n < expected)
        span.missing = (uint32_t)expected - span.n;
    if (expected > 0)
        span.coverage = covered < expected ? (float)(covered / expected) : 1.0f;
    return span;
}

struct walk {
    struct np_span span;
    int64_t from_ns, to_ns;
    struct np_expectation next;
};

static double samples_between(int64_t from_ns, int64_t to_ns, double rate_hz)
{
    return (double)(to_ns - from_ns) * rate_hz * 1e-9;
}

/* Judges the start of a block against where it was expected. @return samples of it that are duplicates */
static uint32_t join(struct walk *w, const struct np_segment *seg, uint32_t from)
{
    int64_t start_ns = after(seg->t0_ns, from, seg->rate_hz);
    double tolerance = 0.5 + drift_share * w->next.block, distance, before = 0;

    if (w->next.time_ns == NP_TIME_UNSET) {      /* the first block of all: any phase is right */
        distance = floor(samples_between(w->from_ns, start_ns, seg->rate_hz) + NP_BORDER_SLACK);
        w->span.missing += distance > 0 ? (uint32_t)fmin(distance, UINT32_MAX) : 0;
        return 0;
    }
    distance = samples_between(w->next.time_ns, start_ns, seg->rate_hz);
    if (distance < -tolerance)
        return (uint32_t)fmin(round(-distance), UINT32_MAX);
    if (distance <= tolerance)
        return 0;
    if (w->next.time_ns < w->from_ns)            /* what was missing before this window was told there */
        before = ceil(samples_between(w->next.time_ns, w->from_ns, seg->rate_hz) - NP_BORDER_SLACK);
    w->span.missing += (uint32_t)fmax(0, fmin(round(distance) - before, UINT32_MAX));
    return 0;
}

/* Samples missing between the last block and the end of the window. */
static void close_end(struct walk *w)
{
    double left = samples_between(w->next.time_ns, w->to_ns, w->span.rate_hz);

    if (left <= 0.5 + drift_share * w->next.block)
        return;
    w->span.missing += (uint32_t)fmin(round(left), UINT32_MAX);
    w->next.time_ns = after(w->next.time_ns, round(left), w->span.rate_hz);
}

struct np_span np_ring_walk(const struct np_ring *ring, int64_t from_ns, int64_t to_ns,
                            struct np_expectation *next, bool open_end,
                            void (*piece)(void *context, const float *x, uint32_t n, int64_t t0_ns, double rate_hz,
                                          uint32_t missing_before),
                            void *context)
{
    struct walk w = {.span = {.last_ns = NP_TIME_UNSET, .coverage = 1.0f}, .from_ns = from_ns, .to_ns = to_ns,
                     .next = *next};
    double expected, lost;

    if (ring->readings)
        return walk_readings(ring, from_ns, to_ns, piece, context);
    for (uint32_t k = 0; k < ring->n && ring->segments[k].t0_ns < to_ns; k++) {
        const struct np_segment *seg = &ring->segments[k];
        uint32_t i = first_at(seg, from_ns), j = first_at(seg, to_ns), missing = w.span.missing, skip;

        if (i >= j)
            continue;
        skip = join(&w, seg, i);
        missing = w.span.missing - missing;
        w.span.duplicate += skip < j - i ? skip : j - i;
        if (skip >= j - i)
            continue;
        i += skip;
        w.span.x = w.span.n == 0 ? seg->x + i : NULL;
        if (w.span.n == 0)
            w.span.rate_hz = seg->rate_hz;
        w.span.mixed_rates |= seg->rate_hz != w.span.rate_hz;
        if (seg->n_nan)
            for (uint32_t s = i; s < j; s++)
                w.span.n_nan += seg->x[s] != seg->x[s];
        if (piece)
            piece(context, seg->x + i, j - i, after(seg->t0_ns, i, seg->rate_hz), seg->rate_hz, missing);
        w.span.n += j - i;
        w.span.last_ns = after(seg->t0_ns, j - 1, seg->rate_hz);
        w.next.time_ns = after(seg->t0_ns, j, seg->rate_hz);
        w.next.block = seg->n;
    }
    if (!w.span.n)
        return w.span;
    if (!open_end)
        close_end(&w);
    *next = w.next;
    expected = samples_between(from_ns, to_ns, w.span.rate_hz);
    lost = (double)w.span.missing + w.span.n_nan;
    if (lost > 0)
        w.span.coverage = lost < expected ? (float)(1.0 - lost / expected) : 0.0f;
    return w.span;
}
