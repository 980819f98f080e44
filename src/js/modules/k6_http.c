/* SPDX-License-Identifier: Apache-2.0 */
/* k6/http, so far its cookies: cookieJar() and CookieJar (MOD-67). One jar a VU, shared with the
 * opening handshake of k6/ws; emptied before each iteration. Examples: docs/api/k6-http.md */
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "js/modules/modules.h"
#include "proto/url.h"

static JSClassID jar_class;

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

void sq_k6_http_class_ids(void)
{
    JS_NewClassID(&jar_class);
}

void sq_k6_http_classes(JSContext *ctx)
{
    static const JSClassDef definition = {.class_name = "CookieJar", .finalizer = jar_finalizer};
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), jar_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, jar_methods, SQ_COUNT(jar_methods));
    JS_SetClassProto(ctx, jar_class, proto);
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    JSValue all = JS_NewObject(ctx);
    JSValue constructor =
        JS_NewCFunction2(ctx, construct_jar, "CookieJar", 0, JS_CFUNC_constructor_or_func, 0);
    JSValue proto = JS_GetClassProto(ctx, jar_class);
    JSValue fn = JS_NewCFunction(ctx, cookie_jar, "cookieJar", 0);

    JS_SetConstructor(ctx, constructor, proto);
    JS_FreeValue(ctx, proto);
    JS_SetPropertyStr(ctx, all, "CookieJar", JS_DupValue(ctx, constructor));
    JS_SetPropertyStr(ctx, all, "cookieJar", JS_DupValue(ctx, fn));
    if (JS_SetModuleExport(ctx, m, "CookieJar", constructor) < 0 ||
        JS_SetModuleExport(ctx, m, "cookieJar", fn) < 0)
        return -1;
    return JS_SetModuleExport(ctx, m, "default", all);
}

static const char *const exports[] = {"CookieJar", "cookieJar", "default", NULL};
const struct sq_js_builtin sq_k6_http = {"k6/http", init, exports};
