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

/* "from NAME ([ADDRESS])" and a line end; nothing for a local program, which is no host. A name
 * that is no domain cannot stand where one belongs, so it becomes a comment. */
static void put_from(const struct session *s, struct buf *out)
{
    const char *tag = strchr(s->client, ':') ? "IPv6:" : "";

    if (s->peer.any.sa_family == AF_UNIX)
        return;
    if (s->strict_helo)
        buf_printf(out, "from %.*s ([%s%s])\r\n\t", STR_ARG(s->helo), tag, s->client);
    else
        buf_printf(out, "from [%s%s] (helo=%.*s)\r\n\t", tag, s->client, STR_ARG(s->helo));
}

struct str trace_prefix(struct session *s)
{
    const struct ic_envelope *envelope = &s->tx.envelope;
    struct str host = s->service->config->hostname, result;
    char date[TIME_RFC5322_SIZE];

    buf_clear(&s->request);
    buf_put(&s->request, STR("Received: "));
    put_from(s, &s->request);
    buf_printf(&s->request, "by %.*s ", STR_ARG(host));
    if (s->peer.any.sa_family == AF_UNIX)
        buf_printf(&s->request, "(%s) ", s->client);
    buf_printf(&s->request, "with %.*s id %s", STR_ARG(trace_protocol(s)), s->tx.id_text);
    /* RFC 5321 7.6: naming one of several recipients would disclose it to the others. */
    if (envelope->count == 1)
        buf_printf(&s->request, "\r\n\tfor <%.*s>", STR_ARG(envelope->rcpt[0].address));
    buf_printf(&s->request, ";\r\n\t%.*s\r\n", STR_ARG(time_rfc5322(wall_ms(), date)));
    if (!buf_ok(&s->request) || !arena_dup(&s->mail, buf_str(&s->request), &result))
        return STR_NONE;
    return result;
}
