/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/test.h"
#include "net/net.h"
#include "net/net_kit.h"

static const char *const names[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY",    "https_proxy",
                                    "NO_PROXY",   "no_proxy",   "REQUEST_METHOD", "SSLKEYLOGFILE"};

static const char *text_of(const char *value)
{
    return value ? value : "-";
}

SQ_TEST(net_options_from_the_environment)
{
    static const struct {
        const char *set[4]; /* "NAME=value" */
        const char *http, *https, *no, *keylog;
    } cases[] = {
        {{NULL}, "-", "-", "-", "-"},
        {{"HTTP_PROXY=u", "http_proxy=l"}, "u", "-", "-", "-"},
        {{"http_proxy=l"}, "l", "-", "-", "-"},
        {{"HTTP_PROXY=", "http_proxy=l"}, "l", "-", "-", "-"},
        {{"HTTP_PROXY=u", "REQUEST_METHOD=GET"}, "-", "-", "-", "-"},
        {{"HTTP_PROXY=u", "http_proxy=l", "REQUEST_METHOD=GET"}, "l", "-", "-", "-"},
        {{"HTTPS_PROXY=u", "REQUEST_METHOD=GET"}, "-", "u", "-", "-"},
        {{"https_proxy=l", "no_proxy=n", "SSLKEYLOGFILE=k"}, "-", "l", "n", "k"},
        {{"NO_PROXY=N", "no_proxy=n", "SSLKEYLOGFILE="}, "-", "-", "N", "-"},
    };
    char *saved[SQ_COUNT(names)];

    for (size_t i = 0; i < SQ_COUNT(names); i++)
        saved[i] = getenv(names[i]) ? sq_xstrdup(getenv(names[i])) : NULL;
    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        struct sq_net_options o;
        for (size_t i = 0; i < SQ_COUNT(names); i++)
            unsetenv(names[i]);
        for (size_t i = 0; i < 4 && cases[c].set[i]; i++) {
            char *name = sq_xstrdup(cases[c].set[i]), *value = strchr(name, '=');
            *value++ = 0;
            setenv(name, value, 1);
            free(name);
        }
        sq_net_options_default(&o);
        SQ_CHECK_STR(text_of(o.http_proxy), cases[c].http);
        SQ_CHECK_STR(text_of(o.https_proxy), cases[c].https);
        SQ_CHECK_STR(text_of(o.no_proxy), cases[c].no);
        SQ_CHECK_STR(text_of(o.tls_keylog_file), cases[c].keylog);
        SQ_CHECK_EQ(o.dns_ttl_ns, 300 * SQ_NS_PER_S);
        SQ_CHECK_EQ(o.dns_policy, SQ_DNS_PREFER_IPV4);
        SQ_CHECK_EQ(o.dns_select, SQ_DNS_RANDOM);
    }
    for (size_t i = 0; i < SQ_COUNT(names); i++) {
        unsetenv(names[i]);
        if (saved[i])
            setenv(names[i], saved[i], 1);
        free(saved[i]);
    }
}

static void count_call(void *slot)
{
    ++*(int *)slot;
}

SQ_TEST(net_slot_and_linger_list)
{
    struct sq_list a, b;
    struct kit kit;
    int freed = 0;

    kit_init(&kit);
    kit_open(&kit);
    SQ_CHECK(sq_net_loop(kit.net) == kit.loop);
    SQ_CHECK(*sq_net_slot(kit.net) == NULL);
    *sq_net_slot(kit.net) = &freed;
    sq_net_on_free(kit.net, count_call);
    SQ_CHECK_EQ(sq_net_lingering(kit.net), 0);
    sq_list_append(sq_net_linger_list(kit.net), &a);
    sq_list_append(sq_net_linger_list(kit.net), &b);
    SQ_CHECK_EQ(sq_net_lingering(kit.net), 2);
    sq_list_remove(&a);
    sq_list_remove(&b);
    SQ_CHECK_EQ(sq_net_lingering(kit.net), 0);
    kit_close(&kit);
    SQ_CHECK_EQ(freed, 1);
}

SQ_TEST(net_refuses_bad_options)
{
    struct sq_loop *loop;
    struct sq_net *net;
    struct sq_net_options o;
    struct sq_error err = {0};

    sq_net_options_default(&o);
    o.local_ips = "10.0.0.300";
    SQ_CHECK_EQ(sq_loop_new(&loop, &err), 0);
    SQ_CHECK_EQ(sq_net_new(loop, &o, &net, &err), SQ_EINVALID);
    SQ_CHECK(net == NULL);
    SQ_CHECK_STR(err.text, "local IPs: '10.0.0.300' is not an address, a range a-b or a CIDR");
    sq_loop_free(loop);
    sq_net_free(NULL);
}
