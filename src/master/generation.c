#include "base/mem.h"

#include "ipc/master_role.h"

#include "master/master_int.h"

enum {
    RESOLVERS = 1,
    OUTBOUNDS = 1,
};

static int make(struct master *m, enum role_kind kind, enum role_class class, uint32_t generation,
    unsigned count, struct err *e)
{
    for (unsigned i = 0; i < count; i++) {
        struct process *p = process_new(m, kind, class, (uint16_t)i, (uint16_t)count);
        if (!p)
            return err_memory(e, "master");
        p->generation = generation;
    }
    return 0;
}

static int make_inbound(struct master *m, const struct config *config, enum role_class class,
    uint32_t generation, struct err *e)
{
    unsigned count = listeners_wide(config, class) ? m->listeners.processes : class == CLASS_CLIENT;

    return make(m, ROLE_INBOUND, class, generation, count, e);
}

/* One of that generation that is empty, or was never ready; NULL where there is none. */
static struct process *find(struct master *m, uint32_t generation, bool empty)
{
    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        if (p->kind != ROLE_CORE && p->generation == generation && !p->draining &&
            (empty ? p->pid == 0 : !p->served))
            return p;
    }
    return NULL;
}

static void drop(struct master *m, uint32_t generation)
{
    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        if (p->kind == ROLE_CORE || p->generation != generation)
            continue;
        p->draining = true;
        process_kill(p);
    }
    keeper_sweep(m);
}

static int wait_ready(
    struct master *m, const struct config *config, uint32_t generation, struct err *e)
{
    uint64_t until = run_now_fresh() + RELOAD_READY_MS;
    struct process *p;

    while ((p = find(m, generation, false))) {
        if (m->phase == MASTER_STOPPING)
            return err_set(e, ERR_CANCELLED, "master", "the server is stopping");
        if (p->pid == 0 && keeper_fill_again(p, config, e) < 0)
            return -1;
        if (master_wait(m, until) < 0)
            return err_set(e, ERR_DEADLINE, "master", "%s did not become ready in time",
                role_kind_name(p->kind));
    }
    return 0;
}

/* The empty places, until somebody is ready in each. */
static int fill(struct master *m, const struct config *config, uint32_t generation, struct err *e)
{
    struct process *p;

    while ((p = find(m, generation, true)))
        if (keeper_fill(p, config, e) < 0)
            return -1;
    return wait_ready(m, config, generation, e);
}

int generation_start(
    struct master *m, const struct config *config, uint32_t generation, struct err *e)
{
    /* Outbound comes last: core gives it work at once, which a generation that fails would lose. */
    if (make(m, ROLE_RESOLVER, CLASS_NONE, generation, RESOLVERS, e) == 0 &&
        make_inbound(m, config, CLASS_MX, generation, e) == 0 &&
        make_inbound(m, config, CLASS_CLIENT, generation, e) == 0 &&
        fill(m, config, generation, e) == 0 &&
        make(m, ROLE_OUTBOUND, CLASS_NONE, generation, OUTBOUNDS, e) == 0 &&
        fill(m, config, generation, e) == 0)
        return 0;
    drop(m, generation);
    return -1;
}

static void drain(struct process *p)
{
    uint64_t before = fiber_deadline_shorten(run_now_fresh() + DRAIN_ASK_MS);
    struct buf reply;

    buf_init(&reply, 16);
    p->busy++;
    /* One that does not answer would go on to take connections. */
    if (p->pid &&
        (!p->ready || !p->channel || channel_ask(p->channel, MR_DRAIN, STR_NONE, &reply, NULL) < 0))
        process_kill(p);
    p->busy--;
    buf_done(&reply);
    fiber_deadline_restore(before);
}

void generation_drain_others(struct master *m, enum role_kind kind)
{
    struct process *next;

    do {
        next = NULL;
        LIST_EACH(link, &m->processes)
        {
            struct process *p = process_of(link);
            if (p->generation == m->generation || (p->kind != kind && p->kind != ROLE_RESOLVER))
                continue;
            if (p->kind == ROLE_RESOLVER)
                p->draining = true;
            else if (!p->draining)
                next = p;
            else if (p->generation + GENERATIONS_MAX <= m->generation && p->pid)
                process_stop(p, m->config->shutdown_grace_ms);
        }
        if (next) {
            next->draining = true;
            drain(next);
        }
    } while (next);
    keeper_sweep(m);
}

static bool any_asks(struct master *m, uint32_t generation)
{
    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        if (p->kind != ROLE_CORE && p->kind != ROLE_RESOLVER && p->generation == generation &&
            p->pid)
            return true;
    }
    return false;
}

void generation_end_resolvers(struct master *m)
{
    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        if (p->kind == ROLE_RESOLVER && p->draining && !any_asks(m, p->generation))
            process_stop(p, STOP_RESOLVER_MS);
    }
}
