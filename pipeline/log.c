#include "pipeline/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/record.h"

static atomic_int lowest_level = NP_LOG_INFO;
static atomic_bool as_json;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void np_log_setup(enum np_log_level lowest, bool json)
{
    atomic_store(&lowest_level, (int)lowest);
    atomic_store(&as_json, json);
}

/* Appends text; what does not fit is cut off, with room left for the end of the line. */
static char *put(char *at, const char *end, const char *text, size_t n)
{
    size_t room = (size_t)(end - at);

    if (n > room)
        n = room;
    memcpy(at, text, n);
    return at + n;
}

/* A JSON string's inside. */
static char *put_json(char *at, const char *end, const char *text, size_t n)
{
    char escape[8];

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\') {
            escape[0] = '\\';
            escape[1] = (char)c;
            at = put(at, end, escape, 2);
        } else if (c < 0x20) {
            at = put(at, end, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        } else {
            at = put(at, end, text + i, 1);
        }
    }
    return at;
}

/* key=value or key="value with blanks", one after another, as members of a JSON object. All values are
 * strings. */
static char *put_pairs(char *at, const char *end, const char *pairs)
{
    while (*pairs) {
        size_t key = strcspn(pairs, "= "), value;
        const char *from;

        if (pairs[key] != '=') {
            pairs += key + (pairs[key] == ' ');
            continue;
        }
        at = put(at, end, ",\"", 2);
        at = put_json(at, end, pairs, key);
        at = put(at, end, "\":\"", 3);
        from = pairs + key + 1;
        if (*from == '"') {
            from++;
            value = strcspn(from, "\"");
            while (from[value] == '"' && from[value + 1] != ' ' && from[value + 1] != '\0')
                value += 1 + strcspn(from + value + 1, "\""); /* a quote inside the value */
            pairs = from + value + (from[value] == '"');
        } else {
            value = strcspn(from, " ");
            pairs = from + value;
        }
        at = put_json(at, end, from, value);
        at = put(at, end, "\"", 1);
        pairs += strspn(pairs, " ");
    }
    return at;
}

void np_log(enum np_log_level level, const char *component, const char *message, const char *format, ...)
{
    char pairs[3000] = "", line[4096], time_text[40];
    char *at = line, *end = line + sizeof line - 8;
    struct timespec now;
    va_list args;

    if ((int)level < atomic_load(&lowest_level))
        return;
    if (format) {
        va_start(args, format);
        vsnprintf(pairs, sizeof pairs, format, args);
        va_end(args);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    np_time_format((int64_t)now.tv_sec * 1000000000 + now.tv_nsec, time_text);
    if (atomic_load(&as_json)) {
        char head[200];

        at = put(at, end, head,
                 (size_t)snprintf(head, sizeof head,
                                  "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"message\":\"",
                                  time_text, level_names[level], component));
        at = put_json(at, end, message, strlen(message));
        at = put(at, end, "\"", 1);
        at = put_pairs(at, end - 2, pairs);
        at = put(at, line + sizeof line, "}", 1);
    } else {
        for (char *c = pairs; *c; c++)
            if (*c == '\n' || *c == '\r')
                *c = ' ';
        at += snprintf(at, (size_t)(end - at), "%s %s %s %s%s%s", time_text, level_names[level], component,
                       message, pairs[0] ? " " : "", pairs);
        if (at > end)
            at = end;
    }
    *at++ = '\n';
    /* one write, so that lines of several threads do not mix */
    if (write(STDERR_FILENO, line, (size_t)(at - line)) == -1)
        return;
}
