/* SPDX-License-Identifier: Apache-2.0 */
/* What each file of this folder gives to the table in modules.c. */
#pragma once
#include "js/instance.h"

extern const struct sq_js_builtin sq_k6;
extern const struct sq_js_builtin sq_k6_http;
extern const struct sq_js_builtin sq_k6_metrics;
extern const struct sq_js_builtin sq_k6_timers;
extern const struct sq_js_builtin sq_k6_ws;

/* Class ids are process-wide: taken once, by the main thread, before any worker starts. */
void sq_k6_ws_class_ids(void);
void sq_k6_http_class_ids(void);
void sq_k6_metrics_class_ids(void);
void sq_k6_ws_classes(JSContext *ctx);
void sq_k6_http_classes(JSContext *ctx);
void sq_k6_metrics_classes(JSContext *ctx);

/* The jar behind an http.CookieJar, NULL for other values (k6_http.c). */
struct sq_cookie_jar *sq_k6_http_jar(JSValueConst value);
/* Cookie header for a ws URL, appended to *out; nothing when no cookie matches or the URL is bad.
 */
void sq_k6_http_cookie_header(struct sq_cookie_jar *jar, const char *url, struct sq_buf *out);
void sq_k6_http_store_cookie(struct sq_cookie_jar *jar, const char *url, const char *set_cookie);
/* The VU's own jar, made when first asked for. */
struct sq_cookie_jar *sq_k6_http_vu_jar(struct sq_js_instance *self);

/* True for objects whose console form is their string form (error events of k6/ws). */
bool sq_k6_ws_is_error(JSValueConst value);
