#include "master/sandbox_acts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

char acts_data[64];
int acts_tcp, acts_udp, acts_listening, acts_stray, acts_pair[2];
pid_t acts_sibling;
char *acts_page;

const char *acts_below(const char *name)
{
    static char path[2][200];
    static unsigned turn;
    char *p = path[turn++ % 2];

    snprintf(p, sizeof path[0], "%s/%s", acts_data, name);
    return p;
}

static long open_close(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0)
        return -1;
    if (flags & O_ACCMODE ? write(fd, "x", 1) != 1 : read(fd, &(char[1]){0}, 1) < 0)
        return -1;
    return close(fd);
}

/* ---- acts: not negative where it was let do */

static long read_passwd(void)
{
    return open_close("/etc/passwd", O_RDONLY);
}

static long write_tmp(void)
{
    return open_close("/tmp/veredus-sandbox-test", O_RDWR | O_CREAT);
}

static long read_own_memory(void)
{
    return open_close("/proc/self/mem", O_RDONLY);
}

static long read_key(void)
{
    return open_close(acts_below("keys/secret"), O_RDONLY);
}

static long remove_key(void)
{
    return unlink(acts_below("keys/secret"));
}

static long make_in_data(void)
{
    return open_close(acts_below("new"), O_RDWR | O_CREAT);
}

static long open_by_openat2(void)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {.flags = O_RDONLY};

    return syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how);
}

static long use_spool(void)
{
    if (open_close(acts_below("spool/1"), O_RDWR | O_CREAT) < 0 ||
        rename(acts_below("spool/1"), acts_below("spool/2")) < 0 ||
        unlink(acts_below("spool/2")) < 0 || mkdir(acts_below("mail/01"), 0700) < 0 ||
        open_close(acts_below("mail/01/1"), O_RDWR | O_CREAT) < 0)
        return -1;
    return open_close(acts_below("control.db"), O_RDONLY);
}

static long sync_data(void)
{
    int fd = open(acts_data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -1 : fsync(fd);
}

static long use_sqlite(void)
{
    sqlite3 *db;
    int rc;

    for (int i = 0; i < 2; i++) {
        if (sqlite3_open(acts_below("control.db"), &db) != SQLITE_OK)
            return -1;
        rc = sqlite3_exec(db,
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA temp_store=MEMORY;"
            "CREATE TABLE IF NOT EXISTS t(a); INSERT INTO t VALUES(1); SELECT sum(a) FROM t;",
            NULL, NULL, NULL);
        if (sqlite3_close(db) != SQLITE_OK || rc != SQLITE_OK)
            return -1;
    }
    return 0;
}

static long execute(void)
{
    char name[] = "true";

    return execv("/bin/true", (char *[]){name, NULL});
}

static long fork_child(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long vfork_child(void)
{
    return syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
}

static void *nothing(void *arg)
{
    return arg;
}

static long start_thread(void)
{
    pthread_t t;

    return pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0 ? -1 : 0;
}

static long socket_tcp(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static long socket_unix(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long socket_udp(void)
{
    return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static long socket_unix_datagram(void)
{
    return socket(AF_UNIX, SOCK_DGRAM, 0);
}

static long socket_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0);
}

static long socket_raw(void)
{
    return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static long socket_mptcp(void)
{
    return socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
}

static long socket_packet(void)
{
    return socket(AF_PACKET, SOCK_DGRAM, 0);
}

static long pair_of_sockets(void)
{
    return socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0});
}

static const struct sockaddr_in loopback = {.sin_family = AF_INET};

static long connect_to(int listener)
{
    struct sockaddr_in a = loopback;
    socklen_t n = sizeof a;

    getsockname(listener, (struct sockaddr *)&a, &n);
    return connect(acts_tcp, (struct sockaddr *)&a, n);
}

static long connect_tcp(void)
{
    return connect_to(acts_listening);
}

static long connect_elsewhere(void)
{
    return connect_to(acts_stray);
}

static long bind_tcp(void)
{
    return bind(acts_tcp, (const struct sockaddr *)&loopback, sizeof loopback);
}

static long bind_tcp_port(void)
{
    const struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(47025)};

    return bind(acts_tcp, (const struct sockaddr *)&a, sizeof a);
}

static long bind_udp_port(void)
{
    return bind(acts_udp, (const struct sockaddr *)&loopback, sizeof loopback);
}

static long bind_in_data(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%.90s/s", acts_data);
    return fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&a, sizeof a);
}

static long listen_tcp(void)
{
    return listen(acts_tcp, 1);
}

static long send_datagram(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sendto(acts_udp, "x", 1, 0, (struct sockaddr *)&a, sizeof a);
}

static long accept_connection(void)
{
    int fd = accept4(acts_listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    return fd < 0 && errno == EAGAIN ? 0 : fd;
}

static long talk_to_peer(void)
{
    return write(acts_pair[0], "x", 1) == 1 && read(acts_pair[1], &(char[1]){0}, 1) == 1 ? 0 : -1;
}

static long trace_sibling(void)
{
    return ptrace(PTRACE_ATTACH, acts_sibling, NULL, NULL);
}

static long be_traced(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long read_sibling(void)
{
    char octets[8];
    struct iovec here = {octets, sizeof octets}, there = {acts_page, sizeof octets};

    return process_vm_readv(acts_sibling, &here, 1, &there, 1, 0);
}

static long kill_sibling(void)
{
    return kill(acts_sibling, SIGCONT);
}

static long tgkill_sibling(void)
{
    return syscall(SYS_tgkill, acts_sibling, acts_sibling, SIGCONT);
}

static long kill_parent(void)
{
    return kill(getppid(), SIGCONT);
}

static long open_pidfd(void)
{
    return syscall(SYS_pidfd_open, acts_sibling, 0);
}

static long use_io_uring(void)
{
    struct io_uring_params p = {0};

    return syscall(SYS_io_uring_setup, 4, &p);
}

static long new_user_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static long mount_tmpfs(void)
{
    return mount("none", acts_data, "tmpfs", 0, NULL);
}

static long change_root(void)
{
    return chroot(acts_data);
}

static long map_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : 0;
}

static long make_executable(void)
{
    return mprotect(acts_page, 4096, PROT_READ | PROT_EXEC);
}

static long memory_file(void)
{
    return memfd_create("x", 0);
}

static long become_root(void)
{
    return setresuid(0, 0, 0);
}

static long take_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[2] = {{~0U, ~0U, ~0U}, {0}};

    return syscall(SYS_capset, &header, all);
}

static long load_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}

static long count_events(void)
{
    return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static long handle_faults(void)
{
    return syscall(SYS_userfaultfd, 0);
}

static long use_keyring(void)
{
    return syscall(SYS_keyctl, 0, -3, 0);
}

static long raise_limit(void)
{
    return setrlimit(0, &(struct rlimit){~0UL, ~0UL});
}

static long be_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long change_mode(void)
{
    return chmod(acts_below("control.db"), 0666);
}

static long old_architecture(void)
{
    long result = -1;
#ifdef __x86_64__
    /* getpid() by the numbers of i386: without the architecture's check it would be write(). */
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
#endif
    return result;
}

static long abort_myself(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* ---- the matrix */

const struct sandbox_act sandbox_acts[] = {
    {"read /etc/passwd", read_passwd, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {"write a file in /tmp", write_tmp, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {"read its own memory by /proc", read_own_memory, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {"read a private key", read_key, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {"remove a private key", remove_key, {REFUSED, FORBIDDEN, FORBIDDEN, FORBIDDEN}},
    {"make a file in DATA", make_in_data, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {"open by openat2", open_by_openat2, {FORBIDDEN, REFUSED, REFUSED, REFUSED}},
    {"use spool, mail and control.db", use_spool, {LET, REFUSED, REFUSED, REFUSED}},
    {"sync DATA", sync_data, {LET, REFUSED, REFUSED, REFUSED}},
    {"use SQLite", use_sqlite, {LET, FORBIDDEN, FORBIDDEN, FORBIDDEN}},
    {"execute a program", execute, {KILLED, KILLED, KILLED, KILLED}},
    {"fork", fork_child, {KILLED, KILLED, KILLED, KILLED}},
    {"vfork", vfork_child, {KILLED, KILLED, KILLED, KILLED}},
    {"start a thread", start_thread, {LET, FORBIDDEN, FORBIDDEN, FORBIDDEN}},
    {"open a TCP socket", socket_tcp, {KILLED, KILLED, LET, LET}},
    {"open a UDP socket", socket_udp, {KILLED, KILLED, LET, FORBIDDEN}},
    {"open a unix socket", socket_unix, {KILLED, KILLED, FORBIDDEN, LET}},
    {"open a unix datagram socket", socket_unix_datagram, {KILLED, KILLED, FORBIDDEN, FORBIDDEN}},
    {"open a netlink socket", socket_netlink, {KILLED, KILLED, FORBIDDEN, FORBIDDEN}},
    {"open a raw socket", socket_raw, {KILLED, KILLED, FORBIDDEN, FORBIDDEN}},
    {"open a multipath TCP socket", socket_mptcp, {KILLED, KILLED, FORBIDDEN, FORBIDDEN}},
    {"open a packet socket", socket_packet, {KILLED, KILLED, FORBIDDEN, FORBIDDEN}},
    {"make a pair of sockets", pair_of_sockets, {KILLED, KILLED, KILLED, KILLED}},
    {"connect", connect_tcp, {KILLED, KILLED, LET, LET}},
    {"connect to a port of no route", connect_elsewhere, {KILLED, KILLED, LET, REFUSED}},
    {"choose a source address", bind_tcp, {KILLED, KILLED, LET, LET}},
    {"take a TCP port", bind_tcp_port, {KILLED, KILLED, REFUSED, REFUSED}},
    {"take a UDP port", bind_udp_port, {KILLED, KILLED, LET, LET}},
    {"make a socket in DATA", bind_in_data, {KILLED, KILLED, FORBIDDEN, REFUSED}},
    {"listen", listen_tcp, {KILLED, KILLED, KILLED, KILLED}},
    {"send a datagram to anybody", send_datagram, {FORBIDDEN, FORBIDDEN, LET, FORBIDDEN}},
    {"accept a connection", accept_connection, {LET, LET, KILLED, KILLED}},
    {"talk to its peer", talk_to_peer, {LET, LET, LET, LET}},
    {"trace its sibling", trace_sibling, {KILLED, KILLED, KILLED, KILLED}},
    {"be traced", be_traced, {KILLED, KILLED, KILLED, KILLED}},
    {"read its sibling's memory", read_sibling, {KILLED, KILLED, KILLED, KILLED}},
    {"signal its sibling", kill_sibling, {KILLED, KILLED, KILLED, KILLED}},
    {"signal its sibling by tgkill", tgkill_sibling, {KILLED, KILLED, KILLED, KILLED}},
    {"signal its parent", kill_parent, {KILLED, KILLED, KILLED, KILLED}},
    {"open a pidfd", open_pidfd, {KILLED, KILLED, KILLED, KILLED}},
    {"set up io_uring", use_io_uring, {KILLED, KILLED, KILLED, KILLED}},
    {"make a user namespace", new_user_namespace, {KILLED, KILLED, KILLED, KILLED}},
    {"mount", mount_tmpfs, {KILLED, KILLED, KILLED, KILLED}},
    {"change its root", change_root, {KILLED, KILLED, KILLED, KILLED}},
    {"map executable memory", map_executable, {KILLED, KILLED, KILLED, KILLED}},
    {"make memory executable", make_executable, {KILLED, KILLED, KILLED, KILLED}},
    {"make a memory file", memory_file, {KILLED, KILLED, KILLED, KILLED}},
    {"become root", become_root, {KILLED, KILLED, KILLED, KILLED}},
    {"take capabilities", take_capabilities, {KILLED, KILLED, KILLED, KILLED}},
    {"load a BPF program", load_bpf, {KILLED, KILLED, KILLED, KILLED}},
    {"open a performance event", count_events, {KILLED, KILLED, KILLED, KILLED}},
    {"handle page faults", handle_faults, {KILLED, KILLED, KILLED, KILLED}},
    {"use a keyring", use_keyring, {KILLED, KILLED, KILLED, KILLED}},
    {"raise a limit", raise_limit, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {"become dumpable", be_dumpable, {FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN}},
    {"change a file's mode", change_mode, {KILLED, KILLED, KILLED, KILLED}},
#ifdef __x86_64__
    {"call by another architecture", old_architecture, {KILLED, KILLED, KILLED, KILLED}},
#endif
    {"abort", abort_myself, {ABORTED, ABORTED, ABORTED, ABORTED}},
};

const size_t sandbox_act_count = sizeof sandbox_acts / sizeof *sandbox_acts;
