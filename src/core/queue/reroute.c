/* What is started, or started anew: messages found at start, and those whose routes may have
 * changed.
 */
#include "core/queue/queue_int.h"

/* ---- found at start */

/* When a recipient that was deferred in an earlier life is due. */
static uint64_t due_of(struct queue *q, const struct spool_found *f, unsigned attempts)
{
    uint64_t wait = sched_retry_ms(q->sched, attempts ? attempts - 1 : 0);
    int64_t last = 0, left;

    for (uint32_t i = 0; i < f->rcpts; i++)
        if (f->rcpt[i].state == SPOOL_DEFERRED && (int64_t)f->rcpt[i].when * 1000 > last)
            last = (int64_t)f->rcpt[i].when * 1000;
    left = last + (int64_t)wait - queue_age_ms(q);
    if (left <= 0)
        return run_now();
    return run_now() + ((uint64_t)left < wait ? (uint64_t)left : wait);
}

static bool is_fresh(const struct spool_found *f)
{
    for (uint32_t i = 0; i < f->rcpts; i++)
        if (!f->rcpt || f->rcpt[i].state == SPOOL_PENDING)
            return true;
    return false;
}

/* Everybody has it, and the crash came before its end was written. */
static void end_found(struct queue *q, uint32_t message)
{
    struct sched_message *m = sched_message(q->sched, message);
    struct spool_change end = {.kind = SPOOL_END, .id = m->id};
    struct err e;

    if (spool_change(q->spool, &end, 1, &e) < 0)
        log_error(q->event, "message_not_ended", kv_err(&e));
    sched_done(q->sched, m->first);
    sched_forget(q->sched, message);
}

static void start_one(struct queue *q, uint32_t message)
{
    const struct sched_message *m = sched_message(q->sched, message);
    struct sched_delivery *d = sched_delivery(q->sched, m->first);
    struct spool_found f;
    uint64_t due;

    if (!m->left || !spool_find(q->spool, m->id, &f)) {
        end_found(q, message);
        return;
    }
    if (is_fresh(&f) || m->flags & (SCHED_OPERATOR | SCHED_QUARANTINE)) {
        queue_back(q, m->first, BACK_READY);
        return;
    }
    due = due_of(q, &f, d->attempts);
    if (due > run_now())
        sched_wait(q->sched, m->first, due);
    else
        queue_back(q, m->first, BACK_READY);
}

void queue_start_found(struct queue *q)
{
    uint32_t next;

    for (uint32_t h = sched_first(q->sched); h; h = next) {
        const struct sched_message *m = sched_message(q->sched, h);
        next = m->next;
        if (m->first && sched_delivery(q->sched, m->first)->state == SCHED_ACTIVE)
            start_one(q, h);
    }
}

/* ---- anew */

/* All that is not under way becomes one delivery again, whose envelope is read and routed. */
static void merge(struct queue *q, uint32_t message)
{
    uint32_t kept = 0, next;

    for (uint32_t d = sched_message(q->sched, message)->first; d; d = next) {
        next = sched_delivery(q->sched, d)->sibling;
        sched_claim(q->sched, d);
        if (kept) {
            sched_done(q->sched, d);
            continue;
        }
        kept = d;
        sched_redirect(q->sched, d, sched_way(q->sched, SCHED_UNREAD));
    }
    if (kept)
        queue_back(q, kept, BACK_READY);
}

void queue_restart(struct queue *q, uint32_t message)
{
    struct sched_message *m = sched_message(q->sched, message);
    uint32_t next;

    if (!m->in[SCHED_ACTIVE]) {
        merge(q, message);
        return;
    }
    for (uint32_t d = m->first; d; d = next) {
        next = sched_delivery(q->sched, d)->sibling;
        if (sched_delivery(q->sched, d)->state == SCHED_ACTIVE)
            continue;
        sched_claim(q->sched, d);
        queue_back(q, d, BACK_READY);
    }
}

/* ---- a reload that changed routes */

static bool is_same_route(const struct config_route *a, const struct config_route *b)
{
    return str_eq(a->title, b->title) && str_eq(a->via, b->via) && a->port == b->port &&
           a->connections == b->connections && a->rate == b->rate &&
           str_eq(a->helo_name, b->helo_name) && str_eq(a->from_address, b->from_address);
}

bool queue_routes_differ(const struct config *a, const struct config *b)
{
    if (a->routes != b->routes)
        return true;
    for (uint32_t i = 0; i < a->routes; i++)
        if (!is_same_route(&a->route[i], &b->route[i]))
            return true;
    return false;
}

/* One that waits for its site, or that its old route holds, may have a better way now; those whose
 * own time has not come are looked at when it comes. */
static bool may_go_elsewhere(const struct queue *q, const struct sched_message *m)
{
    if (m->in[SCHED_ACTIVE] || m->flags & (SCHED_OPERATOR | SCHED_QUARANTINE))
        return false;
    for (uint32_t d = m->first; d; d = sched_delivery(q->sched, d)->sibling) {
        const struct sched_delivery *delivery = sched_delivery(q->sched, d);
        if (sched_dest_of(q->sched, delivery)->way != SCHED_REMOTE)
            continue;
        if (delivery->state == SCHED_READY ||
            (delivery->state == SCHED_HELD && delivery->why_held == HELD_ROUTE))
            return true;
    }
    return false;
}

bool queue_sweep(struct queue *q)
{
    uint32_t message;

    if (!q->sweep)
        return false;
    message = sched_behind(q->sched, q->sweep == UINT64_MAX ? 0 : q->sweep);
    if (!message) {
        q->sweep = 0;
        return false;
    }
    q->sweep = sched_message(q->sched, message)->number;
    if (may_go_elsewhere(q, sched_message(q->sched, message)))
        queue_restart(q, message);
    return true;
}
