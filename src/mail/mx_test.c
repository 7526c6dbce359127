#include "mail/mx.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/unit_test.h"

static const struct str own[] = {STR_INIT("mx.example.test"), STR_INIT("backup.example.test")};
static const struct mx_self self = {own, 2};

/* Takes the last: the order stays as it came. */
static uint64_t last(void *arg, uint64_t n)
{
    (void)arg;
    return n - 1;
}

static uint64_t first(void *arg, uint64_t n)
{
    unsigned *calls = arg;

    assert_true(n > 1);
    ++*calls;
    return 0;
}

/* "10 a.example, 5 b.example" as an answer; an empty one has none. */
static struct dns_answer answer_of(struct arena *a, const char *text)
{
    struct dns_answer answer = {.status = DNS_NO_DATA, .name = STR("d.example"), .ttl_s = 60};
    struct str rest = str_c(text), one, number;
    uint64_t preference;

    answer.records = arena_array(a, 300, sizeof *answer.records);
    assert_non_null(answer.records);
    while (rest.n) {
        str_cut(&rest, ',', &one);
        one = str_trim(one);
        assert_true(str_cut(&one, ' ', &number) && str_to_u64(number, 65535, &preference));
        answer.records[answer.count++].mx = (struct dns_mx){(uint16_t)preference, one};
        answer.status = DNS_FOUND;
    }
    return answer;
}

static const char *listed(const struct mx_plan *plan)
{
    static char text[4096];
    struct buf out;

    buf_init(&out, sizeof text - 1);
    for (uint32_t i = 0; i < plan->count; i++)
        buf_printf(&out, "%s%u %.*s", i ? ", " : "", plan->hosts[i].preference,
            STR_ARG(plan->hosts[i].name));
    assert_true(buf_ok(&out) && str_copy_c(text, sizeof text, buf_str(&out)));
    buf_done(&out);
    return text;
}

static void test_order(void **state)
{
    static const struct {
        const char *records, *hosts;
    } rows[] = {
        /* RFC 5321 5.1: by preference */
        {"10 a.example, 5 b.example, 7 c.example", "5 b.example, 7 c.example, 10 a.example"},
        /* RFC 5321 5.1: no MX, the domain itself */
        {"", "0 d.example"},
        /* a host twice, at its best place */
        {"10 a.example, 20 b.example, 5 B.EXAMPLE", "5 b.example, 10 a.example"},
        /* RFC 7505 3: the null MX beside others (hostile.md 130) */
        {"0 ., 10 a.example, 20 localhost", "10 a.example"},
        /* RFC 5321 5.1: we are in the list (hostile.md 47) */
        {"5 a.example, 10 MX.example.test, 10 b.example, 20 c.example", "5 a.example"},
        {"5 a.example, 7 backup.example.test, 6 b.example", "5 a.example, 6 b.example"},
        /* what is no host's name */
        {"5 192.0.2.1, 6 a\\010b.example, 7 a..b, 8 *.example, 9 a_b.example", "9 a_b.example"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct mx_plan plan;
        struct err e = {0};
        struct dns_answer answer;
        arena_init(&a, 1 << 20);
        answer = answer_of(&a, rows[i].records);
        if (mx_plan(&a, STR("d.example"), &answer, &self, last, NULL, &plan, &e) < 0)
            fail_msg("%s: %s", rows[i].records, e.text);
        assert_string_equal(listed(&plan), rows[i].hosts);
        assert_int_equal(plan.implicit, rows[i].records[0] == '\0');
        assert_int_equal(plan.ttl_s, 60);
        arena_done(&a);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        enum dns_status status;
        const char *domain, *records;
        enum err_class class;
        struct err_status code;
    } rows[] = {
        {DNS_NO_NAME, "d.example", "", ERR_PERMANENT, {5, 1, 2}},
        {DNS_TEMPORARY, "d.example", "", ERR_TEMPORARY, {4, 4, 3}},
        {DNS_BOGUS, "d.example", "", ERR_TEMPORARY, {4, 4, 3}},
        /* RFC 7505 4.2 (hostile.md 130) */
        {DNS_FOUND, "d.example", "0 .", ERR_PERMANENT, {5, 1, 10}},
        {DNS_FOUND, "d.example", "10 localhost", ERR_PERMANENT, {5, 1, 10}},
        /* RFC 5321 5.1 (hostile.md 47) */
        {DNS_FOUND, "d.example", "10 mx.example.test, 20 a.example", ERR_PERMANENT, {5, 4, 6}},
        {DNS_NO_DATA, "mx.example.test", "", ERR_PERMANENT, {5, 4, 6}},
        {DNS_FOUND, "d.example", "10 192.0.2.1", ERR_PERMANENT, {5, 4, 4}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct mx_plan plan;
        struct err e = {0};
        struct dns_answer answer;
        arena_init(&a, 1 << 20);
        answer = answer_of(&a, rows[i].records);
        answer.status = rows[i].status;
        answer.why = STR("no answer");
        assert_int_equal(
            mx_plan(&a, str_c(rows[i].domain), &answer, &self, last, NULL, &plan, &e), -1);
        assert_int_equal(e.class, rows[i].class);
        assert_memory_equal(&e.status, &rows[i].code, sizeof e.status);
        arena_done(&a);
    }
}

/* RFC 5321 5.1: equals in random order, and nobody else moves. */
static void test_equals(void **state)
{
    struct arena a;
    struct mx_plan plan;
    struct dns_answer answer;
    unsigned calls = 0;

    (void)state;
    arena_init(&a, 1 << 20);
    answer = answer_of(&a, "20 x.example, 10 a.example, 10 b.example, 10 c.example, 5 y.example");
    assert_int_equal(mx_plan(&a, STR("d.example"), &answer, &self, first, &calls, &plan, NULL), 0);
    assert_int_equal(calls, 2);
    assert_string_equal(
        listed(&plan), "5 y.example, 10 b.example, 10 c.example, 10 a.example, 20 x.example");
    arena_done(&a);
}

/* hostile.md 134: more records than are used. */
static void test_many(void **state)
{
    struct arena a;
    struct mx_plan plan;
    struct dns_answer answer;

    (void)state;
    arena_init(&a, 1 << 20);
    answer = answer_of(&a, "");
    answer.status = DNS_FOUND;
    for (; answer.count < 300; answer.count++)
        answer.records[answer.count].mx =
            (struct dns_mx){1, arena_printf(&a, "h%u.example", answer.count)};
    assert_int_equal(mx_plan(&a, STR("d.example"), &answer, &self, last, NULL, &plan, NULL), 0);
    assert_int_equal(plan.count, MX_HOSTS_MAX);
    arena_done(&a);
}

static void test_literals(void **state)
{
    static const uint8_t v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1}, v6[16] = {0x20, 1, [15] = 7};
    struct arena a;
    struct mx_plan plan;
    struct err e = {0};

    (void)state;
    arena_init(&a, 1 << 20);
    assert_true(mx_is_literal(STR("[192.0.2.1]")) && !mx_is_literal(STR("d.example")));
    assert_int_equal(mx_literal(&a, STR("[192.0.2.1]"), &plan, &e), 0);
    assert_true(plan.literal && plan.count == 1 && str_empty(plan.hosts[0].name));
    assert_memory_equal(plan.hosts[0].address, v4, 16);
    assert_int_equal(mx_literal(&a, STR("[IPv6:2001::7]"), &plan, &e), 0);
    assert_memory_equal(plan.hosts[0].address, v6, 16);
    assert_int_equal(mx_literal(&a, STR("[x400:c=de]"), &plan, &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    arena_done(&a);
}

static void test_no_memory(void **state)
{
    struct arena none;
    struct mx_plan plan;
    struct err e = {0};
    struct dns_answer answer = {.status = DNS_NO_DATA};

    (void)state;
    arena_init(&none, 0);
    assert_int_equal(mx_plan(&none, STR("d"), &answer, &self, last, NULL, &plan, &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_int_equal(mx_literal(&none, STR("[192.0.2.1]"), &plan, &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_equals),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
