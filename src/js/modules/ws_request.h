/* SPDX-License-Identifier: Apache-2.0 */
/* What ws.connect was asked for, and what came of it: params in, Response out. On the VU's fiber.
 */
#pragma once
#include "js/modules/ws_session.h"

struct header_list {
    struct sq_ws_header *items;
    size_t count;
    bool has_cookie;
};

struct ws_request {
    struct header_list headers;
    struct sq_tagset *tags;
    struct sq_cookie_jar *jar;
    JSValue jar_value;
    struct sq_ws_deflate_offer deflate;
};

/* Reads `params` (WS-8 to WS-18) into *request, which starts with the VU's tags. -1: an exception
 * is pending. Either way ws_request_free. */
int ws_request_read(JSContext *ctx, JSValueConst params, struct ws_request *request);
void ws_request_free(JSContext *ctx, struct ws_request *request);

/* A text inside the copied outcome, by its offset. Borrowed with the session. */
const char *ws_outcome_text(const struct ws_session *s, size_t at);
/* The session's tags: `base`, then url, ip, status, subproto as far as enabled (WS-112). */
void ws_tag_session(struct ws_session *s, struct sq_tagset *base, const char *url);
/* Set-Cookie of any parsed response goes to the jar (WS-36). */
void ws_store_cookies(struct ws_session *s, struct sq_cookie_jar *jar, const char *url);
/* The five fields of WS-42. */
JSValue ws_response_new(JSContext *ctx, const struct ws_session *s, const char *url);
