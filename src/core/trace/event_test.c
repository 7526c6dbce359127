#include "core/trace/event.h"

#include "base/mem.h"
#include "base/unit_test.h"

static void assert_str(struct str got, struct str expected)
{
    assert_int_equal(got.n, expected.n);
    assert_true(str_eq(got, expected));
}

static void test_round_trip(void **state)
{
    const struct trace_event ev = {
        .kind = TRACE_DEFERRED,
        .when_ms = 1766376000123,
        .id = 0x123456789abcdef0,
        .other = 77,
        .from = STR("a@x.example"),
        .to = STR("b@y.example"),
        .client = STR("192.0.2.1"),
        .helo = STR("mail.x.example"),
        .protocol = STR("ESMTP"),
        .host = STR("mx.y.example"),
        .address = STR("2001:db8::1"),
        .code = 450,
        .attempt = 3,
        .status = {4, 2, 1},
        .count = 9,
        .size = 1ULL << 40,
        .until_ms = 1766376999000,
        .text = STR("later\0, said it"),
    };
    struct trace_event got;
    struct buf b;

    (void)state;
    buf_init(&b, EVENT_MAX);
    assert_int_equal(event_encode(&ev, 5, &b), 0);
    assert_true(event_decode(buf_str(&b), &got));
    assert_int_equal(got.kind, ev.kind);
    assert_int_equal(got.when_ms, ev.when_ms);
    assert_true(got.id == ev.id && got.other == ev.other && got.size == ev.size);
    assert_true(got.has_from);
    assert_str(got.from, ev.from);
    assert_str(got.to, ev.to);
    assert_str(got.client, ev.client);
    assert_str(got.helo, ev.helo);
    assert_str(got.protocol, ev.protocol);
    assert_str(got.host, ev.host);
    assert_str(got.address, ev.address);
    assert_str(got.text, ev.text);
    assert_int_equal(got.code, 450);
    assert_int_equal(got.attempt, 3);
    assert_int_equal(got.status.subject, 2);
    assert_int_equal(got.status.detail, 1);
    assert_int_equal(got.count, 9);
    assert_int_equal(got.until_ms, ev.until_ms);
    for (size_t n = 0; n < buf_len(&b); n++)
        assert_false(event_decode(str_head(buf_str(&b), n), &got));
    buf_done(&b);
}

static void test_least(void **state)
{
    const struct trace_event ev = {.kind = TRACE_ENDED, .id = 1};
    struct trace_event got;
    struct buf b;

    (void)state;
    buf_init(&b, EVENT_MAX);
    assert_int_equal(event_encode(&ev, 1234, &b), 0);
    assert_int_equal(buf_len(&b), EVENT_LEAST);
    assert_true(event_decode(buf_str(&b), &got));
    assert_int_equal(got.when_ms, 1234);
    assert_false(got.has_from);
    buf_done(&b);
}

/* The null reverse-path is one, and told from none. */
static void test_null_sender(void **state)
{
    const struct trace_event ev = {.kind = TRACE_RECEIVED, .id = 1, .has_from = true};
    struct trace_event got;
    struct buf b;

    (void)state;
    buf_init(&b, EVENT_MAX);
    assert_int_equal(event_encode(&ev, 1, &b), 0);
    assert_true(event_decode(buf_str(&b), &got));
    assert_true(got.has_from && got.from.n == 0);
    assert_false(event_names(&got, STR("a@x.example")));
    buf_done(&b);
}

static void test_cuts(void **state)
{
    static char text[5000];
    struct trace_event ev = {.kind = TRACE_FAILED, .id = 1}, got;
    struct buf b;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text + TRACE_TEXT_MAX - 1, "\xe2\x82\xac", 3); /* a sign that would be cut in two */
    buf_init(&b, EVENT_MAX);
    ev.text = ev.from = ev.to = ev.client = ev.helo = ev.protocol = ev.host = ev.address =
        str_of(text, sizeof text);
    assert_int_equal(event_encode(&ev, 1, &b), 0);
    assert_true(event_decode(buf_str(&b), &got));
    assert_int_equal(got.text.n, TRACE_TEXT_MAX - 1);
    buf_done(&b);
    /* All of them together fit. */
    buf_init(&b, 100);
    assert_int_equal(event_encode(&ev, 1, &b), -1);
    assert_true(buf_ok(&b) && buf_len(&b) == 0);
    buf_done(&b);
}

/* What a later version added is hopped over. */
static void test_later_version(void **state)
{
    const struct trace_event ev = {.kind = TRACE_FAILED, .id = 1, .text = STR("no")};
    struct trace_event got;
    struct buf b;

    (void)state;
    buf_init(&b, EVENT_MAX);
    assert_int_equal(event_encode(&ev, 1, &b), 0);
    buf_put(&b, STR("more"));
    assert_false(event_decode(buf_str(&b), &got));
    b.p[b.start + 4] |= 0x40;
    assert_true(event_decode(buf_str(&b), &got));
    assert_str(got.text, STR("no"));
    buf_done(&b);
}

static void test_kinds_have_names(void **state)
{
    (void)state;
    for (int kind = 1; kind < TRACE_KINDS; kind++)
        if (str_eq(str_c(trace_kind_name((enum trace_kind)kind)), STR("unknown")))
            fail_msg("kind %d has no name", kind);
    assert_string_equal(trace_kind_name((enum trace_kind)0), "unknown");
    assert_string_equal(trace_kind_name((enum trace_kind)250), "unknown");
}

static void test_names(void **state)
{
    const struct trace_event ev = {.from = STR("A@x.example"), .to = STR("b@Y.example")};

    (void)state;
    assert_true(event_names(&ev, STR("a@X.example")));
    assert_true(event_names(&ev, STR("b@y.example")));
    assert_false(event_names(&ev, STR("c@y.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_null_sender),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_later_version),
        cmocka_unit_test(test_kinds_have_names),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
