#include "resolver/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"

#include "run/fiber.h"

#include "resolver/ub_events.h"

enum {
    CLASS_IN = 1,
    SECURE = 2, /* as libunbound tells it */
    BOGUS = 1,
};

struct engine {
    struct ub_events *events;
    struct ub_ctx *ctx;
    struct list open; /* struct asked */
};

/* One question under way, so that the callback knows whose it is. */
struct asked {
    struct list link;
    engine_done *done;
    void *arg;
};

struct option {
    const char *name, *value;
};

/* Bounds of memory and of work, and what a resolver for mail wants. */
static const struct option options[] = {
    {"msg-cache-size:", "16m"},
    {"rrset-cache-size:", "32m"},
    {"key-cache-size:", "4m"},
    {"neg-cache-size:", "1m"},
    {"infra-cache-numhosts:", "20000"},
    {"num-queries-per-thread:", "4096"},
    {"outgoing-range:", "512"},
    {"outgoing-num-tcp:", "64"},
    {"edns-buffer-size:", "1232"}, /* no fragments, which can be forged */
    {"cache-min-ttl:", "5"},       /* DNS_TTL_MIN_S */
    {"cache-max-ttl:", "86400"},   /* DNS_TTL_MAX_S */
    {"cache-max-negative-ttl:", "3600"},
    {"harden-glue:", "yes"},
    {"harden-dnssec-stripped:", "yes"},
    {"harden-below-nxdomain:", "yes"},
    {"qname-minimisation:", "yes"},
};

/* What libunbound answers by itself (RFC 6761, RFC 6303, RFC 6762), and is told to ask where a
 * test or a private network has it so. localhost. is never asked: a stranger's MX may name it. */
static const char *const special_zones[] = {"test.", "invalid.", "onion.", "home.arpa.",
    "127.in-addr.arpa.", "10.in-addr.arpa.", "168.192.in-addr.arpa.", "254.169.in-addr.arpa.",
    "2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa.",
    "255.255.255.255.in-addr.arpa.", "0.in-addr.arpa.", "d.f.ip6.arpa.", "8.e.f.ip6.arpa.",
    "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."};

static int wrong(struct err *e, const char *what, int code)
{
    return err_set(e, ERR_PERMANENT, "resolver", "%s: %s", what, ub_strerror(code));
}

static int set_option(struct engine *g, const char *name, const char *value, struct err *e)
{
    int code = ub_ctx_set_option(g->ctx, name, value);

    return code ? wrong(e, name, code) : 0;
}

static int set_options(struct engine *g, const struct engine_settings *s, struct err *e)
{
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (set_option(g, options[i].name, options[i].value, e) < 0)
            return -1;
    /* A stranger's zone may name ourselves as its server; a server that we are told to ask may
     * well be there. */
    return set_option(g, "do-not-query-localhost:", s->server_count ? "no" : "yes", e);
}

static int set_servers(struct engine *g, const struct engine_settings *s, struct err *e)
{
    char server[80];

    for (uint32_t i = 0; i < s->server_count; i++) {
        int code = str_copy_c(server, sizeof server, s->servers[i]) ? ub_ctx_set_fwd(g->ctx, server)
                                                                    : UB_SYNTAX;
        if (code)
            return wrong(e, server, code);
    }
    return 0;
}

/* libunbound says nothing of why a file could not be read. */
static int set_anchor(struct engine *g, const struct engine_settings *s, struct err *e)
{
    char path[2048];
    int fd, code;

    if (str_empty(s->trust_anchor))
        return 0;
    if (!str_copy_c(path, sizeof path, s->trust_anchor))
        return err_set(e, ERR_PERMANENT, "resolver", "trust-anchor: the path is too long");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_os(e, errno, "resolver", "trust-anchor %s", path);
    close(fd);
    code = ub_ctx_add_ta_file(g->ctx, path);
    return code ? wrong(e, path, code) : 0;
}

/* The first zone closes the settings, makes the caches and reads the trust anchor: the last step.
 */
static int set_zones(struct engine *g, const struct engine_settings *s, struct err *e)
{
    const char *kind = s->special_use ? "static" : "nodefault";
    int code = 0;

    if (s->special_use)
        code = ub_ctx_zone_add(g->ctx, "local.", kind);
    for (size_t i = 0; i < ARRAY_COUNT(special_zones) && !s->special_use && !code; i++)
        code = ub_ctx_zone_add(g->ctx, special_zones[i], kind);
    if (!code)
        return 0;
    if (str_empty(s->trust_anchor))
        return wrong(e, "libunbound cannot begin", code);
    return err_set(e, ERR_PERMANENT, "resolver",
        "trust-anchor %.*s: no key is in it that can be read", STR_ARG(s->trust_anchor));
}

static void first_answer(void *arg, const struct engine_result *r)
{
    *(bool *)arg = r->rcode == 0;
}

static int set_up(struct engine *g, const struct engine_settings *s, struct err *e)
{
    bool answered = false;

    g->ctx = ub_ctx_create_ub_event(ub_events_base(g->events));
    if (!g->ctx)
        return err_memory(e, "resolver");
    ub_ctx_debugout(g->ctx, NULL);
    if (set_options(g, s, e) < 0 || set_servers(g, s, e) < 0 || set_anchor(g, s, e) < 0 ||
        set_zones(g, s, e) < 0)
        return -1;
    /* What is made at the first question, before the walls are there. */
    if (engine_ask(g, DNS_A, STR("localhost"), first_answer, &answered) < 0 || !answered)
        return err_set(e, ERR_TEMPORARY, "resolver", "libunbound does not answer");
    return 0;
}

static void on_answer(void *arg, int rcode, void *packet, int packet_n, int secure, char *why_bogus,
    int was_ratelimited)
{
    struct asked *asked = arg;
    engine_done *done = asked->done;
    void *done_arg = asked->arg;
    struct engine_result r = {.rcode = rcode, .secure = secure == SECURE};

    (void)was_ratelimited;
    list_remove(&asked->link);
    mem_free(asked);
    if (secure == BOGUS)
        r.bogus = why_bogus ? why_bogus : "DNSSEC validation failed";
    if (rcode == 0 && packet && packet_n > 0)
        r.packet = str_of(packet, (size_t)packet_n);
    done(done_arg, &r);
}

int engine_ask(struct engine *g, enum dns_type type, struct str name, engine_done *done, void *arg)
{
    struct asked *asked = MEM_NEW(struct asked);
    char text[DNS_NAME_MAX + 2];

    CHECK(name.n <= DNS_NAME_MAX);
    if (!asked)
        return -1;
    *asked = (struct asked){.done = done, .arg = arg};
    list_add(&g->open, &asked->link);
    memcpy(text, name.p, name.n);
    text[name.n] = '.';
    text[name.n + 1] = '\0';
    if (ub_resolve_event(g->ctx, text, (int)type, CLASS_IN, asked, on_answer, NULL) == 0)
        return 0;
    list_remove(&asked->link);
    mem_free(asked);
    return -1;
}

/* ---- away from the fiber's stack: libunbound reads an anchor with 64 KiB of it */

struct act {
    struct turn_hook hook;
    struct cond done;
    bool ended;
    struct engine *engine;
    const struct engine_settings *settings; /* NULL: close */
    int rc;
    struct err e;
};

static void delete_ctx(struct engine *g)
{
    if (g->ctx)
        ub_ctx_delete(g->ctx);
    while (!list_empty(&g->open)) {
        struct asked *asked = LIST_FIRST(&g->open, struct asked, link);
        list_remove(&asked->link);
        mem_free(asked);
    }
}

static void act(struct turn_hook *hook)
{
    struct act *a = LIST_ENTRY(hook, struct act, hook);

    if (a->settings)
        a->rc = set_up(a->engine, a->settings, &a->e);
    else
        delete_ctx(a->engine);
    a->ended = true;
    cond_wake_all(&a->done);
}

/* 1 where the fiber could not wait for it: then everything is left to the end of the process. */
static int act_on_loop(struct engine *g, const struct engine_settings *settings, struct err *e)
{
    struct act *a = MEM_NEW(struct act);
    int rc;

    if (!a)
        return err_memory(e, "resolver");
    a->hook.fn = act;
    a->engine = g;
    a->settings = settings;
    cond_init(&a->done);
    run_at_turn_end(&a->hook);
    while (!a->ended)
        if (cond_wait(&a->done, "libunbound", e) < 0)
            return 1;
    rc = a->rc;
    if (rc < 0)
        *e = a->e;
    mem_free(a);
    return rc;
}

int engine_open(struct engine **out, const struct engine_settings *settings, struct err *e)
{
    struct engine *g = MEM_NEW(struct engine);
    int rc;

    if (!g)
        return err_memory(e, "resolver");
    list_init(&g->open);
    if (ub_events_open(&g->events, e) < 0) {
        mem_free(g);
        return -1;
    }
    rc = act_on_loop(g, settings, e);
    if (rc < 0)
        engine_close(&g);
    if (rc != 0)
        return -1;
    *out = g;
    return 0;
}

void engine_close(struct engine **gp)
{
    struct engine *g = *gp;

    *gp = NULL;
    if (!g || act_on_loop(g, NULL, &(struct err){0}) != 0)
        return;
    ub_events_close(&g->events);
    mem_free(g);
}
