/* SPDX-License-Identifier: Apache-2.0 */
/* k6/http: from a script's arguments to a call. URLs and templates (MOD-68), bodies (MOD-62),
 * params (MOD-63). */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "js/http/k6_http.h"
#include "net/content_coding.h"

static JSClassID file_class, url_class;
/* Marks the objects of these classes: what they hold are plain properties. */
static char marker;

void sq_k6_http_params_class_ids(void)
{
    JS_NewClassID(&file_class);
    JS_NewClassID(&url_class);
}

/* ---- headers ---- */

void http_canonical_name(char *name)
{
    bool start = true;

    for (char *p = name; *p; p++) {
        *p = (char)(start ? toupper((unsigned char)*p) : tolower((unsigned char)*p));
        start = *p == '-';
    }
}

const char *http_call_header(const struct http_call *call, const char *name)
{
    for (size_t i = 0; i < call->headers_count; i++)
        if (strcmp(call->headers[i].name, name) == 0)
            return call->headers[i].value;
    return NULL;
}

/* Replaces one of the same name. */
void http_call_add_header(struct http_call *call, const char *name, struct sq_slice value)
{
    char *canonical = sq_xstrdup(name), *text = sq_xstrndup((const char *)value.data, value.len);

    http_canonical_name(canonical);
    for (size_t i = 0; i < call->headers_count; i++)
        if (strcmp(call->headers[i].name, canonical) == 0) {
            free(canonical);
            free((char *)call->headers[i].value);
            call->headers[i].value = text;
            return;
        }
    call->headers = sq_xrealloc(call->headers, (call->headers_count + 1) * sizeof *call->headers);
    call->headers[call->headers_count++] = (struct sq_http_header){canonical, text};
}

static void refuse(struct http_call *call, int code, char *text)
{
    if (call->failure) {
        free(text);
        return;
    }
    call->failure = text;
    call->failure_code = code;
}

static bool is_token(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
            return false;
    return *text != '\0';
}

static int add_header(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct http_call *call = user;
    size_t len;
    const char *text = sq_js_text(ctx, value, &len);

    if (!text)
        return -1;
    bool bad = memchr(text, '\r', len) || memchr(text, '\n', len) || memchr(text, 0, len);
    if (!is_token(key))
        refuse(call, 1000, sq_xasprintf("net/http: invalid header field name \"%s\"", key));
    else if (bad)
        refuse(call, 1000, sq_xasprintf("net/http: invalid header field value for \"%s\"", key));
    else
        http_call_add_header(call, key, sq_slice(text, len));
    JS_FreeCString(ctx, text);
    return 0;
}

/* ---- http.file ---- */

JSValue http_new_file(JSContext *ctx, int argc, JSValueConst *argv)
{
    size_t len;
    JSValueConst data = argc > 0 ? argv[0] : JS_UNDEFINED;
    bool has_name = argc > 1 && JS_IsString(argv[1]);
    bool has_type = argc > 2 && JS_IsString(argv[2]);
    char now[32];

    if (!JS_IsString(data) && !sq_js_bytes(ctx, data, &len) && !sq_js_is_array_buffer(ctx, data)) {
        char *type = sq_js_type_name(ctx, data);
        JSValue error = sq_js_throw(
            ctx, "invalid type %s, expected string, ArrayBuffer or Uint8Array as file data", type);
        free(type);
        return error;
    }
    JSValue file = JS_NewObjectClass(ctx, (int)file_class);
    if (JS_IsException(file))
        return file;
    JS_SetOpaque(file, &marker);
    snprintf(now, sizeof now, "%lld", (long long)sq_wall_ns());
    JS_SetPropertyStr(ctx, file, "data", JS_DupValue(ctx, data));
    JS_SetPropertyStr(ctx, file, "filename",
                      has_name ? JS_DupValue(ctx, argv[1]) : JS_NewString(ctx, now));
    JS_SetPropertyStr(ctx, file, "content_type",
                      has_type ? JS_DupValue(ctx, argv[2])
                               : JS_NewString(ctx, "application/octet-stream"));
    return file;
}

/* ---- http.url ---- */

static char *owned_text(JSContext *ctx, JSValueConst value)
{
    size_t len;
    const char *text = sq_js_text(ctx, value, &len);
    char *copy = text ? sq_xstrndup(text, len) : NULL;

    JS_FreeCString(ctx, text);
    return copy;
}

static char *owned_property(JSContext *ctx, JSValueConst object, const char *name)
{
    JSValue value = JS_GetPropertyStr(ctx, object, name);
    char *text = JS_IsException(value) ? NULL : owned_text(ctx, value);

    JS_FreeValue(ctx, value);
    return text;
}

static JSValue url_to_string(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)argc, (void)argv;
    return JS_GetPropertyStr(ctx, this_val, "url");
}

/* A tag function: strings, then the values between them. */
JSValue http_new_url(JSContext *ctx, int argc, JSValueConst *argv)
{
    struct sq_buf url = {0}, name = {0};
    int64_t count = 0;
    JSValue result = JS_EXCEPTION;

    if (argc < 1 || !JS_IsArray(ctx, argv[0]))
        return sq_js_throw(ctx, "http.url is a tag for template literals: http.url`https://...`");
    JSValue length = JS_GetPropertyStr(ctx, argv[0], "length");
    JS_ToInt64(ctx, &count, length);
    for (int64_t i = 0; i < count; i++) {
        JSValue part = JS_GetPropertyUint32(ctx, argv[0], (uint32_t)i);
        char *text = owned_text(ctx, part);
        JS_FreeValue(ctx, part);
        if (!text)
            goto out;
        sq_buf_puts(&url, text);
        sq_buf_puts(&name, text);
        free(text);
        if (i + 1 == count || i + 1 >= argc)
            continue;
        text = owned_text(ctx, argv[i + 1]);
        if (!text)
            goto out;
        sq_buf_puts(&url, text);
        sq_buf_puts(&name, "${}");
        free(text);
    }
    result = JS_NewObjectClass(ctx, (int)url_class);
    if (JS_IsException(result))
        goto out;
    JS_SetOpaque(result, &marker);
    JS_SetPropertyStr(ctx, result, "url", JS_NewString(ctx, sq_buf_cstr(&url)));
    JS_SetPropertyStr(ctx, result, "name", JS_NewString(ctx, sq_buf_cstr(&name)));
out:
    sq_buf_deinit(&url);
    sq_buf_deinit(&name);
    return result;
}

bool http_is_url(JSValueConst value)
{
    return JS_GetOpaque(value, url_class) != NULL;
}

void sq_k6_http_params_classes(JSContext *ctx)
{
    static const JSClassDef file = {.class_name = "FileData"}, url = {.class_name = "URL"};
    static const JSCFunctionListEntry url_methods[] = {
        JS_CFUNC_DEF("toString", 0, url_to_string),
    };
    JSRuntime *rt = JS_GetRuntime(ctx);
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(rt, file_class, &file);
    JS_SetClassProto(ctx, file_class, JS_NewObject(ctx));
    JS_NewClass(rt, url_class, &url);
    JS_SetPropertyFunctionList(ctx, proto, url_methods, SQ_COUNT(url_methods));
    JS_SetClassProto(ctx, url_class, proto);
}

static int set_url(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    char *clean;
    struct sq_error err = {0};

    if (JS_GetOpaque(value, url_class)) {
        call->url = owned_property(ctx, value, "url");
        call->name = owned_property(ctx, value, "name");
        if (!call->name)
            return -1;
    } else {
        call->url = owned_text(ctx, value);
    }
    if (!call->url)
        return -1;
    if (sq_http_url_check(call->url, &call->host_port, &clean, &err) < 0)
        refuse(call, 1020, sq_xasprintf("invalid URL: parse \"%s\": %s", clean, err.text));
    free(clean);
    return 0;
}

/* ---- bodies ---- */

void sq_js_put_form_text(struct sq_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~')
            sq_buf_putc(out, (char)c);
        else if (c == ' ')
            sq_buf_putc(out, '+');
        else
            sq_buf_printf(out, "%%%02X", c);
    }
}

struct form_field {
    char *key, *value; /* owned */
    size_t value_len;
    size_t order;
};

struct form {
    struct form_field *fields;
    size_t count;
    bool has_file;
};

static void form_deinit(struct form *form)
{
    for (size_t i = 0; i < form->count; i++) {
        free(form->fields[i].key);
        free(form->fields[i].value);
    }
    free(form->fields);
}

static int add_field(JSContext *ctx, struct form *form, const char *key, JSValueConst value)
{
    size_t len = 0;
    const char *text = NULL;

    if (JS_IsObject(value))
        sq_log(SQ_LOG_WARN, "http",
               "the form field '%s' is a nested object, which a form cannot hold: it is sent empty",
               key);
    else if (!JS_IsNull(value) && !JS_IsUndefined(value) && !(text = sq_js_text(ctx, value, &len)))
        return -1;
    form->fields = sq_xrealloc(form->fields, (form->count + 1) * sizeof *form->fields);
    form->fields[form->count] =
        (struct form_field){sq_xstrdup(key), sq_xstrndup(text ? text : "", len), len, form->count};
    form->count++;
    JS_FreeCString(ctx, text);
    return 0;
}

static int64_t array_length(JSContext *ctx, JSValueConst array)
{
    int64_t count = 0;
    JSValue length = JS_GetPropertyStr(ctx, array, "length");

    JS_ToInt64(ctx, &count, length);
    JS_FreeValue(ctx, length);
    return count;
}

static int collect_field(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct form *form = user;
    int rc = 0;

    if (!JS_IsArray(ctx, value))
        return add_field(ctx, form, key, value);
    int64_t count = array_length(ctx, value);
    for (int64_t i = 0; i < count && rc == 0; i++) {
        JSValue item = JS_GetPropertyUint32(ctx, value, (uint32_t)i);
        rc = JS_IsException(item) ? -1 : add_field(ctx, form, key, item);
        JS_FreeValue(ctx, item);
    }
    return rc;
}

static int find_file(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct form *form = user;

    (void)ctx, (void)key;
    form->has_file |= JS_GetOpaque(value, file_class) != NULL;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct form_field *x = a, *y = b;
    int rc = strcmp(x->key, y->key);

    return rc ? rc : (x->order > y->order) - (x->order < y->order);
}

int http_form_text(JSContext *ctx, JSValueConst fields, struct sq_buf *out)
{
    struct form form = {0};
    int rc = sq_js_each_key(ctx, fields, collect_field, &form);

    if (rc == 0 && form.count)
        qsort(form.fields, form.count, sizeof *form.fields, by_key);
    for (size_t i = 0; rc == 0 && i < form.count; i++) {
        if (i)
            sq_buf_putc(out, '&');
        sq_js_put_form_text(out, form.fields[i].key, strlen(form.fields[i].key));
        sq_buf_putc(out, '=');
        sq_js_put_form_text(out, form.fields[i].value, form.fields[i].value_len);
    }
    form_deinit(&form);
    return rc;
}

static int put_form(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    call->form_type = sq_xstrdup("application/x-www-form-urlencoded");
    return http_form_text(ctx, value, &call->body);
}

struct multipart {
    struct sq_buf *out;
    char boundary[61];
};

/* Quotes and backslashes are escaped, line ends cannot be. */
static void put_quoted(struct sq_buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            sq_buf_putc(out, '\\');
        sq_buf_putc(out, *p == '\r' || *p == '\n' ? '_' : *p);
    }
}

static int put_file(JSContext *ctx, struct multipart *m, JSValueConst file)
{
    char *name = owned_property(ctx, file, "filename");
    char *type = name ? owned_property(ctx, file, "content_type") : NULL;
    JSValue data = JS_GetPropertyStr(ctx, file, "data");
    size_t len = 0;
    int rc = type && !JS_IsException(data) ? 0 : -1;

    if (rc == 0) {
        sq_buf_puts(m->out, "; filename=\"");
        put_quoted(m->out, name);
        sq_buf_puts(m->out, "\"\r\nContent-Type: ");
        for (const char *p = type; *p; p++)
            sq_buf_putc(m->out, *p == '\r' || *p == '\n' ? ' ' : *p);
        sq_buf_puts(m->out, "\r\n\r\n");
        const uint8_t *bytes = sq_js_bytes(ctx, data, &len);
        const char *text = bytes ? NULL : JS_ToCStringLen(ctx, &len, data);
        if (bytes || text)
            sq_buf_put(m->out, bytes ? (const char *)bytes : text, len);
        else
            rc = -1;
        JS_FreeCString(ctx, text);
    }
    JS_FreeValue(ctx, data);
    free(name);
    free(type);
    return rc;
}

static int put_part(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct multipart *m = user;
    int rc = 0;

    sq_buf_printf(m->out, "--%s\r\nContent-Disposition: form-data; name=\"", m->boundary);
    put_quoted(m->out, key);
    sq_buf_putc(m->out, '"');
    if (JS_GetOpaque(value, file_class)) {
        rc = put_file(ctx, m, value);
    } else {
        size_t len = 0;
        bool empty = JS_IsNull(value) || JS_IsUndefined(value);
        const char *text = empty ? NULL : sq_js_text(ctx, value, &len);
        rc = empty || text ? 0 : -1;
        sq_buf_puts(m->out, "\r\n\r\n");
        sq_buf_put(m->out, text ? text : "", len);
        JS_FreeCString(ctx, text);
    }
    sq_buf_puts(m->out, "\r\n");
    return rc;
}

static int put_multipart(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    struct multipart m = {.out = &call->body};

    for (size_t i = 0; i < sizeof m.boundary - 1; i++)
        m.boundary[i] = "0123456789abcdef"[sq_random_below(16)];
    int rc = sq_js_each_key(ctx, value, put_part, &m);
    sq_buf_printf(&call->body, "--%s--\r\n", m.boundary);
    call->form_type = sq_xasprintf("multipart/form-data; boundary=%s", m.boundary);
    return rc;
}

static int set_body(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    struct form probe = {0};
    size_t len = 0;

    if (JS_IsUndefined(value) || JS_IsNull(value))
        return 0;
    call->has_body = true;
    if (JS_IsString(value)) {
        const char *text = JS_ToCStringLen(ctx, &len, value);
        if (!text)
            return -1;
        sq_buf_put(&call->body, text, len);
        JS_FreeCString(ctx, text);
        return 0;
    }
    if (!JS_IsObject(value)) {
        char *type = sq_js_type_name(ctx, value);
        refuse(call, 1000, sq_xasprintf("unknown request body type %s", type));
        free(type);
        return 0;
    }
    const uint8_t *bytes = sq_js_bytes(ctx, value, &len);
    if (bytes || sq_js_is_array_buffer(ctx, value)) {
        sq_buf_put(&call->body, bytes, len);
        return 0;
    }
    if (sq_js_each_key(ctx, value, find_file, &probe) != 0)
        return -1;
    return probe.has_file ? put_multipart(ctx, call, value) : put_form(ctx, call, value);
}

static int apply_compression(JSContext *ctx, struct http_call *call)
{
    struct sq_buf names = {0};
    struct sq_error err = {0};
    int rc = 0;

    if (!call->compression || !call->has_body || call->failure)
        return 0;
    for (const char *p = call->compression; rc == 0 && *p;) {
        size_t len = strcspn(p, ",");
        struct sq_slice name = sq_slice_trim(sq_slice(p, len));
        struct sq_buf packed = {0};
        rc = sq_content_encode(name, sq_buf_slice(&call->body), &packed, &err);
        if (rc == 0) {
            struct sq_buf plain = call->body;
            call->body = packed;
            packed = plain;
            if (names.len)
                sq_buf_puts(&names, ", ");
            sq_buf_put(&names, name.data, name.len);
        } else {
            sq_js_throw(ctx, "compression: %s", *err.text ? err.text : sq_status_text(rc));
            rc = -1;
        }
        sq_buf_deinit(&packed);
        p += len + (p[len] == ',');
    }
    if (rc == 0 && names.len)
        http_call_add_header(call, "Content-Encoding", sq_buf_slice(&names));
    sq_buf_deinit(&names);
    return rc;
}

/* ---- params ---- */

static int add_cookie(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct http_call *call = user;
    bool replace = false;
    char *text;

    if (JS_IsObject(value)) {
        JSValue flag = JS_GetPropertyStr(ctx, value, "replace");
        replace = JS_ToBool(ctx, flag) > 0;
        JS_FreeValue(ctx, flag);
        text = owned_property(ctx, value, "value");
    } else {
        text = owned_text(ctx, value);
    }
    if (!text)
        return -1;
    call->cookies = sq_xrealloc(call->cookies, (call->cookies_count + 1) * sizeof *call->cookies);
    call->cookies[call->cookies_count++] = (struct http_cookie){sq_xstrdup(key), text, replace};
    return 0;
}

static int set_timeout(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    if (JS_IsNumber(value)) {
        double ms;
        if (JS_ToFloat64(ctx, &ms, value) < 0)
            return -1;
        call->timeout_ns = ms > 0 ? (int64_t)(SQ_MIN(ms, 9e12) * SQ_NS_PER_MS) : 0;
        return 0;
    }
    char *text = owned_text(ctx, value);
    if (!text)
        return -1;
    int rc = sq_duration_parse(text, SQ_DURATION_OPTION, &call->timeout_ns);
    if (rc < 0)
        sq_js_throw(ctx, "invalid timeout value: '%s' is neither milliseconds nor a duration",
                    text);
    free(text);
    return rc < 0 ? -1 : 0;
}

static int set_redirects(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    call->redirects_given = true;
    if (JS_ToInt64(ctx, &call->redirects, value) < 0)
        return -1;
    call->redirects = SQ_MAX(call->redirects, INT64_C(0));
    return 0;
}

static int set_response_type(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    static const char *const names[] = {"text", "binary", "none"};
    char *text = owned_text(ctx, value);
    int rc = -1;

    if (!text)
        return -1;
    for (size_t i = 0; i < SQ_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0) {
            call->type = (enum http_response_type)i;
            rc = 0;
        }
    if (rc < 0)
        sq_js_throw(ctx, "%s is not a ResponseType: text, binary or none", text);
    free(text);
    return rc;
}

static int set_auth(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    char *text = owned_text(ctx, value);

    if (!text)
        return -1;
    call->auth = strcmp(text, "digest") == 0 ? SQ_HTTP_AUTH_DIGEST
                 : strcmp(text, "ntlm") == 0 ? SQ_HTTP_AUTH_NTLM
                                             : SQ_HTTP_AUTH_BASIC;
    free(text);
    return 0;
}

static int set_expected(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    static struct http_statuses nothing = {.none = true};

    if (JS_IsUndefined(value))
        return 0;
    call->expected = JS_IsNull(value) ? &nothing : http_statuses_of(value);
    if (!call->expected) {
        sq_js_throw(ctx, "unsupported responseCallback: it is null or made by expectedStatuses()");
        return -1;
    }
    JS_FreeValue(ctx, call->expected_value);
    call->expected_value = JS_DupValue(ctx, value);
    return 0;
}

static int set_tags(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    struct sq_tagset *tags = sq_js_tags(ctx, call->tags, value);

    if (!tags)
        return -1;
    sq_tagset_unref(call->tags);
    call->tags = tags;
    return 0;
}

static int set_jar(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    struct sq_cookie_jar *jar = sq_k6_http_jar(value);

    if (jar) {
        JS_FreeValue(ctx, call->jar_value);
        call->jar_value = JS_DupValue(ctx, value);
        call->jar = jar;
    }
    return 0;
}

static int set_compression(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    free(call->compression);
    call->compression = owned_text(ctx, value);
    return call->compression ? 0 : -1;
}

static int set_throw(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    call->throws = JS_ToBool(ctx, value) > 0;
    return 0;
}

static int set_cookies(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    return sq_js_each_key(ctx, value, add_cookie, call);
}

static int set_headers(JSContext *ctx, struct http_call *call, JSValueConst value)
{
    return sq_js_each_key(ctx, value, add_header, call);
}

static int set_param(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    static const struct {
        const char *name;
        int (*set)(JSContext *ctx, struct http_call *call, JSValueConst value);
    } params[] = {
        {"auth", set_auth},
        {"compression", set_compression},
        {"cookies", set_cookies},
        {"headers", set_headers},
        {"jar", set_jar},
        {"redirects", set_redirects},
        {"responseCallback", set_expected},
        {"responseType", set_response_type},
        {"tags", set_tags},
        {"throw", set_throw},
        {"timeout", set_timeout},
    };

    if (JS_IsUndefined(value) || (JS_IsNull(value) && strcmp(key, "responseCallback") != 0))
        return 0;
    for (size_t i = 0; i < SQ_COUNT(params); i++)
        if (strcmp(params[i].name, key) == 0)
            return params[i].set(ctx, user, value);
    return 0;
}

int http_call_init(JSContext *ctx, struct http_call *call, const char *method, JSValueConst url,
                   JSValueConst body, JSValueConst params)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    const struct sq_config *config = self->vu->worker->run->config;

    *call = (struct http_call){
        .self = self,
        .method = sq_xstrdup(method),
        .jar_value = JS_UNDEFINED,
        .expected_value = JS_UNDEFINED,
        .tags = sq_tagset_ref(self->vu->tags),
        .timeout_ns = 60 * SQ_NS_PER_S,
        .redirects = config->max_redirects,
        .throws = config->throw_errors,
        .type = config->discard_response_bodies ? HTTP_NONE : HTTP_TEXT,
        .expected = http_of(self)->expected,
    };
    call->pace = SQ_TIMER_INIT(http_call_begin);
    for (char *p = call->method; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    if (!is_token(call->method))
        refuse(call, 1000, sq_xasprintf("net/http: invalid method \"%s\"", method));
    if (set_url(ctx, call, url) < 0 || set_body(ctx, call, body) < 0 ||
        sq_js_each_key(ctx, params, set_param, call) != 0 || apply_compression(ctx, call) < 0)
        return -1;
    if (!call->jar)
        call->jar = sq_k6_http_vu_jar(self);
    if (call->form_type && !http_call_header(call, "Content-Type"))
        http_call_add_header(call, "Content-Type", sq_slice_str(call->form_type));
    const char *agent = self->cell->worker->bundle->user_agent;
    if (agent && *agent && !http_call_header(call, "User-Agent"))
        http_call_add_header(call, "User-Agent", sq_slice_str(agent));
    return 0;
}

void http_call_deinit(JSContext *ctx, struct http_call *call)
{
    if (sq_timer_running(&call->pace))
        sq_timer_stop(call->self->vu->worker->loop, &call->pace);
    sq_http_transfer_free(call->transfer);
    for (size_t i = 0; i < call->headers_count; i++) {
        free((char *)call->headers[i].name);
        free((char *)call->headers[i].value);
    }
    free(call->headers);
    for (size_t i = 0; i < call->cookies_count; i++) {
        free(call->cookies[i].name);
        free(call->cookies[i].value);
    }
    free(call->cookies);
    free(call->method);
    free(call->url);
    free(call->name);
    free(call->form_type);
    free(call->compression);
    free(call->hop_url);
    free(call->hop_method);
    free(call->host_port);
    free(call->failure);
    sq_buf_deinit(&call->body);
    sq_tagset_unref(call->tags);
    JS_FreeValue(ctx, call->jar_value);
    JS_FreeValue(ctx, call->expected_value);
}
