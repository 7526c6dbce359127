/* mail/address_int.h: what address.c asks of its neighbours: literals, IDNA. */
#pragma once

#include "mail/address.h"

/* RFC 5321 4.1.3, brackets included. 0, or -1 where it is none or one of a tag that nobody has
 * registered (the registry of General-address-literals holds IPv6 alone). */
int literal_parse(struct str literal, enum domain_kind *kind, uint8_t address[16]);

/* Appends it in the one spelling of RFC 5952, brackets included. */
int literal_print(const uint8_t address[16], enum domain_kind kind, struct buf *out);

/* A domain name with U-labels as A-labels in lower case, terminated. False where IDNA 2008 forbids
 * it or the result is no domain name with the same number of labels. */
bool idna_to_ascii(struct str domain, char ascii[ADDRESS_DOMAIN_MAX + 1]);
