#include "ipc/inbound_core.h"

static const char ID_DIGITS[] = "0123456789abcdefghijklmnopqrstuvwxyz";

enum {
    RCPT_LEAST = 4,      /* an empty address */
    RECIPIENT_LEAST = 9, /* empty address and orcpt, notify */
    CUT_LEAST = 16,
    NOTIFY_ALL = IC_NOTIFY_NEVER | IC_NOTIFY_SUCCESS | IC_NOTIFY_FAILURE | IC_NOTIFY_DELAY,
};

void ic_lease_encode(const struct ic_lease *v, struct buf *out)
{
    enc_u64(out, v->base);
}

int ic_lease_decode(struct str p, struct ic_lease *v, struct err *e)
{
    struct dec d = dec_of(p);

    v->base = dec_u64(&d);
    d.bad |= (v->base & ((1U << IC_LEASE_BITS) - 1)) != 0;
    return dec_done(&d, "lease", e);
}

void ic_admit_encode(const struct ic_admit *v, struct buf *out)
{
    buf_put(out, str_of((const char *)v->address, sizeof v->address));
    enc_u16(out, v->listener);
}

int ic_admit_decode(struct str p, struct ic_admit *v, struct err *e)
{
    struct dec d = dec_of(p);

    for (size_t i = 0; i < sizeof v->address; i++)
        v->address[i] = dec_u8(&d);
    v->listener = dec_u16(&d);
    return dec_done(&d, "admit", e);
}

void ic_admitted_encode(const struct ic_admitted *v, struct buf *out)
{
    enc_bool(out, v->ok);
    if (v->ok) {
        enc_u32(out, v->slot);
        enc_u8(out, (uint8_t)v->right);
    } else {
        enc_err(out, &v->why);
    }
}

int ic_admitted_decode(struct str p, struct ic_admitted *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct ic_admitted){.ok = dec_bool(&d)};
    if (v->ok) {
        v->slot = dec_u32(&d);
        v->right = (enum ic_right)dec_enum(&d, IC_TRUSTED);
    } else {
        dec_err(&d, &v->why);
    }
    d.bad |= !v->ok && v->why.class == ERR_NONE;
    return dec_done(&d, "admitted", e);
}

void ic_rcpt_encode(const struct ic_rcpt *v, struct buf *out)
{
    if (v->count == 0 || v->count > IC_RCPT_BATCH_MAX)
        out->bad = true;
    enc_u32(out, v->slot);
    enc_text(out, v->reverse_path, IC_ADDRESS_MAX);
    enc_u32(out, v->count);
    for (uint32_t i = 0; i < v->count; i++)
        enc_text(out, v->address[i], IC_ADDRESS_MAX);
}

int ic_rcpt_decode(struct arena *a, struct str p, struct ic_rcpt *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct ic_rcpt){.slot = dec_u32(&d)};
    v->reverse_path = dec_text(&d, IC_ADDRESS_MAX);
    v->count = dec_count(&d, IC_RCPT_BATCH_MAX, RCPT_LEAST);
    d.bad |= v->count == 0;
    if (!d.bad) {
        v->address = arena_array(a, v->count, sizeof *v->address);
        if (!v->address)
            return err_memory(e, "inbound_core");
        for (uint32_t i = 0; i < v->count; i++)
            v->address[i] = dec_text(&d, IC_ADDRESS_MAX);
    }
    return dec_done(&d, "rcpt", e);
}

void ic_rcpt_answer_encode(const struct ic_rcpt_answer *v, struct buf *out)
{
    enc_u8(out, (uint8_t)v->verdict);
    if (v->verdict == IC_REFUSED)
        enc_err(out, &v->why);
}

static void rcpt_answer_decode(struct dec *d, struct ic_rcpt_answer *v)
{
    *v = (struct ic_rcpt_answer){.verdict = (enum ic_verdict)dec_enum(d, IC_REFUSED)};
    if (v->verdict == IC_REFUSED) {
        dec_err(d, &v->why);
        d->bad |= v->why.class == ERR_NONE;
    }
}

int ic_rcpt_answers_decode(
    struct arena *a, struct str p, struct ic_rcpt_answer **v, uint32_t *count, struct err *e)
{
    struct dec d = dec_of(p);
    struct ic_rcpt_answer one, *all;
    uint32_t n = 0;

    while (!d.bad && d.rest.n) {
        rcpt_answer_decode(&d, &one);
        d.bad |= ++n > IC_RCPT_BATCH_MAX;
    }
    d.bad |= n == 0;
    if (d.bad)
        return dec_done(&d, "rcpt answers", e);
    all = arena_array(a, n, sizeof *all);
    if (!all)
        return err_memory(e, "inbound_core");
    d = dec_of(p);
    for (uint32_t i = 0; i < n; i++)
        rcpt_answer_decode(&d, &all[i]);
    *v = all;
    *count = n;
    return dec_done(&d, "rcpt answers", e);
}

void ic_put_encode_head(const struct ic_put *v, struct buf *out)
{
    if (v->upload == 0 || v->octets.n > IC_PUT_MAX)
        out->bad = true;
    enc_u32(out, v->upload);
    enc_u8(out, (uint8_t)v->part);
    enc_u32(out, (uint32_t)v->octets.n);
}

void ic_put_encode(const struct ic_put *v, struct buf *out)
{
    ic_put_encode_head(v, out);
    buf_put(out, v->octets);
}

int ic_put_decode(struct str p, struct ic_put *v, struct err *e)
{
    struct dec d = dec_of(p);

    v->upload = dec_u32(&d);
    v->part = (enum ic_part)dec_enum(&d, IC_DIGEST);
    v->octets = dec_str(&d, IC_PUT_MAX);
    d.bad |= v->upload == 0;
    return dec_done(&d, "put", e);
}

void ic_recipients_encode(const struct ic_recipient *v, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        enc_text(out, v[i].address, IC_ADDRESS_MAX);
        enc_text(out, v[i].orcpt, IC_ORCPT_MAX);
        enc_u8(out, v[i].notify);
    }
}

static void recipient_decode(struct dec *d, struct ic_recipient *v)
{
    v->address = dec_text(d, IC_ADDRESS_MAX);
    v->orcpt = dec_text(d, IC_ORCPT_MAX);
    v->notify = dec_u8(d);
    /* RFC 3461 4.1: NEVER stands alone. */
    d->bad |= (v->notify & ~NOTIFY_ALL) || ((v->notify & IC_NOTIFY_NEVER) && v->notify != 1);
}

int ic_recipients_decode(
    struct arena *a, struct str p, struct ic_recipient **v, uint32_t *count, struct err *e)
{
    struct dec d = dec_of(p);
    struct ic_recipient one, *all = NULL;
    uint32_t n = 0;

    while (!d.bad && d.rest.n) {
        recipient_decode(&d, &one);
        d.bad |= ++n > IC_RECIPIENTS_MAX;
    }
    if (d.bad)
        return dec_done(&d, "recipients", e);
    d = dec_of(p);
    if (n && !(all = arena_array(a, n, sizeof *all)))
        return err_memory(e, "inbound_core");
    for (uint32_t i = 0; i < n; i++)
        recipient_decode(&d, &all[i]);
    *v = all;
    *count = n;
    return dec_done(&d, "recipients", e);
}

static void envelope_encode(const struct ic_envelope *v, struct buf *out)
{
    enc_u64(out, v->id);
    enc_text(out, v->reverse_path, IC_ADDRESS_MAX);
    enc_bool(out, v->smtputf8);
    enc_bool(out, v->eight_bit);
    enc_u8(out, (uint8_t)v->ret);
    enc_text(out, v->envid, IC_ENVID_MAX);
    enc_u32(out, v->count);
    ic_recipients_encode(v->rcpt, v->count, out);
}

static int envelope_decode(struct arena *a, struct dec *d, struct ic_envelope *v, struct err *e)
{
    v->id = dec_u64(d);
    v->reverse_path = dec_text(d, IC_ADDRESS_MAX);
    v->smtputf8 = dec_bool(d);
    v->eight_bit = dec_bool(d);
    v->ret = (enum ic_ret)dec_enum(d, IC_RET_HDRS);
    v->envid = dec_text(d, IC_ENVID_MAX);
    v->count = dec_count(d, IC_RECIPIENTS_MAX, RECIPIENT_LEAST);
    if (v->count && !(v->rcpt = arena_array(a, v->count, sizeof *v->rcpt)))
        return err_memory(e, "inbound_core");
    for (uint32_t i = 0; i < v->count; i++)
        recipient_decode(d, &v->rcpt[i]);
    return 0;
}

void ic_commit_encode_head(const struct ic_commit *v, struct buf *out)
{
    enc_u32(out, v->upload);
    envelope_encode(&v->envelope, out);
    enc_u32(out, v->slot);
    enc_text(out, v->client, IC_NAME_MAX);
    enc_text(out, v->helo, IC_NAME_MAX);
    enc_text(out, v->protocol, IC_NAME_MAX);
    enc_str(out, v->prefix);
    if (v->content.n > UINT32_MAX)
        out->bad = true;
    enc_u32(out, (uint32_t)v->content.n);
}

void ic_commit_encode_tail(const struct ic_commit *v, struct buf *out)
{
    if (v->cuts > IC_CUTS_MAX)
        out->bad = true;
    enc_str(out, v->digest);
    enc_u64(out, v->content_size);
    enc_u32(out, v->content_crc);
    enc_u32(out, v->cuts);
    for (uint32_t i = 0; i < v->cuts; i++) {
        enc_u64(out, v->cut[2 * i]);
        enc_u64(out, v->cut[2 * i + 1]);
    }
}

void ic_commit_encode(const struct ic_commit *v, struct buf *out)
{
    ic_commit_encode_head(v, out);
    buf_put(out, v->content);
    ic_commit_encode_tail(v, out);
}

static int cuts_decode(struct arena *a, struct dec *d, struct ic_commit *v, struct err *e)
{
    uint64_t end = 0;

    v->cuts = dec_count(d, IC_CUTS_MAX, CUT_LEAST);
    if (v->cuts && !(v->cut = arena_array(a, 2 * (size_t)v->cuts, sizeof *v->cut)))
        return err_memory(e, "inbound_core");
    for (uint32_t i = 0; i < v->cuts; i++) {
        uint64_t at = dec_u64(d), octets = dec_u64(d);
        d->bad |= octets == 0 || at < end || at > v->content_size || octets > v->content_size - at;
        v->cut[2 * i] = at;
        v->cut[2 * i + 1] = octets;
        end = at + octets;
    }
    return 0;
}

int ic_commit_decode(struct arena *a, struct str p, struct ic_commit *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct ic_commit){.upload = dec_u32(&d)};
    if (envelope_decode(a, &d, &v->envelope, e) < 0)
        return -1;
    v->slot = dec_u32(&d);
    v->client = dec_text(&d, IC_NAME_MAX);
    v->helo = dec_text(&d, IC_NAME_MAX);
    v->protocol = dec_text(&d, IC_NAME_MAX);
    v->prefix = dec_str(&d, p.n);
    v->content = dec_str(&d, p.n);
    v->digest = dec_str(&d, p.n);
    v->content_size = dec_u64(&d);
    v->content_crc = dec_u32(&d);
    if (cuts_decode(a, &d, v, e) < 0)
        return -1;
    /* What was not PUT must be here. */
    d.bad |= v->content_size < v->content.n;
    d.bad |= v->upload == 0 && (v->content_size != v->content.n || v->envelope.count == 0);
    return dec_done(&d, "commit", e);
}

void ic_id_format(uint64_t id, char out[IC_ID_CHARS + 1])
{
    out[IC_ID_CHARS] = '\0';
    for (int i = IC_ID_CHARS; i-- > 0; id /= 36)
        out[i] = ID_DIGITS[id % 36];
}

bool ic_id_parse(struct str text, uint64_t *id)
{
    uint64_t v = 0;

    if (text.n != IC_ID_CHARS)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        unsigned digit;
        if (ascii_digit(c))
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'z')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        /* 13 digits hold more than 64 bits. */
        if (__builtin_mul_overflow(v, 36, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *id = v;
    return true;
}
