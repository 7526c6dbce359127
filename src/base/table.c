#include "base/table.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    FIRST_CAP = 16
};

static uint8_t table_key[16];
static bool seeded;

static char tomb_mark;
#define TOMB ((void *)&tomb_mark)

void table_seed(const uint8_t key[16])
{
    memcpy(table_key, key, sizeof table_key);
    seeded = true;
}

void table_init(struct table *t, struct str (*key_of)(const void *entry), size_t max)
{
    *t = (struct table){.key_of = key_of, .max = max};
}

void table_done(struct table *t)
{
    mem_free(t->slots);
    mem_free(t->hashes);
    table_init(t, t->key_of, t->max);
}

static uint32_t hash_of(struct str key)
{
    CHECK(seeded);
    return (uint32_t)siphash13(table_key, key);
}

static bool used(const void *slot)
{
    return slot && slot != TOMB;
}

/* The slot of the entry with this key, or of nothing. *free_slot gets the first slot where such an
 * entry could be put. The table is never full, so that every search ends. */
static size_t search(const struct table *t, struct str key, uint32_t hash, size_t *free_slot)
{
    size_t i = hash & (t->cap - 1), first_free = SIZE_MAX;

    for (; t->slots[i]; i = (i + 1) & (t->cap - 1)) {
        if (t->slots[i] == TOMB) {
            if (first_free == SIZE_MAX)
                first_free = i;
        } else if (t->hashes[i] == hash && str_eq(t->key_of(t->slots[i]), key)) {
            break;
        }
    }
    if (free_slot)
        *free_slot = first_free == SIZE_MAX ? i : first_free;
    return i;
}

void *table_find(const struct table *t, struct str key)
{
    if (t->count == 0)
        return NULL;
    return t->slots[search(t, key, hash_of(key), NULL)];
}

/* Moves everything into a table at most half full, which also drops the tombs. */
static int rehash(struct table *t)
{
    size_t cap = FIRST_CAP;
    void **slots;
    uint32_t *hashes;

    while (cap < (t->count + 1) * 2)
        cap *= 2;
    slots = mem_array(cap, sizeof *slots);
    hashes = mem_array(cap, sizeof *hashes);
    if (!slots || !hashes) {
        mem_free(slots);
        mem_free(hashes);
        return -1;
    }
    for (size_t from = 0; from < t->cap; from++) {
        size_t to;
        if (!used(t->slots[from]))
            continue;
        to = t->hashes[from] & (cap - 1);
        while (slots[to])
            to = (to + 1) & (cap - 1);
        slots[to] = t->slots[from];
        hashes[to] = t->hashes[from];
    }
    mem_free(t->slots);
    mem_free(t->hashes);
    t->slots = slots;
    t->hashes = hashes;
    t->cap = cap;
    t->tombs = 0;
    return 0;
}

int table_add(struct table *t, void *entry)
{
    struct str key = t->key_of(entry);
    uint32_t hash = hash_of(key);
    size_t to;

    if (t->count && used(t->slots[search(t, key, hash, NULL)]))
        return 1;
    if (t->count >= t->max)
        return -1;
    /* At three quarters; without memory for more it is filled up to the last but one. */
    if ((t->count + t->tombs + 1) * 4 > t->cap * 3 && rehash(t) < 0 &&
        t->count + t->tombs + 2 > t->cap)
        return -1;
    search(t, key, hash, &to);
    if (t->slots[to] == TOMB)
        t->tombs--;
    t->slots[to] = entry;
    t->hashes[to] = hash;
    t->count++;
    return 0;
}

void *table_remove(struct table *t, struct str key)
{
    size_t at;
    void *entry;

    if (t->count == 0)
        return NULL;
    at = search(t, key, hash_of(key), NULL);
    entry = t->slots[at];
    if (!entry)
        return NULL;
    /* No tomb where no search goes on from here. */
    if (t->slots[(at + 1) & (t->cap - 1)]) {
        t->slots[at] = TOMB;
        t->tombs++;
    } else {
        t->slots[at] = NULL;
    }
    t->count--;
    return entry;
}

void *table_next(const struct table *t, size_t *i)
{
    while (*i < t->cap) {
        void *slot = t->slots[(*i)++];
        if (used(slot))
            return slot;
    }
    return NULL;
}
