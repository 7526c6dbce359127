#include "mail/lex.h"

static bool take_until(struct str *s, size_t end, bool closed, struct str *inner)
{
    *inner = str_sub(*s, 1, end - 1);
    *s = str_from(*s, closed ? end + 1 : end);
    return closed;
}

bool lex_comment(struct str *s, struct str *inner)
{
    size_t depth = 0, i = 0;
    for (; i < s->n; i++) {
        char c = s->p[i];
        if (c == '\\' && i + 1 < s->n)
            i++;
        else if (c == '(')
            depth++;
        else if (c == ')' && --depth == 0)
            return take_until(s, i, true, inner);
    }
    return take_until(s, s->n, false, inner);
}

bool lex_quoted(struct str *s, struct str *inner)
{
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '\\' && i + 1 < s->n)
            i++;
        else if (s->p[i] == '"')
            return take_until(s, i, true, inner);
    }
    return take_until(s, s->n, false, inner);
}

bool lex_skip_cfws(struct str *s)
{
    struct str inner;
    for (;;) {
        lex_skip_space(s);
        if (s->n == 0 || s->p[0] != '(')
            return true;
        if (!lex_comment(s, &inner))
            return false;
    }
}

struct str lex_run(struct str *s, unsigned classes)
{
    size_t n = 0;
    while (n < s->n && mail_is(s->p[n], classes))
        n++;
    struct str run = str_head(*s, n);
    *s = str_from(*s, n);
    return run;
}

void lex_put_unescaped(struct str inner, struct buf *out)
{
    for (size_t i = 0; i < inner.n; i++) {
        char c = inner.p[i];
        if (c == '\r' || c == '\n')
            continue;
        if (c == '\\' && i + 1 < inner.n && inner.p[i + 1] != '\r' && inner.p[i + 1] != '\n')
            c = inner.p[++i];
        buf_put_c(out, c ? c : ' ');
    }
}
