#include "core/envelope.h"

#include "base/unit_test.h"

static struct ic_recipient given[] = {
    {.address = STR_INIT("a@example.test"), .orcpt = STR_INIT("rfc822;a"), .notify = 2},
    {.address = STR_INIT("b@example.test")},
};
static struct target targets[] = {
    {.kind = TARGET_ACCOUNT, .given = 0, .account = 7, .address = STR_INIT("a@example.test")},
    {.kind = TARGET_ADDRESS, .given = 1, .address = STR_INIT("c@there.example")},
};
static uint64_t cuts[] = {10, 20};

static void make(struct buf *out)
{
    struct envelope v = {
        .arrived_ms = 1234567890123,
        .given = {.id = 99,
            .reverse_path = STR("x@y.example"),
            .eight_bit = true,
            .ret = IC_RET_HDRS,
            .envid = STR("QQ1"),
            .rcpt = given,
            .count = 2},
        .client = STR("192.0.2.1"),
        .helo = STR("client.example"),
        .protocol = STR("ESMTP"),
        .target = targets,
        .targets = 2,
        .cut = cuts,
        .cuts = 1,
    };
    buf_init(out, ENVELOPE_MAX);
    envelope_encode(&v, out);
    assert_true(buf_ok(out));
}

static void test_round_trip(void **state)
{
    struct envelope v;
    struct arena a;
    struct buf text;

    (void)state;
    make(&text);
    arena_init(&a, 1 << 20);
    assert_int_equal(envelope_decode(&a, buf_str(&text), &v, NULL), 0);
    assert_true(v.given.id == 99 && v.given.ret == IC_RET_HDRS && v.given.count == 2);
    assert_true(str_eq(v.given.rcpt[0].orcpt, STR("rfc822;a")));
    assert_true(v.targets == 2 && v.target[0].account == 7 && v.target[1].given == 1);
    assert_true(str_eq(v.target[1].address, STR("c@there.example")));
    assert_true(v.cuts == 1 && v.cut[1] == 20 && v.arrived_ms == 1234567890123);
    arena_done(&a);
    buf_done(&text);
}

static void test_every_truncation_is_refused(void **state)
{
    struct envelope v;
    struct arena a;
    struct buf text;
    struct err e;

    (void)state;
    make(&text);
    arena_init(&a, 1 << 20);
    for (size_t n = 0; n < buf_len(&text); n++) {
        arena_reset(&a);
        assert_int_equal(envelope_decode(&a, str_head(buf_str(&text), n), &v, &e), -1);
    }
    arena_done(&a);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
