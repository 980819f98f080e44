/* SPDX-License-Identifier: Apache-2.0 */
/* A request as options of a libcurl handle. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "net/http_private.h"
#include "net/tls.h"

enum { CONNECT_LIMIT_S = 30 };

#define SET(option, ...) h->curl.easy_setopt(t->easy, option, __VA_ARGS__)

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

/* libcurl's own time for this is taken after it has begun to send: when the scheduler lets the
 * server run in between, the answer may be there by then, and waiting for it would be left out.
 * Called again when authentication makes a second request of it. */
static int on_ready_to_send(void *user, char *peer_ip, char *local_ip, int peer_port,
                            int local_port)
{
    struct sq_http_transfer *t = user;

    (void)peer_ip, (void)local_ip, (void)peer_port, (void)local_port;
    sq_http_next_round(t);
    return CURL_PREREQFUNC_OK;
}

static void set_callbacks(struct sq_http_transfer *t, struct sq_http *h)
{
    SET(CURLOPT_PREREQFUNCTION, on_ready_to_send);
    SET(CURLOPT_PREREQDATA, t);
    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_ERRORBUFFER, t->error_buffer);
    SET(CURLOPT_HEADERFUNCTION, sq_http_on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, sq_http_on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_OPENSOCKETFUNCTION, sq_http_on_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, t->vu);
    SET(CURLOPT_CLOSESOCKETFUNCTION, sq_http_on_close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, t->vu);
    if (t->keep_heads) {
        SET(CURLOPT_DEBUGFUNCTION, sq_http_on_debug);
        SET(CURLOPT_DEBUGDATA, t);
        SET(CURLOPT_VERBOSE, 1L);
    }
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
    /* Requests at once share a connection, if it becomes HTTP/2. */
    SET(CURLOPT_PIPEWAIT, t->no_reuse ? 0L : 1L);
    SET(CURLOPT_SSL_CTX_DATA, t);
    return SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_context) == CURLE_OK;
}

bool sq_http_set_options(struct sq_http_transfer *t, const union sq_address *address, bool mapped)
{
    struct sq_http *h = t->net->http;

    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SHARE, sq_http_share(t->vu));
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_LIMIT_S * 1000);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_FORBID_REUSE, t->no_reuse ? 1L : 0L);
    SET(CURLOPT_FRESH_CONNECT, t->no_reuse ? 1L : 0L);
    set_callbacks(t, h);
    set_url(t, h);
    set_method(t, h);
    set_headers(t, h);
    set_auth(t, h);
    set_proxy(t, h, address);
    set_address(t, h, address, mapped);
    return set_tls(t, h);
}
#undef SET
