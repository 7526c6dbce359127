#include "core/queue/queue.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/timefmt.h"

#include "ipc/role.h"

#include "core/queue/queue_int.h"
#include "core/trace/trace.h"

enum {
    STEP_MAX_MS = 24 * 60 * 60 * 1000, /* of age that a pause between two lives may add */
    GRACE_MAX_MS = 10 * 60 * 1000,     /* before anything that was found may expire untried */
};

static void pump(struct turn_hook *hook);
static void on_timer(void *arg);

/* ---- settings */

static uint64_t random_below(void *arg, uint64_t n)
{
    (void)arg;
    return rng_below(n);
}

static struct sched_settings settings_of(const struct config *c)
{
    struct sched_settings s = {
        .lifetime_ms = c->queue.lifetime_ms,
        .warn_after_ms = c->queue.warn_after_ms,
        .connections = (uint32_t)c->outbound.connections,
        .per_site = (uint32_t)c->outbound.connections_per_site,
        .stopped = c->queue.hold,
        .random = random_below,
    };

    s.retries = c->queue.retry.count < SCHED_RETRIES ? c->queue.retry.count : SCHED_RETRIES;
    for (uint32_t i = 0; i < s.retries; i++)
        s.retry_ms[i] = c->queue.retry.v[i];
    return s;
}

/* ---- the clock by which age is counted: the system's at start, then a monotonic one */

int64_t queue_age_ms(const struct queue *q)
{
    return q->age_ms + (int64_t)(run_now() - q->age_at);
}

uint32_t queue_age_s(const struct queue *q)
{
    return (uint32_t)(queue_age_ms(q) / 1000);
}

bool queue_is_expired(struct queue *q, const struct sched_message *m)
{
    return run_now() >= q->expire_from && sched_is_expired(q->sched, m, queue_age_s(q));
}

/* faults.md 44: a clock that jumped while nobody ran must not expire all mail at once. */
static void set_age_clock(struct queue *q)
{
    int64_t now = wall_ms();

    if (q->newest_ms && now > q->newest_ms + STEP_MAX_MS)
        now = q->newest_ms + STEP_MAX_MS;
    if (now < q->newest_ms)
        now = q->newest_ms;
    q->age_ms = now > 0 ? now : 0;
    q->age_at = run_now();
    q->expire_from = run_now();
    if (q->found) {
        uint64_t grace = q->config->queue.lifetime_ms / 8;
        q->expire_from += grace < GRACE_MAX_MS ? grace : GRACE_MAX_MS;
    }
}

/* ---- life */

int queue_open(struct queue **out, const struct queue_settings *settings, struct err *e)
{
    struct queue *q = MEM_NEW(struct queue);
    struct sched_settings sched = settings_of(settings->config);

    if (!q)
        return err_memory(e, "queue");
    q->config = settings->config;
    q->directory = settings->directory;
    q->mailboxes = settings->mailboxes;
    q->event = settings->event;
    q->hook.fn = pump;
    scope_init(&q->workers);
    scope_init(&q->tasks);
    cond_init(&q->local_work);
    cond_init(&q->read_work);
    cond_init(&q->end_work);
    cond_init(&q->idle);
    list_init(&q->links);
    list_init(&q->confirms);
    queue_told_init(q);
    arena_init(&q->scratch, QUEUE_ARENA);
    dns_client_init(&q->dns, q->event);
    q->age_ms = wall_ms();
    q->age_at = run_now();
    *out = q;
    if (timer_open(&q->timer, on_timer, q, e) < 0 || routes_make(q->config, &q->routes, e) < 0) {
        queue_close(out);
        return -1;
    }
    if (sched_open(&q->sched, &sched, mem_free, run_now()) < 0) {
        queue_close(out);
        return err_memory(e, "queue");
    }
    return 0;
}

static int start_fibers(struct queue *q, struct err *e)
{
    for (unsigned i = 0; i < QUEUE_LOCAL_WORKERS; i++)
        if (fiber_start(&q->workers, "delivery", queue_local_fiber, q, e) < 0)
            return -1;
    for (unsigned i = 0; i < QUEUE_ENDERS; i++)
        if (fiber_start(&q->workers, "queue-end", queue_end_fiber, q, e) < 0)
            return -1;
    return fiber_start(&q->workers, "queue-read", queue_read_fiber, q, e);
}

int queue_start(struct queue *q, const struct queue_parts *parts, struct err *e)
{
    q->parts = *parts;
    q->spool = parts->spool;
    sched_sort(q->sched);
    set_age_clock(q);
    q->started = true;
    queue_start_found(q);
    queue_kick(q);
    return start_fibers(q, e);
}

/* A hook stays where it is until it was called. */
static void free_late(struct turn_hook *hook)
{
    mem_free(LIST_ENTRY(hook, struct queue, hook));
}

void queue_close(struct queue **out)
{
    struct queue *q = *out;

    if (!q)
        return;
    q->stopping = true;
    scope_cancel(&q->tasks);
    outlink_close_all(q);
    cond_wake_all(&q->local_work);
    cond_wake_all(&q->read_work);
    cond_wake_all(&q->end_work);
    scope_join(&q->workers);
    scope_join(&q->tasks);
    dns_client_done(&q->dns);
    outlink_confirms_done(q);
    if (q->timer)
        timer_close(&q->timer);
    queue_told_done(q);
    sched_close(&q->sched);
    routes_free(&q->routes);
    reasons_done(&q->reasons);
    arena_done(&q->scratch);
    while (q->hook.queued && fiber_running() && fiber_yield(NULL) == 0)
        ;
    if (q->hook.queued)
        q->hook.fn = free_late;
    else
        mem_free(q);
    *out = NULL;
}

void queue_reconfigure(struct queue *q, const struct config *config)
{
    struct sched_settings sched = settings_of(config);
    struct routes *routes;
    struct err e;
    bool changed;

    changed = queue_routes_differ(q->config, config);
    q->config = config;
    sched_reconfigure(q->sched, &sched, run_now());
    q->age_next = run_now(); /* lifetimes may have changed */
    if (routes_make(config, &routes, &e) == 0) {
        routes_free(&q->routes);
        q->routes = routes;
        if (changed)
            q->sweep = UINT64_MAX;
    } else {
        log_error(q->event, "routes_not_changed", kv_err(&e));
    }
    queue_kick(q);
}

void queue_peer(struct queue *q, const struct role_peer *peer, int fd)
{
    if (peer->kind == ROLE_OUTBOUND)
        outlink_open(q, peer, fd);
    else if (peer->kind == ROLE_RESOLVER)
        dns_client_peer(&q->dns, fd);
    else
        close(fd);
}

/* ---- what comes in */

static uint16_t left_of(const struct spool_found *f, int64_t *newest, uint16_t *flags)
{
    uint16_t left = 0;

    for (uint32_t i = 0; i < f->rcpts; i++) {
        struct spool_rcpt rcpt = f->rcpt ? f->rcpt[i] : (struct spool_rcpt){0};
        if ((int64_t)rcpt.when * 1000 > *newest)
            *newest = (int64_t)rcpt.when * 1000;
        if (queue_rcpt_done(rcpt))
            continue;
        left++;
        if (rcpt.status & STATUS_HELD)
            *flags |= SCHED_OPERATOR;
        if (rcpt.status & STATUS_QUARANTINE)
            *flags |= SCHED_QUARANTINE;
        if (rcpt.status & STATUS_REMOVED)
            *flags |= SCHED_REMOVED;
        if (rcpt.status & STATUS_WARNED)
            *flags |= SCHED_WARNED;
    }
    return left;
}

/* Found at start: nothing is known of it but what the spool's index says. */
static int add_found(struct queue *q, uint32_t message, const struct spool_found *f)
{
    bool removed = sched_message(q->sched, message)->flags & SCHED_REMOVED;
    uint32_t d =
        sched_deliver(q->sched, message, sched_way(q->sched, removed ? SCHED_DOOM : SCHED_UNREAD));
    struct sched_delivery *delivery;

    if (!d)
        return -1;
    delivery = sched_delivery(q->sched, d);
    for (uint32_t i = 0; f->rcpt && i < f->rcpts; i++)
        if (f->rcpt[i].state == SPOOL_DEFERRED && f->rcpt[i].attempts > delivery->attempts)
            delivery->attempts = f->rcpt[i].attempts;
    q->found++;
    return 0;
}

int queue_add(struct queue *q, const struct spool_found *found)
{
    uint64_t order = found->recovered ? found->segment << 32 | found->at / 8 : 0;
    uint16_t flags = 0, left = left_of(found, &q->newest_ms, &flags);
    uint32_t message = sched_add(q->sched, found->id, left, order);
    struct sched_message *m;

    if (!message)
        return -1;
    m = sched_message(q->sched, message);
    m->flags = flags;
    if (found->recovered)
        return add_found(q, message, found);
    m->arrived = queue_age_s(q);
    if (queue_fresh(q, message, found->message->envelope) < 0) {
        sched_forget(q->sched, message);
        return -1;
    }
    /* The first of an empty queue: nothing was there to grow old. */
    if (q->age_next == DEADLINE_NONE)
        q->age_next = run_now();
    queue_kick(q);
    return 0;
}

/* ---- decisions, once a turn */

void queue_kick(struct queue *q)
{
    if (q->started)
        run_at_turn_end(&q->hook);
}

static void start_lookups(struct queue *q)
{
    struct resolving *job;
    struct sched_dest *d;

    while (q->lookups < QUEUE_LOOKUPS && (d = sched_ask(q->sched))) {
        struct reason why = {.site = true, .status = {4, 3, 0}, .text = STR("no memory")};
        job = MEM_NEW(struct resolving);
        if (job) {
            *job = (struct resolving){q, d};
            if (fiber_start(&q->tasks, "queue-lookup", queue_resolve_fiber, job, NULL) == 0) {
                q->lookups++;
                continue;
            }
        }
        mem_free(job);
        sched_unplaced(q->sched, d, reason_add(&q->reasons, &why, d->reason), run_now());
    }
}

static bool is_idle(const struct queue *q)
{
    struct sched_stats s;

    sched_stats(q->sched, &s);
    return !q->local_active && !q->reading && !s.unread && !sched_has_local(q->sched) &&
           (!queue_has_outbound(q) || (!s.ready && !s.active));
}

static void pump(struct turn_hook *hook)
{
    struct queue *q = LIST_ENTRY(hook, struct queue, hook);
    uint64_t next, again;

    if (q->stopping)
        return;
    next = sched_tick(q->sched, run_now());
    start_lookups(q);
    outlink_confirm(q, spool_durable(q->spool));
    again = outlink_pump(q);
    if (again < next)
        next = again;
    if (q->age_next > run_now() && q->age_next < next)
        next = q->age_next;
    if (sched_has_local(q->sched))
        cond_wake_one(&q->local_work);
    cond_wake_one(&q->read_work);
    cond_wake_one(&q->end_work);
    timer_set(q->timer, next);
    if (is_idle(q))
        cond_wake_all(&q->idle);
}

static void on_timer(void *arg)
{
    queue_kick(arg);
}

/* ---- where a delivery goes when it comes back */

/* Too old, but nothing could be decided when its turn came: at a site that is down it would wait
 * for ever. */
void queue_age_again(struct queue *q, uint32_t message)
{
    const struct sched_message *m = sched_message(q->sched, message);

    if (!m->left || !queue_is_expired(q, m))
        return;
    sched_age_again(q->sched, message);
    q->age_next = run_now();
    queue_kick(q);
}

void queue_back(struct queue *q, uint32_t delivery, enum back back)
{
    struct sched_delivery *d = sched_delivery(q->sched, delivery);
    const struct sched_message *m = sched_message(q->sched, d->message);
    bool local = sched_dest_of(q->sched, d)->way == SCHED_LOCAL;

    if (m->flags & SCHED_REMOVED) {
        sched_redirect(q->sched, delivery, sched_way(q->sched, SCHED_DOOM));
        sched_put_ready(q->sched, delivery, run_now());
    } else if (m->flags & (SCHED_OPERATOR | SCHED_QUARANTINE)) {
        sched_hold(
            q->sched, delivery, m->flags & SCHED_QUARANTINE ? HELD_QUARANTINE : HELD_OPERATOR);
    } else if (m->flags & SCHED_FLYING && !local) {
        sched_wait(q->sched, delivery, run_now() + 1000);
    } else if (back == BACK_READY) {
        sched_put_ready(q->sched, delivery, run_now());
        queue_age_again(q, d->message);
    } else {
        sched_defer(q->sched, delivery, run_now());
    }
}

void queue_again(struct queue *q, uint32_t message)
{
    for (uint32_t d = sched_message(q->sched, message)->first, next; d; d = next) {
        struct sched_delivery *delivery = sched_delivery(q->sched, d);
        uint64_t due = sched_due_ms(q->sched, delivery);
        next = delivery->sibling;
        if (delivery->state != SCHED_ACTIVE)
            continue;
        if (delivery->at && due > run_now())
            sched_wait(q->sched, d, due);
        else
            queue_back(q, d, BACK_READY);
    }
}

void queue_delivery_done(struct queue *q, uint32_t delivery)
{
    uint32_t message = sched_delivery(q->sched, delivery)->message;
    struct sched_message *m = sched_message(q->sched, message);

    if (m->left && m->first == delivery && !sched_delivery(q->sched, delivery)->sibling &&
        sched_dest_of(q->sched, sched_delivery(q->sched, delivery))->way != SCHED_UNREAD) {
        /* Recipients that no delivery stands for: a reload has changed their way. */
        sched_redirect(q->sched, delivery, sched_way(q->sched, SCHED_UNREAD));
        sched_wait(q->sched, delivery, run_now() + 1000);
        return;
    }
    sched_done(q->sched, delivery);
    if (m->first) {
        queue_age_again(q, message);
        return;
    }
    queue_trace(q, TRACE_ENDED, m->id, STR_NONE, STR_NONE);
    sched_forget(q->sched, message);
}

/* ---- calls */

/* Storage has come back: what failed here for its sake need not wait. */
void queue_retry_now(struct queue *q)
{
    struct sched_dest *local = sched_way(q->sched, SCHED_LOCAL);
    uint32_t next;

    for (uint32_t d = local->first; d; d = next) {
        next = sched_delivery(q->sched, d)->mate_next;
        if (sched_delivery(q->sched, d)->state != SCHED_DEFERRED)
            continue;
        sched_claim(q->sched, d);
        queue_back(q, d, BACK_READY);
    }
    queue_kick(q);
}

int queue_wait_idle(struct queue *q, struct err *e)
{
    queue_kick(q);
    while (!is_idle(q))
        if (cond_wait(&q->idle, "deliveries", e) < 0)
            return -1;
    return 0;
}

void queue_stats(const struct queue *q, struct queue_stats *stats)
{
    struct sched_stats s;
    uint64_t waits;

    sched_stats(q->sched, &s);
    *stats = q->counts;
    stats->waiting = s.messages[SCHED_READY];
    stats->active = s.messages[SCHED_ACTIVE];
    stats->deferred = s.messages[SCHED_DEFERRED];
    stats->held = s.messages[SCHED_HELD];
    stats->messages = stats->waiting + stats->active + stats->deferred + stats->held;
    waits = s.waiting_for_sites < stats->waiting ? s.waiting_for_sites : stats->waiting;
    stats->waiting -= waits;
    stats->deferred += waits;
    if (q->config->queue.hold) {
        stats->held += stats->waiting + stats->deferred;
        stats->waiting = stats->deferred = 0;
    }
    stats->unread = s.unread;
    stats->connections = s.connections;
    stats->sites = s.sites;
    stats->sites_in_back_off = s.sites_down;
    stats->destinations = s.dests;
    stats->memory = s.memory;
}
