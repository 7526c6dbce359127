#include "cmd/sendmail_args.h"

#include "base/unit_test.h"

enum {
    WORDS = 10
};

static int parse(struct sendmail_args *a, const char **rcpt, const char *const *words)
{
    char *argv[WORDS];
    int argc = 0;

    for (; argc < WORDS && words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    return sendmail_parse(a, rcpt, argc, argv, NULL);
}

static void test_as_programs_call_it(void **state)
{
    struct sendmail_args a;
    const char *rcpt[WORDS];
    const char *const php[] = {"sendmail", "-t", "-i", NULL};
    const char *const cron[] = {
        "/usr/sbin/sendmail", "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root", NULL};
    const char *const mutt[] = {"sendmail", "-oi", "-f", "a@b.example", "--", "-x@c.example", NULL};
    const char *const clustered[] = {"sendmail", "-tif", "me@x.example", NULL};
    const char *const notify[] = {
        "send", "-N", "success,failure", "-Rhdrs", "-V", "id1", "r@x", NULL};

    (void)state;
    assert_int_equal(parse(&a, rcpt, php), 0);
    assert_true(a.from_headers && a.ignore_dots && a.rcpts == 0);
    assert_int_equal(parse(&a, rcpt, cron), 0);
    assert_string_equal(a.full_name, "CronDaemon");
    assert_true(a.ignore_dots && a.rcpts == 1 && !a.from_headers);
    assert_string_equal(a.rcpt[0], "root");
    assert_int_equal(parse(&a, rcpt, mutt), 0);
    assert_string_equal(a.from, "a@b.example");
    assert_string_equal(a.rcpt[0], "-x@c.example");
    assert_int_equal(parse(&a, rcpt, clustered), 0);
    assert_true(a.from_headers && a.ignore_dots);
    assert_string_equal(a.from, "me@x.example");
    assert_int_equal(parse(&a, rcpt, notify), 0);
    assert_string_equal(a.notify, "success,failure");
    assert_string_equal(a.ret, "hdrs");
    assert_string_equal(a.envid, "id1");
}

static void test_modes(void **state)
{
    struct sendmail_args a;
    const char *rcpt[WORDS];
    const char *const mailq[] = {"/usr/bin/mailq", NULL};
    const char *const queue[] = {"sendmail", "-bp", NULL};
    const char *const smtp[] = {"sendmail", "-bs", NULL};
    const char *const run[] = {"sendmail", "-q15m", NULL};
    const char *const help[] = {"send", "--help", NULL};
    const char *const daemon[] = {"sendmail", "-bd", NULL};
    const char *const wrong[] = {"sendmail", "-Z", NULL};
    const char *const missing[] = {"sendmail", "-f", NULL};

    (void)state;
    assert_int_equal(parse(&a, rcpt, mailq), 0);
    assert_int_equal(a.mode, SENDMAIL_QUEUE);
    assert_int_equal(parse(&a, rcpt, queue), 0);
    assert_int_equal(a.mode, SENDMAIL_QUEUE);
    assert_int_equal(parse(&a, rcpt, smtp), 0);
    assert_int_equal(a.mode, SENDMAIL_SMTP);
    assert_int_equal(parse(&a, rcpt, run), 0);
    assert_int_equal(a.mode, SENDMAIL_NOTHING);
    assert_int_equal(parse(&a, rcpt, help), 0);
    assert_int_equal(a.mode, SENDMAIL_HELP);
    assert_int_equal(parse(&a, rcpt, daemon), -1);
    assert_int_equal(parse(&a, rcpt, wrong), -1);
    assert_int_equal(parse(&a, rcpt, missing), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_programs_call_it),
        cmocka_unit_test(test_modes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
