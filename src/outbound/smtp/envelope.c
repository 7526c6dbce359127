/* A delivery from MAIL to the end of data (RFC 5321 3.3), in two flights where the server lets us.
 *
 * With PIPELINING (RFC 2920) MAIL, the recipients and DATA leave together, in windows small enough
 * that no side can wait for the other with full buffers. Each answer is taken for the command whose
 * turn it is. The message follows when all of them are there and nothing else: by BDAT it could go
 * in the first flight, but then a server that says one thing too much would have its answers taken
 * for other recipients' (hostile.md 69), and content would go to servers that refuse them all.
 */
#include "outbound/smtp/courier.h"

enum {
    WINDOW_RCPTS = 100,
    WINDOW_OCTETS = 16 * 1024,
    RCPT_OCTETS = 64,   /* of a command without its addresses */
    SLOW_RCPTS_MAX = 6, /* recipients may use up their time so often together */
};

/* A transaction that is under way. */
struct flight {
    struct body *body; /* NULL: a probe */
    uint32_t next;     /* the first recipient that is still to be offered */
    bool *before;      /* recipients that had their result before it; NULL: no memory */
    bool mail_said, mail_taken, data_said;
    struct answer mail; /* why MAIL was refused; its text in the arena of the delivery */
};

/* ---- answers */

static int hear(struct courier *c, enum stage stage, struct answer *a)
{
    int rc = courier_answer(c, stage, a);

    c->now.answered |= rc == 0;
    return rc;
}

static int hear_rset(struct courier *c)
{
    struct answer a;

    if (hear(c, STAGE_RSET, &a) < 0)
        return -1;
    c->rset_due = false;
    return a.code / 100 == 2 ? 0 : courier_strange(c, &a);
}

static int hear_mail(struct courier *c, struct flight *f)
{
    struct answer a;

    if (hear(c, STAGE_MAIL, &a) < 0)
        return -1;
    if (a.code / 100 == 3)
        return courier_strange(c, &a);
    f->mail_taken = c->rset_due = a.code / 100 == 2;
    if (f->mail_taken)
        return 0;
    f->mail = a;
    if (!arena_dup(&c->mail, a.text, &f->mail.text))
        f->mail.text = STR_NONE;
    return 0;
}

/* RFC 5321 4.5.3.1.10: 452, and 552 from older servers, says "too many recipients" where others
 * were taken and no status says something else (hostile.md 76). */
static bool too_many(const struct courier *c, const struct answer *a)
{
    if ((a->code != 452 && a->code != 552) || c->now.accepted == 0)
        return false;
    return !a->explicit_status || (a->status.subject == 5 && a->status.detail == 3);
}

static int hear_rcpt(struct courier *c, const struct flight *f, uint32_t i)
{
    struct answer a;

    if (hear(c, STAGE_RCPT, &a) < 0)
        return -1;
    if (a.code / 100 == 3)
        return courier_strange(c, &a);
    if (!f->mail_taken) {
        outcome_set(c, i, outcome_verdict(c, &f->mail), &f->mail);
    } else if (a.code / 100 == 2 && f->body) {
        c->now.state[i] = RCPT_ACCEPTED;
        c->now.accepted++;
    } else if (a.code / 100 == 2) {
        outcome_set(c, i, CO_SENT, &a);
    } else {
        outcome_set(c, i, too_many(c, &a) ? CO_UNTRIED : outcome_verdict(c, &a), &a);
    }
    return 0;
}

static void set_accepted(struct courier *c, const struct answer *a)
{
    for (uint32_t i = 0; i < c->now.rcpts; i++)
        if (c->now.state[i] == RCPT_ACCEPTED)
            outcome_set(c, i, outcome_verdict(c, a), a);
}

/* One answer for all who were accepted, or, of LMTP, one for each (RFC 2033 4.2). */
static int hear_final(struct courier *c, const struct flight *f)
{
    struct answer a = {0};
    bool each = c->open.lmtp && c->now.accepted > 0;

    c->now.wholly_sent = true;
    for (uint32_t i = 0; i < c->now.rcpts; i++) {
        if (each && c->now.state[i] != RCPT_ACCEPTED)
            continue;
        if (hear(c, STAGE_FINAL, &a) < 0)
            return -1;
        if (a.code / 100 == 3)
            return courier_strange(c, &a);
        if (!each) {
            set_accepted(c, &a);
            break;
        }
        outcome_set(c, i, outcome_verdict(c, &a), &a);
    }
    /* RFC 3030 2: a chunk that failed leaves it open in which state the server is. */
    c->rset_due = body_chunk(f->body) && f->mail_taken && a.code / 100 != 2;
    return 0;
}

int courier_unasked(struct courier *c)
{
    struct answer a;

    if (hear(c, STAGE_MAIL, &a) < 0)
        return -1;
    if (a.code / 100 != 4 && a.code / 100 != 5)
        return courier_strange(c, &a);
    set_accepted(c, &a);
    return courier_broken_answer(c, &a);
}

/* ---- the message */

/* RFC 2920 3.1: DATA was taken although no recipient was: nothing but the dot is sent. LMTP has no
 * answer to that (RFC 2033 4.2), so there the connection ends. */
static int send_nothing(struct courier *c)
{
    struct answer a;

    c->within = true;
    if (c->open.lmtp)
        return courier_broken(c, STATUS(4, 5, 0), "DATA was taken without recipients");
    if (courier_say(c, STR(".")) < 0 || courier_flush(c) < 0)
        return -1;
    c->within = c->rset_due = false;
    return hear(c, STAGE_FINAL, &a);
}

/* hostile.md 69: no answer of this flight is sure to be the one of its command. Who got a result by
 * them is tried again. */
static void reopen(struct courier *c, const struct flight *f)
{
    struct delivery *d = &c->now;

    for (uint32_t i = 0; i < d->rcpts && f->before; i++)
        if (d->state[i] == RCPT_ACCEPTED || !f->before[i])
            d->state[i] = RCPT_OPEN;
    d->accepted = 0;
}

/* By BDAT nothing stands between the answers and the message: one too much shows here, if it has
 * come. */
static int send_chunk(struct courier *c, const struct flight *f)
{
    struct answer a;

    if (!stream_pending(c->stream))
        return body_send(c, f->body) < 0 ? -1 : hear_final(c, f);
    reopen(c, f);
    if (hear(c, STAGE_DATA, &a) < 0)
        return -1;
    return a.code == 421 ? courier_broken_answer(c, &a) : courier_strange(c, &a);
}

static int after_data(struct courier *c, const struct flight *f)
{
    struct answer a;

    if (hear(c, STAGE_DATA, &a) < 0)
        return -1;
    if (a.code / 100 < 4 && a.code != 354) {
        reopen(c, f);
        return courier_strange(c, &a);
    }
    if (a.code != 354) {
        set_accepted(c, &a);
        return 0;
    }
    if (c->now.accepted == 0)
        return send_nothing(c);
    if (body_send(c, f->body) < 0)
        return -1;
    return hear_final(c, f);
}

/* What is to be done when sender and recipients have their answers. */
static int send_message(struct courier *c, const struct flight *f)
{
    if (!f->body)
        return 0;
    if (f->data_said)
        return after_data(c, f);
    if (c->now.accepted == 0)
        return 0;
    if (body_chunk(f->body))
        return send_chunk(c, f);
    if (courier_say(c, STR("DATA")) < 0 || courier_flush(c) < 0)
        return -1;
    return after_data(c, f);
}

/* ---- flights */

/* RSET, where the transaction before is still open: in the same flight if the server can take it.
 */
static int say_rset(struct courier *c)
{
    if (!c->rset_due)
        return 0;
    if (courier_say(c, STR("RSET")) < 0)
        return -1;
    if (c->offer.pipelining)
        return 0;
    return courier_flush(c) < 0 ? -1 : hear_rset(c);
}

/* Writes the next commands: MAIL if it was not yet said, and recipients from f->next on, which then
 * is the first that is still to be offered. */
static int say_window(struct courier *c, struct flight *f)
{
    const struct delivery *d = &c->now;
    unsigned said = 0;
    size_t octets = 0;

    if (!f->mail_said) {
        if (say_rset(c) < 0 || courier_say_mail(c, f->body) < 0)
            return -1;
        f->mail_said = true;
        said++;
    }
    for (; f->next < d->rcpts; f->next++) {
        if (d->state[f->next] == RCPT_DONE)
            continue;
        if (said && (!c->offer.pipelining || said > WINDOW_RCPTS || octets > WINDOW_OCTETS))
            return 0;
        if (courier_say_rcpt(c, f->next) < 0)
            return -1;
        octets += d->rcpt[f->next].address.n + d->rcpt[f->next].orcpt.n + RCPT_OCTETS;
        said++;
    }
    return 0;
}

/* The last window takes DATA along. */
static int say_data(struct courier *c, struct flight *f)
{
    if (f->body && !body_chunk(f->body) && c->offer.pipelining && f->next == c->now.rcpts) {
        f->data_said = true;
        if (courier_say(c, STR("DATA")) < 0)
            return -1;
    }
    return courier_flush(c);
}

/* Sender and recipients, window by window. */
static int offer(struct courier *c, struct flight *f)
{
    while (!f->mail_said || f->next < c->now.rcpts) {
        bool first = !f->mail_said, reset = false;
        uint32_t from = f->next;

        if (say_window(c, f) < 0)
            return -1;
        reset = first && c->rset_due;
        if (say_data(c, f) < 0)
            return -1;
        if (reset && hear_rset(c) < 0)
            return -1;
        if (first && hear_mail(c, f) < 0)
            return -1;
        for (uint32_t i = from; i < f->next; i++)
            if (c->now.state[i] != RCPT_DONE && hear_rcpt(c, f, i) < 0)
                return -1;
        if (!f->mail_taken) {
            outcome_set_open(c, outcome_verdict(c, &f->mail), &f->mail);
            return 0;
        }
    }
    return 0;
}

/* RFC 5321 4.5.3.2 gives each answer its time; all of them together have less than their sum. */
static int offer_in_time(struct courier *c, struct flight *f)
{
    const struct config *config = c->service->config;
    uint64_t most = config->outbound.mail_timeout_ms + config->outbound.data_timeout_ms +
                    SLOW_RCPTS_MAX * config->outbound.rcpt_timeout_ms +
                    config->outbound.block_timeout_ms;
    uint64_t before = fiber_deadline_shorten(run_now() + most);
    int rc = offer(c, f);

    fiber_deadline_restore(before);
    return rc;
}

/* ---- the delivery */

/* It is us who cannot go on. */
static bool interrupted(const struct courier *c)
{
    return fiber_cancelled() || !to_core_same(c->service->core, c->generation);
}

/* The server ended the connection before it said anything to this transaction. It may have been
 * idle for too long: a fresh one is made, once. One that was fresh was refused as if at the
 * greeting (RFC 5321 3.8): the next host is tried, but not where the message may have been taken.
 */
static bool may_go_again(const struct courier *c)
{
    return c->messages > 0 ? !c->redialled : c->broke.code == 421 || !c->now.wholly_sent;
}

/* The connection is lost: what does that mean for those who have no answer? */
static void lost(struct courier *c)
{
    struct delivery *d = &c->now;
    enum co_verdict verdict = CO_DEFERRED;

    d->again = !d->answered && c->lost && !fiber_cancelled() && may_go_again(c);
    if (d->again)
        return;
    if (c->broke.code)
        verdict = outcome_verdict(c, &c->broke);
    else if (d->wholly_sent)
        verdict = CO_UNKNOWN;
    else if (interrupted(c))
        verdict = CO_UNTRIED;
    outcome_set_open(c, verdict, &c->broke);
}

static void transact(struct courier *c, struct body *b)
{
    struct flight f = {.body = b};

    f.before = arena_array(&c->mail, c->now.rcpts, sizeof *f.before);
    for (uint32_t i = 0; i < c->now.rcpts && f.before; i++)
        f.before[i] = c->now.state[i] == RCPT_DONE;

    if (offer_in_time(c, &f) < 0 || send_message(c, &f) < 0)
        lost(c);
    c->messages += !c->now.again;
}

static void deliver_body(struct courier *c)
{
    struct body *b = NULL;
    struct answer why;
    int rc = body_prepare(c, &b, &why);

    if (rc == 0)
        transact(c, b);
    else
        outcome_set_open(c, rc > 0 ? CO_FAILED : interrupted(c) ? CO_UNTRIED : CO_DEFERRED, &why);
    body_done(&b);
}

void courier_deliver(struct courier *c)
{
    static const struct answer no_memory = {.status = {4, 3, 0}, .text = STR_INIT("out of memory")};
    struct delivery *d = &c->now;

    d->accepted = 0;
    d->answered = d->wholly_sent = d->again = false;
    for (uint32_t i = 0; i < d->rcpts; i++)
        if (d->state[i] == RCPT_ACCEPTED)
            d->state[i] = RCPT_OPEN;
    if (courier_refuse_some(c) < 0)
        outcome_set_open(c, CO_DEFERRED, &no_memory);
    if (courier_none_left(c))
        return;
    if (stream_pending(c->stream)) {
        /* Not to this transaction, of which nothing was said: hostile.md 69. */
        courier_unasked(c);
        d->answered = false;
        c->lost = true;
        lost(c);
    } else if (d->given.probe) {
        transact(c, NULL);
    } else {
        deliver_body(c);
    }
}
