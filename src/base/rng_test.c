#include "base/rng.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unit_test.h"

static void test_numbers(void **state)
{
    unsigned seen[6] = {0};
    char big[1000] = {0}, zeros[1000] = {0};

    (void)state;
    assert_true(rng_u64() != rng_u64());
    for (int i = 0; i < 6000; i++)
        seen[rng_below(6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 700, 1300); /* ten standard deviations */
    assert_int_equal(rng_below(1), 0);
    assert_true(rng_below(UINT64_MAX) != UINT64_MAX);
    rng_bytes(big, sizeof big);
    assert_memory_not_equal(big, zeros, sizeof big);
}

/* Parent and child never give out the same numbers. */
static void test_fork(void **state)
{
    uint64_t mine, child = 0;
    int fds[2], status;
    pid_t pid;

    (void)state;
    rng_u64();
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        mine = rng_u64();
        _exit(write(fds[1], &mine, sizeof mine) != sizeof mine);
    }
    mine = rng_u64();
    assert_int_equal(read(fds[0], &child, sizeof child), sizeof child);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(mine != child);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
