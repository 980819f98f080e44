/* SPDX-License-Identifier: Apache-2.0 */
/* The echo server's listener, options and life. */
#include "echo/echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo/conn.h"

enum {
    ACCEPT_BATCH = 64,
    BACKLOG = 4096,
};

#define PAUSE_NS (100 * SQ_NS_PER_MS)
#define HANDSHAKE_TIMEOUT_NS (10 * SQ_NS_PER_S)
#define MESSAGE_BYTES_MAX (UINT64_C(64) << 20)
#define BUFFERED_BYTES_MAX (UINT64_C(1) << 30)
#define CONNECTIONS_MAX 1000000u

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int parse_address(const char *text, uint16_t port, union address *out, socklen_t *len)
{
    *out = (union address){0};
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        *len = sizeof out->v4;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *len = sizeof out->v6;
        return 0;
    }
    return SQ_EINVALID;
}

static bool may_accept(const struct sq_echo *echo)
{
    return echo->stats.connections < echo->connections_max && !sq_timer_running(&echo->pause);
}

void sq_echo_accept_more(struct sq_echo *echo)
{
    sq_io_update(echo->loop, &echo->listener, may_accept(echo) ? SQ_IO_READ : 0);
}

static void pause_over(struct sq_timer *timer)
{
    sq_echo_accept_more(SQ_CONTAINER_OF(timer, struct sq_echo, pause));
}

static void listener_ready(struct sq_io *io, unsigned events)
{
    struct sq_echo *echo = SQ_CONTAINER_OF(io, struct sq_echo, listener);

    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && may_accept(echo); i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        bool full = fd < 0
                        ? errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM
                        : sq_echo_conn_start(echo, fd) < 0;
        if (full)
            sq_timer_start(echo->loop, &echo->pause, sq_loop_now(echo->loop) + PAUSE_NS);
        else if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            break;
    }
    if (!may_accept(echo))
        sq_io_update(echo->loop, io, 0);
}

static int listen_on(struct sq_echo *echo, const struct sq_echo_options *options,
                     struct sq_error *err)
{
    const char *text = options->address ? options->address : "127.0.0.1";
    union address address;
    socklen_t len;
    int one = 1, rc;

    if (parse_address(text, options->port, &address, &len) < 0)
        return sq_error_set(err, SQ_EINVALID, "'%s' is not an IP address to listen on", text);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        rc = -errno;
        return sq_error_set(err, rc, "cannot make a socket: %s", sq_status_text(rc));
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    rc = bind(fd, &address.any, len) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
    if (rc == 0 && getsockname(fd, &address.any, &len) < 0)
        rc = -errno;
    if (rc == 0)
        rc = sq_io_start(echo->loop, &echo->listener, fd, SQ_IO_READ);
    if (rc < 0) {
        close(fd);
        return sq_error_set(err, rc, "cannot listen on %s port %u: %s", text, options->port,
                            sq_status_text(rc));
    }
    echo->port =
        ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return 0;
}

static void turn_end(struct sq_deferred *deferred)
{
    sq_echo_conns_turn_end(SQ_CONTAINER_OF(deferred, struct sq_echo, turn_end));
}

int sq_echo_start(struct sq_loop *loop, const struct sq_echo_options *options, struct sq_echo **out,
                  struct sq_error *err)
{
    struct sq_echo *echo = sq_xcalloc(1, sizeof *echo);
    const struct sq_echo_options *o = options;
    int rc = 0;

    *out = NULL;
    echo->loop = loop;
    echo->listener = (struct sq_io){.ready = listener_ready, .fd = -1};
    echo->pause = SQ_TIMER_INIT(pause_over);
    echo->turn_end.run = turn_end;
    sq_list_init(&echo->turn_end.node);
    sq_list_init(&echo->conns);
    sq_list_init(&echo->dead);
    sq_list_init(&echo->rooms);
    sq_list_init(&echo->flush);
    echo->deflate_pool = sq_ws_deflate_pool_new();
    echo->no_deflate = o->no_deflate;
    echo->connections_max = o->connections_max ? o->connections_max : CONNECTIONS_MAX;
    echo->message_bytes_max = o->message_bytes_max ? o->message_bytes_max : MESSAGE_BYTES_MAX;
    echo->buffered_bytes_max = o->buffered_bytes_max ? o->buffered_bytes_max : BUFFERED_BYTES_MAX;
    echo->handshake_timeout_ns =
        o->handshake_timeout_ns ? o->handshake_timeout_ns : HANDSHAKE_TIMEOUT_NS;

    if (o->tls)
        rc = sq_echo_tls_new(o->tls_cert, o->tls_key, &echo->tls, err);
    if (rc == 0)
        rc = listen_on(echo, o, err);
    if (rc < 0)
        goto out;
    *out = echo; /* ownership moves to the caller */
    echo = NULL;
out:
    sq_echo_stop(echo);
    return rc;
}

void sq_echo_stop(struct sq_echo *echo)
{
    if (!echo)
        return;
    int fd = echo->listener.fd;
    sq_io_stop(echo->loop, &echo->listener);
    if (fd >= 0)
        close(fd);
    sq_timer_stop(echo->loop, &echo->pause);
    SQ_LIST_FOR_EACH (node, &echo->conns) {
        sq_echo_conn_stop(SQ_CONTAINER_OF(node, struct sq_echo_conn, node));
    }
    sq_echo_conns_turn_end(echo);
    sq_list_remove(&echo->turn_end.node);
    while (echo->spare_count > 0)
        sq_buf_deinit(&echo->spares[--echo->spare_count]);
    sq_ws_deflate_pool_free(echo->deflate_pool);
    sq_echo_tls_free(echo->tls);
    free(echo);
}

uint16_t sq_echo_port(const struct sq_echo *echo)
{
    return echo->port;
}

void sq_echo_stats(const struct sq_echo *echo, struct sq_echo_stats *out)
{
    *out = echo->stats;
}
