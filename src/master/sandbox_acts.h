/* master/sandbox_acts.h: what a process might try behind its walls, and what becomes of it in each
 * role, for sandbox_test.c.
 */
#pragma once

#include <sys/types.h>

#include "ipc/role.h"

enum outcome {
    LET,
    REFUSED,
    KILLED,    /* by the walls; in sanitizer builds too */
    FORBIDDEN, /* killed, or refused: in sanitizer builds what nobody named is refused */
    ABORTED,
};

struct sandbox_act {
    const char *what;
    long (*act)(void);                 /* not negative where it was let do */
    enum outcome expected[ROLE_KINDS]; /* core, inbound, resolver, outbound */
};

extern const struct sandbox_act sandbox_acts[];
extern const size_t sandbox_act_count;

/* What the acts are tried on. */
extern char acts_data[64]; /* a data directory */
extern int acts_tcp, acts_udp, acts_pair[2];
extern int acts_listening, acts_stray; /* the first at the port of a route */
extern pid_t acts_sibling;
extern char *acts_page;

const char *acts_below(const char *name); /* of acts_data */
