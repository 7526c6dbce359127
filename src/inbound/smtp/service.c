#include "inbound/smtp/service.h"

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

#include "ipc/address_map.h"
#include "ipc/role.h"

#include "inbound/smtp/session.h"

enum {
    REPLIES_MAX = 16384,
    LIFE_MAX = 4096,
    SCRATCH_MAX = 1 << 20,
    MAIL_LEAST = 64 << 10,
    MAIL_MAX = 64 << 20,
    RECIPIENT_OCTETS = 1024, /* a recipient with the longest address and ORCPT */
};

/* What the server can do, behind the line with its name. RFC 5321 4.1.1.1. */
static int put_extensions(const struct config *config, bool dsn, struct buf *out)
{
    const struct config_limits *limits = &config->limits;

    buf_put(out, STR("250-PIPELINING\r\n250-SIZE")); /* RFC 2920; RFC 1870 */
    if (limits->message_size)
        buf_printf(out, " %llu", (unsigned long long)limits->message_size);
    buf_put(out, STR("\r\n250-8BITMIME\r\n")); /* RFC 6152 */
    buf_put(out, STR("250-SMTPUTF8\r\n"));     /* RFC 6531 */
    buf_put(out, STR("250-CHUNKING\r\n"));     /* RFC 3030 */
    if (dsn)
        buf_put(out, STR("250-DSN\r\n"));             /* RFC 3461 */
    buf_put(out, STR("250-ENHANCEDSTATUSCODES\r\n")); /* RFC 2034 */
    if (limits->recipients)                           /* RFC 9422 */
        buf_printf(out, "250-LIMITS RCPTMAX=%llu\r\n", (unsigned long long)limits->recipients);
    return buf_put(out, STR("250 HELP\r\n"));
}

static const char help[] =
    "214-2.0.0 commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\r\n"
    "214 2.0.0 RFC 5321 says what they mean\r\n";

static bool make_ehlo(struct smtp_service *s, bool dsn, struct str *reply)
{
    struct buf out;
    bool ok;

    buf_init(&out, REPLIES_MAX);
    buf_printf(&out, "250-%.*s\r\n", STR_ARG(s->config->hostname));
    ok = put_extensions(s->config, dsn, &out) == 0 && arena_dup(&s->arena, buf_str(&out), reply);
    buf_done(&out);
    return ok;
}

/* The replies that are the same for everybody, made once. */
static int make_replies(struct smtp_service *s)
{
    struct str host = s->config->hostname;
    bool ok;

    s->banner_smtp = arena_printf(&s->arena, "220 %.*s ESMTP veredus\r\n", STR_ARG(host));
    s->banner_lmtp = arena_printf(&s->arena, "220 %.*s LMTP veredus\r\n", STR_ARG(host));
    s->hello = arena_printf(&s->arena, "250 %.*s\r\n", STR_ARG(host));
    s->help = str_c(help);
    ok = make_ehlo(s, true, &s->ehlo) && make_ehlo(s, false, &s->ehlo_no_dsn);
    return ok && s->banner_smtp.p && s->banner_lmtp.p && s->hello.p ? 0 : -1;
}

static void session_free(struct session *s)
{
    arena_done(&s->life);
    arena_done(&s->mail);
    arena_done(&s->scratch);
    buf_done(&s->request);
    buf_done(&s->reply);
    mem_free(s);
}

/* Frees sessions whose fibers have ended. */
static void free_ended(struct smtp_service *service)
{
    LIST_EACH(link, &service->ended)
    {
        struct session *s = LIST_ENTRY(link, struct session, link);
        if (s->scope.count)
            continue;
        list_remove(&s->link);
        session_free(s);
        service->count--;
    }
}

static void reap(struct turn_hook *hook)
{
    struct smtp_service *service = LIST_ENTRY(hook, struct smtp_service, reaper);

    if (service->closing)
        return; /* there somebody waits for their fibers */
    free_ended(service);
    cond_wake_all(&service->changed);
    if (!list_empty(&service->ended))
        run_at_turn_end(hook);
}

int smtp_service_open(struct smtp_service **out, const struct config *config,
    struct core_link *core, const struct event *event, struct err *e)
{
    struct smtp_service *s = MEM_NEW(struct smtp_service);

    if (!s)
        return err_memory(e, "smtp");
    s->config = config;
    s->core = core;
    s->event = event;
    s->reaper.fn = reap;
    s->stop_at = DEADLINE_NONE;
    list_init(&s->sessions);
    list_init(&s->ended);
    cond_init(&s->changed);
    scope_init(&s->linger);
    arena_init(&s->arena, 4 * REPLIES_MAX);
    if (address_maps_make(config, &s->maps, e) < 0 ||
        (make_replies(s) < 0 && err_memory(e, "smtp"))) {
        address_maps_free(&s->maps);
        arena_done(&s->arena);
        mem_free(s);
        return -1;
    }
    *out = s;
    return 0;
}

uint32_t smtp_service_sessions(const struct smtp_service *s)
{
    return s->count;
}

/* Who the peer is. A local user is known by the socket. */
static void identify(struct session *s, int fd)
{
    bool local = s->peer.any.sa_family == AF_UNIX;
    struct ucred who;
    socklen_t n = sizeof who;
    struct buf ip;

    if (local && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0) {
        snprintf(s->client, sizeof s->client, "uid %u", (unsigned)who.uid);
    } else {
        buf_init(&ip, sizeof s->client);
        net_format_ip(&s->peer, &ip);
        str_copy_c(s->client, sizeof s->client, buf_str(&ip));
        buf_done(&ip);
    }
}

static size_t mail_ceiling(const struct config *config)
{
    uint64_t recipients = config->limits.recipients ? config->limits.recipients : UINT32_MAX;
    uint64_t octets = MAIL_LEAST + recipients * RECIPIENT_OCTETS;

    return octets < MAIL_MAX ? (size_t)octets : MAIL_MAX;
}

void smtp_accept(void *arg, int fd, const struct net_address *peer)
{
    const struct smtp_listener *listener = arg;
    struct smtp_service *service = listener->service;
    struct session *s = MEM_NEW(struct session);

    if (!s) {
        close(fd);
        return;
    }
    s->service = service;
    s->listener = listener;
    s->peer = *peer;
    s->started = run_now();
    scope_init(&s->scope);
    arena_init(&s->life, LIFE_MAX);
    arena_init(&s->mail, mail_ceiling(service->config));
    arena_init(&s->scratch, SCRATCH_MAX);
    buf_init(&s->request, CHANNEL_FRAME_MAX);
    buf_init(&s->reply, CHANNEL_FRAME_MAX);
    identify(s, fd);
    if (stream_open(&s->stream, fd, NULL) < 0) {
        session_free(s);
        return;
    }
    if (fiber_start(&s->scope, "smtp", session_main, s, NULL) < 0) {
        stream_close(&s->stream);
        session_free(s);
        return;
    }
    list_add(&service->sessions, &s->link);
    service->count++;
}

int smtp_service_wait(struct smtp_service *s, struct err *e)
{
    while (s->count && !s->draining)
        if (cond_wait(&s->changed, "sessions", e) < 0)
            return -1;
    return 0;
}

void smtp_service_drain(struct smtp_service *service)
{
    service->draining = true;
    log_info(service->event, EV_DRAINING, kv_u64("sessions", service->count));
    LIST_EACH(link, &service->sessions)
    {
        struct session *s = LIST_ENTRY(link, struct session, link);
        if (s->phase < PHASE_MAIL)
            scope_cancel(&s->scope);
    }
    cond_wake_all(&service->changed);
}

void smtp_service_stop_at(struct smtp_service *s, uint64_t at)
{
    s->stop_at = at;
    cond_wake_all(&s->changed);
}

/* Cancels what is left and waits for it. */
static void end_all(struct smtp_service *s)
{
    s->closing = true;
    LIST_EACH(link, &s->sessions)
    {
        scope_cancel(&LIST_ENTRY(link, struct session, link)->scope);
    }
    while (!list_empty(&s->sessions))
        scope_join(&LIST_FIRST(&s->sessions, struct session, link)->scope);
    while (s->count) {
        scope_join(&LIST_FIRST(&s->ended, struct session, link)->scope);
        free_ended(s);
    }
}

void smtp_service_close(struct smtp_service **sp)
{
    struct smtp_service *s = *sp;
    struct block *block;
    int rc = 0;

    while (s->count && rc == 0 && run_now() < s->stop_at) {
        uint64_t before = fiber_deadline_shorten(s->stop_at);
        rc = cond_wait(&s->changed, "sessions", NULL);
        fiber_deadline_restore(before);
    }
    end_all(s);
    if (s->stop_at != DEADLINE_NONE)
        scope_cancel(&s->linger);
    scope_join(&s->linger);
    while ((block = s->blocks)) {
        s->blocks = block->next;
        mem_free(block);
    }
    address_maps_free(&s->maps);
    arena_done(&s->arena);
    *sp = NULL;
    /* The hook of a session that ended in this turn is still to come. */
    while (s->reaper.queued)
        if (fiber_yield(NULL) < 0)
            return;
    mem_free(s);
}
