/* mail/header_scan.h: counts and finds in a header block while content streams in.
 *
 * For the SMTP session: limits on fields, Received (RFC 5321 6.3) and octets; Return-Path and
 * Delivered-To fields that strangers wrote, to be cut out (RFC 5321 4.4, hostile.md 107); is there
 * a From, a Date, a Message-ID, and how many of each (hostile.md 83). Where a header block ends and
 * what is a field are as mail/mime.h and mail/header.h say, wherever chunks end. Keeps no content.
 */
#pragma once

#include "mail/header.h"

enum {
    HEADER_SPANS_MAX = 16
};

struct header_span {
    enum header_id id; /* HEADER_RETURN_PATH or HEADER_DELIVERED_TO */
    uint64_t offset, length;
};

struct header_scan {
    uint64_t octets;             /* of the header block so far, with its empty line once ended */
    uint32_t fields, junk;       /* fields, and lines that are none */
    uint32_t count[HEADER_JUNK]; /* of each name that has an id; all others are HEADER_OTHER */
    struct header_span span[HEADER_SPANS_MAX];
    uint32_t spans;
    bool more_spans; /* there are further ones that did not fit */
    bool ended;      /* the empty line, or a first line that is no field, has been seen */

    /* the line that is being read */
    uint64_t line_start;
    uint8_t state;
    bool first, cutting, mbox;
    uint16_t name_length;
    char name[32];
};

void header_scan_init(struct header_scan *s);
void header_scan_feed(struct header_scan *s, struct str chunk);

/* Content has ended: what was not ended before is. */
void header_scan_finish(struct header_scan *s);
