/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/net_kit.h"
#include "net/stream_private.h"

/* ---- certificates made on the spot ---- */

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

struct identity_wish {
    const char *alt_names; /* "DNS:good.test,IP:127.0.0.1"; NULL: none */
    int days_from, days_to;
    bool ca;
    const struct identity *issuer; /* NULL: signed by itself */
};

static void put_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    SQ_CHECK(ext != NULL, "%s", value);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

static struct identity identity_new(struct identity_wish wish)
{
    struct identity id = {EVP_EC_gen("P-256"), X509_new()};
    X509 *issuer = wish.issuer ? wish.issuer->cert : id.cert;
    X509_NAME *name = X509_get_subject_name(id.cert);
    static long serial;

    X509_set_version(id.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), 86400L * wish.days_from);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), 86400L * wish.days_to);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)(wish.ca ? "test CA" : "good.test"), -1, -1,
                               0);
    X509_set_issuer_name(id.cert, X509_get_subject_name(issuer));
    X509_set_pubkey(id.cert, id.key);
    put_extension(id.cert, issuer, NID_basic_constraints,
                  wish.ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (wish.alt_names)
        put_extension(id.cert, issuer, NID_subject_alt_name, wish.alt_names);
    X509_sign(id.cert, wish.issuer ? wish.issuer->key : id.key, EVP_sha256());
    return id;
}

static void identity_free(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static char *bio_text(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = sq_xstrndup(data, (size_t)len);

    BIO_free(bio);
    return text;
}

static char *cert_pem(const struct identity *id)
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_X509(bio, id->cert);
    return bio_text(bio);
}

static char *key_pem(const struct identity *id, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_PKCS8PrivateKey(bio, id->key, password ? EVP_aes_128_cbc() : NULL, password,
                                  password ? (int)strlen(password) : 0, NULL, NULL);
    return bio_text(bio);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    SQ_CHECK(f != NULL, "%s", path);
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

/* ---- a TLS server ---- */

struct server {
    struct peer peer;
    SSL_CTX *ctx;
    const char *choose_alpn; /* wire form; NULL: answer none */
    bool silent_end;         /* FIN without close_notify */
    /* what the last connection was like */
    char sni[128], cipher[64], alpn[32];
    int accepted, resumed;
    bool had_client_cert;
};

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
                       const unsigned char *in, unsigned in_len, void *user)
{
    struct server *server = user;

    (void)ssl;
    snprintf(server->alpn, sizeof server->alpn, "%.*s", (int)SQ_MIN(in_len, 30u), (const char *)in);
    if (!server->choose_alpn)
        return SSL_TLSEXT_ERR_NOACK;
    *len = (unsigned char)server->choose_alpn[0];
    *out = (const unsigned char *)server->choose_alpn + 1;
    return SSL_TLSEXT_ERR_OK;
}

static void serve_tls(struct peer *peer, int fd)
{
    struct server *server = SQ_CONTAINER_OF(peer, struct server, peer);
    SSL *ssl = SSL_new(server->ctx);
    char data[16384];
    int got;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(server->sni, sizeof server->sni, "%s", sni ? sni : "");
        snprintf(server->cipher, sizeof server->cipher, "%s",
                 SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)));
        server->accepted++;
        server->resumed += SSL_session_reused(ssl);
        server->had_client_cert = SSL_get0_peer_certificate(ssl) != NULL;
        while ((got = SSL_read(ssl, data, sizeof data)) > 0 && SSL_write(ssl, data, got) == got)
            ;
        if (!server->silent_end)
            SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    ERR_clear_error();
}

static void server_start(struct server *server, const struct identity *id)
{
    server->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(server->ctx, id->cert);
    SSL_CTX_use_PrivateKey(server->ctx, id->key);
    SSL_CTX_set_alpn_select_cb(server->ctx, choose_alpn, server);
    SSL_CTX_set_session_id_context(server->ctx, (const unsigned char *)"t", 1);
    SSL_CTX_set_options(server->ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    server->peer.serve = serve_tls;
    peer_start(&server->peer);
}

static void server_stop(struct server *server)
{
    peer_stop(&server->peer);
    SSL_CTX_free(server->ctx);
}

/* ---- a world with a CA that the client trusts ---- */

struct world {
    struct identity ca, id;
    char roots[64];
    struct server server;
    struct kit kit;
};

static const struct sq_net_host hosts[] = {{"*.test", "127.0.0.1"}};

/* Leaves the kit to be opened, so that options can be changed. */
static void world_start(struct world *w, struct identity_wish wish)
{
    w->ca = identity_new((struct identity_wish){.ca = true, .days_from = -1, .days_to = 30});
    if (wish.issuer)
        wish.issuer = &w->ca;
    w->id = identity_new(wish);
    snprintf(w->roots, sizeof w->roots, "/tmp/squall-roots-%d.pem", (int)getpid());
    char *pem = cert_pem(&w->ca);
    write_file(w->roots, pem);
    free(pem);
    kit_init(&w->kit);
    w->kit.options.hosts = hosts;
    w->kit.options.hosts_count = SQ_COUNT(hosts);
    w->kit.options.tls_roots_file = w->roots;
    server_start(&w->server, &w->id);
}

static void world_stop(struct world *w)
{
    kit_close(&w->kit);
    server_stop(&w->server);
    identity_free(&w->id);
    identity_free(&w->ca);
    unlink(w->roots);
}

static const struct identity any_issuer; /* "signed by the world's CA" */
#define GOOD                                                                           \
    ((struct identity_wish){.alt_names = "DNS:good.test,DNS:*.star.test,IP:127.0.0.1", \
                            .days_from = -1,                                           \
                            .days_to = 10,                                             \
                            .issuer = &any_issuer})

static struct outcome dial_tls(struct world *w, const char *host)
{
    return kit_dial(&w->kit,
                    (struct target){.host = host, .port = w->server.peer.port, .secure = true});
}

static void check_tls_echo(struct sq_stream *s)
{
    char back[6] = "";
    int status;

    SQ_CHECK(stream_put(s, "hello", 5));
    SQ_CHECK_EQ(stream_get(s, back, 5, &status), 5);
    SQ_CHECK_STR(back, "hello");
}

SQ_TEST(tls_echo_and_wire_bytes)
{
    struct world w = {0};
    struct sq_net_counters counters = {0};
    char byte;
    int status;

    world_start(&w, GOOD);
    w.server.choose_alpn = "\x08http/1.1";
    kit_open(&w.kit);
    struct outcome out = kit_dial(&w.kit, (struct target){.host = "good.test",
                                                          .port = w.server.peer.port,
                                                          .secure = true,
                                                          .counters = &counters});
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    if (out.stream) {
        SQ_CHECK(out.tls_ns > out.tcp_ns && out.tcp_ns >= out.resolved_ns);
        SQ_CHECK(counters.sent_bytes > 200 && counters.received_bytes > 500, "handshake counted");
        uint64_t before = counters.sent_bytes;
        check_tls_echo(out.stream);
        SQ_CHECK_EQ(counters.sent_bytes - before, 5 + 5 + 1 + 16, "one TLS 1.3 record");
        SQ_CHECK_STR(sq_stream_remote_ip(out.stream), "127.0.0.1");
        sq_stream_shutdown_write(out.stream);
        SQ_CHECK_EQ(stream_get(out.stream, &byte, 1, &status), 0);
        SQ_CHECK_EQ(status, SQ_EEOF);
    }
    sq_stream_free(out.stream, false);
    world_stop(&w);
    SQ_CHECK_STR(w.server.sni, "good.test");
    SQ_CHECK_STR(w.server.alpn, "\x08http/1.1");
}

SQ_TEST(tls_megabyte_both_ways)
{
    enum { BYTES = 1 << 20 };
    struct world w = {0};
    uint8_t *sent = sq_xmalloc(BYTES), *back = sq_xmalloc(BYTES);
    size_t put_at = 0, got_at = 0;

    for (size_t i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(i * 31 + i / 251);
    world_start(&w, GOOD);
    kit_open(&w.kit);
    struct outcome out = dial_tls(&w, "good.test");
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    /* Both directions at once, or two full sockets would wait for each other. */
    int64_t limit = sq_now_ns() + 10 * SQ_NS_PER_S;
    while (out.stream && got_at < BYTES && sq_now_ns() < limit) {
        ssize_t n = put_at < BYTES ? sq_stream_write(out.stream, sent + put_at, BYTES - put_at) : 0;
        SQ_CHECK(n >= 0, "%s", sq_stream_error_text(out.stream));
        put_at += n > 0 ? (size_t)n : 0;
        n = sq_stream_read(out.stream, back + got_at, SQ_MIN(BYTES - got_at, (size_t)70000));
        SQ_CHECK(n >= 0, "%s", sq_stream_error_text(out.stream));
        if (n < 0)
            break;
        got_at += (size_t)n;
    }
    SQ_CHECK_EQ(got_at, BYTES);
    SQ_CHECK(memcmp(sent, back, BYTES) == 0);
    sq_stream_free(out.stream, false);
    world_stop(&w);
    free(sent);
    free(back);
}

SQ_TEST(tls_certificate_classes)
{
    static const struct {
        const char *name;
        struct identity_wish wish;
        const char *host;
        int code; /* 0: fine */
        const char *text;
    } cases[] = {
        {"exact", {"DNS:good.test", -1, 10, false, &any_issuer}, "good.test", 0, ""},
        {"case", {"DNS:good.test", -1, 10, false, &any_issuer}, "GOOD.test", 0, ""},
        {"wildcard", {"DNS:*.star.test", -1, 10, false, &any_issuer}, "a.star.test", 0, ""},
        {"IP SAN", {"IP:127.0.0.1", -1, 10, false, &any_issuer}, "127.0.0.1", 0, ""},
        {"two labels under a wildcard",
         {"DNS:*.star.test", -1, 10, false, &any_issuer},
         "a.b.star.test",
         1311,
         "x509: certificate is valid for *.star.test, not a.b.star.test"},
        {"other name",
         {"DNS:good.test,DNS:x.test", -1, 10, false, &any_issuer},
         "bad.test",
         1311,
         "x509: certificate is valid for good.test, x.test, not bad.test"},
        {"common name is no name",
         {NULL, -1, 10, false, &any_issuer},
         "good.test",
         1311,
         "x509: certificate is not valid for any names, but wanted to match good.test"},
        {"no IP SAN",
         {"DNS:good.test", -1, 10, false, &any_issuer},
         "127.0.0.1",
         1311,
         "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"},
        {"self-signed",
         {"DNS:good.test", -1, 10, false, NULL},
         "good.test",
         1310,
         "x509: certificate signed by unknown authority"},
        {"expired",
         {"DNS:good.test", -10, -1, false, &any_issuer},
         "good.test",
         1300,
         "x509: certificate has expired or is not yet valid: current time"},
        {"future",
         {"DNS:good.test", 1, 10, false, &any_issuer},
         "good.test",
         1300,
         "x509: certificate has expired or is not yet valid: current time"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        for (int skip = 0; skip <= 1; skip++) {
            struct world w = {0};
            world_start(&w, cases[i].wish);
            w.kit.options.insecure_skip_tls_verify = skip;
            kit_open(&w.kit);
            struct outcome out = dial_tls(&w, cases[i].host);
            bool fine = skip || cases[i].code == 0;
            SQ_CHECK_EQ(out.error, fine ? 0 : SQ_ETLS, "%s: %s", cases[i].name, out.text);
            SQ_CHECK_EQ(out.error_code, fine ? 0 : cases[i].code, "%s", cases[i].name);
            if (!fine)
                SQ_CHECK(strncmp(out.text, "tls: failed to verify certificate: ", 35) == 0 &&
                             strncmp(out.text + 35, cases[i].text, strlen(cases[i].text)) == 0,
                         "%s: %s", cases[i].name, out.text);
            else if (out.stream)
                check_tls_echo(out.stream);
            sq_stream_free(out.stream, false);
            world_stop(&w);
        }
}

SQ_TEST(tls_alpn_answers)
{
    static const struct {
        const char *answer;
        int error;
    } cases[] = {{NULL, 0}, {"\x08http/1.1", 0}, {"\x02h2", SQ_ETLS}};

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct world w = {0};
        world_start(&w, GOOD);
        w.server.choose_alpn = cases[i].answer;
        kit_open(&w.kit);
        struct outcome out = dial_tls(&w, "good.test");
        SQ_CHECK_EQ(out.error, cases[i].error, "%s", out.text);
        sq_stream_free(out.stream, false);
        world_stop(&w);
    }
}

SQ_TEST(tls_no_server_name_for_literals)
{
    struct world w = {0};

    world_start(&w, GOOD);
    snprintf(w.server.sni, sizeof w.server.sni, "untouched");
    kit_open(&w.kit);
    struct outcome out = dial_tls(&w, "127.0.0.1");
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    if (out.stream)
        check_tls_echo(out.stream);
    sq_stream_free(out.stream, false);
    world_stop(&w);
    SQ_CHECK_STR(w.server.sni, "");
}

static void serve_http(struct peer *peer, int fd)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    char byte;

    (void)peer;
    peer_read(fd, &byte, 1);
    peer_write(fd, answer, sizeof answer - 1);
}

static void serve_close(struct peer *peer, int fd)
{
    char head[5];
    uint8_t rest[16384];

    (void)peer;
    /* The whole record is taken: bytes left unread would turn the FIN into a reset. */
    if (peer_read(fd, head, 5))
        (void)peer_read(fd, rest, (size_t)((uint8_t)head[3] << 8 | (uint8_t)head[4]));
}

SQ_TEST(tls_server_that_is_none)
{
    static const struct {
        void (*serve)(struct peer *peer, int fd);
        int error, code;
        const char *text;
    } cases[] = {
        {serve_http, SQ_ETLS, 1301, "tls: first record does not look like a TLS handshake"},
        {serve_close, SQ_EEOF, 1000, "EOF"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct peer peer = {.serve = cases[i].serve};
        struct kit kit;
        peer_start(&peer);
        kit_init(&kit);
        kit.options.insecure_skip_tls_verify = true;
        kit_open(&kit);
        struct outcome out =
            kit_dial(&kit, (struct target){.host = "127.0.0.1", .port = peer.port, .secure = true});
        SQ_CHECK_EQ(out.error, cases[i].error, "%s", out.text);
        SQ_CHECK_EQ(out.error_code, cases[i].code);
        SQ_CHECK_STR(out.text, cases[i].text);
        kit_close(&kit);
        peer_stop(&peer);
    }
}

static void serve_mute(struct peer *peer, int fd)
{
    char data[1024];

    (void)peer;
    while (recv(fd, data, sizeof data, 0) > 0)
        ;
}

SQ_TEST(tls_handshake_that_stalls)
{
    struct peer peer = {.serve = serve_mute};
    struct kit kit;

    peer_start(&peer);
    kit_init(&kit);
    kit.options.insecure_skip_tls_verify = true;
    kit_open(&kit);
    struct outcome out = kit_dial(
        &kit,
        (struct target){.host = "127.0.0.1", .port = peer.port, .secure = true, .limit_ms = 80});
    SQ_CHECK_EQ(out.error, -ETIMEDOUT);
    SQ_CHECK_EQ(out.error_code, 1050);
    SQ_CHECK(strncmp(out.text, "read tcp 127.0.0.1:", 19) == 0 && strstr(out.text, ": i/o timeout"),
             "%s", out.text);
    kit_close(&kit);
    peer_stop(&peer);
}

SQ_TEST(tls_versions_and_suites)
{
    static const char *const one[] = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
    static const char *const chacha[] = {"TLS_CHACHA20_POLY1305_SHA256"};
    static const char *const mixed[] = {"TLS_RSA_WITH_RC4_128_SHA",
                                        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"};
    static const struct {
        int min, max, server_max;
        const char *const *suites;
        size_t count;
        const char *want; /* suite; NULL: the handshake fails */
    } cases[] = {
        {0, 0, 0, NULL, 0, "TLS_AES_256_GCM_SHA384"},
        {0, TLS1_2_VERSION, 0, one, 1, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
        {0, TLS1_2_VERSION, 0, mixed, 2, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
        {0, 0, 0, one, 1, "TLS_AES_256_GCM_SHA384"}, /* old names leave 1.3 alone */
        {0, 0, 0, chacha, 1, "TLS_CHACHA20_POLY1305_SHA256"},
        {0, 0, TLS1_2_VERSION, chacha, 1, NULL}, /* new names alone leave only 1.3 */
        {TLS1_3_VERSION, 0, TLS1_2_VERSION, NULL, 0, NULL},
        {0, 0, TLS1_1_VERSION, NULL, 0, NULL}, /* k6's least is 1.2 */
        {TLS1_VERSION, TLS1_1_VERSION, 0, NULL, 0, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct world w = {0};
        world_start(&w, GOOD);
        w.kit.options.tls_version_min = cases[i].min;
        w.kit.options.tls_version_max = cases[i].max;
        w.kit.options.tls_cipher_suites = cases[i].suites;
        w.kit.options.tls_cipher_suites_count = cases[i].count;
        SSL_CTX_set_security_level(w.server.ctx, 0);
        SSL_CTX_set_min_proto_version(w.server.ctx, TLS1_VERSION);
        if (cases[i].server_max)
            SSL_CTX_set_max_proto_version(w.server.ctx, cases[i].server_max);
        kit_open(&w.kit);
        struct outcome out = dial_tls(&w, "good.test");
        SQ_CHECK_EQ(out.error, cases[i].want ? 0 : SQ_ETLS, "case %zu: %s", i, out.text);
        if (out.stream)
            check_tls_echo(out.stream);
        sq_stream_free(out.stream, false);
        world_stop(&w);
        if (cases[i].want)
            SQ_CHECK_STR(w.server.cipher, cases[i].want);
        else
            SQ_CHECK_STR(out.text, "remote error: tls: protocol version not supported");
    }
}

SQ_TEST(tls_options_are_checked)
{
    static const char *const bad_suite[] = {"TLS_NO_SUCH_SUITE"};
    static const char *const extinct[] = {"TLS_RSA_WITH_RC4_128_SHA"};
    struct identity id = identity_new((struct identity_wish){.days_to = 1});
    struct identity other = identity_new((struct identity_wish){.days_to = 1});
    char *cert = cert_pem(&id), *key = key_pem(&id, NULL), *locked = key_pem(&id, "secret"),
         *wrong = key_pem(&other, NULL);
    const struct {
        struct sq_net_client_cert auth;
        const char *want; /* part of the text; NULL: fine */
    } cases[] = {
        {{cert, key, NULL, NULL}, NULL},
        {{cert, locked, "secret", NULL}, NULL},
        {{cert, locked, NULL, NULL}, "has it a password?"},
        {{cert, locked, "wrong", NULL}, "is the password right?"},
        {{cert, wrong, NULL, NULL}, "does not belong to the certificate"},
        {{"no PEM", key, NULL, NULL}, "cannot read the certificate"},
        {{cert, "no PEM", NULL, NULL}, "cannot read the key"},
    };
    struct sq_net_options o;
    struct sq_error err = {0};

    sq_net_options_default(&o);
    SQ_CHECK_EQ(sq_net_options_check(&o, &err), 0);
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        err = (struct sq_error){0};
        o.tls_auth = &cases[i].auth;
        o.tls_auth_count = 1;
        int rc = sq_net_options_check(&o, &err);
        SQ_CHECK_EQ(rc, cases[i].want ? SQ_EINVALID : 0, "case %zu: %.100s", i, err.text);
        if (cases[i].want)
            SQ_CHECK(strstr(err.text, cases[i].want), "%s", err.text);
    }
    o.tls_auth_count = 0;
    o.tls_cipher_suites_count = 1;
    o.tls_cipher_suites = bad_suite;
    err = (struct sq_error){0};
    SQ_CHECK_EQ(sq_net_options_check(&o, &err), SQ_EINVALID);
    SQ_CHECK_STR(err.text, "tlsCipherSuites: unknown cipher suite 'TLS_NO_SUCH_SUITE'");
    o.tls_cipher_suites = extinct;
    SQ_CHECK_EQ(sq_net_options_check(&o, NULL), SQ_EINVALID);
    free(cert);
    free(key);
    free(locked);
    free(wrong);
    identity_free(&id);
    identity_free(&other);
}

SQ_TEST(tls_client_certificates_by_domain)
{
    static const char *const domains[] = {"good.test", NULL};
    static const struct {
        const char *host;
        bool certificate;
    } cases[] = {{"good.test", true}, {"x.star.test", false}};

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        for (int required = 0; required <= 1; required++) {
            struct world w = {0};
            char byte;
            int status;
            world_start(&w, GOOD);
            struct identity me = identity_new((struct identity_wish){
                .alt_names = "DNS:me", .days_from = -1, .days_to = 2, .issuer = &w.ca});
            char *cert = cert_pem(&me), *key = key_pem(&me, "pw");
            const struct sq_net_client_cert auth = {cert, key, "pw", domains};
            w.kit.options.tls_auth = &auth;
            w.kit.options.tls_auth_count = 1;
            X509_STORE_add_cert(SSL_CTX_get_cert_store(w.server.ctx), w.ca.cert);
            SSL_CTX_set_verify(w.server.ctx,
                               SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                               NULL);
            kit_open(&w.kit);
            struct outcome out = dial_tls(&w, cases[i].host);
            SQ_CHECK_EQ(out.error, 0, "%s", out.text); /* TLS 1.3: the client is done first */
            if (out.stream && (cases[i].certificate || !required)) {
                check_tls_echo(out.stream);
            } else if (out.stream) {
                stream_get(out.stream, &byte, 1, &status);
                SQ_CHECK_EQ(status, SQ_ETLS);
                SQ_CHECK_STR(sq_stream_error_text(out.stream),
                             "remote error: tls: certificate required");
            }
            sq_stream_free(out.stream, false);
            world_stop(&w);
            if (w.server.accepted)
                SQ_CHECK_EQ(w.server.had_client_cert, cases[i].certificate, "%s", cases[i].host);
            free(cert);
            free(key);
            identity_free(&me);
        }
}

SQ_TEST(tls_sessions_resume_only_when_asked)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t v = 0; v < SQ_COUNT(versions); v++)
        for (int cache = 0; cache <= 1; cache++) {
            struct world w = {0};
            world_start(&w, GOOD);
            w.kit.options.tls_session_cache = cache;
            SSL_CTX_set_max_proto_version(w.server.ctx, versions[v]);
            kit_open(&w.kit);
            for (int i = 0; i < 3; i++) {
                struct outcome out = dial_tls(&w, "good.test");
                SQ_CHECK_EQ(out.error, 0, "%s", out.text);
                if (out.stream)
                    check_tls_echo(out.stream);
                sq_stream_free(out.stream, false);
            }
            world_stop(&w);
            SQ_CHECK_EQ(w.server.accepted, 3);
            SQ_CHECK_EQ(w.server.resumed, cache ? 2 : 0, "version %x", versions[v]);
        }
}

SQ_TEST(tls_key_log)
{
    struct world w = {0};
    char path[64], line[512] = "";

    snprintf(path, sizeof path, "/tmp/squall-keys-%d.log", (int)getpid());
    world_start(&w, GOOD);
    w.kit.options.tls_keylog_file = path;
    kit_open(&w.kit);
    struct outcome out = dial_tls(&w, "good.test");
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    sq_stream_free(out.stream, false);
    world_stop(&w);
    FILE *f = fopen(path, "r");
    SQ_CHECK(f && fgets(line, sizeof line, f));
    SQ_CHECK(strstr(line, "_TRAFFIC_SECRET ") || strstr(line, "HANDSHAKE"), "%s", line);
    if (f)
        fclose(f);
    unlink(path);
}

SQ_TEST(tls_end_without_close_notify)
{
    struct world w = {0};
    char byte;
    int status;

    world_start(&w, GOOD);
    w.server.silent_end = true;
    kit_open(&w.kit);
    struct outcome out = dial_tls(&w, "good.test");
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    if (out.stream) {
        check_tls_echo(out.stream);
        shutdown(sq_stream_fd(out.stream), SHUT_WR);
        SQ_CHECK_EQ(stream_get(out.stream, &byte, 1, &status), 0);
        SQ_CHECK_EQ(status, SQ_EEOF);
    }
    sq_stream_free(out.stream, false);
    world_stop(&w);
}

/* Bytes that arrive in one segment but are read one at a time must all be announced. */
SQ_TEST(tls_pending_tells_what_a_read_would_give)
{
    struct world w = {0};
    char byte;
    int got = 0;

    world_start(&w, GOOD);
    kit_open(&w.kit);
    struct outcome out = dial_tls(&w, "good.test");
    SQ_CHECK_EQ(out.error, 0, "%s", out.text);
    if (out.stream) {
        int status;
        check_tls_echo(out.stream);
        SQ_CHECK(!sq_stream_pending(out.stream));
        stream_put(out.stream, "abc", 3);
        SQ_CHECK_EQ(stream_get(out.stream, &byte, 1, &status), 1);
        while (sq_stream_pending(out.stream) && sq_stream_read(out.stream, &byte, 1) == 1)
            got++;
        SQ_CHECK_EQ(got, 2);
        SQ_CHECK_EQ(sq_stream_read(out.stream, &byte, 1), 0);
        SQ_CHECK(!sq_stream_pending(out.stream));
        SQ_CHECK_EQ(sq_stream_read_wants(out.stream), SQ_IO_READ);
    }
    sq_stream_free(out.stream, false);
    world_stop(&w);
}

/* ---- inside a proxy's tunnel ---- */

struct tls_proxy {
    struct peer peer;
    SSL_CTX *ctx; /* NULL: a plain proxy */
    uint16_t target_port;
    char request[512];
};

static ssize_t front_read(SSL *ssl, int fd, void *data, size_t len)
{
    return ssl ? SSL_read(ssl, data, (int)len) : recv(fd, data, len, 0);
}

static void front_write(SSL *ssl, int fd, const void *data, size_t len)
{
    if (ssl)
        (void)SSL_write(ssl, data, (int)len);
    else
        peer_write(fd, data, len);
}

static void relay(SSL *ssl, int fd, int back)
{
    struct pollfd wait[2] = {{.fd = fd, .events = POLLIN}, {.fd = back, .events = POLLIN}};
    char data[8192];
    ssize_t got;

    for (;;) {
        bool waiting = ssl && SSL_pending(ssl) > 0;
        if (!waiting && poll(wait, 2, 5000) <= 0)
            return;
        if (waiting || wait[0].revents) {
            if ((got = front_read(ssl, fd, data, sizeof data)) <= 0)
                return;
            peer_write(back, data, (size_t)got);
        }
        if (wait[1].revents) {
            if ((got = recv(back, data, sizeof data, 0)) <= 0)
                return;
            front_write(ssl, fd, data, (size_t)got);
        }
    }
}

static void serve_proxy(struct peer *peer, int fd)
{
    struct tls_proxy *p = SQ_CONTAINER_OF(peer, struct tls_proxy, peer);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(p->target_port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    SSL *ssl = p->ctx ? SSL_new(p->ctx) : NULL;
    int back = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t at = 0;

    if (ssl)
        SSL_set_fd(ssl, fd);
    if (!ssl || SSL_accept(ssl) == 1) {
        while (at + 1 < sizeof p->request && front_read(ssl, fd, p->request + at, 1) == 1)
            if (++at >= 4 && memcmp(p->request + at - 4, "\r\n\r\n", 4) == 0)
                break;
        p->request[at] = 0;
        if (connect(back, (struct sockaddr *)&a, sizeof a) == 0) {
            front_write(ssl, fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
            relay(ssl, fd, back);
        }
    }
    close(back);
    SSL_free(ssl);
    ERR_clear_error();
}

SQ_TEST(tls_through_proxies)
{
    for (int secure_proxy = 0; secure_proxy <= 1; secure_proxy++) {
        struct world w = {0};
        struct sq_net_counters counters = {0};
        char url[64], want[128], byte;
        int status;
        world_start(&w, GOOD);
        struct tls_proxy proxy = {.peer.serve = serve_proxy, .target_port = w.server.peer.port};
        proxy.ctx = secure_proxy ? w.server.ctx : NULL;
        peer_start(&proxy.peer);
        snprintf(url, sizeof url, "%s://127.0.0.1:%u", secure_proxy ? "https" : "http",
                 proxy.peer.port);
        w.kit.options.https_proxy = url;
        w.kit.options.hosts_count = 0; /* the name is the proxy's business */
        kit_open(&w.kit);
        struct outcome out = kit_dial(
            &w.kit, (struct target){
                        .host = "good.test", .port = 4433, .secure = true, .counters = &counters});
        SQ_CHECK_EQ(out.error, 0, "%s", out.text);
        if (out.stream) {
            check_tls_echo(out.stream);
            SQ_CHECK(!sq_stream_pending(out.stream));
            SQ_CHECK_STR(sq_stream_remote_ip(out.stream), "127.0.0.1");
            SQ_CHECK(counters.sent_bytes > 300 && counters.received_bytes > 700);
            sq_stream_shutdown_write(out.stream);
            SQ_CHECK_EQ(stream_get(out.stream, &byte, 1, &status), 0);
            SQ_CHECK_EQ(status, SQ_EEOF);
        }
        sq_stream_free(out.stream, false);
        peer_stop(&proxy.peer);
        world_stop(&w);
        SQ_CHECK_STR(w.server.sni, "good.test");
        snprintf(want, sizeof want,
                 "CONNECT good.test:4433 HTTP/1.1\r\nHost: good.test:4433\r\n\r\n");
        SQ_CHECK_STR(proxy.request, want);
    }
}
