#include "mail/srs.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/unit_test.h"

static const struct str keys[] = {STR_INIT("tops3cr3t"), STR_INIT("older")};
static const struct srs ours = {.domain = STR_INIT("example.com"), .keys = keys, .key_count = 2};

enum {
    DAY_MS = 86400000
};

static const int64_t now = 1577836860000; /* 2020-01-01: day 2W */

static int forward(const struct srs *s, const char *address, struct buf *out, struct err *e)
{
    struct mailbox m;
    assert_int_equal(mailbox_parse(str_c(address), &m, e), 0);
    buf_clear(out);
    return srs_forward(s, &m, now, out, e);
}

static int reverse(
    const struct srs *s, const char *address, int64_t at, struct buf *out, struct err *e)
{
    char storage[ADDRESS_LOCAL_MAX];
    struct mailbox m;
    assert_int_equal(mailbox_parse(str_c(address), &m, e), 0);
    buf_clear(out);
    return srs_reverse(s, mailbox_local(&m, storage), at, out, e);
}

/* The form is that of postsrsd's tests; the hashes are HMAC-SHA-256 as Python's hmac has it. */
static void test_forward(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"test@otherdomain.com", "SRS0=KU4HQ3=2W=otherdomain.com=test@example.com"},
        {"SRS0=opaque+string@otherdomain.com",
            "SRS1=ZTK342=otherdomain.com==opaque+string@example.com"},
        {"SRS1=X=thirddomain.com==opaque+string@otherdomain.com",
            "SRS1=X4OILV=thirddomain.com==opaque+string@example.com"},
    };
    struct buf out;
    struct err e;
    buf_init(&out, 1024);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(forward(&ours, rows[i].from, &out, &e), 0);
        if (!str_eq(buf_str(&out), str_c(rows[i].to)))
            fail_msg("%s: %.*s", rows[i].from, STR_ARG(buf_str(&out)));
    }
    buf_done(&out);
}

/* There and back; what another forwarder made comes back as its address. */
static void test_round_trip(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "alice@example.org",
        "Alice.B+tag=x@sub.example.org",
        "\"a b\"@example.org",
        "\"a@b\"@example.org",
        "a@[192.0.2.1]",
        "j\xc3\xbcrgen@b\xc3\xbc.example",
        "srs0=x@example.org",
        "SRS0+HHH=TT=example.org=alice@first.example",
        "SRS0-HHH=TT=example.org=alice@first.example",
        "SRS1@example.org",
        "SRS1=x@example.org",
        "SRS1=x==y@example.org",
    };
    struct buf out, back;
    struct err e;
    buf_init(&out, 1024);
    buf_init(&back, 1024);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char address[1024];
        struct str wanted = str_c(rows[i]);
        assert_int_equal(forward(&ours, rows[i], &out, &e), 0);
        str_copy_c(address, sizeof address, buf_str(&out));
        assert_int_equal(reverse(&ours, address, now, &back, &e), 0);
        if (!str_eq_ascii(buf_str(&back), wanted))
            fail_msg("%s: %s: %.*s", rows[i], address, STR_ARG(buf_str(&back)));
    }
    buf_done(&out);
    buf_done(&back);
}

static void test_reverse(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        int day; /* from the one of the address */
        const char *wanted, *error;
        unsigned detail;
    } rows[] = {
        {"SRS0=KU4HQ3=2W=otherdomain.com=test@x", 0, "test@otherdomain.com", 0, 0},
        {"srs0=ku4hq3=2w=otherdomain.com=test@x", 0, "test@otherdomain.com", 0, 0},
        {"SRS0+KU4HQ3=2W=otherdomain.com=test@x", 0, "test@otherdomain.com", 0, 0},
        {"SRS0-KU4HQ3=2W=otherdomain.com=test@x", 0, "test@otherdomain.com", 0, 0},
        {"SRS0=KU4HQ3=2W=otherdomain.com=test@x", 21, "test@otherdomain.com", 0, 0},
        {"SRS0=KU4HQ3=2W=otherdomain.com=test@x", 22, 0, "the rewritten address has expired", 8},
        {"SRS0=KU4HQ3=2W=otherdomain.com=test@x", -1, 0, "the rewritten address has expired", 8},
        {"SRS0=KU4HQ3=2W=otherdomain.com=test@x", 1024, "test@otherdomain.com", 0, 0},
        {"SRS0=V5UJSN=2V=otherdomain.com=Test@x", 0, "Test@otherdomain.com", 0, 0}, /* old key */
        {"SRS1=ZTK342=otherdomain.com==opaque+string@x", 0, "SRS0=opaque+string@otherdomain.com", 0,
            0},
        {"SRS1=ZTK342=otherdomain.com==opaque+strinG@x", 900, "SRS0=opaque+strinG@otherdomain.com",
            0, 0}, /* its day is the other forwarder's */
        {"SRS0=KU4HQ4=2W=otherdomain.com=test@x", 0, 0,
            "the rewritten address is not of our making", 1},
        {"SRS0=KU4HQ3=2W=otherdomain.com=tess@x", 0, 0,
            "the rewritten address is not of our making", 1},
        {"SRS1=KU4HQ3=2W=otherdomain.com=test@x", 0, 0,
            "the rewritten address is not of our making", 1},
        {"SRS0=KU4HQ=2W=otherdomain.com=test@x", 0, 0, "the rewritten address is not of our making",
            1},
        {"SRS0==2W=otherdomain.com=test@x", 0, 0, "the rewritten address is not of our making", 1},
        {"SRS0=KU4HQ3@x", 0, 0, "the rewritten address is malformed", 1},
        {"SRS0=@x", 0, 0, "the rewritten address is none", 1},
        {"SRS2=KU4HQ3=2W=otherdomain.com=test@x", 0, 0, "the rewritten address is none", 1},
        {"alice@x", 0, 0, "the rewritten address is none", 1},
    };
    struct buf out;
    unsigned bad = 0;
    buf_init(&out, 1024);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct err e = {0};
        int result = reverse(&ours, rows[i].address, now + (int64_t)rows[i].day * DAY_MS, &out, &e);
        bool ok = rows[i].wanted ? result == 0 && str_eq(buf_str(&out), str_c(rows[i].wanted))
                                 : result < 0 && e.class == ERR_PERMANENT &&
                                       e.status.detail == rows[i].detail &&
                                       str_eq(str_c(e.text), str_c(rows[i].error));
        if (!ok)
            printf("  row %zu: %d, %.*s, %s\n", i, result, STR_ARG(buf_str(&out)), e.text);
        bad += !ok;
    }
    assert_int_equal(bad, 0);
    buf_done(&out);
}

/* RFC 5321 4.5.3.1.1: a local part has 64 octets at most. */
static void test_length(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    buf_init(&out, 1024);
    /* 5 + 7 + 3 + domain and "=" leave this much */
    assert_int_equal(
        forward(&ours, "a23456789b123456789c123456789d1234567@example.org", &out, &e), 0);
    assert_int_equal(
        forward(&ours, "a23456789b123456789c123456789d12345678@example.org", &out, &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    assert_int_equal(e.status.detail, 7);
    assert_int_equal(
        forward(&ours,
            "\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\"@very-long-subdomain.example.org",
            &out, &e),
        -1);
    assert_int_equal(buf_len(&out), 0);
    buf_done(&out);
}

static void test_is_rewritten(void **state)
{
    (void)state;
    assert_true(srs_is_rewritten(STR("SRS0=x")));
    assert_true(srs_is_rewritten(STR("srs1+x")));
    assert_false(srs_is_rewritten(STR("SRS0")));
    assert_false(srs_is_rewritten(STR("SRS0x")));
    assert_false(srs_is_rewritten(STR("SRS2=x")));
    assert_false(srs_is_rewritten(STR_NONE));
}

static void test_memory(void **state)
{
    (void)state;
    struct buf out;
    struct err e = {0};
    buf_init(&out, 1024);
    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_at(n);
        int result = forward(&ours, "alice@example.org", &out, &e);
        mem_fail_at(0);
        assert_int_equal(result, -1);
        buf_release(&out);
    }
    assert_int_equal(e.class, ERR_TEMPORARY);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_reverse),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_is_rewritten),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
