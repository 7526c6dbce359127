#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

struct arena_block {
    struct arena_block *next;
    size_t size; /* octets behind the header */
    alignas(max_align_t) char data[];
};

enum {
    BLOCK_SIZE = 2048 - sizeof(struct arena_block)
};

static void arena_use(struct arena *a, struct arena_block *block)
{
    a->last = block;
    a->free = block->data;
    a->free_end = block->data + block->size;
}

static int arena_add_block(struct arena *a, size_t least)
{
    size_t size = a->last ? a->last->size * 2 : BLOCK_SIZE;
    struct arena_block *block;

    if (size > 65536)
        size = 65536;
    if (size < least)
        size = least;
    block = mem_alloc(sizeof *block + size);
    if (!block) {
        a->no_memory = true;
        return -1;
    }
    block->next = NULL;
    block->size = size;
    if (a->last)
        a->last->next = block;
    else
        a->first = block;
    arena_use(a, block);
    return 0;
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
}

void arena_reset(struct arena *a)
{
    a->used = 0;
    if (!a->first)
        return;
    free_blocks(a->first->next);
    a->first->next = NULL;
    arena_use(a, a->first);
}

void arena_done(struct arena *a)
{
    free_blocks(a->first);
    arena_init(a, a->max);
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t align = alignof(max_align_t);
    size_t whole;
    char *p;

    if (n > a->max || a->used > a->max - n)
        return NULL;
    whole = (n + align - 1) & ~(align - 1);
    if ((!a->last || (size_t)(a->free_end - a->free) < whole) && arena_add_block(a, whole) < 0)
        return NULL;
    p = a->free;
    a->free += whole;
    a->used += whole;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);

    if (p)
        memset(p, 0, n);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return arena_zalloc(a, n);
}

bool arena_dup(struct arena *a, struct str s, struct str *copy)
{
    char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

    if (!p)
        return false;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    *copy = str_of(p, s.n);
    return true;
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    int n;
    char *p;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (!p)
        return STR_NONE;
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return str_of(p, (size_t)n);
}
