/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ws_conn_kit.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/ws/handshake.h"

enum { GUARD_MS = 20000 };

/* ---- the server ---- */

size_t talk_frame_at(const struct script *s, size_t at, uint8_t *opcode, uint8_t *first,
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

void talk_frames(const struct script *s, char *out, size_t size)
{
    size_t at = 0, n, len = 0;
    uint8_t opcode, first;
    struct sq_slice payload;

    out[0] = 0;
    while ((n = talk_frame_at(s, at, &opcode, &first, &payload)) > 0 && len + 320 < size) {
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

bool talk_close_in(const struct script *s)
{
    size_t at = 0, n;
    uint8_t opcode, first;
    struct sq_slice payload;

    while ((n = talk_frame_at(s, at, &opcode, &first, &payload)) > 0) {
        if (opcode == 8)
            return true;
        at += n;
    }
    return false;
}

void talk_gather(struct script *s, int fd)
{
    while (!talk_close_in(s) && s->got_len < TALK_GOT_MAX) {
        ssize_t n = recv(fd, s->got + s->got_len, TALK_GOT_MAX - s->got_len, 0);

        if (n <= 0) {
            s->fin = n == 0;
            return;
        }
        s->got_len += (size_t)n;
    }
}

void talk_wait_for_end(int fd)
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
    talk_gather(s, fd);
    if (s->answer && talk_close_in(s))
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
        talk_wait_for_end(fd);
    }
}

/* ---- the client ---- */

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

void talk_release(struct user *u)
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

void talk_finish(struct user *u)
{
    u->over = true;
    u->end_ns = sq_now_ns();
    if (!u->keep)
        talk_release(u);
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
        talk_finish(u);
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
    talk_finish(u);
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

void talk_user_init(struct user *u)
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

void talk_run(struct user *u, struct script *s)
{
    s->got = sq_xmalloc(TALK_GOT_MAX);
    s->got_len = 0;
    if (!s->peer.serve)
        s->peer.serve = serve;
    peer_start(&s->peer);
    kit_init(&u->kit);
    u->kit.options.insecure_skip_tls_verify = u->secure;
    if (!kit_open(&u->kit))
        abort();
    if (!u->open.url.len) {
        snprintf(u->url, sizeof u->url, "%s://%s127.0.0.1:%u/", u->secure ? "wss" : "ws",
                 u->userinfo ? u->userinfo : "", s->peer.port);
        u->open.url = sq_slice_str(u->url);
    }
    u->start_ns = sq_now_ns();
    u->tick = SQ_TIMER_INIT(on_tick);
    sq_timer_start(u->kit.loop, &u->tick, u->start_ns);
    u->conn = sq_ws_conn_open(u->kit.net, &u->open, &u->handler, u);
    if (u->give_up) {
        u->give_up(u->conn);
        u->conn = NULL;
        u->over = true;
    }
    sq_loop_run(u->kit.loop);
    SQ_CHECK(!u->timed_out, "%s", u->log);
    if (u->conn)
        sq_ws_conn_abort(u->conn);
    SQ_CHECK_EQ(sq_loop_chunks_lent(u->kit.loop), 0);
    s->gone_ns = sq_now_ns();
    kit_close(&u->kit);
    peer_stop(&s->peer);
}

void talk_done(struct script *s)
{
    free(s->got);
    s->got = NULL;
}
