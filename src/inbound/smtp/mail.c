/* MAIL: RFC 5321 4.1.1.2. */
#include "inbound/smtp/commands.h"

_Static_assert((int)SMTP_RET_FULL == IC_RET_FULL && (int)SMTP_RET_HDRS == IC_RET_HDRS,
    "RET is passed on as it is");

static void refuse(struct session *s, uint16_t code, struct err *why)
{
    s->refused++;
    log_info(&s->event, EV_MAIL_REFUSED, kv_u64("code", code), kv_err(why));
    smtp_say_err(s, code, why);
}

/* May mail be taken now, and from this client? 0, or the code of the reply and why not. */
static uint16_t check(struct session *s, const struct smtp_mail *m, struct err *e)
{
    uint64_t size_max = s->service->config->limits.message_size;

    if (!s->may_send) { /* RFC 4954 6 */
        err_set_status(e, ERR_PERMANENT, STATUS(5, 7, 0), "smtp", "authentication required");
        return 530;
    }
    if (!smtp_offers_dsn(s) && (m->ret != SMTP_RET_DEFAULT || m->envid.n)) {
        /* RFC 5321 4.1.1.11: what was not offered is not known */
        err_set_status(e, ERR_PERMANENT, STATUS(5, 5, 4), "smtp", "reports are not offered to you");
        return 555;
    }
    if (!core_link_up(s->service->core) || s->service->core->state == IC_BROKEN) {
        err_set_status(e, ERR_TEMPORARY, STATUS(4, 3, 0), "smtp",
            "the server cannot take mail at the moment, try again later");
        return 451;
    }
    if (s->service->core->state == IC_FULL) {
        err_set_status(e, ERR_TEMPORARY, STATUS(4, 3, 1), "smtp", "not enough disk space");
        return 452;
    }
    if (m->has_size && size_max && m->size > size_max) { /* RFC 1870 6.1 */
        err_set_status(e, ERR_PERMANENT, STATUS(5, 3, 4), "smtp",
            "a message may have at most %llu octets", (unsigned long long)size_max);
        return 552;
    }
    return 0;
}

static int begin(struct session *s, const struct smtp_mail *m, struct err *e)
{
    struct transaction *tx = &s->tx;
    struct ic_envelope *envelope = &tx->envelope;

    if (session_readmit(s, e) < 0 || core_new_id(s->service->core, &tx->id, e) < 0)
        return -1;
    tx->generation = s->slot.generation; /* RCPT and the commit fail if the id is of another */
    ic_id_format(tx->id, tx->id_text);
    *envelope = (struct ic_envelope){
        .id = tx->id,
        .smtputf8 = m->smtputf8,
        .eight_bit = m->body == SMTP_BODY_8BITMIME,
        .ret = (enum ic_ret)m->ret,
    };
    if (!arena_dup(&s->mail, m->from.address, &envelope->reverse_path) ||
        !arena_dup(&s->mail, m->envid, &envelope->envid))
        return err_memory(e, "smtp");
    tx->fields[0] = kv_c("id", tx->id_text);
    tx->fields[1] = kv_str("from", envelope->reverse_path);
    tx->event = (struct event){&s->event, tx->fields, 2};
    return 0;
}

void smtp_mail(struct session *s, struct str args)
{
    struct smtp_refusal refusal;
    struct smtp_mail m;
    struct err e;
    uint16_t code;

    if (smtp_mail_parse(args, &m, &refusal) < 0) {
        smtp_say_err(s, refusal.code, &refusal.why);
        return;
    }
    code = check(s, &m, &e);
    if (code == 0 && begin(s, &m, &e) < 0) {
        code = smtp_code_of(&e);
        session_reset(s);
    }
    if (code) {
        refuse(s, code, &e);
        return;
    }
    s->phase = PHASE_MAIL;
    smtp_say(s, 250, STATUS(2, 1, 0), STR("sender ok"));
}
