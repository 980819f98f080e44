/* SPDX-License-Identifier: Apache-2.0 */
/* k6/http: the Response object (MOD-65) and its json() (MOD-66). */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "js/http/k6_http.h"

static JSClassID response_class;

struct response {
    JSValue json; /* parsed body; undefined: not yet */
};

static void response_finalizer(JSRuntime *rt, JSValue value)
{
    struct response *r = JS_GetOpaque(value, response_class);

    if (r)
        JS_FreeValueRT(rt, r->json);
    free(r);
}

static void response_mark(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark)
{
    struct response *r = JS_GetOpaque(value, response_class);

    if (r)
        JS_MarkValue(rt, r->json, mark);
}

/* ---- json ---- */

/* Where the engine's parser gave up: "at response:3:7" in the exception's stack. */
static JSValue bad_json(JSContext *ctx, JSValue exception)
{
    JSValue stack = JS_GetPropertyStr(ctx, exception, "stack");
    JSValue message = JS_GetPropertyStr(ctx, exception, "message");
    const char *at = JS_ToCString(ctx, stack), *why = JS_ToCString(ctx, message);
    const char *place = at ? strstr(at, "response:") : NULL;
    int line = 1, column = 1;

    if (place)
        (void)!sscanf(place, "response:%d:%d", &line, &column);
    sq_js_throw(ctx, "cannot parse json due to an error at line %d, character %d, error: %s", line,
                column, why ? why : "invalid JSON");
    JS_FreeCString(ctx, at);
    JS_FreeCString(ctx, why);
    JS_FreeValue(ctx, stack);
    JS_FreeValue(ctx, message);
    JS_FreeValue(ctx, exception);
    return JS_EXCEPTION;
}

static JSValue parse_body(JSContext *ctx, JSValueConst body)
{
    size_t len = 0;
    const uint8_t *bytes = sq_js_bytes(ctx, body, &len);
    JSValue json;

    if (bytes) {
        char *copy = sq_try_alloc(len + 1);
        if (!copy)
            return sq_js_throw(ctx, "no memory for a body of %zu bytes", len);
        memcpy(copy, bytes, len);
        copy[len] = '\0'; /* the parser looks there */
        json = JS_ParseJSON(ctx, copy, len, "response");
        free(copy);
    } else {
        const char *text = JS_ToCStringLen(ctx, &len, body);
        if (!text)
            return JS_EXCEPTION;
        json = JS_ParseJSON(ctx, text, len, "response");
        JS_FreeCString(ctx, text);
    }
    return JS_IsException(json) ? bad_json(ctx, JS_GetException(ctx)) : json;
}

static JSValue response_json(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct response *r = JS_GetOpaque2(ctx, this_val, response_class);
    bool by_path = argc > 0 && !JS_IsUndefined(argv[0]) && !JS_IsNull(argv[0]);

    if (!r)
        return JS_EXCEPTION;
    if (JS_IsUndefined(r->json)) {
        JSValue body = JS_GetPropertyStr(ctx, this_val, "body");
        JSValue json = JS_IsNull(body) || JS_IsUndefined(body)
                           ? sq_js_throw(ctx, "the body is null so we can't transform it to JSON - "
                                              "this likely was because of a request error getting "
                                              "the response")
                           : parse_body(ctx, body);
        bool none = JS_IsNull(body) || JS_IsUndefined(body);
        JS_FreeValue(ctx, body);
        if (JS_IsException(json)) {
            if (!by_path || none)
                return json;
            JS_FreeValue(ctx, JS_GetException(ctx));
            return JS_UNDEFINED;
        }
        r->json = json;
    }
    if (!by_path)
        return JS_DupValue(ctx, r->json);
    const char *path = JS_ToCString(ctx, argv[0]);
    JSValue found = path ? http_json_path(ctx, r->json, path) : JS_EXCEPTION;
    JS_FreeCString(ctx, path);
    return found;
}

JSValue http_response_html(JSContext *ctx, JSValueConst response, JSValueConst selector)
{
    JSValue body = JS_GetPropertyStr(ctx, response, "body"), result = JS_EXCEPTION;
    size_t len = 0;

    const uint8_t *bytes = JS_IsObject(body) ? sq_js_bytes(ctx, body, &len) : NULL;
    if (bytes) {
        result = sq_k6_html_parse(ctx, (const char *)bytes, len, selector);
    } else if (JS_IsString(body)) {
        const char *text = JS_ToCStringLen(ctx, &len, body);
        if (text)
            result = sq_k6_html_parse(ctx, text, len, selector);
        JS_FreeCString(ctx, text);
    } else if (!JS_HasException(ctx)) {
        sq_js_throw(ctx, "the body is null so we can't transform it to HTML - this likely was "
                         "because of a request error getting the response");
    }
    JS_FreeValue(ctx, body);
    return result;
}

static JSValue response_html(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)argc; /* the engine pads argv to the declared length */
    return http_response_html(ctx, this_val, argv[0]);
}

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("json", 1, response_json),
    JS_CFUNC_DEF("html", 1, response_html),
    JS_CFUNC_DEF("submitForm", 1, http_submit_form),
    JS_CFUNC_DEF("clickLink", 1, http_click_link),
};

void sq_k6_http_response_class_ids(void)
{
    JS_NewClassID(&response_class);
}

void sq_k6_http_response_classes(JSContext *ctx)
{
    static const JSClassDef definition = {"Response", .finalizer = response_finalizer,
                                          .gc_mark = response_mark};
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), response_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, methods, SQ_COUNT(methods));
    JS_SetClassProto(ctx, response_class, proto);
}

/* ---- fields ---- */

static JSValue text_of(JSContext *ctx, struct sq_slice s)
{
    return JS_NewStringLen(ctx, s.len ? (const char *)s.data : "", s.len);
}

static void define(JSContext *ctx, JSValueConst object, const char *key, JSValue value)
{
    JS_DefinePropertyValueStr(ctx, object, key, value, JS_PROP_C_W_E);
}

/* Appends to the array at object[key]. Consumes value. */
static void append(JSContext *ctx, JSValueConst object, const char *key, JSValue value)
{
    JSValue list = JS_GetPropertyStr(ctx, object, key);
    int64_t count = 0;

    if (!JS_IsArray(ctx, list)) {
        JS_FreeValue(ctx, list);
        list = JS_NewArray(ctx);
        define(ctx, object, key, JS_DupValue(ctx, list));
    }
    JSValue length = JS_GetPropertyStr(ctx, list, "length");
    JS_ToInt64(ctx, &count, length);
    JS_SetPropertyInt64(ctx, list, count, value);
    JS_FreeValue(ctx, list);
}

static JSValue headers_object(JSContext *ctx, const struct sq_http_result *r)
{
    JSValue headers = JS_NewObjectProto(ctx, JS_NULL);
    const char *p = r->headers;

    for (size_t i = 0; i < r->headers_count; i++) {
        char *name = sq_xstrdup(p);
        const char *value = p + strlen(p) + 1;
        http_canonical_name(name);
        JSValue before = JS_GetPropertyStr(ctx, headers, name);
        if (JS_IsString(before)) {
            const char *old = JS_ToCString(ctx, before);
            char *joined = sq_xasprintf("%s, %s", old ? old : "", value);
            define(ctx, headers, name, JS_NewString(ctx, joined));
            free(joined);
            JS_FreeCString(ctx, old);
        } else {
            define(ctx, headers, name, JS_NewString(ctx, value));
        }
        JS_FreeValue(ctx, before);
        free(name);
        p = value + strlen(value) + 1;
    }
    return headers;
}

struct attributes {
    struct sq_slice domain, path, expires;
    int64_t max_age_s;
    bool http_only, secure;
};

static struct attributes read_attributes(struct sq_slice rest)
{
    struct attributes a = {0};

    while (rest.len) {
        const uint8_t *end = memchr(rest.data, ';', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len;
        struct sq_slice item = sq_slice_trim(sq_slice(rest.data, len)), value = {0};
        const uint8_t *equal = item.len ? memchr(item.data, '=', item.len) : NULL;
        if (equal) {
            size_t name_len = (size_t)(equal - item.data);
            value = sq_slice_trim(sq_slice(equal + 1, item.len - name_len - 1));
            item = sq_slice_trim(sq_slice(item.data, name_len));
        }
        if (sq_ascii_eq_nocase(item, sq_slice_str("domain")))
            a.domain = value;
        else if (sq_ascii_eq_nocase(item, sq_slice_str("path")))
            a.path = value;
        else if (sq_ascii_eq_nocase(item, sq_slice_str("expires")))
            a.expires = value;
        else if (sq_ascii_eq_nocase(item, sq_slice_str("max-age")) && value.len) {
            char *number = sq_xstrndup((const char *)value.data, value.len);
            a.max_age_s = strtoll(number, NULL, 10);
            a.max_age_s = a.max_age_s > 0 ? a.max_age_s : -1;
            free(number);
        } else if (sq_ascii_eq_nocase(item, sq_slice_str("httponly")))
            a.http_only = true;
        else if (sq_ascii_eq_nocase(item, sq_slice_str("secure")))
            a.secure = true;
        rest = sq_slice(rest.data + len + (end != NULL), rest.len - len - (end != NULL));
    }
    return a;
}

static void add_cookie(JSContext *ctx, JSValueConst cookies, const char *text)
{
    struct sq_slice all = sq_slice_str(text), name, value, rest = {0};
    const uint8_t *end = memchr(all.data, ';', all.len);
    size_t len = end ? (size_t)(end - all.data) : all.len;
    const uint8_t *equal = memchr(all.data, '=', len);
    int64_t expires_ns;

    if (!equal || equal == all.data)
        return;
    if (end)
        rest = sq_slice(end + 1, all.len - len - 1);
    name = sq_slice_trim(sq_slice(all.data, (size_t)(equal - all.data)));
    value = sq_slice_trim(sq_slice(equal + 1, len - (size_t)(equal - all.data) - 1));
    if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
        value = sq_slice(value.data + 1, value.len - 2);
    struct attributes a = read_attributes(rest);
    bool dated = a.expires.len && sq_cookie_date_parse(a.expires, &expires_ns) == 0;
    JSValue cookie = JS_NewObject(ctx);
    define(ctx, cookie, "name", text_of(ctx, name));
    define(ctx, cookie, "value", text_of(ctx, value));
    define(ctx, cookie, "domain", text_of(ctx, a.domain));
    define(ctx, cookie, "path", text_of(ctx, a.path));
    define(ctx, cookie, "http_only", JS_NewBool(ctx, a.http_only));
    define(ctx, cookie, "secure", JS_NewBool(ctx, a.secure));
    define(ctx, cookie, "max_age", JS_NewInt64(ctx, a.max_age_s));
    define(ctx, cookie, "expires", JS_NewInt64(ctx, dated ? expires_ns / SQ_NS_PER_MS : 0));
    char *key = sq_xstrndup((const char *)name.data, name.len);
    append(ctx, cookies, key, cookie);
    free(key);
}

static JSValue cookies_object(JSContext *ctx, const struct sq_http_result *r)
{
    JSValue cookies = JS_NewObjectProto(ctx, JS_NULL);
    const char *p = r->headers;

    for (size_t i = 0; i < r->headers_count; i++) {
        const char *value = p + strlen(p) + 1;
        if (sq_ascii_eq_nocase(sq_slice_str(p), sq_slice_str("set-cookie")))
            add_cookie(ctx, cookies, value);
        p = value + strlen(value) + 1;
    }
    return cookies;
}

static JSValue timings_object(JSContext *ctx, const struct sq_http_timings *t)
{
    const struct {
        const char *name;
        int64_t ns;
    } rows[] = {
        {"duration", t->sending + t->waiting + t->receiving},
        {"blocked", t->blocked},
        {"looking_up", t->looking_up},
        {"connecting", t->connecting},
        {"tls_handshaking", t->tls_handshaking},
        {"sending", t->sending},
        {"waiting", t->waiting},
        {"receiving", t->receiving},
    };
    JSValue timings = JS_NewObject(ctx);

    for (size_t i = 0; i < SQ_COUNT(rows); i++)
        define(ctx, timings, rows[i].name, JS_NewFloat64(ctx, (double)rows[i].ns / SQ_NS_PER_MS));
    return timings;
}

static JSValue request_object(JSContext *ctx, const struct http_call *call)
{
    JSValue request = JS_NewObject(ctx), headers = JS_NewObjectProto(ctx, JS_NULL),
            cookies = JS_NewObjectProto(ctx, JS_NULL);

    for (size_t i = 0; i < call->headers_count; i++)
        append(ctx, headers, call->headers[i].name, JS_NewString(ctx, call->headers[i].value));
    for (size_t i = 0; i < call->cookies_count; i++) {
        JSValue cookie = JS_NewObject(ctx);
        define(ctx, cookie, "name", JS_NewString(ctx, call->cookies[i].name));
        define(ctx, cookie, "value", JS_NewString(ctx, call->cookies[i].value));
        define(ctx, cookie, "replace", JS_NewBool(ctx, call->cookies[i].replace));
        append(ctx, cookies, call->cookies[i].name, cookie);
    }
    define(ctx, request, "method", JS_NewString(ctx, call->method));
    define(ctx, request, "url", JS_NewString(ctx, call->url));
    define(ctx, request, "headers", headers);
    define(ctx, request, "body", text_of(ctx, sq_buf_slice(&call->body)));
    define(ctx, request, "cookies", cookies);
    return request;
}

static JSValue body_value(JSContext *ctx, const struct http_call *call,
                          const struct sq_http_result *r)
{
    if (!call->transfer)
        return JS_NewArrayBufferCopy(ctx, NULL, 0);
    if (r->error_code || call->type == HTTP_NONE)
        return JS_NULL;
    if (call->type == HTTP_BINARY)
        return JS_NewArrayBufferCopy(ctx, r->body.data, r->body.len);
    return text_of(ctx, r->body);
}

/* What was not even sent, or not followed, has the words of the call itself. */
static struct sq_http_result result_of(const struct http_call *call)
{
    static const struct sq_http_result nothing = {
        .error = "",
        .text = "",
        .status_text = "",
        .proto = "",
        .headers = "",
        .remote_ip = "",
        .tls_version = "",
        .tls_cipher = "",
    };
    struct sq_http_result r = call->transfer ? *sq_http_transfer_result(call->transfer) : nothing;

    if (call->failure) {
        r.error_code = call->failure_code;
        r.error = r.text = call->failure;
        r.status = 0;
    }
    return r;
}

static JSValue failed(JSContext *ctx, const struct http_call *call, const struct sq_http_result *r)
{
    char method[16], *host_port, *clean;

    snprintf(method, sizeof method, "%s", call->hop_method ? call->hop_method : call->method);
    for (char *p = method + 1; *method && *p; p++)
        *p = sq_ascii_lower(*p);
    (void)!sq_http_url_check(call->hop_url ? call->hop_url : call->url, &host_port, &clean, NULL);
    char *text = call->transfer ? sq_xasprintf("%s \"%s\": %s", method, clean, r->text)
                                : sq_xstrdup(r->text);
    JSValue result = JS_UNDEFINED;
    if (call->throws)
        result = sq_js_throw(ctx, "%s", text);
    else if (sq_js_first_time(call->self->cell->worker->bundle, r->text))
        sq_log(SQ_LOG_WARN, "http", "Request Failed: %s", text);
    free(text);
    free(host_port);
    free(clean);
    return result;
}

JSValue http_new_response(JSContext *ctx, struct http_call *call)
{
    const struct sq_http_result r = result_of(call);
    int code = r.error_code ? r.error_code : r.status >= 400 ? 1000 + r.status : 0;

    if (r.error_code && JS_IsException(failed(ctx, call, &r)))
        return JS_EXCEPTION;
    JSValue o = JS_NewObjectClass(ctx, (int)response_class);
    if (JS_IsException(o))
        return o;
    struct response *handle = sq_xmalloc(sizeof *handle);
    handle->json = JS_UNDEFINED;
    JS_SetOpaque(o, handle);
    JSValue body = body_value(ctx, call, &r);
    if (JS_IsException(body)) {
        JS_FreeValue(ctx, o);
        return body;
    }
    define(ctx, o, "remote_ip", JS_NewString(ctx, r.remote_ip));
    define(ctx, o, "remote_port", JS_NewInt32(ctx, r.remote_port));
    define(ctx, o, "url", JS_NewString(ctx, call->hop_url ? call->hop_url : call->url));
    define(ctx, o, "status", JS_NewInt32(ctx, r.status));
    define(ctx, o, "status_text", JS_NewString(ctx, r.status_text));
    define(ctx, o, "proto", JS_NewString(ctx, r.proto));
    define(ctx, o, "headers", headers_object(ctx, &r));
    define(ctx, o, "cookies", cookies_object(ctx, &r));
    define(ctx, o, "body", body);
    define(ctx, o, "timings", timings_object(ctx, &r.timings));
    define(ctx, o, "tls_version", JS_NewString(ctx, r.tls_version));
    define(ctx, o, "tls_cipher_suite", JS_NewString(ctx, r.tls_cipher));
    JSValue ocsp = JS_NewObject(ctx);
    define(ctx, ocsp, "status", JS_NewString(ctx, ""));
    define(ctx, o, "ocsp", ocsp);
    define(ctx, o, "error", JS_NewString(ctx, r.error));
    define(ctx, o, "error_code", JS_NewInt32(ctx, code));
    define(ctx, o, "request", request_object(ctx, call));
    return o;
}
