/* core/queue/due.h: what comes back at a time: a heap of (time, item) in eight octets each.
 *
 * Times are ticks; an item is the caller's number. The caller is told where each item lies in the
 * heap, so that it can be moved or taken out without a search.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct due_entry {
    uint32_t at, item;
};

struct due {
    struct due_entry *v; /* v[0] is not used */
    uint32_t count, cap;
    void (*moved)(void *arg, uint32_t item, uint32_t place); /* place 0: no longer in it */
    void *arg;
};

void due_init(struct due *d, void (*moved)(void *arg, uint32_t item, uint32_t place), void *arg);
void due_done(struct due *d);
/* Room for that many in all, so that due_put() cannot fail. -1 without memory. */
int due_reserve(struct due *d, uint32_t count);
void due_put(struct due *d, uint32_t at, uint32_t item);
void due_take(struct due *d, uint32_t place);
void due_change(struct due *d, uint32_t place, uint32_t at);

/* The first; false where there is none. */
static inline bool due_first(const struct due *d, struct due_entry *first)
{
    if (!d->count)
        return false;
    *first = d->v[1];
    return true;
}
