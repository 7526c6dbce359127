#include "core/queue/local.h"

#include "base/mem.h"

#include "ipc/note.h"

#include "core/envelope.h"
#include "core/mailbox/mailbox.h"
#include "core/spool/spool.h"
#include "core/trace/trace.h"

enum {
    ARENA_MAX = 64 << 20,
    CONTENT_HELD_MAX = 256 * 1024, /* larger content is read in pieces while it is delivered */
};

/* What is read of one message. */
struct loaded {
    struct local_batch *batch;
    uint64_t id;
    struct buf envelope_text, prefix, digest, content;
    struct envelope envelope;
    struct spool_found found;
    struct mail_content shared;
    struct delivery *delivery; /* one a recipient that is local and not done */
    uint32_t deliveries;
    uint32_t elsewhere; /* recipients that are not local */
    uint8_t attempts;
    bool failed;
};

struct local_batch *local_batch_new(
    struct spool *spool, struct mailboxes *mailboxes, const struct event *event)
{
    struct local_batch *b = MEM_NEW(struct local_batch);

    if (!b)
        return NULL;
    b->spool = spool;
    b->mailboxes = mailboxes;
    b->event = event;
    arena_init(&b->arena, ARENA_MAX);
    return b;
}

void local_batch_free(struct local_batch *b)
{
    arena_done(&b->arena);
    mem_free(b);
}

static void free_loaded(struct loaded *l)
{
    buf_done(&l->envelope_text);
    buf_done(&l->prefix);
    buf_done(&l->digest);
    buf_done(&l->content);
}

static int read_content(void *arg, uint64_t at, void *p, size_t n, size_t *got, struct err *e)
{
    struct loaded *l = arg;

    return spool_read(l->batch->spool, l->id, SPOOL_CONTENT, at, p, n, got, e);
}

static int load_parts(struct loaded *l, uint64_t *held, struct err *e)
{
    struct spool *spool = l->batch->spool;

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
static struct str prefix_for(struct loaded *l, const struct target *t)
{
    return arena_printf(&l->batch->arena, "Return-Path: <%.*s>\r\nDelivered-To: %.*s\r\n%.*s",
        STR_ARG(l->envelope.given.reverse_path), STR_ARG(t->address), STR_ARG(buf_str(&l->prefix)));
}

static bool is_done(const struct loaded *l, uint32_t rcpt)
{
    return rcpt < l->found.rcpts && l->found.rcpt && l->found.rcpt[rcpt].state != SPOOL_PENDING &&
           l->found.rcpt[rcpt].state != SPOOL_DEFERRED;
}

static int add_delivery(struct loaded *l, uint32_t rcpt, struct err *e)
{
    const struct target *t = &l->envelope.target[rcpt];
    struct delivery *d = &l->delivery[l->deliveries];

    if (l->found.rcpt && l->found.rcpt[rcpt].attempts > l->attempts)
        l->attempts = l->found.rcpt[rcpt].attempts;
    *d = (struct delivery){.account = t->account, .rcpt = rcpt, .content = &l->shared};
    d->prefix = prefix_for(l, t);
    if (!d->prefix.p)
        return err_memory(e, "queue");
    l->deliveries++;
    return 0;
}

static int load(struct loaded *l, uint64_t *held, struct err *e)
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
    l->delivery = arena_array(arena, l->envelope.targets, sizeof *l->delivery);
    if (!l->delivery)
        return err_memory(e, "queue");
    /* Again: what was found before the reads may have moved. */
    if (!spool_find(l->batch->spool, l->id, &l->found))
        return err_set(e, ERR_PERMANENT, "queue", "the spool does not know it any more");
    for (uint32_t i = 0; i < l->envelope.targets; i++) {
        if (is_done(l, i))
            continue;
        if (l->envelope.target[i].kind != TARGET_ACCOUNT)
            l->elsewhere++;
        else if (add_delivery(l, i, e) < 0)
            return -1;
    }
    return 0;
}

static void log_delivery(const struct loaded *l, const struct delivery *d)
{
    char id[IC_ID_CHARS + 1];
    struct str to = l->envelope.target[d->rcpt].address;

    ic_id_format(l->id, id);
    if (d->result == DELIVERY_FAILED)
        log_warning(
            l->batch->event, "delivery_failed", kv_c("id", id), kv_str("to", to), kv_err(&d->why));
    else
        log_info(l->batch->event, "delivered", kv_c("id", id), kv_str("to", to),
            kv_u64("uid", d->uid), kv_bool("again", d->result == DELIVERY_DUPLICATE));
}

static void trace_delivery(const struct loaded *l, const struct delivery *d)
{
    bool failed = d->result == DELIVERY_FAILED;

    trace_write(
        l->batch->trace, &(struct trace_event){
                             .kind = failed ? TRACE_DEFERRED : TRACE_DELIVERED,
                             .id = l->id,
                             .to = l->envelope.target[d->rcpt].address,
                             .status = failed ? d->why.status : (struct err_status){2, 0, 0},
                             .text = failed ? str_c(d->why.text) : STR("into its mailbox"),
                         });
}

/* Counts and logs; how many of the deliveries failed. */
static uint32_t count_results(struct loaded *l)
{
    uint32_t failed = 0;

    for (uint32_t i = 0; i < l->deliveries; i++) {
        const struct delivery *d = &l->delivery[i];
        log_delivery(l, d);
        trace_delivery(l, d);
        failed += d->result == DELIVERY_FAILED;
        l->batch->duplicates += d->result == DELIVERY_DUPLICATE;
        l->batch->delivered += d->result == DELIVERY_DONE;
    }
    l->batch->failures += failed;
    return failed;
}

static struct spool_change outcome_of(const struct loaded *l, const struct delivery *d)
{
    bool failed = d->result == DELIVERY_FAILED;

    return (struct spool_change){
        .kind = SPOOL_OUTCOME,
        .id = l->id,
        .rcpt = d->rcpt,
        .outcome =
            {
                .state = failed ? SPOOL_DEFERRED : SPOOL_DELIVERED,
                .attempts = (uint8_t)(l->attempts < UINT8_MAX ? l->attempts + 1 : UINT8_MAX),
            },
    };
}

/* Tells the spool and says what becomes of the message. */
static enum local_result settle(struct loaded *l, struct err *e)
{
    struct spool_change end = {.kind = SPOOL_END, .id = l->id}, *changes;
    uint32_t failed;

    if (l->failed && !spool_find(l->batch->spool, l->id, &l->found))
        return LOCAL_DONE; /* damaged and set aside, or removed: the spool has said so */
    if (l->failed)
        return LOCAL_DEFERRED;
    failed = count_results(l);
    if (failed == 0 && l->elsewhere == 0)
        return spool_change(l->batch->spool, &end, 1, e) < 0 ? LOCAL_DEFERRED : LOCAL_DONE;
    changes = arena_array(&l->batch->arena, l->deliveries + 1, sizeof *changes);
    for (uint32_t i = 0; changes && i < l->deliveries; i++)
        changes[i] = outcome_of(l, &l->delivery[i]);
    if (!changes || spool_change(l->batch->spool, changes, l->deliveries, e) < 0)
        return LOCAL_DEFERRED;
    return failed ? LOCAL_DEFERRED : LOCAL_KEPT;
}

static void log_failed(const struct loaded *l, const char *what, const struct err *e)
{
    char id[IC_ID_CHARS + 1];

    ic_id_format(l->id, id);
    log_error(l->batch->event, what, kv_c("id", id), kv_err(e));
}

static void deliver_all(struct local_batch *b, struct loaded *loaded)
{
    uint32_t total = 0, n = 0;
    struct delivery *all;

    for (uint32_t i = 0; i < b->count; i++)
        total += loaded[i].deliveries;
    all = arena_array(&b->arena, total + 1, sizeof *all);
    if (!all) {
        for (uint32_t i = 0; i < b->count; i++)
            loaded[i].failed = true;
        return;
    }
    for (uint32_t i = 0; i < b->count; i++)
        for (uint32_t k = 0; k < loaded[i].deliveries; k++)
            all[n++] = loaded[i].delivery[k];
    mailbox_deliver(b->mailboxes, all, n);
    n = 0;
    for (uint32_t i = 0; i < b->count; i++)
        for (uint32_t k = 0; k < loaded[i].deliveries; k++)
            loaded[i].delivery[k] = all[n++];
}

void local_deliver(struct local_batch *b)
{
    struct loaded *loaded = mem_array(b->count, sizeof *loaded);
    uint64_t held = 0;
    struct err e;

    if (!loaded) {
        for (uint32_t i = 0; i < b->count; i++)
            b->v[i].result = LOCAL_DEFERRED;
        return;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        loaded[i].batch = b;
        loaded[i].id = b->v[i].id;
        note_message(loaded[i].id, NOTE_DELIVERY);
        if (load(&loaded[i], &held, &e) < 0) {
            log_failed(&loaded[i], "message_not_read", &e);
            loaded[i].failed = true;
            loaded[i].deliveries = 0;
        }
    }
    note_clear();
    deliver_all(b, loaded);
    for (uint32_t i = 0; i < b->count; i++) {
        note_message(loaded[i].id, NOTE_DELIVERY);
        b->v[i].result = settle(&loaded[i], &e);
        free_loaded(&loaded[i]);
    }
    note_clear();
    mem_free(loaded);
}
