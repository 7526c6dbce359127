/* HELO, EHLO, LHLO: RFC 5321 4.1.1.1, RFC 2033 4.1. */
#include "inbound/smtp/commands.h"

bool smtp_offers_dsn(const struct session *s)
{
    return s->right == IC_TRUSTED || s->service->config->dsn.strangers;
}

/* Takes the name and ends what transaction there was (RFC 5321 4.1.4). */
static bool take_name(struct session *s, struct str args, bool esmtp)
{
    struct smtp_refusal refusal;
    struct str name;
    bool strict;

    if (smtp_helo_parse(args, &name, &strict, &refusal) < 0) {
        smtp_say_err(s, refusal.code, &refusal.why);
        return false;
    }
    session_reset(s);
    arena_reset(&s->life);
    if (!arena_dup(&s->life, name, &s->helo)) {
        s->helo = STR_NONE;
        s->phase = PHASE_CONNECTED;
        smtp_say(s, 451, STATUS(4, 3, 0), STR("out of memory"));
        return false;
    }
    s->esmtp = esmtp;
    s->strict_helo = strict;
    s->phase = PHASE_READY;
    return true;
}

void smtp_helo(struct session *s, struct str args)
{
    if (take_name(s, args, false))
        smtp_say_raw(s, s->service->hello);
}

void smtp_ehlo(struct session *s, struct str args)
{
    if (take_name(s, args, true))
        smtp_say_raw(s, smtp_offers_dsn(s) ? s->service->ehlo : s->service->ehlo_no_dsn);
}
