/* The part for people: what happened, to whom, what the other server said, what can be done. */
#include "base/timefmt.h"

#include "mail/dsn_int.h"
#include "mail/header.h"
#include "mail/rfc2047.h"

enum {
    RCPTS_SHOWN = 100, /* the others are told of in the second part only */
    REPLY_LINES_SHOWN = 10,
    SUBJECT_SHOWN = 200
};

struct intro {
    struct str one, many;
};

static const struct intro intros[] = {
    [DSN_FAILED] = {STR_INIT("Your message could not be delivered to the recipient below. No "
                             "further attempt will be made."),
        STR_INIT("Your message could not be delivered to the recipients below. No further attempt "
                 "will be made.")},
    [DSN_DELAYED] = {STR_INIT("Your message has not reached the recipient below yet. It is still "
                              "being tried: you need not send it again."),
        STR_INIT("Your message has not reached the recipients below yet. It is still being tried: "
                 "you need not send it again.")},
    [DSN_DELIVERED] = {STR_INIT("Your message was delivered to the recipient below."),
        STR_INIT("Your message was delivered to the recipients below.")},
    [DSN_RELAYED] = {STR_INIT("Your message was passed on for the recipient below, to a server "
                              "that does not report whether it delivers."),
        STR_INIT("Your message was passed on for the recipients below, to servers that do not "
                 "report whether they deliver.")},
    [DSN_EXPANDED] = {STR_INIT("Your message was accepted for the address below and sent on to "
                               "those who stand behind it. There is no report for each of them."),
        STR_INIT("Your message was accepted for the addresses below and sent on to those who "
                 "stand behind them. There is no report for each of them.")},
};

uint16_t dsn_reply_code(const struct dsn_rcpt *r)
{
    uint64_t code;
    return str_to_u64(str_head(r->reply, 3), 599, &code) && code >= 200 ? (uint16_t)code : 0;
}

static void put_line(struct buf *out, struct str line)
{
    buf_put(out, line);
    buf_put(out, STR("\r\n"));
}

static void put_labelled(struct buf *out, const char *label, struct str text)
{
    char clean[DSN_WORDS_CUT];
    struct buf line;
    buf_init(&line, 2 * sizeof clean);
    buf_printf(&line, "%s%.*s", label, STR_ARG(dsn_clean(clean, sizeof clean, text, true)));
    dsn_put_wrapped(out, STR("    "), buf_str(&line));
    buf_done(&line);
}

static void put_date(struct buf *out, const char *label, int64_t ms)
{
    char date[TIME_RFC5322_SIZE];
    if (ms > 0)
        put_labelled(out, label, time_rfc5322(ms, date));
}

static void put_reply(struct buf *out, const struct dsn_rcpt *r)
{
    char host[DSN_HOST_CUT], ip[DSN_HOST_CUT], text[DSN_REPLY_CUT];
    struct str name = dsn_clean(host, sizeof host, r->remote_host, true);
    struct str address = dsn_clean(ip, sizeof ip, r->remote_ip, true);
    struct str rest = str_head(r->reply, DSN_REPLY_CUT), line;
    if (name.n > 0 && address.n > 0)
        buf_printf(out, "    %.*s [%.*s] said:\r\n", STR_ARG(name), STR_ARG(address));
    else if (name.n > 0 || address.n > 0)
        buf_printf(out, "    %.*s said:\r\n", STR_ARG(name.n > 0 ? name : address));
    else
        put_line(out, STR("    The other server said:"));
    for (int i = 0; i < REPLY_LINES_SHOWN && rest.n > 0; i++) {
        str_cut(&rest, '\n', &line);
        dsn_put_wrapped(out, STR("        "), dsn_clean(text, sizeof text, str_trim(line), true));
    }
}

/* Why, and what can be done: asked of the table where the caller had no words of its own. */
static void put_why(struct buf *out, const struct dsn_rcpt *r)
{
    struct err_status status = dsn_status(r);
    bool over = r->kind == DSN_FAILED && status.class == 4;
    if (over)
        status.class = 5; /* what to do now, not what we did until now */
    struct dsn_words words = dsn_explain(status, dsn_reply_code(r));
    if (r->why.n > 0)
        words.why = r->why;
    if (r->advice.n > 0)
        words.advice = r->advice;
    put_labelled(out, "", words.why);
    if (over)
        put_line(out, STR("    It was tried until the time for it was over."));
    if (r->kind == DSN_FAILED && words.advice.n > 0)
        put_labelled(out, "What you can do: ", words.advice);
}

static void put_recipient(struct buf *out, const struct dsn_rcpt *r)
{
    char address[DSN_ADDRESS_CUT];
    struct str clean = dsn_clean(address, sizeof address, r->address, true);
    bool trouble = r->kind == DSN_FAILED || r->kind == DSN_DELAYED;
    buf_printf(out, "\r\n<%.*s>\r\n", STR_ARG(clean));
    if (trouble || r->why.n > 0)
        put_why(out, r);
    if (r->kind == DSN_DELAYED)
        put_date(out, "It will be tried until ", r->until_ms);
    if (r->reply.n > 0 && r->kind != DSN_EXPANDED)
        put_reply(out, r);
    else if (r->error.n > 0)
        put_labelled(out, "Details: ", r->error);
}

static void put_recipients(const struct dsn *d, enum dsn_kind kind, struct buf *out)
{
    size_t of = 0, shown = 0;
    for (size_t i = 0; i < d->rcpt_count; i++)
        of += d->rcpts[i].kind == kind;
    if (of == 0)
        return;
    buf_put(out, STR("\r\n"));
    dsn_put_wrapped(out, STR_NONE, of == 1 ? intros[kind].one : intros[kind].many);
    for (size_t i = 0; i < d->rcpt_count && shown < RCPTS_SHOWN; i++) {
        if (d->rcpts[i].kind == kind) {
            put_recipient(out, &d->rcpts[i]);
            shown++;
        }
    }
    if (shown < of)
        buf_printf(out, "\r\nand %zu more, who are in the report's second part.\r\n", of - shown);
}

static struct str find_field(const struct dsn *d, struct str name)
{
    struct header_iter it = header_iter(d->header);
    struct header_field f;
    return header_find(&it, name, &f) ? f.value : STR_NONE;
}

/* So that its sender knows which one it was. */
static void put_message(const struct dsn *d, struct buf *out)
{
    struct str subject = find_field(d, STR("Subject"));
    struct buf text;
    buf_init(&text, SUBJECT_SHOWN);
    rfc2047_decode(str_head(subject, 8 * SUBJECT_SHOWN), SUBJECT_SHOWN, &text);
    put_line(out, STR(""));
    put_line(out, STR("The message:"));
    if (buf_len(&text) > 0)
        put_labelled(out, "Subject: ", str_trim(buf_str(&text)));
    put_date(out, "Accepted: ", d->arrived_ms);
    buf_done(&text);
}

void dsn_put_people(const struct dsn *d, bool whole, struct buf *out)
{
    char host[DSN_HOST_CUT], from[DSN_ADDRESS_CUT];
    buf_printf(out, "This is the mail system at %.*s.\r\n",
        STR_ARG(dsn_clean(host, sizeof host, d->host, true)));
    for (int kind = DSN_FAILED; kind <= DSN_EXPANDED; kind++)
        put_recipients(d, (enum dsn_kind)kind, out);
    put_message(d, out);
    put_line(out, STR(""));
    put_line(out, whole ? STR("It is attached. The part before it tells the same to programs.")
                        : STR("Its header is attached. The part before it tells the same to "
                              "programs."));
    buf_printf(out, "If you need help, write to <%.*s>.\r\n",
        STR_ARG(dsn_clean(from, sizeof from, d->from, true)));
}
