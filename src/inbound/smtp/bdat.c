/* BDAT: RFC 3030 2. The octets of a chunk follow whatever the server thinks of the command: they
 * are read in any case, or the session ends (hostile.md 25, 26). */
#include <stdio.h>

#include "inbound/smtp/commands.h"

/* How many octets are read only to be dropped. */
static uint64_t swallow_max(const struct session *s)
{
    uint64_t size_max = s->service->config->limits.message_size;

    return size_max && size_max < UINT64_MAX / 2 ? 2 * size_max : UINT64_MAX;
}

/* The chunk is not wanted; the reply is given by the caller. */
static bool swallow(struct session *s, const struct smtp_bdat *b)
{
    struct err e;

    if (content_swallow(s, b->size, &e) == 0)
        return true;
    session_fail(s, &e);
    return false;
}

static void refuse(struct session *s, bool last)
{
    if (last)
        smtp_refuse_message(s);
    else
        smtp_refuse_early(s);
}

static bool begin(struct session *s, const struct smtp_bdat *b)
{
    struct smtp_verdict v;

    if (content_begin(s, false, &v) == 0) {
        s->phase = PHASE_CHUNKS;
        return true;
    }
    if (!swallow(s, b))
        return false;
    content_refuse(&s->tx.content, v.code, &v.why);
    refuse(s, b->last);
    return false;
}

/* RFC 2033 4.3: in LMTP a last chunk has as many replies as there are recipients, which may be
 * none. */
static void no_recipients(struct session *s, const struct smtp_bdat *b)
{
    if (session_is_lmtp(s) && s->phase >= PHASE_MAIL && b->last)
        s->junk++;
    else
        (void)smtp_in_order(s, NEEDS_HELLO | NEEDS_MAIL | NEEDS_RCPT);
}

void smtp_bdat(struct session *s, struct str args)
{
    struct smtp_refusal refusal;
    struct smtp_bdat b;
    char text[64];
    struct err e;

    if (smtp_bdat_parse(args, &b, &refusal) < 0) {
        session_end_with(s, refusal.code, refusal.why.status, refusal.why.text, "broken BDAT");
        return;
    }
    if (b.size > swallow_max(s)) {
        session_end_with(
            s, 552, STATUS(5, 3, 4), "the chunk is too large to skip it", "BDAT too large");
        return;
    }
    if (s->phase < PHASE_MAIL || s->tx.envelope.count == 0) {
        if (swallow(s, &b))
            no_recipients(s, &b);
        return;
    }
    if (s->phase != PHASE_CHUNKS && !begin(s, &b))
        return;
    session_note(s, NOTE_CONTENT);
    if (content_read_chunk(s, b.size, b.last, &e) < 0) {
        session_fail(s, &e);
    } else if (s->tx.content.verdict.why.class != ERR_NONE) {
        refuse(s, b.last);
    } else if (b.last) {
        smtp_commit(s);
    } else {
        snprintf(text, sizeof text, "%llu octets received", (unsigned long long)b.size);
        smtp_say(s, 250, STATUS(2, 0, 0), str_c(text));
    }
}
