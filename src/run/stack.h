/* run/stack.h: the stacks of fibers, recycled.
 *
 * For this folder only. A stack is a mapping with a guard below. Returned stacks are kept for the
 * next fiber: the first few as they are, more of them without their pages, the rest unmapped. A
 * stack that was used deeply gives its deep part back when it is returned. Not shared by threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef VEREDUS_SANITIZED
#define STACK_SIZE ((size_t)128 << 10)
#else
#define STACK_SIZE ((size_t)64 << 10)
#endif

enum {
    STACK_KEEP_WARM = 256, /* free stacks that keep their shallow pages */
    STACK_KEEP_MAX = 1024, /* free stacks that keep their addresses */
};

struct stack {
    void *base; /* the lowest usable octet */
    size_t size;
    struct stack *next;
    unsigned uses, valgrind_id;
};

struct stack_cache {
    struct stack *free;
    size_t free_count, mapped;
    size_t deepest;   /* octets: high-water mark of use, by samples where it was shallow */
    bool guard_pages; /* the kernel has no MADV_GUARD_INSTALL */
};

struct stack *stack_get(struct stack_cache *c); /* NULL without memory */
void stack_put(struct stack_cache *c, struct stack *s);
void stack_cache_done(
    struct stack_cache *c); /* unmaps the free ones; all must have been returned */
