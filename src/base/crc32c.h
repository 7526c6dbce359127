/* base/crc32c.h: CRC-32C (Castagnoli), the checksum of everything we store and of content in
 * transit (RFC 3720 B.4).
 *
 * With the processor's own instruction where it has one, else by tables, eight octets at a time.
 */
#pragma once

#include "base/str.h"

/* The checksum of what had checksum crc (0: nothing yet) followed by s. */
uint32_t crc32c_extend(uint32_t crc, struct str s);

static inline uint32_t crc32c(struct str s)
{
    return crc32c_extend(0, s);
}

/* The checksum of A followed by B, from crc32c(A), crc32c(B) and the length of B. */
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t b_length);

/* The table version, whatever the processor: the tests hold the two together. */
uint32_t crc32c_extend_portable(uint32_t crc, struct str s);
