#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "base/mem.h"

#include "run/run_test.h"

/* A job that tells when it has begun and ends when it is let. */
struct gate {
    sem_t begun, go;
    int ran;
    bool on_loop;
    pthread_t loop;
};

static void gate_init(struct gate *g)
{
    *g = (struct gate){.loop = pthread_self()};
    sem_init(&g->begun, 0, 0);
    sem_init(&g->go, 0, 0);
}

static void pass(void *arg)
{
    struct gate *g = arg;

    sem_post(&g->begun);
    sem_wait(&g->go);
    g->ran++;
    g->on_loop = pthread_equal(pthread_self(), g->loop);
}

static struct pool *pool;

static void start(struct scope *s, fiber_fn *fn, void *arg)
{
    assert_int_equal(fiber_start(s, "child", fn, arg, NULL), 0);
}

static struct pool *open_pool(unsigned threads, unsigned queue_max)
{
    struct err e;

    assert_int_equal(pool_open(&pool, "test pool", threads, queue_max, &e), 0);
    return pool;
}

FIBER_TEST(test_run)
{
    struct gate g;
    struct err e;

    gate_init(&g);
    open_pool(2, 4);
    for (int i = 0; i < 100; i++)
        sem_post(&g.go);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pool_run(pool, pass, &g, &e), 0);
    assert_int_equal(g.ran, 100);
    assert_false(g.on_loop);
    pool_close(&pool);
    pool_close(&pool);
}

static unsigned refused, served;

static void runner(void *arg)
{
    struct err e = {0};

    if (pool_run(pool, pass, arg, &e) < 0) {
        assert_int_equal(e.class, ERR_TEMPORARY);
        refused++;
    } else {
        served++;
    }
}

/* One thread busy, two in the queue, the fourth is refused. */
FIBER_TEST(test_queue_full)
{
    struct scope s;
    struct gate g;
    struct err e;

    refused = served = 0;
    gate_init(&g);
    open_pool(1, 2);
    scope_init(&s);
    start(&s, runner, &g);
    assert_int_equal(fiber_yield(&e), 0);
    sem_wait(&g.begun);
    for (int i = 0; i < 3; i++)
        start(&s, runner, &g);
    assert_int_equal(fiber_yield(&e), 0);
    assert_int_equal(refused, 1);
    for (int i = 0; i < 3; i++)
        sem_post(&g.go);
    scope_join(&s);
    assert_int_equal(served, 3);
    assert_int_equal(g.ran, 3);
    pool_close(&pool);
}

/* Cancelled or out of time in the queue: it never runs. Begun: it is waited for and has run. */
static unsigned given_up;
static enum err_class given_up_class;

static void impatient(void *arg)
{
    struct err e = {0};

    fiber_deadline_shorten(run_now() + 2);
    assert_int_equal(pool_run(pool, pass, arg, &e), -1);
    assert_int_equal(e.class, ERR_DEADLINE);
    given_up++;
}

static void waits_in_queue(void *arg)
{
    struct err e = {0};

    assert_int_equal(pool_run(pool, pass, arg, &e), -1);
    given_up_class = e.class;
    given_up++;
}

static void begun_runner(void *arg)
{
    struct err e = {0};

    assert_int_equal(pool_run(pool, pass, arg, &e), 0);
    assert_true(fiber_cancelled());
    assert_int_equal(pool_run(pool, pass, arg, &e), -1);
    assert_int_equal(e.class, ERR_CANCELLED);
    served++;
}

FIBER_TEST(test_cancel)
{
    struct gate g, never;
    struct scope s;
    struct err e;

    given_up = served = 0;
    gate_init(&g);
    gate_init(&never);
    open_pool(1, 8);
    scope_init(&s);
    start(&s, begun_runner, &g);
    assert_int_equal(fiber_yield(&e), 0);
    sem_wait(&g.begun);
    start(&s, impatient, &never);
    start(&s, waits_in_queue, &never);
    assert_int_equal(fiber_sleep(5, &e), 0);
    assert_int_equal(given_up, 1);
    scope_cancel(&s);
    assert_int_equal(fiber_yield(&e), 0);
    assert_int_equal(given_up, 2);
    assert_int_equal(given_up_class, ERR_CANCELLED);
    assert_int_equal(s.count, 1);
    sem_post(&g.go);
    scope_join(&s);
    assert_int_equal(served, 1);
    assert_int_equal(g.ran, 1);
    assert_int_equal(never.ran, 0);
    pool_close(&pool);
}

static struct cond finished;
static unsigned done_count;

static void done(void *arg)
{
    (void)arg;
    assert_false(fiber_running());
    done_count++;
    cond_wake_all(&finished);
}

FIBER_TEST(test_submit)
{
    struct gate g;
    struct err e;

    gate_init(&g);
    cond_init(&finished);
    done_count = 0;
    open_pool(1, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(pool_submit(pool, pass, done, &g, &e), 0);
    for (int i = 0; i < 20; i++)
        sem_post(&g.go);
    while (done_count < 20)
        assert_int_equal(cond_wait(&finished, "jobs", &e), 0);
    assert_int_equal(g.ran, 20);
    pool_close(&pool);
}

FIBER_TEST(test_no_memory)
{
    struct pool *p = NULL;
    struct gate g;
    struct err e = {0};
    uint64_t n = 0;

    do {
        mem_fail_at(++n);
        if (pool_open(&p, "test pool", 1, 1, &e) == 0)
            break;
        mem_fail_at(0);
        assert_int_equal(e.class, ERR_TEMPORARY);
    } while (n < 10);
    mem_fail_at(1);
    gate_init(&g);
    assert_int_equal(pool_run(p, pass, &g, &e), -1);
    assert_int_equal(pool_submit(p, pass, done, &g, &e) == 0, 1);
    mem_fail_at(0);
    sem_post(&g.go);
    done_count = 0;
    while (!done_count)
        assert_int_equal(cond_wait(&finished, "jobs", &e), 0);
    pool_close(&p);
}

/* wakeup_send() from another thread; many sends are at least one call after the last. */
struct alarm {
    struct wakeup *wakeup;
    unsigned calls;
    int sent; /* atomic */
};

static void woken(void *arg)
{
    struct alarm *a = arg;

    a->calls++;
    cond_wake_all(&finished);
}

static void *sender(void *arg)
{
    struct alarm *a = arg;

    for (int i = 0; i < 1000; i++) {
        __atomic_add_fetch(&a->sent, 1, __ATOMIC_RELEASE);
        wakeup_send(a->wakeup);
    }
    return NULL;
}

FIBER_TEST(test_wakeup)
{
    struct alarm a = {0};
    pthread_t thread;
    struct err e;

    assert_int_equal(wakeup_open(&a.wakeup, woken, &a, &e), 0);
    assert_int_equal(pthread_create(&thread, NULL, sender, &a), 0);
    while (!a.calls || __atomic_load_n(&a.sent, __ATOMIC_ACQUIRE) < 1000)
        assert_int_equal(cond_wait(&finished, "alarm", &e), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_in_range(a.calls, 1, 1000);
    wakeup_close(&a.wakeup);
    wakeup_close(&a.wakeup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_submit),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_wakeup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
