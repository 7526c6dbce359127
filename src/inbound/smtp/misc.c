/* The commands that carry no mail: RFC 5321 4.1.1.5 to 4.1.1.10. */
#include "inbound/smtp/commands.h"

void smtp_rset(struct session *s, struct str args)
{
    (void)args;
    session_reset(s);
    smtp_say(s, 250, STATUS(2, 0, 0), STR("ok"));
}

void smtp_noop(struct session *s, struct str args)
{
    (void)args;
    smtp_say(s, 250, STATUS(2, 0, 0), STR("ok"));
}

/* RFC 5321 3.5.3, 7.3: the same answer for everybody, so that nothing is disclosed. */
void smtp_vrfy(struct session *s, struct str args)
{
    struct smtp_refusal refusal;

    if (smtp_string_arg(args, &refusal) < 0)
        smtp_say_err(s, refusal.code, &refusal.why);
    else
        smtp_say(s, 252, STATUS(2, 1, 5), STR("not verified, but mail for it is tried"));
}

void smtp_expn(struct session *s, struct str args)
{
    (void)args;
    smtp_say(s, 502, STATUS(5, 5, 1), STR("lists are not shown"));
}

void smtp_help(struct session *s, struct str args)
{
    (void)args;
    smtp_say_raw(s, s->service->help);
}

void smtp_quit(struct session *s, struct str args)
{
    (void)args;
    session_end_with(s, 221, STATUS(2, 0, 0), "goodbye", NULL);
}
