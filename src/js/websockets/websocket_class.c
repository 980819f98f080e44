/* SPDX-License-Identifier: Apache-2.0 */
/* The class WebSocket: attributes and methods (sections 3 and 4 of the module's specification). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "js/websockets/websocket.h"

static JSClassID websocket_class;

struct websocket *websocket_of(JSValueConst value)
{
    return JS_GetOpaque(value, websocket_class);
}

struct dom_target *sq_dom_websocket_target(JSValueConst value)
{
    struct websocket *ws = websocket_of(value);

    return ws ? &ws->target : NULL;
}

static void finalizer(JSRuntime *rt, JSValue value)
{
    struct websocket *ws = websocket_of(value);

    if (!ws)
        return;
    sq_dom_target_free(rt, &ws->target);
    JS_FreeValueRT(rt, ws->url);
    if (ws->pings)
        free(ws->pings->items);
    free(ws->pings);
    free(ws->protocol);
    free(ws->extensions);
    free(ws);
}

static void mark_socket(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark)
{
    const struct websocket *ws = websocket_of(value);

    if (ws)
        sq_dom_target_mark(rt, &ws->target, mark);
}

JSValue websocket_new(JSContext *ctx, JSValueConst new_target, JSValue url, struct websocket **out)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    JSValue object = sq_dom_object(ctx, websocket_class, new_target);

    if (JS_IsException(object)) {
        JS_FreeValue(ctx, url);
        return object;
    }
    struct websocket *ws = *out = sq_xcalloc(1, sizeof *ws);
    ws->self = self;
    ws->url = url;
    ws->object = JS_DupValue(ctx, object);
    ws->standard = sq_dom_standard(self);
    ws->target.k6_rules = !ws->standard;
    ws->resource.stop = websocket_stop;
    sq_list_append(&self->resources, &ws->resource.node);
    sq_list_init(&ws->paused_node);
    JS_SetOpaque(object, ws);
    return object;
}

static struct websocket *this_socket(JSContext *ctx, JSValueConst this_val)
{
    return JS_GetOpaque2(ctx, this_val, websocket_class);
}

/* ---- attributes ---- */

enum { URL, READY_STATE, BUFFERED, EXTENSIONS, PROTOCOL, BINARY_TYPE };

static JSValue get_extensions(JSContext *ctx, const struct websocket *ws)
{
    const char *text = ws->extensions ? ws->extensions : "";

    if (ws->standard)
        return JS_NewString(ctx, text);
    JSValue list = JS_NewArray(ctx); /* k6: the header's values */
    if (*text)
        JS_SetPropertyUint32(ctx, list, 0, JS_NewString(ctx, text));
    return list;
}

static JSValue get(JSContext *ctx, JSValueConst this_val, int magic)
{
    struct websocket *ws = this_socket(ctx, this_val);

    if (!ws)
        return JS_EXCEPTION;
    switch (magic) {
    case URL:
        return JS_DupValue(ctx, ws->url);
    case READY_STATE:
        return JS_NewInt32(ctx, ws->state);
    case BUFFERED:
        websocket_sync(ws);
        return JS_NewInt64(ctx, (int64_t)(ws->shown_bytes + ws->lost_bytes));
    case EXTENSIONS:
        return get_extensions(ctx, ws);
    case PROTOCOL:
        return JS_NewString(ctx, ws->protocol ? ws->protocol : "");
    default:
        return JS_NewString(ctx, ws->array_buffer ? "arraybuffer" : "blob");
    }
}

static JSValue set_binary_type(JSContext *ctx, JSValueConst this_val, JSValueConst value, int magic)
{
    struct websocket *ws = this_socket(ctx, this_val);
    const char *text = ws ? JS_ToCString(ctx, value) : NULL;
    JSValue result = JS_UNDEFINED;

    (void)magic;
    if (!text)
        return JS_EXCEPTION;
    if (strcmp(text, "blob") == 0)
        ws->array_buffer = false;
    else if (strcmp(text, "arraybuffer") == 0)
        ws->array_buffer = true;
    else if (!ws->standard)
        result = sq_js_throw(
            ctx, "unknown binaryType %s, the supported ones are \"blob\" and \"arraybuffer\"",
            text);
    JS_FreeCString(ctx, text);
    return result;
}

static JSValue get_handler(JSContext *ctx, JSValueConst this_val, int type)
{
    struct websocket *ws = this_socket(ctx, this_val);

    return ws ? sq_dom_handler(ctx, &ws->target, sq_dom_atom(sq_js_self(ctx), type)) : JS_EXCEPTION;
}

static JSValue set_handler(JSContext *ctx, JSValueConst this_val, JSValueConst value, int type)
{
    struct websocket *ws = this_socket(ctx, this_val);

    if (!ws)
        return JS_EXCEPTION;
    JSAtom atom = sq_dom_atom(sq_js_self(ctx), type);
    if (!ws->standard && !JS_IsUndefined(value) && !JS_IsNull(value) &&
        !JS_IsFunction(ctx, value)) {
        const char *name = JS_AtomToCString(ctx, atom);
        JS_ThrowTypeError(ctx, "a value for 'on%s' should be callable", name ? name : "");
        JS_FreeCString(ctx, name);
        return JS_EXCEPTION;
    }
    sq_dom_set_handler(ctx, &ws->target, atom, value);
    return JS_UNDEFINED;
}

/* ---- send ---- */

struct outgoing {
    enum sq_ws_opcode_kind kind;
    struct sq_slice data;
    char *text;         /* owned */
    const char *engine; /* owned: JS_FreeCString */
};

static void outgoing_free(JSContext *ctx, struct outgoing *out)
{
    free(out->text);
    JS_FreeCString(ctx, out->engine);
}

/* Strings, mostly ASCII, are not copied. */
static int read_string(JSContext *ctx, JSValueConst value, struct outgoing *out)
{
    size_t len;

    out->kind = SQ_WS_KIND_TEXT;
    if (sq_js_ascii_bytes(value, &out->data))
        return 0;
    out->engine = JS_ToCStringLen(ctx, &len, value);
    if (!out->engine)
        return -1;
    if (memchr(out->engine, 0xED, len)) { /* it may hold lone surrogates */
        out->text = sq_dom_text(ctx, value, &len);
        if (!out->text)
            return -1;
    }
    out->data = sq_slice(out->text ? out->text : out->engine, len);
    return 0;
}

static bool is_string_object(JSContext *ctx, JSValueConst value)
{
    char *name = sq_js_type_name(ctx, value);
    bool is = strcmp(name, "String") == 0;

    free(name);
    return is;
}

static int read_outgoing(JSContext *ctx, const struct websocket *ws, JSValueConst value,
                         struct outgoing *out)
{
    *out = (struct outgoing){.kind = SQ_WS_KIND_BINARY};
    if (JS_IsString(value))
        return read_string(ctx, value, out);
    switch (sq_js_view_bytes(value, &out->data.data, &out->data.len)) {
    case 1:
        return 0;
    case 2:
        JS_ThrowTypeError(ctx, "send: a SharedArrayBuffer cannot be sent");
        return -1;
    }
    if (sq_dom_blob_bytes(value, &out->data))
        return 0;
    if (ws->standard || (JS_IsObject(value) && is_string_object(ctx, value)))
        return read_string(ctx, value, out);
    char *name = sq_js_type_name(ctx, value);
    JS_ThrowTypeError(ctx, "unsupported send type %s", name);
    free(name);
    return -1;
}

static JSValue send_data(JSContext *ctx, struct websocket *ws, const struct outgoing *out)
{
    if (ws->state == WEBSOCKET_CONNECTING || (ws->state != WEBSOCKET_OPEN && !ws->standard))
        return sq_dom_throw(ctx, "InvalidStateError", "InvalidStateError: the WebSocket is %s",
                            ws->state == WEBSOCKET_CONNECTING ? "not open yet"
                                                              : "closing or closed");
    websocket_sync(ws);
    if (ws->state != WEBSOCKET_OPEN || !ws->conn) {
        ws->lost_bytes += out->data.len;
        return JS_UNDEFINED;
    }
    uint64_t lost = sq_ws_conn_lost(ws->conn);
    int rc = sq_ws_conn_send(ws->conn, out->kind, out->data);
    ws->shown_bytes += out->data.len;
    /* Refused, and not even counted by the connection. */
    if (rc < 0 && sq_ws_conn_lost(ws->conn) == lost) {
        ws->shown_bytes -= out->data.len;
        ws->lost_bytes += out->data.len;
    }
    if (rc == 0)
        websocket_count_sent(ws);
    return JS_UNDEFINED;
}

static JSValue socket_send(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct websocket *ws = this_socket(ctx, this_val);
    struct outgoing out;

    if (!ws)
        return JS_EXCEPTION;
    if (argc < 1)
        return JS_ThrowTypeError(ctx, "send takes the data to send");
    JSValue result = JS_EXCEPTION;
    if (read_outgoing(ctx, ws, argv[0], &out) == 0)
        result = send_data(ctx, ws, &out);
    outgoing_free(ctx, &out);
    return result;
}

/* ---- ping ---- */

static void remember_ping(struct websocket *ws, uint64_t number)
{
    struct websocket_pings *p = ws->pings;

    if (p->count == WEBSOCKET_PINGS_MAX) {
        p->count--;
        memmove(p->items, p->items + 1, p->count * sizeof *p->items);
    }
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 2;
        p->items = sq_xrealloc(p->items, p->cap * sizeof *p->items);
    }
    p->items[p->count++] = (struct websocket_ping){number, sq_now_ns()};
}

static int ping(struct websocket *ws, struct sq_slice payload)
{
    if (!ws->conn || sq_ws_conn_ping(ws->conn, payload) < 0)
        return -1;
    websocket_count_sent(ws);
    return 0;
}

static JSValue ping_with(JSContext *ctx, struct websocket *ws, JSValueConst value)
{
    struct outgoing out;
    JSValue result = JS_EXCEPTION;

    if (read_outgoing(ctx, ws, value, &out) == 0) {
        if (out.data.len > 125)
            sq_dom_throw(ctx, "SyntaxError", "a ping's payload must not exceed 125 bytes");
        else
            result = JS_UNDEFINED;
        if (out.data.len <= 125)
            ping(ws, out.data);
    }
    outgoing_free(ctx, &out);
    return result;
}

static JSValue socket_ping(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct websocket *ws = this_socket(ctx, this_val);
    char payload[24];

    if (!ws)
        return JS_EXCEPTION;
    if (ws->state != WEBSOCKET_OPEN)
        return sq_dom_throw(ctx, "InvalidStateError",
                            "InvalidStateError: the WebSocket is not "
                            "open");
    if (argc > 0 && !JS_IsUndefined(argv[0]))
        return ping_with(ctx, ws, argv[0]);
    if (!ws->pings)
        ws->pings = sq_xcalloc(1, sizeof *ws->pings);
    uint64_t number = ws->pings->next++;
    int len = snprintf(payload, sizeof payload, "%llu", (unsigned long long)number);
    if (ping(ws, sq_slice(payload, (size_t)len)) == 0)
        remember_ping(ws, number);
    return JS_UNDEFINED;
}

/* ---- close ---- */

struct close_args {
    bool has_code;
    double code;
    char *reason; /* owned; NULL: absent */
    size_t reason_len;
};

static int read_close_args(JSContext *ctx, const struct websocket *ws, int argc, JSValueConst *argv,
                           struct close_args *args)
{
    JSValueConst code = argc > 0 ? argv[0] : JS_UNDEFINED;
    JSValueConst reason = argc > 1 ? argv[1] : JS_UNDEFINED;

    *args = (struct close_args){.has_code = !JS_IsUndefined(code)};
    if (args->has_code && JS_ToFloat64(ctx, &args->code, code) < 0)
        return -1;
    if (isnan(args->code))
        args->code = 0;
    if (ws->standard) { /* [Clamp] unsigned short */
        args->code = nearbyint(SQ_MAX(SQ_MIN(args->code, 65535.0), 0.0));
    } else {
        args->code = trunc(args->code);
        args->has_code = args->code != 0;
    }
    if (JS_IsUndefined(reason) || (!ws->standard && JS_IsNull(reason)))
        return 0;
    args->reason = sq_dom_text(ctx, reason, &args->reason_len);
    return args->reason ? 0 : -1;
}

static int check_close_args(JSContext *ctx, const struct close_args *args)
{
    if (args->has_code && args->code != 1000 && !(args->code >= 3000 && args->code <= 4999)) {
        sq_dom_throw(ctx, "InvalidAccessError",
                     "InvalidAccessError: Failed to execute 'close' on 'WebSocket': The close code "
                     "must be either 1000, or between 3000 and 4999. %.0f is neither",
                     args->code);
        return -1;
    }
    if (args->reason_len > 123) {
        sq_dom_throw(ctx, "SyntaxError",
                     "SyntaxError: Failed to execute 'close' on 'WebSocket': The message must not "
                     "be greater than 123 bytes");
        return -1;
    }
    return 0;
}

static void close_socket(struct websocket *ws, const struct close_args *args)
{
    bool bare = ws->standard && !args->has_code && !args->reason_len;
    unsigned code = args->has_code ? (unsigned)args->code : bare ? 1005 : 1000;

    if (websocket_close(ws, code, sq_slice(args->reason ? args->reason : "", args->reason_len)))
        websocket_count_sent(ws);
}

static JSValue socket_close(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct websocket *ws = this_socket(ctx, this_val);
    struct close_args args = {0};
    JSValue result = JS_EXCEPTION;

    if (!ws)
        return JS_EXCEPTION;
    if (!ws->standard && ws->state >= WEBSOCKET_CLOSING)
        return JS_UNDEFINED;
    if (read_close_args(ctx, ws, argc, argv, &args) == 0 && check_close_args(ctx, &args) == 0) {
        close_socket(ws, &args);
        result = JS_UNDEFINED;
    }
    free(args.reason);
    return result;
}

JSValue sq_dom_websocket_hold(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct websocket *ws = argc > 1 ? websocket_of(argv[0]) : NULL;

    (void)this_val;
    if (!ws)
        return JS_UNDEFINED;
    ws->held = JS_ToBool(ctx, argv[1]);
    if (ws->conn && ws->held)
        sq_ws_conn_pause(ws->conn);
    else if (ws->conn && !ws->paused)
        sq_ws_conn_resume(ws->conn);
    return JS_UNDEFINED;
}

JSValue sq_dom_websocket_full(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct websocket *ws = argc > 0 ? websocket_of(argv[0]) : NULL;

    (void)this_val;
    /* What is sent after the peer's Close goes nowhere: the close event will tell. */
    return JS_NewBool(
        ctx, ws && (ws->ending || (ws->conn && sq_ws_conn_buffered(ws->conn) > SQ_WS_HIGH_WATER)));
}

/* ---- the class ---- */

static const char *const json_fields[] = {"url",        "readyState", "bufferedAmount",
                                          "extensions", "protocol",   "binaryType"};

static JSValue to_json(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSValue out = JS_NewObject(ctx);

    (void)argc, (void)argv;
    for (size_t i = 0; i < SQ_COUNT(json_fields); i++) {
        JSValue value = JS_GetPropertyStr(ctx, this_val, json_fields[i]);
        if (JS_IsException(value)) {
            JS_FreeValue(ctx, out);
            return value;
        }
        JS_DefinePropertyValueStr(ctx, out, json_fields[i], value, JS_PROP_C_W_E);
    }
    return out;
}

#define GET(name, magic) JS_CGETSET_MAGIC_DEF(name, get, NULL, magic)
#define HANDLER(name, type) JS_CGETSET_MAGIC_DEF(name, get_handler, set_handler, type)
#define STATE(name, value) JS_PROP_INT32_DEF(name, value, JS_PROP_ENUMERABLE)

static const JSCFunctionListEntry members[] = {
    GET("url", URL),
    GET("readyState", READY_STATE),
    GET("bufferedAmount", BUFFERED),
    GET("extensions", EXTENSIONS),
    GET("protocol", PROTOCOL),
    JS_CGETSET_MAGIC_DEF("binaryType", get, set_binary_type, BINARY_TYPE),
    HANDLER("onopen", DOM_OPEN),
    HANDLER("onmessage", DOM_MESSAGE),
    HANDLER("onerror", DOM_ERROR),
    HANDLER("onclose", DOM_CLOSE),
    HANDLER("onping", DOM_PING),
    HANDLER("onpong", DOM_PONG),
    JS_CFUNC_DEF("send", 1, socket_send),
    JS_CFUNC_DEF("ping", 0, socket_ping),
    JS_CFUNC_DEF("close", 0, socket_close),
    JS_CFUNC_DEF("toJSON", 0, to_json),
    STATE("CONNECTING", WEBSOCKET_CONNECTING),
    STATE("OPEN", WEBSOCKET_OPEN),
    STATE("CLOSING", WEBSOCKET_CLOSING),
    STATE("CLOSED", WEBSOCKET_CLOSED),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "WebSocket", JS_PROP_CONFIGURABLE),
};

void sq_dom_websocket_class_ids(void)
{
    JS_NewClassID(&websocket_class);
}

void sq_dom_websocket_register(JSRuntime *rt)
{
    static const JSClassDef definition = {"WebSocket", .finalizer = finalizer,
                                          .gc_mark = mark_socket};

    JS_NewClass(rt, websocket_class, &definition);
}

JSValue sq_dom_websocket_class(JSContext *ctx)
{
    JSValue constructor = sq_dom_define(ctx, websocket_class, "WebSocket", websocket_construct, 1,
                                        sq_dom_event_target_proto(ctx),
                                        (struct dom_method_list){members, SQ_COUNT(members)});

    /* k6's does without, and scripts rely on it (1.4). */
    if (!((const struct sq_js_cell *)JS_GetContextOpaque(ctx))->standard)
        sq_js_call_without_new(constructor);
    return constructor;
}
