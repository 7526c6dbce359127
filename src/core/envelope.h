/* core/envelope.h: the envelope as the spool keeps it.
 *
 * What the client said (RFC 5321 2.3.1, RFC 3461), when and from where, and the final recipients
 * that the directory made of it at the commit. A final recipient's place in this list is the
 * recipient index by which the spool, the trace and the mailboxes key what happened to it; it never
 * changes. Encoded with the codec of ipc, under a version of its own: a new program reads what an
 * old one wrote.
 */
#pragma once

#include "base/arena.h"

#include "ipc/inbound_core.h"

enum {
    ENVELOPE_VERSION = 1,
    ENVELOPE_TARGETS_MAX = 10000, /* after expansion */
    ENVELOPE_MAX = 8 << 20,       /* octets encoded */
    ENVELOPE_CUTS_MAX = 32,
};

enum target_kind {
    TARGET_ACCOUNT, /* a mailbox here */
    TARGET_ADDRESS, /* somewhere else */
};

struct target {
    enum target_kind kind;
    uint32_t given;     /* index of the recipient as given that led here */
    uint64_t account;   /* TARGET_ACCOUNT */
    struct str address; /* the address that was resolved last */
};

struct envelope {
    int64_t arrived_ms;
    struct ic_envelope given;
    struct str client, helo, protocol;
    struct target *target;
    uint32_t targets;
    uint64_t *cut; /* pairs of (offset, length) in the content that local copies leave out */
    uint32_t cuts; /* pairs */
};

void envelope_encode(const struct envelope *v, struct buf *out);
/* Slices point into text. */
int envelope_decode(struct arena *a, struct str text, struct envelope *v, struct err *e);

/* Is every target an account? Skips over everything else, allocates nothing. -1: no envelope. */
int envelope_all_local(struct str text, bool *all);
