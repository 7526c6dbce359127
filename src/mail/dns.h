/* mail/dns.h: what the DNS said, as everybody who asks it sees it.
 *
 * Types alone; who asks is ipc/dns.h, and pure code over mail gets a function handed in. Names are
 * text without a final dot, lower case, internationalised ones as A-labels. Octets that are not
 * printable ASCII, and a dot or backslash within a label, stand as \DDD (RFC 1035 5.1), so no
 * control octet is ever in one; the root is ".".
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum {
    DNS_NAME_MAX = 253,       /* RFC 1035 2.3.4, 255 octets of wire, as text without escapes */
    DNS_NAME_TEXT_MAX = 1004, /* the same with every octet escaped */
    DNS_RECORDS_MAX = 100,    /* used of a set; MX: those of the lowest preference */
    DNS_CNAMES_MAX = 8,
    DNS_TTL_MIN_S = 5, /* below this we do not look again */
    DNS_TTL_MAX_S = 86400,
};

/* The numbers of the IANA registry. */
enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5, /* asked for itself; all other questions follow CNAMEs by themselves */
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_TLSA = 52,
};

enum dns_status {
    DNS_FOUND,     /* records has at least one */
    DNS_NO_NAME,   /* NXDOMAIN: nothing of any type is there; also what can be no name at all */
    DNS_NO_DATA,   /* the name exists, without this type */
    DNS_TEMPORARY, /* no answer, a refusing server, a limit: try again later */
    DNS_BOGUS,     /* DNSSEC validation failed: temporary, and never to be used */
};

struct dns_mx {
    uint16_t preference;
    struct str host; /* "." is the null MX (RFC 7505) */
};

/* RFC 6698 2.1 */
struct dns_tlsa {
    uint8_t usage, selector, matching;
    struct str data;
};

struct dns_record {
    union {
        uint8_t address[16]; /* A (mapped: ::ffff:192.0.2.1) and AAAA */
        struct dns_mx mx;
        struct dns_tlsa tlsa;
        struct str name; /* PTR and CNAME */
        struct str text; /* TXT: its strings joined (RFC 7208 3.3), any octets */
    };
};

struct dns_answer {
    enum dns_status status;
    bool secure;     /* proven by DNSSEC: the records, or that there are none; CNAMEs included */
    bool cut;        /* there were more than DNS_RECORDS_MAX */
    uint32_t ttl_s;  /* how long it holds, DNS_TTL_MIN_S to DNS_TTL_MAX_S */
    struct str name; /* where the CNAMEs led; the name asked for where there were none */
    struct str why;  /* for people, where status is not DNS_FOUND: "example.org: no such domain" */
    uint32_t count;
    struct dns_record *records; /* MX: by preference; the others: as they came */
};
