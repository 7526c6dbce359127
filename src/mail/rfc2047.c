#include "mail/rfc2047.h"

#include "base/utf8.h"

#include "mail/charset.h"
#include "mail/lex.h"
#include "mail/transfer.h"

enum {
    CHARSET_MAX = 64
};

struct word {
    struct str charset, text;
    bool base64;
};

struct decoder {
    struct buf *out;
    size_t left;        /* octets of UTF-8 that may still come out */
    struct buf octets;  /* of words that are adjacent and of one charset */
    struct str charset; /* theirs */
    struct buf scratch;
    bool failed; /* there was no memory */
};

void rfc2047_put_printable(struct str utf8, struct buf *out)
{
    char *p = buf_reserve(out, utf8.n);
    size_t n = 0;
    if (!p)
        return;
    for (size_t i = 0; i < utf8.n; i++) {
        bool c1 = utf8.p[i] == '\xc2' && i + 1 < utf8.n && (unsigned char)utf8.p[i + 1] < 0xa0;
        p[n++] = c1 || ascii_control(utf8.p[i]) ? ' ' : utf8.p[i];
        i += c1;
    }
    buf_advance(out, n);
}

static void put_converted(struct decoder *d, struct str charset, struct str octets)
{
    if (d->left == 0 || octets.n == 0)
        return;
    buf_clear(&d->scratch);
    d->scratch.max = d->left;
    d->failed |= charset_to_utf8(charset, octets, d->left, &d->scratch) < 0;
    d->left -= buf_len(&d->scratch);
    rfc2047_put_printable(buf_str(&d->scratch), d->out);
}

static void flush_words(struct decoder *d)
{
    put_converted(d, d->charset, buf_str(&d->octets));
    d->failed |= !buf_ok(&d->octets);
    buf_clear(&d->octets);
}

/* Text that is in no word: a fold, with the white space around it, is one space to people. */
static void put_plain(struct decoder *d, struct str text)
{
    while (text.n > 0) {
        size_t n = 0, end;
        while (n < text.n && text.p[n] != '\r' && text.p[n] != '\n')
            n++;
        for (end = n; n < text.n && end > 0 && mail_is(text.p[end - 1], CHAR_WSP);)
            end--;
        put_converted(d, STR_NONE, str_head(text, end));
        if (n == text.n)
            return;
        put_converted(d, STR_NONE, STR(" "));
        text = str_trim_left(str_from(text, n));
    }
}

static bool all_space(struct str s)
{
    lex_skip_space(&s);
    return s.n == 0;
}

/* s starts with "=?". *used is what has been looked at: the word, or text that is none. */
static bool take_word(struct str s, struct word *w, size_t *used)
{
    struct str rest = str_from(s, 2);
    w->charset = lex_run(&rest, CHAR_TOKEN);
    *used = 2;
    if (w->charset.n == 0 || w->charset.n > CHARSET_MAX || rest.n < 3 || rest.p[0] != '?' ||
        rest.p[2] != '?' || !memchr("qQbB", rest.p[1], 4))
        return false;
    w->base64 = ascii_lower(rest.p[1]) == 'b';
    rest = str_from(rest, 3);
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] != '?')
            continue;
        if (i + 1 < rest.n && rest.p[i + 1] == '=') {
            w->text = str_head(rest, i);
            *used = s.n - rest.n + i + 2;
            return true;
        }
        if (i > 0 && rest.p[i - 1] == '=') { /* another begins: this one has no end */
            *used = s.n - rest.n + i - 1;
            return false;
        }
    }
    *used = s.n;
    return false;
}

static int hex_value(char c)
{
    if (ascii_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 2047 4.2; a fold within the word is none of it */
static void put_q(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n') {
            while (i + 1 < s.n && mail_is(s.p[i + 1], CHAR_WSP))
                i++;
        } else if (s.p[i] == '=' && i + 2 < s.n && hex_value(s.p[i + 1]) >= 0 &&
                   hex_value(s.p[i + 2]) >= 0) {
            buf_put_c(out, (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2])));
            i += 2;
        } else {
            buf_put_c(out, s.p[i] == '_' ? ' ' : s.p[i]);
        }
    }
}

static void put_word(struct decoder *d, const struct word *w)
{
    struct str charset = w->charset, rest = charset;
    str_cut(&rest, '*', &charset); /* RFC 2231 5: a language may follow */
    if (!str_eq_ascii(charset, d->charset))
        flush_words(d);
    d->charset = charset;
    if (w->base64)
        transfer_decode(MIME_BASE64, w->text, &d->octets);
    else
        put_q(w->text, &d->octets);
}

static void decode_all(struct decoder *d, struct str value)
{
    bool after_word = false;
    size_t plain = 0; /* where the text that is not yet written starts */
    for (size_t i = 0; i < value.n && d->left > 0;) {
        ptrdiff_t at = str_find_str(str_from(value, i), STR("=?"));
        if (at < 0)
            break;
        struct word w;
        size_t start = i + (size_t)at, used;
        bool found = take_word(str_from(value, start), &w, &used);
        i = start + used;
        if (!found)
            continue;
        struct str between = str_sub(value, plain, start - plain);
        if (!(after_word && all_space(between))) {
            flush_words(d);
            put_plain(d, between);
        }
        put_word(d, &w);
        after_word = true;
        plain = i;
    }
    flush_words(d);
    put_plain(d, str_from(value, plain));
}

int rfc2047_decode(struct str value, size_t max, struct buf *out)
{
    struct decoder d = {.out = out, .left = max};
    value = str_trim(value);
    buf_init(&d.octets, value.n + 4);
    buf_init(&d.scratch, max);
    if (str_find_str(value, STR("=?")) < 0)
        put_plain(&d, value);
    else
        decode_all(&d, value);
    bool ok = !d.failed && buf_ok(out);
    buf_done(&d.octets);
    buf_done(&d.scratch);
    out->bad |= !ok;
    return ok ? 0 : -1;
}
