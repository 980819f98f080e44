/* SPDX-License-Identifier: Apache-2.0 */
/* The one step that depends on the processor: leave a stack, go on with another. Three versions,
 * each in its own file: switch_x86_64.S, switch_aarch64.S, and switch_ucontext.c for all others
 * or where SQ_FIBER_UCONTEXT is defined. */
#pragma once
#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(SQ_FIBER_UCONTEXT)
#define SQ_FIBER_UCONTEXT 1
#endif
#ifndef __ASSEMBLER__
#include "base/base.h"

/* Saves the running context's address in *save and goes on with `to`. Returns when somebody
 * switches back to what was saved, with that call's `give`. */
bool sq_fiber_switch(void **save, void *to, bool give);

/* Lays a context on an empty stack that will call main(arg), which must never return. `top` is
 * aligned to 16. Writes only just below `top`. */
void *sq_fiber_switch_prepare(void *low, void *top, void (*main)(void *arg), void *arg);
#endif
