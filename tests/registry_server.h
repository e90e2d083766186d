/* A schema registry for tests: a thread that answers HTTP on a loopback port as it is told to. */
#ifndef REGISTRY_SERVER_H
#define REGISTRY_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct registry_server {
    int listener;
    int port;
    pthread_t thread;
    atomic_int asked; /* requests so far */
    /* what the next answers are; set between requests */
    int code;
    const char *body;
    char request[65536]; /* the last one */
};

static void server_answer(struct registry_server *server, int client)
{
    size_t n = 0, wanted = 0;
    char head[256];

    for (;;) {
        ssize_t got = read(client, server->request + n, sizeof server->request - 1 - n);
        char *end, *length;

        if (got <= 0)
            break;
        n += (size_t)got;
        server->request[n] = '\0';
        end = strstr(server->request, "\r\n\r\n");
        if (!end)
            continue;
        length = strcasestr(server->request, "content-length:");
        wanted =
            (size_t)(end + 4 - server->request) + (length && length < end ? (size_t)atoi(length + 15) : 0);
        if (n >= wanted)
            break;
    }
    server->asked++;
    n = (size_t)snprintf(head, sizeof head,
                         "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", server->code,
                         strlen(server->body));
    if (write(client, head, n) < 0 || write(client, server->body, strlen(server->body)) < 0)
        perror("registry server");
}

static void *server_run(void *context)
{
    struct registry_server *server = context;

    for (;;) {
        int client = accept(server->listener, NULL, NULL);

        if (client < 0)
            return NULL;
        server_answer(server, client);
        close(client);
    }
}

static bool server_start(struct registry_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    memset(server, 0, sizeof *server);
    server->code = 200;
    server->body = "{}";
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->listener, 8) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) != 0)
        return false;
    server->port = ntohs(address.sin_port);
    return pthread_create(&server->thread, NULL, server_run, server) == 0;
}

static void server_stop(struct registry_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

#endif
