/* Which messages an operator means. */
#include "core/queue/filter.h"

#include "base/mem.h"

#include "core/queue/pattern.h"

enum queue_state queue_state_of(const struct queue *q, const struct sched_message *m)
{
    enum sched_state state = sched_message_state(q->sched, m);
    uint32_t looked = 0;

    if (q->config->queue.hold || state == SCHED_HELD)
        return QUEUE_HELD;
    if (state == SCHED_ACTIVE)
        return QUEUE_ACTIVE;
    if (state == SCHED_DEFERRED)
        return QUEUE_DEFERRED;
    for (uint32_t d = m->first; d && looked++ < 100; d = sched_delivery(q->sched, d)->sibling)
        if (sched_delivery(q->sched, d)->state == SCHED_READY &&
            !queue_waits_for_site(q, sched_delivery(q->sched, d)))
            return QUEUE_QUEUED;
    return m->first ? QUEUE_DEFERRED : QUEUE_QUEUED;
}

bool queue_waits_for_site(const struct queue *q, const struct sched_delivery *d)
{
    const struct sched_dest *dest = sched_dest_of(q->sched, d);

    if (dest->way != SCHED_REMOTE)
        return false;
    if (dest->site)
        return dest->site->state == SITE_BACK_OFF;
    return dest->state == DEST_FAILING;
}

bool filter_needs_envelope(const struct queue_filter *f)
{
    return f && (f->to.n || f->from.n);
}

static bool fits_site(const struct queue *q, const struct sched_message *m, struct str pattern)
{
    for (uint32_t d = m->first; d; d = sched_delivery(q->sched, d)->sibling) {
        const struct sched_dest *dest = sched_dest_of(q->sched, sched_delivery(q->sched, d));
        const struct hosts *hosts = dest->site ? dest->site->user : NULL;
        if (dest->way != SCHED_REMOTE)
            continue;
        if (pattern_fits(pattern, dest->key) ||
            (dest->site && pattern_fits(pattern, dest->site->key)))
            return true;
        for (uint32_t i = 0; hosts && i < hosts->count; i++)
            if (pattern_fits(pattern, hosts->host[i].name))
                return true;
    }
    return false;
}

bool filter_fits(const struct queue *q, const struct sched_message *m, const struct queue_filter *f)
{
    bool named = !f || !f->id;

    if (!f)
        return true;
    for (uint32_t i = 0; i < f->ids && !named; i++)
        named = f->id[i] == m->id;
    if (!named || (f->has_state && queue_state_of(q, m) != f->state))
        return false;
    if (f->older_ms &&
        (!m->arrived || (uint64_t)(queue_age_s(q) - m->arrived) * 1000 < f->older_ms))
        return false;
    return !f->site.n || fits_site(q, m, f->site);
}

static bool fits_from(const struct queue_filter *f, const struct envelope *v)
{
    return !f->from.n || pattern_fits_address(f->from, v->given.reverse_path);
}

static bool fits_to(const struct queue_filter *f, const struct envelope *v)
{
    if (!f->to.n)
        return true;
    for (uint32_t i = 0; i < v->targets; i++)
        if (pattern_fits_address(f->to, v->target[i].address) ||
            pattern_fits_address(f->to, v->given.rcpt[v->target[i].given].address))
            return true;
    return false;
}

int filter_fits_envelope(
    struct queue *q, uint64_t id, const struct queue_filter *f, bool *fits, struct err *e)
{
    struct envelope v;
    struct arena a;
    struct buf text;
    int rc;

    *fits = false;
    arena_init(&a, QUEUE_ARENA);
    buf_init(&text, ENVELOPE_MAX);
    rc = queue_load_envelope(q, &a, id, &text, &v, e);
    if (rc == 0)
        *fits = fits_from(f, &v) && fits_to(f, &v);
    else if (e->class == ERR_PERMANENT || e->class == ERR_BUG)
        rc = 0; /* gone, or damaged: nobody can say */
    buf_done(&text);
    arena_done(&a);
    return rc;
}

/* ---- walking */

static bool walk_ids(struct queue *q, struct filter_walk *w, uint64_t *id)
{
    while (w->at < w->filter->ids) {
        *id = w->filter->id[w->at++];
        if (sched_find(q->sched, *id))
            return true;
    }
    return false;
}

/* By number: what has been seen may go meanwhile. */
static bool walk_all(struct queue *q, struct filter_walk *w, uint64_t *id)
{
    uint32_t h = sched_behind(q->sched, w->at);

    if (!h)
        return false;
    w->at = sched_message(q->sched, h)->number;
    *id = sched_message(q->sched, h)->id;
    return true;
}

int filter_next(struct queue *q, struct filter_walk *w, uint64_t *id, struct err *e)
{
    const struct queue_filter *f = w->filter;
    unsigned looked = 0;
    bool fits;

    while (f && f->id ? walk_ids(q, w, id) : walk_all(q, w, id)) {
        if (++looked % FILTER_PORTION == 0 && fiber_yield(e) < 0)
            return -1;
        if (!sched_find(q->sched, *id) ||
            !filter_fits(q, sched_message(q->sched, sched_find(q->sched, *id)), f))
            continue;
        if (!filter_needs_envelope(f))
            return 1;
        if (filter_fits_envelope(q, *id, f, &fits, e) < 0)
            return -1;
        if (fits && sched_find(q->sched, *id))
            return 1;
    }
    return 0;
}
