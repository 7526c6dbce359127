#include "master/blame.h"

#include <string.h>

enum {
    NETWORK_OCTETS = 8,
};

bool blame_is_network(const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address, mapped, sizeof mapped) != 0;
}

static struct blame_client *find_client(struct blame *b, const uint8_t network[16])
{
    for (size_t i = 0; i < BLAME_MAX; i++)
        if (b->clients[i].died_at && memcmp(b->clients[i].network, network, 16) == 0)
            return &b->clients[i];
    return NULL;
}

/* A free place, else the oldest of those that are not banned, else the oldest. */
static struct blame_client *client_place(struct blame *b, uint64_t now)
{
    struct blame_client *best = &b->clients[0];

    for (size_t i = 1; i < BLAME_MAX; i++) {
        struct blame_client *c = &b->clients[i];
        bool banned = c->banned_until > now, best_banned = best->banned_until > now;
        if (banned == best_banned ? c->died_at < best->died_at : best_banned)
            best = c;
    }
    return best;
}

bool blame_client(struct blame *b, const uint8_t address[16], uint64_t now)
{
    struct blame_client fresh = {.died_at = now}, *c;
    bool again;

    memcpy(fresh.network, address, blame_is_network(address) ? NETWORK_OCTETS : 16);
    c = find_client(b, fresh.network);
    again = c && now - c->died_at < BAN_MS;
    if (!c)
        c = client_place(b, now);
    if (again)
        fresh.banned_until = now + BAN_MS;
    *c = fresh;
    return again;
}

static struct blame_message *message_place(struct blame *b, uint64_t id)
{
    struct blame_message *best = &b->messages[0];

    for (size_t i = 0; i < BLAME_MAX; i++) {
        struct blame_message *m = &b->messages[i];
        if (m->id == id)
            return m;
        if (m->died_at < best->died_at)
            best = m;
    }
    *best = (struct blame_message){.id = id};
    return best;
}

bool blame_message(struct blame *b, uint64_t id, uint64_t now)
{
    struct blame_message *m = message_place(b, id);

    m->died_at = now;
    m->told = 0;
    return ++m->deaths == QUARANTINE_DEATHS;
}

void blame_forget_message(struct blame *b, uint64_t id)
{
    for (size_t i = 0; i < BLAME_MAX; i++)
        if (id && b->messages[i].id == id)
            b->messages[i] = (struct blame_message){0};
}

const struct blame_client *blame_next_ban(struct blame *b, uint32_t core, uint64_t now)
{
    for (size_t i = 0; i < BLAME_MAX; i++) {
        struct blame_client *c = &b->clients[i];
        if (c->banned_until <= now || c->told == core)
            continue;
        c->told = core;
        return c;
    }
    return NULL;
}

const struct blame_message *blame_next_quarantine(struct blame *b, uint32_t core)
{
    for (size_t i = 0; i < BLAME_MAX; i++) {
        struct blame_message *m = &b->messages[i];
        if (m->deaths < QUARANTINE_DEATHS || m->told == core)
            continue;
        m->told = core;
        return m;
    }
    return NULL;
}
