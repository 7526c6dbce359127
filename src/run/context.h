/* run/context.h: what a processor needs to leave one stack and go on on another.
 *
 * For this folder only. x86-64 and AArch64 have a switch of their own (context_x86_64.S,
 * context_aarch64.S): callee-saved registers and the floating point control words, no system call,
 * call frame information for debuggers. Elsewhere, and with -DFIBER_UCONTEXT as a cross-check in
 * the tests, ucontext does it.
 */
#pragma once

#include <stddef.h>

#if !defined(FIBER_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define FIBER_UCONTEXT 1
#endif

#ifdef FIBER_UCONTEXT
#include <ucontext.h>
#endif

struct context {
#ifdef FIBER_UCONTEXT
    ucontext_t machine;
#else
    void *sp; /* everything else lies on the stack */
#endif
};

/* Prepares c so that the first switch to it calls entry(arg) on the given stack. entry never
 * returns. */
void context_make(struct context *c, void *stack, size_t size, void (*entry)(void *arg), void *arg);

/* Leaves the present context in *from and goes on with *to. */
void context_switch(struct context *from, struct context *to);
