/* SPDX-License-Identifier: Apache-2.0 */
#include "echo/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>

struct sq_echo_tls {
    SSL_CTX *ctx;
    BIO_METHOD *method;
};

/* ---- the socket: as OpenSSL's own, but a peer that is gone raises no SIGPIPE ---- */

static int bio_read(BIO *bio, char *data, int len)
{
    ssize_t got = recv((int)(intptr_t)BIO_get_data(bio), data, (size_t)len, 0);

    BIO_clear_retry_flags(bio);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)got;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    ssize_t put = send((int)(intptr_t)BIO_get_data(bio), data, (size_t)len, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)put;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "echo socket");

    if (method) {
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    return method;
}

/* ---- certificates ---- */

static int add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = extension && X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

static X509 *self_signed(EVP_PKEY *key)
{
    enum { DAY_S = 24 * 3600 };
    X509 *cert = X509_new();

    if (!cert)
        return NULL;
    X509_NAME *name = X509_get_subject_name(cert);
    bool ok = X509_set_version(cert, X509_VERSION_3) &&
              ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
              X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S) &&
              X509_gmtime_adj(X509_getm_notAfter(cert), 365L * DAY_S) &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                         (const unsigned char *)"squall echo", -1, -1, 0) &&
              X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
              add_extension(cert, NID_basic_constraints, "critical,CA:TRUE") &&
              add_extension(cert, NID_subject_alt_name,
                            "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1") &&
              X509_sign(cert, key, EVP_sha256());
    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text ? text : "unknown reason";
}

static int use_self_signed(SSL_CTX *ctx, struct sq_error *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key ? self_signed(key) : NULL;
    int rc = 0;

    if (!cert || !SSL_CTX_use_certificate(ctx, cert) || !SSL_CTX_use_PrivateKey(ctx, key))
        rc = sq_error_set(err, SQ_ETLS, "cannot make a certificate: %s", reason());
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

static int use_files(SSL_CTX *ctx, const char *cert_path, const char *key_path,
                     struct sq_error *err)
{
    if (!cert_path || !key_path)
        return sq_error_set(err, SQ_EINVALID, "a certificate and its key are needed, both or none");
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1)
        return sq_error_set(err, SQ_ETLS, "cannot use certificate '%s': %s", cert_path, reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1)
        return sq_error_set(err, SQ_ETLS, "cannot use key '%s': %s", key_path, reason());
    return 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *user)
{
    static const unsigned char ours[] = "\x08http/1.1";

    (void)ssl, (void)user;
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, sizeof ours - 1, in,
                              in_len) == OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    return SSL_TLSEXT_ERR_NOACK;
}

int sq_echo_tls_new(const char *cert_path, const char *key_path, struct sq_echo_tls **out,
                    struct sq_error *err)
{
    struct sq_echo_tls *tls = sq_xcalloc(1, sizeof *tls);
    int rc;

    *out = NULL;
    ERR_clear_error();
    tls->method = method_new();
    tls->ctx = SSL_CTX_new(TLS_server_method());
    if (!tls->ctx || !tls->method) {
        rc = sq_error_set(err, SQ_ETLS, "cannot start TLS: %s", reason());
        goto out;
    }
    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_select_cb(tls->ctx, choose_alpn, NULL);
    rc = cert_path || key_path ? use_files(tls->ctx, cert_path, key_path, err)
                               : use_self_signed(tls->ctx, err);
    if (rc < 0)
        goto out;
    *out = tls; /* ownership moves to the caller */
    tls = NULL;
out:
    ERR_clear_error();
    sq_echo_tls_free(tls);
    return rc;
}

void sq_echo_tls_free(struct sq_echo_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->method);
    free(tls);
}

SSL *sq_echo_tls_session(struct sq_echo_tls *tls, int fd)
{
    SSL *ssl = SSL_new(tls->ctx);
    BIO *bio = BIO_new(tls->method);

    if (!ssl || !bio) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

static ssize_t result(SSL *ssl, int rc)
{
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return SQ_EEOF;
    default:
        return SQ_ETLS;
    }
}

ssize_t sq_echo_tls_read(SSL *ssl, void *data, size_t len)
{
    size_t got = 0;

    ERR_clear_error();
    int rc = SSL_read_ex(ssl, data, len, &got);
    return rc == 1 ? (ssize_t)got : result(ssl, rc);
}

ssize_t sq_echo_tls_write(SSL *ssl, const void *data, size_t len)
{
    size_t put = 0;

    ERR_clear_error();
    int rc = SSL_write_ex(ssl, data, len, &put);
    return rc == 1 ? (ssize_t)put : result(ssl, rc);
}

bool sq_echo_tls_wants_write(const SSL *ssl)
{
    return SSL_want_write(ssl);
}

void sq_echo_tls_bye(SSL *ssl)
{
    ERR_clear_error();
    if (SSL_is_init_finished(ssl))
        SSL_shutdown(ssl);
    ERR_clear_error();
}
