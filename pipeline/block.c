#include "pipeline/block.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for more entries of size bytes. @return false without memory */
static bool grow(void **data, size_t *capacity, size_t used, size_t more, size_t size)
{
    size_t wanted = *capacity ? *capacity : 64;
    void *moved;

    if (more <= *capacity - used)
        return true;
    if (more > SIZE_MAX / 4 / size - used)
        return false;
    while (wanted - used < more)
        wanted *= 2;
    moved = realloc(*data, wanted * size);
    if (!moved)
        return false;
    *data = moved;
    *capacity = wanted;
    return true;
}

void np_blocks_clear(struct np_blocks *blocks)
{
    blocks->n = 0;
    blocks->samples_used = 0;
    blocks->times_used = 0;
    blocks->strings_used = 0;
}

struct np_block *np_blocks_add(struct np_blocks *blocks)
{
    void *data = blocks->items;
    bool grown = grow(&data, &blocks->capacity, blocks->n, 1, sizeof *blocks->items);

    blocks->items = data;
    if (!grown)
        return NULL;
    blocks->items[blocks->n] = (struct np_block){.channel_index = -1};
    return &blocks->items[blocks->n++];
}

float *np_blocks_samples(struct np_blocks *blocks, size_t n)
{
    void *data = blocks->samples;
    bool grown = grow(&data, &blocks->samples_capacity, blocks->samples_used, n, sizeof *blocks->samples);

    blocks->samples = data;
    if (!grown || !data)
        return NULL;
    blocks->samples_used += n;
    return blocks->samples + blocks->samples_used - n;
}

int64_t *np_blocks_times(struct np_blocks *blocks, size_t n)
{
    void *data = blocks->times;
    bool grown = grow(&data, &blocks->times_capacity, blocks->times_used, n, sizeof *blocks->times);

    blocks->times = data;
    if (!grown || !data)
        return NULL;
    blocks->times_used += n;
    return blocks->times + blocks->times_used - n;
}

bool np_blocks_strings(struct np_blocks *blocks, size_t n)
{
    void *data = blocks->strings;
    bool grown = grow(&data, &blocks->strings_capacity, blocks->strings_used, n, 1);

    blocks->strings = data;
    return grown;
}

const char *np_blocks_string(struct np_blocks *blocks, const char *text, size_t length)
{
    char *at = blocks->strings + blocks->strings_used;

    memcpy(at, text, length);
    at[length] = '\0';
    blocks->strings_used += length + 1;
    return at;
}

void np_blocks_free(struct np_blocks *blocks)
{
    free(blocks->items);
    free(blocks->samples);
    free(blocks->times);
    free(blocks->strings);
    *blocks = (struct np_blocks){0};
}

int64_t np_block_last(const struct np_block *block)
{
    int64_t last = INT64_MIN;

    if (block->rate_hz > 0)
        return block->t0_ns + llround((block->n - 1) * 1e9 / block->rate_hz);
    for (uint32_t i = 0; i < block->n; i++)
        last = block->times[i] > last ? block->times[i] : last;
    return last;
}

bool np_block_is_in_time(const struct np_block *block)
{
    if (block->rate_hz > 0)
        return block->t0_ns >= NP_TIME_FIRST_NS &&
               (double)block->t0_ns + block->n * 1e9 / block->rate_hz <= (double)NP_TIME_LAST_NS;
    for (uint32_t i = 0; i < block->n; i++)
        if (block->times[i] < NP_TIME_FIRST_NS || block->times[i] > NP_TIME_LAST_NS)
            return false;
    return true;
}
