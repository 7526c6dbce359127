/* ipc/ledger.h: who owes what on a channel: credit and open calls, in both directions.
 *
 * Pure bookkeeping of what ipc/channel.h promises; the peer's words are checked against it, so what
 * a peer may make us hold is bounded whatever it sends. A request's credit comes back with its
 * reply, a notice's by a grant. Grants are saved up until a quarter of the credit is owed, or until
 * something is written anyway.
 */
#pragma once

#include "ipc/channel.h"

struct ledger_asked {
    void *waiter;    /* NULL where nobody waits for the reply any more */
    uint32_t call;   /* 0: free */
    uint32_t octets; /* of the request */
};

struct ledger_open {
    uint32_t call; /* 0: free */
    uint32_t octets;
};

struct ledger {
    /* Ours: what we may still send, and what is on its way. */
    uint32_t free_requests, free_octets;
    uint32_t noticed, noticed_octets; /* notices that the peer has not granted back */
    uint32_t generation;
    uint16_t free_slots[CHANNEL_REQUESTS]; /* a stack */
    uint16_t free_slot_count;
    struct ledger_asked asked[CHANNEL_REQUESTS];

    /* Theirs: what came and holds credit of the peer. */
    uint32_t held_requests, held_octets;
    uint32_t held_notices, held_notice_octets; /* of those: neither done nor owed */
    uint32_t owed_notices, owed_octets;        /* done, not yet granted */
    struct ledger_open open[CHANNEL_REQUESTS];
};

void ledger_init(struct ledger *l);

/* ---- sending */

/* Takes credit for one request or notice of so many octets; false where it does not suffice. */
bool ledger_spend(struct ledger *l, size_t octets);
void ledger_unspend(struct ledger *l, size_t octets); /* it was not sent after all */
/* A number for a request whose credit has been taken. */
uint32_t ledger_ask(struct ledger *l, size_t octets, void *waiter);
void ledger_forget(struct ledger *l, uint32_t call); /* nobody waits for this reply now */
void ledger_notify(struct ledger *l, size_t octets); /* a notice with credit goes out */

/* The peer's reply and grant: -1 where it answers what was not asked, grants what was not owed. */
int ledger_replied(struct ledger *l, uint32_t call, void **waiter, struct err *e);
int ledger_granted(struct ledger *l, uint32_t notices, uint32_t octets, struct err *e);

/* ---- receiving */

/* A request (call not 0) or notice of the peer; -1 where it has no credit or reuses a number. */
int ledger_arrived(struct ledger *l, uint32_t call, size_t octets, struct err *e);
void ledger_answer(struct ledger *l, uint32_t call); /* we reply; the call must be open */
void ledger_done(struct ledger *l, size_t octets);   /* a notice is done with */
/* What to grant now: false where nothing is owed or, unless something is written anyway, so little
 * that it may wait. */
bool ledger_grant(struct ledger *l, bool anyway, uint32_t *notices, uint32_t *octets);
