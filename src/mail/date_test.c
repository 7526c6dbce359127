#include "mail/date.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/timefmt.h"
#include "base/unit_test.h"

#include "mail/testdata.h"

static void test_forms(void **state)
{
    static const struct {
        const char *text, *utc; /* NULL: no date */
        int zone;
    } rows[] = {
        {"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06.000Z", -360}, /* RFC 5322 A.1.1 */
        {"Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)",
            "1969-02-14T03:02:00.000Z", -210},                     /* A.5 */
        {"21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06.000Z", 0}, /* A.6.2 */
        {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T15:55:06.000Z", -360},
        {"1 Jan 49 00:00 Z", "2049-01-01T00:00:00.000Z", 0}, /* 4.3 */
        {"1 Jan 50 00:00 Z", "1950-01-01T00:00:00.000Z", 0},
        {"1 Jan 104 00:00 Z", "2004-01-01T00:00:00.000Z", 0},
        {"Sun, 27 Oct 2002 23:57:07 EST", "2002-10-28T04:57:07.000Z", -300},
        {"1 Jan 2020 00:00:00 A", "2020-01-01T00:00:00.000Z", 0}, /* military: unknown */
        {"1 Jan 2020 00:00:00 XYZ", "2020-01-01T00:00:00.000Z", 0},
        {"1 Jan 2020 00:00:00 +9999", "2020-01-01T00:00:00.000Z", 0},
        {"31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59.000Z", 0},
        {"Thu Feb 13 23:32:00 1969", "1969-02-13T23:32:00.000Z", 0}, /* asctime() */
        {"Thu Feb 13 23:32:00 EST 1969", "1969-02-14T04:32:00.000Z", -300},
        {"Thu Feb 13 23:32:00 1969 -0500", "1969-02-14T04:32:00.000Z", -300},
        {"13-Feb-1969 23:32:00 +0100", "1969-02-13T22:32:00.000Z", 60},
        {"1 Jan 2020 1:2:3.045 +0000", "2020-01-01T01:02:03.045Z", 0},
        {"1 January 2020 00:00 +05:30", "2019-12-31T18:30:00.000Z", 330},
        {"29 Feb 2000 00:00 +0000", "2000-02-29T00:00:00.000Z", 0},
        {"29 Feb 1900 00:00 +0000", NULL, 0},
        {"31 Apr 2020 00:00 +0000", NULL, 0},
        {"0 Apr 2020 00:00 +0000", NULL, 0},
        {"1 Foo 2020 00:00 +0000", NULL, 0}, /* hostile.md 103 */
        {"1 Jan 99999999999 00:00 +0000", NULL, 0},
        {"1 Jan 2020 24:00 +0000", NULL, 0},
        {"1 Jan 2020 23:60 +0000", NULL, 0},
        {"1 Jan 2020 23:59:61 +0000", NULL, 0},
        {"1 Jan 0 00:00 +0000", NULL, 0},
        {"", NULL, 0},
        {"Whenever", NULL, 0},
        {"(((((", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mail_date date = {0};
        bool ok = date_parse(str_c(rows[i].text), &date);
        char text[TIME_RFC3339_SIZE];
        struct str utc = time_rfc3339(date.ms, text);
        if (ok != (rows[i].utc != NULL) ||
            (ok && (!str_eq(utc, str_c(rows[i].utc)) || date.zone_min != rows[i].zone)))
            fail_msg("%s: %.*s %d", rows[i].text, STR_ARG(utc), date.zone_min);
    }
    char digits[1001]; /* hostile.md 103 */
    memset(digits, '9', 1000);
    struct mail_date date;
    assert_false(date_parse(str_of(digits, 1000), &date));
}

static bool mail_parser_row(const json_t *row, struct buf *got)
{
    struct buf header;
    struct mail_date date;
    const json_t *want = json_object_get(row, "expected");
    testdata_string(json_object_get(row, "header"), &header);
    bool ok = date_parse(buf_str(&header), &date);
    buf_done(&header);
    buf_printf(got, "%d", ok);
    if (!ok || json_is_null(want))
        return ok == !json_is_null(want);
    struct civil c = civil_from_ms(date.ms + (int64_t)date.zone_min * 60000);
    json_int_t zone = json_integer_value(json_object_get(want, "tz_hour")) * 60 +
                      json_integer_value(json_object_get(want, "tz_minute"));
    if (json_is_true(json_object_get(want, "tz_before_gmt")))
        zone = -zone;
    return c.year == json_integer_value(json_object_get(want, "year")) &&
           c.month == json_integer_value(json_object_get(want, "month")) &&
           c.day == json_integer_value(json_object_get(want, "day")) &&
           c.hour == json_integer_value(json_object_get(want, "hour")) &&
           c.minute == json_integer_value(json_object_get(want, "minute")) &&
           c.second == json_integer_value(json_object_get(want, "second")) && zone == date.zone_min;
}

/* 120, or a string like "2*60" or "-(3*60+30)" */
static int minutes_of(const json_t *value)
{
    if (json_is_integer(value))
        return (int)json_integer_value(value);
    const char *s = json_string_value(value);
    bool minus = *s == '-';
    char *end;
    while (*s && !ascii_digit(*s))
        s++;
    long n = strtol(s, &end, 10);
    if (*end == '*')
        n *= strtol(end + 1, &end, 10);
    if (*end == '+')
        n += strtol(end + 1, &end, 10);
    return (int)(minus ? -n : n);
}

static bool dovecot_row(const json_t *row, struct buf *got)
{
    struct buf input;
    struct mail_date date = {0};
    testdata_string(json_object_get(row, "input"), &input);
    bool ok = date_parse(buf_str(&input), &date);
    buf_done(&input);
    buf_printf(got, "%d %lld %d", ok, (long long)(date.ms / 1000), date.zone_min);
    if (ok != json_is_true(json_object_get(row, "ret")))
        return false;
    return !ok || (date.ms / 1000 == json_integer_value(json_object_get(row, "time")) &&
                      date.zone_min == minutes_of(json_object_get(row, "tz_offset")));
}

static void test_others(void **state)
{
    (void)state;
    assert_true(testdata_table("mime/mail-parser-fields/date.json", mail_parser_row, 90));
    assert_true(testdata_table(
        "mime/dovecot-mail-tables/message-date.message_date_parse.json", dovecot_row, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
