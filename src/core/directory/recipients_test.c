/* Relay domains: which of their recipients are taken. */
#include "core/directory/directory_test.h"

enum {
    MANY = 5000,
    PART = 500,
};

static enum ic_verdict verdict(struct directory *d, const char *address)
{
    struct resolution r;

    directory_resolve(d, str_c(address), IC_STRANGER, &r);
    return r.verdict;
}

static void add_relay(struct directory *d, enum directory_recipients recipients, bool disabled)
{
    struct directory_domain_new new = {
        .name = STR("relay.test"), .relay = true, .disabled = disabled, .recipients = recipients};
    struct err e;

    must(directory_domain_add(d, &new, &e), &e);
}

FIBER_TEST(test_list)
{
    struct str list[] = {STR("ann"), STR("Bob@Relay.test"), STR("\"x y\"@relay.test")};
    struct str bad[] = {STR("good"), STR("x@else.test")};
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct directory_page page = {.domain = STR("relay.test")};
    struct arena a;
    struct str *key;
    uint32_t n;
    struct err e;

    arena_init(&a, 1 << 20);
    add_relay(d, RECIPIENTS_LISTED, true);
    assert_int_equal(verdict(d, "ann@relay.test"), IC_REFUSED);
    must(directory_recipients_add(d, STR("RELAY.test"), list, 3, &e), &e);
    must(directory_recipients_add(d, STR("relay.test"), list, 1, &e), &e); /* there already */
    assert_int_equal(verdict(d, "ann@relay.test"), IC_REFUSED);            /* disabled */
    must(directory_domain_enable(d, STR("relay.test"), true, &e), &e);
    assert_int_equal(verdict(d, "ann@relay.test"), IC_RELAY);
    assert_int_equal(verdict(d, "bob@relay.test"), IC_RELAY);
    assert_int_equal(verdict(d, "eve@relay.test"), IC_REFUSED);
    refused(directory_recipients_add(d, STR("relay.test"), bad, 2, &e), &e, "not an address of");
    assert_int_equal(verdict(d, "good@relay.test"), IC_REFUSED); /* all or nothing */
    must(directory_recipients_list(d, &a, &page, &key, &n, &e), &e);
    assert_int_equal(n, 3);
    assert_true(str_eq(key[1], STR("bob@relay.test")));
    page.after = key[1];
    must(directory_recipients_list(d, &a, &page, &key, &n, &e), &e);
    assert_int_equal(n, 1);
    must(directory_recipients_remove(d, STR("relay.test"), list, 2, &e), &e);
    must(directory_recipients_remove(d, STR("relay.test"), list, 2, &e), &e); /* gone already */
    assert_int_equal(verdict(d, "ann@relay.test"), IC_REFUSED);
    assert_int_equal(verdict(d, "\"x y\"@relay.test"), IC_RELAY);
    directory_close(&d);
    d = open_it(&s);
    assert_int_equal(verdict(d, "ann@relay.test"), IC_REFUSED);
    assert_int_equal(verdict(d, "\"x y\"@relay.test"), IC_RELAY);
    directory_close(&d);
    arena_done(&a);
}

FIBER_TEST(test_kinds)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct resolution r;
    struct err e;

    add_domain(d, "example.test");
    add_relay(d, RECIPIENTS_ASKED, false);
    for (int again = 0; again < 2; again++) {
        directory_resolve(d, STR("x@relay.test"), IC_STRANGER, &r);
        assert_true(r.verdict == IC_RELAY && r.ask);
        directory_close(&d); /* it is kept */
        d = open_it(&s);
    }
    must(directory_domain_recipients(d, STR("relay.test"), RECIPIENTS_ANY, &e), &e);
    directory_resolve(d, STR("x@relay.test"), IC_STRANGER, &r);
    assert_true(r.verdict == IC_RELAY && !r.ask);
    must(directory_domain_recipients(d, STR("relay.test"), RECIPIENTS_LISTED, &e), &e);
    assert_int_equal(verdict(d, "x@relay.test"), IC_REFUSED);
    refused(directory_domain_recipients(d, STR("example.test"), RECIPIENTS_LISTED, &e), &e,
        "not a relay domain");
    refused(
        directory_recipients_add(d, STR("example.test"), NULL, 0, &e), &e, "not a relay domain");
    assert_true(directory_has_domain(d, STR("Relay.TEST")));
    assert_false(directory_is_local(d, STR("relay.test")));
    assert_true(directory_is_local(d, STR("Example.test")));
    assert_false(directory_has_domain(d, STR("else.test")));
    assert_false(directory_has_domain(d, STR("not a name")));
    directory_close(&d);
}

/* A list that memory does not hold: it becomes a cache, and changes reach it. */
FIBER_TEST(test_large)
{
    struct directory_settings s = settings();
    struct directory *d;
    struct arena a;
    struct str part[PART];
    struct err e;

    s.memory = MANY / 2;
    d = open_it(&s);
    arena_init(&a, 8 << 20);
    add_relay(d, RECIPIENTS_LISTED, false);
    for (unsigned i = 0; i < MANY; i += PART) {
        for (unsigned k = 0; k < PART; k++)
            part[k] = arena_printf(&a, "user%u", i + k);
        must(directory_recipients_add(d, STR("relay.test"), part, PART, &e), &e);
    }
    assert_int_equal(verdict(d, "user1@relay.test"), IC_RELAY);
    assert_int_equal(verdict(d, "user4999@relay.test"), IC_RELAY);
    assert_int_equal(verdict(d, "user5000@relay.test"), IC_REFUSED);
    must(directory_recipients_remove(d, STR("relay.test"), part, PART, &e), &e);
    assert_int_equal(verdict(d, "user4999@relay.test"), IC_REFUSED);
    assert_int_equal(verdict(d, "user4499@relay.test"), IC_RELAY);
    must(directory_domain_remove(d, STR("relay.test"), &e), &e);
    assert_int_equal(verdict(d, "user1@relay.test"), IC_REFUSED);
    directory_close(&d);
    arena_done(&a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ROW(test_list),
        ROW(test_kinds),
        ROW(test_large),
    };

    return cmocka_run_group_tests_name("core_directory_recipients", tests, NULL, NULL);
}
