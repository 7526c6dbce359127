/* Header fields in ASCII: encoded words (RFC 2047), extended parameters (RFC 2231). */
#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "mail/downgrade_int.h"
#include "mail/lex.h"

enum {
    WORD_OCTETS = 39, /* in Base 64, with =?unknown-8bit?b??=, less than the 75 of RFC 2047 2 */
    FOLD_AT = 76,
    SECTION_CHARS = 54, /* of a parameter's section */
    PARAM_NAME_MAX = 64,
    PARAMS_MAX = 100,
    PARAMS_MEMORY = 256 << 10
};

struct field {
    struct buf *out;
    size_t column;
};

static void put(struct field *f, struct str s)
{
    buf_put(f->out, s);
    f->column += s.n;
}

/* White space that is already there becomes part of a fold where the next n do not fit. */
static void put_space(struct field *f, struct str space, size_t n)
{
    if (f->column + space.n + n > FOLD_AT && f->column > 1) {
        buf_put(f->out, STR("\r\n"));
        f->column = 0;
    }
    put(f, space.n > 0 ? space : STR(" "));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool has_eight(struct str s)
{
    return downgrade_count_eight(s) > 0;
}

/* RFC 1428: a charset that is known not to be known */
static struct str charset_of(struct str s)
{
    return utf8_valid(s) ? STR("utf-8") : STR("unknown-8bit");
}

/* The first word stands where the line is. */
static void put_encoded_words(struct field *f, struct str text)
{
    struct str charset = charset_of(text);
    for (bool first = true; text.n > 0 && buf_ok(f->out); first = false) {
        struct str piece = utf8_head(text, WORD_OCTETS);
        if (piece.n == 0 || charset.n > 5)
            piece = str_head(text, WORD_OCTETS);
        if (!first)
            put_space(f, STR(" "), FOLD_AT);
        put(f, STR("=?"));
        put(f, charset);
        put(f, STR("?b?"));
        base64_encode(piece, f->out);
        f->column += base64_encoded_size(piece.n);
        put(f, STR("?="));
        text = str_from(text, piece.n);
    }
}

/* ---- text */

/* A word of unstructured text, or of a phrase, where a quoted string is one. */
static struct str take_word(struct str *s, bool quotes)
{
    struct str before = *s, inner;
    if (quotes && s->p[0] == '"') {
        lex_quoted(s, &inner);
    } else {
        while (s->n > 0 && !is_blank(s->p[0]) && !(quotes && s->p[0] == '"'))
            *s = str_from(*s, 1);
    }
    return str_head(before, before.n - s->n);
}

static struct str take_blanks(struct str *s)
{
    struct str before = *s;
    while (s->n > 0 && is_blank(s->p[0]))
        *s = str_from(*s, 1);
    return str_head(before, before.n - s->n);
}

static bool is_encoded_word(struct str word)
{
    return str_starts(word, STR("=?")) && str_ends(word, STR("?="));
}

/* An encoded word by "Q" that somebody left octets above 127 in. */
static bool is_torn(struct str word)
{
    struct str rest = str_from(word, 2), charset, encoding;
    return is_encoded_word(word) && has_eight(word) && str_cut(&rest, '?', &charset) &&
           !has_eight(charset) && str_cut(&rest, '?', &encoding) &&
           str_eq_ascii(encoding, STR("q"));
}

/* A word that stays: what is torn is mended. */
static void put_word(struct field *f, struct str word)
{
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] & 0x80)
            buf_printf(f->out, "=%02X", (unsigned)(unsigned char)word.p[i]);
        else
            buf_put_c(f->out, word.p[i]);
    }
    f->column += word.n;
}

/* What the run of words means: quoted strings without their quotes. */
static void put_meaning(struct str run, bool quotes, struct buf *out)
{
    while (run.n > 0) {
        struct str blanks = take_blanks(&run), inner;
        buf_put(out, blanks);
        if (run.n == 0)
            break;
        struct str word = take_word(&run, quotes);
        if (quotes && word.p[0] == '"' && lex_quoted(&word, &inner))
            lex_put_unescaped(inner, out);
        else
            buf_put(out, word);
    }
}

/* The words at the front of *s that become one run of encoded words: from one with octets above 127
 * to the last such that follows with no other between. */
static struct str take_run(struct str *s, bool quotes)
{
    struct str start = *s;
    take_word(s, quotes);
    for (;;) {
        struct str rest = *s;
        take_blanks(&rest);
        struct str word = rest.n > 0 ? take_word(&rest, quotes) : STR_NONE;
        if (!has_eight(word) || is_torn(word))
            return str_head(start, start.n - s->n);
        *s = rest;
    }
}

/* Text of which some words have octets above 127. White space between two encoded words is nothing
 * (RFC 2047 6.2), so beside one that was there before it goes into ours. */
static void put_text(struct field *f, struct str s, bool quotes)
{
    struct buf meaning;
    bool after_encoded = false;
    while (s.n > 0 && buf_ok(f->out)) {
        struct str blanks = take_blanks(&s), peek = s;
        if (s.n == 0)
            break;
        struct str word = take_word(&peek, quotes);
        if (!has_eight(word) || is_torn(word)) {
            s = peek;
            put_space(f, blanks, word.n);
            put_word(f, word);
            after_encoded = is_encoded_word(word);
            continue;
        }
        struct str run = take_run(&s, quotes), after = s, next_blanks = take_blanks(&after);
        buf_init(&meaning, blanks.n + run.n + next_blanks.n);
        if (after_encoded)
            buf_put(&meaning, blanks);
        put_meaning(run, quotes, &meaning);
        if (after.n > 0 && is_encoded_word(take_word(&after, quotes)))
            buf_put(&meaning, next_blanks);
        put_space(f, blanks, 40);
        put_encoded_words(f, buf_str(&meaning));
        f->out->bad |= !buf_ok(&meaning);
        buf_done(&meaning);
        after_encoded = true;
    }
}

/* ---- addresses */

/* What stands between two delimiters of an address field. name: it is a display name or that of a
 * group; otherwise it is an address. */
static int put_region(struct field *f, struct str region, bool name)
{
    if (has_eight(region)) {
        if (!name)
            return DOWNGRADE_NO_ADDRESS;
        put_text(f, region, true);
    } else if (str_trim(region).n > 0) {
        struct str blanks = take_blanks(&region);
        region = str_trim(region);
        put_space(f, blanks, region.n);
        put(f, region);
    }
    return 0;
}

/* RFC 2047 5 (2): encoded words within a comment, apart from its parentheses */
static void put_comment(struct field *f, struct str whole, struct str inner)
{
    if (!has_eight(whole)) {
        put_space(f, STR(" "), whole.n);
        put(f, whole);
        return;
    }
    struct buf plain;
    buf_init(&plain, inner.n);
    for (size_t i = 0; i < inner.n; i++)
        buf_put_c(&plain,
            inner.p[i] == '(' || inner.p[i] == ')' || inner.p[i] == '\\' ? ' ' : inner.p[i]);
    put_space(f, STR(" "), 40);
    put(f, STR("("));
    put_text(f, str_trim(buf_str(&plain)), false);
    put(f, STR(")"));
    f->out->bad |= !buf_ok(&plain);
    buf_done(&plain);
}

/* "<...>": nothing in it can be encoded. */
static int put_angle(struct field *f, struct str *s)
{
    ptrdiff_t end = str_find(*s, '>');
    struct str angle = str_head(*s, end < 0 ? s->n : (size_t)end + 1);
    *s = str_from(*s, angle.n);
    if (has_eight(angle))
        return DOWNGRADE_NO_ADDRESS;
    put_space(f, STR_NONE, angle.n);
    put(f, angle);
    return 0;
}

/* The octets in front of the next delimiter; quoted strings are passed over. */
static struct str take_region(struct str *s)
{
    struct str before = *s, inner;
    while (s->n > 0) {
        if (s->p[0] == '"')
            lex_quoted(s, &inner);
        else if (memchr("(<,:;", s->p[0], 5))
            break;
        else
            *s = str_from(*s, 1);
    }
    return str_head(before, before.n - s->n);
}

/* RFC 5322 3.4 */
static int put_addresses(struct field *f, struct str s)
{
    int result = 0;
    while (s.n > 0 && result == 0 && buf_ok(f->out)) {
        struct str region = take_region(&s), inner;
        char c = s.n > 0 ? s.p[0] : '\0';
        bool name = c == '<' || c == ':' || (c == '(' && str_find(region, '@') < 0);
        result = put_region(f, region, name);
        if (result != 0 || s.n == 0)
            break;
        if (c == '(') {
            struct str whole = s;
            lex_comment(&s, &inner);
            put_comment(f, str_head(whole, whole.n - s.n), inner);
        } else if (c == '<') {
            result = put_angle(f, &s);
        } else {
            put(f, str_head(s, 1));
            s = str_from(s, 1);
        }
    }
    return result;
}

/* ---- parameters */

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!mail_is(s.p[i], CHAR_TOKEN))
            return false;
    return s.n > 0;
}

static void put_quoted(struct field *f, struct str s)
{
    buf_put_c(f->out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_put_c(f->out, '\\');
        buf_put_c(f->out, s.p[i]);
    }
    buf_put_c(f->out, '"');
    f->column += s.n + 2;
}

/* RFC 2231 7: attribute-char */
static bool stands_for_itself(char c)
{
    return mail_is(c, CHAR_TOKEN) && c != '*' && c != '\'' && c != '%';
}

/* At least one octet, as much as a section holds. */
static struct str take_section(struct str *s)
{
    size_t n = 0, chars = 0;
    while (n < s->n && chars < SECTION_CHARS) {
        chars += stands_for_itself(s->p[n]) ? 1 : 3;
        n++;
    }
    struct str section = str_head(*s, n);
    *s = str_from(*s, n);
    return section;
}

static void put_percent(struct field *f, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (stands_for_itself(s.p[i]))
            buf_put_c(f->out, s.p[i]);
        else
            buf_printf(f->out, "%%%02X", (unsigned)(unsigned char)s.p[i]);
    }
}

/* RFC 2231 3 and 4: name*=utf-8''text, in sections where it is long */
static void put_extended(struct field *f, const struct mime_param *p)
{
    struct str rest = p->value, section = take_section(&rest), charset = charset_of(p->value);
    bool alone = rest.n == 0;
    for (unsigned i = 0;; i++) {
        if (alone)
            buf_printf(f->out, ";\r\n %.*s*=", STR_ARG(p->name));
        else
            buf_printf(f->out, ";\r\n %.*s*%u*=", STR_ARG(p->name), i);
        if (i == 0)
            buf_printf(f->out, "%.*s''", STR_ARG(charset));
        put_percent(f, section);
        if (rest.n == 0 || !buf_ok(f->out))
            break;
        section = take_section(&rest);
    }
    f->column = FOLD_AT; /* whatever follows begins a line */
}

/* RFC 2045 5.1 has no way to write these but folds, which the reader has already left. */
static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (ascii_control(s.p[i]) && s.p[i] != '\t')
            return true;
    return false;
}

static int put_param(struct field *f, const struct mime_param *p)
{
    if (has_eight(p->name) || has_control(p->name) || has_control(p->value) ||
        (has_eight(p->value) &&
            (str_find(p->name, '*') >= 0 || str_eq_ascii(p->name, STR("boundary")))))
        return DOWNGRADE_NOT_POSSIBLE;
    if (has_eight(p->value)) {
        if (p->name.n > PARAM_NAME_MAX)
            return DOWNGRADE_NOT_POSSIBLE;
        put_extended(f, p);
        return 0;
    }
    put(f, STR(";"));
    put_space(f, STR(" "), p->name.n + 1 + p->value.n);
    put(f, p->name);
    put(f, STR("="));
    if (is_token(p->value))
        put(f, p->value);
    else
        put_quoted(f, p->value);
    return 0;
}

static int put_params(struct field *f, struct str value, bool type)
{
    struct arena a;
    struct mime_value v = {0};
    int result = 0;
    arena_init(&a, PARAMS_MEMORY);
    bool ok = type ? content_type_parse(&a, value, PARAMS_MAX, &v)
                   : content_disposition_parse(&a, value, PARAMS_MAX, &v);
    if (!ok || v.count == PARAMS_MAX || !is_token(v.value) || (type && !is_token(v.subtype)))
        result = DOWNGRADE_NOT_POSSIBLE;
    if (result == 0) {
        put_space(f, STR(" "), 0);
        put(f, v.value);
        if (type)
            put(f, STR("/"));
        put(f, v.subtype);
    }
    for (unsigned i = 0; i < v.count && result == 0; i++)
        result = put_param(f, &v.params[i]);
    if (a.no_memory)
        f->out->bad = true;
    arena_done(&a);
    return result;
}

/* ---- fields */

enum form {
    TEXT,
    ADDRESSES,
    PARAMS,
    TRACE,   /* for people who look for a fault: what is not ASCII is shown as "?" */
    STRICT,  /* its octets are what it means */
    ENVELOPE /* an address */
};

static enum form form_of(const struct header_field *f)
{
    static const struct {
        struct str name;
        enum form form;
    } rows[] = {
        {STR_INIT("Bcc"), ADDRESSES},
        {STR_INIT("Cc"), ADDRESSES},
        {STR_INIT("Content-Disposition"), PARAMS},
        {STR_INIT("Content-ID"), STRICT},
        {STR_INIT("Content-Transfer-Encoding"), STRICT},
        {STR_INIT("Content-Type"), PARAMS},
        {STR_INIT("Date"), STRICT},
        {STR_INIT("Delivered-To"), ENVELOPE},
        {STR_INIT("Disposition-Notification-To"), ADDRESSES},
        {STR_INIT("From"), ADDRESSES},
        {STR_INIT("In-Reply-To"), STRICT},
        {STR_INIT("Message-ID"), STRICT},
        {STR_INIT("MIME-Version"), STRICT},
        {STR_INIT("Received"), TRACE},
        {STR_INIT("Authentication-Results"), TRACE},
        {STR_INIT("References"), STRICT},
        {STR_INIT("Reply-To"), ADDRESSES},
        {STR_INIT("Resent-Bcc"), ADDRESSES},
        {STR_INIT("Resent-Cc"), ADDRESSES},
        {STR_INIT("Resent-From"), ADDRESSES},
        {STR_INIT("Resent-Message-ID"), STRICT},
        {STR_INIT("Resent-Sender"), ADDRESSES},
        {STR_INIT("Resent-To"), ADDRESSES},
        {STR_INIT("Return-Path"), ENVELOPE},
        {STR_INIT("Sender"), ADDRESSES},
        {STR_INIT("To"), ADDRESSES},
    };
    if (f->id == HEADER_JUNK)
        return TRACE;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eq_ascii(f->name, rows[i].name))
            return rows[i].form;
    return TEXT;
}

static void put_trace(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++)
        buf_put_c(out, s.p[i] & 0x80 ? '?' : s.p[i]);
}

static int put_value(struct field *f, enum form form, const struct header_field *h)
{
    struct buf unfolded;
    int result = 0;
    if (form == STRICT || form == ENVELOPE)
        return form == STRICT ? DOWNGRADE_NO_FIELD : DOWNGRADE_NO_ADDRESS;
    if (form == PARAMS)
        return put_params(f, h->value, h->id == HEADER_CONTENT_TYPE);
    buf_init(&unfolded, h->value.n);
    header_put_unfolded(h->value, &unfolded);
    if (form == ADDRESSES)
        result = put_addresses(f, buf_str(&unfolded));
    else
        put_text(f, buf_str(&unfolded), false);
    f->out->bad |= !buf_ok(&unfolded);
    buf_done(&unfolded);
    return result;
}

int downgrade_field(const struct header_field *h, struct str raw, struct buf *out)
{
    enum form form = form_of(h);
    struct field f = {.out = out};
    int result = 0;
    if (form == TRACE) {
        put_trace(raw, out);
    } else {
        put(&f, h->name);
        put(&f, STR(":"));
        result = put_value(&f, form, h);
        buf_put(out, STR("\r\n"));
    }
    return buf_ok(out) ? result : -1;
}
