#include "run/stack.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "run/annotate.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13; headers are older */
#endif

enum {
    MEASURE_EVERY = 32, /* uses between two measurements of the whole stack */
};

/* A library built without stack probes may step over one page. */
static size_t guard_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return page > 16384 ? page : 16384;
}

/* What a fiber may touch before its stack is trimmed on return. */
static size_t shallow_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return page > STACK_SIZE / 4 ? page : STACK_SIZE / 4;
}

/* A guard inside the mapping lets neighbouring stacks share one: two mappings a stack would meet
 * vm.max_map_count near 30,000 fibers. */
static int protect_guard(struct stack_cache *c, void *mapping)
{
    if (!c->guard_pages && madvise(mapping, guard_size(), MADV_GUARD_INSTALL) == 0)
        return 0;
    c->guard_pages = true;
    return mprotect(mapping, guard_size(), PROT_NONE);
}

static struct stack *stack_map(struct stack_cache *c)
{
    size_t whole = guard_size() + STACK_SIZE;
    struct stack *s = MEM_NEW(struct stack);
    char *p;

    if (!s)
        return NULL;
    p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (p == MAP_FAILED) {
        mem_free(s);
        return NULL;
    }
    /* Neighbouring stacks become one mapping, in which a huge page would cost 2 MiB. EINVAL where
     * the kernel has none. */
    (void)madvise(p, whole, MADV_NOHUGEPAGE);
    if (protect_guard(c, p) < 0) {
        CHECK(munmap(p, whole) == 0);
        mem_free(s);
        return NULL;
    }
    s->base = p + guard_size();
    s->size = STACK_SIZE;
    s->valgrind_id = annotate_stack_register(s->base, (char *)s->base + s->size);
    c->mapped++;
    return s;
}

static void stack_unmap(struct stack_cache *c, struct stack *s)
{
    annotate_stack_deregister(s->valgrind_id);
    CHECK(munmap((char *)s->base - guard_size(), guard_size() + s->size) == 0);
    c->mapped--;
    mem_free(s);
}

struct stack *stack_get(struct stack_cache *c)
{
    struct stack *s = c->free;

    if (!s)
        return stack_map(c);
    c->free = s->next;
    c->free_count--;
    s->next = NULL;
    return s;
}

/* Octets from the first non-zero one in [from, top) to the top. Pages never touched read as the
 * shared page of zeros. */
NO_SANITIZE static size_t depth_from(const char *from, const char *top)
{
    const uint64_t *p = (const uint64_t *)(const void *)from;
    const uint64_t *end = (const uint64_t *)(const void *)top;

    while (p < end && !(p[0] | p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7]))
        p += 8;
    return (size_t)((const char *)end - (const char *)p);
}

/* The page below the shallow part tells cheaply whether more was used: our frames are smaller than
 * a page. Now and then the whole is looked at, for those of others that are not. */
static bool worth_measuring(const struct stack *s, const char *shallow)
{
    return s->uses % MEASURE_EVERY == 1 || depth_from(shallow - 4096, shallow) > 0;
}

static void trim(struct stack_cache *c, struct stack *s)
{
    char *base = s->base, *top = base + s->size, *shallow = top - shallow_size();
    size_t depth;

    if (annotate_on_valgrind())
        return; /* to read what is above no frame would be reported */
    s->uses++;
    if (!worth_measuring(s, shallow))
        return;
    depth = depth_from(base, top);
    if (depth > c->deepest)
        c->deepest = depth;
    if (depth > shallow_size())
        CHECK(madvise(base, s->size - shallow_size(), MADV_DONTNEED) == 0);
}

void stack_put(struct stack_cache *c, struct stack *s)
{
    annotate_stack_clear(s->base, s->size);
    trim(c, s);
    if (c->free_count >= STACK_KEEP_MAX) {
        stack_unmap(c, s);
        return;
    }
    if (c->free_count >= STACK_KEEP_WARM)
        CHECK(madvise(s->base, s->size, MADV_DONTNEED) == 0);
    s->next = c->free;
    c->free = s;
    c->free_count++;
}

void stack_cache_done(struct stack_cache *c)
{
    struct stack *s;

    while ((s = c->free)) {
        c->free = s->next;
        c->free_count--;
        stack_unmap(c, s);
    }
    CHECK(c->mapped == 0);
}
