/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of k6/http share. A call is one http.get() or one member of a batch: its round
 * trips (redirects) follow one another on transfers of net/http.h while the VU's fiber waits. */
#pragma once
#include "base/buf.h"
#include "js/modules/modules.h"
#include "net/http.h"

/* http.expectedStatuses(200, {min: 300, max: 399}) */
struct http_statuses {
    struct {
        int64_t min, max;
    } * ranges; /* owned */
    size_t count;
    bool none; /* null: nothing is expected, http_req_failed is not emitted */
};

/* Of a VU, made when first needed: instance->http. */
struct k6_http {
    struct sq_http_vu *net;         /* NULL until the first request */
    struct http_statuses *expected; /* NULL: 200 to 399 */
    uint64_t iteration;             /* of the last request: for noVUConnectionReuse */
};

enum http_response_type { HTTP_TEXT, HTTP_BINARY, HTTP_NONE };

struct http_cookie { /* of params.cookies; strings owned */
    char *name, *value;
    bool replace;
};

struct http_call {
    struct sq_js_instance *self;
    /* what was asked for; all owned */
    char *method, *url;
    char *name;                     /* of a http.url template: its tag */
    struct sq_http_header *headers; /* canonical names */
    size_t headers_count;
    struct sq_buf body;
    bool has_body;
    char *form_type; /* Content-Type of an object's body; NULL: none */
    struct http_cookie *cookies;
    size_t cookies_count;
    char *compression;
    struct sq_cookie_jar *jar;
    JSValue jar_value;
    struct sq_tagset *tags;
    struct http_statuses *expected; /* borrowed from the params' object or the VU */
    JSValue expected_value;
    int64_t timeout_ns, redirects;
    bool redirects_given, throws;
    enum sq_http_auth auth;
    enum http_response_type type;
    /* under way */
    struct sq_http_transfer *transfer; /* the last round trip */
    char *hop_url, *hop_method, *host_port;
    size_t hops;
    int64_t deadline_ns;
    struct sq_timer pace; /* until its slot (option rps) */
    bool started, arrived, over, body_dropped, foreign;
    void (*on_over)(struct http_call *call); /* of a call that nobody's fiber waits for */
    char *failure;                           /* it could not even be built; owned */
    int failure_code;
};

/* ---- k6_http_params.c ---- */
/* Fills *call from JS arguments; -1: an exception is pending. What makes a failed response is in
 * call->failure. http_call_deinit in any case. */
int http_call_init(JSContext *ctx, struct http_call *call, const char *method, JSValueConst url,
                   JSValueConst body, JSValueConst params);
void http_call_deinit(JSContext *ctx, struct http_call *call);
void http_call_add_header(struct http_call *call, const char *name, struct sq_slice value);
const char *http_call_header(const struct http_call *call, const char *name); /* or NULL */
/* "x-request-id" -> "X-Request-Id". */
void http_canonical_name(char *name);
/* For http.file and http.url: makes the objects that http_call_init knows. */
JSValue http_new_file(JSContext *ctx, int argc, JSValueConst *argv);
JSValue http_new_url(JSContext *ctx, int argc, JSValueConst *argv);
bool http_is_url(JSValueConst value);
/* An object as a form, keys sorted; -1: an exception is pending. */
int http_form_text(JSContext *ctx, JSValueConst fields, struct sq_buf *out);

/* ---- k6_http_request.c ---- */
/* Runs the calls to their end, `batch` at once and `per_host` of them for one host. -1: the VU is
 * interrupted; everything was cut. */
int http_run(struct sq_js_instance *self, struct http_call *calls, size_t count, size_t batch,
             size_t per_host);

/* The timer `pace` of a call is due. */
void http_call_begin(struct sq_timer *timer);
/* Starts a call that goes on by itself; on_over is called once, on the loop's stack or at once. */
void http_start_alone(struct http_call *call, void (*on_over)(struct http_call *call));

/* ---- k6_http_async.c ---- */
/* A promise of the Response. */
JSValue http_async_request(JSContext *ctx, const char *method, JSValueConst url, JSValueConst body,
                           JSValueConst params);

/* ---- k6_http_response.c ---- */
/* The Response of a call that is over, or an exception (interrupted or `throw`). */
JSValue http_new_response(JSContext *ctx, struct http_call *call);

/* Response.html(selector) of any object with a `body`. */
JSValue http_response_html(JSContext *ctx, JSValueConst response, JSValueConst selector);

/* ---- k6_http_form.c ---- */
/* Response.clickLink(options) and submitForm(options). */
JSValue http_click_link(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv);
JSValue http_submit_form(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv);

/* ---- k6_http_json.c ---- */
/* The value at a GJSON path (MOD-66), a new reference; undefined: there is none. */
JSValue http_json_path(JSContext *ctx, JSValueConst root, const char *path);

/* ---- k6_http.c ---- */
/* A whole request: the Response or an exception. Not in the init code (checked here). */
JSValue http_request(JSContext *ctx, const char *method, JSValueConst url, JSValueConst body,
                     JSValueConst params);
struct k6_http *http_of(struct sq_js_instance *self);
/* Each cookie that the jar has for the URL. */
void sq_k6_http_each_cookie(struct sq_cookie_jar *jar, const char *url,
                            void (*each)(void *user, struct sq_slice name, struct sq_slice value),
                            void *user);
struct http_statuses *http_statuses_of(JSValueConst value); /* NULL: not made by expectedStatuses */

void sq_k6_http_params_class_ids(void);
void sq_k6_http_params_classes(JSContext *ctx);
void sq_k6_http_response_class_ids(void);
void sq_k6_http_response_classes(JSContext *ctx);
