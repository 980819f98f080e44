/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net_kit.h"
#include "net/net_private.h"

/* ---- a name server on 127.0.0.1 ---- */

enum { SILENT = -1, NXDOMAIN = 3, SERVFAIL = 2, REFUSED = 5 };

struct zone_row {
    const char *name; /* lower case; "*": any other name */
    int rcode;        /* 0, or one of the above */
    const char *v4[4], *v6[4];
};

struct name_server {
    const struct zone_row *zone;
    size_t rows;
    int fd, stop[2];
    char servers[32]; /* for sq_net_options.dns_servers */
    atomic_int questions;
    pthread_t thread;
};

static const struct zone_row *row_of(const struct name_server *ns, const char *name)
{
    for (size_t i = 0; i < ns->rows; i++)
        if (strcmp(ns->zone[i].name, name) == 0 || strcmp(ns->zone[i].name, "*") == 0)
            return &ns->zone[i];
    return NULL;
}

static size_t put_answers(uint8_t *out, const char *const *texts, int family, uint16_t *count)
{
    size_t at = 0, len = family == AF_INET ? 4 : 16;

    for (size_t i = 0; i < 4 && texts[i]; i++) {
        const uint8_t head[] = {0xc0, 12, 0,           family == AF_INET ? 1 : 28, 0, 1, 0, 0, 0,
                                60,   0,  (uint8_t)len};
        memcpy(out + at, head, sizeof head);
        inet_pton(family, texts[i], out + at + sizeof head);
        at += sizeof head + len;
        ++*count;
    }
    return at;
}

/* Answers the question in place; returns the length, 0: silence. */
static size_t answer(const struct name_server *ns, uint8_t *packet, size_t len)
{
    char name[256] = "";
    size_t at = 12, used = 0;
    uint16_t count = 0;

    if (len < 17)
        return 0;
    while (at < len && packet[at] && used + packet[at] + 2 < sizeof name) {
        if (used)
            name[used++] = '.';
        for (uint8_t i = 1; i <= packet[at]; i++)
            name[used++] = (char)(packet[at + i] | 0x20); /* letters, digits, '-' only */
        at += (size_t)packet[at] + 1;
    }
    name[used] = 0;
    const struct zone_row *row = row_of(ns, name);
    uint16_t type = (uint16_t)(packet[at + 1] << 8 | packet[at + 2]);
    size_t end = at + 5;
    if (row && row->rcode == SILENT)
        return 0;
    if (row && row->rcode == 0 && type == 1)
        end += put_answers(packet + end, row->v4, AF_INET, &count);
    if (row && row->rcode == 0 && type == 28)
        end += put_answers(packet + end, row->v6, AF_INET6, &count);
    packet[2] = 0x84 | (packet[2] & 1);
    packet[3] = (uint8_t)(row ? row->rcode : NXDOMAIN);
    packet[6] = 0;
    packet[7] = (uint8_t)count;
    memset(packet + 8, 0, 4);
    return end;
}

static void *name_server_main(void *user)
{
    struct name_server *ns = user;
    struct pollfd wait[2] = {{.fd = ns->fd, .events = POLLIN},
                             {.fd = ns->stop[0], .events = POLLIN}};
    uint8_t packet[1024];

    while (poll(wait, 2, -1) > 0 && !wait[1].revents) {
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t got = recvfrom(ns->fd, packet, 512, 0, (struct sockaddr *)&from, &from_len);
        if (got <= 0)
            continue;
        atomic_fetch_add(&ns->questions, 1);
        size_t len = answer(ns, packet, (size_t)got);
        if (len)
            (void)!sendto(ns->fd, packet, len, 0, (struct sockaddr *)&from, from_len);
    }
    return NULL;
}

static void name_server_start(struct name_server *ns, const struct zone_row *zone, size_t rows)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    ns->zone = zone;
    ns->rows = rows;
    atomic_init(&ns->questions, 0);
    ns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(ns->fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        getsockname(ns->fd, (struct sockaddr *)&a, &len) != 0 || pipe(ns->stop) != 0)
        sq_panic("test: no name server");
    snprintf(ns->servers, sizeof ns->servers, "127.0.0.1:%u", ntohs(a.sin_port));
    if (pthread_create(&ns->thread, NULL, name_server_main, ns) != 0)
        sq_panic("test: no thread");
}

static void name_server_stop(struct name_server *ns)
{
    close(ns->stop[1]);
    pthread_join(ns->thread, NULL);
    close(ns->stop[0]);
    close(ns->fd);
}

/* ---- looking up ---- */

struct lookup {
    struct sq_dns_query query;
    struct sq_loop *loop;
    int *left;
    bool done;
    int error, error_code;
    size_t count;
    char text[200], addresses[200]; /* "1.2.3.4 ::1" */
};

static void on_done(struct sq_dns_query *query, const struct sq_dns_result *result)
{
    struct lookup *l = SQ_CONTAINER_OF(query, struct lookup, query);
    char ip[SQ_ADDRESS_TEXT_BYTES];

    l->done = true;
    l->error = result->error;
    l->error_code = result->error_code;
    l->count = result->count;
    snprintf(l->text, sizeof l->text, "%.199s", result->text);
    for (size_t i = 0; i < result->count; i++) {
        size_t at = strlen(l->addresses);
        sq_address_format_ip(&result->addresses[i], ip);
        snprintf(l->addresses + at, sizeof l->addresses - at, "%s%s", at ? " " : "", ip);
    }
    if (--*l->left == 0)
        sq_loop_stop(l->loop);
}

static void lookup_start(struct kit *kit, struct lookup *l, const char *name, int *left)
{
    struct sq_dns *dns;
    struct sq_error err = {0};

    *l = (struct lookup){.query.done = on_done, .loop = kit->loop, .left = left};
    if (sq_net_dns(kit->net, &dns, &err) < 0)
        sq_panic("test: %s", err.text);
    sq_dns_lookup(dns, sq_slice_str(name), &l->query);
}

static struct lookup lookup(struct kit *kit, const char *name)
{
    struct lookup l;
    int left = 1;

    lookup_start(kit, &l, name, &left);
    if (!l.done)
        sq_loop_run(kit->loop);
    return l;
}

static const struct zone_row zone[] = {
    {"both.test", 0, {"10.0.0.1", "10.0.0.2"}, {"fd00::1"}},
    {"four.test", 0, {"10.0.0.4"}, {NULL}},
    {"six.test", 0, {NULL}, {"fd00::6"}},
    {"empty.test", 0, {NULL}, {NULL}},
    {"broken.test", SERVFAIL, {NULL}, {NULL}},
    {"refused.test", REFUSED, {NULL}, {NULL}},
    {"silent.test", SILENT, {NULL}, {NULL}},
    {"local.test", 0, {"127.0.0.1"}, {NULL}},
    {"evil.test", 0, {"127.66.0.1"}, {NULL}},
    {"xn--bcher-kva.test", 0, {"10.0.0.9"}, {NULL}},
    {"mixed.test", 0, {"127.0.0.1"}, {"fd00::dead"}},
};

SQ_TEST(dns_policies)
{
    static const struct {
        enum sq_dns_policy policy;
        const char *name, *want; /* "": no such host */
    } cases[] = {
        {SQ_DNS_PREFER_IPV4, "both.test", "10.0.0.1 10.0.0.2"},
        {SQ_DNS_PREFER_IPV4, "six.test", "fd00::6"},
        {SQ_DNS_PREFER_IPV6, "both.test", "fd00::1"},
        {SQ_DNS_PREFER_IPV6, "four.test", "10.0.0.4"},
        {SQ_DNS_ONLY_IPV4, "six.test", ""},
        {SQ_DNS_ONLY_IPV6, "six.test", "fd00::6"},
        {SQ_DNS_ONLY_IPV6, "four.test", ""},
        {SQ_DNS_PREFER_IPV4, "BOTH.Test", "10.0.0.1 10.0.0.2"},
    };
    struct name_server ns;

    name_server_start(&ns, zone, SQ_COUNT(zone));
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct kit kit;
        kit_init(&kit);
        kit.options.dns_servers = ns.servers;
        kit.options.dns_policy = cases[i].policy;
        kit_open(&kit);
        struct lookup l = lookup(&kit, cases[i].name);
        SQ_CHECK_EQ(l.error, *cases[i].want ? 0 : SQ_EDNS, "case %zu: %s", i, l.text);
        SQ_CHECK_STR(l.addresses, cases[i].want);
        kit_close(&kit);
    }
    name_server_stop(&ns);
}

SQ_TEST(dns_policy_any_has_both)
{
    struct name_server ns;
    struct kit kit;

    name_server_start(&ns, zone, SQ_COUNT(zone));
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit.options.dns_policy = SQ_DNS_ANY;
    kit_open(&kit);
    struct lookup l = lookup(&kit, "both.test");
    SQ_CHECK_EQ(l.count, 3, "%s", l.addresses);
    kit_close(&kit);
    name_server_stop(&ns);
}

SQ_TEST(dns_failures)
{
    static const struct {
        const char *name;
        int code;
        const char *text;
    } cases[] = {
        {"nowhere.test", 1101, "lookup nowhere.test: no such host"},
        {"empty.test", 1101, "lookup empty.test: no such host"},
        {"broken.test", 1100, "lookup broken.test: server misbehaving"},
        {"refused.test", 1100, "lookup refused.test: server misbehaving"},
        {"..", 1101, "lookup ..: no such host"},
    };
    struct name_server ns;
    struct kit kit;

    name_server_start(&ns, zone, SQ_COUNT(zone));
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit_open(&kit);
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct lookup l = lookup(&kit, cases[i].name);
        SQ_CHECK_EQ(l.error, SQ_EDNS, "%s", cases[i].name);
        SQ_CHECK_EQ(l.error_code, cases[i].code, "%s", cases[i].name);
        SQ_CHECK_STR(l.text, cases[i].text);
    }
    kit_close(&kit);
    name_server_stop(&ns);
}

/* NT-1: ten thousand sockets to one name, one query. */
SQ_TEST(dns_equal_lookups_are_one_question)
{
    enum { ASKERS = 10000 };
    struct lookup *all = sq_xcalloc(ASKERS, sizeof *all);
    struct name_server ns;
    struct kit kit;
    int left = ASKERS, good = 0;

    name_server_start(&ns, zone, SQ_COUNT(zone));
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit_open(&kit);
    for (int i = 0; i < ASKERS; i++)
        lookup_start(&kit, &all[i], "four.test", &left);
    sq_loop_run(kit.loop);
    for (int i = 0; i < ASKERS; i++)
        good += all[i].done && strcmp(all[i].addresses, "10.0.0.4") == 0;
    SQ_CHECK_EQ(good, ASKERS);
    SQ_CHECK_EQ(sq_dns_questions(kit.net->dns), 1);
    SQ_CHECK_EQ(atomic_load(&ns.questions), 1);
    lookup(&kit, "four.test");
    SQ_CHECK_EQ(atomic_load(&ns.questions), 1, "cached");
    kit_close(&kit);
    name_server_stop(&ns);
    free(all);
}

SQ_TEST(dns_ttl)
{
    static const struct {
        int64_t ttl_ns;
        int want; /* questions after two lookups 30 ms apart */
    } cases[] = {{0, 2}, {10 * SQ_NS_PER_MS, 2}, {SQ_NS_PER_S, 1}, {INT64_MAX, 1}};
    struct name_server ns;

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct kit kit;
        name_server_start(&ns, zone, SQ_COUNT(zone));
        kit_init(&kit);
        kit.options.dns_servers = ns.servers;
        kit.options.dns_ttl_ns = cases[i].ttl_ns;
        kit_open(&kit);
        lookup(&kit, "four.test");
        kit_run_for(&kit, 30);
        struct lookup l = lookup(&kit, "four.test");
        SQ_CHECK_STR(l.addresses, "10.0.0.4");
        SQ_CHECK_EQ(atomic_load(&ns.questions), cases[i].want, "case %zu", i);
        kit_close(&kit);
        name_server_stop(&ns);
    }
}

SQ_TEST(dns_thousands_of_names)
{
    enum { NAMES = 3000 };
    static const struct zone_row any[] = {{"*", 0, {"10.0.0.7"}, {NULL}}};
    struct lookup *all = sq_xcalloc(NAMES, sizeof *all);
    struct name_server ns;
    struct kit kit;
    int left = NAMES, good = 0;
    char name[32];

    name_server_start(&ns, any, 1);
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit_open(&kit);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n%d.test", i);
        lookup_start(&kit, &all[i], name, &left);
        /* The failing one in ten goes away again before its answer. */
        if (i % 10 == 9) {
            sq_dns_cancel(&all[i].query);
            left--;
        }
    }
    sq_loop_run(kit.loop);
    for (int i = 0; i < NAMES; i++)
        good += all[i].done;
    SQ_CHECK_EQ(good, NAMES - NAMES / 10);
    kit_close(&kit);
    name_server_stop(&ns);
    free(all);
}

SQ_TEST(dns_free_with_questions_open)
{
    struct name_server ns;
    struct kit kit;
    struct lookup l[3];
    int left = 3;

    name_server_start(&ns, zone, SQ_COUNT(zone));
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit_open(&kit);
    lookup_start(&kit, &l[0], "silent.test", &left);
    lookup_start(&kit, &l[1], "silent.test", &left);
    lookup_start(&kit, &l[2], "four.test", &left);
    kit_run_for(&kit, 30);
    SQ_CHECK(!l[0].done && !l[1].done && l[2].done);
    kit_close(&kit);
    SQ_CHECK(!l[0].done);
    name_server_stop(&ns);
}

SQ_TEST(dns_selection)
{
    struct name_server ns;
    struct kit kit;
    char ip[SQ_ADDRESS_TEXT_BYTES];
    union sq_address some[3];
    uint32_t turn = 0;
    struct sq_dns_result result = {.addresses = some, .count = 3, .turn = &turn};
    struct sq_dns *dns;
    int seen[3] = {0};

    for (int i = 0; i < 3; i++) {
        snprintf(ip, sizeof ip, "10.0.0.%d", i);
        sq_address_parse(sq_slice_str(ip), &some[i]);
    }
    name_server_start(&ns, zone, SQ_COUNT(zone));
    for (int select = SQ_DNS_RANDOM; select <= SQ_DNS_ROUND_ROBIN; select++) {
        kit_init(&kit);
        kit.options.dns_servers = ns.servers;
        kit.options.dns_select = (enum sq_dns_select)select;
        kit_open(&kit);
        SQ_CHECK_EQ(sq_net_dns(kit.net, &dns, NULL), 0);
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < 300; i++) {
            size_t at = (size_t)(sq_dns_select(dns, &result) - some);
            seen[at]++;
            if (select == SQ_DNS_ROUND_ROBIN)
                SQ_CHECK_EQ(at, i % 3);
            if (select == SQ_DNS_FIRST)
                SQ_CHECK_EQ(at, 0);
        }
        if (select == SQ_DNS_RANDOM)
            SQ_CHECK(seen[0] > 40 && seen[1] > 40 && seen[2] > 40, "%d %d %d", seen[0], seen[1],
                     seen[2]);
        kit_close(&kit);
    }
    name_server_stop(&ns);
}

SQ_TEST(dns_out_of_descriptors)
{
    struct rlimit old, low;
    struct name_server ns;
    struct kit kit;

    name_server_start(&ns, zone, SQ_COUNT(zone));
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit_open(&kit);
    lookup(&kit, "four.test"); /* the resolver has read its files */
    int next = dup(0);
    close(next);
    SQ_CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)next;
    setrlimit(RLIMIT_NOFILE, &low);
    struct lookup l = lookup(&kit, "both.test");
    setrlimit(RLIMIT_NOFILE, &old);
    SQ_CHECK_EQ(l.error, SQ_EDNS);
    SQ_CHECK(strstr(l.text, "a limit of this machine") && strstr(l.text, "ulimit -n"), "%s",
             l.text);
    kit_close(&kit);
    name_server_stop(&ns);
}

/* ---- through dialling ---- */

static void serve_hello(struct peer *peer, int fd)
{
    char byte;

    (void)peer;
    peer_write(fd, "hello", 5);
    (void)recv(fd, &byte, 1, 0);
}

SQ_TEST(dns_dials)
{
    static const char *const ranges[] = {"127.66.0.0/16"};
    static const struct {
        const char *host;
        int error, code;
        const char *text, *ip;
    } cases[] = {
        {"local.test", 0, 0, "", "127.0.0.1"},
        {"evil.test", SQ_EBLOCKED, 1110,
         "IP (127.66.0.1) is in a blacklisted range (127.66.0.0/16)", ""},
        {"nowhere.test", SQ_EDNS, 1101, "lookup nowhere.test: no such host", ""},
        {"silent.test", SQ_EDNS, 1100, "lookup silent.test: i/o timeout", ""},
        {"\xff\xfe.test", SQ_EDNS, 1101, "lookup \xff\xfe.test: no such host", ""},
    };
    struct peer peer = {.serve = serve_hello};
    struct name_server ns;
    struct kit kit;

    peer_start(&peer);
    name_server_start(&ns, zone, SQ_COUNT(zone));
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit.options.blacklist_ips = ranges;
    kit.options.blacklist_ips_count = 1;
    kit_open(&kit);
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct outcome out = kit_dial(
            &kit, (struct target){.host = cases[i].host, .port = peer.port, .limit_ms = 150});
        SQ_CHECK_EQ(out.error, cases[i].error, "%s: %s", cases[i].host, out.text);
        SQ_CHECK_EQ(out.error_code, cases[i].code, "%s", cases[i].host);
        SQ_CHECK_STR(out.text, cases[i].text);
        SQ_CHECK_STR(out.remote_ip, cases[i].ip);
        sq_stream_free(out.stream, false);
    }
    kit_close(&kit);
    name_server_stop(&ns);
    peer_stop(&peer);
}

SQ_TEST(dns_unicode_host)
{
    static const char *const ranges[] = {"10.0.0.0/8"};
    struct name_server ns;
    struct kit kit;

    name_server_start(&ns, zone, SQ_COUNT(zone));
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit.options.blacklist_ips = ranges; /* so that nothing leaves this machine */
    kit.options.blacklist_ips_count = 1;
    kit_open(&kit);
    struct outcome out = kit_dial(&kit, (struct target){.host = "B\xc3\xbc"
                                                                "cher.test",
                                                        .port = 80});
    SQ_CHECK_STR(out.text, "IP (10.0.0.9) is in a blacklisted range (10.0.0.0/8)");
    kit_close(&kit);
    name_server_stop(&ns);
}

/* RFC 8305: the IPv6 address that answers nothing, or that no route leads to, costs 250 ms at most.
 */
SQ_TEST(dns_happy_eyeballs_falls_back)
{
    struct peer peer = {.serve = serve_hello};
    struct name_server ns;
    struct kit kit;

    peer_start(&peer);
    name_server_start(&ns, zone, SQ_COUNT(zone));
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit.options.happy_eyeballs = true;
    kit_open(&kit);
    struct outcome out = kit_dial(&kit, (struct target){.host = "mixed.test", .port = peer.port});
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    SQ_CHECK_STR(out.remote_ip, "127.0.0.1");
    SQ_CHECK(out.tcp_ns - out.resolved_ns < 2 * SQ_NS_PER_S);
    sq_stream_free(out.stream, false);
    kit_close(&kit);
    name_server_stop(&ns);
    peer_stop(&peer);
}

SQ_TEST(dns_happy_eyeballs_staggers)
{
    /* Full accept queues swallow SYNs; the second address answers. */
    static const struct zone_row rows[] = {{"race.test", 0, {"127.0.0.2", "127.0.0.1"}, {NULL}}};
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct peer peer = {.serve = serve_hello};
    struct name_server ns;
    struct kit kit;
    int hole = socket(AF_INET, SOCK_STREAM, 0), fillers[4];

    peer_start(&peer);
    a.sin_port = htons(peer.port);
    inet_pton(AF_INET, "127.0.0.2", &a.sin_addr);
    SQ_CHECK(bind(hole, (struct sockaddr *)&a, sizeof a) == 0 && listen(hole, 0) == 0);
    for (size_t i = 0; i < SQ_COUNT(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&a, sizeof a);
    }
    name_server_start(&ns, rows, 1);
    kit_init(&kit);
    kit.options.dns_servers = ns.servers;
    kit.options.happy_eyeballs = true;
    kit_open(&kit);
    struct outcome out = kit_dial(&kit, (struct target){.host = "race.test", .port = peer.port});
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    SQ_CHECK_STR(out.remote_ip, "127.0.0.1");
    int64_t took = out.tcp_ns - out.resolved_ns;
    SQ_CHECK(took >= 240 * SQ_NS_PER_MS && took < SQ_NS_PER_S, "%lld ns", (long long)took);
    sq_stream_free(out.stream, false);
    kit_close(&kit);
    name_server_stop(&ns);
    for (size_t i = 0; i < SQ_COUNT(fillers); i++)
        close(fillers[i]);
    close(hole);
    peer_stop(&peer);
}
