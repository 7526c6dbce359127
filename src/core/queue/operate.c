/* What operators do with messages. */
#include "base/mem.h"

#include "core/queue/filter.h"
#include "core/trace/trace.h"

const char *queue_state_name(enum queue_state state)
{
    static const char *const names[] = {[QUEUE_QUEUED] = "queued",
        [QUEUE_ACTIVE] = "active",
        [QUEUE_DEFERRED] = "deferred",
        [QUEUE_HELD] = "held",
        [QUEUE_STATES] = ""};

    return names[state];
}

/* ---- lists */

static void fill_row(const struct queue *q, uint32_t message, struct queue_row *row)
{
    const struct sched_message *m = sched_message(q->sched, message);
    struct spool_found f = {0};

    spool_find(q->spool, m->id, &f);
    *row = (struct queue_row){
        .id = m->id,
        .number = m->number,
        .size = f.prefix + f.content,
        .arrived_ms = (int64_t)m->arrived * 1000,
        .state = queue_state_of(q, m),
        .rcpts = f.rcpts,
        .left = m->left,
    };
}

void queue_fill_row(const struct queue *q, uint32_t message, struct queue_row *row)
{
    fill_row(q, message, row);
}

enum {
    LOOKED_MAX = 20000, /* messages that a page looks at */
    READ_MAX = 2000,    /* envelopes that it reads */
};

static int list_ids(struct queue *q, uint64_t *after, const struct queue_filter *f,
    struct queue_row *row, uint32_t limit, uint32_t *count, struct err *e)
{
    struct filter_walk w = {.filter = f, .at = *after};
    uint64_t id;
    int rc = 0;

    while (*count < limit && (rc = filter_next(q, &w, &id, e)) > 0)
        fill_row(q, sched_find(q->sched, id), &row[(*count)++]);
    *after = w.at < f->ids && rc > 0 ? w.at : 0;
    return rc < 0 ? -1 : 0;
}

int queue_list(struct queue *q, uint64_t *after, const struct queue_filter *f,
    struct queue_row *row, uint32_t limit, uint32_t *count, struct err *e)
{
    bool reads = filter_needs_envelope(f), fits = true;
    uint32_t looked = 0, read = 0, h;

    *count = 0;
    if (f && f->id)
        return list_ids(q, after, f, row, limit, count, e);
    while ((h = sched_behind(q->sched, *after))) {
        uint64_t id = sched_message(q->sched, h)->id;
        if (*count == limit || looked++ == LOOKED_MAX || read == READ_MAX)
            return 0;
        *after = sched_message(q->sched, h)->number;
        if (!filter_fits(q, sched_message(q->sched, h), f))
            continue;
        read += reads;
        if (reads && filter_fits_envelope(q, id, f, &fits, e) < 0)
            return -1;
        h = sched_find(q->sched, id);
        if (fits && h)
            fill_row(q, h, &row[(*count)++]);
    }
    *after = 0;
    return 0;
}

/* ---- acts: each on one message, which is there and may be under way */

typedef int act_fn(struct queue *q, uint32_t message, struct err *e);

static int act(
    struct queue *q, const struct queue_filter *filter, act_fn *fn, uint64_t *count, struct err *e)
{
    struct filter_walk w = {.filter = filter};
    uint64_t id;
    int rc;

    *count = 0;
    while ((rc = filter_next(q, &w, &id, e)) > 0) {
        int done = fn(q, sched_find(q->sched, id), e);
        if (done < 0)
            return -1;
        *count += (unsigned)done;
    }
    queue_kick(q);
    return rc;
}

static void say(struct queue *q, const char *event, uint64_t id, const char *why)
{
    char name[IC_ID_CHARS + 1];

    ic_id_format(id, name);
    log_info(q->event, event, kv_c("id", name), kv_c("why", why));
}

/* That it is held, or not, is kept with its recipients: it outlives a restart. */
static int journal_flags(
    struct queue *q, const struct sched_message *m, uint16_t set, uint16_t clear, struct err *e)
{
    struct spool_change *change;
    struct spool_found f;
    uint32_t n = 0;
    int rc;

    if (!spool_find(q->spool, m->id, &f))
        return 0;
    change = mem_array(f.rcpts, sizeof *change);
    if (!change)
        return err_memory(e, "queue");
    for (uint32_t i = 0; i < f.rcpts; i++) {
        struct spool_rcpt rcpt = queue_rcpt(q, &f, m, i);
        uint16_t status = (uint16_t)((rcpt.status & ~clear) | set);
        if (queue_rcpt_done(rcpt) || status == rcpt.status)
            continue;
        rcpt.status = status;
        change[n++] =
            (struct spool_change){.kind = SPOOL_OUTCOME, .id = m->id, .rcpt = i, .outcome = rcpt};
    }
    rc = n ? queue_tell(q, m->id, change, n, e) : 0;
    mem_free(change);
    return rc;
}

static int hold_one(struct queue *q, uint32_t message, struct err *e)
{
    struct sched_message *m = sched_message(q->sched, message);

    if (m->flags & (SCHED_OPERATOR | SCHED_REMOVED))
        return 0;
    if (journal_flags(q, m, STATUS_HELD, 0, e) < 0)
        return -1;
    m->flags = (uint16_t)((m->flags | SCHED_OPERATOR) & ~SCHED_RELEASED);
    for (uint32_t d = m->first; d; d = sched_delivery(q->sched, d)->sibling) {
        uint8_t state = sched_delivery(q->sched, d)->state;
        if (state != SCHED_READY && state != SCHED_DEFERRED)
            continue;
        sched_claim(q->sched, d);
        sched_hold(q->sched, d, HELD_OPERATOR);
    }
    queue_trace(q, TRACE_HELD, m->id, STR_NONE, STR("by the operator"));
    say(q, "held", m->id, "by the operator");
    return 1;
}

static int release_one(struct queue *q, uint32_t message, struct err *e)
{
    struct sched_message *m = sched_message(q->sched, message);
    uint16_t mask = SCHED_OPERATOR | SCHED_QUARANTINE;

    if (!m->in[SCHED_HELD] && !(m->flags & (SCHED_OPERATOR | SCHED_QUARANTINE)))
        return 0;
    if (journal_flags(q, m, 0, STATUS_HELD | STATUS_QUARANTINE, e) < 0)
        return -1;
    m->flags = (uint16_t)((m->flags & ~mask) | SCHED_RELEASED);
    queue_trace(q, TRACE_RELEASED, m->id, STR_NONE, STR_NONE);
    say(q, "released", m->id, "by the operator");
    queue_restart(q, message);
    return 1;
}

/* Its sites are tried too, whatever their back-off says. */
static int retry_one(struct queue *q, uint32_t message, struct err *e)
{
    struct sched_message *m = sched_message(q->sched, message);

    (void)e;
    if (m->flags & (SCHED_OPERATOR | SCHED_QUARANTINE) ||
        !(m->in[SCHED_READY] || m->in[SCHED_DEFERRED]))
        return 0;
    for (uint32_t d = m->first; d; d = sched_delivery(q->sched, d)->sibling) {
        struct sched_dest *dest = sched_dest_of(q->sched, sched_delivery(q->sched, d));
        if (dest->way == SCHED_REMOTE)
            sched_dest_retry(q->sched, dest, run_now());
        if (dest->site)
            sched_site_retry(q->sched, dest->site, run_now());
    }
    queue_trace(q, TRACE_RETRIED, m->id, STR_NONE, STR_NONE);
    say(q, "retried", m->id, "by the operator");
    if (m->in[SCHED_DEFERRED])
        queue_restart(q, message);
    return 1;
}

/* Everything that is not under way goes now; the rest when its transaction has ended. */
static int remove_pending(struct queue *q, struct sched_message *m, struct err *e)
{
    struct spool_change end = {.kind = SPOOL_END, .id = m->id};
    uint32_t next;

    if (spool_change(q->spool, &end, 1, e) < 0)
        return -1;
    q->counts.removed += m->left;
    m->left = 0;
    for (uint32_t d = m->first; d; d = next) {
        next = sched_delivery(q->sched, d)->sibling;
        sched_claim(q->sched, d);
        queue_delivery_done(q, d);
    }
    return 0;
}

/* The same while something is under way: nothing else of it begins. */
static void doom_pending(struct queue *q, struct sched_message *m)
{
    uint32_t next;

    m->flags |= SCHED_REMOVED;
    for (uint32_t d = m->first; d; d = next) {
        next = sched_delivery(q->sched, d)->sibling;
        if (sched_delivery(q->sched, d)->state == SCHED_ACTIVE)
            continue;
        sched_claim(q->sched, d);
        queue_back(q, d, BACK_READY);
    }
}

static int remove_one(struct queue *q, uint32_t message, struct err *e)
{
    struct sched_message *m = sched_message(q->sched, message);
    uint64_t id = m->id;

    if (m->flags & SCHED_REMOVED)
        return 0;
    if (m->in[SCHED_ACTIVE]) {
        /* A crash before its transaction has ended must not bring the rest back. */
        if (journal_flags(q, m, STATUS_REMOVED, 0, e) < 0)
            return -1;
        doom_pending(q, m);
    } else if (remove_pending(q, m, e) < 0) {
        return -1;
    }
    queue_trace(q, TRACE_REMOVED, id, STR_NONE, STR("by the operator"));
    say(q, "removed", id, "by the operator");
    return 1;
}

int queue_retry(struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e)
{
    return act(q, filter, retry_one, count, e);
}

/* What an operator was told has been done is done. */
static int act_durably(
    struct queue *q, const struct queue_filter *filter, act_fn *fn, uint64_t *count, struct err *e)
{
    if (act(q, filter, fn, count, e) < 0)
        return -1;
    return *count ? spool_flush(q->spool, e) : 0;
}

int queue_hold(struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e)
{
    return act_durably(q, filter, hold_one, count, e);
}

int queue_release(
    struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e)
{
    return act_durably(q, filter, release_one, count, e);
}

int queue_remove(struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e)
{
    return act_durably(q, filter, remove_one, count, e);
}

int queue_quarantine(struct queue *q, uint64_t id, const char *why, struct err *e)
{
    uint32_t message = sched_find(q->sched, id);
    struct sched_message *m;

    if (!message)
        return err_set(e, ERR_PERMANENT, "queue", "there is no such message");
    m = sched_message(q->sched, message);
    if (journal_flags(q, m, STATUS_QUARANTINE, 0, e) < 0)
        return -1;
    m->flags |= SCHED_QUARANTINE;
    for (uint32_t d = m->first; d; d = sched_delivery(q->sched, d)->sibling) {
        uint8_t state = sched_delivery(q->sched, d)->state;
        if (state != SCHED_READY && state != SCHED_DEFERRED)
            continue;
        sched_claim(q->sched, d);
        sched_hold(q->sched, d, HELD_QUARANTINE);
    }
    queue_trace(q, TRACE_QUARANTINED, id, STR_NONE, str_c(why));
    return spool_flush(q->spool, e);
}
