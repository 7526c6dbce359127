/* ipc/dns.h: questions to the resolver, the same from core, inbound and outbound.
 *
 * A room holds one struct dns_client, gives it each channel to a resolver that its on_peer gets,
 * and asks in any fiber. Identical questions of all rooms are one query; answers are cached in the
 * resolver alone. Limits: 8 CNAMEs, 64 KiB an answer, 100 records used, 30 s a question; a caller's
 * deadline may be shorter.
 *
 * A resolver that is not there, dies, or does not answer in time is DNS_TEMPORARY, not an error: an
 * ask waits at most DNS_ABSENT_MS for a resolver to come, and for DNS_REMEMBER_MS after that asks
 * fail at once. What was asked when the resolver died is asked once more of the next.
 */
#pragma once

#include "base/arena.h"
#include "base/log.h"

#include "mail/dns.h"

#include "io/net.h"

#include "ipc/codec.h"

enum {
    DNS_QUESTION_MS = 30 * 1000,
    DNS_ABSENT_MS = 5 * 1000,
    DNS_REMEMBER_MS = 10 * 1000,
};

struct channel;

struct dns_client {
    struct channel *channel; /* NULL: no resolver */
    struct cond arrived;
    const struct event *event;
    uint64_t absent_until; /* do not wait for one before */
};

void dns_client_init(struct dns_client *c, const struct event *event);
/* The fd of a new resolver, from on_peer: ours now. The channel before is closed. */
void dns_client_peer(struct dns_client *c, int fd);
/* No fiber may be asking. */
void dns_client_done(struct dns_client *c);

/* Suspends. 0: *out says what the DNS said, in the arena (out->name and why too). -1 only where the
 * caller itself cannot go on: cancelled, its deadline, no memory (e says which). */
int dns_ask(struct dns_client *c, struct arena *a, enum dns_type type, struct str name,
    struct dns_answer *out, struct err *e);

/* An A or AAAA record as an address with this port. */
void dns_record_address(const struct dns_record *r, uint16_t port, struct net_address *out);

/* The name to ask for DNS_PTR: 1.2.0.192.in-addr.arpa (RFC 1035 3.5), or under ip6.arpa (RFC 3596
 * 2.5) for a v6 one. p is NULL without memory. */
struct str dns_reverse_name(struct arena *a, const uint8_t address[16]);

/* ---- the messages, for the resolver and tests */

enum dns_message {
    DNS_ASK = 1, /* ask: struct dns_question -> struct dns_answer */
};

struct dns_question {
    enum dns_type type;
    struct str name; /* wire/dns_packet.h's dns_name_sound() */
};

bool dns_type_known(unsigned type);
const char *dns_type_name(enum dns_type type); /* "AAAA" */

/* The encoder marks the buf bad beyond its ceilings; the decoders check all of it again. */
void dns_question_encode(const struct dns_question *v, struct buf *out);
int dns_question_decode(struct str p, struct dns_question *v, struct err *e);
void dns_answer_encode(enum dns_type type, const struct dns_answer *v, struct buf *out);
/* Everything in *v lies in the arena, nothing in p. */
int dns_answer_decode(
    struct arena *a, enum dns_type type, struct str p, struct dns_answer *v, struct err *e);
