/* SPDX-License-Identifier: Apache-2.0 */
/* Input of a WebSocket connection: bytes are decoded where the loop's lent buffer has them, and a
 * message that lies there whole is delivered from there. Only what is cut by the end of a read, or
 * held back by a pause, is copied. Rules FR, TX, CT, PMD-10..PMD-12. */
#include <errno.h>

#include "net/ws_conn_private.h"
#include "proto/ws/close.h"

/* A connection that always has more must let others have their turn. */
enum { TURN_BYTES_MAX = 512 * 1024, READ_SHIFT_PAUSED = 4, READ_SHIFT_MAX = 6 };

/* A payload that its read holds whole; lives from its PAYLOAD to its FRAME_END. */
struct whole {
    struct sq_slice payload;
    bool set;
};

static struct sq_ws_incoming *incoming_of(struct sq_ws_conn *conn)
{
    if (!conn->incoming)
        conn->incoming = sq_ws_incoming_acquire(conn->codec);
    return conn->incoming;
}

/* Gives the memory back when nothing waits in it. */
static void tidy(struct sq_ws_conn *conn)
{
    struct sq_ws_incoming *in = conn->incoming;

    if (!in || in->message.len || in->control_len || in->stash.len)
        return;
    sq_ws_incoming_release(conn->codec, in);
    conn->incoming = NULL;
}

static void too_big(struct sq_ws_conn *conn)
{
    sq_ws_conn_fail(conn, SQ_WS_CLOSE_TOO_BIG, "message too big");
}

static void inflate_failed(struct sq_ws_conn *conn, int rc)
{
    if (rc == SQ_EPROTO)
        sq_ws_conn_fail(conn, SQ_WS_CLOSE_BAD_DATA, "invalid compressed data");
    else
        too_big(conn);
}

/* ---- text ---- */

/* False: the connection has failed. */
static bool check_text(struct sq_ws_conn *conn, const void *data, size_t len)
{
    if (conn->message_kind != SQ_WS_KIND_TEXT || conn->message_bad_utf8 ||
        sq_ws_utf8_feed(&conn->utf8, data, len) == 0)
        return true;
    conn->message_bad_utf8 = true;
    if (conn->lenient)
        return true;
    sq_ws_conn_fail(conn, SQ_WS_CLOSE_BAD_DATA, "invalid UTF-8 in a text message");
    return false;
}

static bool check_text_end(struct sq_ws_conn *conn)
{
    if (conn->message_kind != SQ_WS_KIND_TEXT || conn->message_bad_utf8 ||
        sq_ws_utf8_end(&conn->utf8) == 0)
        return true;
    conn->message_bad_utf8 = true;
    if (conn->lenient)
        return true;
    sq_ws_conn_fail(conn, SQ_WS_CLOSE_BAD_DATA, "text message ends inside a UTF-8 sequence");
    return false;
}

/* ---- messages ---- */

static void hand_over(struct sq_ws_conn *conn, struct sq_slice data)
{
    enum sq_ws_opcode_kind kind = conn->message_kind;
    bool ascii = kind == SQ_WS_KIND_TEXT && !conn->utf8.non_ascii;
    struct sq_buf repaired = {0};
    int rc;

    conn->message_kind = 0;
    if (SQ_UNLIKELY(conn->trace))
        sq_ws_trace_message(conn->trace, kind == SQ_WS_KIND_TEXT, data);
    if (SQ_LIKELY(!conn->message_bad_utf8)) {
        conn->handler->message(conn->user, kind, data, ascii);
        return;
    }
    rc = sq_ws_utf8_replace(data, &repaired);
    if (rc == 0)
        rc = sq_buf_reserve(&repaired, SQ_WS_DATA_PADDING);
    if (rc == 0)
        conn->handler->message(conn->user, kind, sq_buf_slice(&repaired), false);
    else
        too_big(conn);
    sq_buf_deinit(&repaired);
}

/* Delivers what lies in `buf`. */
static void hand_over_buf(struct sq_ws_conn *conn, struct sq_buf *buf)
{
    if (sq_buf_reserve(buf, SQ_WS_DATA_PADDING) < 0)
        too_big(conn);
    else
        hand_over(conn, sq_buf_slice(buf));
}

/* Inflates a piece to the end of *out and looks at the new bytes. */
static bool inflate_piece(struct sq_ws_conn *conn, struct sq_slice in, bool last,
                          struct sq_buf *out)
{
    size_t before = out->len;
    int rc = sq_ws_inflate(conn->deflate, in, last, conn->message_bytes_max, out);

    if (out->len > before && !check_text(conn, out->data + before, out->len - before))
        return false;
    if (rc < 0)
        inflate_failed(conn, rc);
    return rc == 0;
}

static void inflate_whole(struct sq_ws_conn *conn, struct sq_slice in)
{
    struct sq_buf *out = &conn->codec->inflated;

    if (inflate_piece(conn, in, true, out) && check_text_end(conn))
        hand_over_buf(conn, out);
    sq_ws_buf_recycle(out);
}

static void message_complete(struct sq_ws_conn *conn, const struct whole *whole)
{
    struct sq_ws_incoming *in = conn->incoming;

    if (conn->message_deflated) {
        if (whole->set) {
            inflate_whole(conn, whole->payload);
            return;
        }
        in = incoming_of(conn);
        if (!inflate_piece(conn, sq_slice("", 0), true, &in->message))
            return;
    }
    if (!check_text_end(conn))
        return;
    if (whole->set || !in || in->message.len == 0) {
        /* An empty message has 16 readable bytes too. */
        static const uint8_t nothing[SQ_WS_DATA_PADDING];

        hand_over(conn, whole->set ? whole->payload : sq_slice(nothing, 0));
    } else {
        hand_over_buf(conn, &in->message);
        sq_ws_buf_recycle(&in->message);
    }
    tidy(conn);
}

static void drop_message(struct sq_ws_conn *conn)
{
    if (conn->incoming)
        sq_ws_buf_recycle(&conn->incoming->message);
    tidy(conn);
}

/* ---- events of the decoder; false: decode no further ---- */

static bool on_header(struct sq_ws_conn *conn)
{
    const struct sq_ws_frame *frame = &conn->decoder.frame;

    if (sq_ws_opcode_is_control(frame->opcode) || conn->close_sent)
        return true;
    if (frame->opcode != SQ_WS_OP_CONTINUATION) {
        conn->message_kind = frame->opcode == SQ_WS_OP_TEXT ? SQ_WS_KIND_TEXT : SQ_WS_KIND_BINARY;
        conn->message_deflated = frame->rsv1;
        conn->message_bad_utf8 = false;
        conn->message_bytes = 0;
        conn->utf8 = (struct sq_ws_utf8){0};
    }
    if (conn->message_deflated || !conn->message_bytes_max)
        return true;
    if (frame->len > conn->message_bytes_max - conn->message_bytes) {
        too_big(conn);
        return false;
    }
    conn->message_bytes += frame->len;
    return true;
}

static bool on_control_payload(struct sq_ws_conn *conn, struct sq_slice payload,
                               struct whole *whole)
{
    struct sq_ws_incoming *in;

    if (payload.len == conn->decoder.frame.len) {
        *whole = (struct whole){payload, true};
        return true;
    }
    in = incoming_of(conn);
    memcpy(in->control + in->control_len, payload.data, payload.len);
    in->control_len += (uint8_t)payload.len;
    return true;
}

static bool on_payload(struct sq_ws_conn *conn, struct sq_slice payload, struct whole *whole)
{
    const struct sq_ws_frame *frame = &conn->decoder.frame;
    bool single;
    int rc;

    if (sq_ws_opcode_is_control(frame->opcode))
        return on_control_payload(conn, payload, whole);
    if (conn->close_sent)
        return true; /* CL-4 */
    single = frame->fin && frame->opcode != SQ_WS_OP_CONTINUATION && payload.len == frame->len;
    if (!conn->message_deflated && !check_text(conn, payload.data, payload.len))
        return false;
    if (single) {
        *whole = (struct whole){payload, true};
        return true;
    }
    if (conn->message_deflated)
        return inflate_piece(conn, payload, false, &incoming_of(conn)->message);
    rc = sq_buf_append(&incoming_of(conn)->message, payload.data, payload.len);
    if (rc < 0)
        too_big(conn);
    return rc == 0;
}

static void on_control(struct sq_ws_conn *conn, const struct whole *whole)
{
    uint8_t opcode = conn->decoder.frame.opcode;
    struct sq_slice payload = sq_slice("", 0);

    if (whole->set)
        payload = whole->payload;
    else if (conn->incoming)
        payload = sq_slice(conn->incoming->control, conn->incoming->control_len);
    if (opcode == SQ_WS_OP_CLOSE) {
        sq_ws_conn_got_close(conn, payload);
    } else if (opcode == SQ_WS_OP_PING) {
        sq_ws_output_pong(conn, payload);
        if (!conn->paused)
            conn->handler->ping(conn->user, payload);
    } else if (!(conn->keepalive && sq_ws_keepalive_ponged(conn, payload)) && !conn->paused) {
        conn->handler->pong(conn->user, payload);
    }
    if (conn->incoming)
        conn->incoming->control_len = 0;
    tidy(conn);
}

static void on_frame_end(struct sq_ws_conn *conn, const struct whole *whole)
{
    if (sq_ws_opcode_is_control(conn->decoder.frame.opcode))
        on_control(conn, whole);
    else if (conn->close_sent)
        drop_message(conn);
    else if (conn->decoder.frame.fin)
        message_complete(conn, whole);
}

static void trace_frame_end(struct sq_ws_conn *conn)
{
    const struct sq_ws_frame *frame = &conn->decoder.frame;
    bool last = frame->fin && !sq_ws_opcode_is_control(frame->opcode) && !conn->close_sent;

    sq_ws_trace_frame_end(conn->trace, last && conn->message_deflated);
}

/* Returns the bytes that a pause keeps from being decoded. */
static size_t decode(struct sq_ws_conn *conn, struct sq_slice in)
{
    struct whole whole = {.set = false};
    struct sq_slice payload;

    while (!sq_ws_conn_deaf(conn) && !sq_ws_conn_holding(conn)) {
        switch (sq_ws_decode(&conn->decoder, &in, &payload)) {
        case SQ_WS_NEED_MORE:
            return 0;
        case SQ_WS_HEADER:
            whole.set = false;
            if (SQ_UNLIKELY(conn->trace))
                sq_ws_trace_header(conn->trace, &conn->decoder.frame);
            if (!on_header(conn))
                return 0;
            break;
        case SQ_WS_PAYLOAD:
            if (SQ_UNLIKELY(conn->trace))
                sq_ws_trace_payload(conn->trace, payload);
            if (!on_payload(conn, payload, &whole))
                return 0;
            break;
        case SQ_WS_FRAME_END:
            if (SQ_UNLIKELY(conn->trace))
                trace_frame_end(conn);
            on_frame_end(conn, &whole);
            break;
        default:
            sq_ws_conn_fail(conn, SQ_WS_CLOSE_PROTOCOL, sq_ws_decode_reason(&conn->decoder));
            return 0;
        }
    }
    return sq_ws_conn_deaf(conn) ? 0 : in.len;
}

/* ---- where the bytes come from ---- */

void sq_ws_input_bytes(struct sq_ws_conn *conn, struct sq_slice data)
{
    bool deaf = sq_ws_conn_deaf(conn);
    size_t left = decode(conn, data);
    struct sq_buf *stash;

    if (SQ_UNLIKELY(conn->trace) && deaf)
        sq_ws_trace_ignored(conn->trace, data);

    if (left == 0)
        return;
    /* Who pauses will pause again: read less at once, so that less has to be kept. */
    conn->read_shift = SQ_MIN(SQ_MAX(conn->read_shift + 1, READ_SHIFT_PAUSED), READ_SHIFT_MAX);
    stash = &incoming_of(conn)->stash;
    conn->incoming->stash_at = 0;
    if (sq_buf_reserve(stash, left + SQ_WS_DATA_PADDING) < 0) {
        too_big(conn);
        return;
    }
    sq_buf_put(stash, data.data + data.len - left, left);
}

/* False while bytes are still held back. */
static bool decode_stash(struct sq_ws_conn *conn)
{
    struct sq_ws_incoming *in = conn->incoming;
    size_t left;

    if (!in || in->stash.len == 0)
        return true;
    left = decode(conn, sq_slice(in->stash.data + in->stash_at, in->stash.len - in->stash_at));
    in->stash_at = in->stash.len - left;
    if (left > 0)
        return false;
    sq_ws_buf_recycle(&in->stash);
    in->stash_at = 0;
    tidy(conn);
    return true;
}

void sq_ws_input_read(struct sq_ws_conn *conn)
{
    uint8_t *buffer = sq_loop_read_buffer(conn->loop);
    size_t total = 0;

    while (conn->stream && !conn->eof && !sq_ws_conn_holding(conn)) {
        size_t want = (size_t)SQ_LOOP_READ_BYTES >> conn->read_shift;
        ssize_t got = sq_stream_read(conn->stream, buffer, want);

        if (got == 0)
            return;
        if (got == SQ_EEOF) {
            sq_ws_conn_got_eof(conn);
            return;
        }
        if (got < 0) {
            if (conn->ended || conn->released)
                sq_ws_conn_drop(conn, false);
            else
                sq_ws_conn_got_error(conn, (int)got);
            return;
        }
        sq_ws_input_bytes(conn, sq_slice(buffer, (size_t)got));
        total += (size_t)got;
        if (!conn->stream || ((size_t)got < want && !sq_stream_pending(conn->stream)))
            return;
        if (conn->read_shift && !sq_ws_conn_holding(conn))
            conn->read_shift--;
        if (total >= TURN_BYTES_MAX) {
            /* The descriptor does not tell of bytes that TLS has taken already. */
            if (sq_stream_pending(conn->stream))
                sq_ws_conn_work(conn, SQ_WS_WORK_CONTINUE);
            return;
        }
    }
}

void sq_ws_input_continue(struct sq_ws_conn *conn)
{
    if (!decode_stash(conn) || !conn->stream || conn->eof || sq_ws_conn_holding(conn))
        return;
    if (conn->parked) {
        int rc = sq_stream_watch(conn->stream, conn->loop, &conn->io, SQ_IO_READ);

        conn->parked = false;
        if (rc < 0) {
            sq_ws_conn_got_error(conn, rc);
            return;
        }
    }
    if (sq_stream_pending(conn->stream))
        sq_ws_input_read(conn);
}
