/* SPDX-License-Identifier: Apache-2.0 */
/* new WebSocket(url, protocols, params): section 2 of the module's specification. */
#include <ctype.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "js/websockets/websocket.h"
#include "js/ws/ws_request.h"
#include "proto/url.h"

/* ---- params: what k6/websockets refuses and k6/ws does not ---- */

static int check_compression(JSContext *ctx, JSValueConst value)
{
    size_t len;

    if (JS_IsObject(value))
        return 0; /* squall's own form: ws_request_read checks it */
    const char *text = sq_js_text(ctx, value, &len);
    if (!text)
        return -1;
    struct sq_slice name = sq_slice_trim(sq_slice(text, len));
    bool ok = sq_slice_eq(name, sq_slice_str("deflate"));
    if (!ok)
        sq_js_throw(ctx,
                    "unsupported compression algorithm '%.*s', supported algorithm is 'deflate'",
                    (int)name.len, name.data);
    JS_FreeCString(ctx, text);
    return ok ? 0 : -1;
}

static int check_param(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    (void)user;
    if (strcmp(key, "compression") == 0)
        return check_compression(ctx, value);
    if (strcmp(key, "headers") == 0 || strcmp(key, "jar") == 0 || strcmp(key, "http2") == 0 ||
        ws_request_is_limit(key))
        return 0;
    if (strcmp(key, "tags") == 0) {
        if (JS_IsObject(value) || JS_IsUndefined(value) || JS_IsNull(value))
            return 0;
        char *type = sq_js_type_name(ctx, value);
        sq_js_throw(ctx, "invalid WebSocket tags option: it is a %s, not an object", type);
        free(type);
        return -1;
    }
    sq_js_throw(ctx, "unknown WebSocket's option %s", key);
    return -1;
}

/* ---- protocols ---- */

static bool is_token(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+-.^_`|~", *text))
            return false;
    return true;
}

struct protocols {
    struct sq_buf joined;
    char **items;
    size_t count;
    bool standard;
    bool invalid; /* one is no token, or named twice */
};

static int add_protocol(JSContext *ctx, struct protocols *p, JSValueConst value)
{
    size_t len;
    if (p->standard && JS_IsSymbol(value)) {
        JS_ThrowTypeError(ctx, "a symbol is no subprotocol");
        return -1;
    }
    const char *text = sq_js_text(ctx, value, &len);
    if (!text)
        return -1;
    p->invalid |= strlen(text) != len || !is_token(text);
    for (size_t i = 0; i < p->count; i++)
        p->invalid |= sq_ascii_eq_nocase(sq_slice_str(p->items[i]), sq_slice(text, len));
    if (p->count)
        sq_buf_puts(&p->joined, ", ");
    sq_buf_put(&p->joined, text, len);
    p->items = sq_xrealloc(p->items, (p->count + 1) * sizeof(char *));
    p->items[p->count++] = sq_xstrndup(text, len);
    JS_FreeCString(ctx, text);
    return 0;
}

static int add_sequence(JSContext *ctx, struct protocols *p, JSValueConst list)
{
    int64_t count = 0;
    JSValue length = JS_GetPropertyStr(ctx, list, "length");

    if (JS_IsException(length) || JS_ToInt64(ctx, &count, length) < 0)
        return -1;
    for (int64_t i = 0; i < count; i++) {
        JSValue value = JS_GetPropertyUint32(ctx, list, (uint32_t)i);
        int rc = JS_IsException(value) ? -1 : add_protocol(ctx, p, value);
        JS_FreeValue(ctx, value);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int add_list(JSContext *ctx, struct protocols *p, JSValueConst value)
{
    JSValue list = sq_dom_list(ctx, value);
    int rc = JS_IsException(list) ? -1 : add_sequence(ctx, p, list);

    JS_FreeValue(ctx, list);
    return rc;
}

/* The standard's second argument: a string, a sequence, or a dictionary whose `protocols` is one of
 * these. Web IDL makes a dictionary of null and of an object that is no sequence. */
static int read_standard_protocols(JSContext *ctx, JSValueConst value, struct protocols *p)
{
    if (JS_IsNull(value))
        return 0;
    if (!JS_IsObject(value))
        return add_protocol(ctx, p, value);
    if (sq_dom_is_iterable(ctx, value))
        return add_list(ctx, p, value);
    if (JS_HasException(ctx))
        return -1;
    JSValue member = JS_GetPropertyStr(ctx, value, "protocols");
    int rc = JS_IsException(member)   ? -1
             : JS_IsUndefined(member) ? 0
             : JS_IsObject(member) && sq_dom_is_iterable(ctx, member)
                 ? add_list(ctx, p, member)
                 : add_protocol(ctx, p, member);
    JS_FreeValue(ctx, member);
    return rc;
}

static int read_protocols(JSContext *ctx, int argc, JSValueConst *argv, struct protocols *p)
{
    JSValueConst value = argc > 1 ? argv[1] : JS_UNDEFINED;

    if (JS_IsUndefined(value))
        return 0;
    if (p->standard)
        return read_standard_protocols(ctx, value, p);
    if (JS_IsString(value))
        return add_protocol(ctx, p, value);
    /* k6 ignores other types. */
    return JS_IsArray(ctx, value) > 0 ? add_sequence(ctx, p, value) : 0;
}

static int check_protocols(JSContext *ctx, const struct protocols *p)
{
    if (!p->standard || !p->invalid)
        return 0;
    sq_dom_throw(ctx, "SyntaxError", "the subprotocols '%s' are invalid or named twice",
                 sq_buf_cstr((struct sq_buf *)&p->joined));
    return -1;
}

static void protocols_free(struct protocols *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->items[i]);
    free(p->items);
    sq_buf_deinit(&p->joined);
}

/* ---- dialling ---- */

static void put_header(struct ws_request *request, const char *name, struct sq_slice value)
{
    struct header_list *list = &request->headers;

    list->items = sq_xrealloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = (struct sq_ws_header){
        sq_slice_str(sq_xstrdup(name)),
        sq_slice(sq_xstrndup(value.len ? (const char *)value.data : "", value.len), value.len)};
}

static bool has_header(const struct ws_request *request, const char *name)
{
    for (size_t i = 0; i < request->headers.count; i++)
        if (sq_ascii_eq_nocase(request->headers.items[i].name, sq_slice_str(name)))
            return true;
    return false;
}

static void dial(struct websocket *ws, const struct ws_request *params)
{
    struct sq_js_instance *self = ws->self;
    struct sq_buf cookie = {0};
    struct sq_ws_trace_options trace;
    struct sq_ws_open request = {
        .url = sq_slice_str(ws->opening->url),
        .url_flags = SQ_URL_ALLOW_USERINFO | (ws->standard ? SQ_URL_DROP_DEFAULT_PORT : 0),
    };

    ws_request_open(self, params, &trace, &request);
    if (!params->headers.has_cookie)
        sq_k6_http_cookie_header(ws->opening->jar, ws->opening->url, &cookie);
    request.cookie = sq_buf_slice(&cookie);
    ws->conn = sq_ws_conn_open(sq_js_net(self), &request, &websocket_handler, ws);
    sq_buf_deinit(&cookie);
}

static void start(JSContext *ctx, struct websocket *ws, struct ws_request *params,
                  const struct protocols *protocols, char *url)
{
    struct sq_js_instance *self = ws->self;
    struct websocket_opening *o = ws->opening = sq_xcalloc(1, sizeof *o);
    bool twice = protocols->count && has_header(params, "Sec-WebSocket-Protocol");

    o->url = url;
    o->tags = sq_tagset_ref(params->tags);
    o->start_wall_ns = sq_wall_ns();
    o->asked_protocol = protocols->count > 0;
    o->jar = params->jar ? params->jar : sq_k6_http_vu_jar(self);
    o->jar_value = JS_DupValue(ctx, params->jar_value);
    if (twice) {
        websocket_fail(ws, "websocket: duplicate header not allowed: Sec-Websocket-Protocol");
        return;
    }
    if (self->draining) {
        websocket_fail(ws, "operation was canceled");
        return;
    }
    if (protocols->count)
        put_header(params, "Sec-WebSocket-Protocol", sq_buf_slice(&protocols->joined));
    dial(ws, params);
}

JSValue websocket_construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    struct protocols protocols = {.standard = sq_dom_standard(self)};
    /* The standard has no third argument: what cannot be our params is none. */
    bool has_params = argc > 2 && (!protocols.standard || JS_IsObject(argv[2]));
    JSValueConst params_value = has_params ? argv[2] : JS_UNDEFINED;
    struct ws_request params = {.jar_value = JS_UNDEFINED};
    struct websocket_url url = {0};
    struct websocket *ws;
    JSValue object = JS_EXCEPTION, text = JS_UNDEFINED;

    if (self->in_init)
        return sq_js_throw(ctx, "using WebSocket in the init context is not supported");
    /* Web IDL converts all arguments before the constructor's steps; k6 takes them one by one. */
    JSValueConst url_value = argc > 0 ? argv[0] : JS_UNDEFINED;
    if (protocols.standard && argc > 0) {
        if (JS_IsObject(url_value))
            url_value = text = JS_ToString(ctx, url_value);
        if (JS_IsException(text) || read_protocols(ctx, argc, argv, &protocols) < 0)
            goto out;
    }
    if (websocket_url_parse(ctx, url_value, argc < 1, &url) < 0)
        goto out;
    if (!sq_js_net(self)) {
        sq_js_throw(ctx, "cannot use the network: %s", self->cell->worker->net_error.text);
    } else if (sq_js_each_key(ctx, params_value, check_param, NULL) == 0 &&
               ws_request_read(ctx, params_value, &params) == 0 &&
               (protocols.standard || read_protocols(ctx, argc, argv, &protocols) == 0) &&
               check_protocols(ctx, &protocols) == 0) {
        object = websocket_new(ctx, new_target, JS_NewString(ctx, url.shown), &ws);
        if (!JS_IsException(object)) {
            if (url.origin && !has_header(&params, "Origin"))
                put_header(&params, "Origin", sq_slice_str(url.origin));
            start(ctx, ws, &params, &protocols, url.dialled);
            url.dialled = NULL; /* the socket owns it */
        }
    }
out:
    JS_FreeValue(ctx, text);
    ws_request_free(ctx, &params);
    protocols_free(&protocols);
    free(url.shown);
    free(url.origin);
    free(url.dialled);
    return object;
}
