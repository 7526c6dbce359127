/* RCPT: RFC 5321 4.1.1.3. Those that have come together are looked up together. */
#include "inbound/smtp/commands.h"

_Static_assert(
    (int)SMTP_NOTIFY_NEVER == IC_NOTIFY_NEVER && (int)SMTP_NOTIFY_SUCCESS == IC_NOTIFY_SUCCESS &&
        (int)SMTP_NOTIFY_FAILURE == IC_NOTIFY_FAILURE && (int)SMTP_NOTIFY_DELAY == IC_NOTIFY_DELAY,
    "NOTIFY is passed on as it is");

/* One RCPT of a batch: a recipient to ask for, or why it is refused. */
struct asked {
    struct ic_recipient rcpt;
    struct smtp_verdict *verdict;
};

struct batch {
    struct asked *v;
    uint32_t count, capacity;
    uint32_t wanted; /* to be looked up */
    uint32_t read;   /* commands: one more than count where there was no memory */
};

static bool take_verdict(struct session *s, struct asked *a, uint16_t code, const struct err *why)
{
    a->verdict = arena_alloc(&s->scratch, sizeof *a->verdict);
    if (!a->verdict)
        return false;
    *a->verdict = (struct smtp_verdict){.code = code, .why = *why};
    return true;
}

/* False where there is no memory. */
static bool take_rcpt(struct session *s, struct str args, uint64_t room, struct asked *a)
{
    struct smtp_refusal refusal;
    struct smtp_rcpt m;

    if (smtp_rcpt_parse(args, s->tx.envelope.smtputf8, &m, &refusal) < 0)
        return take_verdict(s, a, refusal.code, &refusal.why);
    if (!smtp_offers_dsn(s) && (m.notify || m.orcpt.n)) { /* RFC 5321 4.1.1.11 */
        err_set_status(
            &refusal.why, ERR_PERMANENT, STATUS(5, 5, 4), "smtp", "reports are not offered to you");
        return take_verdict(s, a, 555, &refusal.why);
    }
    if (room == 0) { /* RFC 5321 4.5.3.1.10 */
        err_set_status(&refusal.why, ERR_TEMPORARY, STATUS(4, 5, 3), "smtp",
            "too many recipients, send to the others in another transaction");
        return take_verdict(s, a, 452, &refusal.why);
    }
    a->rcpt.notify = m.notify;
    return arena_dup(&s->mail, m.to.address, &a->rcpt.address) &&
           arena_dup(&s->mail, m.orcpt, &a->rcpt.orcpt);
}

/* How many more recipients the transaction may have. */
static uint64_t room_left(const struct session *s)
{
    uint64_t max = s->service->config->limits.recipients;

    if (max == 0 || max > IC_RECIPIENTS_MAX)
        max = IC_RECIPIENTS_MAX;
    return max > s->tx.envelope.count ? max - s->tx.envelope.count : 0;
}

/* The next line, if it is buffered and another RCPT. */
static bool next_rcpt(struct session *s, struct smtp_line *l)
{
    uint64_t max = s->service->config->limits.command_line;
    size_t line_max = max && max < STREAM_IN_MAX ? (size_t)max : STREAM_IN_MAX;
    struct str line;
    struct err e;

    if (!str_starts_ascii(stream_input(s->stream), STR("RCPT ")) ||
        !stream_has_line(s->stream, line_max))
        return false;
    if (stream_read_line(s->stream, line_max, &line, &e) != 0)
        return false;
    smtp_line_parse(line, l);
    return true;
}

/* Another place in the batch; NULL without memory. Most batches are of one. */
static struct asked *add_asked(struct session *s, struct batch *b)
{
    uint32_t capacity = b->capacity ? 4 * b->capacity : 4;
    struct asked *all;

    if (b->count == b->capacity) {
        all = arena_array(&s->scratch, capacity, sizeof *all);
        if (!all)
            return NULL;
        if (b->count)
            memcpy(all, b->v, b->count * sizeof *all);
        b->v = all;
        b->capacity = capacity;
    }
    return &b->v[b->count++];
}

/* -1 without memory: the last command that was read may then not be in the batch. */
static int gather(struct session *s, struct str args, struct batch *b, struct err *e)
{
    uint64_t room = room_left(s);
    struct smtp_line l = {.args = args};

    do {
        struct asked *a = add_asked(s, b);
        b->read++;
        if (!a || !take_rcpt(s, l.args, room - b->wanted, a))
            return err_memory(e, "smtp");
        b->wanted += a->verdict == NULL;
        /* Beyond the limit it depends on the answers whether there is room: ask first. */
    } while (b->count < IC_RCPT_BATCH_MAX && (room == 0 || b->wanted < room) && next_rcpt(s, &l));
    return 0;
}

/* Asks core about those that are left. */
static int look_up(
    struct session *s, struct batch *b, struct ic_rcpt_answer **answers, struct err *e)
{
    struct ic_rcpt ask = {.slot = s->slot.slot, .reverse_path = s->tx.envelope.reverse_path};

    if (b->wanted == 0)
        return 0;
    ask.address = arena_array(&s->scratch, b->wanted, sizeof *ask.address);
    if (!ask.address)
        return err_memory(e, "smtp");
    for (uint32_t i = 0; i < b->count; i++)
        if (!b->v[i].verdict)
            ask.address[ask.count++] = b->v[i].rcpt.address;
    return core_resolve(
        s->service->core, s->tx.generation, &ask, &s->request, &s->reply, &s->scratch, answers, e);
}

static void refuse(struct session *s, const struct asked *a, uint16_t code, const struct err *why)
{
    s->tx.refused++;
    log_info(&s->tx.event, EV_RCPT_REFUSED, kv_str("to", a->rcpt.address), kv_u64("code", code),
        kv_err(why));
    smtp_say_err(s, code, why);
}

/* Another place in the list of recipients; doubles it. NULL without memory. */
static struct ic_recipient *add_recipient(struct session *s)
{
    struct ic_envelope *e = &s->tx.envelope;
    uint32_t capacity = s->tx.capacity ? 2 * s->tx.capacity : 8;
    struct ic_recipient *all;

    if (e->count == s->tx.capacity) {
        all = arena_array(&s->mail, capacity, sizeof *all);
        if (!all)
            return NULL;
        if (e->count)
            memcpy(all, e->rcpt, e->count * sizeof *all);
        e->rcpt = all;
        s->tx.capacity = capacity;
    }
    return &e->rcpt[e->count++];
}

static void answer_one(struct session *s, const struct asked *a, struct ic_rcpt_answer *answer)
{
    struct ic_recipient *place;
    struct err e;
    uint16_t code;

    if (a->verdict) {
        refuse(s, a, a->verdict->code, &a->verdict->why);
        return;
    }
    if (answer->verdict == IC_REFUSED) {
        code = smtp_code_of(&answer->why);
        refuse(s, a, code, &answer->why);
        return;
    }
    place = add_recipient(s);
    if (!place) {
        err_set_status(&e, ERR_TEMPORARY, STATUS(4, 3, 1), "smtp", "out of memory");
        refuse(s, a, 452, &e);
        return;
    }
    *place = a->rcpt;
    s->tx.local |= answer->verdict == IC_LOCAL;
    smtp_say(s, 250, STATUS(2, 1, 5), STR("recipient ok"));
}

static bool too_many_errors(const struct session *s)
{
    uint64_t max = s->service->config->limits.errors;

    return max && s->errors >= max;
}

/* One reply each, in order, up to the limit of errors. failed: why nobody could be asked. */
static void answer(struct session *s, const struct batch *b, struct ic_rcpt_answer *answers,
    const struct err *failed)
{
    for (uint32_t i = 0; i < b->count && !s->over; i++) {
        struct asked *a = &b->v[i];
        if (i > 0 && too_many_errors(s))
            return; /* the next one is answered with 421 */
        if (failed && !a->verdict)
            refuse(s, a, 451, failed);
        else
            answer_one(s, a, a->verdict ? NULL : answers++);
    }
}

void smtp_rcpt(struct session *s, struct str args)
{
    struct ic_rcpt_answer *answers = NULL;
    struct batch b = {0};
    struct err e;
    int rc = gather(s, args, &b, &e);

    if (rc == 0)
        rc = look_up(s, &b, &answers, &e);
    if (rc < 0)
        e.status = STATUS(4, 3, 0);
    answer(s, &b, answers, rc < 0 ? &e : NULL);
    if (b.read > b.count && !s->over)
        smtp_say_err(s, 451, &e);
}
