#include "master/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/temp_dir.h"
#include "base/unit_test.h"

#include "master/sandbox_acts.h"
#include "master/sandbox_int.h"

/* Each role tries each act behind its walls, in a child of its own. */

static char via[40]; /* a route's, to acts_listening */

static _Noreturn void child(enum role_kind kind, long (*act)(void))
{
    struct config_route route = {.via = str_c(via)};
    struct config config = {
        .data = str_c(acts_data), .sandbox = SANDBOX_REQUIRED, .route = &route, .routes = 1};
    struct sandbox_level level;
    struct err e;

    acts_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    acts_tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    acts_udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sandbox_begin("test", 1000, &e) < 0 || sandbox_close(kind, &config, &level, &e) < 0) {
        dprintf(STDERR_FILENO, "no walls: %s\n", e.text);
        _exit(3);
    }
    _exit(act() < 0 ? 1 : 0);
}

static enum outcome try(enum role_kind kind, long (*act)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        child(kind, act);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : ABORTED;
    assert_true(WEXITSTATUS(status) != 3);
    return WEXITSTATUS(status) == 0 ? LET : REFUSED;
}

static bool as_expected(enum outcome expected, enum outcome seen)
{
    if (expected != FORBIDDEN)
        return seen == expected;
#ifdef VEREDUS_SANITIZED
    return seen == KILLED || seen == REFUSED;
#else
    return seen == KILLED;
#endif
}

static void test_matrix(void **state)
{
    static const char *const words[] = {"let do", "refused", "killed", "killed", "aborted"};
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < sandbox_act_count; i++) {
        for (int kind = 0; kind < ROLE_KINDS; kind++) {
            enum outcome seen = try((enum role_kind)kind, sandbox_acts[i].act);
            if (as_expected(sandbox_acts[i].expected[kind], seen))
                continue;
            print_error("%s, %s: %s, not %s\n", role_kind_name((enum role_kind)kind),
                sandbox_acts[i].what, words[seen], words[sandbox_acts[i].expected[kind]]);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_begin(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct now[2] = {0};
        struct err e;
        if (dup2(0, 100) < 0 || sandbox_begin("test", 50, &e) < 0)
            _exit(1);
        if (fcntl(100, F_GETFD) >= 0 || prctl(PR_GET_DUMPABLE) != 0 ||
            prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
            _exit(2);
        if (syscall(SYS_capget, &header, now) < 0 || now[0].effective || now[0].permitted ||
            now[1].effective || now[1].permitted)
            _exit(4);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A kernel without Landlock: the filter alone must keep files from a role that has none. */
static void test_filter_alone(void **state)
{
    int status;
    pid_t pid = fork();
    struct err e;

    (void)state;
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            seccomp_enter(&profiles[ROLE_INBOUND], &e) < 0)
            _exit(3);
        _exit(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void make_file(const char *name)
{
    int fd = open(acts_below(name), O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    close(fd);
}

static int setup(void **state)
{
    static const char *const directories[] = {"spool", "mail", "trace", "queue", "keys"};
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    sqlite3 *db;

    (void)state;
    assert_int_equal(temp_dir_make(acts_data, sizeof acts_data, NULL, "sandbox"), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(mkdir(acts_below(directories[i]), 0700), 0);
    make_file("keys/secret");
    assert_int_equal(sqlite3_open(acts_below("control.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    acts_listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    acts_stray = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(listen(acts_listening, 8), 0);
    assert_int_equal(listen(acts_stray, 8), 0);
    getsockname(acts_listening, (struct sockaddr *)&a, &n);
    snprintf(via, sizeof via, "smtp:[127.0.0.1]:%u", ntohs(a.sin_port));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, acts_pair), 0);
    acts_sibling = fork();
    if (acts_sibling == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kill(acts_sibling, SIGKILL);
    waitpid(acts_sibling, NULL, 0);
    return temp_dir_remove(acts_data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin),
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_filter_alone),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
