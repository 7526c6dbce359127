/* Connections: what each does next, and what its end says about its site. */
#include "base/mem.h"

#include "core/queue/sched_int.h"

enum {
    MOVED_MAX = 64, /* deliveries found at a site that is no longer theirs, in one call */
    TICK_MAX = 2000,
};

static struct str conn_key(const void *entry)
{
    const struct sched_conn *c = entry;

    return str_of((const char *)&c->number, sizeof c->number);
}

void sched_init_conns(struct sched *s)
{
    table_init(&s->conn_table, conn_key, 1 << 20);
}

struct sched_conn *sched_conn(const struct sched *s, uint32_t number)
{
    return table_find(&s->conn_table, str_of((const char *)&number, sizeof number));
}

uint32_t sched_number(struct sched *s)
{
    return ++s->last_conn;
}

struct sched_conn *sched_wake_next(struct sched *s)
{
    struct list *link = list_take(&s->waking);

    return link ? LIST_ENTRY(link, struct sched_conn, link) : NULL;
}

void sched_not_woken(struct sched *s, struct sched_conn *c)
{
    (void)s;
    if (c->state != CONN_WOKEN)
        return;
    c->state = CONN_IDLE;
    list_add(&c->site->idle, &c->link);
}

/* ---- taking */

static void leave_state(struct sched *s, struct sched_conn *c)
{
    list_remove(&c->link);
    switch (c->state) {
    case CONN_OPENING:
        s->opening--;
        s->probing -= c->probe;
        c->probe = false;
        c->site->opening--;
        break;
    case CONN_IDLE:
    case CONN_WOKEN:
        c->site->idles--;
        break;
    case CONN_BUSY:
        c->site->busy--;
        break;
    case CONN_ENDING:
        c->site->ending--;
        break;
    }
}

static enum sched_take end_it(struct sched *s, struct sched_conn *c)
{
    leave_state(s, c);
    c->state = CONN_ENDING;
    c->site->ending++;
    return TAKE_END;
}

static void make_idle(struct sched_conn *c)
{
    c->state = CONN_IDLE;
    c->site->idles++;
    list_add(&c->site->idle, &c->link);
}

/* The next delivery that is still this site's. */
static uint32_t take_one(struct sched *s, struct sched_site *site)
{
    for (unsigned i = 0; i < MOVED_MAX; i++) {
        uint32_t delivery = flow_take(s, site);
        struct sched_dest *dest;

        if (!delivery)
            return 0;
        dest = dest_at(s, delivery_at(s, delivery)->dest);
        if (dest->site == site)
            return delivery;
        delivery_place(s, delivery);
    }
    return 0;
}

enum sched_take sched_take(struct sched *s, struct sched_conn *c, uint64_t now, uint32_t *delivery)
{
    struct sched_site *site = c->site;

    CHECK(!c->delivery);
    s->now = now;
    leave_state(s, c);
    make_idle(c);
    if (site->state == SITE_BACK_OFF || site->state == SITE_REFUSED ||
        site->open - site->ending > site_allowed(site))
        return end_it(s, c);
    if (s->set.stopped || !site_has_token(s, site))
        return TAKE_NOTHING;
    *delivery = take_one(s, site);
    if (!*delivery)
        return TAKE_NOTHING;
    if (site->rate)
        site->tokens -= 60 * 1000;
    leave_state(s, c);
    c->state = CONN_BUSY;
    c->delivery = *delivery;
    c->since = now;
    site->busy++;
    delivery_state(s, *delivery, SCHED_ACTIVE);
    site_check(s, site);
    return TAKE_DELIVERY;
}

void sched_answered(struct sched *s, struct sched_conn *c, bool well, uint64_t now)
{
    uint64_t took = now > c->since ? now - c->since : 0;
    struct sched_site *site = c->site;

    CHECK(c->delivery);
    s->now = now;
    c->delivery = 0;
    c->done++;
    took = took < 600000 ? took : 600000;
    site->service = site->service ? (uint32_t)((site->service * 7 + took) / 8) : (uint32_t)took;
    if (!site->service)
        site->service = 1;
    site->delivered += well;
    site_works(s, site, well);
    site_check(s, site);
}

void sched_dropped(struct sched *s, struct sched_conn *c)
{
    (void)s;
    c->delivery = 0;
}

/* ---- ends */

static void judge(
    struct sched *s, struct sched_site *site, enum sched_end end, uint32_t done, uint32_t reason)
{
    uint32_t greeted = site->open - site->opening;

    if (end == END_DONE)
        return;
    site->reason = reason;
    site->reason_at = s->now;
    if (end == END_REFUSED)
        site_refuse(s, site);
    else if (end == END_LOST && done)
        site_shrink(site, 0);
    else if (greeted && site->state == SITE_UP)
        site_shrink(site, greeted); /* others are served: this was one too many */
    else
        site_failed(s, site);
}

void sched_closed(
    struct sched *s, struct sched_conn *c, enum sched_end end, uint32_t reason, uint64_t now)
{
    struct sched_site *site = c->site;
    uint32_t done = c->done;

    s->now = now;
    leave_state(s, c);
    list_remove(&c->everyone);
    CHECK(table_remove(&s->conn_table, conn_key(c)) == c);
    mem_free(c);
    site->open--;
    s->connections--;
    judge(s, site, end, done, reason);
    site_check(s, site);
    site_gc(s, site);
}

/* ---- time */

static void fire(struct sched *s, uint32_t item)
{
    uint32_t handle = item / DUE_KINDS;

    switch ((enum due_kind)(item % DUE_KINDS)) {
    case DUE_DELIVERY:
        delivery_due(s, handle);
        break;
    case DUE_DEST:
        dest_due(s, dest_at(s, handle));
        break;
    case DUE_SITE:
        site_due(s, site_at(s, handle));
        break;
    case DUE_KINDS:
        UNREACHABLE();
    }
}

uint64_t sched_tick_ms(const struct sched *s, uint32_t tick)
{
    return s->base + (uint64_t)tick * SCHED_TICK_MS;
}

uint64_t sched_tick(struct sched *s, uint64_t now)
{
    unsigned fired = 0;
    struct due_entry first;
    uint32_t tick;

    s->now = now;
    tick = tick_of(s, now);
    delivery_starved(s);
    while (due_first(&s->due, &first) && first.at <= tick) {
        if (fired++ == TICK_MAX)
            return now;
        fire(s, first.item);
    }
    if (dest_pour(s))
        return now;
    if (s->starved.count)
        return now + 1000;
    return due_first(&s->due, &first) ? sched_tick_ms(s, first.at) : UINT64_MAX;
}

/* ---- the special ways */

static uint32_t take_fifo(struct sched *s, enum sched_way way, bool from_end)
{
    struct fifo *f = &s->fifo[way];
    uint32_t delivery = from_end ? f->last : f->first;

    if (!delivery || s->set.stopped)
        return 0;
    fifo_remove(s, f, delivery);
    delivery_at(s, delivery)->place = PLACE_NONE;
    delivery_state(s, delivery, SCHED_ACTIVE);
    return delivery;
}

uint32_t sched_take_local(struct sched *s)
{
    return take_fifo(s, SCHED_LOCAL, false);
}

bool sched_has_local(const struct sched *s)
{
    return s->fifo[SCHED_LOCAL].count && !s->set.stopped;
}

uint32_t sched_take_unread(struct sched *s)
{
    s->from_end = !s->from_end;
    return take_fifo(s, SCHED_UNREAD, s->from_end);
}

/* One whose destination is refused no longer goes where it belongs now. */
static uint32_t take_doomed(struct sched *s, uint32_t *reason)
{
    uint32_t delivery;

    while ((delivery = take_fifo(s, SCHED_DOOM, false))) {
        const struct sched_dest *dest = dest_at(s, delivery_at(s, delivery)->dest);
        if (dest->way != SCHED_REMOTE || dest->state == DEST_REFUSED) {
            *reason = dest->reason;
            return delivery;
        }
        sched_put_ready(s, delivery, s->now);
    }
    return 0;
}

uint32_t sched_doomed(struct sched *s, uint32_t *reason)
{
    uint32_t delivery = take_doomed(s, reason);
    struct sched_site *site;

    if (delivery || s->set.stopped)
        return delivery;
    while ((site = LIST_FIRST(&s->refused, struct sched_site, refused))) {
        delivery = take_one(s, site);
        if (delivery) {
            delivery_state(s, delivery, SCHED_ACTIVE);
            *reason = site->reason;
            return delivery;
        }
        list_remove(&site->refused);
        site_gc(s, site);
    }
    return 0;
}
