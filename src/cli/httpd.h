/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP/1.1 server on a loop, for the REST API: few connections, one request at a time on
 * each, bodies with a Content-Length, everything bounded. The loop's thread only. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "loop/loop.h"

enum {
    SQ_HTTPD_BODY_MAX = 16 * 1024 * 1024, /* bytes of a request's body */
    SQ_HTTPD_CONNECTIONS_MAX = 64,
};

struct sq_httpd_request {         /* borrowed during the handler's call */
    struct sq_slice method, path; /* path without the query */
    struct sq_slice body;
};

/* One request that waits for its answer. */
struct sq_httpd_exchange;
typedef void (*sq_httpd_handler)(void *user, struct sq_httpd_exchange *exchange,
                                 const struct sq_httpd_request *request);

/* Listens on "host:port", ":port" or "[v6]:port" (port 0: any that is free). SQ_EINVALID or -errno
 * with words. */
struct sq_httpd;
SQ_MUST_USE int sq_httpd_start(struct sq_loop *loop, const char *address, sq_httpd_handler handler,
                               void *user, struct sq_httpd **out, struct sq_error *err);
/* Closes everything; exchanges without an answer are gone too. NULL is fine. */
void sq_httpd_free(struct sq_httpd *httpd);
uint16_t sq_httpd_port(const struct sq_httpd *httpd);

/* Exactly once for each exchange, inside the handler or later; the body is copied. */
void sq_httpd_answer(struct sq_httpd_exchange *exchange, int status, const char *type,
                     struct sq_slice body);
