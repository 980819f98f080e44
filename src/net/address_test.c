/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include "base/test.h"

SQ_TEST(address_literals)
{
    static const struct {
        const char *text, *want; /* NULL: not a literal */
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"::1", "::1"},
        {"2001:DB8::0:1", "2001:db8::1"},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
        {"fe80::1%lo", "fe80::1%lo"},
        {"fe80::1%25lo", "fe80::1%lo"},
        {"fe80::1%1", "fe80::1%lo"},
        {"fe80::1%nosuchif", NULL},
        {"fe80::1%", NULL},
        {"127.0.0.1%lo", NULL},
        {"127.1", NULL},
        {"127.0.0.01x", NULL},
        {"1.2.3.4.5", NULL},
        {"localhost", NULL},
        {"", NULL},
        {"[::1]", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", NULL},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        union sq_address a;
        char text[SQ_ADDRESS_TEXT_BYTES];
        bool ok = sq_address_parse(sq_slice_str(cases[i].text), &a);
        SQ_CHECK_EQ(ok, cases[i].want != NULL, "%s", cases[i].text);
        if (ok && cases[i].want) {
            sq_address_format_ip(&a, text);
            SQ_CHECK_STR(text, cases[i].want);
        }
    }
}

SQ_TEST(address_with_ports)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"1.2.3.4", "1.2.3.4:0"},
        {"1.2.3.4:80", "1.2.3.4:80"},
        {"::1", "[::1]:0"},
        {"[::1]", "[::1]:0"},
        {"[::1]:8080", "[::1]:8080"},
        {"1.2.3.4:0", NULL},
        {"1.2.3.4:65536", NULL},
        {"1.2.3.4:", NULL},
        {"[::1]:x", NULL},
        {"[1.2.3.4]:1", NULL},
        {"[::1", NULL},
        {"h.test:80", NULL},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        union sq_address a;
        uint16_t port;
        char text[SQ_ADDRESS_TEXT_BYTES];
        bool ok = sq_address_parse_port(sq_slice_str(cases[i].text), &a, &port);
        SQ_CHECK_EQ(ok, cases[i].want != NULL, "%s", cases[i].text);
        if (ok && cases[i].want) {
            sq_address_format(&a, text);
            SQ_CHECK_STR(text, cases[i].want);
            SQ_CHECK_EQ(port, sq_address_port(&a));
        }
    }
}

SQ_TEST(address_ranges)
{
    static const struct {
        const char *range, *in, *out, *text; /* range NULL-out: not a CIDR */
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", "11.0.0.0", "10.0.0.0/8"},
        {"10.1.2.3/8", "10.0.0.0", "9.255.255.255", "10.0.0.0/8"},
        {"1.2.3.4/32", "1.2.3.4", "1.2.3.5", "1.2.3.4/32"},
        {"0.0.0.0/0", "255.255.255.255", "::1", "0.0.0.0/0"},
        {"0.0.0.0/0", "::ffff:1.2.3.4", "fe80::1", "0.0.0.0/0"},
        {"::/0", "fe80::1", "1.2.3.4", "::/0"},
        {"fd00::/8", "fdff::1", "fe00::", "fd00::/8"},
        {"2001:db8::/127", "2001:db8::1", "2001:db8::2", "2001:db8::/127"},
        {"::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1", "10.0.0.0/8"},
        {"10.0.0.0", NULL, NULL, NULL},
        {"10.0.0.0/33", NULL, NULL, NULL},
        {"10.0.0.0/", NULL, NULL, NULL},
        {"10.0.0.0/-1", NULL, NULL, NULL},
        {"::/129", NULL, NULL, NULL},
        {"::ffff:0.0.0.0/95", NULL, NULL, NULL},
        {"x/8", NULL, NULL, NULL},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_address_range range;
        union sq_address a;
        char text[SQ_ADDRESS_TEXT_BYTES];
        bool ok = sq_address_range_parse(sq_slice_str(cases[i].range), &range);
        SQ_CHECK_EQ(ok, cases[i].in != NULL, "%s", cases[i].range);
        if (!ok || !cases[i].in)
            continue;
        SQ_CHECK(sq_address_parse(sq_slice_str(cases[i].in), &a) &&
                     sq_address_range_has(&range, &a),
                 "%s has %s", cases[i].range, cases[i].in);
        SQ_CHECK(sq_address_parse(sq_slice_str(cases[i].out), &a) &&
                     !sq_address_range_has(&range, &a),
                 "%s has not %s", cases[i].range, cases[i].out);
        sq_address_range_format(&range, text);
        SQ_CHECK_STR(text, cases[i].text);
    }
}

SQ_TEST(address_hosts_precedence)
{
    static const struct sq_net_host rows[] = {
        {"*.test", "1.0.0.1"},          {"*.deep.test", "1.0.0.2"},
        {"exact.deep.test", "1.0.0.3"}, {"exact.deep.test:99", "1.0.0.4:7"},
        {"*.test:98", "1.0.0.5"},       {"10.9.9.9", "1.0.0.6"},
        {"v6.test", "[::1]:9"},         {"::2", "1.0.0.7"},
        {"[::2]:97", "1.0.0.8"},
    };
    static const struct {
        const char *host;
        uint16_t port;
        const char *want;
    } cases[] = {
        {"a.test", 1, "1.0.0.1:1"},
        {"test", 1, NULL},
        {"A.Deep.TEST", 1, "1.0.0.2:1"},
        {"exact.deep.test", 1, "1.0.0.3:1"},
        {"exact.deep.test", 99, "1.0.0.4:7"},
        {"exact.deep.test", 98, "1.0.0.5:98"}, /* a row with a port beats one without */
        {"10.9.9.9", 5, "1.0.0.6:5"},
        {"v6.test", 5, "[::1]:9"},
        {"::2", 5, "1.0.0.7:5"},
        {"::2", 97, "1.0.0.8:97"},
        {"other", 5, NULL},
    };
    struct sq_net_options o = {.hosts = rows, .hosts_count = SQ_COUNT(rows)};
    struct sq_address_policy policy;

    SQ_CHECK_EQ(sq_address_policy_init(&policy, &o, NULL), 0);
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        union sq_address a;
        char text[SQ_ADDRESS_TEXT_BYTES];
        bool ok = sq_address_policy_host(&policy, sq_slice_str(cases[i].host), cases[i].port, &a);
        SQ_CHECK_EQ(ok, cases[i].want != NULL, "%s", cases[i].host);
        if (ok && cases[i].want) {
            sq_address_format(&a, text);
            SQ_CHECK_STR(text, cases[i].want);
        }
    }
    sq_address_policy_deinit(&policy);
}

SQ_TEST(address_block_patterns)
{
    static const char *const patterns[] = {"a.test", "*.b.test", "*c.test"};
    static const struct {
        const char *host, *by;
    } cases[] = {
        {"A.test", "a.test"},  {"x.a.test", NULL},      {"x.b.test", "*.b.test"}, {"b.test", NULL},
        {"c.test", "*c.test"}, {"abc.test", "*c.test"}, {"10.0.0.1", NULL},       {"::1", NULL},
    };
    static const char *const all[] = {"*"};
    struct sq_net_options o = {.block_hostnames = patterns,
                               .block_hostnames_count = SQ_COUNT(patterns)};
    struct sq_address_policy policy;

    SQ_CHECK_EQ(sq_address_policy_init(&policy, &o, NULL), 0);
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        const char *by = sq_address_policy_blocked_by(&policy, sq_slice_str(cases[i].host));
        SQ_CHECK_STR(by ? by : "-", cases[i].by ? cases[i].by : "-");
    }
    o.block_hostnames = all;
    o.block_hostnames_count = 1;
    SQ_CHECK(sq_address_policy_blocked_by(&policy, sq_slice_str("any.test")) != NULL);
    SQ_CHECK(sq_address_policy_blocked_by(&policy, sq_slice_str("1.2.3.4")) == NULL, "a literal");
    sq_address_policy_deinit(&policy);
}

SQ_TEST(address_pool)
{
    static const struct {
        const char *text;
        uint64_t total;
        uint32_t vu;
        const char *want;
    } cases[] = {
        {"10.0.0.1", 1, 7, "10.0.0.1"},
        {"10.0.0.1-10.0.0.3", 3, 3, "10.0.0.3"},
        {"10.0.0.1-10.0.0.3", 3, 4, "10.0.0.1"},
        {"10.0.0.254-10.0.1.1", 4, 3, "10.0.1.0"},
        {"10.0.0.0/30", 2, 1, "10.0.0.1"}, /* without network and broadcast */
        {"10.0.0.0/30", 2, 2, "10.0.0.2"},
        {"10.0.0.0/31", 2, 1, "10.0.0.0"},
        {"10.0.0.5/32", 1, 1, "10.0.0.5"},
        {"10.0.0.1, 10.0.1.0/30 ,fd00::1-fd00::2", 5, 4, "fd00::1"},
        {"fd:1::0/120", 256, 1, "fd:1::"},
        {"fd:1::0/120", 256, 256, "fd:1::ff"},
        {"::/0", UINT64_MAX, 5, "::4"},
        {"fd00::/64,10.0.0.1", UINT64_MAX, 2, "fd00::1"},
        {"10.0.0.1", 1, 0, "10.0.0.1"},
    };
    static const char *const bad[] = {
        ",", "10.0.0.1,", "x", "10.0.0.3-10.0.0.1", "10.0.0.1-", "::1-10.0.0.1", "10.0.0.0/40"};
    struct sq_address_pool pool;
    union sq_address a;
    char text[SQ_ADDRESS_TEXT_BYTES];

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        SQ_CHECK_EQ(sq_address_pool_init(&pool, cases[i].text, NULL), 0, "%s", cases[i].text);
        SQ_CHECK(pool.total == cases[i].total, "%s", cases[i].text);
        SQ_CHECK(sq_address_pool_pick(&pool, cases[i].vu, &a));
        sq_address_format_ip(&a, text);
        SQ_CHECK_STR(text, cases[i].want);
        sq_address_pool_deinit(&pool);
    }
    for (size_t i = 0; i < SQ_COUNT(bad); i++) {
        struct sq_error err = {0};
        SQ_CHECK_EQ(sq_address_pool_init(&pool, bad[i], &err), SQ_EINVALID, "%s", bad[i]);
        SQ_CHECK(strstr(err.text, "local IPs: '"), "%s", err.text);
    }
    SQ_CHECK_EQ(sq_address_pool_init(&pool, NULL, NULL), 0);
    SQ_CHECK(!sq_address_pool_pick(&pool, 1, &a));
}

SQ_TEST(address_options_that_are_wrong)
{
    static const struct sq_net_host bad_target[] = {{"h", "example.test"}};
    static const struct sq_net_host bad_pattern[] = {{"a.*.b", "1.2.3.4"}};
    static const char *const not_cidr[] = {"10.0.0.1"};
    static const char *const bad_block[] = {"a*b"};
    const struct {
        struct sq_net_options o;
        const char *want;
    } cases[] = {
        {{.hosts = bad_target, .hosts_count = 1}, "hosts: 'h' maps to 'example.test'"},
        {{.hosts = bad_pattern, .hosts_count = 1}, "hosts: 'a.*.b'"},
        {{.blacklist_ips = not_cidr, .blacklist_ips_count = 1}, "blacklistIPs: '10.0.0.1'"},
        {{.block_hostnames = bad_block, .block_hostnames_count = 1}, "blockHostnames: 'a*b'"},
        {{.local_ips = "nope"}, "local IPs: 'nope'"},
        {{.tls_version_min = 0x304, .tls_version_max = 0x303}, "tlsVersion: min is above max"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_error err = {0};
        SQ_CHECK_EQ(sq_net_options_check(&cases[i].o, &err), SQ_EINVALID, "%s", cases[i].want);
        SQ_CHECK(strncmp(err.text, cases[i].want, strlen(cases[i].want)) == 0, "%s", err.text);
    }
}
