#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "master/sandbox_int.h"

/* Debian 12's headers stop at the second version of the interface: these are our own, of
 * include/uapi/linux/landlock.h. */
enum {
    LANDLOCK_VERSION = 1, /* flag of landlock_create_ruleset() */
    LANDLOCK_PATH_BENEATH = 1,
    LANDLOCK_NET_PORT = 2,
};

enum landlock_fs {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_REFER = 1 << 13,     /* version 2: rename and link across directories */
    FS_TRUNCATE = 1 << 14,  /* version 3 */
    FS_IOCTL_DEV = 1 << 15, /* version 5 */
};

enum {
    NET_BIND_TCP = 1 << 0, /* version 4 */
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX = 1 << 0, /* version 6 */
    SCOPE_SIGNAL = 1 << 1,
};

struct ruleset_attr {
    uint64_t fs, net, scoped;
};

struct path_beneath_attr {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

struct net_port_attr {
    uint64_t allowed, port;
};

enum {
    FS_VERSION_1 = (1 << 13) - 1,
    FILE_RIGHTS = FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE,
    TREE_RIGHTS = FILE_RIGHTS | FS_READ_DIR | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |
                  FS_MAKE_REG | FS_REFER,
    PATH_SIZE = 1200,
    SMTP_PORT = 25,
    PORT_MAX = 65535,
};

static struct ruleset_attr handled(const struct profile *profile, int abi, size_t *size)
{
    struct ruleset_attr a = {.fs = FS_VERSION_1};

    *size = sizeof a.fs;
    if (abi >= 2)
        a.fs |= FS_REFER;
    if (abi >= 3)
        a.fs |= FS_TRUNCATE;
    if (abi >= 4) {
        a.net = profile->ports == PORTS_ANY ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
        *size = sizeof a.fs + sizeof a.net;
    }
    if (abi >= 5)
        a.fs |= FS_IOCTL_DEV;
    if (abi >= 6) {
        a.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        *size = sizeof a;
    }
    return a;
}

static uint64_t rights_of(enum profile_files files)
{
    switch (files) {
    case FILES_TREE:
        return TREE_RIGHTS;
    case FILES_LIST:
        return FS_READ_DIR;
    case FILES_ONE:
        return FILE_RIGHTS;
    }
    return 0;
}

/* 0: nothing is there. */
static int open_path(const struct profile_path *path, const char *name, struct err *e)
{
    int fd;

    if (path->made) {
        fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return err_os(e, errno, "sandbox", "%s: cannot create", name);
        close(fd);
    }
    fd = open(name, O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    return fd < 0 ? err_os(e, errno, "sandbox", "%s", name) : fd;
}

static int allow_path(
    int ruleset, const struct profile_path *path, struct str data, uint64_t known, struct err *e)
{
    struct path_beneath_attr rule = {.allowed = rights_of(path->files) & known};
    char name[PATH_SIZE];
    int result;

    snprintf(name, sizeof name, "%.*s/%s", STR_ARG(data), path->name);
    rule.parent = open_path(path, name, e);
    if (rule.parent <= 0)
        return rule.parent;
    result = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_PATH_BENEATH, &rule, 0);
    if (result < 0)
        err_os(e, errno, "sandbox", "%s: Landlock rule", name);
    close(rule.parent);
    return result;
}

static int allow_port(int ruleset, uint64_t right, uint64_t port, struct err *e)
{
    const struct net_port_attr rule = {right, port};

    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_NET_PORT, &rule, 0) < 0)
        return err_os(e, errno, "sandbox", "Landlock rule for ports");
    return 0;
}

/* What stands behind the last colon, as in "smtp:[192.0.2.1]:2525"; 0: no port. */
static uint64_t port_of(struct str via)
{
    size_t at = via.n;
    uint64_t port = 0;

    while (at && via.p[at - 1] != ':')
        at--;
    return at && str_to_u64(str_from(via, at), PORT_MAX, &port) ? port : 0;
}

/* Those that outbound may be told to connect to: of MX hosts, and of each route. */
static int allow_routes(int ruleset, const struct config *config, struct err *e)
{
    if (allow_port(ruleset, NET_CONNECT_TCP, SMTP_PORT, e) < 0)
        return -1;
    for (uint32_t i = 0; i < config->routes; i++) {
        uint64_t port = config->route[i].port, via = port_of(config->route[i].via);
        if ((port && allow_port(ruleset, NET_CONNECT_TCP, port, e) < 0) ||
            (via && allow_port(ruleset, NET_CONNECT_TCP, via, e) < 0))
            return -1;
    }
    return 0;
}

static int restrict_self(int ruleset, const struct profile *profile, const struct config *config,
    const struct ruleset_attr *attr, struct err *e)
{
    /* A source address may be chosen, its port not. */
    if (profile->ports != PORTS_NONE && attr->net && allow_port(ruleset, NET_BIND_TCP, 0, e) < 0)
        return -1;
    if (profile->ports == PORTS_ROUTES && attr->net && allow_routes(ruleset, config, e) < 0)
        return -1;
    for (size_t i = 0; i < profile->path_count; i++)
        if (allow_path(ruleset, &profile->paths[i], config->data, attr->fs, e) < 0)
            return -1;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return err_os(e, errno, "sandbox", "Landlock");
    return 0;
}

int landlock_enter(
    const struct profile *profile, const struct config *config, int *abi, struct err *e)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
    struct ruleset_attr attr;
    size_t size;
    int ruleset, result;

    *abi = 0;
    if (version < 1)
        return 0;
    attr = handled(profile, (int)version, &size);
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return err_os(e, errno, "sandbox", "Landlock rules");
    result = restrict_self(ruleset, profile, config, &attr, e);
    close(ruleset);
    if (result == 0)
        *abi = (int)version;
    return result;
}
