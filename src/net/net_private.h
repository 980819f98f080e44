/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/net share about struct sq_net. Not for other layers. */
#pragma once
#include "base/list.h"
#include "net/address.h"
#include "net/net.h"
#include "net/proxy.h"

struct sq_dns;
struct sq_http;
struct sq_tls;

struct sq_net {
    struct sq_loop *loop;
    struct sq_net_options options; /* its strings are the caller's */
    struct sq_address_policy policy;
    struct sq_address_pool pool;
    struct sq_proxy_choice proxies;
    struct sq_dns *dns;   /* NULL until a name has to be resolved */
    struct sq_tls *tls;   /* NULL until the first secure connection */
    struct sq_http *http; /* NULL until the first HTTP request */
    void *slot;
    void (*on_free)(void *slot);
    struct sq_list lingering;
};

/* Never NULL after success; made on first use. */
SQ_MUST_USE int sq_net_dns(struct sq_net *net, struct sq_dns **out, struct sq_error *err);
SQ_MUST_USE int sq_net_tls(struct sq_net *net, struct sq_tls **out, struct sq_error *err);
