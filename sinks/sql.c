#include "sinks/sql.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* The server runs with standard_conforming_strings, so a quote is all that needs doubling. */
static int quoted(struct np_bytes *sql, const char *text, char quote)
{
    size_t n = strlen(text);
    unsigned char *out = np_bytes_reserve(sql, 2 * n + 2), *at = out;

    if (!out)
        return -1;
    *at++ = (unsigned char)quote;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == quote)
            *at++ = (unsigned char)quote;
        *at++ = (unsigned char)text[i];
    }
    *at++ = (unsigned char)quote;
    sql->n += (size_t)(at - out);
    return 0;
}

static int one(struct np_bytes *sql, char kind, va_list *args)
{
    char number[24];

    switch (kind) {
    case 's': {
        const char *text = va_arg(*args, const char *);

        return np_bytes_append(sql, text, strlen(text));
    }
    case 'I':
        return quoted(sql, va_arg(*args, const char *), '"');
    case 'L':
        return quoted(sql, va_arg(*args, const char *), '\'');
    case 'd':
        snprintf(number, sizeof number, "%d", va_arg(*args, int));
        return np_bytes_append(sql, number, strlen(number));
    case 'l':
        snprintf(number, sizeof number, "%" PRId64, va_arg(*args, int64_t));
        return np_bytes_append(sql, number, strlen(number));
    default:
        return np_bytes_append(sql, "%", 1);
    }
}

int np_sql(struct np_bytes *sql, const char *format, ...)
{
    va_list args;
    int rc = 0;

    va_start(args, format);
    while (rc == 0 && *format) {
        size_t plain = strcspn(format, "%");

        rc = np_bytes_append(sql, format, plain);
        format += plain;
        if (rc == 0 && *format) {
            rc = one(sql, format[1], &args);
            format += 2;
        }
    }
    va_end(args);
    if (rc == 0) {
        rc = np_bytes_append(sql, "", 1);
        sql->n -= rc == 0;
    }
    return rc;
}

const char *np_sql_text(const struct np_bytes *sql)
{
    return sql->n > 0 ? (const char *)sql->data : "";
}
