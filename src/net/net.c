/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include <stdlib.h>

#include "net/dns.h"
#include "net/http.h"
#include "net/net_private.h"
#include "net/tls.h"

int sq_net_new(struct sq_loop *loop, const struct sq_net_options *options, struct sq_net **out,
               struct sq_error *err)
{
    struct sq_net *net = sq_xcalloc(1, sizeof *net);
    int rc;

    *out = NULL;
    net->loop = loop;
    net->options = *options;
    sq_list_init(&net->lingering);
    rc = sq_address_policy_init(&net->policy, &net->options, err);
    if (rc < 0)
        goto out;
    rc = sq_address_pool_init(&net->pool, options->local_ips, err);
    if (rc < 0)
        goto out;
    sq_proxy_choice_init(&net->proxies, &net->options);
    *out = net; /* ownership moves to the caller */
    net = NULL;
    rc = 0;
out:
    sq_net_free(net);
    return rc;
}

void sq_net_free(struct sq_net *net)
{
    if (!net)
        return;
    if (net->on_free)
        net->on_free(net->slot);
    sq_http_free(net->http);
    sq_dns_free(net->dns);
    sq_tls_free(net->tls);
    sq_proxy_choice_deinit(&net->proxies);
    sq_address_pool_deinit(&net->pool);
    sq_address_policy_deinit(&net->policy);
    free(net);
}

struct sq_loop *sq_net_loop(const struct sq_net *net)
{
    return net->loop;
}

size_t sq_net_lingering(const struct sq_net *net)
{
    size_t count = 0;

    for (const struct sq_list *node = net->lingering.next; node != &net->lingering;
         node = node->next)
        count++;
    return count;
}

void **sq_net_slot(struct sq_net *net)
{
    return &net->slot;
}

void sq_net_on_free(struct sq_net *net, void (*fn)(void *slot))
{
    net->on_free = fn;
}

struct sq_list *sq_net_linger_list(struct sq_net *net)
{
    return &net->lingering;
}

int sq_net_dns(struct sq_net *net, struct sq_dns **out, struct sq_error *err)
{
    int rc = 0;

    if (!net->dns)
        rc = sq_dns_new(net->loop, &net->options, &net->dns, err);
    *out = net->dns;
    return rc;
}

int sq_net_tls(struct sq_net *net, struct sq_tls **out, struct sq_error *err)
{
    int rc = 0;

    if (!net->tls)
        rc = sq_tls_new(&net->options, &net->tls, err);
    *out = net->tls;
    return rc;
}
