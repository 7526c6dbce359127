#include "inbound/smtp/commands.h"

struct command {
    smtp_command_fn *run;
    unsigned flags;
    const char *rfc;
};

/* Later extensions have their place here: STARTTLS and AUTH are rows. */
static const struct command commands[SMTP_VERBS] = {
    [SMTP_HELO] = {smtp_helo, ONLY_SMTP | JUNK, "5321 4.1.1.1"},
    [SMTP_EHLO] = {smtp_ehlo, ONLY_SMTP | JUNK, "5321 4.1.1.1"},
    [SMTP_LHLO] = {smtp_ehlo, ONLY_LMTP | JUNK, "2033 4.1"},
    [SMTP_MAIL] = {smtp_mail, NEEDS_HELLO | NO_MAIL, "5321 4.1.1.2"},
    [SMTP_RCPT] = {smtp_rcpt, NEEDS_HELLO | NEEDS_MAIL | NO_CHUNKS, "5321 4.1.1.3"},
    [SMTP_DATA] = {smtp_data,
        NEEDS_HELLO | NEEDS_MAIL | NEEDS_RCPT | NO_CHUNKS | NO_ARGS | ENDS_GROUP, "5321 4.1.1.4"},
    [SMTP_BDAT] = {smtp_bdat, 0, "3030 2"}, /* its octets come in any case: see bdat.c */
    [SMTP_RSET] = {smtp_rset, NO_ARGS | JUNK, "5321 4.1.1.5"},
    [SMTP_VRFY] = {smtp_vrfy, JUNK, "5321 4.1.1.6"},
    [SMTP_EXPN] = {smtp_expn, JUNK, "5321 4.1.1.7"},
    [SMTP_HELP] = {smtp_help, JUNK, "5321 4.1.1.8"},
    [SMTP_NOOP] = {smtp_noop, JUNK, "5321 4.1.1.9"},
    [SMTP_QUIT] = {smtp_quit, NO_ARGS, "5321 4.1.1.10"},
};

static const struct {
    unsigned flag;
    const char *text;
} orders[] = {
    {NEEDS_HELLO, "say EHLO first"},
    {NEEDS_MAIL, "MAIL first"},
    {NO_MAIL, "there is a transaction already"},
    {NO_CHUNKS, "the message comes by BDAT"}, /* RFC 3030 2 */
    {NEEDS_RCPT, "no recipient has been accepted"},
};

/* RFC 5321 4.1.4 */
static bool holds(const struct session *s, unsigned flag)
{
    switch (flag) {
    case NEEDS_HELLO:
        return s->phase >= PHASE_READY;
    case NEEDS_MAIL:
        return s->phase >= PHASE_MAIL;
    case NO_MAIL:
        return s->phase < PHASE_MAIL;
    case NO_CHUNKS:
        return s->phase != PHASE_CHUNKS;
    case NEEDS_RCPT:
        return s->tx.envelope.count > 0;
    default:
        return true;
    }
}

bool smtp_in_order(struct session *s, unsigned flags)
{
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (flags & orders[i].flag && !holds(s, orders[i].flag)) {
            /* What was pipelined behind a MAIL that got 451 is no fault of the client's. */
            smtp_say_junk(s, 503, STATUS(5, 5, 1), str_c(orders[i].text));
            return false;
        }
    return true;
}

/* Who sends more behind a command that ends a group takes no notice of replies; what comes may be
 * content or commands, and neither may be taken for the other (RFC 2920 3.1, hostile.md 7). */
static bool breaks_group(struct session *s, unsigned flags)
{
    if (!(flags & ENDS_GROUP) || str_empty(stream_input(s->stream)))
        return false;
    log_warning(&s->event, EV_VIOLATION, kv_c("why", "data before the reply to DATA"));
    session_end_with(
        s, 503, STATUS(5, 5, 0), "data was sent before the reply to DATA", "improper pipelining");
    return true;
}

static bool known(struct session *s, const struct smtp_line *l)
{
    const struct command *c = &commands[l->verb];
    bool lmtp = session_is_lmtp(s);

    if (l->verb == SMTP_VERB_HTTP) { /* hostile.md 45: nothing of it is repeated */
        log_warning(&s->event, EV_VIOLATION, kv_c("why", "HTTP"));
        session_end_with(s, 521, STATUS(5, 5, 1), "this is a mail server", "HTTP");
        return false;
    }
    if (c->run && !(c->flags & (lmtp ? ONLY_SMTP : ONLY_LMTP)))
        return true;
    if (l->verb == SMTP_VERB_UNKNOWN || c->run) /* RFC 5321 4.2.4 */
        smtp_say(s, 500, STATUS(5, 5, 2), STR("command not known"));
    else
        smtp_say(s, 502, STATUS(5, 5, 1), STR("command not implemented"));
    return false;
}

void smtp_dispatch(struct session *s, struct str line)
{
    const struct command *c;
    struct smtp_refusal refusal;
    struct smtp_line l;

    smtp_line_parse(line, &l);
    if (!known(s, &l))
        return;
    c = &commands[l.verb];
    s->junk += (c->flags & JUNK) != 0;
    if (breaks_group(s, c->flags))
        return;
    if (c->flags & NO_ARGS && smtp_no_args(l.args, &refusal) < 0) {
        smtp_say_err(s, refusal.code, &refusal.why);
        return;
    }
    if (smtp_in_order(s, c->flags))
        c->run(s, l.args);
}
