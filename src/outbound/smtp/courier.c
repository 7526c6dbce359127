/* The life of an assignment: connect, pull, send, wait, end. */
#include "outbound/smtp/courier.h"

#include <endian.h>

#include "base/check.h"
#include "base/mem.h"

#include "ipc/note.h"

enum {
    LIFE_MAX = 256 << 10,
    CONNECTED_MAX = 16 << 10,
    MAIL_MAX = 16 << 20,
};

static void courier_main(void *arg);

/* ---- an assignment */

static bool copy_open(struct courier *c, const struct co_open *open)
{
    c->open = *open;
    c->open.host = arena_array(&c->life, open->hosts, sizeof *open->host);
    if (!c->open.host || !arena_dup(&c->life, open->site, &c->open.site) ||
        !arena_dup(&c->life, open->helo_name, &c->open.helo_name))
        return false;
    for (uint32_t i = 0; i < open->hosts; i++) {
        c->open.host[i] = open->host[i];
        if (!arena_dup(&c->life, open->host[i].name, &c->open.host[i].name))
            return false;
    }
    return true;
}

static struct courier *new_courier(struct courier_service *s, const struct co_open *open)
{
    struct courier *c = MEM_NEW(struct courier);
    uint32_t key = htole32(open->assignment);

    if (!c)
        return NULL;
    c->service = s;
    c->generation = s->core->generation;
    memcpy(c->key, &key, sizeof key);
    scope_init(&c->scope);
    scope_init(&c->parked);
    arena_init(&c->life, LIFE_MAX);
    arena_init(&c->connected, CONNECTED_MAX);
    arena_init(&c->mail, MAIL_MAX);
    arena_init(&c->mail_next, MAIL_MAX);
    buf_init(&c->given, CHANNEL_FRAME_MAX);
    buf_init(&c->text, CO_TEXT_MAX + 1);
    buf_init(&c->tried, CO_TRIED_TEXT_MAX);
    if (!copy_open(c, open)) {
        courier_free(c);
        return NULL;
    }
    c->life_fields[0] = kv_str("site", c->open.site);
    c->life_event = c->event = (struct event){s->event, c->life_fields, 1};
    return c;
}

void courier_free(struct courier *c)
{
    arena_done(&c->life);
    arena_done(&c->connected);
    arena_done(&c->mail);
    arena_done(&c->mail_next);
    buf_done(&c->given);
    buf_done(&c->text);
    buf_done(&c->tried);
    mem_free(c);
}

/* An assignment that cannot be begun ends at once. */
static void decline(struct courier_service *s, const struct co_open *open, enum co_end end)
{
    struct co_closed closed = {.assignment = open->assignment, .end = end};

    closed.why = (struct co_reply){.status = {4, 3, 0}, .text = STR("out of memory")};
    to_core_closed(s->core, s->core->generation, &closed);
}

void courier_begin(struct courier_service *s, const struct co_open *open)
{
    struct courier *c;

    if (s->draining) {
        decline(s, open, CO_ENDED_DONE);
        return;
    }
    c = new_courier(s, open);
    if (c && table_add(&s->couriers, c) != 0) {
        courier_free(c);
        c = NULL;
    }
    if (c && fiber_start(&c->scope, "courier", courier_main, c, NULL) < 0) {
        table_remove(&s->couriers, str_of(c->key, sizeof c->key));
        courier_free(c);
        c = NULL;
    }
    if (!c) {
        struct err e;
        err_memory(&e, "courier");
        log_error(s->event, EV_OUT_RESOURCES, kv_err(&e));
        decline(s, open, CO_ENDED_FAILED);
        return;
    }
    list_add(&s->all, &c->link);
    s->count++;
}

/* ---- its end */

static struct co_reply reply_of(const struct answer *a)
{
    return (struct co_reply){.code = a->code, .status = a->status, .text = a->text};
}

static void tell_end(struct courier *c)
{
    struct co_closed closed = {
        .assignment = c->open.assignment,
        .end = c->end,
        .why = reply_of(&c->why),
        .host = c->host,
        .address = c->address,
        .tried = buf_str(&c->tried),
        .has_outcome = c->in_hand,
        .outcome = c->now.outcome,
    };

    to_core_closed(c->service->core, c->generation, &closed);
}

static void end(struct courier *c)
{
    struct courier_service *s = c->service;

    tell_end(c);
    courier_hang_up(c, c->end == CO_ENDED_LOST ? "lost" : "done");
    /* A number of a core that has gone may be one of the next core's too. */
    if (table_find(&s->couriers, str_of(c->key, sizeof c->key)) == c)
        table_remove(&s->couriers, str_of(c->key, sizeof c->key));
    list_remove(&c->link);
    list_add(&s->ended, &c->link);
    run_at_turn_end(&s->reaper);
}

/* ---- idle */

/* Only to be woken: parked sessions are started in a scope of their own, so that one of them can be
 * cancelled without what it does next being cancelled too. */
static void wake_main(void *arg)
{
    struct courier *c = arg;

    if (fiber_start(&c->scope, "courier", courier_main, c, NULL) < 0) {
        c->end = CO_ENDED_DONE; /* idle: nothing is lost */
        end(c);
    }
}

void courier_wake(struct courier *c)
{
    if (c->phase == COURIER_IDLE)
        scope_cancel(&c->parked);
}

/* Nothing to send: the connection waits, without a stack. True: this fiber is to return. */
static bool park(struct courier *c)
{
    uint64_t idle = c->service->config->outbound.idle_ms;

    if (idle == 0 || stream_pending(c->stream) || courier_flush(c) < 0)
        return false;
    arena_done(&c->mail);
    arena_done(&c->mail_next);
    buf_release(&c->given);
    buf_release(&c->text);
    CHECK(c->parked.count == 0);
    scope_init(&c->parked);
    c->phase = COURIER_IDLE;
    if (stream_park(c->stream, &c->parked, run_now() + idle, "courier", wake_main, c, NULL) == 0)
        return true;
    c->phase = COURIER_ASKING;
    return false;
}

/* ---- deliveries */

static bool may_pull(const struct courier *c)
{
    const struct courier_service *s = c->service;
    uint64_t most = s->config->outbound.messages_per_connection;

    return !s->draining && !c->closing && !c->is_broken && !outcomes_full(&s->core->outcomes) &&
           to_core_same(s->core, c->generation) && (most == 0 || c->messages < most) &&
           (c->offer.mail_max == 0 || c->messages < c->offer.mail_max);
}

/* The delivery before, whose outcome is told, makes room for the next. */
static void swap_mail(struct courier *c)
{
    struct arena before = c->mail;

    c->mail = c->mail_next;
    c->mail_next = before;
    arena_reset(&c->mail_next);
}

/* Tells what came of the delivery before and gets the next. */
static int pull(struct courier *c, enum co_given_kind *kind)
{
    struct co_next next = {
        .assignment = c->open.assignment,
        .greeted = c->greeted,
        .host = c->host,
        .address = c->address,
        .messages_max = c->offer.mail_max,
        .rcpts_max = c->offer.rcpt_max,
        .has_outcome = c->in_hand,
        .outcome = c->now.outcome,
    };
    struct co_given given;
    struct buf reply;
    struct err e;
    int rc;

    c->phase = COURIER_ASKING;
    c->work = false;
    buf_init(&reply, CHANNEL_FRAME_MAX);
    arena_reset(&c->mail_next);
    rc = to_core_next(c->service->core, c->generation, &next, &reply, &c->mail_next, &given, &e);
    if (rc < 0) {
        buf_done(&reply);
        if (e.class != ERR_CLOSED && e.class != ERR_CANCELLED)
            log_warning(&c->event, EV_OUT_UNAVAILABLE, kv_err(&e));
        return -1;
    }
    buf_done(&c->given);
    c->given = reply;
    swap_mail(c);
    c->greeted = c->in_hand = false;
    *kind = given.kind;
    c->now = (struct delivery){.given = given.delivery};
    return 0;
}

/* All recipients of the delivery in hand. */
static int gather_rcpts(struct courier *c, struct err *e)
{
    struct delivery *d = &c->now;
    struct buf reply;
    int rc = 0;

    d->rcpt = d->given.rcpt;
    d->rcpts = d->given.rcpts;
    if (d->rcpts == d->given.rcpts_total)
        return 0;
    d->rcpt = arena_array(&c->mail, d->given.rcpts_total, sizeof *d->rcpt);
    if (!d->rcpt)
        return err_memory(e, "courier");
    memcpy(d->rcpt, d->given.rcpt, d->rcpts * sizeof *d->rcpt);
    buf_init(&reply, CHANNEL_FRAME_MAX);
    while (rc == 0 && d->rcpts < d->given.rcpts_total) {
        struct co_rcpt *more;
        struct str frame;
        uint32_t n;
        rc = to_core_rcpts(c->service->core, c->generation, c->open.assignment, d->rcpts, &reply,
            &c->mail, &more, &n, e);
        if (rc == 0 && (n == 0 || n > d->given.rcpts_total - d->rcpts))
            rc = err_set(e, ERR_BUG, "courier", "%u recipients, not %u", n, d->given.rcpts_total);
        /* Their addresses lie in the frame: keep it. */
        if (rc == 0 && !arena_dup(&c->mail, buf_str(&reply), &frame))
            rc = err_memory(e, "courier");
        for (uint32_t i = 0; rc == 0 && i < n; i++) {
            struct co_rcpt *to = &d->rcpt[d->rcpts + i];
            *to = more[i];
            to->address.p = frame.p + (more[i].address.p - buf_str(&reply).p);
            if (to->orcpt.n)
                to->orcpt.p = frame.p + (more[i].orcpt.p - buf_str(&reply).p);
        }
        d->rcpts += rc == 0 ? n : 0;
    }
    buf_done(&reply);
    return rc;
}

static void describe(struct courier *c)
{
    struct delivery *d = &c->now;

    ic_id_format(d->given.id, d->id_text);
    d->fields[0] = kv_c("id", d->id_text);
    d->fields[1] = kv_str("from", d->given.reverse_path);
    d->event = (struct event){&c->event, d->fields, 2};
    note_set(&(struct note){.message = d->given.id, .stage = NOTE_RELAY});
}

/* The server ended a connection that had been idle: a fresh one for the delivery in hand. */
static void redial(struct courier *c)
{
    static const struct answer untried = {
        .status = {4, 4, 1}, .text = STR_INIT("the connection ended before its turn")};

    log_info(&c->now.event, EV_STALE, kv_bool("sent", c->now.wholly_sent));
    courier_hang_up(c, "stale");
    c->redialled = true;
    if (courier_dial(c) < 0)
        outcome_set_open(c, CO_UNTRIED, &untried);
    else
        courier_deliver(c);
}

/* It would not have the first message of a fresh connection: the hosts behind it. */
static void dial_on(struct courier *c)
{
    struct answer why = c->broke;
    uint32_t tried = c->addresses;

    if (!arena_dup(&c->life, c->broke.text, &why.text))
        why.text = STR_NONE;
    if (courier_dial_on(c) == 0) {
        courier_deliver(c);
        return;
    }
    outcome_set_open(c, CO_DEFERRED, &why);
    if (c->addresses == tried) { /* there is no other */
        c->end = CO_ENDED_LOST;
        c->why = why;
    }
}

/* The delivery in hand, to its outcome. -1: it could not be begun. */
static int send_delivery(struct courier *c)
{
    struct err e;

    c->phase = COURIER_SENDING;
    c->redialled = false;
    describe(c);
    if (gather_rcpts(c, &e) < 0) {
        log_warning(&c->now.event, EV_OUT_UNAVAILABLE, kv_err(&e));
        return -1;
    }
    if (outcome_begin(c) < 0) {
        err_memory(&e, "courier");
        log_error(&c->now.event, EV_OUT_RESOURCES, kv_err(&e));
        return -1;
    }
    courier_deliver(c);
    while (c->now.again) {
        c->now.again = false;
        if (c->messages > 0)
            redial(c);
        else
            dial_on(c);
    }
    outcome_keep(c);
    note_set(&(struct note){.stage = NOTE_NOTHING});
    return 0;
}

/* ---- the fiber */

static void note_lost(struct courier *c)
{
    c->end = CO_ENDED_LOST;
    c->why = c->broke;
    if (!arena_dup(&c->life, c->broke.text, &c->why.text))
        c->why.text = STR_NONE;
    log_info(&c->event, EV_LOST, kv_u64("messages", c->messages), kv_u64("code", c->why.code),
        kv_str("text", c->why.text));
}

/* Until there is nothing more to do. True: it is parked. */
static bool work(struct courier *c)
{
    c->end = CO_ENDED_DONE;
    while (c->stream && may_pull(c)) {
        enum co_given_kind kind;
        if (pull(c, &kind) < 0 || kind == CO_END)
            return false;
        /* Its outcome goes with the next question, or with the end. */
        if (kind == CO_DELIVERY && send_delivery(c) < 0) {
            c->end = CO_ENDED_LOST;
            c->why = (struct answer){.status = STATUS(4, 3, 0), .text = STR("out of resources")};
            return false;
        }
        if (kind == CO_NOTHING && !c->work && !c->closing && !c->service->draining)
            return park(c);
    }
    if (c->stream && c->is_broken)
        note_lost(c);
    return false;
}

/* Outcomes that core has not confirmed are as many as are kept: nothing is begun before. */
static int wait_for_room(struct courier *c)
{
    struct to_core *core = c->service->core;

    while (outcomes_full(&core->outcomes) && to_core_same(core, c->generation) && !c->closing)
        if (cond_wait(&core->confirmed, "outcomes to be confirmed", NULL) < 0)
            return -1;
    return 0;
}

static void courier_main(void *arg)
{
    struct courier *c = arg;

    if (c->phase == COURIER_DIALING) {
        c->end = CO_ENDED_DONE;
        if (wait_for_room(c) == 0 && courier_dial(c) == 0 && work(c))
            return;
    } else {
        /* It was parked: for work, or the server has ended, or it has waited long enough. */
        c->end = CO_ENDED_DONE;
        c->phase = COURIER_ASKING;
        if (c->work && work(c))
            return;
    }
    end(c);
}
