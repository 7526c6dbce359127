/* A command line: what is taken is printed and parsed again to the same; nothing taken holds a
 * control octet, nor UTF-8 where it was not asked for. */
#include "wire/smtp_command.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/utf8.h"

#include "mail/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        CHECK(!ascii_control(s.p[i]));
}

static void same_path(const struct smtp_path *a, const struct smtp_path *b)
{
    CHECK(str_eq(a->address, b->address));
    CHECK(a->postmaster == b->postmaster && a->mailbox.utf8 == b->mailbox.utf8);
    CHECK(a->address.n <= ADDRESS_MAX);
    clean(a->address);
}

static void fuzz_mail(struct str args)
{
    struct smtp_mail m, again;
    struct smtp_refusal r = {0};
    struct smtp_line l;
    struct buf out;

    if (smtp_mail_parse(args, &m, &r) < 0) {
        CHECK((r.code == 501 || r.code == 553 || r.code == 555) && r.why.status.class == 5);
        return;
    }
    CHECK(m.smtputf8 || ascii_only(m.from.address));
    CHECK(ascii_only(m.envid) && ascii_only(m.auth));
    buf_init(&out, 65536);
    smtp_mail_print(&m, &out);
    CHECK(buf_ok(&out));
    clean(buf_str(&out));
    smtp_line_parse(buf_str(&out), &l);
    CHECK(l.verb == SMTP_MAIL && smtp_mail_parse(l.args, &again, &r) == 0);
    same_path(&m.from, &again.from);
    CHECK(m.size == again.size && m.body == again.body && m.ret == again.ret);
    CHECK(str_eq(m.envid, again.envid) && str_eq(m.auth, again.auth));
    buf_done(&out);
}

static void fuzz_rcpt(struct str args, bool smtputf8)
{
    struct smtp_rcpt m, again;
    struct smtp_refusal r = {0};
    struct smtp_line l;
    struct buf out;

    if (smtp_rcpt_parse(args, smtputf8, &m, &r) < 0) {
        CHECK((r.code == 501 || r.code == 553 || r.code == 555) && r.why.status.class == 5);
        return;
    }
    CHECK(smtputf8 || (ascii_only(m.to.address) && ascii_only(m.orcpt)));
    CHECK(!str_empty(m.to.address));
    CHECK(!(m.notify & SMTP_NOTIFY_NEVER) || m.notify == SMTP_NOTIFY_NEVER);
    buf_init(&out, 65536);
    smtp_rcpt_print(&m, &out);
    CHECK(buf_ok(&out));
    clean(buf_str(&out));
    smtp_line_parse(buf_str(&out), &l);
    CHECK(l.verb == SMTP_RCPT && smtp_rcpt_parse(l.args, smtputf8, &again, &r) == 0);
    same_path(&m.to, &again.to);
    CHECK(m.notify == again.notify && str_eq(m.orcpt, again.orcpt));
    buf_done(&out);
}

static void fuzz_xtext(struct str s)
{
    struct buf decoded, back;

    buf_init(&decoded, 65536);
    buf_init(&back, 65536 * 3);
    if (xtext_decode(s, &decoded) == 0) {
        struct buf twice;
        buf_init(&twice, 65536);
        CHECK(xtext_valid(s) && xtext_encode(buf_str(&decoded), &back) == 0);
        CHECK(xtext_decode(buf_str(&back), &twice) == 0);
        CHECK(str_eq(buf_str(&twice), buf_str(&decoded)));
        buf_done(&twice);
    }
    buf_done(&decoded);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str name, line = str_of((const char *)data, size);
    struct smtp_refusal r;
    struct smtp_bdat b;
    struct smtp_line l;
    bool strict;

    if (size > 4096)
        return 0;
    smtp_line_parse(line, &l);
    CHECK(l.name.n + l.args.n <= size);
    fuzz_mail(l.args);
    fuzz_rcpt(l.args, false);
    fuzz_rcpt(l.args, true);
    if (smtp_helo_parse(l.args, &name, &strict, &r) == 0) {
        clean(name);
        CHECK(ascii_only(name) && name.n <= SMTP_HELO_MAX && str_find(name, '(') < 0);
        CHECK(str_find(name, ' ') < 0 && str_find(name, ')') < 0);
    }
    (void)smtp_bdat_parse(l.args, &b, &r);
    fuzz_xtext(l.args);
    return 0;
}
