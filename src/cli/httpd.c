/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/httpd.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "proto/http1/head.h"

enum {
    IDLE_NS_MAX = 60 * SQ_NS_PER_S,
    DRAIN_NS_MAX = SQ_NS_PER_S,
    FULL_NS = SQ_NS_PER_S / 10, /* between attempts while descriptors are short */
    READ_BYTES = 16 * 1024,
};

/* A connection is its current exchange. It outlives its socket while an answer is owed. */
struct sq_httpd_exchange {
    struct sq_list node;
    struct sq_httpd *httpd;
    struct sq_io io;
    struct sq_timer idle;
    struct sq_buf in, out;
    struct sq_http1_parser parser;
    size_t head_bytes, body_bytes; /* of the current request; head_bytes 0: not complete */
    size_t sent_bytes;
    bool owed;      /* the handler has the request */
    bool keep_open; /* after the answer */
    bool head_only;
    bool continued;           /* 100 Continue was sent */
    bool refused;             /* what else comes is read and forgotten */
    bool closing;             /* once all is sent */
    struct sq_deferred again; /* for requests that came ahead of an answer */
};

struct sq_httpd {
    struct sq_loop *loop;
    struct sq_io io;
    struct sq_timer full;
    struct sq_list connections;
    size_t connections_count;
    sq_httpd_handler handler;
    void *user;
    uint16_t port;
};

static void drop(struct sq_httpd_exchange *x)
{
    struct sq_loop *loop = x->httpd->loop;

    if (x->io.fd >= 0) {
        int fd = x->io.fd;
        sq_io_stop(loop, &x->io);
        close(fd);
        sq_timer_stop(loop, &x->idle);
    }
    if (x->owed)
        return;
    sq_list_remove(&x->node);
    sq_list_remove(&x->again.node);
    x->httpd->connections_count--;
    sq_buf_deinit(&x->in);
    sq_buf_deinit(&x->out);
    free(x);
}

/* ---- answers ---- */

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Internal Server Error";
    }
}

/* False: the connection is gone. */
static bool flush(struct sq_httpd_exchange *x)
{
    while (x->sent_bytes < x->out.len) {
        ssize_t n =
            send(x->io.fd, x->out.data + x->sent_bytes, x->out.len - x->sent_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            drop(x);
            return false;
        }
        if (n < 0)
            break;
        x->sent_bytes += (size_t)n;
    }
    bool all = x->sent_bytes == x->out.len;
    if (all)
        x->sent_bytes = x->out.len = 0;
    if (all && x->refused) {
        /* Closing on unread bytes would reset the connection and take the answer with it. */
        shutdown(x->io.fd, SHUT_WR);
        sq_timer_start(x->httpd->loop, &x->idle, sq_loop_now(x->httpd->loop) + DRAIN_NS_MAX);
    } else if (all && x->closing) {
        drop(x);
        return false;
    }
    sq_io_update(x->httpd->loop, &x->io, all ? SQ_IO_READ : SQ_IO_WRITE);
    return true;
}

static void put_answer(struct sq_httpd_exchange *x, int status, const char *type,
                       struct sq_slice body)
{
    sq_buf_printf(&x->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n",
                  status, reason(status), type, body.len,
                  x->keep_open ? "" : "Connection: close\r\n");
    x->closing = !x->keep_open;
    if (!x->head_only)
        sq_buf_put(&x->out, body.data, body.len);
}

void sq_httpd_answer(struct sq_httpd_exchange *x, int status, const char *type,
                     struct sq_slice body)
{
    sq_assert(x->owed);
    x->owed = false;
    if (x->io.fd < 0) { /* the client did not wait */
        drop(x);
        return;
    }
    sq_timer_start(x->httpd->loop, &x->idle, sq_loop_now(x->httpd->loop) + IDLE_NS_MAX);
    put_answer(x, status, type, body);
    sq_buf_consume(&x->in, x->head_bytes + x->body_bytes);
    x->head_bytes = x->body_bytes = 0;
    x->continued = false;
    x->parser = (struct sq_http1_parser){.kind = SQ_HTTP1_REQUEST};
    if (flush(x) && x->in.len)
        sq_loop_defer(x->httpd->loop, &x->again);
}

/* An error after which the stream cannot be trusted. */
static void refuse(struct sq_httpd_exchange *x, int status, const char *words)
{
    x->keep_open = false;
    x->refused = true;
    put_answer(x, status, "text/plain", sq_slice_str(words));
    flush(x);
}

/* ---- requests ---- */

/* 0, or the status of a refusal. */
static int read_framing(struct sq_httpd_exchange *x, const struct sq_http1_head *head)
{
    struct sq_slice value;
    size_t at = 0, length = 0;

    if (sq_http1_find(head, "Transfer-Encoding", &at, &value))
        return 411;
    at = 0;
    if (sq_http1_find(head, "Content-Length", &at, &value)) {
        if (value.len == 0 || value.len > 12)
            return value.len ? 413 : 400;
        for (size_t i = 0; i < value.len; i++) {
            if (value.data[i] < '0' || value.data[i] > '9')
                return 400;
            length = length * 10 + (size_t)(value.data[i] - '0');
        }
        if (sq_http1_find(head, "Content-Length", &at, &value))
            return 400;
    }
    if (length > SQ_HTTPD_BODY_MAX)
        return 413;
    x->body_bytes = length;
    x->keep_open = head->minor >= 1 && !sq_http1_has_token(head, "Connection", "close");
    x->head_only = head->method.len == 4 && memcmp(head->method.data, "HEAD", 4) == 0;
    if (length && !x->continued && sq_http1_has_token(head, "Expect", "100-continue")) {
        x->continued = true;
        sq_buf_puts(&x->out, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    return 0;
}

static void hand_over(struct sq_httpd_exchange *x, const struct sq_http1_head *head)
{
    struct sq_httpd_request request = {
        .method = head->method,
        .path = head->target,
        .body = sq_slice(x->in.data + x->head_bytes, x->body_bytes),
    };
    const uint8_t *query = memchr(request.path.data, '?', request.path.len);

    if (query)
        request.path.len = (size_t)(query - request.path.data);
    x->owed = true;
    sq_io_update(x->httpd->loop, &x->io, 0);
    sq_timer_stop(x->httpd->loop, &x->idle);
    x->httpd->handler(x->httpd->user, x, &request);
}

/* Looks at what has been received; may free the connection. */
static void look(struct sq_httpd_exchange *x)
{
    struct sq_http1_head head;
    struct sq_http1_parser again = {.kind = SQ_HTTP1_REQUEST};

    if (!x->head_bytes) {
        int got = sq_http1_parse(&x->parser, sq_buf_slice(&x->in), &head);
        if (got < 0) {
            refuse(x, got == SQ_ETOOBIG ? 431 : 400, sq_http1_reason(&x->parser));
            return;
        }
        if (got == 0)
            return;
        x->head_bytes = (size_t)got;
        int status = read_framing(x, &head);
        if (status) {
            refuse(x, status, "the request's body cannot be read");
            return;
        }
        if (x->out.len && !flush(x))
            return;
    }
    if (x->in.len < x->head_bytes + x->body_bytes)
        return;
    /* The buffer may have moved since: the head's slices are taken afresh. */
    if (sq_http1_parse(&again, sq_slice(x->in.data, x->head_bytes), &head) > 0)
        hand_over(x, &head);
}

static void drain(struct sq_httpd_exchange *x)
{
    ssize_t n = recv(x->io.fd, sq_loop_read_buffer(x->httpd->loop), SQ_LOOP_READ_BYTES, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        drop(x);
}

static void conn_ready(struct sq_io *io, unsigned events)
{
    struct sq_httpd_exchange *x = SQ_CONTAINER_OF(io, struct sq_httpd_exchange, io);

    if (x->owed) { /* only errors are reported now: nobody waits for the answer */
        drop(x);
        return;
    }
    if ((events & SQ_IO_WRITE) && !flush(x))
        return;
    if (x->out.len)
        return;
    if (x->refused) {
        drain(x);
        return;
    }
    /* What a client sent ahead stands in the buffer already. */
    if (sq_buf_reserve(&x->in, READ_BYTES) < 0) {
        refuse(x, 413, "the request is too large");
        return;
    }
    ssize_t n = recv(x->io.fd, x->in.data + x->in.len, READ_BYTES, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(x);
        return;
    }
    if (n > 0)
        x->in.len += (size_t)n;
    look(x);
}

static void idle_due(struct sq_timer *timer)
{
    drop(SQ_CONTAINER_OF(timer, struct sq_httpd_exchange, idle));
}

static void look_again(struct sq_deferred *deferred)
{
    struct sq_httpd_exchange *x = SQ_CONTAINER_OF(deferred, struct sq_httpd_exchange, again);

    if (!x->owed && !x->refused && !x->out.len)
        look(x);
}

static void accept_one(struct sq_httpd *h, int fd)
{
    struct sq_httpd_exchange *x = sq_xcalloc(1, sizeof *x);

    x->httpd = h;
    x->io = (struct sq_io){.ready = conn_ready, .fd = -1};
    x->idle = SQ_TIMER_INIT(idle_due);
    x->again.run = look_again;
    sq_list_init(&x->again.node);
    x->parser.kind = SQ_HTTP1_REQUEST;
    x->in.max_bytes = SQ_HTTP1_HEAD_MAX + SQ_HTTPD_BODY_MAX + 4 * READ_BYTES;
    sq_list_append(&h->connections, &x->node);
    h->connections_count++;
    if (sq_io_start(h->loop, &x->io, fd, SQ_IO_READ) < 0) {
        close(fd);
        drop(x);
        return;
    }
    sq_timer_start(h->loop, &x->idle, sq_loop_now(h->loop) + IDLE_NS_MAX);
}

static void listener_ready(struct sq_io *io, unsigned events)
{
    struct sq_httpd *h = SQ_CONTAINER_OF(io, struct sq_httpd, io);

    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        /* The connection stays in the queue and the socket readable: do not spin on it. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            sq_io_update(h->loop, &h->io, 0);
            sq_timer_start(h->loop, &h->full, sq_loop_now(h->loop) + FULL_NS);
        }
        return;
    }
    if (h->connections_count >= SQ_HTTPD_CONNECTIONS_MAX)
        close(fd);
    else
        accept_one(h, fd);
}

static void full_due(struct sq_timer *timer)
{
    struct sq_httpd *h = SQ_CONTAINER_OF(timer, struct sq_httpd, full);

    sq_io_update(h->loop, &h->io, SQ_IO_READ);
}

/* ---- listening ---- */

static int resolve(const char *address, struct addrinfo **list, struct sq_error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(address, ':');

    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;

    if (!colon || !colon[1] || *end || port < 0 || port > 65535)
        return sq_error_set(err, SQ_EINVALID, "--address: '%s' is not host:port", address);
    size_t len = (size_t)(colon - address);
    bool bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    char *host = bracketed ? sq_xstrndup(address + 1, len - 2) : sq_xstrndup(address, len);
    int why = getaddrinfo(*host ? host : NULL, colon + 1, &hints, list);
    free(host);
    if (why)
        return sq_error_set(err, SQ_EINVALID, "--address: '%s': %s", address, gai_strerror(why));
    return 0;
}

/* The descriptor, or -errno. */
static int listen_on(const struct addrinfo *info)
{
    const int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, 64) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage own;
    socklen_t len = sizeof own;

    if (getsockname(fd, (struct sockaddr *)&own, &len) < 0)
        return 0;
    return ntohs(own.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&own)->sin6_port
                                           : ((struct sockaddr_in *)&own)->sin_port);
}

int sq_httpd_start(struct sq_loop *loop, const char *address, sq_httpd_handler handler, void *user,
                   struct sq_httpd **out, struct sq_error *err)
{
    struct addrinfo *list = NULL;
    int fd = -EADDRNOTAVAIL, rc = resolve(address, &list, err);

    *out = NULL;
    if (rc < 0)
        return rc;
    /* As clients of "localhost" try it: IPv4 first, whatever the resolver's order. */
    for (int pass = 0; pass < 2; pass++)
        for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
            if ((a->ai_family == AF_INET) == (pass == 0))
                fd = listen_on(a);
    freeaddrinfo(list);
    if (fd < 0)
        return sq_error_set(err, fd, "cannot serve the REST API on '%s': %s", address,
                            sq_status_text(fd));
    struct sq_httpd *h = sq_xcalloc(1, sizeof *h);
    h->loop = loop;
    h->handler = handler;
    h->user = user;
    h->port = port_of(fd);
    h->io = (struct sq_io){.ready = listener_ready, .fd = -1};
    h->full = SQ_TIMER_INIT(full_due);
    sq_list_init(&h->connections);
    rc = sq_io_start(loop, &h->io, fd, SQ_IO_READ);
    if (rc < 0) {
        close(fd);
        free(h);
        return sq_error_set(err, rc, "cannot serve the REST API on '%s': %s", address,
                            sq_status_text(rc));
    }
    *out = h;
    return 0;
}

void sq_httpd_free(struct sq_httpd *h)
{
    if (!h)
        return;
    SQ_LIST_FOR_EACH (node, &h->connections) {
        struct sq_httpd_exchange *x = SQ_CONTAINER_OF(node, struct sq_httpd_exchange, node);
        x->owed = false;
        drop(x);
    }
    int fd = h->io.fd;
    sq_timer_stop(h->loop, &h->full);
    sq_io_stop(h->loop, &h->io);
    close(fd);
    free(h);
}

uint16_t sq_httpd_port(const struct sq_httpd *h)
{
    return h->port;
}
