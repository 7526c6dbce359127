#include "wire/smtp_reply.h"

#include <stdio.h>

#include "base/unit_test.h"

#include "mail/testdata.h"

static void test_lines(void **state)
{
    static const struct {
        uint16_t code;
        struct err_status status;
        bool last;
        struct str text;
        const char *line;
    } rows[] = {
        {250, {2, 1, 5}, true, STR_INIT("ok"), "250 2.1.5 ok\r\n"}, /* RFC 2034 4 */
        {250, {0}, false, STR_INIT("SIZE 1"), "250-SIZE 1\r\n"},    /* RFC 5321 4.2.1 */
        {220, {0}, true, STR_INIT(""), "220 \r\n"},
        {550, {5, 1, 1}, true, STR_INIT("a\r\n250 b\0"),
            "550 5.1.1 a\\r\\n250 b\\x00\r\n"}, /* G7 */
        {550, {5, 1, 1}, true, STR_INIT("\xc3\xa9"),
            "550 5.1.1 \\xc3\\xa9\r\n"}, /* RFC 6531 3.7.4 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[SMTP_REPLY_LINE_MAX];
        struct str line =
            smtp_reply_line(out, rows[i].code, rows[i].status, rows[i].last, rows[i].text);
        if (!str_eq(line, str_c(rows[i].line)))
            fail_msg("%s: %.*s", rows[i].line, STR_ARG(line));
    }
}

/* RFC 5321 4.5.3.1.5 */
static void test_length(void **state)
{
    char text[2000], out[SMTP_REPLY_LINE_MAX];
    struct str line;
    (void)state;
    memset(text, 'x', sizeof text);
    line = smtp_reply_line(out, 550, (struct err_status){5, 1, 1}, true, str_of(text, sizeof text));
    assert_int_equal(line.n, SMTP_REPLY_LINE_MAX);
    assert_true(str_ends(line, STR("xx\r\n")));
    memset(text, '\x01', sizeof text);
    line = smtp_reply_line(out, 550, (struct err_status){5, 1, 1}, true, str_of(text, sizeof text));
    assert_true(line.n <= SMTP_REPLY_LINE_MAX && line.n > SMTP_REPLY_LINE_MAX - 5);
    assert_true(str_ends(line, STR("\\x01\r\n")));
}

/* Feeds the lines of a whole reply. 0: complete; 1: more is wanted; -1: broken. */
static int feed(struct str all, struct smtp_reply *r, struct str *text)
{
    int rc = 1;
    struct err e;

    *r = (struct smtp_reply){0};
    while (rc == 1 && !str_empty(all)) {
        ptrdiff_t end = str_find_str(all, STR("\r\n"));
        if (end < 0)
            return -1;
        rc = smtp_reply_feed(r, str_head(all, (size_t)end), text, &e);
        all = str_from(all, (size_t)end + 2);
    }
    return rc;
}

static void test_feed(void **state)
{
    static const struct {
        struct str reply;
        int rc;
        uint16_t code;
        struct err_status status;
        const char *text; /* of the last line */
    } rows[] = {
        {STR_INIT("250 ok\r\n"), 0, 250, {0}, "ok"},
        {STR_INIT("250\r\n"), 0, 250, {0}, ""}, /* RFC 5321 4.2.1: without text */
        {STR_INIT("250-a\r\n250 b\r\n"), 0, 250, {0}, "b"},
        {STR_INIT("250-a\r\n"), 1, 250, {0}, "a"},
        {STR_INIT("550 5.1.1 no\r\n"), 0, 550, {5, 1, 1}, "no"}, /* RFC 2034 */
        {STR_INIT("550-5.7.1 no\r\n550 5.7.1\r\n"), 0, 550, {5, 7, 1}, ""},
        {STR_INIT("550 4.1.1 no\r\n"), 0, 550, {0}, "4.1.1 no"}, /* RFC 2034 4: classes agree */
        {STR_INIT("550 5.1.1000 no\r\n"), 0, 550, {0}, "5.1.1000 no"},
        {STR_INIT("250 a\0\x1b\xff\r\n"), 0, 250, {0}, NULL}, /* hostile.md 64 */
        {STR_INIT("250-a\r\n550 b\r\n"), -1, 0, {0}, NULL},   /* hostile.md 62 */
        {STR_INIT("999 a\r\n"), -1, 0, {0}, NULL},            /* hostile.md 63 */
        {STR_INIT("000 a\r\n"), -1, 0, {0}, NULL},
        {STR_INIT("100 a\r\n"), -1, 0, {0}, NULL},
        {STR_INIT("260 a\r\n"), -1, 0, {0}, NULL},
        {STR_INIT("25\r\n"), -1, 0, {0}, NULL},
        {STR_INIT("abc\r\n"), -1, 0, {0}, NULL},
        {STR_INIT("\r\n"), -1, 0, {0}, NULL},
        {STR_INIT("220OK\r\n"), -1, 0, {0}, NULL},
        {STR_INIT("+25 a\r\n"), -1, 0, {0}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_reply r;
        struct str text;
        int rc = feed(rows[i].reply, &r, &text);
        if (rc != rows[i].rc)
            fail_msg("%s: %d", rows[i].reply.p, rc);
        if (rc < 0)
            continue;
        assert_int_equal(r.code, rows[i].code);
        assert_int_equal(r.status.class, rows[i].status.class);
        assert_int_equal(r.status.subject, rows[i].status.subject);
        assert_int_equal(r.status.detail, rows[i].status.detail);
        if (rows[i].text && !str_eq(text, str_c(rows[i].text)))
            fail_msg("%s: %.*s", rows[i].reply.p, STR_ARG(text));
    }
}

/* hostile.md 61 */
static void test_feed_limits(void **state)
{
    static char line[SMTP_REPLY_READ_LINE_MAX];
    struct smtp_reply r = {0};
    struct str text;
    struct err e;
    (void)state;
    for (int i = 0; i < SMTP_REPLY_READ_LINES_MAX; i++)
        assert_int_equal(smtp_reply_feed(&r, STR("250-x"), &text, &e), 1);
    assert_int_equal(smtp_reply_feed(&r, STR("250 x"), &text, &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    memset(line, 'x', sizeof line);
    memcpy(line, "250-", 4);
    r = (struct smtp_reply){0};
    assert_int_equal(smtp_reply_feed(&r, str_of(line, sizeof line - 1), &text, &e), -1);
    for (int i = 0; i < 16; i++)
        assert_int_equal(smtp_reply_feed(&r, str_of(line, sizeof line - 2), &text, &e), 1);
    assert_int_equal(smtp_reply_feed(&r, STR("250 x"), &text, &e), -1);
}

static void test_feed_given_limits(void **state)
{
    static const struct {
        struct smtp_reply_limits limits;
        int rc; /* of the second line */
    } rows[] = {
        {{8, 16, 2}, 0},
        {{7, 16, 2}, -1},
        {{8, 15, 2}, -1},
        {{8, 16, 1}, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_reply r = {.limits = rows[i].limits};
        struct str text;
        struct err e;
        int rc = smtp_reply_feed(&r, STR("250-ab"), &text, &e);
        if (rc == 1)
            rc = smtp_reply_feed(&r, STR("250 ab"), &text, &e);
        assert_int_equal(rc, rows[i].rc);
    }
}

static void check_table(const char *table, bool valid, unsigned differ)
{
    json_t *cases = testdata_cases(table), *row;
    unsigned agree = 0, of = 0;
    size_t i;

    json_array_foreach(cases, i, row)
    {
        struct buf reply;
        struct smtp_reply r;
        struct str text;
        assert_true(testdata_string(json_object_get(row, valid ? "input" : "reply"), &reply));
        int rc = feed(buf_str(&reply), &r, &text);
        of++;
        agree += (rc == 0) == valid;
        if (rc == 0 && valid)
            assert_int_equal(r.code, json_integer_value(json_object_get(row, "status")));
        buf_done(&reply);
    }
    if (cases)
        testdata_report(table, agree, of);
    assert_int_equal(agree, of < differ ? 0 : of - differ);
    json_decref(cases);
}

static void test_tables_of_others(void **state)
{
    (void)state;
    check_table("smtp/dovecot-smtp-tables/smtp-reply.valid_reply_parse_tests.json", true, 0);
    /* Controls in the text (three rows) and a limit of 50 octets are no reason to lose what the
     * server said: a 250 not understood is mail sent twice. */
    check_table("smtp/dovecot-smtp-tables/smtp-reply.invalid_reply_parse_tests.json", false, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_feed),
        cmocka_unit_test(test_feed_limits),
        cmocka_unit_test(test_feed_given_limits),
        cmocka_unit_test(test_tables_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
