/* SPDX-License-Identifier: Apache-2.0 */
/* Answers are made to be k6's where OpenSSL would differ: one security level everywhere, whatever
 * openssl.cnf says; the common name of a certificate is no host name; what is wrong with a
 * certificate is looked for in the order validity, name, issuer. */
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/address.h"
#include "net/stream_private.h"

enum {
    SESSIONS_MAX = 256, /* servers whose session is remembered */
    CODE_TLS = 1300,
    CODE_NOT_TLS = 1301,
    CODE_AUTHORITY = 1310,
    CODE_NAME = 1311,
};

struct session {
    char *key; /* "host:port" */
    SSL_SESSION *session;
};

struct sq_tls {
    const struct sq_net_options *options;
    BIO_METHOD *method;
    X509_STORE *roots;  /* NULL until a context needs it */
    SSL_CTX **contexts; /* one per row of tlsAuth, then one without a certificate; NULL: not yet */
    struct session *sessions; /* SESSIONS_MAX, or NULL when the cache is off */
    size_t sessions_count;
    int keylog_fd; /* -1: none */
    /* What the verification inside the SSL_connect that runs now found; owned. */
    char *note;
    int note_code;
};

static const char *last_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text ? text : "unknown reason";
}

/* ---- cipher suites ---- */

/* Names that Go and k6 know besides the IANA's. */
static const char *canonical_suite(const char *name)
{
    if (strcmp(name, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305") == 0)
        return "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    if (strcmp(name, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305") == 0)
        return "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    return name;
}

/* k6 takes these; today's OpenSSL builds leave them out, so they cannot be offered. */
static bool suite_is_extinct(const char *name)
{
    return sq_text_starts(name, "TLS_") && (strstr(name, "_WITH_RC4_128_SHA") != NULL ||
                                            strstr(name, "_WITH_3DES_EDE_CBC_SHA") != NULL);
}

static const char *openssl_suite(const char *name)
{
    const char *found = OPENSSL_cipher_name(canonical_suite(name));

    return found && found[0] != '(' ? found : NULL;
}

struct suites {
    struct sq_buf old;    /* colon list for 1.2 and below */
    struct sq_buf modern; /* for 1.3 */
};

static int collect_suites(const struct sq_net_options *o, struct suites *s, struct sq_error *err)
{
    for (size_t i = 0; i < o->tls_cipher_suites_count; i++) {
        const char *name = o->tls_cipher_suites[i], *found = openssl_suite(name);
        if (!found && suite_is_extinct(name))
            continue;
        if (!found)
            return sq_error_set(err, SQ_EINVALID, "tlsCipherSuites: unknown cipher suite '%s'",
                                name);
        struct sq_buf *list = strstr(name, "_WITH_") ? &s->old : &s->modern;
        if (list->len)
            sq_buf_putc(list, ':');
        sq_buf_puts(list, found);
    }
    if (o->tls_cipher_suites_count && !s->old.len && !s->modern.len)
        return sq_error_set(err, SQ_EINVALID,
                            "tlsCipherSuites: the OpenSSL in use has none of these suites any "
                            "more, '%s' among them",
                            o->tls_cipher_suites[0]);
    return 0;
}

static void suites_deinit(struct suites *s)
{
    sq_buf_deinit(&s->old);
    sq_buf_deinit(&s->modern);
}

static int apply_suites(SSL_CTX *ctx, const struct sq_net_options *o, struct sq_error *err)
{
    struct suites s = {0};
    int rc;

    if (o->tls_cipher_suites_count == 0)
        return 0;
    rc = collect_suites(o, &s, err);
    if (rc < 0)
        goto out;
    /* As in k6, a list of old names leaves TLS 1.3 as it is; one of new names alone leaves only it.
     */
    if ((s.old.len && !SSL_CTX_set_cipher_list(ctx, sq_buf_cstr(&s.old))) ||
        (s.modern.len && !SSL_CTX_set_ciphersuites(ctx, sq_buf_cstr(&s.modern))) ||
        (!s.old.len && !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION)))
        rc = sq_error_set(err, SQ_ETLS, "tlsCipherSuites: %s", last_reason());
out:
    suites_deinit(&s);
    return rc;
}

/* ---- client certificates ---- */

static int give_password(char *out, int size, int writing, void *user)
{
    const char *password = user;

    (void)writing;
    if (!password || strlen(password) > (size_t)size)
        return -1;
    memcpy(out, password, strlen(password));
    return (int)strlen(password);
}

static int use_chain(SSL_CTX *ctx, BIO *pem)
{
    X509 *cert = PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL);
    bool ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(pem, NULL, NULL, NULL)))
        if (!SSL_CTX_add0_chain_cert(ctx, cert)) {
            X509_free(cert);
            ok = false;
        }
    if (ok)
        ERR_clear_error(); /* "no start line" ends every PEM text */
    return ok;
}

static int use_client_cert(SSL_CTX *ctx, const struct sq_net_client_cert *auth, size_t row,
                           struct sq_error *err)
{
    BIO *cert = BIO_new_mem_buf(auth->cert_pem ? auth->cert_pem : "", -1);
    BIO *key = BIO_new_mem_buf(auth->key_pem ? auth->key_pem : "", -1);
    EVP_PKEY *pkey = NULL;
    int rc = 0;

    if (!cert || !key || !use_chain(ctx, cert)) {
        rc = sq_error_set(err, SQ_EINVALID, "tlsAuth[%zu]: cannot read the certificate: %s", row,
                          last_reason());
        goto out;
    }
    pkey = PEM_read_bio_PrivateKey(key, NULL, give_password, (void *)auth->password);
    if (!pkey) {
        rc = sq_error_set(err, SQ_EINVALID,
                          auth->password ? "tlsAuth[%zu]: cannot read the key (is the password "
                                           "right?): %s"
                                         : "tlsAuth[%zu]: cannot read the key (has it a "
                                           "password?): %s",
                          row, last_reason());
        goto out;
    }
    if (SSL_CTX_use_PrivateKey(ctx, pkey) != 1)
        rc = sq_error_set(err, SQ_EINVALID,
                          "tlsAuth[%zu]: the key does not belong to the certificate: %s", row,
                          last_reason());
out:
    EVP_PKEY_free(pkey);
    BIO_free(cert);
    BIO_free(key);
    ERR_clear_error();
    return rc;
}

/* The row of tlsAuth for a host: one that names it, else one for every host, else none. */
static size_t row_for(const struct sq_net_options *o, struct sq_slice host)
{
    for (size_t i = 0; i < o->tls_auth_count; i++)
        for (const char *const *d = o->tls_auth[i].domains; d && *d; d++)
            if (sq_host_pattern_matches(*d, host))
                return i;
    for (size_t i = 0; i < o->tls_auth_count; i++)
        if (!o->tls_auth[i].domains || !o->tls_auth[i].domains[0])
            return i;
    return o->tls_auth_count;
}

int sq_tls_options_check(const struct sq_net_options *o, struct sq_error *err)
{
    struct suites s = {0};
    int rc = collect_suites(o, &s, err);

    suites_deinit(&s);
    for (size_t i = 0; rc == 0 && i < o->tls_auth_count; i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        rc = ctx ? use_client_cert(ctx, &o->tls_auth[i], i, err)
                 : sq_error_set(err, SQ_ETLS, "cannot start TLS: %s", last_reason());
        SSL_CTX_free(ctx);
    }
    if (rc == 0 && o->tls_version_min && o->tls_version_max &&
        o->tls_version_min > o->tls_version_max)
        rc = sq_error_set(err, SQ_EINVALID, "tlsVersion: min is above max");
    return rc;
}

/* ---- what is wrong with a certificate ---- */

static void put_names(struct sq_buf *out, X509 *cert, int type)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && out->len < 512; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != type)
            continue;
        const ASN1_STRING *value = type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
        const uint8_t *data = ASN1_STRING_get0_data(value);
        int len = ASN1_STRING_length(value);
        if (out->len)
            sq_buf_puts(out, ", ");
        if (type == GEN_DNS) {
            /* The peer's bytes go to a log: printable ones only. */
            for (int k = 0; k < len && k < 256; k++)
                sq_buf_putc(out, data[k] > ' ' && data[k] < 0x7f ? (char)data[k] : '?');
        } else if (len == 4 || len == 16) {
            union sq_address a = {0};
            char text[SQ_ADDRESS_TEXT_BYTES];
            a.any.sa_family = len == 4 ? AF_INET : AF_INET6;
            memcpy(len == 4 ? (void *)&a.v4.sin_addr : (void *)&a.v6.sin6_addr, data, (size_t)len);
            sq_address_format_ip(&a, text);
            sq_buf_puts(out, text);
        }
    }
    GENERAL_NAMES_free(names);
}

static char *validity_text(X509 *cert)
{
    char now[40], limit[64] = "";
    bool late = X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
    bool early = X509_cmp_current_time(X509_get0_notBefore(cert)) > 0;
    struct tm tm;

    if (!late && !early)
        return NULL;
    const ASN1_TIME *time = late ? X509_get0_notAfter(cert) : X509_get0_notBefore(cert);
    if (ASN1_TIME_to_tm(time, &tm))
        strftime(limit, sizeof limit, "%Y-%m-%dT%H:%M:%SZ", &tm);
    sq_wall_format_seconds(sq_wall_ns(), now);
    return sq_xasprintf("x509: certificate has expired or is not yet valid: current time %s is %s "
                        "%s",
                        now, late ? "after" : "before", limit);
}

static char *name_text(X509 *cert, SSL *ssl)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *ip = X509_VERIFY_PARAM_get1_ip_asc(param);
    struct sq_buf names = {0};
    char *text = NULL;

    if (host && X509_check_host(cert, host, 0, X509_VERIFY_PARAM_get_hostflags(param), NULL) != 1) {
        put_names(&names, cert, GEN_DNS);
        text = names.len ? sq_xasprintf("x509: certificate is valid for %s, not %s",
                                        sq_buf_cstr(&names), host)
                         : sq_xasprintf("x509: certificate is not valid for any names, but wanted "
                                        "to match %s",
                                        host);
    } else if (!host && ip && X509_check_ip_asc(cert, ip, 0) != 1) {
        put_names(&names, cert, GEN_IPADD);
        text = names.len ? sq_xasprintf("x509: certificate is valid for %s, not %s",
                                        sq_buf_cstr(&names), ip)
                         : sq_xasprintf("x509: cannot validate certificate for %s because it "
                                        "doesn't contain any IP SANs",
                                        ip);
    }
    sq_buf_deinit(&names);
    OPENSSL_free(ip);
    return text;
}

static char *chain_text(int error, int *code)
{
    switch (error) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_INVALID_CA:
        *code = CODE_AUTHORITY;
        return sq_xstrdup("x509: certificate signed by unknown authority");
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return sq_xstrdup("x509: certificate has expired or is not yet valid");
    default:
        return sq_xasprintf("x509: %s", X509_verify_cert_error_string(error));
    }
}

/* OpenSSL's own verification, and words for what it finds. */
static int verify(X509_STORE_CTX *store, void *user)
{
    struct sq_tls *tls = user;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *cert = X509_STORE_CTX_get0_cert(store);

    if (X509_verify_cert(store) > 0)
        return 1;
    int error = X509_STORE_CTX_get_error(store);
    int code = CODE_TLS;
    char *text = cert ? validity_text(cert) : NULL;
    if (!text && cert && ssl && (text = name_text(cert, ssl)))
        code = CODE_NAME;
    if (!text)
        text = chain_text(error, &code);
    free(tls->note);
    tls->note = sq_xasprintf("tls: failed to verify certificate: %s", text);
    tls->note_code = code;
    free(text);
    return 0;
}

/* Else OpenSSL would build and check a chain only to ignore the result. */
static int verify_nothing(X509_STORE_CTX *store, void *user)
{
    (void)user;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

/* ---- words for failures ---- */

static const char *alert_text(int alert)
{
    static const struct {
        int alert;
        const char *text;
    } alerts[] = {
        {10, "unexpected message"},
        {20, "bad record MAC"},
        {22, "record overflow"},
        {40, "handshake failure"},
        {42, "bad certificate"},
        {43, "unsupported certificate"},
        {44, "revoked certificate"},
        {45, "expired certificate"},
        {46, "unknown certificate"},
        {47, "illegal parameter"},
        {48, "unknown certificate authority"},
        {49, "access denied"},
        {50, "error decoding message"},
        {51, "error decrypting message"},
        {70, "protocol version not supported"},
        {71, "insufficient security level"},
        {80, "internal error"},
        {86, "inappropriate fallback"},
        {90, "user canceled"},
        {100, "no renegotiation"},
        {109, "missing extension"},
        {110, "unsupported extension"},
        {112, "unrecognized name"},
        {113, "bad certificate status response"},
        {116, "certificate required"},
        {120, "no application protocol"},
    };

    for (size_t i = 0; i < SQ_COUNT(alerts); i++)
        if (alerts[i].alert == alert)
            return alerts[i].text;
    return "unknown alert";
}

char *sq_tls_failure(const SSL *ssl, int *error_code)
{
    struct sq_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);

    *error_code = CODE_TLS;
    if (tls->note) {
        char *note = tls->note;
        tls->note = NULL;
        *error_code = tls->note_code;
        return note;
    }
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) {
        const char *text = ERR_reason_error_string(error);
        return sq_xasprintf("tls: %s", text ? text : "connection failed");
    }
    if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255)
        return sq_xasprintf("remote error: tls: %s", alert_text(reason - SSL_AD_REASON_OFFSET));
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
        if (SSL_get_state(ssl) == TLS_ST_CW_CLNT_HELLO) {
            *error_code = CODE_NOT_TLS;
            return sq_xstrdup("tls: first record does not look like a TLS handshake");
        }
        break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
        return sq_xstrdup("tls: server selected unsupported protocol version");
    default:
        break;
    }
    const char *text = ERR_reason_error_string(error);
    return sq_xasprintf("tls: %s", text ? text : "connection failed");
}

int sq_tls_check_peer(const SSL *ssl, bool h2_offered, int *error_code, char **text)
{
    const unsigned char *name;
    unsigned len;

    SSL_get0_alpn_selected(ssl, &name, &len);
    if (len == 0 || sq_slice_eq(sq_slice(name, len), sq_slice_str("http/1.1")) ||
        (h2_offered && sq_slice_eq(sq_slice(name, len), sq_slice_str("h2"))))
        return 0;
    *error_code = CODE_TLS;
    *text = sq_xstrdup("tls: server selected unadvertised ALPN protocol");
    return SQ_ETLS;
}

/* ---- contexts ---- */

static void log_key(const SSL *ssl, const char *line)
{
    const struct sq_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    char *text = sq_xasprintf("%s\n", line);

    /* One write per line, so that the lines of several threads do not mix. */
    if (write(tls->keylog_fd, text, strlen(text)) < 0)
        sq_log(SQ_LOG_DEBUG, "tls", "key log: %s", strerror(errno));
    free(text);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct session *slot = SSL_get_app_data(ssl);

    if (!slot)
        return 0;
    SSL_SESSION_free(slot->session);
    slot->session = session;
    return 1; /* the reference is ours */
}

static int load_roots(struct sq_tls *tls, struct sq_error *err)
{
    const char *file = tls->options->tls_roots_file;

    tls->roots = X509_STORE_new();
    if (!tls->roots)
        return sq_error_set(err, SQ_ETLS, "cannot start TLS: %s", last_reason());
    if (!(file ? X509_STORE_load_file(tls->roots, file) : X509_STORE_set_default_paths(tls->roots)))
        return sq_error_set(err, SQ_ETLS, "cannot read the trusted roots%s%s: %s",
                            file ? " in " : "", file ? file : "", last_reason());
    ERR_clear_error(); /* a system without a bundle file leaves one */
    return 0;
}

static int set_versions(SSL_CTX *ctx, const struct sq_net_options *o, struct sq_error *err)
{
    int min = o->tls_version_min ? o->tls_version_min : TLS1_2_VERSION;
    int max = o->tls_version_max;

    /* A maximum alone may lie below k6's default minimum. */
    if (!o->tls_version_min && max && max < min)
        min = max;
    /* What is old was asked for: OpenSSL wants it on level 0 only. */
    SSL_CTX_set_security_level(ctx, min < TLS1_2_VERSION || o->insecure_skip_tls_verify ? 0 : 1);
    if (!SSL_CTX_set_min_proto_version(ctx, min) || !SSL_CTX_set_max_proto_version(ctx, max))
        return sq_error_set(err, SQ_ETLS, "tlsVersion: the OpenSSL in use has none of these");
    return 0;
}

static void set_verification(struct sq_tls *tls, SSL_CTX *ctx)
{
    if (tls->options->insecure_skip_tls_verify) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_cert_verify_callback(ctx, verify_nothing, NULL);
        return;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify, tls);
    SSL_CTX_set1_cert_store(ctx, tls->roots);
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(ctx),
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
}

/* What holds for every context, ours or libcurl's. */
static int configure(struct sq_tls *tls, SSL_CTX *ctx, size_t row, struct sq_error *err)
{
    const struct sq_net_options *o = tls->options;
    int rc = 0;

    if (!tls->roots && !o->insecure_skip_tls_verify)
        rc = load_roots(tls, err);
    if (rc < 0)
        return rc;
    SSL_CTX_set_app_data(ctx, tls);
    set_verification(tls, ctx);
    if (tls->keylog_fd >= 0)
        SSL_CTX_set_keylog_callback(ctx, log_key);
    rc = set_versions(ctx, o, err);
    if (rc == 0)
        rc = apply_suites(ctx, o, err);
    if (rc == 0 && row < o->tls_auth_count)
        rc = use_client_cert(ctx, &o->tls_auth[row], row, err);
    return rc;
}

static int context_new(struct sq_tls *tls, size_t row, SSL_CTX **out, struct sq_error *err)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL_CTX *ctx;

    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return sq_error_set(err, SQ_ETLS, "cannot start TLS: %s", last_reason());
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record in one read instead of two */
    if (tls->sessions) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, keep_session);
    } else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
    int rc = configure(tls, ctx, row, err);
    if (rc == 0 && SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1) != 0)
        rc = sq_error_set(err, SQ_ETLS, "cannot start TLS: %s", last_reason());
    if (rc < 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    *out = ctx;
    return 0;
}

int sq_tls_configure(struct sq_tls *tls, SSL_CTX *ctx, struct sq_slice host, bool for_proxy,
                     struct sq_error *err)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    union sq_address literal;
    char text[SQ_ADDRESS_TEXT_BYTES];
    size_t row = for_proxy ? tls->options->tls_auth_count : row_for(tls->options, host);

    int rc = configure(tls, ctx, row, err);
    ERR_clear_error();
    if (rc < 0)
        return rc;
    bool ok;
    if (sq_address_parse(host, &literal)) {
        if (literal.any.sa_family == AF_INET6)
            literal.v6.sin6_scope_id = 0;
        sq_address_format_ip(&literal, text);
        ok = X509_VERIFY_PARAM_set1_ip_asc(param, text);
    } else {
        if (host.len && host.data[host.len - 1] == '.')
            host.len--;
        ok = X509_VERIFY_PARAM_set1_host(param, (const char *)host.data, host.len);
    }
    return ok ? 0 : sq_error_set(err, SQ_ETLS, "tls: cannot prepare a connection");
}

char *sq_tls_take_note(struct sq_tls *tls, int *error_code)
{
    char *note = tls->note;

    *error_code = note ? tls->note_code : CODE_TLS;
    tls->note = NULL;
    return note;
}

/* The place for this server's session, or NULL when there are too many servers. */
static struct session *session_slot(struct sq_tls *tls, struct sq_slice host, uint16_t port,
                                    bool for_proxy)
{
    char *key = sq_xasprintf("%s%.*s:%u", for_proxy ? "proxy " : "", (int)host.len,
                             (const char *)host.data, port);

    for (size_t i = 0; i < tls->sessions_count; i++)
        if (strcmp(tls->sessions[i].key, key) == 0) {
            free(key);
            return &tls->sessions[i];
        }
    if (tls->sessions_count == SESSIONS_MAX) {
        free(key);
        return NULL;
    }
    tls->sessions[tls->sessions_count].key = key;
    return &tls->sessions[tls->sessions_count++];
}

/* Server name, and what its certificate has to say (NT-10, NT-11). */
static bool set_peer(SSL *ssl, struct sq_slice host)
{
    union sq_address literal;
    char text[SQ_ADDRESS_TEXT_BYTES];

    if (sq_address_parse(host, &literal)) {
        if (literal.any.sa_family == AF_INET6)
            literal.v6.sin6_scope_id = 0;
        sq_address_format_ip(&literal, text);
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text);
    }
    if (host.len && host.data[host.len - 1] == '.')
        host.len--;
    char *name = sq_xstrndup((const char *)host.data, host.len);
    bool ok = SSL_set_tlsext_host_name(ssl, name) && SSL_set1_host(ssl, name);
    free(name);
    return ok;
}

int sq_tls_client(struct sq_tls *tls, struct sq_slice host, uint16_t port, bool for_proxy,
                  SSL **out, struct sq_error *err)
{
    const struct sq_net_options *o = tls->options;
    size_t row = for_proxy ? o->tls_auth_count : row_for(o, host);
    SSL *ssl;

    *out = NULL;
    ERR_clear_error();
    if (!tls->contexts[row]) {
        int rc = context_new(tls, row, &tls->contexts[row], err);
        ERR_clear_error();
        if (rc < 0)
            return rc;
    }
    ssl = SSL_new(tls->contexts[row]);
    if (!ssl || !set_peer(ssl, host)) {
        SSL_free(ssl);
        return sq_error_set(err, SQ_ETLS, "tls: cannot prepare a connection: %s", last_reason());
    }
    SSL_set_connect_state(ssl);
    if (tls->sessions) {
        struct session *slot = session_slot(tls, host, port, for_proxy);
        SSL_set_app_data(ssl, slot);
        if (slot && slot->session)
            (void)SSL_set_session(ssl, slot->session); /* else a full handshake */
    }
    *out = ssl;
    return 0;
}

const BIO_METHOD *sq_tls_bio_method(const struct sq_tls *tls)
{
    return tls->method;
}

int sq_tls_new(const struct sq_net_options *options, struct sq_tls **out, struct sq_error *err)
{
    struct sq_tls *tls = sq_xcalloc(1, sizeof *tls);

    *out = NULL;
    tls->options = options;
    tls->keylog_fd = -1;
    tls->contexts = sq_xcalloc(options->tls_auth_count + 1, sizeof(SSL_CTX *));
    if (options->tls_session_cache)
        tls->sessions = sq_xcalloc(SESSIONS_MAX, sizeof *tls->sessions);
    tls->method = sq_stream_bio_method_new();
    if (!tls->method) {
        sq_tls_free(tls);
        return sq_error_set(err, SQ_ETLS, "cannot start TLS: %s", last_reason());
    }
    if (options->tls_keylog_file) {
        tls->keylog_fd =
            open(options->tls_keylog_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (tls->keylog_fd < 0)
            sq_log(SQ_LOG_WARN, "tls", "cannot write the TLS key log '%s': %s",
                   options->tls_keylog_file, strerror(errno));
    }
    *out = tls;
    return 0;
}

void sq_tls_free(struct sq_tls *tls)
{
    if (!tls)
        return;
    for (size_t i = 0; i < tls->sessions_count; i++) {
        SSL_SESSION_free(tls->sessions[i].session);
        free(tls->sessions[i].key);
    }
    free(tls->sessions);
    for (size_t i = 0; i <= tls->options->tls_auth_count; i++)
        SSL_CTX_free(tls->contexts[i]);
    free(tls->contexts);
    X509_STORE_free(tls->roots);
    BIO_meth_free(tls->method);
    if (tls->keylog_fd >= 0)
        close(tls->keylog_fd);
    free(tls->note);
    free(tls);
}
