#include "ipc/master_role.h"

#include "base/unit_test.h"

#include "ipc/master_role_recode.h"

static void make_example(size_t kind, struct buf *out)
{
    struct err outcome;

    switch (kind) {
    case 0:
        mr_hello_encode(&(struct mr_hello){ROLE_INBOUND, CLASS_CLIENT, 1, 4, 77, 3, 9}, out);
        return;
    case 1:
        mr_peer_encode(&(struct role_peer){ROLE_INBOUND, CLASS_MX, 2, 78}, out);
        return;
    case 2:
        mr_listener_encode(&(struct role_listener){5, ROLE_LISTEN_SUBMIT, 7}, out);
        return;
    case 3:
        mr_process_encode(
            &(struct role_process){"master", CLASS_NONE, 0, 4000, 1, 0, 99999999999, true, false},
            out);
        mr_process_encode(
            &(struct role_process){"inbound", CLASS_MX, 3, 4001, 1, 2, 5, false, true}, out);
        return;
    case 5:
        mr_ban_encode(&(struct role_ban){{0x20, 1, [15] = 9}, true, 3600000}, out);
        return;
    default:
        err_set(&outcome, ERR_PERMANENT, "test", "not loaded");
        mr_reload_encode(&outcome, STR("a:1: x\na:2: y\n"), out);
        return;
    }
}

static int recode(size_t kind, struct str in, struct buf *out)
{
    struct arena arena;
    int result;

    arena_init(&arena, 1 << 20);
    buf_clear(out);
    result = mr_kinds[kind].recode(&arena, in, out, NULL);
    arena_done(&arena);
    return result;
}

static void test_round_trip(void **state)
{
    struct buf in, out;

    (void)state;
    buf_init(&in, 1 << 16);
    buf_init(&out, 1 << 16);
    for (size_t kind = 0; kind < mr_kind_count; kind++) {
        buf_clear(&in);
        make_example(kind, &in);
        assert_int_equal(recode(kind, buf_str(&in), &out), 0);
        assert_true(str_eq(buf_str(&in), buf_str(&out)));
        for (size_t n = 0; n < buf_len(&in); n++) {
            struct str cut = str_head(buf_str(&in), n);
            bool accepted = recode(kind, cut, &out) == 0;
            if (accepted && !(mr_kinds[kind].run && str_eq(buf_str(&out), cut)))
                fail_msg("%s cut to %zu octets was accepted", mr_kinds[kind].name, n);
        }
        buf_put_c(&in, 'x');
        assert_int_equal(recode(kind, buf_str(&in), &out), -1);
    }
    buf_done(&in);
    buf_done(&out);
}

static void test_changed_octets(void **state)
{
    static const unsigned char values[] = {0, 1, 2, 3, 127, 128, 255};
    struct buf in, out;

    (void)state;
    buf_init(&in, 1 << 16);
    buf_init(&out, 1 << 16);
    for (size_t kind = 0; kind < mr_kind_count; kind++) {
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

static void test_contradictions(void **state)
{
    struct mr_hello hello = {.kind = ROLE_INBOUND, .index = 4, .count = 4};
    struct buf b;
    struct err e;

    (void)state;
    buf_init(&b, 100);
    mr_hello_encode(&hello, &b);
    assert_int_equal(mr_hello_decode(buf_str(&b), &hello, &e), -1);
    assert_int_equal(e.class, ERR_BUG);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_changed_octets),
        cmocka_unit_test(test_contradictions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
