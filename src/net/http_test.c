/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"

SQ_TEST(http_url_join)
{
    static const struct {
        const char *base, *reference, *want;
    } cases[] = {
        {"http://h/a/b?q", "c", "http://h/a/c"},
        {"http://h/a/b?q", "/c?d#e", "http://h/c?d"},
        {"http://h/a/b?q", "?z", "http://h/a/b?z"},
        {"http://h/a/b?q#f", "", "http://h/a/b?q"},
        {"http://h/a/b", "../c", "http://h/c"},
        {"http://h/a/b/", "../../../c", "http://h/c"},
        {"http://h/a/b", "./", "http://h/a/"},
        {"http://h/a/b", "/x/./y/../z", "http://h/x/z"},
        {"http://h", "c", "http://h/c"},
        {"http://h?q", "c", "http://h/c"},
        {"http://h", "?c", "http://h/?c"},
        {"http://u:p@h:8/a", "b", "http://u:p@h:8/b"},
        {"https://h/a", "//other/b", "https://other/b"},
        {"https://h/a", "http://other:81/b", "http://other:81/b"},
        {"https://h/a", "HTTPS://other/", "HTTPS://other/"},
        {"http://h/a", "mailto:x@y", NULL},
        {"http://h/a", "ftp://x/y", NULL},
        {"http://h/a", "http://", NULL},
        {"http://h/a", "b\nc", NULL},
        {"nothing", "b", NULL},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *got = sq_http_url_join(cases[i].base, cases[i].reference);
        SQ_CHECK_STR(got ? got : "NULL", cases[i].want ? cases[i].want : "NULL");
        free(got);
    }
}

SQ_TEST(http_url_check)
{
    static const struct {
        const char *url, *host_port, *clean;
    } cases[] = {
        {"http://h/x", "h:80", "http://h/x"},
        {"https://h", "h:443", "https://h"},
        {"HTTP://h:8080/", "h:8080", "HTTP://h:8080/"},
        {"http://u:p@h/x@y", "h:80", "http://****:****@h/x@y"},
        {"http://[::1]:5/", "::1:5", "http://[::1]:5/"},
        {"::bad", NULL, "::bad"},
        {"", NULL, ""},
        {"ws://h/", NULL, "ws://h/"},
        {"http:/h", NULL, "http:/h"},
        {"http://h:99999/", NULL, "http://h:99999/"},
        {"http:///x", NULL, "http:///x"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *host_port, *clean;
        struct sq_error err = {0};
        int rc = sq_http_url_check(cases[i].url, &host_port, &clean, &err);
        SQ_CHECK_EQ(rc, cases[i].host_port ? 0 : SQ_EINVALID, "%s", cases[i].url);
        SQ_CHECK_STR(host_port ? host_port : "NULL",
                     cases[i].host_port ? cases[i].host_port : "NULL");
        SQ_CHECK_STR(clean, cases[i].clean);
        SQ_CHECK((*err.text != '\0') == (rc < 0));
        free(host_port);
        free(clean);
    }
}

SQ_TEST(http_status_words)
{
    SQ_CHECK_STR(sq_http_status_words(200), "OK");
    SQ_CHECK_STR(sq_http_status_words(599), "");
}

/* ---- transfers ---- */

struct bench {
    struct sq_loop *loop;
    struct sq_net *net;
    struct sq_net_options options;
    struct sq_net_counters counters;
    struct sq_http_vu *vu;
    struct sq_timer limit;
    int listener;
    uint16_t port;
    unsigned done;
};

static void too_late(struct sq_timer *timer)
{
    sq_loop_stop(SQ_CONTAINER_OF(timer, struct bench, limit)->loop);
}

static void on_done(void *user)
{
    struct bench *b = user;

    b->done++;
    sq_loop_stop(b->loop);
}

static void bench_init(struct bench *b)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    *b = (struct bench){0};
    sq_net_options_default(&b->options);
    b->options.http_proxy = b->options.https_proxy = NULL;
    b->listener = socket(AF_INET, SOCK_STREAM, 0);
    SQ_CHECK_EQ(bind(b->listener, (struct sockaddr *)&a, sizeof a), 0);
    SQ_CHECK_EQ(getsockname(b->listener, (struct sockaddr *)&a, &len), 0);
    b->port = ntohs(a.sin_port);
    SQ_CHECK_EQ(sq_loop_new(&b->loop, NULL), 0);
    SQ_CHECK_EQ(sq_net_new(b->loop, &b->options, &b->net, NULL), 0);
    b->vu = sq_http_vu_new(b->net, 1, &b->counters);
    b->limit = SQ_TIMER_INIT(too_late);
}

static void bench_deinit(struct bench *b)
{
    sq_http_vu_free(b->vu);
    sq_net_free(b->net);
    sq_timer_stop(b->loop, &b->limit);
    sq_loop_free(b->loop);
    close(b->listener);
}

static struct sq_http_transfer *start(struct bench *b, const char *path, int64_t timeout_ns)
{
    static const struct sq_http_header headers[] = {{"X-One", "1"}, {"X-Empty", ""}};
    char url[64];
    struct sq_http_request request = {.method = "GET",
                                      .url = url,
                                      .headers = headers,
                                      .headers_count = SQ_COUNT(headers),
                                      .deadline_ns = sq_now_ns() + timeout_ns};

    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", b->port, path);
    return sq_http_start(b->vu, &request, on_done, b);
}

static void run(struct bench *b)
{
    sq_timer_start(b->loop, &b->limit, sq_now_ns() + 10 * SQ_NS_PER_S);
    sq_loop_run(b->loop);
}

/* Answers two requests on one connection. */
static void *serve(void *arg)
{
    struct bench *b = arg;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";
    char request[2][1024];
    int fd = accept(b->listener, NULL, NULL);

    for (int i = 0; i < 2; i++) {
        ssize_t got = recv(fd, request[i], sizeof request[i] - 1, 0);
        request[i][got > 0 ? got : 0] = '\0';
        if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            break;
    }
    close(fd);
    char *line = strstr(request[0], "X-One: 1\r\n"), *empty = strstr(request[0], "X-Empty:");
    bool unasked = strstr(request[0], "Accept") != NULL;
    return (void *)(intptr_t)(line && empty && !unasked);
}

SQ_TEST(http_transfers_share_a_connection)
{
    struct bench b;
    pthread_t thread;
    void *as_wanted;

    bench_init(&b);
    SQ_CHECK_EQ(listen(b.listener, 8), 0);
    SQ_CHECK_EQ(pthread_create(&thread, NULL, serve, &b), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct sq_http_transfer *t = start(&b, "/x", 5 * SQ_NS_PER_S);
        run(&b);
        const struct sq_http_result *r = sq_http_transfer_result(t);
        SQ_CHECK_EQ(b.done, i + 1);
        SQ_CHECK_EQ(r->error_code, 0);
        SQ_CHECK_EQ(r->status, 200);
        SQ_CHECK_STR(r->status_text, "200 OK");
        SQ_CHECK_STR(r->proto, "HTTP/1.1");
        SQ_CHECK_STR(r->remote_ip, "127.0.0.1");
        SQ_CHECK(sq_slice_eq(r->body, sq_slice_str("hello")));
        SQ_CHECK_EQ(r->headers_count, 2);
        SQ_CHECK((r->timings.connecting > 0) == (i == 0));
        sq_http_transfer_free(t);
    }
    pthread_join(thread, &as_wanted);
    SQ_CHECK(as_wanted != NULL, "the headers of the first request");
    SQ_CHECK(b.counters.sent_bytes > 100 && b.counters.received_bytes > 100);
    bench_deinit(&b);
}

SQ_TEST(http_refused)
{
    struct bench b;

    bench_init(&b);
    struct sq_http_transfer *t = start(&b, "/", 5 * SQ_NS_PER_S);
    run(&b);
    SQ_CHECK_EQ(b.done, 1);
    SQ_CHECK_EQ(sq_http_transfer_result(t)->error_code, 1212);
    SQ_CHECK_STR(sq_http_transfer_result(t)->error, "dial: connection refused");
    sq_http_transfer_free(t);
    bench_deinit(&b);
}

SQ_TEST(http_deadline_and_cancel)
{
    struct bench b;

    bench_init(&b);
    SQ_CHECK_EQ(listen(b.listener, 8), 0); /* connects, and never hears anything */
    struct sq_http_transfer *slow = start(&b, "/", 50 * SQ_NS_PER_MS);
    struct sq_http_transfer *cut = start(&b, "/", 60 * SQ_NS_PER_S);
    struct sq_http_transfer *never = start(&b, "/", 60 * SQ_NS_PER_S);
    sq_http_transfer_free(never);
    run(&b);
    SQ_CHECK_EQ(b.done, 1);
    SQ_CHECK_EQ(sq_http_transfer_result(slow)->error_code, 1050);
    SQ_CHECK(sq_http_transfer_result(slow)->timings.waiting >= 40 * SQ_NS_PER_MS);
    sq_http_transfer_free(cut);
    sq_http_transfer_free(slow);
    SQ_CHECK_EQ(b.done, 1);
    bench_deinit(&b);
}

/* A name server that is there and says nothing. */
SQ_TEST(http_deadline_while_resolving)
{
    struct bench b;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int silent = socket(AF_INET, SOCK_DGRAM, 0);
    char servers[32];

    SQ_CHECK_EQ(bind(silent, (struct sockaddr *)&a, sizeof a), 0);
    SQ_CHECK_EQ(getsockname(silent, (struct sockaddr *)&a, &len), 0);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(a.sin_port));
    bench_init(&b);
    sq_http_vu_free(b.vu);
    sq_net_free(b.net);
    b.options.dns_servers = servers;
    SQ_CHECK_EQ(sq_net_new(b.loop, &b.options, &b.net, NULL), 0);
    b.vu = sq_http_vu_new(b.net, 1, &b.counters);
    struct sq_http_request request = {.method = "GET",
                                      .url = "http://never.test/",
                                      .deadline_ns = sq_now_ns() + 100 * SQ_NS_PER_MS};
    struct sq_http_transfer *t = sq_http_start(b.vu, &request, on_done, &b);
    run(&b);
    SQ_CHECK_EQ(b.done, 1);
    SQ_CHECK_EQ(sq_http_transfer_result(t)->error_code, 1050);
    SQ_CHECK_EQ(sq_http_transfer_result(t)->timings.waiting, 0);
    SQ_CHECK_EQ(sq_http_transfer_result(t)->timings.connecting, 0);
    sq_http_transfer_free(t);
    bench_deinit(&b);
    close(silent);
}
