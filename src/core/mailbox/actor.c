#include "base/check.h"

#include "core/mailbox/mailbox_int.h"

static struct actor *actor_new(struct mailboxes *m, uint64_t account)
{
    struct actor *a = MEM_NEW(struct actor);

    if (!a)
        return NULL;
    a->account = account;
    a->wal = -1;
    cond_init(&a->free);
    if (table_add(&m->actors, a) != 0) {
        mem_free(a);
        return NULL;
    }
    return a;
}

static bool is_idle(const struct actor *a)
{
    return !a->busy && !a->waiters && !a->syncs && !a->suspect && !a->store &&
           !list_linked(&a->waiting);
}

void actor_forget(struct mailboxes *m, struct actor *a)
{
    const struct sys *sys = m->settings.sys;

    if (!is_idle(a))
        return;
    if (a->wal >= 0)
        sys->close(sys, a->wal);
    table_remove(&m->actors, str_of((const char *)&a->account, sizeof a->account));
    mem_free(a);
}

int actor_take(struct mailboxes *m, uint64_t account, struct actor **out, struct err *e)
{
    struct actor *a = table_find(&m->actors, str_of((const char *)&account, sizeof account));
    bool woken = false;
    int status = 0;

    if (!a && !(a = actor_new(m, account)))
        return err_memory(e, "mailbox");
    /* Who comes later waits behind those that wait. */
    while (status == 0 && (a->busy || (a->waiters && !woken))) {
        a->waiters++;
        status = cond_wait(&a->free, "mailbox", e);
        a->waiters--;
        woken = true;
    }
    if (status < 0) {
        if (!a->busy)
            cond_wake_one(&a->free);
        actor_forget(m, a);
        return -1;
    }
    a->busy = true;
    *out = a;
    return 0;
}

void actor_release(struct mailboxes *m, struct actor **ap)
{
    struct actor *a = *ap;

    *ap = NULL;
    CHECK(a->busy && !a->running);
    a->busy = false;
    cond_wake_one(&a->free);
    actor_forget(m, a);
}

/* ---- a bounded number of open databases */

static void set_store(struct mailboxes *m, struct actor *a, struct store *s)
{
    if (a->store)
        list_remove(&a->lru);
    a->store = s;
    if (s)
        list_add(&m->open_list, &a->lru);
}

/* The database used least recently that nobody works on, taken from its actor. */
static struct store *take_victim(struct mailboxes *m)
{
    LIST_EACH(link, &m->open_list)
    {
        struct actor *a = LIST_ENTRY(link, struct actor, lru);
        struct store *s = a->store;
        if (a->running)
            continue;
        set_store(m, a, NULL);
        actor_forget(m, a);
        return s;
    }
    return NULL;
}

/* Room for one more database; *closing has to go for it. */
static int make_room(struct mailboxes *m, struct store **closing, struct err *e)
{
    while (m->open >= m->settings.open_max) {
        *closing = take_victim(m);
        if (*closing)
            return 0;
        if (cond_wait(&m->slot, "mailbox: open databases", e) < 0)
            return -1;
    }
    m->open++;
    return 0;
}

static void work_main(void *arg)
{
    struct work *w = arg;

    store_close(&w->closing);
    if (w->closes)
        store_close(&w->store);
    else if (!w->store)
        w->status = store_open(&w->store, w->m, w->actor->account, w->need, w->rewrite, &w->e);
    if (w->status < 0)
        return;
    w->status = w->fn(w, &w->e);
    w->broke = w->store && w->store->broken;
    if (w->broke)
        store_close(&w->store);
}

/* What a thread did to the database becomes what the loop knows of it. */
static void take_back(struct mailboxes *m, struct actor *a, struct work *w)
{
    struct store *s = w->store;

    if (w->rewrite && (s || w->status == 0))
        a->suspect = false;
    if (w->broke)
        a->suspect = true;
    if (s)
        list_add(&m->open_list, &a->lru);
    else
        m->open--;
    a->store = s;
    if (s && s->wal_pages >= m->settings.wal_pages && !list_linked(&a->waiting)) {
        list_add(&m->checkpoints, &a->waiting);
        cond_wake_one(&m->checkpoint_wanted);
    }
    cond_wake_all(&m->slot);
}

static int run(struct mailboxes *m, struct actor *a, struct work *w, struct err *e)
{
    if (a->suspect && a->store) {
        /* Not to be believed: closed as it is, read anew. */
        a->store->broken = true;
        w->closing = a->store;
        set_store(m, a, NULL);
    } else if (a->store) {
        w->store = a->store;
        set_store(m, a, NULL);
    } else if (make_room(m, &w->closing, e) < 0) {
        return -1;
    }
    m->stats.opened += !w->store && !w->closes;
    w->rewrite = a->suspect;
    a->running = true;
    if (pool_run(m->pool, work_main, w, e) < 0) {
        /* It never began; what was to be closed stays open no longer than it must. */
        if (w->store)
            set_store(m, a, w->store);
        else
            m->open--;
        store_close(&w->closing);
        a->running = false;
        cond_wake_all(&m->slot);
        return -1;
    }
    a->running = false;
    take_back(m, a, w);
    if (w->status < 0 && e)
        *e = w->e;
    return w->status;
}

static int run_like(struct mailboxes *m, struct actor *a, const struct work *like, struct err *e)
{
    struct work *w = MEM_NEW(struct work);
    int status;

    CHECK(a->busy && !a->running);
    if (!w)
        return err_memory(e, "mailbox");
    *w = *like;
    w->m = m;
    w->actor = a;
    status = run(m, a, w, e);
    mem_free(w);
    return status;
}

int actor_run(struct mailboxes *m, struct actor *a, enum store_need need,
    int (*fn)(struct work *w, struct err *e), void *arg, struct err *e)
{
    return run_like(m, a, &(struct work){.need = need, .fn = fn, .arg = arg}, e);
}

int actor_run_closed(
    struct mailboxes *m, struct actor *a, int (*fn)(struct work *w, struct err *e), struct err *e)
{
    return run_like(m, a, &(struct work){.closes = true, .fn = fn}, e);
}

int actor_do(struct mailboxes *m, uint64_t account, enum store_need need,
    int (*fn)(struct work *w, struct err *e), void *arg, struct err *e)
{
    struct actor *a;
    int status;

    if (actor_take(m, account, &a, e) < 0)
        return -1;
    status = actor_run(m, a, need, fn, arg, e);
    actor_release(m, &a);
    return status;
}
