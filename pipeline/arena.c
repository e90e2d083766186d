#include <stdlib.h>

#include "pipeline/task.h"

enum { page_size = 1 << 18 };

struct np_arena_page {
    struct np_arena_page *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

void *np_arena_get(struct np_arena *arena, size_t n)
{
    struct np_arena_page *page = arena->pages;
    void *got;

    n = (n + 15) & ~(size_t)15;
    if (!page || page->size - page->used < n) {
        size_t size = n > page_size ? n : page_size;
        page = malloc(sizeof *page + size);
        if (!page)
            return NULL;
        page->used = 0;
        page->size = size;
        page->next = arena->pages;
        arena->pages = page;
    }
    got = page->data + page->used;
    page->used += n;
    return got;
}

/* Keeps one page, so that steady work allocates nothing. */
void np_arena_reset(struct np_arena *arena)
{
    struct np_arena_page *page = arena->pages;

    if (!page)
        return;
    while (page->next) {
        struct np_arena_page *next = page->next;
        page->next = next->next;
        free(next);
    }
    page->used = 0;
}

void np_arena_free(struct np_arena *arena)
{
    np_arena_reset(arena);
    free(arena->pages);
    arena->pages = NULL;
}
