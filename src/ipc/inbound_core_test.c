#include "ipc/inbound_core.h"

#include "base/mem.h"
#include "base/unit_test.h"

#include "ipc/inbound_core_recode.h"

static struct str addresses[] = {
    STR_INIT("a@example.test"),
    STR_INIT(""),
    STR_INIT("b\xc3\xa9@example.test"),
};
static struct ic_recipient recipients[] = {
    {STR_INIT("a@example.test"), STR_INIT("rfc822;a+2Bb"), IC_NOTIFY_SUCCESS | IC_NOTIFY_DELAY},
    {STR_INIT("Postmaster"), STR_INIT(""), IC_NOTIFY_NEVER},
};

static uint64_t cuts[] = {0, 5, 9, 9};

static struct ic_commit whole(void)
{
    return (struct ic_commit){
        .upload = 0,
        .envelope = {.id = 0x123456789abcdef0,
            .reverse_path = STR("x@y.example"),
            .smtputf8 = true,
            .eight_bit = false,
            .ret = IC_RET_HDRS,
            .envid = STR("QQ314159"),
            .rcpt = recipients,
            .count = 2},
        .slot = 77,
        .client = STR("192.0.2.1"),
        .helo = STR("client.example"),
        .protocol = STR("ESMTPS"),
        .prefix = STR("Received: x\r\n"),
        .content = STR("Subject: x\r\n\r\n\0\xff\r\n"),
        .digest = STR("d"),
        .content_size = 18,
        .content_crc = 0xdeadbeef,
        .cut = cuts,
        .cuts = 2,
    };
}

static struct err refusal(void)
{
    struct err e;

    err_set_status(&e, ERR_PERMANENT, (struct err_status){5, 1, 1}, "directory", "unknown user");
    return e;
}

/* An example of each kind, in the order of ic_kinds. */
static void make_example(size_t kind, struct buf *out)
{
    struct ic_commit commit = whole();

    switch (kind) {
    case 0:
        ic_lease_encode(&(struct ic_lease){0xabcdef0000000000 | 5U << 24}, out);
        return;
    case 1:
        ic_admit_encode(&(struct ic_admit){{[10] = 0xff, 0xff, 192, 0, 2, 1}, 7}, out);
        return;
    case 2:
        ic_admitted_encode(&(struct ic_admitted){.why = refusal()}, out);
        return;
    case 3:
        ic_rcpt_encode(&(struct ic_rcpt){5, STR("s@a.example"), addresses, 3}, out);
        return;
    case 4:
        ic_rcpt_answer_encode(&(struct ic_rcpt_answer){.verdict = IC_LOCAL}, out);
        ic_rcpt_answer_encode(&(struct ic_rcpt_answer){IC_REFUSED, refusal()}, out);
        return;
    case 5:
        ic_put_encode(&(struct ic_put){9, IC_DIGEST, STR("octets")}, out);
        return;
    case 6:
        ic_recipients_encode(recipients, 1, out);
        ic_recipients_encode(recipients + 1, 1, out);
        return;
    default:
        ic_commit_encode(&commit, out);
        return;
    }
}

static int recode(size_t kind, struct str in, struct buf *out)
{
    struct arena arena;
    int result;

    arena_init(&arena, 1 << 20);
    buf_clear(out);
    result = ic_kinds[kind].recode(&arena, in, out, NULL);
    arena_done(&arena);
    return result;
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < ic_kind_count; kind++) {
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
            if (accepted && !(ic_kinds[kind].run && str_eq(buf_str(&out), str_head(x, n))))
                fail_msg("%s cut to %zu of %zu octets was accepted", ic_kinds[kind].name, n, x.n);
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
    for (size_t kind = 0; kind < ic_kind_count; kind++) {
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
    struct ic_commit in = whole(), v;
    struct arena arena;
    struct buf b;

    (void)state;
    arena_init(&arena, 1 << 16);
    buf_init(&b, 1 << 16);
    ic_commit_encode(&in, &b);
    assert_int_equal(ic_commit_decode(&arena, buf_str(&b), &v, NULL), 0);
    assert_int_equal(v.envelope.id, in.envelope.id);
    assert_true(str_eq(v.envelope.reverse_path, in.envelope.reverse_path));
    assert_true(v.envelope.smtputf8 && !v.envelope.eight_bit);
    assert_int_equal(v.envelope.ret, IC_RET_HDRS);
    assert_int_equal(v.envelope.count, 2);
    assert_true(str_eq(v.envelope.rcpt[1].address, STR("Postmaster")));
    assert_int_equal(v.envelope.rcpt[0].notify, IC_NOTIFY_SUCCESS | IC_NOTIFY_DELAY);
    assert_true(str_eq(v.content, in.content) && str_eq(v.prefix, in.prefix));
    assert_true(str_eq(v.helo, in.helo) && str_eq(v.client, in.client));
    assert_int_equal(v.content_crc, 0xdeadbeef);
    assert_int_equal(v.cuts, 2);
    assert_memory_equal(v.cut, cuts, sizeof cuts);
    buf_done(&b);
    arena_done(&arena);
}

/* A commit that contradicts itself or is beyond a ceiling. */
static void spoil(struct ic_commit *v, unsigned how)
{
    static char control[] = "a\r\nX-Injected: 1";
    static struct ic_recipient bad[] = {
        {STR_INIT("a@b\n"), STR_INIT(""), 0},
        {STR_INIT("a@b"), STR_INIT(""), IC_NOTIFY_NEVER | IC_NOTIFY_DELAY},
        {STR_INIT("a@b"), STR_INIT(""), 16},
        {STR_INIT("a@b"), STR_INIT("rfc822;\x7f"), 0},
    };

    static uint64_t bad_cuts[][4] = {
        {0, 0, 1, 1}, {5, 5, 9, 1}, {0, 1, 18, 1}, {1, UINT64_MAX, 2, 1}};

    if (how >= 10) {
        v->cut = bad_cuts[how - 10];
        return;
    }
    switch (how) {
    case 0:
        v->content_size++; /* nothing was PUT */
        break;
    case 1:
        v->upload = 3;
        v->content_size = v->content.n - 1;
        break;
    case 2:
        v->helo = str_c(control);
        break;
    case 3:
        v->envelope.reverse_path = str_c(control);
        break;
    case 4:
        v->envelope.count = 0;
        break;
    case 5:
        v->envelope.ret = (enum ic_ret)3;
        break;
    default:
        v->envelope.rcpt = &bad[how - 6];
        v->envelope.count = 1;
        break;
    }
}

static void test_commit_contradictions(void **state)
{
    struct arena arena;
    struct buf b;

    (void)state;
    arena_init(&arena, 1 << 16);
    buf_init(&b, 1 << 16);
    for (unsigned how = 0; how < 14; how++) {
        struct ic_commit in = whole(), v;
        struct err e;
        spoil(&in, how);
        buf_clear(&b);
        ic_commit_encode(&in, &b);
        assert_true(buf_ok(&b));
        if (ic_commit_decode(&arena, buf_str(&b), &v, &e) == 0)
            fail_msg("spoilt commit %u was accepted", how);
        assert_int_equal(e.class, ERR_BUG);
    }
    buf_done(&b);
    arena_done(&arena);
}

static void test_ceilings_of_encoders(void **state)
{
    static char octets[IC_PUT_MAX + 1];
    struct str many[IC_RCPT_BATCH_MAX + 1] = {{0}};
    struct ic_rcpt rcpt = {.address = many, .count = IC_RCPT_BATCH_MAX};
    struct ic_put put = {1, IC_CONTENT, {octets, IC_PUT_MAX}};
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    ic_rcpt_encode(&rcpt, &b);
    ic_put_encode(&put, &b);
    assert_true(buf_ok(&b));
    rcpt.count++;
    ic_rcpt_encode(&rcpt, &b);
    assert_false(buf_ok(&b));
    buf_clear(&b);
    put.octets.n++;
    ic_put_encode(&put, &b);
    assert_false(buf_ok(&b));
    buf_clear(&b);
    many[0] = str_of(octets, IC_ADDRESS_MAX + 1);
    rcpt.count = 1;
    ic_rcpt_encode(&rcpt, &b);
    assert_false(buf_ok(&b));
    buf_done(&b);
}

/* The answers to the largest batch, all refused at length, fit one frame (65,536 octets). */
static void test_answers_fit_a_frame(void **state)
{
    struct ic_rcpt_answer answer = {IC_REFUSED, refusal()};
    struct buf b;

    (void)state;
    memset(answer.why.text, 'x', sizeof answer.why.text - 1);
    buf_init(&b, 65536);
    for (int i = 0; i < IC_RCPT_BATCH_MAX; i++)
        ic_rcpt_answer_encode(&answer, &b);
    assert_true(buf_ok(&b));
    buf_done(&b);
}

static void test_without_memory(void **state)
{
    struct arena arena;
    struct buf b;
    struct ic_commit v;
    struct err e;

    (void)state;
    buf_init(&b, 1 << 16);
    make_example(7, &b);
    arena_init(&arena, 1 << 16);
    mem_fail_at(1);
    assert_int_equal(ic_commit_decode(&arena, buf_str(&b), &v, &e), -1);
    mem_fail_at(0);
    assert_int_equal(e.class, ERR_TEMPORARY);
    arena_done(&arena);
    buf_done(&b);
}

static void test_ids(void **state)
{
    static const struct {
        uint64_t id;
        const char *text;
    } rows[] = {
        {0, "0000000000000"},
        {35, "000000000000z"},
        {36, "0000000000010"},
        {UINT64_MAX, "3w5e11264sgsf"},
    };
    static const char *const refused[] = {"", "000000000000", "00000000000000", "000000000000A",
        "000000000000-", "3w5e11264sgsg", "zzzzzzzzzzzzz"};
    char text[IC_ID_CHARS + 1];
    uint64_t id;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ic_id_format(rows[i].id, text);
        assert_string_equal(text, rows[i].text);
        assert_true(ic_id_parse(str_c(text), &id));
        assert_int_equal(id, rows[i].id);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(ic_id_parse(str_c(refused[i]), &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_changed_octets),
        cmocka_unit_test(test_values_come_through),
        cmocka_unit_test(test_commit_contradictions),
        cmocka_unit_test(test_ceilings_of_encoders),
        cmocka_unit_test(test_answers_fit_a_frame),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
