#include "base/units.h"

#include "base/unit_test.h"

#define NONE UINT64_MAX

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        uint64_t size, time;
    } rows[] = {
        {"0", 0, 0},
        {"10", 10, 10000},
        {"50M", 52428800, 3000000},
        {"4k", 4096, NONE},
        {"2G", 2147483648, NONE},
        {"90s", NONE, 90000},
        {"5m", 5242880, 300000},
        {"4h", NONE, 14400000},
        {"5d", NONE, 432000000},
        {"2w", NONE, 1209600000},
        {"250ms", NONE, 250},
        {"", NONE, NONE},
        {"M", NONE, NONE},
        {"-1", NONE, NONE},
        {"+1", NONE, NONE},
        {"1.5M", NONE, NONE},
        {"1 M", NONE, NONE},
        {"1MB", NONE, NONE},
        {"1h30m", NONE, NONE},
        {"18446744073709551615G", NONE, NONE},
        {"99999999999999999999", NONE, NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t size = NONE, time = NONE;
        bool is_size = units_parse_size(str_c(rows[i].text), &size);
        bool is_time = units_parse_time(str_c(rows[i].text), &time);
        if (size != rows[i].size || time != rows[i].time || is_size != (size != NONE) ||
            is_time != (time != NONE))
            fail_msg("%s", rows[i].text);
    }
}

static void test_format(void **state)
{
    static const struct {
        uint64_t value;
        const char *size, *time;
    } rows[] = {
        {0, "0", "0"},
        {1, "1", "1ms"},
        {1000, "1000", "1s"},
        {1500, "1500", "1500ms"},
        {262144, "256K", "262144ms"},
        {52428800, "50M", "52428800ms"},
        {432000000, "421875K", "5d"},
        {UINT64_MAX, "18446744073709551615", "18446744073709551615ms"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        uint64_t back = 1;

        buf_init(&out, 64);
        units_put_size(&out, rows[i].value);
        assert_true(str_eq(buf_str(&out), str_c(rows[i].size)));
        assert_true(units_parse_size(buf_str(&out), &back) && back == rows[i].value);
        buf_clear(&out);
        units_put_time(&out, rows[i].value);
        assert_true(str_eq(buf_str(&out), str_c(rows[i].time)));
        assert_true(units_parse_time(buf_str(&out), &back) && back == rows[i].value);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
