#include "ipc/core_outbound.h"

enum {
    HOST_LEAST = 7,    /* kind, an empty name, port */
    RCPT_LEAST = 13,   /* index, empty address and orcpt, notify */
    REPLY_LEAST = 11,  /* code, status, an empty text */
    RESULT_LEAST = 9,  /* index, verdict, reply */
    FLYING_LEAST = 10, /* id, attempt */
    OUTCOME_LEAST = 10 + 8 + 8 + REPLY_LEAST + RESULT_LEAST,
    NOTIFY_ALL = IC_NOTIFY_NEVER | IC_NOTIFY_SUCCESS | IC_NOTIFY_FAILURE | IC_NOTIFY_DELAY,
};

static int no_memory(struct err *e)
{
    return err_memory(e, "core_outbound");
}

/* The length of an array that is not empty and has at most max elements. */
static void enc_count(struct buf *out, uint32_t count, uint32_t max)
{
    if (count == 0 || count > max)
        out->bad = true;
    enc_u32(out, count);
}

static uint32_t dec_some(struct dec *d, uint32_t max, size_t least)
{
    uint32_t n = dec_count(d, max, least);

    d->bad |= n == 0;
    return d->bad ? 0 : n;
}

/* ---- assignments */

void co_assignment_encode(uint32_t assignment, struct buf *out)
{
    enc_u32(out, assignment);
}

int co_assignment_decode(struct str p, uint32_t *assignment, struct err *e)
{
    struct dec d = dec_of(p);

    *assignment = dec_u32(&d);
    return dec_done(&d, "assignment", e);
}

void co_open_encode(const struct co_open *v, struct buf *out)
{
    enc_u32(out, v->assignment);
    enc_bool(out, v->lmtp);
    enc_bool(out, v->by_mx);
    enc_text(out, v->site, CO_NAME_MAX);
    enc_text(out, v->helo_name, CO_NAME_MAX);
    enc_count(out, v->hosts, CO_HOSTS_MAX);
    for (uint32_t i = 0; i < v->hosts; i++) {
        enc_u8(out, (uint8_t)v->host[i].kind);
        enc_text(out, v->host[i].name, CO_HOST_MAX);
        enc_u16(out, v->host[i].port);
    }
}

int co_open_decode(struct arena *a, struct str p, struct co_open *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct co_open){.assignment = dec_u32(&d)};
    v->lmtp = dec_bool(&d);
    v->by_mx = dec_bool(&d);
    v->site = dec_text(&d, CO_NAME_MAX);
    v->helo_name = dec_text(&d, CO_NAME_MAX);
    v->hosts = dec_some(&d, CO_HOSTS_MAX, HOST_LEAST);
    if (v->hosts && !(v->host = arena_array(a, v->hosts, sizeof *v->host)))
        return no_memory(e);
    for (uint32_t i = 0; i < v->hosts; i++) {
        struct co_host *host = &v->host[i];
        host->kind = (enum co_host_kind)dec_enum(&d, CO_HOST_UNIX);
        host->name = dec_text(&d, CO_HOST_MAX);
        host->port = dec_u16(&d);
        d.bad |= host->name.n == 0;
    }
    return dec_done(&d, "open", e);
}

/* ---- deliveries */

static void rcpt_decode(struct dec *d, struct co_rcpt *v)
{
    v->index = dec_u32(d);
    v->address = dec_text(d, IC_ADDRESS_MAX);
    v->orcpt = dec_text(d, IC_ORCPT_MAX);
    v->notify = dec_u8(d);
    /* RFC 3461 4.1: NEVER stands alone. */
    d->bad |= (v->notify & ~NOTIFY_ALL) || ((v->notify & IC_NOTIFY_NEVER) && v->notify != 1);
}

void co_rcpts_encode(const struct co_rcpt *v, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        enc_u32(out, v[i].index);
        enc_text(out, v[i].address, IC_ADDRESS_MAX);
        enc_text(out, v[i].orcpt, IC_ORCPT_MAX);
        enc_u8(out, v[i].notify);
    }
}

int co_rcpts_decode(
    struct arena *a, struct str p, struct co_rcpt **v, uint32_t *count, struct err *e)
{
    struct dec d = dec_of(p);
    struct co_rcpt one, *all = NULL;
    uint32_t n = 0;

    while (!d.bad && d.rest.n) {
        rcpt_decode(&d, &one);
        d.bad |= ++n > CO_RCPTS_MAX;
    }
    if (d.bad)
        return dec_done(&d, "recipients", e);
    if (n && !(all = arena_array(a, n, sizeof *all)))
        return no_memory(e);
    d = dec_of(p);
    for (uint32_t i = 0; i < n; i++)
        rcpt_decode(&d, &all[i]);
    *v = all;
    *count = n;
    return dec_done(&d, "recipients", e);
}

void co_rcpts_ask_encode(uint32_t assignment, uint32_t from, struct buf *out)
{
    enc_u32(out, assignment);
    enc_u32(out, from);
}

int co_rcpts_ask_decode(struct str p, uint32_t *assignment, uint32_t *from, struct err *e)
{
    struct dec d = dec_of(p);

    *assignment = dec_u32(&d);
    *from = dec_u32(&d);
    return dec_done(&d, "question for recipients", e);
}

static void delivery_encode(const struct co_delivery *v, struct buf *out)
{
    if (v->content.n > CO_INLINE_MAX || v->content.n > v->content_size ||
        v->rcpts > v->rcpts_total || v->rcpts_total > CO_RCPTS_MAX)
        out->bad = true;
    enc_u64(out, v->id);
    enc_u16(out, v->attempt);
    enc_bool(out, v->probe);
    enc_bool(out, v->smtputf8);
    enc_bool(out, v->eight_bit);
    enc_u8(out, (uint8_t)v->ret);
    enc_text(out, v->envid, IC_ENVID_MAX);
    enc_text(out, v->reverse_path, IC_ADDRESS_MAX);
    enc_u64(out, v->content_size);
    enc_str(out, v->prefix);
    enc_str(out, v->content);
    enc_u32(out, v->rcpts_total);
    enc_count(out, v->rcpts, CO_RCPTS_MAX);
    co_rcpts_encode(v->rcpt, v->rcpts, out);
}

static int delivery_decode(struct arena *a, struct dec *d, struct co_delivery *v, struct err *e)
{
    v->id = dec_u64(d);
    v->attempt = dec_u16(d);
    v->probe = dec_bool(d);
    v->smtputf8 = dec_bool(d);
    v->eight_bit = dec_bool(d);
    v->ret = (enum ic_ret)dec_enum(d, IC_RET_HDRS);
    v->envid = dec_text(d, IC_ENVID_MAX);
    v->reverse_path = dec_text(d, IC_ADDRESS_MAX);
    v->content_size = dec_u64(d);
    v->prefix = dec_str(d, d->rest.n);
    v->content = dec_str(d, CO_INLINE_MAX);
    v->rcpts_total = dec_u32(d);
    v->rcpts = dec_some(d, CO_RCPTS_MAX, RCPT_LEAST);
    d->bad |= v->content.n > v->content_size;
    d->bad |= v->rcpts > v->rcpts_total || v->rcpts_total > CO_RCPTS_MAX;
    if (d->bad)
        return 0;
    v->rcpt = arena_array(a, v->rcpts, sizeof *v->rcpt);
    if (!v->rcpt)
        return no_memory(e);
    for (uint32_t i = 0; i < v->rcpts; i++)
        rcpt_decode(d, &v->rcpt[i]);
    return 0;
}

void co_given_encode(const struct co_given *v, struct buf *out)
{
    enc_u8(out, (uint8_t)v->kind);
    if (v->kind == CO_DELIVERY)
        delivery_encode(&v->delivery, out);
}

int co_given_decode(struct arena *a, struct str p, struct co_given *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct co_given){.kind = (enum co_given_kind)dec_enum(&d, CO_END)};
    if (!d.bad && v->kind == CO_DELIVERY && delivery_decode(a, &d, &v->delivery, e) < 0)
        return -1;
    return dec_done(&d, "given", e);
}

void co_read_encode(const struct co_read *v, struct buf *out)
{
    if (v->n == 0 || v->n > CO_READ_MAX)
        out->bad = true;
    enc_u32(out, v->assignment);
    enc_u64(out, v->at);
    enc_u32(out, v->n);
}

int co_read_decode(struct str p, struct co_read *v, struct err *e)
{
    struct dec d = dec_of(p);

    v->assignment = dec_u32(&d);
    v->at = dec_u64(&d);
    v->n = dec_u32(&d);
    d.bad |= v->n == 0 || v->n > CO_READ_MAX;
    return dec_done(&d, "read", e);
}

/* ---- outcomes */

static void reply_encode(const struct co_reply *v, struct buf *out)
{
    enc_u16(out, v->code);
    enc_u8(out, v->status.class);
    enc_u16(out, v->status.subject);
    enc_u16(out, v->status.detail);
    enc_text(out, v->text, CO_TEXT_MAX);
}

static void reply_decode(struct dec *d, struct co_reply *v)
{
    v->code = dec_u16(d);
    v->status.class = dec_u8(d);
    v->status.subject = dec_u16(d);
    v->status.detail = dec_u16(d);
    v->text = dec_text(d, CO_TEXT_MAX);
    d->bad |= v->code > 599 || v->status.class > 5;
    d->bad |= v->status.subject > 999 || v->status.detail > 999;
}

static void outcome_encode(const struct co_outcome *v, struct buf *out)
{
    size_t texts = 0;

    enc_u64(out, v->id);
    enc_u16(out, v->attempt);
    enc_text(out, v->host, CO_HOST_MAX);
    enc_text(out, v->address, CO_HOST_MAX);
    enc_count(out, v->replies, CO_RCPTS_MAX);
    for (uint32_t i = 0; i < v->replies; i++) {
        reply_encode(&v->reply[i], out);
        texts += v->reply[i].text.n;
    }
    if (texts > CO_TEXTS_MAX)
        out->bad = true;
    enc_count(out, v->results, CO_RCPTS_MAX);
    for (uint32_t i = 0; i < v->results; i++) {
        enc_u32(out, v->result[i].index);
        enc_u8(out, (uint8_t)v->result[i].verdict);
        enc_u32(out, v->result[i].reply);
    }
}

static int replies_decode(struct arena *a, struct dec *d, struct co_outcome *v, struct err *e)
{
    size_t texts = 0;

    v->replies = dec_some(d, CO_RCPTS_MAX, REPLY_LEAST);
    if (v->replies && !(v->reply = arena_array(a, v->replies, sizeof *v->reply)))
        return no_memory(e);
    for (uint32_t i = 0; i < v->replies; i++) {
        reply_decode(d, &v->reply[i]);
        texts += v->reply[i].text.n;
    }
    d->bad |= texts > CO_TEXTS_MAX;
    return 0;
}

static int outcome_decode(struct arena *a, struct dec *d, struct co_outcome *v, struct err *e)
{
    *v = (struct co_outcome){.id = dec_u64(d)};
    v->attempt = dec_u16(d);
    v->host = dec_text(d, CO_HOST_MAX);
    v->address = dec_text(d, CO_HOST_MAX);
    if (replies_decode(a, d, v, e) < 0)
        return -1;
    v->results = dec_some(d, CO_RCPTS_MAX, RESULT_LEAST);
    if (v->results && !(v->result = arena_array(a, v->results, sizeof *v->result)))
        return no_memory(e);
    for (uint32_t i = 0; i < v->results; i++) {
        struct co_result *result = &v->result[i];
        result->index = dec_u32(d);
        result->verdict = (enum co_verdict)dec_enum(d, CO_UNTRIED);
        result->reply = dec_u32(d);
        d->bad |= result->reply >= v->replies;
        /* Each once: who is told twice of a recipient would count two. */
        d->bad |= i > 0 && result->index <= v->result[i - 1].index;
    }
    return 0;
}

void co_outcome_encode(const struct co_outcome *v, struct buf *out)
{
    outcome_encode(v, out);
}

int co_outcome_decode(struct arena *a, struct str p, struct co_outcome *v, struct err *e)
{
    struct dec d = dec_of(p);

    if (outcome_decode(a, &d, v, e) < 0)
        return -1;
    return dec_done(&d, "outcome", e);
}

void co_next_encode(const struct co_next *v, struct buf *out)
{
    enc_u32(out, v->assignment);
    enc_bool(out, v->greeted);
    enc_text(out, v->host, CO_HOST_MAX);
    enc_text(out, v->address, CO_HOST_MAX);
    enc_u32(out, v->messages_max);
    enc_u32(out, v->rcpts_max);
    enc_bool(out, v->has_outcome);
    if (v->has_outcome)
        outcome_encode(&v->outcome, out);
}

int co_next_decode(struct arena *a, struct str p, struct co_next *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct co_next){.assignment = dec_u32(&d)};
    v->greeted = dec_bool(&d);
    v->host = dec_text(&d, CO_HOST_MAX);
    v->address = dec_text(&d, CO_HOST_MAX);
    v->messages_max = dec_u32(&d);
    v->rcpts_max = dec_u32(&d);
    v->has_outcome = dec_bool(&d);
    if (v->has_outcome && outcome_decode(a, &d, &v->outcome, e) < 0)
        return -1;
    return dec_done(&d, "next", e);
}

void co_closed_encode(const struct co_closed *v, struct buf *out)
{
    enc_u32(out, v->assignment);
    enc_u8(out, (uint8_t)v->end);
    if (v->end != CO_ENDED_DONE)
        reply_encode(&v->why, out);
    enc_text(out, v->host, CO_HOST_MAX);
    enc_text(out, v->address, CO_HOST_MAX);
    enc_text(out, v->tried, CO_TRIED_TEXT_MAX);
    enc_bool(out, v->has_outcome);
    if (v->has_outcome)
        outcome_encode(&v->outcome, out);
}

int co_closed_decode(struct arena *a, struct str p, struct co_closed *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct co_closed){.assignment = dec_u32(&d)};
    v->end = (enum co_end)dec_enum(&d, CO_ENDED_LOST);
    if (v->end != CO_ENDED_DONE)
        reply_decode(&d, &v->why);
    v->host = dec_text(&d, CO_HOST_MAX);
    v->address = dec_text(&d, CO_HOST_MAX);
    v->tried = dec_text(&d, CO_TRIED_TEXT_MAX);
    v->has_outcome = dec_bool(&d);
    if (v->has_outcome && outcome_decode(a, &d, &v->outcome, e) < 0)
        return -1;
    return dec_done(&d, "closed", e);
}

/* ---- what is on its way */

static void flying_decode(struct dec *d, struct co_flying *v)
{
    v->id = dec_u64(d);
    v->attempt = dec_u16(d);
}

void co_confirm_encode(const struct co_flying *v, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        enc_u64(out, v[i].id);
        enc_u16(out, v[i].attempt);
    }
}

static int flyings_decode(
    struct arena *a, struct dec *d, struct co_flying **v, uint32_t count, struct err *e)
{
    struct co_flying *all = NULL;

    if (count && !(all = arena_array(a, count, sizeof *all)))
        return no_memory(e);
    for (uint32_t i = 0; i < count; i++)
        flying_decode(d, &all[i]);
    *v = all;
    return 0;
}

int co_confirm_decode(
    struct arena *a, struct str p, struct co_flying **v, uint32_t *count, struct err *e)
{
    struct dec d = dec_of(p);

    *count = (uint32_t)(p.n / FLYING_LEAST);
    if (flyings_decode(a, &d, v, *count, e) < 0)
        return -1;
    return dec_done(&d, "confirm", e);
}

void co_attach_encode(const struct co_attach *v, struct buf *out)
{
    if (v->outcomes > CO_OUTCOMES_MAX)
        out->bad = true;
    enc_bool(out, v->last);
    enc_bool(out, v->late);
    enc_u32(out, v->outcomes);
    for (uint32_t i = 0; i < v->outcomes; i++)
        outcome_encode(&v->outcome[i], out);
    enc_u32(out, v->flyings);
    co_confirm_encode(v->flying, v->flyings, out);
}

int co_attach_decode(struct arena *a, struct str p, struct co_attach *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct co_attach){.last = dec_bool(&d)};
    v->late = dec_bool(&d);
    v->outcomes = dec_count(&d, CO_OUTCOMES_MAX, OUTCOME_LEAST);
    if (v->outcomes && !(v->outcome = arena_array(a, v->outcomes, sizeof *v->outcome)))
        return no_memory(e);
    for (uint32_t i = 0; i < v->outcomes && !d.bad; i++)
        if (outcome_decode(a, &d, &v->outcome[i], e) < 0)
            return -1;
    v->flyings = dec_count(&d, UINT32_MAX, FLYING_LEAST);
    if (flyings_decode(a, &d, &v->flying, v->flyings, e) < 0)
        return -1;
    return dec_done(&d, "attach", e);
}
