#include "core/queue/due.h"

#include "base/check.h"
#include "base/mem.h"

void due_init(struct due *d, void (*moved)(void *arg, uint32_t item, uint32_t place), void *arg)
{
    *d = (struct due){.moved = moved, .arg = arg};
}

void due_done(struct due *d)
{
    mem_free(d->v);
    due_init(d, d->moved, d->arg);
}

int due_reserve(struct due *d, uint32_t count)
{
    uint32_t cap = d->cap ? d->cap : 64;
    struct due_entry *v;

    while (cap <= count && cap <= UINT32_MAX / 2)
        cap *= 2;
    if (cap == d->cap)
        return 0;
    v = mem_resize(d->v, (size_t)cap * sizeof *v);
    if (!v)
        return -1;
    d->v = v;
    d->cap = cap;
    return 0;
}

static void set(struct due *d, uint32_t place, struct due_entry entry)
{
    d->v[place] = entry;
    d->moved(d->arg, entry.item, place);
}

static void rise(struct due *d, uint32_t place, struct due_entry entry)
{
    for (; place > 1 && d->v[place / 2].at > entry.at; place /= 2)
        set(d, place, d->v[place / 2]);
    set(d, place, entry);
}

static void sink(struct due *d, uint32_t place, struct due_entry entry)
{
    for (uint32_t child; (child = 2 * place) <= d->count; place = child) {
        if (child < d->count && d->v[child + 1].at < d->v[child].at)
            child++;
        if (d->v[child].at >= entry.at)
            break;
        set(d, place, d->v[child]);
    }
    set(d, place, entry);
}

static void settle(struct due *d, uint32_t place, struct due_entry entry)
{
    if (place > 1 && d->v[place / 2].at > entry.at)
        rise(d, place, entry);
    else
        sink(d, place, entry);
}

void due_put(struct due *d, uint32_t at, uint32_t item)
{
    CHECK(d->count + 1 < d->cap);
    d->count++;
    rise(d, d->count, (struct due_entry){at, item});
}

void due_take(struct due *d, uint32_t place)
{
    struct due_entry last = d->v[d->count];

    CHECK(place && place <= d->count);
    d->moved(d->arg, d->v[place].item, 0);
    d->count--;
    if (place <= d->count)
        settle(d, place, last);
}

void due_change(struct due *d, uint32_t place, uint32_t at)
{
    CHECK(place && place <= d->count);
    settle(d, place, (struct due_entry){at, d->v[place].item});
}
