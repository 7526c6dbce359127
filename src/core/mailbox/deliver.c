#include <stdlib.h>

#include "core/mailbox/mailbox_int.h"

enum {
    WORKERS = 64, /* accounts of a call that are worked on at a time */
};

/* One call of mailbox_deliver(). On the heap: pool threads look into it. */
struct batch {
    struct mailboxes *m;
    struct delivery **v;    /* by account, else in the order given */
    struct source **source; /* beside each */
    struct source *sources; /* one a content */
    struct group *group;
    uint32_t count, source_count, groups, next; /* next: group that no worker has yet */
    struct scope scope;
};

static struct str source_key(const void *entry)
{
    const struct source *s = entry;
    return str_of((const char *)&s->content, sizeof s->content);
}

static int by_account(const void *a, const void *b)
{
    const struct delivery *x = *(struct delivery *const *)a, *y = *(struct delivery *const *)b;

    if (x->account != y->account)
        return x->account < y->account ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* What each delivery's content is, each content once. */
static int find_sources(struct batch *b)
{
    struct table known;
    int status = 0;

    table_init(&known, source_key, b->count);
    for (uint32_t i = 0; i < b->count && status == 0; i++) {
        const struct mail_content *c = b->v[i]->content;
        struct source *s = table_find(&known, str_of((const char *)&c, sizeof c));
        if (!s) {
            s = &b->sources[b->source_count++];
            s->content = c;
            status = table_add(&known, s);
        }
        b->source[i] = s;
    }
    table_done(&known);
    return status;
}

static void make_groups(struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct group *g = b->groups ? &b->group[b->groups - 1] : NULL;
        if (!g || g->account != b->v[i]->account) {
            g = &b->group[b->groups++];
            *g =
                (struct group){.account = b->v[i]->account, .v = &b->v[i], .source = &b->source[i]};
        }
        g->count++;
    }
}

static void batch_free(struct batch *b)
{
    if (!b)
        return;
    mem_free(b->v);
    mem_free(b->source);
    mem_free(b->sources);
    mem_free(b->group);
    mem_free(b);
}

static struct batch *batch_new(struct mailboxes *m, struct delivery *v, uint32_t count)
{
    struct batch *b = MEM_NEW(struct batch);

    if (!b)
        return NULL;
    b->m = m;
    b->count = count;
    b->v = mem_array(count, sizeof(struct delivery *));
    b->source = mem_array(count, sizeof(struct source *));
    b->sources = mem_array(count, sizeof *b->sources);
    b->group = mem_array(count, sizeof *b->group);
    if (!b->v || !b->source || !b->sources || !b->group) {
        batch_free(b);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        b->v[i] = &v[i];
    qsort(b->v, count, sizeof(struct delivery *), by_account);
    if (find_sources(b) < 0) {
        batch_free(b);
        return NULL;
    }
    make_groups(b);
    return b;
}

/* ---- one account */

static void group_failed(struct group *g, const struct err *why)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->v[i]->result == DELIVERY_FAILED && g->v[i]->why.class == ERR_PERMANENT)
            continue;
        g->v[i]->result = DELIVERY_FAILED;
        g->v[i]->why = *why;
        g->v[i]->uid = 0;
    }
}

static bool group_wrote(const struct group *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (g->v[i]->result != DELIVERY_FAILED)
            return true;
    return false;
}

/* A duplicate is synced as well: the transaction that brought it may not be on the disk yet. */
static int deliver_group(struct mailboxes *m, struct group *g, struct err *e)
{
    struct actor *a;
    uint64_t losses;
    int status;

    if (actor_take(m, g->account, &a, e) < 0)
        return -1;
    losses = a->losses;
    sync_writing(m, 1);
    status = actor_run(m, a, STORE_MAKE, transaction_deliver, g, e);
    m->stats.transactions++;
    if (status == 0 && !group_wrote(g)) {
        sync_writing(m, -1);
        actor_release(m, &a);
        return 0;
    }
    if (status < 0) {
        sync_writing(m, -1);
        actor_release(m, &a);
        return -1;
    }
    a->syncs++; /* it stays when it is released */
    if (!g->extended) {
        struct actor *free = a;
        actor_release(m, &free);
    }
    status = sync_join(m, a, losses, e);
    a->syncs--;
    if (g->extended)
        actor_release(m, &a);
    else
        actor_forget(m, a);
    return status;
}

static void count_results(struct mailboxes *m, const struct group *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        m->stats.delivered += g->v[i]->result == DELIVERY_DONE;
        m->stats.duplicates += g->v[i]->result == DELIVERY_DUPLICATE;
        m->stats.failed += g->v[i]->result == DELIVERY_FAILED;
    }
}

static void worker(void *arg)
{
    struct batch *b = arg;

    while (b->next < b->groups) {
        struct group *g = &b->group[b->next++];
        struct err e = {0};
        if (deliver_group(b->m, g, &e) < 0)
            group_failed(g, &e);
        count_results(b->m, g);
    }
}

static void all_failed(struct mailboxes *m, struct delivery *v, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        v[i].result = DELIVERY_FAILED;
        err_memory(&v[i].why, "mailbox");
    }
    m->stats.failed += count;
}

static void deliver_some(struct mailboxes *m, struct delivery *v, uint32_t count)
{
    struct batch *b;

    for (uint32_t i = 0; i < count; i++) {
        v[i].result = DELIVERY_FAILED;
        v[i].why = (struct err){0};
        v[i].uid = 0;
    }
    b = batch_new(m, v, count);
    if (!b) {
        all_failed(m, v, count);
        return;
    }
    for (uint32_t i = 0; i < b->source_count; i++)
        source_open(m, &b->sources[i]);
    scope_init(&b->scope);
    for (uint32_t i = 0; i < WORKERS && i < b->groups; i++)
        if (fiber_start(&b->scope, "mailbox delivery", worker, b, NULL) < 0)
            break;
    if (b->scope.count == 0)
        worker(b);
    scope_join(&b->scope);
    for (uint32_t i = 0; i < b->source_count; i++)
        source_close(m, &b->sources[i]);
    batch_free(b);
}

void mailbox_deliver(struct mailboxes *m, struct delivery *v, uint32_t count)
{
    while (count) {
        uint32_t n = count < MAILBOX_BATCH_MAX ? count : MAILBOX_BATCH_MAX;
        deliver_some(m, v, n);
        v += n;
        count -= n;
    }
}
