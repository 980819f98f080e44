/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket over TLS: what differs is bytes that the library holds, and close_notify. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/ws_conn_kit.h"
#include "proto/ws/handshake.h"

enum { BIG_BYTES = 1 << 20, SMALL_COUNT = 50 };

struct tls_script {
    struct script script;
    SSL_CTX *ctx;
    unsigned nap_ms; /* before the client's answer is read */
    bool notified;   /* the client sent close_notify */
};

static SSL_CTX *context_new(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_sign(cert, key, EVP_sha256());
    SQ_CHECK_EQ(SSL_CTX_use_certificate(ctx, cert), 1);
    SQ_CHECK_EQ(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

static bool tls_head(SSL *ssl, struct script *s)
{
    size_t at = 0;

    while (at + 1 < sizeof s->request && SSL_read(ssl, s->request + at, 1) == 1) {
        s->request[++at] = 0;
        if (at >= 4 && memcmp(s->request + at - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

/* The head, two messages and the start of a third in one go. */
static void tls_answer(SSL *ssl, struct script *s)
{
    struct sq_ws_frame frame = {.len = BIG_BYTES, .opcode = SQ_WS_OP_BINARY, .fin = true};
    char accept[SQ_WS_ACCEPT_LEN + 1];
    uint8_t header[SQ_WS_HEADER_MAX];
    struct sq_buf out = {0};

    sq_ws_accept_key(sq_slice(strstr(s->request, "Sec-WebSocket-Key: ") + 19, SQ_WS_KEY_LEN),
                     accept);
    sq_buf_printf(&out,
                  "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: %s\r\n\r\n\x81\x02hi",
                  accept);
    sq_buf_put(&out, header, sq_ws_frame_header(header, &frame));
    for (int i = 0; i < BIG_BYTES; i++)
        sq_buf_putc(&out, (char)i);
    for (int i = 0; i < SMALL_COUNT; i++)
        sq_buf_put(&out, "\x81\x01s", 3);
    SSL_write(ssl, out.data, (int)out.len);
    sq_buf_deinit(&out);
}

static void serve_wss(struct peer *peer, int fd)
{
    struct script *s = SQ_CONTAINER_OF(peer, struct script, peer);
    struct tls_script *tls = SQ_CONTAINER_OF(s, struct tls_script, script);
    SSL *ssl = SSL_new(tls->ctx);
    char byte;
    int n;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && tls_head(ssl, s)) {
        tls_answer(ssl, s);
        usleep(tls->nap_ms * 1000);
        while (!talk_close_in(s) && s->got_len < TALK_GOT_MAX &&
               (n = SSL_read(ssl, s->got + s->got_len, (int)(TALK_GOT_MAX - s->got_len))) > 0)
            s->got_len += (size_t)n;
        SSL_write(ssl, BYE, 4);
        SSL_shutdown(ssl);
        shutdown(fd, SHUT_WR);
        while (SSL_read(ssl, &byte, 1) > 0)
            ;
        tls->notified = SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN;
    }
    SSL_free(ssl);
    ERR_clear_error();
}

static void answer_all(struct user *u, char event)
{
    static uint8_t big[BIG_BYTES];

    if (event != 'm' || u->messages != 2 + SMALL_COUNT)
        return;
    for (int i = 0; i < BIG_BYTES; i++)
        big[i] = (uint8_t)(i * 3);
    SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(big, sizeof big)), 0);
    for (int i = 0; i < SMALL_COUNT; i++)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("small")), 0);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

static void pause_and_answer(struct user *u, char event)
{
    if (event == 'm' && u->messages % 5 == 1)
        sq_ws_conn_pause(u->conn);
    if (event == 't' && u->conn && u->ticks % 5 == 0)
        sq_ws_conn_resume(u->conn);
    answer_all(u, event);
}

static void check_received(const struct script *s)
{
    uint8_t opcode = 0, first = 0;
    struct sq_slice payload = sq_slice("", 0);
    size_t at = talk_frame_at(s, 0, &opcode, &first, &payload), wrong = 0;

    SQ_CHECK_EQ(payload.len, BIG_BYTES);
    for (size_t i = 0; i < payload.len; i++)
        wrong += (uint8_t)(payload.data[i] ^ (payload.data - 4)[i % 4]) != (uint8_t)(i * 3);
    SQ_CHECK_EQ(wrong, 0);
    for (int i = 0; i < SMALL_COUNT; i++) {
        at += talk_frame_at(s, at, &opcode, &first, &payload);
        SQ_CHECK_EQ(payload.len, 5);
    }
    talk_frame_at(s, at, &opcode, &first, &payload);
    SQ_CHECK_EQ(opcode, SQ_WS_OP_CLOSE);
}

SQ_TEST(ws_conn_over_tls)
{
    for (int paused = 0; paused < 2; paused++)
        for (unsigned nap_ms = 0; nap_ms <= 200; nap_ms += 200) {
            struct tls_script tls = {.nap_ms = nap_ms};
            struct user u;

            tls.script.peer.serve = serve_wss;
            tls.ctx = context_new();
            talk_user_init(&u);
            u.secure = true;
            u.hook = paused ? pause_and_answer : answer_all;
            talk_run(&u, &tls.script);
            SQ_CHECK_EQ(u.messages, 2 + SMALL_COUNT);
            SQ_CHECK_EQ(u.largest, BIG_BYTES);
            SQ_CHECK(strstr(u.log, CLEAN), "%.200s", u.log);
            SQ_CHECK(tls.notified); /* CL-12 */
            SQ_CHECK(u.timings.tls_ns > u.timings.tcp_ns);
            check_received(&tls.script);
            talk_done(&tls.script);
            SSL_CTX_free(tls.ctx);
        }
}
