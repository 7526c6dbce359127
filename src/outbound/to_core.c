#include "outbound/to_core.h"

#include <unistd.h>

#include "base/mem.h"

#include "ipc/role.h"

#include "outbound/events.h"

enum {
    ASK_TIMEOUT_MS = 60 * 1000,
    ATTACH_OCTETS = 60 * 1024, /* of outcomes in a frame; one alone may be larger */
    ATTACH_FLYING = 4096,
    ATTACH_MEMORY = 4 << 20,
    CLOSED_MAX = 4 << 20,
};

static int away(struct err *e)
{
    return err_set_status(e, ERR_CLOSED, (struct err_status){4, 3, 0}, "to_core", "core has gone");
}

void to_core_init(struct to_core *t, const struct event *event)
{
    *t = (struct to_core){.event = event};
    outcomes_init(&t->outcomes);
    cond_init(&t->confirmed);
    cond_init(&t->untold);
    scope_init(&t->tellers);
    buf_init(&t->closed, CLOSED_MAX);
}

void to_core_handle(struct to_core *t, const struct to_core_handler *handler, void *arg)
{
    t->handler = handler;
    t->arg = arg;
}

/* ---- what core says */

/* What cannot be understood would be waited for by core for ever: the next one begins anew. */
static void broken(struct to_core *t, const struct err *why)
{
    log_error(t->event, EV_OUT_UNAVAILABLE, kv_err(why));
    channel_cut(t->channel, why);
}

static void on_open(struct to_core *t, struct str payload)
{
    struct arena a;
    struct co_open open;
    struct err e;

    arena_init(&a, CHANNEL_FRAME_MAX);
    if (co_open_decode(&a, payload, &open, &e) == 0) {
        t->handler->open(t->arg, &open);
    } else if (e.class == ERR_TEMPORARY) {
        struct co_closed closed = {.assignment = open.assignment,
            .end = CO_ENDED_FAILED,
            .why = {.status = e.status, .text = str_c(e.text)}};
        to_core_closed(t, t->generation, &closed);
    } else {
        broken(t, &e);
    }
    arena_done(&a);
}

static void on_number(
    struct to_core *t, struct str payload, void (*fn)(void *arg, uint32_t assignment))
{
    uint32_t assignment;
    struct err e;

    if (co_assignment_decode(payload, &assignment, &e) < 0)
        broken(t, &e);
    else
        fn(t->arg, assignment);
}

static void on_confirm(struct to_core *t, struct str payload)
{
    struct arena a;
    struct co_flying *v;
    uint32_t count;
    struct err e;

    arena_init(&a, 2 * CHANNEL_FRAME_MAX);
    if (co_confirm_decode(&a, payload, &v, &count, &e) < 0) {
        broken(t, &e);
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++)
        outcomes_confirm(&t->outcomes, &v[i]);
    arena_done(&a);
    cond_wake_all(&t->confirmed);
}

/* Sends as many of the notices that wait as there is credit for. */
static void tell_closed(struct to_core *t)
{
    struct str waiting = buf_str(&t->closed);

    while (t->channel && waiting.n) {
        uint32_t n;
        memcpy(&n, waiting.p, sizeof n);
        if (!channel_try_notify(t->channel, CO_CLOSED, str_sub(waiting, sizeof n, n)))
            return;
        buf_consume(&t->closed, sizeof n + n);
        waiting = buf_str(&t->closed);
    }
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct to_core *t = arg;

    if (fd >= 0)
        close(fd);
    if (type == CO_OPEN)
        on_open(t, payload);
    else if (type == CO_WORK)
        on_number(t, payload, t->handler->work);
    else if (type == CO_CLOSE)
        on_number(t, payload, t->handler->close);
    else if (type == CO_CONFIRM)
        on_confirm(t, payload);
    if (from.call)
        channel_reply(from, STR(""));
    tell_closed(t);
    return false;
}

static void gone(struct to_core *t)
{
    buf_release(&t->closed); /* meant the core that has gone */
    cond_wake_all(&t->untold);
    if (t->handler)
        t->handler->gone(t->arg);
    cond_wake_all(&t->confirmed);
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    struct to_core *t = arg;

    if (t->channel != c)
        return;
    log_warning(t->event, EV_OUT_CORE_GONE, kv_err(why));
    channel_close(&t->channel);
    gone(t);
    role_peer_lost(ROLE_CORE);
}

/* ---- what was not confirmed */

struct teller {
    struct to_core *core;
    uint32_t generation;
    struct arena arena;
    struct buf frame, reply;
};

static void teller_release(struct teller *m)
{
    arena_done(&m->arena);
    buf_release(&m->frame);
    buf_release(&m->reply);
}

static int attach_frame(struct teller *m, const struct co_attach *attach, struct err *e)
{
    struct to_core *t = m->core;

    buf_clear(&m->frame);
    buf_clear(&m->reply);
    co_attach_encode(attach, &m->frame);
    if (!buf_ok(&m->frame))
        return err_memory(e, "to_core");
    if (!to_core_same(t, m->generation))
        return away(e);
    return channel_ask(t->channel, CO_ATTACH, buf_str(&m->frame), &m->reply, e);
}

/* A frame of outcomes that this core does not know. 1 if there was one, 0 if all are told. */
static int tell_outcomes(struct teller *m, bool late, struct err *e)
{
    struct outcomes *all = &m->core->outcomes;
    struct co_attach attach = {.last = late, .late = late};
    struct kept_outcome *k;
    size_t octets = 0;

    arena_reset(&m->arena);
    attach.outcome = arena_array(&m->arena, ATTACH_OCTETS / 64, sizeof *attach.outcome);
    if (!attach.outcome)
        return err_memory(e, "to_core");
    while (attach.outcomes < ATTACH_OCTETS / 64 && (k = outcomes_untold(all, m->generation))) {
        octets += k->octets.n;
        if (attach.outcomes && octets > ATTACH_OCTETS)
            break;
        if (co_outcome_decode(&m->arena, k->octets, &attach.outcome[attach.outcomes], e) < 0)
            return -1;
        k->told = m->generation;
        attach.outcomes++;
    }
    if (!attach.outcomes)
        return 0;
    return attach_frame(m, &attach, e) < 0 ? -1 : 1;
}

static int tell_flying(struct teller *m, struct err *e)
{
    struct co_flying *v;
    uint32_t count, at = 0;

    arena_reset(&m->arena);
    if (m->core->handler->flying(m->core->arg, &m->arena, &v, &count) < 0)
        return err_memory(e, "to_core");
    do {
        uint32_t n = count - at < ATTACH_FLYING ? count - at : ATTACH_FLYING;
        struct co_attach attach = {.last = at + n == count, .flying = v + at, .flyings = n};
        if (attach_frame(m, &attach, e) < 0)
            return -1;
        at += n;
    } while (at < count);
    return 0;
}

/* Outcomes come before what flies, so that core never holds for flying what it was told about. */
static int tell(struct teller *m, struct err *e)
{
    int rc;

    do
        rc = tell_outcomes(m, false, e);
    while (rc > 0);
    if (rc == 0)
        rc = tell_flying(m, e);
    while (rc >= 0 && to_core_same(m->core, m->generation)) {
        rc = tell_outcomes(m, true, e);
        if (rc == 0) {
            teller_release(m);
            rc = cond_wait(&m->core->untold, "outcomes to tell", e);
        }
    }
    return rc;
}

static void teller_main(void *arg)
{
    struct to_core *t = arg;
    struct teller m = {.core = t, .generation = t->generation};
    struct err e = {0};

    arena_init(&m.arena, ATTACH_MEMORY);
    buf_init(&m.frame, CHANNEL_FRAME_MAX);
    buf_init(&m.reply, CHANNEL_FRAME_MAX);
    tell(&m, &e);
    teller_release(&m);
    /* Without memory core would wait for ever to be attached: the next one begins anew. */
    if (e.class != ERR_NONE && e.class != ERR_CANCELLED && to_core_same(t, m.generation))
        channel_cut(t->channel, &e);
}

int to_core_attach(struct to_core *t, int fd, struct err *e)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};

    if (t->channel) {
        channel_close(&t->channel);
        gone(t);
    }
    if (channel_open(&t->channel, fd, "core", &handler, t, e) < 0) {
        t->channel = NULL;
        return -1;
    }
    t->generation++;
    log_info(t->event, EV_OUT_CORE_ATTACHED, kv_u64("generation", t->generation));
    if (fiber_start(&t->tellers, "teller", teller_main, t, e) < 0) {
        channel_close(&t->channel);
        return -1;
    }
    cond_wake_all(&t->confirmed);
    return 0;
}

void to_core_done(struct to_core *t)
{
    channel_close(&t->channel);
    scope_cancel(&t->tellers);
    scope_join(&t->tellers);
    outcomes_done(&t->outcomes);
    buf_done(&t->closed);
}

/* ---- what couriers ask */

static int ask(struct to_core *t, uint32_t generation, enum co_type type, struct buf *request,
    struct buf *reply, struct err *e)
{
    uint64_t before;
    int rc;

    if (!buf_ok(request))
        return err_memory(e, "to_core");
    if (!to_core_same(t, generation))
        return away(e);
    before = fiber_deadline_shorten(run_now() + ASK_TIMEOUT_MS);
    rc = channel_ask(t->channel, (uint16_t)type, buf_str(request), reply, e);
    fiber_deadline_restore(before);
    tell_closed(t);
    return rc;
}

int to_core_next(struct to_core *t, uint32_t generation, const struct co_next *next,
    struct buf *reply, struct arena *a, struct co_given *given, struct err *e)
{
    struct buf request;
    int rc;

    buf_init(&request, CHANNEL_FRAME_MAX);
    buf_clear(reply);
    co_next_encode(next, &request);
    rc = ask(t, generation, CO_NEXT, &request, reply, e);
    buf_done(&request);
    return rc < 0 ? -1 : co_given_decode(a, buf_str(reply), given, e);
}

int to_core_read(struct to_core *t, uint32_t generation, const struct co_read *read,
    struct buf *out, struct err *e)
{
    struct buf request;
    int rc;

    buf_init(&request, 64);
    buf_clear(out);
    co_read_encode(read, &request);
    rc = ask(t, generation, CO_READ, &request, out, e);
    buf_done(&request);
    if (rc == 0 && buf_len(out) != read->n)
        return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "to_core",
            "the message could not be read");
    return rc;
}

int to_core_rcpts(struct to_core *t, uint32_t generation, uint32_t assignment, uint32_t from,
    struct buf *reply, struct arena *a, struct co_rcpt **v, uint32_t *count, struct err *e)
{
    struct buf request;
    int rc;

    buf_init(&request, 64);
    buf_clear(reply);
    co_rcpts_ask_encode(assignment, from, &request);
    rc = ask(t, generation, CO_RCPTS, &request, reply, e);
    buf_done(&request);
    return rc < 0 ? -1 : co_rcpts_decode(a, buf_str(reply), v, count, e);
}

void to_core_closed(struct to_core *t, uint32_t generation, const struct co_closed *closed)
{
    struct buf b;
    uint32_t n;

    if (!to_core_same(t, generation))
        return;
    buf_init(&b, CHANNEL_FRAME_MAX);
    co_closed_encode(closed, &b);
    n = (uint32_t)buf_len(&b);
    /* Behind those that wait, whose order is kept. */
    if (!buf_ok(&b) || buf_put(&t->closed, str_of((const char *)&n, sizeof n)) < 0 ||
        buf_put(&t->closed, buf_str(&b)) < 0) {
        struct err e;
        err_set(&e, ERR_TEMPORARY, "to_core", "no memory to say that an assignment ended");
        channel_cut(t->channel, &e); /* the next core asks anew */
    }
    buf_done(&b);
    tell_closed(t);
}

void to_core_keep(struct to_core *t, uint32_t generation, const struct co_outcome *outcome)
{
    bool same = to_core_same(t, generation);

    if (outcomes_keep(&t->outcomes, outcome, same ? generation : 0) < 0) {
        struct err e;
        err_memory(&e, "to_core");
        log_error(t->event, EV_OUT_RESOURCES, kv_err(&e));
    }
    if (!same)
        cond_wake_all(&t->untold);
}
