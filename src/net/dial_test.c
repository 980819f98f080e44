/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/net_kit.h"

static void serve_echo(struct peer *peer, int fd)
{
    char data[4096];
    ssize_t got;

    (void)peer;
    while ((got = recv(fd, data, sizeof data, 0)) > 0)
        peer_write(fd, data, (size_t)got);
}

/* Takes everything and says nothing. */
static void serve_mute(struct peer *peer, int fd)
{
    char data[4096];

    (void)peer;
    while (recv(fd, data, sizeof data, 0) > 0)
        ;
}

static void check_echo(struct sq_stream *s)
{
    char back[6] = "";
    int status;

    SQ_CHECK(stream_put(s, "hello", 5));
    SQ_CHECK_EQ(stream_get(s, back, 5, &status), 5);
    SQ_CHECK_STR(back, "hello");
}

SQ_TEST(dial_literal_echo)
{
    struct peer peer = {.serve = serve_echo};
    struct sq_net_counters counters = {0};
    struct kit kit;
    int on = 0;
    socklen_t len = sizeof on;

    peer_start(&peer);
    kit_init(&kit);
    kit_open(&kit);
    struct outcome out = kit_dial(
        &kit, (struct target){.host = "127.0.0.1", .port = peer.port, .counters = &counters});
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    SQ_CHECK_STR(out.remote_ip, "127.0.0.1");
    SQ_CHECK(out.start_ns <= out.resolved_ns && out.resolved_ns <= out.tcp_ns);
    SQ_CHECK_EQ(out.tls_ns, 0);
    if (out.stream) {
        SQ_CHECK_STR(sq_stream_remote_ip(out.stream), "127.0.0.1");
        check_echo(out.stream);
        SQ_CHECK_EQ(counters.sent_bytes, 5);
        SQ_CHECK_EQ(counters.received_bytes, 5);
        sq_stream_detach_counters(out.stream);
        check_echo(out.stream);
        SQ_CHECK_EQ(counters.sent_bytes, 5, "after detaching");
        getsockopt(sq_stream_fd(out.stream), IPPROTO_TCP, TCP_NODELAY, &on, &len);
        SQ_CHECK_EQ(on, 1, "NT-5");
        getsockopt(sq_stream_fd(out.stream), SOL_SOCKET, SO_KEEPALIVE, &on, &len);
        SQ_CHECK_EQ(on, 1, "NT-5");
        sq_stream_shutdown_write(out.stream);
        char byte;
        int status;
        SQ_CHECK_EQ(stream_get(out.stream, &byte, 1, &status), 0);
        SQ_CHECK_EQ(status, SQ_EEOF);
    }
    sq_stream_free(out.stream, false);
    kit_close(&kit);
    peer_stop(&peer);
}

SQ_TEST(dial_localhost_by_name)
{
    struct peer peer = {.serve = serve_echo};
    struct kit kit;

    peer_start(&peer);
    kit_init(&kit);
    kit_open(&kit);
    struct outcome out = kit_dial(&kit, (struct target){.host = "LocalHost", .port = peer.port});
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    SQ_CHECK_STR(out.remote_ip, "127.0.0.1");
    if (out.stream)
        check_echo(out.stream);
    sq_stream_free(out.stream, false);
    kit_close(&kit);
    peer_stop(&peer);
}

SQ_TEST(dial_refused)
{
    struct kit kit;
    char want[100];
    int fd;
    uint16_t port = dead_port(&fd);

    kit_init(&kit);
    kit_open(&kit);
    struct outcome out = kit_dial(&kit, (struct target){.host = "127.0.0.1", .port = port});
    SQ_CHECK_EQ(out.error, -ECONNREFUSED);
    SQ_CHECK_EQ(out.error_code, 1212);
    SQ_CHECK(!out.stream);
    SQ_CHECK_STR(out.remote_ip, "127.0.0.1");
    snprintf(want, sizeof want, "dial tcp 127.0.0.1:%u: connect: connection refused", port);
    SQ_CHECK_STR(out.text, want);
    kit_close(&kit);
    close(fd);
}

SQ_TEST(dial_hosts_block_and_blacklist)
{
    static const struct sq_net_host hosts[] = {{"api.test", "127.0.0.1"},
                                               {"*.wild.test", "127.0.0.1"},
                                               {"evil.test", "127.66.0.1"},
                                               {"b\xc3\xbc"
                                                "cher.test",
                                                "127.0.0.1"}};
    static const char *const blocked[] = {"*.Blocked.test", "one.test"};
    static const char *const ranges[] = {"127.66.1.2/16", "10.0.0.0/8", "fd00::/8"};
    static const struct {
        const char *host;
        int error, code;
        const char *text;
    } cases[] = {
        {"api.test", 0, 0, ""},
        {"API.TEST", 0, 0, ""},
        {"a.wild.test", 0, 0, ""},
        {"b\xc3\xbc"
         "cher.test",
         0, 0, ""},
        {"x.blocked.test", SQ_EBLOCKED, 1111,
         "hostname (x.blocked.test) is in a blocked pattern (*.Blocked.test)"},
        {"ONE.test", SQ_EBLOCKED, 1111, "hostname (ONE.test) is in a blocked pattern (one.test)"},
        {"evil.test", SQ_EBLOCKED, 1110,
         "IP (127.66.0.1) is in a blacklisted range (127.66.0.0/16)"},
        {"10.1.2.3", SQ_EBLOCKED, 1110, "IP (10.1.2.3) is in a blacklisted range (10.0.0.0/8)"},
        {"fd12::1", SQ_EBLOCKED, 1110, "IP (fd12::1) is in a blacklisted range (fd00::/8)"},
        {"", SQ_EDNS, 1101, "lookup : no such host"},
        {"a b", SQ_EDNS, 1101, "lookup a b: no such host"},
        {"a\r\nb", SQ_EDNS, 1101, "lookup a\r\nb: no such host"},
    };
    struct peer peer = {.serve = serve_echo};
    struct kit kit;

    peer_start(&peer);
    kit_init(&kit);
    kit.options.hosts = hosts;
    kit.options.hosts_count = SQ_COUNT(hosts);
    kit.options.block_hostnames = blocked;
    kit.options.block_hostnames_count = SQ_COUNT(blocked);
    kit.options.blacklist_ips = ranges;
    kit.options.blacklist_ips_count = SQ_COUNT(ranges);
    kit_open(&kit);
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct outcome out =
            kit_dial(&kit, (struct target){.host = cases[i].host, .port = peer.port});
        SQ_CHECK_EQ(out.error, cases[i].error, "%s: %s", cases[i].host, out.text);
        SQ_CHECK_EQ(out.error_code, cases[i].code, "%s", cases[i].host);
        SQ_CHECK_STR(out.text, cases[i].text);
        SQ_CHECK_STR(out.remote_ip, out.error ? "" : "127.0.0.1");
        sq_stream_free(out.stream, false);
    }
    kit_close(&kit);
    peer_stop(&peer);
}

static void serve_address(struct peer *peer, int fd)
{
    struct sockaddr_in a = {0};
    socklen_t len = sizeof a;
    char text[INET_ADDRSTRLEN + 1] = "";

    (void)peer;
    getpeername(fd, (struct sockaddr *)&a, &len);
    inet_ntop(AF_INET, &a.sin_addr, text, sizeof text);
    peer_write(fd, text, strlen(text));
}

SQ_TEST(dial_local_ips_by_vu)
{
    static const struct {
        uint32_t vu;
        const char *from;
    } cases[] = {
        {1, "127.0.0.5"}, {2, "127.0.0.9"}, {3, "127.0.0.10"}, {4, "127.0.0.5"}, {0, "127.0.0.5"}};
    struct peer peer = {.serve = serve_address};
    struct kit kit;

    peer_start(&peer);
    kit_init(&kit);
    kit.options.local_ips = "127.0.0.5,127.0.0.9-127.0.0.10";
    kit_open(&kit);
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct outcome out = kit_dial(
            &kit, (struct target){.host = "127.0.0.1", .port = peer.port, .vu_id = cases[i].vu});
        SQ_CHECK_EQ(out.error, 0, "%s", out.text);
        if (out.stream) {
            char from[64] = "";
            int status;
            stream_get(out.stream, from, sizeof from - 1, &status);
            SQ_CHECK_STR(from, cases[i].from);
        }
        sq_stream_free(out.stream, false);
    }
    kit_close(&kit);
    peer_stop(&peer);
}

SQ_TEST(dial_local_ips_that_do_not_fit)
{
    struct kit kit;
    int fd;
    uint16_t port = dead_port(&fd);

    kit_init(&kit);
    kit.options.local_ips = "192.0.2.77"; /* TEST-NET-1: nobody's */
    kit_open(&kit);
    struct outcome out = kit_dial(&kit, (struct target){.host = "127.0.0.1", .port = port});
    SQ_CHECK_EQ(out.error, -EADDRNOTAVAIL);
    SQ_CHECK(strstr(out.text, "192.0.2.77 of --local-ips is not an address of this machine"), "%s",
             out.text);
    kit_close(&kit);

    kit_init(&kit);
    kit.options.local_ips = "::1";
    kit_open(&kit);
    out = kit_dial(&kit, (struct target){.host = "127.0.0.1", .port = port});
    SQ_CHECK_EQ(out.error, -EAFNOSUPPORT);
    SQ_CHECK(strstr(out.text, "other IP version"), "%s", out.text);
    kit_close(&kit);
    close(fd);
}

SQ_TEST(dial_out_of_descriptors)
{
    struct rlimit old, low;
    struct kit kit;

    kit_init(&kit);
    if (!kit_open(&kit) || getrlimit(RLIMIT_NOFILE, &old) != 0)
        return;
    int next = dup(0);
    close(next);
    low = old;
    low.rlim_cur = (rlim_t)next;
    setrlimit(RLIMIT_NOFILE, &low);
    struct outcome out = kit_dial(&kit, (struct target){.host = "127.0.0.1", .port = 1});
    setrlimit(RLIMIT_NOFILE, &old);
    SQ_CHECK_EQ(out.error, -EMFILE);
    SQ_CHECK(strstr(out.text, "a limit of this machine") && strstr(out.text, "ulimit -n"), "%s",
             out.text);
    kit_close(&kit);
}

/* A listener whose queue is full drops SYNs: the nearest thing to a black hole on loopback. */
static uint16_t black_hole(int *listener, int *fillers, size_t count)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    *listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(*listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(*listener, 0) != 0)
        return 0;
    getsockname(*listener, (struct sockaddr *)&a, &len);
    for (size_t i = 0; i < count; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&a, sizeof a);
    }
    return ntohs(a.sin_port);
}

SQ_TEST(dial_deadline_while_connecting)
{
    int listener, fillers[4];
    struct kit kit;
    char want[100];
    uint16_t port = black_hole(&listener, fillers, SQ_COUNT(fillers));

    kit_init(&kit);
    kit_open(&kit);
    struct outcome out =
        kit_dial(&kit, (struct target){.host = "127.0.0.1", .port = port, .limit_ms = 60});
    SQ_CHECK_EQ(out.error, -ETIMEDOUT);
    SQ_CHECK_EQ(out.error_code, 1211);
    snprintf(want, sizeof want, "dial tcp 127.0.0.1:%u: i/o timeout", port);
    SQ_CHECK_STR(out.text, want);
    kit_close(&kit);
    for (size_t i = 0; i < SQ_COUNT(fillers); i++)
        close(fillers[i]);
    close(listener);
}

static void never(void *user, const struct sq_dial_result *result)
{
    (void)user;
    sq_stream_free(result->stream, false);
    SQ_CHECK(false, "a cancelled dial called back");
}

SQ_TEST(dial_cancel_in_every_phase)
{
    struct peer peer = {.serve = serve_mute};
    int listener, fillers[4];
    struct kit kit;
    uint16_t hole = black_hole(&listener, fillers, SQ_COUNT(fillers));

    peer_start(&peer);
    kit_init(&kit);
    kit.options.insecure_skip_tls_verify = true;
    kit_open(&kit);
    const struct sq_dial_request requests[] = {
        {.host = sq_slice_str("127.0.0.1"), .port = hole},
        {.host = sq_slice_str("127.0.0.1"), .port = peer.port, .secure = true}, /* stalls in TLS */
    };
    for (size_t i = 0; i < SQ_COUNT(requests); i++)
        for (int run_ms = 0; run_ms <= 20; run_ms += 20) {
            struct sq_dial_request request = requests[i];
            request.deadline_ns = sq_loop_update_now(kit.loop) + 5 * SQ_NS_PER_S;
            struct sq_dial *dial = sq_dial_start(kit.net, &request, never, NULL);
            if (run_ms)
                kit_run_for(&kit, run_ms);
            sq_dial_cancel(dial);
            kit_run_for(&kit, 5);
        }
    kit_close(&kit);
    peer_stop(&peer);
    for (size_t i = 0; i < SQ_COUNT(fillers); i++)
        close(fillers[i]);
    close(listener);
}

static void serve_reset(struct peer *peer, int fd)
{
    struct linger now = {.l_onoff = 1};
    char byte;

    (void)peer;
    peer_read(fd, &byte, 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

SQ_TEST(dial_stream_reset_text)
{
    struct peer peer = {.serve = serve_reset};
    struct kit kit;
    char byte, want[64];
    int status;

    peer_start(&peer);
    kit_init(&kit);
    kit_open(&kit);
    struct outcome out = kit_dial(&kit, (struct target){.host = "127.0.0.1", .port = peer.port});
    SQ_CHECK_EQ(out.error, 0);
    if (out.stream) {
        stream_put(out.stream, "x", 1);
        stream_get(out.stream, &byte, 1, &status);
        SQ_CHECK_EQ(status, -ECONNRESET);
        const char *text = sq_stream_error_text(out.stream);
        snprintf(want, sizeof want, "->127.0.0.1:%u: read: connection reset by peer", peer.port);
        SQ_CHECK(strncmp(text, "read tcp 127.0.0.1:", 19) == 0 && strstr(text, want), "%s", text);
    }
    sq_stream_free(out.stream, true);
    kit_close(&kit);
    peer_stop(&peer);
}

struct many {
    struct sq_loop *loop;
    int left, failed;
};

static void on_one_of_many(void *user, const struct sq_dial_result *result)
{
    struct many *many = user;

    many->failed += result->error != 0;
    sq_stream_free(result->stream, false);
    if (--many->left == 0)
        sq_loop_stop(many->loop);
}

SQ_TEST(dial_many_at_once)
{
    enum { DIALS = 200 };
    struct peer peer = {.serve = serve_address};
    struct kit kit;

    peer_start(&peer);
    kit_init(&kit);
    kit_open(&kit);
    struct many many = {kit.loop, DIALS, 0};
    struct sq_dial_request request = {
        .host = sq_slice_str("127.0.0.1"),
        .port = peer.port,
        .deadline_ns = sq_loop_update_now(kit.loop) + 10 * SQ_NS_PER_S,
    };
    for (int i = 0; i < DIALS; i++)
        sq_dial_start(kit.net, &request, on_one_of_many, &many);
    sq_loop_run(kit.loop);
    SQ_CHECK_EQ(many.failed, 0);
    kit_close(&kit);
    peer_stop(&peer);
}
