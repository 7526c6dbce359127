#include "base/utf8.h"

#include "wire/smtp_command_int.h"

static const struct {
    struct str name;
    enum smtp_verb verb;
} verbs[] = {
    {STR_INIT("MAIL"), SMTP_MAIL}, /* RFC 5321 4.1.1.2, and so on in its order */
    {STR_INIT("RCPT"), SMTP_RCPT}, {STR_INIT("DATA"), SMTP_DATA},
    {STR_INIT("BDAT"), SMTP_BDAT}, /* RFC 3030 2 */
    {STR_INIT("EHLO"), SMTP_EHLO}, {STR_INIT("HELO"), SMTP_HELO}, {STR_INIT("QUIT"), SMTP_QUIT},
    {STR_INIT("RSET"), SMTP_RSET}, {STR_INIT("NOOP"), SMTP_NOOP}, {STR_INIT("VRFY"), SMTP_VRFY},
    {STR_INIT("EXPN"), SMTP_EXPN}, {STR_INIT("HELP"), SMTP_HELP},
    {STR_INIT("LHLO"), SMTP_LHLO},         /* RFC 2033 4.1 */
    {STR_INIT("STARTTLS"), SMTP_STARTTLS}, /* RFC 3207 4 */
    {STR_INIT("AUTH"), SMTP_AUTH},         /* RFC 4954 4 */
    {STR_INIT("ETRN"), SMTP_VERB_FOREIGN}, /* RFC 1985 */
    {STR_INIT("ATRN"), SMTP_VERB_FOREIGN}, /* RFC 2645 */
    {STR_INIT("BURL"), SMTP_VERB_FOREIGN}, /* RFC 4468 */
    {STR_INIT("TURN"), SMTP_VERB_FOREIGN}, /* RFC 5321 F.1 */
    {STR_INIT("SEND"), SMTP_VERB_FOREIGN}, /* RFC 5321 F.6 */
    {STR_INIT("SOML"), SMTP_VERB_FOREIGN}, {STR_INIT("SAML"), SMTP_VERB_FOREIGN},
    {STR_INIT("XCLIENT"), SMTP_VERB_FOREIGN}, {STR_INIT("XFORWARD"), SMTP_VERB_FOREIGN},
    {STR_INIT("GET"), SMTP_VERB_HTTP}, /* RFC 9110 9.3 */
    {STR_INIT("POST"), SMTP_VERB_HTTP}, {STR_INIT("PUT"), SMTP_VERB_HTTP},
    {STR_INIT("HEAD"), SMTP_VERB_HTTP}, {STR_INIT("DELETE"), SMTP_VERB_HTTP},
    {STR_INIT("OPTIONS"), SMTP_VERB_HTTP}, {STR_INIT("CONNECT"), SMTP_VERB_HTTP},
    {STR_INIT("TRACE"), SMTP_VERB_HTTP}, {STR_INIT("PATCH"), SMTP_VERB_HTTP}, /* RFC 5789 */
    {STR_INIT("PRI"), SMTP_VERB_HTTP},                                        /* RFC 9113 3.4 */
};

int smtp_refuse(struct smtp_refusal *r, uint16_t code, struct err_status status, const char *text)
{
    r->code = code;
    return err_set_status(&r->why, ERR_PERMANENT, status, "smtp", "%s", text);
}

int smtp_refuse_args(struct smtp_refusal *r, const char *text)
{
    return smtp_refuse(r, 501, (struct err_status){5, 5, 4}, text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Without SP and HT at both ends: a stray CR or LF is no white space here, it stays to be refused.
 */
static struct str trim_blanks(struct str s)
{
    while (s.n && is_blank(s.p[0]))
        s = str_from(s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s = str_head(s, s.n - 1);
    return s;
}

static enum smtp_verb find_verb(struct str name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (str_eq_ascii(name, verbs[i].name))
            return verbs[i].verb;
    return SMTP_VERB_UNKNOWN;
}

void smtp_line_parse(struct str line, struct smtp_line *l)
{
    size_t n = 0;

    line = trim_blanks(line);
    while (n < line.n && !is_blank(line.p[n]))
        n++;
    l->name = str_head(line, n);
    l->verb = find_verb(l->name);
    l->args = trim_blanks(str_from(line, n));
}

struct str smtp_verb_name(enum smtp_verb verb)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (verbs[i].verb == verb)
            return verbs[i].name;
    return STR_NONE;
}

/* What is taken in EHLO beside domains and literals. All of it may stand in the Received field. */
static bool lenient_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_alnum(s.p[i]) && !memchr("-_.:[]", s.p[i], 6))
            return false;
    return s.n > 0;
}

int smtp_helo_parse(struct str args, struct str *name, bool *strict, struct smtp_refusal *r)
{
    enum domain_kind kind;
    bool is_domain;

    if (str_empty(args))
        return smtp_refuse_args(r, "say who you are: a domain name or an address literal");
    if (args.n > SMTP_HELO_MAX)
        return smtp_refuse_args(r, "domain name longer than 255 octets");
    is_domain = ascii_only(args) && domain_parse(args, &kind, NULL) == 0;
    if (!is_domain && !lenient_name(args))
        return smtp_refuse_args(r, "not a domain name or an address literal");
    *name = args;
    *strict = is_domain;
    return 0;
}

/* RFC 5321 4.1.2 A-d-l ":". Parsed to be ignored: 4.1.1.3, and appendix C. */
static int skip_source_route(struct str *rest, struct err *e)
{
    struct str s = *rest, domain;
    enum domain_kind kind;

    for (;;) {
        s = str_from(s, 1);
        if (domain_scan(&s, &domain, &kind, e) < 0)
            return -1;
        if (s.n < 2 || s.p[0] != ',' || s.p[1] != '@')
            break;
        s = str_from(s, 1);
    }
    if (s.n == 0 || s.p[0] != ':')
        return err_set_status(
            e, ERR_PERMANENT, (struct err_status){5, 1, 3}, "smtp", "source route without colon");
    *rest = str_from(s, 1);
    return 0;
}

/* Beyond RFC 5321 4.5.3.1? The status of that is X.1.3 for senders too. */
static bool beyond_limits(struct str path)
{
    ptrdiff_t end = str_find(path, '>'), at;
    struct str domain, label;

    if (end >= 0)
        path = str_head(path, (size_t)end + 1);
    if (path.n > ADDRESS_PATH_MAX)
        return true;
    at = str_find_last(path, '@');
    if (at < 0)
        return false;
    domain = str_sub(path, (size_t)at + 1, path.n - (size_t)at - 2);
    if (at - 1 > ADDRESS_LOCAL_MAX)
        return true;
    while (!str_empty(domain)) {
        str_cut(&domain, '.', &label);
        if (label.n > ADDRESS_LABEL_MAX)
            return true;
    }
    return false;
}

static int refuse_path(struct str path, bool sender, struct smtp_refusal *r)
{
    bool utf8 = r->why.status.subject == 6;

    r->code = utf8 ? 553 : 501; /* RFC 6531 3.5: 553 and 5.6.7 */
    if (sender && !utf8 && !beyond_limits(path))
        r->why.status = (struct err_status){5, 1, 7};
    return -1;
}

int smtp_path_scan(struct str *rest, bool sender, struct smtp_path *path, struct smtp_refusal *r)
{
    struct str s = *rest;
    struct smtp_path got = {0};

    if (s.n == 0 || s.p[0] != '<')
        return smtp_refuse_args(r, sender ? "syntax: MAIL FROM:<address> [parameters]"
                                          : "syntax: RCPT TO:<address> [parameters]");
    s = str_from(s, 1);
    if (sender && str_starts(s, STR(">"))) {
        *rest = str_from(s, 1);
        *path = got;
        return 0;
    }
    /* RFC 5321 4.1.1.3: "<Postmaster>" without a domain, in any case */
    got.postmaster = !sender && str_starts_ascii(s, STR("postmaster>"));
    if (got.postmaster) {
        got.address = str_head(s, STR("postmaster").n);
        *rest = str_from(s, got.address.n + 1);
        *path = got;
        return 0;
    }
    if ((s.n && s.p[0] == '@' && skip_source_route(&s, &r->why) < 0))
        return refuse_path(*rest, sender, r);
    got.address = s;
    if (mailbox_scan(&s, &got.mailbox, &r->why) < 0)
        return refuse_path(*rest, sender, r);
    got.address.n -= s.n;
    if (s.n == 0 || s.p[0] != '>') {
        err_set_status(&r->why, ERR_PERMANENT, (struct err_status){5, 1, 3}, "smtp",
            "character that is not allowed in an address, or no closing angle bracket");
        return refuse_path(*rest, sender, r);
    }
    s = str_from(s, 1);
    if (rest->n - s.n > ADDRESS_PATH_MAX) /* RFC 5321 4.5.3.1.3 */
        return smtp_refuse(r, 501, (struct err_status){5, 1, 3}, "path longer than 256 octets");
    *rest = s;
    *path = got;
    return 0;
}

int smtp_bdat_parse(struct str args, struct smtp_bdat *b, struct smtp_refusal *r)
{
    struct str size;
    bool more = str_cut(&args, ' ', &size);
    struct smtp_bdat got = {.last = more};

    if (!str_to_u64(size, UINT64_MAX, &got.size))
        return smtp_refuse_args(r, "syntax: BDAT size [LAST]");
    if (more && !str_eq_ascii(trim_blanks(args), STR("LAST")))
        return smtp_refuse_args(r, "syntax: BDAT size [LAST]");
    *b = got;
    return 0;
}

int smtp_no_args(struct str args, struct smtp_refusal *r)
{
    return str_empty(args) ? 0 : smtp_refuse_args(r, "no argument is allowed here");
}

int smtp_string_arg(struct str args, struct smtp_refusal *r)
{
    return str_empty(args) ? smtp_refuse_args(r, "an argument is missing") : 0;
}
