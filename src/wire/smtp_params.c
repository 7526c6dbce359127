/* The ESMTP parameters of MAIL and RCPT: RFC 5321 4.1.2 esmtp-param, and those of each extension.
 */
#include "base/utf8.h"

#include "mail/xtext.h"

#include "wire/smtp_command_int.h"

struct param {
    struct str name, value;
    bool has_value;
};

/* What a command's parameters are parsed into. */
struct target {
    struct smtp_mail *mail;
    struct smtp_rcpt *rcpt;
    bool smtputf8;
};

typedef int param_fn(struct param p, struct target *t, struct smtp_refusal *r);

struct param_row {
    struct str name;
    param_fn *parse;
};

/* RFC 1870 4: 1 to 20 digits */
static int parse_size(struct param p, struct target *t, struct smtp_refusal *r)
{
    if (p.value.n > 20 || !str_to_u64(p.value, UINT64_MAX, &t->mail->size))
        return smtp_refuse_args(r, "SIZE is not a number of octets");
    t->mail->has_size = true;
    return 0;
}

/* RFC 6152 2; BINARYMIME (RFC 3030 3) is not offered */
static int parse_body(struct param p, struct target *t, struct smtp_refusal *r)
{
    if (str_eq_ascii(p.value, STR("8BITMIME")))
        t->mail->body = SMTP_BODY_8BITMIME;
    else if (str_eq_ascii(p.value, STR("7BIT")))
        t->mail->body = SMTP_BODY_7BIT;
    else
        return smtp_refuse_args(r, "BODY must be 7BIT or 8BITMIME");
    return 0;
}

/* RFC 6531 3.4 */
static int parse_smtputf8(struct param p, struct target *t, struct smtp_refusal *r)
{
    if (p.has_value)
        return smtp_refuse_args(r, "SMTPUTF8 takes no value");
    t->mail->smtputf8 = true;
    return 0;
}

/* RFC 3461 4.3 */
static int parse_ret(struct param p, struct target *t, struct smtp_refusal *r)
{
    if (str_eq_ascii(p.value, STR("FULL")))
        t->mail->ret = SMTP_RET_FULL;
    else if (str_eq_ascii(p.value, STR("HDRS")))
        t->mail->ret = SMTP_RET_HDRS;
    else
        return smtp_refuse_args(r, "RET must be FULL or HDRS");
    return 0;
}

/* RFC 3461 4.4 */
static int parse_envid(struct param p, struct target *t, struct smtp_refusal *r)
{
    if (str_empty(p.value) || p.value.n > SMTP_ENVID_MAX || !xtext_printable(p.value))
        return smtp_refuse_args(r, "ENVID must be 1 to 100 octets of xtext");
    t->mail->envid = p.value;
    return 0;
}

/* RFC 4954 5: "<>" or a mailbox as xtext. Checked, so that nothing else gets into a log. */
static int parse_auth(struct param p, struct target *t, struct smtp_refusal *r)
{
    struct buf decoded;
    struct mailbox m;
    bool ok;

    buf_init(&decoded, ADDRESS_PATH_MAX);
    ok = str_eq(p.value, STR("<>")) ||
         (xtext_decode(p.value, &decoded) == 0 && mailbox_parse(buf_str(&decoded), &m, NULL) == 0);
    buf_done(&decoded);
    if (!ok)
        return smtp_refuse_args(r, "AUTH must be <> or an address as xtext");
    t->mail->auth = p.value;
    return 0;
}

/* RFC 3461 4.1 */
static int parse_notify(struct param p, struct target *t, struct smtp_refusal *r)
{
    static const struct {
        struct str name;
        enum smtp_notify bit;
    } words[] = {
        {STR_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
        {STR_INIT("FAILURE"), SMTP_NOTIFY_FAILURE},
        {STR_INIT("DELAY"), SMTP_NOTIFY_DELAY},
    };
    uint8_t set = SMTP_NOTIFY_DEFAULT;
    struct str rest = p.value, word;
    bool more = true;

    if (str_eq_ascii(rest, STR("NEVER"))) {
        t->rcpt->notify = SMTP_NOTIFY_NEVER;
        return 0;
    }
    while (more) {
        size_t i = 0;
        more = str_cut(&rest, ',', &word);
        while (i < 3 && !str_eq_ascii(word, words[i].name))
            i++;
        if (i == 3)
            return smtp_refuse_args(r, "NOTIFY must be NEVER or a list of SUCCESS, FAILURE, DELAY");
        set |= (uint8_t)words[i].bit;
    }
    t->rcpt->notify = set;
    return 0;
}

/* RFC 6533 3: utf-8-addr-xtext ("\x{HH}" for what is not QCHAR) or, with SMTPUTF8, UTF-8 itself */
static bool utf8_address(struct str s, bool smtputf8)
{
    while (!str_empty(s)) {
        ptrdiff_t end;
        uint64_t point;
        if (!ascii_only(str_head(s, 1))) {
            if (!smtputf8 || utf8_next(&s) == UTF8_INVALID)
                return false;
        } else if (str_starts(s, STR("\\x{"))) {
            end = str_find(s, '}');
            if (end < 0 || !str_to_hex64(str_sub(s, 3, (size_t)end - 3), 0x10FFFF, &point) ||
                point < 0x10)
                return false;
            s = str_from(s, (size_t)end + 1);
        } else if (memchr("\\+=", s.p[0], 3)) {
            return false;
        } else {
            s = str_from(s, 1);
        }
    }
    return true;
}

/* RFC 3461 4.2: addr-type ";" xtext. The address is not ours to judge, but an empty or null one is
 * of no use to anybody. */
static int parse_orcpt(struct param p, struct target *t, struct smtp_refusal *r)
{
    struct str address = p.value, type;
    bool ok = p.value.n <= SMTP_ORCPT_MAX && str_cut(&address, ';', &type);

    ok = ok && !str_empty(type) && !str_empty(address) && !str_eq(address, STR("<>"));
    for (size_t i = 0; ok && i < type.n; i++)
        ok = ascii_alnum(type.p[i]) || type.p[i] == '-';
    if (ok && str_eq_ascii(type, STR("utf-8")))
        ok = utf8_address(address, t->smtputf8);
    else
        ok = ok && xtext_no_control(address);
    if (!ok)
        return smtp_refuse_args(r, "ORCPT must be a type, a semicolon and an address as xtext");
    t->rcpt->orcpt = p.value;
    return 0;
}

static const struct param_row mail_params[] = {
    {STR_INIT("SIZE"), parse_size},
    {STR_INIT("BODY"), parse_body},
    {STR_INIT("SMTPUTF8"), parse_smtputf8},
    {STR_INIT("RET"), parse_ret},
    {STR_INIT("ENVID"), parse_envid},
    {STR_INIT("AUTH"), parse_auth},
};

static const struct param_row rcpt_params[] = {
    {STR_INIT("NOTIFY"), parse_notify},
    {STR_INIT("ORCPT"), parse_orcpt},
};

/* RFC 5321 4.1.2 esmtp-keyword and esmtp-value, which RFC 6531 3.3 widens by UTF-8 */
static bool param_valid(struct param p)
{
    if (str_empty(p.name) || !ascii_alnum(p.name.p[0]) || (p.has_value && str_empty(p.value)))
        return false;
    for (size_t i = 0; i < p.name.n; i++)
        if (!ascii_alnum(p.name.p[i]) && p.name.p[i] != '-')
            return false;
    for (size_t i = 0; i < p.value.n; i++)
        if (ascii_control(p.value.p[i]) || p.value.p[i] == '=')
            return false;
    return true;
}

static int parse_params(struct str rest, const struct param_row *rows, size_t count,
    struct target *t, struct smtp_refusal *r)
{
    unsigned seen = 0;

    if (!str_empty(rest) && rest.p[0] != ' ')
        return smtp_refuse_args(r, "a space must follow the address");
    while (!str_empty(rest)) {
        struct str word;
        struct param p;
        size_t i = 0;
        str_cut(&rest, ' ', &word);
        if (str_empty(word))
            continue;
        p.value = word;
        p.has_value = str_cut(&p.value, '=', &p.name);
        if (!param_valid(p))
            return smtp_refuse_args(r, "a parameter is not of the form KEYWORD=value");
        while (i < count && !str_eq_ascii(p.name, rows[i].name))
            i++;
        if (i == count) /* RFC 5321 4.1.1.11 */
            return smtp_refuse(
                r, 555, (struct err_status){5, 5, 4}, "a parameter is not known here");
        if (seen & 1U << i)
            return smtp_refuse_args(r, "a parameter is given twice");
        seen |= 1U << i;
        if (rows[i].parse(p, t, r) < 0)
            return -1;
    }
    return 0;
}

/* Takes "FROM:" or "TO:" off *args, and the white space behind it that many clients send. */
static bool take_word(struct str *args, struct str word)
{
    if (!str_starts_ascii(*args, word))
        return false;
    *args = str_from(*args, word.n);
    while (args->n && args->p[0] == ' ')
        *args = str_from(*args, 1);
    return true;
}

static int refuse_utf8(struct smtp_refusal *r)
{
    return smtp_refuse(r, 553, (struct err_status){5, 6, 7}, "address with UTF-8 without SMTPUTF8");
}

int smtp_mail_parse(struct str args, struct smtp_mail *m, struct smtp_refusal *r)
{
    struct smtp_mail got = {0};
    struct target t = {.mail = &got};

    if (!take_word(&args, STR("FROM:")))
        return smtp_refuse_args(r, "syntax: MAIL FROM:<address> [parameters]");
    if (smtp_path_scan(&args, true, &got.from, r) < 0 ||
        parse_params(args, mail_params, sizeof mail_params / sizeof *mail_params, &t, r) < 0)
        return -1;
    if (got.from.mailbox.utf8 && !got.smtputf8)
        return refuse_utf8(r);
    *m = got;
    return 0;
}

int smtp_rcpt_parse(struct str args, bool smtputf8, struct smtp_rcpt *m, struct smtp_refusal *r)
{
    struct smtp_rcpt got = {0};
    struct target t = {.rcpt = &got, .smtputf8 = smtputf8};

    if (!take_word(&args, STR("TO:")))
        return smtp_refuse_args(r, "syntax: RCPT TO:<address> [parameters]");
    if (smtp_path_scan(&args, false, &got.to, r) < 0 ||
        parse_params(args, rcpt_params, sizeof rcpt_params / sizeof *rcpt_params, &t, r) < 0)
        return -1;
    if (got.to.mailbox.utf8 && !smtputf8)
        return refuse_utf8(r);
    *m = got;
    return 0;
}

static void put_param(struct buf *out, const char *name, struct str value)
{
    if (!str_empty(value))
        buf_printf(out, " %s=%.*s", name, STR_ARG(value));
}

void smtp_mail_print(const struct smtp_mail *m, struct buf *out)
{
    static const struct str ret[] = {
        [SMTP_RET_DEFAULT] = STR_INIT(""),
        [SMTP_RET_FULL] = STR_INIT("FULL"),
        [SMTP_RET_HDRS] = STR_INIT("HDRS"),
    };

    buf_printf(out, "MAIL FROM:<%.*s>", STR_ARG(m->from.address));
    if (m->has_size) {
        buf_put(out, STR(" SIZE="));
        buf_put_u64(out, m->size);
    }
    if (m->body == SMTP_BODY_8BITMIME)
        buf_put(out, STR(" BODY=8BITMIME"));
    if (m->smtputf8)
        buf_put(out, STR(" SMTPUTF8"));
    put_param(out, "RET", ret[m->ret]);
    put_param(out, "ENVID", m->envid);
    put_param(out, "AUTH", m->auth);
}

void smtp_rcpt_print(const struct smtp_rcpt *m, struct buf *out)
{
    static const struct str words[] = {
        STR_INIT("NEVER"), STR_INIT("SUCCESS"), STR_INIT("FAILURE"), STR_INIT("DELAY")};
    const char *separator = " NOTIFY=";

    buf_printf(out, "RCPT TO:<%.*s>", STR_ARG(m->to.address));
    for (unsigned i = 0; i < 4; i++) {
        if (!(m->notify & 1U << i))
            continue;
        buf_printf(out, "%s%.*s", separator, STR_ARG(words[i]));
        separator = ",";
    }
    put_param(out, "ORCPT", m->orcpt);
}
