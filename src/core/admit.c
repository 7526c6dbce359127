#include "core/admit.h"

#include "base/mem.h"
#include "base/table.h"

#include "run/fiber.h"

enum {
    SLOTS_MAX = 1 << 20,
    V4_MAPPED_PREFIX = 12,
    KEY_SIZE = 17, /* address, and how many octets of it count */
    BANS_MAX = 256,
};

/* Connections of one client address, or of one /64. */
struct peer {
    char key[KEY_SIZE];
    uint32_t count;
};

struct slot {
    struct peer *client, *network; /* NULL: not counted there */
    uint32_t owner;                /* 0: free */
    uint32_t next_free;
    enum ic_right right;
};

struct ban {
    uint8_t address[16];
    uint8_t octets; /* that count */
    uint64_t until;
};

struct admit {
    struct table peers;
    struct slot *slots;
    uint32_t size, free, count; /* free: index + 1 of the first free slot */
    uint64_t refused;
    struct ban bans[BANS_MAX];
    uint32_t ban_count;
};

static struct str peer_key(const void *entry)
{
    const struct peer *p = entry;

    return str_of(p->key, KEY_SIZE);
}

int admit_open(struct admit **out, struct err *e)
{
    struct admit *a = MEM_NEW(struct admit);

    if (!a)
        return err_memory(e, "admit");
    table_init(&a->peers, peer_key, 2 * (size_t)SLOTS_MAX);
    *out = a;
    return 0;
}

void admit_close(struct admit **a)
{
    struct peer *p;

    if (!*a)
        return;
    for (size_t i = 0; (p = table_next(&(*a)->peers, &i));)
        mem_free(p);
    table_done(&(*a)->peers);
    mem_free((*a)->slots);
    mem_free(*a);
    *a = NULL;
}

static int grow(struct admit *a)
{
    uint32_t size = a->size ? a->size * 2 : 64;
    struct slot *slots;

    if (size > SLOTS_MAX)
        return -1;
    slots = mem_resize(a->slots, size * sizeof *slots);
    if (!slots)
        return -1;
    a->slots = slots;
    for (uint32_t i = size; i-- > a->size;) {
        slots[i] = (struct slot){.next_free = a->free};
        a->free = i + 1;
    }
    a->size = size;
    return 0;
}

static struct peer *peer_get(struct admit *a, const uint8_t address[16], uint8_t octets)
{
    struct peer fresh = {0}, *p;

    memcpy(fresh.key, address, octets);
    fresh.key[16] = (char)octets;
    p = table_find(&a->peers, peer_key(&fresh));
    if (p)
        return p;
    p = MEM_NEW(struct peer);
    if (!p)
        return NULL;
    *p = fresh;
    if (table_add(&a->peers, p) != 0) {
        mem_free(p);
        return NULL;
    }
    return p;
}

static void peer_put(struct admit *a, struct peer *p)
{
    if (!p || (p->count && --p->count))
        return;
    table_remove(&a->peers, peer_key(p));
    mem_free(p);
}

static bool is_v4(const uint8_t address[16])
{
    static const uint8_t mapped[V4_MAPPED_PREFIX] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address, mapped, sizeof mapped) == 0;
}

static bool is_local(const uint8_t address[16])
{
    static const uint8_t none[16];

    return memcmp(address, none, sizeof none) == 0;
}

static bool in_allowed_network(const struct config *config, const uint8_t address[16])
{
    struct net_address a = {.len = sizeof a.in6, .in6 = {.sin6_family = AF_INET6}};

    memcpy(&a.in6.sin6_addr, address, 16);
    for (uint32_t i = 0; i < config->relay.allow.count; i++)
        if (net_block_contains(&config->relay.allow.v[i], &a))
            return true;
    return false;
}

/* Local programs submit on the submit socket, which only the client class is given, or where an
 * operator put a socket for submission or SMTP. LMTP is for final delivery: a local peer of it may
 * relay no more than its network may, and it has none. */
static bool is_local_program(
    const struct config *config, enum role_class class, const struct ic_admit *ask)
{
    const struct config_listen *listen;

    if (!is_local(ask->address))
        return false;
    if (ask->listener == ROLE_LISTEN_SUBMIT)
        return class == CLASS_CLIENT;
    if (ask->listener >= config->listens)
        return false;
    listen = &config->listen[ask->listener];
    for (uint32_t i = 0; i < listen->address.count; i++)
        if (str_starts(listen->address.v[i], STR("unix:")))
            return listen->protocol == PROTOCOL_SMTP ||
                   (listen->protocol == PROTOCOL_SUBMISSION && class == CLASS_CLIENT);
    return false;
}

static enum ic_right right_of(
    const struct config *config, enum role_class class, const struct ic_admit *ask)
{
    if (is_local(ask->address) ? is_local_program(config, class, ask)
                               : in_allowed_network(config, ask->address))
        return IC_TRUSTED;
    return IC_STRANGER;
}

static bool over(uint64_t count, uint64_t limit)
{
    return limit && count >= limit;
}

static void refuse(struct admit *a, struct ic_admitted *answer, const char *why)
{
    a->refused++;
    err_set_status(&answer->why, ERR_TEMPORARY, (struct err_status){4, 7, 0}, "admit", "%s", why);
}

/* The peers' counts and the verdict; on refusal nothing is counted. */
static bool count_peers(struct admit *a, const struct config *config, const struct ic_admit *ask,
    struct slot *slot, struct ic_admitted *answer)
{
    const struct config_limits *limits = &config->limits;

    slot->client = peer_get(a, ask->address, 16);
    slot->network = is_v4(ask->address) ? NULL : peer_get(a, ask->address, 8);
    if (!slot->client || (!is_v4(ask->address) && !slot->network))
        refuse(a, answer, "out of memory, try again later");
    else if (over(slot->client->count, limits->connections_per_client))
        refuse(a, answer, "too many connections from your address");
    else if (slot->network && over(slot->network->count, limits->connections_per_network))
        refuse(a, answer, "too many connections from your network");
    else
        return true;
    if (slot->client && slot->client->count == 0)
        peer_put(a, slot->client);
    if (slot->network && slot->network->count == 0)
        peer_put(a, slot->network);
    return false;
}

/* ---- bans */

static void drop_old_bans(struct admit *a)
{
    for (uint32_t i = 0; i < a->ban_count;) {
        if (a->bans[i].until > run_now())
            i++;
        else
            a->bans[i] = a->bans[--a->ban_count];
    }
}

static struct ban *ban_place(struct admit *a, const uint8_t address[16], uint8_t octets)
{
    struct ban *first = &a->bans[0];

    for (struct ban *b = a->bans; b < a->bans + a->ban_count; b++) {
        if (b->octets == octets && memcmp(b->address, address, octets) == 0)
            return b;
        if (b->until < first->until)
            first = b;
    }
    return a->ban_count < BANS_MAX ? &a->bans[a->ban_count++] : first;
}

void admit_ban(struct admit *a, const uint8_t address[16], bool network, uint64_t until)
{
    uint8_t octets = network ? 8 : 16;
    struct ban *b;

    drop_old_bans(a);
    b = ban_place(a, address, octets);
    *b = (struct ban){.octets = octets, .until = until};
    memcpy(b->address, address, octets);
}

uint32_t admit_banned(const struct admit *a)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < a->ban_count; i++)
        n += a->bans[i].until > run_now();
    return n;
}

static bool is_banned(const struct admit *a, const uint8_t address[16])
{
    for (const struct ban *b = a->bans; b < a->bans + a->ban_count; b++)
        if (b->until > run_now() && memcmp(b->address, address, b->octets) == 0)
            return true;
    return false;
}

/* ---- connections */

void admit_connect(struct admit *a, const struct config *config, uint32_t owner,
    enum role_class class, const struct ic_admit *ask, struct ic_admitted *answer)
{
    struct slot filled = {.owner = owner, .right = right_of(config, class, ask)};

    *answer = (struct ic_admitted){0};
    if (is_banned(a, ask->address)) {
        refuse(
            a, answer, "connections from your address made the server fail, try again in an hour");
        return;
    }
    if (over(a->count, config->limits.connections) || (!a->free && grow(a) < 0)) {
        refuse(a, answer, "too many connections, try again later");
        return;
    }
    if (filled.right == IC_STRANGER && !is_local(ask->address)) {
        if (!count_peers(a, config, ask, &filled, answer))
            return;
        filled.client->count++;
        if (filled.network)
            filled.network->count++;
    }
    answer->slot = a->free - 1;
    a->free = a->slots[answer->slot].next_free;
    a->slots[answer->slot] = filled;
    a->count++;
    answer->right = filled.right;
    answer->ok = true;
}

void admit_release(struct admit *a, uint32_t owner, uint32_t slot)
{
    struct slot *s = slot < a->size ? &a->slots[slot] : NULL;

    if (!s || !s->owner || s->owner != owner)
        return;
    peer_put(a, s->client);
    peer_put(a, s->network);
    *s = (struct slot){.next_free = a->free};
    a->free = slot + 1;
    a->count--;
}

void admit_channel_gone(struct admit *a, uint32_t owner)
{
    for (uint32_t i = 0; i < a->size; i++)
        admit_release(a, owner, i);
}

enum ic_right admit_right(const struct admit *a, uint32_t owner, uint32_t slot)
{
    const struct slot *s = slot < a->size ? &a->slots[slot] : NULL;

    return s && s->owner && s->owner == owner ? s->right : IC_STRANGER;
}

uint32_t admit_count(const struct admit *a)
{
    return a->count;
}

uint64_t admit_refused(const struct admit *a)
{
    return a->refused;
}
