/* SPDX-License-Identifier: Apache-2.0 */
/* What ws.connect was asked for, and what came of it: params in, Response out. On the VU's fiber.
 */
#pragma once
#include "js/ws/ws_session.h"
#include "net/ws_trace.h"

struct header_list {
    struct sq_ws_header *items;
    size_t count;
    bool has_cookie;
};

/* Squall's own params; the options --ws-... are their defaults. 0: off, unlimited, or the
 * connection's default. */
struct ws_limits {
    int64_t ping_interval_ns, pong_timeout_ns, handshake_timeout_ns, close_timeout_ns;
    int64_t message_size, fragment_size; /* bytes */
};

struct ws_request {
    struct header_list headers;
    struct ws_limits limits;
    struct sq_tagset *tags;
    struct sq_cookie_jar *jar;
    JSValue jar_value;
    struct sq_ws_deflate_offer deflate;
    bool http2; /* squall's own */
};

/* Reads `params` (WS-8 to WS-18) into *request, which starts with the VU's tags and the run's
 * ws-http2. -1: an exception is pending. Either way ws_request_free. */
int ws_request_read(JSContext *ctx, JSValueConst params, struct ws_request *request);
/* True for the keys of struct ws_limits. */
bool ws_request_is_limit(const char *key);
/* Fills what does not depend on the module: headers, limits, VU, counters. `trace` is room for what
 * *open then points to. */
void ws_request_open(struct sq_js_instance *self, const struct ws_request *request,
                     struct sq_ws_trace_options *trace, struct sq_ws_open *open);
/* Tells of a failed handshake, or of a connection that failed later, when `url` is NULL: the first
 * occurrences of a cause, then fewer and fewer. `status` 0: none. */
void ws_log_failure(struct sq_js_instance *self, const char *url, int status, const char *reason);
/* The value of the `error` tag for a failed handshake: without what differs from one connection to
 * the next. Borrowed from the text. */
const char *ws_failure_words(int error_code, const char *reason);
void ws_request_free(JSContext *ctx, struct ws_request *request);

/* A text inside the copied outcome, by its offset. Borrowed with the session. */
const char *ws_outcome_text(const struct ws_session *s, size_t at);
/* The session's tags: `base`, then url, ip, status, subproto as far as enabled (WS-112). */
void ws_tag_session(struct ws_session *s, struct sq_tagset *base, const char *url);
/* Set-Cookie of any parsed response goes to the jar (WS-36). */
void ws_store_cookies(struct ws_session *s, struct sq_cookie_jar *jar, const char *url);
/* The five fields of WS-42. */
JSValue ws_response_new(JSContext *ctx, const struct ws_session *s, const char *url);
