/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes for the kernel gather in `out`. A write offers its bytes to the library for the time of the
 * call; what of them went into frames that the kernel did not take is `owed`, and counts as written
 * once `out` has left. So the caller's count of unsent bytes is right to the byte, and nothing of a
 * message lies here that he believes to be gone. */
#include "net/h2.h"

#include <ctype.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "net/stream_private.h"

enum {
    OUT_BYTES_MAX = 64 * 1024,   /* gathered for one write to the kernel */
    FRAME_BYTES_MAX = 16384 - 9, /* payload of a DATA frame: with its header one TLS record */
    FEED_BYTES_MAX = 8 * 1024,   /* taken in before answers leave: 910 frames at most */
    TURN_BYTES_MAX = 512 * 1024, /* read before others have their turn */
    COMPACT_BYTES = 64 * 1024,   /* read bytes in front of others before these move */
    SPARE_BYTES = 2048,          /* the largest buffer that an idle connection keeps */
    INTERIMS_MAX = 8,            /* HR-2 */
    CONTINUATIONS_MAX = 16,      /* of one header block */
    UNANSWERED_MAX = 1000,       /* PING and SETTINGS that the server does not take answers to */
    NOTE_BYTES = 160,
};

struct text_at {
    uint32_t at, len;
};

/* The response while the handshake runs. */
struct response {
    struct sq_buf text; /* names and values of the block that is coming in */
    struct {
        struct text_at name, value;
    } fields[SQ_HTTP1_FIELDS_MAX];
    size_t count;
    int status;
    int interims;
    bool complete;
};

struct sq_h2 {
    struct sq_loop *loop;
    struct sq_stream *lower;
    nghttp2_session *session;
    struct sq_io io;             /* on the lower stream's descriptor */
    struct sq_deferred deferred; /* tells `user`, or reads on */
    struct sq_io *user;          /* NULL: nobody watches */
    struct response *response;   /* owned; NULL once it was taken */
    struct sq_buf out;           /* unsent from out_at on */
    struct sq_buf in;            /* unread from in_at on */
    size_t out_at, in_at;
    const uint8_t *offer; /* while a write runs */
    size_t offer_len;
    size_t owed_bytes;
    char *error_text; /* owned */
    int error;        /* what reading ends with, after the bytes that are here */
    int write_error;
    int32_t stream_id; /* 0: no request yet */
    uint32_t goaway_code;
    uint16_t continuations;
    bool settled, eof, ending;
    bool seen;             /* the server has sent something */
    bool lower_over;       /* nothing comes from below any more */
    bool closed;           /* the stream is gone on both sides */
    bool broken;           /* we told the server that it broke a rule */
    bool more;             /* the lower stream holds bytes that the descriptor does not tell of */
    char note[NOTE_BYTES]; /* what the library has against the server */
};

/* ---- failures ---- */

/* The first failure stays. `text` is owned. Returns `error`. */
static int failed(struct sq_h2 *h2, int error, char *text)
{
    if (h2->error) {
        free(text);
        return h2->error;
    }
    h2->error_text = text;
    return h2->error = error;
}

static int broke_rule(struct sq_h2 *h2, const char *what)
{
    return failed(h2, SQ_EPROTO, sq_xasprintf("http2: the server broke the protocol: %s", what));
}

static const char *code_name(uint32_t code)
{
    return nghttp2_http2_strerror(code);
}

/* ---- memory of the library: at sizes that it bounds ---- */

static void *mem_malloc(size_t bytes, void *user)
{
    (void)user;
    return sq_xmalloc(SQ_MAX(bytes, (size_t)1));
}

static void mem_free(void *p, void *user)
{
    (void)user;
    free(p);
}

static void *mem_calloc(size_t count, size_t bytes, void *user)
{
    (void)user;
    return sq_xcalloc(SQ_MAX(count, (size_t)1), SQ_MAX(bytes, (size_t)1));
}

static void *mem_realloc(void *p, size_t bytes, void *user)
{
    (void)user;
    return sq_xrealloc(p, SQ_MAX(bytes, (size_t)1));
}

/* ---- what the library tells ---- */

static struct text_at keep(struct response *r, const uint8_t *data, size_t len)
{
    struct text_at at = {(uint32_t)r->text.len, (uint32_t)len};

    sq_buf_put(&r->text, data, len);
    return at;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    struct sq_h2 *h2 = user;

    (void)session;
    h2->continuations = hd->type == NGHTTP2_CONTINUATION ? h2->continuations + 1 : 0;
    if (h2->continuations <= CONTINUATIONS_MAX)
        return 0;
    broke_rule(h2, "a header block without an end");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct sq_h2 *h2 = user;
    struct response *r = h2->response;

    (void)session, (void)frame;
    if (r && !r->complete) {
        r->text.len = 0;
        r->count = 0;
        r->status = 0;
    }
    return 0;
}

static int malformed(struct sq_h2 *h2, const char *why)
{
    failed(h2, SQ_EPROTO, sq_xasprintf("malformed HTTP response: %s", why));
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Trailers are of no use, and bounded by the library. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct sq_h2 *h2 = user;
    struct response *r = h2->response;
    struct sq_slice trimmed = sq_slice_trim(sq_slice(value, value_len));

    (void)session, (void)flags;
    if (!r || r->complete || frame->hd.stream_id != h2->stream_id)
        return 0;
    if (name_len > 0 && name[0] == ':') {
        /* The library has seen to it that these are three digits. */
        if (sq_slice_eq(sq_slice(name, name_len), sq_slice_str(":status")))
            for (size_t i = 0; i < value_len && i < 3; i++)
                r->status = r->status * 10 + (value[i] - '0');
        return 0;
    }
    if (r->text.len + name_len + value_len > SQ_HTTP1_HEAD_MAX)
        return malformed(h2, "head longer than 16 KiB");
    if (r->count == SQ_HTTP1_FIELDS_MAX)
        return malformed(h2, "more than 100 header lines");
    r->fields[r->count].name = keep(r, name, name_len);
    r->fields[r->count++].value = keep(r, trimmed.data, trimmed.len);
    return 0;
}

static int got_headers(struct sq_h2 *h2, const nghttp2_frame *frame)
{
    struct response *r = h2->response;

    if (frame->hd.stream_id != h2->stream_id || !r || r->complete)
        return 0;
    if (r->status >= 200)
        r->complete = true;
    else if (++r->interims > INTERIMS_MAX)
        return malformed(h2, "too many 1xx responses");
    return 0;
}

/* The server's bytes go to a log: printable ones only. */
static void put_note(struct sq_h2 *h2, const char *text, size_t len)
{
    size_t at = strlen(h2->note);

    for (size_t i = 0; i < len && at + 1 < sizeof h2->note; i++)
        h2->note[at++] = isprint((unsigned char)text[i]) ? text[i] : '?';
    h2->note[at] = 0;
}

static void got_goaway(struct sq_h2 *h2, const nghttp2_goaway *goaway)
{
    if (goaway->error_code == NGHTTP2_NO_ERROR || h2->goaway_code)
        return;
    h2->goaway_code = goaway->error_code;
    snprintf(h2->note, sizeof h2->note, "%s%s", code_name(goaway->error_code),
             goaway->opaque_data_len ? ": " : "");
    put_note(h2, (const char *)goaway->opaque_data, goaway->opaque_data_len);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct sq_h2 *h2 = user;
    int rc = 0;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
            h2->settled = true;
        break;
    case NGHTTP2_GOAWAY:
        got_goaway(h2, &frame->goaway);
        break;
    case NGHTTP2_HEADERS:
        rc = got_headers(h2, frame);
        /* fall through */
    case NGHTTP2_DATA:
        if (frame->hd.stream_id == h2->stream_id && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            h2->eof = true;
        break;
    default:
        break;
    }
    return rc;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *user)
{
    struct sq_h2 *h2 = user;

    (void)session, (void)flags;
    if (stream_id != h2->stream_id)
        return 0;
    if (h2->in_at > COMPACT_BYTES) {
        sq_buf_consume(&h2->in, h2->in_at);
        h2->in_at = 0;
    }
    sq_buf_put(&h2->in, data, len); /* the window has bounded it */
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *user)
{
    struct sq_h2 *h2 = user;

    (void)session, (void)frame;
    if (!h2->note[0])
        put_note(h2, nghttp2_strerror(error), strlen(nghttp2_strerror(error)));
    return 0;
}

/* The library's words for what made it end the connection. */
static int on_library_error(nghttp2_session *session, int error, const char *text, size_t len,
                            void *user)
{
    struct sq_h2 *h2 = user;

    (void)session;
    /* A header that it passes over is no failure. */
    if (!h2->note[0] && error != NGHTTP2_ERR_HTTP_HEADER)
        put_note(h2, text, len);
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct sq_h2 *h2 = user;

    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        h2->broken = true;
        if (!h2->note[0])
            put_note(h2, code_name(frame->goaway.error_code),
                     strlen(code_name(frame->goaway.error_code)));
    }
    return 0;
}

static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error,
                             void *user)
{
    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS)
        failed(user, SQ_EINVALID,
               sq_xasprintf("http2: the request cannot be sent: %s (are its headers too long?)",
                            nghttp2_strerror(error)));
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *user)
{
    struct sq_h2 *h2 = user;
    char what[64];

    (void)session;
    if (stream_id != h2->stream_id)
        return 0;
    h2->closed = true;
    if (h2->eof)
        return 0;
    if (h2->note[0] && !h2->goaway_code) {
        broke_rule(h2, h2->note);
    } else {
        snprintf(what, sizeof what, "http2: the server reset the stream (%s)", code_name(code));
        failed(h2, -ECONNRESET, sq_stream_text(h2->lower, "read", what));
    }
    return 0;
}

static ssize_t give_data(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct sq_h2 *h2 = user;
    size_t take = SQ_MIN(SQ_MIN(room, (size_t)FRAME_BYTES_MAX), h2->offer_len);

    (void)session, (void)stream_id, (void)source;
    if (take == 0 && h2->ending) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return 0;
    }
    if (take == 0)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(to, h2->offer, take);
    h2->offer += take;
    h2->offer_len -= take;
    h2->owed_bytes += take;
    return (ssize_t)take;
}

/* ---- out ---- */

static void recycle(struct sq_buf *buf, size_t *at)
{
    buf->len = *at = 0;
    if (buf->cap > SPARE_BYTES)
        sq_buf_deinit(buf);
}

static bool out_empty(const struct sq_h2 *h2)
{
    return h2->out_at == h2->out.len;
}

/* Frames that the library wants to send, up to a limit. */
static void gather(struct sq_h2 *h2)
{
    const uint8_t *frame;

    while (h2->out.len - h2->out_at < OUT_BYTES_MAX) {
        ssize_t len = nghttp2_session_mem_send(h2->session, &frame);

        if (len < 0)
            broke_rule(h2, nghttp2_strerror((int)len));
        if (len <= 0)
            return;
        sq_buf_put(&h2->out, frame, (size_t)len);
    }
}

/* 1: all is with the kernel; 0: it is full; else the write error. What comes in is still read after
 * one, as with TCP. */
static int put_out(struct sq_h2 *h2)
{
    if (h2->write_error)
        return h2->write_error;
    while (!out_empty(h2)) {
        ssize_t put =
            sq_stream_write(h2->lower, h2->out.data + h2->out_at, h2->out.len - h2->out_at);

        if (put == 0)
            return 0;
        if (put < 0) {
            h2->write_error = (int)put;
            recycle(&h2->out, &h2->out_at);
            return h2->write_error;
        }
        h2->out_at += (size_t)put;
    }
    recycle(&h2->out, &h2->out_at);
    return 1;
}

static int send_frames(struct sq_h2 *h2)
{
    int rc = put_out(h2);

    while (rc > 0 && nghttp2_session_want_write(h2->session)) {
        gather(h2);
        if (out_empty(h2))
            break;
        rc = put_out(h2);
    }
    return rc;
}

/* ---- readiness ---- */

static bool window_open(const struct sq_h2 *h2)
{
    return nghttp2_session_get_stream_remote_window_size(h2->session, h2->stream_id) > 0 &&
           nghttp2_session_get_remote_window_size(h2->session) > 0;
}

static unsigned readiness(const struct sq_h2 *h2)
{
    bool over = h2->eof || h2->error, requested = h2->stream_id != 0;
    unsigned ready = 0;

    if (over || sq_h2_pending(h2) || (h2->response && h2->response->complete))
        ready |= SQ_IO_READ;
    if (h2->error || h2->write_error || h2->closed)
        ready |= SQ_IO_WRITE;
    else if (!requested)
        ready |= h2->settled || over ? SQ_IO_WRITE : 0;
    else if (out_empty(h2) && (h2->response || h2->owed_bytes || window_open(h2)))
        ready |= SQ_IO_WRITE;
    return ready;
}

static void tell(struct sq_h2 *h2)
{
    if (h2->more || (h2->user && h2->user->events & readiness(h2)))
        sq_loop_defer(h2->loop, &h2->deferred);
}

static void watch_lower(struct sq_h2 *h2)
{
    if (h2->io.fd < 0)
        return;
    if (h2->lower_over || (h2->error && out_empty(h2))) {
        sq_io_stop(h2->loop, &h2->io);
        h2->io.fd = -1;
        return;
    }
    sq_io_update(h2->loop, &h2->io,
                 sq_stream_read_wants(h2->lower) |
                     (out_empty(h2) ? 0 : sq_stream_write_wants(h2->lower)));
}

/* ---- in ---- */

static void lower_ended(struct sq_h2 *h2, int status)
{
    h2->lower_over = true;
    if (h2->eof)
        return;
    if (h2->goaway_code)
        failed(h2, SQ_EPROTO,
               sq_xasprintf("http2: the server closed the connection: %s", h2->note));
    else if (status == SQ_EEOF)
        h2->eof = true;
    else
        failed(h2, status, sq_xstrdup(sq_stream_error_text(h2->lower)));
}

static bool is_http1(struct sq_slice bytes)
{
    return bytes.len >= 5 && memcmp(bytes.data, "HTTP/", 5) == 0;
}

/* False: no more can be taken in. */
static bool feed(struct sq_h2 *h2, struct sq_slice bytes)
{
    if (!h2->seen && is_http1(bytes))
        failed(h2, SQ_EPROTO,
               sq_xstrdup("http2: the server answered in HTTP/1: it does not speak HTTP/2 on this "
                          "port"));
    h2->seen = true;
    while (bytes.len > 0 && !h2->error) {
        size_t step = SQ_MIN(bytes.len, (size_t)FEED_BYTES_MAX);
        ssize_t used = nghttp2_session_mem_recv(h2->session, bytes.data, step);

        if (used < 0)
            broke_rule(h2,
                       h2->note[0] && !h2->goaway_code ? h2->note : nghttp2_strerror((int)used));
        send_frames(h2); /* a failure is for the writer */
        if (h2->broken)
            broke_rule(h2, h2->note);
        bytes = sq_slice(bytes.data + step, bytes.len - step);
    }
    return !h2->error;
}

static void pump(struct sq_h2 *h2)
{
    uint8_t *buffer = sq_loop_read_buffer(h2->loop);
    size_t total = 0;

    while (!h2->lower_over && !h2->error) {
        ssize_t got = sq_stream_read(h2->lower, buffer, SQ_LOOP_READ_BYTES);

        if (got == 0)
            return;
        if (got < 0) {
            lower_ended(h2, (int)got);
            return;
        }
        total += (size_t)got;
        if (!feed(h2, sq_slice(buffer, (size_t)got)))
            return;
        if (got < SQ_LOOP_READ_BYTES && !sq_stream_pending(h2->lower))
            return;
        if (total >= TURN_BYTES_MAX) {
            h2->more = sq_stream_pending(h2->lower);
            return;
        }
    }
}

static void io_ready(struct sq_io *io, unsigned events)
{
    struct sq_h2 *h2 = SQ_CONTAINER_OF(io, struct sq_h2, io);

    (void)events; /* an error shows itself in the next call */
    send_frames(h2);
    pump(h2);
    watch_lower(h2);
    tell(h2);
}

static void run_deferred(struct sq_deferred *deferred)
{
    struct sq_h2 *h2 = SQ_CONTAINER_OF(deferred, struct sq_h2, deferred);
    unsigned events;

    if (h2->more) {
        h2->more = false;
        pump(h2);
        watch_lower(h2);
        tell(h2);
    }
    events = h2->user ? h2->user->events & readiness(h2) : 0;
    if (events)
        h2->user->ready(h2->user, events); /* may free all of this */
}

void sq_h2_watch(struct sq_h2 *h2, struct sq_io *user, unsigned events)
{
    h2->user = user;
    user->events = events;
    tell(h2);
}

void sq_h2_unwatch(struct sq_h2 *h2)
{
    h2->user = NULL;
}

/* ---- life ---- */

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *c;

    if (nghttp2_session_callbacks_new(&c) != 0)
        sq_panic("http2: no memory");
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
    nghttp2_session_callbacks_set_error_callback2(c, on_library_error);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    return c;
}

static nghttp2_session *session_new(struct sq_h2 *h2)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, SQ_H2_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, SQ_HTTP1_HEAD_MAX},
    };
    nghttp2_mem mem = {NULL, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session_callbacks *callbacks = callbacks_new();
    nghttp2_option *option;
    nghttp2_session *session;

    if (nghttp2_option_new(&option) != 0)
        sq_panic("http2: no memory");
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_max_outbound_ack(option, UNANSWERED_MAX);
    if (nghttp2_session_client_new3(&session, callbacks, h2, option, &mem) != 0 ||
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, SQ_COUNT(settings)) != 0 ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, SQ_H2_WINDOW_BYTES) !=
            0)
        sq_panic("http2: libnghttp2 makes no session");
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

struct sq_h2 *sq_h2_new(struct sq_loop *loop, struct sq_stream *lower)
{
    struct sq_h2 *h2 = sq_xcalloc(1, sizeof *h2);
    int rc;

    h2->loop = loop;
    h2->lower = lower;
    h2->io = (struct sq_io){.ready = io_ready, .fd = -1};
    h2->deferred.run = run_deferred;
    sq_list_init(&h2->deferred.node);
    h2->response = sq_xcalloc(1, sizeof *h2->response);
    h2->session = session_new(h2);
    send_frames(h2);
    rc = sq_io_start(loop, &h2->io, sq_stream_fd(lower), SQ_IO_READ);
    if (rc < 0)
        failed(h2, rc, sq_xstrdup(sq_status_text(rc)));
    h2->more = sq_stream_pending(lower); /* bytes that TLS or a tunnel holds already */
    watch_lower(h2);
    tell(h2);
    return h2;
}

static void response_free(struct response *response)
{
    if (response)
        sq_buf_deinit(&response->text);
    free(response);
}

/* Last words, as far as the kernel takes them at once. */
static void say_goodbye(struct sq_h2 *h2, bool reset)
{
    if (h2->write_error || h2->lower_over)
        return;
    if (h2->stream_id && !h2->closed && (reset || h2->response)) {
        (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, h2->stream_id,
                                        NGHTTP2_CANCEL);
    } else if (h2->stream_id) {
        h2->ending = true;
        (void)nghttp2_session_resume_data(h2->session, h2->stream_id);
    }
    send_frames(h2); /* the library sends no DATA behind a GOAWAY */
    if (!h2->broken)
        (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_NO_ERROR);
    send_frames(h2);
}

void sq_h2_free(struct sq_h2 *h2, bool reset)
{
    if (!h2)
        return;
    say_goodbye(h2, reset);
    if (h2->io.fd >= 0)
        sq_io_stop(h2->loop, &h2->io);
    sq_list_remove(&h2->deferred.node);
    nghttp2_session_del(h2->session);
    response_free(h2->response);
    sq_buf_deinit(&h2->out);
    sq_buf_deinit(&h2->in);
    free(h2->error_text);
    free(h2);
}

/* ---- the handshake ---- */

bool sq_h2_settled(const struct sq_h2 *h2)
{
    return h2->settled;
}

/* Whether the server's SETTINGS let a WebSocket begin. */
static int check_settings(struct sq_h2 *h2)
{
    if (nghttp2_session_get_remote_settings(h2->session,
                                            NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) != 1)
        return failed(h2, SQ_EPROTO,
                      sq_xstrdup("http2: the server takes no WebSocket over HTTP/2 (its SETTINGS "
                                 "lack ENABLE_CONNECT_PROTOCOL, RFC 8441); connect without http2"));
    if (nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) ==
        0)
        return failed(h2, SQ_EPROTO,
                      sq_xstrdup("http2: the server allows no streams (its SETTINGS say "
                                 "MAX_CONCURRENT_STREAMS=0)"));
    return 0;
}

/* Takes "name: value\r\n" off *block; a pseudo-header's name begins with a colon. */
static nghttp2_nv next_line(struct sq_slice *block)
{
    const uint8_t *line = block->data;
    const uint8_t *end = memmem(line, block->len, "\r\n", 2);
    const uint8_t *colon = end ? memchr(line + 1, ':', (size_t)(end - line) - 1) : NULL;

    sq_assert(colon && colon + 2 <= end);
    *block = sq_slice(end + 2, block->len - (size_t)(end + 2 - line));
    return (nghttp2_nv){.name = (uint8_t *)line,
                        .namelen = (size_t)(colon - line),
                        .value = (uint8_t *)colon + 2,
                        .valuelen = (size_t)(end - colon - 2)};
}

static int submit(struct sq_h2 *h2, struct sq_slice block)
{
    nghttp2_data_provider provider = {.read_callback = give_data};
    nghttp2_nv *lines = sq_xcalloc(block.len / 4 + 1, sizeof *lines);
    size_t count = 0;

    while (block.len > 0)
        lines[count++] = next_line(&block);
    int32_t id = nghttp2_submit_request(h2->session, NULL, lines, count, &provider, NULL);
    free(lines);
    if (id < 0)
        return failed(h2, SQ_EINVALID,
                      sq_xasprintf("http2: the request cannot be sent: %s", nghttp2_strerror(id)));
    h2->stream_id = id;
    return 0;
}

int sq_h2_request(struct sq_h2 *h2, struct sq_slice block)
{
    int rc;

    if (h2->error)
        return h2->error;
    if (h2->eof)
        return SQ_EEOF;
    if (h2->stream_id == 0) {
        if (!h2->settled)
            return 0;
        rc = check_settings(h2);
        if (rc == 0)
            rc = submit(h2, block);
        if (rc < 0)
            return rc;
    }
    rc = send_frames(h2);
    watch_lower(h2);
    return h2->error ? h2->error : rc;
}

int sq_h2_response(struct sq_h2 *h2, struct sq_buf *text, struct sq_http1_head *head)
{
    struct response *r = h2->response;

    if (!r || !r->complete)
        return h2->error ? h2->error : h2->eof ? SQ_EEOF : 0;
    *text = r->text;
    *head = (struct sq_http1_head){.minor = 1, .status = r->status, .fields_count = r->count};
    for (size_t i = 0; i < r->count; i++)
        head->fields[i] = (struct sq_http1_field){
            sq_slice(text->data + r->fields[i].name.at, r->fields[i].name.len),
            sq_slice(text->data + r->fields[i].value.at, r->fields[i].value.len)};
    free(r);
    h2->response = NULL;
    return 1;
}

/* ---- bytes ---- */

bool sq_h2_pending(const struct sq_h2 *h2)
{
    return h2->in_at < h2->in.len;
}

ssize_t sq_h2_read(struct sq_h2 *h2, void *data, size_t len)
{
    size_t take = SQ_MIN(len, h2->in.len - h2->in_at);

    if (take == 0)
        return h2->eof ? SQ_EEOF : h2->error;
    memcpy(data, h2->in.data + h2->in_at, take);
    h2->in_at += take;
    if (!sq_h2_pending(h2))
        recycle(&h2->in, &h2->in_at);
    /* The window opens again; of a stream that is gone, the connection's. */
    (void)nghttp2_session_consume(h2->session, h2->stream_id, take);
    send_frames(h2);
    watch_lower(h2);
    return (ssize_t)take;
}

bool sq_h2_write_stuck(const struct sq_h2 *h2)
{
    return h2->owed_bytes > 0;
}

static ssize_t write_over(const struct sq_h2 *h2)
{
    if (h2->write_error)
        return h2->write_error;
    if (h2->error)
        return h2->error;
    return h2->closed || h2->ending ? -EPIPE : 0;
}

ssize_t sq_h2_write(struct sq_h2 *h2, const void *data, size_t len)
{
    size_t total = 0;

    for (;;) {
        int rc = send_frames(h2);
        ssize_t over = write_over(h2);

        if (over < 0)
            return over;
        if (rc == 0)
            break;
        sq_assert(h2->owed_bytes <= len - total);
        total += h2->owed_bytes;
        h2->owed_bytes = 0;
        if (total == len || !window_open(h2))
            break;
        h2->offer = (const uint8_t *)data + total;
        h2->offer_len = len - total;
        (void)nghttp2_session_resume_data(h2->session, h2->stream_id);
        gather(h2);
        h2->offer = NULL;
        h2->offer_len = 0;
        if (out_empty(h2))
            break;
    }
    watch_lower(h2);
    return (ssize_t)total;
}

void sq_h2_shutdown_write(struct sq_h2 *h2)
{
    if (h2->ending || !h2->stream_id)
        return;
    h2->ending = true;
    (void)nghttp2_session_resume_data(h2->session, h2->stream_id);
    send_frames(h2);
    watch_lower(h2);
}

const char *sq_h2_error_text(const struct sq_h2 *h2)
{
    if (h2->error_text)
        return h2->error_text;
    if (h2->write_error)
        return sq_stream_error_text(h2->lower);
    return h2->closed ? "http2: the stream is closed" : h2->eof ? "EOF" : "";
}
