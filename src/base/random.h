/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes that cannot be predicted from earlier ones (masking keys, handshake keys): a
 * ChaCha20 generator (RFC 8439) per thread, keyed from getrandom(2) and again after every MiB, with
 * its own key replaced at each refill. A child of fork(2) starts with fresh keys. Any thread. */
#pragma once
#include "base/base.h"

void sq_random_bytes(void *out, size_t len);
/* A few ns: from a pool that is refilled without a system call. */
uint32_t sq_random_u32(void);
/* 0 .. bound-1, every value equally likely; 0 for bound 0. */
uint32_t sq_random_below(uint32_t bound);

/* RFC 8439 2.3: key and nonce as little-endian words; here for the test vectors. */
void sq_chacha20_block(uint32_t out[16], const uint32_t key[8], uint32_t counter,
                       const uint32_t nonce[3]);
/* Four blocks, counter .. counter + 3, one behind the other. */
void sq_chacha20_blocks4(uint32_t out[64], const uint32_t key[8], uint32_t counter,
                         const uint32_t nonce[3]);
