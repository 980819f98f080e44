/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets over HTTP/2 against a server of hand-written frames, which may do anything. */
#include "net/h2.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/ws_conn_kit.h"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW, MORE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

#define ALLOW "\x00\x08\x00\x00\x00\x01" /* ENABLE_CONNECT_PROTOCOL=1 */
#define OK200 "\x88"                     /* :status 200, from the static table */

struct h2_script {
    struct script script;
    const char *settings; /* NULL: ALLOW */
    size_t settings_len;
    void (*play)(struct h2_script *h, int fd); /* once the request is there */
    const char *raw;                           /* sent in place of SETTINGS */
    size_t raw_len;
    unsigned cut_bytes; /* DATA goes out in pieces of so many bytes */
    /* results */
    char request[2048]; /* "name: value\n" each */
    int pings, settings_acks, goaway;
    int64_t reset; /* code of RST_STREAM; -1: none */
    uint64_t window_given, conn_window_given;
    bool end_stream, gone;
    int told;
    uint8_t payload[20000];
    size_t len;
    uint8_t type, flags;
    uint32_t id;
};

/* From the server's thread to the test's. */
static void tell_user(struct h2_script *h)
{
    __atomic_store_n(&h->told, 1, __ATOMIC_RELEASE);
}

static bool user_told(const struct h2_script *h)
{
    return __atomic_load_n(&h->told, __ATOMIC_ACQUIRE);
}

/* ---- the server ---- */

static void put_frame(int fd, uint8_t type, uint8_t flags, uint32_t id, const void *data,
                      size_t len)
{
    uint8_t head[9] = {
        (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
        (uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    struct sq_buf out = {0};

    sq_buf_put(&out, head, sizeof head);
    sq_buf_put(&out, data, len);
    send(fd, out.data, out.len, MSG_NOSIGNAL);
    sq_buf_deinit(&out);
}

#define PUT(fd, type, flags, id, text) put_frame(fd, type, flags, id, text, sizeof(text) - 1)

static void put_window(int fd, uint32_t id, uint32_t bytes)
{
    uint8_t payload[4] = {(uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16), (uint8_t)(bytes >> 8),
                          (uint8_t)bytes};

    put_frame(fd, WINDOW, 0, id, payload, sizeof payload);
}

static uint32_t number(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void decode_request(struct h2_script *h)
{
    nghttp2_hd_inflater *inflater;
    const uint8_t *in = h->payload;
    size_t left = h->len, at = 0;
    nghttp2_nv nv;
    int flags = 0;

    nghttp2_hd_inflate_new(&inflater);
    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, in, left, 1);

        if (used < 0)
            break;
        in += used;
        left -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            at += (size_t)snprintf(h->request + at, sizeof h->request - at, "%s: %s\n", nv.name,
                                   nv.value);
    }
    nghttp2_hd_inflate_del(inflater);
}

static void note_frame(struct h2_script *h)
{
    struct script *s = &h->script;

    switch (h->type) {
    case DATA:
        if (s->got_len + h->len <= TALK_GOT_MAX) {
            memcpy(s->got + s->got_len, h->payload, h->len);
            s->got_len += h->len;
        }
        /* fall through */
    case HEADERS:
        h->end_stream |= h->flags & END_STREAM;
        if (h->type == HEADERS)
            decode_request(h);
        break;
    case RST_STREAM:
        h->reset = number(h->payload);
        break;
    case SETTINGS:
        h->settings_acks += h->flags & ACK;
        break;
    case PING:
        h->pings += h->flags & ACK;
        break;
    case GOAWAY:
        h->goaway = (int)number(h->payload + 4);
        break;
    case WINDOW:
        *(h->id ? &h->window_given : &h->conn_window_given) += number(h->payload);
        break;
    default:
        SQ_CHECK(false, "frame of type %d", h->type);
    }
}

/* False: the client is gone, or silent for 5 s. */
static bool next_frame(struct h2_script *h, int fd)
{
    uint8_t head[9];

    h->gone = true;
    if (!peer_read(fd, head, sizeof head))
        return false;
    h->len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    h->type = head[3];
    h->flags = head[4];
    h->id = number(head + 5);
    if (h->len > sizeof h->payload || !peer_read(fd, h->payload, h->len))
        return false;
    h->gone = false;
    note_frame(h);
    if (h->type == SETTINGS && !(h->flags & ACK))
        PUT(fd, SETTINGS, ACK, 0, "");
    return true;
}

static void gather_all(struct h2_script *h, int fd)
{
    while (next_frame(h, fd))
        ;
}

static void put_data(struct h2_script *h, int fd, const void *data, size_t len)
{
    size_t step = h->cut_bytes ? h->cut_bytes : 16384;

    for (size_t at = 0; at < len; at += step)
        put_frame(fd, DATA, 0, 1, (const uint8_t *)data + at, SQ_MIN(step, len - at));
}

static void serve_h2(struct peer *peer, int fd)
{
    struct script *s = SQ_CONTAINER_OF(peer, struct script, peer);
    struct h2_script *h = SQ_CONTAINER_OF(s, struct h2_script, script);
    char preface[24];

    if (!peer_read(fd, preface, sizeof preface))
        return;
    SQ_CHECK(memcmp(preface, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) == 0);
    if (h->raw)
        peer_write(fd, h->raw, h->raw_len);
    else if (h->settings)
        put_frame(fd, SETTINGS, 0, 0, h->settings, h->settings_len);
    else
        PUT(fd, SETTINGS, 0, 0, ALLOW);
    while (!h->request[0])
        if (!next_frame(h, fd))
            return;
    if (h->play)
        h->play(h, fd);
    gather_all(h, fd);
}

static void run(struct user *u, struct h2_script *h)
{
    h->script.peer.serve = serve_h2;
    h->reset = -1;
    u->open.http2 = true;
    talk_run(u, &h->script);
}

/* ---- a good server ---- */

static void play_echo(struct h2_script *h, int fd)
{
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    put_data(h, fd,
             "\x81\x02hi\x89\x01p\x82\x03"
             "123",
             12);
    PUT(fd, PING, 0, 0, "12345678");
    while (!talk_close_in(&h->script))
        if (!next_frame(h, fd))
            return;
    put_data(h, fd, BYE, 4);
    PUT(fd, DATA, END_STREAM, 1, "");
}

static void answer_binary(struct user *u, char event)
{
    if (event != 'm' || u->messages != 2)
        return;
    SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("yo")), 0);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(h2_echo)
{
    static const struct sq_ws_header headers[] = {
        {{(const uint8_t *)"X-Own", 5}, {(const uint8_t *)"Value", 5}}};
    char frames[500], want[400];

    for (unsigned cut = 0; cut < 4; cut++) {
        struct h2_script h = {.play = play_echo, .cut_bytes = cut};
        struct user u;

        talk_user_init(&u);
        u.hook = answer_binary;
        u.open.headers = headers;
        u.open.headers_count = 1;
        run(&u, &h);
        SQ_CHECK_STR(u.log, "open text(hi) ping(p) binary[3] " CLEAN);
        SQ_CHECK_EQ(u.status, 200);
        snprintf(want, sizeof want,
                 ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:path: /\n"
                 ":authority: 127.0.0.1:%u\nuser-agent: squall-test\n"
                 "sec-websocket-version: 13\nx-own: Value\n",
                 h.script.peer.port);
        SQ_CHECK_STR(h.request, want);
        talk_frames(&h.script, frames, sizeof frames);
        SQ_CHECK_STR(frames, "pong:70 text:796f close:03e8 ");
        SQ_CHECK(h.end_stream && h.reset == -1, "%lld", (long long)h.reset);
        SQ_CHECK_EQ(h.pings, 1);
        SQ_CHECK_EQ(h.settings_acks, 1);
        talk_done(&h.script);
    }
}

static void play_refuse(struct h2_script *h, int fd)
{
    /* :status 103, then :status 404 and a-b: c, then the body. */
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1,
        "\x08\x03"
        "103");
    PUT(fd, HEADERS, END_HEADERS, 1,
        "\x8d\x00\x03"
        "a-b\x01"
        "c");
    PUT(fd, DATA, 0, 1, "not ");
    PUT(fd, DATA, END_STREAM, 1, "here");
}

SQ_TEST(h2_refused)
{
    struct h2_script h = {.play = play_refuse};
    struct user u;
    int64_t before = sq_now_ns();

    talk_user_init(&u);
    run(&u, &h);
    SQ_CHECK_EQ(u.status, 404);
    SQ_CHECK_EQ(u.error_code, 1404);
    SQ_CHECK_STR(u.text, "websocket: bad handshake");
    SQ_CHECK_STR(u.body, "not here");
    SQ_CHECK(sq_now_ns() - before < SQ_NS_PER_S, "END_STREAM ends the body");
    talk_done(&h.script);
}

/* ---- flow control ---- */

enum { BIG_BYTES = 600000, PIECES = 24 };

static void play_small_window(struct h2_script *h, int fd)
{
    struct script *s = &h->script;
    size_t given = 100, conn_given = 65535;

    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    for (int i = 0; i < PIECES; i++) {
        /* What it may send it sends, and no more: a PING comes back behind it. */
        while (s->got_len < SQ_MIN(given, (size_t)BIG_BYTES + 14 + 8))
            if (!next_frame(h, fd))
                return;
        SQ_CHECK(s->got_len <= given, "%zu of %zu", s->got_len, given);
        put_window(fd, 1, 30000);
        put_window(fd, 0, 30000);
        given += 30000;
        conn_given += 30000;
        SQ_CHECK(conn_given > given);
    }
    while (!talk_close_in(s))
        if (!next_frame(h, fd))
            return;
    put_data(h, fd, BYE, 4);
    PUT(fd, DATA, END_STREAM, 1, "");
}

static void send_big(struct user *u, char event)
{
    static uint8_t big[BIG_BYTES];
    uint64_t buffered = u->conn ? sq_ws_conn_buffered(u->conn) : 0;

    if (event == 'o') {
        for (size_t i = 0; i < sizeof big; i++)
            big[i] = (uint8_t)(i * 7);
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(big, sizeof big)), 0);
        buffered = sq_ws_conn_buffered(u->conn);
        SQ_CHECK(buffered >= BIG_BYTES - 100 && buffered <= BIG_BYTES, "%llu",
                 (unsigned long long)buffered);
        SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
        u->state = BIG_BYTES;
    } else if (event == 't' && u->state) {
        SQ_CHECK(buffered <= (uint64_t)u->state);
        u->state = (int)buffered;
    }
}

SQ_TEST(h2_sends_as_the_window_opens)
{
    struct h2_script h = {.play = play_small_window,
                          .settings = ALLOW "\x00\x04\x00\x00\x00\x64",
                          .settings_len = 12};
    struct user u;
    uint8_t opcode = 0, first = 0;
    struct sq_slice payload = sq_slice("", 0);
    size_t wrong = 0;

    talk_user_init(&u);
    u.hook = send_big;
    run(&u, &h);
    SQ_CHECK_STR(u.log, "open " CLEAN);
    talk_frame_at(&h.script, 0, &opcode, &first, &payload);
    SQ_CHECK_EQ(payload.len, BIG_BYTES);
    for (size_t i = 0; i < payload.len; i++)
        wrong += (uint8_t)(payload.data[i] ^ (payload.data - 4)[i % 4]) != (uint8_t)(i * 7);
    SQ_CHECK_EQ(wrong, 0);
    talk_done(&h.script);
}

enum { FLOOD_MESSAGES = 100, FLOOD_BYTES = 10000 };

/* Sends as much as the window lets it while the user has paused, and is answered a PING then. */
static void play_until_blocked(struct h2_script *h, int fd)
{
    static uint8_t message[4 + FLOOD_BYTES] = {0x82, 126, FLOOD_BYTES >> 8, FLOOD_BYTES & 0xff};
    uint64_t sent = 0, total = FLOOD_MESSAGES * sizeof message;
    int pings = 0;

    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    while (sent < total) {
        uint64_t window =
            SQ_MIN(SQ_H2_WINDOW_BYTES + h->window_given, 65535 + h->conn_window_given) - sent;
        size_t at = sent % sizeof message;
        size_t step = (size_t)SQ_MIN(window, (uint64_t)(sizeof message - at));

        if (step > 0) {
            put_frame(fd, DATA, 0, 1, message + at, step);
            sent += step;
            continue;
        }
        if (pings == 0)
            PUT(fd, PING, 0, 0, "stopped?");
        while (pings == 0 && h->pings == 0)
            if (!next_frame(h, fd))
                return;
        /* Paused at the first message: no more than a window was ever on its way. */
        if (pings++ == 0)
            SQ_CHECK(sent <= SQ_H2_WINDOW_BYTES + 2 * sizeof message, "%llu",
                     (unsigned long long)sent);
        tell_user(h); /* resume now */
        if (!next_frame(h, fd))
            return;
    }
    tell_user(h);
    put_data(h, fd, BYE, 4);
}

static void pause_first(struct user *u, char event)
{
    struct h2_script *h = u->arg;

    if (event == 'm' && u->messages == 1) {
        sq_ws_conn_pause(u->conn);
        u->state = 1;
    }
    if (event == 't' && u->state == 1 && user_told(h)) {
        SQ_CHECK_EQ(u->messages, 1);
        u->state = 2;
        sq_ws_conn_resume(u->conn);
    }
}

SQ_TEST(h2_pause_closes_the_window)
{
    struct h2_script h = {.play = play_until_blocked};
    struct user u;

    talk_user_init(&u);
    u.hook = pause_first;
    u.arg = &h;
    run(&u, &h);
    SQ_CHECK_EQ(u.messages, FLOOD_MESSAGES);
    SQ_CHECK_EQ(u.message_bytes, FLOOD_MESSAGES * FLOOD_BYTES);
    SQ_CHECK(h.pings > 0);
    SQ_CHECK_EQ(u.state, 2);
    talk_done(&h.script);
}

/* ---- ends ---- */

static void play_reset(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    PUT(fd, DATA, 0, 1, "\x81\x02hi");
    PUT(fd, RST_STREAM, 0, 1, "\x00\x00\x00\x08");
}

static void play_end(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    PUT(fd, DATA, END_STREAM, 1, "\x81\x02hi");
}

static void play_end_with_head(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS | END_STREAM, 1, OK200);
}

static void play_trailers(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    PUT(fd, DATA, 0, 1, "\x81\x02hi");
    PUT(fd, HEADERS, END_HEADERS | END_STREAM, 1, "\x00\x01t\x01v");
}

static void play_goaway_and_go_on(struct h2_script *h, int fd)
{
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    PUT(fd, GOAWAY, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x00");
    PUT(fd, DATA, 0, 1, "\x81\x02hi");
    put_data(h, fd, BYE, 4);
}

static void play_goaway_and_fin(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    PUT(fd, DATA, 0, 1, "\x81\x02hi");
    PUT(fd, GOAWAY, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x0bslow\ndown");
    shutdown(fd, SHUT_WR);
}

static void play_fin(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    PUT(fd, DATA, 0, 1, "\x81\x02hi");
    shutdown(fd, SHUT_WR);
}

static void play_tcp_reset(struct h2_script *h, int fd)
{
    struct linger now = {.l_onoff = 1};

    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    usleep(20000);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)!dup2(0, fd); /* gone now; what the kit closes is the copy */
}

static void play_bad_frame(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
    PUT(fd, DATA, 0, 1, "\xff\x00");
}

SQ_TEST(h2_ends)
{
    static const struct {
        const char *name;
        void (*play)(struct h2_script *h, int fd);
        const char *log, *text;
        int error;
        int64_t reset;
        bool end_stream;
    } cases[] = {
        {"RST_STREAM", play_reset, "open text(hi) read(1006,)", "reset the stream (CANCEL)",
         -ECONNRESET, -1, false},
        {"END_STREAM", play_end, "open text(hi) eof(1006,)", "unexpected EOF", SQ_EEOF, -1, true},
        {"END_STREAM with the head", play_end_with_head, "open eof(1006,)", "unexpected EOF",
         SQ_EEOF, -1, true},
        {"trailers", play_trailers, "open text(hi) eof(1006,)", "unexpected EOF", SQ_EEOF, -1,
         true},
        {"GOAWAY", play_goaway_and_go_on, "open text(hi) " CLEAN, "close 1000", 0, -1, true},
        {"GOAWAY, FIN", play_goaway_and_fin, "open text(hi) read(1006,)",
         "http2: the server closed the connection: ENHANCE_YOUR_CALM: slow?down", SQ_EPROTO, -1,
         false},
        {"FIN", play_fin, "open text(hi) eof(1006,)", "unexpected EOF", SQ_EEOF, -1, false},
        {"RST", play_tcp_reset, "open read(1006,)", "connection reset by peer", -ECONNRESET, -1,
         false},
        {"a bad frame", play_bad_frame, "open protocol(1002,)", "websocket: ", SQ_EPROTO, -1, true},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        struct h2_script h = {.play = cases[c].play};
        struct user u;

        talk_user_init(&u);
        run(&u, &h);
        /* A FIN behind the last answer tells whether both Close frames were out. */
        SQ_CHECK(strncmp(u.log, cases[c].log, strcspn(cases[c].log, ",")) == 0, "%s: '%s'",
                 cases[c].name, u.log);
        SQ_CHECK(strstr(u.text, cases[c].text), "%s: '%s'", cases[c].name, u.text);
        SQ_CHECK_EQ(u.end_error, cases[c].error, "%s", cases[c].name);
        SQ_CHECK_EQ(h.reset, cases[c].reset, "%s", cases[c].name);
        if (cases[c].end_stream)
            SQ_CHECK(h.end_stream, "%s", cases[c].name);
        talk_done(&h.script);
    }
}

/* ---- handshakes that fail ---- */

static void play_refused_stream(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, RST_STREAM, 0, 1, "\x00\x00\x00\x07");
}

static void play_goaway_refuses(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, GOAWAY, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x00");
}

static void play_interims(struct h2_script *h, int fd)
{
    (void)h;
    for (int i = 0; i < 20; i++)
        PUT(fd, HEADERS, END_HEADERS, 1,
            "\x08\x03"
            "103");
}

static void play_many_fields(struct h2_script *h, int fd)
{
    struct sq_buf block = {0};

    (void)h;
    sq_buf_puts(&block, OK200);
    for (int i = 0; i < 101; i++)
        sq_buf_put(&block,
                   "\x00\x01"
                   "a\x01"
                   "b",
                   5);
    put_frame(fd, HEADERS, END_HEADERS, 1, block.data, block.len);
    sq_buf_deinit(&block);
}

/* One entry of 4000 bytes in the dynamic table, named again and again: a bomb. */
static void play_bomb(struct h2_script *h, int fd)
{
    struct sq_buf block = {0};

    (void)h;
    sq_buf_put(&block,
               OK200 "\x40\x01"
                     "a\x7f\xa1\x1e",
               7); /* 127 + 0x21 + 0x1e * 128 = 4000 */
    for (int i = 0; i < 4000; i++)
        sq_buf_putc(&block, 'x');
    for (int i = 0; i < 8000; i++)
        sq_buf_putc(&block, (char)0xbe);
    put_frame(fd, HEADERS, END_HEADERS, 1, block.data, block.len);
    sq_buf_deinit(&block);
}

static void play_continuations(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, 0, 1, OK200);
    for (int i = 0; i < 10000 && send(fd, "", 0, MSG_NOSIGNAL) == 0; i++)
        PUT(fd, MORE, 0, 1, "");
}

static void play_data_first(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, DATA, 0, 1, "hello");
}

static void play_even_stream(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 2, OK200);
}

static void play_idle_stream(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, DATA, 0, 77, "hello");
}

static void play_push(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, PUSH_PROMISE, END_HEADERS, 1, "\x00\x00\x00\x02\x82");
}

static void play_oversized(struct h2_script *h, int fd)
{
    static const uint8_t zeros[20000];

    (void)h;
    put_frame(fd, DATA, 0, 1, zeros, sizeof zeros);
}

static void play_window_overflow(struct h2_script *h, int fd)
{
    (void)h;
    put_window(fd, 0, 0x7fffffff);
    put_window(fd, 0, 0x7fffffff);
}

static void play_too_much_data(struct h2_script *h, int fd)
{
    static const uint8_t zeros[16384];

    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, "\x8d"); /* 404 and an endless body */
    for (int i = 0; i < 10; i++)
        put_frame(fd, DATA, 0, 1, zeros, sizeof zeros);
}

static void play_bad_header(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1,
        OK200 "\x00\x0a"
              "connection\x01x");
}

static void play_no_status(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1,
        "\x00\x01"
        "a\x01"
        "b");
}

static void play_bad_hpack(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
}

static void play_settings_flood(struct h2_script *h, int fd)
{
    struct timeval limit = {.tv_sec = 3};

    (void)h;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    for (long i = 0; i < 5000000 && send(fd, "\0\0\0\4\0\0\0\0\0", 9, MSG_NOSIGNAL) == 9; i++)
        ;
}

static void play_ping_flood(struct h2_script *h, int fd)
{
    uint8_t pings[17 * 1000];

    (void)h;
    for (size_t i = 0; i < 1000; i++)
        memcpy(pings + 17 * i,
               "\0\0\x08\6\0\0\0\0\0"
               "abcdefgh",
               17);
    for (int i = 0; i < 100000 && send(fd, pings, sizeof pings, MSG_NOSIGNAL) > 0; i++)
        ;
}

SQ_TEST(h2_handshakes_that_fail)
{
    static const struct {
        const char *name;
        void (*play)(struct h2_script *h, int fd);
        const char *text;
        int error;
    } cases[] = {
        {"RST_STREAM", play_refused_stream, "reset the stream (REFUSED_STREAM)", -ECONNRESET},
        {"GOAWAY", play_goaway_refuses, "reset the stream (REFUSED_STREAM)", -ECONNRESET},
        {"1xx for ever", play_interims, "too many 1xx", SQ_EPROTO},
        {"many fields", play_many_fields, "more than 100 header lines", SQ_EPROTO},
        {"header bomb", play_bomb, "head longer than 16 KiB", SQ_EPROTO},
        {"CONTINUATION for ever", play_continuations, "broke the protocol", SQ_EPROTO},
        {"DATA first", play_data_first, "broke the protocol", SQ_EPROTO},
        {"even stream", play_even_stream, "broke the protocol", SQ_EPROTO},
        {"idle stream", play_idle_stream, "broke the protocol", SQ_EPROTO},
        {"PUSH_PROMISE", play_push, "broke the protocol", SQ_EPROTO},
        {"oversized frame", play_oversized, "broke the protocol", SQ_EPROTO},
        {"window overflow", play_window_overflow, "broke the protocol", SQ_EPROTO},
        {"connection header", play_bad_header, "broke the protocol", SQ_EPROTO},
        {"no status", play_no_status, "broke the protocol", SQ_EPROTO},
        {"bad HPACK", play_bad_hpack, "broke the protocol", SQ_EPROTO},
        {"SETTINGS flood", play_settings_flood, "broke the protocol", SQ_EPROTO},
        {"PING flood", play_ping_flood, "broke the protocol: Flooding", SQ_EPROTO},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        struct h2_script h = {.play = cases[c].play};
        struct user u;

        talk_user_init(&u);
        run(&u, &h);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK(strstr(u.text, cases[c].text), "%s: '%s'", cases[c].name, u.text);
        SQ_CHECK_EQ(u.error, cases[c].error, "%s", cases[c].name);
        SQ_CHECK_EQ(u.status, 0, "%s", cases[c].name);
        talk_done(&h.script);
    }
}

/* A body without end is cut at a KiB, long before the window. */
SQ_TEST(h2_refusal_with_an_endless_body)
{
    struct h2_script h = {.play = play_too_much_data};
    struct user u;

    talk_user_init(&u);
    run(&u, &h);
    SQ_CHECK_EQ(u.status, 404);
    talk_done(&h.script);
}

SQ_TEST(h2_servers_without_websockets)
{
#define RAW(text) text, sizeof(text) - 1
    static const struct {
        const char *name, *settings;
        size_t settings_len;
        const char *raw;
        size_t raw_len;
        const char *text;
    } cases[] = {
        {"nothing allowed", RAW(""), NULL, 0, "takes no WebSocket over HTTP/2"},
        {"value 0", RAW("\x00\x08\x00\x00\x00\x00"), NULL, 0, "takes no WebSocket over HTTP/2"},
        {"value 2", RAW("\x00\x08\x00\x00\x00\x02"), NULL, 0, "broke the protocol"},
        {"no streams", RAW(ALLOW "\x00\x03\x00\x00\x00\x00"), NULL, 0, "MAX_CONCURRENT_STREAMS=0"},
        {"HTTP/1", NULL, 0, RAW("HTTP/1.1 400 Bad Request\r\n\r\n"), "answered in HTTP/1"},
        {"another protocol", NULL, 0, RAW("SSH-2.0-OpenSSH_9\r\n"), "broke the protocol"},
        {"PING first", NULL, 0, RAW("\0\0\x08\6\0\0\0\0\0abcdefgh"), "broke the protocol"},
    };
#undef RAW

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        struct h2_script h = {.settings = cases[c].settings,
                              .settings_len = cases[c].settings_len,
                              .raw = cases[c].raw,
                              .raw_len = cases[c].raw_len};
        struct user u;

        talk_user_init(&u);
        run(&u, &h);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK(strstr(u.text, cases[c].text), "%s: '%s'", cases[c].name, u.text);
        SQ_CHECK_EQ(u.error, SQ_EPROTO, "%s", cases[c].name);
        SQ_CHECK_STR(h.request, "");
        talk_done(&h.script);
    }
}

static void serve_silence(struct peer *peer, int fd)
{
    (void)peer;
    talk_wait_for_end(fd);
}

SQ_TEST(h2_server_without_settings)
{
    struct script s = {.peer.serve = serve_silence};
    struct user u;

    talk_user_init(&u);
    u.open.http2 = true;
    u.open.handshake_timeout_ns = 100 * SQ_NS_PER_MS;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "failed ");
    SQ_CHECK(strstr(u.text, "i/o timeout"), "%s", u.text);
    SQ_CHECK_STR(u.reason, "http2: the server sent no SETTINGS");
    SQ_CHECK_EQ(u.error_code, 1050);
    talk_done(&s);
}

/* ---- a window that never opens ---- */

static void play_no_window(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
}

static void send_and_close(struct user *u, char event)
{
    if (event != 'o')
        return;
    SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("stuck")), 0);
    SQ_CHECK_EQ(sq_ws_conn_buffered(u->conn), 5);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(h2_window_that_never_opens)
{
    struct h2_script h = {
        .play = play_no_window, .settings = ALLOW "\x00\x04\x00\x00\x00\x00", .settings_len = 12};
    struct user u;

    talk_user_init(&u);
    u.hook = send_and_close;
    u.open.close_timeout_ns = 200 * SQ_NS_PER_MS;
    run(&u, &h);
    SQ_CHECK_STR(u.log, "open timeout(1006,)");
    SQ_CHECK_EQ(h.script.got_len, 0);
    SQ_CHECK_EQ(h.reset, NGHTTP2_CANCEL);
    talk_done(&h.script);
}

/* ---- given up ---- */

static void abort_open(struct user *u, char event)
{
    if (event == 'o') {
        sq_ws_conn_abort(u->conn);
        u->conn = NULL;
        u->over = true;
    }
}

static void play_open(struct h2_script *h, int fd)
{
    (void)h;
    PUT(fd, HEADERS, END_HEADERS, 1, OK200);
}

SQ_TEST(h2_abort)
{
    struct h2_script h = {.play = play_open};
    struct user u;

    talk_user_init(&u);
    u.hook = abort_open;
    run(&u, &h);
    SQ_CHECK_STR(u.log, "open ");
    SQ_CHECK(h.end_stream);
    SQ_CHECK_EQ(h.goaway, 0);
    talk_done(&h.script);
}

static void release_on_tick(struct user *u, char event)
{
    if (event == 't' && u->conn && user_told(u->arg)) {
        talk_release(u);
        u->over = true;
    }
}

static void play_nothing(struct h2_script *h, int fd)
{
    (void)fd;
    tell_user(h);
}

SQ_TEST(h2_given_up_before_the_response)
{
    struct h2_script h = {.play = play_nothing};
    struct user u;

    talk_user_init(&u);
    u.hook = release_on_tick;
    u.arg = &h;
    run(&u, &h);
    SQ_CHECK_EQ(h.reset, NGHTTP2_CANCEL);
    talk_done(&h.script);
}
