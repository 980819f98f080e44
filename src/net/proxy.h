/* SPDX-License-Identifier: Apache-2.0 */
/* Which proxy a connection takes (NT-7, WS-31), and the words spoken with it: HTTP CONNECT (NT-8)
 * and SOCKS5 (RFC 1928, RFC 1929; NT-9). Pure: no I/O. */
#pragma once
#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "net/net.h"

enum sq_proxy_kind { SQ_PROXY_HTTP, SQ_PROXY_HTTPS, SQ_PROXY_SOCKS5 };

struct sq_proxy {
    enum sq_proxy_kind kind;
    char *host; /* owned; without brackets */
    uint16_t port;
    char *user, *password; /* owned, percent-decoded; NULL: none */
};

struct sq_proxy_choice {
    struct sq_proxy *plain, *secure;  /* owned; for ws and for wss; NULL: none */
    char *plain_error, *secure_error; /* owned: a proxy is named that cannot be used, and why */
    const char *no_proxy;             /* borrowed; may be NULL */
};

/* Never fails: an unusable proxy fails the connections that would take it (WS-31). */
void sq_proxy_choice_init(struct sq_proxy_choice *choice, const struct sq_net_options *options);
void sq_proxy_choice_deinit(struct sq_proxy_choice *choice);
/* 0 and *out (NULL: go direct), or SQ_EPROXY with *text saying why (borrowed). */
SQ_MUST_USE int sq_proxy_choose(const struct sq_proxy_choice *choice, bool secure,
                                struct sq_slice host, uint16_t port, const struct sq_proxy **out,
                                const char **text);
/* NO_PROXY's rules alone: true when host:port is to be reached directly. */
bool sq_proxy_excluded(const char *no_proxy, struct sq_slice host, uint16_t port);

enum sq_proxy_step {
    SQ_PROXY_MORE = 0, /* send what is in `out`, then feed what comes */
    SQ_PROXY_DONE = 1, /* the tunnel stands; `in` holds bytes that already belong to it */
};

/* One dialogue with a proxy. */
struct sq_proxy_talk {
    const struct sq_proxy *proxy; /* borrowed */
    char *host;                   /* owned: the target, ASCII */
    uint16_t port;
    int state;
    struct sq_buf out; /* to be sent; the sender consumes it */
    struct sq_buf in;
    char *text; /* owned: why it failed */
};
/* 0, or SQ_EPROXY (SOCKS5 cannot carry names or passwords above 255 bytes). */
SQ_MUST_USE int sq_proxy_talk_init(struct sq_proxy_talk *talk, const struct sq_proxy *proxy,
                                   struct sq_slice host, uint16_t port);
/* An sq_proxy_step, or SQ_EPROXY with talk->text. */
SQ_MUST_USE int sq_proxy_talk_feed(struct sq_proxy_talk *talk, const void *data, size_t len);
void sq_proxy_talk_deinit(struct sq_proxy_talk *talk);
