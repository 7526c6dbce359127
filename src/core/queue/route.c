#include "core/queue/route.h"

#include "base/mem.h"

#include "mail/address.h"
#include "mail/address_match.h"

#include "io/net.h"

enum {
    ARENA_MAX = 64 << 20,
    SMTP_PORT = 25,
    IP_TEXT_MAX = 64,
    PORT_MAX = 65535,
};

struct routes {
    struct arena arena;
    struct address_match recipients, senders;
};

static int no_memory(struct err *e)
{
    return err_memory(e, "route");
}

/* ---- destinations */

static int set_address(
    struct arena *a, struct route *route, const uint8_t octets[16], struct err *e)
{
    struct net_address address = {
        .len = sizeof address.in6,
        .in6 = {.sin6_family = AF_INET6},
    };
    struct buf text;
    bool ok;

    memcpy(&address.in6.sin6_addr, octets, 16);
    buf_init(&text, IP_TEXT_MAX);
    net_format_ip(&address, &text);
    ok = buf_ok(&text) && arena_dup(a, buf_str(&text), &route->name);
    buf_done(&text);
    route->numeric = true;
    return ok ? 0 : no_memory(e);
}

/* RFC 5321 4.1.3. A stranger chose it as he does an MX: it is no route to a host of the operator's,
 * and shares nothing with one. */
static int set_literal(
    struct arena *a, struct route *route, const uint8_t octets[16], struct err *e)
{
    if (set_address(a, route, octets, e) < 0)
        return -1;
    route->numeric = false;
    route->name = arena_printf(
        a, "[%s%.*s]", str_find(route->name, ':') < 0 ? "" : "IPv6:", STR_ARG(route->name));
    return route->name.p ? 0 : no_memory(e);
}

static int set_domain(struct arena *a, struct route *route, struct str domain, struct err *e)
{
    struct buf text;
    int status;

    buf_init(&text, ADDRESS_KEY_MAX);
    status = domain_canonical(domain, &text, e);
    if (status == 0 && !arena_dup(a, buf_str(&text), &route->name))
        status = no_memory(e);
    buf_done(&text);
    return status;
}

/* HOST or [HOST], maybe with a port behind it; HOST may be an address. */
static int set_host(struct arena *a, struct route *route, struct str text, struct err *e)
{
    ptrdiff_t bracket = str_find_last(text, ']'), colon = str_find_last(text, ':');
    struct net_block address;
    uint64_t port;

    if (colon > bracket) {
        if (!str_to_u64(str_from(text, (size_t)colon + 1), PORT_MAX, &port))
            return err_set(e, ERR_PERMANENT, "route", "%.*s: not a port", STR_ARG(text));
        route->port = (uint16_t)port;
        text = str_head(text, (size_t)colon);
    }
    if (bracket < 0)
        return set_domain(a, route, text, e);
    text = str_sub(text, 1, (size_t)bracket - 1);
    if (str_find(text, '/') < 0 && net_block_parse(text, &address, NULL) == 0)
        return set_address(a, route, address.octets, e);
    return set_domain(a, route, text, e);
}

static int set_via(struct arena *a, struct route *route, struct str via, struct err *e)
{
    struct str scheme;

    route->kind = str_eq(via, STR("null")) ? ROUTE_NULL : ROUTE_HOLD;
    if (!str_cut(&via, ':', &scheme))
        return 0;
    if (str_eq(scheme, STR("lmtp")) && str_starts(via, STR("unix:"))) {
        route->kind = ROUTE_LMTP_UNIX;
        return arena_dup(a, str_from(via, 5), &route->name) ? 0 : no_memory(e);
    }
    if (str_eq(scheme, STR("lmtp")))
        route->kind = ROUTE_LMTP;
    else
        route->kind = str_starts(via, STR("[")) ? ROUTE_HOST : ROUTE_MX;
    route->port = SMTP_PORT;
    return set_host(a, route, via, e);
}

static void put_port(const struct route *route, struct buf *key)
{
    if (route->kind == ROUTE_MX && route->port == SMTP_PORT)
        return;
    buf_printf(key, ":%u", route->port);
}

/* Everything by which connections differ, or that limits them. */
static void put_key(const struct route *route, struct buf *key)
{
    switch (route->kind) {
    case ROUTE_MX:
        buf_put(key, route->name);
        put_port(route, key);
        break;
    case ROUTE_LMTP:
    case ROUTE_HOST:
        buf_printf(key, "%s[%.*s]", route->kind == ROUTE_LMTP ? "lmtp:" : "", STR_ARG(route->name));
        put_port(route, key);
        break;
    case ROUTE_LMTP_UNIX:
        buf_printf(key, "lmtp:unix:%.*s", STR_ARG(route->name));
        break;
    case ROUTE_NULL:
        buf_put(key, STR("null"));
        break;
    case ROUTE_HOLD:
        buf_put(key, STR("hold"));
        break;
    }
    if (route->connections)
        buf_printf(key, " connections=%u", route->connections);
    if (route->rate)
        buf_printf(key, " rate=%u", route->rate);
    if (route->helo_name.n)
        buf_printf(key, " helo=%.*s", STR_ARG(route->helo_name));
}

enum {
    KEY_MAX = 4096
};

static int set_key(struct arena *a, struct route *route, struct err *e)
{
    struct buf key;
    bool ok;

    buf_init(&key, KEY_MAX);
    put_key(route, &key);
    ok = buf_ok(&key) && arena_dup(a, buf_str(&key), &route->key);
    buf_done(&key);
    return ok ? 0 : no_memory(e);
}

/* ---- the sections */

static int make_route(
    struct arena *a, const struct config_route *from, struct route *route, struct err *e)
{
    *route = (struct route){
        .connections = (uint32_t)from->connections,
        .rate = (uint32_t)from->rate,
    };
    if (!arena_dup(a, from->title, &route->title) ||
        !arena_dup(a, from->helo_name, &route->helo_name) ||
        !arena_dup(a, from->from_address, &route->from_address))
        return no_memory(e);
    if (set_via(a, route, from->via, e) < 0)
        return -1;
    if (from->port && route->port)
        route->port = (uint16_t)from->port;
    return set_key(a, route, e);
}

static int add_route(struct routes *r, const struct config_route *from, struct err *e)
{
    struct route *route = ARENA_NEW(&r->arena, struct route);
    bool sender = str_starts(from->title, STR("from "));
    struct str pattern = sender ? str_from(from->title, 5) : from->title;

    if (!route)
        return no_memory(e);
    if (make_route(&r->arena, from, route, e) < 0 ||
        address_match_add(sender ? &r->senders : &r->recipients, pattern, route, e) < 0)
        return err_prefix(e, "route \"%.*s\"", STR_ARG(from->title));
    return 0;
}

int routes_make(const struct config *config, struct routes **out, struct err *e)
{
    struct routes *r = MEM_NEW(struct routes);

    if (!r)
        return no_memory(e);
    arena_init(&r->arena, ARENA_MAX);
    address_match_init(&r->recipients, config->routes);
    address_match_init(&r->senders, config->routes);
    for (uint32_t i = 0; i < config->routes; i++)
        if (add_route(r, &config->route[i], e) < 0) {
            routes_free(&r);
            return -1;
        }
    *out = r;
    return 0;
}

void routes_free(struct routes **out)
{
    struct routes *r = *out;

    if (!r)
        return;
    address_match_done(&r->recipients);
    address_match_done(&r->senders);
    arena_done(&r->arena);
    mem_free(r);
    *out = NULL;
}

/* ---- look-ups */

static int by_address(struct arena *a, const struct mailbox *m, struct route *route, struct err *e)
{
    uint8_t octets[16];
    int status;

    *route = (struct route){.kind = ROUTE_MX, .port = SMTP_PORT};
    if (domain_address(m->domain, octets)) {
        status = set_literal(a, route, octets, e);
    } else {
        status = set_domain(a, route, m->domain, e);
    }
    return status < 0 ? -1 : set_key(a, route, e);
}

/* What is no address matches "*" alone, as the null reverse-path does. */
static struct str sender_key(struct str reverse_path, struct buf *key)
{
    struct mailbox m;

    if (mailbox_parse(reverse_path, &m, NULL) < 0 || mailbox_key(&m, key, NULL) < 0)
        return STR_NONE;
    return buf_str(key);
}

static const struct route *find(
    const struct routes *r, struct str recipient_key, struct str reverse_path)
{
    enum match_kind to, from;
    const struct route *route = address_match_find(&r->recipients, recipient_key, &to);
    const struct route *by_sender;
    struct buf key;

    if (to > MATCH_ANY || r->senders.patterns.count == 0)
        return route;
    buf_init(&key, ADDRESS_KEY_MAX);
    by_sender = address_match_find(&r->senders, sender_key(reverse_path, &key), &from);
    buf_done(&key);
    return by_sender ? by_sender : route;
}

int routes_find(const struct routes *r, struct arena *a, struct str reverse_path,
    struct str recipient, struct route *route, struct err *e)
{
    const struct route *found;
    struct mailbox m;
    struct buf key;
    int status;

    if (mailbox_parse(recipient, &m, e) < 0)
        return -1;
    buf_init(&key, ADDRESS_KEY_MAX);
    status = mailbox_key(&m, &key, e);
    found = status == 0 ? find(r, buf_str(&key), reverse_path) : NULL;
    buf_done(&key);
    if (status < 0)
        return -1;
    if (!found)
        return by_address(a, &m, route, e);
    *route = *found;
    return 0;
}
