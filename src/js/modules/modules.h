/* SPDX-License-Identifier: Apache-2.0 */
/* What each file of this folder gives to the table in modules.c. */
#pragma once
#include "js/instance.h"

extern const struct sq_js_builtin sq_k6;
extern const struct sq_js_builtin sq_k6_crypto;
extern const struct sq_js_builtin sq_k6_data;
extern const struct sq_js_builtin sq_k6_encoding;
extern const struct sq_js_builtin sq_k6_execution;
extern const struct sq_js_builtin sq_k6_http;
extern const struct sq_js_builtin sq_k6_metrics;
extern const struct sq_js_builtin sq_k6_timers;
extern const struct sq_js_builtin sq_k6_ws;
extern const struct sq_js_builtin sq_k6_websockets;
extern const struct sq_js_builtin sq_k6_experimental_websockets;

/* Class ids are process-wide: taken once, by the main thread, before any worker starts. */
void sq_k6_ws_class_ids(void);
void sq_k6_websockets_class_ids(void);
void sq_k6_http_class_ids(void);
void sq_k6_metrics_class_ids(void);
void sq_k6_crypto_class_ids(void);
void sq_k6_data_class_ids(void);
void sq_k6_execution_class_ids(void);
void sq_k6_ws_classes(JSContext *ctx);
void sq_k6_websockets_classes(JSContext *ctx);
void sq_k6_http_classes(JSContext *ctx);
void sq_k6_metrics_classes(JSContext *ctx);
void sq_k6_crypto_classes(JSContext *ctx);
void sq_k6_data_classes(JSContext *ctx);
void sq_k6_execution_classes(JSContext *ctx);
/* The global `crypto` (k6_crypto.c). */
void sq_k6_crypto_global(JSContext *ctx, JSValueConst global);

/* Bytes of a "binary-ish" argument (MOD-4): a string's UTF-8, an ArrayBuffer, or a typed array over
 * bytes. They are borrowed until sq_js_input_deinit, and until the script runs. -1: an exception is
 * pending, nothing to free. (k6_encoding.c) */
struct sq_js_input {
    const uint8_t *data;
    size_t len;
    const char *text;
};
int sq_js_input_init(JSContext *ctx, JSValueConst value, struct sq_js_input *in);
void sq_js_input_deinit(JSContext *ctx, struct sq_js_input *in);

enum sq_base64 { SQ_BASE64_URL = 1, SQ_BASE64_RAW = 2 }; /* bits; raw: without padding */
/* A string. */
JSValue sq_k6_base64(JSContext *ctx, const uint8_t *data, size_t len, unsigned variant);

/* Freezes a value that JSON.parse just made and all in it. Consumes and returns it, or
 * JS_EXCEPTION. (k6_data.c) */
JSValue sq_js_deep_freeze(JSContext *ctx, JSValue value);
/* Frees a list of shared arrays, when no realm is left. */
void sq_js_shared_free(struct sq_js_shared_array *array);

/* The jar behind an http.CookieJar, NULL for other values (k6_http.c). */
struct sq_cookie_jar *sq_k6_http_jar(JSValueConst value);
/* Cookie header for a ws URL, appended to *out; nothing when no cookie matches or the URL is bad.
 */
void sq_k6_http_cookie_header(struct sq_cookie_jar *jar, const char *url, struct sq_buf *out);
void sq_k6_http_store_cookie(struct sq_cookie_jar *jar, const char *url, const char *set_cookie);
/* Connections and settings that k6/http keeps for the VU; with the VU's end. */
void sq_k6_http_vu_close(struct sq_js_instance *self);
/* The VU's own jar, made when first asked for. */
struct sq_cookie_jar *sq_k6_http_vu_jar(struct sq_js_instance *self);

/* True for objects whose console form is their string form (error events of k6/ws). */
bool sq_k6_ws_is_error(JSValueConst value);
