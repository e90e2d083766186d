#include "pipeline/status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
#define X(name, action, text) #name,
    NP_STATUS_MAP(X)
#undef X
};

static const char *const texts[] = {
#define X(name, action, text) text,
    NP_STATUS_MAP(X)
#undef X
};

const char *np_status_name(enum np_status status)
{
    return names[status];
}

const char *np_status_text(enum np_status status)
{
    return texts[status];
}

enum np_status np_fail(struct np_error *err, enum np_status status, const char *format, ...)
{
    va_list args;

    if (!err)
        return status;
    err->status = status;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return status;
}
