/* SPDX-License-Identifier: Apache-2.0 */
/* From consolidated options to what the net layer takes. Values were checked by the option table.
 */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "cli/cli.h"

static int tls_version(const char *name)
{
    static const struct {
        const char *name;
        int version;
    } versions[] = {{"ssl3.0", SSL3_VERSION},
                    {"tls1.0", TLS1_VERSION},
                    {"tls1.1", TLS1_1_VERSION},
                    {"tls1.2", TLS1_2_VERSION},
                    {"tls1.3", TLS1_3_VERSION}};

    for (size_t i = 0; name && i < SQ_COUNT(versions); i++)
        if (strcmp(versions[i].name, name) == 0)
            return versions[i].version;
    return 0;
}

static void set_dns(const struct sq_config *config, struct sq_net_options *out)
{
    int64_t ttl;

    if (config->dns_ttl && strcmp(config->dns_ttl, "inf") == 0)
        out->dns_ttl_ns = INT64_MAX;
    else if (config->dns_ttl && sq_duration_parse(config->dns_ttl, SQ_DURATION_OPTION, &ttl) == 0)
        out->dns_ttl_ns = ttl;
    if (config->dns_select)
        out->dns_select = strcmp(config->dns_select, "first") == 0        ? SQ_DNS_FIRST
                          : strcmp(config->dns_select, "roundRobin") == 0 ? SQ_DNS_ROUND_ROBIN
                                                                          : SQ_DNS_RANDOM;
    if (config->dns_policy)
        out->dns_policy = strcmp(config->dns_policy, "preferIPv6") == 0 ? SQ_DNS_PREFER_IPV6
                          : strcmp(config->dns_policy, "onlyIPv4") == 0 ? SQ_DNS_ONLY_IPV4
                          : strcmp(config->dns_policy, "onlyIPv6") == 0 ? SQ_DNS_ONLY_IPV6
                          : strcmp(config->dns_policy, "any") == 0      ? SQ_DNS_ANY
                                                                        : SQ_DNS_PREFER_IPV4;
}

static void set_tls(const struct sq_config *config, struct sq_net_options *out)
{
    out->insecure_skip_tls_verify = config->insecure_skip_tls_verify;
    out->tls_version_min = tls_version(config->tls_version_min);
    out->tls_version_max = tls_version(config->tls_version_max);
    out->tls_cipher_suites = (const char *const *)config->tls_cipher_suites.items;
    out->tls_cipher_suites_count = config->tls_cipher_suites.count;
    if (config->tls_auth_count == 0)
        return;
    struct sq_net_client_cert *certs = sq_xcalloc(config->tls_auth_count, sizeof *certs);
    for (size_t i = 0; i < config->tls_auth_count; i++) {
        const struct sq_client_cert_source *from = &config->tls_auth[i];
        certs[i] = (struct sq_net_client_cert){from->cert, from->key, from->password,
                                               (const char *const *)from->domains};
    }
    out->tls_auth = certs;
    out->tls_auth_count = config->tls_auth_count;
}

int sq_cli_net_options(const struct sq_config *config, struct sq_net_options *out,
                       struct sq_error *err)
{
    sq_net_options_default(out);
    set_dns(config, out);
    set_tls(config, out);
    if (config->hosts.count) {
        struct sq_net_host *hosts = sq_xcalloc(config->hosts.count, sizeof *hosts);
        for (size_t i = 0; i < config->hosts.count; i++)
            hosts[i] =
                (struct sq_net_host){config->hosts.items[i].key, config->hosts.items[i].value};
        out->hosts = hosts;
        out->hosts_count = config->hosts.count;
    }
    out->blacklist_ips = (const char *const *)config->blacklist_ips.items;
    out->blacklist_ips_count = config->blacklist_ips.count;
    out->block_hostnames = (const char *const *)config->block_hostnames.items;
    out->block_hostnames_count = config->block_hostnames.count;
    out->local_ips = config->local_ips;
    return sq_net_options_check(out, err);
}

void sq_cli_net_options_deinit(struct sq_net_options *options)
{
    free((void *)options->hosts);
    free((void *)options->tls_auth);
}
