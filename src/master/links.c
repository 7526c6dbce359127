#include "base/mem.h"

#include "master/master_int.h"

enum {
    RELINK_MS = 1000, /* who is cut off at once again must not keep everybody busy */
};

/* Who asks whom. An asker has one channel to each kind that it asks; nobody else can talk. */
static const bool asks[ROLE_KINDS][ROLE_KINDS] = {
    [ROLE_CORE] = {[ROLE_RESOLVER] = true},
    [ROLE_INBOUND] = {[ROLE_CORE] = true, [ROLE_RESOLVER] = true},
    [ROLE_OUTBOUND] = {[ROLE_CORE] = true, [ROLE_RESOLVER] = true},
};

static struct process *find(struct master *m, enum role_kind kind, uint32_t generation)
{
    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        if (p->kind == kind && p->channel && !p->killed &&
            (kind == ROLE_CORE || p->generation == generation))
            return p;
    }
    return NULL;
}

/* The one whom it is to ask now; NULL where there is none. */
static struct process *server_of(const struct process *asker, enum role_kind kind)
{
    struct process *own = find(asker->master, kind, asker->generation);

    /* Places of old generations are not filled again. */
    if (!own && asker->draining)
        return find(asker->master, kind, asker->master->generation);
    return own;
}

static struct process *next_unlinked(struct master *m, struct process **server)
{
    LIST_EACH(link, &m->processes)
    {
        struct process *p = process_of(link);
        for (int kind = 0; kind < ROLE_KINDS && p->channel; kind++) {
            *server = asks[p->kind][kind] ? server_of(p, (enum role_kind)kind) : NULL;
            if (*server && p->linked[kind] != (*server)->number)
                return p;
        }
    }
    return NULL;
}

void links_make(struct master *m)
{
    struct process *asker, *server;

    while ((asker = next_unlinked(m, &server))) {
        uint64_t before = fiber_deadline_shorten(run_now_fresh() + FILL_MS);
        asker->linked[server->kind] = server->number;
        asker->busy++;
        server->busy++;
        process_connect(server, asker);
        asker->busy--;
        server->busy--;
        fiber_deadline_restore(before);
    }
}

struct relink {
    struct process *asker;
    enum role_kind kind;
    uint32_t number, server; /* of both, when it was lost */
};

static void relink_fiber(void *arg)
{
    struct relink *r = arg;
    struct process *p = r->asker;

    (void)fiber_sleep(RELINK_MS, NULL);
    p->relinking[r->kind] = false;
    p->busy--;
    /* Meanwhile one of both may be a new process, which has its channel. */
    if (p->number == r->number && p->linked[r->kind] == r->server)
        p->linked[r->kind] = 0;
    master_changed(p->master);
    mem_free(r);
}

int links_lost(struct process *asker, enum role_kind kind)
{
    struct relink *r;

    if (kind >= ROLE_KINDS || !asks[asker->kind][kind])
        return -1;
    if (asker->relinking[kind])
        return 0;
    r = MEM_NEW(struct relink);
    if (!r)
        return 0;
    *r = (struct relink){asker, kind, asker->number, asker->linked[kind]};
    asker->busy++;
    asker->relinking[kind] = true;
    if (fiber_start(&asker->master->scope, "relink", relink_fiber, r, NULL) < 0) {
        asker->relinking[kind] = false;
        asker->busy--;
        mem_free(r);
    }
    return 0;
}
