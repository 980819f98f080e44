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
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "net/dns.h"
#include "net/http_private.h"
#include "net/idna.h"
#include "net/net_private.h"

enum { IDLE_CONNECTIONS_MAX = 20 }; /* kept for one VU */

struct watch { /* a socket that libcurl waits for */
    struct sq_list node;
    struct sq_io io;
    struct sq_http *http;
};

/* ---- wire bytes ---- */

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;

    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

/* False: the descriptor is closed, or is another socket by now. */
static bool count_connection(struct sq_http_vu *vu, struct sq_http_connection *c)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    if (cookie_of(c->fd) != c->cookie)
        return false;
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans)
        return true;
    uint64_t sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
    if (sent > c->sent_bytes)
        vu->counters->sent_bytes += sent - c->sent_bytes;
    if (info.tcpi_bytes_received > c->received_bytes)
        vu->counters->received_bytes += info.tcpi_bytes_received - c->received_bytes;
    c->sent_bytes = SQ_MAX(c->sent_bytes, sent);
    c->received_bytes = SQ_MAX(c->received_bytes, (uint64_t)info.tcpi_bytes_received);
    return true;
}

/* Of sockets that were never connected libcurl does not tell when it closes them. */
static void count_connections(struct sq_http_vu *vu)
{
    for (size_t i = 0; i < vu->connections_count;)
        if (count_connection(vu, &vu->connections[i]))
            i++;
        else
            vu->connections[i] = vu->connections[--vu->connections_count];
}

curl_socket_t sq_http_on_open_socket(void *user, curlsocktype purpose,
                                     struct curl_sockaddr *address)
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
    vu->connections[vu->connections_count++] =
        (struct sq_http_connection){.fd = fd, .cookie = cookie_of(fd)};
    return fd;
}

int sq_http_on_close_socket(void *user, curl_socket_t fd)
{
    struct sq_http_vu *vu = user;

    for (size_t i = 0; i < vu->connections_count; i++)
        if (vu->connections[i].fd == fd) {
            (void)count_connection(vu, &vu->connections[i]);
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
    /* libcurl closes sockets that were never connected before it says so. */
    sq_io_forget(w->http->net->loop, &w->io);
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
    if (us > 0 && !t->round.sent_ns)
        t->round.sent_ns = sq_now_ns();
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

CURLSH *sq_http_share(struct sq_http_vu *vu)
{
    struct sq_http *h = vu->net->http;

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
    if (t->state != SQ_HTTP_DONE)
        t->vu->transfers--;
    t->state = SQ_HTTP_DONE;
    if (!t->easy)
        return;
    h->curl.multi_remove(h->multi, t->easy);
    h->curl.easy_setopt(t->easy, CURLOPT_SHARE, NULL);
    h->curl.easy_reset(t->easy);
    if (h->spare_count < SQ_HTTP_SPARE_HANDLES_MAX)
        h->spare[h->spare_count++] = t->easy;
    else
        h->curl.easy_cleanup(t->easy);
    t->easy = NULL;
    h->curl.slist_free(t->headers);
    h->curl.slist_free(t->resolve);
    h->curl.slist_free(t->connect_to);
    t->headers = t->resolve = t->connect_to = NULL;
    count_connections(t->vu);
}

static void finish(struct sq_http_transfer *t)
{
    stop(t);
    t->done(t->user);
}

static void fail(struct sq_http_transfer *t, int code, char *text)
{
    sq_http_set_error(t, code, text);
    finish(t);
}

static void curl_done(struct sq_http_transfer *t, CURLcode rc)
{
    sq_http_take_result(t, rc);
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

static void run(struct sq_http_transfer *t, const union sq_address *address, bool mapped)
{
    struct sq_http *h = t->net->http;
    char ip[SQ_ADDRESS_TEXT_BYTES], range[SQ_ADDRESS_TEXT_BYTES];
    const struct sq_address_range *hit = sq_address_policy_blacklisted_by(&t->net->policy, address);

    t->resolved_ns = sq_now_ns();
    sq_address_format_ip(address, ip);
    if (hit) {
        sq_address_range_format(hit, range);
        fail(t, SQ_HTTP_CODE_BLACKLISTED,
             sq_xasprintf("IP (%s) is in a blacklisted range (%s)", ip, range));
        return;
    }
    t->easy = h->spare_count ? h->spare[--h->spare_count] : h->curl.easy_init();
    if (!t->easy)
        sq_panic("out of memory for libcurl");
    t->state = SQ_HTTP_RUNNING;
    if (!sq_http_set_options(t, address, mapped)) {
        fail(t, SQ_HTTP_CODE_TLS,
             sq_xstrdup("tls: the libcurl.so.4 of this machine does not use OpenSSL; Debian and "
                        "Ubuntu have one that does in the package libcurl4"));
        return;
    }
    t->curl_start_ns = sq_now_ns();
    CURLMcode rc = h->curl.multi_add(h->multi, t->easy);
    if (rc != CURLM_OK)
        sq_panic("libcurl refuses a transfer: %d", (int)rc);
}

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

    t->state = SQ_HTTP_RESOLVING;
    if (pattern) {
        fail(t, SQ_HTTP_CODE_BLOCKED,
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
        fail(t, SQ_HTTP_CODE_NO_HOST, sq_xasprintf("lookup %s: no such host", host));
        return;
    }
    if (sq_net_dns(t->net, &dns, &err) < 0) {
        fail(t, SQ_HTTP_CODE_DNS, sq_xstrdup(err.text));
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
        fail(t, SQ_HTTP_CODE_GENERIC, sq_xstrdup(h->error.text));
        return;
    }
    if (sq_http_url_parse(t->url, &t->parsed, &err) < 0) {
        fail(t, SQ_HTTP_CODE_URL, sq_xasprintf("invalid URL: parse \"%s\": %s", t->url, err.text));
        return;
    }
    t->host = sq_idna_to_ascii(sq_slice_str(t->parsed.host));
    if (!t->host) {
        fail(t, SQ_HTTP_CODE_NO_HOST, sq_xasprintf("lookup %s: no such host", t->parsed.host));
        return;
    }
    if (sq_proxy_choose(&t->net->proxies, t->parsed.secure, sq_slice_str(t->host), t->parsed.port,
                        &t->proxy, &why) < 0) {
        fail(t, SQ_HTTP_CODE_GENERIC, sq_xstrdup(why));
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
        sq_http_read_peer(t);
        sq_http_read_timings(t);
        t->result.sent_head = sq_buf_slice(&t->sent_head);
    }
    fail(t, SQ_HTTP_CODE_TIMEOUT, sq_xstrdup("request timeout"));
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
    t->keep_heads = request->keep_heads;
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
    sq_buf_deinit(&t->sent_head);
    sq_buf_deinit(&t->received_head);
    sq_content_decoder_free(t->decoder);
    free(t->length);
    free(t);
}
