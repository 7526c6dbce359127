#include "core/queue/local.h"

#include "base/mem.h"

#include "ipc/note.h"

enum {
    ARENA_MAX = 64 << 20,
    CONTENT_HELD_MAX = 256 * 1024, /* larger content is read in pieces while it is delivered */
};

struct local_batch *local_batch_new(struct queue *q)
{
    struct local_batch *b = mem_alloc(sizeof *b);

    if (!b)
        return NULL;
    b->q = q;
    b->count = 0;
    arena_init(&b->arena, ARENA_MAX);
    return b;
}

static void free_message(struct local_message *l)
{
    buf_done(&l->envelope_text);
    buf_done(&l->prefix);
    buf_done(&l->digest);
    buf_done(&l->content);
}

void local_batch_free(struct local_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        free_message(&b->v[i]);
    arena_done(&b->arena);
    mem_free(b);
}

static int read_content(void *arg, uint64_t at, void *p, size_t n, size_t *got, struct err *e)
{
    struct local_message *l = arg;

    return spool_read(l->batch->q->spool, l->id, SPOOL_CONTENT, at, p, n, got, e);
}

static int load_parts(struct local_message *l, uint64_t *held, struct err *e)
{
    struct spool *spool = l->batch->q->spool;

    buf_init(&l->envelope_text, ENVELOPE_MAX);
    buf_init(&l->prefix, 1 << 20);
    buf_init(&l->digest, 8 << 20);
    buf_init(&l->content, CONTENT_HELD_MAX);
    if (!spool_find(spool, l->id, &l->found))
        return err_set(e, ERR_PERMANENT, "queue", "the spool does not know it");
    if (spool_load(spool, l->id, SPOOL_ENVELOPE, &l->envelope_text, e) < 0 ||
        spool_load(spool, l->id, SPOOL_PREFIX, &l->prefix, e) < 0 ||
        spool_load(spool, l->id, SPOOL_DIGEST, &l->digest, e) < 0)
        return -1;
    if (l->found.content > CONTENT_HELD_MAX || *held + l->found.content > LOCAL_OCTETS_MAX)
        return 0;
    *held += l->found.content;
    return spool_load(spool, l->id, SPOOL_CONTENT, &l->content, e);
}

/* RFC 5321 4.4: Return-Path goes in front at final delivery. Delivered-To names the mailbox. */
static struct str prefix_for(struct local_message *l, const struct target *t)
{
    return arena_printf(&l->batch->arena, "Return-Path: <%.*s>\r\nDelivered-To: %.*s\r\n%.*s",
        STR_ARG(l->envelope.given.reverse_path), STR_ARG(t->address), STR_ARG(buf_str(&l->prefix)));
}

static int add_rcpt(struct local_message *l, uint32_t i, struct err *e)
{
    const struct target *t = &l->envelope.target[i];
    struct delivery *d = &l->rcpt[l->rcpts];

    *d = (struct delivery){.account = t->account, .rcpt = i, .content = &l->shared};
    d->prefix = prefix_for(l, t);
    if (!d->prefix.p)
        return err_memory(e, "queue");
    l->rcpts++;
    return 0;
}

/* Who is left, now that nothing more is read. */
static int choose(struct local_message *l, struct err *e)
{
    struct queue *q = l->batch->q;
    const struct sched_message *m = sched_message(q->sched, l->message);

    if (!spool_find(q->spool, l->id, &l->found))
        return err_set(e, ERR_PERMANENT, "queue", "the spool does not know it any more");
    for (uint32_t i = 0; i < l->envelope.targets; i++) {
        if (l->envelope.target[i].kind != TARGET_ACCOUNT ||
            queue_rcpt_done(queue_rcpt(q, &l->found, m, i)))
            continue;
        if (queue_holds(q, m, &l->envelope, i))
            l->held++;
        else if (add_rcpt(l, i, e) < 0)
            return -1;
    }
    return 0;
}

static int load(struct local_message *l, uint64_t *held, struct err *e)
{
    struct arena *arena = &l->batch->arena;

    if (load_parts(l, held, e) < 0 ||
        envelope_decode(arena, buf_str(&l->envelope_text), &l->envelope, e) < 0)
        return -1;
    l->shared = (struct mail_content){
        .id = l->id,
        .size = l->found.content,
        .content = buf_len(&l->content) ? buf_str(&l->content) : STR_NONE,
        .read = read_content,
        .arg = l,
        .digest = buf_str(&l->digest),
        .cut = l->envelope.cut,
        .cuts = l->envelope.cuts,
        .received_ms = l->envelope.arrived_ms,
    };
    if (l->found.content == 0)
        l->shared.content = STR("");
    l->rcpt = arena_array(arena, l->envelope.targets, sizeof *l->rcpt);
    return l->rcpt ? choose(l, e) : err_memory(e, "queue");
}

/* The mailboxes take all of the batch at once. */
static void deliver_all(struct local_batch *b)
{
    uint32_t total = 0, n = 0;
    struct delivery *all;

    for (uint32_t i = 0; i < b->count; i++)
        total += b->v[i].rcpts;
    if (!total)
        return;
    all = arena_array(&b->arena, total, sizeof *all);
    for (uint32_t i = 0; i < b->count && !all; i++) {
        b->v[i].failed = true;
        err_memory(&b->v[i].why, "queue");
    }
    if (!all)
        return;
    for (uint32_t i = 0; i < b->count; i++)
        for (uint32_t k = 0; k < b->v[i].rcpts; k++)
            all[n++] = b->v[i].rcpt[k];
    mailbox_deliver(b->q->mailboxes, all, n);
    n = 0;
    for (uint32_t i = 0; i < b->count; i++)
        for (uint32_t k = 0; k < b->v[i].rcpts; k++)
            b->v[i].rcpt[k] = all[n++];
}

void local_deliver(struct local_batch *b)
{
    uint64_t held = 0;

    for (uint32_t i = 0; i < b->count; i++) {
        struct local_message *l = &b->v[i];
        note_message(l->id, NOTE_DELIVERY);
        if (load(l, &held, &l->why) == 0)
            continue;
        l->failed = true;
        l->rcpts = 0;
    }
    note_clear(); /* mailboxes take them together */
    deliver_all(b);
}
