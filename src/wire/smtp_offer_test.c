#include "wire/smtp_offer.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/unit_test.h"

static const struct {
    const char *lines; /* parted by | */
    const char *names;
    uint64_t size_max;
    uint32_t mail_max, rcpt_max, rcpt_domain_max;
} rows[] = {
    {"", "", 0, 0, 0, 0},
    {"PIPELINING|chunking|8BitMime|SMTPUTF8|DSN|ENHANCEDSTATUSCODES|STARTTLS|SIZE",
        "PIPELINING CHUNKING 8BITMIME SMTPUTF8 DSN ENHANCEDSTATUSCODES STARTTLS SIZE", 0, 0, 0, 0},
    /* RFC 5321 4.1.1.1: a keyword ends with the line or a space */
    {"PIPELININGS|XCHUNKING|DSN=1|SIZE=5|8BITMIME: yes|-DSN", "", 0, 0, 0, 0},
    {" PIPELINING |SIZE  1000 |DSN ret", "PIPELINING DSN SIZE", 1000, 0, 0, 0},
    /* RFC 1870 4, hostile.md 77 */
    {"SIZE 0", "SIZE", 0, 0, 0, 0},
    {"SIZE -5", "", 0, 0, 0, 0},
    {"SIZE abc", "", 0, 0, 0, 0},
    {"SIZE 99999999999999999999", "", 0, 0, 0, 0},
    {"SIZE 18446744073709551615", "SIZE", UINT64_MAX, 0, 0, 0},
    {"SIZE 5 6", "", 0, 0, 0, 0},
    /* RFC 9422 4 */
    {"LIMITS RCPTMAX=20 mailmax=5  RCPTDOMAINMAX=1 X=1", "", 0, 5, 20, 1},
    {"LIMITS RCPTMAX=0 MAILMAX= RCPTDOMAINMAX=1000000", "", 0, 0, 0, 0},
    {"LIMITS|LIMITS RCPTMAX|LIMITS RCPTMAX=-1", "", 0, 0, 0, 0},
};

static void test_offers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct str rest = str_c(rows[i].lines), line;
        struct smtp_offer o = {0};
        struct buf names;
        bool more = true;
        while (more) {
            more = str_cut(&rest, '|', &line);
            smtp_offer_line(&o, line);
        }
        buf_init(&names, 1024);
        smtp_offer_print(&o, &names);
        if (!str_eq(buf_str(&names), str_c(rows[i].names)))
            fail_msg("\"%s\" offers %.*s", rows[i].lines, STR_ARG(buf_str(&names)));
        if (o.size_max != rows[i].size_max || o.mail_max != rows[i].mail_max ||
            o.rcpt_max != rows[i].rcpt_max || o.rcpt_domain_max != rows[i].rcpt_domain_max)
            fail_msg("\"%s\": other limits", rows[i].lines);
        buf_done(&names);
    }
}

/* RFC 6533 3 */
static void test_orcpt(void **state)
{
    static const struct {
        struct str in, out;
    } orcpts[] = {
        {STR_INIT("rfc822;a+2Bb@c.example"), STR_INIT("rfc822;a+2Bb@c.example")},
        {STR_INIT("utf-8;\xc3\xa9@\xe4\xbe\x8b.example"),
            STR_INIT("utf-8;\\x{E9}@\\x{4F8B}.example")},
        {STR_INIT("utf-8;\xff"), STR_INIT("utf-8;\\x{FFFD}")},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 64);
    for (size_t i = 0; i < ARRAY_COUNT(orcpts); i++) {
        buf_clear(&out);
        assert_int_equal(smtp_orcpt_ascii(orcpts[i].in, &out), 0);
        assert_true(str_eq(buf_str(&out), orcpts[i].out));
    }
    buf_done(&out);
    buf_init(&out, 8);
    assert_int_equal(smtp_orcpt_ascii(orcpts[0].in, &out), -1);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_orcpt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
