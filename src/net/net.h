/* SPDX-License-Identifier: Apache-2.0 */
/* What one thread needs to reach servers: resolver, TLS contexts, proxies, address policy. */
#pragma once
#include "base/base.h"
#include "base/error.h"
#include "base/list.h"
#include "loop/loop.h"

enum sq_dns_select { SQ_DNS_RANDOM, SQ_DNS_FIRST, SQ_DNS_ROUND_ROBIN };
enum sq_dns_policy {
    SQ_DNS_PREFER_IPV4,
    SQ_DNS_PREFER_IPV6,
    SQ_DNS_ONLY_IPV4,
    SQ_DNS_ONLY_IPV6,
    SQ_DNS_ANY,
};

struct sq_net_host {     /* a row of the `hosts` option */
    const char *pattern; /* host, host:port, *.suffix, *.suffix:port; matched without case */
    const char *target;  /* ip or ip:port ([v6]:port) */
};

struct sq_net_client_cert { /* a row of `tlsAuth` */
    const char *cert_pem, *key_pem;
    const char *password;       /* NULL: none */
    const char *const *domains; /* NULL-terminated; NULL: every host */
};

/* All strings are borrowed for the life of every sq_net made from it. */
struct sq_net_options {
    int64_t dns_ttl_ns; /* k6's default 5 min; INT64_MAX: for ever; 0: ask each time */
    enum sq_dns_select dns_select;
    enum sq_dns_policy dns_policy;
    const struct sq_net_host *hosts;
    size_t hosts_count;
    const char *const *blacklist_ips; /* CIDRs */
    size_t blacklist_ips_count;
    const char *const *block_hostnames; /* leading * wildcard */
    size_t block_hostnames_count;
    const char *local_ips; /* the --local-ips text: addresses, a-b ranges, CIDRs; NULL: none */
    bool happy_eyeballs;
    bool insecure_skip_tls_verify;
    int tls_version_min, tls_version_max; /* TLS1_2_VERSION and the like; 0: library default */
    const char *const *tls_cipher_suites; /* IANA names */
    size_t tls_cipher_suites_count;
    const struct sq_net_client_cert *tls_auth;
    size_t tls_auth_count;
    bool tls_session_cache;
    const char *tls_keylog_file; /* SSLKEYLOGFILE; NULL: none */
    /* Proxies as in the environment; NULL: none. */
    const char *http_proxy, *https_proxy, *no_proxy;
    /* Name servers "ip[:port],..." in place of the system's; NULL: the system's. For tests. */
    const char *dns_servers;
    /* PEM bundle in place of the system's roots; NULL: the system's. For tests. */
    const char *tls_roots_file;
};

/* k6's defaults; proxies and key log from the process's environment (NT-7). */
void sq_net_options_default(struct sq_net_options *options);
/* Checks what can be checked without a network: addresses, CIDRs, cipher names, PEM. */
SQ_MUST_USE int sq_net_options_check(const struct sq_net_options *options, struct sq_error *err);

struct sq_net;
/* Loop's thread from now on. Resolver and TLS contexts are made when first needed. */
SQ_MUST_USE int sq_net_new(struct sq_loop *loop, const struct sq_net_options *options,
                           struct sq_net **out, struct sq_error *err);
/* All connections must be freed or released and sq_net_lingering be 0 (or they are cut). */
void sq_net_free(struct sq_net *net);
struct sq_loop *sq_net_loop(const struct sq_net *net);
/* Connections that were released and still wait for their peer's Close or FIN. */
size_t sq_net_lingering(const struct sq_net *net);

/* Wire bytes of a VU's connections: the owner (a VU) outlives the connections or detaches them. */
struct sq_net_counters {
    uint64_t sent_bytes, received_bytes;
};

/* ---- for ws_conn, which keeps per-thread state of its own here ---- */
/* One pointer, NULL at first. */
void **sq_net_slot(struct sq_net *net);
/* sq_net_free calls `fn` with the pointer first of all, while everything else still works. */
void sq_net_on_free(struct sq_net *net, void (*fn)(void *slot));
/* Head of the list that sq_net_lingering counts (by walking it: for waiting, ask sq_list_empty). */
struct sq_list *sq_net_linger_list(struct sq_net *net);
