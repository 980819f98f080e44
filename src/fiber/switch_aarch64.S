/* SPDX-License-Identifier: Apache-2.0 */
/* AAPCS64. A saved context, from its address upwards:
 *
 *      x19 x20 | x21 x22 | x23 x24 | x25 x26 | x27 x28 | x29 x30 | d8 .. d15 | fpcr, - | 176 bytes
 */
#include "switch.h"
#if defined(__aarch64__) && !defined(SQ_FIBER_UCONTEXT)
        .text
        .globl  sq_fiber_switch
        .hidden sq_fiber_switch
        .type   sq_fiber_switch, %function
        .p2align 4
sq_fiber_switch: /* x0: save, x1: to, x2: give */
        .cfi_startproc
        hint    #34 /* bti c */
        sub     sp, sp, #176
        .cfi_def_cfa_offset 176
        stp     x19, x20, [sp, #0]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        .cfi_offset x19, -176
        .cfi_offset x20, -168
        .cfi_offset x21, -160
        .cfi_offset x22, -152
        .cfi_offset x23, -144
        .cfi_offset x24, -136
        .cfi_offset x25, -128
        .cfi_offset x26, -120
        .cfi_offset x27, -112
        .cfi_offset x28, -104
        .cfi_offset x29, -96
        .cfi_offset x30, -88
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x9, fpcr
        str     x9, [sp, #160]
        mov     x10, sp
        str     x10, [x0]

        /* The same layout on the other stack: all that was said of this frame holds there. */
        mov     sp, x1
        ldr     x11, [sp, #160]
        cmp     x9, x11
        b.eq    1f
        msr     fpcr, x11
1:      ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        ldp     x19, x20, [sp, #0]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x30, [sp, #80]
        add     sp, sp, #176
        .cfi_def_cfa_offset 0
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore x29
        .cfi_restore x30
        mov     x0, x2
        /* Not `ret`: the return predictor knows the other stack only, and would always be wrong. */
        mov     x16, x30
        br      x16
        .cfi_endproc
        .size   sq_fiber_switch, .-sq_fiber_switch

        /* Where a new fiber starts: x19 is main, x20 its argument. The caller of this frame is
         * declared unknown and x29 is 0, so unwinders stop here. They look up the byte before the
         * address to which a frame returns, hence the nop. */
        .type   start, %function
        .p2align 4
        .cfi_startproc
        .cfi_undefined x30
        nop
start:
        hint    #34 /* bti c: entered through x16 */
        mov     x0, x20
        blr     x19
        brk     #1
        .cfi_endproc
        .size   start, .-start

        .globl  sq_fiber_switch_prepare
        .hidden sq_fiber_switch_prepare
        .type   sq_fiber_switch_prepare, %function
        .p2align 4
sq_fiber_switch_prepare: /* x0: low, x1: top, x2: main, x3: arg */
        .cfi_startproc
        hint    #34 /* bti c */
        sub     x0, x1, #176
        stp     x2, x3, [x0, #0]
        stp     xzr, xzr, [x0, #16]
        stp     xzr, xzr, [x0, #32]
        stp     xzr, xzr, [x0, #48]
        stp     xzr, xzr, [x0, #64]
        adrp    x9, start
        add     x9, x9, :lo12:start
        stp     xzr, x9, [x0, #80]
        stp     xzr, xzr, [x0, #96]
        stp     xzr, xzr, [x0, #112]
        stp     xzr, xzr, [x0, #128]
        stp     xzr, xzr, [x0, #144]
        mrs     x9, fpcr
        stp     x9, xzr, [x0, #160]
        ret
        .cfi_endproc
        .size   sq_fiber_switch_prepare, .-sq_fiber_switch_prepare
#endif
        .section .note.GNU-stack, "", %progbits
