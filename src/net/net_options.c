/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "net/address.h"
#include "net/net.h"
#include "net/tls.h"

static const char *environment(const char *upper, const char *lower)
{
    const char *value = getenv(upper);

    if (!value || !*value)
        value = getenv(lower);
    return value && *value ? value : NULL;
}

void sq_net_options_default(struct sq_net_options *options)
{
    /* In a CGI process HTTP_PROXY is what a client's "Proxy:" header said (NT-7). */
    bool cgi = getenv("REQUEST_METHOD") != NULL;

    *options = (struct sq_net_options){
        .dns_ttl_ns = 5 * 60 * SQ_NS_PER_S,
        .dns_select = SQ_DNS_RANDOM,
        .dns_policy = SQ_DNS_PREFER_IPV4,
        .http_proxy = environment(cgi ? "http_proxy" : "HTTP_PROXY", "http_proxy"),
        .https_proxy = environment("HTTPS_PROXY", "https_proxy"),
        .no_proxy = environment("NO_PROXY", "no_proxy"),
    };
    const char *keylog = getenv("SSLKEYLOGFILE");
    options->tls_keylog_file = keylog && *keylog ? keylog : NULL;
}

/* What k6 accepts: an optional "*" or "*." in front, no other star, no blanks. */
static bool pattern_is_sane(const char *pattern)
{
    if (!*pattern)
        return false;
    for (const char *p = pattern; *p; p++)
        if ((*p == '*' && p != pattern) || (unsigned char)*p <= ' ' || *p == '/')
            return false;
    return true;
}

int sq_net_options_check(const struct sq_net_options *options, struct sq_error *err)
{
    struct sq_address_policy policy;
    struct sq_address_pool pool;
    int rc;

    rc = sq_address_policy_init(&policy, options, err);
    if (rc < 0)
        return rc;
    sq_address_policy_deinit(&policy);
    rc = sq_address_pool_init(&pool, options->local_ips, err);
    if (rc < 0)
        return rc;
    sq_address_pool_deinit(&pool);
    for (size_t i = 0; i < options->hosts_count; i++)
        if (!pattern_is_sane(options->hosts[i].pattern))
            return sq_error_set(err, SQ_EINVALID,
                                "hosts: '%s' is not a host name with an optional leading '*.'",
                                options->hosts[i].pattern);
    for (size_t i = 0; i < options->block_hostnames_count; i++)
        if (!pattern_is_sane(options->block_hostnames[i]))
            return sq_error_set(err, SQ_EINVALID,
                                "blockHostnames: '%s' is not a host name with an optional "
                                "leading '*'",
                                options->block_hostnames[i]);
    return sq_tls_options_check(options, err);
}
