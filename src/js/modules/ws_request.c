/* SPDX-License-Identifier: Apache-2.0 */
#include "js/modules/ws_request.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

enum { WINDOW_BITS_UNVALUED = 255 }; /* client_max_window_bits without a value */

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

static int set_compression(JSContext *ctx, struct ws_request *args, JSValueConst value)
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
    struct ws_request *args = user;

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

void ws_request_free(JSContext *ctx, struct ws_request *args)
{
    for (size_t i = 0; i < args->headers.count; i++) {
        free((void *)args->headers.items[i].name.data);
        free((void *)args->headers.items[i].value.data);
    }
    free(args->headers.items);
    sq_tagset_unref(args->tags);
    JS_FreeValue(ctx, args->jar_value);
}

int ws_request_read(JSContext *ctx, JSValueConst params, struct ws_request *request)
{
    *request = (struct ws_request){.tags = sq_tagset_ref(sq_js_self(ctx)->vu->tags),
                                   .jar_value = JS_UNDEFINED};
    return sq_js_each_key(ctx, params, set_param, request);
}

/* ---- the outcome ---- */

const char *ws_outcome_text(const struct ws_session *s, size_t at)
{
    return (const char *)s->outcome.text.data + at;
}

void ws_tag_session(struct ws_session *s, struct sq_tagset *base, const char *url)
{
    struct sq_run *run = s->self->vu->worker->run;
    unsigned wanted = run->config->system_tags;
    struct sq_tag_pair pairs[4];
    char status[16];
    size_t n = 0;

    snprintf(status, sizeof status, "%d", s->outcome.status);
    if (wanted & SQ_TAG_URL)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("url"), sq_slice_str(url)};
    const char *ip = ws_outcome_text(s, s->outcome.ip_at);
    if ((wanted & SQ_TAG_IP) && *ip && s->outcome.status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("ip"), sq_slice_str(ip)};
    if ((wanted & SQ_TAG_STATUS) && s->outcome.status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("status"), sq_slice_str(status)};
    if ((wanted & SQ_TAG_SUBPROTO) && s->outcome.status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("subproto"),
                                          sq_slice_str(ws_outcome_text(s, s->outcome.protocol_at))};
    s->tags = sq_tagset_with(run->tag_table, base, pairs, n);
}

void ws_store_cookies(struct ws_session *s, struct sq_cookie_jar *jar, const char *url)
{
    const char *p = ws_outcome_text(s, 0);

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
    const char *p = s->outcome.headers_count ? ws_outcome_text(s, 0) : NULL;

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

JSValue ws_response_new(JSContext *ctx, const struct ws_session *s, const char *url)
{
    const struct ws_outcome *o = &s->outcome;
    JSValue r = JS_NewObject(ctx);

    JS_SetPropertyStr(ctx, r, "url", JS_NewString(ctx, o->opened ? url : ""));
    JS_SetPropertyStr(ctx, r, "status", JS_NewInt32(ctx, o->status));
    JS_SetPropertyStr(ctx, r, "headers", response_headers(ctx, s));
    JS_SetPropertyStr(ctx, r, "body",
                      o->opened
                          ? JS_NewString(ctx, "")
                          : JS_NewStringLen(ctx, ws_outcome_text(s, o->body_at), o->body_len));
    JS_SetPropertyStr(ctx, r, "error",
                      JS_NewString(ctx, o->opened ? "" : ws_outcome_text(s, o->error_at)));
    return r;
}
