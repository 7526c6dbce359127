/* wire/dns_packet.h: an answer of the DNS as it stands on the wire, read within bounds.
 *
 * RFC 1035 4. For the one question that was asked: follows the CNAMEs from its name to where the
 * records are, in whatever order they stand, and reads those of the type asked for. All octets may
 * be hostile: every pointer goes backwards, every length is checked, work is linear in the packet
 * times DNS_CNAMES_MAX. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include "mail/dns.h"

/* Fills status (DNS_FOUND, DNS_NO_NAME, DNS_NO_DATA, or DNS_TEMPORARY for a refusal, a limit or
 * what cannot be read), name, cut, ttl_s, records, and why; secure stays false. Names and octets
 * lie in the arena, nothing in the packet. name is the one asked for, in the text form of
 * mail/dns.h. -1: no memory, and nothing else. */
int dns_packet_read(struct arena *a, struct str packet, enum dns_type type, struct str name,
    struct dns_answer *out, struct err *e);

/* Can this be asked at all: labels of 1 to 63 octets, 253 in all, printable ASCII without
 * backslash (RFC 1035 2.3.4)? A final dot is no part of it. */
bool dns_name_sound(struct str name);
