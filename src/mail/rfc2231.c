#include "mail/rfc2231.h"

#include <stdio.h>

#include "mail/charset.h"
#include "mail/rfc2047.h"

enum {
    SECTIONS_MAX = 100
};

/* "name*7" or "name*7*" or "name*" */
static bool find_form(
    const struct mime_value *v, struct str name, const char *suffix, struct str *value)
{
    struct str tail = str_c(suffix);
    for (unsigned i = 0; i < v->count; i++) {
        struct str n = v->params[i].name;
        if (n.n == name.n + tail.n && str_starts_ascii(n, name) && str_ends(n, tail)) {
            *value = v->params[i].value;
            return true;
        }
    }
    return false;
}

static int hex_value(char c)
{
    if (ascii_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 2231 4 ext-octet; a percent sign without two digits is text */
static void put_percent(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && hex_value(s.p[i + 1]) >= 0 &&
            hex_value(s.p[i + 2]) >= 0) {
            buf_put_c(out, (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2])));
            i += 2;
        } else {
            buf_put_c(out, s.p[i]);
        }
    }
}

/* charset'language'text; without both quotes all of it is text */
static struct str cut_charset(struct str *s)
{
    struct str charset, language, rest = *s;
    if (!str_cut(&rest, '\'', &charset) || !str_cut(&rest, '\'', &language))
        return STR_NONE;
    *s = rest;
    return charset;
}

/* RFC 2231 3 and 4.1 */
static bool gather_sections(
    const struct mime_value *v, struct str name, struct str *charset, struct buf *octets)
{
    unsigned i = 0;
    for (; i < SECTIONS_MAX; i++) {
        char plain[16], extended[16];
        struct str section;
        snprintf(plain, sizeof plain, "*%u", i);
        snprintf(extended, sizeof extended, "*%u*", i);
        if (find_form(v, name, extended, &section)) {
            struct str rest = section, named = cut_charset(&rest);
            /* mailers name it in a later section, too */
            if (i == 0 || (charset->n == 0 && named.n > 0 && charset_known(named))) {
                *charset = named;
                section = rest;
            }
            put_percent(section, octets);
        } else if (find_form(v, name, plain, &section)) {
            buf_put(octets, section);
        } else {
            break;
        }
    }
    return i > 0;
}

static void put_text(struct str charset, struct str octets, struct buf *out)
{
    struct buf text;
    buf_init(&text, RFC2231_VALUE_MAX);
    charset_to_utf8(charset, octets, RFC2231_VALUE_MAX, &text);
    rfc2047_put_printable(buf_str(&text), out);
    out->bad |= !buf_ok(&text);
    buf_done(&text);
}

bool rfc2231_decode(const struct mime_value *v, struct str name, struct buf *out)
{
    struct str charset = STR_NONE, value;
    struct buf octets;
    if (v->count == 0)
        return false;
    buf_init(&octets, (size_t)SECTIONS_MAX * RFC2231_VALUE_MAX);
    bool found = true;
    if (find_form(v, name, "*", &value)) {
        charset = cut_charset(&value);
        put_percent(value, &octets);
        put_text(charset, buf_str(&octets), out);
    } else if (gather_sections(v, name, &charset, &octets)) {
        if (charset.n == 0)
            rfc2047_decode(buf_str(&octets), RFC2231_VALUE_MAX, out);
        else
            put_text(charset, buf_str(&octets), out);
    } else if (mime_param_find(v, name, &value)) {
        rfc2047_decode(value, RFC2231_VALUE_MAX, out);
    } else {
        found = false;
    }
    out->bad |= !buf_ok(&octets);
    buf_done(&octets);
    return found;
}

static bool decode_name(const struct mime_value *v, struct str param, struct buf *name)
{
    buf_clear(name);
    return v && rfc2231_decode(v, param, name) && !str_empty(str_trim(buf_str(name)));
}

bool rfc2231_file_name(
    const struct mime_value *disposition, const struct mime_value *type, struct buf *out)
{
    struct buf name;
    buf_init(&name, RFC2231_VALUE_MAX);
    bool found = decode_name(disposition, STR("filename"), &name) ||
                 (buf_ok(&name) && decode_name(type, STR("name"), &name));
    if (found)
        buf_put(out, str_trim(buf_str(&name)));
    out->bad |= !buf_ok(&name);
    buf_done(&name);
    return found;
}
