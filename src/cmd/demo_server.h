/* cmd/demo_server.h: a server in a directory of its own, for `veredus demo`. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#include "io/net.h"

enum {
    DEMO_PATH_SIZE = 256
};

struct demo_server {
    const char *program;            /* this executable */
    char directory[DEMO_PATH_SIZE]; /* removed by demo_server_stop() */
    char config_path[DEMO_PATH_SIZE + 16];
    struct net_address smtp;
    unsigned smtp_port, submission_port;
    unsigned mx_port; /* where the host of elsewhere.test listens */
    pid_t pid;
    int ended; /* wait status */
};

/* Directory, configuration, domain and accounts, the server, and its first sign of life. From here
 * on Ctrl-C and its like wait until they are asked for: nothing is left behind. */
int demo_server_start(struct demo_server *s, const char *program, unsigned mx_port, struct err *e);

bool demo_server_interrupted(void);

/* Until it is interrupted or the server ends. */
void demo_server_wait(struct demo_server *s);

/* Ends the server and removes the directory; -1 if the server did not end with 0. May be called for
 * one that did not start. */
int demo_server_stop(struct demo_server *s);
