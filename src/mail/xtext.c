#include "mail/xtext.h"

static const char hex[] = "0123456789ABCDEF";

/* RFC 3461 4: xchar */
static bool is_xchar(char c)
{
    return c >= '!' && c <= '~' && c != '+' && c != '=';
}

/* RFC 3461 4: hexchar takes upper case only. -1 for anything else. */
static int hex_value(char c)
{
    if (ascii_digit(c))
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Takes one octet off *s; -1 where there is no xtext. */
static int take(struct str *s)
{
    size_t n = 1;
    int octet;

    if (s->p[0] == '+') {
        if (s->n < 3 || hex_value(s->p[1]) < 0 || hex_value(s->p[2]) < 0)
            return -1;
        octet = hex_value(s->p[1]) << 4 | hex_value(s->p[2]);
        n = 3;
    } else if (is_xchar(s->p[0])) {
        octet = s->p[0];
    } else {
        return -1;
    }
    *s = str_from(*s, n);
    return octet;
}

bool xtext_valid(struct str s)
{
    while (!str_empty(s))
        if (take(&s) < 0)
            return false;
    return true;
}

bool xtext_printable(struct str s)
{
    while (!str_empty(s)) {
        int octet = take(&s);
        if (octet < 32 || octet > 126)
            return false;
    }
    return true;
}

bool xtext_no_control(struct str s)
{
    while (!str_empty(s)) {
        int octet = take(&s);
        if (octet < 32 || octet == 127)
            return false;
    }
    return true;
}

int xtext_decode(struct str s, struct buf *out)
{
    size_t before = buf_len(out);

    while (!str_empty(s)) {
        int octet = take(&s);
        if (octet < 0 || buf_put_c(out, (char)octet) < 0) {
            buf_truncate(out, before);
            return -1;
        }
    }
    return 0;
}

int xtext_encode(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_xchar(s.p[i])) {
            buf_put_c(out, s.p[i]);
        } else {
            buf_put_c(out, '+');
            buf_put_c(out, hex[c >> 4]);
            buf_put_c(out, hex[c & 15]);
        }
    }
    return buf_ok(out) ? 0 : -1;
}
