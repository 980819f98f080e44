/* SPDX-License-Identifier: Apache-2.0 */
/* URL and URLSearchParams (WHATWG URL 6): classes in JavaScript (url_class.js) over the parser of
 * url_parse.c. */
#include <stdlib.h>

#include "js/dom/dom.h"
#include "js/dom/url_parse.h"
#include "js/scripts.h"

static JSValue text_or_null(JSContext *ctx, const char *text)
{
    return text ? JS_NewString(ctx, text) : JS_NULL;
}

static JSValue record(JSContext *ctx, const struct dom_url *u)
{
    const struct {
        const char *name;
        JSValue value;
    } fields[] = {
        {"scheme", JS_NewString(ctx, u->scheme)},     {"username", JS_NewString(ctx, u->username)},
        {"password", JS_NewString(ctx, u->password)}, {"host", text_or_null(ctx, u->host)},
        {"port", JS_NewInt32(ctx, u->port)},          {"path", JS_NewString(ctx, u->path)},
        {"query", text_or_null(ctx, u->query)},       {"fragment", text_or_null(ctx, u->fragment)},
        {"opaque", JS_NewBool(ctx, u->opaque)},
    };
    struct sq_buf origin = {0};
    JSValue object = JS_NewObject(ctx);

    for (size_t i = 0; i < SQ_COUNT(fields); i++)
        JS_DefinePropertyValueStr(ctx, object, fields[i].name, fields[i].value, JS_PROP_C_W_E);
    sq_dom_url_origin(u, &origin);
    JS_DefinePropertyValueStr(ctx, object, "origin", JS_NewString(ctx, sq_buf_cstr(&origin)),
                              JS_PROP_C_W_E);
    sq_buf_deinit(&origin);
    return object;
}

/* parse(text, base): the record, or undefined. */
static JSValue parse(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct dom_url url, base;
    bool has_base = argc > 1 && !JS_IsUndefined(argv[1]);
    JSValue result = JS_UNDEFINED;
    size_t len = 0, base_len = 0;
    char *text = sq_dom_text(ctx, argv[0], &len);
    char *base_text = text && has_base ? sq_dom_text(ctx, argv[1], &base_len) : NULL;

    (void)this_val;
    if (!text || (has_base && !base_text)) {
        free(text);
        return JS_EXCEPTION;
    }
    if (has_base && sq_dom_url_parse(sq_slice(base_text, base_len), NULL, &base) < 0)
        goto out;
    if (sq_dom_url_parse(sq_slice(text, len), has_base ? &base : NULL, &url) == 0) {
        result = record(ctx, &url);
        sq_dom_url_deinit(&url);
    }
    if (has_base)
        sq_dom_url_deinit(&base);
out:
    free(text);
    free(base_text);
    return result;
}

/* Bytes as text, what is not UTF-8 replaced. */
static JSValue decode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_buf text = {0};
    struct sq_slice bytes;
    JSValue result = JS_UNDEFINED;

    (void)this_val, (void)argc;
    if (sq_dom_bytes(ctx, argv[0], &bytes)) {
        result = sq_js_decode_utf8(bytes.data, bytes.len, &text) < 0
                     ? JS_ThrowOutOfMemory(ctx)
                     : JS_NewStringLen(ctx, sq_buf_cstr(&text), text.len);
        sq_buf_deinit(&text);
    }
    return result;
}

static JSValue userinfo(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    size_t len;
    char *text = sq_dom_text(ctx, argv[0], &len);

    (void)this_val, (void)argc;
    if (!text)
        return JS_EXCEPTION;
    char *encoded = sq_dom_url_userinfo(sq_slice(text, len));
    JSValue result = JS_NewString(ctx, encoded);
    free(encoded);
    free(text);
    return result;
}

static const JSCFunctionListEntry helpers[] = {
    JS_CFUNC_DEF("decode", 1, decode),
    JS_CFUNC_DEF("userinfo", 1, userinfo),
};

int sq_dom_url_classes(JSContext *ctx, JSValueConst all)
{
    JSValue make = sq_js_script_eval(ctx, sq_js_script_url_class, "squall:url");
    JSValue fn = JS_NewCFunction(ctx, parse, "parse", 2);
    int rc = -1;

    JS_SetPropertyFunctionList(ctx, fn, helpers, SQ_COUNT(helpers));
    JSValue made = JS_IsException(make) ? JS_EXCEPTION : JS_Call(ctx, make, JS_UNDEFINED, 1, &fn);
    if (!JS_IsException(made) &&
        JS_SetPropertyStr(ctx, all, "URL", JS_GetPropertyStr(ctx, made, "URL")) >= 0)
        rc = JS_SetPropertyStr(ctx, all, "URLSearchParams",
                               JS_GetPropertyStr(ctx, made, "URLSearchParams"));
    JS_FreeValue(ctx, made);
    JS_FreeValue(ctx, fn);
    JS_FreeValue(ctx, make);
    return rc < 0 ? -1 : 0;
}
