/* Outcomes: from what happened to recipients to the spool, the reports, the trace and the log. */
#include "base/mem.h"
#include "base/timefmt.h"

#include "core/queue/queue_int.h"
#include "core/trace/trace.h"

enum {
    TOLD_MAX = 1 << 20,
};

/* ---- what may not be durable yet */

static struct str told_key(const void *entry)
{
    const struct told *t = entry;

    return str_of((const char *)&t->id, sizeof t->id);
}

void queue_told_init(struct queue *q)
{
    table_init(&q->told, told_key, TOLD_MAX);
    list_init(&q->told_order);
}

static struct told *find_told(const struct queue *q, uint64_t id)
{
    return table_find(&q->told, str_of((const char *)&id, sizeof id));
}

static void forget_told(struct queue *q, struct told *t)
{
    uint32_t message = sched_find(q->sched, t->id);

    if (message)
        sched_message(q->sched, message)->flags &= (uint16_t)~SCHED_TOLD;
    table_remove(&q->told, told_key(t));
    list_remove(&t->order);
    mem_free(t->rcpt);
    mem_free(t);
}

void queue_told_done(struct queue *q)
{
    while (!list_empty(&q->told_order))
        forget_told(q, LIST_FIRST(&q->told_order, struct told, order));
    table_done(&q->told);
}

/* Room for count more, before anything is handed to the spool. */
static struct told *told_room(struct queue *q, uint64_t id, uint32_t count)
{
    struct told *t = find_told(q, id);
    struct told_rcpt *more;

    if (!t) {
        t = MEM_NEW(struct told);
        if (!t)
            return NULL;
        t->id = id;
        if (table_add(&q->told, t) != 0) {
            mem_free(t);
            return NULL;
        }
        list_add(&q->told_order, &t->order);
        t->ticket = UINT64_MAX;
    }
    if (t->count + count <= t->cap)
        return t;
    more = mem_resize(t->rcpt, (size_t)(t->count + count) * sizeof *more);
    if (!more)
        return NULL;
    t->rcpt = more;
    t->cap = t->count + count;
    return t;
}

static void tell(struct queue *q, struct told *t, const struct spool_change *change, uint32_t count)
{
    uint32_t message = sched_find(q->sched, t->id);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;
        while (k < t->count && t->rcpt[k].index != change[i].rcpt)
            k++;
        t->count += k == t->count;
        t->rcpt[k] = (struct told_rcpt){change[i].rcpt, change[i].outcome};
    }
    t->ticket = spool_ticket(q->spool);
    list_remove(&t->order);
    list_add(&q->told_order, &t->order);
    if (message)
        sched_message(q->sched, message)->flags |= SCHED_TOLD;
}

void queue_durable(struct queue *q)
{
    uint64_t durable;
    struct told *t;

    if (!q->started)
        return;
    durable = spool_durable(q->spool);
    while ((t = LIST_FIRST(&q->told_order, struct told, order)) && t->ticket <= durable)
        forget_told(q, t);
    outlink_confirm(q, durable);
}

struct spool_rcpt queue_rcpt(const struct queue *q, const struct spool_found *found,
    const struct sched_message *m, uint32_t i)
{
    const struct told *t = m->flags & SCHED_TOLD ? find_told(q, m->id) : NULL;

    for (uint32_t k = 0; t && k < t->count; k++)
        if (t->rcpt[k].index == i)
            return t->rcpt[k].rcpt;
    return found->rcpt && i < found->rcpts ? found->rcpt[i] : (struct spool_rcpt){0};
}

bool queue_rcpt_done(struct spool_rcpt rcpt)
{
    return rcpt.state != SPOOL_PENDING && rcpt.state != SPOOL_DEFERRED;
}

/* ---- reports */

bool queue_must_report(const struct envelope *v, const struct outcome_rcpt *rcpt, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t given = v->target[rcpt[i].index].given;
        if (!rcpt[i].report)
            continue;
        if (rcpt[i].state != SPOOL_DELIVERED || v->given.rcpt[given].notify & IC_NOTIFY_SUCCESS)
            return true;
    }
    return false;
}

static enum report_kind kind_of(const struct outcome_rcpt *r)
{
    if (r->state == SPOOL_FAILED)
        return REPORT_FAILED;
    if (r->state == SPOOL_DEFERRED || r->state == SPOOL_PENDING)
        return REPORT_DELAYED;
    return r->relayed && !r->lmtp ? REPORT_RELAYED : REPORT_DELIVERED;
}

static uint32_t make_reports(struct queue *q, const struct outcome_rcpt *rcpt, uint32_t count,
    const struct envelope *v, struct report_rcpt *out)
{
    int64_t now = wall_ms(), until = v->arrived_ms + (int64_t)q->config->queue.lifetime_ms;
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!rcpt[i].report)
            continue;
        out[n++] = (struct report_rcpt){
            .index = rcpt[i].index,
            .kind = kind_of(&rcpt[i]),
            .relayed_dsn = rcpt[i].dsn_passed,
            .code = rcpt[i].code,
            .status = rcpt[i].status,
            .text = rcpt[i].text,
            .host = rcpt[i].host,
            .address = rcpt[i].address,
            .when_ms = now,
            .until_ms = until,
        };
    }
    return n;
}

/* ---- the trace and the log */

static int trace_kind_of(const struct outcome_rcpt *r)
{
    switch ((enum spool_rcpt_state)r->state) {
    case SPOOL_DELIVERED:
        return r->relayed && !r->lmtp ? TRACE_RELAYED : TRACE_DELIVERED;
    case SPOOL_FAILED:
        return TRACE_FAILED;
    case SPOOL_REMOVED:
        return TRACE_REMOVED;
    case SPOOL_PENDING:
    case SPOOL_DEFERRED:
    case SPOOL_RCPT_STATES:
        break;
    }
    return TRACE_DEFERRED;
}

static void say(struct queue *q, uint64_t id, const struct envelope *v,
    const struct outcome_rcpt *r, uint8_t attempts)
{
    struct str to = v->target[r->index].address;
    struct trace_event ev = {
        .kind = (enum trace_kind)trace_kind_of(r),
        .id = id,
        .to = to,
        .host = r->host,
        .address = r->address,
        .code = r->code,
        .attempt = attempts,
        .status = r->status,
        .text = r->text,
    };
    char name[IC_ID_CHARS + 1];

    trace_write(q->parts.trace, &ev);
    ic_id_format(id, name);
    if (r->state == SPOOL_DELIVERED)
        log_info(q->event, r->relayed ? "relayed" : "delivered", kv_c("id", name), kv_str("to", to),
            kv_str("host", r->host), kv_str("said", r->text));
    else if (r->state == SPOOL_FAILED)
        log_warning(q->event, "failed", kv_c("id", name), kv_str("to", to), kv_str("host", r->host),
            kv_u64("code", r->code), kv_str("why", r->text));
    else if (r->state == SPOOL_REMOVED)
        log_info(q->event, "removed", kv_c("id", name), kv_str("to", to));
    else
        log_info(q->event, "deferred", kv_c("id", name), kv_str("to", to), kv_str("host", r->host),
            kv_u64("code", r->code), kv_str("why", r->text));
}

void queue_trace(struct queue *q, int kind, uint64_t id, struct str to, struct str text)
{
    trace_write(q->parts.trace,
        &(struct trace_event){.kind = (enum trace_kind)kind, .id = id, .to = to, .text = text});
}

static void count_one(struct queue *q, const struct outcome_rcpt *r)
{
    switch ((enum spool_rcpt_state)r->state) {
    case SPOOL_DELIVERED:
        q->counts.relayed += r->relayed;
        q->counts.delivered += !r->relayed;
        break;
    case SPOOL_FAILED:
        q->counts.failed++;
        break;
    case SPOOL_REMOVED:
        q->counts.removed++;
        break;
    case SPOOL_DEFERRED:
        q->counts.failures++;
        break;
    case SPOOL_PENDING:
    case SPOOL_RCPT_STATES:
        break;
    }
}

/* ---- changes */

uint16_t queue_status(uint16_t code, uint16_t flags)
{
    return (uint16_t)((code <= STATUS_CODE ? code : 0) | flags);
}

struct settling {
    struct outcome_rcpt *rcpt; /* those that are news */
    struct spool_change *change;
    struct report_rcpt *report;
    uint32_t rcpts, changes, reports, done; /* done: recipients for good */
};

static int make_changes(struct queue *q, const struct sched_message *m,
    const struct outcome_rcpt *rcpt, uint32_t count, struct settling *s, struct err *e)
{
    struct spool_found found;

    if (!spool_find(q->spool, m->id, &found))
        return err_set(e, ERR_PERMANENT, "queue", "the spool does not know it any more");
    for (uint32_t i = 0; i < count; i++) {
        struct spool_rcpt was = queue_rcpt(q, &found, m, rcpt[i].index), is = was;
        if (queue_rcpt_done(was))
            continue; /* told again, of which nobody is told again */
        is.state = rcpt[i].state;
        is.status = queue_status(rcpt[i].code, was.status & (uint16_t)~STATUS_CODE);
        is.when = queue_age_s(q);
        is.attempts = (uint8_t)(was.attempts + (was.attempts < UINT8_MAX));
        s->done += queue_rcpt_done(is);
        s->rcpt[s->rcpts++] = rcpt[i];
        s->change[s->changes++] = (struct spool_change){
            .kind = SPOOL_OUTCOME, .id = m->id, .rcpt = rcpt[i].index, .outcome = is};
    }
    return 0;
}

/* The last recipients of a message: its end says it all. */
static void make_end(const struct sched_message *m, struct settling *s)
{
    if (s->done < m->left || !s->changes)
        return;
    s->change[0] = (struct spool_change){.kind = SPOOL_END, .id = m->id};
    s->changes = 1;
}

static int hand_in(struct queue *q, uint64_t id, const struct envelope *v, bool must_report,
    struct settling *s, bool *durable, struct err *e)
{
    struct report what = {
        .id = id,
        .envelope = v,
        .rcpt = s->report,
        .rcpts = s->reports,
        .change = s->change,
        .changes = s->changes,
    };

    *durable = must_report && q->parts.reports.report;
    if (*durable)
        return q->parts.reports.report(q->parts.reports.arg, &what, e);
    return spool_change(q->spool, s->change, s->changes, e);
}

/* Changes of a message that lives on. */
int queue_tell(
    struct queue *q, uint64_t id, const struct spool_change *change, uint32_t count, struct err *e)
{
    struct told *t = told_room(q, id, count);

    if (!t)
        return err_memory(e, "queue");
    if (spool_change(q->spool, change, count, e) < 0) {
        if (!t->count)
            forget_told(q, t);
        return -1;
    }
    tell(q, t, change, count);
    return 0;
}

/* All that was left of it has been settled by several, none of whom could know. */
static void end_message(struct queue *q, const struct sched_message *m)
{
    struct spool_change end = {.kind = SPOOL_END, .id = m->id};
    struct err e;

    if (spool_change(q->spool, &end, 1, &e) < 0)
        log_error(q->event, "message_not_ended", kv_err(&e)); /* the next start does */
}

static int settle(struct queue *q, struct sched_message *m, const struct envelope *v,
    const struct outcome_rcpt *rcpt, uint32_t count, struct settling *s, bool *durable,
    struct err *e)
{
    bool must_report, ends;
    struct told *t = NULL;

    if (make_changes(q, m, rcpt, count, s, e) < 0)
        return -1;
    must_report = queue_must_report(v, s->rcpt, s->rcpts);
    if (must_report)
        s->reports = make_reports(q, s->rcpt, s->rcpts, v, s->report);
    make_end(m, s);
    if (!s->changes && !s->reports)
        return 0;
    ends = s->changes && s->change[0].kind == SPOOL_END;
    if (!ends && !must_report && !(t = told_room(q, m->id, s->changes)))
        return err_memory(e, "queue");
    if (hand_in(q, m->id, v, must_report, s, durable, e) < 0) {
        if (t && !t->count)
            forget_told(q, t);
        return -1;
    }
    if (t)
        tell(q, t, s->change, s->changes);
    /* Only now: who settles the rest meanwhile must not end the message before this is safe. */
    m->left = (uint16_t)(m->left - s->done);
    if (!m->left && !ends)
        end_message(q, m);
    return 0;
}

int queue_settle(struct queue *q, uint64_t id, const struct envelope *v,
    const struct outcome_rcpt *rcpt, uint32_t count, bool *durable, struct err *e)
{
    uint32_t message = sched_find(q->sched, id);
    struct settling s = {0};
    int rc = -1;

    *durable = false;
    if (!message)
        return err_set(e, ERR_PERMANENT, "queue", "no such message");
    s.rcpt = mem_array(count + 1, sizeof *s.rcpt);
    s.change = mem_array(count + 1, sizeof *s.change);
    s.report = mem_array(count + 1, sizeof *s.report);
    if (s.rcpt && s.change && s.report)
        rc = settle(q, sched_message(q->sched, message), v, rcpt, count, &s, durable, e);
    else
        err_memory(e, "queue");
    for (uint32_t i = 0; rc == 0 && i < s.rcpts; i++) {
        count_one(q, &s.rcpt[i]);
        say(q, id, v, &s.rcpt[i], 0);
    }
    mem_free(s.rcpt);
    mem_free(s.change);
    mem_free(s.report);
    return rc;
}
