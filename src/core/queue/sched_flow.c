/* Lists of deliveries, and the fair choice among a site's: classes by weight, senders by turns. */
#include "base/mem.h"

#include "core/queue/sched_int.h"

enum {
    CHAINS_MIN = 256,
};

/* Deliveries of each class that are taken in a round, where all have some. */
static const uint8_t weights[SCHED_CLASSES] = {
    [SCHED_PEOPLE] = 12, [SCHED_NOTICE] = 3, [SCHED_BULK] = 1};

void fifo_add(struct sched *s, struct fifo *f, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);

    d->next = 0;
    d->prev = f->last;
    if (f->last)
        delivery_at(s, f->last)->next = delivery;
    else
        f->first = delivery;
    f->last = delivery;
    f->count++;
}

void fifo_remove(struct sched *s, struct fifo *f, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);

    CHECK(f->count);
    if (d->prev)
        delivery_at(s, d->prev)->next = d->next;
    else
        f->first = d->next;
    if (d->next)
        delivery_at(s, d->next)->prev = d->prev;
    else
        f->last = d->prev;
    d->next = d->prev = 0;
    f->count--;
}

static struct flow *flow_at(const struct sched *s, uint32_t handle)
{
    return slab_at(&s->flows, handle);
}

static uint32_t *chain_of(const struct sched *s, uint32_t site, uint32_t sender, uint32_t class)
{
    uint64_t h = ((uint64_t)site << 32 | sender) * 0x9e3779b97f4a7c15U + class;

    h ^= h >> 29;
    return &s->chains[(h * 0xbf58476d1ce4e5b9U >> 32) & (s->chains_cap - 1)];
}

static void chain_in(struct sched *s, uint32_t handle)
{
    struct flow *f = flow_at(s, handle);
    uint32_t *chain = chain_of(s, f->site, f->sender, f->class);

    f->chain = *chain;
    *chain = handle;
}

static int chains_room(struct sched *s)
{
    uint32_t *old = s->chains, cap = s->chains_cap;

    if (s->flows.used < cap)
        return 0;
    s->chains = mem_array(cap ? 2 * (size_t)cap : CHAINS_MIN, sizeof *s->chains);
    if (!s->chains) {
        s->chains = old;
        return cap ? 0 : -1; /* longer chains */
    }
    s->chains_cap = cap ? 2 * cap : CHAINS_MIN;
    for (uint32_t i = 0; i < cap; i++)
        for (uint32_t h = old[i], next; h; h = next) {
            next = flow_at(s, h)->chain;
            chain_in(s, h);
        }
    mem_free(old);
    return 0;
}

static uint32_t flow_find(const struct sched *s, uint32_t site, uint32_t sender, uint32_t class)
{
    uint32_t h = s->chains_cap ? *chain_of(s, site, sender, class) : 0;

    for (; h; h = flow_at(s, h)->chain) {
        const struct flow *f = flow_at(s, h);
        if (f->site == site && f->sender == sender && f->class == class)
            return h;
    }
    return 0;
}

/* A new flow stands at the end of the ring: its turn comes after one of each other. */
static void ring_add(struct sched *s, struct sched_site *site, uint32_t handle)
{
    struct flow *f = flow_at(s, handle), *head;
    uint32_t *ring = &site->ring[f->class];

    if (!*ring) {
        f->next = f->prev = *ring = handle;
        return;
    }
    head = flow_at(s, *ring);
    f->next = *ring;
    f->prev = head->prev;
    flow_at(s, head->prev)->next = handle;
    head->prev = handle;
}

static uint32_t flow_make(struct sched *s, struct sched_site *site, uint32_t sender, uint32_t class)
{
    uint32_t handle;
    struct flow *f;

    if (chains_room(s) < 0 || !(handle = slab_take(&s->flows)))
        return 0;
    f = flow_at(s, handle);
    f->site = site->handle;
    f->sender = sender;
    f->class = class;
    chain_in(s, handle);
    ring_add(s, site, handle);
    return handle;
}

static void flow_free(struct sched *s, uint32_t handle)
{
    struct flow *f = flow_at(s, handle);
    struct sched_site *site = site_at(s, f->site);
    uint32_t *link = chain_of(s, f->site, f->sender, f->class);

    while (*link != handle)
        link = &flow_at(s, *link)->chain;
    *link = f->chain;
    if (f->next == handle) {
        site->ring[f->class] = 0;
    } else {
        flow_at(s, f->prev)->next = f->next;
        flow_at(s, f->next)->prev = f->prev;
        if (site->ring[f->class] == handle)
            site->ring[f->class] = f->next;
    }
    slab_give(&s->flows, handle);
}

int flow_add(struct sched *s, struct sched_site *site, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);
    const struct sched_message *m = message_at(s, d->message);
    uint32_t handle = flow_find(s, site->handle, m->sender, m->class);

    if (!handle)
        handle = flow_make(s, site, m->sender, m->class);
    if (!handle)
        return -1;
    fifo_add(s, &flow_at(s, handle)->fifo, delivery);
    d->where = handle;
    d->place = PLACE_FLOW;
    site->ready++;
    if (site->state == SITE_BACK_OFF)
        s->waiting++;
    if (site->state == SITE_REFUSED && !list_linked(&site->refused))
        list_add(&s->refused, &site->refused);
    return 0;
}

void flow_remove(struct sched *s, uint32_t delivery)
{
    struct sched_delivery *d = delivery_at(s, delivery);
    struct flow *f = flow_at(s, d->where);
    struct sched_site *site = site_at(s, f->site);

    fifo_remove(s, &f->fifo, delivery);
    if (!f->fifo.count)
        flow_free(s, d->where);
    d->where = 0;
    d->place = PLACE_NONE;
    site->ready--;
    if (site->state == SITE_BACK_OFF)
        s->waiting--;
}

/* RFC 5321 says nothing of order; people should not wait behind a newsletter. */
static int choose_class(struct sched_site *site)
{
    for (int round = 0; round < 2; round++) {
        for (int c = 0; c < SCHED_CLASSES; c++)
            if (site->ring[c] && site->credit[c])
                return c;
        memcpy(site->credit, weights, sizeof weights);
    }
    return -1;
}

uint32_t flow_take(struct sched *s, struct sched_site *site)
{
    int class = choose_class(site);
    uint32_t delivery;
    struct flow *f;

    if (class < 0)
        return 0;
    site->credit[class]--;
    f = flow_at(s, site->ring[class]);
    delivery = f->fifo.first;
    site->ring[class] = f->next;
    flow_remove(s, delivery);
    return delivery;
}
