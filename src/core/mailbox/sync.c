#include <fcntl.h>

#include "base/check.h"

#include "core/mailbox/mailbox_int.h"

enum {
    SYNCFS_FROM = 16, /* logs from which on one syncfs is cheaper than a sync each */
    ROUND_MAX = 1024,
};

/* Everybody who is served by one sync. */
struct sync_round {
    struct mailboxes *m;
    struct actor *actor[ROUND_MAX]; /* each once */
    uint64_t serial;
    unsigned count, users;
    bool done;
    struct err why;
    struct cond finished;
};

static int sync_log(struct mailboxes *m, struct actor *a)
{
    const struct sys *sys = m->settings.sys;
    char path[PATH_SIZE];

    if (a->wal < 0) {
        store_path(m, a->account, STORE_WAL, path);
        a->wal = sys->open(sys, path, O_RDWR | O_CLOEXEC, 0);
    }
    return a->wal < 0 ? a->wal : sys->fdatasync(sys, a->wal);
}

/* On the thread that syncs. Nothing is retried: a flush that failed once can succeed the next time
 * with the data gone (DURABILITY.md 1). */
static void flush(void *arg)
{
    struct sync_round *r = arg;
    const struct sys *sys = r->m->settings.sys;
    int status = 0, one;

    if (r->count >= SYNCFS_FROM)
        status = sys->syncfs(sys, r->m->dir);
    else
        for (unsigned i = 0; i < r->count; i++) {
            one = sync_log(r->m, r->actor[i]);
            status = one < 0 ? one : status;
        }
    if (status < 0)
        err_os(&r->why, -status, "mailbox", "sync of mailboxes");
}

static void leave(struct sync_round *r)
{
    if (--r->users == 0)
        mem_free(r);
}

static void finish(struct sync_round *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        struct actor *a = r->actor[i];
        a->syncs--;
        if (r->why.class != ERR_NONE) {
            a->losses++;
            a->suspect = true;
        }
    }
    r->done = true;
    cond_wake_all(&r->finished);
    leave(r);
}

static void begin(struct mailboxes *m);

static void flushed(void *arg)
{
    struct sync_round *r = arg;
    struct mailboxes *m = r->m;

    m->stats.syncs++;
    m->stats.failed_syncs += r->why.class != ERR_NONE;
    m->flushing = NULL;
    finish(r);
    begin(m);
}

/* While a sync runs the next round gathers, and it waits for transactions that are under way unless
 * enough have come for a syncfs. */
static void begin(struct mailboxes *m)
{
    struct sync_round *r = m->gathering;

    if (!r || m->flushing || (m->writing > 0 && r->count < SYNCFS_FROM))
        return;
    m->gathering = NULL;
    if (pool_submit(m->syncs, flush, flushed, r, &r->why) < 0)
        finish(r);
    else
        m->flushing = r;
}

void sync_writing(struct mailboxes *m, int change)
{
    m->writing += change;
    CHECK(m->writing >= 0);
    if (m->writing == 0)
        begin(m);
}

static struct sync_round *join(struct mailboxes *m, struct actor *a)
{
    struct sync_round *r = m->gathering;

    if (r && r->count == ROUND_MAX)
        return NULL;
    if (!r) {
        r = MEM_NEW(struct sync_round);
        if (!r)
            return NULL;
        r->m = m;
        r->serial = ++m->rounds;
        r->users = 1; /* the flush */
        cond_init(&r->finished);
        m->gathering = r;
    }
    r->users++;
    if (a->round != r->serial) {
        a->round = r->serial;
        a->syncs++;
        r->actor[r->count++] = a;
    }
    return r;
}

int sync_join(struct mailboxes *m, struct actor *a, uint64_t losses, struct err *e)
{
    struct sync_round *r = m->settings.no_sync ? NULL : join(m, a);
    int status = 0;

    sync_writing(m, -1);
    if (!r)
        return m->settings.no_sync ? 0 : err_memory(e, "mailbox");
    begin(m);
    while (!r->done && status == 0)
        status = cond_wait(&r->finished, "mailbox sync", e);
    if (status == 0 && r->why.class != ERR_NONE) {
        if (e)
            *e = r->why;
        status = -1;
    }
    leave(r);
    if (status == 0 && a->losses != losses)
        status = err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "mailbox",
            "a sync of the mailbox has failed meanwhile");
    return status;
}
