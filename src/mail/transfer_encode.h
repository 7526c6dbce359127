/* mail/transfer_encode.h: quoted-printable and Base 64 as content streams through.
 *
 * RFC 2045 6.7 and 6.8. What comes out is ASCII in lines of at most 76 characters ended by CRLF,
 * and decodes to exactly the octets that went in: CRLF is a line end, a CR or LF alone is encoded.
 * No line begins with a dash that did not begin one before, so nothing becomes a delimiter of MIME.
 * The last line has a line end only if the input had one (quoted-printable), and none in Base 64.
 */
#pragma once

#include "base/buf.h"

#include "mail/content_type.h"

struct transfer_encoder {
    bool base64;
    unsigned column;
    unsigned have; /* octets that wait: of a Base 64 quantum; white space and CR */
    char held[4];
};

/* encoding: MIME_QUOTED_PRINTABLE or MIME_BASE64. */
void transfer_encode_init(struct transfer_encoder *t, enum mime_encoding encoding);

/* Appends; -1 when out has no room. n octets never make more than TRANSFER_ENCODED_MAX(n). */
int transfer_encode_feed(struct transfer_encoder *t, struct str in, struct buf *out);
int transfer_encode_finish(struct transfer_encoder *t, struct buf *out);

#define TRANSFER_ENCODED_MAX(n) (4 * (n) + 128)

/* All of it at once. */
int transfer_encode(enum mime_encoding encoding, struct str in, struct buf *out);
