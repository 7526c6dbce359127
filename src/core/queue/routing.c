/* From an envelope to deliveries: which way each recipient takes. */
#include "base/mem.h"

#include "mail/address.h"

#include "core/directory/directory.h"
#include "core/queue/holds.h"
#include "core/queue/queue_int.h"
#include "core/trace/trace.h"

enum {
    BULK_RCPTS = 50,   /* recipients from which a message is bulk */
    READ_PORTION = 16, /* envelopes read before others have a turn */
};

/* ---- whose mail it is */

/* Mail of one sender is one flow at a site. Details and serial numbers (VERP, SRS, plus-addresses)
 * do not make others of him. */
static uint32_t sender_of(struct str reverse_path)
{
    ptrdiff_t at = str_find_last(reverse_path, '@');
    struct str local = str_head(reverse_path, at < 0 ? reverse_path.n : (size_t)at);
    struct str domain = str_from(reverse_path, at < 0 ? reverse_path.n : (size_t)at);
    uint64_t h = 0xcbf29ce484222325U;
    size_t n = 0;

    while (n < local.n && (n == 0 || !strchr("+=-", local.p[n])))
        n++;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)ascii_lower(local.p[i])) * 0x100000001b3U;
    for (size_t i = 0; i < domain.n; i++)
        h = (h ^ (unsigned char)ascii_lower(domain.p[i])) * 0x100000001b3U;
    return (uint32_t)(h ^ h >> 32);
}

static void describe(struct queue *q, struct sched_message *m, const struct envelope *v)
{
    uint32_t arrived = (uint32_t)(v->arrived_ms / 1000);

    m->sender = sender_of(v->given.reverse_path);
    if (str_empty(v->given.reverse_path))
        m->class = SCHED_NOTICE;
    else
        m->class = v->given.count >= BULK_RCPTS ? SCHED_BULK : SCHED_PEOPLE;
    if (!m->arrived) /* never in the future, nor before 1970: the clock may have been wrong */
        m->arrived =
            arrived && v->arrived_ms > 0 && arrived <= queue_age_s(q) ? arrived : queue_age_s(q);
}

bool queue_holds(
    const struct queue *q, const struct sched_message *m, const struct envelope *v, uint32_t target)
{
    const struct holds *holds = q->parts.holds;
    struct str from = v->given.reverse_path;
    const struct target *t = &v->target[target];

    if (!holds || !holds_count(holds) || m->flags & SCHED_RELEASED)
        return false;
    return holds_match(holds, from, t->address) ||
           holds_match(holds, from, v->given.rcpt[t->given].address);
}

/* ---- ways */

struct way *way_copy(const struct route *route)
{
    const struct str from[] = {
        route->title, route->name, route->helo_name, route->from_address, route->key};
    struct str *to[5];
    struct way *w;
    size_t size = 0;
    char *p;

    for (unsigned i = 0; i < ARRAY_COUNT(from); i++)
        size += from[i].n;
    w = mem_alloc(sizeof *w + size);
    if (!w)
        return NULL;
    w->route = *route;
    to[0] = &w->route.title;
    to[1] = &w->route.name;
    to[2] = &w->route.helo_name;
    to[3] = &w->route.from_address;
    to[4] = &w->route.key;
    p = (char *)(w + 1);
    for (unsigned i = 0; i < ARRAY_COUNT(from); i++) {
        if (from[i].n)
            memcpy(p, from[i].p, from[i].n);
        *to[i] = str_of(p, from[i].n);
        p += from[i].n;
    }
    return w;
}

struct routing {
    struct queue *q;
    uint32_t message, spare; /* spare: an ACTIVE delivery that takes the first way */
    const struct envelope *v;
    bool in_fiber;
    uint32_t made[2]; /* chain of deliveries: the message's first before, and how many */
};

static bool is_as_before(const struct way *w, const struct route *r)
{
    return w->route.kind == r->kind && w->route.port == r->port &&
           w->route.connections == r->connections && w->route.rate == r->rate &&
           str_eq(w->route.helo_name, r->helo_name) && str_eq(w->route.name, r->name);
}

/* A section leads here too, not the domain alone: is_this_way() has to look closer. */
static bool is_now_of_section(const struct way *w, const struct route *r)
{
    return str_empty(w->route.title) && !str_empty(r->title);
}

static struct sched_dest *dest_of(struct routing *r, const struct route *route)
{
    struct queue *q = r->q;
    struct sched_dest *d;
    struct way *w;
    bool made;

    if (route->kind == ROUTE_NULL)
        return sched_way(q->sched, SCHED_DOOM);
    d = sched_dest(q->sched, route->key, &made);
    if (!d || (d->user && is_as_before(d->user, route) && !is_now_of_section(d->user, route)))
        return d;
    w = way_copy(route);
    if (!w)
        return d->user ? d : NULL;
    if (d->user && !is_as_before(d->user, route)) /* a reload has changed the route */
        sched_stale(q->sched, d, run_now());
    mem_free(d->user);
    d->user = w;
    return d;
}

/* Ours, but it cannot be delivered any more: DOOM, which says why. */
static int way_of(struct routing *r, struct arena *a, uint32_t i, struct sched_dest **dest)
{
    const struct target *t = &r->v->target[i];
    struct route route;
    struct err why;

    if (t->kind == TARGET_ACCOUNT) {
        *dest = sched_way(r->q->sched, SCHED_LOCAL);
        return 0;
    }
    if (directory_refusal(r->q->directory, t->address, &why)) {
        if (why.class != ERR_PERMANENT && !r->in_fiber)
            return 1;
        *dest = sched_way(r->q->sched, SCHED_DOOM);
        return 0;
    }
    if (routes_find(r->q->routes, a, r->v->given.reverse_path, t->address, &route, &why) < 0)
        *dest = why.class == ERR_PERMANENT ? sched_way(r->q->sched, SCHED_DOOM) : NULL;
    else
        *dest = dest_of(r, &route);
    return *dest ? 0 : -1;
}

static int join(struct routing *r, struct sched_dest *dest)
{
    if (r->spare && dest->stamp_message != r->message) {
        sched_redirect(r->q->sched, r->spare, dest);
        r->spare = 0;
        return 0;
    }
    return sched_deliver(r->q->sched, r->message, dest) ? 0 : -1;
}

static bool is_held_route(const struct sched_dest *dest)
{
    const struct way *w = dest->user;

    return w && w->route.kind == ROUTE_HOLD;
}

/* All that routing has left in our hands goes where it belongs. */
static void start_all(struct routing *r)
{
    struct sched *s = r->q->sched;

    for (uint32_t d = sched_message(s, r->message)->first, next; d; d = next) {
        struct sched_delivery *delivery = sched_delivery(s, d);
        next = delivery->sibling;
        if (delivery->state != SCHED_ACTIVE)
            continue;
        if (is_held_route(sched_dest_of(s, delivery)))
            sched_hold(s, d, HELD_ROUTE);
        else
            queue_back(r->q, d, BACK_READY);
    }
}

/* Some ways are known, but there was no memory for the rest: what is made is undone. */
static enum routed undo(struct routing *r, uint32_t unread, enum routed how)
{
    struct sched *s = r->q->sched;

    for (uint32_t d = sched_message(s, r->message)->first, next; d; d = next) {
        next = sched_delivery(s, d)->sibling;
        if (d != unread && sched_delivery(s, d)->state == SCHED_ACTIVE)
            sched_done(s, d);
    }
    if (unread)
        sched_redirect(s, unread, sched_way(s, SCHED_UNREAD));
    return how;
}

enum routed queue_route(
    struct queue *q, uint32_t message, uint32_t unread, const struct envelope *v)
{
    struct routing r = {.q = q, .message = message, .spare = unread, .v = v};
    struct sched_message *m = sched_message(q->sched, message);
    struct spool_found found = {0};
    struct arena a;
    int rc = 0;

    r.in_fiber = fiber_running();
    arena_init(&a, 1 << 20);
    describe(q, m, v);
    for (uint32_t i = 0; rc == 0 && i < v->targets; i++) {
        struct sched_dest *dest;
        if (unread && !spool_find(q->spool, m->id, &found))
            rc = -1;
        else if (unread && queue_rcpt_done(queue_rcpt(q, &found, m, i)))
            continue;
        else if ((rc = way_of(&r, &a, i, &dest)) == 0)
            rc = join(&r, dest);
        arena_reset(&a);
    }
    arena_done(&a);
    if (rc)
        return undo(&r, unread, rc > 0 ? ROUTED_LATER : ROUTED_FAILED);
    if (r.spare) { /* nothing was left of it */
        sched_done(q->sched, r.spare);
        if (!m->first)
            sched_forget(q->sched, message);
        return ROUTED;
    }
    start_all(&r);
    return ROUTED;
}

/* ---- reading what was found at start */

int queue_load_envelope(struct queue *q, struct arena *a, uint64_t id, struct buf *text,
    struct envelope *v, struct err *e)
{
    if (spool_load(q->spool, id, SPOOL_ENVELOPE, text, e) < 0)
        return -1;
    return envelope_decode(a, buf_str(text), v, e);
}

/* Set aside by the spool, or not to be read: an operator has to look. */
void queue_damaged(struct queue *q, uint32_t delivery, const struct err *why)
{
    struct sched_message *m = sched_message(q->sched, sched_delivery(q->sched, delivery)->message);
    char id[IC_ID_CHARS + 1];

    if (!spool_find(q->spool, m->id, &(struct spool_found){0})) {
        m->left = 0; /* removed meanwhile */
        queue_delivery_done(q, delivery);
        return;
    }
    ic_id_format(m->id, id);
    log_error(q->event, "message_not_read", kv_c("id", id), kv_err(why));
    if (why->class == ERR_PERMANENT || why->class == ERR_BUG) {
        queue_trace(q, TRACE_QUARANTINED, m->id, STR_NONE, str_c(why->text));
        sched_hold(q->sched, delivery, HELD_DAMAGED);
    } else {
        sched_wait(q->sched, delivery, run_now() + 1000);
    }
}

static void read_one(struct queue *q, uint32_t delivery)
{
    uint32_t message = sched_delivery(q->sched, delivery)->message;
    struct envelope v;
    struct arena a;
    struct buf text;
    struct err e;

    arena_init(&a, QUEUE_ARENA);
    buf_init(&text, ENVELOPE_MAX);
    if (queue_load_envelope(q, &a, sched_message(q->sched, message)->id, &text, &v, &e) < 0)
        queue_damaged(q, delivery, &e);
    else if (queue_route(q, message, delivery, &v) != ROUTED)
        sched_wait(q->sched, delivery, run_now() + 1000);
    buf_done(&text);
    arena_done(&a);
}

void queue_read_fiber(void *arg)
{
    struct queue *q = arg;
    unsigned n = 0;

    while (!q->stopping) {
        uint32_t delivery = sched_take_unread(q->sched);
        if (!delivery && queue_sweep(q)) {
            if (++n % READ_PORTION == 0 && fiber_sleep(1, NULL) < 0)
                return;
            continue;
        }
        if (!delivery) {
            if (cond_wait(&q->read_work, "messages to read", NULL) < 0)
                return;
            continue;
        }
        q->reading++;
        read_one(q, delivery);
        q->reading--;
        queue_kick(q);
        if (++n % READ_PORTION == 0 && fiber_sleep(1, NULL) < 0)
            return;
    }
}

/* ---- what has just become durable: by the envelope as it was handed over */

/* A look at the targets' kinds alone, which costs nothing to speak of. */
static bool is_all_local(struct str envelope)
{
    bool all = false;

    return envelope_all_local(envelope, &all) == 0 && all;
}

static int to_way(struct queue *q, uint32_t message, enum sched_way way)
{
    uint32_t d = sched_deliver(q->sched, message, sched_way(q->sched, way));

    if (!d)
        return -1;
    queue_back(q, d, BACK_READY);
    return 0;
}

int queue_fresh(struct queue *q, uint32_t message, struct str envelope)
{
    enum routed how = ROUTED_LATER;
    struct envelope v;

    if (is_all_local(envelope))
        return to_way(q, message, SCHED_LOCAL);
    arena_reset(&q->scratch);
    if (envelope_decode(&q->scratch, envelope, &v, NULL) == 0)
        how = queue_route(q, message, 0, &v);
    arena_reset(&q->scratch);
    return how == ROUTED ? 0 : to_way(q, message, SCHED_UNREAD);
}
