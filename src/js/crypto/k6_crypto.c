/* SPDX-License-Identifier: Apache-2.0 */
/* k6/crypto: digests, HMAC (RFC 2104), random bytes (MOD-55, MOD-56), and the global `crypto` with
 * randomUUID and getRandomValues (MOD-58). Examples: docs/api/k6-crypto.md */
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "js/modules/modules.h"

enum { DIGESTS = 9, MD4 = 0, BLOCK_BYTES_MAX = 144, RANDOM_VALUES_BYTES_MAX = 65536 };

static const struct {
    const char *name, *openssl_name;
} digests[DIGESTS] = {
    {"md4", "MD4"},
    {"md5", "MD5"},
    {"sha1", "SHA1"},
    {"sha256", "SHA256"},
    {"sha384", "SHA384"},
    {"sha512", "SHA512"},
    {"sha512_224", "SHA512-224"},
    {"sha512_256", "SHA512-256"},
    {"ripemd160", "RIPEMD160"},
};

/* Found once per process, immutable afterwards; any thread reads them. */
static const EVP_MD *found[DIGESTS];
static pthread_once_t find_digests_once = PTHREAD_ONCE_INIT, find_md4_once = PTHREAD_ONCE_INIT;

static JSClassID hasher_class;

/* ---- finding the algorithms ---- */

/* OpenSSL's start-up and the loading of a provider need more stack than a fiber has. */
static void on_a_thread(void *(*work)(void *unused))
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, work, NULL) == 0)
        pthread_join(thread, NULL);
}

static void *fetch_digests(void *unused)
{
    for (int i = MD4 + 1; i < DIGESTS; i++)
        found[i] = EVP_MD_fetch(NULL, digests[i].openssl_name, NULL);
    return unused;
}

/* MD4 is in the legacy provider alone. It gets a library context of its own: an explicitly loaded
 * provider would keep the default one from being loaded by need. */
static void *fetch_md4(void *unused)
{
    OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();

    if (library && OSSL_PROVIDER_load(library, "legacy"))
        found[MD4] = EVP_MD_fetch(library, digests[MD4].openssl_name, NULL);
    return unused;
}

static void find_digests(void)
{
    on_a_thread(fetch_digests);
}

static void find_md4(void)
{
    on_a_thread(fetch_md4);
}

/* NULL: an exception is pending. */
static const EVP_MD *digest_named(JSContext *ctx, const char *name)
{
    for (int i = 0; i < DIGESTS; i++) {
        if (strcmp(digests[i].name, name) != 0)
            continue;
        if (i == MD4)
            pthread_once(&find_md4_once, find_md4);
        if (!found[i])
            sq_js_throw(ctx, "the digest '%s' is not available: this system's OpenSSL lacks it%s",
                        name, i == MD4 ? " (its 'legacy' provider could not be loaded)" : "");
        return found[i];
    }
    sq_js_throw(ctx, "invalid algorithm: %s", name);
    return NULL;
}

/* ---- output encodings ---- */

static void write_hex(const uint8_t *data, size_t len, char *out)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex[data[i] >> 4];
        out[2 * i + 1] = hex[data[i] & 15];
    }
}

static JSValue to_hex(JSContext *ctx, const uint8_t *data, size_t len)
{
    char *text = len > SIZE_MAX / 4 ? NULL : js_malloc(ctx, 2 * len + 1);

    if (!text)
        return JS_ThrowOutOfMemory(ctx);
    write_hex(data, len, text);
    JSValue result = JS_NewStringLen(ctx, text, 2 * len);
    js_free(ctx, text);
    return result;
}

static JSValue output(JSContext *ctx, const uint8_t *data, size_t len, JSValueConst encoding)
{
    const char *name = JS_ToCString(ctx, encoding);
    JSValue result;

    if (!name)
        return JS_EXCEPTION;
    if (strcmp(name, "hex") == 0)
        result = to_hex(ctx, data, len);
    else if (strcmp(name, "base64") == 0)
        result = sq_k6_base64(ctx, data, len, 0);
    else if (strcmp(name, "base64url") == 0)
        result = sq_k6_base64(ctx, data, len, SQ_BASE64_URL);
    else if (strcmp(name, "base64rawurl") == 0)
        result = sq_k6_base64(ctx, data, len, SQ_BASE64_URL | SQ_BASE64_RAW);
    else if (strcmp(name, "binary") == 0)
        result = JS_NewArrayBufferCopy(ctx, data, len);
    else
        result = sq_js_throw(ctx,
                             "invalid output encoding: '%s'; use hex, base64, base64url, "
                             "base64rawurl or binary",
                             name);
    JS_FreeCString(ctx, name);
    return result;
}

/* ---- Hasher: a digest, or a HMAC when keyed ---- */

struct hasher {
    const EVP_MD *md;
    EVP_MD_CTX *inner;
    EVP_MD_CTX *outer; /* NULL: no HMAC */
};

static void free_hasher(struct hasher *h)
{
    EVP_MD_CTX_free(h->inner);
    EVP_MD_CTX_free(h->outer);
}

static bool start_padded(EVP_MD_CTX *c, const EVP_MD *md, const uint8_t *key, uint8_t pad)
{
    uint8_t block[BLOCK_BYTES_MAX];
    size_t size = (size_t)EVP_MD_get_block_size(md);

    for (size_t i = 0; i < size; i++)
        block[i] = key[i] ^ pad;
    return EVP_DigestInit_ex(c, md, NULL) && EVP_DigestUpdate(c, block, size);
}

static bool start_hmac(struct hasher *h, const uint8_t *key, size_t len)
{
    uint8_t block[BLOCK_BYTES_MAX] = {0};
    unsigned hashed_len;

    h->outer = EVP_MD_CTX_new();
    if (!h->outer || EVP_MD_get_block_size(h->md) > BLOCK_BYTES_MAX)
        return false;
    if (len <= (size_t)EVP_MD_get_block_size(h->md))
        memcpy(block, key, len);
    else if (!EVP_Digest(key, len, block, &hashed_len, h->md, NULL))
        return false;
    return start_padded(h->inner, h->md, block, 0x36) && start_padded(h->outer, h->md, block, 0x5c);
}

/* key undefined: a plain digest. -1: an exception is pending, nothing to free. */
static int start_hasher(JSContext *ctx, struct hasher *h, const char *algorithm, JSValueConst key)
{
    struct sq_js_input in;
    bool ok;

    *h = (struct hasher){.md = digest_named(ctx, algorithm)};
    if (!h->md)
        return -1;
    h->inner = EVP_MD_CTX_new();
    if (JS_IsUndefined(key)) {
        ok = h->inner && EVP_DigestInit_ex(h->inner, h->md, NULL);
    } else {
        if (sq_js_input_init(ctx, key, &in) < 0) {
            free_hasher(h);
            return -1;
        }
        ok = h->inner && start_hmac(h, in.data, in.len);
        sq_js_input_deinit(ctx, &in);
    }
    if (!ok) {
        free_hasher(h);
        sq_js_throw(ctx, "cannot start the digest '%s'", algorithm);
    }
    return ok ? 0 : -1;
}

static int update_hasher(JSContext *ctx, struct hasher *h, JSValueConst value)
{
    struct sq_js_input in;

    if (sq_js_input_init(ctx, value, &in) < 0)
        return -1;
    bool ok = EVP_DigestUpdate(h->inner, in.data, in.len);
    sq_js_input_deinit(ctx, &in);
    if (!ok)
        sq_js_throw(ctx, "the digest failed");
    return ok ? 0 : -1;
}

/* Leaves the running state as it is, so that more may be added or asked again. */
static JSValue digest_so_far(JSContext *ctx, const struct hasher *h, JSValueConst encoding)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *copy = EVP_MD_CTX_new();

    bool ok = copy && EVP_MD_CTX_copy_ex(copy, h->inner) && EVP_DigestFinal_ex(copy, sum, &len);
    if (ok && h->outer)
        ok = EVP_MD_CTX_copy_ex(copy, h->outer) && EVP_DigestUpdate(copy, sum, len) &&
             EVP_DigestFinal_ex(copy, sum, &len);
    EVP_MD_CTX_free(copy);
    return ok ? output(ctx, sum, len, encoding) : sq_js_throw(ctx, "the digest failed");
}

static JSValue digest_once(JSContext *ctx, const char *algorithm, JSValueConst key,
                           JSValueConst input, JSValueConst encoding)
{
    struct hasher h;
    JSValue result = JS_EXCEPTION;

    if (start_hasher(ctx, &h, algorithm, key) < 0)
        return JS_EXCEPTION;
    if (update_hasher(ctx, &h, input) == 0)
        result = digest_so_far(ctx, &h, encoding);
    free_hasher(&h);
    return result;
}

static void hasher_finalizer(JSRuntime *rt, JSValue value)
{
    struct hasher *h = JS_GetOpaque(value, hasher_class);

    if (h)
        free_hasher(h);
    js_free_rt(rt, h);
}

static JSValue hasher_update(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct hasher *h = JS_GetOpaque2(ctx, this_val, hasher_class);

    (void)argc;
    return h && update_hasher(ctx, h, argv[0]) == 0 ? JS_UNDEFINED : JS_EXCEPTION;
}

static JSValue hasher_digest(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct hasher *h = JS_GetOpaque2(ctx, this_val, hasher_class);

    (void)argc;
    return h ? digest_so_far(ctx, h, argv[0]) : JS_EXCEPTION;
}

static JSValue new_hasher(JSContext *ctx, const char *algorithm, JSValueConst key)
{
    JSValue object = JS_NewObjectClass(ctx, (int)hasher_class);
    struct hasher *h = JS_IsException(object) ? NULL : js_malloc(ctx, sizeof *h);

    if (!h || start_hasher(ctx, h, algorithm, key) < 0) {
        js_free(ctx, h);
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    JS_SetOpaque(object, h);
    return object;
}

static const JSCFunctionListEntry hasher_methods[] = {
    JS_CFUNC_DEF("update", 1, hasher_update),
    JS_CFUNC_DEF("digest", 1, hasher_digest),
};

/* ---- the module's functions ---- */

static JSValue digest_function(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                               int index)
{
    (void)this_val, (void)argc; /* the engine pads argv to the declared length */
    return digest_once(ctx, digests[index].name, JS_UNDEFINED, argv[0], argv[1]);
}

/* The key of a HMAC may not be left out: undefined would mean a plain digest. */
static const char *hmac_arguments(JSContext *ctx, JSValueConst *argv)
{
    if (!JS_IsUndefined(argv[1]))
        return JS_ToCString(ctx, argv[0]);
    sq_js_throw(ctx, "a HMAC needs a key: a string, an ArrayBuffer or a Uint8Array");
    return NULL;
}

static JSValue hmac(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *algorithm = hmac_arguments(ctx, argv);

    (void)this_val, (void)argc;
    if (!algorithm)
        return JS_EXCEPTION;
    JSValue result = digest_once(ctx, algorithm, argv[1], argv[2], argv[3]);
    JS_FreeCString(ctx, algorithm);
    return result;
}

static JSValue create_hash(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *algorithm = JS_ToCString(ctx, argv[0]);

    (void)this_val, (void)argc;
    if (!algorithm)
        return JS_EXCEPTION;
    JSValue result = new_hasher(ctx, algorithm, JS_UNDEFINED);
    JS_FreeCString(ctx, algorithm);
    return result;
}

static JSValue create_hmac(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *algorithm = hmac_arguments(ctx, argv);

    (void)this_val, (void)argc;
    if (!algorithm)
        return JS_EXCEPTION;
    JSValue result = new_hasher(ctx, algorithm, argv[1]);
    JS_FreeCString(ctx, algorithm);
    return result;
}

static JSValue hex_encode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_input in;

    (void)this_val, (void)argc;
    if (sq_js_input_init(ctx, argv[0], &in) < 0)
        return JS_EXCEPTION;
    JSValue result = to_hex(ctx, in.data, in.len);
    sq_js_input_deinit(ctx, &in);
    return result;
}

static void free_bytes(JSRuntime *rt, void *opaque, void *bytes)
{
    (void)opaque;
    js_free_rt(rt, bytes);
}

static JSValue random_bytes(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    int64_t size;

    (void)this_val, (void)argc;
    if (JS_ToInt64(ctx, &size, argv[0]) < 0)
        return JS_EXCEPTION;
    if (size < 1 || size > INT32_MAX)
        return sq_js_throw(ctx, "invalid size: randomBytes() gives 1 to %d bytes", INT32_MAX);
    uint8_t *bytes = js_malloc(ctx, (size_t)size);
    if (!bytes)
        return JS_EXCEPTION;
    sq_random_bytes(bytes, (size_t)size);
    return JS_NewArrayBuffer(ctx, bytes, (size_t)size, free_bytes, NULL, false);
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_MAGIC_DEF("md4", 2, digest_function, MD4),
    JS_CFUNC_MAGIC_DEF("md5", 2, digest_function, 1),
    JS_CFUNC_MAGIC_DEF("sha1", 2, digest_function, 2),
    JS_CFUNC_MAGIC_DEF("sha256", 2, digest_function, 3),
    JS_CFUNC_MAGIC_DEF("sha384", 2, digest_function, 4),
    JS_CFUNC_MAGIC_DEF("sha512", 2, digest_function, 5),
    JS_CFUNC_MAGIC_DEF("sha512_224", 2, digest_function, 6),
    JS_CFUNC_MAGIC_DEF("sha512_256", 2, digest_function, 7),
    JS_CFUNC_MAGIC_DEF("ripemd160", 2, digest_function, 8),
    JS_CFUNC_DEF("hmac", 4, hmac),
    JS_CFUNC_DEF("createHash", 1, create_hash),
    JS_CFUNC_DEF("createHMAC", 2, create_hmac),
    JS_CFUNC_DEF("hexEncode", 1, hex_encode),
    JS_CFUNC_DEF("randomBytes", 1, random_bytes),
};

/* ---- the global ---- */

static JSValue throw_named(JSContext *ctx, const char *name, const char *text)
{
    sq_js_throw(ctx, "%s", text);
    JSValue error = JS_GetException(ctx);

    JS_DefinePropertyValueStr(ctx, error, "name", JS_NewString(ctx, name),
                              JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    return JS_Throw(ctx, error);
}

/* RFC 9562, version 4. */
static JSValue random_uuid(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    static const uint8_t group_bytes[] = {4, 2, 2, 2, 6};
    uint8_t bytes[16];
    char text[36], *p = text;

    (void)this_val, (void)argc, (void)argv;
    sq_random_bytes(bytes, sizeof bytes);
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0F));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3F));
    for (size_t i = 0, at = 0; i < SQ_COUNT(group_bytes); i++) {
        write_hex(bytes + at, group_bytes[i], p);
        at += group_bytes[i];
        p += 2 * group_bytes[i];
        if (i + 1 < SQ_COUNT(group_bytes))
            *p++ = '-';
    }
    return JS_NewStringLen(ctx, text, sizeof text);
}

static bool is_float_array(JSContext *ctx, JSValueConst value)
{
    char *name = sq_js_type_name(ctx, value);
    bool is = strncmp(name, "Float", 5) == 0;

    free(name);
    return is;
}

static JSValue get_random_values(JSContext *ctx, JSValueConst this_val, int argc,
                                 JSValueConst *argv)
{
    size_t len;

    (void)this_val, (void)argc;
    uint8_t *bytes =
        sq_js_is_array_buffer(ctx, argv[0]) ? NULL : (uint8_t *)sq_js_bytes(ctx, argv[0], &len);
    if (!bytes && JS_HasException(ctx))
        return JS_EXCEPTION;
    if (!bytes || is_float_array(ctx, argv[0]))
        return throw_named(ctx, "TypeMismatchError",
                           "getRandomValues() needs a typed array of integers");
    if (len > RANDOM_VALUES_BYTES_MAX)
        return throw_named(ctx, "QuotaExceededError",
                           "getRandomValues() fills at most 65536 bytes at a time");
    sq_random_bytes(bytes, len);
    return JS_DupValue(ctx, argv[0]);
}

static const JSCFunctionListEntry global_functions[] = {
    JS_CFUNC_DEF("randomUUID", 0, random_uuid),
    JS_CFUNC_DEF("getRandomValues", 1, get_random_values),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "Crypto", JS_PROP_CONFIGURABLE),
};

void sq_k6_crypto_global(JSContext *ctx, JSValueConst global)
{
    JSValue crypto = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, crypto, global_functions, SQ_COUNT(global_functions));
    sq_web_crypto_subtle(ctx, crypto);
    JS_DefinePropertyValueStr(ctx, global, "crypto", crypto,
                              JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
}

/* ---- registration ---- */

void sq_k6_crypto_class_ids(void)
{
    JS_NewClassID(&hasher_class);
}

void sq_k6_crypto_classes(JSContext *ctx)
{
    static const JSClassDef definition = {"Hasher", .finalizer = hasher_finalizer};
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), hasher_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, hasher_methods, SQ_COUNT(hasher_methods));
    JS_SetClassProto(ctx, hasher_class, proto);
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    pthread_once(&find_digests_once, find_digests);
    return sq_js_export_functions(ctx, m, functions, SQ_COUNT(functions));
}

static const char *const exports[] = {"md4",       "md5",         "sha1",       "sha256",
                                      "sha384",    "sha512",      "sha512_224", "sha512_256",
                                      "ripemd160", "hmac",        "createHash", "createHMAC",
                                      "hexEncode", "randomBytes", "default",    NULL};
const struct sq_js_builtin sq_k6_crypto = {"k6/crypto", init, exports};
