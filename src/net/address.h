/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses and the options that speak of them: hosts, blockHostnames, blacklistIPs, localIPs
 * (NT-1, NT-2, NT-4). Pure: no I/O but interface names of zone ids. Any thread. */
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/error.h"
#include "net/net.h"

union sq_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

enum { SQ_ADDRESS_TEXT_BYTES = 64 }; /* address with zone, or with brackets and port */

/* An IP literal without brackets or port; v6 may carry a zone ("fe80::1%lo", also "%25lo"). Sets
 * port 0. False: not a literal. */
bool sq_address_parse(struct sq_slice text, union sq_address *out);
/* "ip", "ip:port", "[v6]", "[v6]:port"; *port is 0 when none was written. */
bool sq_address_parse_port(struct sq_slice text, union sq_address *out, uint16_t *port);
void sq_address_set_port(union sq_address *a, uint16_t port);
uint16_t sq_address_port(const union sq_address *a);
socklen_t sq_address_len(const union sq_address *a);
bool sq_address_loopback(const union sq_address *a);
bool sq_address_same_ip(const union sq_address *a, const union sq_address *b);
/* "127.0.0.1", "::1", "fe80::1%lo". */
void sq_address_format_ip(const union sq_address *a, char out[SQ_ADDRESS_TEXT_BYTES]);
/* "127.0.0.1:80", "[::1]:80". */
void sq_address_format(const union sq_address *a, char out[SQ_ADDRESS_TEXT_BYTES]);

struct sq_address_range { /* a CIDR */
    unsigned __int128 first, last;
    int family;
    uint8_t prefix_bits;
};
/* "10.0.0.0/8", "fd00::/8"; host bits are cleared. False: not a CIDR. */
bool sq_address_range_parse(struct sq_slice text, struct sq_address_range *out);
/* A v4-mapped v6 address counts as its v4 address. */
bool sq_address_range_has(const struct sq_address_range *range, const union sq_address *a);
void sq_address_range_format(const struct sq_address_range *range, char out[SQ_ADDRESS_TEXT_BYTES]);

/* A list member with an optional leading '*': the rest must be a suffix. Without case. */
bool sq_host_pattern_matches(const char *pattern, struct sq_slice host);

struct sq_address_policy {
    const struct sq_net_options *options; /* borrowed */
    struct sq_address_range *blacklist;   /* owned; as long as options->blacklist_ips */
};
SQ_MUST_USE int sq_address_policy_init(struct sq_address_policy *p, const struct sq_net_options *o,
                                       struct sq_error *err);
void sq_address_policy_deinit(struct sq_address_policy *p);
/* The pattern of blockHostnames that forbids `host`, or NULL. Literals are never blocked. */
const char *sq_address_policy_blocked_by(const struct sq_address_policy *p, struct sq_slice host);
/* The range of blacklistIPs that forbids the address, or NULL. */
const struct sq_address_range *sq_address_policy_blacklisted_by(const struct sq_address_policy *p,
                                                                const union sq_address *a);
/* The `hosts` row for host:port: a row with a port beats one without, an exact name a wildcard, a
 * long wildcard a short one. True: *out is set, its port included. */
bool sq_address_policy_host(const struct sq_address_policy *p, struct sq_slice host, uint16_t port,
                            union sq_address *out);

/* Source addresses: never expanded, so a /64 costs as much as one address. */
struct sq_address_pool {
    struct sq_address_range *ranges; /* owned */
    size_t count;
    uint64_t total; /* addresses in all ranges, at most UINT64_MAX */
};
/* NULL and "" make an empty pool. */
SQ_MUST_USE int sq_address_pool_init(struct sq_address_pool *pool, const char *text,
                                     struct sq_error *err);
void sq_address_pool_deinit(struct sq_address_pool *pool);
/* pool[(vu_id - 1) mod total], port 0. False: the pool is empty. */
bool sq_address_pool_pick(const struct sq_address_pool *pool, uint32_t vu_id,
                          union sq_address *out);
