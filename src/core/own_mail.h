/* core/own_mail.h: mail that the server itself writes, on its way into the spool.
 *
 * From the null reverse-path to one address, which the directory expands as it does any other; with
 * a Received field as prefix and, where it stays here, a digest made by an inbound.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct core;
struct message;

enum {
    OWN_MAIL_MAX = 6 << 20, /* octets of content */
};

struct own_mail {
    uint64_t id; /* core_own_id() */
    struct str recipient;
    struct str protocol; /* what the envelope says how it came */
    struct str content;
    bool eight_bit, smtputf8;
};

/* Ready for spool_commit(); it holds copies of everything. Suspends. */
int own_mail_make(struct core *c, const struct own_mail *mail, struct message **out, struct err *e);
