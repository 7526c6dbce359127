/* The scheduler's life, its messages, and their age. */
#include "core/queue/sched.h"

#include "base/mem.h"

#include "core/queue/sched_int.h"

enum {
    IDS_MIN = 256,
};

static void moved(void *arg, uint32_t item, uint32_t place)
{
    struct sched *s = arg;
    uint32_t handle = item / DUE_KINDS;

    if (item % DUE_KINDS == DUE_DELIVERY)
        delivery_at(s, handle)->where = place;
    else if (item % DUE_KINDS == DUE_DEST)
        dest_at(s, handle)->place = place;
    else
        site_at(s, handle)->place = place;
}

int sched_open(struct sched **out, const struct sched_settings *settings,
    void (*free_user)(void *user), uint64_t now)
{
    struct sched *s = MEM_NEW(struct sched);

    if (!s)
        return -1;
    s->free_user = free_user;
    s->base = s->now = now;
    s->set = *settings;
    slab_init(&s->messages, sizeof(struct sched_message));
    slab_init(&s->deliveries, sizeof(struct sched_delivery));
    slab_init(&s->flows, sizeof(struct flow));
    slab_init(&s->dests, sizeof(struct sched_dest));
    slab_init(&s->sites, sizeof(struct sched_site));
    due_init(&s->due, moved, s);
    list_init(&s->asking);
    list_init(&s->pouring);
    list_init(&s->want);
    list_init(&s->want_probe);
    list_init(&s->refused);
    list_init(&s->waking);
    sched_init_sites(s);
    sched_init_conns(s);
    if (sched_make_ways(s) < 0) {
        sched_close(&s);
        return -1;
    }
    *out = s;
    return 0;
}

static void free_records(struct sched *s)
{
    for (uint32_t i = 1; i <= s->dests.top; i++) {
        struct sched_dest *d = dest_at(s, i);
        if (d->handle && d->user)
            s->free_user(d->user);
        if (d->handle)
            sched_key_free(&d->key);
    }
    for (uint32_t i = 1; i <= s->sites.top; i++) {
        struct sched_site *site = site_at(s, i);
        if (site->handle && site->user)
            s->free_user(site->user);
        if (site->handle)
            sched_key_free(&site->key);
    }
}

void sched_close(struct sched **out)
{
    struct sched *s = *out;
    struct sched_conn *c;

    if (!s)
        return;
    for (size_t i = 0; (c = table_next(&s->conn_table, &i));)
        mem_free(c);
    free_records(s);
    table_done(&s->conn_table);
    table_done(&s->dest_table);
    table_done(&s->site_table);
    slab_done(&s->messages);
    slab_done(&s->deliveries);
    slab_done(&s->flows);
    slab_done(&s->dests);
    slab_done(&s->sites);
    due_done(&s->due);
    mem_free(s->ids);
    mem_free(s->chains);
    mem_free(s);
    *out = NULL;
}

void sched_reconfigure(struct sched *s, const struct sched_settings *settings, uint64_t now)
{
    struct sched_site *site;

    s->set = *settings;
    s->now = now;
    for (uint32_t i = 0; (site = sched_site_next(s, &i));)
        site_check(s, site);
}

/* ---- messages by id: our own counters, so the hash needs no key */

static uint32_t slot_of(const struct sched *s, uint64_t id)
{
    id ^= id >> 32;
    id *= 0x9e3779b97f4a7c15U;
    return (uint32_t)(id >> 32) & (s->ids_cap - 1);
}

static void id_insert(struct sched *s, uint32_t message)
{
    uint32_t slot = slot_of(s, message_at(s, message)->id);

    while (s->ids[slot])
        slot = (slot + 1) & (s->ids_cap - 1);
    s->ids[slot] = message;
}

static int ids_room(struct sched *s)
{
    uint32_t *old = s->ids, old_cap = s->ids_cap, cap = old_cap ? old_cap : IDS_MIN;

    while ((uint64_t)(s->messages.used + 1) * 4 > (uint64_t)cap * 3)
        cap *= 2;
    if (cap == old_cap)
        return 0;
    s->ids = mem_array(cap, sizeof *s->ids);
    if (!s->ids) {
        s->ids = old;
        return -1;
    }
    s->ids_cap = cap;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i])
            id_insert(s, old[i]);
    mem_free(old);
    return 0;
}

static uint32_t id_slot(const struct sched *s, uint64_t id)
{
    if (!s->ids_cap)
        return UINT32_MAX;
    for (uint32_t slot = slot_of(s, id); s->ids[slot]; slot = (slot + 1) & (s->ids_cap - 1))
        if (message_at(s, s->ids[slot])->id == id)
            return slot;
    return UINT32_MAX;
}

static void id_remove(struct sched *s, uint64_t id)
{
    uint32_t hole = id_slot(s, id), mask = s->ids_cap - 1;

    CHECK(hole != UINT32_MAX);
    for (uint32_t i = (hole + 1) & mask; s->ids[i]; i = (i + 1) & mask) {
        uint32_t home = slot_of(s, message_at(s, s->ids[i])->id);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            s->ids[hole] = s->ids[i];
            hole = i;
        }
    }
    s->ids[hole] = 0;
}

uint32_t sched_find(const struct sched *s, uint64_t id)
{
    uint32_t slot = id_slot(s, id);

    return slot == UINT32_MAX ? 0 : s->ids[slot];
}

struct sched_message *sched_message(const struct sched *s, uint32_t message)
{
    return message_at(s, message);
}

struct sched_delivery *sched_delivery(const struct sched *s, uint32_t delivery)
{
    return delivery_at(s, delivery);
}

/* ---- messages in the order of arrival */

uint32_t sched_add(struct sched *s, uint64_t id, uint16_t left, uint64_t order)
{
    struct sched_message *m;
    uint32_t handle;

    if (ids_room(s) < 0 || !(handle = slab_take(&s->messages)))
        return 0;
    m = message_at(s, handle);
    m->id = id;
    m->left = left;
    m->number = order ? order : ++s->last_number;
    m->prev = s->last;
    if (s->last)
        message_at(s, s->last)->next = handle;
    else
        s->first = handle;
    s->last = handle;
    if (!s->warn_at)
        s->warn_at = handle;
    if (!s->expire_at)
        s->expire_at = handle;
    id_insert(s, handle);
    s->in_state[SCHED_READY]++;
    return handle;
}

/* Merges two runs that `next` chains, by number. */
static uint32_t merge(struct sched *s, uint32_t a, uint32_t b)
{
    uint32_t first = 0, *link = &first;

    while (a && b) {
        uint32_t *from = message_at(s, a)->number <= message_at(s, b)->number ? &a : &b;
        *link = *from;
        link = &message_at(s, *from)->next;
        *from = *link;
    }
    *link = a ? a : b;
    return first;
}

/* Before anything else is numbered. What comes from the log is nearly in order. */
void sched_sort(struct sched *s)
{
    uint32_t run[33] = {0}, h = s->first, next, sorted = 0;

    for (; h; h = next) {
        unsigned i = 0;
        next = message_at(s, h)->next;
        message_at(s, h)->next = 0;
        for (; run[i]; run[i++] = 0)
            h = merge(s, run[i], h);
        run[i] = h;
    }
    for (unsigned i = 0; i < ARRAY_COUNT(run); i++)
        sorted = run[i] ? merge(s, run[i], sorted) : sorted;
    s->first = s->warn_at = s->expire_at = sorted;
    s->last = 0;
    s->last_number = 0;
    for (h = sorted; h; h = message_at(s, h)->next) {
        struct sched_message *m = message_at(s, h);
        m->prev = s->last;
        m->number = ++s->last_number;
        s->last = h;
    }
}

uint32_t sched_first(const struct sched *s)
{
    return s->first;
}

/* Most often where the last list ended. */
uint32_t sched_behind(struct sched *s, uint64_t number)
{
    uint32_t h = s->listed ? s->listed : s->first;

    while (h && message_at(s, h)->prev && message_at(s, message_at(s, h)->prev)->number > number)
        h = message_at(s, h)->prev;
    while (h && message_at(s, h)->number <= number)
        h = message_at(s, h)->next;
    s->listed = h;
    return h;
}

void sched_forget(struct sched *s, uint32_t message)
{
    struct sched_message *m = message_at(s, message);

    CHECK(!m->first);
    id_remove(s, m->id);
    s->in_state[SCHED_READY]--;
    if (s->warn_at == message)
        s->warn_at = m->next;
    if (s->expire_at == message)
        s->expire_at = m->next;
    if (s->listed == message)
        s->listed = m->next;
    if (m->prev)
        message_at(s, m->prev)->next = m->next;
    else
        s->first = m->next;
    if (m->next)
        message_at(s, m->next)->prev = m->prev;
    else
        s->last = m->prev;
    slab_give(&s->messages, message);
}

/* ---- age: one look at the oldest, not a timer a message */

static bool is_older(const struct sched_message *m, uint64_t ms, uint32_t now_s)
{
    uint64_t end = m->arrived + (ms + 999) / 1000;

    return end <= now_s;
}

bool sched_is_expired(const struct sched *s, const struct sched_message *m, uint32_t now_s)
{
    return m->arrived && is_older(m, s->set.lifetime_ms, now_s);
}

/* From *at on: the first message that is that old and has something left to be decided. */
static uint32_t aged(
    struct sched *s, uint32_t *at, uint64_t ms, uint32_t now_s, bool *unknown, uint32_t *next_s)
{
    while (*at) {
        uint32_t handle = *at;
        const struct sched_message *m = message_at(s, handle);

        *unknown = !m->arrived && m->first;
        if (*unknown)
            return handle;
        if (m->arrived && !is_older(m, ms, now_s)) {
            uint64_t end = m->arrived + (ms + 999) / 1000;
            if (end < *next_s)
                *next_s = (uint32_t)end;
            return 0;
        }
        *at = m->next;
        if (m->in[SCHED_READY] || m->in[SCHED_DEFERRED])
            return handle;
    }
    return 0;
}

void sched_age_again(struct sched *s, uint32_t message)
{
    if (!s->expire_at || message_at(s, message)->number < message_at(s, s->expire_at)->number)
        s->expire_at = message;
}

uint32_t sched_aged(struct sched *s, uint32_t now_s, enum sched_age *age, uint32_t *next_s)
{
    bool unknown = false;
    uint32_t handle;

    *next_s = UINT32_MAX;
    if (s->set.stopped)
        return 0;
    handle = aged(s, &s->expire_at, s->set.lifetime_ms, now_s, &unknown, next_s);
    *age = unknown ? AGE_UNKNOWN : AGE_EXPIRED;
    if (handle || !s->set.warn_after_ms)
        return handle;
    handle = aged(s, &s->warn_at, s->set.warn_after_ms, now_s, &unknown, next_s);
    *age = unknown ? AGE_UNKNOWN : AGE_WARN;
    return handle;
}

/* ---- figures */

void sched_stats(const struct sched *s, struct sched_stats *stats)
{
    *stats = (struct sched_stats){
        .unread = s->fifo[SCHED_UNREAD].count,
        .waiting_for_sites = s->waiting,
        .ready = s->set.stopped ? 0 : s->in[SCHED_READY] - s->waiting,
        .active = s->in[SCHED_ACTIVE],
        .dests = s->dests.used - (SCHED_WAYS - 1),
        .sites = s->sites.used,
        .sites_down = s->sites_down,
        .connections = s->connections,
        .memory = slab_memory(&s->messages) + slab_memory(&s->deliveries) + slab_memory(&s->flows) +
                  slab_memory(&s->dests) + slab_memory(&s->sites) +
                  ((uint64_t)s->ids_cap + s->chains_cap) * sizeof(uint32_t) +
                  (uint64_t)s->due.cap * sizeof(struct due_entry),
    };
    memcpy(stats->messages, s->in_state, sizeof stats->messages);
}
