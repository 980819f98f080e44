/* SPDX-License-Identifier: Apache-2.0 */
#include "js/ws/ws_session.h"

#include <stdlib.h>

#include "base/clock.h"

struct ws_session *ws_session_new(struct sq_js_instance *self)
{
    struct ws_session *s = sq_xcalloc(1, sizeof *s);

    s->self = self;
    s->rt = JS_GetRuntime(self->cell->ctx);
    s->refs = 1;
    s->queue_tail = &s->queue;
    for (size_t i = 0; i < SQ_COUNT(s->bound); i++)
        s->bound[i] = JS_UNDEFINED;
    sq_list_append(&self->sessions, &s->node);
    return s;
}

struct ws_session *ws_session_ref(struct ws_session *s)
{
    s->refs++;
    return s;
}

static void drop_queue(struct ws_session *s)
{
    for (struct ws_queued *e = s->queue, *next; e; e = next) {
        next = e->next;
        free(e);
    }
    s->queue = NULL;
    s->queue_tail = &s->queue;
    s->queue_bytes = 0;
}

static void drop_handlers(struct ws_session *s, bool keep_errors)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->handlers_count; i++) {
        struct ws_handler h = s->handlers[i];
        if (keep_errors && h.kind == WS_ERROR)
            s->handlers[kept++] = h;
        else
            JS_FreeValueRT(s->rt, h.fn);
    }
    s->handlers_count = kept;
    if (kept == 0) {
        free(s->handlers);
        s->handlers = NULL;
        s->handlers_cap = 0;
    }
}

void ws_session_retire(struct ws_session *s)
{
    JSContext *ctx = s->self->cell->ctx;

    s->over = s->closed = true;
    s->in_loop = false;
    if (s->conn) {
        sq_ws_conn_release(s->conn);
        s->conn = NULL;
    }
    sq_list_remove(&s->node);
    drop_queue(s);
    drop_handlers(s, true);
    for (size_t i = 0; i < s->timers_count; i++)
        JS_FreeValue(ctx, s->timers[i].fn);
    free(s->timers);
    s->timers = NULL;
    s->timers_count = s->timers_cap = 0;
    for (size_t i = 0; i < SQ_COUNT(s->bound); i++) {
        JSValue fn = s->bound[i];
        s->bound[i] = JS_UNDEFINED;
        JS_FreeValue(ctx, fn);
    }
    sq_buf_deinit(&s->outcome.text);
    sq_tagset_unref(s->tags);
    s->tags = NULL;
    free(s->ping_sent_ns);
    s->ping_sent_ns = NULL;
}

void ws_session_unref(struct ws_session *s)
{
    if (--s->refs)
        return;
    drop_handlers(s, false);
    free(s->write_error);
    free(s);
}

void ws_session_cut(struct ws_session *s)
{
    s->closed = true;
    if (!s->conn)
        return;
    if (!sq_ws_conn_close_sent(s->conn) && s->outcome.opened)
        (void)!sq_ws_conn_close(s->conn, 1001, (struct sq_slice){0});
    sq_ws_conn_release(s->conn);
    s->conn = NULL;
}

/* ---- loop side ---- */

static void queue_event(struct ws_session *s, enum ws_event_kind kind, struct sq_slice data,
                        const struct sq_ws_end *end)
{
    struct ws_queued *e = sq_xmalloc(sizeof *e + data.len + 1);

    *e = (struct ws_queued){.kind = kind, .len = data.len};
    if (data.len)
        memcpy(e->data, data.data, data.len);
    e->data[data.len] = 0;
    if (end) {
        e->end = *end;
        e->end.text = NULL;
        e->end.reason = sq_slice(e->data, data.len);
    }
    *s->queue_tail = e;
    s->queue_tail = &e->next;
    s->queue_bytes += sizeof *e + data.len;
    if (s->queue_bytes > WS_QUEUE_BYTES_MAX && !s->paused && !end) {
        s->paused = true;
        sq_ws_conn_pause(s->conn);
    }
    if (s->in_loop)
        sq_vu_run_now(s->self->vu);
}

struct ws_queued *ws_session_next(struct ws_session *s)
{
    struct ws_queued *e = s->queue;

    if (!e)
        return NULL;
    s->queue = e->next;
    if (!s->queue)
        s->queue_tail = &s->queue;
    s->queue_bytes -= sizeof *e + e->len;
    if (s->paused && s->queue_bytes < WS_QUEUE_BYTES_MAX / 2 && s->conn) {
        s->paused = false;
        sq_ws_conn_resume(s->conn);
    }
    return e;
}

static size_t put_text(struct sq_buf *out, struct sq_slice text)
{
    size_t at = out->len;

    sq_buf_put(out, text.data, text.len);
    sq_buf_putc(out, '\0');
    return at;
}

static void on_handshake(void *user, const struct sq_ws_handshake *r)
{
    struct ws_session *s = user;
    struct ws_outcome *o = &s->outcome;
    struct sq_buf *text = &o->text;

    o->arrived = true;
    o->opened = r->opened;
    o->status = r->status;
    o->error = r->error;
    o->error_code = r->error_code;
    o->headers_count = r->headers_count;
    for (size_t i = 0; i < r->headers_count; i++) {
        put_text(text, r->headers[i].name);
        put_text(text, r->headers[i].value);
    }
    o->body_len = r->body.len;
    o->body_at = put_text(text, r->body);
    o->error_at = put_text(text, sq_slice_str(r->error_text ? r->error_text : ""));
    o->reason_at = put_text(text, sq_slice_str(r->reason ? r->reason : ""));
    o->protocol_at = put_text(text, r->protocol);
    o->ip_at = put_text(text, sq_slice_str(r->remote_ip ? r->remote_ip : ""));
    o->dial_start_ns = r->timings.dial_start_ns;
    o->end_ns = r->timings.end_ns;
    sq_vu_run_now(s->self->vu);
}

static void on_message(void *user, enum sq_ws_opcode_kind kind, struct sq_slice data, bool ascii)
{
    struct ws_session *s = user;

    if (s->closed)
        return;
    if (s->in_loop && !s->queue && s->self->vu->waiting) {
        ws_session_ref(s); /* the script may end the session meanwhile */
        s->direct.data = data;
        s->direct.kind = kind;
        s->direct.ascii = ascii;
        s->direct.offered = true;
        sq_vu_run_now(s->self->vu);
        bool taken = !s->direct.offered;
        s->direct.offered = false;
        bool over = s->over;
        ws_session_unref(s);
        if (taken || over)
            return;
    }
    queue_event(s, kind == SQ_WS_KIND_TEXT ? WS_MESSAGE : WS_BINARY, data, NULL);
}

static void on_ping(void *user, struct sq_slice payload)
{
    struct ws_session *s = user;

    if (!s->closed)
        queue_event(s, WS_PING, payload, NULL);
}

static void on_pong(void *user, struct sq_slice payload)
{
    struct ws_session *s = user;

    if (!s->closed)
        queue_event(s, WS_PONG, payload, NULL);
}

static void on_end(void *user, const struct sq_ws_end *end)
{
    struct ws_session *s = user;
    struct sq_slice reason =
        end->kind == SQ_WS_END_CLOSE ? end->reason : sq_slice_str(end->text ? end->text : "");

    s->stream_ended = true;
    sq_vu_wake(s->self->vu); /* it may wait for room */
    if (!s->closed)
        queue_event(s, WS_CLOSE, reason, end);
}

static void on_drained(void *user)
{
    struct ws_session *s = user;

    sq_vu_wake(s->self->vu);
}

const struct sq_ws_handler ws_session_handler = {
    .handshake = on_handshake,
    .message = on_message,
    .ping = on_ping,
    .pong = on_pong,
    .end = on_end,
    .drained = on_drained,
    .answer_close = false,
};
