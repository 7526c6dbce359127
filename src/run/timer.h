/* run/timer.h: one heap of deadlines over one uv_timer.
 *
 * For this folder only. Entries lie in what they belong to. Moving an entry to a later time, or
 * stopping it, only notes the new time: the heap is put right when the old one comes up, so a
 * session that sets a later deadline at every wait costs nothing here. Room in the heap is reserved
 * when an entry is made, so that setting it never fails.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct timer_entry {
    uint64_t at;  /* when it is wanted, DEADLINE_NONE for never */
    uint64_t key; /* where it stands in the heap; never later than `at` */
    size_t index; /* in the heap, counted from 1; 0 if it is not in it */
    void (*fire)(struct timer_entry *t);
};

struct timer_heap {
    struct timer_entry **entries;
    size_t count, cap, reserved;
};

int timer_reserve(struct timer_heap *h); /* room for one entry more, or -1 */
void timer_unreserve(struct timer_heap *h);
void timer_heap_done(struct timer_heap *h);

void timer_put(struct timer_heap *h, struct timer_entry *t, uint64_t at);
void timer_drop(struct timer_heap *h, struct timer_entry *t); /* before its memory goes away */

/* Fires what is due at `now`. An entry that sets itself again to a time that is due waits for the
 * next call. */
void timer_fire(struct timer_heap *h, uint64_t now);

/* When timer_fire() is next of use, or DEADLINE_NONE. */
uint64_t timer_next(const struct timer_heap *h);
