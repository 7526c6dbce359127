/* master/sandbox.h: the walls around a process in its role (DESIGN.md, Walls).
 *
 * Two steps. sandbox_begin() comes first in a new process and gives up what no role needs:
 * capabilities, new privileges, being traced or dumped, stray descriptors, executable memory that
 * was writable. sandbox_close() comes when prepare() has run: Landlock for files, TCP, signals and
 * abstract sockets, then the seccomp allow-list of the role, in that order, for all threads that
 * will ever be; there must be only one then. Walls only narrow, nothing here can be undone.
 *
 * What a wall forbids ends the process (SIGSYS), except opening files in a role that has none:
 * EACCES, since libraries probe and fall back. In sanitizer builds anything unforeseen is EPERM
 * instead; what is forbidden by name still kills.
 */
#pragma once

#include "base/err.h"

#include "ipc/role.h"

struct sandbox_level {
    bool seccomp;
    int landlock; /* ABI in force, 0: none */
    bool mdwe;    /* PR_SET_MDWE */
};

/* title is a literal. first_fd: from this number on no descriptor stays open. */
int sandbox_begin(const char *title, unsigned first_fd, struct err *e);

/* Obeys config->sandbox: with "required" everything the kernel could have must be there. */
int sandbox_close(
    enum role_kind kind, const struct config *config, struct sandbox_level *level, struct err *e);
