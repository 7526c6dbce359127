/* cmd/client.h: how a command reaches the data: through the running server, else by itself.
 *
 * With a server running nothing changes except through it; DATA/lock tells which is the case.
 * Without one the same operations run in this process, which then holds the lock.
 */
#pragma once

#include <jansson.h>

#include "cmd/cmd.h"

struct client;

enum client_need {
    CLIENT_ANY,    /* a server, or the data directory */
    CLIENT_SERVER, /* a running server */
    CLIENT_ADOPT,  /* the data directory, which is taken for ours though it is a copy */
};

/* Runs fn with a client in a fiber of this process's loop; returns fn's result, or EXIT_FAILED with
 * a line printed. As root it first becomes the owner of the data directory. */
typedef int client_fn(struct cmd *c, struct client *client, void *arg);
int client_run(struct cmd *c, enum client_need need, client_fn *fn, void *arg);

/* One operation. request is taken over (and freed). The result is NULL with e set where it failed.
 */
json_t *client_ask(struct client *client, json_t *request, struct err *e);

/* An operation that gives raw octets, appended to out. */
int client_ask_raw(struct client *client, json_t *request, struct buf *out, struct err *e);

/* All pages of a list in one array. */
json_t *client_ask_list(struct client *client, json_t *request, struct err *e);

/* For what prints only a line or nothing: asks, prints errors, gives the exit status. With --json
 * the result is printed. */
int client_do(struct cmd *c, struct client *client, json_t *request);
