#include "core/crash/shared.h"

#include <stddef.h>
#include <sys/mman.h>

#include "base/check.h"

struct shared *shared_new(void)
{
    void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

bool shared_is_new(struct shared *s, uint64_t hash)
{
    uint64_t i = (hash * 0x9e3779b97f4a7c15U) >> 39;

    hash += hash == 0; /* 0 is a free place */
    for (uint32_t tries = 0; tries < 4096; tries++, i++) {
        uint64_t there = 0;

        if (atomic_compare_exchange_strong(&s->seen[i % SEEN_MAX], &there, hash))
            return true;
        if (there == hash)
            return false;
    }
    return true; /* the table is full: rather once more */
}
