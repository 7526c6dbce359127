/* The switch for AArch64, AAPCS64: x19 to x28, the frame pointer, the link register, the low halves
 * of v8 to v15 and FPCR belong to the callee. Both sides of the switch store the same frame, so the
 * call frame information holds before and after the stack pointer changes. */
#if defined(__aarch64__) && !defined(FIBER_UCONTEXT)

        .text

/* void context_swap(void **from_sp, void *to_sp) */
        .globl  context_swap
        .hidden context_swap
        .type   context_swap, %function
        .p2align 4
context_swap:
        .cfi_startproc
        hint    #34             /* bti c */
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
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldr     x9, [sp, #160]
        msr     fpcr, x9
        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x29, x30, [sp, #80]
        ldp     x27, x28, [sp, #64]
        ldp     x25, x26, [sp, #48]
        ldp     x23, x24, [sp, #32]
        ldp     x21, x22, [sp, #16]
        ldp     x19, x20, [sp, #0]
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
        add     sp, sp, #176
        .cfi_def_cfa_offset 0
        ret
        .cfi_endproc
        .size   context_swap, .-context_swap

/* The first frame of a stack: entry in x19, its argument in x20 (context_make). That there is no
 * caller is said to the unwinder, so a backtrace ends here. */
        .globl  context_start
        .hidden context_start
        .type   context_start, %function
        .p2align 4
        .cfi_startproc
        .cfi_undefined x30
        nop     /* a return address belongs to the call before it */
context_start:
        mov     x0, x20
        blr     x19
        brk     #1
        .cfi_endproc
        .size   context_start, .-context_start

#ifdef __ARM_FEATURE_BTI_DEFAULT
        /* Without this note the linker takes branch target identification from everybody. */
        .section .note.gnu.property, "a"
        .p2align 3
        .word   4               /* length of the name */
        .word   16              /* length of the descriptor */
        .word   5               /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .word   0xc0000000      /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
        .word   4
        .word   1               /* GNU_PROPERTY_AARCH64_FEATURE_1_BTI */
        .word   0
#endif
        .section .note.GNU-stack, "", %progbits
#endif
