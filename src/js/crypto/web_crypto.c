/* SPDX-License-Identifier: Apache-2.0 */
/* crypto.subtle (W3C Web Cryptography API; MOD-58): arguments, which operation goes with which
 * algorithm and key, promises. Behaviour and running examples: docs/api/webcrypto.md
 *
 * Everything is computed within the call, the promise is settled by a task. What needs more stack
 * than a fiber has (key pairs, PBKDF2) goes to a thread of its own while the caller waits. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/text.h"
#include "js/crypto/web_crypto.h"

enum { SECRET_BYTES_MAX = 1 << 20, MODULUS_BITS_MIN = 1024, MODULUS_BITS_MAX = 8192 };

enum wc_op {
    OP_DIGEST,
    OP_GENERATE,
    OP_IMPORT,
    OP_EXPORT,
    OP_ENCRYPT,
    OP_DECRYPT,
    OP_SIGN,
    OP_VERIFY,
    OP_DERIVE_BITS,
    OP_DERIVE_KEY,
    OP_WRAP,
    OP_UNWRAP,
};

/* ---- arguments ---- */

JSValue wc_throw(JSContext *ctx, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sq_js_throw(ctx, "%s", text);
    JSValue error = JS_GetException(ctx);
    JS_DefinePropertyValueStr(ctx, error, "name", JS_NewString(ctx, name),
                              JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    return JS_Throw(ctx, error);
}

int wc_bytes(JSContext *ctx, JSValueConst value, const char *what, struct sq_slice *out)
{
    const uint8_t *data = NULL;
    size_t len = 0;

    if (sq_js_view_bytes(value, &data, &len) != 1) {
        JS_ThrowTypeError(ctx, "%s must be an ArrayBuffer or a view of one", what);
        return -1;
    }
    *out = sq_slice(len ? data : (const uint8_t *)"", len);
    return 0;
}

static int copy_bytes(JSContext *ctx, JSValueConst object, const char *name, bool needed,
                      struct sq_buf *out)
{
    JSValue value = JS_GetPropertyStr(ctx, object, name);
    struct sq_slice bytes;
    int rc = JS_IsException(value) ? -1 : 0;

    if (rc == 0 && (needed || !JS_IsUndefined(value))) {
        rc = wc_bytes(ctx, value, name, &bytes);
        if (rc == 0 && sq_buf_append(out, bytes.data, bytes.len) < 0) {
            JS_ThrowOutOfMemory(ctx);
            rc = -1;
        }
    }
    JS_FreeValue(ctx, value);
    return rc;
}

/* *given may be NULL: the number is needed. */
static int get_number(JSContext *ctx, JSValueConst object, const char *name, uint32_t *out,
                      bool *given)
{
    JSValue value = JS_GetPropertyStr(ctx, object, name);
    double number = 0;
    int rc = JS_IsException(value) ? -1 : 0;

    if (rc == 0 && given)
        *given = !JS_IsUndefined(value);
    if (rc == 0 && (!given || *given)) {
        rc = JS_ToFloat64(ctx, &number, value);
        if (rc == 0 && !(number >= 0 && number <= INT32_MAX)) {
            JS_ThrowTypeError(ctx, "%s must be a number that is not negative", name);
            rc = -1;
        }
        *out = rc == 0 ? (uint32_t)number : 0;
    }
    JS_FreeValue(ctx, value);
    return rc;
}

/* The name of an algorithm: a string, or an object's member. Owned: JS_FreeCString. */
static const char *algorithm_name(JSContext *ctx, JSValueConst value)
{
    if (JS_IsString(value))
        return JS_ToCString(ctx, value);
    if (!JS_IsObject(value)) {
        JS_ThrowTypeError(ctx, "an algorithm is a name or an object with a name");
        return NULL;
    }
    JSValue name = JS_GetPropertyStr(ctx, value, "name");
    const char *text = JS_IsString(name) ? JS_ToCString(ctx, name) : NULL;
    JS_FreeValue(ctx, name);
    if (!text && !JS_HasException(ctx))
        JS_ThrowTypeError(ctx, "the algorithm has no name");
    return text;
}

static int find(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (sq_ascii_eq_nocase(sq_slice((const uint8_t *)name, strlen(name)),
                               sq_slice((const uint8_t *)names[i], strlen(names[i]))))
            return i;
    return -1;
}

/* -1: an exception is pending. */
static int one_of(JSContext *ctx, JSValueConst value, const char *const *names, int count)
{
    const char *name = algorithm_name(ctx, value);
    int found = name ? find(name, names, count) : -1;

    if (name && found < 0)
        wc_throw(ctx, "NotSupportedError", "'%s' is not supported here", name);
    JS_FreeCString(ctx, name);
    return found;
}

static int get_hash(JSContext *ctx, JSValueConst object, int *out)
{
    JSValue value = JS_GetPropertyStr(ctx, object, "hash");

    *out = JS_IsException(value) ? -1 : one_of(ctx, value, wc_hash_names, WC_HASHES);
    JS_FreeValue(ctx, value);
    return *out < 0 ? -1 : 0;
}

static int get_curve(JSContext *ctx, JSValueConst object, int *out)
{
    JSValue value = JS_GetPropertyStr(ctx, object, "namedCurve");

    *out = -1;
    if (JS_IsString(value))
        *out = one_of(ctx, value, wc_curve_names, WC_CURVES);
    else if (!JS_IsException(value))
        JS_ThrowTypeError(ctx, "namedCurve must be a name: P-256, P-384 or P-521");
    JS_FreeValue(ctx, value);
    return *out < 0 ? -1 : 0;
}

static int operation_error(JSContext *ctx, const char *text)
{
    wc_throw(ctx, "OperationError", "%s", text);
    return -1;
}

static int aes_params(JSContext *ctx, JSValueConst value, struct wc_params *p)
{
    bool given = false;

    if (p->algorithm == WC_AES_KW)
        return 0;
    if (copy_bytes(ctx, value, p->algorithm == WC_AES_CTR ? "counter" : "iv", true, &p->iv) < 0)
        return -1;
    if (p->algorithm != WC_AES_GCM && p->iv.len != 16)
        return operation_error(ctx, "the iv or counter must have 16 bytes");
    if (p->algorithm == WC_AES_CBC)
        return 0;
    if (p->algorithm == WC_AES_CTR) {
        if (get_number(ctx, value, "length", &p->bits, NULL) < 0)
            return -1;
        return p->bits >= 1 && p->bits <= 128
                   ? 0
                   : operation_error(ctx, "the counter's length is 1 to 128 bits");
    }
    if (copy_bytes(ctx, value, "additionalData", false, &p->more) < 0 ||
        get_number(ctx, value, "tagLength", &p->bits, &given) < 0)
        return -1;
    if (!given)
        p->bits = 128;
    if (p->bits != 32 && p->bits != 64 && (p->bits < 96 || p->bits > 128 || p->bits % 8))
        return operation_error(ctx, "tagLength is 32, 64, 96, 104, 112, 120 or 128");
    if (!p->iv.len || p->iv.len > INT32_MAX / 8 || p->more.len > INT32_MAX)
        return operation_error(ctx, "the iv is empty, or it or additionalData too long");
    return 0;
}

static int generate_params(JSContext *ctx, JSValueConst value, struct wc_params *p)
{
    if (wc_is_ec(p->algorithm))
        return get_curve(ctx, value, &p->curve);
    if (p->algorithm == WC_HMAC) {
        if (get_hash(ctx, value, &p->hash) < 0 ||
            get_number(ctx, value, "length", &p->bits, &p->bits_given) < 0)
            return -1;
        if (!p->bits_given)
            p->bits = (uint32_t)wc_hash_block_bytes(p->hash) * 8;
        return p->bits && p->bits % 8 == 0 && p->bits <= SECRET_BYTES_MAX * 8
                   ? 0
                   : operation_error(ctx, "the key's length must be a multiple of 8");
    }
    if (wc_is_aes(p->algorithm)) {
        if (get_number(ctx, value, "length", &p->bits, NULL) < 0)
            return -1;
        return p->bits == 128 || p->bits == 192 || p->bits == 256
                   ? 0
                   : operation_error(ctx, "an AES key has 128, 192 or 256 bits");
    }
    if (get_hash(ctx, value, &p->hash) < 0 ||
        get_number(ctx, value, "modulusLength", &p->bits, NULL) < 0 ||
        copy_bytes(ctx, value, "publicExponent", true, &p->exponent) < 0)
        return -1;
    /* An exponent that is even or 1 would keep the library searching. */
    const struct sq_buf *e = &p->exponent;
    bool odd = e->len && e->len <= 32 && e->data[e->len - 1] & 1, small = true;
    for (size_t i = 0; i + 1 < e->len; i++)
        small &= e->data[i] == 0;
    if (!odd || (small && e->data[e->len - 1] == 1) || p->bits < MODULUS_BITS_MIN ||
        p->bits > MODULUS_BITS_MAX)
        return operation_error(ctx, "modulusLength is 1024 to 8192, publicExponent odd and not 1");
    return 0;
}

static int derive_params(JSContext *ctx, JSValueConst value, struct wc_params *p)
{
    if (p->algorithm == WC_ECDH) {
        p->peer = JS_GetPropertyStr(ctx, value, "public");
        return JS_IsException(p->peer) || !wc_key_of(ctx, p->peer) ? -1 : 0;
    }
    if (get_hash(ctx, value, &p->hash) < 0 || copy_bytes(ctx, value, "salt", true, &p->more) < 0 ||
        get_number(ctx, value, "iterations", &p->iterations, NULL) < 0)
        return -1;
    return p->iterations && p->more.len <= INT32_MAX
               ? 0
               : operation_error(ctx, "PBKDF2 needs one iteration at least");
}

/* What the operation takes from the algorithm argument. */
static int op_params(JSContext *ctx, JSValueConst value, enum wc_op op, struct wc_params *p)
{
    enum wc_algorithm a = p->algorithm;

    switch (op) {
    case OP_GENERATE:
        return a == WC_PBKDF2 ? -2 : generate_params(ctx, value, p);
    case OP_IMPORT:
        if (wc_is_ec(a))
            return get_curve(ctx, value, &p->curve);
        if (a == WC_HMAC && get_number(ctx, value, "length", &p->bits, &p->bits_given) < 0)
            return -1;
        return a == WC_HMAC || wc_is_rsa(a) ? get_hash(ctx, value, &p->hash) : 0;
    case OP_ENCRYPT:
    case OP_DECRYPT:
        if (a == WC_RSA_OAEP)
            return copy_bytes(ctx, value, "label", false, &p->more);
        return wc_is_aes(a) && a != WC_AES_KW ? aes_params(ctx, value, p) : -2;
    case OP_WRAP:
    case OP_UNWRAP:
        if (a == WC_RSA_OAEP)
            return copy_bytes(ctx, value, "label", false, &p->more);
        return wc_is_aes(a) ? aes_params(ctx, value, p) : -2;
    case OP_SIGN:
    case OP_VERIFY:
        if (a == WC_ECDSA)
            return get_hash(ctx, value, &p->hash);
        if (a == WC_RSA_PSS)
            return get_number(ctx, value, "saltLength", &p->salt_bytes, NULL);
        return a == WC_HMAC || a == WC_RSASSA ? 0 : -2;
    case OP_DERIVE_BITS:
    case OP_DERIVE_KEY:
        return a == WC_ECDH || a == WC_PBKDF2 ? derive_params(ctx, value, p) : -2;
    default:
        return -2;
    }
}

static void params_deinit(JSContext *ctx, struct wc_params *p)
{
    sq_buf_deinit(&p->iv);
    sq_buf_deinit(&p->more);
    sq_buf_deinit(&p->exponent);
    JS_FreeValue(ctx, p->peer);
}

/* -1: an exception is pending, nothing to free. */
static int params_init(JSContext *ctx, JSValueConst value, enum wc_op op, struct wc_params *p)
{
    *p = (struct wc_params){.hash = -1, .curve = -1, .peer = JS_UNDEFINED};
    int found = op == OP_DIGEST ? one_of(ctx, value, wc_hash_names, WC_HASHES)
                                : one_of(ctx, value, wc_algorithm_names, WC_ALGORITHMS);
    if (found < 0)
        return -1;
    if (op == OP_DIGEST) {
        p->hash = found;
        return 0;
    }
    p->algorithm = (enum wc_algorithm)found;
    /* A bare name is an object with that name alone: its other members are undefined. */
    JSValue none = JS_IsObject(value) ? JS_UNDEFINED : JS_NewObject(ctx);
    int rc = op_params(ctx, JS_IsObject(value) ? value : none, op, p);
    JS_FreeValue(ctx, none);
    if (rc == 0)
        return 0;
    if (rc == -2)
        wc_throw(ctx, "NotSupportedError", "%s does not have this operation",
                 wc_algorithm_names[found]);
    params_deinit(ctx, p);
    return -1;
}

/* -1: an exception is pending. */
static int64_t usages_of(JSContext *ctx, JSValueConst list)
{
    static const char *const names[] = {"encrypt",   "decrypt",    "sign",    "verify",
                                        "deriveKey", "deriveBits", "wrapKey", "unwrapKey"};
    int64_t count = 0, usages = 0;

    if (JS_IsArray(ctx, list) <= 0) {
        JS_ThrowTypeError(ctx, "the usages must be an array of names");
        return -1;
    }
    JSValue length = JS_GetPropertyStr(ctx, list, "length");
    JS_ToInt64(ctx, &count, length);
    for (int64_t i = 0; i < count && usages >= 0; i++) {
        JSValue item = JS_GetPropertyUint32(ctx, list, (uint32_t)i);
        const char *text = JS_ToCString(ctx, item);
        int64_t bit = 0;
        for (size_t k = 0; text && k < SQ_COUNT(names); k++)
            if (strcmp(text, names[k]) == 0)
                bit = (int64_t)1 << k;
        if (text && !bit)
            JS_ThrowTypeError(ctx, "'%s' is no usage of a key", text);
        usages = bit ? usages | bit : -1;
        JS_FreeCString(ctx, text);
        JS_FreeValue(ctx, item);
    }
    return usages;
}

/* The key, if it may be used so. NULL: an exception is pending. */
static struct wc_key *key_for(JSContext *ctx, JSValueConst value, const struct wc_params *p,
                              unsigned usage)
{
    struct wc_key *key = wc_key_of(ctx, value);

    if (!key)
        return NULL;
    if (key->algorithm != p->algorithm)
        wc_throw(ctx, "InvalidAccessError", "the key is one for %s, not for %s",
                 wc_algorithm_names[key->algorithm], wc_algorithm_names[p->algorithm]);
    else if (!(key->usages & usage))
        wc_throw(ctx, "InvalidAccessError", "the key's usages do not include this");
    else
        return key;
    return NULL;
}

/* ---- operations ---- */

static JSValue result_of(JSContext *ctx, wc_work *work, struct wc_job *job, bool deep)
{
    JSValue result = wc_run(work, job, deep) < 0
                         ? wc_throw(ctx, "OperationError", "the operation failed")
                         : JS_NewArrayBufferCopy(ctx, job->out.data, job->out.len);

    wc_job_deinit(job);
    return result;
}

static JSValue digest(JSContext *ctx, JSValueConst *argv)
{
    struct wc_params p;
    struct wc_job job = {.params = &p};

    if (params_init(ctx, argv[0], OP_DIGEST, &p) < 0 ||
        wc_bytes(ctx, argv[1], "the data", &job.data) < 0)
        return JS_EXCEPTION;
    return result_of(ctx, wc_digest, &job, false);
}

static JSValue transform(JSContext *ctx, const struct wc_params *p, const struct wc_key *key,
                         struct sq_slice data, bool decrypts)
{
    struct wc_job job = {.params = p, .key = key, .data = data, .decrypts = decrypts};
    bool oaep = p->algorithm == WC_RSA_OAEP;

    return result_of(ctx,
                     oaep                        ? wc_oaep
                     : p->algorithm == WC_AES_KW ? wc_wrap
                                                 : wc_cipher,
                     &job, oaep);
}

static JSValue crypt(JSContext *ctx, JSValueConst *argv, bool decrypts)
{
    struct wc_params p;
    struct sq_slice data;
    JSValue result = JS_EXCEPTION;

    if (params_init(ctx, argv[0], decrypts ? OP_DECRYPT : OP_ENCRYPT, &p) < 0)
        return JS_EXCEPTION;
    const struct wc_key *key = key_for(ctx, argv[1], &p, decrypts ? WC_DECRYPT : WC_ENCRYPT);
    if (key && wc_bytes(ctx, argv[2], "the data", &data) == 0)
        result = transform(ctx, &p, key, data, decrypts);
    params_deinit(ctx, &p);
    return result;
}

static JSValue sign(JSContext *ctx, JSValueConst *argv)
{
    struct wc_params p;
    JSValue result = JS_EXCEPTION;

    if (params_init(ctx, argv[0], OP_SIGN, &p) < 0)
        return JS_EXCEPTION;
    struct wc_job job = {.params = &p, .key = key_for(ctx, argv[1], &p, WC_SIGN)};
    bool secret = p.algorithm == WC_HMAC;
    if (job.key && wc_bytes(ctx, argv[2], "the data", &job.data) == 0)
        result = result_of(ctx, secret ? wc_hmac : wc_sign, &job, !secret);
    params_deinit(ctx, &p);
    return result;
}

static JSValue verify(JSContext *ctx, JSValueConst *argv)
{
    struct wc_params p;
    JSValue result = JS_EXCEPTION;

    if (params_init(ctx, argv[0], OP_VERIFY, &p) < 0)
        return JS_EXCEPTION;
    struct wc_job job = {.params = &p, .key = key_for(ctx, argv[1], &p, WC_VERIFY)};
    bool secret = p.algorithm == WC_HMAC;
    if (job.key && wc_bytes(ctx, argv[2], "the signature", &job.signature) == 0 &&
        wc_bytes(ctx, argv[3], "the data", &job.data) == 0) {
        int rc = wc_run(secret ? wc_hmac : wc_verify, &job, !secret);
        if (secret)
            job.valid = job.out.len == job.signature.len &&
                        CRYPTO_memcmp(job.out.data, job.signature.data, job.out.len) == 0;
        result = rc < 0 ? wc_throw(ctx, "OperationError", "the operation failed")
                        : JS_NewBool(ctx, job.valid);
    }
    wc_job_deinit(&job);
    params_deinit(ctx, &p);
    return result;
}

static JSValue generate_pair(JSContext *ctx, const struct wc_params *p, bool extractable,
                             unsigned usages)
{
    static const char *const names[] = {[WC_PUBLIC] = "publicKey", [WC_PRIVATE] = "privateKey"};
    struct wc_job job = {.params = p, .algorithm = p->algorithm, .curve = p->curve};
    JSValue result = JS_NewObject(ctx);

    if (usages &
        ~(wc_usages_for(p->algorithm, WC_PUBLIC) | wc_usages_for(p->algorithm, WC_PRIVATE)))
        wc_throw(ctx, "SyntaxError", "a usage is not one of a %s key",
                 wc_algorithm_names[p->algorithm]);
    else if (!(usages & wc_usages_for(p->algorithm, WC_PRIVATE)))
        wc_throw(ctx, "SyntaxError", "the private key needs a usage");
    else if (wc_run(wc_generate_pair, &job, true) < 0)
        wc_throw(ctx, "OperationError", "the key pair could not be made");
    for (enum wc_type type = WC_PUBLIC; type <= WC_PRIVATE && !JS_HasException(ctx); type++) {
        struct wc_key key = {.algorithm = p->algorithm,
                             .type = type,
                             .hash = wc_is_rsa(p->algorithm) ? p->hash : -1,
                             .curve = p->curve,
                             .usages = usages & wc_usages_for(p->algorithm, type),
                             .extractable = extractable || type == WC_PUBLIC,
                             .pair = job.pair};
        EVP_PKEY_up_ref(job.pair);
        JSValue object = wc_key_new(ctx, &key);
        if (!JS_IsException(object))
            JS_SetPropertyStr(ctx, result, names[type], object);
    }
    wc_job_deinit(&job);
    if (!JS_HasException(ctx))
        return result;
    JS_FreeValue(ctx, result);
    return JS_EXCEPTION;
}

static JSValue generate_secret(JSContext *ctx, const struct wc_params *p, bool extractable,
                               unsigned usages)
{
    uint8_t *raw = sq_try_alloc(p->bits / 8);

    if (!raw)
        return JS_ThrowOutOfMemory(ctx);
    sq_random_bytes(raw, p->bits / 8);
    JSValue key = wc_secret_key(ctx, p, raw, p->bits / 8, extractable, usages);
    OPENSSL_cleanse(raw, p->bits / 8);
    free(raw);
    return key;
}

static JSValue generate_key(JSContext *ctx, JSValueConst *argv)
{
    struct wc_params p;
    int64_t usages = -1;
    JSValue result = JS_EXCEPTION;

    if (params_init(ctx, argv[0], OP_GENERATE, &p) < 0)
        return JS_EXCEPTION;
    bool extractable = JS_ToBool(ctx, argv[1]) > 0;
    if ((usages = usages_of(ctx, argv[2])) >= 0)
        result = wc_is_ec(p.algorithm) || wc_is_rsa(p.algorithm)
                     ? generate_pair(ctx, &p, extractable, (unsigned)usages)
                     : generate_secret(ctx, &p, extractable, (unsigned)usages);
    params_deinit(ctx, &p);
    return result;
}

static JSValue import_as(JSContext *ctx, JSValueConst format, JSValueConst data,
                         JSValueConst *algorithm_extractable_usages)
{
    struct wc_params p;
    JSValue result = JS_EXCEPTION;

    if (params_init(ctx, algorithm_extractable_usages[0], OP_IMPORT, &p) < 0)
        return JS_EXCEPTION;
    bool extractable = JS_ToBool(ctx, algorithm_extractable_usages[1]) > 0;
    int64_t usages = usages_of(ctx, algorithm_extractable_usages[2]);
    const char *name = usages < 0 ? NULL : JS_ToCString(ctx, format);
    if (name)
        result = wc_import_key(ctx, name, data, &p, extractable, (unsigned)usages);
    JS_FreeCString(ctx, name);
    params_deinit(ctx, &p);
    return result;
}

static JSValue import_key(JSContext *ctx, JSValueConst *argv)
{
    return import_as(ctx, argv[0], argv[1], argv + 2);
}

static JSValue export_key(JSContext *ctx, JSValueConst *argv)
{
    const struct wc_key *key = wc_key_of(ctx, argv[1]);
    const char *format = key ? JS_ToCString(ctx, argv[0]) : NULL;
    JSValue result = JS_EXCEPTION;

    if (format && key->algorithm == WC_PBKDF2)
        wc_throw(ctx, "NotSupportedError", "PBKDF2 keys cannot be exported");
    else if (format)
        result = wc_export_key(ctx, format, key);
    JS_FreeCString(ctx, format);
    return result;
}

/* ---- deriving ---- */

/* bits 0: all there are (ECDH). The caller frees the job. -1: an exception is pending. */
static int derive(JSContext *ctx, struct wc_job *job, uint32_t bits)
{
    bool ecdh = job->params->algorithm == WC_ECDH;

    job->bytes_wanted = bits / 8;
    if (bits % 8 || (!ecdh && !bits))
        return operation_error(ctx, "the length must be a multiple of 8, for PBKDF2 not 0");
    if (ecdh) {
        job->peer = wc_key_of(ctx, job->params->peer);
        if (job->peer->algorithm != WC_ECDH || job->peer->type != WC_PUBLIC ||
            job->peer->curve != job->key->curve || job->key->type != WC_PRIVATE) {
            wc_throw(ctx, "InvalidAccessError",
                     "ECDH takes a private key and a public one on the same curve");
            return -1;
        }
    }
    if (wc_run(ecdh ? wc_derive_ecdh : wc_derive_pbkdf2, job, true) < 0 ||
        job->out.len < job->bytes_wanted)
        return operation_error(ctx, "there are not as many bits to derive");
    if (bits)
        job->out.len = job->bytes_wanted;
    return 0;
}

static JSValue derive_bits(JSContext *ctx, JSValueConst *argv)
{
    struct wc_params p;
    double bits = 0;
    JSValue result = JS_EXCEPTION;

    if (params_init(ctx, argv[0], OP_DERIVE_BITS, &p) < 0)
        return JS_EXCEPTION;
    struct wc_job job = {.params = &p, .key = key_for(ctx, argv[1], &p, WC_DERIVE_BITS)};
    bool all = JS_IsNull(argv[2]) || JS_IsUndefined(argv[2]);
    if (job.key && (all || JS_ToFloat64(ctx, &bits, argv[2]) == 0)) {
        if (!(bits >= 0 && bits <= INT32_MAX))
            operation_error(ctx, "the length is out of range");
        else if (derive(ctx, &job, (uint32_t)bits) == 0)
            result = JS_NewArrayBufferCopy(ctx, job.out.data, job.out.len);
    }
    wc_job_deinit(&job);
    params_deinit(ctx, &p);
    return result;
}

/* The length is the one that generating such a key would take. */
static int derived_params(JSContext *ctx, JSValueConst value, struct wc_params *p)
{
    if (params_init(ctx, value, OP_IMPORT, p) < 0)
        return -1;
    if (wc_is_aes(p->algorithm) || p->algorithm == WC_HMAC) {
        params_deinit(ctx, p);
        return params_init(ctx, value, OP_GENERATE, p);
    }
    if (p->algorithm == WC_PBKDF2)
        return 0;
    params_deinit(ctx, p);
    wc_throw(ctx, "NotSupportedError", "keys of this algorithm cannot be derived");
    return -1;
}

static JSValue derive_key(JSContext *ctx, JSValueConst *argv)
{
    struct wc_params p, target;
    int64_t usages = usages_of(ctx, argv[4]);
    JSValue result = JS_EXCEPTION;

    if (usages < 0 || params_init(ctx, argv[0], OP_DERIVE_KEY, &p) < 0)
        return JS_EXCEPTION;
    struct wc_job job = {.params = &p, .key = key_for(ctx, argv[1], &p, WC_DERIVE_KEY)};
    if (job.key && derived_params(ctx, argv[2], &target) == 0) {
        if (derive(ctx, &job, target.bits) == 0)
            result = wc_secret_key(ctx, &target, job.out.data, job.out.len,
                                   JS_ToBool(ctx, argv[3]) > 0, (unsigned)usages);
        params_deinit(ctx, &target);
    }
    wc_job_deinit(&job);
    params_deinit(ctx, &p);
    return result;
}

/* ---- wrapping ---- */

static JSValue wrap_bytes(JSContext *ctx, const struct wc_params *p, const struct wc_key *key,
                          JSValueConst exported)
{
    struct sq_slice data;

    if (!sq_js_is_array_buffer(ctx, exported)) {
        JSValue json = JS_JSONStringify(ctx, exported, JS_UNDEFINED, JS_UNDEFINED);
        size_t len;
        const char *text = JS_ToCStringLen(ctx, &len, json);
        JSValue result = JS_EXCEPTION;
        struct sq_buf padded = {0};
        if (text) {
            sq_buf_put(&padded, text, len);
            while (p->algorithm == WC_AES_KW && padded.len % 8) /* JSON may end in spaces */
                sq_buf_putc(&padded, ' ');
            result = transform(ctx, p, key, sq_buf_slice(&padded), false);
        }
        sq_buf_deinit(&padded);
        JS_FreeCString(ctx, text);
        JS_FreeValue(ctx, json);
        return result;
    }
    if (wc_bytes(ctx, exported, "the key", &data) < 0)
        return JS_EXCEPTION;
    return transform(ctx, p, key, data, false);
}

static JSValue wrap_key(JSContext *ctx, JSValueConst *argv)
{
    struct wc_params p;
    JSValue result = JS_EXCEPTION;

    if (params_init(ctx, argv[3], OP_WRAP, &p) < 0)
        return JS_EXCEPTION;
    const struct wc_key *key = key_for(ctx, argv[2], &p, WC_WRAP_KEY);
    JSValue exported = key ? export_key(ctx, argv) : JS_EXCEPTION;
    if (!JS_IsException(exported))
        result = wrap_bytes(ctx, &p, key, exported);
    JS_FreeValue(ctx, exported);
    params_deinit(ctx, &p);
    return result;
}

static JSValue unwrapped(JSContext *ctx, JSValueConst format, JSValueConst buffer,
                         JSValueConst *rest)
{
    const char *name = JS_ToCString(ctx, format);
    bool jwk = name && strcmp(name, "jwk") == 0;
    struct sq_slice data;

    JS_FreeCString(ctx, name);
    if (!name || wc_bytes(ctx, buffer, "the key", &data) < 0)
        return JS_EXCEPTION;
    if (!jwk)
        return import_as(ctx, format, buffer, rest);
    char *text = sq_xstrndup((const char *)data.data, data.len);
    JSValue object = JS_ParseJSON(ctx, text, data.len, "jwk");
    free(text);
    if (JS_IsException(object)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return wc_throw(ctx, "DataError", "what was wrapped is no JWK");
    }
    JSValue result = import_as(ctx, format, object, rest);
    JS_FreeValue(ctx, object);
    return result;
}

static JSValue unwrap_key(JSContext *ctx, JSValueConst *argv)
{
    struct wc_params p;
    struct sq_slice data;
    JSValue plain = JS_EXCEPTION;

    if (params_init(ctx, argv[3], OP_UNWRAP, &p) < 0)
        return JS_EXCEPTION;
    const struct wc_key *key = key_for(ctx, argv[2], &p, WC_UNWRAP_KEY);
    if (key && wc_bytes(ctx, argv[1], "the wrapped key", &data) == 0)
        plain = transform(ctx, &p, key, data, true);
    params_deinit(ctx, &p);
    if (JS_IsException(plain))
        return plain;
    JSValue result = unwrapped(ctx, argv[0], plain, argv + 4);
    JS_FreeValue(ctx, plain);
    return result;
}

/* ---- the global ---- */

static JSValue call(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int op)
{
    JSValue result = JS_EXCEPTION;

    (void)this_val, (void)argc; /* the engine pads argv to the declared length */
    switch ((enum wc_op)op) {
    case OP_DIGEST:
        result = digest(ctx, argv);
        break;
    case OP_GENERATE:
        result = generate_key(ctx, argv);
        break;
    case OP_IMPORT:
        result = import_key(ctx, argv);
        break;
    case OP_EXPORT:
        result = export_key(ctx, argv);
        break;
    case OP_ENCRYPT:
    case OP_DECRYPT:
        result = crypt(ctx, argv, op == OP_DECRYPT);
        break;
    case OP_SIGN:
        result = sign(ctx, argv);
        break;
    case OP_VERIFY:
        result = verify(ctx, argv);
        break;
    case OP_DERIVE_BITS:
        result = derive_bits(ctx, argv);
        break;
    case OP_DERIVE_KEY:
        result = derive_key(ctx, argv);
        break;
    case OP_WRAP:
        result = wrap_key(ctx, argv);
        break;
    case OP_UNWRAP:
        result = unwrap_key(ctx, argv);
        break;
    }
    return sq_js_settled(ctx, result);
}

static const JSCFunctionListEntry subtle[] = {
    JS_CFUNC_MAGIC_DEF("digest", 2, call, OP_DIGEST),
    JS_CFUNC_MAGIC_DEF("generateKey", 3, call, OP_GENERATE),
    JS_CFUNC_MAGIC_DEF("importKey", 5, call, OP_IMPORT),
    JS_CFUNC_MAGIC_DEF("exportKey", 2, call, OP_EXPORT),
    JS_CFUNC_MAGIC_DEF("encrypt", 3, call, OP_ENCRYPT),
    JS_CFUNC_MAGIC_DEF("decrypt", 3, call, OP_DECRYPT),
    JS_CFUNC_MAGIC_DEF("sign", 3, call, OP_SIGN),
    JS_CFUNC_MAGIC_DEF("verify", 4, call, OP_VERIFY),
    JS_CFUNC_MAGIC_DEF("deriveBits", 3, call, OP_DERIVE_BITS),
    JS_CFUNC_MAGIC_DEF("deriveKey", 5, call, OP_DERIVE_KEY),
    JS_CFUNC_MAGIC_DEF("wrapKey", 4, call, OP_WRAP),
    JS_CFUNC_MAGIC_DEF("unwrapKey", 7, call, OP_UNWRAP),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "SubtleCrypto", JS_PROP_CONFIGURABLE),
};

static const JSCFunctionListEntry member[] = {
    JS_OBJECT_DEF("subtle", subtle, SQ_COUNT(subtle), JS_PROP_ENUMERABLE | JS_PROP_CONFIGURABLE),
};

void sq_web_crypto_class_ids(void)
{
    wc_key_class_id();
}

void sq_web_crypto_classes(JSContext *ctx)
{
    wc_key_class(ctx);
}

void sq_web_crypto_subtle(JSContext *ctx, JSValueConst crypto)
{
    JS_SetPropertyFunctionList(ctx, crypto, member, SQ_COUNT(member));
}
