/* SPDX-License-Identifier: Apache-2.0 */
#include "js/dom/url_parse.h"

#include <stdlib.h>

#include "base/test.h"

/* NULL: no URL. Expectations follow the URL standard's own examples and steps. */
static const struct {
    const char *text, *base, *want;
} cases[] = {
    {"ws://h", NULL, "ws://h/"},
    {"  WS://HoSt:80/a/./b/../c \n", NULL, "ws://host/a/c"},
    {"wss://h:443", NULL, "wss://h/"},
    {"wss://h:80", NULL, "wss://h:80/"},
    {"ws://h:0080/", NULL, "ws://h/"},
    {"ws://h:65536/", NULL, NULL},
    {"ws://h:1x/", NULL, NULL},
    {"ws://h:/", NULL, "ws://h/"},
    {"ws:/h/x", NULL, "ws://h/x"},
    {"ws:h", NULL, "ws://h/"},
    {"ws:\\\\h\\x", NULL, "ws://h/x"},
    {"ws://", NULL, NULL},
    {"ws://?x", NULL, NULL},
    {"ws://u:p@h/", NULL, "ws://u:p@h/"},
    {"ws://a@b@h/", NULL, "ws://a%40b@h/"},
    {"ws://@h/", NULL, "ws://h/"},
    {"ws://u@/", NULL, NULL},
    {"ws://h/a b?c d'#e f", NULL, "ws://h/a%20b?c%20d%27#e%20f"},
    {"ws://h/%2e%2E/x", NULL, "ws://h/x"},
    {"ws://h/a/..", NULL, "ws://h/"},
    {"ws://h/a/.", NULL, "ws://h/a/"},
    {"ws://h/\xc3\xa9", NULL, "ws://h/%C3%A9"},
    {"ws://b\xc3\xbc"
     "cher.example/",
     NULL, "ws://xn--bcher-kva.example/"},
    {"ws://a%41/", NULL, "ws://aa/"},
    {"ws://a%00b/", NULL, NULL},
    {"ws://a b/", NULL, NULL},
    {"ws://a^b/", NULL, NULL},
    {"ws://127.1/", NULL, "ws://127.0.0.1/"},
    {"ws://0x7f.0.0.1/", NULL, "ws://127.0.0.1/"},
    {"ws://017700000001/", NULL, "ws://127.0.0.1/"},
    {"ws://1.2.3.4.5/", NULL, NULL},
    {"ws://256.0.0.1/", NULL, NULL},
    {"ws://4294967296/", NULL, NULL},
    {"ws://1.2.3.09/", NULL, NULL},
    {"ws://a.1/", NULL, NULL},
    {"ws://1.2.3.4./", NULL, "ws://1.2.3.4/"},
    {"ws://[::1]:81/", NULL, "ws://[::1]:81/"},
    {"ws://[1:0:0:2:0:0:0:3]/", NULL, "ws://[1:0:0:2::3]/"},
    {"ws://[::ffff:1.2.3.4]/", NULL, "ws://[::ffff:102:304]/"},
    {"ws://[1:2:3:4:5:6:7:8]/", NULL, "ws://[1:2:3:4:5:6:7:8]/"},
    {"ws://[1:2:3:4:5:6:7::]/", NULL, "ws://[1:2:3:4:5:6:7:0]/"},
    {"ws://[1:2]/", NULL, NULL},
    {"ws://[1::2::3]/", NULL, NULL},
    {"ws://[::1.2.3]/", NULL, NULL},
    {"ws://[::1/", NULL, NULL},
    {"ws://[::12345]/", NULL, NULL},
    {"/x", NULL, NULL},
    {"", NULL, NULL},
    {"::bad", NULL, NULL},
    {"/x?y", "ws://h/a/b?c", "ws://h/x?y"},
    {"x", "ws://h/a/b?c", "ws://h/a/x"},
    {"?x", "ws://h/a/b?c", "ws://h/a/b?x"},
    {"#f", "ws://h/a/b?c", "ws://h/a/b?c#f"},
    {"", "ws://h/a/b?c#d", "ws://h/a/b?c"},
    {"//o/x", "ws://h/a", "ws://o/x"},
    {"..", "ws://h/a/b/c", "ws://h/a/"},
    {"../../..", "ws://h/a/b/c", "ws://h/"},
    {"ws:x", "ws://h/a/b", "ws://h/a/x"},
    {"http:x", "ws://h/a/b", "http://x/"},
    {"mailto:a b", NULL, "mailto:a b"},
    {"a:b?c#d", NULL, "a:b?c#d"},
    {"a://H/../b", NULL, "a://H/b"},
    {"a:/b/../c", NULL, "a:/c"},
    {"a:/..//b", NULL, "a:/.//b"},
    {"x", "mailto:a", NULL},
    {"#f", "mailto:a", "mailto:a#f"},
    {"file:///C|/x/../..", NULL, "file:///C:/"},
    {"file://localhost/x", NULL, "file:///x"},
    {"file://h/x", NULL, "file://h/x"},
    {"file:x", NULL, "file:///x"},
    {"x", "file:///a/b", "file:///a/x"},
};

static char *parse(const char *text, const struct dom_url *base)
{
    struct sq_buf out = {0};
    struct dom_url url;

    if (sq_dom_url_parse(sq_slice_str(text), base, &url) < 0)
        return NULL;
    sq_dom_url_write(&url, true, &out);
    sq_dom_url_deinit(&url);
    return sq_buf_steal(&out);
}

static char *parse_case(size_t i, const char *text)
{
    struct dom_url base;

    if (!cases[i].base)
        return parse(text, NULL);
    if (sq_dom_url_parse(sq_slice_str(cases[i].base), NULL, &base) < 0)
        return NULL;
    char *got = parse(text, &base);
    sq_dom_url_deinit(&base);
    return got;
}

SQ_TEST(dom_url_parse)
{
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *got = parse_case(i, cases[i].text);
        const char *want = cases[i].want;
        SQ_CHECK((got == NULL) == (want == NULL) && (!got || strcmp(got, want) == 0),
                 "'%s': got '%s', want '%s'", cases[i].text, got ? got : "nothing",
                 want ? want : "nothing");
        free(got);
    }
}

/* What was serialised once is its own serialisation. */
SQ_TEST(dom_url_round_trip)
{
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *got = cases[i].want ? parse(cases[i].want, NULL) : NULL;
        SQ_CHECK(!cases[i].want || (got && strcmp(got, cases[i].want) == 0), "'%s': got '%s'",
                 cases[i].want ? cases[i].want : "", got ? got : "nothing");
        free(got);
    }
}

/* Every prefix of every case: no crash, and what parses has a serialisation. */
SQ_TEST(dom_url_prefixes)
{
    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        for (size_t len = 0; len <= strlen(cases[i].text); len++) {
            char *part = sq_xstrndup(cases[i].text, len);
            char *got = parse_case(i, part);
            SQ_CHECK(!got || strchr(got, ':'), "'%s' became '%s'", part, got);
            free(got);
            free(part);
        }
}

SQ_TEST(dom_url_origin)
{
    static const char *const origins[][2] = {
        {"ws://u:p@h:80/x", "ws://h"}, {"wss://h:81/x", "wss://h:81"}, {"mailto:x", "null"}};

    for (size_t i = 0; i < SQ_COUNT(origins); i++) {
        struct sq_buf out = {0};
        struct dom_url url;
        if (sq_dom_url_parse(sq_slice_str(origins[i][0]), NULL, &url) < 0) {
            SQ_CHECK(false, "'%s' does not parse", origins[i][0]);
            continue;
        }
        sq_dom_url_origin(&url, &out);
        SQ_CHECK(strcmp(sq_buf_cstr(&out), origins[i][1]) == 0, "got '%s'", sq_buf_cstr(&out));
        sq_buf_deinit(&out);
        sq_dom_url_deinit(&url);
    }
}
