#include "mail/address_match.h"

#include "ipc/config_int.h"

enum {
    ADDRESSES_MAX = 1000
};

static const struct config_section *section_named(const char *name)
{
    for (size_t i = 0; i < config_section_count; i++)
        if (config_sections[i].name && strcmp(config_sections[i].name, name) == 0)
            return &config_sections[i];
    return NULL;
}

static void report(
    struct config_checker *k, const char *section, uint32_t i, const char *option, const char *text)
{
    k->report(k, section_named(section), i, option, text);
}

static bool tls_section_titled(const struct config *c, struct str title)
{
    for (uint32_t i = 0; i < c->tls_count; i++)
        if (str_eq(c->tls[i].title, title))
            return true;
    return false;
}

/* Has an earlier listen section (or this one, earlier) the same address? */
static bool address_taken(const struct config *c, uint32_t section, uint32_t value)
{
    struct str address = c->listen[section].address.v[value];

    for (uint32_t i = 0; i <= section; i++) {
        uint32_t values = i == section ? value : c->listen[i].address.count;
        for (uint32_t n = 0; n < values; n++)
            if (str_eq(c->listen[i].address.v[n], address))
                return true;
    }
    return false;
}

static void check_listen(const struct config *c, uint32_t i, struct config_checker *k)
{
    const struct config_listen *listen = &c->listen[i];

    if (listen->address.count == 0)
        report(k, "listen", i, "address", "empty: there is nothing to listen on");
    for (uint32_t n = 0; n < listen->address.count; n++)
        if (address_taken(c, i, n)) {
            report(k, "listen", i, "address", "an address stands in two places");
            break;
        }
    if (!str_empty(listen->certificate) && !tls_section_titled(c, listen->certificate))
        report(k, "listen", i, "certificate", "there is no tls section of this title");
}

/* Every address is compared with all before it, hence the ceiling. */
static bool too_many_addresses(const struct config *c)
{
    size_t addresses = 0;

    for (uint32_t i = 0; i < c->listens; i++)
        addresses += c->listen[i].address.count;
    return addresses > ADDRESSES_MAX;
}

/* Titles that are written differently and mean the same: titles that are equal were found before.
 */
static void check_patterns(const struct config *c, struct config_checker *k)
{
    static const char again[] = "an earlier section has the same pattern";
    struct address_match recipients, senders, maps;

    address_match_init(&recipients, c->routes);
    address_match_init(&senders, c->routes);
    address_match_init(&maps, c->maps);
    for (uint32_t i = 0; i < c->routes && c->routes > 1; i++) {
        struct str title = c->route[i].title;
        bool sender = str_starts(title, STR("from "));
        if (address_match_add(sender ? &senders : &recipients, sender ? str_from(title, 5) : title,
                title.p, NULL) > 0)
            report(k, "route", i, "via", again);
    }
    for (uint32_t i = 0; i < c->maps && c->maps > 1; i++)
        if (address_match_add(&maps, c->map[i].title, c->map[i].title.p, NULL) > 0)
            report(k, "map", i, c->map[i].sender.n ? "sender" : "recipient", again);
    address_match_done(&recipients);
    address_match_done(&senders);
    address_match_done(&maps);
}

void config_check(const struct config *c, struct config_checker *k)
{
    if (too_many_addresses(c))
        report(k, "listen", 0, "address", "more than 1000 addresses in all");
    else
        for (uint32_t i = 0; i < c->listens; i++)
            check_listen(c, i, k);
    if (c->queue.retry.count == 0)
        report(k, "queue", 0, "retry", "empty: at least one pause is needed");
    if (c->queue.warn_after_ms >= c->queue.lifetime_ms)
        report(k, "queue", 0, "warn-after", "not below lifetime");
    for (uint32_t i = 0; i < c->outbound.source.count; i++)
        if (c->outbound.source.v[i].bits != 128)
            report(k, "outbound", 0, "source", "not a single address");
    for (uint32_t i = 0; i < c->maps; i++)
        if (str_empty(c->map[i].sender) && str_empty(c->map[i].recipient))
            report(k, "map", i, "sender", "neither this nor recipient is given");
    check_patterns(c, k);
    if (c->spool.large >= c->spool.segment)
        report(k, "spool", 0, "large", "not below segment");
}
