/* master/blame.h: which clients and which messages processes die of, and what follows.
 *
 * A client that kills a process twice within an hour is banned for an hour, IPv6 by /64: one who
 * has a /64 has all its addresses. A message of which processes died three times is to be put into
 * quarantine. What the dead leave behind is hostile: the tables are bounded, the oldest gives way.
 * Core is told of each verdict, and each new core again: of a ban while it lasts, of a message
 * until it says that it is held. Never suspends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BLAME_MAX = 256, /* clients, and messages */
    BAN_DEATHS = 2,
    BAN_MS = 60 * 60 * 1000, /* how long, and within which time the deaths must be */
    QUARANTINE_DEATHS = 3,
};

struct blame_client {
    uint8_t network[16]; /* its last 8 octets are 0 where it is a /64 */
    uint64_t died_at;    /* last, run_now(); 0: the place is free */
    uint64_t banned_until;
    uint32_t told; /* number of the core that knows of this ban */
};

struct blame_message {
    uint64_t id; /* 0: the place is free */
    uint64_t died_at;
    unsigned deaths;
    uint32_t told;
};

struct blame {
    struct blame_client clients[BLAME_MAX];
    struct blame_message messages[BLAME_MAX];
};

/* A process has died at its work for this client: true when that bans it (anew). */
bool blame_client(struct blame *b, const uint8_t address[16], uint64_t now);
/* The same for a message: true at the third death. */
bool blame_message(struct blame *b, uint64_t id, uint64_t now);
/* It is in quarantine: deaths are counted anew. */
void blame_forget_message(struct blame *b, uint64_t id);

/* What this core has not been told yet, and counts as told from now on; NULL: nothing. */
const struct blame_client *blame_next_ban(struct blame *b, uint32_t core, uint64_t now);
const struct blame_message *blame_next_quarantine(struct blame *b, uint32_t core);

bool blame_is_network(const uint8_t address[16]); /* banned by its /64, not as one address */
