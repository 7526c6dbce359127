/* Deliveries: the state each is in, and the place that goes with it. */
#include "base/mem.h"

#include "core/queue/sched_int.h"

/* ---- states */

enum sched_state sched_message_state(const struct sched *s, const struct sched_message *m)
{
    (void)s;
    if (m->in[SCHED_ACTIVE])
        return SCHED_ACTIVE;
    if (m->in[SCHED_READY])
        return SCHED_READY;
    if (m->in[SCHED_DEFERRED])
        return SCHED_DEFERRED;
    return m->in[SCHED_HELD] ? SCHED_HELD : SCHED_READY;
}

static void count(struct sched *s, struct sched_message *m, int from, int to)
{
    s->in_state[sched_message_state(s, m)]--;
    if (from >= 0) {
        m->in[from]--;
        s->in[from]--;
    }
    if (to >= 0) {
        m->in[to]++;
        s->in[to]++;
    }
    s->in_state[sched_message_state(s, m)]++;
}

void delivery_state(struct sched *s, uint32_t delivery, enum sched_state state)
{
    struct sched_delivery *d = delivery_at(s, delivery);
    struct sched_dest *dest = dest_at(s, d->dest);

    count(s, message_at(s, d->message), d->state, (int)state);
    if (d->state == SCHED_READY)
        dest->ready--;
    if (state == SCHED_READY)
        dest->ready++;
    d->state = (uint8_t)state;
}

/* ---- places */

static struct fifo *fifo_of(struct sched *s, const struct sched_delivery *d)
{
    const struct sched_dest *dest = dest_at(s, d->dest);

    return &s->fifo[dest->way == SCHED_REMOTE ? SCHED_DOOM : dest->way];
}

static void place_fifo(struct sched *s, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);

    fifo_add(s, fifo_of(s, d), delivery);
    d->place = PLACE_FIFO;
}

void delivery_place(struct sched *s, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);
    struct sched_dest *dest = dest_at(s, d->dest);

    CHECK(d->state == SCHED_READY && d->place == PLACE_NONE);
    if (dest->way != SCHED_REMOTE || dest->state == DEST_REFUSED) {
        place_fifo(s, delivery);
        return;
    }
    if (dest->site && flow_add(s, dest->site, delivery) == 0) {
        site_check(s, dest->site);
    } else {
        dest->unplaced++;
        s->waiting += dest->state == DEST_FAILING;
        if (dest->site) /* no memory for a flow: looked at again in a moment */
            dest_timer(s, dest, s->now + 1000);
    }
    dest_want(s, dest);
}

static void unplace_none(struct sched *s, const struct sched_delivery *d)
{
    struct sched_dest *dest = dest_at(s, d->dest);

    if (d->state != SCHED_READY)
        return;
    dest->unplaced--;
    s->waiting -= dest->state == DEST_FAILING;
}

/* It may have been the last that a site without destinations was there for. */
static void unplace_flow(struct sched *s, uint32_t delivery)
{
    const struct flow *f = slab_at(&s->flows, delivery_at(s, delivery)->where);
    struct sched_site *site = site_at(s, f->site);

    flow_remove(s, delivery);
    site_gc(s, site);
}

void delivery_unplace(struct sched *s, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);

    switch ((enum sched_place)d->place) {
    case PLACE_NONE:
        unplace_none(s, d);
        break;
    case PLACE_FLOW:
        unplace_flow(s, delivery);
        break;
    case PLACE_FIFO:
        fifo_remove(s, fifo_of(s, d), delivery);
        break;
    case PLACE_HEAP:
        due_take(&s->due, d->where);
        break;
    case PLACE_STARVED:
        fifo_remove(s, &s->starved, delivery);
        break;
    }
    d->place = PLACE_NONE;
    d->where = 0;
}

/* ---- a destination's deliveries */

static void mate_add(struct sched *s, struct sched_dest *dest, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);

    d->dest = dest->handle;
    d->mate_next = 0;
    d->mate_prev = dest->last;
    if (dest->last)
        delivery_at(s, dest->last)->mate_next = delivery;
    else
        dest->first = delivery;
    dest->last = delivery;
    dest->count++;
}

static void mate_remove(struct sched *s, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);
    struct sched_dest *dest = dest_at(s, d->dest);

    if (dest->cursor == delivery)
        dest->cursor = d->mate_next;
    if (d->mate_prev)
        delivery_at(s, d->mate_prev)->mate_next = d->mate_next;
    else
        dest->first = d->mate_next;
    if (d->mate_next)
        delivery_at(s, d->mate_next)->mate_prev = d->mate_prev;
    else
        dest->last = d->mate_prev;
    dest->count--;
    if (dest->stamp_delivery == delivery)
        dest->stamp_delivery = dest->stamp_message = 0;
    if (!dest->count && !dest->place && dest->way == SCHED_REMOTE)
        dest_timer(s, dest, s->now + DEST_KEEP_MS); /* then it goes */
}

/* ---- calls */

uint32_t sched_deliver(struct sched *s, uint32_t message, struct sched_dest *dest)
{
    struct sched_message *m = message_at(s, message);
    struct sched_delivery *d;
    uint32_t delivery;

    if (dest->stamp_message == message)
        return dest->stamp_delivery;
    if (m->in[SCHED_ACTIVE] == UINT16_MAX || !(delivery = slab_take(&s->deliveries)))
        return 0;
    d = delivery_at(s, delivery);
    d->message = message;
    d->state = SCHED_ACTIVE;
    d->sibling = m->first;
    m->first = delivery;
    mate_add(s, dest, delivery);
    count(s, m, -1, SCHED_ACTIVE);
    dest->stamp_message = message;
    dest->stamp_delivery = delivery;
    return delivery;
}

void sched_claim(struct sched *s, uint32_t delivery)
{
    CHECK(delivery_at(s, delivery)->state != SCHED_ACTIVE);
    delivery_unplace(s, delivery);
    delivery_state(s, delivery, SCHED_ACTIVE);
}

void sched_done(struct sched *s, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);
    struct sched_message *m = message_at(s, d->message);
    uint32_t *link = &m->first;

    CHECK(d->state == SCHED_ACTIVE);
    count(s, m, SCHED_ACTIVE, -1);
    while (*link != delivery)
        link = &delivery_at(s, *link)->sibling;
    *link = d->sibling;
    mate_remove(s, delivery);
    slab_give(&s->deliveries, delivery);
}

void sched_put_ready(struct sched *s, uint32_t delivery, uint64_t now)
{
    CHECK(delivery_at(s, delivery)->state == SCHED_ACTIVE);
    s->now = now;
    delivery_state(s, delivery, SCHED_READY);
    delivery_place(s, delivery);
}

void sched_hold(struct sched *s, uint32_t delivery, uint8_t why)
{
    CHECK(delivery_at(s, delivery)->state == SCHED_ACTIVE);
    delivery_state(s, delivery, SCHED_HELD);
    delivery_at(s, delivery)->why_held = why;
}

static int heap_room(struct sched *s)
{
    uint64_t room = (uint64_t)s->due.count + s->dests.used + s->sites.used + 2;

    return room < UINT32_MAX ? due_reserve(&s->due, (uint32_t)room) : -1;
}

void sched_wait(struct sched *s, uint32_t delivery, uint64_t until)
{
    struct sched_delivery *d = delivery_at(s, delivery);

    CHECK(d->state == SCHED_ACTIVE);
    delivery_state(s, delivery, SCHED_DEFERRED);
    d->at = tick_from(s, until);
    if (heap_room(s) < 0) {
        fifo_add(s, &s->starved, delivery);
        d->place = PLACE_STARVED;
        return;
    }
    d->place = PLACE_HEAP;
    due_put(&s->due, d->at, delivery * DUE_KINDS + DUE_DELIVERY);
}

void sched_defer(struct sched *s, uint32_t delivery, uint64_t now)
{
    struct sched_delivery *d = delivery_at(s, delivery);

    s->now = now;
    sched_wait(s, delivery, now + sched_retry_ms(s, d->attempts));
    if (d->attempts < UINT8_MAX)
        d->attempts++;
}

void delivery_due(struct sched *s, uint32_t delivery)
{
    delivery_unplace(s, delivery);
    delivery_state(s, delivery, SCHED_READY);
    delivery_place(s, delivery);
}

/* Into the heap as far as there is memory now. */
void delivery_starved(struct sched *s)
{
    uint32_t delivery;

    while ((delivery = s->starved.first) && heap_room(s) == 0) {
        struct sched_delivery *d = delivery_at(s, delivery);
        fifo_remove(s, &s->starved, delivery);
        d->place = PLACE_HEAP;
        due_put(&s->due, d->at, delivery * DUE_KINDS + DUE_DELIVERY);
    }
}

void sched_redirect(struct sched *s, uint32_t delivery, struct sched_dest *dest)
{
    struct sched_delivery *d = delivery_at(s, delivery);

    CHECK(d->state == SCHED_ACTIVE);
    mate_remove(s, delivery);
    mate_add(s, dest, delivery);
    dest->stamp_message = d->message;
    dest->stamp_delivery = delivery;
}

uint64_t sched_jitter(struct sched *s, uint64_t ms, unsigned percent)
{
    uint64_t width = ms / 100 * percent + ms % 100 * percent / 100;

    return ms - width + (width ? s->set.random(s->set.arg, 2 * width + 1) : 0);
}

uint64_t sched_retry_ms(struct sched *s, unsigned attempts)
{
    uint32_t step = attempts < s->set.retries ? attempts : s->set.retries - 1;

    return sched_jitter(s, s->set.retry_ms[step], 10);
}

uint64_t sched_due_ms(const struct sched *s, const struct sched_delivery *d)
{
    return sched_tick_ms(s, d->at);
}
