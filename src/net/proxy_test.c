/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net_kit.h"

SQ_TEST(proxy_no_proxy_table)
{
    static const struct {
        const char *list, *host;
        uint16_t port;
        bool direct;
    } cases[] = {
        {"", "h.test", 80, false},
        {NULL, "localhost", 80, true},
        {NULL, "LOCALHOST", 80, true},
        {NULL, "127.5.0.1", 80, true},
        {NULL, "::1", 80, true},
        {NULL, "10.0.0.1", 80, false},
        {"*", "h.test", 80, true},
        {"h.test", "h.test", 80, true},
        {"H.Test", "h.tEST", 80, true},
        {"h.test", "h.test.", 80, true},
        {"h.test", "sub.h.test", 80, true},
        {"h.test", "xh.test", 80, false},
        {".h.test", "h.test", 80, false},
        {".h.test", "sub.h.test", 80, true},
        {"*.h.test", "sub.h.test", 80, true},
        {"*.h.test", "h.test", 80, false},
        {"h.test:81", "h.test", 80, false},
        {"h.test:80", "h.test", 80, true},
        {"h.test:80", "sub.h.test", 80, true},
        {" o.test , h.test ", "h.test", 80, true},
        {",,h.test", "h.test", 80, true},
        {"10.0.0.0/8", "10.1.2.3", 80, true},
        {"10.0.0.0/8", "11.1.2.3", 80, false},
        {"10.0.0.0/8", "h.test", 80, false},
        {"10.0.0.1", "10.0.0.1", 80, true},
        {"10.0.0.1:81", "10.0.0.1", 80, false},
        {"10.0.0.1:80", "10.0.0.1", 80, true},
        {"fd00::/8", "fd00::1", 80, true},
        {"[fd00::1]:80", "fd00::1", 80, true},
        {"h.test:x", "h.test", 80, false},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        SQ_CHECK_EQ(sq_proxy_excluded(cases[i].list, sq_slice_str(cases[i].host), cases[i].port),
                    cases[i].direct, "NO_PROXY=%s %s", cases[i].list ? cases[i].list : "",
                    cases[i].host);
}

SQ_TEST(proxy_urls)
{
    static const struct {
        const char *url;
        int kind; /* -1: refused */
        const char *host;
        uint16_t port;
        const char *user, *password;
    } cases[] = {
        {"http://p.test", SQ_PROXY_HTTP, "p.test", 80, NULL, NULL},
        {"p.test:3128", SQ_PROXY_HTTP, "p.test", 3128, NULL, NULL},
        {"HTTPS://p.test/", SQ_PROXY_HTTPS, "p.test", 443, NULL, NULL},
        {"socks5://p.test", SQ_PROXY_SOCKS5, "p.test", 1080, NULL, NULL},
        {"socks5h://p.test:1", SQ_PROXY_SOCKS5, "p.test", 1, NULL, NULL},
        {"http://u:p@p.test", SQ_PROXY_HTTP, "p.test", 80, "u", "p"},
        {"http://u%40x:p%3a%zz@p.test", SQ_PROXY_HTTP, "p.test", 80, "u@x", "p:%zz"},
        {"http://u@p.test", SQ_PROXY_HTTP, "p.test", 80, "u", ""},
        {"http://[::1]:8", SQ_PROXY_HTTP, "::1", 8, NULL, NULL},
        {"ftp://p.test", -1, NULL, 0, NULL, NULL},
        {"http://", -1, NULL, 0, NULL, NULL},
        {"http://p.test:99999", -1, NULL, 0, NULL, NULL},
        {"http://p.test:0", -1, NULL, 0, NULL, NULL},
        {"http://p.test:8x", -1, NULL, 0, NULL, NULL},
        {"http://[::1", -1, NULL, 0, NULL, NULL},
        {"http://u:secret@:x", -1, NULL, 0, NULL, NULL},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_net_options o = {.http_proxy = cases[i].url};
        struct sq_proxy_choice choice;
        const struct sq_proxy *p;
        const char *text = "";
        sq_proxy_choice_init(&choice, &o);
        int rc = sq_proxy_choose(&choice, false, sq_slice_str("h.test"), 80, &p, &text);
        SQ_CHECK_EQ(rc, cases[i].kind < 0 ? SQ_EPROXY : 0, "%s: %s", cases[i].url, text);
        if (rc == 0 && p) {
            SQ_CHECK_EQ(p->kind, cases[i].kind, "%s", cases[i].url);
            SQ_CHECK_STR(p->host, cases[i].host);
            SQ_CHECK_EQ(p->port, cases[i].port, "%s", cases[i].url);
            SQ_CHECK_STR(p->user ? p->user : "-", cases[i].user ? cases[i].user : "-");
            SQ_CHECK_STR(p->password ? p->password : "-",
                         cases[i].password ? cases[i].password : "-");
        }
        SQ_CHECK(!strstr(text, "secret"), "a password in a message: %s", text);
        SQ_CHECK_EQ(sq_proxy_choose(&choice, true, sq_slice_str("h.test"), 443, &p, &text), 0);
        SQ_CHECK(p == NULL, "HTTP_PROXY is for ws alone");
        sq_proxy_choice_deinit(&choice);
    }
}

/* ---- dialogues, pure ---- */

struct script {
    const char *name;
    enum sq_proxy_kind kind;
    bool login;
    const char *target;
    const char *sent; /* what we say, all of it */
    size_t sent_len;
    const char *wire; /* what the proxy says */
    size_t wire_len;
    int want;         /* of the last feed */
    const char *text; /* on failure */
    const char *rest; /* tunnel bytes glued to the answer */
};
#define BYTES(s) (s), sizeof(s) - 1
#define CONNECT "CONNECT h.test:80 HTTP/1.1\r\nHost: h.test:80\r\n\r\n"
#define SOCKS_H "\x05\x01\x00\x05\x01\x00\x03\x06h.test\x00\x50"
#define SOCKS_HELLO "\x05\x01\x00"
#define SOCKS_FAIL(text) "socks connect tcp p.test:8->h.test:80: " text

static const struct script scripts[] = {
    {"200", SQ_PROXY_HTTP, false, "h.test", BYTES(CONNECT), BYTES("HTTP/1.1 200 OK\r\n\r\n"), 1,
     NULL, ""},
    {"299 with fields and glued bytes", SQ_PROXY_HTTP, false, "h.test", BYTES(CONNECT),
     BYTES("HTTP/1.0 299 Yes\r\nVia: x\r\n\r\nTUNNEL"), 1, NULL, "TUNNEL"},
    {"100 first", SQ_PROXY_HTTP, false, "h.test", BYTES(CONNECT),
     BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nT"), 1, NULL, "T"},
    {"basic login", SQ_PROXY_HTTP, true, "h.test",
     BYTES("CONNECT h.test:80 HTTP/1.1\r\nHost: h.test:80\r\nProxy-Authorization: Basic "
           "dXNlcjpwYXNz\r\n\r\n"),
     BYTES("HTTP/1.1 200 OK\r\n\r\n"), 1, NULL, ""},
    {"v6 target", SQ_PROXY_HTTP, false, "fd00::1",
     BYTES("CONNECT [fd00::1]:80 HTTP/1.1\r\nHost: [fd00::1]:80\r\n\r\n"),
     BYTES("HTTP/1.1 200 OK\r\n\r\n"), 1, NULL, ""},
    {"407", SQ_PROXY_HTTP, false, "h.test", BYTES(CONNECT),
     BYTES("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), SQ_EPROXY,
     "Proxy Authentication Required", NULL},
    {"502 without words, WS-146", SQ_PROXY_HTTP, false, "h.test", BYTES(CONNECT),
     BYTES("HTTP/1.1 502\r\n\r\n"), SQ_EPROXY, "502", NULL},
    {"101 is no tunnel", SQ_PROXY_HTTP, false, "h.test", BYTES(CONNECT),
     BYTES("HTTP/1.1 101 Switching\r\n\r\n"), SQ_EPROXY, "Switching", NULL},
    {"no HTTP", SQ_PROXY_HTTP, false, "h.test", BYTES(CONNECT), BYTES("SSH-2.0-x\r\n\r\n"),
     SQ_EPROXY, "proxy: malformed answer to CONNECT: *", NULL},
    {"socks by name", SQ_PROXY_SOCKS5, false, "h.test", BYTES(SOCKS_H),
     BYTES("\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50TUNNEL"), 1, NULL, "TUNNEL"},
    {"socks, bound to a name", SQ_PROXY_SOCKS5, false, "h.test", BYTES(SOCKS_H),
     BYTES("\x05\x00\x05\x00\x00\x03\x03xyz\x00\x50"), 1, NULL, ""},
    {"socks, bound to v6", SQ_PROXY_SOCKS5, false, "h.test", BYTES(SOCKS_H),
     BYTES("\x05\x00\x05\x00\x00\x04"
           "0123456789abcdef\x00\x50T"),
     1, NULL, "T"},
    {"socks to a v4 address", SQ_PROXY_SOCKS5, false, "10.0.0.1",
     BYTES("\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50"),
     BYTES("\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50"), 1, NULL, ""},
    {"socks to a v6 address", SQ_PROXY_SOCKS5, false, "::2",
     BYTES("\x05\x01\x00\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x00\x50"),
     BYTES("\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50"), 1, NULL, ""},
    {"socks login", SQ_PROXY_SOCKS5, true, "h.test",
     BYTES("\x05\x02\x00\x02\x01\x04user\x04pass\x05\x01\x00\x03\x06h.test\x00\x50"),
     BYTES("\x05\x02\x01\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50"), 1, NULL, ""},
    {"socks login refused", SQ_PROXY_SOCKS5, true, "h.test",
     BYTES("\x05\x02\x00\x02\x01\x04user\x04pass"), BYTES("\x05\x02\x01\x01"), SQ_EPROXY,
     SOCKS_FAIL("username/password authentication failed"), NULL},
    {"socks login not needed", SQ_PROXY_SOCKS5, true, "h.test",
     BYTES("\x05\x02\x00\x02\x05\x01\x00\x03\x06h.test\x00\x50"),
     BYTES("\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50"), 1, NULL, ""},
    {"socks login asked but not had", SQ_PROXY_SOCKS5, false, "h.test", BYTES(SOCKS_HELLO),
     BYTES("\x05\x02"), SQ_EPROXY, SOCKS_FAIL("no acceptable authentication methods"), NULL},
    {"socks no method", SQ_PROXY_SOCKS5, false, "h.test", BYTES(SOCKS_HELLO), BYTES("\x05\xff"),
     SQ_EPROXY, SOCKS_FAIL("no acceptable authentication methods"), NULL},
    {"socks version 4", SQ_PROXY_SOCKS5, false, "h.test", BYTES(SOCKS_HELLO), BYTES("\x04\x00"),
     SQ_EPROXY, SOCKS_FAIL("unexpected protocol version"), NULL},
#define REPLY(code, words)                                                            \
    {                                                                                 \
        "socks reply " #code, SQ_PROXY_SOCKS5, false, "h.test", BYTES(SOCKS_H),       \
            BYTES("\x05\x00\x05" code "\x00\x01\x00\x00\x00\x00\x00\x00"), SQ_EPROXY, \
            SOCKS_FAIL(words), NULL                                                   \
    }
    REPLY("\x01", "general SOCKS server failure"),
    REPLY("\x02", "connection not allowed by ruleset"),
    REPLY("\x03", "network unreachable"),
    REPLY("\x04", "host unreachable"),
    REPLY("\x05", "connection refused"),
    REPLY("\x06", "TTL expired"),
    REPLY("\x07", "command not supported"),
    REPLY("\x08", "address type not supported"),
    REPLY("\x09", "unknown reply code"),
    {"socks unknown address type", SQ_PROXY_SOCKS5, false, "h.test", BYTES(SOCKS_H),
     BYTES("\x05\x00\x05\x00\x00\x09\x00"), SQ_EPROXY, SOCKS_FAIL("unknown address type"), NULL},
};

static bool text_fits(const char *got, const char *want)
{
    size_t len = strlen(want);

    return got && (want[len - 1] == '*' ? strncmp(got, want, len - 1) == 0 : !strcmp(got, want));
}

SQ_TEST(proxy_dialogues_cut_at_every_byte)
{
    for (size_t i = 0; i < SQ_COUNT(scripts); i++)
        for (size_t cut = 0; cut <= scripts[i].wire_len; cut++) {
            const struct script *s = &scripts[i];
            struct sq_proxy proxy = {.kind = s->kind,
                                     .host = "p.test",
                                     .port = 8,
                                     .user = s->login ? "user" : NULL,
                                     .password = s->login ? "pass" : NULL};
            struct sq_proxy_talk talk;
            SQ_CHECK_EQ(sq_proxy_talk_init(&talk, &proxy, sq_slice_str(s->target), 80), 0);
            int rc = cut ? sq_proxy_talk_feed(&talk, s->wire, cut) : 0;
            /* After the end no more is fed: the rest belongs to the tunnel. */
            size_t rest_at = cut;
            if (rc == 0 && cut < s->wire_len) {
                rc = sq_proxy_talk_feed(&talk, s->wire + cut, s->wire_len - cut);
                rest_at = s->wire_len;
            }
            SQ_CHECK_EQ(rc, s->want, "%s, cut at %zu", s->name, cut);
            SQ_CHECK(sq_slice_eq(sq_buf_slice(&talk.out), sq_slice(s->sent, s->sent_len)),
                     "%s, cut at %zu: said %zu bytes, want %zu", s->name, cut, talk.out.len,
                     s->sent_len);
            if (s->want < 0)
                SQ_CHECK(text_fits(talk.text, s->text), "%s: %s", s->name, talk.text);
            else if (rest_at == s->wire_len)
                SQ_CHECK_STR(sq_buf_cstr(&talk.in), s->rest);
            sq_proxy_talk_deinit(&talk);
        }
}

SQ_TEST(proxy_head_limit)
{
    struct sq_proxy proxy = {.kind = SQ_PROXY_HTTP, .host = "p.test", .port = 8};
    struct sq_proxy_talk talk;
    char line[1000];
    int rc = 0;

    memset(line, 'x', sizeof line);
    memcpy(line, "A: ", 3);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    SQ_CHECK_EQ(sq_proxy_talk_init(&talk, &proxy, sq_slice_str("h.test"), 80), 0);
    rc = sq_proxy_talk_feed(&talk, "HTTP/1.1 200 OK\r\n", 17);
    for (int i = 0; i < 20 && rc == 0; i++)
        rc = sq_proxy_talk_feed(&talk, line, sizeof line);
    SQ_CHECK_EQ(rc, SQ_EPROXY, "HR-9");
    sq_proxy_talk_deinit(&talk);
}

SQ_TEST(proxy_socks_limits)
{
    struct sq_proxy proxy = {.kind = SQ_PROXY_SOCKS5, .host = "p.test", .port = 8};
    struct sq_proxy_talk talk;
    char longest[257];

    memset(longest, 'x', 256);
    longest[256] = 0;
    SQ_CHECK_EQ(sq_proxy_talk_init(&talk, &proxy, sq_slice(longest, 255), 80), 0);
    sq_proxy_talk_deinit(&talk);
    SQ_CHECK_EQ(sq_proxy_talk_init(&talk, &proxy, sq_slice(longest, 256), 80), SQ_EPROXY);
    sq_proxy_talk_deinit(&talk);
    proxy.user = longest;
    proxy.password = longest;
    SQ_CHECK_EQ(sq_proxy_talk_init(&talk, &proxy, sq_slice_str("h"), 80), SQ_EPROXY);
    sq_proxy_talk_deinit(&talk);
}

/* ---- dialogues on sockets ---- */

struct wire_script {
    const struct script *script;
    size_t cut; /* a pause here, or the end of the connection */
    bool hang_up;
};

/* Says the script's bytes when ours have come, as far as `cut`, then the rest or nothing. */
static void serve_script(struct peer *peer, int fd)
{
    const struct wire_script *w = peer->arg;
    const struct script *s = w->script;
    char data[512];
    bool socks = s->kind == SQ_PROXY_SOCKS5;
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (socks ? !peer_read(fd, data, 3) : !peer_read_head(fd, data, sizeof data))
        return;
    peer_write(fd, s->wire, w->cut);
    if (w->hang_up) {
        shutdown(fd, SHUT_WR);
        while (recv(fd, data, sizeof data, 0) > 0)
            ;
        return;
    }
    peer_write(fd, s->wire + w->cut, s->wire_len - w->cut);
    if (socks && !peer_read(fd, data, s->sent_len - 3))
        return;
    /* Then it is an echo tunnel. */
    for (ssize_t got; (got = recv(fd, data, sizeof data, 0)) > 0;)
        peer_write(fd, data, (size_t)got);
}

static struct outcome dial_through(struct kit *kit, const char *scheme, uint16_t port)
{
    char *url = sq_xasprintf("%s://127.0.0.1:%u", scheme, port);

    kit_init(kit);
    kit->options.http_proxy = url;
    kit_open(kit);
    struct outcome out = kit_dial(kit, (struct target){.host = "h.test", .port = 80});
    free(url); /* parsed when the net was made */
    return out;
}

SQ_TEST(proxy_tunnel_on_sockets_cut_at_every_byte)
{
    static const char *const names[] = {"299 with fields and glued bytes", "socks by name"};
    static const char *const schemes[] = {"http", "socks5"};

    for (size_t n = 0; n < SQ_COUNT(names); n++)
        for (size_t i = 0; i < SQ_COUNT(scripts); i++) {
            const struct script *s = &scripts[i];
            if (strcmp(s->name, names[n]) != 0)
                continue;
            for (size_t cut = 0; cut <= s->wire_len; cut++)
                for (int hang_up = 0; hang_up <= 1; hang_up++) {
                    struct wire_script w = {s, cut, hang_up};
                    struct peer peer = {.serve = serve_script, .arg = &w};
                    struct kit kit;
                    char got[64] = "";
                    int status;
                    peer_start(&peer);
                    struct outcome out = dial_through(&kit, schemes[n], peer.port);
                    bool whole = !hang_up || cut >= s->wire_len - strlen(s->rest);
                    SQ_CHECK_EQ(out.error, whole ? 0 : SQ_EPROXY, "%s, cut at %zu: %s", s->name,
                                cut, out.text);
                    SQ_CHECK_STR(out.text, whole ? "" : "proxy: unexpected EOF");
                    SQ_CHECK_STR(out.remote_ip, "127.0.0.1");
                    if (out.stream && !hang_up) {
                        SQ_CHECK(stream_put(out.stream, "echo", 4));
                        stream_get(out.stream, got, strlen(s->rest) + 4, &status);
                        SQ_CHECK_STR(got, "TUNNELecho");
                    }
                    sq_stream_free(out.stream, false);
                    kit_close(&kit);
                    peer_stop(&peer);
                }
        }
}

SQ_TEST(proxy_scheme_that_is_unknown)
{
    struct kit kit;
    struct outcome out = dial_through(&kit, "ftp", 1);

    SQ_CHECK_EQ(out.error, SQ_EPROXY);
    SQ_CHECK_STR(out.text, "proxy: unknown scheme 'ftp': use http, https, socks5 or socks5h");
    kit_close(&kit);
}

SQ_TEST(proxy_that_is_down)
{
    struct kit kit;
    int fd;
    uint16_t port = dead_port(&fd);
    char want[100];
    struct outcome out = dial_through(&kit, "http", port);

    snprintf(want, sizeof want, "dial tcp 127.0.0.1:%u: connect: connection refused", port);
    SQ_CHECK_STR(out.text, want);
    SQ_CHECK_EQ(out.error_code, 1212);
    kit_close(&kit);
    close(fd);
}
