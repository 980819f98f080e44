/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the protobuf wire format (fields and varints) straight behind a buffer, for the few
 * messages of two outputs: a generator would want a tree of allocations for what is here one pass
 * over the series. One thread. */
#pragma once
#include "base/buf.h"

void sq_pb_uint(struct sq_buf *to, unsigned field, uint64_t value); /* uint64, int64 >= 0, enum */
void sq_pb_int(struct sq_buf *to, unsigned field, int64_t value);
void sq_pb_sint(struct sq_buf *to, unsigned field, int64_t value); /* zigzag */
void sq_pb_double(struct sq_buf *to, unsigned field, double value);
void sq_pb_fixed64(struct sq_buf *to, unsigned field, uint64_t value);
/* UTF-8; bytes that are not become U+FFFD, because receivers refuse the whole message. */
void sq_pb_text(struct sq_buf *to, unsigned field, struct sq_slice text);
/* A message or a packed list: returns what sq_pb_end wants. */
size_t sq_pb_begin(struct sq_buf *to, unsigned field);
void sq_pb_end(struct sq_buf *to, size_t begin);
/* Items of a packed list. */
void sq_pb_put_varint(struct sq_buf *to, uint64_t value);
void sq_pb_put_sint(struct sq_buf *to, int64_t value);
void sq_pb_put_fixed64(struct sq_buf *to, uint64_t value);
void sq_pb_put_double(struct sq_buf *to, double value);
