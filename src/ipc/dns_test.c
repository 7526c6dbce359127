#include "ipc/dns.h"

#include <sys/socket.h>
#include <unistd.h>

#include "run/run_test.h"

#include "ipc/channel.h"

static struct dns_record mx[] = {
    {.mx = {10, STR_INIT("a.example")}},
    {.mx = {20, STR_INIT("e\\010.example")}},
};

static struct dns_answer example(void)
{
    return (struct dns_answer){.status = DNS_FOUND,
        .secure = true,
        .ttl_s = 60,
        .name = STR("d.example"),
        .count = 2,
        .records = mx};
}

/* Encodes, decodes and encodes again; every cut of it is refused. */
static void round_trip(enum dns_type type, const struct dns_answer *v)
{
    struct arena a;
    struct buf first, again;
    struct dns_answer got;
    struct err e = {0};

    arena_init(&a, 1 << 20);
    buf_init(&first, CHANNEL_FRAME_MAX);
    buf_init(&again, CHANNEL_FRAME_MAX);
    dns_answer_encode(type, v, &first);
    assert_true(buf_ok(&first));
    assert_int_equal(dns_answer_decode(&a, type, buf_str(&first), &got, &e), 0);
    dns_answer_encode(type, &got, &again);
    assert_true(str_eq(buf_str(&first), buf_str(&again)));
    for (size_t n = 0; n < buf_len(&first); n++) {
        assert_int_equal(dns_answer_decode(&a, type, str_head(buf_str(&first), n), &got, &e), -1);
        assert_int_equal(e.class, ERR_BUG);
    }
    buf_done(&first);
    buf_done(&again);
    arena_done(&a);
}

static void test_answers(void **state)
{
    struct dns_answer v = example();
    struct dns_record r = {{{1}}};

    (void)state;
    round_trip(DNS_MX, &v);
    v.count = 1;
    v.records = &r;
    round_trip(DNS_A, &v);
    round_trip(DNS_AAAA, &v);
    r.text = STR("v=spf1 \x01\xff -all");
    round_trip(DNS_TXT, &v);
    r.tlsa = (struct dns_tlsa){3, 1, 1, STR("digest")};
    round_trip(DNS_TLSA, &v);
    r.name = STR("host.example");
    round_trip(DNS_PTR, &v);
    round_trip(DNS_CNAME, &v);
    v = (struct dns_answer){.status = DNS_BOGUS, .name = STR("x"), .why = STR("signature expired")};
    round_trip(DNS_A, &v);
}

static int decode_changed(struct dns_answer v)
{
    struct arena a;
    struct buf out;
    struct dns_answer got;
    int rc;

    arena_init(&a, 1 << 20);
    buf_init(&out, CHANNEL_FRAME_MAX);
    dns_answer_encode(DNS_MX, &v, &out);
    rc = buf_ok(&out) ? dns_answer_decode(&a, DNS_MX, buf_str(&out), &got, NULL) : -1;
    buf_done(&out);
    arena_done(&a);
    return rc;
}

/* What a resolver that went mad could say. */
static void test_refused(void **state)
{
    struct dns_answer v = example();
    struct dns_question q = {DNS_MX, STR("d.example")}, got;
    struct buf out;

    (void)state;
    assert_int_equal(decode_changed(v), 0);
    v.status = DNS_NO_DATA;
    assert_int_equal(decode_changed(v), -1); /* and yet records */
    v = example();
    v.count = 0;
    assert_int_equal(decode_changed(v), -1);
    v = example();
    v.ttl_s = DNS_TTL_MAX_S + 1;
    assert_int_equal(decode_changed(v), -1);
    v = example();
    v.name = STR("a\nb");
    assert_int_equal(decode_changed(v), -1);

    buf_init(&out, 1024);
    dns_question_encode(&q, &out);
    assert_int_equal(dns_question_decode(buf_str(&out), &got, NULL), 0);
    assert_true(got.type == DNS_MX && str_eq(got.name, q.name));
    out.p[0] = 99; /* no type that we know */
    assert_int_equal(dns_question_decode(buf_str(&out), &got, NULL), -1);
    buf_clear(&out);
    q.name = STR("a..b");
    dns_question_encode(&q, &out);
    assert_false(buf_ok(&out));
    buf_done(&out);
}

static void test_reverse(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 4096);
    /* RFC 1035 3.5, RFC 3596 2.5 */
    assert_true(str_eq(dns_reverse_name(&a, (const uint8_t[16]){[10] = 0xff, 0xff, 192, 0, 2, 1}),
        STR("1.2.0.192.in-addr.arpa")));
    assert_true(str_eq(dns_reverse_name(&a, (const uint8_t[16]){0x20, 1, 0xd, 0xb8, [15] = 0x1f}),
        STR("f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa")));
    arena_done(&a);
}

/* ---- a resolver that does as the test says */

static struct resolver {
    struct channel *channel;
    bool mute;
    unsigned asked;
    struct cond event;
} fake;

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct dns_question q;
    struct dns_answer v = example();
    struct buf out;

    (void)arg;
    assert_int_equal(type, DNS_ASK);
    assert_int_equal(fd, -1);
    assert_int_equal(dns_question_decode(payload, &q, NULL), 0);
    fake.asked++;
    cond_wake_all(&fake.event);
    if (fake.mute)
        return false;
    buf_init(&out, CHANNEL_FRAME_MAX);
    dns_answer_encode(q.type, &v, &out);
    channel_reply(from, buf_str(&out));
    buf_done(&out);
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    (void)arg;
    (void)c;
    (void)why;
    channel_close(&fake.channel);
}

static void start_resolver(struct dns_client *c)
{
    static const struct channel_handler handler = {on_frame, on_closed};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    channel_close(&fake.channel);
    assert_int_equal(channel_open(&fake.channel, fds[0], "client", &handler, NULL, NULL), 0);
    dns_client_peer(c, fds[1]);
}

static struct asker {
    struct dns_client client;
    struct arena arena;
    struct dns_answer answer;
    struct err e;
    int rc;
    bool ended;
} asker;

static void ask(void *arg)
{
    (void)arg;
    asker.rc =
        dns_ask(&asker.client, &asker.arena, DNS_MX, STR("d.example"), &asker.answer, &asker.e);
    asker.ended = true;
}

static void begin(void)
{
    asker = (struct asker){0};
    fake = (struct resolver){0};
    cond_init(&fake.event);
    arena_init(&asker.arena, 1 << 20);
    dns_client_init(&asker.client, NULL);
}

static void end(void)
{
    dns_client_done(&asker.client);
    channel_close(&fake.channel);
    arena_done(&asker.arena);
}

static void asks(void)
{
    begin();
    start_resolver(&asker.client);
    ask(NULL);
    assert_int_equal(asker.rc, 0);
    assert_int_equal(asker.answer.status, DNS_FOUND);
    assert_true(asker.answer.secure && asker.answer.count == 2);
    assert_true(str_eq(asker.answer.records[1].mx.host, STR("e\\010.example")));
    /* what is no name is not asked */
    assert_int_equal(
        dns_ask(&asker.client, &asker.arena, DNS_A, STR("a b\n"), &asker.answer, NULL), 0);
    assert_int_equal(asker.answer.status, DNS_NO_NAME);
    assert_int_equal(str_find(asker.answer.why, '\n'), -1);
    assert_int_equal(fake.asked, 1);
    end();
}

/* The one that died over the question is followed by another, which is asked again. */
static void asks_again(void)
{
    struct scope scope;

    begin();
    fake.mute = true;
    start_resolver(&asker.client);
    scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "ask", ask, NULL, NULL), 0);
    while (fake.asked == 0)
        assert_int_equal(cond_wait(&fake.event, "question", NULL), 0);
    channel_close(&fake.channel);
    while (asker.client.channel)
        assert_int_equal(fiber_yield(NULL), 0);
    assert_false(asker.ended);
    fake.mute = false;
    start_resolver(&asker.client);
    scope_join(&scope);
    assert_int_equal(asker.rc, 0);
    assert_int_equal(asker.answer.status, DNS_FOUND);
    assert_int_equal(fake.asked, 2);
    end();
}

/* A new resolver takes the place of one that lives. */
static void exchanges(void)
{
    struct scope scope;

    begin();
    fake.mute = true;
    start_resolver(&asker.client);
    scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "ask", ask, NULL, NULL), 0);
    while (fake.asked == 0)
        assert_int_equal(cond_wait(&fake.event, "question", NULL), 0);
    fake.mute = false;
    start_resolver(&asker.client);
    scope_join(&scope);
    assert_int_equal(asker.answer.status, DNS_FOUND);
    end();
}

/* SURFACE: no resolver is a temporary failure, remembered for a while; a caller's own deadline and
 * its cancellation are errors. */
static void does_without(void)
{
    struct scope scope;
    uint64_t before;

    begin();
    asker.client.absent_until = UINT64_MAX;
    ask(NULL);
    assert_int_equal(asker.rc, 0);
    assert_int_equal(asker.answer.status, DNS_TEMPORARY);
    assert_int_equal(asker.answer.count, 0);

    asker.client.absent_until = 0;
    before = fiber_deadline_shorten(run_now());
    ask(NULL);
    fiber_deadline_restore(before);
    assert_int_equal(asker.rc, -1);
    assert_int_equal(asker.e.class, ERR_DEADLINE);

    asker.ended = false;
    scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "ask", ask, NULL, NULL), 0);
    assert_int_equal(fiber_yield(NULL), 0);
    assert_false(asker.ended); /* it waits for one */
    scope_cancel(&scope);
    scope_join(&scope);
    assert_int_equal(asker.rc, -1);
    assert_int_equal(asker.e.class, ERR_CANCELLED);
    end();
}

static void test_asks(void **state)
{
    (void)state;
    run_in_fiber(asks);
}

static void test_asks_again(void **state)
{
    (void)state;
    run_in_fiber(asks_again);
}

static void test_exchange(void **state)
{
    (void)state;
    run_in_fiber(exchanges);
}

static void test_absent(void **state)
{
    (void)state;
    run_in_fiber(does_without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_reverse),
        cmocka_unit_test(test_asks),
        cmocka_unit_test(test_asks_again),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
