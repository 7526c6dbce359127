/* The fibers that deliver into mailboxes here, and what becomes of what they have delivered. */
#include "base/mem.h"

#include "ipc/note.h"

#include "core/queue/local.h"
#include "core/trace/trace.h"

static uint32_t take(struct queue *q, struct local_batch *b)
{
    uint32_t delivery;

    while (b->count < LOCAL_BATCH_MAX && (delivery = sched_take_local(q->sched))) {
        const struct sched_delivery *d = sched_delivery(q->sched, delivery);
        b->v[b->count++] = (struct local_message){
            .delivery = delivery,
            .message = d->message,
            .id = sched_message(q->sched, d->message)->id,
            .batch = b,
        };
    }
    return b->count;
}

/* ---- what came of it */

static bool is_permanent(const struct delivery *d)
{
    return d->result == DELIVERY_FAILED && d->why.class == ERR_PERMANENT;
}

static void log_delivered(struct queue *q, const struct local_message *l, uint32_t i)
{
    const struct delivery *d = &l->rcpt[i];
    struct str to = l->envelope.target[d->rcpt].address;
    char id[IC_ID_CHARS + 1];

    ic_id_format(l->id, id);
    log_info(q->event, "delivered", kv_c("id", id), kv_str("to", to), kv_u64("uid", d->uid),
        kv_bool("again", d->result == DELIVERY_DUPLICATE));
    queue_trace(q, TRACE_DELIVERED, l->id, to, STR_NONE);
}

/* Most mail: everybody has it, nobody is to be told, nothing else is left. */
static bool is_plain(const struct queue *q, const struct local_message *l)
{
    for (uint32_t i = 0; i < l->rcpts; i++) {
        uint32_t given = l->envelope.target[l->rcpt[i].rcpt].given;
        if (l->rcpt[i].result == DELIVERY_FAILED ||
            l->envelope.given.rcpt[given].notify & IC_NOTIFY_SUCCESS)
            return false;
    }
    return l->rcpts && l->rcpts == sched_message(q->sched, l->message)->left;
}

static int end_plain(struct queue *q, struct local_message *l, struct err *e)
{
    struct spool_change end = {.kind = SPOOL_END, .id = l->id};

    if (spool_change(q->spool, &end, 1, e) < 0)
        return -1;
    for (uint32_t i = 0; i < l->rcpts; i++) {
        bool again = l->rcpt[i].result == DELIVERY_DUPLICATE;
        q->counts.duplicates += again;
        q->counts.delivered += !again;
        log_delivered(q, l, i);
    }
    sched_message(q->sched, l->message)->left = 0;
    return 0;
}

static struct outcome_rcpt outcome_of(const struct delivery *d, bool expired)
{
    struct outcome_rcpt r = {.index = d->rcpt, .state = SPOOL_DELIVERED, .report = true};

    if (d->result != DELIVERY_FAILED)
        return r;
    r.text = str_c(d->why.text);
    r.status = d->why.status;
    r.state = is_permanent(d) || expired ? SPOOL_FAILED : SPOOL_DEFERRED;
    r.report = r.state == SPOOL_FAILED;
    if (expired && !is_permanent(d))
        r.status = (struct err_status){5, 4, 7};
    return r;
}

static int settle_each(struct queue *q, struct local_message *l, bool *again, struct err *e)
{
    struct outcome_rcpt *rcpt = arena_array(&l->batch->arena, l->rcpts, sizeof *rcpt);
    bool expired = queue_is_expired(q, sched_message(q->sched, l->message)), durable;

    if (!rcpt)
        return err_memory(e, "queue");
    for (uint32_t i = 0; i < l->rcpts; i++) {
        rcpt[i] = outcome_of(&l->rcpt[i], expired);
        *again |= rcpt[i].state == SPOOL_DEFERRED;
        q->counts.duplicates += l->rcpt[i].result == DELIVERY_DUPLICATE;
    }
    return queue_settle(q, l->id, &l->envelope, rcpt, l->rcpts, &durable, e);
}

static void put_back(struct queue *q, struct local_message *l, bool again)
{
    if (again)
        queue_back(q, l->delivery, BACK_DEFER);
    else if (l->held)
        sched_hold(q->sched, l->delivery, HELD_RULE);
    else
        queue_delivery_done(q, l->delivery);
}

static void settle(struct queue *q, struct local_message *l)
{
    bool again = false;

    if (l->failed) {
        queue_damaged(q, l->delivery, &l->why);
        return;
    }
    if (is_plain(q, l) ? end_plain(q, l, &l->why) < 0
                       : l->rcpts && settle_each(q, l, &again, &l->why) < 0) {
        log_warning(q->event, "delivery_not_noted", kv_err(&l->why));
        again = true; /* the mailbox knows it has it */
    }
    put_back(q, l, again);
}

void queue_local_fiber(void *arg)
{
    struct queue *q = arg;

    while (!q->stopping) {
        struct local_batch *b = sched_has_local(q->sched) ? local_batch_new(q) : NULL;
        if (!b || !take(q, b)) {
            if (b)
                local_batch_free(b);
            if (cond_wait(&q->local_work, "local mail", NULL) < 0)
                return;
            continue;
        }
        q->local_active += b->count;
        local_deliver(b);
        for (uint32_t i = 0; i < b->count; i++) {
            note_message(b->v[i].id, NOTE_DELIVERY);
            settle(q, &b->v[i]);
        }
        note_clear();
        q->local_active -= b->count;
        local_batch_free(b);
        queue_kick(q);
    }
}
