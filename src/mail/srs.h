/* mail/srs.h: the Sender Rewriting Scheme, so that SPF survives forwarding.
 *
 * A forwarded message goes out from an address of ours that carries the one it had:
 *
 *     SRS0=HASH=TT=example.org=alice@forwarder.example    alice@example.org
 *     SRS1=HASH=first.example==xxxx=TT=...@forwarder.example  what first.example had made
 *
 * A notification to such an address is mapped back. The hash (HMAC-SHA-256, its first 30 bits in
 * Base 32) proves that we made it, TT is the day (modulo 1024): nobody can use us to relay, and
 * addresses expire. The form is that of libsrs2 and postsrsd; hashes are only ever checked by who
 * made them. ASCII case is ignored wherever a mailer may have changed it. Of several keys the first
 * signs and all verify.
 *
 * Which messages are rewritten (not the null reverse-path, nor our own domains) and that only
 * notifications are taken back is the caller's.
 */
#pragma once

#include "mail/address.h"

struct srs {
    struct str domain;      /* ours, in which rewritten addresses are */
    const struct str *keys; /* secrets; 32 random octets are a good one */
    unsigned key_count;     /* 1 … */
    unsigned max_days;      /* 0: SRS_DAYS_DEFAULT; at most SRS_DAYS_MAX */
};

enum {
    SRS_DAYS_DEFAULT = 21,
    SRS_DAYS_MAX = 1000,
};

/* Is this local part, as mailbox_local() gives it, of the form that srs_reverse() takes? It may
 * still be forged. */
bool srs_is_rewritten(struct str local);

/* Appends the address to send from. -1: it would be longer than a local part may be (RFC 5321
 * 4.5.3.1.1; permanent, 5.1.7): the message keeps the address it has. Or no memory. */
int srs_forward(const struct srs *s, const struct mailbox *sender, int64_t now_ms, struct buf *out,
    struct err *e);

/* Appends the address behind one of ours. -1, permanent: 5.1.1 it is malformed or forged, 5.1.8 it
 * has expired. */
int srs_reverse(
    const struct srs *s, struct str local, int64_t now_ms, struct buf *out, struct err *e);
