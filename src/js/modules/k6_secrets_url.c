/* SPDX-License-Identifier: Apache-2.0 */
/* k6/secrets: a source that is a server (MOD-80): GET of a URL that holds the secret's name. What
 * the network or a busy server spoils is tried again. */
#include <ctype.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/text.h"
#include "js/http/k6_http.h"
#include "js/modules/k6_secrets.h"

extern char **environ;

enum { TIMEOUT_S = 30, RETRIES = 3, RETRIES_MAX = 100, BACKOFF_MS = 1000 };

/* ---- settings ---- */

struct secret_server *secret_server_new(void)
{
    struct secret_server *s = sq_xcalloc(1, sizeof *s);

    s->timeout_ns = s->backoff_ns = s->retries_max = -1;
    return s;
}

void secret_server_free(struct secret_server *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->headers_count; i++) {
        free((char *)s->headers[i].name);
        free((char *)s->headers[i].value);
    }
    free(s->headers);
    free(s->url_template);
    free(s->method);
    free(s->response_path);
    free(s);
}

static int add_header(struct secret_server *s, struct sq_slice name, const char *value,
                      struct sq_error *err)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum(name.data[i]) && !strchr("-_.", name.data[i]))
            return sq_error_set(err, SQ_EINVALID, "--secret-source: '%.*s' is no name of a header",
                                (int)name.len, (const char *)name.data);
    if (!name.len || strpbrk(value, "\r\n"))
        return sq_error_set(err, SQ_EINVALID,
                            "--secret-source: a header needs a name, and a value of one line");
    s->headers = sq_xrealloc(s->headers, (s->headers_count + 1) * sizeof *s->headers);
    s->headers[s->headers_count++] =
        (struct sq_http_header){sq_xstrndup((const char *)name.data, name.len), sq_xstrdup(value)};
    return 0;
}

static int set_duration(int64_t *to, const char *key, const char *value, struct sq_error *err)
{
    if (*to >= 0)
        return 0;
    if (sq_duration_parse(value, SQ_DURATION_OPTION, to) < 0 || *to <= 0)
        return sq_error_set(err, SQ_EINVALID,
                            "--secret-source: %s is '%s', which is no duration such as 10s", key,
                            value);
    return 0;
}

static int set_retries(struct secret_server *s, const char *value, struct sq_error *err)
{
    char *end;

    if (s->retries_max >= 0)
        return 0;
    s->retries_max = strtol(value, &end, 10);
    if (end == value || *end || s->retries_max < 0 || s->retries_max > RETRIES_MAX)
        return sq_error_set(err, SQ_EINVALID,
                            "--secret-source: maxRetries is '%s', not a number from 0 to %d", value,
                            RETRIES_MAX);
    return 0;
}

/* What is set already stays. */
static int set(struct secret_server *s, const char *key, const char *value, struct sq_error *err)
{
    const struct {
        const char *key;
        char **target;
    } texts[] = {{"urlTemplate", &s->url_template},
                 {"method", &s->method},
                 {"responsePath", &s->response_path}};

    for (size_t i = 0; i < SQ_COUNT(texts); i++)
        if (strcmp(key, texts[i].key) == 0) {
            if (!*texts[i].target)
                *texts[i].target = sq_xstrdup(value);
            return 0;
        }
    if (strcmp(key, "timeout") == 0)
        return set_duration(&s->timeout_ns, key, value, err);
    if (strcmp(key, "retryBackoff") == 0)
        return set_duration(&s->backoff_ns, key, value, err);
    if (strcmp(key, "maxRetries") == 0)
        return set_retries(s, value, err);
    if (sq_text_starts(key, "headers."))
        return add_header(s, sq_slice_str(key + strlen("headers.")), value, err);
    return sq_error_set(err, SQ_EINVALID,
                        "--secret-source: url= has no setting '%s'; it has urlTemplate, method, "
                        "headers.NAME, responsePath, timeout, maxRetries and retryBackoff",
                        key);
}

int secret_server_set(struct secret_server *s, struct sq_slice item, struct sq_error *err)
{
    char *key = sq_xstrndup((const char *)item.data, item.len), *equals = strchr(key, '=');
    int rc;

    if (!item.len) { /* bare url=: all is in the environment */
        rc = 0;
    } else if (equals) {
        *equals = '\0';
        rc = set(s, key, equals + 1, err);
    } else {
        rc = sq_error_set(err, SQ_EINVALID,
                          "--secret-source: url= takes pairs setting=value separated by commas");
    }
    free(key);
    return rc;
}

/* X_API_KEY -> X-API-KEY; names of headers do not tell cases apart. */
static int headers_of_environment(struct secret_server *s, struct sq_error *err)
{
    static const char prefix[] = "K6_SECRET_SOURCE_URL_HEADER_";
    int rc = 0;

    for (char **row = environ; *row && rc == 0; row++) {
        const char *equals = strchr(*row, '=');
        if (!equals || !sq_text_starts(*row, prefix))
            continue;
        const char *from = *row + sizeof prefix - 1;
        char *name = sq_xstrndup(from, (size_t)(equals - from));
        for (char *p = name; *p; p++)
            *p = *p == '_' ? '-' : *p;
        rc = add_header(s, sq_slice_str(name), equals + 1, err);
        free(name);
    }
    return rc;
}

int secret_server_finish(struct secret_server *s, struct sq_error *err)
{
    static const struct {
        const char *variable, *key;
    } rows[] = {
        {"K6_SECRET_SOURCE_URL_URL_TEMPLATE", "urlTemplate"},
        {"K6_SECRET_SOURCE_URL_METHOD", "method"},
        {"K6_SECRET_SOURCE_URL_RESPONSE_PATH", "responsePath"},
        {"K6_SECRET_SOURCE_URL_TIMEOUT", "timeout"},
        {"K6_SECRET_SOURCE_URL_MAX_RETRIES", "maxRetries"},
        {"K6_SECRET_SOURCE_URL_RETRY_BACKOFF", "retryBackoff"},
    };
    char *host_port, *clean;
    int rc = headers_of_environment(s, err);

    for (size_t i = 0; i < SQ_COUNT(rows) && rc == 0; i++) {
        const char *value = getenv(rows[i].variable);
        if (value && *value)
            rc = set(s, rows[i].key, value, err);
    }
    if (rc < 0)
        return rc;
    if (!s->url_template || !strstr(s->url_template, "{key}"))
        return sq_error_set(err, SQ_EINVALID,
                            "--secret-source: url= needs urlTemplate=, an address with {key} where "
                            "the name of the secret goes");
    struct sq_error why = {0};
    rc = sq_http_url_check(s->url_template, &host_port, &clean, &why);
    if (rc < 0)
        rc = sq_error_set(err, SQ_EINVALID, "--secret-source: '%s' is no address: %s", clean,
                          why.text);
    free(host_port);
    free(clean);
    s->timeout_ns = s->timeout_ns < 0 ? TIMEOUT_S * SQ_NS_PER_S : s->timeout_ns;
    s->backoff_ns = s->backoff_ns < 0 ? BACKOFF_MS * SQ_NS_PER_MS : s->backoff_ns;
    s->retries_max = s->retries_max < 0 ? RETRIES : s->retries_max;
    return rc;
}

/* ---- asking ---- */

static char *address_of(const struct secret_server *s, const char *key)
{
    static const char mark[] = "{key}";
    struct sq_buf url = {0};

    for (const char *p = s->url_template; *p; p++) {
        if (!sq_text_starts(p, mark)) {
            sq_buf_putc(&url, *p);
            continue;
        }
        for (const char *k = key; *k; k++)
            if (isalnum((unsigned char)*k) || strchr("-_.~", *k))
                sq_buf_putc(&url, *k);
            else
                sq_buf_printf(&url, "%%%02X", (unsigned char)*k);
        p += strlen(mark) - 1;
    }
    return sq_buf_steal(&url);
}

struct question {
    struct sq_js_instance *self;
    bool answered;
};

static void on_done(void *user)
{
    struct question *q = user;

    q->answered = true;
    sq_vu_wake(q->self->vu);
}

/* 0, or -1: the VU is interrupted. */
static int wait_until(struct sq_js_instance *self, const bool *flag, int64_t deadline_ns)
{
    while (!*flag && sq_now_ns() < deadline_ns)
        if ((deadline_ns == INT64_MAX ? sq_vu_wait(self->vu)
                                      : sq_vu_wait_until(self->vu, deadline_ns)) < 0)
            return -1;
    return 0;
}

static bool worth_another(const struct sq_http_result *r)
{
    return r->error_code || r->status == 429 || r->status >= 500;
}

/* What stands in the answer. Owned: free. NULL: an exception is pending. */
static char *pick(JSContext *ctx, const struct secret_server *s, struct sq_slice body,
                  const char *key)
{
    if (!s->response_path || !*s->response_path)
        return sq_xstrndup((const char *)body.data, body.len);
    char *text = sq_xstrndup((const char *)body.data, body.len), *value = NULL;
    JSValue json = JS_ParseJSON(ctx, text, body.len, "secret");
    free(text);
    if (JS_IsException(json)) {
        JS_FreeValue(ctx, JS_GetException(ctx)); /* it would quote the answer */
        sq_js_throw(ctx, "the answer for the secret \"%s\" is no JSON", key);
        return NULL;
    }
    JSValue found = http_json_path(ctx, json, s->response_path);
    if (JS_IsString(found) || JS_IsNumber(found)) {
        const char *found_text = JS_ToCString(ctx, found);
        value = found_text ? sq_xstrdup(found_text) : NULL;
        JS_FreeCString(ctx, found_text);
    } else if (!JS_IsException(found)) {
        sq_js_throw(ctx, "the answer for the secret \"%s\" has no text at '%s'", key,
                    s->response_path);
    }
    JS_FreeValue(ctx, found);
    JS_FreeValue(ctx, json);
    return value;
}

/* One round trip after the other. *transfer: the last one, owned. -1: interrupted. */
static int ask(struct sq_js_instance *self, const struct secret_server *s, const char *url,
               struct sq_http_vu *net, struct sq_http_transfer **transfer)
{
    static const bool never = false;

    for (int64_t i = 0;; i++) {
        struct question q = {self, false};
        struct sq_http_request request = {.method = s->method ? s->method : "GET",
                                          .url = url,
                                          .headers = s->headers,
                                          .headers_count = s->headers_count,
                                          .deadline_ns = sq_now_ns() + s->timeout_ns};
        sq_http_transfer_free(*transfer);
        *transfer = sq_http_start(net, &request, on_done, &q);
        if (wait_until(self, &q.answered, INT64_MAX) < 0)
            return -1;
        if (i == s->retries_max || !worth_another(sq_http_transfer_result(*transfer)))
            return 0;
        if (wait_until(self, &never, sq_now_ns() + s->backoff_ns) < 0)
            return -1;
    }
}

char *secret_server_get(JSContext *ctx, const struct secret_server *s, const char *key)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    struct sq_net *thread_net = sq_js_net(self);
    struct sq_net_counters counters = {0}; /* no traffic of the test */
    struct sq_http_transfer *transfer = NULL;
    char *value = NULL;

    if (!thread_net) {
        sq_js_throw(ctx, "cannot use the network: %s", self->cell->worker->net_error.text);
        return NULL;
    }
    struct sq_http_vu *net = sq_http_vu_new(thread_net, self->vu->id, &counters);
    char *url = address_of(s, key);
    int rc = ask(self, s, url, net, &transfer);
    if (rc < 0) {
        sq_js_throw_interrupted(ctx);
    } else {
        const struct sq_http_result *r = sq_http_transfer_result(transfer);
        if (r->error_code)
            sq_js_throw(ctx, "cannot get the secret \"%s\": %s", key, r->text);
        else if (r->status < 200 || r->status > 299)
            sq_js_throw(ctx, "cannot get the secret \"%s\": the server answers with status %d %s",
                        key, r->status, sq_http_status_words(r->status));
        else
            value = pick(ctx, s, r->body, key);
    }
    sq_http_transfer_free(transfer);
    sq_http_vu_free(net);
    free(url);
    return value;
}
