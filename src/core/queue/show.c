/* A message in plain words: where each recipient's mail goes, what was tried, why it waits. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/timefmt.h"

#include "core/queue/filter.h"
#include "core/queue/holds.h"

const char *queue_rcpt_state_name(enum queue_rcpt_state state)
{
    static const char *const names[] = {[QUEUE_RCPT_QUEUED] = "queued",
        [QUEUE_RCPT_ACTIVE] = "active",
        [QUEUE_RCPT_DEFERRED] = "deferred",
        [QUEUE_RCPT_HELD] = "held",
        [QUEUE_RCPT_DELIVERED] = "delivered",
        [QUEUE_RCPT_FAILED] = "failed",
        [QUEUE_RCPT_REMOVED] = "removed"};

    return names[state];
}

struct showing {
    struct queue *q;
    struct arena *a;
    const struct envelope *v;
    const struct sched_message *m;
};

/* ---- which delivery a recipient belongs to */

static const struct sched_delivery *delivery_of(struct showing *s, uint32_t i)
{
    const struct target *t = &s->v->target[i];
    const struct sched_delivery *unread = NULL;
    struct route route;
    bool routed =
        t->kind == TARGET_ADDRESS &&
        routes_find(s->q->routes, s->a, s->v->given.reverse_path, t->address, &route, NULL) == 0;

    for (uint32_t d = s->m->first; d; d = sched_delivery(s->q->sched, d)->sibling) {
        const struct sched_delivery *delivery = sched_delivery(s->q->sched, d);
        const struct sched_dest *dest = sched_dest_of(s->q->sched, delivery);
        if (dest->way == SCHED_UNREAD || dest->way == SCHED_DOOM)
            unread = delivery;
        if (dest->way == SCHED_LOCAL && t->kind == TARGET_ACCOUNT)
            return delivery;
        if (dest->way == SCHED_REMOTE && routed && str_eq(dest->key, route.key))
            return delivery;
    }
    return unread;
}

/* ---- words */

static int64_t wall_of(uint64_t run_ms)
{
    return wall_ms() + (int64_t)run_ms - (int64_t)run_now();
}

static struct str clock_words(struct arena *a, uint64_t run_ms)
{
    char text[TIME_RFC3339_SIZE];
    struct str at = time_rfc3339(wall_of(run_ms), text);

    return arena_printf(a, "%.*sZ", STR_ARG(str_head(at, 19)));
}

static struct str reason_words(struct arena *a, const struct reason *r)
{
    if (!r)
        return STR("an earlier failure");
    if (r->host.n && r->address.n)
        return arena_printf(
            a, "%.*s [%.*s]: %.*s", STR_ARG(r->host), STR_ARG(r->address), STR_ARG(r->text));
    if (r->host.n)
        return arena_printf(a, "%.*s: %.*s", STR_ARG(r->host), STR_ARG(r->text));
    return r->text;
}

static struct str held_words(struct showing *s, const struct sched_delivery *d, uint32_t i)
{
    const struct hold_rule *rule;
    const struct target *t = &s->v->target[i];

    switch ((enum why_held)d->why_held) {
    case HELD_OPERATOR:
        return STR("held by the operator");
    case HELD_ROUTE:
        return STR("held by its route");
    case HELD_QUARANTINE:
        return STR("in quarantine: processes died while they worked on it");
    case HELD_DAMAGED:
        return STR("it cannot be read: see the log, and veredus spool quarantine");
    case HELD_RULE:
        rule = s->q->parts.holds
                   ? holds_find(s->q->parts.holds, s->v->given.reverse_path, t->address)
                   : NULL;
        return rule ? arena_printf(s->a, "held by the rule %s%.*s%s%.*s", rule->to.n ? "to " : "",
                          STR_ARG(rule->to), rule->from.n ? " from " : "", STR_ARG(rule->from))
                    : STR("held by a rule");
    }
    return STR("held");
}

static struct str site_words(struct showing *s, const struct sched_site *site)
{
    const struct reason *r = reason_find(&s->q->reasons, site->reason);
    uint32_t most = (uint32_t)s->q->config->outbound.connections_per_site;

    if (site->most < most)
        most = site->most;
    switch (site->state) {
    case SITE_BACK_OFF:
        return arena_printf(s->a, "its site is in back-off after %.*s; next try %.*s",
            STR_ARG(reason_words(s->a, r)),
            STR_ARG(clock_words(s->a, sched_tick_ms(s->q->sched, site->until))));
    case SITE_PROBING:
        return arena_printf(
            s->a, "its site is being tried again after %.*s", STR_ARG(reason_words(s->a, r)));
    case SITE_REFUSED:
        return arena_printf(s->a, "about to be returned: %.*s", STR_ARG(reason_words(s->a, r)));
    case SITE_UP:
        break;
    }
    if (!queue_has_outbound(s->q))
        return STR("no outbound process is running");
    if (site->rate && site->place)
        return arena_printf(s->a, "its route takes %u messages a minute", site->rate);
    if (site->open)
        return arena_printf(s->a, "waits for a free connection (%u in use, %u allowed)", site->open,
            site->window / 256 < most ? site->window / 256 : most);
    return STR("waits for a connection");
}

static struct str ready_words(struct showing *s, const struct sched_delivery *d)
{
    const struct sched_dest *dest = sched_dest_of(s->q->sched, d);

    if (dest->way == SCHED_UNREAD)
        return STR("found at start, about to be looked into");
    if (dest->way == SCHED_LOCAL)
        return STR("about to be delivered");
    if (dest->way == SCHED_DOOM)
        return STR("about to be ended");
    if (dest->site)
        return site_words(s, dest->site);
    if (dest->state == DEST_FAILING)
        return arena_printf(s->a, "its hosts cannot be found: %.*s; next try %.*s",
            STR_ARG(reason_words(s->a, reason_find(&s->q->reasons, dest->reason))),
            STR_ARG(clock_words(s->a, sched_tick_ms(s->q->sched, dest->until))));
    return STR("its hosts are being looked up");
}

static struct str why(struct showing *s, const struct sched_delivery *d, uint32_t i)
{
    if (s->q->config->queue.hold)
        return STR("the queue is held by the configuration (queue { hold = yes })");
    switch ((enum sched_state)d->state) {
    case SCHED_READY:
        return ready_words(s, d);
    case SCHED_ACTIVE:
        return STR_NONE;
    case SCHED_DEFERRED:
        return arena_printf(s->a, "deferred after %.*s; next try %.*s",
            STR_ARG(reason_words(s->a, reason_find(&s->q->reasons, d->reason))),
            STR_ARG(clock_words(s->a, sched_due_ms(s->q->sched, d))));
    case SCHED_HELD:
        return held_words(s, d, i);
    case SCHED_STATES:
        break;
    }
    return STR_NONE;
}

/* ---- a recipient */

static enum queue_rcpt_state state_of(struct showing *s, const struct sched_delivery *d)
{
    if (s->q->config->queue.hold)
        return QUEUE_RCPT_HELD;
    switch ((enum sched_state)d->state) {
    case SCHED_READY:
        return queue_waits_for_site(s->q, d) ? QUEUE_RCPT_DEFERRED : QUEUE_RCPT_QUEUED;
    case SCHED_ACTIVE:
        return QUEUE_RCPT_ACTIVE;
    case SCHED_DEFERRED:
        return QUEUE_RCPT_DEFERRED;
    case SCHED_HELD:
    case SCHED_STATES:
        break;
    }
    return QUEUE_RCPT_HELD;
}

static int64_t next_of(struct showing *s, const struct sched_delivery *d)
{
    const struct sched_dest *dest = sched_dest_of(s->q->sched, d);

    if (d->state == SCHED_DEFERRED)
        return wall_of(sched_due_ms(s->q->sched, d));
    if (d->state != SCHED_READY || !queue_waits_for_site(s->q, d))
        return 0;
    return wall_of(sched_tick_ms(s->q->sched, dest->site ? dest->site->until : dest->until));
}

static void fill_last(struct showing *s, const struct sched_delivery *d, struct queue_rcpt *r)
{
    const struct sched_dest *dest = sched_dest_of(s->q->sched, d);
    const struct reason *why = reason_find(&s->q->reasons, d->reason);

    if (!why && dest->site)
        why = reason_find(&s->q->reasons, dest->site->reason);
    if (!why)
        why = reason_find(&s->q->reasons, dest->reason);
    if (!why)
        return;
    if (!r->last.time_ms)
        r->last.time_ms = why->when_ms;
    r->last.host = why->host;
    r->last.code = why->code;
    r->last.enhanced = why->status;
    r->last.text = why->text;
    arena_dup(s->a, why->host, &r->last.host);
    arena_dup(s->a, why->text, &r->last.text);
}

static void fill_way(struct showing *s, const struct sched_delivery *d, struct queue_rcpt *r)
{
    const struct sched_dest *dest = sched_dest_of(s->q->sched, d);

    if (dest->way == SCHED_LOCAL)
        r->route = STR("local");
    else if (dest->way == SCHED_REMOTE)
        arena_dup(s->a, dest->key, &r->route);
    if (dest->site)
        arena_dup(s->a, dest->site->key, &r->site);
}

static void fill_rcpt(
    struct showing *s, const struct spool_found *f, uint32_t i, struct queue_rcpt *r)
{
    static const enum queue_rcpt_state done[SPOOL_RCPT_STATES] = {
        [SPOOL_DELIVERED] = QUEUE_RCPT_DELIVERED,
        [SPOOL_FAILED] = QUEUE_RCPT_FAILED,
        [SPOOL_REMOVED] = QUEUE_RCPT_REMOVED};
    struct spool_rcpt rcpt = queue_rcpt(s->q, f, s->m, i);
    const struct sched_delivery *d;

    *r = (struct queue_rcpt){.attempts = rcpt.attempts};
    arena_dup(s->a, s->v->target[i].address, &r->address);
    r->last.code = rcpt.status & STATUS_CODE;
    if (rcpt.attempts)
        r->last.time_ms = (int64_t)rcpt.when * 1000;
    if (queue_rcpt_done(rcpt)) {
        r->state = done[rcpt.state];
        return;
    }
    d = delivery_of(s, i);
    if (!d)
        return;
    r->state = state_of(s, d);
    r->next_ms = next_of(s, d);
    r->why = why(s, d, i);
    fill_way(s, d, r);
    fill_last(s, d, r);
}

static int show(
    struct showing *s, uint64_t id, uint32_t limit, struct queue_detail *detail, struct err *e)
{
    uint32_t message = sched_find(s->q->sched, id);
    struct spool_found f;

    if (!message || !spool_find(s->q->spool, id, &f))
        return err_set(e, ERR_PERMANENT, "queue", "there is no such message");
    s->m = sched_message(s->q->sched, message);
    queue_fill_row(s->q, message, &detail->row);
    if (!detail->row.arrived_ms)
        detail->row.arrived_ms = s->v->arrived_ms;
    detail->row.rcpts = s->v->targets;
    detail->rcpts = s->v->targets < limit ? s->v->targets : limit;
    detail->rcpt = arena_array(s->a, detail->rcpts + 1, sizeof *detail->rcpt);
    if (!detail->rcpt || !arena_dup(s->a, s->v->given.reverse_path, &detail->from))
        return err_memory(e, "queue");
    for (uint32_t i = 0; i < detail->rcpts; i++)
        fill_rcpt(s, &f, i, &detail->rcpt[i]);
    return 0;
}

int queue_show(struct queue *q, struct arena *a, uint64_t id, uint32_t limit,
    struct queue_detail *detail, struct err *e)
{
    struct showing s = {.q = q, .a = a};
    struct envelope v;
    struct buf text;
    int rc;

    *detail = (struct queue_detail){0};
    if (!sched_find(q->sched, id))
        return err_set(e, ERR_PERMANENT, "queue", "there is no such message");
    buf_init(&text, ENVELOPE_MAX);
    s.v = &v;
    rc = queue_load_envelope(q, a, id, &text, &v, e);
    if (rc == 0)
        rc = show(&s, id, limit, detail, e);
    buf_done(&text);
    return rc;
}

/* ---- sites */

/* Keeps `top` sorted, most waiting first. */
static void keep_top(
    const struct sched_site **top, uint32_t *n, uint32_t limit, const struct sched_site *site)
{
    uint32_t i = *n < limit ? (*n)++ : limit;

    if (i == limit) {
        if (!limit || top[limit - 1]->ready >= site->ready)
            return;
        i = limit - 1;
    }
    for (; i > 0 && top[i - 1]->ready < site->ready; i--)
        top[i] = top[i - 1];
    top[i] = site;
}

static void fill_site(
    struct queue *q, struct arena *a, const struct sched_site *from, struct queue_site *to)
{
    const struct reason *r = reason_find(&q->reasons, from->reason);
    uint64_t until = sched_tick_ms(q->sched, from->until);

    *to = (struct queue_site){
        .queued = from->ready,
        .connections = from->open,
        .limit = from->window / 256,
        .delivered = from->delivered,
    };
    arena_dup(a, from->key, &to->name);
    if (from->state == SITE_BACK_OFF && until > run_now())
        to->back_off_ms = until - run_now();
    if (!r)
        return;
    arena_dup(a, reason_words(a, r), &to->error);
    to->error_ms = r->when_ms;
}

int queue_sites(struct queue *q, struct arena *a, uint32_t limit, struct queue_site **out,
    uint32_t *count, struct err *e)
{
    const struct sched_site **top = arena_array(a, limit + 1, sizeof *top);
    const struct sched_site *site;
    struct queue_site *v = arena_array(a, limit + 1, sizeof *v);
    uint32_t n = 0;

    if (!top || !v)
        return err_memory(e, "queue");
    for (uint32_t i = 0; (site = sched_site_next(q->sched, &i));)
        keep_top(top, &n, limit, site);
    for (uint32_t i = 0; i < n; i++)
        fill_site(q, a, top[i], &v[i]);
    *out = v;
    *count = n;
    return 0;
}

bool queue_in_quarantine(const struct spool_found *f)
{
    for (uint32_t i = 0; i < f->rcpts; i++)
        if (!queue_rcpt_done(f->rcpt[i]) && f->rcpt[i].status & STATUS_QUARANTINE)
            return true;
    return false;
}
