/* From a destination to its site: the hosts, asked of the resolver where the way is by MX. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

#include "mail/mx.h"

#include "core/queue/queue_int.h"

enum {
    SMTP_PORT = 25,
    FIXED_TTL_MS = 60 * 60 * 1000, /* of what the configuration says: a reload asks anew */
    REFUSED_TTL_MS = 5 * 60 * 1000,
    LOOKUP_ARENA = 4 << 20,
};

static uint64_t random_below(void *arg, uint64_t n)
{
    (void)arg;
    return rng_below(n);
}

/* ---- one block with all that an assignment says */

static size_t size_of_hosts(const struct co_host *host, uint32_t count)
{
    size_t size = 0;

    for (uint32_t i = 0; i < count; i++)
        size += host[i].name.n;
    return size;
}

/* plan: NULL for a single host */
static struct hosts *hosts_make(const struct route *route, const struct co_host *host,
    uint32_t count, bool by_mx, const struct mx_plan *plan)
{
    size_t list = count * (sizeof *host + sizeof(uint16_t));
    struct hosts *h = mem_alloc(sizeof *h + list + size_of_hosts(host, count) + route->helo_name.n);
    char *p;

    if (!h)
        return NULL;
    p = (char *)h + sizeof *h + list;
    h->lmtp = route->kind == ROUTE_LMTP || route->kind == ROUTE_LMTP_UNIX;
    h->by_mx = by_mx;
    h->count = count;
    h->preference = (uint16_t *)(void *)(h->host + count);
    for (uint32_t i = 0; i < count; i++) {
        h->preference[i] = plan ? plan->hosts[i].preference : 0;
        h->host[i] = host[i];
        h->host[i].name.p = p;
        memcpy(p, host[i].name.p, host[i].name.n);
        p += host[i].name.n;
    }
    h->helo_name = str_of(p, route->helo_name.n);
    if (route->helo_name.n)
        memcpy(p, route->helo_name.p, route->helo_name.n);
    return h;
}

/* ---- fixed hosts */

static int fixed_hosts(const struct route *route, struct hosts **hosts, struct err *e)
{
    uint16_t port = route->port ? route->port : SMTP_PORT;
    struct co_host host = {
        .kind = route->numeric ? CO_HOST_ADDRESS : CO_HOST_NAME,
        .name = route->name,
        .port = port,
    };

    if (route->kind == ROUTE_LMTP_UNIX)
        host = (struct co_host){.kind = CO_HOST_UNIX, .name = route->name};
    *hosts = hosts_make(route, &host, 1, false, NULL);
    return *hosts ? 0 : err_memory(e, "queue");
}

static int literal_host(
    struct arena *a, const struct route *route, struct hosts **hosts, struct err *e)
{
    struct co_host host = {.kind = CO_HOST_ADDRESS, .port = route->port};
    struct net_address address;
    struct mx_plan plan;
    struct buf text;

    if (mx_literal(a, route->name, &plan, e) < 0)
        return -1;
    net_from_octets(plan.hosts[0].address, 0, &address);
    buf_init(&text, 64);
    net_format_ip(&address, &text);
    host.name = buf_str(&text);
    if (!host.port)
        host.port = SMTP_PORT;
    *hosts = buf_ok(&text) ? hosts_make(route, &host, 1, true, NULL) : NULL;
    buf_done(&text);
    return *hosts ? 0 : err_memory(e, "queue");
}

/* ---- by MX */

static int mx_hosts(struct queue *q, struct arena *a, const struct route *route,
    struct mx_plan *plan, struct hosts **hosts, struct err *e)
{
    struct mx_self self = {.names = &q->config->hostname, .count = 1};
    struct dns_answer answer;
    struct co_host *host;

    if (dns_ask(&q->dns, a, DNS_MX, route->name, &answer, e) < 0 ||
        mx_plan(a, route->name, &answer, &self, random_below, NULL, plan, e) < 0)
        return -1;
    host = arena_array(a, plan->count, sizeof *host);
    if (!host)
        return err_memory(e, "queue");
    for (uint32_t i = 0; i < plan->count; i++)
        host[i] = (struct co_host){
            .kind = CO_HOST_NAME,
            .name = plan->hosts[i].name,
            .port = route->port ? route->port : SMTP_PORT,
        };
    *hosts = hosts_make(route, host, plan->count, true, plan);
    return *hosts ? 0 : err_memory(e, "queue");
}

static int by_name(const void *a, const void *b)
{
    const struct mx_host *x = a, *y = b;

    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return str_cmp(x->name, y->name);
}

/* A site is a set of hosts with their order of preference: domains that name the same ones share it
 * whatever the numbers are. "mx1.example,mx2.example/backup.example:25" */
static struct str mx_key(struct arena *a, const struct route *route, const struct mx_plan *plan)
{
    struct mx_host *sorted = arena_array(a, plan->count, sizeof *sorted);
    struct buf b;
    struct str key = STR_NONE;

    if (!sorted)
        return key;
    memcpy(sorted, plan->hosts, plan->count * sizeof *sorted);
    qsort(sorted, plan->count, sizeof *sorted, by_name);
    buf_init(&b, 64 << 10);
    for (uint32_t i = 0; i < plan->count; i++) {
        if (i)
            buf_put_c(&b, sorted[i].preference == sorted[i - 1].preference ? ',' : '/');
        buf_put(&b, sorted[i].name);
    }
    if (route->port && route->port != SMTP_PORT)
        buf_printf(&b, ":%u", route->port);
    if (buf_ok(&b) && !arena_dup(a, buf_str(&b), &key))
        key = STR_NONE;
    buf_done(&b);
    return key;
}

/* Limits and names of a route are its own: others' connections are no use to it. */
static struct str key_with_route(struct arena *a, const struct route *route, struct str key)
{
    if (!key.p || (!route->connections && !route->rate && str_empty(route->helo_name)))
        return key;
    return arena_printf(a, "%.*s (%.*s)", STR_ARG(key), STR_ARG(route->title));
}

int queue_find_hosts(struct queue *q, struct arena *a, const struct route *route,
    struct hosts **hosts, struct str *site_key, uint64_t *ttl_ms, struct err *e)
{
    struct mx_plan plan;
    struct str key = route->key;
    int rc;

    *ttl_ms = FIXED_TTL_MS;
    if (route->kind != ROUTE_MX) {
        rc = fixed_hosts(route, hosts, e);
    } else if (mx_is_literal(route->name)) {
        rc = literal_host(a, route, hosts, e);
    } else {
        rc = mx_hosts(q, a, route, &plan, hosts, e);
        if (rc == 0) {
            key = mx_key(a, route, &plan);
            *ttl_ms = (uint64_t)plan.ttl_s * 1000;
        }
    }
    if (rc < 0)
        return -1;
    *site_key = key_with_route(a, route, key);
    if (site_key->p)
        return 0;
    mem_free(*hosts);
    return err_memory(e, "queue");
}

/* ---- a fiber a lookup */

static void place(struct queue *q, struct sched_dest *d, const struct route *route,
    struct hosts *hosts, struct str key, uint64_t ttl_ms)
{
    struct sched_site *site;
    bool made;

    if (sched_placed(q->sched, d, key, ttl_ms, run_now(), &site, &made) < 0) {
        mem_free(hosts);
        return;
    }
    mem_free(site->user);
    site->user = hosts;
    site->most = route->connections ? route->connections : UINT32_MAX;
    site->rate = route->rate;
}

static void not_placed(struct queue *q, struct sched_dest *d, const struct err *e)
{
    struct reason why = {.site = true, .status = e->status, .text = str_c(e->text)};
    uint32_t reason = reason_add(&q->reasons, &why, d->reason);

    log_info(q->event, "destination_not_found", kv_str("destination", d->key), kv_err(e));
    if (e->class == ERR_PERMANENT)
        sched_refused(q->sched, d, reason, REFUSED_TTL_MS, run_now());
    else
        sched_unplaced(q->sched, d, reason, run_now());
}

/* A destination that is being asked about is not freed; its route may be exchanged meanwhile. */
void queue_resolve_fiber(void *arg)
{
    struct resolving *job = arg;
    struct queue *q = job->q;
    struct sched_dest *d = job->dest;
    struct way *way = way_copy(&((struct way *)d->user)->route);
    struct hosts *hosts;
    struct arena a;
    struct str key;
    uint64_t ttl;
    struct err e;

    mem_free(job);
    arena_init(&a, LOOKUP_ARENA);
    if (!way)
        err_memory(&e, "queue");
    if (way && queue_find_hosts(q, &a, &way->route, &hosts, &key, &ttl, &e) == 0)
        place(q, d, &way->route, hosts, key, ttl);
    else
        not_placed(q, d, &e);
    mem_free(way);
    arena_done(&a);
    q->lookups--;
    queue_kick(q);
}
