#include <stdlib.h>
#include <string.h>

#include "pipeline/record.h"

unsigned char *np_bytes_reserve(struct np_bytes *bytes, size_t more)
{
    if (more > bytes->capacity - bytes->n) {
        size_t capacity = bytes->capacity ? bytes->capacity : 256;
        unsigned char *data;

        if (more > SIZE_MAX / 2 - bytes->n)
            return NULL;
        while (capacity - bytes->n < more)
            capacity *= 2;
        data = realloc(bytes->data, capacity);
        if (!data)
            return NULL;
        bytes->data = data;
        bytes->capacity = capacity;
    }
    return bytes->data + bytes->n;
}

int np_bytes_append(struct np_bytes *bytes, const void *data, size_t n)
{
    unsigned char *at;

    if (n == 0)
        return 0;
    at = np_bytes_reserve(bytes, n);
    if (!at)
        return -1;
    memcpy(at, data, n);
    bytes->n += n;
    return 0;
}

void np_bytes_free(struct np_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct np_bytes){0};
}
