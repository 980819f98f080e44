/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/url.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"

/* Pieces of the text, before decoding. */
struct parts {
    struct sq_slice userinfo, host, zone, port, path, query;
    bool has_userinfo, has_port, has_query, bracketed;
};

enum { URL_MAX_BYTES = 1024 * 1024 };

static int malformed(struct sq_error *err, const char *why)
{
    return sq_error_set(err, SQ_EINVALID, "malformed URL: %s", why);
}

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c && strchr(set, c);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte an escape at the start of `text` stands for, -1 when it is none. */
static int escape_value(const uint8_t *text, size_t len)
{
    if (len < 3 || text[0] != '%' || hex_value(text[1]) < 0 || hex_value(text[2]) < 0)
        return -1;
    return hex_value(text[1]) << 4 | hex_value(text[2]);
}

static struct sq_slice take(struct sq_slice *from, size_t len)
{
    struct sq_slice head = sq_slice(from->data, len);

    from->data += len;
    from->len -= len;
    return head;
}

static size_t find_any(struct sq_slice text, const char *set)
{
    size_t i = 0;

    while (i < text.len && !is_one_of(text.data[i], set))
        i++;
    return i;
}

static int parse_scheme(struct sq_slice *rest, bool *secure, struct sq_error *err)
{
    size_t len = find_any(*rest, ":/?#");
    struct sq_slice scheme = sq_slice(rest->data, len);

    if (rest->len - len < 3 || memcmp(rest->data + len, "://", 3) != 0)
        return malformed(err, "it does not start with ws:// or wss://");
    *secure = sq_ascii_eq_nocase(scheme, sq_slice_str("wss"));
    if (!*secure && !sq_ascii_eq_nocase(scheme, sq_slice_str("ws")))
        return malformed(err, "the scheme is neither ws nor wss");
    take(rest, len + 3);
    return 0;
}

static int split_bracketed(struct sq_slice authority, struct parts *p, struct sq_error *err)
{
    const uint8_t *close = memchr(authority.data, ']', authority.len);

    if (!close)
        return malformed(err, "missing ']' in the host");
    take(&authority, 1);
    p->host = take(&authority, (size_t)(close - authority.data));
    take(&authority, 1);
    p->bracketed = true;
    for (size_t i = 0; i + 3 <= p->host.len; i++)
        if (memcmp(p->host.data + i, "%25", 3) == 0) {
            p->zone = sq_slice(p->host.data + i + 3, p->host.len - i - 3);
            p->host.len = i;
        }
    if (authority.len > 0) {
        if (authority.data[0] != ':')
            return malformed(err, "text after ']' in the host");
        take(&authority, 1);
        p->port = authority;
        p->has_port = authority.len > 0;
    }
    return 0;
}

static int split_authority(struct sq_slice authority, struct parts *p, struct sq_error *err)
{
    for (size_t i = authority.len; i > 0; i--)
        if (authority.data[i - 1] == '@') {
            p->userinfo = take(&authority, i - 1);
            take(&authority, 1);
            p->has_userinfo = true;
            break;
        }
    if (authority.len > 0 && authority.data[0] == '[')
        return split_bracketed(authority, p, err);
    p->host = take(&authority, find_any(authority, ":"));
    if (authority.len > 0) {
        take(&authority, 1);
        p->port = authority;
        p->has_port = authority.len > 0;
    }
    return 0;
}

static int split(struct sq_slice rest, struct parts *p, struct sq_error *err)
{
    int rc;

    rest.len = find_any(rest, "#");
    rc = split_authority(take(&rest, find_any(rest, "/?")), p, err);
    p->path = take(&rest, find_any(rest, "?"));
    if (rest.len > 0) {
        take(&rest, 1);
        p->has_query = true;
        p->query = rest;
    }
    return rc;
}

static int parse_port(const struct parts *p, struct sq_url *url, struct sq_error *err)
{
    uint32_t value = 0;

    url->port = url->secure ? 443 : 80;
    url->port_given = p->has_port;
    if (!p->has_port)
        return 0;
    for (size_t i = 0; i < p->port.len; i++) {
        if (p->port.data[i] < '0' || p->port.data[i] > '9')
            return malformed(err, "the port is not a number");
        value = SQ_MIN(value * 10 + (uint32_t)(p->port.data[i] - '0'), 100000u);
    }
    url->port_invalid = value > 65535;
    url->port = url->port_invalid ? 0 : (uint16_t)value;
    return 0;
}

/* A name may hold escapes of bytes above 0x7f only (RFC 3986 3.2.2 as Go reads it). */
static int put_host(struct sq_slice text, bool bracketed, struct sq_buf *out, struct sq_error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        int value = escape_value(text.data + i, text.len - i);
        if (value >= 0x80) {
            c = (uint8_t)value;
            i += 2;
        } else if (c < 0x80 && !is_alnum(c) &&
                   !is_one_of(c, bracketed ? ":." : "-._~!$&'()*+,;=")) {
            return malformed(err, "the host holds a character that is not allowed there");
        }
        sq_buf_putc(out, (char)c);
    }
    return 0;
}

static int put_decoded(struct sq_slice text, struct sq_buf *out, struct sq_error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        int value = text.data[i];
        if (value == '%') {
            value = escape_value(text.data + i, text.len - i);
            i += 2;
        }
        if (value <= 0)
            return malformed(err, "invalid % escape before the path");
        sq_buf_putc(out, (char)value);
    }
    return 0;
}

static int put_path(struct sq_slice text, struct sq_buf *out, struct sq_error *err)
{
    if (text.len == 0)
        sq_buf_putc(out, '/');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '%' && escape_value(text.data + i, text.len - i) < 0)
            return malformed(err, "invalid % escape in the path");
        if (is_alnum(c) || is_one_of(c, "-._~!$&'()*+,;=:@/[]%"))
            sq_buf_putc(out, (char)c);
        else
            sq_buf_printf(out, "%%%02X", c);
    }
    return 0;
}

static void put_host_header(const struct parts *p, const struct sq_url *url, unsigned flags,
                            struct sq_slice host, struct sq_buf *out)
{
    if (p->bracketed)
        sq_buf_putc(out, '[');
    sq_buf_put(out, host.data, host.len);
    if (p->bracketed)
        sq_buf_putc(out, ']');
    if (!url->port_given)
        return;
    if (flags & SQ_URL_DROP_DEFAULT_PORT && url->port == (url->secure ? 443 : 80))
        return;
    sq_buf_putc(out, ':');
    sq_buf_put(out, p->port.data, p->port.len);
}

/* The strings one behind the other, each with its NUL: host, host header, target, user info. */
static int build(const struct parts *p, unsigned flags, struct sq_url *url, struct sq_buf *store,
                 struct sq_error *err)
{
    struct sq_buf header = {0};
    size_t at[4];
    int rc;

    at[0] = store->len;
    rc = put_host(p->host, p->bracketed, store, err);
    if (rc < 0)
        return rc;
    put_host_header(p, url, flags, sq_buf_slice(store), &header);
    if (p->zone.len > 0) {
        sq_buf_putc(store, '%');
        rc = put_decoded(p->zone, store, err);
    }
    sq_buf_putc(store, 0);
    at[1] = store->len;
    sq_buf_put(store, header.data, header.len);
    sq_buf_deinit(&header);
    sq_buf_putc(store, 0);
    at[2] = store->len;
    if (rc == 0)
        rc = put_path(p->path, store, err);
    if (p->has_query) {
        sq_buf_putc(store, '?');
        sq_buf_put(store, p->query.data, p->query.len);
    }
    sq_buf_putc(store, 0);
    at[3] = store->len;
    if (rc == 0)
        rc = put_decoded(p->userinfo, store, err);
    if (rc < 0)
        return rc;
    url->store = sq_buf_steal(store);
    url->host = url->store + at[0];
    url->host_header = url->store + at[1];
    url->target = url->store + at[2];
    url->userinfo = url->store + at[3];
    return 0;
}

static int check_bytes(struct sq_slice text, struct sq_error *err)
{
    if (text.len > URL_MAX_BYTES)
        return malformed(err, "it is longer than 1 MiB");
    if (text.len > 0 && text.data[0] == ' ')
        return malformed(err, "it starts with a blank");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return malformed(err, "it holds a control character");
    return text.len > 0 ? 0 : malformed(err, "it is empty");
}

int sq_url_parse(struct sq_slice text, unsigned flags, struct sq_url *out, struct sq_error *err)
{
    struct sq_buf store = {0};
    struct sq_url url = {0};
    struct parts parts = {0};
    int rc = check_bytes(text, err);

    if (rc == 0)
        rc = parse_scheme(&text, &url.secure, err);
    if (rc == 0)
        rc = split(text, &parts, err);
    if (rc == 0 && parts.has_userinfo && !(flags & SQ_URL_ALLOW_USERINFO))
        rc = malformed(err, "user information is not allowed, send an Authorization header");
    if (rc == 0)
        rc = parse_port(&parts, &url, err);
    url.host_is_ipv6 = parts.bracketed;
    if (rc == 0)
        rc = build(&parts, flags, &url, &store, err);
    sq_buf_deinit(&store);
    if (rc == 0)
        *out = url;
    return rc;
}

void sq_url_deinit(struct sq_url *url)
{
    free(url->store);
    *url = (struct sq_url){0};
}
