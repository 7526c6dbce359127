#include "mail/address_list.h"

#include "mail/lex.h"

/* One element of the list while it is read. */
struct element {
    struct str phrase;  /* from its first octet to where reading stands */
    struct str comment; /* the first that is not empty */
    const char *at;     /* the "@" of a bare addr-spec */
    unsigned words, ats;
    bool quoted; /* a word was a quoted-string */
    bool bad;
};

static struct str between(const char *start, const char *end)
{
    return str_trim(str_of(start, (size_t)(end - start)));
}

static bool take_comment(struct str *s, struct element *el)
{
    struct str inner;
    bool closed = lex_comment(s, &inner);
    if (closed && el->comment.n == 0)
        el->comment = inner;
    return closed;
}

static void take_literal(struct str *s)
{
    size_t n = 1;
    while (n < s->n && s->p[n] != ']' && s->p[n] != '[' && s->p[n] != '>' && s->p[n] != ',')
        n += s->p[n] == '\\' && n + 1 < s->n ? 2 : 1;
    *s = str_from(*s, n < s->n && s->p[n] == ']' ? n + 1 : n);
}

static bool word_char(char c)
{
    return !mail_is(c, CHAR_WSP) && !memchr("()<>[]:;@,\"", c, 11);
}

static void take_word(struct str *s)
{
    size_t n = 1;
    while (n < s->n && word_char(s->p[n]))
        n++;
    *s = str_from(*s, n);
}

/* What follows "<": [route ":"] [local "@"] domain ">". Stops at ">" or where it cannot go on. */
static void take_angle(struct str *s, struct address *a, struct element *el)
{
    const char *start = s->p, *at = NULL;
    struct str inner;
    bool route;
    lex_skip_cfws(s);
    route = s->n > 0 && s->p[0] == '@';
    if (route)
        start = s->p;
    while (s->n > 0 && s->p[0] != '>' && s->p[0] != '<' && (s->p[0] != ',' || route)) {
        char c = s->p[0];
        if (c == '(') {
            el->bad |= !take_comment(s, el);
        } else if (c == '"') {
            el->bad |= !lex_quoted(s, &inner);
        } else if (c == '[') {
            take_literal(s);
        } else if (c == ':' && route) {
            a->route = between(start, s->p);
            *s = str_from(*s, 1);
            start = s->p;
            at = NULL;
            route = false;
        } else if (c == '@') {
            el->bad |= at && !route;
            at = at ? at : s->p;
            *s = str_from(*s, 1);
        } else {
            *s = str_from(*s, 1);
        }
    }
    el->bad |= s->n == 0 || s->p[0] != '>' || route;
    if (route) {
        a->route = between(start, s->p);
    } else if (at) {
        a->local = between(start, at);
        a->domain = between(at + 1, s->p);
        a->has_domain = true;
    } else {
        a->local = between(start, s->p);
    }
    if (s->n > 0 && s->p[0] == '>')
        *s = str_from(*s, 1);
}

/* An addr-spec without angle brackets, or what stands where one should. */
static void finish_bare(const struct element *el, struct address *a)
{
    const char *end = el->phrase.p + el->phrase.n;
    if (el->at) {
        a->local = between(el->phrase.p, el->at);
        a->domain = between(el->at + 1, end);
        a->has_domain = true;
    } else if (el->quoted || el->words > 1) {
        a->name = between(el->phrase.p, end); /* a name of nobody */
    } else {
        a->local = between(el->phrase.p, end);
    }
}

/* Takes tokens up to what ends a phrase: "<" ":" "," ";" or the end. */
static void take_phrase(struct str *s, struct element *el, bool in_group)
{
    const char *start = s->p;
    bool gap = true, dotted = false;
    while (s->n > 0) {
        char c = s->p[0];
        struct str inner, before = *s;
        if (c == '<' || c == ',' || c == ';' || (c == ':' && !in_group))
            break;
        if (mail_is(c, CHAR_WSP)) {
            lex_skip_space(s);
            gap = true;
            continue;
        }
        if (c == '(') {
            if (!take_comment(s, el)) { /* where does the address end? nobody knows */
                el->bad = true;
                start = s->p;
                el->at = NULL;
                el->words = 0;
                el->quoted = false;
            }
            gap = true;
            continue;
        }
        if (c == '"') {
            el->bad |= !lex_quoted(s, &inner);
            el->quoted = true;
        } else if (c == '[') {
            take_literal(s);
        } else if (c == '@') {
            el->ats++;
            el->at = el->at ? el->at : s->p;
            *s = str_from(*s, 1);
            dotted = true;
            gap = true;
            continue;
        } else {
            el->bad |= memchr(")]>:", c, 4) != NULL;
            take_word(s);
        }
        /* a word behind a gap that no dot bridges: "John Doe", never part of one addr-spec */
        if (gap && !dotted && before.p[0] != '.')
            el->words++;
        dotted = s->p[-1] == '.';
        gap = false;
    }
    el->phrase = between(start, s->p);
}

static void finish_mailbox(struct address_list *l, struct element *el, struct address *a)
{
    a->kind = ADDRESS_MAILBOX;
    if (l->rest.n > 0 && l->rest.p[0] == '<') {
        a->name = el->phrase;
        l->rest = str_from(l->rest, 1);
        take_angle(&l->rest, a, el);
    } else {
        finish_bare(el, a);
        el->bad |= el->ats != 1 || el->words > 1;
    }
    for (;;) { /* a comment behind the address may name its owner */
        lex_skip_space(&l->rest);
        if (l->rest.n == 0 || l->rest.p[0] != '(')
            break;
        el->bad |= !take_comment(&l->rest, el);
    }
    if (a->name.n == 0 && el->comment.n > 0) {
        a->name = el->comment;
        a->name_comment = true;
    }
    /* hostile.md 87: something else where a comma should be */
    el->bad |= l->rest.n > 0 && l->rest.p[0] != ',' && l->rest.p[0] != ';';
    a->bad = el->bad || a->local.n == 0 || a->domain.n == 0;
}

/* Commas, semicolons, white space and comments between addresses. True where a group ends. */
static bool skip_separators(struct address_list *l, struct element *el)
{
    while (l->rest.n > 0) {
        char c = l->rest.p[0];
        if (c == '(')
            el->bad |= !take_comment(&l->rest, el);
        else if (c == ',' || c == ';' || mail_is(c, CHAR_WSP))
            l->rest = str_from(l->rest, 1);
        else
            break;
        if (c == ';' && l->in_group)
            return true;
        if (c == ',' || c == ';')
            el->comment = STR_NONE;
    }
    return l->rest.n == 0 && l->in_group;
}

bool address_next(struct address_list *l, struct address *a)
{
    struct element el = {0};
    *a = (struct address){0};
    if (skip_separators(l, &el)) {
        l->in_group = false;
        a->kind = ADDRESS_GROUP_END;
        return true;
    }
    if (l->rest.n == 0) {
        if (!el.bad) /* an unfinished comment is something that is not read */
            return false;
        a->bad = true;
        return true;
    }
    take_phrase(&l->rest, &el, l->in_group);
    if (l->rest.n > 0 && l->rest.p[0] == ':') {
        l->rest = str_from(l->rest, 1);
        l->in_group = true;
        a->kind = ADDRESS_GROUP_START;
        a->name = el.phrase;
        a->bad = el.bad || el.phrase.n == 0;
        return true;
    }
    finish_mailbox(l, &el, a);
    return true;
}

/* Words of s, unquoted, without comments; one space between them, none around a dot or "@" where
 * tight. */
static void put_words(struct str s, bool tight, struct buf *out)
{
    bool gap = false, first = true, after_dot = false;
    while (s.n > 0) {
        struct str inner;
        char c = s.p[0];
        if (mail_is(c, CHAR_WSP)) {
            lex_skip_space(&s);
            gap = true;
            continue;
        }
        if (c == '(') {
            lex_comment(&s, &inner);
            gap = true;
            continue;
        }
        if (gap && !first && !(tight && (after_dot || c == '.' || c == '@' || c == ',')))
            buf_put_c(out, ' ');
        if (c == '"') {
            lex_quoted(&s, &inner);
            lex_put_unescaped(inner, out);
            after_dot = false;
        } else {
            struct str word = s;
            take_word(&s);
            word = str_head(word, word.n - s.n);
            buf_put(out, word);
            after_dot = memchr(".@,", word.p[word.n - 1], 3) != NULL;
        }
        gap = first = false;
    }
}

void address_put_name(const struct address *a, struct buf *out)
{
    if (!a->name_comment) {
        put_words(a->name, false, out);
        return;
    }
    struct buf text;
    buf_init(&text, a->name.n);
    lex_put_unescaped(a->name, &text);
    buf_put(out, str_trim(buf_str(&text)));
    out->bad |= !buf_ok(&text);
    buf_done(&text);
}

void address_put_local(const struct address *a, struct buf *out)
{
    put_words(a->local, true, out);
}

void address_put_domain(const struct address *a, struct buf *out)
{
    put_words(a->domain, true, out);
}

void address_put_route(const struct address *a, struct buf *out)
{
    put_words(a->route, true, out);
}
