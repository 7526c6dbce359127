#include "core/own_mail.h"

#include "base/crc32c.h"
#include "base/timefmt.h"

#include "core/core.h"
#include "core/digest_ask.h"
#include "core/message.h"
#include "core/recipients.h"

static struct str received(struct core *c, struct arena *a, uint64_t id)
{
    char text[IC_ID_CHARS + 1], date[TIME_RFC5322_SIZE];

    ic_id_format(id, text);
    return arena_printf(a, "Received: by %.*s (veredus) id %s;\r\n\t%.*s\r\n",
        STR_ARG(c->config->hostname), text, STR_ARG(time_rfc5322(wall_ms(), date)));
}

/* RFC 3461 6.1: nobody hears what becomes of a notification. */
static int fill_envelope(
    struct message *m, struct ic_envelope *given, const struct own_mail *mail, struct err *e)
{
    struct ic_recipient *rcpt = ARENA_NEW(&m->arena, struct ic_recipient);

    if (!rcpt || !arena_dup(&m->arena, mail->recipient, &rcpt->address))
        return err_memory(e, "own_mail");
    rcpt->notify = IC_NOTIFY_NEVER;
    *given = (struct ic_envelope){
        .id = mail->id,
        .smtputf8 = mail->smtputf8,
        .eight_bit = mail->eight_bit,
        .rcpt = rcpt,
        .count = 1,
    };
    return 0;
}

static bool stays_here(const struct message *m)
{
    for (uint32_t i = 0; i < m->envelope.targets; i++)
        if (m->envelope.target[i].kind == TARGET_ACCOUNT)
            return true;
    return false;
}

static int fill(struct core *c, struct message *m, const struct own_mail *mail, struct err *e)
{
    struct ic_commit *commit = &m->commit;

    if (fill_envelope(m, &commit->envelope, mail, e) < 0)
        return -1;
    commit->prefix = received(c, &m->arena, mail->id);
    commit->content_size = mail->content.n;
    commit->content_crc = crc32c(mail->content);
    if (str_empty(commit->prefix) || !arena_dup(&m->arena, mail->content, &commit->content) ||
        !arena_dup(&m->arena, mail->protocol, &commit->protocol))
        return err_memory(e, "own_mail");
    m->envelope.arrived_ms = wall_ms();
    if (recipients_expand_own(c->recipients, &m->arena, &commit->envelope, &m->envelope.target,
            &m->envelope.targets, e) < 0)
        return -1;
    /* Without a digest it is still better delivered than not. */
    if (stays_here(m) && digest_ask(c, commit->content, &m->digest, NULL) == 0)
        commit->digest = buf_str(&m->digest);
    return message_seal(m, NULL, e);
}

int own_mail_make(struct core *c, const struct own_mail *mail, struct message **out, struct err *e)
{
    struct message *m = message_new(STR_NONE);

    if (!m)
        return err_memory(e, "own_mail");
    if (fill(c, m, mail, e) < 0) {
        message_free(m);
        return -1;
    }
    *out = m;
    return 0;
}
