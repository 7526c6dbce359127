/* The greeting and EHLO, LHLO or HELO. RFC 5321 3.1, 3.2; RFC 2033 4.1. */
#include "outbound/smtp/courier.h"

static struct str helo_name(const struct courier *c)
{
    return str_empty(c->open.helo_name) ? c->service->config->hostname : c->open.helo_name;
}

static int say(struct courier *c, const char *verb)
{
    struct err e;

    if (stream_printf(c->stream, &e, "%s %.*s\r\n", verb, STR_ARG(helo_name(c))) < 0)
        return courier_broken_err(c, &e, "EHLO");
    return courier_flush(c);
}

/* A host that an MX record named and that calls itself by our name is ourselves, behind an address
 * that we do not know (RFC 5321 5.1). */
static bool is_ourselves(const struct courier *c, const struct answer *a)
{
    struct str rest = a->text, name;

    str_cut(&rest, ' ', &name);
    return c->open.by_mx && str_eq_ascii(name, c->service->config->hostname);
}

static int refused(struct courier *c, struct answer *a)
{
    if (c->is_broken)
        *a = c->broke;
    return 1;
}

int courier_hello(struct courier *c, struct answer *a)
{
    if (courier_answer(c, STAGE_GREETING, a) < 0 || a->code != 220)
        return refused(c, a);
    if (say(c, c->open.lmtp ? "LHLO" : "EHLO") < 0 || courier_answer_offer(c, a) < 0)
        return refused(c, a);
    if (a->code == 250 && is_ourselves(c, a)) {
        *a = (struct answer){.status = STATUS(5, 4, 6), .text = STR("it is this server itself")};
        return 1;
    }
    if (a->code == 250)
        return 0;
    /* RFC 5321 3.2: who knows no EHLO may know HELO (hostile.md 78). */
    if (c->open.lmtp || a->code / 100 != 5)
        return refused(c, a);
    c->offer = (struct smtp_offer){0};
    if (say(c, "HELO") < 0 || courier_answer(c, STAGE_HELLO, a) < 0 || a->code != 250)
        return refused(c, a);
    return 0;
}
