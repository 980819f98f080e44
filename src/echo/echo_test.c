/* SPDX-License-Identifier: Apache-2.0 */
/* The server on a thread of its own, spoken to through plain blocking sockets. */
#include "echo/echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/test.h"
#include "proto/ws/deflate.h"
#include "proto/ws/frame.h"

/* ---- the rig ---- */

struct rig {
    struct sq_loop *loop;
    struct sq_echo *echo;
    pthread_t thread;
    uint16_t port;
};

static void *run_loop(void *arg)
{
    sq_loop_run(arg);
    return NULL;
}

static void rig_start(struct rig *rig, const struct sq_echo_options *options)
{
    struct sq_error err = {0};

    SQ_CHECK_EQ(sq_loop_new(&rig->loop, &err), 0, "%.99s", err.text);
    SQ_CHECK_EQ(sq_echo_start(rig->loop, options, &rig->echo, &err), 0, "%.99s", err.text);
    rig->port = sq_echo_port(rig->echo);
    SQ_CHECK(rig->port != 0, "a port was chosen");
    SQ_CHECK_EQ(pthread_create(&rig->thread, NULL, run_loop, rig->loop), 0, "thread");
}

static struct sq_echo_stats rig_stop(struct rig *rig)
{
    struct sq_echo_stats stats;

    sq_loop_stop(rig->loop);
    pthread_join(rig->thread, NULL);
    sq_echo_stats(rig->echo, &stats);
    sq_echo_stop(rig->echo);
    sq_loop_free(rig->loop);
    return stats;
}

static int dial(const struct rig *rig)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    SQ_CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0, "connect");
    return fd;
}

static void put(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* what is expected to be read afterwards fails, and says so */
        at += (size_t)n;
    }
}

static void put_text(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

static bool take(int fd, void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = recv(fd, (char *)data + at, len - at, 0);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* True when the stream ends now; a reset counts, bytes and silence do not. */
static bool at_end(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static bool silent_for(int fd, int ms)
{
    struct timeval brief = {.tv_usec = ms * 1000}, patience = {.tv_sec = 10};
    char byte;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief);
    ssize_t n = recv(fd, &byte, 1, 0);
    bool silent = n < 0 && errno == EAGAIN;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return silent;
}

/* Byte by byte, so that nothing behind the head is taken. */
static void take_head(int fd, char head[4096])
{
    size_t len = 0;

    while (len < 4095 && take(fd, head + len, 1))
        if (++len >= 4 && !memcmp(head + len - 4, "\r\n\r\n", 4))
            break;
    head[len] = 0;
}

static void put_request(int fd, const char *target, const char *more)
{
    char request[2048];

    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
             "Sec-WebSocket-Version: 13\r\n%s\r\n",
             target, more);
    put_text(fd, request);
}

static int open_ws_with(const struct rig *rig, const char *target, const char *more,
                        char head[4096])
{
    int fd = dial(rig);

    put_request(fd, target, more);
    take_head(fd, head);
    SQ_CHECK(!strncmp(head, "HTTP/1.1 101 ", 13), "%s: %.60s", target, head);
    SQ_CHECK(strstr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "%s: accept key", target);
    return fd;
}

static int open_ws(const struct rig *rig, const char *target)
{
    char head[4096];

    return open_ws_with(rig, target, "", head);
}

static size_t frame_bytes(uint8_t *out, uint8_t first, const void *payload, size_t len)
{
    struct sq_ws_frame frame = {.len = len,
                                .key = 0x3d21fa37,
                                .opcode = first & 15,
                                .fin = first & 0x80,
                                .rsv1 = first & 0x40,
                                .masked = true};

    return sq_ws_frame_write(out, &frame, payload);
}

/* `first`: the frame's first byte. */
static void put_frame(int fd, uint8_t first, const void *payload, size_t len)
{
    uint8_t *wire = sq_xmalloc(len + SQ_WS_HEADER_MAX);

    put(fd, wire, frame_bytes(wire, first, payload, len));
    free(wire);
}

struct frame {
    uint8_t first; /* 0: none came */
    size_t len;
    uint8_t *data; /* owned; NUL-terminated */
};

static struct frame take_frame(int fd)
{
    struct frame f = {0};
    uint8_t head[2], more[8];

    if (!take(fd, head, 2))
        return f;
    SQ_CHECK(!(head[1] & 0x80), "a server does not mask");
    f.len = head[1];
    if (head[1] >= 126) {
        size_t bytes = head[1] == 126 ? 2 : 8;
        if (!take(fd, more, bytes))
            return f;
        f.len = 0;
        for (size_t i = 0; i < bytes; i++)
            f.len = f.len << 8 | more[i];
    }
    if (f.len > 1 << 26)
        return f;
    f.data = sq_xcalloc(1, f.len + 1);
    if (take(fd, f.data, f.len))
        f.first = head[0];
    return f;
}

static void expect_frame(int fd, uint8_t first, const void *payload, size_t len, const char *what)
{
    struct frame f = take_frame(fd);

    SQ_CHECK_EQ(f.first, first, "%s", what);
    SQ_CHECK_EQ(f.len, len, "%s", what);
    if (f.data && f.len == len)
        SQ_CHECK(memcmp(f.data, payload, len) == 0, "%s: content", what);
    free(f.data);
}

static void expect_close(int fd, unsigned code, const char *what)
{
    struct frame f = take_frame(fd);
    unsigned got = f.len >= 2 && f.data ? (unsigned)(f.data[0] << 8 | f.data[1]) : 1005;

    SQ_CHECK_EQ(f.first, 0x88, "%s", what);
    SQ_CHECK_EQ(got, code, "%s", what);
    free(f.data);
}

static const struct sq_echo_options no_options;

/* ---- echo ---- */

SQ_TEST(echo_messages_of_all_lengths)
{
    static const size_t lengths[] = {0,     1,     125,    126,    127,     4096,   65535,
                                     65536, 65537, 262144, 262145, 1 << 20, 5000000};
    struct rig rig;
    size_t max = 5000000;
    uint8_t *data = sq_xmalloc(max);

    for (size_t i = 0; i < max; i++)
        data[i] = (uint8_t)('a' + i * 7 % 26);
    rig_start(&rig, &no_options);
    int fd = open_ws(&rig, "/echo");
    for (size_t i = 0; i < SQ_COUNT(lengths); i++)
        for (uint8_t first = 0x81; first <= 0x82; first++) {
            put_frame(fd, first, data, lengths[i]);
            expect_frame(fd, first, data, lengths[i], "echo");
        }
    close(fd);
    struct sq_echo_stats stats = rig_stop(&rig);
    SQ_CHECK_EQ(stats.messages, 2 * SQ_COUNT(lengths), "counted");
    SQ_CHECK_EQ(stats.opened, 1, "counted");
    free(data);
}

SQ_TEST(echo_many_frames_in_one_write)
{
    struct rig rig;
    enum { COUNT = 3000 };
    uint8_t *wire = sq_xmalloc(COUNT * 40);
    size_t len = 0;
    char text[16];

    rig_start(&rig, &no_options);
    int fd = open_ws(&rig, "/");
    for (int i = 0; i < COUNT; i++) {
        int n = snprintf(text, sizeof text, "m%d", i);
        len += frame_bytes(wire + len, 0x81, text, (size_t)n);
    }
    put(fd, wire, len);
    for (int i = 0; i < COUNT; i++) {
        int n = snprintf(text, sizeof text, "m%d", i);
        expect_frame(fd, 0x81, text, (size_t)n, text);
    }
    close(fd);
    rig_stop(&rig);
    free(wire);
}

/* Request, a message in fragments around a ping, and a Close: cut at every byte. */
SQ_TEST(echo_any_cut)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct rig rig;
    uint8_t wire[512];
    char head[4096];
    size_t len = sizeof request - 1;

    memcpy(wire, request, len);
    len += frame_bytes(wire + len, 0x01, "\xe2\x82", 2);
    len += frame_bytes(wire + len, 0x89, "ping", 4);
    len += frame_bytes(wire + len, 0x00, "", 0);
    len += frame_bytes(wire + len, 0x80, "\xac!", 2);
    len += frame_bytes(wire + len, 0x82, "plain", 5);
    len += frame_bytes(wire + len, 0x88, "\x0f\xa0why", 5);
    rig_start(&rig, &no_options);
    for (size_t cut = 1; cut <= len; cut++) {
        int fd = dial(&rig);
        put(fd, wire, cut);
        if (cut % 8 == 0)
            usleep(300); /* mostly the kernel glues the halves together: part them sometimes */
        put(fd, wire + cut, len - cut);
        take_head(fd, head);
        SQ_CHECK(!strncmp(head, "HTTP/1.1 101 ", 13), "cut at %zu: %.40s", cut, head);
        expect_frame(fd, 0x8a, "ping", 4, "pong");
        expect_frame(fd, 0x81, "\xe2\x82\xac!", 4, "text");
        expect_frame(fd, 0x82, "plain", 5, "binary");
        expect_frame(fd, 0x88, "\x0f\xa0", 2, "close");
        SQ_CHECK(at_end(fd), "the server closes first");
        close(fd);
    }
    int fd = dial(&rig);
    for (size_t i = 0; i < len; i++) { /* byte by byte */
        put(fd, wire + i, 1);
        usleep(100);
    }
    take_head(fd, head);
    expect_frame(fd, 0x8a, "ping", 4, "pong");
    expect_frame(fd, 0x81, "\xe2\x82\xac!", 4, "text");
    close(fd);
    rig_stop(&rig);
}

static const struct {
    const char *name, *wire;
    size_t len;
    unsigned code;
} wrong[] = {
    {"unmasked", "\x81\x02hi", 4, 1002},
    {"reserved opcode", "\x83\x80\0\0\0\0", 6, 1002},
    {"reserved bit", "\xa1\x80\0\0\0\0", 6, 1002},
    {"RSV1 without deflate", "\xc1\x80\0\0\0\0", 6, 1002},
    {"continuation of nothing", "\x80\x80\0\0\0\0", 6, 1002},
    {"message in a message", "\x01\x80\0\0\0\0\x81\x80\0\0\0\0", 12, 1002},
    {"long ping", "\x89\xfe\x00\x7e\0\0\0\0", 8, 1002},
    {"fragmented ping", "\x09\x80\0\0\0\0", 6, 1002},
    {"2^63 bytes", "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, 1002},
    {"2^40 bytes announced", "\x82\xff\0\0\1\0\0\0\0\0\0\0\0\0", 14, 1009},
    {"bad UTF-8", "\x81\x82\0\0\0\0\xc3\x28", 8, 1007},
    {"bad UTF-8 in a fragment", "\x01\x81\0\0\0\0\xff", 7, 1007},
    {"cut UTF-8", "\x81\x81\0\0\0\0\xc3", 7, 1007},
    {"cut UTF-8 over fragments", "\x01\x81\0\0\0\0\xc3\x80\x80\0\0\0\0", 13, 1007},
    {"Close of one byte", "\x88\x81\0\0\0\0\x03", 7, 1002},
    {"Close 1006", "\x88\x82\0\0\0\0\x03\xee", 8, 1002},
    {"Close with bad UTF-8", "\x88\x83\0\0\0\0\x03\xe8\xff", 9, 1007},
};

SQ_TEST(echo_refuses_what_breaks_the_protocol)
{
    struct rig rig;

    rig_start(&rig, &no_options);
    for (size_t i = 0; i < SQ_COUNT(wrong); i++) {
        int fd = open_ws(&rig, "/echo");
        put(fd, wrong[i].wire, wrong[i].len);
        expect_close(fd, wrong[i].code, wrong[i].name);
        SQ_CHECK(at_end(fd), "%s", wrong[i].name);
        close(fd);
    }
    rig_stop(&rig);
}

SQ_TEST(echo_answers_closes_with_their_code)
{
    static const unsigned codes[] = {1000, 1001, 1003, 1011, 1012, 1014, 3000, 4000, 4999};
    struct rig rig;

    rig_start(&rig, &no_options);
    for (size_t i = 0; i < SQ_COUNT(codes); i++) {
        uint8_t payload[] = {(uint8_t)(codes[i] >> 8), (uint8_t)codes[i], 'x'};
        int fd = open_ws(&rig, "/silent");
        put_frame(fd, 0x88, payload, i % 2 ? 3 : 2);
        expect_close(fd, codes[i], "code");
        SQ_CHECK(at_end(fd), "code %u", codes[i]);
        close(fd);
    }
    int fd = open_ws(&rig, "/");
    put_frame(fd, 0x88, "", 0);
    expect_close(fd, 1005, "no code");
    SQ_CHECK(at_end(fd), "no code");
    close(fd);
    rig_stop(&rig);
}

SQ_TEST(echo_message_limit)
{
    struct sq_echo_options options = {.message_bytes_max = 1000};
    struct rig rig;
    char data[1001] = {0};

    memset(data, 'x', 1001);
    rig_start(&rig, &options);
    int fd = open_ws(&rig, "/");
    put_frame(fd, 0x82, data, 1000);
    expect_frame(fd, 0x82, data, 1000, "exactly the limit");
    put_frame(fd, 0x02, data, 600);
    put_frame(fd, 0x80, data, 400);
    expect_frame(fd, 0x82, data, 1000, "exactly the limit in two");
    put_frame(fd, 0x02, data, 600);
    put_frame(fd, 0x80, data, 401);
    expect_close(fd, 1009, "one more in two");
    close(fd);
    fd = open_ws(&rig, "/");
    put_frame(fd, 0x82, data, 1001);
    expect_close(fd, 1009, "one more");
    close(fd);
    rig_stop(&rig);
}

/* A client that writes for ever and does not read is not read either, and costs little. */
SQ_TEST(echo_slow_reader_is_held_back)
{
    struct rig rig;
    enum { MESSAGE = 64 * 1024, MOST = 1000 };
    uint8_t *wire = sq_xmalloc(MESSAGE + SQ_WS_HEADER_MAX), *data = sq_xcalloc(1, MESSAGE);
    size_t len = frame_bytes(wire, 0x82, data, MESSAGE), sent = 0;
    struct timeval brief = {.tv_usec = 300000};

    rig_start(&rig, &no_options);
    int fd = open_ws(&rig, "/");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief);
    size_t at = 0;
    while (sent < MOST) {
        ssize_t n = send(fd, wire + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at = (at + (size_t)n) % len;
        sent += at == 0;
    }
    SQ_CHECK(sent < MOST, "all of it was taken");
    for (size_t i = 0; i < sent; i++)
        expect_frame(fd, 0x82, data, MESSAGE, "what was taken comes back");
    close(fd);
    struct sq_echo_stats stats = rig_stop(&rig);
    SQ_CHECK(stats.messages >= sent, "counted");
    free(data);
    free(wire);
}

SQ_TEST(echo_total_of_buffers_is_bounded)
{
    struct sq_echo_options options = {.buffered_bytes_max = 3 << 20};
    struct rig rig;
    char *data = sq_xcalloc(1, 1 << 20);
    int fds[8];
    unsigned refused = 0;

    rig_start(&rig, &options);
    for (int i = 0; i < 8; i++) { /* unfinished messages of a MiB each */
        fds[i] = open_ws(&rig, "/");
        put_frame(fds[i], 0x02, data, 1 << 20);
        put_frame(fds[i], 0x89, "sync", 4);
        struct frame f = take_frame(fds[i]);
        refused += f.first == 0x88 && f.data[0] == 1013 >> 8 && f.data[1] == (1013 & 255);
        SQ_CHECK(f.first == 0x88 || f.first == 0x8a, "connection %d", i);
        free(f.data);
    }
    SQ_CHECK(refused >= 4 && refused <= 7, "%u of 8 were put out", refused);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    int fd;
    struct frame f = {0};
    for (int tries = 0; tries < 100 && f.first != 0x81; tries++) { /* until the memory is back */
        usleep(1000);
        fd = open_ws(&rig, "/");
        put_frame(fd, 0x81, "on", 2);
        free(f.data);
        f = take_frame(fd);
        close(fd);
    }
    SQ_CHECK_EQ(f.first, 0x81, "others go on");
    free(f.data);
    rig_stop(&rig);
    free(data);
}

/* ---- handshake ---- */

SQ_TEST(echo_handshake_refusals)
{
    static const struct {
        const char *request, *status;
    } table[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 426 "},
        {"\x16\x03\x01\x02\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /refuse?status=503 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 503 "},
        {"GET /refuse HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 403 "},
        {"GET /close?code=x HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "},
    };
    struct rig rig;
    char head[4096];

    rig_start(&rig, &no_options);
    for (size_t i = 0; i < SQ_COUNT(table); i++) {
        int fd = dial(&rig);
        put_text(fd, table[i].request);
        take_head(fd, head);
        SQ_CHECK(!strncmp(head, table[i].status, strlen(table[i].status)), "%zu: %.40s", i, head);
        char rest[512];
        while (recv(fd, rest, sizeof rest, 0) > 0)
            ;
        close(fd);
    }
    int fd = dial(&rig);
    char *line = sq_xmalloc(20000);
    memset(line, 'a', 20000);
    memcpy(line, "GET /", 5);
    put(fd, line, 20000);
    take_head(fd, head);
    SQ_CHECK(!strncmp(head, "HTTP/1.1 431 ", 13), "an endless head: %.40s", head);
    close(fd);
    free(line);
    rig_stop(&rig);
}

SQ_TEST(echo_handshake_has_a_deadline)
{
    struct sq_echo_options options = {.handshake_timeout_ns = 100 * SQ_NS_PER_MS};
    struct rig rig;

    rig_start(&rig, &options);
    int fd = dial(&rig), slow = dial(&rig);
    int64_t start = sq_now_ns();
    put_text(slow, "GET / HTTP/1.1\r\nHost:");
    SQ_CHECK(at_end(fd), "silent");
    SQ_CHECK(at_end(slow), "half a head");
    SQ_CHECK(sq_now_ns() - start > 50 * SQ_NS_PER_MS, "not at once");
    close(fd);
    close(slow);
    SQ_CHECK_EQ(rig_stop(&rig).connections, 0, "none left");
}

SQ_TEST(echo_connection_limit_waits)
{
    struct sq_echo_options options = {.connections_max = 2};
    struct rig rig;
    char head[4096];

    rig_start(&rig, &options);
    int a = open_ws(&rig, "/"), b = open_ws(&rig, "/"), c = dial(&rig);
    put_request(c, "/", "");
    SQ_CHECK(silent_for(c, 100), "the third waits");
    close(a);
    take_head(c, head);
    SQ_CHECK(!strncmp(head, "HTTP/1.1 101 ", 13), "served when one is gone");
    close(b);
    close(c);
    rig_stop(&rig);
}

SQ_TEST(echo_subprotocol_first_named)
{
    struct rig rig;
    char head[4096];

    rig_start(&rig, &no_options);
    int fd = open_ws_with(&rig, "/", "Sec-WebSocket-Protocol: mqtt, chat\r\n", head);
    SQ_CHECK(strstr(head, "Sec-WebSocket-Protocol: mqtt\r\n"), "%s", head);
    close(fd);
    fd = open_ws_with(&rig, "/", "", head);
    SQ_CHECK(!strstr(head, "Sec-WebSocket-Protocol"), "%s", head);
    close(fd);
    rig_stop(&rig);
}

SQ_TEST(echo_cookie)
{
    struct rig rig;
    char head[4096];

    rig_start(&rig, &no_options);
    int fd = open_ws_with(&rig, "/cookie", "Cookie: a=1; b=2\r\n", head);
    SQ_CHECK(strstr(head, "\r\nSet-Cookie: squall_session="), "%s", head);
    expect_frame(fd, 0x81, "a=1; b=2", 8, "the cookies");
    put_frame(fd, 0x81, "then echo", 9);
    expect_frame(fd, 0x81, "then echo", 9, "then echo");
    close(fd);
    fd = open_ws(&rig, "/cookie");
    expect_frame(fd, 0x81, "", 0, "no cookies");
    close(fd);
    fd = open_ws_with(&rig, "/cookie", "Cookie: \xff\r\n", head);
    expect_frame(fd, 0x82, "\xff", 1, "bytes that are no text");
    close(fd);
    rig_stop(&rig);
}

/* ---- routes ---- */

SQ_TEST(echo_push)
{
    struct rig rig;

    rig_start(&rig, &no_options);
    int fd = open_ws(&rig, "/push?interval=5&size=40&count=3");
    int64_t start = sq_now_ns();
    for (int i = 1; i <= 3; i++) {
        struct frame f = take_frame(fd);
        char want[32];
        snprintf(want, sizeof want, "{\"seq\":%d,\"pad\":\"", i);
        SQ_CHECK_EQ(f.first, 0x81, "message %d", i);
        SQ_CHECK_EQ(f.len, 40, "message %d", i);
        SQ_CHECK(f.data && !strncmp((char *)f.data, want, strlen(want)), "%s", f.data);
        free(f.data);
    }
    SQ_CHECK(sq_now_ns() - start >= 10 * SQ_NS_PER_MS, "paced");
    SQ_CHECK(silent_for(fd, 50), "the count is kept");
    put_frame(fd, 0x89, "x", 1);
    expect_frame(fd, 0x8a, "x", 1, "alive");
    close(fd);
    rig_stop(&rig);
}

SQ_TEST(echo_push_flood)
{
    enum { COUNT = 20000 };
    struct rig rig;
    unsigned good = 0;

    rig_start(&rig, &no_options);
    int fd = open_ws(&rig, "/push?interval=0&size=100&count=20000");
    for (int i = 1; i <= COUNT; i++) {
        struct frame f = take_frame(fd);
        good += f.first == 0x81 && f.len == 100 && atoi((char *)f.data + 7) == i;
        free(f.data);
        if (!f.first)
            break;
    }
    SQ_CHECK_EQ(good, COUNT, "in order, none missing");
    SQ_CHECK(silent_for(fd, 50), "the count is kept");
    close(fd);
    fd = open_ws(&rig, "/push?interval=0&size=1000"); /* never read: must not grow for ever */
    int other = open_ws(&rig, "/");
    for (int i = 0; i < 100; i++) {
        put_frame(other, 0x81, "hi", 2);
        expect_frame(other, 0x81, "hi", 2, "others are served meanwhile");
        usleep(1000);
    }
    close(other);
    struct sq_echo_stats stats = rig_stop(&rig);
    SQ_CHECK(stats.buffered_bytes < 1 << 20, "%llu bytes",
             (unsigned long long)stats.buffered_bytes);
    close(fd);
}

SQ_TEST(echo_broadcast_rooms)
{
    struct rig rig;

    rig_start(&rig, &no_options);
    int a = open_ws(&rig, "/broadcast?room=x"), b = open_ws(&rig, "/broadcast?room=x");
    int c = open_ws(&rig, "/broadcast"), d = open_ws(&rig, "/broadcast?room=");
    put_frame(a, 0x81, "one", 3);
    expect_frame(a, 0x81, "one", 3, "the sender");
    expect_frame(b, 0x81, "one", 3, "the room");
    put_frame(c, 0x82, "two", 3);
    expect_frame(c, 0x82, "two", 3, "the sender");
    expect_frame(d, 0x82, "two", 3, "the room without a name");
    put_frame(b, 0x88, "", 0);
    expect_close(b, 1005, "b leaves");
    put_frame(a, 0x81, "three", 5);
    expect_frame(a, 0x81, "three", 5, "alone now");
    SQ_CHECK(silent_for(c, 20), "nothing crosses");
    close(a), close(b), close(c), close(d);
    rig_stop(&rig);
}

SQ_TEST(echo_broadcast_puts_slow_members_out)
{
    struct rig rig;
    char *data = sq_xcalloc(1, 1 << 20);

    rig_start(&rig, &no_options);
    int slow = open_ws(&rig, "/broadcast"), sender = open_ws(&rig, "/broadcast");
    for (int i = 0; i < 30; i++) {
        put_frame(sender, 0x82, data, 1 << 20);
        expect_frame(sender, 0x82, data, 1 << 20, "the sender keeps up");
    }
    unsigned messages = 0;
    struct frame f;
    for (;;) {
        f = take_frame(slow);
        if (f.first != 0x82)
            break;
        messages++;
        free(f.data);
    }
    SQ_CHECK(messages < 30, "not all of them");
    /* Its output may be cut off after a second; what was complete is in order. */
    SQ_CHECK(f.first == 0 || (f.first == 0x88 && f.data[1] == (1008 & 255)), "put out");
    free(f.data);
    close(slow);
    close(sender);
    rig_stop(&rig);
    free(data);
}

SQ_TEST(echo_close_on_request)
{
    struct rig rig;

    rig_start(&rig, &no_options);
    int fd = open_ws(&rig, "/close?code=4321&reason=so%20long");
    expect_frame(fd, 0x88, "\x10\xe1so long", 9, "at once");
    put_frame(fd, 0x81, "ignored", 7);
    put_frame(fd, 0x89, "ignored", 7);
    put_frame(fd, 0x88, "\x10\xe1", 2);
    SQ_CHECK(at_end(fd), "nothing but the end");
    close(fd);

    fd = open_ws(&rig, "/close?code=1005&after=60");
    int64_t start = sq_now_ns();
    put_frame(fd, 0x81, "still", 5);
    expect_frame(fd, 0x81, "still", 5, "echoes until then");
    expect_frame(fd, 0x88, "", 0, "an empty Close");
    SQ_CHECK(sq_now_ns() - start >= 40 * SQ_NS_PER_MS, "later");
    close(fd);
    rig_stop(&rig);
}

SQ_TEST(echo_ping_route)
{
    struct rig rig;

    rig_start(&rig, &no_options);
    int fd = open_ws(&rig, "/ping?interval=5");
    for (int i = 0; i < 3; i++) {
        expect_frame(fd, 0x89, "squall", 6, "ping");
        put_frame(fd, 0x8a, "squall", 6);
    }
    close(fd);
    rig_stop(&rig);
}

SQ_TEST(echo_silent_and_stall)
{
    struct sq_echo_options options = {.connections_max = 2};
    struct rig rig;

    rig_start(&rig, &options);
    int silent = open_ws(&rig, "/silent"), stall = open_ws(&rig, "/stall");
    put_frame(silent, 0x81, "x", 1);
    put_frame(stall, 0x89, "x", 1);
    SQ_CHECK(silent_for(silent, 50), "silent");
    SQ_CHECK(silent_for(stall, 50), "stalled, even for a ping");
    put_frame(silent, 0x89, "p", 1);
    expect_frame(silent, 0x8a, "p", 1, "silent answers pings");
    close(silent);
    close(stall);
    /* Only two at a time: when both of these open, the stalled one has been noticed, too. */
    int next = open_ws(&rig, "/"), last = open_ws(&rig, "/");
    close(next);
    close(last);
    rig_stop(&rig);
}

SQ_TEST(echo_slow_handshake)
{
    struct rig rig;
    char head[4096];

    rig_start(&rig, &no_options);
    int fd = dial(&rig);
    int64_t start = sq_now_ns();
    put_request(fd, "/slow?ms=120", "");
    put_frame(fd, 0x81, "early", 5);
    SQ_CHECK(silent_for(fd, 60), "held back");
    take_head(fd, head);
    SQ_CHECK(!strncmp(head, "HTTP/1.1 101 ", 13), "%.40s", head);
    SQ_CHECK(sq_now_ns() - start >= 110 * SQ_NS_PER_MS, "late");
    expect_frame(fd, 0x81, "early", 5, "what was sent early counts");
    close(fd);
    rig_stop(&rig);
}

/* ---- compression ---- */

SQ_TEST(echo_deflate)
{
    struct rig rig;
    struct sq_ws_deflate_pool *pool = sq_ws_deflate_pool_new();
    struct sq_ws_deflate client;
    struct sq_ws_deflate_options options = {.agreed = {.enabled = true,
                                                       .server_no_context_takeover = true,
                                                       .client_no_context_takeover = true}};
    char head[4096], text[2000];

    rig_start(&rig, &no_options);
    int fd = open_ws_with(&rig, "/", "Sec-WebSocket-Extensions: permessage-deflate\r\n", head);
    SQ_CHECK(strstr(head, "permessage-deflate"), "%s", head);
    SQ_CHECK(strstr(head, "server_no_context_takeover"), "%s", head);
    SQ_CHECK(strstr(head, "client_no_context_takeover"), "%s", head);
    sq_ws_deflate_init(&client, pool, &options);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "squall "[i % 7];
    for (int round = 0; round < 3; round++) {
        struct sq_buf small = {0}, back = {0};
        SQ_CHECK_EQ(sq_ws_deflate_message(&client, sq_slice(text, sizeof text), &small), 1,
                    "compressed");
        /* In two frames, RSV1 on the first only. */
        put_frame(fd, 0x41, small.data, 5);
        put_frame(fd, 0x80, small.data + 5, small.len - 5);
        struct frame f = take_frame(fd);
        SQ_CHECK_EQ(f.first, 0xc1, "round %d", round);
        SQ_CHECK(f.len < 200, "%zu bytes", f.len);
        SQ_CHECK_EQ(sq_ws_inflate(&client, sq_slice(f.data, f.len), true, 10000, &back), 0,
                    "inflates alone");
        SQ_CHECK(sq_slice_eq(sq_buf_slice(&back), sq_slice(text, sizeof text)), "round %d", round);
        free(f.data);
        sq_buf_deinit(&small);
        sq_buf_deinit(&back);
    }
    put_frame(fd, 0x81, "plain", 5);
    struct frame f = take_frame(fd);
    SQ_CHECK(f.first == 0x81 || f.first == 0xc1, "a plain one passes");
    free(f.data);
    put_frame(fd, 0xc1, "\xff\xff\xff\xff", 4);
    expect_close(fd, 1007, "bad data");
    close(fd);
    rig_stop(&rig);

    struct sq_echo_options without = {.no_deflate = true};
    rig_start(&rig, &without);
    fd = open_ws_with(&rig, "/", "Sec-WebSocket-Extensions: permessage-deflate\r\n", head);
    SQ_CHECK(!strstr(head, "Sec-WebSocket-Extensions"), "%s", head);
    close(fd);
    rig_stop(&rig);
    sq_ws_deflate_deinit(&client);
    sq_ws_deflate_pool_free(pool);
}

SQ_TEST(echo_deflate_bomb)
{
    struct sq_echo_options options = {.message_bytes_max = 1 << 20};
    struct rig rig;
    struct sq_ws_deflate_pool *pool = sq_ws_deflate_pool_new();
    struct sq_ws_deflate client;
    struct sq_ws_deflate_options agreed = {.agreed = {.enabled = true,
                                                      .server_no_context_takeover = true,
                                                      .client_no_context_takeover = true}};
    struct sq_buf small = {0};
    size_t bytes = 32 << 20;
    uint8_t *zeros = sq_xcalloc(1, bytes);
    char head[4096];

    rig_start(&rig, &options);
    sq_ws_deflate_init(&client, pool, &agreed);
    SQ_CHECK_EQ(sq_ws_deflate_message(&client, sq_slice(zeros, bytes), &small), 1, "compressed");
    int fd = open_ws_with(&rig, "/", "Sec-WebSocket-Extensions: permessage-deflate\r\n", head);
    put_frame(fd, 0xc2, small.data, small.len);
    expect_close(fd, 1009, "bomb");
    close(fd);
    SQ_CHECK(rig_stop(&rig).buffered_bytes < 4 << 20, "little was kept");
    sq_ws_deflate_deinit(&client);
    sq_ws_deflate_pool_free(pool);
    sq_buf_deinit(&small);
    free(zeros);
}

/* ---- TLS ---- */

SQ_TEST(echo_tls_self_signed)
{
    struct sq_echo_options options = {.tls = true};
    struct rig rig;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    char request[] = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n";
    enum { BYTES = 300000 };
    uint8_t *wire = sq_xmalloc(BYTES + SQ_WS_HEADER_MAX), *data = sq_xcalloc(1, BYTES);
    char head[512] = {0};

    rig_start(&rig, &options);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        int fd = dial(&rig);
        SSL *ssl = SSL_new(ctx);
        SSL_set_min_proto_version(ssl, version);
        SSL_set_max_proto_version(ssl, version);
        SSL_set_fd(ssl, fd);
        SQ_CHECK_EQ(SSL_connect(ssl), 1, "TLS handshake");
        SSL_write(ssl, request, sizeof request - 1);
        int n = SSL_read(ssl, head, sizeof head - 1);
        SQ_CHECK(n > 12 && !strncmp(head, "HTTP/1.1 101", 12), "%.40s", head);
        for (size_t len = 10; len <= BYTES; len *= 10) {
            size_t wire_len = frame_bytes(wire, 0x82, data, len), got = 0;
            size_t want = len + (len < 126 ? 2 : len < 65536 ? 4 : 10);
            SQ_CHECK_EQ(SSL_write(ssl, wire, (int)wire_len), (int)wire_len, "write");
            while (got < want && (n = SSL_read(ssl, wire, BYTES)) > 0)
                got += (size_t)n;
            SQ_CHECK_EQ(got, want, "%zu bytes", len);
        }
        size_t wire_len = frame_bytes(wire, 0x88, "\x03\xe8", 2);
        SSL_write(ssl, wire, (int)wire_len);
        SQ_CHECK_EQ(SSL_read(ssl, wire, BYTES), 4, "Close");
        SQ_CHECK_EQ(SSL_get_error(ssl, SSL_read(ssl, wire, BYTES)), SSL_ERROR_ZERO_RETURN,
                    "close_notify");
        SSL_free(ssl);
        close(fd);
    }
    int fd = dial(&rig); /* not TLS at all */
    put_text(fd, request);
    char byte[64];
    while (recv(fd, byte, sizeof byte, 0) > 0)
        ;
    close(fd);
    SQ_CHECK_EQ(rig_stop(&rig).opened, 2, "opened");
    SSL_CTX_free(ctx);
    free(data);
    free(wire);
}

/* ---- life ---- */

SQ_TEST(echo_start_says_what_is_wrong)
{
    struct sq_loop *loop;
    struct sq_echo *echo, *second;
    struct sq_error err = {0};

    SQ_CHECK_EQ(sq_loop_new(&loop, &err), 0, "loop");
    struct sq_echo_options bad = {.address = "not.an.address"};
    SQ_CHECK_EQ(sq_echo_start(loop, &bad, &echo, &err), SQ_EINVALID, "address");
    SQ_CHECK(strstr(err.text, "not.an.address"), "%s", err.text);
    bad = (struct sq_echo_options){.tls = true, .tls_cert = "/nonexistent", .tls_key = "/none"};
    err = (struct sq_error){0};
    SQ_CHECK_EQ(sq_echo_start(loop, &bad, &echo, &err), SQ_ETLS, "certificate");
    SQ_CHECK(strstr(err.text, "/nonexistent"), "%s", err.text);
    bad.tls_key = NULL;
    SQ_CHECK_EQ(sq_echo_start(loop, &bad, &echo, NULL), SQ_EINVALID, "half a pair");
    SQ_CHECK_EQ(sq_echo_start(loop, &no_options, &echo, &err), 0, "good");
    struct sq_echo_options same = {.port = sq_echo_port(echo)};
    err = (struct sq_error){0};
    SQ_CHECK_EQ(sq_echo_start(loop, &same, &second, &err), -EADDRINUSE, "taken");
    SQ_CHECK(err.text[0], "in words");
    sq_echo_stop(echo);
    sq_echo_stop(NULL);
    sq_loop_free(loop);
}

SQ_TEST(echo_stop_says_goodbye)
{
    struct rig rig;

    rig_start(&rig, &no_options);
    int a = open_ws(&rig, "/"), b = open_ws(&rig, "/broadcast"), c = open_ws(&rig, "/push");
    int d = dial(&rig);
    put_text(d, "GET /");
    rig_stop(&rig);
    expect_close(a, 1001, "echo");
    expect_close(b, 1001, "broadcast");
    expect_close(c, 1001, "push");
    SQ_CHECK(at_end(a) && at_end(d), "closed");
    close(a), close(b), close(c), close(d);
}

SQ_TEST(echo_many_connections)
{
    enum { MANY = 300 };
    struct rig rig;
    int fds[MANY];

    rig_start(&rig, &no_options);
    for (int i = 0; i < MANY; i++)
        fds[i] = open_ws(&rig, "/");
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < MANY; i++)
            put_frame(fds[i], 0x81, &i, 0);
        for (int i = 0; i < MANY; i++)
            expect_frame(fds[i], 0x81, "", 0, "empty");
    }
    for (int i = 0; i < MANY; i += 2)
        close(fds[i]);
    for (int i = 1; i < MANY; i += 2) {
        put_frame(fds[i], 0x82, "x", 1);
        expect_frame(fds[i], 0x82, "x", 1, "the others");
        close(fds[i]);
    }
    struct sq_echo_stats stats = rig_stop(&rig);
    SQ_CHECK_EQ(stats.opened, MANY, "opened");
    SQ_CHECK_EQ(stats.messages, MANY * 5 + MANY / 2, "messages");
}
