#include "pipeline/column.h"

#include <stdlib.h>
#include <string.h>

static void column_free(struct np_column *column)
{
    free((char *)column->name);
    free((char *)column->unit);
    free((char *)column->help);
}

int np_columns_add(struct np_columns *columns, const struct np_column *column)
{
    struct np_column *items = realloc(columns->items, (columns->n + 1) * sizeof *items);
    struct np_column copy = {.type = column->type};

    if (!items)
        return -1;
    columns->items = items;
    copy.name = strdup(column->name);
    copy.unit = strdup(column->unit ? column->unit : "");
    copy.help = strdup(column->help ? column->help : "");
    if (!copy.name || !copy.unit || !copy.help) {
        column_free(&copy);
        return -1;
    }
    items[columns->n++] = copy;
    return 0;
}

void np_columns_free(struct np_columns *columns)
{
    if (!columns)
        return;
    for (size_t i = 0; i < columns->n; i++)
        column_free(&columns->items[i]);
    free(columns->items);
    *columns = (struct np_columns){0};
}

int np_columns_find(const struct np_columns *columns, const char *name)
{
    for (size_t i = 0; i < columns->n; i++)
        if (strcmp(columns->items[i].name, name) == 0)
            return (int)i;
    return -1;
}
