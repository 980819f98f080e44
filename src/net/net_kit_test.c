/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/net_kit.h"

enum { LIMIT_MS = 5000 };

static int listen_any(uint16_t *port, int backlog)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        (backlog > 0 && listen(fd, backlog) != 0) ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        sq_panic("test: cannot listen on 127.0.0.1: %s", strerror(errno));
    *port = ntohs(a.sin_port);
    return fd;
}

static void *peer_main(void *user)
{
    struct peer *peer = user;
    sigset_t pipe_signal;

    /* OpenSSL's server side writes without MSG_NOSIGNAL. */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    struct pollfd wait[2] = {{.fd = peer->listen_fd, .events = POLLIN},
                             {.fd = peer->stop_fd, .events = POLLIN}};

    while (poll(wait, 2, -1) > 0 && !wait[1].revents) {
        struct timeval limit = {.tv_sec = LIMIT_MS / 1000};
        int fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        peer->serve(peer, fd);
        close(fd);
        peer->served++;
    }
    return NULL;
}

void peer_start(struct peer *peer)
{
    int ends[2];

    peer->listen_fd = listen_any(&peer->port, 64);
    peer->served = 0;
    if (pipe(ends) != 0)
        sq_panic("test: no pipe");
    peer->stop_fd = ends[0];
    peer->stop_write_fd = ends[1];
    if (pthread_create(&peer->thread, NULL, peer_main, peer) != 0)
        sq_panic("test: no thread");
}

void peer_stop(struct peer *peer)
{
    close(peer->stop_write_fd);
    pthread_join(peer->thread, NULL);
    close(peer->stop_fd);
    close(peer->listen_fd);
}

bool peer_read(int fd, void *data, size_t len)
{
    size_t at = 0;

    while (at < len) {
        ssize_t got = recv(fd, (char *)data + at, len - at, 0);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

bool peer_read_head(int fd, char *data, size_t size)
{
    size_t at = 0;

    while (at + 1 < size) {
        if (!peer_read(fd, data + at, 1))
            break;
        data[++at] = 0;
        if (at >= 4 && memcmp(data + at - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    data[at] = 0;
    return false;
}

void peer_write(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t put = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        at += (size_t)put;
    }
}

uint16_t dead_port(int *fd)
{
    uint16_t port;

    *fd = listen_any(&port, 0);
    return port;
}

void kit_init(struct kit *kit)
{
    memset(kit, 0, sizeof *kit);
    sq_net_options_default(&kit->options);
    kit->options.http_proxy = kit->options.https_proxy = kit->options.no_proxy = NULL;
    kit->options.tls_keylog_file = NULL;
}

bool kit_open(struct kit *kit)
{
    struct sq_error err = {0};

    if (sq_loop_new(&kit->loop, &err) < 0)
        sq_panic("test: %s", err.text);
    if (sq_net_new(kit->loop, &kit->options, &kit->net, &err) == 0)
        return true;
    SQ_CHECK(false, "%s", err.text);
    return false;
}

void kit_close(struct kit *kit)
{
    sq_net_free(kit->net);
    sq_loop_free(kit->loop);
}

struct waiter {
    struct sq_loop *loop;
    struct outcome *out;
};

static void on_done(void *user, const struct sq_dial_result *result)
{
    struct waiter *w = user;
    struct outcome *out = w->out;

    out->done = true;
    out->error = result->error;
    out->error_code = result->error_code;
    snprintf(out->text, sizeof out->text, "%s", result->text);
    snprintf(out->remote_ip, sizeof out->remote_ip, "%s", result->remote_ip);
    out->stream = result->stream;
    out->start_ns = result->start_ns;
    out->resolved_ns = result->resolved_ns;
    out->tcp_ns = result->tcp_ns;
    out->tls_ns = result->tls_ns;
    sq_loop_stop(w->loop);
}

struct outcome kit_dial(struct kit *kit, struct target t)
{
    struct outcome out = {0};
    struct waiter w = {kit->loop, &out};
    int64_t limit_ms = t.limit_ms ? t.limit_ms : LIMIT_MS;
    struct sq_dial_request request = {
        .host = sq_slice_str(t.host),
        .port = t.port,
        .secure = t.secure,
        .vu_id = t.vu_id ? t.vu_id : 1,
        .deadline_ns = sq_loop_update_now(kit->loop) + limit_ms * SQ_NS_PER_MS,
        .counters = t.counters,
    };

    sq_dial_start(kit->net, &request, on_done, &w);
    SQ_CHECK(!out.done, "called back inside sq_dial_start");
    sq_loop_run(kit->loop);
    return out;
}

struct stopper {
    struct sq_timer timer;
    struct sq_loop *loop;
};

static void on_stop_time(struct sq_timer *timer)
{
    sq_loop_stop(SQ_CONTAINER_OF(timer, struct stopper, timer)->loop);
}

void kit_run_for(struct kit *kit, int64_t ms)
{
    struct stopper s = {.timer = SQ_TIMER_INIT(on_stop_time), .loop = kit->loop};

    sq_timer_start(kit->loop, &s.timer, sq_loop_update_now(kit->loop) + ms * SQ_NS_PER_MS);
    sq_loop_run(kit->loop);
}

static bool wait_fd(struct sq_stream *s, unsigned wants)
{
    struct pollfd p = {.fd = sq_stream_fd(s), .events = wants == SQ_IO_WRITE ? POLLOUT : POLLIN};

    return poll(&p, 1, LIMIT_MS) == 1;
}

bool stream_put(struct sq_stream *s, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t put = sq_stream_write(s, (const char *)data + at, len - at);
        if (put < 0 || (put == 0 && !wait_fd(s, sq_stream_write_wants(s))))
            return false;
        at += (size_t)put;
    }
    return true;
}

size_t stream_get(struct sq_stream *s, void *data, size_t len, int *status)
{
    size_t at = 0;

    *status = 0;
    while (at < len) {
        ssize_t got = sq_stream_read(s, (char *)data + at, len - at);
        if (got < 0) {
            *status = (int)got;
            break;
        }
        if (got == 0 && !wait_fd(s, sq_stream_read_wants(s)))
            break;
        at += (size_t)got;
    }
    return at;
}
