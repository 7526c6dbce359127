#include "master/profile.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ALLOW(call)                                                                                \
    {                                                                                              \
        .number = SCMP_SYS(call), .act = CALL_ALLOW                                                \
    }
#define ALLOW_IF(call, condition, arg, v)                                                          \
    {                                                                                              \
        .number = SCMP_SYS(call), .act = CALL_ALLOW, .on = { {condition, arg, (uint64_t)(v)} }     \
    }
#define ALLOW_SOCKET(domain, type, protocol)                                                       \
    {                                                                                              \
        .number = SCMP_SYS(socket), .act = CALL_ALLOW, .on = {                                     \
            {IF_EQUAL, 0, domain},                                                                 \
            {IF_SOCKET_TYPE, 1, type},                                                             \
            {IF_EQUAL, 2, protocol}                                                                \
        }                                                                                          \
    }
#define KILL_IF(call, condition, arg, v)                                                           \
    {                                                                                              \
        .number = SCMP_SYS(call), .act = CALL_KILL, .on = { {condition, arg, (uint64_t)(v)} }      \
    }
#define ANSWER(call, how)                                                                          \
    {                                                                                              \
        .number = SCMP_SYS(call), .act = how                                                       \
    }
#define KILL(call) ANSWER(call, CALL_KILL)

/* Descriptors that are open, memory that is not executable, time, and the end. */
static const struct profile_call all_roles[] = {
    ALLOW(read),
    ALLOW(readv),
    ALLOW(write),
    ALLOW(writev),
    ALLOW(close),
    ALLOW(lseek),
    ALLOW(fstat),
    ALLOW_IF(newfstatat, IF_ANY_BIT, 3, AT_EMPTY_PATH), /* fstat() of glibc */
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_GETFD),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_SETFD),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_GETFL),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_SETFL),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_DUPFD_CLOEXEC),
    ALLOW_IF(ioctl, IF_EQUAL, 1, FIONBIO),
    ALLOW_IF(ioctl, IF_EQUAL, 1, FIONREAD),

    ALLOW(epoll_wait),
    ALLOW(epoll_pwait),
    ALLOW(epoll_ctl),
    ALLOW(poll),
    ALLOW(ppoll),
    ALLOW(eventfd2),

    ALLOW(recvmsg),
    ALLOW(recvfrom),
    ALLOW(sendmsg),
    ALLOW_IF(sendto, IF_EQUAL, 4, 0), /* to whom the socket is connected */
    ALLOW(shutdown),
    ALLOW(getsockname),
    ALLOW(getpeername),
    ALLOW(getsockopt),
    ALLOW(setsockopt),

    ALLOW_IF(mmap, IF_NOT_BITS, 2, PROT_EXEC),
    ALLOW_IF(mprotect, IF_NOT_BITS, 2, PROT_EXEC),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(mincore),
    ALLOW(brk),
    ALLOW(mlock),
    ALLOW(munlock),

    ALLOW(futex),
    ALLOW(sched_yield),
    ALLOW(set_robust_list),
    ALLOW(rseq),
    ALLOW(membarrier),
    ALLOW(rt_sigprocmask),
    ALLOW(rt_sigreturn),
    ALLOW(rt_sigaction),
    ALLOW(sigaltstack),
    ALLOW(restart_syscall),
    ALLOW_IF(tgkill, IF_OWN_PID, 0, 0), /* abort() */

    ALLOW(clock_gettime),
    ALLOW(clock_getres),
    ALLOW(clock_nanosleep),
    ALLOW(nanosleep),
    ALLOW(gettimeofday),
    ALLOW(time),
    ALLOW(getrandom),
    ALLOW(getpid),
    ALLOW(gettid),
    ALLOW(getppid),
    ALLOW(getuid),
    ALLOW(geteuid),
    ALLOW(getgid),
    ALLOW(getegid),
    ALLOW(getrusage),
    ALLOW(sched_getaffinity),
    ALLOW(sysinfo),
    ALLOW(uname),
    ALLOW_IF(prctl, IF_EQUAL, 0, PR_SET_NAME),
    ALLOW(exit),
    ALLOW(exit_group),

    /* glibc goes on with clone(). */
    ANSWER(clone3, CALL_ENOSYS),
    /* Limits are set; libraries only ask. */
    ANSWER(prlimit64, CALL_EPERM),
};

/* Libraries probe for files and do without. */
static const struct profile_call no_files[] = {
    ANSWER(open, CALL_EACCES),
    ANSWER(openat, CALL_EACCES),
    ANSWER(openat2, CALL_ENOSYS),
    ANSWER(creat, CALL_EACCES),
    ANSWER(stat, CALL_EACCES),
    ANSWER(lstat, CALL_EACCES),
    ANSWER(statx, CALL_ENOSYS),
    ANSWER(access, CALL_EACCES),
    ANSWER(faccessat, CALL_EACCES),
    ANSWER(faccessat2, CALL_ENOSYS),
    ANSWER(readlink, CALL_EACCES),
    ANSWER(readlinkat, CALL_EACCES),
};

/* Which files, Landlock says. */
static const struct profile_call files[] = {
    ALLOW(open),
    ALLOW(openat),
    ALLOW(stat),
    ALLOW(lstat),
    ALLOW_IF(newfstatat, IF_NOT_BITS, 3, AT_EMPTY_PATH),
    ALLOW(statx),
    ALLOW(statfs),
    ALLOW(fstatfs),
    ALLOW(access),
    ALLOW(faccessat),
    ALLOW(faccessat2),
    ALLOW(readlink),
    ALLOW(readlinkat),
    ALLOW(getcwd),
    ALLOW(getdents64),
    ALLOW(mkdir),
    ALLOW(mkdirat),
    ALLOW(rmdir),
    ALLOW(unlink),
    ALLOW(unlinkat),
    ALLOW(rename),
    ALLOW(renameat),
    ALLOW(renameat2),
    ALLOW(link),
    ALLOW(linkat),
    ALLOW(umask),
    ALLOW(fchmod),
    ALLOW(fchown), /* SQLite as root; without capabilities it changes nothing */
    ALLOW(utimensat),
    ALLOW(pread64),
    ALLOW(preadv),
    ALLOW(preadv2),
    ALLOW(pwrite64),
    ALLOW(pwritev),
    ALLOW(pwritev2),
    ALLOW(ftruncate),
    ALLOW(truncate),
    ALLOW(fallocate),
    ALLOW(fadvise64),
    ALLOW(readahead),
    ALLOW(copy_file_range),
    ALLOW(fsync),
    ALLOW(fdatasync),
    ALLOW(syncfs),
    ALLOW(sync_file_range),
    ALLOW(msync),
    ALLOW(flock),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_GETLK),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_SETLK),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_SETLKW),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_OFD_GETLK),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_OFD_SETLK),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_OFD_SETLKW),
    ALLOW_IF(fcntl, IF_EQUAL, 1, F_DUPFD),

    /* Threads, never processes. */
    ALLOW_IF(clone, IF_BITS, 0, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND),
};

/* Sockets come from master, connections in by them. */
static const struct profile_call accepts[] = {
    ALLOW(accept4),
    KILL(socket),
    KILL(connect),
    KILL(bind),
    KILL(listen),
};

/* SMTP, and LMTP also to a local server's socket. bind() chooses the source's address. */
static const struct profile_call connects[] = {
    ALLOW_SOCKET(AF_INET, SOCK_STREAM, 0),
    ALLOW_SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
    ALLOW_SOCKET(AF_INET6, SOCK_STREAM, 0),
    ALLOW_SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
    ALLOW_SOCKET(AF_UNIX, SOCK_STREAM, 0),
    ALLOW(connect),
    ALLOW(bind),
    KILL(listen),
    KILL(accept),
    KILL(accept4),
};

/* What libunbound calls. A question leaves from a random port. */
static const struct profile_call resolves[] = {
    ALLOW_SOCKET(AF_INET, SOCK_DGRAM, 0),
    ALLOW_SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
    ALLOW_SOCKET(AF_INET6, SOCK_DGRAM, 0),
    ALLOW_SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
    ALLOW_SOCKET(AF_INET, SOCK_STREAM, 0),
    ALLOW_SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
    ALLOW_SOCKET(AF_INET6, SOCK_STREAM, 0),
    ALLOW_SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
    ALLOW(connect),
    ALLOW(bind),
    ALLOW(sendto),
    KILL(listen),
    KILL(accept),
    KILL(accept4),
};

/* DATA/keys is not among these, so nothing can be made or removed in DATA itself: what stands there
 * is made before. SQLite wants to remove -wal with its last connection; it stays. */
static const struct profile_path core_paths[] = {
    {"spool", FILES_TREE, false},
    {"mail", FILES_TREE, false},
    {"trace", FILES_TREE, false},
    {"queue", FILES_TREE, false},
    {"lock", FILES_ONE, true},
    {"control.db", FILES_ONE, false},
    {"control.db-wal", FILES_ONE, true},
    {"", FILES_LIST, false},
};

#define CALLS(array)                                                                               \
    {                                                                                              \
        array, COUNT(array)                                                                        \
    }

const struct profile profiles[ROLE_KINDS] = {
    [ROLE_CORE] = {.calls = {CALLS(all_roles), CALLS(files), CALLS(accepts)},
        .paths = core_paths,
        .path_count = COUNT(core_paths)},
    [ROLE_INBOUND] = {.calls = {CALLS(all_roles), CALLS(no_files), CALLS(accepts)}},
    [ROLE_RESOLVER] = {.calls = {CALLS(all_roles), CALLS(no_files), CALLS(resolves)},
        .ports = PORTS_ANY},
    [ROLE_OUTBOUND] = {.calls = {CALLS(all_roles), CALLS(no_files), CALLS(connects)},
        .ports = PORTS_ROUTES},
};

static const struct profile_call forbidden[] = {
    KILL(execve),
    KILL(execveat),
    KILL(fork),
    KILL(vfork),
    KILL(socketpair),
    KILL(ptrace),
    KILL(process_vm_readv),
    KILL(process_vm_writev),
    KILL(kill),
    KILL(tkill),
    KILL_IF(tgkill, IF_OTHER_PID, 0, 0),
    KILL(pidfd_open),
    KILL(pidfd_getfd),
    KILL(pidfd_send_signal),
    KILL(io_uring_setup),
    KILL(io_uring_enter),
    KILL(io_uring_register),
    KILL(unshare),
    KILL(setns),
    KILL(mount),
    KILL(umount2),
    KILL(pivot_root),
    KILL(chroot),
    KILL(bpf),
    KILL(perf_event_open),
    KILL(userfaultfd),
    KILL(keyctl),
    KILL(add_key),
    KILL(request_key),
    KILL(memfd_create),
    KILL(setuid),
    KILL(setgid),
    KILL(setresuid),
    KILL(setresgid),
    KILL(setgroups),
    KILL(capset),
    KILL(mknod),
    KILL(mknodat),
    KILL(chown),
    KILL(chmod),
    KILL(init_module),
    KILL(finit_module),
    KILL(kexec_load),
    KILL(reboot),
    KILL(swapon),
    KILL(modify_ldt),
    KILL(personality),
    KILL_IF(mmap, IF_ANY_BIT, 2, PROT_EXEC),
    KILL_IF(mprotect, IF_ANY_BIT, 2, PROT_EXEC),
    KILL_IF(clone, IF_NOT_BITS, 0, CLONE_THREAD),
};

const struct profile_calls profile_forbidden = {forbidden, COUNT(forbidden)};
