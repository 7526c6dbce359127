#include "core/envelope.h"

enum {
    ADDRESS_MAX = 1024,
    NAME_MAX_OCTETS = 4096,
    TARGET_LEAST = 17, /* kind, given, account, empty address */
    CUT_SIZE = 16,
};

void envelope_encode(const struct envelope *v, struct buf *out)
{
    struct buf rcpt;

    enc_u8(out, ENVELOPE_VERSION);
    enc_u64(out, (uint64_t)v->arrived_ms);
    enc_u64(out, v->given.id);
    enc_str(out, v->given.reverse_path);
    enc_bool(out, v->given.smtputf8);
    enc_bool(out, v->given.eight_bit);
    enc_u8(out, (uint8_t)v->given.ret);
    enc_str(out, v->given.envid);
    buf_init(&rcpt, ENVELOPE_MAX);
    ic_recipients_encode(v->given.rcpt, v->given.count, &rcpt);
    enc_str(out, buf_str(&rcpt));
    if (!buf_ok(&rcpt))
        out->bad = true;
    buf_done(&rcpt);
    enc_str(out, v->client);
    enc_str(out, v->helo);
    enc_str(out, v->protocol);
    enc_u32(out, v->targets);
    for (uint32_t i = 0; i < v->targets; i++) {
        enc_u8(out, (uint8_t)v->target[i].kind);
        enc_u32(out, v->target[i].given);
        enc_u64(out, v->target[i].account);
        enc_str(out, v->target[i].address);
    }
    enc_u32(out, v->cuts);
    for (uint32_t i = 0; i < 2 * v->cuts; i++)
        enc_u64(out, v->cut[i]);
}

static int decode_targets(struct arena *a, struct dec *d, struct envelope *v, struct err *e)
{
    v->targets = dec_count(d, ENVELOPE_TARGETS_MAX, TARGET_LEAST);
    v->target = arena_array(a, v->targets, sizeof *v->target);
    if (!v->target)
        return err_memory(e, "envelope");
    for (uint32_t i = 0; i < v->targets; i++) {
        struct target *t = &v->target[i];
        uint8_t kind = dec_u8(d);
        t->kind = kind == TARGET_ACCOUNT ? TARGET_ACCOUNT : TARGET_ADDRESS;
        t->given = dec_u32(d);
        t->account = dec_u64(d);
        t->address = dec_str(d, ADDRESS_MAX);
        d->bad |= kind > TARGET_ADDRESS || t->given >= v->given.count;
    }
    v->cuts = dec_count(d, ENVELOPE_CUTS_MAX, CUT_SIZE);
    v->cut = arena_array(a, v->cuts, CUT_SIZE);
    if (!v->cut)
        return err_memory(e, "envelope");
    for (uint32_t i = 0; i < 2 * v->cuts; i++)
        v->cut[i] = dec_u64(d);
    return 0;
}

int envelope_decode(struct arena *a, struct str text, struct envelope *v, struct err *e)
{
    struct dec d = dec_of(text);
    struct str rcpt;
    uint8_t ret;

    *v = (struct envelope){0};
    if (dec_u8(&d) != ENVELOPE_VERSION)
        return err_set(e, ERR_PERMANENT, "envelope", "an envelope of an unknown version");
    v->arrived_ms = (int64_t)dec_u64(&d);
    v->given.id = dec_u64(&d);
    v->given.reverse_path = dec_str(&d, ADDRESS_MAX);
    v->given.smtputf8 = dec_bool(&d);
    v->given.eight_bit = dec_bool(&d);
    ret = dec_u8(&d);
    d.bad |= ret > IC_RET_HDRS;
    v->given.ret = (enum ic_ret)ret;
    v->given.envid = dec_str(&d, NAME_MAX_OCTETS);
    rcpt = dec_str(&d, ENVELOPE_MAX);
    if (!d.bad && ic_recipients_decode(a, rcpt, &v->given.rcpt, &v->given.count, e) < 0)
        return -1;
    v->client = dec_str(&d, NAME_MAX_OCTETS);
    v->helo = dec_str(&d, NAME_MAX_OCTETS);
    v->protocol = dec_str(&d, NAME_MAX_OCTETS);
    if (decode_targets(a, &d, v, e) < 0)
        return -1;
    return dec_done(&d, "envelope", e);
}

int envelope_all_local(struct str text, bool *all)
{
    struct dec d = dec_of(text);
    uint32_t targets;
    bool every = true;

    dec_u8(&d);
    dec_u64(&d);
    dec_u64(&d);
    dec_str(&d, ADDRESS_MAX);
    dec_bool(&d);
    dec_bool(&d);
    dec_u8(&d);
    dec_str(&d, NAME_MAX_OCTETS);
    dec_str(&d, ENVELOPE_MAX);
    for (int i = 0; i < 3; i++)
        dec_str(&d, NAME_MAX_OCTETS);
    targets = dec_count(&d, ENVELOPE_TARGETS_MAX, TARGET_LEAST);
    for (uint32_t i = 0; i < targets && every && !d.bad; i++) {
        every = dec_u8(&d) == TARGET_ACCOUNT;
        dec_u32(&d);
        dec_u64(&d);
        dec_str(&d, ADDRESS_MAX);
    }
    if (d.bad)
        return -1;
    *all = every;
    return 0;
}
