#include "master/server_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/table.h"
#include "base/temp_dir.h"
#include "base/unit_test.h"

#include "master/master.h"

char base[100];
char host[32];
pid_t server;
int errors;
char said[TEXT];
size_t said_n;

uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the server */

void write_config(const char *more)
{
    char path[200];
    FILE *f;

    snprintf(path, sizeof path, "%s/veredus.conf", base);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
        "hostname = \"mx.example.test\"\ndata = \"%s/data\"\nshutdown-grace = \"6s\"\n"
        "listen \"mx\" { protocol = smtp address = {\"%s:%d\"} }\n%s\n",
        base, host, PORT, more);
    fclose(f);
}

int setup(void **state)
{
    static unsigned number;

    (void)state;
    assert_int_equal(temp_dir_make(base, sizeof base, NULL, "master"), 0);
    chmod(base, 0755);
    snprintf(host, sizeof host, "127.%u.%u.%u", 200 + number % 50, (unsigned)getpid() >> 8 & 255,
        (unsigned)getpid() & 255);
    number++;
    write_config("");
    said_n = 0;
    server = 0;
    return 0;
}

void start(void)
{
    char path[200];
    int fds[2];

    snprintf(path, sizeof path, "%s/veredus.conf", base);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    fflush(NULL);
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fds[1], STDERR_FILENO);
        _exit(master_serve(path) == 0 ? 0 : 1);
    }
    close(fds[1]);
    errors = fds[0];
}

bool hear(const char *what, size_t from)
{
    uint64_t until = now_ms() + PATIENCE_MS;

    for (;;) {
        struct pollfd p = {.fd = errors, .events = POLLIN};
        ssize_t n;
        said[said_n] = '\0';
        if (what && strstr(said + from, what))
            return true;
        if (now_ms() > until || said_n > TEXT - 5000)
            fail_msg("\"%s\" was not said within %d ms, but:\n%s", what, PATIENCE_MS, said);
        if (poll(&p, 1, 1000) <= 0)
            continue;
        n = read(errors, said + said_n, 4096);
        if (n <= 0)
            return false;
        said_n += (size_t)n;
    }
}

void await(const char *what, size_t from)
{
    if (!hear(what, from))
        fail_msg("ended without \"%s\":\n%s", what, said);
}

int wait_end(void)
{
    int status;

    hear(NULL, 0);
    assert_int_equal(waitpid(server, &status, 0), server);
    server = 0;
    close(errors);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int teardown(void **state)
{
    (void)state;
    if (server) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        close(errors);
    }
    return temp_dir_remove(base);
}

/* ---- clients */

int connect_inbound(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, host, &a.sin_addr);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

int connect_runtime(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%.60s/data/run/%.20s", base, name);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

const char *talk(int fd, const char *line)
{
    static char answer[TEXT];
    size_t n = 0;

    assert_true(fd >= 0);
    if (dprintf(fd, "%s\r\n", line) < 0)
        return "";
    while (n < sizeof answer - 1 && !memchr(answer, '\n', n)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t got;
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        got = read(fd, answer + n, sizeof answer - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    answer[n] = '\0';
    return answer;
}

const char *once(int fd, const char *line)
{
    const char *answer = talk(fd, line);

    close(fd);
    return answer;
}
