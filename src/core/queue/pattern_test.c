#include "core/queue/pattern.h"

#include "base/mem.h"
#include "base/unit_test.h"

static const struct row {
    const char *pattern, *address;
    bool fits;
} rows[] = {
    {"bob@example.org", "bob@example.org", true},
    {"bob@example.org", "BOB@Example.ORG", true},
    {"bob@example.org", "rob@example.org", false},
    {"bob@example.org", "bob@example.org.uk", false},
    {"example.org", "bob@example.org", true},
    {"@example.org", "bob@example.org", true},
    {"example.org", "bob@sub.example.org", false},
    {"*.example.org", "bob@sub.example.org", true},
    {"*.example.org", "bob@example.org", false},
    {"*example.org", "bob@example.org", true},
    {"b*b@*.org", "bob@example.org", true},
    {"b*b@*.org", "bb@.org", true},
    {"b*b@*.org", "bobs@example.org", false},
    {"*@*", "\"odd @ one\"@example.org", true},
    {"example.org", "\"odd@example.com\"@example.org", true},
    {"*", "bob@example.org", true},
    {"*", "", true},
    {"<>", "", true},
    {"<>", "bob@example.org", false},
    {"example.org", "", false},
    {"bob@*", "bob@", true},
    {"", "bob@example.org", false},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool fits = pattern_fits_address(str_c(rows[i].pattern), str_c(rows[i].address));
        if (fits != rows[i].fits)
            fail_msg("\"%s\" and \"%s\": %d", rows[i].pattern, rows[i].address, fits);
    }
}

static void test_many_stars_end(void **state)
{
    char pattern[PATTERN_MAX + 1], text[4096];

    (void)state;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    assert_false(pattern_fits(str_of(pattern, PATTERN_MAX), str_of(text, sizeof text)));
}

static void test_problems(void **state)
{
    char longest[PATTERN_MAX + 1];

    (void)state;
    memset(longest, 'a', sizeof longest);
    assert_null(pattern_problem(STR("*@example.org")));
    assert_null(pattern_problem(str_of(longest, PATTERN_MAX)));
    assert_non_null(pattern_problem(str_of(longest, PATTERN_MAX + 1)));
    assert_non_null(pattern_problem(STR("")));
    assert_non_null(pattern_problem(STR("a\nb")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_many_stars_end),
        cmocka_unit_test(test_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
