/* core/queue/report.h: delivery status notifications, and the end of recipients that cause them.
 *
 * Whoever settles recipients of a message (the queue, for deliveries out and in, for the operator
 * and at the end of a lifetime) hands them here with what happened; here it is decided who hears of
 * it (RFC 3461 5.2, mail/dsn.h), the notification is written, and it and the outcomes become
 * durable by one commit (docs/spool.md), so that neither can be without the other. Of recipients
 * that come together one notification is made. Never one about a notification: what a null
 * reverse-path sent and cannot be delivered is logged and traced, and goes to the postmaster where
 * dsn { double-bounces } says so.
 */
#pragma once

#include "base/log.h"

#include "ipc/config.h"

#include "core/envelope.h"
#include "core/spool/spool.h"

struct core;
struct reporter;

/* What happened to one recipient. */
enum report_kind {
    REPORT_DELIVERED, /* into a mailbox, or by LMTP */
    REPORT_RELAYED,  /* sent on; relayed_dsn: the next hop reports itself, so nothing is due here */
    REPORT_FAILED,   /* permanently, or its lifetime is over */
    REPORT_DELAYED,  /* still tried: a warning */
    REPORT_EXPANDED, /* went on to the members of a list */
};

struct report_rcpt {
    uint32_t index; /* of the target in the envelope */
    enum report_kind kind;
    bool relayed_dsn;
    uint16_t code; /* of the remote's reply; 0: none */
    struct err_status status;
    struct str text;          /* what was said, by the remote or by us */
    struct str host, address; /* who said it; empty: this server */
    int64_t when_ms;          /* of the last attempt; wall clock */
    int64_t until_ms;         /* REPORT_DELAYED: tried until then */
};

struct report {
    uint64_t id;
    const struct envelope *envelope;
    const struct report_rcpt *rcpt;
    uint32_t rcpts;
    /* What the spool is to be told with it: each recipient's outcome, or the message's end. */
    const struct spool_change *change;
    uint32_t changes;
};

int reporter_open(struct reporter **r, struct core *core, struct err *e);
void reporter_close(struct reporter **r); /* nobody may be in a call */

/* Durable when it returns 0. Where nobody is to be told it never suspends and the changes are
 * written with the next group (spool_change()). -1: nothing has changed, try again later: storage
 * failed, or dsn { rate } is used up (ERR_TEMPORARY, whenever `ready` may be asked first). Suspends
 * otherwise. */
int report(struct reporter *r, const struct report *what, struct err *e);

/* May a notification be made now, by dsn { rate }? Else the time of run_now() at which to ask
 * again. */
bool reporter_ready(struct reporter *r, uint64_t *again);
