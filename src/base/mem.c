#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t allocations;
static _Thread_local uint64_t fail_at;

static int fails(void)
{
    return ++allocations == fail_at;
}

uint64_t mem_fail_at(uint64_t n)
{
    uint64_t counted = allocations;

    allocations = 0;
    fail_at = n;
    return counted;
}

void *mem_alloc(size_t n)
{
    return fails() ? NULL : malloc(n);
}

void *mem_zalloc(size_t n)
{
    return fails() ? NULL : calloc(1, n);
}

void *mem_array(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

void *mem_resize(void *p, size_t n)
{
    return fails() ? NULL : realloc(p, n);
}

void mem_free(void *p)
{
    free(p);
}

void mem_cleanup(void *p)
{
    void *memory;

    memcpy(&memory, p, sizeof memory);
    free(memory);
}
