/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes, frames, compression and memory of WebSocket connections. */
#include "net/ws_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/ws_conn_kit.h"
#include "proto/url.h"

#define PMD_BOTH                                                                 \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; " \
    "client_no_context_takeover\r\n"
#define PMD_PLAIN "Sec-WebSocket-Extensions: permessage-deflate\r\n"

static void offer_both(struct user *u)
{
    u->open.deflate.offer = true;
    u->open.deflate.server_no_context_takeover = true;
    u->open.deflate.client_no_context_takeover = true;
}

/* ---- the response head ---- */

#define OK101 "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: $ACCEPT\r\n"

SQ_TEST(ws_conn_response_heads)
{
    static const struct {
        const char *name, *head;
        int status;
        bool open, lenient;
    } cases[] = {
        {"plain", OK101 UPGRADE ACCEPT "\r\n", 101, true, false},
        {"P03 200", "HTTP/1.1 200 OK\r\n\r\n", 200, false, false},
        {"302", "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302, false,
         false},
        {"503 with body", "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy", 503, false, false},
        {"P04", "HTTP/1.0 101 x\r\n" UPGRADE ACCEPT "\r\n", 101, false, false},
        {"P05", OK101 "Connection: Upgrade\r\n" ACCEPT "\r\n", 101, false, false},
        {"P06", OK101 "Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n" ACCEPT "\r\n",
         101, true, false},
        {"P08", OK101 UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", 101,
         false, false},
        {"accept missing", OK101 UPGRADE "\r\n", 101, false, false},
        {"P09", OK101 UPGRADE ACCEPT "Sec-WebSocket-Protocol: zzz\r\n\r\n", 101, false, false},
        {"P09 lenient", OK101 UPGRADE ACCEPT "Sec-WebSocket-Protocol: zzz\r\n\r\n", 101, true,
         true},
        {"P10", OK101 UPGRADE ACCEPT "Sec-WebSocket-Protocol: a, b\r\n\r\n", 101, false, false},
        {"P11", OK101 UPGRADE ACCEPT "Sec-WebSocket-Extensions: foo\r\n\r\n", 101, false, false},
        {"P11 lenient", OK101 UPGRADE ACCEPT "Sec-WebSocket-Extensions: foo\r\n\r\n", 101, true,
         true},
        {"P12", OK101 UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 101,
         false, false},
        {"P18",
         "HTTP/1.1 101 x\nUpgrade: websocket\nConnection: Upgrade\n"
         "Sec-WebSocket-Accept: $ACCEPT\n\n",
         101, true, false},
        {"interim", "HTTP/1.1 103 Early\r\nA: b\r\n\r\n" OK101 UPGRADE ACCEPT "\r\n", 101, true,
         false},
        {"garbage", "SSH-2.0-OpenSSH_9\r\n\r\n", 0, false, false},
        {"folding", OK101 UPGRADE ACCEPT "A: b\r\n c\r\n\r\n", 0, false, false},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++)
        for (int cut = 0; cut < 2; cut++) {
            struct script s = {.head = cases[c].head, .cut_bytes = cut ? 3 : 0};
            struct user u;

            /* Frames behind the head: P14 in one write, and in pieces. */
            if (cases[c].open) {
                s.wire = (const uint8_t *)"\x81\x02hi\x88\x02\x03\xe8";
                s.wire_len = 8;
            }
            talk_user_init(&u);
            u.open.lenient = cases[c].lenient;
            talk_run(&u, &s);
            SQ_CHECK_EQ(u.status, cases[c].status, "%s", cases[c].name);
            if (cases[c].open) {
                SQ_CHECK_STR(u.log, "open text(hi) close(1000,)clean");
            } else {
                SQ_CHECK_STR(u.log, "failed ");
                SQ_CHECK(u.error < 0 && u.text[0] && u.reason[0], "%s", cases[c].name);
                /* HR-14 */
                SQ_CHECK_EQ(s.got_len, 0, "%s", cases[c].name);
                SQ_CHECK(s.fin, "%s", cases[c].name);
            }
            if (u.status && !cases[c].open)
                SQ_CHECK(strncmp(u.text, "websocket: ", 11) == 0, "%.100s", u.text);
            talk_done(&s);
        }
}

SQ_TEST(ws_conn_refusal_keeps_a_kilobyte_of_the_body)
{
    struct sq_buf head = {0};
    struct user u;
    struct script s = {0};

    sq_buf_puts(&head, "HTTP/1.1 403 Forbidden\r\nContent-Length: 3000\r\n\r\n");
    for (int i = 0; i < 3000; i++)
        sq_buf_putc(&head, (char)('a' + i % 26));
    s.head = sq_buf_cstr(&head);
    talk_user_init(&u);
    talk_run(&u, &s);
    SQ_CHECK_EQ(strlen(u.body), 1024);
    SQ_CHECK_EQ(u.error_code, 1403);
    SQ_CHECK_EQ(u.error, SQ_EREFUSED);
    talk_done(&s);
    sq_buf_deinit(&head);
}

SQ_TEST(ws_conn_P03_refusal_without_a_length_ends_soon)
{
    struct user u;
    struct script s = {.head = "HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nwhy"};

    talk_user_init(&u);
    talk_run(&u, &s);
    SQ_CHECK_EQ(u.status, 404);
    SQ_CHECK_STR(u.body, "why");
    SQ_CHECK(u.end_ns - u.start_ns < 3 * SQ_NS_PER_S);
    talk_done(&s);
}

static void silent(struct script *s, int fd)
{
    (void)s;
    talk_wait_for_end(fd);
}

static void drip_head(struct script *s, int fd)
{
    (void)s;
    for (int i = 0; i < 5000; i++) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) <= 0)
            return;
        usleep(5000);
    }
}

SQ_TEST(ws_conn_P16_handshake_deadline)
{
    struct script scripts[] = {{.head = "", .play = silent},
                               {.head = "HTTP/1.1 101 ", .play = drip_head}};

    for (size_t i = 0; i < SQ_COUNT(scripts); i++) {
        struct user u;

        talk_user_init(&u);
        u.open.handshake_timeout_ns = 150 * SQ_NS_PER_MS;
        talk_run(&u, &scripts[i]);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK_EQ(u.error, -ETIMEDOUT);
        SQ_CHECK_EQ(u.error_code, 1050);
        SQ_CHECK(strstr(u.text, "read tcp 127.0.0.1:") && strstr(u.text, "i/o timeout"));
        SQ_CHECK(u.end_ns - u.start_ns >= 150 * SQ_NS_PER_MS);
        talk_done(&scripts[i]);
    }
}

SQ_TEST(ws_conn_P15_head_limits)
{
    for (int kind = 0; kind < 3; kind++) {
        struct sq_buf head = {0};
        struct user u;
        struct script s = {0};

        sq_buf_puts(&head, OK101 UPGRADE ACCEPT);
        for (int i = 0; kind == 0 && head.len < 17 * 1024; i++)
            sq_buf_printf(&head, "X-%d: %01000d\r\n", i, 0);
        for (int i = 0; kind == 1 && i < 101; i++)
            sq_buf_printf(&head, "X-%d: y\r\n", i);
        if (kind == 2) {
            head.len = 0;
            for (int i = 0; i < 9; i++)
                sq_buf_puts(&head, "HTTP/1.1 100 Continue\r\n\r\n");
            sq_buf_puts(&head, OK101 UPGRADE ACCEPT);
        }
        sq_buf_puts(&head, "\r\n");
        s.head = sq_buf_cstr(&head);
        talk_user_init(&u);
        talk_run(&u, &s);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK_EQ(u.error, SQ_EPROTO, "kind %d", kind);
        talk_done(&s);
        sq_buf_deinit(&head);
    }
}

SQ_TEST(ws_conn_P17_stream_ends_inside_the_head)
{
    static const char *const heads[] = {"", "HTTP/1.1 101 Switching Protocols\r\n",
                                        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"};

    for (size_t i = 0; i < 2 * SQ_COUNT(heads); i++) {
        bool reset = i % 2;
        struct script s = {.head = heads[i / 2], .hang_up = !reset, .reset = reset};
        struct user u;

        talk_user_init(&u);
        talk_run(&u, &s);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK_EQ(u.error, reset ? -ECONNRESET : SQ_EEOF);
        SQ_CHECK_EQ(u.error_code, reset ? 1220 : 1000);
        if (reset)
            SQ_CHECK(strstr(u.text, "read: connection reset by peer"), "%.100s", u.text);
        else
            SQ_CHECK_STR(u.text, "unexpected EOF");
        talk_done(&s);
    }
}

SQ_TEST(ws_conn_refused_port_and_bad_urls_fail_later_than_open)
{
    static const struct {
        const char *url;
        int code;
    } cases[] = {{"http://127.0.0.1/", 1020},
                 {"", 1020},
                 {"ws://u:p@127.0.0.1/", 1020},
                 {"ws://127.0.0.1:99999/", 1210}};

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct script s = {0};
        struct user u;

        talk_user_init(&u);
        u.open.url = sq_slice_str(cases[i].url);
        if (!u.open.url.len)
            u.open.url = sq_slice(" ", 1);
        talk_run(&u, &s);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK_EQ(u.status, 0);
        SQ_CHECK_EQ(u.error_code, cases[i].code, "%s: %.100s", cases[i].url, u.text);
        SQ_CHECK_EQ(s.peer.served, 0);
        talk_done(&s);
    }
}

SQ_TEST(ws_conn_forbidden_header_sends_nothing)
{
    struct sq_ws_header header = {sq_slice_str("upgrade"), sq_slice_str("x")};
    struct script s = {0};
    struct user u;

    talk_user_init(&u);
    u.open.headers = &header;
    u.open.headers_count = 1;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "failed ");
    SQ_CHECK(strstr(u.text, "Upgrade"), "%s", u.text);
    SQ_CHECK_EQ(s.peer.served, 0);
    talk_done(&s);
}

SQ_TEST(ws_conn_P01_request_and_timings)
{
    struct sq_ws_header header = {sq_slice_str("x-a"), sq_slice_str("1")};
    struct script s = {WIRE("\x88\x00")};
    struct user u;

    talk_user_init(&u);
    u.open.headers = &header;
    u.open.headers_count = 1;
    u.open.cookie = sq_slice_str("k=v");
    talk_run(&u, &s);
    SQ_CHECK(strncmp(s.request, "GET / HTTP/1.1\r\n", 16) == 0);
    SQ_CHECK(strstr(s.request, "\r\nSec-WebSocket-Version: 13\r\n"));
    SQ_CHECK(strstr(s.request, "\r\nX-A: 1\r\n"));
    SQ_CHECK(strstr(s.request, "\r\nCookie: k=v\r\n"));
    SQ_CHECK(strstr(s.request, "\r\nUser-Agent: squall-test\r\n"));
    SQ_CHECK(u.timings.dial_start_ns > 0 && u.timings.dial_start_ns <= u.timings.tcp_ns);
    SQ_CHECK(u.timings.tcp_ns <= u.timings.request_sent_ns);
    SQ_CHECK(u.timings.request_sent_ns <= u.timings.first_byte_ns);
    SQ_CHECK(u.timings.first_byte_ns <= u.timings.end_ns);
    talk_done(&s);
}

SQ_TEST(ws_conn_url_flags)
{
    struct script s = {WIRE("\x88\x00")};
    struct user u;
    char url[64];

    talk_user_init(&u);
    u.open.url_flags = SQ_URL_ALLOW_USERINFO;
    u.userinfo = "u:p@";
    talk_run(&u, &s);
    snprintf(url, sizeof url, "\r\nHost: 127.0.0.1:%u\r\n", s.peer.port);
    SQ_CHECK(strstr(s.request, url), "%.200s", s.request);
    SQ_CHECK(strstr(s.request, "\r\nAuthorization: Basic dTpw\r\n"), "%.200s", s.request);
    talk_done(&s);
}

/* ---- frames of the server ---- */

struct frame_case {
    const char *name, *wire;
    size_t wire_len;
    const char *events, *frames;
    uint64_t limit;
    bool lenient;
};
#define CASE(name, wire, events, frames)                       \
    {                                                          \
        name, wire, sizeof(wire) - 1, events, frames, 0, false \
    }
#define CASE_LIMIT(name, wire, events, frames, limit)              \
    {                                                              \
        name, wire, sizeof(wire) - 1, events, frames, limit, false \
    }
#define CASE_LENIENT(name, wire, events, frames)              \
    {                                                         \
        name, wire, sizeof(wire) - 1, events, frames, 0, true \
    }

static void check_case(const struct frame_case *c, unsigned cut)
{
    struct script s = {.wire = (const uint8_t *)c->wire, .wire_len = c->wire_len, .cut_bytes = cut};
    struct user u;
    char want[512], frames[2048];

    talk_user_init(&u);
    u.open.message_bytes_max = c->limit;
    u.open.lenient = c->lenient;
    talk_run(&u, &s);
    snprintf(want, sizeof want, "open %s", c->events);
    talk_frames(&s, frames, sizeof frames);
    if (strcmp(u.log, want) != 0 || strcmp(frames, c->frames) != 0)
        printf("# in case %s, cut %u\n", c->name, cut);
    SQ_CHECK_STR(u.log, want);
    SQ_CHECK_STR(frames, c->frames);
    talk_done(&s);
}

SQ_TEST(ws_conn_frames)
{
    static const struct frame_case cases[] = {
        CASE("P19", "\x81\x05Hello" BYE, "text(Hello) " CLEAN, "close:03e8 "),
        CASE("P20", "\x01\x03Hel\x80\x02lo" BYE, "text(Hello) " CLEAN, "close:03e8 "),
        CASE("P21", "\x01\x03Hel\x89\x00\x80\x02lo" BYE, "ping() text(Hello) " CLEAN,
             "pong: close:03e8 "),
        CASE("FR-8", "\x01\x00\x00\x00\x00\x01x\x00\x00\x80\x00" BYE, "text(x) " CLEAN,
             "close:03e8 "),
        CASE("empty", "\x81\x00\x82\x00" BYE, "text() binary[0] " CLEAN, "close:03e8 "),
        CASE("P24", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "protocol(1002,)",
             "close:03ea "),
        CASE_LENIENT("P24 lenient", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" BYE,
                     "text(Hello) " CLEAN, "close:03e8 "),
        CASE("P25 rsv1", "\xc1\x01\x61", "protocol(1002,)", "close:03ea "),
        CASE("P25 rsv2", "\xa1\x01\x61", "protocol(1002,)", "close:03ea "),
        CASE("P25 rsv3", "\x91\x01\x61", "protocol(1002,)", "close:03ea "),
        CASE("P26 op 3", "\x83\x7f\x40\x00\x00\x00\x00\x00\x00\x00", "protocol(1002,)",
             "close:03ea "),
        CASE("P26 op 7", "\x87\x05", "protocol(1002,)", "close:03ea "),
        CASE("P26 op b", "\x8b\x05", "protocol(1002,)", "close:03ea "),
        CASE("P26 op f", "\x8f\x05", "protocol(1002,)", "close:03ea "),
        CASE("P27", "\x89\x7e\x00\x7e", "protocol(1002,)", "close:03ea "),
        CASE("P28", "\x09\x01\x61", "protocol(1002,)", "close:03ea "),
        CASE("P29", "\x80\x01\x61", "protocol(1002,)", "close:03ea "),
        CASE("P30", "\x01\x01\x61\x81\x01\x62", "protocol(1002,)", "close:03ea "),
        CASE("P31", "\x81\x7e\x00\x05Hello", "protocol(1002,)", "close:03ea "),
        CASE_LENIENT("P31 lenient", "\x81\x7e\x00\x05Hello" BYE, "text(Hello) " CLEAN,
                     "close:03e8 "),
        CASE("P32", "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", "protocol(1002,)", "close:03ea "),
        CASE_LIMIT("P33", "\x82\x7e\x03\xe9", "protocol(1009,)", "close:03f1 ", 1000),
        CASE_LIMIT("P33 2^40", "\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00", "protocol(1009,)",
                   "close:03f1 ", 1000),
        CASE_LIMIT("P34",
                   "\x01\x06"
                   "abcdef\x80\x06",
                   "protocol(1009,)", "close:03f1 ", 10),
        CASE_LIMIT("P35",
                   "\x01\x06"
                   "abcdef\x80\x04ghij" BYE,
                   "text(abcdefghij) " CLEAN, "close:03e8 ", 10),
        CASE("P36", "\x81\x02\xc3\x28", "protocol(1007,)", "close:03ef "),
        CASE("P36 after a good one", "\x81\x01x\x81\x02\xc3\x28", "text(x) protocol(1007,)",
             "close:03ef "),
        CASE("P37 surrogate", "\x81\x03\xed\xa0\x80", "protocol(1007,)", "close:03ef "),
        CASE("P37 range", "\x81\x04\xf4\x90\x80\x80", "protocol(1007,)", "close:03ef "),
        CASE("P37 overlong", "\x81\x02\xc0\xaf", "protocol(1007,)", "close:03ef "),
        CASE("P38", "\x01\x01\xe2\x00\x01\x82\x89\x01p\x80\x01\xac" BYE,
             "ping(p) text(\xe2\x82\xac) " CLEAN, "pong:70 close:03e8 "),
        CASE("P39", "\x01\x01\xe2\x80\x01\x82", "protocol(1007,)", "close:03ef "),
        CASE("TX-2 the rest never comes", "\x81\x7f\x00\x00\x00\x00\x00\x10\x00\x00good\xff",
             "protocol(1007,)", "close:03ef "),
        CASE("TX-2 in a fragment", "\x01\x03\xce\xba\xf4\x00\x01\x90", "protocol(1007,)",
             "close:03ef "),
        CASE_LENIENT("WS-104",
                     "\x81\x04"
                     "a\xff\xc3z" BYE,
                     "text(a\xef\xbf\xbd\xef\xbf\xbdz) " CLEAN, "close:03e8 "),
        CASE_LENIENT("WS-104 cut at the end",
                     "\x01\x02"
                     "a\xe2\x80\x01\x82" BYE,
                     "text(a\xef\xbf\xbd\xef\xbf\xbd) " CLEAN, "close:03e8 "),
        CASE("P40", "\x81\x03\xef\xbb\xbf" BYE, "text(\xef\xbb\xbf) " CLEAN, "close:03e8 "),
        CASE("TX-5", "\x82\x02\xff\xff\x89\x01\xff" BYE, "binary[2] ping(\xff) " CLEAN,
             "pong:ff close:03e8 "),
        CASE("P42",
             "\x8a\x03"
             "abc" BYE,
             "pong(abc) " CLEAN, "close:03e8 "),
        CASE("P43", "\x88\x00", "close(1005,)clean", "close: "),
        CASE("P44", BYE, CLEAN, "close:03e8 "),
        CASE("P45",
             "\x88\x06\x0f\xa0"
             "bye!",
             "close(4000,bye!)clean", "close:0fa0 "),
        CASE("P46", "\x88\x01\x03", "protocol(1002,)", "close:03ea "),
        CASE("P47", "\x88\x04\x03\xe8\xc3\x28", "protocol(1007,)", "close:03ef "),
        CASE("P50",
             BYE "\x81\x01"
                 "a\x89\x00",
             CLEAN, "close:03e8 "),
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        for (unsigned cut = 0; cut <= 2; cut++)
            check_case(&cases[i], cut);
}

SQ_TEST(ws_conn_P26_reserved_opcodes)
{
    for (int opcode = 3; opcode < 16; opcode = opcode == 7 ? 11 : opcode + 1) {
        char wire[10] = {(char)(0x80 | opcode), 0x7f, 0x3f};
        struct frame_case c = {"opcode",      wire, sizeof wire, "protocol(1002,)",
                               "close:03ea ", 0,    false};

        check_case(&c, 0);
    }
}

SQ_TEST(ws_conn_P48_P49_close_codes)
{
    static const uint16_t bad[] = {0,    999,  1004, 1005, 1006, 1015,
                                   1016, 1100, 2000, 2999, 5000, 65535};
    static const uint16_t good[] = {1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                    1011, 1012, 1013, 1014, 3000, 3999, 4999};

    for (size_t i = 0; i < SQ_COUNT(bad) + SQ_COUNT(good); i++) {
        bool ok = i >= SQ_COUNT(bad);
        uint16_t code = ok ? good[i - SQ_COUNT(bad)] : bad[i];
        char wire[4] = {(char)0x88, 2, (char)(code >> 8), (char)code};
        char events[64] = "protocol(1002,)", frames[32] = "close:03ea ";
        struct frame_case c = {"code", wire, 4, events, frames, 0, false};

        if (ok) {
            snprintf(events, sizeof events, "close(%u,)clean", code);
            snprintf(frames, sizeof frames, "close:%04x ", code);
        }
        check_case(&c, 0);
    }
}

SQ_TEST(ws_conn_P22_P23_P41_lengths)
{
    static const size_t lengths[] = {125, 126, 256, 65535, 65536, 300000, 1 << 20};

    for (size_t i = 0; i < SQ_COUNT(lengths); i++)
        for (unsigned cut = 0; cut < 2; cut++) {
            struct sq_buf wire = {0};
            uint8_t head[SQ_WS_HEADER_MAX];
            struct sq_ws_frame frame = {.len = lengths[i], .opcode = 2, .fin = true};
            struct user u;
            struct script s = {0};
            char want[100];

            sq_buf_put(&wire, head, sq_ws_frame_header(head, &frame));
            for (size_t b = 0; b < lengths[i]; b++)
                sq_buf_putc(&wire, (char)b);
            sq_buf_put(&wire, BYE, 4);
            s.wire = wire.data;
            s.wire_len = wire.len;
            s.cut_bytes = cut ? (unsigned)(lengths[i] / 3 + 1) : 0;
            talk_user_init(&u);
            talk_run(&u, &s);
            snprintf(want, sizeof want, "open binary[%zu] " CLEAN, lengths[i]);
            SQ_CHECK_STR(u.log, want);
            talk_done(&s);
            sq_buf_deinit(&wire);
        }
}

/* ---- floods and lies: memory stays where it belongs ---- */

static void lie(struct script *s, int fd)
{
    peer_write(fd,
               "\x82\x7f\x00\x00\x00\x00\x40\x00\x00\x00"
               "0123456789",
               20);
    usleep(100000);
    (void)s;
}

SQ_TEST(ws_conn_announced_length_reserves_nothing)
{
    struct script s = {.play = lie};
    struct user u;

    talk_user_init(&u);
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open eof(1006,)");
    SQ_CHECK(u.read_waste_max > 0 && u.read_waste_max < 4096, "%zu bytes", u.read_waste_max);
    talk_done(&s);
}

static void flood_fragments(struct script *s, int fd)
{
    static uint8_t block[2 * 8192];

    for (size_t i = 0; i < sizeof block; i += 2)
        block[i] = block[i + 1] = 0;
    peer_write(fd, "\x01\x00", 2);
    for (int i = 0; i < 125; i++)
        peer_write(fd, block, sizeof block);
    peer_write(fd, "\x80\x02ok" BYE, 8);
    talk_gather(s, fd);
}

SQ_TEST(ws_conn_million_empty_fragments)
{
    struct script s = {.play = flood_fragments};
    struct user u;

    talk_user_init(&u);
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(ok) " CLEAN);
    SQ_CHECK(u.read_waste_max < 4096, "%zu bytes", u.read_waste_max);
    talk_done(&s);
}

static void flood_pings(struct script *s, int fd)
{
    struct sq_buf pings = {0};
    struct timeval limit = {.tv_sec = 1};

    for (int i = 0; i < 20000; i++) {
        char payload[16];
        int len = snprintf(payload, sizeof payload, "%06d", i);
        uint8_t head[2] = {0x89, (uint8_t)len};

        sq_buf_put(&pings, head, 2);
        sq_buf_put(&pings, payload, (size_t)len);
    }
    peer_write(fd,
               "\x81\x01"
               "g",
               3); /* tells the client to fill the pipe */
    usleep(300000);
    for (int i = 0; i < 20; i++)
        peer_write(fd, pings.data, pings.len);
    usleep(300000);
    /* Now read: all that was queued, then the newest pong. */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    static uint8_t buf[1 << 16];
    uint8_t tail[12] = {0};
    for (ssize_t n; (n = recv(fd, buf, sizeof buf, 0)) > 0;) {
        size_t take = SQ_MIN((size_t)n, sizeof tail);

        memmove(tail, tail + take, sizeof tail - take);
        memcpy(tail + sizeof tail - take, buf + n - take, take);
    }
    s->got[0] = tail[0];
    for (int i = 0; i < 6; i++)
        s->got[1 + i] = tail[6 + i] ^ tail[2 + i % 4];
    s->got[7] = 0;
    s->got_len = 0;
    sq_buf_deinit(&pings);
}

static void fill_pipe(struct user *u, char event)
{
    static uint8_t data[1 << 20];

    if (event != 'm')
        return;
    while (sq_ws_conn_buffered(u->conn) < 1 << 20)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
    u->state = 1;
}

SQ_TEST(ws_conn_pongs_of_a_blocked_connection_are_capped)
{
    struct script s = {.play = flood_pings};
    struct user u;

    talk_user_init(&u);
    u.hook = fill_pipe;
    talk_run(&u, &s);
    SQ_CHECK_EQ(u.pings, 400000);
    SQ_CHECK(u.read_waste_max < 6 << 20, "%zu bytes", u.read_waste_max);
    SQ_CHECK_EQ(s.got[0], 0x8a);
    SQ_CHECK_STR((char *)s.got + 1, "019999");
    SQ_CHECK(strstr(u.log, "drained ") || u.log_len + 300 > sizeof u.log);
    talk_done(&s);
}

static void flood_messages(struct script *s, int fd)
{
    struct sq_buf block = {0};

    for (int i = 0; i < 5000; i++)
        sq_buf_put(&block,
                   "\x81\x0a"
                   "0123456789",
                   12);
    for (int i = 0; i < 20; i++)
        peer_write(fd, block.data, block.len);
    peer_write(fd, BYE, 4);
    talk_gather(s, fd);
    sq_buf_deinit(&block);
}

static void pause_often(struct user *u, char event)
{
    if (event == 'm' && u->messages % 1777 == 0) {
        sq_ws_conn_pause(u->conn);
        u->state = u->messages;
    }
    if (event == 'm' && u->state && u->messages != u->state)
        SQ_CHECK(false, "message %d while paused", u->messages);
    if (event == 't' && u->state && u->ticks % 2 == 0) {
        u->state = 0;
        sq_ws_conn_resume(u->conn);
        SQ_CHECK_EQ(u->messages - u->resumed_at, 1777); /* resume calls no handler */
        u->resumed_at = u->messages;
    }
}

SQ_TEST(ws_conn_pause_and_resume_under_a_flood)
{
    struct script s = {.play = flood_messages};
    struct user u;

    talk_user_init(&u);
    u.hook = pause_often;
    talk_run(&u, &s);
    SQ_CHECK_EQ(u.messages, 100000);
    SQ_CHECK_EQ(u.end_kind, SQ_WS_END_CLOSE);
    SQ_CHECK(u.read_waste_max <= SQ_LOOP_READ_BYTES + 64, "%zu bytes", u.read_waste_max);
    talk_done(&s);
}

/* Frames with a byte or two changed, then FIN: whatever it means, it ends. */
SQ_TEST(ws_conn_damaged_streams_end)
{
    static const char frames[] =
        "\x81\x05Hello\x01\x03H\xc3\xa9\x89\x02pp\x80\x02lo\xc1\x07\xf2\x48"
        "\xcd\xc9\xc9\x07\x00\x82\x7e\x00\x80zzzzzzzzzzzzzzzzzzzzzzzzzzzz";
    uint32_t seed = 7;

    for (int round = 0; round < 250; round++) {
        uint8_t wire[sizeof frames];
        struct script s = {.wire = wire, .extra = PMD_BOTH};
        struct user u;

        memcpy(wire, frames, sizeof wire);
        for (int i = 0; i < 2; i++) {
            seed = seed * 1664525U + 1013904223U;
            wire[(seed >> 8) % sizeof wire] = (uint8_t)(seed >> 24);
        }
        s.wire_len = (seed >> 4) % sizeof wire;
        s.cut_bytes = round % 3 == 0 ? 5 : 0;
        s.reset = round % 5 == 0;
        s.hang_up = !s.reset;
        talk_user_init(&u);
        offer_both(&u);
        u.open.message_bytes_max = round % 2 ? 64 : 0;
        u.open.lenient = round % 7 == 0;
        u.handler.answer_close = round % 4 != 0;
        talk_run(&u, &s);
        SQ_CHECK(u.over, "round %d", round);
        talk_done(&s);
    }
}

/* ---- permessage-deflate ---- */

SQ_TEST(ws_conn_deflate_messages)
{
    static const struct {
        const char *name, *extra, *wire;
        size_t wire_len;
        const char *events, *frames;
        bool both;
        uint64_t limit;
    } cases[] = {
#define PMD(name, extra, wire, events, frames, both, limit) \
    {name, extra, wire, sizeof(wire) - 1, events, frames, both, limit}
        PMD("P60", PMD_PLAIN, "", NULL, "", true, 0),
        PMD("P61", PMD_BOTH, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00" BYE, "text(Hello) " CLEAN,
            "close:03e8 ", true, 0),
        PMD("P62", PMD_BOTH, "\x41\x03\xf2\x48\xcd\x89\x00\x80\x04\xc9\xc9\x07\x00" BYE,
            "ping() text(Hello) " CLEAN, "pong: close:03e8 ", true, 0),
        PMD("P63", PMD_PLAIN,
            "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00" BYE,
            "text(Hello) text(Hello) " CLEAN, "close:03e8 ", false, 0),
        PMD("P64", PMD_BOTH, "\xc1\x0b\x00\x05\x00\xfa\xffHello\x00" BYE, "text(Hello) " CLEAN,
            "close:03e8 ", true, 0),
        PMD("P65", PMD_BOTH, "\xc1\x01\x00" BYE, "text() " CLEAN, "close:03e8 ", true, 0),
        PMD("PMD-10 empty payload", PMD_BOTH, "\xc1\x00\x41\x00\x80\x00" BYE,
            "text() text() " CLEAN, "close:03e8 ", true, 0),
        PMD("P66", PMD_BOTH,
            "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x81\x05Hello"
            "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00" BYE,
            "text(Hello) text(Hello) text(Hello) " CLEAN, "close:03e8 ", true, 0),
        PMD("P69 ping", PMD_BOTH, "\xc9\x00", "protocol(1002,)", "close:03ea ", true, 0),
        PMD("P69 continuation", PMD_BOTH, "\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00",
            "protocol(1002,)", "close:03ea ", true, 0),
        PMD("P71", PMD_BOTH, "\xc1\x04\xff\xff\xff\xff", "protocol(1007,)", "close:03ef ", true, 0),
        PMD("inflated limit", PMD_BOTH, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", "protocol(1009,)",
            "close:03f1 ", true, 4),
        PMD("inflated limit met", PMD_BOTH, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00" BYE,
            "text(Hello) " CLEAN, "close:03e8 ", true, 5),
        PMD("TX-4", PMD_BOTH, "\xc1\x08\x00\x02\x00\xfd\xff\xc3\x28\x00", "protocol(1007,)",
            "close:03ef ", true, 0),
        PMD("P67 bits 16",
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16\r\n", "", NULL,
            "", false, 0),
        PMD("P67 unknown", "Sec-WebSocket-Extensions: permessage-deflate; foo=1\r\n", "", NULL, "",
            false, 0),
        PMD("P68", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10\r\n",
            "", NULL, "", false, 0),
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        for (unsigned cut = 0; cut < 3; cut++) {
            struct script s = {.wire = (const uint8_t *)cases[i].wire,
                               .wire_len = cases[i].wire_len,
                               .extra = cases[i].extra,
                               .cut_bytes = cut};
            struct user u;
            char want[300], frames[1024];

            talk_user_init(&u);
            u.open.message_bytes_max = cases[i].limit;
            u.open.deflate.offer = true;
            if (cases[i].both)
                offer_both(&u);
            talk_run(&u, &s);
            snprintf(want, sizeof want, "open %s", cases[i].events ? cases[i].events : "");
            talk_frames(&s, frames, sizeof frames);
            if (strcmp(u.log, cases[i].events ? want : "failed ") != 0)
                printf("# in case %s, cut %u\n", cases[i].name, cut);
            SQ_CHECK_STR(u.log, cases[i].events ? want : "failed ");
            SQ_CHECK_STR(frames, cases[i].frames);
            talk_done(&s);
        }
}

static void play_bomb(struct script *s, int fd)
{
    struct sq_ws_deflate_pool *pool = sq_ws_deflate_pool_new();
    struct sq_ws_deflate_options opt = {
        .agreed = {.enabled = true, .server_no_context_takeover = true}, .server = true};
    struct sq_ws_deflate d;
    struct sq_buf out = {0}, wire = {0};
    uint8_t *zeros = sq_xcalloc(1, 64 << 20), head[SQ_WS_HEADER_MAX];
    struct sq_ws_frame frame = {.opcode = 2, .fin = true, .rsv1 = true};
    int rc;

    sq_ws_deflate_init(&d, pool, &opt);
    rc = sq_ws_deflate_message(&d, sq_slice(zeros, 64 << 20), &out);
    free(zeros);
    frame.len = out.len;
    sq_buf_put(&wire, head, sq_ws_frame_header(head, &frame));
    sq_buf_put(&wire, out.data, out.len);
    if (rc == 1)
        peer_write(fd, wire.data, wire.len);
    talk_gather(s, fd);
    sq_buf_deinit(&out);
    sq_buf_deinit(&wire);
    sq_ws_deflate_deinit(&d);
    sq_ws_deflate_pool_free(pool);
}

SQ_TEST(ws_conn_P70_bomb)
{
    struct script s = {.play = play_bomb, .extra = PMD_BOTH};
    struct user u;
    char frames[1024];

    talk_user_init(&u);
    offer_both(&u);
    u.open.message_bytes_max = 1 << 20;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open protocol(1009,)");
    SQ_CHECK(u.read_waste_max < 4 << 20, "%zu bytes", u.read_waste_max);
    talk_frames(&s, frames, sizeof frames);
    SQ_CHECK_STR(frames, "close:03f1 ");
    talk_done(&s);
}

static void send_hello_5(struct user *u, char event)
{
    if (event != 'o')
        return;
    for (int i = 0; i < 5; i++)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("Hello")), 0);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_P72_no_context_each_message_alone)
{
    struct script s = {.answer = true, .extra = PMD_BOTH};
    struct sq_ws_deflate_pool *pool = sq_ws_deflate_pool_new();
    struct user u;
    size_t at = 0;

    talk_user_init(&u);
    offer_both(&u);
    u.hook = send_hello_5;
    talk_run(&u, &s);
    for (int i = 0; i < 5; i++) {
        struct sq_ws_deflate_options opt = {
            .agreed = {.enabled = true, .client_no_context_takeover = true}, .server = true};
        struct sq_ws_deflate d;
        struct sq_buf out = {0};
        uint8_t opcode = 0, first = 0, plain[64];
        struct sq_slice payload = sq_slice("", 0);

        at += talk_frame_at(&s, at, &opcode, &first, &payload);
        SQ_CHECK_EQ(first, 0xc1);
        for (size_t b = 0; b < payload.len && b < sizeof plain; b++)
            plain[b] = payload.data[b] ^ (payload.data - 4)[b % 4];
        sq_ws_deflate_init(&d, pool, &opt);
        SQ_CHECK_EQ(sq_ws_inflate(&d, sq_slice(plain, payload.len), true, 0, &out), 0);
        SQ_CHECK(sq_slice_eq(sq_buf_slice(&out), sq_slice_str("Hello")));
        sq_buf_deinit(&out);
        sq_ws_deflate_deinit(&d);
    }
    sq_ws_deflate_pool_free(pool);
    talk_done(&s);
}

/* ---- memory ---- */

SQ_TEST(ws_conn_idle_connection_is_one_small_struct)
{
    SQ_CHECK(sizeof(struct sq_ws_conn) <= 400, "%zu bytes", sizeof(struct sq_ws_conn));
}

static void check_idle(struct user *u, char event)
{
    if (event == 't' && u->ticks == 30) {
        SQ_CHECK(!u->conn->hs && !u->conn->incoming && !u->conn->backlog && !u->conn->chunk);
        SQ_CHECK_EQ(sq_loop_chunks_lent(u->kit.loop), 0);
        talk_finish(u);
    }
}

SQ_TEST(ws_conn_P80_idle_connection_holds_nothing)
{
    struct script s = {WIRE("\x81\x01x\x89\x01p")};
    struct user u;

    talk_user_init(&u);
    u.hook = check_idle;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(x) ping(p) ");
    talk_done(&s);
}
