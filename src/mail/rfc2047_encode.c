#include "base/base64.h"
#include "base/utf8.h"

#include "mail/chars.h"
#include "mail/charset.h"
#include "mail/rfc2047.h"

enum {
    LINE = 76,      /* RFC 2047 2: a line with an encoded word */
    WORD_TEXT = 63, /* 75 without =?utf-8?q? and ?= */
    WORD_OVERHEAD = 12,
    LEAST_ON_LINE = 12 /* a first word that is shorter moves to the next line */
};

static bool word_needs(struct str word)
{
    for (size_t i = 0; i < word.n; i++)
        if ((word.p[i] & 0x80) || ascii_control(word.p[i]))
            return true;
    return str_find_str(word, STR("=?")) >= 0;
}

/* The range from the first to the last word that has to be encoded; empty: none has. */
static struct str range_to_encode(struct str text)
{
    size_t first = text.n, last = 0;
    for (size_t i = 0; i < text.n;) {
        size_t end = i;
        while (end < text.n && text.p[end] != ' ')
            end++;
        if (word_needs(str_sub(text, i, end - i))) {
            first = i < first ? i : first;
            last = end;
        }
        i = end + 1;
    }
    return first < last ? str_sub(text, first, last - first) : STR_NONE;
}

/* RFC 2047 4.2 and 5 (3): what stands for itself in a phrase, and so anywhere. */
static bool q_plain(char c)
{
    return ascii_alnum(c) || c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
}

static size_t q_size(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += q_plain(s.p[i]) || s.p[i] == ' ' ? 1 : 3;
    return n;
}

static void put_q_word(struct str s, struct buf *out)
{
    buf_put(out, STR("=?utf-8?q?"));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ' ')
            buf_put_c(out, '_');
        else if (q_plain(s.p[i]))
            buf_put_c(out, s.p[i]);
        else
            buf_printf(out, "=%02X", (unsigned char)s.p[i]);
    }
    buf_put(out, STR("?="));
}

/* Octets at the front of s that make one word of at most `room` characters: whole characters. */
static size_t word_octets(struct str s, bool base64, size_t room)
{
    struct str rest = s;
    while (rest.n > 0) {
        struct str before = rest;
        utf8_next(&rest);
        struct str so_far = str_head(s, s.n - rest.n);
        if ((base64 ? base64_encoded_size(so_far.n) : q_size(so_far)) > room)
            return s.n - before.n;
    }
    return s.n;
}

static void put_words(struct str s, size_t column, struct buf *out)
{
    /* quoted-printable can be read by people, so it may be half as long again */
    bool base64 = 3 * base64_encoded_size(s.n) < 2 * q_size(s);
    size_t room =
        column + WORD_OVERHEAD + LEAST_ON_LINE <= LINE ? LINE - column - WORD_OVERHEAD : 0;
    if (room > WORD_TEXT)
        room = WORD_TEXT;
    while (s.n > 0 && buf_ok(out)) {
        size_t n = room ? word_octets(utf8_head(s, room + 3), base64, room) : 0;
        if (n > 0) {
            struct str part = str_head(s, n);
            if (base64) {
                buf_put(out, STR("=?utf-8?b?"));
                base64_encode(part, out);
                buf_put(out, STR("?="));
            } else {
                put_q_word(part, out);
            }
        }
        s = str_from(s, n);
        if (s.n > 0)
            buf_put(out, STR("\r\n "));
        room = WORD_TEXT;
    }
}

/* Words that stand for themselves, folded where a line would pass 78 characters, but not beside a
 * second space: what is left of a fold is one. */
static size_t put_plain_words(struct str s, size_t column, struct buf *out)
{
    bool after_space = false;
    while (s.n > 0 && buf_ok(out)) {
        size_t n = s.p[0] == ' ' ? 1 : 0;
        while (n < s.n && s.p[n] != ' ')
            n++;
        if (s.p[0] == ' ' && n > 1 && column + n > 78 && !after_space) {
            buf_put(out, STR("\r\n"));
            column = 0;
        }
        after_space = n == 1 && s.p[0] == ' ';
        buf_put(out, str_head(s, n));
        column += n;
        s = str_from(s, n);
    }
    return column;
}

static bool is_atoms(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!mail_is(s.p[i], CHAR_ATEXT) && s.p[i] != ' ')
            return false;
    return true;
}

static void put_quoted(struct str s, struct buf *out)
{
    buf_put_c(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_put_c(out, '\\');
        buf_put_c(out, s.p[i]);
    }
    buf_put_c(out, '"');
}

static void encode_clean(struct str s, enum rfc2047_place place, size_t column, struct buf *out)
{
    struct str range = range_to_encode(s);
    if (place == RFC2047_PHRASE) {
        if (range.n > 0)
            put_words(s, column, out);
        else if (is_atoms(s))
            put_plain_words(s, column, out);
        else
            put_quoted(s, out);
        return;
    }
    if (range.n == 0) {
        put_plain_words(s, column, out);
        return;
    }
    size_t before = (size_t)(range.p - s.p), end = before + range.n;
    while (before > 1 && s.p[before - 1] == ' ' && s.p[before - 2] == ' ')
        before--; /* of several spaces, a fold would leave one */
    range = str_sub(s, before, end - before);
    column = put_plain_words(str_head(s, before), column, out);
    put_words(range, column, out);
    put_plain_words(str_from(s, before + range.n), LINE, out);
}

int rfc2047_encode(struct str text, enum rfc2047_place place, size_t column, struct buf *out)
{
    struct buf utf8, clean;
    buf_init(&utf8, 3 * text.n + 4);
    buf_init(&clean, 3 * text.n + 4);
    charset_to_utf8(STR("utf-8"), text, 3 * text.n + 4, &utf8);
    rfc2047_put_printable(buf_str(&utf8), &clean);
    bool ok = buf_ok(&utf8) && buf_ok(&clean);
    if (ok)
        encode_clean(buf_str(&clean), place, column, out);
    buf_done(&utf8);
    buf_done(&clean);
    return ok && buf_ok(out) ? 0 : -1;
}
