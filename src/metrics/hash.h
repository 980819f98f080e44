/* SPDX-License-Identifier: Apache-2.0 */
/* A fast hash of bytes for tables inside one process; not stable between versions, not keyed. */
#pragma once
#include "base/base.h"

static inline uint64_t sq_hash_mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

static inline uint64_t sq_hash_bytes(uint64_t seed, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t h = seed ^ (len * UINT64_C(0x9e3779b97f4a7c15)), word;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
        h ^= h >> 29;
    }
    word = 0;
    if (len)
        memcpy(&word, p, len);
    return sq_hash_mix(h ^ word);
}
