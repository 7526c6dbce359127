/* Deliveries that end, or are warned about, without a connection: refused destinations, routes to
 * null, addresses of ours that are gone, what an operator removed, what is too old. */
#include "base/mem.h"

#include "mail/dsn.h"

#include "core/directory/directory.h"
#include "core/queue/queue_int.h"
#include "core/trace/trace.h"

enum {
    REMOVED_MS = 1000, /* between looks at whether what is under way has ended */
};

struct ending {
    struct queue *q;
    struct arena arena;
    struct buf text;
    struct envelope v;
    uint64_t id;
    uint32_t message;
    struct outcome_rcpt *rcpt;
    uint32_t count;
};

static int begin(struct ending *n, struct queue *q, uint32_t message, struct err *e)
{
    *n = (struct ending){.q = q, .message = message};
    n->id = sched_message(q->sched, message)->id;
    arena_init(&n->arena, QUEUE_ARENA);
    buf_init(&n->text, ENVELOPE_MAX);
    if (queue_load_envelope(q, &n->arena, n->id, &n->text, &n->v, e) < 0)
        return -1;
    n->rcpt = arena_array(&n->arena, n->v.targets + 1, sizeof *n->rcpt);
    return n->rcpt ? 0 : err_memory(e, "queue");
}

static void end(struct ending *n)
{
    buf_done(&n->text);
    arena_done(&n->arena);
}

static bool is_pending(struct ending *n, uint32_t i)
{
    const struct sched_message *m = sched_message(n->q->sched, n->message);
    struct spool_found found;

    return spool_find(n->q->spool, n->id, &found) &&
           !queue_rcpt_done(queue_rcpt(n->q, &found, m, i));
}

static struct outcome_rcpt *add(struct ending *n, uint32_t i, uint8_t state)
{
    struct outcome_rcpt *r = &n->rcpt[n->count++];

    *r = (struct outcome_rcpt){
        .index = i, .state = state, .report = state == SPOOL_FAILED, .relayed = true};
    return r;
}

/* ---- one delivery of SCHED_DOOM, or of a refused destination */

static void say_reason(struct queue *q, struct outcome_rcpt *r, uint32_t number)
{
    const struct reason *why = reason_find(&q->reasons, number);

    r->status = (struct err_status){5, 4, 4};
    r->text = STR("its destination cannot be reached");
    if (!why)
        return;
    r->code = why->code;
    r->status = why->status;
    r->text = why->text;
    r->host = why->host;
    r->address = why->address;
    if (why->status.class == 5)
        r->status = why->status;
}

/* Which of them the delivery is about, and why they end. */
static int doom_one(
    struct ending *n, const struct sched_dest *dest, uint32_t i, uint32_t reason, struct err *e)
{
    const struct target *t = &n->v.target[i];
    const struct sched_message *m = sched_message(n->q->sched, n->message);
    struct outcome_rcpt *r;
    struct route route;
    struct err why;
    int rc;

    if (m->flags & SCHED_REMOVED) {
        if (dest->way == SCHED_LOCAL ? t->kind == TARGET_ACCOUNT : true)
            add(n, i, SPOOL_REMOVED);
        return 0;
    }
    if (t->kind != TARGET_ADDRESS)
        return 0;
    if (dest->way == SCHED_DOOM && directory_refusal(n->q->directory, t->address, &why)) {
        if (why.class != ERR_PERMANENT) {
            *e = why;
            return -1;
        }
        r = add(n, i, SPOOL_FAILED);
        r->status = why.status;
        return arena_dup(&n->arena, str_c(why.text), &r->text) ? 0 : err_memory(e, "queue");
    }
    rc = routes_find(n->q->routes, &n->arena, n->v.given.reverse_path, t->address, &route, &why);
    if (rc < 0 && why.class == ERR_PERMANENT && dest->way == SCHED_DOOM) {
        r = add(n, i, SPOOL_FAILED);
        r->status = why.status;
        return arena_dup(&n->arena, str_c(why.text), &r->text) ? 0 : err_memory(e, "queue");
    }
    if (rc == 0 && route.kind == ROUTE_NULL && dest->way == SCHED_DOOM) {
        r = add(n, i, SPOOL_DELIVERED);
        r->text = STR("discarded by a route to null");
        n->q->counts.discarded++;
        queue_trace(n->q, TRACE_DISCARDED, n->id, t->address, route.title);
    }
    if (rc == 0 && dest->way == SCHED_REMOTE && str_eq(route.key, dest->key))
        say_reason(n->q, add(n, i, SPOOL_FAILED), reason);
    return 0;
}

/* -1: later. */
static int doom(struct queue *q, uint32_t delivery, uint32_t reason, struct err *e)
{
    const struct sched_delivery *d = sched_delivery(q->sched, delivery);
    const struct sched_dest *dest = sched_dest_of(q->sched, d);
    struct ending n;
    bool durable;
    int rc = begin(&n, q, d->message, e);

    for (uint32_t i = 0; rc == 0 && i < n.v.targets; i++)
        if (is_pending(&n, i))
            rc = doom_one(&n, dest, i, reason, e);
    if (rc == 0 && n.count)
        rc = queue_settle(q, n.id, &n.v, n.rcpt, n.count, &durable, e);
    end(&n);
    return rc;
}

static void wait_for_reports(struct queue *q)
{
    const struct queue_reports *reports = &q->parts.reports;
    uint64_t again;

    while (reports->ready && !q->stopping && !reports->ready(reports->arg, &again))
        if (fiber_sleep(again > run_now() ? again - run_now() : 1, NULL) < 0)
            return;
}

static void end_delivery(struct queue *q, uint32_t delivery, uint32_t reason)
{
    const struct sched_message *m =
        sched_message(q->sched, sched_delivery(q->sched, delivery)->message);
    struct err e;

    /* What an operator removed: first what is under way says what came of it. */
    if (m->flags & SCHED_REMOVED && m->in[SCHED_ACTIVE] > 1) {
        sched_wait(q->sched, delivery, run_now() + REMOVED_MS);
        return;
    }
    wait_for_reports(q);
    if (doom(q, delivery, reason, &e) == 0)
        queue_delivery_done(q, delivery);
    else if (e.class == ERR_PERMANENT || e.class == ERR_BUG)
        queue_damaged(q, delivery, &e);
    else
        sched_wait(q->sched, delivery, run_now() + 1000);
}

/* ---- age */

static bool is_under_way(const struct sched_delivery *d)
{
    return d->state == SCHED_ACTIVE || d->state == SCHED_HELD;
}

/* Takes what waits into our hands, so that nothing begins with it. */
static void claim_all(struct queue *q, uint32_t message)
{
    for (uint32_t d = sched_message(q->sched, message)->first; d;
         d = sched_delivery(q->sched, d)->sibling)
        if (!is_under_way(sched_delivery(q->sched, d)))
            sched_claim(q->sched, d);
}

static uint32_t reason_of_dest(const struct sched_delivery *d, const struct sched_dest *dest)
{
    if (dest->site && dest->site->reason)
        return dest->site->reason;
    return d->reason ? d->reason : dest->reason;
}

/* Fills *r with what was said last of a delivery that a recipient may belong to. */
static void last_words(struct ending *n, struct outcome_rcpt *r)
{
    struct sched *s = n->q->sched;
    const struct reason *why = NULL;

    for (uint32_t d = sched_message(s, n->message)->first; d && !why;
         d = sched_delivery(s, d)->sibling) {
        const struct sched_delivery *delivery = sched_delivery(s, d);
        why = reason_find(&n->q->reasons, reason_of_dest(delivery, sched_dest_of(s, delivery)));
    }
    if (!why)
        return;
    r->code = why->code;
    r->status = why->status;
    r->text = why->text;
    r->host = why->host;
    r->address = why->address;
}

static void expire(struct queue *q, struct ending *n, struct err *e)
{
    bool durable;

    for (uint32_t i = 0; i < n->v.targets; i++) {
        struct outcome_rcpt *r;
        if (!is_pending(n, i))
            continue;
        r = add(n, i, SPOOL_FAILED);
        r->text = STR("it could not be delivered within its lifetime");
        last_words(n, r);
        r->status = (struct err_status){5, 4, 7}; /* RFC 3463 3.5: delivery time expired */
        queue_trace(q, TRACE_EXPIRED, n->id, n->v.target[i].address, r->text);
    }
    if (n->count && queue_settle(q, n->id, &n->v, n->rcpt, n->count, &durable, e) < 0)
        return;
    q->counts.expired += n->count;
    err_clear(e);
}

/* A message of which something is under way is not decided about: what comes back is. */
static void expire_message(struct queue *q, uint32_t message)
{
    struct ending n;
    struct err e = {0};
    uint32_t next;

    if (sched_message(q->sched, message)->in[SCHED_ACTIVE] ||
        sched_message(q->sched, message)->in[SCHED_HELD])
        return;
    claim_all(q, message);
    wait_for_reports(q);
    if (begin(&n, q, message, &e) == 0)
        expire(q, &n, &e);
    end(&n);
    for (uint32_t d = sched_message(q->sched, message)->first; d; d = next) {
        bool last = !sched_delivery(q->sched, d)->sibling;
        next = sched_delivery(q->sched, d)->sibling;
        if (sched_delivery(q->sched, d)->state != SCHED_ACTIVE)
            continue;
        if (e.class == ERR_NONE)
            queue_delivery_done(q, d);
        else
            queue_back(q, d, BACK_DEFER);
        if (last)
            break;
    }
}

static bool wants_warning(const struct ending *n, uint32_t i)
{
    struct dsn_rules rules = {.delay = true};
    uint8_t notify = n->v.given.rcpt[n->v.target[i].given].notify;

    return dsn_wanted(notify, DSN_DELAYED, n->v.given.reverse_path, &rules);
}

/* Once: that it was sent is kept with the recipients, and outlives a restart. */
static int warn(struct queue *q, struct ending *n, struct err *e)
{
    struct spool_change *change = arena_array(&n->arena, n->v.targets + 1, sizeof *change);
    struct report_rcpt *rcpt = arena_array(&n->arena, n->v.targets + 1, sizeof *rcpt);
    struct sched_message *m = sched_message(q->sched, n->message);
    struct report what = {.id = n->id, .envelope = &n->v, .rcpt = rcpt, .change = change};
    struct spool_found found;

    if (!change || !rcpt)
        return err_memory(e, "queue");
    for (uint32_t i = 0; i < n->v.targets && spool_find(q->spool, n->id, &found); i++) {
        struct spool_rcpt is = queue_rcpt(q, &found, m, i);
        struct outcome_rcpt words = {.status = {4, 4, 7}, .text = STR("still tried")};
        if (queue_rcpt_done(is) || is.status & STATUS_WARNED || !wants_warning(n, i))
            continue;
        last_words(n, &words);
        is.status |= STATUS_WARNED;
        what.change = change;
        change[what.changes++] =
            (struct spool_change){.kind = SPOOL_OUTCOME, .id = n->id, .rcpt = i, .outcome = is};
        rcpt[what.rcpts++] = (struct report_rcpt){
            .index = i,
            .kind = REPORT_DELAYED,
            .code = words.code,
            .status = words.status,
            .text = words.text,
            .host = words.host,
            .address = words.address,
            .when_ms = (int64_t)is.when * 1000,
            .until_ms = n->v.arrived_ms + (int64_t)q->config->queue.lifetime_ms,
        };
    }
    m->flags |= SCHED_WARNED;
    if (!what.changes || !q->parts.reports.report)
        return 0;
    return q->parts.reports.report(q->parts.reports.arg, &what, e);
}

static void warn_message(struct queue *q, uint32_t message)
{
    struct sched_message *m = sched_message(q->sched, message);
    struct ending n;
    struct err e;

    if (m->flags & SCHED_WARNED || m->in[SCHED_ACTIVE] || m->in[SCHED_HELD])
        return;
    claim_all(q, message);
    wait_for_reports(q);
    if (begin(&n, q, message, &e) < 0 || warn(q, &n, &e) < 0)
        log_warning(q->event, "warning_not_sent", kv_err(&e));
    end(&n);
    queue_again(q, message);
}

static void read_age(struct queue *q, uint32_t message)
{
    struct sched_message *m = sched_message(q->sched, message);
    uint64_t id = m->id;
    struct ending n;
    struct err e;
    int64_t arrived = 0;

    if (begin(&n, q, message, &e) == 0)
        arrived = n.v.arrived_ms / 1000;
    end(&n);
    if (sched_find(q->sched, id) != message)
        return;
    if (!m->arrived)
        m->arrived = arrived > 0 && arrived <= queue_age_s(q) ? (uint32_t)arrived : queue_age_s(q);
}

static bool age_step(struct queue *q)
{
    enum sched_age age;
    uint32_t next, message;

    if (run_now() < q->expire_from) {
        q->age_next = q->expire_from;
        return false;
    }
    message = sched_aged(q->sched, queue_age_s(q), &age, &next);
    if (!message) {
        q->age_next = next == UINT32_MAX
                          ? DEADLINE_NONE
                          : run_now() + ((uint64_t)next - queue_age_s(q)) * 1000 + 1000;
        queue_kick(q);
        return false;
    }
    switch (age) {
    case AGE_UNKNOWN:
        read_age(q, message);
        break;
    case AGE_EXPIRED:
        expire_message(q, message);
        break;
    case AGE_WARN:
        warn_message(q, message);
        break;
    }
    return true;
}

static bool end_step(struct queue *q)
{
    uint32_t reason = 0, delivery = sched_doomed(q->sched, &reason);

    if (!delivery)
        return false;
    end_delivery(q, delivery, reason);
    return true;
}

void queue_end_fiber(void *arg)
{
    struct queue *q = arg;

    while (!q->stopping) {
        bool worked;
        q->ending++;
        worked = end_step(q);
        if (!worked && !q->aging && run_now() >= q->age_next) {
            q->aging = true; /* one at a time: the order of arrival is its index */
            worked = age_step(q);
            q->aging = false;
        }
        q->ending--;
        if (worked) {
            queue_kick(q);
            if (fiber_check(NULL) < 0)
                return;
            continue;
        }
        if (cond_wait(&q->end_work, "messages to end", NULL) < 0)
            return;
    }
}
