/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a transfer:
 *
 *   QUEUED -> RESOLVING -> RUNNING (libcurl has it) -> DONE
 *
 * What may need much stack (dlopen, libcurl's work) runs on the loop's stack: a caller's fiber only
 * queues. Connections are kept apart by giving each VU a CURLSH whose one shared thing is its own
 * connection cache. Wire bytes are the kernel's count of each socket (TCP_INFO). */
#include "net/http.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "net/dns.h"
#include "net/http_private.h"
#include "net/idna.h"
#include "net/net_private.h"
#include "net/stream_private.h"
#include "net/tls.h"

enum {
    CONNECT_LIMIT_S = 30,
    IDLE_CONNECTIONS_MAX = 20, /* kept for one VU */
    SPARE_HANDLES_MAX = 64,
    HEAD_BYTES_MAX = 1024 * 1024,
};

/* MET-38 */
enum {
    CODE_GENERIC = 1000,
    CODE_URL = 1020,
    CODE_TIMEOUT = 1050,
    CODE_DNS = 1100,
    CODE_NO_HOST = 1101,
    CODE_BLACKLISTED = 1110,
    CODE_BLOCKED = 1111,
    CODE_TCP = 1200,
    CODE_BROKEN_PIPE = 1201,
    CODE_DIAL = 1210,
    CODE_DIAL_TIMEOUT = 1211,
    CODE_REFUSED = 1212,
    CODE_DIAL_ERRNO = 1213,
    CODE_RESET = 1220,
    CODE_TLS = 1300,
    CODE_NOT_TLS = 1301,
    CODE_AUTHORITY = 1310,
    CODE_NAME = 1311,
    CODE_HTTP2 = 1610,
    CODE_DECOMPRESSION = 1701,
};

struct sq_http { /* of a thread */
    struct sq_net *net;
    struct sq_curl curl;
    CURLM *multi;
    struct sq_timer timer;
    struct sq_list watches;
    CURL *spare[SPARE_HANDLES_MAX];
    size_t spare_count;
    struct sq_error error; /* why there is no libcurl */
};

struct watch { /* a socket that libcurl waits for */
    struct sq_list node;
    struct sq_io io;
    struct sq_http *http;
};

struct connection {
    int fd;
    uint64_t sent_bytes, received_bytes; /* already counted */
};

struct sq_http_vu {
    struct sq_net *net;
    struct sq_net_counters *counters;
    CURLSH *share; /* NULL until the first transfer */
    struct connection *connections;
    size_t connections_count, connections_cap;
    size_t transfers; /* not DONE */
    uint32_t id;
};

enum state { QUEUED, RESOLVING, RUNNING, DONE };

struct sq_http_transfer {
    struct sq_http_vu *vu;
    struct sq_net *net;
    void (*done)(void *user);
    void *user;
    enum state state;
    struct sq_deferred deferred;
    struct sq_timer limit;
    struct sq_dns_query query;
    CURL *easy;
    struct curl_slist *headers, *resolve, *connect_to;
    const struct sq_proxy *proxy;
    /* the request */
    char *method, *url, *host; /* host: ASCII, without brackets */
    struct sq_url parsed;
    struct sq_buf request_headers; /* name NUL value NUL ... */
    size_t request_headers_count;
    uint8_t *request_body;
    size_t request_body_len;
    int64_t deadline_ns, start_ns, resolved_ns, curl_start_ns, sent_ns;
    enum sq_http_auth auth;
    bool has_body, discard_body, no_reuse, proxy_shaken;
    /* the response */
    struct sq_buf head, body;
    char error_buffer[CURL_ERROR_SIZE];
    char remote_ip[SQ_ADDRESS_TEXT_BYTES], status_text[128], proto[16], tls_version[8],
        tls_cipher[64];
    char *text;
    bool head_over;
    struct sq_http_result result;
};

/* ---- wire bytes ---- */

static void count_connection(struct sq_http_vu *vu, struct connection *c)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans)
        return;
    uint64_t sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
    if (sent > c->sent_bytes)
        vu->counters->sent_bytes += sent - c->sent_bytes;
    if (info.tcpi_bytes_received > c->received_bytes)
        vu->counters->received_bytes += info.tcpi_bytes_received - c->received_bytes;
    c->sent_bytes = SQ_MAX(c->sent_bytes, sent);
    c->received_bytes = SQ_MAX(c->received_bytes, (uint64_t)info.tcpi_bytes_received);
}

static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct sq_http_vu *vu = user;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (vu->connections_count == vu->connections_cap) {
        vu->connections_cap = vu->connections_cap ? vu->connections_cap * 2 : 2;
        vu->connections =
            sq_xrealloc(vu->connections, vu->connections_cap * sizeof *vu->connections);
    }
    vu->connections[vu->connections_count++] = (struct connection){.fd = fd};
    return fd;
}

static int on_close_socket(void *user, curl_socket_t fd)
{
    struct sq_http_vu *vu = user;

    for (size_t i = 0; i < vu->connections_count; i++)
        if (vu->connections[i].fd == fd) {
            count_connection(vu, &vu->connections[i]);
            vu->connections[i] = vu->connections[--vu->connections_count];
            break;
        }
    return close(fd);
}

/* ---- libcurl on the loop ---- */

static void read_messages(struct sq_http *h);

static void act(struct sq_http *h, curl_socket_t fd, int events)
{
    int running;

    h->curl.multi_action(h->multi, fd, events, &running);
    read_messages(h);
}

static void on_ready(struct sq_io *io, unsigned events)
{
    struct watch *w = SQ_CONTAINER_OF(io, struct watch, io);
    int mask = 0;

    if (events & SQ_IO_READ)
        mask |= CURL_CSELECT_IN;
    if (events & SQ_IO_WRITE)
        mask |= CURL_CSELECT_OUT;
    if (events & SQ_IO_ERROR)
        mask |= CURL_CSELECT_ERR;
    act(w->http, io->fd, mask); /* may free the watch */
}

static void on_timer(struct sq_timer *timer)
{
    act(SQ_CONTAINER_OF(timer, struct sq_http, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout_wanted(CURLM *multi, long timeout_ms, void *user)
{
    struct sq_http *h = user;

    (void)multi;
    if (timeout_ms < 0)
        sq_timer_stop(h->net->loop, &h->timer);
    else
        sq_timer_start(h->net->loop, &h->timer, sq_now_ns() + timeout_ms * SQ_NS_PER_MS);
    return 0;
}

static void drop_watch(struct watch *w)
{
    if (w->io.fd >= 0)
        sq_io_stop(w->http->net->loop, &w->io);
    sq_list_remove(&w->node);
    free(w);
}

/* libcurl has sent the whole request when it begins to wait for nothing but an answer. */
static void note_sent(struct sq_http *h, CURL *easy, int what)
{
    struct sq_http_transfer *t = NULL;
    curl_off_t us = 0;

    if (what != CURL_POLL_IN || h->curl.easy_getinfo(easy, CURLINFO_PRIVATE, &t) != CURLE_OK || !t)
        return;
    h->curl.easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &us);
    if (us > 0 && !t->sent_ns)
        t->sent_ns = sq_now_ns();
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct sq_http *h = user;
    struct watch *w = socket_user;
    unsigned events =
        (what & CURL_POLL_IN ? SQ_IO_READ : 0u) | (what & CURL_POLL_OUT ? SQ_IO_WRITE : 0u);

    note_sent(h, easy, what);
    if (what == CURL_POLL_REMOVE) {
        if (w)
            drop_watch(w);
        h->curl.multi_assign(h->multi, fd, NULL);
        return 0;
    }
    if (w) {
        sq_io_update(h->net->loop, &w->io, events);
        return 0;
    }
    w = sq_xcalloc(1, sizeof *w);
    w->http = h;
    w->io = (struct sq_io){.ready = on_ready, .fd = -1};
    sq_list_append(&h->watches, &w->node);
    if (sq_io_start(h->net->loop, &w->io, fd, events) < 0) {
        w->io.fd = -1;
        drop_watch(w);
        return -1; /* libcurl fails its transfers */
    }
    h->curl.multi_assign(h->multi, fd, w);
    return 0;
}

static struct sq_http *http_of(struct sq_net *net)
{
    struct sq_http *h = net->http;

    if (h)
        return h;
    h = net->http = sq_xcalloc(1, sizeof *h);
    h->net = net;
    h->timer = SQ_TIMER_INIT(on_timer);
    sq_list_init(&h->watches);
    if (sq_curl_open(&h->curl, &h->error) < 0)
        return h;
    h->multi = h->curl.multi_init();
    if (!h->multi)
        sq_panic("out of memory for libcurl");
    h->curl.multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    h->curl.multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    h->curl.multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    h->curl.multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    h->curl.multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
    return h;
}

void sq_http_free(struct sq_http *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->spare_count; i++)
        h->curl.easy_cleanup(h->spare[i]);
    if (h->multi) {
        h->curl.multi_cleanup(h->multi);
        sq_curl_close(&h->curl);
    }
    sq_timer_stop(h->net->loop, &h->timer);
    SQ_LIST_FOR_EACH (node, &h->watches)
        drop_watch(SQ_CONTAINER_OF(node, struct watch, node));
    free(h);
}

/* ---- a VU's connections ---- */

struct sq_http_vu *sq_http_vu_new(struct sq_net *net, uint32_t vu_id,
                                  struct sq_net_counters *counters)
{
    struct sq_http_vu *vu = sq_xcalloc(1, sizeof *vu);

    vu->net = net;
    vu->id = vu_id;
    vu->counters = counters;
    return vu;
}

void sq_http_vu_disconnect(struct sq_http_vu *vu)
{
    sq_assert(vu->transfers == 0);
    if (vu->share)
        vu->net->http->curl.share_cleanup(vu->share);
    vu->share = NULL;
}

void sq_http_vu_free(struct sq_http_vu *vu)
{
    if (!vu)
        return;
    sq_http_vu_disconnect(vu);
    free(vu->connections);
    free(vu);
}

static CURLSH *share_of(struct sq_http_vu *vu, struct sq_http *h)
{
    if (!vu->share) {
        vu->share = h->curl.share_init();
        if (!vu->share)
            sq_panic("out of memory for libcurl");
        h->curl.share_setopt(vu->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
    }
    return vu->share;
}

/* ---- the end of a transfer ---- */

static void stop(struct sq_http_transfer *t)
{
    struct sq_http *h = t->net->http;

    sq_list_remove(&t->deferred.node);
    sq_timer_stop(t->net->loop, &t->limit);
    sq_dns_cancel(&t->query);
    if (t->state != DONE)
        t->vu->transfers--;
    t->state = DONE;
    if (!t->easy)
        return;
    h->curl.multi_remove(h->multi, t->easy);
    h->curl.easy_setopt(t->easy, CURLOPT_SHARE, NULL);
    h->curl.easy_reset(t->easy);
    if (h->spare_count < SPARE_HANDLES_MAX)
        h->spare[h->spare_count++] = t->easy;
    else
        h->curl.easy_cleanup(t->easy);
    t->easy = NULL;
    h->curl.slist_free(t->headers);
    h->curl.slist_free(t->resolve);
    h->curl.slist_free(t->connect_to);
    t->headers = t->resolve = t->connect_to = NULL;
    for (size_t i = 0; i < t->vu->connections_count; i++)
        count_connection(t->vu, &t->vu->connections[i]);
}

static void finish(struct sq_http_transfer *t)
{
    stop(t);
    t->done(t->user);
}

static const char *short_words(int code)
{
    switch (code) {
    case CODE_TIMEOUT:
        return "request timeout";
    case CODE_NO_HOST:
        return "lookup: no such host";
    case CODE_BROKEN_PIPE:
        return "write: broken pipe";
    case CODE_DIAL_TIMEOUT:
        return "dial: i/o timeout";
    case CODE_REFUSED:
        return "dial: connection refused";
    case CODE_RESET:
        return "read: connection reset by peer";
    case CODE_AUTHORITY:
        return "x509: unknown authority";
    case CODE_NAME:
        return "x509: certificate doesn't match hostname";
    default:
        return NULL;
    }
}

/* `text` is owned. */
static void set_error(struct sq_http_transfer *t, int code, char *text)
{
    struct sq_http_result *r = &t->result;
    const char *words = short_words(code);

    free(t->text);
    t->text = text;
    r->error_code = code;
    r->text = text;
    r->error = words ? words : text;
    r->status = 0;
    r->status_text = r->headers = "";
    r->headers_count = 0;
    r->proto = "";
    r->body = (struct sq_slice){0};
}

static void fail(struct sq_http_transfer *t, int code, char *text)
{
    set_error(t, code, text);
    finish(t);
}

static curl_off_t info_ns(struct sq_http_transfer *t, CURLINFO info)
{
    curl_off_t us = 0;

    t->net->http->curl.easy_getinfo(t->easy, info, &us);
    return us * SQ_NS_PER_US;
}

static long info_long(struct sq_http_transfer *t, CURLINFO info)
{
    long value = 0;

    t->net->http->curl.easy_getinfo(t->easy, info, &value);
    return value;
}

static void read_timings(struct sq_http_transfer *t)
{
    struct sq_http_timings *m = &t->result.timings;
    int64_t lookup = info_ns(t, CURLINFO_NAMELOOKUP_TIME_T);
    int64_t connect = info_ns(t, CURLINFO_CONNECT_TIME_T);
    int64_t tls = info_ns(t, CURLINFO_APPCONNECT_TIME_T);
    int64_t ready = info_ns(t, CURLINFO_PRETRANSFER_TIME_T);
    int64_t first = info_ns(t, CURLINFO_STARTTRANSFER_TIME_T);
    int64_t total = SQ_MAX(info_ns(t, CURLINFO_TOTAL_TIME_T), first);

    /* Of a transfer that is cut libcurl has not taken the time. */
    if (first == 0)
        total = SQ_MAX(total, sq_now_ns() - t->curl_start_ns);

    m->looking_up = t->resolved_ns - t->start_ns;
    if (info_long(t, CURLINFO_NUM_CONNECTS) > 0) {
        m->connecting = SQ_MAX(connect - lookup, INT64_C(0));
        m->tls_handshaking = tls > connect ? tls - connect : 0;
    }
    if (ready == 0)
        return; /* nothing was sent */
    m->blocked = m->looking_up + ready;
    int64_t sent = t->sent_ns ? t->sent_ns - t->curl_start_ns : ready;
    int64_t answer = first > 0 ? first : total;
    sent = SQ_MIN(SQ_MAX(sent, ready), SQ_MAX(answer, ready));
    m->sending = sent - ready;
    m->waiting = SQ_MAX(answer - sent, INT64_C(0));
    m->receiving = total - SQ_MAX(answer, INT64_C(0));
}

static void read_peer(struct sq_http_transfer *t)
{
    char *ip = NULL;

    t->net->http->curl.easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    snprintf(t->remote_ip, sizeof t->remote_ip, "%s", ip ? ip : "");
    t->result.remote_port = (int)info_long(t, CURLINFO_PRIMARY_PORT);
}

static void connect_failed(struct sq_http_transfer *t)
{
    int error = (int)info_long(t, CURLINFO_OS_ERRNO);
    char words[128];
    int code = error == ECONNREFUSED ? CODE_REFUSED
               : error == ETIMEDOUT  ? CODE_DIAL_TIMEOUT
               : error == ECONNRESET ? CODE_RESET
               : error               ? CODE_DIAL_ERRNO
                                     : CODE_DIAL;

    sq_errno_text(error, words);
    const char *why = error ? words : t->error_buffer;
    bool v6 = strchr(t->remote_ip, ':') != NULL;
    if (*t->remote_ip)
        set_error(t, code,
                  sq_xasprintf("dial tcp %s%s%s:%d: connect: %s", v6 ? "[" : "", t->remote_ip,
                               v6 ? "]" : "", t->result.remote_port, why));
    else
        set_error(t, code, sq_xasprintf("dial tcp %s:%u: %s", t->host, t->parsed.port, why));
}

static void tls_failed(struct sq_http_transfer *t, const char *words)
{
    int code = CODE_TLS;
    char *note = t->net->tls ? sq_tls_take_note(t->net->tls, &code) : NULL;

    if (!note) {
        note = t->text;
        t->text = NULL;
    }

    if (!note && (strstr(words, "wrong version number") || strstr(words, "http request") ||
                  strstr(words, "packet length too long")))
        set_error(t, CODE_NOT_TLS,
                  sq_xstrdup("tls: first record does not look like a TLS handshake"));
    else
        set_error(t, code, note ? note : sq_xasprintf("tls: %s", words));
}

static void stream_failed(struct sq_http_transfer *t, const char *words, int otherwise)
{
    int error = (int)info_long(t, CURLINFO_OS_ERRNO);

    if (error == ECONNRESET || strstr(words, "onnection reset"))
        set_error(t, CODE_RESET, sq_xasprintf("read: connection reset by peer"));
    else if (error == EPIPE || strstr(words, "roken pipe"))
        set_error(t, CODE_BROKEN_PIPE, sq_xstrdup("write: broken pipe"));
    else
        set_error(t, otherwise, sq_xstrdup(words));
}

static void explain(struct sq_http_transfer *t, CURLcode rc)
{
    const char *words = *t->error_buffer ? t->error_buffer : t->net->http->curl.easy_strerror(rc);

    switch (rc) {
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, which is how it reads anything else */
    case CURLE_WEIRD_SERVER_REPLY:
        set_error(t, CODE_GENERIC, sq_xasprintf("malformed HTTP response: %s", words));
        return;
    case CURLE_URL_MALFORMAT:
        set_error(t, CODE_URL, sq_xasprintf("invalid URL: %s", words));
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        set_error(t, CODE_NO_HOST, sq_xasprintf("lookup %s: no such host", t->host));
        return;
    case CURLE_COULDNT_CONNECT:
        connect_failed(t);
        return;
    case CURLE_OPERATION_TIMEDOUT: /* our own limit is the deadline: this one is of connecting */
        set_error(t, CODE_DIAL_TIMEOUT,
                  sq_xasprintf("dial tcp %s:%u: i/o timeout", t->host, t->parsed.port));
        return;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_INITFAILED:
        tls_failed(t, words);
        return;
    case CURLE_GOT_NOTHING:
        stream_failed(t, "EOF", CODE_GENERIC);
        return;
    case CURLE_PARTIAL_FILE:
        stream_failed(t, "unexpected EOF", CODE_GENERIC);
        return;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        stream_failed(t, words, CODE_TCP);
        return;
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        set_error(t, CODE_HTTP2, sq_xasprintf("http2: %s", words));
        return;
    case CURLE_BAD_CONTENT_ENCODING:
        set_error(t, CODE_DECOMPRESSION,
                  sq_xasprintf("error decompressing response body (%s)", words));
        return;
    case CURLE_WRITE_ERROR:
        set_error(t, CODE_GENERIC,
                  sq_xstrdup("the response is too large: above 1 GiB, or a head above 1 MiB"));
        return;
    default:
        set_error(t, CODE_GENERIC, sq_xstrdup(words));
        return;
    }
}

static void curl_done(struct sq_http_transfer *t, CURLcode rc)
{
    read_peer(t);
    read_timings(t);
    if (rc != CURLE_OK) {
        explain(t, rc);
    } else if (t->result.status == 0) {
        set_error(t, CODE_GENERIC, sq_xstrdup("malformed HTTP response"));
    } else {
        t->result.headers = t->head.len ? (const char *)t->head.data : "";
        t->result.body = sq_buf_slice(&t->body);
    }
    finish(t);
}

static void read_messages(struct sq_http *h)
{
    CURLMsg *message;
    int left;

    while ((message = h->curl.multi_read(h->multi, &left))) {
        struct sq_http_transfer *t = NULL;
        CURLcode rc = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        h->curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        if (t)
            curl_done(t, rc); /* the message is gone now */
    }
}

/* ---- what libcurl hands us ---- */

static void take_status_line(struct sq_http_transfer *t, const char *line, size_t len)
{
    char *text = sq_xstrndup(line, len);
    char *status = strchr(text, ' ');

    t->head.len = 0;
    t->body.len = 0;
    t->head_over = false;
    t->result.headers_count = 0;
    t->result.status = 0;
    if (status) {
        *status++ = '\0';
        while (*status == ' ')
            status++;
        t->result.status = atoi(status);
        snprintf(t->proto, sizeof t->proto, "%s", strcmp(text, "HTTP/2") == 0 ? "HTTP/2.0" : text);
        const char *rest = strchr(status, ' ');
        while (rest && *rest == ' ')
            rest++;
        const char *known = sq_http_status_words(t->result.status);
        const char *reason = rest && *rest ? rest : text[5] == '2' ? known : "";
        snprintf(t->status_text, sizeof t->status_text, "%03d%s%s", t->result.status,
                 *reason ? " " : "", reason);
    }
    free(text);
}

static void read_tls(struct sq_http_transfer *t)
{
    struct curl_tlssessioninfo *session = NULL;
    static const char *const names[][2] = {
        {"TLSv1.3", "tls1.3"}, {"TLSv1.2", "tls1.2"}, {"TLSv1.1", "tls1.1"}, {"TLSv1", "tls1.0"}};

    if (!t->parsed.secure ||
        t->net->http->curl.easy_getinfo(t->easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK ||
        !session || session->backend != CURLSSLBACKEND_OPENSSL || !session->internals)
        return;
    const SSL *ssl = session->internals;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const char *version = SSL_get_version(ssl);
    const char *suite = cipher ? SSL_CIPHER_standard_name(cipher) : NULL;
    for (size_t i = 0; i < SQ_COUNT(names); i++)
        if (strcmp(version, names[i][0]) == 0)
            snprintf(t->tls_version, sizeof t->tls_version, "%s", names[i][1]);
    snprintf(t->tls_cipher, sizeof t->tls_cipher, "%s", suite ? suite : "");
}

/* One line at a time. Trailers, which come behind the blank line, are dropped. */
static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    struct sq_http_transfer *t = user;
    size_t whole = size * count;
    struct sq_slice line = sq_slice(data, whole);

    while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    if (line.len > 5 && memcmp(line.data, "HTTP/", 5) == 0) {
        take_status_line(t, (const char *)line.data, line.len);
        return whole;
    }
    if (t->head_over)
        return whole;
    if (line.len == 0) {
        t->head_over = true;
        read_tls(t);
        return whole;
    }
    const uint8_t *colon = memchr(line.data, ':', line.len);
    if (!colon || colon == line.data || memchr(line.data, 0, line.len))
        return whole;
    size_t name_len = (size_t)(colon - line.data);
    struct sq_slice value = sq_slice_trim(sq_slice(colon + 1, line.len - name_len - 1));
    if (t->head.len + line.len > HEAD_BYTES_MAX)
        return 0;
    sq_buf_put(&t->head, line.data, name_len);
    sq_buf_putc(&t->head, '\0');
    sq_buf_put(&t->head, value.data, value.len);
    sq_buf_putc(&t->head, '\0');
    t->result.headers_count++;
    return whole;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct sq_http_transfer *t = user;

    if (t->discard_body)
        return size * count;
    return sq_buf_append(&t->body, data, size * count) < 0 ? 0 : size * count;
}

static CURLcode on_ssl_context(CURL *easy, void *ssl_ctx, void *user)
{
    struct sq_http_transfer *t = user;
    struct sq_error err = {0};
    struct sq_tls *tls;
    bool for_proxy = t->proxy && t->proxy->kind == SQ_PROXY_HTTPS && !t->proxy_shaken;
    const char *host = for_proxy ? t->proxy->host : t->host;

    (void)easy;
    t->proxy_shaken = true;
    int rc = sq_net_tls(t->net, &tls, &err);
    if (rc == 0)
        rc = sq_tls_configure(tls, ssl_ctx, sq_slice_str(host), for_proxy, &err);
    if (rc < 0 && !t->text)
        t->text = sq_xstrdup(err.text); /* libcurl would put words of its own */
    return rc < 0 ? CURLE_SSL_CONNECT_ERROR : CURLE_OK;
}

/* ---- preparing a handle ---- */

#define SET(option, ...) h->curl.easy_setopt(t->easy, option, __VA_ARGS__)

static void add_header(struct sq_http_transfer *t, const char *text)
{
    struct curl_slist *list = t->net->http->curl.slist_append(t->headers, text);

    if (!list)
        sq_panic("out of memory for a request's headers");
    t->headers = list;
}

static bool has_header(const struct sq_http_transfer *t, const char *name)
{
    const char *p = (const char *)t->request_headers.data;

    for (size_t i = 0; i < t->request_headers_count; i++) {
        if (sq_ascii_eq_nocase(sq_slice_str(p), sq_slice_str(name)))
            return true;
        p += strlen(p) + 1;
        p += strlen(p) + 1;
    }
    return false;
}

static void set_headers(struct sq_http_transfer *t, struct sq_http *h)
{
    /* What libcurl would add unasked; an empty value takes it away. */
    static const char *const unwanted[] = {"Accept", "Accept-Encoding", "Content-Type", "Expect"};
    const char *p = (const char *)t->request_headers.data;

    for (size_t i = 0; i < t->request_headers_count; i++) {
        const char *name = p, *value = p + strlen(p) + 1;
        char *line = *value ? sq_xasprintf("%s: %s", name, value) : sq_xasprintf("%s;", name);
        add_header(t, line);
        free(line);
        p = value + strlen(value) + 1;
    }
    for (size_t i = 0; i < SQ_COUNT(unwanted); i++)
        if (!has_header(t, unwanted[i])) {
            char line[32];
            snprintf(line, sizeof line, "%s:", unwanted[i]);
            add_header(t, line);
        }
    if (t->no_reuse && !has_header(t, "Connection"))
        add_header(t, "Connection: close");
    SET(CURLOPT_HTTPHEADER, t->headers);
}

static void set_method(struct sq_http_transfer *t, struct sq_http *h)
{
    bool head = strcmp(t->method, "HEAD") == 0;
    bool length_wanted = strcmp(t->method, "POST") == 0 || strcmp(t->method, "PUT") == 0 ||
                         strcmp(t->method, "PATCH") == 0;

    if (head) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (t->has_body || length_wanted) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request_body_len);
        SET(CURLOPT_POSTFIELDS, t->request_body ? (const char *)t->request_body : "");
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    if (!head)
        SET(CURLOPT_CUSTOMREQUEST, t->method);
}

static void set_auth(struct sq_http_transfer *t, struct sq_http *h)
{
    static const long kinds[] = {[SQ_HTTP_AUTH_BASIC] = (long)CURLAUTH_BASIC,
                                 [SQ_HTTP_AUTH_DIGEST] = (long)CURLAUTH_DIGEST,
                                 [SQ_HTTP_AUTH_NTLM] = (long)CURLAUTH_NTLM};
    const char *info = t->parsed.userinfo;
    const char *colon = strchr(info, ':');

    if (!*info)
        return;
    char *user = sq_xstrndup(info, colon ? (size_t)(colon - info) : strlen(info));
    SET(CURLOPT_HTTPAUTH, kinds[t->auth]);
    SET(CURLOPT_USERNAME, user);
    SET(CURLOPT_PASSWORD, colon ? colon + 1 : "");
    free(user);
}

/* Scheme, ASCII host and target; credentials travel apart, blanks in a query are encoded. */
static void set_url(struct sq_http_transfer *t, struct sq_http *h)
{
    struct sq_buf url = {0};

    sq_buf_printf(&url, "%s://", t->parsed.secure ? "https" : "http");
    if (t->parsed.host_is_ipv6)
        sq_buf_printf(&url, "[%.*s]", (int)strcspn(t->host, "%"), t->host);
    else
        sq_buf_puts(&url, t->host);
    if (t->parsed.port_given)
        sq_buf_printf(&url, ":%u", t->parsed.port);
    for (const char *p = t->parsed.target; *p; p++) {
        if ((uint8_t)*p <= ' ' || (uint8_t)*p >= 0x7f)
            sq_buf_printf(&url, "%%%02X", (uint8_t)*p);
        else
            sq_buf_putc(&url, *p);
    }
    SET(CURLOPT_URL, sq_buf_cstr(&url));
    SET(CURLOPT_PATH_AS_IS, 1L);
    sq_buf_deinit(&url);
}

/* `address` is where the first connection goes: of the proxy when there is one. */
static void set_proxy(struct sq_http_transfer *t, struct sq_http *h,
                      const union sq_address *address)
{
    static const char *const schemes[] = {
        [SQ_PROXY_HTTP] = "http", [SQ_PROXY_HTTPS] = "https", [SQ_PROXY_SOCKS5] = "socks5h"};
    char to[SQ_ADDRESS_TEXT_BYTES];

    if (!t->proxy) {
        SET(CURLOPT_PROXY, ""); /* else libcurl looks into the environment itself */
        return;
    }
    sq_address_format(address, to);
    char *url = sq_xasprintf("%s://%s", schemes[t->proxy->kind], to);
    SET(CURLOPT_PROXY, url);
    free(url);
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
    if (t->proxy->user) {
        SET(CURLOPT_PROXYUSERNAME, t->proxy->user);
        SET(CURLOPT_PROXYPASSWORD, t->proxy->password ? t->proxy->password : "");
    }
}

/* Names are ours to resolve. A row of `hosts` may change the port, and is the same for every
 * request: CONNECT_TO, which libcurl compares on reuse. What DNS said may differ from time to time
 * and must not part requests from their connections: RESOLVE, which it does not compare. */
static void set_address(struct sq_http_transfer *t, struct sq_http *h,
                        const union sq_address *address, bool mapped)
{
    char text[SQ_ADDRESS_TEXT_BYTES];
    union sq_address source;
    char *row;

    if (sq_address_pool_pick(&t->net->pool, t->vu->id, &source)) {
        sq_address_format_ip(&source, text);
        row = sq_xasprintf("host!%s", text);
        SET(CURLOPT_INTERFACE, row);
        free(row);
    }
    if (t->proxy)
        return;
    if (mapped) {
        sq_address_format(address, text);
        row = sq_xasprintf("::%s", text);
        t->connect_to = h->curl.slist_append(NULL, row);
        SET(CURLOPT_CONNECT_TO, t->connect_to);
        free(row);
    } else if (!t->parsed.host_is_ipv6) {
        sq_address_format_ip(address, text);
        row = sq_xasprintf("%s:%u:%s%s%s", t->host, t->parsed.port,
                           address->any.sa_family == AF_INET6 ? "[" : "", text,
                           address->any.sa_family == AF_INET6 ? "]" : "");
        t->resolve = h->curl.slist_append(NULL, row);
        SET(CURLOPT_RESOLVE, t->resolve);
        free(row);
    }
}

static void set_callbacks(struct sq_http_transfer *t, struct sq_http *h)
{
    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_ERRORBUFFER, t->error_buffer);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, t->vu);
    SET(CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, t->vu);
}

/* False: an https URL and a libcurl without OpenSSL. */
static bool set_tls(struct sq_http_transfer *t, struct sq_http *h)
{
    bool to_proxy = t->proxy && t->proxy->kind == SQ_PROXY_HTTPS;

    if (!t->parsed.secure && !to_proxy)
        return true;
    /* Certificates are checked by our own callback, in the same way as those of wss://. */
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
    SET(CURLOPT_SSL_SESSIONID_CACHE, t->net->options.tls_session_cache ? 1L : 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_SSL_CTX_DATA, t);
    return SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_context) == CURLE_OK;
}

static void run(struct sq_http_transfer *t, const union sq_address *address, bool mapped)
{
    struct sq_http *h = t->net->http;
    char ip[SQ_ADDRESS_TEXT_BYTES], range[SQ_ADDRESS_TEXT_BYTES];
    const struct sq_address_range *hit = sq_address_policy_blacklisted_by(&t->net->policy, address);

    t->resolved_ns = sq_now_ns();
    sq_address_format_ip(address, ip);
    if (hit) {
        sq_address_range_format(hit, range);
        fail(t, CODE_BLACKLISTED,
             sq_xasprintf("IP (%s) is in a blacklisted range (%s)", ip, range));
        return;
    }
    t->easy = h->spare_count ? h->spare[--h->spare_count] : h->curl.easy_init();
    if (!t->easy)
        sq_panic("out of memory for libcurl");
    t->state = RUNNING;
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SHARE, share_of(t->vu, h));
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_LIMIT_S * 1000);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_ACCEPT_ENCODING, ""); /* decode whatever libcurl can */
    SET(CURLOPT_FORBID_REUSE, t->no_reuse ? 1L : 0L);
    set_callbacks(t, h);
    set_url(t, h);
    set_method(t, h);
    set_headers(t, h);
    set_auth(t, h);
    set_proxy(t, h, address);
    set_address(t, h, address, mapped);
    if (!set_tls(t, h)) {
        fail(t, CODE_TLS,
             sq_xstrdup("tls: the libcurl.so.4 of this machine does not use OpenSSL; Debian and "
                        "Ubuntu have one that does in the package libcurl4"));
        return;
    }
    t->curl_start_ns = sq_now_ns();
    CURLMcode rc = h->curl.multi_add(h->multi, t->easy);
    if (rc != CURLM_OK)
        sq_panic("libcurl refuses a transfer: %d", (int)rc);
}
#undef SET

/* ---- names ---- */

static void on_resolved(struct sq_dns_query *query, const struct sq_dns_result *result)
{
    struct sq_http_transfer *t = SQ_CONTAINER_OF(query, struct sq_http_transfer, query);

    if (result->error) {
        fail(t, result->error_code, sq_xstrdup(result->text));
        return;
    }
    union sq_address address = *sq_dns_select(t->net->dns, result);
    sq_address_set_port(&address, t->proxy ? t->proxy->port : t->parsed.port);
    run(t, &address, false);
}

/* `hosts`, block lists, literals, then DNS (NT-1, NT-2). */
static void resolve(struct sq_http_transfer *t, const char *host, uint16_t port)
{
    struct sq_slice name = sq_slice_str(host);
    union sq_address address;
    struct sq_error err = {0};
    struct sq_dns *dns;
    const char *pattern = sq_address_policy_blocked_by(&t->net->policy, name);

    t->state = RESOLVING;
    if (pattern) {
        fail(t, CODE_BLOCKED,
             sq_xasprintf("hostname (%s) is in a blocked pattern (%s)", host, pattern));
        return;
    }
    if (sq_address_policy_host(&t->net->policy, name, port, &address)) {
        run(t, &address, true);
        return;
    }
    if (sq_address_parse(name, &address)) {
        sq_address_set_port(&address, port);
        run(t, &address, false);
        return;
    }
    if (name.len > 255) {
        fail(t, CODE_NO_HOST, sq_xasprintf("lookup %s: no such host", host));
        return;
    }
    if (sq_net_dns(t->net, &dns, &err) < 0) {
        fail(t, CODE_DNS, sq_xstrdup(err.text));
        return;
    }
    sq_dns_lookup(dns, name, &t->query);
}

static void run_start(struct sq_deferred *deferred)
{
    struct sq_http_transfer *t = SQ_CONTAINER_OF(deferred, struct sq_http_transfer, deferred);
    struct sq_http *h = http_of(t->net);
    struct sq_error err = {0};
    const char *why;

    t->start_ns = t->resolved_ns = sq_now_ns();
    if (!h->multi) {
        fail(t, CODE_GENERIC, sq_xstrdup(h->error.text));
        return;
    }
    if (sq_http_url_parse(t->url, &t->parsed, &err) < 0) {
        fail(t, CODE_URL, sq_xasprintf("invalid URL: parse \"%s\": %s", t->url, err.text));
        return;
    }
    t->host = sq_idna_to_ascii(sq_slice_str(t->parsed.host));
    if (!t->host) {
        fail(t, CODE_NO_HOST, sq_xasprintf("lookup %s: no such host", t->parsed.host));
        return;
    }
    if (sq_proxy_choose(&t->net->proxies, t->parsed.secure, sq_slice_str(t->host), t->parsed.port,
                        &t->proxy, &why) < 0) {
        fail(t, CODE_GENERIC, sq_xstrdup(why));
        return;
    }
    if (t->proxy)
        resolve(t, t->proxy->host, t->proxy->port);
    else
        resolve(t, t->host, t->parsed.port);
}

static void on_limit(struct sq_timer *timer)
{
    struct sq_http_transfer *t = SQ_CONTAINER_OF(timer, struct sq_http_transfer, limit);

    if (t->easy) {
        read_peer(t);
        read_timings(t);
    }
    fail(t, CODE_TIMEOUT, sq_xstrdup("request timeout"));
}

/* ---- the contract ---- */

struct sq_http_transfer *sq_http_start(struct sq_http_vu *vu, const struct sq_http_request *request,
                                       void (*done)(void *user), void *user)
{
    struct sq_http_transfer *t = sq_xcalloc(1, sizeof *t);

    t->vu = vu;
    t->net = vu->net;
    t->done = done;
    t->user = user;
    t->method = sq_xstrdup(request->method);
    t->url = sq_xstrdup(request->url);
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct sq_http_header *header = &request->headers[i];
        sq_buf_put(&t->request_headers, header->name, strlen(header->name) + 1);
        sq_buf_put(&t->request_headers, header->value, strlen(header->value) + 1);
    }
    t->request_headers_count = request->headers_count;
    t->has_body = request->has_body;
    if (request->body.len) {
        t->request_body = sq_xmalloc(request->body.len);
        memcpy(t->request_body, request->body.data, request->body.len);
        t->request_body_len = request->body.len;
    }
    t->deadline_ns = request->deadline_ns;
    t->auth = request->auth;
    t->discard_body = request->discard_body;
    t->no_reuse = request->no_reuse;
    t->body.max_bytes = SQ_HTTP_BODY_BYTES_MAX;
    t->result = (struct sq_http_result){
        .error = "",
        .text = "",
        .status_text = t->status_text,
        .proto = t->proto,
        .headers = "",
        .remote_ip = t->remote_ip,
        .tls_version = t->tls_version,
        .tls_cipher = t->tls_cipher,
    };
    t->query.done = on_resolved;
    sq_list_init(&t->query.node);
    t->limit = SQ_TIMER_INIT(on_limit);
    if (t->deadline_ns != INT64_MAX)
        sq_timer_start(t->net->loop, &t->limit, t->deadline_ns);
    t->deferred.run = run_start;
    sq_list_init(&t->deferred.node);
    sq_loop_defer(t->net->loop, &t->deferred);
    vu->transfers++;
    return t;
}

const struct sq_http_result *sq_http_transfer_result(const struct sq_http_transfer *t)
{
    return &t->result;
}

void sq_http_transfer_free(struct sq_http_transfer *t)
{
    if (!t)
        return;
    stop(t);
    sq_url_deinit(&t->parsed);
    free(t->host);
    free(t->method);
    free(t->url);
    free(t->text);
    free(t->request_body);
    sq_buf_deinit(&t->request_headers);
    sq_buf_deinit(&t->head);
    sq_buf_deinit(&t->body);
    free(t);
}
