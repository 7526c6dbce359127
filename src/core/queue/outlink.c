/* The channels to outbounds: frames, connections that are opened, woken and closed. */
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"

#include "ipc/role.h"

#include "core/queue/outlink_int.h"

enum {
    ARENA_MAX = 16 << 20,
    CHOKED_MS = 50,
    DECLINED_MS = 500,
};

/* ---- asks that have to wait */

void ask_free(struct ask *a)
{
    buf_done(&a->frame);
    arena_done(&a->arena);
    mem_free(a);
}

static struct ask *ask_make(
    struct outlink *l, struct channel_call from, uint16_t type, struct str payload)
{
    struct ask *a = MEM_NEW(struct ask);

    if (!a)
        return NULL;
    a->link = l;
    a->from = from;
    a->type = type;
    arena_init(&a->arena, ARENA_MAX);
    buf_init(&a->frame, CHANNEL_FRAME_MAX);
    if (buf_put(&a->frame, payload) == 0)
        return a;
    ask_free(a);
    return NULL;
}

static struct sched_conn *find_conn(struct outlink *l, uint32_t number)
{
    struct sched_conn *c = sched_conn(l->q->sched, number);
    struct carrier *carrier = c ? c->user : NULL;

    return carrier && carrier->link == l && !carrier->ended ? c : NULL;
}

/* ---- CO_NEXT */

static void answer_given(struct channel_call to, enum co_given_kind kind)
{
    struct co_given answer = {.kind = kind};
    struct buf reply;

    buf_init(&reply, 64);
    co_given_encode(&answer, &reply);
    channel_reply(to, buf_str(&reply));
    buf_done(&reply);
}

/* A delivery that cannot be handed out goes back to where it has to wait. */
static void give_back(struct queue *q, uint32_t delivery, const struct err *e)
{
    if (e->class == ERR_PERMANENT || e->class == ERR_BUG)
        queue_damaged(q, delivery, e);
    else
        sched_wait(q->sched, delivery, run_now() + 1000);
}

static bool give(struct outlink *l, struct sched_conn *c, uint32_t delivery,
    const struct co_next *next, struct channel_call from)
{
    struct queue *q = l->q;
    struct carrier *carrier = c->user;
    struct flight *f;
    struct buf reply;
    struct err e;
    int rc = flight_make(q, delivery, next->rcpts_max, &f, &e);

    if (rc < 0)
        give_back(q, delivery, &e);
    if (rc != 0)
        return false;
    f->lmtp = ((struct hosts *)c->site->user)->lmtp;
    buf_init(&reply, CHANNEL_FRAME_MAX);
    rc = flight_encode(q, f, &reply, &e);
    if (rc == 0) {
        carrier->flight = f;
        channel_reply(from, buf_str(&reply));
    } else {
        give_back(q, delivery, &e);
        flight_free(f);
    }
    buf_done(&reply);
    return rc == 0;
}

static void take_next(
    struct outlink *l, struct sched_conn *c, const struct co_next *next, struct channel_call from)
{
    struct queue *q = l->q;
    uint32_t delivery;

    for (;;) {
        enum sched_take took;
        if (q->stopping || l->closing || l != outlink_newest(q)) {
            answer_given(from, CO_END);
            return;
        }
        took = sched_take(q->sched, c, run_now(), &delivery);
        if (took != TAKE_DELIVERY) {
            answer_given(from, took == TAKE_END ? CO_END : CO_NOTHING);
            return;
        }
        if (give(l, c, delivery, next, from))
            return;
        sched_dropped(q->sched, c);
    }
}

static void next(struct ask *a, struct sched_conn *c, const struct co_next *n)
{
    struct carrier *carrier = c->user;
    struct flight *f = carrier->flight;
    struct channel_call from = a->from;
    struct outlink *l = a->link;
    struct co_next told = *n;

    carrier->flight = NULL;
    if (f)
        flight_ended(l, c, f, n->has_outcome ? &n->outcome : NULL, a);
    else
        ask_free(a);
    take_next(l, c, &told, from);
}

static void next_fiber(void *arg)
{
    struct ask *a = arg;
    struct outlink *l = a->link;
    struct co_next n;
    struct sched_conn *c;
    struct carrier *carrier;
    struct err e;

    if (co_next_decode(&a->arena, buf_str(&a->frame), &n, &e) < 0) {
        channel_cut(l->channel, &e);
        ask_free(a);
        return;
    }
    c = find_conn(l, n.assignment);
    if (!c || ((struct carrier *)c->user)->working) {
        if (!outlink_probe_next(l, &n, a->from))
            answer_given(a->from, CO_END);
        ask_free(a);
        return;
    }
    carrier = c->user;
    carrier->working = true;
    next(a, c, &n);
    carrier->working = false;
    cond_wake_all(&carrier->free);
    queue_kick(l->q);
}

/* ---- CO_READ and CO_RCPTS */

static void read_content(struct ask *a, const struct co_read *r, struct buf *reply)
{
    struct sched_conn *c = find_conn(a->link, r->assignment);
    struct flight *f = c ? ((struct carrier *)c->user)->flight : NULL;
    size_t got = 0;
    char *p;

    if (!f || r->n > CO_READ_MAX || !(p = arena_alloc(&a->arena, r->n + 1)))
        return;
    if (spool_read(a->link->q->spool, f->id, SPOOL_CONTENT, r->at, p, r->n, &got, NULL) == 0)
        buf_put(reply, str_of(p, got));
}

static void read_fiber(void *arg)
{
    struct ask *a = arg;
    struct co_read r;
    struct buf reply;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    if (co_read_decode(buf_str(&a->frame), &r, NULL) == 0)
        read_content(a, &r, &reply);
    channel_reply(a->from, buf_ok(&reply) ? buf_str(&reply) : STR(""));
    buf_done(&reply);
    ask_free(a);
}

static void on_rcpts(struct outlink *l, struct channel_call from, struct str payload)
{
    uint32_t assignment, at;
    struct sched_conn *c = NULL;
    struct flight *f;
    struct buf reply;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    if (co_rcpts_ask_decode(payload, &assignment, &at, NULL) == 0)
        c = find_conn(l, assignment);
    f = c ? ((struct carrier *)c->user)->flight : NULL;
    if (f)
        flight_rcpts(f, at, &reply);
    channel_reply(from, buf_ok(&reply) ? buf_str(&reply) : STR(""));
    buf_done(&reply);
}

/* ---- CO_CLOSED */

static uint32_t reason_of(struct queue *q, const struct co_closed *closed, uint32_t before)
{
    struct reason why = {
        .site = true,
        .code = closed->why.code,
        .status = closed->why.status,
        .text = closed->tried.n ? closed->tried : closed->why.text,
        .host = closed->host,
        .address = closed->address,
    };

    return closed->end == CO_ENDED_DONE ? 0 : reason_add(&q->reasons, &why, before);
}

static void log_closed(
    const struct queue *q, const struct sched_conn *c, const struct co_closed *closed)
{
    if (closed->end == CO_ENDED_DONE)
        return;
    log_info(q->event, closed->end == CO_ENDED_LOST ? "connection_lost" : "site_failed",
        kv_str("site", c->site->key), kv_str("host", closed->host),
        kv_str("address", closed->address), kv_u64("code", closed->why.code),
        kv_str("why", closed->why.text), kv_str("tried", closed->tried));
}

static void free_carrier(struct sched_conn *c)
{
    struct carrier *carrier = c->user;

    carrier->link->count--;
    c->user = NULL;
    mem_free(carrier);
}

static void closed(struct ask *a, struct sched_conn *c, const struct co_closed *closed_by)
{
    static const enum sched_end ends[] = {[CO_ENDED_DONE] = END_DONE,
        [CO_ENDED_FAILED] = END_FAILED,
        [CO_ENDED_REFUSED] = END_REFUSED,
        [CO_ENDED_LOST] = END_LOST};
    struct queue *q = a->link->q;
    struct carrier *carrier = c->user;
    struct flight *f;
    struct outlink *l = a->link;
    uint32_t reason = reason_of(q, closed_by, c->site->reason);
    enum sched_end end = ends[closed_by->end];

    carrier->ended = true;
    while (carrier->working)
        if (cond_wait(&carrier->free, "a connection's end", NULL) < 0) {
            ask_free(a); /* the channel has gone: drop_conns() ends it */
            return;
        }
    log_closed(q, c, closed_by);
    f = carrier->flight;
    carrier->flight = NULL;
    if (f)
        flight_ended(l, c, f, closed_by->has_outcome ? &closed_by->outcome : NULL, a);
    else
        ask_free(a);
    free_carrier(c);
    if (end == END_DONE && c->state == CONN_OPENING) /* it drains, or has no room */
        l->quiet_until = run_now() + DECLINED_MS;
    sched_closed(q->sched, c, end, reason, run_now());
}

static void closed_fiber(void *arg)
{
    struct ask *a = arg;
    struct outlink *l = a->link;
    struct sched_conn *c;
    struct co_closed ended;
    struct err e;

    if (co_closed_decode(&a->arena, buf_str(&a->frame), &ended, &e) < 0) {
        channel_cut(l->channel, &e);
        ask_free(a);
        return;
    }
    c = find_conn(l, ended.assignment);
    if (c) {
        closed(a, c, &ended);
    } else {
        outlink_probe_closed(l, &ended);
        ask_free(a);
    }
    queue_kick(l->q);
}

/* ---- CO_ATTACH */

static void attach_fiber(void *arg)
{
    struct ask *a = arg;
    struct outlink *l = a->link;
    struct co_attach attach;
    struct err e;

    if (co_attach_decode(&a->arena, buf_str(&a->frame), &attach, &e) < 0) {
        channel_cut(l->channel, &e);
    } else {
        outlink_attach(l, &attach);
        channel_reply(a->from, STR(""));
        if (attach.last && !l->attached) {
            l->attached = true;
            log_info(l->q->event, "outbound_attached", kv_u64("process", l->number));
        }
    }
    ask_free(a);
    queue_kick(l->q);
}

/* ---- frames */

static void start(
    struct outlink *l, struct channel_call from, uint16_t type, struct str payload, fiber_fn *fn)
{
    struct ask *a = ask_make(l, from, type, payload);
    struct err e;

    if (a && fiber_start(&l->scope, "outlink", fn, a, &e) == 0)
        return;
    if (a)
        ask_free(a);
    else
        err_memory(&e, "queue");
    /* What is lost here would be lost for good: begin anew, it tells all again. */
    channel_cut(l->channel, &e);
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct outlink *l = arg;

    if (fd >= 0)
        close(fd);
    if (l->closing) {
        if (from.call)
            channel_reply(from, STR(""));
        return false;
    }
    switch ((enum co_type)type) {
    case CO_ATTACH:
        start(l, from, type, payload, attach_fiber);
        return false;
    case CO_NEXT:
        start(l, from, type, payload, next_fiber);
        return false;
    case CO_READ:
        start(l, from, type, payload, read_fiber);
        return false;
    case CO_RCPTS:
        on_rcpts(l, from, payload);
        return false;
    case CO_CLOSED:
        start(l, from, type, payload, closed_fiber);
        return false;
    case CO_OPEN:
    case CO_WORK:
    case CO_CLOSE:
    case CO_CONFIRM:
        break;
    }
    if (from.call)
        channel_reply(from, STR(""));
    return false;
}

/* ---- life */

static void drop_conns(struct outlink *l)
{
    while (!list_empty(&l->conns)) {
        struct sched_conn *c = LIST_FIRST(&l->conns, struct sched_conn, everyone);
        struct carrier *carrier = c->user;
        struct flight *f = carrier->flight;
        if (f)
            sched_dropped(l->q->sched, c);
        free_carrier(c);
        sched_closed(l->q->sched, c, END_DONE, 0, run_now());
        if (f && l->q->stopping)
            flight_free(f); /* goes on: outbound tells the next core */
        else if (f)
            flight_lost(l->q, f);
    }
}

static void drop_flying(struct outlink *l)
{
    while (!list_empty(&l->flying)) {
        struct flying *f = LIST_FIRST(&l->flying, struct flying, link);
        uint32_t message = sched_find(l->q->sched, f->id);
        if (message)
            sched_message(l->q->sched, message)->flags &= (uint16_t)~SCHED_FLYING;
        list_remove(&f->link);
        mem_free(f);
    }
}

static void close_fiber(void *arg)
{
    struct outlink *l = arg;
    struct queue *q = l->q;

    scope_join(&l->scope);
    outlink_probe_gone(l);
    drop_conns(l);
    drop_flying(l);
    channel_close(&l->channel);
    list_remove(&l->link);
    mem_free(l);
    queue_kick(q);
}

static void outlink_close(struct outlink *l)
{
    if (l->closing)
        return;
    l->closing = true;
    l->attached = false;
    scope_cancel(&l->scope);
    if (fiber_start(&l->q->tasks, "outlink-close", close_fiber, l, NULL) < 0)
        log_error(l->q->event, "outlink_not_closed");
}

static void on_closed(void *arg, struct channel *channel, const struct err *why)
{
    struct outlink *l = arg;

    (void)channel;
    log_info(l->q->event, "outbound_gone", kv_u64("process", l->number), kv_err(why));
    outlink_close(l);
}

void outlink_open(struct queue *q, const struct role_peer *peer, int fd)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    struct outlink *l = MEM_NEW(struct outlink);
    struct err e;

    if (!l) {
        close(fd);
        log_error(q->event, "out_of_memory");
        return;
    }
    if (channel_open(&l->channel, fd, "outbound", &handler, l, &e) < 0) {
        log_error(q->event, "outlink_not_opened", kv_err(&e));
        mem_free(l);
        return;
    }
    l->q = q;
    l->number = peer->number;
    scope_init(&l->scope);
    list_init(&l->conns);
    list_init(&l->flying);
    list_init(&l->probes);
    list_add(&q->links, &l->link);
}

void outlink_close_all(struct queue *q)
{
    LIST_EACH(link, &q->links)
    {
        outlink_close(LIST_ENTRY(link, struct outlink, link));
    }
}

/* ---- what is opened and woken */

/* The newest one that is attached: older ones are of an older configuration and drain. */
struct outlink *outlink_newest(const struct queue *q)
{
    struct outlink *newest = NULL;

    LIST_EACH(link, &q->links)
    {
        struct outlink *l = LIST_ENTRY(link, struct outlink, link);
        if (l->attached && (!newest || l->number > newest->number))
            newest = l;
    }
    return newest;
}

bool queue_has_outbound(const struct queue *q)
{
    return outlink_newest(q);
}

/* RFC 5321 5.1: hosts of equal preference in an order of their own each time. */
static void shuffle(const struct hosts *from, struct co_host *to)
{
    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t first = i, at;
        while (first > 0 && from->preference[first - 1] == from->preference[i])
            first--;
        at = first + (uint32_t)rng_below(i - first + 1);
        to[i] = to[at];
        to[at] = from->host[i];
    }
}

bool outlink_send_open(
    struct outlink *l, uint32_t number, struct str site, const struct hosts *hosts)
{
    struct co_host *order = mem_array(hosts->count, sizeof *order);
    struct co_open o = {
        .assignment = number,
        .lmtp = hosts->lmtp,
        .by_mx = hosts->by_mx,
        .site = str_head(site, CO_NAME_MAX),
        .helo_name = hosts->helo_name,
        .host = order,
        .hosts = hosts->count,
    };
    struct buf payload;
    bool sent;

    if (!order)
        return false;
    shuffle(hosts, order);
    buf_init(&payload, CHANNEL_FRAME_MAX);
    co_open_encode(&o, &payload);
    sent = buf_ok(&payload) && channel_try_notify(l->channel, CO_OPEN, buf_str(&payload));
    buf_done(&payload);
    mem_free(order);
    return sent;
}

static bool open_one(struct queue *q, struct outlink *l, struct sched_conn *c)
{
    struct carrier *carrier = MEM_NEW(struct carrier);

    if (carrier && c->site->user && outlink_send_open(l, c->number, c->site->key, c->site->user)) {
        carrier->link = l;
        cond_init(&carrier->free);
        c->user = carrier;
        list_add(&l->conns, &c->everyone);
        l->count++;
        return true;
    }
    mem_free(carrier);
    sched_closed(q->sched, c, END_DONE, 0, run_now());
    return false;
}

static bool send_work(struct sched_conn *c)
{
    struct carrier *carrier = c->user;
    struct buf payload;
    bool sent;

    buf_init(&payload, 16);
    co_assignment_encode(c->number, &payload);
    sent = channel_try_notify(carrier->link->channel, CO_WORK, buf_str(&payload));
    buf_done(&payload);
    return sent;
}

/* Returns when it is to be called again for want of credit, or UINT64_MAX. */
uint64_t outlink_pump(struct queue *q)
{
    struct outlink *l = outlink_newest(q);
    struct sched_conn *c;

    if (!l)
        return UINT64_MAX;
    while ((c = sched_wake_next(q->sched))) {
        if (send_work(c))
            continue;
        sched_not_woken(q->sched, c);
        return run_now() + CHOKED_MS;
    }
    if (run_now() < l->quiet_until)
        return l->quiet_until;
    while ((c = sched_open_next(q->sched, run_now())))
        if (!open_one(q, l, c))
            return run_now() + CHOKED_MS;
    return UINT64_MAX;
}
