/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/handshake.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/test.h"

/* RFC 6455 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define OFFER ((struct sq_ws_pmd){true, true, true, 0, 0})

SQ_TEST(ws_accept_key_of_the_rfc)
{
    char accept[SQ_WS_ACCEPT_LEN + 1];

    sq_ws_accept_key(sq_slice_str(KEY), accept);
    SQ_CHECK_STR(accept, ACCEPT);
}

SQ_TEST(ws_keys_are_16_bytes_and_differ)
{
    char a[SQ_WS_KEY_LEN + 1], b[SQ_WS_KEY_LEN + 1];
    unsigned char raw[18];

    sq_ws_key_new(a);
    sq_ws_key_new(b);
    SQ_CHECK_EQ(strlen(a), SQ_WS_KEY_LEN);
    SQ_CHECK(strcmp(a, b) != 0);
    SQ_CHECK_EQ(EVP_DecodeBlock(raw, (unsigned char *)a, SQ_WS_KEY_LEN), 18);
    SQ_CHECK(a[22] == '=' && a[23] == '=' && a[21] != '=');
}

/* ---- request ---- */

static struct sq_slice s(const char *text)
{
    return sq_slice_str(text);
}

/* Owned: free. NULL when the builder refused; then *err says why. */
static char *build(const char *url_text, unsigned flags, struct sq_ws_request *request,
                   struct sq_error *err)
{
    struct sq_buf out = {0};
    struct sq_url url;
    int rc;

    SQ_CHECK_EQ(sq_url_parse(s(url_text), flags, &url, NULL), 0);
    request->url = &url;
    request->key = KEY;
    rc = sq_ws_request_build(request, &out, err);
    sq_url_deinit(&url);
    if (rc < 0)
        SQ_CHECK_EQ(out.len, 0);
    else
        return sq_buf_steal(&out);
    sq_buf_deinit(&out);
    return NULL;
}

static void check_request(const char *url, struct sq_ws_request request, const char *want)
{
    char *got = build(url, SQ_URL_ALLOW_USERINFO, &request, NULL);

    SQ_CHECK_STR(got, want);
    free(got);
}

#define FOUR                                        \
    "Upgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"

SQ_TEST(P01_request_head)
{
    struct sq_ws_request request = {0};
    char *got = build("ws://h:80/a?b=c", SQ_URL_DROP_DEFAULT_PORT, &request, NULL);

    SQ_CHECK_STR(got, "GET /a?b=c HTTP/1.1\r\nHost: h\r\n" FOUR "\r\n");
    free(got);
}

SQ_TEST(P02_request_to_an_ipv6_address)
{
    check_request("ws://[::1]:9/x", (struct sq_ws_request){0},
                  "GET /x HTTP/1.1\r\nHost: [::1]:9\r\n" FOUR "\r\n");
}

SQ_TEST(ws_request_with_everything)
{
    const struct sq_http1_field headers[] = {
        {s("sec-websocket-protocol"), s(" foo, bar ")},
        {s("x-my-hdr"), s("v")},
        {s("AUTHORIZATION"), s("Bearer t")},
    };

    check_request("wss://u:p@h:80/",
                  (struct sq_ws_request){.headers = headers,
                                         .headers_count = SQ_COUNT(headers),
                                         .user_agent = s("squall"),
                                         .cookie = s("a=1; b=2"),
                                         .offer = OFFER},
                  "GET / HTTP/1.1\r\nHost: h:80\r\nUser-Agent: squall\r\n" FOUR
                  "Sec-WebSocket-Protocol: foo, bar\r\n"
                  "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                  "client_no_context_takeover\r\n"
                  "Cookie: a=1; b=2\r\nX-My-Hdr: v\r\nAuthorization: Bearer t\r\n\r\n");
    check_request("ws://u:p@h/", (struct sq_ws_request){.host = s("xn--h")},
                  "GET / HTTP/1.1\r\nHost: xn--h\r\n" FOUR "Authorization: Basic dTpw\r\n\r\n");
    check_request("ws://h/", (struct sq_ws_request){.offer = {true, false, false, 12, 255}},
                  "GET / HTTP/1.1\r\nHost: h\r\n" FOUR
                  "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; "
                  "client_max_window_bits\r\n\r\n");
    check_request(
        "ws://h/", (struct sq_ws_request){.offer = {true, false, false, 0, 10}},
        "GET / HTTP/1.1\r\nHost: h\r\n" FOUR
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10\r\n\r\n");
}

SQ_TEST(ws_request_of_http2)
{
    const struct sq_http1_field headers[] = {
        {s("Sec-WebSocket-Protocol"), s("Foo")},
        {s("X-My:"), s("no token")},
        {s("X-My-Hdr"), s("A: B\r\nC")},
        {s("TE"), s("trailers")},
        {s("Keep-Alive"), s("1")},
        {s("Proxy-Connection"), s("close")},
        {s("HTTP2-Settings"), s("AAA")},
        {s("Transfer-Encoding"), s("chunked")},
        {s("Origin"), s("http://A/")},
    };
    const struct sq_http1_field host[] = {{s("Host"), s("Other:1")}, {s("cookie"), s("C=1")}};
    const struct sq_http1_field forbidden[] = {{s("Upgrade"), s("x")}};
    struct sq_ws_request bad = {.headers = forbidden, .headers_count = 1, .http2 = true};

    check_request("wss://h:80/A?b",
                  (struct sq_ws_request){.headers = headers,
                                         .headers_count = SQ_COUNT(headers),
                                         .user_agent = s("Squall"),
                                         .cookie = s("a=B"),
                                         .offer = OFFER,
                                         .http2 = true},
                  ":method: CONNECT\r\n:protocol: websocket\r\n:scheme: https\r\n:path: /A?b\r\n"
                  ":authority: h:80\r\nuser-agent: Squall\r\nsec-websocket-version: 13\r\n"
                  "sec-websocket-protocol: Foo\r\n"
                  "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; "
                  "client_no_context_takeover\r\n"
                  "cookie: a=B\r\nx-my-hdr: A: B  C\r\norigin: http://A/\r\n");
    check_request("ws://u:p@h/",
                  (struct sq_ws_request){.headers = host, .headers_count = 2, .http2 = true},
                  ":method: CONNECT\r\n:protocol: websocket\r\n:scheme: http\r\n:path: /\r\n"
                  ":authority: Other:1\r\nsec-websocket-version: 13\r\n"
                  "authorization: Basic dTpw\r\ncookie: C=1\r\n");
    SQ_CHECK(build("ws://h/", 0, &bad, NULL) == NULL);
}

SQ_TEST(ws_request_headers_that_replace_ours)
{
    const struct sq_http1_field headers[] = {
        {s("host"), s("example.org:1")},
        {s("user-agent"), s("UA")},
        {s("cookie"), s("mine=1")},
    };
    const struct sq_http1_field empty[] = {{s("HOST"), s("")}, {s("User-Agent"), s(" ")}};

    check_request("ws://h/",
                  (struct sq_ws_request){.headers = headers,
                                         .headers_count = 3,
                                         .user_agent = s("squall"),
                                         .cookie = s("jar=1")},
                  "GET / HTTP/1.1\r\nHost: example.org:1\r\nUser-Agent: UA\r\n" FOUR
                  "Cookie: mine=1\r\n\r\n");
    check_request(
        "ws://h/",
        (struct sq_ws_request){.headers = empty, .headers_count = 2, .user_agent = s("squall")},
        "GET / HTTP/1.1\r\nHost: h\r\n" FOUR "\r\n");
}

SQ_TEST(ws_request_script_headers_are_cleaned)
{
    const struct sq_http1_field headers[] = {
        {s("X-A"), s("1")},
        {s("bad name"), s("z")},
        {s("bad\r\nX: 1"), s("z")},
        {s(""), s("z")},
        {s("x-nl"), s("a\r\nEvil: 1")},
        {s("x-nul"), {(const uint8_t *)"a\0b", 3}},
        {s("x-trim"), s(" \r\n\tv\t\n ")},
        {s("x-utf"), s("\xc3\xa9")},
        {s("content-length"), s("5")},
        {s("Transfer-encoding"), s("chunked")},
        {s("x-a"), s("2")},
        {s("x-empty"), s("")},
    };

    check_request("ws://h/",
                  (struct sq_ws_request){.headers = headers, .headers_count = SQ_COUNT(headers)},
                  "GET / HTTP/1.1\r\nHost: h\r\n" FOUR
                  "X-Nl: a  Evil: 1\r\nX-Nul: a b\r\nX-Trim: v\r\nX-Utf: \xc3\xa9\r\n"
                  "X-A: 2\r\nX-Empty: \r\n\r\n");
}

SQ_TEST(ws_request_forbidden_headers)
{
    static const struct {
        const char *name, *want;
    } cases[] = {
        {"upgrade", "websocket: duplicate header not allowed: Upgrade"},
        {"CONNECTION", "websocket: duplicate header not allowed: Connection"},
        {"Sec-WebSocket-Key", "websocket: duplicate header not allowed: Sec-Websocket-Key"},
        {"sec-websocket-version", "websocket: duplicate header not allowed: Sec-Websocket-Version"},
        {"sec-websocket-extensions",
         "websocket: duplicate header not allowed: Sec-Websocket-Extensions"},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        const struct sq_http1_field header = {s(cases[c].name), s("x")};
        struct sq_ws_request request = {.headers = &header, .headers_count = 1};
        struct sq_error err = {0};
        SQ_CHECK(build("ws://h/", 0, &request, &err) == NULL);
        SQ_CHECK_EQ(err.code, SQ_EINVALID);
        SQ_CHECK_STR(err.text, cases[c].want);
    }
}

SQ_TEST(ws_request_protocols_are_the_last_of_that_name)
{
    const struct sq_http1_field headers[] = {{s("Sec-WebSocket-Protocol"), s("a")},
                                             {s("X"), s("y")},
                                             {s("sec-websocket-protocol"), s("b, c")}};

    SQ_CHECK(sq_slice_eq(sq_ws_request_protocols(headers, 3), s("b, c")));
    SQ_CHECK_EQ(sq_ws_request_protocols(headers + 1, 1).len, 0);
}

SQ_TEST(http1_canonical_names)
{
    static const char *const cases[][2] = {
        {"x-my-hdr", "X-My-Hdr"},
        {"ETAG", "Etag"},
        {"sec-websocket-accept", "Sec-Websocket-Accept"},
        {"a b", "a b"},
        {"-x--y-", "-X--Y-"},
        {"x_y.z", "X_y.z"},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        char name[32];
        strcpy(name, cases[c][0]);
        sq_http1_canonical_name(name, strlen(name));
        SQ_CHECK_STR(name, cases[c][1]);
    }
}

/* ---- response ---- */

struct judged {
    int rc;
    struct sq_ws_verdict verdict;
    struct sq_http1_head head;
    char text[2048];
};

/* `start` is the status line's text from the version on; `fields` are header lines. */
static void judge_head(struct judged *j, const char *start, const char *fields,
                       struct sq_ws_expect expect)
{
    struct sq_http1_parser p = {.kind = SQ_HTTP1_RESPONSE};

    snprintf(j->text, sizeof j->text, "%s\r\n%s\r\n", start, fields);
    expect.key = expect.key ? expect.key : KEY;
    SQ_CHECK(sq_http1_parse(&p, s(j->text), &j->head) > 0);
    j->rc = sq_ws_response_check(&expect, &j->head, &j->verdict);
    SQ_CHECK_EQ(j->rc == 0, j->verdict.reason[0] == 0);
    SQ_CHECK_EQ(j->rc == 0, j->verdict.text[0] == 0);
}

#define UPGRADED "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define GOOD_FIELDS UPGRADED "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static void judge(struct judged *j, const char *more_fields, struct sq_ws_expect expect)
{
    char fields[1024];

    snprintf(fields, sizeof fields, GOOD_FIELDS "%s", more_fields);
    judge_head(j, "HTTP/1.1 101 Switching Protocols", fields, expect);
}

static void check_fails(const char *start, const char *fields, int want, const char *reason)
{
    struct judged j;

    judge_head(&j, start, fields, (struct sq_ws_expect){0});
    SQ_CHECK_EQ(j.rc, want, "%s", fields);
    SQ_CHECK_STR(j.verdict.text, "websocket: bad handshake");
    SQ_CHECK(strstr(j.verdict.reason, reason) != NULL, "'%s'", j.verdict.reason);
}

#define OK "HTTP/1.1 101 OK"

SQ_TEST(P03_other_status)
{
    check_fails("HTTP/1.1 200 OK", GOOD_FIELDS, SQ_EREFUSED, "status 200");
    check_fails("HTTP/1.1 302", "", SQ_EREFUSED, "status 302");
}

SQ_TEST(P04_http_1_0)
{
    check_fails("HTTP/1.0 101 OK", GOOD_FIELDS, SQ_EPROTO, "HTTP/1.0");
}

SQ_TEST(P05_no_upgrade_header)
{
    check_fails(OK, "Connection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n", SQ_EPROTO,
                "Upgrade: websocket");
    check_fails(OK, "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n",
                SQ_EPROTO, "Upgrade: websocket");
    check_fails(OK, "Upgrade: websocket\r\nConnection: Upgraded\r\n", SQ_EPROTO, "Connection");
    check_fails(OK, "Upgrade: websocket\r\n", SQ_EPROTO, "Connection");
}

SQ_TEST(P06_lists_and_letter_case)
{
    struct judged j;

    judge_head(&j, OK,
               "upgrade: h2c, WebSocket\r\nConnection: keep-alive\r\nconnection: x, UPGRADE\r\n"
               "sec-websocket-accept:   " ACCEPT " \t\r\n",
               (struct sq_ws_expect){0});
    SQ_CHECK_EQ(j.rc, 0, "%s", j.verdict.reason);
}

SQ_TEST(P07_accept_with_a_character_changed)
{
    check_fails(OK, UPGRADED "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", SQ_EPROTO,
                "does not belong");
    check_fails(OK, UPGRADED "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n", SQ_EPROTO,
                "does not belong");
    check_fails(OK, UPGRADED, SQ_EPROTO, "no Sec-WebSocket-Accept");
    check_fails(OK, GOOD_FIELDS "Sec-WebSocket-Accept: " ACCEPT "\r\n", SQ_EPROTO, "more than one");
}

SQ_TEST(P08_accept_for_another_key)
{
    struct judged j;

    judge(&j, "", (struct sq_ws_expect){.key = "AAAAAAAAAAAAAAAAAAAAAA=="});
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
}

SQ_TEST(P09_unasked_subprotocol)
{
    struct judged j;

    judge(&j, "Sec-WebSocket-Protocol: zzz\r\n", (struct sq_ws_expect){0});
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
    SQ_CHECK(strstr(j.verdict.reason, "'zzz' was not requested") != NULL);
    judge(&j, "Sec-WebSocket-Protocol: zzz\r\n", (struct sq_ws_expect){.lenient = true});
    SQ_CHECK_EQ(j.rc, 0);
    SQ_CHECK(sq_slice_eq(j.verdict.protocol, s("zzz")));
}

SQ_TEST(P10_subprotocols_asked_for)
{
    struct sq_ws_expect expect = {.protocols = sq_slice_str("foo, bar")};
    struct judged j;

    judge(&j, "Sec-WebSocket-Protocol: bar\r\n", expect);
    SQ_CHECK_EQ(j.rc, 0);
    SQ_CHECK(sq_slice_eq(j.verdict.protocol, s("bar")));
    judge(&j, "", expect); /* HR-8 */
    SQ_CHECK_EQ(j.rc, 0);
    judge(&j, "Sec-WebSocket-Protocol: foo, bar\r\n", expect);
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
    judge(&j, "Sec-WebSocket-Protocol: foo\r\nSec-WebSocket-Protocol: bar\r\n", expect);
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
    judge(&j, "Sec-WebSocket-Protocol: BAR\r\n", expect);
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
    judge(&j, "Sec-WebSocket-Protocol:\r\n", expect);
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
}

SQ_TEST(ws_response_of_http2)
{
    struct sq_ws_expect expect = {.http2 = true, .protocols = sq_slice_str("foo, bar")};
    struct judged j;

    judge_head(&j, "HTTP/1.1 200 OK", "sec-websocket-protocol: bar\r\n", expect);
    SQ_CHECK_EQ(j.rc, 0);
    SQ_CHECK(sq_slice_eq(j.verdict.protocol, s("bar")));
    judge_head(&j, "HTTP/1.1 200 OK", "sec-websocket-protocol: zzz\r\n", expect);
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
    judge_head(&j, "HTTP/1.1 101 OK", GOOD_FIELDS, expect);
    SQ_CHECK_EQ(j.rc, SQ_EREFUSED);
    judge_head(&j, "HTTP/1.1 204 OK", "", expect);
    SQ_CHECK_EQ(j.rc, SQ_EREFUSED);
}

SQ_TEST(P11_unknown_extension)
{
    struct judged j;

    judge(&j, "Sec-WebSocket-Extensions: foo\r\n", (struct sq_ws_expect){0});
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
    judge(&j, "Sec-WebSocket-Extensions: foo; a=\"x, y\"\r\n",
          (struct sq_ws_expect){.lenient = true});
    SQ_CHECK_EQ(j.rc, 0);
    SQ_CHECK(!j.verdict.pmd.enabled);
    SQ_CHECK(sq_slice_eq(j.verdict.extensions, s("foo; a=\"x, y\"")));
}

SQ_TEST(P12_unasked_deflate)
{
    static const char both[] = "Sec-WebSocket-Extensions: permessage-deflate; "
                               "server_no_context_takeover; client_no_context_takeover\r\n";
    static const char bare[] = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    struct judged j;

    judge(&j, both, (struct sq_ws_expect){0});
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
    judge(&j, both, (struct sq_ws_expect){.lenient = true});
    SQ_CHECK_EQ(j.rc, 0);
    SQ_CHECK(j.verdict.pmd.enabled);
    judge(&j, bare, (struct sq_ws_expect){.lenient = true});
    SQ_CHECK_EQ(j.rc, SQ_EPROTO);
}

/* One answer to one offer. */
static void check_answer(struct sq_ws_pmd offer, const char *answer, bool good)
{
    struct judged j;
    char line[256];

    snprintf(line, sizeof line, "Sec-WebSocket-Extensions: %s\r\n", answer);
    judge(&j, line, (struct sq_ws_expect){.offer = offer});
    SQ_CHECK_EQ(j.rc, good ? 0 : SQ_EPROTO, "%s: %s", answer, j.verdict.reason);
    SQ_CHECK_EQ(j.verdict.pmd.enabled, good, "%s", answer);
}

SQ_TEST(P60_answer_drops_the_flag_that_was_offered)
{
    check_answer(OFFER, "permessage-deflate", false);
    check_answer(OFFER, "permessage-deflate; client_no_context_takeover", false);
    check_answer(OFFER, "permessage-deflate; server_no_context_takeover", true);
    check_answer(
        OFFER, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", true);
}

SQ_TEST(P67_answers_with_bad_parameters)
{
    static const char *const bad[] = {
        "server_max_window_bits=16",
        "server_max_window_bits=7",
        "server_max_window_bits=08",
        "server_max_window_bits=",
        "server_max_window_bits",
        "server_max_window_bits=\"16\"",
        "server_max_window_bits=\"",
        "server_max_window_bits=10; server_max_window_bits=10",
        "foo=1",
        "foo",
        "",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_no_context_takeover=1",
        "client_no_context_takeover=\"\"",
        "client_max_window_bits",
    };
    static const char *const good[] = {
        "server_max_window_bits=8",
        "server_max_window_bits=\"10\"",
        "server_max_window_bits = 15",
        "Server_No_Context_Takeover",
        "client_max_window_bits=8;client_no_context_takeover",
    };
    struct sq_ws_pmd offer = {.enabled = true, .client_max_window_bits = SQ_WS_PMD_BITS_OPEN};
    char answer[200];

    for (size_t i = 0; i < SQ_COUNT(bad); i++) {
        snprintf(answer, sizeof answer, "permessage-deflate; %s", bad[i]);
        check_answer(offer, answer, false);
    }
    for (size_t i = 0; i < SQ_COUNT(good); i++) {
        snprintf(answer, sizeof answer, "PerMessage-Deflate; %s", good[i]);
        check_answer(offer, answer, true);
    }
    check_answer(offer, "permessage-deflate, permessage-deflate", false);
    check_answer(offer, "permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate",
                 false);
    check_answer(offer, ", permessage-deflate ,", true);
}

SQ_TEST(P68_client_window_only_when_offered)
{
    struct sq_ws_pmd offer = {.enabled = true};

    check_answer(offer, "permessage-deflate; client_max_window_bits=10", false);
    offer.client_max_window_bits = 10;
    check_answer(offer, "permessage-deflate; client_max_window_bits=10", true);
    check_answer(offer, "permessage-deflate; client_max_window_bits=11", false);
    check_answer(offer, "permessage-deflate", true);
    offer.server_max_window_bits = 12;
    check_answer(offer, "permessage-deflate; server_max_window_bits=12", true);
    check_answer(offer, "permessage-deflate; server_max_window_bits=13", false);
    check_answer(offer, "permessage-deflate", false);
}

SQ_TEST(ws_response_agreed_parameters)
{
    struct sq_ws_pmd offer = {true, false, true, 0, SQ_WS_PMD_BITS_OPEN};
    struct judged j;

    judge(&j,
          "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10; "
          "client_max_window_bits=9\r\n",
          (struct sq_ws_expect){.offer = offer});
    SQ_CHECK_EQ(j.rc, 0);
    SQ_CHECK_EQ(j.verdict.pmd.server_max_window_bits, 10);
    SQ_CHECK_EQ(j.verdict.pmd.client_max_window_bits, 9);
    SQ_CHECK(!j.verdict.pmd.server_no_context_takeover);
    SQ_CHECK(j.verdict.pmd.client_no_context_takeover, "our own choice stands");
    judge(&j, "", (struct sq_ws_expect){.offer = offer});
    SQ_CHECK_EQ(j.rc, 0);
    SQ_CHECK(!j.verdict.pmd.enabled, "PMD-2");
}

/* ---- the server's side ---- */

#define ASK                                                                          \
    "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: " KEY "\r\n"
#define ASK13 ASK "Sec-WebSocket-Version: 13\r\n"

/* Owned: free. */
static char *answer_to(const char *request, struct sq_ws_accept_options opt,
                       struct sq_ws_accepted *accepted)
{
    struct sq_http1_parser p = {.kind = SQ_HTTP1_REQUEST};
    struct sq_http1_head head;
    struct sq_buf out = {0};
    int rc;

    SQ_CHECK(sq_http1_parse(&p, s(request), &head) > 0, "%s", request);
    rc = sq_ws_handshake_accept(&head, &opt, &out, accepted);
    SQ_CHECK_EQ(rc, accepted->status == 101 ? 0 : SQ_EREFUSED);
    return sq_buf_steal(&out);
}

static void check_accept(const char *request, struct sq_ws_accept_options opt, const char *fields)
{
    struct sq_ws_accepted accepted;
    char want[512], *got = answer_to(request, opt, &accepted);

    snprintf(want, sizeof want, "HTTP/1.1 101 Switching Protocols\r\n" GOOD_FIELDS "%s\r\n",
             fields);
    SQ_CHECK_STR(got, want);
    free(got);
}

SQ_TEST(ws_accept_upgrades)
{
    struct sq_ws_accept_options opt = {.protocols = sq_slice_str("b, a")};

    check_accept(ASK13 "\r\n", (struct sq_ws_accept_options){0}, "");
    check_accept(ASK13 "\r\n", opt, "");
    check_accept(ASK13 "Sec-WebSocket-Protocol: a, b\r\n\r\n", opt,
                 "Sec-WebSocket-Protocol: b\r\n");
    check_accept(ASK13 "Sec-WebSocket-Protocol: c\r\n\r\n", opt, "");
    opt.protocols = s("*");
    opt.server = s("echo");
    check_accept(ASK13 "Sec-WebSocket-Protocol: c, d\r\n\r\n", opt,
                 "Sec-WebSocket-Protocol: c\r\nServer: echo\r\n");
    check_accept(ASK13 "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", opt,
                 "Server: echo\r\n");
}

#define EXT "Sec-WebSocket-Extensions: "
#define PMD EXT "permessage-deflate"

SQ_TEST(ws_accept_deflate_offers)
{
    struct sq_ws_accept_options plain = {.deflate = true};
    struct sq_ws_accept_options kept = {.deflate = true, .keep_context = true};

    check_accept(ASK13 PMD "\r\n\r\n", plain,
                 PMD "; server_no_context_takeover; client_no_context_takeover\r\n");
    check_accept(ASK13 PMD "; client_max_window_bits\r\n\r\n", kept, PMD "\r\n");
    check_accept(ASK13 PMD "; server_max_window_bits=10; server_no_context_takeover\r\n\r\n", kept,
                 PMD "; server_no_context_takeover; server_max_window_bits=10\r\n");
    check_accept(ASK13 EXT "foo, permessage-deflate; bar, permessage-deflate; "
                           "server_max_window_bits=8, permessage-deflate\r\n\r\n",
                 kept, PMD "\r\n");
    check_accept(ASK13 EXT "permessage-deflate; server_max_window_bits\r\n\r\n", kept, "");
}

SQ_TEST(ws_accept_refuses)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"GET / HTTP/1.0\r\nHost: h\r\n\r\n", 505},
        {"POST / HTTP/1.1\r\nHost: h\r\n\r\n", 405},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 426},
        {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", 426},
        {ASK "\r\n", 426},
        {ASK "Sec-WebSocket-Version: 8\r\n\r\n", 426},
        {ASK13 "Sec-WebSocket-Key: " KEY "\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
         400},
        {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: !GhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         400},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        struct sq_ws_accepted accepted;
        struct sq_http1_parser p = {.kind = SQ_HTTP1_RESPONSE};
        struct sq_http1_head head;
        struct sq_http1_body body;
        char *got = answer_to(cases[c].request, (struct sq_ws_accept_options){0}, &accepted);
        int len = sq_http1_parse(&p, s(got), &head);
        SQ_CHECK_EQ(accepted.status, cases[c].status, "%s", cases[c].request);
        SQ_CHECK(len > 0 && head.status == cases[c].status);
        sq_http1_body_init(&body, &head);
        SQ_CHECK_EQ(sq_http1_body_feed(&body, s(got + len)), 1);
        SQ_CHECK_EQ(body.len, strlen(accepted.reason) + 1);
        free(got);
    }
}

/* Our client against our server, all the way. */
SQ_TEST(ws_handshake_both_sides_agree)
{
    struct sq_ws_request request = {.offer = OFFER};
    struct sq_ws_accepted accepted;
    struct sq_http1_parser p = {.kind = SQ_HTTP1_RESPONSE};
    struct sq_http1_head head;
    struct sq_ws_verdict verdict;
    char *ask = build("ws://h/a b?c d", 0, &request, NULL);
    char *answer = answer_to(ask, (struct sq_ws_accept_options){.deflate = true}, &accepted);

    SQ_CHECK_EQ(sq_http1_parse(&p, s(answer), &head), strlen(answer));
    SQ_CHECK_EQ(
        sq_ws_response_check(&(struct sq_ws_expect){.key = KEY, .offer = OFFER}, &head, &verdict),
        0);
    SQ_CHECK(verdict.pmd.enabled && accepted.pmd.enabled);
    free(ask);
    free(answer);
}
