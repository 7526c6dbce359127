#include "core/spool/spool.h"

#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/spool_int.h"

static const char ORIGIN[] = "spool";

enum {
    LAZY_MAX = 64 << 20,   /* octets of log that wait without anybody waiting for them */
    LAZY_BATCH = 64 << 10, /* one batch of them */
    FLUSH_MS = 1000,
};

int spool_error(struct err *e, int error, const char *what)
{
    bool full = error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
    struct err os;

    if (error == -EBADMSG)
        return err_set_status(e, ERR_BUG, (struct err_status){4, 3, 0}, ORIGIN,
            "%s: the content is not what its checksum says", what);
    err_os(&os, -error, ORIGIN, "%s", what);
    return err_set_status(
        e, ERR_TEMPORARY, (struct err_status){4, 3, full ? 1 : 0}, ORIGIN, "%s", os.text);
}

/* ---- messages that end or have become durable */

static void release_message(struct spool_message *m, bool keep_large)
{
    if (keep_large)
        mem_free(m->large);
    else
        spool_large_abort(&m->large);
    m->large = NULL;
    m->release(m);
}

static void on_ended(void *arg, struct entry *n)
{
    struct spool *s = arg;

    s->stats.ended++;
    if (n->flags & ENTRY_CACHED)
        spool_cache_drop(&s->cache, n->id);
    if (n->large)
        large_release(s, n->large);
    s->stats.damaged -= n->flags & ENTRY_DAMAGED ? 1 : 0;
}

static void messages_live(struct spool *s, struct spool_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct spool_message *m = b->messages[i];
        struct spool_found found;

        entry_found(b->entries[i], &found);
        found.message = m;
        s->stats.commits++;
        s->settings.on_live(s->settings.arg, &found);
        if (!m->large && spool_cache_add(&s->cache, m))
            b->entries[i]->flags |= ENTRY_CACHED;
        else
            release_message(m, true);
    }
}

static void batch_done(struct spool *s, struct spool_batch *b)
{
    s->finished++;
    if (!b->waited)
        s->lazy_octets -= b->octets;
    list_remove(&b->lazy);
    if (b->error) {
        batch_revert(b, &s->store.index);
        for (uint32_t i = 0; i < b->n; i++)
            release_message(b->messages[i], false);
    } else {
        batch_apply(b, &s->store.index, on_ended, s);
        messages_live(s, b);
    }
    if (b->move || b->about)
        compact_batch_done(s, b);
    b->finished = true;
    if (b->waited && !b->abandoned)
        cond_wake_one(&b->done);
    else
        batch_free(b);
}

static void take_news(struct spool *s, const struct writer_news *n)
{
    if (n->rolled) {
        s->have_spare = false;
        s->spare_error = n->roll_error;
        chores_retry_later(s);
        if (n->roll_error < 0)
            spool_store_not_rolled(&s->store, n->number);
        else
            spool_store_rolled(&s->store, n->number, n->end_before);
    }
    if (n->sealed) {
        s->sealed.wanted = true;
        s->sealed.segment = n->sealed_number;
    }
    s->position = n->position;
    s->down = n->down;
    s->written = n->written;
    s->stats.groups = n->groups;
    s->stats.failed_groups = n->failed_groups;
    s->stats.syncs = n->syncs;
    s->stats.written = n->written;
}

void spool_news(void *arg)
{
    struct spool *s = arg;
    struct writer_news news;
    struct list done, *link;

    list_init(&done);
    writer_collect(&s->writer, &done, &news);
    take_news(s, &news);
    while ((link = list_take(&done)))
        batch_done(s, LIST_ENTRY(link, struct spool_batch, link));
    cond_wake_all(&s->flushed);
    if (s->settings.on_durable)
        s->settings.on_durable(s->settings.arg);
    chores_set_state(s);
    if (!s->have_spare || spool_store_releasable(&s->store) || s->sealed.wanted)
        chores_kick(s);
}

/* ---- damage */

struct copy_job {
    struct spool *spool;
    char name[32];
    uint64_t segment, from, to;
};

static void copy_run(void *arg)
{
    struct copy_job *j = arg;

    disk_quarantine(&j->spool->store.disk, j->name, j->segment, j->from, j->to);
}

static void copy_done(void *arg)
{
    struct copy_job *j = arg;

    j->spool->copies--;
    cond_wake_all(&j->spool->flushed);
    mem_free(j);
}

void spool_damaged(struct spool *s, const char *name, uint64_t segment, uint64_t from, uint64_t to,
    const char *what)
{
    struct spool_damage d = {
        .file = name, .segment = segment, .from = from, .to = to, .what = what};
    struct copy_job *j = MEM_NEW(struct copy_job);

    s->stats.quarantined++;
    if (s->settings.on_damage)
        s->settings.on_damage(s->settings.arg, &d);
    if (s->settings.look) {
        mem_free(j);
        return;
    }
    /* Without memory for the copy there is none; the record itself stays where it is. */
    if (!j)
        return;
    *j = (struct copy_job){.spool = s, .segment = segment, .from = from, .to = to};
    snprintf(j->name, sizeof j->name, "%s", name);
    if (pool_submit(s->back, copy_run, copy_done, j, NULL) < 0)
        mem_free(j);
    else
        s->copies++;
}

void spool_found_bad(
    struct spool *s, const struct record_place *place, const struct record_bad *bad)
{
    struct entry *n = index_find(&s->store.index, place->id);
    char name[32];

    if (!n || n->flags & ENTRY_DAMAGED)
        return;
    n->flags |= ENTRY_DAMAGED;
    s->stats.damaged++;
    if (bad->large)
        disk_large_name(name, bad->large_file);
    else
        disk_segment_name(name, place->file);
    spool_damaged(s, name, place->segment, bad->from, bad->to, "message");
}

/* ---- batches in */

void spool_publish(struct spool *s)
{
    s->lazy = NULL;
    s->urgent = false;
    if (!list_empty(&s->gather))
        writer_push(&s->writer, &s->gather);
}

/* What a turn of the loop has gathered goes to the writer as one. */
static void turn_ended(struct turn_hook *hook)
{
    struct spool *s = LIST_ENTRY(hook, struct spool, hook);

    if (s->urgent)
        spool_publish(s);
}

static void hand_in(struct spool *s, struct spool_batch *b)
{
    list_add(&s->gather, &b->link);
    s->handed_in++;
    s->lazy = NULL;
    if (b->waited) {
        s->urgent = true;
        run_at_turn_end(&s->hook);
    }
}

int spool_submit(struct spool *s, struct spool_batch *b)
{
    s->lazy_octets += b->octets;
    b->lazy_number = ++s->last_lazy;
    list_add(&s->lazies, &b->lazy);
    hand_in(s, b);
    return 0;
}

static int refuse(struct spool *s, enum spool_class class, struct err *e)
{
    if (s->settings.look)
        return spool_error(e, -EROFS, "the spool is only looked at");
    if (s->closing)
        return err_set_status(
            e, ERR_TEMPORARY, (struct err_status){4, 3, 2}, ORIGIN, "the spool is closing");
    if (s->state == SPOOL_BROKEN)
        return spool_error(e, s->down, "the spool cannot be written");
    if (s->state == SPOOL_FULL && class == SPOOL_MAIL)
        return spool_error(e, -ENOSPC, "the spool's reserve is reached");
    return 0;
}

/* A batch stays within one segment. */
static int check_size(const struct spool *s, uint64_t octets, struct err *e)
{
    if (octets <= spool_log_room_max(&s->store.disk, s->store.index.segment_count + 1))
        return 0;
    return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 3, 4}, ORIGIN,
        "a commit of %llu octets does not fit into a segment", (unsigned long long)octets);
}

static int make_batch(struct spool *s, struct spool_batch **out, struct spool_message *const *m,
    unsigned n, const struct spool_change *changes, unsigned count, struct err *e)
{
    struct spool_batch *b = batch_new(n);
    int rc = b ? 0 : err_memory(e, ORIGIN);

    if (rc == 0)
        rc = batch_add_messages(b, &s->store.index, m, n, e);
    if (rc == 0 && batch_add_changes(b, &s->store.index, changes, count, e) < 0)
        rc = -1;
    if (rc == 0)
        rc = check_size(s, b->octets, e);
    if (rc < 0) {
        if (b)
            batch_revert(b, &s->store.index);
        batch_free(b);
        return -1;
    }
    *out = b;
    return 0;
}

static int wait_for(struct spool_batch *b, struct err *e)
{
    int error;

    while (!b->finished) {
        if (cond_wait(&b->done, "spool commit", e) < 0 && !b->finished) {
            b->abandoned = true; /* it goes on without us */
            return -1;
        }
    }
    error = b->error;
    batch_free(b);
    return error ? spool_error(e, error, "the spool") : 0;
}

int spool_commit(struct spool *s, struct spool_message *const *m, unsigned n,
    const struct spool_change *changes, unsigned count, enum spool_class class, struct err *e)
{
    struct spool_batch *b;
    int rc = refuse(s, class, e);

    if (rc == 0 && !n && !count)
        return 0;
    if (rc == 0)
        rc = make_batch(s, &b, m, n, changes, count, e);
    if (rc < 0) {
        for (unsigned i = 0; i < n; i++)
            release_message(m[i], false);
        return -1;
    }
    b->class = class;
    b->waited = true;
    hand_in(s, b);
    return wait_for(b, e);
}

int spool_change(struct spool *s, const struct spool_change *changes, unsigned count, struct err *e)
{
    struct spool_batch *b = s->lazy;
    uint64_t before;

    if (s->settings.look)
        return refuse(s, SPOOL_OWN, e);
    if (s->lazy_octets > LAZY_MAX)
        return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, ORIGIN,
            "too many changes wait for the storage");
    if (b && b->octets + count * (uint64_t)(FRAME_HEADER + OUTCOME_HEAD) <= LAZY_BATCH) {
        before = b->octets;
        if (batch_add_changes(b, &s->store.index, changes, count, e) < 0)
            return -1;
        s->lazy_octets += b->octets - before;
        return 0;
    }
    if (!count)
        return 0;
    if (make_batch(s, &b, NULL, 0, changes, count, e) < 0)
        return -1;
    b->class = SPOOL_OWN;
    spool_submit(s, b);
    s->lazy = b;
    return 0;
}

/* Batches that fail come back before others that were handed in earlier: counting them says
 * nothing.
 */
uint64_t spool_ticket(const struct spool *s)
{
    return s->last_lazy;
}

uint64_t spool_durable(const struct spool *s)
{
    const struct spool_batch *first = LIST_FIRST(&s->lazies, struct spool_batch, lazy);

    return first ? first->lazy_number - 1 : s->last_lazy;
}

void spool_hurry(struct spool *s)
{
    spool_publish(s);
}

int spool_flush(struct spool *s, struct err *e)
{
    uint64_t target = s->handed_in;

    if (s->settings.look)
        return 0;
    spool_publish(s);
    while (s->finished < target) {
        if (s->down)
            return spool_error(e, s->down, "the spool cannot be written");
        if (cond_wait(&s->flushed, "spool flush", e) < 0)
            return -1;
    }
    return 0;
}

/* ---- opening */

static void fill_settings(struct spool *s, const struct spool_settings *from)
{
    struct spool_settings *to = &s->settings;

    *to = *from;
    snprintf(s->path, sizeof s->path, "%s", from->path);
    to->path = s->path;
    if (!to->segment)
        to->segment = 64 << 20;
    if (!to->large)
        to->large = 256 << 10;
    if (!to->reserve)
        to->reserve = 2 * to->segment;
    if (!to->group)
        to->group = 4 << 20;
    if (!to->cache)
        to->cache = 16 << 20;
    if (!to->checkpoint)
        to->checkpoint = 16 * to->segment;
}

static int report_live(struct spool *s, struct err *e)
{
    struct index *x = &s->store.index;
    struct spool_found found;

    for (uint32_t i = 0; i < x->top; i++) {
        struct entry *n = index_at(x, i);

        if (!n)
            continue;
        entry_found(n, &found);
        found.recovered = true;
        if (s->settings.on_live(s->settings.arg, &found) < 0)
            return err_memory(e, ORIGIN);
    }
    s->stats.recovered = x->count;
    return 0;
}

/* The first segment of this life: a start without one is possible, and refuses mail. */
static void first_segment(struct spool *s)
{
    struct preparing *p = &s->preparing;
    int rc = spool_store_prepare_begin(&s->store, p);

    if (rc == 0) {
        spool_store_prepare_run(p);
        rc = spool_store_prepare_end(&s->store, p);
    }
    s->have_spare = rc == 0;
    s->spare_error = rc;
    writer_supply(&s->writer, rc == 0 ? &p->next : NULL, rc);
}

/* Everything that can fail, and no fiber and no thread of ours runs before the end. */
static int open_rest(struct spool *s, bool lost, struct err *e)
{
    if (writer_open(&s->writer, &s->store.log, s->settings.group, spool_news, s, e) < 0)
        return -1;
    if (pool_open(&s->readers, "spool-read", 2, 4096, e) < 0 ||
        pool_open(&s->check_pool, "spool-check", 1, 4096, e) < 0 ||
        pool_open(&s->large_pool, "spool-large", 1, 4096, e) < 0 ||
        (!s->settings.look && large_files_load(s, lost, e) < 0) || report_live(s, e) < 0)
        return -1;
    if (s->settings.look)
        return 0;
    first_segment(s);
    return chores_start(s, e);
}

static void close_rest(struct spool *s)
{
    chores_done(s);
    pool_close(&s->readers);
    pool_close(&s->check_pool);
    pool_close(&s->large_pool);
    writer_done(&s->writer);
    large_files_done(&s->large);
    spool_cache_done(&s->cache);
    spool_store_close(&s->store);
    mem_free(s);
}

int spool_open(struct spool **out, const struct spool_settings *settings, struct err *e)
{
    struct spool *s = MEM_NEW(struct spool);
    uint64_t began = run_now_fresh();
    struct recovery r;
    int rc;

    if (!s)
        return err_memory(e, ORIGIN);
    fill_settings(s, settings);
    list_init(&s->gather);
    list_init(&s->lazies);
    s->hook.fn = turn_ended;
    cond_init(&s->flushed);
    spool_cache_init(&s->cache, s->settings.cache);
    list_init(&s->large.aborted);
    paced_init(&s->compaction.paced);
    paced_init(&s->scrub.paced);
    s->scrub.paced.pace = settings->scrub;
    if (spool_store_open(&s->store, &s->settings, &r, e) < 0) {
        mem_free(s);
        return -1;
    }
    s->stats.quarantined = r.damaged;
    s->stats.torn = r.torn;
    rc = open_rest(s, r.lost, e);
    recovery_done(&r);
    if (rc < 0) {
        close_rest(s);
        return -1;
    }
    s->stats.recovery_ms = run_now_fresh() - began;
    *out = s;
    return 0;
}

void spool_close(struct spool **sp)
{
    struct spool *s = *sp;

    if (!s)
        return;
    *sp = NULL;
    if (!s->settings.look)
        chores_stop(s);
    close_rest(s);
}

/* ---- what is asked of it */

const uint8_t *spool_id(const struct spool *s)
{
    return s->store.disk.spool_id;
}

uint64_t spool_epoch(const struct spool *s)
{
    return s->store.disk.epoch;
}

void spool_set_scrub(struct spool *s, uint64_t octets_a_second)
{
    s->scrub.paced.pace = octets_a_second;
}

enum spool_state spool_state(const struct spool *s)
{
    return s->state;
}

void spool_stats(const struct spool *s, struct spool_stats *out)
{
    *out = s->stats;
    out->messages = s->store.index.count;
    out->octets = s->store.index.octets;
    out->segments = s->store.index.segment_count;
    out->free_segments = s->store.free_count;
}

bool spool_find(const struct spool *s, uint64_t id, struct spool_found *f)
{
    struct entry *n = index_find(&s->store.index, id);

    if (n)
        entry_found(n, f);
    return n;
}

bool spool_next(const struct spool *s, uint32_t *place, struct spool_found *f)
{
    const struct index *x = &s->store.index;
    struct entry *n = NULL;

    while (!n && *place < x->top)
        n = index_at(x, (*place)++);
    if (n)
        entry_found(n, f);
    return n;
}
