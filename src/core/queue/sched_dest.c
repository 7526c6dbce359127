/* Destinations: which site they point at, for how long, and what happens meanwhile. */
#include "base/mem.h"

#include "core/queue/sched_int.h"

enum {
    POUR_MAX = 1000, /* deliveries a tick that get another place */
    LOOKUP_MAX = 60 * 60 * 1000,
};

static struct str dest_key(const void *entry)
{
    return ((const struct sched_dest *)entry)->key;
}

int sched_key_dup(struct str from, struct str *to)
{
    char *p = mem_alloc(from.n + 1);

    if (!p)
        return -1;
    memcpy(p, from.p, from.n);
    p[from.n] = '\0';
    *to = str_of(p, from.n);
    return 0;
}

/* The octets belong to the record alone. */
void sched_key_free(struct str *key)
{
    mem_free((void *)(uintptr_t)key->p);
    *key = STR_NONE;
}

static struct sched_dest *dest_make(struct sched *s, struct str key, enum sched_way way)
{
    uint32_t handle = s->dests.used < SCHED_DESTS_MAX ? slab_take(&s->dests) : 0;
    struct sched_dest *d;

    if (!handle)
        return NULL;
    d = dest_at(s, handle);
    d->handle = handle;
    d->way = way;
    if (sched_key_dup(key, &d->key) == 0) {
        if (due_reserve(&s->due, s->due.count + s->dests.used + s->sites.used + 2) == 0 &&
            table_add(&s->dest_table, d) == 0)
            return d;
        sched_key_free(&d->key);
    }
    d->handle = 0;
    slab_give(&s->dests, handle);
    return NULL;
}

struct sched_dest *sched_dest(struct sched *s, struct str key, bool *made)
{
    struct sched_dest *d = table_find(&s->dest_table, key);

    *made = false;
    if (d)
        return d;
    d = dest_make(s, key, SCHED_REMOTE);
    if (!d)
        return NULL;
    dest_timer(s, d, s->now + DEST_KEEP_MS);
    *made = true;
    return d;
}

int sched_make_ways(struct sched *s)
{
    static const struct str keys[] = {[SCHED_REMOTE] = STR_INIT(""),
        [SCHED_UNREAD] = STR_INIT("\001unread"),
        [SCHED_LOCAL] = STR_INIT("\001local"),
        [SCHED_DOOM] = STR_INIT("\001doom")};

    table_init(&s->dest_table, dest_key, SCHED_DESTS_MAX);
    for (int way = SCHED_UNREAD; way < SCHED_WAYS; way++) {
        s->ways[way] = dest_make(s, keys[way], (enum sched_way)way);
        if (!s->ways[way])
            return -1;
    }
    return 0;
}

struct sched_dest *sched_way(struct sched *s, enum sched_way way)
{
    CHECK(way != SCHED_REMOTE);
    return s->ways[way];
}

void dest_timer(struct sched *s, struct sched_dest *d, uint64_t at)
{
    d->until = tick_from(s, at);
    if (d->place)
        due_change(&s->due, d->place, d->until);
    else
        due_put(&s->due, d->until, d->handle * DUE_KINDS + DUE_DEST);
}

/* READY ones without a place wait as long as their destination cannot be looked up. */
void dest_waits(struct sched *s, struct sched_dest *d, enum sched_dest_state state)
{
    if (d->state == DEST_FAILING)
        s->waiting -= d->unplaced;
    if (state == DEST_FAILING)
        s->waiting += d->unplaced;
    d->state = state;
}

void dest_want(struct sched *s, struct sched_dest *d)
{
    bool stale = d->state == DEST_NEW || (d->state == DEST_PLACED && !d->place);

    if (stale && !d->asked && !list_linked(&d->asking))
        list_add(&s->asking, &d->asking);
}

struct sched_dest *sched_ask(struct sched *s)
{
    struct list *link;
    struct sched_dest *d;

    if (s->set.stopped || !(link = list_take(&s->asking)))
        return NULL;
    d = LIST_ENTRY(link, struct sched_dest, asking);
    if (d->state == DEST_NEW)
        d->state = DEST_ASKED;
    d->asked = true;
    return d;
}

/* Its READY deliveries are put where they belong now, a portion a tick. */
static void pour_from_start(struct sched *s, struct sched_dest *d)
{
    d->cursor = d->first;
    if (d->cursor && !list_linked(&d->pouring))
        list_add(&s->pouring, &d->pouring);
}

static bool misplaced(const struct sched *s, const struct sched_dest *dest, uint32_t delivery)
{
    const struct sched_delivery *d = delivery_at(s, delivery);
    const struct flow *f;

    if (d->state != SCHED_READY)
        return false;
    if (d->place != PLACE_FLOW)
        return dest->state == DEST_REFUSED ? d->place != PLACE_FIFO
                                           : dest->site || d->place == PLACE_FIFO;
    f = slab_at(&s->flows, d->where);
    return !dest->site || f->site != dest->site->handle;
}

bool dest_pour(struct sched *s)
{
    unsigned left = POUR_MAX;
    struct sched_dest *d;

    while (left && (d = LIST_FIRST(&s->pouring, struct sched_dest, pouring))) {
        uint32_t delivery = d->cursor;

        if (!delivery) {
            list_remove(&d->pouring);
            continue;
        }
        d->cursor = delivery_at(s, delivery)->mate_next;
        left--;
        if (misplaced(s, d, delivery)) {
            delivery_unplace(s, delivery);
            delivery_place(s, delivery);
        }
    }
    return !list_empty(&s->pouring);
}

static void leave_site(struct sched *s, struct sched_dest *d)
{
    struct sched_site *site = d->site;

    if (!site)
        return;
    list_remove(&d->of_site);
    d->site = NULL;
    site_gc(s, site);
}

int sched_placed(struct sched *s, struct sched_dest *d, struct str site_key, uint64_t ttl_ms,
    uint64_t now, struct sched_site **out, bool *made)
{
    struct sched_site *site;

    s->now = now;
    d->asked = false;
    site = site_find(s, site_key, made);
    if (!site) {
        sched_unplaced(s, d, 0, now);
        return -1;
    }
    if (d->site != site) {
        leave_site(s, d);
        d->site = site;
        list_add(&site->dests, &d->of_site);
        dest_waits(s, d, DEST_PLACED);
        pour_from_start(s, d);
    }
    dest_waits(s, d, DEST_PLACED);
    if (d->unplaced)
        pour_from_start(s, d);
    d->failures = 0;
    d->reason = 0;
    dest_timer(s, d, now + ttl_ms);
    *out = site;
    return 0;
}

/* The site it had stays in use as long as nothing better is known. */
void sched_unplaced(struct sched *s, struct sched_dest *d, uint32_t reason, uint64_t now)
{
    uint64_t ms = s->set.retry_ms[0];

    s->now = now;
    d->asked = false;
    d->reason = reason;
    for (uint32_t i = 0; i < d->failures && ms < LOOKUP_MAX / 4; i++)
        ms *= 2;
    if (d->failures < 32)
        d->failures++;
    if (!d->site)
        dest_waits(s, d, DEST_FAILING);
    dest_timer(s, d, now + sched_jitter(s, ms, 25));
}

void sched_refused(
    struct sched *s, struct sched_dest *d, uint32_t reason, uint64_t ttl_ms, uint64_t now)
{
    s->now = now;
    d->asked = false;
    d->reason = reason;
    leave_site(s, d);
    dest_waits(s, d, DEST_REFUSED);
    pour_from_start(s, d);
    dest_timer(s, d, now + ttl_ms);
}

void dest_free(struct sched *s, struct sched_dest *d)
{
    uint32_t handle = d->handle;

    CHECK(!d->count);
    leave_site(s, d);
    list_remove(&d->asking);
    list_remove(&d->pouring);
    if (d->place)
        due_take(&s->due, d->place);
    table_remove(&s->dest_table, d->key);
    if (d->user)
        s->free_user(d->user);
    sched_key_free(&d->key);
    d->handle = 0;
    slab_give(&s->dests, handle);
}

/* What its refusal has doomed is so no longer. */
static void dest_anew(struct sched *s, struct sched_dest *d)
{
    bool refused = d->state == DEST_REFUSED;

    dest_waits(s, d, DEST_NEW);
    if (refused)
        pour_from_start(s, d);
}

/* Its lookup is too old, or its back-off has ended. */
void dest_due(struct sched *s, struct sched_dest *d)
{
    due_take(&s->due, d->place);
    if (!d->count && !d->asked) {
        dest_free(s, d);
        return;
    }
    if (d->state == DEST_FAILING || d->state == DEST_REFUSED)
        dest_anew(s, d);
    if (d->ready)
        dest_want(s, d);
    else if (d->state != DEST_PLACED || !d->count)
        dest_timer(s, d, s->now + DEST_KEEP_MS);
}

void sched_dest_retry(struct sched *s, struct sched_dest *d, uint64_t now)
{
    s->now = now;
    if (d->state != DEST_FAILING && d->state != DEST_REFUSED)
        return;
    dest_anew(s, d);
    d->failures = 0;
    dest_want(s, d);
}

void sched_stale(struct sched *s, struct sched_dest *d, uint64_t now)
{
    s->now = now;
    if (d->state == DEST_PLACED)
        dest_timer(s, d, now);
    else
        sched_dest_retry(s, d, now);
}

struct sched_dest *sched_dest_next(const struct sched *s, uint32_t *i)
{
    while (*i < s->dests.top) {
        struct sched_dest *d = dest_at(s, ++*i);
        if (d->handle && d->way == SCHED_REMOTE)
            return d;
    }
    return NULL;
}

struct sched_dest *sched_dest_of(const struct sched *s, const struct sched_delivery *d)
{
    return dest_at(s, d->dest);
}
