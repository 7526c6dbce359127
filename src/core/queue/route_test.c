#include "core/queue/route.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/table.h"
#include "base/unit_test.h"

#define SECTION(title_text, via_text, ...)                                                         \
    {                                                                                              \
        .title = STR_INIT(title_text), .via = STR_INIT(via_text), __VA_ARGS__                      \
    }

static struct config_route sections[] = {
    SECTION("ann@example.org", "hold"),
    SECTION("example.org", "smtp:[Relay.Example]:2525"),
    SECTION("*.example.org", "smtp:mx.example"),
    SECTION("local.example", "lmtp:[127.0.0.1]:24"),
    SECTION("unix.example", "lmtp:unix:/run/lmtp"),
    SECTION("six.example", "smtp:[2001:DB8:0::1]"),
    SECTION("port.example", "smtp:mx.example:26", .port = 27),
    SECTION("null.example", "null", .port = 99),
    SECTION("slow.example", "smtp:[relay.example]:2525", .connections = 2, .rate = 30,
        .helo_name = STR_INIT("out.example"), .from_address = STR_INIT("x@out.example")),
    SECTION("from ceo@sender.example", "smtp:[ceo.example]:25"),
    SECTION("from sender.example", "smtp:[sender.example]:25"),
    SECTION("*", "smtp:[smarthost.example]:587"),
};

static const struct config with_routes = {.route = sections, .routes = ARRAY_COUNT(sections)};

struct row {
    const char *from, *to;
    const char *title, *key;
    enum route_kind kind;
};

static void check_rows(const struct routes *r, const struct row *rows, size_t count)
{
    struct arena a;
    struct route route;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(
            routes_find(r, &a, str_c(rows[i].from), str_c(rows[i].to), &route, NULL), 0);
        if (!str_eq(route.title, str_c(rows[i].title)) || !str_eq(route.key, str_c(rows[i].key)) ||
            route.kind != rows[i].kind)
            fail_msg("%s: %.*s by %.*s", rows[i].to, STR_ARG(route.key), STR_ARG(route.title));
    }
    arena_done(&a);
}

static void test_match(void **state)
{
    static const struct row rows[] = {
        {"", "ann@example.org", "ann@example.org", "hold", ROUTE_HOLD},
        {"", "bob@example.org", "example.org", "[relay.example]:2525", ROUTE_HOST},
        {"", "bob@a.b.example.org", "*.example.org", "mx.example", ROUTE_MX},
        {"", "a@local.example", "local.example", "lmtp:[127.0.0.1]:24", ROUTE_LMTP},
        {"", "a@unix.example", "unix.example", "lmtp:unix:/run/lmtp", ROUTE_LMTP_UNIX},
        {"", "a@six.example", "six.example", "[2001:db8::1]:25", ROUTE_HOST},
        {"", "a@port.example", "port.example", "mx.example:27", ROUTE_MX},
        {"", "a@null.example", "null.example", "null", ROUTE_NULL},
        {"", "a@slow.example", "slow.example",
            "[relay.example]:2525 connections=2 rate=30 helo=out.example", ROUTE_HOST},
        {"", "a@else.example", "*", "[smarthost.example]:587", ROUTE_HOST},
        {"", "a@[192.0.2.1]", "*", "[smarthost.example]:587", ROUTE_HOST},
        /* a sender's route outranks "*", and nothing else */
        {"ceo@sender.example", "a@else.example", "from ceo@sender.example", "[ceo.example]:25",
            ROUTE_HOST},
        {"Bob@Sender.Example", "a@else.example", "from sender.example", "[sender.example]:25",
            ROUTE_HOST},
        {"bob@sub.sender.example", "a@else.example", "*", "[smarthost.example]:587", ROUTE_HOST},
        {"bob@sender.example", "a@local.example", "local.example", "lmtp:[127.0.0.1]:24",
            ROUTE_LMTP},
        {"bob@sender.example", "a@b.example.org", "*.example.org", "mx.example", ROUTE_MX},
    };
    struct routes *r;
    struct route route;
    struct arena a;

    (void)state;
    assert_int_equal(routes_make(&with_routes, &r, NULL), 0);
    check_rows(r, rows, ARRAY_COUNT(rows));
    arena_init(&a, 1 << 20);
    routes_find(r, &a, STR(""), STR("a@slow.example"), &route, NULL);
    assert_true(str_eq(route.from_address, STR("x@out.example")));
    assert_int_equal(route.rate, 30);
    routes_find(r, &a, STR(""), STR("a@six.example"), &route, NULL);
    assert_true(route.numeric);
    routes_find(r, &a, STR(""), STR("a@example.org"), &route, NULL);
    assert_false(route.numeric);
    arena_done(&a);
    routes_free(&r);
}

/* Without a route the address says where: RFC 5321 4.1.3, 5.1. */
static void test_address(void **state)
{
    static const struct row rows[] = {
        {"", "a@Example.ORG", "", "example.org", ROUTE_MX},
        {"",
            "a@b\xc3\xbc"
            "cher.example",
            "", "xn--bcher-kva.example", ROUTE_MX},
        /* not "[192.0.2.1]:25", which is a host of the operator's */
        {"", "a@[192.0.2.1]", "", "[192.0.2.1]", ROUTE_MX},
        {"", "a@[IPv6:2001:DB8::0:1]", "", "[IPv6:2001:db8::1]", ROUTE_MX},
    };
    const struct config none = {0};
    struct routes *r;
    struct route route;
    struct arena a;

    (void)state;
    assert_int_equal(routes_make(&none, &r, NULL), 0);
    check_rows(r, rows, ARRAY_COUNT(rows));
    arena_init(&a, 1 << 20);
    assert_int_equal(routes_find(r, &a, STR(""), STR("nobody"), &route, NULL), -1);
    arena_done(&a);
    routes_free(&r);
}

/* "from *" takes every sender, the null reverse-path too, and outranks "*". */
static void test_from_all(void **state)
{
    static struct config_route all[] = {
        SECTION("from *", "smtp:[out.example]:25"),
        SECTION("from sender.example", "null"),
        SECTION("*", "hold"),
    };
    static const struct row rows[] = {
        {"", "a@else.example", "from *", "[out.example]:25", ROUTE_HOST},
        {"x@y.example", "a@else.example", "from *", "[out.example]:25", ROUTE_HOST},
        {"x@sender.example", "a@else.example", "from sender.example", "null", ROUTE_NULL},
    };
    const struct config config = {.route = all, .routes = ARRAY_COUNT(all)};
    struct routes *r;

    (void)state;
    assert_int_equal(routes_make(&config, &r, NULL), 0);
    check_rows(r, rows, ARRAY_COUNT(rows));
    routes_free(&r);
}

enum {
    MANY = 10000
};

static void test_many(void **state)
{
    struct config_route *many = mem_array(MANY, sizeof *many);
    struct config config = {.route = many, .routes = MANY};
    struct arena a;
    struct routes *r;
    struct route route;

    (void)state;
    arena_init(&a, 16 << 20);
    for (unsigned i = 0; i < MANY; i++) {
        many[i].title = arena_printf(&a, "*.d%u.example", i);
        many[i].via = arena_printf(&a, "smtp:[h%u.example]:25", i);
    }
    assert_int_equal(routes_make(&config, &r, NULL), 0);
    for (unsigned i = 0; i < MANY; i++) {
        struct str to = arena_printf(&a, "x@sub.d%u.example", i);
        assert_int_equal(routes_find(r, &a, STR("a@b.example"), to, &route, NULL), 0);
        assert_true(str_eq(route.title, many[i].title));
    }
    routes_free(&r);
    arena_done(&a);
    mem_free(many);
}

static void test_no_memory(void **state)
{
    struct routes *r;
    uint64_t n = 0;
    struct err e;

    (void)state;
    do {
        mem_fail_at(++n);
        r = NULL;
        if (routes_make(&with_routes, &r, &e) == 0)
            break;
        assert_null(r);
        assert_int_equal(e.class, ERR_TEMPORARY);
    } while (n < 1000);
    mem_fail_at(0);
    assert_non_null(r);
    routes_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_from_all),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_memory),
    };
    const uint8_t seed[16] = {0};

    table_seed(seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
