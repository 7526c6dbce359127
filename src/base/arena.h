/* base/arena.h: memory with one lifetime (a connection, a transaction, a command).
 *
 * Nothing is freed singly; arena_reset() ends the lifetime of everything at once and keeps the
 * first block for the next round. Born with a ceiling: an allocation beyond it returns NULL, as one
 * does for which there is no memory. A function that returns arena memory takes the arena first.
 */
#pragma once

#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *first, *last;
    char *free, *free_end; /* the rest of the last block */
    size_t used, max;      /* octets handed out, and the ceiling */
    bool no_memory;        /* NULL was once returned for want of memory, not for the ceiling */
};

static inline void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_reset(struct arena *a);
void arena_done(struct arena *a); /* gives everything back; may be used again */

/* n octets aligned for any type; arena_zalloc() clears them. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((malloc, alloc_size(2)));
void *arena_zalloc(struct arena *a, size_t n) __attribute__((malloc, alloc_size(2)));

/* count * size octets, zeroed; NULL too when the product overflows. */
void *arena_array(struct arena *a, size_t count, size_t size) __attribute__((malloc));

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))

/* A copy of s, with a terminator behind it that is not part of the slice. False without memory. */
bool arena_dup(struct arena *a, struct str s, struct str *copy);

/* A formatted slice; p is NULL where there was no memory. */
struct str arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
