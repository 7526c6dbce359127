/* mail/digest_int.h: how the octets of a digest are written and read.
 *
 * Numbers are LEB128, a slice is its length and its octets. A reader turns bad at the first thing
 * that cannot be, and then gives zeros and empty slices.
 */
#pragma once

#include "mail/digest.h"

void dig_put_number(struct buf *b, uint64_t v);
void dig_put_signed(struct buf *b, int64_t v);
void dig_put_slice(struct buf *b, struct str s);

struct dig {
    struct str rest;
    bool bad;
};

uint64_t dig_number(struct dig *r, uint64_t max);
int64_t dig_signed(struct dig *r);
struct str dig_slice(struct dig *r);

/* digest_envelope.c: the header of a message becomes an encoded envelope; of the whole message, the
 * keys to sort and to thread by too (NULL: not wanted). scratch is emptied. */
void dig_put_envelope(
    struct str block, struct buf *out, struct buf *sort, struct buf *thread, struct buf *scratch);
