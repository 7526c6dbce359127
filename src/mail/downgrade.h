/* mail/downgrade.h: a message made fit for a next hop that cannot take it as it is.
 *
 * RFC 6152, RFC 2045 6, RFC 2047, RFC 2231. Content of any size passes twice and is never held:
 *
 *     downgrade_scan      while it comes in: is there anything to do, for whom
 *     downgrade_plan      first pass: the structure is parsed; a bounded list of edits comes out
 *     downgrade_writer    second pass: the edits are made as the octets go by
 *
 * What is converted decodes to the same octets: leaves are encoded as quoted-printable or Base 64,
 * whichever is shorter; 8-bit text of header fields becomes encoded words and extended parameters;
 * long header lines are folded. Nothing that somebody signed is touched: a message with a
 * DKIM-Signature, what is within multipart/signed and multipart/encrypted. An embedded message with
 * a signature counts too, unless a report quotes it. What cannot be converted is an error: the
 * caller returns the message. Octets above 127 in the text between parts, which nobody shows, turn
 * into "?".
 */
#pragma once

#include "base/err.h"

#include "mail/header_scan.h"
#include "mail/mime.h"
#include "mail/transfer.h"
#include "mail/transfer_encode.h"

enum {
    DOWNGRADE_LINE_MAX = 998, /* RFC 5321 4.5.3.1.6, without CRLF */
    DOWNGRADE_EDITS_MAX = 4096,
    DOWNGRADE_MEMORY_MAX = 512 << 10, /* octets of parts and edits */
};

/* ---- what there is */

struct downgrade_scan {
    bool eight_header, eight_body; /* octets above 127 */
    bool dkim;                     /* there is a DKIM-Signature */
    uint64_t longest;              /* line, without its line end */

    struct header_scan header;
    uint64_t octets, line;
    bool cr;
};

void downgrade_scan_init(struct downgrade_scan *s);
void downgrade_scan_feed(struct downgrade_scan *s, struct str chunk);
void downgrade_scan_finish(struct downgrade_scan *s);

/* What a next hop cannot take. */
struct downgrade_want {
    bool body;   /* it has no 8BITMIME */
    bool header; /* it has no SMTPUTF8 */
    bool lines;  /* lines over 998 octets are to be encoded, where that is possible */
};

/* What has to be done for a hop with these extensions; false: nothing, the message goes as it is.
 * smtputf8: the message came with SMTPUTF8. One that did not may have raw octets in its header:
 * hosts with 8BITMIME take them as they always did. */
bool downgrade_needed(const struct downgrade_scan *s, bool has_8bitmime, bool has_smtputf8,
    bool smtputf8, struct downgrade_want *want);

/* ---- first pass */

struct downgrade_edit {
    uint64_t offset, length; /* of the content as it came */
    struct str text;         /* what stands there instead */
    bool recode;             /* instead: from one encoding to another */
    uint8_t from, to;        /* enum mime_encoding */
};

struct downgrade_plan {
    struct downgrade_want want;
    struct downgrade_edit *edits; /* by offset, not overlapping */
    uint32_t count;

    struct mime_parser parser;
    struct arena arena;
    uint64_t eight, eight_known; /* octets above 127, and those in headers and leaves */
    uint32_t parts;
    bool touchy;        /* there is something signed, or too long to be looked at */
    struct err refused; /* the first reason why it cannot be done; class ERR_NONE: none yet */
};

/* Ends with downgrade_plan_done(), in any case. Content is fed with all its header fields. */
void downgrade_plan_init(struct downgrade_plan *p, struct downgrade_want want);
void downgrade_plan_feed(struct downgrade_plan *p, struct str chunk);

/* -1: permanent with 5.6.3 (conversion required but not possible), 5.6.7 (there are addresses in
 * UTF-8) or 5.6.9 (UTF-8 in other fields); or no memory. */
int downgrade_plan_finish(struct downgrade_plan *p, struct err *e);
void downgrade_plan_done(struct downgrade_plan *p);

/* ---- second pass */

struct downgrade_writer {
    const struct downgrade_plan *plan;
    uint64_t offset; /* of the content as it came */
    uint32_t edit;
    bool within; /* the edit has begun */
    struct transfer decoder;
    struct transfer_encoder encoder;
    struct buf decoded;
    uint64_t line, long_lines; /* written: the length so far, lines over DOWNGRADE_LINE_MAX */
    bool cr, lf, base64;       /* the last octets written; the last edit made Base 64 */
};

/* The plan stays as it is, also for further writers, and outlives them. */
void downgrade_write_init(struct downgrade_writer *w, const struct downgrade_plan *plan);

/* Takes the next octets of the same content and appends what becomes of them: with the texts of
 * edits at most TRANSFER_ENCODED_MAX(chunk.n) and DOWNGRADE_MEMORY_MAX. -1 when out has no room or
 * there is no memory, or at the end where the content was not the one of the plan. */
int downgrade_write(struct downgrade_writer *w, struct str chunk, struct buf *out);
int downgrade_write_finish(struct downgrade_writer *w, struct buf *out);
void downgrade_write_done(struct downgrade_writer *w);
