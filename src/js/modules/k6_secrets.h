/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of k6/secrets share. */
#pragma once
#include <pthread.h>

#include "js/modules/modules.h"
#include "net/http.h"

struct secret {
    char *key, *value;
};

/* A source that asks a server. Immutable once the script is loaded. All owned. */
struct secret_server {
    char *url_template; /* {key} stands for the name, percent-encoded */
    char *method;
    char *response_path; /* a path as in Response.json(); NULL: the whole body */
    struct sq_http_header *headers;
    size_t headers_count;
    int64_t timeout_ns, backoff_ns, retries_max;
};

struct secret_source {
    char *name;
    bool is_default;
    struct secret *items; /* of a server: what it has told; then under the lock */
    size_t count;
    struct secret_server *server; /* NULL: all is in items */
};

struct sq_js_secrets {
    struct secret_source *sources;
    size_t count;
    pthread_mutex_t lock;
};

/* ---- k6_secrets_url.c ---- */
struct secret_server *secret_server_new(void);
void secret_server_free(struct secret_server *s); /* NULL is fine */
/* One item of --secret-source url=..., without the kind. 0 or SQ_EINVALID with words. */
SQ_MUST_USE int secret_server_set(struct secret_server *s, struct sq_slice item,
                                  struct sq_error *err);
/* K6_SECRET_SOURCE_URL_*, for what the items did not say. */
SQ_MUST_USE int secret_server_finish(struct secret_server *s, struct sq_error *err);
/* Asks the server, while the VU's fiber waits. Owned: free. NULL: an exception is pending. */
char *secret_server_get(JSContext *ctx, const struct secret_server *s, const char *key);
