#include "core/queue/report_text.h"

#include "base/timefmt.h"

#include "mail/xtext.h"

enum dsn_kind report_dsn_kind(enum report_kind kind)
{
    static const enum dsn_kind kinds[] = {
        [REPORT_DELIVERED] = DSN_DELIVERED,
        [REPORT_RELAYED] = DSN_RELAYED,
        [REPORT_FAILED] = DSN_FAILED,
        [REPORT_DELAYED] = DSN_DELAYED,
        [REPORT_EXPANDED] = DSN_EXPANDED,
    };

    return kinds[kind];
}

/* Whom an alias led elsewhere is known to the sender by the address that he gave (RFC 3461 4.2). */
static struct str original_of(
    struct arena *a, const struct ic_recipient *given, const struct target *target)
{
    struct buf b;
    struct str s;

    if (!str_empty(given->orcpt) || str_eq(given->address, target->address))
        return given->orcpt;
    buf_init(&b, 4 * IC_ADDRESS_MAX);
    buf_put(&b, STR("rfc822;"));
    xtext_encode(given->address, &b);
    if (!buf_ok(&b) || !arena_dup(a, buf_str(&b), &s))
        s = STR_NONE;
    buf_done(&b);
    return s;
}

static bool has_status(struct str text)
{
    return text.n >= 5 && ascii_digit(text.p[0]) && text.p[1] == '.' && ascii_digit(text.p[2]);
}

static struct str reply_of(struct arena *a, const struct report_rcpt *r)
{
    if (r->code == 0)
        return STR_NONE;
    if (has_status(r->text) || r->status.class == 0)
        return arena_printf(a, "%u %.*s", r->code, STR_ARG(r->text));
    return arena_printf(a, "%u %u.%u.%u %.*s", r->code, r->status.class, r->status.subject,
        r->status.detail, STR_ARG(r->text));
}

static void fill_rcpt(
    struct arena *a, const struct envelope *v, const struct report_rcpt *r, struct dsn_rcpt *out)
{
    const struct target *target = &v->target[r->index];

    *out = (struct dsn_rcpt){
        .kind = report_dsn_kind(r->kind),
        .address = target->address,
        .orcpt = original_of(a, &v->given.rcpt[target->given], target),
        .status = r->status,
        .remote_host = r->host,
        .remote_ip = r->address,
        .reply = reply_of(a, r),
        .error = r->code ? STR_NONE : r->text,
        .attempt_ms = r->when_ms,
        .until_ms = r->until_ms,
    };
}

/* ---- the original */

struct original {
    struct buf prefix, content;
    struct str header, body;
};

static void read_content(struct spool *spool, uint64_t id, uint64_t n, struct buf *out)
{
    char *p = buf_reserve(out, n);
    size_t got = 0;

    if (p && spool_read(spool, id, SPOOL_CONTENT, 0, p, n, &got, NULL) == 0)
        buf_advance(out, got);
}

/* The empty line belongs to the header. */
static void split(struct original *o)
{
    struct str all = buf_str(&o->content);
    ptrdiff_t end = str_find_str(all, STR("\r\n\r\n"));

    if (str_starts(all, STR("\r\n")))
        end = -2;
    else if (end < 0)
        end = (ptrdiff_t)all.n - 4;
    o->header = str_head(all, (size_t)(end + 4));
    o->body = str_from(all, (size_t)(end + 4));
}

static bool is_body_wanted(
    const struct config *config, const struct report *what, const struct report_selection *s)
{
    bool failed = false;

    for (uint32_t i = 0; i < s->count; i++)
        failed |= s->rcpt[i]->kind == REPORT_FAILED;
    return failed && what->envelope->given.ret != IC_RET_HDRS && config->dsn.quote > 0;
}

static uint64_t read_original(const struct report_text *t, const struct report *what,
    const struct report_selection *s, struct original *o)
{
    struct spool_found found;
    uint64_t n = DSN_HEADER_MAX;

    buf_init(&o->prefix, DSN_HEADER_MAX);
    buf_init(&o->content, DSN_HEADER_MAX + t->config->dsn.quote);
    if (!spool_find(t->spool, what->id, &found))
        return 0;
    if (is_body_wanted(t->config, what, s) && found.content <= t->config->dsn.quote)
        n = found.content;
    spool_load(t->spool, what->id, SPOOL_PREFIX, &o->prefix, NULL);
    read_content(t->spool, what->id, n < found.content ? n : found.content, &o->content);
    split(o);
    if (buf_len(&o->content) < found.content)
        o->body = STR_NONE;
    return found.content + found.prefix;
}

static int build(struct arena *a, const struct report_text *t, const struct report *what,
    const struct report_selection *s, struct dsn *d, struct buf *out, struct dsn_form *form,
    struct err *e)
{
    struct dsn_rcpt *rcpt = arena_array(a, s->count, sizeof *rcpt);

    if (!rcpt)
        return err_memory(e, "report");
    for (uint32_t i = 0; i < s->count; i++)
        fill_rcpt(a, what->envelope, s->rcpt[i], &rcpt[i]);
    d->host = t->config->hostname;
    d->from_name = STR("Mail Delivery System");
    d->from = t->from;
    d->recipient = t->recipient;
    d->id = t->id;
    d->now_ms = wall_ms();
    d->arrived_ms = what->envelope->arrived_ms;
    d->envid = what->envelope->given.envid;
    d->rcpts = rcpt;
    d->rcpt_count = s->count;
    d->ret = (enum dsn_ret)what->envelope->given.ret;
    d->content_max = t->config->dsn.quote;
    d->smtputf8 = what->envelope->given.smtputf8;
    return dsn_build(d, out, form, e);
}

int report_text(struct arena *a, const struct report_text *t, const struct report *what,
    const struct report_selection *s, struct buf *out, struct dsn_form *form, struct err *e)
{
    struct original o = {0};
    struct dsn d = {0};
    int rc;

    d.size = read_original(t, what, s, &o);
    d.prefix = buf_str(&o.prefix);
    d.header = o.header;
    d.body = o.body;
    rc = build(a, t, what, s, &d, out, form, e);
    buf_done(&o.prefix);
    buf_done(&o.content);
    return rc;
}
