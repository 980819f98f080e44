/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of crypto.subtle share (W3C Web Cryptography API; MOD-58). web_crypto.c talks to
 * the script, web_crypto_key.c holds CryptoKey and its formats, web_crypto_openssl.c computes. */
#pragma once
#include <openssl/evp.h>

#include "base/buf.h"
#include "js/modules/modules.h"

enum wc_algorithm {
    WC_AES_CBC,
    WC_AES_CTR,
    WC_AES_GCM,
    WC_AES_KW,
    WC_HMAC,
    WC_ECDSA,
    WC_ECDH,
    WC_RSASSA,
    WC_RSA_PSS,
    WC_RSA_OAEP,
    WC_PBKDF2,
    WC_ALGORITHMS
};
enum wc_hash { WC_SHA_1, WC_SHA_256, WC_SHA_384, WC_SHA_512, WC_HASHES };
enum wc_curve { WC_P_256, WC_P_384, WC_P_521, WC_CURVES };
enum wc_type { WC_SECRET, WC_PUBLIC, WC_PRIVATE };
enum wc_usage {
    WC_ENCRYPT = 1,
    WC_DECRYPT = 2,
    WC_SIGN = 4,
    WC_VERIFY = 8,
    WC_DERIVE_KEY = 16,
    WC_DERIVE_BITS = 32,
    WC_WRAP_KEY = 64,
    WC_UNWRAP_KEY = 128,
};

extern const char *const wc_algorithm_names[WC_ALGORITHMS];
extern const char *const wc_hash_names[WC_HASHES];
extern const char *const wc_curve_names[WC_CURVES];

static inline bool wc_is_aes(enum wc_algorithm a)
{
    return a <= WC_AES_KW;
}

static inline bool wc_is_ec(enum wc_algorithm a)
{
    return a == WC_ECDSA || a == WC_ECDH;
}

static inline bool wc_is_rsa(enum wc_algorithm a)
{
    return a == WC_RSASSA || a == WC_RSA_PSS || a == WC_RSA_OAEP;
}

struct wc_key {
    enum wc_algorithm algorithm;
    enum wc_type type;
    int hash, curve; /* -1: none */
    unsigned usages; /* enum wc_usage */
    bool extractable;
    uint8_t *raw; /* secret keys; owned */
    size_t raw_bytes;
    EVP_PKEY *pair; /* others; a reference */
};

/* An algorithm argument, read for one operation. */
struct wc_params {
    enum wc_algorithm algorithm;
    int hash, curve;                  /* -1: not given */
    struct sq_buf iv, more, exponent; /* more: additionalData, label or salt */
    uint32_t bits;                    /* of a key, a counter, a tag or a modulus, by operation */
    bool bits_given;
    uint32_t salt_bytes, iterations;
    JSValue peer; /* the public key of ECDH; keeps it */
};

/* ---- web_crypto_openssl.c: one piece of work, on a thread of its own when it needs more stack
 * than a fiber has ---- */

enum { WC_NUMBERS_MAX = 8 };
struct wc_number { /* a member of a JWK: big-endian bytes */
    const char *member, *param;
    struct sq_buf bytes;
    bool secret;
};

struct wc_job {
    const struct wc_params *params;
    const struct wc_key *key, *peer;
    struct sq_slice data, signature;
    struct sq_buf out;
    EVP_PKEY *pair; /* made; owned by the caller */
    bool valid;
    bool decrypts;
    enum wc_algorithm algorithm; /* for keys that are made: what, and on which curve */
    int curve;
    size_t bytes_wanted;
    struct wc_number numbers[WC_NUMBERS_MAX];
    size_t numbers_count;
    int rc;
};

/* 0, or -1: the operation failed; OpenSSL's reasons would tell an attacker more than a script
 * needs. */
typedef int wc_work(struct wc_job *job);
wc_work wc_digest, wc_cipher, wc_wrap, wc_hmac, wc_sign, wc_verify, wc_oaep, wc_derive_ecdh,
    wc_derive_pbkdf2, wc_generate_pair, wc_import_spki, wc_import_pkcs8, wc_import_numbers,
    wc_import_point, wc_export_spki, wc_export_pkcs8, wc_export_numbers, wc_export_point;
/* Runs it. `deep`: on a thread with a stack of its own; the caller waits. */
int wc_run(wc_work *work, struct wc_job *job, bool deep);
void wc_job_deinit(struct wc_job *job);
int wc_modulus_bits(const EVP_PKEY *pair);
size_t wc_hash_block_bytes(int hash);
/* Bytes of a curve's coordinates. */
size_t wc_curve_bytes(int curve);
/* Gives a job's list the members that an export fills or an import was given. */
void wc_list_numbers(struct wc_job *job, bool rsa, bool secret);

/* ---- web_crypto_key.c ---- */
void wc_key_class_id(void);
void wc_key_class(JSContext *ctx);
/* NULL: a TypeError is pending. Borrowed from the value. */
struct wc_key *wc_key_of(JSContext *ctx, JSValueConst value);
/* A CryptoKey; what *key owns moves to it, also when that fails. Checks the usages. */
JSValue wc_key_new(JSContext *ctx, struct wc_key *key);
JSValue wc_import_key(JSContext *ctx, const char *format, JSValueConst data,
                      const struct wc_params *p, bool extractable, unsigned usages);
JSValue wc_export_key(JSContext *ctx, const char *format, const struct wc_key *key);
unsigned wc_usages_for(enum wc_algorithm algorithm, enum wc_type type);
/* Makes the key from bits: generated or derived. */
JSValue wc_secret_key(JSContext *ctx, const struct wc_params *p, const uint8_t *raw, size_t len,
                      bool extractable, unsigned usages);

/* ---- web_crypto.c ---- */
/* Throws an Error of that name. Returns JS_EXCEPTION. */
JSValue wc_throw(JSContext *ctx, const char *name, const char *fmt, ...) SQ_PRINTF(3, 4);
/* Bytes of a BufferSource, borrowed. -1: a TypeError is pending. */
int wc_bytes(JSContext *ctx, JSValueConst value, const char *what, struct sq_slice *out);
