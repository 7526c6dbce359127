#include "master/listeners.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    BACKLOG = 4096,
    MODE_SUBMIT = 0666, /* any local user; who it is, the kernel says */
    MODE_LISTEN = 0660,
    AGAIN_MS = 50,
};

/* The sockets of one address. */
struct listen_sockets {
    struct listen_sockets *next;
    struct net_address address;
    bool fresh; /* opened by the listeners_open() that runs */
    unsigned count;
    int fds[LISTENERS_PROCESSES_MAX];
};

static enum role_class class_of(enum config_protocol protocol)
{
    return protocol == PROTOCOL_SMTP || protocol == PROTOCOL_LMTP ? CLASS_MX : CLASS_CLIENT;
}

static bool is_unix(const struct net_address *a)
{
    return a->any.sa_family == AF_UNIX;
}

static bool same_address(const struct net_address *a, const struct net_address *b)
{
    char ours[sizeof a->un + 16], theirs[sizeof b->un + 16];
    struct buf x = {.p = NULL, .max = sizeof ours}, y = {.p = NULL, .max = sizeof theirs};
    bool same;

    /* By what they look like: sockaddrs have octets that say nothing. */
    net_format(a, &x);
    net_format(b, &y);
    same = buf_ok(&x) && buf_ok(&y) && str_eq(buf_str(&x), buf_str(&y));
    buf_done(&x);
    buf_done(&y);
    return same;
}

static struct listen_sockets *find(const struct listeners *l, const struct net_address *a)
{
    struct listen_sockets *s = l->first;

    while (s && !same_address(&s->address, a))
        s = s->next;
    return s;
}

int listeners_runtime_address(
    const struct config *config, const char *name, struct net_address *a, struct err *e)
{
    struct buf text;
    int result;

    buf_init(&text, 4096);
    buf_printf(&text, "unix:%.*s/%s", STR_ARG(config->runtime), name);
    result = buf_ok(&text) ? net_parse(buf_str(&text), a, e) : err_memory(e, "master");
    buf_done(&text);
    return result;
}

static int open_address(
    struct listeners *l, const struct net_address *a, unsigned mode, struct err *e)
{
    struct listen_sockets *s = find(l, a);

    if (s)
        return 0;
    s = MEM_NEW(struct listen_sockets);
    if (!s)
        return err_memory(e, "master");
    s->address = *a;
    s->fresh = true;
    s->count = is_unix(a) ? 1 : l->processes;
    if (net_listen(a, mode, BACKLOG, s->fds, s->count, e) < 0) {
        mem_free(s);
        return -1;
    }
    s->next = l->first;
    l->first = s;
    return 0;
}

/* [::] takes IPv4 too, unless the configuration has an IPv4 address with the same port. */
static bool leaves_ipv4(const struct config *config, const struct net_address *a)
{
    struct net_address other;

    if (a->any.sa_family != AF_INET6)
        return false;
    for (uint32_t i = 0; i < config->listens; i++)
        for (uint32_t k = 0; k < config->listen[i].address.count; k++)
            if (net_parse(config->listen[i].address.v[k], &other, NULL) == 0 &&
                other.any.sa_family == AF_INET && net_port(&other) == net_port(a))
                return true;
    return false;
}

/* Calls fn for each address that the configuration wants, with its indices. */
typedef int address_fn(void *arg, const struct net_address *a, enum role_class class,
    const struct role_listener *where, struct err *e);

static int each_address(const struct config *config, address_fn *fn, void *arg, struct err *e)
{
    struct role_listener where = {.fd = -1, .listen = ROLE_LISTEN_SUBMIT};
    struct net_address a;

    for (uint32_t i = 0; i < config->listens; i++) {
        const struct config_listen *listen = &config->listen[i];
        for (uint32_t k = 0; k < listen->address.count; k++) {
            struct role_listener at = {-1, (uint16_t)i, (uint16_t)k};
            if (net_parse(listen->address.v[k], &a, e) < 0)
                return -1;
            a.v6_only = leaves_ipv4(config, &a);
            if (fn(arg, &a, class_of(listen->protocol), &at, e) < 0)
                return -1;
        }
    }
    if (listeners_runtime_address(config, "submit", &a, e) < 0)
        return -1;
    return fn(arg, &a, CLASS_CLIENT, &where, e);
}

static int open_one(void *arg, const struct net_address *a, enum role_class class,
    const struct role_listener *where, struct err *e)
{
    (void)class;
    return open_address(arg, a, where->listen == ROLE_LISTEN_SUBMIT ? MODE_SUBMIT : MODE_LISTEN, e);
}

static void close_sockets(struct listen_sockets *s)
{
    /* While we listen nobody else puts a socket there. */
    if (is_unix(&s->address))
        unlink(s->address.un.sun_path);
    for (unsigned i = 0; i < s->count; i++)
        close(s->fds[i]);
    mem_free(s);
}

/* Closes those that `which` says. */
static void close_some(struct listeners *l,
    bool (*which)(const struct listen_sockets *, const void *), const void *arg)
{
    struct listen_sockets **at = &l->first;

    while (*at) {
        struct listen_sockets *s = *at;
        if (which(s, arg)) {
            *at = s->next;
            close_sockets(s);
        } else {
            at = &s->next;
        }
    }
}

static bool is_fresh(const struct listen_sockets *s, const void *arg)
{
    (void)arg;
    return s->fresh;
}

int listeners_open(struct listeners *l, const struct config *config, struct err *e)
{
    int result = each_address(config, open_one, l, e);

    if (result < 0)
        close_some(l, is_fresh, NULL);
    for (struct listen_sockets *s = l->first; s; s = s->next)
        s->fresh = false;
    return result;
}

static int compare_one(void *arg, const struct net_address *a, enum role_class class,
    const struct role_listener *where, struct err *e)
{
    (void)class;
    (void)where;
    (void)e;
    return same_address(arg, a) ? -1 : 0;
}

static bool is_unwanted(const struct listen_sockets *s, const void *config)
{
    struct net_address address = s->address;

    return !config || each_address(config, compare_one, &address, NULL) == 0;
}

void listeners_keep(struct listeners *l, const struct config *config)
{
    close_some(l, is_unwanted, config);
}

struct collect {
    const struct listeners *listeners;
    enum role_class class;
    unsigned index;
    struct buf *out;
};

static int collect_one(void *arg, const struct net_address *a, enum role_class class,
    const struct role_listener *where, struct err *e)
{
    struct collect *c = arg;
    const struct listen_sockets *s = find(c->listeners, a);
    struct role_listener v = *where;

    if (class != c->class || !s)
        return 0;
    v.fd = s->fds[c->index % s->count];
    return buf_put(c->out, str_of((const char *)&v, sizeof v)) < 0 ? err_memory(e, "master") : 0;
}

int listeners_of(const struct listeners *l, const struct config *config, enum role_class class,
    unsigned index, struct buf *out, struct err *e)
{
    struct collect c = {l, class, index, out};

    return each_address(config, collect_one, &c, e);
}

bool listeners_wide(const struct config *config, enum role_class class)
{
    for (uint32_t i = 0; i < config->listens; i++)
        if (class_of(config->listen[i].protocol) == class)
            return true;
    return false;
}

int listeners_runtime(
    const struct config *config, const char *name, unsigned mode, uint64_t wait_ms, struct err *e)
{
    uint64_t until = run_now_fresh() + wait_ms;
    struct net_address a;
    struct err wait;
    int fd = -1;

    if (listeners_runtime_address(config, name, &a, e) < 0)
        return -1;
    while (net_listen(&a, mode, BACKLOG, &fd, 1, e) < 0) {
        if (!e || e->os != EADDRINUSE || run_now_fresh() >= until)
            return -1;
        if (fiber_sleep(AGAIN_MS, &wait) < 0) {
            *e = wait;
            return -1;
        }
    }
    return fd;
}
