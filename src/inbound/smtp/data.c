/* DATA: RFC 5321 4.1.1.4. */
#include "inbound/smtp/commands.h"

void smtp_data(struct session *s, struct str args)
{
    struct smtp_verdict v;
    struct err e;

    (void)args;
    if (content_begin(s, true, &v) < 0) {
        content_refuse(&s->tx.content, v.code, &v.why);
        smtp_refuse_early(s);
        return;
    }
    smtp_say(s, 354, STATUS(0, 0, 0), STR("go ahead, end with <CRLF>.<CRLF>"));
    if (s->over)
        return;
    session_note(s, NOTE_CONTENT);
    if (content_read_data(s, &e) < 0) {
        session_fail(s, &e);
        return;
    }
    smtp_commit(s);
}
