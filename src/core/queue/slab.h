/* core/queue/slab.h: many records of one size, named by 32-bit handles instead of pointers.
 *
 * A handle counts from 1; 0 is none. Records never move, come zeroed, and one that was given back
 * is used again. Memory is taken in chunks and kept.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    SLAB_CHUNK = 1024, /* records */
};

struct slab {
    char **chunks;
    uint32_t chunk_count, chunk_cap;
    uint32_t size; /* octets of a record, a multiple of 8 */
    uint32_t top, free, used;
};

void slab_init(struct slab *s, size_t size);
void slab_done(struct slab *s);
uint32_t slab_take(struct slab *s); /* 0 without memory */
void slab_give(struct slab *s, uint32_t handle);

static inline void *slab_at(const struct slab *s, uint32_t handle)
{
    uint32_t i = handle - 1;

    return s->chunks[i / SLAB_CHUNK] + (size_t)(i % SLAB_CHUNK) * s->size;
}

static inline size_t slab_memory(const struct slab *s)
{
    return (size_t)s->chunk_count * SLAB_CHUNK * s->size + s->chunk_cap * sizeof(char *);
}
