/* Reads a whole recording from memory, as replay would. */
#ifndef NP_FUZZ_FILE_H
#define NP_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every sample and time is touched, so that a sanitizer sees what lies outside. */
static inline void fuzz_file(const char *name, const struct np_file_options *options, const uint8_t *data,
                             size_t n)
{
    FILE *stream = n ? fmemopen((void *)data, n, "rb") : NULL;
    struct np_blocks blocks = {0};
    struct np_file *file = NULL;
    struct np_error err;
    volatile double sum = 0;

    if (!stream || np_file_open_stream(&file, stream, name, options, &err) != NP_OK)
        return;
    for (int calls = 0; calls < 1000 && np_file_next(file, &blocks, &err) == NP_OK; calls++)
        for (size_t b = 0; b < blocks.n; b++) {
            if (blocks.items[b].n == 0)
                abort(); /* an empty block would make replay run for ever */
            for (uint32_t i = 0; i < blocks.items[b].n; i++)
                sum = sum + blocks.items[b].x[i] +
                      (blocks.items[b].times ? (double)blocks.items[b].times[i] : 0);
        }
    np_file_close(file);
    np_blocks_free(&blocks);
}

#endif
