#include "base/check.h"

#include "core/spool/spool_int.h"

enum {
    OVERHEAD = 512, /* octets that a message costs beyond what it holds, about */
    ENTRIES_MAX = 1 << 20,
};

static struct str key_of(const void *entry)
{
    const struct spool_message *m = entry;

    return str_of((const char *)&m->id, sizeof m->id);
}

static struct spool_message *oldest(struct cache *c)
{
    return LIST_FIRST(&c->order, struct spool_message, own.cached);
}

static uint64_t cost(const struct spool_message *m)
{
    return m->own.content + m->envelope.n + m->prefix.n + m->digest.n + OVERHEAD;
}

void spool_cache_init(struct cache *c, uint64_t max)
{
    table_init(&c->table, key_of, ENTRIES_MAX);
    list_init(&c->order);
    c->octets = 0;
    c->max = max;
}

static void take_out(struct cache *c, struct spool_message *m)
{
    CHECK(table_remove(&c->table, key_of(m)) == m);
    list_remove(&m->own.cached);
    c->octets -= cost(m);
    m->release(m);
}

void spool_cache_done(struct cache *c)
{
    while (!list_empty(&c->order))
        take_out(c, oldest(c));
    table_done(&c->table);
}

bool spool_cache_add(struct cache *c, struct spool_message *m)
{
    if (cost(m) > c->max / 4)
        return false;
    if (table_add(&c->table, m) != 0)
        return false;
    m->own.cached = (struct list){0};
    list_add(&c->order, &m->own.cached);
    c->octets += cost(m);
    while (c->octets > c->max)
        take_out(c, oldest(c));
    return true;
}

struct spool_message *spool_cache_find(const struct cache *c, uint64_t id)
{
    return table_find(&c->table, str_of((const char *)&id, sizeof id));
}

void spool_cache_drop(struct cache *c, uint64_t id)
{
    struct spool_message *m = spool_cache_find(c, id);

    if (m)
        take_out(c, m);
}
