/* What became of each recipient, and what the server said to it. */
#include "base/check.h"
#include "base/utf8.h"

#include "outbound/smtp/courier.h"

enum {
    SAME_SEARCH_MAX = 32, /* replies that a new one is compared with */
    TEXT_SHARE = 16,      /* a text may take this part of the room that is left */
};

int outcome_begin(struct courier *c)
{
    struct delivery *d = &c->now;

    d->outcome = (struct co_outcome){.id = d->given.id, .attempt = d->given.attempt};
    d->outcome.results = d->rcpts;
    d->state = arena_array(&c->mail, d->rcpts, sizeof *d->state);
    d->outcome.result = arena_array(&c->mail, d->rcpts, sizeof *d->outcome.result);
    /* One more: where answers are out of step, all that were given are replaced by it. */
    d->outcome.reply = arena_array(&c->mail, (size_t)d->rcpts + 1, sizeof *d->outcome.reply);
    if (!d->state || !d->outcome.result || !d->outcome.reply)
        return -1;
    for (uint32_t i = 0; i < d->rcpts; i++)
        d->outcome.result[i].index = d->rcpt[i].index;
    return 0;
}

static bool same(const struct co_reply *r, const struct answer *a, struct str text)
{
    return r->code == a->code && memcmp(&r->status, &a->status, sizeof r->status) == 0 &&
           str_eq(r->text, text);
}

/* The text as far as there is room: many different ones make each shorter. */
static struct str cut_text(const struct delivery *d, struct str text)
{
    size_t share = (CO_TEXTS_MAX - d->texts) / TEXT_SHARE;

    return utf8_head(text, share < CO_TEXT_MAX ? share : CO_TEXT_MAX);
}

static uint32_t reply_of(struct courier *c, const struct answer *a)
{
    struct delivery *d = &c->now;
    struct co_outcome *o = &d->outcome;
    struct str text = cut_text(d, a->text);
    struct co_reply *r;

    for (uint32_t i = o->replies; i > 0 && o->replies - i < SAME_SEARCH_MAX; i--)
        if (same(&o->reply[i - 1], a, text) || same(&o->reply[i - 1], a, a->text))
            return i - 1;
    CHECK(o->replies <= d->rcpts);
    r = &o->reply[o->replies];
    *r = (struct co_reply){.code = a->code, .status = a->status};
    if (arena_dup(&c->mail, text, &r->text))
        d->texts += text.n;
    else
        r->text = STR_NONE;
    return o->replies++;
}

/* ---- the log */

static void log_result(
    struct courier *c, uint32_t i, enum co_verdict verdict, const struct answer *a)
{
    static const char *const names[] = {
        [CO_SENT] = EV_SENT,
        [CO_RELAYED] = EV_SENT,
        [CO_DEFERRED] = EV_DEFERRED,
        [CO_FAILED] = EV_FAILED,
        [CO_UNKNOWN] = EV_UNKNOWN,
    };
    struct str status;

    if (verdict == CO_UNTRIED)
        return;
    status =
        arena_printf(&c->mail, "%u.%u.%u", a->status.class, a->status.subject, a->status.detail);
    LOG_AT(verdict == CO_UNKNOWN ? LOG_WARNING : LOG_INFO, &c->now.event, names[verdict],
        kv_str("to", c->now.rcpt[i].address), kv_u64("code", a->code), kv_str("status", status),
        kv_str("text", a->text));
}

/* ---- results */

enum co_verdict outcome_verdict(const struct courier *c, const struct answer *a)
{
    switch (a->code / 100) {
    case 2:
        return c->offer.dsn ? CO_SENT : CO_RELAYED;
    case 5:
        return CO_FAILED;
    default:
        return CO_DEFERRED;
    }
}

void outcome_set(struct courier *c, uint32_t i, enum co_verdict verdict, const struct answer *a)
{
    struct delivery *d = &c->now;
    struct co_result *r = &d->outcome.result[i];

    CHECK(d->state[i] != RCPT_DONE);
    if (d->state[i] == RCPT_ACCEPTED)
        d->accepted--;
    d->state[i] = RCPT_DONE;
    r->verdict = verdict;
    r->reply = reply_of(c, a);
    log_result(c, i, verdict, a);
}

void outcome_set_open(struct courier *c, enum co_verdict verdict, const struct answer *a)
{
    for (uint32_t i = 0; i < c->now.rcpts; i++)
        if (c->now.state[i] != RCPT_DONE)
            outcome_set(c, i, verdict, a);
}

void outcome_keep(struct courier *c)
{
    struct co_outcome *o = &c->now.outcome;

    for (uint32_t i = 0; i < c->now.rcpts; i++)
        CHECK(c->now.state[i] == RCPT_DONE);
    o->host = utf8_head(c->host, CO_HOST_MAX);
    o->address = utf8_head(c->address, CO_HOST_MAX);
    to_core_keep(c->service->core, c->generation, o);
    c->in_hand = true;
}
