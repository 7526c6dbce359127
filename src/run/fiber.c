#include "run/fiber.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

#include "run/run_int.h"

struct fiber *fiber_self(void)
{
    CHECK(run_here.current);
    return run_here.current;
}

static void scope_add(struct scope *s, struct fiber *f)
{
    f->scope = s;
    f->cancelled = s->cancelled;
    f->next = s->fibers;
    if (f->next)
        f->next->prev = f;
    s->fibers = f;
    s->count++;
}

static void scope_remove(struct fiber *f)
{
    struct scope *s = f->scope;

    if (f->next)
        f->next->prev = f->prev;
    if (f->prev)
        f->prev->next = f->next;
    else
        s->fibers = f->next;
    CHECK(s->count > 0);
    if (--s->count == 0 && s->joiner)
        fiber_wake(s->joiner);
}

static void timed_out(struct timer_entry *t)
{
    fiber_wake(LIST_ENTRY(t, struct fiber, timer));
}

struct fiber *fiber_new(struct scope *s, const char *name, fiber_fn *fn, void *arg, struct err *e)
{
    struct fiber *f = MEM_NEW(struct fiber);

    if (!f || timer_reserve(&run_here.timers) < 0) {
        mem_free(f);
        err_memory(e, "run");
        return NULL;
    }
    f->name = name;
    f->fn = fn;
    f->arg = arg;
    f->deadline = DEADLINE_NONE;
    f->timer.fire = timed_out;
    f->timer.at = DEADLINE_NONE;
    f->since = run_now();
    list_add(&run_here.everyone, &f->everyone);
    scope_add(s, f);
    return f;
}

/* What it did in its scope is over: the joiner may be woken. */
void fiber_free(struct fiber *f)
{
    CHECK(!f->stack && !f->watch && !list_linked(&f->queued));
    timer_drop(&run_here.timers, &f->timer);
    timer_unreserve(&run_here.timers);
    list_remove(&f->everyone);
    scope_remove(f);
    mem_free(f);
}

void fiber_main(void *arg)
{
    struct fiber *f = arg;

    sched_arrive(f);
    f->fn(f->arg);
    f->state = FIBER_ENDED;
    sched_leave(f);
    UNREACHABLE();
}

int fiber_start(struct scope *s, const char *name, fiber_fn *fn, void *arg, struct err *e)
{
    struct fiber *f = fiber_new(s, name, fn, arg, e);

    if (!f)
        return -1;
    f->stack = stack_get(&run_here.stacks);
    if (!f->stack) {
        fiber_free(f);
        return err_memory(e, "run");
    }
    context_make(&f->context, f->stack->base, f->stack->size, fiber_main, f);
    f->state = FIBER_READY;
    sched_ready(f);
    return 0;
}

void fiber_wake(struct fiber *f)
{
    if (f->state != FIBER_PARKED && f->state != FIBER_PARKED_BARE)
        return;
    if (f->watch)
        watch_forget(f);
    f->state = FIBER_READY;
    sched_ready(f);
}

static void fiber_cancel(struct fiber *f)
{
    if (f->cancelled)
        return;
    f->cancelled = true;
    if (f->joining)
        scope_cancel(f->joining);
    if (!f->shielded)
        fiber_wake(f);
}

void scope_init(struct scope *s)
{
    *s = (struct scope){0};
}

void scope_cancel(struct scope *s)
{
    s->cancelled = true;
    for (struct fiber *f = s->fibers; f; f = f->next)
        fiber_cancel(f);
}

void scope_join(struct scope *s)
{
    struct fiber *f;

    if (!s->count)
        return;
    f = fiber_self();
    CHECK(!s->joiner && f->scope != s);
    s->joiner = f;
    f->joining = s;
    if (f->cancelled)
        scope_cancel(s);
    while (s->count)
        fiber_wait_shielded("scope");
    f->joining = NULL;
    s->joiner = NULL;
}

bool fiber_running(void)
{
    return run_here.current;
}

bool fiber_cancelled(void)
{
    return run_here.current && run_here.current->cancelled;
}

uint64_t fiber_deadline_shorten(uint64_t at)
{
    struct fiber *f = fiber_self();
    uint64_t before = f->deadline;

    if (at < before)
        f->deadline = at;
    return before;
}

void fiber_deadline_restore(uint64_t before)
{
    fiber_self()->deadline = before;
}

uint64_t fiber_deadline(void)
{
    return fiber_self()->deadline;
}

int fiber_check(struct err *e)
{
    const struct fiber *f = fiber_self();

    if (f->cancelled)
        return err_set(e, ERR_CANCELLED, "run", "cancelled");
    if (f->deadline <= run_now())
        return err_set(e, ERR_DEADLINE, "run", "time ran out");
    return 0;
}

void fiber_note(const struct fiber_note *note)
{
    fiber_self()->note = *note;
    *run_here.note = *note;
}

static void park(struct fiber *f, const char *what)
{
    f->state = FIBER_PARKED;
    f->what = what;
    f->since = run_now();
    sched_leave(f);
    f->what = NULL;
}

int fiber_wait(const char *what, uint64_t until, struct err *e)
{
    struct fiber *f = fiber_self();

    if (fiber_check(e) < 0)
        return -1;
    run_set_timer(&f->timer, until < f->deadline ? until : f->deadline);
    park(f, what);
    run_set_timer(&f->timer, DEADLINE_NONE);
    return fiber_check(e);
}

void fiber_wait_shielded(const char *what)
{
    struct fiber *f = fiber_self();

    f->shielded = true;
    park(f, what);
    f->shielded = false;
}

int fiber_sleep(uint64_t ms, struct err *e)
{
    uint64_t now = run_now(), until = ms < DEADLINE_NONE - now ? now + ms : DEADLINE_NONE;

    do
        if (fiber_wait("sleep", until, e) < 0)
            return -1;
    while (run_now() < until);
    return 0;
}

int fiber_yield(struct err *e)
{
    struct fiber *f = fiber_self();

    if (fiber_check(e) < 0)
        return -1;
    f->state = FIBER_READY;
    list_add(&run_here.later, &f->queued);
    sched_leave(f);
    return fiber_check(e);
}

static const char *state_name(enum fiber_state state)
{
    switch (state) {
    case FIBER_PARKED_BARE:
        return "parked";
    case FIBER_READY:
        return "ready";
    case FIBER_RUNNING:
        return "running";
    case FIBER_PARKED:
        return "waiting";
    case FIBER_ENDED:
        return "ended";
    }
    UNREACHABLE();
}

void fiber_list(struct buf *out)
{
    uint64_t now = run_now();

    LIST_EACH(link, &run_here.everyone)
    {
        const struct fiber *f = LIST_ENTRY(link, struct fiber, everyone);
        buf_printf(out, "%s %s%s%s%s %" PRIu64 "ms%s\n", f->name, state_name(f->state),
            f->what ? " for " : "", f->what ? f->what : "", f->shielded ? " (shielded)" : "",
            now - f->since, f->cancelled ? " cancelled" : "");
    }
}
