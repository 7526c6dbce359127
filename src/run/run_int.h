/* run/run_int.h: the state of a thread's loop and of its fibers, for the files of this folder.
 *
 * A fiber is made with its timer slot and (unless it is parked without one) its stack, so nothing
 * on the way from waking to running can fail but getting a stack for a parked one, and that is
 * tried again.
 */
#pragma once

#include <uv.h>

#include "base/err.h"
#include "base/list.h"

#include "run/context.h"
#include "run/fiber.h"
#include "run/stack.h"
#include "run/timer.h"

enum fiber_state {
    FIBER_PARKED_BARE, /* waits, has no stack yet */
    FIBER_READY,
    FIBER_RUNNING,
    FIBER_PARKED,
    FIBER_ENDED,
};

struct fiber {
    struct context context;
    void *fake_stack; /* AddressSanitizer's */
    struct stack *stack;
    enum fiber_state state;
    bool cancelled;
    bool shielded;        /* waits for what cannot be given up: neither cancelled nor timed out */
    struct list queued;   /* ready, later or starved */
    struct list everyone; /* all fibers of the thread */
    struct timer_entry timer;
    struct fiber_note note;
    uint64_t deadline;
    uint64_t since;   /* when it began to wait */
    const char *what; /* what it waits for */
    const char *name;
    fiber_fn *fn;
    void *arg;
    struct scope *scope;
    struct fiber *prev, *next; /* in its scope */
    struct scope *joining;
    struct watch *watch; /* FIBER_PARKED_BARE: it is this one's reader */
};

struct run {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active while fibers are ready, so that the loop does not sleep */
    uv_timer_t timer;
    uint64_t timer_at; /* what `timer` is set to */
    bool open;

    struct context context; /* of the loop, while a fiber runs */
    void *fake_stack;
    const void *stack_base;
    size_t stack_size;

    struct fiber *current;
    struct fiber_note *note; /* where the running fiber's stands */
    struct list everyone;
    struct list ready;   /* first come, first served */
    struct list later;   /* ready in the next turn */
    struct list starved; /* there was no memory for their stacks */
    struct timer_entry starved_retry;
    struct turn_hook *hooks, *last_hook;
    struct stack_cache stacks;
    struct timer_heap timers;
};

extern _Thread_local struct run run_here;

/* sched.c */
void run_set_timer(struct timer_entry *t, uint64_t at);
void sched_ready(struct fiber *f);  /* to the end of the queue */
void sched_leave(struct fiber *f);  /* from f's stack to the loop's; returns when f runs again */
void sched_arrive(struct fiber *f); /* the first thing on f's stack */
void sched_starved_wake(void);      /* a stack has become free */

/* fiber.c */
struct fiber *fiber_self(void); /* CHECKs that there is one */
struct fiber *fiber_new(struct scope *s, const char *name, fiber_fn *fn, void *arg, struct err *e);
void fiber_free(struct fiber *f);
void fiber_main(void *arg);
void fiber_wake(struct fiber *f); /* if it waits; waking proves nothing */

/* Suspends until woken, or until the time `until` or the deadline; cancellation outranks the
 * deadline, which outranks what was waited for. */
int fiber_wait(const char *what, uint64_t until, struct err *e);

/* Suspends until woken, by nothing else. */
void fiber_wait_shielded(const char *what);

/* watch.c: f is not to be woken by its watch any more */
void watch_forget(struct fiber *f);
