#include "pipeline/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *np_file_read(const char *path, size_t limit, size_t *length, struct np_error *err)
{
    struct stat st;
    size_t used = 0, size;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe must not hang us */

    if (fd == -1 || fstat(fd, &st) == -1) {
        np_fail(err, NP_ECONFIG, "cannot read %s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        np_fail(err, NP_ECONFIG, "cannot read %s: not a file", path);
        goto out;
    }
    if (st.st_size < 0 || (size_t)st.st_size > limit) {
        np_fail(err, NP_ECONFIG, "cannot read %s: larger than %zu bytes", path, limit);
        goto out;
    }
    size = (size_t)st.st_size;
    text = malloc(size + 1);
    if (!text) {
        np_fail(err, NP_ENOMEM, "out of memory while reading %s", path);
        goto out;
    }
    while (used < size) {
        ssize_t got = read(fd, text + used, size - used);

        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1) {
            np_fail(err, NP_ECONFIG, "cannot read %s: %s", path, strerror(errno));
            free(text);
            text = NULL;
            goto out;
        }
        if (got == 0)
            break;
        used += (size_t)got;
    }
    text[used] = '\0';
    if (length)
        *length = used;
out:
    if (fd != -1)
        close(fd);
    return text;
}

char *np_file_beside(const char *base, const char *path)
{
    const char *slash = base ? strrchr(base, '/') : NULL;
    char *joined;

    if (path[0] == '/' || !slash)
        return strdup(path);
    if (asprintf(&joined, "%.*s/%s", (int)(slash - base), base, path) == -1)
        return NULL;
    return joined;
}
