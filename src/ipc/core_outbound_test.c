#include "ipc/core_outbound.h"

#include "base/mem.h"
#include "base/unit_test.h"

#include "ipc/core_outbound_recode.h"

static struct co_host hosts[] = {
    {CO_HOST_NAME, STR_INIT("mx1.example.org"), 25},
    {CO_HOST_ADDRESS, STR_INIT("2001:db8::1"), 2525},
    {CO_HOST_UNIX, STR_INIT("/run/dovecot/lmtp"), 0},
};
static struct co_rcpt rcpts[] = {
    {7, STR_INIT("a@example.org"), STR_INIT("rfc822;a+2Bb"), IC_NOTIFY_SUCCESS | IC_NOTIFY_DELAY},
    {9, STR_INIT("b\xc3\xa9@example.org"), STR_INIT(""), IC_NOTIFY_NEVER},
};
static struct co_reply replies[] = {
    {250, {2, 1, 5}, STR_INIT("ok")},
    {550, {5, 1, 1}, STR_INIT("no \\x1b such \xc3\xa9")},
    {0, {4, 4, 2}, STR_INIT("lost")},
};
static struct co_result results[] = {
    {0, CO_RELAYED, 0},
    {1, CO_FAILED, 1},
    {70000, CO_UNTRIED, 2},
};
static struct co_flying flying[] = {{1, 2}, {0xfedcba9876543210, 65535}};

static struct co_open an_open(void)
{
    return (struct co_open){
        .assignment = 17,
        .lmtp = true,
        .by_mx = true,
        .site = STR("mx1.example.org"),
        .helo_name = STR("out.example.test"),
        .host = hosts,
        .hosts = 3,
    };
}

static struct co_outcome an_outcome(void)
{
    return (struct co_outcome){
        .id = 0x123456789abcdef0,
        .attempt = 3,
        .host = STR("mx1.example.org"),
        .address = STR("192.0.2.1"),
        .reply = replies,
        .replies = 3,
        .result = results,
        .results = 3,
    };
}

static struct co_given a_given(void)
{
    return (struct co_given){CO_DELIVERY, {.id = 0x123456789abcdef0,
                                              .attempt = 1,
                                              .probe = true,
                                              .smtputf8 = false,
                                              .eight_bit = true,
                                              .ret = IC_RET_HDRS,
                                              .envid = STR("QQ314159"),
                                              .reverse_path = STR("x@y.example"),
                                              .content_size = 20,
                                              .prefix = STR("Received: x\r\n"),
                                              .content = STR("Subject: x\r\n\r\n\0\xff\r\n"),
                                              .rcpt = rcpts,
                                              .rcpts = 2,
                                              .rcpts_total = 3}};
}

static struct co_closed a_closed(void)
{
    return (struct co_closed){
        .assignment = 17,
        .end = CO_ENDED_LOST,
        .why = replies[2],
        .host = STR("mx1.example.org"),
        .address = STR("192.0.2.1"),
        .tried = STR("mx1.example.org [192.0.2.1]: lost"),
        .has_outcome = true,
        .outcome = an_outcome(),
    };
}

static void make_next(struct buf *out)
{
    co_next_encode(&(struct co_next){.assignment = 17,
                       .greeted = true,
                       .host = STR("h"),
                       .address = STR("::1"),
                       .messages_max = 20,
                       .rcpts_max = 50,
                       .has_outcome = true,
                       .outcome = an_outcome()},
        out);
}

static void make_attach(struct buf *out)
{
    struct co_outcome both[2] = {an_outcome(), an_outcome()};

    co_attach_encode(
        &(struct co_attach){
            .last = true, .outcome = both, .outcomes = 2, .flying = flying, .flyings = 2},
        out);
}

/* An example of each kind, in the order of co_kinds. */
static void make_example(size_t kind, struct buf *out)
{
    struct co_open open = an_open();
    struct co_given given = a_given();
    struct co_closed closed = a_closed();
    struct co_outcome outcome = an_outcome();

    switch (kind) {
    case 0:
        co_open_encode(&open, out);
        return;
    case 1:
        make_next(out);
        return;
    case 2:
        co_given_encode(&given, out);
        return;
    case 3:
        co_closed_encode(&closed, out);
        return;
    case 4:
        make_attach(out);
        return;
    case 5:
        co_read_encode(&(struct co_read){17, 1ULL << 40, CO_READ_MAX}, out);
        return;
    case 6:
        co_rcpts_encode(rcpts, 1, out);
        co_rcpts_encode(rcpts + 1, 1, out);
        return;
    case 7:
        co_confirm_encode(flying, 2, out);
        return;
    case 8:
        co_rcpts_ask_encode(17, 2, out);
        return;
    case 9:
        co_assignment_encode(17, out);
        return;
    default:
        co_outcome_encode(&outcome, out);
        return;
    }
}

static int recode(size_t kind, struct str in, struct buf *out)
{
    struct arena arena;
    int result;

    arena_init(&arena, 1 << 20);
    buf_clear(out);
    result = co_kinds[kind].recode(&arena, in, out, NULL);
    arena_done(&arena);
    return result;
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < co_kind_count; kind++) {
        struct buf in, out;
        struct str x;
        buf_init(&in, 1 << 16);
        buf_init(&out, 1 << 16);
        make_example(kind, &in);
        assert_true(buf_ok(&in));
        x = buf_str(&in);
        assert_int_equal(recode(kind, x, &out), 0);
        assert_true(str_eq(buf_str(&out), x));
        for (size_t n = 0; n < x.n; n++) {
            bool accepted = recode(kind, str_head(x, n), &out) == 0;
            if (accepted && !(co_kinds[kind].run && str_eq(buf_str(&out), str_head(x, n))))
                fail_msg("%s cut to %zu of %zu octets was accepted", co_kinds[kind].name, n, x.n);
        }
        buf_put_c(&in, '\xff');
        assert_int_equal(recode(kind, buf_str(&in), &out), -1);
        buf_done(&in);
        buf_done(&out);
    }
}

/* Each octet set to each of some values: refused, or the same octets come out. */
static void test_changed_octets(void **state)
{
    static const unsigned char values[] = {0, 1, 2, 3, 9, 127, 128, 255};
    struct buf in, out;

    (void)state;
    buf_init(&in, 1 << 16);
    buf_init(&out, 1 << 16);
    for (size_t kind = 0; kind < co_kind_count; kind++) {
        buf_clear(&in);
        make_example(kind, &in);
        for (size_t i = 0; i < buf_len(&in) * sizeof values; i++) {
            char *p = &in.p[in.start + i / sizeof values], old = *p;
            *p = (char)values[i % sizeof values];
            if (recode(kind, buf_str(&in), &out) == 0)
                assert_true(str_eq(buf_str(&out), buf_str(&in)));
            *p = old;
        }
    }
    buf_done(&in);
    buf_done(&out);
}

static void test_values_come_through(void **state)
{
    struct co_given given = a_given(), g;
    struct co_closed closed = a_closed(), c;
    struct co_open open = an_open(), o;
    struct arena arena;
    struct buf b;

    (void)state;
    arena_init(&arena, 1 << 16);
    buf_init(&b, 1 << 16);
    co_given_encode(&given, &b);
    assert_int_equal(co_given_decode(&arena, buf_str(&b), &g, NULL), 0);
    assert_int_equal(g.delivery.id, given.delivery.id);
    assert_int_equal(g.delivery.attempt, 1);
    assert_true(g.delivery.probe && g.delivery.eight_bit && !g.delivery.smtputf8);
    assert_true(str_eq(g.delivery.content, given.delivery.content));
    assert_true(str_eq(g.delivery.prefix, given.delivery.prefix));
    assert_int_equal(g.delivery.content_size, 20);
    assert_int_equal(g.delivery.rcpts, 2);
    assert_int_equal(g.delivery.rcpts_total, 3);
    assert_int_equal(g.delivery.rcpt[1].index, 9);
    assert_true(str_eq(g.delivery.rcpt[1].address, rcpts[1].address));
    buf_clear(&b);
    co_closed_encode(&closed, &b);
    assert_int_equal(co_closed_decode(&arena, buf_str(&b), &c, NULL), 0);
    assert_int_equal(c.end, CO_ENDED_LOST);
    assert_true(str_eq(c.tried, closed.tried) && str_eq(c.why.text, replies[2].text));
    assert_int_equal(c.outcome.results, 3);
    assert_int_equal(c.outcome.result[2].index, 70000);
    assert_int_equal(c.outcome.result[2].verdict, CO_UNTRIED);
    assert_int_equal(c.outcome.reply[1].code, 550);
    assert_int_equal(c.outcome.reply[1].status.detail, 1);
    buf_clear(&b);
    co_open_encode(&open, &b);
    assert_int_equal(co_open_decode(&arena, buf_str(&b), &o, NULL), 0);
    assert_true(o.lmtp && o.by_mx);
    assert_int_equal(o.hosts, 3);
    assert_int_equal(o.host[2].kind, CO_HOST_UNIX);
    assert_int_equal(o.host[1].port, 2525);
    buf_done(&b);
    arena_done(&arena);
}

/* What contradicts itself, or holds what no text may. */
static void spoil(struct co_given *v, unsigned how)
{
    static struct co_rcpt bad[] = {
        {0, STR_INIT("a@b>\r\nDATA"), STR_INIT(""), 0},
        {0, STR_INIT("a@b"), STR_INIT("rfc822;\x7f"), 0},
        {0, STR_INIT("a@b"), STR_INIT(""), IC_NOTIFY_NEVER | IC_NOTIFY_DELAY},
        {0, STR_INIT("a@b"), STR_INIT(""), 16},
    };

    switch (how) {
    case 0:
        v->kind = (enum co_given_kind)3;
        return;
    case 1:
        v->delivery.ret = (enum ic_ret)3;
        return;
    case 2:
        v->delivery.reverse_path = STR("a@b\n");
        return;
    case 3:
        v->delivery.envid = STR("\r");
        return;
    default:
        v->delivery.rcpt = &bad[how - 4];
        v->delivery.rcpts = v->delivery.rcpts_total = 1;
        return;
    }
}

static void test_given_contradictions(void **state)
{
    struct arena arena;
    struct buf b;

    (void)state;
    arena_init(&arena, 1 << 16);
    buf_init(&b, 1 << 16);
    for (unsigned how = 0; how < 8; how++) {
        struct co_given in = a_given(), v;
        struct err e;
        spoil(&in, how);
        buf_clear(&b);
        co_given_encode(&in, &b);
        assert_true(buf_ok(&b));
        if (co_given_decode(&arena, buf_str(&b), &v, &e) == 0)
            fail_msg("spoilt delivery %u was accepted", how);
        assert_int_equal(e.class, ERR_BUG);
    }
    buf_done(&b);
    arena_done(&arena);
}

static void test_outcome_contradictions(void **state)
{
    static struct co_reply code = {600, {2, 0, 0}, STR_INIT("")};
    static struct co_reply status = {250, {6, 0, 0}, STR_INIT("")};
    static struct co_reply text = {250, {2, 0, 0}, STR_INIT("a\nb")};
    static struct co_reply *const bad[] = {&code, &status, &text};
    static struct co_result other = {0, CO_SENT, 1};
    struct arena arena;
    struct buf b;

    (void)state;
    arena_init(&arena, 1 << 16);
    buf_init(&b, 1 << 16);
    for (unsigned how = 0; how < 4; how++) {
        struct co_closed in = a_closed(), v;
        in.outcome.reply = how < 3 ? bad[how] : replies;
        in.outcome.replies = 1;
        in.outcome.result = how < 3 ? results : &other;
        in.outcome.results = 1;
        buf_clear(&b);
        co_closed_encode(&in, &b);
        assert_true(buf_ok(&b));
        if (co_closed_decode(&arena, buf_str(&b), &v, NULL) == 0)
            fail_msg("spoilt outcome %u was accepted", how);
    }
    buf_done(&b);
    arena_done(&arena);
}

/* Each recipient once, in the order in which they were given. */
static void test_outcome_repeats(void **state)
{
    static struct co_result again[] = {{1, CO_SENT, 0}, {1, CO_SENT, 0}};
    static struct co_result back[] = {{1, CO_SENT, 0}, {0, CO_SENT, 0}};
    struct co_outcome in = an_outcome(), v;
    struct arena arena;
    struct buf b;

    (void)state;
    arena_init(&arena, 1 << 16);
    buf_init(&b, 1 << 16);
    in.results = 2;
    for (unsigned how = 0; how < 2; how++) {
        in.result = how ? back : again;
        buf_clear(&b);
        co_outcome_encode(&in, &b);
        assert_true(buf_ok(&b));
        assert_int_equal(co_outcome_decode(&arena, buf_str(&b), &v, NULL), -1);
    }
    buf_done(&b);
    arena_done(&arena);
}

static char octets[65536];

/* Spoils one thing so that it is beyond its ceiling. */
static void put_beyond(unsigned how, struct buf *out)
{
    struct co_given given = a_given();
    struct co_open open = an_open();
    struct co_closed closed = a_closed();

    switch (how) {
    case 0:
        given.delivery.content = str_of(octets, CO_INLINE_MAX + 1);
        given.delivery.content_size = CO_INLINE_MAX + 1;
        break;
    case 1:
        given.delivery.content_size = given.delivery.content.n - 1;
        break;
    case 2:
        given.delivery.rcpts_total = 1;
        break;
    case 3:
        given.delivery.rcpts_total = CO_RCPTS_MAX + 1;
        break;
    case 4:
        given.delivery.rcpts = 0;
        break;
    case 5:
        open.hosts = 0;
        break;
    case 6:
        open.site = str_of(octets, CO_NAME_MAX + 1);
        break;
    case 7:
        closed.tried = str_of(octets, CO_TRIED_TEXT_MAX + 1);
        break;
    case 8:
        closed.why.text = str_of(octets, CO_TEXT_MAX + 1);
        break;
    case 9:
        closed.outcome.results = 0;
        break;
    default:
        co_read_encode(&(struct co_read){1, 0, CO_READ_MAX + 1}, out);
        return;
    }
    co_given_encode(&given, out);
    co_open_encode(&open, out);
    co_closed_encode(&closed, out);
}

static void test_ceilings_of_encoders(void **state)
{
    struct buf b;

    (void)state;
    memset(octets, 'x', sizeof octets);
    buf_init(&b, 1 << 20);
    for (unsigned how = 0; how < 11; how++) {
        buf_clear(&b);
        put_beyond(how, &b);
        if (buf_ok(&b))
            fail_msg("what is beyond ceiling %u was encoded", how);
    }
    buf_done(&b);
}

/* The largest outcome, in the largest frame that carries one (65,536 octets). */
static void test_outcome_fits_a_frame(void **state)
{
    static struct co_reply reply[CO_RCPTS_MAX];
    static struct co_result result[CO_RCPTS_MAX];
    struct co_closed v = a_closed();
    struct buf b;

    (void)state;
    memset(octets, 'x', sizeof octets);
    v.tried = str_of(octets, CO_TRIED_TEXT_MAX);
    v.why.text = str_of(octets, CO_TEXT_MAX);
    v.host = v.address = v.outcome.host = v.outcome.address = str_of(octets, CO_HOST_MAX);
    for (uint32_t i = 0; i < CO_RCPTS_MAX; i++) {
        reply[i] = (struct co_reply){450, {4, 0, 0}, {octets, CO_TEXTS_MAX / CO_RCPTS_MAX}};
        result[i] = (struct co_result){i, CO_DEFERRED, i};
    }
    v.outcome.reply = reply;
    v.outcome.result = result;
    v.outcome.replies = v.outcome.results = CO_RCPTS_MAX;
    buf_init(&b, 65536);
    co_closed_encode(&v, &b);
    assert_true(buf_ok(&b));
    reply[0].text.n += CO_TEXTS_MAX % CO_RCPTS_MAX + 1;
    buf_clear(&b);
    co_closed_encode(&v, &b);
    assert_false(buf_ok(&b));
    buf_done(&b);
}

static void test_without_memory(void **state)
{
    struct buf b, out;

    (void)state;
    buf_init(&b, 1 << 16);
    buf_init(&out, 1 << 16);
    for (size_t kind = 0; kind < co_kind_count; kind++) {
        int rc = -1;
        buf_clear(&b);
        make_example(kind, &b);
        for (uint64_t n = 1; rc < 0; n++) {
            assert_true(n < 100);
            mem_fail_at(n);
            rc = recode(kind, buf_str(&b), &out);
            mem_fail_at(0);
            if (rc == 0 && !buf_ok(&out))
                rc = -1;
        }
    }
    buf_done(&out);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_changed_octets),
        cmocka_unit_test(test_values_come_through),
        cmocka_unit_test(test_given_contradictions),
        cmocka_unit_test(test_outcome_contradictions),
        cmocka_unit_test(test_outcome_repeats),
        cmocka_unit_test(test_ceilings_of_encoders),
        cmocka_unit_test(test_outcome_fits_a_frame),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
