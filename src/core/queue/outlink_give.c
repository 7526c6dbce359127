/* What an outbound is given: a delivery's recipients that can go now, and the message. */
#include "base/mem.h"

#include "core/queue/forward.h"
#include "core/queue/outlink_int.h"
#include "core/trace/trace.h"

enum {
    FRAME_ROOM = CHANNEL_FRAME_MAX - 2048, /* for prefix, recipients and content */
    RCPTS_INLINE = 12 * 1024,              /* octets of recipients */
    RCPT_OCTETS = 32,                      /* of one, without its text */
};

void flight_free(struct flight *f)
{
    if (!f)
        return;
    buf_done(&f->text);
    arena_done(&f->arena);
    mem_free(f);
}

/* ---- whose way it is */

struct choosing {
    struct queue *q;
    struct flight *f;
    const struct sched_dest *dest;
    struct spool_found found;
    struct str reverse_path; /* of the first that was chosen */
    bool chosen;
    uint32_t max, fresh, waiting, held;
};

static struct str domain_of(struct str address)
{
    ptrdiff_t at = str_find_last(address, '@');

    return at < 0 ? STR_NONE : str_from(address, (size_t)at + 1);
}

/* A domain name without A-labels to be made, which is its own key. */
static bool is_name(struct str s)
{
    if (!s.n || s.p[0] == '[')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] > 127)
            return false;
    return true;
}

/* By the routes as they are now. Without a route of its own a recipient goes where its domain says:
 * no need to look twice at one of another domain. */
static bool is_this_way(struct choosing *c, uint32_t i, struct route *route)
{
    const struct target *t = &c->f->v.target[i];
    const struct way *way = c->dest->user;
    struct str domain = domain_of(t->address);

    if (t->kind != TARGET_ADDRESS)
        return false;
    if (str_empty(way->route.title) && is_name(domain) && !str_eq_ascii(domain, way->route.key))
        return false;
    return routes_find(c->q->routes, &c->f->arena, c->f->v.given.reverse_path, t->address, route,
               NULL) == 0 &&
           str_eq(route->key, c->dest->key);
}

/* The reverse-path that this recipient's copy gets: a route's own, that of a forwarder (so that SPF
 * survives), or what came in. */
static int reverse_path_of(
    struct choosing *c, uint32_t i, const struct route *route, struct str *path, struct err *e)
{
    const struct envelope *v = &c->f->v;

    *path = v->given.reverse_path;
    if (str_empty(*path))
        return 0;
    if (route->from_address.n) {
        *path = route->from_address;
        return 0;
    }
    if (!c->q->parts.forward)
        return 0;
    return forward_reverse_path(c->q->parts.forward, &c->f->arena, v, i, path, e);
}

/* ---- choosing */

enum turn {
    TURN_FRESH,   /* those that were not tried, or not answered for */
    TURN_WAITING, /* those that were deferred: all of them, their delivery's time has come */
};

static int choose_one(struct choosing *c, uint32_t i, const struct route *route, struct err *e)
{
    struct flight *f = c->f;
    struct str path;

    if (reverse_path_of(c, i, route, &path, e) < 0)
        return -1;
    if (c->chosen && !str_eq(path, c->reverse_path)) {
        f->others++;
        return 0;
    }
    if (f->rcpts == c->max) {
        f->others++;
        return 0;
    }
    if (!c->chosen && !arena_dup(&f->arena, path, &c->reverse_path))
        return err_memory(e, "queue");
    c->chosen = true;
    f->rcpt[f->rcpts++] = i;
    return 0;
}

static int choose(struct choosing *c, enum turn turn, struct err *e)
{
    const struct sched_message *m = sched_message(c->q->sched, c->f->message);
    const struct envelope *v = &c->f->v;

    c->fresh = c->waiting = c->held = 0;
    for (uint32_t i = 0; i < v->targets; i++) {
        struct spool_rcpt rcpt = queue_rcpt(c->q, &c->found, m, i);
        struct route route;
        if (queue_rcpt_done(rcpt) || !is_this_way(c, i, &route))
            continue;
        if (queue_holds(c->q, m, v, i)) {
            c->held++;
            continue;
        }
        c->fresh += rcpt.state == SPOOL_PENDING;
        c->waiting += rcpt.state == SPOOL_DEFERRED;
        if ((rcpt.state == SPOOL_PENDING) == (turn == TURN_FRESH) &&
            choose_one(c, i, &route, e) < 0)
            return -1;
    }
    return 0;
}

/* Nothing can go now: held, gone, or another way since a reload. Then no delivery stands for its
 * recipients: all that is left of the message is routed anew, as soon as nothing is under way. */
static void put_elsewhere(struct choosing *c)
{
    struct sched_message *m = sched_message(c->q->sched, c->f->message);
    uint32_t delivery = c->f->delivery;

    if (c->held) {
        sched_hold(c->q->sched, delivery, HELD_RULE);
    } else if (!m->left) {
        queue_delivery_done(c->q, delivery);
    } else if (m->in[SCHED_ACTIVE] > 1) {
        sched_wait(c->q->sched, delivery, run_now() + 1000);
    } else {
        sched_redirect(c->q->sched, delivery, sched_way(c->q->sched, SCHED_UNREAD));
        sched_put_ready(c->q->sched, delivery, run_now());
        queue_restart(c->q, c->f->message);
    }
}

/* Once: with the first attempt. */
static void trace_forwarded(const struct choosing *c)
{
    const struct flight *f = c->f;
    const struct sched_message *m = sched_message(c->q->sched, f->message);

    if (str_eq(c->reverse_path, f->v.given.reverse_path))
        return;
    for (uint32_t i = 0; i < f->rcpts; i++)
        if (queue_rcpt(c->q, &c->found, m, f->rcpt[i]).attempts == 0)
            trace_write(c->q->parts.trace, &(struct trace_event){.kind = TRACE_FORWARDED,
                                               .id = f->id,
                                               .from = c->reverse_path,
                                               .has_from = true,
                                               .to = f->v.target[f->rcpt[i]].address});
}

static int fill(struct choosing *c, struct err *e)
{
    struct flight *f = c->f;

    if (queue_load_envelope(c->q, &f->arena, f->id, &f->text, &f->v, e) < 0)
        return -1;
    if (!spool_find(c->q->spool, f->id, &c->found))
        return err_set(e, ERR_PERMANENT, "queue", "the spool does not know it any more");
    f->content = c->found.content;
    f->rcpt = arena_array(&f->arena, f->v.targets, sizeof *f->rcpt);
    if (!f->rcpt)
        return err_memory(e, "queue");
    if (choose(c, TURN_FRESH, e) < 0)
        return -1;
    if (f->rcpts) {
        f->others_wait = !f->others && c->waiting;
        f->others += c->waiting;
        trace_forwarded(c);
        return 0;
    }
    return choose(c, TURN_WAITING, e);
}

/* It became READY while its message was in other hands: held, removed, or with an outbound. */
static bool may_not_go(const struct sched_message *m)
{
    return m->flags & (SCHED_OPERATOR | SCHED_QUARANTINE | SCHED_REMOVED | SCHED_FLYING);
}

int flight_make(
    struct queue *q, uint32_t delivery, uint32_t rcpts_max, struct flight **out, struct err *e)
{
    const struct sched_delivery *d = sched_delivery(q->sched, delivery);
    struct sched_message *m = sched_message(q->sched, d->message);
    struct choosing c = {.q = q, .dest = sched_dest_of(q->sched, d)};
    struct flight *f;

    if (may_not_go(m)) {
        queue_back(q, delivery, BACK_READY);
        return 1;
    }
    c.f = f = MEM_NEW(struct flight);
    if (!f)
        return err_memory(e, "queue");
    c.max = rcpts_max && rcpts_max < CO_RCPTS_MAX ? rcpts_max : CO_RCPTS_MAX;
    arena_init(&f->arena, QUEUE_ARENA);
    buf_init(&f->text, ENVELOPE_MAX);
    f->id = m->id;
    f->message = d->message;
    f->delivery = delivery;
    if (fill(&c, e) < 0) {
        flight_free(f);
        return -1;
    }
    if (!f->rcpts) {
        put_elsewhere(&c);
        flight_free(f);
        return 1;
    }
    f->attempt = ++m->attempt;
    f->v.given.reverse_path = c.reverse_path;
    *out = f;
    return 0;
}

/* ---- as octets */

static int list_rcpts(struct flight *f, struct err *e)
{
    f->given = arena_array(&f->arena, f->rcpts, sizeof *f->given);
    if (!f->given)
        return err_memory(e, "queue");
    for (uint32_t i = 0; i < f->rcpts; i++) {
        const struct target *t = &f->v.target[f->rcpt[i]];
        const struct ic_recipient *given = &f->v.given.rcpt[t->given];
        f->given[i] = (struct co_rcpt){
            .index = f->rcpt[i],
            .address = t->address,
            .orcpt = given->orcpt,
            .notify = given->notify,
        };
    }
    return 0;
}

static uint32_t rcpts_that_fit(const struct flight *f, uint32_t from, size_t room)
{
    uint32_t n = 0;
    size_t size = 0;

    while (from + n < f->rcpts) {
        const struct co_rcpt *r = &f->given[from + n];
        size += RCPT_OCTETS + r->address.n + r->orcpt.n;
        if (n && size > room)
            break;
        n++;
    }
    return n;
}

void flight_rcpts(const struct flight *f, uint32_t from, struct buf *out)
{
    if (from < f->rcpts)
        co_rcpts_encode(f->given + from, rcpts_that_fit(f, from, FRAME_ROOM), out);
}

static int load_content(
    struct queue *q, struct flight *f, size_t room, struct str *content, struct err *e)
{
    size_t n = f->content < room ? (size_t)f->content : room, got = 0;
    char *p;

    if (n > CO_INLINE_MAX)
        n = CO_INLINE_MAX;
    p = arena_alloc(&f->arena, n + 1);
    if (!p)
        return err_memory(e, "queue");
    if (n && spool_read(q->spool, f->id, SPOOL_CONTENT, 0, p, n, &got, e) < 0)
        return -1;
    *content = str_of(p, got);
    return 0;
}

int flight_encode(struct queue *q, struct flight *f, struct buf *out, struct err *e)
{
    const struct ic_envelope *given = &f->v.given;
    struct co_given answer = {.kind = CO_DELIVERY};
    struct co_delivery *d = &answer.delivery;
    struct buf prefix;
    size_t used;
    int rc;

    if (list_rcpts(f, e) < 0)
        return -1;
    *d = (struct co_delivery){
        .id = f->id,
        .attempt = f->attempt,
        .smtputf8 = given->smtputf8,
        .eight_bit = given->eight_bit,
        .ret = given->ret,
        .envid = given->envid,
        .reverse_path = given->reverse_path,
        .content_size = f->content,
        .rcpt = f->given,
        .rcpts = rcpts_that_fit(f, 0, RCPTS_INLINE),
        .rcpts_total = f->rcpts,
    };
    buf_init(&prefix, CHANNEL_FRAME_MAX);
    rc = spool_load(q->spool, f->id, SPOOL_PREFIX, &prefix, e);
    d->prefix = buf_str(&prefix);
    used = d->prefix.n + RCPTS_INLINE + given->reverse_path.n + given->envid.n;
    if (rc == 0 && used > FRAME_ROOM)
        rc = err_set(e, ERR_PERMANENT, "queue", "its header is too large to be handed over");
    if (rc == 0)
        rc = load_content(q, f, FRAME_ROOM - used, &d->content, e);
    if (rc == 0)
        co_given_encode(&answer, out);
    buf_done(&prefix);
    if (rc == 0 && !buf_ok(out))
        rc = err_set(e, ERR_BUG, "queue", "a delivery that cannot be encoded");
    return rc;
}
