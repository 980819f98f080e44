/* SPDX-License-Identifier: Apache-2.0 */
/* The phases of a dial, each left by exactly one of next-phase or finish():
 *
 *   START -> RESOLVING -> CONNECTING -> [PROXY_TLS] -> [PROXY_TALK] -> [TLS] -> finish
 *
 * Resolving and connecting aim at the proxy when there is one. One timer holds the limit of the
 * current phase. */
#include "net/dial.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dns.h"
#include "net/idna.h"
#include "net/net_private.h"
#include "net/stream_private.h"
#include "net/tls.h"

enum {
    CONNECT_LIMIT_S = 30,  /* WS-30 */
    KEEPALIVE_S = 15,      /* NT-5 */
    STAGGER_MS = 250,      /* RFC 8305 section 8 */
    RACERS_MAX = 8,        /* addresses of one name that are tried in a race */
    DIALOGUE_BYTES = 4096, /* one read of a proxy's answer */
};

/* MET-38 */
enum {
    CODE_GENERIC = 1000,
    CODE_TIMEOUT = 1050,
    CODE_DNS = 1100,
    CODE_NO_HOST = 1101,
    CODE_BLACKLISTED = 1110,
    CODE_BLOCKED = 1111,
    CODE_TCP = 1200,
    CODE_DIAL = 1210,
    CODE_DIAL_TIMEOUT = 1211,
    CODE_REFUSED = 1212,
    CODE_DIAL_ERRNO = 1213,
    CODE_RESET = 1220,
    CODE_TLS = 1300,
};

enum phase { START, RESOLVING, CONNECTING, PROXY_TLS, PROXY_TALK, TLS };

struct attempt {
    struct sq_io io; /* fd -1: not under way */
    struct sq_dial *dial;
    union sq_address address;
};

struct sq_dial {
    struct sq_net *net;
    struct sq_loop *loop;
    void (*done)(void *user, const struct sq_dial_result *result);
    void *user;
    struct sq_net_counters *counters;
    char *host;       /* owned; ASCII once START is over */
    char *given;      /* owned; the host as it was asked for */
    char *first_text; /* owned; why the first attempt of a race failed */
    const struct sq_proxy *proxy;
    struct sq_stream *stream; /* owned until handed over */
    struct attempt *attempts; /* &single, or owned */
    size_t attempts_count, attempts_started, attempts_failed;
    struct attempt single;
    struct sq_io io; /* of the phases after CONNECTING */
    struct sq_timer limit, stagger;
    struct sq_deferred deferred;
    struct sq_dns_query query;
    struct sq_proxy_talk talk;
    int64_t deadline_ns, start_ns, resolved_ns, tcp_ns, tls_ns;
    int first_error, first_code;
    uint32_t vu_id;
    uint16_t port;
    enum phase phase;
    bool secure, http2, talking, talk_done;
    char remote_ip[SQ_ADDRESS_TEXT_BYTES];
};

static void connected(struct sq_dial *d, struct attempt *a, int fd);

/* ---- the end ---- */

static void stop_attempt(struct sq_dial *d, struct attempt *a)
{
    int fd = a->io.fd;

    if (fd < 0)
        return;
    sq_io_stop(d->loop, &a->io);
    a->io.fd = -1;
    close(fd);
}

/* Everything but the stream, which may have been handed over. */
static void dial_free(struct sq_dial *d)
{
    sq_timer_stop(d->loop, &d->limit);
    sq_timer_stop(d->loop, &d->stagger);
    sq_list_remove(&d->deferred.node);
    sq_dns_cancel(&d->query);
    for (size_t i = 0; i < d->attempts_started; i++)
        stop_attempt(d, &d->attempts[i]);
    if (d->attempts != &d->single)
        free(d->attempts);
    if (d->talking)
        sq_proxy_talk_deinit(&d->talk);
    free(d->first_text);
    free(d->host);
    free(d->given);
    free(d);
}

static void stop_io(struct sq_dial *d)
{
    if (d->io.fd >= 0)
        sq_io_stop(d->loop, &d->io);
    d->io.fd = -1;
}

static void finish(struct sq_dial *d, int error, int code, const char *text)
{
    struct sq_dial_result result = {
        .stream = error ? NULL : d->stream,
        .error = error,
        .error_code = code,
        .text = text,
        .remote_ip = d->remote_ip,
        .start_ns = d->start_ns,
        .resolved_ns = d->resolved_ns,
        .tcp_ns = d->tcp_ns,
        .tls_ns = d->tls_ns,
    };

    /* Nothing of this dial may fire once the user has its answer. */
    stop_io(d);
    sq_timer_stop(d->loop, &d->limit);
    sq_timer_stop(d->loop, &d->stagger);
    sq_dns_cancel(&d->query);
    for (size_t i = 0; i < d->attempts_started; i++)
        stop_attempt(d, &d->attempts[i]);
    d->done(d->user, &result);
    if (error)
        sq_stream_free(d->stream, false); /* after `done`: the text may be the stream's */
    dial_free(d);
}

/* `text` is owned. */
static void finish_owned(struct sq_dial *d, int error, int code, char *text)
{
    finish(d, error, code, text);
    free(text);
}

static int64_t mark(struct sq_dial *d)
{
    return sq_loop_update_now(d->loop);
}

static void stream_failed(struct sq_dial *d, int status, int code)
{
    if (status == -ECONNRESET)
        code = CODE_RESET;
    else if (status == SQ_EEOF)
        code = CODE_GENERIC;
    finish(d, status, code, sq_stream_error_text(d->stream));
}

/* ---- TLS, towards the proxy or the target ---- */

static void phase_over(struct sq_dial *d);

static void watch(struct sq_dial *d, unsigned events)
{
    if (d->io.fd >= 0) {
        sq_io_update(d->loop, &d->io, events);
        return;
    }
    int rc = sq_io_start(d->loop, &d->io, sq_stream_fd(d->stream), events);
    if (rc < 0) {
        d->io.fd = -1;
        finish(d, rc, CODE_DIAL, sq_status_text(rc));
    }
}

static void shake(struct sq_dial *d)
{
    int code, rc = sq_stream_handshake(d->stream, &code);

    if (rc == 0)
        watch(d, sq_stream_read_wants(d->stream));
    else if (rc < 0)
        stream_failed(d, rc, code);
    else
        phase_over(d);
}

static void start_tls(struct sq_dial *d, enum phase phase)
{
    bool to_proxy = phase == PROXY_TLS;
    const char *host = to_proxy ? d->proxy->host : d->host;
    struct sq_error err = {0};
    struct sq_tls *tls;
    SSL *ssl;

    d->phase = phase;
    int rc = sq_net_tls(d->net, &tls, &err);
    if (rc == 0)
        rc = sq_tls_client(tls, sq_slice_str(host), to_proxy ? d->proxy->port : d->port, to_proxy,
                           &ssl, &err);
    if (rc < 0) {
        finish(d, rc, CODE_TLS, err.text);
        return;
    }
    d->stream = sq_stream_new_tls(d->stream, ssl, sq_tls_bio_method(tls));
    if (!d->stream || (d->http2 && !to_proxy && !sq_stream_offer_h2(d->stream))) {
        finish(d, -ENOMEM, CODE_TLS, "no memory for a TLS connection");
        return;
    }
    shake(d);
}

/* ---- the proxy ---- */

static void talk_on(struct sq_dial *d)
{
    uint8_t bytes[DIALOGUE_BYTES];

    for (;;) {
        while (d->talk.out.len) {
            ssize_t put = sq_stream_write(d->stream, d->talk.out.data, d->talk.out.len);
            if (put < 0) {
                stream_failed(d, (int)put, CODE_TCP);
                return;
            }
            if (put == 0) {
                watch(d, sq_stream_write_wants(d->stream));
                return;
            }
            sq_buf_consume(&d->talk.out, (size_t)put);
        }
        if (d->talk_done) {
            sq_stream_unread(d->stream, sq_buf_slice(&d->talk.in));
            phase_over(d);
            return;
        }
        ssize_t got = sq_stream_read(d->stream, bytes, sizeof bytes);
        if (got == SQ_EEOF) {
            finish(d, SQ_EPROXY, CODE_GENERIC, "proxy: unexpected EOF");
            return;
        }
        if (got < 0) {
            stream_failed(d, (int)got, CODE_TCP);
            return;
        }
        if (got == 0) {
            watch(d, sq_stream_read_wants(d->stream));
            return;
        }
        int step = sq_proxy_talk_feed(&d->talk, bytes, (size_t)got);
        if (step < 0) {
            finish(d, step, CODE_GENERIC, d->talk.text);
            return;
        }
        /* A hasty proxy answers what we have not yet sent: that still goes first. */
        d->talk_done = step == SQ_PROXY_DONE;
    }
}

static void start_talk(struct sq_dial *d)
{
    d->phase = PROXY_TALK;
    d->talking = true;
    if (sq_proxy_talk_init(&d->talk, d->proxy, sq_slice_str(d->host), d->port) < 0) {
        finish(d, SQ_EPROXY, CODE_GENERIC, d->talk.text);
        return;
    }
    talk_on(d);
}

/* The current phase succeeded: into the next one. */
static void phase_over(struct sq_dial *d)
{
    switch (d->phase) {
    case CONNECTING:
        if (d->proxy && d->proxy->kind == SQ_PROXY_HTTPS) {
            start_tls(d, PROXY_TLS);
            return;
        }
        /* fall through */
    case PROXY_TLS:
        if (d->proxy) {
            start_talk(d);
            return;
        }
        /* fall through */
    case PROXY_TALK:
        d->tcp_ns = mark(d);
        if (d->secure) {
            start_tls(d, TLS);
            return;
        }
        finish(d, 0, 0, "");
        return;
    case TLS:
        d->tls_ns = mark(d);
        finish(d, 0, 0, "");
        return;
    case START:
    case RESOLVING:
        break;
    }
    sq_panic("dial: phase %d has no successor", (int)d->phase);
}

static void on_ready(struct sq_io *io, unsigned events)
{
    struct sq_dial *d = SQ_CONTAINER_OF(io, struct sq_dial, io);

    (void)events; /* an error shows itself in the next call */
    if (d->phase == PROXY_TALK)
        talk_on(d);
    else
        shake(d);
}

/* ---- TCP ---- */

/* What to do about the failures that this machine causes (NT-4, NT-16). Owned: free(). */
static char *connect_text(const struct sq_dial *d, const struct attempt *a, const char *call,
                          int error)
{
    char to[SQ_ADDRESS_TEXT_BYTES], from[SQ_ADDRESS_TEXT_BYTES], words[128];
    union sq_address source;
    struct rlimit files;

    sq_address_format(&a->address, to);
    sq_errno_text(error, words);
    switch (error) {
    case EMFILE:
        if (getrlimit(RLIMIT_NOFILE, &files) != 0)
            files.rlim_cur = 0;
        return sq_xasprintf("dial tcp %s: %s: %s: a limit of this machine, not of the server; "
                            "raise it with `ulimit -n` (now %llu)",
                            to, call, words, (unsigned long long)files.rlim_cur);
    case ENFILE:
        return sq_xasprintf("dial tcp %s: %s: %s: a limit of this machine, not of the server; "
                            "raise `ulimit -n` and fs.file-max",
                            to, call, words);
    case ENOBUFS:
    case ENOMEM:
        return sq_xasprintf("dial tcp %s: %s: %s: the kernel of this machine is out of memory "
                            "for sockets (net.ipv4.tcp_mem)",
                            to, call, words);
    case EADDRNOTAVAIL:
        if (strcmp(call, "bind") == 0 && sq_address_pool_pick(&d->net->pool, d->vu_id, &source)) {
            sq_address_format_ip(&source, from);
            return sq_xasprintf("dial tcp %s: %s: %s: %s of --local-ips is not an address of this "
                                "machine",
                                to, call, words, from);
        }
        return sq_xasprintf("dial tcp %s: %s: %s: no source port is left for this server; add "
                            "source addresses with --local-ips or widen "
                            "net.ipv4.ip_local_port_range",
                            to, call, words);
    case EAFNOSUPPORT:
        if (strcmp(call, "bind") == 0 && sq_address_pool_pick(&d->net->pool, d->vu_id, &source)) {
            sq_address_format_ip(&source, from);
            return sq_xasprintf("dial tcp %s: %s: the source address %s of --local-ips is of the "
                                "other IP version",
                                to, call, from);
        }
        break;
    default:
        break;
    }
    return sq_xasprintf("dial tcp %s: %s: %s", to, call, words);
}

static int connect_code(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return CODE_REFUSED;
    case ETIMEDOUT:
        return CODE_DIAL_TIMEOUT;
    case ECONNRESET:
        return CODE_RESET;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return CODE_DIAL;
    default:
        return CODE_DIAL_ERRNO;
    }
}

static void start_next_attempt(struct sq_dial *d);

/* `text` is owned. Ends the dial unless others are still in the race. */
static void attempt_failed(struct sq_dial *d, struct attempt *a, int error, int code, char *text)
{
    stop_attempt(d, a);
    d->attempts_failed++;
    if (d->first_text) {
        free(text);
    } else {
        d->first_text = text;
        d->first_error = error;
        d->first_code = code;
    }
    if (d->attempts_started < d->attempts_count)
        start_next_attempt(d);
    else if (d->attempts_failed == d->attempts_count)
        finish(d, d->first_error, d->first_code, d->first_text);
}

static void on_connect(struct sq_io *io, unsigned events)
{
    struct attempt *a = SQ_CONTAINER_OF(io, struct attempt, io);
    int error = 0;
    socklen_t len = sizeof error;

    (void)events;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error) {
        attempt_failed(a->dial, a, -error, connect_code(error),
                       connect_text(a->dial, a, "connect", error));
        return;
    }
    int fd = io->fd;
    sq_io_stop(a->dial->loop, io);
    io->fd = -1;
    connected(a->dial, a, fd);
}

static void set_options(int fd)
{
    int on = 1, seconds = KEEPALIVE_S;

    /* A kernel that refuses one of them still makes connections that work. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

/* 0, or -errno with *call naming what failed. */
static int bind_source(const struct sq_dial *d, const struct attempt *a, int fd, const char **call)
{
    union sq_address source;
    int on = 1;

    if (!sq_address_pool_pick(&d->net->pool, d->vu_id, &source))
        return 0;
    *call = "bind";
    if (source.any.sa_family != a->address.any.sa_family)
        return -EAFNOSUPPORT;
    /* The port is chosen at connect, by the whole four-tuple (NT-4). */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return bind(fd, &source.any, sq_address_len(&source)) == 0 ? 0 : -errno;
}

/* 1: connected at once, *out is the descriptor; 0: under way; or -errno with *call. */
static int try_connect(struct sq_dial *d, struct attempt *a, int *out, const char **call)
{
    *call = "socket";
    int fd = socket(a->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    set_options(fd);
    int rc = bind_source(d, a, fd, call);
    if (rc == 0) {
        *call = "connect";
        rc = connect(fd, &a->address.any, sq_address_len(&a->address)) == 0 ? 1 : -errno;
        /* On loopback the handshake is over before the call returns, though it says otherwise: the
         * second call learns it for the price of one, and saves two epoll_ctl and a turn. */
        if (rc == -EINPROGRESS && sq_address_loopback(&a->address))
            rc = connect(fd, &a->address.any, sq_address_len(&a->address)) == 0 ? 1 : -errno;
    }
    if (rc == 1) {
        *out = fd;
        return 1;
    }
    if (rc == -EINPROGRESS || rc == -EALREADY || rc == -EINTR) {
        *call = "epoll_ctl";
        rc = sq_io_start(d->loop, &a->io, fd, SQ_IO_WRITE);
    }
    if (rc < 0) {
        a->io.fd = -1;
        close(fd);
    }
    return rc;
}

static void start_next_attempt(struct sq_dial *d)
{
    struct attempt *a = &d->attempts[d->attempts_started++];
    const char *call;
    int fd = -1;

    sq_timer_stop(d->loop, &d->stagger);
    sq_address_format_ip(&a->address, d->remote_ip);
    int rc = try_connect(d, a, &fd, &call);
    if (rc < 0) {
        attempt_failed(d, a, rc, connect_code(-rc), connect_text(d, a, call, -rc));
        return;
    }
    if (rc == 1) {
        connected(d, a, fd);
        return;
    }
    if (d->attempts_started < d->attempts_count)
        sq_timer_start(d->loop, &d->stagger, sq_loop_now(d->loop) + STAGGER_MS * SQ_NS_PER_MS);
}

static void on_stagger(struct sq_timer *timer)
{
    start_next_attempt(SQ_CONTAINER_OF(timer, struct sq_dial, stagger));
}

static void connected(struct sq_dial *d, struct attempt *a, int fd)
{
    sq_timer_stop(d->loop, &d->stagger);
    for (size_t i = 0; i < d->attempts_started; i++)
        stop_attempt(d, &d->attempts[i]); /* the losers */
    sq_address_format_ip(&a->address, d->remote_ip);
    d->stream = sq_stream_new(fd, &a->address, d->counters);
    sq_timer_start(d->loop, &d->limit, d->deadline_ns);
    phase_over(d);
}

/* ---- addresses ---- */

static void add_attempt(struct sq_dial *d, const union sq_address *address, uint16_t port)
{
    struct attempt *a = &d->attempts[d->attempts_count++];

    *a = (struct attempt){.io = {.ready = on_connect, .fd = -1}, .dial = d, .address = *address};
    sq_address_set_port(&a->address, port);
}

/* One last look at the addresses, then off. */
static void start_connecting(struct sq_dial *d)
{
    char ip[SQ_ADDRESS_TEXT_BYTES], net[SQ_ADDRESS_TEXT_BYTES];
    const struct sq_address_range *range = NULL, *hit;
    size_t kept = 0;

    d->resolved_ns = mark(d);
    for (size_t i = 0; i < d->attempts_count; i++) {
        hit = sq_address_policy_blacklisted_by(&d->net->policy, &d->attempts[i].address);
        if (!hit) {
            d->attempts[kept++] = d->attempts[i];
        } else if (!range) {
            range = hit;
            sq_address_format_ip(&d->attempts[i].address, ip);
        }
    }
    d->attempts_count = kept;
    if (kept == 0) {
        sq_address_range_format(range, net);
        finish_owned(d, SQ_EBLOCKED, CODE_BLACKLISTED,
                     sq_xasprintf("IP (%s) is in a blacklisted range (%s)", ip, net));
        return;
    }
    d->phase = CONNECTING;
    int64_t limit_ns = d->resolved_ns + CONNECT_LIMIT_S * SQ_NS_PER_S;
    sq_timer_start(d->loop, &d->limit, SQ_MIN(limit_ns, d->deadline_ns));
    start_next_attempt(d);
}

static uint16_t dialled_port(const struct sq_dial *d)
{
    return d->proxy ? d->proxy->port : d->port;
}

/* RFC 8305 section 4: families in turn, IPv6 first. */
static void line_up_racers(struct sq_dial *d, const struct sq_dns_result *result)
{
    static const int families[2] = {AF_INET6, AF_INET};
    size_t at[2] = {0, 0}, room = SQ_MIN(result->count, (size_t)RACERS_MAX);

    d->attempts = sq_xcalloc(room, sizeof *d->attempts);
    for (unsigned turn = 0; d->attempts_count < room; turn++) {
        size_t *i = &at[turn & 1];
        while (*i < result->count && result->addresses[*i].any.sa_family != families[turn & 1])
            ++*i;
        if (*i < result->count)
            add_attempt(d, &result->addresses[(*i)++], dialled_port(d));
    }
}

static void on_resolved(struct sq_dns_query *query, const struct sq_dns_result *result)
{
    struct sq_dial *d = SQ_CONTAINER_OF(query, struct sq_dial, query);

    if (result->error) {
        finish(d, result->error, result->error_code, result->text);
        return;
    }
    if (d->net->options.happy_eyeballs)
        line_up_racers(d, result);
    else
        add_attempt(d, sq_dns_select(d->net->dns, result), dialled_port(d));
    start_connecting(d);
}

static void no_such_host(struct sq_dial *d, const char *host)
{
    finish_owned(d, SQ_EDNS, CODE_NO_HOST, sq_xasprintf("lookup %s: no such host", host));
}

static bool host_is_sane(const char *host)
{
    size_t len = strlen(host);

    for (size_t i = 0; i < len; i++)
        if ((uint8_t)host[i] <= ' ' || host[i] == 0x7f)
            return false;
    return len > 0 && len <= 1024;
}

/* `hosts`, block lists, literals, then DNS (NT-1, NT-2). */
static void resolve(struct sq_dial *d, const char *host)
{
    /* Options may spell a Unicode name either way. */
    struct sq_slice name = sq_slice_str(host), other = d->proxy ? name : sq_slice_str(d->given);
    const struct sq_address_policy *policy = &d->net->policy;
    union sq_address address;
    struct sq_error err = {0};
    struct sq_dns *dns;

    d->phase = RESOLVING;
    const char *pattern = sq_address_policy_blocked_by(policy, name);
    if (!pattern && other.len != name.len)
        pattern = sq_address_policy_blocked_by(policy, other);
    if (pattern) {
        finish_owned(d, SQ_EBLOCKED, CODE_BLOCKED,
                     sq_xasprintf("hostname (%s) is in a blocked pattern (%s)", host, pattern));
        return;
    }
    if (sq_address_policy_host(policy, name, dialled_port(d), &address) ||
        (other.len != name.len &&
         sq_address_policy_host(policy, other, dialled_port(d), &address))) {
        add_attempt(d, &address, sq_address_port(&address));
        start_connecting(d);
        return;
    }
    if (sq_address_parse(name, &address)) {
        add_attempt(d, &address, dialled_port(d));
        start_connecting(d);
        return;
    }
    if (name.len > 255) {
        no_such_host(d, host);
        return;
    }
    int rc = sq_net_dns(d->net, &dns, &err);
    if (rc < 0) {
        finish(d, rc, CODE_DNS, err.text);
        return;
    }
    sq_timer_start(d->loop, &d->limit, d->deadline_ns);
    sq_dns_lookup(dns, name, &d->query);
}

static void run_start(struct sq_deferred *deferred)
{
    struct sq_dial *d = SQ_CONTAINER_OF(deferred, struct sq_dial, deferred);
    const char *why;

    d->start_ns = mark(d);
    if (!host_is_sane(d->host)) {
        no_such_host(d, d->host);
        return;
    }
    char *ascii = sq_idna_to_ascii(sq_slice_str(d->host));
    if (!ascii) {
        no_such_host(d, d->host);
        return;
    }
    d->given = d->host;
    d->host = ascii;
    int rc = sq_proxy_choose(&d->net->proxies, d->secure, sq_slice_str(d->host), d->port, &d->proxy,
                             &why);
    if (rc < 0) {
        finish(d, rc, CODE_GENERIC, why);
        return;
    }
    resolve(d, d->proxy ? d->proxy->host : d->host);
}

/* ---- limits ---- */

static void on_limit(struct sq_timer *timer)
{
    struct sq_dial *d = SQ_CONTAINER_OF(timer, struct sq_dial, limit);
    char to[SQ_ADDRESS_TEXT_BYTES];

    switch (d->phase) {
    case START:
    case RESOLVING:
        finish_owned(d, SQ_EDNS, CODE_DNS,
                     sq_xasprintf("lookup %s: i/o timeout", d->proxy ? d->proxy->host : d->host));
        return;
    case CONNECTING:
        sq_address_format(&d->attempts[d->attempts_started - 1].address, to);
        finish_owned(d, -ETIMEDOUT, CODE_DIAL_TIMEOUT,
                     sq_xasprintf("dial tcp %s: i/o timeout", to));
        return;
    case PROXY_TLS:
    case PROXY_TALK:
    case TLS:
        finish_owned(d, -ETIMEDOUT, CODE_TIMEOUT, sq_stream_text(d->stream, "read", "i/o timeout"));
        return;
    }
}

/* ---- the contract ---- */

struct sq_dial *sq_dial_start(struct sq_net *net, const struct sq_dial_request *request,
                              void (*done)(void *user, const struct sq_dial_result *result),
                              void *user)
{
    struct sq_dial *d = sq_xcalloc(1, sizeof *d);

    d->net = net;
    d->loop = net->loop;
    d->done = done;
    d->user = user;
    d->counters = request->counters;
    d->host = sq_xstrndup((const char *)request->host.data, request->host.len);
    d->port = request->port;
    d->secure = request->secure;
    d->http2 = request->http2;
    d->vu_id = request->vu_id;
    d->deadline_ns = request->deadline_ns;
    d->attempts = &d->single;
    d->single.io.fd = -1;
    d->io = (struct sq_io){.ready = on_ready, .fd = -1};
    d->limit = SQ_TIMER_INIT(on_limit);
    d->stagger = SQ_TIMER_INIT(on_stagger);
    d->deferred.run = run_start;
    sq_list_init(&d->deferred.node);
    sq_list_init(&d->query.node);
    d->query.done = on_resolved;
    sq_loop_defer(d->loop, &d->deferred);
    return d;
}

void sq_dial_cancel(struct sq_dial *d)
{
    stop_io(d);
    sq_stream_free(d->stream, false);
    dial_free(d);
}
