#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/node.h"

void np_mistake_add(struct np_mistakes *mistakes, const struct np_node *node, const char *format, ...)
{
    struct np_mistake *items = realloc(mistakes->items, (mistakes->n + 1) * sizeof *items);
    struct np_mistake mistake = {.line = node ? node->line : 1, .column = node ? node->column : 1};
    va_list args;
    int printed;

    if (!items) {
        mistakes->out_of_memory = true;
        return;
    }
    mistakes->items = items;
    va_start(args, format);
    printed = vasprintf(&mistake.text, format, args);
    va_end(args);
    if (printed == -1) {
        mistakes->out_of_memory = true;
        return;
    }
    items[mistakes->n++] = mistake;
}

bool np_mistakes_any(const struct np_mistakes *mistakes)
{
    return mistakes->n > 0 || mistakes->out_of_memory;
}

static int by_place(const void *left, const void *right)
{
    const struct np_mistake *a = *(const struct np_mistake *const *)left;
    const struct np_mistake *b = *(const struct np_mistake *const *)right;

    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a < b ? -1 : a > b; /* same place: in the order found */
}

void np_mistakes_print(const struct np_mistakes *mistakes, FILE *out)
{
    const struct np_mistake **sorted = malloc((mistakes->n + 1) * sizeof *sorted);

    for (size_t i = 0; sorted && i < mistakes->n; i++)
        sorted[i] = &mistakes->items[i];
    if (sorted)
        qsort(sorted, mistakes->n, sizeof *sorted, by_place);
    for (size_t i = 0; i < mistakes->n; i++) {
        const struct np_mistake *mistake = sorted ? sorted[i] : &mistakes->items[i];

        fprintf(out, "%s:%d:%d: %s\n", mistakes->file ? mistakes->file : "-", mistake->line, mistake->column,
                mistake->text);
    }
    if (mistakes->out_of_memory)
        fprintf(out, "%s: out of memory\n", mistakes->file ? mistakes->file : "-");
    free(sorted);
}

void np_mistakes_free(struct np_mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->n; i++)
        free(mistakes->items[i].text);
    free(mistakes->items);
    mistakes->items = NULL;
    mistakes->n = 0;
    mistakes->out_of_memory = false;
}

enum { LONGEST = 64 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: insert, delete, replace, swap of neighbours; letter case does not count. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][LONGEST + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= m; j++)
        above[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *recycled = before;

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                tolower((unsigned char)a[i - 2]) == y)
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = recycled;
    }
    return above[m];
}

const char *np_nearest(const char *text, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t length = strlen(text), limit = length / 3 > 2 ? length / 3 : 2, best = limit + 1;

    if (length > LONGEST)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(names[i]), distance;

        if (other > LONGEST)
            continue;
        distance = edit_distance(text, length, names[i], other);
        /* nothing in common is not near, however short */
        if (distance < best && distance < (length > other ? length : other)) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
