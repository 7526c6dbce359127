#include "mail/address_match.h"

#include "base/mem.h"
#include "base/unit_test.h"

#include "mail/address.h"

static struct str key_of(struct str address, struct buf *key)
{
    struct mailbox m;

    buf_clear(key);
    if (mailbox_parse(address, &m, NULL) < 0 || mailbox_key(&m, key, NULL) < 0)
        return STR_NONE;
    return buf_str(key);
}

static const char *const patterns[] = {
    "Ann@example.org",
    "example.org",
    "*.example.org",
    "*.deep.example.org",
    "@at.example",
    "@*.at.example",
    ("b\xc3\xbc"
     "cher.example"),
    "*",
};

static void test_longest(void **state)
{
    static const struct {
        const char *address, *pattern;
        enum match_kind kind;
    } rows[] = {
        {"ann@example.org", "Ann@example.org", MATCH_USER},
        {"ANN@EXAMPLE.ORG", "Ann@example.org", MATCH_USER},
        {"\"ann\"@example.org", "Ann@example.org", MATCH_USER},
        {"bob@example.org", "example.org", MATCH_DOMAIN},
        {"bob@a.example.org", "*.example.org", MATCH_BELOW},
        {"bob@a.b.c.example.org", "*.example.org", MATCH_BELOW},
        {"bob@deep.example.org", "*.example.org", MATCH_BELOW},
        {"bob@a.deep.example.org", "*.deep.example.org", MATCH_BELOW},
        {"bob@xexample.org", "*", MATCH_ANY},
        {"bob@at.example", "@at.example", MATCH_DOMAIN},
        {"bob@x.at.example", "@*.at.example", MATCH_BELOW},
        {"bob@xn--bcher-kva.example",
            "b\xc3\xbc"
            "cher.example",
            MATCH_DOMAIN},
        {"\"x@example.org\"@other.example", "*", MATCH_ANY},
        {"bob@[192.0.2.1]", "*", MATCH_ANY},
        {"", "*", MATCH_ANY},
    };
    struct address_match m;
    struct buf key;

    (void)state;
    address_match_init(&m, 100);
    buf_init(&key, ADDRESS_KEY_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(patterns); i++)
        assert_int_equal(address_match_add(&m, str_c(patterns[i]), patterns[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum match_kind kind;
        const char *found = address_match_find(&m, key_of(str_c(rows[i].address), &key), &kind);
        if (!found || strcmp(found, rows[i].pattern) != 0 || kind != rows[i].kind)
            fail_msg("%s: %s", rows[i].address, found ? found : "nothing");
    }
    buf_done(&key);
    address_match_done(&m);
}

static void test_add(void **state)
{
    static const char *const bad[] = {"", "@", "a@", "*.", "a..b", "x y"};
    struct address_match m;
    enum match_kind kind;

    (void)state;
    address_match_init(&m, 100);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (address_match_add(&m, str_c(bad[i]), "x", NULL) != -1)
            fail_msg("%s was taken", bad[i]);
    assert_null(address_match_find(&m, STR("a@b.example"), &kind));
    assert_int_equal(kind, MATCH_NONE);
    assert_int_equal(address_match_add(&m, STR("B.example"), "1", NULL), 0);
    assert_int_equal(address_match_add(&m, STR("@b.EXAMPLE"), "2", NULL), 1);
    assert_string_equal(address_match_find(&m, STR("a@b.example"), &kind), "1");
    assert_null(address_match_find(&m, STR("a@c.b.example"), &kind));
    assert_null(address_match_find(&m, STR(""), &kind));
    address_match_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_add),
    };
    const uint8_t seed[16] = {0};

    table_seed(seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
