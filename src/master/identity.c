#include "master/identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    PATH_SIZE = 1200, /* more than the row takes */
    CAPABILITIES_MAX = 64,
};

/* Kept where there are users of roles. */
static const uint64_t USERS_CAPABILITIES =
    1ULL << CAP_SETUID | 1ULL << CAP_SETGID | 1ULL << CAP_KILL;

static const uint64_t MASTER_CAPABILITIES =
    1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_DAC_READ_SEARCH;

static int find_by_name(struct str name, struct identity *id, struct err *e)
{
    const struct passwd *p;

    if (!str_copy_c(id->name, sizeof id->name, name) || !(p = getpwnam(id->name)))
        return err_set(
            e, ERR_PERMANENT, "master", "user \"%.*s\": there is no such user", STR_ARG(name));
    id->uid = p->pw_uid;
    id->gid = p->pw_gid;
    return 0;
}

static int find_owner(struct str path, struct identity *id, struct err *e)
{
    char text[PATH_SIZE];
    const struct passwd *p;
    struct stat st;

    if (!str_copy_c(text, sizeof text, path))
        return err_set(e, ERR_PERMANENT, "master", "the path of the data directory is too long");
    id->uid = geteuid();
    id->gid = getegid();
    /* One that is not there will be ours. */
    if (stat(text, &st) < 0)
        return 0;
    id->uid = st.st_uid;
    id->gid = st.st_gid;
    p = getpwuid(st.st_uid);
    if (p) {
        id->gid = p->pw_gid;
        str_copy_c(id->name, sizeof id->name, str_c(p->pw_name));
    }
    return 0;
}

int identity_find(const struct config *config, struct identity *id, struct err *e)
{
    *id = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0)
        return 0;
    if ((config->user.n ? find_by_name(config->user, id, e) : find_owner(config->data, id, e)) < 0)
        return -1;
    id->change = id->uid != 0;
    return 0;
}

bool identity_lookup_system(const char *name, struct identity *id)
{
    const struct passwd *p = getpwnam(name);

    if (!p || !str_copy_c(id->name, sizeof id->name, str_c(name)))
        return false;
    id->uid = p->pw_uid;
    id->gid = p->pw_gid;
    return true;
}

bool identity_find_roles(
    const struct identity *own, identity_lookup *lookup, struct identity roles[ROLE_KINDS])
{
    bool core_fits = true;

    for (int kind = 0; kind < ROLE_KINDS; kind++) {
        struct identity found = {.change = true};
        char name[sizeof found.name];
        snprintf(name, sizeof name, "veredus-%s", role_kind_name((enum role_kind)kind));
        roles[kind] = *own;
        roles[kind].change = false;
        /* One that can do everything is no wall. */
        if (!lookup || !lookup(name, &found) || found.uid == 0 || found.uid == own->uid)
            continue;
        if (kind == ROLE_CORE)
            core_fits = false;
        else
            roles[kind] = found;
    }
    return core_fits;
}

int identity_become_role(const struct identity *id)
{
    if (!id->change)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(id->gid, id->gid, id->gid) < 0)
        return -1;
    return setresuid(id->uid, id->uid, id->uid);
}

static int set_capabilities(uint64_t kept, struct err *e)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    data[0].effective = data[0].permitted = (uint32_t)kept;
    data[1].effective = data[1].permitted = (uint32_t)(kept >> 32);
    if (syscall(SYS_capset, &header, data) < 0)
        return err_os(e, errno, "master", "cannot give up capabilities");
    return 0;
}

static uint64_t permitted_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    if (syscall(SYS_capget, &header, data) < 0)
        return 0;
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static int change_user(const struct identity *id, struct err *e)
{
    int groups = id->name[0] ? initgroups(id->name, id->gid) : setgroups(0, NULL);

    if (groups < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
        setresuid(id->uid, id->uid, id->uid) < 0)
        return err_os(e, errno, "master", "cannot become user %s",
            id->name[0] ? id->name : "of the data directory");
    return 0;
}

int identity_become(const struct config *config, struct err *e)
{
    struct identity id;

    if (identity_find(config, &id, e) < 0)
        return -1;
    return id.change ? change_user(&id, e) : 0;
}

int identity_become_master(
    const struct identity *id, const struct identity roles[ROLE_KINDS], struct err *e)
{
    uint64_t kept = MASTER_CAPABILITIES;

    for (int kind = 0; kind < ROLE_KINDS; kind++)
        kept |= roles[kind].change ? USERS_CAPABILITIES : 0;
    /* Where this is not allowed there is nothing to bound. */
    for (int i = 0; i < CAPABILITIES_MAX; i++)
        if (!(MASTER_CAPABILITIES >> i & 1))
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (id->change) {
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
            return err_os(e, errno, "master", "cannot keep capabilities");
        if (change_user(id, e) < 0)
            return -1;
    }
    return set_capabilities(permitted_capabilities() & kept, e);
}
