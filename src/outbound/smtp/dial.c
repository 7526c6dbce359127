/* From the hosts of an assignment to a connection: RFC 5321 5.1, in their order, each address in
 * turn, IPv6 and IPv4 alternating as RFC 8305 4 has it, but one at a time. */
#include <stdio.h>

#include "base/check.h"
#include "base/utf8.h"

#include "outbound/smtp/courier.h"

enum {
    HOST_ADDRESSES_MAX = 8,
    ADDRESSES_MAX = 32, /* of an assignment */
    ANSWERS_MAX = 1 << 20,
    TRIED_LINE_MAX = 200, /* of what each said */
    QUIT_MS = 2000,
};

struct addresses {
    struct net_address v[HOST_ADDRESSES_MAX];
    uint32_t count;
};

/* ---- what was tried */

static void put_tried(
    struct courier *c, struct str host, struct str address, const struct answer *a)
{
    struct buf one;

    if (c->tried_count++ >= CO_TRIED_MAX)
        return;
    buf_init(&one, CO_TRIED_TEXT_MAX / CO_TRIED_MAX + CO_HOST_MAX);
    buf_printf(&one, "%s%.*s", buf_len(&c->tried) ? "; " : "", STR_ARG(host));
    if (!str_empty(address) && !str_eq(address, host))
        buf_printf(&one, " [%.*s]", STR_ARG(address));
    buf_put(&one, STR(": "));
    if (a->code)
        buf_printf(&one, "%u ", a->code);
    buf_put(&one, utf8_head(a->text, TRIED_LINE_MAX));
    if (buf_ok(&one) && buf_len(&c->tried) + buf_len(&one) <= CO_TRIED_TEXT_MAX)
        buf_put(&c->tried, buf_str(&one));
    buf_done(&one);
}

/* RFC 7504: 521 and 556 say for ever that no mail is taken there. What else refuses the connection
 * may mean us, or this moment: another host is tried, and later this one again. */
static bool for_ever(const struct answer *a)
{
    return a->code ? a->code == 521 || a->code == 556 : a->status.class == 5;
}

/* The last reason stands for all; one that may pass stands before those that will not. */
static void failed(struct courier *c, struct str host, struct str address, const struct answer *a)
{
    bool permanent = for_ever(a);

    put_tried(c, host, address, a);
    log_info(&c->life_event, EV_UNREACHABLE, kv_str("host", host), kv_str("address", address),
        kv_u64("code", a->code), kv_str("text", a->text));
    if (!permanent || !c->temporary) {
        c->why = *a;
        if (!permanent)
            c->why.status.class = 4;
        if (!arena_dup(&c->life, a->text, &c->why.text))
            c->why.text = STR("out of memory");
        if (!arena_dup(&c->life, host, &c->host) || !arena_dup(&c->life, address, &c->address))
            c->host = c->address = STR_NONE;
    }
    c->temporary |= !permanent;
}

static void failed_err(struct courier *c, struct str host, struct str address, const struct err *e,
    struct err_status status)
{
    struct answer a = {.status = status, .text = str_c(e->text)};

    failed(c, host, address, &a);
}

/* ---- addresses of a host */

/* The addresses of both answers in turn, v6 first. */
static void interleave(const struct dns_answer answer[2], uint16_t port, struct addresses *out)
{
    for (uint32_t i = 0; i < HOST_ADDRESSES_MAX; i++)
        for (unsigned family = 0; family < 2; family++)
            if (i < answer[family].count && out->count < HOST_ADDRESSES_MAX)
                dns_record_address(&answer[family].records[i], port, &out->v[out->count++]);
}

static void no_address(struct courier *c, struct str host, const struct dns_answer answer[2])
{
    struct answer a = {.status = STATUS(4, 4, 3)};

    for (unsigned family = 0; family < 2; family++)
        if (answer[family].status == DNS_TEMPORARY || answer[family].status == DNS_BOGUS) {
            a.text = answer[family].why;
            failed(c, host, STR_NONE, &a);
            return;
        }
    a.status = STATUS(5, 4, 4); /* RFC 3463 3.5: unable to route */
    a.text = answer[0].status == DNS_NO_NAME ? STR("no such host") : STR("it has no address");
    failed(c, host, STR_NONE, &a);
}

/* -1: the courier has to end. */
static int look_up(struct courier *c, const struct co_host *host, struct addresses *out)
{
    static const enum dns_type types[2] = {DNS_AAAA, DNS_A};
    struct dns_answer answer[2] = {{.count = 0}, {.count = 0}};
    struct arena a;
    struct err e;
    int rc = 0;

    arena_init(&a, ANSWERS_MAX);
    for (unsigned i = 0; i < 2 && rc == 0; i++)
        rc = dns_ask(c->service->dns, &a, types[i], host->name, &answer[i], &e);
    for (unsigned i = 0; i < 2 && rc == 0; i++)
        if (answer[i].status != DNS_FOUND)
            answer[i].count = 0;
    if (rc == 0)
        interleave(answer, host->port, out);
    if (rc == 0 && out->count == 0)
        no_address(c, host->name, answer);
    if (rc < 0)
        failed_err(c, host->name, STR_NONE, &e, STATUS(4, 4, 3));
    arena_done(&a);
    return rc < 0 && fiber_cancelled() ? -1 : 0;
}

static int take_literal(struct courier *c, const struct co_host *host, struct addresses *out)
{
    char text[CO_HOST_MAX + 16];
    struct err e;

    if (host->kind == CO_HOST_UNIX)
        snprintf(text, sizeof text, "unix:%.*s", STR_ARG(host->name));
    else if (str_find(host->name, ':') >= 0)
        snprintf(text, sizeof text, "[%.*s]:%u", STR_ARG(host->name), host->port);
    else
        snprintf(text, sizeof text, "%.*s:%u", STR_ARG(host->name), host->port);
    if (net_parse(str_c(text), &out->v[0], &e) < 0)
        failed_err(c, host->name, STR_NONE, &e, STATUS(5, 4, 4));
    else
        out->count = 1;
    return 0;
}

static int resolve(struct courier *c, const struct co_host *host, struct addresses *out)
{
    out->count = 0;
    return host->kind == CO_HOST_NAME ? look_up(c, host, out) : take_literal(c, host, out);
}

/* ---- one address */

/* The address of ours that connections of this family are made from. */
static const struct net_address *source(
    const struct config *config, const struct net_address *to, struct net_address *from)
{
    for (uint32_t i = 0; i < config->outbound.source.count; i++) {
        net_from_octets(config->outbound.source.v[i].octets, 0, from);
        if (from->any.sa_family == to->any.sa_family)
            return from;
    }
    return NULL;
}

static int connect_to(struct courier *c, const struct net_address *to, struct err *e)
{
    const struct config *config = c->service->config;
    struct net_address from;
    uint64_t before;
    int rc;

    if (c->open.by_mx && own_check_target(c->service->own, config, to, e) < 0)
        return -1;
    before = fiber_deadline_shorten(run_now() + config->outbound.connect_timeout_ms);
    rc = stream_connect(&c->stream, to, source(config, to, &from), e);
    fiber_deadline_restore(before);
    if (rc < 0 && e->class == ERR_DEADLINE)
        err_set(e, ERR_TEMPORARY, "smtp", "no answer to the connection");
    return rc;
}

/* A new connection has nothing of the one before. */
static void begin(struct courier *c, struct str host, const struct net_address *to)
{
    struct buf text;

    arena_reset(&c->connected);
    buf_init(&text, CO_HOST_MAX);
    net_format_ip(to, &text);
    c->host = c->address = host;
    if (to->any.sa_family != AF_UNIX && !arena_dup(&c->connected, buf_str(&text), &c->address))
        c->address = host;
    buf_done(&text);
    c->is_broken = c->rset_due = c->within = false;
    c->messages = 0;
    c->since = run_now();
    c->fields[0] = kv_str("host", c->host);
    c->fields[1] = kv_str("address", c->address);
    c->event = (struct event){&c->life_event, c->fields, 2};
}

static void connected(struct courier *c)
{
    struct buf offers;

    c->greeted = true;
    buf_init(&offers, 256);
    smtp_offer_print(&c->offer, &offers);
    log_info(&c->event, EV_CONNECTED, kv_str("offers", buf_str(&offers)));
    buf_done(&offers);
}

/* 0: it has greeted us. 1: the next address. -1: the courier has to end. */
static int try_address(struct courier *c, struct str host, const struct net_address *to)
{
    struct answer a;
    struct err e;

    begin(c, host, to);
    if (connect_to(c, to, &e) < 0) {
        failed_err(c, host, c->address, &e, e.class == ERR_PERMANENT ? e.status : STATUS(4, 4, 1));
        return fiber_cancelled() ? -1 : 1;
    }
    if (courier_hello(c, &a) == 0) {
        connected(c);
        return 0;
    }
    failed(c, host, c->address, &a);
    courier_hang_up(c, "refused");
    return fiber_cancelled() ? -1 : 1;
}

/* The addresses of a host, behind the first `skip` of them, which were tried. */
static int try_host(struct courier *c, const struct co_host *host, uint32_t skip)
{
    struct addresses list;
    int rc = 1;

    if (resolve(c, host, &list) < 0)
        return -1;
    for (c->address_at = skip; rc > 0 && c->address_at < list.count; c->address_at++) {
        if (c->addresses == ADDRESSES_MAX)
            break;
        c->addresses++;
        rc = try_address(c, host->name, &list.v[c->address_at]);
    }
    return rc;
}

static int try_hosts(struct courier *c)
{
    int rc = 1;

    for (;
         rc > 0 && c->host_at < c->open.hosts && c->addresses<ADDRESSES_MAX; c->host_at += rc> 0) {
        rc = try_host(c, &c->open.host[c->host_at], c->address_at);
        if (rc > 0)
            c->address_at = 0;
    }
    if (rc > 0) {
        c->end = c->temporary ? CO_ENDED_FAILED : CO_ENDED_REFUSED;
        log_warning(&c->life_event, EV_SITE_FAILED, kv_str("tried", buf_str(&c->tried)));
    }
    return rc == 0 ? 0 : -1;
}

int courier_dial(struct courier *c)
{
    c->temporary = false;
    c->host_at = c->address_at = c->addresses = 0;
    return try_hosts(c);
}

int courier_dial_on(struct courier *c)
{
    failed(c, c->host, c->address, &c->broke);
    courier_hang_up(c, "refused");
    return try_hosts(c);
}

void courier_hang_up(struct courier *c, const char *why)
{
    if (!c->stream)
        return;
    log_info(&c->event, EV_CLOSED, kv_u64("messages", c->messages),
        kv_u64("in", stream_octets_in(c->stream)), kv_u64("out", stream_octets_out(c->stream)),
        kv_u64("ms", run_now() - c->since), kv_c("why", why));
    if (c->is_broken || c->within) {
        stream_close(&c->stream);
        return;
    }
    /* RFC 5321 4.1.1.10: the server closes when it has answered. */
    (void)stream_write(c->stream, STR("QUIT\r\n"), NULL);
    stream_finish(&c->stream, &c->service->linger, QUIT_MS);
}
