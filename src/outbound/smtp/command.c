/* MAIL and RCPT with the parameters that the server offers. */
#include "base/utf8.h"

#include "wire/smtp_command.h"

#include "outbound/smtp/courier.h"

enum {
    COMMAND_MAX = 8 * 1024,
};

static bool needs_smtputf8(const struct courier *c)
{
    const struct delivery *d = &c->now;

    if (d->given.smtputf8 || !ascii_only(d->given.reverse_path))
        return true;
    for (uint32_t i = 0; i < d->rcpts; i++)
        if (!ascii_only(d->rcpt[i].address))
            return true;
    return false;
}

static int say(struct courier *c, struct buf *line)
{
    struct err e;
    int rc;

    buf_put(line, STR("\r\n"));
    if (!buf_ok(line))
        rc = err_memory(&e, "smtp");
    else
        rc = stream_write(c->stream, buf_str(line), &e);
    buf_done(line);
    return rc < 0 ? courier_broken_err(c, &e, "a command to be taken") : 0;
}

int courier_say_mail(struct courier *c, const struct body *b)
{
    const struct co_delivery *d = &c->now.given;
    struct smtp_mail m = {.from.address = d->reverse_path};
    struct buf line;

    if (c->offer.size && !d->probe) { /* RFC 1870 6 */
        m.has_size = true;
        m.size = d->prefix.n + d->content_size;
    }
    if (c->offer.eight_bit && b && body_eight_bit(b))
        m.body = SMTP_BODY_8BITMIME; /* RFC 6152 3 */
    m.smtputf8 = c->offer.smtputf8 && needs_smtputf8(c);
    if (c->offer.dsn) { /* RFC 3461 5.2.1 */
        m.ret = (enum smtp_ret)d->ret;
        m.envid = d->envid;
    }
    buf_init(&line, COMMAND_MAX);
    smtp_mail_print(&m, &line);
    return say(c, &line);
}

int courier_say_rcpt(struct courier *c, uint32_t i)
{
    const struct co_rcpt *rcpt = &c->now.rcpt[i];
    struct smtp_rcpt r = {.to.address = rcpt->address};
    struct buf line, orcpt;
    int rc;

    buf_init(&line, COMMAND_MAX);
    buf_init(&orcpt, COMMAND_MAX);
    if (c->offer.dsn) {
        r.notify = rcpt->notify;
        r.orcpt = rcpt->orcpt;
        if (!c->offer.smtputf8 && !ascii_only(rcpt->orcpt) &&
            smtp_orcpt_ascii(rcpt->orcpt, &orcpt) == 0)
            r.orcpt = buf_str(&orcpt);
    }
    smtp_rcpt_print(&r, &line);
    rc = say(c, &line);
    buf_done(&orcpt);
    return rc;
}

int courier_say(struct courier *c, struct str word)
{
    struct buf line;

    buf_init(&line, 64);
    buf_put(&line, word);
    return say(c, &line);
}
