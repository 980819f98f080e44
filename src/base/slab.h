/* SPDX-License-Identifier: Apache-2.0 */
/* A size-class allocator for one thread: no locks, no block headers. Meant for the heaps of many
 * small JavaScript runtimes or cells that share one thread.
 *
 * Up to SQ_SLAB_SMALL_BYTES a block comes from a span: 64 KiB, aligned to 64 KiB, blocks of one
 * class, its description at its start, so a pointer finds it by masking. Above, malloc, with the
 * slab's address in front. The two kinds differ in the pointer itself: small blocks lie at
 * multiples of 16, large ones at 16n + 8.
 *
 *      small:  | span header, 64 bytes | block | block | ... up to 64 KiB
 *      large:  | slab, 8 bytes | block ...
 *
 * In a build with AddressSanitizer every block is plain malloc, so that errors are found. */
#pragma once
#include "base/base.h"

struct sq_slab;

enum { SQ_SLAB_SMALL_BYTES = 2048, SQ_SLAB_SPAN_BYTES = 64 * 1024 };

struct sq_slab *sq_slab_new(void); /* owned: sq_slab_free */
/* All small blocks go with it; large ones must have been given back. NULL is fine. */
void sq_slab_free(struct sq_slab *slab);

/* Aligned to 16 bytes up to SQ_SLAB_SMALL_BYTES, to 8 above. NULL when there is no memory: sizes
 * are a script's. A size of 0 is served like 1. Owned: sq_slab_dealloc. */
void *sq_slab_alloc(struct sq_slab *slab, size_t bytes) SQ_MUST_USE;
/* Like realloc: `old` may be NULL; on failure NULL, and `old` stays. Size 0 frees, returns NULL. */
void *sq_slab_realloc(struct sq_slab *slab, void *old, size_t bytes) SQ_MUST_USE;
/* On the thread of the slab that the block came from. NULL is fine. */
void sq_slab_dealloc(void *block);
/* Bytes that may be used, at least what was asked for; 0 for NULL. */
size_t sq_slab_usable_size(const void *block);

/* Whether an allocation has failed since the last call. */
bool sq_slab_take_failure(struct sq_slab *slab);

struct sq_slab_stats {
    size_t mapped_bytes; /* address space of spans */
    size_t span_bytes;   /* spans in use or kept for reuse */
    size_t small_bytes;  /* blocks of spans that are handed out, by class size */
    size_t small_count;  /* how many they are */
    size_t large_bytes;  /* usable bytes of large blocks */
    size_t large_count;
};
/* All zero in a build with AddressSanitizer. */
void sq_slab_stats(const struct sq_slab *slab, struct sq_slab_stats *out);
