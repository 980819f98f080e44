/* SPDX-License-Identifier: Apache-2.0 */
/* System V x86-64. A saved context, from its address upwards:
 *
 *      mxcsr (4) x87 control word (2) - (2) | r12 | r13 | r14 | r15 | rbx | rbp | return address
 *
 * The control words are loaded only where they differ, since that costs more than all the rest. */
#include "switch.h"
#if defined(__x86_64__) && !defined(SQ_FIBER_UCONTEXT)
        .text
        .globl  sq_fiber_switch
        .hidden sq_fiber_switch
        .type   sq_fiber_switch, @function
        .p2align 4
sq_fiber_switch: /* rdi: save, rsi: to, rdx: give */
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movl    (%rsp), %r8d
        movzwl  4(%rsp), %r9d
        movq    %rsp, (%rdi)
        .cfi_remember_state

        /* The same layout on the other stack: all that was said of this frame holds there. */
        movq    %rsi, %rsp
        xorl    (%rsp), %r8d
        testl   $0xffc0, %r8d /* control bits; the six below are sticky flags of exceptions */
        jnz     1f
2:      cmpw    4(%rsp), %r9w
        jne     3f
4:      addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        /* Not `ret`: the return predictor knows the other stack only, and would always be wrong. */
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rcx
        movq    %rdx, %rax
        jmpq    *%rcx

        .cfi_restore_state
1:      ldmxcsr (%rsp)
        jmp     2b
3:      fldcw   4(%rsp)
        jmp     4b
        .cfi_endproc
        .size   sq_fiber_switch, .-sq_fiber_switch

        /* Where a new fiber starts: r12 is main, r13 its argument. The caller of this frame is
         * declared unknown and rbp is 0, so unwinders stop here. They look up the byte before the
         * address to which a frame returns, hence the nop. */
        .type   start, @function
        .p2align 4
        .cfi_startproc
        .cfi_undefined %rip
        nop
start:
        endbr64
        movq    %r13, %rdi
        callq   *%r12
        ud2
        .cfi_endproc
        .size   start, .-start

        .globl  sq_fiber_switch_prepare
        .hidden sq_fiber_switch_prepare
        .type   sq_fiber_switch_prepare, @function
        .p2align 4
sq_fiber_switch_prepare: /* rdi: low, rsi: top, rdx: main, rcx: arg */
        .cfi_startproc
        endbr64
        leaq    -80(%rsi), %rax /* context 64, and 16 that keep the stack aligned in `start` */
        stmxcsr (%rax)
        fnstcw  4(%rax)
        movw    $0, 6(%rax)
        movq    %rdx, 8(%rax)  /* r12 */
        movq    %rcx, 16(%rax) /* r13 */
        movq    $0, 24(%rax)
        movq    $0, 32(%rax)
        movq    $0, 40(%rax)
        movq    $0, 48(%rax)   /* rbp: the end of the frame chain */
        leaq    start(%rip), %rcx
        movq    %rcx, 56(%rax)
        movq    $0, 64(%rax)
        movq    $0, 72(%rax)
        ret
        .cfi_endproc
        .size   sq_fiber_switch_prepare, .-sq_fiber_switch_prepare
#endif
        .section .note.GNU-stack, "", @progbits
