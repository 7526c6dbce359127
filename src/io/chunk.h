/* io/chunk.h: the buffers of streams, of two sizes, from free lists of the thread.
 *
 * For this folder only. A chunk holds octets [start, end). It takes memory when something is to be
 * put into it, starts small, grows once, and gives its memory back when it is empty and told to.
 */
#pragma once

#include "base/str.h"

enum {
    CHUNK_SMALL = 16384,
    CHUNK_LARGE = 65536,
#ifdef VEREDUS_SANITIZED
    CHUNK_KEEP_SMALL = 0, /* a slice that is used too late points to freed memory */
    CHUNK_KEEP_LARGE = 0,
#else
    CHUNK_KEEP_SMALL = 64, /* free ones that a thread keeps: 1 MiB of each size */
    CHUNK_KEEP_LARGE = 16,
#endif
};

struct chunk {
    char *p; /* NULL while it has no memory */
    size_t start, end, cap;
};

static inline size_t chunk_len(const struct chunk *c)
{
    return c->end - c->start;
}

static inline struct str chunk_str(const struct chunk *c)
{
    return str_of(c->p ? c->p + c->start : "", chunk_len(c));
}

static inline size_t chunk_room(const struct chunk *c)
{
    return c->cap - c->end;
}

void chunk_consume(struct chunk *c, size_t n);

/* Makes room for n octets (not 0) at the end, if need be by moving what is there to the front or to
 * the large size. chunk_len() + n is at most CHUNK_LARGE. -1 without memory. */
int chunk_reserve(struct chunk *c, size_t n);

void chunk_release(struct chunk *c); /* gives the memory back, with whatever is in it */
