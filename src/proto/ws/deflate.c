/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/deflate.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    IDLE_INFLATERS_MAX = 4, /* 40 KiB each; more are wanted only while messages arrive in pieces */
    COMPRESSORS_MAX = 4,    /* 262 KiB each at the default parameters */
    STEP_MAX = 1 << 30,     /* zlib counts in unsigned int */
    TAIL_BYTES = 4,
};

static const uint8_t tail[TAIL_BYTES] = {0x00, 0x00, 0xff, 0xff};

struct compressor {
    z_stream z;
    int bits, level, mem_level;
};

struct sq_ws_deflate_pool {
    z_stream *inflaters[IDLE_INFLATERS_MAX];
    size_t inflaters_count;
    struct compressor *compressors[COMPRESSORS_MAX];
    size_t compressors_count;
};

struct sq_ws_deflate_pool *sq_ws_deflate_pool_new(void)
{
    return sq_xcalloc(1, sizeof(struct sq_ws_deflate_pool));
}

static void compressor_free(struct compressor *c)
{
    if (c)
        deflateEnd(&c->z);
    free(c);
}

static void inflater_free(z_stream *z)
{
    if (z)
        inflateEnd(z);
    free(z);
}

void sq_ws_deflate_pool_free(struct sq_ws_deflate_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->inflaters_count; i++)
        inflater_free(pool->inflaters[i]);
    for (size_t i = 0; i < pool->compressors_count; i++)
        compressor_free(pool->compressors[i]);
    free(pool);
}

/* Our direction's window: 15 when none was agreed on. */
static int out_bits(const struct sq_ws_deflate_options *opt)
{
    int bits =
        opt->server ? opt->agreed.server_max_window_bits : opt->agreed.client_max_window_bits;

    return bits >= 8 && bits <= 15 ? bits : 15;
}

/* A larger window than the sender's is always right, and zlib's smallest of 8 has had bugs. */
static int in_bits(const struct sq_ws_deflate_options *opt)
{
    int bits =
        opt->server ? opt->agreed.client_max_window_bits : opt->agreed.server_max_window_bits;

    return bits >= 8 && bits <= 15 ? SQ_MAX(bits, 9) : 15;
}

void sq_ws_deflate_init(struct sq_ws_deflate *d, struct sq_ws_deflate_pool *pool,
                        const struct sq_ws_deflate_options *opt)
{
    *d = (struct sq_ws_deflate){.pool = pool, .opt = *opt};
    if (d->opt.level < 1 || d->opt.level > 9)
        d->opt.level = 1;
    if (d->opt.mem_level < 1 || d->opt.mem_level > 9)
        d->opt.mem_level = 8;
    d->out_kept = !(opt->server ? opt->agreed.server_no_context_takeover
                                : opt->agreed.client_no_context_takeover);
    d->in_kept = !(opt->server ? opt->agreed.client_no_context_takeover
                               : opt->agreed.server_no_context_takeover);
}

static void release_inflater(struct sq_ws_deflate *d)
{
    if (!d->inflater)
        return;
    if (!d->in_kept && d->pool->inflaters_count < IDLE_INFLATERS_MAX)
        d->pool->inflaters[d->pool->inflaters_count++] = d->inflater;
    else
        inflater_free(d->inflater);
    d->inflater = NULL;
}

void sq_ws_deflate_deinit(struct sq_ws_deflate *d)
{
    release_inflater(d);
    compressor_free(d->deflater);
    *d = (struct sq_ws_deflate){0};
}

bool sq_ws_deflate_holds_state(const struct sq_ws_deflate *d)
{
    return d->deflater || d->inflater;
}

static struct compressor *compressor_new(const struct sq_ws_deflate_options *opt)
{
    struct compressor *c = sq_try_alloc(sizeof *c);

    if (!c)
        return NULL;
    *c = (struct compressor){
        .bits = out_bits(opt), .level = opt->level, .mem_level = opt->mem_level};
    if (deflateInit2(&c->z, c->level, Z_DEFLATED, -c->bits, c->mem_level, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        free(c);
        return NULL;
    }
    return c;
}

/* The thread's compressor with these parameters. The last used one stands in front. */
static struct compressor *lend_compressor(struct sq_ws_deflate_pool *pool,
                                          const struct sq_ws_deflate_options *opt)
{
    struct compressor **all = pool->compressors, *c = NULL;
    size_t i = 0;

    for (; i < pool->compressors_count; i++)
        if (all[i]->bits == out_bits(opt) && all[i]->level == opt->level &&
            all[i]->mem_level == opt->mem_level)
            break;
    if (i < pool->compressors_count) {
        c = all[i];
        deflateReset(&c->z);
    } else {
        c = compressor_new(opt);
        if (!c)
            return NULL;
        if (pool->compressors_count == COMPRESSORS_MAX)
            compressor_free(all[--i]);
        else
            pool->compressors_count++;
    }
    memmove(all + 1, all, i * sizeof(*all));
    all[0] = c;
    return c;
}

/* Everything in, and flushed to a byte boundary behind an empty stored block. */
static int compress_all(z_stream *z, struct sq_slice message, struct sq_buf *out)
{
    do {
        size_t step = SQ_MIN(message.len, (size_t)STEP_MAX);
        z->next_in = (Bytef *)(uintptr_t)message.data;
        z->avail_in = (uInt)step;
        message = sq_slice(message.data + step, message.len - step);
        do {
            size_t room = SQ_MAX(z->avail_in / 2, 64u) + 16;
            int rc = sq_buf_reserve(out, room);
            if (rc < 0)
                return rc;
            room = SQ_MIN(out->cap - out->len, (size_t)STEP_MAX);
            z->next_out = out->data + out->len;
            z->avail_out = (uInt)room;
            rc = deflate(z, message.len > 0 ? Z_NO_FLUSH : Z_SYNC_FLUSH);
            if (rc != Z_OK && rc != Z_BUF_ERROR)
                return -ENOMEM;
            out->len += room - z->avail_out;
        } while (z->avail_out == 0 || z->avail_in > 0);
    } while (message.len > 0);
    return 0;
}

int sq_ws_deflate_message(struct sq_ws_deflate *d, struct sq_slice message, struct sq_buf *out)
{
    struct compressor *c = d->deflater;
    size_t start = out->len;
    int rc;

    if (out_bits(&d->opt) == 8 || (!d->out_kept && message.len < d->opt.threshold_bytes))
        return 0;
    if (message.len == 0) {
        rc = sq_buf_append(out, "", 1); /* a stored block's header; zlib would not flush twice */
        return rc < 0 ? rc : 1;
    }
    if (!c) {
        c = d->out_kept ? compressor_new(&d->opt) : lend_compressor(d->pool, &d->opt);
        if (!c)
            return -ENOMEM;
        if (d->out_kept)
            d->deflater = c;
    }
    rc = compress_all(&c->z, message, out);
    if (rc < 0) {
        out->len = start;
        return rc;
    }
    sq_assert(out->len - start > TAIL_BYTES &&
              memcmp(out->data + out->len - TAIL_BYTES, tail, TAIL_BYTES) == 0);
    out->len -= TAIL_BYTES;
    return 1;
}

static z_stream *inflater_new(int bits)
{
    z_stream *z = sq_try_alloc(sizeof *z);

    if (!z)
        return NULL;
    *z = (z_stream){0};
    if (inflateInit2(z, -bits) != Z_OK) {
        free(z);
        return NULL;
    }
    return z;
}

static z_stream *acquire_inflater(struct sq_ws_deflate *d)
{
    struct sq_ws_deflate_pool *pool = d->pool;

    if (d->in_kept)
        return inflater_new(in_bits(&d->opt));
    if (pool->inflaters_count == 0)
        return inflater_new(15);
    z_stream *z = pool->inflaters[--pool->inflaters_count];
    inflateReset(z);
    return z;
}

/* Room for the next step: follows what came in, and never more than a byte above the limit, which
 * is enough to see that it was passed. */
static int make_room(struct sq_buf *out, size_t in_bytes, uint64_t limit_bytes, size_t *room)
{
    size_t want = SQ_MIN(SQ_MAX(in_bytes * 4, (size_t)256), (size_t)65536);
    int rc;

    if (limit_bytes > 0 && want > limit_bytes + 1 - out->len)
        want = (size_t)(limit_bytes + 1 - out->len);
    if (out->max_bytes > 0 && want > out->max_bytes - out->len && out->len < out->max_bytes)
        want = out->max_bytes - out->len;
    rc = sq_buf_reserve(out, want);
    *room = want;
    return rc;
}

static int inflate_piece(struct sq_ws_deflate *d, struct sq_slice in, uint64_t limit_bytes,
                         struct sq_buf *out)
{
    z_stream *z = d->inflater;
    bool more = true; /* there is input, or output that had no room */

    z->next_in = (Bytef *)(uintptr_t)in.data;
    z->avail_in = (uInt)in.len;
    while (more) {
        size_t room;
        int rc;
        if (d->at_end && z->avail_in > 0) {
            inflateResetKeep(z); /* a new stream that may point back into the old one */
            d->at_end = false;
        }
        rc = make_room(out, z->avail_in, limit_bytes, &room);
        if (rc < 0)
            return rc;
        z->next_out = out->data + out->len;
        z->avail_out = (uInt)room;
        rc = inflate(z, Z_SYNC_FLUSH);
        out->len += room - z->avail_out;
        if (limit_bytes > 0 && out->len > limit_bytes) {
            out->len = (size_t)limit_bytes;
            return SQ_ETOOBIG;
        }
        if (rc == Z_MEM_ERROR)
            return -ENOMEM;
        if (rc != Z_OK && rc != Z_BUF_ERROR && rc != Z_STREAM_END)
            return SQ_EPROTO;
        d->at_end = rc == Z_STREAM_END;
        more = z->avail_in > 0 || (z->avail_out == 0 && !d->at_end);
    }
    return 0;
}

/* The sender cut off 00 00 FF FF; with it the stream stands between two blocks, or it was cut. */
static int inflate_tail(struct sq_ws_deflate *d, uint64_t limit_bytes, struct sq_buf *out)
{
    enum { BETWEEN_BLOCKS = 128 };
    z_stream *z = d->inflater;

    if (d->at_end) { /* a final block, and not even the empty one behind it that the RFC asks for */
        inflateResetKeep(z);
        d->at_end = false;
        return 0;
    }
    int rc = inflate_piece(d, sq_slice(tail, TAIL_BYTES), limit_bytes, out);
    if (rc < 0)
        return rc;
    return z->data_type & BETWEEN_BLOCKS ? 0 : SQ_EPROTO;
}

int sq_ws_inflate(struct sq_ws_deflate *d, struct sq_slice in, bool last, uint64_t limit_bytes,
                  struct sq_buf *out)
{
    int rc = 0;

    if (limit_bytes >= SIZE_MAX / 2)
        limit_bytes = 0;
    if (limit_bytes > 0 && out->len > limit_bytes)
        return SQ_ETOOBIG;
    while (rc == 0 && in.len > 0) {
        size_t step = SQ_MIN(in.len, (size_t)STEP_MAX);
        if (!d->inflater)
            d->inflater = acquire_inflater(d);
        if (!d->inflater)
            return -ENOMEM;
        d->in_message = true;
        rc = inflate_piece(d, sq_slice(in.data, step), limit_bytes, out);
        in = sq_slice(in.data + step, in.len - step);
    }
    if (rc == 0 && !last)
        return 0;
    if (rc == 0 && d->in_message) /* a message of no bytes at all is the empty one */
        rc = inflate_tail(d, limit_bytes, out);
    d->in_message = d->at_end = false;
    if (!d->in_kept || rc < 0)
        release_inflater(d);
    return rc;
}
