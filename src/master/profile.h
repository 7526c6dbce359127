/* master/profile.h: what each role may ask of the kernel, as const tables. */
#pragma once

#include <seccomp.h>

#include "ipc/role.h"

/* Calls that are allowed, or answered, where all conditions hold; one a argument at most. */
struct profile_call {
    int number; /* of seccomp.h: SCMP_SYS() */
    enum profile_act {
        CALL_ALLOW,
        CALL_KILL,
        CALL_EACCES,
        CALL_ENOSYS,
        CALL_EPERM,
    } act;
    struct profile_condition {
        enum profile_if {
            IF_ALWAYS,
            IF_EQUAL,       /* argument == value */
            IF_NOT_BITS,    /* no bit of value is set */
            IF_BITS,        /* all bits of value are set */
            IF_ANY_BIT,     /* value is one bit, and set */
            IF_SOCKET_TYPE, /* value, with SOCK_NONBLOCK and SOCK_CLOEXEC or without */
            IF_OWN_PID,     /* the argument is the number of this process */
            IF_OTHER_PID,
        } when;
        unsigned argument;
        uint64_t value;
    } on[3]; /* the first IF_ALWAYS ends them */
};

struct profile_calls {
    const struct profile_call *v;
    size_t count;
};

/* Files below the data directory, and what may be done with them. */
struct profile_path {
    const char *name; /* below DATA; "" is DATA itself */
    enum profile_files {
        FILES_TREE, /* everything below it: read, write, make, remove */
        FILES_LIST, /* list what is in it and below, and sync it */
        FILES_ONE,  /* read and write this one file, which is made if `made` */
    } files;
    bool made;
};

struct profile {
    struct profile_calls calls[3]; /* those of all, and by what the role needs */
    enum profile_ports {
        PORTS_NONE,
        PORTS_ANY,    /* connects by TCP, from a port that the kernel chooses */
        PORTS_ROUTES, /* the same, to the ports of routes only */
    } ports;
    const struct profile_path *paths;
    size_t path_count;
};

extern const struct profile profiles[ROLE_KINDS];

/* What kills in every role also where the default is an error (sanitizer builds). */
extern const struct profile_calls profile_forbidden;
