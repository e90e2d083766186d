#include "pipeline/health.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 16u
#define CONNECTION_TIMEOUT_S 10u

struct np_health {
    struct MHD_Daemon *daemon;
    struct np_metrics *metrics;
    struct np_health_source source;
};

/* Writes a page. @return its HTTP status */
typedef unsigned int page_fn(struct np_health *health, FILE *out);

static unsigned int metrics_page(struct np_health *health, FILE *out)
{
    np_metrics_write(health->metrics, out);
    return MHD_HTTP_OK;
}

/* @param reasons  given: to be freed, NULL without memory */
static enum np_health_state ask(struct np_health *health, char **reasons)
{
    enum np_health_state state;
    size_t size;
    FILE *text = open_memstream(reasons, &size);

    if (!text)
        return NP_HEALTH_NOT_READY;
    state = health->source.state(health->source.context, text);
    if (fclose(text) != 0) {
        free(*reasons);
        *reasons = NULL;
    }
    return state;
}

static unsigned int live_page(struct np_health *health, FILE *out)
{
    char *reasons = NULL;
    bool stuck = ask(health, &reasons) == NP_HEALTH_STUCK;

    fprintf(out, "%s\n%s", stuck ? "stuck" : "live", stuck && reasons ? reasons : "");
    free(reasons);
    return stuck ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
}

static unsigned int ready_page(struct np_health *health, FILE *out)
{
    static const struct {
        const char *text;
        unsigned int status;
    } answers[] = {
        [NP_HEALTH_READY] = {"ready", MHD_HTTP_OK},
        [NP_HEALTH_DEGRADED] = {"degraded", MHD_HTTP_OK},
        [NP_HEALTH_NOT_READY] = {"not ready", MHD_HTTP_SERVICE_UNAVAILABLE},
        [NP_HEALTH_STUCK] = {"not ready", MHD_HTTP_SERVICE_UNAVAILABLE},
    };
    char *reasons = NULL;
    enum np_health_state state = ask(health, &reasons);

    fprintf(out, "%s\n%s", answers[state].text, reasons ? reasons : "");
    free(reasons);
    return answers[state].status;
}

static const struct {
    const char *path;
    page_fn *write;
} pages[] = {{"/metrics", metrics_page}, {"/live", live_page}, {"/ready", ready_page}};

static unsigned int write_page(struct np_health *health, const char *method, const char *path, FILE *out)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        fputs("only GET and HEAD\n", out);
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (strcmp(path, pages[i].path) == 0)
            return pages[i].write(health, out);
    fputs("there are /metrics, /live and /ready\n", out);
    return MHD_HTTP_NOT_FOUND;
}

static enum MHD_Result answer(void *health, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request)
{
    struct MHD_Response *response;
    enum MHD_Result result = MHD_NO;
    unsigned int status;
    char *text = NULL;
    size_t size;
    FILE *out;

    (void)version, (void)upload;
    if (!*request) {    /* the first call is for the headers only; the answer follows with the next */
        *request = health;
        return MHD_YES;
    }
    if (*upload_size) {    /* nothing that is sent here is read */
        *upload_size = 0;
        return MHD_YES;
    }
    out = open_memstream(&text, &size);
    if (!out)
        return MHD_NO;
    status = write_page(health, method, path, out);
    if (fclose(out) != 0) {
        free(text);
        return MHD_NO;
    }
    response = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                "text/plain; version=0.0.4; charset=utf-8") &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"))
        result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Splits "host:port", "[v6]:port". @return NP_OK, or NP_ECONFIG with what is allowed */
static enum np_status resolve(const char *address, struct addrinfo **out, struct np_error *err)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    const char *colon = strrchr(address, ':'), *start = address;
    size_t length = colon ? (size_t)(colon - address) : 0;
    char host[256];
    int rc;

    if (length >= 2 && start[0] == '[' && start[length - 1] == ']') {
        start++;
        length -= 2;
    } else if (memchr(start, ':', length)) {
        length = 0;    /* a bare IPv6 address: where does the port begin? */
    }
    if (length == 0 || length >= sizeof host || !colon[1])
        return np_fail(
            err, NP_ECONFIG,
            "http: \"%s\" is not an address; allowed: HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464",
            address);
    memcpy(host, start, length);
    host[length] = '\0';
    rc = getaddrinfo(host, colon + 1, &hints, out);
    if (rc != 0)
        return np_fail(err, NP_ECONFIG, "http: \"%s\": %s", address, gai_strerror(rc));
    return NP_OK;
}

/* The library forgets errno on its way out of a failed start, so the socket is made here. @return -1 with errno */
static int listen_at(const struct addrinfo *place)
{
    int fd = socket(place->ai_family, place->ai_socktype | SOCK_CLOEXEC, 0), yes = 1, failed;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);    /* a restart need not wait; no second listener */
    if (bind(fd, place->ai_addr, place->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    failed = errno;
    close(fd);
    errno = failed;
    return -1;
}

enum np_status np_health_open(struct np_health **out, const char *address, struct np_metrics *metrics,
                              const struct np_health_source *source, struct np_error *err)
{
    struct addrinfo *place = NULL;
    struct np_health *health;
    sigset_t all, before;
    int fd;
    enum np_status st = resolve(address, &place, err);

    if (st != NP_OK)
        return st;
    health = calloc(1, sizeof *health);
    if (!health) {
        st = np_fail(err, NP_ENOMEM, "http: the server");
        goto done;
    }
    health->metrics = metrics;
    health->source = *source;
    /* signals belong to the main thread; a new thread inherits the mask */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    fd = listen_at(place);
    if (fd >= 0)
        health->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, health,
                                          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
                                          MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!health->daemon) {
        st = np_fail(err, NP_ECONFIG, "http: cannot listen on %s: %s", address, strerror(errno));
        if (fd >= 0)
            close(fd);
        np_health_close(health);
        goto done;
    }
    *out = health;
done:
    freeaddrinfo(place);
    return st;
}

void np_health_close(struct np_health *health)
{
    if (!health)
        return;
    if (health->daemon)
        MHD_stop_daemon(health->daemon);
    free(health);
}

uint16_t np_health_port(const struct np_health *health)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(health->daemon, MHD_DAEMON_INFO_LISTEN_FD);
    struct sockaddr_storage place = {0};
    socklen_t length = sizeof place;

    if (!info || getsockname(info->listen_fd, (struct sockaddr *)&place, &length) != 0)
        return 0;
    return ntohs(place.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&place)->sin6_port
                                             : ((struct sockaddr_in *)&place)->sin_port);
}
