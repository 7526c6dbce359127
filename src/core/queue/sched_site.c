/* Sites: how many connections each may have, its rate, and its back-off. */
#include "base/mem.h"

#include "core/queue/sched_int.h"

enum {
    WINDOW_ONE = 256,
    WINDOW_FIRST = 2 * WINDOW_ONE,
    PATIENCE_MS = 20,  /* what waits longer than this is worth another connection */
    SERVICE_MS = 1000, /* of a delivery, as long as it is not known */
    BACK_OFF_MAX = 60 * 60 * 1000,
    REFUSED_MS = 5 * 60 * 1000,
    MINUTE_MS = 60 * 1000,
};

static struct str site_key(const void *entry)
{
    return ((const struct sched_site *)entry)->key;
}

void sched_init_sites(struct sched *s)
{
    table_init(&s->site_table, site_key, SCHED_SITES_MAX);
}

static struct sched_site *site_make(struct sched *s, struct str key)
{
    uint32_t handle = s->sites.used < SCHED_SITES_MAX ? slab_take(&s->sites) : 0;
    struct sched_site *site;

    if (!handle)
        return NULL;
    site = site_at(s, handle);
    site->handle = handle;
    list_init(&site->dests);
    list_init(&site->idle);
    site->window = WINDOW_FIRST;
    site->most = UINT32_MAX;
    site->tokens_at = s->now;
    if (sched_key_dup(key, &site->key) == 0) {
        if (due_reserve(&s->due, s->due.count + s->dests.used + s->sites.used + 2) == 0 &&
            table_add(&s->site_table, site) == 0)
            return site;
        sched_key_free(&site->key);
    }
    site->handle = 0;
    slab_give(&s->sites, handle);
    return NULL;
}

struct sched_site *site_find(struct sched *s, struct str key, bool *made)
{
    struct sched_site *site = table_find(&s->site_table, key);

    *made = !site;
    return site ? site : site_make(s, key);
}

static bool is_down(enum sched_site_state state)
{
    return state != SITE_UP;
}

void site_state(struct sched *s, struct sched_site *site, enum sched_site_state state)
{
    if (site->state == SITE_BACK_OFF)
        s->waiting -= site->ready;
    if (state == SITE_BACK_OFF)
        s->waiting += site->ready;
    s->sites_down += is_down(state);
    s->sites_down -= is_down(site->state);
    site->state = state;
    list_remove(&site->want);
    list_remove(&site->refused);
    if (state == SITE_REFUSED)
        list_add(&s->refused, &site->refused);
}

void site_timer(struct sched *s, struct sched_site *site, uint64_t at)
{
    site->until = tick_from(s, at);
    if (site->place)
        due_change(&s->due, site->place, site->until);
    else
        due_put(&s->due, site->until, site->handle * DUE_KINDS + DUE_SITE);
}

void site_gc(struct sched *s, struct sched_site *site)
{
    uint32_t handle = site->handle;

    if (!list_empty(&site->dests) || site->ready || site->open)
        return;
    site_state(s, site, SITE_UP);
    if (site->place)
        due_take(&s->due, site->place);
    table_remove(&s->site_table, site->key);
    if (site->user)
        s->free_user(site->user);
    sched_key_free(&site->key);
    site->handle = 0;
    slab_give(&s->sites, handle);
}

/* ---- how many connections */

static uint32_t most(const struct sched *s, const struct sched_site *site)
{
    return site->most < s->set.per_site ? site->most : s->set.per_site;
}

uint32_t site_allowed(const struct sched_site *site)
{
    switch (site->state) {
    case SITE_UP:
        return site->window / WINDOW_ONE;
    case SITE_PROBING:
        return 1;
    case SITE_BACK_OFF:
    case SITE_REFUSED:
        break;
    }
    return 0;
}

/* Would what waits wait too long for the connections that there are? */
static bool is_slow(const struct sched_site *site, uint32_t free)
{
    uint64_t service = site->service ? site->service : SERVICE_MS;

    return (site->ready - free) * service > (uint64_t)PATIENCE_MS * (site->busy + free);
}

static bool wants(const struct sched *s, const struct sched_site *site)
{
    uint32_t free = site->opening + site->idles, allowed = site_allowed(site);

    if (allowed > most(s, site))
        allowed = most(s, site);
    return !s->set.stopped && site->ready > free && site->open < allowed &&
           (!site->open || is_slow(site, free));
}

static void wake_idle(struct sched *s, struct sched_site *site)
{
    struct list *link;
    uint32_t woken = 0;

    while (woken < site->ready && (link = list_take(&site->idle))) {
        struct sched_conn *c = LIST_ENTRY(link, struct sched_conn, link);
        c->state = CONN_WOKEN;
        list_add(&s->waking, &c->link);
        woken++;
    }
}

void site_check(struct sched *s, struct sched_site *site)
{
    if (s->set.stopped || !site->ready || !site_allowed(site) || !site_has_token(s, site))
        return;
    if (!list_empty(&site->idle))
        wake_idle(s, site);
    if (!list_linked(&site->want) && wants(s, site))
        list_add(site->state == SITE_PROBING ? &s->want_probe : &s->want, &site->want);
}

/* A site that does not answer must not use up what the others need. */
static struct sched_site *choose(struct sched *s)
{
    uint32_t half = s->set.connections / 2 + 1;

    if (s->connections >= s->set.connections || s->opening >= half)
        return NULL;
    if (s->probing < half / 2 + 1 && !list_empty(&s->want_probe))
        return LIST_FIRST(&s->want_probe, struct sched_site, want);
    return LIST_FIRST(&s->want, struct sched_site, want);
}

struct sched_conn *sched_open_next(struct sched *s, uint64_t now)
{
    struct sched_site *site;
    struct sched_conn *c;

    s->now = now;
    while ((site = choose(s))) {
        list_remove(&site->want);
        if (!wants(s, site))
            continue;
        c = MEM_NEW(struct sched_conn);
        if (!c)
            return NULL;
        c->number = ++s->last_conn;
        if (table_add(&s->conn_table, c) != 0) {
            mem_free(c);
            return NULL;
        }
        c->site = site;
        c->probe = site->state == SITE_PROBING;
        s->probing += c->probe;
        s->connections++;
        s->opening++;
        site->open++;
        site->opening++;
        site_check(s, site);
        return c;
    }
    return NULL;
}

/* ---- rate: a bucket of a second's worth, at least one message */

bool site_has_token(struct sched *s, struct sched_site *site)
{
    uint64_t full = site->rate > 60 ? (uint64_t)site->rate * 1000 : MINUTE_MS;

    if (!site->rate)
        return true;
    if (s->now > site->tokens_at) {
        uint64_t passed = s->now - site->tokens_at;
        site->tokens = passed > MINUTE_MS ? full : site->tokens + passed * site->rate;
        site->tokens = site->tokens < full ? site->tokens : full;
    }
    site->tokens_at = s->now;
    if (site->tokens >= MINUTE_MS)
        return true;
    if (site->state == SITE_UP || site->state == SITE_PROBING)
        site_timer(s, site, s->now + (MINUTE_MS - site->tokens) / site->rate + 1);
    return false;
}

/* ---- failures */

/* Twice as long each time, and spread, so that what failed together does not come back together. */
void site_failed(struct sched *s, struct sched_site *site)
{
    uint64_t most_ms = s->set.retry_ms[s->set.retries - 1], ms = s->set.retry_ms[0];

    if (site->state == SITE_BACK_OFF || site->state == SITE_REFUSED)
        return;
    if (most_ms > BACK_OFF_MAX)
        most_ms = BACK_OFF_MAX;
    for (uint32_t i = 0; i < site->failures && ms < most_ms; i++)
        ms *= 2;
    if (ms > most_ms && most_ms >= s->set.retry_ms[0])
        ms = most_ms;
    if (site->failures < 64)
        site->failures++;
    site->window = WINDOW_ONE;
    site->shrunk = true;
    site_state(s, site, SITE_BACK_OFF);
    site_timer(s, site, s->now + sched_jitter(s, ms, 25));
}

void site_refuse(struct sched *s, struct sched_site *site)
{
    site_state(s, site, SITE_REFUSED);
    site_timer(s, site, s->now + REFUSED_MS);
}

/* Something was answered: whatever had failed, it works. */
void site_works(struct sched *s, struct sched_site *site, bool well)
{
    uint32_t limit = most(s, site);

    site->failures = 0;
    site->reason = 0;
    if (site->state == SITE_PROBING)
        site_state(s, site, SITE_UP);
    if (well && site->window / WINDOW_ONE < limit)
        site->window += site->shrunk ? WINDOW_ONE * WINDOW_ONE / site->window + 1 : WINDOW_ONE;
    if (site->window / WINDOW_ONE > limit)
        site->window = limit * WINDOW_ONE;
    if (site->window < WINDOW_ONE)
        site->window = WINDOW_ONE;
}

/* To what it takes at this moment, or to three quarters. */
void site_shrink(struct sched_site *site, uint32_t to)
{
    uint32_t window = to ? to * WINDOW_ONE : site->window / 4 * 3;

    if (window < site->window)
        site->window = window > WINDOW_ONE ? window : WINDOW_ONE;
    site->shrunk = true;
}

void site_due(struct sched *s, struct sched_site *site)
{
    due_take(&s->due, site->place);
    if (site->state == SITE_BACK_OFF)
        site_state(s, site, SITE_PROBING);
    else if (site->state == SITE_REFUSED)
        site_state(s, site, SITE_UP);
    site_check(s, site);
}

void sched_site_retry(struct sched *s, struct sched_site *site, uint64_t now)
{
    s->now = now;
    if (site->state == SITE_BACK_OFF || site->state == SITE_REFUSED)
        site_state(s, site, SITE_PROBING);
    site_check(s, site);
}

struct sched_site *sched_site_next(const struct sched *s, uint32_t *i)
{
    while (*i < s->sites.top) {
        struct sched_site *site = site_at(s, ++*i);
        if (site->handle)
            return site;
    }
    return NULL;
}
