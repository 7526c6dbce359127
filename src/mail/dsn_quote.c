/* The original as it is quoted: lines of CRLF that no transport breaks. */
#include "mail/dsn_int.h"

enum {
    LINE_MAX_QUOTED = 990 /* RFC 5321 4.5.3.1.6 has 998; with a dot doubled it is less */
};

struct quote {
    struct buf *out;
    size_t column;
    bool cr; /* the last octet taken was a CR, which has ended the line */
};

static void end_line(struct quote *q)
{
    buf_put(q->out, STR("\r\n"));
    q->column = 0;
}

static void put_run(struct quote *q, struct str run)
{
    while (run.n > 0) {
        if (q->column == LINE_MAX_QUOTED)
            end_line(q);
        struct str piece = str_head(run, LINE_MAX_QUOTED - q->column);
        buf_put(q->out, piece);
        q->column += piece.n;
        run = str_from(run, piece.n);
    }
}

static void put_quoted(struct quote *q, struct str s)
{
    while (s.n > 0 && buf_ok(q->out)) {
        size_t n = 0;
        while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n' && s.p[n] != '\0')
            n++;
        put_run(q, str_head(s, n));
        q->cr &= n == 0;
        if (n < s.n && s.p[n] == '\0')
            put_run(q, STR("?")); /* RFC 2045 2.7: no NUL */
        else if (n < s.n && !(s.p[n] == '\n' && q->cr))
            end_line(q);
        q->cr = n < s.n && s.p[n] == '\r';
        s = str_from(s, n + 1);
    }
}

bool dsn_returns_body(const struct dsn *d)
{
    size_t most = d->content_max ? d->content_max : DSN_CONTENT_MAX;
    bool failed = false;
    for (size_t i = 0; i < d->rcpt_count; i++)
        failed |= d->rcpts[i].kind == DSN_FAILED;
    if (!failed || d->ret == DSN_RET_HDRS || d->body.n > most)
        return false;
    return d->prefix.n + d->header.n + d->body.n + 2 >=
           d->size; /* perhaps without the empty line */
}

void dsn_put_original(const struct dsn *d, bool whole, struct buf *out)
{
    struct quote q = {.out = out};
    struct str prefix = str_head(d->prefix, DSN_HEADER_MAX);
    struct str header = str_head(d->header, DSN_HEADER_MAX - prefix.n);
    while (header.n > 0 && (header.p[header.n - 1] == '\n' || header.p[header.n - 1] == '\r'))
        header.n--;
    put_quoted(&q, prefix);
    put_quoted(&q, header);
    if (q.column > 0)
        end_line(&q);
    q.cr = false;
    if (whole) {
        end_line(&q);
        put_quoted(&q, d->body);
    }
}
