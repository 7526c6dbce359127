#include "run/fiber.h"

#include <uv.h>

#include "base/buf.h"
#include "base/mem.h"

#include "run/run_test.h"

/* What happened, a character an event. */
static char trace[64];
static size_t trace_len;

static void note(char c)
{
    assert_true(trace_len < sizeof trace - 1);
    trace[trace_len++] = c;
    trace[trace_len] = 0;
}

static void trace_reset(void)
{
    trace_len = 0;
    trace[0] = 0;
}

static void noter(void *arg)
{
    const char *letters = arg;
    struct err e;

    for (; *letters; letters++) {
        note(*letters);
        assert_int_equal(fiber_yield(&e), 0);
    }
}

static void start(struct scope *s, fiber_fn *fn, const void *arg)
{
    union {
        const void *c;
        void *p;
    } u = {.c = arg};
    struct err e;

    assert_int_equal(fiber_start(s, "child", fn, u.p, &e), 0);
}

FIBER_TEST(test_order)
{
    struct scope s;

    trace_reset();
    scope_init(&s);
    start(&s, noter, "abc");
    start(&s, noter, "123");
    start(&s, noter, "xyz");
    note('>');
    scope_join(&s);
    assert_string_equal(trace, ">a1xb2yc3z");
}

/* One turn runs who is woken in it; a yield lets the loop turn in between. */
static struct cond ping;

static void waiter(void *arg)
{
    struct err e;

    (void)arg;
    assert_int_equal(cond_wait(&ping, "ping", &e), 0);
    note('w');
}

FIBER_TEST(test_cond)
{
    struct scope s;
    struct err e;

    trace_reset();
    scope_init(&s);
    cond_init(&ping);
    for (int i = 0; i < 3; i++)
        start(&s, waiter, NULL);
    cond_wake_one(&ping); /* nobody yet: not remembered */
    assert_int_equal(fiber_yield(&e), 0);
    assert_string_equal(trace, "");
    cond_wake_one(&ping);
    assert_int_equal(fiber_yield(&e), 0);
    assert_string_equal(trace, "w");
    cond_wake_all(&ping);
    scope_join(&s);
    assert_string_equal(trace, "www");
    assert_null(ping.first);
    assert_null(ping.last);
}

/* Who is chosen and then cancelled passes the choice on. */
static void lost_waiter(void *arg)
{
    struct err e;

    note(cond_wait(&ping, "ping", &e) == 0 ? '+' : '-');
    (void)arg;
}

FIBER_TEST(test_cond_choice_passed_on)
{
    struct scope first, second;
    struct err e;

    trace_reset();
    cond_init(&ping);
    scope_init(&first);
    scope_init(&second);
    start(&first, lost_waiter, NULL);
    start(&second, lost_waiter, NULL);
    assert_int_equal(fiber_yield(&e), 0);
    cond_wake_one(&ping);
    scope_cancel(&first);
    scope_join(&first);
    scope_join(&second);
    assert_string_equal(trace, "-+");
    start(&first, lost_waiter, NULL); /* cancelled: it does not even begin to wait */
    scope_init(&second);
    start(&second, lost_waiter, NULL);
    assert_int_equal(fiber_yield(&e), 0);
    assert_non_null(ping.first);
    scope_cancel(&second); /* cancelled while it waits: it leaves the queue */
    scope_join(&second);
    scope_join(&first);
    assert_null(ping.first);
    assert_null(ping.last);
    assert_string_equal(trace, "-+--");
}

FIBER_TEST(test_deadlines_nest)
{
    uint64_t now = run_now(), outer, inner;
    struct err e = {0};

    assert_int_equal(fiber_deadline(), DEADLINE_NONE);
    outer = fiber_deadline_shorten(now + 60000);
    assert_int_equal(outer, DEADLINE_NONE);
    inner = fiber_deadline_shorten(now + 90000); /* cannot be prolonged */
    assert_int_equal(fiber_deadline(), now + 60000);
    fiber_deadline_restore(inner);
    inner = fiber_deadline_shorten(now + 2);
    assert_int_equal(inner, now + 60000);
    assert_int_equal(fiber_sleep(60000, &e), -1);
    assert_int_equal(e.class, ERR_DEADLINE);
    assert_true(run_now() >= now + 2 && run_now() < now + 30000);
    assert_int_equal(fiber_yield(&e), -1); /* and so every later one */
    assert_int_equal(e.class, ERR_DEADLINE);
    assert_int_equal(cond_wait(&ping, "ping", &e), -1);
    fiber_deadline_restore(inner);
    assert_int_equal(fiber_sleep(1, &e), 0);
    fiber_deadline_restore(outer);
    assert_int_equal(fiber_deadline(), DEADLINE_NONE);
}

FIBER_TEST(test_sleep)
{
    uint64_t now = run_now();
    struct err e;

    assert_int_equal(fiber_sleep(0, &e), 0);
    assert_int_equal(fiber_sleep(3, &e), 0);
    assert_true(run_now() >= now + 3);
}

/* Cancellation outranks the deadline, which outranks what was waited for. */
static void ranked(void *arg)
{
    struct err e = {0};

    (void)arg;
    fiber_deadline_shorten(run_now() + 1);
    assert_int_equal(cond_wait(&ping, "ping", &e), -1);
    assert_int_equal(e.class, ERR_CANCELLED);
    assert_true(fiber_cancelled());
    assert_int_equal(fiber_sleep(1, &e), -1);
    assert_int_equal(e.class, ERR_CANCELLED);
    note('r');
}

FIBER_TEST(test_ranks)
{
    struct scope s;
    struct err e;

    trace_reset();
    cond_init(&ping);
    scope_init(&s);
    start(&s, ranked, NULL);
    assert_int_equal(fiber_yield(&e), 0);
    while (run_now_fresh() < run_now() + 2)
        ;
    uv_update_time(run_uv()); /* all three in one turn */
    cond_wake_all(&ping);
    scope_cancel(&s);
    scope_join(&s);
    assert_string_equal(trace, "r");
}

/* A scope cancelled before its fibers ran: each runs, and fails at its first suspension. */
static void sleeper(void *arg)
{
    struct err e = {0};

    (void)arg;
    assert_int_equal(fiber_sleep(100000, &e), -1);
    assert_int_equal(e.class, ERR_CANCELLED);
    note('s');
}

FIBER_TEST(test_cancel)
{
    struct scope s;
    struct err e;

    trace_reset();
    scope_init(&s);
    start(&s, sleeper, NULL);
    scope_cancel(&s);
    start(&s, sleeper, NULL);
    scope_join(&s);
    assert_string_equal(trace, "ss");
    scope_init(&s);
    start(&s, sleeper, NULL);
    assert_int_equal(fiber_yield(&e), 0);
    scope_cancel(&s);
    scope_cancel(&s);
    scope_join(&s);
    assert_string_equal(trace, "sss");
    assert_false(fiber_cancelled());
}

/* Who is cancelled while it joins takes its own fibers along, and is joined after them. */
static void parent(void *arg)
{
    struct scope s;

    (void)arg;
    scope_init(&s);
    start(&s, sleeper, NULL);
    scope_join(&s);
    note('p');
}

FIBER_TEST(test_cancel_reaches_children)
{
    struct scope s;
    struct err e;

    trace_reset();
    scope_init(&s);
    start(&s, parent, NULL);
    assert_int_equal(fiber_yield(&e), 0);
    assert_int_equal(fiber_yield(&e), 0);
    scope_cancel(&s);
    scope_join(&s);
    assert_string_equal(trace, "sp");
    start(&s, parent, NULL); /* cancelled before it joins */
    scope_join(&s);
    assert_string_equal(trace, "spsp");
}

/* A join obeys neither deadline nor cancellation. */
static void quick(void *arg)
{
    struct err e;

    (void)arg;
    assert_int_equal(fiber_sleep(3, &e), 0);
    note('q');
}

FIBER_TEST(test_join_is_not_interrupted)
{
    struct scope s;
    struct err e;

    trace_reset();
    scope_init(&s);
    start(&s, quick, NULL);
    fiber_deadline_shorten(run_now() + 1);
    scope_join(&s);
    assert_string_equal(trace, "q");
    assert_int_equal(fiber_yield(&e), -1);
    assert_int_equal(e.class, ERR_DEADLINE);
    fiber_deadline_restore(DEADLINE_NONE);
}

static unsigned ended;

static void one_of_many(void *arg)
{
    struct err e;

    (void)arg;
    assert_int_equal(cond_wait(&ping, "ping", &e), 0);
    assert_int_equal(fiber_yield(&e), 0);
    ended++;
}

FIBER_TEST(test_many)
{
    struct scope s;
    struct err e;

    cond_init(&ping);
    scope_init(&s);
    ended = 0;
    for (int i = 0; i < 10000; i++)
        start(&s, one_of_many, NULL);
    assert_int_equal(s.count, 10000);
    assert_int_equal(fiber_yield(&e), 0);
    assert_int_equal(ended, 0);
    cond_wake_all(&ping);
    scope_join(&s);
    assert_int_equal(ended, 10000);
}

static void hook_fn(struct turn_hook *hook)
{
    (void)hook;
    assert_false(fiber_running());
    note('h');
}

FIBER_TEST(test_turn_hook)
{
    struct turn_hook a = {.fn = hook_fn}, b = {.fn = hook_fn};
    struct scope s;
    struct err e;

    trace_reset();
    scope_init(&s);
    run_at_turn_end(&a);
    run_at_turn_end(&b);
    run_at_turn_end(&a);
    start(&s, noter, "x"); /* runs in this turn, so before its end */
    assert_int_equal(fiber_yield(&e), 0);
    assert_string_equal(trace, "xhh");
    run_at_turn_end(&a);
    scope_join(&s);
    assert_int_equal(fiber_yield(&e), 0);
    assert_string_equal(trace, "xhhh");
}

FIBER_TEST(test_list)
{
    struct scope s;
    struct buf out;
    struct err e;

    buf_init(&out, 4096);
    cond_init(&ping);
    scope_init(&s);
    start(&s, waiter, NULL);
    assert_int_equal(fiber_yield(&e), 0);
    fiber_list(&out);
    assert_true(buf_ok(&out));
    assert_true(str_find_str(buf_str(&out), STR("test running")) == 0);
    assert_true(str_find_str(buf_str(&out), STR("child waiting for ping ")) > 0);
    cond_wake_all(&ping);
    scope_join(&s);
    buf_done(&out);
}

static struct fiber_note page;

static void note_and_yield(void *arg)
{
    struct fiber_note note = {.words = {0, 7, 0, *(const char *)arg}};

    fiber_note(&note);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(&page, &note, sizeof page);
        assert_int_equal(fiber_yield(NULL), 0);
    }
    assert_memory_equal(&page, &note, sizeof page);
}

static void on_turn_end(struct turn_hook *hook)
{
    (void)hook;
    assert_int_equal(page.words[3], 0);
}

/* The page tells of the fiber that runs, and of none where none does. */
FIBER_TEST(test_note)
{
    static struct turn_hook hook = {.fn = on_turn_end};
    char letters[] = "ab";
    struct scope s;

    run_note_page(&page);
    scope_init(&s);
    start(&s, note_and_yield, &letters[0]);
    start(&s, note_and_yield, &letters[1]);
    run_at_turn_end(&hook);
    scope_join(&s);
    assert_memory_equal(&page, &(struct fiber_note){0}, sizeof page);
}

FIBER_TEST(test_no_memory)
{
    struct scope s;
    char letter[] = "c";
    struct err e = {0};
    uint64_t n = 0;

    trace_reset();
    scope_init(&s);
    do {
        mem_fail_at(++n);
        if (fiber_start(&s, "child", noter, letter, &e) == 0)
            break;
        mem_fail_at(0);
        assert_int_equal(e.class, ERR_TEMPORARY);
        assert_int_equal(s.count, 0);
    } while (n < 10);
    mem_fail_at(0);
    assert_in_range(n, 2, 9);
    scope_join(&s);
    assert_string_equal(trace, "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_cond),
        cmocka_unit_test(test_cond_choice_passed_on),
        cmocka_unit_test(test_deadlines_nest),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_reaches_children),
        cmocka_unit_test(test_join_is_not_interrupted),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_turn_hook),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_note),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
