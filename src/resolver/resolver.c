/* The room of resolver: its settings, its peers and its end. ipc/role.h says how it lives. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"

#include "ipc/role.h"

#include "resolver/events.h"
#include "resolver/servers.h"
#include "resolver/service.h"

static const char RESOLV_CONF[] = "/etc/resolv.conf";

enum {
    RESOLV_CONF_MAX = 16384,
};

struct resolver {
    struct service *service;
    struct role *role;
    struct cond changed;
    bool ending;
    char system[RESOLV_CONF_MAX]; /* the text in which the system's servers stand */
};

/* A file that is not there names no server. */
static struct str read_system(struct resolver *o)
{
    int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    size_t have = 0;

    if (fd < 0)
        return STR_NONE;
    while (have < sizeof o->system && (n = read(fd, o->system + have, sizeof o->system - have)) > 0)
        have += (size_t)n;
    close(fd);
    return str_of(o->system, have);
}

static void find_servers(struct resolver *o, struct engine_settings *s)
{
    const struct config *config = o->role->config;

    for (uint32_t i = 0; i < config->dns.servers.count && i < ENGINE_SERVERS_MAX; i++)
        s->servers[s->server_count++] = config->dns.servers.v[i];
    if (s->server_count == 0)
        servers_of_resolv_conf(read_system(o), s);
}

static void log_settings(const struct resolver *o, const struct engine_settings *s)
{
    struct buf servers;

    buf_init(&servers, 1024);
    for (uint32_t i = 0; i < s->server_count; i++)
        buf_printf(&servers, "%s%.*s", i ? " " : "", STR_ARG(s->servers[i]));
    if (s->server_count == 0)
        buf_put(&servers, STR("root"));
    log_info(o->role->event, EV_RESOLVING, kv_str("servers", buf_str(&servers)),
        kv_bool("validating", !str_empty(s->trust_anchor)));
    buf_done(&servers);
}

int resolver_prepare(struct role *r, struct err *e)
{
    struct resolver *o = MEM_NEW(struct resolver);
    struct engine_settings settings = {
        .trust_anchor = r->config->dns.trust_anchor,
        .special_use = r->config->dns.special_use,
    };

    if (!o)
        return err_memory(e, "resolver");
    o->role = r;
    r->room = o;
    cond_init(&o->changed);
    find_servers(o, &settings);
    if (service_open(&o->service, &settings, r->event, e) < 0)
        return -1;
    log_settings(o, &settings);
    return 0;
}

static void on_peer(void *arg, const struct role_peer *peer, int fd)
{
    struct resolver *o = arg;
    struct err e;

    if (service_attach(o->service, fd, &e) < 0)
        log_error(
            o->role->event, EV_CLIENT_GONE, kv_c("role", role_kind_name(peer->kind)), kv_err(&e));
}

static void on_end(void *arg)
{
    struct resolver *o = arg;

    o->ending = true;
    cond_wake_all(&o->changed);
}

int resolver_run(struct role *r, struct err *e)
{
    static const struct role_handler handler = {
        .on_peer = on_peer, .on_drain = on_end, .on_stop = on_end};
    struct resolver *o = r->room;
    int rc = 0;

    role_serve(r, &handler, o);
    role_ready(r);
    while (rc == 0 && !o->ending)
        rc = cond_wait(&o->changed, "the end", e);
    /* What is open is of use to nobody, and memory goes with the process. */
    return rc;
}
