/* SPDX-License-Identifier: Apache-2.0 */
/* POST requests of an output, one after another on its thread, by libcurl. The library is loaded
 * when the first output asks for it: a run without one does not pay for it at start-up. */
#pragma once
#include "output/output.h"

struct sq_post_options { /* all texts are copied; NULL: none */
    const char *content_type;
    char *const *headers;        /* more of them, "Name: value", up to a NULL */
    const char *user, *password; /* basic authentication */
    const char *bearer;
    const char *sigv4; /* "aws:amz:REGION:SERVICE": user and password are its keys */
    const char *ca_path, *cert_path, *key_path; /* PEM */
    const char *proxy;
    bool insecure;      /* any certificate will do */
    int tls_min;        /* 10, 11, 12 or 13; 0: the library's */
    int64_t timeout_ns; /* for a whole request; 0: SQ_POST_TIMEOUT_MS */
};
enum { SQ_POST_TIMEOUT_MS = 5000, SQ_POST_REPLY_BYTES_MAX = 512 };

struct sq_post;
/* Main thread. Fails when libcurl is not there or an option is not possible: SQ_EINVALID. */
SQ_MUST_USE int sq_post_new(struct sq_output *output, const struct sq_post_options *options,
                            struct sq_post **out, struct sq_error *err);
void sq_post_free(struct sq_post *post);
/* 0 when the answer is 2xx, -EAGAIN when it says that the server cannot now (5xx, 429), SQ_EREFUSED
 * when it is another one, else what failed, always with words without credentials. Gives up, with
 * SQ_ECANCELLED, when the output is late. */
SQ_MUST_USE int sq_post_send(struct sq_post *post, const char *url, struct sq_slice body,
                             struct sq_error *why);

/* A list for sq_post_options.headers; starts zeroed. */
struct sq_post_headers {
    char **items; /* owned; NULL while empty, else up to a NULL */
    size_t count;
};
/* SQ_EINVALID: no header can look like that. */
SQ_MUST_USE int sq_post_headers_add(struct sq_post_headers *headers, struct sq_slice name,
                                    struct sq_slice value);
void sq_post_headers_deinit(struct sq_post_headers *headers);
