/* SPDX-License-Identifier: Apache-2.0 */
/* k6/http: calls under way. One round trip after the other (MOD-69), each with its cookies
 * (MOD-67) and samples (MET-36); many calls at once for a batch (MOD-61). */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "js/http/k6_http.h"

/* ---- cookies ---- */

struct cookie_writer {
    const struct http_call *call;
    struct sq_buf *out;
};

static void put_cookie(struct sq_buf *out, struct sq_slice name, struct sq_slice value)
{
    if (out->len)
        sq_buf_puts(out, "; ");
    sq_buf_put(out, name.data, name.len);
    sq_buf_putc(out, '=');
    sq_buf_put(out, value.data, value.len);
}

static void put_jar_cookie(void *user, struct sq_slice name, struct sq_slice value)
{
    struct cookie_writer *w = user;

    for (size_t i = 0; i < w->call->cookies_count; i++)
        if (w->call->cookies[i].replace &&
            sq_slice_eq(sq_slice_str(w->call->cookies[i].name), name))
            return;
    put_cookie(w->out, name, value);
}

/* The script's header, then the request's cookies, then the jar's. */
static void build_cookie_header(const struct http_call *call, struct sq_buf *out)
{
    struct cookie_writer w = {call, out};
    const char *given = call->foreign ? NULL : http_call_header(call, "Cookie");

    if (given)
        sq_buf_puts(out, given);
    for (size_t i = 0; i < call->cookies_count && !call->foreign; i++)
        put_cookie(out, sq_slice_str(call->cookies[i].name), sq_slice_str(call->cookies[i].value));
    sq_k6_http_each_cookie(call->jar, call->hop_url, put_jar_cookie, &w);
    /* What a script puts into a cookie must not end the header. */
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] == '\r' || out->data[i] == '\n' || out->data[i] == 0)
            out->data[i] = ' ';
}

static const char *next_header(const char **at, const char **value)
{
    const char *name = *at;

    *value = name + strlen(name) + 1;
    *at = *value + strlen(*value) + 1;
    return name;
}

static void store_cookies(const struct http_call *call, const struct sq_http_result *r)
{
    const char *at = r->headers, *value;

    for (size_t i = 0; i < r->headers_count; i++) {
        const char *name = next_header(&at, &value);
        if (sq_ascii_eq_nocase(sq_slice_str(name), sq_slice_str("set-cookie")))
            sq_k6_http_store_cookie(call->jar, call->hop_url, value);
    }
}

/* ---- samples ---- */

static bool is_expected(const struct http_call *call, int status)
{
    if (!call->expected)
        return status >= 200 && status <= 399;
    for (size_t i = 0; i < call->expected->count; i++)
        if (status >= call->expected->ranges[i].min && status <= call->expected->ranges[i].max)
            return true;
    return false;
}

struct tag_list {
    unsigned wanted;
    struct sq_tag_pair pairs[12];
    size_t count;
};

static void add_tag(struct tag_list *list, unsigned bit, const char *key, const char *value)
{
    if (list->wanted & bit)
        list->pairs[list->count++] = (struct sq_tag_pair){sq_slice_str(key), sq_slice_str(value)};
}

static struct sq_tagset *hop_tags(const struct http_call *call, const struct sq_http_result *r,
                                  bool expected)
{
    struct sq_run *run = call->self->vu->worker->run;
    struct tag_list list = {.wanted = run->config->system_tags};
    struct sq_slice given = sq_tagset_get(call->tags, "name");
    char status[16], code[16], *clean = NULL, *host_port = NULL, *name;

    (void)!sq_http_url_check(call->hop_url, &host_port, &clean, NULL);
    name = given.data   ? sq_xstrndup((const char *)given.data, given.len)
           : call->name ? sq_xstrdup(call->name)
                        : sq_xstrdup(clean);
    snprintf(status, sizeof status, "%d", r->status);
    int number = r->error_code ? r->error_code : r->status >= 400 ? 1000 + r->status : 0;
    snprintf(code, sizeof code, "%d", number);
    add_tag(&list, SQ_TAG_METHOD, "method", call->hop_method);
    add_tag(&list, SQ_TAG_STATUS, "status", status);
    add_tag(&list, SQ_TAG_URL, "url", name);
    if (!given.data)
        add_tag(&list, SQ_TAG_NAME, "name", name);
    if (*r->proto)
        add_tag(&list, SQ_TAG_PROTO, "proto", r->proto);
    if (!call->expected || !call->expected->none)
        add_tag(&list, SQ_TAG_EXPECTED_RESPONSE, "expected_response", expected ? "true" : "false");
    if (r->error_code)
        add_tag(&list, SQ_TAG_ERROR, "error", r->error);
    if (number)
        add_tag(&list, SQ_TAG_ERROR_CODE, "error_code", code);
    if (*r->tls_version)
        add_tag(&list, SQ_TAG_TLS_VERSION, "tls_version", r->tls_version);
    if (*r->remote_ip)
        add_tag(&list, SQ_TAG_IP, "ip", r->remote_ip);
    struct sq_tagset *tags = sq_tagset_with(run->tag_table, call->tags, list.pairs, list.count);
    free(name);
    free(clean);
    free(host_port);
    return tags;
}

static void emit_samples(const struct http_call *call, const struct sq_http_result *r,
                         bool expected)
{
    const struct sq_http_timings *t = &r->timings;
    const struct {
        enum sq_metric_id metric;
        int64_t ns;
    } trends[] = {
        {SQ_M_HTTP_REQ_DURATION, t->sending + t->waiting + t->receiving},
        {SQ_M_HTTP_REQ_BLOCKED, t->blocked},
        {SQ_M_HTTP_REQ_CONNECTING, t->connecting},
        {SQ_M_HTTP_REQ_TLS_HANDSHAKING, t->tls_handshaking},
        {SQ_M_HTTP_REQ_SENDING, t->sending},
        {SQ_M_HTTP_REQ_WAITING, t->waiting},
        {SQ_M_HTTP_REQ_RECEIVING, t->receiving},
    };
    struct sq_vu *vu = call->self->vu;
    struct sq_tagset *tags = hop_tags(call, r, expected);
    int64_t wall_ns = sq_wall_ns();

    sq_vu_sample_tags(vu, SQ_M_HTTP_REQS, tags, wall_ns, 1);
    for (size_t i = 0; i < SQ_COUNT(trends); i++)
        sq_vu_sample_tags(vu, trends[i].metric, tags, wall_ns, (double)trends[i].ns / SQ_NS_PER_MS);
    if (!call->expected || !call->expected->none)
        sq_vu_sample_tags(vu, SQ_M_HTTP_REQ_FAILED, tags, wall_ns, expected ? 0 : 1);
    sq_tagset_unref(tags);
}

/* ---- round trips ---- */

/* Each round trip has its samples; a 401 is what digest and NTLM expect first. */
static void emit_all(const struct http_call *call, const struct sq_http_result *r)
{
    for (size_t i = 0; i < r->challenges_count; i++) {
        struct sq_http_result challenge = *r;
        challenge.status = r->challenges[i].status;
        challenge.timings = r->challenges[i].timings;
        challenge.error_code = 0;
        emit_samples(call, &challenge, challenge.status == 401);
    }
    emit_samples(call, r, is_expected(call, r->status));
}

static void hop_arrived(struct http_call *call);

static void on_done(void *user)
{
    struct http_call *call = user;

    if (call->on_over) {
        hop_arrived(call);
        if (call->over)
            call->on_over(call); /* may free it */
        return;
    }
    call->arrived = true;
    sq_vu_wake(call->self->vu);
}

static bool left_at_home(const char *name)
{
    static const char *const names[] = {"Authorization", "Www-Authenticate", "Cookie2"};

    for (size_t i = 0; i < SQ_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void start_hop(struct http_call *call, const char *referer)
{
    const struct sq_config *config = call->self->vu->worker->run->config;
    struct sq_http_header *headers = sq_xcalloc(call->headers_count + 2, sizeof *headers);
    struct sq_buf cookie = {0};
    size_t count = 0;

    for (size_t i = 0; i < call->headers_count; i++) {
        const char *name = call->headers[i].name;
        if (strcmp(name, "Cookie") == 0 || (call->foreign && left_at_home(name)) ||
            (call->body_dropped && sq_text_starts(name, "Content-")) ||
            (call->hops && strcmp(name, "Host") == 0))
            continue;
        headers[count++] = call->headers[i];
    }
    build_cookie_header(call, &cookie);
    if (cookie.len)
        headers[count++] = (struct sq_http_header){"Cookie", sq_buf_cstr(&cookie)};
    if (referer && !http_call_header(call, "Referer"))
        headers[count++] = (struct sq_http_header){"Referer", referer};
    struct sq_http_request request = {
        .method = call->hop_method,
        .url = call->hop_url,
        .headers = headers,
        .headers_count = count,
        .body = call->body_dropped ? (struct sq_slice){0} : sq_buf_slice(&call->body),
        .has_body = call->has_body && !call->body_dropped,
        .discard_body = call->type == HTTP_NONE,
        .no_reuse = config->no_connection_reuse,
        .keep_heads = config->http_debug && *config->http_debug,
        .deadline_ns = call->deadline_ns,
        .auth = call->auth,
    };
    sq_http_transfer_free(call->transfer);
    call->arrived = false;
    call->transfer = sq_http_start(http_of(call->self)->net, &request, on_done, call);
    sq_buf_deinit(&cookie);
    free(headers);
}

/* One for the whole process, at most `rps` a second; first come first served. */
static int64_t take_slot(struct http_call *call)
{
    int64_t rps = call->self->vu->worker->run->config->rps, now = sq_now_ns();
    _Atomic int64_t *free_ns = &call->self->cell->worker->bundle->http_slot_ns;
    int64_t slot, next = atomic_load(free_ns);

    if (rps <= 0)
        return now;
    do
        slot = SQ_MAX(next, now);
    while (!atomic_compare_exchange_weak(free_ns, &next, slot + SQ_NS_PER_S / rps));
    return slot;
}

void http_call_begin(struct sq_timer *timer)
{
    struct http_call *call = SQ_CONTAINER_OF(timer, struct http_call, pace);
    int64_t now = sq_now_ns();

    call->deadline_ns = call->timeout_ns > 0 && call->timeout_ns < INT64_MAX - now
                            ? now + call->timeout_ns
                            : INT64_MAX;
    start_hop(call, NULL);
}

static void start_call(struct http_call *call)
{
    int64_t slot = take_slot(call);

    call->started = true;
    call->hop_url = sq_xstrdup(call->url);
    call->hop_method = sq_xstrdup(call->method);
    if (slot > sq_now_ns())
        sq_timer_start(call->self->vu->worker->loop, &call->pace, slot);
    else
        http_call_begin(&call->pace);
}

static const char *find_location(const struct sq_http_result *r)
{
    const char *at = r->headers, *value;

    for (size_t i = 0; i < r->headers_count; i++)
        if (sq_ascii_eq_nocase(sq_slice_str(next_header(&at, &value)), sq_slice_str("location")))
            return *value ? value : NULL;
    return NULL;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Without credentials; never from https to http. NULL: none. Owned. */
static char *make_referer(const char *from, const char *to)
{
    const char *authority = strstr(from, "://");

    if (!authority || (sq_text_starts(from, "https:") && sq_text_starts(to, "http:")))
        return NULL;
    size_t len = strcspn(authority + 3, "/?#");
    const char *at = memrchr(authority + 3, '@', len);
    return at ? sq_xasprintf("%.*s%s", (int)(authority + 3 - from), from, at + 1)
              : sq_xstrdup(from);
}

/* True: the next round trip has begun. */
static bool follow(struct http_call *call, const struct sq_http_result *r)
{
    const char *location = is_redirect(r->status) ? find_location(r) : NULL;
    char *host_port, *clean;

    if (!location)
        return false;
    if ((int64_t)call->hops >= call->redirects) {
        if (!call->redirects_given)
            sq_log(SQ_LOG_WARN, "http",
                   "Stopped after %zu redirects and returned the redirection; pass { redirects: n "
                   "} in request params or set global maxRedirects to silence this",
                   call->hops);
        return false;
    }
    char *next = sq_http_url_join(call->hop_url, location);
    if (!next || sq_http_url_check(next, &host_port, &clean, NULL) < 0) {
        call->failure = sq_xasprintf("cannot follow the redirect to '%s'", location);
        call->failure_code = 1000;
        free(next);
        return false;
    }
    if (r->status < 307) {
        if (strcmp(call->hop_method, "GET") != 0 && strcmp(call->hop_method, "HEAD") != 0) {
            free(call->hop_method);
            call->hop_method = sq_xstrdup("GET");
        }
        call->body_dropped = true;
    }
    char *referer = make_referer(call->hop_url, next);
    call->foreign |= strcmp(host_port, call->host_port) != 0;
    free(clean);
    free(host_port);
    free(call->hop_url);
    call->hop_url = next;
    call->hops++;
    start_hop(call, referer);
    free(referer);
    return true;
}

/* --http-debug: the wire's heads; the bodies as the script has them. */
static void log_hop(const struct http_call *call, const struct sq_http_result *r)
{
    const char *debug = call->self->vu->worker->run->config->http_debug;
    bool full = debug && strcmp(debug, "full") == 0;
    struct sq_buf text = {0};

    if (!debug || !*debug)
        return;
    sq_buf_puts(&text, "Request:\n");
    sq_buf_put(&text, r->sent_head.data, r->sent_head.len);
    if (full && !call->body_dropped)
        sq_buf_put(&text, call->body.data, call->body.len);
    sq_log_line(SQ_LOG_INFO, (const char *)text.data, text.len, "http-debug", NULL);
    text.len = 0;
    sq_buf_puts(&text, "Response:\n");
    sq_buf_put(&text, r->received_head.data, r->received_head.len);
    if (full)
        sq_buf_put(&text, r->body.data, r->body.len);
    if (r->error_code)
        sq_buf_puts(&text, r->text);
    sq_log_line(SQ_LOG_INFO, (const char *)text.data, text.len, "http-debug", NULL);
    sq_buf_deinit(&text);
}

static void hop_arrived(struct http_call *call)
{
    const struct sq_http_result *r = sq_http_transfer_result(call->transfer);

    call->arrived = false;
    log_hop(call, r);
    store_cookies(call, r);
    emit_all(call, r);
    if (r->error_code || !follow(call, r))
        call->over = true;
}

/* ---- many at once ---- */

static bool may_start(const struct http_call *calls, size_t at, size_t batch, size_t per_host)
{
    size_t active = 0, here = 0;

    for (size_t i = 0; i < at && active < batch; i++) {
        if (!calls[i].started || calls[i].over)
            continue;
        active++;
        here += strcmp(calls[i].host_port, calls[at].host_port) == 0;
    }
    return active < batch && here < per_host;
}

static void open_net(struct sq_js_instance *self)
{
    struct k6_http *http = http_of(self);

    if (!http->net)
        http->net = sq_http_vu_new(sq_js_net(self), self->vu->id, &self->counters);
    else if (self->vu->worker->run->config->no_vu_connection_reuse &&
             http->iteration != self->vu->iterations)
        sq_http_vu_disconnect(http->net);
    http->iteration = self->vu->iterations;
}

void http_start_alone(struct http_call *call, void (*on_over)(struct http_call *call))
{
    call->on_over = on_over;
    if (call->failure) {
        call->over = true;
        on_over(call);
        return;
    }
    open_net(call->self);
    start_call(call);
}

int http_run(struct sq_js_instance *self, struct http_call *calls, size_t count, size_t batch,
             size_t per_host)
{
    size_t over = 0;

    open_net(self);
    for (size_t i = 0; i < count; i++)
        if (calls[i].failure) {
            calls[i].started = calls[i].over = true;
            over++;
        }
    while (over < count) {
        for (size_t i = 0; i < count; i++)
            if (!calls[i].started && may_start(calls, i, batch, per_host))
                start_call(&calls[i]);
        if (sq_vu_wait(self->vu) < 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (calls[i].arrived) {
                hop_arrived(&calls[i]);
                over += calls[i].over;
            }
    }
    return 0;
}
