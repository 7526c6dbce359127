/* The loop and its scheduler. Callbacks of libuv only mark fibers ready; they run in the check
 * phase (what input brought) and in the prepare phase (what timers brought), each time until nobody
 * is ready, then the turn hooks. */
#include "base/check.h"

#include "run/annotate.h"
#include "run/run_int.h"

enum {
    SWITCHES_MAX = 16384, /* fibers that keep waking each other let the loop turn after this */
    STARVED_RETRY_MS = 100,
};

_Thread_local struct run run_here;
static _Thread_local struct fiber_note nowhere;

static void free_ended(struct fiber *f)
{
    stack_put(&run_here.stacks, f->stack);
    f->stack = NULL;
    fiber_free(f);
    sched_starved_wake();
}

static bool get_stack(struct fiber *f)
{
    if (f->stack)
        return true;
    f->stack = stack_get(&run_here.stacks);
    if (!f->stack)
        return false;
    context_make(&f->context, f->stack->base, f->stack->size, fiber_main, f);
    return true;
}

static void resume(struct fiber *f)
{
    struct run *r = &run_here;

    if (!get_stack(f)) {
        list_add(&r->starved, &f->queued);
        run_set_timer(&r->starved_retry, run_now() + STARVED_RETRY_MS);
        return;
    }
    f->state = FIBER_RUNNING;
    r->current = f;
    *r->note = f->note;
    annotate_leave(&r->fake_stack, f->stack->base, f->stack->size);
    context_switch(&r->context, &f->context);
    annotate_arrive(r->fake_stack, NULL, NULL);
    r->note->words[3] = 0;
    r->current = NULL;
    if (f->state == FIBER_ENDED)
        free_ended(f);
}

void sched_leave(struct fiber *f)
{
    struct run *r = &run_here;

    annotate_leave(f->state == FIBER_ENDED ? NULL : &f->fake_stack, r->stack_base, r->stack_size);
    context_switch(&f->context, &r->context);
    sched_arrive(f);
}

void sched_arrive(struct fiber *f)
{
    annotate_arrive(f->fake_stack, &run_here.stack_base, &run_here.stack_size);
}

void sched_ready(struct fiber *f)
{
    list_add(&run_here.ready, &f->queued);
}

static void move_all(struct list *to, struct list *from)
{
    struct list *link;

    while ((link = list_take(from)))
        list_add(to, link);
}

void sched_starved_wake(void)
{
    struct list *link = list_take(&run_here.starved);

    if (link)
        list_add(&run_here.ready, link);
}

static void starved_retry(struct timer_entry *t)
{
    (void)t;
    move_all(&run_here.ready, &run_here.starved);
}

static void run_ready(void)
{
    struct list *link;

    for (unsigned i = 0; i < SWITCHES_MAX && (link = list_take(&run_here.ready)); i++)
        resume(LIST_ENTRY(link, struct fiber, queued));
}

static void run_hooks(void)
{
    struct turn_hook *hook = run_here.hooks;

    run_here.hooks = run_here.last_hook = NULL;
    while (hook) {
        struct turn_hook *next = hook->next;
        hook->queued = false;
        hook->fn(hook);
        hook = next;
    }
}

static void idle_cb(uv_idle_t *idle)
{
    (void)idle;
}

static void turn(void)
{
    struct run *r = &run_here;

    run_ready();
    run_hooks();
    if (!list_empty(&r->ready) || !list_empty(&r->later) || r->hooks)
        uv_idle_start(&r->idle, idle_cb);
    else
        uv_idle_stop(&r->idle);
}

static void prepare_cb(uv_prepare_t *prepare)
{
    (void)prepare;
    turn();
}

static void check_cb(uv_check_t *check)
{
    (void)check;
    move_all(&run_here.ready, &run_here.later);
    turn();
}

static void timer_cb(uv_timer_t *timer);

/* One uv_timer, moved only to earlier times: when it comes up too early, it is set again. */
static void arm(void)
{
    struct run *r = &run_here;
    uint64_t next = timer_next(&r->timers), now = uv_now(&r->loop);

    if (next >= r->timer_at)
        return;
    r->timer_at = next;
    uv_timer_start(&r->timer, timer_cb, next > now ? next - now : 0, 0);
}

static void timer_cb(uv_timer_t *timer)
{
    (void)timer;
    run_here.timer_at = DEADLINE_NONE;
    timer_fire(&run_here.timers, uv_now(&run_here.loop));
    arm();
}

void run_set_timer(struct timer_entry *t, uint64_t at)
{
    timer_put(&run_here.timers, t, at);
    arm();
}

int run_open(struct err *e)
{
    struct run *r = &run_here;
    int rc;

    CHECK(!r->open);
    *r = (struct run){
        .timer_at = DEADLINE_NONE, .starved_retry.fire = starved_retry, .note = &nowhere};
    list_init(&r->everyone);
    list_init(&r->ready);
    list_init(&r->later);
    list_init(&r->starved);
    if (timer_reserve(&r->timers) < 0)
        return err_memory(e, "run");
    rc = uv_loop_init(&r->loop);
    if (rc < 0) {
        timer_unreserve(&r->timers);
        timer_heap_done(&r->timers);
        return err_os(e, -rc, "run", "event loop");
    }
    uv_prepare_init(&r->loop, &r->prepare);
    uv_check_init(&r->loop, &r->check);
    uv_idle_init(&r->loop, &r->idle);
    uv_timer_init(&r->loop, &r->timer);
    uv_prepare_start(&r->prepare, prepare_cb);
    uv_check_start(&r->check, check_cb);
    r->open = true;
    return 0;
}

void run_close(void)
{
    struct run *r = &run_here;

    CHECK(r->open && !r->current && list_empty(&r->everyone));
    r->open = false;
    uv_close((uv_handle_t *)&r->prepare, NULL);
    uv_close((uv_handle_t *)&r->check, NULL);
    uv_close((uv_handle_t *)&r->idle, NULL);
    uv_close((uv_handle_t *)&r->timer, NULL);
    /* Until every handle that was closed has been let go of; one that was not is a leak of ours. */
    uv_run(&r->loop, UV_RUN_NOWAIT);
    uv_run(&r->loop, UV_RUN_NOWAIT);
    CHECK(uv_loop_close(&r->loop) == 0);
    timer_drop(&r->timers, &r->starved_retry);
    timer_unreserve(&r->timers);
    timer_heap_done(&r->timers);
    stack_cache_done(&r->stacks);
}

void run_loop(void)
{
    CHECK(run_here.open && !run_here.current);
    uv_run(&run_here.loop, UV_RUN_DEFAULT);
}

void run_note_page(struct fiber_note *page)
{
    run_here.note = page;
}

void run_stop(void)
{
    uv_stop(&run_here.loop);
}

struct uv_loop_s *run_uv(void)
{
    return &run_here.loop;
}

uint64_t run_now(void)
{
    return uv_now(&run_here.loop);
}

uint64_t run_now_fresh(void)
{
    return uv_hrtime() / 1000000;
}

void run_at_turn_end(struct turn_hook *hook)
{
    if (hook->queued)
        return;
    hook->queued = true;
    hook->next = NULL;
    if (run_here.last_hook)
        run_here.last_hook->next = hook;
    else
        run_here.hooks = hook;
    run_here.last_hook = hook;
}

size_t fiber_stack_used(void)
{
    return run_here.stacks.deepest;
}
