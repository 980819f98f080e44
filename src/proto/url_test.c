/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/url.h"

#include <stdlib.h>

#include "base/test.h"

static const struct {
    const char *url, *host, *host_header, *target;
    unsigned port;
    bool secure;
} good[] = {
    {"ws://h/", "h", "h", "/", 80, false},
    {"ws://h", "h", "h", "/", 80, false},
    {"wss://h/x", "h", "h", "/x", 443, true},
    {"WSS://h/x", "h", "h", "/x", 443, true},
    {"Ws://Example.ORG/x", "Example.ORG", "Example.ORG", "/x", 80, false},
    {"ws://h:80/a?b=c", "h", "h:80", "/a?b=c", 80, false},
    {"wss://h:443/", "h", "h:443", "/", 443, true},
    {"ws://h:8080", "h", "h:8080", "/", 8080, false},
    {"ws://h:/x", "h", "h", "/x", 80, false},
    {"ws://h?x=1", "h", "h", "/?x=1", 80, false},
    {"ws://h/?", "h", "h", "/?", 80, false},
    {"ws://127.0.0.1:9/echo?a=b#frag", "127.0.0.1", "127.0.0.1:9", "/echo?a=b", 9, false},
    {"ws://h#frag?not/query", "h", "h", "/", 80, false},
    {"ws://[::1]:9/x", "::1", "[::1]:9", "/x", 9, false},
    {"ws://[::1]", "::1", "[::1]", "/", 80, false},
    {"ws://[fe80::1%25lo]:1/", "fe80::1%lo", "[fe80::1]:1", "/", 1, false},
    {"ws://h/a b?q=c d", "h", "h", "/a%20b?q=c d", 80, false},
    {"ws://h/\xc3\xa9?\xc3\xa9", "h", "h", "/%C3%A9?\xc3\xa9", 80, false},
    {"ws://h/%41%2f%e9", "h", "h", "/%41%2f%e9", 80, false},
    {"ws://h/a:b@c;d=e,f/g+h!$&'()*~", "h", "h", "/a:b@c;d=e,f/g+h!$&'()*~", 80, false},
    {"ws://h/\"<>\\^`{|}", "h", "h", "/%22%3C%3E%5C%5E%60%7B%7C%7D", 80, false},
    {"ws://h//x//", "h", "h", "//x//", 80, false},
    {"ws://h/?q=%zz", "h", "h", "/?q=%zz", 80, false},
    {"ws://b\xc3\xbc"
     "cher.example/",
     "b\xc3\xbc"
     "cher.example",
     "b\xc3\xbc"
     "cher.example",
     "/", 80, false},
    {"ws://b%c3%bc/", "b\xc3\xbc", "b\xc3\xbc", "/", 80, false},
    {"ws:///x", "", "", "/x", 80, false},
    {"ws://my_host-1.test/", "my_host-1.test", "my_host-1.test", "/", 80, false},
};

SQ_TEST(url_good)
{
    for (size_t c = 0; c < SQ_COUNT(good); c++) {
        struct sq_error err = {0};
        struct sq_url url;
        int rc = sq_url_parse(sq_slice_str(good[c].url), 0, &url, &err);
        SQ_CHECK_EQ(rc, 0, "%s: %.100s", good[c].url, err.text);
        if (rc < 0)
            continue;
        SQ_CHECK_STR(url.host, good[c].host);
        SQ_CHECK_STR(url.host_header, good[c].host_header);
        SQ_CHECK_STR(url.target, good[c].target);
        SQ_CHECK_STR(url.userinfo, "");
        SQ_CHECK_EQ(url.port, good[c].port, "%s", good[c].url);
        SQ_CHECK_EQ(url.secure, good[c].secure, "%s", good[c].url);
        SQ_CHECK_EQ(url.host_is_ipv6, good[c].host_header[0] == '[');
        SQ_CHECK(!url.port_invalid);
        sq_url_deinit(&url);
    }
}

static const char *const bad[] = {
    "",
    "/echo",
    "h",
    "h:80/x",
    "12",
    "http://h/",
    "https://h/",
    "ws:h",
    "ws:/h",
    "ws",
    "ws:",
    "wsx://h/",
    "://h/",
    " ws://h/",
    "ws://u:p@h/",
    "ws://u@h/",
    "ws://@h/",
    "ws://h:ab/",
    "ws://h:-1/",
    "ws://h:1:2/",
    "ws://h: 1/",
    "ws://::1/",
    "ws://[::1/",
    "ws://[::1]x/",
    "ws://[::1]:x/",
    "ws://[a b]/",
    "ws://h/%zz",
    "ws://h/%",
    "ws://h/%4",
    "ws://h/a\nb",
    "ws://h/?a\rb",
    "ws://h/?a\x7f",
    "ws://h\t/",
    "ws://a b/",
    "ws://a%20b/",
    "ws://a%41/",
    "ws://a<b/",
    "ws://[fe80::1%25%]/",
};

SQ_TEST(url_bad)
{
    for (size_t c = 0; c < SQ_COUNT(bad); c++) {
        struct sq_error err = {0};
        struct sq_url url;
        int rc = sq_url_parse(sq_slice_str(bad[c]), 0, &url, &err);
        SQ_CHECK_EQ(rc, SQ_EINVALID, "'%s'", bad[c]);
        SQ_CHECK(strstr(err.text, "malformed URL") != NULL, "'%s'", err.text);
        if (rc == 0)
            sq_url_deinit(&url);
    }
}

SQ_TEST(url_nul_is_a_control_character)
{
    struct sq_url url;

    SQ_CHECK_EQ(sq_url_parse(sq_slice("ws://h/a\0b", 10), 0, &url, NULL), SQ_EINVALID);
}

SQ_TEST(url_of_more_than_a_mib)
{
    size_t len = 1024 * 1024;
    char *text = malloc(len + 1);
    struct sq_url url;

    memset(text, 'a', len + 1);
    memcpy(text, "ws://h/", 7);
    SQ_CHECK_EQ(sq_url_parse(sq_slice(text, len + 1), 0, &url, NULL), SQ_EINVALID);
    SQ_CHECK_EQ(sq_url_parse(sq_slice(text, len), 0, &url, NULL), 0);
    SQ_CHECK_EQ(strlen(url.target), len - 6);
    sq_url_deinit(&url);
    free(text);
}

SQ_TEST(url_port_above_65535_fails_only_when_dialled)
{
    static const char *const urls[] = {"ws://h:99999/", "ws://h:65536/", "ws://h:99999999999999/"};

    for (size_t i = 0; i < SQ_COUNT(urls); i++) {
        struct sq_url url;
        SQ_CHECK_EQ(sq_url_parse(sq_slice_str(urls[i]), 0, &url, NULL), 0);
        SQ_CHECK(url.port_invalid);
        sq_url_deinit(&url);
    }
}

static void check_host_header(const char *text, const char *want)
{
    struct sq_url url;

    SQ_CHECK_EQ(sq_url_parse(sq_slice_str(text), SQ_URL_DROP_DEFAULT_PORT, &url, NULL), 0);
    SQ_CHECK_STR(url.host_header, want);
    sq_url_deinit(&url);
}

SQ_TEST(url_default_port_can_be_dropped)
{
    check_host_header("ws://h:80/", "h");
    check_host_header("wss://h:443/", "h");
    check_host_header("ws://h:443/", "h:443");
    check_host_header("wss://[::1]:443/", "[::1]");
    check_host_header("wss://h:80/", "h:80");
}

static void check_userinfo(const char *text, const char *want)
{
    struct sq_url url;

    SQ_CHECK_EQ(sq_url_parse(sq_slice_str(text), SQ_URL_ALLOW_USERINFO, &url, NULL), 0);
    SQ_CHECK_STR(url.userinfo, want);
    SQ_CHECK_STR(url.host_header, "h");
    sq_url_deinit(&url);
}

SQ_TEST(url_userinfo_on_request)
{
    struct sq_url url;

    check_userinfo("ws://u:p@h/", "u:p");
    check_userinfo("ws://u%3a:p%40@h/@", "u::p@");
    check_userinfo("ws://a@b:c@h/", "a@b:c");
    check_userinfo("ws://@h/", "");
    SQ_CHECK_EQ(sq_url_parse(sq_slice_str("ws://u%00@h/"), SQ_URL_ALLOW_USERINFO, &url, NULL),
                SQ_EINVALID);
}
