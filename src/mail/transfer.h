/* mail/transfer.h: content transfer encodings, decoded as they stream in.
 *
 * RFC 2045 6.7 and 6.8, and uuencode. What is not in the encoding never fails and never reads past
 * its end (hostile.md 101): an "=" without two digits is text, octets outside the Base 64 alphabet
 * are skipped, padding ends a quantum, not the text. Where a chunk ends makes no difference. The
 * output is never longer than the input, apart from line ends and 256 octets of white space held.
 */
#pragma once

#include "base/buf.h"

#include "mail/content_type.h"

enum {
    TRANSFER_HELD = 256,
    TRANSFER_LINE = 64 /* of uuencode: 61 characters and what follows */
};

struct transfer {
    enum mime_encoding encoding;
    uint32_t bits;
    unsigned have; /* Base 64: bits that wait */
    unsigned count;
    bool begun, ended, cr;
    char held[TRANSFER_HELD]; /* quoted-printable: white space and an unfinished "="; a uu line */
};

void transfer_init(struct transfer *t, enum mime_encoding encoding);

/* Appends what in decodes to. -1 when out has no room; the rest is then lost. */
int transfer_feed(struct transfer *t, struct str in, struct buf *out);

/* Appends what waits. */
int transfer_finish(struct transfer *t, struct buf *out);

/* All of it at once. */
int transfer_decode(enum mime_encoding encoding, struct str in, struct buf *out);
