/* SPDX-License-Identifier: Apache-2.0 */
/* The floor that squall is measured against: the least a WebSocket client can do. One thread, one
 * epoll, a handshake that is written out, frames that are made once; no JSON, no script, no check
 * of what comes back but its length. Prints one line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, READ_BYTES = 256 * 1024, CONNECTIONS_MAX = 100000 };

enum mode { MODE_ECHO, MODE_CHURN, MODE_IDLE };

static const char *const mode_names[] = {"echo", "churn", "idle"};

enum phase { CONNECTING, UPGRADING, OPEN, CLOSING };

struct connection {
    int fd;
    enum phase phase;
    uint32_t got;  /* bytes of the head or of the frame in progress */
    uint64_t left; /* messages still to be sent */
};

static struct {
    enum mode mode;
    struct sockaddr_in server;
    const char *path;
    long connections, messages, bytes;
    double seconds;
} opt = {.path = "/echo", .connections = 50, .bytes = 64};

static struct {
    int epoll;
    struct connection *all;
    long open, running, messages, started, closed, failed;
    char request[512];
    size_t request_len;
    uint8_t *frame;
    size_t frame_len, reply_len;
    double deadline;
    uint8_t *read_buffer;
} run;

static const uint8_t close_frame[] = {0x88, 0x82, 0x11, 0x22, 0x33, 0x44, 0x12, 0xca};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void start(struct connection *c);

static void make_frame(void)
{
    size_t len = (size_t)opt.bytes, head = 2;

    run.frame = malloc(len + 14);
    run.frame[0] = 0x81;
    if (len < 126) {
        run.frame[1] = (uint8_t)(0x80 | len);
    } else if (len < 65536) {
        run.frame[1] = 0x80 | 126;
        run.frame[2] = (uint8_t)(len >> 8);
        run.frame[3] = (uint8_t)len;
        head = 4;
    } else {
        run.frame[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            run.frame[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
        head = 10;
    }
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    memcpy(run.frame + head, key, 4);
    for (size_t i = 0; i < len; i++)
        run.frame[head + 4 + i] = (uint8_t)('a' + i % 26) ^ key[i % 4];
    run.frame_len = head + 4 + len;
    run.reply_len = head + len;
}

static void finish(struct connection *c)
{
    if (c->phase == OPEN)
        run.open--;
    close(c->fd);
    c->fd = -1;
    run.running--;
    run.closed++;
    if (opt.mode == MODE_CHURN && run.started < opt.messages)
        start(c);
}

static void fail(struct connection *c, const char *what)
{
    if (run.failed++ == 0)
        fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    finish(c);
}

static void put(struct connection *c, const void *data, size_t len)
{
    /* One message is under way on a connection, so what does not fit at once is a large message. */
    for (size_t at = 0; at < len;) {
        ssize_t n = send(c->fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            usleep(50);
            continue;
        }
        if (n < 0)
            return; /* the read that follows sees the end */
        at += (size_t)n;
    }
}

static void start(struct connection *c)
{
    int one = 1;

    run.started++;
    run.running++;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->phase = CONNECTING;
    c->got = 0;
    int rc = connect(c->fd, (struct sockaddr *)&opt.server, sizeof opt.server);
    if (rc < 0 && errno != EINPROGRESS)
        die("connect");
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
        die("epoll_ctl");
}

static void connected(struct connection *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    int error = 0;
    socklen_t len = sizeof error;

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        errno = error;
        fail(c, "connect");
        return;
    }
    epoll_ctl(run.epoll, EPOLL_CTL_MOD, c->fd, &e);
    put(c, run.request, run.request_len);
    c->phase = UPGRADING;
}

static void say_goodbye(struct connection *c)
{
    put(c, close_frame, sizeof close_frame);
    run.open--;
    c->phase = CLOSING;
}

static void send_next(struct connection *c)
{
    bool over = opt.seconds > 0 ? now() >= run.deadline : c->left == 0;

    if (over) {
        say_goodbye(c);
        return;
    }
    c->left--;
    put(c, run.frame, run.frame_len);
}

/* The head of the answer; what follows it belongs to the frames, but no peer of ours talks first.
 */
static void upgraded(struct connection *c, const uint8_t *data, size_t len)
{
    if (c->got == 0 && (len < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0)) {
        errno = EPROTO;
        fail(c, "the server did not upgrade");
        return;
    }
    c->got += (uint32_t)len;
    if (len < 4 || memcmp(data + len - 4, "\r\n\r\n", 4) != 0)
        return;
    c->got = 0;
    c->phase = OPEN;
    run.open++;
    if (opt.mode == MODE_CHURN)
        say_goodbye(c);
    else if (opt.mode == MODE_ECHO)
        send_next(c);
}

static void readable(struct connection *c)
{
    ssize_t n = recv(c->fd, run.read_buffer, READ_BYTES, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        if (c->phase == CLOSING)
            finish(c);
        else
            fail(c, "the server closed");
        return;
    }
    if (c->phase == UPGRADING) {
        upgraded(c, run.read_buffer, (size_t)n);
    } else if (c->phase == OPEN && opt.mode == MODE_ECHO) {
        c->got += (uint32_t)n;
        while (c->phase == OPEN && c->got >= run.reply_len) {
            c->got -= (uint32_t)run.reply_len;
            run.messages++;
            send_next(c);
        }
    }
}

static void loop(void)
{
    struct epoll_event events[EVENTS];

    while (run.running > 0) {
        int wait_ms = -1;
        if (opt.mode == MODE_IDLE) {
            if (now() >= run.deadline)
                return;
            wait_ms = 100;
        }
        int n = epoll_wait(run.epoll, events, EVENTS, wait_ms);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->phase == CONNECTING)
                connected(c);
            else
                readable(c);
        }
    }
}

static void usage(void)
{
    fputs("usage: floor echo|churn|idle --port N [--host ADDRESS] [--path PATH]\n"
          "       [--connections N] [--messages N | --seconds T] [--bytes N]\n"
          "echo:  messages are echoes, over all connections\n"
          "churn: messages are connections, --connections of them at a time\n"
          "idle:  holds the connections for --seconds\n",
          stderr);
    exit(2);
}

static void parse(int argc, char **argv)
{
    opt.server.sin_family = AF_INET;
    opt.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc < 2)
        usage();
    for (opt.mode = 0; strcmp(mode_names[opt.mode], argv[1]) != 0; opt.mode++)
        if (opt.mode == MODE_IDLE)
            usage();
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value)
            usage();
        if (!strcmp(name, "--port"))
            opt.server.sin_port = htons((uint16_t)atoi(value));
        else if (!strcmp(name, "--host") && inet_pton(AF_INET, value, &opt.server.sin_addr) == 1)
            continue;
        else if (!strcmp(name, "--path"))
            opt.path = value;
        else if (!strcmp(name, "--connections"))
            opt.connections = atol(value);
        else if (!strcmp(name, "--messages"))
            opt.messages = atol(value);
        else if (!strcmp(name, "--seconds"))
            opt.seconds = atof(value);
        else if (!strcmp(name, "--bytes"))
            opt.bytes = atol(value);
        else
            usage();
    }
    bool endless =
        opt.mode == MODE_CHURN ? opt.messages <= 0 : opt.messages <= 0 && opt.seconds <= 0;
    if (!opt.server.sin_port || opt.connections < 1 || opt.connections > CONNECTIONS_MAX ||
        opt.bytes < 0 || opt.bytes > 1 << 26 || endless)
        usage();
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.all = calloc((size_t)opt.connections, sizeof *run.all);
    run.read_buffer = malloc(READ_BYTES);
    make_frame();
    run.request_len = (size_t)snprintf(run.request, sizeof run.request,
                                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                                       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                       "Sec-WebSocket-Version: 13\r\n\r\n",
                                       opt.path, ntohs(opt.server.sin_port));

    double begin = now(), cpu_begin = cpu_seconds();
    run.deadline = begin + opt.seconds;
    for (long i = 0; i < opt.connections; i++) {
        long share = opt.messages / opt.connections + (i < opt.messages % opt.connections);
        run.all[i].left = (uint64_t)share;
        if (opt.mode == MODE_CHURN && run.started >= opt.messages)
            break;
        start(&run.all[i]);
    }
    loop();
    double wall = now() - begin, cpu = cpu_seconds() - cpu_begin;
    long work = opt.mode == MODE_ECHO    ? run.messages
                : opt.mode == MODE_CHURN ? run.closed - run.failed
                                         : run.open;
    printf("{\"mode\":\"%s\",\"connections\":%ld,\"messages\":%ld,\"failed\":%ld,\"wall_s\":%.4f,"
           "\"cpu_s\":%.4f,\"cpu_us_per_message\":%.3f}\n",
           mode_names[opt.mode], opt.connections, work, run.failed, wall, cpu,
           work ? cpu * 1e6 / (double)work : 0.0);
    return run.failed ? 1 : 0;
}
