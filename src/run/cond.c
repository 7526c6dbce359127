#include "base/check.h"

#include "run/run_int.h"

/* Lies on the stack of the fiber that waits. */
struct cond_waiter {
    struct fiber *fiber;
    struct cond_waiter *prev, *next;
    bool queued, chosen;
};

static void enqueue(struct cond *c, struct cond_waiter *w)
{
    w->queued = true;
    w->prev = c->last;
    if (c->last)
        c->last->next = w;
    else
        c->first = w;
    c->last = w;
}

static void dequeue(struct cond *c, struct cond_waiter *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        c->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        c->last = w->prev;
    w->queued = false;
}

int cond_wait(struct cond *c, const char *what, struct err *e)
{
    struct cond_waiter w = {.fiber = fiber_self()};
    int rc;

    if (fiber_check(e) < 0)
        return -1;
    enqueue(c, &w);
    rc = fiber_wait(what, DEADLINE_NONE, e);
    if (w.queued)
        dequeue(c, &w);
    else if (rc < 0 && w.chosen)
        cond_wake_one(c); /* it was the only one told, and will not act on it */
    return rc;
}

void cond_wake_one(struct cond *c)
{
    struct cond_waiter *w = c->first;

    if (!w)
        return;
    dequeue(c, w);
    w->chosen = true;
    fiber_wake(w->fiber);
}

void cond_wake_all(struct cond *c)
{
    while (c->first) {
        struct cond_waiter *w = c->first;
        dequeue(c, w);
        fiber_wake(w->fiber);
    }
}
