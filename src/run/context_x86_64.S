/* The switch for x86-64, System V ABI: rbx, rbp, r12 to r15, the x87 control word and the control
 * bits of MXCSR belong to the callee. Both sides of the switch push the same frame, so the call
 * frame information holds before and after the stack pointer changes. */
#if defined(__x86_64__) && !defined(FIBER_UCONTEXT)

#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

        .text

/* void context_swap(void **from_sp, void *to_sp) */
        .globl  context_swap
        .hidden context_swap
        .type   context_swap, @function
        .p2align 4
context_swap:
        .cfi_startproc
        _CET_ENDBR
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        ret
        .cfi_endproc
        .size   context_swap, .-context_swap

/* The first frame of a stack: entry in r12, its argument in r13 (context_make). That there is no
 * caller is said to the unwinder, so a backtrace ends here. */
        .globl  context_start
        .hidden context_start
        .type   context_start, @function
        .p2align 4
        .cfi_startproc
        .cfi_undefined %rip
        nop     /* a return address belongs to the call before it */
context_start:
        movq    %r13, %rdi
        callq   *%r12
        ud2
        .cfi_endproc
        .size   context_start, .-context_start

        .section .note.GNU-stack, "", @progbits
#endif
