#include "cmd/sendmail_message.h"

#include "base/rng.h"
#include "base/timefmt.h"

#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/header.h"

enum {
    ADDRESS_TEXT_MAX = 1024
};

/* Lines of text to content with CRLF; what follows a lone dot is dropped. Header and body alike. */
static int copy_lines(struct sendmail_message *m, struct str text)
{
    struct str line;

    while (text.n) {
        str_cut(&text, '\n', &line);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!m->ignore_dots && str_eq(line, STR(".")))
            break;
        if (buf_put(m->content, line) < 0 || buf_put(m->content, STR("\r\n")) < 0)
            return -1;
    }
    return 0;
}

struct seen {
    bool from, date, message_id;
};

static int take_address(struct sendmail_message *m, const struct address *a, struct err *e)
{
    struct buf local, domain, text;
    int status = 0;

    if (m->rcpts == SENDMAIL_RCPTS_MAX)
        return err_set(e, ERR_PERMANENT, "send", "more than %d recipients in the header fields",
            SENDMAIL_RCPTS_MAX);
    buf_init(&local, ADDRESS_TEXT_MAX);
    buf_init(&domain, ADDRESS_TEXT_MAX);
    buf_init(&text, ADDRESS_TEXT_MAX);
    address_put_local(a, &local);
    address_put_domain(a, &domain);
    if (a->has_domain)
        mailbox_print(buf_str(&local), buf_str(&domain), &text);
    else
        buf_put(&text, buf_str(&local));
    if (!buf_ok(&text) || !buf_ok(&local) || !buf_ok(&domain))
        status = err_set(e, ERR_PERMANENT, "send", "a recipient that is too long");
    else if (!arena_dup(m->arena, buf_str(&text), &m->rcpt[m->rcpts++]))
        status = err_memory(e, "send");
    buf_done(&local);
    buf_done(&domain);
    buf_done(&text);
    return status;
}

int sendmail_recipients(struct sendmail_message *m, struct str value, struct err *e)
{
    struct address_list list = address_list(value);
    struct address a;

    while (address_next(&list, &a)) {
        if (a.kind != ADDRESS_MAILBOX)
            continue;
        /* A name alone is bad to RFC 5322, and a recipient to sendmail(8). */
        if (a.bad && (a.has_domain || a.local.n == 0))
            return err_set(e, ERR_PERMANENT, "send", "a recipient that is no address: %.*s",
                STR_ARG(str_trim(str_head(value, 100))));
        if (take_address(m, &a, e) < 0)
            return -1;
    }
    return 0;
}

/* The header block without Bcc, and what is in it. Returns where the body begins, or -1. */
static ptrdiff_t copy_header(
    struct sendmail_message *m, struct str text, struct seen *seen, struct err *e)
{
    struct header_iter it = header_iter(text);
    struct header_field f;

    while (header_next(&it, &f)) {
        bool rcpt = f.id == HEADER_TO || f.id == HEADER_CC || f.id == HEADER_BCC;
        seen->from |= f.id == HEADER_FROM;
        seen->date |= f.id == HEADER_DATE;
        seen->message_id |= f.id == HEADER_MESSAGE_ID;
        if (rcpt && m->from_headers && sendmail_recipients(m, f.value, e) < 0)
            return -1;
        if (f.id != HEADER_BCC && copy_lines(m, str_sub(text, f.offset, f.length)) < 0)
            return err_memory(e, "send");
    }
    return (ptrdiff_t)it.at;
}

static void add_missing(struct sendmail_message *m, const struct seen *seen)
{
    char date[TIME_RFC5322_SIZE];

    if (!seen->from)
        buf_printf(m->content, "From: %.*s\r\n", STR_ARG(m->from));
    if (!seen->date)
        buf_printf(m->content, "Date: %.*s\r\n", STR_ARG(time_rfc5322(m->now_ms, date)));
    if (!seen->message_id)
        buf_printf(m->content, "Message-ID: <%llx.%016llx@%.*s>\r\n", (unsigned long long)m->now_ms,
            (unsigned long long)rng_u64(), STR_ARG(m->hostname));
}

/* A text whose first line is no field has no header at all, only a body. */
static bool has_header(struct str text)
{
    struct str line, name;
    size_t at;

    str_cut(&text, '\n', &line);
    return header_line(line, &name, &at);
}

int sendmail_prepare(struct sendmail_message *m, struct str text, struct err *e)
{
    struct seen seen = {0};
    ptrdiff_t body = 0;
    struct str line;

    if (str_starts(text, STR("From ")))
        str_cut(&text, '\n', &line);
    m->rcpt = arena_array(m->arena, SENDMAIL_RCPTS_MAX, sizeof *m->rcpt);
    if (!m->rcpt)
        return err_memory(e, "send");
    if (has_header(text) && (body = copy_header(m, text, &seen, e)) < 0)
        return -1;
    add_missing(m, &seen);
    buf_put(m->content, STR("\r\n"));
    copy_lines(m, str_from(text, (size_t)body));
    return buf_ok(m->content) ? 0 : err_memory(e, "send");
}
