#include "wire/smtp_command.h"

#include <stdio.h>

#include "base/unit_test.h"

#include "mail/dsn.h"
#include "mail/testdata.h"
#include "mail/xtext.h"

_Static_assert((int)DSN_NOTIFY_NEVER == SMTP_NOTIFY_NEVER &&
                   (int)DSN_NOTIFY_SUCCESS == SMTP_NOTIFY_SUCCESS &&
                   (int)DSN_NOTIFY_FAILURE == SMTP_NOTIFY_FAILURE &&
                   (int)DSN_NOTIFY_DELAY == SMTP_NOTIFY_DELAY &&
                   (int)DSN_RET_FULL == SMTP_RET_FULL && (int)DSN_RET_HDRS == SMTP_RET_HDRS,
    "what the session read is what notifications understand");

#define X10    "xxxxxxxxxx"
#define X60    X10 X10 X10 X10 X10 X10
#define X100   X60 X10 X10 X10 X10
#define SL20   "\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"
#define NESTED "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("

static void test_lines(void **state)
{
    static const struct {
        struct str line;
        enum smtp_verb verb;
        const char *args;
    } rows[] = {
        {STR_INIT("MAIL FROM:<a@b>"), SMTP_MAIL, "FROM:<a@b>"},
        {STR_INIT("mail From:<a@b>"), SMTP_MAIL, "From:<a@b>"}, /* RFC 5321 2.4 */
        {STR_INIT("RSET    "), SMTP_RSET, ""},
        {STR_INIT("EHLO \t x.example \t"), SMTP_EHLO, "x.example"},
        {STR_INIT(""), SMTP_VERB_UNKNOWN, ""},
        {STR_INIT("MAILFROM:<a@b>"), SMTP_VERB_UNKNOWN, ""},
        {STR_INIT("NOOP\0x"), SMTP_VERB_UNKNOWN, ""},
        {STR_INIT("RSET\n"), SMTP_VERB_UNKNOWN, ""},
        {STR_INIT("B52"), SMTP_VERB_UNKNOWN, ""},
        {STR_INIT("POST / HTTP/1.1"), SMTP_VERB_HTTP, "/ HTTP/1.1"}, /* hostile.md 45 */
        {STR_INIT("XCLIENT ADDR=127.0.0.1"), SMTP_VERB_FOREIGN, "ADDR=127.0.0.1"},
        {STR_INIT("BDAT 86 LAST"), SMTP_BDAT, "86 LAST"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_line l;
        smtp_line_parse(rows[i].line, &l);
        if (l.verb != rows[i].verb || !str_eq(l.args, str_c(rows[i].args)))
            fail_msg("%s: verb %d, args %.*s", rows[i].line.p, l.verb, STR_ARG(l.args));
    }
    assert_true(str_eq(smtp_verb_name(SMTP_STARTTLS), STR("STARTTLS")));
}

/* What a row of MAIL or RCPT must give: the address, or a refusal. */
struct path_row {
    struct str args;
    const char *address;
    uint16_t code, subject, detail;
};

#define TAKES(args, address)                                                                       \
    {                                                                                              \
        STR_INIT(args), address, 0, 0, 0                                                           \
    }
#define REFUSES(args, code, subject, detail)                                                       \
    {                                                                                              \
        STR_INIT(args), NULL, code, subject, detail                                                \
    }

static void check_path(
    const struct path_row *row, int rc, const struct smtp_path *path, const struct smtp_refusal *r)
{
    if (rc == 0 && (!row->address || !str_eq(path->address, str_c(row->address))))
        fail_msg("%s: taken as %.*s", row->args.p, STR_ARG(path->address));
    if (rc == 0)
        return;
    if (row->address || r->code != row->code || r->why.status.class != 5 ||
        r->why.status.subject != row->subject || r->why.status.detail != row->detail)
        fail_msg("%s: %u 5.%u.%u %s", row->args.p, r->code, r->why.status.subject,
            r->why.status.detail, r->why.text);
}

static void test_mail(void **state)
{
    static const struct path_row rows[] = {
        TAKES("FROM:<a@b.example>", "a@b.example"), TAKES("from: <a@b.example>", "a@b.example"),
        TAKES("FROM:<>", ""),
        TAKES("FROM:<@x.example,@y.example:a@b.example>", "a@b.example"), /* app. C */
        TAKES("FROM:<\"a b>\"@[192.0.2.1]> SIZE=3", "\"a b>\"@[192.0.2.1]"),
        TAKES("FROM:<us\xc3\xa9r@b.example> SMTPUTF8", "us\xc3\xa9r@b.example"),
        REFUSES("FROM:<us\xc3\xa9r@b.example>", 553, 6, 7), /* RFC 6531 3.4 */
        REFUSES("FROM:a@b.example", 501, 5, 4), REFUSES("LALA:<>", 501, 5, 4),
        REFUSES("FROM:", 501, 5, 4), REFUSES("FROM:<postmaster>", 501, 1, 7),
        REFUSES("FROM:<a@b.example", 501, 1, 7), REFUSES("FROM:<@x.example:>", 501, 1, 7),
        REFUSES("FROM:<@x.example a@b>", 501, 1, 7), REFUSES("FROM:<a@b.example>SIZE=1", 501, 5, 4),
        REFUSES("FROM:<a\0b@evil.example>", 501, 1, 7),           /* hostile.md 10 */
        REFUSES("FROM:<\xe4@evil.example>", 553, 6, 7),           /* hostile.md 11 */
        REFUSES("FROM:<\xc0\xaf@e.example> SMTPUTF8", 553, 6, 7), /* hostile.md 12 */
        REFUSES("FROM:<a\xe2\x82@e.example> SMTPUTF8", 553, 6, 7),
        TAKES("FROM:<" X60 "xxxx@b.example>", X60 "xxxx@b.example"), /* hostile.md 13 */
        REFUSES("FROM:<" X60 "xxxxx@b.example>", 501, 1, 3),
        REFUSES("FROM:<a@" X60 "xxxx.example>", 501, 1, 3),
        REFUSES("FROM:<a@" X60 "." X60 "." X60 "." X60 ".xxxxxxxxxxx>", 501, 1, 3),
        REFUSES("FROM:<a@" X60 "." X60 "." X60 "." X60 ".xxxxxxxxx>", 501, 1, 3),
        REFUSES("FROM:<@x.example:a@" X60 "." X60 "." X60 "." X60 ".xxxx>", 501, 1, 3),
        REFUSES("FROM:<;sleep 66;@evil.example>", 501, 1, 7),         /* hostile.md 53 */
        REFUSES("FROM:<any@there.example(.evil.example>", 501, 1, 7), /* hostile.md 115 */
        REFUSES("FROM:<\"\\" SL20 SL20 SL20 SL20 SL20 SL20 SL20 SL20 SL20 SL20 SL20 SL20 SL20 ">",
            501, 1, 3), /* hostile.md 57 */
        REFUSES("FROM:<" NESTED NESTED NESTED NESTED "a@b>", 501, 1, 3),
        TAKES("FROM:<a@b> SIZE=52428800", "a@b"), /* RFC 1870 */
        TAKES("FROM:<a@b> SIZE=18446744073709551615", "a@b"),
        REFUSES("FROM:<a@b> SIZE=99999999999999999999", 501, 5, 4), /* hostile.md 14 */
        REFUSES("FROM:<a@b> SIZE=-1", 501, 5, 4), REFUSES("FROM:<a@b> SIZE=1 SIZE=2", 501, 5, 4),
        REFUSES("FROM:<a@b> SIZE=", 501, 5, 4), REFUSES("FROM:<a@b> SIZE", 501, 5, 4),
        REFUSES("FROM:<a@b> AUTH=\"", 501, 5, 4), /* hostile.md 15 */
        REFUSES("FROM:<a@b> =\"", 501, 5, 4), REFUSES("FROM:<a@b> X", 555, 5, 4),
        REFUSES("FROM:<a@b> AUTH=x+0D+0ARCPT", 501, 5, 4), /* hostile.md 16 */
        TAKES("FROM:<a@b> AUTH=<>", "a@b"),                /* RFC 4954 5 */
        TAKES("FROM:<a@b> AUTH=e+3Dmc2@example.com", "a@b"),
        TAKES("FROM:<a@b> BODY=8bitmime  RET=HDRS ENVID=QQ+2B314 ", "a@b"),
        REFUSES("FROM:<a@b> BODY=BINARYMIME", 501, 5, 4),
        REFUSES("FROM:<a@b> SMTPUTF8=1", 501, 5, 4),
        REFUSES("FROM:<a@b> RET=ALL", 501, 5, 4), /* RFC 3461 4.3 */
        REFUSES("FROM:<a@b> ENVID=a+0Ab", 501, 5, 4), TAKES("FROM:<a@b> ENVID=" X100, "a@b"),
        REFUSES("FROM:<a@b> ENVID=" X100 "x", 501, 5, 4),
        REFUSES("FROM:<a@b> NOTIFY=NEVER", 555, 5, 4), /* belongs to RCPT */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_mail m = {0};
        struct smtp_refusal r = {0};
        int rc = smtp_mail_parse(rows[i].args, &m, &r);
        check_path(&rows[i], rc, &m.from, &r);
    }
}

static void test_rcpt(void **state)
{
    static const struct path_row rows[] = {
        TAKES("TO:<a@b.example>", "a@b.example"),
        TAKES("TO:<Postmaster>", "Postmaster"), /* RFC 5321 4.5.1 */
        REFUSES("TO:<>", 501, 1, 3),
        REFUSES("TO:<abuse>", 501, 1, 3),
        TAKES("TO:<b%there.example@here.example>", "b%there.example@here.example"), /* 31 */
        TAKES("TO:<\"b@there.example\"@here.example>",
            "\"b@there.example\"@here.example"),                        /* hostile.md 32 */
        REFUSES("TO:<\"b@there.example\">", 501, 1, 3),                 /* hostile.md 32 */
        REFUSES("TO:<b@there.example@here.example>", 501, 1, 3),        /* hostile.md 33 */
        TAKES("TO:<@here.example:b@there.example>", "b@there.example"), /* hostile.md 34 */
        REFUSES("TO:<user@here.example.>", 501, 1, 3),                  /* hostile.md 56 */
        REFUSES("TO:<user@[300.1.1.1]>", 501, 1, 3),
        TAKES("TO:<user@[127.0.0.1]>", "user@[127.0.0.1]"),
        TAKES("TO:<-oQ/tmp@here.example>", "-oQ/tmp@here.example"),  /* hostile.md 53 */
        REFUSES("TO:<../../../etc/passwd@here.example>", 501, 1, 3), /* hostile.md 55 */
        TAKES("TO:<a@b> NOTIFY=SUCCESS,delay ORCPT=rfc822;c@d", "a@b"),
        REFUSES("TO:<a@b> NOTIFY=NEVER,SUCCESS", 501, 5, 4), /* RFC 3461 4.1 */
        REFUSES("TO:<a@b> NOTIFY=", 501, 5, 4),
        REFUSES("TO:<a@b> NOTIFY=SUCCESS,", 501, 5, 4),
        REFUSES("TO:<a@b> ORCPT=c@d", 501, 5, 4), /* RFC 3461 4.2 */
        REFUSES("TO:<a@b> ORCPT=rfc822;", 501, 5, 4),
        REFUSES("TO:<a@b> ORCPT=rfc822;a+0Db", 501, 5, 4),
        TAKES("TO:<a@b> ORCPT=rfc822;j+C3+BCrgen@d", "a@b"), /* as Postfix has it for RFC 6531 */
        REFUSES("TO:<a@b> ORCPT=rfc822;\xc3\xa9", 501, 5, 4),
        TAKES("TO:<a@b> ORCPT=utf-8;\\x{E9}@d", "a@b"), /* RFC 6533 3 */
        REFUSES("TO:<a@b> ORCPT=utf-8;\\x{E9@d", 501, 5, 4),
        TAKES("TO:<a@b> ORCPT=utf-8;\xc3\xa9@d", "a@b"),
        REFUSES("TO:<a@b> ORCPT=utf-8;\xc3@d", 501, 5, 4),
        REFUSES("TO:<a@b> SIZE=1", 555, 5, 4),
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_rcpt m = {0};
        struct smtp_refusal r = {0};
        int rc = smtp_rcpt_parse(rows[i].args, true, &m, &r);
        check_path(&rows[i], rc, &m.to, &r);
    }
}

static void test_values(void **state)
{
    struct smtp_mail m;
    struct smtp_rcpt t;
    struct smtp_refusal r;
    (void)state;
    assert_int_equal(smtp_mail_parse(STR("FROM:<a@b> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=HDRS "
                                         "ENVID=Q+2B AUTH=<>"),
                         &m, &r),
        0);
    assert_true(m.has_size && m.size == 7 && m.body == SMTP_BODY_8BITMIME && m.smtputf8);
    assert_true(m.ret == SMTP_RET_HDRS && str_eq(m.envid, STR("Q+2B")));
    assert_true(str_eq(m.auth, STR("<>")));
    assert_int_equal(
        smtp_rcpt_parse(STR("TO:<a@b> ORCPT=rfc822;c@d NOTIFY=DELAY,FAILURE"), false, &t, &r), 0);
    assert_int_equal(t.notify, SMTP_NOTIFY_DELAY | SMTP_NOTIFY_FAILURE);
    assert_true(str_eq(t.orcpt, STR("rfc822;c@d")));
    assert_int_equal(smtp_rcpt_parse(STR("TO:<\xc3\xa9@b>"), false, &t, &r), -1);
    assert_int_equal(r.code, 553);
}

static void test_helo(void **state)
{
    static const struct {
        struct str args;
        bool ok, strict;
    } rows[] = {
        {STR_INIT("mx.example.org"), true, true}, /* RFC 5321 4.1.3 */
        {STR_INIT("[192.0.2.1]"), true, true}, {STR_INIT("[IPv6:2001:db8::1]"), true, true},
        {STR_INIT("my_host"), true, false}, {STR_INIT("192.0.2.1"), true, true},
        {STR_INIT("2001:db8::1"), true, false}, {STR_INIT("x.example."), true, false},
        {STR_INIT(""), false, false},
        {STR_INIT("foo\nX-Injected: yes"), false, false}, /* hostile.md 37 */
        {STR_INIT("foo) by fake ("), false, false}, {STR_INIT("a b"), false, false},
        {STR_INIT("a\0b"), false, false},
        {STR_INIT("b\xc3\xbc"
                  "cher.example"),
            false, false}, /* RFC 6531 3.7.1: A-labels */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str name;
        bool strict;
        struct smtp_refusal r;
        bool ok = smtp_helo_parse(rows[i].args, &name, &strict, &r) == 0;
        if (ok != rows[i].ok || (ok && strict != rows[i].strict) || (!ok && r.code != 501))
            fail_msg("%s", rows[i].args.p);
    }
}

static void test_bdat(void **state)
{
    static const struct {
        const char *args;
        bool ok, last;
        uint64_t size;
    } rows[] = {
        {"86 LAST", true, true, 86}, /* RFC 3030 2 */
        {"0 last", true, true, 0},
        {"1000", true, false, 1000},
        {"18446744073709551615 LAST", true, true, UINT64_MAX}, /* hostile.md 25 */
        {"18446744073709551616", false, false, 0},
        {"-1", false, false, 0},
        {"1 LASTX", false, false, 0},
        {"", false, false, 0},
        {"0x10", false, false, 0},
        {"1 LAST LAST", false, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_bdat b;
        struct smtp_refusal r;
        bool ok = smtp_bdat_parse(str_c(rows[i].args), &b, &r) == 0;
        if (ok != rows[i].ok || (ok && (b.last != rows[i].last || b.size != rows[i].size)))
            fail_msg("%s", rows[i].args);
    }
}

static void test_xtext(void **state)
{
    static const struct {
        struct str text, octets;
        bool ok;
    } rows[] = {
        {STR_INIT("a+2B+3Db"), STR_INIT("a+=b"), true}, /* RFC 3461 4 */
        {STR_INIT("+00"), STR_INIT("\0"), true},
        {STR_INIT(""), STR_INIT(""), true},
        {STR_INIT("+2b"), STR_INIT(""), false},
        {STR_INIT("+2"), STR_INIT(""), false},
        {STR_INIT("++"), STR_INIT(""), false},
        {STR_INIT("a b"), STR_INIT(""), false},
        {STR_INIT("a=b"), STR_INIT(""), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out, back;
        buf_init(&out, 100);
        buf_init(&back, 100);
        bool ok = xtext_decode(rows[i].text, &out) == 0;
        if (ok != rows[i].ok || ok != xtext_valid(rows[i].text) ||
            !str_eq(buf_str(&out), rows[i].octets))
            fail_msg("%s", rows[i].text.p);
        if (ok) {
            assert_int_equal(xtext_encode(rows[i].octets, &back), 0);
            assert_true(str_eq(buf_str(&back), rows[i].text));
        }
        buf_done(&out);
        buf_done(&back);
    }
}

/* A table of paths: is each taken (or refused) as its author says? Rows about options that SMTP has
 * not are left out. What differs: dot-strings that RFC 5321 forbids are taken there; UTF-8 and the
 * null path are taken here. */
static void check_paths(const char *table, bool valid, bool brackets, unsigned differ)
{
    json_t *cases = testdata_cases(table);
    unsigned agree = 0, of = 0;
    size_t i;
    json_t *row;

    json_array_foreach(cases, i, row)
    {
        struct buf path, args;
        struct smtp_mail m;
        struct smtp_refusal r;
        const char *flags = json_string_value(json_object_get(row, "flags"));
        bool lenient = flags && !str_eq(str_c(flags), STR("SMTP_ADDRESS_PARSE_FLAG_ALLOW_EMPTY"));
        if (!testdata_string(json_object_get(row, "input"), &path) || (lenient && valid)) {
            buf_done(&path);
            continue;
        }
        buf_init(&args, 4096);
        buf_printf(&args, "FROM:%s%.*s%s SMTPUTF8", brackets ? "<" : "", STR_ARG(buf_str(&path)),
            brackets ? ">" : "");
        bool ok = smtp_mail_parse(buf_str(&args), &m, &r) == 0;
        of++;
        if (ok == valid)
            agree++;
        else
            printf("%s: %s %.*s\n", table, ok ? "taken:" : "refused:", STR_ARG(buf_str(&args)));
        buf_done(&path);
        buf_done(&args);
    }
    if (cases)
        testdata_report(table, agree, of);
    json_decref(cases);
    assert_int_equal(agree, of < differ ? 0 : of - differ);
}

static void test_paths_of_others(void **state)
{
    (void)state;
    check_paths(
        "smtp/dovecot-smtp-tables/smtp-address.valid_path_parse_tests.json", true, false, 0);
    check_paths(
        "smtp/dovecot-smtp-tables/smtp-address.invalid_path_parse_tests.json", false, false, 1);
    check_paths(
        "smtp/dovecot-smtp-tables/smtp-address.valid_mailbox_parse_tests.json", true, true, 3);
    check_paths(
        "smtp/dovecot-smtp-tables/smtp-address.invalid_mailbox_parse_tests.json", false, true, 1);
}

static void check_params(const char *table, bool sender, bool valid)
{
    json_t *cases = testdata_cases(table);
    unsigned agree = 0, of = 0;
    size_t i;
    json_t *row;

    json_array_foreach(cases, i, row)
    {
        const char *input = json_string_value(json_object_get(row, "input"));
        struct smtp_mail m;
        struct smtp_rcpt t;
        struct smtp_refusal r;
        struct buf args;
        /* A row without capabilities tests a server without the extension; one has others. */
        if (!json_object_get(row, "caps") || json_object_get(row, "body_extensions"))
            continue;
        buf_init(&args, 4096);
        buf_printf(&args, "%s:<a@b> %s", sender ? "FROM" : "TO", input);
        bool ok = (sender ? smtp_mail_parse(buf_str(&args), &m, &r)
                          : smtp_rcpt_parse(buf_str(&args), false, &t, &r)) == 0;
        of++;
        agree += ok == valid;
        if (ok != valid)
            fail_msg("%s: %s", table, input);
        buf_done(&args);
    }
    if (cases)
        testdata_report(table, agree, of);
    json_decref(cases);
}

static void test_params_of_others(void **state)
{
    (void)state;
    check_params(
        "smtp/dovecot-smtp-tables/smtp-params.valid_mail_params_parse_tests.json", true, true);
    check_params(
        "smtp/dovecot-smtp-tables/smtp-params.invalid_mail_params_parse_tests.json", true, false);
    check_params(
        "smtp/dovecot-smtp-tables/smtp-params.valid_rcpt_params_parse_tests.json", false, true);
    check_params(
        "smtp/dovecot-smtp-tables/smtp-params.invalid_rcpt_params_parse_tests.json", false, false);
}

static void test_lines_of_others(void **state)
{
    const char *table = "smtp/dovecot-smtp-tables/smtp-command-parser.valid_command_parse_tests."
                        "json";
    json_t *cases = testdata_cases(table), *row;
    unsigned agree = 0;
    size_t i;
    (void)state;

    json_array_foreach(cases, i, row)
    {
        struct smtp_line l;
        struct str line = str_c(json_string_value(json_object_get(row, "command")));
        smtp_line_parse(str_head(line, line.n - 2), &l);
        assert_true(str_eq(l.name, str_c(json_string_value(json_object_get(row, "cmd_name")))));
        assert_true(str_eq(l.args, str_c(json_string_value(json_object_get(row, "cmd_params")))));
        agree++;
    }
    if (cases)
        testdata_report(table, agree, agree);
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_mail),
        cmocka_unit_test(test_rcpt),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_helo),
        cmocka_unit_test(test_bdat),
        cmocka_unit_test(test_xtext),
        cmocka_unit_test(test_paths_of_others),
        cmocka_unit_test(test_params_of_others),
        cmocka_unit_test(test_lines_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
