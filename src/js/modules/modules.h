/* SPDX-License-Identifier: Apache-2.0 */
/* What each file of this folder gives to the table in modules.c. */
#pragma once
#include "js/instance.h"

extern const struct sq_js_builtin sq_k6;
extern const struct sq_js_builtin sq_k6_crypto;
extern const struct sq_js_builtin sq_k6_data;
extern const struct sq_js_builtin sq_k6_encoding;
extern const struct sq_js_builtin sq_k6_execution;
extern const struct sq_js_builtin sq_k6_html;
extern const struct sq_js_builtin sq_k6_http;
extern const struct sq_js_builtin sq_k6_metrics;
extern const struct sq_js_builtin sq_k6_secrets;
extern const struct sq_js_builtin sq_k6_timers;
extern const struct sq_js_builtin sq_k6_ws;
extern const struct sq_js_builtin sq_k6_websockets;
extern const struct sq_js_builtin sq_k6_experimental_csv;
extern const struct sq_js_builtin sq_k6_experimental_fs;
extern const struct sq_js_builtin sq_k6_experimental_streams;
extern const struct sq_js_builtin sq_k6_experimental_websockets;

/* Class ids are process-wide: taken once, by the main thread, before any worker starts. */
void sq_k6_ws_class_ids(void);
void sq_k6_websockets_class_ids(void);
void sq_k6_http_class_ids(void);
void sq_k6_metrics_class_ids(void);
void sq_k6_crypto_class_ids(void);
void sq_k6_data_class_ids(void);
void sq_k6_execution_class_ids(void);
void sq_web_crypto_class_ids(void);
void sq_k6_html_class_ids(void);
void sq_k6_fs_class_ids(void);
void sq_k6_csv_class_ids(void);
void sq_web_crypto_classes(JSContext *ctx);
void sq_k6_html_classes(JSContext *ctx);
void sq_k6_fs_classes(JSContext *ctx);
void sq_k6_csv_classes(JSContext *ctx);
void sq_k6_ws_classes(JSContext *ctx);
void sq_k6_websockets_classes(JSContext *ctx);
void sq_k6_http_classes(JSContext *ctx);
void sq_k6_metrics_classes(JSContext *ctx);
void sq_k6_crypto_classes(JSContext *ctx);
void sq_k6_data_classes(JSContext *ctx);
void sq_k6_execution_classes(JSContext *ctx);
/* The standard profile's globals, the classes of k6/websockets: made for a realm, then given to
 * each of its VUs as own properties, which interface objects are (k6_websockets.c). */
void sq_k6_websockets_prepare(JSContext *ctx);
void sq_k6_websockets_globals(JSContext *ctx, JSValueConst global);
/* The global `crypto` (k6_crypto.c). */
void sq_k6_crypto_global(JSContext *ctx, JSValueConst global);
/* Its member `subtle` (web_crypto.c). */
void sq_web_crypto_subtle(JSContext *ctx, JSValueConst crypto);

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

/* The Selection of a document's root; with a selector that is not undefined, what it finds there.
 * (k6_html.c) */
JSValue sq_k6_html_parse(JSContext *ctx, const char *text, size_t len, JSValueConst selector);

/* What an open File of k6/experimental/fs holds, borrowed until the test's end. False for other
 * values. (k6_experimental_fs.c) */
bool sq_k6_fs_file(JSValueConst value, const char **path, struct sq_slice *bytes);

/* A promise that a task settles soon: with the value (taken over), or with the pending exception
 * for JS_EXCEPTION. On the VU's fiber. (settled.c) */
JSValue sq_js_settled(JSContext *ctx, JSValue value);

/* Reads what --secret-source names, once; by the main thread before the script is loaded.
 * (k6_secrets.c) */
int sq_js_secrets_open(struct sq_js_bundle *bundle, struct sq_error *err);
void sq_js_secrets_free(struct sq_js_secrets *secrets);

/* application/x-www-form-urlencoded. (k6_http_params.c) */
void sq_js_put_form_text(struct sq_buf *out, const char *text, size_t len);

enum sq_base64 { SQ_BASE64_URL = 1, SQ_BASE64_RAW = 2 }; /* bits; raw: without padding */
/* A string. */
JSValue sq_k6_base64(JSContext *ctx, const uint8_t *data, size_t len, unsigned variant);

/* Freezes a value that JSON.parse just made and all in it. Consumes and returns it, or
 * JS_EXCEPTION. (k6_data.c) */
JSValue sq_js_deep_freeze(JSContext *ctx, JSValue value);
/* The SharedArray of that name, undefined when nobody made it. */
JSValue sq_js_shared_array(JSContext *ctx, const char *name);
/* JSON texts of all elements, each with its NUL, one behind the other. */
struct sq_js_shared_text {
    struct sq_buf json;
    size_t *starts; /* of each element; owned */
    uint32_t count;
};
/* A SharedArray that native code filled; consumes the text. */
JSValue sq_js_shared_array_new(JSContext *ctx, const char *name, struct sq_js_shared_text *text);
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

/* What console shows of an event, a WebSocket or a Blob of k6/websockets, whose fields are no
 * properties of their own: a plain object with them. Undefined for other values and when the script
 * broke the class. (k6_websockets.c) */
JSValue sq_dom_shown(JSContext *ctx, JSValueConst value);

/* True for objects whose console form is their string form (error events of k6/ws). */
bool sq_k6_ws_is_error(JSValueConst value);
