/* Names in recordings come in whatever code page the device had; results are UTF-8. */
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/file_reader.h"
#include "pipeline/utf8.h"

/* Bytes that the code page does not have become "?". */
static void convert(iconv_t converter, char *from, size_t n, char *to, size_t room)
{
    while (n > 0) {
        if (iconv(converter, &from, &n, &to, &room) != (size_t)-1 || room == 0)
            break;
        *to++ = '?';
        room--;
        from++;
        n--;
    }
    *to = '\0';
}

/* Names become keys and rows: without control characters, and no longer than those that come in messages. */
static void tidy(char *name)
{
    size_t n = 0, step;

    for (; (step = np_utf8_next(name + n, strlen(name + n))) > 0 && n + step <= NP_NAME_MAX_BYTES; n += step)
        if ((unsigned char)name[n] < 0x20 || name[n] == 0x7f)
            name[n] = ' ';
    name[n] = '\0';
}

enum np_status np_file_utf8(const struct np_file *file, const char *text, char **out, struct np_error *err)
{
    const char *page = file->options.code_page ? file->options.code_page : "CP1252";
    size_t n = strlen(text);
    iconv_t converter;
    char *copy;

    if (np_utf8_valid(text, n)) {
        copy = strdup(text);
        goto out;
    }
    converter = iconv_open("UTF-8", page);
    if (converter == (iconv_t)-1)
        return np_fail(err, NP_ECONFIG,
                       "%s: unknown code page \"%s\"; iconv --list shows those that can be given", file->name,
                       page);
    copy = malloc(4 * n + 1);
    if (copy)
        convert(converter, (char *)text, n, copy, 4 * n);
    iconv_close(converter);
out:
    if (copy)
        tidy(copy);
    *out = copy;
    return copy ? NP_OK : np_fail(err, NP_ENOMEM, "%s: out of memory", file->name);
}
