#include "outbound/smtp/service.h"

#include <endian.h>

#include "base/mem.h"

#include "outbound/smtp/courier.h"

enum {
    COURIERS_MAX = 1 << 17,
    CONFIRM_MS = 10 * 1000, /* how long an end waits for core to confirm outcomes */
};

static struct str key_of(const void *entry)
{
    const struct courier *c = entry;

    return str_of(c->key, sizeof c->key);
}

static struct courier *find(const struct courier_service *s, uint32_t assignment)
{
    uint32_t key = htole32(assignment);

    return table_find(&s->couriers, str_of((const char *)&key, sizeof key));
}

/* ---- what core says */

static void on_open(void *arg, const struct co_open *open)
{
    courier_begin(arg, open);
}

static void on_work(void *arg, uint32_t assignment)
{
    struct courier *c = find(arg, assignment);

    if (!c)
        return;
    c->work = true;
    courier_wake(c);
}

/* Ends what is not sending; what is sees it afterwards. */
static void stop_one(struct courier *c)
{
    c->closing = true;
    if (c->phase == COURIER_IDLE)
        courier_wake(c);
    else if (c->phase == COURIER_DIALING)
        scope_cancel(&c->scope);
}

static void on_close(void *arg, uint32_t assignment)
{
    struct courier *c = find(arg, assignment);

    if (c)
        stop_one(c);
}

/* Its assignments have no number any more that another core knows. Transactions go on as far as
 * their content is here. */
static void on_gone(void *arg)
{
    struct courier_service *s = arg;

    LIST_EACH(link, &s->all)
    {
        struct courier *c = LIST_ENTRY(link, struct courier, link);
        if (table_find(&s->couriers, key_of(c)) == c)
            table_remove(&s->couriers, key_of(c));
        stop_one(c);
    }
    cond_wake_all(&s->changed);
}

static int on_flying(void *arg, struct arena *a, struct co_flying **v, uint32_t *count)
{
    struct courier_service *s = arg;
    struct co_flying *all = arena_array(a, s->count + 1, sizeof *all);
    uint32_t n = 0;

    if (!all)
        return -1;
    LIST_EACH(link, &s->all)
    {
        const struct courier *c = LIST_ENTRY(link, struct courier, link);
        if (c->phase == COURIER_SENDING && !c->in_hand)
            all[n++] = (struct co_flying){c->now.given.id, c->now.given.attempt};
    }
    *v = all;
    *count = n;
    return 0;
}

/* ---- the service */

/* Frees couriers whose fibers have ended. */
static void free_ended(struct courier_service *s)
{
    LIST_EACH(link, &s->ended)
    {
        struct courier *c = LIST_ENTRY(link, struct courier, link);
        if (c->scope.count || c->parked.count)
            continue;
        list_remove(&c->link);
        courier_free(c);
        s->count--;
    }
}

static void reap(struct turn_hook *hook)
{
    struct courier_service *s = LIST_ENTRY(hook, struct courier_service, reaper);

    if (s->closing)
        return; /* there somebody waits for their fibers */
    free_ended(s);
    cond_wake_all(&s->changed);
    if (!list_empty(&s->ended))
        run_at_turn_end(hook);
}

int courier_service_open(struct courier_service **out, const struct config *config,
    struct to_core *core, struct dns_client *dns, const struct own_addresses *own,
    const struct event *event, struct err *e)
{
    static const struct to_core_handler handler = {
        .open = on_open, .work = on_work, .close = on_close, .gone = on_gone, .flying = on_flying};
    struct courier_service *s = MEM_NEW(struct courier_service);

    if (!s)
        return err_memory(e, "courier");
    s->config = config;
    s->core = core;
    s->dns = dns;
    s->own = own;
    s->event = event;
    s->reaper.fn = reap;
    s->stop_at = DEADLINE_NONE;
    table_init(&s->couriers, key_of, COURIERS_MAX);
    list_init(&s->all);
    list_init(&s->ended);
    cond_init(&s->changed);
    scope_init(&s->linger);
    to_core_handle(core, &handler, s);
    *out = s;
    return 0;
}

uint32_t courier_service_count(const struct courier_service *s)
{
    return s->count;
}

void courier_service_drain(struct courier_service *s)
{
    if (s->draining)
        return;
    s->draining = true;
    log_info(s->event, EV_OUT_DRAINING, kv_u64("connections", s->count));
    LIST_EACH(link, &s->all)
    {
        stop_one(LIST_ENTRY(link, struct courier, link));
    }
}

void courier_service_stop_at(struct courier_service *s, uint64_t at)
{
    s->stop_at = at;
    cond_wake_all(&s->changed);
}

/* Waits while `busy`, until stop_at or `most` at the latest. */
static void wait_while(struct courier_service *s, struct cond *cond, uint64_t most,
    bool (*busy)(const struct courier_service *s))
{
    int rc = 0;

    while (busy(s) && rc == 0 && run_now() < s->stop_at && run_now() < most) {
        uint64_t before = fiber_deadline_shorten(s->stop_at < most ? s->stop_at : most);
        rc = cond_wait(cond, "couriers", NULL);
        fiber_deadline_restore(before);
    }
}

static bool has_couriers(const struct courier_service *s)
{
    return s->count > 0;
}

static bool unconfirmed(const struct courier_service *s)
{
    return outcomes_count(&s->core->outcomes) > 0;
}

/* Cancels what is left and waits for it. */
static void end_all(struct courier_service *s)
{
    s->closing = true;
    while (!list_empty(&s->all)) {
        struct courier *c = LIST_FIRST(&s->all, struct courier, link);
        c->closing = true;
        scope_cancel(&c->parked);
        scope_cancel(&c->scope);
        scope_join(&c->parked);
        scope_join(&c->scope);
    }
    while (s->count) {
        struct courier *c = LIST_FIRST(&s->ended, struct courier, link);
        scope_join(&c->parked);
        scope_join(&c->scope);
        free_ended(s);
    }
}

void courier_service_close(struct courier_service **sp)
{
    struct courier_service *s = *sp;

    wait_while(s, &s->changed, DEADLINE_NONE, has_couriers);
    end_all(s);
    wait_while(s, &s->core->confirmed, run_now() + CONFIRM_MS, unconfirmed);
    if (s->stop_at != DEADLINE_NONE)
        scope_cancel(&s->linger);
    scope_join(&s->linger);
    to_core_handle(s->core, NULL, NULL);
    table_done(&s->couriers);
    *sp = NULL;
    /* The hook of a courier that ended in this turn is still to come. */
    while (s->reaper.queued)
        if (fiber_yield(NULL) < 0)
            return;
    mem_free(s);
}
