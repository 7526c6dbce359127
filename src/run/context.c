#include "run/context.h"

#include <stdint.h>
#include <string.h>

#include "base/check.h"

#ifdef FIBER_UCONTEXT

/* makecontext() passes integers only, so the pointers go in halves. */
static void start(unsigned entry_high, unsigned entry_low, unsigned arg_high, unsigned arg_low)
{
    uintptr_t entry = (uintptr_t)((uint64_t)entry_high << 32 | entry_low);
    uintptr_t arg = (uintptr_t)((uint64_t)arg_high << 32 | arg_low);

    ((void (*)(void *))entry)((void *)arg);
    UNREACHABLE();
}

void context_make(struct context *c, void *stack, size_t size, void (*entry)(void *arg), void *arg)
{
    uint64_t e = (uintptr_t)entry, a = (uintptr_t)arg;

    CHECK(getcontext(&c->machine) == 0);
    c->machine.uc_stack.ss_sp = stack;
    c->machine.uc_stack.ss_size = size;
    c->machine.uc_link = NULL;
    makecontext(&c->machine, (void (*)(void))start, 4, (unsigned)(e >> 32), (unsigned)e,
        (unsigned)(a >> 32), (unsigned)a);
}

void context_switch(struct context *from, struct context *to)
{
    CHECK(swapcontext(&from->machine, &to->machine) == 0);
}

#else

void context_swap(void **from_sp, void *to_sp);
void context_start(void);

#ifdef __x86_64__
/* What context_swap() takes off the stack, in this order. */
struct frame {
    uint32_t mxcsr;
    uint16_t x87, unused;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    void (*ret)(void);
    uint64_t end[2]; /* after ret the stack is aligned to 16, as before any call */
};

static void fill(struct frame *f, void (*entry)(void *arg), void *arg)
{
    __asm__("stmxcsr %0\n\tfnstcw %1" : "=m"(f->mxcsr), "=m"(f->x87));
    f->r12 = (uintptr_t)entry;
    f->r13 = (uintptr_t)arg;
    f->ret = context_start;
}
#else
struct frame {
    uint64_t x19, x20, x21_to_x28[8], fp;
    void (*lr)(void);
    uint64_t d8_to_d15[8], fpcr, unused;
};

static void fill(struct frame *f, void (*entry)(void *arg), void *arg)
{
    __asm__("mrs %0, fpcr" : "=r"(f->fpcr));
    f->x19 = (uintptr_t)entry;
    f->x20 = (uintptr_t)arg;
    f->lr = context_start;
}
#endif

void context_make(struct context *c, void *stack, size_t size, void (*entry)(void *arg), void *arg)
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    struct frame *f = (struct frame *)(top - sizeof *f);

    _Static_assert(sizeof *f % 16 == 0, "the first frame keeps the stack aligned");
    memset(f, 0, sizeof *f);
    fill(f, entry, arg);
    c->sp = f;
}

void context_switch(struct context *from, struct context *to)
{
    context_swap(&from->sp, to->sp);
}

#endif
