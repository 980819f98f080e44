/* SPDX-License-Identifier: Apache-2.0 */
/* Masking, RFC 6455 5.3: copy and XOR in one pass, 8 bytes a step, 16 (SSE2) or 32 (AVX2, found at
 * run time) on x86-64. Pure; any thread. */
#pragma once
#include "base/base.h"

/* dst[i] = src[i] ^ key[(offset + i) mod 4]. `key` holds the four bytes in wire order; `offset` is
 * the place of src[0] in its frame's payload. Any alignment; dst may equal src but not otherwise
 * overlap it. */
void sq_ws_mask_copy(void *dst, const void *src, size_t len, uint32_t key, size_t offset);
