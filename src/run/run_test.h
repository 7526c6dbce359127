/* run/run_test.h: a loop with one fiber in it, for *_test.c. */
#pragma once

#include <stdlib.h>
#include <uv.h>

#include "base/unit_test.h"

#include "run/fiber.h"

struct run_test {
    void (*fn)(void);
    struct scope scope;
};

static inline void run_test_main(void *arg)
{
    struct run_test *t = arg;

    t->fn();
    run_stop();
}

/* Runs fn in a fiber of a loop that lives as long as it does. A failed assertion aborts: cmocka
 * would jump from the fiber's stack to the test's. */
static inline void run_in_fiber(void (*fn)(void))
{
    struct run_test t = {.fn = fn};

    setenv("CMOCKA_TEST_ABORT", "1", 1);
    assert_int_equal(run_open(NULL), 0);
    scope_init(&t.scope);
    assert_int_equal(fiber_start(&t.scope, "test", run_test_main, &t, NULL), 0);
    run_loop();
    scope_join(&t.scope);
    run_close();
}

/* Counts the turns of the loop, to show that it sleeps. */
struct turn_counter {
    uv_check_t check;
    unsigned turns;
};

static inline void turn_counter_cb(uv_check_t *check)
{
    ++*(unsigned *)check->data;
}

static inline void turn_counter_start(struct turn_counter *c)
{
    c->turns = 0;
    c->check.data = &c->turns;
    uv_check_init(run_uv(), &c->check);
    uv_check_start(&c->check, turn_counter_cb);
}

/* Suspends: the counter is in use until libuv has let go of it. */
static inline unsigned turn_counter_stop(struct turn_counter *c)
{
    unsigned turns = c->turns;

    uv_close((uv_handle_t *)&c->check, NULL);
    assert_int_equal(fiber_yield(NULL), 0);
    assert_int_equal(fiber_yield(NULL), 0);
    return turns;
}

/* A cmocka test named `name` whose body runs in a fiber. */
#define FIBER_TEST(name)                                                                           \
    static void name##_body(void);                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run_in_fiber(name##_body);                                                                 \
    }                                                                                              \
    static void name##_body(void)
