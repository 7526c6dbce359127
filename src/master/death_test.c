#include <signal.h>
#include <stdlib.h>

#include "base/table.h"
#include "base/unit_test.h"

#include "master/master.h"
#include "master/server_rig.h"

/* What follows from deaths, in a whole server. */

static pid_t core_pid(void)
{
    const char *at = strstr(once(connect_inbound(), "who"), " core ");

    assert_non_null(at);
    return (pid_t)strtol(at + strlen(" core "), NULL, 10);
}

static void die_of(const char *line)
{
    size_t from = said_n;

    assert_string_equal(once(connect_inbound(), line), "");
    await("process_died_at role=inbound", from);
    await("process_restarted", from);
}

/* Core comes to know them a little later than the log. */
static void await_verdicts(const char *expected)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    const char *answer;

    do
        answer = once(connect_runtime("control"), "verdicts");
    while (strncmp(answer, expected, strlen(expected)) != 0 && now_ms() < until);
    if (strncmp(answer, expected, strlen(expected)) != 0)
        fail_msg("\"%s\" is not \"%s\"\n%s", answer, expected, said);
}

/* Who kills twice is banned; each core hears of it. A kill from outside is nobody's fault. */
static void test_ban(void **state)
{
    size_t from;

    (void)state;
    start();
    await(" started ", 0);
    for (int i = 0; i < 3; i++) {
        from = said_n;
        assert_string_equal(once(connect_inbound(), "crash"), "");
        await("process_restarted", from);
    }
    die_of("die 192.0.2.7:25 0");
    die_of("die 192.0.2.8:25 0");
    die_of("die [2001:db8:0:1::1]:25 0");
    await_verdicts("0 restarts, banned:, quarantine: 0 told 0");
    die_of("die 192.0.2.7:25 0");
    await("client_banned client=192.0.2.7 prefix=32 seconds=3600", 0);
    die_of("die [2001:db8:0:1::2]:25 0");
    await("client_banned client=2001:db8:0:1::2 prefix=64", 0);
    await_verdicts("0 restarts, banned: 192.0.2.7 an-hour 2001:db8:0:1::/64 an-hour,");
    from = said_n;
    kill(core_pid(), SIGKILL);
    await("process_restarted role=core", from);
    await_verdicts("1 restarts, banned: ");
    assert_non_null(strstr(once(connect_runtime("control"), "verdicts"), " 192.0.2.7 an-hour"));
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

/* The core that is told first dies of it, so the next one is told, and no other. */
static void test_quarantine(void **state)
{
    size_t from;

    (void)state;
    start();
    await(" started ", 0);
    die_of("die unix:/x 77");
    die_of("die unix:/x 78");
    die_of("die unix:/x 77");
    await_verdicts("0 restarts, banned:, quarantine: 0 told 0");
    die_of("die unix:/x 77");
    await("message_kills", 0);
    await("process_restarted role=core", 0);
    await_verdicts("1 restarts, banned:, quarantine: 77 told 1");
    from = said_n;
    kill(core_pid(), SIGKILL);
    await("process_restarted role=core", from);
    await_verdicts("2 restarts, banned:, quarantine: 0 told 0");
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ban),
        TEST(test_quarantine),
    };

    signal(SIGPIPE, SIG_IGN);
    table_seed((const uint8_t[16]){1});
    if (argc > 0 && master_is_role(argv[0]))
        return master_role_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
