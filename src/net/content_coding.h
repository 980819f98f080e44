/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings of HTTP bodies: gzip, deflate, br, zstd (MOD-63, MOD-70). zlib is linked; the
 * libraries of Brotli and Zstandard are opened when first needed. No I/O; one thread per object. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

/* Takes decoded bytes; 0, or negative to stop. */
typedef int sq_decoded_fn(void *user, const void *data, size_t len);

struct sq_content_decoder;
/* For the value of Content-Encoding, applied codings in order ("gzip, br"). NULL: it names none, or
 * one that nobody here knows: then the body stays as it is. Owned: sq_content_decoder_free. */
struct sq_content_decoder *sq_content_decoder_new(struct sq_slice codings, sq_decoded_fn *sink,
                                                  void *user);
/* 0; SQ_EPROTO with words: not of that coding, or the library is missing; else what `sink` said. */
SQ_MUST_USE int sq_content_decoder_feed(struct sq_content_decoder *d, const void *data, size_t len,
                                        struct sq_error *err);
/* The body is over. 0, or SQ_EPROTO with words: it was cut. */
SQ_MUST_USE int sq_content_decoder_end(struct sq_content_decoder *d, struct sq_error *err);
void sq_content_decoder_free(struct sq_content_decoder *d); /* NULL is fine */

/* Appends `in` in that coding. 0; SQ_EINVALID with words: no such coding, no such library, or too
 * large. May be called on a small stack. */
SQ_MUST_USE int sq_content_encode(struct sq_slice coding, struct sq_slice in, struct sq_buf *out,
                                  struct sq_error *err);
