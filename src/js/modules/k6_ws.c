/* SPDX-License-Identifier: Apache-2.0 */
/* k6/ws: connect(url, params, callback), blocking the VU until the session is over.
 * Rules WS-1 to WS-147 of the module's specification. Examples: docs/api/k6-ws.md */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "js/modules/ws_session.h"
#include "proto/ws/close.h"

static JSClassID socket_class, error_class;

/* ---- the object given to `error` handlers (WS-84) ---- */

struct ws_error {
    char *text;
};

static void error_finalizer(JSRuntime *rt, JSValue value)
{
    struct ws_error *e = JS_GetOpaque(value, error_class);

    (void)rt;
    if (e) {
        free(e->text);
        free(e);
    }
}

static JSValue error_text(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct ws_error *e = JS_GetOpaque2(ctx, this_val, error_class);

    (void)argc, (void)argv;
    return e ? JS_NewString(ctx, e->text) : JS_EXCEPTION;
}

static const JSCFunctionListEntry error_methods[] = {
    JS_CFUNC_DEF("error", 0, error_text),
    JS_CFUNC_DEF("toString", 0, error_text),
};

bool sq_k6_ws_is_error(JSValueConst value)
{
    return JS_GetOpaque(value, error_class) != NULL;
}

static JSValue new_error(JSContext *ctx, const char *text)
{
    JSValue object = JS_NewObjectClass(ctx, (int)error_class);

    if (JS_IsException(object))
        return object;
    struct ws_error *e = sq_xmalloc(sizeof *e);
    e->text = sq_xstrdup(text);
    JS_SetOpaque(object, e);
    return object;
}

static JSValue new_close_error(JSContext *ctx, unsigned code, struct sq_slice reason)
{
    struct sq_buf text = {0};

    sq_ws_close_text(code, reason, &text);
    JSValue object = new_error(ctx, sq_buf_cstr(&text));
    sq_buf_deinit(&text);
    if (JS_IsException(object))
        return object;
    JS_SetPropertyStr(ctx, object, "code", JS_NewInt32(ctx, (int32_t)code));
    JS_SetPropertyStr(
        ctx, object, "text",
        JS_NewStringLen(ctx, reason.data ? (const char *)reason.data : "", reason.len));
    return object;
}

/* ---- calling the script ---- */

/* All handlers of the kind, in order; one added meanwhile waits for the next occurrence. Consumes
 * arg. -1: an exception is pending, the rest was skipped. */
static int dispatch(struct ws_session *s, enum ws_event_kind kind, JSValue arg)
{
    JSContext *ctx = s->self->cell->ctx;
    size_t count = s->handlers_count;
    int rc = 0;

    for (size_t i = 0; i < count && i < s->handlers_count && rc == 0; i++) {
        if (s->handlers[i].kind != kind)
            continue;
        JSValue fn = JS_DupValue(ctx, s->handlers[i].fn);
        JSValue result = JS_Call(ctx, fn, JS_UNDEFINED, JS_IsUndefined(arg) ? 0 : 1, &arg);
        JS_FreeValue(ctx, fn);
        if (JS_IsException(result))
            rc = -1;
        JS_FreeValue(ctx, result);
    }
    JS_FreeValue(ctx, arg);
    /* Promises progress while connect blocks. */
    if (rc == 0 && sq_js_run_jobs(s->self) < 0)
        rc = -1;
    sq_js_collect_garbage(s->self->cell);
    return rc;
}

static bool listens(const struct ws_session *s, enum ws_event_kind kind)
{
    for (size_t i = 0; i < s->handlers_count; i++)
        if (s->handlers[i].kind == kind)
            return true;
    return false;
}

static int report_error(struct ws_session *s, const char *text)
{
    JSContext *ctx = s->self->cell->ctx;

    if (!listens(s, WS_ERROR))
        return 0;
    JSValue error = new_error(ctx, text);
    return JS_IsException(error) ? -1 : dispatch(s, WS_ERROR, error);
}

/* A write failed with rc: the same words for ever after (WS-63). */
static int report_write_error(struct ws_session *s, int rc)
{
    if (!s->write_error)
        s->write_error =
            sq_xstrdup(s->conn ? sq_ws_conn_error_text(s->conn, rc) : "websocket: close sent");
    char *text = sq_xstrdup(s->write_error);
    int result = report_error(s, text);
    free(text);
    return result;
}

static void sample(struct ws_session *s, enum sq_metric_id metric, int64_t wall_ns, double value)
{
    if (s->tags)
        sq_vu_sample_tags(s->self->vu, metric, s->tags, wall_ns, value);
}

/* The closing procedure (WS-77), whoever began it. `number` is what `close` handlers see. `heard`:
 * the peer's stream is over, so a Close that cannot be written any more is no news. -1: an
 * exception is pending; the connection is given up all the same. */
static int close_session(struct ws_session *s, double number, bool heard)
{
    JSContext *ctx = s->self->cell->ctx;
    int rc = 0;

    if (s->closed)
        return 0;
    s->closed = true;
    uint16_t code = (uint16_t)(int64_t)SQ_MAX(SQ_MIN(number, 9.2e18), -9.2e18);
    int sent = s->conn ? sq_ws_conn_close(s->conn, code, (struct sq_slice){0}) : -EPIPE;
    if (sent < 0 && !heard)
        rc = report_write_error(s, sent);
    if (rc == 0)
        rc = dispatch(s, WS_CLOSE, JS_NewFloat64(ctx, number));
    if (s->conn) {
        sq_ws_conn_release(s->conn);
        s->conn = NULL;
    }
    return rc;
}

/* ---- Socket methods ---- */

static JSValue socket_close(JSContext *ctx, struct ws_session *s, int argc, JSValueConst *argv)
{
    double code = 1001;

    if (argc > 0) {
        if (JS_ToFloat64(ctx, &code, argv[0]) < 0)
            return JS_EXCEPTION;
        code = isnan(code) ? 0 : isinf(code) ? copysign(9223372036854775808.0, code) : trunc(code);
    }
    return close_session(s, code, false) < 0 ? JS_EXCEPTION : JS_UNDEFINED;
}

static const struct {
    const char *name;
    enum ws_event_kind kind;
} events[] = {
    {"open", WS_OPEN}, {"message", WS_MESSAGE}, {"binaryMessage", WS_BINARY}, {"ping", WS_PING},
    {"pong", WS_PONG}, {"close", WS_CLOSE},     {"error", WS_ERROR},
};

static JSValue socket_on(JSContext *ctx, struct ws_session *s, int argc, JSValueConst *argv)
{
    if (argc < 1)
        return JS_UNDEFINED;
    const char *name = JS_ToCString(ctx, argv[0]);
    if (!name)
        return JS_EXCEPTION;
    for (size_t i = 0; i < SQ_COUNT(events) && argc > 1 && JS_IsFunction(ctx, argv[1]); i++) {
        if (strcmp(events[i].name, name) != 0)
            continue;
        if (s->over && events[i].kind != WS_ERROR)
            break;
        if (s->handlers_count == s->handlers_cap) {
            s->handlers_cap = s->handlers_cap ? s->handlers_cap * 2 : 4;
            s->handlers = sq_xrealloc(s->handlers, s->handlers_cap * sizeof *s->handlers);
        }
        s->handlers[s->handlers_count++] =
            (struct ws_handler){events[i].kind, JS_DupValue(ctx, argv[1])};
        break;
    }
    JS_FreeCString(ctx, name);
    return JS_UNDEFINED;
}

static JSValue socket_ping(JSContext *ctx, struct ws_session *s, int argc, JSValueConst *argv)
{
    char payload[24];
    int len = snprintf(payload, sizeof payload, "%llu", (unsigned long long)s->pings);

    (void)ctx, (void)argc, (void)argv;
    int rc =
        s->conn && !s->closed ? sq_ws_conn_ping(s->conn, sq_slice(payload, (size_t)len)) : -EPIPE;
    if (rc < 0)
        return report_write_error(s, rc) < 0 ? JS_EXCEPTION : JS_UNDEFINED;
    if (!s->ping_sent_ns)
        s->ping_sent_ns = sq_xcalloc(WS_PINGS_MAX, sizeof *s->ping_sent_ns);
    s->ping_sent_ns[s->pings++ % WS_PINGS_MAX] = sq_now_ns();
    return JS_UNDEFINED;
}

/* Blocks the VU while the peer does not read (WS-64), until an interruption ends it (WS-141). */
static void wait_for_room(struct ws_session *s)
{
    bool in_loop = s->in_loop;

    s->in_loop = false;
    while (s->conn && !s->closed && sq_ws_conn_buffered(s->conn) > SQ_WS_HIGH_WATER &&
           !s->stream_ended && sq_vu_wait(s->self->vu) == 0)
        ;
    s->in_loop = in_loop;
}

static JSValue send_data(JSContext *ctx, struct ws_session *s, enum sq_ws_opcode_kind kind,
                         struct sq_slice data)
{
    int rc = s->conn && !s->closed ? sq_ws_conn_send(s->conn, kind, data) : -EPIPE;

    if (!s->over)
        sample(s, SQ_M_WS_MSGS_SENT, sq_wall_ns(), 1);
    if (rc < 0)
        return report_write_error(s, rc) < 0 ? JS_EXCEPTION : JS_UNDEFINED;
    if (sq_ws_conn_buffered(s->conn) > SQ_WS_HIGH_WATER) {
        wait_for_room(s);
        if (s->self->vu->interrupted)
            return sq_js_throw_interrupted(ctx);
    }
    return JS_UNDEFINED;
}

/* Lone surrogates, which the engine writes as three bytes ED A0..BF xx, become U+FFFD, which has
 * three bytes as well (WS-60). Returns the copy when one was needed; owned: free. */
static uint8_t *replace_surrogates(const char *text, size_t len)
{
    uint8_t *copy = NULL;

    for (size_t i = 0; i + 2 < len; i++) {
        if ((uint8_t)text[i] != 0xED || (uint8_t)text[i + 1] < 0xA0)
            continue;
        if (!copy) {
            copy = sq_xmalloc(len);
            memcpy(copy, text, len);
        }
        memcpy(copy + i, "\xEF\xBF\xBD", 3);
        i += 2;
    }
    return copy;
}

static JSValue socket_send(JSContext *ctx, struct ws_session *s, int argc, JSValueConst *argv)
{
    size_t len = 0;

    if (argc < 1 || JS_IsUndefined(argv[0]) || JS_IsNull(argv[0]))
        return send_data(ctx, s, SQ_WS_KIND_TEXT, sq_slice("", 0));
    const char *text = sq_js_text(ctx, argv[0], &len);
    if (!text)
        return JS_EXCEPTION;
    uint8_t *fixed = memchr(text, 0xED, len) ? replace_surrogates(text, len) : NULL;
    JSValue result =
        send_data(ctx, s, SQ_WS_KIND_TEXT, sq_slice(fixed ? (char *)fixed : text, len));
    free(fixed);
    JS_FreeCString(ctx, text);
    return result;
}

static JSValue socket_send_binary(JSContext *ctx, struct ws_session *s, int argc,
                                  JSValueConst *argv)
{
    JSValueConst value = argc > 0 ? argv[0] : JS_UNDEFINED;
    size_t len = 0;

    if (!sq_js_is_array_buffer(ctx, value)) {
        char *name = sq_js_type_name(ctx, value);
        JSValue error = sq_js_throw(ctx, "expected ArrayBuffer as argument, received: %s", name);
        free(name);
        return error;
    }
    const uint8_t *data = JS_GetArrayBuffer(ctx, &len, value);
    if (!data && JS_HasException(ctx))
        return JS_EXCEPTION;
    return send_data(ctx, s, SQ_WS_KIND_BINARY, sq_slice(data, len));
}

static JSValue set_timer(JSContext *ctx, struct ws_session *s, int argc, JSValueConst *argv,
                         bool repeat)
{
    const char *name = repeat ? "setInterval" : "setTimeout";
    double ms = 0;

    if (argc < 1 || !JS_IsFunction(ctx, argv[0]))
        return JS_ThrowTypeError(ctx, "%s: the first argument must be a function", name);
    if (argc > 1 && !JS_IsUndefined(argv[1]) && JS_ToFloat64(ctx, &ms, argv[1]) < 0)
        return JS_EXCEPTION;
    double ns = trunc(ms * (double)SQ_NS_PER_MS);
    if (!(ns > 0) || !(ns < 9223372036854775807.0))
        return sq_js_throw(ctx, "%s requires a >0 timeout parameter, received %.2f", name, ms);
    if (s->closed)
        return JS_UNDEFINED;
    if (s->timers_count == s->timers_cap) {
        s->timers_cap = s->timers_cap ? s->timers_cap * 2 : 2;
        s->timers = sq_xrealloc(s->timers, s->timers_cap * sizeof *s->timers);
    }
    int64_t now = sq_now_ns(), interval = (int64_t)ns;
    s->timers[s->timers_count++] = (struct ws_timer){
        .due_ns = interval > INT64_MAX - now ? INT64_MAX : now + interval,
        .interval_ns = repeat ? interval : 0,
        .order = s->timers_order++,
        .fn = JS_DupValue(ctx, argv[0]),
    };
    return JS_UNDEFINED;
}

static JSValue socket_set_interval(JSContext *ctx, struct ws_session *s, int argc,
                                   JSValueConst *argv)
{
    return set_timer(ctx, s, argc, argv, true);
}

static JSValue socket_set_timeout(JSContext *ctx, struct ws_session *s, int argc,
                                  JSValueConst *argv)
{
    return set_timer(ctx, s, argc, argv, false);
}

/* In the order that scripts see (WS-52). */
static const struct {
    const char *name;
    int length;
    JSValue (*call)(JSContext *ctx, struct ws_session *s, int argc, JSValueConst *argv);
} methods[] = {
    {"close", 1, socket_close},
    {"on", 2, socket_on},
    {"ping", 0, socket_ping},
    {"send", 1, socket_send},
    {"sendBinary", 1, socket_send_binary},
    {"setInterval", 2, socket_set_interval},
    {"setTimeout", 2, socket_set_timeout},
};

/* Methods are bound (WS-53) and made when first looked at: a session uses three or four of them.
 * The data is a Socket object, which holds the session. */
static JSValue call_bound(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                          int magic, JSValue *data)
{
    struct ws_session *s = JS_GetOpaque(data[0], socket_class);

    (void)this_val;
    return methods[magic].call(ctx, s, argc, argv);
}

static JSValue bound_method(JSContext *ctx, struct ws_session *s, int index, JSValueConst socket)
{
    if (!JS_IsUndefined(s->bound[index]))
        return JS_DupValue(ctx, s->bound[index]);
    JSValue fn = JS_NewCFunctionData(ctx, call_bound, methods[index].length, index, 1, &socket);
    if (!JS_IsException(fn) && !s->over)
        s->bound[index] = JS_DupValue(ctx, fn);
    return fn;
}

static int socket_get_own_property(JSContext *ctx, JSPropertyDescriptor *desc, JSValueConst obj,
                                   JSAtom prop)
{
    struct ws_session *s = JS_GetOpaque(obj, socket_class);
    const struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    int index = -1;

    for (int i = 0; i < (int)SQ_COUNT(methods); i++)
        if (cell->socket_atoms[i] == prop)
            index = i;
    if (index < 0)
        return 0;
    if (!desc)
        return 1;
    desc->flags = JS_PROP_ENUMERABLE | JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE;
    desc->getter = desc->setter = JS_UNDEFINED;
    desc->value = bound_method(ctx, s, index, obj);
    return JS_IsException(desc->value) ? -1 : 1;
}

static int socket_get_own_names(JSContext *ctx, JSPropertyEnum **names, uint32_t *count,
                                JSValueConst obj)
{
    const struct sq_js_cell *cell = JS_GetContextOpaque(ctx);

    (void)obj;
    *names = js_malloc(ctx, SQ_COUNT(methods) * sizeof **names);
    if (!*names)
        return -1;
    *count = SQ_COUNT(methods);
    for (size_t i = 0; i < SQ_COUNT(methods); i++)
        (*names)[i] = (JSPropertyEnum){true, JS_DupAtom(ctx, cell->socket_atoms[i])};
    return 0;
}

static void socket_finalizer(JSRuntime *rt, JSValue value)
{
    struct ws_session *s = JS_GetOpaque(value, socket_class);

    (void)rt;
    if (s)
        ws_session_unref(s);
}

static void socket_mark(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark)
{
    struct ws_session *s = JS_GetOpaque(value, socket_class);

    /* While connect runs, its frame keeps everything alive: only what is left over can be garbage.
     */
    if (!s || !s->over)
        return;
    for (size_t i = 0; i < s->handlers_count; i++)
        JS_MarkValue(rt, s->handlers[i].fn, mark);
}

void sq_k6_ws_class_ids(void)
{
    JS_NewClassID(&socket_class);
    JS_NewClassID(&error_class);
}

void sq_k6_ws_classes(JSContext *ctx)
{
    static JSClassExoticMethods exotic = {
        .get_own_property = socket_get_own_property,
        .get_own_property_names = socket_get_own_names,
    };
    static const JSClassDef socket = {"Socket", .finalizer = socket_finalizer,
                                      .gc_mark = socket_mark, .exotic = &exotic};
    static const JSClassDef error = {"WebSocketError", .finalizer = error_finalizer};
    struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    JSRuntime *rt = JS_GetRuntime(ctx);

    JS_NewClass(rt, socket_class, &socket);
    JS_SetClassProto(ctx, socket_class, JS_NewObject(ctx));
    JS_NewClass(rt, error_class, &error);
    JSValue proto = JS_NewObject(ctx);
    JS_SetPropertyFunctionList(ctx, proto, error_methods, SQ_COUNT(error_methods));
    JS_SetClassProto(ctx, error_class, proto);
    for (size_t i = 0; i < SQ_COUNT(methods); i++)
        cell->socket_atoms[i] = JS_NewAtom(ctx, methods[i].name);
}

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

static int deliver_message(struct ws_session *s, enum sq_ws_opcode_kind kind, struct sq_slice data)
{
    JSContext *ctx = s->self->cell->ctx;
    enum ws_event_kind event = kind == SQ_WS_KIND_TEXT ? WS_MESSAGE : WS_BINARY;

    sample(s, SQ_M_WS_MSGS_RECEIVED, sq_loop_wall(s->self->vu->worker->loop), 1);
    if (!listens(s, event))
        return 0;
    JSValue value = kind == SQ_WS_KIND_TEXT
                        ? JS_NewStringLen(ctx, (const char *)data.data, data.len)
                        : JS_NewArrayBufferCopy(ctx, data.data, data.len);
    return JS_IsException(value) ? -1 : dispatch(s, event, value);
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
        sample(s, SQ_M_WS_PING, sq_wall_ns(),
               (double)(sq_now_ns() - s->ping_sent_ns[number % WS_PINGS_MAX]) / SQ_NS_PER_MS);
    return dispatch(s, WS_PONG, JS_UNDEFINED);
}

/* How the connection ended, in k6's words and order (WS-79 to WS-83a). */
static int deliver_end(struct ws_session *s, const struct ws_queued *e)
{
    JSContext *ctx = s->self->cell->ctx;
    struct sq_slice text = sq_slice(e->data, e->len);

    switch (e->end.kind) {
    case SQ_WS_END_CLOSE:
        if (e->end.code != 1000 && e->end.code != 1001 && listens(s, WS_ERROR) &&
            dispatch(s, WS_ERROR, new_close_error(ctx, e->end.code, text)) < 0)
            return -1;
        return close_session(s, e->end.code, true);
    case SQ_WS_END_EOF:
        if (listens(s, WS_ERROR) &&
            dispatch(s, WS_ERROR, new_close_error(ctx, 1006, sq_slice_str("unexpected EOF"))) < 0)
            return -1;
        return close_session(s, 1006, true);
    case SQ_WS_END_PROTOCOL:
        sq_log(SQ_LOG_DEBUG, "ws", "protocol error by the server: %.*s", (int)e->len, e->data);
        return close_session(s, 1001, false);
    case SQ_WS_END_READ:
    case SQ_WS_END_TIMEOUT:
        break;
    }
    s->closed = true;
    if (!s->write_error)
        s->write_error = sq_xstrndup((const char *)e->data, e->len);
    if (report_write_error(s, e->end.error) < 0 ||
        dispatch(s, WS_CLOSE, JS_NewInt32(ctx, 1001)) < 0)
        return -1;
    return 0;
}

static int deliver(struct ws_session *s, const struct ws_queued *e)
{
    struct sq_slice data = sq_slice(e->data, e->len);

    switch (e->kind) {
    case WS_MESSAGE:
        return deliver_message(s, SQ_WS_KIND_TEXT, data);
    case WS_BINARY:
        return deliver_message(s, SQ_WS_KIND_BINARY, data);
    case WS_PING:
        return dispatch(s, WS_PING, JS_UNDEFINED);
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
    return deliver_message(s, s->direct.kind, s->direct.data);
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

/* ---- connect: arguments ---- */

enum { WINDOW_BITS_UNVALUED = 255 }; /* client_max_window_bits without a value */

struct header_list {
    struct sq_ws_header *items;
    size_t count;
    bool has_cookie;
};

struct connect_args {
    struct ws_session *session;
    struct header_list headers;
    struct sq_tagset *tags;
    struct sq_cookie_jar *jar;
    JSValue jar_value;
    struct sq_ws_deflate_offer deflate;
};

static int add_header(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct header_list *list = user;
    size_t len;
    const char *text = sq_js_text(ctx, value, &len);

    if (!text)
        return -1;
    list->items = sq_xrealloc(list->items, (list->count + 1) * sizeof *list->items);
    struct sq_ws_header *h = &list->items[list->count++];
    h->name = sq_slice_str(sq_xstrdup(key));
    h->value = sq_slice(sq_xstrndup(text, len), len);
    list->has_cookie |= sq_ascii_eq_nocase(h->name, sq_slice_str("cookie"));
    JS_FreeCString(ctx, text);
    return 0;
}

/* What a browser offers in the standard profile, what k6 offers otherwise. */
static struct sq_ws_deflate_offer default_offer(const struct sq_config *config)
{
    if (config->profile && strcmp(config->profile, "standard") == 0)
        return (struct sq_ws_deflate_offer){.offer = true,
                                            .client_max_window_bits = WINDOW_BITS_UNVALUED};
    return (struct sq_ws_deflate_offer){
        .offer = true, .server_no_context_takeover = true, .client_no_context_takeover = true};
}

static int set_window_bits(JSContext *ctx, const char *key, JSValueConst value, uint8_t *bits)
{
    int32_t number;

    if (JS_IsBool(value)) {
        *bits = JS_ToBool(ctx, value) ? WINDOW_BITS_UNVALUED : 0;
        return 0;
    }
    if (JS_ToInt32(ctx, &number, value) < 0)
        return -1;
    if (number < 8 || number > 15) {
        sq_js_throw(ctx, "compression.%s must be 8 to 15, got %d", key, number);
        return -1;
    }
    *bits = (uint8_t)number;
    return 0;
}

/* One parameter of the object form (PMD-1). */
static int set_deflate_parameter(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct sq_ws_deflate_offer *d = user;
    int32_t number = 0;

    if (strcmp(key, "serverNoContextTakeover") == 0) {
        d->server_no_context_takeover = JS_ToBool(ctx, value) > 0;
    } else if (strcmp(key, "clientNoContextTakeover") == 0) {
        d->client_no_context_takeover = JS_ToBool(ctx, value) > 0;
    } else if (strcmp(key, "serverMaxWindowBits") == 0) {
        return set_window_bits(ctx, key, value, &d->server_max_window_bits);
    } else if (strcmp(key, "clientMaxWindowBits") == 0) {
        return set_window_bits(ctx, key, value, &d->client_max_window_bits);
    } else if (strcmp(key, "level") == 0 || strcmp(key, "memLevel") == 0) {
        if (JS_ToInt32(ctx, &number, value) < 0)
            return -1;
        if (number < 1 || number > 9) {
            sq_js_throw(ctx, "compression.%s must be 1 to 9, got %d", key, number);
            return -1;
        }
        *(*key == 'l' ? &d->level : &d->mem_level) = number;
    } else if (strcmp(key, "threshold") == 0) {
        return JS_ToUint32(ctx, &d->threshold_bytes, value);
    } else {
        sq_js_throw(ctx, "unknown compression parameter '%s'", key);
        return -1;
    }
    return 0;
}

static int set_compression(JSContext *ctx, struct connect_args *args, JSValueConst value)
{
    if (JS_IsUndefined(value) || JS_IsNull(value))
        return 0;
    if (JS_IsObject(value) && JS_IsArray(ctx, value) == 0 && !JS_IsFunction(ctx, value)) {
        args->deflate = (struct sq_ws_deflate_offer){.offer = true};
        return sq_js_each_key(ctx, value, set_deflate_parameter, &args->deflate);
    }
    size_t len;
    const char *text = sq_js_text(ctx, value, &len);
    if (!text)
        return -1;
    size_t from = 0, to = len;
    while (from < to && isspace((unsigned char)text[from]))
        from++;
    while (to > from && isspace((unsigned char)text[to - 1]))
        to--;
    struct sq_slice name = sq_slice(text + from, to - from);
    bool deflate = sq_slice_eq(name, sq_slice_str("deflate")), ok = deflate || name.len == 0;
    if (deflate)
        args->deflate = default_offer(sq_js_self(ctx)->vu->worker->run->config);
    if (!ok)
        sq_js_throw(ctx,
                    "unsupported compression algorithm '%.*s', supported algorithm is 'deflate'",
                    (int)name.len, name.data);
    JS_FreeCString(ctx, text);
    return ok ? 0 : -1;
}

static int set_param(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct connect_args *args = user;

    if (strcmp(key, "headers") == 0)
        return sq_js_each_key(ctx, value, add_header, &args->headers);
    if (strcmp(key, "tags") == 0) {
        struct sq_tagset *tags = sq_js_tags(ctx, args->tags, value);
        if (!tags)
            return -1;
        sq_tagset_unref(args->tags);
        args->tags = tags;
    } else if (strcmp(key, "jar") == 0) {
        struct sq_cookie_jar *jar = sq_k6_http_jar(value);
        if (jar) {
            JS_FreeValue(ctx, args->jar_value);
            args->jar_value = JS_DupValue(ctx, value);
            args->jar = jar;
        }
    } else if (strcmp(key, "compression") == 0) {
        return set_compression(ctx, args, value);
    }
    return 0;
}

static void free_args(JSContext *ctx, struct connect_args *args)
{
    for (size_t i = 0; i < args->headers.count; i++) {
        free((void *)args->headers.items[i].name.data);
        free((void *)args->headers.items[i].value.data);
    }
    free(args->headers.items);
    sq_tagset_unref(args->tags);
    JS_FreeValue(ctx, args->jar_value);
}

/* ---- connect: handshake ---- */

static const char *outcome_text(const struct ws_session *s, size_t at)
{
    return (const char *)s->outcome.text.data + at;
}

static void tag_session(struct ws_session *s, struct sq_tagset *base, const char *url)
{
    struct sq_run *run = s->self->vu->worker->run;
    unsigned wanted = run->config->system_tags;
    struct sq_tag_pair pairs[4];
    char status[16];
    size_t n = 0;

    snprintf(status, sizeof status, "%d", s->outcome.status);
    if (wanted & SQ_TAG_URL)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("url"), sq_slice_str(url)};
    const char *ip = outcome_text(s, s->outcome.ip_at);
    if ((wanted & SQ_TAG_IP) && *ip && s->outcome.status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("ip"), sq_slice_str(ip)};
    if ((wanted & SQ_TAG_STATUS) && s->outcome.status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("status"), sq_slice_str(status)};
    if ((wanted & SQ_TAG_SUBPROTO) && s->outcome.status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("subproto"),
                                          sq_slice_str(outcome_text(s, s->outcome.protocol_at))};
    s->tags = sq_tagset_with(run->tag_table, base, pairs, n);
}

static void open_connection(struct ws_session *s, const struct connect_args *args, const char *url,
                            struct sq_buf *cookie)
{
    struct sq_js_instance *self = s->self;
    const struct sq_js_bundle *bundle = self->cell->worker->bundle;
    struct sq_ws_open request = {
        .url = sq_slice_str(url),
        .headers = args->headers.items,
        .headers_count = args->headers.count,
        .user_agent = sq_slice_str(bundle->user_agent),
        .deflate = args->deflate,
        .vu_id = self->vu->id,
        .lenient = bundle->config->lenient,
        .counters = &self->counters,
    };

    if (!args->headers.has_cookie)
        sq_k6_http_cookie_header(args->jar, url, cookie);
    request.cookie = sq_buf_slice(cookie);
    s->conn = sq_ws_conn_open(sq_js_net(self), &request, &ws_session_handler, s);
}

static void store_cookies(struct ws_session *s, struct sq_cookie_jar *jar, const char *url)
{
    const char *p = outcome_text(s, 0);

    for (size_t i = 0; i < s->outcome.headers_count; i++) {
        const char *name = p, *value = p + strlen(p) + 1;
        if (sq_ascii_eq_nocase(sq_slice_str(name), sq_slice_str("set-cookie")))
            sq_k6_http_store_cookie(jar, url, value);
        p = value + strlen(value) + 1;
    }
}

/* "sec-websocket-accept" -> "Sec-Websocket-Accept". */
static void canonicalise(char *name)
{
    bool start = true;

    for (char *p = name; *p; p++) {
        *p = (char)(start ? toupper((unsigned char)*p) : tolower((unsigned char)*p));
        start = *p == '-';
    }
}

static JSValue response_headers(JSContext *ctx, const struct ws_session *s)
{
    JSValue headers = JS_NewObject(ctx);
    const char *p = s->outcome.headers_count ? outcome_text(s, 0) : NULL;

    for (size_t i = 0; i < s->outcome.headers_count; i++) {
        char *name = sq_xstrdup(p);
        const char *value = p + strlen(p) + 1;
        canonicalise(name);
        JSValue before = JS_GetPropertyStr(ctx, headers, name);
        if (JS_IsString(before)) {
            const char *old = JS_ToCString(ctx, before);
            char *joined = sq_xasprintf("%s, %s", old ? old : "", value);
            JS_DefinePropertyValueStr(ctx, headers, name, JS_NewString(ctx, joined), JS_PROP_C_W_E);
            free(joined);
            JS_FreeCString(ctx, old);
        } else {
            JS_DefinePropertyValueStr(ctx, headers, name, JS_NewString(ctx, value), JS_PROP_C_W_E);
        }
        JS_FreeValue(ctx, before);
        free(name);
        p = value + strlen(value) + 1;
    }
    return headers;
}

static JSValue new_response(JSContext *ctx, const struct ws_session *s, const char *url)
{
    const struct ws_outcome *o = &s->outcome;
    JSValue r = JS_NewObject(ctx);

    JS_SetPropertyStr(ctx, r, "url", JS_NewString(ctx, o->opened ? url : ""));
    JS_SetPropertyStr(ctx, r, "status", JS_NewInt32(ctx, o->status));
    JS_SetPropertyStr(ctx, r, "headers", response_headers(ctx, s));
    JS_SetPropertyStr(ctx, r, "body",
                      o->opened ? JS_NewString(ctx, "")
                                : JS_NewStringLen(ctx, outcome_text(s, o->body_at), o->body_len));
    JS_SetPropertyStr(ctx, r, "error",
                      JS_NewString(ctx, o->opened ? "" : outcome_text(s, o->error_at)));
    return r;
}

static JSValue throw_failure(JSContext *ctx, const char *text)
{
    JSValue value = new_error(ctx, text);

    sq_js_throw(ctx, "%s", text);
    JSValue error = JS_GetException(ctx);
    JS_DefinePropertyValueStr(ctx, error, "value", value, JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    return JS_Throw(ctx, error);
}

/* Thousands of VUs meet the same failure: it is told once per cause. */
static void warn_failure(struct ws_session *s, const char *url)
{
    const char *text = outcome_text(s, s->outcome.error_at);
    const char *reason = outcome_text(s, s->outcome.reason_at);

    if (!sq_js_first_time(s->self->cell->worker->bundle, *reason ? reason : text))
        return;
    if (s->outcome.status)
        sq_log(SQ_LOG_WARN, "ws", "WebSocket connection to '%s' failed: %s: %s (status %d)", url,
               text, reason, s->outcome.status);
    else
        sq_log(SQ_LOG_WARN, "ws", "WebSocket connection to '%s' failed: %s", url,
               *reason ? reason : text);
}

/* ---- connect ---- */

/* After the setup callback and the loop were left: rc -1 with an exception pending, or an
 * interruption. Returns what connect does. */
static JSValue finish(JSContext *ctx, struct ws_session *s, int rc, const char *url,
                      int64_t start_wall_ns, int64_t start_ns)
{
    struct sq_js_instance *self = s->self;

    if (self->vu->interrupted) {
        if (JS_HasException(ctx))
            JS_FreeValue(ctx, JS_GetException(ctx));
        ws_session_cut(s);
        atomic_fetch_add_explicit(&self->vu->worker->sessions_cut, 1, memory_order_relaxed);
        return sq_js_throw_interrupted(ctx);
    }
    JSValue exception = JS_UNDEFINED;
    if (rc < 0) {
        exception = JS_GetException(ctx);
        if (close_session(s, 1001, false) < 0) { /* its exception replaces the first (WS-92) */
            JS_FreeValue(ctx, exception);
            exception = JS_GetException(ctx);
        }
        if (self->vu->interrupted) {
            JS_FreeValue(ctx, exception);
            return sq_js_throw_interrupted(ctx);
        }
    }
    sample(s, SQ_M_WS_SESSION_DURATION, start_wall_ns,
           (double)(sq_now_ns() - start_ns) / SQ_NS_PER_MS);
    return rc < 0 ? JS_Throw(ctx, exception) : new_response(ctx, s, url);
}

static JSValue run_opened(JSContext *ctx, struct ws_session *s, JSValueConst callback,
                          const char *url, int64_t start_wall_ns)
{
    JSValue socket = JS_NewObjectClass(ctx, (int)socket_class);
    int64_t start_ns = s->outcome.dial_start_ns;

    if (JS_IsException(socket))
        return socket;
    JS_SetOpaque(socket, ws_session_ref(s));
    JSValue result = JS_Call(ctx, callback, JS_UNDEFINED, 1, &socket);
    int rc = JS_IsException(result) ? -1 : 0;
    JS_FreeValue(ctx, result);
    JS_FreeValue(ctx, socket);
    if (rc == 0 && sq_js_run_jobs(s->self) < 0)
        rc = -1;
    if (rc == 0)
        rc = dispatch(s, WS_OPEN, JS_UNDEFINED);
    if (rc == 0)
        rc = run_session(s);
    return finish(ctx, s, rc, url, start_wall_ns, start_ns);
}

static JSValue run_failed(JSContext *ctx, struct ws_session *s, const char *url,
                          int64_t start_wall_ns, double ms)
{
    const char *text = outcome_text(s, s->outcome.error_at);

    sample(s, SQ_M_WS_SESSION_DURATION, start_wall_ns, ms);
    if (s->self->vu->worker->run->config->throw_errors)
        return throw_failure(ctx, text);
    warn_failure(s, url);
    return new_response(ctx, s, url);
}

static JSValue run_connection(JSContext *ctx, struct ws_session *s, struct connect_args *args,
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
    store_cookies(s, args->jar, url);
    tag_session(s, args->tags, url);
    double ms = (double)(s->outcome.end_ns - s->outcome.dial_start_ns) / SQ_NS_PER_MS;
    sample(s, SQ_M_WS_SESSIONS, start_wall_ns, 1);
    sample(s, SQ_M_WS_CONNECTING, start_wall_ns, ms);
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
    struct connect_args args = {.tags = sq_tagset_ref(self->vu->tags), .jar_value = JS_UNDEFINED};
    JSValue result = JS_EXCEPTION;
    if (argc < 3 || sq_js_each_key(ctx, argv[1], set_param, &args) == 0) {
        if (!args.jar)
            args.jar = sq_k6_http_vu_jar(self);
        struct ws_session *s = ws_session_new(self);
        result = run_connection(ctx, s, &args, url ? url : "", callback);
        ws_session_retire(s);
        ws_session_unref(s);
    }
    free_args(ctx, &args);
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
