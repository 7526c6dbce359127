#include "mail/address.h"

#include "base/utf8.h"

#include "mail/address_int.h"
#include "mail/chars.h"

static int refuse(struct err *e, const char *why)
{
    return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 1, 3}, "address", "%s", why);
}

static int refuse_utf8(struct err *e, const char *why)
{
    return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 6, 7}, "address", "%s", why);
}

/* Length of the run of `classes` and well-formed UTF-8 at the start of s; bad turns true at UTF-8
 * that is not well-formed. */
static size_t run_of(struct str s, unsigned classes, bool *bad)
{
    struct str rest = s;
    while (rest.n > 0) {
        if (mail_is(rest.p[0], classes)) {
            rest = str_from(rest, 1);
        } else if (!mail_is(rest.p[0], CHAR_UTF8)) {
            break;
        } else if (utf8_next(&rest) == UTF8_INVALID) {
            *bad = true;
            break;
        }
    }
    return s.n - rest.n;
}

/* RFC 5321 4.1.2 Dot-string, RFC 6531 3.3 atext */
static int scan_dot_string(struct str *rest, struct str *local, struct err *e)
{
    size_t n = 0;
    bool bad = false;
    for (;;) {
        size_t atom = run_of(str_from(*rest, n), CHAR_ATEXT, &bad);
        if (bad)
            return refuse_utf8(e, "local part is not UTF-8");
        if (atom == 0)
            return refuse(e, n == 0 ? "no local part" : "misplaced dot in the local part");
        n += atom;
        if (n == rest->n || rest->p[n] != '.')
            break;
        n++;
    }
    *local = str_head(*rest, n);
    *rest = str_from(*rest, n);
    return 0;
}

/* RFC 5321 4.1.2 Quoted-string; RFC 6531 3.3 widens qtextSMTP but not quoted-pairSMTP */
static int scan_quoted_string(struct str *rest, struct str *local, struct err *e)
{
    size_t n = 1;
    bool bad = false;
    for (;;) {
        n += run_of(str_from(*rest, n), CHAR_QTEXT, &bad);
        if (bad)
            return refuse_utf8(e, "local part is not UTF-8");
        if (n == rest->n)
            return refuse(e, "quoted local part does not end");
        if (rest->p[n] == '"')
            break;
        if (rest->p[n] != '\\')
            return refuse(e, "control character in a quoted local part");
        if (n + 1 == rest->n || rest->p[n + 1] < 32 || rest->p[n + 1] > 126)
            return refuse(e, "bad quoted pair in the local part");
        n += 2;
    }
    *local = str_head(*rest, n + 1);
    *rest = str_from(*rest, n + 1);
    return 0;
}

/* RFC 5321 4.1.2 sub-domain: letters, digits, hyphens within; RFC 6531 3.3 U-label */
static int scan_label(struct str rest, size_t *length, struct err *e)
{
    size_t n = 0;
    bool bad = false;
    for (;;) {
        n += run_of(str_from(rest, n), CHAR_LETDIG, &bad);
        if (bad)
            return refuse_utf8(e, "domain is not UTF-8");
        if (n == rest.n || rest.p[n] != '-')
            break;
        if (n == 0)
            return refuse(e, "hyphen at the start of a label of the domain");
        n++;
    }
    if (n == 0)
        return refuse(e, "bad domain: a label is empty or has a character that is not allowed");
    if (rest.p[n - 1] == '-')
        return refuse(e, "hyphen at the end of a label of the domain");
    *length = n;
    return 0;
}

static int scan_name(struct str *rest, struct str *domain, struct err *e)
{
    size_t n = 0;
    for (;;) {
        size_t label;
        struct str tail = str_from(*rest, n);
        if (scan_label(tail, &label, e) < 0)
            return -1;
        /* RFC 1035 2.3.4; a U-label is measured as A-label by domain_canonical() */
        if (label > ADDRESS_LABEL_MAX && ascii_only(str_head(tail, label)))
            return refuse(e, "label of the domain longer than 63 octets");
        n += label;
        if (n == rest->n || rest->p[n] != '.')
            break;
        n++;
    }
    if (n > ADDRESS_DOMAIN_MAX)
        return refuse(e, "domain longer than 255 octets");
    *domain = str_head(*rest, n);
    *rest = str_from(*rest, n);
    if (ascii_only(*domain))
        return 0;
    char ascii[ADDRESS_DOMAIN_MAX + 1];
    return idna_to_ascii(*domain, ascii) ? 0 : refuse_utf8(e, "not a valid international domain");
}

static int scan_literal(struct str *rest, struct str *domain, enum domain_kind *kind, struct err *e)
{
    ptrdiff_t end = str_find(*rest, ']');
    if (end < 0)
        return refuse(e, "address literal does not end");
    struct str literal = str_head(*rest, (size_t)end + 1);
    uint8_t address[16];
    if (literal_parse(literal, kind, address) < 0)
        return refuse(e, "not an IPv4 or IPv6 address literal");
    *domain = literal;
    *rest = str_from(*rest, literal.n);
    return 0;
}

int domain_scan(struct str *rest, struct str *domain, enum domain_kind *kind, struct err *e)
{
    if (rest->n > 0 && rest->p[0] == '[')
        return scan_literal(rest, domain, kind, e);
    struct str name;
    if (scan_name(rest, &name, e) < 0)
        return -1;
    *domain = name;
    *kind = DOMAIN_NAME;
    return 0;
}

int domain_parse(struct str text, enum domain_kind *kind, struct err *e)
{
    struct str domain;
    enum domain_kind k;
    if (domain_scan(&text, &domain, &k, e) < 0)
        return -1;
    if (!str_empty(text))
        return refuse(e, "character that is not allowed in a domain");
    *kind = k;
    return 0;
}

int mailbox_scan(struct str *rest, struct mailbox *m, struct err *e)
{
    struct mailbox got = {0};
    struct str s = *rest;
    got.quoted = s.n > 0 && s.p[0] == '"';
    if ((got.quoted ? scan_quoted_string : scan_dot_string)(&s, &got.local, e) < 0)
        return -1;
    if (got.local.n > ADDRESS_LOCAL_MAX)
        return refuse(e, "local part longer than 64 octets");
    if (s.n == 0)
        return refuse(e, "no domain");
    if (s.p[0] != '@')
        return refuse(e, "character that is not allowed in a local part without quotes");
    s = str_from(s, 1);
    if (domain_scan(&s, &got.domain, &got.kind, e) < 0)
        return -1;
    if (got.local.n + 1 + got.domain.n > ADDRESS_MAX)
        return refuse(e, "path longer than 256 octets");
    got.utf8 = !ascii_only(got.local) || !ascii_only(got.domain);
    *rest = s;
    *m = got;
    return 0;
}

int mailbox_parse(struct str text, struct mailbox *m, struct err *e)
{
    struct mailbox got;
    if (mailbox_scan(&text, &got, e) < 0)
        return -1;
    if (!str_empty(text))
        return refuse(e, "character that is not allowed in a domain");
    *m = got;
    return 0;
}

struct str mailbox_local(const struct mailbox *m, char storage[ADDRESS_LOCAL_MAX])
{
    if (!m->quoted)
        return m->local;
    size_t n = 0;
    for (size_t i = 1; i + 1 < m->local.n && n < ADDRESS_LOCAL_MAX; i++) {
        if (m->local.p[i] == '\\')
            i++;
        storage[n++] = m->local.p[i];
    }
    return str_of(storage, n);
}

int mailbox_key(const struct mailbox *m, struct buf *out, struct err *e)
{
    char storage[ADDRESS_LOCAL_MAX];
    if (local_canonical(mailbox_local(m, storage), out, e) < 0)
        return -1;
    if (buf_put_c(out, '@') < 0)
        return err_memory(e, "address");
    return domain_canonical(m->domain, out, e);
}

static bool is_dot_string(struct str local)
{
    struct str s = local, got;
    return scan_dot_string(&s, &got, NULL) == 0 && str_empty(s);
}

int mailbox_print(struct str local, struct str domain, struct buf *out)
{
    if (is_dot_string(local)) {
        buf_put(out, local);
    } else {
        buf_put_c(out, '"');
        for (size_t i = 0; i < local.n; i++) {
            if (ascii_control(local.p[i]))
                return -1;
            if (local.p[i] == '"' || local.p[i] == '\\')
                buf_put_c(out, '\\');
            buf_put_c(out, local.p[i]);
        }
        buf_put_c(out, '"');
    }
    buf_put_c(out, '@');
    return buf_put(out, domain);
}
