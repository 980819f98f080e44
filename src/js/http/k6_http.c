/* SPDX-License-Identifier: Apache-2.0 */
/* k6/http: the module's functions, and its cookies: cookieJar() and CookieJar (MOD-67). One jar a
 * VU, shared with the opening handshake of k6/ws; emptied before each iteration. Examples:
 * docs/api/k6-http.md */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "js/http/k6_http.h"
#include "proto/url.h"

static JSClassID jar_class, statuses_class;

struct jar_handle {
    struct sq_cookie_jar *jar;
    struct sq_js_instance *of_vu; /* the VU's own jar is borrowed: NULL for jars the script made */
};

static void jar_finalizer(JSRuntime *rt, JSValue value)
{
    struct jar_handle *h = JS_GetOpaque(value, jar_class);

    (void)rt;
    if (h && !h->of_vu)
        sq_cookie_jar_free(h->jar);
    free(h);
}

struct sq_cookie_jar *sq_k6_http_jar(JSValueConst value)
{
    struct jar_handle *h = JS_GetOpaque(value, jar_class);

    return h ? h->jar : NULL;
}

struct sq_cookie_jar *sq_k6_http_vu_jar(struct sq_js_instance *self)
{
    if (!self->jar)
        self->jar = sq_cookie_jar_new();
    return self->jar;
}

/* ---- URLs: ws counts as http, wss as https ---- */

struct jar_url {
    struct sq_url parsed;
    struct sq_cookie_url url;
};

static int parse_url(const char *text, struct jar_url *out)
{
    static const struct {
        const char *scheme, *as;
    } schemes[] = {{"http://", "ws://"}, {"https://", "wss://"}};
    char *mapped = NULL;

    for (size_t i = 0; i < SQ_COUNT(schemes); i++)
        if (sq_text_starts(text, schemes[i].scheme))
            mapped = sq_xasprintf("%s%s", schemes[i].as, text + strlen(schemes[i].scheme));
    int rc = sq_url_parse(sq_slice_str(mapped ? mapped : text), SQ_URL_ALLOW_USERINFO, &out->parsed,
                          NULL);
    free(mapped);
    if (rc == 0)
        out->url = (struct sq_cookie_url){out->parsed.secure, sq_slice_str(out->parsed.host),
                                          sq_slice_str(out->parsed.target)};
    return rc;
}

void sq_k6_http_cookie_header(struct sq_cookie_jar *jar, const char *url, struct sq_buf *out)
{
    struct jar_url u;

    if (sq_cookie_jar_count(jar) == 0 || parse_url(url, &u) < 0)
        return;
    sq_cookie_jar_header(jar, &u.url, sq_wall_ns(), out);
    sq_url_deinit(&u.parsed);
}

void sq_k6_http_store_cookie(struct sq_cookie_jar *jar, const char *url, const char *set_cookie)
{
    struct jar_url u;

    if (parse_url(url, &u) < 0)
        return;
    sq_cookie_jar_store(jar, &u.url, sq_slice_str(set_cookie), sq_wall_ns());
    sq_url_deinit(&u.parsed);
}

void sq_k6_http_each_cookie(struct sq_cookie_jar *jar, const char *url,
                            void (*each)(void *user, struct sq_slice name, struct sq_slice value),
                            void *user)
{
    struct jar_url u;

    if (sq_cookie_jar_count(jar) == 0 || parse_url(url, &u) < 0)
        return;
    sq_cookie_jar_each(jar, &u.url, sq_wall_ns(), each, user);
    sq_url_deinit(&u.parsed);
}

/* ---- CookieJar ---- */

/* Reads `this` and the URL argument. NULL: an exception is pending. */
static struct sq_cookie_jar *jar_and_url(JSContext *ctx, JSValueConst this_val, JSValueConst url,
                                         struct jar_url *out)
{
    struct jar_handle *h = JS_GetOpaque2(ctx, this_val, jar_class);
    const char *text = h ? JS_ToCString(ctx, url) : NULL;

    if (!text)
        return NULL;
    int rc = parse_url(text, out);
    if (rc < 0)
        sq_js_throw(ctx, "invalid URL for a cookie jar: '%s'", text);
    JS_FreeCString(ctx, text);
    return rc < 0 ? NULL : h->jar;
}

struct collector {
    JSContext *ctx;
    JSValue object;
};

static void collect(void *user, struct sq_slice name, struct sq_slice value)
{
    struct collector *c = user;
    char *key = sq_xstrndup((const char *)name.data, name.len);
    JSValue list = JS_GetPropertyStr(c->ctx, c->object, key);
    int64_t count = 0;

    if (!JS_IsObject(list)) {
        list = JS_NewArray(c->ctx);
        JS_DefinePropertyValueStr(c->ctx, c->object, key, JS_DupValue(c->ctx, list), JS_PROP_C_W_E);
    }
    JSValue length = JS_GetPropertyStr(c->ctx, list, "length");
    JS_ToInt64(c->ctx, &count, length);
    JS_SetPropertyInt64(c->ctx, list, count,
                        JS_NewStringLen(c->ctx, (const char *)value.data, value.len));
    JS_FreeValue(c->ctx, list);
    free(key);
}

static JSValue cookies_for_url(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct jar_url u;
    struct sq_cookie_jar *jar = jar_and_url(ctx, this_val, argv[0], &u);

    (void)argc;
    if (!jar)
        return JS_EXCEPTION;
    struct collector c = {ctx, JS_NewObject(ctx)};
    sq_cookie_jar_each(jar, &u.url, sq_wall_ns(), collect, &c);
    sq_url_deinit(&u.parsed);
    return c.object;
}

struct field_reader {
    struct sq_cookie_fields fields;
    char *texts[4];
    size_t texts_count;
};

static int read_field(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct field_reader *r = user;
    struct sq_slice *target = strcmp(key, "domain") == 0    ? &r->fields.domain
                              : strcmp(key, "path") == 0    ? &r->fields.path
                              : strcmp(key, "expires") == 0 ? &r->fields.expires
                                                            : NULL;

    if (target) {
        const char *text = JS_ToCString(ctx, value);
        if (!text)
            return -1;
        r->texts[r->texts_count] = sq_xstrdup(text);
        *target = sq_slice_str(r->texts[r->texts_count++]);
        JS_FreeCString(ctx, text);
    } else if (strcmp(key, "max_age") == 0) {
        return JS_ToInt64(ctx, &r->fields.max_age_s, value);
    } else if (strcmp(key, "secure") == 0) {
        r->fields.secure = JS_ToBool(ctx, value) > 0;
    } else if (strcmp(key, "http_only") == 0) {
        r->fields.http_only = JS_ToBool(ctx, value) > 0;
    }
    return 0;
}

static JSValue jar_set(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct field_reader r = {0};
    struct jar_url u;
    JSValue result = JS_EXCEPTION;
    struct sq_cookie_jar *jar = jar_and_url(ctx, this_val, argv[0], &u);

    if (!jar)
        return JS_EXCEPTION;
    const char *name = JS_ToCString(ctx, argv[1]),
               *value = name ? JS_ToCString(ctx, argv[2]) : NULL;
    if (value && (argc < 4 || sq_js_each_key(ctx, argv[3], read_field, &r) == 0)) {
        r.fields.name = sq_slice_str(name);
        r.fields.value = sq_slice_str(value);
        if (sq_cookie_jar_set(jar, &u.url, &r.fields, sq_wall_ns()) < 0)
            result =
                sq_js_throw(ctx, "cannot set cookie '%s': bad name, value, domain or date", name);
        else
            result = JS_TRUE;
    }
    for (size_t i = 0; i < r.texts_count; i++)
        free(r.texts[i]);
    JS_FreeCString(ctx, name);
    JS_FreeCString(ctx, value);
    sq_url_deinit(&u.parsed);
    return result;
}

static JSValue jar_clear(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct jar_url u;
    struct sq_cookie_jar *jar = jar_and_url(ctx, this_val, argv[0], &u);

    (void)argc;
    if (!jar)
        return JS_EXCEPTION;
    sq_cookie_jar_clear_url(jar, &u.url);
    sq_url_deinit(&u.parsed);
    return JS_UNDEFINED;
}

static JSValue jar_delete(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct jar_url u;
    struct sq_cookie_jar *jar = jar_and_url(ctx, this_val, argv[0], &u);

    (void)argc;
    if (!jar)
        return JS_EXCEPTION;
    const char *name = JS_ToCString(ctx, argv[1]);
    if (name)
        sq_cookie_jar_delete(jar, &u.url, sq_slice_str(name));
    JS_FreeCString(ctx, name);
    sq_url_deinit(&u.parsed);
    return name ? JS_UNDEFINED : JS_EXCEPTION;
}

static const JSCFunctionListEntry jar_methods[] = {
    JS_CFUNC_DEF("cookiesForURL", 1, cookies_for_url),
    JS_CFUNC_DEF("set", 4, jar_set),
    JS_CFUNC_DEF("clear", 1, jar_clear),
    JS_CFUNC_DEF("delete", 2, jar_delete),
};

static JSValue new_jar(JSContext *ctx, JSValueConst proto, struct sq_js_instance *of_vu)
{
    JSValue object = JS_IsObject(proto) ? JS_NewObjectProtoClass(ctx, proto, jar_class)
                                        : JS_NewObjectClass(ctx, (int)jar_class);

    if (JS_IsException(object))
        return object;
    struct jar_handle *h = sq_xmalloc(sizeof *h);
    h->of_vu = of_vu;
    h->jar = of_vu ? sq_k6_http_vu_jar(of_vu) : sq_cookie_jar_new();
    JS_SetOpaque(object, h);
    return object;
}

static JSValue construct_jar(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    JSValue proto =
        JS_IsUndefined(new_target) ? JS_UNDEFINED : JS_GetPropertyStr(ctx, new_target, "prototype");
    JSValue jar = new_jar(ctx, proto, NULL);

    (void)argc, (void)argv;
    JS_FreeValue(ctx, proto);
    return jar;
}

static JSValue cookie_jar(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);

    (void)this_val, (void)argc, (void)argv;
    if (self->in_init)
        return sq_js_throw(ctx, "getting cookie jars in the init context is not supported");
    return new_jar(ctx, JS_UNDEFINED, self);
}

/* ---- expected statuses (MOD-68) ---- */

static void statuses_free(struct http_statuses *s)
{
    if (s)
        free(s->ranges);
    free(s);
}

static void statuses_finalizer(JSRuntime *rt, JSValue value)
{
    (void)rt;
    statuses_free(JS_GetOpaque(value, statuses_class));
}

struct http_statuses *http_statuses_of(JSValueConst value)
{
    return JS_GetOpaque(value, statuses_class);
}

/* 200 or {min: 200, max: 299}. -1: an exception is pending. */
static int add_range(JSContext *ctx, struct http_statuses *s, JSValueConst value)
{
    int64_t min = 0, max = 0;

    if (JS_IsNumber(value)) {
        if (JS_ToInt64(ctx, &min, value) < 0)
            return -1;
        max = min;
    } else {
        JSValue low = JS_IsObject(value) ? JS_GetPropertyStr(ctx, value, "min") : JS_UNDEFINED;
        JSValue high = JS_IsObject(value) ? JS_GetPropertyStr(ctx, value, "max") : JS_UNDEFINED;
        bool ok = JS_IsNumber(low) && JS_IsNumber(high) && JS_ToInt64(ctx, &min, low) == 0 &&
                  JS_ToInt64(ctx, &max, high) == 0;
        JS_FreeValue(ctx, low);
        JS_FreeValue(ctx, high);
        if (!ok) {
            sq_js_throw(ctx, "expectedStatuses: every argument is an integer or an object with "
                             "integers 'min' and 'max'");
            return -1;
        }
    }
    s->ranges = sq_xrealloc(s->ranges, (s->count + 1) * sizeof *s->ranges);
    s->ranges[s->count].min = min;
    s->ranges[s->count++].max = max;
    return 0;
}

static JSValue expected_statuses(JSContext *ctx, JSValueConst this_val, int argc,
                                 JSValueConst *argv)
{
    struct http_statuses *s = sq_xcalloc(1, sizeof *s);
    JSValue object = JS_EXCEPTION;

    (void)this_val;
    if (argc == 0)
        sq_js_throw(ctx, "expectedStatuses: no arguments");
    for (int i = 0; i < argc; i++)
        if (add_range(ctx, s, argv[i]) < 0)
            goto out;
    if (argc > 0)
        object = JS_NewObjectClass(ctx, (int)statuses_class);
    if (!JS_IsException(object)) {
        JS_SetOpaque(object, s);
        s = NULL;
    }
out:
    statuses_free(s);
    return object;
}

static JSValue set_response_callback(JSContext *ctx, JSValueConst this_val, int argc,
                                     JSValueConst *argv)
{
    struct k6_http *http = http_of(sq_js_self(ctx));
    const struct http_statuses *given = argc > 0 ? http_statuses_of(argv[0]) : NULL;

    (void)this_val;
    if (!given && !(argc > 0 && JS_IsNull(argv[0])))
        return sq_js_throw(ctx, "setResponseCallback: it takes null or what expectedStatuses() "
                                "returned");
    struct http_statuses *copy = sq_xcalloc(1, sizeof *copy);
    copy->none = !given;
    if (given) {
        copy->count = given->count;
        copy->ranges = sq_xmalloc(given->count * sizeof *copy->ranges);
        memcpy(copy->ranges, given->ranges, given->count * sizeof *copy->ranges);
    }
    statuses_free(http->expected);
    http->expected = copy;
    return JS_UNDEFINED;
}

/* ---- a VU's part ---- */

struct k6_http *http_of(struct sq_js_instance *self)
{
    if (!self->http)
        self->http = sq_xcalloc(1, sizeof *self->http);
    return self->http;
}

void sq_k6_http_vu_close(struct sq_js_instance *self)
{
    if (!self->http)
        return;
    sq_http_vu_free(self->http->net);
    statuses_free(self->http->expected);
    free(self->http);
    self->http = NULL;
}

/* ---- requests ---- */

static bool may_request(JSContext *ctx)
{
    struct sq_js_instance *self = sq_js_self(ctx);

    if (self->in_init) {
        sq_js_throw(ctx, "Making http requests in the init context is not supported");
        return false;
    }
    if (!sq_js_net(self)) {
        sq_js_throw(ctx, "cannot use the network: %s", self->cell->worker->net_error.text);
        return false;
    }
    return true;
}

JSValue http_request(JSContext *ctx, const char *method, JSValueConst url, JSValueConst body,
                     JSValueConst params)
{
    /* The fiber's stack is small, and callbacks of the loop point here meanwhile. */
    struct http_call *call;
    JSValue result = JS_EXCEPTION;

    if (!may_request(ctx))
        return JS_EXCEPTION;
    call = sq_xmalloc(sizeof *call);
    if (http_call_init(ctx, call, method, url, body, params) == 0) {
        if (http_run(call->self, call, 1, 1, 1) < 0)
            result = sq_js_throw_interrupted(ctx);
        else
            result = http_new_response(ctx, call);
    }
    http_call_deinit(ctx, call);
    free(call);
    return result;
}

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

/* get(url, params) and head(url, params); the others have a body in between. */
static JSValue request_by_name(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                               int magic)
{
    JSValueConst args[3] = {JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED};
    bool bodiless = magic < 2;

    (void)this_val;
    for (int i = 0; i < argc && i < 3; i++)
        args[i] = argv[i];
    if (!may_request(ctx))
        return JS_EXCEPTION;
    if (bodiless && argc > 2)
        sq_log(SQ_LOG_WARN, "http",
               "http.%s takes a URL and params: what stands behind them is ignored",
               magic ? "head" : "get");
    return bodiless ? http_request(ctx, methods[magic], args[0], JS_UNDEFINED, args[1])
                    : http_request(ctx, methods[magic], args[0], args[1], args[2]);
}

/* request and asyncRequest */
static JSValue request(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                       int async)
{
    JSValueConst args[4] = {JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED};

    (void)this_val;
    for (int i = 0; i < argc && i < 4; i++)
        args[i] = argv[i];
    if (!may_request(ctx))
        return JS_EXCEPTION;
    const char *method = JS_ToCString(ctx, args[0]);
    JSValue result = !method ? JS_EXCEPTION
                     : async ? http_async_request(ctx, method, args[1], args[2], args[3])
                             : http_request(ctx, method, args[1], args[2], args[3]);
    JS_FreeCString(ctx, method);
    return result;
}

/* ---- batch (MOD-61) ---- */

struct batch {
    struct http_call *calls;
    size_t count;
    char **keys; /* owned */
};

static int init_member(JSContext *ctx, struct http_call *call, JSValueConst member)
{
    JSValue parts[4] = {JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED};
    static const char *const names[] = {"method", "url", "body", "params"};
    const char *method = NULL;
    bool is_array = JS_IsArray(ctx, member);
    int rc = -1;

    if (JS_IsString(member) || http_is_url(member)) {
        parts[1] = JS_DupValue(ctx, member);
    } else if (JS_IsObject(member)) {
        for (uint32_t i = 0; i < 4; i++)
            parts[i] = is_array ? JS_GetPropertyUint32(ctx, member, i)
                                : JS_GetPropertyStr(ctx, member, names[i]);
    } else {
        sq_js_throw(ctx, "batch: a request is a URL, an array [method, url, body, params] or an "
                         "object {method, url, body, params}");
        goto out;
    }
    if (!JS_IsUndefined(parts[0]) && !JS_IsNull(parts[0]) &&
        !(method = JS_ToCString(ctx, parts[0])))
        goto out;
    rc = http_call_init(ctx, call, method ? method : "GET", parts[1], parts[2], parts[3]);
out:
    JS_FreeCString(ctx, method);
    for (size_t i = 0; i < 4; i++)
        JS_FreeValue(ctx, parts[i]);
    return rc;
}

static int add_member(JSContext *ctx, void *user, const char *key, JSValueConst member)
{
    struct batch *b = user;

    if (b->count % 64 == 0) {
        b->calls = sq_xrealloc(b->calls, (b->count + 64) * sizeof *b->calls);
        b->keys = sq_xrealloc(b->keys, (b->count + 64) * sizeof *b->keys);
    }
    /* Counted first: what was begun is taken back with the rest. */
    b->calls[b->count] = (struct http_call){.self = sq_js_self(ctx),
                                            .jar_value = JS_UNDEFINED,
                                            .expected_value = JS_UNDEFINED,
                                            .pace = SQ_TIMER_INIT(http_call_begin)};
    b->keys[b->count] = sq_xstrdup(key);
    return init_member(ctx, &b->calls[b->count++], member);
}

static JSValue batch_results(JSContext *ctx, struct batch *b, bool as_array)
{
    JSValue results = as_array ? JS_NewArray(ctx) : JS_NewObject(ctx);

    for (size_t i = 0; i < b->count; i++) {
        JSValue response = http_new_response(ctx, &b->calls[i]);
        if (JS_IsException(response)) {
            JS_FreeValue(ctx, results);
            return response;
        }
        if (as_array)
            JS_SetPropertyInt64(ctx, results, (int64_t)i, response);
        else
            JS_DefinePropertyValueStr(ctx, results, b->keys[i], response, JS_PROP_C_W_E);
    }
    return results;
}

static JSValue batch(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    const struct sq_config *config = self->vu->worker->run->config;
    struct batch b = {0};
    JSValue result = JS_EXCEPTION;

    (void)this_val;
    if (!may_request(ctx))
        return JS_EXCEPTION;
    if (argc < 1 || !JS_IsObject(argv[0]) || JS_IsFunction(ctx, argv[0]))
        return sq_js_throw(ctx, "batch: it takes an array or an object of requests");
    if (sq_js_each_key(ctx, argv[0], add_member, &b) == 0) {
        size_t all = config->batch > 0 ? (size_t)config->batch : SIZE_MAX;
        size_t per_host = config->batch_per_host > 0 ? (size_t)config->batch_per_host : SIZE_MAX;
        if (http_run(self, b.calls, b.count, all, per_host) < 0)
            result = sq_js_throw_interrupted(ctx);
        else
            result = batch_results(ctx, &b, JS_IsArray(ctx, argv[0]));
    }
    for (size_t i = 0; i < b.count; i++) {
        http_call_deinit(ctx, &b.calls[i]);
        free(b.keys[i]);
    }
    free(b.calls);
    free(b.keys);
    return result;
}

static JSValue file(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val;
    return http_new_file(ctx, argc, argv);
}

static JSValue url(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val;
    return http_new_url(ctx, argc, argv);
}

/* ---- the module ---- */

void sq_k6_http_class_ids(void)
{
    JS_NewClassID(&jar_class);
    JS_NewClassID(&statuses_class);
    sq_k6_http_params_class_ids();
    sq_k6_http_response_class_ids();
}

void sq_k6_http_classes(JSContext *ctx)
{
    static const JSClassDef definition = {.class_name = "CookieJar", .finalizer = jar_finalizer};
    static const JSClassDef statuses = {.class_name = "ExpectedStatuses",
                                        .finalizer = statuses_finalizer};
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), jar_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, jar_methods, SQ_COUNT(jar_methods));
    JS_SetClassProto(ctx, jar_class, proto);
    JS_NewClass(JS_GetRuntime(ctx), statuses_class, &statuses);
    JS_SetClassProto(ctx, statuses_class, JS_NewObject(ctx));
    sq_k6_http_params_classes(ctx);
    sq_k6_http_response_classes(ctx);
}

/* MOD-71 */
#define CONSTANTS(X)                                                \
    X(OCSP_REASON_AA_COMPROMISE, "aa_compromise")                   \
    X(OCSP_REASON_AFFILIATION_CHANGED, "affiliation_changed")       \
    X(OCSP_REASON_CA_COMPROMISE, "ca_compromise")                   \
    X(OCSP_REASON_CERTIFICATE_HOLD, "certificate_hold")             \
    X(OCSP_REASON_CESSATION_OF_OPERATION, "cessation_of_operation") \
    X(OCSP_REASON_KEY_COMPROMISE, "key_compromise")                 \
    X(OCSP_REASON_PRIVILEGE_WITHDRAWN, "privilege_withdrawn")       \
    X(OCSP_REASON_REMOVE_FROM_CRL, "remove_from_crl")               \
    X(OCSP_REASON_SUPERSEDED, "superseded")                         \
    X(OCSP_REASON_UNSPECIFIED, "unspecified")                       \
    X(OCSP_STATUS_GOOD, "good")                                     \
    X(OCSP_STATUS_REVOKED, "revoked")                               \
    X(OCSP_STATUS_SERVER_FAILED, "server_failed")                   \
    X(OCSP_STATUS_UNKNOWN, "unknown")                               \
    X(SSL_3_0, "ssl3.0")                                            \
    X(TLS_1_0, "tls1.0")                                            \
    X(TLS_1_1, "tls1.1")                                            \
    X(TLS_1_2, "tls1.2")                                            \
    X(TLS_1_3, "tls1.3")

static const JSCFunctionListEntry functions[] = {
#define X(name, text) JS_PROP_STRING_DEF(#name, text, JS_PROP_C_W_E),
    CONSTANTS(X)
#undef X
        JS_CFUNC_MAGIC_DEF("asyncRequest", 4, request, 1),
    JS_CFUNC_DEF("batch", 1, batch),
    JS_CFUNC_DEF("cookieJar", 0, cookie_jar),
    JS_CFUNC_MAGIC_DEF("del", 3, request_by_name, 5),
    JS_CFUNC_DEF("expectedStatuses", 0, expected_statuses),
    JS_CFUNC_DEF("file", 3, file),
    JS_CFUNC_MAGIC_DEF("get", 2, request_by_name, 0),
    JS_CFUNC_MAGIC_DEF("head", 2, request_by_name, 1),
    JS_CFUNC_MAGIC_DEF("options", 3, request_by_name, 6),
    JS_CFUNC_MAGIC_DEF("patch", 3, request_by_name, 4),
    JS_CFUNC_MAGIC_DEF("post", 3, request_by_name, 2),
    JS_CFUNC_MAGIC_DEF("put", 3, request_by_name, 3),
    JS_CFUNC_MAGIC_DEF("request", 4, request, 0),
    JS_CFUNC_DEF("setResponseCallback", 1, set_response_callback),
    JS_CFUNC_DEF("url", 1, url),
};

static int init(JSContext *ctx, JSModuleDef *m)
{
    JSValue all = JS_NewObject(ctx);
    JSValue constructor =
        JS_NewCFunction2(ctx, construct_jar, "CookieJar", 0, JS_CFUNC_constructor_or_func, 0);
    JSValue proto = JS_GetClassProto(ctx, jar_class);

    JS_SetConstructor(ctx, constructor, proto);
    JS_FreeValue(ctx, proto);
    JS_SetPropertyFunctionList(ctx, all, functions, SQ_COUNT(functions));
    JS_SetPropertyStr(ctx, all, "CookieJar", JS_DupValue(ctx, constructor));
    if (JS_SetModuleExport(ctx, m, "CookieJar", constructor) < 0)
        return -1;
    for (size_t i = 0; i < SQ_COUNT(functions); i++)
        if (JS_SetModuleExport(ctx, m, functions[i].name,
                               JS_GetPropertyStr(ctx, all, functions[i].name)) < 0)
            return -1;
    int rc = JS_SetModuleExport(ctx, m, "default", all);
    sq_js_module_rest_undefined(ctx, m);
    return rc;
}

static const char *const exports[] = {
#define X(name, text) #name,
    CONSTANTS(X)
#undef X
        "CookieJar",
    "asyncRequest",
    "batch",
    "cookieJar",
    "default",
    "del",
    "expectedStatuses",
    "file",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "setResponseCallback",
    "url",
    NULL};
const struct sq_js_builtin sq_k6_http = {"k6/http", init, exports};
