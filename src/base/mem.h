/* base/mem.h: the only place that calls malloc.
 *
 * An allocation that fails returns NULL and costs the session or the message at hand (a 4xx reply),
 * never the process; every caller checks. mem_fail_at() makes the n-th allocation from now fail, so
 * that tests can walk through every such path.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mem_zalloc(size_t n) __attribute__((malloc, alloc_size(1)));

/* count * size octets, zeroed; NULL too when the product overflows. */
void *mem_array(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));

/* On failure NULL is returned and p stays valid. */
void *mem_resize(void *p, size_t n) __attribute__((alloc_size(2)));

void mem_free(void *p);

/* Tests only: let the n-th allocation of this thread from now fail (1 is the next), 0 for none.
 * Returns the number of allocations counted since the last call. */
uint64_t mem_fail_at(uint64_t n);

/* Elements of an array (not of a pointer). */
#define ARRAY_COUNT(array) (sizeof(array) / sizeof *(array))

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

/* CLEANUP(f) calls f(&var) when var leaves its scope. For what is not arena memory. */
#define CLEANUP(f) __attribute__((cleanup(f)))

void mem_cleanup(void *p); /* CLEANUP(mem_cleanup) char *x */
