/* core/queue/forward.h: the reverse-path of what an alias leads elsewhere, and its way back.
 *
 * A message that an alias forwards leaves with an address of ours that carries its sender (SRS,
 * mail/srs.h), so that SPF holds at the next hop; not with the null reverse-path, and not where the
 * sender's domain is delivered here. A report to such an address is mapped back at RCPT and at the
 * commit. The addresses are in the origin if that is a local domain, else in the domain of the
 * alias if that is one, else at the hostname.
 *
 * Keys are lines of Base 64 in DATA/queue/srs.key (0600, made at first): the first signs, all
 * verify. To change them an operator puts a new line in front, and reloads; an old one can go when
 * the addresses made with it have expired. Never suspends.
 */
#pragma once

#include "base/arena.h"

#include "io/sys.h"

#include "ipc/config.h"

#include "core/envelope.h"

struct directory;
struct forward;

enum {
    FORWARD_KEYS_MAX = 16,
};

/* Reads the keys; makes the file where there is none, durably, in a directory that exists. Blocks
 * for one small file, as forward_reconfigure() does. */
int forward_open(struct forward **f, const struct sys *sys, const struct config *config,
    struct directory *directory, struct err *e);
void forward_close(struct forward **f);
/* Reads the keys again; the ones before stay where that fails (-1). */
int forward_reconfigure(struct forward *f, const struct config *config, struct err *e);

/* *out becomes the reverse-path with which the message goes to its target `index`: as it is, or one
 * of ours, in the arena. -1: no memory. */
int forward_reverse_path(const struct forward *f, struct arena *a, const struct envelope *envelope,
    uint32_t index, struct str *out, struct err *e);

/* Is address one of those that we make? 1: *out is the one behind it, in the arena. 0: it is not,
 * or of another domain. -1: it is forged or has expired (permanent), or no memory. */
int forward_back(
    const struct forward *f, struct arena *a, struct str address, struct str *out, struct err *e);
