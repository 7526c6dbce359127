#include "core/spool/index.h"

#include <errno.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/format.h"

enum {
    SLAB = 1024,
    SLOTS_MIN = 256,
    ENTRY_OVERHEAD =
        512, /* octets of a log that a message takes beyond content and prefix, about */
};

_Static_assert(sizeof(struct entry) <= 56, "an entry has grown");

static struct entry *place(const struct index *x, uint32_t i)
{
    return &x->slabs[i / SLAB][i % SLAB];
}

void index_init(struct index *x)
{
    *x = (struct index){0};
    list_init(&x->moves);
}

void index_done(struct index *x)
{
    for (uint32_t i = 0; i < x->top; i++)
        if (place(x, i)->rcpts > 1)
            mem_free(place(x, i)->many);
    for (uint32_t i = 0; i < x->slab_count; i++)
        mem_free(x->slabs[i]);
    mem_free(x->slabs);
    mem_free(x->slots);
    for (uint32_t i = 0; i < x->segment_count; i++)
        segment_free(x->segments[i]);
    mem_free(x->segments);
    index_init(x);
}

struct entry *index_at(const struct index *x, uint32_t i)
{
    struct entry *n = place(x, i);

    return n->flags & ENTRY_USED ? n : NULL;
}

struct entry *index_next(const struct index *x, uint32_t *i)
{
    struct entry *n;

    if (!*i)
        return NULL;
    n = place(x, *i - 1);
    *i = n->next;
    return n;
}

/* ---- the hash */

static uint32_t slot_of(const struct index *x, uint64_t id)
{
    id ^= id >> 32;
    id *= 0x9e3779b97f4a7c15U;
    return (uint32_t)(id >> 32) & (x->slots_cap - 1);
}

static void hash_insert(struct index *x, uint32_t i)
{
    uint32_t slot = slot_of(x, place(x, i)->id);

    while (x->slots[slot])
        slot = (slot + 1) & (x->slots_cap - 1);
    x->slots[slot] = i + 1;
}

static int hash_room(struct index *x)
{
    uint32_t *old = x->slots, old_cap = x->slots_cap;
    uint32_t cap = old_cap ? old_cap : SLOTS_MIN;

    while ((uint64_t)(x->taken + 1) * 3 > (uint64_t)cap * 2)
        cap *= 2;
    if (cap == old_cap)
        return 0;
    x->slots = mem_array(cap, sizeof *x->slots);
    if (!x->slots) {
        x->slots = old;
        return -1;
    }
    x->slots_cap = cap;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i])
            hash_insert(x, old[i] - 1);
    mem_free(old);
    return 0;
}

static uint32_t hash_find(const struct index *x, uint64_t id)
{
    uint32_t slot;

    if (!x->slots_cap)
        return UINT32_MAX;
    for (slot = slot_of(x, id); x->slots[slot]; slot = (slot + 1) & (x->slots_cap - 1))
        if (place(x, x->slots[slot] - 1)->id == id)
            return slot;
    return UINT32_MAX;
}

/* Closes the hole, so that no probe ends too early and there are no tombs. */
static void hash_remove(struct index *x, uint32_t hole)
{
    uint32_t mask = x->slots_cap - 1;

    for (uint32_t i = (hole + 1) & mask; x->slots[i]; i = (i + 1) & mask) {
        uint32_t home = slot_of(x, place(x, x->slots[i] - 1)->id);

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            x->slots[hole] = x->slots[i];
            hole = i;
        }
    }
    x->slots[hole] = 0;
}

/* ---- entries */

static int grow(struct index *x)
{
    if (x->slab_count == x->slab_cap) {
        uint32_t cap = x->slab_cap ? x->slab_cap * 2 : 16;
        struct entry **slabs = mem_resize(x->slabs, cap * sizeof(struct entry *));

        if (!slabs)
            return -1;
        x->slabs = slabs;
        x->slab_cap = cap;
    }
    x->slabs[x->slab_count] = mem_array(SLAB, sizeof(struct entry));
    if (!x->slabs[x->slab_count])
        return -1;
    x->slab_count++;
    return 0;
}

int index_reserve(struct index *x, uint64_t id, uint32_t rcpts, struct entry **out)
{
    struct spool_rcpt *many = NULL;
    struct entry *n;
    uint32_t i;

    CHECK(id && rcpts > 0 && rcpts <= SPOOL_RCPTS_MAX);
    if (hash_find(x, id) != UINT32_MAX)
        return -EEXIST;
    if (hash_room(x) < 0)
        return -ENOMEM;
    if (!x->free && x->top == x->slab_count * SLAB && grow(x) < 0)
        return -ENOMEM;
    if (rcpts > 1 && !(many = mem_array(rcpts, sizeof *many)))
        return -ENOMEM;
    i = x->free ? x->free - 1 : x->top++;
    n = place(x, i);
    if (x->free)
        x->free = n->next;
    *n = (struct entry){.id = id, .rcpts = (uint16_t)rcpts, .prev = i + 1};
    if (rcpts > 1)
        n->many = many;
    hash_insert(x, i);
    x->taken++;
    *out = n;
    return 0;
}

static void give_back(struct index *x, struct entry *n, uint32_t slot)
{
    uint32_t i = x->slots[slot] - 1;

    hash_remove(x, slot);
    if (n->rcpts > 1)
        mem_free(n->many);
    *n = (struct entry){.next = x->free};
    x->free = i + 1;
    x->taken--;
}

static uint32_t must_find(const struct index *x, const struct entry *n)
{
    uint32_t slot = hash_find(x, n->id);

    CHECK(slot != UINT32_MAX && place(x, x->slots[slot] - 1) == n);
    return slot;
}

void index_cancel(struct index *x, struct entry *n)
{
    CHECK(!(n->flags & ENTRY_USED));
    give_back(x, n, must_find(x, n));
}

/* What an entry takes in its segment: the sizes of envelope and digest are not kept. */
static uint64_t octets_of(const struct entry *n)
{
    return (n->large ? 0 : n->content) + n->prefix + ENTRY_OVERHEAD;
}

static void link_entry(struct index *x, struct entry *n, uint32_t i, struct segment *s)
{
    n->segment = s;
    n->prev = 0;
    n->next = s->first;
    if (s->first)
        place(x, s->first - 1)->prev = i + 1;
    s->first = i + 1;
    s->live++;
    s->live_octets += octets_of(n);
}

static void unlink_entry(struct index *x, struct entry *n)
{
    if (n->prev)
        place(x, n->prev - 1)->next = n->next;
    else
        n->segment->first = n->next;
    if (n->next)
        place(x, n->next - 1)->prev = n->prev;
    n->segment->live--;
    n->segment->live_octets -= octets_of(n);
}

void index_insert(struct index *x, struct entry *n, struct segment *s)
{
    uint32_t i = n->prev - 1; /* where one that is only reserved keeps its place */

    CHECK(!(n->flags & ENTRY_USED) && place(x, i) == n);
    n->flags |= ENTRY_USED;
    x->count++;
    x->octets += n->content;
    link_entry(x, n, i, s);
}

struct entry *index_find(const struct index *x, uint64_t id)
{
    uint32_t slot = hash_find(x, id);
    struct entry *n = slot == UINT32_MAX ? NULL : place(x, x->slots[slot] - 1);

    return n && n->flags & ENTRY_USED ? n : NULL;
}

void index_remove(struct index *x, struct entry *n)
{
    uint32_t slot = must_find(x, n);

    unlink_entry(x, n);
    x->count--;
    x->octets -= n->content;
    give_back(x, n, slot);
}

void index_move(struct index *x, struct entry *n, struct segment *to)
{
    uint32_t i = x->slots[must_find(x, n)] - 1;

    unlink_entry(x, n);
    link_entry(x, n, i, to);
}

void entry_found(struct entry *n, struct spool_found *f)
{
    *f = (struct spool_found){
        .id = n->id,
        .content = n->content,
        .prefix = n->prefix,
        .rcpts = n->rcpts,
        .rcpt = entry_rcpts(n),
        .segment = n->segment->number,
        .at = (uint64_t)n->at * FRAME_ALIGN,
        .damaged = n->flags & ENTRY_DAMAGED,
    };
}

/* ---- segments */

struct segment *segment_new(void)
{
    return MEM_NEW(struct segment);
}

void segment_free(struct segment *s)
{
    if (s)
        mem_free(s->needs);
    mem_free(s);
}

/* Where `number` is, or belongs. */
static uint32_t segment_place(const struct index *x, uint64_t number)
{
    uint32_t low = 0, high = x->segment_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (x->segments[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct segment *index_segment(const struct index *x, uint64_t number)
{
    uint32_t i = segment_place(x, number);

    return i < x->segment_count && x->segments[i]->number == number ? x->segments[i] : NULL;
}

int index_add_segment(struct index *x, struct segment *s)
{
    uint32_t i = segment_place(x, s->number);

    CHECK(s->number && !index_segment(x, s->number));
    if (x->segment_count == x->segment_cap) {
        uint32_t cap = x->segment_cap ? x->segment_cap * 2 : 16;
        struct segment **segments = mem_resize(x->segments, cap * sizeof(struct segment *));

        if (!segments)
            return -1;
        x->segments = segments;
        x->segment_cap = cap;
    }
    memmove(
        x->segments + i + 1, x->segments + i, (x->segment_count - i) * sizeof(struct segment *));
    x->segments[i] = s;
    x->segment_count++;
    return 0;
}

void index_take_segment(struct index *x, struct segment *s)
{
    uint32_t i = segment_place(x, s->number);

    CHECK(i < x->segment_count && x->segments[i] == s && !s->live);
    x->segment_count--;
    memmove(
        x->segments + i, x->segments + i + 1, (x->segment_count - i) * sizeof(struct segment *));
}

static uint32_t need_place(const struct segment *s, uint64_t number)
{
    uint32_t low = 0, high = s->needs_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (s->needs[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void segment_needs(struct segment *s, uint64_t number)
{
    uint32_t i = need_place(s, number);

    if (s->number == number || (i < s->needs_count && s->needs[i] == number))
        return;
    if (s->needs_count == s->needs_cap) {
        uint32_t cap = s->needs_cap ? s->needs_cap * 2 : 4;
        uint64_t *needs = mem_resize(s->needs, cap * sizeof *needs);

        if (!needs) {
            s->pinned = true;
            return;
        }
        s->needs = needs;
        s->needs_cap = cap;
    }
    memmove(s->needs + i + 1, s->needs + i, (s->needs_count - i) * sizeof *s->needs);
    s->needs[i] = number;
    s->needs_count++;
}

void index_unneed(struct index *x, uint64_t number, uint64_t below)
{
    for (uint32_t k = 0; k < x->segment_count && x->segments[k]->number < below; k++) {
        struct segment *s = x->segments[k];
        uint32_t i = need_place(s, number);

        if (i == s->needs_count || s->needs[i] != number)
            continue;
        s->needs_count--;
        memmove(s->needs + i, s->needs + i + 1, (s->needs_count - i) * sizeof *s->needs);
    }
}
