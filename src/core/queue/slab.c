#include "core/queue/slab.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

void slab_init(struct slab *s, size_t size)
{
    *s = (struct slab){.size = (uint32_t)((size + 7) & ~(size_t)7)};
}

void slab_done(struct slab *s)
{
    for (uint32_t i = 0; i < s->chunk_count; i++)
        mem_free(s->chunks[i]);
    mem_free(s->chunks);
    slab_init(s, s->size);
}

static int grow(struct slab *s)
{
    if (s->chunk_count == UINT32_MAX / SLAB_CHUNK)
        return -1;
    if (s->chunk_count == s->chunk_cap) {
        uint32_t cap = s->chunk_cap ? 2 * s->chunk_cap : 16;
        char **chunks = mem_resize(s->chunks, cap * sizeof *chunks);

        if (!chunks)
            return -1;
        s->chunks = chunks;
        s->chunk_cap = cap;
    }
    s->chunks[s->chunk_count] = mem_array(SLAB_CHUNK, s->size);
    if (!s->chunks[s->chunk_count])
        return -1;
    s->chunk_count++;
    return 0;
}

uint32_t slab_take(struct slab *s)
{
    uint32_t handle = s->free;

    if (handle) {
        memcpy(&s->free, slab_at(s, handle), sizeof s->free);
    } else {
        if (s->top == s->chunk_count * SLAB_CHUNK && grow(s) < 0)
            return 0;
        handle = ++s->top;
    }
    memset(slab_at(s, handle), 0, s->size);
    s->used++;
    return handle;
}

void slab_give(struct slab *s, uint32_t handle)
{
    CHECK(handle && handle <= s->top && s->used);
    memcpy(slab_at(s, handle), &s->free, sizeof s->free);
    s->free = handle;
    s->used--;
}
