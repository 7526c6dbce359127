#include "cmd/sendmail_message.h"

#include "base/unit_test.h"

static int prepare(struct sendmail_message *m, struct arena *a, struct buf *out, const char *text)
{
    arena_init(a, 1 << 24);
    buf_init(out, 1 << 20);
    m->from = STR("Alice <alice@example.test>");
    m->hostname = STR("mail.example.test");
    m->now_ms = 0;
    m->arena = a;
    m->content = out;
    m->rcpts = 0;
    return sendmail_prepare(m, str_c(text), NULL);
}

static void end(struct arena *a, struct buf *out)
{
    arena_done(a);
    buf_done(out);
}

static bool has(const struct buf *b, const char *text)
{
    return str_find_str(buf_str(b), str_c(text)) >= 0;
}

static void test_missing_fields_are_added(void **state)
{
    struct sendmail_message m = {0};
    struct arena a;
    struct buf out;

    (void)state;
    assert_int_equal(prepare(&m, &a, &out, "Subject: x\n\nbody\n.\nnot this\n"), 0);
    assert_true(
        has(&out, "Subject: x\r\nFrom: Alice <alice@example.test>\r\nDate: Thu, 1 Jan 1970 "));
    assert_true(has(&out, "@mail.example.test>\r\n\r\nbody\r\n"));
    assert_false(has(&out, "not this"));
    end(&a, &out);

    m.ignore_dots = true;
    assert_int_equal(
        prepare(&m, &a, &out, "From x Mon\nFrom: b@c\r\nDate: d\r\nMessage-ID: i\r\n\r\na\n.\nb"),
        0);
    assert_true(
        str_eq(buf_str(&out), STR("From: b@c\r\nDate: d\r\nMessage-ID: i\r\n\r\na\r\n.\r\nb\r\n")));
    end(&a, &out);

    assert_int_equal(prepare(&m, &a, &out, "no header here\nat all\n"), 0);
    assert_true(has(&out, "\r\n\r\nno header here\r\nat all\r\n"));
    end(&a, &out);
}

static void test_recipients_of_the_header(void **state)
{
    struct sendmail_message m = {.from_headers = true};
    struct arena a;
    struct buf out;

    (void)state;
    assert_int_equal(prepare(&m, &a, &out,
                         "To: A <a@x.example>, \"b c\"@x.example\nCc: g: d@x.example;\n"
                         "Bcc: secret@x.example,\n root\n\nhi\n"),
        0);
    assert_int_equal(m.rcpts, 5);
    assert_true(str_eq(m.rcpt[0], STR("a@x.example")));
    assert_true(str_eq(m.rcpt[1], STR("\"b c\"@x.example")));
    assert_true(str_eq(m.rcpt[2], STR("d@x.example")));
    assert_true(str_eq(m.rcpt[3], STR("secret@x.example")));
    assert_true(str_eq(m.rcpt[4], STR("root")));
    assert_false(has(&out, "secret"));
    assert_false(has(&out, "root"));
    assert_true(has(&out, "Cc: g: d@x.example;\r\n"));
    end(&a, &out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_fields_are_added),
        cmocka_unit_test(test_recipients_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
