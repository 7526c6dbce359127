#include "outbound/outcomes.h"

#include "base/mem.h"

#include "ipc/channel.h"

enum {
    OCTETS_MAX = 64 << 20, /* some outcomes name a thousand recipients */
};

static struct str key_of(const void *entry)
{
    const struct kept_outcome *k = entry;

    return str_of(k->key, sizeof k->key);
}

static void make_key(char out[10], uint64_t id, uint16_t attempt)
{
    memcpy(out, &id, sizeof id);
    memcpy(out + sizeof id, &attempt, sizeof attempt);
}

void outcomes_init(struct outcomes *o)
{
    list_init(&o->all);
    /* One that is under way when the ceiling is reached still has its place. */
    table_init(&o->table, key_of, 16 * CO_OUTCOMES_MAX);
    o->octets = 0;
}

static void drop(struct outcomes *o, struct kept_outcome *k)
{
    if (!k)
        return;
    list_remove(&k->link);
    o->octets -= k->octets.n;
    mem_free(k);
}

void outcomes_done(struct outcomes *o)
{
    while (!list_empty(&o->all))
        drop(o, LIST_FIRST(&o->all, struct kept_outcome, link));
    table_done(&o->table);
}

int outcomes_keep(struct outcomes *o, const struct co_outcome *outcome, uint32_t told)
{
    struct kept_outcome *k = NULL;
    struct str octets;
    struct buf b;

    buf_init(&b, CHANNEL_FRAME_MAX);
    co_outcome_encode(outcome, &b);
    octets = buf_str(&b);
    if (buf_ok(&b))
        k = mem_alloc(sizeof *k + octets.n);
    if (k) {
        *k = (struct kept_outcome){.told = told, .octets = {(char *)(k + 1), octets.n}};
        memcpy(k + 1, octets.p, octets.n);
        make_key(k->key, outcome->id, outcome->attempt);
        drop(o, table_remove(&o->table, key_of(k)));
    }
    buf_done(&b);
    if (!k || table_add(&o->table, k) != 0) {
        mem_free(k);
        return -1;
    }
    list_add(&o->all, &k->link);
    o->octets += k->octets.n;
    return 0;
}

void outcomes_confirm(struct outcomes *o, const struct co_flying *key)
{
    char octets[10];

    make_key(octets, key->id, key->attempt);
    drop(o, table_remove(&o->table, str_of(octets, sizeof octets)));
}

bool outcomes_full(const struct outcomes *o)
{
    return o->table.count >= CO_OUTCOMES_MAX || o->octets >= OCTETS_MAX;
}

size_t outcomes_count(const struct outcomes *o)
{
    return o->table.count;
}

struct kept_outcome *outcomes_untold(const struct outcomes *o, uint32_t generation)
{
    LIST_EACH(link, &o->all)
    {
        struct kept_outcome *k = LIST_ENTRY(link, struct kept_outcome, link);
        if (k->told != generation)
            return k;
    }
    return NULL;
}
