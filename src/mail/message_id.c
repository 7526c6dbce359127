#include "mail/message_id.h"

#include "mail/lex.h"

static bool put_id(struct str s, struct buf *out)
{
    size_t start = buf_len(out);
    for (size_t i = 0; i < s.n; i++)
        if (!mail_is(s.p[i], CHAR_WSP) && !ascii_control(s.p[i]))
            buf_put_c(out, s.p[i]);
    return buf_ok(out) && buf_len(out) > start;
}

bool message_id_next(struct str *field, struct buf *out)
{
    struct str inner;
    while (field->n > 0) {
        char c = field->p[0];
        if (c == '(') {
            lex_comment(field, &inner);
        } else if (c == '"') {
            lex_quoted(field, &inner);
        } else if (c == '<') {
            size_t n = 1;
            while (n < field->n && field->p[n] != '>' && field->p[n] != '<')
                n++;
            struct str id = str_sub(*field, 1, n - 1);
            bool closed = n < field->n && field->p[n] == '>';
            *field = str_from(*field, closed ? n + 1 : n);
            if (closed && id.n <= MESSAGE_ID_MAX && put_id(id, out))
                return true;
        } else {
            *field = str_from(*field, 1);
        }
    }
    return false;
}

bool message_id_parse(struct str field, struct buf *out)
{
    struct str rest = field;
    if (message_id_next(&rest, out))
        return true;
    field = str_trim(field);
    if (field.n == 0 || field.n > MESSAGE_ID_MAX || str_find(field, '<') >= 0 ||
        str_find(field, '>') >= 0)
        return false;
    for (size_t i = 0; i < field.n; i++)
        if (mail_is(field.p[i], CHAR_WSP))
            return false;
    return put_id(field, out);
}
