#include "mail/dsn.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/unit_test.h"
#include "base/utf8.h"

#include "mail/dsn_check.h"
#include "mail/mime.h"
#include "mail/transfer.h"

#define ORIGINAL_HEADER                                                                            \
    "From: Alice <alice@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"                  \
    "Message-ID: <m1@example.org>\r\n\r\n"

static struct dsn_rcpt one_rcpt(void)
{
    return (struct dsn_rcpt){
        .kind = DSN_FAILED,
        .address = STR("bob@example.net"),
        .status = {5, 1, 1},
        .remote_host = STR("mx.example.net"),
        .remote_ip = STR("192.0.2.7"),
        .reply = STR("550-5.1.1 No such user\n550 5.1.1 Try another"),
        .attempt_ms = 1700000000000,
    };
}

static struct dsn one_dsn(const struct dsn_rcpt *r)
{
    return (struct dsn){
        .host = STR("mail.example.org"),
        .from_name = STR("Mail Delivery System"),
        .from = STR("postmaster@example.org"),
        .recipient = STR("alice@example.org"),
        .id = STR("01J9ZZ"),
        .now_ms = 1700000001000,
        .arrived_ms = 1699999999000,
        .rcpts = r,
        .rcpt_count = 1,
        .prefix = STR("Received: from a by b\r\n"),
        .header = STR(ORIGINAL_HEADER),
        .body = STR("Hello\r\n"),
    };
}

/* Builds and checks it; the caller frees the buffer. */
static struct dsn_form build(const struct dsn *d, struct buf *out)
{
    struct dsn_form form = {0};
    struct err e;
    buf_init(out, dsn_size_max(d));
    assert_int_equal(dsn_build(d, out, &form, &e), 0);
    dsn_check(d, buf_str(out), &form);
    return form;
}

static bool has(const struct buf *out, const char *text)
{
    bool found = str_find_str(buf_str(out), str_c(text)) >= 0;
    if (!found)
        printf("  no \"%s\" in:\n%.*s\n", text, STR_ARG(buf_str(out)));
    return found;
}

static void test_failed(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "From: Mail Delivery System\r\n <postmaster@example.org>\r\n",
        "To: <alice@example.org>\r\n",
        "Subject: Undelivered Mail Returned to Sender\r\n",
        "Date: Tue, 14 Nov 2023 22:13:21 +0000\r\n",
        "Message-ID: <01J9ZZ@mail.example.org>\r\n",
        "In-Reply-To: <m1@example.org>\r\n",
        "Auto-Submitted: auto-replied\r\n", /* RFC 3834 5 */
        "report-type=delivery-status",
        "\r\nReporting-MTA: dns; mail.example.org\r\nArrival-Date: Tue, 14 Nov 2023",
        "\r\n\r\nFinal-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Remote-MTA: dns; mx.example.net\r\n"
        "Diagnostic-Code: smtp; 550-5.1.1 No such user 550 5.1.1 Try another\r\n"
        "Last-Attempt-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
        "There is no such mailbox.",
        "mx.example.net [192.0.2.7] said:\r\n        550-5.1.1 No such user\r\n",
        "Content-Type: message/rfc822\r\n",
        "\r\n\r\nReceived: from a by b\r\nFrom: Alice <alice@example.org>\r\n",
        "\r\n\r\nHello\r\n\r\n--=_01J9ZZ--\r\n",
    };
    struct dsn_rcpt r = one_rcpt();
    struct dsn d = one_dsn(&r);
    struct buf out;
    struct dsn_form form = build(&d, &out);
    assert_true(form.whole && !form.eight_bit && !form.smtputf8);
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++)
        assert_true(has(&out, wanted[i]));
    assert_false(has(&out, "Original-Recipient"));
    buf_done(&out);
}

/* What the third part is: RFC 3461 4.3 and 6.2, RFC 6522 3, RFC 6533 5. */
static void test_original(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        enum dsn_kind kind;
        enum dsn_ret ret;
        bool smtputf8, utf8, long_body;
        const char *header, *body, *type;
        bool whole, eight, smtputf8_out;
    } rows[] = {
        {"full", DSN_FAILED, DSN_RET_FULL, 0, 0, 0, "A: b\r\n\r\n", "x\r\n", "message/rfc822", 1, 0,
            0},
        {"headers", DSN_FAILED, DSN_RET_HDRS, 0, 0, 0, "A: b\r\n\r\n", "x\r\n",
            "text/rfc822-headers", 0, 0, 0},
        {"no failure", DSN_DELAYED, DSN_RET_FULL, 0, 0, 0, "A: b\r\n\r\n", "x\r\n",
            "text/rfc822-headers", 0, 0, 0},
        {"success", DSN_DELIVERED, DSN_RET_FULL, 0, 0, 0, "A: b\r\n\r\n", "x\r\n",
            "text/rfc822-headers", 0, 0, 0},
        {"large", DSN_FAILED, DSN_RET_FULL, 0, 0, 1, "A: b\r\n\r\n", "x\r\n", "text/rfc822-headers",
            0, 0, 0},
        {"8-bit body", DSN_FAILED, 0, 0, 0, 0, "A: b\r\n\r\n", "\xc3\xbc\r\n", "message/rfc822", 1,
            1, 0},
        {"raw header", DSN_FAILED, 0, 0, 0, 0, "A: \xfc\r\n\r\n", "x\r\n", "message/rfc822", 1, 1,
            0},
        {"raw header alone", DSN_FAILED, DSN_RET_HDRS, 0, 0, 0, "A: \xfc\r\n\r\n", "x\r\n",
            "text/rfc822-headers", 0, 0, 0},
        {"global, to ASCII", DSN_FAILED, 0, 1, 0, 0, "A: \xc3\xbc\r\n\r\n", "x\r\n",
            "message/global", 1, 0, 0},
        {"global", DSN_FAILED, 0, 1, 1, 0, "A: \xc3\xbc\r\n\r\n", "x\r\n", "message/global", 1, 1,
            1},
        {"global headers", DSN_DELAYED, 0, 1, 1, 0, "A: \xc3\xbc\r\n\r\n", "x\r\n",
            "message/global-headers", 0, 1, 1},
        {"global headers, to ASCII", DSN_DELAYED, 0, 1, 0, 0, "A: \xc3\xbc\r\n\r\n", "x\r\n",
            "message/global-headers", 0, 0, 0},
        {"UTF-8 unused", DSN_FAILED, 0, 1, 1, 0, "A: b\r\n\r\n", "x\r\n", "message/rfc822", 1, 0,
            0},
    };
    unsigned bad = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct dsn_rcpt r = one_rcpt();
        struct dsn d = one_dsn(&r);
        struct buf out;
        char type[80];
        r.kind = rows[i].kind;
        d.ret = rows[i].ret;
        d.smtputf8 = rows[i].smtputf8;
        d.utf8 = rows[i].utf8;
        d.header = str_c(rows[i].header);
        d.body = str_c(rows[i].body);
        d.content_max = rows[i].long_body ? 2 : 0;
        struct dsn_form form = build(&d, &out);
        snprintf(type, sizeof type, "Content-Type: %s\r\n", rows[i].type);
        if (form.whole != rows[i].whole || form.eight_bit != rows[i].eight ||
            form.smtputf8 != rows[i].smtputf8_out || !has(&out, type)) {
            printf("  %s: whole %d, 8-bit %d, SMTPUTF8 %d\n", rows[i].row, form.whole,
                form.eight_bit, form.smtputf8);
            bad++;
        }
        buf_done(&out);
    }
    assert_int_equal(bad, 0);
}

/* How addresses are told: RFC 3464 2.1.2 and 2.3.1, RFC 3461 4.2, RFC 6533 3. */
static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address, *orcpt;
        bool utf8;
        const char *wanted;
    } rows[] = {
        {"b@x", "rfc822;a+2Bb@x", 0, "\r\nOriginal-Recipient: rfc822; a+b@x\r\n"},
        {"b@x", "Rfc822;a@x", 0, "\r\nOriginal-Recipient: Rfc822; a@x\r\n"},
        {"b@x", "x400;c=de", 0, "\r\n\r\nFinal-Recipient"}, /* "=" is no xtext */
        {"b@x", "x400;c+3Dde", 0, "\r\nOriginal-Recipient: x400; c=de\r\n"},
        {"b@x", "no type", 0, "\r\n\r\nFinal-Recipient"},
        {"b@x", ";a@x", 0, "\r\n\r\nFinal-Recipient"},
        {"b@x", "a\r\nb;a@x", 0, "\r\n\r\nFinal-Recipient"},
        {"b@x", "rfc822;a+0D+0AAction:+20delivered", 0,
            "\r\nOriginal-Recipient: rfc822; a+0D+0AAction:+20delivered\r\n"},
        {"b@x", "rfc822;+C3+BC@x", 0, "\r\nOriginal-Recipient: utf-8; \\x{FC}@x\r\n"},
        {"b@x", "utf-8;\\x{FC}@x", 0, "\r\nOriginal-Recipient: utf-8; \\x{FC}@x\r\n"},
        {"b@x", "utf-8;\xc3\xbc@x", 0, "\r\nOriginal-Recipient: utf-8; \\x{FC}@x\r\n"},
        {"b@x", "utf-8;\\x{FC}\\x{2B}@x", 1,
            "\r\nOriginal-Recipient: utf-8; \xc3\xbc\\x{2B}@x\r\n"},
        {"b@x", "utf-8;\\x{D800}@x", 1, "\r\n\r\nFinal-Recipient"},
        {"b@x", "utf-8;\\x{A}@x", 1, "\r\n\r\nFinal-Recipient"},
        {"b@x", "utf-8;\\x{FFFFFFFFF}@x", 1, "\r\n\r\nFinal-Recipient"},
        {"\"a b\"@x", "", 0, "\r\nFinal-Recipient: rfc822; \"a b\"@x\r\n"},
        {"\xc3\xbc@x", "", 0, "\r\nFinal-Recipient: utf-8; \\x{FC}@x\r\n"},
        {"\xc3\xbc@x", "", 1, "\r\nFinal-Recipient: utf-8; \xc3\xbc@x\r\n"},
        {"a\r\nAction: x", "", 0, "\r\nFinal-Recipient: rfc822; a+0D+0AAction:+20x\r\n"},
        {"a\xff@x", "", 1, "\r\nFinal-Recipient: rfc822; a+FF@x\r\n"},
    };
    unsigned bad = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct dsn_rcpt r = one_rcpt();
        struct dsn d = one_dsn(&r);
        struct buf out;
        r.address = str_c(rows[i].address);
        r.orcpt = str_c(rows[i].orcpt);
        d.utf8 = rows[i].utf8;
        build(&d, &out);
        if (!has(&out, rows[i].wanted)) {
            printf("  row %zu: %s %s\n", i, rows[i].address, rows[i].orcpt);
            bad++;
        }
        buf_done(&out);
    }
    assert_int_equal(bad, 0);
}

/* hostile.md 64, G7: each place of a notification in turn holds what would end it. */
static void test_injection(void **state)
{
    (void)state;
    static const char evil[] = "x\r\nBcc: v@x\r\n\r\n--=_01J9ZZ\r\nContent-Type: text/html\r\n\r\n"
                               "<b>\0\x1b[2J\xff\xe2\x80\xae\r--=_01J9ZZ--\n.\r\nQUIT\n";
    struct str s = str_of(evil, sizeof evil - 1);
    for (int place = 0; place < 16; place++) {
        struct dsn_rcpt r = one_rcpt();
        struct dsn d = one_dsn(&r);
        struct buf out;
        struct str *places[] = {&d.host, &d.from_name, &d.from, &d.recipient, &d.envid, &d.prefix,
            &d.header, &d.body, &r.address, &r.orcpt, &r.remote_host, &r.remote_ip, &r.reply,
            &r.error, &r.why, &r.advice};
        assert_int_equal(ARRAY_COUNT(places), 16);
        *places[place] = s;
        if (places[place] == &r.error)
            r.reply = STR_NONE;
        build(&d, &out);
        buf_done(&out);
        d.utf8 = true;
        build(&d, &out);
        buf_done(&out);
    }
}

/* Long text is cut or folded. */
static void test_long(void **state)
{
    (void)state;
    struct buf word, words;
    buf_init(&word, 70000);
    buf_init(&words, 70000);
    for (int i = 0; i < 60000; i++) {
        buf_put_c(&word, 'w');
        buf_put_c(&words, i % 7 ? 'w' : ' ');
    }
    for (int i = 0; i < 2; i++) {
        struct str s = buf_str(i ? &words : &word);
        struct dsn_rcpt r = {DSN_FAILED, s, s, {5, 0, 0}, s, s, s, s, s, s, 0, 0};
        struct dsn d = one_dsn(&r);
        struct buf out;
        d.host = d.from_name = d.from = d.recipient = d.envid = d.prefix = d.header = s;
        build(&d, &out);
        buf_done(&out);
    }
    struct buf id, out;
    struct dsn_rcpt r = one_rcpt();
    struct dsn d = one_dsn(&r);
    buf_init(&id, 2000);
    buf_printf(&id, "Message-ID: <%.*s@x>\r\n", 990, word.p);
    d.header = buf_str(&id);
    build(&d, &out);
    buf_done(&out);
    buf_done(&id);
    buf_done(&word);
    buf_done(&words);
}

/* A boundary that stands in the message is not taken. */
static void test_boundary(void **state)
{
    (void)state;
    struct dsn_rcpt r = one_rcpt();
    struct dsn d = one_dsn(&r);
    struct buf body, out;
    buf_init(&body, DSN_CONTENT_MAX);
    for (int i = 0; i < 36 * 3; i++)
        buf_printf(&body, "--=_01J9ZZ%c%c\r\n", "0123456789abcdefghijklmnopqrstuvwxyz"[i % 36],
            "0123456789abcdefghijklmnopqrstuvwxyz"[i / 36]);
    d.body = buf_str(&body);
    build(&d, &out);
    assert_true(has(&out, "boundary=\"=_01J9ZZ03\""));
    buf_done(&out);
    buf_done(&body);
}

static void test_many(void **state)
{
    (void)state;
    enum {
        COUNT = 150
    };
    static struct dsn_rcpt r[COUNT];
    struct buf out;
    for (int i = 0; i < COUNT; i++) {
        r[i] = one_rcpt();
        r[i].kind = i % 2 ? DSN_DELAYED : DSN_DELIVERED;
        r[i].until_ms = 1800000000000;
        r[i].status = (struct err_status){0};
    }
    r[7].kind = DSN_FAILED;
    struct dsn d = one_dsn(r);
    d.rcpt_count = COUNT;
    build(&d, &out);
    assert_true(has(&out, "Subject: Undelivered Mail")); /* the worst of them */
    assert_true(has(&out, "Status: 5.0.0\r\n") && has(&out, "Status: 4.0.0\r\n") &&
                has(&out, "Status: 2.0.0\r\n"));
    assert_true(has(&out, "Will-Retry-Until: Fri, 15 Jan 2027"));
    buf_done(&out);
}

static void test_wanted(void **state)
{
    (void)state;
    static const struct {
        uint8_t notify;
        enum dsn_kind kind;
        bool null, rule_delay, rule_success, wanted;
    } rows[] = {
        {DSN_NOTIFY_DEFAULT, DSN_FAILED, 0, 0, 0, 1},
        {DSN_NOTIFY_DEFAULT, DSN_FAILED, 1, 1, 1, 0}, /* RFC 5321 4.5.5, hostile.md 46 */
        {DSN_NOTIFY_DEFAULT, DSN_DELAYED, 0, 0, 0, 0},
        {DSN_NOTIFY_DEFAULT, DSN_DELAYED, 0, 1, 0, 1},
        {DSN_NOTIFY_DEFAULT, DSN_DELIVERED, 0, 1, 1, 0},
        {DSN_NOTIFY_DEFAULT, DSN_RELAYED, 0, 1, 1, 0},
        {DSN_NOTIFY_NEVER, DSN_FAILED, 0, 1, 1, 0}, /* RFC 3461 4.1 */
        {DSN_NOTIFY_NEVER, DSN_DELAYED, 0, 1, 1, 0},
        {DSN_NOTIFY_NEVER | DSN_NOTIFY_FAILURE, DSN_FAILED, 0, 1, 1, 0},
        {DSN_NOTIFY_SUCCESS, DSN_FAILED, 0, 1, 1, 0}, /* only what was asked for */
        {DSN_NOTIFY_SUCCESS, DSN_DELAYED, 0, 1, 1, 0},
        {DSN_NOTIFY_SUCCESS, DSN_DELIVERED, 0, 1, 1, 1},
        {DSN_NOTIFY_SUCCESS, DSN_DELIVERED, 0, 1, 0, 0}, /* the switch for strangers */
        {DSN_NOTIFY_SUCCESS, DSN_DELIVERED, 1, 1, 1, 0},
        {DSN_NOTIFY_SUCCESS, DSN_RELAYED, 0, 0, 1, 1},  /* RFC 3461 5.2.2 */
        {DSN_NOTIFY_SUCCESS, DSN_EXPANDED, 0, 0, 1, 1}, /* RFC 3461 5.2.7 */
        {DSN_NOTIFY_FAILURE, DSN_FAILED, 0, 0, 0, 1},
        {DSN_NOTIFY_FAILURE, DSN_DELAYED, 0, 1, 0, 0},
        {DSN_NOTIFY_DELAY, DSN_DELAYED, 0, 0, 0, 1},
        {DSN_NOTIFY_DELAY | DSN_NOTIFY_FAILURE, DSN_FAILED, 0, 0, 0, 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct dsn_rules rules = {.delay = rows[i].rule_delay, .success = rows[i].rule_success};
        struct str path = rows[i].null ? STR_NONE : STR("a@x");
        if (dsn_wanted(rows[i].notify, rows[i].kind, path, &rules) != rows[i].wanted)
            fail_msg("row %zu", i);
    }
    assert_true(dsn_relay_silently(DSN_NOTIFY_NEVER) && !dsn_relay_silently(DSN_NOTIFY_DELAY));
}

static void test_explain(void **state)
{
    (void)state;
    static const struct {
        struct err_status status;
        uint16_t code;
        const char *why;
    } rows[] = {
        {{5, 1, 1}, 550, "There is no such mailbox."},
        {{4, 2, 2}, 452, "The mailbox is full."},
        {{5, 2, 99}, 0, "Something is wrong with the mailbox."}, /* RFC 3463 2: X.S.0 */
        {{5, 0, 0}, 552, "The mailbox is full."},                /* RFC 5321 4.2.3 */
        {{5, 0, 0}, 550, "The other mail system refused the address or the message."},
        {{4, 0, 0}, 459, "The other mail system put the message off."},
        {{5, 99, 1}, 0, "Delivery failed."},
        {{2, 0, 0}, 250, "It was taken without complaint."},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_true(str_eq(dsn_explain(rows[i].status, rows[i].code).why, str_c(rows[i].why)));
    for (unsigned subject = 0; subject < 10; subject++) {
        for (unsigned detail = 0; detail < 40; detail++) {
            struct err_status status = {5, (uint16_t)subject, (uint16_t)detail};
            struct dsn_words words = dsn_explain(status, 0);
            assert_true(words.why.n > 0 && words.advice.n > 0 && ascii_only(words.why));
        }
    }
}

static void test_memory(void **state)
{
    (void)state;
    struct dsn_rcpt r = one_rcpt();
    struct dsn d = one_dsn(&r);
    d.smtputf8 = true;
    d.header = STR("Subject: \xc3\xbc\r\n\r\n");
    for (uint64_t n = 1;; n++) {
        struct buf out;
        struct dsn_form form;
        struct err e = {0};
        buf_init(&out, dsn_size_max(&d));
        mem_fail_at(n);
        int result = dsn_build(&d, &out, &form, &e);
        bool reached = mem_fail_at(0) < n;
        buf_done(&out);
        if (result == 0 && reached)
            break;
        if (result < 0)
            assert_int_equal(e.class, ERR_TEMPORARY);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_original),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_boundary),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
