#include "core/verify.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/table.h"

#include "run/run_test.h"

static uint64_t clock_ms;
static unsigned calls;
static int said; /* what the next hop says: 2, 4 or 5 */
static bool stall;
static struct cond go_on;

static uint64_t now(void)
{
    return clock_ms;
}

static int call(void *arg, struct str address, struct err *why)
{
    (void)arg;
    (void)address;
    calls++;
    while (stall)
        if (cond_wait(&go_on, "test", why) < 0)
            return -1;
    if (said == 2)
        return 0;
    return err_set(why, said == 5 ? ERR_PERMANENT : ERR_TEMPORARY, "test", "550 5.1.1 nobody");
}

static struct verify *open_it(uint32_t entries)
{
    const struct verify_settings settings = {.call = call, .entries_max = entries, .now = now};
    struct verify *v;

    table_seed((const uint8_t[16]){1});
    clock_ms = 1000;
    calls = 0;
    said = 2;
    stall = false;
    cond_init(&go_on);
    assert_int_equal(verify_open(&v, &settings, NULL), 0);
    return v;
}

static enum verify_answer ask(struct verify *v, const char *address)
{
    struct err why;

    return verify_wait(v, str_c(address), str_c(address), &why);
}

static enum verify_answer look(struct verify *v, const char *address)
{
    struct err why;

    return verify_find(v, str_c(address), str_c(address), &why);
}

FIBER_TEST(test_remembers)
{
    struct verify *v = open_it(100);
    struct err why;

    assert_int_equal(look(v, "a@x"), VERIFY_ASK);
    assert_int_equal(ask(v, "a@x"), VERIFY_YES);
    assert_int_equal(look(v, "a@x"), VERIFY_YES);
    said = 5;
    assert_int_equal(ask(v, "b@x"), VERIFY_NO);
    assert_int_equal(verify_find(v, STR("b@x"), STR("b@x"), &why), VERIFY_NO);
    assert_int_equal(why.class, ERR_PERMANENT);
    assert_int_equal(why.status.subject, 1);
    assert_non_null(strstr(why.text, "550 5.1.1 nobody"));
    said = 4;
    assert_int_equal(verify_wait(v, STR("c@x"), STR("c@x"), &why), VERIFY_UNKNOWN);
    assert_int_equal(why.class, ERR_TEMPORARY);
    assert_int_equal(look(v, "c@x"), VERIFY_UNKNOWN);
    assert_int_equal(calls, 3);
    verify_close(&v);
}

FIBER_TEST(test_forgets)
{
    struct verify *v = open_it(100);

    ask(v, "yes@x");
    said = 5;
    ask(v, "no@x");
    said = 4;
    ask(v, "down@x");
    clock_ms += VERIFY_FAILED_MS;
    assert_int_equal(look(v, "down@x"), VERIFY_ASK);
    assert_int_equal(look(v, "no@x"), VERIFY_NO);
    clock_ms += VERIFY_BAD_MS;
    assert_int_equal(look(v, "no@x"), VERIFY_ASK);
    assert_int_equal(look(v, "yes@x"), VERIFY_YES);
    clock_ms += (uint64_t)VERIFY_GOOD_MS;
    assert_int_equal(look(v, "yes@x"), VERIFY_ASK);
    verify_close(&v);
}

/* A yes that has become old is asked again beside, and stays where nobody can be reached. */
FIBER_TEST(test_refreshes)
{
    struct verify *v = open_it(100);

    ask(v, "a@x");
    clock_ms += VERIFY_REFRESH_MS;
    said = 4;
    assert_int_equal(look(v, "a@x"), VERIFY_YES);
    assert_int_equal(fiber_yield(NULL), 0);
    assert_int_equal(calls, 2);
    assert_int_equal(look(v, "a@x"), VERIFY_YES);
    assert_int_equal(calls, 2);
    clock_ms += VERIFY_REFRESH_MS;
    said = 5;
    assert_int_equal(look(v, "a@x"), VERIFY_YES);
    assert_int_equal(fiber_yield(NULL), 0);
    assert_int_equal(look(v, "a@x"), VERIFY_NO);
    verify_close(&v);
}

FIBER_TEST(test_one_call_at_a_time)
{
    struct verify *v = open_it(100);
    uint64_t before;

    stall = true;
    verify_begin(v, STR("a@x"), STR("a@x"));
    verify_begin(v, STR("a@x"), STR("a@x"));
    before = fiber_deadline_shorten(run_now());
    assert_int_equal(ask(v, "a@x"), VERIFY_UNKNOWN); /* nobody waits for ever */
    fiber_deadline_restore(before);
    assert_int_equal(fiber_yield(NULL), 0);
    assert_int_equal(calls, 1);
    stall = false;
    cond_wake_all(&go_on);
    assert_int_equal(ask(v, "a@x"), VERIFY_YES);
    assert_int_equal(calls, 1);
    verify_close(&v);
}

FIBER_TEST(test_calls_are_bounded)
{
    struct verify *v = open_it(1000);
    char address[32];

    stall = true;
    for (int i = 0; i < 2 * VERIFY_CALLS_MAX; i++) {
        (void)snprintf(address, sizeof address, "u%d@x", i);
        verify_begin(v, str_c(address), str_c(address));
    }
    assert_int_equal(fiber_yield(NULL), 0);
    assert_int_equal(calls, VERIFY_CALLS_MAX);
    assert_int_equal(ask(v, "another@x"), VERIFY_UNKNOWN); /* at once */
    verify_close(&v);                                      /* ends those under way */
}

/* Guesses of strangers take a quarter, and never what is known to be good. */
FIBER_TEST(test_bounded)
{
    struct verify *v = open_it(40);
    char address[32];

    for (int i = 0; i < 30; i++) {
        (void)snprintf(address, sizeof address, "good%d@x", i);
        ask(v, address);
    }
    said = 5;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(address, sizeof address, "bad%d@x", i);
        assert_int_equal(ask(v, address), VERIFY_NO);
    }
    for (int i = 0; i < 30; i++) {
        (void)snprintf(address, sizeof address, "good%d@x", i);
        assert_int_equal(look(v, address), VERIFY_YES);
    }
    assert_int_equal(look(v, "bad999@x"), VERIFY_NO);
    assert_int_equal(look(v, "bad989@x"), VERIFY_ASK);
    said = 2;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(address, sizeof address, "more%d@x", i);
        assert_int_equal(ask(v, address), VERIFY_YES);
    }
    assert_int_equal(look(v, "more999@x"), VERIFY_YES);
    assert_int_equal(look(v, "good0@x"), VERIFY_ASK);
    verify_close(&v);
}

FIBER_TEST(test_without_memory)
{
    struct verify *v = open_it(40);

    for (uint64_t n = 1; n < 12; n++) {
        enum verify_answer answer;
        char address[32];
        (void)snprintf(address, sizeof address, "u%u@x", (unsigned)n);
        mem_fail_at(n);
        answer = ask(v, address);
        mem_fail_at(0);
        assert_true(answer == VERIFY_YES || answer == VERIFY_UNKNOWN);
    }
    assert_int_equal(ask(v, "u1@x"), VERIFY_YES);
    verify_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remembers),
        cmocka_unit_test(test_forgets),
        cmocka_unit_test(test_refreshes),
        cmocka_unit_test(test_one_call_at_a_time),
        cmocka_unit_test(test_calls_are_bounded),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
