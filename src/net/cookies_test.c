/* SPDX-License-Identifier: Apache-2.0 */
#include "net/cookies.h"

#include <stdlib.h>

#include "base/test.h"

#define NOW (INT64_C(1700000000) * SQ_NS_PER_S) /* 2023-11-14T22:13:20Z */

static struct sq_cookie_url url_of(const char *text)
{
    struct sq_cookie_url url = {0};
    const char *at = strstr(text, "://") + 3;
    size_t len = strcspn(at, "/?");

    url.secure = strncmp(text, "wss:", 4) == 0 || strncmp(text, "https:", 6) == 0;
    url.host = sq_slice(at, len);
    url.path = sq_slice_str(at + len);
    return url;
}

static char *header_at(struct sq_cookie_jar *jar, const char *text, int64_t wall_ns)
{
    struct sq_cookie_url url = url_of(text);
    struct sq_buf out = {0};

    sq_cookie_jar_header(jar, &url, wall_ns, &out);
    sq_buf_cstr(&out);
    return sq_buf_steal(&out);
}

SQ_TEST(cookies_store_then_send)
{
    static const struct {
        const char *name, *from, *set, *to, *want;
    } cases[] = {
        {"plain", "ws://h.test/", "a=1", "ws://h.test/", "a=1"},
        {"no name", "ws://h.test/", "=1", "ws://h.test/", ""},
        {"no equals sign, 5.2", "ws://h.test/", "a", "ws://h.test/", ""},
        {"blanks around", "ws://h.test/", "  a = 1 2 ; x", "ws://h.test/", "a=1 2"},
        {"equals in the value", "ws://h.test/", "a=b=c", "ws://h.test/", "a=b=c"},
        {"empty value", "ws://h.test/", "a=", "ws://h.test/", "a="},
        {"quotes stay", "ws://h.test/", "a=\"q\"", "ws://h.test/", "a=\"q\""},
        {"control character", "ws://h.test/", "a=1\x01", "ws://h.test/", ""},
        {"host only", "ws://h.test/", "a=1", "ws://x.h.test/", ""},
        {"host case", "ws://H.Test/", "a=1", "ws://h.tEST/", "a=1"},
        {"final dot", "ws://h.test./", "a=1", "ws://h.test/", "a=1"},
        {"domain covers subdomains", "ws://x.h.test/", "a=1; Domain=h.test", "ws://y.h.test/",
         "a=1"},
        {"domain with a dot", "ws://x.h.test/", "a=1; domain=.H.TEST", "ws://h.test/", "a=1"},
        {"domain not at a label", "ws://xh.test/", "a=1; Domain=h.test", "ws://xh.test/", ""},
        {"foreign domain", "ws://h.test/", "a=1; Domain=o.test", "ws://o.test/", ""},
        {"child domain", "ws://h.test/", "a=1; Domain=x.h.test", "ws://x.h.test/", ""},
        {"public suffix", "ws://h.co.uk/", "a=1; Domain=co.uk", "ws://i.co.uk/", ""},
        {"one's own public suffix", "ws://co.uk/", "a=1; Domain=co.uk", "ws://co.uk/", "a=1"},
        {"own suffix is host only", "ws://co.uk/", "a=1; Domain=co.uk", "ws://x.co.uk/", ""},
        {"empty domain", "ws://h.test/", "a=1; Domain=", "ws://h.test/", "a=1"},
        {"address as domain", "ws://127.0.0.1/", "a=1; Domain=127.0.0.1", "ws://127.0.0.1/", "a=1"},
        {"tail of an address", "ws://127.0.0.1/", "a=1; Domain=0.0.1", "ws://127.0.0.1/", ""},
        {"unicode host",
         "ws://b\xc3\xbc"
         "cher.test/",
         "a=1", "ws://xn--bcher-kva.test/", "a=1"},
        {"default path", "ws://h.test/x/y", "a=1", "ws://h.test/x/z", "a=1"},
        {"default path is a folder", "ws://h.test/x/y", "a=1", "ws://h.test/xz", ""},
        {"default path without folder", "ws://h.test/x", "a=1", "ws://h.test/", "a=1"},
        {"query is no path", "ws://h.test/x?/y/z", "a=1", "ws://h.test/", "a=1"},
        {"path", "ws://h.test/", "a=1; Path=/x", "ws://h.test/x/y", "a=1"},
        {"path at a segment", "ws://h.test/", "a=1; Path=/x", "ws://h.test/xy", ""},
        {"path with slash", "ws://h.test/", "a=1; Path=/x/", "ws://h.test/x/y", "a=1"},
        {"path with slash, not the name", "ws://h.test/", "a=1; Path=/x/", "ws://h.test/x", ""},
        {"relative path", "ws://h.test/q/r", "a=1; Path=x", "ws://h.test/q/", "a=1"},
        {"path against a query", "ws://h.test/", "a=1; Path=/x", "ws://h.test/x?y", "a=1"},
        {"secure to ws", "wss://h.test/", "a=1; Secure", "ws://h.test/", ""},
        {"secure to wss", "wss://h.test/", "a=1; SECURE", "wss://h.test/", "a=1"},
        {"secure to ws on loopback, WS-28", "ws://127.0.0.1/", "a=1; Secure", "ws://127.0.0.1/",
         "a=1"},
        {"secure to localhost", "ws://localhost/", "a=1; Secure", "ws://localhost/", "a=1"},
        {"secure to http", "https://h.test/", "a=1; secure", "http://h.test/", ""},
        {"max-age", "ws://h.test/", "a=1; Max-Age=10", "ws://h.test/", "a=1"},
        {"max-age zero", "ws://h.test/", "a=1; Max-Age=0", "ws://h.test/", ""},
        {"max-age negative", "ws://h.test/", "a=1; Max-Age=-1", "ws://h.test/", ""},
        {"max-age no number", "ws://h.test/", "a=1; Max-Age=1x", "ws://h.test/", "a=1"},
        {"max-age huge", "ws://h.test/", "a=1; Max-Age=99999999999999999999", "ws://h.test/",
         "a=1"},
        {"max-age beats expires", "ws://h.test/",
         "a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "ws://h.test/", "a=1"},
        {"expired", "ws://h.test/", "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "ws://h.test/",
         ""},
        {"unreadable date", "ws://h.test/", "a=1; Expires=soon", "ws://h.test/", "a=1"},
        {"unknown attributes", "ws://h.test/", "a=1; SameSite=Lax; Foo; ;", "ws://h.test/", "a=1"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_cookie_jar *jar = sq_cookie_jar_new();
        struct sq_cookie_url from = url_of(cases[i].from);
        (void)sq_cookie_jar_store(jar, &from, sq_slice_str(cases[i].set), NOW);
        char *got = header_at(jar, cases[i].to, NOW);
        SQ_CHECK(strcmp(got, cases[i].want) == 0, "%s: '%s', want '%s'", cases[i].name, got,
                 cases[i].want);
        free(got);
        sq_cookie_jar_free(jar);
    }
}

static void store(struct sq_cookie_jar *jar, const char *from, const char *set)
{
    struct sq_cookie_url url = url_of(from);

    SQ_CHECK_EQ(sq_cookie_jar_store(jar, &url, sq_slice_str(set), NOW), 0, "%s", set);
}

static void check_header(struct sq_cookie_jar *jar, const char *to, int64_t wall_ns,
                         const char *want)
{
    char *got = header_at(jar, to, wall_ns);

    SQ_CHECK_STR(got, want);
    free(got);
}

SQ_TEST(cookies_order_and_replacement)
{
    struct sq_cookie_jar *jar = sq_cookie_jar_new();

    store(jar, "ws://h.test/", "a=1; Path=/");
    store(jar, "ws://h.test/", "b=2; Path=/x/y");
    store(jar, "ws://h.test/", "c=3; Path=/x");
    store(jar, "ws://h.test/", "d=4; Path=/");
    check_header(jar, "ws://h.test/x/y", NOW, "b=2; c=3; a=1; d=4");
    store(jar, "ws://h.test/", "a=5; Path=/"); /* 5.3 step 11: keeps its creation time */
    check_header(jar, "ws://h.test/", NOW, "a=5; d=4");
    store(jar, "ws://h.test/", "a=6; Path=/x"); /* another path, another cookie */
    check_header(jar, "ws://h.test/x", NOW, "c=3; a=6; a=5; d=4");
    store(jar, "ws://h.test/", "a=; Path=/; Max-Age=0");
    check_header(jar, "ws://h.test/x", NOW, "c=3; a=6; d=4");
    SQ_CHECK_EQ(sq_cookie_jar_count(jar), 4);
    sq_cookie_jar_clear(jar);
    check_header(jar, "ws://h.test/x", NOW, "");
    sq_cookie_jar_free(jar);
    sq_cookie_jar_free(NULL);
}

SQ_TEST(cookies_expire_with_time)
{
    struct sq_cookie_jar *jar = sq_cookie_jar_new();

    store(jar, "ws://h.test/", "a=1; Max-Age=10");
    store(jar, "ws://h.test/", "b=2");
    check_header(jar, "ws://h.test/", NOW + 10 * SQ_NS_PER_S - 1, "a=1; b=2");
    check_header(jar, "ws://h.test/", NOW + 10 * SQ_NS_PER_S, "b=2");
    SQ_CHECK_EQ(sq_cookie_jar_count(jar), 1);
    check_header(jar, "ws://h.test/", INT64_MAX - 1, "b=2");
    sq_cookie_jar_free(jar);
}

SQ_TEST(cookies_set_delete_clear)
{
    struct sq_cookie_jar *jar = sq_cookie_jar_new();
    struct sq_cookie_url h = url_of("https://h.test/x/y"), o = url_of("https://o.test/");
    struct sq_cookie_fields good = {
        .name = sq_slice_str("n"),
        .value = sq_slice_str("v"),
        .domain = sq_slice_str("h.test"),
        .path = sq_slice_str("/x"),
        .expires = sq_slice_str("Mon, 02 Jan 2034 15:04:05 MST"),
        .secure = true,
    };

    SQ_CHECK_EQ(sq_cookie_jar_set(jar, &h, &good, NOW), 0);
    check_header(jar, "https://s.h.test/x", NOW, "n=v");
    check_header(jar, "http://s.h.test/x", NOW, "");
    struct sq_cookie_fields bad[6] = {good, good, good, good, good, good};
    bad[0].name = sq_slice_str("");
    bad[1].name = sq_slice_str("a;b");
    bad[2].value = sq_slice_str("a\r\nEvil: 1");
    bad[3].value = sq_slice_str("a; Domain=x");
    bad[4].domain = sq_slice_str("o.test");
    bad[5].expires = sq_slice_str("whenever");
    for (size_t i = 0; i < SQ_COUNT(bad); i++)
        SQ_CHECK_EQ(sq_cookie_jar_set(jar, &h, &bad[i], NOW), SQ_EINVALID, "bad %zu", i);
    struct sq_cookie_fields other = {.name = sq_slice_str("m"), .value = sq_slice_str("w")};
    SQ_CHECK_EQ(sq_cookie_jar_set(jar, &h, &other, NOW), 0);
    SQ_CHECK_EQ(sq_cookie_jar_set(jar, &o, &other, NOW), 0);
    check_header(jar, "https://h.test/x/y", NOW, "n=v; m=w");
    sq_cookie_jar_delete(jar, &h, sq_slice_str("n"));
    check_header(jar, "https://h.test/x/y", NOW, "m=w");
    sq_cookie_jar_clear_url(jar, &h);
    check_header(jar, "https://h.test/x/y", NOW, "");
    check_header(jar, "https://o.test/", NOW, "m=w");
    other.max_age_s = -1;
    SQ_CHECK_EQ(sq_cookie_jar_set(jar, &o, &other, NOW), 0);
    SQ_CHECK_EQ(sq_cookie_jar_count(jar), 0);
    sq_cookie_jar_free(jar);
}

SQ_TEST(cookies_jar_is_bounded)
{
    struct sq_cookie_jar *jar = sq_cookie_jar_new();
    struct sq_cookie_url url = url_of("ws://h.test/");
    char set[64];
    char *huge = sq_xmalloc(20000);

    for (int i = 0; i < 3100; i++) {
        snprintf(set, sizeof set, "n%d=1", i);
        SQ_CHECK_EQ(sq_cookie_jar_store(jar, &url, sq_slice_str(set), NOW), 0);
    }
    SQ_CHECK_EQ(sq_cookie_jar_count(jar), 3000);
    memset(huge, 'x', 20000);
    huge[1] = '=';
    SQ_CHECK_EQ(sq_cookie_jar_store(jar, &url, sq_slice(huge, 20000), NOW), SQ_EINVALID);
    free(huge);
    sq_cookie_jar_free(jar);
}

SQ_TEST(cookies_dates)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"6 nov 1994 8:49:37", 784111777},
        {"Thu, 01-Jan-1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
        {"Thu, 29 Feb 2023 00:00:00 GMT", -1},
        {"01 Jan 69 00:00:00", 3124224000},
        {"Fri, 31 Dec 9999 23:59:59 GMT", (INT64_MAX - 1) / SQ_NS_PER_S},
        {"06 Nov 1994", -1},
        {"06 Nov 08:49:37", -1},
        {"32 Nov 1994 08:49:37", -1},
        {"06 Nov 1600 08:49:37", -1},
        {"06 Nov 1994 24:00:00", -1},
        {"06 Nov 1994 08:60:00", -1},
        {"06 Nov 1994 008:49:37", -1},
        {"", -1},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        int64_t ns = 0;
        int rc = sq_cookie_date_parse(sq_slice_str(cases[i].text), &ns);
        SQ_CHECK_EQ(rc, cases[i].seconds < 0 ? SQ_EINVALID : 0, "%s", cases[i].text);
        if (rc == 0)
            SQ_CHECK_EQ(ns / SQ_NS_PER_S, cases[i].seconds, "%s", cases[i].text);
    }
}
