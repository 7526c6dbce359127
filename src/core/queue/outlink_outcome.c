/* What outbounds say came of it. */
#include "base/mem.h"

#include "core/queue/outlink_int.h"
#include "core/trace/trace.h"

enum {
    AGAIN_MS = 1000,  /* when what happened could not be noted */
    UNTRIED_MS = 100, /* a delivery of which nothing was tried */
};

/* Outcomes on their way into the spool. */
struct settling {
    struct queue *q;
    struct flight *f;
    struct ask *a; /* what the texts lie in */
    uint32_t link;
    struct outcome_rcpt *rcpt;
    uint32_t count, untried, deferred;
    uint32_t reason;
};

static void settling_free(struct settling *s)
{
    flight_free(s->f);
    if (s->a)
        ask_free(s->a);
    mem_free(s);
}

/* ---- from an outcome to recipients */

static bool was_given(const struct flight *f, uint32_t index)
{
    uint32_t low = 0, high = f->rcpts;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (f->rcpt[middle] < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->rcpts && f->rcpt[low] == index;
}

static struct outcome_rcpt rcpt_of(
    const struct co_outcome *o, const struct co_result *r, bool lmtp, bool expired)
{
    const struct co_reply *said = &o->reply[r->reply];
    struct outcome_rcpt out = {
        .index = r->index,
        .relayed = true,
        .lmtp = lmtp,
        .report = true,
        .dsn_passed = r->verdict == CO_SENT,
        .code = said->code,
        .status = said->status,
        .text = said->text,
        .host = o->host,
        .address = o->address,
    };

    out.state = SPOOL_DEFERRED;
    if (r->verdict == CO_SENT || r->verdict == CO_RELAYED)
        out.state = SPOOL_DELIVERED;
    else if (r->verdict == CO_FAILED)
        out.state = SPOOL_FAILED;
    else if (expired) { /* RFC 3463 3.5, X.4.7 */
        out.state = SPOOL_FAILED;
        out.status = (struct err_status){5, 4, 7};
    }
    out.report = out.state != SPOOL_DEFERRED;
    return out;
}

static uint32_t note_reason(struct queue *q, const struct outcome_rcpt *r)
{
    struct reason why = {
        .code = r->code,
        .status = r->status,
        .text = r->text,
        .host = r->host,
        .address = r->address,
    };

    return reason_add(&q->reasons, &why, q->reasons.last);
}

static void take_results(struct settling *s, const struct co_outcome *o, bool expired)
{
    const struct flight *f = s->f;

    for (uint32_t i = 0; i < o->results && s->count < f->rcpts; i++) {
        const struct co_result *r = &o->result[i];
        struct outcome_rcpt *out = &s->rcpt[s->count];
        if (!was_given(f, r->index) || r->reply >= o->replies)
            continue;
        s->q->counts.unknown += r->verdict == CO_UNKNOWN;
        if (r->verdict == CO_UNTRIED) {
            s->untried++;
            continue;
        }
        *out = rcpt_of(o, r, f->lmtp, expired);
        if (out->state == SPOOL_DEFERRED && !s->reason)
            s->reason = note_reason(s->q, out);
        s->deferred += out->state == SPOOL_DEFERRED;
        s->count++;
    }
}

/* Outbound has gone, or said nothing of it: whether it was sent nobody knows (RFC 1047). */
static void take_nothing(struct settling *s, const char *why)
{
    for (uint32_t i = 0; i < s->f->rcpts; i++)
        s->rcpt[i] = (struct outcome_rcpt){
            .index = s->f->rcpt[i],
            .state = SPOOL_DEFERRED,
            .relayed = true,
            .status = {4, 3, 0},
            .text = str_c(why),
        };
    s->count = s->deferred = s->f->rcpts;
    s->q->counts.unknown += s->count;
    if (s->count)
        s->reason = note_reason(s->q, s->rcpt);
}

/* ---- settling */

/* Too many that fail at once would need too many reports: then the rest is tried again later. */
static void wait_for_reports(struct settling *s)
{
    const struct queue_reports *reports = &s->q->parts.reports;
    uint64_t again;

    while (reports->ready && !s->q->stopping && !reports->ready(reports->arg, &again)) {
        if (s->q->reports_waiting >= QUEUE_REPORTS) {
            for (uint32_t i = 0; i < s->count; i++) {
                struct outcome_rcpt *r = &s->rcpt[i];
                s->deferred += r->state == SPOOL_FAILED;
                r->state = r->state == SPOOL_FAILED ? SPOOL_DEFERRED : r->state;
                r->report = false;
            }
            return;
        }
        s->q->reports_waiting++;
        fiber_sleep(again > run_now() ? again - run_now() : 1, NULL);
        s->q->reports_waiting--;
        if (fiber_cancelled())
            return;
    }
}

static void put_back(struct settling *s)
{
    struct queue *q = s->q;
    uint32_t delivery = s->f->delivery;
    struct sched_delivery *d = sched_delivery(q->sched, delivery);
    bool more = s->untried || (s->f->others && !s->f->others_wait);

    if (s->reason)
        d->reason = s->reason;
    if (more && !s->count) {
        sched_wait(q->sched, delivery, run_now() + UNTRIED_MS);
        queue_age_again(q, s->f->message);
    } else if (more)
        queue_back(q, delivery, BACK_READY);
    else if (s->deferred || s->f->others)
        queue_back(q, delivery, BACK_DEFER);
    else
        queue_delivery_done(q, delivery);
}

static void settle(struct settling *s)
{
    struct queue *q = s->q;
    bool durable = false, noted = !s->count;
    struct err e;

    if (queue_must_report(&s->f->v, s->rcpt, s->count))
        wait_for_reports(s);
    while (!noted) {
        noted = queue_settle(q, s->f->id, &s->f->v, s->rcpt, s->count, &durable, &e) == 0;
        if (noted || e.class == ERR_PERMANENT)
            break;
        log_warning(q->event, "outcome_not_noted", kv_err(&e));
        if (q->stopping || fiber_sleep(AGAIN_MS, NULL) < 0)
            break; /* outbound tells it to the next core */
    }
    if (noted || e.class == ERR_PERMANENT)
        outlink_confirm_later(q, s->link, s->f->id, s->f->attempt, durable);
    put_back(s);
    queue_kick(q);
    settling_free(s);
}

static void settle_fiber(void *arg)
{
    settle(arg);
}

static struct settling *settling_make(struct queue *q, struct flight *f, struct ask *a)
{
    struct settling *s = MEM_NEW(struct settling);

    if (!s)
        return NULL;
    s->q = q;
    s->f = f;
    s->a = a;
    s->rcpt = arena_array(&f->arena, f->rcpts, sizeof *s->rcpt);
    if (s->rcpt)
        return s;
    mem_free(s);
    return NULL;
}

/* Without memory: the delivery waits, outbound keeps what it knows. */
static void forget_outcome(struct queue *q, struct flight *f, struct ask *a)
{
    sched_wait(q->sched, f->delivery, run_now() + AGAIN_MS);
    flight_free(f);
    if (a)
        ask_free(a);
}

void flight_ended(struct outlink *l, struct sched_conn *c, struct flight *f,
    const struct co_outcome *o, struct ask *a)
{
    struct queue *q = l->q;
    struct settling *s = settling_make(q, f, a);
    bool expired = queue_is_expired(q, sched_message(q->sched, f->message));

    if (!s) {
        sched_dropped(q->sched, c);
        forget_outcome(q, f, a);
        return;
    }
    s->link = l->number;
    if (o && o->id == f->id && o->attempt == f->attempt)
        take_results(s, o, expired);
    else
        take_nothing(s, "the sending process did not say what came of it");
    if (s->count)
        sched_answered(q->sched, c, s->deferred < s->count, run_now());
    else
        sched_dropped(q->sched, c);
    /* The connection goes on with the next one while somebody is told about this one. */
    if (queue_must_report(&f->v, s->rcpt, s->count) &&
        fiber_start(&q->tasks, "settle", settle_fiber, s, NULL) == 0)
        return;
    settle(s);
}

/* ---- deaths: whether a message is to blame is master's to say (queue_quarantine()) */

void flight_lost(struct queue *q, struct flight *f)
{
    struct settling *s = settling_make(q, f, NULL);
    char id[IC_ID_CHARS + 1];

    if (!s) {
        forget_outcome(q, f, NULL);
        return;
    }
    ic_id_format(f->id, id);
    log_warning(q->event, "transfer_lost", kv_c("id", id), kv_u64("attempt", f->attempt));
    take_nothing(s, "the process that was sending it has died");
    settle(s);
}

/* ---- what an outbound brings from an earlier core's life */

static int settle_old(struct queue *q, const struct co_outcome *o, struct flight *f, bool *durable)
{
    struct settling *s;
    struct err e;

    *durable = true;
    if (queue_load_envelope(q, &f->arena, f->id, &f->text, &f->v, &e) < 0)
        return e.class == ERR_PERMANENT ? 0 : -1;
    f->rcpt = arena_array(&f->arena, o->results + 1, sizeof *f->rcpt);
    s = f->rcpt ? settling_make(q, f, NULL) : NULL;
    if (s)
        s->rcpt = arena_array(&f->arena, o->results + 1, sizeof *s->rcpt);
    if (!s || !s->rcpt) {
        mem_free(s);
        return -1;
    }
    for (uint32_t i = 0; i < o->results; i++)
        if (o->result[i].index < f->v.targets && o->result[i].verdict != CO_UNTRIED &&
            o->result[i].reply < o->replies) {
            q->counts.unknown += o->result[i].verdict == CO_UNKNOWN;
            s->rcpt[s->count++] = rcpt_of(o, &o->result[i], false, false);
        }
    if (s->count && queue_settle(q, f->id, &f->v, s->rcpt, s->count, durable, &e) < 0 &&
        e.class != ERR_PERMANENT) {
        mem_free(s);
        return -1;
    }
    mem_free(s);
    return 0;
}

/* Nothing of the message is left: deliveries that still stand for it go. */
static void clear_message(struct queue *q, uint64_t id)
{
    uint32_t message = sched_find(q->sched, id), next;

    if (!message || sched_message(q->sched, message)->left)
        return;
    for (uint32_t d = sched_message(q->sched, message)->first; d; d = next) {
        next = sched_delivery(q->sched, d)->sibling;
        if (sched_delivery(q->sched, d)->state == SCHED_ACTIVE)
            continue; /* who has it finds that nothing is left */
        sched_claim(q->sched, d);
        queue_delivery_done(q, d);
    }
}

static bool is_flying(const struct outlink *l, const struct co_outcome *o)
{
    LIST_EACH(link, &l->flying)
    {
        const struct flying *f = LIST_ENTRY(link, struct flying, link);
        if (f->id == o->id && f->attempt == o->attempt)
            return true;
    }
    return false;
}

static void old_outcome(struct outlink *l, const struct co_outcome *o)
{
    struct queue *q = l->q;
    uint32_t message = sched_find(q->sched, o->id);
    struct flight *f;
    bool durable;

    if (!message) { /* it has ended: that was its last outcome, and durable */
        outlink_confirm_later(q, l->number, o->id, o->attempt, true);
        return;
    }
    if (l->attached && !is_flying(l, o)) { /* of what nobody has given it */
        log_warning(q->event, "old_outcome_not_noted");
        outlink_confirm_later(q, l->number, o->id, o->attempt, true);
        return;
    }
    f = MEM_NEW(struct flight);
    if (!f)
        return;
    f->id = o->id;
    arena_init(&f->arena, QUEUE_ARENA);
    buf_init(&f->text, ENVELOPE_MAX);
    if (settle_old(q, o, f, &durable) < 0)
        log_warning(q->event, "old_outcome_not_noted");
    else
        outlink_confirm_later(q, l->number, o->id, o->attempt, durable);
    flight_free(f);
    LIST_EACH(link, &l->flying)
    {
        struct flying *flying = LIST_ENTRY(link, struct flying, link);
        if (flying->id != o->id || flying->attempt != o->attempt)
            continue;
        if (sched_find(q->sched, o->id))
            sched_message(q->sched, message)->flags &= (uint16_t)~SCHED_FLYING;
        list_remove(link);
        mem_free(flying);
    }
    clear_message(q, o->id);
}

void outlink_attach(struct outlink *l, const struct co_attach *attach)
{
    for (uint32_t i = 0; i < attach->flyings; i++) {
        struct flying *f = MEM_NEW(struct flying);
        uint32_t message = sched_find(l->q->sched, attach->flying[i].id);
        if (!f || !message) {
            mem_free(f);
            continue;
        }
        f->id = attach->flying[i].id;
        f->attempt = attach->flying[i].attempt;
        list_add(&l->flying, &f->link);
        sched_message(l->q->sched, message)->flags |= SCHED_FLYING;
    }
    for (uint32_t i = 0; i < attach->outcomes; i++)
        old_outcome(l, &attach->outcome[i]);
}
