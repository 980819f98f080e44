/* SPDX-License-Identifier: Apache-2.0 */
#include "js/ws/ws_request.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/text.h"
#include "net/http.h"

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

/* ---- squall's own ---- */

static const struct limit {
    const char *name;
    size_t offset;
    bool bytes, may_be_zero;
} limits[] = {
    {"pingInterval", offsetof(struct ws_limits, ping_interval_ns), false, true},
    {"pongTimeout", offsetof(struct ws_limits, pong_timeout_ns), false, true},
    {"handshakeTimeout", offsetof(struct ws_limits, handshake_timeout_ns), false, false},
    {"closeTimeout", offsetof(struct ws_limits, close_timeout_ns), false, false},
    {"maxMessageSize", offsetof(struct ws_limits, message_size), true, true},
    {"fragmentSize", offsetof(struct ws_limits, fragment_size), true, true},
};

static const struct limit *find_limit(const char *key)
{
    for (size_t i = 0; i < SQ_COUNT(limits); i++)
        if (strcmp(limits[i].name, key) == 0)
            return &limits[i];
    return NULL;
}

bool ws_request_is_limit(const char *key)
{
    return find_limit(key) != NULL;
}

static bool read_size(JSContext *ctx, JSValueConst value, int64_t *bytes)
{
    double number;

    if (!JS_IsNumber(value) || JS_ToFloat64(ctx, &number, value) < 0 ||
        !(number >= 0 && number <= 9007199254740991.0) || number != trunc(number))
        return false;
    *bytes = (int64_t)number;
    return true;
}

/* A number of milliseconds, or k6's form of durations. */
static bool read_duration(JSContext *ctx, JSValueConst value, int64_t *ns)
{
    double ms;

    if (JS_IsNumber(value)) {
        if (JS_ToFloat64(ctx, &ms, value) < 0 || !(ms >= 0 && ms < 1e12))
            return false;
        *ns = (int64_t)(ms * SQ_NS_PER_MS);
        return *ns > 0 || ms == 0;
    }
    if (!JS_IsString(value))
        return false;
    const char *text = JS_ToCString(ctx, value);
    bool ok = text && sq_duration_parse(text, SQ_DURATION_OPTION, ns) == 0 && *ns >= 0;
    JS_FreeCString(ctx, text);
    return ok;
}

static int set_limit(JSContext *ctx, struct ws_limits *out, const struct limit *l,
                     JSValueConst value)
{
    int64_t number = 0;
    struct sq_buf shown = {0};

    if (JS_IsUndefined(value) || JS_IsNull(value))
        return 0;
    bool ok = l->bytes ? read_size(ctx, value, &number) : read_duration(ctx, value, &number);
    if (ok && (number > 0 || l->may_be_zero)) {
        *(int64_t *)((char *)out + l->offset) = number;
        return 0;
    }
    sq_js_render(ctx, &shown, value);
    JS_ThrowTypeError(ctx, "params.%s must be %s%s, got %.80s", l->name,
                      l->bytes         ? "a number of bytes"
                      : l->may_be_zero ? "milliseconds or a duration such as '10s'"
                                       : "above 0: milliseconds or a duration such as '10s'",
                      l->bytes ? ", 0 or a whole number above" : "", sq_buf_cstr(&shown));
    sq_buf_deinit(&shown);
    return -1;
}

static struct ws_limits default_limits(const struct sq_config *c)
{
    return (struct ws_limits){.ping_interval_ns = SQ_MAX(c->ws_ping_interval_ns, 0),
                              .pong_timeout_ns = SQ_MAX(c->ws_pong_timeout_ns, 0),
                              .handshake_timeout_ns = SQ_MAX(c->ws_handshake_timeout_ns, 0),
                              .close_timeout_ns = SQ_MAX(c->ws_close_timeout_ns, 0),
                              .message_size = SQ_MAX(c->ws_max_message_size, 0),
                              .fragment_size = SQ_MAX(c->ws_fragment_size, 0)};
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
    } else if (find_limit(key)) {
        return set_limit(ctx, &args->limits, find_limit(key), value);
    } else if (strcmp(key, "http2") == 0 && !JS_IsUndefined(value) && !JS_IsNull(value)) {
        args->http2 = JS_ToBool(ctx, value) > 0;
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
    const struct sq_js_instance *self = sq_js_self(ctx);
    const struct sq_config *config = self->cell->worker->bundle->config;

    *request = (struct ws_request){.tags = sq_tagset_ref(self->vu->tags),
                                   .limits = default_limits(config),
                                   .jar_value = JS_UNDEFINED,
                                   .http2 = config->ws_http2};
    return sq_js_each_key(ctx, params, set_param, request);
}

void ws_request_open(struct sq_js_instance *self, const struct ws_request *request,
                     struct sq_ws_trace_options *trace, struct sq_ws_open *open)
{
    const struct sq_js_bundle *bundle = self->cell->worker->bundle;
    const struct ws_limits *l = &request->limits;

    open->headers = request->headers.items;
    open->headers_count = request->headers.count;
    open->user_agent = sq_slice_str(bundle->user_agent);
    open->deflate = request->deflate;
    open->vu_id = self->vu->id;
    open->lenient = bundle->config->lenient;
    open->http2 = request->http2;
    open->counters = &self->counters;
    open->handshake_timeout_ns = l->handshake_timeout_ns;
    open->close_timeout_ns = l->close_timeout_ns;
    open->ping_interval_ns = l->ping_interval_ns;
    open->pong_timeout_ns = l->pong_timeout_ns;
    /* What no ArrayBuffer holds could not be handed over, only fill the memory. */
    open->message_bytes_max = l->message_size ? SQ_MIN(l->message_size, INT32_MAX) : INT32_MAX;
    open->fragment_bytes = (uint64_t)l->fragment_size;
    self->connections++;
    if (!bundle->config->ws_debug)
        return;
    *trace = (struct sq_ws_trace_options){.vu = self->vu->id,
                                          .iteration = self->vu->iterations,
                                          .socket = self->connections,
                                          .full = strcmp(bundle->config->ws_debug, "full") == 0};
    open->trace = trace;
}

/* ---- the outcome ---- */

/* Two connections to one server that fail for one reason must not differ by their local ports,
 * keys and times. */
const char *ws_failure_words(int error_code, const char *reason)
{
    const char *words = sq_http_short_words(error_code), *ports = strstr(reason, "->");
    const char *what = ports ? strstr(ports, ": ") : NULL;

    if (sq_text_starts(reason, "Sec-WebSocket-Accept '"))
        return "Sec-WebSocket-Accept does not belong to the key";
    if (sq_text_starts(reason, "x509: certificate has expired"))
        return "x509: certificate has expired or is not yet valid";
    return words ? words : what ? what + 2 : reason;
}

void ws_log_failure(struct sq_js_instance *self, const char *url, int status, const char *reason)
{
    enum { TOLD_ALL = 10, URL_SHOWN = 1000 /* bytes: enough for a token in the query */ };
    uint64_t times = sq_js_times(self->cell->worker->bundle, ws_failure_words(0, reason));
    bool told = times <= TOLD_ALL || (times & (times - 1)) == 0;
    char often[64] = "", answer[32] = "";
    struct sq_buf shown = {0};

    if (times > TOLD_ALL)
        snprintf(often, sizeof often, "; %llu times so far", (unsigned long long)times);
    if (status)
        snprintf(answer, sizeof answer, " (status %d)", status);
    if (url) {
        struct sq_slice all = sq_slice_str(url);
        sq_buf_puts(&shown, " to '");
        sq_ws_trace_hide_userinfo(&shown, sq_slice(all.data, SQ_MIN(all.len, (size_t)URL_SHOWN)));
        sq_buf_puts(&shown, all.len > URL_SHOWN ? "...'" : "'");
    }
    sq_log(told ? SQ_LOG_WARN : SQ_LOG_DEBUG, "ws", "WebSocket connection%s failed: %s%s%s",
           sq_buf_cstr(&shown), reason, answer, often);
    sq_buf_deinit(&shown);
}

const char *ws_outcome_text(const struct ws_session *s, size_t at)
{
    return (const char *)s->outcome.text.data + at;
}

void ws_tag_session(struct ws_session *s, struct sq_tagset *base, const char *url)
{
    struct sq_run *run = s->self->vu->worker->run;
    unsigned wanted = run->config->system_tags;
    struct sq_tag_pair pairs[6];
    char status[16], code[16];
    size_t n = 0;

    snprintf(status, sizeof status, "%d", s->outcome.status);
    snprintf(code, sizeof code, "%d", s->outcome.error_code);
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
    const char *reason = ws_outcome_text(s, s->outcome.reason_at);
    if ((wanted & SQ_TAG_ERROR) && !s->outcome.opened)
        pairs[n++] = (struct sq_tag_pair){
            sq_slice_str("error"), sq_slice_str(ws_failure_words(s->outcome.error_code, reason))};
    if ((wanted & SQ_TAG_ERROR_CODE) && !s->outcome.opened)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("error_code"), sq_slice_str(code)};
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
