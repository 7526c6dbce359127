#include "master/master.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/table.h"
#include "base/unit_test.h"

#include "master/server_rig.h"

/* What an inbound says of itself. */
struct who {
    unsigned index, generation;
    int pid, core, resolver;
};

static struct who who_of(const char *answer)
{
    struct who w = {0};

    if (sscanf(answer, "inbound mx %u generation %u pid %d core %d resolver %d", &w.index,
            &w.generation, &w.pid, &w.core, &w.resolver) != 5)
        fail_msg("not an answer: \"%s\"", answer);
    return w;
}

static struct who who(void)
{
    return who_of(once(connect_inbound(), "who"));
}

/* Core asks this resolver, and so many outbound ask core: an old one goes a little later. */
static void await_peers(int resolver, unsigned outbounds)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    char expected[60];
    const char *answer;

    snprintf(expected, sizeof expected, " resolver %d outbound %u\r\n", resolver, outbounds);
    do
        answer = once(connect_runtime("control"), "peers");
    while (strcmp(answer, expected) != 0 && now_ms() < until);
    assert_string_equal(answer, expected);
}

static void test_life(void **state)
{
    const char *answer;
    struct stat st;
    char path[200];
    struct who w;

    (void)state;
    start();
    await(" started ", 0);
    w = who();
    assert_int_equal(w.generation, 1);
    assert_true(w.core > 0 && w.pid > 0 && w.core != w.pid);
    assert_true(w.resolver > 0 && w.resolver != w.core && w.resolver != w.pid);
    assert_non_null(strstr(once(connect_runtime("submit"), "who"), "inbound client 0"));
    snprintf(path, sizeof path, "%s/data/run/control", base);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "%s/data/run/submit", base);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    snprintf(path, sizeof path, "%s/data/spool", base);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    answer = once(connect_runtime("control"), "status");
    assert_non_null(strstr(answer, "master:0:1:0 core:0:1:0 resolver:0:1:0 inboundmx:0:1:0 "));
    assert_non_null(strstr(answer, "outbound:0:1:0 "));
    await_peers(w.resolver, 1);
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
    assert_non_null(strstr(said, " stopped"));
    assert_int_equal(stat(path, &st), 0);
    snprintf(path, sizeof path, "%s/data/run/control", base);
    assert_int_equal(stat(path, &st), -1);
}

static void test_death_of_inbound(void **state)
{
    struct who first, next;
    size_t from;
    int fd;

    (void)state;
    start();
    await(" started ", 0);
    for (int i = 0; i < 3; i++) {
        from = said_n;
        fd = connect_inbound();
        first = who_of(talk(fd, "who"));
        assert_string_equal(once(fd, "crash"), "");
        await("process_died", from);
        await("process_restarted", from);
    }
    next = who();
    assert_int_equal(next.generation, 1);
    assert_int_equal(next.core, first.core);
    kill(server, SIGINT);
    assert_int_equal(wait_end(), 0);
}

/* The others live on and get a channel to the new one. */
static void test_death_of_core(void **state)
{
    struct who before, after = {.core = -1};
    uint64_t until = now_ms() + PATIENCE_MS;
    int fd;

    (void)state;
    start();
    await(" started ", 0);
    fd = connect_inbound();
    before = who_of(talk(fd, "who"));
    kill(before.core, SIGKILL);
    await("process_restarted", 0);
    while (after.core <= 0 && now_ms() < until)
        after = who_of(talk(fd, "who"));
    close(fd);
    assert_int_equal(after.pid, before.pid);
    assert_true(after.core > 0 && after.core != before.core);
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

static void test_death_of_resolver(void **state)
{
    struct who before, after;
    uint64_t until = now_ms() + PATIENCE_MS;
    int fd;

    (void)state;
    start();
    await(" started ", 0);
    fd = connect_inbound();
    before = who_of(talk(fd, "who"));
    kill(before.resolver, SIGKILL);
    await("process_restarted role=resolver", 0);
    do
        after = who_of(talk(fd, "who"));
    while ((after.resolver < 0 || after.resolver == before.resolver) && now_ms() < until);
    close(fd);
    assert_int_equal(after.pid, before.pid);
    assert_int_equal(after.core, before.core);
    assert_true(after.resolver > 0 && after.resolver != before.resolver);
    await_peers(after.resolver, 1);
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

static void await_gone(pid_t pid)
{
    uint64_t until = now_ms() + PATIENCE_MS;

    while (kill(pid, 0) == 0 && now_ms() < until)
        poll(NULL, 0, 5);
    assert_int_equal(kill(pid, 0), -1);
}

/* An old generation keeps the resolver that it asks until its last process has ended; what is left
 * of one whose resolver dies asks the new one. */
static void test_resolver_of_a_generation(void **state)
{
    for (int dies = 0; dies < 2; dies++) {
        struct who before, live, after;
        int old;
        uint64_t until = now_ms() + PATIENCE_MS;
        start();
        await(" started ", 0);
        old = connect_inbound();
        before = who_of(talk(old, "who"));
        assert_string_equal(once(connect_runtime("control"), "reload"), "live 1 1000\r\n");
        live = who();
        assert_int_equal(live.generation, 2);
        assert_true(live.resolver != before.resolver);
        await_peers(live.resolver, 1);
        after = who_of(talk(old, "who"));
        assert_int_equal(after.pid, before.pid);
        assert_int_equal(after.resolver, before.resolver);
        if (dies)
            kill(before.resolver, SIGKILL);
        while (dies && after.resolver != live.resolver && now_ms() < until)
            after = who_of(talk(old, "who"));
        assert_int_equal(after.resolver, dies ? live.resolver : before.resolver);
        close(old);
        await_gone(before.pid);
        await_gone(before.resolver);
        assert_int_equal(who().resolver, live.resolver);
        kill(server, SIGTERM);
        assert_int_equal(wait_end(), 0);
        said_n = 0;
    }
    (void)state;
}

static void await_refused(void)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    int fd;

    while ((fd = connect_inbound()) >= 0 && now_ms() < until)
        close(fd);
    assert_int_equal(fd, -1);
}

/* What a session needs to its end is there until its end. */
static void test_resolver_and_core_end_last(void **state)
{
    struct who before, after;
    int fd;

    (void)state;
    start();
    await(" started ", 0);
    fd = connect_inbound();
    before = who_of(talk(fd, "who"));
    kill(server, SIGTERM);
    await(" stopping ", 0);
    await_refused();
    after = who_of(talk(fd, "who"));
    assert_int_equal(after.core, before.core);
    assert_int_equal(after.resolver, before.resolver);
    close(fd);
    assert_int_equal(wait_end(), 0);
}

static void test_all_end_with_master(void **state)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    int fd;

    (void)state;
    start();
    await(" started ", 0);
    who();
    kill(server, SIGKILL);
    hear(NULL, 0);
    while (((fd = connect_inbound()) >= 0 || (fd = connect_runtime("control")) >= 0) &&
           now_ms() < until) {
        close(fd);
        poll(NULL, 0, 5);
    }
    assert_int_equal(fd, -1);
}

static void test_reload(void **state)
{
    struct who before, after;
    int old;

    (void)state;
    start();
    await(" started ", 0);
    old = connect_inbound();
    before = who_of(talk(old, "who"));
    write_config("limits { recipients = 177 }");
    assert_string_equal(once(connect_runtime("control"), "reload"), "live 1 177\r\n");
    for (int i = 0; i < 8; i++) {
        after = who();
        assert_int_equal(after.generation, 2);
        assert_int_equal(after.core, before.core);
    }
    /* What runs goes on, with a channel to core. */
    after = who_of(talk(old, "who"));
    assert_int_equal(after.pid, before.pid);
    assert_int_equal(after.core, before.core);
    close(old);
    /* The same by a signal. */
    write_config("limits { recipients = 178 }");
    kill(server, SIGHUP);
    await("reloaded generation=3", 0);
    after = who();
    assert_int_equal(after.generation, 3);
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

static void test_reload_with_problems(void **state)
{
    struct who before, after;
    const char *answer;

    (void)state;
    start();
    await(" started ", 0);
    before = who();
    write_config("limits { recipients = \"many\" }\nlimits { command-timeout = soon }");
    answer = once(connect_runtime("control"), "reload");
    assert_non_null(strstr(answer, "veredus.conf:"));
    kill(server, SIGHUP);
    await("not_reloaded", 0);
    await("veredus.conf:", 0);
    write_config("runtime = \"/tmp/elsewhere\"");
    answer = once(connect_runtime("control"), "reload");
    assert_non_null(strstr(answer, "runtime cannot change"));
    after = who();
    assert_int_equal(after.generation, before.generation);
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

/* A generation that cannot start leaves everything as it was. */
static void test_reload_that_fails(void **state)
{
    char path[200];
    const char *answer;
    int fd;

    (void)state;
    start();
    await(" started ", 0);
    snprintf(path, sizeof path, "%s/data/fail-inbound", base);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    write_config("limits { recipients = 177 }");
    answer = once(connect_runtime("control"), "reload");
    assert_non_null(strstr(answer, "told to fail"));
    assert_int_equal(who().generation, 1);
    unlink(path);
    assert_string_equal(once(connect_runtime("control"), "reload"), "live 1 177\r\n");
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

static int count_fds(pid_t pid)
{
    char path[50];
    DIR *dir;
    int n = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Asked as soon as core listens, while others still start: it waits. */
static void test_reload_at_the_start(void **state)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    int fd;

    (void)state;
    start();
    while ((fd = connect_runtime("control")) < 0 && now_ms() < until)
        poll(NULL, 0, 1);
    assert_string_equal(once(fd, "reload"), "live 1 1000\r\n");
    assert_int_equal(who().generation, 2);
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

/* faults.md 48 */
static void test_many_reloads(void **state)
{
    char text[40];
    int fds = 0;

    (void)state;
    start();
    await(" started ", 0);
    for (unsigned i = 2; i < 12; i++) {
        const char *answer = once(connect_runtime("control"), "reload");
        if (!strstr(answer, "live"))
            fail_msg("reload %u: %s\n%s", i, answer, said);
        snprintf(text, sizeof text, "reloaded generation=%u", i);
        await(text, 0);
        if (i == 3)
            fds = count_fds(server);
    }
    assert_int_equal(who().generation, 11);
    assert_true(count_fds(server) <= fds + 8);
    assert_non_null(strstr(once(connect_runtime("control"), "stop"), "stopping"));
    assert_int_equal(wait_end(), 0);
}

/* A session that does not end is cut at the grace, and at once by a second signal. */
static void test_stop_with_a_session(void **state)
{
    for (int second = 0; second < 2; second++) {
        uint64_t begun;
        int fd;
        start();
        await(" started ", 0);
        fd = connect_inbound();
        who_of(talk(fd, "who"));
        begun = now_ms();
        kill(server, SIGTERM);
        await(" stopping ", 0);
        if (second)
            kill(server, SIGTERM);
        assert_int_equal(wait_end(), 0);
        if (second)
            assert_true(now_ms() - begun < 4000);
        else
            assert_true(now_ms() - begun >= 4500 && now_ms() - begun < 9000);
        close(fd);
        said_n = 0;
    }
    (void)state;
}

static unsigned complaints(void)
{
    unsigned n = 0;

    for (const char *p = said; (p = strstr(p, "veredus: ")); p++)
        n += p == said || p[-1] == '\n';
    return n;
}

/* One clear line, and status 1. */
static void assert_cannot_start(const char *why)
{
    said_n = 0;
    start();
    assert_int_equal(wait_end(), 1);
    if (!strstr(said, why) || complaints() != 1)
        fail_msg("not one line with \"%s\":\n%s", why, said);
}

static void test_cannot_start(void **state)
{
    static const char *const others[] = {"inbound", "resolver", "outbound"};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char path[200];

    (void)state;
    inet_pton(AF_INET, host, &a.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(path, sizeof path, "%s:%d", host, PORT);
    assert_cannot_start(path);
    close(fd);
    snprintf(path, sizeof path, "%s/data/fail-core", base);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_cannot_start("fail-core: told to fail");
    unlink(path);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char why[60];
        snprintf(path, sizeof path, "%s/data/fail-%s", base, others[i]);
        snprintf(why, sizeof why, "fail-%s: told to fail", others[i]);
        close(open(path, O_CREAT | O_WRONLY, 0600));
        assert_cannot_start(why);
        unlink(path);
    }
    write_config("limits { recipients = \"many\" }");
    assert_cannot_start("veredus.conf:5");
    snprintf(path, sizeof path, "%s/veredus.conf", base);
    unlink(path);
    assert_cannot_start(path);
}

static void test_data_below_a_file(void **state)
{
    char path[200];

    (void)state;
    snprintf(path, sizeof path, "%s/data", base);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_cannot_start("/data");
}

static void test_second_server(void **state)
{
    char first_host[32];
    pid_t first;
    int first_errors;

    (void)state;
    start();
    await(" started ", 0);
    first = server;
    first_errors = errors;
    snprintf(first_host, sizeof first_host, "%s", host);
    host[strlen(host) - 1] = host[strlen(host) - 1] == '1' ? '2' : '1';
    write_config("");
    assert_cannot_start("/data/run/control");
    snprintf(host, sizeof host, "%s", first_host);
    server = first;
    errors = first_errors;
    assert_int_equal(who().generation, 1);
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

/* Behind its walls a role finds no file, and is there all the same. */
static void test_walls(void **state)
{
    (void)state;
    start();
    await("sandbox role=inbound", 0);
    await(" started ", 0);
    assert_string_equal(once(connect_inbound(), "misbehave"), "EACCES\n");
    kill(server, SIGTERM);
    assert_int_equal(wait_end(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life),
        TEST(test_death_of_inbound),
        TEST(test_death_of_core),
        TEST(test_death_of_resolver),
        TEST(test_resolver_of_a_generation),
        TEST(test_resolver_and_core_end_last),
        TEST(test_all_end_with_master),
        TEST(test_reload),
        TEST(test_reload_with_problems),
        TEST(test_reload_that_fails),
        TEST(test_reload_at_the_start),
        TEST(test_many_reloads),
        TEST(test_stop_with_a_session),
        TEST(test_cannot_start),
        TEST(test_data_below_a_file),
        TEST(test_second_server),
        TEST(test_walls),
    };

    signal(SIGPIPE, SIG_IGN);
    table_seed((const uint8_t[16]){1});
    if (argc > 0 && master_is_role(argv[0]))
        return master_role_main(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
