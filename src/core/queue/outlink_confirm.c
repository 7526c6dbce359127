/* Telling outbounds which outcomes are durable, so that they need not keep them. */
#include "base/mem.h"

#include "core/queue/outlink_int.h"

enum {
    CONFIRM_MAX = 4000,          /* in a frame */
    HURRY = CO_OUTCOMES_MAX / 8, /* outcomes not durable from which nobody waits for the second */
};

struct confirm {
    struct list link;
    uint64_t id, ticket;
    uint32_t outlink;
    uint16_t attempt;
};

static struct outlink *find_link(struct queue *q, uint32_t number)
{
    LIST_EACH(link, &q->links)
    {
        struct outlink *l = LIST_ENTRY(link, struct outlink, link);
        if (l->number == number && !l->closing)
            return l;
    }
    return NULL;
}

void outlink_confirm_later(
    struct queue *q, uint32_t link, uint64_t id, uint16_t attempt, bool durable)
{
    struct confirm *c = MEM_NEW(struct confirm);

    if (!c)
        return; /* outbound keeps it, and tells it to the next core */
    *c = (struct confirm){.id = id, .attempt = attempt, .outlink = link};
    c->ticket = durable ? 0 : spool_ticket(q->spool);
    if (durable)
        list_add_first(&q->confirms, &c->link);
    else
        list_add(&q->confirms, &c->link);
    if (++q->unconfirmed % HURRY == 0)
        spool_hurry(q->spool);
    if (durable)
        queue_kick(q);
}

/* One frame to one outbound; false: no credit. */
static bool send_confirms(struct outlink *l, const struct co_flying *v, uint32_t count)
{
    struct buf payload;
    bool sent;

    buf_init(&payload, CHANNEL_FRAME_MAX);
    co_confirm_encode(v, count, &payload);
    sent = buf_ok(&payload) && channel_try_notify(l->channel, CO_CONFIRM, buf_str(&payload));
    buf_done(&payload);
    return sent;
}

void outlink_confirm(struct queue *q, uint64_t durable)
{
    struct confirm *c = LIST_FIRST(&q->confirms, struct confirm, link);
    struct co_flying *v = NULL;

    if (c && c->ticket <= durable)
        v = mem_array(CONFIRM_MAX, sizeof *v);
    while (v && (c = LIST_FIRST(&q->confirms, struct confirm, link)) && c->ticket <= durable) {
        uint32_t number = c->outlink, count = 0;
        struct outlink *l = find_link(q, number);
        struct list taken;
        list_init(&taken);
        while (count < CONFIRM_MAX && (c = LIST_FIRST(&q->confirms, struct confirm, link)) &&
               c->ticket <= durable && c->outlink == number) {
            v[count++] = (struct co_flying){.id = c->id, .attempt = c->attempt};
            list_remove(&c->link);
            list_add(&taken, &c->link);
        }
        if (l && !send_confirms(l, v, count)) { /* with the next that become durable */
            struct list *link;
            while ((link = taken.prev) != &taken) {
                list_remove(link);
                list_add_first(&q->confirms, link);
            }
            break;
        }
        q->unconfirmed -= count;
        while (!list_empty(&taken)) {
            c = LIST_FIRST(&taken, struct confirm, link);
            list_remove(&c->link);
            mem_free(c);
        }
    }
    mem_free(v);
}

void outlink_confirms_done(struct queue *q)
{
    while (!list_empty(&q->confirms)) {
        struct confirm *c = LIST_FIRST(&q->confirms, struct confirm, link);
        list_remove(&c->link);
        mem_free(c);
    }
}
