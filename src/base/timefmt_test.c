#include "base/timefmt.h"

#include "base/unit_test.h"

static const struct {
    int64_t ms;
    const char *rfc3339, *rfc5322;
} rows[] = {
    {0, "1970-01-01T00:00:00.000Z", "Thu, 1 Jan 1970 00:00:00 +0000"},
    {-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 +0000"},
    {951782400000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 +0000"},
    {951868800000, "2000-03-01T00:00:00.000Z", "Wed, 1 Mar 2000 00:00:00 +0000"},
    {1795321160123, "2026-11-22T04:19:20.123Z", "Sun, 22 Nov 2026 04:19:20 +0000"},
    {4107542400000, "2100-03-01T00:00:00.000Z", "Mon, 1 Mar 2100 00:00:00 +0000"},
    {-62167219200000, "0000-01-01T00:00:00.000Z", "Sat, 1 Jan 0000 00:00:00 +0000"},
    {253402300799999, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 +0000"},
};

static void test_both_ways(void **state)
{
    char a[TIME_RFC3339_SIZE], b[TIME_RFC5322_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t back = 1;
        assert_int_equal(time_rfc3339(rows[i].ms, a).n, 24);
        assert_string_equal(a, rows[i].rfc3339);
        time_rfc5322(rows[i].ms, b);
        assert_string_equal(b, rows[i].rfc5322);
        assert_true(time_parse_rfc3339(str_c(a), &back));
        assert_true(back == rows[i].ms);
    }
    assert_string_equal(time_rfc3339(INT64_MAX, a).p, "9999-12-31T23:59:59.999Z");
    assert_string_equal(time_rfc3339(INT64_MIN, a).p, "0000-01-01T00:00:00.000Z");
}

static void test_every_day(void **state)
{
    int64_t days = civil_days(1600, 1, 1);

    (void)state;
    for (int64_t year = 1600; year < 2400; year++)
        for (unsigned month = 1; month <= 12; month++)
            for (unsigned day = 1; day <= civil_month_days(year, month); day++, days++) {
                struct civil c = civil_from_ms(days * 86400000 + 43200000);
                if (civil_days(year, month, day) != days || c.year != year || c.month != month ||
                    c.day != day || c.hour != 12)
                    fail_msg("%lld-%u-%u", (long long)year, month, day);
            }
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } texts[] = {
        /* RFC 3339 5.8 */
        {"1985-04-12T23:20:50.52Z", 482196050520},
        {"1996-12-19T16:39:57-08:00", 851042397000},
        {"1990-12-31T23:59:60Z", 662688000000},
        {"1990-12-31T15:59:60-08:00", 662688000000},
        {"1937-01-01T12:00:27.87+00:20", -1041337172130},
        {"2026-11-22t04:19:20z", 1795321160000},
        {"2026-11-22T04:19:20.1239999999999999999Z", 1795321160123},
        {"2026-11-22T04:19:20", -1},
        {"2026-11-22 04:19:20Z", -1},
        {"2026-11-22T04:19:20.Z", -1},
        {"2026-11-22T04:19Z", -1},
        {"2026-11-22T24:00:00Z", -1},
        {"2026-11-22T04:60:00Z", -1},
        {"2026-11-22T04:19:61Z", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-00-01T00:00:00Z", -1},
        {"2026-02-29T00:00:00Z", -1},
        {"2026-11-00T00:00:00Z", -1},
        {"2026-11-22T04:19:20+24:00", -1},
        {"2026-11-22T04:19:20+0100", -1},
        {"2026-11-22T04:19:20Zx", -1},
        {"26-11-22T04:19:20Z", -1},
        {"-026-11-22T04:19:20Z", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t ms = -1;
        bool ok = time_parse_rfc3339(str_c(texts[i].text), &ms);
        if (ok != (texts[i].ms != -1) || ms != texts[i].ms)
            fail_msg("%s: %lld", texts[i].text, (long long)ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
