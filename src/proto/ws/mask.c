/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/mask.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* The key as the bytes at `offset` see it. */
static uint32_t rotate(uint32_t key, size_t offset)
{
    unsigned bits = 8 * (offset & 3);

    if (bits == 0)
        return key;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return key >> bits | key << (32 - bits);
#else
    return key << bits | key >> (32 - bits);
#endif
}

static void copy_words(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key)
{
    uint64_t key64 = key | (uint64_t)key << 32, word;
    uint32_t half;
    uint8_t bytes[4];

    for (; len >= 8; dst += 8, src += 8, len -= 8) {
        memcpy(&word, src, 8);
        word ^= key64;
        memcpy(dst, &word, 8);
    }
    if (len >= 4) {
        memcpy(&half, src, 4);
        half ^= key;
        memcpy(dst, &half, 4);
        dst += 4, src += 4, len -= 4;
    }
    memcpy(bytes, &key, 4);
    for (size_t i = 0; i < len; i++)
        dst[i] = src[i] ^ bytes[i];
}

/* The vector loops take whole steps, a multiple of 4 bytes, and return how many bytes that was. */
#ifdef __x86_64__
static size_t copy_sse2(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key)
{
    const __m128i k = _mm_set1_epi32((int)key);
    size_t i = 0;

    for (; i + 16 <= len; i += 16)
        _mm_storeu_si128((__m128i *)(dst + i),
                         _mm_xor_si128(_mm_loadu_si128((const __m128i *)(src + i)), k));
    return i;
}

__attribute__((target("avx2"))) static size_t copy_avx2(uint8_t *dst, const uint8_t *src,
                                                        size_t len, uint32_t key)
{
    const __m256i k = _mm256_set1_epi32((int)key);
    size_t i = 0;

    for (; i + 64 <= len; i += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(src + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(src + i + 32));
        _mm256_storeu_si256((__m256i *)(dst + i), _mm256_xor_si256(a, k));
        _mm256_storeu_si256((__m256i *)(dst + i + 32), _mm256_xor_si256(b, k));
    }
    return i;
}

static size_t copy_vectors(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key)
{
    size_t done = 0;

    if (len >= 64 && __builtin_cpu_supports("avx2"))
        done = copy_avx2(dst, src, len, key);
    return done + copy_sse2(dst + done, src + done, len - done, key);
}
#else
static size_t copy_vectors(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key)
{
    (void)dst, (void)src, (void)len, (void)key;
    return 0;
}
#endif

void sq_ws_mask_copy(void *dst, const void *src, size_t len, uint32_t key, size_t offset)
{
    size_t done = 0;

    if (len == 0)
        return; /* the pointers may be NULL */
    key = rotate(key, offset);
    if (len >= 16)
        done = copy_vectors(dst, src, len, key);
    copy_words((uint8_t *)dst + done, (const uint8_t *)src + done, len - done, key);
}
