#include "base/mem.h"

#include "master/master_int.h"

enum {
    START_CRASHES_MAX = 3,
    PAUSE_FIRST_MS = 100,
    PAUSE_MOST_MS = 30000,
    LIVED_MS = 60000, /* a death after so long is a first one again */
};

static int hand_over(struct process *p, const struct config *config, struct err *e)
{
    uint64_t before = fiber_deadline_shorten(run_now_fresh() + FILL_MS);
    int result = process_send_start(p, config, p->master->control_fd, e);

    fiber_deadline_restore(before);
    return result;
}

int keeper_fill(struct process *p, const struct config *config, struct err *e)
{
    struct master *m = p->master;
    struct err why;

    if (process_spawn(p, &m->scope, &m->sink, e) < 0) {
        process_kill(p);
        return -1;
    }
    p->busy++;
    if (hand_over(p, config, &why) < 0 && p->pid && p->channel) {
        p->why = why;
        process_kill(p);
    }
    p->busy--;
    links_make(m);
    return 0;
}

int keeper_fill_again(struct process *p, const struct config *config, struct err *e)
{
    if (p->crashed && p->restarts < START_CRASHES_MAX)
        return keeper_fill(p, config, e);
    *e = p->why;
    return -1;
}

void keeper_ended(struct process *p)
{
    uint64_t now = run_now_fresh();

    if (now - p->started_at >= LIVED_MS)
        p->pause_ms = 0;
    p->due_at = now + p->pause_ms;
    p->pause_ms = p->pause_ms ? p->pause_ms * 2 : PAUSE_FIRST_MS;
    if (p->pause_ms > PAUSE_MOST_MS)
        p->pause_ms = PAUSE_MOST_MS;
    p->restarts++;
}

/* The empty place of the live generation that is to be filled first, or NULL. */
static struct process *next_due(struct master *m)
{
    struct process *first = NULL;

    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        if (p->pid || p->draining || p->busy || p->generation != m->generation)
            continue;
        /* Who starts the first generation sees to those that were never ready. */
        if (m->phase == MASTER_STARTING && !p->served)
            continue;
        if (!first || p->due_at < first->due_at)
            first = p;
    }
    return first;
}

/* Kills those of old generations that were told to end and have not; says when the next is due. */
static uint64_t kill_overdue(struct master *m)
{
    uint64_t now = run_now_fresh(), next = DEADLINE_NONE;

    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        if (p->pid == 0 || p->killed || p->stop_at == DEADLINE_NONE)
            continue;
        if (now >= p->stop_at + KILL_AFTER_MS)
            process_kill(p);
        else if (p->stop_at + KILL_AFTER_MS < next)
            next = p->stop_at + KILL_AFTER_MS;
    }
    return next;
}

/* A core that does not listen is killed; the next one hears of it at its start. */
static void tell_core(struct master *m)
{
    uint64_t before = fiber_deadline_shorten(run_now_fresh() + FILL_MS);
    struct err e;

    if (m->core && m->core->channel && m->core->served && death_tell_core(m->core, &e) < 0 &&
        m->core->channel) {
        m->core->why = e;
        process_kill(m->core);
    }
    fiber_deadline_restore(before);
}

void keeper_run(void *arg)
{
    struct master *m = arg;
    struct process *p;
    struct err e;

    while (m->phase != MASTER_STOPPING) {
        uint64_t overdue;
        links_make(m);
        tell_core(m);
        overdue = kill_overdue(m);
        p = next_due(m);
        if (!p || run_now_fresh() < p->due_at) {
            master_wait(m, p && p->due_at < overdue ? p->due_at : overdue);
            continue;
        }
        if (keeper_fill(p, m->config, &e) == 0) {
            log_info(&m->event, "process_restarted", kv_c("role", role_kind_name(p->kind)),
                kv_c("class", role_class_name(p->class)), kv_i64("pid", p->pid),
                kv_u64("restarts", p->restarts));
        } else {
            log_error(&m->event, "process_not_started", kv_c("role", role_kind_name(p->kind)),
                kv_err(&e));
            keeper_ended(p);
        }
        keeper_sweep(m);
    }
}

void keeper_sweep(struct master *m)
{
    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        if (p->draining && !p->pid && !p->busy)
            process_free(p);
    }
    generation_end_resolvers(m);
}
