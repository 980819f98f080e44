/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of HTTP requests: the parser of src/proto knows ws and wss, to which http and https are
 * mapped; and the resolution of a redirect's Location (RFC 3986 section 5.2). */
#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"
#include "net/http.h"
#include "net/http_private.h"

int sq_http_url_parse(const char *text, struct sq_url *out, struct sq_error *err)
{
    static const struct {
        const char *scheme, *as;
    } schemes[] = {{"http://", "ws://"}, {"https://", "wss://"}};

    for (size_t i = 0; i < SQ_COUNT(schemes); i++) {
        size_t len = strlen(schemes[i].scheme);
        if (!sq_ascii_eq_nocase(sq_slice(text, SQ_MIN(len, strlen(text))),
                                sq_slice_str(schemes[i].scheme)))
            continue;
        char *mapped = sq_xasprintf("%s%s", schemes[i].as, text + len);
        int rc = sq_url_parse(sq_slice_str(mapped), SQ_URL_ALLOW_USERINFO, out, err);
        free(mapped);
        if (rc < 0)
            return rc;
        if (*out->host && !out->port_invalid)
            return 0;
        const char *why = *out->host ? "invalid port" : "no host";
        sq_url_deinit(out);
        return sq_error_set(err, SQ_EINVALID, "malformed URL: %s", why);
    }
    return sq_error_set(err, SQ_EINVALID, "it does not start with http:// or https://");
}

/* User and password become four stars each (MET-36). */
static char *mask_credentials(const char *url)
{
    const char *authority = strstr(url, "://");
    size_t len = authority ? strcspn(authority + 3, "/?#") : 0;
    const char *at = authority ? memrchr(authority + 3, '@', len) : NULL;

    if (!at)
        return sq_xstrdup(url);
    return sq_xasprintf("%.*s****:****%s", (int)(authority + 3 - url), url, at);
}

int sq_http_url_check(const char *url, char **host_port, char **clean, struct sq_error *err)
{
    struct sq_url parsed;
    int rc = sq_http_url_parse(url, &parsed, err);

    *clean = mask_credentials(url);
    *host_port = NULL;
    if (rc == 0) {
        *host_port = sq_xasprintf("%s:%u", parsed.host, parsed.port);
        sq_url_deinit(&parsed);
    }
    return rc;
}

/* ---- references ---- */

/* Appends `path` without its "." and ".." segments (5.2.4). */
static void put_path(struct sq_buf *out, const char *path, size_t len)
{
    size_t root = out->len;

    for (size_t i = 0; i < len;) {
        size_t end = i + 1;
        while (end < len && path[end] != '/')
            end++;
        struct sq_slice segment = sq_slice(path + i, end - i);
        bool last = end == len;
        if (sq_slice_eq(segment, sq_slice_str("/."))) {
            if (last)
                sq_buf_putc(out, '/');
        } else if (sq_slice_eq(segment, sq_slice_str("/.."))) {
            while (out->len > root && out->data[--out->len] != '/')
                ;
            if (last)
                sq_buf_putc(out, '/');
        } else {
            sq_buf_put(out, segment.data, segment.len);
        }
        i = end;
    }
    if (out->len == root)
        sq_buf_putc(out, '/');
}

static void put_relative(struct sq_buf *out, const char *path, size_t path_len,
                         const char *reference)
{
    size_t len = strcspn(reference, "?");
    struct sq_buf merged = {0};

    if (len == 0) {
        /* "?q" keeps the path. */
        sq_buf_put(out, path, path_len);
        if (path_len == 0)
            sq_buf_putc(out, '/');
    } else {
        if (*reference != '/') {
            while (path_len > 0 && path[path_len - 1] != '/')
                path_len--;
            sq_buf_put(&merged, path, path_len);
            if (path_len == 0)
                sq_buf_putc(&merged, '/');
        }
        sq_buf_put(&merged, reference, len);
        put_path(out, (const char *)merged.data, merged.len);
    }
    sq_buf_puts(out, reference + len);
    sq_buf_deinit(&merged);
}

static bool has_scheme(const char *text)
{
    size_t len = strcspn(text, ":/?#");

    return len > 0 && text[len] == ':';
}

char *sq_http_url_join(const char *base, const char *reference)
{
    const char *authority = strstr(base, "://");
    struct sq_buf out = {0};
    struct sq_url parsed;

    if (!authority)
        return NULL;
    authority += 3;
    char *plain = sq_xstrndup(reference, strcspn(reference, "#"));
    if (has_scheme(plain)) {
        sq_buf_puts(&out, plain);
    } else if (sq_text_starts(plain, "//")) {
        sq_buf_put(&out, base, (size_t)(authority - 2 - base));
        sq_buf_puts(&out, plain);
    } else {
        const char *path = authority + strcspn(authority, "/?#");
        size_t path_len = strcspn(path, "?#");
        sq_buf_put(&out, base, (size_t)(path - base));
        if (*plain)
            put_relative(&out, path, path_len, plain);
        else
            sq_buf_put(&out, path, strcspn(path, "#"));
    }
    free(plain);
    char *url = sq_buf_steal(&out);
    if (url && sq_http_url_parse(url, &parsed, NULL) == 0) {
        sq_url_deinit(&parsed);
        return url;
    }
    free(url);
    return NULL;
}

const char *sq_http_status_words(int status)
{
    static const struct {
        int status;
        const char *words;
    } known[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {305, "Use Proxy"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Request Entity Too Large"},
        {414, "Request URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Requested Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {418, "I'm a teapot"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Entity"},
        {423, "Locked"},
        {424, "Failed Dependency"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {511, "Network Authentication Required"},
    };

    for (size_t i = 0; i < SQ_COUNT(known); i++)
        if (known[i].status == status)
            return known[i].words;
    return "";
}
