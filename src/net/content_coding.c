/* SPDX-License-Identifier: Apache-2.0 */
/* A decoder is a chain of steps, the coding that was applied last first:
 *
 *   body --> step br --> step gzip --> sink
 */
#include "net/content_coding.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/text.h"

enum { STEPS_MAX = 4, CHUNK_BYTES = 32 * 1024 };

/* ---- the libraries ---- */

/* What is used of the interfaces of libbrotlidec, libbrotlienc and libzstd, stable since 1.0. */
struct zstd_span {
    void *data;
    size_t size, pos;
};

static struct {
    void *(*create)(void *alloc, void *free, void *opaque);
    void (*destroy)(void *state);
    int (*run)(void *state, size_t *avail_in, const uint8_t **next_in, size_t *avail_out,
               uint8_t **next_out, size_t *total_out);
    int (*error)(const void *state);
    const char *(*error_words)(int code);
} brotli_in;
static struct {
    size_t (*bound)(size_t len);
    int (*compress)(int quality, int window, int mode, size_t len, const uint8_t *in,
                    size_t *out_len, uint8_t *out);
} brotli_out;
static struct {
    void *(*create)(void);
    size_t (*destroy)(void *state);
    size_t (*run)(void *state, struct zstd_span *out, struct zstd_span *in);
    unsigned (*is_error)(size_t rc);
    const char *(*error_words)(size_t rc);
    size_t (*bound)(size_t len);
    size_t (*compress)(void *out, size_t cap, const void *in, size_t len, int level);
} zstd;

struct symbol {
    void *target;
    const char *name;
};

static void open_library(const char *file, const struct symbol *symbols, size_t count,
                         struct sq_error *err)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (!library) {
        sq_error_set(err, SQ_EINVALID, "the library %s cannot be opened", file);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        void *found = dlsym(library, symbols[i].name);
        if (!found)
            sq_error_set(err, SQ_EINVALID, "this machine's %s has no %s", file, symbols[i].name);
        memcpy(symbols[i].target, &found, sizeof found);
    }
}

static struct sq_error brotli_in_error, brotli_out_error, zstd_error;

static void open_brotli_in(void)
{
    static const struct symbol symbols[] = {
        {&brotli_in.create, "BrotliDecoderCreateInstance"},
        {&brotli_in.destroy, "BrotliDecoderDestroyInstance"},
        {&brotli_in.run, "BrotliDecoderDecompressStream"},
        {&brotli_in.error, "BrotliDecoderGetErrorCode"},
        {&brotli_in.error_words, "BrotliDecoderErrorString"},
    };
    open_library("libbrotlidec.so.1", symbols, SQ_COUNT(symbols), &brotli_in_error);
}

static void open_brotli_out(void)
{
    static const struct symbol symbols[] = {
        {&brotli_out.bound, "BrotliEncoderMaxCompressedSize"},
        {&brotli_out.compress, "BrotliEncoderCompress"},
    };
    open_library("libbrotlienc.so.1", symbols, SQ_COUNT(symbols), &brotli_out_error);
}

static void open_zstd(void)
{
    static const struct symbol symbols[] = {
        {&zstd.create, "ZSTD_createDStream"},     {&zstd.destroy, "ZSTD_freeDStream"},
        {&zstd.run, "ZSTD_decompressStream"},     {&zstd.is_error, "ZSTD_isError"},
        {&zstd.error_words, "ZSTD_getErrorName"}, {&zstd.bound, "ZSTD_compressBound"},
        {&zstd.compress, "ZSTD_compress"},
    };
    open_library("libzstd.so.1", symbols, SQ_COUNT(symbols), &zstd_error);
}

/* ---- decoding: one step ---- */

enum coding { GZIP, DEFLATE, BR, ZSTD, CODINGS };
static const char *const names[CODINGS] = {"gzip", "deflate", "br", "zstd"};

struct step {
    enum coding coding;
    bool begun, ended;
    z_stream z;
    uint8_t first; /* of a deflate body: it shows whether zlib's head is there */
    void *state;   /* of br and zstd */
    struct step *next;
    struct sq_content_decoder *whole;
};

struct sq_content_decoder {
    struct step steps[STEPS_MAX];
    size_t count;
    sq_decoded_fn *sink;
    void *user;
};

static int feed(struct step *s, const uint8_t *data, size_t len, struct sq_error *err);

static int hand_on(struct step *s, const uint8_t *data, size_t len, struct sq_error *err)
{
    if (!len)
        return 0;
    return s->next ? feed(s->next, data, len, err) : s->whole->sink(s->whole->user, data, len);
}

/* Window bits of zlib: + 16 for gzip's head, negative for none at all. */
static int begin_zlib(struct step *s, struct sq_error *err)
{
    /* RFC 1950: 8 is the only method. Some servers send "deflate" without zlib's head. */
    bool bare = s->coding == DEFLATE && (s->first & 15) != Z_DEFLATED;
    int bits = s->coding == GZIP ? MAX_WBITS + 16 : bare ? -MAX_WBITS : MAX_WBITS;

    if (inflateInit2(&s->z, bits) != Z_OK)
        return sq_error_set(err, SQ_EPROTO, "no memory for zlib");
    return 0;
}

static int begin(struct step *s, const uint8_t *data, struct sq_error *err)
{
    static pthread_once_t brotli_once = PTHREAD_ONCE_INIT, zstd_once = PTHREAD_ONCE_INIT;
    const struct sq_error *missing = NULL;

    s->first = *data;
    if (s->coding <= DEFLATE)
        return begin_zlib(s, err);
    if (s->coding == BR) {
        pthread_once(&brotli_once, open_brotli_in);
        missing = &brotli_in_error;
    } else {
        pthread_once(&zstd_once, open_zstd);
        missing = &zstd_error;
    }
    if (missing->code)
        return sq_error_set(err, SQ_EPROTO, "%s", missing->text);
    s->state = s->coding == BR ? brotli_in.create(NULL, NULL, NULL) : zstd.create();
    return s->state ? 0 : sq_error_set(err, SQ_EPROTO, "no memory for %s", names[s->coding]);
}

/* Each of these makes one piece of output: *in and *len are what is left. */
static int turn_zlib(struct step *s, const uint8_t **in, size_t *len, uint8_t *out, size_t *made,
                     struct sq_error *err)
{
    uInt piece = (uInt)SQ_MIN(*len, (size_t)1 << 30);

    s->z.next_in = (Bytef *)*in;
    s->z.avail_in = piece;
    s->z.next_out = out;
    s->z.avail_out = CHUNK_BYTES;
    int rc = inflate(&s->z, Z_NO_FLUSH);
    *in += piece - s->z.avail_in;
    *len -= piece - s->z.avail_in;
    *made = CHUNK_BYTES - s->z.avail_out;
    if (rc == Z_STREAM_END) {
        s->ended = true;
        return 0;
    }
    if (rc == Z_OK || rc == Z_BUF_ERROR)
        return 0;
    return sq_error_set(err, SQ_EPROTO, "%s: %s", names[s->coding],
                        s->z.msg ? s->z.msg : "bad data");
}

static int turn_brotli(struct step *s, const uint8_t **in, size_t *len, uint8_t *out, size_t *made,
                       struct sq_error *err)
{
    enum { FAILED, DONE };
    size_t room = CHUNK_BYTES;
    int rc = brotli_in.run(s->state, len, in, &room, &out, NULL);

    *made = CHUNK_BYTES - room;
    if (rc == FAILED)
        return sq_error_set(err, SQ_EPROTO, "br: %s",
                            brotli_in.error_words(brotli_in.error(s->state)));
    s->ended = rc == DONE;
    return 0;
}

static int turn_zstd(struct step *s, const uint8_t **in, size_t *len, uint8_t *out, size_t *made,
                     struct sq_error *err)
{
    struct zstd_span from = {(void *)*in, *len, 0}, to = {out, CHUNK_BYTES, 0};
    size_t rc = zstd.run(s->state, &to, &from);

    if (zstd.is_error(rc))
        return sq_error_set(err, SQ_EPROTO, "zstd: %s", zstd.error_words(rc));
    *in += from.pos;
    *len -= from.pos;
    *made = to.pos;
    s->ended = rc == 0;
    return 0;
}

/* gzip and zstd may have several parts behind each other; other rests are ignored, as browsers do.
 */
static bool another_part(struct step *s, const uint8_t *data, size_t len)
{
    if (!len || (s->coding == GZIP && *data != 0x1f) || s->coding == DEFLATE || s->coding == BR)
        return false;
    if (s->coding == GZIP && inflateReset(&s->z) != Z_OK)
        return false;
    s->ended = false;
    return true;
}

static int feed(struct step *s, const uint8_t *data, size_t len, struct sq_error *err)
{
    static int (*const turns[CODINGS])(struct step *, const uint8_t **, size_t *, uint8_t *,
                                       size_t *, struct sq_error *) = {turn_zlib, turn_zlib,
                                                                       turn_brotli, turn_zstd};
    uint8_t *out = sq_xmalloc(CHUNK_BYTES); /* steps are nested: not on the stack */
    size_t made = 0;
    int rc = 0;

    if (!s->begun && len) {
        rc = begin(s, data, err);
        s->begun = rc == 0;
    }
    while (rc == 0 && (len || made == CHUNK_BYTES)) {
        if (s->ended && !another_part(s, data, len))
            break;
        size_t before = len;
        rc = turns[s->coding](s, &data, &len, out, &made, err);
        if (rc == 0)
            rc = hand_on(s, out, made, err);
        if (len == before && !made)
            break;
    }
    free(out);
    return rc;
}

/* ---- decoding: the chain ---- */

static bool next_name(struct sq_slice *rest, struct sq_slice *name)
{
    if (!rest->len)
        return false;
    const uint8_t *comma = memchr(rest->data, ',', rest->len);
    size_t len = comma ? (size_t)(comma - rest->data) : rest->len;
    *name = sq_slice_trim(sq_slice(rest->data, len));
    len += comma != NULL;
    *rest = sq_slice(rest->data + len, rest->len - len);
    return true;
}

static enum coding coding_of(struct sq_slice name)
{
    enum coding c = GZIP;

    if (sq_ascii_eq_nocase(name, sq_slice_str("x-gzip")))
        return GZIP;
    while (c < CODINGS && !sq_ascii_eq_nocase(name, sq_slice_str(names[c])))
        c++;
    return c;
}

struct sq_content_decoder *sq_content_decoder_new(struct sq_slice codings, sq_decoded_fn *sink,
                                                  void *user)
{
    enum coding list[STEPS_MAX];
    struct sq_slice name;
    size_t count = 0;

    while (next_name(&codings, &name)) {
        if (!name.len || sq_ascii_eq_nocase(name, sq_slice_str("identity")))
            continue;
        enum coding c = coding_of(name);
        if (c == CODINGS || count == STEPS_MAX)
            return NULL;
        list[count++] = c;
    }
    if (!count)
        return NULL;
    struct sq_content_decoder *d = sq_xcalloc(1, sizeof *d);
    d->count = count;
    d->sink = sink;
    d->user = user;
    for (size_t i = 0; i < count; i++) {
        d->steps[i].coding = list[count - 1 - i];
        d->steps[i].whole = d;
        d->steps[i].next = i + 1 < count ? &d->steps[i + 1] : NULL;
    }
    return d;
}

int sq_content_decoder_feed(struct sq_content_decoder *d, const void *data, size_t len,
                            struct sq_error *err)
{
    return feed(&d->steps[0], data, len, err);
}

int sq_content_decoder_end(struct sq_content_decoder *d, struct sq_error *err)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->steps[i].begun && !d->steps[i].ended)
            return sq_error_set(err, SQ_EPROTO, "%s: unexpected EOF", names[d->steps[i].coding]);
    return 0; /* no body at all is fine */
}

void sq_content_decoder_free(struct sq_content_decoder *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++) {
        struct step *s = &d->steps[i];
        if (s->begun && s->coding <= DEFLATE)
            inflateEnd(&s->z);
        if (s->state && s->coding == BR)
            brotli_in.destroy(s->state);
        if (s->state && s->coding == ZSTD)
            zstd.destroy(s->state);
    }
    free(d);
}

/* ---- encoding ---- */

struct encoding {
    enum coding coding;
    struct sq_slice in;
    struct sq_buf *out;
    struct sq_error *err;
    int rc;
};

static int encode_zlib(struct encoding *e)
{
    z_stream z = {0};
    int bits = e->coding == GZIP ? MAX_WBITS + 16 : MAX_WBITS;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        sq_panic("out of memory for zlib");
    size_t bound = deflateBound(&z, e->in.len);
    int rc = sq_buf_reserve(e->out, bound);
    if (rc == 0) {
        z.next_in = (Bytef *)e->in.data;
        z.avail_in = (uInt)e->in.len;
        z.next_out = e->out->data + e->out->len;
        z.avail_out = (uInt)bound;
        deflate(&z, Z_FINISH);
        e->out->len += z.total_out;
    }
    deflateEnd(&z);
    return rc;
}

static int encode_brotli(struct encoding *e)
{
    enum { QUALITY = 6, WINDOW = 22, GENERIC = 0 };
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, open_brotli_out);
    if (brotli_out_error.code)
        return sq_error_set(e->err, SQ_EINVALID, "br: %s", brotli_out_error.text);
    size_t room = brotli_out.bound(e->in.len);
    int rc = sq_buf_reserve(e->out, room);
    if (rc < 0)
        return rc;
    if (!brotli_out.compress(QUALITY, WINDOW, GENERIC, e->in.len, e->in.data, &room,
                             e->out->data + e->out->len))
        sq_panic("out of memory for Brotli");
    e->out->len += room;
    return 0;
}

static int encode_zstd(struct encoding *e)
{
    enum { LEVEL = 3 };
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, open_zstd);
    if (zstd_error.code)
        return sq_error_set(e->err, SQ_EINVALID, "zstd: %s", zstd_error.text);
    size_t room = zstd.bound(e->in.len);
    int rc = sq_buf_reserve(e->out, room);
    if (rc < 0)
        return rc;
    size_t made = zstd.compress(e->out->data + e->out->len, room, e->in.data, e->in.len, LEVEL);
    if (zstd.is_error(made))
        return sq_error_set(e->err, SQ_EINVALID, "zstd: %s", zstd.error_words(made));
    e->out->len += made;
    return 0;
}

static void *encode_on_thread(void *argument)
{
    struct encoding *e = argument;

    e->rc = e->coding == BR ? encode_brotli(e) : encode_zstd(e);
    return NULL;
}

int sq_content_encode(struct sq_slice coding, struct sq_slice in, struct sq_buf *out,
                      struct sq_error *err)
{
    enum { STACK_BYTES = 1024 * 1024 };
    struct encoding e = {coding_of(coding), in, out, err, 0};
    pthread_attr_t attributes;
    pthread_t thread;

    if (e.coding == CODINGS)
        return sq_error_set(err, SQ_EINVALID,
                            "'%.*s' is no content coding that squall knows: gzip, deflate, br or "
                            "zstd",
                            (int)coding.len, (const char *)coding.data);
    if (in.len > INT32_MAX)
        return sq_error_set(err, SQ_EINVALID, "the body is too large to be compressed");
    if (e.coding <= DEFLATE)
        return encode_zlib(&e);
    /* Opening a library, and Brotli, need more stack than a fiber has. */
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, encode_on_thread, &e) != 0)
        sq_panic("cannot start a thread to compress a body");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    return e.rc;
}
