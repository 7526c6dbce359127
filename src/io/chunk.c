#include "io/chunk.h"

#include "base/check.h"
#include "base/mem.h"

/* A free block links to the next in its first octets. */
struct free_block {
    struct free_block *next;
};

struct free_list {
    struct free_block *first;
    unsigned count;
};

static _Thread_local struct free_list small_blocks, large_blocks;

static char *block_take(struct free_list *list, size_t size)
{
    struct free_block *block = list->first;

    if (!block)
        return mem_alloc(size);
    list->first = block->next;
    list->count--;
    return (char *)block;
}

static void block_give(char *p, size_t size)
{
    bool small = size == CHUNK_SMALL;
    struct free_list *list = small ? &small_blocks : &large_blocks;
    struct free_block *block = (void *)p;

    if (list->count >= (small ? CHUNK_KEEP_SMALL : CHUNK_KEEP_LARGE)) {
        mem_free(p);
        return;
    }
    block->next = list->first;
    list->first = block;
    list->count++;
}

void chunk_consume(struct chunk *c, size_t n)
{
    CHECK(n <= chunk_len(c));
    c->start += n;
}

static int move_to(struct chunk *c, struct free_list *list, size_t size)
{
    char *p = block_take(list, size);
    size_t n = chunk_len(c);

    if (!p)
        return -1;
    if (n)
        memcpy(p, c->p + c->start, n);
    if (c->p)
        block_give(c->p, c->cap);
    *c = (struct chunk){p, 0, n, size};
    return 0;
}

int chunk_reserve(struct chunk *c, size_t n)
{
    size_t used = chunk_len(c);

    CHECK(n > 0 && used + n <= CHUNK_LARGE);
    if (!used)
        c->start = c->end = 0;
    if (chunk_room(c) >= n)
        return 0;
    if (used + n > c->cap)
        return used + n <= CHUNK_SMALL ? move_to(c, &small_blocks, CHUNK_SMALL)
                                       : move_to(c, &large_blocks, CHUNK_LARGE);
    memmove(c->p, c->p + c->start, used);
    c->start = 0;
    c->end = used;
    return 0;
}

void chunk_release(struct chunk *c)
{
    if (c->p)
        block_give(c->p, c->cap);
    *c = (struct chunk){0};
}
