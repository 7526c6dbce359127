/* ipc/address_map.h: the map sections of the configuration: addresses that are other ones.
 *
 * Canonical names and masquerading: USER@DOMAIN, @DOMAIN, @*.DOMAIN, the longest match wins; what
 * an address has become is not mapped again. A value of @DOMAIN keeps the local part. core maps
 * envelopes, inbound the header fields of mail from trusted clients. Never suspends.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include "ipc/config.h"

struct address_maps;

enum address_map_use {
    MAP_SENDER,
    MAP_RECIPIENT,
    MAP_HEADER_SENDER, /* of the sections with header = yes */
    MAP_HEADER_RECIPIENT,
    MAP_USES,
};

/* The strings are copied: config may go. Of equal patterns the first counts. */
int address_maps_make(const struct config *config, struct address_maps **maps, struct err *e);
void address_maps_free(struct address_maps **maps);

/* Is there anything at all for this use? */
bool address_maps_have(const struct address_maps *maps, enum address_map_use use);

/* True: appends to out what the address becomes. False: it stays as it is, as do the null
 * reverse-path, what is no address, and what would become longer than an address may be. out may
 * turn bad for want of memory. */
bool address_map(
    const struct address_maps *maps, enum address_map_use use, struct str address, struct buf *out);
