/* SPDX-License-Identifier: Apache-2.0 */
/* Output of a WebSocket connection: frames are masked straight into a chunk of the loop's pool,
 * which leaves at the end of the turn; what the kernel does not take waits in the backlog. Rules
 * FW, CT-1, CT-2, CL-5.
 *
 *   kernel <- [chunk: at .. end) <- [backlog: at .. len)
 *
 * A frame lies wholly in one of the two. How much of the frame in front has left is known
 * (front_*), and the headers behind it are read where they lie when the kernel takes a part. */
#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "net/ws_conn_private.h"
#include "proto/ws/close.h"
#include "proto/ws/mask.h"

static void backlog_free(struct sq_ws_conn *conn)
{
    if (conn->backlog)
        sq_buf_deinit(&conn->backlog->buf);
    free(conn->backlog);
    conn->backlog = NULL;
}

static void gather_end(struct sq_ws_conn *conn)
{
    if (sq_list_empty(&conn->gather_node))
        return;
    sq_list_remove(&conn->gather_node);
    conn->codec->gathering_count--;
}

static void chunk_free(struct sq_ws_conn *conn)
{
    gather_end(conn);
    sq_loop_chunk_release(conn->loop, conn->chunk);
    conn->chunk = NULL;
    conn->chunk_at = conn->chunk_end = 0;
}

void sq_ws_output_discard(struct sq_ws_conn *conn)
{
    chunk_free(conn);
    backlog_free(conn);
    conn->front_header_left = 0;
    conn->front_payload_left = 0;
    conn->lost_message_bytes += conn->out_message_bytes;
    conn->out_message_bytes = 0;
    conn->repeat_bytes = 0;
    conn->out_blocked = false;
}

static size_t queued_bytes(const struct sq_ws_conn *conn)
{
    return (size_t)(conn->chunk_end - conn->chunk_at) +
           (conn->backlog ? conn->backlog->buf.len - conn->backlog->at : 0);
}

/* ---- bytes that left ---- */

/* Moves the front over a header of ours at `p`. */
static void front_begin(struct sq_ws_conn *conn, const uint8_t *p)
{
    uint64_t len = p[1] & 0x7f;
    unsigned len_bytes = len == 126 ? 2 : len == 127 ? 8 : 0;

    if (len_bytes) {
        len = 0;
        for (unsigned i = 0; i < len_bytes; i++)
            len = len << 8 | p[2 + i];
    }
    conn->front_header_left = (uint8_t)(2 + len_bytes + 4);
    conn->front_payload_left = len;
    conn->front_counts = !sq_ws_opcode_is_control(p[0] & 0x0f);
}

static void front_message_bytes(struct sq_ws_conn *conn, uint64_t bytes)
{
    /* Compressed messages count with their size before it, so the parts need not add up. */
    if (conn->front_counts)
        conn->out_message_bytes -= SQ_MIN(bytes, conn->out_message_bytes);
}

/* The kernel took `len` bytes at `p`, not all that is queued. */
static void front_advance(struct sq_ws_conn *conn, const uint8_t *p, size_t len)
{
    while (len > 0) {
        size_t step;

        if (conn->front_header_left == 0 && conn->front_payload_left == 0)
            front_begin(conn, p);
        if (conn->front_header_left) {
            step = SQ_MIN(len, (size_t)conn->front_header_left);
            conn->front_header_left -= (uint8_t)step;
        } else {
            step = (size_t)SQ_MIN((uint64_t)len, conn->front_payload_left);
            conn->front_payload_left -= step;
            front_message_bytes(conn, step);
        }
        p += step;
        len -= step;
    }
}

static void note_level(struct sq_ws_conn *conn)
{
    size_t queued = queued_bytes(conn);

    if (queued > SQ_WS_HIGH_WATER)
        conn->out_high = true;
    else if (conn->out_high && queued <= SQ_WS_HIGH_WATER / 4) {
        conn->out_high = false;
        conn->drained_due = true;
    }
}

static int write_failed(struct sq_ws_conn *conn, int error)
{
    sq_ws_output_discard(conn);
    if (!conn->write_error) {
        conn->write_error = error;
        conn->write_text = sq_xstrdup(sq_stream_error_text(conn->stream));
    }
    return conn->write_error;
}

/* What the kernel takes of data[0..len): 0 when it is full, or the write error. */
static ssize_t write_some(struct sq_ws_conn *conn, const uint8_t *data, size_t len)
{
    ssize_t put = sq_stream_write(conn->stream, data, len);

    if (put < 0)
        return write_failed(conn, (int)put);
    conn->repeat_bytes = sq_stream_write_stuck(conn->stream) ? len - (size_t)put : 0;
    if (put > 0 && conn->released)
        sq_ws_conn_lingers_on(conn);
    return put;
}

static int flush_chunk(struct sq_ws_conn *conn)
{
    while (conn->chunk_at < conn->chunk_end) {
        const uint8_t *p = conn->chunk + conn->chunk_at;
        size_t len = (size_t)(conn->chunk_end - conn->chunk_at);
        ssize_t put = write_some(conn, p, len);

        if (put <= 0)
            return (int)put;
        if ((size_t)put < len || conn->backlog || conn->front_header_left ||
            conn->front_payload_left)
            front_advance(conn, p, (size_t)put);
        conn->chunk_at += (uint16_t)put;
    }
    if (conn->chunk)
        chunk_free(conn);
    return 1;
}

static void backlog_compact(struct sq_ws_backlog *backlog)
{
    if (backlog->at > SQ_WS_BACKLOG_COMPACT && backlog->at > backlog->buf.len / 2) {
        sq_buf_consume(&backlog->buf, backlog->at);
        backlog->at = 0;
    }
}

static int flush_backlog(struct sq_ws_conn *conn)
{
    struct sq_ws_backlog *backlog = conn->backlog;

    while (backlog->at < backlog->buf.len) {
        const uint8_t *p = backlog->buf.data + backlog->at;
        ssize_t put = write_some(conn, p, SQ_MIN(backlog->buf.len - backlog->at, (size_t)1 << 20));

        if (put <= 0)
            return (int)put;
        front_advance(conn, p, (size_t)put);
        backlog->at += (size_t)put;
        backlog_compact(backlog);
    }
    return 1;
}

/* The queue ran empty: a Pong that waited behind the cap may go now. */
static void backlog_done(struct sq_ws_conn *conn)
{
    struct sq_ws_backlog *backlog = conn->backlog;

    conn->backlog = NULL;
    if (backlog->pong_waiting && !conn->close_sent)
        sq_ws_output_pong(conn, sq_slice(backlog->pong, backlog->pong_len));
    sq_buf_deinit(&backlog->buf);
    free(backlog);
}

int sq_ws_output_flush(struct sq_ws_conn *conn)
{
    int rc = 1;

    if (!conn->stream || conn->write_error)
        return conn->write_error;
    rc = flush_chunk(conn);
    if (rc > 0 && conn->backlog)
        rc = flush_backlog(conn);
    if (rc < 0)
        return rc;
    conn->out_blocked = rc == 0;
    if (rc == 0) {
        gather_end(conn);
    } else {
        conn->front_header_left = 0;
        conn->front_payload_left = 0;
        conn->out_message_bytes = conn->queueing_bytes;
        if (conn->backlog)
            backlog_done(conn);
    }
    note_level(conn);
    return 0;
}

void sq_ws_output_truncate(struct sq_ws_conn *conn)
{
    struct sq_ws_backlog *backlog;
    size_t keep, in_chunk;
    uint64_t before;

    if (sq_ws_output_flush(conn) < 0 || sq_ws_output_empty(conn))
        return;
    /* TLS holds a record made of these bytes: they cannot be taken back. */
    if (conn->repeat_bytes > 0)
        return;
    backlog = conn->backlog;
    keep = conn->front_header_left + (size_t)conn->front_payload_left;
    in_chunk = (size_t)(conn->chunk_end - conn->chunk_at);
    before = conn->out_message_bytes;
    conn->out_message_bytes = conn->front_counts ? SQ_MIN(conn->front_payload_left, before) : 0;
    conn->lost_message_bytes += before - conn->out_message_bytes;
    if (keep <= in_chunk) {
        conn->chunk_end = (uint16_t)(conn->chunk_at + keep);
        if (keep == 0)
            chunk_free(conn);
        backlog_free(conn);
        return;
    }
    if (backlog)
        backlog->buf.len = backlog->at + keep;
}

/* ---- frames in ---- */

static struct sq_ws_backlog *backlog_of(struct sq_ws_conn *conn)
{
    if (!conn->backlog)
        conn->backlog = sq_xcalloc(1, sizeof *conn->backlog);
    return conn->backlog;
}

static int no_memory(struct sq_ws_conn *conn, int error)
{
    /* A hole in the byte stream cannot be mended. */
    sq_ws_output_discard(conn);
    if (!conn->write_error) {
        conn->write_error = error;
        conn->write_text = sq_xstrdup("websocket: no memory for queued output");
    }
    return conn->write_error;
}

static int to_backlog(struct sq_ws_conn *conn, const struct sq_ws_frame *frame, const void *data)
{
    struct sq_ws_backlog *backlog = backlog_of(conn);
    int rc = sq_buf_reserve(&backlog->buf, SQ_WS_HEADER_MAX + (size_t)frame->len);

    if (rc < 0)
        return no_memory(conn, rc);
    backlog->buf.len += sq_ws_frame_write(backlog->buf.data + backlog->buf.len, frame, data);
    note_level(conn);
    return 0;
}

/* What the kernel left of a large frame: scratch[0..scratch_len) and then data[at..). */
struct left_over {
    const uint8_t *scratch;
    size_t scratch_len;
    const uint8_t *data;
    size_t at;
};

static int large_to_backlog(struct sq_ws_conn *conn, const struct sq_ws_frame *frame,
                            const struct left_over *left)
{
    struct sq_buf *buf = &backlog_of(conn)->buf;
    size_t more = (size_t)frame->len - left->at;
    int rc = sq_buf_reserve(buf, left->scratch_len + more);

    if (rc < 0)
        return no_memory(conn, rc);
    memcpy(buf->data + buf->len, left->scratch, left->scratch_len);
    buf->len += left->scratch_len;
    sq_ws_mask_copy(buf->data + buf->len, left->data + left->at, more, frame->key, left->at);
    buf->len += more;
    conn->out_blocked = true;
    note_level(conn);
    return 0;
}

/* A frame that no chunk holds, while nothing else is queued: masked piece by piece and written at
 * once. */
static int write_large(struct sq_ws_conn *conn, const struct sq_ws_frame *frame,
                       const uint8_t *data)
{
    uint8_t *scratch = sq_ws_codec_scratch(conn->codec);
    size_t filled = sq_ws_frame_header(scratch, frame), done = 0;

    conn->front_header_left = (uint8_t)filled;
    conn->front_payload_left = frame->len;
    conn->front_counts = !sq_ws_opcode_is_control(frame->opcode);
    while (filled > 0 || done < frame->len) {
        size_t more = SQ_MIN(SQ_WS_SCRATCH_BYTES - filled, (size_t)frame->len - done);
        size_t at = 0;

        sq_ws_mask_copy(scratch + filled, data + done, more, frame->key, done);
        filled += more;
        done += more;
        while (at < filled) {
            ssize_t put = write_some(conn, scratch + at, filled - at);

            if (put < 0)
                return (int)put;
            front_advance(conn, scratch + at, (size_t)put);
            at += (size_t)put;
            if (put == 0) {
                struct left_over left = {scratch + at, filled - at, data, done};

                return large_to_backlog(conn, frame, &left);
            }
        }
        filled = 0;
    }
    return 0;
}

/* Takes a chunk. When thousands send in one turn the oldest go first, so that a few chunks, warm in
 * the cache, serve all. What else the others need is done by their deferred runs. */
static void chunk_begin(struct sq_ws_conn *conn)
{
    struct sq_ws_codec *codec = conn->codec;

    if (codec->gathering_count == SQ_WS_GATHER_MAX)
        sq_ws_output_flush(SQ_CONTAINER_OF(codec->gathering.next, struct sq_ws_conn, gather_node));
    conn->chunk = sq_loop_chunk_acquire(conn->loop);
    sq_list_append(&codec->gathering, &conn->gather_node);
    codec->gathering_count++;
}

static void to_chunk(struct sq_ws_conn *conn, const struct sq_ws_frame *frame, const void *data)
{
    if (!conn->chunk)
        chunk_begin(conn);
    conn->chunk_end += (uint16_t)sq_ws_frame_write(conn->chunk + conn->chunk_end, frame, data);
    /* A blocked queue leaves when the descriptor is writable again. */
    if (!conn->out_blocked)
        sq_ws_conn_work(conn, SQ_WS_WORK_FLUSH);
}

int sq_ws_output_frame(struct sq_ws_conn *conn, const struct sq_ws_frame *frame, const void *data)
{
    if (SQ_UNLIKELY(conn->trace))
        sq_ws_trace_sent(conn->trace, frame, data);
    if (conn->backlog)
        return to_backlog(conn, frame, data);
    if (SQ_UNLIKELY(conn->chunk_end + SQ_WS_HEADER_MAX + frame->len > SQ_LOOP_CHUNK_BYTES)) {
        int rc = conn->out_blocked ? 0 : sq_ws_output_flush(conn);

        if (rc < 0)
            return rc;
        if (!sq_ws_output_empty(conn))
            return to_backlog(conn, frame, data);
        if (SQ_WS_HEADER_MAX + frame->len > SQ_LOOP_CHUNK_BYTES)
            return write_large(conn, frame, data);
    }
    to_chunk(conn, frame, data);
    return 0;
}

static int control_frame(struct sq_ws_conn *conn, uint8_t opcode, struct sq_slice payload)
{
    struct sq_ws_frame frame = {
        .len = payload.len, .key = sq_random_u32(), .opcode = opcode, .fin = true, .masked = true};

    return sq_ws_output_frame(conn, &frame, payload.data);
}

void sq_ws_output_pong(struct sq_ws_conn *conn, struct sq_slice payload)
{
    if (conn->close_sent || conn->write_error || !conn->stream)
        return;
    if (conn->out_blocked) {
        struct sq_ws_backlog *backlog = backlog_of(conn);

        if (backlog->pongs == SQ_WS_PONGS_QUEUED_MAX) {
            backlog->pong_waiting = true;
            backlog->pong_len = (uint8_t)payload.len;
            if (payload.len)
                memcpy(backlog->pong, payload.data, payload.len);
            return;
        }
        backlog->pongs++;
    }
    /* A failed write is kept for the user's next call; reading tells him earlier. */
    control_frame(conn, SQ_WS_OP_PONG, payload);
}

int sq_ws_output_close(struct sq_ws_conn *conn, uint16_t code, struct sq_slice reason)
{
    uint8_t payload[SQ_WS_CONTROL_MAX];
    size_t len = sq_ws_close_build(payload, code, reason);
    int rc = control_frame(conn, SQ_WS_OP_CLOSE, sq_slice(payload, len));

    if (rc < 0)
        return rc;
    conn->close_sent = true;
    return conn->out_blocked ? 0 : sq_ws_output_flush(conn);
}

/* ---- the user's calls ---- */

static int may_send(const struct sq_ws_conn *conn)
{
    if (conn->write_error)
        return conn->write_error;
    if (conn->close_sent)
        return -EPIPE;
    return conn->state == SQ_WS_OPEN && conn->stream ? 0 : -ENOTCONN;
}

/* `extra_bytes`: what compression saved, so that bufferedAmount counts the message as it was given.
 */
static int send_frames(struct sq_ws_conn *conn, uint8_t opcode, bool rsv1, struct sq_slice data,
                       uint64_t extra_bytes)
{
    size_t step = conn->fragment_bytes && conn->fragment_bytes < data.len
                      ? (size_t)conn->fragment_bytes
                      : data.len;
    int rc;

    do {
        size_t len = SQ_MIN(step, data.len);
        struct sq_ws_frame frame = {.len = len,
                                    .key = sq_random_u32(),
                                    .opcode = opcode,
                                    .fin = len == data.len,
                                    .rsv1 = rsv1,
                                    .masked = true};

        conn->queueing_bytes = len + extra_bytes;
        conn->out_message_bytes += conn->queueing_bytes;
        rc = sq_ws_output_frame(conn, &frame, data.data);
        conn->queueing_bytes = 0;
        extra_bytes = 0;
        opcode = SQ_WS_OP_CONTINUATION;
        rsv1 = false;
        data = sq_slice(data.len ? data.data + len : data.data, data.len - len);
    } while (rc == 0 && data.len > 0);
    return rc;
}

int sq_ws_conn_send(struct sq_ws_conn *conn, enum sq_ws_opcode_kind kind, struct sq_slice data)
{
    uint8_t opcode = kind == SQ_WS_KIND_TEXT ? SQ_WS_OP_TEXT : SQ_WS_OP_BINARY;
    int rc = may_send(conn);

    if (rc < 0)
        return rc;
    if (!conn->deflate) {
        rc = send_frames(conn, opcode, false, data, 0);
    } else {
        struct sq_buf *deflated = &conn->codec->deflated;

        rc = sq_ws_deflate_message(conn->deflate, data, deflated);
        if (rc < 0)
            return no_memory(conn, rc);
        if (SQ_UNLIKELY(conn->trace))
            sq_ws_trace_plain(conn->trace, data);
        if (rc > 0)
            rc = send_frames(conn, opcode, true, sq_buf_slice(deflated),
                             data.len > deflated->len ? data.len - deflated->len : 0);
        else
            rc = send_frames(conn, opcode, false, data, 0);
        if (SQ_UNLIKELY(conn->trace))
            sq_ws_trace_plain(conn->trace, sq_slice(NULL, 0));
        sq_ws_buf_recycle(deflated);
    }
    if (sq_ws_output_empty(conn))
        conn->out_message_bytes = 0;
    sq_ws_conn_after_call(conn);
    return rc;
}

int sq_ws_conn_ping(struct sq_ws_conn *conn, struct sq_slice payload)
{
    int rc = may_send(conn);

    if (rc < 0)
        return rc;
    if (payload.len > SQ_WS_CONTROL_MAX)
        return SQ_EINVALID;
    rc = control_frame(conn, SQ_WS_OP_PING, payload);
    if (rc == 0 && conn->keepalive)
        sq_ws_keepalive_pinged(conn);
    sq_ws_conn_after_call(conn);
    return rc;
}

int sq_ws_conn_close(struct sq_ws_conn *conn, uint16_t code, struct sq_slice reason)
{
    int rc = may_send(conn);

    if (rc < 0)
        return rc;
    if (conn->close_received)
        sq_ws_output_truncate(conn);
    rc = sq_ws_output_close(conn, code, reason);
    if (conn->close_sent)
        sq_ws_conn_closing(conn);
    sq_ws_conn_after_call(conn);
    return rc;
}

const char *sq_ws_conn_error_text(const struct sq_ws_conn *conn, int rc)
{
    if (conn->write_error && rc == conn->write_error && conn->write_text)
        return conn->write_text;
    if (rc == -EPIPE && conn->close_sent)
        return "websocket: close sent";
    if (rc == -ENOTCONN)
        return "websocket: not connected";
    return sq_status_text(rc);
}

uint64_t sq_ws_conn_buffered(const struct sq_ws_conn *conn)
{
    return conn->out_message_bytes;
}

uint64_t sq_ws_conn_lost(const struct sq_ws_conn *conn)
{
    return conn->lost_message_bytes;
}

bool sq_ws_conn_close_sent(const struct sq_ws_conn *conn)
{
    return conn->close_sent;
}
