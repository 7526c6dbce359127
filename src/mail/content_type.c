#include "mail/content_type.h"

#include "mail/lex.h"

/* What may stand in a type, a name: RFC 2045 5.1 token, widened by UTF-8. */
static struct str take_token(struct str *s)
{
    return lex_run(s, CHAR_TOKEN | CHAR_UTF8);
}

static bool at_param(struct str s)
{
    lex_skip_space(&s);
    struct str name = take_token(&s);
    lex_skip_space(&s);
    return name.n > 0 && s.n > 0 && s.p[0] == '=';
}

/* Does a file name go on behind this white space? Not where it ends, and not where another
 * parameter begins whose semicolon was forgotten. */
static bool goes_on(struct str s)
{
    struct str after = s;
    lex_skip_space(&after);
    return after.n > 0 && after.p[0] != ';' && after.p[0] != '(' && !at_param(s);
}

static struct str take_plain_value(struct str *s, bool with_spaces)
{
    size_t n = 0;
    while (n < s->n && s->p[n] != ';') {
        if (mail_is(s->p[n], CHAR_WSP) && !(with_spaces && goes_on(str_from(*s, n))))
            break;
        /* the white space that goes on is taken whole, so that it is looked at once */
        if (mail_is(s->p[n], CHAR_WSP))
            while (mail_is(s->p[n], CHAR_WSP))
                n++;
        else
            n++;
    }
    struct str value = str_head(*s, n);
    *s = str_from(*s, n);
    return value;
}

static bool keep(struct arena *a, struct str raw, bool quoted, struct str *value)
{
    struct buf text;
    buf_init(&text, raw.n);
    if (memchr(raw.p, '\r', raw.n) || memchr(raw.p, '\n', raw.n) || memchr(raw.p, 0, raw.n) ||
        (quoted && memchr(raw.p, '\\', raw.n))) {
        if (quoted)
            lex_put_unescaped(raw, &text);
        else
            for (size_t i = 0; i < raw.n; i++)
                if (raw.p[i] != '\r' && raw.p[i] != '\n')
                    buf_put_c(&text, raw.p[i] ? raw.p[i] : ' ');
        raw = buf_str(&text);
    }
    a->no_memory |= !buf_ok(&text);
    bool ok = buf_ok(&text) && arena_dup(a, raw, value);
    buf_done(&text);
    return ok;
}

/* Takes one parameter, or what stands in its place, up to and with the semicolon. */
static bool take_param(struct arena *a, struct str *s, struct mime_param *param)
{
    struct str name, raw;
    bool got = false, quoted = false;
    lex_skip_cfws(s);
    name = take_token(s);
    lex_skip_cfws(s);
    if (s->n > 0 && s->p[0] == '=') {
        *s = str_from(*s, 1);
        lex_skip_cfws(s);
        quoted = s->n > 0 && s->p[0] == '"';
        bool file = str_starts_ascii(name, STR("name")) || str_starts_ascii(name, STR("filename"));
        if (quoted)
            lex_quoted(s, &raw);
        else
            raw = take_plain_value(s, file);
        got = name.n > 0 && (quoted || raw.n > 0) && keep(a, name, false, &param->name) &&
              keep(a, raw, quoted, &param->value);
        lex_skip_cfws(s);
        if (s->n > 0 && s->p[0] != ';' && at_param(*s))
            return got;
    }
    while (s->n > 0 && s->p[0] != ';')
        *s = str_from(*s, 1);
    *s = str_from(*s, 1);
    return got;
}

static void take_params(struct arena *a, struct str s, unsigned max, struct mime_value *out)
{
    struct mime_param few[8];
    struct mime_param *params = few;
    unsigned count = 0, room = sizeof few / sizeof *few;
    while (s.n > 0 && count < max) {
        if (count == room) {
            struct mime_param *more = arena_array(a, max, sizeof *more);
            if (!more)
                break;
            memcpy(more, params, count * sizeof *more);
            params = more;
            room = max;
        }
        if (take_param(a, &s, &params[count]))
            count++;
    }
    if (params == few && count > 0) {
        params = arena_array(a, count, sizeof *params);
        if (!params)
            return;
        memcpy(params, few, count * sizeof *params);
    }
    out->params = params == few ? NULL : params;
    out->count = count;
}

/* To the first semicolon, or to white space behind which a parameter begins. */
static void skip_to_params(struct str *s)
{
    while (s->n > 0 && s->p[0] != ';') {
        if (mail_is(s->p[0], CHAR_WSP)) {
            lex_skip_cfws(s);
            if (at_param(*s))
                return;
        } else {
            *s = str_from(*s, 1);
        }
    }
    *s = str_from(*s, 1);
}

bool content_type_parse(
    struct arena *a, struct str field, unsigned max_params, struct mime_value *out)
{
    struct str s = field, type, subtype = STR_NONE;
    bool good = false;
    *out = (struct mime_value){0};
    lex_skip_cfws(&s);
    type = take_token(&s);
    lex_skip_cfws(&s);
    if (type.n > 0 && s.n > 0 && s.p[0] == '/') {
        s = str_from(s, 1);
        lex_skip_cfws(&s);
        subtype = take_token(&s);
        lex_skip_cfws(&s);
        good = subtype.n > 0 && (s.n == 0 || s.p[0] == ';' || at_param(s));
    }
    if (good)
        good = keep(a, type, false, &out->value) && keep(a, subtype, false, &out->subtype);
    if (s.n == 0 || !at_param(s))
        skip_to_params(&s);
    take_params(a, s, max_params, out);
    return good;
}

bool content_disposition_parse(
    struct arena *a, struct str field, unsigned max_params, struct mime_value *out)
{
    struct str s = field, token;
    *out = (struct mime_value){0};
    lex_skip_cfws(&s);
    struct str rest = s;
    token = take_token(&rest);
    lex_skip_cfws(&rest);
    bool good = token.n > 0 && (rest.n == 0 || rest.p[0] != '=');
    if (good) {
        s = rest;
        good = keep(a, token, false, &out->value);
    }
    if (s.n == 0 || !at_param(s))
        skip_to_params(&s);
    take_params(a, s, max_params, out);
    return good;
}

bool mime_param_find(const struct mime_value *v, struct str name, struct str *value)
{
    for (unsigned i = 0; i < v->count; i++)
        if (str_eq_ascii(v->params[i].name, name)) {
            *value = v->params[i].value;
            return true;
        }
    return false;
}

enum mime_encoding mime_encoding_parse(struct str field, struct str *token)
{
    static const struct {
        struct str name;
        enum mime_encoding encoding;
    } known[] = {
        {STR_INIT("7bit"), MIME_7BIT},
        {STR_INIT("8bit"), MIME_8BIT},
        {STR_INIT("binary"), MIME_BINARY},
        {STR_INIT("quoted-printable"), MIME_QUOTED_PRINTABLE},
        {STR_INIT("base64"), MIME_BASE64},
        {STR_INIT("x-uuencode"), MIME_UUENCODE},
        {STR_INIT("x-uue"), MIME_UUENCODE},
        {STR_INIT("uuencode"), MIME_UUENCODE},
        {STR_INIT("7-bit"), MIME_7BIT},
        {STR_INIT("8-bit"), MIME_8BIT},
    };
    struct str s = field, inner;
    *token = STR_NONE;
    lex_skip_cfws(&s);
    if (s.n > 0 && s.p[0] == '"') {
        lex_quoted(&s, &inner);
        *token = inner;
    } else {
        *token = take_token(&s);
    }
    lex_skip_cfws(&s);
    /* RFC 2045 6.1 knows no parameters, but mailers do: what follows a semicolon is ignored */
    if (s.n > 0 && s.p[0] != ';')
        return MIME_UNKNOWN;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq_ascii(known[i].name, *token))
            return known[i].encoding;
    return token->n > 0 ? MIME_UNKNOWN : MIME_7BIT;
}
