/* Asking a next hop whether it would take mail for a recipient: a transfer that ends after RCPT. */
#include "base/mem.h"

#include "core/queue/outlink_int.h"

enum {
    PROBE_MS = 20 * 1000,
    PROBES_MAX = 50,
    PROBE_ARENA = 1 << 20,
};

/* Ids of messages have the epoch in their upper bits, which never gets that far. */
#define PROBE_ID (UINT64_C(1) << 63)

struct probe {
    struct list link;
    struct cond answered;
    struct str address;
    struct err *verdict;
    uint32_t number;
    bool given, done, yes;
};

static struct probe *find(struct outlink *l, uint32_t number)
{
    LIST_EACH(link, &l->probes)
    {
        struct probe *p = LIST_ENTRY(link, struct probe, link);
        if (p->number == number)
            return p;
    }
    return NULL;
}

static void say(struct probe *p, const struct co_reply *r, bool permanent)
{
    struct err_status status = r->status;

    if (!status.class)
        status = permanent ? (struct err_status){5, 1, 1} : (struct err_status){4, 4, 3};
    err_set_status(p->verdict, permanent ? ERR_PERMANENT : ERR_TEMPORARY, status, "queue", "%.*s",
        STR_ARG(r->text));
}

static void finish(struct probe *p, const struct co_outcome *o)
{
    const struct co_result *r = o->results ? &o->result[0] : NULL;

    p->done = true;
    cond_wake_all(&p->answered);
    if (!r || r->reply >= o->replies)
        return;
    p->yes = r->verdict == CO_SENT || r->verdict == CO_RELAYED;
    if (!p->yes)
        say(p, &o->reply[r->reply], r->verdict == CO_FAILED);
}

static void give(struct probe *p, struct channel_call from)
{
    struct co_rcpt rcpt = {.index = 0, .address = p->address};
    struct co_given answer = {
        .kind = CO_DELIVERY,
        .delivery = {.id = PROBE_ID | p->number,
            .attempt = 1,
            .probe = true,
            .smtputf8 = false,
            .rcpt = &rcpt,
            .rcpts = 1,
            .rcpts_total = 1},
    };
    struct buf reply;

    for (size_t i = 0; i < p->address.n; i++)
        answer.delivery.smtputf8 |= (unsigned char)p->address.p[i] > 127;
    buf_init(&reply, CHANNEL_FRAME_MAX);
    co_given_encode(&answer, &reply);
    channel_reply(from, buf_str(&reply));
    buf_done(&reply);
    p->given = true;
}

/* Outbound keeps every outcome until it is told that it need not. */
static void confirm(struct outlink *l, const struct co_outcome *o)
{
    if (o->id & PROBE_ID)
        outlink_confirm_later(l->q, l->number, o->id, o->attempt, true);
}

bool outlink_probe_next(struct outlink *l, const struct co_next *next, struct channel_call from)
{
    struct probe *p = find(l, next->assignment);

    if (next->has_outcome)
        confirm(l, &next->outcome);
    if (!p)
        return false;
    if (next->has_outcome)
        finish(p, &next->outcome);
    if (p->given || p->done)
        return false; /* it is told to end */
    give(p, from);
    return true;
}

bool outlink_probe_closed(struct outlink *l, const struct co_closed *closed)
{
    struct probe *p = find(l, closed->assignment);

    if (closed->has_outcome)
        confirm(l, &closed->outcome);
    if (!p || p->done)
        return p;
    if (closed->has_outcome) {
        finish(p, &closed->outcome);
        return true;
    }
    p->done = true;
    if (closed->end != CO_ENDED_DONE)
        say(p, &closed->why, closed->end == CO_ENDED_REFUSED);
    cond_wake_all(&p->answered);
    return true;
}

void outlink_probe_gone(struct outlink *l)
{
    struct list *link;

    while ((link = list_take(&l->probes))) {
        struct probe *p = LIST_ENTRY(link, struct probe, link);
        p->done = true;
        cond_wake_all(&p->answered);
    }
}

static int ask(struct queue *q, struct arena *a, const struct route *route, struct probe *p)
{
    struct outlink *l;
    struct hosts *hosts;
    struct str key;
    uint64_t ttl;
    bool sent;

    if (queue_find_hosts(q, a, route, &hosts, &key, &ttl, p->verdict) < 0)
        return -1;
    l = outlink_newest(q);
    sent = l && outlink_send_open(l, p->number, key, hosts);
    mem_free(hosts);
    if (!sent)
        return -1;
    list_add(&l->probes, &p->link);
    while (!p->done)
        if (cond_wait(&p->answered, "a next hop's answer", p->verdict) < 0 && !p->done)
            break;
    list_remove(&p->link);
    return p->yes ? 0 : -1;
}

int queue_probe(struct queue *q, const struct route *route, struct str address, struct err *verdict)
{
    uint64_t before;
    struct probe p = {.address = address, .verdict = verdict};
    struct arena a;
    int rc;

    err_set_status(verdict, ERR_TEMPORARY, (struct err_status){4, 4, 3}, "queue",
        "the next hop cannot be asked now");
    if (q->probes >= PROBES_MAX)
        return -1;
    cond_init(&p.answered);
    p.number = sched_number(q->sched);
    before = fiber_deadline_shorten(run_now() + PROBE_MS);
    q->probes++;
    arena_init(&a, PROBE_ARENA);
    rc = ask(q, &a, route, &p);
    arena_done(&a);
    q->probes--;
    fiber_deadline_restore(before);
    if (rc < 0 && verdict->class != ERR_PERMANENT)
        verdict->class = ERR_TEMPORARY;
    return rc;
}
