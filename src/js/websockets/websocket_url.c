/* SPDX-License-Identifier: Apache-2.0 */
/* The constructor's URL (2.1 of the module's specification): the standard's parser decides what is
 * a URL; in the default profile the attribute shows it as Go's would. */
#include <stdlib.h>

#include "base/text.h"
#include "js/dom/url_parse.h"
#include "js/websockets/websocket.h"

/* Like k6 would say it; a browser's exception. */
static int refuse(JSContext *ctx, const char *raw, const char *scheme)
{
    bool relative = !scheme && raw[0] != ':' && !strstr(raw, "://");

    if (scheme || relative)
        sq_dom_throw(ctx, "SyntaxError",
                     "WebSocket requires url with scheme ws or wss, but got \"%s\"",
                     scheme ? scheme : "");
    else
        sq_dom_throw(
            ctx, "SyntaxError",
            "WebSocket requires valid url, but got \"%s\" which resulted in an invalid URL", raw);
    return -1;
}

/* http and https stand for ws and wss. False: another scheme. */
static bool set_scheme(struct dom_url *u)
{
    const char *scheme = strcmp(u->scheme, "http") == 0    ? "ws"
                         : strcmp(u->scheme, "https") == 0 ? "wss"
                                                           : NULL;

    if (scheme) {
        free(u->scheme);
        u->scheme = sq_xstrdup(scheme);
    }
    return strcmp(u->scheme, "ws") == 0 || strcmp(u->scheme, "wss") == 0;
}

static char *href_of(const struct dom_url *u)
{
    struct sq_buf out = {0};

    sq_dom_url_write(u, false, &out);
    return sq_buf_steal(&out);
}

static bool has_dot_segment(const char *path, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (path[i] != '/')
            continue;
        const char *p = path + i + 1, *end = path + len;
        size_t n = 0;
        while (p + n < end && p[n] != '/')
            n++;
        if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.') ||
            (n && n <= 6 && strspn(p, ".%2eE") >= n))
            return true;
    }
    return false;
}

/* Whether the host, as written, is what the standard's parser made of it but for case. */
static bool plain_host(const char *authority, size_t len, const struct dom_url *u)
{
    const char *host = authority;

    for (size_t i = 0; i < len; i++)
        if (authority[i] == '@')
            host = authority + i + 1;
    size_t host_len = len - (size_t)(host - authority);
    if (host_len && *host == '[') {
        const char *close = memchr(host, ']', host_len);
        host_len = close ? (size_t)(close + 1 - host) : host_len;
    } else {
        const char *colon = memchr(host, ':', host_len);
        host_len = colon ? (size_t)(colon - host) : host_len;
    }
    return sq_ascii_eq_nocase(sq_slice(host, host_len), sq_slice_str(u->host));
}

static bool path_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-_.~$&+,/:;=@!'()*[]%", c));
}

/* The text as Go's url.URL would print it: scheme in lower case, path escaped where needed, query
 * as it is, an empty fragment gone; on the wire the query is escaped as well. False: too far from
 * that, the standard's form is shown. */
static bool go_form(const char *raw, const struct dom_url *u, struct websocket_url *to)
{
    const char *authority = strstr(raw, "://");
    struct sq_buf out = {0}, dialled = {0};

    if (!authority || strpbrk(raw, "\t\r\n\\"))
        return false;
    authority += 3;
    size_t host_len = strcspn(authority, "/?#");
    const char *path = authority + host_len;
    size_t path_len = strcspn(path, "?#");
    if (!plain_host(authority, host_len, u) || has_dot_segment(path, path_len))
        return false;
    sq_buf_printf(&out, "%s://%.*s", u->scheme, (int)host_len, authority);
    for (size_t i = 0; i < path_len; i++) {
        if (path_char((unsigned char)path[i]))
            sq_buf_putc(&out, path[i]);
        else
            sq_buf_printf(&out, "%%%02X", (unsigned char)path[i]);
    }
    if (u->query)
        sq_buf_printf(&dialled, "%s?%s", sq_buf_cstr(&out), u->query);
    sq_buf_put(&out, path + path_len, strcspn(path + path_len, "#"));
    to->shown = sq_buf_steal(&out);
    to->dialled = u->query ? sq_buf_steal(&dialled) : sq_xstrdup(to->shown);
    return true;
}

/* A page's scripts have a base URL. Ours have one if they say so: globalThis.location, a string or
 * an object with `href`, as runners for pages set it. False: none. */
static bool find_base(JSContext *ctx, struct dom_url *out)
{
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue location = JS_GetPropertyStr(ctx, global, "location"), href = location;
    size_t len = 0;
    bool found = false;

    if (JS_IsObject(location))
        href = JS_GetPropertyStr(ctx, location, "href");
    char *text = JS_IsString(href) ? sq_dom_text(ctx, href, &len) : NULL;
    if (text)
        found = sq_dom_url_parse(sq_slice(text, len), NULL, out) == 0;
    free(text);
    if (JS_IsObject(location))
        JS_FreeValue(ctx, href);
    JS_FreeValue(ctx, location);
    JS_FreeValue(ctx, global);
    JS_FreeValue(ctx, JS_GetException(ctx)); /* of a getter: then there is no base */
    return found;
}

/* *origin: what the page of the base URL would send as Origin, NULL without one. Owned: free. */
static int parse_url(JSContext *ctx, struct sq_slice text, bool standard, struct dom_url *out,
                     char **origin)
{
    struct sq_buf from = {0};
    struct dom_url base;

    if (!standard || !find_base(ctx, &base))
        return sq_dom_url_parse(text, NULL, out);
    int rc = sq_dom_url_parse(text, &base, out);
    if (rc == 0) {
        sq_dom_url_origin(&base, &from);
        *origin = sq_buf_steal(&from);
    }
    sq_dom_url_deinit(&base);
    return rc;
}

static int parse(JSContext *ctx, const char *raw, size_t len, struct websocket_url *out)
{
    bool standard = sq_dom_standard(sq_js_self(ctx));
    struct dom_url u;

    if (parse_url(ctx, sq_slice(raw, len), standard, &u, &out->origin) < 0)
        return refuse(ctx, raw, NULL);
    if (!set_scheme(&u)) {
        refuse(ctx, raw, u.scheme);
        sq_dom_url_deinit(&u);
        return -1;
    }
    if (u.fragment && (standard || *u.fragment)) {
        sq_dom_throw(ctx, "SyntaxError", "WebSocket requires no url fragment, but got \"%s\"",
                     u.fragment);
        sq_dom_url_deinit(&u);
        return -1;
    }
    if (standard || strlen(raw) != len || !go_form(raw, &u, out)) {
        out->shown = href_of(&u);
        out->dialled = sq_xstrdup(out->shown);
    }
    sq_dom_url_deinit(&u);
    return 0;
}

int websocket_url_parse(JSContext *ctx, JSValueConst value, bool missing, struct websocket_url *out)
{
    size_t len;

    if (missing) {
        JS_ThrowTypeError(ctx, "WebSocket requires a url");
        return -1;
    }
    if (JS_IsUndefined(value) || JS_IsNull(value)) {
        sq_dom_throw(ctx, "SyntaxError", "WebSocket requires a url");
        return -1;
    }
    char *text = sq_dom_text(ctx, value, &len);
    if (!text)
        return -1;
    const char *raw = text;
    size_t raw_len = len;
    while (raw_len && (unsigned char)*raw <= ' ')
        raw++, raw_len--;
    while (raw_len && (unsigned char)raw[raw_len - 1] <= ' ')
        raw_len--;
    text[raw - text + (ptrdiff_t)raw_len] = '\0';
    int rc = parse(ctx, raw, raw_len, out);
    free(text);
    return rc;
}
