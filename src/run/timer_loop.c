#include "base/mem.h"

#include "run/run_int.h"

struct timer {
    struct timer_entry entry;
    void (*fn)(void *arg);
    void *arg;
};

static void fire(struct timer_entry *entry)
{
    struct timer *t = LIST_ENTRY(entry, struct timer, entry);

    t->fn(t->arg);
}

int timer_open(struct timer **out, void (*fn)(void *arg), void *arg, struct err *e)
{
    struct timer *t = MEM_NEW(struct timer);

    if (!t || timer_reserve(&run_here.timers) < 0) {
        mem_free(t);
        return err_memory(e, "run");
    }
    *t = (struct timer){.entry = {.at = DEADLINE_NONE, .fire = fire}, .fn = fn, .arg = arg};
    *out = t;
    return 0;
}

void timer_set(struct timer *t, uint64_t at)
{
    run_set_timer(&t->entry, at);
}

void timer_close(struct timer **tp)
{
    struct timer *t = *tp;

    if (!t)
        return;
    *tp = NULL;
    timer_drop(&run_here.timers, &t->entry);
    timer_unreserve(&run_here.timers);
    mem_free(t);
}
