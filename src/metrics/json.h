/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON with the caller's order of keys: compact, or indented as JSON.stringify does. The
 * caller keeps objects and arrays balanced. One thread. */
#pragma once
#include "base/buf.h"

struct sq_json {
    struct sq_buf *to;  /* borrowed */
    const char *indent; /* NULL: compact */
    int depth;
    bool filled;    /* something stands in the current object or array */
    bool after_key; /* the next value stands behind a key */
};

void sq_json_init(struct sq_json *json, struct sq_buf *to, const char *indent);
void sq_json_object(struct sq_json *json);
void sq_json_object_end(struct sq_json *json);
void sq_json_array(struct sq_json *json);
void sq_json_array_end(struct sq_json *json);
void sq_json_key(struct sq_json *json, const char *key);
void sq_json_key_slice(struct sq_json *json, struct sq_slice key);
void sq_json_text(struct sq_json *json, const char *text);
void sq_json_slice(struct sq_json *json, struct sq_slice text);
/* Shortest round-trip form; what is not finite becomes null. */
void sq_json_number(struct sq_json *json, double value);
void sq_json_bool(struct sq_json *json, bool value);
void sq_json_null(struct sq_json *json);
/* A value that is JSON already. */
void sq_json_raw(struct sq_json *json, const char *text);

/* One quoted string. `<`, `>` and `&` stay as they are, bytes that are not UTF-8 become U+FFFD,
 * U+2028 and U+2029 are escaped. */
void sq_json_put_string(struct sq_buf *to, struct sq_slice text);
void sq_json_put_number(struct sq_buf *to, double value);
