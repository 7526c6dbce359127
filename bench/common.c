#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LEDGER_MAX = 64 << 20,
    TREE_MAX = 4096, /* descendants looked at */
};

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

uint64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct sockaddr_in address_parse(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct str rest = str_c(text), host;
    char host_c[INET_ADDRSTRLEN];
    uint64_t port;

    if (!str_cut(&rest, ':', &host) || !str_copy_c(host_c, sizeof host_c, host) ||
        inet_pton(AF_INET, host_c, &address.sin_addr) != 1 || !str_to_u64(rest, 65535, &port))
        die("%s: not an address of the form 127.0.0.1:2525", text);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        die("socket: %m");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int tcp_listen(const struct sockaddr_in *address)
{
    int fd = tcp_socket(), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 || listen(fd, 4096) < 0)
        die("listen on port %u: %m", ntohs(address->sin_port));
    return fd;
}

int tcp_connect(const struct sockaddr_in *to, const struct sockaddr_in *from)
{
    int fd = tcp_socket(), on = 1;

    if (from) {
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, (const struct sockaddr *)from, sizeof *from) < 0)
            die("bind: %m");
    }
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

uint64_t number_parse(const char *option, const char *text)
{
    struct str s = str_c(text);
    uint64_t value, unit = 1;

    if (s.n > 1) {
        const char *letter = memchr("KMG", s.p[s.n - 1], 3);

        if (letter) {
            unit = *letter == 'K' ? 1024 : *letter == 'M' ? 1024 * 1024 : 1024 * 1024 * 1024;
            s.n--;
        }
    }
    if (!str_to_u64(s, UINT64_MAX / unit, &value))
        die("--%s: %s is not a number", option, text);
    return value * unit;
}

/* A small file of /proc as a terminated string; false where the process is gone. */
static bool proc_read(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, size - 1);
    close(fd);
    if (n < 0)
        return false;
    text[n] = '\0';
    return true;
}

static uint64_t cpu_us_of(pid_t pid)
{
    unsigned long user, system;
    long waited_user, waited_system;
    char text[1024], *fields;

    if (!proc_read(pid, "stat", text, sizeof text))
        return 0;
    fields = strrchr(text, ')'); /* the title may hold spaces */
    if (!fields ||
        sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &user,
            &system, &waited_user, &waited_system) != 4)
        return 0;
    return (user + system + (unsigned long)waited_user + (unsigned long)waited_system) * 1000000 /
           (unsigned long)sysconf(_SC_CLK_TCK);
}

uint64_t cpu_us_of_tree(pid_t pid)
{
    static pid_t pids[TREE_MAX];
    size_t count = 0, done;
    uint64_t sum = 0;

    pids[count++] = pid;
    for (done = 0; done < count; done++) {
        static char text[65536];
        struct str rest, one;
        uint64_t child;

        sum += cpu_us_of(pids[done]);
        snprintf(text, 64, "task/%d/children", pids[done]);
        if (!proc_read(pids[done], text, text, sizeof text))
            continue;
        rest = str_c(text);
        while (count < TREE_MAX && str_cut(&rest, ' ', &one))
            if (str_to_u64(one, INT32_MAX, &child))
                pids[count++] = (pid_t)child;
    }
    return sum;
}

static int sample_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

uint32_t percentile(uint32_t *samples, size_t count, unsigned percent)
{
    if (count == 0)
        return 0;
    qsort(samples, count, sizeof *samples, sample_cmp);
    return samples[(count - 1) * percent / 100];
}

void ledger_open(struct ledger *l, const char *path)
{
    l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (l->fd < 0)
        die("%s: %m", path);
    buf_init(&l->lines, LEDGER_MAX);
}

void ledger_add(struct ledger *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (buf_vprintf(&l->lines, format, args) < 0)
        die("ledger: no memory");
    va_end(args);
}

void ledger_sync(struct ledger *l)
{
    if (buf_len(&l->lines) == 0)
        return;
    while (buf_len(&l->lines)) {
        struct str rest = buf_str(&l->lines);
        ssize_t n = write(l->fd, rest.p, rest.n);

        if (n < 0 && errno != EINTR)
            die("ledger: %m");
        if (n > 0)
            buf_consume(&l->lines, (size_t)n);
    }
    if (fdatasync(l->fd) < 0)
        die("ledger: %m");
}
