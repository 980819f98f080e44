/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/text.h"
#include "net/address.h"
#include "proto/http1/head.h"

enum talk_state { CONNECT_ANSWER, SOCKS_METHOD, SOCKS_AUTH, SOCKS_REPLY };

/* ---- which proxy ---- */

static void proxy_free(struct sq_proxy *p)
{
    if (!p)
        return;
    free(p->host);
    free(p->user);
    free(p->password);
    free(p);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *percent_decode(struct sq_slice s)
{
    char *out = sq_xmalloc(s.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < s.len; i++) {
        int high, low;
        if (s.data[i] == '%' && i + 2 < s.len && (high = hex_digit(s.data[i + 1])) >= 0 &&
            (low = hex_digit(s.data[i + 2])) >= 0 && (high || low)) {
            out[len++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[len++] = (char)s.data[i];
        }
    }
    out[len] = 0;
    return out;
}

/* Takes "scheme://" off. An unknown scheme gives false. */
static bool take_scheme(const char **url, enum sq_proxy_kind *kind, uint16_t *port)
{
    static const struct {
        const char *name;
        enum sq_proxy_kind kind;
        uint16_t port;
    } schemes[] = {
        {"http", SQ_PROXY_HTTP, 80},
        {"https", SQ_PROXY_HTTPS, 443},
        {"socks5", SQ_PROXY_SOCKS5, 1080},
        {"socks5h", SQ_PROXY_SOCKS5, 1080},
    };
    const char *mark = strstr(*url, "://");
    struct sq_slice name = mark ? sq_slice(*url, (size_t)(mark - *url)) : sq_slice_str("http");

    for (size_t i = 0; i < SQ_COUNT(schemes); i++)
        if (sq_ascii_eq_nocase(name, sq_slice_str(schemes[i].name))) {
            *kind = schemes[i].kind;
            *port = schemes[i].port;
            *url = mark ? mark + 3 : *url;
            return true;
        }
    return false;
}

static void take_userinfo(struct sq_slice *authority, struct sq_proxy *p)
{
    const uint8_t *at = authority->len ? memrchr(authority->data, '@', authority->len) : NULL;

    if (!at)
        return;
    size_t len = (size_t)(at - authority->data);
    const uint8_t *colon = len ? memchr(authority->data, ':', len) : NULL;
    size_t user_len = colon ? (size_t)(colon - authority->data) : len;
    p->user = percent_decode(sq_slice(authority->data, user_len));
    p->password = colon ? percent_decode(sq_slice(colon + 1, len - user_len - 1)) : sq_xstrdup("");
    authority->data = at + 1;
    authority->len -= len + 1;
}

/* host, host:port, [v6], [v6]:port */
static bool take_host(struct sq_slice text, char **host, uint16_t *port)
{
    struct sq_slice name = text, tail;
    uint32_t value = 0;

    if (text.len && text.data[0] == '[') {
        const uint8_t *end = memchr(text.data, ']', text.len);
        if (!end)
            return false;
        name = sq_slice(text.data + 1, (size_t)(end - text.data) - 1);
        tail = sq_slice(end + 1, text.len - name.len - 2);
    } else {
        const uint8_t *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
        name.len = colon ? (size_t)(colon - text.data) : text.len;
        tail = sq_slice(text.data + name.len, text.len - name.len);
    }
    if (name.len == 0 || (tail.len && tail.data[0] != ':') || tail.len > 6)
        return false;
    for (size_t i = 1; i < tail.len; i++) {
        if (tail.data[i] < '0' || tail.data[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(tail.data[i] - '0');
    }
    if (value > UINT16_MAX || (tail.len > 1 && value == 0))
        return false;
    if (value)
        *port = (uint16_t)value;
    *host = sq_xstrndup((const char *)name.data, name.len);
    return true;
}

/* NULL and *error (owned) when the text names no proxy that can be used. Passwords stay out of it.
 */
static struct sq_proxy *proxy_parse(const char *url, char **error)
{
    struct sq_proxy *p = sq_xcalloc(1, sizeof *p);

    if (!take_scheme(&url, &p->kind, &p->port)) {
        *error = sq_xasprintf("proxy: unknown scheme '%.*s': use http, https, socks5 or socks5h",
                              (int)strcspn(url, ":"), url);
        proxy_free(p);
        return NULL;
    }
    struct sq_slice authority = sq_slice(url, strcspn(url, "/?#"));
    take_userinfo(&authority, p);
    if (!take_host(authority, &p->host, &p->port)) {
        *error =
            sq_xasprintf("proxy: '%.*s' is not a host with an optional port",
                         (int)SQ_MIN(authority.len, (size_t)200), (const char *)authority.data);
        proxy_free(p);
        return NULL;
    }
    return p;
}

void sq_proxy_choice_init(struct sq_proxy_choice *choice, const struct sq_net_options *options)
{
    *choice = (struct sq_proxy_choice){.no_proxy = options->no_proxy};
    if (options->http_proxy && *options->http_proxy)
        choice->plain = proxy_parse(options->http_proxy, &choice->plain_error);
    if (options->https_proxy && *options->https_proxy)
        choice->secure = proxy_parse(options->https_proxy, &choice->secure_error);
}

void sq_proxy_choice_deinit(struct sq_proxy_choice *choice)
{
    proxy_free(choice->plain);
    proxy_free(choice->secure);
    free(choice->plain_error);
    free(choice->secure_error);
    *choice = (struct sq_proxy_choice){0};
}

static bool is_local(struct sq_slice host)
{
    union sq_address a;

    if (host.len && host.data[host.len - 1] == '.')
        host.len--;
    return sq_ascii_eq_nocase(host, sq_slice_str("localhost")) ||
           (sq_address_parse(host, &a) && sq_address_loopback(&a));
}

/* One member of NO_PROXY against a host that may be an address. */
static bool member_matches(struct sq_slice member, struct sq_slice host, uint16_t port)
{
    union sq_address a, b;
    struct sq_address_range range;
    bool literal = sq_address_parse(host, &a);
    char *name = NULL;
    uint16_t member_port = 0, literal_port;
    bool match = false;

    if (sq_slice_eq(member, sq_slice_str("*")))
        return true;
    if (sq_address_range_parse(member, &range))
        return literal && sq_address_range_has(&range, &a);
    if (sq_address_parse_port(member, &b, &literal_port))
        return literal && sq_address_same_ip(&a, &b) && (!literal_port || literal_port == port);
    if (!take_host(member, &name, &member_port))
        return false;
    struct sq_slice rest = sq_slice_str(name);
    if (rest.len > 1 && rest.data[0] == '*' && rest.data[1] == '.') {
        rest.data++;
        rest.len--;
    }
    if (member_port && member_port != port)
        goto out;
    bool subdomains_only = rest.data[0] == '.';
    if (!subdomains_only && sq_ascii_eq_nocase(rest, host))
        match = true;
    else if (host.len > rest.len) {
        size_t at = host.len - rest.len;
        match = sq_ascii_eq_nocase(rest, sq_slice(host.data + at, rest.len)) &&
                (subdomains_only || host.data[at - 1] == '.');
    }
out:
    free(name);
    return match;
}

bool sq_proxy_excluded(const char *no_proxy, struct sq_slice host, uint16_t port)
{
    if (is_local(host))
        return true;
    if (host.len && host.data[host.len - 1] == '.')
        host.len--;
    for (const char *at = no_proxy; at && *at;) {
        const char *end = strchrnul(at, ',');
        struct sq_slice member = sq_slice_trim(sq_slice(at, (size_t)(end - at)));
        if (member.len && member_matches(member, host, port))
            return true;
        at = *end ? end + 1 : end;
    }
    return false;
}

int sq_proxy_choose(const struct sq_proxy_choice *choice, bool secure, struct sq_slice host,
                    uint16_t port, const struct sq_proxy **out, const char **text)
{
    const struct sq_proxy *p = secure ? choice->secure : choice->plain;
    const char *error = secure ? choice->secure_error : choice->plain_error;

    *out = NULL;
    if ((!p && !error) || sq_proxy_excluded(choice->no_proxy, host, port))
        return 0;
    *out = p;
    if (!error)
        return 0;
    *text = error;
    return SQ_EPROXY;
}

/* ---- HTTP CONNECT ---- */

static void put_authorization(struct sq_buf *out, const struct sq_proxy *p)
{
    char *plain = sq_xasprintf("%s:%s", p->user, p->password);
    size_t len = strlen(plain);
    unsigned char *coded = sq_xmalloc(4 * ((len + 2) / 3) + 1);

    EVP_EncodeBlock(coded, (const unsigned char *)plain, (int)len);
    sq_buf_puts(out, "Proxy-Authorization: Basic ");
    sq_buf_puts(out, (const char *)coded);
    sq_buf_puts(out, "\r\n");
    free(coded);
    free(plain);
}

static void put_connect(struct sq_proxy_talk *t)
{
    const char *form = strchr(t->host, ':') ? "[%s]:%u" : "%s:%u";
    char *target = sq_xasprintf(form, t->host, t->port);

    sq_buf_printf(&t->out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
    if (t->proxy->user)
        put_authorization(&t->out, t->proxy);
    sq_buf_puts(&t->out, "\r\n");
    free(target);
}

static int refuse(struct sq_proxy_talk *t, char *text)
{
    t->text = text;
    return SQ_EPROXY;
}

static int feed_connect(struct sq_proxy_talk *t)
{
    struct sq_http1_head head;

    for (;;) {
        struct sq_http1_parser parser = {.kind = SQ_HTTP1_RESPONSE};
        int used = sq_http1_parse(&parser, sq_buf_slice(&t->in), &head);
        if (used == 0)
            return SQ_PROXY_MORE;
        if (used < 0)
            return refuse(t, sq_xasprintf("proxy: malformed answer to CONNECT: %s",
                                          sq_http1_reason(&parser)));
        if (head.status >= 300 || (head.status < 200 && head.status == 101)) {
            if (head.reason.len == 0)
                return refuse(t, sq_xasprintf("%d", head.status)); /* WS-146 */
            return refuse(t, sq_xstrndup((const char *)head.reason.data, head.reason.len));
        }
        bool done = head.status >= 200;
        sq_buf_consume(&t->in, (size_t)used);
        if (done)
            return SQ_PROXY_DONE;
    }
}

/* ---- SOCKS5 ---- */

static int socks_refuse(struct sq_proxy_talk *t, const char *why)
{
    return refuse(t, sq_xasprintf("socks connect tcp %s:%u->%s:%u: %s", t->proxy->host,
                                  t->proxy->port, t->host, t->port, why));
}

static void put_request(struct sq_proxy_talk *t)
{
    union sq_address a;

    sq_buf_put(&t->out, "\x05\x01\x00", 3);
    if (!sq_address_parse(sq_slice_str(t->host), &a)) {
        size_t len = strlen(t->host);
        sq_buf_putc(&t->out, 3);
        sq_buf_putc(&t->out, (char)len);
        sq_buf_put(&t->out, t->host, len);
    } else if (a.any.sa_family == AF_INET) {
        sq_buf_putc(&t->out, 1);
        sq_buf_put(&t->out, &a.v4.sin_addr, 4);
    } else {
        sq_buf_putc(&t->out, 4);
        sq_buf_put(&t->out, &a.v6.sin6_addr, 16);
    }
    sq_buf_putc(&t->out, (char)(t->port >> 8));
    sq_buf_putc(&t->out, (char)t->port);
}

static void put_login(struct sq_proxy_talk *t)
{
    size_t user = strlen(t->proxy->user), password = strlen(t->proxy->password);

    sq_buf_putc(&t->out, 1);
    sq_buf_putc(&t->out, (char)user);
    sq_buf_put(&t->out, t->proxy->user, user);
    sq_buf_putc(&t->out, (char)password);
    sq_buf_put(&t->out, t->proxy->password, password);
}

static const char *reply_text(uint8_t code)
{
    static const char *const texts[] = {
        "",
        "general SOCKS server failure",
        "connection not allowed by ruleset",
        "network unreachable",
        "host unreachable",
        "connection refused",
        "TTL expired",
        "command not supported",
        "address type not supported",
    };

    return code < SQ_COUNT(texts) ? texts[code] : "unknown reply code";
}

static int feed_reply(struct sq_proxy_talk *t)
{
    const uint8_t *in = t->in.data;
    size_t need;

    if (t->in.len < 5)
        return t->in.len >= 2 && (in[0] != 5 || in[1] != 0)
                   ? socks_refuse(t, in[0] != 5 ? "unexpected protocol version" : reply_text(in[1]))
                   : SQ_PROXY_MORE;
    if (in[0] != 5)
        return socks_refuse(t, "unexpected protocol version");
    if (in[1] != 0)
        return socks_refuse(t, reply_text(in[1]));
    switch (in[3]) {
    case 1:
        need = 4 + 4 + 2;
        break;
    case 3:
        need = 4 + 1 + (size_t)in[4] + 2;
        break;
    case 4:
        need = 4 + 16 + 2;
        break;
    default:
        return socks_refuse(t, "unknown address type");
    }
    if (t->in.len < need)
        return SQ_PROXY_MORE;
    sq_buf_consume(&t->in, need);
    return SQ_PROXY_DONE;
}

static int feed_socks(struct sq_proxy_talk *t)
{
    while (t->state != SOCKS_REPLY) {
        if (t->in.len < 2)
            return SQ_PROXY_MORE;
        uint8_t version = t->in.data[0], value = t->in.data[1];
        sq_buf_consume(&t->in, 2);
        if (t->state == SOCKS_AUTH) {
            if (version != 1)
                return socks_refuse(t, "invalid username/password version");
            if (value != 0)
                return socks_refuse(t, "username/password authentication failed");
        } else {
            if (version != 5)
                return socks_refuse(t, "unexpected protocol version");
            if (value == 2 && t->proxy->user) {
                put_login(t);
                t->state = SOCKS_AUTH;
                continue;
            }
            if (value != 0)
                return socks_refuse(t, "no acceptable authentication methods");
        }
        put_request(t);
        t->state = SOCKS_REPLY;
    }
    return feed_reply(t);
}

/* ---- both ---- */

int sq_proxy_talk_init(struct sq_proxy_talk *t, const struct sq_proxy *proxy, struct sq_slice host,
                       uint16_t port)
{
    *t = (struct sq_proxy_talk){
        .proxy = proxy,
        .host = sq_xstrndup((const char *)host.data, host.len),
        .port = port,
    };
    if (proxy->kind != SQ_PROXY_SOCKS5) {
        t->state = CONNECT_ANSWER;
        put_connect(t);
        return 0;
    }
    if (host.len > 255)
        return socks_refuse(t, "FQDN too long");
    if (proxy->user &&
        (!*proxy->user || strlen(proxy->user) > 255 || strlen(proxy->password) > 255))
        return socks_refuse(t, "invalid username/password");
    t->state = SOCKS_METHOD;
    if (proxy->user)
        sq_buf_put(&t->out, "\x05\x02\x00\x02", 4);
    else
        sq_buf_put(&t->out, "\x05\x01\x00", 3);
    return 0;
}

int sq_proxy_talk_feed(struct sq_proxy_talk *t, const void *data, size_t len)
{
    sq_buf_put(&t->in, data, len);
    return t->proxy->kind == SQ_PROXY_SOCKS5 ? feed_socks(t) : feed_connect(t);
}

void sq_proxy_talk_deinit(struct sq_proxy_talk *t)
{
    free(t->host);
    free(t->text);
    sq_buf_deinit(&t->out);
    sq_buf_deinit(&t->in);
    *t = (struct sq_proxy_talk){0};
}
