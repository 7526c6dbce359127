/* The invariants of the scheduler, for tests. */
#include "core/queue/sched_int.h"

struct counts {
    uint64_t in[SCHED_STATES], messages[SCHED_STATES], waiting;
};

static void check_place(const struct sched *s, uint32_t handle, struct counts *c)
{
    const struct sched_delivery *d = delivery_at(s, handle);
    const struct sched_dest *dest = dest_at(s, d->dest);
    const struct flow *f;

    c->in[d->state]++;
    CHECK(dest->handle == d->dest);
    CHECK((d->state == SCHED_ACTIVE || d->state == SCHED_HELD) <= (d->place == PLACE_NONE));
    CHECK((d->state == SCHED_DEFERRED) == (d->place == PLACE_HEAP || d->place == PLACE_STARVED));
    if (d->place == PLACE_HEAP)
        CHECK(s->due.v[d->where].item == handle * DUE_KINDS + DUE_DELIVERY);
    if (d->place == PLACE_FLOW) {
        f = slab_at(&s->flows, d->where);
        CHECK(f->fifo.count && f->class == message_at(s, d->message)->class);
        c->waiting += site_at(s, f->site)->state == SITE_BACK_OFF;
    }
    if (d->state == SCHED_READY && d->place == PLACE_NONE) {
        CHECK(dest->way == SCHED_REMOTE);
        c->waiting += dest->state == DEST_FAILING;
    }
}

static void check_messages(const struct sched *s, struct counts *c)
{
    uint32_t before = 0, n = 0;
    uint64_t number = 0;

    for (uint32_t h = s->first; h; before = h, h = message_at(s, h)->next, n++) {
        const struct sched_message *m = message_at(s, h);
        uint16_t in[SCHED_STATES] = {0};
        CHECK(m->prev == before && m->number > number && sched_find(s, m->id) == h);
        number = m->number;
        for (uint32_t d = m->first; d; d = delivery_at(s, d)->sibling) {
            CHECK(delivery_at(s, d)->message == h);
            in[delivery_at(s, d)->state]++;
            check_place(s, d, c);
        }
        CHECK(memcmp(in, m->in, sizeof in) == 0);
        c->messages[sched_message_state(s, m)]++;
    }
    CHECK(before == s->last && n == s->messages.used);
}

static void check_dests(const struct sched *s)
{
    for (uint32_t i = 1; i <= s->dests.top; i++) {
        const struct sched_dest *d = dest_at(s, i);
        uint32_t count = 0, ready = 0, unplaced = 0;
        if (!d->handle)
            continue;
        for (uint32_t h = d->first; h; h = delivery_at(s, h)->mate_next, count++) {
            bool is_ready = delivery_at(s, h)->state == SCHED_READY;
            ready += is_ready;
            unplaced += is_ready && delivery_at(s, h)->place == PLACE_NONE;
        }
        CHECK(count == d->count && ready == d->ready && unplaced == d->unplaced);
        CHECK(!d->site || d->site->handle);
        CHECK(d->way != SCHED_REMOTE || d->count || d->place || d->asked);
        /* Work that nobody would ever look at. */
        CHECK(d->way != SCHED_REMOTE || !d->ready || d->site || d->place || d->asked ||
              list_linked(&d->asking) || d->state == DEST_REFUSED);
    }
}

static void check_sites(const struct sched *s)
{
    uint32_t open = 0, opening = 0, down = 0;

    for (uint32_t i = 1; i <= s->sites.top; i++) {
        const struct sched_site *site = site_at(s, i);
        uint32_t ready = 0;
        if (!site->handle)
            continue;
        for (int c = 0; c < SCHED_CLASSES; c++) {
            uint32_t h = site->ring[c];
            if (!h)
                continue;
            do {
                const struct flow *f = slab_at(&s->flows, h);
                CHECK(f->fifo.count && f->site == i && (int)f->class == c);
                ready += f->fifo.count;
                h = f->next;
            } while (h != site->ring[c]);
        }
        CHECK(ready == site->ready);
        CHECK(site->open == site->opening + site->idles + site->busy + site->ending);
        CHECK(site->open <= s->set.per_site && site->open <= site->most);
        CHECK((site->state == SITE_BACK_OFF) <= (site->place != 0));
        open += site->open;
        opening += site->opening;
        down += site->state != SITE_UP;
    }
    CHECK(open == s->connections && opening == s->opening && down == s->sites_down);
    CHECK(open <= s->set.connections);
}

static void check_heap(const struct sched *s)
{
    for (uint32_t i = 2; i <= s->due.count; i++)
        CHECK(s->due.v[i / 2].at <= s->due.v[i].at);
}

void sched_check(struct sched *s)
{
    struct counts c = {0};

    check_messages(s, &c);
    check_dests(s);
    check_sites(s);
    check_heap(s);
    CHECK(memcmp(c.in, s->in, sizeof c.in) == 0);
    CHECK(memcmp(c.messages, s->in_state, sizeof c.messages) == 0);
    CHECK(c.waiting == s->waiting);
}
