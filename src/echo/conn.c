/* SPDX-License-Identifier: Apache-2.0 */
#include "echo/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "proto/ws/close.h"
#include "proto/ws/handshake.h"

enum {
    READ_HIGH_WATER = 256 * 1024,        /* of queued output: above it nothing more is read */
    FEED_LOW_WATER = 64 * 1024,          /* below it a feed without pauses is filled up */
    FEED_HIGH_WATER = 1024 * 1024,       /* above it a paced feed skips a beat */
    MEMBER_HIGH_WATER = 4 * 1024 * 1024, /* above it a member of a room is too slow for it */
    ROOMS_MAX = 10000,
    TLS_READS = 64, /* records read before others get their turn */
};

#define CLOSE_WAIT_NS (5 * SQ_NS_PER_S)
#define LINGER_NS SQ_NS_PER_S
#define STALL_CHECK_NS SQ_NS_PER_S

static void flush(struct sq_echo_conn *c);
static void frames(struct sq_echo_conn *c, struct sq_slice in);

/* ---- life ---- */

static void account(struct sq_echo_conn *c)
{
    size_t now = c->in.cap + c->message.cap + c->control.cap + c->out.cap;

    c->echo->stats.buffered_bytes += now - c->counted_bytes;
    c->counted_bytes = now;
}

static void leave_room(struct sq_echo_conn *c)
{
    struct sq_echo_room *room = c->room;

    if (!room)
        return;
    c->room = NULL;
    sq_list_remove(&c->room_node);
    if (sq_list_empty(&room->members)) {
        sq_list_remove(&room->node);
        c->echo->room_count--;
        free(room);
    }
}

static void kill_conn(struct sq_echo_conn *c)
{
    struct sq_echo *echo = c->echo;
    int fd = c->io.fd;

    if (c->phase == SQ_ECHO_DEAD)
        return;
    c->phase = SQ_ECHO_DEAD;
    leave_room(c);
    sq_list_remove(&c->flush_node);
    sq_timer_stop(echo->loop, &c->timer);
    sq_io_stop(echo->loop, &c->io);
    close(fd);
    echo->stats.connections--;
    sq_list_remove(&c->node);
    sq_list_append(&echo->dead, &c->node);
    sq_loop_defer(echo->loop, &echo->turn_end);
    sq_echo_accept_more(echo);
}

static void free_conn(struct sq_echo_conn *c)
{
    sq_buf_deinit(&c->in);
    sq_buf_deinit(&c->message);
    sq_buf_deinit(&c->control);
    sq_buf_deinit(&c->out);
    account(c);
    if (c->deflate) {
        sq_ws_deflate_deinit(c->deflate);
        free(c->deflate);
    }
    free(c->plan);
    SSL_free(c->ssl);
    free(c);
}

static void set_deadline(struct sq_echo_conn *c, int64_t after_ns)
{
    sq_timer_start(c->echo->loop, &c->timer, sq_loop_now(c->echo->loop) + after_ns);
}

/* No frame is read after it. `drain`: the peer does not know yet that it is over, and closing with
 * its bytes unread would be a reset that takes our last words with it. */
static void end_conn(struct sq_echo_conn *c, bool drain)
{
    if (c->phase >= SQ_ECHO_ENDING)
        return;
    c->phase = SQ_ECHO_ENDING;
    c->drain = drain;
    leave_room(c);
    set_deadline(c, LINGER_NS);
}

/* ---- output ---- */

static size_t queued(const struct sq_echo_conn *c)
{
    return c->out.len - c->out_at;
}

static int reserve_out(struct sq_echo_conn *c, size_t more)
{
    struct sq_echo *echo = c->echo;

    if (!c->out.data && echo->spare_count > 0)
        c->out = echo->spares[--echo->spare_count];
    return sq_buf_reserve(&c->out, more);
}

static void give_out_back(struct sq_echo_conn *c)
{
    struct sq_echo *echo = c->echo;

    c->out.len = c->out_at = 0;
    if (echo->spare_count < SQ_ECHO_SPARES && c->out.cap <= SQ_ECHO_SPARE_BYTES_MAX)
        echo->spares[echo->spare_count++] = c->out;
    else
        sq_buf_deinit(&c->out);
    c->out = (struct sq_buf){0};
}

static void flush_soon(struct sq_echo_conn *c)
{
    if (c == c->echo->reading || !sq_list_empty(&c->flush_node))
        return;
    sq_list_append(&c->echo->flush, &c->flush_node);
    sq_loop_defer(c->echo->loop, &c->echo->turn_end);
}

static void send_frame(struct sq_echo_conn *c, uint8_t opcode, struct sq_slice payload, bool rsv1)
{
    struct sq_ws_frame frame = {.len = payload.len, .opcode = opcode, .fin = true, .rsv1 = rsv1};

    if (c->phase == SQ_ECHO_DEAD)
        return;
    if (reserve_out(c, SQ_WS_HEADER_MAX + payload.len) < 0) {
        kill_conn(c);
        return;
    }
    c->out.len += sq_ws_frame_write(c->out.data + c->out.len, &frame, payload.data);
    flush_soon(c);
}

static void send_message(struct sq_echo_conn *c, uint8_t opcode, struct sq_slice message)
{
    struct sq_buf small = {0};

    if (!c->deflate) {
        send_frame(c, opcode, message, false);
        return;
    }
    int rc = sq_ws_deflate_message(c->deflate, message, &small);
    if (rc < 0)
        kill_conn(c);
    else
        send_frame(c, opcode, rc ? sq_buf_slice(&small) : message, rc);
    sq_buf_deinit(&small);
}

static void send_close(struct sq_echo_conn *c, uint16_t code, struct sq_slice reason)
{
    uint8_t payload[SQ_WS_CONTROL_MAX];
    size_t len = sq_ws_close_build(payload, code, reason);

    send_frame(c, SQ_WS_OP_CLOSE, sq_slice(payload, len), false);
}

/* RFC 6455 7.1.7, from the server's side. */
static void fail(struct sq_echo_conn *c, uint16_t code, const char *why)
{
    if (c->phase == SQ_ECHO_OPEN)
        send_close(c, code, sq_slice_str(why));
    end_conn(c, true);
}

static void start_closing(struct sq_echo_conn *c, uint16_t code, struct sq_slice reason)
{
    send_close(c, code, reason);
    if (c->phase == SQ_ECHO_DEAD)
        return;
    c->phase = SQ_ECHO_CLOSING;
    set_deadline(c, CLOSE_WAIT_NS);
}

static enum sq_echo_route route_of(const struct sq_echo_conn *c)
{
    return c->plan ? c->plan->route : SQ_ECHO_ECHO;
}

static bool flooding(const struct sq_echo_conn *c)
{
    return c->phase == SQ_ECHO_OPEN && route_of(c) == SQ_ECHO_PUSH && c->plan->interval_ns == 0 &&
           c->plan->count > 0;
}

static void update_events(struct sq_echo_conn *c)
{
    unsigned events = 0;

    if (c->phase == SQ_ECHO_DEAD)
        return;
    if (c->phase != SQ_ECHO_DELAYED) {
        bool stalled = route_of(c) == SQ_ECHO_STALL && c->phase == SQ_ECHO_OPEN;
        if (!stalled && queued(c) <= READ_HIGH_WATER)
            events |= SQ_IO_READ;
        if (queued(c) > 0 || flooding(c) || (c->ssl && sq_echo_tls_wants_write(c->ssl)))
            events |= SQ_IO_WRITE;
    }
    sq_io_update(c->echo->loop, &c->io, events);
}

static ssize_t socket_write(struct sq_echo_conn *c, const void *data, size_t len)
{
    ssize_t put;

    if (c->ssl)
        return sq_echo_tls_write(c->ssl, data, len);
    do
        put = send(c->io.fd, data, len, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return errno == EAGAIN ? 0 : -errno;
    return put;
}

static void all_written(struct sq_echo_conn *c)
{
    if (c->out.data)
        give_out_back(c);
    if (c->phase != SQ_ECHO_ENDING)
        return;
    if (c->ssl && !c->shut)
        sq_echo_tls_bye(c->ssl);
    if (!c->drain) {
        kill_conn(c);
    } else if (!c->shut) {
        c->shut = true;
        shutdown(c->io.fd, SHUT_WR);
    }
}

static void push_message(struct sq_echo_conn *c)
{
    uint8_t small[512], *data = small;
    size_t len = c->plan->size_bytes;

    if (len > sizeof small)
        data = sq_xmalloc(len);
    sq_echo_plan_next_push(c->plan, data);
    send_message(c, SQ_WS_OP_TEXT, sq_slice(data, len));
    if (data != small)
        free(data);
}

static void flush(struct sq_echo_conn *c)
{
    sq_list_remove(&c->flush_node);
    if (c->phase == SQ_ECHO_DELAYED)
        update_events(c);
    if (c->phase == SQ_ECHO_DEAD || c->phase == SQ_ECHO_DELAYED)
        return;
    while (queued(c) > 0) {
        ssize_t put = socket_write(c, c->out.data + c->out_at, queued(c));
        if (put < 0) {
            kill_conn(c);
            return;
        }
        if (put == 0)
            break;
        c->out_at += (size_t)put;
        c->echo->stats.sent_bytes += (uint64_t)put;
    }
    if (queued(c) == 0) {
        all_written(c);
    } else if (c->out_at >= c->out.len / 2) {
        sq_buf_consume(&c->out, c->out_at);
        c->out_at = 0;
    }
    if (c->phase == SQ_ECHO_DEAD)
        return;
    account(c);
    if (c->echo->stats.buffered_bytes > c->echo->buffered_bytes_max && c->counted_bytes > 0 &&
        c->phase < SQ_ECHO_ENDING) {
        fail(c, 1013, "the server's buffers are full");
        flush(c);
        return;
    }
    update_events(c);
}

/* ---- what the routes do ---- */

/* A member whose output does not leave is put out, the sender last: the room must outlive the loop.
 */
static void broadcast(struct sq_echo_conn *from, uint8_t opcode, struct sq_slice text)
{
    struct sq_echo_room *room = from->room;
    bool sender_slow = false;

    SQ_LIST_FOR_EACH (node, &room->members) {
        struct sq_echo_conn *c = SQ_CONTAINER_OF(node, struct sq_echo_conn, room_node);
        bool slow = queued(c) > 0 && queued(c) + text.len > MEMBER_HIGH_WATER;
        if (c == from && slow)
            sender_slow = true;
        else if (slow)
            fail(c, 1008, "too slow for this room");
        else
            send_message(c, opcode, text);
        if (from->room != room)
            return; /* it may be gone */
    }
    if (sender_slow)
        fail(from, 1008, "too slow for this room");
}

static void message(struct sq_echo_conn *c, uint8_t opcode, struct sq_slice data)
{
    c->echo->stats.messages++;
    switch (route_of(c)) {
    case SQ_ECHO_ECHO:
    case SQ_ECHO_CLOSE:
    case SQ_ECHO_PING:
    case SQ_ECHO_SLOW:
    case SQ_ECHO_COOKIE:
        send_message(c, opcode, data);
        break;
    case SQ_ECHO_BROADCAST:
        if (c->room)
            broadcast(c, opcode, data);
        break;
    case SQ_ECHO_PUSH:
    case SQ_ECHO_SILENT:
    case SQ_ECHO_STALL:
    case SQ_ECHO_REFUSE:
        break;
    }
}

static int join_room(struct sq_echo_conn *c)
{
    struct sq_echo *echo = c->echo;
    struct sq_slice name = sq_slice(c->plan->text, c->plan->text_len);
    struct sq_echo_room *room = NULL;

    SQ_LIST_FOR_EACH (node, &echo->rooms) {
        struct sq_echo_room *r = SQ_CONTAINER_OF(node, struct sq_echo_room, node);
        if (sq_slice_eq(sq_slice(r->name, r->name_len), name)) {
            room = r;
            break;
        }
    }
    if (!room) {
        if (echo->room_count == ROOMS_MAX)
            return SQ_ETOOBIG;
        room = sq_xcalloc(1, sizeof *room);
        sq_list_init(&room->members);
        room->name_len = (uint8_t)name.len;
        memcpy(room->name, name.data, name.len);
        sq_list_append(&echo->rooms, &room->node);
        echo->room_count++;
    }
    c->room = room;
    sq_list_append(&room->members, &c->room_node);
    return 0;
}

/* The handshake is over: what the route does without being asked. */
static void open_conn(struct sq_echo_conn *c)
{
    struct sq_echo *echo = c->echo;

    echo->stats.opened++;
    c->phase = SQ_ECHO_OPEN;
    sq_timer_stop(echo->loop, &c->timer);
    switch (route_of(c)) {
    case SQ_ECHO_PUSH:
    case SQ_ECHO_PING:
        if (c->plan->interval_ns > 0)
            set_deadline(c, c->plan->interval_ns);
        break;
    case SQ_ECHO_CLOSE:
        if (c->plan->interval_ns > 0)
            set_deadline(c, c->plan->interval_ns);
        else
            start_closing(c, c->plan->code, sq_slice(c->plan->text, c->plan->text_len));
        break;
    case SQ_ECHO_BROADCAST:
        if (join_room(c) < 0)
            fail(c, 1013, "too many rooms");
        break;
    case SQ_ECHO_STALL:
        set_deadline(c, STALL_CHECK_NS);
        break;
    case SQ_ECHO_ECHO:
    case SQ_ECHO_SILENT:
    case SQ_ECHO_REFUSE:
    case SQ_ECHO_SLOW:
    case SQ_ECHO_COOKIE:
        break;
    }
}

/* From the last deadline, so that the beat does not drift; but beats that were slept through are
 * not made up for. */
static void next_beat(struct sq_echo_conn *c)
{
    int64_t now = sq_loop_now(c->echo->loop), next = c->timer.deadline_ns + c->plan->interval_ns;

    if (next < now - SQ_NS_PER_S)
        next = now;
    sq_timer_start(c->echo->loop, &c->timer, next);
}

/* A stalled connection reads nothing, so the peer's FIN has to be asked for. */
static bool peer_is_gone(const struct sq_echo_conn *c)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    return getsockopt(c->io.fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
           info.tcpi_state != TCP_ESTABLISHED;
}

static void beat(struct sq_echo_conn *c)
{
    switch (route_of(c)) {
    case SQ_ECHO_PUSH:
        if (c->plan->count > 0 && queued(c) < FEED_HIGH_WATER)
            push_message(c);
        if (c->plan->count > 0)
            next_beat(c);
        break;
    case SQ_ECHO_PING:
        if (queued(c) < FEED_HIGH_WATER)
            send_frame(c, SQ_WS_OP_PING, sq_slice_str("squall"), false);
        next_beat(c);
        break;
    case SQ_ECHO_CLOSE:
        start_closing(c, c->plan->code, sq_slice(c->plan->text, c->plan->text_len));
        break;
    case SQ_ECHO_STALL:
        if (peer_is_gone(c))
            kill_conn(c);
        else
            set_deadline(c, STALL_CHECK_NS);
        break;
    case SQ_ECHO_ECHO:
    case SQ_ECHO_BROADCAST:
    case SQ_ECHO_SILENT:
    case SQ_ECHO_REFUSE:
    case SQ_ECHO_SLOW:
    case SQ_ECHO_COOKIE:
        break;
    }
}

static void timer_due(struct sq_timer *timer)
{
    struct sq_echo_conn *c = SQ_CONTAINER_OF(timer, struct sq_echo_conn, timer);

    switch ((enum sq_echo_phase)c->phase) {
    case SQ_ECHO_DELAYED:
        open_conn(c);
        if (c->phase == SQ_ECHO_OPEN && c->in.len > 0) { /* frames that came with the request */
            frames(c, sq_buf_slice(&c->in));
            sq_buf_deinit(&c->in);
        }
        flush(c);
        break;
    case SQ_ECHO_OPEN:
        beat(c);
        flush(c);
        break;
    case SQ_ECHO_HEAD:
    case SQ_ECHO_CLOSING:
    case SQ_ECHO_ENDING:
        kill_conn(c);
        break;
    case SQ_ECHO_DEAD:
        break;
    }
}

/* ---- handshake ---- */

static void refuse(struct sq_echo_conn *c, int status, const char *why)
{
    char text[256];
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n\r\n%s\n",
                       status, status < 400 ? "Other" : "Refused", strlen(why) + 1, why);

    if (reserve_out(c, (size_t)len) < 0) {
        kill_conn(c);
        return;
    }
    memcpy(c->out.data + c->out.len, text, (size_t)len);
    c->out.len += (size_t)len;
    end_conn(c, true);
}

static void put_session_cookie(struct sq_buf *response)
{
    response->len -= 2; /* the blank line */
    sq_buf_printf(response, "Set-Cookie: squall_session=%08x%08x; Path=/; HttpOnly\r\n\r\n",
                  sq_random_u32(), sq_random_u32());
}

static void send_cookies(struct sq_echo_conn *c, const struct sq_http1_head *head)
{
    struct sq_buf text = {0};
    struct sq_slice value;
    size_t at = 0;

    while (sq_http1_find(head, "Cookie", &at, &value)) {
        if (text.len)
            sq_buf_puts(&text, "; ");
        sq_buf_put(&text, value.data, value.len);
    }
    /* It goes back as text, which must be UTF-8; a header need not be. */
    bool valid = sq_ws_utf8_valid(sq_buf_slice(&text));
    send_message(c, valid ? SQ_WS_OP_TEXT : SQ_WS_OP_BINARY, sq_buf_slice(&text));
    sq_buf_deinit(&text);
}

static void use_deflate(struct sq_echo_conn *c, const struct sq_ws_pmd *agreed)
{
    struct sq_ws_deflate_options options = {.agreed = *agreed, .server = true};

    if (!agreed->enabled)
        return;
    c->deflate = sq_xcalloc(1, sizeof *c->deflate);
    sq_ws_deflate_init(c->deflate, c->echo->deflate_pool, &options);
    c->decoder.flags |= SQ_WS_RSV1_OK;
}

static void accept_head(struct sq_echo_conn *c, const struct sq_http1_head *head,
                        struct sq_slice rest)
{
    struct sq_ws_accept_options options = {.protocols = sq_slice_str("*"),
                                           .deflate = !c->echo->no_deflate,
                                           .server = sq_slice_str("squall")};
    struct sq_ws_accepted accepted;
    struct sq_echo_plan plan;
    const char *why;

    if (sq_echo_plan_parse(head->target, &plan, &why) < 0) {
        refuse(c, 400, why);
        return;
    }
    if (plan.route == SQ_ECHO_REFUSE) {
        refuse(c, plan.code, "refused on request");
        return;
    }
    if (reserve_out(c, 256) < 0) {
        kill_conn(c);
        return;
    }
    if (sq_ws_handshake_accept(head, &options, &c->out, &accepted) < 0) {
        end_conn(c, true);
        return;
    }
    if (plan.route != SQ_ECHO_ECHO) {
        c->plan = sq_xmalloc(sizeof plan);
        *c->plan = plan;
    }
    c->decoder.flags = SQ_WS_ROLE_SERVER;
    use_deflate(c, &accepted.pmd);
    if (plan.route == SQ_ECHO_SLOW) {
        c->phase = SQ_ECHO_DELAYED;
        set_deadline(c, plan.interval_ns);
        struct sq_buf early = {.max_bytes = SQ_HTTP1_HEAD_MAX};
        bool kept = sq_buf_append(&early, rest.data, rest.len) == 0;
        sq_buf_deinit(&c->in);
        c->in = early;
        if (!kept)
            kill_conn(c);
        return;
    }
    if (plan.route == SQ_ECHO_COOKIE)
        put_session_cookie(&c->out);
    open_conn(c);
    if (plan.route == SQ_ECHO_COOKIE)
        send_cookies(c, head);
    frames(c, rest);
}

static void head_bytes(struct sq_echo_conn *c, struct sq_slice in)
{
    struct sq_http1_head head;
    bool gathered = c->in.len > 0;

    if (gathered) {
        if (sq_buf_append(&c->in, in.data, in.len) < 0) {
            kill_conn(c);
            return;
        }
        in = sq_buf_slice(&c->in);
    }
    int rc = sq_http1_parse(&c->parser, in, &head);
    if (rc > 0) {
        struct sq_buf held = c->in; /* the head borrows from it */
        c->in = (struct sq_buf){0};
        accept_head(c, &head, sq_slice(in.data + rc, in.len - (size_t)rc));
        sq_buf_deinit(&held);
    } else if (rc == SQ_ETOOBIG) {
        refuse(c, 431, sq_http1_reason(&c->parser));
    } else if (rc < 0) {
        refuse(c, 400, sq_http1_reason(&c->parser));
    } else if (!gathered && sq_buf_append(&c->in, in.data, in.len) < 0) {
        kill_conn(c);
    }
}

/* ---- frames ---- */

static void control(struct sq_echo_conn *c, struct sq_slice payload)
{
    struct sq_ws_close close_frame;

    switch (c->decoder.frame.opcode) {
    case SQ_WS_OP_PING:
        if (c->phase == SQ_ECHO_OPEN)
            send_frame(c, SQ_WS_OP_PONG, payload, false);
        break;
    case SQ_WS_OP_CLOSE: {
        int rc = sq_ws_close_parse(payload, &close_frame);
        if (rc < 0) {
            fail(c, rc == SQ_EUTF8 ? 1007 : 1002, "bad Close frame, RFC 6455 5.5.1");
            break;
        }
        if (c->phase == SQ_ECHO_OPEN)
            send_close(c, close_frame.code, sq_slice(NULL, 0));
        /* Both have said it: the server closes first (RFC 6455 7.1.1). */
        end_conn(c, false);
        break;
    }
    default:
        break;
    }
}

/* Messages are bounded before they are buffered: by what is announced, and by the sum. */
static void header(struct sq_echo_conn *c)
{
    const struct sq_ws_frame *f = &c->decoder.frame;
    uint64_t max = c->echo->message_bytes_max;

    if (sq_ws_opcode_is_control(f->opcode))
        return;
    if (f->opcode != SQ_WS_OP_CONTINUATION) {
        c->opcode = f->opcode;
        c->compressed = f->rsv1;
        c->utf8 = (struct sq_ws_utf8){0};
    }
    if (f->len > max || (!c->compressed && c->message.len + f->len > max))
        fail(c, 1009, "message too big");
}

/* Adds a piece to c->message, inflated if need be, and looks at what it adds. */
static void gather(struct sq_echo_conn *c, struct sq_slice piece, bool last)
{
    size_t before = c->message.len;
    struct sq_slice added;
    int rc;

    if (c->compressed)
        rc = sq_ws_inflate(c->deflate, piece, last, c->echo->message_bytes_max, &c->message);
    else
        rc = sq_buf_append(&c->message, piece.data, piece.len);
    if (rc < 0) {
        if (rc == SQ_ETOOBIG)
            fail(c, 1009, "message too big");
        else if (rc == SQ_EPROTO)
            fail(c, 1007, "bad compressed data");
        else
            kill_conn(c);
        return;
    }
    if (c->opcode != SQ_WS_OP_TEXT)
        return;
    added = sq_buf_slice(&c->message);
    if (before > 0) {
        added.data += before;
        added.len -= before;
    }
    if (sq_ws_utf8_feed(&c->utf8, added.data, added.len) < 0 ||
        (last && sq_ws_utf8_end(&c->utf8) < 0))
        fail(c, 1007, "text is not UTF-8");
}

static bool receiving(const struct sq_echo_conn *c)
{
    return c->phase == SQ_ECHO_OPEN || c->phase == SQ_ECHO_CLOSING;
}

static void data_end(struct sq_echo_conn *c, struct sq_slice whole, bool is_whole)
{
    bool fin = c->decoder.frame.fin;

    if (c->phase == SQ_ECHO_CLOSING)
        return;
    if (is_whole && fin && !c->compressed && c->message.len == 0 &&
        c->decoder.frame.opcode != SQ_WS_OP_CONTINUATION) {
        if (c->opcode == SQ_WS_OP_TEXT && !sq_ws_utf8_valid(whole))
            fail(c, 1007, "text is not UTF-8");
        else
            message(c, c->opcode, whole);
        return;
    }
    if (is_whole || (fin && (c->compressed || c->opcode == SQ_WS_OP_TEXT)))
        gather(c, whole, fin);
    if (!fin || c->phase != SQ_ECHO_OPEN)
        return;
    message(c, c->opcode, sq_buf_slice(&c->message));
    /* A message in pieces is rare or large: an idle connection keeps no buffer. */
    sq_buf_deinit(&c->message);
    c->message = (struct sq_buf){0};
}

static void frames(struct sq_echo_conn *c, struct sq_slice in)
{
    struct sq_slice slice, whole = {0};
    bool is_whole = false;
    int event;

    while (receiving(c) && (event = sq_ws_decode(&c->decoder, &in, &slice)) != SQ_WS_NEED_MORE) {
        const struct sq_ws_frame *f = &c->decoder.frame;
        bool is_control = sq_ws_opcode_is_control(f->opcode);

        switch (event) {
        case SQ_WS_HEADER:
            header(c);
            whole = sq_slice(NULL, 0);
            is_whole = f->len == 0;
            break;
        case SQ_WS_PAYLOAD:
            is_whole = slice.len == f->len;
            if (is_whole)
                whole = slice;
            else if (is_control)
                sq_buf_put(&c->control, slice.data, slice.len);
            else if (c->phase == SQ_ECHO_OPEN)
                gather(c, slice, false);
            break;
        case SQ_WS_FRAME_END:
            if (is_control) {
                control(c, is_whole ? whole : sq_buf_slice(&c->control));
                sq_buf_deinit(&c->control);
                c->control = (struct sq_buf){0};
            } else {
                data_end(c, whole, is_whole);
            }
            whole = sq_slice(NULL, 0);
            is_whole = false;
            break;
        default:
            fail(c, 1002, sq_ws_decode_reason(&c->decoder));
            break;
        }
    }
}

/* ---- input ---- */

static ssize_t socket_read(struct sq_echo_conn *c, void *data, size_t len)
{
    ssize_t got;

    if (c->ssl)
        return sq_echo_tls_read(c->ssl, data, len);
    do
        got = recv(c->io.fd, data, len, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    if (got == 0)
        return SQ_EEOF;
    return errno == EAGAIN ? 0 : -errno;
}

static void received(struct sq_echo_conn *c, struct sq_slice in)
{
    c->echo->stats.received_bytes += in.len;
    switch ((enum sq_echo_phase)c->phase) {
    case SQ_ECHO_HEAD:
        head_bytes(c, in);
        break;
    case SQ_ECHO_OPEN:
    case SQ_ECHO_CLOSING:
        frames(c, in);
        break;
    case SQ_ECHO_DELAYED:
    case SQ_ECHO_ENDING:
    case SQ_ECHO_DEAD:
        break;
    }
}

static void read_some(struct sq_echo_conn *c)
{
    struct sq_echo *echo = c->echo;
    uint8_t *buffer = sq_loop_read_buffer(echo->loop);
    int rounds = 0;

    for (;;) {
        ssize_t got = socket_read(c, buffer, SQ_LOOP_READ_BYTES);
        if (got < 0) {
            kill_conn(c);
            return;
        }
        if (got == 0) {
            update_events(c); /* TLS may have to write first */
            return;
        }
        echo->reading = c;
        received(c, sq_slice(buffer, (size_t)got));
        echo->reading = NULL;
        flush(c);
        /* Plain sockets report what is left; decrypted bytes lie where no poll sees them. */
        if (!c->ssl || c->phase == SQ_ECHO_DEAD || !(c->io.events & SQ_IO_READ))
            return;
        if (++rounds == TLS_READS) {
            flush_soon(c);
            return;
        }
    }
}

static void io_ready(struct sq_io *io, unsigned events)
{
    struct sq_echo_conn *c = SQ_CONTAINER_OF(io, struct sq_echo_conn, io);

    if (events & SQ_IO_WRITE) {
        while (flooding(c) && queued(c) < FEED_LOW_WATER)
            push_message(c);
        flush(c);
    }
    if (c->phase == SQ_ECHO_DEAD)
        return;
    if (events & SQ_IO_READ || (c->ssl && c->io.events & SQ_IO_READ))
        read_some(c);
    else if (events & SQ_IO_ERROR)
        kill_conn(c);
}

void sq_echo_conns_turn_end(struct sq_echo *echo)
{
    struct sq_list *node, queue;

    /* What is queued now; who asks again is served in the next round. */
    sq_list_init(&queue);
    while ((node = sq_list_shift(&echo->flush)))
        sq_list_append(&queue, node);
    while ((node = sq_list_shift(&queue))) {
        struct sq_echo_conn *c = SQ_CONTAINER_OF(node, struct sq_echo_conn, flush_node);
        flush(c);
        if (c->ssl && c->phase != SQ_ECHO_DEAD && c->io.events & SQ_IO_READ)
            read_some(c);
    }
    while ((node = sq_list_shift(&echo->dead)))
        free_conn(SQ_CONTAINER_OF(node, struct sq_echo_conn, node));
}

int sq_echo_conn_start(struct sq_echo *echo, int fd)
{
    struct sq_echo_conn *c = sq_xcalloc(1, sizeof *c);
    int one = 1, rc = -ENOMEM;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->echo = echo;
    c->io = (struct sq_io){.ready = io_ready, .fd = -1};
    c->timer = SQ_TIMER_INIT(timer_due);
    c->parser.kind = SQ_HTTP1_REQUEST;
    sq_list_init(&c->node);
    sq_list_init(&c->room_node);
    sq_list_init(&c->flush_node);
    if (echo->tls) {
        c->ssl = sq_echo_tls_session(echo->tls, fd);
        if (!c->ssl)
            goto out;
    }
    rc = sq_io_start(echo->loop, &c->io, fd, SQ_IO_READ);
    if (rc < 0)
        goto out;
    sq_list_append(&echo->conns, &c->node);
    echo->stats.accepted++;
    echo->stats.connections++;
    set_deadline(c, echo->handshake_timeout_ns);
    return 0;
out:
    close(fd);
    free_conn(c);
    return rc;
}

void sq_echo_conn_stop(struct sq_echo_conn *c)
{
    if (c->phase == SQ_ECHO_OPEN)
        send_close(c, SQ_WS_CLOSE_GOING_AWAY, sq_slice(NULL, 0));
    flush(c);
    kill_conn(c);
}
