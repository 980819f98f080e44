/* SPDX-License-Identifier: Apache-2.0 */
/* For processors without a version in assembly. Two system calls for each switch. */
#include "fiber/switch.h"

#ifdef SQ_FIBER_UCONTEXT
#include <ucontext.h>

/* What the switch under way hands over; nobody runs between its writing and its reading. */
static _Thread_local bool given;

bool sq_fiber_switch(void **save, void *to, bool give)
{
    ucontext_t here; /* on the stack that is left, where it stays until somebody comes back */

    *save = &here;
    given = give;
    sq_assert(swapcontext(&here, to) == 0);
    return given;
}

/* makecontext passes ints only. */
static void start(unsigned main_high, unsigned main_low, unsigned arg_high, unsigned arg_low)
{
    uintptr_t entry = (uintptr_t)((uint64_t)main_high << 32 | main_low);
    uintptr_t arg = (uintptr_t)((uint64_t)arg_high << 32 | arg_low);

    ((void (*)(void *))entry)((void *)arg);
    sq_panic("the main function of a fiber returned");
}

void *sq_fiber_switch_prepare(void *low, void *top, void (*main)(void *arg), void *arg)
{
    uintptr_t address = ((uintptr_t)top - sizeof(ucontext_t)) & ~(uintptr_t)63;
    ucontext_t *context = (ucontext_t *)address;
    uint64_t entry = (uintptr_t)main, argument = (uintptr_t)arg;

    sq_assert(getcontext(context) == 0);
    context->uc_stack.ss_sp = low;
    context->uc_stack.ss_size = address - (uintptr_t)low;
    context->uc_link = NULL;
    makecontext(context, (void (*)(void))start, 4, (unsigned)(entry >> 32), (unsigned)entry,
                (unsigned)(argument >> 32), (unsigned)argument);
    return context;
}
#endif
