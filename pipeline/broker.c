#include "pipeline/broker.h"

#include <stdlib.h>
#include <string.h>

#define NO_VALUE UINT32_MAX

struct np_member *np_member_use(struct np_member *member)
{
    atomic_fetch_add(&member->users, 1);
    return member;
}

void np_member_drop(struct np_member *member)
{
    if (!member || atomic_fetch_sub(&member->users, 1) > 1)
        return;
    if (member->free)
        member->free(member->native);
    free(member);
}

int np_header_put(struct np_bytes *headers, const char *name, const void *value, size_t n)
{
    uint32_t length = value ? (uint32_t)n : NO_VALUE;

    if (np_bytes_append(headers, &length, sizeof length) || np_bytes_append(headers, name, strlen(name) + 1))
        return -1;
    return value ? np_bytes_append(headers, value, n) : 0;
}

bool np_header_next(const unsigned char **at, const unsigned char *end, const char **name, const void **value,
                    size_t *n)
{
    uint32_t length;

    if (*at >= end)
        return false;
    memcpy(&length, *at, sizeof length);
    *name = (const char *)*at + sizeof length;
    *at += sizeof length + strlen(*name) + 1;
    *value = length == NO_VALUE ? NULL : *at;
    *n = length == NO_VALUE ? 0 : length;
    *at += *n;
    return true;
}
