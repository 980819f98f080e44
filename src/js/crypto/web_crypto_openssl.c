/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of crypto.subtle, on OpenSSL 3. Nothing here knows the script. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>

#include "js/crypto/web_crypto.h"

enum { STACK_BYTES = 1024 * 1024, AES_SIZES = 3, BLOCK_BYTES = 16 };

static const char *const md_names[WC_HASHES] = {"SHA1", "SHA256", "SHA384", "SHA512"};
static const char *const group_names[WC_CURVES] = {"P-256", "P-384", "P-521"};
static const char *const cipher_names[][AES_SIZES] = {
    [WC_AES_CBC] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
    [WC_AES_CTR] = {"AES-128-CTR", "AES-192-CTR", "AES-256-CTR"},
    [WC_AES_GCM] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
    [WC_AES_KW] = {"AES-128-WRAP", "AES-192-WRAP", "AES-256-WRAP"},
};

/* Found once per process, immutable afterwards. */
static const EVP_MD *mds[WC_HASHES];
static const EVP_CIPHER *ciphers[SQ_COUNT(cipher_names)][AES_SIZES];
static EVP_MAC *hmac;
static pthread_once_t find_once = PTHREAD_ONCE_INIT;

/* ---- running ---- */

static void on_a_thread(void *(*work)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, work, argument) != 0)
        sq_panic("cannot start a thread for cryptography");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

static void *find_now(void *unused)
{
    for (size_t i = 0; i < WC_HASHES; i++)
        mds[i] = EVP_MD_fetch(NULL, md_names[i], NULL);
    for (size_t a = 0; a < SQ_COUNT(cipher_names); a++)
        for (size_t i = 0; i < AES_SIZES; i++)
            ciphers[a][i] = EVP_CIPHER_fetch(NULL, cipher_names[a][i], NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    return unused;
}

static void find_all(void)
{
    on_a_thread(find_now, NULL);
}

struct deep {
    wc_work *work;
    struct wc_job *job;
};

static void *run_deep(void *argument)
{
    const struct deep *d = argument;

    d->job->rc = d->work(d->job);
    return NULL;
}

int wc_run(wc_work *work, struct wc_job *job, bool deep)
{
    pthread_once(&find_once, find_all);
    if (deep)
        on_a_thread(run_deep, &(struct deep){work, job});
    else
        job->rc = work(job);
    return job->rc;
}

void wc_job_deinit(struct wc_job *job)
{
    for (size_t i = 0; i < job->numbers_count; i++)
        sq_buf_deinit(&job->numbers[i].bytes);
    sq_buf_deinit(&job->out);
    EVP_PKEY_free(job->pair);
}

static uint8_t *room(struct wc_job *job, size_t len)
{
    if (sq_buf_reserve(&job->out, len + 1) < 0)
        return NULL;
    return job->out.data + job->out.len;
}

/* ---- secret keys ---- */

size_t wc_hash_block_bytes(int hash)
{
    return hash >= WC_SHA_384 ? 128 : 64;
}

int wc_digest(struct wc_job *job)
{
    unsigned len = 0;
    uint8_t *out = room(job, EVP_MAX_MD_SIZE);
    const EVP_MD *md = mds[job->params->hash];

    if (!out || !md || !EVP_Digest(job->data.data, job->data.len, out, &len, md, NULL))
        return -1;
    job->out.len = len;
    return 0;
}

int wc_hmac(struct wc_job *job)
{
    size_t len = 0;
    uint8_t *out = room(job, EVP_MAX_MD_SIZE);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                            (char *)md_names[job->key->hash], 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC_CTX *c = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    bool ok = c && out && EVP_MAC_init(c, job->key->raw, job->key->raw_bytes, params) &&
              EVP_MAC_update(c, job->data.data, job->data.len) &&
              EVP_MAC_final(c, out, &len, EVP_MAX_MD_SIZE);

    EVP_MAC_CTX_free(c);
    job->out.len = ok ? len : 0;
    return ok ? 0 : -1;
}

static const EVP_CIPHER *cipher_for(const struct wc_key *key)
{
    return ciphers[key->algorithm][key->raw_bytes / 8 - 2];
}

/* In pieces: the library counts in int. */
static bool update(EVP_CIPHER_CTX *c, struct wc_job *job, struct sq_slice in)
{
    enum { PIECE = 1 << 30 };

    while (in.len) {
        int piece = (int)SQ_MIN(in.len, (size_t)PIECE), len = 0;
        uint8_t *out = room(job, (size_t)piece + BLOCK_BYTES);
        if (!out || !EVP_CipherUpdate(c, out, &len, in.data, piece))
            return false;
        job->out.len += (size_t)len;
        in = sq_slice(in.data + piece, in.len - (size_t)piece);
    }
    return true;
}

static bool final(EVP_CIPHER_CTX *c, struct wc_job *job)
{
    int len = 0;
    uint8_t *out = room(job, BLOCK_BYTES);

    if (!out || !EVP_CipherFinal_ex(c, out, &len))
        return false;
    job->out.len += (size_t)len;
    return true;
}

static bool cbc(EVP_CIPHER_CTX *c, struct wc_job *job)
{
    return EVP_CipherInit_ex2(c, cipher_for(job->key), job->key->raw, job->params->iv.data,
                              !job->decrypts, NULL) &&
           update(c, job, job->data) && final(c, job);
}

static bool gcm(EVP_CIPHER_CTX *c, struct wc_job *job)
{
    const struct wc_params *p = job->params;
    struct sq_slice data = job->data;
    size_t tag_bytes = p->bits / 8;
    int len;

    if (job->decrypts) {
        if (data.len < tag_bytes)
            return false;
        data.len -= tag_bytes;
    }
    if (!EVP_CipherInit_ex2(c, cipher_for(job->key), NULL, NULL, !job->decrypts, NULL) ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, (int)p->iv.len, NULL) <= 0 ||
        !EVP_CipherInit_ex2(c, NULL, job->key->raw, p->iv.data, !job->decrypts, NULL) ||
        (p->more.len && !EVP_CipherUpdate(c, NULL, &len, p->more.data, (int)p->more.len)) ||
        !update(c, job, data))
        return false;
    if (job->decrypts)
        return EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, (int)tag_bytes,
                                   (void *)(data.data + data.len)) > 0 &&
               final(c, job);
    uint8_t *tag = NULL;
    if (!final(c, job) || !(tag = room(job, tag_bytes)) ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, (int)tag_bytes, tag) <= 0)
        return false;
    job->out.len += tag_bytes;
    return true;
}

/* Blocks until the low `bits` bits of the counter overflow; UINT64_MAX: more than there can be. */
static uint64_t blocks_left(const uint8_t counter[BLOCK_BYTES], uint32_t bits)
{
    uint64_t low = 0, ones = UINT64_MAX;

    for (size_t i = 8; i < BLOCK_BYTES; i++)
        low = low << 8 | counter[i];
    for (uint32_t bit = 64; bit < bits; bit++)
        if (!(counter[(127 - bit) / 8] >> (bit % 8) & 1))
            return UINT64_MAX;
    if (bits < 64)
        ones = ((uint64_t)1 << bits) - 1;
    uint64_t left = ones - (low & ones); /* +1, without overflow */
    return left == UINT64_MAX ? left : left + 1;
}

static bool ctr_run(EVP_CIPHER_CTX *c, struct wc_job *job, const uint8_t *counter,
                    struct sq_slice data)
{
    return EVP_CipherInit_ex2(c, cipher_for(job->key), job->key->raw, counter, 1, NULL) &&
           update(c, job, data) && final(c, job);
}

/* The counter wraps within its bits, where the library would carry into the nonce. */
static bool ctr(EVP_CIPHER_CTX *c, struct wc_job *job)
{
    uint8_t counter[BLOCK_BYTES];
    struct sq_slice data = job->data;
    uint32_t bits = job->params->bits;
    uint64_t blocks = data.len / BLOCK_BYTES + (data.len % BLOCK_BYTES != 0);

    if (bits < 64 && blocks > (uint64_t)1 << bits)
        return false;
    memcpy(counter, job->params->iv.data, sizeof counter);
    uint64_t left = blocks_left(counter, bits);
    if (blocks <= left)
        return ctr_run(c, job, counter, data);
    size_t first = (size_t)left * BLOCK_BYTES;
    if (!ctr_run(c, job, counter, sq_slice(data.data, first)))
        return false;
    for (uint32_t bit = 0; bit < bits; bit++)
        counter[(127 - bit) / 8] &= (uint8_t) ~(1u << (bit % 8));
    return ctr_run(c, job, counter, sq_slice(data.data + first, data.len - first));
}

int wc_cipher(struct wc_job *job)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    enum wc_algorithm a = job->key->algorithm;
    bool ok = c && cipher_for(job->key) &&
              (a == WC_AES_CBC   ? cbc(c, job)
               : a == WC_AES_GCM ? gcm(c, job)
                                 : ctr(c, job));

    EVP_CIPHER_CTX_free(c);
    return ok ? 0 : -1;
}

/* RFC 3394. */
int wc_wrap(struct wc_job *job)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int len = 0;
    uint8_t *out = room(job, job->data.len + BLOCK_BYTES);

    if (c)
        EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool ok =
        c && out && job->data.len <= INT32_MAX && cipher_for(job->key) &&
        EVP_CipherInit_ex2(c, cipher_for(job->key), job->key->raw, NULL, !job->decrypts, NULL) &&
        EVP_CipherUpdate(c, out, &len, job->data.data, (int)job->data.len) && len > 0;
    job->out.len = ok ? (size_t)len : 0;
    EVP_CIPHER_CTX_free(c);
    return ok ? 0 : -1;
}

int wc_derive_pbkdf2(struct wc_job *job)
{
    const struct wc_params *p = job->params;
    uint8_t *out = room(job, job->bytes_wanted);

    if (!out || job->bytes_wanted > INT32_MAX || job->key->raw_bytes > INT32_MAX ||
        !PKCS5_PBKDF2_HMAC((const char *)job->key->raw, (int)job->key->raw_bytes,
                           p->more.len ? p->more.data : (const uint8_t *)"", (int)p->more.len,
                           (int)p->iterations, mds[p->hash], (int)job->bytes_wanted, out))
        return -1;
    job->out.len = job->bytes_wanted;
    return 0;
}

/* ---- key pairs ---- */

int wc_modulus_bits(const EVP_PKEY *pair)
{
    return EVP_PKEY_get_bits(pair);
}

size_t wc_curve_bytes(int curve)
{
    return curve == WC_P_256 ? 32 : curve == WC_P_384 ? 48 : 66;
}

/* From DER to r and s side by side, as WebCrypto has signatures. */
static int flatten(struct wc_job *job, const uint8_t *der, size_t len)
{
    size_t half = wc_curve_bytes(job->key->curve);
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
    uint8_t *out = room(job, 2 * half);
    bool ok = sig && out && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)half) >= 0 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, (int)half) >= 0;

    ECDSA_SIG_free(sig);
    job->out.len = ok ? 2 * half : 0;
    return ok ? 0 : -1;
}

/* Owned: OPENSSL_free. NULL: not a signature of this curve. */
static uint8_t *to_der(const struct wc_job *job, size_t *len)
{
    size_t half = wc_curve_bytes(job->key->curve);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    uint8_t *der = NULL;
    int got = -1;

    if (sig && job->signature.len == 2 * half) {
        BIGNUM *r = BN_bin2bn(job->signature.data, (int)half, NULL);
        BIGNUM *s = BN_bin2bn(job->signature.data + half, (int)half, NULL);
        if (r && s && ECDSA_SIG_set0(sig, r, s)) {
            got = i2d_ECDSA_SIG(sig, &der);
        } else {
            BN_free(r);
            BN_free(s);
        }
    }
    ECDSA_SIG_free(sig);
    *len = got > 0 ? (size_t)got : 0;
    return got > 0 ? der : NULL;
}

static bool set_padding(const struct wc_job *job, EVP_PKEY_CTX *c)
{
    if (job->key->algorithm == WC_RSASSA)
        return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0;
    if (job->key->algorithm == WC_RSA_PSS)
        return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(c, (int)job->params->salt_bytes) > 0;
    return true;
}

static const char *signing_digest(const struct wc_job *job)
{
    return md_names[job->key->algorithm == WC_ECDSA ? job->params->hash : job->key->hash];
}

int wc_sign(struct wc_job *job)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *k = NULL;
    struct sq_buf sig = {0};
    size_t len = 0;
    bool ok =
        c &&
        EVP_DigestSignInit_ex(c, &k, signing_digest(job), NULL, NULL, job->key->pair, NULL) > 0 &&
        set_padding(job, k) && EVP_DigestSign(c, NULL, &len, job->data.data, job->data.len) > 0 &&
        sq_buf_reserve(&sig, len) == 0 &&
        EVP_DigestSign(c, sig.data, &len, job->data.data, job->data.len) > 0;

    if (ok && job->key->algorithm == WC_ECDSA)
        ok = flatten(job, sig.data, len) == 0;
    else if (ok)
        sq_buf_put(&job->out, sig.data, len);
    sq_buf_deinit(&sig);
    EVP_MD_CTX_free(c);
    return ok ? 0 : -1;
}

int wc_verify(struct wc_job *job)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *k = NULL;
    size_t len = job->signature.len;
    bool ec = job->key->algorithm == WC_ECDSA;
    uint8_t *der = ec ? to_der(job, &len) : NULL;

    if (c && (der || !ec) &&
        EVP_DigestVerifyInit_ex(c, &k, signing_digest(job), NULL, NULL, job->key->pair, NULL) > 0 &&
        set_padding(job, k))
        job->valid = EVP_DigestVerify(c, der ? der : job->signature.data, len, job->data.data,
                                      job->data.len) == 1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(c);
    return 0;
}

static bool set_label(EVP_PKEY_CTX *c, const struct sq_buf *label)
{
    if (!label->len)
        return true;
    uint8_t *copy = OPENSSL_memdup(label->data, label->len); /* the context takes it */
    if (copy && EVP_PKEY_CTX_set0_rsa_oaep_label(c, copy, (int)label->len) > 0)
        return true;
    OPENSSL_free(copy);
    return false;
}

int wc_oaep(struct wc_job *job)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, job->key->pair, NULL);
    int (*transform)(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t) =
        job->decrypts ? EVP_PKEY_decrypt : EVP_PKEY_encrypt;
    const EVP_MD *md = mds[job->key->hash];
    size_t len = 0;
    uint8_t *out = NULL;
    bool ok = c && (job->decrypts ? EVP_PKEY_decrypt_init(c) : EVP_PKEY_encrypt_init(c)) > 0 &&
              EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) > 0 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(c, md) > 0 && EVP_PKEY_CTX_set_rsa_mgf1_md(c, md) > 0 &&
              set_label(c, &job->params->more) &&
              transform(c, NULL, &len, job->data.data, job->data.len) > 0 &&
              (out = room(job, len)) && transform(c, out, &len, job->data.data, job->data.len) > 0;

    job->out.len = ok ? len : 0;
    EVP_PKEY_CTX_free(c);
    return ok ? 0 : -1;
}

int wc_derive_ecdh(struct wc_job *job)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, job->key->pair, NULL);
    size_t len = 0;
    uint8_t *out = NULL;
    bool ok = c && EVP_PKEY_derive_init(c) > 0 &&
              EVP_PKEY_derive_set_peer(c, job->peer->pair) > 0 &&
              EVP_PKEY_derive(c, NULL, &len) > 0 && (out = room(job, len)) &&
              EVP_PKEY_derive(c, out, &len) > 0;

    job->out.len = ok ? len : 0;
    EVP_PKEY_CTX_free(c);
    return ok ? 0 : -1;
}

int wc_generate_pair(struct wc_job *job)
{
    const struct wc_params *p = job->params;
    bool ec = wc_is_ec(job->algorithm);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, ec ? "EC" : "RSA", NULL);
    BIGNUM *e = ec ? NULL : BN_bin2bn(p->exponent.data, (int)p->exponent.len, NULL);
    bool ok = c && EVP_PKEY_keygen_init(c) > 0;

    if (ok && ec)
        ok = EVP_PKEY_CTX_set_group_name(c, group_names[job->curve]) > 0;
    else if (ok)
        ok = e && EVP_PKEY_CTX_set_rsa_keygen_bits(c, (int)p->bits) > 0 &&
             EVP_PKEY_CTX_set1_rsa_keygen_pubexp(c, e) > 0;
    ok = ok && EVP_PKEY_generate(c, &job->pair) > 0;
    BN_free(e);
    EVP_PKEY_CTX_free(c);
    return ok ? 0 : -1;
}

/* ---- formats of key pairs ---- */

/* Whether the key is of the algorithm and on the curve. */
static int check_pair(struct wc_job *job)
{
    char group[64] = "";
    size_t len;

    if (!job->pair)
        return -1;
    if (wc_is_rsa(job->algorithm))
        return EVP_PKEY_is_a(job->pair, "RSA") ? 0 : -1;
    if (!EVP_PKEY_is_a(job->pair, "EC") ||
        !EVP_PKEY_get_group_name(job->pair, group, sizeof group, &len))
        return -1;
    int wanted = EC_curve_nist2nid(group_names[job->curve]);
    int found = OBJ_txt2nid(group);
    return (found == NID_undef ? EC_curve_nist2nid(group) : found) == wanted ? 0 : -1;
}

int wc_import_spki(struct wc_job *job)
{
    const uint8_t *p = job->data.data;

    job->pair = d2i_PUBKEY(NULL, &p, (long)job->data.len);
    return check_pair(job);
}

int wc_import_pkcs8(struct wc_job *job)
{
    const uint8_t *p = job->data.data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)job->data.len);

    job->pair = info ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    return check_pair(job);
}

static int from_params(struct wc_job *job, OSSL_PARAM_BLD *build, bool secret)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *c =
        EVP_PKEY_CTX_new_from_name(NULL, wc_is_ec(job->algorithm) ? "EC" : "RSA", NULL);
    bool ok = c && params && EVP_PKEY_fromdata_init(c) > 0 &&
              EVP_PKEY_fromdata(c, &job->pair, secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                                params) > 0;

    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(c);
    return ok ? check_pair(job) : -1;
}

int wc_import_point(struct wc_job *job)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    int rc = -1;

    if (build && job->data.len &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group_names[job->curve],
                                        0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, job->data.data,
                                         job->data.len))
        rc = from_params(job, build, false);
    OSSL_PARAM_BLD_free(build);
    return rc;
}

void wc_list_numbers(struct wc_job *job, bool rsa, bool secret)
{
    static const struct wc_number rsa_numbers[] = {
        {"n", OSSL_PKEY_PARAM_RSA_N, {0}, false},
        {"e", OSSL_PKEY_PARAM_RSA_E, {0}, false},
        {"d", OSSL_PKEY_PARAM_RSA_D, {0}, true},
        {"p", OSSL_PKEY_PARAM_RSA_FACTOR1, {0}, true},
        {"q", OSSL_PKEY_PARAM_RSA_FACTOR2, {0}, true},
        {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, {0}, true},
        {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, {0}, true},
        {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, {0}, true},
    };
    static const struct wc_number ec_numbers[] = {
        {"x", OSSL_PKEY_PARAM_EC_PUB_X, {0}, false},
        {"y", OSSL_PKEY_PARAM_EC_PUB_Y, {0}, false},
        {"d", OSSL_PKEY_PARAM_PRIV_KEY, {0}, true},
    };
    const struct wc_number *all = rsa ? rsa_numbers : ec_numbers;
    size_t count = rsa ? SQ_COUNT(rsa_numbers) : SQ_COUNT(ec_numbers);

    for (size_t i = 0; i < count; i++)
        if (secret || !all[i].secret)
            job->numbers[job->numbers_count++] = all[i];
}

int wc_import_numbers(struct wc_job *job)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[WC_NUMBERS_MAX] = {0};
    struct sq_buf point = {0};
    bool ec = wc_is_ec(job->algorithm), ok = build != NULL, secret = false;
    int rc = -1;

    if (ok && ec) {
        sq_buf_putc(&point, 4); /* uncompressed */
        sq_buf_put(&point, job->numbers[0].bytes.data, job->numbers[0].bytes.len);
        sq_buf_put(&point, job->numbers[1].bytes.data, job->numbers[1].bytes.len);
        ok =
            OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME,
                                            group_names[job->curve], 0) &&
            OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len);
    }
    for (size_t i = ec ? 2 : 0; ok && i < job->numbers_count; i++) {
        const struct wc_number *n = &job->numbers[i];
        numbers[i] = BN_secure_new();
        ok = numbers[i] && BN_bin2bn(n->bytes.data, (int)n->bytes.len, numbers[i]) &&
             OSSL_PARAM_BLD_push_BN(build, n->param, numbers[i]);
        secret |= n->secret;
    }
    if (ok)
        rc = from_params(job, build, secret);
    OSSL_PARAM_BLD_free(build);
    for (size_t i = 0; i < SQ_COUNT(numbers); i++)
        BN_clear_free(numbers[i]);
    sq_buf_deinit(&point);
    return rc;
}

static int take_der(struct wc_job *job, uint8_t *der, int len)
{
    if (len > 0)
        sq_buf_put(&job->out, der, (size_t)len);
    OPENSSL_free(der);
    return len > 0 ? 0 : -1;
}

int wc_export_spki(struct wc_job *job)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(job->key->pair, &der);

    return take_der(job, der, len);
}

int wc_export_pkcs8(struct wc_job *job)
{
    uint8_t *der = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(job->key->pair);
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;

    PKCS8_PRIV_KEY_INFO_free(info);
    return take_der(job, der, len);
}

int wc_export_numbers(struct wc_job *job)
{
    bool ec = wc_is_ec(job->key->algorithm);

    for (size_t i = 0; i < job->numbers_count; i++) {
        struct wc_number *n = &job->numbers[i];
        BIGNUM *number = NULL;
        if (!EVP_PKEY_get_bn_param(job->key->pair, n->param, &number))
            return -1;
        int len = ec ? (int)wc_curve_bytes(job->key->curve) : BN_num_bytes(number);
        if (sq_buf_reserve(&n->bytes, (size_t)len + 1) == 0 &&
            BN_bn2binpad(number, n->bytes.data, len) == len)
            n->bytes.len = (size_t)len;
        BN_clear_free(number);
        if (!n->bytes.len)
            return -1;
    }
    return 0;
}

int wc_export_point(struct wc_job *job)
{
    wc_list_numbers(job, false, false);
    if (wc_export_numbers(job) < 0)
        return -1;
    sq_buf_putc(&job->out, 4);
    for (size_t i = 0; i < 2; i++)
        sq_buf_put(&job->out, job->numbers[i].bytes.data, job->numbers[i].bytes.len);
    return 0;
}
