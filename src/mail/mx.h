/* mail/mx.h: which hosts take the mail of a domain, and in which order they are tried.
 *
 * Pure: from the answer to an MX question to a list (RFC 5321 5.1). Each host still has to be
 * looked up (A, AAAA) by the caller. The names are slices of the domain and of the answer; arrays
 * lie in the arena.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include "mail/dns.h"

enum {
    MX_HOSTS_MAX = 100,
};

struct mx_host {
    struct str name; /* a host name; empty for an address literal */
    uint16_t preference;
    uint8_t address[16]; /* of an address literal (v4 mapped) */
};

struct mx_plan {
    bool implicit; /* no MX: the domain itself is the host */
    bool literal;  /* user@[192.0.2.1]: one host, an address; there is nothing to look up */
    bool secure;   /* the answer was proven by DNSSEC (RFC 7672 2.2.1) */
    uint32_t ttl_s;
    uint32_t count; /* at least one */
    struct mx_host *hosts;
};

/* Evenly among 0 … n-1, n > 0. */
typedef uint64_t mx_random(void *arg, uint64_t n);

struct mx_self {
    const struct str *names; /* our own host names: hosts of these, and those of no better
                                preference, are not tried */
    uint32_t count;
};

/* Is this domain of an address an address literal ("[192.0.2.1]", "[IPv6:2001:db8::1]")? There is
 * nothing to ask for one; mx_literal() fails with 5.1.3 where it is none that we know. */
bool mx_is_literal(struct str domain);
int mx_literal(struct arena *a, struct str domain, struct mx_plan *plan, struct err *e);

/* What the DNS_MX question for `domain` was answered with. -1 with class and status set:
 *   temporary 4.4.3  the DNS gave no answer that can be used (also bogus)
 *   permanent 5.1.2  no such domain (RFC 3463 3.2)
 *   permanent 5.1.10 the domain takes no mail: null MX (RFC 7505)
 *   permanent 5.4.6  the best hosts are ourselves: mail loops back (RFC 5321 5.1)
 *   permanent 5.4.4  no MX names a host
 * Equal preferences are in random order; a host named twice stands where it is first. */
int mx_plan(struct arena *a, struct str domain, const struct dns_answer *answer,
    const struct mx_self *self, mx_random *pick, void *pick_arg, struct mx_plan *plan,
    struct err *e);
