/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed messages: any cut gives the same bytes and the same verdict (but for distances beyond
 * a small window, see deflate.h), the limit holds, and a pool that has seen bad data still inflates
 * good data. The input taken as plain text survives a way through compressor and inflater. Input:
 * options, limit, two cuts, then the payload. */
#include "base/buf.h"
#include "fuzz_deflate.h"

static int inflate_cut(struct sq_ws_deflate_pool *pool, const struct sq_ws_deflate_options *opt,
                       const uint8_t *data, size_t size, size_t step, uint64_t limit,
                       struct sq_buf *out)
{
    struct sq_ws_deflate d;
    int rc = 0;

    sq_ws_deflate_init(&d, pool, opt);
    for (size_t at = 0; at < size && rc == 0;) {
        size_t n = SQ_MIN(step, size - at);
        uint8_t *copy = fuzz_copy(data + at, n);
        rc = sq_ws_inflate(&d, sq_slice(copy, n), false, limit, out);
        free(copy);
        at += n;
    }
    if (rc == 0)
        rc = sq_ws_inflate(&d, sq_slice(NULL, 0), true, limit, out);
    FUZZ_CHECK(out->len <= limit);
    sq_ws_deflate_deinit(&d);
    return rc;
}

static void check_good(struct sq_ws_deflate_pool *pool, const struct sq_ws_deflate_options *opt)
{
    static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    struct sq_buf out = {0};

    FUZZ_CHECK(inflate_cut(pool, opt, hello, sizeof hello, 3, 5, &out) == 0);
    FUZZ_CHECK(sq_slice_eq(sq_buf_slice(&out), sq_slice_str("Hello")));
    sq_buf_deinit(&out);
}

static void check_round_trip(struct sq_ws_deflate_pool *pool,
                             const struct sq_ws_deflate_options *opt, const uint8_t *data,
                             size_t size)
{
    struct sq_ws_deflate_options peer = *opt;
    struct sq_ws_deflate from, to;
    struct sq_buf wire = {0}, text = {0};

    peer.server = !opt->server;
    sq_ws_deflate_init(&from, pool, opt);
    sq_ws_deflate_init(&to, pool, &peer);
    for (int i = 0; i < 2; i++) {
        wire.len = text.len = 0;
        if (sq_ws_deflate_message(&from, sq_slice(data, size), &wire) != 1)
            break;
        FUZZ_CHECK(sq_ws_inflate(&to, sq_buf_slice(&wire), true, 0, &text) == 0);
        FUZZ_CHECK(sq_slice_eq(sq_buf_slice(&text), sq_slice(data, size)));
    }
    sq_ws_deflate_deinit(&from);
    sq_ws_deflate_deinit(&to);
    sq_buf_deinit(&wire);
    sq_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct sq_ws_deflate_pool *pool = sq_ws_deflate_pool_new();
    struct sq_ws_deflate_options opt = {
        .agreed = {true, data[0] & 1, data[0] & 2, data[0] & 4 ? 8 + data[0] / 32 : 0,
                   data[0] & 8 ? 8 + data[0] / 32 : 0},
        .server = data[0] & 16,
        .mem_level = 1,
    };
    uint64_t limit = (uint64_t)(data[1] + 1) << (data[1] & 7);
    size_t steps[] = {size, (size_t)data[2] + 1, (size_t)data[3] + 1};
    struct sq_buf out[SQ_COUNT(steps)] = {0};
    int rc[SQ_COUNT(steps)];
    for (size_t i = 0; i < SQ_COUNT(steps); i++) {
        rc[i] = inflate_cut(pool, &opt, data + 4, size - 4, steps[i], limit, &out[i]);
        FUZZ_CHECK(rc[i] == rc[0] ||
                   (fuzz_small_window(&opt) && (rc[i] == SQ_EPROTO || rc[0] == SQ_EPROTO)));
        FUZZ_CHECK(rc[i] < 0 || rc[0] < 0 ||
                   sq_slice_eq(sq_buf_slice(&out[i]), sq_buf_slice(&out[0])));
    }
    for (size_t i = 0; i < SQ_COUNT(steps); i++)
        sq_buf_deinit(&out[i]);
    check_good(pool, &opt);
    check_round_trip(pool, &opt, data + 4, size - 4);
    sq_ws_deflate_pool_free(pool);
    return 0;
}
