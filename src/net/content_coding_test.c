/* SPDX-License-Identifier: Apache-2.0 */
#include "net/content_coding.h"

#include <string.h>

#include "base/test.h"

static int collect(void *user, const void *data, size_t len)
{
    sq_buf_put(user, data, len);
    return 0;
}

static int decode_cut(const char *codings, struct sq_slice in, size_t cut, struct sq_buf *out)
{
    struct sq_error err = {0};
    struct sq_content_decoder *d = sq_content_decoder_new(sq_slice_str(codings), collect, out);
    int rc = sq_content_decoder_feed(d, in.data, cut, &err);

    if (rc == 0)
        rc = sq_content_decoder_feed(d, in.data + cut, in.len - cut, &err);
    if (rc == 0)
        rc = sq_content_decoder_end(d, &err);
    SQ_CHECK_EQ(rc, err.code, "%s", err.text);
    sq_content_decoder_free(d);
    return rc;
}

SQ_TEST(content_coding_there_and_back)
{
    static const char *const codings[] = {"gzip", "deflate", "br", "zstd"};
    struct sq_buf text = {0}, none = {0};

    for (int i = 0; i < 300; i++)
        sq_buf_printf(&text, "line %d of the text\n", i * 7919 % 300);
    for (size_t c = 0; c < SQ_COUNT(codings); c++) {
        struct sq_buf packed = {0};
        SQ_CHECK_EQ(sq_content_encode(sq_slice_str(codings[c]), sq_buf_slice(&text), &packed, NULL),
                    0, "%s", codings[c]);
        SQ_CHECK(packed.len < text.len, "%s: %zu bytes", codings[c], packed.len);
        for (size_t cut = 0; cut <= packed.len; cut += 1 + packed.len / 97) {
            struct sq_buf out = {0};
            SQ_CHECK_EQ(decode_cut(codings[c], sq_buf_slice(&packed), cut, &out), 0, "%s, cut %zu",
                        codings[c], cut);
            SQ_CHECK(out.len == text.len && memcmp(out.data, text.data, text.len) == 0,
                     "%s, cut %zu: another text", codings[c], cut);
            sq_buf_deinit(&out);
            /* Cut short. */
            if (cut > 0 && cut < packed.len)
                SQ_CHECK_EQ(decode_cut(codings[c], sq_slice(packed.data, cut), cut, &none),
                            SQ_EPROTO, "%s, %zu bytes of it", codings[c], cut);
        }
        sq_buf_deinit(&packed);
    }
    sq_buf_deinit(&text);
    sq_buf_deinit(&none);
}

SQ_TEST(content_coding_lists)
{
    struct sq_slice text = sq_slice_str("text");
    struct sq_buf once = {0}, twice = {0}, out = {0};

    SQ_CHECK_EQ(sq_content_encode(sq_slice_str("gzip"), text, &once, NULL), 0, "gzip");
    SQ_CHECK_EQ(sq_content_encode(sq_slice_str("br"), sq_buf_slice(&once), &twice, NULL), 0, "br");
    SQ_CHECK_EQ(decode_cut("identity, X-GZIP , br", sq_buf_slice(&twice), 3, &out), 0, "both");
    SQ_CHECK(out.len == 4 && memcmp(out.data, "text", 4) == 0, "%zu bytes", out.len);
    /* Two parts behind each other, then what is nothing. */
    out.len = 0;
    size_t part = once.len;
    struct sq_buf parts = {0};
    sq_buf_put(&parts, once.data, part);
    sq_buf_put(&parts, once.data, part);
    sq_buf_puts(&parts, "rest");
    SQ_CHECK_EQ(decode_cut("gzip", sq_buf_slice(&parts), part, &out), 0, "parts");
    SQ_CHECK(out.len == 8 && memcmp(out.data, "texttext", 8) == 0, "%zu bytes", out.len);
    sq_buf_deinit(&parts);
    sq_buf_deinit(&once);
    sq_buf_deinit(&twice);
    sq_buf_deinit(&out);
}

SQ_TEST(content_coding_unknown)
{
    struct sq_error err = {0};
    struct sq_buf out = {0};

    SQ_CHECK(!sq_content_decoder_new(sq_slice_str("rot13"), collect, &out), "rot13");
    SQ_CHECK(!sq_content_decoder_new(sq_slice_str("gzip, rot13"), collect, &out), "a list");
    SQ_CHECK(!sq_content_decoder_new(sq_slice_str("identity,"), collect, &out), "identity");
    SQ_CHECK(!sq_content_decoder_new(sq_slice_str("gzip,gzip,gzip,gzip,gzip"), collect, &out),
             "too many");
    SQ_CHECK_EQ(sq_content_encode(sq_slice_str("lzma"), sq_slice_str("x"), &out, &err), SQ_EINVALID,
                "lzma");
    SQ_CHECK(strstr(err.text, "'lzma'"), "%s", err.text);
    for (size_t i = 0; i < 4; i++) {
        static const char *const codings[] = {"gzip", "deflate", "br", "zstd"};
        SQ_CHECK_EQ(decode_cut(codings[i], sq_slice_str("this is nothing of that kind"), 5, &out),
                    SQ_EPROTO, "%s", codings[i]);
        SQ_CHECK_EQ(decode_cut(codings[i], sq_slice_str(""), 0, &out), 0, "%s, empty", codings[i]);
    }
    sq_buf_deinit(&out);
}
