/* Replies of a server, read by the ceilings of the configuration, and the end of its trust. */
#include <stdio.h>

#include "base/check.h"
#include "base/escape.h"
#include "base/utf8.h"

#include "wire/smtp_reply.h"

#include "outbound/smtp/courier.h"

static const char *const stage_names[] = {
    [STAGE_GREETING] = "the greeting",
    [STAGE_HELLO] = "the answer to EHLO",
    [STAGE_RSET] = "the answer to RSET",
    [STAGE_MAIL] = "the answer to MAIL",
    [STAGE_RCPT] = "the answer to RCPT",
    [STAGE_DATA] = "the answer to DATA",
    [STAGE_FINAL] = "the answer to the message",
};

/* RFC 5321 4.5.3.2.1 to 4.5.3.2.6 */
static uint64_t timeout_ms(const struct config *config, enum stage stage)
{
    switch (stage) {
    case STAGE_GREETING:
    case STAGE_HELLO:
        return config->outbound.greeting_timeout_ms;
    case STAGE_RSET:
    case STAGE_MAIL:
        return config->outbound.mail_timeout_ms;
    case STAGE_RCPT:
        return config->outbound.rcpt_timeout_ms;
    case STAGE_DATA:
        return config->outbound.data_timeout_ms;
    case STAGE_FINAL:
        return config->outbound.final_timeout_ms;
    }
    UNREACHABLE();
}

/* ---- a connection that is of no use any more */

static void keep_broke(struct courier *c, const struct answer *a)
{
    struct str text = utf8_head(a->text, sizeof c->broke_text);

    if (c->is_broken)
        return; /* the first reason is the one */
    memmove(c->broke_text, text.p ? text.p : "", text.n);
    c->broke = *a;
    c->broke.text = str_of(c->broke_text, text.n);
    c->is_broken = true;
    c->lost = a->code == 421;
}

int courier_broken_answer(struct courier *c, const struct answer *a)
{
    keep_broke(c, a);
    return -1;
}

int courier_broken(struct courier *c, struct err_status status, const char *text)
{
    return courier_broken_answer(c, &(struct answer){.status = status, .text = str_c(text)});
}

int courier_broken_err(struct courier *c, const struct err *e, const char *what)
{
    char text[sizeof e->text + 128];
    struct buf b;

    buf_init(&b, sizeof text);
    switch (e->class) {
    case ERR_DEADLINE:
        buf_printf(&b, "timeout while waiting for %s", what);
        break;
    case ERR_CANCELLED:
        buf_put(&b, STR("this server shuts down"));
        break;
    case ERR_CLOSED:
        buf_printf(&b, "connection lost while waiting for %s", what);
        break;
    case ERR_NONE:
    case ERR_TEMPORARY:
    case ERR_PERMANENT:
    case ERR_BUG:
        buf_printf(&b, "%s: %s", what, e->text);
        break;
    }
    str_copy_c(text, sizeof text, buf_str(&b));
    buf_done(&b);
    if (!c->is_broken) {
        courier_broken(c, STATUS(4, 4, 2), text);
        c->lost = e->class == ERR_CLOSED;
    }
    return -1;
}

static int strange(struct courier *c, const char *what, const char *why)
{
    struct err e;

    err_set(&e, ERR_TEMPORARY, "smtp", "%s", why);
    log_warning(&c->event, EV_STRANGE_REPLY, kv_c("text", why), kv_c("at", what));
    courier_broken_err(c, &e, what);
    c->broke.status = STATUS(4, 5, 0); /* RFC 3463 3.6: protocol status */
    return -1;
}

int courier_strange(struct courier *c, const struct answer *a)
{
    char text[128];

    snprintf(text, sizeof text, "it said %u where that is no answer", a->code);
    return strange(c, "out of step", text);
}

/* ---- replies */

/* Joins the lines' texts with spaces, escaped (hostile.md 64), as far as there is room. */
static void put_text(struct buf *out, struct str text)
{
    size_t room = CO_TEXT_MAX - buf_len(out);
    char *p;

    if (buf_len(out) && room > 1) {
        buf_put_c(out, ' ');
        room--;
    }
    p = buf_reserve(out, room + 1);
    if (p)
        buf_advance(out, escape_copy(p, room + 1, text, ESCAPE_TERMINAL).n);
}

static void finish(struct courier *c, const struct smtp_reply *r, struct answer *a)
{
    *a = (struct answer){.code = r->code, .status = r->status, .text = buf_str(&c->text)};
    a->explicit_status = r->status.class != 0;
    /* A status whose class contradicts the code was not taken: hostile.md 81. */
    if (!a->explicit_status)
        a->status = STATUS((uint8_t)(r->code / 100), 0, 0);
}

/* All lines of one reply. -1: *e, or (class ERR_NONE) it was strange. */
static int read_lines(struct courier *c, struct smtp_reply *r, enum stage stage,
    struct smtp_offer *offer, struct err *e)
{
    struct str line, text;
    int more = 1;

    e->class = ERR_NONE;
    while (more > 0) {
        int rc = stream_read_line(c->stream, r->limits.line, &line, e);
        if (rc < 0)
            return -1;
        if (rc > 0)
            return strange(c, stage_names[stage], "a line of a reply is too long");
        more = smtp_reply_feed(r, line, &text, e);
        if (more < 0) {
            strange(c, stage_names[stage], e->text);
            e->class = ERR_NONE;
            return -1;
        }
        if (offer && r->code == 250 && r->lines > 1)
            smtp_offer_line(offer, text);
        put_text(&c->text, text);
    }
    return 0;
}

static int read_reply(
    struct courier *c, enum stage stage, struct answer *a, struct smtp_offer *offer)
{
    const struct config *config = c->service->config;
    struct smtp_reply r = {.limits = {.line = (size_t)config->limits.reply_line,
                               .octets = (size_t)config->limits.reply_size,
                               .lines = (unsigned)config->limits.reply_lines}};
    uint64_t before;
    struct err e;
    int rc;

    if (c->is_broken)
        return -1;
    buf_clear(&c->text);
    /* For the whole reply, not for each read: hostile.md 60. */
    before = fiber_deadline_shorten(run_now() + timeout_ms(config, stage));
    rc = read_lines(c, &r, stage, offer, &e);
    fiber_deadline_restore(before);
    if (rc < 0)
        return e.class == ERR_NONE ? -1 : courier_broken_err(c, &e, stage_names[stage]);
    finish(c, &r, a);
    if (a->code == 421) /* RFC 5321 3.8: it closes the connection */
        return courier_broken_answer(c, a);
    return 0;
}

int courier_answer(struct courier *c, enum stage stage, struct answer *a)
{
    return read_reply(c, stage, a, NULL);
}

int courier_answer_offer(struct courier *c, struct answer *a)
{
    c->offer = (struct smtp_offer){0};
    return read_reply(c, STAGE_HELLO, a, &c->offer);
}

int courier_flush(struct courier *c)
{
    uint64_t before;
    struct err e;
    int rc;

    if (c->is_broken)
        return -1;
    /* RFC 5321 4.5.3.2.5, hostile.md 71 */
    before = fiber_deadline_shorten(run_now() + c->service->config->outbound.block_timeout_ms);
    rc = stream_flush(c->stream, &e);
    fiber_deadline_restore(before);
    return rc < 0 ? courier_broken_err(c, &e, "the server to take what was sent") : 0;
}
