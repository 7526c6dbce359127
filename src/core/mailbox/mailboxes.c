#include <fcntl.h>

#include "base/check.h"

#include "core/mailbox/mailbox_int.h"

enum {
    THREADS = 4,
    OPEN_MAX = 256,
    WAL_PAGES = 1000, /* 4 MiB */
    POOL_QUEUE_MAX = 1 << 20,
    ACTORS_MAX = 1 << 20,
    SHARDS = 100,
};

static struct str actor_key(const void *entry)
{
    const struct actor *a = entry;
    return str_of((const char *)&a->account, sizeof a->account);
}

/* ---- checkpoints in the background, one account after the other */

static int checkpoint_now(struct work *w, struct err *e)
{
    if (!w->store || store_checkpoint(w->store, e) == 0)
        return 0;
    w->store->broken = true;
    return -1;
}

static int checkpoint_work(struct work *w, struct err *e)
{
    if (!w->store || w->store->wal_pages < w->m->settings.wal_pages)
        return 0;
    return checkpoint_now(w, e);
}

int mailbox_checkpoint(struct mailboxes *m, uint64_t account, struct err *e)
{
    return actor_do(m, account, STORE_EXISTING, checkpoint_now, NULL, e);
}

static void checkpoint_fiber(void *arg)
{
    struct mailboxes *m = arg;

    for (;;) {
        struct list *link = list_take(&m->checkpoints);
        struct actor *a = link ? LIST_ENTRY(link, struct actor, waiting) : NULL;
        if (!a && cond_wait(&m->checkpoint_wanted, "mailbox log to copy", NULL) < 0)
            return;
        if (!a)
            continue;
        /* A failure is met again, and told, by the next delivery. */
        if (!a->store)
            actor_forget(m, a);
        else if (actor_do(m, a->account, STORE_EXISTING, checkpoint_work, NULL, NULL) == 0)
            m->stats.checkpoints++;
        if (fiber_cancelled())
            return;
    }
}

/* ---- life */

static int make_directories(struct mailboxes *m, struct err *e)
{
    const struct sys *sys = m->settings.sys;
    char path[PATH_SIZE];
    int status = sys->mkdir(sys, m->path, 0700);

    if (status < 0 && status != -EEXIST)
        return err_os(e, -status, "mailbox", "%s", m->path);
    for (unsigned i = 0; i < SHARDS; i++) {
        store_path(m, i, STORE_SHARD, path);
        status = sys->mkdir(sys, path, 0700);
        if (status < 0 && status != -EEXIST)
            return err_os(e, -status, "mailbox", "%s", path);
    }
    if (body_clear_stage(m, e) < 0)
        return -1;
    status = sys->sync_dir(sys, m->path);
    if (status == 0) {
        (void)snprintf(path, sizeof path, "%s/..", m->path);
        status = sys->sync_dir(sys, path);
    }
    if (status < 0)
        return err_os(e, -status, "mailbox", "%s", m->path);
    m->dir = sys->open(sys, m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    return m->dir < 0 ? err_os(e, -m->dir, "mailbox", "%s", m->path) : 0;
}

static void set_defaults(struct mailboxes_settings *s)
{
    s->threads = s->threads ? s->threads : THREADS;
    s->open_max = s->open_max ? s->open_max : OPEN_MAX;
    /* One more than can be worked on at a time, so that there always is one to close. */
    s->open_max = s->open_max > s->threads ? s->open_max : s->threads + 1;
    s->wal_pages = s->wal_pages ? s->wal_pages : WAL_PAGES;
}

int mailboxes_open(struct mailboxes **out, const struct mailboxes_settings *settings, struct err *e)
{
    struct mailboxes *m = MEM_NEW(struct mailboxes);

    if (!m)
        return err_memory(e, "mailbox");
    m->settings = *settings;
    set_defaults(&m->settings);
    m->dir = -1;
    m->opened_ns = settings->sys->mono_ns(settings->sys);
    settings->sys->random(settings->sys, &m->life, sizeof m->life);
    table_init(&m->actors, actor_key, ACTORS_MAX);
    list_init(&m->open_list);
    list_init(&m->checkpoints);
    cond_init(&m->slot);
    cond_init(&m->checkpoint_wanted);
    scope_init(&m->scope);
    if (!str_copy_c(m->path, sizeof m->path, str_c(settings->path))) {
        err_set(e, ERR_PERMANENT, "mailbox", "%s: path too long", settings->path);
        mailboxes_close(&m);
        return -1;
    }
    if (make_directories(m, e) < 0 ||
        pool_open(&m->pool, "mailboxes", m->settings.threads, POOL_QUEUE_MAX, e) < 0 ||
        pool_open(&m->syncs, "mailbox syncs", 1, 2, e) < 0 ||
        fiber_start(&m->scope, "mailbox checkpoints", checkpoint_fiber, m, e) < 0) {
        mailboxes_close(&m);
        return -1;
    }
    *out = m;
    return 0;
}

static void close_stores(void *arg)
{
    struct mailboxes *m = arg;

    LIST_EACH(link, &m->open_list)
    {
        store_close(&LIST_ENTRY(link, struct actor, lru)->store);
    }
}

void mailboxes_close(struct mailboxes **mp)
{
    struct mailboxes *m = *mp;
    struct actor *a;

    *mp = NULL;
    if (!m)
        return;
    scope_cancel(&m->scope);
    scope_join(&m->scope);
    /* A fiber that may not wait any longer closes them itself. */
    if (!m->pool || !fiber_running() || pool_run(m->pool, close_stores, m, NULL) < 0)
        close_stores(m);
    for (size_t i = 0; (a = table_next(&m->actors, &i));) {
        CHECK(!a->busy && !a->waiters && !a->syncs);
        if (a->wal >= 0)
            m->settings.sys->close(m->settings.sys, a->wal);
        mem_free(a);
    }
    pool_close(&m->pool);
    pool_close(&m->syncs);
    table_done(&m->actors);
    if (m->dir >= 0)
        m->settings.sys->close(m->settings.sys, m->dir);
    mem_free(m);
}

/* ---- an account's beginning and end */

static int nothing(struct work *w, struct err *e)
{
    (void)w;
    (void)e;
    return 0;
}

int mailbox_birth(struct mailboxes *m, uint64_t account, struct err *e)
{
    return actor_do(m, account, STORE_MAKE, nothing, NULL, e);
}

static int erase_work(struct work *w, struct err *e)
{
    return store_erase(w->m, w->actor->account, e);
}

int mailbox_erase(struct mailboxes *m, uint64_t account, struct err *e)
{
    const struct sys *sys = m->settings.sys;
    struct actor *a;
    int status;

    if (actor_take(m, account, &a, e) < 0)
        return -1;
    status = actor_run_closed(m, a, erase_work, e);
    if (status == 0 && a->wal >= 0 && !a->syncs) {
        sys->close(sys, a->wal);
        a->wal = -1;
    }
    actor_release(m, &a);
    return status;
}

void mailboxes_stats(const struct mailboxes *m, struct mailboxes_stats *out)
{
    *out = m->stats;
    out->open = m->open;
}
