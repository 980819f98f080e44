/* SPDX-License-Identifier: Apache-2.0 */
#include "js/ws/ws_socket.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
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

JSValue ws_error_new(JSContext *ctx, const char *text)
{
    JSValue object = JS_NewObjectClass(ctx, (int)error_class);

    if (JS_IsException(object))
        return object;
    struct ws_error *e = sq_xmalloc(sizeof *e);
    e->text = sq_xstrdup(text);
    JS_SetOpaque(object, e);
    return object;
}

JSValue ws_close_error_new(JSContext *ctx, unsigned code, struct sq_slice reason)
{
    struct sq_buf text = {0};

    sq_ws_close_text(code, reason, &text);
    JSValue object = ws_error_new(ctx, sq_buf_cstr(&text));
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

int ws_dispatch(struct ws_session *s, enum ws_event_kind kind, JSValue arg)
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

bool ws_listens(const struct ws_session *s, enum ws_event_kind kind)
{
    for (size_t i = 0; i < s->handlers_count; i++)
        if (s->handlers[i].kind == kind)
            return true;
    return false;
}

int ws_report_error(struct ws_session *s, const char *text)
{
    JSContext *ctx = s->self->cell->ctx;

    if (!ws_listens(s, WS_ERROR))
        return 0;
    JSValue error = ws_error_new(ctx, text);
    return JS_IsException(error) ? -1 : ws_dispatch(s, WS_ERROR, error);
}

int ws_report_write_error(struct ws_session *s, int rc)
{
    if (!s->write_error)
        s->write_error =
            sq_xstrdup(s->conn ? sq_ws_conn_error_text(s->conn, rc) : "websocket: close sent");
    char *text = sq_xstrdup(s->write_error);
    int result = ws_report_error(s, text);
    free(text);
    return result;
}

void ws_sample(struct ws_session *s, enum sq_metric_id metric, int64_t wall_ns, double value)
{
    if (s->tags)
        sq_vu_sample_tags(s->self->vu, metric, s->tags, wall_ns, value);
}

int ws_close(struct ws_session *s, double number, bool heard)
{
    JSContext *ctx = s->self->cell->ctx;
    int rc = 0;

    if (s->closed)
        return 0;
    s->closed = true;
    uint16_t code = (uint16_t)(int64_t)SQ_MAX(SQ_MIN(number, 9.2e18), -9.2e18);
    int sent = s->conn ? sq_ws_conn_close(s->conn, code, (struct sq_slice){0}) : -EPIPE;
    if (sent < 0 && !heard)
        rc = ws_report_write_error(s, sent);
    if (rc == 0)
        rc = ws_dispatch(s, WS_CLOSE, JS_NewFloat64(ctx, number));
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
    return ws_close(s, code, false) < 0 ? JS_EXCEPTION : JS_UNDEFINED;
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
        return ws_report_write_error(s, rc) < 0 ? JS_EXCEPTION : JS_UNDEFINED;
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

    if (!s->over && s->tags)
        sq_vu_count(s->self->vu, SQ_M_WS_MSGS_SENT, s->tags);
    if (rc < 0)
        return ws_report_write_error(s, rc) < 0 ? JS_EXCEPTION : JS_UNDEFINED;
    if (sq_ws_conn_buffered(s->conn) > SQ_WS_HIGH_WATER) {
        wait_for_room(s);
        if (s->self->vu->interrupted)
            return sq_js_throw_interrupted(ctx);
    }
    return JS_UNDEFINED;
}

/* A copy without lone surrogates (WS-60). Owned: free. */
static char *well_formed(const char *text, size_t len)
{
    char *copy = sq_xmalloc(len);

    memcpy(copy, text, len);
    sq_js_replace_surrogates(copy, len);
    return copy;
}

static JSValue socket_send(JSContext *ctx, struct ws_session *s, int argc, JSValueConst *argv)
{
    struct sq_slice ascii;
    size_t len = 0;

    if (argc < 1 || JS_IsUndefined(argv[0]) || JS_IsNull(argv[0]))
        return send_data(ctx, s, SQ_WS_KIND_TEXT, sq_slice("", 0));
    if (sq_js_ascii_bytes(argv[0], &ascii))
        return send_data(ctx, s, SQ_WS_KIND_TEXT, ascii);
    const char *text = sq_js_text(ctx, argv[0], &len);
    if (!text)
        return JS_EXCEPTION;
    char *fixed = memchr(text, 0xED, len) ? well_formed(text, len) : NULL; /* it may hold some */
    JSValue result = send_data(ctx, s, SQ_WS_KIND_TEXT, sq_slice(fixed ? fixed : text, len));
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

JSValue ws_socket_new(JSContext *ctx, struct ws_session *s)
{
    JSValue socket = JS_NewObjectClass(ctx, (int)socket_class);

    if (!JS_IsException(socket))
        JS_SetOpaque(socket, ws_session_ref(s));
    return socket;
}
