/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings: decoding ends, and gives the same in one piece as in two. Input: the coding, a
 * byte; where it is cut, a byte; then the body. */
#include "fuzz.h"
#include "net/content_coding.h"

enum { OUT_MAX = 4 * 1024 * 1024 };

static int collect(void *user, const void *data, size_t len)
{
    return sq_buf_append(user, data, len);
}

static int decode(const char *codings, struct sq_slice in, size_t cut, struct sq_buf *out)
{
    struct sq_error err = {0};
    struct sq_content_decoder *d = sq_content_decoder_new(sq_slice_str(codings), collect, out);
    int rc = sq_content_decoder_feed(d, in.data, cut, &err);

    if (rc == 0)
        rc = sq_content_decoder_feed(d, in.data + cut, in.len - cut, &err);
    if (rc == 0)
        rc = sq_content_decoder_end(d, &err);
    sq_content_decoder_free(d);
    return rc;
}

/* libzstd may be built to read its formats from before RFC 8878, by decoders whose answer depends
 * on how the input is cut. */
static bool is_old_zstd(struct sq_slice in)
{
    for (size_t i = 1; i + 2 < in.len; i++)
        if (memcmp(in.data + i, "\xb5\x2f\xfd", 3) == 0 && in.data[i - 1] != 0x28)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const codings[] = {"gzip", "deflate", "br", "zstd", "gzip, br"};
    struct sq_buf whole = {.max_bytes = OUT_MAX}, parts = {.max_bytes = OUT_MAX};

    if (size < 2)
        return 0;
    uint8_t *body = fuzz_copy(data + 2, size - 2);
    struct sq_slice in = sq_slice(body, size - 2);
    const char *name = codings[data[0] % SQ_COUNT(codings)];
    if (is_old_zstd(in)) {
        free(body);
        return 0;
    }
    int rc = decode(name, in, in.len, &whole);
    FUZZ_CHECK((decode(name, in, in.len ? data[1] % in.len : 0, &parts) == 0) == (rc == 0));
    if (rc == 0)
        FUZZ_CHECK(sq_slice_eq(sq_buf_slice(&whole), sq_buf_slice(&parts)));
    sq_buf_deinit(&whole);
    sq_buf_deinit(&parts);
    free(body);
    return 0;
}
