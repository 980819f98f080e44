/* SPDX-License-Identifier: Apache-2.0 */
/* Life and closing of a WebSocket connection: rules CL, and the dispatch of what the loop reports.
 *
 * Closing is a matter of flags: close_sent and close_received, eof, failed, ended, released.
 * settle() looks at them whenever one changed and takes the next step; one timer bounds each wait.
 */
#include "net/ws_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/stream_private.h"
#include "net/ws_conn_private.h"
#include "proto/ws/close.h"

/* ---- memory ---- */

static void destroy(struct sq_ws_conn *conn)
{
    sq_timer_stop(conn->loop, &conn->timer);
    sq_list_remove(&conn->deferred.node);
    sq_list_remove(&conn->linger_node);
    sq_ws_hs_free(conn->hs);
    sq_ws_incoming_release(conn->codec, conn->incoming);
    if (conn->deflate)
        sq_ws_deflate_deinit(conn->deflate);
    free(conn->deflate);
    free(conn->held_end ? conn->held_end->text : NULL);
    free(conn->held_end);
    free(conn->write_text);
    sq_ws_keepalive_free(conn);
    sq_ws_trace_free(conn->trace);
    free(conn);
}

void sq_ws_conn_drop(struct sq_ws_conn *conn, bool reset)
{
    conn->state = SQ_WS_DEAD;
    sq_timer_stop(conn->loop, &conn->timer);
    sq_ws_keepalive_free(conn);
    sq_list_remove(&conn->linger_node);
    sq_ws_output_discard(conn);
    if (!conn->stream)
        return;
    /* What the user's next write would have met. */
    if (!conn->write_error && !conn->close_sent && !conn->released) {
        conn->write_error = -EPIPE;
        conn->write_text = sq_stream_text(conn->stream, "write", "write: broken pipe");
    }
    if (conn->secure && conn->close_sent && !conn->shut && !reset && !conn->write_error)
        sq_stream_shutdown_write(conn->stream); /* CL-12: close_notify */
    sq_stream_watch_stop(conn->stream, conn->loop, &conn->io);
    if (SQ_UNLIKELY(conn->trace))
        sq_ws_trace_note(conn->trace, reset ? "connection closed, RST" : "connection closed");
    sq_stream_free(conn->stream, reset);
    conn->stream = NULL;
}

/* Bytes that nobody will decode. Not under a handler, which may hold a slice of them. */
static void forget_input(struct sq_ws_conn *conn)
{
    if (!conn->incoming || !sq_ws_conn_deaf(conn))
        return;
    sq_ws_incoming_release(conn->codec, conn->incoming);
    conn->incoming = NULL;
}

void sq_ws_conn_leave(struct sq_ws_conn *conn)
{
    if (--conn->depth > 0)
        return;
    forget_input(conn);
    if (conn->state != SQ_WS_DEAD)
        sq_ws_conn_watch(conn);
    else if (conn->released)
        destroy(conn);
}

/* ---- what to watch for ---- */

/* Bytes must not be read: a pause, or earlier ones wait. */
static bool input_blocked(const struct sq_ws_conn *conn)
{
    return sq_ws_conn_holding(conn) || (conn->incoming && conn->incoming->stash.len > 0);
}

void sq_ws_conn_watch(struct sq_ws_conn *conn)
{
    unsigned events = 0;

    if (!conn->stream || conn->parked)
        return;
    if (conn->state == SQ_WS_REQUEST) {
        events = sq_stream_write_wants(conn->stream);
    } else {
        /* A pause takes effect with the next readable event: many end before it. */
        if (!conn->eof)
            events = input_blocked(conn) ? conn->io.events & SQ_IO_READ
                                         : sq_stream_read_wants(conn->stream);
        if (conn->out_blocked)
            events |= sq_stream_write_wants(conn->stream);
    }
    sq_stream_watch_update(conn->stream, conn->loop, &conn->io, events);
}

static void io_readable(struct sq_ws_conn *conn, unsigned events)
{
    if (!conn->eof && !input_blocked(conn)) {
        sq_ws_input_read(conn);
    } else if (!(events & SQ_IO_ERROR)) {
        sq_stream_watch_update(conn->stream, conn->loop, &conn->io,
                               conn->io.events & ~(unsigned)SQ_IO_READ);
    } else if (conn->eof) {
        sq_ws_conn_drop(conn, false);
    } else {
        /* Errors are reported whether asked for or not: look away until reading goes on. */
        sq_stream_watch_stop(conn->stream, conn->loop, &conn->io);
        conn->parked = true;
    }
}

static void io_open(struct sq_ws_conn *conn, unsigned events)
{
    if (conn->out_blocked && events & (sq_stream_write_wants(conn->stream) | SQ_IO_ERROR))
        sq_ws_output_flush(conn);
    if (events & (sq_stream_read_wants(conn->stream) | SQ_IO_ERROR))
        io_readable(conn, events);
}

static void call_drained(struct sq_ws_conn *conn)
{
    if (!conn->drained_due)
        return;
    conn->drained_due = false;
    if (!conn->ended && !conn->released && conn->handler->drained)
        conn->handler->drained(conn->user);
}

static void io_ready(struct sq_io *io, unsigned events)
{
    struct sq_ws_conn *conn = SQ_CONTAINER_OF(io, struct sq_ws_conn, io);

    sq_ws_conn_enter(conn);
    if (conn->state == SQ_WS_REQUEST)
        sq_ws_hs_write(conn);
    else if (conn->state == SQ_WS_OPEN)
        io_open(conn, events);
    else
        sq_ws_hs_read(conn);
    sq_ws_conn_settle(conn);
    call_drained(conn);
    sq_ws_conn_leave(conn);
}

static void deliver_held_end(struct sq_ws_conn *conn)
{
    struct sq_ws_held_end *held = conn->held_end;

    if (!held || conn->paused)
        return;
    conn->held_end = NULL;
    conn->handler->end(conn->user, &held->end);
    free(held->text);
    free(held);
}

static void run_work(struct sq_deferred *deferred)
{
    struct sq_ws_conn *conn = SQ_CONTAINER_OF(deferred, struct sq_ws_conn, deferred);
    unsigned work = conn->work;

    conn->work = 0;
    sq_ws_conn_enter(conn);
    if (work & SQ_WS_WORK_REFUSE)
        sq_ws_hs_refuse(conn);
    if (work & SQ_WS_WORK_CONTINUE) {
        if (conn->state == SQ_WS_OPEN)
            sq_ws_input_continue(conn);
        deliver_held_end(conn);
    }
    if (conn->state == SQ_WS_OPEN && !conn->out_blocked)
        sq_ws_output_flush(conn);
    sq_ws_conn_settle(conn);
    call_drained(conn);
    sq_ws_conn_leave(conn);
}

void sq_ws_conn_work(struct sq_ws_conn *conn, unsigned work)
{
    conn->work |= (uint8_t)work;
    sq_loop_defer(conn->loop, &conn->deferred);
}

void sq_ws_conn_after_call(struct sq_ws_conn *conn)
{
    if (conn->drained_due)
        sq_ws_conn_work(conn, SQ_WS_WORK_FLUSH);
    /* Inside a callback its end does this. */
    if (conn->depth == 0) {
        sq_ws_conn_settle(conn);
        sq_ws_conn_watch(conn);
    }
}

/* ---- closing ---- */

static void bound(struct sq_ws_conn *conn, int64_t wait_ns)
{
    sq_timer_start(conn->loop, &conn->timer, sq_now_ns() + wait_ns);
}

void sq_ws_conn_closing(struct sq_ws_conn *conn)
{
    bound(conn, conn->close_received ? SQ_WS_FIN_WAIT_NS : conn->close_timeout_ns);
    /* What a pause held back is of no interest any more. */
    if (conn->paused)
        sq_ws_conn_work(conn, SQ_WS_WORK_CONTINUE);
}

void sq_ws_conn_lingers_on(struct sq_ws_conn *conn)
{
    int64_t deadline_ns = sq_now_ns() + SQ_WS_FIN_WAIT_NS;

    sq_timer_start(conn->loop, &conn->timer, SQ_MIN(deadline_ns, conn->hard_deadline_ns));
}

void sq_ws_conn_end(struct sq_ws_conn *conn, const struct sq_ws_end *end)
{
    struct sq_ws_held_end *held;

    if (conn->ended || conn->released)
        return;
    conn->ended = true;
    if (SQ_UNLIKELY(conn->trace) && end->kind != SQ_WS_END_CLOSE)
        sq_ws_trace_note(conn->trace, "end: %s", end->text);
    if (!conn->paused) {
        conn->handler->end(conn->user, end);
        return;
    }
    held = conn->held_end = sq_xcalloc(1, sizeof *held);
    held->end = *end;
    held->end.text = held->text = sq_xstrdup(end->text);
    if (end->reason.len)
        memcpy(held->reason, end->reason.data, end->reason.len);
    held->end.reason = sq_slice(held->reason, end->reason.len);
}

void sq_ws_conn_settle(struct sq_ws_conn *conn)
{
    if (conn->state != SQ_WS_OPEN)
        return;
    if (conn->write_error && conn->released) {
        sq_ws_conn_drop(conn, false);
    } else if (conn->eof && conn->ended && conn->handler->answer_close) {
        /* Nobody is left to read what is queued. */
        sq_ws_conn_drop(conn, false);
    } else if (!sq_ws_output_empty(conn)) {
        return;
    } else if (conn->eof && (conn->close_sent || conn->released)) {
        sq_ws_conn_drop(conn, false);
    } else if (conn->released && !conn->close_sent) {
        sq_ws_conn_drop(conn, false);
    } else if (conn->failed && !conn->shut) {
        conn->shut = true;
        sq_stream_shutdown_write(conn->stream);
    }
}

void sq_ws_conn_fail(struct sq_ws_conn *conn, uint16_t code, const char *reason)
{
    struct sq_ws_end end = {.kind = SQ_WS_END_PROTOCOL,
                            .code = SQ_WS_CLOSE_ABNORMAL,
                            .sent_code = code,
                            .error = SQ_EPROTO};
    char text[160];

    snprintf(text, sizeof text, "websocket: %s", reason);
    end.text = text;
    conn->failed = true;
    if (conn->close_sent) {
        /* FR-15: we only waited for his Close. */
        end.kind = SQ_WS_END_EOF;
        end.sent_code = 0;
        sq_ws_conn_drop(conn, false);
        sq_ws_conn_end(conn, &end);
        return;
    }
    sq_ws_output_truncate(conn);
    if (sq_ws_output_close(conn, code, sq_slice_str(reason)) < 0)
        conn->close_sent = true; /* nothing more will be */
    bound(conn, SQ_WS_FIN_WAIT_NS);
    sq_ws_conn_end(conn, &end);
}

void sq_ws_conn_got_close(struct sq_ws_conn *conn, struct sq_slice payload)
{
    struct sq_ws_end end = {.kind = SQ_WS_END_CLOSE};
    struct sq_ws_close peer;
    struct sq_buf text = {0};
    char reason[48];
    int rc = sq_ws_close_parse(payload, &peer);

    if (rc == SQ_EUTF8) {
        sq_ws_conn_fail(conn, SQ_WS_CLOSE_BAD_DATA, "invalid UTF-8 in the close reason");
        return;
    }
    if (rc < 0) {
        snprintf(reason, sizeof reason,
                 payload.len == 1 ? "close payload of one byte" : "bad close code %u",
                 (unsigned)peer.code);
        sq_ws_conn_fail(conn, SQ_WS_CLOSE_PROTOCOL, reason);
        return;
    }
    conn->close_received = true;
    conn->peer_code = peer.code;
    if (!conn->close_sent && conn->handler->answer_close) {
        sq_ws_output_truncate(conn);
        if (sq_ws_output_close(conn, peer.code, sq_slice("", 0)) == 0)
            sq_ws_conn_closing(conn);
    } else if (conn->close_sent) {
        bound(conn, SQ_WS_FIN_WAIT_NS);
    }
    sq_ws_close_text(peer.code, peer.reason, &text);
    end.code = peer.code;
    end.reason = peer.reason;
    end.clean = conn->close_sent;
    end.text = sq_buf_cstr(&text);
    sq_ws_conn_end(conn, &end);
    sq_buf_deinit(&text);
}

void sq_ws_conn_got_error(struct sq_ws_conn *conn, int error)
{
    struct sq_ws_end end = {.kind = SQ_WS_END_READ, .code = SQ_WS_CLOSE_ABNORMAL, .error = error};
    char *text =
        sq_xstrdup(conn->write_text ? conn->write_text : sq_stream_error_text(conn->stream));

    sq_ws_conn_drop(conn, false);
    end.text = text;
    sq_ws_conn_end(conn, &end);
    free(text);
}

void sq_ws_conn_got_eof(struct sq_ws_conn *conn)
{
    struct sq_ws_end end = {.kind = SQ_WS_END_EOF,
                            .code = SQ_WS_CLOSE_ABNORMAL,
                            .error = SQ_EEOF,
                            .text = "websocket: close 1006 (abnormal closure): unexpected EOF"};

    conn->eof = true;
    if (SQ_UNLIKELY(conn->trace))
        sq_ws_trace_note(conn->trace, "FIN received");
    if (conn->ended || conn->released)
        return;
    /* A write took the connection's error away from the read that would have met it. */
    if (conn->write_error && !conn->close_received) {
        sq_ws_conn_got_error(conn, conn->write_error);
        return;
    }
    sq_ws_conn_end(conn, &end);
}

static void timer_due(struct sq_timer *timer)
{
    struct sq_ws_conn *conn = SQ_CONTAINER_OF(timer, struct sq_ws_conn, timer);
    struct sq_ws_end end = {.kind = SQ_WS_END_TIMEOUT,
                            .code = SQ_WS_CLOSE_ABNORMAL,
                            .error = -ETIMEDOUT,
                            .text = "websocket: close timeout"};

    sq_ws_conn_enter(conn);
    if (conn->state == SQ_WS_OPEN) {
        /* Unsent bytes would stay with the kernel for minutes. */
        sq_ws_conn_drop(conn, !sq_ws_output_empty(conn));
        sq_ws_conn_end(conn, &end);
    } else {
        sq_ws_hs_timeout(conn);
    }
    sq_ws_conn_leave(conn);
}

/* ---- the user's calls ---- */

struct sq_ws_conn *sq_ws_conn_open(struct sq_net *net, const struct sq_ws_open *request,
                                   const struct sq_ws_handler *handler, void *user)
{
    struct sq_ws_conn *conn = sq_xcalloc(1, sizeof *conn);

    conn->codec = sq_ws_codec(net); /* registers with the net, which frees it */
    conn->loop = sq_net_loop(net);
    conn->handler = handler;
    conn->user = user;
    conn->io = (struct sq_io){.ready = io_ready, .fd = -1};
    conn->timer = SQ_TIMER_INIT(timer_due);
    conn->deferred.run = run_work;
    sq_list_init(&conn->deferred.node);
    sq_list_init(&conn->linger_node);
    sq_list_init(&conn->gather_node);
    conn->close_timeout_ns =
        request->close_timeout_ns ? request->close_timeout_ns : 10 * SQ_NS_PER_S;
    conn->message_bytes_max = request->message_bytes_max;
    conn->fragment_bytes = request->fragment_bytes;
    conn->lenient = request->lenient;
    if (request->ping_interval_ns || request->pong_timeout_ns)
        sq_ws_keepalive_new(conn, request->ping_interval_ns, request->pong_timeout_ns);
    if (SQ_UNLIKELY(request->trace)) {
        conn->trace = sq_ws_trace_new(request->trace);
        sq_ws_trace_url(conn->trace, request->url);
    }
    sq_ws_hs_start(conn, request);
    return conn;
}

void sq_ws_conn_pause(struct sq_ws_conn *conn)
{
    conn->paused = true;
}

void sq_ws_conn_resume(struct sq_ws_conn *conn)
{
    if (!conn->paused)
        return;
    conn->paused = false;
    if (conn->keepalive)
        sq_ws_keepalive_resumed(conn);
    if (conn->state == SQ_WS_OPEN || conn->held_end)
        sq_ws_conn_work(conn, SQ_WS_WORK_CONTINUE);
}

/* Nobody listens from here on. */
static void forget_user(struct sq_ws_conn *conn)
{
    sq_assert(!conn->released);
    conn->released = true;
    sq_ws_keepalive_free(conn);
    conn->paused = false;
    conn->drained_due = false;
    if (conn->stream)
        sq_stream_detach_counters(conn->stream);
    if (conn->held_end)
        free(conn->held_end->text);
    free(conn->held_end);
    conn->held_end = NULL;
}

static void go(struct sq_ws_conn *conn)
{
    if (conn->state != SQ_WS_OPEN)
        sq_ws_conn_drop(conn, false);
    if (conn->depth == 0)
        destroy(conn);
}

static void linger(struct sq_ws_conn *conn)
{
    bool idle = sq_ws_output_empty(conn);

    conn->hard_deadline_ns = sq_now_ns() + (idle ? SQ_WS_FIN_WAIT_NS : conn->close_timeout_ns);
    sq_list_append(sq_net_linger_list(conn->codec->net), &conn->linger_node);
    sq_ws_conn_lingers_on(conn);
    if (conn->parked) {
        /* Its descriptor had failed while we looked away. */
        sq_ws_conn_drop(conn, false);
    } else if (conn->depth == 0) {
        forget_input(conn);
        sq_ws_conn_watch(conn);
    }
}

void sq_ws_conn_release(struct sq_ws_conn *conn)
{
    forget_user(conn);
    if (conn->state == SQ_WS_OPEN) {
        if (conn->close_received && !conn->close_sent && !conn->write_error) {
            sq_ws_output_truncate(conn);
            /* A failure is seen by settle. */
            sq_ws_output_close(conn, conn->peer_code, sq_slice("", 0));
        }
        sq_ws_output_flush(conn);
        sq_ws_conn_settle(conn);
        if (conn->state == SQ_WS_OPEN)
            linger(conn);
        if (conn->state == SQ_WS_OPEN)
            return;
    }
    go(conn);
}

void sq_ws_conn_abort(struct sq_ws_conn *conn)
{
    forget_user(conn);
    sq_ws_conn_drop(conn, false);
    go(conn);
}

void sq_ws_conn_cut_lingering(struct sq_net *net)
{
    struct sq_list *lingering = sq_net_linger_list(net);

    while (!sq_list_empty(lingering)) {
        struct sq_ws_conn *conn = SQ_CONTAINER_OF(lingering->next, struct sq_ws_conn, linger_node);

        sq_assert(conn->depth == 0);
        sq_ws_conn_drop(conn, !sq_ws_output_empty(conn));
        destroy(conn);
    }
}
