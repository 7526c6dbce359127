/* master/server_rig.h: a whole server with rooms of ours (fake_rooms.h) and its clients, for
 * *_test.c.
 *
 * The test program is master and all roles too: its main() must begin as master_test.c's does.
 * setup() and teardown() surround each test; between them there is one server at most.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PATIENCE_MS = 30000,
    TEXT = 65536,
    PORT = 2525,
};

extern char base[100]; /* the directory of this test */
extern char host[32];
extern pid_t server;
extern int errors; /* where the server's standard error can be read */
extern char said[TEXT];
extern size_t said_n;

uint64_t now_ms(void);

/* ---- the server */

int setup(void **state);
int teardown(void **state);
void write_config(const char *more);
void start(void);

/* Reads on until the server has said this, after position `from`; or to the end, for NULL. */
bool hear(const char *what, size_t from);
void await(const char *what, size_t from);

/* Its exit status, -1 for a death. */
int wait_end(void);

/* ---- clients */

int connect_inbound(void);
int connect_runtime(const char *name);

/* One line to fd, one line back; empty where the other side has ended. */
const char *talk(int fd, const char *line);
/* The same, and closes fd. */
const char *once(int fd, const char *line);
