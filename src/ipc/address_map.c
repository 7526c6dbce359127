#include "ipc/address_map.h"

#include "base/arena.h"
#include "base/mem.h"

#include "mail/address.h"
#include "mail/address_match.h"

enum {
    ARENA_MAX = 32 << 20,
};

struct address_maps {
    struct arena arena;
    struct address_match table[MAP_USES]; /* values: struct str */
};

static int no_memory(struct err *e)
{
    return err_memory(e, "address_map");
}

/* With A-labels: it may be put where UTF-8 is not welcome. */
static int put_value(struct str value, struct buf *out, struct err *e)
{
    size_t at = (size_t)str_find_last(value, '@') + 1;

    buf_put(out, str_head(value, at));
    return domain_canonical(str_from(value, at), out, e);
}

static int add(struct address_maps *m, enum address_map_use use, struct str pattern,
    struct str value, struct err *e)
{
    struct str *kept = ARENA_NEW(&m->arena, struct str);
    struct buf text;
    bool ok;

    if (!kept)
        return no_memory(e);
    buf_init(&text, ADDRESS_KEY_MAX);
    ok = put_value(value, &text, e) == 0 && arena_dup(&m->arena, buf_str(&text), kept);
    buf_done(&text);
    if (!ok)
        return no_memory(e);
    return address_match_add(&m->table[use], pattern, kept, e) < 0 ? -1 : 0;
}

static int add_section(struct address_maps *m, const struct config_map *from, struct err *e)
{
    if (from->sender.n &&
        (add(m, MAP_SENDER, from->title, from->sender, e) < 0 ||
            (from->header && add(m, MAP_HEADER_SENDER, from->title, from->sender, e) < 0)))
        return -1;
    if (from->recipient.n &&
        (add(m, MAP_RECIPIENT, from->title, from->recipient, e) < 0 ||
            (from->header && add(m, MAP_HEADER_RECIPIENT, from->title, from->recipient, e) < 0)))
        return -1;
    return 0;
}

int address_maps_make(const struct config *config, struct address_maps **out, struct err *e)
{
    struct address_maps *m = MEM_NEW(struct address_maps);

    if (!m)
        return no_memory(e);
    arena_init(&m->arena, ARENA_MAX);
    for (unsigned i = 0; i < MAP_USES; i++)
        address_match_init(&m->table[i], config->maps);
    for (uint32_t i = 0; i < config->maps; i++)
        if (add_section(m, &config->map[i], e) < 0) {
            err_prefix(e, "map \"%.*s\"", STR_ARG(config->map[i].title));
            address_maps_free(&m);
            return -1;
        }
    *out = m;
    return 0;
}

void address_maps_free(struct address_maps **out)
{
    struct address_maps *m = *out;

    if (!m)
        return;
    for (unsigned i = 0; i < MAP_USES; i++)
        address_match_done(&m->table[i]);
    arena_done(&m->arena);
    mem_free(m);
    *out = NULL;
}

bool address_maps_have(const struct address_maps *maps, enum address_map_use use)
{
    return maps->table[use].patterns.count > 0;
}

static const struct str *find(const struct address_match *table, const struct mailbox *m)
{
    enum match_kind kind;
    const struct str *value = NULL;
    struct buf key;

    buf_init(&key, ADDRESS_KEY_MAX);
    if (mailbox_key(m, &key, NULL) == 0)
        value = address_match_find(table, buf_str(&key), &kind);
    buf_done(&key);
    return value;
}

bool address_map(
    const struct address_maps *maps, enum address_map_use use, struct str address, struct buf *out)
{
    const struct str *value;
    struct mailbox m, made;
    struct buf text;
    bool mapped;

    if (!address_maps_have(maps, use) || mailbox_parse(address, &m, NULL) < 0)
        return false;
    value = find(&maps->table[use], &m);
    if (!value)
        return false;
    buf_init(&text, ADDRESS_KEY_MAX);
    if (str_starts(*value, STR("@")))
        buf_put(&text, m.local);
    buf_put(&text, *value);
    mapped = buf_ok(&text) && mailbox_parse(buf_str(&text), &made, NULL) == 0 &&
             !str_eq(buf_str(&text), address);
    if (mapped)
        buf_put(out, buf_str(&text));
    buf_done(&text);
    return mapped;
}
