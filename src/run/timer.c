#include "run/timer.h"

#include "base/check.h"
#include "base/mem.h"

#include "run/fiber.h"

int timer_reserve(struct timer_heap *h)
{
    if (h->reserved == h->cap) {
        size_t cap = h->cap ? 2 * h->cap : 16;
        void *grown = mem_resize(h->entries, cap * sizeof *h->entries);
        if (!grown)
            return -1;
        h->entries = grown;
        h->cap = cap;
    }
    h->reserved++;
    return 0;
}

void timer_unreserve(struct timer_heap *h)
{
    CHECK(h->reserved > 0);
    h->reserved--;
}

void timer_heap_done(struct timer_heap *h)
{
    CHECK(h->count == 0 && h->reserved == 0);
    mem_free(h->entries);
    *h = (struct timer_heap){0};
}

static void place(struct timer_heap *h, size_t i, struct timer_entry *t)
{
    h->entries[i - 1] = t;
    t->index = i;
}

static void sift_up(struct timer_heap *h, size_t i, struct timer_entry *t)
{
    for (; i > 1 && h->entries[i / 2 - 1]->key > t->key; i /= 2)
        place(h, i, h->entries[i / 2 - 1]);
    place(h, i, t);
}

static void sift_down(struct timer_heap *h, size_t i, struct timer_entry *t)
{
    for (size_t child; (child = 2 * i) <= h->count; i = child) {
        if (child < h->count && h->entries[child]->key < h->entries[child - 1]->key)
            child++;
        if (h->entries[child - 1]->key >= t->key)
            break;
        place(h, i, h->entries[child - 1]);
    }
    place(h, i, t);
}

void timer_drop(struct timer_heap *h, struct timer_entry *t)
{
    size_t i = t->index;
    struct timer_entry *last;

    t->at = DEADLINE_NONE;
    if (!i)
        return;
    t->index = 0;
    last = h->entries[--h->count];
    if (last == t)
        return;
    if (i > 1 && h->entries[i / 2 - 1]->key > last->key)
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

void timer_put(struct timer_heap *h, struct timer_entry *t, uint64_t at)
{
    t->at = at;
    if (at == DEADLINE_NONE || (t->index && t->key <= at))
        return;
    t->key = at;
    if (t->index) {
        sift_up(h, t->index, t);
        return;
    }
    CHECK(h->count < h->reserved);
    sift_up(h, ++h->count, t);
}

void timer_fire(struct timer_heap *h, uint64_t now)
{
    /* Each entry comes up at most twice: to be moved to where it belongs, and to fire. */
    for (size_t budget = 2 * h->count; budget && timer_next(h) <= now; budget--) {
        struct timer_entry *t = h->entries[0];
        if (t->at > now && t->at != DEADLINE_NONE) {
            t->key = t->at;
            sift_down(h, 1, t);
            continue;
        }
        bool wanted = t->at <= now;
        timer_drop(h, t);
        if (wanted)
            t->fire(t);
    }
}

uint64_t timer_next(const struct timer_heap *h)
{
    return h->count ? h->entries[0]->key : DEADLINE_NONE;
}
