/* SPDX-License-Identifier: Apache-2.0 */
/* CryptoKey and the formats it comes in and goes out: raw, jwk (RFC 7517), spki, pkcs8. */
#include <stdlib.h>

#include "js/crypto/web_crypto.h"

static JSClassID key_class;

const char *const wc_algorithm_names[WC_ALGORITHMS] = {
    "AES-CBC", "AES-CTR",           "AES-GCM", "AES-KW",   "HMAC",  "ECDSA",
    "ECDH",    "RSASSA-PKCS1-v1_5", "RSA-PSS", "RSA-OAEP", "PBKDF2"};
const char *const wc_hash_names[WC_HASHES] = {"SHA-1", "SHA-256", "SHA-384", "SHA-512"};
const char *const wc_curve_names[WC_CURVES] = {"P-256", "P-384", "P-521"};

static const struct {
    unsigned bit;
    const char *name;
} usage_names[] = {
    {WC_ENCRYPT, "encrypt"},  {WC_DECRYPT, "decrypt"},      {WC_SIGN, "sign"},
    {WC_VERIFY, "verify"},    {WC_DERIVE_KEY, "deriveKey"}, {WC_DERIVE_BITS, "deriveBits"},
    {WC_WRAP_KEY, "wrapKey"}, {WC_UNWRAP_KEY, "unwrapKey"},
};

/* ---- CryptoKey ---- */

unsigned wc_usages_for(enum wc_algorithm algorithm, enum wc_type type)
{
    switch (algorithm) {
    case WC_AES_KW:
        return WC_WRAP_KEY | WC_UNWRAP_KEY;
    case WC_HMAC:
        return WC_SIGN | WC_VERIFY;
    case WC_ECDSA:
    case WC_RSASSA:
    case WC_RSA_PSS:
        return type == WC_PUBLIC ? WC_VERIFY : WC_SIGN;
    case WC_ECDH:
        return type == WC_PUBLIC ? 0 : WC_DERIVE_KEY | WC_DERIVE_BITS;
    case WC_RSA_OAEP:
        return type == WC_PUBLIC ? WC_ENCRYPT | WC_WRAP_KEY : WC_DECRYPT | WC_UNWRAP_KEY;
    case WC_PBKDF2:
        return WC_DERIVE_KEY | WC_DERIVE_BITS;
    default:
        return WC_ENCRYPT | WC_DECRYPT | WC_WRAP_KEY | WC_UNWRAP_KEY;
    }
}

static void deinit_key(struct wc_key *key)
{
    if (key->raw)
        OPENSSL_cleanse(key->raw, key->raw_bytes);
    free(key->raw);
    EVP_PKEY_free(key->pair);
}

static void finalizer(JSRuntime *rt, JSValue value)
{
    struct wc_key *key = JS_GetOpaque(value, key_class);

    (void)rt;
    if (key)
        deinit_key(key);
    free(key);
}

struct wc_key *wc_key_of(JSContext *ctx, JSValueConst value)
{
    struct wc_key *key = JS_GetOpaque(value, key_class);

    if (!key)
        JS_ThrowTypeError(ctx, "a CryptoKey is expected");
    return key;
}

static JSValue named(JSContext *ctx, const char *name)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyStr(ctx, object, "name", JS_NewString(ctx, name));
    return object;
}

static JSValue algorithm_object(JSContext *ctx, struct wc_key *key)
{
    JSValue object = named(ctx, wc_algorithm_names[key->algorithm]);

    if (wc_is_aes(key->algorithm) || key->algorithm == WC_HMAC)
        JS_SetPropertyStr(ctx, object, "length", JS_NewInt64(ctx, (int64_t)key->raw_bytes * 8));
    if (wc_is_ec(key->algorithm))
        JS_SetPropertyStr(ctx, object, "namedCurve", JS_NewString(ctx, wc_curve_names[key->curve]));
    if (key->hash >= 0)
        JS_SetPropertyStr(ctx, object, "hash", named(ctx, wc_hash_names[key->hash]));
    if (!wc_is_rsa(key->algorithm))
        return object;
    struct wc_job job = {.key = key};
    wc_list_numbers(&job, true, false);
    if (wc_run(wc_export_numbers, &job, true) == 0) {
        const struct sq_buf *e = &job.numbers[1].bytes;
        JSValue args[3] = {JS_NewArrayBufferCopy(ctx, e->data, e->len), JS_UNDEFINED, JS_UNDEFINED};
        JS_SetPropertyStr(ctx, object, "publicExponent",
                          JS_NewTypedArray(ctx, 3, args, JS_TYPED_ARRAY_UINT8));
        JS_FreeValue(ctx, args[0]);
    }
    wc_job_deinit(&job);
    JS_SetPropertyStr(ctx, object, "modulusLength", JS_NewInt32(ctx, wc_modulus_bits(key->pair)));
    return object;
}

static JSValue usages_array(JSContext *ctx, unsigned usages)
{
    JSValue list = JS_NewArray(ctx);
    uint32_t count = 0;

    for (size_t i = 0; i < SQ_COUNT(usage_names); i++)
        if (usages & usage_names[i].bit)
            JS_SetPropertyUint32(ctx, list, count++, JS_NewString(ctx, usage_names[i].name));
    return list;
}

static bool usages_fit(JSContext *ctx, const struct wc_key *key)
{
    if (key->usages & ~wc_usages_for(key->algorithm, key->type)) {
        wc_throw(ctx, "SyntaxError", "a usage is not one of a %s key",
                 wc_algorithm_names[key->algorithm]);
        return false;
    }
    if (!key->usages && key->type != WC_PUBLIC) {
        wc_throw(ctx, "SyntaxError", "a secret or private key needs a usage");
        return false;
    }
    return true;
}

JSValue wc_key_new(JSContext *ctx, struct wc_key *key)
{
    static const char *const types[] = {"secret", "public", "private"};
    JSValue object = JS_EXCEPTION;

    if (usages_fit(ctx, key))
        object = JS_NewObjectClass(ctx, (int)key_class);
    if (JS_IsException(object)) {
        deinit_key(key);
        return object;
    }
    struct wc_key *own = sq_xmalloc(sizeof *own);
    *own = *key;
    JS_SetOpaque(object, own);
    int flags = JS_PROP_ENUMERABLE;
    JS_DefinePropertyValueStr(ctx, object, "type", JS_NewString(ctx, types[key->type]), flags);
    JS_DefinePropertyValueStr(ctx, object, "extractable", JS_NewBool(ctx, key->extractable), flags);
    JS_DefinePropertyValueStr(ctx, object, "algorithm", algorithm_object(ctx, own), flags);
    JS_DefinePropertyValueStr(ctx, object, "usages", usages_array(ctx, key->usages), flags);
    return object;
}

JSValue wc_secret_key(JSContext *ctx, const struct wc_params *p, const uint8_t *raw, size_t len,
                      bool extractable, unsigned usages)
{
    struct wc_key key = {.algorithm = p->algorithm,
                         .hash = p->algorithm == WC_HMAC ? p->hash : -1,
                         .curve = -1,
                         .usages = usages,
                         .extractable = extractable};

    if (wc_is_aes(p->algorithm) && len != 16 && len != 24 && len != 32)
        return wc_throw(ctx, "DataError", "an AES key has 128, 192 or 256 bits");
    if (p->algorithm == WC_HMAC && (!len || (p->bits_given && p->bits != len * 8)))
        return wc_throw(ctx, "DataError", "the HMAC key is empty or not of the given length");
    if (p->algorithm == WC_PBKDF2 && extractable)
        return wc_throw(ctx, "SyntaxError", "a PBKDF2 key cannot be extractable");
    key.raw = sq_try_alloc(len + 1);
    if (!key.raw)
        return JS_ThrowOutOfMemory(ctx);
    if (len)
        memcpy(key.raw, raw, len);
    key.raw_bytes = len;
    return wc_key_new(ctx, &key);
}

/* ---- jwk ---- */

/* The member's bytes appended. False without an exception: it is missing or no base64url. */
static bool member_bytes(JSContext *ctx, JSValueConst jwk, const char *name, struct sq_buf *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    JSValue value = JS_GetPropertyStr(ctx, jwk, name);
    const char *text = JS_IsString(value) ? JS_ToCString(ctx, value) : NULL;
    uint32_t bits = 0, have = 0;
    bool ok = text != NULL;

    for (const char *p = text; ok && *p; p++) {
        const char *at = strchr(alphabet, *p);
        ok = at != NULL;
        bits = bits << 6 | (ok ? (uint32_t)(at - alphabet) : 0);
        if ((have += 6) >= 8)
            sq_buf_putc(out, (char)(bits >> (have -= 8)));
    }
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, value);
    return ok && have != 6;
}

static bool member_is(JSContext *ctx, JSValueConst jwk, const char *name, const char *wanted)
{
    JSValue value = JS_GetPropertyStr(ctx, jwk, name);
    const char *text = JS_IsString(value) ? JS_ToCString(ctx, value) : NULL;
    bool is = text && strcmp(text, wanted) == 0;

    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, value);
    return is;
}

static bool has_member(JSContext *ctx, JSValueConst jwk, const char *name)
{
    JSValue value = JS_GetPropertyStr(ctx, jwk, name);
    bool has = !JS_IsUndefined(value) && !JS_IsException(value);

    JS_FreeValue(ctx, value);
    return has;
}

/* "A256GCM", "HS512", "RSA-OAEP-256"; "" where a JWK has no `alg`. */
static void jwk_alg(const struct wc_key *key, char out[24])
{
    static const char *const sha[WC_HASHES] = {"1", "256", "384", "512"};
    static const char *const modes[] = {"CBC", "CTR", "GCM", "KW"};

    *out = '\0';
    if (wc_is_aes(key->algorithm))
        snprintf(out, 24, "A%zu%s", key->raw_bytes * 8, modes[key->algorithm]);
    else if (key->algorithm == WC_HMAC)
        snprintf(out, 24, "HS%s", sha[key->hash]);
    else if (key->algorithm == WC_RSASSA)
        snprintf(out, 24, "RS%s", sha[key->hash]);
    else if (key->algorithm == WC_RSA_PSS)
        snprintf(out, 24, "PS%s", sha[key->hash]);
    else if (key->algorithm == WC_RSA_OAEP)
        snprintf(out, 24, "RSA-OAEP%s%s", key->hash ? "-" : "", key->hash ? sha[key->hash] : "");
}

static bool alg_fits(JSContext *ctx, JSValueConst jwk, const struct wc_key *key)
{
    char alg[24];

    jwk_alg(key, alg);
    return !*alg || !has_member(ctx, jwk, "alg") || member_is(ctx, jwk, "alg", alg);
}

static bool ext_fits(JSContext *ctx, JSValueConst jwk, bool extractable)
{
    JSValue ext = JS_GetPropertyStr(ctx, jwk, "ext");
    bool fits = JS_IsUndefined(ext) || !extractable || JS_ToBool(ctx, ext) > 0;

    JS_FreeValue(ctx, ext);
    return fits;
}

static JSValue bad_jwk(JSContext *ctx, const char *why)
{
    return wc_throw(ctx, "DataError", "the JWK cannot be imported: %s", why);
}

static JSValue import_secret_jwk(JSContext *ctx, JSValueConst jwk, const struct wc_params *p,
                                 bool extractable, unsigned usages)
{
    struct sq_buf raw = {0};
    JSValue result;

    if (p->algorithm == WC_PBKDF2)
        return wc_throw(ctx, "NotSupportedError", "PBKDF2 keys are imported as 'raw'");
    if (!member_is(ctx, jwk, "kty", "oct") || !member_bytes(ctx, jwk, "k", &raw)) {
        result = bad_jwk(ctx, "it needs kty 'oct' and k");
    } else {
        struct wc_key like = {.algorithm = p->algorithm, .hash = p->hash, .raw_bytes = raw.len};
        result = alg_fits(ctx, jwk, &like)
                     ? wc_secret_key(ctx, p, raw.data, raw.len, extractable, usages)
                     : bad_jwk(ctx, "its alg is another one");
    }
    sq_buf_deinit(&raw);
    return result;
}

/* ---- import ---- */

static JSValue imported_pair(JSContext *ctx, struct wc_job *job, const struct wc_params *p,
                             enum wc_type type, bool extractable, unsigned usages)
{
    struct wc_key key = {.algorithm = p->algorithm,
                         .type = type,
                         .hash = wc_is_rsa(p->algorithm) ? p->hash : -1,
                         .curve = p->curve,
                         .usages = usages,
                         .extractable = extractable,
                         .pair = job->pair};

    job->pair = NULL;
    return wc_key_new(ctx, &key);
}

static JSValue import_pair_jwk(JSContext *ctx, JSValueConst jwk, const struct wc_params *p,
                               bool extractable, unsigned usages)
{
    struct wc_job job = {.algorithm = p->algorithm, .curve = p->curve};
    struct wc_key like = {.algorithm = p->algorithm, .hash = p->hash};
    bool rsa = wc_is_rsa(p->algorithm), secret = has_member(ctx, jwk, "d");
    const char *why = NULL;

    if (!member_is(ctx, jwk, "kty", rsa ? "RSA" : "EC"))
        why = "its kty is another one";
    else if (!rsa && !member_is(ctx, jwk, "crv", wc_curve_names[p->curve]))
        why = "its crv is another one";
    else if (!alg_fits(ctx, jwk, &like))
        why = "its alg is another one";
    wc_list_numbers(&job, rsa, secret);
    for (size_t i = 0; i < job.numbers_count && !why; i++) {
        struct wc_number *n = &job.numbers[i];
        if (!member_bytes(ctx, jwk, n->member, &n->bytes) || !n->bytes.len)
            why = "a number is missing or not base64url";
        else if (!rsa && n->bytes.len != wc_curve_bytes(p->curve))
            why = "a number is not as long as the curve's";
    }
    if (!why && wc_run(wc_import_numbers, &job, true) < 0)
        why = "its numbers are no key";
    JSValue result =
        why ? bad_jwk(ctx, why)
            : imported_pair(ctx, &job, p, secret ? WC_PRIVATE : WC_PUBLIC, extractable, usages);
    wc_job_deinit(&job);
    return result;
}

static JSValue import_jwk(JSContext *ctx, JSValueConst jwk, const struct wc_params *p,
                          bool extractable, unsigned usages)
{
    if (!JS_IsObject(jwk) || sq_js_kind(jwk) != SQ_JS_OTHER || sq_js_is_array_buffer(ctx, jwk))
        return JS_ThrowTypeError(ctx, "a JWK is an object");
    if (!ext_fits(ctx, jwk, extractable))
        return bad_jwk(ctx, "its ext forbids an extractable key");
    return wc_is_ec(p->algorithm) || wc_is_rsa(p->algorithm)
               ? import_pair_jwk(ctx, jwk, p, extractable, usages)
               : import_secret_jwk(ctx, jwk, p, extractable, usages);
}

JSValue wc_import_key(JSContext *ctx, const char *format, JSValueConst data,
                      const struct wc_params *p, bool extractable, unsigned usages)
{
    bool ec = wc_is_ec(p->algorithm), rsa = wc_is_rsa(p->algorithm);
    bool raw = strcmp(format, "raw") == 0, spki = strcmp(format, "spki") == 0,
         pkcs8 = strcmp(format, "pkcs8") == 0;
    struct sq_slice bytes;

    if (strcmp(format, "jwk") == 0)
        return import_jwk(ctx, data, p, extractable, usages);
    if (!raw && !spki && !pkcs8)
        return JS_ThrowTypeError(ctx, "a key's format is raw, jwk, spki or pkcs8, not '%s'",
                                 format);
    if (wc_bytes(ctx, data, "the key", &bytes) < 0)
        return JS_EXCEPTION;
    if (raw && !ec && !rsa)
        return wc_secret_key(ctx, p, bytes.data, bytes.len, extractable, usages);
    if ((raw && rsa) || (!raw && !ec && !rsa))
        return wc_throw(ctx, "NotSupportedError", "%s keys have no format '%s'",
                        wc_algorithm_names[p->algorithm], format);
    struct wc_job job = {.algorithm = p->algorithm, .curve = p->curve, .data = bytes};
    wc_work *work = raw ? wc_import_point : spki ? wc_import_spki : wc_import_pkcs8;
    JSValue result =
        wc_run(work, &job, true) < 0
            ? wc_throw(ctx, "DataError", "the bytes are no %s key in the format '%s'",
                       wc_algorithm_names[p->algorithm], format)
            : imported_pair(ctx, &job, p, pkcs8 ? WC_PRIVATE : WC_PUBLIC, extractable, usages);
    wc_job_deinit(&job);
    return result;
}

/* ---- export ---- */

static JSValue export_jwk(JSContext *ctx, const struct wc_key *key)
{
    struct wc_job job = {.key = key};
    bool rsa = wc_is_rsa(key->algorithm);
    char alg[24];
    JSValue jwk = JS_NewObject(ctx);
    unsigned raw = SQ_BASE64_URL | SQ_BASE64_RAW;

    JS_SetPropertyStr(ctx, jwk, "kty",
                      JS_NewString(ctx, key->type == WC_SECRET ? "oct"
                                        : rsa                  ? "RSA"
                                                               : "EC"));
    if (key->type == WC_SECRET)
        JS_SetPropertyStr(ctx, jwk, "k", sq_k6_base64(ctx, key->raw, key->raw_bytes, raw));
    else
        wc_list_numbers(&job, rsa, key->type == WC_PRIVATE);
    if (wc_is_ec(key->algorithm))
        JS_SetPropertyStr(ctx, jwk, "crv", JS_NewString(ctx, wc_curve_names[key->curve]));
    if (job.numbers_count && wc_run(wc_export_numbers, &job, true) < 0) {
        wc_job_deinit(&job);
        JS_FreeValue(ctx, jwk);
        return wc_throw(ctx, "OperationError", "the key cannot be exported");
    }
    for (size_t i = 0; i < job.numbers_count; i++) {
        const struct wc_number *n = &job.numbers[i];
        JS_SetPropertyStr(ctx, jwk, n->member, sq_k6_base64(ctx, n->bytes.data, n->bytes.len, raw));
    }
    wc_job_deinit(&job);
    jwk_alg(key, alg);
    if (*alg)
        JS_SetPropertyStr(ctx, jwk, "alg", JS_NewString(ctx, alg));
    JS_SetPropertyStr(ctx, jwk, "key_ops", usages_array(ctx, key->usages));
    JS_SetPropertyStr(ctx, jwk, "ext", JS_NewBool(ctx, key->extractable));
    return jwk;
}

JSValue wc_export_key(JSContext *ctx, const char *format, const struct wc_key *key)
{
    struct wc_job job = {.key = key};
    wc_work *work = NULL;

    if (!key->extractable)
        return wc_throw(ctx, "InvalidAccessError", "the key is not extractable");
    if (strcmp(format, "jwk") == 0)
        return export_jwk(ctx, key);
    if (strcmp(format, "raw") == 0 && key->type == WC_SECRET)
        return JS_NewArrayBufferCopy(ctx, key->raw, key->raw_bytes);
    if (strcmp(format, "raw") == 0 && key->type == WC_PUBLIC && wc_is_ec(key->algorithm))
        work = wc_export_point;
    else if (strcmp(format, "spki") == 0 && key->type == WC_PUBLIC)
        work = wc_export_spki;
    else if (strcmp(format, "pkcs8") == 0 && key->type == WC_PRIVATE)
        work = wc_export_pkcs8;
    else if (strcmp(format, "raw") != 0 && strcmp(format, "spki") != 0 &&
             strcmp(format, "pkcs8") != 0)
        return JS_ThrowTypeError(ctx, "a key's format is raw, jwk, spki or pkcs8, not '%s'",
                                 format);
    if (!work)
        return wc_throw(ctx, "InvalidAccessError", "this key has no format '%s'", format);
    JSValue result = wc_run(work, &job, true) < 0
                         ? wc_throw(ctx, "OperationError", "the key cannot be exported")
                         : JS_NewArrayBufferCopy(ctx, job.out.data, job.out.len);
    wc_job_deinit(&job);
    return result;
}

/* ---- registration ---- */

static const JSCFunctionListEntry members[] = {
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "CryptoKey", JS_PROP_CONFIGURABLE),
};

void wc_key_class_id(void)
{
    JS_NewClassID(&key_class);
}

void wc_key_class(JSContext *ctx)
{
    static const JSClassDef definition = {"CryptoKey", .finalizer = finalizer};
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), key_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, members, SQ_COUNT(members));
    JS_SetClassProto(ctx, key_class, proto);
}
