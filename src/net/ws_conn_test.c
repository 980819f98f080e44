/* SPDX-License-Identifier: Apache-2.0 */
/* Connections against scripted servers: a thread plays the server with raw bytes, the test runs the
 * real loop. Case numbers (P..) are those of the protocol specification. */
#include "net/ws_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "net/net_kit.h"
#include "net/ws_conn_private.h"
#include "proto/ws/close.h"
#include "proto/ws/handshake.h"

/* ---- the server ---- */

enum { GOT_MAX = 4 * 1024 * 1024, GUARD_MS = 20000 };

struct script {
    const char *head;  /* NULL: a proper 101; $ACCEPT is replaced */
    const char *extra; /* header lines of the proper 101 */
    const uint8_t *wire;
    size_t wire_len;
    unsigned cut_bytes; /* write in pieces of so many bytes */
    unsigned fin_delay_ms;
    bool answer;       /* a Close with a Close */
    bool stop_reading; /* after the wire: only wait for the client to go */
    bool reset;        /* RST after the wire */
    bool hang_up;      /* FIN after the wire */
    void (*play)(struct script *script, int fd); /* in place of all that comes after the head */
    /* results, valid after the peer was stopped */
    struct peer peer;
    char request[4096];
    uint8_t *got; /* the client's bytes behind the head */
    size_t got_len;
    bool fin;      /* the client closed first */
    bool fin_late; /* ... but not before fin_delay_ms had passed */
    int64_t answered_ns, gone_ns;
};

/* Bytes of the first frame in got[at..), 0: not whole. */
static size_t frame_at(const struct script *s, size_t at, uint8_t *opcode, uint8_t *first,
                       struct sq_slice *payload)
{
    const uint8_t *p = s->got + at;
    size_t left = s->got_len - at, head = 2;
    uint64_t len;

    if (left < 2)
        return 0;
    len = p[1] & 0x7f;
    if (len >= 126) {
        size_t n = len == 126 ? 2 : 8;

        if (left < 2 + n)
            return 0;
        len = 0;
        for (size_t i = 0; i < n; i++)
            len = len << 8 | p[2 + i];
        head += n;
    }
    head += p[1] & 0x80 ? 4 : 0;
    if (left < head || left - head < len)
        return 0;
    *opcode = p[0] & 0x0f;
    *first = p[0];
    *payload = sq_slice(p + head, (size_t)len);
    return head + (size_t)len;
}

/* Unmasked text of the client's frames: "pong:616263 close:03e8 ". */
static void client_frames(const struct script *s, char *out, size_t size)
{
    size_t at = 0, n, len = 0;
    uint8_t opcode, first;
    struct sq_slice payload;

    out[0] = 0;
    while ((n = frame_at(s, at, &opcode, &first, &payload)) > 0 && len + 320 < size) {
        const uint8_t *key = payload.data - 4;
        const char *name = opcode == 8    ? "close"
                           : opcode == 9  ? "ping"
                           : opcode == 10 ? "pong"
                           : opcode == 1  ? "text"
                           : opcode == 2  ? "binary"
                                          : "more";

        SQ_CHECK(s->got[at + 1] & 0x80, "FW-1: frame %zu not masked", at);
        len += (size_t)snprintf(out + len, size - len, "%s:", name);
        /* Of a Close only the code: reasons are free. */
        for (size_t i = 0; i < payload.len && i < (opcode == 8 ? 2 : 130); i++)
            len += (size_t)snprintf(out + len, size - len, "%02x", payload.data[i] ^ key[i % 4]);
        len += (size_t)snprintf(out + len, size - len, " ");
        at += n;
    }
}

static bool close_in(const struct script *s)
{
    size_t at = 0, n;
    uint8_t opcode, first;
    struct sq_slice payload;

    while ((n = frame_at(s, at, &opcode, &first, &payload)) > 0) {
        if (opcode == 8)
            return true;
        at += n;
    }
    return false;
}

/* Reads until the client's Close or its end. */
static void gather(struct script *s, int fd)
{
    while (!close_in(s) && s->got_len < GOT_MAX) {
        ssize_t n = recv(fd, s->got + s->got_len, GOT_MAX - s->got_len, 0);

        if (n <= 0) {
            s->fin = n == 0;
            return;
        }
        s->got_len += (size_t)n;
    }
}

static void wait_for_end(int fd)
{
    char buf[4096];

    while (recv(fd, buf, sizeof buf, 0) > 0)
        ;
}

static void write_cut(const struct script *s, int fd, const void *data, size_t len)
{
    if (!s->cut_bytes) {
        peer_write(fd, data, len);
        return;
    }
    for (size_t at = 0; at < len; at += s->cut_bytes) {
        peer_write(fd, (const char *)data + at, SQ_MIN(len - at, (size_t)s->cut_bytes));
        usleep(300);
    }
}

static void send_head(const struct script *s, int fd)
{
    const char *key = strstr(s->request, "Sec-WebSocket-Key: ");
    const char *format = s->head ? s->head
                                 : "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                   "Connection: Upgrade\r\nSec-WebSocket-Accept: $ACCEPT\r\n";
    char accept[SQ_WS_ACCEPT_LEN + 1] = "";
    struct sq_buf out = {0};
    const char *mark = strstr(format, "$ACCEPT");

    if (key)
        sq_ws_accept_key(sq_slice(key + 19, SQ_WS_KEY_LEN), accept);
    if (mark) {
        sq_buf_put(&out, format, (size_t)(mark - format));
        sq_buf_puts(&out, accept);
        sq_buf_puts(&out, mark + 7);
    } else {
        sq_buf_puts(&out, format);
    }
    if (!s->head) {
        sq_buf_puts(&out, s->extra ? s->extra : "");
        sq_buf_puts(&out, "\r\n");
    }
    if (s->wire_len && !s->play && !s->cut_bytes) /* HR-10: one segment */
        sq_buf_put(&out, s->wire, s->wire_len);
    write_cut(s, fd, out.data, out.len);
    sq_buf_deinit(&out);
}

static void serve(struct peer *peer, int fd)
{
    struct script *s = SQ_CONTAINER_OF(peer, struct script, peer);
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
    if (!peer_read_head(fd, s->request, sizeof s->request))
        return;
    send_head(s, fd);
    if (s->play) {
        s->play(s, fd);
        return;
    }
    if (s->cut_bytes)
        write_cut(s, fd, s->wire, s->wire_len);
    if (s->reset) {
        struct linger now = {.l_onoff = 1};

        usleep(20000);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        return;
    }
    if (s->hang_up)
        return;
    if (s->stop_reading) {
        usleep(1500 * 1000);
        return;
    }
    gather(s, fd);
    if (s->answer && close_in(s))
        peer_write(fd, "\x88\x02\x03\xe8", 4);
    s->answered_ns = sq_now_ns();
    if (s->fin_delay_ms) {
        struct timeval limit = {.tv_usec = s->fin_delay_ms * 1000};
        char byte;

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        s->fin_late = recv(fd, &byte, 1, 0) < 0;
        shutdown(fd, SHUT_WR);
        limit = (struct timeval){.tv_sec = 5};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        wait_for_end(fd);
    }
}

/* ---- the client ---- */

struct user {
    struct kit kit;
    struct sq_ws_conn *conn; /* NULL once released */
    struct sq_ws_handler handler;
    struct sq_ws_open open;
    char url[64];
    char log[8192];
    size_t log_len;
    bool over;
    bool keep; /* do not release at the end */
    bool timed_out;
    /* Called after each event is logged: 'o'pen, 'f'ailed, 'm'essage, 'i' ping, 'q' pong, 'e'nd,
     * 'd'rained; 't': every ms. */
    void (*hook)(struct user *u, char event);
    int messages, pings, ticks;
    uint64_t message_bytes, largest;
    int status, error, error_code, sent_code, end_error;
    enum sq_ws_end_kind end_kind;
    char text[256], reason[200], body[1100];
    struct sq_ws_timings timings;
    struct sq_timer tick;
    int64_t start_ns, end_ns;
    size_t read_waste_max; /* bytes in the connection's own buffers, at most */
    int state;             /* of the hook */
    void *arg;
};

static void note(struct user *u, const char *format, ...) SQ_PRINTF(2, 3);
static void note(struct user *u, const char *format, ...)
{
    va_list args;

    if (u->log_len + 300 > sizeof u->log)
        return;
    va_start(args, format);
    u->log_len += (size_t)vsnprintf(u->log + u->log_len, 300, format, args);
    va_end(args);
}

static void release(struct user *u)
{
    struct sq_ws_conn *conn = u->conn;

    u->conn = NULL;
    if (conn)
        sq_ws_conn_release(conn);
}

static void hook(struct user *u, char event)
{
    if (u->hook)
        u->hook(u, event);
}

static void finish(struct user *u)
{
    u->over = true;
    u->end_ns = sq_now_ns();
    if (!u->keep)
        release(u);
}

static void on_handshake(void *user, const struct sq_ws_handshake *r)
{
    struct user *u = user;

    u->status = r->status;
    u->error = r->error;
    u->error_code = r->error_code;
    u->timings = r->timings;
    snprintf(u->text, sizeof u->text, "%s", r->error_text);
    snprintf(u->reason, sizeof u->reason, "%s", r->reason);
    snprintf(u->body, sizeof u->body, "%.*s", (int)r->body.len, (const char *)r->body.data);
    SQ_CHECK(r->remote_ip != NULL);
    note(u, r->opened ? "open " : "failed ");
    hook(u, r->opened ? 'o' : 'f');
    if (!r->opened)
        finish(u);
}

static void on_message(void *user, enum sq_ws_opcode_kind kind, struct sq_slice data, bool ascii)
{
    struct user *u = user;
    bool high = false;
    volatile uint8_t last = 0;

    for (size_t i = 0; i < data.len; i++)
        high = high || data.data[i] > 0x7f;
    for (size_t i = 0; i < 16; i++) /* padding behind the message is readable */
        last = data.data[data.len + i];
    (void)last;
    if (kind == SQ_WS_KIND_TEXT)
        SQ_CHECK_EQ(ascii, !high);
    u->messages++;
    u->message_bytes += data.len;
    u->largest = SQ_MAX(u->largest, data.len);
    if (kind == SQ_WS_KIND_TEXT && data.len < 100)
        note(u, "text(%.*s) ", (int)data.len, (const char *)data.data);
    else
        note(u, "%s[%zu] ", kind == SQ_WS_KIND_TEXT ? "text" : "binary", data.len);
    hook(u, 'm');
}

static void on_ping(void *user, struct sq_slice payload)
{
    struct user *u = user;

    u->pings++;
    note(u, "ping(%.*s) ", (int)payload.len, (const char *)payload.data);
    hook(u, 'i');
}

static void on_pong(void *user, struct sq_slice payload)
{
    note(user, "pong(%.*s) ", (int)payload.len, (const char *)payload.data);
    hook(user, 'q');
}

static void on_end(void *user, const struct sq_ws_end *end)
{
    static const char *const kinds[] = {"close", "eof", "protocol", "read", "timeout"};
    struct user *u = user;

    u->end_kind = end->kind;
    u->sent_code = end->sent_code;
    u->end_error = end->error;
    SQ_CHECK(end->text && end->text[0]);
    snprintf(u->text, sizeof u->text, "%s", end->text);
    note(u, "%s(%d,%.*s)%s", kinds[end->kind],
         end->kind == SQ_WS_END_PROTOCOL ? end->sent_code : end->code, (int)end->reason.len,
         (const char *)end->reason.data, end->clean ? "clean" : "");
    hook(u, 'e');
    finish(u);
}

static void on_drained(void *user)
{
    note(user, "drained ");
    hook(user, 'd');
}

static size_t own_bytes(const struct sq_ws_conn *conn)
{
    size_t bytes = 0;

    if (conn->incoming)
        bytes += conn->incoming->message.cap + conn->incoming->stash.cap;
    if (conn->backlog)
        bytes += conn->backlog->buf.cap;
    return bytes;
}

static void on_tick(struct sq_timer *timer)
{
    struct user *u = SQ_CONTAINER_OF(timer, struct user, tick);
    struct sq_loop *loop = u->kit.loop;

    u->ticks++;
    if (u->conn)
        u->read_waste_max = SQ_MAX(u->read_waste_max, own_bytes(u->conn));
    hook(u, 't');
    u->timed_out = sq_loop_now(loop) - u->start_ns > GUARD_MS * SQ_NS_PER_MS;
    if (u->timed_out || (u->over && !u->conn && sq_net_lingering(u->kit.net) == 0))
        sq_loop_stop(loop);
    else
        sq_timer_start(loop, timer, sq_loop_now(loop) + SQ_NS_PER_MS);
}

static void user_init(struct user *u)
{
    memset(u, 0, sizeof *u);
    u->handler = (struct sq_ws_handler){.handshake = on_handshake,
                                        .message = on_message,
                                        .ping = on_ping,
                                        .pong = on_pong,
                                        .end = on_end,
                                        .drained = on_drained,
                                        .answer_close = true};
    u->open.user_agent = sq_slice_str("squall-test");
}

/* Connects and runs until everything is over. */
static void run(struct user *u, struct script *s)
{
    s->got = sq_xmalloc(GOT_MAX);
    s->got_len = 0;
    s->peer.serve = serve;
    peer_start(&s->peer);
    kit_init(&u->kit);
    if (!kit_open(&u->kit))
        abort();
    if (!u->open.url.len) {
        snprintf(u->url, sizeof u->url, "ws://127.0.0.1:%u/", s->peer.port);
        u->open.url = sq_slice_str(u->url);
    }
    u->start_ns = sq_now_ns();
    u->tick = SQ_TIMER_INIT(on_tick);
    sq_timer_start(u->kit.loop, &u->tick, u->start_ns);
    u->conn = sq_ws_conn_open(u->kit.net, &u->open, &u->handler, u);
    sq_loop_run(u->kit.loop);
    SQ_CHECK(!u->timed_out, "%s", u->log);
    if (u->conn)
        sq_ws_conn_abort(u->conn);
    SQ_CHECK_EQ(sq_loop_chunks_lent(u->kit.loop), 0);
    s->gone_ns = sq_now_ns();
    kit_close(&u->kit);
    peer_stop(&s->peer);
}

static void done(struct script *s)
{
    free(s->got);
    s->got = NULL;
}

#define WIRE(text) .wire = (const uint8_t *)(text), .wire_len = sizeof(text) - 1

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
            user_init(&u);
            u.open.lenient = cases[c].lenient;
            run(&u, &s);
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
            done(&s);
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
    user_init(&u);
    run(&u, &s);
    SQ_CHECK_EQ(strlen(u.body), 1024);
    SQ_CHECK_EQ(u.error_code, 1403);
    SQ_CHECK_EQ(u.error, SQ_EREFUSED);
    done(&s);
    sq_buf_deinit(&head);
}

SQ_TEST(ws_conn_P03_refusal_without_a_length_ends_soon)
{
    struct user u;
    struct script s = {.head = "HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nwhy"};

    user_init(&u);
    run(&u, &s);
    SQ_CHECK_EQ(u.status, 404);
    SQ_CHECK_STR(u.body, "why");
    SQ_CHECK(u.end_ns - u.start_ns < 3 * SQ_NS_PER_S);
    done(&s);
}

static void silent(struct script *s, int fd)
{
    (void)s;
    wait_for_end(fd);
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

        user_init(&u);
        u.open.handshake_timeout_ns = 150 * SQ_NS_PER_MS;
        run(&u, &scripts[i]);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK_EQ(u.error, -ETIMEDOUT);
        SQ_CHECK_EQ(u.error_code, 1050);
        SQ_CHECK(strstr(u.text, "read tcp 127.0.0.1:") && strstr(u.text, "i/o timeout"));
        SQ_CHECK(u.end_ns - u.start_ns >= 150 * SQ_NS_PER_MS);
        done(&scripts[i]);
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
        for (int i = 0; kind == 2 && i < 9; i++)
            sq_buf_puts(&head, "\r\n"); /* replaced below */
        if (kind == 2) {
            head.len = 0;
            for (int i = 0; i < 9; i++)
                sq_buf_puts(&head, "HTTP/1.1 100 Continue\r\n\r\n");
            sq_buf_puts(&head, OK101 UPGRADE ACCEPT);
        }
        sq_buf_puts(&head, "\r\n");
        s.head = sq_buf_cstr(&head);
        user_init(&u);
        run(&u, &s);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK_EQ(u.error, SQ_EPROTO, "kind %d", kind);
        done(&s);
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

        user_init(&u);
        run(&u, &s);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK_EQ(u.error, reset ? -ECONNRESET : SQ_EEOF);
        SQ_CHECK_EQ(u.error_code, reset ? 1220 : 1000);
        if (reset)
            SQ_CHECK(strstr(u.text, "read: connection reset by peer"), "%.100s", u.text);
        else
            SQ_CHECK_STR(u.text, "unexpected EOF");
        done(&s);
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

        user_init(&u);
        u.open.url = sq_slice_str(cases[i].url);
        if (!u.open.url.len)
            u.open.url = sq_slice(" ", 1);
        run(&u, &s);
        SQ_CHECK_STR(u.log, "failed ");
        SQ_CHECK_EQ(u.status, 0);
        SQ_CHECK_EQ(u.error_code, cases[i].code, "%s: %.100s", cases[i].url, u.text);
        SQ_CHECK_EQ(s.peer.served, 0);
        done(&s);
    }
}

SQ_TEST(ws_conn_forbidden_header_sends_nothing)
{
    struct sq_ws_header header = {sq_slice_str("upgrade"), sq_slice_str("x")};
    struct script s = {0};
    struct user u;

    user_init(&u);
    u.open.headers = &header;
    u.open.headers_count = 1;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "failed ");
    SQ_CHECK(strstr(u.text, "Upgrade"), "%s", u.text);
    SQ_CHECK_EQ(s.peer.served, 0);
    done(&s);
}

SQ_TEST(ws_conn_P01_request_and_timings)
{
    struct sq_ws_header header = {sq_slice_str("x-a"), sq_slice_str("1")};
    struct script s = {WIRE("\x88\x00")};
    struct user u;

    user_init(&u);
    u.open.headers = &header;
    u.open.headers_count = 1;
    u.open.cookie = sq_slice_str("k=v");
    run(&u, &s);
    SQ_CHECK(strncmp(s.request, "GET / HTTP/1.1\r\n", 16) == 0);
    SQ_CHECK(strstr(s.request, "\r\nSec-WebSocket-Version: 13\r\n"));
    SQ_CHECK(strstr(s.request, "\r\nX-A: 1\r\n"));
    SQ_CHECK(strstr(s.request, "\r\nCookie: k=v\r\n"));
    SQ_CHECK(strstr(s.request, "\r\nUser-Agent: squall-test\r\n"));
    SQ_CHECK(u.timings.dial_start_ns > 0 && u.timings.dial_start_ns <= u.timings.tcp_ns);
    SQ_CHECK(u.timings.tcp_ns <= u.timings.request_sent_ns);
    SQ_CHECK(u.timings.request_sent_ns <= u.timings.first_byte_ns);
    SQ_CHECK(u.timings.first_byte_ns <= u.timings.end_ns);
    done(&s);
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
#define BYE "\x88\x02\x03\xe8"
#define CLEAN "close(1000,)clean"

static void check_case(const struct frame_case *c, unsigned cut)
{
    struct script s = {.wire = (const uint8_t *)c->wire, .wire_len = c->wire_len, .cut_bytes = cut};
    struct user u;
    char want[512], frames[2048];

    user_init(&u);
    u.open.message_bytes_max = c->limit;
    u.open.lenient = c->lenient;
    run(&u, &s);
    snprintf(want, sizeof want, "open %s", c->events);
    client_frames(&s, frames, sizeof frames);
    if (strcmp(u.log, want) != 0 || strcmp(frames, c->frames) != 0)
        printf("# in case %s, cut %u\n", c->name, cut);
    SQ_CHECK_STR(u.log, want);
    SQ_CHECK_STR(frames, c->frames);
    done(&s);
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
            user_init(&u);
            run(&u, &s);
            snprintf(want, sizeof want, "open binary[%zu] " CLEAN, lengths[i]);
            SQ_CHECK_STR(u.log, want);
            done(&s);
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

    user_init(&u);
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open eof(1006,)");
    SQ_CHECK(u.read_waste_max > 0 && u.read_waste_max < 4096, "%zu bytes", u.read_waste_max);
    done(&s);
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
    gather(s, fd);
}

SQ_TEST(ws_conn_million_empty_fragments)
{
    struct script s = {.play = flood_fragments};
    struct user u;

    user_init(&u);
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(ok) " CLEAN);
    SQ_CHECK(u.read_waste_max < 4096, "%zu bytes", u.read_waste_max);
    done(&s);
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

    user_init(&u);
    u.hook = fill_pipe;
    run(&u, &s);
    SQ_CHECK_EQ(u.pings, 400000);
    SQ_CHECK(u.read_waste_max < 6 << 20, "%zu bytes", u.read_waste_max);
    SQ_CHECK_EQ(s.got[0], 0x8a);
    SQ_CHECK_STR((char *)s.got + 1, "019999");
    SQ_CHECK(strstr(u.log, "drained ") || u.log_len + 300 > sizeof u.log);
    done(&s);
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
    gather(s, fd);
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
        SQ_CHECK(u->messages % 1777 == 0);
    }
}

SQ_TEST(ws_conn_pause_and_resume_under_a_flood)
{
    struct script s = {.play = flood_messages};
    struct user u;

    user_init(&u);
    u.hook = pause_often;
    run(&u, &s);
    SQ_CHECK_EQ(u.messages, 100000);
    SQ_CHECK_EQ(u.end_kind, SQ_WS_END_CLOSE);
    SQ_CHECK(u.read_waste_max <= SQ_LOOP_READ_BYTES + 64, "%zu bytes", u.read_waste_max);
    done(&s);
}

/* ---- closing ---- */

static void close_at_open(struct user *u, char event)
{
    if (event != 'o')
        return;
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("why")), 0);
    SQ_CHECK(sq_ws_conn_close_sent(u->conn));
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1001, sq_slice_str("")), -EPIPE);
    SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("x")), -EPIPE);
    SQ_CHECK_EQ(sq_ws_conn_ping(u->conn, sq_slice_str("x")), -EPIPE);
    SQ_CHECK_STR(sq_ws_conn_error_text(u->conn, -EPIPE), "websocket: close sent");
}

static void play_P51(struct script *s, int fd)
{
    gather(s, fd);
    for (int i = 0; i < 5; i++)
        peer_write(fd, "\x81\x01x\x89\x00", 5);
    peer_write(fd, BYE, 4);
    wait_for_end(fd);
}

SQ_TEST(ws_conn_P51_data_after_our_close_is_dropped)
{
    struct script s = {.play = play_P51};
    struct user u;
    char frames[1024];

    user_init(&u);
    u.hook = close_at_open;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open ping() ping() ping() ping() ping() " CLEAN);
    client_frames(&s, frames, sizeof frames);
    SQ_CHECK_STR(frames, "close:03e8 "); /* CT-1: no Pong */
    /* CL-8: the server did not close, so the client did, a second later. */
    SQ_CHECK(s.gone_ns - u.end_ns >= 900 * SQ_NS_PER_MS);
    done(&s);
}

SQ_TEST(ws_conn_P52_fin_without_close)
{
    struct script s = {.wire_len = 0};
    struct user u;

    user_init(&u);
    u.hook = close_at_open;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open eof(1006,)");
    done(&s);
}

static void play_ignore_close(struct script *s, int fd)
{
    gather(s, fd);
    wait_for_end(fd);
    s->answered_ns = sq_now_ns();
}

static void play_drip(struct script *s, int fd)
{
    struct sq_buf frame = {0};

    (void)s;
    for (int i = 0; i < 400; i++) {
        if (send(fd, "\x8a\x00", 2, MSG_NOSIGNAL) <= 0)
            break;
        usleep(10000);
    }
    sq_buf_deinit(&frame);
}

SQ_TEST(ws_conn_P53_close_timeout)
{
    for (int drip = 0; drip < 2; drip++) {
        struct script s = {.play = drip ? play_drip : play_ignore_close};
        struct user u;

        user_init(&u);
        u.hook = close_at_open;
        u.open.close_timeout_ns = 200 * SQ_NS_PER_MS;
        run(&u, &s);
        SQ_CHECK(strstr(u.log, "timeout(1006,)"), "%s", u.log);
        SQ_CHECK_STR(u.text, "websocket: close timeout");
        SQ_CHECK(u.end_ns - u.start_ns >= 200 * SQ_NS_PER_MS);
        SQ_CHECK(s.gone_ns - u.end_ns < 500 * SQ_NS_PER_MS);
        done(&s);
    }
}

SQ_TEST(ws_conn_P54_server_closes_tcp_first)
{
    for (int ours = 0; ours < 2; ours++) {
        struct script s = {.answer = ours, .fin_delay_ms = 300};
        struct user u;

        user_init(&u);
        u.hook = ours ? close_at_open : NULL;
        if (!ours) {
            s.wire = (const uint8_t *)BYE;
            s.wire_len = 4;
        }
        run(&u, &s);
        SQ_CHECK_STR(u.log, "open " CLEAN);
        SQ_CHECK(s.fin_late, "ours %d", ours);
        SQ_CHECK(s.gone_ns - u.end_ns >= 200 * SQ_NS_PER_MS);
        done(&s);
    }
}

static void user_answers(struct user *u, char event)
{
    if (event == 'e')
        SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 4001, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_user_answers_the_close)
{
    for (int answer = 0; answer < 2; answer++) {
        struct script s = {WIRE("\x88\x02\x0f\xa0")};
        struct user u;
        char frames[1024];

        user_init(&u);
        u.handler.answer_close = false;
        u.hook = answer ? user_answers : NULL; /* else release does */
        run(&u, &s);
        SQ_CHECK_STR(u.log, "open close(4000,)");
        client_frames(&s, frames, sizeof frames);
        SQ_CHECK_STR(frames, answer ? "close:0fa1 " : "close:0fa0 ");
        done(&s);
    }
}

static void close_1006(struct user *u, char event)
{
    if (event == 'e')
        SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1006, sq_slice_str("")), 0);
}

static void half_close(struct script *s, int fd)
{
    peer_write(fd, s->wire, s->wire_len);
    shutdown(fd, SHUT_WR);
    gather(s, fd);
}

SQ_TEST(ws_conn_P55_fin_anywhere)
{
    static const char wire[] = "\x81\x02hi\x82\x7e\x00\x80zzzzzz";

    for (size_t cut = 0; cut < sizeof wire; cut++) {
        struct script s = {.wire = (const uint8_t *)wire, .wire_len = cut, .play = half_close};
        struct user u;
        char frames[1024];

        user_init(&u);
        u.handler.answer_close = false; /* k6/ws: WS-82 */
        u.hook = close_1006;
        run(&u, &s);
        SQ_CHECK_STR(u.log, cut >= 4 ? "open text(hi) eof(1006,)" : "open eof(1006,)");
        SQ_CHECK_STR(u.text, "websocket: close 1006 (abnormal closure): unexpected EOF");
        client_frames(&s, frames, sizeof frames);
        SQ_CHECK_STR(frames, "close:03ee ");
        done(&s);
    }
}

static void close_after_reset(struct user *u, char event)
{
    int rc;

    if (event != 'e')
        return;
    rc = sq_ws_conn_close(u->conn, 1001, sq_slice_str(""));
    SQ_CHECK_EQ(rc, -EPIPE);
    SQ_CHECK(strstr(sq_ws_conn_error_text(u->conn, rc), "broken pipe"));
}

SQ_TEST(ws_conn_P56_reset)
{
    struct script s = {WIRE("\x81\x01x"), .reset = true};
    struct user u;

    user_init(&u);
    u.hook = close_after_reset;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(x) read(1006,)");
    SQ_CHECK_EQ(u.end_error, -ECONNRESET);
    SQ_CHECK(strstr(u.text, "read: connection reset by peer"), "%s", u.text);
    done(&s);
}

static void close_after_failure(struct user *u, char event)
{
    if (event != 'e')
        return;
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1001, sq_slice_str("")), -EPIPE);
    SQ_CHECK_STR(sq_ws_conn_error_text(u->conn, -EPIPE), "websocket: close sent");
}

SQ_TEST(ws_conn_after_a_protocol_error_close_is_sent)
{
    struct script s = {WIRE("\x83\x01x")};
    struct user u;

    user_init(&u);
    u.hook = close_after_failure;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open protocol(1002,)");
    SQ_CHECK(strncmp(u.text, "websocket: ", 11) == 0);
    done(&s);
}

static void flood_forever(struct script *s, int fd)
{
    static uint8_t block[65536];
    int64_t end_ns = sq_now_ns() + 5 * SQ_NS_PER_S;

    peer_write(fd, "\x83\x01", 2);
    while (sq_now_ns() < end_ns && send(fd, block, sizeof block, MSG_NOSIGNAL) > 0)
        ;
    s->answered_ns = sq_now_ns();
}

SQ_TEST(ws_conn_failed_connection_is_drained_for_a_second_at_most)
{
    struct script s = {.play = flood_forever};
    struct user u;

    user_init(&u);
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open protocol(1002,)");
    SQ_CHECK(s.gone_ns - u.start_ns < 4 * SQ_NS_PER_S);
    done(&s);
}

/* ---- sending ---- */

static void send_lengths(struct user *u, char event)
{
    static const size_t lengths[] = {0, 125, 126, 65535, 65536, 300000};
    static uint8_t data[300000];
    uint8_t copy[125];

    if (event != 'o')
        return;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    memcpy(copy, data, sizeof copy);
    for (size_t i = 0; i < SQ_COUNT(lengths); i++)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, lengths[i])), 0);
    SQ_CHECK(memcmp(copy, data, sizeof copy) == 0); /* FW-9 */
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_P57_lengths_of_our_frames)
{
    static const size_t want[] = {0, 125, 126, 65535, 65536, 300000};
    static const size_t heads[] = {6, 6, 8, 8, 14, 14};
    struct script s = {.answer = true};
    struct user u;
    size_t at = 0;

    user_init(&u);
    u.hook = send_lengths;
    run(&u, &s);
    for (size_t i = 0; i < SQ_COUNT(want); i++) {
        uint8_t opcode = 0, first = 0;
        struct sq_slice payload = sq_slice("", 0);
        size_t n = frame_at(&s, at, &opcode, &first, &payload), wrong = 0;

        SQ_CHECK_EQ(first, 0x82);
        SQ_CHECK_EQ(payload.len, want[i]);
        SQ_CHECK_EQ(n, want[i] + heads[i]);
        for (size_t b = 0; b < payload.len; b++)
            wrong += (uint8_t)(payload.data[b] ^ (payload.data - 4)[b % 4]) != (uint8_t)(b * 7);
        SQ_CHECK_EQ(wrong, 0);
        at += n;
    }
    SQ_CHECK_STR(u.log, "open " CLEAN);
    done(&s);
}

static void send_fragments(struct user *u, char event)
{
    static uint8_t data[10000];

    if (event != 'o')
        return;
    SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice(data, sizeof data)), 0);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_FW4_fragments)
{
    struct script s = {.answer = true};
    struct user u;
    size_t at = 0;

    user_init(&u);
    u.open.fragment_bytes = 1000;
    u.hook = send_fragments;
    run(&u, &s);
    for (int i = 0; i < 10; i++) {
        uint8_t opcode = 0, first = 0;
        struct sq_slice payload = sq_slice("", 0);

        at += frame_at(&s, at, &opcode, &first, &payload);
        SQ_CHECK_EQ(first, i == 0 ? 0x01 : i == 9 ? 0x80 : 0x00);
        SQ_CHECK_EQ(payload.len, 1000);
    }
    done(&s);
}

static void send_many(struct user *u, char event)
{
    if (event != 'o')
        return;
    for (int i = 0; i < 20000; i++)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("abc")), 0);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_P58_masking_keys)
{
    enum { FRAMES = 20000 };
    struct script s = {.answer = true};
    struct user u;
    size_t at = 0, repeats = 0;
    static unsigned counts[4][256];
    uint32_t last = 0;
    int frames = 0;

    user_init(&u);
    u.hook = send_many;
    run(&u, &s);
    memset(counts, 0, sizeof counts);
    for (size_t n;; at += n, frames++) {
        uint8_t opcode = 0, first = 0;
        struct sq_slice payload;
        uint32_t key;

        n = frame_at(&s, at, &opcode, &first, &payload);
        if (!n || opcode != 1)
            break;
        memcpy(&key, payload.data - 4, 4);
        repeats += key == last;
        last = key;
        for (int b = 0; b < 4; b++)
            counts[b][(payload.data - 4)[b]]++;
    }
    SQ_CHECK_EQ(frames, FRAMES);
    SQ_CHECK(repeats < 2);
    for (int b = 0; b < 4; b++) {
        double chi = 0, want = FRAMES / 256.0;

        for (int v = 0; v < 256; v++)
            chi += (counts[b][v] - want) * (counts[b][v] - want) / want;
        SQ_CHECK(chi < 360, "byte %d: chi-square %.1f of 255 degrees", b, chi); /* p < 1e-5 */
    }
    done(&s);
}

static void play_P59(struct script *s, int fd)
{
    static uint8_t buf[1 << 16];
    ssize_t n;

    usleep(300000);
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
        s->got_len += (size_t)n;
        if (s->got_len >= 30 * ((1 << 20) + 14) + 8) {
            peer_write(fd, BYE, 4);
            break;
        }
    }
    wait_for_end(fd);
}

static void send_30_mib(struct user *u, char event)
{
    static uint8_t data[1 << 20];
    uint64_t before;

    if (event == 'd') {
        SQ_CHECK(sq_ws_conn_buffered(u->conn) <= SQ_WS_HIGH_WATER / 4);
        u->state++;
    }
    if (event != 'o')
        return;
    for (int i = 0; i < 30; i++) {
        before = sq_ws_conn_buffered(u->conn);
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
        if (before > 0)
            SQ_CHECK_EQ(sq_ws_conn_buffered(u->conn), before + sizeof data);
    }
    SQ_CHECK(sq_ws_conn_buffered(u->conn) > 10 << 20);
    SQ_CHECK(sq_ws_conn_buffered(u->conn) <= 30 << 20);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_P59_slow_reader)
{
    struct script s = {.play = play_P59};
    struct user u;

    user_init(&u);
    u.hook = send_30_mib;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open drained " CLEAN);
    SQ_CHECK_EQ(u.state, 1);
    /* 30 frames of 2^20 + 14 bytes, and a Close of 8 */
    SQ_CHECK_EQ(s.got_len, 30 * ((1 << 20) + 14) + 8);
    done(&s);
}

static void fill_and_release(struct user *u, char event)
{
    static uint8_t data[1 << 20];

    if (event != 'o')
        return;
    for (int i = 0; i < 10; i++)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
    u->state = sq_ws_conn_close(u->conn, 1000, sq_slice_str(""));
    finish(u);
}

SQ_TEST(ws_conn_released_before_a_peer_that_never_reads)
{
    struct script s = {.stop_reading = true};
    struct user u;

    user_init(&u);
    u.hook = fill_and_release;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open ");
    SQ_CHECK(s.gone_ns - u.end_ns < 4 * SQ_NS_PER_S);
    done(&s);
}

static void count_all(struct script *s, int fd)
{
    static uint8_t buf[1 << 16];
    ssize_t n;

    usleep(100000);
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        s->got_len += (size_t)n;
}

SQ_TEST(ws_conn_queued_bytes_leave_after_release)
{
    struct script s = {.play = count_all};
    struct user u;

    user_init(&u);
    u.hook = fill_and_release;
    run(&u, &s);
    SQ_CHECK_EQ(s.got_len, 10 * ((1 << 20) + 14) + 8);
    done(&s);
}

static void fill_then_close_comes(struct script *s, int fd)
{
    static uint8_t buf[1 << 16];
    ssize_t n;

    peer_write(fd, "\x81\x01g", 3);
    usleep(200000);
    peer_write(fd, BYE, 4);
    usleep(200000);
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
        s->got_len += (size_t)n;
        memcpy(s->got, buf + n - SQ_MIN(n, 8), (size_t)SQ_MIN(n, 8));
    }
}

static void send_ten(struct user *u, char event)
{
    static uint8_t data[1 << 20];

    if (event == 'm')
        for (int i = 0; i < 10; i++)
            SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)),
                        0);
}

SQ_TEST(ws_conn_CL5_only_the_frame_in_flight_is_finished)
{
    struct script s = {.play = fill_then_close_comes};
    struct user u;

    user_init(&u);
    u.hook = send_ten;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(g) " CLEAN);
    SQ_CHECK(s.got_len < 10 << 20, "%zu bytes", s.got_len);
    SQ_CHECK_EQ((s.got_len - 8) % ((1 << 20) + 14), 0); /* whole frames, then the Close */
    SQ_CHECK_EQ(s.got[0], 0x88);
    done(&s);
}

/* ---- the user does things inside every callback ---- */

static void leave_at(struct user *u, char event)
{
    struct sq_ws_conn *conn = u->conn;

    if (event != *(const char *)u->arg || !conn)
        return;
    u->conn = NULL;
    u->over = true;
    if (u->state)
        sq_ws_conn_abort(conn);
    else
        sq_ws_conn_release(conn);
    u->log_len = 0;
    u->log[0] = 0;
}

SQ_TEST(ws_conn_release_and_abort_inside_every_callback)
{
    static const char wire[] = "\x01\x01x\x80\x01y\x89\x01p\x8a\x01q\x81\x01z" BYE "\x81\x01n";
    static const char bad[] = "\x81\x01x\x83\x00";

    for (const char *event = "omiqet"; *event; event++)
        for (int abort_it = 0; abort_it < 2; abort_it++)
            for (unsigned cut = 0; cut < 3; cut++) {
                struct script s = {.wire = (const uint8_t *)(cut == 2 ? bad : wire),
                                   .wire_len = (cut == 2 ? sizeof bad : sizeof wire) - 1,
                                   .cut_bytes = cut == 1 ? 1 : 0};
                struct user u;

                user_init(&u);
                u.handler.answer_close = cut == 1;
                u.hook = leave_at;
                u.state = abort_it;
                u.arg = (void *)event;
                run(&u, &s);
                if (cut != 2)
                    SQ_CHECK_STR(u.log, "");
                done(&s);
            }
}

static void leave_failed(struct user *u, char event)
{
    if (event == 'f')
        release(u);
}

SQ_TEST(ws_conn_release_inside_a_failed_handshake)
{
    struct script s = {.head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
    struct user u;

    user_init(&u);
    u.hook = leave_failed;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "failed ");
    done(&s);
}

SQ_TEST(ws_conn_release_right_after_open)
{
    for (int bad_url = 0; bad_url < 2; bad_url++) {
        struct script s = {.head = "", .play = silent};
        struct user u;

        user_init(&u);
        if (bad_url)
            u.open.url = sq_slice_str("nonsense");
        u.hook = leave_at;
        u.arg = "t";
        run(&u, &s);
        SQ_CHECK_STR(u.log, "");
        done(&s);
    }
}

static void play_pause_close(struct script *s, int fd)
{
    peer_write(fd,
               "\x81\x01"
               "1\x81\x01"
               "2\x81\x01"
               "3" BYE,
               13);
    gather(s, fd);
}

static void pause_first_resume_later(struct user *u, char event)
{
    if (event == 'm' && u->messages == 1) {
        sq_ws_conn_pause(u->conn);
        sq_ws_conn_resume(u->conn);
        sq_ws_conn_pause(u->conn);
    }
    if (event == 't' && u->ticks == 50) {
        SQ_CHECK_STR(u->log, "open text(1) ");
        sq_ws_conn_resume(u->conn);
        SQ_CHECK_STR(u->log, "open text(1) ");
    }
}

SQ_TEST(ws_conn_stash_is_parsed_after_resume)
{
    struct script s = {.play = play_pause_close};
    struct user u;

    user_init(&u);
    u.hook = pause_first_resume_later;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(1) text(2) text(3) " CLEAN);
    done(&s);
}

static void pause_then_close(struct user *u, char event)
{
    if (event == 'm') {
        SQ_CHECK_EQ(u->messages, 1);
        sq_ws_conn_pause(u->conn);
    }
    if (event == 't' && u->ticks == 20)
        SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
    if (event == 't' && u->ticks == 60) {
        SQ_CHECK_STR(u->log, "open text(1) "); /* the end waits too */
        sq_ws_conn_resume(u->conn);
    }
}

SQ_TEST(ws_conn_close_while_paused)
{
    struct script s = {.play = play_pause_close};
    struct user u;

    user_init(&u);
    u.hook = pause_then_close;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(1) " CLEAN);
    done(&s);
}

static void pause_over_reset(struct user *u, char event)
{
    if (event == 'o')
        sq_ws_conn_pause(u->conn);
    if (event == 't' && u->ticks == 100)
        sq_ws_conn_resume(u->conn);
}

SQ_TEST(ws_conn_reset_while_paused_is_seen_after_resume)
{
    struct script s = {WIRE("\x81\x01x"), .reset = true};
    struct user u;

    user_init(&u);
    u.hook = pause_over_reset;
    run(&u, &s);
    SQ_CHECK(strstr(u.log, "read(1006,)"), "%s", u.log);
    SQ_CHECK(u.ticks >= 100);
    done(&s);
}

/* ---- permessage-deflate ---- */

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

            user_init(&u);
            u.open.message_bytes_max = cases[i].limit;
            u.open.deflate.offer = true;
            if (cases[i].both)
                offer_both(&u);
            run(&u, &s);
            snprintf(want, sizeof want, "open %s", cases[i].events ? cases[i].events : "");
            client_frames(&s, frames, sizeof frames);
            if (strcmp(u.log, cases[i].events ? want : "failed ") != 0)
                printf("# in case %s, cut %u\n", cases[i].name, cut);
            SQ_CHECK_STR(u.log, cases[i].events ? want : "failed ");
            SQ_CHECK_STR(frames, cases[i].frames);
            done(&s);
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
    gather(s, fd);
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

    user_init(&u);
    offer_both(&u);
    u.open.message_bytes_max = 1 << 20;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open protocol(1009,)");
    SQ_CHECK(u.read_waste_max < 4 << 20, "%zu bytes", u.read_waste_max);
    client_frames(&s, frames, sizeof frames);
    SQ_CHECK_STR(frames, "close:03f1 ");
    done(&s);
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

    user_init(&u);
    offer_both(&u);
    u.hook = send_hello_5;
    run(&u, &s);
    for (int i = 0; i < 5; i++) {
        struct sq_ws_deflate_options opt = {
            .agreed = {.enabled = true, .client_no_context_takeover = true}, .server = true};
        struct sq_ws_deflate d;
        struct sq_buf out = {0};
        uint8_t opcode = 0, first = 0, plain[64];
        struct sq_slice payload = sq_slice("", 0);

        at += frame_at(&s, at, &opcode, &first, &payload);
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
    done(&s);
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
        finish(u);
    }
}

SQ_TEST(ws_conn_P80_idle_connection_holds_nothing)
{
    struct script s = {WIRE("\x81\x01x\x89\x01p")};
    struct user u;

    user_init(&u);
    u.hook = check_idle;
    run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(x) ping(p) ");
    done(&s);
}
