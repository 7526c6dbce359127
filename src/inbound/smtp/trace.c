/* The Received field: RFC 5321 4.4, RFC 3848, RFC 6531 4.3. */
#include "base/timefmt.h"

#include "inbound/smtp/session.h"

struct str trace_protocol(const struct session *s)
{
    bool utf8 = s->tx.envelope.smtputf8;

    if (session_is_lmtp(s))
        return utf8 ? STR("UTF8LMTP") : STR("LMTP");
    if (utf8)
        return STR("UTF8SMTP");
    return s->esmtp ? STR("ESMTP") : STR("SMTP");
}

static void put_address(const struct session *s, struct buf *out)
{
    buf_put(out, strchr(s->client, ':') ? STR("[IPv6:") : STR("["));
    buf_put(out, str_c(s->client));
    buf_put_c(out, ']');
}

/* "from NAME ([ADDRESS])" and a line end; nothing for a local program, which is no host. A name
 * that is no domain cannot stand where one belongs, so it becomes a comment. */
static void put_from(const struct session *s, struct buf *out)
{
    if (s->peer.any.sa_family == AF_UNIX)
        return;
    buf_put(out, STR("from "));
    if (s->strict_helo) {
        buf_put(out, s->helo);
        buf_put(out, STR(" ("));
        put_address(s, out);
    } else {
        put_address(s, out);
        buf_put(out, STR(" (helo="));
        buf_put(out, s->helo);
    }
    buf_put(out, STR(")\r\n\t"));
}

static void put_by(const struct session *s, struct buf *out)
{
    buf_put(out, STR("by "));
    buf_put(out, s->service->config->hostname);
    if (s->peer.any.sa_family == AF_UNIX) {
        buf_put(out, STR(" ("));
        buf_put(out, str_c(s->client));
        buf_put_c(out, ')');
    }
    buf_put(out, STR(" with "));
    buf_put(out, trace_protocol(s));
    buf_put(out, STR(" id "));
    buf_put(out, str_c(s->tx.id_text));
}

struct str trace_prefix(struct session *s)
{
    const struct ic_envelope *envelope = &s->tx.envelope;
    struct buf *out = &s->request;
    struct str result;
    char date[TIME_RFC5322_SIZE];

    buf_clear(out);
    buf_put(out, STR("Received: "));
    put_from(s, out);
    put_by(s, out);
    /* RFC 5321 7.6: naming one of several recipients would disclose it to the others. */
    if (envelope->count == 1) {
        buf_put(out, STR("\r\n\tfor <"));
        buf_put(out, envelope->rcpt[0].address);
        buf_put_c(out, '>');
    }
    buf_put(out, STR(";\r\n\t"));
    buf_put(out, time_rfc5322(wall_ms(), date));
    buf_put(out, STR("\r\n"));
    if (!buf_ok(out) || !arena_dup(&s->mail, buf_str(out), &result))
        return STR_NONE;
    return result;
}
