#include "run/timer.h"

#include "base/mem.h"

#include "run/run_test.h"

/* The heap against a plain array: whatever is set, moved and stopped, each entry fires once, in
 * time, and never early. */
enum {
    ENTRIES = 200,
};

struct probe {
    struct timer_entry entry;
    uint64_t due; /* the model */
};

static struct probe probes[ENTRIES];
static struct timer_heap heap;
static uint64_t now;

static void fired(struct timer_entry *t)
{
    struct probe *p = (struct probe *)(void *)t;

    assert_true(p->due <= now);
    p->due = DEADLINE_NONE;
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 8;
}

static void check_all(void)
{
    for (int i = 0; i < ENTRIES; i++) {
        assert_true(probes[i].due > now);
        assert_int_equal(probes[i].due, probes[i].entry.at);
        if (probes[i].due != DEADLINE_NONE)
            assert_true(timer_next(&heap) <= probes[i].due);
    }
}

static void test_heap(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < ENTRIES; i++) {
        assert_int_equal(timer_reserve(&heap), 0);
        probes[i] = (struct probe){{.at = DEADLINE_NONE, .fire = fired}, DEADLINE_NONE};
    }
    for (int round = 0; round < 20000; round++) {
        struct probe *p = &probes[next_random(&seed) % ENTRIES];
        unsigned what = next_random(&seed) % 8;
        if (what == 0) {
            timer_drop(&heap, &p->entry);
            p->due = DEADLINE_NONE;
        } else {
            p->due = what == 1 ? DEADLINE_NONE : now + 1 + next_random(&seed) % 500;
            timer_put(&heap, &p->entry, p->due);
        }
        now += next_random(&seed) % 3;
        timer_fire(&heap, now);
        check_all();
    }
    for (int i = 0; i < ENTRIES; i++) {
        timer_drop(&heap, &probes[i].entry);
        timer_unreserve(&heap);
    }
    timer_heap_done(&heap);
}

/* Timers of the loop. */
struct clock {
    struct timer *timer;
    uint64_t at;
    unsigned calls;
    struct cond rang;
};

static void ring(void *arg)
{
    struct clock *c = arg;

    assert_false(fiber_running());
    assert_true(run_now() >= c->at);
    c->calls++;
    if (c->calls == 2)
        timer_set(c->timer, 0); /* due at once: in a later turn */
    cond_wake_all(&c->rang);
}

FIBER_TEST(test_loop)
{
    struct clock c = {0};
    struct err e;

    assert_int_equal(timer_open(&c.timer, ring, &c, &e), 0);
    c.at = run_now() + 3;
    timer_set(c.timer, c.at);
    while (c.calls < 1)
        assert_int_equal(cond_wait(&c.rang, "bell", &e), 0);
    timer_set(c.timer, run_now() + 1);
    timer_set(c.timer, DEADLINE_NONE);
    assert_int_equal(fiber_sleep(4, &e), 0);
    assert_int_equal(c.calls, 1);
    timer_set(c.timer, run_now() + 100000);
    timer_set(c.timer, run_now() + 1); /* earlier than before */
    while (c.calls < 3)
        assert_int_equal(cond_wait(&c.rang, "bell", &e), 0);
    timer_set(c.timer, run_now() + 1);
    timer_close(&c.timer);
    timer_close(&c.timer);
    assert_int_equal(fiber_sleep(3, &e), 0);
    assert_int_equal(c.calls, 3);
}

FIBER_TEST(test_no_memory)
{
    struct timer *t = NULL;
    struct err e = {0};

    mem_fail_at(1);
    assert_int_equal(timer_open(&t, ring, NULL, &e), -1);
    mem_fail_at(0);
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
