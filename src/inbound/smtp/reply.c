#include "wire/smtp_reply.h"

#include "inbound/smtp/session.h"

void smtp_say_raw(struct session *s, struct str reply)
{
    struct err e;

    if (stream_write(s->stream, reply, &e) < 0)
        session_fail(s, &e);
}

static void say(struct session *s, uint16_t code, struct err_status status, struct str text)
{
    char line[SMTP_REPLY_LINE_MAX];

    smtp_say_raw(s, smtp_reply_line(line, code, status, true, text));
}

void smtp_say(struct session *s, uint16_t code, struct err_status status, struct str text)
{
    if (code >= 500)
        s->errors++;
    say(s, code, status, text);
}

void smtp_say_junk(struct session *s, uint16_t code, struct err_status status, struct str text)
{
    s->junk++;
    say(s, code, status, text);
}

void smtp_say_err(struct session *s, uint16_t code, const struct err *e)
{
    smtp_say(s, code, e->status, str_c(e->text));
}

/* RFC 5321 4.2.3 by the subject of RFC 3463 3: addresses, mailboxes, and policies are 550, storage
 * 552 and 452. */
uint16_t smtp_code_of(struct err *e)
{
    bool permanent = e->class == ERR_PERMANENT;

    if (e->status.class != (permanent ? 5 : 4))
        e->status = permanent ? STATUS(5, 0, 0) : STATUS(4, 3, 0);
    if (e->status.subject == 2 && e->status.detail == 2) /* mailbox full */
        return permanent ? 552 : 452;
    if (e->status.subject == 3 && e->status.detail == 1) /* mail system full */
        return permanent ? 552 : 452;
    if (e->status.subject == 3)
        return permanent ? 554 : 451;
    return permanent ? 550 : 450;
}
