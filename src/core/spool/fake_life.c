#include "core/spool/fake_life.h"

#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/checkpoint.h"
#include "core/spool/large.h"

enum {
    SMALL_SEGMENT = 64 << 10,
};

static void on_damage(void *arg, const struct spool_damage *d)
{
    struct life *l = arg;

    if (!l->allow_damage)
        printf("damage: %s segment %llu %llu-%llu %s\n", d->file, (unsigned long long)d->segment,
            (unsigned long long)d->from, (unsigned long long)d->to, d->what);
    l->damaged++;
}

size_t model_size(uint64_t id)
{
    return id % 7 == 3 ? 150000 : (size_t)(id * 977 % 3000);
}

struct str model_content(uint64_t id, char *p)
{
    size_t n = model_size(id);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + (id * 31 + i / 7 + i) % 26);
    return str_of(p, n);
}

/* ---- a life */

static int roll(struct life *l)
{
    struct preparing p;
    uint64_t end = l->store.log.end;
    int rc = spool_store_prepare_begin(&l->store, &p);

    if (rc < 0)
        return rc;
    spool_store_prepare_run(&p);
    rc = spool_store_prepare_end(&l->store, &p);
    if (rc < 0)
        return rc;
    rc = spool_log_roll(&l->store.log, &p.next);
    mem_free(p.next.in_use);
    if (rc < 0)
        spool_store_not_rolled(&l->store, p.number);
    else
        spool_store_rolled(&l->store, p.number, end);
    return rc;
}

int life_start(struct life *l, struct fake_disk *disk, struct model *model)
{
    struct spool_settings settings = {
        .sys = fake_sys(disk),
        .path = "/spool",
        .segment = l->segment ? l->segment : SMALL_SEGMENT,
        .arg = l,
        .on_damage = on_damage,
    };
    int rc;

    l->disk = disk;
    l->model = model;
    l->damaged = 0;
    l->open = spool_store_open(&l->store, &settings, &l->recovery, &l->why) == 0;
    if (!l->open)
        return l->why.os ? -l->why.os : -EIO;
    rc = roll(l);
    if (rc < 0)
        life_end(l);
    return rc;
}

void life_end(struct life *l)
{
    if (l->open)
        spool_store_close(&l->store);
    recovery_done(&l->recovery);
    l->open = false;
}

/* ---- operations */

struct test_message {
    struct spool_message m;
    struct str piece[2];
    char envelope[16];
    char octets[];
};

static struct test_message *message_new(uint64_t id)
{
    struct test_message *t = mem_zalloc(sizeof *t + model_size(id));
    struct str content = model_content(id, t->octets);

    snprintf(t->envelope, sizeof t->envelope, "%llu", (unsigned long long)id);
    t->m.id = id;
    t->m.rcpts = (uint32_t)(1 + id % 3);
    t->m.envelope = str_c(t->envelope);
    t->m.prefix = STR("Received: from x\r\n");
    t->piece[0] = str_head(content, content.n / 3);
    t->piece[1] = str_from(content, content.n / 3);
    t->m.content = t->piece;
    t->m.pieces = 2;
    return t;
}

static void forget(void *arg, struct entry *n)
{
    (void)arg;
    (void)n;
}

/* Writes the batches as one group. */
static int write_only(struct life *l, struct list *group)
{
    uint64_t octets = 0;
    int rc = 0;

    LIST_EACH(link, group)
    {
        struct spool_batch *b = LIST_ENTRY(link, struct spool_batch, link);

        octets += b->octets;
        for (uint32_t i = 0; i < b->n; i++)
            CHECK(spool_log_check_content(b->messages[i]) == 0);
    }
    if (octets > spool_log_room(&l->store.log))
        rc = roll(l);
    return rc == 0 ? spool_log_write_group(&l->store.log, group) : rc;
}

/* What the loop makes of it. On failure the model already says "maybe". */
static void settle(struct life *l, struct list *group, int rc)
{
    for (struct list *link; (link = list_take(group));) {
        struct spool_batch *b = LIST_ENTRY(link, struct spool_batch, link);

        if (rc == 0)
            batch_apply(b, &l->store.index, forget, NULL);
        else
            batch_revert(b, &l->store.index);
        for (uint32_t i = 0; i < b->n; i++)
            mem_free(b->messages[i]);
        batch_free(b);
    }
}

static int write_group(struct life *l, struct list *group)
{
    int rc = write_only(l, group);

    settle(l, group, rc);
    return rc;
}

static struct spool_batch *message_batch(struct life *l, struct test_message *t)
{
    struct spool_batch *b = batch_new(1);
    struct spool_message *m = &t->m;
    struct err e;

    CHECK(b);
    CHECK(batch_add_messages(b, &l->store.index, &m, 1, &e) == 0);
    return b;
}

/* The id says how long the content is. */
static uint64_t new_id(struct life *l, bool frames)
{
    do
        CHECK(++l->model->next < MODEL_IDS);
    while ((l->model->next % 7 == 3) != frames);
    return l->model->next;
}

static uint64_t oldest(const struct life *l)
{
    for (uint64_t id = 1; id < MODEL_IDS; id++)
        if (l->model->state[id] == MODEL_ALIVE)
            return id;
    return 0;
}

static uint64_t newest(const struct life *l)
{
    for (uint64_t id = MODEL_IDS - 1; id > 0; id--)
        if (l->model->state[id] == MODEL_ALIVE)
            return id;
    return 0;
}

static int do_messages(struct life *l, unsigned n, bool frames)
{
    uint64_t ids[3] = {0};
    struct list group;
    int rc;

    list_init(&group);
    for (unsigned i = 0; i < n; i++) {
        ids[i] = new_id(l, frames);
        l->model->state[ids[i]] = MODEL_MAYBE_ALIVE;
        list_add(&group, &message_batch(l, message_new(ids[i]))->link);
    }
    rc = write_group(l, &group);
    for (unsigned i = 0; rc == 0 && i < n; i++)
        l->model->state[ids[i]] = MODEL_ALIVE;
    return rc;
}

static int do_large(struct life *l)
{
    struct spool_large *large = mem_zalloc(sizeof *large);
    uint64_t id = new_id(l, true);
    struct test_message *t = message_new(id);
    struct list group;
    int rc;

    large->disk = &l->store.disk;
    large->file = (uint32_t)id;
    large->use = l->store.disk.epoch << 32 | id;
    l->model->state[id] = MODEL_MAYBE_ALIVE;
    rc = large_open(large);
    if (rc == 0) {
        large->octets = t->piece[0];
        rc = large_write(large);
        large->octets = t->piece[1];
    }
    if (rc == 0)
        rc = large_write(large);
    if (rc == 0)
        rc = large_finish(large);
    if (rc == 0) {
        t->m.pieces = 0;
        t->m.large = large;
        list_init(&group);
        list_add(&group, &message_batch(l, t)->link);
        rc = write_group(l, &group);
    } else {
        mem_free(t);
    }
    mem_free(large);
    if (rc == 0)
        l->model->state[id] = MODEL_ALIVE;
    return rc;
}

static int do_change(struct life *l, enum spool_change_kind kind, uint64_t id, bool bounce)
{
    uint64_t dsn = id && bounce ? new_id(l, false) : 0;
    struct spool_change c = {.kind = kind, .id = id};
    struct model *m = l->model;
    struct spool_batch *b;
    struct list group;
    struct err e;
    int rc;

    if (!id)
        return 0;
    b = bounce ? message_batch(l, message_new(dsn)) : batch_new(0);
    if (kind == SPOOL_OUTCOME) {
        c.outcome = m->rcpt[id];
        c.outcome.state = SPOOL_DEFERRED;
        c.outcome.attempts++;
        m->maybe[id] = c.outcome;
    } else {
        m->state[id] = MODEL_MAYBE_ENDED;
        m->bounced_by[id] = dsn;
    }
    if (dsn)
        m->state[dsn] = MODEL_MAYBE_ALIVE;
    CHECK(batch_add_changes(b, &l->store.index, &c, 1, &e) == 0);
    list_init(&group);
    list_add(&group, &b->link);
    rc = write_group(l, &group);
    if (rc < 0)
        return rc;
    m->rcpt[id] = m->maybe[id];
    if (kind == SPOOL_END)
        m->state[id] = MODEL_ENDED;
    if (dsn)
        m->state[dsn] = MODEL_ALIVE;
    return 0;
}

/* ---- compaction */

static struct segment *oldest_sealed(struct life *l)
{
    struct index *x = &l->store.index;

    for (uint32_t i = 0; i < x->segment_count; i++)
        if (x->segments[i]->life == SEGMENT_SEALED && x->segments[i]->live)
            return x->segments[i];
    return NULL;
}

static struct spool_batch *move_batch(struct life *l, struct entry *n)
{
    struct record_place place = record_place(n);
    struct record_copy copy;
    struct record_bad bad;
    struct spool_batch *b;

    if (record_read(&l->store.disk, &place, true, &copy, &bad) < 0)
        return NULL;
    b = batch_move(&l->store.index, n, &copy);
    CHECK(b);
    return b;
}

/* Moves the first message of a segment; 1: there is none. */
static int move_first(struct life *l, struct segment *s)
{
    uint32_t i = s->first;
    struct entry *n = index_next(&l->store.index, &i);
    struct spool_batch *b = n ? move_batch(l, n) : NULL;
    struct list group;

    if (!n)
        return 1;
    if (!b)
        return -EIO;
    list_init(&group);
    list_add(&group, &b->link);
    return write_group(l, &group);
}

static int do_compact(struct life *l, bool whole)
{
    struct segment *s = oldest_sealed(l);
    struct list group;
    int rc;

    if (!s)
        return 0;
    s->replacing = true;
    do
        rc = move_first(l, s);
    while (rc == 0 && whole);
    if (rc == 1) {
        list_init(&group);
        list_add(&group, &batch_state(&l->store.index, s)->link);
        rc = write_group(l, &group);
    }
    s->replacing = false;
    return rc;
}

/* A change that is handed in while its message is on its way, and written to the next segment
 * before the loop hears of either. */
static int do_move_and_change(struct life *l, enum spool_change_kind kind)
{
    uint64_t id = oldest(l);
    struct entry *n = id ? index_find(&l->store.index, id) : NULL;
    struct spool_change c = {.kind = kind, .id = id};
    struct spool_batch *moved, *change;
    struct model *m = l->model;
    struct list group, later;
    struct err e;
    int rc;

    if (!n || n->segment->life != SEGMENT_SEALED)
        return 0;
    moved = move_batch(l, n);
    if (!moved)
        return -EIO;
    change = batch_new(0);
    if (kind == SPOOL_OUTCOME) {
        c.outcome = m->rcpt[id];
        c.outcome.state = SPOOL_DEFERRED;
        c.outcome.attempts++;
        m->maybe[id] = c.outcome;
    } else {
        m->state[id] = MODEL_MAYBE_ENDED;
        m->bounced_by[id] = 0;
    }
    CHECK(batch_add_changes(change, &l->store.index, &c, 1, &e) == 0);
    list_init(&group);
    list_init(&later);
    list_add(&group, &moved->link);
    list_add(&later, &change->link);
    rc = write_only(l, &group);
    if (rc == 0)
        rc = roll(l);
    if (rc == 0)
        rc = write_only(l, &later);
    settle(l, &group, rc);
    settle(l, &later, rc);
    if (rc < 0)
        return rc;
    m->rcpt[id] = m->maybe[id];
    if (kind == SPOOL_END)
        m->state[id] = MODEL_ENDED;
    return 0;
}

static int do_states(struct life *l)
{
    struct index *x = &l->store.index;
    struct list group;

    list_init(&group);
    for (uint32_t i = 0; i < x->segment_count; i++)
        if (x->segments[i]->life == SEGMENT_SEALED)
            list_add(&group, &batch_state(x, x->segments[i])->link);
    return list_empty(&group) ? 0 : write_group(l, &group);
}

static int do_release(struct life *l)
{
    struct segment *s;

    while ((s = spool_store_releasable(&l->store))) {
        struct releasing p;

        spool_store_release_begin(&l->store, s, &p);
        spool_store_release_run(&p);
        spool_store_release_end(&l->store, &p);
        if (p.rc < 0)
            return p.rc;
    }
    return 0;
}

static int do_checkpoint(struct life *l)
{
    struct log_position position = spool_log_position(&l->store.log);
    struct checkpoint c;
    uint32_t i = 0;
    int rc, more;

    checkpoint_init(&c, &l->store.disk);
    CHECK(checkpoint_begin(&c, &position, &l->store.index) == 0);
    rc = checkpoint_write(&c);
    do {
        more = checkpoint_entries(&c, &l->store.index, &i);
        if (rc == 0)
            rc = checkpoint_write(&c);
    } while (more > 0);
    CHECK(checkpoint_end(&c) == 0);
    if (rc == 0)
        rc = checkpoint_write(&c);
    if (rc == 0)
        rc = checkpoint_commit(&c);
    checkpoint_done(&c);
    return rc;
}

int life_do(struct life *l, char operation)
{
    switch (operation) {
    case 'a':
        return do_messages(l, 1, false);
    case 'g':
        return do_messages(l, 3, false);
    case 'm':
        return do_messages(l, 1, true);
    case 'l':
        return do_large(l);
    case 'd':
        return do_change(l, SPOOL_END, oldest(l), false);
    case 'x':
        return do_change(l, SPOOL_END, newest(l), false);
    case 'b':
        return do_change(l, SPOOL_END, oldest(l), true);
    case 'o':
        return do_change(l, SPOOL_OUTCOME, oldest(l), false);
    case 'r':
        return roll(l);
    case 'c':
        return do_checkpoint(l);
    case 's':
        return do_states(l);
    case 'f':
        return do_release(l);
    case 'p':
        return do_compact(l, true);
    case 'q':
        return do_compact(l, false);
    case 'e':
        return do_move_and_change(l, SPOOL_END);
    case 'u':
        return do_move_and_change(l, SPOOL_OUTCOME);
    case 'k':
        return spool_log_mark(&l->store.log);
    default:
        UNREACHABLE();
    }
}

int life_run(struct life *l, const char *operations)
{
    int rc = 0;

    for (const char *p = operations; rc == 0 && *p; p++)
        rc = life_do(l, *p);
    return rc;
}
