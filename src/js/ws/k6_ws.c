/* SPDX-License-Identifier: Apache-2.0 */
/* k6/ws: connect(url, params, callback), blocking the VU until the session is over.
 * Rules WS-1 to WS-147 of the module's specification. Examples: docs/api/k6-ws.md */
#include <ctype.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "js/ws/ws_request.h"
#include "js/ws/ws_socket.h"
#include "proto/ws/close.h"

/* ---- the session's loop (WS-46 to WS-51) ---- */

static struct ws_timer *first_timer(struct ws_session *s)
{
    struct ws_timer *first = NULL;

    for (size_t i = 0; i < s->timers_count; i++) {
        struct ws_timer *t = &s->timers[i];
        if (!first || t->due_ns < first->due_ns ||
            (t->due_ns == first->due_ns && t->order < first->order))
            first = t;
    }
    return first;
}

/* One due timer. Ticks missed while a callback blocked are merged: at most one more at once, then
 * back to the original grid (WS-73). 1: one ran, 0: none is due, -1: exception. */
static int run_timer(struct ws_session *s)
{
    JSContext *ctx = s->self->cell->ctx;
    struct ws_timer *t = first_timer(s);
    int64_t now;

    if (!t || t->due_ns > (now = sq_now_ns()))
        return 0;
    JSValue fn = JS_DupValue(ctx, t->fn);
    if (t->interval_ns) {
        int64_t behind = (now - t->due_ns) / t->interval_ns;
        t->due_ns += t->interval_ns * SQ_MAX(behind, (int64_t)1);
    } else {
        JS_FreeValue(ctx, t->fn);
        *t = s->timers[--s->timers_count];
    }
    JSValue result = JS_Call(ctx, fn, JS_UNDEFINED, 0, NULL);
    JS_FreeValue(ctx, fn);
    if (JS_IsException(result))
        return -1;
    JS_FreeValue(ctx, result);
    return sq_js_run_jobs(s->self) < 0 ? -1 : 1;
}

static JSValue message_value(JSContext *ctx, enum sq_ws_opcode_kind kind, struct sq_slice data,
                             bool ascii)
{
    if (kind != SQ_WS_KIND_TEXT)
        return JS_NewArrayBufferCopy(ctx, data.data, data.len);
    return ascii ? sq_js_ascii_new(ctx, data)
                 : JS_NewStringLen(ctx, (const char *)data.data, data.len);
}

static int deliver_message(struct ws_session *s, enum sq_ws_opcode_kind kind, struct sq_slice data,
                           bool ascii)
{
    JSContext *ctx = s->self->cell->ctx;
    enum ws_event_kind event = kind == SQ_WS_KIND_TEXT ? WS_MESSAGE : WS_BINARY;

    ws_sample(s, SQ_M_WS_MSGS_RECEIVED, sq_loop_wall(s->self->vu->worker->loop), 1);
    if (!ws_listens(s, event))
        return 0;
    JSValue value = message_value(ctx, kind, data, ascii);
    return JS_IsException(value) ? -1 : ws_dispatch(s, event, value);
}

static int deliver_pong(struct ws_session *s, const struct ws_queued *e)
{
    const char *text = (const char *)e->data;
    char *rest;
    unsigned long long number = strtoull(text, &rest, 10);
    bool ours = e->len > 0 && e->len < 21 && isdigit((unsigned char)*text) && *rest == '\0' &&
                (size_t)(rest - text) == e->len && number < s->pings &&
                number + WS_PINGS_MAX >= s->pings;

    if (ours)
        ws_sample(s, SQ_M_WS_PING, sq_wall_ns(),
                  (double)(sq_now_ns() - s->ping_sent_ns[number % WS_PINGS_MAX]) / SQ_NS_PER_MS);
    return ws_dispatch(s, WS_PONG, JS_UNDEFINED);
}

/* How the connection ended, in k6's words and order (WS-79 to WS-83a). */
static int deliver_end(struct ws_session *s, const struct ws_queued *e)
{
    JSContext *ctx = s->self->cell->ctx;
    struct sq_slice text = sq_slice(e->data, e->len);

    switch (e->end.kind) {
    case SQ_WS_END_CLOSE:
        if (e->end.code != 1000 && e->end.code != 1001 && ws_listens(s, WS_ERROR) &&
            ws_dispatch(s, WS_ERROR, ws_close_error_new(ctx, e->end.code, text)) < 0)
            return -1;
        return ws_close(s, e->end.code, true);
    case SQ_WS_END_EOF:
        if (ws_listens(s, WS_ERROR) &&
            ws_dispatch(s, WS_ERROR,
                        ws_close_error_new(ctx, 1006, sq_slice_str("unexpected EOF"))) < 0)
            return -1;
        return ws_close(s, 1006, true);
    case SQ_WS_END_PROTOCOL:
        ws_log_failure(s->self, NULL, 0, (const char *)e->data);
        if (e->end.sent_code != SQ_WS_CLOSE_TOO_BIG)
            return ws_close(s, 1001, false);
        /* maxMessageSize, which k6 has not: no need for its roundabout words. */
        if (ws_report_error(s, (const char *)e->data) < 0)
            return -1;
        return ws_close(s, SQ_WS_CLOSE_TOO_BIG, true);
    case SQ_WS_END_READ:
    case SQ_WS_END_TIMEOUT:
        break;
    }
    int code = e->end.kind == SQ_WS_END_TIMEOUT ? SQ_WS_CLOSE_ABNORMAL : 1001;
    if (e->end.kind == SQ_WS_END_TIMEOUT)
        ws_log_failure(s->self, NULL, 0, (const char *)e->data);
    s->closed = true;
    if (!s->write_error)
        s->write_error = sq_xstrndup((const char *)e->data, e->len);
    if (ws_report_write_error(s, e->end.error) < 0 ||
        ws_dispatch(s, WS_CLOSE, JS_NewInt32(ctx, code)) < 0)
        return -1;
    return 0;
}

static int deliver(struct ws_session *s, const struct ws_queued *e)
{
    struct sq_slice data = sq_slice(e->data, e->len);

    switch (e->kind) {
    case WS_MESSAGE:
        return deliver_message(s, SQ_WS_KIND_TEXT, data, false);
    case WS_BINARY:
        return deliver_message(s, SQ_WS_KIND_BINARY, data, false);
    case WS_PING:
        return ws_dispatch(s, WS_PING, JS_UNDEFINED);
    case WS_PONG:
        return deliver_pong(s, e);
    case WS_CLOSE:
        return deliver_end(s, e);
    default:
        return 0;
    }
}

static int take_direct(struct ws_session *s)
{
    s->direct.offered = false;
    return deliver_message(s, s->direct.kind, s->direct.data, s->direct.ascii);
}

static int wait_for_event(struct ws_session *s)
{
    struct ws_timer *t = s->timers_count ? first_timer(s) : NULL;
    int64_t deadline = SQ_MIN(t ? t->due_ns : INT64_MAX, sq_js_next_timer_ns(s->self));
    struct sq_vu *vu = s->self->vu;

    s->in_loop = true;
    int rc = deadline == INT64_MAX ? sq_vu_wait(vu) : sq_vu_wait_until(vu, deadline);
    s->in_loop = false;
    return rc;
}

/* Until the session is closed. -1: an exception is pending, or the VU is interrupted. */
static int run_session(struct ws_session *s)
{
    while (!s->closed) {
        struct ws_queued *e;
        int rc;

        if (s->direct.offered) {
            if (take_direct(s) < 0)
                return -1;
        } else if ((e = ws_session_next(s))) {
            rc = deliver(s, e);
            free(e);
            if (rc < 0)
                return -1;
        } else if (wait_for_event(s) < 0) {
            return -1;
        }
        if (!s->closed && s->timers_count && run_timer(s) < 0)
            return -1;
        if (!sq_list_empty(&s->self->timers) && sq_js_run_due_timers(s->self) < 0)
            return -1;
        if (s->self->vu->interrupted)
            return -1;
    }
    return 0;
}

/* ---- connect ---- */

static void open_connection(struct ws_session *s, const struct ws_request *args, const char *url,
                            struct sq_buf *cookie)
{
    struct sq_js_instance *self = s->self;
    struct sq_ws_trace_options trace;
    struct sq_ws_open request = {.url = sq_slice_str(url)};

    ws_request_open(self, args, &trace, &request);
    if (!args->headers.has_cookie)
        sq_k6_http_cookie_header(args->jar, url, cookie);
    request.cookie = sq_buf_slice(cookie);
    s->conn = sq_ws_conn_open(sq_js_net(self), &request, &ws_session_handler, s);
}

static JSValue throw_failure(JSContext *ctx, const char *text)
{
    JSValue value = ws_error_new(ctx, text);

    sq_js_throw(ctx, "%s", text);
    JSValue error = JS_GetException(ctx);
    JS_DefinePropertyValueStr(ctx, error, "value", value, JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    return JS_Throw(ctx, error);
}

/* The VU is interrupted, which leaves no samples, or its script aborts the test, which does
 * (WS-95). */
static JSValue give_up(JSContext *ctx, struct ws_session *s, int64_t start_wall_ns,
                       int64_t start_ns)
{
    if (JS_HasException(ctx))
        JS_FreeValue(ctx, JS_GetException(ctx));
    ws_session_cut(s);
    if (!s->self->aborted)
        atomic_fetch_add_explicit(&s->self->vu->worker->sessions_cut, 1, memory_order_relaxed);
    ws_sample(s, SQ_M_WS_SESSION_DURATION, start_wall_ns,
              (double)(sq_now_ns() - start_ns) / SQ_NS_PER_MS);
    return sq_js_throw_interrupted(ctx);
}

/* After the setup callback and the loop were left: rc -1 with an exception pending, or an
 * interruption. Returns what connect does. */
static JSValue finish(JSContext *ctx, struct ws_session *s, int rc, const char *url,
                      int64_t start_wall_ns, int64_t start_ns)
{
    struct sq_js_instance *self = s->self;

    if (self->vu->interrupted || self->aborted)
        return give_up(ctx, s, start_wall_ns, start_ns);
    JSValue exception = JS_UNDEFINED;
    if (rc < 0) {
        exception = JS_GetException(ctx);
        if (ws_close(s, 1001, false) < 0) { /* its exception replaces the first (WS-92) */
            JS_FreeValue(ctx, exception);
            exception = JS_GetException(ctx);
        }
        if (self->vu->interrupted || self->aborted) {
            JS_FreeValue(ctx, exception);
            return give_up(ctx, s, start_wall_ns, start_ns);
        }
    }
    ws_sample(s, SQ_M_WS_SESSION_DURATION, start_wall_ns,
              (double)(sq_now_ns() - start_ns) / SQ_NS_PER_MS);
    return rc < 0 ? JS_Throw(ctx, exception) : ws_response_new(ctx, s, url);
}

static JSValue run_opened(JSContext *ctx, struct ws_session *s, JSValueConst callback,
                          const char *url, int64_t start_wall_ns)
{
    JSValue socket = ws_socket_new(ctx, s);
    int64_t start_ns = s->outcome.dial_start_ns;

    if (JS_IsException(socket))
        return socket;
    JSValue result = JS_Call(ctx, callback, JS_UNDEFINED, 1, &socket);
    int rc = JS_IsException(result) ? -1 : 0;
    JS_FreeValue(ctx, result);
    JS_FreeValue(ctx, socket);
    if (rc == 0 && sq_js_run_jobs(s->self) < 0)
        rc = -1;
    if (rc == 0)
        rc = ws_dispatch(s, WS_OPEN, JS_UNDEFINED);
    if (rc == 0)
        rc = run_session(s);
    return finish(ctx, s, rc, url, start_wall_ns, start_ns);
}

static JSValue run_failed(JSContext *ctx, struct ws_session *s, const char *url,
                          int64_t start_wall_ns, double ms)
{
    ws_sample(s, SQ_M_WS_SESSION_DURATION, start_wall_ns, ms);
    ws_log_failure(s->self, url, s->outcome.status, ws_outcome_text(s, s->outcome.reason_at));
    if (s->self->vu->worker->run->config->throw_errors)
        return throw_failure(ctx, ws_outcome_text(s, s->outcome.error_at));
    return ws_response_new(ctx, s, url);
}

static JSValue run_connection(JSContext *ctx, struct ws_session *s, struct ws_request *args,
                              const char *url, JSValueConst callback)
{
    struct sq_vu *vu = s->self->vu;
    int64_t start_wall_ns = sq_wall_ns();
    struct sq_buf cookie = {0};

    if (!sq_js_net(s->self))
        return sq_js_throw(ctx, "cannot use the network: %s",
                           s->self->cell->worker->net_error.text);
    open_connection(s, args, url, &cookie);
    sq_buf_deinit(&cookie);
    while (!s->outcome.arrived && sq_vu_wait(vu) == 0)
        ;
    if (!s->outcome.arrived || vu->interrupted) { /* its samples do not appear (WS-100) */
        ws_session_cut(s);
        return sq_js_throw_interrupted(ctx);
    }
    ws_store_cookies(s, args->jar, url);
    ws_tag_session(s, args->tags, url);
    double ms = (double)(s->outcome.end_ns - s->outcome.dial_start_ns) / SQ_NS_PER_MS;
    ws_sample(s, SQ_M_WS_SESSIONS, start_wall_ns, 1);
    ws_sample(s, SQ_M_WS_CONNECTING, start_wall_ns, ms);
    return s->outcome.opened ? run_opened(ctx, s, callback, url, start_wall_ns)
                             : run_failed(ctx, s, url, start_wall_ns, ms);
}

static JSValue ws_connect(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);

    (void)this_val;
    if (self->in_init)
        return sq_js_throw(ctx, "using websockets in the init context is not supported");
    if (argc < 2 || argc > 3)
        return sq_js_throw(ctx,
                           "invalid number of arguments to ws.connect: it takes a url, optional "
                           "params and a callback");
    JSValueConst callback = argv[argc - 1];
    bool no_url = JS_IsUndefined(argv[0]) || JS_IsNull(argv[0]);
    size_t len;
    const char *url = no_url ? NULL : sq_js_text(ctx, argv[0], &len);
    if (!no_url && !url)
        return JS_EXCEPTION;
    if (!JS_IsFunction(ctx, callback)) {
        JS_FreeCString(ctx, url);
        return sq_js_throw(ctx, "last argument to ws.connect must be a function");
    }
    struct ws_request args;
    JSValue result = JS_EXCEPTION;
    if (ws_request_read(ctx, argc < 3 ? JS_UNDEFINED : argv[1], &args) == 0) {
        if (!args.jar)
            args.jar = sq_k6_http_vu_jar(self);
        struct ws_session *s = ws_session_new(self);
        result = run_connection(ctx, s, &args, url ? url : "", callback);
        ws_session_retire(s);
        ws_session_unref(s);
    }
    ws_request_free(ctx, &args);
    JS_FreeCString(ctx, url);
    return result;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("connect", 2, ws_connect),
};

static int init(JSContext *ctx, JSModuleDef *m)
{
    return sq_js_export_functions(ctx, m, functions, SQ_COUNT(functions));
}

static const char *const exports[] = {"connect", "default", NULL};
const struct sq_js_builtin sq_k6_ws = {"k6/ws", init, exports};
