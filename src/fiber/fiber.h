/* SPDX-License-Identifier: Apache-2.0 */
/* Stackful coroutines: a fiber runs on its own stack until it suspends or its entry returns.
 *
 * A fiber belongs to the thread that made its pool and never moves. Resuming nests: a fiber may
 * resume another, and sq_fiber_suspend always goes back to whoever resumed. Kept across a switch:
 * the callee-saved registers and the floating-point control words; not errno, not signal masks.
 *
 * A suspended fiber costs the pages of its stack that it has touched, usually one: its own
 * description lies at the top of the same page.
 *
 *      low                                                            top
 *      | guard page |  ... not touched, not committed ... |  frames  | struct sq_fiber |
 */
#pragma once
#include "base/base.h"

struct sq_fiber;
struct sq_fiber_pool;

/* The usual size. Sanitizers make frames several times as large. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SQ_FIBER_STACK_SCALE 4
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SQ_FIBER_STACK_SCALE 4
#endif
#endif
#ifndef SQ_FIBER_STACK_SCALE
#define SQ_FIBER_STACK_SCALE 1
#endif
enum {
    SQ_FIBER_STACK_BYTES = 512 * 1024 * SQ_FIBER_STACK_SCALE,
    SQ_FIBER_STACK_LEAST = 64 * 1024 * SQ_FIBER_STACK_SCALE,
};
/* SQ_FIBER_STACK_BYTES, or the least where `ulimit -v` makes addresses dear. */
size_t sq_fiber_stack_bytes(void);

/* `stack_bytes` is address space for each fiber, rounded up to pages, the guard page not counted;
 * at least 16 KiB. Owned: sq_fiber_pool_free. Maps nothing yet. */
struct sq_fiber_pool *sq_fiber_pool_new(size_t stack_bytes);
/* Every fiber must have been freed before. NULL is fine. */
void sq_fiber_pool_free(struct sq_fiber_pool *pool);
/* Fibers made and not yet freed. */
size_t sq_fiber_pool_live(const struct sq_fiber_pool *pool);
/* Address space taken by stacks, used or waiting for use. */
size_t sq_fiber_pool_mapped_bytes(const struct sq_fiber_pool *pool);

/* A fiber that will run entry(arg) when first resumed. Owned: sq_fiber_free. NULL when the system
 * has no memory for a stack (errno says). */
struct sq_fiber *sq_fiber_new(struct sq_fiber_pool *pool, void (*entry)(void *arg),
                              void *arg) SQ_MUST_USE;
/* Only a fiber that never ran or has ended: a suspended stack holds references, so unwind it by
 * resuming it. The stack goes back to the pool. NULL is fine. */
void sq_fiber_free(struct sq_fiber *fiber);

/* Runs the fiber until it suspends (true) or its entry returns (false). From the loop's stack or
 * from another fiber; not one that has ended, and not one that is running or has resumed us. */
bool sq_fiber_resume(struct sq_fiber *fiber);
/* Back to the resumer; returns when somebody resumes the fiber again. Only inside a fiber. */
void sq_fiber_suspend(void);

/* The fiber we run on; NULL on the thread's own stack. */
struct sq_fiber *sq_fiber_self(void);
void *sq_fiber_arg(const struct sq_fiber *fiber);
/* True once the entry has returned. */
bool sq_fiber_ended(const struct sq_fiber *fiber);

/* The lowest usable byte (above the guard) and the end of the usable stack. */
void *sq_fiber_stack_low(const struct sq_fiber *fiber);
void *sq_fiber_stack_top(const struct sq_fiber *fiber);

/* Pages of the stack that are committed now, from the top down to the deepest. One system call. */
size_t sq_fiber_committed_pages(const struct sq_fiber *fiber);
/* Gives the pages below the present depth back if more than SQ_FIBER_KEEP_PAGES are committed.
 * From inside the fiber, or from outside while it is suspended, ended or not started. Returns the
 * bytes given back. One system call when there is nothing to do. */
size_t sq_fiber_trim(struct sq_fiber *fiber);
enum { SQ_FIBER_KEEP_PAGES = 3 };
