/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http1/head.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/test.h"

/* Shows exactly `len` bytes from an allocation of their own, so that reading further is caught. */
static int show(struct sq_http1_parser *p, const void *text, size_t len, uint8_t **copy,
                struct sq_http1_head *head)
{
    free(*copy);
    *copy = malloc(len + 1);
    memcpy(*copy, text, len);
    return sq_http1_parse(p, sq_slice(*copy, len), head);
}

/* The result of the head in two pieces, or with step 1, byte by byte. */
static int parse_cut(enum sq_http1_kind kind, const char *text, size_t len, size_t cut, size_t step,
                     struct sq_http1_head *head)
{
    struct sq_http1_parser p = {.kind = kind};
    uint8_t *copy = NULL;
    int rc = 0;

    for (size_t at = cut; rc == 0; at = SQ_MIN(at + step, len)) {
        rc = show(&p, text, at, &copy, head);
        if (at == len)
            break;
    }
    free(copy);
    return rc;
}

static void check_cuts(enum sq_http1_kind kind, const char *text, size_t len, int want)
{
    struct sq_http1_head head;

    for (size_t cut = 0; cut <= len; cut++)
        SQ_CHECK_EQ(parse_cut(kind, text, len, cut, len, &head), want, "cut at %zu of '%.60s'", cut,
                    text);
    SQ_CHECK_EQ(parse_cut(kind, text, len, 0, 1, &head), want, "byte by byte: '%.60s'", text);
}

#define OK "HTTP/1.1 101 Switching Protocols\r\n"

static const struct {
    const char *text;
    int want; /* 1: the whole text is one head; 0: more is needed; negative: refused */
} responses[] = {
    {OK "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 1},
    {"HTTP/1.1 101 Switching\nA: b\n\n", 1},
    {"HTTP/1.1 101\r\n\r\n", 1},
    {"HTTP/1.1 101 \r\n\r\n", 1},
    {"HTTP/1.0 101 x\r\nA:\r\n\r\n", 1},
    {"HTTP/1.1 200 \xc3\xa9\tx\r\nA: \xff\r\n\r\n", 1},
    {OK "a:b\r\nA: \t b c \t\r\n\r\n", 1},
    {"", 0},
    {"HTTP/1.1 10", 0},
    {OK, 0},
    {OK "A: b\r\n\r", 0},
    {"\r\n", SQ_EPROTO},
    {"HTTP/2 101\r\n\r\n", SQ_EPROTO},
    {"HTTP/1.x 101\r\n\r\n", SQ_EPROTO},
    {"http/1.1 101\r\n\r\n", SQ_EPROTO},
    {"HTTP/1.1 1011\r\n\r\n", SQ_EPROTO},
    {"HTTP/1.1 10\r\n\r\n", SQ_EPROTO},
    {"HTTP/1.1 099 x\r\n\r\n", SQ_EPROTO},
    {"HTTP/1.1  101\r\n\r\n", SQ_EPROTO},
    {"SSH-2.0-OpenSSH\r\n", SQ_EPROTO},
    {OK " folded: x\r\n\r\n", SQ_EPROTO},
    {OK "A: b\r\n\tc\r\n\r\n", SQ_EPROTO},
    {OK "A b\r\n\r\n", SQ_EPROTO},
    {OK ": b\r\n\r\n", SQ_EPROTO},
    {OK "A : b\r\n\r\n", SQ_EPROTO},
    {OK "A\xe9: b\r\n\r\n", SQ_EPROTO},
    {OK "A: b\rc\r\n\r\n", SQ_EPROTO},
    {OK "A: b\r\r\n\r\n", SQ_EPROTO},
    {OK "A: b\x01\r\n\r\n", SQ_EPROTO},
    {OK "A: b\x7f\r\n\r\n", SQ_EPROTO},
};

SQ_TEST(http1_responses_any_split)
{
    for (size_t c = 0; c < SQ_COUNT(responses); c++) {
        size_t len = strlen(responses[c].text);
        check_cuts(SQ_HTTP1_RESPONSE, responses[c].text, len,
                   responses[c].want == 1 ? (int)len : responses[c].want);
    }
    check_cuts(SQ_HTTP1_RESPONSE, OK "A: \0\r\n\r\n", sizeof OK - 1 + 8, SQ_EPROTO);
}

static const struct {
    const char *text, *method, *target; /* NULL: refused */
} requests[] = {
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/"},
    {"GET /a?q=c d HTTP/1.1\r\n\r\n", "GET", "/a?q=c d"},
    {"CONNECT h:80 HTTP/1.0\n\n", "CONNECT", "h:80"},
    {"GET  HTTP/1.1\r\n\r\n", NULL, NULL},
    {"GET HTTP/1.1\r\n\r\n", NULL, NULL},
    {"GET   HTTP/1.1\r\n\r\n", NULL, NULL},
    {"GET / HTTP/2.0\r\n\r\n", NULL, NULL},
    {"GET /\r\n\r\n", NULL, NULL},
    {" GET / HTTP/1.1\r\n\r\n", NULL, NULL},
    {"G@T / HTTP/1.1\r\n\r\n", NULL, NULL},
    {"\x16\x03\x01\n", NULL, NULL},
};

SQ_TEST(http1_requests_any_split)
{
    for (size_t c = 0; c < SQ_COUNT(requests); c++) {
        size_t len = strlen(requests[c].text);
        struct sq_http1_parser p = {.kind = SQ_HTTP1_REQUEST};
        struct sq_http1_head head;
        check_cuts(SQ_HTTP1_REQUEST, requests[c].text, len,
                   requests[c].method ? (int)len : SQ_EPROTO);
        if (!requests[c].method)
            continue;
        SQ_CHECK_EQ(sq_http1_parse(&p, sq_slice(requests[c].text, len), &head), len);
        SQ_CHECK(sq_slice_eq(head.method, sq_slice_str(requests[c].method)));
        SQ_CHECK(sq_slice_eq(head.target, sq_slice_str(requests[c].target)));
    }
}

static int parse(const char *text, struct sq_http1_head *head)
{
    struct sq_http1_parser p = {.kind = SQ_HTTP1_RESPONSE};

    return sq_http1_parse(&p, sq_slice_str(text), head);
}

SQ_TEST(http1_fields_are_slices_in_wire_order)
{
    struct sq_http1_head head;
    struct sq_slice value;
    size_t at = 0;

    SQ_CHECK(parse("HTTP/1.1 404 Not here\r\nX-a: 1\r\nb:\t2 \r\nx-A:3\r\nE:\r\n\r\n", &head) > 0);
    SQ_CHECK_EQ(head.status, 404);
    SQ_CHECK_EQ(head.minor, 1);
    SQ_CHECK(sq_slice_eq(head.reason, sq_slice_str("Not here")));
    SQ_CHECK_EQ(head.fields_count, 4);
    SQ_CHECK(sq_slice_eq(head.fields[1].name, sq_slice_str("b")));
    SQ_CHECK(sq_slice_eq(head.fields[1].value, sq_slice_str("2")));
    SQ_CHECK(sq_slice_eq(head.fields[3].value, sq_slice_str("")));
    SQ_CHECK(sq_http1_find(&head, "X-A", &at, &value) && value.data[0] == '1');
    SQ_CHECK(sq_http1_find(&head, "X-A", &at, &value) && value.data[0] == '3');
    SQ_CHECK(!sq_http1_find(&head, "X-A", &at, &value));
    SQ_CHECK(parse("HTTP/1.0 200\r\n\r\n", &head) > 0);
    SQ_CHECK_EQ(head.minor, 0);
    SQ_CHECK_EQ(head.reason.len, 0);
}

/* HR-10: what follows the blank line is not the head's. P14. */
SQ_TEST(P14_bytes_behind_the_head_are_left)
{
    struct sq_http1_head head;

    SQ_CHECK_EQ(parse(OK "\r\n\x81\x02hi", &head), sizeof OK - 1 + 2);
    SQ_CHECK_EQ(parse(OK "A: b\n\n\n\n", &head), sizeof OK - 1 + 6);
}

/* HR-2: 103, then 101, as the caller does it. */
SQ_TEST(http1_interim_response_then_the_final_one)
{
    static const char text[] = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK "A: b\r\n\r\n";
    struct sq_http1_head head;
    int first = parse(text, &head);

    SQ_CHECK_EQ(head.status, 103);
    SQ_CHECK(first > 0 && parse(text + first, &head) == (int)(sizeof text - 1) - first);
    SQ_CHECK_EQ(head.status, 101);
}

static int parse_buf(struct sq_buf *text, const char **reason)
{
    struct sq_http1_parser p = {.kind = SQ_HTTP1_RESPONSE}, q = p;
    struct sq_http1_head head;
    int rc = sq_http1_parse(&p, sq_buf_slice(text), &head), again = 0;

    for (size_t at = 0; again == 0 && at <= text->len; at += 7)
        again = sq_http1_parse(&q, sq_slice(text->data, at), &head);
    if (again == 0)
        again = sq_http1_parse(&q, sq_buf_slice(text), &head);
    SQ_CHECK_EQ(again, rc, "in pieces of 7");
    *reason = sq_http1_reason(&p);
    return rc;
}

/* A head whose only header line has `bytes` bytes, line end included. */
static int parse_line_of(size_t bytes, const char **reason)
{
    struct sq_buf text = {0};
    int rc;

    sq_buf_puts(&text, OK "A:");
    for (size_t i = 4; i < bytes; i++)
        sq_buf_putc(&text, 'x');
    sq_buf_puts(&text, "\r\n\r\n");
    rc = parse_buf(&text, reason);
    sq_buf_deinit(&text);
    return rc;
}

SQ_TEST(http1_line_limit)
{
    const char *reason;

    SQ_CHECK(parse_line_of(SQ_HTTP1_LINE_MAX, &reason) > 0);
    SQ_CHECK_EQ(parse_line_of(SQ_HTTP1_LINE_MAX + 1, &reason), SQ_ETOOBIG);
    SQ_CHECK_STR(reason, "header line longer than 8 KiB");
}

static int parse_lines_of(size_t count, const char **reason)
{
    struct sq_buf text = {0};
    int rc;

    sq_buf_puts(&text, OK);
    for (size_t i = 0; i < count; i++)
        sq_buf_puts(&text, "A: b\r\n");
    sq_buf_puts(&text, "\r\n");
    rc = parse_buf(&text, reason);
    sq_buf_deinit(&text);
    return rc;
}

SQ_TEST(http1_line_count_limit)
{
    const char *reason;

    SQ_CHECK(parse_lines_of(SQ_HTTP1_FIELDS_MAX, &reason) > 0);
    SQ_CHECK_EQ(parse_lines_of(SQ_HTTP1_FIELDS_MAX + 1, &reason), SQ_ETOOBIG);
    SQ_CHECK_STR(reason, "more than 100 header lines");
}

/* Many short lines up to `bytes` bytes of head in all. */
static int parse_head_of(size_t bytes, const char **reason)
{
    struct sq_buf text = {0};
    int rc;

    sq_buf_puts(&text, OK);
    while (text.len + 400 < bytes)
        sq_buf_printf(&text, "A: %0300d\r\n", 0);
    sq_buf_puts(&text, "B:");
    while (text.len + 4 < bytes)
        sq_buf_putc(&text, 'x');
    sq_buf_puts(&text, "\r\n\r\n");
    SQ_CHECK_EQ(text.len, bytes);
    rc = parse_buf(&text, reason);
    sq_buf_deinit(&text);
    return rc;
}

SQ_TEST(P15_head_limit)
{
    const char *reason;

    SQ_CHECK_EQ(parse_head_of(SQ_HTTP1_HEAD_MAX, &reason), SQ_HTTP1_HEAD_MAX);
    SQ_CHECK_EQ(parse_head_of(SQ_HTTP1_HEAD_MAX + 1, &reason), SQ_ETOOBIG);
    SQ_CHECK_EQ(parse_head_of(17 * 1024, &reason), SQ_ETOOBIG);
    SQ_CHECK_STR(reason, "head longer than 16 KiB");
}

SQ_TEST(P17_cut_after_the_status_line_needs_more)
{
    struct sq_http1_head head;

    SQ_CHECK_EQ(parse(OK, &head), 0);
}

SQ_TEST(P18_bare_line_feeds)
{
    struct sq_http1_head head;

    SQ_CHECK(parse("HTTP/1.1 101 x\nUpgrade: websocket\nA: b\r\nC: d\n\r\n", &head) > 0);
    SQ_CHECK_EQ(head.fields_count, 3);
}

SQ_TEST(http1_garbage_is_told_at_its_first_byte)
{
    struct sq_http1_parser p = {.kind = SQ_HTTP1_RESPONSE};
    struct sq_http1_head head;

    SQ_CHECK_EQ(sq_http1_parse(&p, sq_slice("HTTQ", 4), &head), SQ_EPROTO);
    SQ_CHECK_STR(sq_http1_reason(&p), "not an HTTP/1 response");
}

SQ_TEST(http1_list_tokens)
{
    struct sq_http1_head head;

    SQ_CHECK(parse(OK "Connection: keep-alive\r\nconnection: a, ,\tUPGRADE ,b\r\nU: Upgraded\r\n"
                      "Q: \"a,Upgrade\"\r\n\r\n",
                   &head) > 0);
    SQ_CHECK(sq_http1_has_token(&head, "Connection", "upgrade"));
    SQ_CHECK(sq_http1_has_token(&head, "Connection", "keep-alive"));
    SQ_CHECK(!sq_http1_has_token(&head, "Connection", "keep"));
    SQ_CHECK(!sq_http1_has_token(&head, "U", "upgrade"));
    SQ_CHECK(!sq_http1_has_token(&head, "Q", "Upgrade"));
    SQ_CHECK(!sq_http1_has_token(&head, "Missing", "upgrade"));
}

static const struct {
    const char *name, *head, *body, *want;
    int result; /* of the whole body at once */
} bodies[] = {
    {"length", "Content-Length: 5\r\n", "HelloXXX", "Hello", 1},
    {"length not reached", "Content-Length: 50\r\n", "Hello", "Hello", 0},
    {"no bytes", "Content-Length: 0\r\n", "X", "", 1},
    {"two equal lengths", "Content-Length: 2\r\nContent-Length: 2, 2\r\n", "abc", "ab", 1},
    {"lengths that differ: to the end", "Content-Length: 2\r\nContent-Length: 3\r\n", "abcd",
     "abcd", 0},
    {"length is no number", "Content-Length: -1\r\n", "abcd", "abcd", 0},
    {"to the end", "", "abcd", "abcd", 0},
    {"chunks", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\n\r\n",
     "abcde", 1},
    {"chunks beat a length", "Content-Length: 1\r\nTransfer-Encoding: gzip, chunked\r\n",
     "A\r\n0123456789\r\n0\r\n", "0123456789", 1},
    {"chunks, bare LF", "Transfer-Encoding: chunked\r\n", "1\na\n1 \nb\n00\n", "ab", 1},
    {"other coding", "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n", "abc", "abc", 0},
    {"bad chunk size", "Transfer-Encoding: chunked\r\n", "1\r\nax", "a", SQ_EPROTO},
    {"no chunk size", "Transfer-Encoding: chunked\r\n", ";\r\n", "", SQ_EPROTO},
    {"letters", "Transfer-Encoding: chunked\r\n", "zz\r\n", "", SQ_EPROTO},
    {"chunk of 2^64", "Transfer-Encoding: chunked\r\n", "10000000000000000\r\nabc", "", SQ_EPROTO},
};

SQ_TEST(http1_refusal_body_any_split)
{
    for (size_t c = 0; c < SQ_COUNT(bodies); c++)
        for (size_t cut = 0; cut <= strlen(bodies[c].body); cut++) {
            size_t len = strlen(bodies[c].body);
            struct sq_http1_body body;
            struct sq_http1_head head;
            char text[256];
            int rc;
            snprintf(text, sizeof text, "HTTP/1.1 403 No\r\n%s\r\n", bodies[c].head);
            SQ_CHECK(parse(text, &head) > 0);
            sq_http1_body_init(&body, &head);
            rc = sq_http1_body_feed(&body, sq_slice(bodies[c].body, cut));
            if (rc == 0)
                rc = sq_http1_body_feed(&body, sq_slice(bodies[c].body + cut, len - cut));
            SQ_CHECK_EQ(rc, bodies[c].result, "%s, cut at %zu", bodies[c].name, cut);
            SQ_CHECK(sq_slice_eq(sq_slice(body.data, body.len), sq_slice_str(bodies[c].want)),
                     "%s, cut at %zu", bodies[c].name, cut);
        }
}

SQ_TEST(http1_refusal_body_is_cut_at_a_kib)
{
    char bytes[3000];
    struct sq_http1_body body;
    struct sq_http1_head head;

    memset(bytes, 'x', sizeof bytes);
    SQ_CHECK(parse("HTTP/1.1 403 No\r\nContent-Length: 3000\r\n\r\n", &head) > 0);
    sq_http1_body_init(&body, &head);
    SQ_CHECK_EQ(sq_http1_body_feed(&body, sq_slice(bytes, 1023)), 0);
    SQ_CHECK_EQ(sq_http1_body_feed(&body, sq_slice(bytes, 1977)), 1);
    SQ_CHECK_EQ(body.len, SQ_HTTP1_BODY_MAX);
}

SQ_TEST(http1_statuses_without_a_body)
{
    struct sq_http1_body body;
    struct sq_http1_head head;

    SQ_CHECK(parse("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", &head) > 0);
    sq_http1_body_init(&body, &head);
    SQ_CHECK_EQ(sq_http1_body_feed(&body, sq_slice(NULL, 0)), 1);
}
