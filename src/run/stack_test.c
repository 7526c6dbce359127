#include "run/stack.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#include "run/run_test.h"

static size_t resident(const struct stack *s)
{
    unsigned char pages[64];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;

    assert_int_equal(mincore(s->base, s->size, pages), 0);
    for (size_t i = 0; i < s->size / page; i++)
        n += pages[i] & 1;
    return n * page;
}

static void touch(struct stack *s, size_t depth)
{
    memset((char *)s->base + s->size - depth, 1, depth);
}

static void test_recycled(void **state)
{
    struct stack_cache c = {0};
    struct stack *s = stack_get(&c), *t = stack_get(&c);

    (void)state;
    assert_non_null(s);
    assert_ptr_not_equal(s, t);
    assert_int_equal(s->size, STACK_SIZE);
    touch(s, 1000);
    stack_put(&c, s);
    assert_ptr_equal(stack_get(&c), s);
    stack_put(&c, s);
    stack_put(&c, t);
    assert_int_equal(c.mapped, 2);
    assert_int_equal(c.free_count, 2);
    assert_in_range(c.deepest, 1000, 1064);
    stack_cache_done(&c);
    assert_int_equal(c.mapped, 0);
}

static void test_deep_part_given_back(void **state)
{
    struct stack_cache c = {0};
    struct stack *s = stack_get(&c);

    (void)state;
    for (int i = 0; i < 5; i++) {
        touch(s, STACK_SIZE - 100);
        assert_int_equal(resident(s), STACK_SIZE);
        stack_put(&c, s);
        assert_in_range(resident(s), 1, STACK_SIZE / 4);
        assert_ptr_equal(stack_get(&c), s);
    }
    assert_in_range(c.deepest, STACK_SIZE - 100, STACK_SIZE);
    stack_put(&c, s);
    stack_cache_done(&c);
}

/* The free list: warm, then without pages, then not kept. */
static void test_bounded(void **state)
{
    struct stack_cache c = {0};
    struct stack *all[STACK_KEEP_MAX + 10];
    enum {
        COUNT = STACK_KEEP_MAX + 10
    };

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        all[i] = stack_get(&c);
        assert_non_null(all[i]);
        touch(all[i], 100);
    }
    assert_int_equal(c.mapped, COUNT);
    for (int i = 0; i < COUNT; i++)
        stack_put(&c, all[i]);
    assert_int_equal(c.mapped, STACK_KEEP_MAX);
    assert_int_equal(((char *)all[0]->base)[STACK_SIZE - 1], 1);
    assert_int_equal(((char *)all[STACK_KEEP_WARM]->base)[STACK_SIZE - 1], 0);
    stack_cache_done(&c);
}

/* One octet below the stack is a fault, with either kind of guard, also after a trim. */
static void test_guard(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        struct stack_cache c = {.guard_pages = plain};
        struct stack *s = stack_get(&c);
        int status;
        touch(s, STACK_SIZE);
        stack_put(&c, s);
        assert_ptr_equal(stack_get(&c), s);
        pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            ((volatile char *)s->base)[-1] = 1;
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSEGV);
        stack_put(&c, s);
        stack_cache_done(&c);
    }
}

static void test_no_memory(void **state)
{
    struct stack_cache c = {0};

    (void)state;
    mem_fail_at(1);
    assert_null(stack_get(&c));
    mem_fail_at(0);
    assert_int_equal(c.mapped, 0);
    stack_cache_done(&c);
}

/* A fiber that uses most of its stack, and others on the same stack after it. */
struct level {
    const struct level *above;
    volatile char frame[1000];
};

static unsigned __attribute__((noinline)) deep(const struct level *above, unsigned levels)
{
    struct level here = {.above = above};
    unsigned n = 0;

    here.frame[levels] = 1;
    if (levels)
        return deep(&here, levels - 1);
    for (const struct level *l = &here; l; l = l->above)
        n++;
    return n;
}

static void diver(void *arg)
{
    unsigned *levels = arg;

    *levels = deep(NULL, *levels);
}

FIBER_TEST(test_fiber_high_water)
{
    struct scope s;

    scope_init(&s);
    for (int i = 0; i < 3; i++) {
        unsigned levels = 40;
        assert_int_equal(fiber_start(&s, "diver", diver, &levels, NULL), 0);
        scope_join(&s);
        assert_int_equal(levels, 41);
    }
    assert_in_range(fiber_stack_used(), 40 * 1024, STACK_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recycled),
        cmocka_unit_test(test_deep_part_given_back),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_fiber_high_water),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
