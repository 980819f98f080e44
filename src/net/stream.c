/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS stream sits on another stream through a BIO of ours, so that TLS runs over a socket, over a
 * tunnel with bytes already read, or inside the TLS of an https:// proxy by the same code, and the
 * stream that owns the descriptor counts wire bytes. */
#include "net/stream.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "net/h2.h"
#include "net/stream_private.h"
#include "net/tls.h"

void sq_errno_text(int error, char out[128])
{
    const char *text = strerror_r(error, out, 128);

    if (text != out) {
        strncpy(out, text, 127);
        out[127] = 0;
    }
    out[0] = (char)tolower((unsigned char)out[0]);
}

static struct sq_stream *bottom_of(const struct sq_stream *s)
{
    while (s->lower)
        s = s->lower;
    return (struct sq_stream *)s;
}

char *sq_stream_text(const struct sq_stream *s, const char *verb, const char *what)
{
    const struct sq_stream *bottom = bottom_of(s);
    union sq_address local = {0};
    socklen_t len = sizeof local;
    char local_text[SQ_ADDRESS_TEXT_BYTES] = "?";

    if (getsockname(bottom->fd, &local.any, &len) == 0)
        sq_address_format(&local, local_text);
    return sq_xasprintf(strchr(bottom->remote_ip, ':') ? "%s tcp %s->[%s]:%u: %s"
                                                       : "%s tcp %s->%s:%u: %s",
                        verb, local_text, bottom->remote_ip, bottom->remote_port, what);
}

/* Remembers the first failure's words; returns `status`. */
static ssize_t failed(struct sq_stream *s, int status, char *text)
{
    s->error = status;
    if (s->error_text)
        free(text);
    else
        s->error_text = text;
    return status;
}

static ssize_t system_failed(struct sq_stream *s, const char *verb)
{
    int error = errno;
    char what[128 + 16], words[128];

    if (s->error_text)
        return s->error = -error;
    sq_errno_text(error, words);
    snprintf(what, sizeof what, "%s: %s", verb, words);
    return failed(s, -error, sq_stream_text(s, verb, what));
}

/* Not recv and send: each is a point of cancellation, which the C library opens and closes by two
 * atomic operations in a program of several threads. */
static ssize_t receive(int fd, void *data, size_t len)
{
    return syscall(SYS_recvfrom, fd, data, len, 0, NULL, NULL);
}

static ssize_t transmit(int fd, const void *data, size_t len)
{
    return syscall(SYS_sendto, fd, data, len, MSG_NOSIGNAL, NULL, 0);
}

static ssize_t plain_read(struct sq_stream *s, void *data, size_t len)
{
    for (;;) {
        ssize_t got = receive(s->fd, data, len);
        if (SQ_LIKELY(got > 0)) {
            if (s->counters)
                s->counters->received_bytes += (uint64_t)got;
            return got;
        }
        if (got == 0) {
            s->eof = true;
            return s->error = SQ_EEOF;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return system_failed(s, "read");
    }
}

static ssize_t plain_write(struct sq_stream *s, const void *data, size_t len)
{
    for (;;) {
        ssize_t put = transmit(s->fd, data, len);
        if (SQ_LIKELY(put >= 0)) {
            if (s->counters)
                s->counters->sent_bytes += (uint64_t)put;
            return put;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return system_failed(s, "write");
    }
}

/* ---- the BIO between a TLS stream and the one below it ---- */

static int bio_read(BIO *bio, char *data, size_t len, size_t *got)
{
    ssize_t rc = sq_stream_read(BIO_get_data(bio), data, len);

    BIO_clear_retry_flags(bio);
    *got = rc > 0 ? (size_t)rc : 0;
    if (rc == 0)
        BIO_set_retry_read(bio);
    return rc > 0;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *put)
{
    ssize_t rc = sq_stream_write(BIO_get_data(bio), data, len);

    BIO_clear_retry_flags(bio);
    *put = rc > 0 ? (size_t)rc : 0;
    if (rc == 0 && len > 0)
        BIO_set_retry_write(bio);
    return rc > 0;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct sq_stream *lower = BIO_get_data(bio);

    (void)number, (void)pointer;
    if (command == BIO_CTRL_EOF)
        return lower && lower->eof;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *sq_stream_bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "squall stream");

    if (method &&
        (!BIO_meth_set_read_ex(method, bio_read) || !BIO_meth_set_write_ex(method, bio_write) ||
         !BIO_meth_set_ctrl(method, bio_ctrl))) {
        BIO_meth_free(method);
        method = NULL;
    }
    return method;
}

/* What an SSL call that did not succeed means: 0 for "would block", or a negative status. */
static ssize_t tls_result(struct sq_stream *s, int ssl_rc, const char *verb, bool *other_way,
                          int *error_code)
{
    int why = SSL_get_error(s->ssl, ssl_rc);

    switch (why) {
    case SSL_ERROR_WANT_READ:
        *other_way = verb[0] == 'w';
        s->read_blocked = verb[0] == 'r';
        return 0;
    case SSL_ERROR_WANT_WRITE:
        *other_way = verb[0] == 'r';
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        s->eof = true;
        return s->error = SQ_EEOF;
    case SSL_ERROR_SYSCALL:
        if (s->lower->error < 0 && s->lower->error != SQ_EEOF)
            return failed(s, s->lower->error, sq_xstrdup(sq_stream_error_text(s->lower)));
        if (s->lower->eof) {
            s->eof = true;
            return s->error = SQ_EEOF;
        }
        break;
    default:
        break;
    }
    char *text = sq_tls_failure(s->ssl, error_code);
    ERR_clear_error();
    return failed(s, SQ_ETLS, text);
}

/* SSL_MODE_RELEASE_BUFFERS does not reach all of the 16 KiB for writing: a session ticket that
 * arrives takes them and keeps them (OpenSSL 3.0). Nothing happens while bytes wait inside. */
static void release_buffers(struct sq_stream *s)
{
    (void)SSL_free_buffers(s->ssl);
}

static ssize_t tls_read(struct sq_stream *s, void *data, size_t len)
{
    size_t total = 0, got;
    int code;

    if (s->read_error)
        return s->read_error;
    ERR_clear_error();
    s->read_wants_write = false;
    s->read_blocked = false;
    do {
        int rc = SSL_read_ex(s->ssl, (uint8_t *)data + total, len - total, &got);
        if (rc != 1) {
            s->read_error = (int)tls_result(s, rc, "read", &s->read_wants_write, &code);
            release_buffers(s);
            /* OpenSSL tells a failure once; behind data it waits for the next call. */
            return total ? (ssize_t)total : s->read_error;
        }
        total += got;
    } while (total < len && SSL_has_pending(s->ssl));
    release_buffers(s);
    return (ssize_t)total;
}

static ssize_t tls_write(struct sq_stream *s, const void *data, size_t len)
{
    size_t total = 0, put;
    int code;

    ERR_clear_error();
    s->write_wants_read = false;
    while (total < len) {
        int rc = SSL_write_ex(s->ssl, (const uint8_t *)data + total, len - total, &put);
        if (rc != 1) {
            ssize_t status = tls_result(s, rc, "write", &s->write_wants_read, &code);
            return status < 0 ? status : (ssize_t)total;
        }
        total += put;
    }
    release_buffers(s);
    return (ssize_t)total;
}

/* ---- the contract ---- */

struct sq_stream *sq_stream_new(int fd, const union sq_address *remote,
                                struct sq_net_counters *counters)
{
    char ip[SQ_ADDRESS_TEXT_BYTES];

    sq_address_format_ip(remote, ip);
    size_t len = strlen(ip);
    struct sq_stream *s = sq_xcalloc(1, sizeof *s + len + 1);
    s->fd = fd;
    s->counters = counters;
    s->remote_port = sq_address_port(remote);
    memcpy(s->remote_ip, ip, len + 1);
    return s;
}

struct sq_stream *sq_stream_new_tls(struct sq_stream *lower, SSL *ssl, const BIO_METHOD *method)
{
    BIO *bio = BIO_new(method);

    if (!bio) {
        SSL_free(ssl);
        sq_stream_free(lower, false);
        return NULL;
    }
    struct sq_stream *s = sq_xcalloc(1, sizeof *s + 1);
    s->fd = -1;
    s->lower = lower;
    s->ssl = ssl;
    BIO_set_data(bio, lower);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return s;
}

int sq_stream_handshake(struct sq_stream *s, int *error_code)
{
    ERR_clear_error();
    s->read_wants_write = false;
    *error_code = 1300;
    int rc = SSL_connect(s->ssl);
    if (rc == 1) {
        int status = sq_tls_check_peer(s->ssl, s->offers_h2, error_code, &s->error_text);
        release_buffers(s);
        return status < 0 ? (s->error = status) : 1;
    }
    ssize_t status = tls_result(s, rc, "read", &s->read_wants_write, error_code);
    if (status == SQ_EEOF && !s->error_text)
        s->error_text = sq_xstrdup("EOF");
    return (int)status;
}

struct sq_stream *sq_stream_new_h2(struct sq_stream *lower, struct sq_loop *loop)
{
    struct sq_stream *s = sq_xcalloc(1, sizeof *s + 1);

    s->fd = -1;
    s->lower = lower;
    s->h2 = sq_h2_new(loop, lower);
    return s;
}

bool sq_stream_offer_h2(struct sq_stream *s)
{
    static const unsigned char alpn[] = "\x02h2\x08http/1.1";

    s->offers_h2 = true;
    return SSL_set_alpn_protos(s->ssl, alpn, sizeof alpn - 1) == 0;
}

bool sq_stream_chose_h2(const struct sq_stream *s)
{
    const unsigned char *name;
    unsigned len = 0;

    if (s->ssl)
        SSL_get0_alpn_selected(s->ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

void sq_stream_unread(struct sq_stream *s, struct sq_slice data)
{
    if (data.len == 0)
        return;
    sq_assert(!s->unread && data.len <= UINT32_MAX);
    s->unread = sq_xmalloc(data.len);
    memcpy(s->unread, data.data, data.len);
    s->unread_at = 0;
    s->unread_len = (uint32_t)data.len;
}

static ssize_t read_again(struct sq_stream *s, void *data, size_t len)
{
    size_t take = SQ_MIN(len, (size_t)(s->unread_len - s->unread_at));

    memcpy(data, s->unread + s->unread_at, take);
    s->unread_at += (uint32_t)take;
    if (s->unread_at == s->unread_len) {
        free(s->unread);
        s->unread = NULL;
    }
    return (ssize_t)take; /* counted when it came */
}

ssize_t sq_stream_read(struct sq_stream *s, void *data, size_t len)
{
    if (SQ_UNLIKELY(s->unread))
        return read_again(s, data, len);
    if (SQ_UNLIKELY(s->h2))
        return sq_h2_read(s->h2, data, len);
    return s->ssl ? tls_read(s, data, len) : plain_read(s, data, len);
}

ssize_t sq_stream_write(struct sq_stream *s, const void *data, size_t len)
{
    if (SQ_UNLIKELY(s->h2))
        return sq_h2_write(s->h2, data, len);
    return s->ssl ? tls_write(s, data, len) : plain_write(s, data, len);
}

bool sq_stream_write_stuck(const struct sq_stream *s)
{
    return s->ssl || (s->h2 && sq_h2_write_stuck(s->h2));
}

struct sq_h2 *sq_stream_h2(const struct sq_stream *s)
{
    return s->h2;
}

bool sq_stream_pending(const struct sq_stream *s)
{
    if (SQ_UNLIKELY(s->h2))
        return sq_h2_pending(s->h2);
    if (!s->ssl || s->unread)
        return s->unread != NULL;
    /* SSL_has_pending is also true for a part of a record, which no read can give yet. */
    return SSL_pending(s->ssl) > 0 ||
           (!s->read_blocked && (SSL_has_pending(s->ssl) || sq_stream_pending(s->lower)));
}

unsigned sq_stream_read_wants(const struct sq_stream *s)
{
    return s->read_wants_write ? SQ_IO_WRITE : SQ_IO_READ;
}

unsigned sq_stream_write_wants(const struct sq_stream *s)
{
    return s->write_wants_read ? SQ_IO_READ : SQ_IO_WRITE;
}

int sq_stream_fd(const struct sq_stream *s)
{
    return bottom_of(s)->fd;
}

int sq_stream_watch(struct sq_stream *s, struct sq_loop *loop, struct sq_io *io, unsigned events)
{
    if (SQ_LIKELY(!s->h2))
        return sq_io_start(loop, io, sq_stream_fd(s), events);
    sq_h2_watch(s->h2, io, events);
    return 0;
}

void sq_stream_watch_update(struct sq_stream *s, struct sq_loop *loop, struct sq_io *io,
                            unsigned events)
{
    if (SQ_LIKELY(!s->h2))
        sq_io_update(loop, io, events);
    else
        sq_h2_watch(s->h2, io, events);
}

void sq_stream_watch_stop(struct sq_stream *s, struct sq_loop *loop, struct sq_io *io)
{
    if (SQ_LIKELY(!s->h2))
        sq_io_stop(loop, io);
    else
        sq_h2_unwatch(s->h2);
}

void sq_stream_shutdown_write(struct sq_stream *s)
{
    if (s->h2) {
        sq_h2_shutdown_write(s->h2);
        return;
    }
    for (struct sq_stream *at = s; at->lower; at = at->lower)
        if (SSL_is_init_finished(at->ssl) && !at->error_text) {
            ERR_clear_error();
            (void)SSL_shutdown(at->ssl);
        }
    shutdown(sq_stream_fd(s), SHUT_WR);
}

void sq_stream_detach_counters(struct sq_stream *s)
{
    bottom_of(s)->counters = NULL;
}

const char *sq_stream_remote_ip(const struct sq_stream *s)
{
    return bottom_of(s)->remote_ip;
}

const char *sq_stream_error_text(const struct sq_stream *s)
{
    if (s->h2)
        return sq_h2_error_text(s->h2);
    if (s->error_text)
        return s->error_text;
    if (s->error == SQ_EEOF)
        return "EOF";
    return s->error < 0 ? sq_status_text(s->error) : "";
}

void sq_stream_free(struct sq_stream *s, bool reset)
{
    if (!s)
        return;
    if (s->h2) {
        sq_h2_free(s->h2, reset);
        if (!reset)
            sq_stream_shutdown_write(s->lower);
        sq_stream_free(s->lower, reset);
    } else if (s->ssl) {
        /* Going without close_notify does not make the session unfit for resumption. */
        if (!s->error_text)
            SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(s->ssl);
        sq_stream_free(s->lower, reset);
    } else if (s->fd >= 0) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        if (reset)
            (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(s->fd);
    }
    free(s->unread);
    free(s->error_text);
    free(s);
}
